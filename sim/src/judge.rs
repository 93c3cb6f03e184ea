//! Was learning worth it? What the learned thresholds alerted on, against the best static threshold.
//!
//! The static rival is unfairly strong: for each series its level is chosen by hindsight, from up to a thousand levels
//! (see `best_static`), with the same rule for an alert (two samples in a row strictly outside). Nobody who writes a
//! threshold into a file knows that much. Whoever falls short knows by how much.

use crate::workload::Range;
use homeostat::time::Span;
use std::fmt;

/// How long after an incident's end an alert still counts as its: the last samples are only seen then.
const GRACE: Span = Span::minutes(5);

/// One series as it was watched, with the ground truth. Times count from the start of the run.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Track {
    pub series: String,
    /// What was admitted, in order of time; of a counter its rate.
    pub values: Vec<(Span, f64)>,
    pub incidents: Vec<Range>,
    /// When the engine's alerts began.
    pub onsets: Vec<Span>,
}

/// How alerts did against the truth.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Score {
    pub incidents: usize,
    pub found: usize,
    /// Alerts that began outside every incident.
    pub false_alarms: usize,
    pub false_per_week: f64,
    /// Mean time from an incident's start to its first alert; none when none was found.
    pub delay: Option<Span>,
}

impl Score {
    /// Harmonic mean of recall and precision over incidents; 1 when there was nothing to find and nothing was said.
    pub fn f1(&self) -> f64 {
        let wrong = self.incidents - self.found + self.false_alarms;
        match (self.found, wrong) {
            (0, 0) => 1.0,
            (found, wrong) => 2.0 * found as f64 / (2 * found + wrong) as f64,
        }
    }

    /// The one that a person would rather have: by F1, then fewer false alarms, then sooner.
    fn better_than(&self, other: &Score) -> bool {
        let delay = |score: &Score| score.delay.map_or(u64::MAX, Span::millis);
        let rank = |score: &Score| (-score.f1(), score.false_alarms as f64, delay(score) as f64);
        rank(self).partial_cmp(&rank(other)) == Some(std::cmp::Ordering::Less)
    }
}

/// A threshold as a person would write it: alert above, or below, or both.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Static {
    pub lower: Option<f64>,
    pub upper: Option<f64>,
}

#[derive(Clone, PartialEq, Debug)]
pub struct Row {
    pub series: String,
    pub learned: Score,
    pub rival: Score,
    pub level: Static,
}

/// The judge's table for one run.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Table {
    pub rows: Vec<Row>,
    /// State transitions per simulated hour: all, and those that are no turn to learning or back.
    pub transitions_per_hour: f64,
    pub flaps_per_hour: f64,
}

/// How often the state changed in a run.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Transitions {
    pub all: usize,
    /// Of these, from healthy to optimizing and back: the loop's routine.
    pub turns: usize,
}

/// What is judged: from `from` on, until `until`.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Judged {
    pub from: Span,
    pub until: Span,
}

/// Judges every track; those that took no sample are left out.
pub fn judge(tracks: &[Track], over: Judged, transitions: Transitions) -> Table {
    let rows = tracks
        .iter()
        .filter(|track| !track.values.is_empty())
        .map(|track| {
            let (level, rival) = best_static(track, over);
            Row { series: track.series.clone(), learned: score(&track.onsets, track, over), rival, level }
        })
        .collect();
    let hours = over.until.secs() / 3600.0;
    let per_hour = |count: usize| count as f64 / hours;
    let Transitions { all, turns } = transitions;
    Table { rows, transitions_per_hour: per_hour(all), flaps_per_hour: per_hour(all - turns) }
}

/// `onsets` is in order of time.
pub fn score(onsets: &[Span], track: &Track, over: Judged) -> Score {
    let judged = |at: Span| at >= over.from && at < over.until;
    let incidents: Vec<Range> = track.incidents.iter().copied().filter(|range| judged(range.from)).collect();
    let (mut found, mut delay_ms) = (0, 0);
    for range in &incidents {
        let first = onsets.partition_point(|onset| *onset < range.from);
        if let Some(onset) = onsets.get(first).filter(|onset| **onset < range.until + GRACE) {
            found += 1;
            delay_ms += onset.millis() - range.from.millis();
        }
    }
    // An incident from before the judged time still explains its alerts.
    let explained =
        |onset: Span| track.incidents.iter().any(|range| range.from <= onset && onset < range.until + GRACE);
    let false_alarms = onsets.iter().filter(|onset| judged(**onset) && !explained(**onset)).count();
    let weeks = (over.until.secs() - over.from.secs()) / Span::hours(24 * 7).secs();
    Score {
        incidents: incidents.len(),
        found,
        false_alarms,
        false_per_week: if weeks > 0.0 { false_alarms as f64 / weeks } else { 0.0 },
        delay: (found > 0).then(|| Span::from_millis(delay_ms / found as u64)),
    }
}

/// Alerts of a static threshold: two samples in a row strictly outside begin one, two in a row inside end it.
fn onsets(values: &[(Span, f64)], level: Static) -> Vec<Span> {
    let mut onsets = Vec::new();
    let (mut alert, mut in_a_row) = (false, 0);
    for (at, value) in values {
        let outside =
            level.upper.is_some_and(|upper| *value > upper) || level.lower.is_some_and(|lower| *value < lower);
        in_a_row = if outside == alert { 0 } else { in_a_row + 1 };
        if in_a_row == 2 {
            alert = !alert;
            in_a_row = 0;
            if alert {
                onsets.push(*at);
            }
        }
    }
    onsets
}

/// Levels tried per side. Alerts change at sample values only, and only rare ones can be useful: so the outermost
/// values are all tried, and of the bulk every so many.
const OUTERMOST: usize = 400;
const BULK: usize = 200;

fn best_static(track: &Track, over: Judged) -> (Static, Score) {
    let mut sorted: Vec<f64> = track.values.iter().map(|(_, value)| *value).collect();
    sorted.sort_by(f64::total_cmp);
    sorted.dedup();
    let ends = OUTERMOST.min(sorted.len());
    let mut levels: Vec<f64> = sorted[..ends].iter().chain(&sorted[sorted.len() - ends..]).copied().collect();
    levels.extend(sorted.iter().step_by((sorted.len() / BULK).max(1)));
    levels.sort_by(f64::total_cmp);
    levels.dedup();

    let scored = |level: Static| (level, score(&onsets(&track.values, level), track, over));
    let better = |best: (Static, Score), next: (Static, Score)| if next.1.better_than(&best.1) { next } else { best };
    let nothing = scored(Static::default());
    let upper = levels.iter().map(|l| scored(Static { lower: None, upper: Some(*l) })).fold(nothing, better);
    let lower = levels.iter().map(|l| scored(Static { lower: Some(*l), upper: None })).fold(nothing, better);
    let both = scored(Static { lower: lower.0.lower, upper: upper.0.upper });
    [upper, lower, both].into_iter().fold(nothing, better)
}

impl fmt::Display for Static {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.lower, self.upper) {
            (None, None) => f.write_str("none"),
            (None, Some(upper)) => write!(f, "> {}", number(upper)),
            (Some(lower), None) => write!(f, "< {}", number(lower)),
            (Some(lower), Some(upper)) => write!(f, "< {} or > {}", number(lower), number(upper)),
        }
    }
}

/// Four significant digits, and no more: what a person reads.
pub(crate) fn number(value: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    let magnitude = value.abs().log10().floor();
    if !(-4.0..=9.0).contains(&magnitude) {
        return format!("{value:.3e}");
    }
    let decimals = (3.0 - magnitude).max(0.0) as usize;
    let text = format!("{value:.decimals$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

impl Table {
    /// The rows alone, one per line. Each figure twice: learned, then of the best static level.
    pub fn rows_text(&self) -> String {
        let mut lines = vec![
            ["", "incidents", "found", "", "false a week", "", "mean delay", "", "F1", "", "best"].map(str::to_owned),
            ["series", "", "learned", "static", "learned", "static", "learned", "static", "learned", "static", "level"]
                .map(str::to_owned),
        ];
        let delay = |score: &Score| score.delay.map_or("-".to_owned(), |delay| delay.to_string());
        for Row { series, learned, rival, level } in &self.rows {
            lines.push([
                series.clone(),
                learned.incidents.to_string(),
                learned.found.to_string(),
                rival.found.to_string(),
                format!("{:.1}", learned.false_per_week),
                format!("{:.1}", rival.false_per_week),
                delay(learned),
                delay(rival),
                format!("{:.2}", learned.f1()),
                format!("{:.2}", rival.f1()),
                level.to_string(),
            ]);
        }
        let width = |column: usize| lines.iter().map(|line| line[column].len()).max().unwrap_or(0);
        let widths: [usize; 11] = std::array::from_fn(width);
        let aligned = |line: &[String; 11]| {
            let mut text = format!("{:1$}", line[0], widths[0]);
            for (cell, width) in line.iter().zip(widths).take(10).skip(1) {
                text.push_str(&format!("  {cell:>width$}"));
            }
            format!("{text}  {}", line[10])
        };
        lines.iter().map(aligned).collect::<Vec<_>>().join("\n")
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (all, flaps) = (self.transitions_per_hour, self.flaps_per_hour);
        writeln!(f, "{}", self.rows_text())?;
        write!(f, "state transitions per hour: {all:.2}; without turns to learning {flaps:.2}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Span = Span::minutes(1);
    const DAY: Judged = Judged { from: Span::ZERO, until: Span::hours(24) };

    /// A day of 0 and 1 in turn, 9 in the incident from minute 600 to 630, and 5 for three minutes from minute 100.
    fn track() -> Track {
        let value = |minute: u64| match minute {
            600..630 => 9.0,
            100..103 => 5.0,
            _ => (minute % 2) as f64,
        };
        Track {
            series: "queue".to_owned(),
            values: (0..1440).map(|minute| (MINUTE * minute, value(minute))).collect(),
            incidents: vec![Range { from: MINUTE * 600, until: MINUTE * 630 }],
            onsets: vec![MINUTE * 100, MINUTE * 604],
        }
    }

    #[test]
    fn the_best_static_level_lies_between_the_harmless_and_the_incident() {
        let table = judge(&[track()], DAY, Transitions { all: 24, turns: 12 });
        let row = &table.rows[0];
        assert_eq!((row.learned.found, row.learned.false_alarms, row.learned.delay), (1, 1, Some(MINUTE * 4)));
        assert_eq!(row.learned.false_per_week, 7.0);
        assert_eq!((row.rival.found, row.rival.false_alarms, row.rival.delay), (1, 0, Some(MINUTE)));
        assert_eq!(row.level.upper, Some(5.0));
        assert_eq!(table.flaps_per_hour, 0.5);
        println!("{table}");
    }

    #[test]
    fn an_alarm_that_never_ends_finds_nothing() {
        let level = Static { lower: None, upper: Some(-1.0) };
        let track = track();
        let got = score(&onsets(&track.values, level), &track, DAY);
        assert_eq!((got.found, got.false_alarms), (0, 1));
        assert_eq!(got.f1(), 0.0);
    }

    #[test]
    fn where_nothing_happened_silence_is_best() {
        let quiet = Track { incidents: Vec::new(), onsets: Vec::new(), ..track() };
        let row = &judge(&[quiet], DAY, Transitions::default()).rows[0];
        assert_eq!((row.learned.f1(), row.rival.f1(), row.level), (1.0, 1.0, Static::default()));
    }

    #[test]
    fn numbers_are_short() {
        for (value, text) in
            [(0.0, "0"), (1234.56, "1235"), (0.012_34, "0.01234"), (-2.5, "-2.5"), (1e308, "1.000e308")]
        {
            assert_eq!(number(value), text);
        }
    }
}
