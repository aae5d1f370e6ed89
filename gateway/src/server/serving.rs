//! How a thread serves: it takes connections in, looks after them, and finishes what is under way when it is told to stop.

use std::net::{IpAddr, TcpListener as StdListener};
use std::sync::Arc;
use std::time::Duration;

use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

use super::config::HttpLimits;
use super::connection;
use super::connection_state::Order;
use super::crowd::Crowd;
use super::keys::Provider;
use super::listener::{is_being_connected_to, take_no_more};
use super::thread::Thread;

/// When to stop, and when to stop waiting for that; `None` as long as nobody said so.
pub(super) type Stop = watch::Receiver<Option<Duration>>;

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
            let checking = fetches.then(|| tokio::spawn(Arc::clone(&self).keep_checks()));
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
            for task in [fetching, checking].into_iter().flatten() {
                task.abort();
            }
            cut
        })
    }

    /// Fetches the keys that tokens are judged by, for ever.
    async fn keep_keys(self: Arc<Self>) {
        if let (Some(keys), Some((upstream, path))) = (self.rules().keys(), &self.settings().provider) {
            let (upstreams, upstream, path) = (Arc::clone(self.upstreams()), *upstream, path.clone());
            keys.keep(&self.rules().clock, &Provider { upstreams, upstream, path, check: None }).await;
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
                    if self.rules().note_exhaustion(&error) {
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
        self.set_draining();
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

    /// Looks after connections that rest or stall, for ever.
    async fn keep_house(self: Arc<Self>) {
        let HttpLimits { header_timeout, idle_timeout, upstream_idle_timeout, .. } = self.settings().http;
        let shortest = header_timeout.min(idle_timeout).min(upstream_idle_timeout);
        let mut tick = interval((shortest / 8).clamp(Duration::from_millis(5), HOUSEKEEPING));
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tick.tick().await;
            self.look_after(self.elapsed());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{self, Read as _, Write as _};
    use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream as StdStream};

    use tokio::sync::Semaphore;

    use super::super::config::ServerConfig;
    use super::super::connection_state::Order;
    use super::super::listener::listen;
    #[cfg(target_os = "linux")]
    use super::super::listener::make_none;
    use super::super::observer::Observer;
    use super::super::rules::Rules;
    use super::super::scenario_clock::ScenarioClock;
    use super::super::thread::Settings;
    use super::*;
    use crate::config::GatewayConfig;
    use crate::route::{Route, Routes, UpstreamId};
    use crate::timestamp::Timestamp;

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
        let route = Route {
            path: "/".to_owned(),
            upstream: UpstreamId(0),
            timeout: None,
            try_timeout: None,
            retry: None,
            concurrency: None,
            auth: true,
        };
        gateway.routes = Routes::new(vec![route]).unwrap();
        let mut config = ServerConfig::new((Ipv4Addr::LOCALHOST, 0).into(), gateway, vec![upstream]);
        config.http.upstream_idle_timeout = Duration::from_millis(50);
        let settings = Arc::new(Settings::new(&config));
        let clock = ScenarioClock::starting_now(Timestamp::EPOCH, 1.0);
        let observer: Arc<dyn Observer> = Arc::new(());
        let rules = Arc::new(Rules::new(config.gateway, config.key_secret, clock, observer, 0));
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
        connections.iter().next().map_or(Order::None, |(_, state)| state.due(&thread.settings().http))
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
