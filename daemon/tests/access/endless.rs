//! What somebody could have without end: records of the audit, lines of the log, a stream after a token; and what is told to whom.

use super::*;
use std::net::Shutdown;
use std::os::unix::fs::PermissionsExt;

#[test]
fn refused_tries_are_all_counted_and_some_a_minute_kept() {
    let dir = folder();
    let daemon = guarded(&dir, &names());
    for _ in 0..60 {
        post(&daemon, "/api/v1/freeze", READ, r#"{"frozen":true}"#).problem(403);
    }
    get(&daemon, "/api/v1/audit", READ).problem(403);
    post(&daemon, "/api/v1/freeze", FEEDBACK, r#"{"frozen":true}"#).problem(403);
    assert_eq!(metric(&daemon, "homeostat_http_refused_total{reason=\"role\"}"), 62.0);
    let rows = get(&daemon, "/api/v1/audit?limit=100", OPERATE).json()["data"].as_array().expect("a list").clone();
    let of = |who: &str| rows.iter().filter(|row| row["who"] == who).count();
    // A minute may have ended between the first and the last.
    assert!((10..=20).contains(&of("token the-read")), "{} are kept", of("token the-read"));
    assert_eq!(of("token the-feedback"), 1, "another one's tries are kept all the same");
    let log = read(&dir, "err");
    let lines = log.lines().filter(|line| line.contains("refused: ") && line.contains("the-read")).count();
    assert!((10..=20).contains(&lines), "{lines} lines of the log");
}

#[test]
fn a_stream_of_events_ends_with_the_token_that_opened_it() {
    let dir = folder();
    let until = homeostat::time::Timestamp::from_secs(common::now() as i64 + 3);
    let short = format!(
        "  - {{name: short, sha256: '{}', roles: [read], expires: '{until}'}}\nbasic_auth_users:",
        sha256("hst_token_that_is_short")
    );
    let daemon = guarded(&dir, &names().replace("basic_auth_users:", &short));
    let open = |token: &str| {
        let mut stream = TcpStream::connect(&daemon.address).expect("it listens");
        stream.set_read_timeout(Some(common::PATIENCE)).expect("a timeout");
        let head =
            format!("GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n{}", bearer(token));
        write!(stream, "{head}\r\n").expect("written");
        stream
    };
    let (mut short, mut long) = (open("hst_token_that_is_short"), open(READ));
    let mut said = Vec::new();
    short.read_to_end(&mut said).expect("it ends by itself, long before the patience does");
    assert!(said.starts_with(b"HTTP/1.1 200"), "{:?}", String::from_utf8_lossy(&said));
    assert!(common::now() >= until.millis() as u64 / 1000, "not before");
    // That of another token goes on: an event comes by it.
    assert_eq!(post(&daemon, "/api/v1/freeze", OPERATE, r#"{"frozen":true}"#).status, 200);
    let mut said = String::new();
    while !said.contains("\"frozen\"") {
        let mut piece = [0; 4096];
        let len = long.read(&mut piece).expect("it is open");
        assert!(len > 0, "it ended: {said}");
        said += &String::from_utf8_lossy(&piece[..len]);
    }
}

#[test]
fn a_file_with_secrets_that_everybody_can_read_is_told() {
    let dir = folder();
    write(&dir, "token", "hst_token_in_a_file");
    let text = "tokens:\n  - {name: filed, token_file: token, roles: [read]}\n";
    write(&dir, "access.yml", text);
    let mode = |name: &str, mode: u32| {
        let path = dir.path().join(name);
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("ours");
    };
    mode("access.yml", 0o640);
    mode("token", 0o600);
    let check = || run(&dir, &["access", "check", "access.yml"]);
    assert!(!check().out.contains("everybody"), "{}", check().out);
    mode("token", 0o644);
    let told = check();
    assert!(told.code == 0 && told.out.contains("everybody on this machine can read"), "{}", told.out);
    assert!(told.out.contains("token") && told.out.contains("chmod o-rwx"), "{}", told.out);
    configure(&dir, "http: {access: access.yml}\n");
    let daemon = Daemon::go_on(&dir);
    let warned = |what: &str| read(&dir, "err").lines().any(|line| line.contains("can read") && line.contains(what));
    assert!(warned("token") && !warned("access.yml"), "{}", read(&dir, "err"));
    // A version that comes into force later is looked at in the same way.
    write(&dir, "access.yml", &format!("{text}clients: []\n").replace("clients: []\n", "# changed\n"));
    mode("access.yml", 0o644);
    assert_eq!(daemon.post_with("/-/reload", &bearer("hst_token_in_a_file"), "").status, 403);
    daemon.signal("-HUP");
    wait_until("a warning", || warned("access.yml").then_some(()));
}

/// Whoever closes the half that they send on has said all, and still wants to hear.
#[test]
fn who_closes_the_sending_half_gets_the_answer() {
    let dir = folder();
    let daemon = guarded(&dir, &names());
    let body = r#"{"frozen":true}"#;
    for (request, wanted) in [
        (format!("GET /api/v1/freeze HTTP/1.1\r\nHost: localhost\r\n{}\r\n", bearer(READ)), "HTTP/1.1 200"),
        (
            format!(
                "POST /api/v1/freeze HTTP/1.1\r\nHost: localhost\r\n{}Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
                bearer(OPERATE),
                body.len()
            ),
            "HTTP/1.1 200",
        ),
        (format!("GET /api/v1/state HTTP/1.1\r\nHost: localhost\r\n{}\r\n", bearer("hst_nobodys")), "HTTP/1.1 401"),
    ] {
        let mut stream = TcpStream::connect(&daemon.address).expect("it listens");
        stream.set_read_timeout(Some(common::PATIENCE)).expect("a timeout");
        stream.write_all(request.as_bytes()).expect("written");
        stream.shutdown(Shutdown::Write).expect("open");
        let mut said = String::new();
        stream.read_to_string(&mut said).expect("an answer, and the end");
        assert!(said.starts_with(wanted), "{request}: {said}");
    }
    assert_eq!(get(&daemon, "/api/v1/freeze", READ).json()["data"]["frozen"], true);
}

#[test]
fn a_handshake_that_fails_is_told_with_its_reason_and_not_without_end() {
    let dir = folder();
    Authority::new(&dir, "ours").sign(&dir, "server");
    write(&dir, "access.yml", &format!("{TLS}{}", names()));
    configure(&dir, "http: {access: access.yml}\n");
    let daemon = Daemon::go_on(&dir);
    for _ in 0..20 {
        let mut stream = TcpStream::connect(&daemon.address).expect("it listens");
        stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").expect("written");
        let mut said = Vec::new();
        // It is closed, by whichever end comes first.
        let _ = stream.read_to_end(&mut said);
    }
    let lines = || read(&dir, "err").lines().filter(|line| line.contains("a TLS handshake failed: ")).count();
    assert!((3..=6).contains(&lines()), "{}", read(&dir, "err"));
    let log = read(&dir, "err");
    let line = log.lines().find(|line| line.contains("a TLS handshake failed: ")).expect("told");
    assert!(line.contains("127.0.0.1") && line.to_lowercase().contains("corrupt message"), "{line}");
}

#[cfg(target_os = "linux")]
#[test]
fn what_is_wrong_with_the_store_is_told_to_who_was_let_in_alone() {
    let dir = folder();
    let daemon = guarded(&dir, &names());
    daemon.limit_file_size("0");
    wait_until("a disk that is full", || {
        let answer = post(&daemon, "/api/v1/freeze", OPERATE, r#"{"frozen":true}"#);
        (answer.status / 100 == 5).then_some(())
    });
    let said = daemon.get("/-/ready");
    assert!(said.status == 200 && said.text.starts_with("ready, but events cannot be stored"), "{}", said.text);
    assert!(
        !said.text.contains("homeostat.db") && !said.text.contains(&dir.path().display().to_string()),
        "{}",
        said.text
    );
    let told = get(&daemon, "/api/v1/statistics", READ).json()["data"]["store_problem"].clone();
    assert!(told.as_str().is_some_and(|told| told.contains("homeostat.db")), "{told}");
    let status = cli(&dir, &daemon, Some(READ), &["status"]);
    assert!(
        status.out.lines().any(|line| line.starts_with("events") && line.contains("homeostat.db")),
        "{}",
        status.out
    );
    daemon.limit_file_size("unlimited");
    wait_until("room", || {
        get(&daemon, "/api/v1/statistics", READ).json()["data"]["store_problem"].is_null().then_some(())
    });
    assert_eq!(daemon.get("/-/ready").text, "ready\n");
}

/// A connection that was taken just before the file changed, and asks just after it.
#[test]
fn who_had_asked_nothing_yet_when_the_file_changed_is_answered() {
    let dir = folder();
    let daemon = guarded(&dir, &names());
    let open = || {
        let stream = TcpStream::connect(&daemon.address).expect("it listens");
        stream.set_read_timeout(Some(common::PATIENCE)).expect("a timeout");
        stream
    };
    let ask = |stream: &mut TcpStream, token: &str| {
        write!(stream, "GET /api/v1/freeze HTTP/1.1\r\nHost: localhost\r\n{}\r\n", bearer(token)).expect("written");
        let mut said = [0; 12];
        stream.read_exact(&mut said).map(|()| String::from_utf8_lossy(&said).into_owned())
    };
    let (mut fresh, mut old_token) = (open(), open());
    wait_until("both", || (metric(&daemon, "homeostat_http_connections") >= 3.0).then_some(()));
    write(&dir, "access.yml", &names().replace(&sha256(READ), &sha256("hst_another_that_reads")));
    assert_eq!(daemon.post_with("/-/reload", &bearer(OPERATE), "").status, 200);
    assert_eq!(ask(&mut fresh, "hst_another_that_reads").expect("an answer"), "HTTP/1.1 200");
    assert_eq!(ask(&mut old_token, READ).expect("an answer"), "HTTP/1.1 401", "by the file that is in force");
    // After its answer it ends, like all others.
    let mut rest = Vec::new();
    fresh.read_to_end(&mut rest).expect("the end");
}
