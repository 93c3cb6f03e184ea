//! Quantiles of a histogram, as Prometheus' `histogram_quantile` takes them: the same buckets give the same number there.
//!
//! A histogram counts how many observations lie at or under each of its limits. A quantile is looked for in the bucket that
//! holds its rank, and laid there as if the observations were spread evenly over it. Limits and quantiles in the
//! histogram's own unit.

/// The quantile `q` (0 to 1) of counts by upper limit: `(limit, observations at or under it)`, limits ascending, each once.
///
/// None when there is nothing to say: the last limit is not infinite, no other limit is there, nothing was observed, or
/// the counts are so large that the answer is no number. A count under the one before it is read as that one: parts of a
/// histogram are read one after the other while it goes on counting.
pub fn quantile(counts: &[(f64, f64)], q: f64) -> Option<f64> {
    let [finite @ .., (f64::INFINITY, _)] = counts else { return None };
    let (highest, _) = finite.last()?;
    let mut repaired = Vec::with_capacity(counts.len());
    let mut least = 0.0_f64;
    for (_, count) in counts {
        least = least.max(*count);
        repaired.push(least);
    }
    let observed = repaired[finite.len()];
    if observed <= 0.0 {
        return None;
    }
    let rank = q * observed;
    let bucket = repaired[..finite.len()].partition_point(|count| *count < rank);
    // Beyond the highest limit nothing is known but that it is beyond.
    let Some((upper, _)) = finite.get(bucket) else { return Some(*highest) };
    let (lower, before) = match bucket.checked_sub(1) {
        Some(previous) => (finite[previous].0, repaired[previous]),
        None if *upper <= 0.0 => return Some(*upper),
        None => (0.0, 0.0),
    };
    let value = lower + (upper - lower) * ((rank - before) / (repaired[bucket] - before));
    value.is_finite().then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    const INF: f64 = f64::INFINITY;

    #[test]
    fn worked_examples() {
        let latency = [(0.1, 50.0), (0.5, 90.0), (1.0, 100.0), (INF, 100.0)];
        for (q, wanted) in [(0.5, 0.1), (0.25, 0.05), (0.7, 0.3), (0.95, 0.75), (1.0, 1.0)] {
            let found = quantile(&latency, q).expect("observations");
            assert!((found - wanted).abs() < 1e-12, "{q}: {found}");
        }
        assert_eq!(quantile(&[(1.0, 3.0), (INF, 10.0)], 0.99), Some(1.0), "beyond the last limit: that limit");
        assert_eq!(quantile(&[(-5.0, 8.0), (0.0, 9.0), (INF, 10.0)], 0.5), Some(-5.0), "a first limit under zero");
        assert_eq!(quantile(&[(1.0, 4.0), (2.0, 3.0), (INF, 4.0)], 0.99), Some(0.99), "a small inversion is repaired");
    }

    #[test]
    fn where_nothing_can_be_said_nothing_is() {
        for counts in [
            &[][..],
            &[(INF, 5.0)],
            &[(1.0, 5.0), (2.0, 5.0)],
            &[(1.0, 0.0), (INF, 0.0)],
            &[(1.0, INF), (INF, INF)],
            &[(-1e308, 0.0), (1e308, 5.0), (INF, 5.0)],
        ] {
            assert_eq!(quantile(counts, 0.5), None, "{counts:?}");
        }
    }
}
