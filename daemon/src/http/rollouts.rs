//! Thresholds on their way to alert rules: how far each got, and what people want done with it.

use crate::http::App;
use crate::http::api::{Answer, Body, Listed, Single, no_params, page, single};
use crate::http::feedback::comment;
use crate::http::problem::Problem;
use crate::http::query::{Fields, List};
use crate::http::rows::{self, RolloutRow};
use axum::Json;
use axum::extract::State;
use axum::http::Uri;
use homeostat::rollout::{NotMoved, Order};

pub async fn list(State(app): State<App>, uri: Uri) -> Answer<Json<Listed<RolloutRow>>> {
    let (page, _) = page(&uri, List::Rollouts, &[])?;
    Ok(app.handle.query(move |view| rows::rollouts(view.engine.knowledge(), &page, view.now)).await?.into())
}

pub async fn order(State(app): State<App>, uri: Uri, body: Body) -> Answer<Json<Single<RolloutRow>>> {
    no_params(&uri)?;
    let fields = Fields::read(body, &["rule", "order", "comment"])?;
    let rule = fields.text("rule", "the name of a rule")?.to_owned();
    let order = match fields.text("order", "promote or roll_back")? {
        "promote" => Order::Promote,
        "roll_back" => Order::RollBack,
        other => return Err(Problem::field("order", format!("`{other}` is neither promote nor roll_back"))),
    };
    app.handle.order(rule.clone(), order, comment(&fields)?).await?;
    let unknown = NotMoved::Unknown(rule.clone()).to_string();
    let read = app.handle.query(move |view| rows::rollout(view.engine.knowledge(), &rule, view.now));
    read.await?.map(single).ok_or_else(|| Problem::not_found(unknown))
}
