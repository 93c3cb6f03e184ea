//! `homeostat evaluate`: a detector scored on labelled files, so that anyone can check what is claimed of it.
//!
//! Ours runs as in `detect`, row by row and in one configuration for all; the files that another one wrote are scored in
//! the same way. Beside each row stands what a score gets that knows nothing: no measure is zero for it.

mod figures;
mod labelled;

use super::detect::unhurried;
use super::offline::{MethodArgs, WindowAge};
use super::output::Out;
use super::{Done, Failed};
use figures::{Row, Scored, rows};
use homeostat::budget::Budget;
use homeostat::config::Config;
use homeostat::time::Span;
use homeostat_sim::score::RANDOM_SEED;
use labelled::{Source, series_of};
use serde_json::json;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  homeostat evaluate labelled                          our detector on every CSV file of a folder
  homeostat evaluate web hosts --budget '1 per day'    two folders, and both together
  homeostat evaluate labelled --scores theirs          another detector, from files it wrote
  homeostat evaluate labelled --strategy sigma --output json

A labelled file is CSV with timestamp,value,label: label is 1 where a person would want to know,
else 0. A run of ones is an event; a series without any is clean, and each page in it a false one.
--scores reads files of the same names and with the same rows: a column score (higher is stranger),
and where there are any alert_score and alert (0 or 1).

Beside each other stand what a detector says: score (while it lasts), alert_score (at an onset),
alert (its own decision); and random, a score that knows nothing. Of scores only the order matters.
The first 15 % of a series, at most 750 rows, do not count, except for in alert and F1.

  NAB                 NAB v1.1, and with false positives or misses twice as dear (low FP, low FN).
                      One threshold over all series, by hindsight. 100 is perfect, 0 says nothing;
                      random gets a few points, more where misses are dear. The first hit of an
                      event counts, so alert_score is the one to look at.
  VUS-PR              Area under precision and recall, over thresholds and over tolerances around
                      an event; mean over series. 1 is perfect; random gets about the share of
                      labelled rows. The whole event counts: look at score.
  false pages a week  For each series: flags more than 10 minutes from any event; a new page after
                      half an hour of quiet, and every 4 hours while it stays on.
  event recall        Events found; of scores at the one threshold for all series that finds most
                      within --budget, by hindsight; of alert as it decided. Random finds long
                      events by luck.
  event precision     Events found, as a share of them and the false pages together.
  median delay        From the start of an event to its first flag, of those found.
  in alert            Share of samples in alert: of all series, and of the clean ones.
  F1 by sample        Of alert, mean over the series that have an event. To alert at random on as
                      many samples as are labelled gets the share of those.")]
pub struct EvaluateArgs {
    /// Folders with labelled CSV files, or single files
    #[arg(value_name = "DIR", required = true)]
    folders: Vec<PathBuf>,
    /// False pages of each series that the threshold of recall and precision may cost, and that the detector is asked to
    /// keep to [default: 1 per week]
    #[arg(long, value_name = "BUDGET")]
    budget: Option<Budget>,
    /// Score what another detector wrote instead; once for each DIR, in their order
    #[arg(long, value_name = "DIR2", conflicts_with_all = ["strategy", "sensitivity", "config"])]
    scores: Vec<PathBuf>,
    #[command(flatten)]
    method: MethodArgs,
}

/// One file to score, and the folder it belongs to.
struct Job {
    folder: usize,
    path: PathBuf,
    source: Source,
}

pub fn evaluate(args: &EvaluateArgs, out: &Out) -> Result<Done, Failed> {
    let config = unhurried(args.method.engine_config(WindowAge::Configured, args.budget)?);
    let per_week = config.budget.per_week();
    let per_week = per_week.ok_or_else(|| {
        Failed::Use("budget none: measures are compared at a budget; give one with --budget".to_owned())
    })?;
    let jobs = jobs(args)?;
    let mut folders: Vec<Vec<Scored>> = args.folders.iter().map(|_| Vec::new()).collect();
    for (job, scored) in jobs.iter().zip(score_all(&jobs, &config)?) {
        folders[job.folder].extend(scored);
    }
    let mut all = Vec::new();
    for (path, series) in args.folders.iter().zip(&folders) {
        let series: Vec<&Scored> = series.iter().collect();
        if series.is_empty() {
            return Err(Failed::World(format!("{}: no file has any rows; nothing can be scored", path.display())));
        }
        all.extend(rows(Some(&name(path)), &series, per_week));
    }
    if folders.len() > 1 {
        all.extend(rows(None, &folders.iter().flatten().collect::<Vec<_>>(), per_week));
    }
    if out.is_json() {
        out.json(&json!({ "data": all, "budget_per_week": per_week, "random_seed": RANDOM_SEED }))?;
    } else {
        table(&all, out)?;
    }
    Ok(Done::Quietly)
}

fn name(folder: &Path) -> String {
    let name = folder.canonicalize().ok().and_then(|path| Some(path.file_name()?.to_string_lossy().into_owned()));
    name.unwrap_or_else(|| folder.display().to_string())
}

// --- which files ----------------------------------------------------------------------------------------------------

fn jobs(args: &EvaluateArgs) -> Result<Vec<Job>, Failed> {
    if !args.scores.is_empty() && args.scores.len() != args.folders.len() {
        return Err(Failed::Use(format!(
            "--scores is given {} times for {} folders; give it once for each, in their order",
            args.scores.len(),
            args.folders.len()
        )));
    }
    let mut jobs = Vec::new();
    for (folder, path) in args.folders.iter().enumerate() {
        for path in files(path)? {
            let source = match args.scores.get(folder) {
                None => Source::Ours,
                Some(scores) if scores.is_file() => Source::Theirs(scores.clone()),
                Some(scores) => Source::Theirs(scores.join(path.file_name().unwrap_or_default())),
            };
            jobs.push(Job { folder, path, source });
        }
    }
    Ok(jobs)
}

/// The CSV files of a folder, by name.
pub(super) fn files(folder: &Path) -> Result<Vec<PathBuf>, Failed> {
    let cannot = |error: io::Error| Failed::World(format!("cannot read {}: {error}", folder.display()));
    if folder.metadata().map_err(cannot)?.is_file() {
        return Ok(vec![folder.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in folder.read_dir().map_err(cannot)? {
        let path = entry.map_err(cannot)?.path();
        if path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("csv")) && path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    match files.is_empty() {
        false => Ok(files),
        true => Err(Failed::World(format!(
            "{}: no file ends in .csv; put labelled files there, with the columns timestamp,value,label",
            folder.display()
        ))),
    }
}

/// Scores files side by side, one per core; the answers are in the order of the files.
fn score_all(jobs: &[Job], config: &Config) -> Result<Vec<Vec<Scored>>, Failed> {
    let progress = match io::stderr().is_terminal() {
        true => indicatif::ProgressBar::new(jobs.len() as u64),
        false => indicatif::ProgressBar::hidden(),
    };
    let next = AtomicUsize::new(0);
    let done = Mutex::new(jobs.iter().map(|_| Ok(Vec::new())).collect::<Vec<Result<Vec<Scored>, Failed>>>());
    let workers = std::thread::available_parallelism().map_or(1, |cores| cores.get()).min(jobs.len().max(1));
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let Some(job) = jobs.get(number) else { break };
                    let scored = series_of(&job.path, &job.source, config)
                        .map(|series| series.into_iter().map(Scored::new).collect());
                    done.lock().unwrap_or_else(|poisoned| poisoned.into_inner())[number] = scored;
                    progress.inc(1);
                }
            });
        }
    });
    progress.finish_and_clear();
    done.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner()).into_iter().collect()
}

// --- for people -----------------------------------------------------------------------------------------------------

/// Measures under each other, what was said beside each other: a figure is read against the random one.
fn table(rows: &[Row], out: &Out) -> Result<(), Failed> {
    let mut said: Vec<&str> = Vec::new();
    for row in rows.iter().filter(|row| row.by != figures::RANDOM) {
        if !said.contains(&row.by) {
            said.push(row.by);
        }
    }
    said.push(figures::RANDOM);
    let random = format!("random (seed {RANDOM_SEED})");
    let heads: Vec<&str> = said.iter().map(|by| if *by == figures::RANDOM { random.as_str() } else { by }).collect();
    let mut lines = Vec::new();
    for folder in rows.chunk_by(|a, b| a.folder == b.folder) {
        let columns: Vec<Option<&Row>> = said.iter().map(|by| folder.iter().find(|row| row.by == *by)).collect();
        for (measure, figure) in MEASURES {
            let name = folder[0].folder.clone().unwrap_or_else(|| "all together".to_owned());
            let cell = |row: &Option<&Row>| row.and_then(figure).unwrap_or_else(|| "-".to_owned());
            lines.push([name, measure.to_owned()].into_iter().chain(columns.iter().map(cell)).collect());
        }
    }
    out.table(&[&["folder", "measure"], heads.as_slice()].concat(), &lines)
}

type Measure = (&'static str, fn(&Row) -> Option<String>);

const MEASURES: [Measure; 12] = [
    ("events, series", |row| Some(format!("{} in {}", row.events, row.series))),
    ("NAB standard", |row| row.nab_standard.map(points)),
    ("NAB low FP", |row| row.nab_low_fp.map(points)),
    ("NAB low FN", |row| row.nab_low_fn.map(points)),
    ("VUS-PR", |row| row.vus_pr.map(share)),
    ("false pages a week", |row| row.false_pages_per_week.map(share)),
    ("event recall", |row| row.event_recall.map(share)),
    ("event precision", |row| row.event_precision.map(share)),
    ("median delay", |row| row.delay_median_s.map(|secs| Span::from_millis((secs * 1000.0) as u64).to_string())),
    ("in alert", |row| row.in_alert_ratio.map(percent)),
    ("in alert, clean", |row| row.clean_in_alert_ratio.map(percent)),
    ("F1 by sample", |row| row.macro_f1.map(share)),
];

fn points(value: f64) -> String {
    format!("{value:.1}")
}

fn share(value: f64) -> String {
    format!("{value:.3}")
}

fn percent(value: f64) -> String {
    format!("{:.3} %", value * 100.0)
}
