//! What those who are paged took, and what waits for them.

use super::Families;
use crate::page::Tally;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

impl Families {
    /// By kind and number, in the order of the configuration, from 1: an address may hold a secret.
    pub(super) fn receivers(&mut self, receivers: &[Arc<Tally>]) {
        type Of = fn(&Tally) -> &AtomicU64;
        let counters: [(&str, &str, Of); 5] = [
            (
                "homeostat_page_notifications_total",
                "Notifications that each receiver took, the watchdog's among them.",
                |tally| &tally.delivered,
            ),
            (
                "homeostat_page_failures_total",
                "Notifications that a receiver did not take; they are tried again.",
                |tally| &tally.failed,
            ),
            ("homeostat_page_refused_total", "Notifications that a receiver refused for good.", |tally| &tally.refused),
            ("homeostat_page_alerts_left_out_total", "Alerts that are not told, since too many are held.", |tally| {
                &tally.left_out
            }),
            ("homeostat_page_watchdogs_total", "How often a receiver took the watchdog.", |tally| &tally.watchdogs),
        ];
        for (name, help, of) in counters {
            let family = self.counter(name, help);
            for tally in receivers {
                let number = tally.number.to_string();
                let labels = [("receiver", number.as_str()), ("kind", tally.kind.as_str())];
                family.put(labels, of(tally).load(Ordering::Relaxed) as f64);
            }
        }
        let waiting =
            self.gauge("homeostat_page_alerts_waiting", "Alerts that a receiver was not told of yet, by receiver.");
        for tally in receivers {
            let number = tally.number.to_string();
            let labels = [("receiver", number.as_str()), ("kind", tally.kind.as_str())];
            waiting.put(labels, tally.waiting.load(Ordering::Relaxed) as f64);
        }
        let taken = self.gauge(
            "homeostat_page_last_taken_timestamp_seconds",
            "When a receiver last took something, since the epoch; absent: not since the start.",
        );
        for tally in receivers {
            let at = tally.taken_at.load(Ordering::Relaxed);
            if at > 0 {
                let number = tally.number.to_string();
                let labels = [("receiver", number.as_str()), ("kind", tally.kind.as_str())];
                taken.put(labels, at as f64 / 1000.0);
            }
        }
    }
}
