//! What others sent, and what became of it.

use super::Families;
use crate::receive::{Protocol, Tally, Why};
use std::sync::atomic::{AtomicU64, Ordering};

impl Families {
    pub(super) fn received(&mut self, tally: &Tally) {
        let requests =
            self.counter("homeostat_receive_requests_total", "Requests of senders, by protocol and status answered.");
        for ((protocol, status), count) in tally.requests() {
            requests.put([("protocol", protocol.as_str()), ("code", &status.to_string())], count as f64);
        }
        let samples = self.counter("homeostat_receive_samples_total", "Samples of senders that were taken.");
        for protocol in Protocol::ALL {
            samples.put([("protocol", protocol.as_str())], tally.samples(protocol) as f64);
        }
        let bytes = self.counter("homeostat_receive_bytes_total", "Bytes of their requests, as they were sent.");
        for protocol in Protocol::ALL {
            bytes.put([("protocol", protocol.as_str())], tally.bytes(protocol) as f64);
        }
        let refused = self.counter("homeostat_receive_refused_total", "Samples of senders that were refused, and why.");
        for why in Why::ALL {
            refused.put([("reason", why.as_str())], tally.refused(why) as f64);
        }
        let aside = self.counter(
            "homeostat_receive_set_aside_total",
            "What was sent and is not kept: native or exponential histograms, exemplars.",
        );
        for (what, count) in [("histogram", &tally.histograms), ("exemplar", &tally.exemplars)] {
            aside.put([("what", what)], count.load(Ordering::Relaxed) as f64);
        }
        let singles: [(&str, &str, &AtomicU64); 4] = [
            (
                "homeostat_receive_standby_samples_total",
                "Samples of replicas that another replica stands for.",
                &tally.standby,
            ),
            ("homeostat_receive_failovers_total", "How often another replica took over.", &tally.failovers),
            (
                "homeostat_receive_late_buckets_total",
                "Samples of buckets that came when two later scrapes of their histogram had begun, and were left out.",
                &tally.late_buckets,
            ),
            (
                "homeostat_receive_over_quota_total",
                "Requests that were refused since their sender is over receive.samples_per_second_max.",
                &tally.over_quota,
            ),
        ];
        for (name, help, count) in singles {
            self.counter(name, help).put([], count.load(Ordering::Relaxed) as f64);
        }
    }
}
