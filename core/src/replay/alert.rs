//! One alert of a rule, from evaluation to evaluation: inactive, pending, firing.

use crate::time::Timestamp;

/// A rule's durations, in milliseconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Durations {
    pub hold: i64,
    pub keep_firing: i64,
}

/// Where an alert stands. An evaluation that fails does not move it: it is not told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Alert {
    Inactive,
    Pending {
        since: Timestamp,
    },
    Firing {
        pending_since: Timestamp,
        began: Timestamp,
        /// The first of the evaluations without a break, up to now, at which the expression did not hold.
        kept_since: Option<Timestamp>,
    },
}

impl Alert {
    /// One evaluation: whether the expression holds for this alert. Gives when it had been pending and when it began, if
    /// it ends here.
    pub fn step(&mut self, at: Timestamp, holds: bool, durations: Durations) -> Option<(Timestamp, Timestamp)> {
        let elapsed = |from: Timestamp| at.millis() - from.millis();
        if holds {
            match self {
                Alert::Inactive => *self = Alert::Pending { since: at },
                Alert::Pending { .. } => {}
                Alert::Firing { kept_since, .. } => *kept_since = None,
            }
            if let Alert::Pending { since } = *self
                && elapsed(since) >= durations.hold
            {
                *self = Alert::Firing { pending_since: since, began: at, kept_since: None };
            }
            return None;
        }
        match self {
            Alert::Inactive => None,
            Alert::Pending { .. } => {
                *self = Alert::Inactive;
                None
            }
            Alert::Firing { pending_since, began, kept_since } => {
                let kept = elapsed(*kept_since.get_or_insert(at));
                if kept < durations.keep_firing {
                    return None;
                }
                let ended = (*pending_since, *began);
                *self = Alert::Inactive;
                Some(ended)
            }
        }
    }
}
