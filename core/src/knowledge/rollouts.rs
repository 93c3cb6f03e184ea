//! What alert rules elsewhere are served of what was learned here: the memory of it, series by series.

use super::series::Series;
use super::{Knowledge, SeriesId};
use crate::rollout::{Arms, Rollout, Step};
use crate::series::SeriesName;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A series of a rule, and the place of the rule among its own.
type Member = (SeriesId, usize);

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
        // While nothing is tried out there is nothing to take back but what was kept.
        let kept = to == Step::RolledBack && self.rollouts().get(rule).is_none_or(|rollout| rollout.now().is_none());
        let ids = self.of_rule(rule);
        let meant = match (to, configured) {
            (Step::Shadow, _) => self.keys(&ids, Series::has_news),
            (Step::Canary, Some(rule)) => {
                rule.first(&self.keys(&ids, |series, at| series.release(at).trial.is_some()), share)
            }
            _ => BTreeSet::new(),
        };
        let mut begun = Vec::new();
        for &(id, at) in &ids {
            let Some(series) = self.get_mut(id) else { continue };
            if of_other {
                series.release_anew(at);
            } else if kept {
                series.take_back_kept(at);
            } else {
                let had = series.release(at).trial.is_some();
                let is_meant = !meant.is_empty() && meant.contains(&series.key(at));
                series.move_on(at, to, is_meant);
                if !had && series.release(at).trial.is_some() {
                    begun.push((id, at));
                }
            }
        }
        self.set_arms(&ids);
        for (id, at) in begun {
            if let Some(series) = self.get_mut(id) {
                series.look_back(at);
            }
        }
    }

    fn of_rule(&self, rule: &str) -> Vec<Member> {
        let place = |series: &Series| series.settings.rules.iter().position(|one| one.name == rule);
        self.names.values().filter_map(|&id| Some((id, place(self.get(id)?)?))).collect()
    }

    /// The labels of those of which that is so.
    fn keys(&self, ids: &[Member], is_so: impl Fn(&Series, usize) -> bool) -> BTreeSet<Vec<String>> {
        let known = ids.iter().filter_map(|&(id, at)| Some((self.get(id)?, at)));
        known.filter(|(series, at)| is_so(series, *at)).map(|(series, at)| series.key(at)).collect()
    }

    /// Tells each trial what the rule is served of the other series with the same labels.
    fn set_arms(&mut self, ids: &[Member]) {
        let mut by_key: BTreeMap<Vec<String>, Vec<Member>> = BTreeMap::new();
        for &(id, at) in ids {
            if let Some(series) = self.get(id).filter(|series| series.release(at).arms() != (None, None)) {
                by_key.entry(series.key(at)).or_default().push((id, at));
            }
        }
        for members in by_key.into_values() {
            let arms = (members.len() > 1).then(|| Arc::new(self.arms(&members)));
            for (id, at) in members {
                if let Some(series) = self.get_mut(id).filter(|series| series.release(at).trial.is_some()) {
                    series.set_arms(at, arms.clone());
                }
            }
        }
    }

    /// What the rule is served of series with the same labels.
    fn arms(&self, members: &[Member]) -> Arms {
        let (mut before, mut proposed) = (Vec::new(), Vec::new());
        let known = || members.iter().filter_map(|&(id, at)| Some((self.get(id)?, at)));
        for (series, at) in known() {
            let (of_before, of_proposed) = series.release(at).arms();
            before.extend(of_before.cloned());
            proposed.extend(of_proposed.cloned());
        }
        let rule = known().next().map(|(series, at)| Arc::clone(&series.settings.rules[at]));
        rule.map_or_else(Arms::default, |rule| Arms::of(&rule, before, proposed))
    }

    /// The same of all rules.
    pub(super) fn set_all_arms(&mut self) {
        let rules: Vec<String> = self.config.rules.iter().map(|rule| rule.name.clone()).collect();
        for rule in rules {
            self.set_arms_of(&rule);
        }
    }

    pub(super) fn set_arms_of(&mut self, rule: &str) {
        let ids = self.of_rule(rule);
        self.set_arms(&ids);
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
        self.set_arms_of(rule);
    }
}
