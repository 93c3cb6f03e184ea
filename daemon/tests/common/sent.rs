//! Requests of senders, and what is answered to them.

use super::messages::{Request2, WriteRequest, one, packed, series};
use super::{Answer, Daemon, PATIENCE};
use std::io::{Read, Write};
use std::net::TcpStream;

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

/// A connection that stays open from request to request, to a daemon that may go away meanwhile.
pub struct Connection {
    stream: TcpStream,
    address: String,
}

impl Connection {
    pub fn to(daemon: &Daemon) -> Connection {
        let stream = TcpStream::connect(&daemon.address).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout is not zero");
        stream.set_nodelay(true).expect("a socket takes it");
        Connection { stream, address: daemon.address.clone() }
    }

    /// The status that is answered. What an answer says besides is not read: it has to be one without a body.
    pub fn write_one(&mut self, request: &WriteRequest) -> std::io::Result<u16> {
        let body = packed(request);
        let (address, len) = (&self.address, body.len());
        let head = format!("POST /api/v1/write HTTP/1.1\r\nHost: {address}\r\n{ONE}Content-Length: {len}\r\n\r\n");
        self.stream.write_all(&[head.as_bytes(), &body].concat())?;
        let (mut answer, mut some) = (Vec::new(), [0; 1024]);
        while !answer.ends_with(b"\r\n\r\n") {
            match self.stream.read(&mut some)? {
                0 => return Err(std::io::ErrorKind::UnexpectedEof.into()),
                len => answer.extend_from_slice(&some[..len]),
            }
        }
        Ok(String::from_utf8_lossy(&answer).split(' ').nth(1).expect("a status").parse().expect("a number"))
    }
}

/// What is answered to a head and a body. The body of the answer may be any bytes; as text they are as UTF-8 has them.
pub fn sent(address: &str, head: &str, body: &[u8]) -> Answer {
    let mut stream = TcpStream::connect(address).expect("it listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout is not zero");
    stream.set_write_timeout(Some(PATIENCE)).expect("a timeout is not zero");
    stream.write_all(head.as_bytes()).expect("a head is read");
    // What is refused by its head is not read on.
    let _ = stream.write_all(body);
    let mut bytes = Vec::new();
    // A connection that is closed with bytes unread is reset behind the answer.
    let _ = stream.read_to_end(&mut bytes);
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").expect("an answer");
    let head = String::from_utf8(bytes[..end].to_vec()).expect("a head is text");
    let status = head.split(' ').nth(1).expect("a status").parse().expect("a number");
    let body = bytes.split_off(end + 4);
    Answer { status, head, text: String::from_utf8_lossy(&body).into_owned(), bytes: body }
}

/// The request of one moment of a sender of so many series: one sample of each, a second after the moment before.
pub fn moment(count: usize, begin: i64, turn: i64) -> WriteRequest {
    let at = (begin + turn) * 1000;
    let each = |n: usize| {
        let label = n.to_string();
        series(&[("__name__", "sent"), ("n", label.as_str())], &[(at, (turn * 7919 % 101) as f64 + n as f64)])
    };
    one((0..count).map(each).collect())
}

/// Samples of each series, of those that such a sender has.
pub fn held(daemon: &Daemon) -> Vec<i64> {
    let rows = daemon.pages("/api/v1/series", 1000);
    let sent = rows.iter().filter(|row| row["series"].as_str().is_some_and(|name| name.starts_with("sent{")));
    sent.map(|row| row["samples"].as_i64().expect("a number")).collect()
}
