//! Everything the engine can be told, with its default. The daemon adds sections of its own (files, HTTP, host).
//!
//! A plain value is checked by [`Config::check`] and by the types of its fields; a configuration that passed holds every
//! limit the engine relies on.

use crate::budget::{Budget, Per};
use crate::calendar::Calendar;
use crate::plan::state::SystemState;
use crate::rollout::Step;
use crate::series::Selector;
use crate::time::Span;
use crate::time::zone::Zone;
use crate::units::{Confidence, Ratio, Sensitivity};
use crate::versus::StaticBounds;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A method's name: text, because library users bring strategies of their own.
pub type StrategyName = std::borrow::Cow<'static, str>;

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// How often ordinary samples may alert, of all series together: shared by those that may page, or where none is named,
    /// by all that are watched. `none`: a fixed level.
    pub budget: Budget,
    /// How thresholds are learned.
    pub learning: Learning,
    /// The five states: when the loop changes between them, and what it does in each.
    pub states: States,
    /// How much of what the feedback loops heard and did is kept, and how strictly they are tested.
    pub feedback: Feedback,
    /// What no plan may exceed.
    pub execution: Execution,
    /// How much may be held.
    pub limits: Limits,
    /// Settings for the series a selector names; where several match, the last that says something wins.
    pub series: Vec<SeriesRule>,
    /// How new thresholds get out to alert rules that look them up.
    pub rollout: Rollout,
    /// Those rules.
    #[serde(skip)]
    pub rules: Vec<Arc<crate::rollout::Rule>>,
    /// Holidays, deploys and maintenance, as whoever reads the calendars gave them.
    #[serde(skip)]
    pub calendars: Vec<Arc<Calendar>>,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            budget: Budget::Pages { count: 5.0, per: Per::Week },
            learning: Learning::default(),
            states: States::default(),
            feedback: Feedback::default(),
            execution: Execution::default(),
            limits: Limits::default(),
            series: Vec::new(),
            rollout: Rollout::default(),
            rules: Vec::new(),
            calendars: Vec::new(),
        }
    }
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Learning {
    /// Samples older than this leave a window, as long as `min_data_points` remain.
    pub learning_window: Span,
    /// The most samples a window holds, per series.
    pub window_len: usize,
    /// A series is learned as soon as it has this many samples.
    pub min_data_points: usize,
    /// A series is learned again after this long; after half of it when the loop turns to learning for others anyway.
    pub optimization_interval: Span,
    /// A learned threshold is used from this confidence on.
    pub confidence_min: Confidence,
    /// Width of the bounds in sigmas of a bell: 2.0 holds 95.45 % of ordinary samples; larger breaches less.
    pub sensitivity: Sensitivity,
    /// How bounds and alerts are found: auto, adaptive, percentile, sigma, iqr, robust, extreme_value, seasonal or ewma.
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub strategy: StrategyName,
    /// The time zone by whose clocks days and weeks are reckoned: a name of the IANA database, like Europe/Berlin.
    pub timezone: Zone,
}

impl Default for Learning {
    fn default() -> Learning {
        Learning {
            learning_window: Span::hours(24),
            window_len: 10_000,
            min_data_points: 100,
            optimization_interval: Span::hours(1),
            confidence_min: Confidence::clamped(0.5),
            sensitivity: Sensitivity::DEFAULT,
            strategy: "auto".into(),
            timezone: Zone::UTC,
        }
    }
}

/// What the loop does in one state.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Parameters {
    /// The period of the cycle, and of the host's readings where their own is null.
    pub monitoring_interval: Span,
    /// How many last samples of a series the cycle reads for trend and health. At least 10; of fewer than 30 no trend can be
    /// told, so that nothing is foreseen (as in critical) and forecasts that stood are withdrawn.
    pub analysis_depth: u32,
    /// How far ahead trend and plan project; an expectation is settled after this long.
    pub planning_lookahead: Span,
    /// How many tasks one cycle has, of learning and of thresholds that go out; a task is a sixty-fourth of all series, at
    /// least eight.
    pub execution_parallelism: u32,
    /// How far sensitivities, factors and returning parameters move in one step.
    pub learning_rate: Ratio,
}

#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct States {
    /// At which evidence the degraded and the critical state are entered and left.
    pub limits: StateLimits,
    pub healthy: HealthyRow,
    pub optimizing: OptimizingRow,
    pub degraded: DegradedRow,
    pub critical: CriticalRow,
    pub recovering: RecoveringRow,
}

/// One row per state: the same five keys, each with this state's default, so that a file may name one key alone.
macro_rules! state_row {
    ($row:ident, $interval:expr, $depth:expr, $lookahead:expr, $parallelism:expr, $rate:expr) => {
        #[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
        #[serde(deny_unknown_fields, default)]
        pub struct $row {
            pub monitoring_interval: Span,
            pub analysis_depth: u32,
            pub planning_lookahead: Span,
            pub execution_parallelism: u32,
            pub learning_rate: Ratio,
        }

        impl Default for $row {
            fn default() -> $row {
                $row {
                    monitoring_interval: Span::from_secs($interval),
                    analysis_depth: $depth,
                    planning_lookahead: Span::from_secs($lookahead),
                    execution_parallelism: $parallelism,
                    learning_rate: Ratio::clamped($rate),
                }
            }
        }

        impl From<$row> for Parameters {
            fn from(row: $row) -> Parameters {
                Parameters {
                    monitoring_interval: row.monitoring_interval,
                    analysis_depth: row.analysis_depth,
                    planning_lookahead: row.planning_lookahead,
                    execution_parallelism: row.execution_parallelism,
                    learning_rate: row.learning_rate,
                }
            }
        }
    };
}

state_row!(HealthyRow, 60, 100, 300, 4, 0.10);
state_row!(OptimizingRow, 30, 150, 600, 8, 0.30);
state_row!(DegradedRow, 30, 50, 180, 2, 0.20);
state_row!(CriticalRow, 10, 20, 60, 1, 0.05);
state_row!(RecoveringRow, 20, 80, 240, 3, 0.15);

/// A limit of one kind of evidence: a state is entered beyond `enter` and may be left once the evidence is back behind
/// `leave`.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Limit {
    pub enter: f64,
    pub leave: f64,
}

const fn limit(enter: f64, leave: f64) -> Limit {
    Limit { enter, leave }
}

/// The limits of one kind of evidence for both states.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct LimitPair {
    pub degraded: Limit,
    /// None: this evidence alone is never critical.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub critical: Option<Limit>,
}

const fn pair(degraded: Limit, critical: Limit) -> LimitPair {
    LimitPair { degraded, critical: Some(critical) }
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct StateLimits {
    /// Time a cycle took over its interval.
    pub cycle_latency: LimitPair,
    /// Own resident memory over `limits.memory_max`.
    pub own_memory: LimitPair,
    /// Share of the host's processor in use.
    pub host_processor: LimitPair,
    /// Share of the host's memory in use.
    pub host_memory: LimitPair,
    /// Share of series in breach above its usual share.
    pub breach_share: LimitPair,
    /// Share of expectations that came true; low is bad.
    pub decision_quality: LimitPair,
    /// Share of judged pages that were false.
    pub false_share: LimitPair,
    /// Learning work raises the engine to optimizing only below this share of the host's processor.
    pub optimizing_processor_max: Ratio,
}

impl Default for StateLimits {
    fn default() -> StateLimits {
        StateLimits {
            cycle_latency: pair(limit(0.5, 0.3), limit(1.0, 0.7)),
            own_memory: pair(limit(0.80, 0.70), limit(0.95, 0.85)),
            host_processor: pair(limit(0.85, 0.75), limit(0.97, 0.90)),
            host_memory: pair(limit(0.85, 0.80), limit(0.95, 0.90)),
            breach_share: pair(limit(0.10, 0.05), limit(0.30, 0.15)),
            decision_quality: pair(limit(0.6, 0.7), limit(0.3, 0.5)),
            false_share: LimitPair { degraded: limit(0.5, 0.3), critical: None },
            optimizing_processor_max: Ratio::clamped(0.60),
        }
    }
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Feedback {
    /// How many signals are kept.
    pub signal_history: usize,
    /// How many actions are kept.
    pub action_history: usize,
    /// The share of its adjustments that each automatic loop withholds, to measure what the others do.
    pub withhold: Ratio,
    /// Where chance comes from: the same seed, the same run.
    pub seed: u64,
}

impl Default for Feedback {
    fn default() -> Feedback {
        Feedback { signal_history: 10_000, action_history: 5_000, withhold: Ratio::clamped(0.2), seed: 1 }
    }
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Execution {
    /// Freeze: the engine goes on judging and learning, and changes nothing.
    pub freeze: bool,
    /// The most changes of one knob in an hour (a threshold, a sensitivity, a factor of a parameter).
    pub changes_per_hour: u32,
}

impl Default for Execution {
    fn default() -> Execution {
        Execution { freeze: false, changes_per_hour: 12 }
    }
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// The most series held at once.
    pub series_max: usize,
    /// A series without a sample for this long is forgotten.
    pub series_ttl: Span,
    /// The memory the process should stay under, in bytes; its share in use is evidence for the state.
    pub memory_max: u64,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { series_max: 10_000, series_ttl: Span::hours(24), memory_max: 512 * 1024 * 1024 }
    }
}

/// A new threshold reads along first, then a share of the rule's series is served it, then all; where it does worse than the
/// one before, that one is served again.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Rollout {
    /// How long it reads along, after what is held of the past; 0s: until the next cycle.
    pub shadow: Span,
    /// How long a share of the series is served it.
    pub canary: Span,
    /// How long the one before reads along once all are served the new one; and how long nothing is tried out after something
    /// was taken back, twice as long each further time in a row, up to sixteen times.
    pub watch: Span,
    /// The share of the series that comes first: by their labels, always the same ones.
    pub share: Ratio,
    /// On how many more occasions it may page, before that counts as worse: 1 per week, or none for any number.
    pub more: Budget,
}

impl Rollout {
    /// How long a step takes at least; none: nothing follows it.
    pub fn lasts(&self, step: Step) -> Option<Span> {
        match step {
            Step::Shadow => Some(self.shadow),
            Step::Canary => Some(self.canary),
            Step::Active => Some(self.watch),
            Step::Kept | Step::Refused | Step::RolledBack => None,
        }
    }
}

impl Default for Rollout {
    fn default() -> Rollout {
        Rollout {
            shadow: Span::hours(1),
            canary: Span::hours(6),
            watch: Span::hours(24),
            share: Ratio::clamped(0.25),
            more: Budget::ONE_PER_WEEK,
        }
    }
}

/// What a series measures, which says how its samples are read.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Goes up and down; judged as it is.
    Gauge,
    /// Only grows, but for resets; becomes a rate per second at the door.
    Counter,
    /// Part of a histogram; its request rate, p50 and p99 are watched instead.
    Histogram,
    /// A few distinct whole numbers; watched for unusual values.
    State,
    /// A moment in time or a constant that carries information in its labels; held, not watched.
    Info,
    /// Never changed so far; held, not watched unless asked for.
    Constant,
}

impl Kind {
    pub const fn as_str(self) -> &'static str {
        match self {
            Kind::Gauge => "gauge",
            Kind::Counter => "counter",
            Kind::Histogram => "histogram",
            Kind::State => "state",
            Kind::Info => "info",
            Kind::Constant => "constant",
        }
    }
}

/// Settings for the series a selector names. What is left out stays as it was.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct SeriesRule {
    /// Which series: NAME{label="value"} with = != =~ !~.
    #[serde(rename = "match")]
    pub selector: Selector,
    /// What the series measures, when it is not found by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<Kind>,
    /// Whether it is learned and judged. Constant and info series are only when asked for here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub watch: Option<bool>,
    /// Whether its alerts may page a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page: Option<bool>,
    /// How often its ordinary samples may alert, beside the budget of all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<Budget>,
    /// All series that are named here share that budget; without it each has it for itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share_budget: Option<bool>,
    /// Whose it is: asked again each day where its level shifted, until there is an answer; without an owner a level counts as
    /// ordinary after three days.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<String>"))]
    pub owner: Option<Arc<str>>,
    /// Where its sensitivity starts, in place of `learning.sensitivity`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sensitivity: Option<Sensitivity>,
    /// Its strategy, in place of `learning.strategy`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<String>"))]
    pub strategy: Option<StrategyName>,
    /// The bounds that a person would write by hand; they page nobody, and what they would have paged for is held beside what
    /// was paged for.
    #[serde(default, rename = "static", skip_serializing_if = "Option::is_none")]
    pub fixed: Option<StaticBounds>,
}

impl SeriesRule {
    /// One that says nothing yet of the series it names.
    pub fn of(selector: Selector) -> SeriesRule {
        SeriesRule {
            selector,
            kind: None,
            watch: None,
            page: None,
            budget: None,
            share_budget: None,
            owner: None,
            sensitivity: None,
            strategy: None,
            fixed: None,
        }
    }
}

/// The longest name of an owner, in characters.
const OWNER_LEN_MAX: usize = 200;

/// A value of the configuration that cannot be used: which key, and what would be right.
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
#[error("{key}: {problem}")]
pub struct ConfigError {
    pub key: String,
    pub problem: String,
}

impl Config {
    /// Checks what the types alone cannot: ranges, order of limits, names of strategies (against `strategies`).
    pub fn check(&self, strategies: &[StrategyName]) -> Result<(), ConfigError> {
        let refuse = |key: &str, problem: String| Err(ConfigError { key: key.to_owned(), problem });
        let at_least = |key: &str, value: u64, least: u64, most: u64| match (least..=most).contains(&value) {
            true => Ok(()),
            false => refuse(key, format!("{value} is outside {least} to {most}")),
        };
        let learning = &self.learning;
        at_least("learning.min_data_points", learning.min_data_points as u64, 10, 1_000_000)?;
        at_least("learning.window_len", learning.window_len as u64, 10, 1_000_000)?;
        if learning.window_len < learning.min_data_points {
            return refuse(
                "learning.window_len",
                format!("{} is under learning.min_data_points ({})", learning.window_len, learning.min_data_points),
            );
        }
        for (key, span) in [
            ("learning.learning_window", learning.learning_window),
            ("learning.optimization_interval", learning.optimization_interval),
            ("limits.series_ttl", self.limits.series_ttl),
        ] {
            if span < Span::from_secs(1) {
                return refuse(key, format!("{span} is under 1s"));
            }
        }
        at_least("limits.series_max", self.limits.series_max as u64, 1, 100_000_000)?;
        at_least("limits.memory_max", self.limits.memory_max, 16 << 20, 1 << 50)?;
        for (at, owner) in self.series.iter().enumerate().filter_map(|(at, rule)| Some((at, rule.owner.as_ref()?))) {
            if owner.trim().is_empty() || owner.chars().count() > OWNER_LEN_MAX || owner.contains(char::is_control) {
                return refuse(
                    &format!("series[{at}].owner"),
                    format!("is no name of 1 to {OWNER_LEN_MAX} characters; leave the key out where there is no owner"),
                );
            }
        }
        if let Some(at) = self.series.iter().position(|rule| rule.share_budget.is_some() && rule.budget.is_none()) {
            return refuse(
                &format!("series[{at}].share_budget"),
                "needs a budget to share: give `budget` beside it".to_owned(),
            );
        }
        at_least("feedback.signal_history", self.feedback.signal_history as u64, 1, 10_000_000)?;
        at_least("feedback.action_history", self.feedback.action_history as u64, 1, 10_000_000)?;
        at_least("execution.changes_per_hour", u64::from(self.execution.changes_per_hour), 1, 3600)?;
        if self.feedback.withhold.get() > 0.5 {
            return refuse(
                "feedback.withhold",
                format!("{} is over 0.5: a loop has to act more often than not", self.feedback.withhold),
            );
        }
        for (state, row) in self.states.rows() {
            let key = |name: &str| format!("states.{state}.{name}");
            at_least(&key("analysis_depth"), u64::from(row.analysis_depth), 10, 10_000)?;
            at_least(&key("execution_parallelism"), u64::from(row.execution_parallelism), 1, 1024)?;
            if row.monitoring_interval < Span::from_secs(1) || row.monitoring_interval > Span::hours(24) {
                return refuse(&key("monitoring_interval"), format!("{} is outside 1s to 1d", row.monitoring_interval));
            }
            if row.planning_lookahead < Span::from_secs(1) || row.planning_lookahead > Span::hours(24) {
                return refuse(&key("planning_lookahead"), format!("{} is outside 1s to 1d", row.planning_lookahead));
            }
            if row.learning_rate.get() <= 0.0 {
                return refuse(&key("learning_rate"), "0 would never learn; give more than 0, up to 1".to_owned());
            }
        }
        if self.states.critical.execution_parallelism != 1 {
            return refuse("states.critical.execution_parallelism", "in the critical state it is 1".to_owned());
        }
        for (name, pair, low_is_bad) in self.states.limits.pairs() {
            for (state, limit) in [("degraded", Some(pair.degraded)), ("critical", pair.critical)] {
                let Some(limit) = limit else { continue };
                let key = format!("states.limits.{name}.{state}");
                if !limit.enter.is_finite() || !limit.leave.is_finite() {
                    return refuse(&key, "enter and leave have to be finite numbers".to_owned());
                }
                let ordered = if low_is_bad { limit.leave > limit.enter } else { limit.leave < limit.enter };
                if !ordered {
                    let side = if low_is_bad { "above" } else { "under" };
                    return refuse(
                        &key,
                        format!(
                            "leave ({}) has to lie {side} enter ({}), or the state would flap",
                            limit.leave, limit.enter
                        ),
                    );
                }
            }
        }
        let known = |key: &str, name: &StrategyName| match strategies.contains(name) {
            true => Ok(()),
            false => refuse(key, format!("`{name}` is no strategy; known are {}", strategies.join(", "))),
        };
        known("learning.strategy", &learning.strategy)?;
        for (at, rule) in self.series.iter().enumerate() {
            if let Some(strategy) = &rule.strategy {
                known(&format!("series[{at}].strategy"), strategy)?;
            }
            if let Some(problem) = rule.fixed.and_then(|fixed| fixed.problem()) {
                return refuse(&format!("series[{at}].static"), problem.to_owned());
            }
        }
        Ok(())
    }
}

impl States {
    pub fn row(&self, state: SystemState) -> Parameters {
        match state {
            SystemState::Healthy => self.healthy.into(),
            SystemState::Optimizing => self.optimizing.into(),
            SystemState::Degraded => self.degraded.into(),
            SystemState::Critical => self.critical.into(),
            SystemState::Recovering => self.recovering.into(),
        }
    }

    /// The same with cycles at least so far apart: where only learning is to be done, what is due hurries a cycle anyway.
    #[must_use]
    pub fn unhurried(mut self, least: Span) -> States {
        for interval in [
            &mut self.healthy.monitoring_interval,
            &mut self.optimizing.monitoring_interval,
            &mut self.degraded.monitoring_interval,
            &mut self.critical.monitoring_interval,
            &mut self.recovering.monitoring_interval,
        ] {
            *interval = (*interval).max(least);
        }
        self
    }

    /// Each state's name and row, in the order of the table.
    pub fn rows(&self) -> [(&'static str, Parameters); 5] {
        SystemState::ALL.map(|state| (state.as_str(), self.row(state)))
    }
}

impl StateLimits {
    /// Each kind of evidence with its limits, and whether low values are the bad ones.
    pub fn pairs(&self) -> [(&'static str, LimitPair, bool); 7] {
        [
            ("cycle_latency", self.cycle_latency, false),
            ("own_memory", self.own_memory, false),
            ("host_processor", self.host_processor, false),
            ("host_memory", self.host_memory, false),
            ("breach_share", self.breach_share, false),
            ("decision_quality", self.decision_quality, true),
            ("false_share", self.false_share, false),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Vec<StrategyName> {
        vec!["auto".into(), "sigma".into()]
    }

    #[test]
    fn an_owner_has_a_name() {
        let owned = |owner: &str| {
            let selector = Selector::parse("up").expect("a selector");
            let series = vec![SeriesRule { owner: Some(owner.into()), ..SeriesRule::of(selector) }];
            Config { series, ..Config::default() }.check(&names())
        };
        owned("storage team").expect("a name");
        for wrong in ["", "  ", "a\nb", &"x".repeat(201)] {
            assert_eq!(owned(wrong).expect_err(wrong).key, "series[0].owner");
        }
    }

    #[test]
    fn the_default_configuration_passes_its_own_check() {
        Config::default().check(&names()).expect("defaults are usable");
    }

    #[test]
    fn a_file_may_name_one_key_and_unknown_keys_are_refused() {
        let config: Config =
            serde_json::from_str(r#"{"states":{"healthy":{"monitoring_interval":"5s"}}}"#).expect("one key");
        assert_eq!(config.states.healthy.monitoring_interval, Span::from_secs(5));
        assert_eq!(config.states.healthy.analysis_depth, 100);
        assert!(serde_json::from_str::<Config>(r#"{"learning":{"windw":1}}"#).is_err());
    }

    #[test]
    fn what_cannot_work_is_refused_with_its_key() {
        type Spoil = fn(&mut Config);
        let cases: [(&str, Spoil); 5] = [
            ("learning.window_len", |c| c.learning.window_len = 50),
            ("learning.strategy", |c| c.learning.strategy = "magic".into()),
            ("states.limits.host_processor.degraded", |c| c.states.limits.host_processor.degraded.leave = 0.9),
            ("states.critical.execution_parallelism", |c| c.states.critical.execution_parallelism = 4),
            ("states.healthy.monitoring_interval", |c| c.states.healthy.monitoring_interval = Span::ZERO),
        ];
        for (key, spoil) in cases {
            let mut config = Config::default();
            spoil(&mut config);
            assert_eq!(config.check(&names()).expect_err(key).key, key);
        }
    }
}
