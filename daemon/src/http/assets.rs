//! The page's files, part of the binary: one file to copy, and nothing to find at run time.
//!
//! `build.rs` lists what lies in `ui/`. Every answer is checked again by its tag, so that a new version shows at once.

use crate::http::problem::Problem;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

/// A file of the page.
pub struct Asset {
    /// Under the root, without a leading slash.
    pub path: &'static str,
    pub body: &'static [u8],
    /// Hash of the body, in quotes, as ETag has it.
    pub tag: &'static str,
}

/// In order of path.
pub static ASSETS: &[Asset] = include!(concat!(env!("OUT_DIR"), "/assets.rs"));

fn content_type(path: &str) -> &'static str {
    match path.rsplit('.').next().unwrap_or_default() {
        "html" => "text/html; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "json" | "map" => "application/json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        _ => "text/plain; charset=utf-8",
    }
}

/// The file at a path (`/` is the page itself), or nothing new when the client has it already.
pub fn get(path: &str, headers: &HeaderMap) -> Result<Response, Problem> {
    let path = path.trim_start_matches('/');
    let path = if path.is_empty() { "index.html" } else { path };
    let asset = ASSETS.binary_search_by(|asset| asset.path.cmp(path)).map(|at| &ASSETS[at]).map_err(|_| {
        Problem::not_found(format!("there is nothing at /{path}; / is the page, /api/v1/openapi.json tells the rest"))
    })?;
    let has_it = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|tags| tags.to_str().ok()).any(|tags| {
        tags.split(',').map(|tag| tag.trim().trim_start_matches("W/")).any(|tag| tag == asset.tag || tag == "*")
    });
    let mut response = match has_it {
        true => StatusCode::NOT_MODIFIED.into_response(),
        false => asset.body.into_response(),
    };
    let headers = response.headers_mut();
    headers.insert(header::ETAG, HeaderValue::from_static(asset.tag));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    if !has_it {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type(path)));
    }
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_found_with_its_type_and_is_not_sent_twice() {
        assert!(ASSETS.is_sorted_by_key(|asset| asset.path));
        for asset in ASSETS {
            let response = get(asset.path, &HeaderMap::new()).expect("listed");
            assert_eq!(response.headers()[header::CONTENT_TYPE], content_type(asset.path));
            let mut headers = HeaderMap::new();
            headers.insert(header::IF_NONE_MATCH, HeaderValue::from_static(asset.tag));
            assert_eq!(get(asset.path, &headers).expect("listed").status(), StatusCode::NOT_MODIFIED);
        }
        assert_eq!(get("/../Cargo.toml", &HeaderMap::new()).expect_err("outside").status, StatusCode::NOT_FOUND);
    }

    #[test]
    fn everything_the_page_asks_for_is_there() {
        let index = ASSETS.iter().find(|asset| asset.path == "index.html").expect("a page");
        let index = std::str::from_utf8(index.body).expect("text");
        let asked = ["href=\"", "src=\""].into_iter().flat_map(|start| index.split(start).skip(1));
        let asked: Vec<&str> =
            asked.filter_map(|rest| rest.split('"').next()).filter(|path| !path.starts_with('#')).collect();
        assert!(asked.contains(&"style.css"), "{asked:?}");
        for path in asked {
            assert!(ASSETS.iter().any(|asset| asset.path == path), "{path}");
        }
    }
}
