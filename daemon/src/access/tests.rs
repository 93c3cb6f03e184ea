//! Who is let in, by a table: each way to say who one is, right and wrong.

use super::*;
use crate::config::Listen;
use std::path::Path;
use tempfile::TempDir;

const TOKEN: &str = "hst_0123456789abcdef";

fn http(access: Option<PathBuf>) -> Http {
    Http { access, ..Http::default() }
}

fn gate(dir: &TempDir, text: &str) -> Result<Gate, String> {
    let path = dir.path().join("access.yml");
    std::fs::write(&path, text).expect("written");
    Gate::open(&http(Some(path))).map_err(|problem| problem.replace(&dir.path().display().to_string(), "DIR"))
}

fn peer(client: Option<&str>) -> Peer {
    Peer { address: "192.0.2.1".parse().expect("an address"), tls: false, client: client.map(Arc::from) }
}

fn digest(token: &str) -> String {
    secret::to_hex(&secret::digest(token.as_bytes()))
}

fn cheap_hash(password: &str) -> String {
    bcrypt::hash(password, 8).expect("a hash")
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().expect("a runtime")
}

fn basic(both: &str) -> String {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bits: Vec<u8> = both.bytes().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1)).collect();
    let digit = |six: &[u8]| {
        let value = (0..6).fold(0, |value, at| value << 1 | usize::from(six.get(at).copied().unwrap_or(0)));
        char::from(DIGITS[value])
    };
    format!("Basic {}", bits.chunks(6).map(digit).collect::<String>())
}

#[test]
fn each_way_to_say_who_one_is_right_and_wrong() {
    let dir = tempfile::tempdir().expect("a folder");
    let text = format!(
        "tokens:\n  - {{name: ci, sha256: '{}', roles: [read, operate]}}\n  - {{name: old, sha256: '{}', roles: [read], \
         expires: 2026-01-01}}\nbasic_auth_users: {{ann: '{}', bob: '{}'}}\nusers: {{bob: [feedback]}}\n",
        digest(TOKEN),
        digest("hst_expired_token"),
        cheap_hash("open sesame"),
        cheap_hash("b:b")
    );
    let gate = gate(&dir, &text).expect("a file");
    let now = Timestamp::parse("2026-06-01T00:00:00Z").expect("a time");
    let runtime = runtime();
    let ask = |header: Option<&str>| runtime.block_on(gate.who(header.map(str::as_bytes), &peer(None), now));
    for (header, who, roles) in [
        (format!("Bearer {TOKEN}"), "token ci", "read, operate"),
        (format!("bearer  {TOKEN} "), "token ci", "read, operate"),
        (basic("ann:open sesame"), "user ann", "read, write, feedback, operate"),
        (basic("bob:b:b"), "user bob", "feedback"),
        (basic("bob:b:b"), "user bob", "feedback"),
    ] {
        let found = ask(Some(&header)).expect(&header);
        assert_eq!((found.name.as_ref(), found.roles.to_string().as_str()), (who, roles), "{header}");
    }
    let expired = Denied::Expired("old".into(), Timestamp::parse("2026-01-01T00:00:00Z").expect("a time"));
    for (header, denied) in [
        (None, Denied::NoCredentials),
        (Some("Bearer hst_expired_token".to_owned()), expired),
        (Some(format!("Bearer {TOKEN}x")), Denied::WrongToken),
        (Some(format!("Bearer {}", digest(TOKEN))), Denied::WrongToken),
        (Some(format!("Bearer {TOKEN} {TOKEN}")), Denied::Unreadable),
        (Some("Bearer".to_owned()), Denied::Unreadable),
        (Some("Bearer é".to_owned()), Denied::Unreadable),
        (Some("Digest x".to_owned()), Denied::Unreadable),
        (Some(format!("Bearer {}", "x".repeat(5000))), Denied::Unreadable),
        (Some("Basic !!".to_owned()), Denied::Unreadable),
        (Some(basic("nocolon")), Denied::Unreadable),
        (Some(basic("ann:open")), Denied::WrongPassword),
        (Some(basic("ann:")), Denied::WrongPassword),
        (Some(basic("nobody:open sesame")), Denied::WrongPassword),
        (Some(basic(":")), Denied::WrongPassword),
    ] {
        let found = ask(header.as_deref()).expect_err("nobody");
        assert_eq!(found, denied, "{header:?}");
        assert!(!found.to_string().contains(TOKEN) && !found.to_string().contains("sesame"), "{found}");
    }
    // Who is right does not wait for what others of the address did wrong; who is wrong does.
    let begun = runtime.block_on(async { tokio::time::Instant::now() });
    ask(Some(&format!("Bearer {TOKEN}"))).expect("right");
    let passed = || runtime.block_on(async move { begun.elapsed() });
    assert_eq!(passed(), Duration::ZERO);
    ask(Some("Bearer wrong")).expect_err("wrong");
    assert!(passed() >= Duration::from_millis(500), "{:?}", passed());
}

#[test]
fn without_a_file_everybody_here_may_do_everything_and_others_are_not_let_near() {
    let gate = Gate::open(&Http::default()).expect("nothing is wrong");
    let who = runtime().block_on(gate.who(None, &peer(None), Timestamp::EPOCH)).expect("anyone");
    assert_eq!((who.name.as_ref(), who.roles), ("anyone", Roles::ALL));
    let listen: Listen = "0.0.0.0:1".parse().expect("an address");
    let open = |access: Option<PathBuf>, insecure: bool| {
        Gate::open(&Http { listen: listen.clone(), insecure, access, external_url: None })
    };
    let said = open(None, false).err().expect("others could reach it");
    assert!(["--insecure", "--access", "password", "0.0.0.0:1"].iter().all(|word| said.contains(word)), "{said}");
    assert!(open(None, true).is_ok());
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("access.yml");
    std::fs::write(&path, format!("tokens: [{{name: a, sha256: '{}', roles: [read]}}]", digest(TOKEN)))
        .expect("written");
    let said = open(Some(path.clone()), false).err().expect("no TLS");
    assert!(said.contains("tls_server_config") && !said.contains("one of tokens"), "{said}");
    assert!(open(Some(path), true).is_ok(), "behind something that has TLS");
}

fn pem(dir: &Path, name: &str, subject: &str, ca: Option<&rcgen::Issuer<'_, rcgen::KeyPair>>) {
    let key = rcgen::KeyPair::generate().expect("a key");
    let mut params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).expect("parameters");
    params.distinguished_name.push(rcgen::DnType::CommonName, subject);
    let signed = match ca {
        Some(ca) => params.signed_by(&key, ca),
        None => params.self_signed(&key),
    };
    std::fs::write(dir.join(format!("{name}.pem")), signed.expect("signed").pem()).expect("written");
    std::fs::write(dir.join(format!("{name}.key")), key.serialize_pem()).expect("written");
}

#[test]
fn a_certificate_lets_in_by_its_subject_and_by_the_file() {
    let dir = tempfile::tempdir().expect("a folder");
    pem(dir.path(), "a", "a", None);
    let tls = |kind: &str| {
        format!(
            "tls_server_config: {{cert_file: a.pem, key_file: a.key, client_auth_type: {kind}, client_ca_file: a.pem}}\n"
        )
    };
    let clients = "clients: [{subject: 'CN = prometheus', roles: [write]}]\n";
    let ask = |text: &str, client: Option<&str>, header: Option<&str>| {
        let gate = gate(&dir, text).expect("a file");
        let peer = peer(client);
        let asked = gate.who(header.map(str::as_bytes), &peer, Timestamp::EPOCH);
        runtime().block_on(asked).map(|who| format!("{}: {}", who.name, who.roles))
    };
    let required = tls("RequireAndVerifyClientCert");
    let given = tls("VerifyClientCertIfGiven") + clients;
    let tokens = required.clone() + &format!("tokens: [{{name: ci, sha256: '{}', roles: [read]}}]\n", digest(TOKEN));
    let header = format!("Bearer {TOKEN}");
    let everything = "client CN=x: read, write, feedback, operate".to_owned();
    assert_eq!(ask(&required, Some("CN=x"), None), Ok(everything), "as Prometheus has it");
    assert_eq!(ask(&required, None, None), Err(Denied::NoCredentials));
    assert_eq!(ask(&given, Some("CN=prometheus"), None), Ok("client CN=prometheus: write".to_owned()));
    assert_eq!(ask(&given, Some("CN=x"), None), Err(Denied::UnknownClient("CN=x".into())));
    assert_eq!(ask(&given, None, None), Err(Denied::NoCredentials));
    assert_eq!(ask(&tokens, Some("CN=x"), None), Err(Denied::NoCredentials), "the token is asked for beside it");
    assert_eq!(ask(&tokens, Some("CN=x"), Some(&header)), Ok("token ci: read".to_owned()));
    assert_eq!(ask(&given, Some("CN=prometheus"), Some(&header)), Err(Denied::WrongToken), "a header counts first");
}

#[test]
fn a_file_that_cannot_be_used_is_refused_with_its_place_and_no_secret() {
    let dir = tempfile::tempdir().expect("a folder");
    pem(dir.path(), "a", "a", None);
    pem(dir.path(), "b", "b", None);
    let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).expect("written");
    write("short", "hunter2\n");
    write("two", "hunter2hunter2hunter2 hunter2\n");
    write("none.pem", "hunter2\n");
    let token = |fields: &str| format!("tokens:\n  - {{name: a, {fields}}}\n");
    let tls = |fields: &str| format!("tls_server_config: {{cert_file: a.pem, key_file: a.key, {fields}}}\n");
    let hex = digest("hunter2");
    for (text, place, words) in [
        ("token: []\n".to_owned(), "line 1 column 1", "did you mean `tokens`"),
        ("hunter2: 1\n".to_owned(), "line 1 column 1", "known are tls_server_config"),
        ("hunter2\n".to_owned(), "line 1 column 1", "KEY: VALUE"),
        ("tokens: hunter2\n".to_owned(), "line 1 column 9", "a list is wanted"),
        ("tokens: [hunter2]\n".to_owned(), "line 1 column 10", "KEY: VALUE"),
        ("tokens: 'hunter2\n".to_owned(), "line 1 column 9", "close it"),
        (token("sha256: hunter2, roles: [read]"), "line 2 column 23", "64 hex digits"),
        (token("sha256: 7, roles: [read]"), "line 2 column 23", "in quotes"),
        (token("token: hunter2, roles: [read]"), "line 2 column 15", "did you mean `token_file`"),
        (token("roles: [read]"), "line 2 column 5", "sha256 and token_file"),
        (token(&format!("sha256: '{hex}'")), "line 2", "roles is missing"),
        (token(&format!("sha256: '{hex}', roles: [hunter2]")), "line 2", "read, write, feedback, operate"),
        (token(&format!("sha256: '{hex}', roles: []")), "line 2", "read, write, feedback, operate"),
        (token(&format!("sha256: '{hex}', roles: [read], expires: soon")), "line 2", "RFC 3339"),
        (token("token_file: short, roles: [read]"), "line 2", "shorter than 16"),
        (token("token_file: two, roles: [read]"), "line 2", "one line of ASCII"),
        (token("token_file: nowhere, roles: [read]"), "line 2", "cannot read DIR/nowhere"),
        (
            format!(
                "tokens:\n  - {{name: a, sha256: '{hex}', roles: [read]}}\n  - {{name: b, sha256: '{hex}', roles: [read]}}\n"
            ),
            "line 3",
            "the same token",
        ),
        ("basic_auth_users:\n  ann: hunter2\n".to_owned(), "line 2 column 8", "bcrypt hash is wanted"),
        ("basic_auth_users:\n  ann: 7\n".to_owned(), "line 2 column 8", "in quotes"),
        ("users:\n  ann: [read]\n".to_owned(), "line 2 column 8", "nobody under basic_auth_users"),
        ("clients: [{subject: CN=a, roles: [read]}]\n".to_owned(), "line 1", "client_auth_type"),
        ("tls_server_config: {cert_file: a.pem}\n".to_owned(), "line 1", "key_file is missing"),
        (tls("client_auth_type: hunter2"), "line 1", "RequireAndVerifyClientCert"),
        (tls("client_auth_type: RequireAnyClientCert"), "line 1", "nobody verifies"),
        (tls("client_auth_type: VerifyClientCertIfGiven"), "line 1", "client_ca_file is missing"),
        (tls("client_ca_file: a.pem"), "line 1", "client_auth_type"),
        (tls("min_version: TLS10"), "line 1", "TLS12 or TLS13"),
        (tls("min_version: TLS13, max_version: TLS12"), "line 1", "lies under min_version"),
        (tls("cipher_suites: []"), "line 1", "take it out"),
        ("tls_server_config: {cert_file: a.pem, key_file: b.key}\n".to_owned(), "line 1", "does not go with"),
        ("tls_server_config: {cert_file: none.pem, key_file: a.key}\n".to_owned(), "line 1", "no certificate"),
        ("tls_server_config: {cert_file: a.pem, key_file: none.pem}\n".to_owned(), "line 1", "no private key"),
        ("tls_server_config: {cert_file: a.pem, key_file: gone}\n".to_owned(), "line 1", "cannot read DIR/gone"),
    ] {
        let said = gate(&dir, &text).err().expect(&text);
        assert!(said.starts_with("DIR/access.yml ") && said.contains(place) && said.contains(words), "{text}: {said}");
        assert!(!said.contains("hunter2") && !said.contains(&hex), "{text}: {said}");
    }
    for text in ["", "{}", "tokens: []", "tokens:\nbasic_auth_users:\n", &tls("min_version: TLS13")] {
        assert!(gate(&dir, text).is_ok(), "{text}");
    }
}

#[test]
fn a_file_is_read_again_when_anything_of_it_changes_and_what_is_spoiled_changes_nothing() {
    let dir = tempfile::tempdir().expect("a folder");
    pem(dir.path(), "a", "a", None);
    let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).expect("written");
    write("token", "hst_first_first_first\n");
    let text =
        "tls_server_config: {cert_file: a.pem, key_file: a.key}\ntokens: [{name: a, token_file: token, roles: [read]}]";
    let gate = gate(&dir, text).expect("a file");
    let changes = gate.changes();
    let times = || *changes.borrow();
    let lets_in = |token: &str| {
        let header = format!("Bearer {token}");
        runtime().block_on(gate.who(Some(header.as_bytes()), &peer(None), Timestamp::EPOCH)).is_ok()
    };
    gate.look().expect("nothing is wrong");
    assert_eq!(times(), 0);
    write("token", "hst_second_second_second\n");
    gate.look().expect("nothing is wrong");
    assert_eq!((times(), lets_in("hst_first_first_first"), lets_in("hst_second_second_second")), (1, false, true));
    write("a.pem", "spoiled");
    write("token", "hst_third_third_third\n");
    gate.look().expect_err("spoiled");
    gate.look().expect_err("still");
    let tally = |of: &AtomicU64| of.load(Ordering::Relaxed);
    assert_eq!((times(), tally(&gate.tally.read_errors), lets_in("hst_second_second_second")), (1, 1, true));
    assert!(gate.tally.spoiled.load(Ordering::Relaxed));
    pem(dir.path(), "a", "b", None);
    gate.look().expect("mended");
    assert_eq!((times(), lets_in("hst_third_third_third")), (2, true));
    assert!(!gate.tally.spoiled.load(Ordering::Relaxed));
    // What is half written is found so once, and not taken; what stays is.
    write("token", "hst_fourth_half_writ");
    gate.look_again();
    write("token", "hst_fourth_half_written\n");
    gate.look_again();
    assert_eq!((times(), lets_in("hst_third_third_third")), (2, true));
    gate.look_again();
    assert_eq!((times(), lets_in("hst_fourth_half_written")), (3, true));
    write("token", "hst_third_third_third\n");
    gate.look().expect("asked for, it is taken at once");
    // A file that was cut off opens nothing, and an empty list is a list.
    for text in ["", "tls_server_config: {cert_file: a.pem, key_file: a.key}"] {
        write("access.yml", text);
        let said = gate.look().expect_err(text);
        assert!(said.contains("asks nobody"), "{said}");
        assert!(!lets_in("anybody") && lets_in("hst_third_third_third"));
    }
    write("access.yml", "tokens: []");
    gate.look().expect("nobody gets in");
    assert!(!lets_in("hst_third_third_third"));
    write("access.yml", text);
    gate.look().expect("mended");
    std::fs::remove_file(dir.path().join("access.yml")).expect("there");
    gate.look().expect_err("gone");
    assert!(lets_in("hst_third_third_third"), "who takes the file away opens nothing");
}
