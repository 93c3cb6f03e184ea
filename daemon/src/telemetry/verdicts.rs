//! What an Alertmanager and paging tools told, and what came of it.

use super::Families;
use crate::alertmanager::{Done, Tally};
use std::sync::atomic::Ordering;

impl Families {
    pub(super) fn verdicts(&mut self, tally: &Tally) {
        let alerts = self.counter(
            "homeostat_alertmanager_alerts_total",
            "Alerts that came by webhook, by whether a series here is behind them, or that could not be read.",
        );
        for (known, count) in [("true", &tally.known), ("false", &tally.unknown), ("unreadable", &tally.unreadable)] {
            alerts.put([("known", known)], count.load(Ordering::Relaxed) as f64);
        }
        let verdicts = self.counter(
            "homeostat_alert_verdicts_total",
            "Verdicts from an Alertmanager and paging tools since the start, by what was done.",
        );
        for (source, count) in Done::KINDS.iter().zip(&tally.verdicts) {
            verdicts.put([("source", source)], count.load(Ordering::Relaxed) as f64);
        }
        self.counter("homeostat_alert_verdicts_repeated_total", "Those of them that had been heard before.")
            .put([], tally.repeated.load(Ordering::Relaxed) as f64);
        self.counter("homeostat_alertmanager_polls_total", "How often an Alertmanager was asked for what it holds.")
            .put([], tally.polls.load(Ordering::Relaxed) as f64);
        self.counter("homeostat_alertmanager_poll_failures_total", "How often it did not answer.")
            .put([], tally.poll_failures.load(Ordering::Relaxed) as f64);
    }
}
