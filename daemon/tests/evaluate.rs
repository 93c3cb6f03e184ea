//! `homeostat evaluate` as whoever doubts a claim meets it: the real binary on labelled folders.

mod common;

use common::{Ran, folder, read, run, write};
use serde_json::Value;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// The labelled folder of this project.
fn labelled() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../sim/labelled")
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path in text")
}

fn json(ran: &Ran) -> Value {
    assert_eq!(ran.code, 0, "{}", ran.err);
    serde_json::from_str(&ran.out).unwrap_or_else(|error| panic!("{error}: {}", ran.out))
}

/// The row of a folder (none: all together) and of what was said.
fn row<'a>(answer: &'a Value, folder: Option<&str>, by: &str) -> &'a Value {
    let rows = answer["data"].as_array().expect("a list");
    let is = |row: &&Value| row["folder"].as_str() == folder && row["by"] == by;
    rows.iter().find(is).unwrap_or_else(|| panic!("no row {folder:?} {by} in {answer}"))
}

fn number(row: &Value, key: &str) -> f64 {
    row[key].as_f64().unwrap_or_else(|| panic!("{key} is no number in {row}"))
}

/// A day at one a minute: labelled from row 600 to 629, and from 1000 to 1019.
fn day() -> String {
    let mut text = "t,value,label\n".to_owned();
    for row in 0..1440 {
        let label = u8::from((600..630).contains(&row) || (1000..1020).contains(&row));
        writeln!(text, "{},{},{label}", 1_700_000_000 + row * 60, row % 7).expect("text");
    }
    text
}

/// What a detector wrote for it: a score, the same as alert_score, and an alert.
fn said(score: impl Fn(usize) -> f64, alert: impl Fn(usize) -> bool) -> String {
    let mut text = "timestamp,value,score,alert_score,alert\n".to_owned();
    for row in 0..1440 {
        let (score, alert) = (score(row), u8::from(alert(row)));
        writeln!(text, "{},0,{score},{score},{alert}", 1_700_000_000 + row * 60).expect("text");
    }
    text
}

#[test]
fn our_detector_is_scored_beside_one_that_knows_nothing() {
    let folder = folder();
    let answer = json(&run(&folder, &["evaluate", text(&labelled()), "--output", "json"]));
    assert_eq!(answer["budget_per_week"], 1.0);
    assert!(answer["random_seed"].is_u64());
    assert_eq!(answer["data"].as_array().map(Vec::len), Some(4));
    let (score, random) = (row(&answer, Some("labelled"), "score"), row(&answer, Some("labelled"), "random"));
    assert_eq!([&score["series"], &score["clean_series"], &score["rows"], &score["events"]], [4, 1, 4 * 2016, 5]);
    for row in [score, row(&answer, Some("labelled"), "alert_score"), random] {
        assert!(number(row, "false_pages_per_week") <= 1.0, "one page a week: {row}");
        assert!(row["in_alert_ratio"].is_null() && row["macro_f1"].is_null(), "{row}");
    }
    for key in ["nab_standard", "nab_low_fp", "nab_low_fn", "vus_pr", "event_recall", "event_precision"] {
        assert!(number(score, key) > number(random, key), "{key}: {score} is not above {random}");
    }
    let alert = row(&answer, Some("labelled"), "alert");
    assert!(alert["nab_standard"].is_null() && alert["threshold"].is_null(), "{alert}");
    assert!(number(alert, "event_recall") > 0.0 && number(alert, "macro_f1") > 0.0, "{alert}");
    // Twice the same.
    assert_eq!(json(&run(&folder, &["evaluate", text(&labelled()), "--output", "json"])), answer);
}

#[test]
fn a_part_that_is_left_out_shows_what_it_is_worth() {
    let folder = folder();
    let labelled = labelled();
    let ask = |more: &[&str]| {
        let args: Vec<&str> = ["evaluate", text(&labelled), "--output", "json"].iter().chain(more).copied().collect();
        run(&folder, &args)
    };
    let (whole, left) = (json(&ask(&[])), json(&ask(&["--without", "tail,score-spike"])));
    assert_eq!((&whole["without"], &left["without"]), (&Value::Null, &serde_json::json!(["tail", "score-spike"])));
    for by in ["score", "alert_score", "alert"] {
        assert_ne!(row(&whole, Some("labelled"), by), row(&left, Some("labelled"), by), "{by}");
    }
    assert_eq!(row(&whole, Some("labelled"), "random"), row(&left, Some("labelled"), "random"));
    let unknown = ask(&["--without", "tale"]);
    assert!(unknown.code == 2 && unknown.err.contains("tale") && unknown.err.contains("'tail'"), "{}", unknown.err);
    for more in [["--strategy", "sigma"], ["--scores", "."]] {
        let ran = ask(&[&["--without", "tail"], &more[..]].concat());
        assert_eq!(ran.code, 2, "{more:?} has no such parts: {}", ran.err);
    }

    write(&folder, "sigma.yaml", "learning: {strategy: sigma}\n");
    for more in [&["--without", "tail"][..], &["--each-without"]] {
        let ran = ask(&[more, &["--config", "sigma.yaml"]].concat());
        assert!(ran.code == 2 && ran.err.contains("only auto has parts"), "{more:?}: {} {}", ran.code, ran.err);
    }

    // Each in its turn; without nothing it is as it was.
    let each = json(&ask(&["--each-without"]));
    let rows = each["data"].as_array().expect("a list");
    let of = |without: Value| rows.iter().find(|row| row["without"] == without).unwrap_or_else(|| panic!("{without}"));
    let (nothing, tail) = (of(Value::Null), of("tail".into()));
    for (key, by) in [("nab_standard", "alert_score"), ("vus_pr", "score"), ("event_recall", "alert")] {
        assert_eq!(nothing[key], row(&whole, Some("labelled"), by)[key], "{key}");
    }
    assert!(number(tail, "event_recall") < number(nothing, "event_recall"), "{tail}");
    assert_eq!(of("siblings".into())["event_recall"], nothing["event_recall"], "a file's series is alone");
    assert_eq!(rows.len(), 21);
}

#[test]
fn worlds_from_seeds_are_scored_beside_folders_and_siblings_are_worth_something_there() {
    let folder = folder();
    let ask = |more: &[&str]| {
        let args: Vec<&str> = ["evaluate", "--worlds", "6", "--output", "json"].iter().chain(more).copied().collect();
        json(&run(&folder, &args))
    };
    let (whole, left) = (ask(&[]), ask(&["--without", "siblings"]));
    for by in ["score", "alert"] {
        let (with, without) = (row(&whole, Some("worlds without"), by), row(&left, Some("worlds without"), by));
        assert_eq!(with, without, "a series by itself");
        assert_eq!(with["events"], 0, "{with}");
    }
    let young = |answer: &Value| row(answer, Some("younger siblings"), "alert").clone();
    assert_eq!(number(&young(&whole), "series"), 6.0);
    assert_ne!(young(&whole), young(&left));
    assert_eq!(run(&folder, &["evaluate"]).code, 2, "neither a folder nor worlds");
}

#[test]
fn what_detect_wrote_scores_as_what_evaluate_runs() {
    let folder = folder();
    let mut list = String::new();
    std::fs::create_dir(folder.path().join("judged")).expect("a folder");
    for name in ["requests.csv", "queue.csv", "sensor.csv", "latency_clean.csv"] {
        writeln!(list, "{}\tjudged/{name}", text(&labelled().join(name))).expect("text");
    }
    write(&folder, "list", &list);
    assert_eq!(run(&folder, &["detect", "--list", "list"]).code, 0);
    let labelled = labelled();
    let with = |more: &[&str]| {
        let args: Vec<&str> = ["evaluate", text(&labelled), "--output", "json"].iter().chain(more).copied().collect();
        json(&run(&folder, &args))
    };
    assert_eq!(with(&["--scores", "judged"]), with(&[]));
    // Only what was written is scored: with a score alone, there is no row of alerts.
    for name in ["requests.csv", "queue.csv", "sensor.csv", "latency_clean.csv"] {
        let judged = read(folder.path().join("judged"), name);
        let column = judged.lines().map(|line| line.split(',').nth(5).expect("a score").to_owned() + "\n");
        write(folder.path().join("judged"), name, &column.collect::<String>());
    }
    let (alone, whole) = (with(&["--scores", "judged"]), with(&[]));
    let by: Vec<&str> = alone["data"].as_array().expect("rows").iter().filter_map(|row| row["by"].as_str()).collect();
    assert_eq!(by, ["score", "random"]);
    assert_eq!(row(&alone, Some("labelled"), "score"), row(&whole, Some("labelled"), "score"));
}

#[test]
fn figures_are_as_by_hand() {
    let folder = folder();
    for dir in ["day", "perfect", "constant", "late"] {
        std::fs::create_dir(folder.path().join(dir)).expect("a folder");
    }
    let at = |dir: &str| folder.path().join(dir);
    write(at("day"), "a.csv", &day());
    let event = |row: usize| (600..630).contains(&row) || (1000..1020).contains(&row);
    write(at("perfect"), "a.csv", &said(|row| f64::from(event(row)), event));
    write(at("constant"), "a.csv", &said(|_| 7.0, |_| true));
    // Finds the first event twelve minutes late, misses the second, and pages once for nothing.
    let late = |row: usize| (612..630).contains(&row) || (300..306).contains(&row);
    write(at("late"), "a.csv", &said(|row| f64::from(late(row)), late));
    let of = |dir: &str| {
        json(&run(&folder, &["evaluate", "day", "--scores", dir, "--output", "json", "--budget", "7 per week"]))
    };

    let perfect = of("perfect");
    let score = row(&perfect, Some("day"), "score");
    for key in ["nab_standard", "nab_low_fp", "nab_low_fn"] {
        assert_eq!(number(score, key), 100.0, "{key}");
    }
    assert_eq!((number(score, "event_recall"), number(score, "event_precision")), (1.0, 1.0));
    let alert = row(&perfect, Some("day"), "alert");
    assert_eq!((number(alert, "macro_f1"), number(alert, "false_pages_per_week")), (1.0, 0.0));
    assert_eq!((number(alert, "delay_median_s"), number(alert, "in_alert_ratio")), (0.0, 50.0 / 1440.0));
    assert!(alert["clean_in_alert_ratio"].is_null(), "no series is clean");

    let constant = of("constant");
    assert_eq!(number(row(&constant, Some("day"), "score"), "event_recall"), 0.0, "no threshold keeps to the budget");
    assert_eq!(number(row(&constant, Some("day"), "alert"), "in_alert_ratio"), 1.0);
    // From row 216 on, after probation: pages at 216, 456; after the first event 640 and 880; after the second 1030, 1270.
    assert_eq!(row(&constant, Some("day"), "alert")["false_pages"], 6);

    let late = of("late");
    let alert = row(&late, Some("day"), "alert");
    assert_eq!((alert["false_pages"].as_u64(), number(alert, "event_recall")), (Some(1), 0.5));
    assert_eq!((number(alert, "event_precision"), number(alert, "delay_median_s")), (0.5, 720.0));
    // A week is 10,080 rows, and 1,224 of them count.
    assert!((number(alert, "false_pages_per_week") - 10_080.0 / 1224.0).abs() < 1e-9);
    // 18 of 50 labelled rows are among 24 in alert.
    assert!((number(alert, "macro_f1") - 36.0 / 74.0).abs() < 1e-12);
}

#[test]
fn several_folders_stand_beside_all_together_and_clean_ones_have_nothing_to_find() {
    let folder = folder();
    let clean = day()
        .lines()
        .map(|line| line.strip_suffix(",1").map_or(line.to_owned(), |line| format!("{line},0")))
        .fold(String::new(), |text, line| text + &line + "\n");
    for (dir, text) in [("one", day()), ("two", clean)] {
        std::fs::create_dir(folder.path().join(dir)).expect("a folder");
        write(folder.path().join(dir), "a.csv", &text);
        write(folder.path().join(dir), "notes.txt", "not a series");
    }
    let answer = json(&run(&folder, &["evaluate", "one", "two/", "--output", "json"]));
    assert_eq!(answer["data"].as_array().map(Vec::len), Some(12));
    let two = row(&answer, Some("two"), "score");
    assert_eq!((two["clean_series"].as_u64(), two["events"].as_u64()), (Some(1), Some(0)));
    for key in ["nab_standard", "vus_pr", "event_recall"] {
        assert!(two[key].is_null(), "{key}: {two}");
    }
    let both = row(&answer, None, "alert");
    assert_eq!((both["series"].as_u64(), both["events"].as_u64()), (Some(2), Some(2)));
    let ran = run(&folder, &["evaluate", "one", "two"]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    let lines: Vec<Vec<&str>> = ran.out.lines().map(|line| line.split('\t').collect()).collect();
    assert_eq!(lines[0][..5], ["folder", "measure", "score", "alert_score", "alert"]);
    assert!(lines[0][5].starts_with("random (seed "), "{}", ran.out);
    assert!(lines.iter().all(|line| line.len() == 6), "{}", ran.out);
    let line = |folder: &str, measure: &str| {
        lines
            .iter()
            .find(|line| line[..2] == [folder, measure])
            .unwrap_or_else(|| panic!("{folder} {measure}: {}", ran.out))
    };
    assert_eq!(line("two", "VUS-PR")[2..], ["-"; 4]);
    assert_eq!(line("all together", "events, series")[2..], ["2 in 2"; 4]);
    assert_eq!(line("one", "in alert, clean")[4], "-");
    assert!(line("two", "in alert, clean")[4].ends_with(" %"));
}

#[test]
fn a_file_may_hold_several_series_and_rows_that_do_not_parse() {
    let folder = folder();
    let mut both = "timestamp,value,label,series\n".to_owned();
    for line in day().lines().skip(1) {
        for name in ["eu", "us"] {
            writeln!(both, "{line},{name}").expect("text");
        }
    }
    both = both.replacen("1700000600,3,0,eu", "1700000600,much,0,eu", 1);
    write(&folder, "both.csv", &both);
    let ran = run(&folder, &["evaluate", "both.csv", "--output", "json"]);
    let answer = json(&ran);
    let score = row(&answer, Some("both.csv"), "score");
    assert_eq!([&score["series"], &score["events"], &score["rows"]], [2, 4, 2880]);
    assert!(ran.err.contains("both.csv: line 22: `much` is not a number"), "{}", ran.err);
}

#[test]
fn what_cannot_be_scored_is_told_with_its_place_and_a_remedy() {
    let folder = folder();
    let refused = |args: &[&str], code: i32, words: &[&str]| {
        let ran = run(&folder, args);
        assert_eq!((ran.code, ran.out.as_str()), (code, ""), "{args:?}: {}", ran.err);
        for word in words {
            assert!(ran.err.contains(word), "{args:?}: {word} is not in {}", ran.err);
        }
    };
    refused(&["evaluate"], 2, &["DIR"]);
    refused(&["evaluate", "nowhere"], 3, &["cannot read nowhere"]);
    std::fs::create_dir(folder.path().join("empty")).expect("a folder");
    refused(&["evaluate", "empty"], 3, &["empty: no file ends in .csv", "timestamp,value,label"]);
    write(&folder, "bare.csv", "timestamp,value\n1,2\n2,3\n");
    refused(&["evaluate", "bare.csv"], 3, &["bare.csv: no column is called label", "timestamp,value,label"]);
    write(&folder, "odd.csv", "timestamp,value,label\n1,2,0\n2,3,maybe\n");
    refused(&["evaluate", "odd.csv"], 3, &["odd.csv line 3: the label `maybe` is neither 0 nor 1"]);
    write(&folder, "head.csv", "timestamp,value,label\n");
    refused(&["evaluate", "head.csv"], 3, &["head.csv: no file has any rows"]);
    write(&folder, "still.csv", "timestamp,value,label\n1,2,0\n1,3,0\n");
    refused(&["evaluate", "still.csv"], 3, &["still.csv: still has no two rows in the order of time"]);
    write(&folder, "day.csv", &day());
    refused(&["evaluate", "day.csv", "--budget", "often"], 2, &["--budget", "1 per week"]);
    refused(&["evaluate", "day.csv", "--scores", "nowhere"], 3, &["nowhere/day.csv: cannot be read"]);
    refused(&["evaluate", "day.csv", "odd.csv", "--scores", "."], 2, &["1 times for 2 folders"]);
    refused(&["evaluate", "day.csv", "--scores", ".", "--strategy", "sigma"], 2, &["cannot be used with"]);
    refused(&["evaluate", "day.csv", "--scores", "."], 3, &["day.csv: no column is called score"]);
    write(&folder, "short.csv", "score\n1\n2\n");
    refused(&["evaluate", "day.csv", "--scores", "short.csv"], 3, &["short.csv has 2 rows where 1440 are labelled"]);
    let words = said(|_| 0.5, |_| false).replacen(",0.5,", ",high,", 1);
    write(&folder, "words.csv", &words);
    refused(&["evaluate", "day.csv", "--scores", "words.csv"], 3, &["words.csv: line 2: `high` is not a number"]);
    let moved = said(|_| 0.5, |_| false).replacen("1700000060", "1700000061", 1);
    write(&folder, "moved.csv", &moved);
    refused(&["evaluate", "day.csv", "--scores", "moved.csv"], 3, &["moved.csv row 2: of 2023-11-14T22:14:21"]);
}
