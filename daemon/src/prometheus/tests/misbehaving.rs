//! Servers that fail, and what is said of it: the query, the reason, what to do; never a secret.

use super::super::answer::{self, Grid, Instant, Unread};
use super::super::endpoint::Access;
use super::*;
use proptest::prelude::*;

/// Answers the first `times` questions with `bad`, then as it should.
fn fails_first(times: u64, bad: impl Fn() -> Reply + Send + Sync + 'static) -> Fake {
    let asked = AtomicU64::new(0);
    Fake::new(move |request| match asked.fetch_add(1, Ordering::SeqCst) < times {
        true => bad(),
        false => matrix(request, &["a"], wave),
    })
}

#[test]
fn what_fails_for_a_while_is_asked_again_later() {
    type Bad = fn() -> Reply;
    let bads: [(&str, Bad); 7] = [
        ("503", || error(503, "unavailable", "starting")),
        ("502 of a proxy", || reply(502, "", "<html><h1>Bad Gateway</h1></html>")),
        ("429", || error(429, "too_many_requests", "slow down")),
        ("500", || error(500, "internal", "a store is gone")),
        ("a connection that ends", || Reply::Raw(Vec::new())),
        ("half an answer", || {
            Reply::Raw(
                b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{\"status\":\"success\",\"data\":{\"resul".to_vec(),
            )
        }),
        ("half an answer that seems whole", || {
            json(r#"{"status":"success","data":{"resultType":"matrix","result":[{"#)
        }),
    ];
    for (what, bad) in bads {
        let fake = fails_first(2, bad);
        let (client, clock) = fake.client();
        let fetched = client.query_range(&asking(5), NOW, &Silent).unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!(fetched.range.tracks[0].values.len(), 5);
        let costs = client.costs();
        assert_eq!((costs.queries, costs.retries, costs.failed), (3, 2, 0), "{what}");
        // Between half and the whole of 1 s, then of 2 s.
        let waited = clock.elapsed().as_secs_f64();
        assert!((1.5..=3.0).contains(&waited), "{what}: {waited}");
    }
}

#[test]
fn a_server_says_itself_how_long_it_wants_to_be_left_alone() {
    let fake = fails_first(1, || reply(503, "Retry-After: 17\r\n", ""));
    let (client, clock) = fake.client();
    client.query_range(&asking(5), NOW, &Silent).expect("an answer");
    assert_eq!(clock.elapsed(), Duration::from_secs(17));
    let dates = "Date: Wed, 21 Oct 2015 07:28:00 GMT\r\nRetry-After: Wed, 21 Oct 2015 07:29:30 GMT\r\n";
    let fake = fails_first(1, move || reply(429, dates, ""));
    let (client, clock) = fake.client();
    client.query_range(&asking(5), NOW, &Silent).expect("an answer");
    assert_eq!(clock.elapsed(), Duration::from_secs(90));
    let fake = fails_first(1, || reply(503, "Retry-After: 86400\r\n", ""));
    let (client, clock) = fake.client();
    let failed = client.query_range(&asking(5), NOW, &Silent).expect_err("a day is too long");
    assert!(matches!(failed, QueryError::NoAnswer { tries: 1, .. }) && clock.elapsed().is_zero(), "{failed}");
}

#[test]
fn chance_is_from_a_seed_and_two_seeds_wait_otherwise() {
    let waited = |seed: u64| {
        let (mut client, clock) = fails_first(4, || reply(503, "", "")).client();
        client.seed = seed;
        client.query_range(&asking(5), NOW, &Silent).expect("an answer");
        clock.elapsed()
    };
    assert_eq!(waited(1), waited(1));
    assert_ne!(waited(1), waited(2));
}

#[test]
fn what_does_not_get_better_is_given_up_and_named() {
    let fake = fails_first(u64::MAX, || reply(503, "", "<html>Service <b>Unavailable</b></html>"));
    let (client, clock) = fake.client();
    let failed = client.query_range(&asking(5), NOW, &Silent).expect_err("it never answers");
    let said = failed.to_string();
    assert!(said.contains("`m > 0`") && said.contains("5 tries") && said.contains("Service Unavailable"), "{said}");
    assert!(said.contains(&fake.url) && !said.contains('<'), "{said}");
    assert!(clock.elapsed() <= Duration::from_secs(15));
    assert_eq!((client.costs().queries, client.costs().failed), (5, 1));
}

#[test]
fn nobody_there_is_told_after_some_tries() {
    let address = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port");
    let endpoint = Endpoint { url: format!("http://{address}"), ..Endpoint::default() };
    let clock = Arc::new(TestClock::default());
    let client = Client::with_clock(endpoint, QueryBudget::default(), 7, clock).expect("no files");
    let said = client.query("up", NOW).expect_err("nobody listens").to_string();
    assert!(said.contains(&address.to_string()) && said.contains("is it running?"), "{said}");
}

#[test]
fn an_expression_that_is_wrong_is_asked_once() {
    let text = r#"1:8: parse error: unexpected \"limit\", too many of them"#;
    let fake = Fake::new(move |_| error(400, "bad_data", text));
    let (client, _) = fake.client();
    let failed = client.query_range(&asking(5000), NOW, &Silent).expect_err("it does not parse");
    assert!(matches!(failed, QueryError::Refused { .. }), "{failed}");
    let said = failed.to_string();
    assert!(said.contains("`m > 0`") && said.contains("1:8: parse error: unexpected \"limit\""), "{said}");
    assert!(fake.ranges().len() <= 2 && client.costs().retries == 0, "both pieces once");
}

#[test]
fn one_evaluation_that_is_too_much_is_said_so() {
    let fake = Fake::new(|request| match request.is_count() {
        true => count(1),
        false => error(422, "execution", "the query exceeded the maximum number of chunks"),
    });
    let failed = fake.client().0.query_range(&asking(64), NOW, &Silent).expect_err("too much");
    assert!(matches!(failed, QueryError::TooMuch { .. }) && failed.to_string().contains("chunks"), "{failed}");
    assert!(fake.ranges().len() < 30, "halved, not tried out: {}", fake.ranges().len());
}

#[test]
fn what_is_no_prometheus_is_told_so_with_what_to_do() {
    type Bad = fn(&Request) -> Reply;
    let cases: [(&str, Bad, &[&str]); 11] = [
        ("a page", |_| reply(200, "", "<!DOCTYPE html><title>Sign in</title>"), &["not JSON", "Sign in"]),
        ("no page", |_| reply(404, "", "<h1>404</h1> page not found"), &["no Prometheus API", "404", "path"]),
        ("elsewhere", |_| reply(302, "Location: https://login/\r\n", ""), &["https://login/", "no Prometheus API"]),
        ("a door", |_| reply(401, "", "who are you"), &["bearer_token_file", "tenant", "401"]),
        ("no tenant", |_| reply(403, "", "no org id"), &["tenant", "no org id"]),
        ("other JSON", |_| json(r#"{"hello": "world"}"#), &["whether it is a success"]),
        ("no result", |_| json(r#"{"status":"success","data":{}}"#), &["no result"]),
        (
            "a string",
            |_| json(r#"{"status":"success","data":{"resultType":"string","result":[1,"x"]}}"#),
            &["a string"],
        ),
        (
            "other times",
            |_| json(r#"{"status":"success","data":{"result":[{"values":[[600001,"1"]]}]}}"#),
            &["not asked"],
        ),
        (
            "no number",
            |_| json(r#"{"status":"success","data":{"result":[{"values":[[600000,"x"]]}]}}"#),
            &["`x` is no number"],
        ),
        (
            "backwards",
            |_| json(r#"{"status":"success","data":{"result":[{"values":[[600060,"1"],[600000,"1"]]}]}}"#),
            &["do not grow"],
        ),
    ];
    for (what, bad, said) in cases {
        let fake = Fake::new(bad);
        let failed = fake.client().0.query_range(&asking(5), NOW, &Silent).expect_err(what).to_string();
        assert!(failed.contains(&fake.url), "{what}: {failed}");
        for word in said {
            assert!(failed.contains(word), "{what}: `{failed}` does not say `{word}`");
        }
        assert_eq!(fake.asked().len(), 1, "{what}: asking again does not help");
    }
}

#[test]
fn credentials_are_sent_and_never_said() {
    let dir = tempfile::tempdir().expect("a folder");
    let (token, key) = (dir.path().join("token"), dir.path().join("key"));
    std::fs::write(&token, "hunter2\n").expect("written");
    std::fs::write(&key, "opensesame").expect("written");
    let fake = Fake::new(|request| reply(401, "", &format!("not {}", request.header("x-scope-orgid"))));
    let header = |text: String| super::super::endpoint::Header::parse(&text).expect("a header");
    let endpoint = Endpoint {
        url: fake.url.clone(),
        tenant: Some("team-a".to_owned()),
        access: Access {
            headers: vec![header("X-Zone: eu".to_owned()), header(format!("X-Api-Key: @{}", key.display()))],
            bearer_token_file: Some(token.clone()),
            ..Access::default()
        },
    };
    let client = Client::new(endpoint.clone(), QueryBudget::default(), 7).expect("no certificates");
    let failed = client.query("up", NOW).expect_err("not let in");
    let asked = &fake.asked()[0];
    assert_eq!(asked.header("authorization"), "Bearer hunter2");
    assert_eq!(
        [asked.header("x-scope-orgid"), asked.header("x-zone"), asked.header("x-api-key")],
        ["team-a", "eu", "opensesame"]
    );
    let said = format!("{failed} {failed:?} {endpoint:?} {}", endpoint.identity());
    assert!(said.contains("team-a") && !said.contains("hunter2") && !said.contains("opensesame"), "{said}");
    std::fs::remove_file(&token).expect("there");
    let said = client.query("up", NOW).expect_err("no token").to_string();
    assert!(said.contains("token") && said.contains("cannot read"), "{said}");
    assert_eq!(fake.asked().len(), 1, "without its token nothing is sent");
}

#[test]
fn certificates_are_wanted_as_such() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("ca.pem");
    let client = |ca: &std::path::Path| {
        let access = Access { ca_file: Some(ca.to_owned()), ..Access::default() };
        let endpoint = Endpoint { url: "https://127.0.0.1:1".to_owned(), tenant: None, access };
        Client::new(endpoint, QueryBudget::default(), 7).map(|_| ()).expect_err("no certificates").to_string()
    };
    assert!(client(&file).contains("cannot read"));
    std::fs::write(&file, "hello").expect("written");
    assert!(client(&file).contains("holds no certificate"));
}

#[test]
fn rules_metadata_and_version_are_read() {
    let fake = Fake::new(|request| {
        json(match request.path.as_str() {
            "/api/v1/rules" => {
                r#"{"status":"success","data":{"groups":[{"name":"g","file":"/r.yml","interval":30,"limit":0,"rules":[
                {"state":"inactive","name":"Hot","query":"t > 1","duration":300,"keepFiringFor":60,"labels":{"severity":"page"},
                "annotations":{},"alerts":[],"health":"ok","lastError":"","type":"alerting"},
                {"name":"r","query":"sum(t)","health":"err","lastError":"boom","type":"recording"}]}]}}"#
            }
            "/api/v1/metadata" => r#"{"status":"success","data":{"t":[{"type":"gauge","help":"h","unit":""}]}}"#,
            _ => r#"{"status":"success","data":{"version":"2.42.0","goVersion":"go1.19"}}"#,
        })
    });
    let (client, _) = fake.client();
    let rules = client.rules().expect("rules");
    let [alert, record] = rules.groups[0].rules.as_slice() else { panic!("two rules") };
    assert_eq!((alert.duration, alert.keep_firing_for, alert.kind.as_str()), (300.0, 60.0, "alerting"));
    assert_eq!((alert.labels["severity"].as_str(), record.last_error.as_str()), ("page", "boom"));
    assert_eq!((rules.groups[0].interval, rules.groups[0].file.as_str()), (30.0, "/r.yml"));
    assert_eq!(client.metadata().expect("metadata")["t"][0].kind, "gauge");
    assert_eq!(client.build_info().expect("a version").version, "2.42.0");
    let fake = Fake::new(|_| json(r#"{"status":"success","data":{"groups":[{"rules":[]}]}}"#));
    let failed = fake.client().0.rules().expect_err("a group without a name").to_string();
    assert!(failed.contains("`name`") && failed.contains("rules"), "{failed}");
}

#[test]
fn instant_answers_of_each_kind_are_read() {
    let read = |result: &str| answer::instant(format!(r#"{{"status":"success","data":{result}}}"#).as_bytes(), 10);
    let value = |result: &str| read(result).expect("an answer").value;
    assert_eq!(value(r#"{"resultType":"scalar","result":[1.5,"-Inf"]}"#), Instant::Scalar(f64::NEG_INFINITY));
    assert_eq!(value(r#"{"resultType":"string","result":[1.5,"7"]}"#), Instant::String("7".to_owned()));
    assert_eq!(value(r#"{"result":[],"resultType":"vector"}"#), Instant::Vector(Vec::new()));
    let vector = r#"{"resultType":"vector","result":[{"metric":{"b":"2","a":"1"},"value":[1,"3"]},{"metric":{},"histogram":[1,{}]}]}"#;
    let answer = read(vector).expect("an answer");
    assert_eq!(answer.value, Instant::Vector(vec![(Labels::new([("a", "1"), ("b", "2")]), 3.0)]));
    assert_eq!(answer.histograms, 1);
    let many = vec![r#"{"metric":{},"value":[1,"3"]}"#; 20].join(",");
    assert!(matches!(read(&format!(r#"{{"result":[{many}]}}"#)), Err(Unread::TooMuch(_))));
    assert!(matches!(
        answer::instant(&br#"{"status":"error","errorType":"timeout","error":"t"}"#[..], 9),
        Err(Unread::Error { .. })
    ));
}

const ANSWER: &str = r#"{"status":"success","isPartial":false,"data":{"resultType":"matrix","result":[
    {"metric":{"__name__":"m","é":"\u00e9\n"},"values":[[600000,"1"],[600060.0,"NaN"],[600120,"+Inf"]]},
    {"metric":{},"values":[[600060,"-1.5e3"]],"histograms":[[600060,{"count":"2","buckets":[[0,"1","2","3"]]}]]},
    {"metric":{"h":"1"},"histograms":[[600060,{}]]}],"stats":{"samples":[1,2]}},"warnings":["w"],"infos":null}"#;

#[test]
fn a_matrix_is_read_with_all_that_values_may_be() {
    let grid = Grid { start: START, step: 60_000, steps: 3 };
    let matrix = answer::matrix(ANSWER.as_bytes(), grid, 100).expect("an answer");
    assert_eq!((matrix.points.len(), matrix.histograms, matrix.warnings.as_slice()), (2, 2, &["w".to_owned()][..]));
    let [one, other] = matrix.points.as_slice() else { panic!("two") };
    assert_eq!(one.labels.get("é"), "é\n");
    assert!(one.values[0] == (0, 1.0) && one.values[1].1.is_nan() && one.values[2] == (2, f64::INFINITY));
    assert_eq!(other.values, [(1, -1500.0)]);
}

proptest! {
    #![proptest_config(super::settings())]
    /// Whatever comes, it is an answer or an error, at no more than what was allowed.
    #[test]
    fn bytes_that_were_changed_on_the_way_harm_nobody(
        changes in prop::collection::vec((0..ANSWER.len(), any::<u8>()), 0..12), end in 0..=ANSWER.len(),
    ) {
        let mut bytes = ANSWER.as_bytes().to_vec();
        for (at, byte) in changes {
            bytes[at] = byte;
        }
        bytes.truncate(end);
        let grid = Grid { start: START, step: 60_000, steps: 3 };
        if let Ok(matrix) = answer::matrix(bytes.as_slice(), grid, 6) {
            prop_assert!(matrix.samples <= 6 && matrix.points.iter().all(|p| p.values.iter().all(|(k, _)| *k < 3)));
        }
        let _ = answer::instant(bytes.as_slice(), 6);
        let _ = answer::failure(bytes.as_slice());
    }
}
