//! What no plan may exceed, whoever wrote it: the last look at a change before it goes out.
//!
//! Loops and strategies keep their own ranges; this one does not trust them. A change that is refused here is counted;
//! one that is refused for another reason than a freeze or the rate limit is a mistake of ours worth looking at.

use crate::config::Execution;
use crate::execute::{Change, Knob, Setting};
use crate::plan::parameters::{self, FACTORS};
use crate::threshold::Bounds;
use crate::units::Sensitivity;
use serde::{Deserialize, Serialize};
use std::ops::RangeInclusive;

/// How far a series' thresholds may be distrusted: to a quarter, from where it can still be won back.
pub const TRUST: RangeInclusive<f64> = 0.25..=1.0;
/// The weight on a strategy's loss.
pub const PREFERENCE: RangeInclusive<f64> = 0.5..=2.0;

/// Why a change was not dispatched.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// All changes are stopped.
    Frozen,
    /// The knob was turned `changes_per_hour` times in the last hour.
    TooOften,
    /// The knob stands there already.
    Unchanged,
    /// Beyond the hard bounds of the knob, or no number at all.
    OutOfBounds,
    /// A setting of another kind than the knob has.
    WrongSetting,
}

impl Refusal {
    pub const ALL: [Refusal; 5] =
        [Refusal::Frozen, Refusal::TooOften, Refusal::Unchanged, Refusal::OutOfBounds, Refusal::WrongSetting];

    pub const fn as_str(self) -> &'static str {
        match self {
            Refusal::Frozen => "frozen",
            Refusal::TooOften => "too_often",
            Refusal::Unchanged => "unchanged",
            Refusal::OutOfBounds => "out_of_bounds",
            Refusal::WrongSetting => "wrong_setting",
        }
    }
}

/// What speaks for and against changes just now, apart from the change itself.
#[derive(Clone, Copy, Debug)]
pub struct Rules<'a> {
    pub execution: &'a Execution,
    /// Changes were stopped while running; the configuration's own freeze counts as well.
    pub frozen: bool,
}

/// Why this change may not go out now, if it may not. Its knob was `turned` so often in the hour before.
///
/// `explicit`: a person ordered it, and no rate limit applies. Neither does it to [`Knob::Parameters`], which follow
/// the state, and that has its own brakes. A freeze stops every change, ordered or not: a person who froze the engine can
/// unfreeze it.
pub fn refuses(change: &Change, turned: usize, explicit: bool, rules: &Rules<'_>) -> Option<Refusal> {
    if rules.frozen || rules.execution.freeze {
        return Some(Refusal::Frozen);
    }
    if let Some(refusal) = misfit(&change.knob, &change.to) {
        return Some(refusal);
    }
    // A threshold is more than its bounds: a new one with the same bounds has another confidence, or another width.
    if change.from == change.to && !matches!(change.knob, Knob::Threshold(_)) {
        return Some(Refusal::Unchanged);
    }
    let limited = !explicit && is_limited(&change.knob);
    (limited && turned >= rules.execution.changes_per_hour as usize).then_some(Refusal::TooOften)
}

/// Whether a knob may be turned only so often in an hour.
pub(crate) fn is_limited(knob: &Knob) -> bool {
    match knob {
        Knob::Threshold(_) | Knob::Sensitivity(_) | Knob::Trust(_) | Knob::Preference(_) | Knob::Factor(_) => true,
        Knob::Parameters => false,
    }
}

/// Why a knob may not stand there, if it may not.
fn misfit(knob: &Knob, to: &Setting) -> Option<Refusal> {
    // NaN is in no range.
    let within = |range: RangeInclusive<f64>, number: &f64| range.contains(number);
    let fits = match (knob, to) {
        (Knob::Threshold(_), Setting::Bounds((lower, upper))) => Bounds::constant(*lower, *upper).is_ok(),
        (Knob::Threshold(_), Setting::Unset) => true,
        (Knob::Sensitivity(_), Setting::Number(to)) => within(Sensitivity::MIN..=Sensitivity::MAX, to),
        (Knob::Trust(_), Setting::Number(to)) => within(TRUST, to),
        (Knob::Preference(_), Setting::Number(to)) => within(PREFERENCE, to),
        (Knob::Factor(_), Setting::Number(to)) => within(FACTORS, to),
        (Knob::Parameters, Setting::Parameters(to)) => parameters::are_usable(to),
        (
            Knob::Threshold(_)
            | Knob::Sensitivity(_)
            | Knob::Trust(_)
            | Knob::Preference(_)
            | Knob::Factor(_)
            | Knob::Parameters,
            Setting::Unset | Setting::Number(_) | Setting::Bounds(_) | Setting::Parameters(_),
        ) => return Some(Refusal::WrongSetting),
    };
    (!fits).then_some(Refusal::OutOfBounds)
}
