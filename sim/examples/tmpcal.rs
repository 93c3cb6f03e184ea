use homeostat::budget::Budget;
use homeostat_sim::calibration::{Pair, Summary, config, pairs_of};
fn main() {
    let config = config(Budget::ONE_PER_WEEK);
    for from in [1u64, 20_000, 40_000, 60_000] {
        let pairs: Vec<Pair> = (from..from + 650).flat_map(|seed| pairs_of(seed, &config).1).collect();
        println!("{from} {:?}", Summary::of(pairs.iter()));
    }
}
