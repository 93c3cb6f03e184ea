//! How often ordinary samples may alert: a number of pages in a time, which says where alert levels stand.

use crate::analyze::strategy::AlertLevel;
use crate::stats::normal;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use std::sync::LazyLock;

/// Without a budget an alert stands this many sigma-equivalents out, sustained.
pub const ALERT_SIGMAS: f64 = 4.5;
static ALERT_RARITY: LazyLock<f64> = LazyLock::new(|| normal::rarity(ALERT_SIGMAS));

/// Pages in a time, as text: `5 per week`, or `none`.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Budget {
    /// The fixed level of [`ALERT_SIGMAS`].
    None,
    /// So many, more than 0, in a time.
    Pages { count: f64, per: Per },
}

/// The times a budget may be counted in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Per {
    Hour,
    Day,
    Week,
    Month,
}

/// The most pages a week that make sense: one a minute.
const PER_WEEK_MAX: f64 = 10_080.0;
/// And the fewest: one in a thousand years.
const PER_WEEK_MIN: f64 = 1.0 / 52_000.0;

#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error(
    "`{0}` is not a budget; give one like `1 per week` (per hour, day, week or month; from one a minute to one in a thousand years), or `none`"
)]
pub struct NotBudget(String);

impl Budget {
    /// One page a week.
    pub const ONE_PER_WEEK: Budget = Budget::Pages { count: 1.0, per: Per::Week };

    /// None: there is no budget.
    pub fn per_week(self) -> Option<f64> {
        match self {
            Budget::None => None,
            Budget::Pages { count, per } => Some(count * per.in_a_week()),
        }
    }

    /// The level that leaves each of `sharing` series its part.
    pub fn level(self, sharing: usize) -> AlertLevel {
        match self.per_week() {
            Some(pages) => AlertLevel::PerWeek(pages / sharing.max(1) as f64),
            None => AlertLevel::Rarity(*ALERT_RARITY),
        }
    }
}

impl Per {
    const ALL: [(Per, &'static str, f64); 4] = [
        (Per::Hour, "hour", 168.0),
        (Per::Day, "day", 7.0),
        (Per::Week, "week", 1.0),
        // A twelfth of a year.
        (Per::Month, "month", 84.0 / 365.25),
    ];

    fn in_a_week(self) -> f64 {
        Per::ALL[self as usize].2
    }

    fn as_str(self) -> &'static str {
        Per::ALL[self as usize].1
    }
}

impl FromStr for Budget {
    type Err = NotBudget;

    fn from_str(text: &str) -> Result<Budget, NotBudget> {
        let refused = || NotBudget(text.to_owned());
        if text.trim() == "none" {
            return Ok(Budget::None);
        }
        let words: Vec<&str> = text.split_whitespace().collect();
        let [count, "per", unit] = words.as_slice() else { return Err(refused()) };
        let count: f64 = count.parse().map_err(|_| refused())?;
        let per = Per::ALL.into_iter().find(|(_, name, _)| name == unit).ok_or_else(refused)?.0;
        let per_week = count * per.in_a_week();
        if (PER_WEEK_MIN..=PER_WEEK_MAX).contains(&per_week) {
            Ok(Budget::Pages { count, per })
        } else {
            Err(refused())
        }
    }
}

impl fmt::Display for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Budget::None => f.write_str("none"),
            Budget::Pages { count, per } => write!(f, "{count} per {}", per.as_str()),
        }
    }
}

impl TryFrom<String> for Budget {
    type Error = NotBudget;

    fn try_from(text: String) -> Result<Budget, NotBudget> {
        text.parse()
    }
}

impl From<Budget> for String {
    fn from(budget: Budget) -> String {
        budget.to_string()
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Budget {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Budget".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "description": "How often ordinary samples may alert: `5 per week` (per hour, day, week or month), or `none`",
            "pattern": "^(none|[0-9.]+ per (hour|day|week|month))$"
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_is_a_number_per_time_or_none_and_reads_back() {
        for (text, per_week) in
            [("1 per week", 1.0), ("0.5 per day", 3.5), ("2 per hour", 336.0), ("3 per month", 0.69)]
        {
            let budget: Budget = text.parse().expect(text);
            assert!((budget.per_week().expect("one") - per_week).abs() < 0.01, "{text}");
            assert_eq!(budget.to_string().parse(), Ok(budget));
        }
        assert_eq!("none".parse(), Ok(Budget::None));
        for wrong in [
            "",
            "1",
            "one per week",
            "0 per week",
            "-1 per day",
            "1 per fortnight",
            "inf per day",
            "NaN per week",
            "1e9 per week",
        ] {
            let error = wrong.parse::<Budget>().expect_err(wrong).to_string();
            assert!(error.contains("1 per week"), "{error}");
        }
    }

    #[test]
    fn it_is_shared_out_evenly() {
        assert_eq!(Budget::ONE_PER_WEEK.level(4), AlertLevel::PerWeek(0.25));
        assert_eq!(Budget::ONE_PER_WEEK.level(0), AlertLevel::PerWeek(1.0));
        assert!(matches!(Budget::None.level(4), AlertLevel::Rarity(decades) if (decades - 5.47).abs() < 0.01));
    }
}
