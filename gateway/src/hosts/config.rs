//! The settings of what a caller does with the hosts of an upstream.

use std::num::NonZeroU32;
use std::time::Duration;

use thiserror::Error;

use crate::breaker::GrowthRule;

/// How many hosts an upstream has, and what a caller does with them.
///
/// The default is one host, of which nothing is learned.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HostsConfig {
    /// Hosts of the upstream.
    pub count: NonZeroU32,
    /// By what rule an attempt is given its host.
    pub balance: Balance,
    pub(super) eject: Option<Ejection>,
    pub(super) panic_below: Option<f64>,
    pub(super) slow_start: Option<Duration>,
    pub(super) health: Option<HealthCheck>,
}

/// By what rule an attempt is given its host, among those that take part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Balance {
    /// Each in turn. Fair in numbers: a slow host gets as many as any other, and they pile up there.
    #[default]
    RoundRobin,
    /// Any, each as likely as another.
    Random,
    /// The one with the fewest attempts under way; of equals the next in turn.
    LeastInFlight,
    /// The power of two choices: two different hosts at random, of which the one with fewer attempts under way is taken, of equals
    /// the first (Mitzenmacher, *The power of two choices in randomized load balancing*, 1996). Envoy's `LEAST_REQUEST`.
    P2c,
    /// Of two different hosts at random, the one with the smaller product of its recent latency and its attempts under way, of
    /// equals the first: `PeakEwma` of Finagle, Linkerd and tower. The latency rises at once to a longer one that is observed, and
    /// falls with a time constant of 10 s. A host that fails fast looks fast.
    PeakEwma,
    /// One host for each client, as long as that host takes part (rendezvous hashing: Thaler and Ravishankar, 1998). Where a host
    /// leaves, only that host's clients move.
    Hash(HashBy),
}

/// What a client's host is found by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HashBy {
    /// The API key; the address of clients without one.
    Key,
    /// The address, as limits per address see it.
    Ip,
}

impl HostsConfig {
    /// So many hosts, of which nothing is learned.
    pub const fn new(count: NonZeroU32, balance: Balance) -> Self {
        Self { count, balance, eject: None, panic_below: None, slow_start: None, health: None }
    }

    /// Hosts that fail are passed over for a while.
    #[must_use]
    pub const fn with_ejection(self, ejection: Ejection) -> Self {
        Self { eject: Some(ejection), ..self }
    }

    /// All hosts are used while less than this share of them takes part (Envoy's `healthy_panic_threshold`): the few that are left
    /// would go down under the load of all.
    ///
    /// # Errors
    ///
    /// Unless the share is above 0 and at most 1.
    pub fn with_panic_below(self, share: f64) -> Result<Self, HostsError> {
        if share > 0.0 && share <= 1.0 {
            Ok(Self { panic_below: Some(share), ..self })
        } else {
            Err(HostsError::PanicBelow)
        }
    }

    /// A host that comes back gets a share that grows over this time from a tenth to the whole.
    ///
    /// # Errors
    ///
    /// For zero.
    pub const fn with_slow_start(self, time: Duration) -> Result<Self, HostsError> {
        if time.is_zero() {
            return Err(HostsError::SlowStartZero);
        }
        Ok(Self { slow_start: Some(time), ..self })
    }

    /// Hosts are asked how they are, and passed over while they do not answer well.
    #[must_use]
    pub const fn with_health(self, health: HealthCheck) -> Self {
        Self { health: Some(health), ..self }
    }

    /// How hosts are asked how they are, if they are.
    pub const fn health(&self) -> Option<&HealthCheck> {
        self.health.as_ref()
    }

    /// When a host is passed over for a while, if ever.
    pub const fn ejection(&self) -> Option<&Ejection> {
        self.eject.as_ref()
    }

    /// Below which share of hosts that take part all are used; `None` for never.
    pub const fn panic_below(&self) -> Option<f64> {
        self.panic_below
    }

    /// How long the share of a host grows that comes back; `None` for no time.
    pub const fn slow_start(&self) -> Option<Duration> {
        self.slow_start
    }

    /// Whether there is nothing to choose and nothing to learn.
    pub(crate) const fn is_trivial(&self) -> bool {
        self.count.get() == 1 && self.eject.is_none() && self.health.is_none()
    }

    /// Whether a choice is drawn at random.
    pub const fn draws(&self) -> bool {
        match self.balance {
            Balance::RoundRobin | Balance::LeastInFlight | Balance::Hash(_) => self.slow_start.is_some(),
            Balance::Random | Balance::P2c | Balance::PeakEwma => true,
        }
    }
}

impl Default for HostsConfig {
    fn default() -> Self {
        Self::new(NonZeroU32::MIN, Balance::RoundRobin)
    }
}

/// When a host that fails is passed over, and for how long: Envoy's outlier detection by consecutive failures
/// (`source/extensions/clusters/common`, `source/common/upstream/outlier_detection_impl.cc`).
///
/// `consecutive` failures in a row eject a host, if the hosts that are ejected then are at most `max_share` of all: the first of
/// fewer than ten hosts is never ejected at 10%. Where that is not so, the count starts again. The n-th ejection lasts `ejection`
/// times n, `max_ejection` at most, and ends at the first sweep after that time. Each sweep at which a host is not ejected makes n
/// smaller by one. Sweeps are at the multiples of `sweep` since the epoch.
///
/// Other products count otherwise and take a host in again otherwise: [`Ejection::until`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ejection {
    pub(super) until: EjectedUntil,
    pub(super) consecutive: NonZeroU32,
    pub(super) time: Duration,
    pub(super) growth: Option<GrowthRule>,
    pub(super) max_time: Duration,
    pub(super) max_share: f64,
    pub(super) sweep: Duration,
    pub(super) always_one: bool,
}

/// What ends an ejection, and with that which failures count.
///
/// The difference shows when requests time out. Those that were on their way when the host was ejected fail for as long as the
/// timeout after that, and a product that counts them keeps the host out for longer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EjectedUntil {
    /// Its time is over, at the next sweep. Failures count in a row, and not while the host is ejected.
    #[default]
    Time,
    /// Fewer than `consecutive` failures lie within the last `ejection`. Each failure counts for that time, those while the host is
    /// ejected too, whatever is answered well meanwhile: Caddy's `max_fails` and `fail_duration`
    /// (`modules/caddyhttp/reverseproxy/healthchecks.go`, `countFailure`).
    Quiet,
    /// An attempt is answered well that was sent when `ejection` had gone by since the last failure, those while the host is ejected
    /// included. One such attempt is sent at the first sweep after that time, and the next one as long after it. Failures count
    /// until then, whatever is answered well meanwhile: nginx's `max_fails` and `fail_timeout`
    /// (`src/http/ngx_http_upstream_round_robin.c`, `ngx_http_upstream_get_peer` and `ngx_http_upstream_free_round_robin_peer`).
    Probe,
    /// Checks take the host in again, as if checks had taken it out. Failures count in a row; as many again while the host is out
    /// have the checks begin anew: `on-error mark-down` of `HAProxy` (`src/check.c`, `__health_adjust`). Where hosts are not
    /// checked, none is ejected.
    Check,
}

impl Ejection {
    /// Envoy's defaults: 5 failures in a row, 30 s more with each ejection up to 300 s, at most 10% of the hosts, a sweep each 10 s.
    pub const ENVOY: Self = Self {
        until: EjectedUntil::Time,
        consecutive: NonZeroU32::new(5).expect("five is not zero"),
        time: Duration::from_secs(30),
        growth: Some(GrowthRule::Linear),
        max_time: Duration::from_secs(300),
        max_share: 0.1,
        sweep: Duration::from_secs(10),
        always_one: false,
    };

    /// So many failures in a row instead.
    #[must_use]
    pub const fn with_consecutive(self, consecutive: NonZeroU32) -> Self {
        Self { consecutive, ..self }
    }

    /// Lasts so long the first time, grows by this rule (`None`: not at all), and no longer than `max_ejection`.
    ///
    /// # Errors
    ///
    /// For zero, and if the most is less than the first.
    pub fn with_time(
        self,
        ejection: Duration,
        growth: Option<GrowthRule>,
        max_ejection: Duration,
    ) -> Result<Self, HostsError> {
        if ejection.is_zero() {
            return Err(HostsError::EjectionZero);
        }
        if max_ejection < ejection {
            return Err(HostsError::MaxBelowEjection);
        }
        Ok(Self { time: ejection, growth, max_time: max_ejection, ..self })
    }

    /// At most this share of the hosts is ejected at once; with `always_one`, the first is ejected whatever its share.
    ///
    /// # Errors
    ///
    /// Unless the share is above 0 and at most 1.
    pub fn with_max_share(self, max_share: f64, always_one: bool) -> Result<Self, HostsError> {
        if max_share > 0.0 && max_share <= 1.0 {
            Ok(Self { max_share, always_one, ..self })
        } else {
            Err(HostsError::MaxShare)
        }
    }

    /// Sweeps so far apart.
    ///
    /// # Errors
    ///
    /// For zero.
    pub const fn with_sweep(self, sweep: Duration) -> Result<Self, HostsError> {
        if sweep.is_zero() {
            return Err(HostsError::SweepZero);
        }
        Ok(Self { sweep, ..self })
    }

    /// Ends so instead. With anything but [`EjectedUntil::Time`], times do not grow.
    #[must_use]
    pub const fn with_until(self, until: EjectedUntil) -> Self {
        Self { until, ..self }
    }

    /// What ends an ejection.
    pub const fn until(&self) -> EjectedUntil {
        self.until
    }

    /// Failures that eject; [`EjectedUntil`] says whether in a row.
    pub const fn consecutive(&self) -> NonZeroU32 {
        self.consecutive
    }

    /// The time of the first ejection.
    pub const fn time(&self) -> Duration {
        self.time
    }

    /// How that grows; `None` for not at all.
    pub const fn growth(&self) -> Option<GrowthRule> {
        self.growth
    }

    /// The longest time.
    pub const fn max_time(&self) -> Duration {
        self.max_time
    }

    /// The largest share of ejected hosts, above 0 and at most 1.
    pub const fn max_share(&self) -> f64 {
        self.max_share
    }

    /// How far sweeps are apart.
    pub const fn sweep(&self) -> Duration {
        self.sweep
    }

    /// Whether the first is ejected whatever its share.
    pub const fn always_one(&self) -> bool {
        self.always_one
    }
}

/// Active health checks: each host is asked by itself, whatever clients ask (HAProxy's `check`, Envoy's `health_checks`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HealthCheck {
    interval: Duration,
    timeout: Duration,
    unhealthy: NonZeroU32,
    healthy: NonZeroU32,
}

impl HealthCheck {
    /// HAProxy's defaults: a check each 2 s, three that fail take a host out (`fall`), two that succeed take it in again (`rise`). A
    /// check fails unless the answer is a 2xx within `timeout`, here 1 s.
    pub const HAPROXY: Self = Self {
        interval: Duration::from_secs(2),
        timeout: Duration::from_secs(1),
        unhealthy: NonZeroU32::new(3).expect("three is not zero"),
        healthy: NonZeroU32::new(2).expect("two is not zero"),
    };

    /// A check of each host so often, which fails after `timeout`.
    ///
    /// # Errors
    ///
    /// For zero, and for a timeout above the interval: two checks of a host would be under way at once.
    pub fn with_times(self, interval: Duration, timeout: Duration) -> Result<Self, HostsError> {
        if timeout.is_zero() || timeout > interval {
            return Err(HostsError::CheckTimeout);
        }
        Ok(Self { interval, timeout, ..self })
    }

    /// So many failures in a row take a host out, and so many successes in a row take it in again.
    #[must_use]
    pub const fn with_thresholds(self, unhealthy: NonZeroU32, healthy: NonZeroU32) -> Self {
        Self { unhealthy, healthy, ..self }
    }

    /// How far the checks of a host are apart.
    pub const fn interval(&self) -> Duration {
        self.interval
    }

    /// When a check has failed that is not answered.
    pub const fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Failures in a row that take a host out.
    pub const fn unhealthy(&self) -> NonZeroU32 {
        self.unhealthy
    }

    /// Successes in a row that take a host in again.
    pub const fn healthy(&self) -> NonZeroU32 {
        self.healthy
    }
}

/// Why settings are none of hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum HostsError {
    /// A host would be back before it left.
    #[error("ejection must be longer than zero")]
    EjectionZero,
    /// The first ejection would be longer than any may be.
    #[error("max_ejection must not be below ejection")]
    MaxBelowEjection,
    /// Nobody would be ejected, or more than everybody.
    #[error("max_share must be above 0% and at most 100%")]
    MaxShare,
    /// Sweeps would never end.
    #[error("sweep must be longer than zero")]
    SweepZero,
    /// It would never come to that, or always.
    #[error("panic_below must be above 0% and at most 100%")]
    PanicBelow,
    /// It would fail before it began, or after the next one began.
    #[error("timeout must be above zero and at most the interval")]
    CheckTimeout,
    /// A share that grows over no time does not grow.
    #[error("slow_start must be longer than zero")]
    SlowStartZero,
}
