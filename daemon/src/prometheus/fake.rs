//! A server for tests, which answers as it is told to, and misbehaves in each way that one does.

use super::Client;
use super::budget::QueryBudget;
use super::clock::TestClock;
use super::endpoint::Endpoint;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// What was asked: path, parameters and headers.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: String,
    pub path: String,
    pub parameters: Vec<(String, String)>,
    pub headers: Vec<(String, String)>,
}

impl Request {
    pub fn parameter(&self, name: &str) -> &str {
        self.parameters.iter().find(|(own, _)| own == name).map_or("", |(_, value)| value)
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(own, _)| own.eq_ignore_ascii_case(name)).map_or("", |(_, value)| value)
    }

    pub fn millis(&self, name: &str) -> i64 {
        (self.parameter(name).parse::<f64>().expect("a number") * 1000.0).round() as i64
    }

    pub fn is_count(&self) -> bool {
        self.path == "/api/v1/query"
    }

    /// The times it asks for, in milliseconds.
    pub fn times(&self) -> impl Iterator<Item = i64> {
        let (start, end, step) = (self.millis("start"), self.millis("end"), self.millis("step"));
        (start..=end).step_by(usize::try_from(step).expect("a step"))
    }
}

/// What is answered, as bytes; `Nothing` keeps the connection open until the client gives up.
pub enum Reply {
    Raw(Vec<u8>),
    Nothing,
}

pub fn reply(status: u16, headers: &str, body: &str) -> Reply {
    let length = body.len();
    Reply::Raw(
        format!("HTTP/1.1 {status} X\r\nConnection: close\r\n{headers}Content-Length: {length}\r\n\r\n{body}").into(),
    )
}

pub fn json(body: &str) -> Reply {
    reply(200, "Content-Type: application/json\r\n", body)
}

pub fn error(status: u16, kind: &str, text: &str) -> Reply {
    reply(status, "", &format!(r#"{{"status":"error","errorType":"{kind}","error":"{text}"}}"#))
}

/// A count of series, as an instant query gives it.
pub fn count(series: u64) -> Reply {
    json(&format!(
        r#"{{"status":"success","data":{{"resultType":"vector","result":[{{"metric":{{}},"value":[1,"{series}"]}}]}}}}"#
    ))
}

/// A matrix of series, each with a value per time where `value` gives one.
pub fn matrix(request: &Request, series: &[&str], value: impl Fn(&str, i64) -> Option<f64>) -> Reply {
    let mut rows = Vec::new();
    for name in series {
        let mut values = String::new();
        for at in request.times() {
            if let Some(value) = value(name, at) {
                let comma = if values.is_empty() { "" } else { "," };
                write!(values, "{comma}[{},\"{value}\"]", at as f64 / 1000.0).expect("text");
            }
        }
        if !values.is_empty() {
            rows.push(format!(r#"{{"metric":{{"__name__":"m","s":"{name}"}},"values":[{values}]}}"#));
        }
    }
    json(&format!(r#"{{"status":"success","data":{{"resultType":"matrix","result":[{}]}}}}"#, rows.join(",")))
}

/// A value that tells series and time apart.
pub fn wave(series: &str, at: i64) -> Option<f64> {
    let noise = xxhash_rust::xxh3::xxh3_64(format!("{series}{at}").as_bytes());
    Some((noise >> 40) as f64 / 7.0)
}

pub struct Fake {
    pub url: String,
    asked: Arc<Mutex<Vec<Request>>>,
}

impl Fake {
    pub fn new(answer: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Fake {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (log, answer) = (Arc::clone(&asked), Arc::new(answer));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (log, answer) = (Arc::clone(&log), Arc::clone(&answer));
                std::thread::spawn(move || serve(stream, &log, &*answer));
            }
        });
        Fake { url, asked }
    }

    pub fn client(&self) -> (Client, Arc<TestClock>) {
        self.client_with(QueryBudget::default())
    }

    pub fn client_with(&self, budget: QueryBudget) -> (Client, Arc<TestClock>) {
        let clock = Arc::new(TestClock::default());
        let endpoint = Endpoint { url: self.url.clone(), ..Endpoint::default() };
        (Client::with_clock(endpoint, budget, 7, clock.clone()).expect("no files"), clock)
    }

    pub fn asked(&self) -> Vec<Request> {
        self.asked.lock().expect("nobody panics with it").clone()
    }

    /// Range queries alone.
    pub fn ranges(&self) -> Vec<Request> {
        self.asked().into_iter().filter(|request| request.path == "/api/v1/query_range").collect()
    }
}

pub fn serve(mut stream: TcpStream, log: &Mutex<Vec<Request>>, answer: &dyn Fn(&Request) -> Reply) {
    let mut reader = BufReader::new(stream.try_clone().expect("a second hand"));
    let mut first = String::new();
    if reader.read_line(&mut first).unwrap_or(0) == 0 {
        return;
    }
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).expect("a head");
        match line.trim().split_once(':') {
            Some((name, value)) => headers.push((name.to_owned(), value.trim().to_owned())),
            None => break,
        }
    }
    let mut words = first.split(' ');
    let (method, target) = (words.next().expect("a method"), words.next().expect("a target"));
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut request = Request { method: method.to_owned(), path: path.to_owned(), parameters: Vec::new(), headers };
    let length = request.header("content-length").parse().unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body).expect("a body");
    let body = String::from_utf8(body).expect("text");
    for pair in query.split('&').chain(body.split('&')).filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').expect("a pair");
        request.parameters.push((unescaped(name), unescaped(value)));
    }
    log.lock().expect("nobody panics with it").push(request.clone());
    match answer(&request) {
        // Who has read enough goes away.
        Reply::Raw(bytes) => _ = stream.write_all(&bytes),
        Reply::Nothing => _ = reader.read_to_string(&mut String::new()),
    }
}

pub fn unescaped(text: &str) -> String {
    let (mut bytes, mut rest) = (Vec::new(), text.bytes());
    while let Some(byte) = rest.next() {
        match byte {
            b'%' => {
                let hex = [rest.next(), rest.next()].map(|digit| char::from(digit.expect("a digit")));
                bytes.push(u8::from_str_radix(&String::from_iter(hex), 16).expect("hex"));
            }
            b'+' => bytes.push(b' '),
            byte => bytes.push(byte),
        }
    }
    String::from_utf8(bytes).expect("text")
}
