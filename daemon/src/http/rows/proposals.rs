//! Proposals: levels that shifted, and what became of the question.

use crate::http::query::{List, Page, Rows, Token, take};
use homeostat::analyze::shift::UNANSWERED;
use homeostat::knowledge::Knowledge;
use homeostat::knowledge::proposals::{Member, Proposal};
use homeostat::series::SeriesName;
use homeostat::time::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

/// Series that shifted within minutes of each other.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ProposalRow {
    /// Counted from 1.
    id: u64,
    /// Whether it waits for an answer.
    open: bool,
    /// When the first of them shifted.
    #[schemars(with = "String")]
    since: Timestamp,
    #[schemars(with = "String")]
    opened_at: Timestamp,
    /// How often it was asked, and when last.
    asked: u32,
    #[schemars(with = "String")]
    asked_at: Timestamp,
    /// When its series without an owner count as ordinary, where nobody answers; null: none of them is open.
    #[schemars(with = "Option<String>")]
    accepted_at: Option<Timestamp>,
    series: Vec<ShiftedRow>,
    /// What was said with the answer.
    comment: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub struct ShiftedRow {
    #[schemars(with = "String")]
    series: SeriesName,
    owner: Option<String>,
    #[schemars(with = "String")]
    since: Timestamp,
    /// Its ordinary value before, and the middle of the hour before it was asked about, in its own unit.
    before: f64,
    after: f64,
    /// accepted, refused, unanswered (accepted by itself), returned (the level before came back, or the series ended) or over
    /// (the same after it was refused); null: it waits for an answer.
    settled: Option<&'static str>,
    #[schemars(with = "Option<String>")]
    settled_at: Option<Timestamp>,
}

fn owner(knowledge: &Knowledge, series: &SeriesName) -> Option<String> {
    knowledge.find(series)?.owner().map(str::to_owned)
}

impl ShiftedRow {
    fn of(knowledge: &Knowledge, member: &Member) -> ShiftedRow {
        let shift = &member.shift;
        ShiftedRow {
            series: shift.series.clone(),
            owner: owner(knowledge, &shift.series),
            since: shift.since,
            before: shift.before,
            after: shift.after,
            settled: member.settled.map(|(settled, _)| settled.as_str()),
            settled_at: member.settled.map(|(_, at)| at),
        }
    }
}

impl ProposalRow {
    pub fn of(knowledge: &Knowledge, proposal: &Proposal) -> ProposalRow {
        let nobodys = proposal.open().any(|series| owner(knowledge, series).is_none());
        ProposalRow {
            id: proposal.id,
            open: proposal.is_open(),
            since: proposal.since,
            opened_at: proposal.opened_at,
            asked: proposal.asked,
            asked_at: proposal.asked_at,
            accepted_at: nobodys.then_some(proposal.opened_at + UNANSWERED),
            series: proposal.members.iter().map(|member| ShiftedRow::of(knowledge, member)).collect(),
            comment: proposal.comment.clone(),
        }
    }
}

/// Newest first; `open`: only those that wait for an answer, or only the others.
pub fn proposals(knowledge: &Knowledge, page: &Page, open: Option<bool>) -> Rows<ProposalRow> {
    let below = page.before().unwrap_or(u64::MAX);
    let wanted = knowledge
        .proposals()
        .iter()
        .rev()
        .filter(|one| one.id < below && open.is_none_or(|open| one.is_open() == open))
        .filter(|one| page.wants(None) || one.members.iter().any(|member| page.wants(Some(&member.shift.series))));
    take(page.limit, wanted.map(|one| (ProposalRow::of(knowledge, one), Token::Number(List::Proposals, one.id))))
}
