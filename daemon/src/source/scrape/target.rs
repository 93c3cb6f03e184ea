//! One target: asked, read, and compared with what it gave before.

use super::discovery::Place;
use crate::driver::Reading;
use crate::prometheus::endpoint::Access;
use crate::prometheus::text::{self, Format, Parts, begins_with};
use crate::recurring::Recurring;
use crate::source::STALE;
use crate::source::counting::{Counts, counts};
use homeostat::config::Kind;
use homeostat::series::SeriesName;
use homeostat::time::{Span, Timestamp};
use std::io::Read;
use std::sync::Arc;

/// An answer that is longer is not read on, in bytes.
const BODY_MAX: u64 = 64 << 20;

/// Both forms are read; the classic one says as much and is shorter.
const ACCEPT: &str = "text/plain;version=0.0.4;q=1,application/openmetrics-text;version=1.0.0;q=0.75,*/*;q=0.1";

/// A gauge of seconds that is so near to the time is the time.
const IS_THE_TIME: f64 = 60.0;

/// Of what nothing is said, so many samples are held back at most.
const HELD_MAX: usize = 60;

/// How targets of a source are scraped.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub samples_max: u64,
    pub honor_labels: bool,
    pub honor_timestamps: bool,
    pub timeout: Span,
}

pub struct Target {
    url: String,
    /// Of all of its series, sorted, `job` and `instance` among them.
    labels: Vec<(String, String)>,
    /// What it gave, by the text that it writes for it.
    known: Recurring<Arc<str>, Known>,
    /// How long its last answer was, in bytes.
    body_len: usize,
    /// Its own series: up, scrape_duration_seconds, scrape_samples_scraped.
    own: [SeriesName; 3],
    /// Counted, to tell the series of the last scrape.
    round: u64,
    up: Option<bool>,
    /// Series that ended with the last scrape.
    ended: usize,
}

struct Known {
    name: SeriesName,
    kind: Option<Kind>,
    /// Nothing is said of it: so many first samples are held back, until they tell whether it counts.
    held: Option<Vec<(Timestamp, f64)>>,
    /// The scrape that gave it last.
    round: u64,
    /// It came with a time of its own: then no scrape can say that it ended.
    timed: bool,
}

/// What a scrape gave.
pub struct Scraped {
    pub readings: Vec<Reading>,
    /// Samples that the target gave.
    pub samples: u64,
    /// Why it failed.
    pub problem: Option<String>,
    /// It was otherwise the last time.
    pub is_news: bool,
}

impl Target {
    /// The error is of labels that make no series.
    pub fn new(place: &Place, job: &str) -> Result<Target, String> {
        let mut labels = place.labels.clone();
        labels.entry("job".to_owned()).or_insert_with(|| job.to_owned());
        let labels: Vec<(String, String)> = labels.into_iter().collect();
        let own = |name: &str| {
            SeriesName::new(name, labels.clone()).map_err(|error| format!("the target {}: {error}", place.url))
        };
        let own = [own("up")?, own("scrape_duration_seconds")?, own("scrape_samples_scraped")?];
        Ok(Target {
            url: place.url.clone(),
            labels,
            known: Recurring::default(),
            body_len: 0,
            own,
            round: 0,
            up: None,
            ended: 0,
        })
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    pub fn is_up(&self) -> bool {
        self.up == Some(true)
    }

    pub fn was_read(&self) -> bool {
        self.up.is_some()
    }

    /// How many series it gave when it was scraped last.
    pub fn series(&self) -> usize {
        self.known.len()
    }

    /// How many ended with the last scrape.
    pub fn ended(&self) -> usize {
        self.ended
    }

    /// Asks it, and says what it gave and what has ended. `clock` says how long it took.
    pub fn scrape(
        &mut self,
        agent: &ureq::Agent,
        access: &Access,
        limits: &Limits,
        now: Timestamp,
        clock: &dyn Fn() -> Timestamp,
    ) -> Scraped {
        self.round += 1;
        let read = self.ask(agent, access, limits).and_then(|(body, format)| {
            self.body_len = body.len();
            self.read(&body, format, limits, now)
        });
        let (mut readings, samples, problem) = match read {
            Ok((readings, samples)) => (readings, samples, None),
            // Of half a text nobody knows what it lacks.
            Err(problem) => (Vec::new(), 0, Some(format!("{}: {problem}", self.url))),
        };
        self.ended = 0;
        let (round, failed) = (self.round, problem.is_some());
        // All that it knows were given, each once: then none has ended.
        if failed || (samples as usize) < self.known.len() {
            self.known.retain(|_, known| {
                let here = known.round == round && !failed;
                if !here && !known.timed && known.held.is_none() {
                    self.ended += 1;
                    readings.push((known.name.clone(), known.kind, now, STALE));
                }
                here
            });
        }
        let is_news = self.up != Some(!failed) && (failed || self.up.is_some());
        self.up = Some(!failed);
        let [up, duration, scraped] = &self.own;
        let took = clock().since(now).secs();
        readings.push((up.clone(), Some(Kind::State), now, f64::from(u8::from(!failed))));
        readings.push((duration.clone(), None, now, took));
        if !failed {
            readings.push((scraped.clone(), None, now, samples as f64));
        }
        Scraped { readings, samples, problem, is_news }
    }

    /// It is scraped no more: all of its series have ended.
    pub fn end(&mut self, now: Timestamp) -> Vec<Reading> {
        let known = self.known.drain().filter(|(_, known)| !known.timed && known.held.is_none());
        let own = self.own.iter().map(|name| (name.clone(), None, now, STALE));
        known.map(|(_, known)| (known.name, known.kind, now, STALE)).chain(own).collect()
    }

    fn ask(&self, agent: &ureq::Agent, access: &Access, limits: &Limits) -> Result<(Vec<u8>, Format), String> {
        let mut request = agent.get(&self.url).header("Accept", ACCEPT);
        request = request.header("X-Prometheus-Scrape-Timeout-Seconds", limits.timeout.secs().to_string());
        for (name, value) in access.sent()? {
            request = request.header(name, value);
        }
        let mut answer = request.call().map_err(|error| match error {
            ureq::Error::Timeout(_) => format!("it took longer than {}", limits.timeout),
            error => error.to_string(),
        })?;
        let status = answer.status().as_u16();
        if status != 200 {
            return Err(format!("it answers with status {status}, not with metrics"));
        }
        let kind = answer.headers().get("content-type").and_then(|value| value.to_str().ok()).map(str::to_owned);
        let format = Format::of(kind.as_deref())
            .ok_or_else(|| format!("it answers with {}, not with metrics", kind.unwrap_or_default()))?;
        let mut body = Vec::with_capacity(self.body_len);
        let reader = answer.body_mut().with_config().limit(BODY_MAX + 1).reader();
        reader.take(BODY_MAX + 1).read_to_end(&mut body).map_err(|error| format!("its answer broke off: {error}"))?;
        match body.len() as u64 > BODY_MAX {
            true => Err(format!("it answers with over {} MiB", BODY_MAX >> 20)),
            false => Ok((body, format)),
        }
    }

    fn read(
        &mut self,
        body: &[u8],
        format: Format,
        limits: &Limits,
        now: Timestamp,
    ) -> Result<(Vec<Reading>, u64), String> {
        let mut samples = Vec::with_capacity(self.known.len());
        let mut before = self.known.foretell();
        let mut foretold = |line: &str| before.next_if(|series| begins_with(line, series)).map(|series| series.len());
        let families = text::read_foretold(body, format, &mut foretold, &mut |sample| {
            if samples.len() as u64 == limits.samples_max {
                return Err(format!("it has over samples_max ({}) samples", limits.samples_max));
            }
            samples.push(sample);
            Ok(())
        });
        let families = families.map_err(|error| error.to_string())?;
        let (mut readings, mut count) = (Vec::with_capacity(samples.len() + 3), 0);
        for sample in samples {
            let given = if limits.honor_timestamps { sample.at } else { None };
            let known = match self.known.get(sample.series) {
                Some(known) => known,
                None => {
                    let error = |problem: String| format!("line {}: {problem}", sample.line);
                    let parts = text::parts(sample.series).map_err(error)?;
                    let moment = parts.name.contains("time") && (sample.value - now.secs()).abs() < IS_THE_TIME;
                    let kind = if moment { Some(Kind::Info) } else { families.kind(&parts.name) };
                    // That it counts its name would say, and the engine hear.
                    let counting = ["_total", "_count", "_sum", "_bucket"].iter().any(|end| parts.name.ends_with(end));
                    let held = (kind.is_none() && !counting).then(Vec::new);
                    let name = named(parts, &self.labels, limits.honor_labels).map_err(error)?;
                    self.known.put(sample.series.into(), Known { name, kind, held, round: 0, timed: false })
                }
            };
            // The same text twice in one answer: the first one stands.
            if std::mem::replace(&mut known.round, self.round) == self.round {
                continue;
            }
            known.timed = given.is_some();
            count += 1;
            known.take(given.unwrap_or(now), sample.value, &mut readings);
        }
        readings.sort_by_key(|(_, _, at, _)| *at);
        Ok((readings, count))
    }
}

impl Known {
    /// Hands on a sample, or holds it back with those before it until they have told what they are.
    fn take(&mut self, at: Timestamp, value: f64, readings: &mut Vec<Reading>) {
        let Some(held) = &mut self.held else {
            readings.push((self.name.clone(), self.kind, at, value));
            return;
        };
        held.push((at, value));
        let told = counts(held.iter().map(|(_, value)| *value));
        if told == Counts::Untold && held.len() < HELD_MAX {
            return;
        }
        self.kind = (told == Counts::Yes).then_some(Kind::Counter);
        let held = self.held.take().unwrap_or_default();
        readings.extend(held.into_iter().map(|(at, value)| (self.name.clone(), self.kind, at, value)));
    }
}

/// The series' name with the labels of its target. Where both have one, the target's own gives way as exported_NAME, unless it
/// is honoured.
fn named(parts: Parts, of_target: &[(String, String)], honor: bool) -> Result<SeriesName, String> {
    let Parts { name, mut labels } = parts;
    for (label, value) in of_target {
        match labels.iter_mut().find(|(own, _)| own == label) {
            Some(_) if honor => {}
            Some(own) => {
                own.0 = format!("exported_{label}");
                labels.push((label.clone(), value.clone()));
            }
            None => labels.push((label.clone(), value.clone())),
        }
    }
    SeriesName::new(&name, labels).map_err(|error| error.to_string())
}
