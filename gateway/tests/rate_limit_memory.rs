//! A million live buckets fit in 100 MB, for every algorithm, at every moment of growing to them.
//!
//! In a test binary of its own, with a single test: the allocator counts the whole process.

use std::time::Duration;

use gateway::{Algorithm, KeyedLimiter, RateLimit, Timestamp};
use peak_alloc::PeakAlloc;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

const BUCKETS: u64 = 1_000_000;
const BOUND_BYTES: usize = 100_000_000;
const MINUTE: Duration = Duration::from_secs(60);
const NINE: Timestamp = Timestamp::from_nanos(1_780_390_800 * 1_000_000_000);

#[test]
fn a_million_live_buckets_fit_in_100_mb() {
    for algorithm in Algorithm::ALL {
        let settings = RateLimit::new(algorithm, 1000, MINUTE).unwrap();
        let before = ALLOCATOR.current_usage();
        ALLOCATOR.reset_peak_usage();
        let mut limiter = KeyedLimiter::new(settings);
        // All at one instant: a bucket of which one in a thousand tokens is missing is forgotten soon.
        for bucket in 0..BUCKETS {
            limiter.check(NINE, bucket);
            limiter.check(NINE, bucket);
        }
        assert_eq!(limiter.len(), 1_000_000);
        let steady = ALLOCATOR.current_usage() - before;
        let peak = ALLOCATOR.peak_usage() - before;
        println!("{algorithm}: {steady} bytes, {peak} at the peak");
        assert!(peak <= BOUND_BYTES, "{algorithm}: {peak} bytes at the peak");

        // A check a minute, and a few hundred of them sweep and shrink everything.
        for minutes in 2..300 {
            limiter.check(NINE + minutes * MINUTE, 0);
        }
        let idle = ALLOCATOR.current_usage() - before;
        println!("{algorithm}: {idle} bytes when idle");
        assert!(idle <= BOUND_BYTES / 1000, "{algorithm}: {idle} bytes when idle");
    }
}
