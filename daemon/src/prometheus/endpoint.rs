//! Where a Prometheus answers, and how one gets in.
//!
//! Secrets stand in files, which are read for each request: so a token may be renewed while the daemon runs, and no secret
//! is ever in a configuration that is shown, in a log or on a command line that others see.

use homeostat::time::Span;
use serde::{Deserialize, Serialize};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};

/// A file with a secret or certificates that is longer is another file, in bytes.
const FILE_LEN_MAX: u64 = 1 << 20;

/// Who takes no connection by then is not there.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// More headers than this are a mistake.
const HEADERS_MAX: usize = 32;

/// An address with a Prometheus API, also that of Thanos, Mimir, VictoriaMetrics and others.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Endpoint {
    /// http(s)://HOST[:PORT][/PREFIX]; the API is looked for under its /api/v1.
    pub url: String,
    /// Whose data is asked for: sent as X-Scope-OrgID.
    #[serde(default)]
    pub tenant: Option<String>,
    #[serde(flatten)]
    pub access: Access,
}

/// How one gets in.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Access {
    /// Further headers of each request.
    #[serde(default)]
    pub headers: Vec<Header>,
    /// A file with a token, sent as Authorization: Bearer. Read for each request, so that it may be renewed.
    #[serde(default)]
    pub bearer_token_file: Option<PathBuf>,
    /// A name, sent with the password as Authorization: Basic.
    #[serde(default)]
    pub username: Option<String>,
    /// A file with the password of `username`.
    #[serde(default)]
    pub password_file: Option<PathBuf>,
    /// A file with the certificates (PEM) that are trusted in place of the public ones.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
}

/// One header: its value as it stands, or in a file.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Header {
    pub name: String,
    /// What is sent. No secret: it is shown wherever the configuration is.
    #[serde(default)]
    pub value: Option<String>,
    /// A file with what is sent, in place of `value`.
    #[serde(default)]
    pub file: Option<PathBuf>,
}

/// What is wrong with one key of an endpoint, named as in the configuration.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Wrong {
    pub key: String,
    pub problem: String,
}

impl Endpoint {
    /// Checks what can be checked without asking anybody.
    pub fn check(&self) -> Result<(), Wrong> {
        if let Some(problem) = wrong_url(&self.url) {
            return Err(Wrong { key: "url".to_owned(), problem });
        }
        if self.tenant.as_deref().is_some_and(|tenant| !sendable(tenant)) {
            return Err(Wrong { key: "tenant".to_owned(), problem: "it has to be one line of ASCII".to_owned() });
        }
        self.access.check()
    }

    /// The address of `path` under the API, like `query_range`.
    pub fn address(&self, path: &str) -> String {
        format!("{}/api/v1/{path}", self.url.trim_end_matches('/'))
    }

    /// What is sent with each request. An error names the file that cannot be read, never what is in it.
    pub fn sent(&self) -> Result<Vec<(String, String)>, String> {
        let mut sent = self.access.sent()?;
        sent.extend(self.tenant.iter().map(|tenant| ("X-Scope-OrgID".to_owned(), tenant.clone())));
        Ok(sent)
    }

    /// What tells answers of this endpoint from those of another: also a header may choose whose data is seen.
    pub fn identity(&self) -> String {
        let Endpoint { url, tenant, access } = self;
        let mut text = format!("{}\n{tenant:?}\n{:?}\n", url.trim_end_matches('/'), access.username);
        for header in &access.headers {
            text += &format!("{:?}\n", (&header.name.to_ascii_lowercase(), &header.value, &header.file));
        }
        text
    }
}

impl Access {
    /// Checks what can be checked without asking anybody.
    pub fn check(&self) -> Result<(), Wrong> {
        let wrong = |key: &str, problem: String| Err(Wrong { key: key.to_owned(), problem });
        if self.headers.len() > HEADERS_MAX {
            return wrong("headers", format!("{} are over {HEADERS_MAX}", self.headers.len()));
        }
        for (at, header) in self.headers.iter().enumerate() {
            if let Some((key, problem)) = header.wrong() {
                return wrong(&format!("headers[{at}].{key}"), problem);
            }
        }
        if self.username.is_some() != self.password_file.is_some() {
            return wrong("username", "username and password_file go together; give both or none".to_owned());
        }
        if self.username.as_deref().is_some_and(|name| name.contains(':') || name.chars().any(char::is_control)) {
            return wrong("username", "a name for Basic has neither a colon nor a line break".to_owned());
        }
        if self.username.is_some() && self.bearer_token_file.is_some() {
            return wrong("bearer_token_file", "a token or a name and a password, not both".to_owned());
        }
        Ok(())
    }

    /// What is sent with each request. An error names the file that cannot be read, never what is in it.
    pub fn sent(&self) -> Result<Vec<(String, String)>, String> {
        let mut sent = Vec::with_capacity(self.headers.len() + 2);
        for header in &self.headers {
            let value = match (&header.value, &header.file) {
                (Some(value), _) => value.clone(),
                (None, Some(file)) => secret(file)?,
                (None, None) => continue,
            };
            sent.push((header.name.clone(), value));
        }
        if let Some(file) = &self.bearer_token_file {
            sent.push(("Authorization".to_owned(), format!("Bearer {}", secret(file)?)));
        }
        if let (Some(name), Some(file)) = (&self.username, &self.password_file) {
            let both = format!("{name}:{}", secret(file)?);
            sent.push(("Authorization".to_owned(), format!("Basic {}", base64(both.as_bytes()))));
        }
        Ok(sent)
    }

    /// A client of HTTP that gets in so, and gives up after `timeout`.
    pub fn agent(&self, timeout: Span) -> Result<ureq::Agent, String> {
        let timeout = Duration::from_millis(timeout.millis());
        let mut config = ureq::Agent::config_builder()
            .timeout_global(Some(timeout))
            .timeout_connect(Some(timeout.min(CONNECT_TIMEOUT)))
            .http_status_as_error(false)
            // What is monitored is at home, and a redirect could lead a password elsewhere.
            .proxy(None)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .user_agent(concat!("homeostat/", env!("CARGO_PKG_VERSION")));
        if let Some(file) = &self.ca_file {
            let roots = certificates(file)?;
            let tls = TlsConfig::builder().root_certs(RootCerts::new_with_certs(&roots)).build();
            config = config.tls_config(tls);
        }
        Ok(config.build().into())
    }
}

impl Header {
    /// From `NAME: VALUE` or `NAME: @FILE`, as a command line has it.
    pub fn parse(text: &str) -> Result<Header, String> {
        let (name, value) = text.split_once(':').ok_or("give NAME: VALUE, or NAME: @FILE")?;
        let (name, value) = (name.trim().to_owned(), value.trim());
        let header = match value.strip_prefix('@') {
            Some(file) => Header { name, value: None, file: Some(PathBuf::from(file)) },
            None => Header { name, value: Some(value.to_owned()), file: None },
        };
        match header.wrong() {
            Some((_, problem)) => Err(problem),
            None => Ok(header),
        }
    }

    fn wrong(&self) -> Option<(&'static str, String)> {
        let name_ok = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
        if self.name.is_empty() || !self.name.chars().all(name_ok) {
            return Some(("name", format!("`{}` is no name of a header", self.name.escape_debug())));
        }
        let ours = ["host", "content-length", "content-type", "transfer-encoding", "connection", "x-scope-orgid"];
        if ours.iter().any(|taken| self.name.eq_ignore_ascii_case(taken)) {
            return Some(("name", format!("`{}` is set by homeostat itself (a tenant by `tenant`)", self.name)));
        }
        if self.name.eq_ignore_ascii_case("authorization") {
            let problem = "give a bearer_token_file, or a username and a password_file: a secret stands in a file";
            return Some(("name", problem.to_owned()));
        }
        match (&self.value, &self.file) {
            (Some(_), Some(_)) | (None, None) => Some(("value", "give either value or file".to_owned())),
            (Some(_), None) if is_secret(&self.name) => {
                let problem = format!("what {} holds is a secret; write it to a file and name that one", self.name);
                Some(("value", format!("{problem} (file: PATH, or on a command line '{}: @PATH')", self.name)))
            }
            (Some(value), None) if !sendable(value) => Some(("value", "it has to be one line of ASCII".to_owned())),
            _ => None,
        }
    }
}

/// Whether a header is known by its name to hold a secret.
fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["auth", "cookie", "token", "secret", "passw", "api-key", "apikey"].iter().any(|word| name.contains(word))
}

fn sendable(value: &str) -> bool {
    !value.is_empty() && value.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic())
}

/// Why an address is none, if it is not; `example` says how one looks.
pub fn wrong_address(url: &str, example: &str) -> Option<String> {
    // Not shown: it may hold a password.
    if url.split('/').nth(2).is_some_and(|authority| authority.contains('@')) {
        return Some("leave the name and the password out of it; give username and password_file".to_owned());
    }
    let http = url.starts_with("http://") || url.starts_with("https://");
    let valid = url.parse::<ureq::http::Uri>().is_ok_and(|uri| uri.host().is_some_and(|host| !host.is_empty()));
    if !http || !valid || url.contains(char::is_whitespace) {
        return Some(format!("`{}` is no address {example}", url.escape_debug()));
    }
    url.contains(['?', '#']).then(|| format!("an address ends with its path, {example}"))
}

/// The same of an address under which the API is looked for.
fn wrong_url(url: &str) -> Option<String> {
    let example = "like http://prometheus:9090, or https://mimir.example.org/prometheus";
    if let Some(problem) = wrong_address(url, example) {
        return Some(problem);
    }
    let path = url.trim_end_matches('/');
    ["/api/v1", "/graph", "/query"]
        .iter()
        .find(|end| path.ends_with(*end))
        .map(|end| format!("leave out {end}: the address is what stands before it, {example}"))
}

fn read(file: &Path) -> Result<String, String> {
    let failed = |why: &dyn std::fmt::Display| format!("cannot read {}: {why}", file.display());
    let mut text = String::new();
    let opened = std::fs::File::open(file).map_err(|error| failed(&error))?;
    opened.take(FILE_LEN_MAX + 1).read_to_string(&mut text).map_err(|error| failed(&error))?;
    if text.len() as u64 > FILE_LEN_MAX {
        return Err(failed(&format!("it has over {FILE_LEN_MAX} bytes; is it the right file?")));
    }
    Ok(text)
}

fn secret(file: &Path) -> Result<String, String> {
    let text = read(file)?;
    match text.trim() {
        "" => Err(format!("{} is empty; it should hold a secret", file.display())),
        secret if sendable(secret) => Ok(secret.to_owned()),
        _ => Err(format!("{} should hold a secret of one line of ASCII", file.display())),
    }
}

fn certificates(file: &Path) -> Result<Vec<Certificate<'static>>, String> {
    let text = read(file)?;
    let mut found = Vec::new();
    for item in parse_pem(text.as_bytes()) {
        match item {
            Ok(PemItem::Certificate(certificate)) => found.push(certificate),
            Ok(_) => {}
            Err(error) => return Err(format!("{} is not PEM: {error}", file.display())),
        }
    }
    match found.is_empty() {
        true => Err(format!("{} holds no certificate; PEM is wanted", file.display())),
        false => Ok(found),
    }
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let word = (0..3).fold(0_u32, |word, at| word << 8 | u32::from(chunk.get(at).copied().unwrap_or(0)));
        for at in 0..4 {
            let digit = (word >> (18 - 6 * at) & 63) as usize;
            text.push(if at <= chunk.len() { char::from(DIGITS[digit]) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(url: &str) -> Endpoint {
        Endpoint { url: url.to_owned(), ..Endpoint::default() }
    }

    #[test]
    fn an_address_is_checked_before_anybody_is_asked_and_a_password_in_it_is_not_repeated() {
        for url in ["http://prometheus:9090", "https://mimir.example.org/prometheus/", "http://[::1]:9090"] {
            assert_eq!(at(url).check(), Ok(()), "{url}");
        }
        for url in ["prometheus:9090", "ftp://a", "http://", "http://a/?x=1", "http://a/api/v1/", "http://a b", ""] {
            assert!(at(url).check().is_err(), "{url}");
        }
        let wrong = at("http://me:hunter2@a/").check().expect_err("a password");
        assert!(!wrong.problem.contains("hunter2") && wrong.problem.contains("password_file"), "{wrong:?}");
        assert_eq!(at("http://a/p/").address("query"), "http://a/p/api/v1/query");
    }

    #[test]
    fn secrets_come_from_files_and_are_read_anew() {
        let dir = tempfile::tempdir().expect("a folder");
        let file = dir.path().join("token");
        let access = Access { bearer_token_file: Some(file.clone()), ..Access::default() };
        let endpoint = Endpoint { access, ..at("http://a") };
        let missing = endpoint.sent().expect_err("no file yet");
        assert!(missing.contains("token"), "{missing}");
        for token in ["one", "two"] {
            std::fs::write(&file, format!("{token}\n")).expect("written");
            assert_eq!(endpoint.sent(), Ok(vec![("Authorization".into(), format!("Bearer {token}"))]));
        }
        std::fs::write(&file, "sécret\r\nX: y").expect("written");
        let said = endpoint.sent().expect_err("two lines");
        assert!(!said.contains("cret\r"), "{said}");
        std::fs::write(&file, "open sesame").expect("written");
        let access = Access { username: Some("Aladdin".into()), password_file: Some(file), ..Access::default() };
        let basic = Endpoint { tenant: Some("team-a".into()), access, ..at("http://a") };
        let sent = basic.sent().expect("readable");
        assert_eq!(sent[0].1, "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
        assert_eq!(sent[1], ("X-Scope-OrgID".to_owned(), "team-a".to_owned()));
    }

    #[test]
    fn a_header_that_holds_a_secret_wants_a_file() {
        for text in
            ["Authorization: Bearer x", "X-Api-Key: hunter2", "Cookie: a=b", "no colon", "a b: c", "Host: x", "X: "]
        {
            let said = Header::parse(text).expect_err(text);
            assert!(!said.contains("hunter2"), "{said}");
        }
        assert_eq!(Header::parse("X-Zone: eu").map(|header| header.value), Ok(Some("eu".to_owned())));
        assert_eq!(Header::parse("X-Api-Key: @/run/key").map(|header| header.file), Ok(Some("/run/key".into())));
    }
}
