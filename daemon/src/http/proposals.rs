//! Levels that shifted: what people are asked, and what they answer.

use crate::http::App;
use crate::http::api::{Answer as Answered, Body, Listed, Single, no_params, page, single};
use crate::http::feedback::comment;
use crate::http::problem::Problem;
use crate::http::query::{Fields, List};
use crate::http::rows::{self, ProposalRow};
use axum::Json;
use axum::extract::{Path, State};
use axum::http::Uri;
use homeostat::knowledge::proposals::{Answer, NotAnswered};

pub async fn list(State(app): State<App>, uri: Uri) -> Answered<Json<Listed<ProposalRow>>> {
    let (page, params) = page(&uri, List::Proposals, &["open"])?;
    let open = match params.one("open")? {
        None => None,
        Some("true") => Some(true),
        Some("false") => Some(false),
        Some(other) => return Err(Problem::bad_request(format!("`open`: `{other}` is neither true nor false"))),
    };
    Ok(app.handle.query(move |view| rows::proposals(view.engine.knowledge(), &page, open)).await?.into())
}

pub async fn answer(
    State(app): State<App>,
    Path(id): Path<String>,
    uri: Uri,
    body: Body,
) -> Answered<Json<Single<ProposalRow>>> {
    no_params(&uri)?;
    let id: u64 = id
        .parse()
        .map_err(|_| Problem::not_found(format!("`{id}` is no number of a proposal; /api/v1/proposals lists them")))?;
    let fields = Fields::read(body, &["answer", "comment"])?;
    let answer = match fields.text("answer", "accept or refuse")? {
        "accept" => Answer::Accept,
        "refuse" => Answer::Refuse,
        other => return Err(Problem::field("answer", format!("`{other}` is neither accept nor refuse"))),
    };
    app.handle.answer(id, answer, comment(&fields)?).await?;
    let read = app.handle.query(move |view| {
        let knowledge = view.engine.knowledge();
        knowledge.proposals().get(id).map(|proposal| ProposalRow::of(knowledge, proposal))
    });
    // One that was settled may be forgotten at once, when many are.
    read.await?.map(single).ok_or_else(|| Problem::not_found(NotAnswered::Unknown(id).to_string()))
}
