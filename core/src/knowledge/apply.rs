//! The door for events: what each of them changes in memory. Samples have the other door; there is no third.

use super::*;
use crate::event::{Asked, Settled};
use crate::feedback::Subject;
use crate::knowledge::series::About;
use crate::plan::parameters;
use crate::rollout::Made;

impl Knowledge {
    /// Takes in what was decided. The only other way that memory changes.
    pub(crate) fn apply(&mut self, event: &Event, now: Timestamp) {
        match event {
            Event::SeriesAdded { series, declared, derived_from } => {
                self.apply_added(series, *declared, derived_from.as_ref(), now)
            }
            Event::SeriesForgotten {
                series,
                because: Forgotten::Ended | Forgotten::GaveWay | Forgotten::ReadOtherwise,
            } => self.apply_forgotten(series, now),
            Event::ThresholdLearned { series, threshold, .. } => {
                self.general.optimizations.push(Optimization {
                    at: threshold.learned_at,
                    series: series.clone(),
                    strategy: threshold.strategy.clone(),
                    confidence: threshold.confidence,
                    lower: threshold.bounds.at(now).0,
                    upper: threshold.bounds.at(now).1,
                });
                self.apply_learned(series, threshold);
            }
            Event::Alerted(alerted) => {
                if let Some((series, proposals)) = self.find_with_proposals(&alerted.series) {
                    match alerted.phase {
                        Phase::Onset => {
                            let first = series.alert_begins(alerted.at, alerted.spoke);
                            proposals.alert_began(series, first, alerted.at, alerted.pages, alerted.muted);
                        }
                        Phase::End => series.alert_ends(alerted.at),
                    }
                }
            }
            Event::Forecasted { series, crosses_at, .. } => {
                if let Some(series) = self.find_mut(series) {
                    series.forecast = *crosses_at;
                }
            }
            Event::ClaimSettled { series, claim, kept } => {
                self.general.claims.settle(claim.said, *kept);
                if let Some(series) = self.find_mut(series) {
                    series.claim = None;
                }
            }
            Event::StateChanged { transition, .. } => {
                self.general.transitions.push(transition.clone());
                self.general.hurry |= transition.forced_until.is_some();
                if let Some(until) = transition.forced_until {
                    self.general.state =
                        self.general.state.force(transition.to, until, &transition.evidence, transition.at).0;
                }
            }
            Event::ChangeDispatched { change } => self.apply_dispatched(change),
            Event::ChangeSettled { outcome } => self.apply_settled(outcome),
            Event::Signalled { signal } => self.apply_signal(signal),
            Event::Adjusted { by, adjustment, change, .. } => {
                let due = now + self.general.parameters.planning_lookahead;
                let memory = self.loop_mut(*by);
                memory.actions += 1;
                open_trial(memory, adjustment, *change, due, false);
                let stands = self.factor_stands(adjustment);
                let action =
                    Action { id: *change, at: now, of: *by, adjustment: adjustment.clone(), stands, outcome: None };
                self.general.actions.push(action);
            }
            Event::Withheld { by, adjustment, id, .. } => {
                let due = now + self.general.parameters.planning_lookahead;
                self.general.change_id = self.general.change_id.max(*id);
                let memory = self.loop_mut(*by);
                memory.withheld += 1;
                open_trial(memory, adjustment, *id, due, true);
            }
            Event::EffectMeasured { by, id, after } => {
                let effect = &mut self.loop_mut(*by).effect;
                if let Some(trial) = effect.take(*id) {
                    effect.close(trial, *after);
                }
            }
            Event::LoopPaused { by, paused, .. } => {
                let memory = self.loop_mut(*by);
                memory.paused = *paused;
                match paused {
                    true => memory.effect.pause(now),
                    false => memory.effect.resume(),
                }
            }
            Event::Frozen { frozen, .. } => self.general.frozen = *frozen,
            Event::LevelShiftProposed { id, since, because, series, .. } => {
                self.general.proposals.propose(*id, *since, series, *because == Asked::Again, now)
            }
            Event::LevelShiftSettled { id, settled, series, comment, .. } => {
                series.iter().for_each(|name| self.apply_settled_shift(*id, name, *settled, now));
                if let Some(comment) = comment {
                    self.general.proposals.comment(*id, comment);
                }
            }
            Event::RolloutMoved { rule, id, to, because, evidence, compares, .. } => {
                let evidence = evidence.as_deref().cloned();
                let made = Made { step: *to, at: now, because: because.clone(), evidence };
                self.apply_moved(rule, *to, compares.as_deref());
                self.general.rollouts.entry(rule.clone()).or_default().make(*id, made, compares.clone());
            }
            Event::ThresholdReleased { rule, series, .. } => self.apply_released(rule, series),
            Event::CycleCompleted(cycle) => self.apply_cycle(cycle),
        }
    }

    /// What a factor makes of its parameter in the present state, before and after.
    fn factor_stands(&self, adjustment: &Adjustment) -> Option<(f64, f64)> {
        let Target::Factor(parameter) = adjustment.target else { return None };
        let (row, state) = (self.row(), self.general.state.state);
        let with = |factor| parameters::with_factor(&row, parameter, factor, state);
        Some((with(adjustment.from), with(adjustment.to)))
    }

    fn loop_mut(&mut self, kind: LoopKind) -> &mut LoopMemory {
        self.general.loops.entry(kind).or_default()
    }

    /// A series, and beside it what is known of shifts.
    fn find_with_proposals(&mut self, name: &SeriesName) -> Option<(&mut Series, &mut Proposals)> {
        let id = *self.names.get(name)?;
        let series = self.shards.get_mut(usize::from(id.shard))?.get_mut(id)?;
        Some((series, &mut self.general.proposals))
    }

    /// What a person, or nobody in time, said of a level, done to what the series has learned.
    fn apply_settled_shift(&mut self, id: u64, name: &SeriesName, settled: Settled, now: Timestamp) {
        let methods = Arc::clone(&self.methods);
        let Some((series, proposals)) = self.find_with_proposals(name) else { return };
        let Some(shift) = proposals.settle(id, name, settled, now) else { return };
        let detector = methods.detector(series.strategy());
        match settled {
            Settled::Accepted => series.accept_level(shift.since(), detector),
            Settled::Unanswered => series.stand_by_level(shift.since()),
            Settled::Refused => series.refuse_level(&shift),
            Settled::Over => series.trouble_is_over(shift, detector),
            Settled::Returned => {}
        }
        self.general.hurry = true;
    }

    fn apply_added(
        &mut self,
        name: &SeriesName,
        declared: Option<Kind>,
        derived_from: Option<&SeriesName>,
        now: Timestamp,
    ) {
        if !self.names.contains_key(name) {
            let settings = self.settings.of(name, &self.config);
            let mut series = Series::new(name.clone(), declared, settings, now);
            series.derived_from = derived_from.cloned().map(Box::new);
            series.inherited = self.prior_of(&series).map(Box::new);
            self.insert(series);
        }
    }

    fn apply_forgotten(&mut self, name: &SeriesName, now: Timestamp) {
        if let Some(id) = self.names.remove(name) {
            let series = self.shards[usize::from(id.shard)].remove(id);
            let shared: Vec<String> = series.iter().flat_map(|series| series.shares_arms()).collect();
            if let Some(part) = series.and_then(|series| series.part) {
                self.histograms.unregister(*part);
            }
            shared.iter().for_each(|rule| self.set_arms_of(rule));
            self.general.proposals.begins_anew(name, Settled::Returned, now);
            self.general.forgotten += 1;
        }
    }

    fn apply_learned(&mut self, name: &SeriesName, threshold: &Arc<crate::threshold::Threshold>) {
        let methods = Arc::clone(&self.methods);
        let mut scratch = std::mem::take(&mut self.scratch);
        let least = self.config.learning.min_data_points;
        if let Some((series, proposals)) = self.find_with_proposals(name) {
            if let Some(since) = threshold.level_since.filter(|since| series.level_since != Some(*since)) {
                proposals.stands_out(series, since);
            }
            series.forget_trouble();
            series.set_rivals(&threshold.rivals, threshold.sensitivity);
            if threshold.level_since.is_some() {
                series.level_since(threshold.level_since);
            }
            series.set_learned(Arc::clone(threshold));
            series.learned_at = Some(threshold.learned_at);
            series.learned_admitted = series.admitted;
            series.relearn = false;
            series.claim_begins(methods.detector(&series.settings.strategy), threshold.learned_at);
            series.keep_what_fits();
            // One that alerts by itself goes on; bounds that track begin anew from what is ordinary.
            if let Some(detector) = methods.detector(&series.settings.strategy).filter(|detector| !detector.alerts())
                && !series.is_in_trouble()
            {
                let (mut at, mut values) = (Vec::new(), Vec::new());
                series.ordinary(least, &mut at, &mut values);
                let baseline = Baseline::sorted(series.kind(), &at, &values, &mut scratch);
                series.detector = Some(detector.start(&baseline.reckoned(series.reckoning()), None));
            }
        }
        self.scratch = scratch;
    }

    fn apply_dispatched(&mut self, change: &Change) {
        self.general.change_id = self.general.change_id.max(change.id);
        match (&change.knob, &change.to) {
            (Knob::Threshold(name), Setting::Unset) => {
                if let Some(series) = self.find_mut(name) {
                    series.withdraw();
                }
            }
            (Knob::Threshold(name), Setting::Bounds(_)) => {
                if let Some(series) = self.find_mut(name).filter(|series| series.learned.is_some()) {
                    series.put_in_force();
                }
            }
            (Knob::Sensitivity(name), Setting::Number(value)) => {
                if let Some(series) = self.find_mut(name) {
                    series.set_sensitivity(Sensitivity::clamped(*value));
                    series.relearn = series.learned.as_ref().is_none_or(|t| t.sensitivity != series.sensitivity);
                }
            }
            (Knob::Trust(name), Setting::Number(value)) => {
                if let Some(series) = self.find_mut(name) {
                    series.trust = Trust { value: *value, at: change.at };
                    series.relearn = true;
                }
            }
            (Knob::Preference(strategy), Setting::Number(value)) => {
                self.general.preferences.insert(strategy.clone(), *value);
            }
            (Knob::Factor(parameter), Setting::Number(value)) => {
                self.general.factors.set(*parameter, *value, change.at)
            }
            // Where they are going; how far they came, each cycle says.
            (Knob::Parameters, Setting::Parameters(_)) => {}
            // An event whose setting does not fit its knob was not written by this engine; it changes nothing.
            _ => {}
        }
        self.begin_change(change);
    }

    fn apply_settled(&mut self, outcome: &Outcome) {
        self.end_change(outcome);
        *self.general.settled.entry(outcome.verification).or_default() += 1;
        if matches!(outcome.verification, Verification::Met | Verification::Failed) {
            self.general.outcomes.push(outcome.verification);
        }
        let action = self.general.actions.iter_mut().rev().find(|action| action.id == outcome.change);
        if let Some(action) = action {
            action.outcome = Some(outcome.verification);
        }
    }

    fn apply_signal(&mut self, signal: &Signal) {
        self.general.signal_id = self.general.signal_id.max(signal.id);
        // What is not finite measures nothing; aims are taken from here, and have to be numbers.
        if let Some(kind) = EvidenceKind::ALL.into_iter().find(|kind| kind.as_str() == signal.source)
            && signal.value.is_finite()
        {
            self.general.measured.insert(kind, (signal.value, signal.at));
        }
        if let Some(verdict) = signal.verdict {
            self.general.hurry = true;
            let methods = Arc::clone(&self.methods);
            let about = signal.about.unwrap_or(Subject::Moment { at: signal.at });
            if let (Subject::ChangePoint { .. }, Some(name)) = (about, &signal.series) {
                self.general.proposals.begins_anew(name, Settled::Accepted, signal.at);
            }
            let series = signal.series.as_ref().and_then(|name| self.find_mut(name));
            let of = series.map_or(About { alert: verdict == Verdict::Missed, ..About::default() }, |series| {
                let detector = methods.detector(series.strategy());
                series.hear(verdict, about, signal.weight, detector)
            });
            // What people do says too little of how well alerts do.
            if of.alert && signal.weight.is_none() {
                self.general.verdicts.push((signal.at, verdict));
            }
            if !of.worth.is_empty() {
                of.worth.iter().for_each(|(verdict, worth)| self.general.features.add_of_one(worth, *verdict));
                let fleet = std::mem::take(&mut self.general.fleet);
                if let Some(series) = signal.series.as_ref().and_then(|name| self.find_mut(name)) {
                    series.set_weights(&fleet);
                }
                self.general.fleet = fleet;
            }
        }
        let memory = self.loop_mut(signal.of);
        memory.signals += 1;
        // What is not reflected on by the next cycle is bounded: a flood of signals keeps the latest.
        if memory.heard.len() == HEARD_MAX {
            memory.heard.drain(..HEARD_MAX / 2);
        }
        memory.heard.push(signal.clone());
        self.general.signals.push(signal.clone());
    }

    fn apply_cycle(&mut self, cycle: &CycleCompleted) {
        if self.cycle_counts(cycle.at) {
            self.general.counted = cycle.at;
        }
        let general = &mut self.general;
        general.evidence = cycle.evidence;
        general.state = cycle.state.clone();
        general.parameters = cycle.parameters;
        general.parameters_of = cycle.parameters_of;
        general.breach_share_usual = cycle.breach_share_usual;
        general.refused_changes += u64::from(cycle.refused);
        for (because, count) in &cycle.refused_because {
            *general.refused_because.entry(*because).or_default() += u64::from(*count);
        }
        general.cycles += 1;
        general.last_cycle = cycle.at;
        general.hurry = general.state.wants_early_cycle();
        general.chance = cycle.chance;
        general.proposals.see(&cycle.looks, cycle.at);
        general.loops.values_mut().for_each(|memory| memory.heard.retain(|signal| signal.id > cycle.heard));
        let methods = Arc::clone(&self.methods);
        for name in &cycle.confirmed {
            if let Some(series) = self.find_mut(name) {
                series.learned_at = Some(cycle.at);
                series.learned_admitted = series.admitted;
                series.relearn = false;
                series.claim_begins(methods.detector(&series.settings.strategy), cycle.at);
            }
        }
        self.hear_of_fleet();
        self.end_turn(cycle.through.as_ref(), cycle.at);
        self.general.goes_on = cycle.goes_on;
    }
}

/// Signals a loop may have waiting for the next cycle.
const HEARD_MAX: usize = 4096;

fn open_trial(memory: &mut LoopMemory, adjustment: &Adjustment, id: u64, due: Timestamp, withheld: bool) {
    if let (Some(before), false) = (adjustment.aim, adjustment.explicit) {
        memory.effect.open(Trial { id, target: Target::clone(&adjustment.target), before, due, withheld });
    }
}
