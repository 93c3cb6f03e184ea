//! Addresses that are told what the feedback loops hear and do.

use homeostat::feedback::LoopKind;
use homeostat::time::Span;
use serde::{Deserialize, Serialize};

/// Each has a thread of its own.
const WEBHOOKS_MAX: usize = 16;

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Webhook {
    /// http://HOST[:PORT]/…; events are posted there as JSON, up to 100 at a time.
    pub url: String,
    /// The loops it is told of; none named: all five.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    pub loops: Vec<LoopKind>,
    /// What is not taken by then is given up.
    #[serde(default = "timeout")]
    pub timeout: Span,
}

const fn timeout() -> Span {
    Span::from_secs(5)
}

impl Webhook {
    /// The address as it may be shown.
    pub fn shown(&self) -> String {
        shown(&self.url)
    }
}

/// An address as it may be shown: names, passwords and paths are often secrets.
pub fn shown(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    format!("{scheme}://{host}/…")
}

/// Checks all of them; what is wrong comes with its dotted key.
pub fn check(webhooks: &[Webhook]) -> Result<(), (String, String)> {
    if webhooks.len() > WEBHOOKS_MAX {
        return Err(("webhooks".to_owned(), format!("{} are over {WEBHOOKS_MAX}", webhooks.len())));
    }
    for (at, webhook) in webhooks.iter().enumerate() {
        if !webhook.url.starts_with("http://") || super::external_name(&webhook.url).is_none() {
            let problem = format!(
                "`{}` is not like http://host:8080/path; for https, or a name and a password, put a proxy between",
                webhook.shown()
            );
            return Err((format!("webhooks[{at}].url"), problem));
        }
        if webhook.timeout < Span::from_millis(100) || webhook.timeout > Span::minutes(1) {
            let problem = format!("{} is outside 100ms to 1m", webhook.timeout);
            return Err((format!("webhooks[{at}].timeout"), problem));
        }
    }
    Ok(())
}
