//! Series of worlds from seeds, whose incidents are known: kinds that no labelled folder has.
//!
//! Each seed gives two: a series by itself for four weeks, and the first week of one that begins a week after another like
//! it, in the same engine. What a detector takes over from siblings shows in the second alone.

use super::super::Failed;
use super::labelled::Series;
use homeostat::analyze::strategy::Methods;
use homeostat::config::Config;
use homeostat::engine::Engine;
use homeostat::knowledge::SeriesId;
use homeostat::monitor::{Judged, Sample};
use homeostat::series::SeriesName;
use homeostat::time::{Span, Timestamp};
use homeostat_sim::calibration::clean::{Clean, Shape};
use homeostat_sim::calibration::{WEEK, World, world};

/// The folders that they belong to.
pub const FOLDERS: [&str; 3] = ["worlds with incidents", "worlds without", "younger siblings"];

/// And those of series in which nothing happens.
pub const CLEAN: [&str; 2] = ["clean, by the minute", "clean, by the hour"];

/// How long a series by itself is looked at.
const ALONE: Span = Span::hours(4 * 7 * 24);
/// And a clean one: how often, how long.
const CLEANLY: [(Span, Span); 2] =
    [(Span::minutes(1), Span::hours(3 * 7 * 24)), (Span::hours(1), Span::hours(26 * 7 * 24))];

/// One that takes part.
struct Member {
    name: SeriesName,
    id: Option<SeriesId>,
    every: Span,
    /// The value at a time since the beginning of all, and whether it belongs to an incident.
    next: Box<dyn FnMut(Span) -> (f64, bool)>,
    /// From the beginning of all.
    begins: Span,
    series: Series,
}

impl Member {
    fn new(
        name: &str,
        every: Span,
        next: impl FnMut(Span) -> (f64, bool) + 'static,
        begins: Span,
        kind: &str,
    ) -> Result<Member, Failed> {
        let series = Series {
            name: format!("{kind} {name}"),
            interval: every,
            alert_score: Some(Vec::new()),
            alert: Some(Vec::new()),
            ..Series::default()
        };
        let name = SeriesName::parse(name).map_err(|error| Failed::Use(error.to_string()))?;
        Ok(Member { name, id: None, every, next: Box::new(next), begins, series })
    }
}

/// The series of a seed, and the number of the folder of each.
pub fn series_of_seed(
    seed: u64,
    config: &Config,
    methods: &dyn Fn() -> Methods,
) -> Result<Vec<(usize, Series)>, Failed> {
    let world = world(seed);
    let kind = world.kind.as_str();
    let member = |name: String, mut world: World, begins: Span| {
        Member::new(&name, world.every, move |at| world.next(at), begins, kind)
    };
    let sibling = world.sibling();
    let alone = vec![member(format!("world{{seed=\"{seed}\"}}"), world.clone(), Span::ZERO)?];
    let both = vec![
        member(format!("world{{seed=\"{seed}\",of=\"elder\"}}"), world, Span::ZERO)?,
        member(format!("world{{seed=\"{seed}\",of=\"younger\"}}"), sibling, WEEK)?,
    ];
    let alone = run(alone, ALONE, config, methods)?.remove(0);
    let younger = Series { probation: Some(0), ..run(both, WEEK * 2, config, methods)?.remove(1) };
    let folder = usize::from(!alone.labels.contains(&true));
    Ok(vec![(folder, alone), (2, younger)])
}

/// The clean series of a seed: each shape by the minute and by the hour, with the number of its folder.
pub fn clean_of_seed(
    seed: u64,
    config: &Config,
    methods: &dyn Fn() -> Methods,
) -> Result<Vec<(usize, Series)>, Failed> {
    let mut all = Vec::new();
    for (folder, (every, until)) in CLEANLY.into_iter().enumerate() {
        for shape in Shape::ALL {
            let mut clean = Clean::new(shape, every, seed);
            let name = format!("clean{{seed=\"{seed}\"}}");
            let member = Member::new(&name, every, move |at| (clean.next(at), false), Span::ZERO, shape.as_str())?;
            all.push((folder, run(vec![member], until, config, methods)?.remove(0)));
        }
    }
    Ok(all)
}

/// Hands all of them to one engine, sample by sample.
fn run(
    mut members: Vec<Member>,
    until: Span,
    config: &Config,
    methods: &dyn Fn() -> Methods,
) -> Result<Vec<Series>, Failed> {
    let began = Timestamp::from_secs(1_700_000_000);
    let mut engine = Engine::with_methods(config.clone(), methods(), 1, began);
    let every = members.iter().map(|member| member.every).min().unwrap_or(WEEK);
    let mut passed = Span::ZERO;
    while passed < until {
        let now = began + passed;
        if now >= engine.next_cycle() {
            // Nothing is stored here: what is said of the samples is the record.
            drop(engine.cycle(now));
        }
        for member in members.iter_mut().filter(|member| member.begins <= passed) {
            let id = match member.id {
                Some(id) => id,
                None => engine.intern(&member.name, None, now).map_err(|error| Failed::World(error.to_string()))?,
            };
            member.id = Some(id);
            let (value, incident) = (member.next)(passed);
            let mut said = Judged::default();
            drop(engine.observe_each(&[Sample { series: id, at: now, value }], now, |_, _, judged| said = *judged));
            let series = &mut member.series;
            series.labels.push(incident);
            series.values.push(value);
            series.score.push(said.score);
            series.alert_score.get_or_insert_default().push(said.alert_score);
            series.alert.get_or_insert_default().push(said.alert);
        }
        passed = passed + every;
    }
    Ok(members.into_iter().map(|member| member.series).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_a_series_by_itself_and_the_first_week_of_a_younger_sibling() {
        let config = homeostat_sim::calibration::config(homeostat::budget::Budget::ONE_PER_WEEK);
        // Worlds by the minute are long; any other will do.
        let seed = (1..).find(|seed| world(*seed).every >= Span::minutes(10)).expect("there are enough");
        let of_seed = || series_of_seed(seed, &config, &Methods::built_in).unwrap_or_else(|_| panic!("seed {seed}"));
        let [(folder, alone), (2, younger)] = &of_seed()[..] else { panic!("two series of seed {seed}") };
        let every = world(seed).every;
        let rows = |span: Span| span.secs().div_euclid(every.secs()) as usize;
        assert_eq!((alone.labels.len(), younger.labels.len()), (rows(ALONE), rows(WEEK)), "seed {seed}");
        assert_eq!(*folder, usize::from(!alone.labels.contains(&true)));
        assert_eq!((alone.probation, younger.probation), (None, Some(0)));
        assert_ne!(alone.values[rows(WEEK)..2 * rows(WEEK)], younger.values[..], "another chance, seed {seed}");
        let again = &of_seed()[1].1;
        assert!(again.values == younger.values && again.alert == younger.alert, "the same again, seed {seed}");
    }
}
