//! Series that live at levels so different that one literal serves them badly: a literal for each.

use super::SeriesLiteral;
use super::episode::Episode;
use super::search::{Choice, Search};
use super::trace::{Trace, Watched};

/// With more series than this, thresholds of their own are a matter for learning them from the series themselves.
const SERIES_MOST: usize = 200;
/// Own literals have to leave no more than this part of the pages about nothing.
const WORTHWHILE: f64 = 0.5;

/// A literal for each series, at the duration that was chosen for all; none where they would not help much.
pub fn per_series(search: &Search<'_>, joint: &Choice) -> Vec<SeriesLiteral> {
    let traces = &search.watched.traces;
    if !(2..=SERIES_MOST).contains(&traces.len()) {
        return Vec::new();
    }
    let (mut ordinary, mut told) = (0.0, 0.0);
    let mut own = Vec::new();
    for (at, trace) in traces.iter().enumerate() {
        let watched =
            Watched { traces: vec![Trace::new(trace.labels.clone(), trace.values.clone())], ..*search.watched };
        let own_episodes = search.episodes.iter().filter(|episode| episode.trace == at).cloned();
        let episodes: Vec<Episode> = own_episodes.map(|episode| Episode { trace: 0, ..episode }).collect();
        let alone = Search {
            watched: &watched,
            episodes: &episodes,
            literal: joint.literal,
            for_ms: joint.for_ms,
            pages: search.pages / traces.len() as f64,
            ..*search
        };
        let (best, _) = alone.best_for(joint.for_ms);
        ordinary += best.tally.ordinary;
        told += best.tally.told;
        own.push(SeriesLiteral { labels: trace.labels.nameless(), literal: best.literal });
    }
    let helps = ordinary <= WORTHWHILE * joint.tally.ordinary && told >= joint.tally.told;
    let differ = own.iter().any(|series| series.literal != own[0].literal);
    if helps && differ { own } else { Vec::new() }
}
