//! `homeostat explain`: all that is known of one series, in the order a person asks for it.

use super::client::{Daemon, text};
use super::output::Out;
use super::proposals::sentence;
use super::status::{budget, in_force};
use super::{Done, Failed};
use homeostat::series::SeriesName;
use serde_json::Value;

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  homeostat explain host_load1
  homeostat explain 'http_requests_total{code=\"500\",job=\"api\"}'

Says what the bounds are and why, how far they are trusted, and what people and loops did about the series.")]
pub struct ExplainArgs {
    /// The series: NAME or NAME{label="value",…}
    #[arg(value_name = "SERIES")]
    series: String,
    #[command(flatten)]
    daemon: Daemon,
}

/// What a person typed, as a series.
pub fn series_name(text: &str) -> Result<SeriesName, Failed> {
    SeriesName::parse(text).map_err(|error| Failed::Use(error.to_string()))
}

pub fn explain(args: &ExplainArgs, out: &Out) -> Result<Done, Failed> {
    let client = args.daemon.connect()?;
    let name = series_name(&args.series)?;
    let said = client.of_series("explain", &name)?;
    if out.is_json() {
        out.data(&said)?;
        return Ok(Done::Quietly);
    }
    let part = |name: &str| said.get(name).filter(|part| !part.is_null());
    let list = |name: &str| said.get(name).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let mut pairs = vec![("series", name.to_string()), ("kind", text(&said, "kind"))];
    if part("owner").is_some() {
        pairs.push(("owner", text(&said, "owner")));
    }
    if let Some(histogram) = part("histogram") {
        let of = format!("{} ({} limits)", text(histogram, "buckets"), text(histogram, "buckets_held"));
        let derived = histogram.get("derived").and_then(Value::as_bool) == Some(true);
        let makes: Vec<&str> = histogram
            .get("makes")
            .and_then(Value::as_array)
            .map_or_else(Vec::new, |all| all.iter().filter_map(Value::as_str).collect());
        match derived {
            true => pairs.push(("made of", of)),
            false if makes.is_empty() => pairs.push(("bucket of", of)),
            false => pairs.push(("bucket of", format!("{of}, watched as {}", makes.join(", ")))),
        }
    }
    if let Some(window) = part("window") {
        let (samples, span) = (text(window, "samples"), text(window, "span_s"));
        pairs.push(("samples", format!("{samples} over {span} s, the newest of {}", text(window, "newest"))));
        if let Some(tier) = window.get("tier").and_then(Value::as_str).filter(|tier| *tier != "exact") {
            pairs.push(("remembers", format!("{tier}: memory is short, see limits.memory_max")));
        }
    }
    if let Some(row) = part("during") {
        pairs.push(("calendar", in_force(row)));
    }
    match part("threshold") {
        None => pairs.push(("threshold", "none yet".to_owned())),
        Some(row) => {
            let is_active = row.get("active").and_then(Value::as_bool).unwrap_or(false);
            pairs.extend([("lower", text(row, "lower")), ("upper", text(row, "upper"))]);
            if row.get("rhythm").is_some_and(Value::is_string) {
                pairs.push(("bounds", format!("as they stand now; they change {}", text(row, "rhythm"))));
            }
            pairs.extend([
                ("active", if is_active { "yes" } else { "no: it does not judge (yet)" }.to_owned()),
                ("confidence", text(row, "confidence")),
                ("strategy", text(row, "strategy")),
                ("learned", text(row, "learned_at")),
                ("why", text(row, "reasoning")),
            ]);
            if let Some(supporting) = row.get("supporting") {
                let said = ["count", "mean", "median", "std_dev", "min", "max", "p95", "p99", "trend"]
                    .map(|field| format!("{field} {}", text(supporting, field)));
                pairs.push(("window", said.join(", ")));
            }
        }
    }
    pairs.push((
        "sensitivity",
        format!("{} sigmas, at first {}", text(&said, "sensitivity"), text(&said, "sensitivity_prior")),
    ));
    if let Some(tally) = part("tally") {
        let told = ["judged", "breached", "alerts"].map(|field| format!("{field} {}", text(tally, field)));
        pairs.push(("so far", told.join(", ")));
    }
    if let Some(row) = part("budget") {
        let shared = row.get("shared_by").and_then(Value::as_u64);
        let shared = shared.map_or(" of its own".to_owned(), |count| format!(", shared by {count} series"));
        pairs.push(("budget", format!("{} ({}{shared})", budget(row), text(row, "asked"))));
    }
    for (label, name) in [("alert since", "alert_since"), ("will cross", "forecast")] {
        if part(name).is_some() {
            pairs.push((label, text(&said, name)));
        }
    }
    if let Some(proposal) = part("proposal") {
        pairs.push(("proposal", sentence(proposal, name.as_str())));
    }
    for rival in list("rivals") {
        let bounds = format!("{} to {}", text(rival, "lower"), text(rival, "upper"));
        pairs.push(("rival", format!("{}: {bounds}, loss {}", text(rival, "strategy"), text(rival, "loss"))));
    }
    for alert in list("latest_alerts") {
        let spoke = alert.get("spoke").and_then(Value::as_object).into_iter().flatten();
        let mut pages: Vec<(&String, f64)> = spoke
            .filter(|(feature, _)| !feature.starts_with("score_"))
            .filter_map(|(feature, share)| Some((feature, share.as_f64()?)))
            .collect();
        pages.sort_by(|a, b| b.1.total_cmp(&a.1));
        let spoke: Vec<String> = pages.iter().map(|(feature, share)| format!("{feature} {share:.2}")).collect();
        pairs.push(("alert", format!("{}: {}", text(alert, "at"), spoke.join(", "))));
    }
    for row in list("weights") {
        let (feature, weight) = (text(row, "feature"), number(row, "weight"));
        let said = |of: &str| (number(row, &format!("{of}mattered")), number(row, &format!("{of}did_not")));
        let ((mattered, did_not), (all, all_not)) = (said(""), said("fleet_"));
        pairs.push((
            "heard",
            format!(
                "{feature} {weight:.2}; mattered {mattered:.1}, did not {did_not:.1}, of all series {all:.1} and {all_not:.1}"
            ),
        ));
    }
    for feature in list("features").iter().filter(|row| number(row, "one_in") > 1.5) {
        let (one_in, beyond) = (number(feature, "one_in"), number(feature, "alerts_beyond"));
        pairs.push((
            "feature",
            format!("{}: one ordinary sample in {one_in:.0}, alerts beyond one in {beyond:.0}", text(feature, "says")),
        ));
    }
    for verdict in list("latest_verdicts") {
        pairs.push(("verdict", judgement(verdict)));
    }
    if part("confidence_claims").is_some() {
        pairs.push(("claim", text(&said, "confidence_claims")));
    }
    for sentence in list("confidence_rests_on").iter().filter_map(Value::as_str) {
        pairs.push(("rests on", sentence.to_owned()));
    }
    for sentence in list("confidence_would_change").iter().filter_map(Value::as_str) {
        pairs.push(("confidence", sentence.to_owned()));
    }
    pairs.push(("picture", client.page_of(&name)));
    out.pairs(&pairs)?;
    Ok(Done::Quietly)
}

fn number(row: &Value, field: &str) -> f64 {
    row.get(field).and_then(Value::as_f64).unwrap_or(0.0)
}

/// What was said, of what, and when it was heard.
fn judgement(row: &Value) -> String {
    let meta = |key: &str| row.get("metadata").and_then(|all| all.get(key)).and_then(Value::as_str);
    let mut said = text(row, "verdict");
    if let Some(at) = meta("at") {
        said += &match (meta("about").unwrap_or("moment"), meta("until")) {
            ("period", Some(until)) => format!(": from {at} until {until}"),
            ("change_point", _) => format!(": another series since {at}"),
            (about, _) => format!(": {about} at {at}"),
        };
    }
    said += &format!(", heard {}", text(row, "at"));
    if let Some(comment) = meta("comment") {
        said += &format!(": {comment}");
    }
    said
}
