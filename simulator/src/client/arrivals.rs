//! Open-loop schedules: when requests enter the world, whatever becomes of those before them.
//!
//! A client that waits for an answer before it sends the next request slows down just when the gateway does,
//! and measures the stall once where real traffic would have met it a thousand times (coordinated omission,
//! Gil Tene). Here every request has its intended time before the run begins: a schedule is a function of its
//! settings, the scenario's start and a random stream, and knows nothing of answers.
//!
//! Schedules are made as they are used, in memory that does not grow with the number of requests, and to the
//! nanosecond: 1,000 a minute against a limit of 1,000 a minute must be exactly that, in the tenth hour too.

mod bursts;
mod minutes;
mod progression;
mod ramp;

use std::time::Duration;

use gateway::Timestamp;

pub use self::bursts::Burst;
use self::bursts::{BurstTimes, Bursts};
use self::minutes::{MinuteLoad, Minutes};
use self::progression::Progression;
use self::ramp::Ramp;
pub use self::ramp::RampPoint;
use crate::chance::Stream;
use crate::rate::Rate;

/// How the arrivals of a rate, constant or ramped, lie in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Spacing {
    /// Evenly: arrival k when the rate has come to k since the scenario's start. At a constant rate that is
    /// k/rate, k ≥ 0, rounded down to the nanosecond.
    Uniform,
    /// Independently of one another: a Poisson process, with exponential gaps. A rate that changes stretches
    /// the time in which gaps are measured.
    Poisson,
    /// As cron jobs do: each minute's share evenly over that minute's first second. Minutes are the clock's,
    /// and fire if they begin within the scenario; the last one fires with its full share although the
    /// scenario may end before it does. Fractions of a request are carried over to the next minute.
    OnTheMinute,
}

/// A load that does not wait for answers.
///
/// ```
/// use std::time::Duration;
/// use gateway::Timestamp;
/// use simulator::{OpenLoad, Purpose, Rate, Spacing, Stream};
///
/// let load = OpenLoad::rate(Rate::new(10, 1_000_000_000)?, Spacing::Uniform);
/// let stream = Stream::new(902, Purpose::Arrival, "partner");
/// let arrivals = load.arrivals(Timestamp::EPOCH, Duration::from_secs(1), stream);
/// assert_eq!(arrivals.take(3).collect::<Vec<_>>(), [0, 100_000_000, 200_000_000]);
/// # Ok::<(), simulator::RateError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct OpenLoad(Shape);

#[derive(Clone, Debug, PartialEq)]
enum Shape {
    Rate(Rate, Spacing),
    Ramp(Ramp, Spacing),
    Bursts(Bursts),
}

impl OpenLoad {
    /// A constant rate; [`Rate::ZERO`] is no arrivals.
    pub const fn rate(rate: Rate, spacing: Spacing) -> Self {
        Self(Shape::Rate(rate, spacing))
    }

    /// A rate that is linear between `points`, the first point's before them and the last's after. Two points
    /// at the same time are a step.
    ///
    /// Uniform arrival k happens when the integral of the rate passes k, so one whose turn comes when the
    /// rate is zero waits until it is not.
    ///
    /// # Errors
    ///
    /// If there is no point, if one is earlier than the one before it, or if the integral takes more than 128
    /// bits to be exact: for periods with few common factors, high rates and very long times together.
    pub fn ramp(points: &[RampPoint], spacing: Spacing) -> Result<Self, LoadError> {
        Ok(Self(match points {
            [only] => Shape::Rate(only.rate, spacing),
            points => Shape::Ramp(Ramp::new(points)?, spacing),
        }))
    }

    /// Bursts, in any order; they may overlap. None is no arrivals.
    ///
    /// # Errors
    ///
    /// If a burst ends before it begins.
    pub fn bursts(bursts: &[Burst]) -> Result<Self, LoadError> {
        Ok(Self(Shape::Bursts(Bursts::new(bursts)?)))
    }

    /// The arrivals of a scenario that starts at `start` and lasts for `duration`.
    ///
    /// Only Poisson arrivals draw from `stream`, gap k from `stream.at(k)`; only those on the minute ask for
    /// `start`.
    pub fn arrivals(&self, start: Timestamp, duration: Duration, stream: Stream) -> Arrivals {
        let schedule = match &self.0 {
            Shape::Rate(rate, _) if rate.is_zero() => Schedule::Never,
            Shape::Rate(rate, Spacing::Uniform) => {
                Schedule::Uniform(Progression::new(0, rate.period_nanos(), rate.events()))
            }
            Shape::Rate(rate, Spacing::Poisson) => Schedule::Poisson(PoissonProcess::new(
                stream,
                rate.period_nanos() as f64 / rate.events() as f64,
            )),
            Shape::Rate(rate, Spacing::OnTheMinute) => {
                Schedule::OnTheMinute(Minutes::new(MinuteLoad::Constant(*rate), start.as_nanos()))
            }
            Shape::Ramp(ramp, Spacing::Uniform) => {
                Schedule::UniformRamp { ramp: ramp.clone(), piece: 0, next: 0 }
            }
            Shape::Ramp(ramp, Spacing::Poisson) => {
                let process = PoissonProcess::new(stream, ramp.units_per_event() as f64);
                Schedule::PoissonRamp { ramp: ramp.clone(), piece: 0, process }
            }
            Shape::Ramp(ramp, Spacing::OnTheMinute) => {
                Schedule::OnTheMinute(Minutes::new(MinuteLoad::Ramp(ramp.clone()), start.as_nanos()))
            }
            Shape::Bursts(bursts) => Schedule::Bursts(bursts.times()),
        };
        Arrivals { schedule, end: u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX) }
    }
}

/// The arrivals of one population in one scenario, one after the other: nanoseconds since the scenario's
/// start, never falling, all before its end. One at the very end does not happen.
///
/// The n-th item is request n of its population. Once it has returned `None` it keeps doing so.
#[derive(Clone, Debug)]
pub struct Arrivals {
    schedule: Schedule,
    /// The scenario's duration in nanoseconds.
    end: u64,
}

#[derive(Clone, Debug)]
enum Schedule {
    Never,
    Uniform(Progression),
    Poisson(PoissonProcess),
    OnTheMinute(Minutes),
    /// `next` is the integral at which the next one arrives, in units of the ramp.
    UniformRamp {
        ramp: Ramp,
        piece: usize,
        next: u128,
    },
    /// Time in the process is the integral of the rate, in units of the ramp.
    PoissonRamp {
        ramp: Ramp,
        piece: usize,
        process: PoissonProcess,
    },
    Bursts(BurstTimes),
}

impl Iterator for Arrivals {
    type Item = u64;

    #[inline]
    fn next(&mut self) -> Option<u64> {
        let at = match &mut self.schedule {
            Schedule::Never => None,
            Schedule::Uniform(times) => {
                let at = times.at();
                times.advance();
                Some(at)
            }
            Schedule::Poisson(process) => u64::try_from(process.next()).ok(),
            Schedule::OnTheMinute(minutes) => minutes.next(self.end),
            Schedule::UniformRamp { ramp, piece, next } => {
                let at = ramp.time_of(*next, piece);
                *next += u128::from(ramp.units_per_event());
                at
            }
            Schedule::PoissonRamp { ramp, piece, process } => ramp.time_of(process.next(), piece),
            Schedule::Bursts(times) => times.next(),
        };
        at.filter(|&at| at < self.end)
    }
}

impl std::iter::FusedIterator for Arrivals {}

/// The events of a Poisson process, by sums of exponential gaps.
///
/// A float that grows to 10¹⁴ has lost all digits behind the point by then; the sum is kept as an integer and
/// a fraction, which loses nothing however long it grows.
#[derive(Clone, Debug)]
struct PoissonProcess {
    stream: Stream,
    /// How many gaps have been drawn.
    drawn: u64,
    mean_gap: f64,
    whole: u128,
    /// In [0, 1).
    fraction: f64,
}

impl PoissonProcess {
    const fn new(stream: Stream, mean_gap: f64) -> Self {
        Self { stream, drawn: 0, mean_gap, whole: 0, fraction: 0.0 }
    }

    /// The time of the next event, rounded down.
    #[inline]
    fn next(&mut self) -> u128 {
        // 1 − u is in (0, 1], where the logarithm is finite.
        let draw = 1.0 - self.stream.at(self.drawn).unit();
        let gap = self.fraction - self.mean_gap * libm::log(draw);
        let whole = gap as u64;
        self.drawn += 1;
        self.whole += u128::from(whole);
        self.fraction = gap - whole as f64;
        self.whole
    }
}

/// Why settings make no load.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// No point, no rate.
    #[error("a ramp needs at least one point")]
    EmptyRamp,
    /// A ramp that goes back in time.
    #[error("point {} of a ramp is earlier than the one before it", point + 1)]
    RampOutOfOrder {
        /// The earlier one's position in the list, from 0.
        point: usize,
    },
    /// More digits than the exact integral has room for.
    #[error("the rates of a ramp have too many digits to be exact over a time so long")]
    RampTooFine,
    /// A ramp of users without any.
    #[error("a population of users has at least one at some time")]
    NoUsers,
    /// A burst that goes back in time.
    #[error("burst {} ends before it begins", burst + 1)]
    BurstEndsBeforeItBegins {
        /// Its position in the list, from 0.
        burst: usize,
    },
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::chance::Purpose;

    const SECOND: u64 = 1_000_000_000;

    fn stream() -> Stream {
        Stream::new(902, Purpose::Arrival, "shoppers")
    }

    fn per_second(events: u64) -> Rate {
        Rate::new(events, SECOND).unwrap()
    }

    fn arrivals(load: &OpenLoad, nanos: u64) -> Arrivals {
        load.arrivals(Timestamp::EPOCH, Duration::from_nanos(nanos), stream())
    }

    fn ramp(points: &[(u64, u64)], spacing: Spacing) -> OpenLoad {
        let points: Vec<RampPoint> = points
            .iter()
            .map(|&(at, rate)| RampPoint { at: Duration::from_secs(at), rate: per_second(rate) })
            .collect();
        OpenLoad::ramp(&points, spacing).unwrap()
    }

    fn burst(from: u64, to: u64, count: u64) -> Burst {
        Burst { from: Duration::from_secs(from), to: Duration::from_secs(to), count }
    }

    #[test]
    fn the_bursts_across_a_window_boundary() {
        let load = OpenLoad::bursts(&[burst(58, 60, 1000), burst(60, 62, 1000)]).unwrap();
        let sent: Vec<u64> = arrivals(&load, 120 * SECOND).collect();
        let expected: Vec<u64> = (0..2000).map(|k| 58 * SECOND + k * 2_000_000).collect();
        assert_eq!(sent, expected);
    }

    #[test]
    fn bursts_may_come_in_any_order_and_at_one_instant_and_end_with_the_scenario() {
        let load = OpenLoad::bursts(&[burst(3, 5, 4), burst(1, 1, 3), burst(2, 9, 0)]).unwrap();
        let half = SECOND / 2;
        let all = [2, 2, 2, 6, 7, 8, 9].map(|halves| halves * half);
        assert_eq!(arrivals(&load, 10 * SECOND).collect::<Vec<_>>(), all);
        // One at the very end does not happen.
        assert_eq!(arrivals(&load, 4 * SECOND).collect::<Vec<_>>(), all[..5]);
        assert_eq!(arrivals(&OpenLoad::bursts(&[]).unwrap(), SECOND).next(), None);
    }

    #[test]
    fn a_uniform_rate_begins_at_zero_and_ends_before_the_end() {
        let load = OpenLoad::rate(per_second(10), Spacing::Uniform);
        let sent: Vec<u64> = arrivals(&load, 120 * SECOND).collect();
        assert_eq!(sent, (0..1200).map(|k| k * SECOND / 10).collect::<Vec<_>>());
        assert_eq!(arrivals(&load, 0).next(), None);
        assert_eq!(arrivals(&load, 1).count(), 1);
    }

    #[test]
    fn no_rate_is_no_arrivals() {
        for spacing in [Spacing::Uniform, Spacing::Poisson, Spacing::OnTheMinute] {
            assert_eq!(arrivals(&OpenLoad::rate(Rate::ZERO, spacing), u64::MAX).next(), None);
            assert_eq!(arrivals(&ramp(&[(0, 0), (60, 0)], spacing), 3600 * SECOND).next(), None);
        }
    }

    #[test]
    fn a_ramp_from_zero_follows_the_square_root() {
        // From 0 to 100/s within a minute, 3,000 by then: arrival k at 60 s · √(k/3000).
        let load = ramp(&[(0, 0), (60, 100)], Spacing::Uniform);
        let sent: Vec<u64> = arrivals(&load, 60 * SECOND).collect();
        assert_eq!(sent.len(), 3000);
        for (k, &at) in sent.iter().enumerate() {
            let expected = 60e9 * (k as f64 / 3000.0).sqrt();
            assert!((at as f64 - expected).abs() <= 1.0, "arrival {k}: {at} for {expected}");
        }
        assert_eq!((sent[0], sent[750]), (0, 30 * SECOND));
        // The slope: twice as many in each fifth of the time as in the first, and two more each time.
        let fifth = |n: u64| sent.iter().filter(|&&at| at / (12 * SECOND) == n).count();
        assert_eq!([0, 1, 2, 3, 4].map(fifth), [120, 360, 600, 840, 1080]);
    }

    #[test]
    fn before_and_after_a_ramp_the_outer_rates_hold() {
        let load = ramp(&[(10, 10), (20, 30)], Spacing::Uniform);
        let sent: Vec<u64> = arrivals(&load, 30 * SECOND).collect();
        assert_eq!(sent[..100], (0..100).map(|k| k * SECOND / 10).collect::<Vec<_>>());
        assert_eq!(sent[300..], (0..300).map(|k| 20 * SECOND + k * SECOND / 30).collect::<Vec<_>>());
    }

    #[test]
    fn a_ramp_with_one_point_is_a_rate() {
        assert_eq!(ramp(&[(7, 10)], Spacing::Poisson), OpenLoad::rate(per_second(10), Spacing::Poisson));
    }

    #[test]
    fn poisson_arrivals_lose_nothing_over_time() {
        // 1,000,000 gaps of 16,666,666.6… ns. Their sum in 64.64 fixed point, which is exact: no gap has more
        // than 53 significant digits, and none but the very shortest has digits beyond 2⁻⁶⁴.
        let load = OpenLoad::rate(Rate::new(60, SECOND).unwrap(), Spacing::Poisson);
        let mut sum = 0_u128;
        for (index, at) in arrivals(&load, u64::MAX).take(1_000_000).enumerate() {
            let gap = -(1e9 / 60.0) * libm::log(1.0 - stream().at(index as u64).unit());
            sum += (u128::from(gap as u64) << 64) + (gap.fract() * (1_u128 << 64) as f64) as u128;
            // The fraction is carried with 2⁻²⁹ ns at worst, beside a gap.
            assert!(at.abs_diff((sum >> 64) as u64) <= 1, "arrival {index}");
        }
    }

    /// Are the `times`, given as shares of the whole, uniform? (What Poisson arrivals are, given their
    /// number.)
    fn assert_uniform(times: &[f64]) {
        let n = times.len() as f64;
        let distance = times
            .iter()
            .enumerate()
            .map(|(k, &time)| f64::max(time - k as f64 / n, (k + 1) as f64 / n - time))
            .fold(0.0, f64::max);
        // Kolmogorov: P(D·√n > 2.75) ≈ 2·e^(−2 · 2.75²), as rare as five standard deviations.
        assert!(distance * n.sqrt() < 2.75, "distance {distance} of {n} times");
    }

    /// Do the `counts` have this mean and the variance of a Poisson distribution?
    fn assert_poisson_counts(counts: &[u64], mean: f64) {
        let n = counts.len() as f64;
        let average = counts.iter().sum::<u64>() as f64 / n;
        assert!((average - mean).abs() < 5.0 * (mean / n).sqrt(), "{average} for {mean}");
        let variance = counts.iter().map(|&k| (k as f64 - mean) * (k as f64 - mean)).sum::<f64>() / n;
        // The fourth central moment of a Poisson distribution is λ + 3λ².
        let deviation = ((mean + 2.0 * mean * mean) / n).sqrt();
        assert!((variance - mean).abs() < 5.0 * deviation, "{variance} for {mean}");
    }

    #[test]
    fn poisson_arrivals_are_a_poisson_process() {
        let load = OpenLoad::rate(per_second(100), Spacing::Poisson);
        let sent: Vec<u64> = arrivals(&load, 5000 * SECOND).collect();
        let mut counts = vec![0; 5000];
        for at in &sent {
            counts[(at / SECOND) as usize] += 1;
        }
        assert_poisson_counts(&counts, 100.0);
        assert_uniform(&sent.iter().map(|&at| at as f64 / 5e12).collect::<Vec<_>>());
    }

    #[test]
    fn poisson_arrivals_on_a_ramp_are_a_stretched_poisson_process() {
        // Up from 0, down to 0, a pause and a hold: 50 + 50 + 0 + 20 requests on average.
        let load = ramp(&[(0, 0), (10, 10), (20, 0), (30, 0), (30, 2)], Spacing::Poisson);
        let integral = |seconds: f64| match seconds {
            up if up < 10.0 => up * up / 2.0,
            down if down < 20.0 => 100.0 - (20.0 - down) * (20.0 - down) / 2.0,
            pause if pause < 30.0 => 100.0,
            hold => 100.0 + 2.0 * (hold - 30.0),
        };
        let mut counts = Vec::new();
        let mut times = Vec::new();
        for population in 0..2000 {
            let arrivals = load.arrivals(Timestamp::EPOCH, Duration::from_secs(40), stream().at(population));
            let before = times.len();
            times.extend(arrivals.map(|at| integral(at as f64 / 1e9) / 120.0));
            counts.push((times.len() - before) as u64);
        }
        assert_poisson_counts(&counts, 120.0);
        times.sort_by(f64::total_cmp);
        assert_uniform(&times);
    }

    /// Computed with an independent implementation (mpmath). A change here changes every published result.
    #[test]
    fn schedules_never_change() {
        let first = |load: OpenLoad| arrivals(&load, 60 * SECOND).take(4).collect::<Vec<_>>();
        let constant = first(OpenLoad::rate(per_second(100), Spacing::Poisson));
        assert_eq!(constant, [1_410_838, 11_912_026, 17_923_302, 41_683_330]);
        let ramped = first(ramp(&[(0, 10), (60, 100)], Spacing::Poisson));
        assert_eq!(ramped, [14_093_488, 118_074_640, 176_886_366, 404_558_251]);
    }

    fn any_spacing() -> impl Strategy<Value = Spacing> {
        prop_oneof![Just(Spacing::Uniform), Just(Spacing::Poisson), Just(Spacing::OnTheMinute)]
    }

    fn any_load() -> impl Strategy<Value = OpenLoad> {
        let rate =
            (0_u64..100, any_spacing()).prop_map(|(rate, spacing)| OpenLoad::rate(per_second(rate), spacing));
        let points = prop::collection::vec((0_u64..200, 0_u64..50), 1..6);
        let ramp = (points, any_spacing()).prop_map(|(mut points, spacing)| {
            points.sort_by_key(|&(at, _)| at);
            ramp(&points, spacing)
        });
        let bursts = prop::collection::vec((0_u64..150, 0_u64..150, 0_u64..100), 0..10).prop_map(|bursts| {
            let bursts: Vec<Burst> =
                bursts.into_iter().map(|(from, span, count)| burst(from, from + span, count)).collect();
            OpenLoad::bursts(&bursts).unwrap()
        });
        prop_oneof![rate, ramp, bursts]
    }

    proptest! {
        #[test]
        fn arrivals_never_fall_and_end_in_time(
            load in any_load(),
            start: u32,
            seconds in 0_u64..200,
            seed: u64,
        ) {
            let stream = Stream::new(seed, Purpose::Arrival, "shoppers");
            let start = Timestamp::from_nanos(u64::from(start) * SECOND);
            let mut arrivals = load.arrivals(start, Duration::from_secs(seconds), stream);
            let mut previous = 0;
            for at in arrivals.by_ref() {
                prop_assert!(at >= previous && at < seconds * SECOND);
                previous = at;
            }
            prop_assert_eq!(arrivals.next(), None);
            prop_assert_eq!(arrivals.next(), None);
        }

        #[test]
        fn a_longer_scenario_begins_like_a_shorter_one(
            load in any_load(),
            shorter in 0_u64..100,
            more in 0_u64..100,
        ) {
            let short: Vec<u64> = arrivals(&load, shorter * SECOND).collect();
            let long = arrivals(&load, (shorter + more) * SECOND).take_while(|&at| at < shorter * SECOND);
            prop_assert_eq!(short, long.collect::<Vec<_>>());
        }

        #[test]
        fn a_uniform_rate_never_drifts(
            events in 1_u64..1_000_000,
            period in 1_u64..1 << 50,
            ahead in 0_u64..1000,
        ) {
            prop_assume!(events <= period);
            let load = OpenLoad::rate(Rate::new(events, period).unwrap(), Spacing::Uniform);
            for (k, at) in (0_u128..).zip(arrivals(&load, u64::MAX)).skip(ahead as usize).take(1000) {
                prop_assert_eq!(u128::from(at), k * u128::from(period) / u128::from(events));
            }
        }

        #[test]
        fn a_uniform_rate_has_its_exact_number_of_arrivals(
            events in 1_u64..10_000,
            period in 10_000_u64..1 << 40,
            periods in 1_u64..10,
        ) {
            let load = OpenLoad::rate(Rate::new(events, period).unwrap(), Spacing::Uniform);
            prop_assert_eq!(arrivals(&load, periods * period).count() as u64, periods * events);
        }

        /// Arrivals 0, 1, 2, … of which n are before the end, if and only if the integral up to it is in (n −
        /// 1, n].
        #[test]
        fn a_uniform_ramp_has_its_exact_number_of_arrivals(
            points in prop::collection::vec((0_u64..100, 0_u64..200), 2..6),
            seconds in 0_u64..120,
        ) {
            let mut points = points;
            points.sort_by_key(|&(at, _)| at);
            // Twice the integral, times the length of the piece that the end is in, is a whole number.
            let (mut twice, mut length) = (0, 1);
            let first = points[0];
            let mut previous = (0, first.1);
            for &(at, rate) in points.iter().chain([&(u64::MAX, points[points.len() - 1].1)]) {
                let (from, before) = previous;
                previous = (at, rate);
                let into = i128::from(seconds.min(at).saturating_sub(from));
                let (before, rate) = (i128::from(before), i128::from(rate));
                if at <= seconds || into == 0 {
                    twice += (before + rate) * into;
                } else {
                    length = i128::from(at - from);
                    twice = twice * length + (2 * before * length + (rate - before) * into) * into;
                    break;
                }
            }
            let expected = (twice + 2 * length - 1) / (2 * length);
            let load = ramp(&points, Spacing::Uniform);
            prop_assert_eq!(arrivals(&load, seconds * SECOND).count() as i128, expected);
        }
    }
}
