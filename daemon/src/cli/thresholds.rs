//! `homeostat thresholds`: what was learned, in forms that other tools read, and back.

mod import;
mod rules;

use super::client::{Daemon, text};
use super::output::Out;
use super::{Done, Failed};
use homeostat::series::SeriesName;
use serde_json::{Value, json};

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  homeostat thresholds export --format csv                     what was learned, as a table
  homeostat thresholds import thresholds.json                  put in force what a file says
  homeostat thresholds rules --config homeostat.yaml           alert rules that look their thresholds up here
  homeostat thresholds scrape-config --config homeostat.yaml   what makes Prometheus read them")]
pub struct ThresholdsArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(clap::Subcommand)]
enum What {
    /// Print the learned thresholds
    #[command(after_help = "\
Examples:
  homeostat thresholds export > thresholds.json
  homeostat thresholds export --format prometheus > homeostat.rules.yml
  homeostat thresholds export --match '{job=\"api\"}' --format csv

As Prometheus rules, each active threshold becomes an alert on the series outside its bounds. Bounds that change with the time
of day are told and left out: at /metrics/thresholds they are a series of their own, which a rule can compare with.")]
    Export {
        #[arg(long, value_enum, value_name = "FORMAT", default_value = "json")]
        format: ExportFormat,
        /// Only series that match: NAME{label="value"} with = != =~ !~
        #[arg(long = "match", value_name = "SELECTOR")]
        selector: Option<String>,
        #[command(flatten)]
        daemon: Daemon,
    },
    /// Put thresholds of a file in force in the running daemon
    #[command(after_help = "\
Examples:
  homeostat thresholds export > thresholds.json && homeostat thresholds import thresholds.json
  homeostat learn load.csv --format yaml | homeostat thresholds import - --format yaml
  homeostat thresholds import by-hand.csv            series,lower,upper and more, as `export --format csv` prints it

A threshold that is imported judges from now on, until its series is learned again. A row that cannot be used is told with
its line, and the rest is. Only series that the daemon knows can have a threshold.")]
    Import(import::ImportArgs),
    /// Print alert rules for Prometheus that look their thresholds up here
    #[command(after_help = "\
Examples:
  homeostat thresholds rules --config homeostat.yaml > homeostat.rules.yml
  homeostat thresholds rules --config homeostat.yaml --write /etc/prometheus/homeostat.rules.yml --reload http://127.0.0.1:9090
  homeostat thresholds rules --config homeostat.yaml --manifest | kubectl apply -f -

Each of the configuration's `rules` becomes an alert that compares with learned thresholds where there are any, and with its
literal elsewhere; beside it stands an alert for when there are none at all. Prometheus has to scrape the thresholds: see
`homeostat thresholds scrape-config`.")]
    Rules(rules::RulesArgs),
    /// Print what makes Prometheus read the thresholds
    #[command(after_help = "\
Examples:
  homeostat thresholds scrape-config --config homeostat.yaml >> prometheus.yml   where that has no scrape_configs yet

One homeostat alone should be scraped by one Prometheus: two thresholds for the same labels make a rule fail.")]
    ScrapeConfig(rules::ScrapeArgs),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
enum ExportFormat {
    Json,
    Yaml,
    Csv,
    /// A rule file for Prometheus
    Prometheus,
}

pub fn thresholds(args: &ThresholdsArgs, out: &Out) -> Result<Done, Failed> {
    let (format, selector, daemon) = match &args.what {
        What::Export { format, selector, daemon } => (format, selector, daemon),
        What::Import(args) => return import::import(args, out),
        What::Rules(args) => return rules::rules(args, out),
        What::ScrapeConfig(args) => return rules::scrape_config(args, out),
    };
    let query: Vec<(&str, &str)> = selector.iter().map(|text| ("match[]", text.as_str())).collect();
    let rows = daemon.connect()?.all("thresholds", &query)?;
    let failed = |error: &dyn std::fmt::Display| Failed::World(format!("cannot write the thresholds: {error}"));
    match format {
        ExportFormat::Json => out.json(&json!({ "data": rows }))?,
        ExportFormat::Yaml => {
            out.text(&serde_saphyr::to_string(&json!({ "data": rows })).map_err(|error| failed(&error))?)?;
        }
        ExportFormat::Csv => out.text(&csv(&rows).map_err(|error| failed(&error))?)?,
        ExportFormat::Prometheus => {
            let (rules, left_out) = alerts(&rows);
            if left_out.unusable > 0 {
                let count = left_out.unusable;
                eprintln!("{count} thresholds left out: not active, a rate, or a name Prometheus does not take");
            }
            for series in &left_out.moving {
                eprintln!(
                    "{series} left out: its bounds change with time; homeostat_threshold at /metrics/thresholds follows them"
                );
            }
            out.text(&serde_saphyr::to_string(&rules).map_err(|error| failed(&error))?)?;
        }
    }
    Ok(Done::Quietly)
}

const COLUMNS: [&str; 12] = [
    "series",
    "lower",
    "upper",
    "sensitivity",
    "confidence",
    "strategy",
    "active",
    "learned_at",
    "reasoning",
    "alert_lower",
    "alert_upper",
    "rhythm",
];

fn csv(rows: &[Value]) -> Result<String, Box<dyn std::error::Error>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(COLUMNS)?;
    for row in rows {
        writer.write_record(COLUMNS.map(|column| match row.get(column) {
            None | Some(Value::Null) => String::new(),
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
        }))?;
    }
    Ok(String::from_utf8(writer.into_inner()?)?)
}

/// What has no rule.
struct LeftOut {
    /// Series whose bounds change with time, which a rule with a number in it cannot.
    moving: Vec<String>,
    unusable: usize,
}

/// A rule group with one alert per active threshold, and which thresholds have no rule.
fn alerts(rows: &[Value]) -> (Value, LeftOut) {
    let moves = |row: &&Value| row.get("rhythm").is_some_and(Value::is_string);
    let (moving, standing): (Vec<&Value>, Vec<&Value>) = rows.iter().partition(moves);
    let rules: Vec<Value> = standing.iter().copied().filter_map(rule).collect();
    let unusable = standing.len() - rules.len();
    let left_out = LeftOut { moving: moving.into_iter().map(|row| text(row, "series")).collect(), unusable };
    (json!({ "groups": [{ "name": "homeostat", "rules": rules }] }), left_out)
}

fn rule(row: &Value) -> Option<Value> {
    let name = SeriesName::parse(row.get("series")?.as_str()?).ok()?;
    let metric = name.metric();
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let usable = metric.chars().all(plain) && !metric.starts_with(|c: char| c.is_ascii_digit()) && !metric.is_empty();
    // A counter's bounds are bounds of its rate, over the spacing of its samples: not an expression Prometheus has.
    let counts = ["_total", "_count", "_sum", "_bucket"].iter().any(|suffix| metric.ends_with(suffix));
    if !usable || counts || row.get("active")?.as_bool() != Some(true) {
        return None;
    }
    let bound = |field: &str| row.get(field).and_then(Value::as_f64);
    let parts: Vec<String> = [("<", bound("lower")), (">", bound("upper"))]
        .into_iter()
        .filter_map(|(sign, bound)| Some(format!("{name} {sign} {}", bound?)))
        .collect();
    Some(json!({
        "alert": format!("Unusual_{}", metric.replace(':', "_")),
        "expr": parts.join(" or "),
        "for": "1m",
        // By the series no two of these alerts look like one rule. Labels are templates, and a series is called as its sender likes.
        "labels": { "severity": "warning", "strategy": text(row, "strategy"), "series": name.as_str().replace("{{", "{ {") },
        "annotations": { "summary": format!("{metric} is outside of what was learned"), "description": text(row, "reasoning") },
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_active_threshold_becomes_a_rule_that_prometheus_reads() {
        let row = |series: &str, active: bool| json!({ "series": series, "lower": 1.5, "upper": 9, "active": active, "strategy": "robust", "reasoning": "r" });
        let mut by_day = row("load{job=\"b\"}", true);
        by_day["rhythm"] = json!("by time of day, in 96 parts of 15m");
        let rows = [
            row("load{job=\"a\"}", true),
            row("load", false),
            by_day,
            row("odd-name", true),
            row("x_total", true),
            row("hits{path=\"{{id}}\"}", true),
        ];
        let (rules, left_out) = alerts(&rows);
        assert_eq!((left_out.unusable, left_out.moving), (3, vec!["load{job=\"b\"}".to_owned()]));
        let rule = &rules["groups"][0]["rules"][0];
        assert_eq!(rule["expr"], "load{job=\"a\"} < 1.5 or load{job=\"a\"} > 9");
        assert_eq!(rule["alert"], "Unusual_load");
        assert_eq!(rule["labels"]["series"], "load{job=\"a\"}");
        assert_eq!(rules["groups"][0]["rules"][1]["labels"]["series"], "hits{path=\"{ {id}}\"}");
    }
}
