//! The API's description, OpenAPI 3.1. A test holds it against the router.

use axum::Json;
use serde_json::{Map, Value, json};

/// Path, method, what it answers, query parameters, and whether it is a list.
type Route = (&'static str, &'static str, &'static str, &'static [&'static str], Shape);

#[derive(Clone, Copy, PartialEq)]
enum Shape {
    List,
    Single,
    Id,
    Text,
}

const LIST: &[&str] = &["limit", "page"];
const BY_SERIES: &[&str] = &["limit", "page", "match[]"];
const HEARD: &[&str] = &["limit", "page", "loop", "series"];

const ROUTES: &[Route] = &[
    ("/api/v1/series", "get", "Series held, by name", BY_SERIES, Shape::List),
    ("/api/v1/series/samples", "get", "The last samples of a series, with its bounds and breaches", &["series", "limit"], Shape::Single),
    ("/api/v1/thresholds", "get", "Learned thresholds, by series", BY_SERIES, Shape::List),
    ("/api/v1/explain", "get", "Why a series' bounds are as they are", &["series"], Shape::Single),
    ("/api/v1/statistics", "get", "What was learned, counted", &[], Shape::Single),
    ("/api/v1/optimizations", "get", "Learnings that gave something new, newest first", LIST, Shape::List),
    ("/api/v1/state", "get", "The state and its evidence", &[], Shape::Single),
    ("/api/v1/state", "post", "Hold a state: {state, for}", &[], Shape::Single),
    ("/api/v1/transitions", "get", "Moves between states, newest first", LIST, Shape::List),
    ("/api/v1/parameters", "get", "The parameters in force", &[], Shape::Single),
    ("/api/v1/loops", "get", "The five feedback loops", &[], Shape::List),
    ("/api/v1/signals", "get", "What the loops heard, newest first", HEARD, Shape::List),
    ("/api/v1/actions", "get", "What the loops changed, newest first", HEARD, Shape::List),
    ("/api/v1/events", "get", "Everything that was decided, newest first; text/event-stream streams it", &["limit", "page", "kind", "series", "after"], Shape::List),
    ("/api/v1/freeze", "post", "Stop all changes, or let them go on: {frozen}", &[], Shape::Single),
    ("/api/v1/feedback", "post", "A verdict: {series, verdict: true|false|missed, at?}; answers once it is durable", &[], Shape::Id),
    ("/api/v1/openapi.json", "get", "This description", &[], Shape::Single),
    ("/metrics", "get", "Our own metrics", &[], Shape::Text),
    ("/metrics/thresholds", "get", "Learned thresholds as metrics", &[], Shape::Text),
    ("/-/healthy", "get", "Whether the process answers", &[], Shape::Text),
    ("/-/ready", "get", "Whether what was stored is loaded and this host was read", &[], Shape::Text),
    ("/-/reload", "post", "Read the configuration again", &[], Shape::Text),
];

pub async fn document() -> Json<Value> {
    let mut paths = Map::new();
    for (path, method, about, query, shape) in ROUTES {
        let parameters: Vec<Value> = query
            .iter()
            .map(|name| {
                let kind = if *name == "limit" { json!({ "type": "integer", "minimum": 1, "maximum": 1000, "default": 100 }) } else { json!({ "type": "string" }) };
                json!({ "name": name, "in": "query", "schema": kind })
            })
            .collect();
        let (content, schema) = match shape {
            Shape::List => ("application/json", json!({ "type": "object", "required": ["data", "next"], "properties": { "data": { "type": "array", "items": { "type": "object" } }, "next": { "type": ["string", "null"] } } })),
            Shape::Single => ("application/json", json!({ "type": "object", "properties": { "data": { "type": "object" } } })),
            Shape::Id => ("application/json", json!({ "type": "object", "required": ["id"], "properties": { "id": { "type": "integer", "minimum": 1 } } })),
            Shape::Text => ("text/plain", json!({ "type": "string" })),
        };
        let mut operation = json!({
            "summary": about,
            "parameters": parameters,
            "responses": {
                "200": { "description": about, "content": { content: { "schema": schema } } },
                "default": { "description": "What went wrong and what to do", "content": { "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" } } } },
            },
        });
        if let Some(body) = body(path, method) {
            operation["requestBody"] = json!({ "required": true, "content": { "application/json": { "schema": body } } });
        }
        let entry = paths.entry((*path).to_owned()).or_insert_with(|| json!({}));
        entry[*method] = operation;
    }
    Json(json!({
        "openapi": "3.1.0",
        "info": { "title": "homeostat", "version": env!("CARGO_PKG_VERSION"), "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" } },
        "paths": paths,
        "components": { "schemas": { "Problem": { "type": "object", "properties": {
            "type": { "type": "string" }, "title": { "type": "string" }, "status": { "type": "integer" }, "detail": { "type": "string" } } } } },
    }))
}

fn body(path: &str, method: &str) -> Option<Value> {
    let object = |required: Value, properties: Value| json!({ "type": "object", "required": required, "properties": properties, "additionalProperties": false });
    match (path, method) {
        ("/api/v1/feedback", "post") => Some(object(
            json!(["series", "verdict"]),
            json!({ "series": { "type": "string" }, "verdict": { "enum": ["true", "false", "missed"] }, "at": { "type": "string" } }),
        )),
        ("/api/v1/state", "post") => Some(object(
            json!(["state"]),
            json!({ "state": { "enum": ["healthy", "optimizing", "degraded", "critical", "recovering"] }, "for": { "type": "string" } }),
        )),
        ("/api/v1/freeze", "post") => Some(object(json!(["frozen"]), json!({ "frozen": { "type": "boolean" } }))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_of_the_router_is_described() {
        let router = include_str!("../http.rs");
        let routed = router.split(".route(\"").skip(1).filter_map(|rest| rest.split('"').next());
        for path in routed.filter(|path| *path != "/" && !path.contains('*')) {
            assert!(ROUTES.iter().any(|(described, ..)| *described == path), "{path} is not described");
        }
    }
}
