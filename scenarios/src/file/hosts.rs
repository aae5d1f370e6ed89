//! The hosts of an upstream, in the world: the key `hosts` of an upstream.

use std::num::NonZeroU32;
use std::time::Duration;

use gateway::PoolConfig;
use serde_json::{Value as Json, json};

use super::context::Context;
use super::diagnostic::Problem;
use super::reader::Read;
use super::shape::{Choice, Shape};
use super::table::{Empty, Item, Items, table};
use super::tree::{Node, Value};
use super::upstreams::Listen;
use super::values::{FromNode, Written, read};
use crate::scenario::Host as BuiltHost;

table! {
    /// One host of an upstream; what is left out is as the upstream has it.
    pub(super) struct Host<'t> (Choice::Free) {
        /// Requests that this host serves at a time, at least 1. Default: the upstream's `workers`.
        workers: NonZeroU32;
        /// Requests that may wait for a worker of this host. Default: the upstream's `queue`.
        queue: u32;
        /// How much longer a request takes for each other one that this host serves when it starts. Default: the upstream's
        /// `load_latency`.
        load_latency: Duration;
        /// How many times as long as elsewhere the work takes on this host: a number above zero and at most 1000.
        latency_factor: Factor = Factor(1.0);
        /// The address and port on which this host listens in live runs. Default: any free port of loopback.
        listen: Listen;
    }
}

/// What all hosts of an upstream have, as long as a host says nothing else.
pub(super) type Common = BuiltHost;

/// How many hosts there are, or what each is.
pub(super) enum Hosts<'t> {
    Alike(HostCount),
    Each(Items<Host<'t>>),
}

/// A number of hosts.
#[derive(Clone, Copy)]
pub(super) struct HostCount(NonZeroU32);

/// More are refused: what is kept of each is kept for each run.
const MOST_HOSTS: u32 = 1_000;

impl FromNode for HostCount {
    fn from_node(node: &Node) -> Result<Self, String> {
        let count = NonZeroU32::from_node(node)?;
        if count.get() > MOST_HOSTS {
            return Err(format!("an upstream has at most {MOST_HOSTS} hosts, found {count}"));
        }
        Ok(Self(count))
    }

    fn format() -> Shape {
        Shape::Value(json!({ "type": "integer", "minimum": 1, "maximum": MOST_HOSTS }))
    }
}

impl Item for Host<'_> {
    const EMPTY: Empty = Empty::Refused;

    fn way_out() -> String {
        "a number of hosts, or a table for each, such as [{}, {}, { latency_factor = 10 }]".to_owned()
    }
}

impl<'t> Read<'t> for Hosts<'t> {
    fn read(node: &'t Node, path: &str, context: &'t Context<'t>) -> Option<Self> {
        match &node.value {
            Value::Array(hosts) if hosts.len() > MOST_HOSTS as usize => {
                let message =
                    format!("`{path}`: an upstream has at most {MOST_HOSTS} hosts, found {}", hosts.len());
                context.push(Problem::error(node.span.clone(), message));
                None
            }
            Value::Array(_) => Items::read(node, path, context).map(Self::Each),
            _ => read(node, path, context).map(Self::Alike),
        }
    }

    fn shape() -> Shape {
        let each = <Items<Host<'_>> as Read<'_>>::shape();
        Shape::Either(vec![
            (HostCount::format(), "So many hosts, all alike."),
            (each, "A table for each host; `{}` for one that is as the upstream says."),
        ])
    }
}

impl Hosts<'_> {
    /// The hosts, of which each is as `common` where it says nothing else.
    pub(super) fn build(self, common: &Common) -> Vec<BuiltHost> {
        match self {
            Self::Alike(HostCount(count)) => vec![common.clone(); count.get() as usize],
            // One that cannot be read is noted, and the file is refused.
            Self::Each(hosts) => hosts.0.into_iter().flatten().map(|host| host.build(common)).collect(),
        }
    }
}

impl Host<'_> {
    fn build(self, common: &Common) -> BuiltHost {
        BuiltHost {
            pool: PoolConfig {
                workers: self.workers.value.or(common.pool.workers),
                queue: self.queue.value.or(common.pool.queue),
                ..common.pool
            },
            load_latency: self.load_latency.value.unwrap_or(common.load_latency),
            latency_factor: self.latency_factor.value.0,
            listen: self.listen.value.map(|Listen(address)| address).or(common.listen),
        }
    }
}

/// How many times as long something takes: above zero.
#[derive(Clone, Copy)]
pub(super) struct Factor(pub(super) f64);

impl Written for Factor {
    fn written(&self) -> Json {
        if self.0.fract() == 0.0 { Json::from(self.0 as u64) } else { Json::from(self.0) }
    }
}

/// A host that is slower than that answers nothing in any scenario.
const MOST_FACTOR: f64 = 1_000.0;

impl FromNode for Factor {
    fn from_node(node: &Node) -> Result<Self, String> {
        let number: f64 = match &node.value {
            Value::Integer(digits) | Value::Float(digits) => digits.parse().unwrap_or(f64::NAN),
            _ => return Err(format!("expected a number such as 10, found {}", node.kind())),
        };
        // What is no number is in no range.
        if number > 0.0 && number <= MOST_FACTOR {
            Ok(Self(number))
        } else {
            Err(format!("expected a number above zero and at most {MOST_FACTOR}"))
        }
    }

    fn format() -> Shape {
        Shape::Value(json!({ "type": "number", "exclusiveMinimum": 0, "maximum": MOST_FACTOR as u64 }))
    }
}

#[cfg(test)]
mod tests {
    use gateway::{Balance, EjectedUntil, HashBy};

    use super::super::testing::{first_problem, world_with};
    use super::*;

    #[test]
    fn an_expectation_of_a_host_that_there_is_not_is_told_beside_what_is_wrong_with_the_hosts() {
        let (message, _) = first_problem(
            "upstreams.stock.hosts = []\nexpect.hold = ['attempts(upstreams.stock.hosts[1]) > 1']",
        );
        assert_eq!(message, "`upstreams.stock.hosts`: expected at least one, found none");
    }

    #[test]
    fn a_number_of_hosts_is_so_many_alike_and_a_table_is_one() {
        let world = world_with(
            "upstreams.stock.workers = 4\nupstreams.stock.load_latency = '2ms'\n\
             upstreams.stock.hosts = [{}, { workers = 2, queue = 7, latency_factor = 2.5, load_latency = '0s' }]\n\
             upstreams.orders.hosts = 3\nupstreams.orders.workers = 5",
        );
        let workers = |upstream: usize| {
            let hosts = world.upstreams[upstream].hosts.iter();
            hosts.map(|host| host.pool.workers.map(NonZeroU32::get)).collect::<Vec<_>>()
        };
        assert_eq!(workers(0), [Some(5); 3]);
        assert_eq!(workers(1), [None]);
        assert_eq!(workers(2), [Some(4), Some(2)]);
        let [alike, own] = &world.upstreams[2].hosts[..] else { panic!("two hosts") };
        assert_eq!(
            (alike.pool.queue, alike.latency_factor, alike.load_latency),
            (None, 1.0, Duration::from_millis(2))
        );
        assert_eq!((own.pool.queue, own.latency_factor, own.load_latency), (Some(7), 2.5, Duration::ZERO));
        // The gateway and whoever calls know how many there are.
        let counts: Vec<_> = world.gateway.upstreams.iter().map(|policy| policy.hosts.count.get()).collect();
        assert_eq!(counts, [3, 1, 2]);
        let (sum, one) = (world.upstreams[2].pool(), world.upstreams[1].pool());
        assert_eq!((sum.workers.map(NonZeroU32::get), one.workers), (Some(6), None));
    }

    #[test]
    fn callers_know_the_hosts_of_those_that_stand_further_down() {
        let world = world_with(
            "upstreams.orders.calls = [{ upstream = 'stock', balance = 'p2c' }]\nupstreams.stock.hosts = 4",
        );
        let hosts = world.upstreams[0].config.calls[0].hosts;
        assert_eq!((hosts.count.get(), hosts.balance), (4, Balance::P2c));
    }

    #[test]
    fn what_the_gateway_does_with_hosts_is_read() {
        let hosts = |policy: &str| {
            let text = format!("upstreams.orders.hosts = 4\ngateway.upstreams.orders = {{ {policy} }}");
            world_with(&text).gateway.upstreams[0].hosts
        };
        for (balance, expected) in [
            ("'round-robin'", Balance::RoundRobin),
            ("'random'", Balance::Random),
            ("'least-in-flight'", Balance::LeastInFlight),
            ("'p2c'", Balance::P2c),
            ("'peak-ewma'", Balance::PeakEwma),
            ("{ hash = 'key' }", Balance::Hash(HashBy::Key)),
            ("{ hash = 'ip' }", Balance::Hash(HashBy::Ip)),
        ] {
            assert_eq!(hosts(&format!("balance = {balance}")).balance, expected);
        }
        assert_eq!(hosts("timeout = '1s'").ejection(), None);
        assert_eq!(hosts("eject = {}").ejection(), Some(&gateway::Ejection::ENVOY));
        assert_eq!(hosts("eject = false").ejection(), None);
        let all = hosts(
            "eject = { consecutive = 2, ejection = '10m', growth = 'none', max_share = '50%', sweep = '1s', always_one = true }, \
             panic_below = '50%', slow_start = '5s'",
        );
        let ejection = all.ejection().unwrap();
        assert_eq!((ejection.consecutive().get(), ejection.growth(), ejection.max_share()), (2, None, 0.5));
        // Not below the first.
        assert_eq!(
            (ejection.time(), ejection.max_time()),
            (Duration::from_secs(600), Duration::from_secs(600))
        );
        assert_eq!((ejection.sweep(), ejection.always_one()), (Duration::from_secs(1), true));
        assert_eq!(ejection.until(), EjectedUntil::Time);
        for (name, until) in [("quiet", EjectedUntil::Quiet), ("probe", EjectedUntil::Probe)] {
            let hosts = hosts(&format!("eject.until = '{name}'"));
            assert_eq!(hosts.ejection().map(gateway::Ejection::until), Some(until));
        }
        let checked = hosts("eject.until = 'check', health = {}");
        assert_eq!(checked.ejection().map(gateway::Ejection::until), Some(EjectedUntil::Check));
        assert_eq!(hosts("health = {}").health(), Some(&gateway::HealthCheck::HAPROXY));
        let checks = *hosts("health = { interval = '5s', timeout = '5s', unhealthy = 1, healthy = 4 }")
            .health()
            .unwrap();
        assert_eq!((checks.interval(), checks.timeout()), (Duration::from_secs(5), Duration::from_secs(5)));
        assert_eq!((checks.unhealthy().get(), checks.healthy().get()), (1, 4));
        let paths = world_with("gateway.upstreams.stock.health = { path = '/up' }").gateway.health_paths;
        assert_eq!(paths.into_iter().collect::<Vec<_>>(), [(gateway::UpstreamId(2), "/up".to_owned())]);
        assert_eq!((all.panic_below(), all.slow_start()), (Some(0.5), Some(Duration::from_secs(5))));
        assert_eq!(hosts("panic_below = '0%'").panic_below(), None);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        for (text, message, place) in [
            (
                "upstreams.orders.hosts = 0",
                "`upstreams.orders.hosts`: expected a whole number of at least 1, found 0",
                "0",
            ),
            (
                "upstreams.orders.hosts = 1001",
                "`upstreams.orders.hosts`: an upstream has at most 1000 hosts, found 1001",
                "1001",
            ),
            (
                "upstreams.orders.hosts = []",
                "`upstreams.orders.hosts`: expected at least one, found none",
                "[]",
            ),
            (
                "upstreams.orders.hosts = [{ latency = '1s' }]",
                "`upstreams.orders.hosts` has no field `latency`",
                "latency",
            ),
            (
                "upstreams.orders.hosts = [{ latency_factor = 0 }]",
                "`upstreams.orders.hosts.latency_factor`: expected a number above zero and at most 1000",
                "0",
            ),
            (
                "upstreams.orders.hosts = 2\nupstreams.orders.listen = '127.0.0.1:9101'",
                "`upstreams.orders.hosts`: there is more than one",
                "2",
            ),
            (
                "upstreams.orders.hosts = [{ listen = '127.0.0.1:9101' }, { listen = '127.0.0.1:9101' }]",
                "`upstreams.orders.hosts[1].listen`: `upstreams.orders.hosts[0]` listens there",
                "'127.0.0.1:9101'",
            ),
            (
                "upstreams.orders.calls = [{ upstream = 'stock', balance = { hash = 'ip' } }]",
                "`upstreams.orders.calls.balance`: a service does not know its clients",
                "{ hash = 'ip' }",
            ),
            (
                "gateway.upstreams.orders.balance = 'p3c'",
                "`gateway.upstreams.orders.balance`: there is no balance `p3c`",
                "'p3c'",
            ),
            (
                "gateway.upstreams.orders.balance = 2",
                "`gateway.upstreams.orders.balance`: expected a name or a table, found an integer",
                "2",
            ),
            (
                "gateway.upstreams.orders.eject = { max_ejection = '1s' }",
                "`gateway.upstreams.orders.eject`: max_ejection must not be below ejection",
                "'1s'",
            ),
            (
                "gateway.upstreams.orders.eject = { max_share = '0%' }",
                "`gateway.upstreams.orders.eject`: max_share must be above 0% and at most 100%",
                "'0%'",
            ),
            (
                "gateway.upstreams.orders.eject.until = 'check'",
                "`gateway.upstreams.orders.eject`: checks are to take hosts in again, and there are none",
                "eject",
            ),
            (
                "gateway.upstreams.orders.health = { timeout = '3s' }",
                "`gateway.upstreams.orders.health`: timeout must be above zero and at most the interval",
                "'3s'",
            ),
            (
                "gateway.upstreams.orders.health.path = 'up'",
                "`gateway.upstreams.orders.health.path`: expected a path that begins with `/`, such as \"/health\"",
                "'up'",
            ),
            (
                "upstreams.orders.hosts = 2\nfaults = [{ at = '1s', for = '1s', upstreams = ['orders'], hosts = [1, 2], hang = true }]",
                "`faults.hosts`: `orders` has no host 2",
                "2",
            ),
        ] {
            assert_eq!(first_problem(text), (message.to_owned(), place.to_owned()), "{text}");
        }
    }
}
