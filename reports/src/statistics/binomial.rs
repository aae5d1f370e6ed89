//! The `McNemar` test for paired counts.

use crate::statistics::beta::incomplete_beta;

/// The probability of at most `k` heads in `n` tosses of a fair coin (Abramowitz & Stegun 26.5.24).
fn at_most(k: u64, n: u64) -> f64 {
    if k >= n { 1.0 } else { incomplete_beta(0.5, (n - k) as f64, k as f64 + 1.0) }
}

/// The probability of exactly `k` heads in `n` tosses.
fn exactly(k: u64, n: u64) -> f64 {
    let (k, n) = (k as f64, n as f64);
    libm::exp(
        libm::lgamma(n + 1.0)
            - libm::lgamma(k + 1.0)
            - libm::lgamma(n - k + 1.0)
            - n * std::f64::consts::LN_2,
    )
}

/// The two-sided exact sign test: how likely it is that of so many fair tosses no more than that many fall on the rarer
/// side.
fn sign_test(one: u64, other: u64) -> f64 {
    if one + other == 0 { 1.0 } else { (2.0 * at_most(one.min(other), one + other)).min(1.0) }
}

/// `McNemar`'s test of paired yes-or-no answers, from how many pairs went one way and how many the other: how likely so
/// uneven a split is where neither is favoured.
///
/// The mid-p value, which counts half of what is exactly as uneven: the exact test misses too much, and this one keeps
/// its promise in practice (Fagerland, Lydersen & Laake, *The `McNemar` test for binary matched-pairs data: mid-p and
/// asymptotic are better than exact conditional*, BMC Medical Research Methodology 13:91, 2013).
pub(crate) fn mcnemar_mid_p(one: u64, other: u64) -> f64 {
    match one + other {
        0 => 1.0,
        all if one == other => 1.0 - exactly(one, all),
        all => (sign_test(one, other) - exactly(one.min(other), all)).clamp(0.0, 1.0),
    }
}

/// The least success rate that `k` successes in `n` tries agree with at this confidence: the lower end of the one-sided
/// interval of Clopper and Pearson (*Biometrika* 26, 1934), the quantile of the beta distribution with parameters `k` and
/// `n - k + 1`, to 2⁻⁵³. 0 of no success.
pub(crate) fn success_rate_at_least(k: u64, n: u64, confidence: f64) -> f64 {
    if k == 0 || k > n {
        return 0.0;
    }
    let (mut low, mut high) = (0.0, 1.0);
    // The distribution function grows with x, so bisection finds the quantile.
    for _ in 0..f64::MANTISSA_DIGITS {
        let middle = f64::midpoint(low, high);
        if incomplete_beta(middle, k as f64, (n - k) as f64 + 1.0) < 1.0 - confidence {
            low = middle;
        } else {
            high = middle;
        }
    }
    low
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sign_test_counts_tosses() {
        for (one, other, p) in
            [(0, 0, 1.0), (0, 1, 1.0), (0, 5, 0.0625), (0, 6, 0.031_25), (3, 3, 1.0), (1, 9, 22.0 / 1024.0)]
        {
            assert!((sign_test(one, other) - p).abs() < 1e-12, "{one}, {other}: {}", sign_test(one, other));
        }
    }

    /// Fagerland, Lydersen & Laake (2013), table 3 on: airway responsiveness before and after a transplant, 1 against 7
    /// discordant pairs, exact 0.070 and mid-p 0.039.
    #[test]
    fn mid_p_is_the_published_one() {
        assert!((sign_test(1, 7) - 0.070).abs() < 0.0005);
        assert!((mcnemar_mid_p(1, 7) - 0.039).abs() < 0.0005);
        assert!((mcnemar_mid_p(7, 1) - mcnemar_mid_p(1, 7)).abs() < 1e-15);
    }

    #[test]
    fn it_holds_for_as_many_pairs_as_a_run_has() {
        assert!((mcnemar_mid_p(0, 0) - 1.0).abs() < 1e-15);
        assert!(mcnemar_mid_p(10, 10) < 1.0);
        // z = 200 / √10,000 = 2 → p = 0.0455.
        assert!((mcnemar_mid_p(4_900, 5_100) - 0.0455).abs() < 0.0005);
        assert!(mcnemar_mid_p(0, 100_000) < 1e-300);
        assert!(mcnemar_mid_p(1_000_000, 1_000_000) > 0.99);
    }

    #[test]
    fn a_success_rate_is_at_least_what_closed_forms_say() {
        // All of n: the n-th root of 5%.
        assert!((success_rate_at_least(20, 20, 0.95) - libm::pow(0.05, 0.05)).abs() < 1e-12);
        // One of n: 1 − the n-th root of 95%.
        assert!((success_rate_at_least(1, 20, 0.95) - (1.0 - libm::pow(0.95, 0.05))).abs() < 1e-12);
        // The p of which 18 or more of 20 have a probability of 5%, by a sum of exact binomial terms.
        assert!((success_rate_at_least(18, 20, 0.95) - 0.717_381_5).abs() < 1e-6);
        assert!(success_rate_at_least(0, 20, 0.95).abs() < f64::EPSILON);
    }
}
