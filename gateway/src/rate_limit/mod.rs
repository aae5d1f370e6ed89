//! How many requests a bucket may send: six algorithms, one store of buckets.
//!
//! Two gateways with the same "1000 per minute" in their configuration can let twice as many requests
//! through, or half, because the sentence leaves open *which* minute and *how soon again*. The algorithms
//! here are the answers that products give, so that their difference can be seen before an incident shows it:
//!
//! | algorithm | state per bucket | most admitted |
//! |---|---|---|
//! | [fixed window](Algorithm::FixedWindow) | a count | 2 × limit in an interval as long as the window |
//! | [token bucket](Algorithm::TokenBucket) | tokens and an instant | burst + ⌊limit · t / window⌋ in any interval t |
//! | [GCRA](Algorithm::Gcra) | an instant | the same |
//! | [leaky bucket](Algorithm::LeakyBucket) | an instant | 1 + burst + ⌊limit · t / window⌋ in any interval t, of which some wait |
//! | [sliding window log](Algorithm::SlidingWindowLog) | an instant per request | limit in an interval as long as the window |
//! | [sliding window counter](Algorithm::SlidingWindowCounter) | two counts | 2 × limit in an interval as long as the window |
//!
//! All of them are integer arithmetic over nanoseconds, exact for any valid setting and any [`Timestamp`]: a
//! run replayed on another machine admits the same requests, and a limiter that has run for a year has not
//! drifted.
//!
//! [`Timestamp`]: crate::Timestamp

mod algorithm;
mod calendar;
mod fixed_window;
mod gcra;
mod keyed;
mod keyed_limiter;
mod leaky_bucket;
mod limiter;
mod settings;
mod sliding_counter;
mod sliding_log;
mod timestamps;
mod token_bucket;

#[cfg(test)]
mod test_vectors;

pub use algorithm::Algorithm;
pub use keyed_limiter::KeyedLimiter;
pub use limiter::Verdict;
pub use settings::{RateLimit, RateLimitError, WindowFrom};
