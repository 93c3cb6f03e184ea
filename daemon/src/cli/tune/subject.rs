//! One alert rule as it is tuned: read, judged, and taken apart for replay.

use super::input::Intervals;
use crate::rules::compare::{self, Analysis, Comparison};
use crate::rules::expr::asks_for_ends;
use crate::rules::file::{self, Group, RuleFile, RuleKind};
use crate::rules::formula::{self, Taken};
use crate::rules::reason::Reason;
use homeostat::budget::Budget;
use homeostat::replay;
use homeostat::time::Span;

pub(super) struct Subject<'a> {
    pub file: &'a RuleFile,
    pub group: &'a Group,
    pub rule: &'a file::Rule,
    /// Where PromQL can be read.
    pub analysis: Option<Analysis>,
    /// Places of the comparisons that are tuned.
    pub tuned: Vec<usize>,
    /// Why none is.
    pub reason: Option<Reason>,
    /// None: it cannot be asked for.
    pub taken: Option<Taken>,
    /// With the formula of `taken`.
    pub replayed: Option<replay::Rule>,
    /// What tiers have in common.
    pub shape: String,
    pub interval: Span,
    /// Pages a week: the rule's own, or that of the run; infinite where it has none.
    pub budget: f64,
}

/// The annotation by which a rule has a budget of its own.
pub(super) const BUDGET: &str = "homeostat_budget";

impl Subject<'_> {
    pub fn comparisons(&self) -> impl Iterator<Item = &Comparison> {
        let all = self.analysis.as_ref().map(|analysis| analysis.comparisons.as_slice()).unwrap_or_default();
        self.tuned.iter().map(move |at| &all[*at])
    }

    /// A literal as it is written.
    pub fn written(&self, literal: usize) -> &str {
        self.comparisons().nth(literal).map_or("", |one| &self.rule.expr.text[one.literal.span.clone()])
    }
}

/// All alert rules, in the order of the files.
pub(super) fn subjects<'a>(files: &'a [RuleFile], intervals: &Intervals, budget: f64) -> Vec<Subject<'a>> {
    let mut subjects = Vec::new();
    for file in files {
        for group in &file.groups {
            let interval = group.interval.unwrap_or_else(|| intervals.of(&group.name));
            for rule in group.rules.iter().filter(|rule| rule.kind == RuleKind::Alert) {
                let own = own_budget(rule).unwrap_or(Ok(budget));
                subjects.push(subject(file, group, rule, interval, own));
            }
        }
    }
    subjects
}

/// None: it has none of its own.
fn own_budget(rule: &file::Rule) -> Option<Result<f64, Reason>> {
    let (_, field) = rule.annotations.iter().find(|(name, _)| name == BUDGET)?;
    Some(match field.text.trim().parse::<Budget>() {
        Ok(budget) => budget.per_week().ok_or(Reason::NoBudget),
        Err(error) => Err(Reason::NotBudget { problem: error.to_string() }),
    })
}

/// `budget`: pages a week, or why it cannot be held against any.
fn subject<'a>(
    file: &'a RuleFile,
    group: &'a Group,
    rule: &'a file::Rule,
    interval: Span,
    budget: Result<f64, Reason>,
) -> Subject<'a> {
    let text = &rule.expr.text;
    let (analysis, tuned, reason) = match compare::analyse(text) {
        Err(reason) => (None, Vec::new(), Some(reason)),
        Ok(_) if asks_for_ends(text) => (None, Vec::new(), Some(Reason::QueryEnds)),
        Ok(analysis) => match budget.clone().and_then(|_| analysis.tuned.clone()) {
            Ok(tuned) => (Some(analysis), tuned, None),
            Err(reason) => (Some(analysis), Vec::new(), Some(reason)),
        },
    };
    let budget = budget.unwrap_or(f64::INFINITY);
    let taken = analysis.as_ref().map(|analysis| formula::take(text, analysis, &tuned));
    let millis = |span: Span| i64::try_from(span.millis()).unwrap_or(i64::MAX);
    let replayed = taken.as_ref().map(|taken| replay::Rule {
        alert: rule.name.text.clone(),
        labels: rule.labels.iter().map(|(name, field)| (name.clone(), field.text.clone())).collect(),
        formula: taken.formula.clone(),
        for_ms: millis(rule.hold),
        keep_firing_for_ms: millis(rule.keep_firing_for),
        limit: group.limit,
        interval_ms: millis(interval),
    });
    let shape =
        analysis.as_ref().map(|analysis| crate::rules::tiers::shape(text, analysis, &tuned)).unwrap_or_default();
    Subject { file, group, rule, analysis, tuned, reason, taken, replayed, shape, interval, budget }
}
