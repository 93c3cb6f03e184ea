//! Callbacks of a real daemon to real sockets: one that listens, one that never answers, one that always fails, and one
//! where nobody is.

mod common;

use common::{Daemon, PATIENCE, folder, read, wait_until};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};

/// A port of our own, with its address.
fn port() -> (TcpListener, String) {
    let port = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = port.local_addr().expect("an address").to_string();
    (port, address)
}

/// The body of one request.
fn body(stream: &TcpStream) -> Option<Value> {
    let mut lines = BufReader::new(stream);
    let mut len = 0;
    loop {
        let mut line = String::new();
        if lines.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let line = line.trim().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(text) = line.strip_prefix("content-length:") {
            len = text.trim().parse().ok()?;
        }
    }
    let mut bytes = vec![0; len];
    lines.read_exact(&mut bytes).ok()?;
    serde_json::from_slice(&bytes).ok()
}

/// Answers every request with a status, and hands on what it held.
fn answering(status: &'static str) -> (String, Receiver<Value>) {
    let (port, address) = port();
    let (to, bodies) = channel();
    std::thread::spawn(move || {
        for mut stream in port.incoming().flatten() {
            let Some(body) = body(&stream) else { continue };
            let _ = write!(stream, "HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            if to.send(body).is_err() {
                return;
            }
        }
    });
    (address, bodies)
}

#[test]
fn news_reaches_who_listens_whatever_the_others_do() {
    let folder = folder();
    let (good, news) = answering("200 OK");
    let (angry, refused) = answering("500 Internal Server Error");
    let (silent, silent_address) = port();
    let (nobody, nobody_address) = port();
    drop(nobody);
    let hooks = format!(
        "webhooks:\n- {{url: 'http://{good}/a', loops: [anomaly_feedback]}}\n- {{url: 'http://{silent_address}/', timeout: \
         100ms}}\n- {{url: 'http://{angry}/secret'}}\n- {{url: 'http://{nobody_address}/'}}\n"
    );
    let daemon = Daemon::learned(&folder, &hooks);
    // The silent one takes connections and never answers; its backlog is the kernel's.
    let mut ids = Vec::new();
    for verdict in ["false", "true", "missed"].iter().cycle().take(30) {
        let said = daemon.post("/api/v1/feedback", &json!({ "series": "load", "verdict": verdict }));
        assert_eq!(said.status, 200, "{}", said.text);
        ids.push(said.json()["id"].clone());
    }
    let (mut told, mut adjusted) = (Vec::new(), false);
    while told.len() < ids.len() || !adjusted {
        let body = news.recv_timeout(PATIENCE).expect("news");
        for stored in body["data"].as_array().expect("a list") {
            let event = &stored["event"];
            assert!(stored["seq"].is_u64() && stored["at"].is_string(), "{stored}");
            match event["kind"].as_str() {
                Some("signalled") => {
                    assert_eq!(event["signal"]["loop"], "anomaly_feedback", "only the loop that was named");
                    told.push(event["signal"]["id"].clone());
                }
                Some("adjusted") => adjusted = true,
                kind => assert!(kind == Some("withheld") || kind == Some("loop_paused"), "{kind:?}"),
            }
        }
    }
    assert_eq!(told, ids, "in order, each once");
    let failed =
        |number: u32| daemon.try_metric(&format!("homeostat_webhook_failed_events_total{{webhook=\"{number}\"}}"));
    for number in [2, 3, 4] {
        wait_until("failures to be counted", || failed(number).filter(|count| *count > 0.0));
    }
    assert_eq!(failed(1), Some(0.0));
    let delivered = daemon.try_metric("homeostat_webhook_delivered_events_total{webhook=\"1\"}");
    assert!(delivered >= Some(ids.len() as f64), "{delivered:?}");
    assert!(refused.try_recv().is_ok(), "it was asked");
    let said = read(&folder, "err");
    let lines = |address: &str| said.lines().filter(|line| line.contains(address)).count();
    assert_eq!((lines(&angry), lines(&nobody_address), lines(&good)), (1, 1, 0), "the first failure alone: {said}");
    assert!(!said.contains("secret"), "{said}");
    drop(silent);
    daemon.stop();
}

#[test]
fn one_that_comes_back_is_told_again() {
    let folder = folder();
    let (absent, address) = port();
    drop(absent);
    let daemon = Daemon::learned(&folder, &format!("webhooks: [{{url: 'http://{address}/', timeout: 1s}}]\n"));
    wait_until("a failure", || {
        daemon.try_metric("homeostat_webhook_failed_events_total{webhook=\"1\"}").filter(|count| *count > 0.0)
    });
    let back = TcpListener::bind(&address).expect("the same port");
    let (mut stream, _) = back.accept().expect("the next cycle's news");
    assert!(body(&stream).is_some_and(|news| !news["data"].as_array().expect("a list").is_empty()));
    write!(stream, "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n").expect("answered");
    drop(stream);
    wait_until("a delivery", || {
        daemon.try_metric("homeostat_webhook_delivered_events_total{webhook=\"1\"}").filter(|count| *count > 0.0)
    });
    assert!(read(&folder, "err").contains("takes news again"));
}
