//! The back-off types against the published results of Brooker, *Exponential Backoff And Jitter* (AWS Architecture
//! Blog, 2015): N clients contend to write one row by optimistic concurrency. Each reads the row and writes it if it has
//! not changed since; else it backs off and reads again. What jitter is worth is counted in write attempts until all
//! have written.
//!
//! The published simulator counts its exponent from 1, so that its first exponential wait is twice its base of 5 ms: our
//! base is 10 ms there, and 5 ms for the decorrelated jitter, which has no exponent.

use std::collections::BTreeMap;
use std::time::Duration;

use gateway::{AttemptFailure, Backoff, FailureSet, Jitter, Retrier, RetryPolicy, RetryState, Timestamp};
use simulator::{Purpose, Stream};

const CLIENTS: usize = 100;

enum Event {
    /// A read arrives at the server.
    Read,
    /// Its answer arrives at the client: the version of the row.
    HasRead(u32),
    /// A write arrives at the server.
    Write(u32),
    /// Its answer arrives at the client.
    Written(bool),
}

/// Write attempts until every client has written.
fn writes(backoff: Backoff, seed: u64) -> u32 {
    let conflict = FailureSet { server_errors: true, ..FailureSet::default() };
    let policy = RetryPolicy { retries: u32::MAX, on: conflict, backoff, ..RetryPolicy::default() };
    let mut retrier = Retrier::new(policy);
    let (network, jitter) = (Stream::new(seed, Purpose::Service, ""), Stream::new(seed, Purpose::Jitter, ""));
    let mut drawn = 0;
    // |Normal(10, 2)| ms by Box and Muller.
    let mut hop = || {
        drawn += 1;
        let draw = network.at(drawn);
        let radius = (-2.0 * libm::log(draw.at(0).open_unit())).sqrt();
        let normal = radius * libm::cos(std::f64::consts::TAU * draw.at(1).unit());
        ((10.0 + 2.0 * normal).abs() * 1e6) as u64
    };
    let mut states = [RetryState::default(); CLIENTS];
    let (mut version, mut calls, mut number) = (0, 0, 0_u64);
    let mut events: BTreeMap<(u64, u64), (usize, Event)> = BTreeMap::new();
    for client in 0..CLIENTS {
        number += 1;
        events.insert((hop(), number), (client, Event::Read));
    }
    while let Some(((now, _), (client, event))) = events.pop_first() {
        number += 1;
        let (after, next) = match event {
            Event::Read => (hop(), Event::HasRead(version)),
            Event::HasRead(read) => (hop(), Event::Write(read)),
            Event::Write(read) => {
                calls += 1;
                let unchanged = read == version;
                version += u32::from(unchanged);
                (hop(), Event::Written(unchanged))
            }
            Event::Written(true) => continue,
            Event::Written(false) => {
                let (at, unit) = (Timestamp::from_nanos(now), jitter.at(number).unit());
                let failure = AttemptFailure::Status(503);
                let wait = retrier.on_failure(&mut states[client], at, failure, None, unit);
                (wait.expect("it never gives up").as_nanos() as u64 + hop(), Event::Read)
            }
        };
        events.insert((now + after, number), (client, next));
    }
    assert_eq!(version as usize, CLIENTS);
    calls
}

#[test]
fn write_attempts_are_those_published() {
    let ms = Duration::from_millis;
    let exponential = |base, jitter| Backoff::exponential(ms(base), ms(2_000), jitter).unwrap();
    // A run scatters by a few percent: the mean of 100 by a few thousandths.
    let runs = 100;
    for (name, backoff, published) in [
        ("none", Backoff::NONE, 2417.0),
        ("exponential", exponential(10, Jitter::None), 1851.0),
        ("equal jitter", exponential(10, Jitter::Equal), 813.0),
        ("full jitter", exponential(10, Jitter::Full), 795.0),
        ("decorrelated jitter", exponential(5, Jitter::Decorrelated), 1000.0),
    ] {
        let mean = (0..runs).map(|seed| f64::from(writes(backoff, seed))).sum::<f64>() / runs as f64;
        println!("{name}: {mean:.0}, published {published}");
        assert!((mean / published - 1.0).abs() < 0.05, "{name}: {mean} instead of {published}");
    }
}
