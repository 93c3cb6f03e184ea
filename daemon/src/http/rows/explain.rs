//! One series in full, and why its threshold is as it is.

use crate::driver::View;
use crate::http::rows::{At, BoundsRow, EntryRow, ProposalRow, SignalRow, fates};
use crate::view::{ThresholdRow, threshold_row};
use homeostat::analyze::claim::{Claim, most_pages};
use homeostat::analyze::strategy::Voice;
use homeostat::analyze::{claim, voices};
use homeostat::config::StrategyName;
use homeostat::execute::Measure;
use homeostat::feedback::weights::{Feature, Spoke};
use homeostat::knowledge::Knowledge;
use homeostat::knowledge::histogram::BUCKETS_MAX;
use homeostat::knowledge::series::Series;
use homeostat::knowledge::window::Tier;
use homeostat::plan::import::IMPORTED;
use homeostat::series::SeriesName;
use homeostat::stats::Trend;
use homeostat::threshold::Threshold;
use homeostat::time::{Span, Timestamp};
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeMap;

#[derive(Debug, Serialize, JsonSchema)]
pub struct WindowRow {
    samples: usize,
    #[schemars(with = "Option<String>")]
    oldest: Option<Timestamp>,
    #[schemars(with = "Option<String>")]
    newest: Option<Timestamp>,
    span_s: f64,
    /// How much is remembered of its samples: exact, hourly, faded or bounds. And about how many bytes the series takes.
    tier: &'static str,
    bytes: u64,
    /// Samples the threshold was learned from; null while nothing was learned.
    used: Option<usize>,
    /// Samples of the window that belong to alerts: left out when it is learned, as long as they are few.
    masked: usize,
    /// Samples of the window that the calendars keep from being learned: those in deploys or maintenance, and those of holidays
    /// while these are few.
    set_aside: usize,
    /// The level shifted then; what came before is not learned from. Null: it did not within the window.
    #[schemars(with = "Option<String>")]
    level_since: Option<Timestamp>,
}

/// How another strategy would have done.
#[derive(Debug, Serialize, JsonSchema)]
pub struct RivalRow {
    #[schemars(with = "String")]
    strategy: StrategyName,
    lower: Option<f64>,
    upper: Option<f64>,
    /// Mean pinball loss, in the series' unit, on samples it had not seen when it was learned; null: not measured.
    loss: Option<f64>,
    /// The same as it stands now, and over how many samples.
    loss_since: Option<f64>,
    samples_since: u64,
    /// Weight on its loss; above 1 it is avoided.
    preference: f64,
    chosen: bool,
}

#[derive(Debug, Serialize, JsonSchema)]
pub struct TallyRow {
    judged: u64,
    breached: u64,
    alerts: u64,
    /// Breached over judged; null while nothing was judged.
    breach_share: Option<f64>,
    /// What the sensitivity asks for, were the samples a bell.
    expected_share: f64,
}

/// How loudly one feature of the detector speaks of the newest sample, by what it knows now.
#[derive(Debug, Serialize, JsonSchema)]
pub struct FeatureRow {
    /// high, low, above, below, drifting, restless or stuck.
    feature: &'static str,
    /// What it says, of the series.
    says: &'static str,
    /// One ordinary sample in so many is so strange; 1: nothing special.
    one_in: f64,
    /// It alerts beyond one in so many.
    alerts_beyond: f64,
    /// The one over the other, on their logarithms: 0 to 1, more once it is beyond.
    loudness: f64,
}

/// Rarer than this nothing is said to be: one in so many samples.
const RAREST: f64 = 1e12;

impl From<Voice> for FeatureRow {
    fn from(voice: Voice) -> FeatureRow {
        FeatureRow {
            feature: voice.feature.word(),
            says: voice.feature.as_str(),
            one_in: 10f64.powf(voice.rarity).min(RAREST),
            alerts_beyond: 10f64.powf(voice.level).min(RAREST),
            loudness: voice.rarity / voice.level,
        }
    }
}

/// What a change that is out claims.
#[derive(Debug, Serialize, JsonSchema)]
pub struct PendingRow {
    change: u64,
    #[schemars(with = "String")]
    at: Timestamp,
    because: String,
    /// breach_share or a kind of evidence.
    measure: &'static str,
    at_least: f64,
    at_most: f64,
    #[schemars(with = "String")]
    due: Timestamp,
}

/// The histogram that a series is a bucket of, or made of.
#[derive(Debug, Serialize, JsonSchema)]
pub struct HistogramRow {
    /// `NAME_bucket` with the labels of its buckets, but `le`.
    #[schemars(with = "String")]
    buckets: SeriesName,
    /// Upper limits of its buckets, as text, ascending; the first hundred of them.
    limits: Vec<String>,
    buckets_held: usize,
    /// Series that are made of the buckets and held now.
    #[schemars(with = "Vec<String>")]
    makes: Vec<SeriesName>,
    /// Whether this series is one of those.
    derived: bool,
}

/// Limits of a histogram that are shown.
const LIMITS_SHOWN: usize = 100;

impl HistogramRow {
    fn of(knowledge: &Knowledge, series: &Series) -> Option<HistogramRow> {
        let histogram = knowledge.histogram(series)?;
        let made = |name: &&SeriesName| {
            knowledge.find(name).is_some_and(|series| series.derived_from() == Some(histogram.name()))
        };
        let text = |limit: f64| if limit == f64::INFINITY { "+Inf".to_owned() } else { limit.to_string() };
        Some(HistogramRow {
            buckets: histogram.name().clone(),
            limits: histogram.limits().take(LIMITS_SHOWN).map(text).collect(),
            buckets_held: histogram.limits().len(),
            makes: histogram.makes().filter(made).cloned().collect(),
            derived: series.derived_from().is_some(),
        })
    }
}

/// Everything that is known of one series, and why its threshold is as it is.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Explained {
    #[schemars(with = "String")]
    series: SeriesName,
    kind: &'static str,
    watched: bool,
    /// Whose it is, where the configuration says.
    owner: Option<String>,
    /// The entry of a calendar that is in force for it, the strictest one: maintenance before a deploy before a holiday.
    during: Option<EntryRow>,
    /// Of a bucket, or a series made of buckets: which histogram.
    histogram: Option<HistogramRow>,
    /// The strategy that is asked for, and the one that gave the bounds.
    #[schemars(with = "String")]
    strategy: StrategyName,
    #[schemars(with = "Option<String>")]
    chosen_strategy: Option<StrategyName>,
    window: WindowRow,
    fates: BTreeMap<&'static str, u64>,
    threshold: Option<ThresholdRow>,
    /// Those that judge now; null: none do.
    in_force: Option<BoundsRow>,
    rivals: Vec<RivalRow>,
    /// What the features of its detector say of the newest sample; empty where none alerts by itself, or it is too early.
    features: Vec<FeatureRow>,
    /// How many verdicts were heard of it, and the latest of them.
    verdicts: u32,
    latest_verdicts: Vec<SignalRow>,
    /// Features of its detector that verdicts moved, of this series or of others.
    weights: Vec<WeightRow>,
    /// Its latest alerts, newest first, and which features spoke at their onset.
    latest_alerts: Vec<SpokeRow>,
    sensitivity: f64,
    /// Where its sensitivity started.
    sensitivity_prior: f64,
    /// How far its thresholds are trusted, 0.25 to 1; multiplies the confidence.
    trust: f64,
    confidence: Option<f64>,
    /// What the confidence is the probability of, in a sentence; null: there is none yet.
    confidence_claims: Option<String>,
    /// Sentences: what the claim rests on.
    confidence_rests_on: Vec<String>,
    /// A threshold is used from this confidence on.
    confidence_min: f64,
    /// Sentences: what would raise or lower the confidence.
    confidence_would_change: Vec<String>,
    last: Option<At>,
    last_breach: Option<At>,
    #[schemars(with = "Option<String>")]
    alert_since: Option<Timestamp>,
    /// The question that is open about its level, or the one in which its present level was called trouble.
    proposal: Option<ProposalRow>,
    #[schemars(with = "Option<String>")]
    forecast: Option<Timestamp>,
    tally: TallyRow,
    budget: BudgetRow,
    pending: Vec<PendingRow>,
}

/// How far a feature is heard, and what people said of alerts in which it spoke.
#[derive(Debug, Serialize, JsonSchema)]
pub struct WeightRow {
    /// high, low, above, below, drifting, restless and stuck page; score_… make the scores.
    feature: &'static str,
    /// A factor on how strange a sample is by it, 0.25 to 1.25; 1 where nobody said anything.
    weight: f64,
    /// Verdicts about this series; one about an alert in which the feature was half as loud as the loudest counts half.
    mattered: f64,
    did_not: f64,
    /// The same of all series, which this one is shrunk to; a series that was judged often counts less each time.
    fleet_mattered: f64,
    fleet_did_not: f64,
}

/// What spoke at the onset of an alert.
#[derive(Debug, Serialize, JsonSchema)]
pub struct SpokeRow {
    #[schemars(with = "String")]
    at: Timestamp,
    /// By feature, how loud it was beside the loudest of those that page, or of those that score.
    spoke: BTreeMap<&'static str, f64>,
}

impl From<&(Timestamp, Spoke)> for SpokeRow {
    fn from((at, spoke): &(Timestamp, Spoke)) -> SpokeRow {
        SpokeRow { at: *at, spoke: spoke.iter().map(|(feature, share)| (feature.as_str(), share)).collect() }
    }
}

/// Alerts of which it is shown what spoke.
const ALERTS_SHOWN: usize = 5;

fn weights(knowledge: &Knowledge, series: &Series) -> Vec<WeightRow> {
    let row = |feature: Feature| {
        let (own, fleet) = (series.heard().of(feature), knowledge.heard().of(feature));
        WeightRow {
            feature: feature.as_str(),
            weight: f64::from(series.weights().get(feature)),
            mattered: f64::from(own.mattered),
            did_not: f64::from(own.did_not),
            fleet_mattered: f64::from(fleet.mattered),
            fleet_did_not: f64::from(fleet.did_not),
        }
    };
    let rows = Feature::ALL.into_iter().map(row);
    rows.filter(|row| row.weight != 1.0 || row.mattered + row.did_not > 0.0).collect()
}

/// How often it may alert, and how often it did.
#[derive(Debug, Serialize, JsonSchema)]
pub struct BudgetRow {
    /// As it is configured: for this series, for those a rule names, or for all together. `none`: alerts stand at a fixed level.
    asked: String,
    /// How many series share that; null: it is this one's own.
    shared_by: Option<usize>,
    /// Alerts a week that it leaves this series; null: none.
    per_week: Option<f64>,
    /// Alerts a week lately, without those that were judged true; null: seen for under an hour.
    alerts_per_week: Option<f64>,
}

impl BudgetRow {
    fn of(knowledge: &Knowledge, series: &Series, now: Timestamp) -> BudgetRow {
        let asked = series.own_budget();
        BudgetRow {
            asked: asked.unwrap_or(knowledge.config().budget).to_string(),
            shared_by: series.shares_budget().then(|| knowledge.sharing_with(series)),
            per_week: series.budget_per_week(),
            alerts_per_week: series.alerts().per_week(now),
        }
    }
}

/// Verdicts that are shown of one series.
const VERDICTS_SHOWN: usize = 20;

impl Explained {
    pub fn of(view: &View<'_>, series: &Series) -> Explained {
        let knowledge = view.engine.knowledge();
        let learned = series.learned();
        let window = series.window();
        let tally = series.tally();
        let confidence_min = knowledge.config().learning.confidence_min.get();
        let latest_verdicts = knowledge
            .signals()
            .iter()
            .rev()
            .filter(|signal| signal.verdict.is_some() && signal.series.as_ref() == Some(series.name()));
        Explained {
            series: series.name().clone(),
            kind: series.kind().as_str(),
            watched: series.watched(),
            owner: series.owner().map(str::to_owned),
            during: series.during(view.now).map(EntryRow::from),
            histogram: HistogramRow::of(knowledge, series),
            strategy: series.strategy().clone(),
            chosen_strategy: learned.map(|threshold| threshold.strategy.clone()),
            window: WindowRow {
                samples: window.len(),
                oldest: window.oldest().map(|(at, _)| at),
                newest: window.newest().map(|(at, _)| at),
                span_s: window.span().secs(),
                tier: window.tier().as_str(),
                bytes: series.bytes(),
                used: learned.map(|threshold| threshold.supporting.statistics.count),
                masked: series.masked(),
                set_aside: series.set_aside(knowledge.config().learning.min_data_points),
                level_since: series.level(),
            },
            fates: fates(series.fates()),
            threshold: threshold_row(series, view.now),
            in_force: series.in_force().map(|threshold| BoundsRow::of(series, threshold, view.now)),
            rivals: rivals(knowledge, series, view.now),
            features: voices(knowledge, series).into_iter().map(FeatureRow::from).collect(),
            verdicts: series.verdicts(),
            latest_verdicts: latest_verdicts.take(VERDICTS_SHOWN).map(SignalRow::from).collect(),
            weights: weights(knowledge, series),
            latest_alerts: series.spoken().rev().take(ALERTS_SHOWN).map(SpokeRow::from).collect(),
            sensitivity: series.sensitivity().get(),
            sensitivity_prior: series.sensitivity_prior().get(),
            trust: series.trust(view.now),
            confidence: learned.map(|threshold| threshold.confidence.get()),
            confidence_claims: learned.map(|threshold| claims(series, knowledge, threshold, view.now)),
            confidence_rests_on: learned
                .map_or_else(Vec::new, |threshold| rests_on(series, knowledge, threshold, view.now)),
            confidence_min,
            confidence_would_change: would_change(series, knowledge, confidence_min, view.now),
            last: window.newest().map(At::from),
            last_breach: series.last_breach().map(At::from),
            alert_since: series.alert_since(),
            proposal: knowledge.proposals().of(series.name()).map(|one| ProposalRow::of(knowledge, one)),
            forecast: series.forecast(),
            budget: BudgetRow::of(knowledge, series, view.now),
            tally: TallyRow {
                judged: tally.judged,
                breached: tally.breached,
                alerts: tally.alerts,
                breach_share: (tally.judged > 0).then(|| tally.breached as f64 / tally.judged as f64),
                expected_share: 2.0 * homeostat::stats::normal::cdf(-series.sensitivity().get()),
            },
            pending: series
                .pending()
                .map(|pending| PendingRow {
                    change: pending.change.id,
                    at: pending.change.at,
                    because: pending.change.because.to_string(),
                    measure: match &pending.change.expect.of {
                        Measure::BreachShare(_) => "breach_share",
                        Measure::Evidence(kind) => kind.as_str(),
                    },
                    at_least: pending.change.expect.at_least,
                    at_most: pending.change.expect.at_most,
                    due: pending.change.expect.due,
                })
                .collect(),
        }
    }
}

fn rivals(knowledge: &Knowledge, series: &Series, now: Timestamp) -> Vec<RivalRow> {
    let Some(threshold) = series.learned() else { return Vec::new() };
    let merits = series.merits();
    let row = |rival: &homeostat::threshold::Rival| {
        let (lower, upper) = rival.at(now);
        let merit = merits.iter().find(|merit| merit.strategy == rival.strategy && merit.count > 0);
        RivalRow {
            strategy: rival.strategy.clone(),
            lower,
            upper,
            loss: rival.loss,
            loss_since: merit.map(|merit| merit.loss),
            samples_since: merit.map_or(0, |merit| merit.count),
            preference: knowledge.preference(&rival.strategy),
            chosen: rival.strategy == threshold.strategy,
        }
    };
    threshold.rivals.iter().map(row).collect()
}

/// What the confidence is the probability of.
fn claims(series: &Series, knowledge: &Knowledge, threshold: &Threshold, now: Timestamp) -> String {
    if threshold.strategy == IMPORTED {
        return "What whoever imported the threshold said of it.".to_owned();
    }
    match claim(knowledge, series, now) {
        Some(claim) => format!(
            "That in the 7 days after it was learned at most {} alerts begin for nothing, with {:.3} a week asked; \
             `homeostat calibrate` measures how often such claims come true.",
            most_pages(claim.asked),
            claim.asked
        ),
        None => "That its bounds go on holding about the share of samples that they should.".to_owned(),
    }
}

/// From this shape of the tail on a person would call it heavy: a fourth moment is none there.
const HEAVY: f64 = 0.25;

/// What is known that the confidence was made of.
fn rests_on(series: &Series, knowledge: &Knowledge, threshold: &Threshold, now: Timestamp) -> Vec<String> {
    if threshold.strategy == IMPORTED {
        return Vec::new();
    }
    let mut sentences = Vec::new();
    if let Some(claim) = claim(knowledge, series, now) {
        let Claim { asked, outlook, .. } = claim;
        sentences.push(format!("{:.0} samples in {:.1} days were seen.", outlook.samples, claim.weeks() * 7.0));
        sentences.push(match series.alerts().per_week(now) {
            Some(lately) => format!("{lately:.2} alerts a week lately that nobody called true; {asked:.2} are asked."),
            None => format!("It was judged for under an hour; {asked:.2} alerts a week are asked."),
        });
        sentences.push(match outlook.recent_pages {
            ..0.05 => "No alert in the last day or so.".to_owned(),
            recent => format!("{recent:.1} alerts in the last day, fading."),
        });
        if outlook.correction.abs() > 0.05 {
            let times = 10f64.powf(outlook.correction.abs());
            sentences.push(match outlook.correction > 0.0 {
                true => format!("Alerts and verdicts raised its alert level: what alerts is {times:.1} times as rare."),
                false => {
                    format!("Verdicts and quiet lowered its alert level: what alerts is {times:.1} times as common.")
                }
            });
        }
        if outlook.heaviness > HEAVY {
            sentences
                .push("Its tail is heavy: what lies far out comes more often than a bell would have it.".to_owned());
        }
        if outlook.is_usual {
            sentences.push("What it alerted for again and again was found to be what it does.".to_owned());
        }
    } else {
        let independent = threshold.supporting.effective_count;
        sentences.push(format!("{independent:.0} independent samples were learned from."));
    }
    if let Some((least, most)) = widths(threshold) {
        sentences.push(format!("The narrowest strategy is {:.0} % as wide as the widest.", 100.0 * least / most));
    }
    sentences
}

/// What a tier means for a series that is in it.
fn remembers(tier: Tier) -> &'static str {
    match tier {
        Tier::Exact => "Every sample of its window is remembered.",
        Tier::Hourly => "Memory is short: of each hour it is remembered how its samples were distributed.",
        Tier::Faded => "Memory is short: it is remembered how its samples were distributed, older ones for less.",
        Tier::Bounds => {
            "Memory is short: it is remembered how its samples were distributed, and bounds alone say what is an alert."
        }
    }
}

/// What would move the confidence: time or number of samples, pages, steadiness, trend, agreement of the strategies, trust.
fn would_change(series: &Series, knowledge: &Knowledge, confidence_min: f64, now: Timestamp) -> Vec<String> {
    let learning = &knowledge.config().learning;
    let held = series.window().len();
    let mut sentences = Vec::new();
    let mut say = |text: String| sentences.push(text);
    let Some(threshold) = series.learned() else {
        if !series.watched()
            && let Some(histogram) = knowledge.histogram(series)
        {
            say(match histogram.is_too_large() {
                true => format!(
                    "It is a bucket of a histogram of {} limits; over {BUCKETS_MAX} nothing is made of one.",
                    histogram.limits().len()
                ),
                false => {
                    "It is a bucket: the rate and the quantiles of its histogram are watched, not it alone; a rule \
                          with `kind: counter` changes that."
                        .to_owned()
                }
            });
        } else if !series.watched() {
            say(format!(
                "It is not watched, as series of kind {} are not; a rule with `watch: true` changes that.",
                series.kind().as_str()
            ));
        } else if held < learning.min_data_points {
            say(format!("It is learned once it has {} samples; it has {held}.", learning.min_data_points));
        } else if series.learned_at().is_some() {
            let strategy = series.strategy();
            say(format!("`{strategy}` finds nothing in its {held} samples that bounds could be made of."));
        } else {
            let aside = series.set_aside(learning.min_data_points);
            say(match held - aside < learning.min_data_points {
                true => format!(
                    "It is learned once it has {} samples of ordinary times; {aside} of its {held} fall into holidays, deploys \
                     or maintenance of its calendars.",
                    learning.min_data_points
                ),
                false => "It has enough samples and is learned in one of the next cycles.".to_owned(),
            });
        }
        return sentences;
    };
    let confidence = threshold.confidence.get();
    if confidence < confidence_min {
        say(format!("At {confidence:.2} it is under learning.confidence_min ({confidence_min}) and is not used."));
    }
    if let Some(claim) = claim(knowledge, series, now) {
        if claim.weeks() < 2.0 {
            let days = claim.weeks() * 7.0;
            say(format!("It was seen for {days:.1} days; what is seen for weeks is known better."));
        }
        if claim.outlook.correction > 0.05 {
            say("It alerted more than was asked so far; each week that keeps to the budget raises it.".to_owned());
        }
        if claim.outlook.recent_pages > 0.5 {
            say("It alerted in the last day or so; each day without an alert raises it.".to_owned());
        }
    } else if series.tier() != Tier::Exact {
        say(format!("{} Raise limits.memory_max to have it remember more.", remembers(series.tier())));
    } else if held < learning.window_len {
        let room = learning.window_len - held;
        say(format!("More independent samples raise it: the window has room for {room} more."));
    }
    match threshold.supporting.trend {
        Trend::Increasing => say("The series rises; once it is level again, the confidence grows.".to_owned()),
        Trend::Decreasing => say("The series falls; once it is level again, the confidence grows.".to_owned()),
        Trend::Stable | Trend::Unknown => {}
    }
    let recent = held.div_ceil(4);
    let breached = series.breaches_in_last(recent);
    if recent > 0 && breached * 8 > recent {
        say(format!(
            "{breached} of the last {recent} samples are outside the bounds; when that ends or is learned from, it grows."
        ));
    }
    if let Some((least, most)) = widths(threshold)
        && least < 0.5 * most
    {
        say("The strategies disagree by more than half on the width; the less they do, the higher it is.".to_owned());
    }
    if series.trust(now) < 0.995 {
        say(format!(
            "Earlier thresholds of it failed their expectation, so that it is multiplied by {:.2}; each that holds brings that back, and so does time.",
            series.trust(now)
        ));
    }
    if let Some(at) = next_learning(series, learning.optimization_interval) {
        say(format!(
            "It is worked out anew when the series is learned again: from {at} on, sooner along with others, or at once after a verdict or a shift."
        ));
    }
    sentences
}

fn widths(threshold: &Threshold) -> Option<(f64, f64)> {
    // Bounds that follow the clock are narrower than those that stand, which is no disagreement.
    let standing = threshold.rivals.iter().filter(|rival| rival.periodic.is_none());
    let widths = standing.filter_map(|rival| Some(rival.upper? - rival.lower?));
    widths.fold(None, |ends, width| {
        let (least, most) = ends.unwrap_or((width, width));
        Some((f64::min(least, width), f64::max(most, width)))
    })
}

fn next_learning(series: &Series, interval: Span) -> Option<Timestamp> {
    series.learned_at().map(|at| at + interval)
}
