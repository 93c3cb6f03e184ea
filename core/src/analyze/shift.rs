//! Levels that shifted: whether they stay away, who shifted together, and what is asked, again or no longer.
//!
//! A look is an hour of samples against the bounds as they were before: away, when more than half of them breach on one side.
//! Half of an hour is more than any spike, and bounds that follow the clock know the season.

use crate::event::{Asked, Event, LevelShift, Look, Settled};
use crate::knowledge::Knowledge;
use crate::knowledge::proposals::{OPEN_MAX, Proposal, Shift};
use crate::knowledge::series::Series;
use crate::series::SeriesName;
use crate::stats::quantile;
use crate::time::{Span, Timestamp};
use std::collections::BTreeMap;

/// A look takes so long, and longer where there are fewer samples than this in it.
const LOOK: Span = Span::hours(1);
const LOOK_SAMPLES: usize = 5;

/// Looks in one cycle at most; the others wait for the next.
const LOOKS_AT_ONCE: usize = 500;

/// A level that is away for so long is asked about, after so many looks at least.
const LASTING: Span = Span::hours(24);
const LOOKS_MIN: u32 = 4;

/// Shifts as near as this are one, or as near as two samples of the rarer series.
const TOGETHER: Span = Span::minutes(10);
const TOGETHER_SAMPLES: u64 = 2;

/// Who has no owner is accepted after this long without an answer; others are asked again from then on, so often.
pub const UNANSWERED: Span = Span::hours(3 * 24);
const AGAIN: Span = Span::hours(24);

/// What is to be seen of series whose level may have shifted.
pub fn looks(knowledge: &Knowledge) -> Vec<Look> {
    let mut looks = Vec::new();
    for (name, shift) in knowledge.proposals().shifts() {
        if looks.len() >= LOOKS_AT_ONCE {
            break;
        }
        if let Some(series) = knowledge.find(name) {
            look_at(series, shift, &mut looks);
        }
    }
    looks
}

/// One look for each hour that is over.
fn look_at(series: &Series, shift: &Shift, looks: &mut Vec<Look>) {
    let done = shift.looked_until();
    let is_due = series.window().newest().is_some_and(|(newest, _)| newest.since(done) >= LOOK);
    if !is_due {
        return;
    }
    // What is done on purpose, and a day that is none of the usual, says nothing of where the level is.
    let ordinary = |at: Timestamp| {
        let moment = series.occasions(at);
        !moment.masked && !moment.holiday
    };
    let since = series.window().iter().rev().take_while(|(at, _)| *at > done);
    let mut samples: Vec<(Timestamp, f64)> = since.filter(|(at, _)| ordinary(*at)).collect();
    samples.reverse();
    let mut rest = samples.as_slice();
    while let Some((from, _)) = rest.first()
        && looks.len() < LOOKS_AT_ONCE
    {
        let hour = rest.iter().take_while(|(at, _)| at.since(*from) < LOOK).count().max(LOOK_SAMPLES);
        // The hour is over with the first sample after it.
        if rest.len() <= hour {
            break;
        }
        let (seen, later) = rest.split_at(hour);
        let mut values: Vec<f64> = seen.iter().map(|(_, value)| *value).collect();
        values.sort_by(f64::total_cmp);
        looks.push(Look {
            series: series.name().clone(),
            from: *from,
            until: seen[hour - 1].0,
            side: shift.side_of(seen.iter().copied()),
            level: quantile(&values, 0.5),
        });
        rest = later;
    }
}

/// What is asked, and what is no longer a question.
pub fn decided(knowledge: &Knowledge, now: Timestamp) -> Vec<Event> {
    let mut events = returned(knowledge);
    if !knowledge.frozen() {
        events.extend(unanswered(knowledge, now));
    }
    events.extend(asked_again(knowledge, now));
    events.extend(proposed(knowledge));
    events
}

/// Series of proposals whose level before is back.
fn returned(knowledge: &Knowledge) -> Vec<Event> {
    let mut back: BTreeMap<(u64, Settled), Vec<SeriesName>> = BTreeMap::new();
    for (name, shift) in knowledge.proposals().shifts().filter(|(_, shift)| shift.is_back()) {
        let of = match (shift.asked(), shift.trouble()) {
            (Some(id), _) => (id, Settled::Returned),
            (_, Some(id)) => (id, Settled::Over),
            (None, None) => continue,
        };
        back.entry(of).or_default().push(name.clone());
    }
    back.into_iter().map(|((id, settled), series)| settled_as(knowledge, id, settled, series)).collect()
}

fn settled_as(knowledge: &Knowledge, id: u64, settled: Settled, series: Vec<SeriesName>) -> Event {
    Event::LevelShiftSettled { id, settled, series, comment: None, situation: knowledge.situation() }
}

fn has_owner(knowledge: &Knowledge, series: &SeriesName) -> bool {
    knowledge.find(series).is_some_and(|series| series.owner().is_some())
}

/// Whether a series is a question still after what was decided in this cycle.
fn is_open(knowledge: &Knowledge, series: &SeriesName) -> bool {
    knowledge.proposals().shift(series).is_none_or(|shift| !shift.is_back())
}

fn overdue(knowledge: &Knowledge, now: Timestamp) -> impl Iterator<Item = &Proposal> {
    knowledge.proposals().open().filter(move |proposal| now.since(proposal.opened_at) >= UNANSWERED)
}

fn unanswered(knowledge: &Knowledge, now: Timestamp) -> Vec<Event> {
    let mut events = Vec::new();
    for proposal in overdue(knowledge, now) {
        let nobodys = |name: &&SeriesName| is_open(knowledge, name) && !has_owner(knowledge, name);
        let series: Vec<SeriesName> = proposal.open().filter(nobodys).cloned().collect();
        if !series.is_empty() {
            events.push(settled_as(knowledge, proposal.id, Settled::Unanswered, series));
        }
    }
    events
}

fn asked_again(knowledge: &Knowledge, now: Timestamp) -> Vec<Event> {
    let mut events = Vec::new();
    for proposal in overdue(knowledge, now).filter(|proposal| now.since(proposal.asked_at) >= AGAIN) {
        let owned = |shift: &&LevelShift| is_open(knowledge, &shift.series) && has_owner(knowledge, &shift.series);
        let open = proposal.members.iter().filter(|member| member.settled.is_none()).map(|member| &member.shift);
        let series: Vec<LevelShift> = open.filter(owned).cloned().collect();
        if !series.is_empty() {
            events.push(proposal_of(knowledge, proposal.id, proposal.since, Asked::Again, series));
        }
    }
    events
}

fn proposal_of(knowledge: &Knowledge, id: u64, since: Timestamp, because: Asked, series: Vec<LevelShift>) -> Event {
    Event::LevelShiftProposed { id, since, because, series, situation: knowledge.situation() }
}

/// A level that is away, and whether that is for long enough.
struct Away {
    shift: LevelShift,
    spacing: Span,
    lasts: bool,
}

impl Away {
    fn of(knowledge: &Knowledge, name: &SeriesName, shift: &Shift) -> Option<Away> {
        if !shift.stays(LOOKS_MIN) {
            return None;
        }
        let (newest, _) = knowledge.find(name)?.window().newest()?;
        let (before, after) = shift.levels();
        let since = shift.since();
        let shifted = LevelShift { series: name.clone(), since, before, after };
        Some(Away { shift: shifted, spacing: shift.spacing(), lasts: newest.since(since) >= LASTING })
    }

    fn is_with(&self, since: Timestamp, spacing: Span) -> bool {
        let apart = self.shift.since.since(since).max(since.since(self.shift.since));
        apart <= TOGETHER.max(self.spacing.max(spacing) * TOGETHER_SAMPLES)
    }
}

/// Levels that stayed away for a day: each joins the open proposal of its time, or opens one together with all that shifted
/// with it, also those that lack some minutes of their day.
fn proposed(knowledge: &Knowledge) -> Vec<Event> {
    let proposals = knowledge.proposals();
    let mut away: Vec<Away> = proposals.shifts().filter_map(|(name, shift)| Away::of(knowledge, name, shift)).collect();
    if !away.iter().any(|away| away.lasts) {
        return Vec::new();
    }
    away.sort_by(|a, b| (a.shift.since, &a.shift.series).cmp(&(b.shift.since, &b.shift.series)));
    let mut events = Vec::new();
    let (mut open, mut next_id) = (0, proposals.next_id());
    for proposal in proposals.open() {
        open += 1;
        let (with, others): (Vec<Away>, Vec<Away>) =
            away.into_iter().partition(|away| away.lasts && away.is_with(proposal.since, Span::ZERO));
        away = others;
        if !with.is_empty() {
            let joined = with.into_iter().map(|away| away.shift).collect();
            events.push(proposal_of(knowledge, proposal.id, proposal.since, Asked::Joined, joined));
        }
    }
    while open < OPEN_MAX
        && let Some(first) = away.iter().find(|away| away.lasts)
    {
        let (since, spacing) = (first.shift.since, first.spacing);
        let (with, others): (Vec<Away>, Vec<Away>) = away.into_iter().partition(|away| away.is_with(since, spacing));
        away = others;
        let series = with.into_iter().map(|away| away.shift).collect();
        events.push(proposal_of(knowledge, next_id, since, Asked::Opened, series));
        (open, next_id) = (open + 1, next_id + 1);
    }
    events
}
