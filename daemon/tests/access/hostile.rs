//! Those who hold others up: idle by the thousand, slow, half closed, too long.

use super::*;
use std::net::Shutdown;

/// From an address of loopback that is not that of the tests.
fn from_elsewhere(runtime: &tokio::runtime::Runtime, daemon: &Daemon) -> std::io::Result<std::net::TcpStream> {
    let _inside = runtime.enter();
    let socket = tokio::net::TcpSocket::new_v4()?;
    socket.bind("127.0.0.2:0".parse().expect("an address"))?;
    let stream = runtime.block_on(socket.connect(daemon.address.parse().expect("an address")))?.into_std()?;
    stream.set_nonblocking(false)?;
    Ok(stream)
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

#[cfg(target_os = "linux")]
#[test]
fn ten_thousand_idle_connections_starve_nobody_else() {
    const IDLE: usize = 10_000;
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let wanted = limit.maximum.map_or(20_000, |most| most.min(20_000));
    let raised = rustix::process::Rlimit { current: Some(wanted), ..limit };
    rustix::process::setrlimit(rustix::process::Resource::Nofile, raised).expect("up to what is allowed");
    let count = IDLE.min(wanted as usize - 500);
    let dir = folder();
    let daemon = guarded(&dir, &names());
    let runtime = runtime();
    // One that was let in, and is kept open meanwhile.
    let mut kept = TcpStream::connect(&daemon.address).expect("it listens");
    let mut ask = || {
        write!(kept, "GET /api/v1/freeze HTTP/1.1\r\nHost: localhost\r\n{}\r\n", bearer(READ)).expect("it is open");
        let mut said = [0; 4096];
        let len = kept.read(&mut said).expect("an answer");
        assert!(said[..len].starts_with(b"HTTP/1.1 200"), "{:?}", String::from_utf8_lossy(&said[..len]));
    };
    ask();
    let mut idle = Vec::with_capacity(count);
    for n in 0..count {
        idle.push(from_elsewhere(&runtime, &daemon).expect("taken, or put aside"));
        if n % 250 == 0 {
            ask();
            assert_eq!(get(&daemon, "/api/v1/state", READ).status, 200, "after {n}");
        }
    }
    assert_eq!(get(&daemon, "/api/v1/state", READ).status, 200);
    wait_until("what gave way", || {
        let displaced = metric(&daemon, "homeostat_http_connections_closed_total{why=\"displaced\"}");
        (displaced + 600.0 >= count as f64).then_some(())
    });
    assert!(metric(&daemon, "homeostat_http_connections") < 600.0);
    // The same address gets in as well, at the cost of one of its own.
    let mut own = from_elsewhere(&runtime, &daemon).expect("taken");
    write!(own, "GET /-/ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").expect("written");
    let mut said = String::new();
    own.read_to_string(&mut said).expect("an answer");
    assert!(said.starts_with("HTTP/1.1 200"), "{said}");
    drop(idle);
    wait_until("their end", || (metric(&daemon, "homeostat_http_connections") < 10.0).then_some(()));
}

#[test]
fn who_dawdles_is_cut_off_and_who_may_not_enter_need_not_be_listened_to() {
    let dir = folder();
    let daemon = guarded(&dir, &names());
    let send = |text: &str| {
        let mut stream = TcpStream::connect(&daemon.address).expect("it listens");
        stream.set_read_timeout(Some(common::PATIENCE)).expect("a timeout");
        stream.write_all(text.as_bytes()).expect("written");
        stream
    };
    let head = "POST /api/v1/freeze HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";
    // A body of a gigabyte is announced, and none of it sent.
    let mut unknown = send(&format!("{head}Content-Length: 1000000000\r\n\r\n"));
    let mut said = String::new();
    unknown.read_to_string(&mut said).expect("an answer, and the end");
    assert!(said.starts_with("HTTP/1.1 401") && said.contains("connection: close"), "{said}");
    let mut known = send(&format!("{head}{}Content-Length: 1000000000\r\n\r\n", bearer(OPERATE)));
    let mut start = [0; 12];
    known.read_exact(&mut start).expect("an answer");
    assert_eq!(&start, b"HTTP/1.1 413");

    let slow = [
        send(""),
        send("GET /-/ready HTTP/1.1\r\nHost: local"),
        send(&format!("{head}X-Filler: {}", "x".repeat(1000))),
    ];
    // Half of them is closed before all was said: what is missing comes no more.
    let half = send(&format!("{head}{}Content-Length: 10\r\n\r\n{{", bearer(OPERATE)));
    half.shutdown(Shutdown::Write).expect("open");
    let closed = send("");
    closed.shutdown(Shutdown::Write).expect("open");
    for mut stream in slow.into_iter().chain([half, closed]) {
        assert_eq!(get(&daemon, "/api/v1/state", READ).status, 200, "others are served meanwhile");
        let mut said = Vec::new();
        // A reset is an end, too.
        let _ = stream.read_to_end(&mut said);
        assert!(!said.starts_with(b"HTTP/1.1 2"), "{:?}", String::from_utf8_lossy(&said));
    }
    let large = format!("GET /-/ready HTTP/1.1\r\nHost: localhost\r\nX-Filler: {}\r\n\r\n", "x".repeat(70_000));
    let mut stream = TcpStream::connect(&daemon.address).expect("it listens");
    let _ = stream.write_all(large.as_bytes());
    let mut said = Vec::new();
    let _ = stream.read_to_end(&mut said);
    assert!(!said.starts_with(b"HTTP/1.1 2"), "{:?}", String::from_utf8_lossy(&said));
    wait_until("nothing left behind", || (metric(&daemon, "homeostat_http_connections") < 3.0).then_some(()));
    assert!(metric(&daemon, "homeostat_http_refused_total{reason=\"too_slow\"}") >= 1.0);
    assert_eq!(get(&daemon, "/api/v1/freeze", READ).json()["data"]["frozen"], Value::Bool(false));
}

/// Whatever was changed is on record, also when nobody waited to hear of it.
#[test]
fn who_goes_away_before_the_answer_leaves_a_record_of_what_they_changed() {
    let dir = folder();
    let daemon = guarded(&dir, &names());
    let body = r#"{"frozen":true}"#;
    for _ in 0..50 {
        let mut stream = TcpStream::connect(&daemon.address).expect("it listens");
        let head = bearer(OPERATE) + "Content-Type: application/json\r\n";
        let length = body.len();
        write!(
            stream,
            "POST /api/v1/freeze HTTP/1.1\r\nHost: localhost\r\n{head}Content-Length: {length}\r\n\r\n{body}"
        )
        .expect("written");
        stream.shutdown(Shutdown::Both).expect("it was open");
    }
    // The last one is asked as it should be, and is done after those before it.
    assert_eq!(post(&daemon, "/api/v1/freeze", OPERATE, body).status, 200);
    let count = |path: &str, token: &str| get(&daemon, path, token).json()["data"].as_array().expect("a list").len();
    let changes = || count("/api/v1/events?kind=frozen&limit=1000", READ);
    wait_until("records of all changes", || {
        let changed = changes();
        (changed > 1 && count("/api/v1/audit?limit=1000", OPERATE) == changed).then_some(())
    });
}
