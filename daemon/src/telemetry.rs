//! Our own metrics: everything the loop measures, as Prometheus reads it, and the learned thresholds as data.
//!
//! Classic text (0.0.4) unless OpenMetrics is asked for; the two differ in the name of a counter's family and in the end.

use crate::driver::View;
use crate::http::{App, Problem};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use homeostat::execute::Verification;
use homeostat::feedback::{LoopKind, ParameterKind};
use homeostat::plan::state::SystemState;
use homeostat::series::SeriesName;
use std::collections::BTreeMap;
use std::fmt::Write;

/// The text of one answer, family by family.
struct Text {
    out: String,
    open: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum Type {
    Counter,
    Gauge,
}

type Labels<'a> = &'a [(&'a str, &'a str)];

impl Text {
    fn family<'a>(&mut self, name: &str, kind: Type, help: &str, samples: impl IntoIterator<Item = (Labels<'a>, f64)>) {
        // OpenMetrics names a counter's family without the suffix that its samples carry.
        let family = if self.open { name.strip_suffix("_total").unwrap_or(name) } else { name };
        let kind = if kind == Type::Counter { "counter" } else { "gauge" };
        // Writing to a text cannot fail.
        let _ = writeln!(self.out, "# HELP {family} {help}\n# TYPE {family} {kind}");
        for (labels, value) in samples {
            self.sample(name, labels.iter().copied(), value);
        }
    }

    fn sample<'a>(&mut self, name: &str, labels: impl Iterator<Item = (&'a str, &'a str)>, value: f64) {
        self.out.push_str(name);
        let mut first = true;
        for (label, text) in labels {
            self.out.push(if first { '{' } else { ',' });
            first = false;
            let _ = write!(self.out, "{label}=\"");
            for c in text.chars() {
                match c {
                    '\\' => self.out.push_str("\\\\"),
                    '"' => self.out.push_str("\\\""),
                    '\n' => self.out.push_str("\\n"),
                    c => self.out.push(c),
                }
            }
            self.out.push('"');
        }
        if !first {
            self.out.push('}');
        }
        let _ = match value {
            v if v.is_nan() => writeln!(self.out, " NaN"),
            v if v.is_infinite() => writeln!(self.out, " {}Inf", if v > 0.0 { '+' } else { '-' }),
            v => writeln!(self.out, " {v}"),
        };
    }

    fn one(&mut self, name: &str, kind: Type, help: &str, value: f64) {
        self.family(name, kind, help, [(&[] as Labels, value)]);
    }

    fn answer(mut self) -> Response {
        let kind = match self.open {
            true => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            false => "text/plain; version=0.0.4; charset=utf-8",
        };
        if self.open {
            self.out.push_str("# EOF\n");
        }
        ([(header::CONTENT_TYPE, HeaderValue::from_static(kind))], self.out).into_response()
    }
}

fn text(headers: &HeaderMap) -> Text {
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    Text { out: String::with_capacity(16 * 1024), open: accept.contains("application/openmetrics-text") }
}

const CLOSED: &str = "metrics are closed: prometheus.enabled is false";

pub async fn metrics(State(app): State<App>, headers: HeaderMap) -> Result<Response, Problem> {
    let text = text(&headers);
    let written = app
        .handle()
        .query(move |view| view.settings.daemon.prometheus.enabled.then(|| all(view, text)))
        .await?;
    written.map(Text::answer).ok_or_else(|| Problem::not_found(CLOSED))
}

/// `homeostat_threshold{…}`: the bounds in force, with the labels of the series they belong to.
pub async fn thresholds(State(app): State<App>, headers: HeaderMap) -> Result<Response, Problem> {
    struct Row {
        series: SeriesName,
        lower: Option<f64>,
        upper: Option<f64>,
        confidence: f64,
    }
    let rows = app
        .handle()
        .query(|view| {
            view.settings.daemon.prometheus.enabled.then(|| {
                let in_force = view.engine.knowledge().series().filter_map(|series| Some((series, series.in_force()?)));
                let row = |(series, threshold): (&homeostat::knowledge::series::Series, &homeostat::threshold::Threshold)| {
                    let (lower, upper) = threshold.bounds.at(view.now);
                    Row { series: series.name().clone(), lower, upper, confidence: threshold.confidence.get() }
                };
                in_force.map(row).collect::<Vec<_>>()
            })
        })
        .await?
        .ok_or_else(|| Problem::not_found(CLOSED))?;
    let mut text = text(&headers);
    let parts: Vec<_> = rows.iter().map(|row| (row, row.series.parts())).collect();
    // The series' own labels, then ours; ours have names that no scraped series carries.
    text.family("homeostat_threshold", Type::Gauge, "Learned bound of a series, in its own unit.", []);
    for (row, (metric, labels)) in &parts {
        for (direction, bound) in [("lower", row.lower), ("upper", row.upper)] {
            let Some(bound) = bound else { continue };
            let own = labels.iter().map(|(label, value)| (label.as_str(), value.as_str()));
            text.sample("homeostat_threshold", own.chain([("metric", metric.as_str()), ("direction", direction)]), bound);
        }
    }
    text.family("homeostat_threshold_confidence_ratio", Type::Gauge, "How far the bounds are to be trusted.", []);
    for (row, (metric, labels)) in &parts {
        let own = labels.iter().map(|(label, value)| (label.as_str(), value.as_str()));
        text.sample("homeostat_threshold_confidence_ratio", own.chain([("metric", metric.as_str())]), row.confidence);
    }
    Ok(text.answer())
}

fn all(view: &View<'_>, mut text: Text) -> Text {
    use Type::{Counter, Gauge};
    let (knowledge, stats) = (view.engine.knowledge(), view.stats);
    let out = &mut text;
    out.family("homeostat_build_info", Gauge, "The version that runs.", [(&[("version", env!("CARGO_PKG_VERSION"))] as Labels, 1.0)]);
    out.one("homeostat_start_time_seconds", Gauge, "When the daemon started, Unix time.", stats.started_at.secs());

    out.one("homeostat_cycles_total", Counter, "Turns of the loop.", knowledge.cycles() as f64);
    out.one("homeostat_cycle_seconds_total", Counter, "Time spent in turns of the loop.", stats.cycle_seconds_total);
    out.one("homeostat_cycle_last_seconds", Gauge, "Time the last turn took.", stats.cycle_seconds_last);
    out.one("homeostat_observe_seconds_total", Counter, "Time spent judging and remembering samples.", stats.observe_seconds_total);

    let fates: Vec<_> = knowledge.fates().iter().map(|(fate, count)| ([("fate", fate.as_str())], count as f64)).collect();
    out.family("homeostat_samples_total", Counter, "Samples that came in, by what became of them.", fates.iter().map(|(labels, v)| (labels as Labels, *v)));

    let mut series: BTreeMap<(&str, bool), f64> = BTreeMap::new();
    let (mut judged, mut breached, mut alerts, mut open, mut forecasts) = (0, 0, 0, 0, 0);
    let (mut active, mut inactive, mut confidence, mut window_bytes) = (0, 0, 0.0, 0);
    for one in knowledge.series() {
        *series.entry((one.kind().as_str(), one.watched())).or_default() += 1.0;
        let tally = one.tally();
        judged += tally.judged;
        breached += tally.breached;
        alerts += tally.alerts;
        open += usize::from(one.alert_since().is_some());
        forecasts += usize::from(one.forecast().is_some());
        window_bytes += one.window().bytes();
        if let Some(learned) = one.learned() {
            *(if one.active() { &mut active } else { &mut inactive }) += 1;
            confidence += learned.confidence.get();
        }
    }
    let by_kind: Vec<_> = series.iter().map(|((kind, watched), count)| ([("kind", *kind), ("watched", if *watched { "true" } else { "false" })], *count)).collect();
    out.family("homeostat_series", Gauge, "Series held, by kind.", by_kind.iter().map(|(labels, v)| (labels as Labels, *v)));
    out.one("homeostat_window_bytes", Gauge, "Memory of all windows.", window_bytes as f64);
    out.one("homeostat_samples_judged_total", Counter, "Samples judged by learned bounds, of the series held.", judged as f64);
    out.one("homeostat_breaches_total", Counter, "Samples outside their bounds, of the series held.", breached as f64);
    out.one("homeostat_alerts_total", Counter, "Alerts that began, of the series held.", alerts as f64);
    out.one("homeostat_alerts_open", Gauge, "Alerts that go on.", open as f64);
    out.one("homeostat_forecasts_open", Gauge, "Series whose trend leads beyond their alert level within the lookahead.", forecasts as f64);
    let thresholds = [(&[("active", "true")] as Labels, f64::from(active)), (&[("active", "false")] as Labels, f64::from(inactive))];
    out.family("homeostat_thresholds", Gauge, "Learned thresholds, by whether they judge.", thresholds);
    out.one("homeostat_confidence_sum", Gauge, "Sum of the confidences of all learned thresholds.", confidence);
    out.one("homeostat_optimizations_total", Counter, "Learnings that gave something new.", knowledge.optimizations().total() as f64);
    let (forgotten, refused_series, refused_changes) = knowledge.losses();
    out.one("homeostat_series_forgotten_total", Counter, "Series that ended or gave way.", forgotten as f64);
    out.one("homeostat_series_refused_total", Counter, "Samples of new series that found no room.", refused_series as f64);

    let now = knowledge.state().state;
    let states: Vec<_> = SystemState::ALL.iter().map(|state| ([("state", state.as_str())], f64::from(u8::from(*state == now)))).collect();
    out.family("homeostat_state", Gauge, "1 for the state the loop is in.", states.iter().map(|(labels, v)| (labels as Labels, *v)));
    out.one("homeostat_transitions_total", Counter, "Moves between states.", knowledge.transitions().total() as f64);
    out.one("homeostat_frozen", Gauge, "1 while all changes are stopped.", f64::from(u8::from(knowledge.frozen())));
    let evidence: Vec<_> = knowledge.evidence().iter().map(|(kind, value)| ([("kind", kind.as_str())], value)).collect();
    out.family("homeostat_evidence_ratio", Gauge, "What the state is decided from.", evidence.iter().map(|(labels, v)| (labels as Labels, *v)));

    let parameters = knowledge.parameters();
    out.one("homeostat_monitoring_interval_seconds", Gauge, "Period of the cycle.", parameters.monitoring_interval.secs());
    out.one("homeostat_planning_lookahead_seconds", Gauge, "How far trend and plan project.", parameters.planning_lookahead.secs());
    out.one("homeostat_analysis_depth_samples", Gauge, "Samples of a series that a cycle reads.", f64::from(parameters.analysis_depth));
    out.one("homeostat_execution_parallelism", Gauge, "Batches of changes and of learning in one cycle.", f64::from(parameters.execution_parallelism));
    out.one("homeostat_learning_rate_ratio", Gauge, "Step of sensitivities and factors.", parameters.learning_rate.get());
    let factors: Vec<_> = ParameterKind::ALL.iter().map(|kind| ([("parameter", kind.as_str())], knowledge.factors().at(*kind, view.now))).collect();
    out.family("homeostat_parameter_factor", Gauge, "What the loops made of a parameter's row.", factors.iter().map(|(labels, v)| (labels as Labels, *v)));

    let each = |value: fn(&homeostat::knowledge::LoopMemory) -> Option<f64>| -> Vec<_> {
        let of = |kind: &LoopKind| Some(([("loop", kind.as_str())], value(knowledge.loop_memory(*kind))?));
        LoopKind::ALL.iter().filter_map(of).collect()
    };
    let families: [(&str, Type, &str, Vec<([(&str, &str); 1], f64)>); 5] = [
        ("homeostat_signals_total", Counter, "Signals heard, by loop.", each(|m| Some(m.signals as f64))),
        ("homeostat_actions_total", Counter, "Adjustments that took effect, by loop.", each(|m| Some(m.actions as f64))),
        ("homeostat_withheld_total", Counter, "Adjustments held back by chance, by loop.", each(|m| Some(m.withheld as f64))),
        ("homeostat_loop_effectiveness_ratio", Gauge, "Share of adjustments that did better than like ones withheld.", each(|m| m.effect.effectiveness())),
        ("homeostat_loop_paused", Gauge, "1 while a loop is stopped for doing harm.", each(|m| Some(f64::from(u8::from(m.paused))))),
    ];
    for (name, kind, help, samples) in &families {
        out.family(name, *kind, help, samples.iter().map(|(labels, v)| (labels as Labels, *v)));
    }
    if let Some(quality) = knowledge.decision_quality() {
        out.one("homeostat_decision_quality_ratio", Gauge, "Share of the last settled expectations that came true.", quality);
    }
    out.one("homeostat_changes_pending", Gauge, "Changes whose expectation is not settled.", knowledge.pending().count() as f64);
    let settled: Vec<_> = Verification::ALL.iter().map(|v| ([("verification", v.as_str())], knowledge.settled(*v) as f64)).collect();
    out.family("homeostat_changes_settled_total", Counter, "Changes whose expectation was settled.", settled.iter().map(|(labels, v)| (labels as Labels, *v)));
    out.one("homeostat_changes_refused_total", Counter, "Changes that a limit held back.", refused_changes as f64);

    out.one("homeostat_events_stored_total", Counter, "Events made durable since the start.", stats.events_stored as f64);
    out.one("homeostat_events_waiting", Gauge, "Events that wait to be stored.", stats.backlog as f64);
    out.one("homeostat_events_lost_total", Counter, "Events that could not be kept while the store was broken.", stats.events_lost as f64);
    out.one("homeostat_store_failing", Gauge, "1 while events cannot be stored.", f64::from(u8::from(stats.store_problem.is_some())));
    out.one("homeostat_snapshots_total", Counter, "Snapshots written since the start.", stats.snapshots as f64);
    out.one("homeostat_file_rows_total", Counter, "Rows of files that were read.", stats.rows as f64);
    out.one("homeostat_file_rows_unusable_total", Counter, "Rows of files that were not usable.", stats.rows_bad as f64);
    if let Some(bytes) = stats.usage.own_memory {
        out.one("process_resident_memory_bytes", Gauge, "Resident memory of the daemon.", bytes);
    }
    if let Some(seconds) = stats.usage.own_processor {
        out.one("process_cpu_seconds_total", Counter, "Processor time of the daemon.", seconds);
    }
    text
}
