//! The generated month is what it says it is: the same from the same seed, noisy under the published literals, and every
//! incident shows in what its rule looks at.

use homeostat::replay::Replayer;
use homeostat_sim::estate::fleet::Size;
use homeostat_sim::estate::kinds::Kind;
use homeostat_sim::estate::rules::RULES;
use homeostat_sim::estate::{Estate, MINUTES, START, openmetrics, trial};

const SEEDS: [u64; 2] = [11, 12];

#[test]
fn the_same_seed_gives_the_same_month_and_another_one_another() {
    let text = |seed| {
        let mut text = Vec::new();
        let estate = Estate::new(seed, &Size { nodes: 1, containers: 1, services: 1, databases: 1, queues: 1 });
        openmetrics::write(&estate.raws, START, &mut text).expect("memory takes everything");
        String::from_utf8(text).expect("text")
    };
    let (first, again, other) = (text(11), text(11), text(12));
    assert!(first == again, "seed 11 gave two months");
    assert!(first != other, "seeds 11 and 12 gave the same month");
    assert!(first.ends_with("\n# EOF\n"), "OpenMetrics ends with its mark");
    let line = first.lines().next().expect("a line");
    assert!(line.starts_with("up{instance=\"node-1:9100\",job=\"node\"} 1 17724096"), "{line}");
}

#[test]
fn the_published_rules_page_hundreds_of_times_a_week_mostly_about_nothing() {
    for seed in SEEDS {
        let estate = Estate::new(seed, &Size::FULL);
        assert!(estate.incidents.len() >= 100, "seed {seed}: {} incidents", estate.incidents.len());
        let cases = trial::cases(&estate);
        let incidents = trial::of_score(trial::incidents(&estate).into_iter());
        let before = trial::outcome(&cases, &vec![None; cases.len()], &incidents);
        let precision = before.pages_true as f64 / before.pages as f64;
        let recall = before.told.len() as f64 / incidents.len() as f64;
        assert!((300..2500).contains(&before.pages), "seed {seed}: {} pages a week", before.pages);
        assert!((0.01..0.15).contains(&precision), "seed {seed}: precision {precision}");
        assert!((0.7..0.98).contains(&recall), "seed {seed}: recall {recall}");
    }
}

#[test]
fn an_incident_shows_in_what_its_rule_looks_at() {
    for seed in SEEDS {
        let estate = Estate::new(seed, &Size::FULL);
        let history = estate.history();
        let (mut shown, mut all) = (0, 0);
        for rule in RULES.iter().filter(|rule| rule.tuned.is_some() && rule.alert != "HostHighLoad") {
            let leaf = &(rule.leaves)(&history)[0];
            let below = rule.tuned.is_some_and(|tuned| tuned.below);
            for incident in estate.incidents.iter().filter(|incident| rule.kinds.contains(&incident.kind)) {
                let track = leaf.tracks.iter().find(|track| track.labels.carries(&incident.labels));
                let track = track.unwrap_or_else(|| panic!("seed {seed}: {} has no {}", rule.alert, incident.labels));
                let step = |at: homeostat::time::Timestamp| (at.since(leaf.start).secs() / 60.0) as usize;
                let mean = |from: usize, to: usize| {
                    let values: Vec<f64> = track.values[from..to.min(leaf.steps)].iter().flatten().copied().collect();
                    values.iter().sum::<f64>() / values.len() as f64
                };
                let (from, to) = (step(incident.start), step(incident.end));
                let (during, usual) = (mean(from, to), mean(0, leaf.steps));
                all += 1;
                shown += usize::from(if below { during < usual } else { during > usual });
            }
        }
        assert!(all >= 80 && shown * 100 >= all * 97, "seed {seed}: {shown} of {all} show");
    }
}

#[test]
fn counters_start_anew_and_scrapes_are_missed() {
    let estate = Estate::new(11, &Size::FULL);
    let raws = &estate.raws;
    assert!(raws.iter().all(|raw| raw.values.len() == MINUTES), "a value a minute");
    let missed = raws.iter().filter(|raw| raw.values.iter().any(Option::is_none)).count();
    assert_eq!(missed, raws.len(), "the monitoring itself was down once");
    let drops = |raw: &homeostat_sim::estate::fleet::Raw| {
        let values: Vec<f64> = raw.values.iter().flatten().copied().collect();
        values.windows(2).any(|two| two[1] < two[0])
    };
    let counters = raws.iter().filter(|raw| raw.labels.get("__name__").ends_with("_total"));
    assert!(counters.filter(|raw| drops(raw)).count() > 20, "counters that start anew");
}

#[test]
fn what_can_not_be_tuned_still_tells_of_its_incidents() {
    let estate = Estate::new(11, &Size::FULL);
    let cases = trial::cases(&estate);
    let down = cases.iter().find(|case| case.rule.alert == "HostDown").expect("in the table");
    let pages = Replayer::new(&down.rule, &down.past).replay(&[], down.rule.for_ms).pages;
    let outages: Vec<_> = estate.incidents.iter().filter(|incident| incident.kind == Kind::Down).collect();
    let told = trial::of_score(outages.iter().copied().filter(|incident| incident.end < trial::cut()));
    assert!(!told.is_empty(), "an outage in three weeks");
    for incident in told {
        assert!(pages.iter().any(|page| incident.told_by(page)), "{incident:?} was not told of");
    }
}
