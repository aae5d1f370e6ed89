//! One number for the runs of several seeds.
//!
//! A single run of a queueing system says little about its tail, so an experiment may hold one run per seed. What
//! is shown of them is the median, which one unlucky seed does not move, with the least and the most beside it.

use crate::result::experiment::VariantResult;
use crate::result::run::RunResult;

/// What a measure came to over the seeds of a variant.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spread {
    pub(crate) least: f64,
    /// Of an even number of values: halfway between the middle two.
    pub(crate) median: f64,
    pub(crate) most: f64,
}

impl Spread {
    /// The measure over the runs for which there is one; `None` where there is none.
    pub(crate) fn over(variant: &VariantResult, measure: impl Fn(&RunResult) -> Option<f64>) -> Option<Self> {
        Self::of(variant.runs.iter().filter_map(measure).collect())
    }

    pub(crate) fn of(mut values: Vec<f64>) -> Option<Self> {
        values.sort_by(f64::total_cmp);
        let (least, most) = (*values.first()?, *values.last()?);
        let upper = values[values.len() / 2];
        let lower = values[(values.len() - 1) / 2];
        // Twice what never came about, which is infinite, is not halfway between anything.
        let median = if lower.total_cmp(&upper).is_eq() { lower } else { lower + (upper - lower) / 2.0 };
        Some(Self { least, median, most })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_value_or_halfway_between_two() {
        let spread = |values: &[f64]| Spread::of(values.to_vec());
        assert_eq!(spread(&[]), None);
        assert_eq!(spread(&[3.0]), Some(Spread { least: 3.0, median: 3.0, most: 3.0 }));
        assert_eq!(spread(&[9.0, 1.0, 2.0]), Some(Spread { least: 1.0, median: 2.0, most: 9.0 }));
        assert_eq!(spread(&[4.0, 1.0, 2.0, 3.0]).map(|spread| spread.median), Some(2.5));
        let never = [f64::INFINITY, f64::INFINITY, 1.0].repeat(2);
        assert_eq!(spread(&never), Some(Spread { least: 1.0, median: f64::INFINITY, most: f64::INFINITY }));
    }
}
