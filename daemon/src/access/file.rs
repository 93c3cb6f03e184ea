//! The access file: who may do what, and with which certificate this daemon shows itself.
//!
//! `tls_server_config` and `basic_auth_users` are spelled as in Prometheus' web configuration, so that one that is there can be
//! taken; beside them stand tokens, and the roles of users and of client certificates. Paths in it start at its own folder.
//! No message repeats a value: what stands at the wrong place may be a secret.

use super::role::{Role, Roles};
use super::secret::{self, Digest};
use super::tls;
use crate::config::tree::{Entry, Node, Tree};
use homeostat::time::Timestamp;
use ring::digest::{Context, SHA256};
use serde_json::Value;
use std::collections::{BTreeMap, HashSet};
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// An access file or a certificate is smaller, in bytes.
const FILE_LEN_MAX: u64 = 1 << 20;

/// Tokens, users and clients, each.
const NAMES_MAX: usize = 1000;

/// A name of somebody, in characters: it stands in the log and the audit.
const NAME_LEN_MAX: usize = 200;

/// The bit of a file's mode that lets everybody read it.
const OTHERS_READ: u32 = 0o004;

/// A token that is shorter can be guessed; `homeostat access hash --token` makes longer ones.
const TOKEN_LEN_MIN: usize = 16;

/// Who may do what, as one version of the file says it.
#[derive(Default)]
pub struct Policy {
    /// Changes when anything does that the file or one it names holds.
    pub version: Digest,
    pub tls: Option<Tls>,
    pub tokens: Vec<Token>,
    pub users: BTreeMap<String, User>,
    pub clients: BTreeMap<String, Roles>,
    /// Names are listed, if only by an empty list: nobody gets in without one.
    pub lists_names: bool,
    /// Files with secrets in them that everybody on this machine can read.
    pub loose: Vec<PathBuf>,
}

pub struct Tls {
    pub server: Arc<rustls::ServerConfig>,
    pub clients: ClientAuth,
}

/// What is asked of clients in the handshake.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum ClientAuth {
    #[default]
    None,
    IfGiven,
    Required,
}

pub struct Token {
    pub name: Arc<str>,
    pub digest: Digest,
    pub roles: Roles,
    pub expires: Option<Timestamp>,
}

pub struct User {
    pub hash: String,
    pub roles: Roles,
}

impl Policy {
    /// Whether requests have to say who they are from.
    pub fn authenticates(&self) -> bool {
        self.lists_names || self.tls.as_ref().is_some_and(|tls| tls.clients == ClientAuth::Required)
    }

    /// What is missing for an address that others can reach; none: nothing.
    pub fn missing(&self) -> Option<&'static str> {
        match (self.tls.is_some(), self.authenticates()) {
            (true, true) => None,
            (false, true) => {
                Some("tls_server_config with cert_file and key_file: passwords and tokens would be readable")
            }
            (true, false) => {
                Some("one of tokens, basic_auth_users and clients: anyone who reaches it could change everything")
            }
            (false, false) => {
                Some("tls_server_config with cert_file and key_file, and one of tokens, basic_auth_users and clients")
            }
        }
    }
}

/// Reads the file and all that it names. The error has the place and what to do, and no value.
pub fn read(path: &Path) -> Result<Policy, String> {
    let mut files = Files {
        folder: path.parent().unwrap_or(Path::new("")).to_owned(),
        sum: Context::new(&SHA256),
        loose: Vec::new(),
    };
    let shown = path.display();
    let text = files.secret(path).and_then(text_of).map_err(|problem| format!("{shown}: {problem}"))?;
    let at = |(line, column): (u64, u64), problem: &str| format!("{shown} line {line} column {column}: {problem}");
    let node = Node::parse(&text).map_err(|error| match error.place {
        // What is quoted there may be part of a secret.
        Some(place) => at(place, &error.problem.split(" '").next().unwrap_or("not YAML").replace('`', "")),
        None => format!("{shown}: {}", error.problem),
    })?;
    let mut policy =
        Reader { files: &mut files }.policy(&node).map_err(|Wrong { place, problem }| at(place, &problem))?;
    policy.version = secret::finished(files.sum);
    policy.loose = files.loose;
    // It holds none itself, then.
    if policy.tokens.is_empty() && policy.users.is_empty() {
        policy.loose.retain(|loose| loose != path);
    }
    Ok(policy)
}

/// What the files hold, summed as they are read.
struct Files {
    folder: PathBuf,
    sum: Context,
    /// As in [`Policy`].
    loose: Vec<PathBuf>,
}

impl Files {
    fn bytes(&mut self, path: &Path) -> Result<Vec<u8>, String> {
        let mut bytes = Vec::new();
        std::fs::File::open(path)
            .and_then(|file| file.take(FILE_LEN_MAX + 1).read_to_end(&mut bytes))
            .map_err(|error| format!("cannot read {}: {error}; check the path and the permissions", path.display()))?;
        if bytes.len() as u64 > FILE_LEN_MAX {
            return Err(format!("{} is over {FILE_LEN_MAX} bytes; is it the right file?", path.display()));
        }
        self.sum.update(&(bytes.len() as u64).to_le_bytes());
        self.sum.update(&bytes);
        Ok(bytes)
    }

    /// What nobody else is to read: whether they can is noted.
    fn secret(&mut self, path: &Path) -> Result<(PathBuf, Vec<u8>), String> {
        let bytes = self.bytes(path)?;
        let mode = path.metadata().map_or(0, |about| about.permissions().mode());
        if mode & OTHERS_READ != 0 && !self.loose.iter().any(|known| known == path) {
            self.loose.push(path.to_owned());
        }
        Ok((path.to_owned(), bytes))
    }

    fn within(&self, path: &str) -> PathBuf {
        self.folder.join(path)
    }
}

fn text_of((path, bytes): (PathBuf, Vec<u8>)) -> Result<String, String> {
    String::from_utf8(bytes).map_err(|_| format!("{} is not UTF-8", path.display()))
}

struct Wrong {
    place: (u64, u64),
    problem: String,
}

type Checked<T> = Result<T, Wrong>;

fn wrong<T>(node: &Node, problem: impl Into<String>) -> Checked<T> {
    Err(Wrong { place: (node.line, node.column), problem: problem.into() })
}

const TOP: [&str; 5] = ["tls_server_config", "basic_auth_users", "users", "tokens", "clients"];
const TLS: [&str; 6] = ["cert_file", "key_file", "client_auth_type", "client_ca_file", "min_version", "max_version"];
const TOKEN: [&str; 5] = ["name", "sha256", "token_file", "roles", "expires"];

/// Keys of Prometheus' web configuration that mean nothing here, and why.
const NOT_HERE: [(&str, &str); 8] = [
    ("http_server_config", "answers have these headers already, over HTTP/1.1; take it out"),
    ("cipher_suites", "weak ones are not there at all; take it out"),
    ("curve_preferences", "weak ones are not there at all; take it out"),
    ("prefer_server_cipher_suites", "that is how it is; take it out"),
    ("client_allowed_sans", "name who may come in under `clients`, by subject"),
    ("cert", "write it to a file, and name that one as cert_file"),
    ("key", "write it to a file, and name that one as key_file"),
    ("client_ca", "write it to a file, and name that one as client_ca_file"),
];

struct Reader<'a> {
    files: &'a mut Files,
}

impl Reader<'_> {
    fn policy(&mut self, node: &Node) -> Checked<Policy> {
        let mut policy = Policy::default();
        let entries = section(node, "", &TOP)?;
        for Entry { key, node, .. } in entries {
            match key.as_str() {
                "tls_server_config" => policy.tls = Some(self.tls(node)?),
                "basic_auth_users" => policy.users = basic(node)?,
                "tokens" => policy.tokens = self.tokens(node)?,
                "clients" => policy.clients = clients(node)?,
                _ => {}
            }
        }
        let of = |key: &str| entries.iter().find(|entry| entry.key == key).map(|entry| &entry.node);
        policy.lists_names = ["tokens", "basic_auth_users", "clients"].iter().any(|key| of(key).is_some());
        if let Some(node) = of("users") {
            for Entry { key, node, .. } in map(node, "users", "NAME: [ROLE, …]")? {
                let Some(user) = policy.users.get_mut(key) else {
                    return wrong(
                        node,
                        "users: nobody under basic_auth_users has this name; add it there, or take it out",
                    );
                };
                user.roles = roles(node, "users")?;
            }
        }
        if let Some(node) = of("clients")
            && policy.tls.as_ref().is_none_or(|tls| tls.clients == ClientAuth::None)
        {
            return wrong(
                node,
                "clients: nobody is asked for a certificate; set tls_server_config.client_auth_type to \
                 VerifyClientCertIfGiven or RequireAndVerifyClientCert, with a client_ca_file",
            );
        }
        Ok(policy)
    }

    fn tls(&mut self, node: &Node) -> Checked<Tls> {
        let entries = section(node, "tls_server_config.", &TLS)?;
        let of = |key: &str| -> Checked<Option<(&Node, &str)>> {
            let Some(entry) = entries.iter().find(|entry| entry.key == key) else { return Ok(None) };
            Ok(Some((&entry.node, text(&entry.node, &format!("tls_server_config.{key}"), "text")?)))
        };
        let needed = |key: &str| -> Checked<(&Node, &str)> {
            match of(key)? {
                Some(found) => Ok(found),
                None => wrong(node, format!("tls_server_config: {key} is missing; name a PEM file")),
            }
        };
        let (cert, key) = (needed("cert_file")?, needed("key_file")?);
        let clients = match of("client_auth_type")? {
            None => ClientAuth::None,
            Some((node, word)) => match word {
                "" | "NoClientCert" => ClientAuth::None,
                "VerifyClientCertIfGiven" => ClientAuth::IfGiven,
                "RequireAndVerifyClientCert" => ClientAuth::Required,
                "RequestClientCert" | "RequireAnyClientCert" => {
                    return wrong(
                        node,
                        "tls_server_config.client_auth_type: a certificate that nobody verifies says nothing; give \
                         VerifyClientCertIfGiven or RequireAndVerifyClientCert",
                    );
                }
                _ => {
                    return wrong(
                        node,
                        "tls_server_config.client_auth_type: give NoClientCert, VerifyClientCertIfGiven or \
                         RequireAndVerifyClientCert",
                    );
                }
            },
        };
        let version = |key: &str| -> Checked<Option<tls::Version>> {
            let Some((node, word)) = of(key)? else { return Ok(None) };
            match word {
                "TLS12" => Ok(Some(tls::Version::Tls12)),
                "TLS13" => Ok(Some(tls::Version::Tls13)),
                _ => wrong(node, format!("tls_server_config.{key}: give TLS12 or TLS13; older ones are broken")),
            }
        };
        let (min, max) = (version("min_version")?, version("max_version")?);
        let mut file = |(node, path): (&Node, &str), key: &str| -> Checked<(PathBuf, Vec<u8>)> {
            let path = self.files.within(path);
            let read = match key {
                "key_file" => self.files.secret(&path),
                _ => self.files.bytes(&path).map(|bytes| (path, bytes)),
            };
            match read {
                Ok(read) => Ok(read),
                Err(problem) => wrong(node, format!("tls_server_config.{key}: {problem}")),
            }
        };
        let (cert_bytes, key_bytes) = (file(cert, "cert_file")?, file(key, "key_file")?);
        let ca = of("client_ca_file")?;
        let ca_bytes = ca.map(|ca| file(ca, "client_ca_file")).transpose()?;
        match (clients, ca) {
            (ClientAuth::None, Some((node, _))) => {
                return wrong(
                    node,
                    "tls_server_config.client_ca_file: it is for client_auth_type VerifyClientCertIfGiven or \
                     RequireAndVerifyClientCert; set one of them, or take it out",
                );
            }
            (ClientAuth::IfGiven | ClientAuth::Required, None) => {
                return wrong(
                    node,
                    "tls_server_config: client_ca_file is missing; name a PEM file of who signs clients",
                );
            }
            _ => {}
        }
        let server = tls::server(&cert_bytes, &key_bytes, ca_bytes.as_ref(), clients == ClientAuth::Required, min, max);
        match server {
            Ok(server) => Ok(Tls { server, clients }),
            Err((key, problem)) => {
                let place = of(key)?.map_or(node, |(node, _)| node);
                wrong(place, format!("tls_server_config.{key}: {problem}"))
            }
        }
    }

    fn tokens(&mut self, node: &Node) -> Checked<Vec<Token>> {
        let items = list(node, "tokens")?;
        let mut tokens: Vec<Token> = Vec::with_capacity(items.len());
        let (mut names, mut digests) = (HashSet::new(), HashSet::new());
        for (at, item) in items.iter().enumerate() {
            let place = format!("tokens[{at}]");
            let entries = section(item, &format!("{place}."), &TOKEN)?;
            let of = |key: &str| entries.iter().find(|entry| entry.key == key).map(|entry| &entry.node);
            let Some(name_node) = of("name") else { return wrong(item, format!("{place}: name is missing")) };
            let name = name(text(name_node, &format!("{place}.name"), "text")?, name_node, &place)?;
            let (digest, said) = match (of("sha256"), of("token_file")) {
                (Some(node), None) => {
                    let hex = text(node, &format!("{place}.sha256"), "64 hex digits in quotes")?;
                    let Some(digest) = secret::from_hex(hex) else {
                        return wrong(
                            node,
                            format!(
                                "{place}.sha256: the SHA-256 of the token is wanted, 64 hex digits; \
                                 `homeostat access hash` makes the line"
                            ),
                        );
                    };
                    (digest, node)
                }
                (None, Some(node)) => (self.token_file(node, &place)?, node),
                _ => return wrong(item, format!("{place}: give one of sha256 and token_file")),
            };
            let Some(roles_node) = of("roles") else {
                return wrong(item, format!("{place}: roles is missing; give some of {}", Roles::ALL));
            };
            let roles = roles(roles_node, &place)?;
            let expires = match of("expires") {
                None => None,
                Some(node) => match expiry(text(node, &format!("{place}.expires"), "a time in quotes")?) {
                    Some(at) => Some(at),
                    None => return wrong(node, format!("{place}.expires: give RFC 3339, like 2027-01-31T00:00:00Z")),
                },
            };
            if !names.insert(name.clone()) {
                return wrong(
                    name_node,
                    format!("{place}.name: another token has this name; the audit tells them by it"),
                );
            }
            if !digests.insert(digest) {
                return wrong(said, format!("{place}: another entry holds the same token; keep one of the two"));
            }
            tokens.push(Token { name: name.into(), digest, roles, expires });
        }
        Ok(tokens)
    }

    fn token_file(&mut self, node: &Node, place: &str) -> Checked<Digest> {
        let key = format!("{place}.token_file");
        let path = self.files.within(text(node, &key, "a path")?);
        let held = match self.files.secret(&path).and_then(text_of) {
            Ok(held) => held,
            Err(problem) => return wrong(node, format!("{key}: {problem}")),
        };
        let token = held.trim();
        if !secret::sendable(token) {
            return wrong(
                node,
                format!("{key}: {} should hold a token: one line of ASCII without blanks", path.display()),
            );
        }
        if token.len() < TOKEN_LEN_MIN {
            let problem = format!("{key}: the token in {} is shorter than {TOKEN_LEN_MIN}", path.display());
            return wrong(
                node,
                format!("{problem} characters, and could be guessed; make one with `homeostat access hash`"),
            );
        }
        Ok(secret::digest(token.as_bytes()))
    }
}

fn basic(node: &Node) -> Checked<BTreeMap<String, User>> {
    let mut users = BTreeMap::new();
    for Entry { key, node, .. } in map(node, "basic_auth_users", "NAME: BCRYPT")? {
        let key = name(key, node, "basic_auth_users")?;
        if key.contains(':') {
            return wrong(node, "basic_auth_users: a name for Basic has no colon");
        }
        let hash = text(node, "basic_auth_users", "a bcrypt hash in quotes")?;
        if let Err(problem) = secret::check_bcrypt(hash) {
            return wrong(
                node,
                format!("basic_auth_users: {problem}; `homeostat access hash NAME` makes the line from a password"),
            );
        }
        users.insert(key, User { hash: hash.to_owned(), roles: Roles::ALL });
    }
    Ok(users)
}

fn clients(node: &Node) -> Checked<BTreeMap<String, Roles>> {
    let mut clients = BTreeMap::new();
    for (at, item) in list(node, "clients")?.iter().enumerate() {
        let place = format!("clients[{at}]");
        let entries = section(item, &format!("{place}."), &["subject", "roles"])?;
        let of = |key: &str| entries.iter().find(|entry| entry.key == key).map(|entry| &entry.node);
        let (Some(subject), Some(given)) = (of("subject"), of("roles")) else {
            return wrong(
                item,
                format!("{place}: give subject and roles, like {{subject: CN=prometheus, roles: [write]}}"),
            );
        };
        let said = text(subject, &format!("{place}.subject"), "text")?;
        let key = tls::normal_subject(said);
        if !key.contains('=') {
            return wrong(
                subject,
                format!(
                    "{place}.subject: give the whole subject as `openssl x509 -noout -subject` tells it, like \
                     \"CN=prometheus,O=example\""
                ),
            );
        }
        let key = name(&key, subject, &place)?;
        if clients.insert(key, roles(given, &place)?).is_some() {
            return wrong(subject, format!("{place}.subject: it stands there already; keep one of the two"));
        }
    }
    Ok(clients)
}

/// When a token ends, as a person writes it.
pub fn expiry(text: &str) -> Option<Timestamp> {
    let whole = |text: &str| Timestamp::parse(text).ok();
    // A day alone: its beginning, in UTC.
    match text.len() == 10 && text.as_bytes().get(4) == Some(&b'-') {
        true => whole(&format!("{text}T00:00:00Z")),
        false => text.contains('T').then(|| whole(text)).flatten(),
    }
}

fn name(said: &str, node: &Node, place: &str) -> Checked<String> {
    let usable = !said.trim().is_empty() && said.chars().count() <= NAME_LEN_MAX && !said.chars().any(char::is_control);
    match usable {
        true => Ok(said.to_owned()),
        false => wrong(node, format!("{place}: a name is one line of at most {NAME_LEN_MAX} characters")),
    }
}

fn roles(node: &Node, place: &str) -> Checked<Roles> {
    let problem = || format!("{place}: roles are a list of some of {}", Roles::ALL);
    let Tree::List(items) = &node.tree else { return wrong(node, problem()) };
    let mut all = Roles::default();
    for item in items {
        match &item.tree {
            Tree::Scalar(Value::String(word)) if word.parse::<Role>().is_ok() => {
                all = word.parse().map_or(all, |role| all.with(role));
            }
            _ => return wrong(item, problem()),
        }
    }
    match items.is_empty() {
        true => wrong(node, problem()),
        false => Ok(all),
    }
}

fn text<'a>(node: &'a Node, place: &str, wanted: &str) -> Checked<&'a str> {
    match &node.tree {
        Tree::Scalar(Value::String(text)) => Ok(text),
        _ => wrong(node, format!("{place}: {wanted} is wanted")),
    }
}

fn list<'a>(node: &'a Node, place: &str) -> Checked<&'a [Node]> {
    match &node.tree {
        Tree::List(items) if items.len() <= NAMES_MAX => Ok(items),
        Tree::List(_) => wrong(node, format!("{place}: there are over {NAMES_MAX}")),
        Tree::Scalar(Value::Null) => Ok(&[]),
        _ => wrong(node, format!("{place}: a list is wanted, each item beginning with -")),
    }
}

fn map<'a>(node: &'a Node, place: &str, wanted: &str) -> Checked<&'a [Entry]> {
    match &node.tree {
        Tree::Map(entries) if entries.len() <= NAMES_MAX => Ok(entries),
        Tree::Map(_) => wrong(node, format!("{place}: there are over {NAMES_MAX}")),
        Tree::Scalar(Value::Null) => Ok(&[]),
        _ => wrong(node, format!("{place}: {wanted} is wanted")),
    }
}

/// The keys of a section, all of them known.
fn section<'a>(node: &'a Node, place: &str, known: &[&str]) -> Checked<&'a [Entry]> {
    let shown = if place.is_empty() { "the file" } else { place.trim_end_matches('.') };
    let entries = map(node, shown, "KEY: VALUE")?;
    for Entry { key, line, column, .. } in entries {
        if known.contains(&key.as_str()) {
            continue;
        }
        let place_of_key = (*line, *column);
        if let Some((key, why)) = NOT_HERE.iter().find(|(name, _)| name == key) {
            return Err(Wrong { place: place_of_key, problem: format!("{place}{key}: {why}") });
        }
        // A key far from all known ones may be a secret that slipped.
        let near = known.iter().max_by(|a, b| {
            strsim::jaro_winkler(a, key).partial_cmp(&strsim::jaro_winkler(b, key)).unwrap_or(std::cmp::Ordering::Equal)
        });
        let problem = match near.filter(|near| strsim::jaro_winkler(near, key) > 0.8) {
            Some(near) => format!("{place}{key}: there is no such key; did you mean `{near}`?"),
            None => format!("{shown}: there is no such key; known are {}", known.join(", ")),
        };
        return Err(Wrong { place: place_of_key, problem });
    }
    Ok(entries)
}
