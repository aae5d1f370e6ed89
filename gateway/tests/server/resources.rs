//! The server measured: memory, descriptors, many connections. One test at a time, in a process of their own.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod client;
#[expect(dead_code, reason = "some is for the other tests of the server")]
mod gateway;
mod limited;
#[expect(dead_code, reason = "some is for the other tests of the server")]
mod upstream;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::num::NonZeroU32;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ::gateway::{AttemptEnd, RequestEnd};
use ::gateway::{BreakerConfig, GatewayConfig, PoolConfig, UpstreamPolicy};
use peak_alloc::PeakAlloc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Notify;

use crate::client::Client;
use crate::gateway::Gateway;
use crate::limited::Limited;
use crate::upstream::{Reply, Upstream, Vacant, ok};

#[global_allocator]
static ALLOCATED: PeakAlloc = PeakAlloc;

/// Taken by each test, so that it measures itself only.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

/// The most that was allocated meanwhile, in MB, above what was before.
fn peak(what: impl FnOnce()) -> f32 {
    let before = ALLOCATED.current_usage_as_mb();
    ALLOCATED.reset_peak_usage();
    what();
    ALLOCATED.peak_usage_as_mb() - before
}

const MB: usize = 1024 * 1024;

fn framing(megabytes: usize, chunked: bool) -> String {
    if chunked {
        "transfer-encoding: chunked".to_owned()
    } else {
        format!("content-length: {}", megabytes * MB)
    }
}

/// Reads a body and answers with its length, without keeping it.
fn counting() -> Upstream {
    Upstream::scripted(|mut connection| async move {
        while let Some(head) = connection.head().await? {
            let chunked = head.values("transfer-encoding") == ["chunked"];
            let mut left: usize =
                head.values("content-length").first().map_or(0, |length| length.parse().unwrap());
            let mut read = 0;
            if chunked {
                loop {
                    let line = connection.line().await?;
                    let size = usize::from_str_radix(line.trim(), 16).unwrap();
                    connection.skip(size + 2).await?;
                    read += size;
                    if size == 0 {
                        break;
                    }
                }
            } else {
                read = left;
                while left > 0 {
                    let some = left.min(MB);
                    connection.skip(some).await?;
                    left -= some;
                }
            }
            connection.send(&ok(read.to_string())).await?;
        }
        Ok(())
    })
}

#[test]
fn long_bodies_pass_in_flat_memory() {
    let _alone = alone();
    let piece = vec![b'x'; MB];
    // Up: with a length, and in chunks.
    let upstream = counting();
    let gateway = Gateway::proxy(upstream.address);
    for megabytes in [1, 100] {
        for chunked in [false, true] {
            let used = peak(|| {
                let mut client = Client::connect(gateway.address());
                let framing = framing(megabytes, chunked);
                client.send(format!("POST / HTTP/1.1\r\nhost: a\r\n{framing}\r\n\r\n"));
                for _ in 0..megabytes {
                    if chunked {
                        client.send(format!("{MB:x}\r\n")).send(&piece).send("\r\n");
                    } else {
                        client.send(&piece);
                    }
                }
                if chunked {
                    client.send("0\r\n\r\n");
                }
                assert_eq!(client.answer(false).text(), (megabytes * MB).to_string());
            });
            assert!(used < 8.0, "{megabytes} MB up, chunked: {chunked}: {used} MB");
        }
    }
    drop(gateway);

    // Down.
    let upstream = Upstream::scripted(|mut connection| async move {
        let piece = vec![b'x'; MB];
        while let Some(head) = connection.head().await? {
            let megabytes: usize = head.target().rsplit('/').next().unwrap().parse().unwrap();
            let chunked = head.target().starts_with("/chunked");
            let framing = framing(megabytes, chunked);
            connection.send(format!("HTTP/1.1 200 OK\r\n{framing}\r\n\r\n").as_bytes()).await?;
            for _ in 0..megabytes {
                if chunked {
                    connection.send(format!("{MB:x}\r\n").as_bytes()).await?;
                }
                connection.send(&piece).await?;
                if chunked {
                    connection.send(b"\r\n").await?;
                }
            }
            if chunked {
                connection.send(b"0\r\n\r\n").await?;
            }
        }
        Ok(())
    });
    let gateway = Gateway::proxy(upstream.address);
    for path in ["/length/1", "/length/100", "/chunked/1", "/chunked/100"] {
        let used = peak(|| {
            let mut client = Client::connect(gateway.address());
            client.send(format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n"));
            let head = client.try_head().unwrap();
            let mut read = 0;
            if let Some(length) = head.value("content-length") {
                let length: usize = length.parse().unwrap();
                while read < length {
                    read += client.take(MB).unwrap().len();
                }
            } else {
                loop {
                    let size = usize::from_str_radix(client.line().unwrap().trim(), 16).unwrap();
                    let mut left = size;
                    while left > 0 {
                        left -= client.take(left.min(MB)).unwrap().len();
                    }
                    client.take(2).unwrap();
                    read += size;
                    if size == 0 {
                        break;
                    }
                }
            }
            assert_eq!(
                read.to_string(),
                (path.rsplit('/').next().unwrap().parse::<usize>().unwrap() * MB).to_string()
            );
        });
        assert!(used < 8.0, "{path}: {used} MB");
    }
    assert_eq!(gateway.log.settled(4).served(), 4);
}

#[test]
fn a_client_that_does_not_read_holds_back_its_upstream() {
    let _alone = alone();
    let sent = Arc::new(AtomicUsize::new(0));
    let upstream = {
        let sent = Arc::clone(&sent);
        Upstream::scripted(move |mut connection| {
            let sent = Arc::clone(&sent);
            async move {
                connection.head().await?;
                connection
                    .send(format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", 100 * MB).as_bytes())
                    .await?;
                let piece = vec![b'x'; MB];
                for _ in 0..100 {
                    connection.send(&piece).await?;
                    sent.fetch_add(1, SeqCst);
                }
                Ok(())
            }
        })
    };
    let gateway = Gateway::proxy(upstream.address);
    let used = peak(|| {
        let mut client = Client::connect(gateway.address());
        client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
        client.try_head().unwrap();
        // Whoever reads slowly gets all of it; the buffers of two sockets and of the gateway hold what lies between. A receiver's
        // may grow to 32 MB on Linux (`tcp_rmem`) while its reader waits for a core.
        for taken in 1..=100 {
            client.take(MB).unwrap();
            assert!(sent.load(SeqCst) < taken + 75, "{} MB sent when {taken} were taken", sent.load(SeqCst));
        }
    });
    assert!(used < 8.0, "{used} MB");
}

#[test]
fn nothing_is_left_open() {
    let _alone = alone();
    let before = descriptors();
    {
        let upstream = Upstream::answering(|request| match request.target() {
            "/reset" => Reply::Reset(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nfive!".to_vec()),
            "/close" => Reply::Close(Vec::new()),
            "/hang" => Reply::Hang(Vec::new()),
            _ => Reply::Send(ok(&request.body)),
        });
        let pool = PoolConfig { workers: NonZeroU32::new(2), queue: Some(2), queue_timeout: None };
        let config = GatewayConfig { pool, ..GatewayConfig::default() };
        let gateway = Gateway::with(config, &[upstream.address], |_| {});
        let with_both = descriptors();
        for round in 0..200 {
            let path = ["/reset", "/close", "/hang", "/", "/nobody"][round % 5];
            let mut client = Client::connect(gateway.address());
            client.send(format!("POST {path} HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\nbo"));
            match round % 3 {
                // Leaves within its body.
                0 => {}
                _ if path == "/hang" => {
                    client.send("dy");
                    gateway.log.until("decision", |told| told.load.0 > 0);
                }
                _ => {
                    client.send("dy");
                    let _ = client.try_answer(false);
                }
            }
            drop(client);
            gateway
                .log
                .until("rest", |told| told.load == (0, 0) && told.decided.len() == told.finished.len());
        }
        // But for the few connections between gateway and upstream that wait for more, which have two ends each here.
        eventually("connections are closed", || descriptors() <= with_both + 2 * 5);
        let report = gateway.server.shutdown(Duration::from_secs(10));
        assert_eq!(report.requests_cut, 0);
    }
    assert_eq!(descriptors(), before);
}

#[test]
fn a_machine_without_descriptors_is_told_from_an_upstream_that_is_down() {
    let _alone = alone();
    let upstream = Upstream::answering(|_| Reply::Send(ok("fine")));
    // One failure would open its breaker.
    let breaker = BreakerConfig::new(Duration::from_secs(60), 1.0, 1).ok();
    let upstreams = vec![UpstreamPolicy { breaker, ..UpstreamPolicy::default() }];
    let config = GatewayConfig { upstreams, ..GatewayConfig::default() };
    let gateway = Gateway::with(config, &[upstream.address], |_| {});
    // For both ends of the client's connection, and none to the upstream.
    let limited = Limited::to(2);
    let mut client = Client::connect(gateway.address());
    assert_eq!(client.get("/").status, 502);
    let told = gateway.log.settled(1);
    assert_eq!(told.ends(), [RequestEnd::Attempt(AttemptEnd::NeverSent)]);
    assert!(told.exhausted > 0);
    // Where there are none, the idlest connection makes room.
    assert!(client.is_closed());
    // It is the machine's trouble, and not held against the upstream.
    drop(limited);
    let mut client = Client::connect(gateway.address());
    assert_eq!(client.get("/").status, 200);
    assert_eq!(gateway.log.settled(2).transitions, []);
    // For the client's end alone: it is taken in when there is room again. The first client stays: the gateway's end of it,
    // closed a moment later, would be the room that is not to be there.
    let gateway = Gateway::proxy(upstream.address);
    let limited = Limited::to(1);
    let mut waiting = Client::connect(gateway.address());
    waiting.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    gateway.log.until("want of descriptors", |told| told.exhausted > 0);
    drop(limited);
    assert_eq!(waiting.answer(false).status, 200);
    // Nobody listens there, which is not for want of anything.
    gateway.log.settled(1);
    let vacant = Vacant::new();
    let down = Gateway::proxy(vacant.address);
    assert_eq!(Client::connect(down.address()).get("/").status, 502);
    assert_eq!(down.log.settled(1).exhausted, 0);
}

/// Looks again and again, for a while: what a kernel does after the other end closed tells nobody when it is done.
fn eventually(what: &str, condition: impl Fn() -> bool) {
    for _ in 0..2_000 {
        if condition() {
            return;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    panic!("not even after ten seconds: {what}");
}

#[test]
fn five_thousand_connections_are_held() {
    const CONNECTIONS: usize = 5_000;
    let _alone = alone();
    // Two ends of two connections each.
    let needed = 4 * CONNECTIONS as u64 - 500;
    match rlimit::increase_nofile_limit(u64::MAX) {
        Ok(limit) if limit >= needed => {}
        limit => {
            let what = format!("limit of {needed} descriptors, only of {limit:?}");
            return missing(&what).unwrap_or_default();
        }
    }
    let go = Arc::new(Notify::new());
    let waiting = Arc::new(AtomicUsize::new(0));
    let upstream = {
        let (go, waiting) = (Arc::clone(&go), Arc::clone(&waiting));
        Upstream::scripted(move |mut connection| {
            let (go, waiting) = (Arc::clone(&go), Arc::clone(&waiting));
            async move {
                while let Some(request) = connection.request().await? {
                    let notified = go.notified();
                    tokio::pin!(notified);
                    notified.as_mut().enable();
                    waiting.fetch_add(1, SeqCst);
                    notified.await;
                    connection.send(&ok(request.target())).await?;
                }
                Ok(())
            }
        })
    };
    // Half of the connections are at a request, the other half at rest.
    let gateway = Gateway::with(GatewayConfig::default(), &[upstream.address], |config| config.threads = 2);
    let mut clients: Vec<_> =
        (0..CONNECTIONS).map(|_| TcpStream::connect(gateway.address()).unwrap()).collect();
    let busy = CONNECTIONS - 500;
    for (number, client) in clients.iter_mut().take(busy).enumerate() {
        client.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        client.write_all(format!("GET /{number} HTTP/1.1\r\nhost: a\r\n\r\n").as_bytes()).unwrap();
    }
    gateway.log.until("all of them", |told| told.load.0 as usize == busy);
    eventually("all have reached the upstream", || waiting.load(SeqCst) == busy);
    go.notify_waiters();
    for (number, client) in clients.iter_mut().take(busy).enumerate() {
        let mut answer = [0; 1024];
        let mut read = 0;
        let path = format!("/{number}");
        while !answer[..read].ends_with(path.as_bytes()) {
            let more = client.read(&mut answer[read..]).unwrap();
            assert!(more > 0, "connection {number} was closed");
            read += more;
        }
    }
    drop(clients);
    assert_eq!(gateway.log.settled(busy).served(), busy);
}

/// Sends requests with ids over and over until told to stop, and checks that each answer is its own. Returns how many were
/// answered, and how many were not.
fn hammer(address: SocketAddr, thread: usize, body: bool, stop: &AtomicBool) -> (usize, usize) {
    let (mut answered, mut number) = (0, 0);
    'connections: while !stop.load(SeqCst) {
        let Ok(stream) = TcpStream::connect(address) else { break };
        let mut client = Client::over(stream);
        loop {
            let id = format!("{thread}-{number}");
            number += 1;
            let request = if body {
                format!("POST /{id} HTTP/1.1\r\nhost: a\r\ncontent-length: {}\r\n\r\n{id}", id.len())
            } else {
                format!("GET /{id} HTTP/1.1\r\nhost: a\r\n\r\n")
            };
            let expected = format!("/{id}={}", if body { &*id } else { "" });
            if client.stream.write_all(request.as_bytes()).is_err() {
                return (answered, 1);
            }
            let Ok(answer) = client.try_answer(false) else { return (answered, 1) };
            assert_eq!((answer.status, answer.text()), (200, expected));
            answered += 1;
            if answer.value("connection") == Some("close") {
                continue 'connections;
            }
            if stop.load(SeqCst) {
                break 'connections;
            }
        }
    }
    (answered, 0)
}

fn pairing() -> Upstream {
    Upstream::answering(|request| {
        let body = [request.target().as_bytes(), b"=", &request.body].concat();
        // It closes now and then without having said so, which costs nobody an answer who may ask again.
        if request.target().ends_with("77") { Reply::Close(ok(body)) } else { Reply::Send(ok(body)) }
    })
}

#[test]
fn every_answer_finds_its_request() {
    let _alone = alone();
    let upstream = pairing();
    let pool = PoolConfig { workers: NonZeroU32::new(8), queue: None, queue_timeout: None };
    let config = GatewayConfig { pool, ..GatewayConfig::default() };
    let gateway = Gateway::with(config, &[upstream.address], |config| config.threads = 2);
    let (address, stop) = (gateway.address(), AtomicBool::new(false));
    let answered: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..32)
            .map(|thread| {
                scope.spawn({
                    let stop = &stop;
                    move || hammer(address, thread, false, stop)
                })
            })
            .collect();
        gateway.log.until("many requests", |told| told.finished.len() > 5_000);
        stop.store(true, SeqCst);
        threads
            .into_iter()
            .map(|thread| {
                let (answered, lost) = thread.join().unwrap();
                assert_eq!(lost, 0);
                answered
            })
            .sum()
    });
    let told = gateway.log.settled(answered);
    assert_eq!(told.served(), answered);
    assert!(told.loads.iter().all(|(_, busy, _)| *busy <= 8));
}

#[test]
fn a_shutdown_under_load_loses_nobody() {
    let _alone = alone();
    let before = descriptors();
    {
        let upstream = Upstream::answering(|request| {
            Reply::Send(ok([request.target().as_bytes(), b"=", &request.body].concat()))
        });
        let gateway =
            Gateway::with(GatewayConfig::default(), &[upstream.address], |config| config.threads = 2);
        let (address, stop) = (gateway.address(), AtomicBool::new(false));
        let Gateway { server, log } = gateway;
        let answered: usize = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..32)
                .map(|thread| {
                    scope.spawn({
                        let stop = &stop;
                        move || hammer(address, thread, true, stop)
                    })
                })
                .collect();
            log.until("load", |told| told.finished.len() > 1_000);
            let report = server.shutdown(Duration::from_secs(20));
            assert_eq!(report.requests_cut, 0);
            threads
                .into_iter()
                .map(|thread| {
                    let (answered, lost) = thread.join().unwrap();
                    assert_eq!(lost, 0, "a request was lost");
                    answered
                })
                .sum()
        });
        assert_eq!(log.settled(answered).served(), answered);
    }
    assert_eq!(descriptors(), before);
}

#[test]
#[cfg(target_os = "linux")]
fn whoever_has_a_connection_at_a_shutdown_is_answered() {
    let _alone = alone();
    let upstream = Upstream::answering(|_| Reply::Send(ok("fine")));
    // Each visit has a connection of its own, until none is to be had. A gateway that has ended may still have granted one: its
    // client asked before, and waited for a core longer than the gateway waits for anybody. Nothing of it was lost.
    let visit = |address, ended: &AtomicBool| {
        while let Ok(stream) = TcpStream::connect(address) {
            let ended = ended.load(SeqCst);
            let mut client = Client::over(stream);
            let request = b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
            match client.stream.write_all(request).and_then(|()| client.try_answer(false)) {
                Ok(answer) => assert_eq!(answer.status, 200),
                Err(_) if ended => {}
                Err(error) => panic!("a request was lost: {error}"),
            }
        }
    };
    for _ in 0..5 {
        let Gateway { server, log } = Gateway::proxy(upstream.address);
        let address = server.address();
        let ended = AtomicBool::new(false);
        std::thread::scope(|scope| {
            (0..8).for_each(|_| _ = scope.spawn(|| visit(address, &ended)));
            log.until("load", |told| told.finished.len() > 50);
            server.shutdown(Duration::from_secs(20));
            ended.store(true, SeqCst);
        });
    }
}

#[test]
fn a_shutdown_waits_for_answers_and_not_for_ever() {
    let _alone = alone();
    let go = Arc::new(Notify::new());
    let upstream = {
        let go = Arc::clone(&go);
        Upstream::answering(move |request| match request.target() {
            "/late" => Reply::When(Arc::clone(&go), ok("late")),
            "/never" => Reply::Hang(Vec::new()),
            _ => Reply::Send(ok("now")),
        })
    };
    for never in [false, true] {
        let gateway = Gateway::proxy(upstream.address);
        let mut idle = Client::connect(gateway.address());
        assert_eq!(idle.get("/").status, 200);
        let mut fresh = Client::connect(gateway.address());
        let mut late = Client::connect(gateway.address());
        late.send("GET /late HTTP/1.1\r\nhost: a\r\n\r\n");
        let mut hanging = never.then(|| {
            let mut client = Client::connect(gateway.address());
            client.send("GET /never HTTP/1.1\r\nhost: a\r\n\r\n");
            client
        });
        gateway.log.until("both", |told| told.decided.len() == 2 + usize::from(never));
        let (server, log) = (gateway.server, gateway.log);
        let grace = Duration::from_secs(if never { 2 } else { 20 });
        let shutdown = std::thread::spawn(move || server.shutdown(grace));
        assert!(idle.is_closed());
        assert!(fresh.is_closed());
        go.notify_one();
        let answer = late.answer(false);
        assert_eq!(
            (answer.status, answer.text().as_str(), answer.value("connection")),
            (200, "late", Some("close"))
        );
        assert_eq!(shutdown.join().unwrap().requests_cut, u32::from(never));
        if let Some(hanging) = &mut hanging {
            assert!(hanging.is_closed());
        }
        log.settled(2 + usize::from(never));
    }
}

/// Skips a test for want of a tool, unless the environment says that all must be there.
#[track_caller]
fn missing<T>(tool: &str) -> Option<T> {
    assert!(
        std::env::var_os("TUESDAY_REQUIRE_TOOLS").is_none(),
        "there is no {tool}, and TUESDAY_REQUIRE_TOOLS is set"
    );
    // Straight to standard error: what a test that passes prints by a macro is shown to nobody.
    let _ = writeln!(std::io::stderr(), "SKIPPED: there is no {tool}");
    None
}

/// Runs curl; `None` where there is none.
fn curl(arguments: &[&str], input: &[u8]) -> Option<String> {
    let spawned = Command::new("curl")
        .args(["--silent", "--show-error", "--max-time", "60", "--noproxy", "*"])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let Ok(mut child) = spawned else { return missing("curl") };
    let mut stdin = child.stdin.take().unwrap();
    let output = std::thread::scope(|scope| {
        scope.spawn(move || stdin.write_all(input));
        child.wait_with_output().unwrap()
    });
    assert!(output.status.success(), "curl {arguments:?}: {output:?}");
    Some(String::from_utf8(output.stdout).unwrap())
}

#[test]
fn curl_is_served_over_both_protocols() {
    let _alone = alone();
    let upstream = counting();
    let gateway = Gateway::proxy(upstream.address);
    let url = format!("http://{}/upload", gateway.address());
    let body = vec![b'x'; 10 * MB];
    let write_out = ["--write-out", " %{http_code} %{http_version}"];
    for (protocol, version) in [("--http1.1", "1.1"), ("--http2-prior-knowledge", "2"), ("--http1.0", "1")] {
        let with = |more: &[&'static str]| [&[protocol][..], &write_out, more, &[&*url]].concat();
        let Some(answer) = curl(&with(&["--data-binary", "@-"]), &body) else { return };
        assert_eq!(answer, format!("{} 200 {version}", body.len()), "{protocol}");
        let answer = curl(&with(&[]), b"").unwrap();
        assert_eq!(answer, format!("0 200 {version}"), "{protocol}");
        let answer = curl(&with(&["--head", "--output", "/dev/null"]), b"").unwrap();
        assert_eq!(answer, format!(" 200 {version}"), "{protocol}");
        if protocol != "--http1.0" {
            let expecting = ["--header", "Expect: 100-continue", "--data-binary", "@-"];
            let answer = curl(&with(&expecting), &body).unwrap();
            assert_eq!(answer, format!("{} 200 {version}", body.len()), "{protocol}");
            let chunked = ["--header", "Transfer-Encoding: chunked", "--data-binary", "@-"];
            let answer = curl(&with(&chunked), &body).unwrap();
            assert_eq!(answer, format!("{} 200 {version}", body.len()), "{protocol}");
        }
    }
    // Many at once. (Over HTTP/2 this curl's own multiplexing fails; h2load's does not.)
    let urls = format!("http://{}/[1-200]", gateway.address());
    let many = ["--http1.1", "--parallel", "--output", "/dev/null", "--write-out", "%{http_code}\n", &urls];
    assert_eq!(curl(&many, b"").unwrap(), "200\n".repeat(200));
    let told =
        gateway.log.until("the end", |told| told.load == (0, 0) && told.decided.len() == told.finished.len());
    assert_eq!(told.served(), told.decided.len());
}

#[test]
fn wrk_finds_no_errors() {
    let _alone = alone();
    let upstream = Upstream::answering(|_| Reply::Send(ok("hello")));
    let gateway = Gateway::with(GatewayConfig::default(), &[upstream.address], |config| config.threads = 2);
    let url = format!("http://{}/", gateway.address());
    let Ok(output) = Command::new("wrk").args(["-t2", "-c50", "-d1s", &url]).output() else {
        return missing("wrk").unwrap_or_default();
    };
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(told.contains("requests in"), "{told}");
    assert!(!told.contains("Socket errors") && !told.contains("Non-2xx"), "{told}");
}

#[test]
fn h2load_finds_no_errors() {
    let _alone = alone();
    let upstream = Upstream::answering(|_| Reply::Send(ok("hello")));
    let gateway = Gateway::with(GatewayConfig::default(), &[upstream.address], |config| config.threads = 2);
    let url = format!("http://{}/", gateway.address());
    let Ok(output) = Command::new("h2load").args(["-n5000", "-c10", "-m50", &url]).output() else {
        return missing("h2load").unwrap_or_default();
    };
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(told.contains("5000 succeeded, 0 failed, 0 errored"), "{told}");
    assert_eq!(gateway.log.settled(5_000).served(), 5_000);
}

/// A client that wants no more of a stream says so without closing its connection.
#[test]
fn a_stream_of_http2_is_left_alone() {
    let _alone = alone();
    let closed = Arc::new(Notify::new());
    let upstream = {
        let closed = Arc::clone(&closed);
        Upstream::scripted(move |mut connection| {
            let closed = Arc::clone(&closed);
            async move {
                while let Some(request) = connection.head().await? {
                    match request.target() {
                        "/stream" | "/timeout" => {
                            let head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n";
                            connection.send(head).await?;
                            connection.closed().await;
                            closed.notify_one();
                        }
                        _ => connection.send(&ok("whole")).await?,
                    }
                }
                Ok(())
            }
        })
    };
    let pool = PoolConfig { workers: NonZeroU32::new(1), queue: Some(9), queue_timeout: None };
    let config = GatewayConfig { pool, timeout: Some(Duration::from_secs(100)), ..GatewayConfig::default() };
    let gateway = Gateway::at_speed(100.0, config, &[upstream.address], |_| {});
    let address = gateway.address();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build().unwrap();
    runtime.block_on(async {
        use http_body_util::{BodyExt, Empty};
        let stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let (mut sender, connection) = hyper::client::conn::http2::handshake(
            hyper_util::rt::TokioExecutor::new(),
            hyper_util::rt::TokioIo::new(stream),
        )
        .await
        .unwrap();
        tokio::spawn(connection);
        let request = |path: &str| {
            let request = http::Request::builder().uri(format!("http://gateway.test{path}"));
            request.body(Empty::<bytes::Bytes>::new()).unwrap()
        };
        // Left within its body.
        let mut body = sender.send_request(request("/stream")).await.unwrap().into_body();
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "hello");
        let queued = sender.send_request(request("/"));
        drop(body);
        closed.notified().await;
        // Which makes room for the next.
        let whole = queued.await.unwrap().into_body().collect().await.unwrap().to_bytes();
        assert_eq!(whole, "whole");
        // A deadline within a body ends the stream, and not as if it were whole; the connection goes on.
        let mut body = sender.send_request(request("/timeout")).await.unwrap().into_body();
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "hello");
        assert!(body.frame().await.unwrap().is_err());
        let answer = sender.send_request(request("/")).await.unwrap();
        assert_eq!(answer.status(), 200);
        assert!(answer.headers().get("connection").is_none());
    });
    let answered = RequestEnd::Attempt(AttemptEnd::Answered(200));
    let told = gateway.log.settled(4);
    assert_eq!(
        told.ends(),
        [RequestEnd::ClientLeft, answered, RequestEnd::Attempt(AttemptEnd::TimedOut), answered]
    );
}

/// Everything still works when a body is read while it is sent.
#[test]
fn both_ways_at_once() {
    let _alone = alone();
    let upstream = Upstream::scripted(|mut connection| async move {
        connection.head().await?;
        connection.send(format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", 20 * MB).as_bytes()).await?;
        let early = connection.buffered();
        let (mut reader, mut writer) = connection.stream.split();
        writer.write_all(&early).await?;
        let mut copied = (&mut reader).take((20 * MB - early.len()) as u64);
        tokio::io::copy(&mut copied, &mut writer).await?;
        Ok(())
    });
    let gateway = Gateway::proxy(upstream.address);
    let mut client = Client::connect(gateway.address());
    client.send(format!("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: {}\r\n\r\n", 20 * MB));
    let mut writer = client.stream.try_clone().unwrap();
    let body: Vec<u8> = (0..20 * MB).map(|place| (place % 251) as u8).collect();
    std::thread::scope(|scope| {
        scope.spawn(|| writer.write_all(&body).unwrap());
        let answer = client.answer(false);
        assert_eq!(answer.body, body);
    });
}

#[test]
fn a_client_may_send_all_before_it_reads() {
    let _alone = alone();
    // Answers from the beginning, and reads meanwhile.
    let upstream = Upstream::scripted(|mut connection| async move {
        connection.head().await?;
        let left = (20 * MB - connection.buffered().len()) as u64;
        let (reader, mut writer) = connection.stream.split();
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", 20 * MB);
        let answer = [head.into_bytes(), vec![b'a'; 20 * MB]].concat();
        let (mut reader, mut nowhere) = (reader.take(left), tokio::io::sink());
        let read = tokio::io::copy(&mut reader, &mut nowhere);
        tokio::try_join!(writer.write_all(&answer), read).map(drop)
    });
    let gateway = Gateway::proxy(upstream.address);
    let mut client = Client::connect(gateway.address());
    client.send(format!("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: {}\r\n\r\n", 20 * MB));
    client.send(vec![b'q'; 20 * MB]);
    assert_eq!(client.answer(false).body, vec![b'a'; 20 * MB]);
}
