//! `homeostat access`: lines for the access file, made here so that no secret has to be thought of or written down.

use super::output::Out;
use super::{Done, Failed};
use crate::access::{self, Role, secret};
use homeostat::time::Timestamp;
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
use serde_json::json;
use std::io::{BufRead, IsTerminal, Write};
use std::path::PathBuf;

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  homeostat access hash ci --token --role read >> access.yml     makes a token; it is shown once
  homeostat access check access.yml                              who may do what by that file")]
pub struct AccessArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(clap::Subcommand)]
enum What {
    /// Make a token, or read a password; print the line for the access file
    Hash(HashArgs),
    /// Check an access file, and say who may do what
    Check(CheckArgs),
}

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  homeostat access hash alice                               reads her password; the line goes under basic_auth_users
  homeostat access hash ci --token --role read              makes a token; the line goes under tokens
  homeostat access hash ci --token --role read >> lines.yml the line goes there, the token to the terminal

The file holds no secret in clear: of a token its SHA-256, of a password its bcrypt hash. A token is shown once, on standard
error; keep it where it is used.")]
struct HashArgs {
    /// What the token or the user is called, in the audit as well
    name: String,
    /// Make a token in place of reading a password
    #[arg(long, requires = "role")]
    token: bool,
    /// What the token is for: read, write, feedback, operate
    #[arg(long, value_name = "ROLE", value_delimiter = ',', requires = "token", value_parser = role)]
    role: Vec<Role>,
    /// When the token ends, like 2027-01-31
    #[arg(long, value_name = "TIME", requires = "token")]
    expires: Option<String>,
}

#[derive(clap::Args)]
#[command(after_help = "\
Example:
  homeostat access check /etc/homeostat/access.yml     exit 2 where a daemon would not start with it")]
struct CheckArgs {
    file: PathBuf,
}

fn role(text: &str) -> Result<Role, String> {
    text.parse().map_err(|()| "give read, write, feedback or operate".to_owned())
}

pub fn access(args: &AccessArgs, out: &Out) -> Result<Done, Failed> {
    match &args.what {
        What::Hash(args) => hash(args, out),
        What::Check(args) => check(args, out),
    }
}

fn hash(args: &HashArgs, out: &Out) -> Result<Done, Failed> {
    if args.name.trim().is_empty() || args.name.chars().any(char::is_control) {
        return Err(Failed::Use("NAME: a name is one line".to_owned()));
    }
    // A text in JSON is one in YAML.
    let name = json!(args.name);
    if !args.token {
        if args.name.contains(':') {
            return Err(Failed::Use("NAME: a name for Basic has no colon".to_owned()));
        }
        let hash = secret::bcrypt(&password()?).map_err(Failed::Use)?;
        out.text(&format!("  {name}: {}", json!(hash)))?;
        return Ok(Done::Quietly);
    }
    let expires = match args.expires.as_deref() {
        None => String::new(),
        Some(text) => match access::expiry(text) {
            Some(at) if at > crate::driver::now() => format!(", expires: {}", json!(Timestamp::to_string(&at))),
            Some(at) => return Err(Failed::Use(format!("--expires: {at} is over"))),
            None => return Err(Failed::Use("--expires: give a day like 2027-01-31, or RFC 3339".to_owned())),
        },
    };
    let token = secret::token().map_err(Failed::World)?;
    let roles: Vec<&str> = args.role.iter().map(|role| role.as_str()).collect();
    let digest = secret::to_hex(&secret::digest(token.as_bytes()));
    let line = format!("  - {{name: {name}, sha256: {}, roles: [{}]{expires}}}", json!(digest), roles.join(", "));
    // The token first: a line that is kept without it lets nobody in.
    writeln!(std::io::stderr(), "the token, shown once: {token}").map_err(Failed::output)?;
    out.text(&line)?;
    Ok(Done::Quietly)
}

/// From a terminal, which does not show it, or the first line of standard input.
fn password() -> Result<String, Failed> {
    let world = |error: std::io::Error| Failed::World(format!("cannot read the password: {error}"));
    let stdin = std::io::stdin();
    let read = || -> Result<String, Failed> {
        let mut line = String::new();
        stdin.lock().read_line(&mut line).map_err(world)?;
        Ok(line.trim_end_matches(['\n', '\r']).to_owned())
    };
    if !std::io::stdin().is_terminal() {
        return read();
    }
    let before = tcgetattr(std::io::stdin()).map_err(|error| world(error.into()))?;
    let mut silent = before.clone();
    silent.local_modes -= LocalModes::ECHO;
    tcsetattr(std::io::stdin(), OptionalActions::Flush, &silent).map_err(|error| world(error.into()))?;
    let ask = |what: &str| {
        eprint!("{what}");
        let read = read();
        eprintln!();
        read
    };
    let both = ask("Password: ").and_then(|one| Ok((one, ask("Once more: ")?)));
    let shown = tcsetattr(std::io::stdin(), OptionalActions::Flush, &before);
    let (one, other) = both?;
    shown.map_err(|error| world(error.into()))?;
    match one == other {
        true => Ok(one),
        false => Err(Failed::Use("the two differ; try again".to_owned())),
    }
}

fn check(args: &CheckArgs, out: &Out) -> Result<Done, Failed> {
    let policy = access::read(&args.file).map_err(Failed::Use)?;
    let now = crate::driver::now();
    let mut rows = Vec::new();
    for token in &policy.tokens {
        let expires = match token.expires {
            None => "never ends".to_owned(),
            Some(at) if at <= now => format!("expired at {at}"),
            Some(at) => format!("until {at}"),
        };
        rows.push(vec![format!("token {}", token.name), token.roles.to_string(), expires]);
    }
    for (name, user) in &policy.users {
        rows.push(vec![format!("user {name}"), user.roles.to_string(), String::new()]);
    }
    for (subject, roles) in &policy.clients {
        rows.push(vec![format!("client {subject}"), roles.to_string(), String::new()]);
    }
    if out.is_json() {
        let row = |row: &Vec<String>| json!({ "who": row[0], "roles": row[1], "ends": row[2] });
        let who: Vec<_> = rows.iter().map(row).collect();
        out.data(&json!({
            "who": who,
            "tls": policy.tls.is_some(),
            "missing_for_others": policy.missing(),
            "readable_by_all": policy.loose,
        }))?;
        return Ok(Done::Quietly);
    }
    if !policy.authenticates() || policy.lists_names && rows.is_empty() {
        let file = args.file.display();
        let so = match policy.lists_names {
            true => "nobody gets in",
            false => "nobody is asked who they are, and whoever reaches homeostat may do everything",
        };
        out.text(&format!("{file} names nobody: {so}; `homeostat access hash` makes a line for it"))?;
    } else {
        out.table(&["who", "roles", "ends"], &rows)?;
    }
    match policy.missing() {
        None => {}
        Some(missing) => out.text(&format!("for an address that others can reach it lacks {missing}"))?,
    }
    for path in &policy.loose {
        out.text(&access::loose(path))?;
    }
    Ok(Done::Quietly)
}
