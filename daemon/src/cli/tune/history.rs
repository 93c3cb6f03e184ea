//! The history of what rules measure: each thing asked once, for all rules that need it.

use super::Run;
use super::subject::Subject;
use crate::prometheus::progress::Progress;
use crate::prometheus::range::RangeQuery;
use crate::prometheus::{Client, QueryError};
use homeostat::replay::Range;
use homeostat::time::Span;
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Where history is too much at a rule's own step, it is asked at longer ones, up to this.
const STEP_MAX: Span = Span::minutes(10);

/// Rules that need the same history.
pub(super) struct Job {
    pub subjects: Vec<usize>,
    pub leaves: Vec<String>,
    pub step: Span,
}

/// What was asked for, in the order of the leaves, and what there is to say of it.
pub(super) struct History {
    pub leaves: Vec<Range>,
    pub notes: Vec<String>,
}

pub(super) fn jobs(subjects: &[Subject<'_>]) -> Vec<Job> {
    let mut jobs: BTreeMap<(Vec<String>, u64), Vec<usize>> = BTreeMap::new();
    for (at, subject) in subjects.iter().enumerate() {
        let leaves = subject.taken.as_ref().map(|taken| taken.leaves.clone()).unwrap_or_default();
        jobs.entry((leaves, subject.interval.millis())).or_default().push(at);
    }
    let job = |((leaves, step), subjects)| Job { subjects, leaves, step: Span::from_millis(step) };
    let mut jobs: Vec<Job> = jobs.into_iter().map(job).collect();
    jobs.sort_by_key(|job| job.subjects[0]);
    jobs
}

/// Does all jobs, so many at once, in their order.
pub(super) fn work<T: Send>(jobs: &[Job], threads: usize, one: impl Fn(&Job) -> T + Sync) -> Vec<T> {
    let next = AtomicUsize::new(0);
    let done: Mutex<Vec<(usize, T)>> = Mutex::new(Vec::with_capacity(jobs.len()));
    std::thread::scope(|scope| {
        for _ in 0..threads.clamp(1, jobs.len().max(1)) {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(job) = jobs.get(at) else { return };
                    let found = one(job);
                    done.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push((at, found));
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    done.sort_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, found)| found).collect()
}

/// The history of a job's leaves, all at the same evaluations; the error is a sentence.
pub(super) fn fetch(client: &Client, job: &Job, run: &Run, progress: &dyn Progress) -> Result<History, String> {
    let mut step = job.step;
    loop {
        match at_step(client, job, run, step, progress) {
            Err(QueryError::TooMuch { .. }) if step * 2 <= STEP_MAX => step = step * 2,
            Err(error) => return Err(error.to_string()),
            Ok(mut history) => {
                if step > job.step {
                    history.notes.push(format!(
                        "its history was too much every {}, and was asked every {step}: short excursions may be missing",
                        job.step
                    ));
                }
                return Ok(history);
            }
        }
    }
}

fn at_step(client: &Client, job: &Job, run: &Run, step: Span, progress: &dyn Progress) -> Result<History, QueryError> {
    let mut history = History { leaves: Vec::new(), notes: Vec::new() };
    for leaf in &job.leaves {
        let query = RangeQuery { expr: leaf.clone(), start: run.start, end: run.end, step };
        let fetched = client.query_range(&query, run.now, progress)?;
        history.notes.extend(fetched.remarks.sentences(&query));
        history.leaves.push(fetched.range);
    }
    Ok(history)
}
