//! Ways to find bounds: from a window at once (`Strategy`) or sample by sample (`Detector`).

pub mod adaptive;
pub mod auto;
pub mod ewma;
pub mod extreme_value;
pub mod iqr;
pub mod percentile;
pub mod robust;
pub mod seasonal;
pub mod sigma;
pub mod state;

use crate::calendar::{Moment, PLAIN, Reckoning};
use crate::config::{Kind, StrategyName};
use crate::feedback::Verdict;
use crate::feedback::weights::Weights;
use crate::monitor::{Judged, Why};
use crate::stats::{Scratch, Statistics, normal, sort_into};
use crate::threshold::Bounds;
use crate::time::Timestamp;
use crate::units::Sensitivity;
use serde::{Deserialize, Serialize};

/// A window as the strategies see it. All slices have the same length, at least 1, and hold finite numbers.
#[derive(Clone, Copy, Debug)]
pub struct Baseline<'a> {
    pub kind: Kind,
    /// Milliseconds since the epoch, ascending.
    pub at: &'a [i64],
    /// In order of time.
    pub values: &'a [f64],
    /// The same values in ascending order.
    pub sorted: &'a [f64],
    pub statistics: Statistics,
    /// By which its days and weeks are reckoned.
    pub reckoning: &'a Reckoning,
}

/// At which width bounds are wanted.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Level {
    /// The strategy's own formula, which stands at 2.0 sigma; another sensitivity scales it.
    Formula(Sensitivity),
    /// The width that holds as many ordinary samples as this many sigmas of a bell do: for comparing strategies.
    Holding(Sensitivity),
}

/// Bounds a strategy would set.
#[derive(Clone, PartialEq, Debug)]
pub struct Proposal {
    pub bounds: Bounds,
    /// The ordinary value, between the bounds or, where most samples lie there, on one of them. Of periodic bounds that of
    /// the whole window.
    pub center: f64,
}

/// A way to find bounds from a window. Stateless.
pub trait Strategy: Send + Sync {
    /// Text, not an enum: library users bring their own.
    fn name(&self) -> StrategyName;

    /// The formula at a level in a few words, for the reasoning: "mean ± 2.00 standard deviations".
    fn formula(&self, level: Level) -> String;

    /// None: the window is too thin to say, or does not show what the strategy looks for.
    fn propose(&self, baseline: &Baseline, level: Level) -> Option<Proposal>;
}

/// A detector's memory of one series: plain data, at most 2 kB, so that a snapshot is complete.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub enum DetectorState {
    /// Of detectors that a library user brings, and of simple ones.
    Numbers {
        version: u16,
        numbers: Vec<f64>,
    },
    Auto(Box<auto::State>),
}

impl DetectorState {
    /// Reads from most places that a step will, so that they are near then.
    #[inline]
    pub(crate) fn touched(&self) -> u64 {
        match self {
            DetectorState::Numbers { numbers, .. } => numbers.first().map_or(0, |number| number.to_bits()),
            DetectorState::Auto(state) => state.touched(),
        }
    }

    /// About how many bytes it takes beside itself.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            DetectorState::Numbers { numbers, .. } => size_of_val(numbers.as_slice()),
            DetectorState::Auto(state) => size_of_val(state.as_ref()),
        }
    }
}

/// Beyond which level a detector is to alert.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum AlertLevel {
    /// So many times a week, of ordinary samples.
    PerWeek(f64),
    /// Beyond a fixed rarity, minus the decimal logarithm of the chance of an ordinary sample; two samples in a row.
    Rarity(f64),
}

/// What is asked of a detector about one sample.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Asked {
    /// The width of its bounds.
    pub sensitivity: Sensitivity,
    pub alert: AlertLevel,
    /// The share of ordinary samples that is to lie beyond each bound: as many as beyond so many sigmas of a bell.
    pub outside: f64,
    /// Whether its bounds are asked for at all: a detector that alerts by itself need not say them where others are in force.
    pub bounds: bool,
    /// Decades by which verdicts moved the alert level; positive alerts less.
    pub shift: f64,
    /// The series was not seen for long enough to speak of an alert.
    pub young: bool,
    /// How this time counts for the series.
    pub moment: Moment,
    /// How far verdicts have each feature heard.
    pub weights: Weights,
}

impl Default for Asked {
    fn default() -> Self {
        Asked {
            sensitivity: Sensitivity::default(),
            outside: normal::cdf(-Sensitivity::default().get()),
            bounds: true,
            alert: AlertLevel::PerWeek(1.0),
            shift: 0.0,
            young: false,
            moment: Moment::default(),
            weights: Weights::default(),
        }
    }
}

/// A way to judge sample by sample. Its state is the series'.
pub trait Detector: Send + Sync {
    fn name(&self) -> StrategyName;

    fn formula(&self, sensitivity: Sensitivity) -> String;

    /// The state after what the window holds. `prior` is what a series like it says, where there is one.
    fn start(&self, baseline: &Baseline, prior: Option<&DetectorState>) -> DetectorState;

    /// What a series says of those like it: of the same metric, with other labels. None: nothing (yet).
    fn prior(&self, _sibling: &DetectorState) -> Option<DetectorState> {
        None
    }

    /// Says of a value what it is by what came before, and only then learns from it. A detector that leaves `alerts` false
    /// says bounds alone: scores and alerts are made of them by the engine.
    fn step(&self, state: &mut DetectorState, at: Timestamp, value: f64, asked: &Asked) -> Judged;

    /// The same of a value that is no example of what is ordinary: it is judged, an alert that it begins goes on, and nothing
    /// is learned of what is usual. Where nothing may alert (`silent`), nothing is left of it.
    fn step_aside(&self, state: &mut DetectorState, at: Timestamp, value: f64, asked: &Asked) -> Judged {
        self.step(&mut state.clone(), at, value, asked)
    }

    /// What a person says of an alert of its, or of one that it missed, and how much it counts: 1 for a word, below 0 to take one
    /// back.
    fn told(&self, _state: &mut DetectorState, _verdict: Verdict, _weight: f64) {}

    /// The series is taken up again at the level that it was left at: an alert that held is over.
    fn calm(&self, _state: &mut DetectorState) {}

    /// Whether it decides on alerts by itself. Such a detector goes on learning by itself from a series' first samples; one
    /// that says bounds alone begins anew with each threshold.
    fn alerts(&self) -> bool {
        false
    }

    /// How strange each of its features finds a value that it has seen already, by all it knows now; it learns nothing of that.
    fn voices(&self, _: &DetectorState, _at: Timestamp, _value: f64, _: &Asked) -> Vec<Voice> {
        Vec::new()
    }

    /// What it knows of how it does on a series: what a claim about its pages rests on. None: nothing that can be told.
    fn outlook(&self, _: &DetectorState) -> Option<Outlook> {
        None
    }
}

/// How strange one feature of a detector finds a value.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Voice {
    pub feature: Why,
    /// Minus the decimal logarithm of the chance that an ordinary value is so strange; 0 where it is nothing special.
    pub rarity: f64,
    /// The rarity beyond which it alerts.
    pub level: f64,
}

/// How a detector that alerts by itself does on a series.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Outlook {
    /// Samples that it learned from.
    pub samples: f64,
    /// Decades by which its pages so far moved its level: above 0 there were more than were asked.
    pub correction: f64,
    /// Its pages of the last day, fading.
    pub recent_pages: f64,
    /// How far the series wanders: the usual distance to its slow mean over that to its forecast.
    pub wander: f64,
    /// The heaviest shape of its tails, as of a generalised Pareto distribution: 0 is exponential, .5 has no variance.
    pub heaviness: f64,
    /// What it paged for was found to be what the series does.
    pub is_usual: bool,
}

impl<'a> Baseline<'a> {
    /// A window (ascending times, as many values, at least one, all finite), sorted into `scratch`; its days are UTC's.
    pub fn sorted(kind: Kind, at: &'a [i64], values: &'a [f64], scratch: &'a mut Scratch) -> Baseline<'a> {
        let sorted = sort_into(values, scratch);
        Baseline { kind, at, values, sorted, statistics: Statistics::of(values, sorted), reckoning: &PLAIN }
    }

    /// The same, its days and weeks by these clocks and calendars.
    pub fn reckoned(self, reckoning: &'a Reckoning) -> Baseline<'a> {
        Baseline { reckoning, ..self }
    }

    /// A distance under which two values of this series are the same: half its smallest step seen around the middle, or,
    /// when it never moved, a small share of where it stands.
    pub fn resolution(&self) -> f64 {
        let middle = self.sorted.len() / 2;
        let around = &self.sorted[middle.saturating_sub(64)..(middle + 64).min(self.sorted.len())];
        let steps = around.windows(2).map(|pair| pair[1] - pair[0]).filter(|step| *step > 0.0);
        let least = steps.fold(f64::INFINITY, f64::min);
        let scale = self.statistics.median.abs().max(self.statistics.mean.abs());
        let still = if scale > 0.0 { (scale * 0.01).min(f64::MAX / 4.0) } else { 0.5 };
        // A difference of neighbouring doubles is rounding, no step.
        let floor = (scale * 1e-9).max(f64::MIN_POSITIVE);
        if least.is_finite() { (least / 2.0).clamp(floor, still.max(floor)) } else { still.max(floor) }
    }
}

/// Bounds around a center, as a strategy would have them: one that is not finite is left out, and a width that has shrunk
/// to nothing (a constant series) gets the series' resolution. None when no bound is left.
pub fn proposal(baseline: &Baseline, lower: f64, center: f64, upper: f64) -> Option<Proposal> {
    let (mut lower, mut upper) = (Some(lower).filter(|v| v.is_finite()), Some(upper).filter(|v| v.is_finite()));
    let center = center.clamp(lower.unwrap_or(f64::MIN), upper.unwrap_or(f64::MAX).max(lower.unwrap_or(f64::MIN)));
    if let (Some(low), Some(high)) = (lower, upper)
        && low >= high
    {
        let floor = baseline.resolution();
        lower = Some(low.min(high) - floor).filter(|v| v.is_finite());
        upper = Some(low.max(high) + floor).filter(|v| v.is_finite());
    }
    Bounds::constant(lower, upper).ok().map(|bounds| Proposal { bounds, center })
}

/// The strategies and detectors that an engine knows.
pub struct Methods {
    strategies: Vec<Box<dyn Strategy>>,
    detectors: Vec<Box<dyn Detector>>,
}

/// The name under which the best strategy is chosen by merit.
pub const ADAPTIVE: &str = "adaptive";

/// The built-in strategies that are compared.
pub fn all() -> Vec<Box<dyn Strategy>> {
    vec![
        Box::new(percentile::Percentile),
        Box::new(sigma::Sigma),
        Box::new(iqr::Iqr),
        Box::new(robust::Robust),
        Box::new(extreme_value::ExtremeValue),
        Box::new(seasonal::Seasonal),
    ]
}

/// The built-in detectors.
pub fn detectors() -> Vec<Box<dyn Detector>> {
    vec![Box::new(auto::Auto::default()), Box::new(ewma::Ewma)]
}

impl Methods {
    pub fn built_in() -> Methods {
        Methods { strategies: all(), detectors: detectors() }
    }

    /// Adds a strategy; adaptive compares it with the others from then on.
    pub fn with_strategy(mut self, strategy: Box<dyn Strategy>) -> Methods {
        self.strategies.push(strategy);
        self
    }

    /// Adds a detector, in place of the one of its name where there is one.
    pub fn with_detector(mut self, detector: Box<dyn Detector>) -> Methods {
        self.detectors.retain(|known| known.name() != detector.name());
        self.detectors.push(detector);
        self
    }

    /// What may be named in a configuration.
    pub fn names(&self) -> Vec<StrategyName> {
        let strategies = self.strategies.iter().map(|strategy| strategy.name());
        let detectors = self.detectors.iter().map(|detector| detector.name());
        std::iter::once(StrategyName::from(ADAPTIVE)).chain(strategies).chain(detectors).collect()
    }

    pub fn strategies(&self) -> impl Iterator<Item = &dyn Strategy> + Clone {
        self.strategies.iter().map(|strategy| &**strategy)
    }

    pub fn strategy(&self, name: &str) -> Option<&dyn Strategy> {
        self.strategies().find(|strategy| strategy.name() == name)
    }

    /// Where a detector stands, for those who look it up often.
    pub(crate) fn detector_at(&self, name: &str) -> Option<u16> {
        self.detectors.iter().position(|detector| detector.name() == name).map(|at| at as u16)
    }

    #[inline]
    pub(crate) fn detector_of(&self, at: Option<u16>) -> Option<&dyn Detector> {
        self.detectors.get(usize::from(at?)).map(|detector| &**detector)
    }

    pub fn detector(&self, name: &str) -> Option<&dyn Detector> {
        self.detectors.iter().map(|detector| &**detector).find(|detector| detector.name() == name)
    }
}

impl std::fmt::Debug for Methods {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.names()).finish()
    }
}
