//! Configurations, or states of one, set against the first of them: how far apart they are, and how sure that is.
//!
//! # Why pairs
//!
//! What one seed does to a world, its bursts and its slow answers, moves every measure more than most changes of a gateway
//! do. Under the same seed two configurations meet the same arrivals and service times (common random numbers), so the
//! difference of two runs of one seed is free of most of that luck, and a few seeds tell what hundreds of unpaired runs would
//! not.
//!
//! # What is said, and how sure
//!
//! - The **interval** of a measure is Student's t interval of the mean of the differences by seed, at the confidence asked
//!   for (95%). Each stands for itself: of twenty intervals, one may miss. Where the sides share no seeds, it is Welch's. Why
//!   not a bootstrap is said at the module of the statistics.
//! - A **verdict** is about all measures at once: better or worse is said only where Holm's correction over all of them leaves
//!   less than the level (5%). So with two configurations that do the same, the chance of even one wrong verdict on what is
//!   measured of everybody is at most 5%; those on parts (populations, routes) are a family of their own. It can happen that
//!   an interval does not hold zero and the verdict is open ("not sure").
//! - A time that **never** came counts as the time there was to see it (the restricted mean, as of survival times: Irwin 1949,
//!   Royston & Parmar 2013). The true difference is then at least what is told.
//! - A difference no larger than the step in which a measure is told, such as a bucket of the latency histogram, is none.
//! - **One seed** has no interval. Where the requests are known pair by pair, `McNemar`'s test can still decide goodput, for
//!   this seed: requests that meet one queue fail together, so it says that the configurations differ here, and not by how
//!   much under another seed.

pub(crate) mod compare;
pub(crate) mod json;
pub(crate) mod regression;
pub(crate) mod requests;
pub(crate) mod result;
pub(crate) mod show;
pub(crate) mod table;
#[cfg(test)]
mod tests;
