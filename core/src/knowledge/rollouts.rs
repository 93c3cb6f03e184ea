//! What alert rules elsewhere are served of what was learned here: the memory of it, series by series.

use super::series::Series;
use super::{Knowledge, SeriesId};
use crate::rollout::{Rollout, Step};
use crate::series::SeriesName;
use std::collections::{BTreeMap, BTreeSet};

impl Knowledge {
    /// What became of the thresholds of each rule, by its name; of some that are configured no longer, too.
    pub fn rollouts(&self) -> &BTreeMap<String, Rollout> {
        &self.general.rollouts
    }

    /// Does to all series of a rule what a step says. `compares`: how the rule compared then, where that is known.
    pub(super) fn apply_moved(&mut self, rule: &str, to: Step, compares: Option<&str>) {
        let share = self.config.rollout.share.get();
        let configured = self.config.rules.iter().find(|one| one.name == rule);
        // It was configured otherwise then: the step was another comparison's, and what was served before it had ended with that.
        let of_other = compares.is_some_and(|compares| configured.is_some_and(|rule| rule.compares() != compares));
        let first = match (to, configured) {
            (Step::Canary, Some(rule)) => {
                let in_trial = |series: &&Series| {
                    series.releases().any(|(one, release)| one.name == rule.name && release.trial.is_some())
                };
                let keys = self.series().filter(in_trial).map(|series| rule.key(series.name())).collect();
                rule.first(&keys, share)
            }
            _ => BTreeSet::new(),
        };
        // While nothing is tried out there is nothing to take back but what was kept.
        let kept = to == Step::RolledBack && self.rollouts().get(rule).is_none_or(|rollout| rollout.now().is_none());
        let named = |series: &Series| series.settings.rules.iter().position(|one| one.name == rule);
        let ids: Vec<SeriesId> = self.names.values().copied().collect();
        for id in ids {
            if let Some(at) = self.get(id).and_then(named)
                && let Some(series) = self.get_mut(id)
            {
                if of_other {
                    series.release_anew(at);
                } else if kept {
                    series.take_back_kept(at);
                } else {
                    let is_first = first.contains(&series.settings.rules[at].key(series.name()));
                    series.move_on(at, to, is_first);
                }
            }
        }
    }

    /// Serves a rule what these series have learned, at once.
    pub(super) fn apply_released(&mut self, rule: &str, series: &[SeriesName]) {
        for name in series {
            if let Some(series) = self.find_mut(name)
                && let Some(at) = series.settings.rules.iter().position(|one| one.name == rule)
            {
                series.release_now(at);
            }
        }
    }
}
