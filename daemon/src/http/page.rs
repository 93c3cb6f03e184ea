//! The page's files, held in the binary.

use super::problem::Problem;
use axum::extract::Path;
use axum::http::header;
use axum::response::{IntoResponse, Response};

macro_rules! files {
    ($($path:literal => $kind:literal),* $(,)?) => {
        /// Path, content type and bytes of each file.
        const FILES: &[(&str, &str, &[u8])] = &[$(($path, $kind, include_bytes!(concat!("../../ui/", $path)))),*];
    };
}

const JS: &str = "text/javascript; charset=utf-8";

files! {
    "index.html" => "text/html; charset=utf-8",
    "style.css" => "text/css; charset=utf-8",
    "favicon.svg" => "image/svg+xml",
    "api.js" => "js",
    "app.js" => "js",
    "chart.js" => "js",
    "dom.js" => "js",
    "events.js" => "js",
    "format.js" => "js",
    "loops.js" => "js",
    "sentences.js" => "js",
    "series.js" => "js",
    "state.js" => "js",
    "theme.js" => "js",
    "vendor/uplot/uPlot.iife.min.js" => "js",
    "vendor/uplot/uPlot.min.css" => "text/css; charset=utf-8",
}

pub async fn index() -> Response {
    file("index.html")
}

pub async fn asset(Path(path): Path<String>) -> Response {
    file(&path)
}

fn file(path: &str) -> Response {
    match FILES.iter().find(|(name, _, _)| *name == path) {
        // A new version of the program brings new files under the same names.
        Some((_, kind, bytes)) => {
            let kind = if *kind == "js" { JS } else { kind };
            ([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "no-cache")], *bytes).into_response()
        }
        None => Problem::not_found(format!("there is nothing at /{path}; / is the page, /api/v1/openapi.json describes the API")).into_response(),
    }
}
