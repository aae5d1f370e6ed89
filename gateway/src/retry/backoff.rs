//! The wait before a retry: back-off and jitter.

use std::time::Duration;

use thiserror::Error;

/// How long to wait before the next attempt.
///
/// The k-th wait, k = 1, 2, …, is min(`max`, `base`·2^(k−1)), and then drawn by the [`Jitter`]. The names follow Brooker,
/// *Exponential Backoff And Jitter* (AWS Architecture Blog, 2015), whose first exponential wait is 2·base.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backoff {
    growth: Growth,
    jitter: Jitter,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Growth {
    /// No wait at all.
    #[default]
    None,
    Fixed(Duration),
    Exponential {
        base: Duration,
        max: Duration,
    },
}

/// What is drawn out of a wait `w`, so that those who failed together do not come back together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Jitter {
    /// `w` itself.
    #[default]
    None,
    /// Uniform in [0, w].
    Full,
    /// Uniform in [w/2, w].
    Equal,
    /// min(`max`, uniform in [`base`, 3 × the previous wait]), the first previous wait being `base`; the number of the
    /// wait plays no part.
    Decorrelated,
}

/// Why settings are no [`Backoff`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum BackoffError {
    /// A wait of nothing is no wait, and does not double.
    #[error("base must be longer than zero")]
    BaseZero,
    /// The cap is below where it starts.
    #[error("max must be at least base")]
    MaxBelowBase,
}

impl Backoff {
    /// Again at once.
    pub const NONE: Self = Self { growth: Growth::None, jitter: Jitter::None };

    /// The same wait each time.
    ///
    /// # Errors
    ///
    /// For a wait of zero.
    pub const fn fixed(base: Duration, jitter: Jitter) -> Result<Self, BackoffError> {
        if base.is_zero() {
            return Err(BackoffError::BaseZero);
        }
        Ok(Self { growth: Growth::Fixed(base), jitter })
    }

    /// `base`, twice that, four times that, … up to `max`.
    ///
    /// # Errors
    ///
    /// For a base of zero or above `max`.
    pub fn exponential(base: Duration, max: Duration, jitter: Jitter) -> Result<Self, BackoffError> {
        if base.is_zero() {
            return Err(BackoffError::BaseZero);
        }
        if max < base {
            return Err(BackoffError::MaxBelowBase);
        }
        Ok(Self { growth: Growth::Exponential { base, max }, jitter })
    }

    /// The wait number `retry`, from 1, after one of `previous` (zero before the first); `unit` is a uniform draw from
    /// [0, 1).
    pub(super) fn wait(&self, retry: u32, previous: Duration, unit: f64) -> Duration {
        let (base, max) = match self.growth {
            Growth::None => return Duration::ZERO,
            Growth::Fixed(base) => (base, base),
            Growth::Exponential { base, max } => (base, max),
        };
        let doublings = retry.saturating_sub(1);
        let whole =
            1_u32.checked_shl(doublings).and_then(|factor| base.checked_mul(factor)).unwrap_or(max).min(max);
        match self.jitter {
            Jitter::None => whole,
            Jitter::Full => scaled(whole, unit),
            Jitter::Equal => whole / 2 + scaled(whole / 2, unit),
            Jitter::Decorrelated => {
                let upper = previous.max(base).saturating_mul(3);
                (base + scaled(upper.saturating_sub(base), unit)).min(max)
            }
        }
    }
}

fn scaled(whole: Duration, unit: f64) -> Duration {
    Duration::from_nanos((whole.as_nanos() as f64 * unit) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn waits(backoff: Backoff, unit: f64) -> Vec<u128> {
        let mut previous = Duration::ZERO;
        let wait = |retry| {
            previous = backoff.wait(retry, previous, unit);
            previous.as_millis()
        };
        (1..=6).map(wait).collect()
    }

    #[test]
    fn waits_grow_to_the_cap() {
        assert_eq!(waits(Backoff::NONE, 0.5), [0; 6]);
        assert_eq!(waits(Backoff::fixed(ms(100), Jitter::None).unwrap(), 0.5), [100; 6]);
        let exponential = |jitter| Backoff::exponential(ms(100), ms(1_500), jitter).unwrap();
        assert_eq!(waits(exponential(Jitter::None), 0.5), [100, 200, 400, 800, 1500, 1500]);
        assert_eq!(waits(exponential(Jitter::Full), 0.0), [0; 6]);
        assert_eq!(waits(exponential(Jitter::Full), 0.5), [50, 100, 200, 400, 750, 750]);
        assert_eq!(waits(exponential(Jitter::Equal), 0.0), [50, 100, 200, 400, 750, 750]);
        assert_eq!(waits(exponential(Jitter::Equal), 0.5), [75, 150, 300, 600, 1125, 1125]);
        assert_eq!(waits(exponential(Jitter::Decorrelated), 0.0), [100; 6]);
        assert_eq!(waits(exponential(Jitter::Decorrelated), 0.5), [200, 350, 575, 912, 1418, 1500]);
    }

    #[test]
    fn no_number_of_retries_overflows() {
        let backoff = Backoff::exponential(Duration::MAX / 2, Duration::MAX, Jitter::None).unwrap();
        for retry in [1, 2, 31, 32, 33, 64, u32::MAX] {
            assert!(backoff.wait(retry, Duration::MAX, 0.999) >= Duration::MAX / 2);
        }
    }

    #[test]
    fn settings_that_cannot_be_meant_are_refused() {
        assert_eq!(Backoff::fixed(Duration::ZERO, Jitter::None), Err(BackoffError::BaseZero));
        assert_eq!(Backoff::exponential(ms(2), ms(1), Jitter::Full), Err(BackoffError::MaxBelowBase));
    }
}
