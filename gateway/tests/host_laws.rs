//! The choice of hosts against queueing theory: a thousand hosts of one worker each, exponential service of mean 1 s, Poisson
//! arrivals.
//!
//! With a random choice, each host is an M/M/1 queue: mean sojourn 1/(1 − ρ). With the better of two, Mitzenmacher (*The power of two
//! choices in randomized load balancing*, 1996) has Σ ρ^(2ⁱ − 2) for i ≥ 1 in the limit of many hosts: 2.614 at 0.9, 3.383 at 0.95.
//! The run at 0.99 takes longer and is a line of `tuesday selftest`.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::num::NonZeroU32;

use gateway::{Balance, HostPass, Hosts, HostsConfig, Invariants, Timestamp, split_mix_64};

const HOSTS: u32 = 1_000;

/// A number in (0, 1).
fn unit(stream: u64, index: u64) -> f64 {
    ((split_mix_64(stream, index) >> 12) as f64 + 0.5) / (1_u64 << 52) as f64
}

fn exponential(stream: u64, index: u64) -> f64 {
    -libm::log(unit(stream, index))
}

/// Mean time from arrival to the end of the service, in mean services, of those that arrive between `from` and `until`.
fn mean_sojourn(balance: Balance, load: f64, from: f64, until: f64) -> f64 {
    let config = HostsConfig::new(NonZeroU32::new(HOSTS).unwrap(), balance);
    let mut hosts = Hosts::new(&config, &Invariants::Panic).unwrap();
    let at = |time: f64| Timestamp::from_nanos((time * 1e9) as u64);
    let [arrivals, services, draws] = [1, 2, 3].map(|purpose| split_mix_64(902, purpose));
    let mut free = vec![0.0_f64; HOSTS as usize];
    let mut leaving = BinaryHeap::new();
    let mut passes = Vec::new();
    let mut idle: Vec<usize> = Vec::new();
    let (mut now, mut sum, mut count) = (0.0, 0.0, 0_u32);
    for request in 0.. {
        now += exponential(arrivals, request) / (load * f64::from(HOSTS));
        if now >= until {
            break;
        }
        while let Some(Reverse((_, slot))) =
            leaving.peek().copied().filter(|next: &Reverse<(Timestamp, usize)>| next.0.0 <= at(now))
        {
            leaving.pop();
            hosts.on_left(&mut passes[slot]);
            idle.push(slot);
        }
        let mut pass = HostPass::drawn(split_mix_64(draws, request));
        let host = hosts.choose(at(now), &mut pass).unwrap();
        let end = now.max(free[host.0 as usize]) + exponential(services, request);
        free[host.0 as usize] = end;
        let slot = idle.pop().unwrap_or_else(|| {
            passes.push(pass);
            passes.len() - 1
        });
        passes[slot] = pass;
        leaving.push(Reverse((at(end), slot)));
        if now >= from {
            sum += end - now;
            count += 1;
        }
    }
    sum / f64::from(count)
}

#[track_caller]
fn assert_near(measured: f64, expected: f64) {
    assert!((measured / expected - 1.0).abs() < 0.03, "{measured}, expected {expected}");
}

#[test]
fn the_better_of_two_at_90_percent() {
    assert_near(mean_sojourn(Balance::P2c, 0.9, 0.0, 5_000.0), 2.614);
}

#[test]
fn the_better_of_two_at_95_percent() {
    assert_near(mean_sojourn(Balance::P2c, 0.95, 0.0, 6_000.0), 3.383);
}

#[test]
fn a_random_host_is_a_queue_by_itself() {
    assert_near(mean_sojourn(Balance::Random, 0.9, 1_000.0, 5_000.0), 10.0);
}
