//! What became of thresholds that are written elsewhere.

use super::Families;
use crate::remote_write::Tally;
use std::sync::Arc;
use std::sync::atomic::Ordering;

impl Families {
    /// By number, in the order of the configuration, from 1: an address may hold a secret.
    pub(super) fn remote_write(&mut self, targets: &[Arc<Tally>]) {
        let samples = self.counter("homeostat_remote_write_samples_total", "Thresholds that an address took.");
        for (tally, at) in targets.iter().zip(1_usize..) {
            samples.put([("target", at.to_string().as_str())], tally.samples.load(Ordering::Relaxed) as f64);
        }
        let failures = self
            .counter("homeostat_remote_write_failures_total", "Messages with thresholds that an address did not take.");
        for (tally, at) in targets.iter().zip(1_usize..) {
            failures.put([("target", at.to_string().as_str())], tally.failures.load(Ordering::Relaxed) as f64);
        }
        let taken = self.gauge(
            "homeostat_remote_write_last_taken_timestamp_seconds",
            "When an address last took all thresholds, since the epoch; absent: not since the start.",
        );
        for (tally, at) in targets.iter().zip(1_usize..) {
            let millis = tally.taken_at.load(Ordering::Relaxed);
            if millis > 0 {
                taken.put([("target", at.to_string().as_str())], millis as f64 / 1000.0);
            }
        }
    }
}
