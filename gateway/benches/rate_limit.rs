//! What a rate limit costs a request: one check, in a table of one bucket and in one of a hundred thousand.

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use gateway::{Algorithm, KeyedLimiter, RateLimit, Timestamp};

/// 2026-06-02T09:00:00Z, a Tuesday.
const START: u64 = 1_780_390_800_000_000_000;

fn checks(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("rate-limit");
    group.throughput(Throughput::Elements(1));
    for algorithm in Algorithm::ALL {
        for buckets in [1, 100_000_u64] {
            let limit = RateLimit::new(algorithm, 1_000, Duration::from_secs(60)).expect("a limit in range");
            let mut limiter = KeyedLimiter::new(limit);
            let (mut now, mut sent) = (START, 0_u64);
            // A request each 50 µs, from the buckets in turn: every bucket is warm after the first round.
            let mut check = || {
                now += 50_000;
                sent += 1;
                limiter.check(Timestamp::from_nanos(now), black_box(sent % buckets))
            };
            for _ in 0..buckets {
                check();
            }
            group.bench_function(format!("{algorithm}/{buckets}"), |bencher| bencher.iter(&mut check));
        }
    }
    group.finish();
}

criterion_group!(benches, checks);
criterion_main!(benches);
