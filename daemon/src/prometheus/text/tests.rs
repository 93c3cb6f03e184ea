use super::*;
use proptest::prelude::*;

/// Every sample as a person would tell it.
fn told(text: &str, format: Format) -> Result<Vec<String>, String> {
    let mut samples = Vec::new();
    let families = read(text.as_bytes(), format, &mut |sample| {
        samples.push(sample);
        parts(sample.series).map(|_| ())
    });
    let families = families.map_err(|error| error.to_string())?;
    Ok(samples
        .iter()
        .map(|sample| {
            let Parts { name, labels } = parts(sample.series).expect("checked above");
            let at = sample.at.map_or(String::new(), |at| format!("@{}", at.millis()));
            let kind = families.kind(&name).map_or(String::new(), |kind| format!(" {}", kind.as_str()));
            format!("{name}{labels:?}={}{at}{kind}", sample.value)
        })
        .collect())
}

#[test]
fn the_classic_text_is_read_with_all_it_may_hold() {
    let text = "# HELP http_requests_total The total\\n of \"all\".\n\
        # TYPE http_requests_total counter\n\
        http_requests_total{method=\"post\",code=\"200\"} 1027 1395066363000\n\
        http_requests_total {code=\"400\" , method = \"post\",}    3\t1395066363000\r\n\
        \n\
        # a comment, and another # TYPE\n\
        msdos_file_access_time_seconds{path=\"C:\\\\DIR\\\\FILE.TXT\",error=\"Cannot find file:\\n\\\"FILE.TXT\\\" }\"} 1.458255915e9\n\
        metric_without_timestamp_and_labels 12.47\n\
        something_weird{problem=\"division by zero\"} +Inf -3982045\n\
        # TYPE rpc_duration_seconds summary\n\
        rpc_duration_seconds{quantile=\"0.01\"} 3102\n\
        rpc_duration_seconds_sum 1.7560473e+07\n\
        rpc_duration_seconds_count 2693\n\
        # TYPE h histogram\n\
        h_bucket{le=\"+Inf\"} 144320\n\
        h_sum 53423\n\
        h_count NaN\n\
        # TYPE odd_total gauge\n\
        odd_total -Inf\n\
        # TYPE plain gauge\n\
        plain 1\n\
        {\"my.metric\",\"a.b\"=\"c\"} 2";
    let told = told(text, Format::Classic).expect("well formed");
    let wanted = [
        r#"http_requests_total[("method", "post"), ("code", "200")]=1027@1395066363000 counter"#,
        r#"http_requests_total[("code", "400"), ("method", "post")]=3@1395066363000 counter"#,
        r#"msdos_file_access_time_seconds[("path", "C:\\DIR\\FILE.TXT"), ("error", "Cannot find file:\n\"FILE.TXT\" }")]=1458255915"#,
        "metric_without_timestamp_and_labels[]=12.47",
        r#"something_weird[("problem", "division by zero")]=inf@-3982045"#,
        r#"rpc_duration_seconds[("quantile", "0.01")]=3102 gauge"#,
        "rpc_duration_seconds_sum[]=17560473",
        "rpc_duration_seconds_count[]=2693 counter",
        r#"h_bucket[("le", "+Inf")]=144320 histogram"#,
        "h_sum[]=53423 histogram",
        "h_count[]=NaN histogram",
        "odd_total[]=-inf gauge",
        "plain[]=1 gauge",
        r#"my.metric[("a.b", "c")]=2"#,
    ];
    assert_eq!(told, wanted);
}

#[test]
fn openmetrics_is_read_with_all_it_may_hold() {
    let text = "# TYPE acme_http_router_request_seconds summary\n\
        # UNIT acme_http_router_request_seconds seconds\n\
        # HELP acme_http_router_request_seconds Latency.\n\
        acme_http_router_request_seconds_sum{path=\"/api/v1\"} 9036.32\n\
        acme_http_router_request_seconds_created{path=\"/api/v1\"} 1605281325.0\n\
        # TYPE go_goroutines gauge\n\
        go_goroutines 69 1.5\n\
        # TYPE foo counter\n\
        foo_total{a=\" # \"} 17.0 1520879607.789 # {trace_id=\"KOO5S4vxi0o\"} 0.67 1520879607\n\
        foo_created 1520430000.123\n\
        # TYPE h histogram\n\
        h_bucket{le=\"0.1\"} 8 # {} 0.054\n\
        h_created 1\n\
        # TYPE gh gaugehistogram\n\
        gh_bucket{le=\"+Inf\"} 42\n\
        gh_gcount 42\n\
        # TYPE build info\n\
        build_info{v=\"1\"} 1\n\
        # TYPE feature stateset\n\
        feature{feature=\"a\"} 1\n\
        # TYPE what unknown\n\
        what_total 3\n\
        # EOF\n";
    let wanted = [
        r#"acme_http_router_request_seconds_sum[("path", "/api/v1")]=9036.32"#,
        r#"acme_http_router_request_seconds_created[("path", "/api/v1")]=1605281325 info"#,
        "go_goroutines[]=69@1500 gauge",
        r#"foo_total[("a", " # ")]=17@1520879607789 counter"#,
        "foo_created[]=1520430000.123 info",
        r#"h_bucket[("le", "0.1")]=8 histogram"#,
        "h_created[]=1 info",
        r#"gh_bucket[("le", "+Inf")]=42 info"#,
        "gh_gcount[]=42 gauge",
        r#"build_info[("v", "1")]=1 info"#,
        r#"feature[("feature", "a")]=1 state"#,
        "what_total[]=3",
    ];
    assert_eq!(told(text, Format::OpenMetrics).expect("well formed"), wanted);
    let cut = told(&text[..text.len() - 6], Format::OpenMetrics).expect_err("no end");
    assert!(cut.contains("# EOF is missing"), "{cut}");
    assert!(told("# EOF\na 1\n", Format::OpenMetrics).expect_err("behind the end").contains("line 2"));
}

#[test]
fn what_cannot_be_read_is_told_with_its_line() {
    for (line, said) in [
        ("a", "no value"),
        ("a{b=\"c\"", "no end"),
        ("a{b=\"c} 1", "no end"),
        ("a{b} 1", "no value"),
        ("a{b=c} 1", "quotes"),
        ("a{b=\"1\"c=\"2\"} 1", "comma"),
        ("a{=\"1\"} 1", "no name"),
        ("a{b=\"1\",b=\"2\"} 1", "twice"),
        ("a{1b=\"1\"} 1", "no name"),
        ("1a 1", "no name"),
        ("{b=\"1\"} 1", "no name"),
        ("{} 1", "no name"),
        ("a one", "`one` is no number"),
        ("a 1 then", "`then` is no time"),
        ("a 1 2 3", "`3` stands behind"),
        ("<html>", "no value"),
        ("# TYPE a", "is not # TYPE"),
        ("# TYPE a strange", "`strange` is no type"),
    ] {
        let said_of = told(&format!("ok 1\n{line}\n"), Format::Classic).expect_err(line);
        assert!(said_of.starts_with("line 2: ") && said_of.contains(said), "{line}: {said_of}");
    }
    let told = read(b"a 1\n\xff 2\n", Format::Classic, &mut |_| Ok(())).map(|_| ()).expect_err("no text");
    assert_eq!(told, TextError { line: 2, problem: "it is not UTF-8".to_owned() });
    let long = format!("a{{b=\"{}\"}} 1", "x".repeat(LINE_LEN_MAX));
    assert!(read(long.as_bytes(), Format::Classic, &mut |_| Ok(())).is_err());
    let full = read(b"a 1\nb 2\nc 3\n", Format::Classic, &mut |sample| match sample.line {
        3 => Err("enough".to_owned()),
        _ => Ok(()),
    });
    assert_eq!(full.map(|_| ()).expect_err("stopped").to_string(), "line 3: enough");
}

#[test]
fn metadata_says_the_same_as_a_text() {
    let said = |kind: &str| Metadata { kind: kind.to_owned(), help: String::new(), unit: String::new() };
    let metadata = [
        ("a_total", "counter"),
        ("h", "histogram"),
        ("g", "gauge"),
        ("x_timestamp_seconds", "gauge"),
        ("u", "unknown"),
        ("v_info", "gauge"),
    ];
    let metadata = metadata.map(|(name, kind)| (name.to_owned(), vec![said(kind)]));
    let families = Families::of_metadata(&metadata.into());
    let kinds =
        ["a_total", "h_bucket", "g", "x_timestamp_seconds", "u", "nobody", "v_info"].map(|name| families.kind(name));
    let wanted =
        [Some(Kind::Counter), Some(Kind::Histogram), Some(Kind::Gauge), Some(Kind::Info), None, None, Some(Kind::Info)];
    assert_eq!(kinds, wanted);
}

#[test]
fn the_form_is_told_by_the_answer() {
    for (kind, wanted) in [
        (Some("application/openmetrics-text; version=1.0.0; charset=utf-8"), Some(Format::OpenMetrics)),
        (Some("text/plain; version=0.0.4"), Some(Format::Classic)),
        (None, Some(Format::Classic)),
        (Some("text/html; charset=utf-8"), None),
        (Some("application/json"), None),
    ] {
        assert_eq!(Format::of(kind), wanted, "{kind:?}");
    }
}

/// Text as a target writes it, in pieces that are put together anyhow.
fn written() -> impl Strategy<Value = String> {
    let label = ("[a-z_]{1,5}", ".{0,6}").prop_map(|(name, value)| {
        let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        format!("{name}=\"{value}\"")
    });
    let line = prop_oneof![
        4 => ("[a-z_:]{1,8}", prop::option::of(label), any::<f64>(), prop::option::of(-1_000_000_i64..1_000_000)).prop_map(
            |(name, label, value, at)| {
                let label = label.map_or(String::new(), |label| format!("{{{label}}}"));
                format!("{name}{label} {value}{}", at.map_or(String::new(), |at| format!(" {at}")))
            }
        ),
        1 => ("[a-z_]{1,8}", prop_oneof![Just("gauge"), Just("counter"), Just("histogram")]).prop_map(|(name, kind)| format!("# TYPE {name} {kind}")),
        1 => "# [ -~]{0,10}",
    ];
    prop::collection::vec(line, 0..12).prop_map(|lines| lines.join("\n"))
}

proptest! {
    #![proptest_config(crate::prometheus::tests::settings())]

    #[test]
    fn what_is_written_is_read(text in written().prop_filter("no other comment", |text| !text.contains("# TYPE") || text.lines().all(|l| !l.starts_with("# TYPE") || l.split(' ').count() == 4))) {
        let mut count = 0;
        let lines = text.lines().filter(|line| !line.trim().is_empty() && !line.trim_start().starts_with('#')).count();
        let read = read(text.as_bytes(), Format::Classic, &mut |sample| {
            count += 1;
            parts(sample.series).map(|_| ())
        });
        prop_assert!(read.is_ok(), "{:?}", read.err());
        prop_assert_eq!(count, lines);
    }

    /// Whatever bytes come, they are samples or an error.
    #[test]
    fn bytes_that_were_changed_on_the_way_harm_nobody(
        text in written(), changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
        open in any::<bool>(),
    ) {
        let mut bytes = text.into_bytes();
        for (at, byte) in changes {
            if !bytes.is_empty() {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
        }
        let format = if open { Format::OpenMetrics } else { Format::Classic };
        let read = read(&bytes, format, &mut |sample| {
            if let Ok(Parts { name, labels }) = parts(sample.series) {
                assert!(!name.is_empty() && labels.len() <= sample.series.len());
            }
            Ok(())
        });
        if let Ok(families) = read {
            families.kind("a_total");
        }
    }
}

#[test]
fn what_was_read_before_is_foretold_and_nothing_is_taken_for_it_that_is_not() {
    let lines = [
        "a 1",
        "a{b=\"c\"} 2 7",
        "a {b=\"d\"} 3",
        "a\t{b=\"}\"} 4",
        "ab 5",
        "a{b=\"c\"}  6",
        "a{b=\"c\",d=\"e\"} 7",
        "a{} 8",
    ];
    let read_all = |foretold: &mut dyn FnMut(&str) -> Option<usize>| {
        let mut all = Vec::new();
        let each = &mut |sample: Sample<'_>| {
            all.push((sample.series.to_owned(), sample.value, sample.at));
            Ok(())
        };
        read_foretold(lines.join("\n").as_bytes(), Format::Classic, foretold, each).map(|_| all)
    };
    let plain = read_all(&mut |_| None).expect("whole");
    for (series, ..) in &plain {
        let mut hits = 0;
        let told = read_all(&mut |line| {
            let end = begins_with(line, series).then_some(series.len());
            hits += usize::from(end.is_some());
            end
        });
        assert_eq!(told.as_ref(), Ok(&plain), "{series} foretold");
        assert!(hits > 0, "{series}");
    }
    assert!(
        begins_with("a{b=\"c\"} 2 7", "a{b=\"c\"}") && !begins_with("a {b=\"d\"} 3", "a") && !begins_with("a", "a")
    );
}
