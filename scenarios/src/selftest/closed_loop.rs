//! Users who wait for their answer before they send again.

use super::{
    Check, Claim, Unit,
    formulas::{machine_repair_response, machine_repair_throughput},
    mean_sojourn, single_upstream, utilization,
};

/// M/M/1//N, the machine-repair model: five users and a worker that they share.
pub(super) fn checks() -> Vec<Check> {
    let (users, thinking, service) = (5, 10.0, 100.0);
    let throughput = machine_repair_throughput(users, thinking, service);
    let check = Check {
        system: format!("M/M/1//{users}, five users, one worker"),
        scenario: single_upstream(
            SECONDS,
            "workers = 1\nlatency = { exponential = { mean = \"10ms\" } }",
            &format!("users = {users}\nthink = {{ exponential = {{ mean = \"100ms\" }} }}"),
        ),
        claims: vec![
            Claim::near("throughput", Unit::PerSecond, throughput, 0.0006, |run| {
                Some(run.overall.offered as f64 / SECONDS as f64)
            }),
            Claim::near(
                "mean response",
                Unit::Seconds,
                machine_repair_response(users, thinking, service),
                0.0013,
                mean_sojourn,
            ),
            Claim::near("utilization", Unit::Share, throughput / service, 0.001, utilization),
        ],
    };
    vec![check]
}

/// For 1.7 million requests.
const SECONDS: u64 = 40_000;
