//! Confidences come true about as often as they say: a part of what `homeostat calibrate` measures in full.

use homeostat::budget::Budget;
use homeostat_sim::calibration::{Pair, Summary, config, pairs_of};
use std::ops::Range;

/// Worlds that no coefficient was fitted to.
const SEEDS: Range<u64> = 900_000..900_100;

#[test]
fn confidences_come_true_and_know_more_than_a_constant() {
    let config = config(Budget::ONE_PER_WEEK);
    let pairs: Vec<Pair> = SEEDS.flat_map(|seed| pairs_of(seed, &config).1).collect();
    let summary = Summary::of(pairs.iter());
    assert!(summary.pairs >= 500, "seeds {SEEDS:?}: {summary:?}");
    // Of 500 claims a perfect one is off by about .04 by chance.
    assert!(summary.calibration_error <= 0.08, "seeds {SEEDS:?}: {summary:?}");
    // The full run of 650 worlds has more than a tenth.
    assert!(summary.brier_skill.is_some_and(|skill| skill >= 0.05), "seeds {SEEDS:?}: {summary:?}");
}
