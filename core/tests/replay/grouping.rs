//! What Alertmanager would tell of pages.

use crate::{labels, minute};
use homeostat::replay::Page;
use homeostat::replay::grouping::{Because, Notification, Route, notifications};
use homeostat::time::Span;

fn page(names: &str, began: i64, ended: Option<i64>) -> Page {
    let (pending_since, began, ended) = (minute(began), minute(began), ended.map(minute));
    Page { labels: labels(names), pending_since, began, ended }
}

/// Grouped by alert and cluster; waits of one and five minutes, repeats after an hour.
fn route() -> Route {
    Route {
        group_by: Some(vec!["alertname".to_owned(), "cluster".to_owned()]),
        group_wait: Span::minutes(1),
        group_interval: Span::minutes(5),
        repeat_interval: Span::hours(1),
        send_resolved: true,
    }
}

/// Minute, reason, number that fire and that ended.
fn lines(notifications: &[Notification]) -> Vec<String> {
    let line = |n: &Notification| {
        format!("{} {:?} {}+{}", n.at.millis() / 60_000, n.because, n.firing.len(), n.resolved.len())
    };
    notifications.iter().map(line).collect()
}

#[test]
fn what_begins_together_is_told_together() {
    let pages = [
        page("alertname=A cluster=x i=1", 0, Some(3)),
        page("alertname=A cluster=x i=2", 1, Some(30)),
        page("alertname=A cluster=y i=1", 0, Some(3)),
    ];
    let told = notifications(&pages, &route(), minute(100));
    // Cluster x: both at minute 1; the end of one at 6; the other's at 31. Cluster y: at 1, its end at 6.
    assert_eq!(lines(&told), ["1 Firing 2+0", "1 Firing 1+0", "6 Resolved 1+1", "6 Resolved 0+1", "31 Resolved 0+1"]);
    assert_eq!(told[0].group, labels("alertname=A cluster=x"));
    assert_eq!(told[2].resolved, [labels("alertname=A cluster=x i=1")]);
}

#[test]
fn what_comes_later_waits_for_the_next_look() {
    let pages = [page("alertname=A i=1", 0, Some(60)), page("alertname=A i=2", 2, Some(60))];
    let told = notifications(&pages, &route(), minute(20));
    assert_eq!(lines(&told), ["1 Firing 1+0", "6 Firing 2+0"]);
}

#[test]
fn what_is_over_before_the_first_look_is_not_told() {
    assert!(notifications(&[page("alertname=A", 0, Some(1))], &route(), minute(100)).is_empty());
    // Neither is what ends and begins again between two looks.
    let pages = [page("alertname=A", 0, Some(3)), page("alertname=A", 4, Some(10))];
    assert_eq!(lines(&notifications(&pages, &route(), minute(9))), ["1 Firing 1+0"]);
}

#[test]
fn what_lasts_is_repeated() {
    let told = notifications(&[page("alertname=A", 0, None)], &route(), minute(140));
    // More than an hour ago, not an hour ago: at the look after it.
    assert_eq!(lines(&told), ["1 Firing 1+0", "66 Repeated 1+0", "131 Repeated 1+0"]);
}

#[test]
fn a_group_that_emptied_begins_anew() {
    let pages = [page("alertname=A", 0, Some(3)), page("alertname=A", 20, Some(22))];
    assert_eq!(
        lines(&notifications(&pages, &route(), minute(100))),
        ["1 Firing 1+0", "6 Resolved 0+1", "21 Firing 1+0", "26 Resolved 0+1"]
    );
}

#[test]
fn a_receiver_that_hears_of_no_ends_gets_none() {
    let route = Route { send_resolved: false, ..route() };
    let pages = [page("alertname=A i=1", 0, Some(3)), page("alertname=A i=2", 0, Some(9))];
    assert_eq!(lines(&notifications(&pages, &route, minute(100))), ["1 Firing 2+0"]);
    // It is told again when it begins again, for the end was taken note of.
    let pages = [page("alertname=A", 0, Some(3)), page("alertname=A", 20, Some(22))];
    assert_eq!(lines(&notifications(&pages, &route, minute(100))), ["1 Firing 1+0", "21 Firing 1+0"]);
}

#[test]
fn grouped_by_everything_each_page_is_told_by_itself() {
    let route = Route { group_by: None, ..route() };
    let pages = [page("alertname=A i=1", 0, Some(60)), page("alertname=A i=2", 0, Some(60))];
    let told = notifications(&pages, &route, minute(5));
    assert_eq!(lines(&told), ["1 Firing 1+0", "1 Firing 1+0"]);
    assert_eq!(told[1].group, labels("alertname=A i=2"));
    assert_eq!(told[0].because, Because::Firing);
}
