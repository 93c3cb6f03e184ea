//! `homeostat ab rules`: two versions of alert rules on one history, as Prometheus would have fired them.

use super::{print, value};
use crate::cli::fetch::{client, failed};
use crate::cli::output::{Out, one_line};
use crate::cli::{Done, Failed};
use crate::prometheus::Client;
use crate::prometheus::args::PrometheusArgs;
use crate::prometheus::progress::Bar;
use crate::prometheus::range::RangeQuery;
use crate::rules::file::{self, Group, RuleFile, RuleKind};
use homeostat::feedback::Verdict;
use homeostat::replay::score::Said;
use homeostat::replay::{Formula, Labels, Page, Rule, replay};
use homeostat::time::{Span, Timestamp};
use homeostat::versus::{Book, report};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  homeostat ab rules now.yml tuned.yml --prometheus http://localhost:9090
  homeostat ab rules now.yml tuned.yml --prometheus http://localhost:9090 --since 60d --verdicts said.jsonl

Rules are matched by their alert's name, those of one name in their order. Each version's expression is asked of the Prometheus
over the same time and fired as Prometheus fires it; the first file is the static one, the second the learned one of the table.
Verdicts are JSON lines {\"alert\",\"labels\",\"at\",\"verdict\"}, the verdict true, false or missed. Rules that only one of the
files has are named and left out.")]
pub struct RulesArgs {
    /// The rules as they stand
    #[arg(value_name = "BEFORE")]
    before: PathBuf,
    /// The rules that are to take their place
    #[arg(value_name = "AFTER")]
    after: PathBuf,
    /// How far back
    #[arg(long, value_name = "DURATION", default_value = "28d")]
    since: Span,
    /// Up to when: Unix seconds or RFC 3339 [default: now]
    #[arg(long, value_name = "TIME")]
    until: Option<Timestamp>,
    /// What people said of pages
    #[arg(long, value_name = "FILE")]
    verdicts: Option<PathBuf>,
    #[command(flatten)]
    prometheus: PrometheusArgs,
}

/// One alert rule of a file.
struct Alert {
    expr: String,
    rule: Rule,
}

/// A rule's alert by name, and which of those of that name it is.
type Key = (String, usize);

pub fn rules(args: &RulesArgs, out: &Out) -> Result<Done, Failed> {
    let (before, after) = (alerts(&args.before)?, alerts(&args.after)?);
    let said = args.verdicts.as_deref().map_or(Ok(Vec::new()), verdicts)?;
    for (key, file) in before
        .keys()
        .filter(|key| !after.contains_key(*key))
        .map(|key| (key, &args.after))
        .chain(after.keys().filter(|key| !before.contains_key(*key)).map(|key| (key, &args.before)))
    {
        eprintln!("{}: left out, as {} has no such rule", one_line(&key.0), file.display());
    }
    let now = crate::driver::now();
    let end = args.until.unwrap_or(now);
    let asked = Asked { client: client(&args.prometheus)?, start: end - args.since, end, now };
    let both: Vec<_> = before.iter().filter_map(|(key, one)| Some((key, one, after.get(key)?))).collect();
    let (mut all, mut rows) = (Vec::new(), Vec::new());
    let bar = Bar::new(2 * both.len() as u64);
    for ((name, _), before, after) in both {
        let of = Compared { before: asked.pages(before, &bar)?, after: asked.pages(after, &bar)?, name };
        let books = of.books(&own_labels(&[before, after]), args.since, &said);
        let mut row = value(&report(&books.iter().collect::<Vec<_>>()))?;
        row["series"] = json!(name);
        rows.push(row);
        all.extend(books);
    }
    bar.finish();
    eprintln!("{}: {}", asked.client.url(), asked.client.costs());
    print(out, value(&report(&all.iter().collect::<Vec<_>>()))?, rows, "rule")
}

fn alerts(path: &Path) -> Result<BTreeMap<Key, Alert>, Failed> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failed::Use(format!("cannot read {}: {error}", path.display())))?;
    let file = RuleFile::parse(&path.to_string_lossy(), text);
    for problem in &file.problems {
        eprintln!("{}", one_line(&format!("{} line {}: {}", file.name, problem.line, problem.problem)));
    }
    let mut alerts = BTreeMap::new();
    for group in &file.groups {
        for rule in group.rules.iter().filter(|rule| rule.kind == RuleKind::Alert) {
            let name = rule.name.text.clone();
            let place = alerts.keys().filter(|(other, _): &&Key| *other == name).count();
            alerts.insert((name, place), alert(rule, group));
        }
    }
    match alerts.is_empty() {
        true => Err(Failed::Use(format!("{}: there is no alert rule in it", path.display()))),
        false => Ok(alerts),
    }
}

fn alert(rule: &file::Rule, group: &Group) -> Alert {
    let interval = group.interval.unwrap_or(Span::minutes(1));
    let millis = |span: Span| i64::try_from(span.millis()).unwrap_or(i64::MAX);
    let labels = rule.labels.iter().map(|(name, field)| (name.clone(), field.text.clone())).collect();
    Alert {
        expr: rule.expr.text.clone(),
        rule: Rule {
            alert: rule.name.text.clone(),
            labels,
            formula: Formula::Leaf(0),
            for_ms: millis(rule.hold),
            keep_firing_for_ms: millis(rule.keep_firing_for),
            limit: group.limit,
            interval_ms: millis(interval).max(1),
        },
    }
}

fn verdicts(path: &Path) -> Result<Vec<Said>, Failed> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failed::Use(format!("cannot read {}: {error}", path.display())))?;
    let line = |(number, line): (usize, &str)| {
        serde_json::from_str(line)
            .map_err(|error| Failed::Use(format!("{} line {}: {error}", path.display(), number + 1)))
    };
    text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()).map(line).collect()
}

/// Labels that the rules set themselves: two versions may set others, and mean the same series.
fn own_labels(alerts: &[&Alert]) -> BTreeSet<String> {
    let set = alerts.iter().flat_map(|alert| alert.rule.labels.keys().cloned());
    set.chain(["alertname".to_owned()]).collect()
}

/// What is asked, and of when.
struct Asked {
    client: Client,
    start: Timestamp,
    end: Timestamp,
    now: Timestamp,
}

impl Asked {
    fn pages(&self, alert: &Alert, bar: &Bar) -> Result<Vec<Page>, Failed> {
        let step = Span::from_millis(alert.rule.interval_ms.unsigned_abs());
        let query = RangeQuery { expr: alert.expr.clone(), start: self.start, end: self.end, step };
        let fetched = self.client.query_range(&query, self.now, bar).map_err(failed)?;
        for sentence in fetched.remarks.sentences(&query) {
            eprintln!("{}", one_line(&sentence));
        }
        Ok(replay(&alert.rule, &[], &[fetched.range]))
    }
}

/// Both versions of one rule.
struct Compared<'a> {
    name: &'a str,
    before: Vec<Page>,
    after: Vec<Page>,
}

impl Compared<'_> {
    /// One book per series that either paged for, or that people spoke of.
    fn books(&self, own: &BTreeSet<String>, lasted: Span, said: &[Said]) -> Vec<Book> {
        let series = |labels: &Labels| labels.filter(|name| !own.contains(name));
        let mut pages: BTreeMap<Labels, [Vec<Page>; 2]> = BTreeMap::new();
        for (at, page) in self.after.iter().map(|page| (0, page)).chain(self.before.iter().map(|page| (1, page))) {
            pages.entry(series(&page.labels)).or_default()[at].push(page.clone());
        }
        let of =
            |(labels, [after, before]): (Labels, [Vec<Page>; 2])| (labels, Book::of_pages(&after, &before, lasted));
        let mut books: BTreeMap<Labels, Book> = pages.into_iter().map(of).collect();
        for said in said.iter().filter(|said| said.alert == self.name) {
            let wanted = series(&said.labels);
            let about = |(labels, book): (&Labels, &mut Book)| {
                let is = labels.carries(&wanted) && book.is_about(said.at, said.at);
                is.then(|| book.hear(said.verdict, said.at, said.at)).is_some()
            };
            let heard = books.iter_mut().map(about).fold(false, |any, one| any | one);
            if !heard && said.verdict == Verdict::Missed {
                books.entry(wanted).or_insert_with(|| Book::of_pages(&[], &[], lasted)).hear(
                    said.verdict,
                    said.at,
                    said.at,
                );
            }
        }
        // A rule that said nothing was watched all the same.
        if books.is_empty() { vec![Book::of_pages(&[], &[], lasted)] } else { books.into_values().collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(labels: &[(&str, &str)], minutes: i64) -> Page {
        let at = Timestamp::from_secs(60 * minutes);
        let labels = Labels::new(labels.iter().copied());
        Page { labels, pending_since: at, began: at, ended: Some(at + Span::minutes(5)) }
    }

    #[test]
    fn pages_of_one_series_meet_whatever_labels_the_rules_set() {
        let before =
            vec![page(&[("alertname", "A"), ("severity", "page"), ("host", "a")], 10), page(&[("host", "b")], 10)];
        let after = vec![page(&[("alertname", "A"), ("severity", "info"), ("host", "a")], 12)];
        let own = ["alertname", "severity"].map(str::to_owned).into();
        let said = |host: &str, minutes: i64, verdict| Said {
            alert: "A".to_owned(),
            labels: Labels::new([("host", host), ("severity", "page")]),
            at: Timestamp::from_secs(60 * minutes),
            verdict,
        };
        let said = [said("a", 13, Verdict::True), said("b", 12, Verdict::True), said("c", 500, Verdict::Missed)];
        let compared = Compared { name: "A", before, after };
        let books = compared.books(&own, Span::hours(168), &said);
        assert_eq!(books.len(), 3, "a, b, and c of which neither told");
        let told = report(&books.iter().collect::<Vec<_>>());
        assert_eq!((told.learned.pages, told.fixed.pages, told.mattered), (1, 2, 3));
        assert_eq!((told.learned.missed, told.fixed.missed), (2, 1));
        let of_others =
            Compared { name: "B", before: Vec::new(), after: Vec::new() }.books(&own, Span::hours(168), &said);
        assert_eq!((of_others.len(), report(&[&of_others[0]]).weeks), (1, 1.0));
    }
}
