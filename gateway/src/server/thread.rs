//! What one thread of the server holds: its clients' connections and its connections to upstreams.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::HeaderName;
use http::uri::PathAndQuery;
use slab::Slab;
use tokio::sync::{Notify, Semaphore};
use tokio::time::{Instant, timeout_at};

use super::config::{HttpLimits, ServerConfig};
use super::connection_state::{CoarseClock, ConnectionState, Order};
use super::identity_fields::IdentityFields;
use super::rules::Rules;
use super::traces::Traces;
use super::upstream::Upstreams;
use crate::identity::KeySecret;
use crate::route::UpstreamId;

/// What all threads go by for as long as they serve.
pub(super) struct Settings {
    pub(super) key_header: HeaderName,
    pub(super) key_secret: KeySecret,
    pub(super) http: HttpLimits,
    /// `None` for a gateway that judges no tokens, and leaves alone what is said of them.
    pub(super) identity: Option<Arc<IdentityFields>>,
    /// The place of whoever is asked for keys among the addresses, and the path.
    pub(super) provider: Option<(usize, PathAndQuery)>,
    /// By upstream that a route leads to: the place of its first host among the addresses.
    pub(super) first_hosts: Vec<usize>,
    /// Where hosts are asked how they are.
    pub(super) health_paths: BTreeMap<UpstreamId, PathAndQuery>,
    /// `None` where nobody is to name requests.
    pub(super) traces: Option<Traces>,
}

impl Settings {
    pub(super) fn new(config: &ServerConfig) -> Self {
        let gateway = &config.gateway;
        let upstreams = gateway.routes.iter().map(|route| route.upstream.0 + 1).max().unwrap_or(0);
        Self {
            key_header: config.key_header.clone(),
            key_secret: config.key_secret,
            http: config.http,
            identity: gateway.auth.as_ref().map(|auth| Arc::new(IdentityFields::new(auth))),
            provider: gateway
                .auth
                .as_ref()
                .map(|auth| (gateway.first_host(auth.jwks), config.jwks_path.clone())),
            health_paths: gateway.health_paths.iter().map(health_path).collect(),
            first_hosts: (0..upstreams).map(|upstream| gateway.first_host(UpstreamId(upstream))).collect(),
            traces: config.traces.as_ref().map(Traces::new),
        }
    }
}

/// A path that HTTP has no form for is asked for as `/`.
fn health_path((upstream, path): (&UpstreamId, &String)) -> (UpstreamId, PathAndQuery) {
    let path = path.parse().unwrap_or_else(|_| PathAndQuery::from_static("/"));
    (*upstream, path)
}

pub(super) struct Thread {
    rules: Arc<Rules>,
    settings: Arc<Settings>,
    upstreams: Arc<Upstreams>,
    pub(super) clock: Arc<CoarseClock>,
    started: Instant,
    draining: AtomicBool,
    connections: Mutex<Slab<Arc<ConnectionState>>>,
    /// A connection is gone.
    gone: Notify,
}

impl Thread {
    pub(super) fn new(
        rules: Arc<Rules>,
        settings: Arc<Settings>,
        addresses: Vec<SocketAddr>,
        places: Arc<Semaphore>,
    ) -> Arc<Self> {
        let clock = Arc::new(CoarseClock::default());
        let upstreams = Upstreams::new(addresses, settings.http, Arc::clone(&clock), places);
        Arc::new(Self {
            rules,
            settings,
            upstreams: Arc::new(upstreams),
            clock,
            started: Instant::now(),
            draining: false.into(),
            connections: Mutex::default(),
            gone: Notify::new(),
        })
    }

    /// Waits until no connection is left, or until then.
    pub(super) async fn all_gone(&self, deadline: Instant) {
        let gone = async {
            while !self.connections().is_empty() {
                self.gone.notified().await;
            }
        };
        let _ = timeout_at(deadline, gone).await;
    }

    pub(super) fn order(&self, order: Order, to: impl Fn(&ConnectionState) -> bool) {
        let connections = self.connections();
        connections.iter().filter(|(_, state)| to(state)).for_each(|(_, state)| state.give(order));
    }

    /// Sets the coarse clock right, for whoever compares connections by it.
    pub(super) fn set_clock(&self) {
        self.clock.set(self.started.elapsed());
    }

    /// Gives each connection the order that is due, so long after the start.
    pub(super) fn look_after(&self, since_start: Duration) {
        self.clock.set(since_start);
        for (_, state) in self.connections().iter() {
            state.keep_house(&self.settings.http);
        }
        self.upstreams.keep_house();
    }

    /// Makes a connection known, until what is returned is dropped.
    pub(super) fn register(self: &Arc<Self>) -> Registered {
        // The last of an answer may be with the kernel when its request has ended.
        let unread =
            self.rules.clock.real(self.rules.policies().client.download).max(self.settings.http.idle_timeout);
        let state = Arc::new(ConnectionState::new(Arc::clone(&self.clock), unread));
        let place = self.connections().insert(Arc::clone(&state));
        Registered { thread: Arc::clone(self), place, state }
    }

    pub(super) fn rules(&self) -> &Arc<Rules> {
        &self.rules
    }

    pub(super) fn settings(&self) -> &Settings {
        &self.settings
    }

    pub(super) fn upstreams(&self) -> &Arc<Upstreams> {
        &self.upstreams
    }

    /// From now on answers say that their connections close.
    pub(super) fn set_draining(&self) {
        self.draining.store(true, Relaxed);
    }

    /// Since the thread was made.
    pub(super) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    pub(super) fn is_draining(&self) -> bool {
        self.draining.load(Relaxed)
    }

    /// Shows each of its connections.
    pub(super) fn each_connection(&self, show: impl FnMut(&Arc<ConnectionState>)) {
        self.connections().iter().map(|(_, state)| state).for_each(show);
    }

    pub(super) fn connections(&self) -> MutexGuard<'_, Slab<Arc<ConnectionState>>> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection's entry with its thread.
pub(super) struct Registered {
    thread: Arc<Thread>,
    place: usize,
    state: Arc<ConnectionState>,
}

impl Registered {
    pub(super) fn thread(&self) -> &Arc<Thread> {
        &self.thread
    }

    pub(super) fn state(&self) -> &Arc<ConnectionState> {
        &self.state
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.thread.connections().try_remove(self.place);
        self.thread.gone.notify_one();
    }
}
