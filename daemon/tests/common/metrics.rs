//! Messages of OTLP's metrics, derived by hand from their descriptions: prost writes them, which is not ours.

use prost::Message;

#[derive(Clone, PartialEq, Message)]
pub struct Export {
    #[prost(message, repeated, tag = "1")]
    pub resource_metrics: Vec<ResourceMetrics>,
}

#[derive(Clone, PartialEq, Message)]
pub struct ResourceMetrics {
    #[prost(message, optional, tag = "1")]
    pub resource: Option<Resource>,
    #[prost(message, repeated, tag = "2")]
    pub scope_metrics: Vec<ScopeMetrics>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Resource {
    #[prost(message, repeated, tag = "1")]
    pub attributes: Vec<KeyValue>,
}

#[derive(Clone, PartialEq, Message)]
pub struct ScopeMetrics {
    #[prost(message, repeated, tag = "2")]
    pub metrics: Vec<Metric>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Metric {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(string, tag = "3")]
    pub unit: String,
    #[prost(message, optional, tag = "5")]
    pub gauge: Option<Numbers>,
    #[prost(message, optional, tag = "7")]
    pub sum: Option<Numbers>,
    #[prost(message, optional, tag = "9")]
    pub histogram: Option<HistogramData>,
    #[prost(message, optional, tag = "10")]
    pub exponential: Option<HistogramData>,
    #[prost(message, optional, tag = "11")]
    pub summary: Option<SummaryData>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Numbers {
    #[prost(message, repeated, tag = "1")]
    pub data_points: Vec<Number>,
    #[prost(int32, tag = "2")]
    pub temporality: i32,
    #[prost(bool, tag = "3")]
    pub monotonic: bool,
}

#[derive(Clone, PartialEq, Message)]
pub struct Number {
    #[prost(message, repeated, tag = "7")]
    pub attributes: Vec<KeyValue>,
    #[prost(fixed64, tag = "2")]
    pub start: u64,
    #[prost(fixed64, tag = "3")]
    pub time: u64,
    #[prost(double, optional, tag = "4")]
    pub as_double: Option<f64>,
    #[prost(sfixed64, optional, tag = "6")]
    pub as_int: Option<i64>,
    #[prost(bytes = "vec", repeated, tag = "5")]
    pub exemplars: Vec<Vec<u8>>,
    #[prost(uint32, tag = "8")]
    pub flags: u32,
}

#[derive(Clone, PartialEq, Message)]
pub struct HistogramData {
    #[prost(message, repeated, tag = "1")]
    pub data_points: Vec<Histogram>,
    #[prost(int32, tag = "2")]
    pub temporality: i32,
}

#[derive(Clone, PartialEq, Message)]
pub struct Histogram {
    #[prost(message, repeated, tag = "9")]
    pub attributes: Vec<KeyValue>,
    #[prost(fixed64, tag = "3")]
    pub time: u64,
    #[prost(fixed64, tag = "4")]
    pub count: u64,
    #[prost(double, optional, tag = "5")]
    pub sum: Option<f64>,
    #[prost(fixed64, repeated, tag = "6")]
    pub bucket_counts: Vec<u64>,
    #[prost(double, repeated, tag = "7")]
    pub explicit_bounds: Vec<f64>,
    #[prost(uint32, tag = "10")]
    pub flags: u32,
}

#[derive(Clone, PartialEq, Message)]
pub struct SummaryData {
    #[prost(message, repeated, tag = "1")]
    pub data_points: Vec<Summary>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Summary {
    #[prost(fixed64, tag = "3")]
    pub time: u64,
    #[prost(fixed64, tag = "4")]
    pub count: u64,
    #[prost(double, tag = "5")]
    pub sum: f64,
    #[prost(message, repeated, tag = "6")]
    pub quantiles: Vec<Quantile>,
}

#[derive(Clone, Copy, PartialEq, Message)]
pub struct Quantile {
    #[prost(double, tag = "1")]
    pub quantile: f64,
    #[prost(double, tag = "2")]
    pub value: f64,
}

#[derive(Clone, PartialEq, Message)]
pub struct KeyValue {
    #[prost(bytes = "vec", tag = "1")]
    pub key: Vec<u8>,
    #[prost(message, optional, tag = "2")]
    pub value: Option<Any>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Any {
    #[prost(oneof = "Is", tags = "1, 2, 3, 4, 5, 6, 7")]
    pub is: Option<Is>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
pub enum Is {
    #[prost(string, tag = "1")]
    Text(String),
    #[prost(bool, tag = "2")]
    Bool(bool),
    #[prost(int64, tag = "3")]
    Int(i64),
    #[prost(double, tag = "4")]
    Double(f64),
    #[prost(message, tag = "5")]
    List(Array),
    #[prost(message, tag = "6")]
    Map(Pairs),
    #[prost(bytes = "vec", tag = "7")]
    Bytes(Vec<u8>),
}

#[derive(Clone, PartialEq, Message)]
pub struct Array {
    #[prost(message, repeated, tag = "1")]
    pub values: Vec<Any>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Pairs {
    #[prost(message, repeated, tag = "1")]
    pub values: Vec<KeyValue>,
}

/// What is answered.
#[derive(Clone, PartialEq, Message)]
pub struct Exported {
    #[prost(message, optional, tag = "1")]
    pub partial_success: Option<Partial>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Partial {
    #[prost(int64, tag = "1")]
    pub rejected_data_points: i64,
    #[prost(string, tag = "2")]
    pub error_message: String,
}

/// `google.rpc.Status`
#[derive(Clone, PartialEq, Message)]
pub struct Status {
    #[prost(int32, tag = "1")]
    pub code: i32,
    #[prost(string, tag = "2")]
    pub message: String,
}

pub const DELTA: i32 = 1;
pub const CUMULATIVE: i32 = 2;

pub fn text(text: &str) -> Any {
    value(Is::Text(text.to_owned()))
}

pub fn value(is: Is) -> Any {
    Any { is: Some(is) }
}

pub fn pair(key: &str, value: Any) -> KeyValue {
    KeyValue { key: key.into(), value: Some(value) }
}

/// A value at a time in milliseconds.
pub fn number(millis: i64, value: f64) -> Number {
    Number { time: millis as u64 * 1_000_000, as_double: Some(value), ..Number::default() }
}

pub fn metric(name: &str, unit: &str) -> Metric {
    Metric { name: name.to_owned(), unit: unit.to_owned(), ..Metric::default() }
}

pub fn gauge(name: &str, unit: &str, data_points: Vec<Number>) -> Metric {
    Metric { gauge: Some(Numbers { data_points, ..Numbers::default() }), ..metric(name, unit) }
}

pub fn counter(name: &str, unit: &str, temporality: i32, data_points: Vec<Number>) -> Metric {
    Metric { sum: Some(Numbers { data_points, temporality, monotonic: true }), ..metric(name, unit) }
}

pub fn histogram(millis: i64, bounds: &[f64], counts: &[u64], sum: f64) -> Histogram {
    Histogram {
        time: millis as u64 * 1_000_000,
        count: counts.iter().sum(),
        sum: Some(sum),
        bucket_counts: counts.to_vec(),
        explicit_bounds: bounds.to_vec(),
        ..Histogram::default()
    }
}

pub fn histograms(name: &str, unit: &str, temporality: i32, data_points: Vec<Histogram>) -> Metric {
    Metric { histogram: Some(HistogramData { data_points, temporality }), ..metric(name, unit) }
}

/// All of one service.
pub fn export(service: &[(&str, &str)], metrics: Vec<Metric>) -> Export {
    let attributes = service.iter().map(|(key, value)| pair(key, text(value))).collect();
    let resource = Some(Resource { attributes });
    Export { resource_metrics: vec![ResourceMetrics { resource, scope_metrics: vec![ScopeMetrics { metrics }] }] }
}
