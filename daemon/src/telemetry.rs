//! What the daemon measures of itself, for Prometheus.
//!
//! Three sources, each read when somebody asks: the engine's memory, the driver's figures, and the events, which the driver
//! counts as it tells them. The answer is the classic text (version 0.0.4) unless OpenMetrics is asked for: every tool reads
//! the classic one, and a checker for it refuses what OpenMetrics calls a counter.

mod ab;
mod counts;
mod door;
mod receive;
mod receivers;
mod sources;
mod text;
mod thresholds;
mod verdicts;
mod written;

pub use counts::Counts;
pub use text::{Format, encode};
pub use thresholds::{Learned, Served, threshold_families};

use crate::access;
use crate::alertmanager;
use crate::driver::View;
use crate::page;
use crate::remote_write;
use crate::source;
use crate::webhook::Tally;
use counts::CONFIDENCES;
use homeostat::calendar::{Calendar, Occasion};
use homeostat::config::Kind;
use homeostat::event::Settled;
use homeostat::execute::Verification;
use homeostat::feedback::{LoopKind, ParameterKind, Verdict};
use homeostat::knowledge::claims::Claims;
use homeostat::knowledge::window::Tier;
use homeostat::monitor::Fate;
use homeostat::plan::guard::Refusal;
use homeostat::plan::state::{EvidenceKind, SystemState};
use homeostat::series::SeriesName;
use homeostat::time::Timestamp;
use homeostat::versus::{Book, Report, report};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What threads of their own count as they work, each in the order of the configuration.
#[derive(Debug, Default)]
pub struct Tallies {
    pub webhooks: Vec<Arc<Tally>>,
    pub receivers: Vec<Arc<page::Tally>>,
    pub verdicts: Arc<alertmanager::Tally>,
    pub sources: Vec<Arc<source::Tally>>,
    pub remote_write: Vec<Arc<remote_write::Tally>>,
    pub receive: Arc<crate::receive::Tally>,
    pub door: Arc<access::Tally>,
}

/// Totals that the engine's memory alone would let shrink.
#[derive(Debug, Default)]
pub struct Totals {
    judged: Growing,
    breached: Growing,
}

/// The total of a sum that loses its parts when series are forgotten: what it shrinks by is left out.
#[derive(Debug, Default)]
struct Growing {
    seen: u64,
    total: u64,
}

impl Growing {
    fn see(&mut self, sum: u64) -> u64 {
        self.total += sum.saturating_sub(self.seen);
        self.seen = sum;
        self.total
    }
}

// --- what is read when somebody asks ---------------------------------------------------------------------------------

/// A loop's figures.
#[derive(Debug)]
struct LoopFigures {
    of: LoopKind,
    signals: u64,
    actions: u64,
    withheld: u64,
    effectiveness: Option<f64>,
    damping: f64,
    paused: bool,
}

/// Copied out of the driver in one go, so that the figures of one answer belong together.
#[derive(Debug)]
pub struct Measured {
    fates: Vec<(Fate, u64)>,
    series: BTreeMap<(&'static str, bool), u64>,
    /// How many remember how much, in the order of the tiers; and about how many bytes all take, of how many.
    tiers: [u64; Tier::ALL.len()],
    series_bytes: u64,
    series_bytes_max: u64,
    window_samples: u64,
    judged: u64,
    breached: u64,
    alerts_open: u64,
    proposals_open: u64,
    /// Of each alert rule: what is tried out, and how many thresholds it is served.
    rollouts: Vec<thresholds::Tried>,
    level_shifts: u64,
    level_shifts_left_out: u64,
    forecasts_open: u64,
    /// Of each budget that series share, that of all first and without a name: what is asked, and what came of it.
    budgets: Vec<(Option<String>, Option<f64>, Option<f64>)>,
    /// Entries of calendars in force, by kind.
    calendar: [(Occasion, u64); Occasion::ALL.len()],
    claims: Claims,
    thresholds_active: u64,
    thresholds_inactive: u64,
    optimizations: u64,
    state: SystemState,
    frozen: bool,
    parameters: [f64; ParameterKind::ALL.len()],
    factors: [f64; ParameterKind::ALL.len()],
    evidence: Vec<(EvidenceKind, f64)>,
    decision_quality: Option<f64>,
    false_share: Option<f64>,
    detection_accuracy: Option<f64>,
    pending: u64,
    losses: (u64, u64, u64),
    refusals: [(Refusal, u64); Refusal::ALL.len()],
    loops: Vec<LoopFigures>,
    /// Of series with static bounds; none: there are none.
    ab: Option<Report>,
    stats: crate::driver::Stats,
    /// Bytes of samples that a restart would read, and how often they were synchronised with the disk.
    samples: (u64, u64),
    last_cycle: f64,
    now: Timestamp,
}

impl Measured {
    pub fn of(view: &View<'_>) -> Measured {
        let knowledge = view.engine.knowledge();
        let parameters = knowledge.parameters();
        let mut measured = Measured {
            fates: knowledge.fates().iter().collect(),
            series: BTreeMap::new(),
            tiers: [0; Tier::ALL.len()],
            series_bytes: 0,
            series_bytes_max: knowledge.memory_for_series(),
            window_samples: 0,
            judged: 0,
            breached: 0,
            alerts_open: 0,
            proposals_open: knowledge.proposals().open().count() as u64,
            rollouts: thresholds::tried(knowledge, view.now),
            level_shifts: knowledge.proposals().shifts().len() as u64,
            level_shifts_left_out: knowledge.proposals().left_out(),
            forecasts_open: 0,
            budgets: knowledge
                .budgets(view.now)
                .iter()
                .map(|of| (of.selector.map(ToString::to_string), of.asked.per_week(), of.alerts_per_week))
                .collect(),
            calendar: Occasion::ALL.map(|occasion| {
                let calendars = &knowledge.config().calendars;
                let in_force =
                    |calendar: &&Arc<Calendar>| calendar.occasion() == occasion && calendar.at(view.now).is_some();
                (occasion, calendars.iter().filter(in_force).count() as u64)
            }),
            claims: knowledge.claims().clone(),
            thresholds_active: 0,
            thresholds_inactive: 0,
            optimizations: knowledge.optimizations().total(),
            state: knowledge.state().state,
            frozen: knowledge.frozen(),
            parameters: [
                parameters.monitoring_interval.secs(),
                f64::from(parameters.analysis_depth),
                parameters.planning_lookahead.secs(),
                f64::from(parameters.execution_parallelism),
                parameters.learning_rate.get(),
            ],
            factors: ParameterKind::ALL.map(|kind| knowledge.factors().at(kind, view.now)),
            evidence: knowledge.evidence().iter().collect(),
            decision_quality: knowledge.decision_quality(),
            false_share: knowledge.false_share(view.now),
            detection_accuracy: knowledge.detection_accuracy(view.now),
            pending: knowledge.pending_of_no_series().count() as u64,
            losses: knowledge.losses(),
            refusals: Refusal::ALL.map(|because| (because, knowledge.refused(because))),
            loops: Vec::new(),
            ab: None,
            stats: view.stats.clone(),
            samples: (view.samples.bytes(), view.samples.syncs()),
            last_cycle: knowledge.last_cycle().secs(),
            now: view.now,
        };
        let mut books: Vec<&Book> = Vec::new();
        for series in knowledge.series_as_they_lie() {
            measured.tiers[series.tier() as usize] += 1;
            measured.series_bytes += series.bytes();
            books.extend(series.versus().map(|(_, book)| book));
            *measured.series.entry((series.kind().as_str(), series.watched())).or_default() += 1;
            measured.pending += series.pending().count() as u64;
            let tally = series.tally();
            measured.window_samples += series.window().len() as u64;
            measured.judged += tally.judged;
            measured.breached += tally.breached;
            measured.alerts_open += u64::from(series.alert_since().is_some());
            measured.forecasts_open += u64::from(series.forecast().is_some());
            if series.learned().is_some() {
                measured.thresholds_active += u64::from(series.active());
                measured.thresholds_inactive += u64::from(!series.active());
            }
        }
        measured.ab = (!books.is_empty()).then(|| report(&books));
        for of in LoopKind::ALL {
            let memory = knowledge.loop_memory(of);
            measured.loops.push(LoopFigures {
                of,
                signals: memory.signals,
                actions: memory.actions,
                withheld: memory.withheld,
                effectiveness: memory.effect.effectiveness(),
                damping: memory.effect.damping(),
                paused: memory.paused,
            });
        }
        measured
    }
}

/// All of the daemon's own metrics.
pub fn families(m: &Measured, totals: &mut Totals, tallies: &Tallies) -> Vec<Family> {
    let mut all = Families(Vec::new());
    let (stats, counts) = (&m.stats, &m.stats.counts);
    let number = |flag: bool| f64::from(u8::from(flag));

    all.gauge("homeostat_build_info", "Version of the daemon; always 1.")
        .put([("version", env!("CARGO_PKG_VERSION"))], 1.0);

    // M
    let samples = all.counter("homeostat_samples_total", "Samples that came, by what became of each.");
    for (fate, count) in &m.fates {
        samples.put([("fate", fate.as_str())], *count as f64);
    }
    all.counter("homeostat_observe_seconds_total", "Time spent admitting, judging and remembering samples.")
        .put([], stats.observe_seconds_total);
    let series = all.gauge("homeostat_series", "Series held, by kind and whether they are learned and judged.");
    for kind in [Kind::Gauge, Kind::Counter, Kind::Histogram, Kind::State, Kind::Info, Kind::Constant] {
        for watched in [true, false] {
            let count = m.series.get(&(kind.as_str(), watched)).copied().unwrap_or(0);
            series.put([("kind", kind.as_str()), ("watched", if watched { "true" } else { "false" })], count as f64);
        }
    }
    all.gauge("homeostat_window_samples", "Samples held in all windows.").put([], m.window_samples as f64);
    let tiers = all.gauge("homeostat_series_tier", "Series held, by how much is remembered of their samples.");
    for (tier, count) in Tier::ALL.into_iter().zip(m.tiers) {
        tiers.put([("tier", tier.as_str())], count as f64);
    }
    all.gauge("homeostat_series_bytes", "About how much memory all series take.").put([], m.series_bytes as f64);
    all.gauge(
        "homeostat_series_bytes_max",
        "How much they may take, of limits.memory_max; over it some remember less.",
    )
    .put([], m.series_bytes_max as f64);
    let (forgotten, refused_series, refused_changes) = m.losses;
    all.counter("homeostat_series_forgotten_total", "Series that ended or gave way to a new one.")
        .put([], forgotten as f64);
    all.counter("homeostat_series_refused_total", "New series that found no room.").put([], refused_series as f64);
    all.counter("homeostat_rows_total", "Rows of files that were read.").put([], stats.rows as f64);
    all.counter("homeostat_rows_unusable_total", "Rows of files that could not be used.")
        .put([], stats.rows_bad as f64);

    // A
    all.counter("homeostat_judged_samples_total", "Samples that were judged.")
        .put([], totals.judged.see(m.judged) as f64);
    all.counter("homeostat_breaches_total", "Judged samples outside of their bounds.")
        .put([], totals.breached.see(m.breached) as f64);
    all.gauge("homeostat_alerts_open", "Alerts that hold now.").put([], m.alerts_open as f64);
    all.counter("homeostat_alerts_total", "Alerts that began since the start.").put([], counts.alerts as f64);
    all.counter("homeostat_alerts_muted_total", "Alerts that would have paged, were their series not asked about.")
        .put([], counts.muted as f64);
    all.gauge("homeostat_proposals_open", "Proposals of level shifts that wait for an answer.")
        .put([], m.proposals_open as f64);
    all.counter("homeostat_proposals_opened_total", "Proposals of level shifts that were made since the start.")
        .put([], counts.proposed as f64);
    let proposals = all.counter(
        "homeostat_proposals_total",
        "Answers to proposals of level shifts since the start, by what was answered or what became of them without.",
    );
    for settled in Settled::ALL {
        proposals.put([("answer", settled.as_str())], counts.proposals.get(&settled).copied().unwrap_or(0) as f64);
    }
    thresholds::rollout_families(&mut all, m, counts);
    all.gauge("homeostat_level_shifts", "Series whose level may have shifted, those that are asked about included.")
        .put([], m.level_shifts as f64);
    all.counter("homeostat_level_shifts_left_out_total", "Shifts that nobody is asked about, since too many are held.")
        .put([], m.level_shifts_left_out as f64);
    all.gauge(
        "homeostat_forecasts_open",
        "Series whose trend leads beyond their alert level; none in critical, whose depth tells no trend.",
    )
    .put([], m.forecasts_open as f64);
    let budget = all.gauge(
        "homeostat_alert_budget_per_week",
        "Alerts a week that those series may have together that may page, or where none is named, all watched ones.",
    );
    let of_all = |of: &&(Option<String>, Option<f64>, Option<f64>)| of.0.is_none();
    if let Some(pages) = m.budgets.iter().find(of_all).and_then(|of| of.1) {
        budget.put([], pages);
    }
    let realised = all.gauge(
        "homeostat_alerts_per_week",
        "Alerts a week that the same series had lately, with a half-life of four weeks, without those judged true.",
    );
    if let Some(pages) = m.budgets.iter().find(of_all).and_then(|of| of.2) {
        realised.put([], pages);
    }
    let shared = all.gauge(
        "homeostat_shared_budget_per_week",
        "Alerts a week that the series may have together that a rule with share_budget names.",
    );
    for (selector, asked, _) in &m.budgets {
        if let (Some(selector), Some(pages)) = (selector, asked) {
            shared.put([("match", selector)], *pages);
        }
    }
    let realised = all.gauge("homeostat_shared_alerts_per_week", "The same of those series, as it was lately.");
    for (selector, _, had) in &m.budgets {
        if let (Some(selector), Some(pages)) = (selector, had) {
            realised.put([("match", selector)], *pages);
        }
    }
    let calendar = all.gauge("homeostat_calendar_entries_in_force", "Entries of calendars in force now, by kind.");
    for (occasion, count) in m.calendar {
        calendar.put([("kind", occasion.as_str())], count as f64);
    }
    all.counter("homeostat_calendar_read_errors_total", "How often a calendar's file could not be read.")
        .put([], stats.calendar_errors as f64);
    all.gauge(
        "homeostat_calendar_problem",
        "1 while a calendar's file is spoiled: what was read before holds, since a start nothing.",
    )
    .put([], number(!stats.calendar_problems.is_empty()));
    let outcomes = all.counter(
        "homeostat_confidence_outcomes_total",
        "Confidences whose week is over, by whether the pages stayed in the budget as claimed (void: little of the week was seen), and by tenths of what was said.",
    );
    let ends = ["0.1", "0.2", "0.3", "0.4", "0.5", "0.6", "0.7", "0.8", "0.9", "1.0"];
    for (tenth, end) in m.claims.tenths().iter().zip(ends) {
        outcomes.put([("said_up_to", end), ("outcome", "kept")], tenth.kept as f64);
        outcomes.put([("said_up_to", end), ("outcome", "broken")], tenth.broken as f64);
        outcomes.put([("said_up_to", end), ("outcome", "void")], tenth.void as f64);
    }
    all.counter("homeostat_confidence_said_total", "Sum of the same confidences: as many should have been kept.")
        .put([], m.claims.all().said);
    let thresholds = all.gauge("homeostat_thresholds", "Learned thresholds, by whether they judge.");
    thresholds.put([("active", "true")], m.thresholds_active as f64);
    thresholds.put([("active", "false")], m.thresholds_inactive as f64);
    all.counter("homeostat_optimizations_total", "Thresholds that were learned with news.")
        .put([], m.optimizations as f64);
    all.confidences(counts);

    // P
    let state = all.gauge("homeostat_state", "1 for the state the loop is in, 0 for the others.");
    for one in SystemState::ALL {
        state.put([("state", one.as_str())], number(one == m.state));
    }
    let transitions = all.counter("homeostat_state_transitions_total", "Moves between states since the start.");
    for ((from, to), count) in &counts.transitions {
        transitions.put([("from", from.as_str()), ("to", to.as_str())], *count as f64);
    }
    let evidence = all.gauge("homeostat_evidence_ratio", "What the state was decided from in the last cycle.");
    for (kind, value) in &m.evidence {
        evidence.put([("evidence", kind.as_str())], *value);
    }
    for (kind, value) in ParameterKind::ALL.into_iter().zip(m.parameters) {
        let (name, help) = match kind {
            ParameterKind::MonitoringInterval => {
                ("homeostat_parameter_monitoring_interval_seconds", "Period of the cycle in force.")
            }
            ParameterKind::AnalysisDepth => {
                ("homeostat_parameter_analysis_depth_samples", "Samples of a series the cycle reads, in force.")
            }
            ParameterKind::PlanningLookahead => {
                ("homeostat_parameter_planning_lookahead_seconds", "How far ahead plans project, in force.")
            }
            ParameterKind::ExecutionParallelism => {
                ("homeostat_parameter_execution_parallelism", "Batches of changes in one cycle, in force.")
            }
            ParameterKind::LearningRate => {
                ("homeostat_parameter_learning_rate_ratio", "How far one step moves, in force.")
            }
        };
        all.gauge(name, help).put([], value);
    }
    let factors = all.gauge("homeostat_factor_ratio", "What the loops made of each parameter; 1 leaves it as it is.");
    for (kind, value) in ParameterKind::ALL.into_iter().zip(m.factors) {
        factors.put([("parameter", kind.as_str())], value);
    }
    all.gauge("homeostat_frozen", "1 while all changes are stopped.").put([], number(m.frozen));
    all.counter("homeostat_changes_refused_total", "Changes that a limit held back.").put([], refused_changes as f64);
    let refusals =
        all.counter("homeostat_change_refusals_total", "Changes that were held back, by the guard's reason.");
    for (because, count) in m.refusals {
        refusals.put([("reason", because.as_str())], count as f64);
    }

    // E
    let dispatched =
        all.counter("homeostat_changes_dispatched_total", "Changes that went out since the start, by knob.");
    for name in ["threshold", "sensitivity", "trust", "preference", "factor", "parameters"] {
        dispatched.put([("knob", name)], counts.dispatched.get(name).copied().unwrap_or(0) as f64);
    }
    all.gauge("homeostat_changes_pending", "Changes whose expectation is not settled yet.").put([], m.pending as f64);
    let settled = all.counter("homeostat_changes_settled_total", "Changes that settled since the start, by how.");
    for how in [Verification::Met, Verification::Failed, Verification::Inconclusive, Verification::Superseded] {
        settled.put([("verification", how.as_str())], counts.settled.get(&how).copied().unwrap_or(0) as f64);
    }
    let quality = all.gauge("homeostat_decision_quality_ratio", "Share of settled expectations that came true.");
    if let Some(value) = m.decision_quality {
        quality.put([], value);
    }

    // F
    let verdicts = all.counter("homeostat_verdicts_total", "Verdicts that were heard since the start.");
    for verdict in [Verdict::True, Verdict::False, Verdict::Missed] {
        verdicts.put([("verdict", verdict.as_str())], counts.verdicts.get(&verdict).copied().unwrap_or(0) as f64);
    }
    let false_share = all.gauge("homeostat_false_share_ratio", "Share of the alerts judged lately that were false.");
    if let Some(value) = m.false_share {
        false_share.put([], value);
    }
    let accuracy = all.gauge(
        "homeostat_detection_accuracy_ratio",
        "Share of what mattered lately, by verdicts, that was alerted and not missed.",
    );
    if let Some(value) = m.detection_accuracy {
        accuracy.put([], value);
    }
    all.loops(&m.loops);
    all.ab(m.ab.as_ref());
    all.webhooks(&tallies.webhooks);
    all.receivers(&tallies.receivers);
    all.verdicts(&tallies.verdicts);
    all.sources(&tallies.sources, m.now);
    all.remote_write(&tallies.remote_write);
    all.received(&tallies.receive);
    all.door(&tallies.door);

    // K and the shell
    all.counter("homeostat_cycles_total", "Cycles since the start.").put([], counts.of("cycle_completed"));
    all.counter("homeostat_cycle_seconds_total", "Time spent in cycles.").put([], stats.cycle_seconds_total);
    all.gauge("homeostat_cycle_last_seconds", "How long the last cycle took.").put([], stats.cycle_seconds_last);
    all.gauge("homeostat_cycle_last_timestamp_seconds", "When the last cycle ended, since the epoch.")
        .put([], m.last_cycle);
    let events = all.counter("homeostat_events_total", "Events since the start, by kind.");
    for (kind, count) in &counts.events {
        events.put([("kind", *kind)], *count as f64);
    }
    all.counter("homeostat_store_events_total", "Events that were stored since the start.")
        .put([], stats.events_stored as f64);
    all.gauge("homeostat_store_backlog_events", "Events that wait to be stored.").put([], stats.backlog as f64);
    all.counter("homeostat_store_events_lost_total", "Events that could not be stored and were given up.")
        .put([], stats.events_lost as f64);
    all.gauge("homeostat_store_problem", "1 while events cannot be stored.")
        .put([], number(stats.store_problem.is_some()));
    all.counter("homeostat_snapshots_total", "Snapshots that were written since the start.")
        .put([], stats.snapshots as f64);
    let (bytes, syncs) = m.samples;
    all.gauge(
        "homeostat_store_samples_bytes",
        "Samples written down since the last snapshot; a restart reads them again.",
    )
    .put([], bytes as f64);
    all.counter("homeostat_store_syncs_total", "Times that samples were synchronised with the disk.")
        .put([], syncs as f64);
    all.gauge("process_start_time_seconds", "When the process started, since the epoch.")
        .put([], stats.started_at.secs());
    let memory = all.gauge("process_resident_memory_bytes", "Resident memory.");
    if let Some(bytes) = stats.usage.own_memory_bytes {
        memory.put([], bytes as f64);
    }
    let processor = all.counter("process_cpu_seconds_total", "Processor time, user and system.");
    if let Some(seconds) = stats.usage.own_processor_seconds {
        processor.put([], seconds);
    }
    all.0
}

/// Labels that mean something here, or to a scraper.
const RESERVED: [&str; 6] = ["metric", "direction", "rule", "series", "le", "quantile"];

/// A series' labels as the classic text can hold them, and its name as `metric`.
fn labels_of(series: &SeriesName) -> Labels {
    let (metric, own) = series.parts();
    let mut labels: Labels = vec![("metric".into(), metric)];
    for (name, value) in own {
        let mut name: String =
            name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '_' }).collect();
        if RESERVED.contains(&name.as_str()) || name.starts_with("__") || name.starts_with(|c: char| c.is_ascii_digit())
        {
            name.insert_str(0, "exported_");
        }
        while labels.iter().any(|(taken, _)| *taken == name) {
            name.push('_');
        }
        labels.push((name.into(), value));
    }
    labels
}

// --- the text --------------------------------------------------------------------------------------------------------

type Labels = Vec<(Cow<'static, str>, String)>;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Type {
    Counter,
    Gauge,
    Histogram,
}

/// A metric with all its samples.
#[derive(Debug)]
pub struct Family {
    name: &'static str,
    help: &'static str,
    kind: Type,
    samples: Vec<Sample>,
}

#[derive(Debug)]
struct Sample {
    /// Of a histogram: which of its parts.
    suffix: &'static str,
    labels: Labels,
    value: f64,
}

impl Family {
    /// Name, labels and value of each sample.
    pub fn series(&self) -> impl Iterator<Item = crate::remote_write::Series<'_>> {
        self.samples.iter().map(|sample| {
            let labels = sample.labels.iter().map(|(name, value)| (name.as_ref(), value.as_str())).collect();
            (self.name, labels, sample.value)
        })
    }

    fn new(name: &'static str, help: &'static str, kind: Type) -> Family {
        Family { name, help, kind, samples: Vec::new() }
    }

    fn put<const N: usize>(&mut self, labels: [(&'static str, &str); N], value: f64) {
        self.put_part("", labels, value);
    }

    fn put_part<const N: usize>(&mut self, suffix: &'static str, labels: [(&'static str, &str); N], value: f64) {
        let labels = labels.map(|(name, value)| (Cow::Borrowed(name), value.to_owned())).into();
        self.samples.push(Sample { suffix, labels, value });
    }
}

struct Families(Vec<Family>);

impl Families {
    fn add(&mut self, name: &'static str, help: &'static str, kind: Type) -> &mut Family {
        self.0.push(Family::new(name, help, kind));
        self.0.last_mut().expect("it was just pushed")
    }

    fn counter(&mut self, name: &'static str, help: &'static str) -> &mut Family {
        assert!(name.ends_with("_total"), "{name}: a counter says so in its name");
        self.add(name, help, Type::Counter)
    }

    fn gauge(&mut self, name: &'static str, help: &'static str) -> &mut Family {
        self.add(name, help, Type::Gauge)
    }

    fn confidences(&mut self, counts: &Counts) {
        let family = self.add(
            "homeostat_learned_confidence_ratio",
            "Confidence of thresholds as they were learned since the start.",
            Type::Histogram,
        );
        let mut below = 0;
        for (end, count) in CONFIDENCES.iter().zip(counts.confidences) {
            below += count;
            family.put_part("_bucket", [("le", &end.to_string())], below as f64);
        }
        let all: u64 = counts.confidences.iter().sum();
        family.put_part("_bucket", [("le", "+Inf")], all as f64);
        family.put_part("_sum", [], counts.confidence_sum);
        family.put_part("_count", [], all as f64);
    }

    /// By number, in the order of the configuration, from 1: an address may hold a secret.
    fn webhooks(&mut self, webhooks: &[Arc<Tally>]) {
        type Of = fn(&Tally) -> &AtomicU64;
        let families: [(&str, &str, Of); 3] = [
            ("homeostat_webhook_delivered_events_total", "Events that each webhook took.", |tally| &tally.delivered),
            ("homeostat_webhook_failed_events_total", "Events that could not be delivered.", |tally| &tally.failed),
            ("homeostat_webhook_missed_events_total", "Events that passed a webhook too slow.", |tally| &tally.missed),
        ];
        for (name, help, of) in families {
            let family = self.counter(name, help);
            for (number, tally) in (1..).zip(webhooks) {
                let number: u32 = number;
                family.put([("webhook", &number.to_string())], of(tally).load(Ordering::Relaxed) as f64);
            }
        }
    }

    fn loops(&mut self, loops: &[LoopFigures]) {
        let signals = self.counter("homeostat_loop_signals_total", "Signals each feedback loop heard.");
        for one in loops {
            signals.put([("loop", one.of.as_str())], one.signals as f64);
        }
        let actions =
            self.counter("homeostat_loop_actions_total", "Adjustments of each feedback loop that took effect.");
        for one in loops {
            actions.put([("loop", one.of.as_str())], one.actions as f64);
        }
        let withheld =
            self.counter("homeostat_loop_withheld_total", "Adjustments held back by chance, to measure the others.");
        for one in loops {
            withheld.put([("loop", one.of.as_str())], one.withheld as f64);
        }
        let effectiveness = self.gauge(
            "homeostat_loop_effectiveness_ratio",
            "Share of adjustments that did better than those withheld; absent while unknown.",
        );
        for one in loops {
            if let Some(share) = one.effectiveness {
                effectiveness.put([("loop", one.of.as_str())], share);
            }
        }
        let damping = self.gauge("homeostat_loop_damping_ratio", "What the loop's steps are multiplied with.");
        for one in loops {
            damping.put([("loop", one.of.as_str())], one.damping);
        }
        let paused = self.gauge("homeostat_loop_paused", "1 while the loop is stopped because it did harm.");
        for one in loops {
            paused.put([("loop", one.of.as_str())], f64::from(u8::from(one.paused)));
        }
    }
}

#[cfg(test)]
mod monitoring;
#[cfg(test)]
mod tests;
