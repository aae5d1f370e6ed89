//! Which of many objects a request asks for: all alike, or a few of them most of the time.
//!
//! The popularity of pages, products and files falls with their rank by a power law (Breslau et al., *Web Caching and Zipf-like
//! Distributions*, INFOCOM 1999, who found exponents from 0.64 to 0.83 at proxies). A cache lives on the few objects at the top, and so
//! does a stampede: an object for which nobody asks brings no crowd when it expires.

use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;

use thiserror::Error;

use crate::chance::Stream;

/// How often each of a number of objects is asked for. Objects are numbered from 0, the most popular first.
///
/// Object k is asked for with a probability in proportion to (k + 1)^−s. An exponent s of 0 makes all alike.
#[derive(Clone)]
pub struct Popularity {
    objects: NonZeroU32,
    exponent: f64,
    /// By object: the probability of all objects up to and with that one. Empty where all are alike.
    up_to: Arc<[f64]>,
}

/// Why settings are no [`Popularity`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum PopularityError {
    /// Each object takes memory in every run.
    #[error("keys must be at most {}", Popularity::MOST_OBJECTS)]
    TooMany,
    /// No exponent of a falling power law, or one with which the first object is all there is.
    #[error("zipf must be from 0 to {}", Popularity::LARGEST_EXPONENT)]
    Exponent,
}

impl Popularity {
    /// The most objects that there can be.
    pub const MOST_OBJECTS: u32 = 1_000_000;

    /// The largest exponent: with this one, 98 of 100 requests ask for the first two objects.
    pub const LARGEST_EXPONENT: f64 = 5.0;

    /// So many objects, whose popularity falls with this exponent.
    ///
    /// # Errors
    ///
    /// If there are more than [`Popularity::MOST_OBJECTS`], or the exponent is not from 0 to [`Popularity::LARGEST_EXPONENT`].
    pub fn new(objects: NonZeroU32, exponent: f64) -> Result<Self, PopularityError> {
        if objects.get() > Self::MOST_OBJECTS {
            return Err(PopularityError::TooMany);
        }
        // What is no number is in no range.
        if !(0.0..=Self::LARGEST_EXPONENT).contains(&exponent) {
            return Err(PopularityError::Exponent);
        }
        let up_to = if exponent > 0.0 {
            let weights = (1..=objects.get()).map(|rank| libm::pow(f64::from(rank), -exponent));
            let sums: Vec<f64> = weights
                .scan(0.0, |sum, weight| {
                    *sum += weight;
                    Some(*sum)
                })
                .collect();
            let all = sums.last().copied().unwrap_or(1.0);
            sums.into_iter().map(|sum| sum / all).collect()
        } else {
            Arc::default()
        };
        Ok(Self { objects, exponent, up_to })
    }

    /// The object that the draw of `stream` names.
    pub fn draw(&self, stream: Stream) -> u32 {
        if self.up_to.is_empty() {
            return stream.below(self.objects.get().into()) as u32;
        }
        let draw = stream.unit();
        let place = self.up_to.partition_point(|up_to| *up_to <= draw);
        (place as u32).min(self.objects.get() - 1)
    }

    /// How many objects there are.
    pub const fn objects(&self) -> NonZeroU32 {
        self.objects
    }

    /// The exponent, 0 where all are alike.
    pub const fn exponent(&self) -> f64 {
        self.exponent
    }
}

/// The table is made of the other two.
impl PartialEq for Popularity {
    fn eq(&self, other: &Self) -> bool {
        (self.objects, self.exponent.to_bits()) == (other.objects, other.exponent.to_bits())
    }
}

impl fmt::Debug for Popularity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Popularity({} objects, exponent {})", self.objects, self.exponent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chance::Purpose;

    fn popularity(objects: u32, exponent: f64) -> Popularity {
        Popularity::new(NonZeroU32::new(objects).unwrap(), exponent).unwrap()
    }

    fn counts(popularity: &Popularity, draws: u64) -> Vec<u64> {
        let stream = Stream::new(902, Purpose::Content, "buyers");
        let mut counts = vec![0; popularity.objects().get() as usize];
        for index in 0..draws {
            counts[popularity.draw(stream.at(index)) as usize] += 1;
        }
        counts
    }

    #[test]
    fn with_zipf_the_second_is_asked_for_half_as_often_as_the_first() {
        // Of ranks 1 to 4 with exponent 1: 12/25, 6/25, 4/25 and 3/25. 100,000 draws: deviations of 158, 135, 116 and 103; five of them.
        let counts = counts(&popularity(4, 1.0), 100_000);
        for (count, (mean, margin)) in
            counts.iter().zip([(48_000, 790), (24_000, 675), (16_000, 580), (12_000, 515)])
        {
            assert!(count.abs_diff(mean) < margin, "{counts:?}");
        }
    }

    #[test]
    fn without_an_exponent_all_are_alike() {
        // Binomial: mean 20,000, deviation 126; five of them.
        let counts = counts(&popularity(5, 0.0), 100_000);
        assert!(counts.iter().all(|count| count.abs_diff(20_000) < 632), "{counts:?}");
    }

    #[test]
    fn the_last_object_is_the_end_of_the_table() {
        for exponent in [0.0, 0.8, 5.0] {
            let popularity = popularity(1_000, exponent);
            assert!(popularity.draw(Stream::from_bits(u64::MAX)) < 1_000);
            assert_eq!(popularity.draw(Stream::from_bits(0)), 0);
        }
    }

    #[test]
    fn settings_that_cannot_be_meant_are_refused() {
        let new = |objects, exponent| Popularity::new(NonZeroU32::new(objects).unwrap(), exponent);
        assert_eq!(new(1_000_001, 1.0).unwrap_err(), PopularityError::TooMany);
        for exponent in [-0.1, 5.1, f64::NAN, f64::INFINITY] {
            assert_eq!(new(10, exponent).unwrap_err(), PopularityError::Exponent);
        }
        assert_eq!(format!("{:?}", popularity(7, 0.5)), "Popularity(7 objects, exponent 0.5)");
    }
}
