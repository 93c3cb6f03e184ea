//! A load generator: series with seven labels, encoded as remote-write 1.0 and sent over a connection that stays.

use super::program::broken;
use crate::cli::Failed;
use homeostat_sim::chance::Chance;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// Samples in a request.
pub const AT_ONCE: usize = 2_000;

/// How often a request is sent that cannot be taken, and what lies between two tries.
const TRIES: usize = 60;
const PAUSE: Duration = Duration::from_secs(1);

/// What stands in every request of a series, for all of them one behind the other.
pub struct Labels {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Labels {
    pub fn new(series: usize) -> Labels {
        let (mut bytes, mut ends) = (Vec::new(), Vec::with_capacity(series));
        for n in 0..series {
            labels(n, &mut bytes);
            ends.push(bytes.len());
        }
        Labels { bytes, ends }
    }

    pub fn len(&self) -> usize {
        self.ends.len()
    }

    pub fn of(&self, n: usize) -> &[u8] {
        let start = if n == 0 { 0 } else { self.ends[n - 1] };
        &self.bytes[start..self.ends[n]]
    }
}

/// The name under which a receiver knows a series.
pub fn name(n: usize) -> String {
    let labels = values(n);
    let pairs: Vec<String> = labels[1..].iter().map(|(name, value)| format!("{name}=\"{value}\"")).collect();
    format!("{}{{{}}}", labels[0].1, pairs.join(","))
}

fn values(n: usize) -> [(&'static str, String); 7] {
    [
        ("__name__", "http_requests_in_flight".to_owned()),
        ("cluster", "europe-west".to_owned()),
        ("instance", format!("10.0.{}.{}:9100", n / 250 % 250, n % 250)),
        ("job", "frontend".to_owned()),
        ("namespace", "production".to_owned()),
        ("pod", format!("frontend-7d9f8b6c5-{n:06}")),
        ("zone", format!("zone-{}", n % 3)),
    ]
}

fn labels(n: usize, bytes: &mut Vec<u8>) {
    for (name, value) in &values(n) {
        let inner = 4 + name.len() + value.len();
        bytes.extend_from_slice(&[0x0a, inner as u8, 0x0a, name.len() as u8]);
        bytes.extend_from_slice(name.as_bytes());
        bytes.extend_from_slice(&[0x12, value.len() as u8]);
        bytes.extend_from_slice(value.as_bytes());
    }
}

/// Who sends.
pub struct Sender {
    stream: TcpStream,
    address: String,
    labels: Labels,
    chance: Chance,
    raw: Vec<u8>,
    packed: Vec<u8>,
}

impl Sender {
    /// To `/api/v1/write` of an address.
    pub fn new(address: &str, series: usize) -> Result<Sender, Failed> {
        Ok(Sender {
            stream: connect(address)?,
            address: address.to_owned(),
            labels: Labels::new(series),
            chance: Chance::new(5),
            raw: Vec::new(),
            packed: Vec::new(),
        })
    }

    /// One that was idle for long was closed.
    pub fn connect_again(&mut self, address: &str) -> Result<(), Failed> {
        (self.stream, self.address) = (connect(address)?, address.to_owned());
        Ok(())
    }

    /// An ordinary value, of three decimals as most gauges have.
    pub fn ordinary(&mut self) -> f64 {
        (1000.0 * (50.0 + 5.0 * self.chance.normal())).round() / 1000.0
    }

    /// Sends one ordinary sample of every series.
    pub fn round(&mut self, at: i64) -> Result<(), Failed> {
        self.rounds([at])
    }

    /// The same for each of these times, in requests that are full.
    pub fn rounds(&mut self, times: impl IntoIterator<Item = i64>) -> Result<(), Failed> {
        let (all, mut held) = (self.labels.len(), 0);
        self.raw.clear();
        for at in times {
            for n in 0..all {
                let value = self.ordinary();
                self.push(n, at, value);
                held += 1;
                if held == AT_ONCE {
                    self.send()?;
                    self.raw.clear();
                    held = 0;
                }
            }
        }
        if held == 0 { Ok(()) } else { self.send() }
    }

    /// The same of some of them, in one request.
    pub fn some(&mut self, series: std::ops::Range<usize>, at: i64) -> Result<(), Failed> {
        self.raw.clear();
        for n in series {
            let value = self.ordinary();
            self.push(n, at, value);
        }
        self.send()
    }

    /// One sample with a value of its own.
    pub fn one(&mut self, n: usize, at: i64, value: f64) -> Result<(), Failed> {
        self.raw.clear();
        self.push(n, at, value);
        self.send()
    }

    fn push(&mut self, n: usize, at: i64, value: f64) {
        let mut sample = [0_u8; 24];
        sample[0] = 0x09;
        sample[1..9].copy_from_slice(&value.to_le_bytes());
        sample[9] = 0x10;
        let length = 10 + varint(at as u64, &mut sample[10..]);
        let labels = self.labels.of(n);
        let inner = labels.len() + 2 + length;
        self.raw.push(0x0a);
        push_varint(inner as u64, &mut self.raw);
        self.raw.extend_from_slice(labels);
        self.raw.extend_from_slice(&[0x12, length as u8]);
        self.raw.extend_from_slice(&sample[..length]);
    }

    fn send(&mut self) -> Result<(), Failed> {
        let gone = |error: &dyn std::fmt::Display| broken("what is measured went away", error);
        self.packed.resize(snap::raw::max_compress_len(self.raw.len()), 0);
        let packed = snap::raw::Encoder::new().compress(&self.raw, &mut self.packed);
        let length = packed.map_err(|error| gone(&error))?;
        let head = format!(
            "POST /api/v1/write HTTP/1.1\r\nHost: {}\r\nContent-Type: application/x-protobuf\r\nContent-Encoding: snappy\r\n\
             X-Prometheus-Remote-Write-Version: 0.1.0\r\nContent-Length: {length}\r\n\r\n",
            self.address
        );
        // What cannot be taken now is sent again, as every sender does.
        for _ in 0..TRIES {
            self.stream.write_all(head.as_bytes()).map_err(|error| gone(&error))?;
            self.stream.write_all(&self.packed[..length]).map_err(|error| gone(&error))?;
            if self.answered()? {
                return Ok(());
            }
            std::thread::sleep(PAUSE);
            self.stream = connect(&self.address)?;
        }
        Err(Failed::World(format!("what is measured did not take a request in {TRIES} tries")))
    }

    /// Whether a request was taken; an error is one that another try would not mend.
    fn answered(&mut self) -> Result<bool, Failed> {
        let mut answer = [0_u8; 4096];
        let mut length = 0;
        while !answer[..length].ends_with(b"\r\n\r\n") {
            match self.stream.read(&mut answer[length..]) {
                Ok(0) | Err(_) => break,
                Ok(more) => length += more,
            }
        }
        match &answer[..length.min(12)] {
            b"HTTP/1.1 204" => Ok(true),
            b"HTTP/1.1 503" => Ok(false),
            _ => Err(Failed::World(format!(
                "what is measured did not take a request: {}",
                String::from_utf8_lossy(&answer[..length])
            ))),
        }
    }
}

fn connect(address: &str) -> Result<TcpStream, Failed> {
    let stream = TcpStream::connect(address);
    let stream = stream.and_then(|stream| stream.set_nodelay(true).map(|()| stream));
    stream.map_err(|error| broken("what is measured does not answer", &error))
}

fn varint(mut value: u64, into: &mut [u8]) -> usize {
    let mut length = 0;
    while value >= 0x80 {
        into[length] = value as u8 | 0x80;
        value >>= 7;
        length += 1;
    }
    into[length] = value as u8;
    length + 1
}

fn push_varint(value: u64, into: &mut Vec<u8>) {
    let mut bytes = [0; 10];
    let length = varint(value, &mut bytes);
    into.extend_from_slice(&bytes[..length]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_series_that_are_sent_are_called_as_they_are_looked_up() {
        let labels = Labels::new(300);
        let (name, bytes) = (name(299), labels.of(299));
        assert!(name.starts_with("http_requests_in_flight{cluster=") && name.contains("instance=\"10.0.1.49:9100\""));
        let mut rest = bytes;
        while let [0x0a, inner, 0x0a, length, more @ ..] = rest {
            let (label, more) = more.split_at(usize::from(*length));
            assert_eq!((more[0], usize::from(more[1])), (0x12, usize::from(*inner) - 4 - label.len()));
            let value = &more[2..2 + usize::from(more[1])];
            let text = |bytes| std::str::from_utf8(bytes).expect("text");
            let shown = if label == b"__name__" {
                text(value).to_owned()
            } else {
                format!("{}=\"{}\"", text(label), text(value))
            };
            assert!(name.contains(&shown), "{shown} in {name}");
            rest = &more[2 + value.len()..];
        }
        assert!(rest.is_empty(), "all of it was labels");
    }
}
