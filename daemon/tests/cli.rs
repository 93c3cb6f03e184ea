//! The command line as a script meets it: the real binary on real files, what it prints, and how it ends.

mod common;

use common::{Daemon, Ran, folder, homeostat, read, run, write};
use serde_json::Value;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::process::Stdio;

/// Values that wander between 10 and 20, from a seed: no two runs differ.
fn value(at: u64) -> f64 {
    let mut x = at.wrapping_add(11).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    x ^= x >> 29;
    x = x.wrapping_mul(0xbf58_476d_1ce4_e5b9);
    10.0 + (x >> 40) as f64 / (1u64 << 24) as f64 * 10.0
}

/// CSV with `rows` rows, one a minute.
fn csv(rows: u64) -> String {
    let mut text = "timestamp,value\n".to_owned();
    for at in 0..rows {
        let _ = writeln!(text, "{},{:.4}", 1_700_000_000 + at * 60, value(at));
    }
    text
}

// --- learn ----------------------------------------------------------------------------------------------------------

#[test]
fn rows_that_are_not_what_the_header_says_are_told_and_what_files_say_steers_no_terminal() {
    let folder = folder();
    write(&folder, "eu.csv", "timestamp,value\n1700000000,5,3\n1700000060,5,4\n1700000120,7,\n");
    let ran = run(&folder, &["learn", "eu.csv", "--strict"]);
    assert_eq!(ran.code, 1);
    assert!(
        ran.err.contains("eu.csv: line 2: more than the 2 fields") && ran.err.contains("2 of 3 rows"),
        "{}",
        ran.err
    );
    write(&folder, "esc.csv", "timestamp,value\n\u{1b}[31mEVIL\u{7},5\n");
    let ran = run(&folder, &["detect", "esc.csv", "--out", "-"]);
    assert!(ran.err.contains("EVIL") && !ran.err.contains(['\u{1b}', '\u{7}']), "{:?}", ran.err);
    write(&folder, "head.csv", "timestamp,value\n");
    assert!(run(&folder, &["learn", "head.csv"]).err.contains("head.csv: no rows"));
    let ran = run(&folder, &["learn", "eu.csv", "--strategy", "bogus"]);
    assert!(ran.code == 2 && !ran.err.contains("did you mean"), "{}", ran.err);
    assert!(run(&folder, &["learn", "eu.csv", "--strategy", "robst"]).err.contains("did you mean `robust`?"));
}

#[test]
fn learn_prints_rows_as_the_api_does() {
    let folder = folder();
    write(&folder, "load.csv", &csv(500));
    let ran = run(&folder, &["learn", "load.csv", "--format", "json"]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    let answer: Value = serde_json::from_str(&ran.out).expect("JSON");
    let rows = answer["data"].as_array().expect("a list under data");
    assert_eq!((answer.as_object().map(|fields| fields.len()), rows.len()), (Some(1), 1));
    let row = &rows[0];
    assert_eq!(row["series"], "load");
    let (lower, upper) = (row["lower"].as_f64().expect("lower"), row["upper"].as_f64().expect("upper"));
    assert!(8.0 < lower && lower < 12.0 && 18.0 < upper && upper < 22.0, "{lower} {upper}");
    assert_eq!(row["active"], true);
    assert_eq!(row["sensitivity"], 2.0);
    // Now is the time of the last row, never the machine's.
    assert_eq!(row["learned_at"], "2023-11-15T06:32:20.000Z");
    let supporting = row["supporting"].as_object().expect("supporting");
    for key in ["count", "mean", "median", "std_dev", "min", "max", "p25", "p75", "p90", "p95", "p99", "iqr", "trend"] {
        assert!(supporting.contains_key(key), "{key}");
    }
    assert_eq!(supporting["count"], 500);
    assert!(["increasing", "decreasing", "stable", "unknown"].contains(&supporting["trend"].as_str().expect("text")));
    for key in ["confidence", "strategy", "reasoning"] {
        assert!(!row[key].is_null(), "{key}");
    }
    // --output json is the same wish in the words of the other commands.
    assert_eq!(run(&folder, &["learn", "load.csv", "--output", "json"]).out, ran.out);
}

#[test]
fn learn_takes_the_last_ten_thousand_rows_whatever_their_age() {
    let folder = folder();
    let mut text = "timestamp,value\n".to_owned();
    // An hour apart: over a year. The first 5,000 lie elsewhere and are not of the last 10,000.
    for at in 0..15_000u64 {
        let shift = if at < 5_000 { 1_000.0 } else { 0.0 };
        let _ = writeln!(text, "{},{}", 1_600_000_000 + at * 3600, value(at) + shift);
    }
    write(&folder, "year.csv", &text);
    let ran = run(&folder, &["learn", "year.csv", "--format", "json"]);
    let answer: Value = serde_json::from_str(&ran.out).expect("JSON");
    let supporting = &answer["data"][0]["supporting"];
    assert_eq!(supporting["count"], 10_000);
    assert!(supporting["max"].as_f64().expect("a number") < 21.0);
}

#[test]
fn learn_reads_several_files_and_series_in_any_order_of_time() {
    let folder = folder();
    let lines: Vec<String> = csv(400).lines().map(str::to_owned).collect();
    let (mut backwards, mut json) = ("timestamp,value,series\n".to_owned(), String::new());
    for line in lines[1..].iter().rev() {
        let _ = writeln!(backwards, "{line},\"up{{job=\"\"a\"\"}}\"");
        let (at, value) = line.split_once(',').expect("two fields");
        let _ = writeln!(json, r#"{{"series":"other","timestamp":{at},"value":{value}}}"#);
    }
    write(&folder, "a.csv", &backwards);
    write(&folder, "b.jsonl", &json);
    let ran = run(&folder, &["learn", "a.csv", "b.jsonl", "--format", "json"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let answer: Value = serde_json::from_str(&ran.out).expect("JSON");
    let rows = answer["data"].as_array().expect("a list");
    assert_eq!(
        rows.iter().map(|row| row["series"].as_str().unwrap_or("")).collect::<Vec<_>>(),
        ["other", "up{job=\"a\"}"]
    );
    assert_eq!(rows[0]["upper"], rows[1]["upper"]);
    assert_eq!(rows[0]["supporting"]["count"], 400);
}

#[test]
fn learn_reads_standard_input_and_prints_every_format() {
    let folder = folder();
    let fed = |format: &str| {
        let mut child = homeostat(folder.path())
            .args(["learn", "-", "--format", format, "--strategy", "iqr", "--sensitivity", "3"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("started");
        child.stdin.take().expect("piped").write_all(csv(300).as_bytes()).expect("fed");
        Ran::from(child.wait_with_output().expect("ended"))
    };
    let table = fed("table");
    assert_eq!(table.code, 0, "{}", table.err);
    let lines: Vec<Vec<&str>> = table.out.lines().map(|line| line.split('\t').collect()).collect();
    assert_eq!(lines[0][..5], ["series", "lower", "upper", "confidence", "strategy"], "plain columns in a pipe");
    assert_eq!((lines[1][0], lines[1][4], lines.len()), ("stdin", "iqr", 2));
    assert!(fed("csv").out.starts_with("series,lower,upper,sensitivity,"));
    assert!(fed("yaml").out.starts_with("data:\n"));
    let json: Value = serde_json::from_str(&fed("json").out).expect("JSON");
    assert_eq!(json["data"][0]["sensitivity"], 3.0);
}

#[test]
fn learn_tells_bad_rows_by_line_and_uses_the_rest() {
    let folder = folder();
    let text = csv(300).replacen("1700000060,", "soon,", 1).replacen("1700000120,", "1700000120,much", 1);
    write(&folder, "load.csv", &text);
    let ran = run(&folder, &["learn", "load.csv", "--format", "json"]);
    assert_eq!(ran.code, 0);
    assert!(ran.err.contains("load.csv: line 3: `soon` is not a time"), "{}", ran.err);
    assert!(ran.err.contains("load.csv: line 4: `much"), "{}", ran.err);
    assert!(ran.err.contains("2 of 300 rows"), "{}", ran.err);
    let answer: Value = serde_json::from_str(&ran.out).expect("JSON");
    assert_eq!(answer["data"][0]["supporting"]["count"], 298);
    let strict = run(&folder, &["learn", "load.csv", "--format", "json", "--strict"]);
    assert_eq!((strict.code, strict.out), (1, ran.out), "strict says so by its code alone");
    write(&folder, "good.csv", &csv(300));
    assert_eq!(run(&folder, &["learn", "good.csv", "--strict"]).code, 0);
}

#[test]
fn learn_says_when_there_is_too_little() {
    let folder = folder();
    write(&folder, "young.csv", &csv(99));
    write(&folder, "empty.csv", "");
    let young = run(&folder, &["learn", "young.csv", "empty.csv", "--format", "json"]);
    assert_eq!((young.code, young.out.as_str()), (0, "{\"data\":[]}\n"));
    assert!(young.err.contains("young: 99 usable rows, 100 are needed"), "{}", young.err);
    write(&folder, "flat.csv", &(0..200).map(|at| format!("{at},7\n")).collect::<String>());
    let flat: Value =
        serde_json::from_str(&run(&folder, &["learn", "flat.csv", "--format", "json"]).out).expect("JSON");
    // A constant series is learned because the file was asked for, and its bounds leave room around it.
    let bounds = (flat["data"][0]["lower"].as_f64(), flat["data"][0]["upper"].as_f64());
    assert!(bounds.0.is_none_or(|lower| lower < 7.0) && bounds.1.is_some_and(|upper| upper > 7.0), "{bounds:?}");
}

// --- detect ---------------------------------------------------------------------------------------------------------

/// Columns of every row but the head.
fn judged(text: &str) -> Vec<Vec<&str>> {
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some("timestamp,value,lower,upper,breach,score,alert_score,alert"));
    lines.map(|line| line.split(',').collect()).collect()
}

/// A file with everything that goes wrong, after 400 ordinary rows, and a level far away at the end.
fn trouble() -> String {
    let mut text = csv(400);
    let at = |row: u64| 1_700_000_000 + row * 60;
    for line in [
        format!("{},NaN", at(400)),
        format!("{},{:.4}", at(399), value(399)),
        format!("{},999", at(399)),
        format!("{},999", at(10)),
        "soon,1".to_owned(),
        format!("{},much", at(401)),
        "\"torn".to_owned(),
        format!("{},+Inf", at(402)),
        "2023-11-15T04:57:20Z,15".to_owned(),
        format!("{},900", at(405)),
        format!("{},901", at(406)),
        format!("{},902", at(407)),
        format!("{},15", at(408)),
        format!("{},15", at(409)),
        format!("{},15", at(410)),
    ] {
        text += &(line + "\n");
    }
    text
}

#[test]
fn detect_writes_one_row_per_row_and_judges_only_what_can_be_judged() {
    let folder = folder();
    write(&folder, "in.csv", &trouble());
    let ran = run(&folder, &["detect", "in.csv", "--out", "out.csv"]);
    assert_eq!((ran.code, ran.out.as_str()), (0, ""));
    assert!(ran.err.contains("in.csv: line 406: `soon` is not a time"), "{}", ran.err);
    assert!(ran.err.contains("3 of 415 rows"), "{}", ran.err);
    let out = read(&folder, "out.csv");
    let rows = judged(&out);
    assert_eq!(rows.len(), 415);
    for row in &rows {
        assert_eq!(row.len(), 8, "{row:?}");
        let is_judged = !row[2].is_empty() || !row[3].is_empty();
        if !is_judged {
            assert_eq!(row[2..], ["", "", "0", "0", "0", "0"], "not judged");
            continue;
        }
        let number = |at: usize| row[at].parse::<f64>().expect("a number");
        let (value, breach) = (number(1), row[4] == "1");
        let outside = (!row[2].is_empty() && value < number(2)) || (!row[3].is_empty() && value > number(3));
        assert_eq!(breach, outside, "a breach is strictly outside: {row:?}");
        assert!((0.0..=1.0).contains(&number(5)) && (0.0..=1.0).contains(&number(6)), "{row:?}");
    }
    assert!(rows[..40].iter().all(|row| row[3].is_empty()), "too early");
    assert!(rows[41..400].iter().all(|row| !row[3].is_empty()), "judged from the forty-first on");
    assert!(rows[..400].iter().all(|row| row[7] == "0"), "nothing to page in ordinary rows");
    // Not a number, a duplicate, a conflict, late, three that do not parse, infinite.
    assert!(rows[400..408].iter().all(|row| row[3].is_empty()), "{:?}", &rows[400..408]);
    // As written, whatever the form; what a torn row said of itself stays empty.
    assert_eq!(rows[404][..2], ["soon", "1"]);
    assert_eq!(rows[405][1], "much");
    assert_eq!(rows[408][..2], ["2023-11-15T04:57:20Z", "15"]);
    // It alerts at once, and ends when all is as before.
    let alerts: Vec<&str> = rows[408..].iter().map(|row| row[7]).collect();
    assert_eq!(alerts, ["0", "1", "1", "1", "1", "0", "0"]);
    assert_eq!(rows[409][4], "1");
    let number = |row: usize, column: usize| rows[row][column].parse::<f64>().expect("a number");
    assert!(number(409, 6) > 2.0 * number(410, 6), "the onset stands out");
    assert!((100..409).all(|row| number(row, 5) < number(411, 5)), "nothing was as strange before");
    // By bounds alone: two in a row beyond the level begin an alert, two inside end it.
    run(&folder, &["detect", "in.csv", "--out", "bounds.csv", "--strategy", "adaptive"]);
    let out = read(&folder, "bounds.csv");
    let alerts: Vec<&str> = judged(&out)[408..].iter().map(|row| row[7]).collect();
    assert_eq!(alerts, ["0", "0", "1", "1", "1", "0", "0"]);
    assert_eq!(run(&folder, &["detect", "in.csv", "--out", "out.csv", "--strict"]).code, 1);
}

#[test]
fn detect_keeps_to_the_budget_that_it_is_given() {
    let folder = folder();
    let mut text = "timestamp,value\n".to_owned();
    for at in 0..20_000u64 {
        let _ = writeln!(text, "{},{}", 1_600_000_000 + at * 60, value(at));
    }
    write(&folder, "quiet.csv", &text);
    let onsets = |budget: &str| {
        let ran = run(&folder, &["detect", "quiet.csv", "--out", "-", "--budget", budget]);
        let rows = judged(&ran.out);
        rows.windows(2).filter(|pair| pair[0][7] == "0" && pair[1][7] == "1").count()
    };
    let (none, week, hours) = (onsets("none"), onsets("1 per week"), onsets("6 per day"));
    // Two weeks of ordinary samples.
    assert!(none <= 2 && week <= 5 && (42..=168).contains(&hours), "{none} {week} {hours}");
    // A file of configuration is stronger than what holds when nothing is said, and weaker than the flag.
    let out = |args: &[&str]| {
        let ran = run(&folder, &[&["detect", "quiet.csv", "--out", "-"], args].concat());
        assert_eq!(ran.code, 0, "{}", ran.err);
        ran.out
    };
    let (default, asked) = (out(&[]), out(&["--budget", "6 per day"]));
    assert!(default == out(&["--budget", "1 per week"]) && default != asked);
    for file in ["budget: 6 per day\n", "budget: none\nseries: [{match: quiet, budget: 6 per day}]\n"] {
        write(&folder, "c.yaml", file);
        assert!(out(&["--config", "c.yaml"]) == asked, "{file}");
        assert!(out(&["--config", "c.yaml", "--budget", "1 per week"]) == default, "{file}");
    }
}

#[test]
fn detect_says_nothing_that_depends_on_later_rows() {
    let folder = folder();
    // A level shift in the middle, so that there is something to learn anew.
    let mut text = "timestamp,value\n".to_owned();
    for at in 0..3_000u64 {
        let _ = writeln!(text, "{},{}", 1_700_000_000 + at * 60, value(at) + if at > 1_400 { 25.0 } else { 0.0 });
    }
    write(&folder, "whole.csv", &text);
    assert_eq!(run(&folder, &["detect", "whole.csv", "--out", "whole.out"]).code, 0);
    let whole = read(&folder, "whole.out");
    for rows in [1, 99, 101, 1_000, 1_402, 1_500, 2_999] {
        let part: String = text.split_inclusive('\n').take(rows + 1).collect();
        write(&folder, "part.csv", &part);
        assert_eq!(run(&folder, &["detect", "part.csv", "--out", "part.out"]).code, 0);
        let part = read(&folder, "part.out");
        assert_eq!(part.lines().count(), rows + 1);
        assert!(whole.starts_with(&part), "the first {rows} rows are judged as in the whole");
    }
}

#[test]
fn detect_judges_many_files_in_one_go() {
    let folder = folder();
    let mut list = String::new();
    for name in ["a", "b", "c"] {
        write(&folder, &format!("{name}.csv"), &csv(300));
        let _ = writeln!(list, "{name}.csv\t{name}.out");
    }
    write(&folder, "list.tsv", &(list.clone() + "\n"));
    assert_eq!(run(&folder, &["detect", "--list", "list.tsv", "--budget", "none"]).code, 0);
    assert_eq!(read(&folder, "a.out"), read(&folder, "c.out"));
    assert_eq!(judged(&read(&folder, "b.out")).len(), 300);
    // One that is missing does not keep the others from being judged, and leaves nothing behind.
    write(&folder, "list.tsv", &("nowhere.csv\tnowhere.out\n".to_owned() + &list));
    std::fs::remove_file(folder.path().join("c.out")).expect("removed");
    let ran = run(&folder, &["detect", "--list", "list.tsv"]);
    assert_eq!(ran.code, 3);
    assert!(ran.err.contains("nowhere.csv"), "{}", ran.err);
    assert!(folder.path().join("c.out").exists() && !folder.path().join("nowhere.out").exists());
    let names = std::fs::read_dir(folder.path()).expect("listed").filter_map(Result::ok);
    assert!(!names.map(|entry| entry.file_name().to_string_lossy().into_owned()).any(|name| name.ends_with(".tmp")));
    write(&folder, "list.tsv", "a.csv a.out\n");
    let ran = run(&folder, &["detect", "--list", "list.tsv"]);
    assert!(ran.code == 2 && ran.err.contains("line 1"), "{}", ran.err);
    // Of two that are written to one place only the last would be left.
    std::fs::remove_file(folder.path().join("a.out")).expect("removed");
    write(&folder, "list.tsv", "a.csv\ta.out\n\nb.csv\t./a.out\n");
    let ran = run(&folder, &["detect", "--list", "list.tsv"]);
    let said = "list.tsv line 3: ./a.out is written by line 1 already";
    assert!(ran.code == 2 && ran.err.contains(said), "{}", ran.err);
    assert!(!folder.path().join("a.out").exists(), "nothing was begun");
}

#[test]
fn times_in_milliseconds_are_told_as_such_when_no_row_can_be_used() {
    let folder = folder();
    let rows: String = (0..30u64).map(|n| format!("{},5\n", 1_700_000_000_000 + n * 60_000)).collect();
    for head in ["timestamp,value\n", ""] {
        write(&folder, "in.csv", &format!("{head}{rows}"));
        for args in [&["learn", "in.csv"][..], &["detect", "in.csv", "--out", "out.csv"]] {
            let said = run(&folder, args).err;
            let sum = "in.csv: none of 30 rows could be used; times look like milliseconds: divide by 1000";
            assert!(said.lines().any(|line| line == sum) && !said.contains("the rest was"), "{args:?}: {said}");
        }
    }
    write(&folder, "in.csv", "timestamp,value\nsoon,5\n");
    let said = run(&folder, &["learn", "in.csv"]).err;
    assert!(said.contains("none of 1 rows could be used\n") && !said.contains("milliseconds"), "{said}");
}

#[test]
fn detect_says_why_when_no_row_was_judged() {
    let folder = folder();
    let said = |text: &str| {
        write(&folder, "in.csv", text);
        let ran = run(&folder, &["detect", "in.csv", "--out", "out.csv"]);
        assert_eq!(ran.code, 0, "{}", ran.err);
        ran.err.lines().find(|line| line.contains("no row was judged")).unwrap_or("").to_owned()
    };
    let short = said(&csv(40));
    assert!(
        short.ends_with("no row was judged: 40 before a series had the 100 usable rows that learning needs"),
        "{short}"
    );
    let sorted = csv(300);
    let (head, rows) = sorted.split_once('\n').expect("a head");
    let newest_first: Vec<&str> = rows.lines().rev().collect();
    let unsorted = said(&format!("{head}\n{}\nsoon,1\n", newest_first.join("\n")));
    for part in
        ["299 older than a row before them (sort the file by time)", "1 that could not be read", "1 before a series"]
    {
        assert!(unsorted.contains(part), "{part}: {unsorted}");
    }
    assert_eq!(said(&sorted), "", "some were");
}

#[test]
fn files_that_are_no_text_are_told_with_what_makes_them_so() {
    let folder = folder();
    let utf16: Vec<u8> = "timestamp,value\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    for (name, bytes, said) in [
        (
            "a.csv.gz",
            b"\x1f\x8b\x08\0\0".to_vec(),
            "is compressed with gzip, which is not read as it stands; make it readable with: gzip -dc < a.csv.gz > a.csv",
        ),
        ("a b.csv", b"\x28\xb5\x2f\xfd\0".to_vec(), "zstd -dc < 'a b.csv' > 'a b_utf8.csv'"),
        (
            "c.csv",
            [b"\xff\xfe".to_vec(), utf16].concat(),
            "is text in UTF-16, which is not read as it stands; make it readable with: iconv -f UTF-16 -t UTF-8 < c.csv > c_utf8.csv",
        ),
    ] {
        std::fs::write(folder.path().join(name), bytes).expect("written");
        for args in [&["learn", name][..], &["detect", name, "--out", "out.csv"]] {
            let ran = run(&folder, args);
            assert!(ran.code == 3 && ran.err.contains(said), "{args:?}: {}", ran.err);
        }
        write(&folder, "c.yaml", &format!("files: [{{path: '{name}'}}]\n"));
        for args in [
            &["config", "check", "c.yaml"][..],
            &["run", "--config", "c.yaml", "--listen", "127.0.0.1:0", "--data", "d"],
        ] {
            let ran = run(&folder, args);
            assert!(
                ran.code == 2 && ran.err.contains(said) && ran.err.contains("files[0].path"),
                "{args:?}: {}",
                ran.err
            );
        }
    }
    let mut piped = homeostat(folder.path());
    let mut piped = piped.args(["learn", "-"]).stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("started");
    piped.stdin.take().expect("piped").write_all(b"\x1f\x8b\x08").expect("read");
    let ran = Ran::from(piped.wait_with_output().expect("it ends"));
    assert!(ran.code == 3 && ran.err.contains("| gzip -dc | homeostat"), "{}", ran.err);

    // The mark some programs put before UTF-8 is none of the name of the first column.
    std::fs::write(folder.path().join("bom.csv"), format!("\u{feff}{}", csv(150))).expect("written");
    let ran = run(&folder, &["learn", "bom.csv"]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{}", ran.out);
    assert!(ran.out.contains("bom\t"), "{}", ran.out);
}

#[test]
fn detect_refuses_what_cannot_be_meant() {
    let folder = folder();
    write(&folder, "in.csv", &csv(10));
    for (args, said) in [
        (&["detect", "in.csv"][..], "--out"),
        (&["detect"], "--list"),
        (&["detect", "in.csv", "--out", "in.csv"], "would replace the input"),
        (&["detect", "in.csv", "--out", "out.csv", "--budget", "often"], "1 per week"),
        (&["detect", "in.csv", "--out", "out.csv", "--strategy", "robus"], "did you mean `robust`"),
        (&["learn", "in.csv", "--sensitivity", "9"], "1.0 to 6.0"),
        (&["learn"], "FILE"),
        (&["frobnicate"], "frobnicate"),
        (&["state", "set", "angry"], "healthy"),
        (&["simulate", "stepp"], "did you mean `step`"),
    ] {
        let ran = run(&folder, args);
        assert!(ran.code == 2 && ran.err.contains(said), "{args:?}: {} {}", ran.code, ran.err);
    }
    let ran = run(&folder, &["detect", "nowhere.csv", "--out", "out.csv"]);
    assert!(ran.code == 3 && ran.err.contains("nowhere.csv"), "{}", ran.err);
    let ran = run(&folder, &["detect", "in.csv", "--out", "-", "--budget", "1 per week"]);
    assert_eq!((ran.code, judged(&ran.out).len()), (0, 10), "{}", ran.err);
    let help = run(&folder, &["detect", "--help"]).out.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(help.contains("[default: 1 per week]") && help.contains("4.5 sigma-equivalents"), "{help}");
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let folder = folder();
    write(&folder, "in.csv", &csv(20_000));
    let mut child = homeostat(folder.path())
        .args(["detect", "in.csv", "--out", "-"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("started");
    let mut first = String::new();
    BufReader::new(child.stdout.take().expect("piped")).read_line(&mut first).expect("a line");
    assert!(first.starts_with("timestamp,"));
    let ran = Ran::from(child.wait_with_output().expect("ended"));
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
}

// --- help, configuration, simulation --------------------------------------------------------------------------------

#[test]
fn help_teaches_with_examples() {
    let folder = folder();
    let help = run(&folder, &["--help"]);
    assert_eq!(help.code, 0);
    let commands = [
        "run",
        "learn",
        "detect",
        "explain",
        "status",
        "feedback",
        "state",
        "freeze",
        "thresholds",
        "config",
        "bench",
        "simulate",
        "completions",
    ];
    for command in commands {
        assert!(help.out.lines().any(|line| line.trim_start().starts_with(command)), "{command}");
        let ran = run(&folder, &[command, "--help"]);
        assert_eq!(ran.code, 0, "{command}");
        let nested = matches!(command, "thresholds");
        assert!(nested || ran.out.contains("Examples:"), "{command} shows how it is used");
    }
    assert!(help.out.contains("Exit codes"));
    assert!(run(&folder, &["--version"]).out.starts_with("homeostat "));
    assert!(run(&folder, &["completions", "bash"]).out.contains("homeostat"));
}

#[test]
fn config_is_checked_shown_with_its_origins_and_described() {
    let folder = folder();
    write(&folder, "good.yaml", "learning:\n  window_len: 500\n");
    let check = run(&folder, &["config", "check", "good.yaml"]);
    assert_eq!((check.code, check.err.as_str()), (0, ""));
    write(&folder, "bad.yaml", "learning:\n  windw_len: 500\n");
    let check = run(&folder, &["config", "check", "bad.yaml"]);
    assert_eq!(check.code, 2);
    assert!(check.err.contains("did you mean `learning.window_len`"), "{}", check.err);
    assert!(check.err.contains("bad.yaml:2"), "the place: {}", check.err);
    let show = homeostat(folder.path())
        .args(["config", "show", "--config", "good.yaml"])
        .env("HOMEOSTAT__LEARNING__SENSITIVITY", "3")
        .env("HOMEOSTAT_PORT", "tcp://10.0.0.1:80")
        .output()
        .expect("started");
    let show = Ran::from(show);
    assert_eq!(show.code, 0);
    let line = |key: &str| show.out.lines().find(|line| line.trim_start().starts_with(key)).unwrap_or("").to_owned();
    assert!(line("window_len").contains("good.yaml:2"), "{}", line("window_len"));
    assert!(line("sensitivity").contains("environment HOMEOSTAT__LEARNING__SENSITIVITY"), "{}", line("sensitivity"));
    assert!(line("min_data_points").contains("# default"), "{}", line("min_data_points"));
    assert!(show.err.contains("HOMEOSTAT_PORT"), "{}", show.err);
    // What is shown can be used as a file.
    write(&folder, "shown.yaml", &show.out);
    assert_eq!(run(&folder, &["config", "check", "shown.yaml"]).code, 0);
    let schema: Value = serde_json::from_str(&run(&folder, &["config", "schema"]).out).expect("JSON");
    assert!(schema["properties"]["learning"].is_object());
    let tracing = homeostat(folder.path()).args(["config", "check"]).env("MAPEK_ENABLE_TRACING", "true").output();
    let tracing = Ran::from(tracing.expect("started"));
    assert!(tracing.code == 2 && tracing.err.contains("tracing.enabled"), "{}", tracing.err);
}

#[test]
fn a_configuration_that_is_no_yaml_is_told_by_line_and_in_plain_words() {
    let folder = folder();
    for (text, said) in [
        (
            "learning:\n  sensitivity: 2\n  sensitivity: 3\n",
            "c.yaml:3:3: `learning.sensitivity` is there already, in line 2",
        ),
        ("learning:\n\tsensitivity: 2\n", "c.yaml:2:2: not YAML: a tab indents this line"),
        ("files: [{path: x}\n", "c.yaml:1:8: not YAML: the [ here is never closed"),
    ] {
        write(&folder, "c.yaml", text);
        let check = run(&folder, &["config", "check", "c.yaml"]);
        assert!(check.code == 2 && check.err.contains(said), "{text}: {}", check.err);
    }
}

#[test]
fn simulate_tells_the_same_story_twice() {
    let folder = folder();
    let list = run(&folder, &["simulate", "--list"]);
    assert!(list.code == 0 && list.out.lines().any(|line| line.starts_with("step\t")), "{}", list.out);
    let first = run(&folder, &["simulate", "flat_line"]);
    assert_eq!((first.code, first.err.as_str()), (0, ""));
    assert_eq!(first.out, run(&folder, &["simulate", "flat_line"]).out);
    assert_eq!(run(&folder, &["simulate"]).code, 2);
}

#[test]
fn bench_measures_works_by_name_each_beside_a_reference() {
    let folder = folder();
    let ran = run(&folder, &["bench", "--work", "statistics of 1,000", "--output", "json"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let answer: Value = serde_json::from_str(&ran.out).expect("JSON");
    let rows = answer["rows"].as_array().expect("rows");
    let [row] = &rows[..] else { panic!("one work has this name: {}", ran.out) };
    let number = |key: &str| row[key].as_f64().unwrap_or_else(|| panic!("{key} is a number: {row}"));
    assert_eq!((row["work"].as_str(), row["unit"].as_str()), (Some("all statistics of 1,000 samples"), Some("µs")));
    assert!(row["reference"].as_str().is_some_and(|reference| reference.contains("sort")), "{row}");
    assert!(number("figure") > 0.0 && number("reference_figure") > 0.0, "{row}");
    assert!((number("ratio") * number("figure") / number("reference_figure") - 1.0).abs() < 1e-9, "{row}");
    assert_eq!(row["met"].as_bool(), Some(number("figure") <= number("goal")), "{row}");
    let table = run(&folder, &["bench", "--work", "statistics of 1,000"]);
    assert!(table.out.starts_with("work\t") && table.out.lines().count() == 2, "{}", table.out);
    let both = run(&folder, &["bench", "--work", "statistics of 1,000", "--work", "the parameters of one"]);
    assert_eq!(both.out.lines().count(), 3, "one of both names: {}", both.out);
    let nobody = run(&folder, &["bench", "--beside", "no/prometheus"]);
    assert!(nobody.code == 2 && nobody.err.contains("no/prometheus is not there"), "{}", nobody.err);
    let unknown = run(&folder, &["bench", "--work", "flying"]);
    assert!(unknown.code == 2 && unknown.err.contains("all statistics of 1,000 samples"), "{}", unknown.err);
}

// --- a daemon -------------------------------------------------------------------------------------------------------

#[test]
fn a_daemon_that_is_not_there_is_the_world_failing() {
    let folder = folder();
    // A port that was free a moment ago.
    let port = TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a port").port();
    let url = format!("http://127.0.0.1:{port}");
    for command in [
        &["status"][..],
        &["state"],
        &["state", "set", "healthy"],
        &["explain", "up"],
        &["feedback", "up", "true"],
        &["freeze", "on"],
        &["thresholds", "export"],
    ] {
        let mut args = command.to_vec();
        args.extend(["--url", &url]);
        let ran = run(&folder, &args);
        assert_eq!(ran.code, 3, "{command:?}: {}", ran.err);
        assert!(ran.err.contains("homeostat run") && ran.err.contains(&url), "{}", ran.err);
    }
    // The environment names a daemon too; a flag is stronger.
    let told = homeostat(folder.path()).arg("status").env("HOMEOSTAT_URL", "http://127.0.0.1:1").output();
    assert!(Ran::from(told.expect("started")).err.contains("127.0.0.1:1 "));
}

#[test]
fn commands_reach_a_daemon_and_hindrances_are_told_with_a_remedy() {
    let folder = folder();
    write(&folder, "homeostat.yaml", "host: {enabled: true}\n");
    let daemon = Daemon::go_on(&folder);
    let url = daemon.url();
    let ask = |args: &[&str]| {
        let mut args = args.to_vec();
        args.extend(["--url", &url]);
        run(&folder, &args)
    };
    let status = ask(&["status"]);
    assert_eq!(status.code, 0, "{}", status.err);
    assert!(status.out.starts_with("state\thealthy\n") && status.out.contains("anomaly_feedback"), "{}", status.out);
    let json: Value = serde_json::from_str(&ask(&["status", "--output", "json"]).out).expect("JSON");
    assert_eq!(json["data"]["loops"].as_array().map(Vec::len), Some(5));
    // One thing is under `data` for whoever reads it, from the API as from a command.
    for (args, key) in [
        (&["state"][..], "leaves_at"),
        (&["state", "set", "healthy", "--for", "1s"], "forced_until"),
        (&["freeze", "off"], "frozen"),
        (&["explain", &daemon.names()[0]], "kind"),
        (&["config", "show"], "origin"),
        (&["config", "check"], "ok"),
    ] {
        let mut args = args.to_vec();
        args.extend(["--output", "json"]);
        let ran = if args[0] == "config" { run(&folder, &args) } else { ask(&args) };
        let json: Value =
            serde_json::from_str(&ran.out).unwrap_or_else(|error| panic!("{args:?}: {error}: {}", ran.err));
        assert!(json["data"].get(key).is_some(), "{args:?}: {json}");
    }

    let series = daemon.names().swap_remove(0);
    let explained = ask(&["explain", &series]);
    assert!(explained.code == 0 && explained.out.starts_with(&format!("series\t{series}\n")), "{}", explained.err);
    let picture = format!("\npicture\thttp://{}/#series=", daemon.address);
    assert!(explained.out.contains(&picture), "{}", explained.out);
    let unknown = ask(&["explain", &format!("{}x", series.split('{').next().unwrap_or(""))]);
    assert!(unknown.code == 2 && unknown.err.contains("did you mean"), "{}", unknown.err);

    let first: Value =
        serde_json::from_str(&ask(&["feedback", &series, "false", "--output", "json"]).out).expect("JSON");
    let again: Value =
        serde_json::from_str(&ask(&["feedback", &series, "false", "--output", "json"]).out).expect("JSON");
    assert!(first["id"].as_u64().expect("an id") < again["id"].as_u64().expect("an id"), "each call its own");
    let unknown = ask(&["feedback", "no_such_series", "true"]);
    assert!(unknown.code == 2 && unknown.err.contains("no_such_series"), "{}", unknown.err);
    assert_eq!(ask(&["feedback", &series, "true", "--at", "noon"]).code, 2);
    // What each was about, not only when it was heard.
    let (at, until) = ("2026-01-31T12:00:00.000Z", "2026-01-31T14:00:00.000Z");
    for args in [&["--until", until, "--comment", "disk full"][..], &["--change-point"], &[]] {
        let said = ask(&[&["feedback", &series, "true", "--at", at], args].concat());
        assert_eq!(said.code, 0, "{}", said.err);
    }
    for verdict in ["false", "missed"] {
        let refused = ask(&["feedback", &series, verdict, "--at", at, "--change-point"]);
        assert!(refused.code == 2 && refused.err.contains("said with true"), "{}", refused.err);
    }
    let told = ask(&["explain", &series]).out;
    let verdicts: Vec<&str> = told.lines().filter_map(|line| line.strip_prefix("verdict\ttrue: ")).collect();
    assert_eq!(verdicts.len(), 3, "{told}");
    assert!(verdicts[0].starts_with(&format!("moment at {at}, heard ")), "{told}");
    assert!(verdicts[1].starts_with(&format!("another series since {at}, heard ")), "{told}");
    assert!(verdicts[2].starts_with(&format!("from {at} until {until}, heard ")), "{told}");
    assert!(verdicts[2].ends_with(": disk full") && told.contains("verdict\tfalse: "), "{told}");

    let set = ask(&["state", "set", "degraded", "--for", "1h"]);
    assert_eq!((set.code, set.out.as_str()), (0, "degraded is held for 1h\n"), "{}", set.err);
    let held = ask(&["state"]).out;
    assert!(held.contains("held until") && held.contains("leaves at"), "{held}");
    assert_eq!(ask(&["state", "set", "degraded", "--for", "soon"]).code, 2);
    assert_eq!(ask(&["freeze", "on"]).out, "all changes are stopped\n");
    assert_eq!(ask(&["freeze", "off"]).code, 0);
    for format in ["json", "yaml", "csv", "prometheus"] {
        let ran = ask(&["thresholds", "export", "--format", format]);
        assert_eq!(ran.code, 0, "{format}: {}", ran.err);
    }

    let second = run(&folder, &["run", "--listen", "127.0.0.1:0", "--data", "data"]);
    assert_eq!(second.code, 3, "{}", second.err);
    assert!(second.err.contains(&format!("process {}", daemon.child.id())), "{}", second.err);
    assert!(second.err.contains("--data"), "{}", second.err);
    let second = run(&folder, &["run", "--listen", &daemon.address, "--data", "other"]);
    assert_eq!(second.code, 3, "{}", second.err);
    assert!(second.err.contains("in use") && second.err.contains("--listen"), "{}", second.err);
}

#[test]
fn an_address_that_others_can_reach_has_to_be_meant() {
    let folder = folder();
    for listen in ["0.0.0.0:0", "[::]:0", "192.0.2.1:9797", "some-host:9797"] {
        let ran = run(&folder, &["run", "--listen", listen, "--data", "data"]);
        assert_eq!(ran.code, 2, "{listen}: {}", ran.err);
        assert!(ran.err.contains("--insecure") && ran.err.contains("password"), "{}", ran.err);
    }
    assert!(!folder.path().join("data").exists(), "nothing was made");
    assert_eq!(run(&folder, &["run", "--listen", "nonsense", "--data", "data"]).code, 2);
    assert_eq!(run(&folder, &["run", "--config", "nowhere.yaml"]).code, 2);
}

#[cfg(unix)]
#[test]
fn a_folder_that_cannot_be_used_is_told() {
    let folder = folder();
    write(&folder, "file", "");
    let ran = run(&folder, &["run", "--listen", "127.0.0.1:0", "--data", "file/data"]);
    assert_eq!(ran.code, 3, "{}", ran.err);
    assert!(ran.err.contains("file/data"), "{}", ran.err);
}
