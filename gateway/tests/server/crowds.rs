//! More than there is room for: gateways on one port, and connections.

use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Condvar, Mutex};

use ::gateway::GatewayConfig;
use ::gateway::server::{ScenarioClock, Server, ServerConfig, StartError};

use crate::client::Client;
use crate::gateway::{Gateway, START, routes};
use crate::upstream::{Reply, Upstream, ok};

#[test]
fn a_second_gateway_on_a_port_is_refused() {
    let upstream = Upstream::answering(|_| Reply::Send(ok("fine")));
    // However many threads share the port of either.
    for (threads, others) in [(1, 2), (2, 1), (2, 2)] {
        let gateway = Gateway::with(GatewayConfig::default(), &[upstream.address], |config| {
            config.threads = threads;
        });
        let rules = GatewayConfig { routes: routes(1), ..GatewayConfig::default() };
        let mut config = ServerConfig::new(gateway.address(), rules, vec![upstream.address]);
        config.threads = others;
        let second = Server::start(config, ScenarioClock::starting_now(START, 1.0), Arc::new(()));
        let refused = second.err().unwrap_or_else(|| panic!("{others} threads share the port of {threads}"));
        assert!(matches!(refused, StartError::Listen { address, .. } if address == gateway.address()));
        assert_eq!(Client::connect(gateway.address()).get("/").status, 200);
    }
}

/// A gateway with places for so many connections.
fn cramped(upstream: SocketAddr, connections: usize, threads: usize) -> Gateway {
    Gateway::with(GatewayConfig::default(), &[upstream], |config| {
        (config.http.connections, config.threads) = (connections, threads);
    })
}

#[test]
fn while_all_connections_are_at_requests_more_wait_to_be_taken_in() {
    let open = Arc::new((Mutex::new(false), Condvar::new()));
    let gate = Arc::clone(&open);
    let upstream = Upstream::scripted(move |mut connection| {
        let gate = Arc::clone(&gate);
        async move {
            while connection.head().await?.is_some() {
                let gate = Arc::clone(&gate);
                let passed = tokio::task::spawn_blocking(move || {
                    drop(gate.1.wait_while(gate.0.lock().unwrap(), |open| !*open).unwrap());
                });
                passed.await.unwrap();
                connection.send(&ok("fine")).await?;
            }
            Ok(())
        }
    });
    let gateway = cramped(upstream.address, 2, 1);
    let send = || {
        let mut client = Client::connect(gateway.address());
        client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
        client
    };
    let mut served = [send(), send()];
    gateway.log.until("two requests", |told| told.decided.len() == 2);
    let mut waiting = send();
    *open.0.lock().unwrap() = true;
    open.1.notify_all();
    // Nobody is closed before the answer has come, and one of the two makes room after it.
    for client in &mut served {
        assert_eq!(client.answer(false).status, 200);
    }
    assert_eq!(waiting.answer(false).status, 200);
    assert_eq!(gateway.log.settled(3).served(), 3);
}

#[test]
fn for_one_connection_more_the_idlest_is_closed() {
    let upstream = Upstream::answering(|_| Reply::Send(ok("fine")));
    for threads in [1, 2] {
        let gateway = cramped(upstream.address, 8, threads);
        let mut regular = Client::connect(gateway.address());
        assert_eq!(regular.get("/").status, 200);
        let mut silent: Vec<_> = (0..7).map(|_| Client::connect(gateway.address())).collect();
        for number in 0..20 {
            // Each comes in although there is no place for it: the silent ones go first, in the order in which they came.
            let mut late = Client::connect(gateway.address());
            assert_eq!(late.get("/").status, 200, "{number}");
            assert_eq!(regular.get("/").status, 200, "{number}");
            if number == 0 && threads == 1 {
                assert!(silent.remove(0).is_closed());
            }
        }
    }
}

#[test]
fn silent_connections_of_either_protocol_lock_nobody_out() {
    let upstream = Upstream::answering(|_| Reply::Send(ok("fine")));
    let gateway = cramped(upstream.address, 4, 2);
    let openings: [&[u8]; 4] = [
        b"",
        b"GET / HTTP/1.1\r\nhost: ",
        // The preface and settings of HTTP/2, and nothing more.
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0",
        // An answer that is not waited for.
        b"GET / HTTP/1.1\r\nhost: a\r\n\r\n",
    ];
    let mut crowd: Vec<TcpStream> = Vec::new();
    for round in 0..25 {
        for opening in openings {
            let mut stream = TcpStream::connect(gateway.address()).unwrap();
            std::io::Write::write_all(&mut stream, opening).unwrap();
            crowd.push(stream);
        }
        assert_eq!(Client::connect(gateway.address()).get("/").status, 200, "{round}");
    }
    // What a client stalls in the midst of a request makes room once nobody rests.
    let stalled = b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\n1";
    for _ in 0..8 {
        let mut stream = TcpStream::connect(gateway.address()).unwrap();
        std::io::Write::write_all(&mut stream, stalled).unwrap();
        crowd.push(stream);
    }
    assert_eq!(Client::connect(gateway.address()).get("/").status, 200);
}
