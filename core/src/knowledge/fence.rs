//! How a sample is judged: by the bounds in force, and by what the last few samples were.

use crate::monitor::Judged;
use crate::threshold::{Bounds, Pair, Threshold};
use crate::time::Timestamp;
use crate::units::Sensitivity;
use serde::{Deserialize, Serialize};

/// An alert begins with this many samples in a row beyond its level, and ends with as many inside.
pub(crate) const SUSTAINED: u8 = 2;

/// The peak that an onset has to exceed to count as one fades by this much per sample.
const PEAK_DECAY: f64 = 0.999;

/// The bounds in force, flat and absent ones infinite, so that judging a sample is a few comparisons.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Fence {
    pub lower: f64,
    pub upper: f64,
    alert_lower: f64,
    alert_upper: f64,
    center: f64,
    sensitivity: f64,
    alert_sigmas: f64,
    /// It is the same at all times.
    pub stands: bool,
}

impl Fence {
    #[inline]
    fn new(bounds: Pair, alert: Pair, center: f64, sensitivity: Sensitivity, alert_sigmas: f64) -> Fence {
        Fence {
            lower: bounds.0.unwrap_or(f64::NEG_INFINITY),
            upper: bounds.1.unwrap_or(f64::INFINITY),
            alert_lower: alert.0.unwrap_or(f64::NEG_INFINITY),
            alert_upper: alert.1.unwrap_or(f64::INFINITY),
            center,
            sensitivity: sensitivity.get(),
            alert_sigmas,
            stands: false,
        }
    }

    #[inline]
    pub(crate) fn of(threshold: &Threshold, at: Timestamp, holiday: bool) -> Fence {
        let stands = [&threshold.bounds, &threshold.alert].iter().all(|b| matches!(b, Bounds::Constant { .. }));
        let fence = Fence::new(
            threshold.bounds.on(at, holiday),
            if threshold.young { (None, None) } else { threshold.alert.on(at, holiday) },
            threshold.bounds.center_on(at, threshold.center, holiday),
            threshold.sensitivity,
            threshold.alert_sigmas,
        );
        Fence { stands, ..fence }
    }

    /// A detector says bounds; the alert level lies as much farther out as its sigmas say.
    #[inline]
    pub(crate) fn tracking(lower: f64, upper: f64, sensitivity: Sensitivity, alert_sigmas: f64) -> Fence {
        let center = lower / 2.0 + upper / 2.0;
        let mut fence = Fence::new((Some(lower), Some(upper)), (None, None), center, sensitivity, alert_sigmas);
        let wider = alert_sigmas / fence.sensitivity;
        fence.alert_lower = center - (center - lower) * wider;
        fence.alert_upper = center + (upper - center) * wider;
        fence
    }

    /// The bounds, absent where infinite.
    #[inline]
    pub(crate) fn bounds(&self) -> Pair {
        (Some(self.lower).filter(|bound| bound.is_finite()), Some(self.upper).filter(|bound| bound.is_finite()))
    }

    #[inline]
    pub(crate) fn is_breached(&self, value: f64) -> bool {
        value < self.lower || value > self.upper
    }

    /// Beyond which alert level a value lies: 1 above, -1 below, 0 neither.
    #[inline]
    pub(crate) fn side(&self, value: f64) -> i8 {
        i8::from(value > self.alert_upper) - i8::from(value < self.alert_lower)
    }

    /// Says of a value whether it is a breach of which bounds, and how strange it is.
    #[inline]
    pub(crate) fn judge(&self, value: f64, judged: &mut Judged) {
        (judged.lower, judged.upper) = self.bounds();
        judged.breach = self.is_breached(value);
        let sigmas = self.sigmas(value);
        // Farther out than numbers go is as strange as can be.
        judged.score = if sigmas.is_finite() { sigmas / (sigmas + self.alert_sigmas) } else { 1.0 };
    }

    /// How strange, in sigma-equivalents: the bounds lie at the sensitivity, the alert level at [`ALERT_SIGMAS`](crate::budget::ALERT_SIGMAS) (scaled
    /// with it), and it grows in proportion between and beyond.
    #[inline]
    fn sigmas(&self, value: f64) -> f64 {
        let (bound, alert) =
            if value >= self.center { (self.upper, self.alert_upper) } else { (self.lower, self.alert_lower) };
        let (distance, near) = ((value - self.center).abs(), (bound - self.center).abs());
        if distance <= near {
            return if near.is_finite() && near > 0.0 { self.sensitivity * distance / near } else { 0.0 };
        }
        let far = (alert - self.center).abs();
        let alert_sigmas = self.alert_sigmas;
        if far.is_finite() && far > near {
            let along = (distance - near) / (far - near);
            self.sensitivity + (alert_sigmas - self.sensitivity) * along
        } else if near > 0.0 {
            self.sensitivity * distance / near
        } else {
            alert_sigmas
        }
    }
}

/// Where an alert stands between its onset and its end.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Alarm {
    /// Samples in a row beyond the alert level on one side (positive above, negative below).
    beyond: i8,
    /// Samples in a row inside it.
    inside: u8,
    /// The peak that an onset has to exceed.
    peak: f64,
}

impl Alarm {
    /// The score that pages: an onset stands out over the last one; what merely goes on is kept quiet.
    #[inline]
    pub(crate) fn hear(&mut self, score: f64) -> f64 {
        let alert_score = if score > self.peak {
            self.peak = score;
            score
        } else {
            0.1 * score
        };
        self.peak *= PEAK_DECAY;
        alert_score
    }

    /// One more sample on this [side](Fence::side).
    #[inline]
    pub(crate) fn count(&mut self, side: i8) {
        if side == 0 {
            self.beyond = 0;
            self.inside = self.inside.saturating_add(1);
        } else {
            self.inside = 0;
            let goes_on = self.beyond.signum() == side;
            self.beyond = if goes_on { self.beyond.saturating_add(side) } else { side };
        }
    }

    /// Whether an alert begins, when none holds.
    #[inline]
    pub(crate) fn begins(&self) -> bool {
        self.beyond.unsigned_abs() >= SUSTAINED
    }

    /// Whether the alert that holds ends.
    #[inline]
    pub(crate) fn ends(&self) -> bool {
        self.inside >= SUSTAINED
    }
}
