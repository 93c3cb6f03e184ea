//! Calendars as people and programs write them, and as nobody should.

use super::ical::{FILE_LEN_MAX, entries};
use super::*;
use proptest::prelude::*;

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).expect(text)
}

fn berlin() -> TimeZone {
    TimeZoneDatabase::bundled().get("Europe/Berlin").expect("known")
}

const HORIZON: &str = "2028-12-31T00:00:00Z";

/// An event with these lines, in a calendar.
fn event(lines: &str) -> String {
    format!("BEGIN:VCALENDAR\r\nVERSION:2.0\r\nBEGIN:VEVENT\r\n{lines}\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n")
}

/// From, until and name of each.
fn read(text: &str) -> Result<Vec<(String, String, String)>, String> {
    let found = entries(text, &berlin(), at(HORIZON)).map_err(|wrong| wrong.to_string())?;
    let text = |at: Timestamp| at.to_string().replace(".000Z", "Z");
    Ok(found.into_iter().map(|entry| (text(entry.from), text(entry.until), entry.name.to_string())).collect())
}

fn spans(lines: &str) -> Vec<(String, String)> {
    read(&event(lines)).expect(lines).into_iter().map(|(from, until, _)| (from, until)).collect()
}

fn span(from: &str, until: &str) -> Vec<(String, String)> {
    vec![(from.to_owned(), until.to_owned())]
}

#[test]
fn events_are_where_their_writer_meant_them() {
    for (lines, from, until) in [
        // A whole day by the configured clocks, in winter and over the change to summer, 23 hours long.
        ("DTSTART;VALUE=DATE:20261225", "2026-12-24T23:00:00Z", "2026-12-25T23:00:00Z"),
        ("DTSTART;VALUE=DATE:20260329", "2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z"),
        ("DTSTART:20261225\nDTEND:20261227", "2026-12-24T23:00:00Z", "2026-12-26T23:00:00Z"),
        ("DTSTART;VALUE=DATE:20261225\nDTEND;VALUE=DATE:20261225", "2026-12-24T23:00:00Z", "2026-12-25T23:00:00Z"),
        ("DTSTART;VALUE=DATE:20261224\nDURATION:P1W", "2026-12-23T23:00:00Z", "2026-12-30T23:00:00Z"),
        ("DTSTART:20261224T200000Z\nDURATION:PT90M", "2026-12-24T20:00:00Z", "2026-12-24T21:30:00Z"),
        ("DTSTART:20261224T200000\nDTEND:20261224T220000", "2026-12-24T19:00:00Z", "2026-12-24T21:00:00Z"),
        (
            "DTSTART;TZID=America/New_York:20260701T090000\nDTEND;TZID=\"America/New_York\":20260701T100000",
            "2026-07-01T13:00:00Z",
            "2026-07-01T14:00:00Z",
        ),
        // Between two and three there is no time on that night.
        ("DTSTART:20260329T023000\nDURATION:PT1H", "2026-03-29T01:30:00Z", "2026-03-29T02:30:00Z"),
    ] {
        assert_eq!(spans(lines), span(from, until), "{lines}");
    }
}

#[test]
fn a_file_as_calendars_export_it() {
    let text = "\u{feff}BEGIN:VCALENDAR\r\nPRODID:-//Example//EN\r\nVERSION:2.0\r\nMETHOD:PUBLISH\r\nX-WR-TIMEZONE:Europe/Berlin\r\n\
        BEGIN:VTIMEZONE\r\nTZID:Europe/Berlin\r\nBEGIN:DAYLIGHT\r\nDTSTART:19700329T020000\r\n\
        RRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=3\r\nEND:DAYLIGHT\r\nEND:VTIMEZONE\r\n\
        BEGIN:VEVENT\r\nUID:1\r\nSUMMARY:Release 4\\, the\r\n  second\\nhalf\r\nDTSTART;TZID=Europe/Berlin:20260701T220000\r\n\
        DTEND;TZID=Europe/Berlin:20260702T000000\r\nDESCRIPTION;LANGUAGE=en:a: b; c\r\n\
        BEGIN:VALARM\r\nTRIGGER:-PT15M\r\nDURATION:nonsense\r\nEND:VALARM\r\nEND:VEVENT\r\n\
        BEGIN:VTODO\r\nDTSTART:nonsense\r\nEND:VTODO\r\n\
        BEGIN:VEVENT\r\nUID:2\r\nSTATUS:CANCELLED\r\nDTSTART;VALUE=DATE:20260101\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n";
    let wanted =
        ("2026-07-01T20:00:00Z".to_owned(), "2026-07-01T22:00:00Z".to_owned(), "Release 4, the second half".to_owned());
    assert_eq!(read(text), Ok(vec![wanted]));
}

#[test]
fn what_repeats_does_so_by_the_clocks_until_it_ends() {
    let weekly = spans("DTSTART:20260322T220000\nDURATION:PT2H\nRRULE:FREQ=WEEKLY;COUNT=2");
    let wanted = [("2026-03-22T21:00:00Z", "2026-03-22T23:00:00Z"), ("2026-03-29T20:00:00Z", "2026-03-29T22:00:00Z")];
    assert_eq!(
        weekly,
        wanted.map(|(from, until)| (from.to_owned(), until.to_owned())),
        "ten at night in winter and in summer"
    );
    for (lines, count) in [
        ("DTSTART;VALUE=DATE:20241225\nRRULE:FREQ=YEARLY", 5),
        ("DTSTART;VALUE=DATE:20241225\nRRULE:FREQ=YEARLY;UNTIL=20261225", 3),
        ("DTSTART:20260105T220000\nDURATION:PT1H\nRRULE:FREQ=DAILY;UNTIL=20260107T210000Z", 3),
        ("DTSTART:20260105T220000\nDURATION:PT1H\nRRULE:FREQ=DAILY;UNTIL=20260107T205959Z", 2),
        ("DTSTART:20260105T220000\nDURATION:PT1H\nRRULE:FREQ=DAILY;UNTIL=20260107", 3),
        ("DTSTART;VALUE=DATE:20260101\nRRULE:FREQ=DAILY;COUNT=5\nEXDATE;VALUE=DATE:20260102,20260104", 3),
        ("DTSTART;VALUE=DATE:20260101\nRRULE:FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30", 0),
        ("DTSTART;VALUE=DATE:19000101\nRRULE:FREQ=DAILY;COUNT=3", 3),
        ("DTSTART;VALUE=DATE:20300101\nRRULE:FREQ=DAILY", 0),
    ] {
        assert_eq!(spans(lines).len(), count, "{lines}");
    }
}

#[test]
fn one_of_a_series_that_was_moved_takes_its_place() {
    let text = "BEGIN:VCALENDAR\nBEGIN:VEVENT\nUID:a\nDTSTART:20260105T220000\nDURATION:PT1H\nRRULE:FREQ=DAILY;COUNT=3\nEND:VEVENT\n\
        BEGIN:VEVENT\nUID:a\nRECURRENCE-ID:20260106T220000\nDTSTART:20260106T100000\nDURATION:PT1H\nEND:VEVENT\nEND:VCALENDAR\n";
    let mut from: Vec<String> = read(text).expect("read").into_iter().map(|(from, _, _)| from).collect();
    from.sort();
    assert_eq!(from, ["2026-01-05T21:00:00Z", "2026-01-06T09:00:00Z", "2026-01-07T21:00:00Z"]);
}

#[test]
fn what_cannot_be_read_is_refused_with_its_line_and_a_remedy() {
    for (text, line, said) in [
        (String::new(), 1, "BEGIN:VCALENDAR"),
        ("<html>\n</html>".to_owned(), 1, "is it an iCalendar file?"),
        ("DTSTART:20260101".to_owned(), 1, "BEGIN:VCALENDAR"),
        ("BEGIN:VCALENDAR\nBEGIN:VEVENT\nDTSTART:20260101\n".to_owned(), 3, "is it complete?"),
        ("BEGIN:VCALENDAR\nEND:VEVENT\n".to_owned(), 2, "ends nothing"),
        (event("SUMMARY:x"), 3, "no DTSTART"),
        (event("DTSTART:2026-01-01"), 4, "20261225T220000"),
        (event("DTSTART;VALUE=DATE:20260230"), 4, "20261225"),
        (event("DTSTART:20260101T250000Z"), 4, "20261225T220000"),
        (event("DTSTART:20260101T120000"), 4, "DTEND or DURATION"),
        (event("DTSTART:20260101T120000\nDTEND:20260101T120000"), 5, "after DTSTART"),
        (event("DTSTART:20260102\nDTEND:20260101"), 5, "before DTSTART"),
        (event("DTSTART:20260102\nDTEND:20260103T120000"), 5, "one is a date"),
        (event("DTSTART:20260102\nDTEND:20260103\nDURATION:P1D"), 5, "keep one"),
        (event("DTSTART:20260102\nDURATION:-P1D"), 5, "PT2H"),
        (event("DTSTART:20260102\nDURATION:P999999999999999999999D"), 5, "PT2H"),
        (event("DTSTART;TZID=W. Europe Standard Time:20260101T120000"), 4, "IANA"),
        (event("DTSTART:20260102\nRRULE:FREQ=SECONDLY"), 5, "SECONDLY"),
        (event("DTSTART:20260102\nRRULE:FREQ=DAILY;BYSETPOS=1"), 5, "`dates` or `periods`"),
        (event("DTSTART:20260102\nRDATE:20260103"), 5, "RDATE"),
        (
            event("DTSTART:20260103\nRECURRENCE-ID;RANGE=THISANDFUTURE;VALUE=DATE:20260102"),
            5,
            "RANGE is not understood; end the series",
        ),
        (event("DTSTART;X=\"20260102"), 4, "no value"),
        ("BEGIN:A\n".repeat(100), 1, "BEGIN:VCALENDAR"),
        (format!("BEGIN:VCALENDAR\n{}", "BEGIN:A\n".repeat(100)), 9, "deep"),
    ] {
        let error = read(&text).expect_err(&text);
        assert!(error.starts_with(&format!("line {line}: ")) && error.contains(said), "{text}\n{error}");
    }
}

#[test]
fn hostile_files_end_soon() {
    let begun = std::time::Instant::now();
    // More than a million days, and as many that never come.
    for lines in [
        "DTSTART;VALUE=DATE:00010101\nRRULE:FREQ=DAILY",
        "DTSTART;VALUE=DATE:00010101\nRRULE:FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30",
    ] {
        let _ = read(&event(lines));
    }
    let many = "BEGIN:VEVENT\nDTSTART;VALUE=DATE:19700101\nRRULE:FREQ=DAILY\nEND:VEVENT\n".repeat(50_000);
    let error = read(&format!("BEGIN:VCALENDAR\n{many}END:VCALENDAR\n")).expect_err("too many");
    assert!(error.contains("repeat too often"), "{error}");
    let long = event(&format!("DTSTART:20260101\nSUMMARY:{}", "é".repeat(1_000_000)));
    assert_eq!(read(&long).expect("long, and well")[0].2.chars().count(), 200);
    assert!(begun.elapsed() < std::time::Duration::from_secs(20), "{:?}", begun.elapsed());
}

proptest! {
    #[test]
    fn nothing_makes_it_panic(lines in prop::collection::vec(
        prop_oneof![
            Just("BEGIN:VCALENDAR".to_owned()), Just("BEGIN:VEVENT".to_owned()), Just("END:VEVENT".to_owned()),
            Just("END:VCALENDAR".to_owned()), Just("DTSTART:20260101".to_owned()), Just("DURATION:P1D".to_owned()),
            Just("RRULE:FREQ=YEARLY;INTERVAL=1000;BYDAY=-53MO".to_owned()), Just(" folded".to_owned()),
            "DT(START|END)(;VALUE=DATE)?:[0-9]{8}(T[0-9]{6}Z?)?",
            "RRULE:FREQ=(DAILY|WEEKLY|MONTHLY|YEARLY);(BYDAY|BYMONTHDAY|BYMONTH|INTERVAL)=-?[0-9]{1,4}(MO|FR)?",
            "DURATION:[+-]?P[0-9]{0,9}[WDTHMS]{0,3}", "\\PC{0,40}"
        ], 0..12)) {
        let _ = read(&lines.join("\n"));
        let _ = read(&event(&lines.join("\n")));
    }
}

fn source(yaml: serde_json::Value) -> CalendarSource {
    serde_json::from_value(yaml.clone()).unwrap_or_else(|error| panic!("{yaml}: {error}"))
}

#[test]
fn dates_and_periods_are_those_of_the_zone() {
    let zone = Zone::named("Europe/Berlin").expect("known");
    let source = source(serde_json::json!({
        "kind": "holiday", "dates": ["2026-12-25"], "name": "Christmas",
        "periods": [
            { "from": "2026-06-30T22:00", "until": "2026-07-01", "name": "inventory" },
            { "from": "2026-08-01T00:00:00Z", "until": "2026-08-01T00:00:00+01:00" },
        ],
    }));
    let error = super::read(std::slice::from_ref(&source), &zone, at(HORIZON)).expect_err("it ends before it begins");
    assert_eq!(error.key, "calendars[0].periods[1].until");
    let mut source = source;
    source.periods.truncate(1);
    let calendars = super::read(&[source], &zone, at(HORIZON)).expect("usable");
    let said: Vec<(String, &str)> =
        calendars[0].entries().iter().map(|entry| (entry.from.to_string(), &*entry.name)).collect();
    let wanted =
        [("2026-06-30T20:00:00.000Z".to_owned(), "inventory"), ("2026-12-24T23:00:00.000Z".to_owned(), "Christmas")];
    assert_eq!(said, wanted);
    for (spoilt, key) in [
        (serde_json::json!({ "kind": "deploy" }), "calendars[0]"),
        (serde_json::json!({ "kind": "deploy", "dates": ["25.12.2026"] }), "calendars[0].dates[0]"),
        (serde_json::json!({ "kind": "deploy", "file": "/nowhere/x.ics" }), "calendars[0].file"),
        (
            serde_json::json!({ "kind": "deploy", "periods": [{ "from": "soon", "until": "2026-01-01" }] }),
            "calendars[0].periods[0].from",
        ),
    ] {
        let error = super::read(&[self::source(spoilt.clone())], &zone, at(HORIZON)).expect_err("unusable");
        assert_eq!(error.key, key, "{spoilt}: {error}");
    }
}

#[test]
fn a_file_is_read_again_when_it_changes_and_kept_when_it_is_spoiled() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("deploys.ics");
    let write = |text: &str| std::fs::write(&path, text).expect("written");
    write(&event("DTSTART:20260101T100000Z\nDURATION:PT1H"));
    let sources = [source(serde_json::json!({ "kind": "deploy", "file": path }))];
    let start = at("2026-01-01T00:00:00Z");
    let mut calendars = super::read(&sources, &Zone::UTC, start).expect("usable");
    let mut watch = Watch::new(&sources, &calendars, Vec::new(), start);
    let later = |secs| start + Span::from_secs(secs);
    assert_eq!(watch.look(&sources, &calendars, &Zone::UTC, later(10)), None, "as it was");
    write(&event("DTSTART:20260101T100000Z\nDURATION:PT100M"));
    assert_eq!(watch.look(&sources, &calendars, &Zone::UTC, later(11)), None, "not so soon again");
    calendars = watch.look(&sources, &calendars, &Zone::UTC, later(20)).expect("another file");
    assert_eq!(calendars[0].entries()[0].until, at("2026-01-01T11:40:00Z"));
    write("spoiled");
    assert_eq!(watch.look(&sources, &calendars, &Zone::UTC, later(30)), None);
    assert_eq!((watch.errors, watch.problems.len()), (1, 1));
    assert!(watch.problems[0].1.contains("deploys.ics line 1"), "{:?}", watch.problems);
    assert_eq!(watch.look(&sources, &calendars, &Zone::UTC, later(40)), None, "told once");
    std::fs::remove_file(&path).expect("removed");
    assert_eq!(watch.look(&sources, &calendars, &Zone::UTC, later(50)), None);
    assert!(watch.problems[0].1.contains("cannot read"), "{:?}", watch.problems);
    write(&event("DTSTART:20260101T100000Z\nDURATION:PT2H"));
    let read = watch.look(&sources, &calendars, &Zone::UTC, later(60)).expect("well again");
    assert_eq!((read[0].entries()[0].until, watch.problems.len()), (at("2026-01-01T12:00:00Z"), 0));
    // What repeats is known for two years ahead, so that each day there is more of it.
    write(&event("DTSTART;VALUE=DATE:20260101\nRRULE:FREQ=DAILY"));
    let read = watch.look(&sources, &read, &Zone::UTC, later(70)).expect("another file");
    let grown = watch.look(&sources, &read, &Zone::UTC, later(90_000)).expect("a day later");
    assert_eq!(grown[0].entries().len(), read[0].entries().len() + 1);
}

#[test]
fn a_file_that_is_too_large_or_no_text_is_refused() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("x.ics");
    std::fs::write(&path, vec![b' '; FILE_LEN_MAX as usize + 1]).expect("written");
    let said = from_file(&path, &Zone::UTC, at(HORIZON)).expect_err("too large");
    assert!(said.contains("is it a calendar?"), "{said}");
    std::fs::write(&path, b"BEGIN:VCALENDAR\n\xff\n").expect("written");
    let said = from_file(&path, &Zone::UTC, at(HORIZON)).expect_err("no text");
    assert!(said.contains("line 2") && said.contains("UTF-8"), "{said}");
}
