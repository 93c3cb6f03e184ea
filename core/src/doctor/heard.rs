//! What people said of pages, laid over what was guessed: it overrides the guess, and shifts that of the rule's other episodes, most of
//! all of those alike.

use super::episode::{Episode, Features};
use super::search::WORTH_SAID;
use super::trace::Watched;
use crate::replay::score::Episode as Said;
use crate::replay::{Labels, Range};
use crate::time::Timestamp;

/// How many verdicts on episodes just alike weigh as much as the guess.
const GUESS: f64 = 4.0;
/// How far rules differ in how often what looks serious is: a standard deviation, in odds.
const SHIFT: f64 = 2.0;

/// An episode of which people said something, and what was guessed of it before.
struct Judged {
    features: Features,
    guess: f64,
    mattered: bool,
}

impl Judged {
    fn truth(&self) -> f64 {
        f64::from(u8::from(self.mattered))
    }
}

/// Sets what was judged, and moves what is like it.
pub fn hear(episodes: &mut Vec<Episode>, watched: &Watched, range: &Range, said: &[Said]) {
    if said.is_empty() {
        return;
    }
    let mut judged: Vec<Judged> = Vec::new();
    let mut known = vec![false; episodes.len()];
    let at = |evaluation: usize| range.start.millis() + evaluation as i64 * watched.step_ms;
    for (episode, known) in episodes.iter_mut().zip(&mut known) {
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
        judged.push(Judged { features: episode.features, guess: episode.serious, mattered });
        episode.serious = f64::from(u8::from(mattered));
        if mattered {
            episode.worth = WORTH_SAID;
        }
    }
    let shift = shift(&judged);
    for (episode, _) in episodes.iter_mut().zip(&known).filter(|(_, known)| !**known) {
        episode.serious = shifted(episode.serious, shift);
        let (mut weight, mut mattered) = (GUESS, GUESS * episode.serious);
        for judged in &judged {
            let alike = alike(&judged.features, &episode.features);
            weight += alike;
            mattered += alike * judged.truth();
        }
        episode.serious = mattered / weight;
    }
    overlooked(episodes, watched, range, said);
}

/// By how much odds are to be shifted for guesses to be right about what was judged: the mode after a normal prior (a random
/// intercept; Newton's method on its one dimension).
fn shift(judged: &[Judged]) -> f64 {
    let mut shift = 0.0;
    for _ in 0..20 {
        let (mut slope, mut bend) = (-shift / SHIFT.powi(2), -1.0 / SHIFT.powi(2));
        for judged in judged {
            let now = shifted(judged.guess, shift);
            slope += judged.truth() - now;
            bend -= now * (1.0 - now);
        }
        shift -= (slope / bend).clamp(-1.0, 1.0);
    }
    shift
}

fn shifted(probability: f64, odds: f64) -> f64 {
    let probability = probability.clamp(1e-6, 1.0 - 1e-6);
    1.0 / (1.0 + (1.0 / probability - 1.0) * (-odds).exp())
}

/// What mattered and looked like nothing is an episode all the same.
fn overlooked(episodes: &mut Vec<Episode>, watched: &Watched, range: &Range, said: &[Said]) {
    let evaluation = |at: Timestamp| {
        usize::try_from((at.millis() - range.start.millis()).max(0) / watched.step_ms).unwrap_or(usize::MAX)
    };
    for said in said.iter().filter(|said| said.mattered) {
        let (from, to) = (evaluation(said.when.start), evaluation(said.when.end).saturating_add(1));
        for (at, trace) in watched.traces.iter().enumerate() {
            let to = to.min(trace.values.len());
            let known = |episode: &Episode| episode.trace == at && from < episode.to && episode.from < to;
            if from >= to || !same_series(&trace.labels, &said.when.labels) || episodes.iter().any(known) {
                continue;
            }
            let level = trace.values[from..to].iter().copied().fold(f64::INFINITY, f64::min);
            let minutes = (to - from) as f64 * watched.step_ms as f64 / 60_000.0;
            let features = Features { surprise: 0.0, alike: 0.0, usual: 0.0, minutes, height: 1.0, beyond: true };
            episodes.push(Episode { trace: at, from, to, level, features, serious: 1.0, worth: WORTH_SAID });
        }
    }
    episodes.sort_by_key(|episode| (episode.trace, episode.from));
}

/// Whether labels that both have are the same.
fn same_series(labels: &Labels, others: &Labels) -> bool {
    others.iter().all(|(name, value)| labels.get(name).is_empty() || labels.get(name) == value)
}

/// 1 where all features are the same, towards 0 the more they differ.
fn alike(a: &Features, b: &Features) -> f64 {
    let parts = [
        ((a.minutes / b.minutes).ln()) / 0.4,
        ((a.height.max(0.1) / b.height.max(0.1)).ln()) / 0.4,
        (a.usual.clamp(-0.5, 1.5) - b.usual.clamp(-0.5, 1.5)) / 0.2,
        ((1.0 + a.alike) / (1.0 + b.alike)).ln() / 0.4,
    ];
    (-0.5 * parts.iter().map(|part| part * part).sum::<f64>()).exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odds_shift_as_far_as_guesses_were_wrong_and_words_are_many() {
        let said = |guess: f64, mattered: usize, not: usize| {
            let features = Features { surprise: 0.0, alike: 0.0, usual: 0.0, minutes: 9.0, height: 1.0, beyond: true };
            let judged = (0..mattered + not).map(|nth| Judged { features, guess, mattered: nth < mattered });
            shift(&judged.collect::<Vec<Judged>>())
        };
        assert_eq!(shift(&[]), 0.0);
        assert!(said(0.25, 5, 15).abs() < 1e-9, "a guess that was right stays");
        let (few, many) = (shifted(0.5, said(0.5, 0, 3)), shifted(0.5, said(0.5, 0, 30)));
        assert!(0.5 > few && few > many && many > 0.0, "{few} {many}");
        assert!(shifted(0.5, said(0.5, 3, 0)) > 0.5);
        // What is certain stays so, and nothing is ever lost on the way.
        for guess in [0.0, 0.02, 1.0] {
            assert!((shifted(guess, -3.0) <= guess.max(1e-6)) && shifted(guess, 0.0).is_finite());
        }
        assert!(said(1.0, 0, 500).is_finite() && said(0.0, 500, 0).is_finite());
    }
}
