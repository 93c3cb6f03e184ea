//! `homeostat calibrate`: whether confidences come true, so that anyone can check them.
//!
//! In worlds from seeds that no coefficient was fitted to, or on files of one's own. Each series has an engine to itself,
//! as in `detect`; at the start of every week it is noted what is claimed of it, and a week later what happened.

use super::evaluate::files;
use super::offline::BadRows;
use super::output::Out;
use super::{Done, Failed};
use crate::source::file::{FileError, Line, Rows};
use homeostat::analyze::claim::{NAMES, most_pages};
use homeostat::budget::Budget;
use homeostat::config::Config;
use homeostat::time::Span;
use homeostat_sim::calibration::{FIT_SEEDS, Pair, Summary, Watched, age_name, config, fit, fit_budget, pairs_of};
use serde_json::{Value, json};
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  homeostat calibrate                        600 worlds from seeds: drift, shifts, seasons, heavy tails, walks
  homeostat calibrate --seed 5000            600 others
  homeostat calibrate web hosts              series of one's own, a month of each or more
  homeostat calibrate --budget '1 per day'   what is claimed at another budget

A confidence claims: with this chance, in the next 7 days false pages of this series stay at or under what a budget that is
kept exactly stays under in nine weeks of ten (of one page a week: 2). Here it is asked of each series as soon as there is
one, and every 7 days from then on; then it is counted. A page is an alert's onset; one within an incident, or ten minutes
of it, is not false. In the worlds incidents are known; in files they are rows with 1 in a column called label, and without
such a column all pages count as false.

  said, happened     of all claims with a confidence in this range, their mean, and how many came true. In the picture o is
                     what was said, x what happened, * both
  kept               of all claims, how many came true: what a constant would say
  calibration error  mean distance of said and happened over the ranges, by the claims in each. 0 is best; a perfect one has
                     about .02 on 3,000 claims by chance alone, .08 on 100
  Brier score        mean squared distance of what was said to what happened, 1 or 0
  Brier skill        how much of the constant's Brier score is saved: 1 knows what will happen, 0 is as good as the constant

--fit prints the coefficients that the claims are made with, from other seeds; nothing else was fitted.")]
pub struct CalibrateArgs {
    /// Folders with CSV files, or single files; none: worlds from seeds
    #[arg(value_name = "DIR")]
    folders: Vec<PathBuf>,
    /// The seed of the first world
    #[arg(long, value_name = "N", default_value_t = 1, conflicts_with = "folders")]
    seed: u64,
    /// How many worlds; six claims or so each
    #[arg(long, value_name = "N", default_value_t = 600, value_parser = clap::value_parser!(u64).range(1..=100_000), conflicts_with = "folders")]
    worlds: u64,
    /// How often ordinary samples of each series may alert: '1 per week', per hour, day or month
    #[arg(long, value_name = "BUDGET", default_value_t = Budget::ONE_PER_WEEK)]
    budget: Budget,
    /// Fit the coefficients anew, in worlds of their own, and print them
    #[arg(long, conflicts_with_all = ["folders", "seed", "budget"])]
    fit: bool,
}

/// Claims of one kind of series: of a world, or of a folder.
struct Group {
    name: String,
    pairs: Vec<Pair>,
}

pub fn calibrate(args: &CalibrateArgs, out: &Out) -> Result<Done, Failed> {
    if args.fit {
        return fitted(args, out);
    }
    let asked = args.budget.per_week();
    let asked = asked.ok_or_else(|| Failed::Use("--budget none: without a budget nothing is claimed".to_owned()))?;
    let config = config(args.budget);
    let groups = match args.folders.is_empty() {
        true => of_worlds(args, &config)?,
        false => of_folders(&args.folders, &config)?,
    };
    let all = Summary::of(groups.iter().flat_map(|group| &group.pairs));
    if all.pairs == 0 {
        let why = "no series was seen for a week after its first threshold; nothing can be counted";
        return Err(Failed::World(why.to_owned()));
    }
    let ages = by_age(&groups);
    if out.is_json() {
        let worlds = args.folders.is_empty();
        out.json(&json!({
            "data": {
                "all": as_json(&all),
                "bins": bins_as_json(&all),
                "ages": rows_as_json("age", &ages),
                "groups": rows_as_json(if worlds { "kind" } else { "folder" }, &groups),
            },
            "budget_per_week": asked,
            "kept_up_to": most_pages(asked),
            "seed": worlds.then_some(args.seed),
            "worlds": worlds.then_some(args.worlds),
        }))?;
    } else {
        for_people(args, &all, &[ages, groups], asked, out)?;
    }
    Ok(Done::Quietly)
}

fn fitted(args: &CalibrateArgs, out: &Out) -> Result<Done, Failed> {
    let pairs = each(args.worlds as usize, |number| {
        let seed = FIT_SEEDS + number as u64;
        pairs_of(seed, &config(fit_budget(seed))).1
    });
    let pairs: Vec<Pair> = pairs.into_iter().flatten().collect();
    let coefficients = fit(&pairs);
    if out.is_json() {
        let row = |(name, of): (&&str, f64)| json!({ "of": name, "coefficient": of });
        let rows: Vec<_> = NAMES.iter().zip(coefficients).map(row).collect();
        out.json(&json!({ "data": rows, "claims": pairs.len(), "worlds": args.worlds }))?;
    } else {
        let row = |(name, of): (&&str, f64)| vec![(*name).to_owned(), format!("{of:.3}")];
        out.table(&["of", "coefficient"], &NAMES.iter().zip(coefficients).map(row).collect::<Vec<_>>())?;
    }
    Ok(Done::Quietly)
}

// --- what is watched ------------------------------------------------------------------------------------------------

fn of_worlds(args: &CalibrateArgs, config: &Config) -> Result<Vec<Group>, Failed> {
    if args.seed.saturating_add(args.worlds) > FIT_SEEDS {
        return Err(Failed::Use(format!(
            "--seed: worlds from {FIT_SEEDS} on are those of the fit; give a smaller one"
        )));
    }
    let pairs = each(args.worlds as usize, |number| pairs_of(args.seed + number as u64, config));
    let mut groups: Vec<Group> = Vec::new();
    for (world, pairs) in pairs {
        join(&mut groups, world.kind.as_str(), pairs);
    }
    groups.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(groups)
}

fn of_folders(folders: &[PathBuf], config: &Config) -> Result<Vec<Group>, Failed> {
    let mut groups = Vec::new();
    for folder in folders {
        let files = files(folder)?;
        for pairs in each(files.len(), |number| of_file(&files[number], config)) {
            join(&mut groups, &folder.display().to_string(), pairs?);
        }
    }
    Ok(groups)
}

/// The claims about every series of a file.
fn of_file(path: &Path, config: &Config) -> Result<Vec<Pair>, Failed> {
    let world = |error: FileError| Failed::World(error.to_string());
    let mut rows = Rows::open(path).map_err(world)?;
    let mut bad = BadRows::new(path);
    let mut watched: Vec<Watched> = Vec::new();
    let mut count = 0;
    while let Some(line) = rows.next_line().map_err(world)? {
        count += 1;
        let (series, at, value) = match line {
            Line::Row(row) => {
                if row.series == watched.len() {
                    watched.push(Watched::new(config, row.name, row.at, Span::ZERO));
                }
                (row.series, row.at, row.value)
            }
            Line::Bad(error) => {
                bad.tell(&error);
                continue;
            }
        };
        let incident = rows.has_labels() && is_incident(path, count, &rows.label().unwrap_or_default())?;
        watched[series].sample(at, value, incident);
    }
    bad.sum_up(count);
    Ok(watched.into_iter().flat_map(Watched::pairs).collect())
}

fn is_incident(path: &Path, row: u64, text: &str) -> Result<bool, Failed> {
    match text.trim().parse::<f64>() {
        Ok(label) if label == 0.0 || label == 1.0 => Ok(label == 1.0),
        _ => Err(Failed::World(format!("{} row {row}: the label `{text}` is neither 0 nor 1", path.display()))),
    }
}

fn join(groups: &mut Vec<Group>, name: &str, pairs: Vec<Pair>) {
    match groups.iter_mut().find(|group| group.name == name) {
        Some(group) => group.pairs.extend(pairs),
        None => groups.push(Group { name: name.to_owned(), pairs }),
    }
}

fn by_age(groups: &[Group]) -> Vec<Group> {
    let mut pairs: Vec<&Pair> = groups.iter().flat_map(|group| &group.pairs).collect();
    pairs.sort_by_key(|pair| pair.age);
    let mut ages = Vec::new();
    for pair in pairs {
        join(&mut ages, age_name(pair.age), vec![pair.clone()]);
    }
    ages
}

/// Works side by side, one on each core; the answers are in the order of their numbers.
fn each<T: Send>(count: usize, work: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let progress = match io::stderr().is_terminal() {
        true => indicatif::ProgressBar::new(count as u64),
        false => indicatif::ProgressBar::hidden(),
    };
    let (next, done) = (AtomicUsize::new(0), Mutex::new(Vec::with_capacity(count)));
    let workers = std::thread::available_parallelism().map_or(1, |cores| cores.get()).min(count.max(1));
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= count {
                        break;
                    }
                    let answer = work(number);
                    done.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).push((number, answer));
                    progress.inc(1);
                }
            });
        }
    });
    progress.finish_and_clear();
    let mut done = done.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner());
    done.sort_by_key(|(number, _)| *number);
    done.into_iter().map(|(_, answer)| answer).collect()
}

// --- what is told ---------------------------------------------------------------------------------------------------

fn as_json(summary: &Summary) -> Value {
    json!({
        "claims": summary.pairs,
        "kept_ratio": summary.base_rate,
        "calibration_error": summary.calibration_error,
        "brier": summary.brier,
        "brier_skill": summary.brier_skill,
    })
}

fn bins_as_json(summary: &Summary) -> Vec<Value> {
    let bins = summary.bins.iter().enumerate().filter(|(_, bin)| bin.count > 0);
    bins.map(|(number, bin)| {
        json!({ "from": number as f64 / summary.bins.len() as f64, "said": bin.said, "happened": bin.happened, "claims": bin.count })
    })
    .collect()
}

fn rows_as_json(key: &str, groups: &[Group]) -> Vec<Value> {
    let row = |group: &Group| {
        let mut row = as_json(&Summary::of(group.pairs.iter()));
        row[key] = json!(group.name);
        row
    };
    groups.iter().map(row).collect()
}

/// Characters that a confidence from 0 to 1 is drawn over.
const PICTURE: usize = 41;

fn picture(said: f64, happened: f64) -> String {
    let place = |share: f64| (share * (PICTURE - 1) as f64).round() as usize;
    let (said, happened) = (place(said), place(happened));
    let mark = |at: usize| match (at == said, at == happened) {
        (true, true) => '*',
        (true, false) => 'o',
        (false, true) => 'x',
        (false, false) => '.',
    };
    (0..PICTURE).map(mark).collect()
}

fn for_people(args: &CalibrateArgs, all: &Summary, parts: &[Vec<Group>], asked: f64, out: &Out) -> Result<(), Failed> {
    let bins = all.bins.iter().enumerate().filter(|(_, bin)| bin.count > 0);
    let curve: Vec<Vec<String>> = bins
        .map(|(number, bin)| {
            let range = format!("{:.1} to {:.1}", number as f64 / 10.0, (number + 1) as f64 / 10.0);
            let (said, happened) = (format!("{:.2}", bin.said), format!("{:.2}", bin.happened));
            vec![range, said, happened, bin.count.to_string(), picture(bin.said, bin.happened)]
        })
        .collect();
    out.table(&["confidence", "said", "happened", "claims", "0 to 1"], &curve)?;
    let mut rows = vec![row("all".to_owned(), all)];
    for group in parts.iter().flatten() {
        rows.push(row(group.name.clone(), &Summary::of(group.pairs.iter())));
    }
    out.table(&["of", "claims", "kept", "calibration error", "Brier score", "Brier skill"], &rows)?;
    let most = most_pages(asked);
    let of = match args.folders.is_empty() {
        true => format!("; worlds {} to {}", args.seed, args.seed + args.worlds - 1),
        false => String::new(),
    };
    out.text(&format!("A claim is kept with at most {most} false pages in 7 days, of {} asked{of}.", args.budget))
}

fn row(name: String, summary: &Summary) -> Vec<String> {
    let skill = summary.brier_skill.map_or_else(|| "-".to_owned(), |skill| format!("{skill:.3}"));
    vec![
        name,
        summary.pairs.to_string(),
        format!("{:.3}", summary.base_rate),
        format!("{:.3}", summary.calibration_error),
        format!("{:.3}", summary.brier),
        skill,
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_shows_what_was_said_beside_what_happened() {
        assert_eq!(picture(0.0, 1.0), format!("o{}x", ".".repeat(PICTURE - 2)));
        assert_eq!(picture(0.5, 0.5), format!("{0}*{0}", ".".repeat(PICTURE / 2)));
    }

    #[test]
    fn answers_stand_in_the_order_of_their_numbers() {
        assert_eq!(each(100, |number| number * number), (0..100).map(|number| number * number).collect::<Vec<_>>());
        assert!(each(0, |number| number).is_empty());
    }
}
