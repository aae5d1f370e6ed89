//! Student's t distribution.

use crate::statistics::beta::incomplete_beta;

/// The probability that a value of Student's t distribution with so many degrees of freedom lies further from zero than
/// `t`, on either side (Abramowitz & Stegun 26.7.1 with 26.5.27).
pub(super) fn two_sided_p(t: f64, freedom: f64) -> f64 {
    if t.is_infinite() {
        return 0.0;
    }
    incomplete_beta(freedom / (freedom + t * t), freedom / 2.0, 0.5)
}

/// How far from zero, on either side, a share `confidence` of its values lie at most.
///
/// The inverse of [`two_sided_p`], which falls with `t`, by bisection to the last bit.
pub(super) fn quantile(confidence: f64, freedom: f64) -> f64 {
    let outside = 1.0 - confidence;
    let mut high = 1.0;
    while two_sided_p(high, freedom) > outside && high < 1e300 {
        high *= 2.0;
    }
    let mut low = 0.0;
    for _ in 0..200 {
        let middle = low + (high - low) / 2.0;
        if two_sided_p(middle, freedom) > outside {
            low = middle;
        } else {
            high = middle;
        }
    }
    high
}

#[cfg(test)]
mod tests {
    use super::*;

    /// NIST/SEMATECH e-Handbook of Statistical Methods, 1.3.6.7.2: upper critical values of Student's t distribution, for
    /// probabilities to the left of 0.90, 0.95, 0.975, 0.99, 0.995 and 0.999.
    const PUBLISHED: [(u32, [f64; 6]); 10] = [
        (1, [3.078, 6.314, 12.706, 31.821, 63.657, 318.313]),
        (2, [1.886, 2.920, 4.303, 6.965, 9.925, 22.327]),
        (3, [1.638, 2.353, 3.182, 4.541, 5.841, 10.215]),
        (4, [1.533, 2.132, 2.776, 3.747, 4.604, 7.173]),
        (5, [1.476, 2.015, 2.571, 3.365, 4.032, 5.893]),
        (9, [1.383, 1.833, 2.262, 2.821, 3.250, 4.297]),
        (19, [1.328, 1.729, 2.093, 2.539, 2.861, 3.579]),
        (30, [1.310, 1.697, 2.042, 2.457, 2.750, 3.385]),
        (60, [1.296, 1.671, 2.000, 2.390, 2.660, 3.232]),
        (100, [1.290, 1.660, 1.984, 2.364, 2.626, 3.174]),
    ];

    #[test]
    fn quantiles_are_the_published_ones() {
        for (freedom, row) in PUBLISHED {
            for (left, published) in [0.90, 0.95, 0.975, 0.99, 0.995, 0.999].into_iter().zip(row) {
                let ours = quantile(2.0 * left - 1.0, f64::from(freedom));
                // The table is cut to three decimals; its 318.313 is off by 0.004.
                let allowed = if published > 300.0 { 0.005 } else { 0.00051 };
                assert!((ours - published).abs() < allowed, "{freedom}, {left}: {ours}, not {published}");
            }
        }
    }

    #[test]
    fn quantiles_are_what_closed_forms_say() {
        for confidence in [0.5, 0.9, 0.95, 0.999] {
            // One degree of freedom: the Cauchy distribution. Two: p²/(2·(1 − p²))·4 under the root.
            let cauchy = libm::tan(std::f64::consts::FRAC_PI_2 * confidence);
            assert!((quantile(confidence, 1.0) / cauchy - 1.0).abs() < 1e-12, "{confidence}");
            let two = confidence * (2.0 / (1.0 - confidence * confidence)).sqrt();
            assert!((quantile(confidence, 2.0) / two - 1.0).abs() < 1e-12, "{confidence}");
        }
    }

    #[test]
    fn with_many_degrees_of_freedom_it_is_the_normal_distribution() {
        assert!((quantile(0.95, 1e7) - 1.959_964).abs() < 1e-5);
        assert!((two_sided_p(1.959_964, 1e7) - 0.05).abs() < 1e-6);
        assert!((two_sided_p(0.0, 5.0) - 1.0).abs() < 1e-15);
        assert!(two_sided_p(f64::INFINITY, 5.0).abs() < 1e-15);
    }
}
