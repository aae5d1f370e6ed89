//! Bodies that nobody needs: read to keep the connection, or left with a word that it closes (RFC 9112, 9.6).

use std::io::Write;
use std::time::Duration;

use ::gateway::{Algorithm, GatewayConfig, RateLimit, RateLimits};

use crate::client::{Answer, Client};
use crate::gateway::Gateway;
use crate::upstream::{Reply, Upstream, Vacant, ok};

/// As much as is read of a body that nobody needs.
const MOST: usize = 256 * 1024;

fn request(path: &str, fields: &str, body: &[u8]) -> Vec<u8> {
    [format!("POST {path} HTTP/1.1\r\nhost: a\r\n{fields}\r\n").as_bytes(), body].concat()
}

fn sized(path: &str, length: usize) -> Vec<u8> {
    request(path, &format!("content-length: {length}\r\n"), &vec![b'x'; length])
}

/// In three chunks, with a trailer.
fn chunked(path: &str, length: usize) -> Vec<u8> {
    let chunk = |length: usize| [format!("{length:x}\r\n").as_bytes(), &vec![b'x'; length], b"\r\n"].concat();
    let first = length / 3;
    let body =
        [chunk(first), chunk(first), chunk(length - 2 * first), b"0\r\nx: y\r\n\r\n".to_vec()].concat();
    request(path, "transfer-encoding: chunked\r\n", &body)
}

/// A gateway that answers by itself: what no route leads to, and what leads to nobody.
fn refusing(upstream: &Upstream, vacant: &Vacant) -> Gateway {
    let mut config = GatewayConfig::default();
    let mut routes: Vec<_> = crate::gateway::routes(2).iter().cloned().collect();
    "/fine".clone_into(&mut routes[0].path);
    "/away".clone_into(&mut routes[1].path);
    config.routes = ::gateway::Routes::new(routes).unwrap();
    Gateway::with(config, &[upstream.address, vacant.address], |_| {})
}

fn closes(answer: &Answer) -> bool {
    answer.value("connection") == Some("close")
}

#[test]
fn a_body_that_nobody_needs_is_read_to_its_end() {
    let (upstream, vacant) = (Upstream::answering(|_| Reply::Send(ok("fine"))), Vacant::new());
    let gateway = refusing(&upstream, &vacant);
    for (path, status) in [("/nowhere", 404), ("/away", 502)] {
        let mut client = Client::connect(gateway.address());
        for length in [5, 20_000, MOST] {
            for request in [sized(path, length), chunked(path, length)] {
                client.send(request);
                let answer = client.answer(false);
                assert_eq!((answer.status, answer.value("connection")), (status, None), "{path} {length}");
                assert_eq!(client.get("/fine").text(), "fine", "{path} {length}");
            }
        }
    }
}

#[test]
fn a_long_body_that_nobody_needs_ends_its_connection_in_so_many_words() {
    let (upstream, vacant) = (Upstream::answering(|_| Reply::Send(ok("fine"))), Vacant::new());
    let gateway = refusing(&upstream, &vacant);
    for (path, status) in [("/nowhere", 404), ("/away", 502)] {
        for request in [sized(path, MOST + 1), chunked(path, 3 * MOST / 2)] {
            let mut client = Client::connect(gateway.address());
            // As much of it as there is somebody to take.
            let _ = client.stream.write_all(&request);
            let answer = client.answer(false);
            assert_eq!((answer.status, closes(&answer)), (status, true), "{path}");
            assert!(client.is_closed(), "{path}");
        }
    }
}

#[test]
fn a_client_that_is_refused_is_not_asked_for_its_body() {
    let (upstream, vacant) = (Upstream::answering(|_| Reply::Send(ok("fine"))), Vacant::new());
    let gateway = refusing(&upstream, &vacant);
    let mut client = Client::connect(gateway.address());
    client.send(request("/nowhere", "expect: 100-continue\r\ncontent-length: 5\r\n", b""));
    let answer = client.answer(false);
    assert_eq!((answer.status, closes(&answer)), (404, true));
    assert!(client.is_closed());
}

#[test]
fn a_body_that_does_not_come_ends_its_connection() {
    let (upstream, vacant) = (Upstream::answering(|_| Reply::Send(ok("fine"))), Vacant::new());
    let gateway = refusing(&upstream, &vacant);
    // One that does not go on, and one that does for longer than anybody waits.
    let mut silent = Client::connect(gateway.address());
    silent.send(request("/nowhere", "content-length: 100000\r\n", b"begun"));
    let mut slow = Client::connect(gateway.address());
    slow.send(request("/nowhere", "content-length: 100000\r\n", b"begun"));
    let mut dribble = slow.stream.try_clone().unwrap();
    let dribbles = std::thread::spawn(move || {
        for _ in 0..5_000 {
            if dribble.write_all(b"x").is_err() {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("nobody closed");
    });
    for (what, mut client) in [("silent", silent), ("slow", slow)] {
        let answer = client.answer(false);
        assert_eq!((answer.status, closes(&answer)), (404, true), "{what}");
        assert!(client.is_closed(), "{what}");
    }
    dribbles.join().unwrap();
}

#[test]
fn a_rejected_body_costs_no_request_behind_it() {
    let upstream = Upstream::answering(|request| Reply::Send(ok(request.body.len().to_string())));
    let mut config = GatewayConfig::default();
    let once = RateLimit::new(Algorithm::FixedWindow, 1, Duration::from_secs(86_400)).unwrap();
    config.limits = RateLimits { per_key: once.into(), ..RateLimits::default() };
    let gateway = Gateway::with(config, &[upstream.address], |_| {});
    let mut client = Client::connect(gateway.address());
    for (key, status) in [("a", 200), ("a", 429), ("b", 200), ("b", 429), ("a", 429), ("c", 200)] {
        client.send(request(
            "/",
            &format!("x-api-key: {key}\r\ncontent-length: 100000\r\n"),
            &vec![b'x'; 100_000],
        ));
        let answer = client.answer(false);
        assert_eq!((answer.status, answer.value("connection")), (status, None), "{key}");
    }
}

/// The body of a request that an upstream has refused goes on its way for as long as both like; the client need not send it all.
#[test]
fn an_early_refusal_says_that_it_is_the_end() {
    let upstream = Upstream::scripted(|mut connection| async move {
        connection.head().await?;
        connection.send(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\n").await?;
        connection.skip(100_000).await?;
        connection.send(b"no").await
    });
    let gateway = Gateway::proxy(upstream.address);
    let mut client = Client::connect(gateway.address());
    client.send(request("/", "content-length: 100000\r\n", b""));
    let head = client.try_head().unwrap();
    assert_eq!((head.status, closes(&head)), (403, true));
    client.send(vec![b'x'; 100_000]);
    assert_eq!(client.take(2).unwrap(), b"no");
    assert!(client.is_closed());
}
