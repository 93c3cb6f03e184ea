//! What people said of pages, laid over what was guessed: it overrides the guess, and shifts that of episodes alike.

use super::episode::{Episode, Features};
use super::search::WORTH_SAID;
use super::trace::Watched;
use crate::replay::score::Episode as Said;
use crate::replay::{Labels, Range};

/// How many verdicts on episodes just alike weigh as much as the guess.
const GUESS: f64 = 2.0;

/// Sets what was judged, and moves what is like it.
pub fn hear(episodes: &mut [Episode], watched: &Watched, range: &Range, said: &[Said]) {
    if said.is_empty() {
        return;
    }
    let mut judged: Vec<(Features, bool)> = Vec::new();
    let mut known = vec![false; episodes.len()];
    for (episode, known) in episodes.iter_mut().zip(&mut known) {
        let at = |evaluation: usize| range.start.millis() + evaluation as i64 * watched.step_ms;
        let (from, to) = (at(episode.from), at(episode.to));
        let labels = &watched.traces[episode.trace].labels;
        let about = |said: &&Said| {
            same_series(labels, &said.when.labels) && said.when.start.millis() <= to && from <= said.when.end.millis()
        };
        let verdicts: Vec<bool> = said.iter().filter(about).map(|said| said.mattered).collect();
        if verdicts.is_empty() {
            continue;
        }
        // One page that mattered makes the whole of it matter.
        let mattered = verdicts.contains(&true);
        *known = true;
        judged.push((episode.features, mattered));
        episode.serious = f64::from(u8::from(mattered));
        if mattered {
            episode.worth = WORTH_SAID;
        }
    }
    for (episode, _) in episodes.iter_mut().zip(&known).filter(|(_, known)| !**known) {
        let (mut weight, mut mattered) = (GUESS, GUESS * episode.serious);
        for (features, true_one) in &judged {
            let alike = alike(features, &episode.features);
            weight += alike;
            mattered += alike * f64::from(u8::from(*true_one));
        }
        episode.serious = mattered / weight;
    }
}

/// Whether labels that both have are the same.
fn same_series(labels: &Labels, others: &Labels) -> bool {
    others.iter().all(|(name, value)| labels.get(name).is_empty() || labels.get(name) == value)
}

/// 1 where all features are the same, towards 0 the more they differ.
fn alike(a: &Features, b: &Features) -> f64 {
    let parts = [
        ((a.minutes / b.minutes).ln()) / 0.7,
        ((a.height.max(0.1) / b.height.max(0.1)).ln()) / 0.7,
        (a.usual.clamp(-0.5, 1.5) - b.usual.clamp(-0.5, 1.5)) / 0.3,
        ((1.0 + a.alike) / (1.0 + b.alike)).ln() / 0.7,
    ];
    (-0.5 * parts.iter().map(|part| part * part).sum::<f64>()).exp()
}
