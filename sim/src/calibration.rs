//! Does a confidence of 0.9 come true nine times in ten? Claims of the engine, and what became of them.
//!
//! What is claimed of a series is that in the next week its false pages stay at or under a number (see
//! [`homeostat::analyze::claim`]). A [`Watched`] series is handed to an engine of its own, sample by sample; at the start of
//! every week it notes what the engine says, and a week later what happened. [`pairs_of`] does so in a world from a seed.

pub mod clean;
mod fit;
mod summary;
mod worlds;

pub use fit::fit;
pub use summary::{Bin, Summary};
pub use worlds::{World, world};

use homeostat::analyze::claim::{Grounds, most_pages};
use homeostat::analyze::grounds;
use homeostat::budget::{Budget, Per};
use homeostat::config::{Config, SeriesRule};
use homeostat::engine::Engine;
use homeostat::knowledge::SeriesId;
use homeostat::monitor::Sample;
use homeostat::series::{Selector, SeriesName};
use homeostat::time::{Span, Timestamp};

pub const WEEK: Span = Span::hours(7 * 24);
const FOR_EVER: Span = Span::hours(10_000 * 366 * 24);
const DAY: Span = Span::hours(24);

/// So near to an incident a page is no false one; one sample always is.
const GRACE: Span = Span::minutes(10);

/// The least time between cycles that nothing hurries: there is nothing to steer but learning.
const CYCLES: Span = Span::minutes(15);

/// What was said at the start of a week, and what became of it.
#[derive(Clone, PartialEq, Debug)]
pub struct Pair {
    /// How long the series had been seen.
    pub age: Span,
    /// The confidence.
    pub said: f64,
    pub false_pages: u32,
    /// The claim held.
    pub kept: bool,
    /// What the confidence would rest on if it were learned in that moment.
    pub grounds: Option<Grounds>,
}

/// The default configuration, for claims about series at this budget: each is watched, whatever it is, as long as it goes on.
/// Without a loop to steer, cycles only learn, and what is due hurries them anyway.
pub fn config(budget: Budget) -> Config {
    let mut config = Config::default();
    config.limits.series_ttl = FOR_EVER;
    config.states = config.states.unhurried(CYCLES);
    let all = Selector::parse(r#"{__name__=~".*"}"#).expect("the selector of all");
    config.series = vec![SeriesRule { watch: Some(true), budget: Some(budget), ..SeriesRule::of(all) }];
    config
}

/// What was said, until its week is over.
#[derive(Clone, Copy, Debug)]
struct Said {
    at: Timestamp,
    confidence: f64,
    most: f64,
    grounds: Option<Grounds>,
}

/// One series under an engine of its own.
pub struct Watched {
    engine: Engine,
    series: SeriesId,
    began: Timestamp,
    last: Timestamp,
    look_at: Timestamp,
    said: Vec<Said>,
    onsets: Vec<Timestamp>,
    /// From the sample before the first that is labelled to the one after the last.
    incidents: Vec<(Timestamp, Timestamp)>,
    in_incident: bool,
    alert: bool,
}

impl Watched {
    /// Looks `young` after the first sample, or as soon as there is something to look at, and every week from then on.
    pub fn new(config: &Config, name: &SeriesName, began: Timestamp, young: Span) -> Watched {
        let mut engine = Engine::new(config.clone(), began);
        let series = engine.intern(name, None, began).expect("an empty engine has room for a series");
        Watched {
            engine,
            series,
            began,
            last: began,
            look_at: began + young,
            said: Vec::new(),
            onsets: Vec::new(),
            incidents: Vec::new(),
            in_incident: false,
            alert: false,
        }
    }

    /// One sample, in the order of time; whether it belongs to an incident.
    pub fn sample(&mut self, at: Timestamp, value: f64, incident: bool) {
        if at >= self.engine.next_cycle() {
            let cycle = self.engine.cycle(at);
            drop(cycle);
        }
        if at >= self.look_at {
            self.look(at);
        }
        let mut alert = false;
        let observed =
            self.engine.observe_each(&[Sample { series: self.series, at, value }], at, |_, _, said| alert = said.alert);
        drop(observed);
        if alert && !self.alert {
            self.onsets.push(at);
        }
        self.alert = alert;
        match (incident, self.incidents.last_mut()) {
            (true, Some(last)) if self.in_incident => last.1 = at,
            (true, _) => self.incidents.push((self.last, at)),
            (false, Some(last)) if self.in_incident => last.1 = at,
            (false, _) => {}
        }
        self.in_incident = incident;
        self.last = at;
    }

    fn look(&mut self, at: Timestamp) {
        let knowledge = self.engine.knowledge();
        let Some(series) = knowledge.get(self.series) else { return };
        let (Some(learned), Some(asked)) = (series.learned(), series.budget_per_week()) else { return };
        let grounds = grounds(knowledge, series, at);
        self.said.push(Said { at, confidence: learned.confidence.get(), most: most_pages(asked), grounds });
        self.look_at = at + WEEK;
    }

    /// The claims whose week was seen to its end.
    pub fn pairs(self) -> Vec<Pair> {
        let near =
            |at: &Timestamp| self.incidents.iter().any(|(first, last)| *first - GRACE <= *at && *at <= *last + GRACE);
        let false_pages: Vec<Timestamp> = self.onsets.iter().filter(|at| !near(at)).copied().collect();
        let over = |said: &&Said| said.at + WEEK <= self.last;
        let pair = |said: &Said| {
            let within = |at: &&Timestamp| said.at <= **at && **at < said.at + WEEK;
            let pages = false_pages.iter().filter(within).count() as u32;
            Pair {
                age: said.at.since(self.began),
                said: said.confidence,
                false_pages: pages,
                kept: f64::from(pages) <= said.most,
                grounds: said.grounds,
            }
        };
        self.said.iter().filter(over).map(pair).collect()
    }
}

/// What is claimed in the world of a seed by engines of this configuration, and what becomes of it.
pub fn pairs_of(seed: u64, config: &Config) -> (World, Vec<Pair>) {
    let mut world = world(seed);
    let name = SeriesName::parse("world").expect("a name");
    let began = Timestamp::from_secs(1_700_000_000);
    let mut watched = Watched::new(config, &name, began, world.young);
    let mut at = Span::ZERO;
    while at < world.duration {
        let (value, incident) = world.next(at);
        watched.sample(began + at, value, incident);
        at = at + world.every;
    }
    let pairs = watched.pairs();
    (world, pairs)
}

/// Seeds from here on are for fitting the coefficients; those under it are for checking them.
pub const FIT_SEEDS: u64 = 1_000_000;

/// Budgets that the coefficients are fitted at, in turn: most at the usual one, and some where pages are much rarer or come
/// daily.
const FIT_PER_WEEK: [f64; 9] = [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.1, 0.01, 7.0];

/// The budget at which the world of a seed is fitted.
pub fn fit_budget(seed: u64) -> Budget {
    Budget::Pages { count: FIT_PER_WEEK[(seed % FIT_PER_WEEK.len() as u64) as usize], per: Per::Week }
}

/// Ages as people tell them apart.
pub fn age_name(age: Span) -> &'static str {
    match age {
        age if age < DAY => "hours",
        age if age < WEEK => "days",
        age if age < WEEK.scaled(2.5) => "1 to 2 weeks",
        _ => "3 weeks and more",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name() -> SeriesName {
        SeriesName::parse("queue").expect("a name")
    }

    /// Nine days at one in five minutes around 100, with three far samples in a row on the fifth, seventh and eighth day.
    fn watched(incident: impl Fn(u64) -> bool) -> Vec<Pair> {
        let mut chance = crate::chance::Chance::new(11);
        let began = Timestamp::from_secs(1_700_000_000);
        let mut watched = Watched::new(&config(Budget::ONE_PER_WEEK), &name(), began, DAY);
        for sample in 0..9 * 288 {
            let far = [5, 7, 8].iter().any(|day| (day * 288..day * 288 + 3).contains(&sample));
            let value = 100.0 + chance.normal() + if far { 60.0 } else { 0.0 };
            watched.sample(began + Span::minutes(5) * sample, value, incident(sample));
        }
        watched.pairs()
    }

    #[test]
    fn pages_outside_of_incidents_are_counted_for_a_week_after_the_look() {
        let [ref pair] = watched(|_| false)[..] else { panic!("one week was seen to its end") };
        assert_eq!((pair.age, pair.false_pages, pair.kept), (DAY, 2, true), "days 5 and 7, not day 8: {pair:?}");
        assert!(pair.said > 0.5 && pair.grounds.is_some_and(|grounds| grounds.chance() > 0.5), "{pair:?}");
    }

    #[test]
    fn a_page_within_an_incident_or_just_beside_it_is_not_false() {
        let false_pages = |from: u64, to: u64| watched(|sample| (from..to).contains(&sample))[0].false_pages;
        assert_eq!(false_pages(5 * 288, 5 * 288 + 3), 1);
        // Labelled a little late, and much too late.
        assert_eq!(false_pages(5 * 288 + 2, 5 * 288 + 9), 1);
        assert_eq!(false_pages(5 * 288 + 9, 5 * 288 + 19), 2);
    }

    #[test]
    fn a_seed_gives_the_same_claims_again() {
        let config = config(Budget::ONE_PER_WEEK);
        let (first, second) = (pairs_of(5, &config).1, pairs_of(5, &config).1);
        assert!(first.len() >= 5 && first == second, "{first:?} {second:?}");
        assert_ne!(first, pairs_of(6, &config).1);
    }
}
