//! What the clients send with: an HTTP client for each address that they send from, with connections of its own.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};

/// An HTTP/1.1 client that follows no redirect, asks no proxy and adds no field but `Host`. It sends again what a connection
/// that rested did not take any more, and nothing else: whether a request is repeated is its population's to say, and so is
/// how long it waits; of the connection's own timeouts, they are the system's.
pub(super) type HttpClient = legacy::Client<HttpConnector, Full<Bytes>>;

/// The HTTP client of each address.
#[derive(Debug)]
pub(super) struct HttpClients {
    own_addresses: bool,
    /// `None` where no connection is kept, and so no client.
    kept: Option<Mutex<HashMap<Ipv4Addr, HttpClient>>>,
}

/// With more addresses than this, connections are not kept: there would be one for each, resting.
const MOST_RESTING: u32 = 2_000;

/// How many of so many clients, each with an address of its own, keep a connection that they do not use.
pub(super) const fn resting(addresses: u32) -> u32 {
    if addresses > MOST_RESTING { 0 } else { addresses }
}

/// How long a client keeps a connection that it does not use.
const REST: Duration = Duration::from_secs(5);

impl HttpClients {
    /// Of so many addresses. Where they are not sent from, each has connections of its own all the same.
    pub(super) fn new(addresses: u32, own_addresses: bool) -> Self {
        Self { own_addresses, kept: (resting(addresses) > 0).then(Mutex::default) }
    }

    /// The client that sends from this address.
    pub(super) fn of(&self, address: Ipv4Addr) -> HttpClient {
        let from = self.own_addresses.then_some(address.into());
        match &self.kept {
            Some(kept) => {
                let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                kept.entry(address).or_insert_with(|| http_client(from, usize::MAX)).clone()
            }
            None => http_client(from, 0),
        }
    }
}

/// A client that sends from this address, if from any, and keeps so many connections that it does not use.
pub(super) fn http_client(from: Option<IpAddr>, most_resting: usize) -> HttpClient {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    connector.set_local_address(from);
    legacy::Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(REST)
        .pool_max_idle_per_host(most_resting)
        .build(connector)
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use http::StatusCode;
    use http_body_util::BodyExt as _;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    const ONE: Ipv4Addr = Ipv4Addr::new(127, 1, 0, 1);
    const OTHER: Ipv4Addr = Ipv4Addr::new(127, 1, 0, 2);

    async fn answers(mut stream: TcpStream) {
        let mut request = [0; 1024];
        while let Ok(1..) = stream.read(&mut request).await {
            if stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.is_err() {
                return;
            }
        }
    }

    /// Where the connections came from over which these addresses sent in turn.
    async fn connections(clients: HttpClients, senders: &[Ipv4Addr]) -> Vec<IpAddr> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (heard, mut connections) = tokio::sync::mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok((stream, peer)) = listener.accept().await {
                heard.send(peer.ip()).unwrap();
                tokio::spawn(answers(stream));
            }
        });
        for sender in senders {
            ask(&clients.of(*sender), address).await;
        }
        let mut peers = Vec::new();
        while let Ok(peer) = connections.try_recv() {
            peers.push(peer);
        }
        peers
    }

    async fn ask(client: &HttpClient, address: SocketAddr) {
        let response = client.get(format!("http://{address}/").parse().unwrap()).await.unwrap();
        assert_eq!(response.status(), StatusCode::NO_CONTENT);
        response.into_body().collect().await.unwrap();
        // The connection comes to rest in a task of its own.
        tokio::task::yield_now().await;
    }

    #[tokio::test]
    async fn each_address_has_connections_of_its_own() {
        let senders = [ONE, ONE, OTHER, ONE, OTHER];
        assert_eq!(connections(HttpClients::new(2, true), &senders).await, [ONE, OTHER]);
        // Which tell nobody apart where all of them send from the machine's own.
        assert_eq!(connections(HttpClients::new(2, false), &senders).await, [Ipv4Addr::LOCALHOST; 2]);
    }

    #[tokio::test]
    async fn none_is_kept_where_there_would_be_too_many() {
        let clients = HttpClients::new(MOST_RESTING + 1, true);
        assert_eq!(connections(clients, &[ONE, ONE, OTHER]).await, [ONE, ONE, OTHER]);
    }

    /// Answers one request, and closes the connection when it rests.
    async fn serve_one(listener: &TcpListener) {
        let (mut stream, _) = listener.accept().await.unwrap();
        assert_ne!(stream.read(&mut [0; 1024]).await.unwrap(), 0);
        stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
    }

    #[tokio::test]
    async fn a_connection_that_was_closed_while_it_rested_costs_no_request() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let client = http_client(None, usize::MAX);
        for _ in 0..3 {
            tokio::join!(serve_one(&listener), ask(&client, address));
        }
    }
}
