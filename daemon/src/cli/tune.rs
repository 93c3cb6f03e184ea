//! `homeostat tune`: what the alert rules people have should be, proven on their own history.
//!
//! Rules are read, each left side's history is asked of a Prometheus, the doctor says what the literal and the `for` should
//! be, and replay says what came of it. Nothing is changed unless it is asked for, and then in the bytes meant alone. What is
//! wrong with one rule is said of that rule, and the rest is done.

mod advise;
mod cases;
mod data;
mod edits;
mod history;
mod input;
mod report;
mod subject;

use super::fetch;
use super::output::{Out, one_line};
use super::{Done, Failed};
use crate::prometheus::QueryError;
use crate::prometheus::args::PrometheusArgs;
use crate::prometheus::progress::Bar;
use crate::rules::change;
use crate::rules::file::RuleFile;
use homeostat::budget::Budget;
use homeostat::time::zone::Zone;
use homeostat::time::{Span, Timestamp};
use serde_json::json;
use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};
use subject::Subject;

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  homeostat tune rules/ --prometheus http://localhost:9090             what each rule should be, and why
  homeostat tune rules/*.yml --prometheus http://localhost:9090 --diff | patch -p1
  homeostat tune node.yml --prometheus http://localhost:9090 --write   changes the file; comments and spelling stay
  homeostat tune rules/ --prometheus http://localhost:9090 --check     exit 1 when a rule pages more often than its budget
  homeostat tune --prometheus http://localhost:9090                    the rules that the server has loaded
  homeostat tune rules/ --prometheus http://localhost:9090 --as-data   for homeostat.yaml: rules that need thresholds per series

Reads Prometheus rule files, PrometheusRule manifests and folders of them (*.yml, *.yaml, *.rules). Left alone, with the reason,
is what has no literal worth tuning: states, zero bounds, quorums, objectives, guards. A text that repeats the literal or the
`for` is changed with it, the alert's own name with --rename alone. A rule has a budget of its own by the annotation
homeostat_budget: 1 per day; none leaves it alone. With --tests DIR cases for `promtool test rules` are made of
what happened, each with a copy of its rule as proposed.")]
pub struct TuneArgs {
    /// Rule files, or folders of them; none: the rules that the server has loaded
    #[arg(value_name = "RULES")]
    rules: Vec<PathBuf>,
    /// Pages a rule may give in ordinary times, each rule by itself
    #[arg(long, value_name = "BUDGET", default_value_t = Budget::ONE_PER_WEEK)]
    budget: Budget,
    /// How far back history is learned from
    #[arg(long, value_name = "DURATION", default_value = "28d")]
    since: Span,
    /// Up to when: Unix seconds or RFC 3339 [default: now]
    #[arg(long, value_name = "TIME")]
    until: Option<Timestamp>,
    /// What people said of pages: lines of JSON with alert, labels, at and verdict (true, false, missed); -: standard input
    #[arg(long, value_name = "FILE")]
    verdicts: Option<PathBuf>,
    /// Change the files
    #[arg(long)]
    write: bool,
    /// Print what would change as a unified diff
    #[arg(long)]
    diff: bool,
    /// Exit 1 when a rule pages more often than its budget, 3 when a rule cannot be read or its history cannot be had
    #[arg(long)]
    check: bool,
    /// Write cases for `promtool test rules` into this folder
    #[arg(long, value_name = "DIR")]
    tests: Option<PathBuf>,
    /// Print entries of homeostat.yaml for rules whose thresholds had better be learned series by series, in place of the table
    #[arg(long, value_enum, value_name = "WHICH", num_args = 0..=1, default_missing_value = "levels", conflicts_with = "diff")]
    as_data: Option<data::Which>,
    /// Rename alerts whose name repeats the literal; silences and routes that know the name have to follow
    #[arg(long)]
    rename: bool,
    /// The clock that backups and cron jobs go by, like Europe/Berlin
    #[arg(long, value_name = "NAME", default_value = "UTC")]
    timezone: String,
    #[command(flatten)]
    prometheus: PrometheusArgs,
}

/// A gap in the history of all is told so many times.
const NOTES_SHOWN: usize = 5;

/// What holds for all rules of a run.
struct Run {
    start: Timestamp,
    end: Timestamp,
    now: Timestamp,
    /// Pages a week, of a rule that has no budget of its own.
    budget: f64,
    zone: Zone,
    said: Vec<homeostat::replay::score::Said>,
}

pub fn tune(args: &TuneArgs, out: &Out) -> Result<Done, Failed> {
    let run = checked(args)?;
    let client = fetch::client(&args.prometheus)?;
    let given = match args.rules.is_empty() {
        true => None,
        false => Some(input::files(&args.rules)?),
    };
    let live = match client.rules() {
        Ok(live) => Some(live),
        // Not every server that answers queries has rules.
        Err(QueryError::NotThere { .. } | QueryError::Refused { .. } | QueryError::NotUnderstood { .. })
            if given.is_some() =>
        {
            None
        }
        Err(error) => return Err(fetch::failed(error)),
    };
    let files = match (given, &live) {
        (Some(files), _) => files,
        (None, live) => live.as_ref().map(crate::rules::live::files).unwrap_or_default(),
    };
    for (file, problem) in files.iter().flat_map(|file| file.problems.iter().map(move |problem| (file, problem))) {
        let rule = problem.rule.as_ref().map_or(String::new(), |rule| format!("{rule}: "));
        eprintln!("{}:{}: {}", one_line(&file.name), problem.line, one_line(&format!("{rule}{}", problem.problem)));
    }
    let intervals = input::Intervals::new(live.as_ref());
    let subjects = subject::subjects(&files, &intervals, run.budget);
    if subjects.is_empty() {
        return Err(Failed::Use("there is no alert rule in what was given".to_owned()));
    }
    unheard(&run, &subjects);
    let jobs = history::jobs(&subjects);
    let bar = Bar::new(jobs.iter().map(|job| job.leaves.len() as u64).sum());
    let threads = args.prometheus.queries_at_once as usize;
    let found = history::work(&jobs, threads, |job| {
        let leaves = history::fetch(&client, job, &run, &bar);
        advise::advise(job, leaves, &subjects, &run)
    });
    bar.finish();
    let mut outcomes: Vec<advise::Outcome> = found.into_iter().flatten().collect();
    outcomes.sort_by_key(|outcome| outcome.subject);

    let plans: Vec<edits::Plan> =
        outcomes.iter().map(|outcome| edits::plan(&subjects[outcome.subject], outcome, args.rename)).collect();
    plans.iter().flat_map(|plan| &plan.notes).for_each(|note| eprintln!("{}", one_line(note)));
    let of_history = outcomes.iter().flat_map(|outcome| outcome.notes.iter().map(move |note| (outcome.subject, note)));
    for (at, note) in of_history.clone().take(NOTES_SHOWN) {
        eprintln!("{}", one_line(&format!("{} ({}): {note}", subjects[at].rule.name.text, place(&subjects[at]))));
    }
    if let Some(more @ 1..) = of_history.count().checked_sub(NOTES_SHOWN) {
        eprintln!("and {more} notes of this kind on the history of rules: --output json has all of them");
    }
    let (asked, notes) = edits::asked_names(&files, &subjects, &outcomes, &plans);
    notes.iter().for_each(|note| eprintln!("{}", one_line(note)));
    let mut changed = edits::by_file(&files, &subjects, &outcomes, &plans, &[]);
    // Who asks for an alert by its name follows where all of them can be changed: a name that is not there is silent.
    if !asked.is_empty() && changed.iter().all(|(_, after)| after.is_ok()) {
        changed = edits::by_file(&files, &subjects, &outcomes, &plans, &asked);
    }
    for (file, error) in changed.iter().filter_map(|(file, after)| Some((file, after.as_ref().err()?))) {
        eprintln!("{}: {error}", one_line(&file.name));
    }
    if let Some(folder) = &args.tests {
        let written = cases::write(folder, &client, &subjects, &outcomes, &run)?;
        eprintln!("{written} in {}; run them with: promtool test rules {0}/*.test.yml", folder.display());
    }
    match args.as_data {
        Some(which) => data::print(which, &subjects, &outcomes, client.endpoint(), out)?,
        None if args.diff => print_diff(&changed, out)?,
        None => report::print(&subjects, &outcomes, &plans, out)?,
    }
    if args.write {
        write(&changed)?;
    }
    report::sum_up(&outcomes, &plans);
    eprintln!("{}: {}", client.url(), client.costs());
    match args.check {
        true => check(&files, &outcomes),
        false => Ok(Done::Quietly),
    }
}

/// Verdicts that no rule here hears: a name that is misspelt moves nothing, and is not passed over without a word.
fn unheard(run: &Run, subjects: &[Subject<'_>]) {
    let known: BTreeSet<&str> = subjects.iter().map(|subject| subject.rule.name.text.as_str()).collect();
    let strange: BTreeSet<&str> =
        run.said.iter().map(|said| said.alert.as_str()).filter(|alert| !known.contains(alert)).collect();
    if let Some(first) = strange.first() {
        let count = strange.len();
        eprintln!("{}", one_line(&format!("--verdicts: {count} alerts are of no rule here, {first} for one")));
    }
    let outside = run.said.iter().filter(|said| said.at < run.start || said.at > run.end).count();
    if outside > 0 {
        eprintln!("--verdicts: {outside} are about times outside of the history that was asked for (--since, --until)");
    }
}

/// A rule that exceeds its budget is what was asked for; that all keep to theirs is said of none that could not be looked at.
fn check(files: &[RuleFile], outcomes: &[advise::Outcome]) -> Result<Done, Failed> {
    if outcomes.iter().any(|outcome| outcome.over_budget) {
        return Ok(Done::WithFindings);
    }
    let unread = files.iter().map(|file| file.problems.len()).sum::<usize>()
        + outcomes.iter().filter(|outcome| outcome.is_unread()).count();
    let unknown = outcomes.iter().filter(|outcome| outcome.is_unknown()).count();
    let what = match (unread, unknown) {
        (0, 0) => return Ok(Done::Quietly),
        (unread, 0) => format!("{unread} rules or files could not be read"),
        (0, unknown) => format!("of {unknown} of {} rules no history could be had", outcomes.len()),
        (unread, unknown) => {
            format!("{unread} rules or files could not be read, and of {unknown} no history could be had")
        }
    };
    Err(Failed::World(format!("--check: {what}: whether they keep to their budget is not known")))
}

fn checked(args: &TuneArgs) -> Result<Run, Failed> {
    for (flag, given) in [("--write", args.write), ("--diff", args.diff)] {
        if given && args.rules.is_empty() {
            let problem = format!("{flag}: rules of a server cannot be changed there; give the files they stand in");
            return Err(Failed::Use(problem));
        }
    }
    let budget = args.budget.per_week().ok_or_else(|| {
        Failed::Use("--budget: none leaves nothing to tune for; give one like '1 per week'".to_owned())
    })?;
    let zone = Zone::named(&args.timezone).map_err(|error| Failed::Use(format!("--timezone: {error}")))?;
    if args.since < Span::hours(1) {
        return Err(Failed::Use(format!(
            "--since: {} of history teach nothing; give days or weeks, like 28d",
            args.since
        )));
    }
    let now = crate::driver::now();
    let end = args.until.unwrap_or(now);
    let said = args.verdicts.as_deref().map_or_else(|| Ok(Vec::new()), input::verdicts)?;
    Ok(Run { start: end - args.since, end, now, budget, zone, said })
}

/// A file, and what becomes of it; none where nothing does.
type Changed<'a> = (&'a RuleFile, Result<String, change::NotWritten>);

fn print_diff(changed: &[Changed<'_>], out: &Out) -> Result<(), Failed> {
    let mut outside = false;
    let mut diffs = Vec::new();
    for (file, after) in changed {
        let Ok(after) = after else { continue };
        // No `patch` follows `..`: such a file is named from the root on.
        let above = Path::new(&file.name).components().any(|part| part == Component::ParentDir);
        outside |= above;
        let whole = above.then(|| std::fs::canonicalize(&file.name).ok()).flatten();
        let name = whole.as_ref().map_or(file.name.clone(), |path| path.display().to_string());
        diffs.push((name.clone(), change::diff(&name, &file.text, after)));
    }
    if outside {
        eprintln!("files above this folder are named from the root on: apply it with patch -p1 -d /");
    }
    if out.is_json() {
        return out.data(&diffs.iter().map(|(file, diff)| json!({ "file": file, "diff": diff })).collect::<Vec<_>>());
    }
    let text: String = diffs.into_iter().map(|(_, diff)| diff).collect();
    if text.is_empty() {
        return Ok(());
    }
    out.text(&text)
}

fn write(changed: &[Changed<'_>]) -> Result<(), Failed> {
    let mut failed = None;
    for (file, after) in changed {
        let Ok(after) = after else { continue };
        match change::write(Path::new(&file.name), &file.text, after) {
            Ok(()) => eprintln!("{} was changed; have the server read it again (POST /-/reload)", one_line(&file.name)),
            Err(error) => {
                eprintln!("{}", one_line(&error.to_string()));
                failed = Some(error.to_string());
            }
        }
    }
    match failed {
        None => Ok(()),
        Some(error) => Err(Failed::World(error)),
    }
}

/// The rule of a subject, as people find it.
fn place(subject: &Subject<'_>) -> String {
    match subject.rule.line {
        0 => subject.file.name.clone(),
        line => format!("{}:{line}", subject.file.name),
    }
}
