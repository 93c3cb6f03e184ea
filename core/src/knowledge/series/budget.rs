//! How often it may alert, how far it is heard, and what is asked of its detector.

use super::Series;
use crate::analyze::learn::alert_sigmas;
use crate::analyze::strategy::{AlertLevel, Asked};
use crate::budget::{ALERT_SIGMAS, Budget};
use crate::calendar::Moment;
use crate::feedback::weights::{Heard, Spoke, Weights};
use crate::knowledge::general::Pool;
use crate::stats::normal;
use crate::time::Timestamp;
use crate::units::Sensitivity;

/// What is asked of a series' detector, whatever the sample.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Asks {
    alert: AlertLevel,
    pub levels: Levels,
    weights: Weights,
}

impl Default for Asks {
    fn default() -> Asks {
        // What it is asked in truth is set with its settings and its share of a budget.
        Asks { alert: AlertLevel::PerWeek(1.0), levels: Levels::default(), weights: Weights::default() }
    }
}

/// What a sensitivity asks for: how much of what is ordinary may lie outside on each side, and by how much rarer an alert is than at
/// the sensitivity that the configuration says.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub(super) struct Levels {
    pub outside: f64,
    pub shift: f64,
}

impl Levels {
    pub fn of(sensitivity: Sensitivity, configured: Sensitivity) -> Levels {
        let sigmas = alert_sigmas(sensitivity, configured);
        let shift = normal::rarity(sigmas) - normal::rarity(ALERT_SIGMAS);
        Levels { outside: normal::cdf(-sensitivity.get()), shift }
    }
}

impl Series {
    /// What its budget, or its part of one, leaves it.
    pub(crate) fn set_share(&mut self, share: AlertLevel) {
        self.asks.alert = share;
    }

    /// The budget that it has a part in. None: it has one for itself.
    pub(crate) fn pool(&self) -> Option<Pool> {
        match (self.settings.budget, self.settings.shared_by_rule) {
            (None, _) => Some(Pool::All),
            (Some(_), Some(rule)) => Some(Pool::Rule(rule)),
            (Some(_), None) => None,
        }
    }

    /// How far each feature is heard, by what was said of this series and of all.
    pub(crate) fn set_weights(&mut self, fleet: &Heard) {
        self.asks.weights = Weights::of(&self.features, fleet);
    }

    /// How far each feature of its detector is heard.
    pub fn weights(&self) -> &Weights {
        &self.asks.weights
    }

    /// What verdicts about this series said of each feature.
    pub fn heard(&self) -> &Heard {
        &self.features
    }

    /// What spoke at the onset of its latest alerts, oldest first.
    pub fn spoken(&self) -> impl DoubleEndedIterator<Item = &(Timestamp, Spoke)> {
        self.spoken.iter()
    }

    /// How often its ordinary samples may alert in a week. None: there is no budget.
    pub fn budget_per_week(&self) -> Option<f64> {
        match self.asks.alert {
            AlertLevel::PerWeek(pages) => Some(pages),
            AlertLevel::Rarity(_) => None,
        }
    }

    /// Whether others have a part in its budget.
    pub fn shares_budget(&self) -> bool {
        self.pool().is_some()
    }

    /// A budget that is not that of all: its own, or shared by those that a rule names.
    pub fn own_budget(&self) -> Option<Budget> {
        self.settings.budget
    }

    /// What is asked of a detector, but for the series' age and how the time counts.
    #[inline]
    pub(crate) fn asked(&self) -> Asked {
        let Asks { alert, levels: Levels { outside, shift }, weights } = self.asks;
        // Each by itself: what is not given would be reckoned anew with every sample.
        let (young, moment) = (false, Moment::default());
        Asked { sensitivity: self.sensitivity, alert, outside, bounds: true, shift, young, moment, weights }
    }

    /// What the sensitivity says of that.
    pub(super) fn set_asked(&mut self) {
        let configured = self.settings.sensitivity;
        self.asks.levels = match self.sensitivity == configured {
            true => self.settings.levels,
            false => Levels::of(self.sensitivity, configured),
        };
    }

    pub(crate) fn set_sensitivity(&mut self, sensitivity: Sensitivity) {
        self.sensitivity = sensitivity;
        self.set_asked();
    }
}
