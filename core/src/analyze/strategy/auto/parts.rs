//! Parts of the detector that can be left out, to see what each is worth.

/// One of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Part {
    /// The scorer's features.
    ScoreSpike,
    ScoreLevel,
    ScoreRestless,
    ScoreSeason,
    ScoreState,
    ScoreQuiet,
    ScoreFar,
    ScoreShort,
    /// The decider pages for what is far from its forecast, from what is usual, for a drift, for unrest, for being stuck.
    Near,
    Usual,
    Drifting,
    Restless,
    Stuck,
    /// Its forecast by the time of day.
    Season,
    /// No size is under half of the smallest step.
    Resolution,
    /// Rarities beyond what was seen, by a fitted tail; without it shares of what was seen.
    Tail,
    /// What a gap sets apart is no part of the tail.
    Gap,
    /// What belongs to an alert is not learned.
    Quarantine,
    /// What goes on paging is learned as what the series does.
    Accepting,
    /// A new series takes over what one like it knows.
    Siblings,
}

const PARTS: usize = 20;

impl Part {
    pub const ALL: [Part; PARTS] = [
        Part::ScoreSpike,
        Part::ScoreLevel,
        Part::ScoreRestless,
        Part::ScoreSeason,
        Part::ScoreState,
        Part::ScoreQuiet,
        Part::ScoreFar,
        Part::ScoreShort,
        Part::Near,
        Part::Usual,
        Part::Drifting,
        Part::Restless,
        Part::Stuck,
        Part::Season,
        Part::Resolution,
        Part::Tail,
        Part::Gap,
        Part::Quarantine,
        Part::Accepting,
        Part::Siblings,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Part::ScoreSpike => "score-spike",
            Part::ScoreLevel => "score-level",
            Part::ScoreRestless => "score-restless",
            Part::ScoreSeason => "score-season",
            Part::ScoreState => "score-state",
            Part::ScoreQuiet => "score-quiet",
            Part::ScoreFar => "score-far",
            Part::ScoreShort => "score-short",
            Part::Near => "near",
            Part::Usual => "usual",
            Part::Drifting => "drifting",
            Part::Restless => "restless",
            Part::Stuck => "stuck",
            Part::Season => "season",
            Part::Resolution => "resolution",
            Part::Tail => "tail",
            Part::Gap => "gap",
            Part::Quarantine => "quarantine",
            Part::Accepting => "accepting",
            Part::Siblings => "siblings",
        }
    }

    /// The features of [`Feature::ALL`](crate::feedback::weights::Feature::ALL) that it is, by their numbers.
    const fn features(self) -> std::ops::Range<usize> {
        match self {
            Part::Near => 0..2,
            Part::Usual => 2..4,
            Part::Drifting => 4..5,
            Part::Restless => 5..6,
            Part::Stuck => 6..7,
            Part::ScoreSpike => 7..8,
            Part::ScoreLevel => 8..9,
            Part::ScoreRestless => 9..10,
            Part::ScoreSeason => 10..11,
            Part::ScoreState => 11..12,
            Part::ScoreQuiet => 12..13,
            Part::ScoreFar => 13..14,
            Part::ScoreShort => 14..15,
            _ => 0..0,
        }
    }
}

impl std::str::FromStr for Part {
    type Err = String;

    fn from_str(text: &str) -> Result<Part, String> {
        let known = || Part::ALL.map(Part::as_str).join(", ");
        let found = Part::ALL.into_iter().find(|part| part.as_str() == text);
        found.ok_or_else(|| format!("there is no part `{text}`; there are {}", known()))
    }
}

/// Those that are left out: mostly none.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Without(u32);

impl Without {
    pub const NOTHING: Without = Without(0);

    #[inline]
    pub(super) const fn has(self, part: Part) -> bool {
        self.0 & (1 << part as u32) != 0
    }

    /// Whether a feature is left out, by its number.
    pub(super) fn silences(self, feature: usize) -> bool {
        Part::ALL.into_iter().any(|part| self.has(part) && part.features().contains(&feature))
    }
}

impl FromIterator<Part> for Without {
    fn from_iter<T: IntoIterator<Item = Part>>(parts: T) -> Without {
        Without(parts.into_iter().fold(0, |all, part| all | 1 << part as u32))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feedback::weights::{FEATURES, Feature};

    #[test]
    fn every_feature_is_a_part_of_its_own_or_of_a_pair() {
        for feature in 0..FEATURES {
            let parts: Vec<Part> = Part::ALL.into_iter().filter(|part| part.features().contains(&feature)).collect();
            assert_eq!(parts.len(), 1, "{:?}: {parts:?}", Feature::ALL[feature]);
            let (part, of) = (parts[0].as_str().replace('-', "_"), Feature::ALL[feature].as_str());
            assert!(part == of || ["near", "usual"].contains(&part.as_str()), "{part} {of}");
            assert!(Without::from_iter(parts).silences(feature) && !Without::NOTHING.silences(feature));
        }
        for (number, part) in Part::ALL.into_iter().enumerate() {
            assert_eq!((part as usize, part.as_str().parse()), (number, Ok(part)));
        }
    }
}
