//! The door, over real sockets: who is let in and to what, what is told to whom is not, and what they leave behind.

mod common;
#[path = "access/endless.rs"]
mod endless;
#[path = "access/hostile.rs"]
mod hostile;

use common::{Daemon, configure, folder, read, run, wait_until, write};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use serde_json::Value;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;
use ureq::tls::{Certificate, ClientCert, PrivateKey, RootCerts, TlsConfig};

const READ: &str = "hst_token_that_reads";
const WRITE: &str = "hst_token_that_writes";
const FEEDBACK: &str = "hst_token_that_says";
const OPERATE: &str = "hst_token_that_operates";
const EXPIRED: &str = "hst_token_that_expired";
const PASSWORD: &str = "correct horse battery";

const TOKENS: [(&str, &str); 4] = [("read", READ), ("write", WRITE), ("feedback", FEEDBACK), ("operate", OPERATE)];

fn sha256(text: &str) -> String {
    ring::digest::digest(&ring::digest::SHA256, text.as_bytes()).as_ref().iter().map(|b| format!("{b:02x}")).collect()
}

/// A token of each role, one that expired, and a user who may say things.
fn names() -> String {
    let token = |name: &str, token: &str, role: &str, more: &str| {
        format!("  - {{name: {name}, sha256: '{}', roles: [{role}]{more}}}\n", sha256(token))
    };
    let mut text = "tokens:\n".to_owned();
    for (role, secret) in TOKENS {
        text += &token(&format!("the-{role}"), secret, role, "");
    }
    text += &token("old", EXPIRED, "read", ", expires: 2020-01-01");
    let hash = bcrypt::hash(PASSWORD, 8).expect("a hash");
    text + &format!("basic_auth_users:\n  ann: '{hash}'\nusers:\n  ann: [read, feedback]\n")
}

fn guarded(dir: &TempDir, access: &str) -> Daemon {
    write(dir, "access.yml", access);
    configure(dir, "http: {access: access.yml}\nlog: {level: debug}\n");
    Daemon::go_on(dir)
}

fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}\r\n")
}

fn get(daemon: &Daemon, path: &str, token: &str) -> common::Answer {
    daemon.get_with(path, &bearer(token))
}

fn post(daemon: &Daemon, path: &str, token: &str, body: &str) -> common::Answer {
    daemon.post_with(path, &format!("{}Content-Type: application/json\r\n", bearer(token)), body)
}

fn metric(daemon: &Daemon, name: &str) -> f64 {
    let text = get(daemon, "/metrics", READ).text;
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value.unwrap_or_else(|| panic!("{name} is not exported")).parse().expect("a number")
}

fn cli(dir: &TempDir, daemon: &Daemon, token: Option<&str>, args: &[&str]) -> common::Ran {
    let mut command = common::homeostat(dir);
    command.args(args).args(["--url", &daemon.url()]);
    command.envs(token.map(|token| ("HOMEOSTAT_TOKEN", token)));
    command.output().expect("started").into()
}

#[test]
fn each_role_opens_its_routes_and_no_other_and_nobody_without_one_gets_anywhere() {
    let dir = folder();
    let daemon = guarded(&dir, &names());
    let document = get(&daemon, "/api/v1/openapi.json", READ).json();
    let needed = |path: &str, method: &str| match (path, method) {
        ("/-/healthy" | "/-/ready", _) => None,
        ("/api/v1/audit", _) => Some("operate"),
        (_, "get") => Some("read"),
        ("/api/v1/write" | "/v1/metrics", _) => Some("write"),
        ("/api/v1/feedback" | "/api/v1/proposals/{id}" | "/api/v1/alertmanager" | "/api/v1/pager", _) => {
            Some("feedback")
        }
        _ => Some("operate"),
    };
    let mut asked = 0;
    for (path, methods) in document["paths"].as_object().expect("paths") {
        for method in methods.as_object().expect("methods").keys() {
            let ask = |headers: &str| {
                let json = "Content-Type: application/json\r\n";
                let path = path.replace("{id}", "1");
                match method.as_str() {
                    "get" => daemon.get_with(&path, headers),
                    _ => daemon.post_with(&path, &format!("{headers}{json}"), "{}"),
                }
            };
            let Some(role) = needed(path, method) else {
                assert_eq!(ask("").status, 200, "{path}");
                continue;
            };
            let refused = ask("");
            assert!(refused.problem(401).contains("say who you are"), "{method} {path}");
            let offers: Vec<&str> = refused.head.lines().filter(|line| line.starts_with("www-authenticate")).collect();
            assert!(offers.len() == 2 && offers.concat().contains("Basic") && offers.concat().contains("Bearer"));
            for (has, token) in TOKENS {
                let answer = ask(&bearer(token));
                match has == role {
                    true => assert!(![401, 403].contains(&answer.status), "{method} {path} {has}: {}", answer.text),
                    false => {
                        let said = answer.problem(403);
                        assert!(said.contains(role) && said.contains(&format!("token the-{has}")), "{said}");
                    }
                }
            }
            asked += 1;
        }
    }
    assert!(asked > 30, "{asked}");
    // Also what is no route: its being there or not is nobody's business.
    for path in ["/style.css", "/api/v1/nothing", "/nothing"] {
        daemon.get(path).problem(401);
        assert_ne!(get(&daemon, path, READ).status, 401, "{path}");
    }
    assert_eq!(get(&daemon, "/style.css", READ).status, 200);
    daemon.post_with("/api/v1/series", "", "").problem(401);
    get(&daemon, "/", WRITE).problem(403);
}

#[test]
fn what_is_wrong_with_a_secret_is_told_and_counted() {
    let dir = folder();
    let daemon = guarded(&dir, &names());
    assert!(get(&daemon, "/api/v1/state", EXPIRED).problem(401).contains("`old` expired at 2020-01-01"));
    let wrong = get(&daemon, "/api/v1/state", "hst_nobodys");
    assert!(wrong.problem(401).contains("not known"));
    assert!(wrong.head.contains("invalid_token"), "{}", wrong.head);
    let basic = |both: &str| {
        let text = both.bytes().map(|byte| format!("{byte:08b}")).collect::<String>();
        const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let digit = |six: &[u8]| {
            let six = format!("{:0<6}", std::str::from_utf8(six).expect("bits"));
            char::from(DIGITS[usize::from_str_radix(&six, 2).expect("bits")])
        };
        format!("Authorization: Basic {}\r\n", text.as_bytes().chunks(6).map(digit).collect::<String>())
    };
    let ann = basic(&format!("ann:{PASSWORD}"));
    assert_eq!(daemon.get_with("/api/v1/state", &ann).status, 200);
    daemon.post_with("/-/reload", &ann, "").problem(403);
    daemon.get_with("/api/v1/state", &basic("ann:wrong")).problem(401);
    daemon.get_with("/api/v1/state", &basic(&format!("nobody:{PASSWORD}"))).problem(401);
    daemon.get_with("/api/v1/state", &format!("{}{ann}", bearer(READ))).problem(401);
    let refused = |reason: &str| metric(&daemon, &format!("homeostat_http_refused_total{{reason=\"{reason}\"}}"));
    assert_eq!(
        ["expired", "wrong_token", "wrong_password", "unreadable", "role"].map(refused),
        [1.0, 1.0, 2.0, 1.0, 1.0]
    );
    assert_eq!(refused("no_credentials"), 0.0);
    let log = read(&dir, "err");
    assert!(log.contains("refused: wrong_token") && log.contains("127.0.0.1"), "{log}");
}

#[test]
fn the_audit_has_who_changed_what_from_where_and_with_which_result() {
    let dir = folder();
    let daemon = guarded(&dir, &names());
    daemon_learned(&daemon);
    assert_eq!(post(&daemon, "/api/v1/freeze", OPERATE, r#"{"frozen":true}"#).status, 200);
    assert_eq!(post(&daemon, "/api/v1/feedback", FEEDBACK, r#"{"series":"load","verdict":"false"}"#).status, 200);
    post(&daemon, "/api/v1/state", OPERATE, r#"{"state":"ill"}"#).problem(422);
    post(&daemon, "/api/v1/freeze", FEEDBACK, r#"{"frozen":false}"#).problem(403);
    daemon.post_with("/api/v1/freeze", "Content-Type: application/json\r\n", r#"{"frozen":false}"#).problem(401);
    assert_eq!(get(&daemon, "/api/v1/freeze", READ).json()["data"]["frozen"], true, "the last two changed nothing");
    daemon.signal("-HUP");
    let rows = || get(&daemon, "/api/v1/audit", OPERATE).json()["data"].as_array().expect("a list").clone();
    let rows = wait_until("SIGHUP", || Some(rows()).filter(|rows| rows.len() == 5));
    let told: Vec<String> = rows
        .iter()
        .map(|row| {
            let text = |key: &str| row[key].as_str().unwrap_or("-").to_owned();
            format!("{} {} {} {} {}", text("who"), text("peer"), text("action"), text("what"), row["status"])
        })
        .collect();
    assert_eq!(
        told,
        [
            "signal - SIGHUP - 200",
            "token the-feedback 127.0.0.1 POST /api/v1/freeze - 403",
            r#"token the-operate 127.0.0.1 POST /api/v1/state {"state":"ill"} 422"#,
            r#"token the-feedback 127.0.0.1 POST /api/v1/feedback {"series":"load","verdict":"false"} 200"#,
            r#"token the-operate 127.0.0.1 POST /api/v1/freeze {"frozen":true} 200"#,
        ]
    );
    let log = read(&dir, "err");
    assert!(log.contains("audit: POST /api/v1/freeze") && log.contains("token the-operate"), "{log}");
    let asked = cli(&dir, &daemon, Some(OPERATE), &["audit", "--who", "token the-feedback"]);
    assert_eq!((asked.code, asked.out.lines().count()), (0, 3), "{}{}", asked.out, asked.err);
    let by_page = get(&daemon, "/api/v1/audit?limit=2", OPERATE).json();
    let next = by_page["next"].as_str().expect("there is more").to_owned();
    let second = get(&daemon, &format!("/api/v1/audit?limit=2&page={next}"), OPERATE).json();
    assert_eq!(second["data"][0]["action"], "POST /api/v1/state");
    daemon.kill();
    let daemon = Daemon::go_on(&dir);
    assert_eq!(
        get(&daemon, "/api/v1/audit", OPERATE).json()["data"].as_array().map(Vec::len),
        Some(5),
        "after kill -9"
    );
}

fn daemon_learned(daemon: &Daemon) {
    wait_until("thresholds", || {
        let rows = get(daemon, "/api/v1/thresholds", READ).json()["data"].as_array().map_or(0, Vec::len);
        (rows == 2).then_some(())
    });
}

#[test]
fn the_file_is_read_again_and_one_that_is_spoiled_changes_nothing() {
    let dir = folder();
    let daemon = guarded(&dir, &names());
    let reload = |token: &str| daemon.post_with("/-/reload", &bearer(token), "");
    write(&dir, "access.yml", &names().replace(&sha256(READ), &sha256("hst_another_that_reads")));
    assert_eq!(reload(OPERATE).status, 200);
    get(&daemon, "/api/v1/state", READ).problem(401);
    assert_eq!(get(&daemon, "/api/v1/state", "hst_another_that_reads").status, 200);
    // By itself, within seconds.
    write(&dir, "access.yml", &names());
    wait_until("the file to be read", || (get(&daemon, "/api/v1/state", READ).status == 200).then_some(()));
    assert_eq!(metric(&daemon, "homeostat_access_problem"), 0.0);
    write(&dir, "access.yml", "tokens: hunter2");
    let said = reload(OPERATE).problem(422);
    assert!(said.contains("access.yml line 1 column 9") && !said.contains("hunter2"), "{said}");
    assert_eq!(get(&daemon, "/api/v1/state", READ).status, 200, "who may do what is as it was");
    wait_until("the metric", || (metric(&daemon, "homeostat_access_problem") == 1.0).then_some(()));
    assert!(metric(&daemon, "homeostat_access_read_errors_total") >= 1.0);
    assert!(read(&dir, "err").contains("What was read before stays in force"));
    write(&dir, "access.yml", &names());
    wait_until("the metric", || (metric(&daemon, "homeostat_access_problem") == 0.0).then_some(()));
}

// --- TLS -------------------------------------------------------------------------------------------------------------

/// Who signs certificates.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new(dir: &TempDir, name: &str) -> Authority {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(Vec::new()).expect("parameters");
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).expect("signed");
        write(dir, &format!("{name}.pem"), &certificate.pem());
        Authority { issuer: Issuer::new(params, key) }
    }

    /// NAME.pem and NAME.key, for this host or for a client.
    fn sign(&self, dir: &TempDir, name: &str) {
        let key = KeyPair::generate().expect("a key");
        let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        let mut params = CertificateParams::new(names).expect("parameters");
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        let signed = params.signed_by(&key, &self.issuer).expect("signed");
        write(dir, &format!("{name}.pem"), &signed.pem());
        write(dir, &format!("{name}.key"), &key.serialize_pem());
    }
}

fn agent(dir: &TempDir, ca: &str, client: Option<&str>) -> ureq::Agent {
    let certificate = |name: &str| Certificate::from_pem(read(dir, &format!("{name}.pem")).as_bytes()).expect("PEM");
    let mut tls = TlsConfig::builder().root_certs(RootCerts::new_with_certs(&[certificate(ca)]));
    if let Some(name) = client {
        let key = PrivateKey::from_pem(read(dir, &format!("{name}.key")).as_bytes()).expect("PEM");
        tls = tls.client_cert(Some(ClientCert::new_with_certs(&[certificate(name)], key)));
    }
    let config = ureq::Agent::config_builder().http_status_as_error(false).proxy(None).tls_config(tls.build());
    config.timeout_global(Some(Duration::from_secs(30))).build().into()
}

fn ask(agent: &ureq::Agent, daemon: &Daemon, path: &str, token: Option<&str>) -> Result<(u16, String), String> {
    let mut request = agent.get(format!("https://{}{path}", daemon.address));
    if let Some(token) = token {
        request = request.header("Authorization", format!("Bearer {token}"));
    }
    let mut answer = request.call().map_err(|error| error.to_string())?;
    let head = format!("{:?}", answer.headers());
    Ok((answer.status().as_u16(), head + &answer.body_mut().read_to_string().map_err(|error| error.to_string())?))
}

/// What `openssl req -x509` makes when it is not told otherwise.
#[test]
fn a_certificate_that_is_made_for_an_authority_is_told_with_its_remedy() {
    let dir = folder();
    let key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::new(vec!["localhost".to_owned(), "127.0.0.1".to_owned()]).expect("parameters");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    write(&dir, "server.pem", &params.self_signed(&key).expect("signed").pem());
    write(&dir, "server.key", &key.serialize_pem());
    write(&dir, "access.yml", &format!("{TLS}{}", names()));
    configure(&dir, "http: {access: access.yml}\n");
    let daemon = Daemon::listening(&dir, "127.0.0.1:0");
    let ran = run(&dir, &["status", "--url", &format!("https://{}", daemon.address), "--ca", "server.pem"]);
    assert!(ran.code == 3 && ran.err.contains("basicConstraints CA:FALSE"), "{} {}", ran.code, ran.err);
}

const TLS: &str = "tls_server_config:\n  cert_file: server.pem\n  key_file: server.key\n";

#[test]
fn over_tls_tokens_and_certificates_let_in_and_a_wrong_authority_does_not() {
    let dir = folder();
    let (ours, theirs) = (Authority::new(&dir, "ours"), Authority::new(&dir, "theirs"));
    ours.sign(&dir, "server");
    ours.sign(&dir, "prometheus");
    ours.sign(&dir, "stranger");
    theirs.sign(&dir, "forged");
    let clients = "  client_auth_type: VerifyClientCertIfGiven\n  client_ca_file: ours.pem\nclients:\n  \
                   - {subject: CN=prometheus, roles: [read, operate]}\n";
    write(&dir, "access.yml", &format!("{TLS}{clients}{}", names()));
    configure(&dir, "http: {access: access.yml}\n");
    // On all addresses: what it lacks for that is nothing.
    let mut daemon = Daemon::listening(&dir, "0.0.0.0:0");
    daemon.address = daemon.address.replace("0.0.0.0", "127.0.0.1");
    let nobody = agent(&dir, "ours", None);
    let (status, answer) = ask(&nobody, &daemon, "/api/v1/state", Some(READ)).expect("an answer");
    assert!(status == 200 && answer.contains("strict-transport-security"), "{answer}");
    assert_eq!(ask(&nobody, &daemon, "/api/v1/state", None).expect("an answer").0, 401);
    assert_eq!(ask(&nobody, &daemon, "/-/ready", None).expect("an answer").0, 200);
    let state = |client: &str| ask(&agent(&dir, "ours", Some(client)), &daemon, "/api/v1/state", None);
    assert_eq!(state("prometheus").expect("an answer").0, 200);
    let (status, said) = state("stranger").expect("an answer");
    assert!(status == 401 && said.contains("CN=stranger"), "{said}");
    state("forged").expect_err("signed by somebody else");
    ask(&agent(&dir, "theirs", None), &daemon, "/-/ready", None).expect_err("not who it was taken for");
    let plain = TcpStream::connect(&daemon.address).and_then(|mut stream| {
        stream.write_all(b"GET /-/ready HTTP/1.1\r\nHost: localhost\r\n\r\n")?;
        let mut said = Vec::new();
        stream.read_to_end(&mut said).map(|_| said)
    });
    assert!(!plain.unwrap_or_default().starts_with(b"HTTP"), "nothing is told in clear");
    let failed = || {
        let text = ask(&nobody, &daemon, "/metrics", Some(READ)).expect("an answer").1;
        let line = text.lines().find_map(|line| line.strip_prefix("homeostat_http_tls_handshakes_failed_total "));
        line.expect("exported").parse::<f64>().expect("a number")
    };
    assert!(failed() >= 2.0);

    // Commands get in the same ways, and say which of them is missing.
    let url = format!("https://{}", daemon.address);
    write(&dir, "token", &format!("{OPERATE}\n"));
    let command = |args: &[&str]| run(&dir, &[args, &["--url", &url]].concat());
    let with_ca = |args: &[&str]| command(&[args, &["--ca", "ours.pem"]].concat());
    let done = with_ca(&["freeze", "on", "--token-file", "token"]);
    assert_eq!((done.code, done.out.as_str()), (0, "all changes are stopped\n"), "{}", done.err);
    let done = with_ca(&["freeze", "off", "--cert", "prometheus.pem", "--key", "prometheus.key"]);
    assert_eq!(done.code, 0, "{}", done.err);
    let refused = with_ca(&["status"]);
    assert!(
        refused.code == 2 && refused.err.contains("--token-file") && refused.err.contains("--cert"),
        "{}",
        refused.err
    );
    let refused = with_ca(&["status", "--token-file", "token"]);
    assert!(refused.code == 2 && refused.err.contains("lacks the role read"), "{}", refused.err);
    let unknown = command(&["status", "--token-file", "token"]);
    assert!(unknown.code == 3 && unknown.err.contains("--ca"), "{}", unknown.err);
    assert_eq!(with_ca(&["status", "--cert", "prometheus.pem"]).code, 2, "a certificate without its key");
    assert_eq!(with_ca(&["status", "--token-file", "nowhere"]).code, 2);
    let rows = with_ca(&["audit", "--token-file", "token"]).out;
    assert!(rows.contains("token the-operate") && rows.contains("client CN=prometheus"), "{rows}");
}

#[test]
#[ignore = "needs prometheus: ./dev check runs it"]
fn a_real_prometheus_scrapes_over_tls_with_a_token_or_a_certificate() {
    let dir = folder();
    let ours = Authority::new(&dir, "ours");
    ours.sign(&dir, "server");
    ours.sign(&dir, "prometheus");
    let clients = "  client_auth_type: VerifyClientCertIfGiven\n  client_ca_file: ours.pem\nclients:\n  \
                   - {subject: CN=prometheus, roles: [read]}\n";
    write(&dir, "access.yml", &format!("{TLS}{clients}{}", names()));
    configure(&dir, "http: {access: access.yml}\n");
    let daemon = Daemon::go_on(&dir);
    let job = |name: &str, more: &str| {
        format!(
            "  - job_name: {name}\n    scheme: https\n    scrape_interval: 1s\n    static_configs: [{{targets: [\"{}\"]}}]\n{more}",
            daemon.address
        )
    };
    let token =
        |token: &str| format!("    tls_config: {{ca_file: ours.pem}}\n    authorization: {{credentials: {token}}}\n");
    let certificate = "    tls_config: {ca_file: ours.pem, cert_file: prometheus.pem, key_file: prometheus.key}\n";
    let basic =
        format!("    tls_config: {{ca_file: ours.pem}}\n    basic_auth: {{username: ann, password: {PASSWORD}}}\n");
    let jobs = [
        job("token", &token(READ)),
        job("certificate", certificate),
        job("basic", &basic),
        job("without", "    tls_config: {ca_file: ours.pem}\n"),
        job("expired", &token(EXPIRED)),
        job("writer", &token(WRITE)),
    ];
    let prometheus = common::prometheus::Prometheus::start(&dir, &format!("scrape_configs:\n{}", jobs.concat()));
    let up = |job: &str| {
        let found = prometheus.api("query", &[("query", &format!("up{{job=\"{job}\"}}"))]);
        found["result"][0]["value"][1].as_str().map(str::to_owned)
    };
    for (job, wanted) in
        [("token", "1"), ("certificate", "1"), ("basic", "1"), ("without", "0"), ("expired", "0"), ("writer", "0")]
    {
        let found = wait_until(job, || up(job));
        assert_eq!(found, wanted, "{job}");
    }
}

#[test]
fn a_certificate_that_is_replaced_is_shown_and_one_that_is_spoiled_is_not() {
    let dir = folder();
    let (first, second) = (Authority::new(&dir, "first"), Authority::new(&dir, "second"));
    first.sign(&dir, "server");
    write(&dir, "access.yml", &format!("{TLS}{}", names()));
    configure(&dir, "http: {access: access.yml}\n");
    let daemon = Daemon::go_on(&dir);
    let ready =
        |ca: &str| ask(&agent(&dir, ca, None), &daemon, "/-/ready", None).is_ok_and(|(status, _)| status == 200);
    wait_until("ready", || ready("first").then_some(()));
    // A connection from before has to come in anew.
    let kept = agent(&dir, "first", None);
    assert_eq!(ask(&kept, &daemon, "/api/v1/state", Some(READ)).map(|(status, _)| status), Ok(200));
    write(&dir, "server.key", "spoiled");
    wait_until("the log", || read(&dir, "err").contains("no private key").then_some(()));
    assert!(ready("first"));
    second.sign(&dir, "server");
    wait_until("the new certificate", || ready("second").then_some(()));
    assert!(!ready("first"));
    wait_until("the end of what was", || ask(&kept, &daemon, "/-/ready", None).is_err().then_some(()));
}

#[test]
fn others_are_not_let_near_without_what_keeps_them_out() {
    let dir = folder();
    Authority::new(&dir, "ours").sign(&dir, "server");
    for (access, lacks) in [(names(), "tls_server_config"), (TLS.to_owned(), "one of tokens")] {
        write(&dir, "access.yml", &access);
        let start = ["run", "--listen", "0.0.0.0:0", "--data", "data", "--access", "access.yml"];
        let refused = run(&dir, &start);
        assert_eq!(refused.code, 2, "{}", refused.err);
        assert!(refused.err.contains(lacks) && refused.err.contains("--insecure"), "{}", refused.err);
    }
    write(&dir, "access.yml", "tokens:\n  - {name: a, sha: x}\n");
    let refused = run(&dir, &["run", "--access", "access.yml"]);
    assert_eq!(refused.code, 2, "{}", refused.err);
    assert!(refused.err.contains("line 2 column 15") && refused.err.contains("sha256"), "{}", refused.err);
    write(&dir, "homeostat.yaml", "http: {access: access.yml}\n");
    assert_eq!(run(&dir, &["config", "check", "homeostat.yaml"]).code, 2);
    let refused = run(&dir, &["access", "check", "access.yml"]);
    assert_eq!(refused.code, 2, "{}", refused.err);
    assert!(!dir.path().join("data").exists(), "nothing was made");
}

#[test]
fn a_made_line_lets_in_who_has_the_secret() {
    let dir = folder();
    let made = run(&dir, &["access", "hash", "ci: 1", "--token", "--role", "read,operate", "--expires", "2999-01-01"]);
    assert_eq!(made.code, 0, "{}", made.err);
    let token = made.err.trim().rsplit(' ').next().expect("a token").to_owned();
    assert!(token.len() > 40 && !made.out.contains(&token), "{}", made.out);
    let mut hash = common::homeostat(&dir).args(["access", "hash", "ann"]).stdin_text(PASSWORD);
    assert_eq!(hash.code, 0, "{}", hash.err);
    hash.out.insert_str(0, "basic_auth_users:\n");
    let daemon = guarded(&dir, &format!("tokens:\n{}{}", made.out, hash.out));
    assert_eq!(get(&daemon, "/api/v1/state", &token).status, 200);
    let checked = run(&dir, &["access", "check", "access.yml"]);
    assert!(checked.out.contains("token ci: 1\tread, operate\tuntil 2999-01-01") && checked.out.contains("user ann"));
    assert!(checked.out.contains("tls_server_config"), "{}", checked.out);
    assert_eq!(run(&dir, &["access", "hash", "x", "--token", "--role", "all"]).code, 2);
    assert_eq!(run(&dir, &["access", "hash", "x", "--token", "--role", "read", "--expires", "2020-01-01"]).code, 2);
}

#[test]
fn a_file_that_names_nobody_is_told_with_what_that_means_and_holds_no_secret() {
    let dir = folder();
    let open = "nobody is asked who they are";
    for (text, means) in [("", open), ("# later\n", open), ("tokens: []\n", "nobody gets in")] {
        write(&dir, "access.yml", text);
        let checked = run(&dir, &["access", "check", "access.yml"]);
        let said = &checked.out;
        assert!(said.contains("names nobody") && said.contains(means), "{text}: {said} {}", checked.err);
        assert!(said.contains("`homeostat access hash`") && !said.contains("secrets"), "{text}: {said}");
    }
}

trait WithInput {
    fn stdin_text(&mut self, text: &str) -> common::Ran;
}

impl WithInput for Command {
    fn stdin_text(&mut self, text: &str) -> common::Ran {
        use std::process::Stdio;
        let mut child =
            self.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("started");
        let mut input = child.stdin.take().expect("piped");
        writeln!(input, "{text}").expect("written");
        drop(input);
        child.wait_with_output().expect("ended").into()
    }
}

// --- secrets ---------------------------------------------------------------------------------------------------------

/// Every byte of all files below.
fn all_bytes(dir: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    for entry in std::fs::read_dir(dir).expect("a folder") {
        let path = entry.expect("an entry").path();
        match path.is_dir() {
            true => bytes.extend(all_bytes(&path)),
            false => bytes.extend(std::fs::read(path).expect("readable")),
        }
    }
    bytes
}

#[test]
fn no_secret_is_told_anywhere() {
    let dir = folder();
    write(&dir, "filed", "hst_token_in_a_file_of_its_own\n");
    let filed = "  - {name: filed, token_file: filed, roles: [read]}\n";
    let access = names().replacen("tokens:\n", &format!("tokens:\n{filed}"), 1);
    let daemon = guarded(&dir, &access);
    daemon_learned(&daemon);
    let mut told = String::new();
    let tokens =
        TOKENS.iter().map(|(_, token)| *token).chain([EXPIRED, "hst_token_in_a_file_of_its_own", "hst_wrong_one"]);
    for token in tokens {
        told += &get(&daemon, "/api/v1/state", token).text;
        told += &post(&daemon, "/api/v1/freeze", token, r#"{"frozen":false}"#).text;
    }
    told += &daemon.get_with("/api/v1/state", &format!("Authorization: Bearer{PASSWORD}\r\n")).text;
    told += &daemon.get_with("/api/v1/state", &format!("Authorization: Basic {PASSWORD}\r\n")).text;
    let document = get(&daemon, "/api/v1/openapi.json", READ).json();
    for path in document["paths"].as_object().expect("paths").keys() {
        for token in [READ, OPERATE] {
            let answer = get(&daemon, path, token);
            told += &(answer.head + &answer.text);
        }
    }
    told += &run(&dir, &["config", "show", "--config", "homeostat.yaml"]).out;
    told += &cli(&dir, &daemon, Some(EXPIRED), &["status"]).err;
    told += &cli(&dir, &daemon, Some("two words"), &["status"]).err;
    told += &run(&dir, &["access", "check", "access.yml"]).out;
    daemon.stop();
    told += &read(&dir, "err");
    let kept = all_bytes(&dir.path().join("data"));
    let secrets = TOKENS.iter().map(|(_, token)| *token).chain([
        EXPIRED,
        "hst_token_in_a_file_of_its_own",
        "hst_wrong_one",
        PASSWORD,
        "$2b$",
        "two words",
    ]);
    let hashes: Vec<String> = TOKENS.iter().map(|(_, token)| sha256(token)).collect();
    for secret in secrets.chain(hashes.iter().map(String::as_str)) {
        if let Some(at) = told.find(secret) {
            panic!("{secret} is told: {}", &told[at.saturating_sub(100)..(at + 100).min(told.len())]);
        }
        let found = kept.windows(secret.len()).any(|window| window == secret.as_bytes());
        assert!(!found, "{secret} is kept");
    }
    assert!(told.contains("the-operate"), "names are told");
}
