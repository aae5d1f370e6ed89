//! HTTP/2 in front of HTTP/1: streams with timeouts of their own, and nothing that one version lets pass and the other
//! reads otherwise.

use std::future::poll_fn;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::pin::Pin;
use std::process::Command;
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use gateway::RequestEnd;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt;
use hyper::body::{Body, Frame};
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::sync::Notify;

use crate::client::Client;
use crate::gateway::Gateway;
use crate::upstream::{Reply, Upstream, Vacant, ok};

/// A body that sends what it has, and then trailers, or nothing for ever.
#[derive(Default)]
pub(crate) struct Script {
    pub(crate) data: Option<Bytes>,
    pub(crate) trailers: Option<HeaderMap>,
    pub(crate) stalls: bool,
}

impl Body for Script {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        match (self.data.take(), self.stalls) {
            (Some(data), _) => Poll::Ready(Some(Ok(Frame::data(data)))),
            (None, true) => Poll::Pending,
            (None, false) => Poll::Ready(self.trailers.take().map(|trailers| Ok(Frame::trailers(trailers)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.data.is_none() && self.trailers.is_none() && !self.stalls
    }
}

/// A gateway that gives its clients a tenth of a second.
fn impatient() -> ::gateway::GatewayConfig {
    let tenth = Duration::from_millis(100);
    let client = ::gateway::ClientTimeouts { upload: tenth, download: tenth };
    ::gateway::GatewayConfig { client, ..Default::default() }
}

pub(crate) fn get(path: &str) -> Request<Script> {
    Request::get(format!("http://gateway.test{path}")).body(Script::default()).unwrap()
}

/// Runs a test with a connection whose streams have room for a kilobyte.
pub(crate) fn connected<F: Future<Output = ()>>(
    address: SocketAddr,
    test: impl FnOnce(SendRequest<Script>) -> F,
) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build().unwrap();
    let patience = Duration::from_secs(20);
    let whole = async {
        let stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let mut builder = Builder::new(TokioExecutor::new());
        builder.initial_stream_window_size(1_024);
        let (sender, connection) = builder.handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        test(sender).await;
    };
    runtime.block_on(async { tokio::time::timeout(patience, whole).await.expect("it does not hang") });
}

#[test]
fn trailers_pass_both_ways() {
    let upstream = Upstream::answering(|_| {
        Reply::Send(
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x-sum\r\n\r\n2\r\nhi\r\n0\r\nx-sum: 42\r\n\r\n"
                .to_vec(),
        )
    });
    let gateway = Gateway::proxy(upstream.address);
    connected(gateway.address(), |mut sender| async move {
        let trailers = HeaderMap::from_iter([("x-check".parse().unwrap(), "7".parse().unwrap())]);
        let body = Script { data: Some("hello".into()), trailers: Some(trailers), stalls: false };
        let request =
            Request::post("http://gateway.test/").header("te", "trailers").header("trailer", "x-check");
        let answer = sender.send_request(request.body(body).unwrap()).await.unwrap();
        let whole = answer.into_body().collect().await.unwrap();
        assert_eq!(whole.trailers().unwrap()["x-sum"], "42");
        assert_eq!(whole.to_bytes(), "hi");
    });
    let request = upstream.next();
    assert_eq!(String::from_utf8(request.raw_body.clone()).unwrap(), "5\r\nhello\r\n0\r\nx-check: 7\r\n\r\n");
    assert_eq!(request.values("te"), ["trailers"]);
}

#[test]
fn a_stream_whose_client_stalls_is_given_up_and_the_others_go_on() {
    const LONG: usize = 64 * 1024;
    let upstream = Upstream::answering(|request| match request.target() {
        "/long" => Reply::Send(ok(vec![b'x'; LONG])),
        _ => Reply::Send(ok("whole")),
    });
    let gateway = Gateway::with(impatient(), &[upstream.address], |_| {});
    connected(gateway.address(), |mut sender| async move {
        // One that sends no more of its body, and one that takes no more of its answer.
        let stalled = Script { data: Some("five!".into()), trailers: None, stalls: true };
        let request = Request::post("http://gateway.test/stalled").header("content-length", 10);
        let stalled = sender.send_request(request.body(stalled).unwrap());
        let mut untaken = sender.send_request(get("/long")).await.unwrap().into_body();
        let answer = stalled.await.unwrap();
        assert_eq!(answer.status(), StatusCode::REQUEST_TIMEOUT);
        let said = answer.into_body().collect().await.unwrap().to_bytes();
        assert!(String::from_utf8_lossy(&said).contains(r#""reason":"body-timeout""#), "{said:?}");
        let told = gateway.log.until("both have ended", |told| told.finished.len() == 2);
        let mut ends = told.ends();
        ends.sort_by_key(|end| *end == RequestEnd::ClientLeft);
        assert_eq!(ends, [RequestEnd::Malformed { status: 408 }, RequestEnd::ClientLeft]);
        // What was sent can be taken, and does not look as if it were whole.
        let mut taken = 0;
        let broken = loop {
            match untaken.frame().await {
                Some(Ok(frame)) => taken += frame.data_ref().map_or(0, Bytes::len),
                other => break other.is_some(),
            }
        };
        assert!(broken && taken < LONG, "{taken}");
        let answer = sender.send_request(get("/")).await.unwrap();
        assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "whole");
    });
}

#[test]
fn a_connection_whose_streams_are_all_given_up_is_closed() {
    let upstream = Upstream::answering(|_| Reply::Send(ok(vec![b'x'; 64 * 1024])));
    let gateway = Gateway::with(impatient(), &[upstream.address], |config| {
        config.http.idle_timeout = Duration::from_millis(100);
    });
    connected(gateway.address(), |mut sender| async move {
        let _untaken = sender.send_request(get("/")).await.unwrap();
        while !sender.is_closed() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    assert_eq!(gateway.log.settled(1).ends(), [RequestEnd::ClientLeft]);
}

#[test]
fn fields_are_counted() {
    let upstream = Upstream::answering(|_| Reply::Send(ok("fine")));
    let gateway = Gateway::with(::gateway::GatewayConfig::default(), &[upstream.address], |config| {
        config.http.headers = 10;
    });
    connected(gateway.address(), |mut sender| async move {
        for (fields, status) in [(10, 200), (11, 431), (10, 200)] {
            let mut request = get("/");
            for number in 0..fields {
                let name = http::HeaderName::try_from(format!("x-{number}")).unwrap();
                request.headers_mut().insert(name, number.into());
            }
            assert_eq!(sender.send_request(request).await.unwrap().status(), status, "{fields}");
        }
    });
}

/// What comes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Answered(u16),
    /// The stream is reset, or the connection ended.
    Broken,
}

/// Writes frames as it likes, with fields that no library would write.
struct Raw(TcpStream);

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

impl Raw {
    fn connect(address: SocketAddr) -> Self {
        Self::over(TcpStream::connect(address).unwrap())
    }

    fn over(mut stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        // Where it comes too late, it is closed.
        let _ = stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        let mut this = Self(stream);
        this.frame(SETTINGS, 0, 0, &[]);
        this
    }

    fn frame(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let length = (payload.len() as u32).to_be_bytes();
        let head = [&length[1..], &[kind, flags], &stream.to_be_bytes()].concat();
        // Whoever is refused midway has its connection closed.
        let _ = self.0.write_all(&[&head, payload].concat());
    }

    /// Fields, each literally and in no table (RFC 7541, 6.2.2), and a body where there is one.
    fn ask(&mut self, fields: &[(&str, &str)], body: Option<&str>) {
        self.fields(1, fields, body.is_none());
        if let Some(body) = body {
            self.frame(DATA, END_STREAM, 1, body.as_bytes());
        }
    }

    fn fields(&mut self, stream: u32, fields: &[(&str, &str)], ends: bool) {
        let text = |text: &str| [&[text.len() as u8], text.as_bytes()].concat();
        let literal = |(name, value): &(&str, &str)| [vec![0], text(name), text(value)].concat();
        let block: Vec<u8> = fields.iter().flat_map(literal).collect();
        let end = if ends { END_STREAM } else { 0 };
        self.frame(HEADERS, END_HEADERS | end, stream, &block);
    }

    /// The code of the next reset (RFC 9113, 7).
    fn reset(&mut self) -> u32 {
        loop {
            match self.next().unwrap() {
                (RST_STREAM, code) => return u32::from_be_bytes(code.try_into().unwrap()),
                (HEADERS | DATA | GOAWAY, payload) => panic!("it is answered: {}", payload.escape_ascii()),
                _ => {}
            }
        }
    }

    /// The kind of the next frame and what it bears.
    fn next(&mut self) -> std::io::Result<(u8, Vec<u8>)> {
        let mut head = [0; 9];
        self.0.read_exact(&mut head)?;
        let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
        self.0.read_exact(&mut payload)?;
        Ok((head[3], payload))
    }

    fn outcome(&mut self) -> Outcome {
        loop {
            let Ok((kind, payload)) = self.next() else { return Outcome::Broken };
            match kind {
                RST_STREAM | GOAWAY => return Outcome::Broken,
                HEADERS => {
                    // The statuses that have places in the static table (RFC 7541, appendix A); others are spelt out.
                    let known = [200, 204, 206, 304, 400, 404, 500];
                    let place = payload[0].checked_sub(0x88).map(usize::from);
                    return Outcome::Answered(place.and_then(|place| known.get(place).copied()).unwrap_or(0));
                }
                _ => {}
            }
        }
    }
}

/// Names and values as they are sent.
type Fields = Vec<(&'static str, &'static str)>;

#[test]
fn what_http1_would_read_otherwise_is_refused() {
    const POST: [(&str, &str); 4] =
        [(":method", "POST"), (":scheme", "http"), (":authority", "a.test"), (":path", "/x")];
    let upstream = Upstream::answering(|_| Reply::Send(ok("answered")));
    let gateway = Gateway::proxy(upstream.address);
    let mut wrong = Vec::new();
    let instead = |name: &'static str, value: &'static str| {
        POST.map(|field| if field.0 == name { (name, value) } else { field }).to_vec()
    };
    let with = |fields: &[(&'static str, &'static str)]| [&POST, fields].concat();
    let shapes: Vec<(&str, Fields, Option<&str>)> = vec![
        ("a line end in a value", with(&[("x", "a\r\ny: b")]), None),
        ("a line feed in a value", with(&[("x", "a\nb")]), None),
        ("a return in a value", with(&[("x", "a\rb")]), None),
        ("a null in a value", with(&[("x", "a\0b")]), None),
        ("a line end in a name", with(&[("x: a\r\ny", "b")]), None),
        ("a colon in a name", with(&[("x:y", "b")]), None),
        ("a space in a name", with(&[("content-length ", "5")]), Some("hello")),
        ("a capital in a name", with(&[("X-Y", "b")]), None),
        ("a name without letters", with(&[("", "b")]), None),
        ("a transfer coding", with(&[("transfer-encoding", "chunked")]), Some("0\r\n\r\nGET /smuggled")),
        ("a connection field", with(&[("connection", "x-forwarded-for")]), None),
        ("keep-alive", with(&[("keep-alive", "5")]), None),
        ("an upgrade", with(&[("upgrade", "h2c")]), None),
        ("a proxy's connection", with(&[("proxy-connection", "close")]), None),
        ("an odd te", with(&[("te", "gzip")]), None),
        ("two lengths", with(&[("content-length", "5"), ("content-length", "6")]), Some("hello")),
        ("the same length twice", with(&[("content-length", "5"), ("content-length", "5")]), Some("hello")),
        ("a length with a sign", with(&[("content-length", "+5")]), Some("hello")),
        ("a list of lengths", with(&[("content-length", "5, 5")]), Some("hello")),
        ("no length at all", with(&[("content-length", "")]), Some("hello")),
        ("a body shorter than its length", with(&[("content-length", "9")]), Some("hello")),
        ("a body longer than its length", with(&[("content-length", "3")]), Some("hello")),
        ("a length without a body", with(&[("content-length", "27")]), None),
        ("two hosts", with(&[("host", "a.test"), ("host", "b.test")]), None),
        ("a path with a version", instead(":path", "/x HTTP/1.1\r\ny: z"), None),
        ("a path with a space", instead(":path", "/x y"), None),
        ("a path that climbs too high", instead(":path", "/../x"), None),
        ("an encoded slash in a path", instead(":path", "/y/..%2fx"), None),
        ("no path at all", instead(":path", "*"), None),
        ("no path", instead(":path", ""), None),
        ("a method with a target", instead(":method", "GET /smuggled HTTP/1.1\r\n"), None),
        ("an authority with a line end", instead(":authority", "a.test\r\ny: z"), None),
        ("an authority with a user", instead(":authority", "me@a.test"), None),
        ("an authority with angle brackets", instead(":authority", "<a>"), None),
        ("an authority with a port beyond ports", instead(":authority", "a.test:65536"), None),
        ("a tunnel", vec![(":method", "CONNECT"), (":authority", "a.test:1")], None),
        (
            "a pseudo-field behind another",
            [&with(&[("x", "y")])[..], &[(":path", "/smuggled")]].concat(),
            None,
        ),
        ("two paths", with(&[(":path", "/smuggled")]), None),
    ];
    for (what, fields, body) in shapes {
        let mut raw = Raw::connect(gateway.address());
        raw.ask(&fields, body);
        let outcome = raw.outcome();
        // Whoever comes next uses the same connection to the upstream, if it was kept.
        let next = Client::connect(gateway.address()).get("/next").text();
        let received: Vec<String> =
            upstream.received.try_iter().map(|request| request.target().to_owned()).collect();
        if outcome == Outcome::Answered(200) || next != "answered" || received != ["/next"] {
            wrong.push(format!("{what}: {outcome:?}, then {next:?}, upstream: {received:?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Such a request is malformed, which is the end of its stream (RFC 9113, 8.1.1 and 8.2.1).
#[test]
fn values_with_white_space_at_their_ends_are_malformed() {
    const PROTOCOL_ERROR: u32 = 1;
    let upstream = Upstream::answering(|_| Reply::Send(ok("answered")));
    let gateway = Gateway::proxy(upstream.address);
    let head = [(":method", "POST"), (":scheme", "http"), (":authority", "a.test"), (":path", "/x")];
    let mut raw = Raw::connect(gateway.address());
    let mut stream = 1;
    for padded in [" a", "a ", "\ta", "a\t", " ", "\t"] {
        raw.fields(stream, &[&head[..], &[("x", padded)]].concat(), true);
        assert_eq!(raw.reset(), PROTOCOL_ERROR, "{padded:?}");
        // In trailers, too.
        raw.fields(stream + 2, &head, false);
        raw.frame(DATA, 0, stream + 2, b"hello");
        raw.fields(stream + 2, &[("x", padded)], true);
        assert_eq!(raw.reset(), PROTOCOL_ERROR, "{padded:?} in a trailer");
        stream += 4;
    }
    raw.fields(stream, &[&head[..], &[("x", "a b")]].concat(), true);
    assert_eq!(raw.outcome(), Outcome::Answered(200));
    let whole: Vec<_> = upstream.received.try_iter().map(|request| request.head.contains("x: a b")).collect();
    assert_eq!(whole, [true]);
}

#[test]
fn a_body_that_is_given_up_is_whole_for_nobody() {
    const CANCEL: [u8; 4] = [0, 0, 0, 8];
    let (sender, read) = mpsc::channel();
    let upstream = Upstream::scripted(move |mut connection| {
        let sender = sender.clone();
        async move {
            connection.head().await?;
            while let Ok(line) = connection.line().await {
                sender.send(line).unwrap();
            }
            sender.send("the end".to_owned()).unwrap();
            Ok(())
        }
    });
    let gateway = Gateway::proxy(upstream.address);
    let mut raw = Raw::connect(gateway.address());
    let head = [(":method", "POST"), (":scheme", "http"), (":authority", "a.test"), (":path", "/x")];
    raw.fields(1, &head, false);
    raw.frame(DATA, 0, 1, b"hello");
    assert_eq!([read.recv().unwrap(), read.recv().unwrap()], ["5\r\n", "hello\r\n"]);
    raw.frame(RST_STREAM, 0, 1, &CANCEL);
    assert_eq!(gateway.log.settled(1).ends(), [RequestEnd::ClientLeft]);
    assert_eq!(read.recv().unwrap(), "the end");
}

/// An answer to HEAD has no content, whoever gives it.
#[test]
fn an_answer_to_head_is_its_head() {
    let upstream =
        Upstream::answering(|_| Reply::Send(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n".to_vec()));
    let vacant = Vacant::new();
    let gateway =
        Gateway::with(::gateway::GatewayConfig::default(), &[upstream.address, vacant.address], |_| {});
    connected(gateway.address(), |mut sender| async move {
        for (path, status, length) in [("/", 200, Some("5")), ("/1", 502, None)] {
            let request =
                Request::head(format!("http://gateway.test{path}")).body(Script::default()).unwrap();
            let answer = sender.send_request(request).await.unwrap();
            assert_eq!(answer.status(), status);
            let told = answer.headers()["content-length"].to_str().unwrap().to_owned();
            assert!(length.is_none_or(|length| told == length), "{told}");
            assert!(answer.headers().contains_key("date"));
            assert!(answer.into_body().collect().await.unwrap().to_bytes().is_empty());
        }
    });
}

/// A client of h2's own, which is told of the answers before the answer.
fn told<F: Future<Output = ()>>(address: SocketAddr, test: impl FnOnce(h2::client::SendRequest<Bytes>) -> F) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build().unwrap();
    let whole = async {
        let stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let (sender, connection) = h2::client::handshake(stream).await.unwrap();
        tokio::spawn(connection);
        test(sender.ready().await.unwrap()).await;
    };
    let patience = Duration::from_secs(20);
    runtime.block_on(async { tokio::time::timeout(patience, whole).await.expect("it does not hang") });
}

async fn informed(answer: &mut h2::client::ResponseFuture) -> http::Response<()> {
    poll_fn(|cx| answer.poll_informational(cx)).await.expect("an interim answer").unwrap()
}

#[test]
fn who_waits_to_be_asked_for_a_body_is_asked() {
    let upstream = Upstream::answering(|request| Reply::Send(ok(&request.body)));
    let gateway = Gateway::proxy(upstream.address);
    told(gateway.address(), |mut sender| async move {
        let request = || {
            let request = Request::post("http://gateway.test/").header("expect", "100-Continue");
            request.header("content-length", "5").body(()).unwrap()
        };
        let (mut answer, mut body) = sender.send_request(request(), false).unwrap();
        assert_eq!(informed(&mut answer).await.status(), StatusCode::CONTINUE);
        body.send_data("hello".into(), true).unwrap();
        let answer = answer.await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(answer.into_body().data().await.unwrap().unwrap(), "hello");
        // Whoever does not wait is served as well.
        let (answer, mut body) = sender.send_request(request(), false).unwrap();
        body.send_data("hello".into(), true).unwrap();
        assert_eq!(answer.await.unwrap().status(), StatusCode::OK);
    });
    assert!(upstream.next().values("expect").is_empty());
}

#[test]
fn a_client_that_is_refused_is_not_asked_for_its_body() {
    let vacant = Vacant::new();
    let mut config = ::gateway::GatewayConfig::default();
    let mut routes: Vec<_> = crate::gateway::routes(1).iter().cloned().collect();
    "/there".clone_into(&mut routes[0].path);
    config.routes = ::gateway::Routes::new(routes).unwrap();
    let gateway = Gateway::with(config, &[vacant.address], |_| {});
    told(gateway.address(), |mut sender| async move {
        let request = Request::post("http://gateway.test/nowhere").header("expect", "100-continue");
        let (mut answer, _body) = sender.send_request(request.body(()).unwrap(), false).unwrap();
        assert!(poll_fn(|cx| answer.poll_informational(cx)).await.is_none());
        assert_eq!(answer.await.unwrap().status(), StatusCode::NOT_FOUND);
    });
}

#[test]
fn hints_come_before_their_answer() {
    let go = Arc::new(Notify::new());
    let upstream = Upstream::hinting(&go);
    let gateway = Gateway::proxy(upstream.address);
    told(gateway.address(), |mut sender| async move {
        for _ in 0..2 {
            let request = Request::get("http://gateway.test/").body(()).unwrap();
            let (mut answer, _) = sender.send_request(request, true).unwrap();
            let hints = informed(&mut answer).await;
            assert_eq!(hints.status(), StatusCode::EARLY_HINTS);
            let names: Vec<_> = hints.headers().keys().map(http::HeaderName::as_str).collect();
            assert_eq!(names, ["link"]);
            go.notify_one();
            // Even those that come with the answer come before it.
            assert_eq!(informed(&mut answer).await.status(), StatusCode::EARLY_HINTS);
            assert_eq!(answer.await.unwrap().status(), StatusCode::OK);
        }
    });
}

/// A connection that begins nearly as one of HTTP/2 is of HTTP/1.1, with a request that is none, and one that begins with no line of
/// HTTP is nobody's (RFC 9113, 3.4).
#[test]
fn who_begins_with_half_a_preface_is_told_so_and_let_go() {
    let upstream = Upstream::answering(|_| Reply::Send(ok("fine")));
    let gateway = Gateway::proxy(upstream.address);
    for begun in [
        "PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\nhost: a\r\n\r\n",
        "PRI * HTTP/2.1\r\n\r\n",
    ] {
        let mut client = Client::connect(gateway.address());
        let answer = client.send(begun).answer(false);
        assert_eq!((answer.status, answer.value("connection")), (400, Some("close")), "{begun:?}");
        assert!(client.is_closed(), "{begun:?}");
    }
    for begun in ["INVALID CONNECTION PREFACE\r\n\r\n", "GET /x HTPP/1.1\r\nhost: a\r\n\r\n"] {
        let mut client = Client::connect(gateway.address());
        client.send(begun);
        assert!(client.is_closed(), "{begun:?}");
    }
}

/// Where somebody has put h2spec (github.com/summerwind/h2spec), which no package registry has.
#[test]
fn h2spec_finds_nothing() {
    let upstream = Upstream::answering(|_| Reply::Send(ok(vec![b'x'; 1_000])));
    let gateway = Gateway::proxy(upstream.address);
    let port = gateway.address().port().to_string();
    let run = match Command::new("h2spec").args(["-h", "127.0.0.1", "-o", "10", "-p", &port]).output() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return,
        run => String::from_utf8(run.unwrap().stdout).unwrap(),
    };
    assert!(run.trim_end().ends_with("146 tests, 146 passed, 0 skipped, 0 failed"), "{run}");
}

#[test]
fn cookies_of_many_fields_are_one() {
    let upstream = Upstream::answering(|_| Reply::Send(ok("fine")));
    let gateway = Gateway::proxy(upstream.address);
    connected(gateway.address(), |mut sender| async move {
        let mut request = get("/");
        for crumb in ["a=1", "b=2; c=3", "d=4"] {
            request.headers_mut().append("cookie", crumb.parse().unwrap());
        }
        assert_eq!(sender.send_request(request).await.unwrap().status(), StatusCode::OK);
    });
    assert_eq!(upstream.next().values("cookie"), ["a=1; b=2; c=3; d=4"]);
}

#[test]
fn the_authority_goes_before_the_host() {
    let upstream = Upstream::answering(|_| Reply::Send(ok("answered")));
    let gateway = Gateway::proxy(upstream.address);
    let mut raw = Raw::connect(gateway.address());
    let fields = [
        (":method", "GET"),
        (":scheme", "http"),
        (":authority", "a.test"),
        (":path", "/x"),
        ("host", "b.test"),
    ];
    raw.ask(&fields, None);
    assert_eq!(raw.outcome(), Outcome::Answered(200));
    let request = upstream.next();
    assert_eq!(request.values("host"), ["a.test"]);
    assert_eq!(request.values("x-forwarded-host"), ["a.test"]);
}

#[test]
fn who_turns_out_to_speak_http2_during_a_shutdown_is_told_to_go() {
    let upstream = Upstream::answering(|_| Reply::Send(ok("fine")));
    // A connection that says nothing for a quarter of a second is closed, which a busy machine may take it for.
    for _ in 0..10 {
        let config = ::gateway::GatewayConfig::default();
        let Gateway { server, .. } = Gateway::with(config, &[upstream.address], |config| {
            // Nothing else ends it.
            config.http.header_timeout = Duration::from_secs(600);
            config.http.idle_timeout = Duration::from_secs(600);
        });
        let address = server.address();
        let silent = TcpStream::connect(address).unwrap();
        let told = std::thread::scope(|scope| {
            let shutdown = scope.spawn(move || server.shutdown(Duration::from_secs(40)));
            while TcpStream::connect_timeout(&address, Duration::from_millis(10)).is_ok() {}
            let mut client = Raw::over(silent);
            let told = loop {
                match client.next() {
                    Ok((GOAWAY, _)) => break true,
                    Ok(_) => {}
                    Err(error) => {
                        assert_ne!(error.kind(), std::io::ErrorKind::WouldBlock, "it is told nothing");
                        break false;
                    }
                }
            };
            drop(client);
            assert_eq!(shutdown.join().unwrap().requests_cut, 0);
            told
        });
        if told {
            return;
        }
    }
    panic!("it is closed each time");
}
