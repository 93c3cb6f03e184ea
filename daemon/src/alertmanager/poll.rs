//! An Alertmanager asked again and again for its alerts and silences: nobody tells of a silence by itself.

use super::Office;
use super::message::{self, Alert, Silence};
use super::seen::Limits;
use crate::config::Receiver;
use crate::driver::{self, Refused};
use homeostat::time::Timestamp;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// The longest answer that is read, in bytes.
const ANSWER_LEN_MAX: u64 = 32 << 20;

/// Polls that may be missed before what ended in between says nothing.
const GAP: u64 = 3;

/// What one poll gave.
struct Answers {
    alerts: Vec<Alert>,
    unreadable: usize,
    silences: Vec<Silence>,
    started_at: Timestamp,
}

/// Asks until the driver ends.
pub(super) async fn run(office: Arc<Office>, number: usize, receiver: Receiver) {
    let interval = office.settings.poll_interval;
    let limits = Limits { silenced_within: office.settings.silenced_within, poll_gap_max: interval * GAP };
    let mut reached = true;
    loop {
        tokio::time::sleep(Duration::from_millis(interval.millis())).await;
        let asked = receiver.clone();
        let answers = crate::page::apart(move || ask(&asked)).await;
        let now = driver::now();
        office.tally.polls.fetch_add(1, Ordering::Relaxed);
        match answers {
            Ok(answers) => {
                if !std::mem::replace(&mut reached, true) {
                    tracing::info!("{} answers again", receiver.shown());
                }
                office.tally.unreadable(answers.unreadable);
                if let Err(Refused::Gone) = hear(&office, number, &answers, limits, now).await {
                    return;
                }
            }
            Err(problem) => {
                office.tally.poll_failures.fetch_add(1, Ordering::Relaxed);
                // The first failure and the first success after one are worth a line; the rest is counted.
                if std::mem::replace(&mut reached, false) {
                    tracing::warn!("{} does not say what it holds: {problem}; it is asked again", receiver.shown());
                }
                if matches!(office.handle.query(|_| ()).await, Err(Refused::Gone)) {
                    return;
                }
            }
        }
    }
}

async fn hear(
    office: &Office,
    number: usize,
    answers: &Answers,
    limits: Limits,
    now: Timestamp,
) -> Result<(), Refused> {
    let given = (answers.alerts.as_slice(), answers.silences.as_slice(), answers.started_at);
    let implied = office.seen(|seen| seen.polled(number, given, limits, |alert| office.hold(alert), now));
    for one in implied {
        office.imply(one, now).await?;
    }
    Ok(())
}

fn ask(receiver: &Receiver) -> Result<Answers, String> {
    let (alerts, problems) = message::alerts(&get(receiver, "alerts")?)?;
    let silences = message::silences(&get(receiver, "silences")?)?;
    let started_at = message::started_at(&get(receiver, "status")?)?;
    Ok(Answers { alerts, unreadable: problems.len(), silences, started_at })
}

fn get(receiver: &Receiver, what: &str) -> Result<Vec<u8>, String> {
    let base = receiver.url.as_deref().unwrap_or_default().trim_end_matches('/');
    let agent = receiver.access.agent(receiver.timeout)?;
    let mut request = agent.get(format!("{base}/api/v2/{what}"));
    for (name, value) in receiver.sent()? {
        request = request.header(name, value);
    }
    let mut answer = request.call().map_err(|error| error.to_string())?;
    let status = answer.status();
    if !status.is_success() {
        return Err(format!("/api/v2/{what} answers {status}"));
    }
    let read = answer.body_mut().with_config().limit(ANSWER_LEN_MAX).read_to_vec();
    read.map_err(|error| format!("/api/v2/{what}: {error}"))
}
