//! Loss systems: workers without a queue, which turn away whom they cannot serve at once.

use reports::{Outcome, RunResult};

use super::{Check, Claim, Unit, formulas::erlang_b, single_upstream, utilization};

const WORKERS: u32 = 10;

/// Arrivals per second, each of 10 ms of work in the mean: on average ten workers' worth.
const ARRIVALS: u32 = 1000;

pub(super) fn checks() -> Vec<Check> {
    vec![
        check("M/M/10/10, ten workers, no queue", r#"exponential = { mean = "10ms" }"#),
        // The formula holds for any distribution of that mean.
        check("M/G/10/10, the same with log-normal service", &log_normal()),
    ]
}

/// Log-normal service times of mean 10 ms and σ = 1: the mean is median · exp(σ²/2), the p99 median · exp(zσ).
fn log_normal() -> String {
    /// The standard normal distribution's p99.
    const Z: f64 = 2.326_347_874_040_841;
    let median_ns = 10e6 * libm::exp(-0.5);
    let p99_ns = median_ns * libm::exp(Z);
    format!("log-normal = {{ median = \"{median_ns:.0}ns\", p99 = \"{p99_ns:.0}ns\" }}")
}

fn check(system: &str, latency: &str) -> Check {
    let offered = f64::from(ARRIVALS) / 100.0;
    let blocked = erlang_b(WORKERS, offered);
    Check {
        system: system.to_owned(),
        scenario: single_upstream(
            1_000,
            &format!("workers = {WORKERS}\nqueue = 0\nlatency = {{ {latency} }}"),
            &format!("rate = \"{ARRIVALS}/s\"\narrivals = \"poisson\""),
        ),
        claims: vec![
            Claim::near("turned away", Unit::Share, blocked, 0.0042, turned_away),
            // The load that is carried, over the workers.
            Claim::near(
                "utilization",
                Unit::Share,
                offered * (1.0 - blocked) / f64::from(WORKERS),
                0.001,
                utilization,
            ),
        ],
    }
}

/// Share of the requests whose answer was 503, the only error there is.
fn turned_away(run: &RunResult) -> Option<f64> {
    (run.overall.offered > 0)
        .then(|| run.overall.count(Outcome::UpstreamError) as f64 / run.overall.offered as f64)
}
