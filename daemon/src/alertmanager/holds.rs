//! The `for` of alerts whose rules are evaluated elsewhere, asked of each Prometheus that is a source.

use super::Office;
use crate::driver::Refused;
use crate::page::apart;
use crate::prometheus::{Client, LiveRules};
use crate::source::promql::PromqlSource;
use homeostat::time::Span;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// Rules change seldom.
const INTERVAL: Duration = Duration::from_secs(600);

/// What one Prometheus says: the shortest `for` of the rules by each name.
pub type Holds = HashMap<String, Span>;

/// Asks until the driver ends. A server that does not answer is asked again; until then what it said before stands.
pub(super) async fn run(office: Arc<Office>, number: usize, source: PromqlSource) {
    loop {
        let asked = source.clone();
        let answer = apart(move || {
            let client = Client::new(asked.endpoint, asked.query_budget, 0).map_err(|error| error.to_string())?;
            client.rules().map_err(|error| error.to_string())
        });
        match answer.await {
            Ok(rules) => office.holds(|holds| _ = holds.insert(number, of(&rules))),
            // The source itself says that its server does not answer.
            Err(problem) => tracing::debug!("no rules from promql[{number}]: {problem}"),
        }
        if matches!(office.handle.query(|_| ()).await, Err(Refused::Gone)) {
            return;
        }
        tokio::time::sleep(INTERVAL).await;
    }
}

fn of(rules: &LiveRules) -> Holds {
    let mut holds = Holds::new();
    let all = rules.groups.iter().flat_map(|group| &group.rules);
    for rule in all.filter(|rule| rule.kind == "alerting" && (0.0..=1e9).contains(&rule.duration)) {
        let hold = Span::from_millis((rule.duration * 1000.0).round() as u64);
        holds.entry(rule.name.clone()).and_modify(|shortest| *shortest = hold.min(*shortest)).or_insert(hold);
    }
    holds
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_rules_with_one_name_the_shortest_counts() {
        let answer = r#"{"groups": [{"name": "a", "file": "f", "interval": 30, "rules": [
            {"type": "alerting", "name": "A", "query": "a > 5", "duration": 300},
            {"type": "alerting", "name": "A", "query": "a > 9", "duration": 60},
            {"type": "alerting", "name": "B", "query": "b", "duration": -1},
            {"type": "recording", "name": "C", "query": "c", "duration": 5}]}]}"#;
        let holds = of(&serde_json::from_str(answer).expect("an answer"));
        assert_eq!(holds, Holds::from([("A".to_owned(), Span::minutes(1))]));
    }
}
