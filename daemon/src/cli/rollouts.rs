//! `homeostat rollouts`: new thresholds on their way to alert rules, and what a person wants done with them.

use super::client::{Daemon, text};
use super::output::Out;
use super::{Done, Failed};
use serde_json::{Value, json};

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  homeostat rollouts                                              how far each rule's new thresholds got
  homeostat rollouts promote HighLatency                          serve them for all series now
  homeostat rollouts roll-back HighLatency --comment 'too quiet'  serve what was before

A rule of `rules` in the configuration is served no new threshold before that showed what it would page for. In shadow it
reads along: first what is held of the past, then what comes. In canary a share of the rule's series is served it; once active
all are, and the one before reads along, until it is kept. Where the new one pages on more occasions than `rollout.more`
allows beside what the one before would have paged for, or misses something that a verdict says mattered and of which the one
before told, it is taken back by itself, and nothing is tried out for `rollout.watch`; twice as long each further time in a row, up
to sixteen times. Where a rule's labels `by` tell several series apart no further, all of them are tried out together, by the widest
of their thresholds: that is what the rule is served. A threshold that no value can be beyond, such as 130 percent, would turn
the rule off for good: the literal counts in its place, or what was seen where that is beyond it. What was kept is taken back by
`roll-back` alone, while nothing is tried out: what was served before it is served again, or the literal. A person's word is no
trial: where a series is served already, what was learned of it since a verdict is served at once, and a trial goes on with it.
How long each step takes: `rollout` in the configuration.")]
pub struct RolloutsArgs {
    #[command(subcommand)]
    what: Option<What>,
    #[command(flatten)]
    daemon: Daemon,
}

#[derive(clap::Subcommand)]
enum What {
    /// Serve what is tried out for all series of the rule, now
    #[command(after_help = "\
Example:
  homeostat rollouts promote HighLatency --comment 'looked at it'")]
    Promote(OrderArgs),
    /// Serve what was before, also before what was kept last, and try nothing out for a while
    #[command(after_help = "\
Example:
  homeostat rollouts roll-back HighLatency --comment 'too quiet'")]
    RollBack(OrderArgs),
}

#[derive(clap::Args)]
struct OrderArgs {
    /// What the rule's thresholds carry as `rule`
    #[arg(value_name = "RULE")]
    rule: String,
    /// Kept with the order, for people
    #[arg(long, value_name = "TEXT")]
    comment: Option<String>,
    #[command(flatten)]
    daemon: Daemon,
}

pub fn rollouts(args: &RolloutsArgs, out: &Out) -> Result<Done, Failed> {
    match &args.what {
        None => {
            let rows = args.daemon.connect()?.all("rollouts", &[])?;
            match out.is_json() {
                true => out.data(&rows)?,
                false => out.table(&HEAD, &rows.iter().map(line).collect::<Vec<_>>())?,
            }
        }
        Some(What::Promote(said)) => order(said, "promote", out)?,
        Some(What::RollBack(said)) => order(said, "roll_back", out)?,
    }
    Ok(Done::Quietly)
}

fn order(args: &OrderArgs, order: &str, out: &Out) -> Result<(), Failed> {
    let mut body = json!({ "rule": args.rule, "order": order });
    if let Some(comment) = &args.comment {
        body["comment"] = json!(comment);
    }
    let answered = args.daemon.connect()?.post("rollouts", &body, None)?;
    match out.is_json() {
        true => out.json(&answered),
        false => out.table(&HEAD, &answered.get("data").map(line).into_iter().collect::<Vec<_>>()),
    }
}

const HEAD: [&str; 8] = ["rule", "step", "since", "until", "served", "pages before", "pages tried", "why"];

fn line(row: &Value) -> Vec<String> {
    let evidence = row.get("evidence").unwrap_or(&Value::Null);
    let last = row.get("steps").and_then(Value::as_array).and_then(|steps| steps.last()).unwrap_or(&Value::Null);
    let step = match row.get("step").and_then(Value::as_str) {
        Some(step) => step.to_owned(),
        // What became of the last one.
        None => text(last, "step"),
    };
    let mut cells = vec![text(row, "rule"), step];
    cells.extend(["since", "until", "served"].map(|field| text(row, field)));
    cells.extend(["pages_before", "pages_proposed"].map(|field| text(evidence, field)));
    let mut why = text(last, "because");
    if let Some(until) = row.get("rests_until").and_then(Value::as_str) {
        why = format!("{why}; nothing is tried out until {until}");
    }
    if let Some(out @ 1..) = row.get("out_of_reach").and_then(Value::as_u64) {
        why = format!("{why}; what was learned of {out} series lies where no value can be, and is not served");
    }
    cells.push(why);
    cells
}
