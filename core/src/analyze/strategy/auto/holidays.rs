//! What a holiday does to the tables of the day and the week: nothing; and what it is compared with: Sundays.

use super::{Asked, State, Without};
use crate::calendar::Moment;
use crate::time::Timestamp;
use serde_json::Value;

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;

/// The epoch was a Thursday: the first Monday began four days later.
const MONDAY: i64 = 4 * DAY_MS;

/// Between 20 and 100 by day, quiet on Saturdays and Sundays.
fn usual(clock: i64) -> f32 {
    let (day, hour) = ((clock - MONDAY).div_euclid(DAY_MS).rem_euclid(7), clock.rem_euclid(DAY_MS) / HOUR_MS);
    let noise = (clock / 600_000 * 7919 % 101) as f32 / 101.0;
    noise + if day < 5 && (8..18).contains(&hour) { 100.0 } else { 20.0 }
}

/// Scores samples ten minutes apart; the mean of the lasting score.
fn follow(state: &mut State, from: i64, days: i64, holiday: bool, value: impl Fn(i64) -> f32) -> f64 {
    let asked = Asked { moment: Moment { holiday, ..Moment::default() }, ..Asked::default() };
    let steps = days * 144;
    let scores = (0..steps)
        .map(|n| from + n * 600_000)
        .map(|at| state.step(Timestamp::from_millis(at), f64::from(value(at)), &asked, Without::NOTHING).score);
    scores.sum::<f64>() / steps as f64
}

/// Means and how often each part was met, of both tables.
fn tables(state: &State) -> Value {
    let all = serde_json::to_value(state).expect("plain data");
    let of = |table: &Value| table.as_array().expect("a table")[..3].to_vec();
    serde_json::json!([of(&all["scorer"]["day"]), of(&all["decider"]["week"]["hours"])])
}

#[test]
fn a_holiday_is_compared_with_sundays_and_learned_by_no_table() {
    let mut scorer = State::new(20.0, Timestamp::from_millis(MONDAY));
    follow(&mut scorer, MONDAY, 35, false, usual);
    let next = MONDAY + 35 * DAY_MS;
    let quiet = |clock: i64| usual(clock - DAY_MS);
    let (mut as_holiday, mut as_monday) = (scorer.clone(), scorer.clone());
    let told = follow(&mut as_holiday, next, 1, true, quiet);
    let untold = follow(&mut as_monday, next, 1, false, quiet);
    assert!(told < 0.8 * untold, "as a Sunday {told}, as a Monday {untold}");
    assert_eq!(tables(&as_holiday), tables(&scorer));
    assert_ne!(tables(&as_monday), tables(&scorer));
    // The Monday after is what it would have been.
    let after = follow(&mut as_holiday, next + 7 * DAY_MS, 1, false, usual);
    let spoilt = follow(&mut as_monday, next + 7 * DAY_MS, 1, false, usual);
    assert!(after <= spoilt, "{after} {spoilt}");
}
