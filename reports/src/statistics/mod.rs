//! The statistics that a comparison stands on, each from a named source and with `libm`'s functions, so that an interval
//! has the same bits on every machine.
//!
//! What is not here: a bootstrap. Comparisons have few seeds, and with few values the percentile bootstrap's intervals are
//! too narrow (Hesterberg, *What Teachers Should Know About the Bootstrap*, The American Statistician 69, 2015): they are as
//! wide as normal ones with the variance divided by n, so of ten values 1.96 · √0.9 = 1.86 standard errors to either side,
//! where Student's t takes 2.26. The case that matters most, two configurations that do the same, gives differences that are
//! symmetric around zero however skewed the measure itself is, and for those Student's t errs on the careful side.

pub(crate) mod beta;
pub(crate) mod binomial;
pub(crate) mod change_points;
pub(crate) mod holm;
pub(crate) mod interval;
pub(crate) mod quantile;
pub(crate) mod student;
