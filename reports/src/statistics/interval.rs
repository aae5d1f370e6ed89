//! How far two sides are apart, and how sure that is.

use crate::statistics::student::{quantile, two_sided_p};

/// A difference of means with what is known of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Estimate {
    /// The second side's mean without the first's.
    pub(crate) difference: f64,
    /// The confidence interval around it.
    pub(crate) interval: [f64; 2],
    /// How likely a difference at least so large is where there is none.
    pub(crate) p: f64,
}

/// The mean; `None` of nothing.
pub(crate) fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// The sum of squared distances from the mean.
pub(super) fn squares(values: &[f64], mean: f64) -> f64 {
    values.iter().map(|value| (value - mean) * (value - mean)).sum()
}

/// From the differences of pairs: Student's t interval of their mean (NIST/SEMATECH e-Handbook, 7.3.1.1 *Analysis of
/// paired observations*). `None` of fewer than two.
///
/// `resolution` is the step in which the measure is told. What is rounded to steps has a variance of a twelfth of their
/// square from that alone (Sheppard), twice that in a difference; an interval is never taken to be surer than that. Else two
/// seeds whose p99 happens to move by the same one step would prove a difference.
pub(crate) fn paired(differences: &[f64], resolution: f64, confidence: f64) -> Option<Estimate> {
    let difference = mean(differences)?;
    let n = differences.len() as f64;
    let freedom = n - 1.0;
    (freedom >= 1.0).then(|| {
        let variance = (squares(differences, difference) / freedom).max(resolution * resolution / 6.0);
        estimate(difference, (variance / n).sqrt(), freedom, confidence)
    })
}

/// From two sides that share no seed: Welch's interval of the difference of their means, with the degrees of freedom of
/// Welch and Satterthwaite (NIST/SEMATECH e-Handbook, 1.3.5.3 *Two-sample t-test for equal means*). `None` where a side has
/// fewer than two. `resolution` as for [`paired`].
pub(crate) fn unpaired(a: &[f64], b: &[f64], resolution: f64, confidence: f64) -> Option<Estimate> {
    let difference = mean(b)? - mean(a)?;
    let side = |values: &[f64]| {
        let (n, mean) = (values.len() as f64, mean(values)?);
        let freedom = n - 1.0;
        (freedom >= 1.0).then(|| {
            let variance = (squares(values, mean) / freedom).max(resolution * resolution / 12.0);
            (variance / n, freedom)
        })
    };
    let ((of_a, freedom_a), (of_b, freedom_b)) = (side(a)?, side(b)?);
    let variance = of_a + of_b;
    let freedom = if variance > 0.0 {
        variance * variance / (of_a * of_a / freedom_a + of_b * of_b / freedom_b)
    } else {
        freedom_a + freedom_b
    };
    Some(estimate(difference, variance.sqrt(), freedom, confidence))
}

fn estimate(difference: f64, error: f64, freedom: f64, confidence: f64) -> Estimate {
    let half = quantile(confidence, freedom) * error;
    let p = match difference.abs() {
        apart if apart <= 0.0 => 1.0,
        apart => two_sided_p(apart / error, freedom),
    };
    Estimate { difference, interval: [difference - half, difference + half], p }
}

#[cfg(test)]
mod tests {
    use rand_xoshiro::SplitMix64;
    use rand_xoshiro::rand_core::{Rng as _, SeedableRng as _};

    use super::*;

    fn near(ours: f64, wanted: f64, within: f64) -> bool {
        (ours - wanted).abs() < within
    }

    /// Student's own example (*The Probable Error of a Mean*, Biometrika 6, 1908; R's data set `sleep`): hours of sleep
    /// gained by ten patients with two drugs. R: `t.test(extra2, extra1, paired = TRUE)` gives t = 4.0621, p = 0.002833 and
    /// 0.7001142 to 2.4598858; unpaired, p = 0.07939 and −0.2054832 to 3.3654832.
    #[test]
    fn students_sleepers() {
        let one = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0];
        let other = [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4];
        let gained: Vec<f64> = one.iter().zip(other).map(|(one, other)| other - one).collect();
        let Estimate { difference, interval, p } = paired(&gained, 0.0, 0.95).unwrap();
        assert!(near(difference, 1.58, 1e-9) && near(p, 0.002_833, 1e-6), "{difference}, {p}");
        assert!(near(interval[0], 0.700_114_2, 1e-6) && near(interval[1], 2.459_885_8, 1e-6), "{interval:?}");
        let apart = unpaired(&one, &other, 0.0, 0.95).unwrap();
        assert!(near(apart.p, 0.079_39, 1e-5), "{apart:?}");
        assert!(near(apart.interval[0], -0.205_483_2, 1e-6), "{apart:?}");
        assert!(near(apart.interval[1], 3.365_483_2, 1e-6), "{apart:?}");
    }

    #[test]
    fn one_value_has_no_interval_and_steps_have_a_variance() {
        assert_eq!(paired(&[1.0], 0.0, 0.95), None);
        assert_eq!(paired(&[], 0.0, 0.95), None);
        assert_eq!(unpaired(&[1.0, 2.0], &[1.0], 0.0, 0.95), None);
        // Twice the same step proves nothing; a hundred steps do.
        assert!(paired(&[1.0, 1.0], 1.0, 0.95).unwrap().p > 0.05);
        assert!(paired(&[100.0, 100.0], 1.0, 0.95).unwrap().p < 0.05);
        let same = paired(&[0.0, 0.0, 0.0], 0.0, 0.95).unwrap();
        assert!(same.p >= 1.0 && same.interval.iter().all(|end| end.abs() < 1e-300));
        let constant = paired(&[2.0, 2.0], 0.0, 0.95).unwrap();
        assert!(constant.p <= 0.0);
        assert_eq!(constant.interval.map(f64::to_bits), [2.0f64.to_bits(); 2]);
        assert!(unpaired(&[0.0, 0.0], &[0.0, 0.0], 0.0, 0.95).unwrap().p >= 1.0);
    }

    /// How often the interval misses no difference at all, in so many comparisons of a skewed measure. Both sides meet the
    /// same luck, which is what pairing takes away, and each adds some of its own.
    fn misses(comparisons: u32, seeds: usize, is_paired: bool) -> f64 {
        let mut random = SplitMix64::seed_from_u64(902);
        let mut exponential =
            move || -libm::log(1.0 - (random.next_u64() >> 11) as f64 / (1u64 << 53) as f64);
        let mut missed = 0;
        for _ in 0..comparisons {
            let mut sides = [Vec::new(), Vec::new()];
            for _ in 0..seeds {
                let shared = 10.0 * exponential();
                for side in &mut sides {
                    side.push(shared + exponential());
                }
            }
            let [a, b] = sides;
            let differences: Vec<f64> = a.iter().zip(&b).map(|(a, b)| b - a).collect();
            let estimate =
                if is_paired { paired(&differences, 0.0, 0.95) } else { unpaired(&a, &b, 0.0, 0.95) };
            let [low, high] = estimate.unwrap().interval;
            missed += u32::from(low > 0.0 || high < 0.0);
        }
        f64::from(missed) / f64::from(comparisons)
    }

    /// 4,000 comparisons: a standard error of 0.35 points around 5%. With few seeds t is careful.
    #[test]
    fn where_nothing_differs_the_interval_misses_as_often_as_it_says() {
        for seeds in [3, 5, 10, 30] {
            let share = misses(4_000, seeds, true);
            assert!((0.03..0.06).contains(&share), "{seeds} seeds: {share}");
        }
        // What is shared by both is taken for luck of each: the interval is far wider than it need be.
        assert!(misses(4_000, 10, false) < 0.01);
    }
}
