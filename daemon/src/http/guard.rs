//! Who may ask, and how: checked before any handler sees a request.

use super::problem::Problem;
use crate::config::Config;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::net::IpAddr;
use std::sync::Arc;

/// Names under which the daemon is asked for, beside plain addresses.
#[derive(Clone)]
pub struct Names(Arc<Vec<String>>);

impl Names {
    pub fn of(config: &Config) -> Names {
        let external = config.daemon.http.external_url.as_ref().and_then(|url| url.parse::<Uri>().ok());
        let external = external.and_then(|url| url.host().map(str::to_ascii_lowercase));
        Names(Arc::new(std::iter::once("localhost".to_owned()).chain(external).collect()))
    }

    /// A plain address passes; a name has to be one of ours, or a page elsewhere could point its own name here.
    fn know(&self, authority: &str) -> bool {
        let host = match authority.parse::<axum::http::uri::Authority>() {
            Ok(authority) => authority.host().trim_matches(['[', ']']).to_ascii_lowercase(),
            Err(_) => return false,
        };
        host.parse::<IpAddr>().is_ok() || self.0.contains(&host)
    }
}

pub async fn check(State(names): State<Names>, request: Request, next: Next) -> Response {
    match refusal(&names, request.method(), request.uri(), request.headers()) {
        None => next.run(request).await,
        Some(problem) => problem.into_response(),
    }
}

fn refusal(names: &Names, method: &Method, uri: &Uri, headers: &HeaderMap) -> Option<Problem> {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).or(uri.authority().map(|a| a.as_str()));
    let Some(host) = host else { return Some(Problem::bad_request("the request names no Host")) };
    if !names.know(host) {
        let detail = format!("`{host}` is not a name of this homeostat; ask by address, or set http.external_url");
        return Some(Problem::new(StatusCode::FORBIDDEN, detail));
    }
    if matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS) {
        return None;
    }
    if let Some(origin) = headers.get(header::ORIGIN) {
        let origin = origin.to_str().ok().and_then(|origin| origin.parse::<Uri>().ok());
        let ours = origin.as_ref().and_then(Uri::authority).is_some_and(|a| a.as_str().eq_ignore_ascii_case(host) || external(names, a.host()));
        if !ours {
            let detail = "the request comes from a page of another origin; changes are taken from our own page alone";
            return Some(Problem::new(StatusCode::FORBIDDEN, detail));
        }
    }
    let json = headers
        .get(header::CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok())
        .is_some_and(|kind| kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json")));
    // Receivers and the reload take types of their own.
    if uri.path() != "/-/reload" && !json {
        let detail = "a request that changes something has to be Content-Type: application/json";
        return Some(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail));
    }
    None
}

/// The name people reach the page by, other than localhost: behind a proxy Host and Origin may differ in their port.
fn external(names: &Names, host: &str) -> bool {
    names.0.iter().skip(1).any(|name| name.eq_ignore_ascii_case(host))
}

/// Headers that keep a browser from doing with an answer what was not meant.
pub async fn secure(mut response: Response) -> Response {
    const HEADERS: [(HeaderName, &str); 4] = [
        (header::CONTENT_SECURITY_POLICY, "default-src 'self'; img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    for (name, value) in HEADERS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(method: Method, path: &str, headers: &[(&str, &str)]) -> Option<StatusCode> {
        let mut config = Config::default();
        config.daemon.http.external_url = Some("https://tune.example.org".to_owned());
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(HeaderName::try_from(*name).expect("a header"), HeaderValue::from_str(value).expect("a value"));
        }
        let uri = path.parse().expect("a path");
        refusal(&Names::of(&config), &method, &uri, &map).map(|problem| problem.into_response().status())
    }

    #[test]
    fn a_name_that_is_not_ours_is_refused_and_addresses_pass() {
        for host in ["127.0.0.1:9797", "[::1]:9797", "localhost:1", "LOCALHOST", "tune.example.org", "192.0.2.7"] {
            assert_eq!(status(Method::GET, "/", &[("host", host)]), None, "{host}");
        }
        for host in ["evil.example", "localhost.evil.example:9797", "127.0.0.1.nip.io", "a b"] {
            assert_eq!(status(Method::GET, "/", &[("host", host)]), Some(StatusCode::FORBIDDEN), "{host}");
        }
        assert_eq!(status(Method::GET, "/", &[]), Some(StatusCode::BAD_REQUEST));
    }

    #[test]
    fn what_changes_something_is_json_and_from_our_own_page() {
        let ours = ("host", "127.0.0.1:9797");
        let json = ("content-type", "application/json; charset=utf-8");
        let post = |headers: &[(&str, &str)]| status(Method::POST, "/api/v1/feedback", headers);
        assert_eq!(post(&[ours, json]), None);
        assert_eq!(post(&[ours, json, ("origin", "http://127.0.0.1:9797")]), None);
        assert_eq!(post(&[ours, json, ("origin", "https://tune.example.org")]), None);
        for origin in ["http://evil.example", "null", "http://127.0.0.1:80"] {
            assert_eq!(post(&[ours, json, ("origin", origin)]), Some(StatusCode::FORBIDDEN), "{origin}");
        }
        for kind in ["text/plain", "application/x-www-form-urlencoded"] {
            assert_eq!(post(&[ours, ("content-type", kind)]), Some(StatusCode::UNSUPPORTED_MEDIA_TYPE));
        }
        assert_eq!(post(&[ours]), Some(StatusCode::UNSUPPORTED_MEDIA_TYPE));
        assert_eq!(status(Method::POST, "/-/reload", &[ours]), None);
        assert_eq!(status(Method::POST, "/-/reload", &[ours, ("origin", "http://evil.example")]), Some(StatusCode::FORBIDDEN));
    }
}
