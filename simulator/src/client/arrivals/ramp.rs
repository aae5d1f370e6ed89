//! A rate that changes over time, and its exact integral.
//!
//! All schedules on a ramp ask one question of it: at what time have so many events been due? Between two
//! points the number due is a quadratic of time, and its inverse takes a square root. In floating point alone
//! the answer is a nanosecond off here and there, and where the integral comes to a whole number at the very
//! end of a scenario that is a request too many or too few. So floats only guess, and integers decide.

use std::sync::Arc;
use std::time::Duration;

use super::LoadError;
use crate::rate::{Rate, greatest_common_divisor};

/// A point of a ramp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RampPoint {
    /// Time since the scenario's start.
    pub at: Duration,
    /// The rate at that time.
    pub rate: Rate,
}

/// The integral of a rate that is linear between points, the first point's before them and the last's after.
///
/// Rates are put on one denominator: `q` nanoseconds, in which each has a whole number of events. The
/// integral over a whole piece then is a whole number of *units* of 1/2q events (a trapezoid: mean of two
/// rates times length), and no error builds up from piece to piece.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Ramp {
    /// In order of time, without gaps from zero on; the last one is flat and has no end.
    pieces: Arc<[Piece]>,
    units_per_event: u64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Piece {
    /// Nanoseconds since the scenario's start.
    from: u64,
    /// Nanoseconds, not zero. Of no meaning for the last piece.
    length: u64,
    /// Events per `q` nanoseconds at its beginning.
    first: u64,
    /// Events per `q` nanoseconds at its end.
    last: u64,
    /// Units due before it.
    before: u128,
}

impl Ramp {
    /// The ramp through `points`.
    ///
    /// # Errors
    ///
    /// If there is no point, if one is earlier than the one before it, or if rates and times have too many
    /// digits between them for 128 bits.
    pub(super) fn new(points: &[RampPoint]) -> Result<Self, LoadError> {
        let (Some(first), Some(last)) = (points.first(), points.last()) else {
            return Err(LoadError::EmptyRamp);
        };
        if let Some(earlier) = points.windows(2).position(|pair| pair[1].at < pair[0].at) {
            return Err(LoadError::RampOutOfOrder { point: earlier + 1 });
        }
        let end = u64::try_from(last.at.as_nanos()).map_err(|_| LoadError::RampTooFine)?;
        let q = common_period(points, end).ok_or(LoadError::RampTooFine)?;
        let events = |rate: Rate| rate.events() * (q / rate.period_nanos());

        let mut pieces = Vec::with_capacity(points.len() + 1);
        let mut before = 0;
        let lead = RampPoint { at: Duration::ZERO, rate: first.rate };
        let mut previous = &lead;
        for point in points {
            let from = previous.at.as_nanos() as u64;
            let length = point.at.as_nanos() as u64 - from;
            // Two points at one instant are a step, which takes no time and has no piece.
            if length > 0 {
                let piece =
                    Piece { from, length, first: events(previous.rate), last: events(point.rate), before };
                before += (u128::from(piece.first) + u128::from(piece.last)) * u128::from(length);
                pieces.push(piece);
            }
            previous = point;
        }
        let rate = events(last.rate);
        pieces.push(Piece { from: end, length: u64::MAX, first: rate, last: rate, before });
        Ok(Self { pieces: pieces.into(), units_per_event: 2 * q })
    }

    /// How many units make an event.
    pub(super) const fn units_per_event(&self) -> u64 {
        self.units_per_event
    }

    /// Units due from the scenario's start until `time`, rounded down.
    pub(super) fn due(&self, time: u64) -> u128 {
        let piece = &self.pieces[self.pieces.partition_point(|piece| piece.from <= time) - 1];
        let into = time - piece.from;
        piece.before
            + if piece.first == piece.last {
                2 * u128::from(piece.first) * u128::from(into)
            } else {
                piece.due_times_length(into).cast_unsigned() / u128::from(piece.length)
            }
    }

    /// The last nanosecond until which no more than `target` units are due; `None` if it never comes.
    ///
    /// That is when the number due *passes* the target: an event whose turn comes during a pause in the load
    /// happens when the load is back, not when it went.
    ///
    /// `piece` is where the answer to the last question was found, zero at first. Targets must not fall.
    pub(super) fn time_of(&self, target: u128, piece: &mut usize) -> Option<u64> {
        while self.pieces.get(*piece + 1).is_some_and(|next| next.before <= target) {
            *piece += 1;
        }
        let found = &self.pieces[*piece];
        let into = found.time_of(target - found.before)?;
        found.from.checked_add(into)
    }
}

impl Piece {
    /// Units due `into` nanoseconds after the beginning of this slope, times its length, which makes them
    /// whole.
    ///
    /// With rates r₀, r₁ and length L that is 2r₀L·x + (r₁ − r₀)·x², and it rises over the whole piece.
    fn due_times_length(&self, into: u64) -> i128 {
        let (length, into) = (i128::from(self.length), i128::from(into));
        (2 * i128::from(self.first) * length + (i128::from(self.last) - i128::from(self.first)) * into) * into
    }

    /// The last nanosecond of this piece at which no more than `target` of its units are due.
    fn time_of(&self, target: u128) -> Option<u64> {
        if self.first == self.last {
            if self.first == 0 {
                return None;
            }
            return u64::try_from(target / (2 * u128::from(self.first))).ok();
        }
        let target = (target * u128::from(self.length)).cast_signed();
        let fits = |into: u64| self.due_times_length(into) <= target;

        // The root of a·x² + b·x = c in the form that does not subtract two large numbers, nor divide by a
        // small a.
        let a = self.last as f64 - self.first as f64;
        let b = 2.0 * self.first as f64 * self.length as f64;
        let c = target as f64;
        // At the foot of a slope that ends at zero the difference may come out negative, by rounding.
        let root = (b * b + 4.0 * a * c).max(0.0).sqrt();
        // Nothing due yet, and no rate either: 0/0, which the cast makes 0.
        let guess = ((2.0 * c / (b + root)) as u64).min(self.length);

        // Almost always the guess is right or one off. Where the rate comes close to zero it may be far off,
        // so widen in doubling steps until the answer lies between `low` and `high`, and bisect.
        let (mut low, mut high, mut step) = (guess, guess, 1);
        if fits(guess) {
            loop {
                high = low.saturating_add(step).min(self.length);
                if high == low || !fits(high) {
                    break;
                }
                (low, step) = (high, step * 2);
            }
        } else {
            loop {
                low = high.saturating_sub(step);
                if fits(low) {
                    break;
                }
                (high, step) = (low, step * 2);
            }
        }
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            if fits(middle) { low = middle } else { high = middle }
        }
        Some(low)
    }
}

/// Nanoseconds in which all rates have whole numbers of events, small enough for the integral up to `end` and
/// for the time after it.
fn common_period(points: &[RampPoint], end: u64) -> Option<u64> {
    // Beyond the ramp: twice the events per period, for any 64-bit time, in 128 bits.
    const LARGEST: u64 = 1 << 56;
    // Poisson arrivals round their targets down to units. No finer than this needs them to be.
    const FINE: u64 = 1 << 40;

    let mut period: u64 = 1;
    for point in points {
        let own = point.rate.period_nanos();
        period = (period / greatest_common_divisor(period, own)).checked_mul(own)?;
        if period > LARGEST {
            return None;
        }
    }
    // At most one event per nanosecond: this cannot overflow.
    let most = points.iter().map(|point| point.rate.events() * (period / point.rate.period_nanos())).max()?;
    // The integral times the length of a piece is at most 2 · events · end², and its sign takes a bit.
    let square = u128::from(end).checked_mul(u128::from(end))?.checked_mul(4)?;
    let fits = |scale: u64| {
        u128::from(most * scale).checked_mul(square).is_some_and(|product| i128::try_from(product).is_ok())
    };
    if !fits(1) {
        return None;
    }
    let mut scale = 1;
    while period * scale < FINE && fits(2 * scale) {
        scale *= 2;
    }
    Some(period * scale)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn ramp(points: &[(u64, u64)]) -> Ramp {
        let point = |&(at_ms, per_second)| RampPoint {
            at: Duration::from_millis(at_ms),
            rate: Rate::new(per_second, SECOND).unwrap(),
        };
        Ramp::new(&points.iter().map(point).collect::<Vec<_>>()).unwrap()
    }

    #[test]
    #[expect(clippy::float_cmp, reason = "these integrals are exact")]
    fn integrates_trapezoids() {
        // 10/s until 1 s, up to 30/s at 3 s, down to 0 at 4 s, a step to 5/s.
        let ramp = ramp(&[(1000, 10), (3000, 30), (4000, 0), (4000, 5)]);
        let due = |seconds: f64| ramp.due((seconds * 1e9) as u64) as f64 / ramp.units_per_event() as f64;
        let expected =
            [(0.0, 0.0), (1.0, 10.0), (2.0, 25.0), (3.0, 50.0), (3.5, 61.25), (4.0, 65.0), (10.0, 95.0)];
        for (seconds, events) in expected {
            assert_eq!(due(seconds), events, "until {seconds} s");
        }
    }

    #[test]
    fn a_target_in_a_pause_is_met_when_the_load_is_back() {
        let ramp = ramp(&[(0, 10), (1000, 10), (1000, 0), (5000, 0), (6000, 2)]);
        let unit = u128::from(ramp.units_per_event());
        let mut piece = 0;
        assert_eq!(ramp.time_of(9 * unit, &mut piece), Some(900_000_000));
        // Ten are due from second 1 to second 5; the rate is back from there on.
        assert_eq!(ramp.time_of(10 * unit, &mut piece), Some(5 * SECOND));
        assert_eq!(ramp.time_of(11 * unit, &mut piece), Some(6 * SECOND));
        assert_eq!(ramp.time_of(13 * unit, &mut piece), Some(7 * SECOND));
    }

    #[test]
    fn a_load_that_ends_leaves_targets_unmet() {
        let ramp = ramp(&[(0, 10), (10_000, 0)]);
        let unit = u128::from(ramp.units_per_event());
        let mut piece = 0;
        // 10t − t²/2 = 48 at t = 8, and all but one unit of 50 just before the end.
        assert_eq!(ramp.time_of(48 * unit, &mut piece), Some(8 * SECOND));
        assert!(ramp.time_of(50 * unit - 1, &mut piece).is_some_and(|time| time < 10 * SECOND));
        assert_eq!(ramp.time_of(50 * unit, &mut piece), None);
        assert_eq!(ramp.time_of(51 * unit, &mut piece), None);
    }

    #[test]
    fn digits_that_do_not_fit_are_an_error_and_usual_ones_fit() {
        let point = |seconds, events, period| RampPoint {
            at: Duration::from_secs(seconds),
            rate: Rate::new(events, period).unwrap(),
        };
        let day = 86_400;
        // Ten days, in units that have little in common.
        let usual = [
            point(0, 0, 1),
            point(day, 167, 10 * SECOND),
            point(5 * day, 1000, 60 * SECOND),
            point(10 * day, 100_000, SECOND),
        ];
        assert!(Ramp::new(&usual).is_ok());
        let fine = [point(0, 1, 4_294_967_291), point(1, 1, 4_294_967_279)];
        assert_eq!(Ramp::new(&fine), Err(LoadError::RampTooFine));
        let late = [point(0, 1, 1), point(300 * 365 * day, 0, 1)];
        assert_eq!(Ramp::new(&late), Err(LoadError::RampTooFine));
        let never = [RampPoint { at: Duration::MAX, rate: Rate::ZERO }];
        assert_eq!(Ramp::new(&never), Err(LoadError::RampTooFine));
    }

    #[test]
    fn points_must_be_in_order() {
        let point = |seconds| RampPoint { at: Duration::from_secs(seconds), rate: Rate::ZERO };
        assert_eq!(Ramp::new(&[]), Err(LoadError::EmptyRamp));
        let unordered = [point(1), point(1), point(3), point(2)];
        assert_eq!(Ramp::new(&unordered), Err(LoadError::RampOutOfOrder { point: 3 }));
    }

    proptest! {
        /// The definition: at the answer no more than the target is due, one nanosecond later more is.
        #[test]
        fn time_of_is_the_inverse_of_due(
            points in prop::collection::vec((0_u64..100_000, 0_u64..100_000), 1..8),
            // Up to 100 s, three hours and ten days.
            scale in prop_oneof![Just(1), Just(100), Just(8640)],
            step in 1_u64..1_000_000,
        ) {
            let mut points: Vec<_> = points.into_iter().map(|(at_ms, rate)| (at_ms * scale, rate)).collect();
            points.sort_by_key(|&(at, _)| at);
            let ramp = ramp(&points);
            let total = ramp.due(110 * SECOND * scale);
            let (mut target, mut piece, mut previous) = (0, 0, 0);
            while target < total {
                let time = ramp.time_of(target, &mut piece).unwrap();
                // Unrounded, more than the target is due at the second; `due` rounds down, so no less is left
                // of it.
                prop_assert!(ramp.due(time) <= target);
                prop_assert!(ramp.due(time + 1) >= target);
                prop_assert!(time >= previous);
                previous = time;
                target += total / 97 + u128::from(step);
            }
        }
    }
}
