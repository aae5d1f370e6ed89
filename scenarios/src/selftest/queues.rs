//! Open queues: Poisson arrivals to workers behind a queue without bound.

use super::{
    Check, Claim, MICROSECOND, Unit,
    formulas::{
        mm1_mean_sojourn, mm1_mean_wait_error, mm1_sojourn_quantile, mmc_mean_wait, mmc_wait_quantile,
        pollaczek_khinchine,
    },
    mean_sojourn, mean_wait, single_upstream, utilization,
};

/// What one worker serves per second: 10 ms each, in the mean.
const SERVICE: f64 = 100.0;

pub(super) fn checks() -> Vec<Check> {
    vec![one_worker(), ten_workers(), constant_service()]
}

/// The queue of the textbooks at 80%: long enough waits to matter, short enough to settle in a run of seconds.
fn one_worker() -> Check {
    let (arrivals, requests) = (80, 4_000_000);
    let rate = f64::from(arrivals);
    let sojourn = mm1_mean_sojourn(rate, SERVICE);
    // Of the service times' own scatter nothing is seen beside that of the waits.
    let wait_error = mm1_mean_wait_error(rate / SERVICE, requests as f64) / SERVICE;
    let quantile = |p| mm1_sojourn_quantile(rate, SERVICE, p);
    Check {
        system: "M/M/1, one worker, 80% busy".to_owned(),
        scenario: world(arrivals, requests, 1, r#"exponential = { mean = "10ms" }"#),
        claims: vec![
            Claim::near("mean sojourn", Unit::Seconds, sojourn, wait_error / sojourn, mean_sojourn),
            Claim::near("median sojourn", Unit::Seconds, quantile(0.5), 0.004, |run| {
                run.overall.latency.at(50.0).map(|us| us as f64 * MICROSECOND)
            }),
            Claim::near("p99 of the sojourn", Unit::Seconds, quantile(0.99), 0.010, |run| {
                run.overall.latency.at(99.0).map(|us| us as f64 * MICROSECOND)
            }),
            Claim::near("utilization", Unit::Share, rate / SERVICE, 0.0008, utilization),
        ],
    }
}

/// Erlang C, with as many workers as a small service has.
fn ten_workers() -> Check {
    let (arrivals, requests, workers) = (800, 4_000_000, 10);
    let rate = f64::from(arrivals);
    Check {
        system: "M/M/10, ten workers, 80% busy".to_owned(),
        scenario: world(arrivals, requests, workers, r#"exponential = { mean = "10ms" }"#),
        claims: vec![
            Claim::near("mean wait", Unit::Seconds, mmc_mean_wait(workers, rate, SERVICE), 0.010, mean_wait),
            Claim::near(
                "p99 of the wait",
                Unit::Seconds,
                mmc_wait_quantile(workers, rate, SERVICE, 0.99),
                0.012,
                |run| run.stations.get(1)?.wait.at(99.0).map(|us| us as f64 * MICROSECOND),
            ),
            Claim::near(
                "mean sojourn",
                Unit::Seconds,
                mmc_mean_wait(workers, rate, SERVICE) + 1.0 / SERVICE,
                0.002,
                mean_sojourn,
            ),
            Claim::near(
                "utilization",
                Unit::Share,
                rate / (f64::from(workers) * SERVICE),
                0.0008,
                utilization,
            ),
        ],
    }
}

/// Constant service times halve the wait: what spreads them out is what makes queues long.
fn constant_service() -> Check {
    let (arrivals, requests) = (80, 2_000_000);
    let (rate, mean) = (f64::from(arrivals), 1.0 / SERVICE);
    let wait = pollaczek_khinchine(rate, mean, mean * mean);
    Check {
        system: "M/D/1, one worker, constant service, 80% busy".to_owned(),
        scenario: world(arrivals, requests, 1, r#"constant = "10ms""#),
        claims: vec![
            Claim::near("mean wait", Unit::Seconds, wait, 0.006, mean_wait),
            Claim::near("mean sojourn", Unit::Seconds, wait + mean, 0.004, mean_sojourn),
        ],
    }
}

/// Arrivals at a rate per second for so long that about `requests` come.
fn world(arrivals: u32, requests: u64, workers: u32, latency: &str) -> String {
    single_upstream(
        requests / u64::from(arrivals),
        &format!("workers = {workers}\nlatency = {{ {latency} }}"),
        &format!("rate = \"{arrivals}/s\"\narrivals = \"poisson\""),
    )
}
