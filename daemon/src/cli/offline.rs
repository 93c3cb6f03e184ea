//! What `learn` and `detect` share: the engine without a daemon, on rows of files, in the rows' own time.

use super::Failed;
use super::output::one_line;
use crate::config::{Config, Flags};
use crate::source::file::{MILLIS, RowError, looks_like_millis};
use homeostat::analyze::strategy::Methods;
use homeostat::budget::Budget;
use homeostat::config::{Config as EngineConfig, SeriesRule, StrategyName};
use homeostat::knowledge::series::Series;
use homeostat::monitor::{Fate, Fates};
use homeostat::series::Selector;
use homeostat::time::Span;
use homeostat::units::Sensitivity;
use std::path::{Path, PathBuf};

/// Longer than any file goes back.
pub const WHATEVER_AGE: Span = Span::hours(10_000 * 366 * 24);

/// Rows that do not parse and are told one by one; a file of another kind has millions.
const BAD_ROWS_TOLD: u64 = 20;

#[derive(clap::Args, Clone, Debug, Default)]
pub struct MethodArgs {
    /// How bounds and alerts are found [default: auto]
    #[arg(long, value_name = "NAME")]
    strategy: Option<String>,
    /// Width of the bounds in sigmas of a bell, 1 to 6; larger breaches less [default: 2]
    #[arg(long, value_name = "SIGMAS")]
    sensitivity: Option<f64>,
    /// The time zone by whose clocks days and weeks are reckoned, like Europe/Berlin [default: UTC]
    #[arg(long, value_name = "ZONE")]
    timezone: Option<String>,
    /// Configuration file; its budget, its calendars and its sections learning, states, feedback and series are used
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl MethodArgs {
    /// The engine's configuration for rows of files. Every series is judged: a file that was handed over is asked for. `budget`
    /// is what a flag says; that of the answer is each series' own, unless a rule gives it another.
    pub fn engine_config(&self, window: WindowAge, budget: Option<Budget>) -> Result<EngineConfig, Failed> {
        let strategies = Methods::built_in().names();
        let flags = Flags { timezone: self.timezone.clone(), ..Flags::default() };
        let loaded = Config::load(self.config.as_deref(), crate::config::environment(), &flags, &strategies)
            .map_err(|error| Failed::Use(error.to_string()))?;
        let configured = |key: &str| *loaded.provenance.origin(key) != crate::config::Origin::Default;
        let (window_configured, budget_configured) = (configured("learning.learning_window"), configured("budget"));
        let mut config = loaded.config.engine;
        if window == WindowAge::Any || !window_configured {
            config.learning.learning_window = WHATEVER_AGE;
        }
        // In the time of the rows a gap of days is one step: nothing ends in between.
        config.limits.series_ttl = WHATEVER_AGE;
        // Nobody's system is touched here, so there is nothing to hold still.
        config.execution.freeze = false;
        // In a daemon all series share a budget. Here each is judged by itself, and has one of its own.
        let of_all = if budget_configured { config.budget } else { Budget::ONE_PER_WEEK };
        config.budget = budget.unwrap_or(of_all);
        config.series.insert(0, SeriesRule { watch: Some(true), budget: Some(config.budget), ..rule_for_all()? });
        let strategy = self.strategy.as_deref().map(|name| known(name, &strategies)).transpose()?;
        let sensitivity = self
            .sensitivity
            .map(|sigmas| Sensitivity::new(sigmas).map_err(|error| Failed::Use(format!("--sensitivity: {error}"))))
            .transpose()?;
        // A flag is stronger than the file: said last, for all series.
        if strategy.is_some() || sensitivity.is_some() || budget.is_some() {
            config.series.push(SeriesRule { strategy, sensitivity, budget, ..rule_for_all()? });
        }
        Ok(config)
    }
}

/// How old a sample may be to stay in a window.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WindowAge {
    /// As the configuration says, and any when it says nothing: rows may lie hours apart.
    Configured,
    Any,
}

fn rule_for_all() -> Result<SeriesRule, Failed> {
    let selector =
        Selector::parse(r#"{__name__=~".*"}"#).map_err(|error| Failed::Use(format!("the selector of all: {error}")))?;
    Ok(SeriesRule::of(selector))
}

fn known(name: &str, strategies: &[StrategyName]) -> Result<StrategyName, Failed> {
    if let Some(found) = strategies.iter().find(|known| *known == name) {
        return Ok(found.clone());
    }
    let near = |known: &&StrategyName| strsim::damerau_levenshtein(known, name) <= 2;
    let meant = strategies.iter().find(near).map_or(String::new(), |near| format!("did you mean `{near}`? "));
    Err(Failed::Use(format!("--strategy: there is no `{name}`; {meant}known are {}", strategies.join(", "))))
}

/// Tells rows that did not parse on standard error, and counts them.
pub struct BadRows {
    path: PathBuf,
    count: u64,
    /// Those whose times look like milliseconds.
    millis: u64,
}

impl BadRows {
    pub fn new(path: &Path) -> BadRows {
        BadRows { path: path.to_owned(), count: 0, millis: 0 }
    }

    pub fn tell(&mut self, error: &RowError) {
        self.count += 1;
        self.millis += u64::from(looks_like_millis(&error.at_text));
        if self.count <= BAD_ROWS_TOLD {
            eprintln!("{}: {}", self.path.display(), one_line(&error.to_string()));
        }
    }

    /// Says how many there were of `rows`.
    pub fn sum_up(&self, rows: u64) -> u64 {
        let Self { path, count, millis } = self;
        let path = path.display();
        let untold = count.saturating_sub(BAD_ROWS_TOLD);
        if untold > 0 {
            eprintln!("{path}: … and {untold} more like these");
        }
        if rows == 0 {
            eprintln!("{path}: no rows");
        }
        let remedy = if *count > 0 && count == millis { format!("; {MILLIS}") } else { String::new() };
        if *count > 0 && *count == rows {
            eprintln!("{path}: none of {rows} rows could be used{remedy}");
        } else if *count > 0 {
            eprintln!("{path}: {count} of {rows} rows could not be used; the rest was{remedy}");
        }
        *count
    }
}

/// Says why of all rows none was judged: how many there were of each reason.
pub fn tell_none_judged<'a>(path: &Path, bad: u64, held: impl Iterator<Item = &'a Series>, config: &EngineConfig) {
    let least = config.learning.min_data_points as u64;
    let (mut fates, mut early, mut uncertain) = (Fates::default(), 0, 0);
    for series in held {
        fates += series.fates();
        let taken = series.fates().of(Fate::Admitted) + series.fates().of(Fate::Folded);
        match taken < least {
            true => early += taken,
            false => uncertain += taken,
        }
    }
    let early_said = format!("before a series had the {least} usable rows that learning needs");
    let uncertain_said = "whose series gave no bounds that can be trusted (a constant, or too few distinct values)";
    let reasons = [
        (bad, "that could not be read"),
        (fates.of(Fate::OutOfOrder), "older than a row before them (sort the file by time)"),
        (fates.of(Fate::Duplicate), "that came twice"),
        (fates.of(Fate::Conflict), "with a second value at the time of another"),
        (fates.of(Fate::NotFinite) + fates.of(Fate::Stale), "not a finite number"),
        (
            fates.of(Fate::TooOld) + fates.of(Fate::TooNew) + fates.of(Fate::UnknownSeries),
            "outside what a window holds",
        ),
        (early, &early_said),
        (uncertain, uncertain_said),
    ];
    let reasons: Vec<String> =
        reasons.iter().filter(|(count, _)| *count > 0).map(|(count, why)| format!("{count} {why}")).collect();
    eprintln!("{}: no row was judged: {}", path.display(), reasons.join(", "));
}
