//! What goes wrong, told in one form (RFC 9457) with a sentence that says what to do about it.

use crate::driver::Refused;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use homeostat::knowledge::proposals::NotAnswered;
use homeostat::rollout::NotMoved;
use serde::Serialize;

/// An answer that is an error.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Problem {
    pub status: StatusCode,
    pub detail: String,
}

/// As it is sent.
#[derive(Serialize, schemars::JsonSchema)]
#[schemars(rename = "Problem")]
pub struct Body<'a> {
    /// Always about:blank: the status says what kind of problem it is.
    #[serde(rename = "type")]
    kind: &'a str,
    title: &'a str,
    status: u16,
    /// What went wrong, and what to do about it.
    detail: &'a str,
}

impl Problem {
    pub fn new(status: StatusCode, detail: impl Into<String>) -> Problem {
        Problem { status, detail: detail.into() }
    }

    /// The query or the body cannot be read.
    pub fn bad_request(detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::BAD_REQUEST, detail)
    }

    /// The body can be read, and one of its fields cannot be used.
    pub fn field(name: &str, wanted: impl std::fmt::Display) -> Problem {
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, format!("`{name}`: {wanted}"))
    }

    pub fn not_found(detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::NOT_FOUND, detail)
    }
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Problem {
        let status = match refused {
            Refused::NotStored(_) => StatusCode::INSUFFICIENT_STORAGE,
            Refused::UnknownSeries(_)
            | Refused::NotAnswered(NotAnswered::Unknown(_))
            | Refused::NotMoved(NotMoved::Unknown(_)) => StatusCode::NOT_FOUND,
            Refused::FrozenByConfiguration
            | Refused::NotAnswered(NotAnswered::Settled(_))
            | Refused::NotMoved(
                NotMoved::Nothing(_) | NotMoved::NothingKept(_) | NotMoved::Served(_) | NotMoved::Frozen,
            ) => StatusCode::CONFLICT,
            Refused::Configuration(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Refused::Busy | Refused::Gone => StatusCode::SERVICE_UNAVAILABLE,
        };
        Problem::new(status, refused.to_string())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = Body {
            kind: "about:blank",
            title: self.status.canonical_reason().unwrap_or("Error"),
            status: self.status.as_u16(),
            detail: &self.detail,
        };
        let text = serde_json::to_vec(&body).expect("a problem is plain text and a number");
        let mut response = (self.status, text).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}
