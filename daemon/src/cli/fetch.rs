//! `homeostat fetch`: the history of an expression, from a Prometheus, as a file that the other commands read.
//!
//! Written as it comes, piece by piece: a month of ten thousand series passes through a few megabytes.

use super::output::Out;
use super::{Done, Failed};
use crate::prometheus::args::PrometheusArgs;
use crate::prometheus::naming::series_name;
use crate::prometheus::progress::Bar;
use crate::prometheus::range::{Part, RangeQuery};
use crate::prometheus::{Client, QueryError};
use homeostat::time::{Span, Timestamp};
use std::io::{self, BufWriter, Write};

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  homeostat fetch 'rate(http_requests_total[5m])' --prometheus http://localhost:9090 --since 7d > requests.csv
  homeostat fetch node_load1 --prometheus https://mimir.example.org/prometheus --tenant ops | homeostat learn -

Writes timestamp,value,series: what learn, detect and evaluate read, and files of the daemon. Long ranges are asked in
pieces, and pieces that cannot change any more are kept on disk for the next time. What it cost is told on standard error.")]
pub struct FetchArgs {
    /// What is evaluated, in PromQL
    #[arg(value_name = "EXPR")]
    expr: String,
    /// What the series are called, in place of the metric
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// How far back
    #[arg(long, value_name = "DURATION", default_value = "1d")]
    since: Span,
    /// Up to when: Unix seconds or RFC 3339 [default: now]
    #[arg(long, value_name = "TIME")]
    until: Option<Timestamp>,
    /// From one evaluation to the next
    #[arg(long, value_name = "DURATION", default_value = "1m")]
    step: Span,
    #[command(flatten)]
    prometheus: PrometheusArgs,
}

pub fn fetch(args: &FetchArgs, out: &Out) -> Result<Done, Failed> {
    let now = crate::driver::now();
    let client = client(&args.prometheus)?;
    if args.step.millis() == 0 {
        return Err(Failed::Use("--step: a step of 0 has no end; give one like 1m".to_owned()));
    }
    let end = args.until.unwrap_or(now);
    let query = RangeQuery { expr: args.expr.clone(), start: end - args.since, end, step: args.step };
    let bar = Bar::new(1);
    let mut writer = Writer::new(args.name.as_deref(), &args.expr, out.is_json());
    let mut broken = None;
    let done = client.parts(&query, now, &bar, &mut |part| {
        if broken.is_none() {
            broken = writer.part(&part).err();
        }
        // Nobody takes what comes next.
        if broken.is_some() { Err(QueryError::Use("the output cannot be written".to_owned())) } else { Ok(()) }
    });
    bar.finish();
    // Of a history that holds nothing the head is all there is; of one that could not be had, nothing.
    let end = |writer: &mut Writer<'_>| {
        if done.is_ok() { writer.head().and_then(|()| writer.out.flush()) } else { writer.out.flush() }
    };
    if let Some(error) = broken.or_else(|| end(&mut writer).err()) {
        return Err(Failed::output(error));
    }
    let remarks = done.map_err(failed)?;
    for sentence in remarks.sentences(&query) {
        eprintln!("{}", super::output::one_line(&sentence));
    }
    if writer.unnamed > 0 {
        eprintln!("{} series have labels that are too long, and are left out", writer.unnamed);
    }
    eprintln!("{}: {}", client.url(), client.costs());
    Ok(Done::Quietly)
}

/// The client that flags ask for; without an address there is none.
pub fn client(args: &PrometheusArgs) -> Result<Client, Failed> {
    // So that those who were started together do not come back together.
    let seed = u64::from(std::process::id());
    let client = args.client(seed).map_err(failed)?;
    client.ok_or_else(|| Failed::Use("name a Prometheus with --prometheus URL, like http://localhost:9090".to_owned()))
}

/// What is wrong with the question is wrong use; all else is the world's.
pub fn failed(error: QueryError) -> Failed {
    match error {
        QueryError::Use(_) | QueryError::Refused { .. } | QueryError::TooMuch { .. } => Failed::Use(error.to_string()),
        error => Failed::World(error.to_string()),
    }
}

struct Writer<'a> {
    called: Option<&'a str>,
    expr: &'a str,
    json: bool,
    out: BufWriter<io::Stdout>,
    /// Whether the head stands there.
    begun: bool,
    /// Series that cannot be named.
    unnamed: u64,
}

impl<'a> Writer<'a> {
    fn new(called: Option<&'a str>, expr: &'a str, json: bool) -> Writer<'a> {
        Writer { called, expr, json, out: BufWriter::with_capacity(1 << 16, io::stdout()), begun: false, unnamed: 0 }
    }

    fn head(&mut self) -> io::Result<()> {
        match std::mem::replace(&mut self.begun, true) || self.json {
            true => Ok(()),
            false => self.out.write_all(b"timestamp,value,series\n"),
        }
    }

    fn part(&mut self, part: &Part) -> io::Result<()> {
        self.head()?;
        for points in &part.points {
            let Ok(name) = series_name(&points.labels, self.called, self.expr) else {
                self.unnamed += 1;
                continue;
            };
            let quoted = match self.json {
                true => serde_json::Value::from(name.as_str()).to_string(),
                false => format!("\"{}\"", name.as_str().replace('"', "\"\"")),
            };
            for (place, value) in &points.values {
                let at = (part.grid.start + Span::from_millis(part.grid.step as u64 * u64::from(*place))).secs();
                match self.json {
                    // JSON has no numbers that are none.
                    true if !value.is_finite() => {
                        writeln!(self.out, r#"{{"timestamp":{at},"value":"{value}","series":{quoted}}}"#)?;
                    }
                    true => writeln!(self.out, r#"{{"timestamp":{at},"value":{value},"series":{quoted}}}"#)?,
                    false => writeln!(self.out, "{at},{value},{quoted}")?,
                }
            }
        }
        Ok(())
    }
}
