//! `homeostat detect`: every row of a file judged, in one pass.
//!
//! A row is judged by what came before it and only then learned from, and now is its own time: what is said of it does
//! not change when more rows are appended. Each series of a file has an engine to itself, so that a file sorted by
//! series gives the same answer as one sorted by time.

use super::offline::{BadRows, MethodArgs, WindowAge, tell_none_judged};
use super::{Done, Failed};
use crate::source::file::{FileError, Line, Row, Rows};
use homeostat::analyze::strategy::Methods;
use homeostat::budget::Budget;
use homeostat::config::Config;
use homeostat::engine::Engine;
use homeostat::knowledge::SeriesId;
use homeostat::monitor::{Judged, Sample};
use homeostat::time::{Span, Timestamp};
use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The first line of what is written.
const HEAD: &[u8] = b"timestamp,value,lower,upper,breach,score,alert_score,alert\n";

/// The least time between cycles that nothing hurries.
const CYCLES: Span = Span::minutes(15);

/// The least rows between them: a window with fewer new ones says what it said before.
const ROWS_BETWEEN_CYCLES: u64 = 8;

/// Rows between two signs of progress.
const PROGRESS_ROWS: u64 = 65_536;

#[derive(clap::Args)]
#[command(
    group(clap::ArgGroup::new("what").required(true).args(["input", "list"])),
    after_help = "\
Examples:
  homeostat detect load.csv --out judged.csv
  homeostat detect - --out - < load.csv | grep ',1$'      the rows during alerts
  homeostat detect --list files.tsv                       many files: IN<TAB>OUT, one pair a line

Writes timestamp,value,lower,upper,breach,score,alert_score,alert: one row per row of the input, in order. A breach is a
value outside its bounds; an alert is a condition that should page, 1 from its onset until it ends, at the budget. Scores
lie from 0 to 1, higher is stranger: score lasts as long as something is strange, alert_score is high at an onset and quiet
while it goes on. Bounds are those that were learned from the rows so far, or where none are trusted, those of what was to
be expected next. Of a counter they are those of its rate per second, beside the value as it came. A row that was not judged
(too early, not a number, a duplicate, late) has no bounds and zeros. Nothing said of a row depends on later rows."
)]
pub struct DetectArgs {
    /// CSV or JSON lines; - is standard input
    #[arg(value_name = "IN", requires = "out")]
    input: Option<PathBuf>,
    /// Where the judged rows go; - is standard output
    #[arg(long, value_name = "OUT", requires = "input")]
    out: Option<PathBuf>,
    /// A file with one IN<TAB>OUT pair a line
    #[arg(long, value_name = "FILE", conflicts_with_all = ["input", "out"])]
    list: Option<PathBuf>,
    /// How often ordinary samples of each series may alert: '1 per week', per hour, day or month. none: at the fixed level
    /// of 4.5 sigma-equivalents, two samples in a row [default: 1 per week]
    #[arg(long, value_name = "BUDGET")]
    budget: Option<Budget>,
    /// Exit with 1 when a row does not parse
    #[arg(long)]
    strict: bool,
    #[command(flatten)]
    method: MethodArgs,
}

pub fn detect(args: &DetectArgs) -> Result<Done, Failed> {
    let config = unhurried(args.method.engine_config(WindowAge::Configured, args.budget)?);
    let bad = match (&args.list, &args.input, &args.out) {
        (Some(list), _, _) => detect_list(&read_list(list)?, &config)?,
        (None, Some(input), Some(out)) => detect_file(input, out, &config, &spinner())?,
        _ => return Err(Failed::Use("give IN and --out OUT, or --list FILE".to_owned())),
    };
    Ok(if args.strict && bad > 0 { Done::WithFindings } else { Done::Quietly })
}

fn spinner() -> indicatif::ProgressBar {
    if io::stderr().is_terminal() { indicatif::ProgressBar::new_spinner() } else { indicatif::ProgressBar::hidden() }
}

// --- many files -----------------------------------------------------------------------------------------------------

fn read_list(list: &Path) -> Result<Vec<(PathBuf, PathBuf)>, Failed> {
    let text = match list == Path::new("-") {
        true => io::read_to_string(io::stdin()),
        false => fs::read_to_string(list),
    };
    let text = text.map_err(|error| Failed::World(format!("cannot read {}: {error}", list.display())))?;
    let mut pairs = Vec::new();
    let mut lines_of_outs = HashMap::new();
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        match line.split_once('\t') {
            Some((input, out)) if !input.is_empty() && !out.is_empty() && !out.contains('\t') => {
                if let Some(earlier) = lines_of_outs.insert(place(Path::new(out)), number + 1) {
                    return Err(Failed::Use(format!(
                        "{} line {}: {out} is written by line {earlier} already; give each its own",
                        list.display(),
                        number + 1
                    )));
                }
                pairs.push((PathBuf::from(input), PathBuf::from(out)));
            }
            _ => {
                let list = list.display();
                return Err(Failed::Use(format!(
                    "{list} line {}: two paths with a tab between them are wanted",
                    number + 1
                )));
            }
        }
    }
    Ok(pairs)
}

/// A path in the one form by which two that name the same file are known.
fn place(path: &Path) -> PathBuf {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match (folder.canonicalize(), path.file_name()) {
        (Ok(folder), Some(name)) => folder.join(name),
        _ => path.to_owned(),
    }
}

/// Judges files side by side, one per core. One that fails does not keep the others from being judged.
fn detect_list(pairs: &[(PathBuf, PathBuf)], config: &Config) -> Result<u64, Failed> {
    let progress = match io::stderr().is_terminal() {
        true => indicatif::ProgressBar::new(pairs.len() as u64),
        false => indicatif::ProgressBar::hidden(),
    };
    let next = AtomicUsize::new(0);
    let total = Mutex::new((0u64, Vec::new()));
    let workers = std::thread::available_parallelism().map_or(1, |cores| cores.get()).min(pairs.len().max(1));
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while let Some((input, out)) = pairs.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let done = detect_file(input, out, config, &indicatif::ProgressBar::hidden());
                    progress.inc(1);
                    let mut total = total.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
                    match done {
                        Ok(bad) => total.0 += bad,
                        Err(failed) => total.1.push(failed),
                    }
                }
            });
        }
    });
    progress.finish_and_clear();
    let (bad, mut failures) = total.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner());
    let Some(last) = failures.pop() else { return Ok(bad) };
    for failed in &failures {
        eprintln!("homeostat: {failed}");
    }
    Err(last)
}

// --- one file -------------------------------------------------------------------------------------------------------

/// Judges one file. Says how many rows did not parse.
fn detect_file(input: &Path, out: &Path, config: &Config, progress: &indicatif::ProgressBar) -> Result<u64, Failed> {
    let world = |error: FileError| Failed::World(error.to_string());
    let mut rows = Rows::open(input).map_err(world)?;
    let mut sink = Sink::open(input, out)?;
    let mut judges = Judges::new(config, &Methods::built_in);
    let mut writer = RowWriter::default();
    let mut bad = BadRows::new(input);
    let mut count = 0u64;
    sink.write(HEAD)?;
    while let Some(line) = rows.next_line().map_err(world)? {
        count += 1;
        match line {
            Line::Row(row) => {
                let judged = judges.judge(&row);
                sink.write(writer.row(row.at_text, row.value_text, &judged))?;
            }
            Line::Bad(error) => {
                bad.tell(&error);
                sink.write(writer.row(&error.at_text, &error.value_text, &Judged::default()))?;
            }
        }
        if count.is_multiple_of(PROGRESS_ROWS) {
            progress.set_message(format!("{}: {count} rows", input.display()));
            progress.tick();
        }
    }
    progress.finish_and_clear();
    sink.finish()?;
    let bad = bad.sum_up(count);
    judges.sum_up(input, count, bad);
    Ok(bad)
}

/// The loop has nothing to steer in a file: its cycles only learn, and what is due hurries them anyway.
pub(super) fn unhurried(mut config: Config) -> Config {
    config.states = config.states.unhurried(CYCLES);
    config
}

/// The engine of one series.
struct Judge {
    engine: Engine,
    series: SeriesId,
    /// Rows since the last cycle.
    rows: u64,
}

impl Judge {
    fn judge(&mut self, now: Timestamp, value: f64) -> Judged {
        // Before the row: what it is judged by is learned from earlier ones alone.
        let (next, knowledge) = (self.engine.next_cycle(), self.engine.knowledge());
        let hurried = next < knowledge.last_cycle() + knowledge.parameters().monitoring_interval;
        if now >= next && (hurried || self.rows >= ROWS_BETWEEN_CYCLES) {
            drop_events(self.engine.cycle(now).events);
            self.rows = 0;
        }
        self.rows += 1;
        let mut judged = Judged::default();
        let sample = Sample { series: self.series, at: now, value };
        drop_events(self.engine.observe_each(&[sample], now, |_, _, said| judged = *said).events);
        judged
    }
}

/// One engine per series of a file.
pub(super) struct Judges<'a> {
    config: &'a Config,
    methods: &'a dyn Fn() -> Methods,
    /// By the file's number of the series; none where there was no room.
    list: Vec<Option<Judge>>,
    /// Rows of series beyond the limit.
    refused: u64,
    /// Whether anything was said of any row.
    any_judged: bool,
}

impl<'a> Judges<'a> {
    pub(super) fn new(config: &'a Config, methods: &'a dyn Fn() -> Methods) -> Judges<'a> {
        Judges { config, methods, list: Vec::new(), refused: 0, any_judged: false }
    }

    /// By what came before it, and it is learned from afterwards.
    pub(super) fn judge(&mut self, row: &Row<'_>) -> Judged {
        while self.list.len() <= row.series {
            let room = self.list.len() < self.config.limits.series_max;
            self.list.push(if room { self.start(row) } else { None });
        }
        let Some(judge) = &mut self.list[row.series] else {
            self.refused += 1;
            return Judged::default();
        };
        let judged = judge.judge(row.at, row.value);
        self.any_judged |= judged.lower.is_some() || judged.upper.is_some() || judged.score > 0.0;
        judged
    }

    /// The newest sample of a series by its number, as it was judged.
    pub(super) fn newest(&self, series: usize) -> Option<(Timestamp, f64)> {
        let judge = self.list.get(series)?.as_ref()?;
        judge.engine.knowledge().get(judge.series)?.window().newest()
    }

    /// Says how many rows of a file were not judged, of `rows` of which `bad` did not parse; and why, when none was.
    pub(super) fn sum_up(&self, path: &Path, rows: u64, bad: u64) {
        if !self.any_judged && rows > 0 {
            let held = self.list.iter().flatten().filter_map(|judge| judge.engine.knowledge().get(judge.series));
            tell_none_judged(path, bad, held, self.config);
        }
        if self.refused > 0 {
            eprintln!(
                "{}: {} rows were not judged: more than {} series (limits.series_max)",
                path.display(),
                self.refused,
                self.config.limits.series_max
            );
        }
    }

    fn start(&self, row: &Row<'_>) -> Option<Judge> {
        let mut engine = Engine::with_methods(self.config.clone(), (self.methods)(), 1, row.at);
        // An engine with nothing in it has room for one.
        let series = engine.intern(row.name, None, row.at).ok()?;
        Some(Judge { engine, series, rows: 0 })
    }
}

/// Nothing is stored here: the judged rows are the record.
fn drop_events(events: Vec<homeostat::event::Event>) {
    drop(events);
}

/// Writes one judged row after another into the same buffer.
#[derive(Default)]
struct RowWriter {
    line: Vec<u8>,
    /// The bounds of the row before, and how they are written: they change once in hundreds of rows.
    bounds: (Option<f64>, Option<f64>),
    bounds_text: Vec<u8>,
}

impl RowWriter {
    fn row(&mut self, at_text: &str, value_text: &str, judged: &Judged) -> &[u8] {
        self.line.clear();
        field(&mut self.line, at_text);
        self.line.push(b',');
        field(&mut self.line, value_text);
        if self.bounds_text.is_empty() || self.bounds != (judged.lower, judged.upper) {
            self.bounds = (judged.lower, judged.upper);
            self.bounds_text.clear();
            for bound in [judged.lower, judged.upper] {
                self.bounds_text.push(b',');
                if let Some(bound) = bound {
                    number(&mut self.bounds_text, bound);
                }
            }
        }
        self.line.extend_from_slice(&self.bounds_text);
        self.line.extend_from_slice(if judged.breach { b",1," } else { b",0," });
        number(&mut self.line, judged.score);
        self.line.push(b',');
        number(&mut self.line, judged.alert_score);
        self.line.extend_from_slice(if judged.alert { b",1\n" } else { b",0\n" });
        &self.line
    }
}

/// The shortest text that reads back as the same number.
fn number(line: &mut Vec<u8>, value: f64) {
    if value == 0.0 {
        line.push(b'0');
    } else {
        // Writing into memory does not fail.
        let _ = write!(line, "{value}");
    }
}

/// As it was written, in quotes where it could be taken for more than one field.
fn field(line: &mut Vec<u8>, text: &str) {
    if text.bytes().any(|byte| matches!(byte, b',' | b'"' | b'\n' | b'\r')) {
        line.push(b'"');
        line.extend_from_slice(text.replace('"', "\"\"").as_bytes());
        line.push(b'"');
    } else {
        line.extend_from_slice(text.as_bytes());
    }
}

/// Where judged rows go. A file appears whole or not at all: it is written beside its place and moved there at the end.
struct Sink {
    out: PathBuf,
    writer: BufWriter<Box<dyn Write>>,
    /// What is written, and where it is moved to.
    moved: Option<(PathBuf, PathBuf)>,
}

impl Sink {
    fn open(input: &Path, out: &Path) -> Result<Sink, Failed> {
        let buffered = |writer: Box<dyn Write>| BufWriter::with_capacity(1 << 16, writer);
        if out == Path::new("-") {
            return Ok(Sink { out: out.to_owned(), writer: buffered(Box::new(io::stdout())), moved: None });
        }
        let world = |error: io::Error| Failed::World(format!("cannot write {}: {error}", out.display()));
        let target = match fs::metadata(out) {
            Ok(found) if found.is_dir() => {
                return Err(Failed::Use(format!("{} is a folder; name a file", out.display())));
            }
            // A pipe or a device cannot be replaced; it is written as it stands.
            Ok(found) if !found.is_file() => {
                let file = File::options().write(true).open(out).map_err(world)?;
                return Ok(Sink { out: out.to_owned(), writer: buffered(Box::new(file)), moved: None });
            }
            // A link stays a link: the file behind it is replaced.
            Ok(_) => out.canonicalize().map_err(world)?,
            Err(_) => out.to_owned(),
        };
        if input.canonicalize().is_ok_and(|input| input == target) {
            return Err(Failed::Use(format!(
                "{} would replace the input; name another file with --out",
                out.display()
            )));
        }
        let mut name =
            target.file_name().ok_or_else(|| Failed::Use(format!("{} is no file", out.display())))?.to_owned();
        name.push(format!(".{}.tmp", std::process::id()));
        let beside = target.with_file_name(name);
        let file = File::create(&beside).map_err(world)?;
        Ok(Sink { out: out.to_owned(), writer: buffered(Box::new(file)), moved: Some((beside, target)) })
    }

    fn failed(&self, error: io::Error) -> Failed {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Failed::ReaderGone,
            _ => Failed::World(format!("cannot write {}: {error}", self.out.display())),
        }
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Failed> {
        match self.writer.write_all(bytes) {
            Ok(()) => Ok(()),
            Err(error) => Err(self.failed(error)),
        }
    }

    fn finish(mut self) -> Result<(), Failed> {
        if let Err(error) = self.writer.flush() {
            return Err(self.failed(error));
        }
        if let Some((beside, target)) = self.moved.take()
            && let Err(error) = fs::rename(&beside, &target)
        {
            self.moved = Some((beside, target));
            return Err(self.failed(error));
        }
        Ok(())
    }
}

impl Drop for Sink {
    /// What was not finished leaves nothing behind.
    fn drop(&mut self) {
        if let Some((beside, _)) = &self.moved {
            let _ = fs::remove_file(beside);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_keep_their_text_and_stay_one_field() {
        let mut writer = RowWriter::default();
        let row = writer.row("1", "a,\"b", &Judged::default());
        assert_eq!(row, b"1,\"a,\"\"b\",,,0,0,0,0\n");
        let judged = Judged {
            lower: Some(-1.5),
            upper: None,
            breach: true,
            score: 0.25,
            alert_score: 0.0,
            alert: true,
            ..Judged::default()
        };
        assert_eq!(writer.row("2", "3", &judged), b"2,3,-1.5,,1,0.25,0,1\n");
    }

    #[test]
    fn a_row_is_judged_by_its_own_series_at_its_own_time() {
        let config = Config::default();
        let name = |text: &str| homeostat::series::SeriesName::parse(text).expect("a name");
        let names = [name("a"), name("b")];
        let judge = |order: &[(usize, i64)]| {
            let mut judges = Judges::new(&config, &Methods::built_in);
            let mut said = vec![Vec::new(), Vec::new()];
            for (series, at) in order {
                let value = f64::from((*at * 7 % 13) as i32);
                let at = Timestamp::from_secs(*at);
                let row =
                    Row { line: 1, series: *series, name: &names[*series], at, at_text: "", value, value_text: "" };
                said[*series].push(judges.judge(&row));
            }
            said
        };
        let by_series: Vec<_> = (0..2).flat_map(|s| (0..400).map(move |at| (s, at))).collect();
        let by_time: Vec<_> = (0..400).flat_map(|at| (0..2).map(move |s| (s, at))).collect();
        let said = judge(&by_series);
        assert_eq!(said, judge(&by_time));
        assert!(said[1].last().is_some_and(|judged| judged.upper.is_some()));
    }
}
