//! What is asked when, and what becomes of the answers; the time is an argument.

use super::*;
use crate::prometheus::fake::{Fake, Reply, Request, count, error, json, matrix, wave};
use std::sync::atomic::AtomicI64;

/// A whole step.
const NOW: Timestamp = Timestamp::from_secs(6_000_000);

fn minutes(count: u64) -> Span {
    Span::minutes(count)
}

/// What was handed over, in a form that is easily compared.
#[derive(Default)]
struct Taken {
    history: BTreeMap<String, Vec<(Timestamp, f64)>>,
    kinds: BTreeMap<String, Kind>,
    live: Vec<(String, Timestamp, f64)>,
    places: Vec<Timestamp>,
}

impl Taken {
    fn take(&mut self) -> impl FnMut(Fed, Option<(String, Timestamp)>) -> bool + '_ {
        |fed, place| {
            match fed {
                Fed::History(series) => {
                    for (name, kind, values) in series {
                        self.kinds.extend(kind.map(|kind| (name.to_string(), kind)));
                        self.history.entry(name.to_string()).or_default().extend(values);
                    }
                }
                Fed::Live(readings) => {
                    self.live.extend(readings.into_iter().map(|(name, _, at, value)| (name.to_string(), at, value)));
                }
            }
            self.places.extend(place.map(|(_, at)| at));
            true
        }
    }
}

fn source(fake: &Fake, yaml_of: impl FnOnce(&mut PromqlSource)) -> PromqlSource {
    let mut source = PromqlSource {
        endpoint: Endpoint { url: fake.url.clone(), ..Endpoint::default() },
        query_budget: QueryBudget::default(),
        step: step(),
        delay: delay(),
        backfill: None,
        expressions: vec![Expression { expr: "m".to_owned(), name: None }],
    };
    yaml_of(&mut source);
    source.check().expect("usable");
    source
}

fn promql(fake: &Fake, source: &PromqlSource, reached: &BTreeMap<String, Timestamp>) -> Promql {
    let (client, _) = fake.client_with(source.query_budget);
    Promql::new(source, client, minutes(600), 1, reached, NOW)
}

/// A server that says nothing of types.
fn fake(answer: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Fake {
    Fake::new(move |request| match request.path.as_str() {
        "/api/v1/metadata" => json(r#"{"status":"success","data":{}}"#),
        _ => answer(request),
    })
}

/// Series `a` and `b` as in [`wave`].
fn both(request: &Request) -> Reply {
    if request.is_count() { count(2) } else { matrix(request, &["a", "b"], wave) }
}

fn turned(source: &Promql, now: Timestamp) -> Taken {
    let mut taken = Taken::default();
    source.turn_to_news(now, &mut taken.take());
    source.turn_to_history(now, &mut taken.take());
    taken
}

#[test]
fn history_comes_first_and_is_learned_from_then_each_evaluation_is_judged() {
    let fake = fake(both);
    let source = promql(&fake, &source(&fake, |_| {}), &BTreeMap::new());
    assert!(source.next_due(true, NOW) <= NOW && source.next_due(false, NOW) > NOW);
    let now = NOW + Span::from_secs(15);
    let taken = turned(&source, now);
    assert_eq!(taken.history.keys().collect::<Vec<_>>(), [r#"m{s="a"}"#, r#"m{s="b"}"#]);
    let a = &taken.history[r#"m{s="a"}"#];
    assert_eq!((a.len(), a[0].0, a[600].0), (601, NOW - minutes(600), NOW));
    assert!(a.iter().all(|(at, value)| Some(*value) == wave("a", at.millis())), "in order, each its own");
    assert_eq!((taken.live.len(), taken.places), (0, vec![NOW]));
    // The next evaluation is at the next minute, and asked ten seconds later.
    assert_eq!(source.next_due(false, now), NOW + Span::from_secs(70));
    assert!(source.next_due(true, now) > now + minutes(1000), "no more history is wanted");
    assert!(turned(&source, NOW + Span::from_secs(69)).places.is_empty());
    let taken = turned(&source, NOW + Span::from_secs(70));
    let at = NOW + minutes(1);
    assert_eq!((taken.history.len(), taken.places), (0, vec![at]));
    let value = |series: &str| wave(series, at.millis()).expect("a value");
    let wanted = [(r#"m{s="a"}"#.to_owned(), at, value("a")), (r#"m{s="b"}"#.to_owned(), at, value("b"))];
    assert_eq!(taken.live, wanted);
    let tally = &source.tally;
    assert_eq!(tally.samples.load(Ordering::Relaxed), 2 * 602);
    assert_eq!(tally.behind(NOW + Span::from_secs(70)), Some(Span::from_secs(10)));
    assert_eq!([&tally.parts_up, &tally.series, &tally.failures].map(|of| of.load(Ordering::Relaxed)), [1, 2, 0]);
    assert_eq!(fake.ranges().last().map(|request| request.times().count()), Some(1), "and no more is asked for");
}

#[test]
fn after_a_restart_only_what_was_missed_is_asked() {
    let fake = fake(both);
    let configured = source(&fake, |_| {});
    let before = promql(&fake, &configured, &BTreeMap::new());
    turned(&before, NOW);
    let id = locked(&before.queries[0]).id.clone();
    let until = locked(&before.queries[0]).until.expect("asked");
    let reached = BTreeMap::from([(id, until)]);
    // Soon after: what was missed is news.
    let after = promql(&fake, &configured, &reached);
    let taken = turned(&after, until + minutes(5) + Span::from_secs(10));
    assert_eq!((taken.history.len(), taken.live.len()), (0, 10));
    assert!(taken.live.windows(2).all(|two| two[0].1 <= two[1].1), "in order of time");
    // Two hours after: it is not, and nobody is paged for it.
    let after = promql(&fake, &configured, &reached);
    let taken = turned(&after, until + minutes(120) + Span::from_secs(10));
    assert_eq!((taken.history[r#"m{s="a"}"#].len(), taken.live.len()), (120, 0));
    // Another expression is not what was asked.
    let other = source(&fake, |source| source.expressions[0].expr = "m + 0".to_owned());
    let taken = turned(&promql(&fake, &other, &reached), NOW);
    assert_eq!(taken.history[r#"m{s="a"}"#].len(), 601);
}

#[test]
fn what_fails_is_counted_told_and_made_up_for() {
    let broken_until = Arc::new(AtomicI64::new(0));
    let broken = Arc::clone(&broken_until);
    let fake =
        fake(move |request| match request.is_count() || request.millis("end") >= broken.load(Ordering::SeqCst) {
            true => both(request),
            false => error(400, "bad_data", "no such function"),
        });
    let source = promql(&fake, &source(&fake, |_| {}), &BTreeMap::new());
    turned(&source, NOW);
    let until = locked(&source.queries[0]).until.expect("asked");
    broken_until.store(until.millis() + 4 * 60_000, Ordering::SeqCst);
    let asked_at = until + minutes(1) + Span::from_secs(10);
    assert!(turned(&source, asked_at).places.is_empty());
    assert_eq!(source.tally.failures.load(Ordering::Relaxed), 1);
    assert_eq!(source.tally.parts_up.load(Ordering::Relaxed), 0);
    assert!(
        source.next_due(false, asked_at) > asked_at + minutes(9),
        "an expression that is refused is left in peace for a while"
    );
    assert!(source.tally.is_silent(asked_at + minutes(5)));
    let taken = turned(&source, asked_at + minutes(10));
    assert_eq!(
        (taken.live.len(), taken.history.len()),
        (22, 0),
        "eleven evaluations, of which none was asked in between"
    );
    assert_eq!(source.tally.parts_up.load(Ordering::Relaxed), 1);
    assert!(!source.tally.is_silent(asked_at + minutes(10)));
}

#[test]
fn a_series_that_is_not_there_any_more_has_ended() {
    let gone_from = NOW + minutes(2);
    let all_gone_from = NOW + minutes(4);
    let fake = fake(move |request| match request.is_count() {
        true => count(2),
        false => matrix(request, &["a", "b"], |series, at| {
            wave(series, at).filter(|_| at < all_gone_from.millis() && (series == "a" || at < gone_from.millis()))
        }),
    });
    let source = promql(&fake, &source(&fake, |_| {}), &BTreeMap::new());
    let mut all = Vec::new();
    for minute in 0..=6 {
        all.extend(turned(&source, NOW + minutes(minute) + Span::from_secs(10)).live);
    }
    let stale: Vec<_> = all.iter().filter(|(_, _, value)| value.to_bits() == STALE.to_bits()).collect();
    let ended: Vec<_> = stale.iter().map(|(name, at, _)| (name.as_str(), *at)).collect();
    assert_eq!(ended, [(r#"m{s="b"}"#, gone_from), (r#"m{s="a"}"#, all_gone_from)], "once each");
    let of = |of: &std::sync::atomic::AtomicU64| of.load(Ordering::Relaxed);
    assert_eq!((of(&source.tally.silent_series), of(&source.tally.gaps)), (2, 3));
    assert!(source.tally.is_silent(NOW + minutes(7)));
}

#[test]
fn history_that_breaks_off_is_gone_on_with() {
    let fails = Arc::new(AtomicI64::new(1));
    let left = Arc::clone(&fails);
    // With 100 samples at once a piece is 32 evaluations long. The tenth one fails once, for good.
    let fake = fake(move |request| match request.is_count() {
        true => count(2),
        false
            if request.times().any(|at| at == (NOW - minutes(300)).millis())
                && left.fetch_sub(1, Ordering::SeqCst) > 0 =>
        {
            error(403, "", "not now")
        }
        false => matrix(request, &["a", "b"], wave),
    });
    let configured = source(&fake, |source| source.query_budget.samples_max = 1000);
    let source = promql(&fake, &configured, &BTreeMap::new());
    let now = NOW + Span::from_secs(10);
    let first = turned(&source, now);
    assert_eq!(source.tally.failures.load(Ordering::Relaxed), 1);
    let second = turned(&source, now + minutes(1));
    let (mut all, more) = (first.history[r#"m{s="a"}"#].clone(), &second.history[r#"m{s="a"}"#]);
    assert!(!all.is_empty() && more.len() < 602, "{} and {}", all.len(), more.len());
    all.extend(more);
    assert_eq!(all.len(), 602);
    assert!(all.windows(2).all(|two| two[1].0 == two[0].0 + minutes(1)), "nothing twice, nothing left out");
}

#[test]
fn news_of_one_expression_does_not_wait_for_the_history_of_all() {
    let fake = fake(both);
    let names = ["m", "m > 0", "m + 0"];
    let configured = source(&fake, |source| {
        source.expressions = names
            .iter()
            .map(|expr| Expression { expr: (*expr).to_owned(), name: Some(format!("n{}", expr.len())) })
            .collect();
        source.expressions[2].name = Some("last".to_owned());
    });
    let source = promql(&fake, &configured, &BTreeMap::new());
    let now = NOW + Span::from_secs(10);
    assert!(turned(&source, now).history.contains_key(r#"n1{s="a"}"#));
    assert!(source.next_due(true, now) <= now, "the next one waits");
    let taken = turned(&source, now + minutes(1));
    assert!(taken.live.iter().any(|(name, _, _)| name == r#"n1{s="a"}"#));
    assert!(taken.history.contains_key(r#"n5{s="a"}"#));
    assert!(source.tally.behind(now).is_none(), "the last one has come nowhere yet");
}

#[test]
fn a_source_that_cannot_work_is_refused_with_its_key() {
    let fake = fake(both);
    let refused = |change: fn(&mut PromqlSource)| {
        let mut configured = source(&fake, |_| {});
        change(&mut configured);
        configured.check().expect_err("refused")
    };
    assert_eq!(refused(|source| source.step = Span::ZERO).0, "step");
    assert_eq!(refused(|source| source.endpoint.url = "prometheus".to_owned()).0, "url");
    assert_eq!(refused(|source| source.query_budget.at_once = 0).0, "query_budget.at_once");
    assert_eq!(refused(|source| source.expressions.clear()).0, "expressions");
    assert_eq!(refused(|source| source.expressions[0].expr = " ".to_owned()).0, "expressions[0].expr");
    let (key, problem) = refused(|source| {
        source.expressions = ["a + b", "a - b"].map(|expr| Expression { expr: expr.to_owned(), name: None }).into();
    });
    assert!(key == "expressions[1].name" && problem.contains("`a_b`"), "{key}: {problem}");
}

#[test]
fn what_a_metric_measures_is_said_by_the_server_else_by_its_values() {
    let metadata = r#"{"status":"success","data":{"m":[{"type":"gauge","help":"","unit":""}]}}"#;
    let asked = Arc::new(AtomicI64::new(0));
    let server = |metadata: &'static str| {
        let asked = Arc::clone(&asked);
        Fake::new(move |request| match request.path.as_str() {
            "/api/v1/metadata" => {
                asked.fetch_add(1, Ordering::SeqCst);
                json(metadata)
            }
            _ if request.is_count() => count(2),
            // Both rise; what is said of a metric is of both.
            _ => matrix(request, &["a", "b"], |series, at| {
                Some((at / 1000) as f64 + if series == "b" { 0.5 } else { 0.0 })
            }),
        })
    };
    let kinds = |metadata: &'static str| {
        let fake = server(metadata);
        turned(&promql(&fake, &source(&fake, |_| {}), &BTreeMap::new()), NOW).kinds
    };
    let (a, b) = (r#"m{s="a"}"#.to_owned(), r#"m{s="b"}"#.to_owned());
    assert_eq!(kinds(metadata), BTreeMap::from([(a.clone(), Kind::Gauge), (b, Kind::Gauge)]));
    assert_eq!(
        kinds(r#"{"status":"success","data":{}}"#),
        BTreeMap::from([(a, Kind::Counter)]),
        "halves count nothing"
    );
    assert_eq!(asked.load(Ordering::SeqCst), 2, "once each");
    assert!(kinds(r#"{"status":"error","errorType":"bad_data","error":"no"}"#).len() == 1, "and it goes on without");
}
