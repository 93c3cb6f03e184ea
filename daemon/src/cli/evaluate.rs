//! `homeostat evaluate`: a detector scored on labelled files, so that anyone can check what is claimed of it.
//!
//! Ours runs as in `detect`, row by row and in one configuration for all; the files that another one wrote are scored in
//! the same way. Beside each row stands what a score gets that knows nothing: no measure is zero for it.

mod figures;
mod labelled;
mod worlds;

use super::detect::unhurried;
use super::offline::{MethodArgs, WindowAge};
use super::output::Out;
use super::{Done, Failed};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use figures::{Row, Scored, rows};
use homeostat::analyze::strategy::Methods;
use homeostat::analyze::strategy::auto::{AUTO, Auto, Part, Without};
use homeostat::budget::Budget;
use homeostat::config::Config;
use homeostat::time::Span;
use homeostat_sim::score::RANDOM_SEED;
use labelled::{Source, series_of};
use serde::Serialize;
use serde_json::json;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use worlds::{clean_of_seed, series_of_seed};

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  homeostat evaluate labelled                          our detector on every CSV file of a folder
  homeostat evaluate web hosts --budget '1 per day'    two folders, and both together
  homeostat evaluate labelled --scores theirs          another detector, from files it wrote
  homeostat evaluate labelled --strategy sigma --output json
  homeostat evaluate labelled --worlds 102             200 series from seeds as well: drift, shifts, heavy tails, walks
  homeostat evaluate --clean 22 --budget '7 per week'  220 series in which nothing happens: is the budget kept?
  homeostat evaluate labelled --without season,tail    what the detector is worth without two of its parts
  homeostat evaluate labelled --each-without           the same for each part, one table

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
                      many samples as are labelled gets the share of those.

Parts of auto: score-… are the features of its scores, by which it does not page. near, usual, drifting, restless and stuck are
what it pages for: far from its forecast, far from what it usually is, off for long, moving about, no longer moving. season is
the forecast by the time of day; resolution the floor under every size by the smallest step; tail what is said of rarities beyond
those that were seen; gap keeps incidents set apart out of the tail; quarantine keeps alerts out of what is learned; accepting
takes what goes on paging for ordinary; siblings lets a new series begin with what one like it knows. A series in a file is alone:
what siblings are worth shows in worlds.")]
pub struct EvaluateArgs {
    /// Folders with labelled CSV files, or single files
    #[arg(value_name = "DIR", required_unless_present_any = ["worlds", "clean"])]
    folders: Vec<PathBuf>,
    /// False pages of each series that the threshold of recall and precision may cost, and that the detector is asked to
    /// keep to [default: 1 per week]
    #[arg(long, value_name = "BUDGET")]
    budget: Option<Budget>,
    /// Score what another detector wrote instead; once for each DIR, in their order
    #[arg(long, value_name = "DIR2", conflicts_with_all = ["strategy", "sensitivity", "config"])]
    scores: Vec<PathBuf>,
    /// Score worlds from so many seeds as well: a series of each by itself, and a young one beside one like it
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000), conflicts_with = "scores")]
    worlds: Option<u32>,
    /// Score clean series from so many seeds as well, five by the minute and five by the hour of each: what a budget is kept to
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000), conflicts_with = "scores")]
    clean: Option<u32>,
    /// Leave parts of auto out
    #[arg(long, value_name = "PART", value_delimiter = ',', value_parser = parts(), hide_possible_values = true, conflicts_with_all = ["scores", "strategy"])]
    without: Vec<Part>,
    /// Leave out each part of auto in turn, and show what that costs
    #[arg(long, conflicts_with_all = ["scores", "strategy", "without"])]
    each_without: bool,
    #[command(flatten)]
    method: MethodArgs,
}

fn parts() -> impl TypedValueParser<Value = Part> {
    PossibleValuesParser::new(Part::ALL.map(Part::as_str)).try_map(|name| name.parse::<Part>())
}

/// One file or world to score, and the folder it belongs to.
struct Job {
    folder: usize,
    of: Of,
}

enum Of {
    File(PathBuf, Source),
    World(u64),
    Clean(u64),
}

pub fn evaluate(args: &EvaluateArgs, out: &Out) -> Result<Done, Failed> {
    let config = unhurried(args.method.engine_config(WindowAge::Configured, args.budget)?);
    let rules = config.series.iter().filter_map(|rule| rule.strategy.as_ref());
    if (args.each_without || !args.without.is_empty())
        && !rules.chain([&config.learning.strategy]).any(|strategy| **strategy == *AUTO)
    {
        return Err(Failed::Use(format!(
            "learning.strategy {}: only auto has parts to leave out; leave out --without and --each-without, or have auto in \
             the configuration",
            config.learning.strategy
        )));
    }
    let per_week = config.budget.per_week();
    let per_week = per_week.ok_or_else(|| {
        Failed::Use("budget none: measures are compared at a budget; give one with --budget".to_owned())
    })?;
    let jobs = jobs(args)?;
    if args.each_without {
        return each_without(args, &jobs, &config, per_week, out);
    }
    let folders = scored(args, &jobs, &config, args.without.iter().copied().collect(), true)?;
    let mut all = Vec::new();
    for (name, series) in &folders {
        all.extend(rows(Some(name), &series.iter().collect::<Vec<_>>(), per_week));
    }
    if args.folders.len() > 1 {
        let series = folders[..args.folders.len()].iter().flat_map(|(_, series)| series);
        all.extend(rows(None, &series.collect::<Vec<_>>(), per_week));
    }
    let without: Vec<&str> = args.without.iter().map(|part| part.as_str()).collect();
    if out.is_json() {
        let mut answer = json!({ "data": all, "budget_per_week": per_week, "random_seed": RANDOM_SEED });
        if !without.is_empty() {
            answer["without"] = json!(without);
        }
        out.json(&answer)?;
    } else {
        table(&all, out)?;
        if !without.is_empty() {
            out.text(&format!("Without {}.", without.join(", ")))?;
        }
    }
    Ok(Done::Quietly)
}

/// The series of each folder, with its name. Worlds stand last, as folders of their own.
fn scored(
    args: &EvaluateArgs,
    jobs: &[Job],
    config: &Config,
    without: Without,
    with_random: bool,
) -> Result<Vec<(String, Vec<Scored>)>, Failed> {
    let names = args.folders.iter().map(|path| name(path));
    let mut folders: Vec<(String, Vec<Scored>)> = names.map(|name| (name, Vec::new())).collect();
    if args.worlds.is_some() {
        folders.extend(worlds::FOLDERS.map(|name| (name.to_owned(), Vec::new())));
    }
    if args.clean.is_some() {
        folders.extend(worlds::CLEAN.map(|name| (name.to_owned(), Vec::new())));
    }
    for (folder, scored) in score_all(jobs, config, without, with_random)?.into_iter().flatten() {
        folders[folder].1.push(scored);
    }
    for (path, (_, series)) in args.folders.iter().zip(&folders) {
        if series.is_empty() {
            return Err(Failed::World(format!("{}: no file has any rows; nothing can be scored", path.display())));
        }
    }
    // Of few seeds there may be no world of a kind.
    folders.retain(|(_, series)| !series.is_empty());
    Ok(folders)
}

/// What is left where a part is left out.
#[derive(Serialize)]
struct Left {
    folder: String,
    /// None: nothing is left out.
    without: Option<&'static str>,
    series: usize,
    events: usize,
    /// Of `alert_score`.
    nab_standard: Option<f64>,
    /// Of `score`.
    vus_pr: Option<f64>,
    /// Of `alert`, as are the others.
    event_recall: Option<f64>,
    false_pages_per_week: Option<f64>,
}

fn each_without(args: &EvaluateArgs, jobs: &[Job], config: &Config, per_week: f64, out: &Out) -> Result<Done, Failed> {
    let mut left = Vec::new();
    for without in std::iter::once(None).chain(Part::ALL.map(Some)) {
        for (folder, series) in scored(args, jobs, config, without.into_iter().collect(), false)? {
            let rows = rows(Some(&folder), &series.iter().collect::<Vec<_>>(), per_week);
            let by = |wanted: &str| rows.iter().find(|row| row.by == wanted);
            let alert = by("alert");
            left.push(Left {
                folder,
                without: without.map(Part::as_str),
                series: series.len(),
                events: alert.map_or(0, |row| row.events),
                nab_standard: by("alert_score").and_then(|row| row.nab_standard),
                vus_pr: by("score").and_then(|row| row.vus_pr),
                event_recall: alert.and_then(|row| row.event_recall),
                false_pages_per_week: alert.and_then(|row| row.false_pages_per_week),
            });
        }
    }
    // Folder by folder, in the order in which they were named: what is compared stands under each other.
    let order: Vec<String> =
        left.iter().take_while(|row| row.without.is_none()).map(|row| row.folder.clone()).collect();
    left.sort_by_key(|row| order.iter().position(|folder| *folder == row.folder));
    if out.is_json() {
        out.json(&json!({ "data": left, "budget_per_week": per_week }))?;
        return Ok(Done::Quietly);
    }
    let figure = |value: Option<f64>, form: fn(f64) -> String| value.map_or_else(|| "-".to_owned(), form);
    let lines = left.iter().map(|row| {
        vec![
            row.folder.clone(),
            row.without.unwrap_or("nothing").to_owned(),
            figure(row.nab_standard, points),
            figure(row.vus_pr, share),
            figure(row.event_recall, share),
            figure(row.false_pages_per_week, share),
        ]
    });
    let heads = ["folder", "without", "NAB standard", "VUS-PR", "event recall", "false pages a week"];
    out.table(&heads, &lines.collect::<Vec<_>>())?;
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
            jobs.push(Job { folder, of: Of::File(path, source) });
        }
    }
    let worlds = 1..=u64::from(args.worlds.unwrap_or(0));
    jobs.extend(worlds.map(|seed| Job { folder: args.folders.len(), of: Of::World(seed) }));
    let after = args.folders.len() + args.worlds.map_or(0, |_| worlds::FOLDERS.len());
    let clean = 1..=u64::from(args.clean.unwrap_or(0));
    jobs.extend(clean.map(|seed| Job { folder: after, of: Of::Clean(seed) }));
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

/// A series with the number of its folder.
type InFolder = (usize, Scored);

fn score(job: &Job, config: &Config, without: Without, with_random: bool) -> Result<Vec<InFolder>, Failed> {
    let methods = || Methods::built_in().with_detector(Box::new(Auto::without(without)));
    let list = match &job.of {
        Of::File(path, source) => series_of(path, source, config, &methods)?.into_iter().map(|one| (0, one)).collect(),
        Of::World(seed) => series_of_seed(*seed, config, &methods)?,
        Of::Clean(seed) => clean_of_seed(*seed, config, &methods)?,
    };
    Ok(list.into_iter().map(|(kind, one)| (job.folder + kind, Scored::new(one, with_random))).collect())
}

/// Scores files and worlds side by side, one per core; the answers are in their order.
fn score_all(jobs: &[Job], config: &Config, without: Without, with_random: bool) -> Result<Vec<Vec<InFolder>>, Failed> {
    let progress = match io::stderr().is_terminal() {
        true => indicatif::ProgressBar::new(jobs.len() as u64),
        false => indicatif::ProgressBar::hidden(),
    };
    let next = AtomicUsize::new(0);
    let done = Mutex::new(jobs.iter().map(|_| Ok(Vec::new())).collect::<Vec<Result<Vec<InFolder>, Failed>>>());
    let workers = std::thread::available_parallelism().map_or(1, |cores| cores.get()).min(jobs.len().max(1));
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let Some(job) = jobs.get(number) else { break };
                    let scored = score(job, config, without, with_random);
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
