//! What the configuration says of one series, from all rules that match it.

use crate::budget::Budget;
use crate::calendar::Reckoning;
use crate::config::{Config, Kind, StrategyName};
use crate::series::SeriesName;
use crate::units::Sensitivity;
use std::sync::Arc;

/// What the configuration says of this series: derived, never stored.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Settings {
    pub kind: Option<Kind>,
    pub watch: Option<bool>,
    pub page: bool,
    pub strategy: StrategyName,
    pub sensitivity: Sensitivity,
    /// A budget of its own.
    pub budget: Option<Budget>,
    /// How it reads the time.
    pub reckoning: Reckoning,
    /// Whose it is.
    pub owner: Option<Arc<str>>,
}

impl Settings {
    pub fn of(name: &SeriesName, config: &Config) -> Settings {
        let mut settings = Settings {
            strategy: config.learning.strategy.clone(),
            sensitivity: config.learning.sensitivity,
            reckoning: Reckoning::of(name, &config.learning.timezone, &config.calendars),
            ..Settings::default()
        };
        for rule in config.series.iter().filter(|rule| rule.selector.matches(name)) {
            settings.kind = rule.kind.or(settings.kind);
            settings.watch = rule.watch.or(settings.watch);
            settings.page = rule.page.unwrap_or(settings.page);
            settings.budget = rule.budget.or(settings.budget);
            settings.owner = rule.owner.clone().or(settings.owner);
            settings.sensitivity = rule.sensitivity.unwrap_or(settings.sensitivity);
            if let Some(strategy) = &rule.strategy {
                settings.strategy = strategy.clone();
            }
        }
        settings
    }
}
