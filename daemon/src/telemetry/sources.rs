//! What sources with threads of their own give, and what asking a Prometheus costs it.

use super::{Families, Family};
use crate::prometheus::cost::Costs;
use crate::source::Tally;
use homeostat::time::Timestamp;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

impl Families {
    /// By kind and number, in the order of the configuration, from 1: an address may hold a secret.
    pub(super) fn sources(&mut self, sources: &[Arc<Tally>], now: Timestamp) {
        type Of = fn(&Tally) -> &AtomicU64;
        let counters: [(&str, &str, Of); 3] = [
            ("homeostat_source_samples_total", "Samples that each source gave.", |tally| &tally.samples),
            ("homeostat_source_failures_total", "How often a source could not be read.", |tally| &tally.failures),
            ("homeostat_source_gaps_total", "Times at which a source should have had values, and had none.", |tally| {
                &tally.gaps
            }),
        ];
        for (name, help, of) in counters {
            put(self.counter(name, help), sources, |tally| Some(of(tally).load(Ordering::Relaxed) as f64));
        }
        let gauges: [(&str, &str, Of); 4] = [
            ("homeostat_source_series", "Series that each source gave lately.", |tally| &tally.series),
            ("homeostat_source_silent_series", "Those of them that have no value now.", |tally| &tally.silent_series),
            ("homeostat_source_parts", "Expressions or targets of each source.", |tally| &tally.parts),
            ("homeostat_source_parts_up", "Those of them that could be read when they were last.", |tally| {
                &tally.parts_up
            }),
        ];
        for (name, help, of) in gauges {
            put(self.gauge(name, help), sources, |tally| Some(of(tally).load(Ordering::Relaxed) as f64));
        }
        let silent =
            self.gauge("homeostat_source_silent", "1 while a source gives nothing for three of its intervals.");
        put(silent, sources, |tally| Some(f64::from(u8::from(tally.is_silent(now)))));
        let read = self.gauge(
            "homeostat_source_last_sample_timestamp_seconds",
            "When a source last gave something, since the epoch; the start, while it has not.",
        );
        put(read, sources, |tally| Some(tally.read_at().secs()));
        let behind = self.gauge(
            "homeostat_source_behind_seconds",
            "How far the oldest part of a source is behind now: in a backfill long, then short.",
        );
        put(behind, sources, |tally| tally.behind(now).map(|span| span.secs()));
        self.queries(sources);
    }

    fn queries(&mut self, sources: &[Arc<Tally>]) {
        type Of = fn(&Costs) -> f64;
        let families: [(&str, &str, Of); 7] = [
            ("homeostat_queries_total", "Queries that were sent to each Prometheus.", |costs| costs.queries as f64),
            ("homeostat_query_retries_total", "Those of them that were sent again.", |costs| costs.retries as f64),
            ("homeostat_query_failures_total", "Queries that were given up.", |costs| costs.failed as f64),
            ("homeostat_query_samples_total", "Samples in their answers.", |costs| costs.samples as f64),
            ("homeostat_query_seconds_total", "Time that queries took, all together.", |costs| costs.seconds),
            ("homeostat_query_waited_seconds_total", "Time that queries waited for the budget.", |costs| {
                costs.waited_seconds
            }),
            ("homeostat_query_cached_pieces_total", "Pieces of history that were kept from before.", |costs| {
                costs.cached as f64
            }),
        ];
        for (name, help, of) in families {
            let cost = |tally: &Tally| tally.cost.as_ref().map(|cost| of(&cost.now()));
            put(self.counter(name, help), sources, cost);
        }
    }
}

fn put(family: &mut Family, sources: &[Arc<Tally>], of: impl Fn(&Tally) -> Option<f64>) {
    for tally in sources {
        if let Some(value) = of(tally) {
            family.put([("source", tally.kind), ("number", &tally.number.to_string())], value);
        }
    }
}
