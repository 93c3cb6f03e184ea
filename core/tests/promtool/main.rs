//! That replay fires what Prometheus fires: random rules over random series, of which `promtool test rules` is told what
//! replay says fires at every evaluation.
//!
//! `SEED=8 cargo test -p homeostat --test promtool -- --ignored` looks elsewhere, with `CASES=5000` for longer. Where an
//! evaluation fails, promtool ends the test; such a case gets a file of its own, and has to fail at the same evaluation.

mod case;
mod series;

use case::Case;
use homeostat::replay::{Replayed, Replayer, Rule};
use homeostat::time::{Span, Timestamp};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Numbers for tests from a seed: xorshift64*, with the seed spread by one step of SplitMix64.
struct Chance(u64);

impl Chance {
    fn new(seed: u64) -> Chance {
        let mixed = (seed ^ (seed >> 31)).wrapping_add(0x9E37_79B9_7F4A_7C15).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        Chance((mixed ^ (mixed >> 27)) | 1)
    }

    fn below(&mut self, count: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize % count
    }

    fn happens(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    fn one_of<T: Clone>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())].clone()
    }
}

/// How many evaluations every case has.
const EVALUATIONS: usize = 45;
/// From one sample to the next and from one evaluation to the next, in seconds.
const RHYTHMS: [(i64, i64); 4] = [(60, 60), (30, 60), (60, 30), (60, 90)];

fn env(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |text| text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")))
}

#[test]
#[ignore = "needs promtool: ./dev check runs it"]
fn replay_fires_what_prometheus_fires() {
    let (seed, wanted) = (env("SEED", 1), env("CASES", 600) as usize);
    let folder = folder("agreement");
    let (mut files, mut failing) = (Vec::new(), Vec::new());
    let (mut agreeing, mut pages) = (0, 0);
    for (number, (samples, step)) in RHYTHMS.into_iter().enumerate() {
        let mut chance = Chance::new(seed + 1000 * number as u64);
        let mut together = Vec::new();
        let mut name = number * 1_000_000;
        while together.len() < wanted.div_ceil(RHYTHMS.len()) {
            name += 1;
            let case = Case::random(name, samples, step, &mut chance);
            let replayed = Replayer::new(&case.rule, &case.leaves).replay(&case.literals, case.rule.for_ms);
            match replayed.failure {
                None => together.push((case, replayed)),
                Some(_) if failing.len() < wanted / 10 => failing.push((case, replayed)),
                Some(_) => {}
            }
        }
        agreeing += together.len();
        pages += together.iter().map(|(_, replayed)| replayed.pages.len()).sum::<usize>();
        files.push(write(&folder, &format!("rhythm{number}"), step, samples, &together));
    }
    let said = promtool(&files);
    let wrong = first_named(&said).and_then(|name| describe(seed, &name, wanted)).unwrap_or_default();
    let shown: String = said.chars().take(4000).collect();
    assert_eq!(said.matches("  SUCCESS").count(), files.len(), "SEED={seed}\n{shown}\n{wrong}");

    let files: Vec<PathBuf> = failing
        .iter()
        .map(|pair| write(&folder, &pair.0.rule.alert, pair.0.step, pair.0.samples, std::slice::from_ref(pair)))
        .collect();
    let said = promtool(&files);
    for (case, replayed) in &failing {
        let (at, failure) = replayed.failure.expect("it failed");
        let expected = format!("rule: {}, time: {}, err:", case.rule.alert, go_duration(at));
        let name = [format!(" {},", case.rule.alert), format!("{}.test", case.rule.alert)];
        let said: Vec<&str> = said.lines().filter(|line| name.iter().any(|name| line.contains(name))).collect();
        // The line that tells which file is tested, and the one error.
        assert!(
            matches!(said.as_slice(), [_, one] if one.trim().starts_with(&expected)),
            "SEED={seed}: {failure} expected as `{expected}`, promtool says {said:#?}\n{case}"
        );
    }
    println!(
        "SEED={seed}: {agreeing} rules with {pages} pages agree at {EVALUATIONS} evaluations each; {} fail alike",
        failing.len()
    );
    assert!(agreeing >= 500 && pages >= agreeing && failing.len() >= 30, "too little was tried: {agreeing} {pages}");
}

#[test]
#[ignore = "needs promtool: ./dev check runs it"]
fn rules_that_look_thresholds_up_fire_what_prometheus_fires() {
    let (seed, wanted) = (env("SEED", 1), env("CASES", 600) as usize / 6);
    let folder = folder("lookups");
    let mut chance = Chance::new(seed);
    let (samples, step) = RHYTHMS[0];
    let mut differs = 0;
    let mut cases = Vec::new();
    for name in 0.. {
        let case = Case::lookup(name, samples, step, &mut chance);
        let replayed = Replayer::new(&case.rule, &case.leaves).replay(&case.literals, case.rule.for_ms);
        // Alerts that the rule's labels make one fail, as elsewhere.
        if replayed.failure.is_none() {
            let mut without = case.leaves.clone();
            without[1].tracks.clear();
            let literal_alone = Replayer::new(&case.rule, &without).replay(&case.literals, case.rule.for_ms);
            differs += usize::from(literal_alone.pages != replayed.pages);
            cases.push((case, replayed));
        }
        if cases.len() == wanted {
            break;
        }
    }
    let said = promtool(&[write(&folder, "lookups", step, samples, &cases)]);
    let wrong =
        first_named(&said).and_then(|name| cases.iter().find(|(case, _)| case.rule.alert == format!("C{name}")));
    let wrong = wrong.map(|(case, _)| case.to_string()).unwrap_or_default();
    let shown: String = said.chars().take(4000).collect();
    assert!(said.contains("  SUCCESS"), "SEED={seed}\n{shown}\n{wrong}");
    assert!(differs > wanted / 2, "thresholds made a difference in {differs} of {wanted}");
}

/// A folder of this test's own, empty.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("promtool-{name}"));
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).expect("a folder");
    folder
}

/// What `promtool test rules` says.
fn promtool(files: &[PathBuf]) -> String {
    let output = Command::new("promtool").args(["test", "rules"]).args(files).output();
    let output = output.unwrap_or_else(|error| panic!("promtool does not start ({error}): apt-get install prometheus"));
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// Rules and their test, in two files; gives the test's.
fn write(folder: &Path, name: &str, step: i64, samples: i64, cases: &[(Case, Replayed)]) -> PathBuf {
    let mut rules = "groups:\n".to_owned();
    let mut test = format!(
        "rule_files: [{name}.rules.yml]\nevaluation_interval: {step}s\ntests:\n- interval: {samples}s\n  input_series:\n"
    );
    let text = |text: &str| serde_json::to_string(text).expect("a text");
    for (case, _) in cases {
        write_rule(&mut rules, &case.rule, &case.text());
        for series in &case.series {
            let _ = writeln!(test, "  - {{series: {}, values: {}}}", text(&series.name()), text(&series.values_text()));
        }
    }
    test.push_str("  alert_rule_test:\n");
    for (case, replayed) in cases {
        for evaluation in 0..EVALUATIONS {
            let at = case.leaves.first().expect("every case has a leaf").at(evaluation);
            if replayed.failure.is_some_and(|(failed, _)| failed <= at) {
                // One that comes later, so that promtool gets as far as the failure.
                let _ = writeln!(test, "  - {{eval_time: {}s, alertname: {}}}", at.millis() / 1000, case.rule.alert);
                break;
            }
            let _ =
                write!(test, "  - {{eval_time: {}s, alertname: {}, exp_alerts: [", at.millis() / 1000, case.rule.alert);
            for page in replayed.pages.iter().filter(|page| page.fires_at(at)) {
                let labels = serde_json::to_string(&page.labels).expect("labels");
                let _ = write!(test, "{{exp_labels: {labels}}}, ");
            }
            test.push_str("]}\n");
        }
    }
    std::fs::write(folder.join(format!("{name}.rules.yml")), rules).expect("written");
    let path = folder.join(format!("{name}.test.yml"));
    std::fs::write(&path, test).expect("written");
    path
}

fn write_rule(rules: &mut String, rule: &Rule, expression: &str) {
    let text = |text: &str| serde_json::to_string(text).expect("a text");
    let labels = serde_json::to_string(&rule.labels).expect("labels");
    // A limit is that of a group.
    let _ = writeln!(rules, "- name: {}\n  limit: {}\n  rules:", rule.alert, rule.limit.unwrap_or(0));
    let _ = writeln!(rules, "  - alert: {}\n    expr: {}\n    labels: {labels}", rule.alert, text(expression));
    let _ = writeln!(rules, "    for: {}ms\n    keep_firing_for: {}ms", rule.for_ms, rule.keep_firing_for_ms);
}

/// As Go prints it: `1m30s`.
fn go_duration(at: Timestamp) -> String {
    let secs = at.since(Timestamp::EPOCH).millis() / Span::from_secs(1).millis();
    match (secs / 3600, secs / 60 % 60, secs % 60) {
        (0, 0, s) => format!("{s}s"),
        (0, m, s) => format!("{m}m{s}s"),
        (h, m, s) => format!("{h}h{m}m{s}s"),
    }
}

/// The first alert that an output names.
fn first_named(said: &str) -> Option<usize> {
    let at = ["alertname: C", "rule: C"].iter().filter_map(|mark| Some(said.find(mark)? + mark.len())).min()?;
    said[at..].split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// The case of this name, made once more.
fn describe(seed: u64, name: &usize, wanted: usize) -> Option<String> {
    let number = name / 1_000_000;
    let (samples, step) = RHYTHMS.get(number)?;
    let mut chance = Chance::new(seed + 1000 * number as u64);
    let from = number * 1_000_000 + 1;
    let cases = (from..from + 100 * wanted).map(|name| Case::random(name, *samples, *step, &mut chance));
    cases.into_iter().find(|case| case.rule.alert == format!("C{name}")).map(|case| case.to_string())
}
