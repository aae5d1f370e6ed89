//! How the harness itself fared while it drove a live run: a harness that cannot keep up measures itself.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::record::broken::Breaks;
use crate::record::distribution::Distribution;
use crate::record::durations::{Durations, Figure, Statistic};
use crate::words::format;

/// A run whose lateness p99 exceeds this share of the SLO latency is invalid.
pub const LATENESS_OF_SLO: f64 = 0.1;

/// A second in which more than this share of the machine's cores was in use, or of one core by one thread, was saturated.
const SATURATED: f64 = 0.97;

/// A run with more than this share of saturated seconds is invalid.
const SATURATED_SECONDS: f64 = 0.1;

/// A harness that uses this share of the cores by itself is what keeps them busy.
const OWN_DOING: f64 = 0.5;

/// What the harness notes of itself during a live run. Times are scenario time unless it says otherwise.
#[derive(Clone, Debug)]
pub struct HarnessRecord {
    /// How many times as fast as real time the scenario's clock ran.
    pub speed: f64,
    /// Clients that could have a request under way at once, and the most that had.
    pub users: u32,
    /// The most that had one.
    pub peak_users: u32,
    /// Whether some of them served a schedule: where all only think and send, it is no wonder that all may wait at once.
    pub has_pool: bool,
    /// Descriptors that the process may have open.
    pub descriptor_limit: u64,
    /// The most that it had open, where the system tells.
    pub peak_descriptors: Option<u64>,
    /// Connections that could not be made or taken in for want of descriptors, ports or memory of the kernel: of clients,
    /// of the gateway and of services.
    pub exhausted: u64,
    /// Requests that were sent again on a fresh connection, since the gateway closed the kept one in the same instant.
    pub resent: u64,
    /// By second of real time: the share of the machine's cores that was in use by anybody, where the system tells.
    pub busy_cores: Vec<f64>,
    /// By the same seconds: the share of the machine's cores that this process used.
    pub own_cores: Vec<f64>,
    /// By the same seconds: the share of one core that the busiest thread of a server used.
    pub busiest_server: Vec<f64>,
    /// Whether it was ended before the scenario was over.
    pub interrupted: bool,
    /// When clients were told to stop, from the scenario's start, if that was before its arrivals were over.
    pub ran: Option<Duration>,
    lateness: Durations,
    /// What was found broken of the run's record.
    breaks: Breaks,
}

impl HarnessRecord {
    /// Nothing noted yet.
    pub fn new(speed: f64, users: u32, descriptor_limit: u64) -> Self {
        Self {
            speed,
            users,
            peak_users: 0,
            has_pool: true,
            descriptor_limit,
            peak_descriptors: None,
            exhausted: 0,
            resent: 0,
            busy_cores: Vec::new(),
            own_cores: Vec::new(),
            busiest_server: Vec::new(),
            interrupted: false,
            ran: None,
            lateness: Durations::new(),
            breaks: Breaks::default(),
        }
    }

    /// A request was sent so long after it was meant to be.
    pub fn on_sent(&mut self, late: Duration) {
        self.lateness.record(late);
    }

    /// A request was not sent before the run was stopped, so long after it was meant to be.
    pub fn on_not_sent(&mut self, late: Duration) {
        self.lateness.record_lower_bound(late);
    }

    /// The record of the run was found broken so often.
    pub(crate) fn on_broken(&mut self, breaks: &Breaks) {
        self.breaks.add(breaks);
    }

    /// Takes in what was noted of another run that belongs to this one.
    pub(crate) fn add(&mut self, other: &Self) {
        self.lateness.add(&other.lateness);
        self.breaks.add(&other.breaks);
        self.peak_users = self.peak_users.max(other.peak_users);
        self.users = self.users.max(other.users);
        self.peak_descriptors = self.peak_descriptors.max(other.peak_descriptors);
        self.exhausted += other.exhausted;
        self.resent += other.resent;
        self.busy_cores.extend(&other.busy_cores);
        self.own_cores.extend(&other.own_cores);
        self.busiest_server.extend(&other.busiest_server);
        self.has_pool |= other.has_pool;
        self.interrupted |= other.interrupted;
    }

    /// How late the latest 1% of the requests were, microseconds; `None` where none was sent.
    pub(crate) fn lateness_p99_us(&self) -> Option<u64> {
        self.lateness.statistic(Statistic::Percentile(99.0)).map(|Figure { us, .. }| us)
    }

    /// How late the latest request was; `None` where none was sent.
    pub(crate) fn greatest_lateness(&self) -> Option<Duration> {
        self.lateness.statistic(Statistic::Max).map(|Figure { us, .. }| Duration::from_micros(us))
    }

    pub(crate) const fn lateness(&self) -> &Durations {
        &self.lateness
    }

    /// As a result has it, judged against the SLO latency.
    pub(crate) fn result(&self, slo_latency: Duration) -> HarnessResult {
        let invalid = self.spoiled(slo_latency);
        let peak_busy = self.busy_cores.iter().copied().fold(0.0, f64::max);
        HarnessResult {
            speed: self.speed,
            lateness: self.lateness.distribution(),
            users: self.users,
            peak_users: self.peak_users,
            descriptor_limit: self.descriptor_limit,
            peak_descriptors: self.peak_descriptors,
            exhausted: self.exhausted,
            resent: self.resent,
            peak_busy_cores: (!self.busy_cores.is_empty()).then_some(peak_busy),
            own_cores: mean(&self.own_cores),
            saturated_seconds: (!self.busy_cores.is_empty()).then(|| self.saturated_seconds()),
            interrupted: self.interrupted,
            ran_us: self.ran.map(|ran| ran.as_micros() as u64),
            invalid,
            broken: self.breaks.count(),
        }
    }

    /// Why the run says more of the harness than of the gateway, a sentence each.
    fn spoiled(&self, slo_latency: Duration) -> Vec<String> {
        let mut reasons = Vec::new();
        let allowed = slo_latency.mul_f64(LATENESS_OF_SLO).as_micros() as u64;
        let lateness = self.lateness_p99_us();
        let is_late_by = |bound: u64| lateness.filter(|late| *late > bound);
        reasons.extend(self.breaks.told());
        if let Some(late) = is_late_by(allowed) {
            reasons.push(format!(
                "requests were sent late: 1% by more than {}, where a tenth of the SLO is {}",
                format::latency_us(late),
                format::latency_us(allowed)
            ));
        }
        if self.has_pool && self.peak_users >= self.users && self.users > 0 && is_late_by(allowed).is_some() {
            reasons.push(format!("all {} clients were waiting for answers at once", self.users));
        }
        if self.exhausted > 0 {
            reasons.push(format!(
                "{} connections could not be had: the process ran out of descriptors (limit {}) or ports",
                format::count(self.exhausted),
                format::count(self.descriptor_limit)
            ));
        }
        let seconds = self.busy_cores.len();
        let many = |saturated: usize| saturated as f64 > SATURATED_SECONDS * seconds as f64;
        let own = self.saturated_seconds() as usize;
        let all = self.busy_cores.iter().filter(|share| **share >= SATURATED).count();
        if many(own) {
            // Sends may be on time all the while: it is the answers that wait for a core.
            reasons
                .push(format!("the harness used all the cores that it could in {own} of {seconds} seconds"));
        } else if many(all) && is_late_by(allowed / 2).is_some() {
            reasons.push(format!("the machine's cores were all busy in {all} of {seconds} seconds"));
        }
        reasons
    }

    /// Seconds in which the harness had not the cores that it needed, by its own doing: no core was left and it used most of
    /// them, or all that one of its servers did waited for one thread.
    ///
    /// What other processes use is not among it. They take turns with the harness, which shows in its lateness.
    fn saturated_seconds(&self) -> u32 {
        let own = self.own_cores.iter().chain(std::iter::repeat(&0.0));
        let busiest = self.busiest_server.iter().chain(std::iter::repeat(&0.0));
        let seconds = self.busy_cores.iter().zip(own).zip(busiest);
        let saturated = seconds.filter(|((busy, own), server)| {
            (**busy >= SATURATED && **own >= OWN_DOING) || **server >= SATURATED
        });
        saturated.count() as u32
    }
}

fn mean(shares: &[f64]) -> Option<f64> {
    (!shares.is_empty()).then(|| shares.iter().sum::<f64>() / shares.len() as f64)
}

/// How the harness fared in a live run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct HarnessResult {
    /// How many times as fast as real time the scenario's clock ran.
    pub speed: f64,
    /// How much later than intended requests were sent, in scenario time.
    pub lateness: Distribution,
    /// Clients that could have a request under way at once.
    pub users: u32,
    /// The most that had one.
    pub peak_users: u32,
    /// Descriptors that the process may have open.
    pub descriptor_limit: u64,
    /// The most that it had open; `None` where the system does not tell.
    pub peak_descriptors: Option<u64>,
    /// Connections that could not be made or taken in for want of descriptors or ports.
    pub exhausted: u64,
    /// Requests that were sent again on a fresh connection, since the gateway closed the kept one in the same instant.
    #[serde(default)]
    pub resent: u64,
    /// The largest share of the machine's cores in use in any second; `None` where the system does not tell.
    pub peak_busy_cores: Option<f64>,
    /// The share of the machine's cores that the run used itself; `None` where the system does not tell.
    pub own_cores: Option<f64>,
    /// Seconds of real time in which the harness used all the cores that it could; `None` where the system does not tell.
    #[serde(default)]
    pub saturated_seconds: Option<u32>,
    /// Whether the run was ended before the scenario was over.
    pub interrupted: bool,
    /// For how long of the scenario it ran, if it was ended before its arrivals were over: rates are over this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ran_us: Option<u64>,
    /// Why the run says more of the harness than of the gateway; empty for a valid one.
    pub invalid: Vec<String>,
    /// In how many places the record of the run was found broken, which only a bug of Tuesday can do: then `invalid` says how,
    /// and no figure of the run can be trusted.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub broken: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
const fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl HarnessResult {
    /// Whether the harness kept up until the end, so that the run says something of the gateway.
    pub fn is_valid(&self) -> bool {
        self.invalid.is_empty() && !self.interrupted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SLO: Duration = Duration::from_millis(500);

    fn sent(late: &[u64]) -> HarnessRecord {
        let mut record = HarnessRecord::new(1.0, 100, 20_000);
        for millis in late {
            record.on_sent(Duration::from_millis(*millis));
        }
        record
    }

    #[test]
    fn a_tenth_of_the_slo_may_be_lateness() {
        let mut punctual = vec![1; 990];
        punctual.extend([400; 10]);
        assert_eq!(sent(&punctual).result(SLO).invalid, [""; 0]);
        punctual.extend([51; 10]);
        let late = sent(&punctual).result(SLO).invalid;
        assert_eq!(
            late,
            ["requests were sent late: 1% by more than 51 ms, where a tenth of the SLO is 50 ms"]
        );
    }

    #[test]
    fn a_machine_that_others_keep_busy_spoils_only_a_run_that_was_late() {
        let mut record = sent(&[1; 100]);
        (record.busy_cores, record.own_cores) = (vec![1.0; 10], vec![0.3; 10]);
        assert_eq!(record.result(SLO).invalid, [""; 0]);
        let mut record = sent(&[80; 100]);
        (record.busy_cores, record.peak_users) = (vec![0.5, 1.0], 100);
        assert_eq!(record.result(SLO).invalid.len(), 3);
        // Users who only think and send may well all wait at once.
        record.has_pool = false;
        assert_eq!(record.result(SLO).invalid.len(), 2);
    }

    #[test]
    fn a_machine_that_the_harness_keeps_busy_spoils_a_run_that_was_on_time() {
        let mut record = sent(&[1; 100]);
        record.busy_cores = vec![1.0; 20];
        record.own_cores = [vec![0.9; 2], vec![0.2; 18]].concat();
        assert_eq!(record.result(SLO).invalid, [""; 0]);
        record.own_cores[2] = 0.5;
        let result = record.result(SLO);
        assert_eq!(result.invalid, ["the harness used all the cores that it could in 3 of 20 seconds"]);
        assert_eq!(result.saturated_seconds, Some(3));
        // A server's one thread is as good a bottleneck, however many cores are idle.
        let mut record = sent(&[1; 100]);
        (record.busy_cores, record.own_cores) = (vec![0.2; 10], vec![0.1; 10]);
        record.busiest_server = [vec![0.99; 2], vec![0.2; 8]].concat();
        assert_eq!(record.result(SLO).invalid.len(), 1);
    }

    #[test]
    fn what_the_system_refused_spoils_a_run() {
        let mut record = sent(&[1; 100]);
        record.exhausted = 3;
        let invalid = record.result(SLO).invalid;
        assert_eq!(
            invalid,
            ["3 connections could not be had: the process ran out of descriptors (limit 20,000) or ports"]
        );
    }
}
