//! Levels that shifted, as people meet the question: API, command line, metrics, and what outlives `kill -9`.

mod common;

use common::{Daemon, folder, run, shifted, wait_until};
use serde_json::{Value, json};

fn levels(proposal: &Value) -> Vec<(&str, i64, i64)> {
    let series = proposal["series"].as_array().expect("a list");
    let tens = |value: &Value| (value.as_f64().expect("a number") / 10.0).round() as i64;
    series
        .iter()
        .map(|one| (one["series"].as_str().expect("text"), tens(&one["before"]), tens(&one["after"])))
        .collect()
}

#[test]
fn two_that_shifted_together_are_asked_about_once_and_the_answer_outlives_a_kill() {
    let dir = folder();
    let daemon = shifted(dir.path());
    let proposal = daemon.list("/api/v1/proposals")[0].clone();
    assert_eq!(levels(&proposal), [("load", 10, 13), ("queue", 4, 2)], "in tens");
    assert_eq!((&proposal["id"], &proposal["open"], &proposal["asked"]), (&json!(1), &json!(true), &json!(1)));
    assert_eq!(
        (&proposal["series"][0]["owner"], &proposal["series"][1]["owner"]),
        (&json!("storage team"), &Value::Null)
    );
    assert!(proposal["accepted_at"].is_string(), "the one without an owner will be accepted: {proposal}");
    assert_eq!(daemon.metric("homeostat_proposals_open"), 1.0);
    assert!(run(dir.path(), &["status", "--url", &daemon.url()]).out.contains("proposals\t1 wait"), "status tells");
    assert_eq!(daemon.metric("homeostat_proposals_opened_total"), 1.0);
    let explained = daemon.data("/api/v1/explain?series=load");
    assert_eq!((&explained["owner"], &explained["proposal"]["id"]), (&json!("storage team"), &json!(1)));
    assert_eq!(daemon.data("/api/v1/explain?series=calm")["proposal"], Value::Null);
    let owners: Vec<Value> = daemon.list("/api/v1/series").iter().map(|row| row["owner"].clone()).collect();
    assert_eq!(owners, [Value::Null, json!("storage team"), Value::Null]);
    let event = daemon.list("/api/v1/events?kind=level_shift_proposed")[0].clone();
    assert_eq!((&event["event"]["id"], event["event"]["series"].as_array().map(Vec::len)), (&json!(1), Some(2)));

    daemon.signal("-KILL");
    drop(daemon);
    let daemon = Daemon::go_on(dir.path());
    assert_eq!(daemon.list("/api/v1/proposals?open=true"), [proposal], "the question outlives kill -9");
    let answered = daemon.post("/api/v1/proposals/1", &json!({ "answer": "accept", "comment": "more memory" }));
    assert_eq!(answered.status, 200, "{}", answered.text);
    let answered = answered.json()["data"].clone();
    let settled = |row: &Value| {
        row["series"].as_array().expect("a list").iter().map(|one| one["settled"].clone()).collect::<Vec<_>>()
    };
    assert_eq!((settled(&answered), &answered["open"]), (vec![json!("accepted"); 2], &json!(false)));
    daemon.signal("-KILL");
    drop(daemon);
    let daemon = Daemon::go_on(dir.path());
    let kept = daemon.list("/api/v1/proposals")[0].clone();
    assert_eq!((settled(&kept), &kept["comment"]), (vec![json!("accepted"); 2], &json!("more memory")));
    wait_until("bounds of the new level alone", || {
        let rows = daemon.list("/api/v1/thresholds?match[]=load");
        (rows[0]["supporting"]["min"].as_f64()? > 125.0).then_some(())
    });
    assert_eq!(daemon.list("/api/v1/proposals?open=true"), Vec::<Value>::new());
    assert_eq!(daemon.metric("homeostat_proposals_open"), 0.0);
}

#[test]
fn what_cannot_be_asked_or_answered_is_refused_with_what_is_wrong() {
    let dir = folder();
    let daemon = shifted(dir.path());
    let post = |path: &str, body: Value| daemon.post(path, &body);
    for (body, word) in [
        (json!({}), "answer"),
        (json!({ "answer": "maybe" }), "neither accept nor refuse"),
        (json!({ "answer": true }), "answer"),
        (json!({ "answer": "accept", "comment": 7 }), "comment"),
        (json!({ "answer": "accept", "why": "x" }), "why"),
    ] {
        let said = post("/api/v1/proposals/1", body.clone()).problem(422);
        assert!(said.contains(word), "{body}: {said}");
    }
    let accept = || json!({ "answer": "accept" });
    assert!(post("/api/v1/proposals/2", accept()).problem(404).contains("no proposal 2"));
    assert!(post("/api/v1/proposals/x", accept()).problem(404).contains("`x`"));
    assert!(post("/api/v1/proposals/1?now=1", accept()).problem(400).contains("now"));
    daemon.post_with("/api/v1/proposals/1", "Content-Type: text/plain\r\n", "{}").problem(415);
    daemon
        .post_with("/api/v1/proposals/1", "Content-Type: application/json\r\nOrigin: http://evil.example\r\n", "{}")
        .problem(403);
    daemon.get("/api/v1/proposals/1").problem(405);
    for query in ["open=maybe", "opne=true", "match[]=a{", "limit=0"] {
        daemon.get(&format!("/api/v1/proposals?{query}")).problem(400);
    }
    let count = |query: &str| daemon.list(&format!("/api/v1/proposals?{query}")).len();
    assert_eq!([count("match[]=queue"), count("match[]=calm"), count("open=true"), count("open=false")], [1, 0, 1, 0]);
    assert_eq!(daemon.pages("/api/v1/proposals", 1).len(), 1);
    assert_eq!(post("/api/v1/proposals/1", accept()).status, 200);
    assert!(post("/api/v1/proposals/1", accept()).problem(409).contains("settled already"));
}

#[test]
fn from_the_command_line_a_refused_level_is_trouble_until_it_is_accepted_after_all() {
    let dir = folder();
    let daemon = shifted(dir.path());
    let (url, home) = (daemon.url(), folder());
    let homeostat = |args: &[&str]| {
        let ran = run(&home, &[args, &["--url", &url]].concat());
        assert_eq!(ran.code, 0, "{args:?}: {}", ran.err);
        ran.out
    };
    let table = homeostat(&["proposals"]);
    let lines: Vec<Vec<&str>> = table.lines().map(|line| line.split('\t').collect()).collect();
    assert_eq!(lines[0], ["id", "series", "since", "before", "after", "owner", "answer"]);
    assert_eq!((lines[1][1], lines[1][5], lines[1][6]), ("load", "storage team", "waits"));
    assert!(lines[2][1] == "queue" && lines[2][6].starts_with("waits; accepted at 20"), "{table}");
    assert!(homeostat(&["explain", "load"]).contains("proposal\t1: its level shifted at 20"));

    let bounds = |series: &str| daemon.list(&format!("/api/v1/thresholds?match[]={series}"))[0].clone();
    wait_until("the new level, provisionally", || (bounds("load")["lower"].as_f64()? > 110.0).then_some(()));
    let told: Value =
        serde_json::from_str(&homeostat(&["proposals", "refuse", "1", "--comment", "leaks", "--output", "json"]))
            .expect("JSON");
    assert_eq!(told["data"]["series"][0]["settled"], "refused");
    let said = daemon.data("/api/v1/explain?series=load");
    assert!(said["in_force"]["upper"].as_f64().is_some_and(|upper| upper < 110.0), "the bounds before: {said}");
    assert!(said["window"]["masked"].as_u64() >= Some(350), "the time since is masked: {}", said["window"]);
    assert!(homeostat(&["explain", "load"]).contains("called trouble"));
    wait_until("a threshold learned without the trouble", || {
        let row = bounds("load");
        (row["supporting"]["max"].as_f64()? < 110.0 && row["upper"].as_f64()? < 110.0).then_some(())
    });
    assert!(homeostat(&["proposals"]).lines().count() == 1, "nothing waits");
    assert!(homeostat(&["proposals", "--all", "--match", "load"]).contains("refused"));

    daemon.signal("-KILL");
    drop(daemon);
    let daemon = Daemon::go_on(dir.path());
    let url = daemon.url();
    let again = run(&home, &["proposals", "accept", "1", "--url", &url]);
    assert_eq!((again.code, again.out.matches("accepted").count()), (0, 2), "{} {}", again.out, again.err);
    assert_eq!(daemon.metric("homeostat_proposals_total{answer=\"accepted\"}"), 1.0);
    let twice = run(&home, &["proposals", "accept", "1", "--url", &url]);
    assert!(twice.code == 2 && twice.err.contains("settled already"), "{} {}", twice.code, twice.err);
    wait_until("bounds of the new level", || {
        let rows = daemon.list("/api/v1/thresholds?match[]=load");
        (rows[0]["lower"].as_f64()? > 110.0).then_some(())
    });
    let help = run(&home, &["proposals", "--help"]).out;
    let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(help.contains("homeostat proposals refuse 3") && help.contains("three days"), "{help}");
}
