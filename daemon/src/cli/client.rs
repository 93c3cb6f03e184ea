//! How commands talk to a running daemon.

use super::Failed;
use homeostat::series::SeriesName;
use serde::Serialize;
use serde_json::Value;
use std::time::Duration;

/// Where a daemon answers when nothing is said.
const URL_DEFAULT: &str = "http://127.0.0.1:9797";

/// A daemon that does not answer by then does not answer.
const TIMEOUT: Duration = Duration::from_secs(30);

/// An answer longer than this is not ours, in bytes.
const ANSWER_LEN_MAX: u64 = 256 << 20;

/// The most rows of a list that are read to look through it: so many pages of 1000.
const PAGES_MAX: usize = 1000;

#[derive(clap::Args, Clone, Debug)]
pub struct Daemon {
    /// Address of the daemon
    #[arg(long, env = "HOMEOSTAT_URL", value_name = "URL", default_value = URL_DEFAULT)]
    url: String,
}

impl Daemon {
    pub fn connect(&self) -> Result<Client, Failed> {
        let url = self.url.trim_end_matches('/');
        if !url.starts_with("http://") {
            return Err(Failed::Use(format!("--url: `{url}` is not an address like {URL_DEFAULT}")));
        }
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(TIMEOUT))
            .http_status_as_error(false)
            // A proxy is for the world outside; the daemon is at home.
            .proxy(None)
            .max_redirects(0)
            .user_agent("homeostat")
            .build();
        Ok(Client { url: url.to_owned(), agent: config.into() })
    }
}

pub struct Client {
    url: String,
    agent: ureq::Agent,
}

/// Why a daemon did not do what was asked.
enum Refusal {
    /// It is not there, or not ours.
    Unreachable(String),
    Status {
        status: u16,
        detail: String,
    },
}

impl Client {
    /// Reads `path` under `/api/v1/`.
    pub fn get(&self, path: &str, query: &[(&str, &str)]) -> Result<Value, Failed> {
        let mut request = self.agent.get(format!("{}/api/v1/{path}", self.url));
        for (name, value) in query {
            request = request.query(*name, *value);
        }
        self.read(request.call()).map_err(|refusal| self.failed(refusal))
    }

    /// The one thing under `data`.
    pub fn one(&self, path: &str) -> Result<Value, Failed> {
        Ok(self.get(path, &[])?.get("data").cloned().unwrap_or(Value::Null))
    }

    /// What there is of one series; one that is not known is told with its neighbours.
    pub fn of_series(&self, path: &str, series: &SeriesName) -> Result<Value, Failed> {
        let request = self.agent.get(format!("{}/api/v1/{path}", self.url)).query("series", series.as_str());
        let mut answer = self.read(request.call()).map_err(|refusal| self.failed_for(refusal, series))?;
        Ok(answer.get_mut("data").map_or(Value::Null, Value::take))
    }

    /// Where the page shows one series with its picture.
    pub fn page_of(&self, series: &SeriesName) -> String {
        format!("{}/#series={}", self.url, escaped(series.as_str()))
    }

    /// All rows of a list, page by page.
    pub fn all(&self, path: &str, query: &[(&str, &str)]) -> Result<Vec<Value>, Failed> {
        let mut rows = Vec::new();
        let mut page: Option<String> = None;
        for _ in 0..PAGES_MAX {
            let mut query = query.to_vec();
            query.push(("limit", "1000"));
            if let Some(page) = &page {
                query.push(("page", page));
            }
            let mut answer = self.get(path, &query)?;
            if let Some(Value::Array(data)) = answer.get_mut("data").map(Value::take) {
                rows.extend(data);
            }
            match answer.get("next").and_then(Value::as_str) {
                Some(next) => page = Some(next.to_owned()),
                None => break,
            }
        }
        Ok(rows)
    }

    /// Asks for a change. An unknown series is told with its neighbours.
    pub fn post(&self, path: &str, body: &impl Serialize, series: Option<&SeriesName>) -> Result<Value, Failed> {
        let answer = self.agent.post(format!("{}/api/v1/{path}", self.url)).send_json(body);
        self.read(answer).map_err(|refusal| match series {
            Some(series) => self.failed_for(refusal, series),
            None => self.failed(refusal),
        })
    }

    fn failed_for(&self, refusal: Refusal, series: &SeriesName) -> Failed {
        match refusal {
            Refusal::Status { status: 404, .. } => self.unknown(series),
            refusal => self.failed(refusal),
        }
    }

    fn read(&self, answer: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> Result<Value, Refusal> {
        let mut answer = answer.map_err(|error| Refusal::Unreachable(error.to_string()))?;
        let status = answer.status().as_u16();
        let text = answer
            .body_mut()
            .with_config()
            .limit(ANSWER_LEN_MAX)
            .read_to_string()
            .map_err(|error| Refusal::Unreachable(format!("its answer broke off: {error}")))?;
        let body: Value = serde_json::from_str(&text).unwrap_or(Value::Null);
        if (200..300).contains(&status) {
            return match text.is_empty() || !body.is_null() {
                true => Ok(body),
                false => Err(Refusal::Unreachable("its answer is not JSON; is it homeostat?".to_owned())),
            };
        }
        let detail = body.get("detail").or_else(|| body.get("title")).and_then(Value::as_str);
        let detail = detail.map_or_else(|| format!("it answered with status {status}"), str::to_owned);
        Err(Refusal::Status { status, detail })
    }

    fn failed(&self, refusal: Refusal) -> Failed {
        match refusal {
            Refusal::Unreachable(why) => Failed::World(format!(
                "no daemon answers at {} ({why}): is it running? Start it with `homeostat run`, or name its address with \
                 --url or HOMEOSTAT_URL",
                self.url
            )),
            Refusal::Status { status: 400 | 404 | 409 | 415 | 422, detail } => Failed::Use(detail),
            Refusal::Status { detail, .. } => Failed::World(format!("the daemon at {} refused: {detail}", self.url)),
        }
    }

    /// That a series is not known, and which ones are called most like it.
    fn unknown(&self, series: &SeriesName) -> Failed {
        let known = match self.all("series", &[]) {
            Ok(rows) => rows,
            Err(failed) => return failed,
        };
        let names: Vec<&str> = known.iter().filter_map(|row| row.get("series")?.as_str()).collect();
        let near = nearest(series.as_str(), &names);
        Failed::Use(match near.as_slice() {
            [] => format!("no series `{series}` is known: the daemon knows none yet"),
            near => format!("no series `{series}` is known; did you mean {}?", near.join(", or ")),
        })
    }
}

/// The three names most like `name`: those that contain it first, then by edits.
/// As it stands in an address: all but letters, digits and what is never special as percent and two hex digits a byte.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => escaped.push(char::from(byte)),
            byte => escaped.extend(['%', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]),
        }
    }
    escaped
}

const HEX: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F'];

fn nearest<'a>(name: &str, known: &[&'a str]) -> Vec<&'a str> {
    let mut ranked: Vec<(bool, usize, &str)> =
        known.iter().map(|known| (!known.contains(name), strsim::damerau_levenshtein(known, name), *known)).collect();
    ranked.sort_unstable();
    ranked.into_iter().take(3).map(|(_, _, name)| name).collect()
}

/// A field as text; a dash where it is not there.
pub fn text(row: &Value, field: &str) -> String {
    match row.get(field) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => number.as_f64().map_or_else(|| number.to_string(), super::output::number),
        None | Some(Value::Null) => "-".to_owned(),
        Some(other) => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_in_an_address_has_nothing_special_left() {
        assert_eq!(escaped(r#"up{job="a b",zone="é"}"#), "up%7Bjob%3D%22a%20b%22%2Czone%3D%22%C3%A9%22%7D");
    }

    #[test]
    fn a_slip_of_the_hand_finds_its_series() {
        let known = ["host_memory_used_ratio", "host_load1", "host_load5", "up"];
        assert_eq!(nearest("host_laod1", &known)[0], "host_load1");
        assert_eq!(nearest("memory", &known)[0], "host_memory_used_ratio");
        assert!(nearest("x", &[]).is_empty());
    }
}
