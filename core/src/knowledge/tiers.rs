//! How much is remembered of each series, so that all together stay within `limits.memory_max`.
//!
//! Where memory runs short, those that are least used remember less, a step at a time: series that may page, that alert rules read or
//! that people spoke about come last. Where there is room again they remember more, as samples come.

use super::window::Tier;
use super::{Knowledge, SeriesId};

/// Of `memory_max` so much is for series. The rest is for what comes and goes: requests, answers, learning, memory that is free and
/// not given back.
const SHARE: f64 = 0.65;

/// What the process takes without any series.
const ALONE: u64 = 24 << 20;

/// Series remember more again as long as all would take no more than this part of it, were their windows full.
const ROOM: f64 = 0.9;

impl Knowledge {
    /// How many bytes there are for what is remembered of all series.
    pub fn memory_for_series(&self) -> u64 {
        let max = self.config.limits.memory_max;
        ((max as f64 * SHARE) as u64).saturating_sub(ALONE).max(max / 4)
    }

    /// About how many bytes series take, those of this turn standing for all.
    pub(super) fn fit_memory(&mut self, ids: &[SeriesId]) {
        let all = self.names.len().max(1) as u64;
        let budget = (u128::from(self.memory_for_series()) * ids.len() as u128 / u128::from(all)) as u64;
        let taken: u64 = self.each(ids).map(|(_, series)| series.bytes_wanted()).sum();
        if taken > budget {
            self.remember_less(ids, taken - budget);
            // Those whose turn comes later take too much as well, and memory is what there is no waiting for.
            self.general.hurry = true;
        } else if self.each(ids).any(|(_, series)| series.tier() > Tier::Exact) {
            self.remember_more(ids, (budget as f64 * ROOM) as u64);
        }
    }

    fn each<'a>(&'a self, ids: &'a [SeriesId]) -> impl Iterator<Item = (SeriesId, &'a super::Series)> {
        ids.iter().filter_map(|id| Some((*id, self.get(*id)?)))
    }

    fn remember_less(&mut self, ids: &[SeriesId], mut over: u64) {
        let age_max = self.config.learning.learning_window;
        loop {
            // Who is used least first, and of those whoever remembers most; names decide last, in whose order they come.
            let lower = |(id, series): (SeriesId, &super::Series)| {
                let next = series.next_lower()?;
                Some((series.is_used(), series.tier(), series.used_at(), id, next))
            };
            let mut candidates: Vec<_> = self.each(ids).filter_map(lower).collect();
            if candidates.is_empty() {
                return;
            }
            candidates.sort_by_key(|(used, tier, at, ..)| (*used, *tier, *at));
            // One step for those of one kind; then it is seen who is next.
            let first = (candidates[0].0, candidates[0].1);
            for (used, from, _, id, to) in candidates {
                if over == 0 {
                    return;
                }
                if (used, from) != first {
                    break;
                }
                if let Some(series) = self.get_mut(id) {
                    let before = series.bytes_wanted();
                    series.move_to(to, age_max);
                    over = over.saturating_sub(before.saturating_sub(series.bytes_wanted()));
                }
            }
        }
    }

    fn remember_more(&mut self, ids: &[SeriesId], room: u64) {
        let learning = &self.config.learning;
        let (age_max, len_max) = (learning.learning_window, learning.window_len);
        let mut full: u64 =
            self.each(ids).map(|(_, series)| series.bytes_when_full(series.tier(), len_max, age_max)).sum();
        let mut candidates: Vec<_> = self
            .each(ids)
            .filter_map(|(id, series)| {
                Some((!series.is_used(), std::cmp::Reverse(series.used_at()), id, series.next_higher()?))
            })
            .collect();
        candidates.sort_by_key(|(unused, at, ..)| (*unused, *at));
        for (.., id, to) in candidates {
            let Some(series) = self.get_mut(id) else { continue };
            let [now, then] = [series.tier(), to].map(|tier| series.bytes_when_full(tier, len_max, age_max));
            let more = then.saturating_sub(now);
            if full + more > room {
                break;
            }
            full += more;
            series.move_to(to, age_max);
        }
    }
}
