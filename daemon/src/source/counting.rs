//! Whether a series counts, of which nobody says what it is: its values have to tell.
//!
//! A kernel's counters are often exported without a type and without `_total` in their name. Read as they come they would leave
//! any bounds by growing. So of what has neither type nor such a name it is looked whether it counts something: whole numbers
//! that rise again and again, and fall only where a process began anew.

/// So often it has to rise before it is believed.
const RISES: usize = 5;

/// A counter that falls more often than once in so many samples is none.
const FALLS_ONE_IN: usize = 1000;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Counts {
    Yes,
    No,
    /// It has hardly moved yet.
    Untold,
}

/// What the values of a series say, in order of time.
pub fn counts(values: impl IntoIterator<Item = f64>) -> Counts {
    let (mut before, mut rises, mut falls, mut count) = (None, 0, 0, 0);
    for value in values.into_iter().filter(|value| value.is_finite()) {
        if value < 0.0 || value.fract() != 0.0 {
            return Counts::No;
        }
        count += 1;
        if let Some(before) = before.replace(value) {
            rises += usize::from(value > before);
            falls += usize::from(value < before);
        }
    }
    match (falls <= count / FALLS_ONE_IN, rises >= RISES) {
        (false, _) => Counts::No,
        (true, true) => Counts::Yes,
        (true, false) => Counts::Untold,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_rises_again_and_again_counts() {
        assert_eq!(counts([1.0, 2.0, 2.0, 9.0, 10.0, 11.0, 12.0]), Counts::Yes);
        assert_eq!(counts([7.0; 50]), Counts::Untold);
        assert_eq!(counts([1.0, 2.0, 3.0, 2.0, 4.0, 5.0, 6.0, 7.0]), Counts::No, "it fell");
        assert_eq!(counts([1.0, 2.5, 3.0]), Counts::No, "no whole number");
        assert_eq!(counts([-3.0, -2.0, -1.0]), Counts::No);
        assert_eq!(counts([1.0, f64::NAN, 2.0, 3.0, 4.0, 5.0, 6.0]), Counts::Yes);
        // A process that begins anew once a day.
        assert_eq!(counts((0..5000).map(|minute| f64::from(minute % 1440))), Counts::Yes);
        assert_eq!(counts([]), Counts::Untold);
    }
}
