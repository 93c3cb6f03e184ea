//! The flags by which a command is told of a Prometheus; a command flattens them into its own.

use super::budget::QueryBudget;
use super::endpoint::{Access, Endpoint, Header};
use super::{Client, QueryError};
use homeostat::time::Span;
use std::path::PathBuf;

#[derive(clap::Args, Clone, Debug)]
#[command(next_help_heading = "Prometheus")]
pub struct PrometheusArgs {
    /// Address of a Prometheus, or of Thanos, Mimir, VictoriaMetrics, …: what stands before /api/v1
    #[arg(long = "prometheus", value_name = "URL")]
    pub url: Option<String>,
    /// Whose data is asked for: sent as X-Scope-OrgID
    #[arg(long, value_name = "TENANT", requires = "url")]
    pub tenant: Option<String>,
    /// A header of each request; with @, its value stands in that file. May be given again
    #[arg(long = "header", value_name = "NAME: VALUE|NAME: @FILE", value_parser = Header::parse, requires = "url")]
    pub headers: Vec<Header>,
    /// A file with a token, sent as Authorization: Bearer
    #[arg(long, value_name = "FILE", requires = "url")]
    pub bearer_token_file: Option<PathBuf>,
    /// A name, sent with the password as Authorization: Basic
    #[arg(long, value_name = "NAME", requires_all = ["url", "password_file"])]
    pub username: Option<String>,
    /// A file with the password of --username
    #[arg(long, value_name = "FILE", requires = "username")]
    pub password_file: Option<PathBuf>,
    /// A file with the certificates (PEM) that are trusted in place of the public ones
    #[arg(long, value_name = "FILE", requires = "url")]
    pub ca_file: Option<PathBuf>,
    /// How many queries run at once
    #[arg(long, value_name = "COUNT", default_value_t = QueryBudget::default().at_once, requires = "url")]
    pub queries_at_once: u32,
    /// The most samples that one query may give; more is asked in pieces
    #[arg(long, value_name = "COUNT", default_value_t = QueryBudget::default().samples_max, requires = "url")]
    pub samples_per_query: u64,
    /// Seconds of query time in each minute, all queries together; without it, as much as it takes
    #[arg(long, value_name = "SECONDS", requires = "url")]
    pub query_seconds_per_minute: Option<f64>,
    /// A query that takes longer is given up, and asked again in smaller pieces
    #[arg(long, value_name = "DURATION", default_value_t = QueryBudget::default().timeout, requires = "url")]
    pub query_timeout: Span,
    /// Ask everything anew, and keep no answers on disk
    #[arg(long, requires = "url")]
    pub no_query_cache: bool,
}

impl PrometheusArgs {
    /// The client they ask for; none where no address is given. Whoever calls a command waits for it, so that by default nothing
    /// limits the time of queries. The error is wrong use, unless it is of a file that cannot be read.
    pub fn client(&self, seed: u64) -> Result<Option<Client>, QueryError> {
        let Some(url) = &self.url else { return Ok(None) };
        let access = Access {
            headers: self.headers.clone(),
            bearer_token_file: self.bearer_token_file.clone(),
            username: self.username.clone(),
            password_file: self.password_file.clone(),
            ca_file: self.ca_file.clone(),
        };
        let endpoint = Endpoint { url: url.clone(), tenant: self.tenant.clone(), access };
        let flag = |key: &str| match key {
            "url" => "--prometheus".to_owned(),
            "at_once" => "--queries-at-once".to_owned(),
            "samples_max" => "--samples-per-query".to_owned(),
            "seconds_per_minute" => "--query-seconds-per-minute".to_owned(),
            "timeout" => "--query-timeout".to_owned(),
            key if key.starts_with("headers") => "--header".to_owned(),
            key => format!("--{}", key.replace('_', "-")),
        };
        endpoint.check().map_err(|wrong| QueryError::Use(format!("{}: {}", flag(&wrong.key), wrong.problem)))?;
        let budget = QueryBudget {
            at_once: self.queries_at_once,
            samples_max: self.samples_per_query,
            seconds_per_minute: self.query_seconds_per_minute,
            timeout: self.query_timeout,
        };
        budget.check().map_err(|(key, problem)| QueryError::Use(format!("{}: {problem}", flag(key))))?;
        let client = Client::new(endpoint, budget, seed)?;
        Ok(Some(if self.no_query_cache { client } else { client.keeping_for_user() }))
    }
}
