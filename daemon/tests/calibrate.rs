//! `homeostat calibrate` as whoever doubts a confidence meets it: the real binary, in worlds and on files.

mod common;

use common::{Ran, folder, run, write};
use serde_json::Value;
use std::fmt::Write as _;

fn json(ran: &Ran) -> Value {
    assert_eq!(ran.code, 0, "{}", ran.err);
    serde_json::from_str(&ran.out).unwrap_or_else(|error| panic!("{error}: {}", ran.out))
}

/// Three weeks at one in ten minutes, with a spike at noon on every second day; labelled from some row on.
fn spiky(labelled_from: Option<u64>) -> String {
    let mut text = format!("timestamp,value{}\n", if labelled_from.is_some() { ",label" } else { "" });
    for row in 0..21 * 144_u64 {
        let spike = row % 288 == 72 || row % 288 == 73;
        let value = row * 7919 % 101 + if spike { 5_000 } else { 0 };
        write!(text, "{},{value}", 1_700_000_000 + row * 600).expect("text");
        if let Some(from) = labelled_from {
            write!(text, ",{}", u8::from(spike && row >= from)).expect("text");
        }
        text.push('\n');
    }
    text
}

#[test]
fn worlds_are_counted_in_all_ways_alike() {
    let folder = folder();
    let asked = ["calibrate", "--seed", "40", "--worlds", "12", "--output", "json"];
    let answer = json(&run(&folder, &asked));
    let asked_for = ["seed", "worlds", "kept_up_to"].map(|key| answer[key].as_f64().expect(key));
    assert_eq!(asked_for, [40.0, 12.0, 2.0]);
    let claims = |row: &Value| row["claims"].as_u64().unwrap_or_else(|| panic!("no claims in {row}"));
    let data = &answer["data"];
    let all = claims(&data["all"]);
    assert!(all >= 12 * 5, "{answer}");
    for part in ["bins", "ages", "groups"] {
        let rows = data[part].as_array().expect("a list");
        assert_eq!(rows.iter().map(claims).sum::<u64>(), all, "{part}");
    }
    for key in ["kept_ratio", "calibration_error", "brier"] {
        assert!(data["all"][key].as_f64().is_some_and(|share| (0.0..=1.0).contains(&share)), "{key}: {answer}");
    }
    assert_eq!(json(&run(&folder, &asked)), answer, "twice the same");
    let told = run(&folder, &asked[..5]);
    assert!(told.out.starts_with("confidence\tsaid\thappened\tclaims"), "{}", told.out);
    assert!(told.out.contains("worlds 40 to 51"), "{}", told.out);
}

#[test]
fn pages_of_files_are_false_where_no_label_says_otherwise() {
    let folder = folder();
    for (name, labelled_from) in [("plain", None), ("labelled", Some(0))] {
        write(&folder, &format!("{name}.csv"), &spiky(labelled_from));
        let answer = json(&run(&folder, &["calibrate", &format!("{name}.csv"), "--output", "json"]));
        assert_eq!(answer["data"]["all"]["claims"], 2, "{name}: {answer}");
        // Of three spikes a week each pages.
        let kept = if labelled_from.is_some() { 1.0 } else { 0.0 };
        assert_eq!(answer["data"]["all"]["kept_ratio"], kept, "{name}: {answer}");
    }
}

#[test]
fn what_cannot_be_claimed_is_refused_with_a_remedy() {
    let folder = folder();
    write(&folder, "short.csv", "timestamp,value\n1700000000,1\n1700000060,2\n");
    write(&folder, "odd.csv", "timestamp,value,label\n1700000000,1,perhaps\n");
    for (arguments, code, said) in [
        (&["calibrate", "--budget", "none"][..], 2, "without a budget nothing is claimed"),
        (&["calibrate", "--seed", "999999"], 2, "give a smaller one"),
        (&["calibrate", "--fit", "--seed", "3"], 2, "cannot be used with"),
        (&["calibrate", "--worlds", "0"], 2, "1..=100000"),
        (&["calibrate", "short.csv"], 3, "nothing can be counted"),
        (&["calibrate", "odd.csv"], 3, "neither 0 nor 1"),
        (&["calibrate", "nowhere"], 3, "cannot read nowhere"),
    ] {
        let ran = run(&folder, arguments);
        assert!(ran.code == code && ran.err.contains(said), "{arguments:?}: {} {}", ran.code, ran.err);
    }
}

#[test]
fn the_fit_says_a_coefficient_for_each_ground() {
    let folder = folder();
    let ran = run(&folder, &["calibrate", "--fit", "--worlds", "9", "--output", "json"]);
    let answer = json(&ran);
    let rows = answer["data"].as_array().expect("a list");
    assert!(rows.len() == 14 && rows.iter().all(|row| row["coefficient"].is_f64()), "{answer}");
}
