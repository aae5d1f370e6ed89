//! Between which of the sorted values a quantile lies: an interval that assumes no shape of the distribution.
//!
//! Of n independent values, the number that do not exceed the p-quantile is binomial. So the quantile lies between two of the
//! sorted values whose ranks the binomial distribution gives (David & Nagaraja, *Order Statistics*, 3rd edition, §7.1).

use crate::statistics::beta::incomplete_beta;

/// What is outside on either side: 2.5%, so that 95% is within.
const TAIL: f64 = 0.025;

/// The normal quantile of 97.5%.
const Z: f64 = 1.959_963_984_540_054;

/// From this variance on the normal distribution stands in for the binomial: the ranks differ by less than one.
const NORMAL_FROM: f64 = 100.0;

/// The ranks, from 1 to `n`, of the two values between which the quantile `p` of `n` values lies with a confidence of at least
/// 95%; `None` on the side on which `n` values are too few to say. `p` is from 0 to 1.
pub(crate) fn quantile_ranks(n: u64, p: f64) -> [Option<u64>; 2] {
    if n == 0 || !(0.0..=1.0).contains(&p) {
        return [None, None];
    }
    let (mean, variance) = (n as f64 * p, n as f64 * p * (1.0 - p));
    if variance >= NORMAL_FROM {
        let apart = Z * libm::sqrt(variance);
        let [low, high] = [(mean - apart).floor(), (mean + apart).ceil() + 1.0];
        return [(low >= 1.0).then_some(low as u64), (high <= n as f64).then_some(high as u64)];
    }
    // The variance is small, so few ranks come into question: ten standard deviations hold them all.
    let reach = 10.0 * libm::sqrt(NORMAL_FROM) + 10.0;
    let first = (mean - reach).max(0.0) as u64;
    let last = ((mean + reach) as u64).min(n);
    // The most values of which so many or fewer are below the quantile with at most the tail's probability.
    let below = most(first, last, |k| at_most(k, n, p) <= TAIL);
    let above = most(first, last, |k| at_most(k, n, p) < 1.0 - TAIL);
    let high = above.map_or(first + 1, |k| k + 2);
    [below.map(|k| k + 1), (high <= n).then_some(high)]
}

/// The greatest of `first..=last` for which something holds that holds for all that are smaller; `None` where it holds for none.
fn most(first: u64, last: u64, holds: impl Fn(u64) -> bool) -> Option<u64> {
    if !holds(first) {
        return None;
    }
    let (mut low, mut high) = (first, last + 1);
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if holds(middle) { low = middle } else { high = middle }
    }
    Some(low)
}

/// The probability of at most `k` successes in `n` tries of probability `p` (Abramowitz & Stegun 26.5.24).
fn at_most(k: u64, n: u64, p: f64) -> f64 {
    if k >= n { 1.0 } else { incomplete_beta(1.0 - p, (n - k) as f64, k as f64 + 1.0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_few_values_is_that_of_the_tables() {
        // Of the median the ranks are in every table of the sign test: 2 and 9 of ten, 6 and 15 of twenty.
        assert_eq!(quantile_ranks(10, 0.5), [Some(2), Some(9)]);
        assert_eq!(quantile_ranks(20, 0.5), [Some(6), Some(15)]);
        // 0.5⁵ is more than the tail, 0.5⁶ is less.
        assert_eq!(quantile_ranks(5, 0.5), [None, None]);
        assert_eq!(quantile_ranks(6, 0.5), [Some(1), Some(6)]);
    }

    #[test]
    fn ranks_hold_what_they_promise_and_no_narrower_ones_do() {
        for n in [7_u64, 30, 100, 1_000, 9_000] {
            for p in [0.01, 0.1, 0.5, 0.9, 0.99, 0.999] {
                if n as f64 * p * (1.0 - p) >= NORMAL_FROM {
                    continue;
                }
                let [low, high] = quantile_ranks(n, p);
                if let Some(low) = low {
                    assert!(at_most(low - 1, n, p) <= TAIL && at_most(low, n, p) > TAIL, "{n} {p} {low}");
                }
                if let Some(high) = high {
                    assert!(at_most(high - 1, n, p) >= 1.0 - TAIL, "{n} {p} {high}");
                    assert!(high == 1 || at_most(high - 2, n, p) < 1.0 - TAIL, "{n} {p} {high}");
                } else {
                    assert!(at_most(n - 1, n, p) < 1.0 - TAIL, "{n} {p}");
                }
            }
        }
    }

    #[test]
    fn of_many_values_the_normal_ranks_are_the_exact_ones_or_the_next() {
        let (n, p) = (20_000, 0.99);
        let [Some(low), Some(high)] = quantile_ranks(n, p) else { panic!("too few") };
        assert!(at_most(low - 1, n, p) < TAIL + 0.003 && at_most(low + 1, n, p) > TAIL - 0.003);
        assert!(at_most(high - 1, n, p) > 1.0 - TAIL - 0.003 && at_most(high - 3, n, p) < 1.0 - TAIL + 0.003);
    }

    #[test]
    fn a_tail_that_is_too_thin_is_open() {
        assert_eq!(quantile_ranks(1_000, 0.9999)[1], None);
        assert!(quantile_ranks(1_000_000, 0.9999)[1].is_some());
        assert_eq!(quantile_ranks(0, 0.5), [None, None]);
        assert_eq!(quantile_ranks(9, f64::NAN), [None, None]);
        assert_eq!(quantile_ranks(u64::MAX, 0.5).map(|rank| rank.is_some()), [true, true]);
    }
}
