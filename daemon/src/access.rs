//! Who may reach the daemon, and do what: one file says so, and it is in force as it reads now.
//!
//! Without a file nothing is asked, on an address that only this machine reaches. With one, each request says who it is from (a
//! bearer token, a name and a password, a client certificate), and has roles by that; each route needs one. A file that is
//! spoiled later leaves the one before in force, and says so.

pub mod audit;
pub mod connections;
pub mod file;
mod rarely;
mod role;
pub mod secret;
pub mod slow;
mod tls;

pub use file::{ClientAuth, Policy, expiry, read};
pub use rarely::Rarely;
pub use role::{Role, Roles};
pub use tls::subject;

use crate::config::Http;
use homeostat::time::Timestamp;
use secret::{Digest, Remembered};
use slow::Slow;
use std::collections::HashMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, Weak};
use std::time::{Duration, Instant};
use tokio::sync::{Semaphore, watch};

/// How often the file, and those it names, are looked at.
const LOOK: Duration = Duration::from_secs(2);

/// Passwords that are checked at once: each keeps a processor busy for tenths of a second.
const CHECKS_MAX: usize = 1;

/// Refused tries of somebody that are kept a minute, and failed handshakes of an address that are told.
const TRIES: u32 = 10;
const HANDSHAKES: u32 = 3;

/// A header that says who one is and is longer than this is not looked at.
const CREDENTIALS_LEN_MAX: usize = 4096;

/// Who is asking, and what they may do.
#[derive(Clone, Debug)]
pub struct Who {
    /// As the audit and the log tell it: `token ci`, `user alice`, `client CN=prometheus`, `anyone`.
    pub name: Arc<str>,
    pub roles: Roles,
    /// When that ends; what goes on longer than a request has to end by then.
    pub until: Option<Timestamp>,
}

impl Who {
    fn new(name: String, roles: Roles) -> Who {
        Who { name: name.into(), roles, until: None }
    }

    /// Where nobody is asked.
    pub fn anyone() -> Who {
        Who::new("anyone".to_owned(), Roles::ALL)
    }
}

/// The other end of a connection.
#[derive(Clone, Debug)]
pub struct Peer {
    pub address: IpAddr,
    pub tls: bool,
    /// The subject of the certificate that was verified.
    pub client: Option<Arc<str>>,
}

/// Why a request is not let in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Denied {
    NoCredentials,
    /// Neither `Bearer TOKEN` nor `Basic …` that can be read.
    Unreadable,
    WrongToken,
    WrongPassword,
    /// The token's name and when it ended.
    Expired(Arc<str>, Timestamp),
    /// A certificate whose subject is not in the file.
    UnknownClient(Arc<str>),
}

impl Denied {
    /// As the metric calls it.
    pub const fn reason(&self) -> Refusal {
        match self {
            Denied::NoCredentials => Refusal::NoCredentials,
            Denied::Unreadable => Refusal::Unreadable,
            Denied::WrongToken => Refusal::WrongToken,
            Denied::WrongPassword => Refusal::WrongPassword,
            Denied::Expired(..) => Refusal::Expired,
            Denied::UnknownClient(_) => Refusal::UnknownClient,
        }
    }

    /// Whether somebody may be guessing.
    const fn is_guess(&self) -> bool {
        matches!(self, Denied::WrongToken | Denied::WrongPassword | Denied::Unreadable)
    }
}

impl std::fmt::Display for Denied {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Denied::NoCredentials => f.write_str("say who you are: send a bearer token, or a name and a password"),
            Denied::Unreadable => f.write_str(
                "the Authorization header cannot be read; send `Bearer TOKEN`, or Basic with name and password",
            ),
            Denied::WrongToken => f.write_str("this token is not known; it may have been replaced"),
            Denied::WrongPassword => f.write_str("the name or the password is wrong"),
            Denied::Expired(name, at) => {
                write!(f, "the token `{name}` expired at {at}; ask for a new one, or have its `expires` moved")
            }
            Denied::UnknownClient(subject) => {
                write!(f, "the certificate of `{subject}` is valid, but nobody under `clients` has this subject")
            }
        }
    }
}

/// Why requests and connections are refused, as they are counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    NoCredentials,
    Unreadable,
    WrongToken,
    WrongPassword,
    Expired,
    UnknownClient,
    /// Known, without the role that is needed.
    Role,
    /// Another name, or a page of another origin.
    Stranger,
    TooLarge,
    TooSlow,
}

impl Refusal {
    pub const ALL: [Refusal; 10] = [
        Refusal::NoCredentials,
        Refusal::Unreadable,
        Refusal::WrongToken,
        Refusal::WrongPassword,
        Refusal::Expired,
        Refusal::UnknownClient,
        Refusal::Role,
        Refusal::Stranger,
        Refusal::TooLarge,
        Refusal::TooSlow,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Refusal::NoCredentials => "no_credentials",
            Refusal::Unreadable => "unreadable",
            Refusal::WrongToken => "wrong_token",
            Refusal::WrongPassword => "wrong_password",
            Refusal::Expired => "expired",
            Refusal::UnknownClient => "unknown_client",
            Refusal::Role => "role",
            Refusal::Stranger => "stranger",
            Refusal::TooLarge => "too_large",
            Refusal::TooSlow => "too_slow",
        }
    }
}

/// What is counted at the door.
#[derive(Debug, Default)]
pub struct Tally {
    refused: [AtomicU64; Refusal::ALL.len()],
    pub handshakes_failed: AtomicU64,
    pub connections: AtomicU64,
    /// Connections that were closed to make room, and those that found none.
    pub displaced: AtomicU64,
    pub turned_away: AtomicU64,
    pub read_errors: AtomicU64,
    pub spoiled: AtomicBool,
    pub audited: AtomicU64,
    pub not_audited: AtomicU64,
}

impl Tally {
    pub fn refused(&self, why: Refusal) {
        self.refused[why as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub fn of(&self, why: Refusal) -> u64 {
        self.refused[why as usize].load(Ordering::Relaxed)
    }
}

/// The door: what the file says now, and what is remembered of those who ask.
pub struct Gate {
    path: Option<PathBuf>,
    /// Whether what the file says has to do for an address that others can reach.
    exposed: bool,
    policy: RwLock<Arc<Policy>>,
    problem: Mutex<Option<String>>,
    /// What was read at the look before, when it was not what is in force: a file that is being written is not yet one.
    seen: Mutex<Option<Result<Digest, String>>>,
    remembered: Remembered,
    checks: Arc<Semaphore>,
    slow: Mutex<Slow>,
    /// Who has a password checked: of one address one at a time, so that it does not hold up others.
    checking: Mutex<HashMap<IpAddr, Weak<Semaphore>>>,
    /// Grows when another version of the file comes into force.
    changed: watch::Sender<u64>,
    /// Refused tries by who made them, and handshakes that failed by where they came from: each can be had without end.
    pub tries: Mutex<Rarely<Arc<str>>>,
    pub handshakes: Mutex<Rarely<IpAddr>>,
    pub tally: Arc<Tally>,
}

/// Whether this version of the file may be in force where the daemon answers.
pub fn check(http: &Http, policy: Option<&Policy>) -> Result<(), String> {
    if http.listen.is_loopback() || http.insecure {
        return Ok(());
    }
    let meant = "or say that this is meant with --insecure (http.insecure: true)";
    match policy {
        None => Err(format!(
            "others could reach {} and change everything without a password; listen on 127.0.0.1, or name a file with \
             tls_server_config and tokens, basic_auth_users or clients with --access (http.access), {meant}",
            http.listen
        )),
        Some(policy) => match policy.missing() {
            None => Ok(()),
            Some(missing) => {
                Err(format!("others can reach {}, and the file lacks {missing}; add it, {meant}", http.listen))
            }
        },
    }
}

impl Gate {
    /// By the configuration that was just checked.
    pub fn open(http: &Http) -> Result<Gate, String> {
        let policy = match &http.access {
            None => Policy::default(),
            Some(path) => read(path)?,
        };
        check(http, http.access.is_some().then_some(&policy))?;
        warn_of(&policy);
        Ok(Gate {
            path: http.access.clone(),
            exposed: !http.listen.is_loopback() && !http.insecure,
            policy: RwLock::new(Arc::new(policy)),
            problem: Mutex::default(),
            seen: Mutex::default(),
            remembered: Remembered::new()?,
            checks: Arc::new(Semaphore::new(CHECKS_MAX)),
            slow: Mutex::default(),
            checking: Mutex::default(),
            changed: watch::channel(0).0,
            tries: Mutex::new(Rarely::new(TRIES)),
            handshakes: Mutex::new(Rarely::new(HANDSHAKES)),
            tally: Arc::default(),
        })
    }

    pub fn policy(&self) -> Arc<Policy> {
        Arc::clone(&self.policy.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Tells when another version of the file came into force.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Reads the file again, if there is one. What is spoiled leaves everything as it was.
    pub fn look(&self) -> Result<(), String> {
        match &self.path {
            None => Ok(()),
            Some(path) => self.take(path, self.acceptable(path)),
        }
    }

    /// The same from time to time: what is new is taken once two looks found it so, since it may be half written.
    fn look_again(&self) {
        let Some(path) = &self.path else { return };
        let read = self.acceptable(path);
        let found = read.as_ref().map(|policy| policy.version).map_err(Clone::clone);
        let in_force = found == Ok(self.policy().version);
        let before = self.seen.lock().unwrap_or_else(PoisonError::into_inner).replace(found.clone());
        if in_force || before == Some(found) {
            // It said what is wrong.
            let _ = self.take(path, read);
        }
    }

    fn acceptable(&self, path: &Path) -> Result<Policy, String> {
        let policy = read(path)?;
        let refused = |problem: &str| Err(format!("{}: it {problem}", path.display()));
        if let Some(missing) = policy.missing().filter(|_| self.exposed) {
            return refused(&format!("lacks {missing}"));
        }
        // A file that is cut off shall not open the door.
        if self.policy().authenticates() && !policy.authenticates() {
            return refused("asks nobody who they are, and the one in force does; if that is meant, start anew");
        }
        Ok(policy)
    }

    fn take(&self, path: &Path, read: Result<Policy, String>) -> Result<(), String> {
        let mut problem = self.problem.lock().unwrap_or_else(PoisonError::into_inner);
        match read {
            Ok(policy) => {
                let was_spoiled = problem.take().is_some();
                self.tally.spoiled.store(false, Ordering::Relaxed);
                if policy.version != self.policy().version {
                    warn_of(&policy);
                    let (tokens, users, clients) = (policy.tokens.len(), policy.users.len(), policy.clients.len());
                    *self.policy.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(policy);
                    self.changed.send_modify(|version| *version += 1);
                    tracing::info!(
                        tokens,
                        users,
                        clients,
                        "access file {} was read again, and is in force",
                        path.display()
                    );
                } else if was_spoiled {
                    tracing::info!("access file {} is as it was before it was spoiled", path.display());
                }
                Ok(())
            }
            Err(said) => {
                if problem.as_ref() != Some(&said) {
                    self.tally.read_errors.fetch_add(1, Ordering::Relaxed);
                    tracing::error!("{said}. What was read before stays in force");
                    *problem = Some(said.clone());
                }
                self.tally.spoiled.store(true, Ordering::Relaxed);
                Err(said)
            }
        }
    }

    /// Looks at the files from time to time, until `stopping` turns true.
    pub async fn watch(self: Arc<Gate>, mut stopping: watch::Receiver<bool>) {
        if self.path.is_none() {
            return;
        }
        loop {
            tokio::select! {
                // The sender going away means the same.
                _ = stopping.wait_for(|stop| *stop) => return,
                () = tokio::time::sleep(LOOK) => {}
            }
            let gate = Arc::clone(&self);
            // A mistake of ours in there would end these looks, not the daemon.
            if tokio::task::spawn_blocking(move || gate.look_again()).await.is_err() {
                return;
            }
        }
    }

    /// Who a request is from, by its Authorization header and its connection. One that is wrong is answered late, the later
    /// the more there were from that address.
    pub async fn who(&self, authorization: Option<&[u8]>, peer: &Peer, now: Timestamp) -> Result<Who, Denied> {
        let policy = self.policy();
        if !policy.authenticates() {
            return Ok(Who::anyone());
        }
        let denied = match self.identify(&policy, authorization, peer, now).await {
            Ok(who) => return Ok(who),
            Err(denied) => denied,
        };
        if denied.is_guess() {
            let wait = self.slow.lock().unwrap_or_else(PoisonError::into_inner).failed(peer.address, Instant::now());
            tokio::time::sleep(wait).await;
        }
        Err(denied)
    }

    async fn identify(
        &self,
        policy: &Policy,
        authorization: Option<&[u8]>,
        peer: &Peer,
        now: Timestamp,
    ) -> Result<Who, Denied> {
        let Some(header) = authorization else { return of_certificate(policy, peer) };
        let text = std::str::from_utf8(header).ok().filter(|text| text.len() <= CREDENTIALS_LEN_MAX);
        let (scheme, rest) = text.and_then(|text| text.trim().split_once(' ')).ok_or(Denied::Unreadable)?;
        let rest = rest.trim();
        if scheme.eq_ignore_ascii_case("bearer") && secret::sendable(rest) {
            return of_token(policy, &secret::digest(rest.as_bytes()), now);
        }
        if !scheme.eq_ignore_ascii_case("basic") {
            return Err(Denied::Unreadable);
        }
        let both =
            secret::from_base64(rest).and_then(|bytes| String::from_utf8(bytes).ok()).ok_or(Denied::Unreadable)?;
        let (name, password) = both.split_once(':').ok_or(Denied::Unreadable)?;
        self.of_password(policy, name, password, peer).await
    }

    /// Where those of one address wait for each other.
    fn turn(&self, address: IpAddr) -> Arc<Semaphore> {
        let mut all = self.checking.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, turn| turn.strong_count() > 0);
        let turn = all.entry(slow::network(address)).or_default();
        turn.upgrade().unwrap_or_else(|| {
            let new = Arc::new(Semaphore::new(1));
            *turn = Arc::downgrade(&new);
            new
        })
    }

    async fn of_password(&self, policy: &Policy, name: &str, password: &str, peer: &Peer) -> Result<Who, Denied> {
        let user = policy.users.get(name);
        // Names that are not known take as long as those that are.
        let Some(held) = user.or_else(|| policy.users.values().next()) else { return Err(Denied::WrongPassword) };
        let hash = held.hash.clone();
        let mark = self.remembered.mark(&hash, password);
        let mut right = user.is_some() && self.remembered.knows(&mark);
        if !right {
            // Who guesses waits before, too: checking is dear.
            let wait = self.slow.lock().unwrap_or_else(PoisonError::into_inner).due(peer.address, Instant::now());
            tokio::time::sleep(wait).await;
            let turn = self.turn(peer.address);
            let _turn = turn.acquire().await.expect("the semaphore is never closed");
            let permit = Arc::clone(&self.checks).acquire_owned().await.expect("the semaphore is never closed");
            let password = password.to_owned();
            let checked = tokio::task::spawn_blocking(move || {
                let _permit = permit;
                secret::is_password(&password, &hash)
            });
            right = checked.await.unwrap_or(false) && user.is_some();
            if right {
                self.remembered.remember(mark);
            }
        }
        match user.filter(|_| right) {
            Some(user) => Ok(Who::new(format!("user {name}"), user.roles)),
            None => Err(Denied::WrongPassword),
        }
    }
}

/// Says which of the files that hold secrets everybody on this machine can read.
fn warn_of(policy: &Policy) {
    for path in &policy.loose {
        tracing::warn!("{}", loose(path));
    }
}

/// What is wrong with such a file, and what to do.
pub fn loose(path: &Path) -> String {
    let path = path.display();
    format!(
        "everybody on this machine can read {path}, and it holds secrets: `chmod o-rwx` it, and make what is in it anew"
    )
}

fn of_certificate(policy: &Policy, peer: &Peer) -> Result<Who, Denied> {
    let asked = policy.tls.as_ref().map_or(ClientAuth::None, |tls| tls.clients);
    let Some(subject) = peer.client.as_ref().filter(|_| asked != ClientAuth::None) else {
        return Err(Denied::NoCredentials);
    };
    let roles = match policy.lists_names {
        // As Prometheus has it: a certificate that is required is all there is.
        false => Some(Roles::ALL),
        true => policy.clients.get(subject.as_ref()).copied(),
    };
    match roles {
        Some(roles) => Ok(Who::new(format!("client {subject}"), roles)),
        None if policy.clients.is_empty() => Err(Denied::NoCredentials),
        None => Err(Denied::UnknownClient(Arc::clone(subject))),
    }
}

/// Compares with every token, so that the time tells nothing of which one came near.
fn of_token(policy: &Policy, presented: &Digest, now: Timestamp) -> Result<Who, Denied> {
    let mut found = None;
    for token in &policy.tokens {
        if secret::same(&token.digest, presented) {
            found = Some(token);
        }
    }
    let token = found.ok_or(Denied::WrongToken)?;
    match token.expires.filter(|at| *at <= now) {
        Some(at) => Err(Denied::Expired(Arc::clone(&token.name), at)),
        None => Ok(Who { until: token.expires, ..Who::new(format!("token {}", token.name), token.roles) }),
    }
}

#[cfg(test)]
mod tests;
