//! A measured value with its unit.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::words::format::{MINUTE_US, SECOND_US, count, digits, minutes, percent, scaled, unrounded};

/// A measured value with its unit.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Value {
    /// A number of things.
    Count(u64),
    /// A plain ratio, such as an amplification.
    Number(f64),
    /// A share, 0 to 1.
    Share(f64),
    /// A time in microseconds.
    DurationUs(u64),
    /// Events per second.
    RatePerS(f64),
    /// It did not happen.
    Never,
    /// There was nothing to measure it on (no request was offered, the limit is off).
    NotObserved,
}

impl Value {
    /// The value as an expectation shows it: four digits where it held, and as many as show why where it did not.
    pub(crate) fn told(self, held: bool) -> String {
        let cut = |value: f64| if held { digits(value, 4) } else { unrounded(value) };
        match self {
            Self::Count(n) => count(n),
            Self::Number(x) => cut(x),
            Self::Share(x) => format!("{}%", if held { percent(x) } else { cut(x * 100.0) }),
            Self::DurationUs(us) if !held && us >= MINUTE_US => minutes(us / SECOND_US, us % SECOND_US),
            Self::DurationUs(us) => scaled(us as f64, cut),
            Self::RatePerS(x) => format!("{}/s", cut(x)),
            Self::Never => "never".to_owned(),
            Self::NotObserved => "not observed".to_owned(),
        }
    }
}
