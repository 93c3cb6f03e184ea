//! Why a rule, or one comparison of it, is left as it is: each reason a word for programs and a sentence for people.

use std::fmt;

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Reason {
    /// The expression cannot be read; where it shows, counted in bytes of the expression.
    NotPromql {
        at: usize,
        problem: String,
    },
    NoLiteral,
    /// Compared with another series, scaled or shifted.
    AgainstSeries,
    Absent,
    /// `==` or `!=`.
    Equality,
    /// A metric that says yes or no, or one of a few states.
    State,
    Zero,
    /// As good as `> 0` or `== 0`, for what counts.
    AnyAtAll,
    Prediction,
    Quorum,
    Expiry,
    Objective,
    Clock,
    NotFinite,
    /// Inside `count(…)` or the like: what is compared there is counted, not alerted on.
    Inside {
        what: String,
    },
    /// Beside the comparison that decides.
    Guard,
    /// One of two bounds of the same quantity.
    Band,
    /// One of several windows of the same quantity, with one literal for all.
    Windows,
    /// `bool` at the top: 0 fires as well as 1.
    FiresAlways,
    /// `@ start()` or `@ end()`.
    QueryEnds,
    /// Its own budget is none.
    NoBudget,
    /// Its own budget cannot be read.
    NotBudget {
        problem: String,
    },
}

impl Reason {
    /// One word, for programs.
    pub fn word(&self) -> &'static str {
        match self {
            Reason::NotPromql { .. } => "not_promql",
            Reason::NoLiteral => "no_literal",
            Reason::AgainstSeries => "against_series",
            Reason::Absent => "absent",
            Reason::Equality => "equality",
            Reason::State => "state",
            Reason::Zero => "zero",
            Reason::AnyAtAll => "any_at_all",
            Reason::Prediction => "prediction",
            Reason::Quorum => "quorum",
            Reason::Expiry => "expiry",
            Reason::Objective => "objective",
            Reason::Clock => "clock",
            Reason::NotFinite => "not_finite",
            Reason::Inside { .. } => "inside",
            Reason::Guard => "guard",
            Reason::Band => "band",
            Reason::Windows => "windows",
            Reason::FiresAlways => "fires_always",
            Reason::QueryEnds => "query_ends",
            Reason::NoBudget => "no_budget",
            Reason::NotBudget { .. } => "not_budget",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Reason::NotPromql { problem, .. } => return write!(f, "not PromQL: {problem}"),
            Reason::Inside { what } => {
                return write!(
                    f,
                    "its comparison stands inside {what}: what passes there is worked on, not alerted on"
                );
            }
            Reason::NotBudget { problem } => return write!(f, "homeostat_budget: {problem}"),
            Reason::QueryEnds => {
                "it looks at `@ start()` or `@ end()`, which history cannot be asked for as the rule sees it: leave them out, they \
                 are the moment of the evaluation"
            }
            Reason::NoBudget => "its homeostat_budget is none: it may page as often as it does",
            Reason::NoLiteral => "nothing in it is compared with a number",
            Reason::AgainstSeries => "compared with another series: its numbers scale that series, and are no level",
            Reason::Absent => "it asks whether a series is there at all",
            Reason::Equality => "it asks for a state, with == or !=, not for a level",
            Reason::State => "the metric says yes or no, or one of a few states: there is no level between them",
            Reason::Zero => "0 is a bound by meaning: anything beyond it counts",
            Reason::AnyAtAll => "it fires at the first one counted, or when none is left: that is a bound by meaning",
            Reason::Prediction => "it predicts when something runs out: 0 is a bound by meaning",
            Reason::Quorum => {
                "it counts members against how many there have to be: people know that number, history does not"
            }
            Reason::Expiry => "it says how early to warn of an expiry: that is how long people need, and no level",
            Reason::Objective => "its literal follows from a service level objective: change the objective instead",
            Reason::Clock => "it compares the time of day or week",
            Reason::NotFinite => "its literal is not finite",
            Reason::Guard => "it guards another comparison, which is the one that decides",
            Reason::Band => "two literals bound the same quantity: how wide the band is, people decide",
            Reason::Windows => {
                "one literal for several windows of the same quantity: moving one of them alone breaks it"
            }
            Reason::FiresAlways => "with `bool` at the top it fires whatever the comparison says: leave out `bool`",
        })
    }
}
