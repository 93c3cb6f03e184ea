//! How the strategies do on samples that they had not seen.

use super::Series;
use crate::analyze::strategy::adaptive::{Merit, SMOOTHED};
use crate::stats::normal;
use crate::threshold::Rival;
use crate::time::Timestamp;
use crate::units::Sensitivity;

/// Samples a merit is worked out from at most: ten times as many as it is smoothed over.
const MERIT_SAMPLES: usize = 10 * SMOOTHED as usize;

impl Series {
    /// How the strategies do on samples that they had not seen. Worked out from the window when it is asked for: on every
    /// sample it would be a third of what a sample costs.
    pub fn merits(&self) -> Vec<Merit> {
        let mut merits = self.merits.to_vec();
        let unseen = self.window.iter().rev().take_while(|(at, _)| *at > self.merits_after).count();
        // What lies so far back has faded.
        let faded = unseen.saturating_sub(MERIT_SAMPLES);
        for merit in &mut merits {
            merit.count += faded as u64;
            let seen = self.window.last_exact(unseen - faded);
            if self.settings.reckoning.calendars.is_empty() {
                seen.for_each(|(at, value)| merit.see(at, value, self.merit_level));
                continue;
            }
            for (at, value) in seen {
                let moment = self.occasions(at);
                if !moment.masked && !moment.holiday {
                    merit.see(at, value, self.merit_level);
                }
            }
        }
        merits
    }

    /// New bounds of the strategies, at a sensitivity; their losses so far stay with them.
    pub(crate) fn set_rivals(&mut self, rivals: &[Rival], sensitivity: Sensitivity) {
        let before = self.merits();
        self.merits = rivals.iter().map(|rival| Merit::carried_over(rival, &before)).collect();
        self.merit_level = normal::cdf(sensitivity.get());
        self.merits_after = self.window.newest().map_or(Timestamp::EPOCH, |(at, _)| at);
    }
}
