//! Levels that shifted, and what people are asked about them.
//!
//! A new level is learned as ordinary as soon as it is steady: that keeps pages few, and it may be wrong. So what a series was
//! like before is kept from the shift on, the samples since are looked at hour by hour, and where they stay away for a day a
//! person is asked, once for all series that shifted together. `accept`: it is another series since then. `refuse`: it is
//! trouble, the level before stands again, and nothing is learned until it is back.

use crate::analyze::strategy::DetectorState;
use crate::config::StrategyName;
use crate::event::{LevelShift, Look, Settled};
use crate::knowledge::series::Series;
use crate::series::SeriesName;
use crate::threshold::Threshold;
use crate::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Series whose level may have shifted that are held at once, those of open proposals included. Of more nobody is asked.
pub const SHIFTS_MAX: usize = 1000;

/// Proposals that are open at once; further ones wait for room.
pub const OPEN_MAX: usize = 100;

/// Proposals that are remembered once they are settled; the oldest is forgotten first.
pub const SETTLED_KEPT: usize = 200;

/// What does not stay in so many looks, two days of hours mostly, is no shift.
const LOOKS_MAX: u32 = 48;

/// So many looks in a row that find the level before say that it is back.
const BACK_LOOKS: u32 = 3;

/// A level that came back is known for so long: the way back is no shift of its own.
const KNOWN_FOR: Span = Span::hours(24);

/// A muted series pages this often.
pub const MUTED_PAGE_EVERY: Span = Span::hours(24);

/// What a person says of a proposal.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// The new level is ordinary.
    Accept,
    /// It is trouble.
    Refuse,
}

/// Why an answer was not taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NotAnswered {
    #[error("there is no proposal {0}; /api/v1/proposals lists them")]
    Unknown(u64),
    #[error("proposal {0} is settled already; one that was refused can be accepted as long as its trouble lasts")]
    Settled(u64),
}

/// Which side of its bounds a stretch of samples lies on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    Above,
    Below,
}

/// What becomes of a shift.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
enum Stage {
    /// Nobody was asked yet.
    Watched,
    /// It is a part of this open proposal.
    Asked(u64),
    /// A person called it trouble, in this proposal, and it lasts.
    Trouble(u64),
    /// The level before came back then.
    Back(Timestamp),
}

/// A series whose level may have shifted, and what it was like before.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Shift {
    /// The first sample that stood out.
    since: Timestamp,
    /// What judged then.
    before: Arc<Threshold>,
    /// What the detector knew then, and which it was.
    detector: Option<DetectorState>,
    strategy: StrategyName,
    /// The usual time between its samples.
    spacing: Span,
    stage: Stage,
    /// Where the last look ended.
    looked_until: Timestamp,
    /// Where it went, by the first look that found it away.
    side: Option<Side>,
    /// Looks that found it away, those that did not, and how many of the latter in a row, since when.
    away: u32,
    not_away: u32,
    back: u32,
    back_since: Timestamp,
    /// The middle of the last look that found it away.
    level: f64,
    /// When it last paged while its question was open, and whether its last alert was muted.
    paged_at: Option<Timestamp>,
    muted: bool,
}

impl Shift {
    /// None: nothing is known of what was before, or too little.
    fn of(series: &Series, since: Timestamp) -> Option<Shift> {
        let before = series.judging().cloned().filter(|threshold| !threshold.young)?;
        let gaps = series.window().len().saturating_sub(1).max(1) as f64;
        Some(Shift {
            since,
            level: before.bounds.center(since, before.center),
            before,
            detector: series.detector.clone(),
            strategy: series.strategy().clone(),
            spacing: series.window().span().scaled(1.0 / gaps),
            stage: Stage::Watched,
            looked_until: since - Span::from_millis(1),
            side: None,
            away: 0,
            not_away: 0,
            back: 0,
            back_since: since,
            paged_at: None,
            muted: false,
        })
    }

    pub fn since(&self) -> Timestamp {
        self.since
    }

    pub fn spacing(&self) -> Span {
        self.spacing
    }

    pub(crate) fn looked_until(&self) -> Timestamp {
        self.looked_until
    }

    /// The level before it, and the one that it has now.
    pub fn levels(&self) -> (f64, f64) {
        (self.before.bounds.center(self.since, self.before.center), self.level)
    }

    /// The proposal that it is an open question of.
    pub fn asked(&self) -> Option<u64> {
        match self.stage {
            Stage::Asked(id) => Some(id),
            _ => None,
        }
    }

    /// The proposal in which it was called trouble, as long as that lasts.
    pub fn trouble(&self) -> Option<u64> {
        match self.stage {
            Stage::Trouble(id) => Some(id),
            _ => None,
        }
    }

    /// Whether its level is away from the one before it in nearly every look, also in the last, of at least so many.
    pub(crate) fn stays(&self, looks_min: u32) -> bool {
        self.stage == Stage::Watched && self.away >= looks_min && self.back == 0 && self.is_mostly_away()
    }

    fn is_mostly_away(&self) -> bool {
        4 * self.not_away <= self.away
    }

    /// Whether the level before is back.
    pub(crate) fn is_back(&self) -> bool {
        self.back >= BACK_LOOKS
    }

    /// On which side of the bounds before more than half of these samples lie; none: on neither.
    pub(crate) fn side_of(&self, samples: impl Iterator<Item = (Timestamp, f64)>) -> Option<Side> {
        let (mut count, mut above, mut below) = (0_usize, 0_usize, 0_usize);
        for (at, value) in samples {
            let (lower, upper) = self.before.bounds.at(at);
            count += 1;
            above += usize::from(upper.is_some_and(|upper| value > upper));
            below += usize::from(lower.is_some_and(|lower| value < lower));
        }
        match () {
            () if 2 * above > count => Some(Side::Above),
            () if 2 * below > count => Some(Side::Below),
            () => None,
        }
    }

    fn see(&mut self, look: &Look) {
        self.looked_until = look.until;
        if look.side.is_some() && (self.side.is_none() || self.side == look.side) {
            // What stood out before did not last: this is where it began.
            if self.away == 0 && self.not_away > 0 {
                self.since = look.from;
            }
            (self.side, self.level) = (look.side, look.level);
            self.away += 1;
            self.back = 0;
        } else {
            if self.back == 0 {
                self.back_since = look.from;
            }
            self.not_away += 1;
            self.back += 1;
        }
    }
}

/// One series of a proposal.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Member {
    pub shift: LevelShift,
    /// What became of it, and when; none: it is an open question.
    pub settled: Option<(Settled, Timestamp)>,
}

/// A question about series whose level shifted together.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Proposal {
    pub id: u64,
    /// When the first of them shifted.
    pub since: Timestamp,
    pub opened_at: Timestamp,
    /// How often it was asked, and when last.
    pub asked: u32,
    pub asked_at: Timestamp,
    /// In the order in which they came.
    pub members: Vec<Member>,
    /// What was said with the answer.
    pub comment: Option<String>,
}

impl Proposal {
    pub fn is_open(&self) -> bool {
        self.open().next().is_some()
    }

    /// The series that are still an open question.
    pub fn open(&self) -> impl Iterator<Item = &SeriesName> {
        self.members.iter().filter(|member| member.settled.is_none()).map(|member| &member.shift.series)
    }

    fn settle(&mut self, series: &SeriesName, settled: Settled, now: Timestamp) {
        if let Some(member) = self.members.iter_mut().find(|member| member.shift.series == *series) {
            member.settled = Some((settled, now));
        }
    }
}

/// All of it.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Proposals {
    last_id: u64,
    held: BTreeMap<u64, Proposal>,
    shifts: BTreeMap<SeriesName, Shift>,
    /// Shifts for which there was no room.
    left_out: u64,
}

impl Proposals {
    /// By number, settled ones included.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Proposal> {
        self.held.values()
    }

    pub fn get(&self, id: u64) -> Option<&Proposal> {
        self.held.get(&id)
    }

    pub fn open(&self) -> impl Iterator<Item = &Proposal> {
        self.held.values().filter(|proposal| proposal.is_open())
    }

    /// The open question about a series, or the one whose trouble lasts.
    pub fn of(&self, series: &SeriesName) -> Option<&Proposal> {
        let shift = self.shifts.get(series)?;
        self.get(shift.asked().or(shift.trouble())?)
    }

    pub fn shift(&self, series: &SeriesName) -> Option<&Shift> {
        self.shifts.get(series)
    }

    /// Series whose level may have shifted, by name.
    pub fn shifts(&self) -> impl ExactSizeIterator<Item = (&SeriesName, &Shift)> {
        self.shifts.iter()
    }

    /// Shifts of which nobody is asked, because as many were held as may be.
    pub fn left_out(&self) -> u64 {
        self.left_out
    }

    pub(crate) fn next_id(&self) -> u64 {
        self.last_id + 1
    }

    /// The series that an answer is about.
    pub(crate) fn answerable(&self, id: u64, answer: Answer) -> Result<Vec<SeriesName>, NotAnswered> {
        let proposal = self.get(id).ok_or(NotAnswered::Unknown(id))?;
        let mut series: Vec<SeriesName> = proposal.open().cloned().collect();
        if series.is_empty() && answer == Answer::Accept {
            series =
                self.shifts().filter(|(_, shift)| shift.trouble() == Some(id)).map(|(name, _)| name.clone()).collect();
        }
        if series.is_empty() { Err(NotAnswered::Settled(id)) } else { Ok(series) }
    }

    /// Whether an alert that begins now is not to page: its series is asked about, is somebody's, and paged within a day.
    pub(crate) fn mutes(&self, series: &Series, at: Timestamp) -> bool {
        series.owner().is_some()
            && self.shift(series.name()).is_some_and(|shift| {
                shift.asked().is_some() && shift.paged_at.is_some_and(|paged| at.since(paged) < MUTED_PAGE_EVERY)
            })
    }

    /// Whether the alert that holds was muted.
    pub(crate) fn is_muted(&self, series: &SeriesName) -> bool {
        self.shift(series).is_some_and(|shift| shift.muted)
    }

    /// An alert began: perhaps a level shifts. What was watched and never found away gives way.
    pub(crate) fn alert_began(&mut self, series: &Series, first: Timestamp, at: Timestamp, pages: bool, muted: bool) {
        self.stands_out(series, first);
        if let Some(shift) = self.shifts.get_mut(series.name()) {
            shift.muted = muted;
            if shift.asked().is_some() && pages {
                shift.paged_at = Some(at);
            }
        }
    }

    /// A level that shifted was found, or an alert began, at `first`.
    pub(crate) fn stands_out(&mut self, series: &Series, first: Timestamp) {
        let since = |from: Timestamp| series.window().iter().rev().take_while(move |(at, _)| *at >= from);
        match self.shifts.get(series.name()) {
            None => {}
            Some(known) => {
                let again = match known.stage {
                    Stage::Watched => known.away == 0 && known.side_of(since(known.since)).is_none(),
                    Stage::Back(_) => known.side_of(since(first)).is_some(),
                    Stage::Asked(_) | Stage::Trouble(_) => false,
                };
                if !again {
                    return;
                }
            }
        }
        let Some(shift) = Shift::of(series, first) else { return };
        if self.shifts.len() >= SHIFTS_MAX && !self.shifts.contains_key(series.name()) {
            self.left_out += 1;
            return;
        }
        self.shifts.insert(series.name().clone(), shift);
    }

    /// Takes in what the looks of a cycle found, and lets go of what did not last.
    pub(crate) fn see(&mut self, looks: &[Look], now: Timestamp) {
        for look in looks {
            if let Some(shift) = self.shifts.get_mut(&look.series) {
                shift.see(look);
            }
        }
        self.shifts.retain(|_, shift| match shift.stage {
            Stage::Watched => !shift.is_back() && (shift.away + shift.not_away < LOOKS_MAX || shift.is_mostly_away()),
            Stage::Back(at) => now.since(at) < KNOWN_FOR,
            Stage::Asked(_) | Stage::Trouble(_) => true,
        });
    }

    /// A proposal opens, more series join it, or it is asked again.
    pub(crate) fn propose(&mut self, id: u64, since: Timestamp, series: &[LevelShift], again: bool, now: Timestamp) {
        self.last_id = self.last_id.max(id);
        let proposal = self.held.entry(id).or_insert_with(|| Proposal {
            id,
            since,
            opened_at: now,
            asked: 1,
            asked_at: now,
            members: Vec::new(),
            comment: None,
        });
        if again {
            proposal.asked += 1;
            proposal.asked_at = now;
        }
        for shifted in series {
            if proposal.members.iter().all(|member| member.shift.series != shifted.series) {
                proposal.members.push(Member { shift: shifted.clone(), settled: None });
            }
            if let Some(shift) = self.shifts.get_mut(&shifted.series) {
                shift.stage = Stage::Asked(id);
            }
        }
    }

    /// Writes down what became of a series of a proposal, and gives what is known of its shift, where that is over or, as
    /// trouble, begins.
    pub(crate) fn settle(&mut self, id: u64, series: &SeriesName, settled: Settled, now: Timestamp) -> Option<Shift> {
        if let Some(proposal) = self.held.get_mut(&id) {
            proposal.settle(series, settled, now);
        }
        let known = match settled {
            Settled::Refused => {
                let shift = self.shifts.get_mut(series)?;
                shift.stage = Stage::Trouble(id);
                shift.back = 0;
                Some(shift.clone())
            }
            Settled::Returned => {
                let shift = self.shifts.get_mut(series)?;
                shift.stage = Stage::Back(now);
                None
            }
            Settled::Accepted | Settled::Unanswered | Settled::Over => self.shifts.remove(series),
        };
        self.forget_settled();
        known
    }

    pub(crate) fn comment(&mut self, id: u64, comment: &str) {
        if let Some(proposal) = self.held.get_mut(&id) {
            proposal.comment = Some(comment.to_owned());
        }
    }

    /// A series begins anew, or is held no longer: nothing is asked about it any more.
    pub(crate) fn begins_anew(&mut self, series: &SeriesName, settled: Settled, now: Timestamp) {
        let Some(shift) = self.shifts.remove(series) else { return };
        if let Some(proposal) = shift.asked().or(shift.trouble()).and_then(|id| self.held.get_mut(&id)) {
            proposal.settle(series, settled, now);
        }
        self.forget_settled();
    }

    fn forget_settled(&mut self) {
        let lasting = |id: u64, shifts: &BTreeMap<SeriesName, Shift>| shifts.values().any(|s| s.trouble() == Some(id));
        let over = |proposal: &&Proposal| !proposal.is_open();
        while self.held.values().filter(over).count() > SETTLED_KEPT {
            let oldest = self.held.values().filter(over).map(|p| p.id).find(|id| !lasting(*id, &self.shifts));
            let Some(oldest) = oldest else { return };
            self.held.remove(&oldest);
        }
    }
}

impl Shift {
    pub(crate) fn before(&self) -> &Arc<Threshold> {
        &self.before
    }

    /// When the level before came back, by the looks.
    pub(crate) fn back_since(&self) -> Timestamp {
        self.back_since
    }

    /// What the detector knew before, where it is still the same one.
    pub(crate) fn into_detector(self, strategy: &StrategyName) -> Option<DetectorState> {
        self.detector.filter(|_| self.strategy == *strategy)
    }
}
