//! OpenTelemetry's metrics (OTLP), read as Prometheus reads them: one series for each data point's attributes, a histogram's buckets
//! a series each, differences summed up.
//!
//! <https://github.com/open-telemetry/opentelemetry-proto>, `ExportMetricsServiceRequest`. Of a resource `service.name` (with its
//! namespace) and `service.instance.id` become `job` and `instance`; its other attributes are no labels. Exponential histograms are
//! counted and set aside.

pub mod delta;
mod names;
mod value;

use super::Why;
use super::batch::{Batch, Form, NoRoom, Point, Row, SAMPLES_MAX};
use super::labels::shown;
use super::proto::{Message, Value, Wrong, put};
use super::remote_write::NotRead;
use crate::prometheus::text::Type;
use crate::source::STALE;
use delta::{Deltas, NotAdded};
use homeostat::time::Timestamp;
use names::Named;
use std::collections::BTreeMap;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// The bit by which a data point says that it has no value.
const NO_RECORDED_VALUE: u64 = 1;

/// The attributes of a resource that become labels.
const SERVICE: [&str; 3] = ["service.name", "service.namespace", "service.instance.id"];

/// The longest unit that a name is made of, in bytes.
const UNIT_MAX: usize = 63;

/// A histogram with more buckets than this is refused; nothing would be made of it.
const BUCKETS_MAX: usize = 1000;

/// What of a request is no sample.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Left {
    /// Data points that samples were made of.
    pub points: u64,
    /// Those of which none can be made.
    pub refused: u64,
    /// What is wrong with the first of them, and what becomes of exponential histograms.
    pub said: Vec<String>,
}

/// What a request is read with.
pub struct Reading<'a> {
    pub seed: u64,
    /// Labels of all its series together, in bytes.
    pub labels_max: usize,
    pub now: Timestamp,
    /// None: a request with differences is not read, since their sums are not at hand.
    pub deltas: Option<&'a mut Deltas>,
}

/// Why a request is not read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum No {
    NotRead(NotRead),
    /// It has differences, and there are no sums for them.
    Deltas,
}

/// Why a data point gives no samples, or the whole request is not read.
enum Bad {
    Point(String),
    Wire(Wrong),
    Whole(No),
}

impl From<Wrong> for Bad {
    fn from(wrong: Wrong) -> Bad {
        Bad::Wire(wrong)
    }
}

impl From<NoRoom> for Bad {
    fn from(no_room: NoRoom) -> Bad {
        Bad::Whole(No::NotRead(no_room.into()))
    }
}

/// Labels by name.
type Labels = BTreeMap<String, String>;

/// Takes an uncompressed body apart into `batch`, which is cleared before.
pub fn decode(body: &[u8], reading: Reading<'_>, batch: &mut Batch) -> Result<Left, No> {
    batch.clear(usize::MAX);
    batch.arena.clear();
    batch.form = Form::Points;
    let mut walk = Walk { reading, batch, left: Left::default(), place: [0; 3] };
    if let Some(deltas) = &mut walk.reading.deltas {
        deltas.begin();
    }
    match walk.request(Message::new(body)) {
        Ok(()) => Ok(walk.left),
        Err(Bad::Whole(no)) => Err(no),
        Err(Bad::Wire(wrong)) => Err(walk.malformed(wrong.to_string())),
        Err(Bad::Point(problem)) => Err(walk.malformed(problem)),
    }
}

struct Walk<'a> {
    reading: Reading<'a>,
    batch: &'a mut Batch,
    left: Left,
    /// Which resource, scope and metric is read.
    place: [usize; 3],
}

/// What a metric is said to be.
struct Metric {
    name: String,
    unit: String,
}

/// How the values of a metric count.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Temporality {
    /// Each value holds for itself.
    None,
    Delta,
    Cumulative,
}

impl Walk<'_> {
    fn malformed(&self, problem: String) -> No {
        let [resource, scope, metric] = self.place;
        let place = format!("resource_metrics[{resource}].scope_metrics[{scope}].metrics[{metric}]");
        No::NotRead(NotRead::Malformed { place, problem })
    }

    fn request(&mut self, mut request: Message<'_>) -> Result<(), Bad> {
        self.place = [0; 3];
        while let Some((field, value)) = request.next()? {
            if field == 1 {
                let resource = value.message()?;
                let labels = self.resource(resource)?;
                self.scopes(resource, &labels)?;
                self.place = [self.place[0] + 1, 0, 0];
            }
        }
        Ok(())
    }

    /// `job` and `instance`, wherever the resource stands among its metrics.
    fn resource(&mut self, mut metrics: Message<'_>) -> Result<Labels, Bad> {
        let mut attributes = Labels::new();
        while let Some((field, value)) = metrics.next()? {
            if field == 1 {
                let mut resource = value.message()?;
                while let Some((field, value)) = resource.next()? {
                    if field == 1 && value::is_called(value.message()?, &SERVICE)? {
                        let (name, value) = value::attribute(value.message()?)?;
                        attributes.insert(name, value);
                    }
                }
            }
        }
        let mut labels = Labels::new();
        let mut of = |name: &str| attributes.remove(name).filter(|value| !value.is_empty());
        let [service, namespace, instance] = SERVICE.map(&mut of);
        if let Some(service) = service {
            labels.insert("job".to_owned(), namespace.map_or(service.clone(), |space| format!("{space}/{service}")));
        }
        if let Some(instance) = instance {
            labels.insert("instance".to_owned(), instance);
        }
        Ok(labels)
    }

    fn scopes(&mut self, mut metrics: Message<'_>, labels: &Labels) -> Result<(), Bad> {
        while let Some((field, value)) = metrics.next()? {
            if field != 2 {
                continue;
            }
            let mut scope = value.message()?;
            while let Some((field, value)) = scope.next()? {
                if field == 2 {
                    self.metric(value.message()?, labels)?;
                    self.place[2] += 1;
                }
            }
            (self.place[1], self.place[2]) = (self.place[1] + 1, 0);
        }
        Ok(())
    }

    fn metric(&mut self, metric: Message<'_>, labels: &Labels) -> Result<(), Bad> {
        let mut told = Metric { name: String::new(), unit: String::new() };
        let mut fields = metric;
        while let Some((field, value)) = fields.next()? {
            match field {
                1 => told.name = value::text(value.message()?, "name")?,
                3 => told.unit = value::text(value.message()?, "unit")?,
                _ => {}
            }
        }
        // Units are a word or two; a longer one says nothing that a name has room for.
        if told.unit.len() > UNIT_MAX {
            told.unit.clear();
        }
        let mut fields = metric;
        while let Some((field, value)) = fields.next()? {
            match field {
                5 => self.points(value.message()?, &told, labels, Data::Gauge)?,
                7 => self.points(value.message()?, &told, labels, Data::Sum)?,
                9 => self.points(value.message()?, &told, labels, Data::Histogram)?,
                10 => self.points(value.message()?, &told, labels, Data::Exponential)?,
                11 => self.points(value.message()?, &told, labels, Data::Summary)?,
                _ => {}
            }
        }
        Ok(())
    }

    /// `data_points = 1, aggregation_temporality = 2, is_monotonic = 3`
    fn points(&mut self, data: Message<'_>, told: &Metric, labels: &Labels, of: Data) -> Result<(), Bad> {
        let (mut temporality, mut monotonic) = (0, false);
        let mut fields = data;
        while let Some((field, value)) = fields.next()? {
            match field {
                2 => temporality = value.varint()?,
                3 => monotonic = value.varint()? != 0,
                _ => {}
            }
        }
        let named = match of {
            Data::Gauge => Named::Gauge,
            Data::Sum if monotonic => Named::Counter,
            _ => Named::Other,
        };
        let temporality = match (of, temporality) {
            (Data::Gauge | Data::Summary | Data::Exponential, _) => Ok(Temporality::None),
            (_, 1) => Ok(Temporality::Delta),
            (_, 2) => Ok(Temporality::Cumulative),
            _ => Err("aggregation_temporality is neither delta nor cumulative"),
        };
        if temporality == Ok(Temporality::Delta) && self.reading.deltas.is_none() {
            return Err(Bad::Whole(No::Deltas));
        }
        let name = names::metric(&told.name, &told.unit, named);
        let mut fields = data;
        while let Some((field, value)) = fields.next()? {
            if field != 1 {
                continue;
            }
            let point = value.message()?;
            let made = match (temporality, of) {
                (_, Data::Exponential) => {
                    self.exponential(told);
                    continue;
                }
                _ if name.is_empty() => Err(Bad::Point("name has no letters or digits".to_owned())),
                (Err(problem), _) => Err(Bad::Point(problem.to_owned())),
                (Ok(temporality), Data::Gauge | Data::Sum) => {
                    let told = if named == Named::Counter { Type::Counter } else { Type::Gauge };
                    self.number(point, &name, labels, told, temporality)
                }
                (Ok(temporality), Data::Histogram) => self.histogram(point, &name, labels, temporality),
                (Ok(_), Data::Summary) => self.summary(point, &name, labels),
            };
            match made {
                Ok(()) => self.left.points += 1,
                Err(Bad::Point(problem)) => {
                    if self.left.refused == 0 {
                        self.left.said.push(format!("{}: {problem}", shown(&told.name)));
                    }
                    self.left.refused += 1;
                }
                Err(bad) => return Err(bad),
            }
        }
        Ok(())
    }

    fn exponential(&mut self, told: &Metric) {
        if self.batch.histograms == 0 {
            let name = shown(&told.name);
            self.left.said.push(format!(
                "{name}: exponential histograms are set aside; have the SDK use explicit buckets for what is to be watched"
            ));
        }
        self.batch.histograms += 1;
        self.left.refused += 1;
    }

    /// `attributes = 7, time_unix_nano = 3, as_double = 4, as_int = 6, exemplars = 5, flags = 8`
    fn number(
        &mut self,
        mut point: Message<'_>,
        name: &str,
        labels: &Labels,
        told: Type,
        temporality: Temporality,
    ) -> Result<(), Bad> {
        let (mut own, mut at, mut number, mut flags) = (Labels::new(), 0, None, 0);
        while let Some((field, value)) = point.next()? {
            match field {
                7 => value::label(value.message()?, &mut own)?,
                3 => at = value.fixed64()?,
                4 => number = Some(value.double()?),
                6 => number = Some(value.fixed64()? as i64 as f64),
                5 => self.batch.exemplars += 1,
                8 => flags = value.varint()?,
                _ => {}
            }
        }
        let at = time(at)?;
        own.extend(labels.clone());
        let number = match (flags & NO_RECORDED_VALUE, number) {
            (0, Some(number)) => number,
            (0, None) => return Err(Bad::Point("value is missing".to_owned())),
            _ => STALE,
        };
        self.put(name, &own, None, told, at, number, temporality)
    }

    /// `attributes = 9, time_unix_nano = 3, count = 4, sum = 5, bucket_counts = 6, explicit_bounds = 7, exemplars = 8, flags = 10`
    fn histogram(
        &mut self,
        mut point: Message<'_>,
        name: &str,
        labels: &Labels,
        temporality: Temporality,
    ) -> Result<(), Bad> {
        let (mut own, mut at, mut count, mut sum, mut flags) = (Labels::new(), 0, 0, None, 0);
        let (mut counts, mut bounds) = (Vec::new(), Vec::new());
        while let Some((field, value)) = point.next()? {
            match field {
                9 => value::label(value.message()?, &mut own)?,
                3 => at = value.fixed64()?,
                4 => count = value.fixed64()?,
                5 => sum = Some(value.double()?),
                6 => packed(value, &mut counts)?,
                7 => packed(value, &mut bounds)?,
                8 => self.batch.exemplars += 1,
                10 => flags = value.varint()?,
                _ => {}
            }
        }
        let at = time(at)?;
        own.extend(labels.clone());
        let bounds: Vec<f64> = bounds.into_iter().map(f64::from_bits).collect();
        if bounds.iter().any(|bound| bound.is_nan()) || bounds.windows(2).any(|two| two[0] >= two[1]) {
            return Err(Bad::Point("explicit_bounds do not rise".to_owned()));
        }
        let (no_value, has_buckets) = (flags & NO_RECORDED_VALUE != 0, !(counts.is_empty() && bounds.is_empty()));
        if !no_value && has_buckets && counts.len() != bounds.len() + 1 {
            let (counts, bounds) = (counts.len(), bounds.len());
            return Err(Bad::Point(format!(
                "there are {counts} bucket_counts for {bounds} explicit_bounds, not one more"
            )));
        }
        let value = |number: f64| if no_value { STALE } else { number };
        let mut below = 0.0;
        for (bound, count) in bounds.iter().zip(counts.iter().copied().chain(std::iter::repeat(0))) {
            below += count as f64;
            // The last limit is that of all.
            if bound.is_finite() {
                let le = Some(("le", bound.to_string()));
                self.put(&format!("{name}_bucket"), &own, le, Type::Histogram, at, value(below), temporality)?;
            }
        }
        let all = value(count as f64);
        let le = Some(("le", "+Inf".to_owned()));
        self.put(&format!("{name}_bucket"), &own, le, Type::Histogram, at, all, temporality)?;
        if let Some(sum) = sum {
            self.put(&format!("{name}_sum"), &own, None, Type::Histogram, at, value(sum), temporality)?;
        }
        self.put(&format!("{name}_count"), &own, None, Type::Histogram, at, all, temporality)
    }

    /// `attributes = 7, time_unix_nano = 3, count = 4, sum = 5, quantile_values = 6 { quantile = 1, value = 2 }, flags = 8`
    fn summary(&mut self, mut point: Message<'_>, name: &str, labels: &Labels) -> Result<(), Bad> {
        let (mut own, mut at, mut count, mut sum, mut flags) = (Labels::new(), 0, 0, 0.0, 0);
        let mut quantiles = Vec::new();
        while let Some((field, value)) = point.next()? {
            match field {
                7 => value::label(value.message()?, &mut own)?,
                3 => at = value.fixed64()?,
                4 => count = value.fixed64()?,
                5 => sum = value.double()?,
                6 => {
                    let (mut quantile, mut at_most) = (0.0, 0.0);
                    let mut parts = value.message()?;
                    while let Some((field, value)) = parts.next()? {
                        match field {
                            1 => quantile = value.double()?,
                            2 => at_most = value.double()?,
                            _ => {}
                        }
                    }
                    enough(quantiles.len())?;
                    quantiles.push((quantile, at_most));
                }
                8 => flags = value.varint()?,
                _ => {}
            }
        }
        let at = time(at)?;
        own.extend(labels.clone());
        let value = |number: f64| if flags & NO_RECORDED_VALUE != 0 { STALE } else { number };
        for (quantile, at_most) in quantiles {
            let label = Some(("quantile", quantile.to_string()));
            self.put(name, &own, label, Type::Summary, at, value(at_most), Temporality::None)?;
        }
        self.put(&format!("{name}_sum"), &own, None, Type::Summary, at, value(sum), Temporality::None)?;
        self.put(&format!("{name}_count"), &own, None, Type::Summary, at, value(count as f64), Temporality::None)
    }

    /// One sample of one series. A label of its own stands in place of one of that name.
    #[allow(clippy::too_many_arguments, reason = "what makes a sample, and no two of them belong together")]
    fn put(
        &mut self,
        name: &str,
        labels: &Labels,
        own: Option<(&str, String)>,
        told: Type,
        at: Timestamp,
        number: f64,
        temporality: Temporality,
    ) -> Result<(), Bad> {
        if self.batch.samples.len() == SAMPLES_MAX {
            let (what, max) = ("samples", SAMPLES_MAX);
            return Err(Bad::Whole(No::NotRead(NotRead::TooMany { what, max })));
        }
        let own = own.as_ref().map(|(name, value)| (*name, value.as_str()));
        let others = labels.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let others = others.filter(|(name, _)| *name != "__name__" && Some(*name) != own.map(|(name, _)| name));
        let mut all: Vec<(&str, &str)> = others.chain(own).chain([("__name__", name)]).collect();
        all.sort_unstable();
        let arena = &mut self.batch.arena;
        let begins = arena.len();
        let mut label = Vec::new();
        for (name, value) in all {
            label.clear();
            put(&mut label, 1, name.as_bytes());
            put(&mut label, 2, value.as_bytes());
            put(arena, 1, &label);
        }
        if arena.len() > self.reading.labels_max {
            let (what, max) = ("bytes of labels", self.reading.labels_max);
            return Err(Bad::Whole(No::NotRead(NotRead::TooMany { what, max })));
        }
        let hash = xxh3_64_with_seed(&arena[begins..], self.reading.seed);
        let number = match (&mut self.reading.deltas, temporality) {
            (Some(deltas), Temporality::Delta) if number.to_bits() != STALE.to_bits() => {
                match deltas.add(hash, at, number, self.reading.now) {
                    Ok(sum) => sum,
                    // It came before, and is taken: nothing is added twice.
                    Err(NotAdded::Before) => {
                        arena.truncate(begins);
                        return Ok(());
                    }
                    Err(NotAdded::NoRoom(max)) => {
                        arena.truncate(begins);
                        let problem =
                            format!("{max} series of differences are summed up already; send cumulative ones");
                        return Err(Bad::Point(problem));
                    }
                }
            }
            _ => number,
        };
        let labels = begins as u32..arena.len() as u32;
        self.batch.put_sample(Point { at, value: number })?;
        let (samples_end, element) = (self.batch.samples.len() as u32, (self.left.points + self.left.refused) as u32);
        self.batch.put_series(Row { hash, labels, samples_end, element, told })?;
        Ok(())
    }
}

/// What a metric's data are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Data {
    Gauge,
    Sum,
    Histogram,
    Exponential,
    Summary,
}

/// Nanoseconds since the epoch.
fn time(nanos: u64) -> Result<Timestamp, Bad> {
    match nanos {
        0 => Err(Bad::Point("time_unix_nano is missing".to_owned())),
        nanos => Ok(Timestamp::from_millis(i64::try_from(nanos / 1_000_000).unwrap_or(i64::MAX))),
    }
}

fn enough(buckets: usize) -> Result<(), Bad> {
    match buckets > BUCKETS_MAX {
        true => Err(Bad::Point(format!("it has over {BUCKETS_MAX} buckets or quantiles"))),
        false => Ok(()),
    }
}

/// Eight bytes each, one behind the other or each in a field of its own.
fn packed(value: Value<'_>, into: &mut Vec<u64>) -> Result<(), Bad> {
    match value {
        Value::Len(mut message) => {
            while let Some(number) = message.packed_fixed64()? {
                enough(into.len())?;
                into.push(number);
            }
        }
        value => {
            enough(into.len())?;
            into.push(value.fixed64()?);
        }
    }
    Ok(())
}

impl Left {
    /// Adds what the driver did not take. A histogram that it did not take is counted by its samples, up to all points.
    pub fn add(&mut self, outcome: &super::Outcome) {
        self.refused += outcome.refused_all().min(self.points);
        self.said.extend(outcome.told());
    }

    /// Data points that no samples are made of, by reason.
    pub fn outcome(&self, exponential: u64) -> super::Outcome {
        let mut outcome = super::Outcome::default();
        outcome.refused[Why::Point as usize] = self.refused - exponential;
        outcome
    }
}

#[cfg(test)]
mod tests;
