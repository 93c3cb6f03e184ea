//! Series in which nothing ever happens: each page in one is a false one, and how many there are is what a budget promises.

use crate::chance::Chance;
use homeostat::time::Span;
use std::f64::consts::TAU;

/// What the values are drawn from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Shape {
    Bell,
    Lognormal,
    /// Student's t with three degrees of freedom.
    HeavyTail,
    Daily,
    /// Counts, nearly all of them none.
    MostlyZero,
}

impl Shape {
    pub const ALL: [Shape; 5] = [Shape::Bell, Shape::Lognormal, Shape::HeavyTail, Shape::Daily, Shape::MostlyZero];

    pub fn as_str(self) -> &'static str {
        match self {
            Shape::Bell => "bell",
            Shape::Lognormal => "lognormal",
            Shape::HeavyTail => "heavy tail",
            Shape::Daily => "daily",
            Shape::MostlyZero => "mostly zero",
        }
    }
}

pub struct Clean {
    shape: Shape,
    chance: Chance,
}

impl Clean {
    /// The same for the same seed, shape and interval.
    pub fn new(shape: Shape, every: Span, seed: u64) -> Clean {
        Clean { shape, chance: Chance::stream(seed, &format!("{} every {every}", shape.as_str())) }
    }

    /// The value at that time since the beginning.
    pub fn next(&mut self, at: Span) -> f64 {
        let c = &mut self.chance;
        match self.shape {
            Shape::Bell => 50.0 + 5.0 * c.normal(),
            Shape::Lognormal => c.lognormal(20.0, 0.6),
            Shape::HeavyTail => {
                let square = (0..3).map(|_| c.normal().powi(2)).sum::<f64>();
                100.0 + 3.0 * c.normal() / (square / 3.0).sqrt()
            }
            Shape::Daily => 100.0 + 30.0 * (TAU * at.secs() / 86_400.0).sin() + 4.0 * c.normal(),
            Shape::MostlyZero if c.happens(0.93) => 0.0,
            Shape::MostlyZero => {
                // Poisson with mean 3, by exponential waits.
                let (mut count, mut waited) = (0.0, c.exponential(1.0));
                while waited < 3.0 {
                    count += 1.0;
                    waited += c.exponential(1.0);
                }
                count
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_shape_has_its_mean_and_a_seed_repeats() {
        for (shape, mean) in Shape::ALL.into_iter().zip([50.0, 20.0 * (0.18_f64).exp(), 100.0, 100.0, 0.21]) {
            let draw = |seed| {
                let mut clean = Clean::new(shape, Span::minutes(1), seed);
                (0..14_400).map(|n| clean.next(Span::minutes(n))).collect::<Vec<f64>>()
            };
            let values = draw(7);
            let found = values.iter().sum::<f64>() / values.len() as f64;
            assert!((found - mean).abs() < 0.01 * mean.max(3.0), "{shape:?}, seed 7: {found} for {mean}");
            assert_eq!(values, draw(7));
            assert_ne!(values, draw(8), "{shape:?}");
        }
    }
}
