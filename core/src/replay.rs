//! What an alert rule would have paged for, had it stood there all along: history in, pages out.
//!
//! A rule's expression is taken apart from the top down to what holds no number worth changing. These lower parts, the
//! leaves, are fetched once as they stand, at the rule's own evaluations; what is above them, a [`Formula`], is worked
//! out here, for as many literals and durations as one likes. Expressions evaluate and alerts fire as those of Prometheus
//! 2.42 do, `promtool test rules` being the judge (`core/tests/promtool`).

mod alert;
pub mod data;
mod evaluate;
mod formula;
pub mod grouping;
mod labels;
mod page;
mod replayer;
mod scan;
pub mod score;
mod template;

pub(crate) use evaluate::Plan;
pub use evaluate::{Failure, evaluate};
pub use formula::{By, Formula, Group, Matching, Op, Promql};
pub use labels::{Labels, METRIC_NAME};
pub use page::Page;
pub use replayer::{Replayed, Replayer};

use crate::time::Timestamp;
use std::collections::BTreeMap;

/// What a range query gave: per label set, one value or none per evaluation.
#[derive(Clone, PartialEq, Debug)]
pub struct Range {
    /// The first evaluation.
    pub start: Timestamp,
    /// From one evaluation to the next, in milliseconds, at least 1.
    pub step: i64,
    /// How many evaluations there are; the last one is at `start + (steps - 1) * step`.
    pub steps: usize,
    /// At most one per label set. The answer that is a scalar is one track without labels.
    pub tracks: Vec<Track>,
}

/// One label set of a [`Range`].
#[derive(Clone, PartialEq, Debug)]
pub struct Track {
    /// As the query gave them, `__name__` among them where it did.
    pub labels: Labels,
    /// One per evaluation of the range; `None` where this label set was not in the answer. NaN is a value.
    pub values: Vec<Option<f64>>,
}

impl Range {
    /// When evaluation `k`, counted from 0, is.
    pub fn at(&self, k: usize) -> Timestamp {
        let past = i64::try_from(k).unwrap_or(i64::MAX).saturating_mul(self.step);
        Timestamp::from_millis(self.start.millis().saturating_add(past))
    }
}

/// An alert rule, as far as it decides when it fires and under which labels.
#[derive(Clone, PartialEq, Debug)]
pub struct Rule {
    /// The alert's name; its pages carry it as `alertname`.
    pub alert: String,
    /// Labels that the rule sets, over those of the expression; one with an empty value takes the label away.
    /// `{{ $labels.NAME }}` is filled in. Other templates stay as they are written: a label that depends on `$value` makes a
    /// new alert whenever the value changes, in Prometheus, and here it does not.
    pub labels: BTreeMap<String, String>,
    pub formula: Formula,
    /// `for`, in milliseconds.
    pub for_ms: i64,
    /// `keep_firing_for`, in milliseconds.
    pub keep_firing_for_ms: i64,
    /// The `limit` of its group: with more alerts, pending and firing, an evaluation fails and all of them are dropped. None: any
    /// number.
    pub limit: Option<usize>,
    /// From one evaluation to the next, in milliseconds. Ranges with a shorter step are evaluated only as often; those
    /// with a longer one at each of their steps, which is less often than the rule is.
    pub interval_ms: i64,
}

/// What the rule would have paged for with these literals, by when pages began. Whoever asks again and again with other
/// literals keeps a [`Replayer`], which also tells of evaluations that fail.
pub fn replay(rule: &Rule, literals: &[f64], leaves: &[Range]) -> Vec<Page> {
    Replayer::new(rule, leaves).replay(literals, rule.for_ms).pages
}
