//! A page: an alert from when it began to fire until it ended.

use super::labels::Labels;
use crate::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};

/// One alert from when it began to fire until it ended. What was pending and never fired is no page.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Page {
    /// The alert's labels: those of the expression without `__name__`, those of the rule, and `alertname`.
    pub labels: Labels,
    /// The evaluation from which on the expression held.
    pub pending_since: Timestamp,
    /// The evaluation at which it fired.
    pub began: Timestamp,
    /// The evaluation at which it fired no longer; `None` where it fires at the end of what was replayed.
    pub ended: Option<Timestamp>,
}

impl Page {
    /// How long it fired; until `end` where it still does.
    pub fn lasted(&self, end: Timestamp) -> Span {
        self.ended.unwrap_or(end).since(self.began)
    }

    /// Whether it fires at an instant: from the evaluation at which it began until before the one at which it ended.
    pub fn fires_at(&self, at: Timestamp) -> bool {
        self.began <= at && self.ended.is_none_or(|ended| at < ended)
    }
}
