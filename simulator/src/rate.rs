//! How often something happens, exactly.
//!
//! "1000/m" is 16.666… a second, which no float is. Over an hour the difference hardly shows; over the
//! window of a limiter that admits exactly as much as is sent, one arrival early or late is a rejection that
//! the arithmetic made. A rate is therefore a fraction of two integers.

use std::fmt;
use std::time::Duration;

/// Events per time, as an exact fraction in lowest terms; at most one event per nanosecond.
///
/// ```
/// use simulator::Rate;
///
/// let rate = Rate::new(1_000, 60_000_000_000)?;
/// assert_eq!(rate, Rate::new(500, 30_000_000_000)?);
/// assert_eq!(rate.to_string(), "1000/m");
/// # Ok::<(), simulator::RateError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rate {
    events: u64,
    period_nanos: u64,
}

impl Rate {
    /// No events, ever.
    pub const ZERO: Self = Self { events: 0, period_nanos: 1 };

    /// `events` every `period_nanos` nanoseconds. No events is a rate too: [`Rate::ZERO`].
    ///
    /// # Errors
    ///
    /// If the period is zero, or if it has more events than nanoseconds: time is told no finer.
    pub const fn new(events: u64, period_nanos: u64) -> Result<Self, RateError> {
        if period_nanos == 0 {
            return Err(RateError::ZeroPeriod);
        }
        if events > period_nanos {
            return Err(RateError::TooHigh);
        }
        let divisor = greatest_common_divisor(events, period_nanos);
        Ok(Self { events: events / divisor, period_nanos: period_nanos / divisor })
    }

    /// Events per [`period_nanos`](Self::period_nanos), in lowest terms.
    pub const fn events(self) -> u64 {
        self.events
    }

    /// Nanoseconds in which [`events`](Self::events) happen, in lowest terms; never zero.
    pub const fn period_nanos(self) -> u64 {
        self.period_nanos
    }

    /// Whether nothing happens at all.
    pub const fn is_zero(self) -> bool {
        self.events == 0
    }

    /// Events per second, to the nearest float or two.
    pub const fn per_second(self) -> f64 {
        self.events as f64 / self.period_nanos as f64 * 1e9
    }
}

/// In the first of seconds, minutes, hours and days in which it is a decimal number of at most six places,
/// "200/s", "16.7/s", "1000/m"; "1 per 7s" where it is none.
impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MICRO: u128 = 1_000_000;
        let units = [
            ("s", 1_000_000_000),
            ("m", 60_000_000_000),
            ("h", 3_600_000_000_000),
            ("d", 86_400_000_000_000),
        ];
        for (unit, nanos) in units {
            // The whole apart from the millionths, because a high rate in millionths overflows.
            let per_unit = u128::from(self.events) * nanos;
            let (whole, rest) =
                (per_unit / u128::from(self.period_nanos), per_unit % u128::from(self.period_nanos));
            if (rest * MICRO).is_multiple_of(u128::from(self.period_nanos)) {
                let fraction = format!("{:06}", rest * MICRO / u128::from(self.period_nanos));
                let fraction = fraction.trim_end_matches('0');
                let point = if fraction.is_empty() { "" } else { "." };
                return write!(f, "{whole}{point}{fraction}/{unit}");
            }
        }
        write!(f, "{} per {:?}", self.events, Duration::from_nanos(self.period_nanos))
    }
}

/// Why a rate is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RateError {
    /// The period is zero.
    #[error("the period of a rate must not be zero")]
    ZeroPeriod,
    /// More events than nanoseconds.
    #[error("a rate must not exceed one event per nanosecond")]
    TooHigh,
}

/// Euclid's algorithm; the other number if one is zero.
pub(crate) const fn greatest_common_divisor(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    #[expect(clippy::float_cmp, reason = "these rates are exact")]
    fn a_rate_is_in_lowest_terms() {
        let rate = Rate::new(167, 10 * SECOND).unwrap();
        assert_eq!((rate.events(), rate.period_nanos()), (167, 10 * SECOND));
        let rate = Rate::new(1000, 60 * SECOND).unwrap();
        assert_eq!((rate.events(), rate.period_nanos()), (1, 60_000_000));
        assert_eq!(Rate::new(0, 7 * SECOND), Ok(Rate::ZERO));
        assert!(Rate::ZERO.is_zero());
        assert_eq!(Rate::new(200, SECOND).unwrap().per_second(), 200.0);
        assert_eq!(Rate::ZERO.per_second(), 0.0);
    }

    #[test]
    fn no_period_and_no_time_between_events_are_errors() {
        assert_eq!(Rate::new(1, 0), Err(RateError::ZeroPeriod));
        assert_eq!(Rate::new(0, 0), Err(RateError::ZeroPeriod));
        assert_eq!(Rate::new(2, 1), Err(RateError::TooHigh));
        assert!(Rate::new(1, 1).is_ok());
        assert!(Rate::new(u64::MAX, u64::MAX).is_ok());
    }

    #[test]
    fn rates_read_as_people_write_them() {
        let shown = |events, period| Rate::new(events, period).unwrap().to_string();
        assert_eq!(shown(200, SECOND), "200/s");
        assert_eq!(shown(167, 10 * SECOND), "16.7/s");
        assert_eq!(shown(1, 1_000_000 * SECOND), "0.000001/s");
        assert_eq!(shown(1000, 60 * SECOND), "1000/m");
        assert_eq!(shown(1, 3600 * SECOND), "1/h");
        assert_eq!(shown(1, 86_400 * SECOND), "1/d");
        assert_eq!(shown(1, 7 * SECOND), "1 per 7s");
        assert_eq!(shown(1, 1), "1000000000/s");
        assert_eq!(shown(u64::MAX, u64::MAX), "1000000000/s");
        assert_eq!(Rate::ZERO.to_string(), "0/s");
    }

    proptest! {
        #[test]
        fn reducing_keeps_the_value(events: u64, period in 1_u64..) {
            if let Ok(rate) = Rate::new(events, period) {
                prop_assert_eq!(
                    u128::from(rate.events()) * u128::from(period),
                    u128::from(events) * u128::from(rate.period_nanos())
                );
                prop_assert_eq!(greatest_common_divisor(rate.events(), rate.period_nanos()), 1);
                prop_assert!(!rate.to_string().is_empty());
            }
        }
    }
}
