//! What the clients send with: an HTTP client for each address that they send from, with connections of its own.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};

/// An HTTP/1.1 client. It follows no redirect and asks no proxy, and sends nothing again but what no connection has taken:
/// whether a request is repeated is its population's to say.
pub(super) type HttpClient = legacy::Client<HttpConnector, Full<Bytes>>;

/// Makes one client for each address.
#[derive(Debug)]
pub(super) struct Connectors {
    most_idle: usize,
    own_addresses: bool,
    clients: Mutex<HashMap<Ipv4Addr, HttpClient>>,
}

/// With more addresses than this, connections are not kept: there would be one for each, resting.
const MOST_RESTING: u32 = 2_000;

/// How many of so many clients, each with an address of its own, keep a connection that they do not use.
pub(super) const fn resting(addresses: u32) -> u32 {
    if addresses > MOST_RESTING { 0 } else { addresses }
}

/// How long a client keeps a connection that it does not use.
const REST: Duration = Duration::from_secs(5);

impl Connectors {
    /// Of so many addresses; they are sent from only where `own_addresses` says so, and else each has connections of its own
    /// all the same.
    pub(super) fn new(addresses: u32, own_addresses: bool) -> Self {
        let most_idle = if resting(addresses) == 0 { 0 } else { usize::MAX };
        Self { most_idle, own_addresses, clients: Mutex::default() }
    }

    /// The client that sends from this address.
    pub(super) fn of(&self, address: Ipv4Addr) -> HttpClient {
        let make = || http_client(self.own_addresses.then_some(address.into()), self.most_idle);
        self.clients().entry(address).or_insert_with(make).clone()
    }

    fn clients(&self) -> MutexGuard<'_, HashMap<Ipv4Addr, HttpClient>> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A client that sends from this address, if from any, and keeps so many connections that it does not use.
pub(super) fn http_client(from: Option<IpAddr>, most_idle: usize) -> HttpClient {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    connector.set_local_address(from);
    legacy::Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(REST)
        .pool_max_idle_per_host(most_idle)
        .build(connector)
}
