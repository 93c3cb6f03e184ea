//! A client of any Prometheus HTTP API, also that of Thanos, Mimir or VictoriaMetrics, that is kind to it.
//!
//! Whoever asks a Prometheus for a month of history can bring it down. So there is a budget: so many queries at once, so many
//! samples each, so much time of them in a minute (`budget`). Long ranges are asked in pieces (`range`, `pieces`), what
//! failed for a while is asked again later (`ask`), what was paid for is kept (`cache`), and what it all cost is counted
//! (`cost`). Blocking, safe to share between threads: all who hold a client share its budget.

#![allow(dead_code, reason = "whole ranges, rules and metadata are asked by `homeostat tune`")]

pub mod answer;
pub mod args;
mod ask;
pub mod budget;
mod cache;
pub mod clock;
pub mod cost;
pub mod endpoint;
pub mod naming;
mod pieces;
pub mod progress;
pub mod range;
pub mod text;

#[cfg(test)]
pub mod fake;
#[cfg(test)]
mod tests;

use answer::InstantAnswer;
use ask::{Question, Unanswered, shown};
use budget::{Gate, QueryBudget};
use cache::Cache;
use clock::{Clock, Monotonic};
use cost::{Cost, Costs};
use endpoint::Endpoint;
use homeostat::time::{Span, Timestamp};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// So much longer than it may take the server a query may take on its way.
const GRACE: Span = Span::from_secs(5);

/// Why a question has no answer. Each says what to do.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum QueryError {
    #[error("{0}")]
    Secret(String),
    #[error("{0}")]
    Use(String),
    #[error("{url} refuses `{query}`: {reason}; correct the expression")]
    Refused { url: String, query: String, reason: String },
    #[error(
        "`{query}` gives too much ({reason}); ask for less: pick series by labels, aggregate them, or take a longer step or a \
         shorter time"
    )]
    TooMuch { query: String, reason: String },
    #[error("{url} cannot be asked: {why}; check its address and certificate (ca_file)")]
    Unreachable { url: String, why: String },
    #[error("{url} gave no answer to `{query}` in {tries} tries (the last: {why}); is it running? Try again later")]
    NoAnswer { url: String, query: String, tries: u32, why: String },
    #[error(
        "{url} lets nobody in without leave ({why}); give a bearer_token_file, a username with a password_file, or a tenant"
    )]
    Denied { url: String, why: String },
    #[error("there is no Prometheus API at {url} ({why}); give the address before /api/v1, with its path, if any")]
    NotThere { url: String, why: String },
    #[error("what {url} answers to `{query}` cannot be used: {why}; is it a Prometheus?")]
    NotUnderstood { url: String, query: String, why: String },
}

/// A client, to be shared.
pub struct Client {
    endpoint: Endpoint,
    agent: ureq::Agent,
    budget: QueryBudget,
    gate: Gate,
    clock: Arc<dyn Clock>,
    cost: Arc<Cost>,
    cache: Option<Cache>,
    /// Where the chance in waiting comes from.
    seed: u64,
}

impl Client {
    /// Both must have passed their checks. Reads the file of certificates; asks nobody yet.
    pub fn new(endpoint: Endpoint, budget: QueryBudget, seed: u64) -> Result<Client, QueryError> {
        Client::with_clock(endpoint, budget, seed, Arc::new(Monotonic::default()))
    }

    /// The same by a clock of the caller's.
    pub fn with_clock(
        endpoint: Endpoint,
        budget: QueryBudget,
        seed: u64,
        clock: Arc<dyn Clock>,
    ) -> Result<Client, QueryError> {
        let agent = endpoint.access.agent(budget.timeout + GRACE).map_err(QueryError::Secret)?;
        let gate = Gate::new(&budget, clock.elapsed());
        Ok(Client { endpoint, agent, budget, gate, clock, cost: Arc::default(), cache: None, seed })
    }

    /// With answers kept in a folder. Where there can be none, everything is asked.
    pub fn keeping(self, folder: &Path) -> Client {
        Client { cache: Cache::open(folder), ..self }
    }

    /// With answers kept where commands of this user keep them.
    pub fn keeping_for_user(self) -> Client {
        Client { cache: Cache::of_user(), ..self }
    }

    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    pub fn url(&self) -> &str {
        &self.endpoint.url
    }

    /// How much time has passed since some moment, by the client's clock.
    pub fn elapsed(&self) -> Span {
        Span::from_millis(u64::try_from(self.clock.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    pub fn costs(&self) -> Costs {
        self.cost.now()
    }

    /// The counts themselves, for who shows them while the client is at work.
    pub fn cost(&self) -> Arc<Cost> {
        Arc::clone(&self.cost)
    }

    /// The value of an expression at one time.
    pub fn query(&self, expr: &str, at: Timestamp) -> Result<InstantAnswer, QueryError> {
        let question = Question {
            path: "query",
            parameters: vec![
                ("query", expr.to_owned()),
                ("time", range::seconds(at.millis())),
                ("timeout", format!("{}ms", self.budget.timeout.millis())),
            ],
            expr,
            divisible: false,
        };
        let answer = self.ask(&question, |from| answer::instant(from, self.budget.samples_max));
        let answer = answer.map_err(|unanswered| undivided(unanswered, expr))?;
        let samples = match &answer.value {
            answer::Instant::Vector(series) => series.len() as u64,
            answer::Instant::Scalar(_) | answer::Instant::String(_) => 1,
        };
        self.cost.samples(samples);
        Ok(answer)
    }

    /// The rules that the server evaluates, with how each is doing.
    pub fn rules(&self) -> Result<LiveRules, QueryError> {
        self.plain("rules")
    }

    /// Metrics by name, with type, help and unit as their targets say; several where they do not agree.
    pub fn metadata(&self) -> Result<BTreeMap<String, Vec<Metadata>>, QueryError> {
        self.plain("metadata")
    }

    /// Which server it is.
    pub fn build_info(&self) -> Result<BuildInfo, QueryError> {
        self.plain("status/buildinfo")
    }

    fn plain<T: DeserializeOwned>(&self, path: &str) -> Result<T, QueryError> {
        let question = Question { path, parameters: Vec::new(), expr: path, divisible: false };
        self.ask(&question, |from| answer::plain(from)).map_err(|unanswered| undivided(unanswered, path))
    }
}

fn undivided(unanswered: Unanswered, expr: &str) -> QueryError {
    match unanswered {
        Unanswered::TooMuch(reason) => QueryError::TooMuch { query: shown(expr), reason },
        Unanswered::Failed(error) => error,
    }
}

/// What `/api/v1/rules` gives.
#[derive(Clone, PartialEq, Debug, Default, Deserialize)]
pub struct LiveRules {
    #[serde(default)]
    pub groups: Vec<LiveGroup>,
}

#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LiveGroup {
    pub name: String,
    /// The file it stands in, on the server; of Mimir the namespace.
    #[serde(default)]
    pub file: String,
    /// Seconds between evaluations.
    #[serde(default)]
    pub interval: f64,
    /// Alerts of one of its rules, above which its evaluation fails; 0: any number.
    #[serde(default)]
    pub limit: i64,
    #[serde(default)]
    pub rules: Vec<LiveRule>,
}

#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LiveRule {
    /// alerting or recording.
    #[serde(rename = "type", default)]
    pub kind: String,
    /// Of a rule that has none or no query, that is said, rule by rule.
    #[serde(default)]
    pub name: String,
    #[serde(default)]
    pub query: String,
    /// `for`, in seconds.
    #[serde(default)]
    pub duration: f64,
    /// `keep_firing_for`, in seconds.
    #[serde(default)]
    pub keep_firing_for: f64,
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    #[serde(default)]
    pub annotations: BTreeMap<String, String>,
    /// ok, err or unknown.
    #[serde(default)]
    pub health: String,
    #[serde(default)]
    pub last_error: String,
}

#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
pub struct Metadata {
    /// counter, gauge, histogram, gaugehistogram, summary, info, stateset or unknown.
    #[serde(rename = "type", default)]
    pub kind: String,
    #[serde(default)]
    pub help: String,
    #[serde(default)]
    pub unit: String,
}

/// Members that not all servers give.
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct BuildInfo {
    /// Of Mimir and others their own name.
    pub application: String,
    pub version: String,
    pub revision: String,
}
