//! What is made of what people do about alerts, without saying anything.

use homeostat::time::Span;
use homeostat::units::Ratio;
use serde::{Deserialize, Serialize};

/// Nothing that is done counts as much as a word.
const WEIGHT_MAX: f64 = 0.9;

/// How much what is done about an alert counts beside a person's word, which counts 1; 0: it is not heard.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default)]
pub struct Verdicts {
    /// It was silenced soon after its start: it did not matter.
    pub silenced: Ratio,
    /// How soon that is.
    pub silenced_within: Span,
    /// It ended by itself, unsilenced, in under twice its rule's `for`: it did not matter.
    pub short_lived: Ratio,
    /// The `for` of rules that neither `rules` names nor a Prometheus among the sources evaluates.
    #[serde(rename = "for")]
    pub hold: Span,
    /// A paging tool says that somebody took it up: it mattered.
    pub acknowledged: Ratio,
    /// A paging tool says that it became an incident: it mattered.
    pub incident: Ratio,
    /// How often each Alertmanager among the receivers is asked for its alerts and silences.
    pub poll_interval: Span,
}

impl Default for Verdicts {
    fn default() -> Verdicts {
        Verdicts {
            silenced: Ratio::clamped(0.5),
            silenced_within: Span::minutes(15),
            short_lived: Ratio::clamped(0.2),
            hold: Span::minutes(5),
            acknowledged: Ratio::clamped(0.5),
            incident: Ratio::clamped(0.8),
            poll_interval: Span::from_secs(30),
        }
    }
}

/// Checks all of it; what is wrong comes with its dotted key.
pub fn check(verdicts: &Verdicts) -> Result<(), (String, String)> {
    let refuse = |key: &str, problem: String| Err((format!("verdicts.{key}"), problem));
    for (key, weight) in [
        ("silenced", verdicts.silenced),
        ("short_lived", verdicts.short_lived),
        ("acknowledged", verdicts.acknowledged),
        ("incident", verdicts.incident),
    ] {
        if weight.get() > WEIGHT_MAX {
            return refuse(key, format!("{weight} is over {WEIGHT_MAX}: a person's word has to count more"));
        }
    }
    for (key, span, least, most) in [
        ("silenced_within", verdicts.silenced_within, Span::from_secs(1), Span::hours(24)),
        ("for", verdicts.hold, Span::ZERO, Span::hours(24)),
        ("poll_interval", verdicts.poll_interval, Span::from_secs(1), Span::hours(1)),
    ] {
        if span < least || span > most {
            return refuse(key, format!("{span} is outside {least} to {most}"));
        }
    }
    Ok(())
}
