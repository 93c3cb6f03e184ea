//! The whole configuration of the daemon: the engine's sections and the daemon's own, from defaults, a file, the
//! environment and flags, each overriding the one before it.
//!
//! Every layer becomes a tree of plain values first and is laid over the defaults key by key, so that each key knows
//! where its value came from; only then is the whole read into types and checked. An unknown key is refused with the
//! nearest known one: a misspelt limit must not silently leave the default in force.

mod layers;
pub mod pages;
pub mod rules;
mod schema;
mod show;
pub mod tree;
mod verdicts;
mod webhooks;

pub use layers::{Origin, Provenance};
pub use pages::{Pages, Receiver, ReceiverKind};
pub use rules::DataRule;
pub use show::changed;
pub use verdicts::Verdicts;
pub use webhooks::Webhook;

use crate::access;
use crate::calendar::{self, CalendarSource};
use crate::receive::{self, Receive};
use crate::remote_write::{self, RemoteWrite};
use crate::source::promql::{self, PromqlSource};
use crate::source::scrape::{self, ScrapeSource};
use homeostat::config::StrategyName;
use homeostat::time::Span;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A configuration file larger than this is no configuration file, in bytes.
const FILE_LEN_MAX: u64 = 1 << 20;

const HOST_INTERVAL_MAX: Span = Span::hours(1);

/// Everything the daemon can be told. In the file the engine's sections stand beside the daemon's, at the top.
#[derive(Clone, PartialEq, Debug, Default, Serialize, schemars::JsonSchema)]
pub struct Config {
    #[serde(flatten)]
    pub engine: homeostat::config::Config,
    #[serde(flatten)]
    pub daemon: Daemon,
}

/// The daemon's own sections. One that is neither the engine's nor among these would be read by nobody.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Daemon {
    /// The page, the API and who may reach them.
    pub http: Http,
    /// The folder of the journal and the snapshots; made when missing. Default: $XDG_STATE_HOME/homeostat, else
    /// ~/.local/state/homeostat.
    pub data: Option<PathBuf>,
    /// The daemon's own metrics.
    pub prometheus: Prometheus,
    /// Traces of the daemon's own work.
    pub tracing: Tracing,
    /// Holidays, deploys and maintenance, which are no ordinary times.
    pub calendars: Vec<CalendarSource>,
    /// Alert rules of Prometheus whose thresholds are learned here: `thresholds rules` writes them.
    pub rules: Vec<DataRule>,
    /// Where the learned thresholds are written to, beside being served at /metrics/thresholds.
    pub remote_write: Vec<RemoteWrite>,
    /// This host as a source.
    pub host: HostSource,
    /// Files as sources, each row read once, also over restarts. One that is there at the start is read to its end; one that
    /// is not there yet is waited for, and followed as it grows.
    pub files: Vec<FileSource>,
    /// Expressions asked of a Prometheus as sources: their history at first, then what is new.
    pub promql: Vec<PromqlSource>,
    /// Targets that are scraped, as Prometheus does.
    pub scrape: Vec<ScrapeSource>,
    /// What is taken of those who send samples, by remote-write and OTLP.
    pub receive: Receive,
    /// How alerts that may page are told.
    pub pages: Pages,
    /// Who is told of alerts that may page.
    pub receivers: Vec<Receiver>,
    /// What is made of what people do about alerts.
    pub verdicts: Verdicts,
    /// Addresses that are told what the feedback loops hear and do.
    pub webhooks: Vec<Webhook>,
    /// How long the journal is kept and how often memory is written down.
    pub store: Store,
    /// What the daemon says on standard error.
    pub log: Log,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default)]
pub struct Http {
    /// HOST:PORT to answer on. An address others can reach needs `access`, or `insecure`.
    #[schemars(with = "String")]
    pub listen: Listen,
    /// The address people reach the page by, when it is not `listen`: http(s)://NAME[:PORT]. Requests for other names
    /// are refused.
    pub external_url: Option<String>,
    /// Answer on an address that others can reach although the access file does not ask who they are, or there is no TLS.
    pub insecure: bool,
    /// A file that says who may do what, and with which certificate the daemon answers; read again when it changes.
    pub access: Option<PathBuf>,
}

impl Default for Http {
    fn default() -> Http {
        let listen = Listen { host: "127.0.0.1".to_owned(), port: 9797 };
        Http { listen, external_url: None, insecure: false, access: None }
    }
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default)]
pub struct Prometheus {
    /// Answer on /metrics.
    pub enabled: bool,
}

impl Default for Prometheus {
    fn default() -> Prometheus {
        Prometheus { enabled: true }
    }
}

#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default)]
pub struct Tracing {
    /// Not there yet: only false is accepted.
    pub enabled: bool,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default)]
pub struct HostSource {
    /// Make series of this host. How busy it and the daemon are is measured all the same: the state is decided from it.
    pub enabled: bool,
    /// How often this host is read; null: as often as the loop turns, at the monitoring_interval in force.
    pub interval: Option<Span>,
    /// How often it is read until each of its series has learning.min_data_points samples.
    pub warmup_interval: Span,
    /// Share of the processor in use, waiting for disks, stolen by other guests; processes running and blocked.
    pub processor: bool,
    /// Share of memory and swap in use.
    pub memory: bool,
    /// Load averages.
    pub load: bool,
    /// Share of time in which work waited for processor, memory or disks (Linux).
    pub pressure: bool,
    /// Bytes read and written, and busy time, per disk.
    pub disk: bool,
    /// Share in use, per mounted file system.
    pub filesystem: bool,
    /// Bytes and errors, per network device.
    pub network: bool,
    /// The daemon's own memory, processor time, threads and open files.
    pub process: bool,
}

impl Default for HostSource {
    fn default() -> HostSource {
        HostSource {
            enabled: true,
            interval: Some(Span::from_secs(10)),
            warmup_interval: Span::from_secs(1),
            processor: true,
            memory: true,
            load: true,
            pressure: true,
            disk: true,
            filesystem: true,
            network: true,
            process: true,
        }
    }
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub struct FileSource {
    /// CSV or JSON lines; - is standard input.
    pub path: PathBuf,
    /// How fast its rows come: max (at once), or a multiple of the pace its times tell, like 1x or 10x.
    #[serde(default)]
    #[schemars(with = "String", default)]
    pub speed: Speed,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default)]
pub struct Store {
    /// Events older than this are removed.
    pub retention: Span,
    /// The most events kept; the oldest are removed first.
    pub retention_max: u64,
    /// How often the whole memory is written down; a restart replays the events since. After a start it is more often.
    pub snapshot_interval: Span,
    /// How long samples that were taken in may lie with the operating system before they are on the disk: what a loss of power
    /// may cost. A kill costs nothing.
    pub sync_interval: Span,
}

impl Default for Store {
    fn default() -> Store {
        Store {
            retention: Span::hours(30 * 24),
            retention_max: 1_000_000,
            snapshot_interval: Span::minutes(5),
            sync_interval: Span::from_millis(200),
        }
    }
}

#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default)]
pub struct Log {
    /// text or json.
    pub format: LogFormat,
    /// The least important level that is written: error, warn, info, debug or trace.
    pub level: LogLevel,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    #[default]
    Text,
    Json,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    Error,
    Warn,
    #[default]
    Info,
    Debug,
    Trace,
}

impl LogLevel {
    pub const fn as_str(self) -> &'static str {
        match self {
            LogLevel::Error => "error",
            LogLevel::Warn => "warn",
            LogLevel::Info => "info",
            LogLevel::Debug => "debug",
            LogLevel::Trace => "trace",
        }
    }
}

/// HOST:PORT, as text; an IPv6 address stands in brackets. Port 0 takes any free one.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Listen {
    /// A name or an address, without brackets.
    pub host: String,
    pub port: u16,
}

impl Listen {
    /// Whether only this machine can reach it. A name other than localhost may mean any address.
    pub fn is_loopback(&self) -> bool {
        match self.host.parse::<std::net::IpAddr>() {
            Ok(address) => address.to_canonical().is_loopback(),
            Err(_) => self.host.eq_ignore_ascii_case("localhost"),
        }
    }
}

impl std::str::FromStr for Listen {
    type Err = String;
    fn from_str(text: &str) -> Result<Listen, String> {
        let error = || format!("`{text}` is not HOST:PORT; give one like 127.0.0.1:9797, [::1]:9797 or localhost:9797");
        let (host, port) = text.rsplit_once(':').ok_or_else(error)?;
        let port = port.parse().map_err(|_| error())?;
        let bare = match host.strip_prefix('[') {
            Some(rest) => rest.strip_suffix(']').filter(|host| host.contains(':')).ok_or_else(error)?,
            // Without brackets `::1:9797` could end anywhere.
            None if host.contains(':') => return Err(error()),
            None => host,
        };
        let usable = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '%');
        if bare.is_empty() || !bare.chars().all(usable) {
            return Err(error());
        }
        Ok(Listen { host: bare.to_owned(), port })
    }
}

impl TryFrom<String> for Listen {
    type Error = String;
    fn try_from(text: String) -> Result<Listen, String> {
        text.parse()
    }
}

impl std::fmt::Display for Listen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

impl From<Listen> for String {
    fn from(listen: Listen) -> String {
        listen.to_string()
    }
}

/// How fast the rows of a file come.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Speed {
    /// At once.
    #[default]
    Max,
    /// So many seconds of the file in one second; over 0, at most a million.
    Times(f64),
}

impl std::str::FromStr for Speed {
    type Err = String;
    fn from_str(text: &str) -> Result<Speed, String> {
        if text == "max" {
            return Ok(Speed::Max);
        }
        match text.strip_suffix('x').unwrap_or(text).parse::<f64>() {
            Ok(times) if times > 0.0 && times <= 1e6 => Ok(Speed::Times(times)),
            _ => {
                Err(format!("`{text}` is not a speed; give max, or a multiple over 0x up to 1000000x, like 1x or 10x"))
            }
        }
    }
}

impl TryFrom<String> for Speed {
    type Error = String;
    fn try_from(text: String) -> Result<Speed, String> {
        text.parse()
    }
}

impl From<Speed> for String {
    fn from(speed: Speed) -> String {
        match speed {
            Speed::Max => "max".to_owned(),
            Speed::Times(times) => format!("{times}x"),
        }
    }
}

/// Sections that are looked at when the daemon starts, and not again.
pub const AT_START: [&str; 12] = [
    "http",
    "data",
    "files",
    "promql",
    "scrape",
    "receive",
    "pages",
    "receivers",
    "remote_write",
    "verdicts",
    "webhooks",
    "log",
];

/// What the command line sets; it overrides everything else.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Flags {
    /// `--listen HOST:PORT`
    pub listen: Option<String>,
    /// `--data DIR`
    pub data: Option<PathBuf>,
    /// `--insecure`
    pub insecure: bool,
    /// `--access FILE`
    pub access: Option<PathBuf>,
    /// `--timezone NAME`
    pub timezone: Option<String>,
}

/// A configuration that passed every check, and where its values came from.
#[derive(Clone, PartialEq, Debug)]
pub struct Loaded {
    pub config: Config,
    pub provenance: Provenance,
    /// Environment variables that look like ours and are none: worth one line in the log.
    pub ignored: Vec<String>,
    /// What is wrong with files of calendars, by place; only where a start does without them.
    pub calendar_problems: Vec<(usize, String)>,
}

/// Why there is no configuration to run with. Every one is wrong use: exit code 2.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("cannot read the configuration {}: {source}; check --config and the file's permissions", path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{}: {problem}", path.display())]
    File { path: PathBuf, problem: String },
    #[error("{place}: {problem}")]
    Syntax { place: String, problem: String },
    #[error("{place}: there is no `{key}`; did you mean `{nearest}`?")]
    UnknownKey { place: String, key: String, nearest: String },
    #[error("{key}: {problem} ({place})")]
    Value { key: String, problem: String, place: String },
    #[error("{old}={old_value} and {new}={new_value} both set {key}, to different values; keep {new} alone")]
    Conflict { key: String, old: String, old_value: String, new: String, new_value: String },
}

/// The process' environment. Text that is not Unicode is made so: it can then be refused like any other wrong value.
pub fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os().map(|(name, value)| (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned()))
}

impl Config {
    /// Reads all layers and checks the result. `strategies` are the names that `strategy` may take.
    pub fn load(
        file: Option<&Path>,
        env: impl Iterator<Item = (String, String)>,
        flags: &Flags,
        strategies: &[StrategyName],
    ) -> Result<Loaded, ConfigError> {
        let loaded = Config::load_to_start(file, env, flags, strategies)?;
        match loaded.calendar_problems.first() {
            None => Ok(loaded),
            Some((at, problem)) => {
                let key = format!("calendars[{at}].file");
                let place = loaded.provenance.place(&key);
                Err(ConfigError::Value { key, problem: problem.clone(), place })
            }
        }
    }

    /// The same for a start, which a calendar's file that cannot be read does not hinder.
    pub fn load_to_start(
        file: Option<&Path>,
        env: impl Iterator<Item = (String, String)>,
        flags: &Flags,
        strategies: &[StrategyName],
    ) -> Result<Loaded, ConfigError> {
        let env: std::collections::BTreeMap<String, String> = env.collect();
        let mut layers = layers::Layers::new();
        if let Some(data) = default_data(&env) {
            layers.default_data(data);
        }
        if let Some(path) = file {
            layers.file(path, &read(path)?)?;
        }
        let ignored = layers.environment(&env)?;
        layers.flags(flags)?;
        let (mut config, provenance) = layers.finish()?;
        config.check(strategies, &provenance)?;
        let zone = &config.engine.learning.timezone;
        let (calendars, calendar_problems) =
            calendar::read_to_start(&config.daemon.calendars, zone, crate::driver::now()).map_err(|error| {
                let place = provenance.place(&error.key);
                ConfigError::Value { key: error.key, problem: error.problem, place }
            })?;
        config.engine.calendars = calendars;
        config.engine.rules = config.daemon.rules.iter().map(|rule| Arc::new(rule.looked_up())).collect();
        Ok(Loaded { config, provenance, ignored, calendar_problems })
    }

    /// JSON Schema of the configuration file.
    pub fn schema() -> serde_json::Value {
        schema::schema().clone()
    }

    fn check(&self, strategies: &[StrategyName], provenance: &Provenance) -> Result<(), ConfigError> {
        let place = |key: &str| provenance.place(key);
        let refuse =
            |key: &str, problem: String| Err(ConfigError::Value { key: key.to_owned(), problem, place: place(key) });
        if let Err(error) = self.engine.check(strategies) {
            return refuse(&error.key, error.problem);
        }
        let Daemon { http, tracing, host, store, promql, scrape, .. } = &self.daemon;
        let Daemon { rules, webhooks, pages, receivers, verdicts, remote_write, receive, .. } = &self.daemon;
        let paged = [pages::check(pages, receivers), verdicts::check(verdicts), remote_write::check(remote_write)];
        let others = [rules::check(rules), webhooks::check(webhooks), receive::check(receive)];
        for checked in others.into_iter().chain(paged) {
            if let Err((key, problem)) = checked {
                return refuse(&key, problem);
            }
        }
        if tracing.enabled {
            return refuse(
                "tracing.enabled",
                "this version writes no traces yet; leave it false (logs and /metrics tell what the daemon does)"
                    .into(),
            );
        }
        let policy = match http.access.as_deref().map(access::read).transpose() {
            Ok(policy) => policy,
            Err(problem) => return refuse("http.access", problem),
        };
        if let Err(problem) = access::check(http, policy.as_ref()) {
            return refuse(if policy.is_some() { "http.access" } else { "http.listen" }, problem);
        }
        if let Some(url) = &http.external_url
            && external_name(url).is_none()
        {
            return refuse("http.external_url", format!("`{url}` is not like https://tune.example.org"));
        }
        let host_interval = host.interval.unwrap_or(HOST_INTERVAL_MAX);
        for (key, span, least, most) in [
            ("host.interval", host_interval, Span::from_secs(1), HOST_INTERVAL_MAX),
            ("host.warmup_interval", host.warmup_interval, Span::from_millis(100), host_interval),
            ("store.retention", store.retention, Span::hours(1), Span::hours(100 * 365 * 24)),
            ("store.snapshot_interval", store.snapshot_interval, Span::from_secs(1), Span::hours(24)),
            ("store.sync_interval", store.sync_interval, Span::from_millis(10), Span::minutes(1)),
        ] {
            if span < least || span > most {
                return refuse(key, format!("{span} is outside {least} to {most}"));
            }
        }
        if promql.len() > promql::SOURCES_MAX {
            return refuse("promql", format!("{} are over {}", promql.len(), promql::SOURCES_MAX));
        }
        if scrape.len() > scrape::SOURCES_MAX {
            return refuse("scrape", format!("{} are over {}", scrape.len(), scrape::SOURCES_MAX));
        }
        for (at, source) in promql.iter().enumerate() {
            if let Err((key, problem)) = source.check() {
                return refuse(&format!("promql[{at}].{key}"), problem);
            }
        }
        for (at, source) in scrape.iter().enumerate() {
            if let Err((key, problem)) = source.check() {
                return refuse(&format!("scrape[{at}].{key}"), problem);
            }
        }
        if !(1_000..=1_000_000_000).contains(&store.retention_max) {
            return refuse("store.retention_max", format!("{} is outside 1000 to 1000000000", store.retention_max));
        }
        Ok(())
    }
}

impl Http {
    /// The host name of `external_url`, which requests may ask for.
    pub fn external_host(&self) -> Option<&str> {
        self.external_url.as_deref().and_then(external_name)
    }
}

/// The name in `http(s)://NAME[:PORT][/…]`.
fn external_name(url: &str) -> Option<&str> {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"))?;
    let authority = rest.split(['/', '?', '#']).next().filter(|text| !text.contains('@'))?;
    let (name, port) = match authority.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?,
        None => authority.find(':').map_or((authority, ""), |at| authority.split_at(at)),
    };
    let port_ok = port.is_empty() || port.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok());
    let name_ok = !name.is_empty() && !name.contains(|c: char| c.is_whitespace() || c.is_control());
    (port_ok && name_ok).then_some(name)
}

/// Where state is kept when nothing is said, by the XDG base directory specification; none without a home.
fn default_data(env: &std::collections::BTreeMap<String, String>) -> Option<PathBuf> {
    let absolute = |name: &str| env.get(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let state = absolute("XDG_STATE_HOME").or_else(|| absolute("HOME").map(|home| home.join(".local/state")))?;
    Some(state.join("homeostat"))
}

fn read(path: &Path) -> Result<String, ConfigError> {
    use std::io::Read;
    let error = |source| ConfigError::Read { path: path.to_owned(), source };
    let problem = |problem: String| ConfigError::File { path: path.to_owned(), problem };
    let mut bytes = Vec::new();
    std::fs::File::open(path).and_then(|file| file.take(FILE_LEN_MAX + 1).read_to_end(&mut bytes)).map_err(error)?;
    if bytes.len() as u64 > FILE_LEN_MAX {
        return Err(problem(format!("over {FILE_LEN_MAX} bytes; a configuration is smaller: is it the right file?")));
    }
    String::from_utf8(bytes).map_err(|error| {
        let line = error.as_bytes()[..error.utf8_error().valid_up_to()].iter().filter(|b| **b == b'\n').count() + 1;
        problem(format!("line {line} is not UTF-8; save the file as UTF-8"))
    })
}

#[cfg(test)]
mod tests;
