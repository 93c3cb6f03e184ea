//! What pages are worth, against incidents and against what people said.

use crate::{labels, minute};
use homeostat::feedback::Verdict;
use homeostat::replay::Page;
use homeostat::replay::score::{Incident, Judged, Said, episodes, judged, score};
use homeostat::time::Span;

fn page(names: &str, began: i64, ended: i64) -> Page {
    let (pending_since, began, ended) = (minute(began), minute(began), Some(minute(ended)));
    Page { labels: labels(names), pending_since, began, ended }
}

fn incident(names: &str, start: i64, end: i64) -> Incident {
    Incident { start: minute(start), end: minute(end), labels: labels(names) }
}

fn said(names: &str, at: i64, verdict: Verdict) -> Said {
    Said { alert: "A".to_owned(), labels: labels(names), at: minute(at), verdict }
}

#[test]
fn pages_are_true_by_time_and_labels() {
    let incidents = [incident("i=a", 100, 120)];
    let true_pages =
        |names: &str, began: i64| score(&[page(names, began, began + 1)], &incidents, Span::hours(1)).pages_true;
    assert_eq!([94, 95, 100, 130, 131].map(|began| true_pages("alertname=A i=a", began)), [0, 1, 1, 1, 0]);
    assert_eq!(true_pages("alertname=A i=b", 100), 0);
    assert_eq!(true_pages("alertname=A", 100), 0);
}

#[test]
fn precision_recall_and_delay_count_pages_and_incidents() {
    let incidents = [incident("i=a", 100, 120), incident("i=b", 200, 210), incident("i=c", 300, 310)];
    let pages = [
        page("alertname=A i=a", 103, 105),
        page("alertname=A i=a", 110, 112),
        page("alertname=A i=b", 196, 220),
        page("alertname=A i=b", 500, 501),
    ];
    let score = score(&pages, &incidents, Span::hours(14 * 24));
    assert_eq!((score.pages, score.pages_per_week), (4, 2.0));
    assert_eq!((score.pages_true, score.precision), (3, Some(0.75)));
    assert_eq!((score.incidents_told, score.recall), (2, Some(2.0 / 3.0)));
    // Three minutes late, and four early.
    assert_eq!(score.delay_ms, Some(-30_000.0));
}

#[test]
fn nothing_has_no_share() {
    let score = score(&[], &[], Span::ZERO);
    assert_eq!((score.precision, score.recall, score.delay_ms, score.pages_per_week), (None, None, None, 0.0));
}

#[test]
fn verdicts_are_about_as_long_as_the_page_lasted() {
    let before = [page("alertname=A i=a", 100, 140), page("alertname=A i=b", 200, 260)];
    let verdicts = [
        said("i=a", 120, Verdict::True),
        said("i=b", 199, Verdict::False),
        said("i=c", 400, Verdict::Missed),
        Said { alert: "B".to_owned(), ..said("i=a", 120, Verdict::False) },
    ];
    let known = episodes("A", &before, &verdicts, minute(1000));
    assert_eq!(known.len(), 3);
    assert_eq!(known[0].when, Incident { labels: labels("alertname=A i=a"), ..incident("", 100, 140) });
    assert_eq!(known.iter().map(|episode| episode.mattered).collect::<Vec<_>>(), [true, false, true]);
    assert_eq!(known[2].when, incident("i=c", 400, 400));
    // With a longer `for` the page comes half an hour later and is judged all the same.
    let after = [page("alertname=A i=a", 130, 140), page("alertname=A i=b", 230, 260), page("alertname=A i=d", 5, 6)];
    assert_eq!(
        judged(&after, &known),
        Judged {
            pages_true: 1,
            pages_false: 1,
            pages_unjudged: 1,
            precision: Some(0.5),
            episodes: 2,
            episodes_told: 1,
            recall: Some(0.5),
        }
    );
}

#[test]
fn the_last_verdict_about_a_page_stands() {
    let before = [page("alertname=A i=a", 100, 140)];
    let verdicts = [said("i=a", 120, Verdict::False), said("", 101, Verdict::True)];
    let known = episodes("A", &before, &verdicts, minute(1000));
    assert_eq!(known.len(), 1);
    assert!(known[0].mattered);
}
