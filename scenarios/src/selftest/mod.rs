//! The simulator against what is known: textbook queues, whose answers stand in closed form, and rate limits, breakers and
//! timeouts worked out by hand.
//!
//! A simulator that is off by a worker or counts a wait twice still draws convincing charts. So whoever is to trust its
//! numbers can have it measured, on their own machine and under any seed, where the answers are known without it. Every
//! world is written as a scenario and goes the whole way of any other: file, clients, gateway, upstream, record.
//!
//! # Tolerances
//!
//! A mean over a finite run scatters, and that of a queue near saturation does so more than the number of its requests
//! suggests, since a wait resembles the one before it. So a claim names its *standard error* at the length of its run,
//! relative to the expected value: from theory where that has it, else as seen over 48 seeds and rounded up. The tolerance is
//! [`SIGMAS`] of these. A right simulator fails such a claim once in 1.7 million seeds, so a failure means something;
//! and the mistakes that there are to make (a wait left out, a service time drawn twice, a worker too many) move the
//! figures by a tenth or more, where the tolerances end at a few percent. A count that follows from the rules has no error
//! and no tolerance.
//!
//! # Adding to it
//!
//! A family of checks has a file, with a function that returns its [`Check`]s; [`checks`] names them all.

mod breakers;
mod closed_loop;
mod formulas;
mod hosts;
mod loss;
mod queues;
mod rate_limits;
mod timeouts;

use rayon::prelude::*;
use reports::{Distribution, RunResult};
use serde::Serialize;

use crate::{Scenario, file, run_experiment};

/// How many standard errors a measured value may be off.
pub const SIGMAS: f64 = 5.0;

/// A world, and what theory says of it.
#[derive(Clone, Debug)]
pub struct Check {
    /// What is run, for a reader: `M/M/1, 80% busy`.
    pub system: String,
    /// The scenario, as the text of a file.
    pub scenario: String,
    /// What is to be found.
    pub claims: Vec<Claim>,
}

/// One figure that is known beforehand.
#[derive(Clone, Debug)]
pub struct Claim {
    what: String,
    unit: Unit,
    expected: f64,
    /// Relative to what is expected; 0 for what must be met exactly.
    standard_error: f64,
    /// The variant it is of, by its place in the scenario.
    variant: usize,
    measure: fn(&RunResult) -> Option<f64>,
}

/// What a figure counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unit {
    /// Seconds.
    Seconds,
    /// Requests per second.
    PerSecond,
    /// A share, 0 to 1.
    Share,
    /// Requests.
    Requests,
}

/// A claim, held against a run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Line {
    /// What was run.
    pub system: String,
    /// What was measured of it.
    pub what: String,
    /// The unit of both figures.
    pub unit: Unit,
    /// What theory says.
    pub expected: f64,
    /// What came out; `None` if there was nothing to measure.
    pub measured: Option<f64>,
    /// How far it may be off, relative to what is expected.
    pub tolerance: f64,
    /// Whether it is not farther off than that.
    pub held: bool,
}

/// All of them. The longest runs come first, so that no thread is left with one at the end.
pub fn checks() -> Vec<Check> {
    let families = [
        hosts::checks(),
        queues::checks(),
        closed_loop::checks(),
        loss::checks(),
        rate_limits::checks(),
        breakers::checks(),
        timeouts::checks(),
    ];
    families.into_iter().flatten().collect()
}

/// Runs the checks in parallel on the threads of the current rayon pool; the lines come in the order of the checks.
///
/// `on_check` is called at the end of each check, from whichever thread it ran on.
pub fn run(checks: &[Check], seed: u64, on_check: impl Fn() + Sync) -> Vec<Line> {
    let lines = checks.par_iter().with_max_len(1).map(|check| {
        let lines = check.run(seed);
        on_check();
        lines
    });
    lines.collect::<Vec<_>>().concat()
}

impl Check {
    /// Runs its scenario under the seed, and holds each claim against what was measured.
    ///
    /// # Panics
    ///
    /// If [`Check::scenario`] is not in order.
    pub fn run(&self, seed: u64) -> Vec<Line> {
        let result = run_experiment(&self.read(), &[seed], || {});
        let held_against = |claim: &Claim| {
            let run = result.variants.get(claim.variant).and_then(|variant| variant.runs.first());
            claim.line(&self.system, run.and_then(claim.measure))
        };
        self.claims.iter().map(held_against).collect()
    }

    fn read(&self) -> Scenario {
        let file::Reading { scenario, problems } =
            file::read(&self.scenario, &|_| Err("a check has no files beside it".to_owned()));
        scenario.unwrap_or_else(|| panic!("{}", file::render(&problems, &self.system, &self.scenario, false)))
    }
}

impl Claim {
    /// That `measure` finds `expected`, give or take the standard error relative to it.
    fn near(
        what: &str,
        unit: Unit,
        expected: f64,
        standard_error: f64,
        measure: fn(&RunResult) -> Option<f64>,
    ) -> Self {
        Self { what: what.to_owned(), unit, expected, standard_error, variant: 0, measure }
    }

    /// That `measure` finds so many requests of a variant, named by its place in the scenario.
    fn exactly(what: &str, expected: u64, variant: usize, measure: fn(&RunResult) -> Option<f64>) -> Self {
        let expected = expected as f64;
        Self { what: what.to_owned(), unit: Unit::Requests, expected, standard_error: 0.0, variant, measure }
    }

    fn line(&self, system: &str, measured: Option<f64>) -> Line {
        let tolerance = SIGMAS * self.standard_error;
        // At a tolerance of zero the two are whole numbers that floating point holds exactly.
        let held =
            measured.is_some_and(|measured| (measured - self.expected).abs() <= tolerance * self.expected);
        Line {
            system: system.to_owned(),
            what: self.what.clone(),
            unit: self.unit,
            expected: self.expected,
            measured,
            tolerance,
            held,
        }
    }
}

impl Line {
    /// How far the measured value is off, relative to what is expected.
    pub fn error(&self) -> Option<f64> {
        self.measured.map(|measured| measured / self.expected - 1.0)
    }
}

/// A scenario of clients who send to a single upstream through a gateway that only passes on, for `seconds`. The upstream
/// and the clients are given by the keys of their tables.
fn single_upstream(seconds: u64, upstream: &str, clients: &str) -> String {
    format!(
        r#"
        name = "Selftest"
        duration = "{seconds}s"
        slo.latency = "1s"
        [routes]
        "/" = {{ upstream = "server" }}
        [upstreams.server]
        {upstream}
        [clients.everybody]
        send = "/"
        {clients}
        "#
    )
}

const MICROSECOND: f64 = 1e-6;

/// Mean time from sending to the answer, seconds.
fn mean_sojourn(run: &RunResult) -> Option<f64> {
    mean(&run.overall.latency)
}

/// Mean wait in the queue of the only upstream, seconds.
fn mean_wait(run: &RunResult) -> Option<f64> {
    mean(&run.stations.get(1)?.wait)
}

fn mean(times: &Distribution) -> Option<f64> {
    (times.count > 0).then_some(times.mean_us * MICROSECOND)
}

/// Share of the workers of the only upstream that are busy.
fn utilization(run: &RunResult) -> Option<f64> {
    run.stations.get(1)?.utilization
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A check that no mistake can fail is none. Each of these changes a world by as little as a mistake would.
    #[test]
    fn a_simulator_that_is_wrong_fails() {
        let mistakes = [
            ("M/M/1,", "mean = \"10ms\"", "mean = \"10.4ms\""),
            ("M/M/10,", "workers = 10", "workers = 11"),
            ("M/D/1,", "constant", "exponential.mean"),
            ("M/M/1//5,", "users = 5", "users = 6"),
            ("M/M/10/10,", "queue = 0", "queue = 1"),
            ("M/G/10/10,", "workers = 10", "workers = 9"),
            ("1,000 a minute,", "burst = 100", "burst = 101"),
            ("a breaker,", "status = 404", "status = 500"),
            ("answers exactly", "constant = \"200ms\"", "constant = \"200001us\""),
        ];
        let checks = checks();
        for (system, right, wrong) in mistakes {
            let check = checks.iter().find(|check| check.system.starts_with(system)).unwrap();
            assert!(check.scenario.contains(right), "{system} has no {right}");
            let mistaken = Check { scenario: check.scenario.replace(right, wrong), ..check.clone() };
            let lines = mistaken.run(902);
            assert!(lines.iter().any(|line| !line.held), "{system} holds with {wrong}: {lines:#?}");
        }
    }

    #[test]
    fn what_cannot_be_measured_does_not_hold() {
        let claim = Claim::exactly("nothing", 0, 0, |_| None);
        assert!(!claim.line("", None).held);
        assert!(claim.line("", Some(0.0)).held);
    }
}
