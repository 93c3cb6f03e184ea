//! The text that goes out, letter by letter, and when it is which of the two.

use super::*;
use homeostat::event::{Asked, Event, Phase};

#[test]
fn the_classic_text_and_openmetrics_differ_where_they_have_to() {
    let mut all = Families(Vec::new());
    all.counter("a_total", "How \"many\"\\\nof them.").put([("label", "x\"y\\z\n")], 3.0);
    all.gauge("nothing", "Left out without samples.");
    all.gauge("b", "B.").put([], f64::INFINITY);
    assert_eq!(
        encode(&all.0, Format::Classic),
        "# HELP a_total How \"many\"\\\\\\nof them.\n# TYPE a_total counter\na_total{label=\"x\\\"y\\\\z\\n\"} 3\n\
         # HELP b B.\n# TYPE b gauge\nb +Inf\n"
    );
    let open = encode(&all.0, Format::OpenMetrics);
    assert!(open.contains("# TYPE a counter\na_total{") && open.ends_with("# EOF\n"), "{open}");
}

#[test]
fn openmetrics_comes_only_when_it_is_asked_for() {
    let prometheus = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
    for (accept, format) in [
        ("", Format::Classic),
        ("*/*", Format::Classic),
        ("text/html,*/*;q=0.8", Format::Classic),
        ("application/openmetrics-text; version=1.0.0", Format::OpenMetrics),
        ("application/openmetrics-text;q=0", Format::Classic),
        ("text/plain;q=0.9,application/openmetrics-text;q=0.1", Format::Classic),
        (prometheus, Format::OpenMetrics),
    ] {
        assert_eq!(Format::accepted([accept].into_iter()), format, "{accept}");
    }
}

#[test]
fn labels_of_thresholds_do_not_collide() {
    let learned = |text: &str| Learned {
        series: SeriesName::parse(text).expect(text),
        lower: None,
        upper: Some(1.0),
        confidence: 0.9,
    };
    let all =
        [learned(r#"up{direction="in",metric="m",le="1"}"#), learned(r#"up{"a.b"="1"}"#), learned(r#"up{a_b="1"}"#)];
    let text = encode(&threshold_families(&all, &[]), Format::Classic);
    let bounds: Vec<&str> = text.lines().filter(|line| line.starts_with("homeostat_threshold{")).collect();
    assert_eq!(
        bounds[0],
        r#"homeostat_threshold{metric="up",exported_direction="in",exported_le="1",exported_metric="m",direction="upper"} 1"#
    );
    assert_ne!(bounds[1], bounds[2]);
    assert!(bounds[2].contains("series="), "{}", bounds[2]);
}

#[test]
fn a_total_does_not_shrink_when_a_series_is_forgotten() {
    let mut total = Growing::default();
    assert_eq!([5, 9, 4, 6].map(|sum| total.see(sum)), [5, 9, 9, 11]);
}

#[test]
fn proposals_and_pages_they_mute_are_counted_once() {
    let series = SeriesName::parse("up").expect("a series");
    let alerted = |phase, muted| {
        let bounds = (None, Some(1.0));
        let at = homeostat::time::Timestamp::EPOCH;
        let (series, value, pages, why, situation) = (series.clone(), 2.0, false, None, 0);
        Event::Alerted(homeostat::event::Alerted {
            series,
            at,
            phase,
            value,
            bounds,
            pages,
            muted,
            why,
            during: None,
            spoke: Default::default(),
            situation,
        })
    };
    let since = homeostat::time::Timestamp::EPOCH;
    let proposed = |because| Event::LevelShiftProposed { id: 1, since, because, series: Vec::new(), situation: 0 };
    let settled = Event::LevelShiftSettled {
        id: 1,
        settled: Settled::Refused,
        series: vec![series.clone()],
        comment: None,
        situation: 0,
    };
    let mut counts = Counts::default();
    for event in [
        alerted(Phase::Onset, true),
        alerted(Phase::End, true),
        alerted(Phase::Onset, false),
        proposed(Asked::Opened),
        proposed(Asked::Joined),
        proposed(Asked::Again),
        settled,
    ] {
        counts.count(&event);
    }
    assert_eq!((counts.alerts, counts.muted, counts.proposed), (2, 1, 1));
    assert_eq!(counts.proposals.into_iter().collect::<Vec<_>>(), [(Settled::Refused, 1)]);
}
