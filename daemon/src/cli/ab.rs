//! `homeostat ab`: learned against static bounds, in the running daemon, replayed on files, or as two versions of alert rules.

mod rules;

use super::client::{Daemon, text};
use super::detect::{Judges, unhurried};
use super::evaluate::files;
use super::offline::{BadRows, MethodArgs, WindowAge};
use super::output::Out;
use super::{Done, Failed};
use crate::source::file::{FileError, Line, Rows};
use homeostat::analyze::strategy::Methods;
use homeostat::budget::Budget;
use homeostat::config::Config;
use homeostat::feedback::Verdict;
use homeostat::knowledge::series::Settings;
use homeostat::series::SeriesName;
use homeostat::time::{Span, Timestamp};
use homeostat::versus::{Book, Live, StaticBounds, report};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  homeostat ab report                                                        learned against static bounds, in the running daemon
  homeostat ab report load.csv --upper 0.9 --for 5m                          the same on a file
  homeostat ab rules old.yml new.yml --prometheus http://localhost:9090      two versions of alert rules on one history")]
pub struct AbArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(clap::Subcommand)]
enum What {
    /// What static bounds would have paged for, beside what was paged for, with a verdict
    Report(ReportArgs),
    /// Two versions of alert rules on one history: what each would have paged for, with a verdict
    Rules(rules::RulesArgs),
}

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  homeostat ab report                                    the running daemon's series with `static` in the configuration
  homeostat ab report load.csv --upper 0.9 --for 5m      replayed: had there been this bound beside what is learned
  homeostat ab report labelled --config homeostat.yaml   a folder, with the bounds of `series: - match: …, static: {upper: …}`

Both read the same rows at the same time, from the first row on that is judged by learned bounds. What both page for says nothing
of which is better; occasions on which one of them alone pages for a series do. What begins within an hour of a first such page, of
whatever series, is one occasion. The difference is learned less static, in occasions a week: below zero is fewer; its interval holds at 95 %
however often it is looked at. A miss is something that mattered and of which one said nothing: in the daemon by verdicts, on files
by the column label, 1 where a person would want to know; there, what is not labelled did not matter. The verdict is better or
worse where an interval leaves out zero, else not known yet; worse in occasions or misses is worse.")]
struct ReportArgs {
    /// CSV or JSON lines, or folders with CSV files; without any the running daemon is asked
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The static bounds of all series, in their own unit; a counter's are those of its rate per second
    #[arg(long, value_name = "NUMBER", allow_hyphen_values = true, requires = "files")]
    upper: Option<f64>,
    #[arg(long, value_name = "NUMBER", allow_hyphen_values = true, requires = "files")]
    lower: Option<f64>,
    /// How long samples have to lie outside of them [default: 0s]
    #[arg(long = "for", value_name = "DURATION", requires = "files")]
    hold: Option<String>,
    /// How often ordinary samples of each series may alert, by what is learned [default: 1 per week]
    #[arg(long, value_name = "BUDGET", requires = "files")]
    budget: Option<Budget>,
    #[command(flatten)]
    method: MethodArgs,
    #[command(flatten)]
    daemon: Daemon,
}

pub fn ab(args: &AbArgs, out: &Out) -> Result<Done, Failed> {
    let args = match &args.what {
        What::Report(args) => args,
        What::Rules(args) => return rules::rules(args, out),
    };
    let (total, rows) = if args.files.is_empty() { asked(args)? } else { replayed(args)? };
    if rows.is_empty() {
        eprintln!(
            "no series has static bounds; give some in the configuration: series: - match: NAME, static: {{upper: 1}}"
        );
    }
    print(out, total, rows, "series")
}

/// A line for each, then for all together, then the same in words. `of` is what a line is about.
fn print(out: &Out, total: Value, rows: Vec<Value>, of: &str) -> Result<Done, Failed> {
    if out.is_json() {
        out.data(&json!({ "report": total, "series": rows }))?;
        return Ok(Done::Quietly);
    }
    let lines = rows.iter().map(|row| line(&text(row, "series"), row)).chain([line("all together", &total)]);
    out.table(&[&[of], HEAD.as_slice()].concat(), &lines.collect::<Vec<_>>())?;
    out.text(&text(&total, "in_words"))?;
    Ok(Done::Quietly)
}

/// The daemon's own comparison.
fn asked(args: &ReportArgs) -> Result<(Value, Vec<Value>), Failed> {
    let client = args.daemon.connect()?;
    let total = client.get("ab/report", &[])?["data"].take();
    Ok((total, client.all("ab", &[])?))
}

// --- on files ---------------------------------------------------------------------------------------------------------

fn replayed(args: &ReportArgs) -> Result<(Value, Vec<Value>), Failed> {
    let flags = flags(args)?;
    let config = unhurried(args.method.engine_config(WindowAge::Configured, args.budget)?);
    let mut series = Vec::new();
    for named in &args.files {
        let paths = if named.is_dir() { files(named)? } else { vec![named.clone()] };
        for path in paths {
            series.extend(of_file(&path, flags, &config)?);
        }
    }
    let books: Vec<&Book> = series.iter().map(|one| one.live.book()).collect();
    let total = value(&report(&books))?;
    let row = |one: &Compared| {
        let mut row = value(&report(&[one.live.book()]))?;
        let bounds = one.live.bounds();
        row["series"] = json!(one.name);
        (row["upper"], row["lower"], row["for_s"]) =
            (json!(bounds.upper), json!(bounds.lower), json!(bounds.hold.secs()));
        Ok(row)
    };
    Ok((total, series.iter().map(row).collect::<Result<_, Failed>>()?))
}

fn value(report: &homeostat::versus::Report) -> Result<Value, Failed> {
    serde_json::to_value(report).map_err(|error| Failed::World(format!("cannot write the answer as JSON: {error}")))
}

/// The bounds that the command line names.
fn flags(args: &ReportArgs) -> Result<Option<StaticBounds>, Failed> {
    let hold = match &args.hold {
        None => Span::ZERO,
        Some(text) => Span::parse(text).map_err(|error| Failed::Use(format!("--for: {error}")))?,
    };
    let bounds = StaticBounds { upper: args.upper, lower: args.lower, hold };
    if bounds.upper.is_none() && bounds.lower.is_none() {
        return match args.hold {
            None => Ok(None),
            Some(_) => Err(Failed::Use("--for: give --upper or --lower with it".to_owned())),
        };
    }
    match bounds.problem() {
        None => Ok(Some(bounds)),
        Some(problem) => Err(Failed::Use(format!("--upper, --lower, --for: {problem}"))),
    }
}

/// One series of a file.
struct Compared {
    name: String,
    live: Live,
    /// Since when its rows have been labelled.
    incident: Option<Timestamp>,
    /// The last labelled row.
    until: Timestamp,
    /// Those that are over, from their first labelled row to their last.
    incidents: Vec<(Timestamp, Timestamp)>,
}

impl Compared {
    fn new(name: &SeriesName, flags: Option<StaticBounds>, config: &Config) -> Option<Compared> {
        let bounds = flags.or(Settings::of(name, config).fixed)?;
        let live = Live::new(bounds, Book::keeping(usize::MAX));
        Some(Compared { name: name.to_string(), live, incident: None, until: Timestamp::EPOCH, incidents: Vec::new() })
    }

    fn label(&mut self, at: Timestamp, label: bool) {
        if label {
            self.incident.get_or_insert(at);
            self.until = at;
        } else {
            self.incident_is_over();
        }
    }

    fn incident_is_over(&mut self) {
        if let Some(from) = self.incident.take() {
            self.incidents.push((from, self.until));
        }
    }
}

fn of_file(path: &Path, flags: Option<StaticBounds>, config: &Config) -> Result<Vec<Compared>, Failed> {
    let world = |error: FileError| Failed::World(error.to_string());
    let methods = Methods::built_in;
    let mut judges = Judges::new(config, &methods);
    let (mut rows, mut bad, mut count) = (Rows::open(path).map_err(world)?, BadRows::new(path), 0);
    let mut series: Vec<Option<Compared>> = Vec::new();
    while let Some(line) = rows.next_line().map_err(world)? {
        count += 1;
        let row = match line {
            Line::Bad(error) => {
                bad.tell(&error);
                continue;
            }
            Line::Row(row) => row,
        };
        let (number, line, at) = (row.series, row.line, row.at);
        while series.len() <= number {
            series.push(Compared::new(row.name, flags, config));
        }
        let judged = judges.judge(&row);
        let Some(compared) = &mut series[number] else { continue };
        // As it was judged: of a counter its rate.
        if (judged.lower.is_some() || judged.upper.is_some())
            && let Some((_, value)) = judges.newest(number).filter(|(newest, _)| *newest == at)
        {
            compared.live.see(at, value, judged.alert);
        }
        if rows.has_labels() {
            let label = rows.label().unwrap_or_default();
            match label.trim().parse::<f64>() {
                Ok(label) if label == 0.0 || label == 1.0 => compared.label(at, label == 1.0),
                _ => {
                    let path = path.display();
                    return Err(Failed::World(format!("{path} line {line}: the label `{label}` is neither 0 nor 1")));
                }
            }
        }
    }
    let bad = bad.sum_up(count);
    judges.sum_up(path, count, bad);
    let labelled = rows.has_labels();
    let done = |mut one: Compared| {
        one.incident_is_over();
        if labelled {
            // At the end: pages that come a little later than an incident are about it too.
            for (from, until) in std::mem::take(&mut one.incidents) {
                one.live.book_mut().hear(Verdict::Missed, from, until);
            }
            one.live.book_mut().rest_is_false();
        }
        one
    };
    Ok(series.into_iter().flatten().map(done).collect())
}

// --- for people -------------------------------------------------------------------------------------------------------

const HEAD: [&str; 8] = [
    "weeks",
    "learned, pages a week",
    "static",
    "occasions, learned less static",
    "95 % at any look",
    "missed, learned and static",
    "learned later by",
    "verdict",
];

/// Without the sign of what rounds to nothing.
fn to_hundredths(value: f64) -> String {
    let text = format!("{value:.2}");
    if text == "-0.00" { "0.00".to_owned() } else { text }
}

fn line(name: &str, row: &Value) -> Vec<String> {
    let number = |value: &Value| value.as_f64().map_or_else(|| "-".to_owned(), to_hundredths);
    let (learned, fixed, difference) = (&row["learned"], &row["static"], &row["occasions"]);
    let missed = match row["mattered"].as_u64() {
        None | Some(0) => "-".to_owned(),
        Some(mattered) => format!("{} and {} of {mattered}", learned["missed"], fixed["missed"]),
    };
    let later = row["delay"]["median_s"].as_f64().map_or_else(
        || "-".to_owned(),
        |secs| {
            let sign = if secs < 0.0 { "-" } else { "" };
            format!("{sign}{}", Span::from_secs(secs.abs().round() as u64))
        },
    );
    vec![
        name.to_owned(),
        number(&row["weeks"]),
        number(&learned["pages_per_week"]),
        number(&fixed["pages_per_week"]),
        number(&difference["per_week"]),
        format!("{} to {}", number(&difference["low"]), number(&difference["high"])),
        missed,
        later,
        text(row, "verdict").replace('_', " "),
    ]
}
