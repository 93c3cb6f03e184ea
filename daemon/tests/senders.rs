//! Senders that send too much, damaged bytes, or the same as others: each is told by a status what helps, and no other suffers.

mod common;

use common::messages::{GAUGE, TimeSeries, one, packed, series, snappy, two};
use common::sent::{ONE, TWO, sent};
use common::{Daemon, folder, now, wait_until, write};
use prost::Message;
use std::io::Write;
use std::net::TcpStream;
use tempfile::TempDir;

fn daemon(folder: &TempDir, more: &str) -> Daemon {
    write(folder, "homeostat.yaml", &format!("host: {{enabled: false}}\n{more}"));
    Daemon::go_on(folder.path())
}

fn millis() -> i64 {
    now() as i64 * 1000
}

fn some(count: usize) -> Vec<TimeSeries> {
    let now = millis();
    (0..count).map(|n| series(&[("__name__", "m"), ("n", &n.to_string())], &[(now, 1.0)])).collect()
}

/// A field of bytes; `tag` is under 16.
fn field(tag: u8, bytes: &[u8]) -> Vec<u8> {
    let mut all = vec![tag << 3 | 2];
    prost::encoding::encode_varint(bytes.len() as u64, &mut all);
    all.extend_from_slice(bytes);
    all
}

#[test]
fn hostile_requests_get_the_status_that_is_specified_and_the_field_named() {
    let folder = folder();
    let daemon = daemon(&folder, "");
    let good = one(some(3)).encode_to_vec();
    let over_long =
        [good.clone(), field(1, &[0x0a, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80])].concat();
    let mut candidate = two(&some(2), GAUGE);
    candidate.timeseries[1].created_timestamp = 7;
    let bomb = snappy(&vec![0; 100 << 20]);
    let gib = [0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0, 0];
    let million = snappy(&field(1, &[0x12, 0].repeat(1_000_001)));
    let cases: Vec<(&str, Vec<u8>, u16, &str)> = vec![
        (ONE, bomb.clone(), 413, "the body would have 104857600 bytes when it is uncompressed; at most 33554432"),
        (TWO, bomb, 413, "the body would have 104857600 bytes"),
        (ONE, gib.to_vec(), 413, "the body would have 4294967295 bytes"),
        (ONE, million, 413, "the request has over 1000000 samples"),
        (ONE, Vec::new(), 400, "the body is not snappy's block format"),
        (ONE, good.clone(), 400, "the body is not snappy's block format"),
        (ONE, packed(&one(some(3)))[..20].to_vec(), 400, "the body is not snappy's block format"),
        (ONE, snappy(&good[..good.len() - 1]), 400, "WriteRequest: it is cut off"),
        (ONE, snappy(&over_long), 400, "timeseries[3]: a number has more than ten bytes"),
        (ONE, snappy(&field(1, &field(2, &[8, 1]))), 400, "timeseries[0].samples: it has another wire type"),
        (ONE, snappy(&[0x0b]), 400, "WriteRequest: a field has the wire type 3"),
        (TWO, packed(&candidate), 400, "timeseries[1].created_timestamp: field 6"),
        (TWO, snappy(&good), 400, "Request: a field from 1 to 3"),
        ("Content-Type: application/json\r\n", b"{}".to_vec(), 415, "send application/x-protobuf"),
        ("Content-Type: application/x-protobuf;proto=x.Y\r\n", Vec::new(), 415, "the message `x.Y` is not taken"),
        ("Content-Type: application/x-protobuf\r\nContent-Encoding: zstd\r\n", good, 415, "send snappy"),
    ];
    for (headers, body, status, wanted) in cases {
        let answer = daemon.send("/api/v1/write", headers, &body);
        assert_eq!(answer.status, status, "{wanted}: {}", answer.text);
        assert!(answer.text.contains(wanted), "{wanted}: {}", answer.text);
        let written = answer.header("x-prometheus-remote-write-samples-written");
        assert_eq!(written, (headers == TWO).then_some("0"), "{wanted}");
    }
    assert!(daemon.names().is_empty(), "nothing of them was taken");
    // A body that is too large by its own words is not waited for; one that does not say is read to the limit and no further.
    let large = vec![0; 100 << 20];
    assert_eq!(daemon.send("/api/v1/write", ONE, &large).status, 413);
    let head = format!(
        "POST /api/v1/write HTTP/1.1\r\nHost: {0}\r\n{ONE}Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n",
        daemon.address
    );
    let mut chunks = Vec::new();
    for piece in large.chunks(1 << 20) {
        write!(chunks, "{:x}\r\n", piece.len()).expect("written");
        chunks.extend_from_slice(piece);
        chunks.extend_from_slice(b"\r\n");
    }
    let answer = sent(&daemon.address, &head, &chunks);
    assert!(answer.status == 413 && answer.text.contains("receive.body_max"), "{} {}", answer.status, answer.text);
    assert_eq!(daemon.write_one(&one(some(3))).status, 204, "others are taken as before");
    let memory = daemon.metric("process_resident_memory_bytes");
    assert!(memory < 300e6, "{memory} bytes after bodies of 100 MB");
}

#[test]
fn damaged_bytes_are_answered_one_by_one_and_the_daemon_goes_on() {
    let folder = folder();
    let daemon = daemon(&folder, "");
    let mut state = 7_u64;
    let mut chance = |below: usize| {
        // splitmix64, from a fixed seed.
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = (state ^ state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ z >> 31) % below as u64) as usize
    };
    let bodies = [(ONE, one(some(4)).encode_to_vec()), (TWO, two(&some(4), GAUGE).encode_to_vec())];
    let mut seen = std::collections::BTreeSet::new();
    for round in 0..300 {
        let (headers, whole) = &bodies[round % 2];
        let mut bytes = whole.clone();
        for _ in 0..=chance(3) {
            let at = chance(bytes.len());
            match chance(4) {
                0 => bytes[at] = chance(256) as u8,
                1 => bytes.truncate(at.max(1)),
                2 => bytes.insert(at, chance(256) as u8),
                _ => bytes.extend_from_within(at..),
            }
        }
        let mut body = snappy(&bytes);
        if chance(4) == 0 {
            let at = chance(body.len());
            body[at] ^= chance(256) as u8;
        }
        let answer = daemon.send("/api/v1/write", headers, &body);
        assert!([204, 400, 413].contains(&answer.status), "round {round} (seed 7): {} {}", answer.status, answer.text);
        assert_eq!(answer.status == 204, answer.text.is_empty(), "round {round}: {}", answer.text);
        seen.insert(answer.status);
    }
    assert!(seen.contains(&204) && seen.contains(&400), "{seen:?}");
    assert_eq!(daemon.write_one(&one(some(4))).status, 204);
}

#[test]
fn a_sender_over_its_quota_is_asked_to_come_later_and_nothing_of_it_is_taken() {
    let folder = folder();
    let daemon = daemon(&folder, "receive: {samples_per_second_max: 2}\n");
    assert_eq!(daemon.write_one(&one(some(20))).status, 204, "ten seconds' worth at once");
    let answer = daemon.write_two(&two(&some(10), GAUGE));
    assert_eq!(answer.status, 429);
    assert!(
        answer.text.contains("127.0.0.1 sends over 2 samples a second (receive.samples_per_second_max)"),
        "{}",
        answer.text
    );
    let after: u64 = answer.header("retry-after").expect("when").parse().expect("seconds");
    assert!((1..=5).contains(&after), "{after}");
    assert_eq!(answer.header("x-prometheus-remote-write-samples-written"), Some("0"));
    assert_eq!(daemon.metric("homeostat_receive_over_quota_total"), 1.0);
}

#[test]
fn labels_that_explode_are_capped_by_sender_and_told_with_the_label() {
    let folder = folder();
    let daemon = daemon(&folder, "receive: {series_per_sender_max: 10}\n");
    assert_eq!(daemon.write_one(&one(some(10))).status, 204);
    let answer = daemon.write_one(&one(some(15)));
    assert_eq!(answer.status, 400);
    let said = &answer.text;
    assert!(said.starts_with("5 samples were refused (5 sender_full), 10 taken: timeseries[10].labels: "), "{said}");
    assert!(
        said.contains("receive.series_per_sender_max is 10") && said.contains("`n` has the most values (10, like `9`)"),
        "{said}"
    );
    assert_eq!(daemon.names().len(), 10);
    assert_eq!(daemon.metric(r#"homeostat_receive_refused_total{reason="sender_full"}"#), 5.0);
}

#[test]
fn of_replicas_one_is_taken_and_the_other_is_told_that_all_is_well() {
    let folder = folder();
    let daemon = daemon(&folder, "receive: {replica_labels: [__replica__]}\n");
    let now = millis();
    let of = |replica: &str, at: i64| {
        vec![series(&[("__name__", "up"), ("__replica__", replica), ("cluster", "eu")], &[(at, 1.0)])]
    };
    assert_eq!(daemon.write_one(&one(of("a", now - 2000))).status, 204);
    let answer = daemon.write_two(&two(&of("b", now - 1000), GAUGE));
    assert_eq!(answer.status, 204);
    assert_eq!(answer.header("x-prometheus-remote-write-samples-written"), Some("1"), "the other replica has it");
    assert_eq!(daemon.write_one(&one(of("a", now))).status, 204);
    let rows = daemon.list("/api/v1/series");
    assert_eq!((rows.len(), &rows[0]["series"]), (1, &r#"up{cluster="eu"}"#.into()));
    assert_eq!(daemon.metric(r#"homeostat_samples_total{fate="duplicate"}"#), 0.0);
    assert_eq!(daemon.metric("homeostat_receive_standby_samples_total"), 1.0);
    assert_eq!(daemon.metric("homeostat_receive_failovers_total"), 0.0);
}

#[test]
#[cfg(target_os = "linux")]
fn what_cannot_be_stored_is_not_acknowledged_and_tried_again() {
    let folder = folder();
    let daemon = daemon(&folder, "");
    assert_eq!(daemon.write_one(&one(some(2))).status, 204);
    daemon.limit_file_size("0");
    let later = |n: i64| one(vec![series(&[("__name__", &format!("later{n}"))], &[(millis() + n, 1.0)])]);
    let mut n = 0;
    let answer = wait_until("a disk that is full", || {
        n += 1;
        let answer = daemon.write_one(&later(n));
        (answer.status != 204).then_some(answer)
    });
    assert_eq!(answer.status, 503, "{}", answer.text);
    assert_eq!(answer.header("retry-after"), Some("1"));
    assert!(answer.text.contains("cannot be stored"), "{}", answer.text);
    daemon.limit_file_size("unlimited");
    wait_until("room", || (daemon.write_one(&later(n)).status == 204).then_some(()));
}

#[test]
fn senders_that_stop_in_the_middle_keep_no_others_waiting() {
    let folder = folder();
    let daemon = daemon(&folder, "");
    let body = packed(&one(some(5)));
    let head = format!(
        "POST /api/v1/write HTTP/1.1\r\nHost: {}\r\n{ONE}Content-Length: {}\r\n\r\n",
        daemon.address, 8_000_000
    );
    let half: Vec<TcpStream> = (0..200)
        .map(|_| {
            let mut stream = TcpStream::connect(&daemon.address).expect("it listens");
            stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body)).expect("sent");
            stream
        })
        .collect();
    for _ in 0..20 {
        assert_eq!(daemon.write_one(&one(some(5))).status, 204);
    }
    drop(half);
    assert_eq!(daemon.write_one(&one(some(5))).status, 204);
    assert_eq!(daemon.names().len(), 5);
}
