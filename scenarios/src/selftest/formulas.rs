//! Closed forms of queueing theory. Rates are per second, times in seconds, shares 0 to 1.
//!
//! “Kleinrock” is Leonard Kleinrock, *Queueing Systems, Volume 1: Theory* (Wiley, 1975), by the titles of its sections.

/// Mean sojourn (wait and service) in M/M/1: 1 / (μ − λ). Kleinrock, “M/M/1: the classical queueing system”.
pub(super) fn mm1_mean_sojourn(arrivals: f64, service: f64) -> f64 {
    1.0 / (service - arrivals)
}

/// The sojourn in M/M/1 that a share `p` does not exceed: it is exponential with [`mm1_mean_sojourn`] (first in, first
/// out). Kleinrock, “The distribution of waiting time”.
pub(super) fn mm1_sojourn_quantile(arrivals: f64, service: f64, p: f64) -> f64 {
    exponential_quantile(mm1_mean_sojourn(arrivals, service), p)
}

/// Erlang's loss formula: the share of requests that M/M/c/c (c workers, no queue) turns away, by the recursion
/// B(0) = 1, B(k) = aB(k − 1) / (k + aB(k − 1)), where the offered load a is arrivals × mean service time. A. K. Erlang,
/// *Solution of some problems in the theory of probabilities of significance in automatic telephone exchanges* (1917);
/// Kleinrock, “M/M/m/m: m-server loss systems”. It holds for any distribution of the service time with that mean: B. A.
/// Sevastyanov, *An ergodic theorem for Markov processes and its application to telephone systems with refusals* (1957).
pub(super) fn erlang_b(workers: u32, offered: f64) -> f64 {
    (1..=workers).fold(1.0, |blocked, k| offered * blocked / (f64::from(k) + offered * blocked))
}

/// Erlang's delay formula: the share of requests that wait at all in M/M/c, from [`erlang_b`] as B / (1 − ρ(1 − B)).
/// Kleinrock, “M/M/m: the m-server case”.
pub(super) fn erlang_c(workers: u32, offered: f64) -> f64 {
    let (blocked, utilization) = (erlang_b(workers, offered), offered / f64::from(workers));
    blocked / (1.0 - utilization * (1.0 - blocked))
}

/// Mean wait in M/M/c: those who wait do so for an exponential time of mean 1 / (cμ − λ). Kleinrock, “M/M/m: the
/// m-server case”.
pub(super) fn mmc_mean_wait(workers: u32, arrivals: f64, service: f64) -> f64 {
    erlang_c(workers, arrivals / service) / (f64::from(workers) * service - arrivals)
}

/// The wait in M/M/c that a share `p` does not exceed; 0 where more than that do not wait at all.
pub(super) fn mmc_wait_quantile(workers: u32, arrivals: f64, service: f64, p: f64) -> f64 {
    let waiting = erlang_c(workers, arrivals / service);
    let mean = 1.0 / (f64::from(workers) * service - arrivals);
    if waiting <= 1.0 - p { 0.0 } else { exponential_quantile(mean, 1.0 - (1.0 - p) / waiting) }
}

/// Mean wait in M/G/1, after Pollaczek and Khinchine: λE\[S²\] / 2(1 − ρ). Of the service time S it takes the mean and
/// the mean square. Kleinrock, “The mean queue length”.
pub(super) fn pollaczek_khinchine(arrivals: f64, mean: f64, mean_square: f64) -> f64 {
    arrivals * mean_square / (2.0 * (1.0 - arrivals * mean))
}

/// Requests per second of M/M/1//N, the machine-repair model: `users` who think for a mean of 1 / `thinking` and share one
/// worker, which is idle for a share p₀ = 1 / Σ N!/(N − k)! (`thinking`/μ)ᵏ of the time and so serves (1 − p₀)μ. Kleinrock,
/// “M/M/1//M: finite customer population, single server”.
pub(super) fn machine_repair_throughput(users: u32, thinking: f64, service: f64) -> f64 {
    let (mut weight, mut sum) = (1.0, 1.0);
    for k in 0..users {
        weight *= f64::from(users - k) * thinking / service;
        sum += weight;
    }
    (1.0 - 1.0 / sum) * service
}

/// Mean response in M/M/1//N, by Little's law around the circle: N = X(R + Z), with the throughput X, and Z the mean time
/// of thinking. J. D. C. Little, *A proof for the queuing formula L = λW* (1961).
pub(super) fn machine_repair_response(users: u32, thinking: f64, service: f64) -> f64 {
    f64::from(users) / machine_repair_throughput(users, thinking, service) - 1.0 / thinking
}

/// One standard error of the mean wait over `requests` of M/M/1, in mean service times: the waits hang together over long
/// stretches, and their asymptotic variance is ρ(2 + 5ρ − 4ρ² + ρ³) / (1 − ρ)⁴. Ward Whitt, *Planning queueing
/// simulations*, Management Science 35 (1989).
pub(super) fn mm1_mean_wait_error(utilization: f64, requests: f64) -> f64 {
    let rho = utilization;
    let idle = 1.0 - rho;
    let variance = rho * (2.0 + 5.0 * rho - 4.0 * rho * rho + rho * rho * rho) / (idle * idle * idle * idle);
    (variance / requests).sqrt()
}

fn exponential_quantile(mean: f64, p: f64) -> f64 {
    -mean * libm::log(1.0 - p)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn assert_near(value: f64, expected: f64) {
        assert!((value / expected - 1.0).abs() < 1e-4, "{value} instead of {expected}");
    }

    #[test]
    fn erlang_as_tabulated() {
        // Every table of traffic engineering has these rows; the loads stand there with three decimals.
        assert_near(erlang_b(1, 1.0), 0.5);
        assert!((erlang_b(10, 4.461) - 0.01).abs() < 1e-5);
        assert!((erlang_b(100, 84.064) - 0.01).abs() < 1e-5);
        assert_near(erlang_c(10, 8.0), 0.40918);
    }

    #[test]
    fn special_cases_of_one_another() {
        let (arrivals, service) = (8.0, 10.0);
        let wait = mm1_mean_sojourn(arrivals, service) - 1.0 / service;
        assert_near(wait, 0.4);
        assert_near(mmc_mean_wait(1, arrivals, service), wait);
        // The second moment of an exponential time is twice the square of its mean; of a constant one, its square.
        assert_near(pollaczek_khinchine(arrivals, 0.1, 0.02), wait);
        assert_near(pollaczek_khinchine(arrivals, 0.1, 0.01), wait / 2.0);
        // exp(-2t) is a hundredth at t = ln(10); of the waits, of which a fifth are 0, at ln(80)/2.
        assert_near(mm1_sojourn_quantile(arrivals, service, 0.99), std::f64::consts::LN_10);
        assert_near(mmc_wait_quantile(1, arrivals, service, 0.99), 2.191_013);
        assert_near(mmc_wait_quantile(10, 80.0, 10.0, 0.99), 0.185_582);
        assert!(mmc_wait_quantile(10, 10.0, 10.0, 0.99).abs() < f64::EPSILON);
        // A user alone never waits; of five, by hand: 1 / 1.7732 of the time is idle.
        assert_near(machine_repair_response(1, 1.0, 10.0), 0.1);
        assert_near(machine_repair_throughput(5, 1.0, 10.0), (1.0 - 1.0 / 1.7732) * 10.0);
        assert_near(mm1_mean_wait_error(0.8, 1976.0), 1.0);
    }
}
