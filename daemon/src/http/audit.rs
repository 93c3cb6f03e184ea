//! The audit: kept with each change, and listed for who operates.

use crate::access::Tally;
use crate::access::audit::Record;
use crate::driver::Handle;
use crate::http::App;
use crate::http::api::{Answer, Listed};
use crate::http::problem::Problem;
use crate::http::query::{List, Page, Params, Rows, Token, take};
use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use serde::Serialize;
use std::sync::atomic::Ordering;

/// A record of the list.
#[derive(Serialize, schemars::JsonSchema)]
pub struct AuditRow {
    id: u64,
    #[serde(flatten)]
    record: Record,
}

/// Tells a record in the log and keeps it in the store; what cannot be kept is counted.
pub async fn keep(handle: &Handle, tally: &Tally, record: Record) {
    record.tell();
    let body = serde_json::to_string(&record).expect("a record is text and numbers");
    match handle.keep_audit(record.at, body).await {
        Ok(()) => {
            tally.audited.fetch_add(1, Ordering::Relaxed);
        }
        Err(refused) => {
            tally.not_audited.fetch_add(1, Ordering::Relaxed);
            tracing::error!("the audit lacks the record above: {refused}");
        }
    }
}

pub async fn list(State(app): State<App>, uri: Uri) -> Answer<Json<Listed<AuditRow>>> {
    let known: Vec<&str> = Page::PARAMS_WITHOUT_SERIES.into_iter().chain(["who"]).collect();
    let params = Params::read(&uri, &known)?;
    let page = Page::read(&params, List::Audit)?;
    let who = params.one("who")?.map(str::to_owned);
    let (limit, before) = (page.limit, page.before());
    // One more than is wanted says whether there is a next page.
    let read = app.handle.query(move |view| view.store.audit(before, who.as_deref(), limit + 1)).await?;
    let rows = read.map_err(|error| {
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, format!("the audit cannot be read: {error}"))
    })?;
    let row = |(id, body): (u64, String)| {
        let record = serde_json::from_str(&body).ok()?;
        Some((AuditRow { id, record }, Token::Number(List::Audit, id)))
    };
    let rows: Rows<AuditRow> = take(limit, rows.into_iter().filter_map(row));
    Ok(rows.into())
}
