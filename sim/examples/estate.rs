//! Writes a month of the fleet to a folder, for a Prometheus and `homeostat tune`:
//! `cargo run -p homeostat-sim --example estate -- SEED DIR [small]`
//!
//! `metrics.txt` is for `promtool tsdb create-blocks-from openmetrics --max-block-duration=744h metrics.txt DATA`, `rules.yml` the
//! published rules, `incidents.jsonl` what was truly wrong, `verdicts.jsonl` what people said of a fifth of the pages of
//! the first three weeks.

use homeostat_sim::estate::fleet::Size;
use homeostat_sim::estate::{Estate, START, openmetrics, rules, trial};
use std::fs::File;
use std::io::{BufWriter, Error, Write};
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let (Some(seed), Some(folder)) = (args.next().and_then(|seed| seed.parse().ok()), args.next()) else {
        eprintln!("give a seed and a folder: estate SEED DIR [small]");
        return ExitCode::from(2);
    };
    let size = if args.next().as_deref() == Some("small") { Size::SMALL } else { Size::FULL };
    match write(seed, &size, Path::new(&folder)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{folder}: {error}");
            ExitCode::from(3)
        }
    }
}

fn write(seed: u64, size: &Size, folder: &Path) -> Result<(), Error> {
    let estate = Estate::new(seed, size);
    std::fs::create_dir_all(folder)?;
    let open = |name: &str| File::create(folder.join(name)).map(BufWriter::new);
    let mut metrics = open("metrics.txt")?;
    openmetrics::write(&estate.raws, START, &mut metrics)?;
    metrics.flush()?;
    std::fs::write(folder.join("rules.yml"), rules::yaml())?;
    let mut incidents = open("incidents.jsonl")?;
    for incident in &estate.incidents {
        let json = serde_json::json!({
            "kind": format!("{:?}", incident.kind),
            "labels": incident.labels,
            "start": incident.start,
            "end": incident.end,
        });
        writeln!(incidents, "{json}")?;
    }
    incidents.flush()?;
    let mut verdicts = open("verdicts.jsonl")?;
    for said in trial::verdicts(&estate, &trial::cases(&estate), 5, seed) {
        writeln!(verdicts, "{}", serde_json::to_string(&said)?)?;
    }
    verdicts.flush()
}
