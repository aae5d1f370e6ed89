//! The settings of a server, and why a server does not start or reload.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use http::HeaderName;
use http::uri::PathAndQuery;
use thiserror::Error;

use crate::config::GatewayConfig;
use crate::identity::KeySecret;

/// What a [`Server`](super::Server) is told to do.
#[derive(Clone)]
pub struct ServerConfig {
    /// Where to listen; port 0 takes any free one.
    pub listen: SocketAddr,
    /// The rules.
    pub gateway: GatewayConfig,
    /// Where each upstream listens, by its number; port 0 for one that is never asked. An upstream of several hosts
    /// ([`UpstreamPolicy::hosts`](crate::UpstreamPolicy::hosts)) has an address for each, in their order, in the place of the one.
    pub upstreams: Vec<SocketAddr>,
    /// The field that carries a client's API key (default `x-api-key`).
    pub key_header: HeaderName,
    /// Under which keys are digested (default all zero: fine for a simulation, not for the open internet).
    pub key_secret: KeySecret,
    /// Where the identity provider of [`GatewayConfig::auth`] is asked for its keys (default `/.well-known/jwks.json`).
    pub jwks_path: PathAndQuery,
    /// What holds for connections and messages, in real time.
    pub http: HttpLimits,
    /// Threads, each with a runtime, a listener and upstream connections of its own (default 1; 0 counts as 1).
    pub threads: usize,
    /// Of the draws for the jitter of the gateway's own retries (default 0).
    pub seed: u64,
    /// Whether and how requests are named and tied to traces (default `None`: trace fields pass like any others).
    pub traces: Option<TraceConfig>,
}

impl ServerConfig {
    /// On this address, with these rules and upstreams, and the defaults for the rest.
    pub fn new(listen: SocketAddr, gateway: GatewayConfig, upstreams: Vec<SocketAddr>) -> Self {
        Self {
            listen,
            gateway,
            upstreams,
            key_header: HeaderName::from_static("x-api-key"),
            key_secret: KeySecret([0; 16]),
            jwks_path: PathAndQuery::from_static("/.well-known/jwks.json"),
            http: HttpLimits::default(),
            threads: 1,
            seed: 0,
            traces: None,
        }
    }
}

/// How a server takes part in traces (W3C Trace Context): it goes on with the one that a request brings, or begins one, and
/// tells its upstream.
#[derive(Clone, Debug)]
pub struct TraceConfig {
    /// Of the ids: a seed that nobody else has, unless the same ids are wanted again.
    pub seed: u64,
    /// The field that a request's name in the log is taken from, where whoever sends may choose it; `None` for names of
    /// our own.
    pub request_header: Option<HeaderName>,
}

impl TraceConfig {
    /// With names of our own.
    pub const fn new(seed: u64) -> Self {
        Self { seed, request_header: None }
    }
}

/// Bounds of connections and messages. Times are real: they are the server's housekeeping and no part of a scenario.
#[derive(Clone, Copy, Debug)]
pub struct HttpLimits {
    /// Request line and header fields together, in bytes (64 KiB; at least 8 KiB); beyond: 431.
    pub header_bytes: usize,
    /// Header fields of a request (100); beyond: 431.
    pub headers: usize,
    /// Body of a request, in bytes (`None`: any length); beyond: 413.
    pub body_bytes: Option<u64>,
    /// From a connection's opening, or the first byte of a later request, until the header is complete (10 s); beyond: 408.
    pub header_timeout: Duration,
    /// How long a connection may rest between requests and a tunnel be silent (60 s); beyond, the connection is closed. For
    /// bodies there is [`GatewayConfig::client`].
    pub idle_timeout: Duration,
    /// How long an answer under way to a client that sends no more may bring nothing (5 s); beyond, the client is taken to have left.
    pub half_closed_timeout: Duration,
    /// Client connections at once, over all threads (65,536; at least one a thread). For one more, the idlest is closed; while
    /// none is idle, it waits.
    pub connections: usize,
    /// Connections to upstreams at once, over all threads (any number; at least one). For one more, one that rests is closed;
    /// where none does, the attempt fails as for want of a descriptor.
    pub upstream_connections: usize,
    /// Opening a connection to an upstream (5 s); beyond, the attempt has failed.
    pub connect_timeout: Duration,
    /// Idle connections kept for each upstream, on each thread (1,024).
    pub idle_upstream_connections: usize,
    /// How long such a connection is kept (30 s).
    pub upstream_idle_timeout: Duration,
}

impl HttpLimits {
    /// Descriptors of a process before it serves (its streams, signals, what it reads for a moment) and of a thread (its
    /// listener, what it waits for the system by, a connection that waits for a place).
    const PROCESS: u64 = 16;
    const THREAD: u64 = 6;

    /// These limits in a process that may open so many descriptors, of which others need `reserved`: each client has a
    /// connection, a request needs another one to its upstream, and half as many may rest between requests.
    #[must_use]
    pub fn within(self, descriptors: u64, reserved: u64, threads: usize, upstreams: usize) -> Self {
        let (threads, upstreams) = (threads.max(1) as u64, upstreams.max(1) as u64);
        let left = descriptors.saturating_sub(Self::PROCESS + Self::THREAD * threads + reserved);
        let clients = (left / 5 * 2).max(1);
        let resting = clients / 2;
        let at_most = |own: usize, most: u64| own.min(usize::try_from(most).unwrap_or(usize::MAX)).max(1);
        Self {
            connections: at_most(self.connections, clients),
            upstream_connections: at_most(self.upstream_connections, clients + resting),
            idle_upstream_connections: at_most(self.idle_upstream_connections, resting / threads / upstreams),
            ..self
        }
    }
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self {
            header_bytes: 64 * 1024,
            headers: 100,
            body_bytes: None,
            header_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(60),
            half_closed_timeout: Duration::from_secs(5),
            connections: 65_536,
            upstream_connections: usize::MAX,
            connect_timeout: Duration::from_secs(5),
            idle_upstream_connections: 1_024,
            upstream_idle_timeout: Duration::from_secs(30),
        }
    }
}

/// Why a server did not start.
#[derive(Debug, Error)]
pub enum StartError {
    /// The address is taken, not of this machine, or not permitted.
    #[error("cannot listen on {address}")]
    Listen {
        /// Where it should have listened.
        address: SocketAddr,
        /// Why it does not.
        source: io::Error,
    },
    /// A route leads to an upstream that has no address or only port 0, or keys are to be fetched from one.
    #[error("upstream number {upstream} has no address")]
    NoAddress {
        /// Its number.
        upstream: u32,
    },
    /// A thread or its runtime could not be made.
    #[error("cannot start a thread to serve on")]
    Thread(#[source] io::Error),
}

/// Why a server keeps its configuration.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum ReloadError {
    /// There are other routes, or they lead elsewhere.
    #[error("the routes differ")]
    Routes,
    /// An upstream has more hosts or fewer.
    #[error("the hosts differ")]
    Hosts,
    /// Other tokens are accepted.
    #[error("the tokens that are accepted differ")]
    Tokens,
    /// The server has ended.
    #[error("the server has ended")]
    Ended,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_descriptors_to_whom_else_needs_them() {
        for (descriptors, reserved, threads, upstreams) in
            [(64, 1, 1, 1), (1_024, 80, 2, 3), (4_096, 0, 8, 40), (1 << 20, 80, 2, 3)]
        {
            let limits = HttpLimits::default().within(descriptors, reserved, threads, upstreams);
            let taken = (limits.connections + limits.upstream_connections) as u64;
            let rest = HttpLimits::PROCESS + HttpLimits::THREAD * threads as u64 + reserved;
            assert!(taken + rest <= descriptors, "{descriptors}: {limits:?}");
            assert!(limits.upstream_connections >= limits.connections);
            let resting = limits.idle_upstream_connections * threads * upstreams;
            assert!(limits.connections + resting <= limits.upstream_connections.max(65_536 * 2));
        }
        let limits = HttpLimits::default().within(1_024, 80, 2, 3);
        assert_eq!((limits.connections, limits.upstream_connections), (366, 549));
        // What is more than enough changes nothing but the connections to upstreams.
        let limits = HttpLimits::default().within(1 << 20, 80, 2, 3);
        assert_eq!((limits.connections, limits.idle_upstream_connections), (65_536, 1_024));
        // The least that serves.
        let limits = HttpLimits::default().within(8, 80, 2, 3);
        assert_eq!((limits.connections, limits.upstream_connections), (1, 1));
    }
}
