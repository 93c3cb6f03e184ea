//! Requests of remote-write, written by prost from messages derived by hand: an encoder that is not ours.

use super::{Answer, Daemon, PATIENCE};
use prost::Message;
use std::io::{Read, Write};
use std::net::TcpStream;

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

pub const ONE: &str =
    "Content-Type: application/x-protobuf\r\nContent-Encoding: snappy\r\nX-Prometheus-Remote-Write-Version: 0.1.0\r\n";
pub const TWO: &str = "Content-Type: application/x-protobuf;proto=io.prometheus.write.v2.Request\r\nContent-Encoding: snappy\r\n\
    X-Prometheus-Remote-Write-Version: 2.0.0\r\n";

impl Daemon {
    /// Sends bytes; the answer may come before all of them were read.
    pub fn send(&self, path: &str, headers: &str, body: &[u8]) -> Answer {
        let address = &self.address;
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: {address}\r\n{headers}Connection: close\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        sent(address, &head, body)
    }

    pub fn write_one(&self, request: &WriteRequest) -> Answer {
        self.send("/api/v1/write", ONE, &packed(request))
    }

    pub fn write_two(&self, request: &Request2) -> Answer {
        self.send("/api/v1/write", TWO, &packed(request))
    }
}

/// What is answered to a head and a body. The body of the answer may be any bytes; as text they are as UTF-8 has them.
pub fn sent(address: &str, head: &str, body: &[u8]) -> Answer {
    let mut stream = TcpStream::connect(address).expect("it listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    stream.set_write_timeout(Some(PATIENCE)).expect("a timeout");
    stream.write_all(head.as_bytes()).expect("a head is taken");
    // What is refused by its head is not read on.
    let _ = stream.write_all(body);
    let mut bytes = Vec::new();
    // A connection that is closed with bytes unread is reset behind the answer.
    let _ = stream.read_to_end(&mut bytes);
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").expect("an answer");
    let head = String::from_utf8(bytes[..end].to_vec()).expect("a head is text");
    let status = head.split(' ').nth(1).expect("a status").parse().expect("a number");
    Answer { status, head, text: String::from_utf8_lossy(&bytes[end + 4..]).into_owned() }
}
