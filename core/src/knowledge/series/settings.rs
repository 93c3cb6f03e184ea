//! What the configuration says of one series, from all rules that match it.

use super::budget::Levels;
use crate::budget::Budget;
use crate::calendar::Reckoning;
use crate::config::{Config, Kind, StrategyName};
use crate::rollout::Rule;
use crate::series::SeriesName;
use crate::units::Sensitivity;
use crate::versus::StaticBounds;
use std::collections::HashMap;
use std::sync::Arc;

/// What the configuration says of this series: derived, never stored.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Settings {
    pub kind: Option<Kind>,
    pub watch: Option<bool>,
    pub page: bool,
    pub strategy: StrategyName,
    pub sensitivity: Sensitivity,
    /// What that asks for.
    pub(super) levels: Levels,
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

/// Different settings that are held to be shared; what comes after begins anew.
const SHARED_MAX: usize = 4_096;

/// Settings of series of which the configuration says the same, held once.
#[derive(Debug, Default)]
pub(crate) struct SharedSettings(HashMap<Box<[u32]>, Arc<Settings>>);

impl SharedSettings {
    pub fn of(&mut self, name: &SeriesName, config: &Config) -> Arc<Settings> {
        let said = said_of(name, config);
        if let Some(known) = self.0.get(said.as_slice()) {
            return Arc::clone(known);
        }
        if self.0.len() == SHARED_MAX {
            self.clear();
        }
        let settings = Arc::new(Settings::from_said(&said, config));
        self.0.insert(said.into(), Arc::clone(&settings));
        settings
    }

    pub fn clear(&mut self) {
        self.0.clear();
    }
}

/// Which entries of the configuration are about a series: its calendars, its alert rules and its rules for series, in one count.
fn said_of(name: &SeriesName, config: &Config) -> Vec<u32> {
    let calendars = config.calendars.iter().map(|calendar| calendar.is_about(name));
    let rules = config.rules.iter().map(|rule| rule.selector.matches(name));
    let series = config.series.iter().map(|rule| rule.selector.matches(name));
    (0..).zip(calendars.chain(rules).chain(series)).filter(|(_, about)| *about).map(|(at, _)| at).collect()
}

impl Settings {
    pub fn of(name: &SeriesName, config: &Config) -> Settings {
        Settings::from_said(&said_of(name, config), config)
    }

    fn from_said(said: &[u32], config: &Config) -> Settings {
        let (rules_at, series_at) = (config.calendars.len(), config.calendars.len() + config.rules.len());
        let said = || said.iter().map(|at| *at as usize);
        let calendars = said().take_while(|at| *at < rules_at).map(|at| Arc::clone(&config.calendars[at])).collect();
        let rules = said().filter(|at| (rules_at..series_at).contains(at));
        let mut settings = Settings {
            strategy: config.learning.strategy.clone(),
            sensitivity: config.learning.sensitivity,
            reckoning: Reckoning { zone: config.learning.timezone.clone(), calendars },
            rules: rules.map(|at| Arc::clone(&config.rules[at - rules_at])).collect(),
            ..Settings::default()
        };
        for at in said().filter_map(|at| at.checked_sub(series_at)) {
            let rule = &config.series[at];
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
        settings.levels = Levels::of(settings.sensitivity, settings.sensitivity);
        settings
    }
}
