//! How commands ask a running daemon.

use super::Failed;
use homeostat::series::SeriesName;
use serde_json::Value;
use std::time::Duration;

const DEFAULT_URL: &str = "http://127.0.0.1:9797";

/// A daemon that answers at all answers soon.
const TIMEOUT: Duration = Duration::from_secs(30);

#[derive(clap::Args, Clone, Debug, Default)]
pub struct Daemon {
    /// Address of the daemon [default: HOMEOSTAT_URL, else http://127.0.0.1:9797]
    #[arg(long, value_name = "URL")]
    url: Option<String>,
}

impl Daemon {
    /// This one where it was given, else the other.
    pub fn or<'a>(&'a self, other: &'a Daemon) -> &'a Daemon {
        if self.url.is_some() { self } else { other }
    }

    fn url(&self, path: &str) -> String {
        let from_env = || std::env::var("HOMEOSTAT_URL").ok().filter(|url| !url.is_empty());
        let base = self.url.clone().or_else(from_env).unwrap_or_else(|| DEFAULT_URL.to_owned());
        format!("{}{path}", base.trim_end_matches('/'))
    }

    pub fn get(&self, path: &str, query: &[(&str, &str)]) -> Result<Value, Failed> {
        let url = self.url(path);
        let mut request = agent().get(&url);
        for (key, value) in query {
            request = request.query(*key, *value);
        }
        answer(&url, request.call())
    }

    pub fn post(&self, path: &str, body: &Value) -> Result<Value, Failed> {
        let url = self.url(path);
        answer(&url, agent().post(&url).send_json(body))
    }

    /// Adds to a failure about a series which names come nearest.
    pub fn with_nearest(&self, name: &str, failed: Failed) -> Failed {
        let Failed::Use(told) = failed else { return failed };
        let Ok(listed) = self.get("/api/v1/series", &[("limit", "1000")]) else { return Failed::Use(told) };
        let names = listed["data"].as_array().into_iter().flatten().filter_map(|row| row["series"].as_str());
        let mut near: Vec<(usize, &str)> = names.map(|known| (strsim::damerau_levenshtein(known, name), known)).collect();
        near.sort();
        let near: Vec<&str> = near.into_iter().take(3).map(|(_, known)| known).collect();
        match near.is_empty() {
            true => Failed::Use(told),
            false => Failed::Use(format!("{told}; nearest are {}", near.join(", "))),
        }
    }
}

/// A series' canonical name, from the way it was typed.
pub fn series(text: &str) -> Result<String, Failed> {
    SeriesName::parse(text).map(|name| name.to_string()).map_err(|error| Failed::Use(error.to_string()))
}

fn agent() -> ureq::Agent {
    ureq::Agent::config_builder().timeout_global(Some(TIMEOUT)).http_status_as_error(false).build().into()
}

fn answer(url: &str, response: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> Result<Value, Failed> {
    let mut response = response.map_err(|error| {
        Failed::World(format!("no answer from {url} ({error}); is it running? Start it with `homeostat run`, or say where it is with --url"))
    })?;
    let status = response.status();
    let text = response.body_mut().read_to_string().map_err(|error| Failed::World(format!("{url}: {error}")))?;
    let body: Value = serde_json::from_str(&text).unwrap_or(Value::Null);
    if status.is_success() {
        return Ok(body);
    }
    let told = body["detail"].as_str().map_or_else(|| format!("{url} answered {status}"), str::to_owned);
    Err(if status.is_client_error() { Failed::Use(told) } else { Failed::World(told) })
}
