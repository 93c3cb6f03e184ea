//! What happened so far: transitions and optimizations, newest first.

use crate::http::query::{List, Page, Rows, Token, take};
use homeostat::config::StrategyName;
use homeostat::knowledge::{Knowledge, Optimization};
use homeostat::plan::state::{Evidence, Transition};
use homeostat::series::SeriesName;
use homeostat::time::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeMap;

#[derive(Debug, Serialize, JsonSchema)]
pub struct TransitionRow {
    #[schemars(with = "String")]
    at: Timestamp,
    from: &'static str,
    to: &'static str,
    /// Which limit, which value.
    cause: String,
    /// What was known, by name; ratios.
    evidence: BTreeMap<&'static str, f64>,
    #[schemars(with = "Option<String>")]
    forced_until: Option<Timestamp>,
}

impl From<&Transition> for TransitionRow {
    fn from(transition: &Transition) -> TransitionRow {
        TransitionRow {
            at: transition.at,
            from: transition.from.as_str(),
            to: transition.to.as_str(),
            cause: transition.cause.clone(),
            evidence: by_name(&transition.evidence),
            forced_until: transition.forced_until,
        }
    }
}

fn by_name(evidence: &Evidence) -> BTreeMap<&'static str, f64> {
    evidence.iter().map(|(kind, value)| (kind.as_str(), value)).collect()
}

#[derive(Debug, Serialize, JsonSchema)]
pub struct OptimizationRow {
    #[schemars(with = "String")]
    at: Timestamp,
    #[schemars(with = "String")]
    series: SeriesName,
    #[schemars(with = "String")]
    strategy: StrategyName,
    confidence: f64,
    lower: Option<f64>,
    upper: Option<f64>,
}

impl From<&Optimization> for OptimizationRow {
    fn from(optimization: &Optimization) -> OptimizationRow {
        OptimizationRow {
            at: optimization.at,
            series: optimization.series.clone(),
            strategy: optimization.strategy.clone(),
            confidence: optimization.confidence.get(),
            lower: optimization.lower,
            upper: optimization.upper,
        }
    }
}

pub fn transitions(knowledge: &Knowledge, page: &Page) -> Rows<TransitionRow> {
    let history = knowledge.transitions();
    numbered(history.iter(), history.total(), page, List::Transitions, |_| true)
}

pub fn optimizations(knowledge: &Knowledge, page: &Page) -> Rows<OptimizationRow> {
    let history = knowledge.optimizations();
    numbered(history.iter(), history.total(), page, List::Optimizations, |one| page.wants(Some(&one.series)))
}

/// Newest first, of a history whose entries have no number but the count of all that ever came.
fn numbered<'a, T: 'a, R: From<&'a T>>(
    history: impl DoubleEndedIterator<Item = &'a T>,
    total: u64,
    page: &Page,
    list: List,
    wants: impl Fn(&T) -> bool,
) -> Rows<R> {
    let below = page.before().unwrap_or(u64::MAX);
    let numbers = (0..total).rev();
    let wanted = history.rev().zip(numbers).filter(|(one, number)| *number < below && wants(one));
    take(page.limit, wanted.map(|(one, number)| (one.into(), Token::Number(list, number))))
}
