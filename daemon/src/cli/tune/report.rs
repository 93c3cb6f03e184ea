//! What is told of each rule: what it fires today, what it would fire, how sure that is, and why.

use super::advise::{Outcome, Proposal, Verdict};
use super::edits::Plan;
use super::place;
use super::subject::Subject;
use crate::cli::Failed;
use crate::cli::output::{Out, number};
use homeostat::time::Span;
use serde_json::{Value, json};

pub(super) fn print(subjects: &[Subject<'_>], outcomes: &[Outcome], plans: &[Plan], out: &Out) -> Result<(), Failed> {
    if out.is_json() {
        let rows: Vec<Value> =
            outcomes.iter().zip(plans).map(|(outcome, plan)| row(&subjects[outcome.subject], outcome, plan)).collect();
        return out.data(&rows);
    }
    let cells = |outcome: &Outcome| {
        let subject = &subjects[outcome.subject];
        let rate = |rate: f64| format!("{rate:.1}");
        let now = outcome.past.as_ref().map_or_else(|| "-".to_owned(), |past| rate(past.pages_per_week));
        let mut cells = vec![subject.rule.name.text.clone(), place(subject), now];
        match &outcome.verdict {
            Verdict::Change(proposal) => cells.extend([
                rate(proposal.pages_per_week),
                changes(subject, proposal),
                format!("{:.0} %", proposal.confidence * 100.0),
                proposal.why.join("; "),
            ]),
            Verdict::Leave { why, .. } => {
                cells.extend(["-".to_owned(), "-".to_owned(), "-".to_owned(), format!("left alone: {why}")]);
            }
        }
        cells
    };
    let rows: Vec<Vec<String>> = outcomes.iter().map(cells).collect();
    out.table(&["RULE", "WHERE", "PAGES/WEEK", "WOULD BE", "CHANGE", "CONFIDENCE", "WHY"], &rows)
}

/// `> 80 → 93, for 5m → 15m`
fn changes(subject: &Subject<'_>, proposal: &Proposal) -> String {
    let mut changes: Vec<String> = subject
        .comparisons()
        .zip(&proposal.literals)
        .filter(|(_, spelled)| spelled.is_changed())
        .map(|(comparison, spelled)| format!("{} {} → {}", comparison.op.as_str(), spelled.old, spelled.new))
        .collect();
    if proposal.hold != subject.rule.hold {
        changes.push(format!("for {} → {}", subject.rule.hold, proposal.hold));
    }
    changes.join(", ")
}

fn row(subject: &Subject<'_>, outcome: &Outcome, plan: &Plan) -> Value {
    let labels: serde_json::Map<String, Value> =
        subject.rule.labels.iter().map(|(name, field)| (name.clone(), field.text.clone().into())).collect();
    let past = outcome.past.as_ref();
    let mut row = json!({
        "rule": subject.rule.name.text,
        "file": subject.file.name,
        "line": (subject.rule.line > 0).then_some(subject.rule.line),
        "group": subject.group.name,
        "labels": labels,
        "expr": subject.rule.expr.text,
        "interval_s": subject.interval.secs(),
        "for_s": subject.rule.hold.secs(),
        "history_s": past.map(|past| past.history.secs()),
        "pages_per_week": past.map(|past| past.pages_per_week),
        "budget_per_week": subject.budget.is_finite().then_some(subject.budget),
        "over_budget": outcome.over_budget,
        "notes": outcome.notes.iter().chain(&plan.notes).collect::<Vec<_>>(),
        "guards": guards(subject),
    });
    let more = match &outcome.verdict {
        Verdict::Change(proposal) => json!({
            "verdict": "change",
            "literals": literals(subject, proposal),
            "proposed_for_s": proposal.hold.secs(),
            "proposed_pages_per_week": proposal.pages_per_week,
            "serious": proposal.serious,
            "serious_told": proposal.serious_told,
            "confidence": proposal.confidence,
            "why": proposal.why,
            "per_series": per_series(&proposal.per_series),
            "writable": plan.fixed.is_none(),
        }),
        Verdict::Leave { word, why, per_series: own } => json!({
            "verdict": "leave",
            "reason": word,
            "why": [why],
            "per_series": per_series(own),
        }),
    };
    if let (Value::Object(row), Value::Object(more)) = (&mut row, more) {
        row.extend(more);
    }
    row
}

fn literals(subject: &Subject<'_>, proposal: &Proposal) -> Vec<Value> {
    let one = |(comparison, spelled): (&crate::rules::compare::Comparison, &super::advise::Spelled)| {
        json!({
            "compares": &subject.rule.expr.text[comparison.measured.clone()],
            "operator": comparison.op.as_str(),
            "old": spelled.old_value,
            "old_text": spelled.old,
            "new": spelled.value,
            "new_text": spelled.new,
        })
    };
    subject.comparisons().zip(&proposal.literals).map(one).collect()
}

/// Comparisons of the rule that stay, and why.
fn guards(subject: &Subject<'_>) -> Vec<Value> {
    let all = subject.analysis.as_ref().map(|analysis| analysis.comparisons.as_slice()).unwrap_or_default();
    let left = all.iter().filter_map(|one| Some((one, one.reason.as_ref()?)));
    left.map(|(one, reason)| {
        json!({
            "expr": &subject.rule.expr.text[one.span.clone()],
            "reason": reason.word(),
            "why": reason.to_string(),
        })
    })
    .collect()
}

fn per_series(literals: &[homeostat::doctor::SeriesLiteral]) -> Vec<Value> {
    literals.iter().map(|one| json!({ "labels": one.labels, "literal": one.literal })).collect()
}

/// One line for all of it, on standard error.
pub(super) fn sum_up(outcomes: &[Outcome], plans: &[Plan]) {
    let (mut before, mut after, mut changed) = (0.0, 0.0, 0);
    for outcome in outcomes {
        let now = outcome.past.as_ref().map_or(0.0, |past| past.pages_per_week);
        before += now;
        after += match &outcome.verdict {
            Verdict::Change(proposal) => {
                changed += 1;
                proposal.pages_per_week
            }
            Verdict::Leave { .. } => now,
        };
    }
    let fixed = plans.iter().filter(|plan| plan.fixed.is_some()).count();
    let fixed = if fixed > 0 { format!(", {fixed} of them only by hand") } else { String::new() };
    let history = outcomes.iter().filter_map(|one| Some(one.past.as_ref()?.history)).max().unwrap_or(Span::ZERO);
    eprintln!(
        "{} rules over {history}: {changed} to change{fixed}; {} pages a week, {} with the changes",
        outcomes.len(),
        number((before * 10.0).round() / 10.0),
        number((after * 10.0).round() / 10.0),
    );
}
