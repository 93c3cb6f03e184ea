//! Series of the same metric are alike: what one says of another.

use super::{Knowledge, Series, SeriesId};
use crate::analyze::strategy::DetectorState;
use crate::series::SeriesName;
use std::ops::Bound;

/// Series before and after a new one, by name, that are looked at for what they say of it.
const SIBLINGS_ASKED: usize = 8;

impl Knowledge {
    /// Other series of the same metric, by name; of more than `most` on one side those next to it.
    pub(crate) fn siblings(&self, name: &SeriesName, most: usize) -> Vec<&Series> {
        let metric = name.metric();
        if metric.is_empty() {
            return Vec::new();
        }
        let alike = |(other, id): (&SeriesName, &SeriesId)| (other.metric() == metric).then(|| self.get(*id))?;
        // The one without labels lies apart: `a` comes before `a_b{`, and that before `a{`.
        let first = format!("{metric}{{");
        let bare = self.names.get(metric).filter(|_| name.as_str() != metric).and_then(|id| self.get(*id));
        let here = name.as_str().max(&first);
        let before = self.names.range::<str, _>((Bound::Included(&*first), Bound::Excluded(here)));
        let after = self.names.range::<str, _>((Bound::Included(here), Bound::Unbounded));
        let before: Vec<&Series> = before.rev().map_while(alike).take(most).collect();
        let after = after.map_while(alike).filter(|other| other.name() != name).take(most);
        bare.into_iter().chain(before.into_iter().rev()).chain(after).collect()
    }

    /// What the best known of the series next to it, of the same metric, says of a new one; of those that have something to
    /// say: one in trouble, or one that has not settled, has not.
    pub(super) fn prior_of(&self, series: &Series) -> Option<DetectorState> {
        let name = series.name();
        let detector = self.methods.detector(series.strategy())?;
        let alike = |(other, id): (&SeriesName, &SeriesId)| {
            let other = (!name.metric().is_empty() && other.metric() == name.metric()).then(|| self.get(*id))??;
            (other.strategy() == series.strategy()).then_some(other)
        };
        let before = self.names.range::<SeriesName, _>(..name).rev().take(SIBLINGS_ASKED).filter_map(alike);
        let after = self.names.range::<SeriesName, _>(name..).take(SIBLINGS_ASKED).filter_map(alike);
        let mut siblings: Vec<&Series> = before.chain(after).collect();
        siblings.sort_by_key(|sibling| sibling.admitted);
        siblings.iter().rev().find_map(|sibling| detector.prior(sibling.detector.as_ref()?))
    }
}
