//! What a value changes of what is usual: how far and how often, the forecasts, the season.

use super::super::histogram::{HALF, WHOLE};
use super::*;

impl Decider {
    pub(super) fn learn(&mut self, seen: &Seen, evidence: Evidence, interval: f32, without: Without) {
        let value = seen.value;
        let on = self.alert.is_some();
        self.is_usual = if self.is_usual { self.correction > 0.0 } else { self.correction > USUAL_FROM };
        self.is_usual &= !without.has(Part::Accepting);
        let held = on && self.alert_share < ALERTS_MAX && !self.is_usual && !without.has(Part::Quarantine);
        toward(&mut self.alert_share, if on { 1.0 } else { 0.0 }, 0.01);
        let hits = self.alert.map_or(0, |alert| alert.hits);
        let lasts = held && hits > 3;
        if self.count > SETTLED && !lasts && !(held && seen.is_beyond()) {
            self.count_sizes(&seen.sizes, without);
        }
        if seen.run == 0.0 && self.run > 0.0 {
            self.longest_run = self.longest_run.max(self.run);
        }
        self.longest_run *= 0.9999;
        let by_value = self.alert.is_some_and(|alert| usize::from(alert.of) < DRIFTING && alert.hits > 1);
        if !by_value {
            (self.drift, self.unrest) = (evidence.drift, evidence.unrest);
        }
        let at_least = 1.0 / (self.count as f32);
        toward(&mut self.recent, value, RECENT.max(at_least));
        let slow = SLOW.max(at_least);
        let wild = WILD * (self.level_error + seen.forecast.floor);
        let error = if self.count > WARM { (value - self.level).clamp(-wild, wild) } else { value - self.level };
        let tame = self.level + error;
        self.level += slow * error;
        let error = (value - self.level).abs().min(if self.count > WARM { wild } else { f32::INFINITY });
        toward(&mut self.level_error, error, slow);
        if !lasts {
            self.follow(value, seen, held);
        }
        if !seen.forecast.holiday {
            let share = (interval / DAY_S).clamp(at_least, 1.0);
            let alike = if self.season_square > 0.0 { ALIKE * self.season_square.sqrt() } else { self.level_error };
            self.week.see(seen.forecast.clock, tame, share, alike, self.level_error);
        }
        let step = (seen.exact - self.previous).abs() as f32;
        if step > 0.0 {
            self.moves = self.moves.saturating_add(1);
            if self.smallest_step == 0.0 || step < self.smallest_step {
                self.smallest_step = step;
            }
        }
        self.run = seen.run;
        self.previous = seen.exact;
    }

    /// Counts the distances, none as farther than so many samples can tell: missed anomalies must not widen the tail.
    fn count_sizes(&mut self, sizes: &[f32; COUNTED], without: Without) {
        for (at, size) in sizes.iter().enumerate() {
            let (histogram, tail) = (&mut self.histograms[at], &mut self.tails[at]);
            let mut clipped = *size;
            if self.count <= CLIPPED {
                clipped = clipped.min(8.0);
            } else if tail.reaches(*size) {
                let most = tail.value_at(log10(histogram.total() + 1.0) + BEYOND);
                clipped = most.filter(|_| !self.is_usual).map_or(clipped, |most| clipped.min(most));
            }
            let counts = if self.count > CLIPPED && clipped < *size { HALF } else { WHOLE };
            histogram.add(bin::<BINS>(clipped), counts, HELD);
            if (self.count as usize + at).is_multiple_of(16) {
                *tail = Tail::fit(histogram, !self.is_usual && !without.has(Part::Gap));
            }
        }
    }

    /// Moves the forecasts and their errors, clipped to what is plausible.
    fn follow(&mut self, value: f32, seen: &Seen, held: bool) {
        let at_least = 1.0 / (self.count as f32);
        let (near, errors, usual) = (NEAR.max(at_least), ERRORS.max(at_least), USUAL.max(at_least));
        let forecast = &seen.forecast;
        let clipped = if self.count > WARM { self.plausible(value, seen, held) } else { value };
        let error = (clipped - self.near).abs();
        toward(&mut self.near_error, error, errors);
        toward(&mut self.near_square, error * error, errors);
        if forecast.known {
            let error = (clipped - forecast.season - self.offset).abs();
            if self.season_error == 0.0 {
                (self.season_error, self.season_square) = (1.5 * self.near_error, 2.0 * self.near_square);
            } else {
                toward(&mut self.season_error, error, errors);
                toward(&mut self.season_square, error * error, errors);
            }
        }
        let error = (clipped - self.usual).abs();
        toward(&mut self.usual_error, error, usual);
        if !held {
            toward(&mut self.near, clipped, near);
            toward(&mut self.usual, clipped, usual);
            if forecast.known {
                toward(&mut self.offset, clipped - forecast.season, near);
            }
        }
    }

    fn plausible(&self, value: f32, seen: &Seen, held: bool) -> f32 {
        let forecast = &seen.forecast;
        let of = if seen.away > 0.0 { UP } else { DOWN };
        let size = seen.away.abs();
        let far = held && seen.rarity > seen.level + 1.0;
        let clipped = self.tails[of].reaches(size) || (far && size > 2.0);
        if !clipped {
            return value;
        }
        let rarest = seen.level.min(log10(self.histograms[UP].total() + 1.0) + BEYOND);
        let most = self.tails[of].value_at(rarest).unwrap_or(f32::INFINITY);
        let most = if far { most.min(2.0) } else { most };
        forecast.value + seen.away.clamp(-most, most) * forecast.size
    }
}
