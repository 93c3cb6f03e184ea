//! What confidences claimed, and what came of it: of each series that alerts at a budget one claim runs at a time, for a week.
//!
//! `homeostat calibrate` asks the same of simulated worlds, where incidents are known. Here a page counts as false unless a
//! person called it true, so that what is counted is at worst too severe.

use crate::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};

/// How long a claim runs.
pub const CLAIMED: Span = Span::hours(7 * 24);

/// Claims are counted by tenths of what was said.
pub const TENTHS: usize = 10;

/// That of a series which runs.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Running {
    pub since: Timestamp,
    /// The confidence.
    pub said: f64,
    /// Up to so many pages it holds.
    pub most: f64,
    /// Pages so far that nobody called true.
    pub pages: u32,
    /// Samples that were admitted before it, and how many a week usually has.
    #[serde(default)]
    pub admitted: u64,
    #[serde(default)]
    pub usual: f64,
}

/// A claim of whose week fewer samples were seen than this share of the usual says nothing.
const SEEN_MIN: f64 = 0.9;

impl Running {
    pub(crate) fn new(said: f64, most: f64, since: Timestamp, admitted: u64, interval: Span) -> Running {
        let usual = CLAIMED.secs() / interval.secs().max(1e-3);
        Running { since, said, most, pages: 0, admitted, usual }
    }

    /// What came of it, when so many samples had been admitted in the end. None: too few of its week were seen to say that
    /// it was kept.
    pub fn outcome(&self, admitted: u64) -> Option<bool> {
        let seen = admitted.saturating_sub(self.admitted) as f64;
        if self.holds() && seen < SEEN_MIN * self.usual { None } else { Some(self.holds()) }
    }

    pub fn is_over(&self, now: Timestamp) -> bool {
        now.since(self.since) >= CLAIMED
    }

    pub fn holds(&self) -> bool {
        f64::from(self.pages) <= self.most
    }
}

/// Of a tenth of confidences, all claims whose week is over.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Tenth {
    pub kept: u64,
    pub broken: u64,
    /// Of whose weeks too little was seen; they count no further.
    #[serde(default)]
    pub void: u64,
    /// Sum of what was said: what it would be if all came as said, kept.
    pub said: f64,
}

/// What came of all claims so far, by tenths of what was said.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Claims([Tenth; TENTHS]);

impl Claims {
    pub(crate) fn settle(&mut self, said: f64, kept: Option<bool>) {
        let tenth = &mut self.0[((said * TENTHS as f64) as usize).min(TENTHS - 1)];
        match kept {
            Some(true) => tenth.kept += 1,
            Some(false) => tenth.broken += 1,
            None => tenth.void += 1,
        }
        if kept.is_some() {
            tenth.said += said;
        }
    }

    /// Of confidences from 0 to .1, and so on.
    pub fn tenths(&self) -> &[Tenth; TENTHS] {
        &self.0
    }

    pub fn all(&self) -> Tenth {
        self.0.iter().fold(Tenth::default(), |all, tenth| Tenth {
            kept: all.kept + tenth.kept,
            broken: all.broken + tenth.broken,
            void: all.void + tenth.void,
            said: all.said + tenth.said,
        })
    }
}
