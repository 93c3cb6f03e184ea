//! What this daemon shows of itself in a handshake, and what it reads from a client's certificate.

use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use std::path::PathBuf;
use std::sync::Arc;
use x509_parser::prelude::{FromDer, X509Certificate};

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Debug)]
pub enum Version {
    Tls12,
    Tls13,
}

type Named = (PathBuf, Vec<u8>);

/// A server's side of TLS. The error is a key of `tls_server_config` and what is wrong with it.
pub fn server(
    cert: &Named,
    key: &Named,
    client_ca: Option<&Named>,
    clients_required: bool,
    min: Option<Version>,
    max: Option<Version>,
) -> Result<Arc<rustls::ServerConfig>, (&'static str, String)> {
    let (min, max) = (min.unwrap_or(Version::Tls12), max.unwrap_or(Version::Tls13));
    let versions: &[&rustls::SupportedProtocolVersion] = match (min, max) {
        (Version::Tls12, Version::Tls13) => &[&rustls::version::TLS13, &rustls::version::TLS12],
        (Version::Tls13, Version::Tls13) => &[&rustls::version::TLS13],
        (Version::Tls12, Version::Tls12) => &[&rustls::version::TLS12],
        (Version::Tls13, Version::Tls12) => return Err(("max_version", "it lies under min_version".to_owned())),
    };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(versions)
        .map_err(|error| ("min_version", error.to_string()))?;
    let chain = certificates(cert).map_err(|problem| ("cert_file", problem))?;
    let (path, bytes) = key;
    let shown = path.display();
    // What a reader of PEM says may quote what it read.
    let key = PrivateKeyDer::from_pem_slice(bytes).map_err(|_| {
        ("key_file", format!("{shown} holds no private key in PEM (PKCS#8, PKCS#1 or SEC1, not encrypted)"))
    })?;
    let builder = match client_ca {
        None => builder.with_no_client_auth(),
        Some(ca) => {
            let wrong = |problem: String| ("client_ca_file", problem);
            let mut roots = RootCertStore::empty();
            for certificate in certificates(ca).map_err(wrong)? {
                let shown = ca.0.display();
                roots.add(certificate).map_err(|error| wrong(format!("{shown} holds none that can sign: {error}")))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            let verifier = if clients_required { verifier } else { verifier.allow_unauthenticated() };
            builder.with_client_cert_verifier(verifier.build().map_err(|error| wrong(error.to_string()))?)
        }
    };
    let mut server = builder
        .with_single_cert(chain, key)
        .map_err(|error| ("key_file", format!("{shown} does not go with the certificate: {error}")))?;
    server.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(server))
}

fn certificates((path, bytes): &Named) -> Result<Vec<CertificateDer<'static>>, String> {
    let shown = path.display();
    let found = CertificateDer::pem_slice_iter(bytes).collect::<Result<Vec<_>, _>>();
    match found {
        Err(_) => Err(format!("{shown} is not PEM")),
        Ok(none) if none.is_empty() => Err(format!("{shown} holds no certificate; PEM is wanted")),
        Ok(found) => Ok(found),
    }
}

/// The subject of a certificate, in the order it stands there: `CN=prometheus,O=example`. None: it has none that can be read.
/// What could be taken for another part of it is escaped, as RFC 4514 has it.
pub fn subject(certificate: &CertificateDer<'_>) -> Option<String> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    let mut parts = Vec::new();
    for relative in parsed.subject().iter() {
        let mut values = Vec::new();
        for attribute in relative.iter() {
            let oid = attribute.attr_type().to_id_string();
            let name = NAMES.iter().find(|(known, _)| *known == oid).map_or(oid.as_str(), |(_, name)| name);
            values.push(format!("{name}={}", escaped(attribute.as_str().ok()?)));
        }
        parts.push(values.join("+"));
    }
    (!parts.is_empty()).then(|| parts.join(","))
}

const NAMES: [(&str, &str); 9] = [
    ("2.5.4.3", "CN"),
    ("2.5.4.10", "O"),
    ("2.5.4.11", "OU"),
    ("2.5.4.6", "C"),
    ("2.5.4.8", "ST"),
    ("2.5.4.7", "L"),
    ("2.5.4.5", "serialNumber"),
    ("0.9.2342.19200300.100.1.25", "DC"),
    ("1.2.840.113549.1.9.1", "emailAddress"),
];

fn escaped(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    for c in value.chars() {
        if matches!(c, ',' | '+' | '\\' | '"' | '<' | '>' | ';' | '=') {
            text.push('\\');
        }
        text.push(if c.is_control() { '\u{FFFD}' } else { c });
    }
    text
}

/// A subject as a person writes it, with blanks where openssl puts some, as [`subject`] gives it.
pub fn normal_subject(said: &str) -> String {
    let mut normal = String::with_capacity(said.len());
    let mut chars = said.trim().chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' => {
                normal.push(c);
                normal.extend(chars.next());
            }
            ',' | '+' | '=' => {
                normal.truncate(normal.trim_end().len());
                normal.push(c);
                while chars.next_if(|c| *c == ' ').is_some() {}
            }
            c => normal.push(c),
        }
    }
    normal
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, DnType, KeyPair};

    #[test]
    fn a_subject_is_told_whole_and_cannot_pass_for_another_one() {
        let of = |names: &[(DnType, &str)]| {
            let mut params = CertificateParams::new(Vec::new()).expect("parameters");
            params.distinguished_name = rcgen::DistinguishedName::new();
            for (kind, name) in names {
                params.distinguished_name.push(kind.clone(), *name);
            }
            let signed = params.self_signed(&KeyPair::generate().expect("a key")).expect("signed");
            subject(signed.der())
        };
        let (cn, o) = (DnType::CommonName, DnType::OrganizationName);
        let told = of(&[(o.clone(), "example"), (cn.clone(), "prometheus")]);
        assert!(
            ["O=example,CN=prometheus", "CN=prometheus,O=example"]
                .map(|text| told.as_deref() == Some(text))
                .contains(&true)
        );
        assert_eq!(of(&[(cn.clone(), "a,O=admins")]).as_deref(), Some("CN=a\\,O\\=admins"));
        assert_eq!(of(&[(cn, "a\nb")]).as_deref(), Some("CN=a\u{FFFD}b"));
        assert_eq!(of(&[]), None);
    }

    #[test]
    fn blanks_as_openssl_has_them_do_not_matter() {
        for said in ["CN=a b,O=x", "CN = a b, O = x", " CN=a b , O=x "] {
            assert_eq!(normal_subject(said), "CN=a b,O=x", "{said}");
        }
        assert_eq!(normal_subject(r"CN=a\, b"), r"CN=a\, b");
    }
}
