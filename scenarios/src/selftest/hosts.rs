//! Many hosts and the better of two: the power of two choices.

use super::{Check, Claim, Unit, mean_sojourn, single_upstream};

pub(super) fn checks() -> Vec<Check> {
    let mut checks = vec![two_choices(90, 1_000, 0.026_14)];
    // Some twenty million requests: of a build without optimisation nobody waits for them.
    if !cfg!(debug_assertions) {
        checks.push(two_choices(99, 20_000, 0.054_32));
    }
    checks
}

/// A thousand hosts of one worker, each with a mean service of 10 ms, over so many mean services, from empty. In the limit of many
/// hosts the mean sojourn is Σ ρ^(2ⁱ − 2) mean services, for i ≥ 1 (Mitzenmacher, *The power of two choices in randomized load
/// balancing*, 1996): 2.614 at 90% and 5.432 at 99%. A random choice would have 10 and 100. The beginning, when nobody waits, is a
/// share of the run, and a thousand are not quite many: within 3%.
fn two_choices(percent: u32, services: u64, sojourn: f64) -> Check {
    Check {
        system: format!("1,000 hosts, the better of two, {percent}% busy"),
        scenario: single_upstream(
            services / 100,
            "hosts = 1000\nworkers = 1\nlatency = { exponential = { mean = \"10ms\" } }",
            &format!(
                "rate = \"{}/s\"\narrivals = \"poisson\"\n[gateway.upstreams.server]\nbalance = \"p2c\"",
                percent * 1_000
            ),
        ),
        claims: vec![Claim::near("mean sojourn", Unit::Seconds, sojourn, 0.006, mean_sojourn)],
    }
}
