//! The rule doctor on histories small enough to be told in a sentence each.

use homeostat::doctor::{Advice, Case, Finding, Limits, Reason, advise};
use homeostat::feedback::Verdict;
use homeostat::replay::score::Said;
use homeostat::replay::{Formula, Labels, Matching, Op, Range, Replayer, Rule, Track};
use homeostat::time::Timestamp;
use homeostat::time::zone::Zone;
use std::collections::BTreeMap;

const MINUTE: i64 = 60_000;
const DAY: usize = 1440;
/// Monday, 2 March 2026.
const START: i64 = 1_772_409_600_000;

/// Smallest possible noise that is the same everywhere: -1 to 1.
fn noise(at: usize) -> f64 {
    let mut x = at as u64 ^ 0x9e37_79b9_7f4a_7c15;
    for _ in 0..3 {
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x ^= x >> 27;
    }
    (x >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
}

fn range(tracks: Vec<(&str, Vec<Option<f64>>)>) -> Range {
    let steps = tracks.first().map_or(0, |track| track.1.len());
    let track = |(name, values)| Track { labels: Labels::new([("instance", name)]), values };
    Range { start: Timestamp::from_millis(START), step: MINUTE, steps, tracks: tracks.into_iter().map(track).collect() }
}

/// Around 20, with what `more` says on top.
fn values(days: usize, more: impl Fn(usize) -> Option<f64>) -> Vec<Option<f64>> {
    (0..days * DAY).map(|at| Some(more(at).unwrap_or(20.0) + 2.0 * noise(at))).collect()
}

fn rule(formula: Formula, for_minutes: i64) -> Rule {
    Rule {
        alert: "High".to_owned(),
        labels: BTreeMap::new(),
        formula,
        for_ms: for_minutes * MINUTE,
        keep_firing_for_ms: 0,
        limit: None,
        interval_ms: MINUTE,
    }
}

fn over(op: Op) -> Formula {
    Formula::binary(op, Formula::Leaf(0), Formula::Literal(0))
}

fn ask(rule: &Rule, literal: f64, leaves: &[Range], limits: Limits) -> Advice {
    ask_having_heard(rule, literal, leaves, limits, &[])
}

fn ask_having_heard(rule: &Rule, literal: f64, leaves: &[Range], limits: Limits, said: &[Said]) -> Advice {
    let zone = Zone::named("UTC").expect("a zone");
    let limits = &[limits];
    advise(&Case { rule, literals: &[literal], leaves, limits, for_most_ms: None, budget: 1.0, said, zone: &zone })
}

fn pages(rule: &Rule, advice: &Advice, leaves: &[Range]) -> Vec<i64> {
    let Finding::Change(change) = &advice.finding else { panic!("a change was wanted: {advice:?}") };
    let pages = Replayer::new(rule, leaves).replay(&change.literals, change.for_ms).pages;
    pages.iter().map(|page| (page.began.millis() - START) / MINUTE).collect()
}

/// Four short bursts a day, and on the tenth day an hour that was an incident.
fn bursts_and_an_incident(at: usize) -> Option<f64> {
    let incident = 9 * DAY + 700;
    if (incident..incident + 60).contains(&at) {
        return Some(95.0);
    }
    // Three minutes long, at times that no clock tells.
    let slot = at / 360;
    let start = slot * 360 + ((noise(slot) + 1.0) * 170.0) as usize;
    (start..start + 3).contains(&at).then_some(95.0)
}

#[test]
fn bursts_pass_by_a_for_and_the_incident_of_the_same_height_stays() {
    let leaves = [range(vec![("a", values(21, bursts_and_an_incident))])];
    let rule = rule(over(Op::Greater), 0);
    let advice = ask(&rule, 80.0, &leaves, Limits { clamp: Some((0.0, 100.0)), ..Limits::FREE });
    assert!(advice.pages_per_week > 20.0, "{advice:?}");
    let began = pages(&rule, &advice, &leaves);
    let incident = (9 * DAY + 700) as i64;
    assert_eq!(began.len(), 1, "{advice:?}");
    assert!((incident..incident + 30).contains(&began[0]), "{advice:?}");
    let Finding::Change(change) = &advice.finding else { panic!("a change") };
    assert!(change.for_ms >= 3 * MINUTE && change.for_ms <= 30 * MINUTE, "{change:?}");
    assert_eq!((change.serious, change.serious_told), (1, 1), "{change:?}");
    assert!(change.why.iter().any(|why| why.contains("bursts shorter than")), "{change:?}");
}

#[test]
fn what_a_guard_lets_out_for_a_moment_alone_is_not_waited_for() {
    // `x > 80 unless y > 80`, of which y is x a minute ago: it holds once, however long x stays up.
    let now = values(21, bursts_and_an_incident);
    let before = (0..now.len()).map(|at| now[at.saturating_sub(1)]).collect();
    let leaves = [range(vec![("a", now)]), range(vec![("a", before)])];
    let up = Formula::binary(Op::Greater, Formula::Leaf(1), Formula::Number(80.0));
    let rule = rule(Formula::matched(Op::Unless, Matching::default(), over(Op::Greater), up), 0);
    let advice = ask(&rule, 80.0, &leaves, Limits { clamp: Some((0.0, 100.0)), ..Limits::FREE });
    assert!(advice.pages_per_week > 20.0, "{advice:?}");
    if let Finding::Change(change) = &advice.finding {
        assert!(change.for_ms == 0 && change.pages_per_week > 0.0, "with a `for` it would never fire: {change:?}");
    }
}

#[test]
fn a_rule_that_fires_on_or_whose_group_allows_few_alerts_is_held_against_what_it_really_pages() {
    // Every hour, so that what fires on for two hours never ends.
    let hourly = |at: usize| (at % 60 < 3).then_some(95.0);
    let leaves = [range(vec![("a", values(14, hourly))])];
    let mut rule = rule(over(Op::Greater), 0);
    assert!(matches!(ask(&rule, 80.0, &leaves, Limits::FREE).finding, Finding::Change(_)));
    rule.keep_firing_for_ms = 120 * MINUTE;
    let advice = ask(&rule, 80.0, &leaves, Limits::FREE);
    let Finding::Leave(Reason::InsideBudget { pages_per_week }) = advice.finding else { panic!("{advice:?}") };
    assert_eq!((pages_per_week, advice.pages_per_week), (0.5, 0.5));
    // At fifty minutes the last one has just ended.
    rule.keep_firing_for_ms = 50 * MINUTE;
    assert!(matches!(ask(&rule, 80.0, &leaves, Limits::FREE).finding, Finding::Change(_)));

    // Two at once are one more than the group allows, and nobody is paged.
    let leaves = [range(vec![("a", values(14, hourly)), ("b", values(14, hourly))])];
    (rule.keep_firing_for_ms, rule.limit) = (0, Some(1));
    let advice = ask(&rule, 80.0, &leaves, Limits::FREE);
    assert!(matches!(advice.finding, Finding::Leave(Reason::InsideBudget { pages_per_week: 0.0 })), "{advice:?}");
}

#[test]
fn a_tier_that_warns_earlier_waits_no_longer_than_the_next_one() {
    let leaves = [range(vec![("a", values(21, bursts_and_an_incident))])];
    let rule = rule(over(Op::Greater), 0);
    let zone = Zone::named("UTC").expect("a zone");
    let limits = &[Limits { clamp: Some((0.0, 100.0)), ..Limits::FREE }];
    let case = Case {
        rule: &rule,
        literals: &[80.0],
        leaves: &leaves,
        limits,
        for_most_ms: None,
        budget: 1.0,
        said: &[],
        zone: &zone,
    };
    let hold = |case: &Case<'_>| match advise(case).finding {
        Finding::Change(change) => change.for_ms,
        Finding::Leave(_) => 0,
    };
    assert!(hold(&case) > MINUTE);
    assert!(hold(&Case { for_most_ms: Some(MINUTE), ..case }) <= MINUTE);
}

#[test]
fn a_lower_bound_is_the_same_upside_down() {
    let upper = [range(vec![("a", values(21, bursts_and_an_incident))])];
    let mut lower = upper.clone();
    for value in lower[0].tracks[0].values.iter_mut().flatten() {
        *value = 100.0 - *value;
    }
    let (greater, less) = (rule(over(Op::Greater), 0), rule(over(Op::Less), 0));
    let clamped = Limits { clamp: Some((0.0, 100.0)), ..Limits::FREE };
    let (up, down) = (ask(&greater, 80.0, &upper, clamped), ask(&less, 20.0, &lower, clamped));
    assert_eq!(pages(&greater, &up, &upper), pages(&less, &down, &lower), "{up:?} {down:?}");
}

#[test]
fn a_literal_on_the_left_and_a_guard_change_nothing() {
    let leaves = [range(vec![("a", values(21, bursts_and_an_incident))]), range(vec![("a", values(21, |_| None))])];
    let plain = rule(over(Op::Greater), 0);
    let swapped = Formula::binary(Op::Less, Formula::Literal(0), Formula::Leaf(0));
    let guarded = rule(Formula::matched(Op::And, Matching::default(), swapped, Formula::Leaf(1)), 0);
    let (one, other) = (ask(&plain, 80.0, &leaves, Limits::FREE), ask(&guarded, 80.0, &leaves, Limits::FREE));
    assert_eq!(one.finding, other.finding);
}

#[test]
fn a_nightly_backup_is_known_by_its_clock() {
    // Half an hour each night at 70; once, by day, as long at 90.
    let more = |at: usize| {
        let minute = at % DAY;
        let incident = 9 * DAY + 800;
        if (incident..incident + 45).contains(&at) { Some(90.0) } else { (120..150).contains(&minute).then_some(70.0) }
    };
    let leaves = [range(vec![("a", values(21, more))])];
    let rule = rule(over(Op::Greater), 5);
    let advice = ask(&rule, 50.0, &leaves, Limits { clamp: Some((0.0, 100.0)), ..Limits::FREE });
    let began = pages(&rule, &advice, &leaves);
    assert_eq!(began.len(), 1, "{advice:?}");
    assert!(began[0] >= (9 * DAY + 800) as i64, "{advice:?}");
}

#[test]
fn what_is_left_alone_has_a_reason() {
    let rule_ = rule(over(Op::Greater), 0);
    let quiet = [range(vec![("a", values(21, |_| None))])];
    let reason = |advice: Advice| match advice.finding {
        Finding::Leave(reason) => reason,
        Finding::Change(change) => panic!("left alone was wanted: {change:?}"),
    };
    assert!(
        matches!(reason(ask(&rule_, 80.0, &quiet, Limits::FREE)), Reason::InsideBudget { pages_per_week } if pages_per_week == 0.0)
    );
    assert_eq!(reason(ask(&rule_, 80.0, &quiet, Limits::FIXED)), Reason::Untunable);
    let empty = [range(Vec::new())];
    assert_eq!(reason(ask(&rule_, 80.0, &empty, Limits::FREE)), Reason::NoData);
    let nothing = [range(vec![("a", vec![None; 21 * DAY])])];
    assert_eq!(reason(ask(&rule_, 80.0, &nothing, Limits::FREE)), Reason::NoData);
    let numberless = [range(vec![("a", vec![Some(f64::NAN); 21 * DAY])])];
    assert_eq!(reason(ask(&rule_, 80.0, &numberless, Limits::FREE)), Reason::NoData);
    let short = [range(vec![("a", values(1, bursts_and_an_incident)[..600].to_vec())])];
    assert!(matches!(reason(ask(&rule_, 80.0, &short, Limits::FREE)), Reason::TooLittle { .. }));
    let behind = rule(Formula::binary(Op::Mul, over(Op::Greater), Formula::Number(2.0)), 0);
    assert!(matches!(reason(ask(&behind, 80.0, &quiet, Limits::FREE)), Reason::CannotEvaluate(_)));
}

#[test]
fn the_literal_stays_inside_its_limits() {
    let leaves = [range(vec![("a", values(21, bursts_and_an_incident))])];
    let rule = rule(over(Op::Greater), 0);
    for (limits, holds) in [
        (Limits { clamp: Some((0.0, 90.0)), ..Limits::FREE }, &(|l| l < 90.0) as &dyn Fn(f64) -> bool),
        (Limits { most: Some(82.0), ..Limits::FREE }, &|l| l <= 82.0),
        (Limits { least: Some(85.0), ..Limits::FREE }, &|l| l >= 85.0 || l == 80.0),
        (Limits { whole: true, ..Limits::FREE }, &|l| l.fract() == 0.0),
    ] {
        let advice = ask(&rule, 80.0, &leaves, limits);
        if let Finding::Change(change) = &advice.finding {
            assert!(holds(change.literals[0]), "{limits:?}: {change:?}");
        }
    }
}

#[test]
fn what_somebody_chose_comes_down_to_its_half_at_most() {
    // An hour at 30, well over the ordinary 2, on every third day; and the bursts that the rule pages for.
    let more = |at: usize| {
        let day = at / DAY;
        let incident = day * DAY + 200 + day * 37;
        let lasting = day.is_multiple_of(3) && (incident..incident + 60).contains(&at);
        Some(if lasting { 30.0 } else { bursts_and_an_incident(at).unwrap_or(2.0) })
    };
    let upper = [range(vec![("a", values(21, more))])];
    let Finding::Change(change) = ask(&rule(over(Op::Greater), 0), 80.0, &upper, Limits::FREE).finding else {
        panic!("a change was wanted")
    };
    assert!((40.0..80.0).contains(&change.literals[0]), "{change:?}");
}

#[test]
fn what_people_said_mattered_is_kept_though_it_looked_like_nothing() {
    let leaves = [range(vec![("a", values(21, bursts_and_an_incident))])];
    let rule = rule(over(Op::Greater), 0);
    let now = Replayer::new(&rule, &leaves).replay(&[80.0], 0).pages;
    // Every tenth page was a burst that mattered.
    let said: Vec<Said> = now
        .iter()
        .step_by(10)
        .map(|page| Said {
            alert: "High".to_owned(),
            labels: page.labels.clone(),
            at: page.began,
            verdict: Verdict::True,
        })
        .collect();
    let advice = ask_having_heard(&rule, 80.0, &leaves, Limits::FREE, &said);
    let kept = match &advice.finding {
        Finding::Change(change) => Replayer::new(&rule, &leaves).replay(&change.literals, change.for_ms).pages,
        Finding::Leave(_) => now.clone(),
    };
    for said in &said {
        assert!(
            kept.iter().any(|page| page.began.millis().abs_diff(said.at.millis()) < 300_000),
            "{said:?}: {advice:?}"
        );
    }
    assert!(ask(&rule, 80.0, &leaves, Limits::FREE) != advice, "verdicts change what is advised");
}

#[test]
fn what_people_said_was_nothing_is_let_go() {
    // An hour at 95 each week, at another time each: by itself it looks serious.
    let more = |at: usize| {
        let starts = [2 * DAY + 400, 4 * DAY + 1000, 8 * DAY + 200, 12 * DAY + 700, 15 * DAY + 1200, 19 * DAY + 300];
        starts.iter().any(|start| (*start..start + 60).contains(&at)).then_some(95.0)
    };
    let leaves = [range(vec![("a", values(21, more))])];
    let rule = rule(over(Op::Greater), 0);
    let heard = |verdict: Verdict| {
        let now = Replayer::new(&rule, &leaves).replay(&[80.0], 0).pages;
        let said: Vec<Said> = now
            .iter()
            .map(|page| Said { alert: "High".to_owned(), labels: page.labels.clone(), at: page.began, verdict })
            .collect();
        ask_having_heard(&rule, 80.0, &leaves, Limits::FREE, &said)
    };
    let count = |advice: &Advice| match &advice.finding {
        Finding::Change(change) => Replayer::new(&rule, &leaves).replay(&change.literals, change.for_ms).pages.len(),
        Finding::Leave(_) => 6,
    };
    let (mattered, nothing) = (heard(Verdict::True), heard(Verdict::False));
    assert_eq!(count(&mattered), 6, "{mattered:?}");
    assert!(count(&nothing) < 6, "{nothing:?}");
}

#[test]
fn nothing_from_outside_makes_it_panic() {
    let kinds: [&dyn Fn(usize) -> Option<f64>; 8] = [
        &|at| Some(noise(at) * 1e300),
        &|at| (at % 7 != 0).then(|| 100.0 * noise(at)),
        &|at| Some(if at % 50 < 5 { f64::INFINITY } else { 1.0 }),
        &|at| Some(if at % 50 < 5 { f64::NEG_INFINITY } else { 100.0 }),
        &|at| Some(if at % 3 == 0 { f64::NAN } else { 90.0 + noise(at) }),
        &|_| Some(100.0),
        &|_| Some(0.0),
        &|at| (at / 400 % 2 == 0).then_some(-1e-300),
    ];
    for (nth, kind) in kinds.iter().enumerate() {
        for (step, days) in [(1_000, 1), (60_000, 3), (300_000, 20), (86_400_000, 900)] {
            let steps = days * 86_400_000 / step as usize;
            let steps = steps.min(6_000);
            for (op, literal) in
                [(Op::Greater, 50.0), (Op::LessEqual, 0.0), (Op::GreaterEqual, -1e300), (Op::Less, f64::INFINITY)]
            {
                let mut leaf = range(vec![("a", (0..steps).map(kind).collect()), ("b", vec![Some(1.0); steps])]);
                leaf.step = step;
                let rule = Rule { interval_ms: step, ..rule(over(op), 5) };
                let advice = ask(&rule, literal, &[leaf], Limits { clamp: Some((-100.0, 100.0)), ..Limits::FREE });
                if let Finding::Change(change) = &advice.finding {
                    let at = format!("kind {nth}, step {step}, {op:?} {literal}: {change:?}");
                    assert!(change.literals[0].is_finite() && change.for_ms >= 0, "{at}");
                    assert!((0.0..=1.0).contains(&change.confidence), "{at}");
                }
            }
        }
    }
}
