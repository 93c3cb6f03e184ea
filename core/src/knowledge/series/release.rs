//! What alert rules elsewhere are served of one series, and what is tried out for them.

use super::Series;
use crate::rollout::{Arms, Release, Rule, Step, Trial, new};
use crate::time::{Span, Timestamp};
use std::sync::Arc;

impl Series {
    /// What each alert rule that looks its thresholds up is served of it.
    pub fn releases(&self) -> impl Iterator<Item = (&Rule, &Release)> {
        self.settings.rules.iter().map(|rule| rule.as_ref()).zip(&self.releases)
    }

    /// One for each rule that the configuration names now; what others were served is forgotten, and what the same compared
    /// otherwise.
    pub(super) fn set_releases(&mut self) {
        if self.settings.rules.is_empty() && self.releases.is_empty() {
            return;
        }
        let mut before = std::mem::take(&mut self.releases);
        let known = |rule: &Rule| match before.iter().position(|release| release.rule == rule.name) {
            Some(at) => before.swap_remove(at).for_rule(rule),
            None => Release::of(rule),
        };
        self.releases = self.settings.rules.iter().map(|rule| rule.as_ref()).map(known).collect();
    }

    /// Lets what is tried out read a sample, and what was before it. In maintenance neither would page.
    #[cold]
    pub(super) fn try_out(&mut self, at: Timestamp, value: f64) {
        let moment = self.present.moment;
        for (rule, release) in self.settings.rules.iter().zip(&mut self.releases) {
            if let Some(trial) = release.trial.as_mut().filter(|_| !moment.silent) {
                trial.see(rule, at, value, moment.holiday);
            }
        }
    }

    /// Serves a rule what was learned since a person's word, without a trial of its own. One that goes on goes on with it: what
    /// it has seen so far, and the way back, are not lost.
    pub(crate) fn release_now(&mut self, at: usize) {
        let Some(threshold) = self.judging().cloned() else { return };
        let release = &mut self.releases[at];
        if release.served.is_none() {
            // Not so when it was decided: the rule compared otherwise then.
            return;
        }
        if let Some(trial) = &mut release.trial {
            if release.served.as_ref() != Some(&trial.proposed) {
                // Nothing of it is served yet: what the word moved stands before it, too.
                trial.before = Some(Arc::clone(&threshold));
            }
            trial.proposed = Arc::clone(&threshold);
        }
        release.served = Some(threshold);
        release.verdicts = self.verdicts;
    }

    /// A rule compares otherwise: it is served nothing.
    pub(crate) fn release_anew(&mut self, at: usize) {
        self.releases[at] = Release::of(&self.settings.rules[at]);
    }

    /// Serves a rule what it was served before what was kept last.
    pub(crate) fn take_back_kept(&mut self, at: usize) {
        let release = &mut self.releases[at];
        release.take_back_kept();
        release.verdicts = self.verdicts;
    }

    /// What its rule at this place is served of it.
    pub(crate) fn release(&self, at: usize) -> &Release {
        &self.releases[at]
    }

    /// The values of that rule's labels.
    pub(crate) fn key(&self, at: usize) -> Vec<String> {
        self.settings.rules[at].key(&self.name)
    }

    /// Whether something new may be tried out for a rule, or is.
    pub(crate) fn has_news(&self, at: usize) -> bool {
        let release = &self.releases[at];
        release.trial.is_some() || new(self, &self.settings.rules[at], release, false).is_some()
    }

    /// Lets a trial that began just now read what is held, and hear what was said of that time already.
    pub(crate) fn look_back(&mut self, at: usize) {
        let rule = Arc::clone(&self.settings.rules[at]);
        let Some(mut trial) = self.releases[at].trial.take() else { return };
        let held = self.window.iter().filter(|(at, _)| !self.occasions(*at).silent);
        trial.read(&rule, held, |at| self.occasions(at).holiday);
        for (verdict, begun) in self.words() {
            trial.book_mut().hear(verdict, begun, begun + Span::from_millis(1));
        }
        self.releases[at].trial = Some(trial);
    }

    /// The rules in whose trials other series are compared with what it is served.
    pub(crate) fn shares_arms(&self) -> Vec<String> {
        let shared = |(_, release): &(&Rule, &Release)| release.trial.as_deref().is_some_and(Trial::is_shared);
        self.releases().filter(shared).map(|(rule, _)| rule.name.clone()).collect()
    }

    pub(crate) fn set_arms(&mut self, at: usize, arms: Option<Arc<Arms>>) {
        if let Some(trial) = &mut self.releases[at].trial {
            trial.set_arms(arms);
        }
    }

    /// Does what a step of this rule says; `is_meant`: whether it has labels that a shadow or a canary is about.
    pub(crate) fn move_on(&mut self, at: usize, to: Step, is_meant: bool) {
        let rule = Arc::clone(&self.settings.rules[at]);
        let mut release = std::mem::take(&mut self.releases[at]);
        match to {
            Step::Shadow => {
                // With it reads what has the same labels and is served already: the rule has one bound for all of them.
                if release.trial.is_none()
                    && is_meant
                    && let Some(proposed) = new(self, &rule, &release, false).or(release.served.as_ref()).cloned()
                {
                    release.begin(proposed);
                }
            }
            Step::Canary if is_meant => release.serve(self.verdicts),
            Step::Active => release.serve(self.verdicts),
            Step::Canary => {}
            Step::Kept => release.keep(),
            Step::Refused | Step::RolledBack => {
                release.take_back();
                // What was said led to this: it is no reason to serve the same again.
                release.verdicts = self.verdicts;
            }
        }
        self.releases[at] = release;
    }
}
