//! `homeostat learn`: thresholds from files, without a daemon.
//!
//! All rows are taken in first and learned from once, so that ten thousand of them cost a few milliseconds. Now is the
//! time of the last row: the same file gives the same thresholds for ever.

use super::offline::{BadRows, MethodArgs, WindowAge};
use super::output::{Out, number_or_dash};
use super::{Done, Failed};
use crate::source::file::{Line, Rows};
use crate::view::{ThresholdRow, threshold_row};
use homeostat::analyze::strategy::auto::AUTO;
use homeostat::analyze::strategy::{ADAPTIVE, Methods};
use homeostat::config::{Config, Kind};
use homeostat::engine::Engine;
use homeostat::event::Event;
use homeostat::knowledge::series::Series;
use homeostat::monitor::{Fate, Sample};
use homeostat::series::SeriesName;
use homeostat::time::Timestamp;
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::path::PathBuf;

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  homeostat learn load.csv                             timestamp,value, or timestamp,value,series
  homeostat learn day1.csv day2.csv --format json      one series over several files
  homeostat learn load.csv --strategy iqr --sensitivity 3
  grep api metrics.jsonl | homeostat learn - --format csv

A file is CSV with the columns timestamp and value, and series where there are several, or JSON lines with these keys.
A time is Unix seconds or RFC 3339. Without the column, the series is called as the file. The last 10,000 rows of each
series are used, whatever their age. Rows that do not parse are told on standard error, and the rest is used.")]
pub struct LearnArgs {
    /// CSV or JSON lines; - is standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// How the thresholds are printed [default: as --output]
    #[arg(long, value_enum, value_name = "FORMAT")]
    format: Option<LearnFormat>,
    /// Exit with 1 when a row does not parse
    #[arg(long)]
    strict: bool,
    #[command(flatten)]
    method: MethodArgs,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum LearnFormat {
    Table,
    Json,
    Yaml,
    Csv,
}

pub fn learn(args: &LearnArgs, out: &Out) -> Result<Done, Failed> {
    let learned = from_files(&args.files, args.method.engine_config(WindowAge::Any, None)?)?;
    let knowledge = learned.engine.knowledge();
    let missing = |series: &&Series| series.learned().is_none() && series.kind() != Kind::Histogram;
    for series in knowledge.series().filter(missing) {
        let (held, wanted) = (series.window().len(), knowledge.config().learning.min_data_points);
        match held < wanted {
            true => eprintln!("{}: {held} usable rows, {wanted} are needed to learn", series.name()),
            false => eprintln!("{}: nothing to learn from {held} rows ({})", series.name(), series.kind().as_str()),
        }
    }
    let format = args.format.unwrap_or(if out.is_json() { LearnFormat::Json } else { LearnFormat::Table });
    print(&learned.rows(), format, out)?;
    Ok(if args.strict && learned.bad > 0 { Done::WithFindings } else { Done::Quietly })
}

/// What files said.
pub struct Learned {
    engine: Engine,
    /// The time of the last row.
    now: Timestamp,
    /// How many rows did not parse.
    bad: u64,
}

impl Learned {
    pub fn rows(&self) -> Vec<ThresholdRow> {
        self.engine.knowledge().series().filter_map(|series| threshold_row(series, self.now)).collect()
    }
}

/// Reads files and learns from all of their rows at once.
pub fn from_files(files: &[PathBuf], mut config: Config) -> Result<Learned, Failed> {
    // Auto leaves the bounds to adaptive; its alerts would tell nobody, and leave out rows that were given to learn from.
    let rules = config.series.iter_mut().filter_map(|rule| rule.strategy.as_mut());
    for strategy in rules.chain([&mut config.learning.strategy]).filter(|strategy| *strategy == AUTO) {
        *strategy = ADAPTIVE.into();
    }
    let (histories, bad) = read(files, config.learning.window_len)?;
    let (engine, now) = learned(config, &histories)?;
    Ok(Learned { engine, now, bad })
}

type Histories = BTreeMap<SeriesName, History>;

/// The latest rows of one series.
#[derive(Default)]
struct History {
    rows: Vec<(Timestamp, f64)>,
    /// Whether the rows are in order of time so far.
    sorted: bool,
}

impl History {
    fn push(&mut self, at: Timestamp, value: f64, len_max: usize) {
        self.sorted = self.rows.last().is_none_or(|(last, _)| self.sorted && *last <= at);
        self.rows.push((at, value));
        // Twice the window, so that moving the rest costs little per row.
        if self.rows.len() >= 2 * len_max {
            self.settle(len_max);
        }
    }

    /// In order of time, and no more than the last `len_max`.
    fn settle(&mut self, len_max: usize) {
        if !self.sorted {
            self.rows.sort_by_key(|(at, _)| *at);
            self.sorted = true;
        }
        let over = self.rows.len().saturating_sub(len_max);
        self.rows.drain(..over);
    }
}

/// Reads all files; several may hold rows of one series. Says how many rows did not parse.
fn read(files: &[PathBuf], window_len: usize) -> Result<(Histories, u64), Failed> {
    // A counter's rate and repeated rows cost some; the window itself forgets what is over.
    let len_max = window_len + window_len / 4 + 16;
    let mut histories = Histories::new();
    let mut bad_total = 0;
    let progress = progress();
    for path in files {
        let mut rows = Rows::open(path).map_err(|error| Failed::World(error.to_string()))?;
        let mut bad = BadRows::new(path);
        let mut count = 0u64;
        // Rows of one series tend to follow each other: then its history is at hand.
        let mut current: Option<(usize, SeriesName, History)> = None;
        while let Some(line) = rows.next_line().map_err(|error| Failed::World(error.to_string()))? {
            count += 1;
            match line {
                Line::Row(row) => {
                    if current.as_ref().is_none_or(|(series, _, _)| *series != row.series) {
                        if let Some((_, name, history)) = current.take() {
                            histories.insert(name, history);
                        }
                        let history = histories.remove(row.name).unwrap_or_default();
                        current = Some((row.series, row.name.clone(), history));
                    }
                    if let Some((_, _, history)) = &mut current {
                        history.push(row.at, row.value, len_max);
                    }
                }
                Line::Bad(error) => bad.tell(&error),
            }
            if count.is_multiple_of(65_536) {
                progress.set_message(format!("{}: {count} rows", path.display()));
                progress.tick();
            }
        }
        if let Some((_, name, history)) = current {
            histories.insert(name, history);
        }
        bad_total += bad.sum_up(count);
    }
    progress.finish_and_clear();
    histories.values_mut().for_each(|history| history.settle(len_max));
    Ok((histories, bad_total))
}

fn progress() -> indicatif::ProgressBar {
    if std::io::stderr().is_terminal() {
        indicatif::ProgressBar::new_spinner()
    } else {
        indicatif::ProgressBar::hidden()
    }
}

/// An engine that has seen every history and learned from it, and the time it then is.
fn learned(mut config: Config, histories: &Histories) -> Result<(Engine, Timestamp), Failed> {
    // What is made of a histogram is a series as well.
    config.limits.series_max = config.limits.series_max.max(4 * histories.len());
    let latest = histories.values().filter_map(|history| history.rows.last()).map(|(at, _)| *at);
    let now = latest.max().unwrap_or(Timestamp::EPOCH);
    let mut engine = Engine::with_methods(config, Methods::built_in(), 1, now);
    let mut interned = Vec::with_capacity(histories.len());
    for (name, history) in histories {
        let first = history.rows.first().map_or(now, |(at, _)| *at);
        interned.push(engine.intern(name, None, first).map_err(|error| Failed::World(error.to_string()))?);
    }
    let mut buckets = Vec::new();
    for (series, (name, history)) in interned.into_iter().zip(histories) {
        if engine.knowledge().get(series).is_some_and(|series| series.kind() == Kind::Histogram) {
            buckets.extend(history.rows.iter().map(|&(at, value)| Sample { series, at, value }));
            continue;
        }
        let mut unusable = 0u64;
        for (at, value) in &history.rows {
            // Nothing is in force yet, so nothing is judged and no event of interest leaves.
            let observed = engine.observe(&[Sample { series, at: *at, value: *value }], *at);
            unusable += 1 - observed.fates.of(Fate::Admitted) - observed.fates.of(Fate::Folded);
        }
        if unusable > 0 {
            eprintln!("{name}: {unusable} rows left out (not a number, or a second one at its time)");
        }
    }
    // The buckets of a histogram say something together: they are taken moment by moment, not one after the other.
    buckets.sort_by_key(|sample| sample.at);
    for sample in buckets {
        let _ = engine.observe(&[sample], sample.at);
    }
    // A cycle learns as many series as the state's parallelism allows, and brings their thresholds into force.
    let cycles_max = 16 + engine.knowledge().series_count();
    for _ in 0..cycles_max {
        let events = engine.cycle(now).events;
        let goes_on = events.iter().any(|event| match event {
            Event::CycleCompleted(completed) => completed.waiting > 0 && completed.learned > 0,
            event => matches!(event, Event::ChangeDispatched { .. }),
        });
        if !goes_on {
            break;
        }
    }
    Ok((engine, now))
}

/// The answer of the API's `thresholds`.
#[derive(Serialize)]
struct List<'a> {
    data: &'a [ThresholdRow],
}

fn print(rows: &[ThresholdRow], format: LearnFormat, out: &Out) -> Result<(), Failed> {
    match format {
        LearnFormat::Json => out.json(&List { data: rows }),
        LearnFormat::Yaml => {
            let text = serde_saphyr::to_string(&List { data: rows })
                .map_err(|error| Failed::World(format!("cannot write the thresholds as YAML: {error}")))?;
            out.text(&text)
        }
        LearnFormat::Csv => out.text(&csv(rows)?),
        LearnFormat::Table => {
            let head = ["series", "lower", "upper", "confidence", "strategy", "samples", "reasoning"];
            let cells: Vec<Vec<String>> = rows
                .iter()
                .map(|row| {
                    vec![
                        row.series.to_string(),
                        number_or_dash(row.lower),
                        number_or_dash(row.upper),
                        format!("{:.2}", row.confidence),
                        row.strategy.to_string(),
                        row.supporting.statistics.count.to_string(),
                        row.reasoning.clone(),
                    ]
                })
                .collect();
            out.table(&head, &cells)
        }
    }
}

/// One line per threshold; the supporting numbers as columns.
pub fn csv(rows: &[ThresholdRow]) -> Result<String, Failed> {
    let failed = |error: &dyn std::fmt::Display| Failed::World(format!("cannot write the thresholds as CSV: {error}"));
    let mut writer = csv::Writer::from_writer(Vec::new());
    let head = "series,lower,upper,sensitivity,confidence,strategy,active,learned_at,count,mean,median,std_dev,min,max,\
                p25,p75,p90,p95,p99,iqr,reasoning,alert_lower,alert_upper,rhythm";
    writer.write_record(head.split(',')).map_err(|error| failed(&error))?;
    for row in rows {
        let s = &row.supporting.statistics;
        let bound = |bound: Option<f64>| bound.map_or_else(String::new, |bound| bound.to_string());
        let mut record = vec![
            row.series.to_string(),
            bound(row.lower),
            bound(row.upper),
            row.sensitivity.to_string(),
            row.confidence.to_string(),
            row.strategy.to_string(),
            row.active.to_string(),
            row.learned_at.to_string(),
            s.count.to_string(),
        ];
        let numbers = [s.mean, s.median, s.std_dev, s.min, s.max, s.p25, s.p75, s.p90, s.p95, s.p99, s.iqr];
        record.extend(numbers.map(|number| number.to_string()));
        record.extend([row.reasoning.clone(), bound(row.alert_lower), bound(row.alert_upper)]);
        record.push(row.rhythm.clone().unwrap_or_default());
        writer.write_record(&record).map_err(|error| failed(&error))?;
    }
    let bytes = writer.into_inner().map_err(|error| failed(&error))?;
    String::from_utf8(bytes).map_err(|error| failed(&error))
}
