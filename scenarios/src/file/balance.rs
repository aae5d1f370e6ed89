//! What callers do with the hosts of an upstream: `balance`, `eject` and what stands beside them.

use std::num::NonZeroU32;
use std::time::Duration;

use gateway::{
    Balance as Rule, EjectedUntil, Ejection, GrowthRule, HashBy, HealthCheck, HostsConfig, HostsError,
};
use serde_json::{Value as Json, json};

use super::context::Context;
use super::diagnostic::Problem;
use super::external::Path;
use super::reader::{Field, Fields, Read};
use super::shape::{Choice, Shape};
use super::table::{Switch, table};
use super::tree::{Node, Value};
use super::values::{AboveZero, FromNode, Positive, Share, Written, names, names_of};
use super::words::{list, way_out};

table! {
    /// When a host that fails is passed over for a while. What is left out is as Envoy's outlier detection has it.
    pub(super) struct Eject<'t> (Choice::Free) {
        /// Failures that eject a host, at least 1: answers of 500 or above, timeouts, and connections that were refused or broke. In
        /// a row, unless `until` says otherwise.
        consecutive: NonZeroU32 = Ejection::ENVOY.consecutive();
        /// What takes the host in again, and with that which failures count.
        until: EjectedUntil = EjectedUntil::Time;
        /// How long the first ejection lasts, or as `until` says. Above zero.
        ejection: Positive = Positive(Ejection::ENVOY.time());
        /// How that grows with each further ejection of the host. Each sweep that finds the host in its place takes one of them
        /// back.
        growth: Growth = Growth::Linear;
        /// No ejection is longer. Not below `ejection`. Default: `"300s"`, or `ejection` if that is longer.
        max_ejection: Positive;
        /// At most this share of the hosts is ejected at once, so that at `"10%"` none of fewer than ten ever is. Above zero.
        max_share: AboveZero<Share> = AboveZero(Share(Ejection::ENVOY.max_share()));
        /// How far the sweeps are apart, at which hosts whose time is over come back. Above zero.
        sweep: Positive = Positive(Ejection::ENVOY.sweep());
        /// Whether one host is ejected even where that is more than `max_share`.
        always_one: bool = false;
    }

    /// Each host is asked how it is, whatever clients ask, and passed over while it does not answer well. A check is a request of its
    /// own, no client's: it takes no worker of the gateway, and one of the host like any other request.
    pub(super) struct Health<'t> (Choice::Free) {
        /// The path that is asked for. The answer is well where it is a 2xx.
        path: Path;
        /// How far the checks of a host are apart. Above zero.
        interval: Positive = Positive(HealthCheck::HAPROXY.interval());
        /// How long it is waited for the answer; then the check has failed. Above zero, at most `interval`.
        timeout: Positive = Positive(HealthCheck::HAPROXY.timeout());
        /// Checks that fail in a row and take a host out, at least 1.
        unhealthy: NonZeroU32 = HealthCheck::HAPROXY.unhealthy();
        /// Checks that are answered well in a row and take a host in again, at least 1.
        healthy: NonZeroU32 = HealthCheck::HAPROXY.healthy();
    }

    /// One host for each client.
    struct HashTable<'t> (Choice::Whole) {
        /// What a client's host is found by.
        hash: By, is kind;
    }
}

names! {
    /// A rule that has a name.
    enum NamedRule {
        /// Each in turn.
        "round-robin" => RoundRobin,
        /// Any, each as likely as another.
        "random" => Random,
        /// The one with the fewest attempts under way.
        "least-in-flight" => LeastInFlight,
        /// Of two different ones at random, the one with fewer attempts under way.
        "p2c" => P2c,
        /// Of two different ones at random, the one with the smaller product of its recent latency and its attempts under way.
        "peak-ewma" => PeakEwma,
    }
    fn unknown(name: &str) -> String {
        format!("there is no balance `{name}`")
    }
}

names! {
    /// What a client's host is found by.
    enum By {
        /// The API key; the address of clients without one.
        "key" => Key,
        /// The address.
        "ip" => Ip,
    }
}

names! {
    EjectedUntil {
        /// Its time, at the next sweep, as in Envoy. Failures count in a row, and not while the host is passed over.
        "time" => Time,
        /// As soon as fewer than `consecutive` failures lie within the last `ejection`, in a row or not, those while the host is
        /// passed over included: `max_fails` and `fail_duration` of Caddy.
        "quiet" => Quiet,
        /// A request that is answered well. One is let through when `ejection` has gone by since the last failure, at the next
        /// sweep; failures count until then, in a row or not: `max_fails` and `fail_timeout` of nginx.
        "probe" => Probe,
        /// Checks: as many in a row that are answered well as `healthy` of `health` says: `on-error mark-down` of `HAProxy`. Failures
        /// count in a row. `ejection` means nothing then.
        "check" => Check,
    }
}

names! {
    /// How the time of an ejection grows.
    enum Growth {
        /// It stays as it is.
        "none" => None,
        /// Once, twice, three times `ejection`, and so on, as in Envoy.
        "linear" => Linear,
        /// Once, twice, four times `ejection`, and so on.
        "doubling" => Doubling,
    }
}

/// The rule by which an attempt is given its host: a name, or `{ hash = … }`.
#[derive(Clone, Copy)]
pub(super) struct Balance(pub(super) Rule);

impl Written for Balance {
    fn written(&self) -> Json {
        match self.0 {
            Rule::RoundRobin => NamedRule::RoundRobin.written(),
            Rule::Random => NamedRule::Random.written(),
            Rule::LeastInFlight => NamedRule::LeastInFlight.written(),
            Rule::P2c => NamedRule::P2c.written(),
            Rule::PeakEwma => NamedRule::PeakEwma.written(),
            Rule::Hash(HashBy::Key) => json!({ "hash": "key" }),
            Rule::Hash(HashBy::Ip) => json!({ "hash": "ip" }),
        }
    }
}

impl<'t> Read<'t> for Balance {
    fn read(node: &'t Node, path: &str, context: &'t Context<'t>) -> Option<Self> {
        let refuse = |reason: String| {
            let problem = Problem::error(node.span.clone(), format!("`{path}`: {reason}"));
            context.push_with_help(problem, || help(node));
            None
        };
        match &node.value {
            Value::Table(_) => match HashTable::read(node, path, context)?.hash.value {
                Some(By::Key) => Some(Self(Rule::Hash(HashBy::Key))),
                Some(By::Ip) => Some(Self(Rule::Hash(HashBy::Ip))),
                None => refuse("expected `hash`".to_owned()),
            },
            Value::Text(_) => match NamedRule::from_node(node) {
                Ok(rule) => Some(Self(match rule {
                    NamedRule::RoundRobin => Rule::RoundRobin,
                    NamedRule::Random => Rule::Random,
                    NamedRule::LeastInFlight => Rule::LeastInFlight,
                    NamedRule::P2c => Rule::P2c,
                    NamedRule::PeakEwma => Rule::PeakEwma,
                })),
                Err(reason) => refuse(reason),
            },
            _ => refuse(format!("expected a name or a table, found {}", node.kind())),
        }
    }

    fn shape() -> Shape {
        Shape::Either(vec![
            (NamedRule::format(), ""),
            (
                <HashTable<'_> as Read<'_>>::shape(),
                "One host for each client, as long as the host takes part.",
            ),
        ])
    }
}

/// The way out of what is no rule.
fn help(node: &Node) -> String {
    let written = match &node.value {
        Value::Text(text) => &**text,
        _ => "",
    };
    let rules = names_of::<NamedRule>();
    way_out(written, &rules, || {
        format!("one of {}, or {{ hash = \"key\" }} or {{ hash = \"ip\" }}", list(&rules))
    })
}

impl Eject<'_> {
    fn build(self) -> Option<Ejection> {
        let refuse = |error: HostsError| {
            let place = match error {
                HostsError::MaxBelowEjection => self.max_ejection.span_in(&self.table),
                HostsError::MaxShare => self.max_share.span_in(&self.table),
                _ => self.table.span(),
            };
            let message = format!("`{}`: {error}", self.table.path());
            self.table.context().push(Problem::error(place, message));
        };
        self.config().map_err(refuse).ok()
    }

    fn config(&self) -> Result<Ejection, HostsError> {
        let (Positive(ejection), Positive(sweep)) = (&self.ejection.value, &self.sweep.value);
        let AboveZero(Share(max_share)) = &self.max_share.value;
        let max = |Positive(max): &Positive| *max;
        let max = self.max_ejection.value.as_ref().map_or_else(|| MAX_EJECTION.max(*ejection), max);
        let growth = match self.growth.value {
            Growth::None => None,
            Growth::Linear => Some(GrowthRule::Linear),
            Growth::Doubling => Some(GrowthRule::Doubling),
        };
        Ejection::ENVOY
            .with_consecutive(self.consecutive.value)
            .with_until(self.until.value)
            .with_time(*ejection, growth, max)?
            .with_max_share(*max_share, self.always_one.value)?
            .with_sweep(*sweep)
    }
}

impl Health<'_> {
    /// The checks, and the path that is asked for.
    fn build(self) -> Option<(HealthCheck, String)> {
        let (Positive(interval), Positive(timeout)) = (self.interval.value, self.timeout.value);
        let times = HealthCheck::HAPROXY.with_times(interval, timeout).map_err(|error| {
            let place = if self.timeout.entry.is_some() {
                self.timeout.span_in(&self.table)
            } else {
                self.interval.span_in(&self.table)
            };
            let message = format!("`{}`: {error}", self.table.path());
            self.table.context().push(Problem::error(place, message));
        });
        let checks = times.ok()?.with_thresholds(self.unhealthy.value, self.healthy.value);
        Some((checks, self.path.value.map_or_else(|| "/".to_owned(), |Path(path)| path)))
    }
}

/// The longest ejection, if nothing is said: Envoy's `max_ejection_time`.
const MAX_EJECTION: Duration = Duration::from_secs(300);

/// What stands beside `balance` in the gateway's table for an upstream.
pub(super) struct Learned<'t> {
    pub(super) eject: Field<'t, Option<Switch<Eject<'t>>>>,
    pub(super) panic_below: Field<'t, Option<Share>>,
    pub(super) slow_start: Field<'t, Option<Positive>>,
    pub(super) health: Field<'t, Option<Switch<Health<'t>>>>,
}

impl Learned<'_> {
    /// The settings with what is said of hosts that fail, and the path of health checks.
    pub(super) fn build(self, config: HostsConfig, table: &Fields<'_>) -> (HostsConfig, Option<String>) {
        let mut config = config;
        let (eject_path, eject_span) = (table.path_of(self.eject.key), self.eject.span_in(table));
        if let Some(ejection) = self.eject.on().and_then(Eject::build) {
            config = config.with_ejection(ejection);
        }
        // Nothing is below 0%: Envoy's way to say never. A share is at most 100%.
        if let Some(Share(share)) = self.panic_below.value {
            config = config.with_panic_below(share).unwrap_or(config);
        }
        if let Some(Positive(time)) = self.slow_start.value {
            config = config.with_slow_start(time).unwrap_or(config);
        }
        let mut path = None;
        if let Some((checks, asked)) = self.health.on().and_then(Health::build) {
            config = config.with_health(checks);
            path = Some(asked);
        }
        let waits_for_checks = config.ejection().is_some_and(|eject| eject.until() == EjectedUntil::Check);
        if waits_for_checks && config.health().is_none() {
            let message = format!("`{eject_path}`: checks are to take hosts in again, and there are none");
            let problem = Problem::error(eject_span, message);
            table.context().push(
                problem
                    .help("add `health`, such as `health = { path = \"/up\" }`, or say `until = \"time\"`"),
            );
        }
        (config, path)
    }
}
