//! What one thread of the server holds: its listener, its clients' connections and its connections to upstreams.

use std::net::{IpAddr, SocketAddr, TcpListener as StdListener};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::HeaderName;
use http::uri::PathAndQuery;
use slab::Slab;
use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout_at};

use super::connection;
use super::connection_state::{CoarseClock, ConnectionState, Order};
use super::course::Rules;
use super::crowd::Crowd;
use super::identity_fields::IdentityFields;
use super::keys::Provider;
use super::listener::{is_being_connected_to, take_no_more};
use super::traces::Traces;
use super::upstream::Upstreams;
use super::{HttpLimits, ServerConfig};
use crate::KeySecret;

/// What all threads go by for as long as they serve.
pub(super) struct Settings {
    pub(super) key_header: HeaderName,
    pub(super) key_secret: KeySecret,
    pub(super) http: HttpLimits,
    /// `None` for a gateway that judges no tokens, and leaves alone what is said of them.
    pub(super) identity: Option<Arc<IdentityFields>>,
    /// Who is asked for keys, and where.
    provider: Option<(usize, PathAndQuery)>,
    /// `None` where nobody is to name requests.
    pub(super) traces: Option<Traces>,
}

impl Settings {
    pub(super) fn new(config: &ServerConfig) -> Self {
        let gateway = &config.gateway;
        Self {
            key_header: config.key_header.clone(),
            key_secret: config.key_secret,
            http: config.http,
            identity: gateway.auth.as_ref().map(|auth| Arc::new(IdentityFields::new(auth))),
            provider: gateway.auth.as_ref().map(|auth| (auth.jwks.0 as usize, config.jwks_path.clone())),
            traces: config.traces.as_ref().map(Traces::new),
        }
    }
}

/// When to stop, and when to stop waiting for that; `None` as long as nobody said so.
pub(super) type Stop = watch::Receiver<Option<Duration>>;

pub(super) struct Thread {
    rules: Arc<Rules>,
    settings: Arc<Settings>,
    upstreams: Arc<Upstreams>,
    clock: Arc<CoarseClock>,
    started: Instant,
    draining: AtomicBool,
    connections: Mutex<Slab<Arc<ConnectionState>>>,
    /// A connection is gone.
    gone: Notify,
}

/// How often a connection is looked after, unless its timeouts are shorter than that.
const HOUSEKEEPING: Duration = Duration::from_millis(500);

/// How long a client that has just been answered is given to have its next request on its way, when the server stops: it is
/// answered with `Connection: close`, instead of finding its connection closed.
const LAST_REQUESTS: Duration = Duration::from_millis(250);

/// A tunnel in which no byte has passed for so long is at rest.
const TUNNEL_REST: Duration = Duration::from_secs(1);

/// Between two looks at who is connecting.
const A_MOMENT: Duration = Duration::from_millis(1);

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

    /// Serves until told to stop. Says how many requests were cut.
    pub(super) fn run(
        self: Arc<Self>,
        runtime: &Runtime,
        listener: StdListener,
        crowd: Arc<Crowd>,
        stop: Stop,
        fetches: bool,
    ) -> u32 {
        runtime.block_on(async move {
            // Failing that, there is nothing to serve; it has been bound and set up before.
            let Ok(listener) = TcpListener::from_std(listener) else { return 0 };
            let housekeeping = tokio::spawn(Arc::clone(&self).keep_house());
            // Until the last request has ended: it may wait for keys.
            let fetching = fetches.then(|| tokio::spawn(Arc::clone(&self).keep_keys()));
            let mut stopped = stop.clone();
            let mut waiting = None;
            let grace = tokio::select! {
                biased;
                grace = stopped.wait_for(Option::is_some) => grace.ok().and_then(|grace| *grace).unwrap_or_default(),
                () = self.accept(&listener, &crowd, &mut waiting) => Duration::ZERO,
            };
            // Whoever has connected is served, place or no place.
            if let Some((stream, peer)) = waiting {
                self.take(stream, peer, None);
            }
            let cut = self.drain(listener, grace).await;
            housekeeping.abort();
            if let Some(fetching) = fetching {
                fetching.abort();
            }
            cut
        })
    }

    /// Fetches the keys that tokens are judged by, for ever.
    async fn keep_keys(self: Arc<Self>) {
        if let (Some(keys), Some((upstream, path))) = (self.rules.keys(), &self.settings.provider) {
            let (upstreams, upstream, path) = (Arc::clone(&self.upstreams), *upstream, path.clone());
            keys.keep(&self.rules.clock, &Provider { upstreams, upstream, path }).await;
        }
    }

    /// Takes connections in, for ever. One that has no place yet stands in `waiting`.
    async fn accept(
        self: &Arc<Self>,
        listener: &TcpListener,
        crowd: &Crowd,
        waiting: &mut Option<(TcpStream, IpAddr)>,
    ) {
        loop {
            match listener.accept().await {
                Ok((stream, peer)) => *waiting = Some((stream, peer.ip())),
                // Out of descriptors or memory, or a client that left meanwhile: some room may be made by and by.
                Err(error) => {
                    if self.rules.note_exhaustion(&error) {
                        crowd.make_room();
                    }
                    sleep(Duration::from_millis(5)).await;
                    continue;
                }
            }
            let place = crowd.place().await;
            self.set_clock();
            if let Some((stream, peer)) = waiting.take() {
                self.take(stream, peer, place);
            }
        }
    }

    fn take(self: &Arc<Self>, stream: TcpStream, peer: IpAddr, permit: Option<OwnedSemaphorePermit>) {
        // Known before its task runs, so that no shutdown ends without it.
        let registered = self.register();
        tokio::spawn(async move {
            if stream.set_nodelay(true).is_ok() {
                connection::run(&registered, stream, peer).await;
            }
            drop((registered, permit));
        });
    }

    /// Finishes what is under way.
    async fn drain(self: &Arc<Self>, listener: TcpListener, grace: Duration) -> u32 {
        let deadline = Instant::now() + grace;
        let last_requests = LAST_REQUESTS.min(grace / 2);
        self.draining.store(true, Relaxed);
        self.order(Order::Finish, |state| state.is_active() || state.is_http2());
        self.take_the_last(listener, Instant::now() + last_requests).await;
        self.all_gone(Instant::now() + last_requests).await;
        self.order(Order::Close, |state| !state.is_active() && !state.is_http2());
        tokio::select! {
            () = self.all_gone(deadline) => {}
            () = self.end_tunnels() => {}
        }
        let connections = self.connections();
        connections.iter().map(|(_, state)| state.active()).sum()
    }

    /// Takes in whoever has connected, and whoever is connecting if that is done by then: closed with the listener, they would
    /// be reset. Nobody begins to connect meanwhile.
    async fn take_the_last(self: &Arc<Self>, listener: TcpListener, deadline: Instant) {
        let _ = take_no_more(&listener);
        self.take_all(&listener);
        if let Ok(address) = listener.local_addr() {
            // A client that waits for a core within its connecting has a connection that its server has not.
            while is_being_connected_to(address) && Instant::now() < deadline {
                sleep(A_MOMENT).await;
                self.take_all(&listener);
            }
        }
        // Who was seen to have connected is there by now.
        self.take_all(&listener);
    }

    /// Takes in whoever waits to be.
    fn take_all(self: &Arc<Self>, listener: &TcpListener) {
        while let Ok((socket, peer)) = SockRef::from(listener).accept() {
            let Some(peer) = peer.as_socket() else { continue };
            let stream = socket.set_nonblocking(true).and_then(|()| TcpStream::from_std(socket.into()));
            if let Ok(stream) = stream {
                self.take(stream, peer.ip(), None);
            }
        }
    }

    /// Ends tunnels as soon as they rest, for ever: nothing is under way in them, and nothing else would end them.
    async fn end_tunnels(&self) {
        loop {
            self.order(Order::Close, |state| state.is_tunnel_at_rest(TUNNEL_REST));
            sleep(TUNNEL_REST / 4).await;
        }
    }

    /// Waits until no connection is left, or until then.
    async fn all_gone(&self, deadline: Instant) {
        let gone = async {
            while !self.connections().is_empty() {
                self.gone.notified().await;
            }
        };
        let _ = timeout_at(deadline, gone).await;
    }

    fn order(&self, order: Order, to: impl Fn(&ConnectionState) -> bool) {
        let connections = self.connections();
        connections.iter().filter(|(_, state)| to(state)).for_each(|(_, state)| state.give(order));
    }

    /// Looks after connections that rest or stall, for ever.
    async fn keep_house(self: Arc<Self>) {
        let HttpLimits { header_timeout, idle_timeout, upstream_idle_timeout, .. } = self.settings.http;
        let shortest = header_timeout.min(idle_timeout).min(upstream_idle_timeout);
        let mut tick = interval((shortest / 8).clamp(Duration::from_millis(5), HOUSEKEEPING));
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tick.tick().await;
            self.look_after(self.started.elapsed());
        }
    }

    /// Sets the coarse clock right, for whoever compares connections by it.
    pub(super) fn set_clock(&self) {
        self.clock.set(self.started.elapsed());
    }

    /// Gives each connection the order that is due, so long after the start.
    fn look_after(&self, since_start: Duration) {
        self.clock.set(since_start);
        for (_, state) in self.connections().iter() {
            state.keep_house(&self.settings.http);
        }
        self.upstreams.keep_house();
    }

    /// Makes a connection known, until what is returned is dropped.
    fn register(self: &Arc<Self>) -> Registered {
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

    pub(super) fn is_draining(&self) -> bool {
        self.draining.load(Relaxed)
    }

    /// Shows each of its connections.
    pub(super) fn each_connection(&self, show: impl FnMut(&Arc<ConnectionState>)) {
        self.connections().iter().map(|(_, state)| state).for_each(show);
    }

    fn connections(&self) -> MutexGuard<'_, Slab<Arc<ConnectionState>>> {
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

#[cfg(test)]
mod tests {
    use std::io::{self, Read as _, Write as _};
    use std::net::{Ipv4Addr, Shutdown, TcpStream as StdStream};

    use super::super::listener::listen;
    #[cfg(target_os = "linux")]
    use super::super::listener::make_none;
    use super::super::{Observer, ScenarioClock};
    use super::*;
    use crate::{GatewayConfig, Route, Routes, Timestamp, UpstreamId};

    /// An upstream that answers each connection's requests, hangs or breaks off, as their paths say.
    fn upstream() -> SocketAddr {
        let listener = StdListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                std::thread::spawn(move || answer(stream));
            }
        });
        address
    }

    fn answer(mut stream: StdStream) {
        let mut buffer = [0; 4096];
        while let Ok(read @ 1..) = stream.read(&mut buffer) {
            let said = match &buffer[..read] {
                hang if hang.starts_with(b"GET /hang") => continue,
                cut if cut.starts_with(b"GET /cut") => {
                    &b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nfive!"[..]
                }
                _ => &b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nfine"[..],
            };
            if stream.write_all(said).is_err() || said.ends_with(b"!") {
                return;
            }
        }
    }

    /// A thread of a gateway before one upstream, which serves nobody yet.
    fn thread(upstream: SocketAddr) -> Arc<Thread> {
        let mut gateway = GatewayConfig { timeout: Some(Duration::from_secs(5)), ..GatewayConfig::default() };
        let route =
            Route { path: "/".to_owned(), upstream: UpstreamId(0), timeout: None, retry: None, auth: true };
        gateway.routes = Routes::new(vec![route]).unwrap();
        let mut config = ServerConfig::new((Ipv4Addr::LOCALHOST, 0).into(), gateway, vec![upstream]);
        config.http.upstream_idle_timeout = Duration::from_millis(50);
        let settings = Arc::new(Settings::new(&config));
        let clock = ScenarioClock::starting_now(Timestamp::EPOCH, 1.0);
        let observer: Arc<dyn Observer> = Arc::new(());
        let rules = Arc::new(Rules::new(config.gateway, None, config.key_secret, clock, observer, 0));
        let places = Arc::new(Semaphore::new(1_000));
        Thread::new(rules, settings, config.upstreams, places)
    }

    /// The two ends of a connection, of which nothing but the thread's runtime looks after either.
    fn ends() -> (TcpStream, StdStream) {
        let listener = StdListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let client = StdStream::connect(listener.local_addr().unwrap()).unwrap();
        let (server, _) = listener.accept().unwrap();
        for end in [&client, &server] {
            end.set_nonblocking(true).unwrap();
        }
        (TcpStream::from_std(client).unwrap(), server)
    }

    /// Later than any header may come.
    const LATE: Duration = Duration::from_secs(11);
    const PARTIAL: &[u8] = b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n";

    /// A connection whose client has kept it waiting for the end of a header for too long, which nobody has noticed yet.
    /// Nothing else runs until what is returned is waited for: the runtime asks the system only when nobody has work.
    async fn overdue(thread: &Arc<Thread>) -> (TcpStream, StdStream) {
        let (mut client, server) = ends();
        let probe = server.try_clone().unwrap();
        let peer = Ipv4Addr::LOCALHOST.into();
        thread.take(TcpStream::from_std(server).unwrap(), peer, None);
        tokio::io::AsyncWriteExt::write_all(&mut client, PARTIAL).await.unwrap();
        thread.clock.set(LATE);
        while due(thread) != Order::HeaderTimeout {
            tokio::task::yield_now().await;
        }
        (client, probe)
    }

    /// The order that is due on the one connection of a thread.
    fn due(thread: &Thread) -> Order {
        let connections = thread.connections();
        connections.iter().next().map_or(Order::None, |(_, state)| state.due(&thread.settings.http))
    }

    /// All that a client is sent until its connection is closed.
    async fn heard(client: &mut TcpStream) -> String {
        let mut said = String::new();
        tokio::io::AsyncReadExt::read_to_string(client, &mut said).await.unwrap();
        said
    }

    fn runtime() -> Runtime {
        asking_every(u32::MAX)
    }

    /// One that asks the system after so many tasks.
    fn asking_every(tasks: u32) -> Runtime {
        tokio::runtime::Builder::new_current_thread().enable_all().event_interval(tasks).build().unwrap()
    }

    #[test]
    fn whoever_connected_before_a_shutdown_is_served_however_busy_the_thread_is() {
        asking_every(1).block_on(async {
            let thread = thread(upstream());
            let listener = listen((Ipv4Addr::LOCALHOST, 0).into(), 1).unwrap().remove(0);
            let mut client = StdStream::connect(listener.local_addr().unwrap()).unwrap();
            client.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
            for _ in 0..100 {
                tokio::spawn(async {});
            }
            let cut = thread.drain(TcpListener::from_std(listener).unwrap(), Duration::from_secs(20)).await;
            assert_eq!(cut, 0);
            // No task has run since: what has not been said by now never will be.
            client.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
            let mut said = String::new();
            client.read_to_string(&mut said).unwrap();
            assert!(said.starts_with("HTTP/1.1 200 OK\r\n") && said.ends_with("\r\n\r\nfine"), "{said}");
        });
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn whoever_is_connecting_at_a_shutdown_is_served() {
        runtime().block_on(async {
            let thread = thread(upstream());
            let listener = listen((Ipv4Addr::LOCALHOST, 0).into(), 1).unwrap().remove(0);
            let address = listener.local_addr().unwrap();
            let listener = TcpListener::from_std(listener).unwrap();
            // To its client the connection is made, and to its server it is not, as where either waits for a core.
            make_none(&listener);
            let client = StdStream::connect(address).unwrap();
            client.set_nonblocking(true).unwrap();
            let mut client = TcpStream::from_std(client).unwrap();
            // Writes when the shutdown waits for the first time.
            let client = tokio::spawn(async move {
                let request = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n";
                tokio::io::AsyncWriteExt::write_all(&mut client, request).await.unwrap();
                heard(&mut client).await
            });
            assert_eq!(thread.drain(listener, Duration::from_secs(20)).await, 0);
            let said = client.await.unwrap();
            assert!(said.starts_with("HTTP/1.1 200 OK\r\n") && said.ends_with("\r\n\r\nfine"), "{said}");
        });
    }

    #[test]
    fn a_header_that_is_whole_before_its_timeout_is_carried_out_is_answered_once() {
        runtime().block_on(async {
            let thread = thread(upstream());
            let (mut client, probe) = overdue(&thread).await;
            let probe = TcpStream::from_std(probe).unwrap();
            // The rest is there, and the order is given, when the connection looks again.
            assert_eq!(client.try_write(b"\r\n").unwrap(), 2);
            probe.readable().await.unwrap();
            assert_eq!(due(&thread), Order::HeaderTimeout);
            thread.look_after(LATE);
            let said = heard(&mut client).await;
            assert!(said.starts_with("HTTP/1.1 200 OK\r\n") && said.ends_with("\r\n\r\nfine"), "{said}");
            assert_eq!(said.matches("HTTP/1.1 ").count(), 1, "{said}");
        });
    }

    #[test]
    fn a_header_that_becomes_whole_while_its_timeout_is_carried_out_is_not_read() {
        runtime().block_on(async {
            let nobody = StdListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            let thread = thread(nobody.local_addr().unwrap());
            let (mut client, _probe) = overdue(&thread).await;
            // The order is given; the connection has been told of no more bytes when it looks, though they are there, and
            // those of another request.
            thread.look_after(LATE);
            let rest = b"\r\nGET /second HTTP/1.1\r\nhost: a\r\n\r\n";
            assert_eq!(client.try_write(rest).unwrap(), rest.len());
            let said = heard(&mut client).await;
            assert!(said.starts_with("HTTP/1.1 408 Request Timeout\r\nconnection: close\r\n"), "{said}");
            assert_eq!(said.matches("HTTP/1.1 ").count(), 1, "{said}");
            drop(client);
            thread.all_gone(Instant::now() + Duration::from_secs(20)).await;
            assert!(thread.connections().is_empty());
            // Nothing of either has reached the upstream.
            nobody.set_nonblocking(true).unwrap();
            assert_eq!(nobody.accept().unwrap_err().kind(), io::ErrorKind::WouldBlock);
        });
    }

    #[test]
    fn no_task_is_left_of_what_is_over() {
        let thread = thread(upstream());
        let listener = listen((Ipv4Addr::LOCALHOST, 0).into(), 1).unwrap().remove(0);
        let address = listener.local_addr().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let metrics = runtime.handle().metrics();
        let (stop, stopped) = watch::channel(None);
        let crowd = Arc::new(Crowd::new(HttpLimits::default(), vec![Arc::clone(&thread)]));
        let serving = std::thread::spawn(move || thread.run(&runtime, listener, crowd, stopped, false));

        let ask = |path: &str| {
            let mut client = StdStream::connect(address).unwrap();
            write!(client, "GET /{path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").unwrap();
            client
        };
        let read = |mut client: StdStream| _ = client.read_to_end(&mut Vec::new());
        read(ask(""));
        let settled = |most: usize| {
            for _ in 0..2_000 {
                if metrics.num_alive_tasks() <= most {
                    return;
                }
                std::thread::sleep(Duration::from_millis(5));
            }
            panic!("{} tasks are left, where there were {most}", metrics.num_alive_tasks());
        };
        // The housekeeping, once the connection to the upstream has rested for long enough.
        settled(1);
        for _ in 0..50 {
            read(ask(""));
            read(ask("cut"));
            // A client that leaves while its upstream hangs, and one within its header.
            drop(ask("hang"));
            let mut partial = StdStream::connect(address).unwrap();
            partial.write_all(b"GET / HT").unwrap();
            partial.shutdown(Shutdown::Both).unwrap();
        }
        settled(1);
        stop.send_replace(Some(Duration::from_secs(5)));
        assert_eq!(serving.join().unwrap(), 0);
    }
}
