//! The engine against queueing theory: textbook systems, whose answers are known in closed form.
//!
//! Lengths and tolerances go together. The sojourn times of a queue near saturation hang together over long
//! stretches, so that their mean and percentiles settle slowly: for M/M/1 at ρ = 0.8 the asymptotic variance of the
//! mean wait is ρ(2 + 5ρ − 4ρ² + ρ³)/(1 − ρ)⁴ = 1976 squared service times per request (Whitt, *Planning queueing
//! simulations*, 1989), and the p99 was seen to scatter by 1.75% at 10⁶ requests. With 4·10⁶ requests, one
//! standard deviation of the mean sojourn is 0.45%, of its p99 0.88%. The tolerances are four and a half of these or
//! more: a right engine fails with a probability below 10⁻⁵, and none of the mistakes that we could think of (a wait
//! left out, a service time counted twice, a worker too many) moves the figures by less than a tenth.

use crate::common::run_one;

/// Poisson arrivals at `rate` to an upstream with exponential service times of mean 100 ms, for so long that about
/// `requests` arrive.
fn world(rate: u64, workers: u32, requests: u64) -> String {
    format!(
        r#"
        name = "M/M/{workers}"
        starts = 2026-06-02T09:00:00Z
        duration = "{seconds}s"
        slo.latency = "1s"
        [upstreams.server]
        workers = {workers}
        latency = {{ exponential = {{ mean = "100ms" }} }}
        [routes]
        "/" = {{ upstream = "server" }}
        [clients.everybody]
        send = "/"
        rate = "{rate}/s"
        arrivals = "poisson"
        "#,
        seconds = requests / rate
    )
}

#[track_caller]
fn assert_near(what: &str, measured: f64, expected: f64, tolerance: f64) {
    let error = measured / expected - 1.0;
    assert!(
        error.abs() <= tolerance,
        "{what}: {measured} instead of {expected}, off by {:.2}%",
        error * 100.0
    );
}

#[test]
fn one_worker_at_eighty_percent() {
    // Seven days is the longest scenario: 4·10⁶ requests at 8/s are 5.8 of them.
    let run = run_one(&world(8, 1, 4_000_000));
    // The sojourn time is exponential with mean 1/(μ − λ) = 1/(10/s − 8/s).
    assert_near("mean sojourn", run.overall.latency.mean_us, 500_000.0, 0.025);
    assert_near("median sojourn", run.overall.latency.at(50.0).unwrap() as f64, 346_574.0, 0.025);
    assert_near("p99 of the sojourn", run.overall.latency.at(99.0).unwrap() as f64, 2_302_585.0, 0.04);
    let server = &run.stations[1];
    assert_near("mean wait", server.wait.mean_us, 400_000.0, 0.03);
    assert_near("utilization", server.utilization.unwrap(), 0.8, 0.01);
    assert_eq!(run.overall.latency.count, run.overall.offered);
}

#[test]
fn ten_workers_at_eighty_percent() {
    let run = run_one(&world(80, 10, 4_000_000));
    let server = &run.stations[1];
    // Erlang C: P(wait > 0) = 0.40918, and the wait of those who wait is exponential with mean 1/(10μ − λ) = 50 ms.
    assert_near("mean wait", server.wait.mean_us, 20_459.0, 0.04);
    assert_near("p99 of the wait", server.wait.at(99.0).unwrap() as f64, 185_582.0, 0.04);
    assert_near("mean sojourn", run.overall.latency.mean_us, 120_459.0, 0.01);
    assert_near("utilization", server.utilization.unwrap(), 0.8, 0.01);
}

#[test]
fn closed_loop_users_share_one_worker() {
    // M/M/1//N, the machine-repair model: 5 users who think for 1 s and one worker of 100 ms. With a = 0.1 the idle
    // probability is p₀ = 1 / Σ 5!/(5−k)! aᵏ (k = 0…5) = 1/1.7732 and the throughput (1 − p₀)·10/s.
    let text = r#"
        name = "M/M/1//5"
        starts = 2026-06-02T09:00:00Z
        duration = "166h"
        slo.latency = "1s"
        [upstreams.server]
        workers = 1
        latency = { exponential = { mean = "100ms" } }
        [routes]
        "/" = { upstream = "server" }
        [clients.users]
        send = "/"
        users = 5
        think = { exponential = { mean = "1s" } }
    "#;
    let run = run_one(text);
    let weights: f64 = [1.0, 0.5, 0.2, 0.06, 0.012, 0.0012].iter().sum();
    let throughput = (1.0 - 1.0 / weights) * 10.0;
    let seconds = 166.0 * 3600.0;
    assert_near("throughput", run.overall.offered as f64 / seconds, throughput, 0.005);
    // Little's law over the whole circle: N = X·(R + Z).
    assert_near("mean response", run.overall.latency.mean_us, (5.0 / throughput - 1.0) * 1e6, 0.02);
    assert_near("utilization", run.stations[1].utilization.unwrap(), throughput / 10.0, 0.005);
}
