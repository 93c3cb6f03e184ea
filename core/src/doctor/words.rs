//! The why of a change, in words.

use super::Change;
use super::episode::Episode;
use super::search::{Choice, Search};
use crate::time::Span;

/// A sentence each, most important first.
pub fn why(search: &Search<'_>, present: &Choice, best: &Choice, change: &Change, weeks: f64) -> Vec<String> {
    let mut why = Vec::new();
    let per_week = |pages: f64| pages / weeks;
    why.push(format!(
        "{:.1} pages a week become {:.1}; about nothing would be some {:.1} of them, and were some {:.1}",
        per_week(present.tally.pages),
        change.pages_per_week,
        per_week(best.tally.ordinary),
        per_week(present.tally.ordinary),
    ));
    let before = search.told(present.literal, present.for_ms);
    let after = search.told(best.literal, best.for_ms);
    let count = |wanted: &dyn Fn(&Episode, bool, bool) -> bool| {
        let all = search.episodes.iter().zip(before.iter().zip(&after));
        all.filter(|(episode, (before, after))| wanted(episode, **before, **after)).count()
    };
    why.push(match change.serious {
        0 => "nothing in the history looked like an incident: what it would tell of is a guess".to_owned(),
        serious => format!(
            "{serious} episodes looked as if they mattered: they lasted, stood out and did not come back by the clock; {} of \
             them are told of, {} were",
            change.serious_told,
            count(&|episode, before, _| episode.serious >= 0.5 && before),
        ),
    });
    let recurring = count(&|episode, before, after| episode.features.usual >= 0.5 && before && !after);
    if recurring > 0 {
        why.push(format!("{recurring} episodes it is silent about come back at the same time of the day or the week"));
    }
    if best.for_ms > present.for_ms {
        let span = |ms: i64| Span::from_millis(u64::try_from(ms).unwrap_or(0));
        why.push(format!("bursts shorter than {} pass", span(best.for_ms)));
    }
    if (best.literal - present.literal) * search.watched.sign < 0.0 {
        why.push("the literal comes closer to ordinary values: what is lower and lasts is told of, too".to_owned());
    }
    if !change.per_series.is_empty() {
        why.push(
            "its series live at different levels: thresholds per series would leave less than half of these pages"
                .to_owned(),
        );
    }
    why
}
