//! What a proposal changes in its file: the literal, the `for`, and what repeats them.

use super::advise::{Outcome, Proposal, Verdict};
use super::subject::Subject;
use super::{Changed, place};
use crate::rules::change::{self, Edit};
use crate::rules::expr::{Expr, Node};
use crate::rules::file::{Field, Fixed, RuleFile};
use crate::rules::mention::{self, Mention, Of, Said};
use std::ops::Range;

/// Changes of one rule, all or none.
#[derive(Default)]
pub(super) struct Plan {
    pub edits: Vec<Edit>,
    /// The alert's name before and after.
    pub renamed: Option<(String, String)>,
    /// Why nothing of it can be written.
    pub fixed: Option<Fixed>,
    /// What people have to know or do.
    pub notes: Vec<String>,
}

pub(super) fn plan(subject: &Subject<'_>, outcome: &Outcome, rename: bool) -> Plan {
    let Verdict::Change(proposal) = &outcome.verdict else { return Plan::default() };
    let mut plan = Plan::default();
    let whose = format!("{} ({})", subject.rule.name.text, place(subject));
    match numbers(subject, proposal) {
        Ok(edits) => plan.edits = edits,
        Err(fixed) => {
            plan.notes.push(format!("{whose}: it cannot be changed there: {fixed}"));
            plan.fixed = Some(fixed);
            return plan;
        }
    }
    texts(subject, proposal, rename, &whose, &mut plan);
    plan
}

/// The literals and the `for`.
fn numbers(subject: &Subject<'_>, proposal: &Proposal) -> Result<Vec<Edit>, Fixed> {
    let mut edits = Vec::new();
    for (comparison, spelled) in subject.comparisons().zip(&proposal.literals) {
        if spelled.is_changed() {
            let span = subject.rule.expr.span(comparison.literal.span.clone())?;
            edits.push(Edit { span, text: spelled.new.clone() });
        }
    }
    if proposal.hold != subject.rule.hold {
        let place = subject.rule.hold_place.clone()?;
        edits.push(Edit { span: place.span, text: format!("{}{}{}", place.before, proposal.hold, place.after) });
    }
    Ok(edits)
}

/// Texts that repeat them.
fn texts(subject: &Subject<'_>, proposal: &Proposal, rename: bool, whose: &str, plan: &mut Plan) {
    let rule = subject.rule;
    // What is changed in the name, by all comparisons together.
    let mut in_name: Vec<(Range<usize>, String)> = Vec::new();
    for (nth, comparison) in subject.comparisons().enumerate() {
        let Some(spelled) = proposal.literals.get(nth) else { continue };
        // A number that another literal shares, and that becomes something else there, is nobody's for certain.
        let rivals =
            proposal.literals.iter().any(|one| one.old_value == spelled.old_value && one.value != spelled.value)
                || stays(subject, spelled.old_value);
        let said = Said { literal: spelled.old_value, unit: comparison.measure.unit, hold: rule.hold };
        let ours = |mention: &Mention| match mention.of {
            Of::Literal { .. } => spelled.is_changed() && !rivals,
            Of::Hold { .. } => proposal.hold != rule.hold && nth == 0,
        };
        let mut change = |what: &str, field: &Field, mentions: Vec<Mention>, do_it: bool| {
            for mention in mentions.into_iter().filter(|mention| ours(mention)) {
                let written = &field.text[mention.span.clone()];
                let line = field.line;
                let rewritten = mention.rewritten(&field.text, spelled.value, proposal.hold);
                match (rewritten, field.span(mention.span.clone())) {
                    (Some(new), Ok(span)) if do_it => plan.edits.push(Edit { span, text: new }),
                    (Some(new), Ok(_)) => plan.notes.push(format!(
                        "{whose}: its {what} says {written}, which becomes {new}; change it with --rename, and the silences \
                         and routes that know it"
                    )),
                    (Some(new), Err(fixed)) => plan.notes.push(format!(
                        "{whose}: its {what} says {written}, which becomes {new}, and stays: {fixed}"
                    )),
                    (None, _) => plan.notes.push(format!(
                        "{whose}: its {what} in line {line} says {written}, which is true no longer; say it in other words"
                    )),
                }
            }
        };
        let names = mention::in_name(&rule.name.text, &said);
        for mention in
            names.iter().filter(|mention| rename && ours(mention) && rule.name.span(mention.span.clone()).is_ok())
        {
            let new = mention.rewritten(&rule.name.text, spelled.value, proposal.hold);
            in_name.extend(new.map(|new| (mention.span.clone(), new)));
        }
        change("name", &rule.name, names, rename);
        for (name, field) in &rule.labels {
            change(&format!("label {name}"), field, mention::in_text(&field.text, &said), rename);
        }
        for (name, field) in &rule.annotations {
            change(name, field, mention::in_text(&field.text, &said), true);
        }
    }
    in_name.sort_by_key(|(span, _)| std::cmp::Reverse(span.start));
    in_name.dedup();
    if !in_name.is_empty() {
        let mut name = rule.name.text.clone();
        in_name.into_iter().for_each(|(span, new)| name.replace_range(span, &new));
        plan.renamed = Some((rule.name.text.clone(), name));
    }
}

/// Whether a comparison that is not tuned has this literal.
fn stays(subject: &Subject<'_>, literal: f64) -> bool {
    let all = subject.analysis.as_ref().map(|analysis| analysis.comparisons.as_slice()).unwrap_or_default();
    all.iter().enumerate().any(|(at, one)| !subject.tuned.contains(&at) && one.literal.value == literal)
}

/// Names of alerts in what other rules ask of `ALERTS`, after alerts were renamed: what to write, and what cannot be.
pub(super) fn asked_names<'a>(
    files: &'a [RuleFile],
    subjects: &[Subject<'_>],
    outcomes: &[Outcome],
    plans: &[Plan],
) -> (Vec<(&'a RuleFile, Edit)>, Vec<String>) {
    let (mut edits, mut notes) = (Vec::new(), Vec::new());
    let kept: Vec<usize> =
        outcomes.iter().zip(plans).filter(|(_, plan)| plan.renamed.is_none()).map(|(one, _)| one.subject).collect();
    for (old, new) in plans.iter().filter_map(|plan| plan.renamed.as_ref()) {
        let others =
            plans.iter().filter_map(|plan| plan.renamed.as_ref()).filter(|(name, to)| name == old && to != new);
        let is_clear = others.count() == 0 && !kept.iter().any(|at| subjects[*at].rule.name.text == *old);
        for (file, rule) in files.iter().flat_map(|file| file.rules().map(move |rule| (file, rule))) {
            for span in asks_for(&rule.expr.text, old) {
                let edit = rule.expr.span(span).ok().filter(|_| is_clear);
                match edit.map(|span| (file, Edit { span, text: new.clone() })) {
                    Some(edit) => edits.push(edit),
                    None => notes.push(format!(
                        "{} ({}:{}) asks for ALERTS of {old}, some of which are called {new} now; change it by hand",
                        rule.name.text, file.name, rule.line
                    )),
                }
            }
        }
    }
    (edits, notes)
}

/// Where an expression asks for alerts of this name.
fn asks_for(text: &str, name: &str) -> Vec<Range<usize>> {
    let Ok(expr) = Expr::parse(text) else { return Vec::new() };
    let mut found = Vec::new();
    expr.walk(&mut |part| {
        let Node::Selector { name: Some(metric), matchers } = &part.node else { return };
        let is_asked = matchers.iter().any(|one| one.label == "alertname" && one.sign == "=" && one.value == name);
        if matches!(metric.as_str(), "ALERTS" | "ALERTS_FOR_STATE") && is_asked {
            let start = part.span.start + text[part.span.clone()].find("alertname").unwrap_or(0);
            let at = text[start..part.span.end].find(name).map(|at| start + at);
            found.extend(at.map(|at| at..at + name.len()));
        }
    });
    found
}

/// Per file that changes, what comes of it; `more` are changes beside those of the plans.
pub(super) fn by_file<'a>(
    files: &'a [RuleFile],
    subjects: &[Subject<'a>],
    outcomes: &[Outcome],
    plans: &[Plan],
    more: &[(&RuleFile, Edit)],
) -> Vec<Changed<'a>> {
    let of_file = |file: &'a RuleFile| {
        let own = outcomes.iter().zip(plans).filter(|(outcome, _)| std::ptr::eq(subjects[outcome.subject].file, file));
        let more = more.iter().filter(|(of, _)| std::ptr::eq(*of, file)).map(|(_, edit)| edit);
        let edits: Vec<Edit> = own.flat_map(|(_, plan)| &plan.edits).chain(more).cloned().collect();
        (!edits.is_empty()).then(|| (file, change::apply(file, &edits)))
    };
    files.iter().filter_map(of_file).collect()
}
