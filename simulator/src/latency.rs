//! How long things take: distributions of times, sampled by inverse transform.
//!
//! One uniform draw makes one time, by the inverse of the distribution function. That is not always the
//! fastest way, but the only one that keeps draws addressable (a sample takes one number, never "as many as
//! it needs"), and it is monotone: of two requests the one with the larger draw is the slower one under
//! *every* distribution, so a variant with other latencies is compared on the same luck. Only a mixture takes
//! two draws, one for the part and one for the time.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::chance::Stream;
use crate::normal;

/// A distribution of times between zero and [`Latency::LONGEST`].
///
/// Times are whole nanoseconds. The same [`Stream`] gives the same time on any machine.
///
/// ```
/// use std::time::Duration;
/// use simulator::{Latency, Purpose, Stream};
///
/// let latency = Latency::log_normal(Duration::from_millis(12), Duration::from_millis(60))?;
/// let stream = Stream::new(902, Purpose::Service, "orders");
/// assert_eq!(latency.sample(stream.at(0)), latency.sample(stream.at(0)));
/// assert_eq!(latency.to_string(), "log-normal(median 12ms, p99 60ms)");
/// # Ok::<(), simulator::LatencyError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Latency(Shape);

#[derive(Clone, Debug, PartialEq)]
enum Shape {
    Constant(u64),
    Exponential {
        mean: f64,
    },
    LogNormal {
        median: f64,
        /// Of the binary logarithm: `libm::exp2` takes a third of the time that `libm::exp` does.
        sigma: f64,
        p99: Duration,
    },
    Uniform {
        min: u64,
        max: u64,
    },
    Mixture(Arc<[Part]>),
    /// Nanoseconds in rising order, at least one.
    Empirical(Arc<[u64]>),
}

#[derive(Clone, Debug, PartialEq)]
struct Part {
    share: f64,
    /// This part's share and all before it, the last part's being 1.
    up_to: f64,
    latency: Latency,
}

impl Latency {
    /// The longest time there is: 24 hours.
    ///
    /// No parameter may exceed it, and a sample from the unbounded tail of an exponential or log-normal
    /// distribution that would is cut to it. Nothing that a gateway waits for takes longer, and it keeps
    /// every sum of times far from overflow.
    pub const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

    /// No time at all, always.
    pub const ZERO: Self = Self(Shape::Constant(0));

    /// How far the shares of a mixture may miss 1 together, which thirds written as percentages do.
    pub const SHARE_TOLERANCE: f64 = 1e-6;

    /// Always the same time, which may be zero.
    ///
    /// # Errors
    ///
    /// If `time` exceeds [`Latency::LONGEST`].
    pub fn constant(time: Duration) -> Result<Self, LatencyError> {
        Ok(Self(Shape::Constant(nanos(time)?)))
    }

    /// Memoryless times: −`mean` · ln(1 − u).
    ///
    /// # Errors
    ///
    /// If `mean` is zero or exceeds [`Latency::LONGEST`].
    pub fn exponential(mean: Duration) -> Result<Self, LatencyError> {
        if mean.is_zero() {
            return Err(LatencyError::ZeroMean);
        }
        Ok(Self(Shape::Exponential { mean: nanos(mean)? as f64 }))
    }

    /// Times whose logarithm is normal, by the median and the 99th percentile, as dashboards show them:
    /// `median` · e^(σz) with σ = ln(`p99` / `median`) / z₀.₉₉, where z is the normal quantile of the draw.
    ///
    /// # Errors
    ///
    /// If `median` is zero, `p99` is below it, or either exceeds [`Latency::LONGEST`].
    pub fn log_normal(median: Duration, p99: Duration) -> Result<Self, LatencyError> {
        if median.is_zero() {
            return Err(LatencyError::ZeroMedian);
        }
        if p99 < median {
            return Err(LatencyError::PercentileBelowMedian);
        }
        let (median_nanos, p99_nanos) = (nanos(median)? as f64, nanos(p99)? as f64);
        let sigma = libm::log2(p99_nanos / median_nanos) / normal::quantile(0.99);
        Ok(Self(Shape::LogNormal { median: median_nanos, sigma, p99 }))
    }

    /// Any time from `min` to `max`, both included, as likely as the next.
    ///
    /// # Errors
    ///
    /// If `max` is below `min` or exceeds [`Latency::LONGEST`].
    pub fn uniform(min: Duration, max: Duration) -> Result<Self, LatencyError> {
        if max < min {
            return Err(LatencyError::MaxBelowMin);
        }
        Ok(Self(Shape::Uniform { min: nanos(min)?, max: nanos(max)? }))
    }

    /// One of several distributions, each with the probability of its share: a cache that mostly hits.
    ///
    /// Shares are scaled to sum to 1 exactly. The stream's own draw picks the part, and the part draws from
    /// `stream.at(0)`.
    ///
    /// # Errors
    ///
    /// If there is no part, if a share is not positive, or if the shares miss 1 by more than
    /// [`Latency::SHARE_TOLERANCE`] together.
    pub fn mixture(parts: Vec<(f64, Self)>) -> Result<Self, LatencyError> {
        if parts.is_empty() {
            return Err(LatencyError::EmptyMixture);
        }
        if let Some(part) = parts.iter().position(|(share, _)| !(share.is_finite() && *share > 0.0)) {
            return Err(LatencyError::ShareNotPositive { part });
        }
        let sum: f64 = parts.iter().map(|(share, _)| share).sum();
        if (sum - 1.0).abs() <= Self::SHARE_TOLERANCE {
            let mut before = 0.0;
            let last = parts.len() - 1;
            let parts = parts.into_iter().enumerate().map(|(index, (share, latency))| {
                before += share;
                Part { share, up_to: if index == last { 1.0 } else { before / sum }, latency }
            });
            Ok(Self(Shape::Mixture(parts.collect())))
        } else {
            Err(LatencyError::SharesMissOne { sum })
        }
    }

    /// Times distributed like the `samples` of a measurement, in any order.
    ///
    /// The inverse distribution function is linear between them and reaches from the least to the greatest:
    /// at `u`, the element at position (n − 1) · u of the sorted list, counted from 0 and interpolated
    /// between neighbours. That is type 7 of Hyndman and Fan (*Sample quantiles in statistical packages*,
    /// 1996), the default of R and `NumPy`. A single sample is a constant.
    ///
    /// # Errors
    ///
    /// If there is no sample, or if one exceeds [`Latency::LONGEST`].
    pub fn empirical(samples: Vec<Duration>) -> Result<Self, LatencyError> {
        if samples.is_empty() {
            return Err(LatencyError::NoSamples);
        }
        let mut samples = samples.into_iter().map(nanos).collect::<Result<Vec<u64>, _>>()?;
        samples.sort_unstable();
        Ok(Self(Shape::Empirical(samples.into())))
    }

    /// The one time that is ever sampled, in nanoseconds; `None` where times differ.
    pub(crate) fn constant_nanos(&self) -> Option<u64> {
        let only = |least: u64, most: u64| (least == most).then_some(least);
        match &self.0 {
            Shape::Constant(nanos) => Some(*nanos),
            Shape::Uniform { min, max } => only(*min, *max),
            Shape::Empirical(samples) => only(*samples.first()?, *samples.last()?),
            Shape::LogNormal { median, p99, .. } => only(whole_nanos(*median), nanos(*p99).ok()?),
            Shape::Exponential { .. } => None,
            Shape::Mixture(parts) => {
                let mut times = parts.iter().map(|part| part.latency.constant_nanos());
                let first = times.next()??;
                times.all(|time| time == Some(first)).then_some(first)
            }
        }
    }

    /// The time that this stream's draw means.
    pub fn sample(&self, stream: Stream) -> Duration {
        Duration::from_nanos(self.sample_nanos(stream))
    }

    /// [`sample`](Self::sample) in nanoseconds, which spares a division where time is counted in them.
    pub fn sample_nanos(&self, stream: Stream) -> u64 {
        match &self.0 {
            Shape::Constant(nanos) => *nanos,
            Shape::Exponential { mean } => whole_nanos(-mean * libm::log(1.0 - stream.unit())),
            Shape::LogNormal { median, sigma, .. } => {
                whole_nanos(median * libm::exp2(sigma * normal::quantile(stream.open_unit())))
            }
            Shape::Uniform { min, max } => min + stream.below(max - min + 1),
            Shape::Mixture(parts) => {
                let draw = stream.unit();
                // There always is a part, because the last one's bound is 1, which no draw reaches.
                let before = parts.iter().take_while(|part| part.up_to <= draw).count();
                parts[before].latency.sample_nanos(stream.at(0))
            }
            Shape::Empirical(samples) => {
                let (index, fraction) = stream.scaled(samples.len() as u64 - 1);
                let index = index as usize;
                let below = samples[index];
                let above = samples.get(index + 1).copied().unwrap_or(below);
                below + ((u128::from(above - below) * u128::from(fraction)) >> 64) as u64
            }
        }
    }

    /// The mean of the distribution, to the nanosecond, and no more than [`Latency::LONGEST`].
    ///
    /// It disregards that samples are cut at that time; for a distribution that reaches so far it says more
    /// than samples average.
    pub fn mean(&self) -> Duration {
        Duration::from_nanos(whole_nanos(self.mean_nanos()))
    }

    fn mean_nanos(&self) -> f64 {
        match &self.0 {
            Shape::Constant(nanos) => *nanos as f64,
            Shape::Exponential { mean } => *mean,
            Shape::LogNormal { median, sigma, .. } => {
                let sigma = sigma * std::f64::consts::LN_2;
                median * libm::exp(sigma * sigma / 2.0)
            }
            Shape::Uniform { min, max } => (min + max) as f64 / 2.0,
            Shape::Mixture(parts) => {
                let sum: f64 = parts.iter().map(|part| part.share).sum();
                parts.iter().map(|part| part.share / sum * part.latency.mean_nanos()).sum()
            }
            Shape::Empirical(samples) => {
                // The area under straight lines between the samples: the outer two count half.
                let total: u128 = samples.iter().map(|&sample| u128::from(sample)).sum();
                let (first, last) = (u128::from(samples[0]), u128::from(samples[samples.len() - 1]));
                match samples.len() {
                    1 => first as f64,
                    n => (2 * total - first - last) as f64 / (2 * (n - 1)) as f64,
                }
            }
        }
    }
}

/// The distribution as one would say it, such as `log-normal(median 12ms, p99 60ms)`.
impl fmt::Display for Latency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = Duration::from_nanos;
        match &self.0 {
            Shape::Constant(nanos) => write!(f, "constant({:?})", time(*nanos)),
            Shape::Exponential { mean } => write!(f, "exponential(mean {:?})", time(*mean as u64)),
            Shape::LogNormal { median, p99, .. } => {
                write!(f, "log-normal(median {:?}, p99 {p99:?})", time(*median as u64))
            }
            Shape::Uniform { min, max } => write!(f, "uniform(min {:?}, max {:?})", time(*min), time(*max)),
            Shape::Mixture(parts) => {
                write!(f, "mixture(")?;
                for (index, Part { share, latency, .. }) in parts.iter().enumerate() {
                    let separator = if index == 0 { "" } else { ", " };
                    // Rounded to what the tolerance lets one tell, so that 0.07 reads 7% and not
                    // 7.000000000000001%.
                    let percent = (share * 100.0 * 1e6).round() / 1e6;
                    write!(f, "{separator}{percent}% {latency}")?;
                }
                write!(f, ")")
            }
            Shape::Empirical(samples) => {
                let (least, most) = (time(samples[0]), time(samples[samples.len() - 1]));
                write!(f, "empirical({} samples from {least:?} to {most:?})", samples.len())
            }
        }
    }
}

/// Why parameters make no distribution of times.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum LatencyError {
    /// A time beyond [`Latency::LONGEST`].
    #[error("{0:?} is longer than the 24 hours that a latency may be")]
    TooLong(Duration),
    /// An exponential distribution with mean zero.
    #[error("the mean of an exponential latency must not be zero")]
    ZeroMean,
    /// A log-normal distribution with median zero.
    #[error("the median of a log-normal latency must not be zero")]
    ZeroMedian,
    /// A 99th percentile below the median.
    #[error("the p99 of a log-normal latency must not be below its median")]
    PercentileBelowMedian,
    /// An interval that ends before it begins.
    #[error("the max of a uniform latency must not be below its min")]
    MaxBelowMin,
    /// A mixture of nothing.
    #[error("a mixture needs at least one part")]
    EmptyMixture,
    /// A share that is zero, negative or no number.
    #[error("the share of part {} of a mixture must be positive", part + 1)]
    ShareNotPositive {
        /// Its position, from 0.
        part: usize,
    },
    /// Shares that do not make up a whole.
    #[error("the shares of a mixture must sum to 1, not {sum}")]
    SharesMissOne {
        /// What they sum to.
        sum: f64,
    },
    /// An empirical distribution without data.
    #[error("an empirical latency needs at least one sample")]
    NoSamples,
}

const LONGEST_NANOS: u64 = Latency::LONGEST.as_secs() * 1_000_000_000;

/// A parameter in nanoseconds.
fn nanos(time: Duration) -> Result<u64, LatencyError> {
    if time > Latency::LONGEST { Err(LatencyError::TooLong(time)) } else { Ok(time.as_nanos() as u64) }
}

/// A calculated time to the nearest nanosecond, cut to [`Latency::LONGEST`].
fn whole_nanos(nanos: f64) -> u64 {
    // Not `round`, which is a call on targets without an instruction for it. The cast takes no time for less
    // than none (−0.0), and `min` turns infinity into the bound.
    (nanos + 0.5).min(LONGEST_NANOS as f64) as u64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::chance::Purpose;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// The stream whose draw is `u`.
    fn draw(u: f64) -> Stream {
        Stream::from_bits((u * (1_u128 << 64) as f64) as u64)
    }

    fn constant(time: Duration) -> Latency {
        Latency::constant(time).unwrap()
    }

    #[test]
    fn inverse_distribution_functions_by_example() {
        let exponential = Latency::exponential(ms(100)).unwrap();
        assert_eq!(exponential.sample(draw(0.0)), Duration::ZERO);
        // 100 ms · ln 2 and · ln 100.
        assert_eq!(exponential.sample(draw(0.5)), Duration::from_nanos(69_314_718));
        assert_eq!(exponential.sample(draw(0.99)), Duration::from_nanos(460_517_019));

        let log_normal = Latency::log_normal(ms(12), ms(60)).unwrap();
        assert_eq!(log_normal.sample(draw(0.5)), ms(12));
        assert_eq!(log_normal.sample(draw(0.99)), ms(60));
        // The first percentile lies as far below the median as the 99th above, in ratio: 12 · 12/60.
        assert_eq!(log_normal.sample(draw(0.01)), Duration::from_micros(2400));

        let uniform = Latency::uniform(ms(10), ms(30)).unwrap();
        assert_eq!(uniform.sample(draw(0.0)), ms(10));
        assert_eq!(uniform.sample(draw(0.25)), ms(15));
        assert_eq!(uniform.sample(Stream::from_bits(u64::MAX)), ms(30));

        let empirical = Latency::empirical(vec![ms(40), ms(10), ms(20)]).unwrap();
        assert_eq!(empirical.sample(draw(0.0)), ms(10));
        assert_eq!(empirical.sample(draw(0.25)), ms(15));
        assert_eq!(empirical.sample(draw(0.5)), ms(20));
        assert_eq!(empirical.sample(draw(0.75)), ms(30));
        assert_eq!(empirical.sample(Stream::from_bits(u64::MAX)), Duration::from_nanos(39_999_999));

        let mixture = Latency::mixture(vec![(0.75, constant(ms(1))), (0.25, constant(ms(9)))]).unwrap();
        assert_eq!(mixture.sample(draw(0.0)), ms(1));
        assert_eq!(mixture.sample(draw(0.7499)), ms(1));
        assert_eq!(mixture.sample(draw(0.75)), ms(9));
        assert_eq!(mixture.sample(Stream::from_bits(u64::MAX)), ms(9));
    }

    #[test]
    fn means_by_example() {
        assert_eq!(constant(ms(5)).mean(), ms(5));
        assert_eq!(Latency::exponential(ms(5)).unwrap().mean(), ms(5));
        assert_eq!(Latency::uniform(ms(10), ms(30)).unwrap().mean(), ms(20));
        // σ = ln 5 / 2.3263… = 0.691830…, so the mean is 12 ms · e^0.239314….
        assert_eq!(Latency::log_normal(ms(12), ms(60)).unwrap().mean(), Duration::from_nanos(15_244_537));
        assert_eq!(Latency::log_normal(ms(12), ms(12)).unwrap().mean(), ms(12));
        let mixture = Latency::mixture(vec![(0.9, constant(ms(10))), (0.1, constant(ms(110)))]).unwrap();
        assert_eq!(mixture.mean(), ms(20));
        // Half the time between 10 and 20, half between 20 and 40.
        assert_eq!(
            Latency::empirical(vec![ms(10), ms(20), ms(40)]).unwrap().mean(),
            Duration::from_micros(22_500)
        );
        assert_eq!(Latency::empirical(vec![ms(7)]).unwrap().mean(), ms(7));
    }

    const SAMPLES: u64 = 1 << 18;

    /// Are mean and percentiles of many samples what they should be, within five standard deviations?
    fn assert_distributed(latency: &Latency, standard_deviation: Duration, percentiles: &[(f64, Duration)]) {
        let stream = Stream::new(902, Purpose::Service, "orders");
        let samples: Vec<u64> = (0..SAMPLES).map(|i| latency.sample_nanos(stream.at(i))).collect();
        let n = SAMPLES as f64;
        let mean = samples.iter().sum::<u64>() as f64 / n;
        let error = mean - latency.mean().as_nanos() as f64;
        let deviation = standard_deviation.as_nanos() as f64 / n.sqrt();
        assert!(error.abs() < 5.0 * deviation, "{latency}: mean {mean} ns");
        for &(share, bound) in percentiles {
            let below =
                samples.iter().filter(|&&sample| u128::from(sample) < bound.as_nanos()).count() as f64 / n;
            let deviation = (share * (1.0 - share) / n).sqrt();
            assert!((below - share).abs() < 5.0 * deviation, "{latency}: {below} lie below {bound:?}");
        }
    }

    #[test]
    fn samples_are_distributed_as_they_should_be() {
        let exponential = Latency::exponential(ms(100)).unwrap();
        let quantile = |p: f64| Duration::from_nanos((-1e8 * libm::log(1.0 - p)) as u64);
        let percentiles = [0.01, 0.25, 0.5, 0.9, 0.99, 0.999].map(|p| (p, quantile(p)));
        assert_distributed(&exponential, ms(100), &percentiles);

        // Standard deviation of a log-normal: mean · √(e^σ² − 1).
        let log_normal = Latency::log_normal(ms(12), ms(60)).unwrap();
        let deviation = Duration::from_micros(11_944);
        assert_distributed(
            &log_normal,
            deviation,
            &[(0.01, Duration::from_micros(2400)), (0.5, ms(12)), (0.99, ms(60))],
        );

        let uniform = Latency::uniform(ms(10), ms(22)).unwrap();
        assert_distributed(
            &uniform,
            Duration::from_micros(3464),
            &[(0.25, ms(13)), (0.5, ms(16)), (0.75, ms(19))],
        );

        // Half below 20 ms and half above, each evenly: mean 22.5 ms, variance 1900/3 − 22.5² ms².
        let empirical = Latency::empirical(vec![ms(10), ms(20), ms(40)]).unwrap();
        assert_distributed(
            &empirical,
            Duration::from_micros(8036),
            &[(0.25, ms(15)), (0.5, ms(20)), (0.75, ms(30))],
        );

        // A cache that hits in nine of ten cases. Variance: E[X²] − E[X]² = (0.9 + 0.1 · 2 · 100²) − 10.9²
        // ms².
        let mixture = Latency::mixture(vec![(0.9, constant(ms(1))), (0.1, exponential.clone())]).unwrap();
        let below_100_ms = 0.9 + 0.1 * (1.0 - libm::exp(-1.0));
        assert_distributed(&mixture, Duration::from_micros(43_383), &[(below_100_ms, ms(100))]);

        // A mixture in a mixture draws its parts independently.
        let pair = |a, b| vec![(0.5, a), (0.5, b)];
        let inner = Latency::mixture(pair(constant(ms(1)), constant(ms(2)))).unwrap();
        let nested = Latency::mixture(pair(inner, constant(ms(5)))).unwrap();
        assert_distributed(
            &nested,
            Duration::from_micros(1786),
            &[(0.25, Duration::from_nanos(1_000_001)), (0.5, ms(3))],
        );
    }

    #[test]
    fn extreme_tails_are_cut() {
        let most = Stream::from_bits(u64::MAX);
        let exponential = Latency::exponential(Latency::LONGEST).unwrap();
        assert_eq!(exponential.sample(most), Latency::LONGEST);
        let log_normal = Latency::log_normal(Duration::from_nanos(1), Latency::LONGEST).unwrap();
        assert_eq!(log_normal.sample(most), Latency::LONGEST);
        assert_eq!(log_normal.sample(Stream::from_bits(0)), Duration::ZERO);
        assert_eq!(log_normal.mean(), Latency::LONGEST);
        // An ordinary one does not reach that far: the largest draw, 1 − 2⁻⁵³, means 53 · ln 2 = 36.7 times
        // the mean.
        assert!(Latency::exponential(ms(100)).unwrap().sample(most) < ms(3700));
    }

    #[test]
    fn parameters_that_make_no_distribution_are_errors() {
        let (zero, day) = (Duration::ZERO, Latency::LONGEST);
        let beyond = day + Duration::from_nanos(1);
        assert!(Latency::constant(zero).is_ok() && Latency::constant(day).is_ok());
        assert_eq!(Latency::constant(beyond), Err(LatencyError::TooLong(beyond)));
        assert_eq!(Latency::exponential(zero), Err(LatencyError::ZeroMean));
        assert_eq!(Latency::exponential(beyond), Err(LatencyError::TooLong(beyond)));
        assert_eq!(Latency::log_normal(zero, ms(1)), Err(LatencyError::ZeroMedian));
        assert_eq!(Latency::log_normal(ms(2), ms(1)), Err(LatencyError::PercentileBelowMedian));
        assert_eq!(Latency::log_normal(ms(2), beyond), Err(LatencyError::TooLong(beyond)));
        assert_eq!(Latency::uniform(ms(2), ms(1)), Err(LatencyError::MaxBelowMin));
        assert_eq!(Latency::uniform(ms(2), Duration::MAX), Err(LatencyError::TooLong(Duration::MAX)));
        assert_eq!(Latency::empirical(vec![]), Err(LatencyError::NoSamples));
        assert_eq!(Latency::empirical(vec![ms(1), beyond]), Err(LatencyError::TooLong(beyond)));

        let mixture =
            |shares: &[f64]| Latency::mixture(shares.iter().map(|&share| (share, constant(ms(1)))).collect());
        assert_eq!(mixture(&[]), Err(LatencyError::EmptyMixture));
        assert_eq!(mixture(&[0.5, 0.25]), Err(LatencyError::SharesMissOne { sum: 0.75 }));
        assert_eq!(mixture(&[1.0, 0.0]), Err(LatencyError::ShareNotPositive { part: 1 }));
        assert_eq!(mixture(&[2.0, -1.0]), Err(LatencyError::ShareNotPositive { part: 1 }));
        assert!(mixture(&[f64::NAN]).is_err() && mixture(&[f64::MAX, f64::MAX]).is_err());
        assert!(mixture(&[0.333_333_3, 0.333_333_3, 0.333_333_3]).is_ok());
        assert!(mixture(&[0.1; 10]).is_ok());
    }

    #[test]
    fn a_latency_reads_as_one_would_say_it() {
        assert_eq!(constant(ms(5)).to_string(), "constant(5ms)");
        assert_eq!(Latency::exponential(ms(1500)).unwrap().to_string(), "exponential(mean 1.5s)");
        assert_eq!(
            Latency::log_normal(ms(12), ms(60)).unwrap().to_string(),
            "log-normal(median 12ms, p99 60ms)"
        );
        assert_eq!(Latency::uniform(ms(0), ms(60)).unwrap().to_string(), "uniform(min 0ns, max 60ms)");
        let slow = Latency::exponential(ms(900)).unwrap();
        let mixture = Latency::mixture(vec![(0.93, constant(ms(1))), (0.07, slow)]).unwrap();
        assert_eq!(mixture.to_string(), "mixture(93% constant(1ms), 7% exponential(mean 900ms))");
        let empirical = Latency::empirical(vec![ms(40), ms(10)]).unwrap();
        assert_eq!(empirical.to_string(), "empirical(2 samples from 10ms to 40ms)");
    }

    proptest! {
        #[test]
        fn a_larger_draw_never_means_a_shorter_time(
            a: u64,
            b: u64,
            low in 1_u64..100_000_000_000,
            more in 0_u64..100_000_000_000,
            samples in prop::collection::vec(0_u64..10_000_000_000, 1..20),
        ) {
            let (low, high) = (Duration::from_nanos(low), Duration::from_nanos(low + more));
            let latencies = [
                Latency::exponential(low).unwrap(),
                Latency::log_normal(low, high).unwrap(),
                Latency::uniform(low, high).unwrap(),
                Latency::empirical(samples.into_iter().map(Duration::from_nanos).collect()).unwrap(),
            ];
            let (a, b) = (Stream::from_bits(a.min(b)), Stream::from_bits(a.max(b)));
            for latency in latencies {
                prop_assert!(latency.sample(a) <= latency.sample(b), "{}", latency);
            }
        }

        #[test]
        fn no_sample_leaves_its_range(bits: u64, low in 0_u64..1_000_000_000, more in 0_u64..1_000_000_000) {
            let (low, high) = (Duration::from_nanos(low), Duration::from_nanos(low + more));
            let uniform = Latency::uniform(low, high).unwrap();
            let empirical = Latency::empirical(vec![high, low]).unwrap();
            for latency in [uniform, empirical] {
                prop_assert!((low..=high).contains(&latency.sample(Stream::from_bits(bits))));
            }
        }
    }
}
