//! What a measured value is compared with, and how.

use std::cmp::Ordering;
use std::time::Duration;

use crate::words::value::Value;

/// How a measured value is compared with a bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// `<`
    Less,
    /// `<=`
    AtMost,
    /// `>`
    Greater,
    /// `>=`
    AtLeast,
    /// `==`
    Equal,
}

/// The right-hand side of an expectation, in the unit of its measure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bound {
    /// For counts and ratios.
    Number(f64),
    /// For shares, 0.5 for 50%; and for requests, as a share of those offered.
    Share(f64),
    /// For times.
    Duration(Duration),
    /// For rates, per second.
    RatePerS(f64),
    /// For what may not come; later than any time.
    Never,
}

impl Bound {
    /// A measured value as what another one is held against; `None` of what was not observed.
    fn of(value: Value) -> Option<Self> {
        match value {
            Value::Count(count) => Some(Self::Number(count as f64)),
            Value::Number(number) => Some(Self::Number(number)),
            Value::Share(share) => Some(Self::Share(share)),
            Value::DurationUs(us) => Some(Self::Duration(Duration::from_micros(us))),
            Value::RatePerS(rate) => Some(Self::RatePerS(rate)),
            Value::Never => Some(Self::Never),
            Value::NotObserved => None,
        }
    }

    /// The bound as a value of the same kind as `like`, which a count is and a plain number need not be.
    pub(crate) fn as_value(self, like: Value) -> Value {
        match (self, like) {
            (Self::Number(number), Value::Count(_)) => Value::Count(number as u64),
            (Self::Number(number), _) => Value::Number(number),
            (Self::Share(share), _) => Value::Share(share),
            (Self::Duration(duration), _) => {
                Value::DurationUs(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX))
            }
            (Self::RatePerS(rate), _) => Value::RatePerS(rate),
            (Self::Never, _) => Value::Never,
        }
    }
}

impl Comparison {
    /// Whether two measured values compare so. Nothing compares with what was not observed.
    pub fn holds_between(self, measured: Value, standard: Value) -> bool {
        Bound::of(standard).is_some_and(|bound| self.holds(measured, bound))
    }

    pub(crate) fn holds(self, measured: Value, bound: Bound) -> bool {
        let order = match (measured, bound) {
            (Value::Count(measured), Bound::Number(bound)) => (measured as f64).partial_cmp(&bound),
            (Value::Number(measured), Bound::Number(bound))
            | (Value::Share(measured), Bound::Share(bound))
            | (Value::RatePerS(measured), Bound::RatePerS(bound)) => measured.partial_cmp(&bound),
            (Value::DurationUs(measured), Bound::Duration(bound)) => {
                Some(Duration::from_micros(measured).cmp(&bound))
            }
            (Value::Never, Bound::Duration(_)) => Some(Ordering::Greater),
            (Value::Never, Bound::Never) => Some(Ordering::Equal),
            (Value::DurationUs(_), Bound::Never) => Some(Ordering::Less),
            _ => None,
        };
        order.is_some_and(|order| match self {
            Self::Less => order.is_lt(),
            Self::AtMost => order.is_le(),
            Self::Greater => order.is_gt(),
            Self::AtLeast => order.is_ge(),
            Self::Equal => order.is_eq(),
        })
    }
}
