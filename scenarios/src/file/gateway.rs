//! The gateway under test: the table `gateway`.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use gateway::{ClientTimeouts, GatewayConfig, Network, NetworkError, Paths, PoolConfig, TrustedProxies};

use super::auth::Auth;
use super::balance::{Balance, Eject, Health, Learned};
use super::breaker::Breaker;
use super::concurrency::{Cap, Concurrency};
use super::context::Context;
use super::external::External;
use super::limits::{Names, RateLimits};
use super::presets::GatewayPreset;
use super::retry::GatewayRetry;
use super::shape::{Choice, Shape};
use super::table::{Item, Items, Named, One, Switch, table};
use super::tree::Node;
use super::upstream_names::Known;
use super::values::{FromNode, Positive, Share, names, text};
use crate::scenario::ExternalGateway;

table! {
    /// The gateway under test; `false` or left out for a plain reverse proxy.
    pub(super) struct Gateway<'t> (Choice::Free) {
        /// The product whose defaults hold where the file says nothing: timeouts and retries that the product has by itself, and for
        /// each limit, breaker or retry policy of the file the values that are left out. Default: what is left out is off or unbounded.
        preset: GatewayPreset;
        /// Requests under way at a time, at least 1: the thread pool that all routes share. Default: unbounded.
        workers: NonZeroU32, else unbounded;
        /// Requests that may wait for a worker, first in, first out; the next is answered 503. Default: unbounded.
        queue: u32, else unbounded;
        /// How long a request may wait, for a worker or for a place under a cap on concurrency, before it is answered 503. Default: for as long as it takes.
        queue_timeout: Positive, else unbounded;
        /// How long an answer may take, from the moment the request has a worker, on routes without their own
        /// `timeout`; then the client gets 504. Time that the gateway waits for the client does not count. Default: for as long as
        /// it takes.
        timeout: Positive, else unbounded;
        /// How long each attempt of the gateway's may go without the beginning of an answer; then the attempt is over, and `retry` may
        /// make another within `timeout`. The client gets 504 if none is made. Time that the gateway waits for the client does not
        /// count. Default: an attempt may take as long as the whole.
        try_timeout: Positive, else unbounded;
        /// How long the gateway waits for the next bytes of a request's body; then the client gets 408. Pauses add up, and 500 bytes
        /// make up for a second. In runs over sockets only. Default: 60s.
        upload_timeout: Positive;
        /// How long the gateway waits until a client takes the next bytes of its answer; then the connection is reset. Pauses add
        /// up, and 500 bytes make up for a second. In runs over sockets only. Default: 60s.
        download_timeout: Positive;
        /// How paths are read. "normal": paths are brought to one form, which chooses the route and goes to the upstream; an
        /// encoded slash or backslash, and any path that servers read differently, is refused with 400. "verbatim": paths stay
        /// byte for byte as they come, for upstreams that tell `%2F` or `//` apart; only dot segments are refused.
        paths: Paths = Paths::Normal;
        /// Proxies in front of the gateway whose word on a client's address counts: addresses and networks, such as
        /// `["10.0.0.0/8"]`. The client's address is then the last one of `X-Forwarded-For` that is no such proxy's. In runs over
        /// sockets only; in virtual time clients have their addresses. Default: nobody, so that the address is the connection's.
        trusted_proxies: Items<Network>;
        rate_limit: Switch<RateLimits<'t>>;
        concurrency: Switch<Concurrency<'t>>;
        /// A circuit breaker in front of each upstream; `false` or left out for none.
        breaker: Switch<Breaker<'t>>;
        /// The gateway's policies for single upstreams, by name.
        upstreams: Named<'t, UpstreamPolicy<'t>>;
        /// When the gateway tries again by itself, on routes without their own `retry`; `false` or left out for never.
        retry: Switch<GatewayRetry<'t>>;
        external: Switch<External<'t>>;
        /// The check of tokens, after `per_ip` and before all other limits; `false` or left out for no check.
        auth: Switch<Auth<'t>>;
    }

    /// The gateway's policies for one upstream.
    pub(super) struct UpstreamPolicy<'t> (Choice::Free) {
        /// The bulkhead: requests for this upstream that may hold or wait for a worker of the gateway, at least 1; the next
        /// is answered 503, or waits (`max_pending`). Default: unbounded.
        max_in_flight: NonZeroU32, else unbounded;
        /// Requests beyond `max_in_flight` that may wait until one of those ends, first in, first out, and no longer than the
        /// gateway's `queue_timeout`; the next is answered 503. Who waits holds no worker.
        max_pending: u32 = 0;
        /// Requests for this upstream that may wait for the gateway's next attempt or make it; a failed attempt beyond is answered
        /// as it is. Default: unbounded.
        max_retries: u32, else unbounded;
        /// How long answers of this upstream may take, on routes without their own `timeout`. Default: the gateway's `timeout`.
        timeout: Positive, else unbounded;
        /// How long each attempt at it may go without the beginning of an answer, on routes without their own `try_timeout`.
        /// Default: the gateway's `try_timeout`.
        try_timeout: Positive, else unbounded;
        /// The circuit breaker in front of it, which replaces that of all upstreams whole; `false` for none.
        breaker: Switch<Breaker<'t>>;
        /// By what rule each attempt is given its host, among those that take part, where the upstream has several: a name, or
        /// `{ hash = "key" }` or `{ hash = "ip" }` for one host for each client. A retry goes to another host than the attempt before,
        /// if there is another.
        balance: Balance = Balance(gateway::Balance::RoundRobin);
        /// When a host that fails is passed over for a while; `false` or left out for never.
        eject: Switch<Eject<'t>>;
        /// While less than this share of the hosts takes part, all are used, those that are passed over too. `"0%"`: never; where no
        /// host is left, the gateway answers 503. Default: never.
        panic_below: Share;
        /// How long the share of requests of a host grows that comes back, from a tenth to the whole. Default: it has its whole share
        /// at once.
        slow_start: Positive, else unbounded;
        /// How each host is asked how it is; `false` or left out for not at all.
        health: Switch<Health<'t>>;
    }
}

impl Gateway<'_> {
    /// The gateway without its routes, the gateway that takes its place, and how paths are read.
    pub(super) fn build(
        self,
        upstreams: Known<'_>,
        names: Names<'_>,
    ) -> (GatewayConfig, Option<ExternalGateway>, Paths) {
        // The tree that is read has the preset below it.
        let _: Option<GatewayPreset> = self.preset.value;
        let positive = |field: Option<Positive>| field.map(|Positive(time)| time);
        let client = ClientTimeouts::default();
        let breaker = self.breaker.on().and_then(Breaker::build);
        let (policies, health_paths) =
            build_policies(self.upstreams.all(), breaker, upstreams, self.table.context());
        let config = GatewayConfig {
            pool: PoolConfig {
                workers: self.workers.value,
                queue: self.queue.value,
                queue_timeout: positive(self.queue_timeout.value),
            },
            timeout: positive(self.timeout.value),
            try_timeout: positive(self.try_timeout.value),
            client: ClientTimeouts {
                upload: positive(self.upload_timeout.value).unwrap_or(client.upload),
                download: positive(self.download_timeout.value).unwrap_or(client.download),
            },
            concurrency: self.concurrency.on().map(Concurrency::build).unwrap_or_default(),
            limits: self.rate_limit.on().map(|limits| limits.build(names)).unwrap_or_default(),
            trusted_proxies: TrustedProxies::new(
                self.trusted_proxies.value.into_iter().flat_map(|proxies| proxies.0).flatten().collect(),
            ),
            upstreams: policies,
            health_paths,
            retry: GatewayRetry::said(self.retry),
            auth: self.auth.on().and_then(|auth| auth.build(upstreams)),
            ..GatewayConfig::default()
        };
        (config, self.external.on().and_then(External::build), self.paths.value)
    }
}

/// What the gateway holds against each upstream: the general breaker, and the tables `upstreams.NAME` for one.
fn build_policies(
    tables: Vec<One<'_, UpstreamPolicy<'_>>>,
    breaker: Option<gateway::BreakerConfig>,
    upstreams: Known<'_>,
    context: &Context<'_>,
) -> (Vec<gateway::UpstreamPolicy>, BTreeMap<gateway::UpstreamId, String>) {
    let general = gateway::UpstreamPolicy { breaker, ..gateway::UpstreamPolicy::default() };
    let mut health_paths = BTreeMap::new();
    let mut policies = vec![general; upstreams.names.len()];
    for One { entry, value } in tables {
        let Some(own) = value else { continue };
        // Its own breaker replaces the general one whole, and `false` switches it off.
        let has_breaker = own.breaker.entry.is_some();
        let cap = Cap { in_flight: &own.max_in_flight, pending: &own.max_pending, retries: &own.max_retries };
        let concurrency = cap.build(&own.table);
        let own_breaker = own.breaker.on().and_then(Breaker::build);
        if let Some(place) = upstreams.find(&entry.key_span, "gateway.upstreams", &entry.key, context) {
            let Balance(balance) = own.balance.value;
            let hosts = gateway::HostsConfig::new(NonZeroU32::MIN, balance);
            let learned = Learned {
                eject: own.eject,
                panic_below: own.panic_below,
                slow_start: own.slow_start,
                health: own.health,
            };
            let (hosts, health_path) = learned.build(hosts, &own.table);
            if let Some(path) = health_path {
                health_paths.insert(gateway::UpstreamId(u32::try_from(place).unwrap_or(u32::MAX)), path);
            }
            policies[place] = gateway::UpstreamPolicy {
                concurrency,
                timeout: own.timeout.value.map(|Positive(timeout)| timeout),
                try_timeout: own.try_timeout.value.map(|Positive(timeout)| timeout),
                breaker: if has_breaker { own_breaker } else { breaker },
                hosts,
            };
        }
    }
    (policies, health_paths)
}

names! {
    Paths {
        /// In one form; what servers read differently is refused.
        "normal" => Normal,
        /// Byte for byte.
        "verbatim" => Verbatim,
    }
}

impl FromNode for Network {
    fn from_node(node: &Node) -> Result<Self, String> {
        let text = <std::rc::Rc<str>>::from_node(node)?;
        text.parse().map_err(|error: NetworkError| error.to_string())
    }

    fn format() -> Shape {
        Shape::Value(text("^[0-9A-Fa-f:.]+(/[0-9]{1,3})?$"))
    }
}

impl Item for Network {
    const OF: &'static str = "addresses and networks";

    fn way_out() -> String {
        "such as [\"10.0.0.0/8\", \"192.168.1.1\"]".to_owned()
    }
}
