//! `homeostat evaluate`: a detector scored on labelled files, so that anyone can check what is claimed of it.
//!
//! Ours runs as in `detect`, row by row and in one configuration for all; the files that another one wrote are scored in
//! the same way. Beside each row stands what a score gets that knows nothing: no measure is zero for it.

mod figures;
mod labelled;

use super::offline::{MethodArgs, WindowAge};
use super::output::Out;
use super::{Done, Failed};
use figures::{Row, Scored, rows};
use homeostat::config::Config;
use homeostat::time::Span;
use homeostat_sim::score::RANDOM_SEED;
use labelled::{Source, series_of};
use serde_json::json;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

const HEADS: [&str; 14] = [
    "folder",
    "by",
    "series",
    "events",
    "NAB",
    "low FP",
    "low FN",
    "VUS-PR",
    "false per week",
    "recall",
    "precision",
    "delay",
    "in alert",
    "F1",
];

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  homeostat evaluate labelled                              our detector on every CSV file of a folder
  homeostat evaluate web hosts --budget '1 per day'        two folders, and both together
  homeostat evaluate labelled --scores theirs              another detector, from the files it wrote
  homeostat evaluate labelled --strategy sigma --output json

A labelled file is CSV with timestamp,value,label: label is 1 where a person would want to know, else 0. A run of ones is
an event; a file without any is a clean series, where every page is a false one. --scores reads files of the same names
and with the same rows: a column score (higher is stranger), and where there are any alert_score and alert (0 or 1).

Each folder has a row for each thing a detector says: score (while it lasts), alert_score (at an onset), alert (its own
decision), and random, a score that knows nothing. Only the order of scores matters. Nothing counts that is said in the
first 15 % of a series, at most 750 rows; in alert and F1 are over all rows.

  NAB, low FP, low FN   NAB v1.1, standard, with false positives twice as dear, with misses twice as dear. One threshold
                        over all series, by hindsight. 100 is perfect, 0 says nothing; random gets a few points, and more
                        where misses are dear. It rewards the onset: look at alert_score
  VUS-PR                area under precision and recall, over thresholds and tolerances around an event; the mean over
                        series. 1 is perfect; random gets about the share of labelled rows. It rewards a score that is
                        high as long as the event lasts: look at score
  false per week        false pages per series and week. More than 10 minutes from any event; a new page after half an
                        hour of quiet, and every 4 hours while it stays on
  recall, precision     of scores: events found, and the share of pages that were for an event, at one threshold for all
                        series, chosen by hindsight so that false pages keep to --budget. Random finds long events by
                        luck. Of alert: as it decided, without hindsight
  delay                 median time from the start of an event to its first page, of those found
  in alert              share of samples in alert
  F1                    of alert, sample by sample: mean over the series that have an event")]
pub struct EvaluateArgs {
    /// Folders with labelled CSV files, or single files
    #[arg(value_name = "DIR", required = true)]
    folders: Vec<PathBuf>,
    /// False pages that the threshold of recall and precision may cost, for each series
    #[arg(long, value_name = "BUDGET", default_value = "1 per week", value_parser = pages_per_week)]
    budget: f64,
    /// Score what another detector wrote instead; once for each DIR, in their order
    #[arg(long, value_name = "DIR2", conflicts_with_all = ["strategy", "sensitivity", "config"])]
    scores: Vec<PathBuf>,
    #[command(flatten)]
    method: MethodArgs,
}

/// A budget, as pages in a week.
fn pages_per_week(text: &str) -> Result<f64, String> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let weeks = |span: Span| span.secs() / Span::hours(7 * 24).secs();
    let read = match words.as_slice() {
        [count, "per", unit] => count.parse::<f64>().ok().zip(match *unit {
            "hour" => Some(weeks(Span::hours(1))),
            "day" => Some(weeks(Span::hours(24))),
            "week" => Some(1.0),
            // A twelfth of a year.
            "month" => Some(365.25 / 12.0 / 7.0),
            _ => None,
        }),
        _ => None,
    };
    match read {
        Some((count, weeks)) if count.is_finite() && count >= 0.0 => Ok(count / weeks),
        _ => Err("give a number per hour, day, week or month, like '1 per week'".to_owned()),
    }
}

/// One file to score, and the folder it belongs to.
struct Job {
    folder: usize,
    path: PathBuf,
    source: Source,
}

pub fn evaluate(args: &EvaluateArgs, out: &Out) -> Result<Done, Failed> {
    let config = args.method.engine_config(WindowAge::Configured)?;
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
        all.extend(rows(Some(&name(path)), &series, args.budget));
    }
    if folders.len() > 1 {
        all.extend(rows(None, &folders.iter().flatten().collect::<Vec<_>>(), args.budget));
    }
    if out.is_json() {
        out.json(&json!({ "data": all, "budget_per_week": args.budget, "random_seed": RANDOM_SEED }))?;
    } else {
        out.table(&HEADS, &all.iter().map(cells).collect::<Vec<_>>())?;
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
fn files(folder: &Path) -> Result<Vec<PathBuf>, Failed> {
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

fn cells(row: &Row) -> Vec<String> {
    let digits = |digits: usize| {
        move |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.digits$}"))
    };
    let (points, share) = (digits(1), digits(3));
    let delay = |seconds: f64| Span::from_millis((seconds * 1000.0) as u64).to_string();
    vec![
        row.folder.clone().unwrap_or_else(|| "all together".to_owned()),
        if row.by == figures::RANDOM { format!("random (seed {RANDOM_SEED})") } else { row.by.to_owned() },
        row.series.to_string(),
        row.events.to_string(),
        points(row.nab_standard),
        points(row.nab_low_fp),
        points(row.nab_low_fn),
        share(row.vus_pr),
        share(row.false_pages_per_week),
        share(row.event_recall),
        share(row.event_precision),
        row.delay_median_s.map_or_else(|| "-".to_owned(), delay),
        row.in_alert_ratio.map_or_else(|| "-".to_owned(), |share| format!("{:.2} %", share * 100.0)),
        share(row.macro_f1),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_is_a_number_of_pages_in_a_time() {
        assert_eq!(pages_per_week("1 per week"), Ok(1.0));
        assert_eq!(pages_per_week("0.5  per day"), Ok(3.5));
        assert_eq!(pages_per_week("0 per hour"), Ok(0.0));
        assert!(pages_per_week("1 per month").is_ok_and(|pages| (pages - 0.23).abs() < 0.001));
        for wrong in ["", "none", "1", "one per week", "-1 per day", "1 per fortnight", "inf per day", "NaN per day"] {
            assert!(pages_per_week(wrong).is_err(), "{wrong}");
        }
    }
}
