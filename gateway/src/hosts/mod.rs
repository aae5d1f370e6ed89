//! The hosts behind an upstream: which one an attempt goes to, and which ones are passed over.
//!
//! One bad host among twelve fails a twelfth of the requests, and no measure of the upstream as a whole shows why: its error rate
//! stays far below any breaker's threshold. So whoever sends to hosts has two tasks beside sending. Hosts are chosen by a rule
//! ([`Balance`]) that may look at what each is at. And hosts that fail are passed over for a while ([`Ejection`]), but never so
//! many that those that are left go down too ([`HostsConfig::with_panic_below`]).
//!
//! A gateway and a service that asks others use the same machine.

mod choose;
mod config;
mod ejection;
mod health;
mod latency;

use std::collections::VecDeque;

use self::choose::{Candidates, choose};
pub use self::config::{Balance, EjectedUntil, Ejection, HashBy, HealthCheck, HostsConfig, HostsError};
use self::ejection::{Finding, Outlier, sweep_at, sweeps_until};
use self::health::Health;
use self::latency::PeakEwma;
use crate::admission::Request;
use crate::breaker::Settlement;
use crate::invariant::Invariants;
use crate::split_mix::{split_mix_64, unit};
use crate::timestamp::Timestamp;

/// The number of a host within its upstream, from 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostId(pub u32);

/// The hosts of one upstream, as a caller sees them.
///
/// The calling contract: `now` does not decrease. [`Hosts::choose`] gives an attempt its host; [`Hosts::on_settled`] says how the
/// attempt ended, where that says anything of the host; [`Hosts::on_left`] follows once for each choice.
///
/// Where hosts are checked, [`Hosts::poll_check`] until it gives nothing: at the start, at [`Hosts::next_check`], and after each
/// [`Hosts::on_checked`], which follows once for each check, at its deadline at the latest.
#[derive(Debug)]
pub struct Hosts {
    config: HostsConfig,
    /// By number.
    all: Vec<Host>,
    /// Those that attempts go to, in order.
    taking_part: Vec<HostId>,
    /// The last choice.
    last: Option<HostId>,
    /// The number of the last sweep that was made up for.
    swept: Option<u64>,
    /// Hosts that are ejected.
    ejected: u32,
    /// Whether checks have begun.
    has_begun_checks: bool,
    /// Checks so far.
    checks: u64,
    changes: VecDeque<HostChange>,
    invariants: Invariants,
}

/// What is known of one host.
#[derive(Clone, Debug)]
struct Host {
    /// Attempts under way.
    in_flight: u32,
    latency: PeakEwma,
    outlier: Outlier,
    health: Health,
    /// When the host came back, as long as its share grows.
    back: Option<Timestamp>,
}

/// A host takes part from now on, or is passed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostChange {
    /// When.
    pub at: Timestamp,
    /// Which host.
    pub host: HostId,
    /// What it is from then on.
    pub to: HostCondition,
}

/// A host is to be asked how it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostCheck {
    /// Which host.
    pub host: HostId,
    /// The number of the check, to be handed back.
    pub number: u64,
    /// When the check has failed.
    pub deadline: Timestamp,
}

/// Whether a host takes part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HostCondition {
    /// It does.
    In,
    /// It is passed over, because requests failed there.
    Ejected,
    /// It is passed over, because checks failed.
    Unhealthy,
}

impl HostCondition {
    /// The kebab-case name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::In => "in",
            Self::Ejected => "ejected",
            Self::Unhealthy => "unhealthy",
        }
    }
}

/// What a request has of the hosts of its upstream: by what they are chosen for it, and the slot at one that it holds. Small, because
/// every request carries one, those to an upstream of one host too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostPass {
    spread: u64,
    sent: Timestamp,
    /// The host of the last attempt; [`NOWHERE`] before the first.
    last: u32,
    slot: Slot,
}

/// The number of no host.
const NOWHERE: u32 = u32::MAX;

/// What an attempt holds at its host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Slot {
    /// Nothing.
    #[default]
    None,
    /// It is one of those under way there.
    Held,
    /// As [`Slot::Held`], and the host has been told how it ended.
    Settled,
}

impl Default for HostPass {
    #[inline]
    fn default() -> Self {
        Self { spread: 0, sent: Timestamp::EPOCH, last: NOWHERE, slot: Slot::None }
    }
}

impl HostPass {
    /// For a request that draws `draw`, in an upstream with these settings.
    pub fn new(config: &HostsConfig, request: &Request) -> Self {
        let spread = match config.balance {
            Balance::Hash(HashBy::Key) => request.client.bucket(),
            Balance::Hash(HashBy::Ip) => request.peer.bucket(),
            _ => request.draw,
        };
        Self::drawn(spread)
    }

    /// For a request whose choices are drawn by `spread`.
    pub fn drawn(spread: u64) -> Self {
        Self { spread, ..Self::default() }
    }
}

impl Hosts {
    /// All hosts take part, and nothing is known of any. `None` where there is nothing to choose and nothing to learn.
    pub fn new(config: &HostsConfig, invariants: &Invariants) -> Option<Self> {
        let (latency, outlier, health) = (PeakEwma::new(), Outlier::default(), Health::default());
        let host = Host { in_flight: 0, latency, outlier, health, back: None };
        (!config.is_trivial()).then(|| Self {
            config: *config,
            all: vec![host; config.count.get() as usize],
            taking_part: (0..config.count.get()).map(HostId).collect(),
            last: None,
            swept: None,
            ejected: 0,
            has_begun_checks: false,
            checks: 0,
            changes: VecDeque::new(),
            invariants: invariants.clone(),
        })
    }

    /// Goes by these settings from now on, of as many hosts. Where the rule of ejection is another, all hosts take part again.
    pub fn reconfigure(&mut self, now: Timestamp, config: &HostsConfig) {
        if *config == self.config || config.count != self.config.count {
            return;
        }
        if config.eject != self.config.eject {
            for (number, host) in (0..).zip(&mut self.all) {
                if host.outlier.is_ejected() || host.health.unmark() {
                    let (host, to) = (HostId(number), HostCondition::In);
                    self.changes.push_back(HostChange { at: now, host, to });
                }
                host.outlier = Outlier::default();
            }
            self.ejected = 0;
            self.swept = None;
        }
        if config.health != self.config.health {
            for (number, host) in (0..).zip(&mut self.all) {
                if host.health.is_marked() {
                    self.invariants.decrement(&mut self.ejected, "a host comes back that was not ejected");
                }
                if host.health.is_failing() && !host.outlier.is_ejected() {
                    let (host, to) = (HostId(number), HostCondition::In);
                    self.changes.push_back(HostChange { at: now, host, to });
                }
                host.health = Health::default();
            }
            self.has_begun_checks = false;
        }
        self.config = *config;
        self.muster();
    }

    /// The next check that is to begin now, if one is. The first of each host begin one after the other within an interval, as
    /// HAProxy spreads them.
    pub fn poll_check(&mut self, now: Timestamp) -> Option<HostCheck> {
        let config = self.config.health.as_ref()?;
        if !std::mem::replace(&mut self.has_begun_checks, true) {
            let count = self.config.count.get();
            for (number, host) in (0..).zip(&mut self.all) {
                host.health.first_due(now + config.interval() * number / count);
            }
        }
        let is_due = |host: &Host| host.health.due().is_some_and(|due| due <= now);
        let place = self.all.iter().position(is_due)?;
        self.checks += 1;
        let (number, deadline) = (self.checks, now + config.timeout());
        self.all[place].health.begin(config, now, number);
        Some(HostCheck { host: HostId(place as u32), number, deadline })
    }

    /// When the next check is to begin; `None` where none is before another one has ended.
    pub fn next_check(&self) -> Option<Timestamp> {
        self.config.health.as_ref()?;
        self.all.iter().filter_map(|host| host.health.due()).min()
    }

    /// A check ended: well, if the host answered with a 2xx in time. Of no effect for a check that has ended.
    pub fn on_checked(&mut self, now: Timestamp, check: HostCheck, well: bool) {
        self.sweep(now);
        let Some(config) = &self.config.health else { return };
        let Some(host) = self.all.get_mut(check.host.0 as usize) else { return };
        if !host.health.on_checked(config, check.number, well) {
            return;
        }
        let to = if host.health.is_failing() { HostCondition::Unhealthy } else { HostCondition::In };
        if to == HostCondition::In {
            host.back = Some(now);
            if host.health.unmark() {
                self.invariants.decrement(&mut self.ejected, "a host comes back that was not ejected");
            }
        }
        // One that is ejected stays so.
        if to == HostCondition::Unhealthy || !host.outlier.is_ejected() {
            self.changes.push_back(HostChange { at: now, host: check.host, to });
        }
        self.muster();
    }

    /// Gives an attempt its host, another than the request's last one if there is one; `None` where no host takes part. The
    /// request holds no slot before.
    pub fn choose(&mut self, now: Timestamp, pass: &mut HostPass) -> Option<HostId> {
        self.sweep(now);
        let mut candidates = Candidates::new(&self.taking_part);
        if pass.last != NOWHERE {
            candidates = candidates.besides(HostId(pass.last));
        }
        let choose =
            |candidates, spread| choose(self.config.balance, candidates, &self.all, self.last, spread, now);
        let mut host = choose(candidates, pass.spread)?;
        if self.is_spared(now, host, split_mix_64(pass.spread, 2)) {
            host = choose(candidates.besides(host), split_mix_64(pass.spread, 3))?;
        }
        if !matches!(self.config.balance, Balance::Hash(_)) {
            pass.spread = split_mix_64(pass.spread, 4);
        }
        self.last = Some(host);
        let chosen = &mut self.all[host.0 as usize];
        chosen.in_flight += 1;
        (pass.sent, pass.last, pass.slot) = (now, host.0, Slot::Held);
        if self.config.eject.as_ref().is_some_and(|config| chosen.outlier.on_chosen(config, now)) {
            self.muster();
        }
        Some(host)
    }

    /// Whether any host takes part.
    pub fn has_any(&mut self, now: Timestamp) -> bool {
        self.sweep(now);
        !self.taking_part.is_empty()
    }

    /// The attempt ended so. Of no effect where the request holds no slot, or the host has been told.
    pub fn on_settled(&mut self, now: Timestamp, pass: &mut HostPass, settlement: Settlement) {
        if pass.slot != Slot::Held {
            return;
        }
        let id = HostId(pass.last);
        pass.slot = Slot::Settled;
        self.sweep(now);
        let Some(host) = self.all.get_mut(id.0 as usize) else { return };
        let took = match settlement {
            Settlement::Answered { took, .. } => u64::try_from(took.as_nanos()).unwrap_or(u64::MAX),
            Settlement::TimedOut | Settlement::ConnectionFailed => now.nanos_since(pass.sent),
        };
        host.latency.observe(now, took);
        let Some(config) = &self.config.eject else { return };
        let failed = match settlement {
            Settlement::Answered { status, .. } => status >= 500,
            Settlement::TimedOut | Settlement::ConnectionFailed => true,
        };
        match host.outlier.on_ended(config, now, failed) {
            Finding::Nothing => {}
            Finding::Failing => self.on_failing(now, id),
            Finding::PutOff => self.muster(),
            Finding::Recovered => {
                host.back = Some(now);
                self.invariants.decrement(&mut self.ejected, "a host comes back that was not ejected");
                let to = self.all[id.0 as usize].condition();
                self.changes.push_back(HostChange { at: now, host: id, to });
                self.muster();
            }
        }
    }

    /// A host has failed often enough to be ejected.
    fn on_failing(&mut self, now: Timestamp, id: HostId) {
        let Some(config) = &self.config.eject else { return };
        let may_eject = self.may_eject(config);
        let host = &mut self.all[id.0 as usize];
        let is_ejected = match config.until {
            // One that is out already is told anew, and stays out.
            EjectedUntil::Check
                if self.config.health.is_some() && (may_eject || host.health.is_failing()) =>
            {
                host.health.mark_down()
            }
            EjectedUntil::Check => false,
            EjectedUntil::Time | EjectedUntil::Quiet | EjectedUntil::Probe if may_eject => {
                host.outlier.eject(now);
                true
            }
            EjectedUntil::Time | EjectedUntil::Quiet | EjectedUntil::Probe => {
                host.outlier.spare();
                false
            }
        };
        if is_ejected {
            self.ejected += 1;
            self.changes.push_back(HostChange { at: now, host: id, to: HostCondition::Ejected });
            self.muster();
        }
    }

    /// The attempt is over: its slot is free. Of no effect where the request holds none.
    pub fn on_left(&mut self, pass: &mut HostPass) {
        if pass.slot == Slot::None {
            return;
        }
        pass.slot = Slot::None;
        if let Some(host) = self.all.get_mut(pass.last as usize) {
            self.invariants
                .decrement(&mut host.in_flight, "a slot at a host is given back that nobody holds");
        }
    }

    /// The next change that nobody has taken note of.
    pub fn poll_change(&mut self) -> Option<HostChange> {
        self.changes.pop_front()
    }

    /// By host: attempts under way, and whether the host takes part.
    pub fn states(&self) -> impl Iterator<Item = (u32, HostCondition)> {
        self.all.iter().map(|host| (host.in_flight, host.condition()))
    }

    /// Whether one more may be ejected.
    fn may_eject(&self, config: &Ejection) -> bool {
        let share = f64::from(self.ejected + 1) / f64::from(self.config.count.get());
        share <= config.max_share || (config.always_one && self.ejected == 0)
    }

    /// Whether an attempt goes to another host than this one, because the host came back a short while ago.
    fn is_spared(&self, now: Timestamp, host: HostId, draw: u64) -> bool {
        let Some(time) = self.config.slow_start else { return false };
        let Some(back) = self.all.get(host.0 as usize).and_then(|host| host.back) else { return false };
        let share = now.saturating_since(back).as_secs_f64() / time.as_secs_f64();
        unit(draw) >= share.max(LEAST_SHARE)
    }

    /// Makes up for the sweeps that were due until now.
    fn sweep(&mut self, now: Timestamp) {
        let Some(config) = &self.config.eject else { return };
        if config.until != EjectedUntil::Time {
            // Few are ejected at any time, and mostly none.
            if self.ejected > 0 {
                self.look_at_ejected(now);
            }
            return;
        }
        let until = sweeps_until(config, now);
        let from = *self.swept.get_or_insert(until);
        if until <= from {
            return;
        }
        self.swept = Some(until);
        let told = self.changes.len();
        for (number, host) in (0..).zip(&mut self.all) {
            if let Some(back) = host.outlier.on_sweeps(config, from, until) {
                let at = sweep_at(config, back);
                self.invariants.decrement(&mut self.ejected, "a host comes back that was not ejected");
                host.back = Some(at);
                self.changes.push_back(HostChange { at, host: HostId(number), to: host.condition() });
            }
        }
        self.on_back(told);
    }

    /// Makes up for what the time that went by did to hosts that are ejected.
    fn look_at_ejected(&mut self, now: Timestamp) {
        let Some(config) = &self.config.eject else { return };
        let told = self.changes.len();
        let mut may_be_probed = false;
        for (number, host) in (0..).zip(&mut self.all) {
            let could_be_probed = host.outlier.may_be_probed();
            if let Some(at) = host.outlier.on_time(config, now) {
                self.invariants.decrement(&mut self.ejected, "a host comes back that was not ejected");
                host.back = Some(at);
                self.changes.push_back(HostChange { at, host: HostId(number), to: host.condition() });
            }
            may_be_probed |= host.outlier.may_be_probed() && !could_be_probed;
        }
        self.on_back(told);
        if may_be_probed {
            self.muster();
        }
    }

    /// Hosts came back: the changes behind the first `told` say which.
    fn on_back(&mut self, told: usize) {
        if self.changes.len() > told {
            // One after the other.
            self.changes.make_contiguous()[told..].sort_by_key(|change| change.at);
            self.muster();
        }
    }

    /// Finds out who takes part.
    fn muster(&mut self) {
        let all = || (0..self.config.count.get()).map(HostId);
        let is_in = |host: &HostId| {
            let host = &self.all[host.0 as usize];
            host.condition() == HostCondition::In
                || (host.outlier.may_be_probed() && !host.health.is_failing())
        };
        let mut taking_part: Vec<HostId> = all().filter(is_in).collect();
        let share = taking_part.len() as f64 / self.all.len() as f64;
        if self.config.panic_below.is_some_and(|least| share < least) {
            taking_part = all().collect();
        }
        self.taking_part = taking_part;
    }
}

impl Host {
    fn condition(&self) -> HostCondition {
        if self.health.is_failing() && !self.health.is_marked() {
            HostCondition::Unhealthy
        } else if self.health.is_marked() || self.outlier.is_ejected() {
            HostCondition::Ejected
        } else {
            HostCondition::In
        }
    }
}

/// Of its usual share, what a host gets that has just come back: Envoy's `min_weight_percent`.
const LEAST_SHARE: f64 = 0.1;

#[cfg(test)]
mod tests;
