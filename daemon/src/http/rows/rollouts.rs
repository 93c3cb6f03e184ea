//! Thresholds on their way to alert rules.

use crate::http::query::{List, Page, Rows, Token, take};
use homeostat::knowledge::Knowledge;
use homeostat::rollout::{self, Evidence, Made, Rule};
use homeostat::series::SeriesName;
use homeostat::time::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

/// Series of a trial that are shown, by name.
const SERIES_SHOWN: usize = 100;

/// What became of the thresholds of one alert rule.
#[derive(Debug, Serialize, JsonSchema)]
pub struct RolloutRow {
    rule: String,
    /// What is tried out now is at this step: shadow, canary or active; null: nothing is tried out.
    step: Option<&'static str>,
    #[schemars(with = "Option<String>")]
    since: Option<Timestamp>,
    /// When it goes a step on, if it does no worse up to then.
    #[schemars(with = "Option<String>")]
    until: Option<Timestamp>,
    /// Thresholds that the rule is served now: one per set of its labels. For all others its literal stands.
    served: usize,
    /// Series whose learned threshold lies where no value can be, such as 130 percent: the rule would be off for good, so its literal
    /// counts in place of it, or the outermost value that was seen where that is ordinary beyond the literal.
    out_of_reach: usize,
    /// Until then nothing is tried out, since what was tried out last was taken back for what it did; null: it does not rest.
    #[schemars(with = "Option<String>")]
    rests_until: Option<Timestamp>,
    /// Series of which it is known what was served before what was kept last: the order roll_back serves that again, while nothing
    /// is tried out.
    kept: usize,
    literal: f64,
    /// How often something was tried out.
    tried: u64,
    /// What the threshold before and the one that is tried out would have paged for up to now; null: nothing is tried out.
    evidence: Option<Evidence>,
    /// The series that are in the trial, by name, a hundred at most.
    series: Vec<TriedRow>,
    /// The latest steps, oldest first.
    steps: Vec<StepRow>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub struct TriedRow {
    #[schemars(with = "String")]
    series: SeriesName,
    /// Where the rule fires now, by the threshold before or its literal, and by the one that is tried out, in the series' own unit.
    before: Option<f64>,
    proposed: Option<f64>,
    /// Whether it is served what is tried out.
    served: bool,
}

#[derive(Debug, Serialize, JsonSchema)]
pub struct StepRow {
    /// shadow, canary, active, kept, refused or rolled_back.
    step: &'static str,
    #[schemars(with = "String")]
    at: Timestamp,
    because: String,
    evidence: Option<Evidence>,
}

impl From<&Made> for StepRow {
    fn from(made: &Made) -> StepRow {
        StepRow {
            step: made.step.as_str(),
            at: made.at,
            because: made.because.clone(),
            evidence: made.evidence.clone(),
        }
    }
}

impl RolloutRow {
    fn of(knowledge: &Knowledge, rule: &Rule, counts: [usize; 3], now: Timestamp) -> RolloutRow {
        let [served, kept, out_of_reach] = counts;
        let rollout = knowledge.rollouts().get(&rule.name);
        let made = rollout.and_then(|rollout| rollout.now());
        let settings = &knowledge.config().rollout;
        RolloutRow {
            rule: rule.name.clone(),
            step: made.map(|made| made.step.as_str()),
            since: made.map(|made| made.at),
            until: made.and_then(|made| Some(made.at + settings.lasts(made.step)?)),
            served,
            out_of_reach,
            rests_until: rollout.and_then(|rollout| rollout.rests_until(settings.watch)).filter(|until| now < *until),
            kept,
            literal: rule.literal,
            tried: rollout.map_or(0, |rollout| rollout.id),
            evidence: made.map(|_| rollout::evidence(knowledge, rule)),
            series: made.map_or(Vec::new(), |_| tried(knowledge, rule, now)),
            steps: rollout.map_or(Vec::new(), |rollout| rollout.steps.iter().map(StepRow::from).collect()),
        }
    }
}

fn tried(knowledge: &Knowledge, rule: &Rule, now: Timestamp) -> Vec<TriedRow> {
    let of_series = knowledge.series().flat_map(|series| {
        let releases = series.releases().filter(|(one, _)| one.name == rule.name);
        releases.filter_map(move |(rule, release)| {
            let (trial, holiday) = (release.trial.as_ref()?, series.occasions(now).holiday);
            let bound = |threshold| rule.bound(threshold, now, holiday);
            Some(TriedRow {
                series: series.name().clone(),
                before: trial.before.as_deref().map_or(Some(rule.literal), bound),
                proposed: bound(&trial.proposed),
                served: release.served.as_ref() == Some(&trial.proposed),
            })
        })
    });
    of_series.take(SERIES_SHOWN).collect()
}

/// By the place of the rules in the configuration.
pub fn rollouts(knowledge: &Knowledge, page: &Page, now: Timestamp) -> Rows<RolloutRow> {
    let first = page.before().unwrap_or(0);
    let served = rollout::served(knowledge, now);
    let kept = rollout::kept(knowledge);
    let out = rollout::out_of_reach(knowledge, now);
    let rows = (1_u64..).zip(&served).skip_while(|(at, _)| *at <= first);
    let row = |(at, (rule, served)): (u64, &(&Rule, _))| {
        let served: &std::collections::BTreeMap<Vec<String>, f64> = served;
        let of_rule =
            |counts: &std::collections::BTreeMap<&str, usize>| counts.get(rule.name.as_str()).copied().unwrap_or(0);
        (
            RolloutRow::of(knowledge, rule, [served.len(), of_rule(&kept), of_rule(&out)], now),
            Token::Number(List::Rollouts, at),
        )
    };
    take(page.limit, rows.map(row))
}

/// That of one rule.
pub fn rollout(knowledge: &Knowledge, name: &str, now: Timestamp) -> Option<RolloutRow> {
    let served = rollout::served(knowledge, now);
    let (rule, served) = served.into_iter().find(|(rule, _)| rule.name == name)?;
    let kept = rollout::kept(knowledge).get(name).copied().unwrap_or(0);
    let out = rollout::out_of_reach(knowledge, now).get(name).copied().unwrap_or(0);
    Some(RolloutRow::of(knowledge, rule, [served.len(), kept, out], now))
}
