//! `homeostat tune` against a server of our own: what is proposed, what is written, and what is said when the server is not as
//! one wishes.

mod common;
#[path = "tune/promtool.rs"]
mod promtool;

use common::*;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;

/// Two weeks, a value a minute.
const START: i64 = 1_750_000_020;
const MINUTES: i64 = 14 * 1440;
const UNTIL: &str = "1751209620";

/// What an expression gives: its series, and their values by the minute.
type Series = Box<dyn Fn(i64) -> Option<f64> + Send + Sync>;

enum Given {
    Series(Vec<(Value, Series)>),
    /// Status, further headers, body.
    Answer(u16, &'static str, String),
}

/// A server with the API of Prometheus, for the expressions that it knows.
struct Server {
    url: String,
}

impl Server {
    fn start(known: BTreeMap<&'static str, Given>) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let known = Arc::new(known);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let known = Arc::clone(&known);
                // Whoever asked may be gone when the answer comes.
                std::thread::spawn(move || answer(stream, &known).ok());
            }
        });
        Server { url }
    }
}

fn answer(stream: TcpStream, known: &BTreeMap<&'static str, Given>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut first = String::new();
    reader.read_line(&mut first)?;
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        if line.trim().is_empty() {
            break;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().expect("a length");
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let target = first.split(' ').nth(1).unwrap_or_default().to_owned();
    let (path, mut query) = target.split_once('?').map_or((target.as_str(), String::new()), |(p, q)| (p, q.to_owned()));
    query += &format!("&{}", String::from_utf8(body).expect("text"));
    let parameters: BTreeMap<String, String> =
        query.split('&').filter_map(|pair| pair.split_once('=')).map(|(n, v)| (n.to_owned(), decoded(v))).collect();
    let (status, headers, body) = respond(path, &parameters, known);
    let mut stream = stream;
    write!(stream, "HTTP/1.1 {status} x\r\nContent-Type: application/json\r\n{headers}")?;
    write!(stream, "Content-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
}

fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let (mut out, mut at) = (Vec::new(), 0);
    while at < bytes.len() {
        let escaped = (bytes[at] == b'%').then(|| u8::from_str_radix(&text[at + 1..at + 3], 16).expect("hex"));
        out.push(escaped.unwrap_or(if bytes[at] == b'+' { b' ' } else { bytes[at] }));
        at += if escaped.is_some() { 3 } else { 1 };
    }
    String::from_utf8(out).expect("text")
}

fn success(kind: &str, result: Value) -> (u16, String, String) {
    let body = json!({ "status": "success", "data": { "resultType": kind, "result": result } });
    (200, String::new(), body.to_string())
}

fn respond(
    path: &str,
    parameters: &BTreeMap<String, String>,
    known: &BTreeMap<&'static str, Given>,
) -> (u16, String, String) {
    if path.ends_with("/rules") {
        return (200, String::new(), json!({ "status": "success", "data": { "groups": live() } }).to_string());
    }
    let query = parameters.get("query").map(|query| query.trim().to_owned()).unwrap_or_default();
    let counted = query.strip_prefix("count(\n").and_then(|rest| rest.strip_suffix("\n)")).map(str::to_owned);
    let expr = counted.clone().unwrap_or_else(|| query.clone());
    let number = |name: &str| parameters.get(name).map_or(0.0, |text| text.parse::<f64>().expect("seconds"));
    let series = match known.get(expr.trim()) {
        Some(Given::Series(series)) => series,
        Some(Given::Answer(status, headers, body)) => return (*status, (*headers).to_owned(), body.clone()),
        None if query.starts_with("max(count_over_time(") => {
            return success("vector", json!([sample(&json!({}), 0, 10.0)]));
        }
        None => &Vec::new(),
    };
    let at = |seconds: i64, series: &Series| {
        let minute = (seconds - START).div_euclid(60);
        if (0..=MINUTES).contains(&minute) { series(minute) } else { None }
    };
    if path.ends_with("/query") {
        let time = number("time") as i64;
        let there = series.iter().filter(|(_, values)| at(time, values).is_some()).count();
        let result =
            if counted.is_some() && there > 0 { json!([sample(&json!({}), time, there as f64)]) } else { json!([]) };
        return success("vector", result);
    }
    let (start, end, step) = (number("start") as i64, number("end") as i64, number("step") as i64);
    let matrix: Vec<Value> = series
        .iter()
        .filter_map(|(labels, values)| {
            let samples: Vec<Value> = (start..=end)
                .step_by(step as usize)
                .filter_map(|time| Some(json!([time, at(time, values)?.to_string()])))
                .collect();
            (!samples.is_empty()).then(|| json!({ "metric": labels, "values": samples }))
        })
        .collect();
    success("matrix", json!(matrix))
}

fn sample(labels: &Value, time: i64, value: f64) -> Value {
    json!({ "metric": labels, "value": [time, value.to_string()] })
}

fn live() -> Value {
    json!([{ "name": "busy", "file": "/etc/rules.yml", "interval": 60, "rules": [
        { "type": "alerting", "name": "Busy", "query": "busy > 80", "duration": 0, "labels": {}, "annotations": {} },
        { "type": "recording", "name": "a:b", "query": "sum(a)" }
    ]}])
}

/// A hash of a minute, 0 to 1: noise that is the same in every run.
fn noise(minute: i64, salt: i64) -> f64 {
    let mut x = (minute
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(salt.wrapping_mul(1_442_695_040_888_963_407))) as u64;
    x = (x ^ (x >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    ((x ^ (x >> 33)) >> 11) as f64 / (1_u64 << 53) as f64
}

/// About 50, with bursts of three minutes to about 88 five times a day, and one incident of two hours at 97 in host 0.
fn busy(host: i64) -> (Value, Series) {
    let values = move |minute: i64| {
        let base = 50.0 + 10.0 * noise(minute, host);
        // Bursts come at hours of their own, not by the clock.
        let slot = minute / 288;
        let begin = slot * 288 + (noise(slot, 100 + host) * 280.0) as i64;
        let burst = (begin..begin + 3).contains(&minute);
        let incident = host == 0 && (9 * 1440..9 * 1440 + 120).contains(&minute);
        Some(if incident {
            97.0 + noise(minute, 9)
        } else if burst {
            84.0 + 8.0 * noise(minute, 7)
        } else {
            base
        })
    };
    (json!({ "__name__": "busy", "host": format!("h{host}") }), Box::new(values))
}

const RULES: &str = "\
groups:
- name: busy
  rules:
  # Hosts that work hard.
  - alert: Busy80
    expr: busy > 80 and on (host) enabled == 1 # more than 80
    labels: {severity: warning}
    annotations:
      summary: 'Busier than 80 for 2 of 3 hours'
  - alert: Down
    expr: up == 0
  - alert: Quiet
    expr: busy > 99.5
  - record: busy:max
    expr: max(busy)
";

fn server() -> Server {
    let enabled =
        |host: i64| (json!({ "__name__": "enabled", "host": format!("h{host}") }), Box::new(|_| Some(1.0)) as Series);
    let down = (
        json!({ "__name__": "up", "host": "h1" }),
        Box::new(|minute: i64| (100..105).contains(&(minute % 1440)).then_some(0.0)) as Series,
    );
    Server::start(BTreeMap::from([
        ("busy", Given::Series((0..4).map(busy).collect())),
        ("busy{host=\"h0\"}", Given::Series(vec![busy(0)])),
        ("enabled", Given::Series((0..4).map(enabled).collect())),
        ("enabled == 1", Given::Series((0..4).map(enabled).collect())),
        ("up == 0", Given::Series(vec![down])),
    ]))
}

fn tune(dir: &tempfile::TempDir, server: &Server, more: &[&str]) -> Ran {
    let mut args = vec!["tune", "--prometheus", &server.url, "--until", UNTIL, "--since", "14d"];
    args.extend(more);
    run(dir, &args)
}

fn rows(ran: &Ran) -> Vec<Value> {
    let answer: Value = serde_json::from_str(&ran.out).unwrap_or_else(|_| panic!("{}{}", ran.out, ran.err));
    answer["data"].as_array().expect("a list").clone()
}

#[test]
fn a_rule_that_pages_for_bursts_is_proposed_better_and_the_rest_is_left_with_its_reason() {
    let (dir, server) = (folder(), server());
    write(&dir, "rules.yml", RULES);
    let ran = tune(&dir, &server, &["rules.yml", "--output", "json"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let rows = rows(&ran);
    let names: Vec<&str> = rows.iter().map(|row| row["rule"].as_str().expect("a name")).collect();
    assert_eq!(names, ["Busy80", "Down", "Quiet"]);
    let busy = &rows[0];
    assert_eq!((&busy["verdict"], &busy["over_budget"]), (&json!("change"), &json!(true)), "{busy}");
    // Five bursts a day and host, and the incident.
    let pages = busy["pages_per_week"].as_f64().expect("a rate");
    assert!((130.0..=141.0).contains(&pages), "{pages}");
    assert!(busy["proposed_pages_per_week"].as_f64().expect("a rate") <= 2.0, "{busy}");
    assert!((0.0..=1.0).contains(&busy["confidence"].as_f64().expect("a share")), "{busy}");
    assert_eq!(busy["literals"][0]["old"], json!(80.0));
    assert_eq!(busy["literals"][0]["compares"], json!("busy"));
    assert_eq!(busy["guards"][0]["reason"], json!("equality"));
    assert_eq!((&busy["line"], &busy["interval_s"]), (&json!(5), &json!(60.0)));
    let down = &rows[1];
    assert_eq!((&down["verdict"], &down["reason"]), (&json!("leave"), &json!("equality")));
    assert!((down["pages_per_week"].as_f64().expect("a rate") - 7.0).abs() < 0.01, "{down}");
    assert_eq!(
        (&rows[2]["verdict"], &rows[2]["reason"], &rows[2]["over_budget"]),
        (&json!("leave"), &json!("inside_budget"), &json!(false))
    );
    // The incident is told of by the proposal: the sum says so.
    assert!(ran.err.contains("3 rules over 14d"), "{}", ran.err);

    let ran = tune(&dir, &server, &["rules.yml"]);
    let table: Vec<Vec<&str>> = ran.out.lines().map(|line| line.split('\t').collect()).collect();
    assert_eq!(table[0], ["RULE", "WHERE", "PAGES/WEEK", "WOULD BE", "CHANGE", "CONFIDENCE", "WHY"]);
    assert_eq!((table[1][0], table[1][1]), ("Busy80", "rules.yml:5"));
    assert!(table[2][6].starts_with("left alone: it asks for a state"), "{:?}", table[2]);
    assert_eq!(read(&dir, "rules.yml"), RULES);
}

#[test]
fn a_diff_applies_and_what_is_written_differs_in_the_bytes_meant_alone() {
    let (dir, server) = (folder(), server());
    write(&dir, "rules.yml", RULES);
    let diff = tune(&dir, &server, &["rules.yml", "--diff"]);
    assert_eq!(diff.code, 0, "{}", diff.err);
    assert!(diff.out.starts_with("--- a/rules.yml\n+++ b/rules.yml\n@@ "), "{}", diff.out);
    let ran = tune(&dir, &server, &["rules.yml", "--write", "--output", "json"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let row = &rows(&ran)[0];
    let after = read(&dir, "rules.yml");
    // What was proposed, and nothing else.
    let literal = row["literals"][0]["new_text"].as_str().expect("a text");
    let hold = row["proposed_for_s"].as_f64().expect("seconds");
    let mut wanted = RULES.replace("expr: busy > 80 and", &format!("expr: busy > {literal} and"));
    if literal != "80" {
        wanted = wanted.replace("Busier than 80 for", &format!("Busier than {literal} for"));
        assert!(ran.err.contains("its name says 80"), "{}", ran.err);
    }
    if hold > 0.0 {
        let line = after.lines().find(|line| line.trim_start().starts_with("for:")).expect("a line");
        wanted = wanted.replace("# more than 80\n", &format!("# more than 80\n{line}\n"));
        assert!(line.starts_with("    for: "), "{line}");
    }
    assert_eq!(after, wanted);
    assert!(ran.err.contains("rules.yml was changed"), "{}", ran.err);

    // Also where `patch` finds the file only from the root on, and where its name ends at a tab.
    std::fs::create_dir(dir.path().join("more")).expect("a folder");
    write(&dir, "more/my rules.yml", RULES);
    let above = tune(&dir, &server, &["more/../more/my rules.yml", "--diff"]);
    assert!(above.err.contains("patch -p1 -d /") && above.out.contains("more/my rules.yml\t\n"), "{}", above.out);
    patched(&above.out, "/");
    assert_eq!(read(&dir, "more/my rules.yml"), after);
    let as_json = tune(&dir, &server, &["rules.yml", "--diff", "--output", "json"]);
    assert_eq!(as_json.out.trim(), r#"{"data":[]}"#, "of what is changed already nothing is left");

    // It is inside its budget now.
    let ran = tune(&dir, &server, &["rules.yml", "--output", "json", "--check", "--budget", "8 per week"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert_eq!(rows(&ran)[0]["verdict"], json!("leave"));
    let again = tune(&dir, &server, &["rules.yml", "--diff"]);
    assert_eq!((again.code, again.out.as_str()), (0, ""));
}

fn patched(diff: &str, folder: &str) {
    let mut patch = std::process::Command::new("patch")
        .args(["-p1", "--quiet", "-d", folder])
        .stdin(std::process::Stdio::piped())
        .spawn()
        .expect("patch");
    std::io::Write::write_all(&mut patch.stdin.take().expect("a pipe"), diff.as_bytes()).expect("written");
    assert!(patch.wait().expect("it ends").success(), "{diff}");
}

#[test]
fn what_asks_for_an_alert_by_name_follows_when_it_is_renamed_and_addresses_stay() {
    let (dir, server) = (folder(), server());
    let rules = "\
groups:
- name: busy
  rules:
  - alert: BusyOver80
    expr: busy > 80
    annotations:
      summary: over 80, see https://graphs/d/x?panel=80 and runbook 80
  - alert: Both
    expr: ALERTS{alertname=\"BusyOver80\", alertstate=\"firing\"} and on (host) ALERTS{alertname='Other'}
";
    write(&dir, "rules.yml", rules);
    // A literal of its own is wanted, not a `for` alone.
    let ran = tune(&dir, &server, &["rules.yml", "--write", "--rename", "--output", "json"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let literal = rows(&ran)[0]["literals"][0]["new_text"].as_str().expect("a text").to_owned();
    assert_ne!(literal, "80", "{}", rows(&ran)[0]);
    let after = read(&dir, "rules.yml");
    assert!(after.contains(&format!("alert: BusyOver{literal}\n")), "{after}");
    assert!(after.contains(&format!("ALERTS{{alertname=\"BusyOver{literal}\"")), "{after}");
    assert!(after.contains(&format!("over {literal}, see https://graphs/d/x?panel=80 and runbook 80")), "{after}");
}

#[test]
fn rules_that_compare_one_expression_become_entries_of_our_own_configuration() {
    let (dir, server) = (folder(), server());
    write(&dir, "busy.yml", RULES);
    let ran = tune(&dir, &server, &["busy.yml", "--as-data", "all"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(ran.err.contains("Busy80: only its comparison would fit"), "a guard has no place there: {}", ran.err);
    assert!(ran.err.contains("1 of 3 rules: add this to homeostat.yaml"), "{}", ran.err);
    let entries: Value = serde_saphyr::from_str(&ran.out).expect(&ran.out);
    assert_eq!(entries["promql"][0]["expressions"], json!([{ "expr": "busy", "name": "quiet" }]));
    let rule = &entries["rules"][0];
    assert_eq!((&rule["alert"], &rule["expr"], &rule["op"]), (&json!("Quiet"), &json!("busy"), &json!(">")));
    assert_eq!((&rule["literal"], &rule["match"]), (&json!(99.5), &json!("quiet")));
    assert_eq!(rule["by"], json!(["host"]), "also of series that never paged");
    write(&dir, "homeostat.yaml", &ran.out);
    assert_eq!(run(&dir, &["config", "check", "homeostat.yaml"]).code, 0);
    let written = run(&dir, &["thresholds", "rules", "--config", "homeostat.yaml"]);
    assert!(written.code == 0 && written.out.contains("homeostat_threshold{rule="), "{}", written.err);
    let none = tune(&dir, &server, &["busy.yml", "--as-data"]);
    assert!(none.code == 0 && none.out.is_empty() && none.err.contains("no rule is better served"), "{}", none.err);
}

/// What repeats the literal, in words that are changed, in words that a person has to change, and in ones that are no literal.
const SAYS_IT: &str = "\
groups:
- name: busy
  rules:
  - alert: BusyOver99.5
    expr: busy > 99.5
    for: 5m
    labels: {severity: warning, limit: above 99.5 %}
    annotations:
      summary: 'Busier than 99.5 % for 5 minutes: {{ $value }}'
      runbook: it is 99.50 or more
      homeostat_budget: 99.5 per week
";

#[test]
fn texts_that_repeat_the_literal_say_the_threshold_in_force_where_it_is_data() {
    let (dir, server) = (folder(), server());
    write(&dir, "busy.yml", SAYS_IT);
    let ran = tune(&dir, &server, &["busy.yml", "--as-data", "all"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let entries: Value = serde_saphyr::from_str(&ran.out).expect(&ran.out);
    let in_force = |written: &str| {
        format!(
            "{{{{ with printf `homeostat_threshold{{rule=\"BusyOver99.5\", direction=\"upper\", host=%q}}` $labels.host | query }}}}\
             {{{{ $threshold := . | first | value }}}}{{{{ if ge $threshold 1000.0 }}}}{{{{ printf \"%.0f\" $threshold }}}}{{{{ else }}}}\
             {{{{ printf \"%.4g\" $threshold }}}}{{{{ end }}}}{{{{ else }}}}{written}{{{{ end }}}}"
        )
    };
    let annotations: Vec<&str> =
        entries["rules"][0]["annotations"].as_array().expect("a list").iter().filter_map(Value::as_str).collect();
    assert_eq!(
        annotations,
        [
            &format!("summary=Busier than {} % for 5 minutes: {{{{ $value }}}}", in_force("99.5")),
            &format!("runbook=it is {} or more", in_force("99.50")),
            "homeostat_budget=99.5 per week",
        ]
    );
    for said in ["its name says 99.5", "its label limit says 99.5"] {
        assert!(
            ran.err.contains(&format!("BusyOver99.5: {said}, which holds only where no threshold is known")),
            "{}",
            ran.err
        );
    }
    write(&dir, "homeostat.yaml", &ran.out);
    let written = run(&dir, &["thresholds", "rules", "--config", "homeostat.yaml"]);
    assert_eq!(written.code, 0, "{}", written.err);
    let rules: Value = serde_saphyr::from_str(&written.out).expect(&written.out);
    let summary = &rules["groups"][0]["rules"][0]["annotations"]["summary"];
    assert_eq!(summary.as_str(), annotations[0].strip_prefix("summary="), "as it is, into Prometheus' file");
}

#[test]
fn a_check_finds_rules_above_their_budget_and_nothing_else_does() {
    let (dir, server) = (folder(), server());
    write(&dir, "rules.yml", RULES);
    assert_eq!(tune(&dir, &server, &["rules.yml", "--check"]).code, 1);
    assert_eq!(tune(&dir, &server, &["rules.yml"]).code, 0);
    write(&dir, "down.yml", "groups:\n- name: d\n  rules:\n  - alert: Down\n    expr: up == 0\n");
    assert_eq!(tune(&dir, &server, &["down.yml", "--check"]).code, 1);
    assert_eq!(tune(&dir, &server, &["down.yml", "--check", "--budget", "1 per day"]).code, 0);
    // A rule may say itself how often it may page.
    let own = |budget: &str| {
        format!(
            "groups:\n- name: d\n  rules:\n  - alert: D\n    expr: up == 0\n    annotations: {{homeostat_budget: {budget}}}\n"
        )
    };
    write(&dir, "own.yml", &own("2 per day"));
    assert_eq!(tune(&dir, &server, &["own.yml", "--check"]).code, 0);
    write(&dir, "own.yml", &own("none"));
    let none = tune(&dir, &server, &["own.yml", "--check", "--output", "json"]);
    assert_eq!((none.code, &rows(&none)[0]["reason"]), (0, &json!("no_budget")), "{}", none.err);
    // What cannot be read is said of its rule, the rest is done, and nobody is told that all is well.
    write(&dir, "own.yml", &own("often"));
    std::fs::write(dir.path().join("latin.yml"), b"# f\xfcr\ngroups: []\n").expect("written");
    write(&dir, "for.yml", "groups:\n- name: d\n  rules:\n  - {alert: F, expr: busy > 99.5, for: 1 minute}\n");
    write(&dir, "quiet.yml", "groups:\n- name: d\n  rules:\n  - {alert: Q, expr: busy > 99.5}\n");
    for (file, code, words) in [
        ("own.yml", 3, "1 rules or files could not be read"),
        ("latin.yml", 3, "latin.yml:1: not UTF-8"),
        ("for.yml", 3, "for.yml:4: "),
        ("quiet.yml", 0, ""),
    ] {
        let ran = tune(&dir, &server, &["quiet.yml", file, "--check"]);
        assert!(ran.code == code && ran.err.contains(words), "{file}: {} {}", ran.code, ran.err);
        let ran = tune(&dir, &server, &["quiet.yml", file]);
        assert!(ran.code == 0 && ran.out.contains("quiet.yml:4"), "{file}: {} {}", ran.code, ran.err);
    }
    let refused = rows(&tune(&dir, &server, &["own.yml", "--output", "json"]));
    let why = refused[0]["why"][0].as_str().unwrap_or_default();
    assert!(refused[0]["reason"] == "not_budget" && why.contains("homeostat_budget: `often`"), "{}", refused[0]);
    let verdicts: String = (0..14)
        .map(|day| {
            json!({ "alert": "Busy", "labels": {"host": "h1"}, "at": START + day * 86_400, "verdict": "false" })
                .to_string()
                + "\n"
        })
        .collect();
    write(&dir, "said.jsonl", &verdicts);
    let more = json!({ "alert": "Bsuy", "at": START - 86_400, "verdict": "true" }).to_string();
    write(&dir, "strange.jsonl", &more);
    let strange = tune(&dir, &server, &["quiet.yml", "--verdicts", "strange.jsonl"]);
    for said in ["1 alerts are of no rule here, Bsuy for one", "1 are about times outside of the history"] {
        assert!(strange.code == 0 && strange.err.contains(said), "{said}: {}", strange.err);
    }
    // Without files: what the server has loaded.
    write(
        &dir,
        "limit.yml",
        "groups:\n- name: d\n  limit: 1\n  rules:\n  - {alert: B, expr: busy > 30, labels: {v: '{{ $value }}'}}\n",
    );
    let limited = rows(&tune(&dir, &server, &["limit.yml", "--output", "json"]));
    assert_eq!(limited[0]["notes"].as_array().map(Vec::len), Some(2), "{}", limited[0]);
    assert!(
        limited[0]["notes"][0].as_str().is_some_and(|note| note.contains("than its group allows, which are 1")),
        "{}",
        limited[0]
    );
    let live = tune(&dir, &server, &["--output", "json", "--verdicts", "said.jsonl"]);
    assert_eq!(live.code, 0, "{}", live.err);
    let live = rows(&live);
    assert_eq!((live.len(), &live[0]["rule"], &live[0]["writable"]), (1, &json!("Busy"), &json!(false)));
    assert_eq!((&live[0]["file"], &live[0]["line"]), (&json!("/etc/rules.yml"), &Value::Null));
    assert_eq!(tune(&dir, &server, &["--write"]).code, 2);
}

#[test]
fn what_the_server_cannot_answer_is_said_of_its_rule_and_the_rest_is_done() {
    let histogram = json!({ "status": "success", "data": { "resultType": "matrix", "result": [
        { "metric": {"a": "b"}, "histograms": [[START, { "count": "5", "sum": "3", "buckets": [] }]] } ] } });
    let refused = json!({ "status": "error", "errorType": "execution", "error": "found duplicate series" });
    let server = Server::start(BTreeMap::from([
        ("busy", Given::Series((0..4).map(busy).collect())),
        ("unprocessable", Given::Answer(422, "", refused.to_string())),
        ("unavailable", Given::Answer(503, "Retry-After: 99999\r\n", "later".to_owned())),
        ("words", Given::Answer(200, "", success("string", json!([START, "no number"])).2)),
        ("histogram", Given::Answer(200, "", histogram.to_string())),
        ("many", Given::Answer(200, "", success("vector", json!([sample(&json!({}), START, 100_000.0)])).2)),
        ("page", Given::Answer(200, "", "<html>".to_owned())),
    ]));
    let dir = folder();
    let exprs =
        ["unprocessable", "unavailable", "words", "histogram", "many", "page", "missing", "busy", "a >", "a{{ x }}"];
    let rules: String = exprs.iter().map(|expr| format!("  - alert: A\n    expr: '{expr} > 80'\n")).collect();
    write(&dir, "rules.yml", &format!("groups:\n- name: busy\n  rules:\n{rules}"));
    write(&dir, "broken.yml", "groups:\n- name: x\n  rules:\n  - alert: B\n  - alert: C\n    expr: busy > 80\n");
    let ran = tune(&dir, &server, &["rules.yml", "broken.yml", "--output", "json"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let rows = rows(&ran);
    let said: Vec<(&str, &str)> = rows
        .iter()
        .map(|row| (row["reason"].as_str().unwrap_or("change"), row["why"][0].as_str().unwrap_or_default()))
        .collect();
    let wanted = [
        ("not_fetched", "found duplicate series"),
        ("not_fetched", "503"),
        ("not_fetched", "cannot be used"),
        ("no_data", "no data"),
        ("not_fetched", "too much"),
        ("not_fetched", "cannot be used"),
        ("no_data", "no data"),
        ("change", ""),
        ("not_promql", "not PromQL"),
        ("not_promql", "not PromQL"),
        ("change", ""),
    ];
    assert_eq!(said.len(), wanted.len(), "{said:?}");
    for ((word, why), (wanted_word, part)) in said.iter().zip(wanted) {
        assert!(*word == wanted_word && why.contains(part), "{word}: {why} (wanted {wanted_word}: {part})");
    }
    assert!(rows[3]["notes"][0].as_str().is_some_and(|note| note.contains("native histograms")), "{}", rows[3]);
    assert!(ran.err.contains("broken.yml:4: B: the rule has no `expr`"), "{}", ran.err);
    assert!(
        ran.err.contains("A (rules.yml:10): ") && ran.err.contains("native histograms"),
        "for people as well: {}",
        ran.err
    );
    // Nobody is told that all is well where nothing could be seen; a rule that is over its budget comes first.
    write(&dir, "alone.yml", "groups:\n- name: x\n  rules:\n  - alert: U\n    expr: unavailable > 80\n");
    let unknown = tune(&dir, &server, &["alone.yml", "--check"]);
    assert_eq!(unknown.code, 3, "{}", unknown.err);
    assert!(unknown.err.contains("--check: of 1 of 1 rules no history could be had"), "{}", unknown.err);
    assert_eq!(tune(&dir, &server, &["alone.yml"]).code, 0);
    assert_eq!(tune(&dir, &server, &["rules.yml", "--check"]).code, 1);
}

#[test]
fn wrong_use_is_said_before_anything_is_asked() {
    let (dir, server) = (folder(), server());
    write(&dir, "rules.yml", RULES);
    write(&dir, "said.jsonl", "{\"alert\": \"A\", \"at\": \"yesterday\", \"verdict\": \"true\"}\n");
    write(&dir, "misspelt.jsonl", "{\"alert\": \"A\", \"lables\": {}, \"at\": 1, \"verdict\": \"true\"}\n");
    let cases: [(&[&str], i32, &str); 9] = [
        (&["missing.yml"], 2, "missing.yml"),
        (&["rules.yml", "--budget", "none"], 2, "--budget"),
        (&["rules.yml", "--since", "5m"], 2, "--since"),
        (&["rules.yml", "--timezone", "Mars"], 2, "--timezone"),
        (&["rules.yml", "--verdicts", "said.jsonl"], 2, "said.jsonl:1: at: `yesterday` is not a time"),
        (&["rules.yml", "--verdicts", "misspelt.jsonl"], 2, "misspelt.jsonl:1: unknown field `lables`"),
        (&["rules.yml", "--verdicts", "missing.jsonl"], 2, "missing.jsonl"),
        (&["--diff"], 2, "--diff: rules of a server"),
        (&["."], 0, ""),
    ];
    for (args, code, words) in cases {
        let ran = run(&dir, &[&["tune", "--prometheus", &server.url, "--until", UNTIL], args].concat());
        assert_eq!(ran.code, code, "{args:?}: {}", ran.err);
        assert!(ran.err.contains(words), "{args:?}: {}", ran.err);
    }
    let ran = run(&dir, &["tune", "rules.yml"]);
    assert_eq!(ran.code, 2);
    assert!(ran.err.contains("--prometheus URL"), "{}", ran.err);
    write(&dir, "empty.yml", "groups: []\n");
    assert_eq!(tune(&dir, &server, &["empty.yml"]).code, 2);
}
