//! Numbers that are checked where they enter and never again.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A number was outside the range of its unit.
#[derive(Clone, Copy, PartialEq, Debug, thiserror::Error)]
#[error("{value} is not {wanted}")]
pub struct OutOfRange {
    pub value: f64,
    pub wanted: &'static str,
}

macro_rules! checked {
    ($(#[$doc:meta])* $name:ident, $wanted:literal, $ok:expr) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, PartialOrd, Debug, Serialize, Deserialize)]
        #[serde(try_from = "f64", into = "f64")]
        pub struct $name(f64);

        impl $name {
            /// The checked number, or why it is refused.
            pub fn new(value: f64) -> Result<$name, OutOfRange> {
                let ok: fn(f64) -> bool = $ok;
                if ok(value) { Ok($name(value)) } else { Err(OutOfRange { value, wanted: $wanted }) }
            }

            pub const fn get(self) -> f64 {
                self.0
            }
        }

        impl TryFrom<f64> for $name {
            type Error = OutOfRange;
            fn try_from(value: f64) -> Result<$name, OutOfRange> {
                $name::new(value)
            }
        }

        impl From<$name> for f64 {
            fn from(value: $name) -> f64 {
                value.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        #[cfg(feature = "schema")]
        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": "number", "description": $wanted })
            }
        }
    };
}

checked!(
    /// A measured value in its series' own unit: any finite number.
    Value, "a finite number", |v| v.is_finite()
);
checked!(
    /// A share, 0 to 1.
    Ratio, "a ratio from 0 to 1", |v| (0.0..=1.0).contains(&v)
);
checked!(
    /// How far a recommendation is to be trusted, 0 to 1.
    Confidence, "a confidence from 0 to 1", |v| (0.0..=1.0).contains(&v)
);
checked!(
    /// How many sigmas of a bell the bounds are wide; a larger number breaches less. 1.0 to 6.0.
    Sensitivity, "a sensitivity from 1.0 to 6.0 sigmas", |v| (1.0..=6.0).contains(&v)
);

impl Ratio {
    pub const ZERO: Ratio = Ratio(0.0);

    /// Brought to the nearer end when outside; 0 for what is not a number.
    pub fn clamped(value: f64) -> Ratio {
        Ratio(if value.is_nan() { 0.0 } else { value.clamp(0.0, 1.0) })
    }
}

impl Confidence {
    /// Brought to the nearer end when outside; 0 for what is not a number.
    pub fn clamped(value: f64) -> Confidence {
        Confidence(Ratio::clamped(value).0)
    }
}

impl Sensitivity {
    pub const DEFAULT: Sensitivity = Sensitivity(2.0);
    pub const MIN: f64 = 1.0;
    pub const MAX: f64 = 6.0;

    /// Brought to the nearer end when outside.
    pub fn clamped(value: f64) -> Sensitivity {
        Sensitivity(if value.is_nan() { 2.0 } else { value.clamp(Self::MIN, Self::MAX) })
    }
}

impl Default for Sensitivity {
    fn default() -> Sensitivity {
        Sensitivity::DEFAULT
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_outside_its_unit_is_refused_with_the_range() {
        assert_eq!(Confidence::new(1.5).expect_err("above one").to_string(), "1.5 is not a confidence from 0 to 1");
        assert!(Value::new(f64::NAN).is_err() && Value::new(f64::INFINITY).is_err() && Value::new(1e308).is_ok());
        assert!(serde_json::from_str::<Sensitivity>("0.5").is_err());
        assert_eq!(Sensitivity::clamped(9.0).get(), 6.0);
    }
}
