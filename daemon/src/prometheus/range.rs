//! A range query of any length: counted, cut into pieces, asked piece by piece, and put together again.
//!
//! Evaluations are those of one query over the whole: an evaluation depends on its own time alone, so that what pieces give is,
//! to the last bit, what one query would have given. They lie on multiples of the step; start and end are brought inwards to them.

use super::answer::{self, Grid, Instant, Matrix, Points};
use super::ask::{Question, Unanswered, shown};
use super::cache::Cache;
use super::pieces::{self, Piece};
use super::progress::{Advance, Progress};
use super::{Client, QueryError};
use homeostat::replay::{Labels, Range, Track};
use homeostat::time::{Span, Timestamp};
use std::collections::{BTreeMap, VecDeque};

/// What lies so far back does not change any more, and may be kept.
const SETTLED: Span = Span::hours(1);

/// Ranges with so few evaluations are asked as they are: to count the series first would cost as much.
const UNCOUNTED_STEPS: u64 = 60;

/// The most values a range that is put together may have room for: 16 bytes each.
const VALUES_MAX: u64 = 64_000_000;

/// The most evaluations of one range: a year of one every two seconds.
const EVALUATIONS_MAX: u64 = 16_000_000;

/// Warnings that are kept of one range.
const WARNINGS_MAX: usize = 16;

/// What is asked: an expression, evaluated at the multiples of `step` from `start` up to `end`, both included.
#[derive(Clone, PartialEq, Debug)]
pub struct RangeQuery {
    pub expr: String,
    pub start: Timestamp,
    pub end: Timestamp,
    /// At least 1 ms; whole seconds make the pieces of all who ask the same.
    pub step: Span,
}

/// A piece of what was asked, in order of time, without gaps between them.
#[derive(Clone, PartialEq, Debug)]
pub struct Part {
    pub grid: Grid,
    pub points: Vec<Points>,
}

/// What there is to say of an answer beside its values.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Remarks {
    /// What the server warned of, each once.
    pub warnings: Vec<String>,
    /// The most label sets of one piece that are native histograms and were left out.
    pub histograms: u64,
    /// Samples in all pieces.
    pub samples: u64,
    /// The first evaluation and the last one that gave anything.
    pub seen: Option<(Timestamp, Timestamp)>,
    /// The longest time between the two in which no evaluation gave anything, where almost all others did: its first and
    /// its last evaluation.
    pub gap: Option<(Timestamp, Timestamp)>,
}

/// A range, and what there is to say of it.
#[derive(Clone, PartialEq, Debug)]
pub struct Fetched {
    pub range: Range,
    pub remarks: Remarks,
}

impl RangeQuery {
    /// The numbers of its evaluations since the epoch.
    fn evaluations(&self) -> std::ops::Range<i64> {
        let step = self.step_ms();
        let first = (self.start.millis() + step - 1).div_euclid(step);
        first..(self.end.millis().div_euclid(step) + 1).max(first)
    }

    fn step_ms(&self) -> i64 {
        i64::try_from(self.step.millis()).unwrap_or(i64::MAX).max(1)
    }

    fn grid(&self, piece: Piece) -> Grid {
        let start = Timestamp::from_millis(piece.first.saturating_mul(self.step_ms()));
        Grid { start, step: self.step_ms(), steps: piece.steps }
    }
}

impl Client {
    /// The whole range. `now` says which pieces are old enough to be kept.
    pub fn query_range(
        &self,
        query: &RangeQuery,
        now: Timestamp,
        progress: &dyn Progress,
    ) -> Result<Fetched, QueryError> {
        let evaluations = query.evaluations();
        let steps = usize::try_from(evaluations.end - evaluations.start).unwrap_or(0);
        let start = Timestamp::from_millis(evaluations.start.saturating_mul(query.step_ms()));
        let mut tracks: BTreeMap<Labels, Vec<Option<f64>>> = BTreeMap::new();
        let mut done = 0;
        let remarks = self.asked(query, now, progress, VALUES_MAX, &mut |part| {
            for points in part.points {
                if !tracks.contains_key(&points.labels) && (tracks.len() as u64 + 1) * steps as u64 > VALUES_MAX {
                    let reason = format!("over {} series with {steps} evaluations each", tracks.len());
                    return Err(QueryError::TooMuch { query: shown(&query.expr), reason });
                }
                let values = tracks.entry(points.labels).or_insert_with(|| vec![None; steps]);
                for (place, value) in points.values {
                    values[done + place as usize] = Some(value);
                }
            }
            done += part.grid.steps as usize;
            Ok(())
        })?;
        let tracks = tracks.into_iter().map(|(labels, values)| Track { labels, values }).collect();
        Ok(Fetched { range: Range { start, step: query.step_ms(), steps, tracks }, remarks })
    }

    /// The same piece by piece, in order of time, each handed to `take` and then forgotten: for what is too much to be held. An
    /// error of `take` ends it.
    pub fn parts(
        &self,
        query: &RangeQuery,
        now: Timestamp,
        progress: &dyn Progress,
        take: &mut dyn FnMut(Part) -> Result<(), QueryError>,
    ) -> Result<Remarks, QueryError> {
        self.asked(query, now, progress, u64::MAX, take)
    }

    /// Piece by piece, unless there are more than `values_max` values in all.
    fn asked(
        &self,
        query: &RangeQuery,
        now: Timestamp,
        progress: &dyn Progress,
        values_max: u64,
        take: &mut dyn FnMut(Part) -> Result<(), QueryError>,
    ) -> Result<Remarks, QueryError> {
        let evaluations = query.evaluations();
        let steps = (evaluations.end - evaluations.start).unsigned_abs();
        let too_much = |reason: String| Err(QueryError::TooMuch { query: shown(&query.expr), reason });
        if steps > EVALUATIONS_MAX {
            return too_much(format!("{steps} evaluations"));
        }
        let mut size = pieces::STEPS_MAX;
        if steps > UNCOUNTED_STEPS {
            let series = self.count(query)?;
            // Better said before all of it was asked.
            if series.saturating_mul(steps) > values_max {
                return too_much(format!("{series} series with {steps} evaluations each"));
            }
            size = pieces::size(self.budget.samples_max / series.max(1));
        }
        let mut waiting: VecDeque<Piece> = pieces::cover(evaluations, size).collect();
        let mut ready: BTreeMap<Piece, Matrix> = BTreeMap::new();
        let mut seen = Seen::default();
        let mut remarks = Remarks::default();
        let begun = self.clock.elapsed();
        progress.begins(&query.expr, steps);
        while !waiting.is_empty() {
            // As many as may run at once; the next ones when all of these have come, so that little is held out of order.
            let mut asked = Vec::new();
            while asked.len() < self.budget.at_once as usize
                && let Some(piece) = waiting.pop_front()
            {
                match piece.halves() {
                    Some((one, other)) if piece.steps > size => {
                        waiting.push_front(other);
                        waiting.push_front(one);
                    }
                    _ => asked.push(piece),
                }
            }
            let mut failed = None;
            for (piece, answer) in self.ask_pieces(query, &asked, now).into_iter().rev() {
                match answer {
                    Ok(matrix) => {
                        ready.insert(piece, matrix);
                    }
                    // What came before it is handed out first: it was paid for.
                    Err(Unanswered::Failed(error)) => {
                        waiting.push_front(piece);
                        failed = Some(error);
                    }
                    Err(Unanswered::TooMuch(reason)) => match piece.halves() {
                        Some((one, other)) => {
                            let query = shown(&query.expr);
                            tracing::debug!(query, steps = piece.steps, "in smaller pieces: {reason}");
                            size = size.min(pieces::size(u64::from(piece.steps) / 2));
                            waiting.push_front(other);
                            waiting.push_front(one);
                        }
                        None => {
                            self.cost.failed();
                            waiting.push_front(piece);
                            failed = Some(QueryError::TooMuch { query: shown(&query.expr), reason });
                        }
                    },
                }
            }
            let up_to = waiting.front().map_or(i64::MAX, |piece| piece.first);
            while let Some(entry) = ready.first_entry().filter(|entry| entry.key().first < up_to) {
                let (piece, matrix) = entry.remove_entry();
                seen.see(piece, &matrix);
                remarks.add(&matrix);
                let steps = u64::from(piece.steps);
                let took = self.clock.elapsed().saturating_sub(begun);
                progress.advances(&Advance { steps, samples: matrix.samples, took });
                take(Part { grid: query.grid(piece), points: matrix.points })?;
            }
            if let Some(error) = failed {
                return Err(error);
            }
        }
        seen.remark(query, &mut remarks);
        progress.ends(&query.expr);
        Ok(remarks)
    }

    /// How many series it has at its end; 1 where that cannot be told.
    fn count(&self, query: &RangeQuery) -> Result<u64, QueryError> {
        // On a line of its own: the expression may end in a comment.
        let count = format!("count(\n{}\n)", query.expr);
        let answer = match self.query(&count, query.end) {
            Ok(answer) => answer,
            // Of a scalar nothing can be counted, and what is wrong with the expression is said of itself.
            Err(QueryError::Refused { .. } | QueryError::TooMuch { .. }) => return Ok(1),
            Err(error) => return Err(error),
        };
        Ok(match answer.value {
            Instant::Vector(series) => series.first().map_or(0, |(_, count)| *count as u64),
            Instant::Scalar(_) | Instant::String(_) => 1,
        })
    }

    fn ask_pieces(
        &self,
        query: &RangeQuery,
        pieces: &[Piece],
        now: Timestamp,
    ) -> Vec<(Piece, Result<Matrix, Unanswered>)> {
        std::thread::scope(|scope| {
            let ask = |piece: Piece| scope.spawn(move || self.ask_piece(query, piece, now));
            let threads: Vec<_> = pieces.iter().map(|piece| (*piece, ask(*piece))).collect();
            let join = |(piece, thread): (Piece, std::thread::ScopedJoinHandle<'_, _>)| {
                (piece, thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            };
            threads.into_iter().map(join).collect()
        })
    }

    fn ask_piece(&self, query: &RangeQuery, piece: Piece, now: Timestamp) -> Result<Matrix, Unanswered> {
        let grid = query.grid(piece);
        let last = Timestamp::from_millis((piece.end() - 1).saturating_mul(grid.step));
        let cache = self.cache.as_ref().filter(|_| piece.is_whole() && last < now - SETTLED);
        let key = Cache::key(&self.endpoint.identity(), &query.expr, grid);
        if let Some(kept) = cache.and_then(|cache| cache.get(key, grid)) {
            self.cost.cached();
            return Ok(kept);
        }
        let question = Question {
            path: "query_range",
            parameters: vec![
                ("query", query.expr.clone()),
                ("start", seconds(grid.start.millis())),
                ("end", seconds(last.millis())),
                ("step", seconds(grid.step)),
                ("timeout", format!("{}ms", self.budget.timeout.millis())),
            ],
            expr: &query.expr,
            divisible: piece.steps > 1,
        };
        let matrix = self.ask(&question, |from| answer::matrix(from, grid, self.budget.samples_max))?;
        self.cost.samples(matrix.samples);
        // With a warning something is missing, which may be there later.
        if let Some(cache) = cache.filter(|_| matrix.warnings.is_empty()) {
            cache.put(key, &matrix);
        }
        Ok(matrix)
    }
}

/// Milliseconds as seconds, exact.
pub(super) fn seconds(millis: i64) -> String {
    match (millis.div_euclid(1000), millis.rem_euclid(1000)) {
        (seconds, 0) => seconds.to_string(),
        (seconds, millis) if seconds >= 0 => format!("{seconds}.{millis:03}"),
        _ => (millis as f64 / 1000.0).to_string(),
    }
}

/// Which evaluations gave anything, as far as it matters for remarks.
#[derive(Default)]
struct Seen {
    first: Option<i64>,
    last: Option<i64>,
    count: i64,
    /// The longest run of evaluations without anything so far, between two that gave something.
    gap: Option<(i64, i64)>,
}

/// A gap is worth a remark from so many evaluations on, where outside of it so large a share of all gave something.
const GAP_STEPS: i64 = 3;
const GAP_DENSE: f64 = 0.9;

impl Seen {
    fn see(&mut self, piece: Piece, matrix: &Matrix) {
        let mut any = vec![false; piece.steps as usize];
        for points in &matrix.points {
            for (place, _) in &points.values {
                any[*place as usize] = true;
            }
        }
        for (at, _) in (piece.first..).zip(any).filter(|(_, any)| *any) {
            let run = self.last.map(|last| (last + 1, at - 1)).filter(|(from, to)| to - from + 1 >= GAP_STEPS);
            if let Some((from, to)) = run
                && self.gap.is_none_or(|(a, b)| b - a < to - from)
            {
                self.gap = Some((from, to));
            }
            self.first.get_or_insert(at);
            self.last = Some(at);
            self.count += 1;
        }
    }

    fn remark(&self, query: &RangeQuery, remarks: &mut Remarks) {
        let at = |evaluation: i64| Timestamp::from_millis(evaluation * query.step_ms());
        let (Some(first), Some(last)) = (self.first, self.last) else { return };
        remarks.seen = Some((at(first), at(last)));
        remarks.gap = self.gap.and_then(|(from, to)| {
            let others = last - first + 1 - (to - from + 1);
            (self.count as f64 >= GAP_DENSE * others as f64).then(|| (at(from), at(to)))
        });
    }
}

impl Remarks {
    fn add(&mut self, matrix: &Matrix) {
        self.samples += matrix.samples;
        self.histograms = self.histograms.max(matrix.histograms);
        for warning in &matrix.warnings {
            if self.warnings.len() < WARNINGS_MAX && !self.warnings.contains(warning) {
                self.warnings.push(warning.clone());
            }
        }
    }

    /// What a person should know of it, one sentence each; nothing where all is as asked.
    pub fn sentences(&self, query: &RangeQuery) -> Vec<String> {
        let expr = shown(&query.expr);
        let mut said: Vec<String> =
            self.warnings.iter().map(|warning| format!("the server warns of `{expr}`: {warning}")).collect();
        if self.histograms > 0 {
            said.push(format!(
                "`{expr}` gives native histograms ({}), which are left out; make numbers of them, by histogram_quantile() \
                 or histogram_count()",
                self.histograms
            ));
        }
        match self.seen {
            None if self.histograms == 0 => said.push(format!(
                "`{expr}` gives nothing from {} to {}: is there such a series, and does the server reach back so far?",
                query.start, query.end
            )),
            Some((first, _)) if first.since(query.start).millis() > query.end.since(query.start).millis() / 10 => {
                said.push(format!(
                    "`{expr}` begins at {first}, and was asked from {} on: the server keeps no more, or the series are young",
                    query.start
                ));
            }
            _ => {}
        }
        if let Some((from, to)) = self.gap {
            said.push(format!("`{expr}` has a gap: nothing from {from} to {to}"));
        }
        said
    }
}
