//! What a confidence claims, and how likely it is to come true.
//!
//! Of a series whose detector alerts by itself the claim is one that can be checked: in the next week its false pages stay
//! at or under what a budget kept exactly stays under in nine weeks of ten ([`most_pages`]). How likely that is is a
//! logistic function of what is known beforehand. Its coefficients were fitted to simulated worlds by
//! `homeostat calibrate --fit`, and are checked on others by `homeostat calibrate`.
//!
//! Elsewhere (bounds alone, no budget) nothing counts pages, and the confidence is that the bounds go on holding.

use super::strategy::Outlook;
use crate::stats::poisson;
use crate::time::Span;

/// What would be claimed of a series' pages, and by what.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Claim {
    /// The pages a week that are asked of it; above 0.
    pub asked: f64,
    pub outlook: Outlook,
    /// For how long the series was seen as it is now.
    pub seen: Span,
    /// Its alerts of the last weeks, but for those that a person judged true.
    pub alerts_per_week: f64,
}

/// The chance with which a budget kept exactly keeps the claim, at the least.
pub const KEPT: f64 = 0.9;

/// The false pages in a week up to which the claim holds, when `asked` a week are: the quantile of a Poisson distribution.
/// 2 of one a week, 0 of one in ten weeks.
pub fn most_pages(asked: f64) -> f64 {
    poisson::quantile(KEPT, asked)
}

/// What speaks for bounds going on to hold about what they should; each from 0 to 1.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Holding {
    /// The chance that the share of breaches, estimated from as many effective samples, is within a factor of two.
    pub estimated: f64,
    /// How near the share of breaches in the last quarter of the window is to the wanted one: drift.
    pub steady: f64,
    /// How far the trend, gone on for the lookahead, stays inside half a width.
    pub level: f64,
    /// How near the rivals are to one another.
    pub agreement: f64,
}

impl Holding {
    pub fn likely(&self) -> f64 {
        self.estimated * self.steady * self.level * self.agreement
    }
}

/// How many grounds there are, with the constant.
pub const GROUNDS: usize = 14;

/// What each ground is, in the order of the coefficients.
pub const NAMES: [&str; GROUNDS] = [
    "always",
    "how likely a budget kept exactly keeps it",
    "rarity of the budget",
    "pages over the budget so far, as its level was raised",
    "pages of the last day",
    "pages of the last weeks, against the asked ones",
    "weeks seen",
    "samples seen",
    "wandering",
    "disagreement of strategies",
    "trend",
    "heaviness of the tail",
    "what it paged for is usual",
    "the same, as its level was raised",
];

/// Of the log-odds. Fitted by `homeostat calibrate --fit --worlds 2000` to simulated worlds, at several budgets.
const COEFFICIENTS: [f64; GROUNDS] =
    [0.638, 0.349, 0.190, -0.405, -0.537, -0.528, 0.513, 0.099, 0.324, 3.857, 0.544, -0.561, 2.266, 0.737];

/// What a claim rests on, as numbers that a coefficient can weigh.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Grounds {
    pub values: [f64; GROUNDS],
}

const WEEK_S: f64 = 604_800.0;

/// The week that is claimed is longer than what was seen until then: a tenth of it says little more than a hundredth.
const DAY_IN_WEEKS: f64 = 1.0 / 7.0;

/// Longer than this, and more samples, no world was seen that the coefficients were fitted to.
const WEEKS_MAX: f64 = 6.0;
const SAMPLES_MAX: f64 = 60_000.0;
const WANDER: (f64, f64) = (-1.0, 2.0);

/// Part of a page that a day without one counts as.
const QUIET_DAY: f64 = 0.3;

/// A budget rarer than this, in pages a week, is as this one: none was fitted to.
const ASKED_MIN: f64 = 0.01;

impl Claim {
    /// For how many weeks the series was seen.
    pub fn weeks(&self) -> f64 {
        self.seen.secs() / WEEK_S
    }
}

impl Grounds {
    pub fn of(claim: &Claim, holding: &Holding) -> Grounds {
        let Claim { asked, outlook, alerts_per_week, .. } = claim;
        let weeks = claim.weeks().min(WEEKS_MAX);
        let exact = asked.max(ASKED_MIN);
        let exact = poisson::cdf(most_pages(exact), exact);
        let usual = f64::from(u8::from(outlook.is_usual));
        let values = [
            1.0,
            log_odds(exact),
            asked.clamp(ASKED_MIN, 1.0).ln(),
            outlook.correction.max(0.0),
            ((outlook.recent_pages + QUIET_DAY) / (asked / 7.0 + QUIET_DAY)).ln(),
            ((alerts_per_week * weeks + 1.0) / (asked * weeks + 1.0)).ln(),
            (weeks + DAY_IN_WEEKS).ln(),
            outlook.samples.clamp(1.0, SAMPLES_MAX).ln(),
            outlook.wander.ln().clamp(WANDER.0, WANDER.1),
            holding.agreement - 1.0,
            holding.level - 1.0,
            outlook.heaviness,
            usual,
            usual * outlook.correction.max(0.0),
        ];
        Grounds { values }
    }

    /// How likely the claim comes true.
    pub fn chance(&self) -> f64 {
        self.chance_by(&COEFFICIENTS)
    }

    /// The same by other coefficients.
    pub fn chance_by(&self, coefficients: &[f64; GROUNDS]) -> f64 {
        let weighed: f64 = self.values.iter().zip(coefficients).map(|(value, weight)| value * weight).sum();
        1.0 / (1.0 + (-weighed).exp())
    }
}

fn log_odds(chance: f64) -> f64 {
    (chance / (1.0 - chance)).ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOLDING: Holding = Holding { estimated: 1.0, steady: 1.0, level: 1.0, agreement: 1.0 };

    fn claim() -> Claim {
        let outlook = Outlook {
            samples: 5_000.0,
            correction: 0.0,
            recent_pages: 0.0,
            wander: 1.0,
            heaviness: 0.0,
            is_usual: false,
        };
        Claim { asked: 1.0, outlook, seen: Span::minutes(25_000), alerts_per_week: 0.8 }
    }

    fn chance(change: impl FnOnce(&mut Claim, &mut Holding)) -> f64 {
        let (mut claim, mut holding) = (claim(), HOLDING);
        change(&mut claim, &mut holding);
        Grounds::of(&claim, &holding).chance()
    }

    #[test]
    fn a_claim_is_less_likely_with_every_bad_sign() {
        let usual = chance(|_, _| {});
        assert!((0.8..0.99).contains(&usual), "{usual}");
        type Worse = fn(&mut Claim, &mut Holding);
        let worse: [(&str, Worse); 8] = [
            ("a heavy tail", |claim, _| claim.outlook.heaviness = 0.4),
            ("a level raised by pages", |claim, _| claim.outlook.correction = 1.0),
            ("few samples", |claim, _| claim.outlook.samples = 100.0),
            ("pages lately", |claim, _| claim.outlook.recent_pages = 2.0),
            ("pages all along", |claim, _| claim.alerts_per_week = 8.0),
            ("disagreement", |_, holding| holding.agreement = 0.8),
            ("a trend", |_, holding| holding.level = 0.4),
            ("young", |claim, _| claim.seen = Span::hours(4)),
        ];
        for (sign, change) in worse {
            let chance = chance(change);
            assert!(chance < usual - 0.01, "{sign}: {chance} of {usual}");
        }
    }

    #[test]
    fn what_was_never_seen_has_a_chance_all_the_same() {
        for asked in [1e-5, 0.1, 1.0, 10_080.0] {
            for samples in [0.0, 1.0, 1e9] {
                for size in [0.0, 1e-30, 1.0, 1e30] {
                    let outlook = Outlook {
                        samples,
                        correction: 1.5,
                        recent_pages: f64::min(size, 1e6),
                        wander: size,
                        heaviness: 0.5,
                        is_usual: true,
                    };
                    let seen = Span::from_secs(samples as u64);
                    let chance = Grounds::of(&Claim { asked, outlook, seen, alerts_per_week: 1e6 }, &HOLDING).chance();
                    assert!((0.0..=1.0).contains(&chance), "{asked} {outlook:?}: {chance}");
                }
            }
        }
    }
}
