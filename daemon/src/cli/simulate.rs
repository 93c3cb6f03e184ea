//! `homeostat simulate`: the loop in a world of known truth, told line by line and judged at the end.

use super::output::Out;
use super::{Done, Failed};
use homeostat_sim::{Progress, Report, ScenarioError};
use serde_json::json;
use std::io::IsTerminal;

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  homeostat simulate --list
  homeostat simulate step            a level that shifts, and how the thresholds follow
  homeostat simulate --seed 7        a world nobody wrote: any shape, a hostile source, an erratic operator

The same scenario or seed gives the same transcript. At its end a table compares what was learned with the best static
threshold, which was chosen by hindsight.")]
pub struct SimulateArgs {
    /// A scenario of --list
    #[arg(value_name = "SCENARIO")]
    scenario: Option<String>,
    /// A world from a seed
    #[arg(long, value_name = "N", conflicts_with = "scenario")]
    seed: Option<u64>,
    /// Show the scenarios there are
    #[arg(long, conflicts_with_all = ["scenario", "seed"])]
    list: bool,
}

pub fn simulate(args: &SimulateArgs, out: &Out) -> Result<Done, Failed> {
    let bar = match std::io::stderr().is_terminal() {
        true => indicatif::ProgressBar::new(100),
        false => indicatif::ProgressBar::hidden(),
    };
    let mut progress = |progress: Progress<'_>| {
        let part = progress.into.secs() / progress.of.secs().max(1.0);
        bar.set_position((part * 100.0) as u64);
    };
    let report = match (&args.scenario, args.seed) {
        _ if args.list => return list(out),
        (Some(name), _) => homeostat_sim::run_named(name, &mut progress),
        (None, Some(seed)) => homeostat_sim::random_world(seed, &mut progress),
        (None, None) => {
            return Err(Failed::Use("name a scenario, or give --seed N; --list shows the scenarios".to_owned()));
        }
    };
    bar.finish_and_clear();
    let report = report.map_err(|error| failed(&error, args.scenario.as_deref()))?;
    if out.is_json() {
        out.data(&as_json(&report))?
    } else {
        out.text(&report.text())?
    }
    Ok(Done::Quietly)
}

fn list(out: &Out) -> Result<Done, Failed> {
    let scenarios = homeostat_sim::scenarios();
    if out.is_json() {
        let rows: Vec<_> = scenarios.iter().map(|(name, about)| json!({ "scenario": name, "about": about })).collect();
        out.json(&json!({ "data": rows }))?;
    } else {
        let rows: Vec<Vec<String>> =
            scenarios.iter().map(|(name, about)| vec![(*name).to_owned(), (*about).to_owned()]).collect();
        out.table(&["scenario", "shows"], &rows)?;
    }
    Ok(Done::Quietly)
}

fn failed(error: &ScenarioError, wanted: Option<&str>) -> Failed {
    let names = homeostat_sim::scenarios().iter().map(|(name, _)| *name);
    let nearest = wanted.and_then(|wanted| names.min_by_key(|name| strsim::damerau_levenshtein(name, wanted)));
    Failed::Use(match (error, nearest) {
        (ScenarioError::Unknown { .. }, Some(nearest)) => format!("{error}; did you mean `{nearest}`?"),
        _ => error.to_string(),
    })
}

fn as_json(report: &Report) -> serde_json::Value {
    let score = |score: &homeostat_sim::judge::Score| {
        json!({
            "incidents": score.incidents,
            "found": score.found,
            "false_alarms": score.false_alarms,
            "false_per_week": score.false_per_week,
            "delay_s": score.delay.map(|delay| delay.secs()),
            "f1": score.f1(),
        })
    };
    let rows: Vec<_> = report
        .table
        .rows
        .iter()
        .map(|row| json!({ "series": row.series, "learned": score(&row.learned), "best_static": score(&row.rival) }))
        .collect();
    json!({
        "transcript": report.transcript.lines().collect::<Vec<_>>(),
        "rows": rows,
        "flaps_per_hour": report.table.flaps_per_hour,
    })
}
