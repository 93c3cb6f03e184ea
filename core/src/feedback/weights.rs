//! Weights of a detector's features: what people found worth hearing of each, in a series and in all of them.
//!
//! An alert says which features spoke in it, and a verdict is about those. A weight stands for the share of what a feature
//! said that mattered: in a series, shrunk to that of all series; in all series, shrunk to a half. At a half it is 1, so
//! where nobody says anything nothing moves.

use super::Verdict;
use crate::monitor::Why;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::BTreeMap;

/// What a detector hears in a series. The first seven page, one for each [`Why`]; the others say how strange it is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Feature {
    High,
    Low,
    Above,
    Below,
    Drifting,
    Restless,
    Stuck,
    /// The distance from the mean of the last samples.
    ScoreSpike,
    /// Of the mean of some fifty samples from that of a thousand.
    ScoreLevel,
    /// Steps larger than usual.
    ScoreRestless,
    /// The distance from what is usual at that time of day and week.
    ScoreSeason,
    /// Sequences of states that were never seen.
    ScoreState,
    /// Steps smaller than usual.
    ScoreQuiet,
    /// The distance from the median of all.
    ScoreFar,
    /// Of the mean of a few samples from that of some twenty.
    ScoreShort,
}

/// How many features page, how many score, and how many there are.
pub const PAGING: usize = 7;
pub const SCORING: usize = 8;
pub const FEATURES: usize = PAGING + SCORING;

impl Feature {
    pub const ALL: [Feature; FEATURES] = [
        Feature::High,
        Feature::Low,
        Feature::Above,
        Feature::Below,
        Feature::Drifting,
        Feature::Restless,
        Feature::Stuck,
        Feature::ScoreSpike,
        Feature::ScoreLevel,
        Feature::ScoreRestless,
        Feature::ScoreSeason,
        Feature::ScoreState,
        Feature::ScoreQuiet,
        Feature::ScoreFar,
        Feature::ScoreShort,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Feature::High => "high",
            Feature::Low => "low",
            Feature::Above => "above",
            Feature::Below => "below",
            Feature::Drifting => "drifting",
            Feature::Restless => "restless",
            Feature::Stuck => "stuck",
            Feature::ScoreSpike => "score_spike",
            Feature::ScoreLevel => "score_level",
            Feature::ScoreRestless => "score_restless",
            Feature::ScoreSeason => "score_season",
            Feature::ScoreState => "score_state",
            Feature::ScoreQuiet => "score_quiet",
            Feature::ScoreFar => "score_far",
            Feature::ScoreShort => "score_short",
        }
    }

    /// Whether it pages; else it scores.
    pub const fn pages(self) -> bool {
        (self as usize) < PAGING
    }
}

impl From<Why> for Feature {
    fn from(why: Why) -> Feature {
        match why {
            Why::High => Feature::High,
            Why::Low => Feature::Low,
            Why::Above => Feature::Above,
            Why::Below => Feature::Below,
            Why::Drifting => Feature::Drifting,
            Why::Restless => Feature::Restless,
            Why::Stuck => Feature::Stuck,
        }
    }
}

/// Which features spoke at the onset of an alert: how loud each was beside the loudest of those that page, or of those that
/// score, in hundredths.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Spoke([u8; FEATURES]);

impl Spoke {
    /// Each by how loud it was; what is not above 0 did not speak.
    pub fn of(paging: &[f32; PAGING], scoring: &[f32; SCORING]) -> Spoke {
        let mut spoke = Spoke::default();
        let (pages, scores) = spoke.0.split_at_mut(PAGING);
        beside_loudest(pages, paging);
        beside_loudest(scores, scoring);
        spoke
    }

    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|part| *part == 0)
    }

    /// Those that spoke, and how loud each was beside the loudest, up to 1.
    pub fn iter(&self) -> impl Iterator<Item = (Feature, f64)> + Clone + '_ {
        let all = Feature::ALL.into_iter().zip(self.0);
        all.filter(|(_, part)| *part > 0).map(|(feature, part)| (feature, f64::from(part) / 100.0))
    }

    /// What spoke in several alerts: the mean.
    pub fn mean(of: &[Spoke]) -> Spoke {
        let mut mean = Spoke::default();
        for (at, part) in mean.0.iter_mut().enumerate() {
            let sum: usize = of.iter().map(|spoke| usize::from(spoke.0[at])).sum();
            *part = (sum / of.len().max(1)) as u8;
        }
        mean
    }
}

fn beside_loudest(parts: &mut [u8], loud: &[f32]) {
    let loudest = loud.iter().fold(0.0_f32, |most, loud| most.max(*loud));
    if loudest > 0.0 && loudest.is_finite() {
        parts.iter_mut().zip(loud).for_each(|(part, loud)| *part = (100.0 * loud.max(0.0) / loudest).round() as u8);
    }
}

impl Serialize for Spoke {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

impl<'de> Deserialize<'de> for Spoke {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Spoke, D::Error> {
        let parts = BTreeMap::<Feature, f64>::deserialize(deserializer)?;
        let mut spoke = Spoke::default();
        for (feature, share) in parts {
            spoke.0[feature as usize] = (100.0 * share).round().clamp(0.0, 100.0) as u8;
        }
        Ok(spoke)
    }
}

/// What was said of alerts in which a feature spoke: how often it mattered and did not. One in which it was half as loud
/// as the loudest counts half.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Said {
    pub mattered: f32,
    pub did_not: f32,
}

impl Said {
    fn count(self) -> f32 {
        self.mattered + self.did_not
    }
}

/// What was said of each feature.
#[expect(clippy::box_collection, reason = "of most series nothing was said, and there may be a million")]
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(from = "BTreeMap<Feature, Said>", into = "BTreeMap<Feature, Said>")]
pub struct Heard(Option<Box<BTreeMap<Feature, Said>>>);

impl From<BTreeMap<Feature, Said>> for Heard {
    fn from(said: BTreeMap<Feature, Said>) -> Heard {
        Heard(if said.is_empty() { None } else { Some(Box::new(said)) })
    }
}

impl From<Heard> for BTreeMap<Feature, Said> {
    fn from(heard: Heard) -> BTreeMap<Feature, Said> {
        heard.0.map_or_else(BTreeMap::new, |said| *said)
    }
}

/// So much is held of what was said of each feature of a series, and of all; beyond that the old fades.
pub(crate) const HELD: f32 = 30.0;
pub(crate) const HELD_OF_ALL: f32 = 300.0;

/// For so many verdicts count the fleet's, and in the fleet that half of what is said matters.
const OF_FLEET: f32 = 3.0;
const OF_NOBODY: f32 = 40.0;

impl Heard {
    /// A verdict about an alert of this series in which these spoke, and how much it counts; below 0 takes one back. Returns what
    /// it is worth to the fleet: the more a series was judged already, the less, or one that is judged daily would speak for all.
    pub fn add(&mut self, spoke: &Spoke, verdict: Verdict, weight: f32) -> Vec<(Feature, f32)> {
        let loud = spoke.iter().map(|(feature, loud)| (feature, weight * loud as f32));
        let worth = loud.clone().map(|(feature, loud)| (feature, loud / (1.0 + self.of(feature).count()))).collect();
        loud.for_each(|(feature, loud)| self.say(feature, loud, verdict, HELD));
        worth
    }

    /// What a verdict about one of its series is worth to the fleet.
    pub(crate) fn add_of_one(&mut self, worth: &[(Feature, f32)], verdict: Verdict) {
        worth.iter().for_each(|(feature, worth)| self.say(*feature, *worth, verdict, HELD_OF_ALL));
    }

    fn say(&mut self, feature: Feature, worth: f32, verdict: Verdict, held: f32) {
        let said = self.0.get_or_insert_default().entry(feature).or_default();
        match verdict {
            Verdict::True | Verdict::Missed => said.mattered = (said.mattered + worth).max(0.0),
            Verdict::False => said.did_not = (said.did_not + worth).max(0.0),
        }
        if said.count() > held {
            *said = Said { mattered: said.mattered / 2.0, did_not: said.did_not / 2.0 };
        }
    }

    pub fn of(&self, feature: Feature) -> Said {
        self.0.as_ref().and_then(|said| said.get(&feature)).copied().unwrap_or_default()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// The share that mattered, where so many verdicts before said it was `prior`.
    fn share(&self, feature: Feature, prior: f32, worth: f32) -> f32 {
        let said = self.of(feature);
        (said.mattered + worth * prior) / (said.count() + worth)
    }
}

/// How far each feature of a series is heard: a factor on how rare it says a sample is, 1 where nobody said anything. In
/// steps of 1 / 128, from a quarter to one and a quarter: none falls silent, and none is believed alone.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Weights([i8; FEATURES]);

/// A whole weight in steps.
const WHOLE: f32 = 128.0;
/// How far a weight moves up and down, in steps: a page too many costs more than one that came a little late.
const UP: f32 = 32.0;
const DOWN: f32 = 96.0;

impl Weights {
    /// Those of a series, by what was said of it and of all.
    pub fn of(series: &Heard, fleet: &Heard) -> Weights {
        let mut weights = Weights::default();
        for feature in [series, fleet].into_iter().filter_map(|heard| heard.0.as_ref()).flat_map(|said| said.keys()) {
            let prior = fleet.share(*feature, 0.5, OF_NOBODY);
            let lean = 2.0 * series.share(*feature, prior, OF_FLEET) - 1.0;
            weights.0[*feature as usize] = (lean * if lean > 0.0 { UP } else { DOWN }).round() as i8;
        }
        weights
    }

    /// Nobody said anything that moved one.
    #[inline]
    pub fn is_default(&self) -> bool {
        *self == Weights::default()
    }

    pub fn get(&self, feature: Feature) -> f32 {
        self.by_number(feature as usize)
    }

    #[inline]
    pub(crate) fn by_number(&self, feature: usize) -> f32 {
        1.0 + f32::from(self.0[feature]) / WHOLE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_said_is_stored_as_it_always_was_and_takes_no_room() {
        let nothing = serde_json::to_string(&Heard::default()).expect("plain data");
        assert_eq!(nothing, "{}");
        let back: Heard = serde_json::from_str(&nothing).expect("what was written");
        assert!(back.is_empty() && back == Heard::default());
    }

    fn restless() -> Spoke {
        let (mut pages, mut scores) = ([0.0; PAGING], [0.0; SCORING]);
        (pages[5], pages[0], scores[2]) = (1.5, 0.5, 0.2);
        Spoke::of(&pages, &scores)
    }

    #[test]
    fn what_spoke_is_told_in_shares_and_read_back_as_it_was() {
        let told = serde_json::to_string(&restless()).expect("plain data");
        assert_eq!(told, r#"{"high":0.33,"restless":1.0,"score_restless":1.0}"#);
        assert_eq!(serde_json::from_str::<Spoke>(&told).expect(&told), restless());
        for part in 0..=100 {
            let spoke = Spoke([part; FEATURES]);
            let bytes = rmp_serde::to_vec_named(&spoke).expect("plain data");
            assert_eq!(rmp_serde::from_slice::<Spoke>(&bytes).expect("a map"), spoke);
        }
        assert!(Spoke::of(&[0.0; PAGING], &[f32::NAN; SCORING]).is_empty());
    }

    #[test]
    fn verdicts_move_what_spoke_by_how_much_it_spoke_and_nothing_else() {
        let of = |said: &[Verdict]| {
            let mut heard = Heard::default();
            said.iter().for_each(|verdict| drop(heard.add(&restless(), *verdict, 1.0)));
            Weights::of(&heard, &Heard::default())
        };
        assert!(of(&[]).is_default());
        let (once, more) = (of(&[Verdict::False]), of(&[Verdict::False; 4]));
        assert!(more.get(Feature::Restless) < once.get(Feature::Restless), "{once:?} {more:?}");
        assert!(once.get(Feature::Restless) < once.get(Feature::High) && once.get(Feature::High) < 1.0, "{once:?}");
        assert_eq!((once.get(Feature::Stuck), once.get(Feature::ScoreSpike)), (1.0, 1.0));
        assert!(of(&[Verdict::True]).get(Feature::Restless) > 1.0 && of(&[Verdict::Missed]) == of(&[Verdict::True]));
        assert!(of(&[Verdict::True, Verdict::False]).is_default(), "one each");
        let (least, most) = (of(&[Verdict::False; 1000]), of(&[Verdict::True; 1000]));
        assert!(least.get(Feature::Restless) >= 0.25 && least.get(Feature::Restless) < 0.35, "{least:?}");
        assert!(most.get(Feature::Restless) <= 1.25 && most.get(Feature::Restless) > 1.2, "{most:?}");
    }

    #[test]
    fn a_series_starts_at_the_fleets_and_goes_its_own_way() {
        let (mut fleet, mut own) = (Heard::default(), Heard::default());
        // Of twenty series, one verdict each.
        for _ in 0..20 {
            let worth = Heard::default().add(&restless(), Verdict::False, 1.0);
            fleet.add_of_one(&worth, Verdict::False);
        }
        let at_first = Weights::of(&own, &fleet).get(Feature::Restless);
        assert!((at_first - 0.75).abs() < 0.01, "20 of 60 mattered: {at_first}");
        let _ = own.add(&restless(), Verdict::False, 1.0);
        assert!(Weights::of(&own, &fleet).get(Feature::Restless) < at_first);
        (0..12).for_each(|_| drop(own.add(&restless(), Verdict::True, 1.0)));
        assert!(Weights::of(&own, &fleet).get(Feature::Restless) > 1.0, "its own outweigh the fleet's");
    }

    #[test]
    fn one_series_does_not_speak_for_all() {
        let (mut fleet, mut loud) = (Heard::default(), Heard::default());
        for _ in 0..20 {
            let worth = loud.add(&restless(), Verdict::False, 1.0);
            fleet.add_of_one(&worth, Verdict::False);
        }
        let (own, other) = (Weights::of(&loud, &fleet), Weights::of(&Heard::default(), &fleet));
        assert!(own.get(Feature::Restless) < 0.4 && other.get(Feature::Restless) > 0.9, "{own:?} {other:?}");
    }
}
