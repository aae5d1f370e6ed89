//! The rules on real sockets and in real time: a reverse proxy for HTTP/1.1 and HTTP/2 (with prior knowledge) in front of
//! HTTP/1.1 upstreams.
//!
//! Each thread has a runtime, a listener and upstream connections of its own, and a request stays where it came in. What
//! threads share is the gateway: limits in shards, and the pool, the breakers and the queue behind one lock that is never
//! held while anything is waited for. No rule stands here; the server asks [`Entrance`](crate::Entrance), with
//! [`SharedAdmission`](crate::SharedAdmission) and [`SharedAuthenticator`](crate::auth::SharedAuthenticator) for its state, and
//! [`Dispatcher`](crate::Dispatcher), and carries out what they say.
//!
//! A message is read and written anew between its two connections, never copied through, so that exactly one framing
//! reaches the upstream. Bodies are streamed both ways; a body that cannot be completed cuts its connection.

mod answer_body;
mod body_error;
mod checks;
mod client_body;
mod client_io;
mod config;
mod connection;
mod connection_state;
mod crowd;
mod exchange;
mod exhaustion;
mod fields;
mod framing;
mod http2;
mod identity_fields;
mod interim;
mod keys;
mod listener;
mod monitor;
mod observer;
mod policies;
mod problem;
mod proxy;
mod request_body;
mod retry_after;
mod rules;
mod scenario_clock;
mod serving;
mod state;
mod stream_state;
mod thread;
mod traces;
mod upstream;
mod vectored_write;

use std::net::SocketAddr;
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::{Semaphore, watch};

pub use self::config::{HttpLimits, ReloadError, ServerConfig, StartError, TraceConfig};
use self::crowd::Crowd;
pub use self::exhaustion::is_exhaustion;
pub use self::keys::{KeyKeeper, KeySource};
use self::listener::listen;
pub use self::monitor::Monitor;
pub use self::observer::{Observer, ObserverTag, Seen};
pub use self::retry_after::retry_after;
use self::rules::Rules;
pub use self::scenario_clock::ScenarioClock;
pub use self::state::ServerState;
use self::thread::{Settings, Thread};
use crate::config::GatewayConfig;
pub use crate::ended::Ended;

/// A gateway that serves. Dropped, it closes at once; [`Server::shutdown`] lets it finish.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    rules: Weak<Rules>,
    stop: watch::Sender<Option<Duration>>,
    threads: Vec<JoinHandle<u32>>,
}

/// How a shutdown went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShutdownReport {
    /// Requests that were not finished within the grace given.
    pub requests_cut: u32,
}

impl Server {
    /// Starts serving; when this returns, connections are taken in.
    ///
    /// # Errors
    ///
    /// If the address cannot be listened on, an upstream has no address, or a thread cannot be made.
    pub fn start(
        config: ServerConfig,
        clock: ScenarioClock,
        observer: Arc<dyn Observer>,
    ) -> Result<Self, StartError> {
        let settings = Arc::new(Settings::new(&config));
        let ServerConfig { listen: asked, gateway, upstreams, key_secret, http, threads, seed, .. } = config;
        let asked_for = gateway.routes.iter().map(|route| route.upstream);
        let mut asked_for = asked_for.chain(gateway.auth.as_ref().map(|auth| auth.jwks));
        // No connection leads to port 0.
        let has_address = |host: usize| upstreams.get(host).is_some_and(|address| address.port() != 0);
        let homeless = asked_for.find(|upstream| {
            let first = gateway.first_host(*upstream);
            let hosts = gateway.policy(upstream.0 as usize).hosts.count.get() as usize;
            !(first..first + hosts).all(has_address)
        });
        drop(asked_for);
        if let Some(homeless) = homeless {
            return Err(StartError::NoAddress { upstream: homeless.0 });
        }
        let rules = Arc::new(Rules::new(gateway, key_secret, clock, observer, seed));
        let threads = threads.max(1);
        let failed = |source| StartError::Listen { address: asked, source };
        let listeners = listen(asked, threads).map_err(failed)?;
        let address = listeners[0].local_addr().map_err(failed)?;

        let places = http.upstream_connections.clamp(1, Semaphore::MAX_PERMITS);
        let places = Arc::new(Semaphore::new(places));
        let thread =
            || Thread::new(Arc::clone(&rules), Arc::clone(&settings), upstreams.clone(), Arc::clone(&places));
        let crowd: Vec<_> = (0..threads).map(|_| thread()).collect();
        let crowd = Arc::new(Crowd::new(http, crowd));
        let (stop, stopped) = watch::channel(None);
        let rules = Arc::downgrade(&rules);
        let mut server = Self { address, rules, stop, threads: Vec::with_capacity(threads) };
        for (number, (listener, thread)) in listeners.into_iter().zip(crowd.threads()).enumerate() {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_io()
                .enable_time()
                .build()
                .map_err(StartError::Thread)?;
            let (thread, crowd, stopped) = (Arc::clone(thread), Arc::clone(&crowd), stopped.clone());
            // One asks for keys, for all.
            let fetches = number == 0;
            let serve = move || thread.run(&runtime, listener, crowd, stopped, fetches);
            let name = format!("gateway-{number}");
            let joined = std::thread::Builder::new().name(name).spawn(serve).map_err(StartError::Thread)?;
            server.threads.push(joined);
        }
        Ok(server)
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Goes by another configuration from now on. No connection ends, and no request is lost: those under way keep what they
    /// hold and the deadlines that they have. What is equal in both keeps its state, such as the counts of a limit and an open
    /// breaker.
    ///
    /// # Errors
    ///
    /// If it has other routes, other upstreams behind them, or judges other tokens: then nothing has changed.
    pub fn reload(&self, gateway: GatewayConfig) -> Result<(), ReloadError> {
        let rules = self.rules.upgrade().ok_or(ReloadError::Ended)?;
        rules.accepts(&gateway)?;
        rules.reconfigure(gateway);
        Ok(())
    }

    /// To look at it by while it runs.
    pub fn monitor(&self) -> Monitor {
        Monitor(Weak::clone(&self.rules))
    }

    /// Stops taking in connections, answers the requests that are under way, closes, and waits for all of that: for
    /// `grace` (of real time) at most, after which what is left is cut.
    pub fn shutdown(mut self, grace: Duration) -> ShutdownReport {
        self.stop(grace)
    }

    fn stop(&mut self, grace: Duration) -> ShutdownReport {
        self.stop.send_replace(Some(grace));
        let cut = self.threads.drain(..).map(|thread| thread.join().unwrap_or_default());
        ShutdownReport { requests_cut: cut.sum() }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop(Duration::ZERO);
    }
}
