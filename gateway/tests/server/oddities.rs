//! What clients and upstreams may do, and seldom do.

use std::io::Write;
use std::net::Shutdown;
use std::sync::Arc;
use std::time::Duration;

use ::gateway::{AttemptEnd, RequestEnd};
use socket2::{Domain, Socket, Type};
use tokio::sync::Notify;

use crate::client::{Answer, Client};
use crate::gateway::Gateway;
use crate::upstream::{Reply, Upstream, ok};

#[test]
fn nobody_is_shown_what_an_upstream_is_told() {
    let upstream = Upstream::answering(|request| Reply::Send(ok(&request.head)));
    let gateway = Gateway::proxy(upstream.address);
    let mut client = Client::connect(gateway.address());
    client.send("TRACE / HTTP/1.1\r\nhost: a\r\n\r\n");
    let answer = client.answer(false);
    assert_eq!((answer.status, answer.value("connection")), (501, Some("close")));
    assert!(upstream.received.try_recv().is_err());
}

#[test]
fn hints_come_before_their_answer() {
    let go = Arc::new(Notify::new());
    let upstream = Upstream::hinting(&go);
    let gateway = Gateway::proxy(upstream.address);
    let mut client = Client::connect(gateway.address());
    for _ in 0..2 {
        client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
        let hints = client.answer(false);
        assert_eq!((hints.status, hints.value("link"), hints.value("x-hop")), (103, Some("</a.css>"), None));
        // It has no content (RFC 9110, 8.6).
        assert_eq!(hints.value("content-length"), None);
        go.notify_one();
        // Even those that come with the answer come before it.
        assert_eq!(client.answer(false).status, 103);
        let answer = client.answer(false);
        assert_eq!((answer.status, answer.text().as_str()), (200, "fine"));
    }
    // A client of before knows of no such answers (RFC 9110, 15.2).
    client.send("GET / HTTP/1.0\r\nhost: a\r\n\r\n");
    go.notify_one();
    assert_eq!(client.answer(false).status, 200);
    gateway.log.settled(3);
}

#[test]
fn an_upstream_that_hints_for_ever_is_given_up() {
    let upstream = Upstream::scripted(|mut connection| async move {
        connection.head().await?;
        while connection.send(b"HTTP/1.1 103 Early Hints\r\n\r\n").await.is_ok() {}
        Ok(())
    });
    let gateway = Gateway::proxy(upstream.address);
    let mut client = Client::connect(gateway.address());
    client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    let mut hints = 0;
    let answer = loop {
        match client.answer(false) {
            answer if answer.status == 103 => hints += 1,
            answer => break answer,
        }
    };
    assert_eq!((answer.status, hints), (502, 32));
    assert_eq!(gateway.log.settled(1).ends(), [RequestEnd::Attempt(AttemptEnd::Broken)]);
}

#[test]
fn an_answer_that_comes_before_a_reset_is_passed_on() {
    let upstream = Upstream::scripted(|mut connection| async move {
        connection.head().await?;
        connection
            .send(b"HTTP/1.1 413 Content Too Large\r\ncontent-length: 2\r\nconnection: close\r\n\r\nno")
            .await?;
        // What is not read is answered by a reset.
        Ok(())
    });
    let gateway = Gateway::proxy(upstream.address);
    for _ in 0..20 {
        let mut client = Client::connect(gateway.address());
        client.send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1000000\r\n\r\n");
        // As much of it as there is somebody to take.
        let _ = client.stream.write_all(&vec![b'y'; 999_999]);
        let answer = client.answer(false);
        assert_eq!((answer.status, answer.text().as_str()), (413, "no"));
    }
    let told = gateway.log.settled(20);
    assert!(
        told.ends().iter().all(|end| *end == RequestEnd::Attempt(AttemptEnd::Answered(413))),
        "{:?}",
        told.ends()
    );
}

/// Answers of a client that sends no more, beside what it was asked in between.
fn after_the_last_byte(client: &mut Client) -> Answer {
    loop {
        match client.answer(false) {
            asked if asked.status == 100 => {}
            answer => return answer,
        }
    }
}

#[test]
fn who_sends_no_more_is_answered() {
    let go = Arc::new(Notify::new());
    let upstream = {
        let go = Arc::clone(&go);
        Upstream::answering(move |request| match request.target() {
            "/late" => Reply::When(Arc::clone(&go), ok("late")),
            _ => Reply::Send(ok(&request.body)),
        })
    };
    let gateway = Gateway::proxy(upstream.address);
    let post =
        |body: &str| format!("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    let mut client = Client::connect(gateway.address());
    client.send(post("one")).send(post("two")).send("GET /late HTTP/1.1\r\nhost: a\r\n\r\n");
    client.stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(after_the_last_byte(&mut client).text(), "one");
    assert_eq!(after_the_last_byte(&mut client).text(), "two");
    go.notify_one();
    let answer = after_the_last_byte(&mut client);
    assert_eq!((answer.status, answer.text().as_str()), (200, "late"));
    assert!(client.is_closed());
    assert!(
        gateway
            .log
            .settled(3)
            .ends()
            .iter()
            .all(|end| *end == RequestEnd::Attempt(AttemptEnd::Answered(200)))
    );
}

#[test]
fn who_sends_no_more_within_its_answer_gets_the_rest() {
    const LONG: usize = 16 * 1024 * 1024;
    const PIECE: usize = 64 * 1024;
    let upstream = Upstream::answering(|_| Reply::Send(ok(vec![b'x'; LONG])));
    let gateway = Gateway::with(::gateway::GatewayConfig::default(), &[upstream.address], |config| {
        // However long a busy machine lets it wait.
        config.http.half_closed_timeout = Duration::from_secs(600);
    });
    // With little room, so that its system does not take all for it.
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(PIECE).unwrap();
    socket.connect(&gateway.address().into()).unwrap();
    let mut client = Client::over(socket.into());
    client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    let head = client.try_head().unwrap();
    assert_eq!(head.status, 200);
    client.stream.shutdown(Shutdown::Write).unwrap();
    // So slowly that the gateway has all of it before the last of it is written.
    for taken in 0..LONG / PIECE {
        assert!(client.take(PIECE).is_ok(), "{taken} of {}", LONG / PIECE);
        std::thread::sleep(Duration::from_millis(1));
    }
    assert!(client.is_closed());
    assert_eq!(gateway.log.settled(1).served(), 1);
}

#[test]
fn who_has_left_holds_nothing() {
    let upstream = Upstream::answering(|request| match request.target() {
        "/begun" => Reply::Hang(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nfive!".to_vec()),
        _ => Reply::Hang(Vec::new()),
    });
    let gateway = Gateway::proxy(upstream.address);
    let before =
        Client::connect(gateway.address()).send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").stream.try_clone();
    let mut old = Client::connect(gateway.address());
    old.send("GET / HTTP/1.0\r\nhost: a\r\n\r\n");
    let mut begun = Client::connect(gateway.address());
    begun.send("GET /begun HTTP/1.1\r\nhost: a\r\n\r\n");
    begun.try_head().unwrap();
    begun.take(5).unwrap();
    gateway.log.until("all are there", |told| told.load.0 == 3);
    drop((before, old, begun));
    let told = gateway.log.settled(3);
    assert!(told.ends().iter().all(|end| *end == RequestEnd::ClientLeft), "{:?}", told.ends());
}

#[test]
fn a_tunnel_at_rest_does_not_hold_a_shutdown() {
    let upstream = Upstream::scripted(|mut connection| async move {
        connection.head().await?;
        connection
            .send(b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n")
            .await?;
        connection.closed().await;
        Ok(())
    });
    let Gateway { server, log } = Gateway::proxy(upstream.address);
    let mut client = Client::connect(server.address());
    client.send("GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n");
    assert_eq!(client.answer(false).status, 101);
    log.settled(1);
    // Nobody waits for that long.
    let shutdown = std::thread::spawn(move || server.shutdown(Duration::from_secs(3_600)));
    assert!(client.is_closed());
    assert_eq!(shutdown.join().unwrap().requests_cut, 0);
}
