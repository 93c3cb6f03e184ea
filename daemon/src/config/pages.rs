//! How alerts that may page reach a person: what is said of them, how they are put together, and who is told.

use super::rules::Pair;
use super::webhooks::shown;
use crate::prometheus::endpoint::Access;
use homeostat::time::Span;
use serde::{Deserialize, Serialize};

/// Each has a task of its own and keeps what it told.
const RECEIVERS_MAX: usize = 16;

/// A command with more words than this is a mistake.
const WORDS_MAX: usize = 256;

/// Labels that every alert has; those of a series by these names are told as `exported_NAME`.
pub const OWN_LABELS: [&str; 4] = ["alertname", "metric", "series", "owner"];

/// What alerts that may page are called, and how they are put together.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default)]
pub struct Pages {
    /// The label `alertname` of every alert.
    pub alert: String,
    /// Further labels of every alert: NAME=VALUE.
    #[schemars(with = "Vec<String>")]
    pub labels: Vec<Pair>,
    /// Labels by which alerts are told together, to webhooks and commands: those that agree in all of them; none: all together.
    pub group_by: Vec<String>,
    /// How long the first alert of a group waits for others.
    pub group_wait: Span,
    /// From one notification of a group to the next, when something changed.
    pub group_interval: Span,
    /// After how long a notification is repeated, though nothing changed.
    pub repeat_interval: Span,
    /// An alert is told to hold at least for so long: it outlasts the wait for others, and one that comes back within it is none
    /// of its own.
    pub keep_firing_for: Span,
    /// The name of an alert that always fires while the loop turns, so that its absence can page; null: there is none.
    pub watchdog: Option<String>,
    /// How often that one is sent; it ends by itself after four times as long.
    pub watchdog_interval: Span,
}

impl Default for Pages {
    fn default() -> Pages {
        Pages {
            alert: "HomeostatAnomaly".to_owned(),
            labels: vec![Pair { name: "severity".to_owned(), value: "page".to_owned() }],
            group_by: Vec::new(),
            group_wait: Span::from_secs(10),
            group_interval: Span::minutes(5),
            repeat_interval: Span::hours(4),
            keep_firing_for: Span::minutes(5),
            watchdog: Some("HomeostatWatchdog".to_owned()),
            watchdog_interval: Span::minutes(1),
        }
    }
}

/// Who is told.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Receiver {
    /// alertmanager, webhook or command.
    pub kind: ReceiverKind,
    /// Of an Alertmanager the address before /api/v2; of a webhook the whole one.
    #[serde(default)]
    pub url: Option<String>,
    /// A program and its arguments, started without a shell; it gets what is told as JSON on standard input.
    #[serde(default)]
    pub command: Vec<String>,
    /// What is not taken by then has failed and is tried again; a command is killed.
    #[serde(default = "timeout")]
    pub timeout: Span,
    /// How often an alert that holds is sent again to an Alertmanager, which takes it for ended after four times as long.
    #[serde(default = "resend")]
    pub resend: Span,
    /// Whether it gets the watchdog; null: an Alertmanager does, others do not.
    #[serde(default)]
    pub watchdog: Option<bool>,
    /// Whether an Alertmanager is asked for its alerts and silences, for `verdicts`.
    #[serde(default = "yes")]
    pub poll: bool,
    /// Whose alerts they are: sent as X-Scope-OrgID.
    #[serde(default)]
    pub tenant: Option<String>,
    #[serde(flatten)]
    pub access: Access,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ReceiverKind {
    Alertmanager,
    Webhook,
    Command,
}

impl ReceiverKind {
    pub const fn as_str(self) -> &'static str {
        match self {
            ReceiverKind::Alertmanager => "alertmanager",
            ReceiverKind::Webhook => "webhook",
            ReceiverKind::Command => "command",
        }
    }
}

const fn timeout() -> Span {
    Span::from_secs(10)
}

const fn yes() -> bool {
    true
}

const fn resend() -> Span {
    Span::minutes(1)
}

impl Receiver {
    /// As it may be shown.
    pub fn shown(&self) -> String {
        match &self.url {
            Some(url) => shown(url),
            None => self.command.first().cloned().unwrap_or_default(),
        }
    }

    /// By what it is known again after a restart.
    pub fn identity(&self) -> String {
        let told_to = (self.kind.as_str(), &self.url, &self.tenant, &self.command);
        format!("page/{:016x}", xxhash_rust::xxh3::xxh3_64(format!("{told_to:?}").as_bytes()))
    }

    pub fn gets_watchdog(&self) -> bool {
        self.watchdog.unwrap_or(self.kind == ReceiverKind::Alertmanager)
    }

    fn check(&self) -> Result<(), (String, String)> {
        let refuse = |key: &str, problem: String| Err((key.to_owned(), problem));
        match (self.kind, &self.url) {
            (ReceiverKind::Command, Some(_)) => return refuse("url", "a command has none; leave it out".to_owned()),
            (ReceiverKind::Command, None) => {}
            (kind, None) => return refuse("url", format!("where the {} is has to be said", kind.as_str())),
            (kind, Some(url)) => {
                if let Some(problem) = wrong_url(url, kind) {
                    return refuse("url", problem);
                }
            }
        }
        if self.kind == ReceiverKind::Command {
            let first = self.command.first().map_or("", |word| word.trim());
            if first.is_empty() || self.command.len() > WORDS_MAX || self.command.iter().any(|word| word.contains('\0'))
            {
                return refuse("command", "a program and its arguments are wanted, like [/usr/bin/page, --now]".into());
            }
            if self.access != Access::default() || self.tenant.is_some() {
                return refuse("headers", "a command gets no headers, tenants, tokens or passwords".to_owned());
            }
        } else if !self.command.is_empty() {
            return refuse("command", format!("a receiver of kind {} runs none", self.kind.as_str()));
        }
        for (key, span, least, most) in [
            ("timeout", self.timeout, Span::from_millis(100), Span::minutes(5)),
            ("resend", self.resend, Span::from_secs(1), Span::hours(1)),
        ] {
            if span < least || span > most {
                return refuse(key, format!("{span} is outside {least} to {most}"));
            }
        }
        if let Some(tenant) = &self.tenant
            && (tenant.is_empty() || !tenant.bytes().all(|byte| byte.is_ascii_graphic()))
        {
            return refuse("tenant", "it has to be one word of ASCII".to_owned());
        }
        self.access.check().map_err(|wrong| (wrong.key, wrong.problem))
    }

    /// What is sent with each request. An error names the file that cannot be read, never what is in it.
    pub fn sent(&self) -> Result<Vec<(String, String)>, String> {
        let mut sent = self.access.sent()?;
        sent.extend(self.tenant.iter().map(|tenant| ("X-Scope-OrgID".to_owned(), tenant.clone())));
        Ok(sent)
    }
}

/// Why an address is none, if it is not. It is not shown whole: it may hold a secret.
fn wrong_url(url: &str, kind: ReceiverKind) -> Option<String> {
    let example = match kind {
        ReceiverKind::Alertmanager => "like http://alertmanager:9093",
        ReceiverKind::Webhook | ReceiverKind::Command => "like https://example.org/page",
    };
    if url.split('/').nth(2).is_some_and(|authority| authority.contains('@')) {
        return Some("leave the name and the password out of it; give username and password_file".to_owned());
    }
    let http = url.starts_with("http://") || url.starts_with("https://");
    let valid = url.parse::<ureq::http::Uri>().is_ok_and(|uri| uri.host().is_some_and(|host| !host.is_empty()));
    if !http || !valid || url.contains(char::is_whitespace) {
        return Some(format!("`{}` is no address {example}", shown(url)));
    }
    let base = url.trim_end_matches('/');
    let of_api = base.contains("/api/v") || base.contains(['?', '#']);
    (kind == ReceiverKind::Alertmanager && of_api)
        .then(|| format!("the address is what stands before /api/v2, {example}"))
}

/// Checks all of it; what is wrong comes with its dotted key.
pub fn check(pages: &Pages, receivers: &[Receiver]) -> Result<(), (String, String)> {
    let refuse = |key: &str, problem: String| Err((key.to_owned(), problem));
    for (key, name) in [("pages.alert", Some(&pages.alert)), ("pages.watchdog", pages.watchdog.as_ref())] {
        if name.is_some_and(|name| name.trim().is_empty()) {
            return refuse(key, "a name is wanted".to_owned());
        }
    }
    if pages.watchdog.as_ref() == Some(&pages.alert) {
        return refuse("pages.watchdog", format!("alerts are called `{}` already", pages.alert));
    }
    for (at, label) in pages.labels.iter().enumerate() {
        let twice = pages.labels[..at].iter().any(|before| before.name == label.name);
        if OWN_LABELS.contains(&label.name.as_str()) || label.name.starts_with("__") || twice {
            let problem = format!("`{}` is set already, or may not be", label.name);
            return refuse(&format!("pages.labels[{at}]"), problem);
        }
    }
    let (second, hour, month) = (Span::from_secs(1), Span::hours(1), Span::hours(31 * 24));
    for (key, span, least, most) in [
        ("pages.group_wait", pages.group_wait, Span::ZERO, hour),
        ("pages.group_interval", pages.group_interval, second, Span::hours(24)),
        ("pages.repeat_interval", pages.repeat_interval, pages.group_interval, month),
        ("pages.keep_firing_for", pages.keep_firing_for, Span::ZERO, Span::hours(24)),
        ("pages.watchdog_interval", pages.watchdog_interval, second, hour),
    ] {
        if span < least || span > most {
            return refuse(key, format!("{span} is outside {least} to {most}"));
        }
    }
    if receivers.len() > RECEIVERS_MAX {
        return refuse("receivers", format!("{} are over {RECEIVERS_MAX}", receivers.len()));
    }
    for (at, receiver) in receivers.iter().enumerate() {
        receiver.check().map_err(|(key, problem)| (format!("receivers[{at}].{key}"), problem))?;
        if receivers[..at].iter().any(|other| other.identity() == receiver.identity()) {
            return refuse(&format!("receivers[{at}]"), format!("{} is named twice", receiver.shown()));
        }
    }
    Ok(())
}
