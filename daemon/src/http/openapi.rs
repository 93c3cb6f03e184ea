//! The description of the API (OpenAPI 3.1). Shapes are made from the types that are sent, so they cannot drift apart;
//! that every route is here, and no other, is tested beside the routes.

use crate::http::alertmanager::{Noted, Taken, VerdictRow};
use crate::http::api::{Frozen, Reloaded};
use crate::http::audit::AuditRow;
use crate::http::feedback::Id;
use crate::http::import::Imported;
use crate::http::problem;
use crate::http::rows::{
    AbRow, ActionRow, CalendarRow, Explained, LoopRow, OptimizationRow, ParametersRow, ProposalRow, RolloutRow,
    Samples, SeriesRow, SignalRow, StateRow, Statistics, TransitionRow,
};
use crate::view::ThresholdRow;
use homeostat::versus::Report;
use schemars::{JsonSchema, SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};
use std::sync::LazyLock;

/// The whole document.
pub fn document() -> &'static Value {
    static DOCUMENT: LazyLock<Value> = LazyLock::new(build);
    &DOCUMENT
}

/// A parameter of the query: name, type, what it does.
type Parameter = (&'static str, &'static str, &'static str);

const LIMIT: Parameter = ("limit", "integer", "Rows at most: 100 unless said otherwise, 1000 at most.");
const PAGE: Parameter = ("page", "string", "The token in `next` of the page before.");
const MATCH: Parameter =
    ("match[]", "array", "Only rows about a series that one of these selects: NAME{label=\"value\"} with = != =~ !~.");
const SERIES: Parameter = ("series", "string", "Only rows about this series.");
const LOOP: Parameter = ("loop", "string", "Only rows of this feedback loop.");

const LIST: &[Parameter] = &[LIMIT, PAGE, MATCH];
const LIST_WITHOUT_SERIES: &[Parameter] = &[LIMIT, PAGE];
const LIST_OF_LOOP: &[Parameter] = &[LIMIT, PAGE, MATCH, LOOP, SERIES];
const EVENTS: &[Parameter] = &[
    LIMIT,
    PAGE,
    MATCH,
    SERIES,
    ("kind", "string", "Only events of this kind, such as alerted or state_changed."),
    ("after", "integer", "Only events after this number; of a stream: where it begins."),
];

struct Paths {
    generator: SchemaGenerator,
    paths: Map<String, Value>,
}

impl Paths {
    fn schema<T: JsonSchema>(&mut self) -> Value {
        self.generator.subschema_for::<T>().to_value()
    }

    fn put(&mut self, method: &str, path: &str, operation: Value) {
        let methods = self.paths.entry(path).or_insert_with(|| json!({}));
        methods[method] = operation;
    }

    fn list<T: JsonSchema>(&mut self, path: &str, summary: &str, parameters: &[Parameter]) {
        let row = self.schema::<T>();
        self.put("get", path, operation(summary, parameters, None, json_answer("A page.", listed(row))));
    }

    fn single<T: JsonSchema>(&mut self, path: &str, summary: &str, parameters: &[Parameter]) {
        let data = self.schema::<T>();
        self.put("get", path, operation(summary, parameters, None, json_answer("It.", wrapped(data))));
    }

    fn post<T: JsonSchema>(&mut self, path: &str, summary: &str, body: Value) {
        let data = self.schema::<T>();
        self.put("post", path, operation(summary, &[], Some(body), json_answer("Done, and durable.", wrapped(data))));
    }

    fn text(&mut self, path: &str, summary: &str, content_type: &str) {
        let answer = json!({ "description": "Text.", "content": { content_type: { "schema": { "type": "string" } } } });
        self.put("get", path, operation(summary, &[], None, answer));
    }
}

fn listed(row: Value) -> Value {
    json!({
        "type": "object",
        "required": ["data", "next"],
        "properties": {
            "data": { "type": "array", "items": row },
            "next": { "type": ["string", "null"], "description": "Token of the next page; null: this is the last." },
        },
    })
}

fn wrapped(data: Value) -> Value {
    json!({ "type": "object", "required": ["data"], "properties": { "data": data } })
}

fn json_answer(description: &str, schema: Value) -> Value {
    json!({ "description": description, "content": { "application/json": { "schema": schema } } })
}

fn operation(summary: &str, parameters: &[Parameter], body: Option<Value>, answer: Value) -> Value {
    let parameters: Vec<Value> = parameters
        .iter()
        .map(|(name, kind, description)| {
            let schema = match *kind {
                "array" => json!({ "type": "array", "items": { "type": "string" } }),
                kind => json!({ "type": kind }),
            };
            let needed = description.starts_with("Which");
            json!({ "name": name, "in": "query", "required": needed, "description": description, "schema": schema })
        })
        .collect();
    let problem = json!({
        "description": "What went wrong, and what to do about it.",
        "content": { "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" } } },
    });
    let mut operation = json!({ "summary": summary, "responses": { "200": answer, "default": problem } });
    if !parameters.is_empty() {
        operation["parameters"] = Value::Array(parameters);
    }
    if let Some(body) = body {
        operation["requestBody"] = json!({ "required": true, "content": { "application/json": { "schema": body } } });
    }
    operation
}

/// Where samples come in: bytes, and errors in plain text.
fn samples_in(all: &mut Paths) {
    let binary = |kinds: &[&str]| -> Map<String, Value> {
        let schema = json!({ "schema": { "type": "string", "format": "binary" } });
        kinds.iter().map(|kind| ((*kind).to_owned(), schema.clone())).collect()
    };
    let text = |description: &str| json!({ "description": description, "content": { "text/plain": { "schema": { "type": "string" } } } });
    let bodies = [
        "application/x-protobuf",
        "application/x-protobuf;proto=prometheus.WriteRequest",
        "application/x-protobuf;proto=io.prometheus.write.v2.Request",
    ];
    let write = json!({
        "summary": "Takes samples by Prometheus' remote-write, 1.0 and 2.0: snappy, block format.",
        "requestBody": { "required": true, "content": binary(&bodies) },
        "responses": {
            "204": { "description": "All samples are taken." },
            "400": text("Some or all samples cannot be taken, now or later: which, and why. The others are."),
            "413": text("The body is larger than receive.body_max or receive.body_uncompressed_max."),
            "415": text("Another message or compression."),
            "429": text("The sender is over receive.samples_per_second_max; Retry-After says when it is not."),
            "503": text("Nothing can be taken at present; Retry-After says when to try again."),
        },
    });
    all.put("post", "/api/v1/write", write);
    let protobuf =
        |description: &str| json!({ "description": description, "content": binary(&["application/x-protobuf"]) });
    let metrics = json!({
        "summary": "Takes metrics of OpenTelemetry: OTLP over HTTP, protobuf, plain or gzip.",
        "requestBody": { "required": true, "content": binary(&["application/x-protobuf"]) },
        "responses": {
            "200": protobuf("ExportMetricsServiceResponse; partial_success tells what was refused."),
            "default": protobuf("google.rpc.Status; 503 and 429 say by Retry-After when to try again."),
        },
    });
    all.put("post", "/v1/metrics", metrics);
}

/// An event in its envelope. Its parts differ by kind; the kinds are those of the journal.
fn stored() -> Value {
    json!({
        "type": "object",
        "required": ["seq", "at", "v", "event"],
        "properties": {
            "seq": { "type": "integer", "description": "Counted from 1 without gaps; the id in a stream." },
            "at": { "type": "string", "format": "date-time" },
            "v": { "type": "integer", "description": "Version of the event's form." },
            "event": {
                "type": "object",
                "required": ["kind"],
                "properties": { "kind": { "type": "string", "enum": [
                    "series_added", "series_forgotten", "threshold_learned", "alerted", "forecasted", "state_changed",
                    "change_dispatched", "change_settled", "signalled", "adjusted", "withheld", "effect_measured",
                    "loop_paused", "frozen", "level_shift_proposed", "level_shift_settled", "cycle_completed",
                ] } },
                "additionalProperties": true,
            },
        },
    })
}

fn build() -> Value {
    let settings = SchemaSettings::draft2020_12()
        .for_serialize()
        .with(|settings| settings.definitions_path = "/components/schemas".into());
    let mut all = Paths { generator: settings.into_generator(), paths: Map::new() };
    let one: &[Parameter] = &[("series", "string", "Which series.")];
    let samples: &[Parameter] =
        &[("series", "string", "Which series."), ("limit", "integer", "The last so many: 1000 unless said otherwise.")];

    all.list::<SeriesRow>("/api/v1/series", "All series that are held, by name.", LIST);
    all.single::<Samples>("/api/v1/series/samples", "The last samples of a series.", samples);
    all.list::<ThresholdRow>("/api/v1/thresholds", "Learned thresholds as they stand now, by series.", LIST);
    let optional = |description: &str| json!({ "type": ["number", "null"], "description": description });
    all.post::<Imported>(
        "/api/v1/thresholds",
        "Puts thresholds in force that were not learned here; at most 500 at a time, each taken in or refused by itself.",
        json!({
            "type": "object",
            "required": ["data"],
            "properties": { "data": { "type": "array", "maxItems": 500, "items": {
                "type": "object",
                "required": ["series"],
                "properties": {
                    "series": { "type": "string" },
                    "lower": optional("In the series' unit; one of the two bounds is needed."),
                    "upper": optional("In the series' unit."),
                    "alert_lower": optional("Where an alert begins; else as for a learned threshold."),
                    "alert_upper": optional("Where an alert begins; else as for a learned threshold."),
                    "rhythm": {
                        "type": ["string", "null"],
                        "description": "Absent or null, or the row is refused: bounds that change with time are learned."
                    },
                    "sensitivity": optional("In sigmas of a bell; else the series' own stays."),
                    "confidence": optional("0 to 1; else just enough to be used."),
                    "reasoning": { "type": ["string", "null"] },
                    "active": { "type": ["boolean", "null"], "description": "false is refused: it did not judge." },
                },
            } } },
        }),
    );
    all.single::<Explained>("/api/v1/explain", "Everything known of a series, and why its threshold is as it is.", one);
    all.single::<StateRow>("/api/v1/state", "The state of the loop, and what it was decided from.", &[]);
    all.post::<StateRow>(
        "/api/v1/state",
        "Holds a state for a while, whatever the evidence.",
        json!({
            "type": "object",
            "required": ["state"],
            "properties": {
                "state": { "type": "string", "enum": ["healthy", "optimizing", "degraded", "critical", "recovering"] },
                "for": { "type": "string", "description": "A duration such as 30m; 15m unless said otherwise." },
            },
        }),
    );
    all.single::<ParametersRow>("/api/v1/parameters", "The loop's parameters in force.", &[]);
    all.list::<LoopRow>(
        "/api/v1/loops",
        "The five feedback loops: what each heard and did, and whether it helps.",
        LIST_WITHOUT_SERIES,
    );
    all.list::<SignalRow>("/api/v1/signals", "What the loops heard, newest first.", LIST_OF_LOOP);
    all.list::<ActionRow>("/api/v1/actions", "What the loops changed, newest first.", LIST_OF_LOOP);
    let stream = json!({ "schema": { "type": "string" } });
    let mut events = json_answer("A page, newest first; for text/event-stream a stream.", listed(stored()));
    events["content"]["text/event-stream"] = stream;
    let summary = "What the engine decided. With Accept: text/event-stream live, resumed by Last-Event-ID.";
    all.put("get", "/api/v1/events", operation(summary, EVENTS, None, events));
    all.list::<TransitionRow>("/api/v1/transitions", "Moves between states, newest first.", LIST_WITHOUT_SERIES);
    all.list::<OptimizationRow>("/api/v1/optimizations", "Thresholds that were learned with news, newest first.", LIST);
    let limit: &[Parameter] =
        &[("limit", "integer", "Series in anomaly_rates: 100 unless said otherwise, 1000 at most.")];
    all.single::<Statistics>("/api/v1/statistics", "How learning stands.", limit);
    let summary =
        "Series with static bounds in the configuration: what those would have paged for, beside what was paged for.";
    all.list::<AbRow>("/api/v1/ab", summary, LIST);
    let summary = "The same of all of them together, with a verdict.";
    all.single::<Report>("/api/v1/ab/report", summary, &[]);
    let summary = "What the calendars say of now, and what comes next: holidays, deploys, maintenance.";
    all.single::<CalendarRow>("/api/v1/calendar", summary, &[]);
    let id = all.schema::<Id>();
    let verdict = json!({
        "type": "object",
        "required": ["verdict"],
        "properties": {
            "series": { "type": "string", "description": "The series; or `match`." },
            "match": { "type": "string", "description": "A selector of at most 1000 series; or `series`." },
            "verdict": { "enum": ["true", "false", "missed", true, false] },
            "at": {
                "type": ["string", "number"],
                "description": "Unix seconds or RFC 3339; without it the verdict is about the latest breach, else now.",
            },
            "until": {
                "type": ["string", "number"],
                "description": "It is about all of the time from `at` until then: left out of what is learned when true or \
                                missed, learned from when false.",
            },
            "change_point": {
                "type": "boolean",
                "description": "With the verdict true: since `at` the series is another one: nothing older is learned from, once it has \
                                learning.min_data_points samples since.",
            },
            "comment": { "type": "string", "maxLength": 2000 },
        },
    });
    let summary = "A verdict: it mattered, it did not, or it was missed. Answers once it is durable.";
    all.put("post", "/api/v1/feedback", operation(summary, &[], Some(verdict), json_answer("Its number.", id)));
    let proposals: &[Parameter] = &[
        LIMIT,
        PAGE,
        ("match[]", "array", "Only proposals about a series that one of these selects, as elsewhere."),
        ("open", "boolean", "true: only those that wait for an answer; false: only the others."),
    ];
    let summary = "Levels that shifted, and what became of the question whether that is ordinary now; newest first.";
    all.list::<ProposalRow>("/api/v1/proposals", summary, proposals);
    let row = all.schema::<ProposalRow>();
    let answer = json!({
        "type": "object",
        "required": ["answer"],
        "properties": {
            "answer": { "enum": ["accept", "refuse"], "description": "accept: since then it is another series, all of them. \
                refuse: it is trouble; the level before stands again, and nothing is learned until it is back." },
            "comment": { "type": "string", "maxLength": 2000 },
        },
    });
    let summary = "Answers a proposal, for all of its series that wait for it. Answers once it is durable.";
    let mut answered = operation(summary, &[], Some(answer), json_answer("Done, and durable.", wrapped(row)));
    answered["parameters"] = json!([{
        "name": "id", "in": "path", "required": true, "description": "Its number.", "schema": { "type": "integer" },
    }]);
    all.put("post", "/api/v1/proposals/{id}", answered);
    let summary =
        "New thresholds on their way to alert rules, rule by rule: in shadow, served to some, to all, or taken back.";
    all.list::<RolloutRow>("/api/v1/rollouts", summary, &[LIMIT, PAGE]);
    let row = all.schema::<RolloutRow>();
    let order = json!({
        "type": "object",
        "required": ["rule", "order"],
        "properties": {
            "rule": { "type": "string", "description": "What the rule's thresholds carry as `rule`." },
            "order": { "enum": ["promote", "roll_back"], "description": "promote: what is tried out is served for all series now. \
                roll_back: what was before is, or where nothing is tried out, what was before that which was kept last; then nothing \
                is tried out for `rollout.watch`." },
            "comment": { "type": "string", "maxLength": 2000 },
        },
    });
    let summary =
        "What a person wants done with what is tried out for a rule, or was kept. Answers once it is durable.";
    all.put(
        "post",
        "/api/v1/rollouts",
        operation(summary, &[], Some(order), json_answer("Done, and durable.", wrapped(row))),
    );
    let alertmanager = json!({
        "type": "object",
        "required": ["version", "alerts"],
        "properties": { "version": { "const": "4" }, "alerts": { "type": "array", "maxItems": 10000 } },
        "description": "What an Alertmanager sends to a webhook; other fields are passed over.",
    });
    let summary = "What an Alertmanager sends to a webhook (version 4). The same message again changes nothing.";
    all.post::<Taken>("/api/v1/alertmanager", summary, alertmanager);
    let pager = json!({
        "type": "object",
        "required": ["event"],
        "properties": {
            "event": { "enum": ["acknowledged", "incident", "true", "false"], "description": "true, false: a person's word." },
            "fingerprint": { "type": "string", "description": "Which alert; or `labels`, or `series`." },
            "labels": { "type": "object", "additionalProperties": { "type": "string" }, "description": "All of them." },
            "series": { "type": "string", "description": "The series of an alert of this daemon." },
            "at": { "type": ["string", "number"], "description": "When the alert began, unless it was told of here." },
            "comment": { "type": "string", "maxLength": 2000 },
        },
    });
    let summary = "What a paging tool tells of an alert: taken up, an incident, or what a person said of it.";
    all.post::<Noted>("/api/v1/pager", summary, pager);
    let summary =
        "Verdicts from an Alertmanager and paging tools, newest first; also on alerts that nobody here knows.";
    let verdicts: &[Parameter] = &[LIMIT, PAGE, ("alert", "string", "Only of this alert.")];
    all.list::<VerdictRow>("/api/v1/verdicts", summary, verdicts);
    let audit: &[Parameter] = &[LIMIT, PAGE, ("who", "string", "Only of this one, as `who` tells them.")];
    all.list::<AuditRow>("/api/v1/audit", "Who changed what, newest first. Needs the role operate.", audit);
    all.single::<Frozen>("/api/v1/freeze", "Whether all changes are stopped.", &[]);
    all.post::<Frozen>(
        "/api/v1/freeze",
        "Stops all changes, or lets them go on.",
        json!({ "type": "object", "required": ["frozen"], "properties": { "frozen": { "type": "boolean" } } }),
    );
    let any = json_answer("This document.", json!({ "type": "object" }));
    all.put("get", "/api/v1/openapi.json", operation("This description.", &[], None, any));
    let classic = "text/plain; version=0.0.4";
    all.text("/metrics", "The daemon's own metrics; OpenMetrics when Accept asks for it.", classic);
    all.text("/metrics/thresholds", "Learned bounds that judge, as metrics.", classic);
    all.text("/-/healthy", "Whether the process works.", "text/plain");
    all.text("/-/ready", "Whether what was stored is loaded and this host was read once.", "text/plain");
    samples_in(&mut all);
    let reloaded = wrapped(all.schema::<Reloaded>());
    let summary = "Reads the configuration again: all of it takes effect, or nothing.";
    all.put("post", "/-/reload", operation(summary, &[], None, json_answer("Done.", reloaded)));
    all.text("/", "The page.", "text/html");

    let _ = all.schema::<problem::Body<'static>>();
    let schemas = all.generator.take_definitions(true);
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "homeostat",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "A self-tuning MAPE-K engine: learned thresholds, states, feedback. Times are RFC 3339, UTC; \
                            a unit ends its key (_s, _bytes, _ratio). Errors are application/problem+json.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "paths": all.paths,
        "components": { "schemas": schemas },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reference_leads_somewhere() {
        fn walk(value: &Value, found: &mut Vec<String>) {
            match value {
                Value::Object(fields) => {
                    found.extend(fields.get("$ref").and_then(Value::as_str).map(str::to_owned));
                    fields.values().for_each(|value| walk(value, found));
                }
                Value::Array(items) => items.iter().for_each(|value| walk(value, found)),
                _ => {}
            }
        }
        let document = document();
        let mut references = Vec::new();
        walk(document, &mut references);
        assert!(references.len() > 20, "{references:?}");
        for reference in references {
            let pointer = reference.strip_prefix('#').expect("inside the document");
            assert!(document.pointer(pointer).is_some(), "{reference}");
        }
    }

    #[test]
    fn the_shapes_carry_the_fields_others_rely_on() {
        let schemas = &document()["components"]["schemas"];
        for (name, fields) in [
            ("SeriesRow", &["series", "kind", "samples", "span_s", "strategy"][..]),
            (
                "ThresholdRow",
                &["series", "upper", "lower", "sensitivity", "confidence", "supporting", "active", "learned_at"],
            ),
            ("StateRow", &["state", "since", "evidence", "forced_until"]),
            ("ParametersRow", &["monitoring_interval_s", "planning_lookahead_s", "learning_rate"]),
            ("LoopRow", &["loop", "signals", "actions", "effectiveness", "withheld", "paused"]),
            ("SignalRow", &["id", "at", "loop", "source", "value", "series", "verdict", "metadata"]),
            ("ActionRow", &["id", "at", "loop", "parameter", "old", "new", "reason", "cause", "outcome"]),
        ] {
            for field in fields {
                assert!(schemas[name]["properties"].get(field).is_some(), "{name}.{field} in {}", schemas[name]);
            }
        }
    }
}
