//! How commands talk to a running daemon.

use super::Failed;
use crate::access::secret::sendable;
use homeostat::series::SeriesName;
use serde::Serialize;
use serde_json::Value;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;
use ureq::tls::{Certificate, ClientCert, PemItem, PrivateKey, RootCerts, TlsConfig, parse_pem};

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
    /// File with the bearer token to send; HOMEOSTAT_TOKEN holds the token itself
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// PEM file of who signed the daemon's certificate, when no public authority did
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// PEM file of our own certificate, for a daemon that asks for one
    #[arg(long, value_name = "FILE", requires = "key")]
    cert: Option<PathBuf>,
    /// PEM file of its private key
    #[arg(long, value_name = "FILE", requires = "cert")]
    key: Option<PathBuf>,
}

/// Holds a token; not an argument, since those can be seen by everybody on a machine.
const TOKEN_VARIABLE: &str = "HOMEOSTAT_TOKEN";

/// A file of certificates or a token is smaller, in bytes.
const FILE_LEN_MAX: u64 = 1 << 20;

impl Daemon {
    pub fn connect(&self) -> Result<Client, Failed> {
        let url = self.url.trim_end_matches('/');
        let encrypted = url.starts_with("https://");
        if !encrypted && !url.starts_with("http://") {
            return Err(Failed::Use(format!("--url: this is not an address like {URL_DEFAULT}")));
        }
        // Not shown: it may hold a password.
        if url.split('/').nth(2).is_some_and(|authority| authority.contains('@')) {
            return Err(Failed::Use(format!(
                "--url: leave the name and the password out of it; give a token by --token-file or {TOKEN_VARIABLE}"
            )));
        }
        if !encrypted && (self.ca.is_some() || self.cert.is_some()) {
            return Err(Failed::Use("--ca, --cert and --key are for an address that begins with https://".to_owned()));
        }
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(TIMEOUT))
            .http_status_as_error(false)
            // A proxy is for the world outside; the daemon is at home.
            .proxy(None)
            .max_redirects(0)
            .user_agent("homeostat")
            .tls_config(self.tls()?)
            .build();
        Ok(Client { url: url.to_owned(), agent: config.into(), token: self.token()? })
    }
}

impl Daemon {
    fn token(&self) -> Result<Option<String>, Failed> {
        let (token, place) = match (&self.token_file, std::env::var_os(TOKEN_VARIABLE)) {
            (Some(file), _) => {
                let bytes = read(file, "--token-file")?;
                (String::from_utf8(bytes).ok(), format!("--token-file {}", file.display()))
            }
            (None, Some(token)) if !token.is_empty() => (token.into_string().ok(), TOKEN_VARIABLE.to_owned()),
            (None, _) => return Ok(None),
        };
        let token = token.map(|token| token.trim().to_owned()).filter(|token| sendable(token));
        match token {
            Some(token) => Ok(Some(token)),
            None => Err(Failed::Use(format!("{place}: a token is one line of ASCII without blanks"))),
        }
    }

    fn tls(&self) -> Result<TlsConfig, Failed> {
        let mut tls = TlsConfig::builder();
        if let Some(file) = &self.ca {
            tls = tls.root_certs(RootCerts::new_with_certs(&certificates(file, "--ca")?));
        }
        if let (Some(cert), Some(key)) = (&self.cert, &self.key) {
            let chain = certificates(cert, "--cert")?;
            // What a reader of PEM says may quote what it read.
            let key = PrivateKey::from_pem(&read(key, "--key")?)
                .map_err(|_| Failed::Use(format!("--key: {} holds no private key in PEM", key.display())))?;
            tls = tls.client_cert(Some(ClientCert::new_with_certs(&chain, key)));
        }
        Ok(tls.build())
    }
}

fn read(file: &Path, flag: &str) -> Result<Vec<u8>, Failed> {
    let mut bytes = Vec::new();
    let opened = std::fs::File::open(file);
    let read = opened.and_then(|file| file.take(FILE_LEN_MAX + 1).read_to_end(&mut bytes));
    read.map_err(|error| Failed::Use(format!("{flag}: cannot read {}: {error}", file.display())))?;
    match bytes.len() as u64 > FILE_LEN_MAX {
        true => Err(Failed::Use(format!("{flag}: {} is over {FILE_LEN_MAX} bytes", file.display()))),
        false => Ok(bytes),
    }
}

fn certificates(file: &Path, flag: &str) -> Result<Vec<Certificate<'static>>, Failed> {
    let bytes = read(file, flag)?;
    let found: Vec<_> = parse_pem(&bytes)
        .filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        })
        .collect();
    match found.is_empty() {
        true => Err(Failed::Use(format!("{flag}: {} holds no certificate; PEM is wanted", file.display()))),
        false => Ok(found),
    }
}

pub struct Client {
    url: String,
    agent: ureq::Agent,
    /// Sent with each request.
    token: Option<String>,
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
        let mut request = self.with_token(self.agent.get(format!("{}/api/v1/{path}", self.url)));
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
        let request = self.with_token(request);
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
        let answer = self.with_token(self.agent.post(format!("{}/api/v1/{path}", self.url))).send_json(body);
        self.read(answer).map_err(|refusal| match series {
            Some(series) => self.failed_for(refusal, series),
            None => self.failed(refusal),
        })
    }

    fn with_token<B>(&self, request: ureq::RequestBuilder<B>) -> ureq::RequestBuilder<B> {
        match &self.token {
            Some(token) => request.header("Authorization", format!("Bearer {token}")),
            None => request,
        }
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
            Refusal::Unreachable(why) if why.contains("CaUsedAsEndEntity") => Failed::World(format!(
                "{} shows a certificate that is made for an authority, not for a server: make it with basicConstraints CA:FALSE \
                 (docs/access.md has the line)",
                self.url
            )),
            Refusal::Unreachable(why) => Failed::World(format!(
                "no daemon answers at {} ({why}): is it running? Start it with `homeostat run`, or name its address with \
                 --url or HOMEOSTAT_URL{}",
                self.url,
                self.hint()
            )),
            Refusal::Status { status: 401, detail } => Failed::Use(match &self.token {
                None => format!(
                    "the daemon at {} asks who you are: give a token with --token-file or {TOKEN_VARIABLE}, or a \
                     certificate with --cert and --key",
                    self.url
                ),
                Some(_) => format!(
                    "the daemon at {} does not take the token of --token-file or {TOKEN_VARIABLE}: {detail}",
                    self.url
                ),
            }),
            Refusal::Status { status: 403, detail } => Failed::Use(format!(
                "the daemon at {} refused: {detail}; or give another token with --token-file or {TOKEN_VARIABLE}",
                self.url
            )),
            Refusal::Status { status: 400 | 404 | 409 | 415 | 422, detail } => Failed::Use(detail),
            Refusal::Status { detail, .. } => Failed::World(format!("the daemon at {} refused: {detail}", self.url)),
        }
    }

    /// What else it may be, where there is TLS.
    fn hint(&self) -> &'static str {
        match self.url.starts_with("https://") {
            true => {
                ". Where its certificate is not known, name who signed it with --ca; where it asks for one of yours, give \
                 --cert and --key"
            }
            false => "; where it answers over TLS its address begins with https://",
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
