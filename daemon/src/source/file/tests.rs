use super::*;

/// Each line as a person would tell it: `series@millis=value`, or what is wrong with it.
fn told(text: &[u8]) -> Vec<String> {
    let mut rows = Rows::from_reader(Path::new("dir/load.csv"), "load", io::Cursor::new(text.to_vec()));
    let mut told = Vec::new();
    while let Some(line) = rows.next_line().expect("readable") {
        told.push(match line {
            Line::Row(row) => format!("{}@{}={}", row.name, row.at.millis(), row.value),
            Line::Bad(error) => error.to_string(),
        });
    }
    told
}

#[test]
fn csv_is_read_with_its_columns_in_any_order() {
    for text in [
        "timestamp,value\n1,2\n3,4\n",
        "value,label,timestamp\n2,ok,1\n4,odd,3",
        "\u{feff}Time;VALUE\r\n1;2\r\n\r\n3;4\r\n",
        "ts\tvalue\n1\t2\n3\t4\n",
        "1,2\n3,4\n",
        "1,2,0\n3,4,1\n",
        "\n\n\"t\" ,\"value\"\n\"1\",\"2\"\n 3 , 4 \n",
    ] {
        assert_eq!(told(text.as_bytes()), ["load@1000=2", "load@3000=4"], "{text:?}");
    }
}

#[test]
fn a_label_is_told_of_rows_that_parse_and_of_those_that_do_not() {
    let text = "t,value,label\n1,2,0\n2,much,1\n3,4\n4,5,\"1\"\n";
    let mut rows = Rows::from_reader(Path::new("x"), "x", io::Cursor::new(text));
    let mut labels = Vec::new();
    while rows.next_line().expect("readable").is_some() {
        assert!(rows.has_labels());
        labels.push(rows.label().map(Cow::into_owned));
    }
    let label = |text: &str| Some(text.to_owned());
    assert_eq!(labels, [label("0"), label("1"), None, label("1")]);
    let mut rows = Rows::from_reader(Path::new("x"), "x", io::Cursor::new("1,2,0\n"));
    assert!(rows.next_line().is_ok() && !rows.has_labels() && rows.label().is_none(), "no header, no labels");
}

#[test]
fn series_come_from_their_column_in_one_canonical_form() {
    let text =
        "series,timestamp,value\n\"up{b=\"\"2\"\",a=\"\"1\"\"}\",1,0\n\"up{a=\"\"1\"\",b=\"\"2\"\"}\",2,1\n,3,5\n";
    assert_eq!(told(text.as_bytes()), [r#"up{a="1",b="2"}@1000=0"#, r#"up{a="1",b="2"}@2000=1"#, "load@3000=5"]);
    let mut rows = Rows::from_reader(Path::new("x"), "load", io::Cursor::new(text));
    while rows.next_line().expect("readable").is_some() {}
    assert_eq!(rows.names.list.len(), 2);
}

#[test]
fn json_lines_are_read_with_numbers_and_texts() {
    let text = r#"
{"series":"up{job=\"a\"}","timestamp":1.5,"value":2,"more":{"x":[1]}}
{"timestamp":"2023-11-14T22:13:20Z","value":"NaN"}
{"t":3,"value":null}
{"timestamp":4}
{"timestamp":5,"value":1e400}
{"timestamp":true,"value":1}
{"timestamp":6,"value":"#;
    let told = told(text.as_bytes());
    assert_eq!(told[..3], ["up{job=\"a\"}@1500=2", "load@1700000000000=NaN", "load@3000=NaN"]);
    assert_eq!(told[3], "line 5: no value");
    assert_eq!(told[4], "load@5000=inf");
    assert!(told[5].starts_with("line 7: `true` is not a time"), "{}", told[5]);
    assert!(told[6].starts_with("line 8: not JSON"), "{}", told[6]);
}

#[test]
fn times_and_values_are_kept_as_they_are_written() {
    let text = "timestamp,value\n2023-11-14T23:13:20+01:00,+Inf\n2023-11-14 22:13:20,1e2\n1700000000.250,-0\n";
    let mut rows = Rows::from_reader(Path::new("x"), "x", io::Cursor::new(text));
    let mut seen = Vec::new();
    while let Some(line) = rows.next_line().expect("readable") {
        let Line::Row(row) = line else { panic!("{line:?}") };
        seen.push((row.line, row.at.millis(), row.at_text.to_owned(), row.value_text.to_owned()));
    }
    let is = |line, millis, at: &str, value: &str| (line, millis, at.to_owned(), value.to_owned());
    assert_eq!(
        seen,
        [
            is(2, 1_700_000_000_000, "2023-11-14T23:13:20+01:00", "+Inf"),
            is(3, 1_700_000_000_000, "2023-11-14 22:13:20", "1e2"),
            is(4, 1_700_000_000_250, "1700000000.250", "-0"),
        ]
    );
}

#[test]
fn what_does_not_parse_is_told_by_line_and_the_rest_is_used() {
    let mut text = b"timestamp,value,series\n1,2\nsoon,2\n2,much\n3\n4,\n5,6,up{\n\"6,7\n7,\xff\n8,".to_vec();
    text.extend(vec![b'9'; LINE_LEN_MAX]);
    text.extend(b"\n1700000000000,1\n9,10");
    let told = told(&text);
    let wanted = [
        "load@1000=2",
        "line 3: `soon` is not a time",
        "line 4: `much` is not a number",
        "line 5: no value",
        "line 6: no value",
        "line 7: `up{` is not a series",
        "line 8: the quotes of column 1 do not close",
        "line 9: not UTF-8",
        "line 10: longer than",
        "line 11: `1700000000000` is not a time: give Unix seconds (1700000000 or 1700000000.5) or RFC 3339 \
             (2026-01-31T12:00:00Z); times look like milliseconds: divide by 1000",
        "load@9000=10",
    ];
    assert_eq!(told.len(), wanted.len(), "{told:#?}");
    for (told, wanted) in told.iter().zip(wanted) {
        assert!(told.starts_with(wanted), "{told} / {wanted}");
    }
}

#[test]
fn a_file_that_cannot_be_used_says_why() {
    let said = |text: &str| {
        Rows::from_reader(Path::new("x.csv"), "x", io::Cursor::new(text.to_owned()))
            .next_line()
            .map(|line| line.is_some())
            .map_err(|error| error.to_string())
    };
    assert_eq!(said(""), Ok(false));
    assert_eq!(said("\n \n"), Ok(false));
    assert_eq!(said("timestamp,value\n"), Ok(false));
    assert!(said("timestamp,amount\n1,2\n").expect_err("no value").contains("no column is called value"));
    assert!(said("<html>\n").expect_err("no csv").contains("x.csv line 1: no column is called timestamp"));
    assert!(Rows::open(Path::new("/nowhere/x.csv")).is_err_and(|error| error.to_string().contains("/nowhere/x.csv")));
    let mut folder = Rows::open(Path::new("/tmp")).expect("a folder opens");
    assert!(folder.next_line().is_err());
}

#[test]
fn random_bytes_never_stop_the_reader() {
    let pieces: [&[u8]; 12] =
        [b"1", b",", b"\n", b"\"", b"{", b"}", b"\"value\":", b"\xff", b"timestamp", b"value", b"NaN", b"\r\n"];
    let mut seed = 7u64;
    for _ in 0..2_000 {
        let mut text = Vec::new();
        for _ in 0..40 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            text.extend_from_slice(pieces[(seed >> 33) as usize % pieces.len()]);
        }
        let mut rows = Rows::from_reader(Path::new("x"), "x", io::Cursor::new(text));
        while let Ok(Some(_)) = rows.next_line() {}
    }
}

/// Printed, not asserted: a loaded machine is not a slow reader. Asserted only against being off by far.
#[test]
fn ten_thousand_rows_take_milliseconds() {
    let mut csv = "timestamp,value\n".to_owned();
    let mut json = String::new();
    for at in 0..10_000 {
        csv.push_str(&format!("{},{:.6}\n", 1_700_000_000 + at, f64::from(at).sqrt()));
        json.push_str(&format!("{{\"series\":\"up\",\"timestamp\":{},\"value\":{at}.5}}\n", 1_700_000_000 + at));
    }
    for (form, text) in [("csv", csv), ("json lines", json)] {
        let started = std::time::Instant::now();
        let mut rows = Rows::from_reader(Path::new("x"), "x", io::Cursor::new(text));
        let mut count = 0;
        while let Some(line) = rows.next_line().expect("readable") {
            assert!(matches!(line, Line::Row(_)));
            count += 1;
        }
        let took = started.elapsed();
        println!("{form}: {count} rows in {took:?}");
        assert!(count == 10_000 && took.as_millis() < 500, "{took:?}");
    }
}
