//! What happened, as a person would tell it: one line per notable event, at simulated time, and counts at the end.
//!
//! Kept in the repository and read in review, so a change of behaviour shows as a change of text. What repeats every
//! hour without news is counted, not told.

use crate::judge::{Transitions, number};
use crate::world::START;
use homeostat::event::{Alerted, Asked, Event, LevelShift, Phase};
use homeostat::execute::Verification;
use homeostat::feedback::{Adjustment, LoopKind, Signal};
use homeostat::knowledge::Knowledge;
use homeostat::monitor::Fates;
use homeostat::plan::state::{SystemState, Transition};
use homeostat::series::SeriesName;
use homeostat::threshold::{Pair, Threshold};
use homeostat::time::{Span, Timestamp};
use std::collections::BTreeMap;

/// Everything has an end, also a story.
const LINES_MAX: usize = 2000;

/// New series told of one by one; more are counted.
const ADDED_MAX: u64 = 20;

/// Bounds that moved by less than this share of their width since they were told are no news.
const MOVED: f64 = 0.25;

/// An automatic adjustment of the same thing, or the forecast of the same series, is told again after this long.
const AGAIN: Span = Span::hours(6);

/// Series of a proposal that are told with their levels.
const SHIFTED_MAX: usize = 10;

/// Turns to learning and back that are told one by one; they come every `optimization_interval`, and more are counted.
const TURNS_MAX: usize = 4;

#[derive(Debug, Default)]
pub struct Transcript {
    text: String,
    lines: usize,
    left_out: u64,
    counts: BTreeMap<&'static str, u64>,
    outcomes: BTreeMap<Verification, u64>,
    /// As each threshold was told last.
    told: BTreeMap<SeriesName, (Threshold, bool)>,
    adjusted: BTreeMap<(LoopKind, String), Timestamp>,
    alert_since: BTreeMap<SeriesName, Timestamp>,
    forecast: BTreeMap<SeriesName, Timestamp>,
    /// Turns to learning and back.
    turns: usize,
}

impl Transcript {
    pub fn text(&self) -> &str {
        &self.text
    }

    /// How often the state changed.
    pub fn transitions(&self) -> Transitions {
        Transitions { all: self.count("state_changed") as usize, turns: self.turns }
    }

    fn count(&self, kind: &str) -> u64 {
        self.counts.get(kind).copied().unwrap_or(0)
    }

    /// Takes an event in; the line it is worth, when it is.
    pub fn tell(&mut self, event: &Event, now: Timestamp) -> Option<String> {
        *self.counts.entry(event.kind()).or_default() += 1;
        let said = self.said(event, now)?;
        if self.lines == LINES_MAX {
            self.left_out += 1;
            return None;
        }
        let line = format!("{}  {said}", clock(now.since(START)));
        self.line(&line);
        Some(line)
    }

    pub fn line(&mut self, line: &str) {
        self.lines += 1;
        self.text.push_str(line);
        self.text.push('\n');
    }

    fn said(&mut self, event: &Event, now: Timestamp) -> Option<String> {
        match event {
            Event::SeriesAdded { series, .. } => {
                (self.count("series_added") <= ADDED_MAX).then(|| format!("series     {series} is new"))
            }
            Event::SeriesForgotten { series, because } => (self.count("series_forgotten") <= ADDED_MAX)
                .then(|| format!("series     {series} is forgotten: {because:?}")),
            Event::ThresholdLearned { series, threshold, active, .. } => self.said_learned(series, threshold, *active),
            Event::Alerted(alerted) => Some(self.said_alerted(alerted)),
            Event::Forecasted { series, crosses_at, .. } => self.said_forecast(series, (*crosses_at)?, now),
            Event::StateChanged { transition, .. } => self.said_transition(transition),
            Event::ChangeSettled { outcome } => {
                *self.outcomes.entry(outcome.verification).or_default() += 1;
                let failed = outcome.verification == Verification::Failed;
                let measured = outcome.measured.map_or("nothing".to_owned(), number);
                failed.then(|| format!("outcome    change {} failed: measured {measured}", outcome.change))
            }
            Event::Signalled { signal } => said_verdict(signal),
            Event::Adjusted { by, adjustment, .. } => self.said_adjusted(*by, adjustment, now),
            Event::LoopPaused { by, paused, because, .. } => {
                let word = if *paused { "pauses" } else { "goes on" };
                Some(format!("loop       {} {word}: {because}", by.as_str()))
            }
            Event::Frozen { frozen, because, .. } => {
                let word = if *frozen { "changes stop" } else { "changes go on" };
                Some(format!("freeze     {word}: {because}"))
            }
            Event::LevelShiftProposed { id, because, series, .. } => {
                let because = match because {
                    Asked::Opened => "asks whether this is ordinary now",
                    Asked::Joined => "is joined by",
                    Asked::Again => "is asked again",
                };
                let one = |shift: &LevelShift| {
                    format!("{} {} -> {}", shift.series, number(shift.before), number(shift.after))
                };
                let series: Vec<String> = series.iter().take(SHIFTED_MAX).map(one).collect();
                Some(format!("level      proposal {id} {because}: {}", series.join(", ")))
            }
            Event::LevelShiftSettled { id, settled, series, .. } => {
                Some(format!("level      proposal {id} {}: {} series", settled.as_str(), series.len()))
            }
            Event::RolloutMoved { rule, to, because, .. } => {
                Some(format!("rollout    {rule} {}: {because}", to.as_str()))
            }
            Event::ThresholdReleased { rule, series, because, .. } => {
                Some(format!("rollout    {rule} is served {} series at once: {because}", series.len()))
            }
            // Counted: every change of a threshold follows the learning told above, parameters follow the state.
            Event::ChangeDispatched { .. }
            | Event::ClaimSettled { .. }
            | Event::Withheld { .. }
            | Event::EffectMeasured { .. }
            | Event::CycleCompleted(_) => None,
        }
    }

    /// A forecast that goes again needs no word: an alert follows or it does not.
    fn said_forecast(&mut self, series: &SeriesName, crosses_at: Timestamp, now: Timestamp) -> Option<String> {
        if self.forecast.get(series).is_some_and(|last| now.since(*last) < AGAIN) {
            return None;
        }
        self.forecast.insert(series.clone(), now);
        Some(format!("forecast   {series} will cross its alert level at {}", clock(crosses_at.since(START))))
    }

    fn said_transition(&mut self, transition: &Transition) -> Option<String> {
        let Transition { from, to, cause, forced_until, .. } = transition;
        let calm = |state: &SystemState| matches!(state, SystemState::Healthy | SystemState::Optimizing);
        if calm(from) && calm(to) && forced_until.is_none() {
            self.turns += 1;
            if self.turns > TURNS_MAX {
                return None;
            }
        }
        Some(format!("state      {} -> {}: {cause}", from.as_str(), to.as_str()))
    }

    fn said_learned(&mut self, series: &SeriesName, threshold: &Threshold, active: bool) -> Option<String> {
        let at = threshold.learned_at;
        let news = self.told.get(series).is_none_or(|(before, was_active)| {
            *was_active != active
                || before.sensitivity != threshold.sensitivity
                || moved(before.bounds.at(at), threshold.bounds.at(at), before.center)
        });
        if !news {
            return None;
        }
        self.told.insert(series.clone(), (threshold.clone(), active));
        Some(format!(
            "threshold  {series}: {}, alerts at {}; {} at {} sigma, confidence {:.2}{}",
            range(threshold.bounds.at(at)),
            range(threshold.alert.at(at)),
            threshold.strategy,
            number(threshold.sensitivity.get()),
            threshold.confidence.get(),
            if active { "" } else { ", not used" }
        ))
    }

    fn said_alerted(&mut self, alerted: &Alerted) -> String {
        let Alerted { series, at, phase, value, bounds, why, .. } = alerted;
        let value = number(*value);
        match phase {
            Phase::Onset => {
                self.alert_since.insert(series.clone(), *at);
                match why {
                    Some(why) => {
                        format!("alert      {series} begins: {value}, {}; usual is {}", why.as_str(), range(*bounds))
                    }
                    None => format!("alert      {series} begins: {value} is outside {}", range(*bounds)),
                }
            }
            Phase::End => match self.alert_since.remove(series) {
                Some(since) => format!("alert      {series} ends after {}: {value}", at.since(since)),
                None => format!("alert      {series} ends: {value}"),
            },
        }
    }

    fn said_adjusted(&mut self, by: LoopKind, adjustment: &Adjustment, now: Timestamp) -> Option<String> {
        let of = adjustment.target.series().map_or(String::new(), |series| format!(" of {series}"));
        let what = format!("{}{of}", adjustment.target.name());
        let key = (by, what);
        if !adjustment.explicit && self.adjusted.get(&key).is_some_and(|last| now.since(*last) < AGAIN) {
            return None;
        }
        self.adjusted.insert(key.clone(), now);
        let (from, to) = (number(adjustment.from), number(adjustment.to));
        Some(format!("adjusted   {} {from} -> {to} by {}: {}", key.1, by.as_str(), adjustment.reason))
    }

    /// Counts, and how things stand at the end.
    pub fn end(&mut self, knowledge: &Knowledge, fates: &Fates, unheld: u64) {
        if self.left_out > 0 {
            self.line(&format!("… and {} more lines", self.left_out));
        }
        let list = |pairs: Vec<(String, u64)>| {
            let shown: Vec<String> = pairs
                .into_iter()
                .filter(|(_, count)| *count > 0)
                .map(|(name, count)| format!("{name} {count}"))
                .collect();
            if shown.is_empty() { "none".to_owned() } else { shown.join(", ") }
        };
        let events = list(self.counts.iter().map(|(kind, count)| ((*kind).to_owned(), *count)).collect());
        let outcomes = list(self.outcomes.iter().map(|(v, count)| (v.as_str().to_owned(), *count)).collect());
        let fates = list(fates.iter().map(|(fate, count)| (fate.as_str().to_owned(), count)).collect());
        let parameters = knowledge.parameters();
        let lines = [
            String::new(),
            format!("events     {events}"),
            format!("outcomes   {outcomes}"),
            format!("samples    {fates}; without room {unheld}"),
            format!(
                "state      {}; every {}, depth {}, lookahead {}, parallelism {}, rate {}",
                knowledge.state().state.as_str(),
                parameters.monitoring_interval,
                parameters.analysis_depth,
                parameters.planning_lookahead,
                parameters.execution_parallelism,
                number(parameters.learning_rate.get())
            ),
        ];
        lines.iter().for_each(|line| self.line(line));
        for by in LoopKind::ALL {
            let memory = knowledge.loop_memory(by);
            let (heard, done, withheld) = (memory.signals, memory.actions, memory.withheld);
            self.line(&format!("loop       {}: {heard} signals, {done} actions, {withheld} withheld", by.as_str()));
        }
        for series in knowledge.series().take(ADDED_MAX as usize) {
            let (tally, now) = (series.tally(), knowledge.last_cycle());
            let bounds = series.in_force().map_or("none".to_owned(), |threshold| range(threshold.bounds.at(now)));
            let sigma = number(series.sensitivity().get());
            let (judged, breached) = (tally.judged, tally.breached);
            self.line(&format!(
                "series     {} ({}): {bounds} at {sigma} sigma; judged {judged}, breaches {breached}, alerts {}",
                series.name(),
                series.kind().as_str(),
                tally.alerts
            ));
        }
    }
}

fn said_verdict(signal: &Signal) -> Option<String> {
    let (verdict, series) = (signal.verdict?, signal.series.as_ref()?);
    Some(format!("verdict    {series} at {}: {}", clock(signal.at.since(START)), verdict.as_str()))
}

/// `3.2 .. 5`; an absent bound is left out.
fn range((lower, upper): Pair) -> String {
    let side = |bound: Option<f64>| bound.map_or(String::new(), number);
    format!("{} .. {}", side(lower), side(upper)).trim().to_owned()
}

fn moved(was: Pair, is: Pair, center: f64) -> bool {
    let width = match was {
        (Some(lower), Some(upper)) => upper - lower,
        (one, other) => one.or(other).map_or(0.0, |bound| (bound - center).abs()),
    };
    let side = |was: Option<f64>, is: Option<f64>| match (was, is) {
        (Some(was), Some(is)) => (was - is).abs() > MOVED * width,
        (was, is) => was.is_some() != is.is_some(),
    };
    side(was.0, is.0) || side(was.1, is.1)
}

/// Time since the start: days and the time of day, to the second.
pub fn clock(into: Span) -> String {
    let seconds = into.millis() / 1000;
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    format!("{days}d {hours:02}:{minutes:02}:{:02}", seconds % 60)
}
