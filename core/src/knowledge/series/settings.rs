//! What the configuration says of one series, from all rules that match it.

use crate::budget::Budget;
use crate::calendar::Reckoning;
use crate::config::{Config, Kind, StrategyName};
use crate::rollout::Rule;
use crate::series::SeriesName;
use crate::units::Sensitivity;
use crate::versus::StaticBounds;
use std::sync::Arc;

/// What the configuration says of this series: derived, never stored.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Settings {
    pub kind: Option<Kind>,
    pub watch: Option<bool>,
    pub page: bool,
    pub strategy: StrategyName,
    pub sensitivity: Sensitivity,
    /// A budget beside that of all; and where it is shared, which rule of the configuration says so.
    pub budget: Option<Budget>,
    pub shared_by_rule: Option<usize>,
    /// How it reads the time.
    pub reckoning: Reckoning,
    /// Whose it is.
    pub owner: Option<Arc<str>>,
    /// What a person would write by hand, to be compared with.
    pub fixed: Option<StaticBounds>,
    /// Alert rules elsewhere that look its thresholds up.
    pub rules: Vec<Arc<Rule>>,
}

impl Settings {
    pub fn of(name: &SeriesName, config: &Config) -> Settings {
        let mut settings = Settings {
            strategy: config.learning.strategy.clone(),
            sensitivity: config.learning.sensitivity,
            reckoning: Reckoning::of(name, &config.learning.timezone, &config.calendars),
            rules: config.rules.iter().filter(|rule| rule.selector.matches(name)).cloned().collect(),
            ..Settings::default()
        };
        let rules = config.series.iter().enumerate();
        for (at, rule) in rules.filter(|(_, rule)| rule.selector.matches(name)) {
            settings.kind = rule.kind.or(settings.kind);
            settings.watch = rule.watch.or(settings.watch);
            settings.page = rule.page.unwrap_or(settings.page);
            if rule.budget.is_some() {
                settings.budget = rule.budget;
                settings.shared_by_rule = (rule.share_budget == Some(true)).then_some(at);
            }
            settings.fixed = rule.fixed.or(settings.fixed);
            settings.owner = rule.owner.clone().or(settings.owner);
            settings.sensitivity = rule.sensitivity.unwrap_or(settings.sensitivity);
            if let Some(strategy) = &rule.strategy {
                settings.strategy = strategy.clone();
            }
        }
        settings
    }
}
