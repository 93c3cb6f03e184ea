//! Months of a fleet in a real Prometheus, and its published rules through `homeostat tune`: learned on three weeks, judged on
//! the fourth.

mod common;

use common::prometheus::{Prometheus, create_blocks_of_file};
use common::{folder, run, write};
use homeostat_sim::estate::fleet::Size;
use homeostat_sim::estate::trial::{self, Chosen, Outcome};
use homeostat_sim::estate::{Estate, START, openmetrics, rules};
use serde_json::Value;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

const MONTHS: u64 = 5;
const CONFIG: &str = "global: {scrape_interval: 1m, evaluation_interval: 1m}\n";

/// What `tune` proposes for each rule of the table, in its order.
fn tuned(estate: &Estate, cases: &[trial::Case], seed: u64) -> (Vec<Chosen>, f64) {
    let dir = folder();
    let mut file = BufWriter::new(File::create(dir.path().join("history.om")).expect("a file"));
    openmetrics::write(&estate.raws, START, &mut file).expect("room");
    file.flush().expect("room");
    create_blocks_of_file(dir.path());
    std::fs::remove_file(dir.path().join("history.om")).expect("there");
    write(&dir, "rules.yml", &rules::yaml());
    let prometheus = Prometheus::start(dir.path(), CONFIG);
    let until = trial::cut().secs().to_string();
    let began = Instant::now();
    let (url, ask) = (prometheus.url(), ["tune", "rules.yml", "--since", "21d", "--until", &until, "--output", "json"]);
    let ran = run(dir.path(), &[&ask[..], &["--prometheus", &url]].concat());
    let took = began.elapsed().as_secs_f64();
    assert_eq!(ran.code, 0, "seed {seed}: {}", ran.err);
    let rows = serde_json::from_str::<Value>(&ran.out).expect("JSON")["data"].take();
    let rows = rows.as_array().expect("a list");
    assert_eq!(rows.len(), cases.len(), "seed {seed}: a row for each rule");
    let chosen = rows.iter().zip(cases).map(|(row, case)| {
        assert_eq!(row["rule"], case.rule.alert, "seed {seed}: in the order of the file");
        if row["verdict"] != "change" {
            return None;
        }
        assert!(case.published.tuned.is_some(), "seed {seed}: {row} is not to be touched");
        let hold = row["proposed_for_s"].as_f64().expect("a number");
        Some((row["literals"][0]["new"].as_f64().expect("a number"), (hold * 1000.0) as i64))
    });
    (chosen.collect(), took)
}

#[test]
#[ignore = "needs prometheus and promtool, which ./dev check has"]
fn rules_learned_on_three_weeks_page_far_less_in_the_fourth_and_still_tell_of_its_incidents() {
    let drawn = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64 % 1_000_000);
    let first = std::env::var("MONTH_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(drawn);
    println!("seeds {first} to {}; MONTH_SEED={first} repeats them", first + MONTHS - 1);
    let (mut before, mut after, mut incidents_all) = (Outcome::default(), Outcome::default(), 0);
    for seed in first..first + MONTHS {
        let estate = Estate::new(seed, &Size::SMALL);
        assert!(estate.incidents.len() >= 100, "seed {seed}: {} incidents", estate.incidents.len());
        let cases = trial::cases(&estate);
        let incidents = trial::of_score(trial::incidents(&estate).into_iter());
        let (chosen, took) = tuned(&estate, &cases, seed);
        let published = trial::outcome(&cases, &vec![None; cases.len()], &incidents);
        let learned = trial::outcome(&cases, &chosen, &incidents);
        println!(
            "seed {seed}: {} -> {} pages, {} -> {} of {} incidents, {:.0} s",
            published.pages,
            learned.pages,
            published.told.len(),
            learned.told.len(),
            incidents.len(),
            took
        );
        for (sum, one) in [(&mut before, &published), (&mut after, &learned)] {
            sum.pages += one.pages;
            sum.pages_true += one.pages_true;
            sum.told.extend(one.told.iter().map(|at| incidents_all + at));
        }
        incidents_all += incidents.len();
    }
    let recall = |of: &Outcome| of.told.len() as f64 / incidents_all as f64;
    println!("recall {:.3} -> {:.3}", recall(&before), recall(&after));
    assert!(after.pages as f64 <= 0.3 * before.pages as f64, "seeds from {first}: {} of {}", after.pages, before.pages);
    // Of some 150 incidents one more or less is .007: what is asked for is .03 over many months.
    assert!(recall(&after) >= recall(&before) - 0.06, "seeds from {first}: {} of {}", recall(&after), recall(&before));
}
