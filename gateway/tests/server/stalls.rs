//! Clients that keep the gateway waiting: their time is their own, and no upstream is blamed for it.

use std::num::NonZeroU32;
use std::time::Duration;

use ::gateway::{AttemptEnd, RequestEnd};
use ::gateway::{
    BreakerConfig, ClientTimeouts, Condition, FailureSet, GatewayConfig, GatewayRetry, HalfOpen, Rejection,
    RetryPolicy, UpstreamPolicy,
};
use http::{Request, StatusCode};

use crate::client::Client;
use crate::gateway::{Gateway, Told};
use crate::http2::{Script, connected};
use crate::upstream::{Reply, Upstream, ok};

const MINUTE: Duration = Duration::from_secs(60);

/// More than the buffers of two sockets and of the gateway hold.
const LONG: usize = 16 * 1024 * 1024;

/// An upstream whose answers have no end.
fn endless() -> Upstream {
    Upstream::scripted(|mut connection| async move {
        while let Some(request) = connection.head().await? {
            if request.target() != "/endless" {
                connection.send(&ok("fine")).await?;
                continue;
            }
            connection.send(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await?;
            let mut chunk = b"10000\r\n".to_vec();
            chunk.resize(chunk.len() + 0x10000, b'x');
            chunk.extend(b"\r\n");
            while connection.send(&chunk).await.is_ok() {}
        }
        Ok(())
    })
}

/// What is well, and what is not.
fn upstream() -> Upstream {
    Upstream::answering(|request| match request.target() {
        "/fails" => Reply::Send(b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\n\r\n".to_vec()),
        "/long" => Reply::Send(ok(vec![b'x'; LONG])),
        "/hangs" => Reply::Hang(Vec::new()),
        _ => Reply::Send(ok("fine")),
    })
}

/// A gateway that gives its upstream ten seconds and its clients twelve, and opens its breaker after 20 requests.
fn config(probe_interval: Duration) -> GatewayConfig {
    let single = HalfOpen::SingleProbe { successes_to_close: NonZeroU32::MIN };
    let breaker =
        BreakerConfig::new(MINUTE, 0.5, 20).unwrap().with_half_open(probe_interval, single).unwrap();
    let policy = UpstreamPolicy { breaker: Some(breaker), ..UpstreamPolicy::default() };
    let twelve = Duration::from_secs(12);
    GatewayConfig {
        timeout: Some(Duration::from_secs(10)),
        client: ClientTimeouts { upload: twelve, download: twelve },
        upstreams: vec![policy],
        ..GatewayConfig::default()
    }
}

const STALLED: &str = "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\n1";

#[track_caller]
fn blames_nobody(told: &Told, clients: usize, end: RequestEnd) {
    let ends = told.ends();
    assert_eq!(ends.iter().filter(|one| **one == end).count(), clients, "{ends:?}");
    assert_eq!(told.transitions, [], "the upstream is well");
}

#[test]
fn uploads_that_stall_open_no_breaker() {
    let upstream = upstream();
    let gateway = Gateway::at_speed(10.0, config(MINUTE), &[upstream.address], |_| {});
    let mut clients: Vec<_> = (0..25).map(|_| Client::connect(gateway.address())).collect();
    for client in &mut clients {
        client.send(STALLED);
    }
    for client in &mut clients {
        let answer = client.answer(false);
        assert_eq!((answer.status, answer.value("connection")), (408, Some("close")));
        assert!(answer.text().contains(r#""reason":"body-timeout""#), "{}", answer.text());
    }
    assert_eq!(Client::connect(gateway.address()).get("/").status, 200);
    blames_nobody(&gateway.log.settled(26), 25, RequestEnd::Malformed { status: 408 });
}

#[test]
fn answers_that_are_not_read_open_no_breaker() {
    let upstream = endless();
    let gateway = Gateway::at_speed(10.0, config(MINUTE), &[upstream.address], |_| {});
    let mut clients: Vec<_> = (0..25).map(|_| Client::connect(gateway.address())).collect();
    for client in &mut clients {
        client.send("GET /endless HTTP/1.1\r\nhost: a\r\n\r\n");
    }
    gateway.log.until("all have ended", |told| told.finished.len() == 25);
    assert_eq!(Client::connect(gateway.address()).get("/").status, 200);
    blames_nobody(&gateway.log.settled(26), 25, RequestEnd::ClientLeft);
}

#[test]
fn bodies_that_never_begin_over_http2_open_no_breaker() {
    let upstream = upstream();
    let gateway = Gateway::at_speed(10.0, config(MINUTE), &[upstream.address], |_| {});
    connected(gateway.address(), |mut sender| async move {
        let stalled = || {
            let body = Script { data: None, trailers: None, stalls: true };
            Request::post("http://gateway.test/").header("expect", "100-continue").body(body).unwrap()
        };
        let answers: Vec<_> = (0..25).map(|_| sender.send_request(stalled())).collect();
        for answer in answers {
            assert_eq!(answer.await.unwrap().status(), StatusCode::REQUEST_TIMEOUT);
        }
    });
    assert_eq!(Client::connect(gateway.address()).get("/").status, 200);
    blames_nobody(&gateway.log.settled(26), 25, RequestEnd::Malformed { status: 408 });
}

#[test]
fn an_upload_that_trickles_has_an_end() {
    let upstream = upstream();
    let gateway = Gateway::at_speed(10.0, config(MINUTE), &[upstream.address], |_| {});
    let mut client = Client::connect(gateway.address());
    client.send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 100000\r\n\r\n");
    // A byte in each tenth of the time that it may pause for, until it is told to stop.
    client.stream.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    let answer = loop {
        let mut first = [0];
        match client.stream.peek(&mut first) {
            Ok(_) => break client.answer(false),
            Err(_) => _ = client.send("1"),
        }
    };
    assert_eq!(answer.status, 408);
}

/// An upload may take its time: the route's timeout begins when the gateway waits for the upstream.
#[test]
fn a_slow_upload_is_served_and_a_slow_upstream_is_still_told_from_it() {
    let upstream = upstream();
    let mut config = config(MINUTE);
    config.client.upload = MINUTE;
    // A retry's wait is held against the same time: what was the client's does not count.
    let on = FailureSet { server_errors: true, ..FailureSet::default() };
    let policy = RetryPolicy { retries: 1, on, ..RetryPolicy::default() };
    config.retry = Some(GatewayRetry { policy, non_idempotent: true });
    let gateway = Gateway::at_speed(10.0, config, &[upstream.address], |_| {});
    for (path, status) in [("/", 200), ("/fails", 500), ("/hangs", 504)] {
        let mut client = Client::connect(gateway.address());
        client.send(format!("POST {path} HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\n1"));
        let other = Client::connect(gateway.address()).get("/hangs");
        assert_eq!(other.status, 504, "a whole timeout has passed");
        client.send("234567890");
        assert_eq!(client.answer(false).status, status, "{path}");
    }
    let told = gateway.log.settled(6);
    let attempts = told.finished.iter().map(|(_, ended)| (ended.end, ended.attempts)).max_by_key(|one| one.1);
    assert_eq!(
        attempts,
        Some((RequestEnd::Attempt(AttemptEnd::Answered(500)), 2)),
        "it was tried again after its timeout's time"
    );
}

/// A gateway whose breaker is open, and may be probed from now on.
fn open(upstream: &Upstream) -> Gateway {
    let mut config = config(Duration::from_nanos(1));
    // Nothing but the breaker's own rule frees a probe's place.
    (config.timeout, config.client) = (None, ClientTimeouts { upload: 60 * MINUTE, download: 60 * MINUTE });
    let gateway = Gateway::at_speed(10.0, config, &[upstream.address], |_| {});
    trip(&gateway);
    gateway
}

fn trip(gateway: &Gateway) {
    let mut client = Client::connect(gateway.address());
    for _ in 0..20 {
        assert_eq!(client.get("/fails").status, 500);
    }
    gateway
        .log
        .until("it opens", |told| told.transitions.last().is_some_and(|last| last.to == Condition::Open));
}

fn is_closed(told: &Told) -> bool {
    told.transitions.last().is_some_and(|last| last.to == Condition::Closed)
}

#[test]
fn an_upload_that_stalls_takes_no_probe() {
    let upstream = upstream();
    let gateway = open(&upstream);
    let mut stalled = Client::connect(gateway.address());
    stalled.send(STALLED);
    assert_eq!(Client::connect(gateway.address()).get("/").status, 200, "this one is the probe");
    assert!(is_closed(&gateway.log.until("it closes", is_closed)));
    stalled.send("234567890");
    assert_eq!(stalled.answer(false).status, 200);
    gateway.log.settled(22);
}

#[test]
fn an_upload_that_is_whole_is_a_probe_and_reaches_the_upstream_whole() {
    let upstream = upstream();
    let gateway = open(&upstream);
    for _ in 0..20 {
        assert_eq!(upstream.next().target(), "/fails");
    }
    let mut client = Client::connect(gateway.address());
    client.send("POST /chunked HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\ntrailer: x-sum\r\n\r\n");
    for _ in 0..100 {
        client.send("c8\r\n").send("y".repeat(200)).send("\r\n");
    }
    client.send("0\r\nx-sum: 42\r\n\r\n");
    assert_eq!(client.answer(false).status, 200);
    gateway.log.until("it closes", is_closed);
    let request = upstream.next();
    assert_eq!(request.target(), "/chunked");
    assert!(request.body == "y".repeat(20_000).into_bytes());
    assert!(request.raw_body.ends_with(b"0\r\nx-sum: 42\r\n\r\n"));
}

#[test]
fn an_upload_longer_than_what_is_kept_takes_no_probe() {
    let upstream = upstream();
    let gateway = open(&upstream);
    let mut client = Client::connect(gateway.address());
    client.send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 80000\r\n\r\n").send("y".repeat(70_000));
    let answer = client.answer(false);
    assert_eq!(answer.status, 503);
    assert!(answer.text().contains(r#""reason":"short-circuited""#), "{}", answer.text());
    let told = gateway.log.settled(21);
    assert_eq!(told.rejected(|why| matches!(why, Rejection::ShortCircuited { .. })), 1);
    assert_eq!(told.transitions.len(), 1, "it is open as before");
}

#[test]
fn who_leaves_before_its_upload_is_whole_is_told_of() {
    let upstream = upstream();
    let gateway = open(&upstream);
    let mut stalled = Client::connect(gateway.address());
    stalled.send(STALLED);
    drop(stalled);
    let last = gateway.log.settled(21).ends().pop();
    let is_told =
        matches!(last, Some(RequestEnd::ClientLeft | RequestEnd::Rejected(Rejection::ShortCircuited { .. })));
    assert!(is_told, "{last:?}");
}

#[test]
fn a_probe_whose_answer_is_not_read_is_judged_by_what_it_was_until_then() {
    let upstream = upstream();
    let gateway = open(&upstream);
    let mut unread = Client::connect(gateway.address());
    unread.send("GET /long HTTP/1.1\r\nhost: a\r\n\r\n");
    gateway.log.until("it closes", is_closed);
    assert_eq!(
        gateway.log.until("another", |told| told.load.0 == 1).finished.len(),
        20,
        "it is still under way"
    );
    assert_eq!(Client::connect(gateway.address()).get("/").status, 200);
    assert_eq!(unread.answer(false).body.len(), LONG, "and is served");
    gateway.log.settled(22);
}

/// An upstream may begin to answer before the request is whole. A body that goes wrong then breaks the connection to it.
#[test]
fn a_body_that_goes_wrong_after_the_answer_has_begun_is_its_clients_fault() {
    let upstream = Upstream::scripted(|mut connection| async move {
        connection.head().await?;
        connection.send(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nfive!").await?;
        connection.closed().await;
        Ok(())
    });
    let gateway = Gateway::with(config(MINUTE), &[upstream.address], |_| {});
    for _ in 0..25 {
        let mut client = Client::connect(gateway.address());
        client.send("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n");
        assert_eq!(client.try_head().unwrap().status, 200);
        assert_eq!(client.take(5).unwrap(), b"five!");
        client.send("no chunk\r\n");
        while client.take(1).is_ok() {}
    }
    blames_nobody(&gateway.log.settled(25), 25, RequestEnd::ClientLeft);
}
