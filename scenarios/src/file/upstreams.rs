//! The services behind the gateway: the tables `upstreams.NAME`.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::rc::Rc;
use std::time::Duration;

use gateway::PoolConfig;
use simulator::UpstreamConfig;

use super::auth::{Auth, Requires};
use super::cache::Cache;
use super::calls::{Call, refuse_circles};
use super::context::Context;
use super::diagnostic::Problem;
use super::hosts::{Common, Hosts};
use super::latency::Time;
use super::shape::{Choice, Shape};
use super::table::{Items, One, Switch, table};
use super::tree::{Node, Span};
use super::upstream_names::Known;
use super::values::{FromNode, names, text};
use crate::scenario::{Host, NamedUpstream};

table! {
    /// A simulated service: workers that each serve one request at a time, and a queue in front of the workers. The service
    /// does not notice that a caller left, unless `cancel_on_disconnect` is set: work that was taken in is done.
    pub(super) struct Upstream<'t> (Choice::Free) {
        /// Requests served at a time, at least 1. Default: unbounded, nobody waits.
        workers: NonZeroU32, else unbounded;
        /// Requests that may wait for a worker, first in, first out; the next is answered 503. Default: unbounded.
        queue: u32, else unbounded;
        /// The hosts that the upstream consists of: a number of hosts that are all alike, or a table for each. `workers`, `queue`,
        /// `load_latency` and faults are those of each host. How a caller chooses among them is said by `balance`. Default: one.
        hosts: Hosts<'t>;
        latency: Time, needed "such as `latency = \"5ms\"`";
        /// The time by which each request in service lengthens the service of a request that starts, such as `"2ms"`.
        load_latency: Duration = Duration::ZERO;
        /// Whether the service drops a request whose caller left, and frees the worker. Few services do.
        cancel_on_disconnect: bool = false;
        /// The address and port on which the service listens in live runs, such as `"127.0.0.1:9101"`. Needed by the upstreams
        /// of routes where the gateway is `external`. Default: any free port of loopback.
        listen: Listen;
        /// The service's own check of tokens; `false` or left out for no check. The service sees the tokens that the gateway
        /// passes on: all if the gateway has no `auth`, and otherwise none unless `forward_token` is set.
        auth: Switch<Auth<'t>>, is policy;
        /// The tokens that the application is meant for: genuine, not expired, and with the values given here. The measure
        /// `unauthorized_reached` counts all other requests that come to the application. This key turns nobody away.
        requires: Switch<Requires<'t>>;
        /// What the service answers with: `"jwks"` makes this upstream the identity provider, of which there is one.
        serves: Served;
        /// The cache before the service; `false` or left out for none.
        cache: Switch<Cache<'t>>, is policy;
        /// Other upstreams that the service calls, one after the other, after its own work and with its worker held. If a call
        /// fails, the service answers 502, or 504 after a timeout. Calls in a circle are an error. Default: none.
        calls: Items<Call<'t>>;
        /// Whether the service makes all of its calls at once. It waits for all of them; the first that fails is its answer at once,
        /// and it leaves the others.
        parallel: bool = false, is policy;
    }
}

/// The upstreams in the order of the file, and the place of the identity provider among them.
pub(super) fn build_upstreams(
    tables: Vec<One<'_, Upstream<'_>>>,
    context: &Context<'_>,
) -> (Vec<NamedUpstream>, Option<usize>) {
    // A call may name an upstream that stands further down, and so may what a service judges tokens by.
    let names: Vec<&str> = tables.iter().map(|one| &*one.entry.key).collect();
    let mut providers = tables.iter().enumerate().filter_map(|(place, one)| {
        let serves = &one.value.as_ref()?.serves;
        serves.value.and(serves.entry).map(|entry| (place, entry))
    });
    let provider = providers.next().map(|(place, _)| place);
    if let (Some((_, second)), Some(first)) = (providers.next(), provider) {
        let message = format!("`upstreams`: there is one identity provider, and `{}` is it", names[first]);
        context.push(Problem::error(second.node.span.clone(), message));
    }
    let known = Known { names: &names, provider };
    let (mut upstreams, mut calls) = (Vec::new(), Vec::new());
    for One { entry, value } in tables {
        let (upstream, asks) = build_upstream(&entry.key, value, known);
        upstreams.push(upstream);
        calls.push(asks);
    }
    if !refuse_circles(&calls, &names, context) {
        for (upstream, calls) in upstreams.iter_mut().zip(calls) {
            upstream.config.calls = calls.into_iter().map(|(call, _)| call).collect();
        }
    }
    // A call may name an upstream that stands further down.
    let counts: Vec<_> = upstreams.iter().map(NamedUpstream::host_count).collect();
    for call in upstreams.iter_mut().flat_map(|upstream| &mut upstream.config.calls) {
        if let Some(count) = counts.get(call.upstream) {
            call.hosts.count = *count;
        }
    }
    (upstreams, provider)
}

/// An upstream and its calls, each with the place of the name it asks. What could not be read is left out: routes may
/// still name the upstream.
fn build_upstream(
    name: &str,
    table: Option<Upstream<'_>>,
    known: Known<'_>,
) -> (NamedUpstream, Vec<(simulator::Call, Span)>) {
    let config = UpstreamConfig {
        pool: PoolConfig::default(),
        latency: simulator::Latency::ZERO,
        latency_factor: 1.0,
        load_latency: Duration::ZERO,
        cancel_on_disconnect: false,
        calls: Vec::new(),
        parallel: false,
        cache: None,
        auth: None,
    };
    let name = name.to_owned();
    let hosts = vec![Host::default()];
    let mut upstream = NamedUpstream { name, config, hosts, serves_keys: false, requires: None };
    let Some(table) = table else { return (upstream, Vec::new()) };
    let config = &mut upstream.config;
    config.pool.workers = table.workers.value;
    config.pool.queue = table.queue.value;
    config.latency = table.latency.value.map_or(simulator::Latency::ZERO, |Time(latency)| latency);
    config.load_latency = table.load_latency.value;
    config.cancel_on_disconnect = table.cancel_on_disconnect.value;
    config.parallel = table.parallel.value;
    config.auth = table.auth.on().and_then(|auth| auth.build(known));
    let listen = table.listen.value.map(|Listen(address)| address);
    let common = Common { pool: config.pool, load_latency: config.load_latency, latency_factor: 1.0, listen };
    let hosts_entry = table.hosts.entry;
    upstream.hosts = match table.hosts.value {
        Some(hosts) => hosts.build(&common),
        None => vec![common],
    };
    if let Some(entry) = hosts_entry.filter(|_| upstream.hosts.len() > 1) {
        let refuse = |help: &str| {
            let message = format!("`{}`: there is more than one", table.table.path_of("hosts"));
            table.table.context().push(Problem::error(entry.node.span.clone(), message).help(help));
        };
        if listen.is_some() {
            refuse(
                "`listen` is one address; say it of each host, such as hosts = [{ listen = \"127.0.0.1:9101\" }, …]",
            );
        }
        if table.serves.value.is_some() {
            refuse("an identity provider has one host");
        }
    }
    if let Some(entry) = table.cache.entry
        && let Some(cache) = table.cache.on()
    {
        let refuse = |message: &str, help: &str| {
            let message = format!("`{}`: {message}", table.table.path_of("cache"));
            table.table.context().push(Problem::error(entry.node.span.clone(), message).help(help));
        };
        if table.serves.value.is_some() {
            refuse("an identity provider has no cache", "those who judge tokens keep its keys");
        } else if upstream.config.auth.is_some() {
            let help = "let the gateway judge tokens, with `gateway.auth`";
            refuse("the cache would answer before the service judges a token", help);
        }
        upstream.config.cache = cache.build();
    }
    upstream.requires = table.requires.on().map(Requires::build);
    upstream.serves_keys = table.serves.value.is_some();
    let calls = table.calls.value.map_or_else(Vec::new, |Items(calls)| calls).into_iter().flatten();
    (upstream, calls.filter_map(|call| call.build(known)).collect())
}

/// An address to listen on.
pub(super) struct Listen(pub(super) SocketAddr);

impl FromNode for Listen {
    fn from_node(node: &Node) -> Result<Self, String> {
        let text = <Rc<str>>::from_node(node)?;
        let address = text.parse::<SocketAddr>().ok().filter(|address| address.port() != 0);
        let expected = || "expected an address and a port, such as \"127.0.0.1:9101\"".to_owned();
        address.map(Self).ok_or_else(expected)
    }

    fn format() -> Shape {
        Shape::Value(text(":[0-9]+$"))
    }
}

names! {
    /// What an upstream answers with.
    enum Served {
        /// The keys that the tokens of all clients are signed with.
        "jwks" => Keys,
    }
}
