//! The inverse of the normal distribution function, for sampling by inverse transform.
//!
//! Box-Muller and the ziggurat need two draws or a varying number of them; one draw per sample is what keeps
//! draws addressable, and a monotone transform of it keeps two variants of a distribution in step (the same
//! request is the slow one in both).

/// The standard normal deviate below which a share `p` lies: −∞ at 0, ∞ at 1, NaN outside [0, 1].
///
/// Algorithm AS 241, PPND16: M. J. Wichura, *The percentage points of the normal distribution*, Applied
/// Statistics 37 (1988), 477–484. Relative error about 10⁻¹⁶.
pub(crate) fn quantile(p: f64) -> f64 {
    let q = p - 0.5;
    if q.abs() <= 0.425 {
        let r = 0.180625 - q * q;
        return q * polynomial(&A, r) / polynomial(&B, r);
    }
    let tail = if q < 0.0 { p } else { 1.0 - p };
    if tail <= 0.0 {
        return if tail < 0.0 { f64::NAN } else { q * f64::INFINITY };
    }
    let r = (-libm::log(tail)).sqrt();
    let deviate = if r <= 5.0 {
        polynomial(&C, r - 1.6) / polynomial(&D, r - 1.6)
    } else {
        polynomial(&E, r - 5.0) / polynomial(&F, r - 5.0)
    };
    if q < 0.0 { -deviate } else { deviate }
}

/// The value at `x` of the polynomial with these coefficients, the constant one first, by Horner's rule.
fn polynomial(coefficients: &[f64; 8], x: f64) -> f64 {
    coefficients.iter().rev().fold(0.0, |sum, coefficient| sum * x + coefficient)
}

// The coefficients stand as published, names included. The paper gives, for checking a copy, the sums of
// their mantissas (digits with the point after the first): 55.88319 28806 14901 4439 for A and B, 49.33206
// 50330 16102 89036 for C and D, 47.52583 31754 92896 71629 for E and F.

/// Numerator for `p` near 1/2.
#[expect(clippy::excessive_precision, reason = "as published")]
const A: [f64; 8] = [
    3.3871328727963666080e0,
    1.3314166789178437745e2,
    1.9715909503065514427e3,
    1.3731693765509461125e4,
    4.5921953931549871457e4,
    6.7265770927008700853e4,
    3.3430575583588128105e4,
    2.5090809287301226727e3,
];

/// Denominator for `p` near 1/2.
#[expect(clippy::excessive_precision, reason = "as published")]
const B: [f64; 8] = [
    1.0,
    4.2313330701600911252e1,
    6.8718700749205790830e2,
    5.3941960214247511077e3,
    2.1213794301586595867e4,
    3.9307895800092710610e4,
    2.8729085735721942674e4,
    5.2264952788528545610e3,
];

/// Numerator for `p` near neither 0, 1/2 nor 1.
#[expect(clippy::excessive_precision, reason = "as published")]
const C: [f64; 8] = [
    1.42343711074968357734e0,
    4.63033784615654529590e0,
    5.76949722146069140550e0,
    3.64784832476320460504e0,
    1.27045825245236838258e0,
    2.41780725177450611770e-1,
    2.27238449892691845833e-2,
    7.74545014278341407640e-4,
];

/// Denominator for `p` near neither 0, 1/2 nor 1.
#[expect(clippy::excessive_precision, reason = "as published")]
const D: [f64; 8] = [
    1.0,
    2.05319162663775882187e0,
    1.67638483018380384940e0,
    6.89767334985100004550e-1,
    1.48103976427480074590e-1,
    1.51986665636164571966e-2,
    5.47593808499534494600e-4,
    1.05075007164441684324e-9,
];

/// Numerator for `p` near 0 or 1.
#[expect(clippy::excessive_precision, reason = "as published")]
const E: [f64; 8] = [
    6.65790464350110377720e0,
    5.46378491116411436990e0,
    1.78482653991729133580e0,
    2.96560571828504891230e-1,
    2.65321895265761230930e-2,
    1.24266094738807843860e-3,
    2.71155556874348757815e-5,
    2.01033439929228813265e-7,
];

/// Denominator for `p` near 0 or 1.
#[expect(clippy::excessive_precision, reason = "as published")]
const F: [f64; 8] = [
    1.0,
    5.99832206555887937690e-1,
    1.36929880922735805310e-1,
    1.48753612908506148525e-2,
    7.86869131145613259100e-4,
    1.84631831751005468180e-5,
    1.42151175831644588870e-7,
    2.04426310338993978564e-15,
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Roots of Φ(x) = p found with 60 digits (mpmath), for the very doubles written here.
    #[test]
    #[expect(clippy::excessive_precision, reason = "more digits than a double has, on purpose")]
    fn agrees_with_known_quantiles() {
        let known = [
            (1e-300, -37.047096299361199237),
            (1e-30, -11.46402468844361572),
            (1.1102230246251565e-16, -8.2095361516013868556),
            (1e-11, -6.7060231554951362961),
            (1e-10, -6.3613409024040561991),
            (1e-06, -4.7534243088228989573),
            (0.001, -3.0902323061678135354),
            (0.01, -2.3263478740408410931),
            (0.025, -1.9599639845400542118),
            (0.05, -1.644853626951472688),
            (0.075, -1.4395314709384559349),
            (0.1, -1.2815515655446004353),
            (0.25, -0.6744897501960817432),
            (0.4, -0.25334710313579974132),
            (0.49, -0.025068908258711058033),
            (0.5, 0.0),
            (0.75, 0.6744897501960817432),
            (0.9, 1.2815515655446005935),
            (0.95, 1.6448536269514722843),
            (0.975, 1.9599639845400538556),
            (0.99, 2.3263478740408407676),
            (0.999, 3.0902323061678132778),
            (0.9999, 3.7190164854557083867),
            (0.9999999999999999, 8.2095361516013868556),
        ];
        for (p, expected) in known {
            let error: f64 = quantile(p) - expected;
            assert!(error.abs() <= 1e-15 * f64::abs(expected), "{p}: {} for {expected}", quantile(p));
        }
    }

    #[test]
    #[expect(clippy::float_cmp, reason = "infinity equals itself")]
    fn the_ends_are_infinite_and_beyond_is_nothing() {
        assert_eq!(quantile(0.0), f64::NEG_INFINITY);
        assert_eq!(quantile(1.0), f64::INFINITY);
        assert!(quantile(-0.1).is_nan());
        assert!(quantile(1.1).is_nan());
        assert!(quantile(f64::NAN).is_nan());
    }

    proptest! {
        #[test]
        fn rises_and_mirrors(a in 1e-9..0.5, b in 1e-9..0.5) {
            let (a, b) = (f64::min(a, b), f64::max(a, b));
            prop_assert!(quantile(a) <= quantile(b));
            let mirrored = quantile(1.0 - a);
            // 1 − a is rounded by half an ulp of 1, which far out in the tail is a large share of a.
            prop_assert!((mirrored + quantile(a)).abs() <= 1e-15 + 1.2e-16 / a);
        }
    }
}
