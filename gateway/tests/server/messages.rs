//! Messages on their way through: fields, bodies, framings.

use std::sync::{Arc, mpsc};

use ::gateway::{AttemptEnd, RequestEnd};
use tokio::sync::Notify;

use crate::client::Client;
use crate::gateway::Gateway;
use crate::upstream::{Reply, Upstream, ok};

fn echo() -> Upstream {
    Upstream::answering(|request| Reply::Send(ok(&request.body)))
}

#[test]
fn a_client_says_nothing_of_the_way_in_any_spelling() {
    let upstream = Upstream::answering(|_| Reply::Send(ok("fine")));
    let gateway = Gateway::proxy(upstream.address);
    let mut client = Client::connect(gateway.address());
    let names = [
        "X_Forwarded_For",
        "x.forwarded.for",
        "X-Forwarded_Host",
        "X-Forwarded-Port",
        "X-Forwarded-Prefix",
        "X-Real-IP",
        "x_real_ip",
        "True-Client-IP",
        "X-Original-URL",
        "x_rewrite_url",
        "Forwarded",
        "x_gateway_attempt",
        "Content_Length",
        "transfer_encoding",
    ];
    let fields = names.map(|name| format!("{name}: evil\r\n")).concat();
    client.send(format!(
        "POST / HTTP/1.1\r\nhost: a\r\nx-forward: kept\r\nx-real: kept\r\ntransfer-encoding: chunked\r\n{fields}\r\n\
         1\r\nx\r\n0\r\nx-sum: 7\r\n{fields}\r\n"
    ));
    assert_eq!(client.answer(false).status, 200);
    let request = upstream.next();
    assert!(!request.head.contains("evil"), "{}", request.head);
    assert!(!String::from_utf8_lossy(&request.raw_body).contains("evil"));
    assert_eq!(request.values("x-forwarded-for"), ["127.0.0.1"]);
    assert_eq!([request.values("x-forward"), request.values("x-real")], [["kept"], ["kept"]]);
}

#[test]
fn fields_of_one_connection_stay_there_and_others_pass() {
    let upstream = Upstream::answering(|_| {
        Reply::Send(
            b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: x-private, keep-alive\r\nx-private: 1\r\n\
              keep-alive: timeout=5\r\nproxy-authenticate: Basic\r\nset-cookie: a=1\r\nset-cookie: b=2\r\n\
              server: theirs\r\n\r\nok"
                .to_vec(),
        )
    });
    let gateway = Gateway::proxy(upstream.address);
    let mut client = Client::connect(gateway.address());
    client.send(
        "GET /a//b/?q=%20&r HTTP/1.1\r\nHost: shop.test:8080\r\nConnection: close-not, X-Hop\r\n\
         Connection: content-length, host\r\nX-Hop: secret\r\nKeep-Alive: 5\r\nTE: gzip\r\nProxy-Connection: x\r\n\
         Proxy-Authorization: Basic x\r\nUpgrade: h2c\r\nX-Forwarded-For: 8.8.8.8\r\nX-Forwarded-Host: evil\r\n\
         X-Forwarded-Proto: https\r\nForwarded: for=8.8.8.8\r\nVia: 1.0 before\r\nCookie: c=3\r\n\
         X-Gateway-Attempt: 3\r\nAccept: */*\r\n\r\n",
    );
    let answer = client.answer(false);
    let request = upstream.next();
    assert_eq!(request.target(), "/a/b/?q=%20&r");
    let gone = [
        "connection",
        "x-hop",
        "keep-alive",
        "te",
        "proxy-connection",
        "proxy-authorization",
        "upgrade",
        "forwarded",
    ];
    for field in gone.into_iter().chain(["x-gateway-attempt"]) {
        assert_eq!(request.values(field), [""; 0], "{field}");
    }
    for (field, values) in [
        ("host", &["shop.test:8080"][..]),
        ("x-forwarded-for", &["127.0.0.1"]),
        ("x-forwarded-host", &["shop.test:8080"]),
        ("x-forwarded-proto", &["http"]),
        ("via", &["1.0 before", "1.1 tuesday"]),
        ("cookie", &["c=3"]),
        ("accept", &["*/*"]),
    ] {
        assert_eq!(request.values(field), values, "{field}");
    }
    for field in ["connection", "x-private", "keep-alive", "proxy-authenticate"] {
        assert_eq!(answer.value(field), None, "{field}");
    }
    assert_eq!(answer.value("server"), Some("theirs"));
    assert_eq!(answer.head.matches("set-cookie").count(), 2);
    assert_eq!(client.get("/").status, 200, "the connection goes on");
}

#[test]
fn the_authority_of_a_target_goes_before_the_host() {
    let upstream = echo();
    let gateway = Gateway::proxy(upstream.address);
    let mut client = Client::connect(gateway.address());
    client.send("GET http://real.test/path?x HTTP/1.1\r\nhost: other.test\r\n\r\n");
    assert_eq!(client.answer(false).status, 200);
    let request = upstream.next();
    assert_eq!((request.target(), &request.values("host")[..]), ("/path?x", &["real.test"][..]));
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let upstream = Upstream::answering(|request| {
        Reply::Send(ok(format!("{}:", request.target()) + &text(&request.body)))
    });
    let gateway = Gateway::proxy(upstream.address);
    let mut client = Client::connect(gateway.address());
    client.send(
        "GET /1 HTTP/1.1\r\nhost: a\r\n\r\n\
         POST /2 HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\ntwo\
         PUT /3 HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n2;x=y\r\nth\r\n3\r\nree\r\n0\r\n\r\n\
         GET /4 HTTP/1.1\r\nhost: a\r\n\r\n",
    );
    for expected in ["/1:", "/2:two", "/3:three", "/4:"] {
        assert_eq!(client.answer(false).text(), expected);
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn chunks_and_trailers_pass_both_ways() {
    let upstream = Upstream::answering(|request| {
        let mut answer = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x-sum\r\n\r\n".to_vec();
        answer.extend(format!("{:x}\r\n", request.body.len()).bytes());
        answer.extend(&request.body);
        answer.extend(b"\r\n0\r\nx-sum: 42\r\n\r\n");
        Reply::Send(answer)
    });
    let gateway = Gateway::proxy(upstream.address);
    let mut client = Client::connect(gateway.address());
    client.send(
        "POST / HTTP/1.1\r\nhost: a\r\nte: trailers\r\nconnection: te\r\ntrailer: x-check\r\n\
         transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nx-check: 7\r\n\r\n",
    );
    let answer = client.answer(false);
    assert_eq!((answer.text().as_str(), answer.trailers.as_str()), ("hello", "x-sum: 42\r\n"));
    let request = upstream.next();
    assert_eq!(text(&request.raw_body), "5\r\nhello\r\n0\r\nx-check: 7\r\n\r\n");
    assert_eq!((request.values("te"), request.values("connection")), (vec!["trailers"], vec!["te"]));
}

#[test]
fn any_method_may_have_a_body() {
    let upstream = echo();
    let gateway = Gateway::proxy(upstream.address);
    let mut client = Client::connect(gateway.address());
    for method in ["GET", "DELETE", "OPTIONS", "PROPFIND"] {
        client.send(format!(
            "{method} / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n"
        ));
        assert_eq!(client.answer(false).text(), "hi", "{method}");
        client.send(format!("{method} / HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\nhi"));
        assert_eq!(client.answer(false).text(), "hi", "{method}");
    }
}

#[test]
fn answers_without_a_body_end_where_they_must() {
    let upstream = Upstream::answering(|request| {
        Reply::Send(match request.target() {
            "/head" => b"HTTP/1.1 200 OK\r\ncontent-length: 1234\r\netag: x\r\n\r\n".to_vec(),
            "/204" => b"HTTP/1.1 204 No Content\r\n\r\n".to_vec(),
            "/304" => b"HTTP/1.1 304 Not Modified\r\ncontent-length: 99\r\netag: x\r\n\r\n".to_vec(),
            "/103" => {
                b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi"
                    .to_vec()
            }
            _ => b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n".to_vec(),
        })
    });
    let gateway = Gateway::proxy(upstream.address);
    let mut client = Client::connect(gateway.address());
    let head = client.send("HEAD /head HTTP/1.1\r\nhost: a\r\n\r\n").answer(true);
    assert_eq!(
        (head.status, head.value("content-length"), head.value("etag")),
        (200, Some("1234"), Some("x"))
    );
    assert_eq!(client.get("/204").status, 204);
    assert_eq!(client.get("/304").value("etag"), Some("x"));
    assert_eq!(client.get("/empty").body.len(), 0);
    assert_eq!(client.get("/103").status, 103);
    let hinted = client.answer(false);
    assert_eq!((hinted.status, hinted.text().as_str()), (200, "hi"));
    // Of our own, too.
    client.send("HEAD * HTTP/1.1\r\nhost: a\r\n\r\n");
    assert_eq!(client.answer(true).status, 400);
    assert!(client.is_closed());
}

#[test]
fn a_body_is_asked_for_only_when_it_is_wanted() {
    let upstream = echo();
    let gateway = Gateway::with(::gateway::GatewayConfig::default(), &[upstream.address], |config| {
        config.http.body_bytes = Some(1_000);
    });
    let mut client = Client::connect(gateway.address());
    client.send("POST / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\n");
    assert_eq!(client.try_head().unwrap().status, 100);
    client.send("hello");
    assert_eq!(client.answer(false).text(), "hello");
    assert_eq!(upstream.next().values("expect"), [""; 0]);
    // Nobody wants a body that is too long.
    client.send("POST / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 1001\r\n\r\n");
    assert_eq!(client.answer(false).status, 413);
    assert!(client.is_closed());
}

#[test]
fn a_body_that_turns_out_too_long_is_refused() {
    let upstream = Upstream::answering(|request| Reply::Send(ok(&request.body)));
    let gateway = Gateway::with(::gateway::GatewayConfig::default(), &[upstream.address], |config| {
        config.http.body_bytes = Some(8);
    });
    let mut client = Client::connect(gateway.address());
    client.send("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n8\r\n12345678\r\n0\r\n\r\n");
    assert_eq!(client.answer(false).status, 200);
    client.send("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n8\r\n12345678\r\n1\r\n9\r\n0\r\n\r\n");
    let answer = client.answer(false);
    assert_eq!((answer.status, answer.value("connection")), (413, Some("close")));
    assert!(client.is_closed());
    let told = gateway.log.settled(2);
    assert_eq!(told.ends()[1], RequestEnd::Malformed { status: 413 });
}

#[test]
fn headers_beyond_the_limits_are_refused() {
    let upstream = echo();
    let gateway = Gateway::with(::gateway::GatewayConfig::default(), &[upstream.address], |config| {
        config.http.headers = 10;
        config.http.header_bytes = 8 * 1024;
    });
    let field = |number: usize| format!("x-{number}: 1\r\n");
    let request = |fields: String| format!("GET / HTTP/1.1\r\nhost: a\r\n{fields}\r\n");
    for (what, request, status) in [
        ("ten fields", request((0..9).map(field).collect()), 200),
        ("eleven fields", request((0..10).map(field).collect()), 431),
        ("a long field", request(format!("x: {}\r\n", "y".repeat(7_000))), 200),
        ("too long a field", request(format!("x: {}\r\n", "y".repeat(9_000))), 431),
        ("an endless field", format!("GET / HTTP/1.1\r\nhost: a\r\nx: {}", "y".repeat(100_000)), 431),
    ] {
        let mut client = Client::connect(gateway.address());
        client.send(request);
        assert_eq!(client.answer(false).status, status, "{what}");
        assert!(status == 200 || client.is_closed(), "{what}");
    }
}

#[test]
fn who_dallies_is_not_waited_for() {
    let upstream = echo();
    let upload = std::time::Duration::from_millis(100);
    let client = ::gateway::ClientTimeouts { upload, ..Default::default() };
    let config = ::gateway::GatewayConfig { client, ..Default::default() };
    let gateway = Gateway::with(config, &[upstream.address], |config| {
        config.http.header_timeout = std::time::Duration::from_millis(50);
        config.http.idle_timeout = std::time::Duration::from_millis(100);
    });
    let mut silent = Client::connect(gateway.address());
    let mut slow = Client::connect(gateway.address());
    slow.send("GET / HTTP/1.1\r\nhost: a\r\nx-unfin");
    let mut idle = Client::connect(gateway.address());
    assert_eq!(idle.get("/").status, 200);
    let mut second = Client::connect(gateway.address());
    assert_eq!(second.get("/").status, 200);
    second.send("GET / HT");
    let mut stalled = Client::connect(gateway.address());
    stalled.send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nfive!");
    // Hyper has it all at once, and shows nobody what it keeps.
    let mut pipelined = Client::connect(gateway.address());
    pipelined.send("GET / HTTP/1.1\r\nhost: a\r\n\r\nGET / HT");
    assert_eq!(pipelined.answer(false).status, 200);
    let mut after_body = Client::connect(gateway.address());
    after_body.send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\nhiGET / HT");
    assert_eq!(after_body.answer(false).status, 200);
    for client in [&mut pipelined, &mut after_body] {
        assert_eq!(client.answer(false).status, 408);
        assert!(client.is_closed());
    }
    assert_eq!(slow.answer(false).status, 408);
    assert!(slow.is_closed());
    assert_eq!(second.answer(false).status, 408);
    assert!(silent.is_closed());
    assert!(idle.is_closed());
    let answer = stalled.answer(false);
    assert_eq!((answer.status, answer.value("connection")), (408, Some("close")));
    assert!(stalled.is_closed());
    gateway.log.settled(5);
}

#[test]
fn a_tunnel_that_is_silent_is_closed() {
    let upstream = Upstream::scripted(|mut connection| async move {
        connection.head().await?;
        let head = b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: chat\r\n\r\nwelcome";
        connection.send(head).await?;
        connection.closed().await;
        Ok(())
    });
    let gateway = Gateway::with(::gateway::GatewayConfig::default(), &[upstream.address], |config| {
        config.http.idle_timeout = std::time::Duration::from_millis(100);
    });
    let mut client = Client::connect(gateway.address());
    client.send("GET /chat HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: chat\r\n\r\n");
    assert_eq!(client.answer(false).status, 101);
    assert_eq!(client.take(7).unwrap(), b"welcome");
    assert!(client.is_closed());
    gateway.log.settled(1);
}

#[test]
fn an_upgraded_connection_is_a_tunnel() {
    let upstream = Upstream::scripted(|mut connection| async move {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let request = connection.head().await?.unwrap();
        assert_eq!(request.values("upgrade"), ["chat"]);
        assert_eq!(request.values("connection"), ["upgrade"]);
        connection
            .send(b"HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: chat\r\nx: y\r\n\r\nwelcome")
            .await?;
        let mut said = [0; 5];
        connection.stream.read_exact(&mut said).await?;
        said.reverse();
        connection.stream.write_all(&said).await?;
        connection.closed().await;
        connection.send(b"bye").await
    });
    let gateway = Gateway::proxy(upstream.address);
    let mut client = Client::connect(gateway.address());
    client.send("GET /chat HTTP/1.1\r\nhost: a\r\nconnection: Upgrade\r\nupgrade: chat\r\n\r\nabcde");
    let answer = client.answer(false);
    assert_eq!((answer.status, answer.value("upgrade"), answer.value("x")), (101, Some("chat"), Some("y")));
    assert_eq!(client.take(12).unwrap(), b"welcomeedcba");
    client.stream.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(client.rest(), b"bye");
    gateway.log.settled(1);
}

/// What must become of a request that gives two ideas of where it ends, or might.
enum Must {
    /// Be answered so, the connection closed, and nothing reach the upstream.
    Refuse(u16),
    /// Reach the upstream with this body, as framed.
    Pass(&'static str),
}

#[rustfmt::skip]
fn shapes() -> Vec<(&'static str, String, Must)> {
    use Must::{Pass, Refuse};
    const TE: &str = "transfer-encoding: chunked\r\n";
    let post = |fields: &str, body: &str| format!("POST /x HTTP/1.1\r\nhost: a\r\n{fields}\r\n{body}");
    vec![
        ("two lengths", post("content-length: 5\r\ncontent-length: 6\r\n", "hello!"), Refuse(400)),
        ("two lengths in one", post("content-length: 5, 6\r\n", "hello!"), Refuse(400)),
        ("the same length twice", post("content-length: 5\r\ncontent-length: 5\r\n", "hello"), Refuse(400)),
        ("the same length twice in one", post("content-length: 5, 5\r\n", "hello"), Refuse(400)),
        ("a length with a sign", post("content-length: +5\r\n", "hello"), Refuse(400)),
        ("a negative length", post("content-length: -1\r\n", ""), Refuse(400)),
        ("a length in hexadecimal", post("content-length: 0x5\r\n", "hello"), Refuse(400)),
        ("no length at all", post("content-length: \r\n", "hello"), Refuse(400)),
        ("a length beyond numbers", post("content-length: 99999999999999999999\r\n", "hello"), Refuse(400)),
        ("chunks and a length", post(&format!("content-length: 4\r\n{TE}"), "5\r\nhello\r\n0\r\n\r\n"), Refuse(400)),
        ("a length and chunks", post(&format!("{TE}content-length: 4\r\n"), "5\r\nhello\r\n0\r\n\r\n"), Refuse(400)),
        ("chunked twice", post(&format!("{TE}{TE}"), "5\r\nhello\r\n0\r\n\r\n"), Refuse(501)),
        ("chunked twice in one", post("transfer-encoding: chunked, chunked\r\n", "0\r\n\r\n"), Refuse(501)),
        ("another coding", post("transfer-encoding: gzip, chunked\r\n", "0\r\n\r\n"), Refuse(501)),
        ("identity first", post("transfer-encoding: identity, chunked\r\n", "0\r\n\r\n"), Refuse(501)),
        ("identity last", post("transfer-encoding: chunked, identity\r\n", "0\r\n\r\n"), Refuse(400)),
        ("only identity", post("transfer-encoding: identity\r\ncontent-length: 5\r\n", "hello"), Refuse(400)),
        ("nearly chunked", post("transfer-encoding: xchunked\r\ncontent-length: 5\r\n", "hello"), Refuse(400)),
        ("chunked after a vertical tab", post("transfer-encoding: \u{b}chunked\r\n", "0\r\n\r\n"), Refuse(400)),
        ("chunked in capitals", post("Transfer-Encoding: CHUNKED\r\n", "5\r\nhello\r\n0\r\n\r\n"), Pass("5\r\nhello\r\n0\r\n\r\n")),
        ("a space before the colon", post("transfer-encoding : chunked\r\n", "0\r\n\r\n"), Refuse(400)),
        ("a tab before the colon", post("content-length\t: 5\r\n", "hello"), Refuse(400)),
        ("a folded field", post("x: 1\r\n content-length: 5\r\n", "hello"), Refuse(400)),
        ("a folded coding", post("transfer-encoding:\r\n chunked\r\n", "0\r\n\r\n"), Refuse(400)),
        ("a field without a name", post(": x\r\n", ""), Refuse(400)),
        ("a field without a colon", post("content-length 5\r\n", "hello"), Refuse(400)),
        ("a null in a value", post("x: a\0b\r\n", ""), Refuse(400)),
        ("a bare return in a value", post("x: a\rcontent-length: 5\r\n", "hello"), Refuse(400)),
        ("bare line feeds", "POST /x HTTP/1.1\nhost: a\ncontent-length: 5\n\nhello".to_owned(), Refuse(400)),
        ("one bare line feed", "POST /x HTTP/1.1\r\nhost: a\ncontent-length: 5\r\n\r\nhello".to_owned(), Refuse(400)),
        ("a line feed before the request", "\nGET /x HTTP/1.1\r\nhost: a\r\n\r\n".to_owned(), Refuse(400)),
        ("a line before the request", "\r\nGET /x HTTP/1.1\r\nhost: a\r\n\r\n".to_owned(), Pass("")),
        ("line feeds in a body", post("content-length: 5\r\n", "a\nb\n\n"), Pass("a\nb\n\n")),
        ("chunks in HTTP/1.0", format!("POST /x HTTP/1.0\r\nhost: a\r\n{TE}\r\n0\r\n\r\n"), Refuse(400)),
        ("a chunk size with a sign", post(TE, "+5\r\nhello\r\n0\r\n\r\n"), Refuse(400)),
        ("a chunk size with a prefix", post(TE, "0x5\r\nhello\r\n0\r\n\r\n"), Refuse(400)),
        ("a chunk size with an underscore", post(TE, "1_0\r\nhello\r\n0\r\n\r\n"), Refuse(400)),
        ("a chunk size beyond numbers", post(TE, "10000000000000005\r\nhello\r\n0\r\n\r\n"), Refuse(400)),
        ("a chunk without a size", post(TE, "\r\nhello\r\n0\r\n\r\n"), Refuse(400)),
        ("a chunk size ended by a line feed", post(TE, "5\nhello\r\n0\r\n\r\n"), Refuse(400)),
        ("a chunk longer than its size", post(TE, "3\r\nhello\r\n0\r\n\r\n"), Refuse(400)),
        ("a chunk ended by a line feed", post(TE, "5\r\nhello\n0\r\n\r\n"), Refuse(400)),
        ("an extension with a line feed", post(TE, "5;x=\ny\r\nhello\r\n0\r\n\r\n"), Refuse(400)),
        ("trailers ended by a line feed", post(TE, "5\r\nhello\r\n0\r\n\n"), Refuse(400)),
        ("a trailer ended by a line feed", post(TE, "5\r\nhello\r\n0\r\nx: y\n\r\n"), Refuse(400)),
        ("the last chunk ended by a line feed", post(TE, "5\r\nhello\r\n0\n\r\n"), Refuse(400)),
        ("a chunk extension", post(TE, "5;x=\"y\"\r\nhello\r\n0\r\n\r\n"), Pass("5\r\nhello\r\n0\r\n\r\n")),
        ("leading zeros", post(TE, "0005\r\nhello\r\n000\r\n\r\n"), Pass("5\r\nhello\r\n0\r\n\r\n")),
        ("trailers that are framing", post(TE, "5\r\nhello\r\n0\r\ncontent-length: 9\r\n\r\n"), Pass("5\r\nhello\r\n0\r\n\r\n")),
        ("two hosts", "GET /x HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n".to_owned(), Refuse(400)),
        ("the same host twice", "GET /x HTTP/1.1\r\nhost: a\r\nhost: a\r\n\r\n".to_owned(), Refuse(400)),
        ("an empty host", "GET /x HTTP/1.1\r\nhost: \r\n\r\n".to_owned(), Refuse(400)),
        ("a host that is a list", "GET /x HTTP/1.1\r\nhost: a, b\r\n\r\n".to_owned(), Refuse(400)),
        ("a host with a user", "GET /x HTTP/1.1\r\nhost: me@a\r\n\r\n".to_owned(), Refuse(400)),
        ("a host with a path", "GET /x HTTP/1.1\r\nhost: a/b\r\n\r\n".to_owned(), Refuse(400)),
        ("a host with a quote", "GET /x HTTP/1.1\r\nhost: a\"b\r\n\r\n".to_owned(), Refuse(400)),
        ("a host with brackets within", "GET /x HTTP/1.1\r\nhost: a[b]\r\n\r\n".to_owned(), Refuse(400)),
        ("a host with angle brackets", "GET /x HTTP/1.1\r\nhost: <a>\r\n\r\n".to_owned(), Refuse(400)),
        ("a host with a backslash", "GET /x HTTP/1.1\r\nhost: a\\b\r\n\r\n".to_owned(), Refuse(400)),
        ("a host with half an encoding", "GET /x HTTP/1.1\r\nhost: a%2\r\n\r\n".to_owned(), Refuse(400)),
        ("a host beyond ASCII", "GET /x HTTP/1.1\r\nhost: \u{e4}.test\r\n\r\n".to_owned(), Refuse(400)),
        ("a port that is a word", "GET /x HTTP/1.1\r\nhost: a:http\r\n\r\n".to_owned(), Refuse(400)),
        ("a port beyond ports", "GET /x HTTP/1.1\r\nhost: a:65536\r\n\r\n".to_owned(), Refuse(400)),
        ("two ports", "GET /x HTTP/1.1\r\nhost: a:80:81\r\n\r\n".to_owned(), Refuse(400)),
        ("a port without a host", "GET /x HTTP/1.1\r\nhost: :80\r\n\r\n".to_owned(), Refuse(400)),
        ("half an IPv6 address", "GET /x HTTP/1.1\r\nhost: [::1\r\n\r\n".to_owned(), Refuse(400)),
        ("no IPv6 address", "GET /x HTTP/1.1\r\nhost: [1.2.3]\r\n\r\n".to_owned(), Refuse(400)),
        ("a tail behind an IPv6 address", "GET /x HTTP/1.1\r\nhost: [::1]x\r\n\r\n".to_owned(), Refuse(400)),
        ("a host with a port", "GET /x HTTP/1.1\r\nhost: a.test:8080\r\n\r\n".to_owned(), Pass("")),
        ("an IPv6 address with a port", "GET /x HTTP/1.1\r\nhost: [::1]:80\r\n\r\n".to_owned(), Pass("")),
        ("an encoded host", "GET /x HTTP/1.1\r\nhost: a%2Db_c~!$&'()*+;=\r\n\r\n".to_owned(), Pass("")),
        ("an empty port", "GET /x HTTP/1.1\r\nhost: a:\r\n\r\n".to_owned(), Pass("")),
        ("an absolute target without a host", "GET http://a/x HTTP/1.1\r\n\r\n".to_owned(), Refuse(400)),
        ("an absolute target with a host that is none", "GET http://a/x HTTP/1.1\r\nhost: <b>\r\n\r\n".to_owned(), Refuse(400)),
        ("an absolute target with an empty host", "GET http://a/x HTTP/1.1\r\nhost: \r\n\r\n".to_owned(), Refuse(400)),
        ("an absolute target with a host", "GET http://a/x HTTP/1.1\r\nhost: b\r\n\r\n".to_owned(), Pass("")),
        ("a target with a port beyond ports", "GET http://a:65536/x HTTP/1.1\r\nhost: a\r\n\r\n".to_owned(), Refuse(400)),
        ("a target that is an authority", "GET a:80 HTTP/1.1\r\nhost: a:80\r\n\r\n".to_owned(), Refuse(400)),
        ("a list of hosts", "GET /x HTTP/1.1\r\nhost: a, b\r\n\r\n".to_owned(), Refuse(400)),
        ("no host", "GET /x HTTP/1.1\r\n\r\n".to_owned(), Refuse(400)),
        ("a host with a path", "GET /x HTTP/1.1\r\nhost: a/b\r\n\r\n".to_owned(), Refuse(400)),
        ("a user in the target", "GET http://me@a/x HTTP/1.1\r\nhost: a\r\n\r\n".to_owned(), Refuse(400)),
        ("a path that climbs", "GET /y/../x HTTP/1.1\r\nhost: a\r\n\r\n".to_owned(), Pass("")),
        ("a path that climbs in disguise", "GET /y/%2e./x HTTP/1.1\r\nhost: a\r\n\r\n".to_owned(), Pass("")),
        ("a path that climbs too high", "GET /../x HTTP/1.1\r\nhost: a\r\n\r\n".to_owned(), Refuse(400)),
        ("an unknown version", "GET /x HTTP/3.7\r\nhost: a\r\n\r\n".to_owned(), Refuse(400)),
        ("no version", "GET /x\r\n\r\n".to_owned(), Refuse(400)),
        ("a target with a space", "GET /x y HTTP/1.1\r\nhost: a\r\n\r\n".to_owned(), Refuse(400)),
        ("a tunnel", "CONNECT a:1 HTTP/1.1\r\nhost: a:1\r\n\r\n".to_owned(), Refuse(501)),
    ]
}

#[test]
fn one_framing_reaches_the_upstream() {
    use Must::{Pass, Refuse};
    let upstream = Upstream::answering(|_| Reply::Send(ok("answered")));
    let gateway = Gateway::proxy(upstream.address);
    let mut wrong = Vec::new();
    for (what, shape, must) in shapes() {
        let mut client = Client::connect(gateway.address());
        // Were the end of it taken for a request of its own, it would reach the upstream.
        client.send(shape).send("GET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n");
        let first = client.try_answer(false);
        let status = first.as_ref().map_or(0, |answer| answer.status);
        let (expected, raw, closes) = match must {
            Refuse(status) => (status, None, true),
            Pass(raw) => (200, Some(raw), false),
        };
        let goes_on = !closes && client.try_answer(false).is_ok_and(|answer| answer.status == 200);
        let closed = closes && client.is_closed();
        let received: Vec<_> = upstream.received.try_iter().collect();
        let bodies: Vec<_> =
            received.iter().map(|request| (request.target(), text(&request.raw_body))).collect();
        let mut should: Vec<_> = raw.iter().map(|raw| ("/x", (*raw).to_owned())).collect();
        if !closes {
            should.push(("/smuggled", String::new()));
        }
        if status != expected || !(goes_on || closed) || bodies != should {
            wrong.push(format!("{what}: {status} for {expected}, closed: {closed}, upstream: {bodies:?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Most of a body may be on its way already when another line turns out to end by a line feed alone.
#[test]
fn a_request_that_turns_out_to_be_two_is_whole_for_nobody() {
    let (broken, breaks) = mpsc::channel();
    let upstream = Upstream::scripted(move |mut connection| {
        let broken = broken.clone();
        async move {
            let read = connection.request().await.map(|request| request.is_some());
            broken.send(read.map_err(|error| error.kind())).unwrap();
            Ok(())
        }
    });
    let gateway = Gateway::proxy(upstream.address);
    for late in ["\n", "x: y\n\r\n"] {
        let mut client = Client::connect(gateway.address());
        client.send("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n");
        gateway.log.until("it is on its way", |told| told.load.0 == 1);
        client.send(late).send("GET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n");
        let answer = client.answer(false);
        assert_eq!((answer.status, answer.value("connection")), (400, Some("close")), "{late:?}");
        assert!(client.is_closed(), "{late:?}");
        assert_eq!(breaks.recv().unwrap(), Err(std::io::ErrorKind::UnexpectedEof), "{late:?}");
        gateway.log.until("it is over", |told| told.load.0 == 0);
    }
    // The client's fault, of which a breaker learns nothing.
    assert_eq!(gateway.log.settled(2).ends(), [RequestEnd::Malformed { status: 400 }; 2]);
}

#[test]
fn an_answer_with_two_framings_has_one() {
    let upstream = Upstream::answering(|request| {
        Reply::Send(match request.target() {
            "/both" => b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n".to_vec(),
            "/lengths" => b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\ncontent-length: 5\r\n\r\nhello".to_vec(),
            "/list" => b"HTTP/1.1 200 OK\r\ncontent-length: 4, 4\r\n\r\nfour".to_vec(),
            "/twice" => b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\ncontent-length: 4\r\n\r\nfour".to_vec(),
            "/unlike" => b"HTTP/1.1 200 OK\r\ncontent-length: 4, 5\r\n\r\nfour!".to_vec(),
            "/signed" => b"HTTP/1.1 200 OK\r\ncontent-length: +4\r\n\r\nfour".to_vec(),
            "/folded" => b"HTTP/1.1 200 OK\r\nx: y\r\n content-length: 3\r\n\r\n".to_vec(),
            _ => ok("fine"),
        })
    });
    let gateway = Gateway::proxy(upstream.address);
    let mut client = Client::connect(gateway.address());
    let both = client.get("/both");
    assert_eq!((both.text().as_str(), both.value("content-length")), ("hello", None));
    for path in ["/lengths", "/unlike", "/signed"] {
        assert_eq!(client.get(path).status, 502, "{path}");
        // Here nobody reads a body by the length.
        assert_eq!(
            client.send(format!("HEAD {path} HTTP/1.1\r\nhost: a\r\n\r\n")).answer(true).status,
            502,
            "{path}"
        );
    }
    for path in ["/list", "/twice"] {
        let answer = client.get(path);
        assert_eq!((answer.value("content-length"), answer.text().as_str()), (Some("4"), "four"), "{path}");
        assert_eq!(answer.head.matches("content-length").count(), 1, "{path}");
    }
    assert_eq!(client.get("/folded").status, 502);
    assert_eq!(client.get("/").text(), "fine");
}

#[test]
fn a_client_that_leaves_within_its_body_leaves_nothing_behind() {
    let left = Arc::new(Notify::new());
    let upstream = {
        let left = Arc::clone(&left);
        Upstream::scripted(move |mut connection| {
            let left = Arc::clone(&left);
            async move {
                connection.head().await?;
                connection.closed().await;
                left.notify_one();
                Ok(())
            }
        })
    };
    let gateway = Gateway::proxy(upstream.address);
    for framing in ["content-length: 100\r\n\r\nhello", "transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n"] {
        let mut client = Client::connect(gateway.address());
        client.send(format!("POST / HTTP/1.1\r\nhost: a\r\n{framing}"));
        gateway.log.until("a worker", |told| told.load == (1, 0));
        drop(client);
        gateway.log.until("no worker", |told| told.load == (0, 0));
        wait(&left);
    }
    let told = gateway.log.settled(2);
    assert!(told.finished.iter().all(|(_, ended)| ended.attempts == 1), "{told:?}");
}

/// Waits for a notification from outside a runtime.
fn wait(notify: &Notify) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        tokio::time::timeout(std::time::Duration::from_secs(20), notify.notified()).await.expect("it comes");
    });
}

#[test]
fn a_client_that_leaves_within_the_answer_frees_its_upstream() {
    let left = Arc::new(Notify::new());
    let upstream = {
        let left = Arc::clone(&left);
        Upstream::scripted(move |mut connection| {
            let left = Arc::clone(&left);
            async move {
                connection.head().await?;
                connection.send(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\nhello").await?;
                connection.closed().await;
                left.notify_one();
                Ok(())
            }
        })
    };
    let gateway = Gateway::proxy(upstream.address);
    let mut client = Client::connect(gateway.address());
    client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    client.try_head().unwrap();
    assert_eq!(client.take(5).unwrap(), b"hello");
    drop(client);
    wait(&left);
    let told = gateway.log.settled(1);
    assert_eq!(told.ends(), [RequestEnd::ClientLeft]);
}

#[test]
fn an_upstream_that_breaks_off_is_seen_to() {
    let upstream = Upstream::answering(|request| {
        let head = match request.target() {
            "/length/close" | "/length/reset" => "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nfive!",
            _ => "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nfive!\r\n",
        };
        if request.target().ends_with("close") {
            Reply::Close(head.into())
        } else {
            Reply::Reset(head.into())
        }
    });
    let gateway = Gateway::proxy(upstream.address);
    for path in ["/length/close", "/length/reset", "/chunked/close", "/chunked/reset"] {
        for version in ["1.1", "1.0"] {
            let mut client = Client::connect(gateway.address());
            client.send(format!("GET {path} HTTP/{version}\r\nhost: a\r\n\r\n"));
            let Ok(head) = client.try_head() else {
                // The reset was faster than the answer before it.
                assert!(path.ends_with("reset"), "{path}");
                continue;
            };
            if head.status == 502 {
                assert!(path.ends_with("reset"), "{path}");
                continue;
            }
            let error = loop {
                match client.take(1) {
                    Ok(_) => {}
                    Err(error) => break error,
                }
            };
            assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "{path} {version}");
        }
    }
    let told = gateway.log.settled(8);
    let broke = |end| matches!(end, RequestEnd::Attempt(AttemptEnd::Cut | AttemptEnd::Broken));
    assert!(told.ends().into_iter().all(broke), "{told:?}");
}

#[test]
fn an_early_answer_to_a_long_body_arrives() {
    let upstream = Upstream::scripted(|mut connection| async move {
        connection.head().await?;
        connection.send(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno").await?;
        connection.closed().await;
        Ok(())
    });
    let gateway = Gateway::proxy(upstream.address);
    let mut client = Client::connect(gateway.address());
    client.send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1000000\r\n\r\nhello");
    let answer = client.answer(false);
    assert_eq!((answer.status, answer.text().as_str()), (403, "no"));
    drop(client);
    gateway.log.settled(1);
}
