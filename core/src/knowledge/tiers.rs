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

    /// Makes those of this turn remember less or more. What all take is what the last round counted; in the first one those of this turn
    /// stand for all.
    pub(super) fn fit_memory(&mut self, ids: &[SeriesId]) {
        let budget = self.memory_for_series();
        let share = |of: u64, part: u64, all: u64| (u128::from(of) * u128::from(part) / u128::from(all.max(1))) as u64;
        let (count, counts) = (ids.len() as u64, self.names.len() as u64);
        let taken: u64 = self.each(ids).map(|(_, series)| series.bytes_wanted()).sum();
        let all = match self.general.bytes {
            _ if self.attends_to_all() => taken,
            0 => share(taken, counts, count),
            all => all.max(taken),
        };
        let mut left = taken;
        if all > budget {
            let over = share(all - budget, taken, all);
            let given_back = self.remember_less(ids, over);
            left = taken.saturating_sub(given_back);
            self.general.bytes = self.general.bytes.saturating_sub(given_back);
            // Those whose turn comes later take too much as well, and memory is what there is no waiting for.
            self.general.hurry |= given_back > 0 && !self.attends_to_all();
        } else if self.each(ids).any(|(_, series)| series.tier() > Tier::Exact) {
            self.remember_more(ids, share((budget as f64 * ROOM) as u64, count, counts));
        }
        self.general.bytes_counted += left;
        if self.general.turn.is_none() {
            self.general.bytes = std::mem::take(&mut self.general.bytes_counted);
        }
    }

    fn each<'a>(&'a self, ids: &'a [SeriesId]) -> impl Iterator<Item = (SeriesId, &'a super::Series)> {
        ids.iter().filter_map(|id| Some((*id, self.get(*id)?)))
    }

    /// Gives back about so many bytes; how many it were.
    fn remember_less(&mut self, ids: &[SeriesId], wanted: u64) -> u64 {
        let (age_max, least) = (self.config.learning.learning_window, self.config.learning.min_data_points);
        let mut given_back = 0;
        loop {
            // Who is used least first, and of those whoever remembers most; names decide last, in whose order they come.
            let lower = |(id, series): (SeriesId, &super::Series)| {
                let next = series.next_lower(least)?;
                Some((series.is_used(), series.tier(), series.used_at(), id, next))
            };
            let mut candidates: Vec<_> = self.each(ids).filter_map(lower).collect();
            if candidates.is_empty() {
                return given_back;
            }
            candidates.sort_by_key(|(used, tier, at, ..)| (*used, *tier, *at));
            // One step for those of one kind; then it is seen who is next.
            let first = (candidates[0].0, candidates[0].1);
            for (used, from, _, id, to) in candidates {
                if given_back >= wanted {
                    return given_back;
                }
                if (used, from) != first {
                    break;
                }
                if let Some(series) = self.get_mut(id) {
                    let before = series.bytes_wanted();
                    series.move_to(to, age_max);
                    given_back += before.saturating_sub(series.bytes_wanted());
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
