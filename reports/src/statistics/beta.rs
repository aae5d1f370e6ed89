//! The regularised incomplete beta function.

/// The regularized incomplete beta function, of `a` and `b` above 0 and `x` from 0 to 1.
///
/// Its continued fraction (DLMF 8.17.22), evaluated from the front by Lentz's method (Press et al., *Numerical Recipes*,
/// §5.2 and §6.4), on the side of the mean where it converges fast.
pub(super) fn incomplete_beta(x: f64, a: f64, b: f64) -> f64 {
    if x <= 0.0 {
        return 0.0;
    }
    if x >= 1.0 {
        return 1.0;
    }
    if x > (a + 1.0) / (a + b + 2.0) {
        return 1.0 - incomplete_beta(1.0 - x, b, a);
    }
    let ln_front =
        libm::lgamma(a + b) - libm::lgamma(a) - libm::lgamma(b) + a * libm::log(x) + b * libm::log1p(-x);
    libm::exp(ln_front) / a * continued_fraction(x, a, b)
}

fn continued_fraction(x: f64, a: f64, b: f64) -> f64 {
    /// Of what is nearly zero, a number that can be divided by.
    fn not_zero(value: f64) -> f64 {
        if value.abs() < 1e-300 { 1e-300 } else { value }
    }
    let mut above = 1.0;
    let mut below = 1.0 / not_zero(1.0 - (a + b) * x / (a + 1.0));
    let mut fraction = below;
    // It takes some √max(a, b) steps; the bound is there so that there is one.
    for step in 1..100_000 {
        let n = f64::from(step);
        let even = n * (b - n) * x / ((a + 2.0 * n - 1.0) * (a + 2.0 * n));
        let odd = -(a + n) * (a + b + n) * x / ((a + 2.0 * n) * (a + 2.0 * n + 1.0));
        let mut change = 1.0;
        for numerator in [even, odd] {
            below = 1.0 / not_zero(1.0 + numerator * below);
            above = not_zero(1.0 + numerator / above);
            change = above * below;
            fraction *= change;
        }
        if (change - 1.0).abs() < 1e-15 {
            break;
        }
    }
    fraction
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_what_closed_forms_say() {
        for x in [0.001, 0.2, 0.5, 0.77, 0.999] {
            // I(x; a, 1) = x^a and I(x; 1, b) = 1 − (1 − x)^b.
            assert!((incomplete_beta(x, 3.0, 1.0) - x * x * x).abs() < 1e-14, "{x}");
            assert!((incomplete_beta(x, 1.0, 2.0) - (1.0 - (1.0 - x) * (1.0 - x))).abs() < 1e-14, "{x}");
            // I(x; ½, ½) = 2/π · arcsin √x.
            let arcsine = std::f64::consts::FRAC_2_PI * libm::asin(x.sqrt());
            assert!((incomplete_beta(x, 0.5, 0.5) - arcsine).abs() < 1e-13, "{x}");
        }
        assert!((incomplete_beta(0.5, 20_000.0, 20_000.0) - 0.5).abs() < 1e-9);
        assert!(incomplete_beta(0.0, 2.0, 2.0).abs() < f64::EPSILON);
        assert!((incomplete_beta(1.0, 2.0, 2.0) - 1.0).abs() < f64::EPSILON);
    }
}
