//! Whose turn it is: a cycle attends to all series where they are few, else to a share of them, so that no cycle takes long.

use super::Knowledge;
use super::general::{Pool, Sharing};
use crate::knowledge::SeriesId;
use crate::knowledge::series::Series;
use crate::series::SeriesName;
use crate::time::{Span, Timestamp};
use std::ops::Bound;

/// So many series are attended to in one cycle, and all if there are no more; of more than eight times as many an eighth, where a
/// cycle comes at its regular time.
const ATTENDED: usize = 16_384;
const PARTS: usize = 8;

/// Cycles brought forward keep this distance, so that a flood of reasons does not become a flood of cycles.
pub(crate) const GAP_MIN: Span = Span::from_secs(1);

impl Knowledge {
    /// Whether a cycle at this time counts by itself, or as one with those just before it.
    pub(crate) fn cycle_counts(&self, now: Timestamp) -> bool {
        now.since(self.general.counted) >= GAP_MIN
    }

    /// The series whose turn it is in this cycle, by name.
    pub(crate) fn attended(&self) -> impl Iterator<Item = &Series> {
        self.turn().filter_map(|(_, id)| self.get(*id))
    }

    fn turn(&self) -> impl Iterator<Item = (&SeriesName, &SeriesId)> {
        let after = self.general.turn.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
        self.names.range::<SeriesName, _>((after, Bound::Unbounded)).take(self.at_once())
    }

    fn at_once(&self) -> usize {
        match self.general.goes_on {
            // Cycles follow one another at once, and few of an eighth would fit one.
            true => ATTENDED,
            false => self.names.len().div_ceil(PARTS).max(ATTENDED),
        }
    }

    /// Whether every series has its turn in every cycle.
    pub fn attends_to_all(&self) -> bool {
        self.names.len() <= ATTENDED
    }

    /// The turn ends: what it is in each budget is counted, changes that are over are forgotten, and memory is made to fit. The next
    /// turn is that of those after it, or after the one that the cycle came up to.
    pub(super) fn end_turn(&mut self, through: Option<&SeriesName>, now: Timestamp) {
        let attended = self.turn().take_while(|(name, _)| through.is_none_or(|last| *name <= last));
        let ids: Vec<SeriesId> = attended.map(|(_, id)| *id).collect();
        let last = ids.last().and_then(|id| Some(self.get(*id)?.name.clone()));
        let mut counting = std::mem::take(&mut self.general.counting);
        for series in ids.iter().filter_map(|id| self.get(*id)).filter(|series| series.watched()) {
            let Some(pool) = series.pool() else { continue };
            let counted: &mut Sharing = counting.entry(pool).or_default();
            counted.watched += 1;
            counted.paging += usize::from(series.pages());
        }
        for id in &ids {
            if self.get(*id).is_some_and(|series| series.changes.some_are_over(now))
                && let Some(series) = self.get_mut(*id)
            {
                series.changes.forget_what_is_over(now);
            }
        }
        self.general.changes.forget_what_is_over(now);
        self.general.turn = last.filter(|last| {
            self.names.range::<SeriesName, _>((Bound::Excluded(last), Bound::Unbounded)).next().is_some()
        });
        match self.general.turn {
            Some(_) => self.general.counting = counting,
            None => {
                let counted: Vec<(Pool, Sharing)> = counting.into_iter().collect();
                if counted != self.general.sharing {
                    self.general.sharing = counted;
                    // All at once: a part now and a part later would be forgotten by a restart.
                    self.share_budget();
                }
            }
        }
        self.fit_memory(&ids);
    }

    /// Begins a round anew: what was counted of this one says nothing under another configuration.
    pub(crate) fn begin_round(&mut self) {
        self.general.turn = None;
        self.general.counting.clear();
        self.general.bytes_counted = 0;
    }
}
