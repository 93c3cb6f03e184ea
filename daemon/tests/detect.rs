//! `homeostat detect` as a script meets it: a row for a row, what is judged and what is not, and how it ends.

mod common;

use common::{Ran, csv, folder, homeostat, read, run, value, write};
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;

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
