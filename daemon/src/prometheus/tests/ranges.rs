//! Long ranges in pieces: the same values, within the limits, at the cost that was allowed.

use super::*;

/// Checks that a range over series `a` and `b` is what one query would have given.
fn assert_whole(fetched: &super::super::range::Fetched, steps: usize) {
    let range = &fetched.range;
    assert_eq!((range.start, range.step, range.steps), (START, 60_000, steps));
    assert_eq!(range.tracks.iter().map(|track| track.labels.clone()).collect::<Vec<_>>(), [labels("a"), labels("b")]);
    for (track, name) in range.tracks.iter().zip(["a", "b"]) {
        assert_eq!(track.values.len(), steps);
        for (k, value) in track.values.iter().enumerate() {
            assert_eq!(*value, wave(name, range.at(k).millis()), "{name} at {k}");
        }
    }
}

/// Counts what it is told.
#[derive(Default)]
struct Told {
    asked: AtomicU64,
    steps: AtomicU64,
    samples: AtomicU64,
    ended: AtomicU64,
}

impl Progress for Told {
    fn begins(&self, expr: &str, steps: u64) {
        assert_eq!(expr, "m > 0");
        self.asked.fetch_add(steps, Ordering::Relaxed);
    }
    fn advances(&self, by: &Advance) {
        self.steps.fetch_add(by.steps, Ordering::Relaxed);
        self.samples.fetch_add(by.samples, Ordering::Relaxed);
    }
    fn ends(&self, _: &str) {
        self.ended.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn a_long_range_in_pieces_is_what_one_query_would_have_given() {
    let fake = Fake::new(|request| match request.is_count() {
        true => count(2),
        false => matrix(request, &["a", "b"], wave),
    });
    let (client, _) = fake.client();
    let told = Told::default();
    let fetched = client.query_range(&asking(20_000), NOW, &told).expect("an answer");
    assert_whole(&fetched, 20_000);
    assert_eq!(fetched.remarks.sentences(&asking(20_000)), Vec::<String>::new());
    let ranges = fake.ranges();
    assert!(ranges.iter().all(|request| request.times().count() <= 2048 && request.parameter("query") == "m > 0"));
    assert!(ranges.len() <= 11 && ranges.iter().all(|request| request.parameter("timeout") == "30000ms"));
    let costs = client.costs();
    assert_eq!((costs.queries, costs.samples, costs.retries), (ranges.len() as u64 + 1, 40_001, 0));
    let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
    assert_eq!([of(&told.asked), of(&told.steps), of(&told.samples), of(&told.ended)], [20_000, 20_000, 40_000, 1]);
}

#[test]
fn times_that_are_no_multiples_of_the_step_are_brought_inwards() {
    let fake = Fake::new(|request| matrix(request, &["a", "b"], wave));
    let (client, _) = fake.client();
    let query = RangeQuery {
        start: START - Span::from_millis(59_999),
        end: START + Span::from_millis(10 * 60_000 + 7),
        ..asking(1)
    };
    assert_whole(&client.query_range(&query, NOW, &Silent).expect("an answer"), 11);
    assert_eq!(fake.asked().len(), 1, "so short a range is not counted first");
    let empty = RangeQuery { start: START + Span::from_millis(1), end: START + Span::from_millis(2), ..asking(1) };
    let fetched = client.query_range(&empty, NOW, &Silent).expect("nothing is fine");
    assert_eq!((fetched.range.steps, fake.asked().len()), (0, 1));
}

#[test]
fn what_a_server_finds_too_much_is_asked_in_halves_and_so_is_the_rest() {
    let fake = Fake::new(|request| match request.is_count() {
        true => error(422, "execution", "count is not allowed here"),
        false if request.times().count() > 300 => {
            error(422, "execution", "query processing would load too many samples into memory in query execution")
        }
        false => matrix(request, &["a", "b"], wave),
    });
    let (client, clock) = fake.client();
    assert_whole(&client.query_range(&asking(5000), NOW, &Silent).expect("an answer"), 5000);
    let refused = fake.ranges().iter().filter(|request| request.times().count() > 300).count();
    assert!(refused <= 8, "learned after {refused}");
    assert_eq!(clock.elapsed(), Duration::ZERO, "halves wait for nobody");
}

#[test]
fn an_answer_over_the_limit_is_not_read_on_and_asked_in_halves() {
    let fake = Fake::new(|request| match request.is_count() {
        true => count(0),
        false => matrix(request, &["a", "b"], wave),
    });
    let (client, _) = fake.client_with(QueryBudget { samples_max: 1000, ..QueryBudget::default() });
    assert_whole(&client.query_range(&asking(3000), NOW, &Silent).expect("an answer"), 3000);
    let accepted = fake.ranges().iter().filter(|request| request.times().count() <= 499).count();
    assert!(accepted >= 7, "{accepted}");
}

#[test]
fn a_server_that_is_slow_for_much_is_asked_for_less() {
    let fake = Fake::new(|request| match request.is_count() {
        true => count(2),
        false if request.times().count() > 1024 => Reply::Nothing,
        false => matrix(request, &["a", "b"], wave),
    });
    let (mut client, _) = fake.client();
    client.agent = client.endpoint.access.agent(Span::from_millis(200)).expect("no files");
    assert_whole(&client.query_range(&asking(2048), NOW, &Silent).expect("an answer"), 2048);
}

#[test]
fn as_many_series_as_a_server_has_are_asked_in_small_pieces_or_not_at_all() {
    let fake = Fake::new(|request| match request.is_count() {
        true => count(100_000),
        false => matrix(request, &["a", "b"], wave),
    });
    let (client, _) = fake.client();
    let failed = client.query_range(&asking(20_000), NOW, &Silent).expect_err("two thousand million values");
    assert!(matches!(failed, QueryError::TooMuch { .. }), "{failed}");
    let said = failed.to_string();
    assert!(said.contains("`m > 0`") && said.contains("100000 series") && said.contains("aggregate"), "{said}");
    assert!(fake.ranges().is_empty(), "nothing was asked of it");
    let failed = client.query_range(&RangeQuery { step: Span::from_millis(1), ..asking(20_000) }, NOW, &Silent);
    assert!(failed.expect_err("a thousand million").to_string().contains("1199940001 evaluations"));
    // Piece by piece they may come.
    let mut parts = Vec::new();
    let mut take = |part: super::super::range::Part| {
        parts.push(part.grid);
        Ok(())
    };
    client.parts(&asking(300), NOW, &Silent, &mut take).expect("an answer");
    assert!(parts.iter().all(|grid| grid.steps <= 32), "five million samples of 100,000 series are 50 evaluations");
    assert!(parts.windows(2).all(|two| two[1].start == two[0].start + Span::from_secs(60 * u64::from(two[0].steps))));
    assert_eq!(parts.iter().map(|grid| grid.steps).sum::<u32>(), 300);
}

#[test]
fn a_minute_has_ten_seconds_of_query_time() {
    let clock = Arc::new(TestClock::default());
    let servers = Arc::clone(&clock);
    let fake = Fake::new(move |request| {
        servers.sleep(Duration::from_secs(2));
        match request.is_count() {
            true => count(10_000),
            false => matrix(request, &["a", "b"], wave),
        }
    });
    let endpoint = Endpoint { url: fake.url.clone(), ..Endpoint::default() };
    let budget = QueryBudget { at_once: 1, ..QueryBudget::default() };
    let client = Client::with_clock(endpoint, budget, 7, clock.clone()).expect("no files");
    assert_whole(&client.query_range(&asking(2560), NOW, &Silent).expect("an answer"), 2560);
    let costs = client.costs();
    assert!(costs.queries >= 11, "{costs}");
    assert_eq!(costs.seconds, 2.0 * costs.queries as f64);
    let allowed = clock.elapsed().as_secs_f64() / 6.0 + 10.0 + 2.0;
    assert!(costs.seconds <= allowed, "{costs}, allowed {allowed}");
    assert!(costs.waited_seconds > 30.0, "{costs}");
}

#[test]
fn what_was_asked_before_is_kept_and_what_may_still_change_is_not() {
    let fake = Fake::new(|request| match request.is_count() {
        true => count(2),
        false => matrix(request, &["a", "b"], wave),
    });
    let dir = tempfile::tempdir().expect("a folder");
    let query = asking(10_000);
    let client = || fake.client().0.keeping(dir.path());
    assert_whole(&client().query_range(&query, query.end, &Silent).expect("an answer"), 10_000);
    let first = fake.ranges().len();
    let again = client();
    assert_whole(&again.query_range(&query, query.end, &Silent).expect("an answer"), 10_000);
    let (asked, cached) = (fake.ranges().len() - first, again.costs().cached as usize);
    assert!(asked == 2 && asked + cached == first, "the first piece and the last: {asked} asked, {cached} kept");
    // Ten minutes later the same pieces serve.
    let later =
        RangeQuery { start: query.start + Span::minutes(10), end: query.end + Span::minutes(10), ..query.clone() };
    let third = client();
    third.query_range(&later, later.end, &Silent).expect("an answer");
    assert_eq!(third.costs().cached as usize, cached);
    // Another expression is another question, and so is another tenant.
    let mut other = client();
    other.endpoint.tenant = Some("b".to_owned());
    other.query_range(&query, query.end, &Silent).expect("an answer");
    assert_eq!(other.costs().cached, 0);
    // Evaluations of the last hour: one whole piece, that is asked anew.
    let (start, end) = (Timestamp::from_secs(60 * 2048 * 5), Timestamp::from_secs(60 * (2048 * 6 - 1)));
    let young = RangeQuery { expr: "young".to_owned(), start, end, ..query };
    for _ in 0..2 {
        let client = client();
        client.query_range(&young, young.end + Span::minutes(59), &Silent).expect("an answer");
        assert_eq!(client.costs().cached, 0);
    }
    let old = client();
    old.query_range(&young, young.end + Span::minutes(61), &Silent).expect("an answer");
    let older = client();
    older.query_range(&young, young.end + Span::minutes(61), &Silent).expect("an answer");
    assert_eq!((old.costs().cached, older.costs().cached), (0, 1));
}

#[test]
fn a_warning_says_that_something_is_missing_so_that_it_is_told_and_not_kept() {
    let fake = Fake::new(|request| match request.is_count() {
        true => count(1),
        false => {
            let at = request.times().next().expect("one") as f64 / 1000.0;
            json(&format!(
                r#"{{"warnings":["store-7 is gone"],"data":{{"result":[{{"values":[[{at},"NaN"]],"metric":{{}}}}],"resultType":"matrix"}},"status":"success"}}"#
            ))
        }
    });
    let dir = tempfile::tempdir().expect("a folder");
    for _ in 0..2 {
        let client = fake.client().0.keeping(dir.path());
        let fetched = client.query_range(&asking(5000), NOW, &Silent).expect("an answer");
        assert_eq!(fetched.remarks.warnings, ["store-7 is gone"]);
        assert!(fetched.range.tracks[0].values[0].is_some_and(f64::is_nan), "a NaN is a value");
        assert!(fetched.remarks.sentences(&asking(5000))[0].contains("store-7"));
        assert_eq!(client.costs().cached, 0);
    }
}

#[test]
fn a_shorter_retention_and_a_gap_are_told() {
    let begins = START.millis() + 4000 * 60_000;
    let gap = begins + 1000 * 60_000..begins + 1100 * 60_000;
    let fake = Fake::new(move |request| match request.is_count() {
        true => count(2),
        false => matrix(request, &["a", "b"], |name, at| wave(name, at).filter(|_| at >= begins && !gap.contains(&at))),
    });
    let (client, _) = fake.client();
    let fetched = client.query_range(&asking(8000), NOW, &Silent).expect("an answer");
    let minute = |k: i64| Timestamp::from_millis(begins + k * 60_000);
    assert_eq!(fetched.remarks.seen, Some((minute(0), minute(3999))));
    assert_eq!(fetched.remarks.gap, Some((minute(1000), minute(1099))));
    let said = fetched.remarks.sentences(&asking(8000)).join("\n");
    assert!(said.contains(&format!("begins at {}", minute(0))) && said.contains("gap"), "{said}");
    let nothing = Fake::new(|request| matrix(request, &[], wave)).client().0;
    let fetched = nothing.query_range(&asking(10), NOW, &Silent).expect("no series is an answer");
    assert!(fetched.range.tracks.is_empty());
    assert!(fetched.remarks.sentences(&asking(10))[0].contains("gives nothing"));
}

#[test]
fn a_long_expression_goes_in_the_body() {
    let fake = Fake::new(|request| matrix(request, &["a", "b"], wave));
    let (client, _) = fake.client();
    let query = RangeQuery { expr: format!("m > 0 # {}", "é&=+ ".repeat(1000)), ..asking(5) };
    assert_whole(&client.query_range(&query, NOW, &Silent).expect("an answer"), 5);
    let asked = &fake.asked()[0];
    assert_eq!((asked.method.as_str(), asked.parameter("query")), ("POST", query.expr.as_str()));
}
