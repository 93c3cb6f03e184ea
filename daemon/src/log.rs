//! What the daemon says of itself on standard error, and the lines that tell a person what the engine decided.

use crate::config::{Log, LogFormat};
use crate::driver::Reloaded;
use homeostat::event::{Asked, Event, Phase};
use homeostat::execute::Knob;
use homeostat::monitor::Why;
use homeostat::rollout::Step;
use tracing_subscriber::EnvFilter;

/// Sets up logging for the rest of the process; `colour` where the reader is a person.
pub fn init(log: &Log, colour: bool) {
    let filter = EnvFilter::new(format!("{},hyper=warn,tower=warn", log.level.as_str()));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        // A log that cannot be written (its disk is full, its reader gone) is no reason to end: the complaint about it would
        // go the same way, and panic.
        .log_internal_errors(false)
        .with_target(false)
        .with_ansi(colour);
    match log.format {
        LogFormat::Text => builder.init(),
        LogFormat::Json => builder.json().flatten_event(true).init(),
    }
}

/// Says what a person would want to know of a batch of events: one line each, and one for all that were learned.
pub fn notable<'a>(events: impl Iterator<Item = &'a Event>) {
    let (mut learned, mut example) = (0, None);
    for event in events {
        match event {
            Event::ThresholdLearned { series, .. } => {
                learned += 1;
                example = Some(series);
            }
            Event::Alerted(alerted) => {
                let (series, value, at) = (&alerted.series, alerted.value, alerted.at);
                match alerted.phase {
                    Phase::Onset => {
                        let why = alerted.why.map_or("outside its bounds", Why::as_str);
                        let during = alerted.during.as_ref().map_or(String::new(), |during| format!(", {during}"));
                        tracing::warn!(%series, value, %at, pages = alerted.pages, "alert: {why}{during}");
                    }
                    Phase::End => tracing::info!(%series, value, %at, "alert ended"),
                }
            }
            Event::Forecasted { series, crosses_at: Some(at), .. } => {
                tracing::warn!(%series, %at, "its trend leads beyond its alert level");
            }
            Event::StateChanged { transition, .. } => {
                tracing::info!(from = %transition.from, to = %transition.to, "state: {}", transition.cause);
            }
            Event::Adjusted { by, adjustment, .. } => {
                let (from, to) = (adjustment.from, adjustment.to);
                let of = adjustment.target.series().map(|series| format!(" of {series}")).unwrap_or_default();
                let parameter = adjustment.target.name();
                tracing::info!(by = by.as_str(), "{parameter}{of} {from:.3} → {to:.3}: {}", adjustment.reason);
            }
            Event::LoopPaused { by, paused, because, .. } => {
                let what = if *paused { "paused" } else { "goes on" };
                tracing::warn!("loop {} {what}: {because}", by.as_str());
            }
            Event::Frozen { frozen, because, .. } => {
                let what = if *frozen { "all changes are stopped" } else { "changes go on" };
                tracing::warn!("{what}: {because}");
            }
            Event::LevelShiftProposed { id, because, series, .. } => {
                let series: Vec<&str> = series.iter().map(|shift| shift.series.as_str()).collect();
                let what = match because {
                    Asked::Opened => "shifted a day ago and stayed: is that ordinary?",
                    Asked::Joined => "shifted at the same time",
                    Asked::Again => "shifted, and nobody has said whether that is ordinary",
                };
                tracing::warn!(
                    "proposal {id}: {} {what} `homeostat proposals accept {id}`, or `refuse {id}`",
                    listed(&series)
                );
            }
            Event::LevelShiftSettled { id, settled, series, .. } => {
                tracing::info!("proposal {id}: {}, {} series", settled.as_str(), series.len());
            }
            Event::RolloutMoved { rule, to, because, .. } => match to {
                Step::Refused | Step::RolledBack => {
                    tracing::warn!("new thresholds of {rule}: {}: {because}", to.as_str())
                }
                _ => tracing::info!("new thresholds of {rule}: {}: {because}", to.as_str()),
            },
            Event::ThresholdReleased { rule, series, because, .. } => {
                tracing::info!("new thresholds of {rule}: {} series served at once: {because}", series.len());
            }
            Event::SeriesForgotten { series, .. } => tracing::debug!(%series, "forgotten"),
            Event::ChangeDispatched { change } if matches!(change.knob, Knob::Parameters) => {
                tracing::debug!("parameters: {}", change.because);
            }
            Event::ClaimSettled { series, claim, kept } => {
                let (said, pages) = (claim.said, claim.pages);
                let kept = match kept {
                    Some(true) => "kept",
                    Some(false) => "broken",
                    None => "not seen for long enough to count",
                };
                tracing::debug!(%series, said, pages, "a confidence's claim was {kept}");
            }
            Event::SeriesAdded { .. }
            | Event::Forecasted { crosses_at: None, .. }
            | Event::ChangeDispatched { .. }
            | Event::ChangeSettled { .. }
            | Event::Signalled { .. }
            | Event::Withheld { .. }
            | Event::EffectMeasured { .. }
            | Event::CycleCompleted(_) => {}
        }
    }
    match (learned, example) {
        (1, Some(series)) => tracing::info!(%series, "threshold learned"),
        (0, _) => {}
        _ => tracing::info!("{learned} thresholds learned"),
    }
}

/// Says what reading the configuration again came to, key by key.
pub fn reloaded(done: &Reloaded) {
    let changed = match done.changed.as_slice() {
        [] => "nothing is changed".to_owned(),
        keys => format!("changed: {}", listed(keys)),
    };
    let waits = match done.at_next_start.as_slice() {
        [] => String::new(),
        [key] => format!("; {key} takes effect at the next start"),
        keys => format!("; at the next start take effect: {}", listed(keys)),
    };
    tracing::info!("the configuration was read again; {changed}{waits}");
}

/// Names after each other, as many as a line holds.
fn listed<T: std::borrow::Borrow<str>>(keys: &[T]) -> String {
    const MOST: usize = 40;
    match keys.len().checked_sub(MOST) {
        None | Some(0) => keys.join(", "),
        Some(more) => format!("{} and {more} more", keys[..MOST].join(", ")),
    }
}
