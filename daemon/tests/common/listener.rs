//! A server of the test's own: it hands on what it is asked, and answers as the test says.

use super::PATIENCE;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};

/// One request.
#[derive(Clone, Debug)]
pub struct Asked {
    /// METHOD PATH
    pub line: String,
    /// In small letters, without what follows a request's line.
    pub head: String,
    pub body: String,
}

impl Asked {
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

pub struct Listener {
    /// HOST:PORT
    pub address: String,
    asked: Receiver<Asked>,
    /// Status line and body of each answer from now on.
    answer: Arc<Mutex<(String, String)>>,
}

impl Listener {
    pub fn start(status: &str) -> Listener {
        Listener::on(TcpListener::bind("127.0.0.1:0").expect("a free port"), status)
    }

    pub fn on(port: TcpListener, status: &str) -> Listener {
        let address = port.local_addr().expect("an address").to_string();
        let (to, asked) = channel();
        let answer = Arc::new(Mutex::new((status.to_owned(), String::new())));
        let said = Arc::clone(&answer);
        std::thread::spawn(move || {
            for mut stream in port.incoming().flatten() {
                let Some(asked) = read(&stream) else { continue };
                let (status, body) = said.lock().expect("whole").clone();
                let _ = write!(
                    stream,
                    "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                    body.len()
                );
                if to.send(asked).is_err() {
                    return;
                }
            }
        });
        Listener { address, asked, answer }
    }

    pub fn answers(&self, status: &str, body: &str) {
        *self.answer.lock().expect("whole") = (status.to_owned(), body.to_owned());
    }

    /// The next request that the test wants.
    pub fn next(&self, what: &str, wanted: impl Fn(&Asked) -> bool) -> Asked {
        loop {
            let asked = self.asked.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("waited in vain for {what}"));
            if wanted(&asked) {
                return asked;
            }
        }
    }

    /// What it was asked so far and nobody looked at.
    pub fn so_far(&self) -> Vec<Asked> {
        self.asked.try_iter().collect()
    }
}

fn read(stream: &TcpStream) -> Option<Asked> {
    let mut lines = BufReader::new(stream);
    let (mut line, mut head, mut len) = (String::new(), String::new(), 0);
    lines.read_line(&mut line).ok()?;
    loop {
        let mut header = String::new();
        if lines.read_line(&mut header).ok()? == 0 {
            return None;
        }
        if header.trim().is_empty() {
            break;
        }
        let header = header.to_ascii_lowercase();
        if let Some(text) = header.strip_prefix("content-length:") {
            len = text.trim().parse().ok()?;
        }
        head.push_str(&header);
    }
    let mut bytes = vec![0; len];
    lines.read_exact(&mut bytes).ok()?;
    let line = line.rsplit_once(' ').map_or("", |(line, _)| line).to_owned();
    Some(Asked { line, head, body: String::from_utf8(bytes).ok()? })
}
