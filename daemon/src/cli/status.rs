//! `homeostat status`: how the running loop is doing, on one screen.

use super::client::{Daemon, text};
use super::output::{Out, number};
use super::{Done, Failed};
use homeostat::time::{Span, Timestamp};
use serde_json::{Value, json};

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  homeostat status
  homeostat status --output json --url http://127.0.0.1:9797")]
pub struct StatusArgs {
    #[command(flatten)]
    daemon: Daemon,
}

pub fn status(args: &StatusArgs, out: &Out) -> Result<Done, Failed> {
    let client = args.daemon.connect()?;
    let state = client.one("state")?;
    let parameters = client.one("parameters")?;
    let loops = client.all("loops", &[])?;
    let statistics = client.one("statistics")?;
    let calendar = client.one("calendar")?;
    let proposals = client.all("proposals", &[("open", "true")])?.len();
    if out.is_json() {
        out.data(&json!({
            "state": state,
            "parameters": parameters,
            "loops": loops,
            "statistics": statistics,
            "calendar": calendar,
            "proposals_open": proposals,
        }))?;
        return Ok(Done::Quietly);
    }
    let mut pairs = vec![("state", text(&state, "state")), ("since", text(&state, "since"))];
    pairs.extend(forced(&state));
    pairs.extend(leaves(&state));
    if state.get("frozen").and_then(Value::as_bool) == Some(true) {
        pairs.push(("frozen", "all changes are stopped; `homeostat freeze off` lets them go on".to_owned()));
    }
    let (series, watched, active) =
        (text(&statistics, "series"), text(&statistics, "watched_series"), text(&statistics, "active_recommendations"));
    pairs.push(("series", format!("{series} known, {watched} watched, {active} judged by what was learned")));
    pairs.extend(full(&statistics));
    pairs.extend(less(&statistics));
    pairs.extend(refusals(&statistics));
    pairs.push(("anomaly_rate", text(&statistics, "anomaly_rate")));
    pairs.push(("alerts", budget(&statistics)));
    for shared in statistics.get("shared_budgets").and_then(Value::as_array).into_iter().flatten() {
        pairs.push(("", format!("{}: {}", text(shared, "match"), budget(shared))));
    }
    pairs.extend(calendars(&calendar));
    pairs.extend(outcomes(&statistics));
    if proposals > 0 {
        pairs.push(("proposals", format!("{proposals} wait for an answer; `homeostat proposals` shows them")));
    }
    if let Some(problem) = statistics.get("store_problem").and_then(Value::as_str) {
        pairs.push(("events", format!("cannot be stored: {problem}")));
    }
    pairs.extend(start(&statistics));
    pairs.extend(evidence(&state));
    for name in
        ["monitoring_interval_s", "analysis_depth", "planning_lookahead_s", "execution_parallelism", "learning_rate"]
    {
        pairs.push((name, text(&parameters, name)));
    }
    out.pairs(&pairs)?;
    out.text("")?;
    let rows: Vec<Vec<String>> = loops
        .iter()
        .map(|row| {
            let effect = row.get("effectiveness").and_then(Value::as_f64);
            let paused = row.get("paused").and_then(Value::as_bool).unwrap_or(false);
            vec![
                text(row, "loop"),
                text(row, "signals"),
                text(row, "actions"),
                text(row, "withheld"),
                effect.map_or_else(|| "not known yet".to_owned(), number),
                if paused { "paused" } else { "runs" }.to_owned(),
            ]
        })
        .collect();
    out.table(&["loop", "signals", "actions", "withheld", "effectiveness", ""], &rows)?;
    Ok(Done::Quietly)
}

/// What the calendars say of now, what comes next, and what of them could not be read.
fn calendars(row: &Value) -> Vec<(&'static str, String)> {
    let list = |name: &str| row.get(name).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let mut pairs: Vec<_> = list("in_force").iter().map(|entry| ("calendar", in_force(entry))).collect();
    pairs.extend(list("next").first().map(|entry| {
        ("calendar", format!("next: {} {} from {}", text(entry, "kind"), text(entry, "name"), text(entry, "from")))
    }));
    let problems = list("calendars").iter().filter_map(|calendar| calendar.get("problem")?.as_str());
    let crowded = list("calendars").iter().filter(|calendar| calendar["left_out"].as_u64() > Some(0));
    pairs.extend(crowded.map(|calendar| {
        let (kind, file) = (text(calendar, "kind"), text(calendar, "file"));
        ("calendar", format!("{} entries of {kind} {file} are left out, far from today", calendar["left_out"]))
    }));
    pairs.extend(problems.map(|problem| ("calendar", format!("not read: {problem}"))));
    pairs
}

/// An entry of a calendar that is in force.
pub fn in_force(entry: &Value) -> String {
    format!("{} {} until {}", text(entry, "kind"), text(entry, "name"), text(entry, "until"))
}

/// How often it alerts, beside how often it may: of all series, or of one.
pub fn budget(row: &Value) -> String {
    let number_of = |name: &str| row.get(name).and_then(Value::as_f64).map(number);
    let had = match number_of("alerts_per_week") {
        Some(had) => format!("{had} a week lately"),
        None => "not seen for long enough to count".to_owned(),
    };
    match number_of("budget_per_week").or_else(|| number_of("per_week")) {
        Some(asked) => format!("{had}; {asked} a week are asked for"),
        None => format!("{had}; no budget, the level is fixed"),
    }
}

/// Until when an operator holds the state, when one does.
pub fn forced(state: &Value) -> Option<(&'static str, String)> {
    let until = state.get("forced_until")?.as_str()?;
    Some(("held until", until.to_owned()))
}

/// How long the state still has to wait, where it is one that is waited out.
pub fn leaves(state: &Value) -> Option<(&'static str, String)> {
    let name = state.get("state")?.as_str()?;
    let said = match state.get("leaves_at").and_then(Value::as_str) {
        Some(at) => {
            let left = Timestamp::parse(at).ok()?.since(crate::driver::now());
            match left.millis() {
                0 => "with the next cycle, if nothing gets worse".to_owned(),
                millis => format!("{at} (in {}), if nothing gets worse", Span::from_secs(millis.div_ceil(1000))),
            }
        }
        None if matches!(name, "degraded" | "critical" | "recovering") => {
            "not known: some evidence is not behind the limit that holds it".to_owned()
        }
        None => return None,
    };
    Some(("leaves at", said))
}

/// How the life before ended, and what was found and brought back; an orderly stop says nothing.
fn start(statistics: &Value) -> Vec<(&'static str, String)> {
    let Some(start) = statistics.get("start") else { return Vec::new() };
    let found: Vec<&str> = start["found"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let ordinary = matches!(start["before"].as_str(), Some("first_start" | "stopped"));
    if ordinary && found.is_empty() {
        return Vec::new();
    }
    let (events, samples) = (text(start, "events"), text(start, "samples"));
    let said = format!("{}; {events} events and {samples} samples were brought back", text(start, "said"));
    let nothing = found.is_empty().then(|| "no damage was found".to_owned());
    let found = found.into_iter().map(|found| format!("lost: {found}"));
    [said].into_iter().chain(nothing).chain(found).map(|said| ("before the start", said)).collect()
}

/// What becomes of new series where as many are held as may be.
fn full(statistics: &Value) -> Option<(&'static str, String)> {
    let count = |name: &str| statistics.get(name).and_then(Value::as_u64);
    let (max, refused) = (count("series_max")?, count("series_refused")?);
    let text = || {
        format!(
            "limits.series_max ({max}) is reached: a new one takes the place of one that is silent, and is refused where none \
             is ({refused} times so far); raise it, or drop labels that have many values"
        )
    };
    (count("series")? >= max).then(|| ("series", text()))
}

/// Series that memory is too short for.
fn less(statistics: &Value) -> Option<(&'static str, String)> {
    let tiers = statistics.get("series_by_tier")?.as_object()?;
    let less: Vec<String> = ["hourly", "faded", "bounds"]
        .iter()
        .filter_map(|tier| Some((tier, tiers.get(*tier)?.as_u64().filter(|count| *count > 0)?)))
        .map(|(tier, count)| format!("{count} {tier}"))
        .collect();
    let text = || format!("of some less is remembered ({}): limits.memory_max is short", less.join(", "));
    (!less.is_empty()).then(|| ("memory", text()))
}

/// Changes that the guard held back, with its reasons, when it held back any.
fn refusals(statistics: &Value) -> Option<(&'static str, String)> {
    let refused = statistics.get("changes_refused")?.as_u64().filter(|count| *count > 0)?;
    let reasons: Vec<String> = statistics
        .get("changes_refused_because")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .filter(|(_, count)| count.as_u64() > Some(0))
        .map(|(reason, count)| format!("{count} {}", reason.replace('_', " ")))
        .collect();
    let because = if reasons.is_empty() { String::new() } else { format!(" ({})", reasons.join(", ")) };
    Some(("changes_refused", format!("{refused}{because}")))
}

/// What came of confidences whose week is over, and how many run.
fn outcomes(statistics: &Value) -> Option<(&'static str, String)> {
    let of = statistics.get("confidence_outcomes")?;
    let count = |name: &str| of.get(name).and_then(Value::as_u64);
    let share = |name: &str| of.get(name).and_then(Value::as_f64).map(number);
    let (kept, all) = (count("kept")?, count("kept")? + count("broken")?);
    let running = count("running").filter(|running| *running > 0);
    let running = running.map(|running| format!("{running} claims run, for a week each"));
    let settled = share("said_ratio").zip(share("kept_ratio"));
    let settled = settled.map(|(said, had)| format!("{kept} of {all} claims came true: {had}, and {said} was said"));
    let said: Vec<String> = settled.into_iter().chain(running).collect();
    (!said.is_empty()).then(|| ("confidence", said.join("; ")))
}

/// What the state was decided from, with the level at which it would be degraded.
pub fn evidence(state: &Value) -> Vec<(&'static str, String)> {
    let Some(items) = state.get("evidence").and_then(Value::as_array) else { return Vec::new() };
    let known = items.iter().filter(|item| item.get("value").is_some_and(|value| !value.is_null()));
    known
        .map(|item| {
            let limit = item.get("degraded").map_or_else(|| "-".to_owned(), |limit| text(limit, "enter"));
            ("evidence", format!("{} {} (degraded from {limit})", text(item, "name"), text(item, "value")))
        })
        .collect()
}
