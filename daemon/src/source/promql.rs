//! Expressions asked of a Prometheus: their history at first, so that thresholds stand from the start, then what is new, as it
//! comes.
//!
//! Values are what the server evaluates: whether a counter is read as a rate is for the expression to say. What lies back for
//! longer than people would be paged for (a backfill, an outage) is history, learned from and never judged. How far each
//! expression was asked is part of every snapshot, beside the samples it gave: after a restart only the rest is asked.

mod told;

use super::counting::{Counts, counts};
use super::{STALE, Tally};
use crate::config::Config;
use crate::driver::{Fed, Handle, Past, Reading};
use crate::prometheus::budget::QueryBudget;
use crate::prometheus::endpoint::Endpoint;
use crate::prometheus::naming::{name_of, series_name};
use crate::prometheus::progress::Silent;
use crate::prometheus::range::{Part, RangeQuery, Remarks};
use crate::prometheus::text::Families;
use crate::prometheus::{Client, QueryError};
use homeostat::config::Kind;
use homeostat::replay::{Labels, METRIC_NAME};
use homeostat::series::SeriesName;
use homeostat::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, TryLockError};
use std::time::Duration;
use told::Told;

/// What is behind for longer is no news any more: it is learned from, and pages nobody.
const NEWS: Span = Span::minutes(10);

/// An expression that is wrong is asked again after this long; somebody may have mended a rule it needs.
const REFUSED_REST: Span = Span::minutes(10);

/// Samples of history that are held at once; a series that has more is learned from several times.
const HELD_MAX: usize = 8_000_000;

/// Samples that are handed over in one go, so that judging others does not wait long.
const HANDED: usize = 50_000;

/// A series that was not given for so long is not known any more.
const KNOWN_FOR: Span = Span::hours(24);

pub const SOURCES_MAX: usize = 16;
pub const EXPRESSIONS_MAX: usize = 1000;

/// A Prometheus, and what is asked of it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub struct PromqlSource {
    #[serde(flatten)]
    pub endpoint: Endpoint,
    /// What the queries may cost it.
    #[serde(default)]
    pub query_budget: QueryBudget,
    /// From one evaluation to the next, in the past and from now on. 1s to 1d.
    #[serde(default = "step")]
    pub step: Span,
    /// Evaluations are asked so long after their time, so that what was measured by then has arrived. 0s to 1h.
    #[serde(default = "delay")]
    pub delay: Span,
    /// How far back history is asked for; null: learning.learning_window.
    #[serde(default)]
    pub backfill: Option<Span>,
    /// What is evaluated.
    pub expressions: Vec<Expression>,
}

const fn step() -> Span {
    Span::minutes(1)
}

const fn delay() -> Span {
    Span::from_secs(10)
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Expression {
    /// PromQL. Of a counter take rate() or increase().
    pub expr: String,
    /// What its series are called; null: as the metric, or where a function took that away, after the expression.
    #[serde(default)]
    pub name: Option<String>,
}

impl PromqlSource {
    /// Which key cannot be used, and why.
    pub fn check(&self) -> Result<(), (String, String)> {
        self.endpoint.check().map_err(|wrong| (wrong.key, wrong.problem))?;
        self.query_budget.check().map_err(|(key, problem)| (format!("query_budget.{key}"), problem))?;
        let reach = self.backfill.unwrap_or(Span::minutes(1));
        for (key, span, least, most) in [
            ("step", self.step, Span::from_secs(1), Span::hours(24)),
            ("delay", self.delay, Span::ZERO, Span::hours(1)),
            ("backfill", reach, Span::ZERO, Span::hours(366 * 24)),
        ] {
            if span < least || span > most {
                return Err((key.to_owned(), format!("{span} is outside {least} to {most}")));
            }
        }
        if self.expressions.is_empty() || self.expressions.len() > EXPRESSIONS_MAX {
            let problem = format!("{} expressions; give 1 to {EXPRESSIONS_MAX}", self.expressions.len());
            return Err(("expressions".to_owned(), problem));
        }
        let mut made = HashMap::new();
        for (at, expression) in self.expressions.iter().enumerate() {
            if expression.expr.trim().is_empty() {
                return Err((format!("expressions[{at}].expr"), "there is nothing to evaluate".to_owned()));
            }
            if expression.name.as_ref().is_some_and(|name| SeriesName::new(name, []).is_err()) {
                return Err((format!("expressions[{at}].name"), "a name has some letters".to_owned()));
            }
            let name = expression.name.clone().unwrap_or_else(|| name_of(&expression.expr));
            if let Some(before) = made.insert(name.clone(), at) {
                let problem =
                    format!("its series would be called `{name}`, as those of expressions[{before}]; give it a name");
                return Err((format!("expressions[{at}].name"), problem));
            }
        }
        Ok(())
    }
}

/// How long a thread of a source looks away at most: the other one may have left it something to do.
const LOOK: Duration = Duration::from_secs(1);

/// A source that is ready to be asked: by one thread for what is new, by another for history, so that neither waits for the other
/// but for its turn in the budget.
pub struct Promql {
    client: Client,
    queries: Vec<Mutex<Query>>,
    /// What the server knows of the types of metrics; none before it was asked.
    families: OnceLock<Families>,
    /// Of each query, as it was when it was asked last.
    figures: Mutex<Vec<Figures>>,
    step: Span,
    delay: Span,
    reach: Span,
    tally: Arc<Tally>,
}

#[derive(Clone, Copy, Default)]
struct Figures {
    until: Option<Timestamp>,
    up: bool,
    series: u64,
    silent: u64,
}

/// One expression, and how far it was asked.
struct Query {
    place: usize,
    expr: String,
    called: Option<String>,
    /// By what it is known in a snapshot.
    id: String,
    /// The last evaluation that was handed over.
    until: Option<Timestamp>,
    /// Not asked before; after a failure.
    rest_until: Timestamp,
    known: HashMap<Labels, Known>,
    failing: bool,
    /// What there was to remark when it was asked last.
    warned: Vec<String>,
}

struct Known {
    name: SeriesName,
    /// What it is said to measure; of the value of a function nothing is said.
    kind: Option<Kind>,
    /// It is a metric as it was scraped, of which nothing is said: its values may tell.
    untold: bool,
    /// The last evaluation that it had a value at.
    last: Timestamp,
}

/// History of one series that waits to be handed over.
#[derive(Default)]
struct Held {
    kind: Option<Kind>,
    untold: bool,
    values: Vec<(Timestamp, f64)>,
}

/// Who takes what was read: [`Handle::feed`]. False: nobody any more.
type Take<'a> = &'a mut dyn FnMut(Fed, Option<(String, Timestamp)>) -> bool;

/// Sources as configured. What is forgotten of `reached` belongs to none of them.
pub fn prepare(config: &Config, data: &Path, reached: &mut BTreeMap<String, Timestamp>) -> Result<Vec<Promql>, String> {
    let now = crate::driver::now();
    let learning = &config.engine.learning;
    let sources: Result<Vec<Promql>, String> = (1..)
        .zip(&config.daemon.promql)
        .map(|(number, source)| {
            let seed = config.engine.feedback.seed.wrapping_add(number as u64);
            let client = Client::new(source.endpoint.clone(), source.query_budget, seed)
                .map_err(|error| format!("promql[{}]: {error}", number - 1))?;
            let client = client.keeping(&data.join("queries"));
            // What a window does not hold need not be asked.
            let held = source.step * learning.window_len as u64;
            let reach = source.backfill.unwrap_or(learning.learning_window).min(held);
            Ok(Promql::new(source, client, reach, number, reached, now))
        })
        .collect();
    let sources = sources?;
    let queries = sources.iter().flat_map(|source| &source.queries);
    let ids: HashSet<String> = queries.map(|query| locked(query).id.clone()).collect();
    reached.retain(|id, _| ids.contains(id));
    Ok(sources)
}

/// Starts two threads per source; they end with the driver. Tallies in the order of the configuration.
pub fn spawn(sources: Vec<Promql>, handle: &Handle) -> std::io::Result<Vec<Arc<Tally>>> {
    let mut tallies = Vec::with_capacity(sources.len());
    for source in sources {
        tallies.push(Arc::clone(&source.tally));
        let source = Arc::new(source);
        for history in [false, true] {
            let (source, handle) = (Arc::clone(&source), handle.clone());
            std::thread::Builder::new().name("promql".to_owned()).spawn(move || source.run(history, &handle))?;
        }
    }
    Ok(tallies)
}

fn locked<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Promql {
    fn new(
        source: &PromqlSource,
        client: Client,
        reach: Span,
        number: usize,
        reached: &BTreeMap<String, Timestamp>,
        now: Timestamp,
    ) -> Promql {
        let tally = Arc::new(Tally::new("promql", number, source.step, Some(client.cost()), now));
        tally.parts.store(source.expressions.len() as u64, Ordering::Relaxed);
        let queries = source.expressions.iter().enumerate().map(|(place, expression)| {
            let Expression { expr, name } = expression.clone();
            let asked = format!("{}\0{expr}\0{name:?}\0{}", source.endpoint.identity(), source.step);
            let id = format!("{:032x}", xxhash_rust::xxh3::xxh3_128(asked.as_bytes()));
            let until = reached.get(&id).copied();
            Mutex::new(Query {
                place,
                expr,
                called: name,
                id,
                until,
                rest_until: Timestamp::EPOCH,
                known: HashMap::new(),
                failing: false,
                warned: Vec::new(),
            })
        });
        let queries: Vec<Mutex<Query>> = queries.collect();
        let figures = Mutex::new(vec![Figures::default(); queries.len()]);
        Promql {
            client,
            queries,
            families: OnceLock::new(),
            figures,
            step: source.step,
            delay: source.delay,
            reach,
            tally,
        }
    }

    fn run(&self, history: bool, handle: &Handle) {
        let mut alive = true;
        while alive {
            let mut take = |fed, place| {
                alive = handle.feed(fed, place).is_ok();
                alive
            };
            let now = crate::driver::now();
            match history {
                true => self.turn_to_history(now, &mut take),
                false => self.turn_to_news(now, &mut take),
            }
            let wait = self.next_due(history, crate::driver::now()).since(crate::driver::now());
            std::thread::sleep(Duration::from_millis(wait.millis()).min(LOOK));
        }
    }

    /// The queries that nobody is asking just now.
    fn idle(&self) -> impl Iterator<Item = MutexGuard<'_, Query>> {
        self.queries.iter().filter_map(|query| match query.try_lock() {
            Ok(query) => Some(query),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        })
    }

    /// When there is news, or history, to ask for next; the end of time when there never is.
    fn next_due(&self, history: bool, now: Timestamp) -> Timestamp {
        let due = |query: MutexGuard<'_, Query>| match self.wanted(&query, now) {
            Some((_, wanted)) => (wanted == history).then_some(now),
            None if history => (query.until.is_none() || query.failing).then_some(query.rest_until),
            None => Some(query.until.map_or(now, |until| until + self.step + self.delay).max(query.rest_until)),
        };
        self.idle().filter_map(due).min().unwrap_or(Timestamp::from_millis(i64::MAX))
    }

    /// The last evaluation that can be asked by now.
    fn latest(&self, now: Timestamp) -> Timestamp {
        let (at, step) = ((now - self.delay).millis(), self.step.millis() as i64);
        Timestamp::from_millis(at.div_euclid(step) * step)
    }

    /// What of a query is to be asked, and whether it is history.
    fn wanted(&self, query: &Query, now: Timestamp) -> Option<(RangeQuery, bool)> {
        let end = self.latest(now);
        let start = match query.until {
            // What is news is asked for, however little history is wanted.
            Some(until) => (until + self.step).max(end - self.reach.max(NEWS)),
            None => end - self.reach,
        };
        if start > end || now < query.rest_until {
            return None;
        }
        let history = query.until.is_none() || now.since(start) > NEWS.max(self.step * 2) + self.delay;
        Some((RangeQuery { expr: query.expr.clone(), start, end, step: self.step }, history))
    }

    /// Asks for all that is new.
    fn turn_to_news(&self, now: Timestamp, take: Take<'_>) {
        for mut query in self.idle() {
            if let Some((wanted, false)) = self.wanted(&query, now) {
                let done = self.news(&mut query, &wanted, now, take);
                self.told(&mut query, done.map(|remarks| remarks.warnings), now);
                self.sum_up(&mut query, now);
            }
        }
    }

    /// Asks for the history of one expression that wants it.
    fn turn_to_history(&self, now: Timestamp, take: Take<'_>) {
        let mut waiting = self.idle().filter_map(|query| match self.wanted(&query, now) {
            Some((wanted, true)) => Some((query, wanted)),
            _ => None,
        });
        let Some((mut query, wanted)) = waiting.next() else { return };
        let more = waiting.count();
        let done = self.history(&mut query, &wanted, more, now, take);
        self.told(&mut query, done.map(|remarks| remarks.sentences(&wanted)), now);
        self.sum_up(&mut query, now);
    }

    fn news(
        &self,
        query: &mut Query,
        wanted: &RangeQuery,
        now: Timestamp,
        take: Take<'_>,
    ) -> Result<Remarks, QueryError> {
        let (mut readings, mut filled) = (Vec::new(), HashSet::new());
        let remarks = self.client.parts(wanted, now, &Silent, &mut |part| {
            for points in &part.points {
                let Some(known) = self.known(query, &points.labels) else { continue };
                for (place, value) in &points.values {
                    let at = time(&part, *place);
                    filled.insert(at);
                    known.last = at;
                    readings.push((known.name.clone(), known.kind, at, *value));
                }
            }
            Ok(())
        })?;
        let evaluations = (wanted.end.since(wanted.start).millis() / self.step.millis()) + 1;
        if !query.known.is_empty() {
            self.tally.gaps.fetch_add(evaluations - (filled.len() as u64).min(evaluations), Ordering::Relaxed);
        }
        let samples = readings.len() as u64;
        // One that had a value at the evaluation before these, and has none since, has ended.
        let before = wanted.start - self.step;
        let ended = query.known.values().filter(|known| known.last == before);
        readings.extend(ended.map(|known| (known.name.clone(), known.kind, wanted.end, STALE)));
        readings.sort_by_key(|(_, _, at, _): &Reading| *at);
        let place = Some((query.id.clone(), wanted.end));
        if take(Fed::Live(readings), place) {
            query.until = Some(wanted.end);
            self.tally.read(samples);
            // One that has never given anything is not missed.
            if samples > 0 || query.known.is_empty() {
                self.tally.alive(now);
            }
        }
        Ok(remarks)
    }

    /// Asks for history and hands it over by series, as much of each at once as can be held. What was handed over of a range that
    /// breaks off is not asked again.
    fn history(
        &self,
        query: &mut Query,
        wanted: &RangeQuery,
        waiting: usize,
        now: Timestamp,
        take: Take<'_>,
    ) -> Result<Remarks, QueryError> {
        let mut held: BTreeMap<SeriesName, Held> = BTreeMap::new();
        let (mut count, mut up_to) = (0, None);
        let progress = Told::new(waiting);
        let begun = self.client.elapsed();
        let done = self.client.parts(wanted, now, &progress, &mut |part| {
            for points in &part.points {
                let Some(known) = self.known(query, &points.labels) else { continue };
                known.last = points.values.last().map_or(known.last, |(place, _)| time(&part, *place));
                let values = points.values.iter().map(|(place, value)| (time(&part, *place), *value));
                let held = held.entry(known.name.clone()).or_default();
                (held.kind, held.untold) = (known.kind, known.untold);
                held.values.extend(values);
                count += points.values.len();
            }
            self.tally.alive(now + self.client.elapsed() - begun);
            up_to = Some(time(&part, part.grid.steps - 1));
            if count > HELD_MAX {
                count = 0;
                self.hand_over(query, std::mem::take(&mut held), up_to, take);
            }
            Ok(())
        });
        self.hand_over(query, held, up_to, take);
        done
    }

    fn hand_over(
        &self,
        query: &mut Query,
        mut held: BTreeMap<SeriesName, Held>,
        up_to: Option<Timestamp>,
        take: Take<'_>,
    ) {
        let Some(up_to) = up_to else { return };
        // Buckets of one moment belong together, and their number is that of a few series.
        let is_bucket = |name: &SeriesName| name.metric().ends_with("_bucket");
        let buckets: Vec<_> = held.extract_if(.., |name, _| is_bucket(name)).collect();
        let (mut some, mut count) = (Vec::new(), 0);
        for (name, held) in held {
            count += held.values.len();
            self.tally.read(held.values.len() as u64);
            some.push(held.past(name));
            if count >= HANDED {
                count = 0;
                if !take(Fed::History(std::mem::take(&mut some)), None) {
                    return;
                }
            }
        }
        self.tally.read(buckets.iter().map(|(_, held)| held.values.len() as u64).sum());
        some.extend(buckets.into_iter().map(|(name, held)| held.past(name)));
        if take(Fed::History(some), Some((query.id.clone(), up_to))) {
            query.until = Some(up_to);
        }
    }

    /// The series of a label set; none where it cannot be named.
    fn known<'a>(&self, query: &'a mut Query, labels: &Labels) -> Option<&'a mut Known> {
        if !query.known.contains_key(labels) {
            let name = series_name(labels, query.called.as_deref(), &query.expr).ok()?;
            // Functions take the metric's name away, and make something else of it.
            let metric = labels.get(METRIC_NAME);
            let kind = if metric.is_empty() { None } else { self.families().kind(metric) };
            let untold = !metric.is_empty() && kind.is_none();
            query.known.insert(labels.clone(), Known { name, kind, untold, last: Timestamp::EPOCH });
        }
        query.known.get_mut(labels)
    }

    /// Asked once; a server that does not say leaves it to names and values.
    fn families(&self) -> &Families {
        self.families.get_or_init(|| match self.client.metadata() {
            Ok(metadata) => Families::of_metadata(&metadata),
            Err(error) => {
                tracing::info!(source = self.tally.number, "types of metrics are not known: {error}");
                Families::default()
            }
        })
    }

    /// Says what came of a query, where that is news.
    fn told(&self, query: &mut Query, done: Result<Vec<String>, QueryError>, now: Timestamp) {
        let (number, expr) = (self.tally.number, &query.expr);
        match done {
            Ok(remarks) => {
                if std::mem::replace(&mut query.failing, false) {
                    tracing::info!(source = number, "`{expr}` is answered again");
                }
                if query.warned != remarks {
                    remarks.iter().for_each(|remark| tracing::warn!(source = number, "{remark}"));
                    query.warned = remarks;
                }
            }
            Err(error) => {
                let wrong = matches!(error, QueryError::Refused { .. } | QueryError::TooMuch { .. });
                query.rest_until = now + if wrong { REFUSED_REST.max(self.step) } else { self.step };
                self.tally.failures.fetch_add(1, Ordering::Relaxed);
                if !std::mem::replace(&mut query.failing, true) {
                    tracing::warn!(source = number, "{error}");
                }
            }
        }
    }

    /// Brings the figures of the source up to date with those of a query.
    fn sum_up(&self, query: &mut Query, now: Timestamp) {
        query.known.retain(|_, known| now.since(known.last) <= KNOWN_FOR);
        let until = query.until;
        let silent = query.known.values().filter(|known| until.is_some_and(|until| known.last < until)).count() as u64;
        let up = until.is_some() && !query.failing;
        let mut all = locked(&self.figures);
        all[query.place] = Figures { until, up, series: query.known.len() as u64, silent };
        let sum = |of: fn(&Figures) -> u64| all.iter().map(of).sum();
        self.tally.series.store(sum(|figures| figures.series), Ordering::Relaxed);
        self.tally.silent_series.store(sum(|figures| figures.silent), Ordering::Relaxed);
        self.tally.parts_up.store(sum(|figures| u64::from(figures.up)), Ordering::Relaxed);
        if let Some(least) = all.iter().map(|figures| figures.until).min().flatten() {
            self.tally.reached(least);
        }
    }
}

impl Held {
    fn past(self, name: SeriesName) -> Past {
        let Held { kind, untold, values } = self;
        let counter = untold && counts(values.iter().map(|(_, value)| *value)) == Counts::Yes;
        (name, if counter { Some(Kind::Counter) } else { kind }, values)
    }
}

fn time(part: &Part, place: u32) -> Timestamp {
    part.grid.start + Span::from_millis(part.grid.step as u64 * u64::from(place))
}

#[cfg(test)]
mod tests;
