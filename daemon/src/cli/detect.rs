//! `homeostat detect`: every row of a file, judged by what came before it.
//!
//! Each row is judged before it is learned from, in the time of the row itself, and written at once: nothing said of a row
//! depends on later ones, so half of a file gives half of the answer.

use super::offline::{BadRows, MethodArgs, WindowAge};
use super::{Done, Failed};
use crate::source::file::{Line, Rows};
use homeostat::engine::Engine;
use homeostat::knowledge::SeriesId;
use homeostat::monitor::{Judged, Sample};
use homeostat::time::Timestamp;
use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  homeostat detect load.csv --out judged.csv
  homeostat detect load.csv --out - --strategy robust | awk -F, '$8 == 1'
  homeostat detect --list pairs.txt              many files at once: IN<TAB>OUT on each line

The answer has a row for each row of the input, in order: timestamp,value,lower,upper,breach,score,alert_score,alert.
A row that was not judged (too early, not a number, a duplicate, late) has empty bounds and zeros.")]
pub struct DetectArgs {
    /// CSV or JSON lines; - is standard input
    #[arg(value_name = "IN", required_unless_present = "list")]
    input: Option<PathBuf>,
    /// Where the answer goes; - is standard output
    #[arg(long, value_name = "OUT", required_unless_present = "list")]
    out: Option<PathBuf>,
    /// A file of IN<TAB>OUT lines
    #[arg(long, value_name = "FILE", conflicts_with_all = ["input", "out"])]
    list: Option<PathBuf>,
    /// Pages wanted, like '1 per week', or none: the fixed level of 4.5 sigmas, sustained
    #[arg(long, value_name = "BUDGET")]
    budget: Option<String>,
    /// Exit with 1 when a row does not parse
    #[arg(long)]
    strict: bool,
    #[command(flatten)]
    method: MethodArgs,
}

const HEAD: &str = "timestamp,value,lower,upper,breach,score,alert_score,alert\n";

pub fn detect(args: &DetectArgs) -> Result<Done, Failed> {
    check_budget(args.budget.as_deref())?;
    let config = args.method.engine_config(WindowAge::Configured)?;
    let pairs = match (&args.list, &args.input, &args.out) {
        (Some(list), _, _) => read_list(list)?,
        (None, Some(input), Some(out)) => vec![(input.clone(), out.clone())],
        (None, _, _) => return Err(Failed::Use("give IN and --out OUT, or --list FILE".to_owned())),
    };
    let progress = progress(pairs.len());
    let mut bad = 0;
    for (input, out) in &pairs {
        progress.set_message(input.display().to_string());
        bad += one(&config, input, out)?;
        progress.inc(1);
    }
    progress.finish_and_clear();
    Ok(if args.strict && bad > 0 { Done::WithFindings } else { Done::Quietly })
}

/// Budgets are checked for form already; levels that follow them come with a later version, and that is said.
fn check_budget(budget: Option<&str>) -> Result<(), Failed> {
    let Some(budget) = budget.filter(|budget| *budget != "none") else { return Ok(()) };
    let mut words = budget.split_whitespace();
    let pages = words.next().and_then(|count| count.parse::<f64>().ok()).filter(|count| *count > 0.0);
    let per = words.next() == Some("per");
    let unit = words.next().is_some_and(|unit| ["hour", "day", "week", "month"].contains(&unit));
    if pages.is_none() || !per || !unit || words.next().is_some() {
        return Err(Failed::Use(format!("--budget `{budget}` is not like '1 per week', nor none")));
    }
    eprintln!("this version judges at the fixed level of 4.5 sigmas, as with --budget none; budgets are not built yet");
    Ok(())
}

fn read_list(list: &Path) -> Result<Vec<(PathBuf, PathBuf)>, Failed> {
    let text = std::fs::read_to_string(list)
        .map_err(|error| Failed::World(format!("cannot read {}: {error}", list.display())))?;
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(at, line)| match line.split_once('\t') {
            Some((input, out)) => Ok((PathBuf::from(input), PathBuf::from(out))),
            None => Err(Failed::Use(format!("{} line {}: IN and OUT have to be parted by a tab", list.display(), at + 1))),
        })
        .collect()
}

fn progress(files: usize) -> indicatif::ProgressBar {
    if files < 2 || !io::stderr().is_terminal() {
        return indicatif::ProgressBar::hidden();
    }
    let style = indicatif::ProgressStyle::with_template("{pos}/{len} {bar:30} {eta} {msg}");
    indicatif::ProgressBar::new(files as u64).with_style(style.unwrap_or_else(|_| indicatif::ProgressStyle::default_bar()))
}

/// Judges one file; how many of its rows did not parse.
fn one(config: &homeostat::config::Config, input: &Path, out: &Path) -> Result<u64, Failed> {
    let mut rows = Rows::open(input).map_err(|error| Failed::World(error.to_string()))?;
    let mut answer = Answer::create(out)?;
    answer.write(HEAD.as_bytes())?;
    let mut judge = Judge { config, engine: None, ids: Vec::new() };
    let mut bad_rows = BadRows::new(input);
    let mut count = 0;
    let mut line = String::new();
    while let Some(read) = rows.next_line().map_err(|error| Failed::World(error.to_string()))? {
        line.clear();
        count += 1;
        match read {
            Line::Row(row) => {
                let judged = judge.row(row.series, row.name, row.at, row.value);
                row_text(&mut line, row.at_text, row.value_text, &judged);
            }
            Line::Bad(error) => {
                bad_rows.tell(&error);
                row_text(&mut line, &error.at_text, &error.value_text, &Judged::default());
            }
        }
        answer.write(line.as_bytes())?;
    }
    answer.finish()?;
    Ok(bad_rows.sum_up(count))
}

/// The engine in the time of the rows.
struct Judge<'a> {
    config: &'a homeostat::config::Config,
    /// Begins at the first row's time.
    engine: Option<Engine>,
    ids: Vec<Option<SeriesId>>,
}

impl Judge<'_> {
    fn row(&mut self, number: usize, name: &homeostat::series::SeriesName, at: Timestamp, value: f64) -> Judged {
        let engine = self.engine.get_or_insert_with(|| Engine::new(self.config.clone(), at));
        // Time that goes back in the file is a late row, not an earlier now.
        let now = at.max(engine.knowledge().last_cycle());
        if now >= engine.next_cycle() {
            // Nothing is stored here, so nobody waits for the events.
            drop(engine.cycle(now));
        }
        if self.ids.len() <= number {
            self.ids.resize(number + 1, None);
        }
        let id = match self.ids[number].filter(|id| engine.knowledge().get(*id).is_some()) {
            Some(id) => id,
            None => match engine.intern(name, None, now) {
                Ok(id) => id,
                Err(_) => return Judged::default(),
            },
        };
        self.ids[number] = Some(id);
        let mut said = Judged::default();
        drop(engine.observe_each(&[Sample { series: id, at, value }], now, |_, _, judged| said = *judged));
        said
    }
}

fn row_text(line: &mut String, at: &str, value: &str, judged: &Judged) {
    use std::fmt::Write;
    field(line, at);
    line.push(',');
    field(line, value);
    line.push(',');
    // Writing to a text cannot fail.
    if let Some(lower) = judged.lower {
        let _ = write!(line, "{lower}");
    }
    line.push(',');
    if let Some(upper) = judged.upper {
        let _ = write!(line, "{upper}");
    }
    let (breach, alert) = (u8::from(judged.breach), u8::from(judged.alert));
    let _ = writeln!(line, ",{breach},{:.6},{:.6},{alert}", judged.score, judged.alert_score);
}

/// A field as it was written; quoted where it has to be.
fn field(line: &mut String, text: &str) {
    if text.contains([',', '"', '\n', '\r']) {
        line.push('"');
        line.push_str(&text.replace('"', "\"\""));
        line.push('"');
    } else {
        line.push_str(text);
    }
}

/// A file that is there whole or not at all; or standard output.
enum Answer {
    Standard(BufWriter<io::Stdout>),
    File { writer: BufWriter<File>, part: PathBuf, path: PathBuf },
}

impl Answer {
    fn create(path: &Path) -> Result<Answer, Failed> {
        if path == Path::new("-") {
            return Ok(Answer::Standard(BufWriter::with_capacity(1 << 16, io::stdout())));
        }
        let mut part = path.as_os_str().to_owned();
        part.push(".part");
        let part = PathBuf::from(part);
        let file = File::create(&part).map_err(|error| Failed::World(format!("cannot write {}: {error}", part.display())))?;
        Ok(Answer::File { writer: BufWriter::with_capacity(1 << 16, file), part, path: path.to_owned() })
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Failed> {
        match self {
            Answer::Standard(writer) => writer.write_all(bytes).map_err(Failed::output),
            Answer::File { writer, part, .. } => {
                writer.write_all(bytes).map_err(|error| Failed::World(format!("cannot write {}: {error}", part.display())))
            }
        }
    }

    fn finish(self) -> Result<(), Failed> {
        match self {
            Answer::Standard(mut writer) => writer.flush().map_err(Failed::output),
            Answer::File { mut writer, part, path } => writer
                .flush()
                .and_then(|()| std::fs::rename(&part, &path))
                .map_err(|error| Failed::World(format!("cannot write {}: {error}", path.display()))),
        }
    }
}
