//! What the rules decide, and how a client hears of it.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use ::gateway::{
    Algorithm, Backoff, BreakerConfig, CallerCap, CallerCaps, ClientTimeouts, ConcurrencyCap, Condition,
    Decision, FailureSet, GatewayConfig, GatewayRetry, Jitter, PoolConfig, RateLimit, RateLimits, Rejection,
    RetryPolicy, UpstreamPolicy,
};
use ::gateway::{AttemptEnd, RequestEnd};
use tokio::sync::Notify;

use crate::client::Client;
use crate::gateway::Gateway;
use crate::upstream::{Reply, Upstream, Vacant, ok};

const MINUTE: Duration = Duration::from_secs(60);

fn hello() -> Upstream {
    Upstream::answering(|_| Reply::Send(ok("hello")))
}

#[test]
fn a_gateway_without_rules_passes_on() {
    let upstream = hello();
    let gateway = Gateway::proxy(upstream.address);
    let mut client = Client::connect(gateway.address());
    for _ in 0..3 {
        let answer = client.get("/orders/42?x=1");
        assert_eq!((answer.status, answer.text().as_str()), (200, "hello"));
        assert_eq!(upstream.next().target(), "/orders/42?x=1");
    }
    let told = gateway.log.settled(3);
    assert_eq!(told.served(), 3);
    assert_eq!(
        upstream.connections.load(std::sync::atomic::Ordering::SeqCst),
        1,
        "one connection serves all"
    );
}

fn limit(limit: u32) -> Option<RateLimit> {
    RateLimit::new(Algorithm::FixedWindow, limit, MINUTE).ok()
}

fn pool(workers: u32, queue: u32, queue_timeout: Option<Duration>) -> PoolConfig {
    PoolConfig { workers: NonZeroU32::new(workers), queue: Some(queue), queue_timeout }
}

fn get(path: &str, fields: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: gateway.test\r\n{fields}\r\n")
}

#[test]
fn a_limit_counts_keys_and_says_when_to_come_back() {
    let upstream = hello();
    let limits = RateLimits { per_key: limit(3).into(), global: limit(100).into(), ..RateLimits::default() };
    let gateway =
        Gateway::with(GatewayConfig { limits, ..GatewayConfig::default() }, &[upstream.address], |_| {});
    let mut client = Client::connect(gateway.address());
    for remaining in (0..3).rev() {
        let answer = client.send(get("/", "x-api-key: a\r\n")).answer(false);
        assert_eq!(answer.status, 200);
        assert_eq!(answer.value("ratelimit-policy"), Some(r#""per_key";q=3;w=60, "global";q=100;w=60"#));
        let fields = format!(r#""per_key";r={remaining}, "global";r={}"#, 97 + remaining);
        assert_eq!(answer.value("ratelimit"), Some(&*fields));
    }
    let answer = client.send(get("/", "x-api-key: a\r\n")).answer(false);
    assert_eq!(answer.status, 429);
    assert_eq!(answer.value("content-type"), Some("application/problem+json"));
    // The clock shows the start of a minute and the seconds since.
    let seconds: u64 = answer.value("retry-after").unwrap().parse().unwrap();
    assert!((1..=60).contains(&seconds), "{seconds}");
    assert_eq!(answer.value("ratelimit"), Some(&*format!(r#""per_key";r=0;t={seconds}"#)));
    let text = answer.text();
    for part in [r#""status":429"#, r#""reason":"rate-limited""#, r#""scope":"per_key""#, "quota-exceeded"] {
        assert!(text.contains(part), "{part} in {text}");
    }
    // Another key, and a caller without one, have their own.
    assert_eq!(client.send(get("/", "x-api-key: b\r\n")).answer(false).status, 200);
    assert_eq!(client.get("/").status, 200);
    let told = gateway.log.settled(6);
    assert_eq!(told.decided[0].0.as_deref(), Some(&b"a"[..]));
    assert_eq!((told.served(), told.rejected(|why| matches!(why, Rejection::RateLimited { .. }))), (5, 1));
}

#[test]
fn a_key_is_one_field_however_it_is_spelled() {
    let upstream = hello();
    let limits = RateLimits { per_key: limit(2).into(), ..RateLimits::default() };
    let gateway =
        Gateway::with(GatewayConfig { limits, ..GatewayConfig::default() }, &[upstream.address], |_| {});
    // An upstream that reads the last field, or the one without the hyphen, would let the limited key go on.
    for fields in [
        "x-api-key: junk\r\nx-api-key: a\r\n",
        "x-api-key: a\r\nX_API_KEY: a\r\n",
        "connection: x-api-key\r\nx-api-key: junk\r\nx.api.key: a\r\n",
    ] {
        let mut client = Client::connect(gateway.address());
        assert_eq!(client.send(get("/", fields)).answer(false).status, 400, "{fields}");
        assert!(client.is_closed(), "{fields}");
    }
    // By another name the key is the key.
    let mut client = Client::connect(gateway.address());
    let statuses = ["x-api-key", "x_api_key", "X.Api.Key", "x-api-key"]
        .map(|name| client.send(get("/", &format!("{name}: a\r\n"))).answer(false).status);
    assert_eq!(statuses, [200, 200, 429, 429]);
}

#[test]
fn a_limit_holds_over_all_connections_and_threads() {
    let upstream = hello();
    let limits = RateLimits { per_key: limit(100).into(), ..RateLimits::default() };
    let config = GatewayConfig { limits, ..GatewayConfig::default() };
    // The window lasts for longer than any test.
    let gateway = Gateway::at_speed(0.001, config, &[upstream.address], |config| config.threads = 3);
    let address = gateway.address();
    let statuses = |_| {
        let mut client = Client::connect(address);
        (0..25).map(|_| client.send(get("/", "x-api-key: k\r\n")).answer(false).status).collect::<Vec<_>>()
    };
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|n| scope.spawn(move || statuses(n))).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    let count = |status| statuses.iter().filter(|one| **one == status).count();
    assert_eq!((count(200), count(429)), (100, 100));
    assert_eq!(gateway.log.settled(200).served(), 100);
}

#[test]
fn a_path_that_nobody_serves() {
    let upstream = hello();
    let route = ::gateway::Route {
        path: "/orders".into(),
        upstream: ::gateway::UpstreamId(0),
        timeout: None,
        try_timeout: None,
        retry: None,
        concurrency: None,
        auth: true,
    };
    let routes = ::gateway::Routes::new(vec![route]).unwrap();
    let gateway =
        Gateway::with(GatewayConfig { routes, ..GatewayConfig::default() }, &[upstream.address], |_| {});
    let mut client = Client::connect(gateway.address());
    let answer = client.get("/ordersmith");
    assert_eq!(answer.status, 404);
    assert!(answer.text().contains(r#""reason":"no-route""#));
    assert_eq!(client.get("/orders/1").status, 200);
    gateway.log.settled(2);
}

#[test]
fn workers_then_the_queue_in_order_then_nothing() {
    let go = Arc::new(Notify::new());
    let upstream = {
        let go = Arc::clone(&go);
        Upstream::answering(move |_| Reply::When(Arc::clone(&go), ok("late")))
    };
    let config = GatewayConfig { pool: pool(1, 2, None), ..GatewayConfig::default() };
    // No second of the gateway's clock passes in the test.
    let gateway = Gateway::at_speed(0.001, config, &[upstream.address], |config| config.threads = 2);
    let mut clients: Vec<_> = (0..4).map(|_| Client::connect(gateway.address())).collect();
    for (place, client) in clients.iter_mut().enumerate() {
        client.send(get(&format!("/{place}"), ""));
        gateway.log.until("decision", |told| told.decided.len() == place + 1);
    }
    let refused = clients[3].answer(false);
    assert_eq!(refused.status, 503);
    assert!(refused.text().contains(r#""reason":"queue-full""#));
    assert_eq!(refused.value("retry-after"), Some("1"));
    gateway.log.until("a full house", |told| told.load == (1, 2));
    for (place, client) in clients.iter_mut().enumerate().take(3) {
        assert_eq!(upstream.next().target(), format!("/{place}"), "first come, first served");
        go.notify_one();
        assert_eq!(client.answer(false).status, 200);
    }
    let told = gateway.log.settled(4);
    assert_eq!((told.served(), told.rejected(|why| matches!(why, Rejection::QueueFull { .. }))), (3, 1));
    assert_eq!(told.workers.len(), 3);
    assert_eq!(told.workers[0], Duration::ZERO);
    assert!(told.workers[1] > Duration::ZERO);
    assert_eq!(told.loads.iter().map(|(_, busy, _)| *busy).max(), Some(1));
}

#[test]
fn who_leaves_gives_worker_and_place_back() {
    let upstream = Upstream::answering(|request| match request.target() {
        "/hang" => Reply::Hang(Vec::new()),
        _ => Reply::Send(ok("hello")),
    });
    let config = GatewayConfig { pool: pool(1, 9, None), ..GatewayConfig::default() };
    let gateway = Gateway::with(config, &[upstream.address], |_| {});
    let mut working = Client::connect(gateway.address());
    working.send(get("/hang", ""));
    upstream.next();
    let mut waiting: Vec<_> = (0..3).map(|_| Client::connect(gateway.address())).collect();
    for (place, client) in waiting.iter_mut().enumerate() {
        client.send(get(&format!("/{place}"), ""));
        gateway.log.until("a place", |told| told.load == (1, place as u32 + 1));
    }
    drop(waiting.remove(1));
    gateway.log.until("a free place", |told| told.load == (1, 2));
    drop(working);
    assert_eq!(waiting[0].answer(false).status, 200);
    assert_eq!(waiting[1].answer(false).status, 200);
    assert_eq!((upstream.next().target(), upstream.next().target()), ("/0", "/2"));
    let told = gateway.log.settled(4);
    assert_eq!(told.served(), 2);
    assert_eq!(told.ends().iter().filter(|end| **end == RequestEnd::ClientLeft).count(), 2);
    // Of the three that waited, two got the worker.
    assert_eq!((told.left_queue.len(), told.workers.len()), (1, 3));
}

#[test]
fn the_queue_has_an_end_to_its_patience() {
    let upstream = Upstream::answering(|_| Reply::Hang(Vec::new()));
    let timeout = Some(Duration::from_secs(10));
    let config = GatewayConfig { pool: pool(1, 9, timeout), ..GatewayConfig::default() };
    // Ten seconds are a tenth of one.
    let gateway = Gateway::at_speed(100.0, config, &[upstream.address], |_| {});
    let mut working = Client::connect(gateway.address());
    working.send(get("/", ""));
    upstream.next();
    let answer = Client::connect(gateway.address()).get("/");
    assert_eq!(answer.status, 503);
    assert!(answer.text().contains(r#""reason":"queue-timeout""#));
    assert_eq!(answer.value("retry-after"), Some("1"));
    drop(working);
    let told = gateway.log.settled(2);
    assert_eq!(told.queue_timeouts, 1);
    assert!(matches!(told.left_queue[..], [waited] if Some(waited) >= timeout), "{:?}", told.left_queue);
    assert_eq!(told.rejected(|why| *why == Rejection::QueueTimeout), 1);
}

#[test]
fn a_bulkhead_is_full_for_its_upstream_only() {
    let hanging = Upstream::answering(|_| Reply::Hang(Vec::new()));
    let upstream = hello();
    let policy = UpstreamPolicy { concurrency: at_most(1, 0), ..UpstreamPolicy::default() };
    let config = GatewayConfig { upstreams: vec![policy, policy], ..GatewayConfig::default() };
    let gateway = Gateway::with(config, &[hanging.address, upstream.address], |_| {});
    let mut holding = Client::connect(gateway.address());
    holding.send(get("/", ""));
    hanging.next();
    let mut client = Client::connect(gateway.address());
    let answer = client.get("/");
    assert_eq!(answer.status, 503);
    assert!(answer.text().contains(r#""reason":"bulkhead-full""#));
    assert_eq!(answer.value("retry-after"), Some("1"));
    assert_eq!(client.get("/1").status, 200);
    drop(holding);
    gateway.log.settled(3);
}

const fn at_most(most: u32, max_pending: u32) -> ConcurrencyCap {
    ConcurrencyCap { max_in_flight: NonZeroU32::new(most), max_pending, max_retries: None }
}

#[test]
fn whoever_is_pending_goes_when_another_has_ended_or_left() {
    let go = Arc::new(Notify::new());
    let upstream = {
        let go = Arc::clone(&go);
        Upstream::answering(move |_| Reply::When(Arc::clone(&go), ok("late")))
    };
    let policy = UpstreamPolicy { concurrency: at_most(1, 2), ..UpstreamPolicy::default() };
    let config = GatewayConfig { upstreams: vec![policy], ..GatewayConfig::default() };
    let gateway = Gateway::with(config, &[upstream.address], |config| config.threads = 2);
    let mut clients: Vec<_> = (0..4).map(|_| Client::connect(gateway.address())).collect();
    for (place, client) in clients.iter_mut().enumerate() {
        client.send(get(&format!("/{place}"), ""));
        gateway.log.until("decision", |told| told.decided.len() == place + 1);
    }
    let refused = clients.pop().unwrap().answer(false);
    assert_eq!(refused.status, 503);
    assert!(refused.text().contains(r#""reason":"bulkhead-full""#));
    assert_eq!(upstream.next().target(), "/0");
    // The one in the middle leaves while it waits, and the first while it is under way: then it is the last one's turn.
    drop(clients.remove(1));
    gateway.log.until("client that left", |told| told.left_queue.len() == 1);
    drop(clients.remove(0));
    assert_eq!(upstream.next().target(), "/2");
    go.notify_waiters();
    go.notify_one();
    assert_eq!(clients[0].answer(false).status, 200);
    gateway.log.settled(4);
}

#[test]
fn a_client_has_only_so_many_under_way_at_once() {
    let hanging = Upstream::answering(|_| Reply::Hang(Vec::new()));
    let per_key = Some(CallerCap { cap: at_most(1, 0), status: 429 });
    let concurrency = CallerCaps { per_ip: None, per_key };
    let gateway =
        Gateway::with(GatewayConfig { concurrency, ..GatewayConfig::default() }, &[hanging.address], |_| {});
    let mut holding = Client::connect(gateway.address());
    holding.send(get("/", "x-api-key: a\r\n"));
    hanging.next();
    let mut client = Client::connect(gateway.address());
    let answer = client.send(get("/", "x-api-key: a\r\n")).answer(false);
    assert_eq!(answer.status, 429);
    assert!(answer.text().contains(r#""reason":"too-many-in-flight""#));
    assert!(answer.text().contains("this client"));
    assert_eq!(answer.value("retry-after"), Some("1"));
    let mut other = Client::connect(gateway.address());
    other.send(get("/", "x-api-key: b\r\n"));
    hanging.next();
    drop((holding, other));
    gateway.log.settled(3);
}

#[test]
fn a_breaker_opens_and_answers_for_its_upstream() {
    let upstream = Upstream::answering(|_| {
        Reply::Send(b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\n\r\n".to_vec())
    });
    let breaker = BreakerConfig::new(MINUTE, 0.5, 5).ok();
    let policy = UpstreamPolicy { breaker, ..UpstreamPolicy::default() };
    let config = GatewayConfig { upstreams: vec![policy], ..GatewayConfig::default() };
    let gateway = Gateway::with(config, &[upstream.address], |_| {});
    let mut client = Client::connect(gateway.address());
    for _ in 0..5 {
        assert_eq!(client.get("/").status, 500);
    }
    let answer = client.get("/");
    assert_eq!(answer.status, 503);
    assert!(answer.text().contains(r#""reason":"short-circuited""#));
    assert_eq!(answer.value("retry-after"), Some("10"));
    let told = gateway.log.settled(6);
    assert_eq!(told.transitions.len(), 1);
    assert_eq!(told.transitions[0].to, Condition::Open);
    assert_eq!(told.rejected(|why| matches!(why, Rejection::ShortCircuited { .. })), 1);
}

#[test]
fn connections_that_are_refused_or_break_are_bad_gateways() {
    let refused = Vacant::new();
    let upstream = Upstream::answering(|request| match request.target() {
        "/1/reset" => Reply::Reset(Vec::new()),
        "/1/close" => Reply::Close(Vec::new()),
        "/1/half" => Reply::Close(b"HTTP/1.1 200 OK\r\ncontent-le".to_vec()),
        "/1/garbage" => Reply::Close(b"what do you want?\r\n\r\n".to_vec()),
        "/1/coded" => Reply::Close(b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\nxxx".to_vec()),
        "/1/switch" => Reply::Close(
            b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n".to_vec(),
        ),
        _ => Reply::Send(ok("hello")),
    });
    let gateway = Gateway::with(GatewayConfig::default(), &[refused.address, upstream.address], |_| {});
    let mut client = Client::connect(gateway.address());
    let paths = ["/", "/1/reset", "/1/close", "/1/half", "/1/garbage", "/1/coded", "/1/switch"];
    for path in paths {
        let answer = client.get(path);
        assert_eq!(answer.status, 502, "{path}");
        assert!(answer.text().contains(r#""reason":"bad-gateway""#), "{path}");
        assert_eq!(client.get("/1").status, 200, "the connection goes on after {path}");
    }
    let told = gateway.log.settled(2 * paths.len());
    assert_eq!(
        told.ends().iter().filter(|end| **end == RequestEnd::Attempt(AttemptEnd::Broken)).count(),
        paths.len()
    );
}

#[test]
fn a_timeout_is_a_504_before_the_answer_and_a_cut_within_it() {
    let upstream = Upstream::answering(|request| match request.target() {
        "/silent" => Reply::Hang(Vec::new()),
        "/length" => Reply::Hang(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nfive!".to_vec()),
        "/chunked" => {
            Reply::Hang(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nfive!\r\n".to_vec())
        }
        _ => Reply::Hang(b"HTTP/1.0 200 OK\r\n\r\nfive!".to_vec()),
    });
    let config = GatewayConfig { timeout: Some(Duration::from_secs(10)), ..GatewayConfig::default() };
    let gateway = Gateway::at_speed(100.0, config, &[upstream.address], |_| {});
    let answer = Client::connect(gateway.address()).get("/silent");
    assert_eq!(answer.status, 504);
    assert!(answer.text().contains(r#""reason":"timed-out""#));
    for (path, version) in [("/length", "1.1"), ("/chunked", "1.1"), ("/open", "1.1"), ("/open", "1.0")] {
        let mut client = Client::connect(gateway.address());
        client.send(format!("GET {path} HTTP/{version}\r\nhost: gateway.test\r\n\r\n"));
        assert_eq!(client.try_head().unwrap().status, 200);
        // However the body is framed, its reader sees that it is not whole: the connection is reset.
        let error = loop {
            match client.take(1) {
                Ok(_) => {}
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "{path} {version}");
    }
    let told = gateway.log.settled(5);
    assert!(
        told.ends().iter().all(|end| *end == RequestEnd::Attempt(AttemptEnd::TimedOut)),
        "{:?}",
        told.ends()
    );
}

#[test]
fn a_client_that_does_not_read_holds_its_worker_until_its_own_timeout() {
    let upstream = Upstream::scripted(|mut connection| async move {
        connection.head().await?;
        connection.send(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await?;
        let mut chunk = b"10000\r\n".to_vec();
        chunk.resize(chunk.len() + 0x10000, b'x');
        chunk.extend(b"\r\n");
        while connection.send(&chunk).await.is_ok() {}
        Ok(())
    });
    let config = GatewayConfig {
        timeout: Some(Duration::from_secs(5)),
        client: ClientTimeouts { download: Duration::from_secs(20), ..ClientTimeouts::default() },
        pool: pool(1, 0, None),
        ..GatewayConfig::default()
    };
    let gateway = Gateway::at_speed(100.0, config, &[upstream.address], |_| {});
    let mut client = Client::connect(gateway.address());
    client.send(get("/", ""));
    let told = gateway.log.settled(1);
    assert_eq!(told.ends(), [RequestEnd::ClientLeft]);
    while client.take(1 << 20).is_ok() {}
}

fn retrying(retries: u32, non_idempotent: bool) -> GatewayConfig {
    let on = FailureSet { server_errors: true, connect: true, ..FailureSet::default() };
    let backoff = Backoff::fixed(Duration::from_millis(1), Jitter::Full).unwrap();
    let policy = RetryPolicy { retries, on, backoff, ..RetryPolicy::default() };
    GatewayConfig { retry: Some(GatewayRetry { policy, non_idempotent }), ..GatewayConfig::default() }
}

const UNAVAILABLE: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n";

#[test]
fn the_gateway_tries_again_and_numbers_its_attempts() {
    let upstream = Upstream::answering(|request| match request.values("x-gateway-attempt")[..] {
        [] => Reply::Send(UNAVAILABLE.to_vec()),
        ["1"] => Reply::Reset(Vec::new()),
        _ => Reply::Send(ok(&request.body)),
    });
    let gateway = Gateway::with(retrying(3, false), &[upstream.address], |_| {});
    let mut client = Client::connect(gateway.address());
    let body = "b".repeat(60_000);
    client.send(format!(
        "PUT / HTTP/1.1\r\nhost: a\r\nx-gateway-attempt: 7\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    ));
    let answer = client.answer(false);
    assert_eq!((answer.status, answer.text()), (200, body.clone()));
    for attempt in 0..3 {
        let request = upstream.next();
        let expected: &[&str] = [&[][..], &["1"], &["2"]][attempt];
        assert_eq!(request.values("x-gateway-attempt"), expected);
        assert_eq!(request.body, body.as_bytes());
    }
    let told = gateway.log.settled(1);
    assert_eq!(told.finished[0].1.attempts, 3);
    assert_eq!(told.workers.len(), 1, "one worker serves all attempts");
}

#[test]
fn what_must_not_or_cannot_be_sent_twice_is_not() {
    let upstream = Upstream::answering(|_| Reply::Send(UNAVAILABLE.to_vec()));
    let gateway = Gateway::with(retrying(3, false), &[upstream.address], |_| {});
    let attempts = |client: &mut Client, method: &str, length: usize| {
        client.send(format!("{method} / HTTP/1.1\r\nhost: a\r\ncontent-length: {length}\r\n\r\n"));
        client.send("b".repeat(length));
        assert_eq!(client.answer(false).status, 503);
    };
    let mut client = Client::connect(gateway.address());
    attempts(&mut client, "POST", 10);
    attempts(&mut client, "PUT", 10);
    attempts(&mut client, "PUT", 64 * 1024);
    attempts(&mut client, "PUT", 64 * 1024 + 1);
    let told = gateway.log.settled(4);
    let attempts: Vec<_> = told.finished.iter().map(|(_, ended)| ended.attempts).collect();
    assert_eq!(attempts, [1, 4, 4, 1]);

    let gateway = Gateway::with(retrying(2, true), &[upstream.address], |_| {});
    let mut client = Client::connect(gateway.address());
    client.send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\nhi");
    assert_eq!(client.answer(false).status, 503);
    assert_eq!(gateway.log.settled(1).finished[0].1.attempts, 3);
}

#[test]
fn a_connection_that_the_upstream_closed_meanwhile_costs_nobody_an_answer() {
    // Answers one request on each connection, and closes when the next has come.
    let upstream = Upstream::scripted(|mut connection| async move {
        connection.request().await?;
        connection.send(&ok("hello")).await?;
        connection.request().await?;
        Ok(())
    });
    let gateway = Gateway::proxy(upstream.address);
    let mut client = Client::connect(gateway.address());
    for _ in 0..10 {
        assert_eq!(client.get("/").status, 200);
    }
    // What may have been carried out is not sent again.
    client.send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\nhi");
    assert_eq!(client.answer(false).status, 502);
    let told = gateway.log.settled(11);
    assert!(told.finished.iter().all(|(_, ended)| ended.attempts == 1));
}

/// Under a clock that all but stands, each algorithm lets through what it lets through at one instant.
#[test]
fn every_algorithm_counts_the_same_as_without_sockets() {
    let upstream = hello();
    for algorithm in Algorithm::ALL {
        let mut per_key = RateLimit::new(algorithm, 200, MINUTE).unwrap();
        if algorithm.has_burst() {
            per_key = per_key.with_burst(50).unwrap();
        }
        if algorithm.has_delay() {
            // Nobody's turn would come.
            per_key = per_key.with_delay(50).unwrap();
        }
        let limits = RateLimits { per_key: per_key.into(), ..RateLimits::default() };
        let config = GatewayConfig { limits, ..GatewayConfig::default() };
        let gateway = Gateway::at_speed(1e-6, config, &[upstream.address], |_| {});
        let mut client = Client::connect(gateway.address());
        for key in ["a", "b"] {
            let request = get("/", &format!("x-api-key: {key}\r\n"));
            let admitted = (0..300).filter(|_| client.send(&request).answer(false).status == 200).count();
            assert_eq!(admitted, per_key.allowance() as usize, "{algorithm}");
        }
        gateway.log.settled(600);
    }
}

fn leaky(limit: u32, burst: u32) -> RateLimits {
    let leaky = RateLimit::new(Algorithm::LeakyBucket, limit, MINUTE).unwrap().with_burst(burst).unwrap();
    RateLimits { per_key: leaky.into(), ..RateLimits::default() }
}

/// One each ten seconds, by a clock fifty times as fast: the first passes, and the others have their turn one after the other.
#[test]
fn whoever_waits_for_its_turn_is_passed_on_when_it_comes() {
    let upstream = hello();
    let config = GatewayConfig { limits: leaky(6, 3), pool: pool(1, 0, None), ..GatewayConfig::default() };
    let gateway = Gateway::at_speed(50.0, config, &[upstream.address], |_| {});
    let mut clients: Vec<_> = (0..4).map(|_| Client::connect(gateway.address())).collect();
    for (number, client) in clients.iter_mut().enumerate() {
        client.send(get("/", ""));
        gateway.log.until("a decision", |told| told.decided.len() > number);
    }
    // Nobody holds the only worker while it waits.
    assert!(clients.iter_mut().all(|client| client.answer(false).status == 200));
    let told = gateway.log.settled(4);
    // However slowly they were sent: the marks are their numbers.
    let delayed = |(mark, (_, decision)): (u64, &(_, Decision))| {
        matches!(decision, Decision::Delay { .. }).then_some(mark)
    };
    let delayed: Vec<u64> = (0..).zip(&told.decided).filter_map(delayed).collect();
    let turns: Vec<u64> = told.turned.iter().map(|(mark, _)| mark.0).collect();
    assert_eq!((told.served(), &turns), (4, &delayed));
    assert!(!delayed.is_empty(), "{told:?}");
    assert!(told.turned.iter().all(|(_, decision)| matches!(decision, Decision::Forward(_))), "{told:?}");
}

/// Under a clock that all but stands, its turn never comes, and it leaves.
#[test]
fn who_leaves_while_it_waits_for_its_turn_is_told_once_and_held_nothing() {
    let upstream = hello();
    let config = GatewayConfig { limits: leaky(60, 1), ..GatewayConfig::default() };
    let gateway = Gateway::at_speed(1e-6, config, &[upstream.address], |_| {});
    assert_eq!(Client::connect(gateway.address()).get("/").status, 200);
    let mut waiting = Client::connect(gateway.address());
    waiting.send(get("/", ""));
    let told = gateway.log.until("a wait", |told| told.decided.len() == 2);
    assert!(matches!(told.decided[1].1, Decision::Delay { .. }), "{told:?}");
    assert_eq!(told.load, (0, 0));
    // One more than may wait.
    let rejected = Client::connect(gateway.address()).get("/");
    assert_eq!(rejected.status, 429);
    drop(waiting);
    let told = gateway.log.settled(3);
    assert_eq!((told.served(), told.turned.len()), (1, 0));
    assert_eq!(told.ends().iter().filter(|end| **end == RequestEnd::ClientLeft).count(), 1);
}

#[test]
fn a_breaker_ends_the_gateways_own_retries() {
    let upstream = Upstream::answering(|_| Reply::Send(UNAVAILABLE.to_vec()));
    let breaker = BreakerConfig::new(MINUTE, 1.0, 2).ok();
    let upstreams = vec![UpstreamPolicy { breaker, ..UpstreamPolicy::default() }];
    let config = GatewayConfig { upstreams, ..retrying(5, false) };
    let gateway = Gateway::with(config, &[upstream.address], |_| {});
    let answer = Client::connect(gateway.address()).get("/");
    assert_eq!(answer.status, 503);
    assert!(answer.text().contains(r#""reason":"short-circuited""#), "{}", answer.text());
    let told = gateway.log.settled(1);
    assert_eq!(told.finished[0].1.attempts, 2);
    assert_eq!(told.rejected(|why| matches!(why, Rejection::ShortCircuited { .. })), 1);
}

/// A wait that would take an hour, and a client that does not.
#[test]
fn who_leaves_between_two_attempts_frees_the_worker() {
    let upstream = Upstream::answering(|_| Reply::Send(UNAVAILABLE.to_vec()));
    let on = FailureSet { server_errors: true, ..FailureSet::default() };
    let backoff = Backoff::fixed(60 * MINUTE, Jitter::None).unwrap();
    let policy = RetryPolicy { retries: 1, on, backoff, ..RetryPolicy::default() };
    let retry = Some(GatewayRetry { policy, non_idempotent: false });
    let gateway = Gateway::with(
        GatewayConfig { retry, pool: pool(1, 1, None), ..GatewayConfig::default() },
        &[upstream.address],
        |_| {},
    );
    let mut client = Client::connect(gateway.address());
    client.send(get("/", ""));
    upstream.next();
    gateway.log.until("a worker", |told| told.load == (1, 0));
    drop(client);
    let told = gateway.log.settled(1);
    assert_eq!((told.ends(), told.finished[0].1.attempts), (vec![RequestEnd::ClientLeft], 1));
}

/// The first attempt hangs before its answer, the second one's body trickles for longer than an attempt may take.
#[test]
fn an_attempt_without_an_answer_is_made_again_and_one_whose_answer_has_begun_is_not() {
    let upstream = Upstream::answering(|request| match request.values("x-gateway-attempt")[..] {
        [] => Reply::Hang(Vec::new()),
        _ => Reply::Hang(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n".to_vec()),
    });
    let retrying = |timeout| {
        let on = FailureSet { timeout: true, ..FailureSet::default() };
        let policy = RetryPolicy { retries: 3, on, ..RetryPolicy::default() };
        GatewayConfig {
            try_timeout: Some(Duration::from_secs(5)),
            timeout,
            retry: Some(GatewayRetry { policy, non_idempotent: false }),
            ..GatewayConfig::default()
        }
    };
    let gateway =
        Gateway::at_speed(50.0, retrying(Some(Duration::from_secs(60))), &[upstream.address], |_| {});
    let mut client = Client::connect(gateway.address());
    client.send(get("/", ""));
    assert!(client.take(12).is_ok_and(|head| head == b"HTTP/1.1 200"));
    let told = gateway.log.settled(1);
    // The whole timeout ends the second attempt, whose answer has begun.
    assert_eq!(told.ends(), [RequestEnd::Attempt(AttemptEnd::TimedOut)]);
    assert_eq!(told.finished[0].1.attempts, 2);
}

#[test]
fn an_attempt_that_takes_too_long_is_a_timeout_where_none_is_left() {
    let upstream = Upstream::answering(|_| Reply::Hang(Vec::new()));
    let try_timeout = Some(Duration::from_secs(5));
    let config = GatewayConfig { try_timeout, ..GatewayConfig::default() };
    let gateway = Gateway::at_speed(50.0, config, &[upstream.address], |_| {});
    assert_eq!(Client::connect(gateway.address()).get("/").status, 504);
    let told = gateway.log.settled(1);
    assert_eq!(told.ends(), [RequestEnd::Attempt(AttemptEnd::TimedOut)]);
}

/// The answer asks for an hour: a gateway that honours the wish still waits when its client leaves.
#[test]
fn the_gateway_waits_as_long_as_an_answer_asks_for() {
    let asks: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 3600\r\ncontent-length: 0\r\n\r\n";
    let upstream = Upstream::answering(|_| Reply::Send(asks.to_vec()));
    for (honor_retry_after, attempts) in [(false, 3), (true, 1)] {
        let mut config = retrying(2, false);
        config.retry.as_mut().unwrap().policy.honor_retry_after = honor_retry_after;
        let gateway = Gateway::with(config, &[upstream.address], |_| {});
        let mut client = Client::connect(gateway.address());
        client.send(get("/", ""));
        if honor_retry_after {
            upstream.next();
            gateway.log.until("a worker", |told| told.load == (1, 0));
            drop(client);
        } else {
            let answer = client.answer(false);
            assert_eq!(answer.value("retry-after"), Some("3600"), "the client is told, too");
            (0..3).for_each(|_| _ = upstream.next());
        }
        assert_eq!(gateway.log.settled(1).finished[0].1.attempts, attempts);
    }
}

/// The timeout runs over all attempts: this one strikes while the gateway waits for the answer to its second.
#[test]
fn one_timeout_covers_all_attempts() {
    let upstream = Upstream::answering(|request| match request.values("x-gateway-attempt")[..] {
        [] => Reply::Send(UNAVAILABLE.to_vec()),
        _ => Reply::Hang(Vec::new()),
    });
    let config = GatewayConfig { timeout: Some(Duration::from_secs(20)), ..retrying(3, false) };
    let gateway = Gateway::at_speed(100.0, config, &[upstream.address], |_| {});
    assert_eq!(Client::connect(gateway.address()).get("/").status, 504);
    let told = gateway.log.settled(1);
    assert_eq!(
        (told.ends(), told.finished[0].1.attempts),
        (vec![RequestEnd::Attempt(AttemptEnd::TimedOut)], 2)
    );
}
