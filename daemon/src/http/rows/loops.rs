//! The feedback loops, what they heard and what they did.

use crate::http::query::{List, Page, Rows, Token, take};
use homeostat::config::StrategyName;
use homeostat::feedback::{Action, LoopKind, Signal, Target};
use homeostat::knowledge::Knowledge;
use homeostat::series::SeriesName;
use homeostat::time::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeMap;

#[derive(Debug, Serialize, JsonSchema)]
pub struct LoopRow {
    #[serde(rename = "loop")]
    of: &'static str,
    signals: u64,
    actions: u64,
    /// Share of adjustments after which the aim improved more than where one was withheld; null under 20 pairs.
    effectiveness: Option<f64>,
    /// unknown, helps, no_effect or harms.
    reading: &'static str,
    withheld: u64,
    paused: bool,
}

pub fn loops(knowledge: &Knowledge) -> Vec<LoopRow> {
    let row = |kind: LoopKind| {
        let memory = knowledge.loop_memory(kind);
        LoopRow {
            of: kind.as_str(),
            signals: memory.signals,
            actions: memory.actions,
            effectiveness: memory.effect.effectiveness(),
            reading: memory.effect.reading().as_str(),
            withheld: memory.withheld,
            paused: memory.paused,
        }
    };
    LoopKind::ALL.map(row).into()
}

#[derive(Debug, Serialize, JsonSchema)]
pub struct SignalRow {
    /// Counted from 1.
    id: u64,
    #[schemars(with = "String")]
    at: Timestamp,
    #[serde(rename = "loop")]
    of: &'static str,
    #[schemars(with = "String")]
    source: StrategyName,
    value: f64,
    #[schemars(with = "Option<String>")]
    series: Option<SeriesName>,
    /// true, false or missed, as text.
    verdict: Option<&'static str>,
    /// How much a verdict counts that nobody gave in so many words, such as a silence; null: a person's word, or no verdict.
    weight: Option<f64>,
    metadata: BTreeMap<String, String>,
}

impl From<&Signal> for SignalRow {
    fn from(signal: &Signal) -> SignalRow {
        SignalRow {
            id: signal.id,
            at: signal.at,
            of: signal.of.as_str(),
            source: signal.source.clone(),
            value: signal.value,
            series: signal.series.clone(),
            verdict: signal.verdict.map(|verdict| verdict.as_str()),
            weight: signal.weight.map(homeostat::units::Ratio::get),
            metadata: signal.metadata.clone(),
        }
    }
}

#[derive(Debug, Serialize, JsonSchema)]
pub struct ActionRow {
    /// The change's number.
    id: u64,
    #[schemars(with = "String")]
    at: Timestamp,
    #[serde(rename = "loop")]
    of: &'static str,
    #[schemars(with = "Option<String>")]
    series: Option<SeriesName>,
    parameter: String,
    /// As it stood and as it stands then, in its unit: a parameter of the loop as the factor leaves it.
    old: f64,
    new: f64,
    /// s, samples, tasks or sigmas; null: a ratio or a weight.
    unit: Option<&'static str>,
    reason: String,
    /// Id of the signal that caused it.
    cause: u64,
    /// met, failed, inconclusive or superseded; null until it settled.
    outcome: Option<&'static str>,
}

impl From<&Action> for ActionRow {
    fn from(action: &Action) -> ActionRow {
        let adjustment = &action.adjustment;
        let (old, new) = action.stands.unwrap_or((adjustment.from, adjustment.to));
        let unit = match &adjustment.target {
            Target::Factor(parameter) => parameter.unit().filter(|_| action.stands.is_some()),
            Target::Sensitivity(_) => Some("sigmas"),
            Target::Trust(_) | Target::Preference(_) => None,
        };
        ActionRow {
            id: action.id,
            at: action.at,
            of: action.of.as_str(),
            series: adjustment.target.series().cloned(),
            parameter: adjustment.target.name(),
            old,
            new,
            unit,
            reason: adjustment.reason.clone(),
            cause: adjustment.cause,
            outcome: action.outcome.map(|outcome| outcome.as_str()),
        }
    }
}

/// What of signals and actions is wanted, beside the page.
#[derive(Debug)]
pub struct About {
    pub of: Option<LoopKind>,
    pub series: Option<SeriesName>,
}

impl About {
    fn is(&self, of: LoopKind, series: Option<&SeriesName>) -> bool {
        self.of.is_none_or(|wanted| wanted == of) && self.series.as_ref().is_none_or(|wanted| series == Some(wanted))
    }
}

pub fn signals(knowledge: &Knowledge, page: &Page, about: &About) -> Rows<SignalRow> {
    let below = page.before().unwrap_or(u64::MAX);
    let wanted = knowledge
        .signals()
        .iter()
        .rev()
        .filter(|signal| signal.id < below && about.is(signal.of, signal.series.as_ref()))
        .filter(|signal| page.wants(signal.series.as_ref()));
    take(page.limit, wanted.map(|signal| (signal.into(), Token::Number(List::Signals, signal.id))))
}

pub fn actions(knowledge: &Knowledge, page: &Page, about: &About) -> Rows<ActionRow> {
    let below = page.before().unwrap_or(u64::MAX);
    let wanted = knowledge
        .actions()
        .iter()
        .rev()
        .filter(|action| action.id < below && about.is(action.of, action.adjustment.target.series()))
        .filter(|action| page.wants(action.adjustment.target.series()));
    take(page.limit, wanted.map(|action| (action.into(), Token::Number(List::Actions, action.id))))
}
