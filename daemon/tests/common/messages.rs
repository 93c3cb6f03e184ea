//! Messages of remote-write, derived by hand from their descriptions: prost writes and reads them, which is not ours.

use prost::Message;

#[derive(Clone, PartialEq, Message)]
pub struct WriteRequest {
    #[prost(message, repeated, tag = "1")]
    pub timeseries: Vec<TimeSeries>,
    #[prost(message, repeated, tag = "3")]
    pub metadata: Vec<Metadata>,
}

#[derive(Clone, PartialEq, Message)]
pub struct TimeSeries {
    #[prost(message, repeated, tag = "1")]
    pub labels: Vec<Label>,
    #[prost(message, repeated, tag = "2")]
    pub samples: Vec<Sample>,
    #[prost(bytes = "vec", repeated, tag = "3")]
    pub exemplars: Vec<Vec<u8>>,
    #[prost(bytes = "vec", repeated, tag = "4")]
    pub histograms: Vec<Vec<u8>>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Label {
    /// Bytes on the wire are the same as those of text, which may then be none.
    #[prost(bytes = "vec", tag = "1")]
    pub name: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    pub value: Vec<u8>,
}

#[derive(Clone, Copy, PartialEq, Message)]
pub struct Sample {
    #[prost(double, tag = "1")]
    pub value: f64,
    #[prost(int64, tag = "2")]
    pub timestamp: i64,
    /// Of 2.0 alone.
    #[prost(int64, tag = "3")]
    pub start_timestamp: i64,
}

#[derive(Clone, PartialEq, Message)]
pub struct Metadata {
    #[prost(int32, tag = "1")]
    pub kind: i32,
    #[prost(string, tag = "2")]
    pub metric_family_name: String,
    #[prost(string, tag = "4")]
    pub help: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct Request2 {
    #[prost(bytes = "vec", repeated, tag = "4")]
    pub symbols: Vec<Vec<u8>>,
    #[prost(message, repeated, tag = "5")]
    pub timeseries: Vec<TimeSeries2>,
}

#[derive(Clone, PartialEq, Message)]
pub struct TimeSeries2 {
    #[prost(uint32, repeated, tag = "1")]
    pub labels_refs: Vec<u32>,
    #[prost(message, repeated, tag = "2")]
    pub samples: Vec<Sample>,
    #[prost(bytes = "vec", repeated, tag = "3")]
    pub histograms: Vec<Vec<u8>>,
    #[prost(bytes = "vec", repeated, tag = "4")]
    pub exemplars: Vec<Vec<u8>>,
    #[prost(message, optional, tag = "5")]
    pub metadata: Option<Metadata2>,
    /// As release candidates before the fourth had it.
    #[prost(int64, tag = "6")]
    pub created_timestamp: i64,
}

#[derive(Clone, Copy, PartialEq, Message)]
pub struct Metadata2 {
    #[prost(int32, tag = "1")]
    pub kind: i32,
    #[prost(uint32, tag = "3")]
    pub help_ref: u32,
    #[prost(uint32, tag = "4")]
    pub unit_ref: u32,
}

pub const COUNTER: i32 = 1;
pub const GAUGE: i32 = 2;
pub const HISTOGRAM: i32 = 3;

/// One series of 1.0, its labels as they are given.
pub fn series(labels: &[(&str, &str)], samples: &[(i64, f64)]) -> TimeSeries {
    let label = |(name, value): &(&str, &str)| Label { name: (*name).into(), value: (*value).into() };
    TimeSeries {
        labels: labels.iter().map(label).collect(),
        samples: samples.iter().map(|(timestamp, value)| sample(*timestamp, *value)).collect(),
        ..TimeSeries::default()
    }
}

pub fn sample(timestamp: i64, value: f64) -> Sample {
    Sample { value, timestamp, start_timestamp: 0 }
}

pub fn one(timeseries: Vec<TimeSeries>) -> WriteRequest {
    WriteRequest { timeseries, metadata: Vec::new() }
}

/// The same of 2.0: each label is a symbol of its own.
pub fn two(series: &[TimeSeries], kind: i32) -> Request2 {
    let mut request = Request2 { symbols: vec![Vec::new()], timeseries: Vec::new() };
    for one in series {
        let mut refs = Vec::new();
        for text in one.labels.iter().flat_map(|label| [&label.name, &label.value]) {
            let at = request.symbols.iter().position(|symbol| symbol == text).unwrap_or(request.symbols.len());
            if at == request.symbols.len() {
                request.symbols.push(text.clone());
            }
            refs.push(at as u32);
        }
        request.timeseries.push(TimeSeries2 {
            labels_refs: refs,
            samples: one.samples.clone(),
            histograms: one.histograms.clone(),
            exemplars: one.exemplars.clone(),
            metadata: Some(Metadata2 { kind, help_ref: 0, unit_ref: 0 }),
            created_timestamp: 0,
        });
    }
    request
}

pub fn packed(message: &impl Message) -> Vec<u8> {
    snappy(&message.encode_to_vec())
}

pub fn snappy(bytes: &[u8]) -> Vec<u8> {
    snap::raw::Encoder::new().compress_vec(bytes).expect("packed")
}
