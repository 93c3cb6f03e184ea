//! Cases for `promtool test rules`, made of what happened: the samples around an episode, and whether the alert fires then.
//!
//! A case stands by itself: beside it lies its rule as proposed, without annotations. Samples are taken at the interval at which
//! they were scraped, so that rates in the case are those of history but for the fraction of an interval; the times asked about
//! keep off the edges of an episode. Where promtool is installed, a case that does not pass is not left there.

use super::advise::{Outcome, Verdict};
use super::subject::Subject;
use super::{Failed, Run};
use crate::prometheus::Client;
use crate::prometheus::answer::Instant;
use crate::prometheus::progress::Silent;
use crate::prometheus::range::RangeQuery;
use crate::rules::expr::{Expr, Node, offsets, quoted};
use crate::rules::file::Field;
use homeostat::replay::{By, Labels, Page, Range, Track};
use homeostat::time::{Span, Timestamp};
use std::path::Path;

/// Episodes of one rule that cases are made of.
const CASES_MAX: usize = 3;
/// No case is larger: its file is read by people and kept with their code.
const SERIES_MAX: usize = 200;
const VALUES_MAX: usize = 200_000;
/// Of an episode so much is shown, and of what came before it at most so much.
const EPISODE_MAX: Span = Span::hours(6);
const BEFORE_MAX: Span = Span::hours(48);
/// A sample counts for so long after it was taken.
const LOOKBACK: Span = Span::minutes(5);

/// Intervals at which people scrape, in seconds.
const SCRAPES: [u64; 9] = [5, 10, 15, 20, 30, 60, 120, 180, 300];

/// Functions whose answer depends on the clock, which begins at 0 in a test.
const CLOCKS: [&str; 11] = [
    "time",
    "timestamp",
    "hour",
    "minute",
    "month",
    "year",
    "day_of_week",
    "day_of_month",
    "day_of_year",
    "days_in_month",
    "predict_linear",
];

/// Functions that make labels which the samples do not have.
const RELABELS: [&str; 3] = ["label_replace", "label_join", "count_values"];

/// Aggregations that rank their elements against each other, and let them through as they are.
const RANKS: [&str; 4] = ["topk", "bottomk", "limitk", "limit_ratio"];

/// One question of a case.
struct Asked {
    at: Timestamp,
    /// The alerts that fire then.
    firing: Vec<Labels>,
}

/// What a series had at one scrape.
#[derive(Clone, Copy, PartialEq)]
enum Sampled {
    Value(f64),
    /// No sample, and the one before still counts for a while.
    Nothing,
    /// It ended here.
    Stale,
}

struct Case {
    name: String,
    start: Timestamp,
    step: Span,
    series: Vec<(Labels, Vec<Sampled>)>,
    asked: Vec<Asked>,
}

/// Writes what can be made; answers with how much that was.
pub(super) fn write(
    folder: &Path,
    client: &Client,
    subjects: &[Subject<'_>],
    outcomes: &[Outcome],
    run: &Run,
) -> Result<String, Failed> {
    let failed = |error: std::io::Error| Failed::World(format!("cannot write into {}: {error}", folder.display()));
    std::fs::create_dir_all(folder).map_err(failed)?;
    let (mut cases_written, mut rules, mut names) = (0, 0, Vec::new());
    for outcome in outcomes {
        let subject = &subjects[outcome.subject];
        let say = |problem: &str| eprintln!("no test of {}: {problem}", super::one_line(&subject.rule.name.text));
        let Some(made) = cases(client, subject, outcome, run) else { continue };
        let cases = match made {
            Ok(cases) => cases,
            Err(problem) => {
                say(&problem);
                continue;
            }
        };
        if cases.is_empty() {
            continue;
        }
        let name = file_name(&subject.rule.name.text, &mut names);
        let rules_file = folder.join(format!("{name}.rules.yml"));
        let tests_file = folder.join(format!("{name}.test.yml"));
        std::fs::write(&rules_file, rule_text(subject, outcome)).map_err(failed)?;
        let passing = |cases: Vec<&Case>| -> Result<bool, Failed> {
            std::fs::write(&tests_file, test_text(subject, &name, &cases)).map_err(failed)?;
            Ok(passes(&tests_file) != Some(false))
        };
        let mut kept: Vec<&Case> = cases.iter().collect();
        if !passing(kept.clone())? {
            let mut each = Vec::new();
            for case in kept {
                if passing(vec![case])? {
                    each.push(case);
                }
            }
            kept = each;
            if kept.is_empty() {
                say("what happened between two scrapes decides, which a test cannot say");
                let gone = std::fs::remove_file(&rules_file).and_then(|()| std::fs::remove_file(&tests_file));
                gone.map_err(failed)?;
                continue;
            }
            passing(kept.clone())?;
        }
        let cases = kept;
        cases_written += cases.len();
        rules += 1;
    }
    Ok(format!("{cases_written} cases for {rules} rules"))
}

/// None: promtool is not installed.
fn passes(tests: &Path) -> Option<bool> {
    let ran = std::process::Command::new("promtool").args(["test", "rules"]).arg(tests).output().ok()?;
    Some(ran.status.success())
}

/// Cases of one rule; None: it has no episode.
fn cases(client: &Client, subject: &Subject<'_>, outcome: &Outcome, run: &Run) -> Option<Result<Vec<Case>, String>> {
    let past = outcome.past.as_ref()?;
    let analysis = subject.analysis.as_ref()?;
    let rule = subject.replayed.as_ref()?;
    let (pages, quiet) = match &outcome.verdict {
        Verdict::Change(proposal) => {
            // What paged, and would not with the proposal.
            let overlaps = |page: &Page| {
                proposal.pages.iter().any(|kept| {
                    kept.labels == page.labels
                        && kept.pending_since <= end(page, run)
                        && page.pending_since <= end(kept, run)
                })
            };
            let quiet: Vec<&Page> = past.pages.iter().filter(|page| !overlaps(page)).collect();
            (&proposal.pages, quiet)
        }
        Verdict::Leave { .. } => (&past.pages, Vec::new()),
    };
    if pages.is_empty() && quiet.is_empty() {
        return None;
    }
    if let Some(limit) = rule.limit.filter(|limit| past.series.len() > *limit) {
        return Some(Err(format!(
            "its group allows {limit} alerts, and drops them all where there are more: a case of one episode does not hold them all"
        )));
    }
    let expr = &analysis.expr;
    let calls = |names: &[&str]| {
        expr.any(|part| matches!(&part.node, Node::Call { name, .. } | Node::Aggregation { name, .. } if names.contains(&name.as_str())))
    };
    if calls(&CLOCKS) {
        return Some(Err("it depends on the clock, which begins at 0 in a test".to_owned()));
    }
    if !rule.opaque_labels().is_empty() {
        return Some(Err("its labels depend on values".to_owned()));
    }
    let offset = match offsets(&subject.rule.expr.text) {
        Some(offset) => offset,
        None => return Some(Err("it looks at fixed times, or ahead".to_owned())),
    };
    let before = Span::from_millis(((expr.looks_back() + offset) * 1000.0) as u64) + LOOKBACK;
    if before > BEFORE_MAX {
        return Some(Err(format!("it looks back further than {BEFORE_MAX}")));
    }
    // What has another value in one of these has no part in an alert.
    let tells = |name: &str| {
        let matched = |part: &Expr| match &part.node {
            Node::Binary { matching, .. } => match &matching.by {
                By::On(labels) => labels.iter().any(|label| label == name),
                By::Ignoring(labels) => labels.iter().all(|label| label != name),
            },
            _ => true,
        };
        !calls(&RELABELS) && !calls(&RANKS) && !expr.any(|part| !matched(part))
    };
    // The longest ones say most, and first one that no longer pages.
    let mut told: Vec<(&Page, bool)> = Vec::new();
    told.extend(longest(quiet, run).into_iter().take(1).map(|page| (page, false)));
    told.extend(longest(pages.iter().collect(), run).into_iter().take(CASES_MAX - told.len()).map(|page| (page, true)));
    let made: Vec<Result<Option<Case>, String>> = told
        .into_iter()
        .map(|(page, fires)| case(client, subject, expr, pages, (page, fires), before, &tells, run))
        .collect();
    let problem = made.iter().find_map(|one| one.as_ref().err().cloned());
    let cases: Vec<Case> = made.into_iter().filter_map(|one| one.ok().flatten()).collect();
    match (cases.is_empty(), problem) {
        (true, Some(problem)) => Some(Err(problem)),
        _ => Some(Ok(cases)),
    }
}

fn end(page: &Page, run: &Run) -> Timestamp {
    page.ended.unwrap_or(run.end)
}

fn longest<'a>(mut pages: Vec<&'a Page>, run: &Run) -> Vec<&'a Page> {
    pages.sort_by_key(|page| std::cmp::Reverse(end(page, run).since(page.began)));
    pages
}

#[allow(clippy::too_many_arguments)]
fn case(
    client: &Client,
    subject: &Subject<'_>,
    expr: &Expr,
    pages: &[Page],
    (page, fires): (&Page, bool),
    before: Span,
    tells: &dyn Fn(&str) -> bool,
    run: &Run,
) -> Result<Option<Case>, String> {
    let interval = subject.interval;
    let own = |name: &str| name == "alertname" || subject.rule.label(name).is_some() || !tells(name);
    let labels = page.labels.filter(|name| !own(name));
    let selectors = expr.selectors();
    let scrape = selectors.iter().filter_map(|selector| scraped_every(client, selector, page.began)).min();
    let step = scrape.unwrap_or(interval).min(interval);
    // Both the rule's evaluations and the samples begin with the case.
    let grid = least_common(step.millis(), interval.millis());
    let floor = |at: Timestamp| Timestamp::from_millis(at.millis() - at.millis().rem_euclid(grid as i64));
    let start = floor(page.pending_since - before - interval * 4);
    if start < run.start {
        // Whether something fired before the history begins, nobody knows.
        return Ok(None);
    }
    let last = (page.began + EPISODE_MAX).min(end(page, run)) + interval * 3;
    let mut series: Vec<(Labels, Vec<Sampled>)> = Vec::new();
    let mut steps = 0;
    for selector in &selectors {
        let fetch = |expr: String| {
            let query = RangeQuery { expr, start, end: last, step };
            client.query_range(&query, run.now, &Silent).map(|fetched| fetched.range).map_err(|error| error.to_string())
        };
        let (values, taken) = (fetch(selector.clone())?, fetch(format!("timestamp({selector})"))?);
        steps = values.steps;
        for track in &values.tracks {
            // What has other values in the labels of the alert has no part in it.
            let other = |name, value| !track.labels.get(name).is_empty() && track.labels.get(name) != value;
            let apart = labels.iter().any(|(name, value)| other(name, value));
            if !apart && !series.iter().any(|(known, _)| *known == track.labels) {
                series.push((track.labels.clone(), sampled(&values, track, &taken)));
            }
        }
    }
    if series.len() > SERIES_MAX || series.len() * steps > VALUES_MAX {
        return Err(format!("{} series of {steps} samples are too many for a test", series.len()));
    }
    if series.is_empty() {
        return Ok(None);
    }
    let relevant: Vec<&Page> = pages
        .iter()
        .filter(|other| {
            labels.iter().all(|(name, value)| matches!(other.labels.get(name), v if v.is_empty() || v == value))
        })
        .collect();
    let ask = |at: Timestamp| {
        // Nothing begins or ends next to it.
        let near = |other: Timestamp| at.millis().abs_diff(other.millis()) < 2 * interval.millis();
        let edge = relevant.iter().any(|other| near(other.began) || near(end(other, run)));
        let inside = at >= start + before && at <= last;
        let firing = relevant
            .iter()
            .filter(|other| other.began <= at && at < end(other, run))
            .map(|other| other.labels.clone())
            .collect();
        (inside && !edge && at.millis() % interval.millis() as i64 == 0).then_some(Asked { at, firing })
    };
    let on_grid = |at: Timestamp| {
        let millis = interval.millis() as i64;
        Timestamp::from_millis(at.millis() - at.millis().rem_euclid(millis))
    };
    let middle = |from: Timestamp, to: Timestamp| on_grid(Timestamp::from_millis((from.millis() + to.millis()) / 2));
    let until = end(page, run).min(last - interval * 3);
    let mut asked: Vec<Asked> = [
        page.pending_since - interval * 2,
        middle(page.pending_since, page.began),
        middle(page.began, until),
        until + interval * 2,
    ]
    .into_iter()
    .filter_map(ask)
    .collect();
    asked.dedup_by_key(|asked| asked.at);
    let says = asked.iter().any(|asked| asked.firing.is_empty() != fires);
    let name = match fires {
        true => format!("fires at {}", page.began),
        false => format!("is quiet at {}, where it paged before", page.began),
    };
    Ok(says.then_some(Case { name, start, step, series, asked }))
}

/// Samples where they were taken: an answer repeats the last one for as long as it counts.
fn sampled(values: &Range, track: &Track, taken: &Range) -> Vec<Sampled> {
    let nameless = track.labels.nameless();
    let taken = taken.tracks.iter().find(|taken| taken.labels.nameless() == nameless);
    let fresh = |k: usize| {
        let stamp = taken.and_then(|taken| *taken.values.get(k)?);
        stamp.is_none_or(|stamp| values.at(k).secs() - stamp < values.step as f64 / 1000.0)
    };
    let mut before = Sampled::Nothing;
    let one = |(k, value): (usize, &Option<f64>)| {
        before = match (value, before) {
            (Some(value), _) if fresh(k) => Sampled::Value(*value),
            (None, Sampled::Value(_)) => Sampled::Stale,
            _ => Sampled::Nothing,
        };
        before
    };
    track.values.iter().enumerate().map(one).collect()
}

/// How often a selector's samples come, as the server has them.
fn scraped_every(client: &Client, selector: &str, at: Timestamp) -> Option<Span> {
    let answer = client.query(&format!("max(count_over_time({selector}[10m]))"), at).ok()?;
    let Instant::Vector(series) = answer.value else { return None };
    let count = series.first()?.1;
    let seconds = (600.0 / count).round();
    SCRAPES.into_iter().min_by_key(|scrape| scrape.abs_diff(seconds as u64)).map(Span::from_secs)
}

fn least_common(one: u64, other: u64) -> u64 {
    let (mut a, mut b) = (one, other);
    while b > 0 {
        (a, b) = (b, a % b);
    }
    one / a.max(1) * other
}

/// A name for files, of no alert before.
fn file_name(alert: &str, names: &mut Vec<String>) -> String {
    let plain: String =
        alert.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' }).take(80).collect();
    let mut name = plain.clone();
    let mut nth = 1;
    while names.contains(&name) {
        nth += 1;
        name = format!("{plain}-{nth}");
    }
    names.push(name.clone());
    name
}

/// JSON's texts are YAML's.
fn text(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// The rule as proposed, without what nobody tests.
fn rule_text(subject: &Subject<'_>, outcome: &Outcome) -> String {
    let rule = subject.rule;
    let (mut expr, mut hold) = (rule.expr.text.clone(), rule.hold);
    if let Verdict::Change(proposal) = &outcome.verdict {
        hold = proposal.hold;
        let mut parts: Vec<_> = subject.comparisons().zip(&proposal.literals).collect();
        parts.sort_by_key(|(comparison, _)| std::cmp::Reverse(comparison.literal.span.start));
        for (comparison, spelled) in parts {
            expr.replace_range(comparison.literal.span.clone(), &spelled.new);
        }
    }
    let mut yaml = format!(
        "groups:\n- name: {}\n  interval: {}\n  rules:\n  - alert: {}\n    expr: {}\n",
        text(if subject.group.name.is_empty() { "tested" } else { &subject.group.name }),
        subject.interval,
        text(&rule.name.text),
        text(&expr)
    );
    for (key, span) in [("for", hold), ("keep_firing_for", rule.keep_firing_for)] {
        if span > Span::ZERO {
            yaml += &format!("    {key}: {span}\n");
        }
    }
    if !rule.labels.is_empty() {
        yaml += "    labels:\n";
        for (name, Field { text: value, .. }) in &rule.labels {
            yaml += &format!("      {}: {}\n", text(name), text(value));
        }
    }
    yaml
}

fn test_text(subject: &Subject<'_>, name: &str, cases: &[&Case]) -> String {
    let mut yaml = format!(
        "# Made by homeostat tune of what happened: promtool test rules {name}.test.yml\n\
         rule_files: [{}]\nevaluation_interval: {}\ntests:\n",
        text(&format!("{name}.rules.yml")),
        subject.interval
    );
    let alert = quoted(&subject.rule.name.text);
    for case in cases {
        yaml += &format!("- name: {}\n  interval: {}\n  input_series:\n", text(&case.name), case.step);
        for (labels, values) in &case.series {
            yaml +=
                &format!("  - series: {}\n    values: {}\n", text(&series_text(labels)), text(&values_text(values)));
        }
        yaml += "  promql_expr_test:\n";
        for asked in &case.asked {
            let expr = format!("ALERTS{{alertname={alert},alertstate=\"firing\"}}");
            let at = asked.at.since(case.start);
            yaml += &format!("  - expr: {}\n    eval_time: {at}\n    exp_samples:", text(&expr));
            if asked.firing.is_empty() {
                yaml += " []\n";
                continue;
            }
            yaml += "\n";
            for labels in &asked.firing {
                let labels = labels.with("alertstate", "firing").with("__name__", "ALERTS");
                yaml += &format!("    - labels: {}\n      value: 1\n", text(&series_text(&labels)));
            }
        }
    }
    yaml
}

fn series_text(labels: &Labels) -> String {
    let pairs: Vec<String> = labels
        .iter()
        .filter(|(name, _)| *name != "__name__")
        .map(|(name, value)| format!("{name}={}", quoted(value)))
        .collect();
    format!("{}{{{}}}", labels.get("__name__"), pairs.join(","))
}

/// As promtool writes series.
fn values_text(values: &[Sampled]) -> String {
    let one = |value: &Sampled| match value {
        Sampled::Value(value) if value.is_infinite() => format!("{}Inf", if *value < 0.0 { "-" } else { "" }),
        Sampled::Value(value) => value.to_string(),
        Sampled::Nothing => "_".to_owned(),
        Sampled::Stale => "stale".to_owned(),
    };
    values.iter().map(one).collect::<Vec<_>>().join(" ")
}
