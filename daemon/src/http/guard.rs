//! Who may ask, before anything is looked at.
//!
//! There is no password on a loopback address, so a web page that a person happens to have open is the stranger at the
//! door. It can make the browser send requests here in two ways: under a name of its own that resolves to this address
//! (DNS rebinding), which the Host header tells; and across sites, which the Origin header tells, or a content type that
//! no form can send.

use crate::http::problem::Problem;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, Method, StatusCode, Uri, Version, header};
use std::net::IpAddr;

/// How long a head is, in bytes, but for its method.
pub fn head_len(uri: &Uri, headers: &HeaderMap) -> usize {
    let target = uri.path_and_query().map_or(0, |target| target.as_str().len());
    // A colon, a blank and the end of the line.
    target + headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum::<usize>()
}

/// Lets a request pass, or says why not. `external` is the name in `http.external_url`.
pub fn check(
    method: &Method,
    uri: &Uri,
    version: Version,
    headers: &HeaderMap,
    external: Option<&str>,
) -> Result<(), Problem> {
    let host = host(headers, version)?;
    // In absolute form the target names a host too, and it is the one that counts; both have to be ours.
    for authority in host.iter().chain(uri.authority()) {
        if !is_ours(authority.host(), external) {
            return Err(Problem::new(
                StatusCode::FORBIDDEN,
                format!(
                    "`{}` is not a name of this daemon; use its address or localhost, or set http.external_url to the \
                     address people reach it by",
                    authority.host()
                ),
            ));
        }
    }
    if !changes(method) {
        return Ok(());
    }
    if let Some(origin) = headers.get(header::ORIGIN)
        && !origin.to_str().is_ok_and(|origin| is_own(origin, host.as_ref(), external))
    {
        return Err(Problem::new(
            StatusCode::FORBIDDEN,
            "a page of another origin may not change anything here; open the daemon's own page, or send the request \
             without an Origin",
        ));
    }
    Ok(())
}

/// What changes something is JSON, as no form of a foreign page can send it. Asked once it is known that there is something at
/// the path that takes the method: what is not there needs no type.
pub fn check_type(method: &Method, uri: &Uri, headers: &HeaderMap) -> Result<(), Problem> {
    if changes(method) && takes_json(uri.path()) && !is_json(headers) {
        return Err(Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "a request that changes something has to carry Content-Type: application/json",
        ));
    }
    Ok(())
}

fn changes(method: &Method) -> bool {
    !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE)
}

/// Everything that changes something takes JSON, but what has a form of its own. Samples have one that no form of a page can send
/// either; where they come in it is looked at.
fn takes_json(path: &str) -> bool {
    !matches!(path, "/-/reload" | "/api/v1/write" | "/v1/metrics")
}

fn is_json(headers: &HeaderMap) -> bool {
    let Some(Ok(kind)) = headers.get(header::CONTENT_TYPE).map(|kind| kind.to_str()) else { return false };
    let kind = kind.split(';').next().unwrap_or_default().trim();
    kind.eq_ignore_ascii_case("application/json")
}

/// The one Host of the request. HTTP/1.1 wants exactly one; 1.0 knows none.
fn host(headers: &HeaderMap, version: Version) -> Result<Option<Authority>, Problem> {
    let mut hosts = headers.get_all(header::HOST).iter();
    match (hosts.next(), hosts.next()) {
        (None, _) if version < Version::HTTP_11 => Ok(None),
        (Some(host), None) => match host.to_str().ok().and_then(|host| host.parse::<Authority>().ok()) {
            // `user@host` parses as an authority and is none of a Host header.
            Some(authority) if !authority.as_str().contains('@') && has_port_or_none(&authority) => Ok(Some(authority)),
            _ => Err(Problem::bad_request("the Host header is not HOST or HOST:PORT")),
        },
        (None, _) => Err(Problem::bad_request("HTTP/1.1 wants a Host header")),
        (Some(_), Some(_)) => Err(Problem::bad_request("the request has more than one Host header; send one")),
    }
}

fn has_port_or_none(authority: &Authority) -> bool {
    let after = authority.as_str().strip_prefix(authority.host()).unwrap_or_default();
    after.is_empty() || authority.port_u16().is_some()
}

/// An address, localhost, or the name people reach us by; the port does not matter.
fn is_ours(host: &str, external: Option<&str>) -> bool {
    if is_address(host) {
        return true;
    }
    let name = host.strip_suffix('.').unwrap_or(host);
    name.eq_ignore_ascii_case("localhost") || external.is_some_and(|external| name.eq_ignore_ascii_case(external))
}

fn is_address(host: &str) -> bool {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    bare.parse::<IpAddr>().is_ok()
}

/// Whether a page of this origin is ours: it was served under the very host that is asked now, or under our own name.
fn is_own(origin: &str, host: Option<&Authority>, external: Option<&str>) -> bool {
    let Ok(origin) = origin.parse::<Uri>() else { return false };
    let (Some(scheme), Some(authority)) = (origin.scheme_str(), origin.authority()) else { return false };
    let default = match scheme {
        "http" => 80,
        "https" => 443,
        _ => return false,
    };
    let port = |authority: &Authority| authority.port_u16().unwrap_or(default);
    let same =
        host.is_some_and(|host| host.host().eq_ignore_ascii_case(authority.host()) && port(host) == port(authority));
    same || external.is_some_and(|external| authority.host().eq_ignore_ascii_case(external))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::{HeaderName, HeaderValue};

    fn asked(method: &str, path: &str, headers: &[(&str, &str)]) -> u16 {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            let name: HeaderName = name.parse().expect("a header's name");
            map.append(name, HeaderValue::from_str(value).expect("a header's value"));
        }
        let uri: Uri = path.parse().expect("a target");
        let method: Method = method.parse().expect("a method");
        let external = Some("tune.example.org");
        check(&method, &uri, Version::HTTP_11, &map, external)
            .and_then(|()| check_type(&method, &uri, &map))
            .map_or_else(|problem| problem.status.as_u16(), |()| 200)
    }

    #[test]
    fn names_other_than_ours_are_refused_and_addresses_pass_on_any_port() {
        for (host, status) in [
            ("localhost", 200),
            ("LocalHost:9797", 200),
            ("localhost.:1", 200),
            ("127.0.0.1:9797", 200),
            ("192.168.1.7", 200),
            ("[::1]:9797", 200),
            ("[fe80::1]", 200),
            ("tune.example.org:8443", 200),
            ("evil.example", 403),
            ("localhost.evil.example:9797", 403),
            ("127.0.0.1.evil.example", 403),
            ("x.localhost", 403),
            ("127.1", 403),
            ("user@localhost", 400),
            ("localhost:port", 400),
            ("", 400),
        ] {
            assert_eq!(asked("GET", "/", &[("host", host)]), status, "{host}");
        }
        assert_eq!(asked("GET", "/", &[]), 400);
        assert_eq!(asked("GET", "/", &[("host", "localhost"), ("host", "evil.example")]), 400);
        assert_eq!(asked("GET", "http://evil.example/", &[("host", "localhost")]), 403, "absolute form");
        let old = check(&Method::GET, &Uri::from_static("/"), Version::HTTP_10, &HeaderMap::new(), None);
        assert!(old.is_ok(), "HTTP/1.0 knows no Host");
    }

    #[test]
    fn what_changes_something_is_json_and_of_our_own_origin() {
        let json = ("content-type", "application/json; charset=utf-8");
        let host = ("host", "127.0.0.1:9797");
        let path = "/api/v1/feedback";
        for method in ["POST", "PUT", "DELETE", "PATCH"] {
            assert_eq!(asked(method, path, &[host]), 415);
            assert_eq!(asked(method, path, &[host, ("content-type", "text/plain")]), 415);
            assert_eq!(asked(method, path, &[host, json]), 200);
        }
        for (origin, status) in [
            ("http://127.0.0.1:9797", 200),
            ("https://tune.example.org", 200),
            ("http://127.0.0.1:8080", 403),
            ("http://127.0.0.1", 403),
            ("http://localhost:9797", 403),
            ("https://evil.example", 403),
            ("null", 403),
            ("", 403),
            ("file://", 403),
        ] {
            assert_eq!(asked("POST", path, &[host, json, ("origin", origin)]), status, "{origin}");
        }
        assert_eq!(asked("GET", path, &[host, ("origin", "https://evil.example")]), 200, "reading changes nothing");
        assert_eq!(asked("POST", "/-/reload", &[host]), 200, "reload keeps no type");
        assert_eq!(asked("POST", "/-/reload", &[host, ("origin", "https://evil.example")]), 403);
        assert_eq!(asked("POST", path, &[("host", "localhost"), json, ("origin", "http://localhost:80")]), 200);
    }
}
