//! Alert rules and dashboards stand in `monitoring/` as plain files, where no compiler sees them: a metric that is renamed
//! would leave an alert that can never fire. So each name in them is held against what is exported, label by label.

use super::thresholds::Tried;
use super::*;
use crate::config::{Config, ReceiverKind};
use crate::prometheus::cost::Cost;
use crate::rules::expr::{Expr, Node};
use crate::store::Store;
use crate::store::samples::SampleLog;
use homeostat::engine::Engine;
use homeostat::replay::{By, Op};
use homeostat::time::Span;
use serde::Deserialize;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// What a metric may carry: each label, and the values that were seen of it.
type Carries = BTreeMap<String, BTreeSet<String>>;

/// Every metric by its full name.
type Exported = BTreeMap<String, Carries>;

/// Labels that a scrape adds.
const TARGET: [&str; 2] = ["job", "instance"];

/// What stands beside our own metrics in a Prometheus.
const PROMETHEUS_OWN: [&str; 2] = ["up", "ALERTS"];

// --- what is exported ------------------------------------------------------------------------------------------------

/// All families, of a daemon that has something to say of everything.
fn exported() -> Exported {
    let folder = tempfile::tempdir().expect("a folder");
    let (store, settings) = (Store::open(folder.path()).expect("a store"), Config::default());
    let now = Timestamp::from_secs(1_700_000_000);
    let engine = Engine::new(settings.engine.clone(), now);
    let mut stats = crate::driver::Stats::default();
    for from in SystemState::ALL {
        stats.counts.transitions.extend(SystemState::ALL.map(|to| ((from, to), 1)));
    }
    stats.counts.events.insert("cycle_completed", 1);
    let samples = SampleLog::open(folder.path(), 1, Span::from_millis(200)).expect("a log");
    let view = View { engine: &engine, store: &store, stats: &stats, samples: &samples, settings: &settings, now };
    let mut m = Measured::of(&view);
    m.budgets = vec![(None, Some(5.0), Some(5.0)), (Some("load".to_owned()), Some(5.0), Some(5.0))];
    m.ab = Some(compared());
    m.rollouts = vec![Tried { rule: "A".to_owned(), step: None, served: 1 }];
    m.evidence = EvidenceKind::ALL.map(|kind| (kind, 0.5)).into();
    for one in &mut m.loops {
        one.effectiveness = Some(0.5);
    }
    let sources = ["promql", "scrape"]
        .map(|kind| Arc::new(source::Tally::new(kind, 1, Span::minutes(1), Some(Arc::new(Cost::default())), now)));
    let receivers = [ReceiverKind::Alertmanager, ReceiverKind::Webhook, ReceiverKind::Command];
    let receivers = receivers.map(|kind| Arc::new(page::Tally::new(kind, 1)));
    receivers.iter().for_each(|tally| tally.taken_at.store(1, Ordering::Relaxed));
    let tallies = Tallies {
        webhooks: vec![Arc::default()],
        receivers: receivers.into(),
        verdicts: Arc::default(),
        sources: sources.into(),
        remote_write: vec![Arc::default()],
        receive: Arc::default(),
        door: Arc::default(),
    };
    tallies.remote_write[0].taken_at.store(1, Ordering::Relaxed);
    for tally in &tallies.sources {
        tally.reached(now);
    }
    let learned = Learned {
        series: SeriesName::parse("load").expect("a series"),
        lower: Some(1.0),
        upper: Some(2.0),
        confidence: 0.9,
    };
    let served = Served::some();

    let mut exported = Exported::new();
    let own = families(&m, &mut Totals::default(), &tallies);
    for family in own.iter().chain(&threshold_families(&[learned], &[served])) {
        let suffixes: &[&str] = if family.kind == Type::Histogram { &["_bucket", "_sum", "_count"] } else { &[""] };
        for suffix in suffixes {
            let carries = exported.entry(format!("{}{suffix}", family.name)).or_default();
            for sample in family.samples.iter().filter(|sample| sample.suffix == *suffix) {
                for (name, value) in &sample.labels {
                    carries.entry(name.to_string()).or_default().insert(value.clone());
                }
            }
        }
    }
    exported
}

/// A comparison that knows all it may know.
fn compared() -> Report {
    let mut ab = report(&[]);
    (ab.delay.median_s, ab.delay.low_s, ab.delay.high_s) = (Some(1.0), Some(0.0), Some(2.0));
    ab
}

/// A value that the configuration or the world decides; others are ours, and known.
fn is_open(metric: &str, label: &str) -> bool {
    TARGET.contains(&label)
        || PROMETHEUS_OWN.contains(&metric)
        || matches!(
            (metric, label),
            (_, "number" | "receiver" | "webhook" | "version" | "match")
                | ("homeostat_events_total", "kind")
                | ("homeostat_receive_requests_total", "code")
        )
        || (metric.starts_with("homeostat_threshold") && matches!(label, "metric" | "rule"))
}

// --- what is asked for -----------------------------------------------------------------------------------------------

/// Holds expressions against what is exported, and remembers what they named.
struct Checker {
    exported: Exported,
    named: BTreeSet<String>,
}

impl Checker {
    fn new() -> Checker {
        Checker { exported: exported(), named: BTreeSet::new() }
    }

    /// The labels that a result carries. None: whatever the series of the world do.
    fn query(&mut self, text: &str, place: &str) -> Option<BTreeSet<String>> {
        let text = text.replace("$__rate_interval", "5m");
        let expr = Expr::parse(&text).unwrap_or_else(|error| panic!("{place}: {error}: {text}"));
        self.labels(&expr, place)
    }

    fn labels(&mut self, expr: &Expr, place: &str) -> Option<BTreeSet<String>> {
        match &expr.node {
            Node::Number(_) | Node::Text(_) => Some(BTreeSet::new()),
            Node::Selector { name, matchers } => {
                let Some(metric) = name else {
                    assert!(matchers.iter().any(|m| m.label == "__name__"), "{place}: a selector without a name");
                    return None;
                };
                if PROMETHEUS_OWN.contains(&metric.as_str()) {
                    return None;
                }
                self.named.insert(metric.clone());
                let carries = self.exported.get(metric).unwrap_or_else(|| panic!("{place}: no `{metric}` is exported"));
                for matcher in matchers.iter().filter(|matcher| !is_open(metric, &matcher.label)) {
                    let values = carries.get(&matcher.label);
                    let values = values.unwrap_or_else(|| panic!("{place}: {metric} has no `{}`", matcher.label));
                    for value in matcher.value.split('|').filter(|value| !value.contains(['$', '.'])) {
                        assert!(values.contains(value), "{place}: {metric} has no {}={value:?}", matcher.label);
                    }
                }
                // Thresholds carry their series' own labels.
                let open = metric.starts_with("homeostat_threshold") && metric != "homeostat_thresholds";
                let known = carries.keys().cloned().chain(TARGET.map(str::to_owned)).collect();
                (!open).then_some(known)
            }
            Node::Ranged { of, .. } | Node::Paren(of) | Node::Signed { of, .. } => self.labels(of, place),
            Node::Call { args, .. } => {
                args.iter().map(|arg| self.labels(arg, place)).reduce(join).unwrap_or(Some(BTreeSet::new()))
            }
            Node::Aggregation { grouping, args, .. } => {
                let below = args.iter().map(|arg| self.labels(arg, place)).reduce(join).expect("an argument");
                let Some(grouping) = grouping else { return Some(BTreeSet::new()) };
                let by: BTreeSet<String> = grouping.labels.iter().cloned().collect();
                if let Some(below) = &below {
                    assert!(by.is_subset(below), "{place}: {by:?} are not all in {below:?}");
                }
                if grouping.by { Some(by) } else { below.map(|below| &below - &by) }
            }
            Node::Binary { op, matching, left, right, .. } => {
                let (l, r) = (self.labels(left, place), self.labels(right, place));
                let scalar = |side: &Expr| side.kind == crate::rules::expr::Kind::Scalar;
                match (op, scalar(left), scalar(right)) {
                    (_, true, _) => return r,
                    (_, _, true) => return l,
                    _ => {}
                }
                let By::On(on) = &matching.by else {
                    // Without `on` all labels have to be equal: sides that differ in them never meet.
                    assert!(l == r || *op == Op::Or || *op == Op::Unless, "{place}: {l:?} never meets {r:?}");
                    return if *op == Op::Or { join(l, r) } else { l };
                };
                let on: BTreeSet<String> = on.iter().cloned().collect();
                for side in [&l, &r].into_iter().flatten() {
                    assert!(on.is_subset(side), "{place}: {on:?} are not all in {side:?}");
                }
                match op {
                    Op::And | Op::Unless => l,
                    Op::Or => join(l, r),
                    _ => Some(on),
                }
            }
        }
    }
}

fn join(one: Option<BTreeSet<String>>, other: Option<BTreeSet<String>>) -> Option<BTreeSet<String>> {
    one.zip(other).map(|(one, other)| &one | &other)
}

/// The names between `before` and the first sign that is no name's.
fn names<'a>(text: &'a str, before: &str) -> Vec<&'a str> {
    let name = |rest: &'a str| rest.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next().unwrap_or_default();
    text.split(before).skip(1).map(|rest| name(rest.trim_start())).collect()
}

/// Whether a text names labels alone that there are.
fn holds_only(text: &str, before: &str, labels: Option<&BTreeSet<String>>, place: &str) {
    for name in names(text, before) {
        assert!(labels.is_none_or(|labels| labels.contains(name)), "{place}: there is no label `{name}`: {text}");
    }
}

// --- the files -------------------------------------------------------------------------------------------------------

fn monitoring() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../monitoring")
}

fn read(path: impl AsRef<Path>) -> String {
    let path = monitoring().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[derive(Deserialize)]
struct RuleFile {
    groups: Vec<Group>,
}

#[derive(Deserialize)]
struct Group {
    rules: Vec<Rule>,
}

#[derive(Deserialize)]
struct Rule {
    alert: String,
    expr: String,
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
}

fn rules() -> Vec<Rule> {
    let file: RuleFile = serde_saphyr::from_str(&read("homeostat.rules.yml")).expect("a rule file");
    file.groups.into_iter().flat_map(|group| group.rules).collect()
}

/// Each dashboard by its file's name.
fn dashboards() -> Vec<(String, serde_json::Value)> {
    let folder = monitoring().join("grafana/dashboards");
    let mut all: Vec<_> = std::fs::read_dir(&folder)
        .expect("a folder")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("text"))
        .map(|name| {
            let text = read(Path::new("grafana/dashboards").join(&name));
            let dashboard = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
            (name, dashboard)
        })
        .collect();
    all.sort_by(|(one, _), (other, _)| one.cmp(other));
    all
}

fn list(value: &serde_json::Value) -> &[serde_json::Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// Panels that show something, each with where it stands; rows are headings.
fn panels(dashboards: &[(String, serde_json::Value)]) -> Vec<(String, &serde_json::Value)> {
    let of = |(name, dashboard): &'_ (String, serde_json::Value)| -> Vec<String> {
        list(&dashboard["panels"]).iter().map(|panel| format!("{name}, `{}`", panel["title"])).collect()
    };
    let places = dashboards.iter().flat_map(of);
    let all = dashboards.iter().flat_map(|(_, dashboard)| list(&dashboard["panels"]));
    places.zip(all).filter(|(_, panel)| panel["type"] != "row").collect()
}

// --- what has to hold ------------------------------------------------------------------------------------------------

#[test]
fn rules_and_dashboards_name_what_is_exported_and_all_of_it_is_shown() {
    let mut checker = Checker::new();
    for Rule { alert, expr, annotations, .. } in rules() {
        let labels = checker.query(&expr, &alert);
        for text in annotations.values() {
            holds_only(text, "$labels.", labels.as_ref(), &alert);
        }
    }
    let dashboards = dashboards();
    for (place, panel) in panels(&dashboards) {
        for target in list(&panel["targets"]) {
            let labels = checker.query(target["expr"].as_str().expect("an expression"), &place);
            holds_only(target["legendFormat"].as_str().expect("a legend"), "{{", labels.as_ref(), &place);
        }
    }
    for (name, dashboard) in &dashboards {
        for variable in list(&dashboard["templating"]["list"]).iter().filter(|variable| variable["type"] == "query") {
            let query = variable["query"]["query"].as_str().expect("a query");
            let of = query.strip_prefix("label_values(").and_then(|rest| rest.strip_suffix(')'));
            let (selector, label) = of.and_then(|of| of.rsplit_once(", ")).expect("label_values(SELECTOR, LABEL)");
            let labels = checker.query(selector, name);
            assert!(labels.is_none_or(|labels| labels.contains(label)), "{name}: {query}");
        }
    }
    let unseen: Vec<&String> = checker.exported.keys().filter(|metric| !checker.named.contains(*metric)).collect();
    assert!(unseen.is_empty(), "exported, and on no dashboard: {unseen:?}");
}

#[test]
fn a_name_a_label_or_a_value_that_is_gone_is_found() {
    for wrong in [
        "homeostat_renamed_total",
        "rate(homeostat_samples_total{fat=\"admitted\"}[5m])",
        "homeostat_state{state=\"ill\"}",
        "homeostat_samples_total{fate!~\"admitted|foldet\"}",
        "sum by (phase) (homeostat_state)",
        "homeostat_state > on (loop) homeostat_frozen",
        "homeostat_state == homeostat_frozen",
        "homeostat_learned_confidence_ratio",
    ] {
        let found = std::panic::catch_unwind(|| Checker::new().query(wrong, "here"));
        assert!(found.is_err(), "{wrong}");
    }
    let labels = Checker::new().query("sum by (state) (homeostat_state)", "here");
    for legend in ["{{instance}}", "{{ loop }}"] {
        assert!(std::panic::catch_unwind(|| holds_only(legend, "{{", labels.as_ref(), "here")).is_err(), "{legend}");
    }
    holds_only("{{state}}", "{{", labels.as_ref(), "here");
}

#[test]
fn every_alert_says_what_it_means_and_has_its_cases() {
    let tests = read("tests/homeostat.test.yml") + &read("tests/weeks.test.yml");
    let readme = read("README.md");
    let mut names = BTreeSet::new();
    for Rule { alert, labels, annotations, .. } in rules() {
        assert!(alert.starts_with("Homeostat") && names.insert(alert.clone()), "{alert}");
        assert!(["critical", "warning", "info"].contains(&labels["severity"].as_str()), "{alert}");
        assert!(annotations["summary"].len() > 10 && annotations["description"].len() > 40, "{alert}");
        assert!(tests.contains(&format!("\"{alert}\"")) || tests.contains(&format!("alertname: {alert}\n")), "{alert}");
        assert!(readme.contains(&format!("`{alert}`")), "{alert} is not in the list");
    }
    for listed in names_listed(&readme) {
        assert!(names.contains(listed), "{listed} is listed, and is no alert");
    }
}

fn names_listed(readme: &str) -> impl Iterator<Item = &str> {
    readme.split('`').skip(1).step_by(2).filter(|word| word.starts_with("Homeostat"))
}

#[test]
fn dashboards_can_be_read_by_grafana_and_by_people() {
    let dashboards = dashboards();
    assert!(dashboards.len() >= 4);
    let (mut uids, mut titles) = (BTreeSet::new(), BTreeSet::new());
    for (name, dashboard) in &dashboards {
        assert!(uids.insert(dashboard["uid"].as_str().expect("a uid")), "{name}");
        assert!(titles.insert(dashboard["title"].as_str().expect("a title")), "{name}");
        let text = dashboard.to_string();
        for variable in list(&dashboard["templating"]["list"]) {
            let variable_name = variable["name"].as_str().expect("a name");
            assert!(variable["description"].as_str().is_some_and(|text| text.len() > 10), "{name}: {variable_name}");
            let used = [format!("${variable_name}"), format!("${{{variable_name}}}")];
            assert!(used.iter().any(|used| text.contains(used)), "{name}: nothing uses {variable_name}");
        }
        let (mut ids, mut taken) = (BTreeSet::new(), BTreeSet::new());
        for panel in list(&dashboard["panels"]) {
            assert!(ids.insert(panel["id"].as_u64().expect("an id")), "{name}: {}", panel["title"]);
            let at = |key: &str| panel["gridPos"][key].as_u64().expect("a place");
            assert!(at("x") + at("w") <= 24, "{name}: {}", panel["title"]);
            for x in at("x")..at("x") + at("w") {
                for y in at("y")..at("y") + at("h") {
                    assert!(taken.insert((x, y)), "{name}: {} lies over another", panel["title"]);
                }
            }
        }
    }
    for (place, panel) in panels(&dashboards) {
        assert!(panel["description"].as_str().is_some_and(|text| text.len() > 10), "{place}: no description");
        assert!(panel["fieldConfig"]["defaults"]["unit"].is_string(), "{place}: no unit");
        assert!(!list(&panel["targets"]).is_empty(), "{place}: no query");
        assert_eq!(panel["datasource"]["uid"], "${datasource}", "{place}");
    }
}

#[test]
fn what_is_provisioned_stands_where_it_says() {
    let yaml = |path: &str| serde_saphyr::from_str::<serde_json::Value>(&read(path)).expect(path);
    let provider = yaml("grafana/provisioning/dashboards/homeostat.yml");
    assert_eq!((&provider["apiVersion"], &provider["providers"][0]["type"]), (&1.into(), &"file".into()));
    let datasource = yaml("grafana/provisioning/datasources/homeostat.yml");
    assert_eq!(datasource["datasources"][0]["type"], "prometheus");
    // The alerts are told apart by the job that the scrape config gives.
    let prometheus = yaml("prometheus.yml");
    assert_eq!(prometheus["rule_files"][0], "homeostat.rules.yml");
    assert_eq!(prometheus["scrape_configs"][0]["job_name"], "homeostat");
    assert_eq!(prometheus["scrape_configs"][1]["metrics_path"], "/metrics/thresholds");
    assert_eq!(prometheus["scrape_configs"][1]["honor_labels"], true);
}
