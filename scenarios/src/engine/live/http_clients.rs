//! What the clients send with: an HTTP client for each address that they send from, with connections of its own.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use super::connection::{Connector, was_stale};

/// An HTTP/1.1 client that follows no redirect, asks no proxy and adds no field but `Host`. It sends again what was not
/// written, for the connection was seen to be closed, and nothing else: whether a request is repeated is its population's to
/// say, and so is how long it waits; of the connection's own timeouts, they are the system's.
pub(super) type HttpClient = legacy::Client<Connector, Full<Bytes>>;

/// What came of a request.
pub(super) struct Sent {
    /// The head of its answer.
    pub(super) answer: Result<Response<Incoming>, legacy::Error>,
    /// Whether it was sent again, since the gateway had closed the kept connection in the same instant.
    pub(super) resent: bool,
}

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

    /// Sends what `request` makes from this address. A kept connection that had carried an answer and was closed before a
    /// byte of this one is no answer: then the request is sent once more, on a fresh connection, whatever its method. What
    /// has been answered in part is not sent again.
    pub(super) async fn send(&self, address: Ipv4Addr, request: impl Fn() -> Request<Full<Bytes>>) -> Sent {
        let answer = self.of(address).request(request()).await;
        if !answer.as_ref().is_err_and(was_stale) {
            return Sent { answer, resent: false };
        }
        let answer = http_client(self.from(address), 0).request(request()).await;
        Sent { answer, resent: true }
    }

    /// The client that sends from this address.
    fn of(&self, address: Ipv4Addr) -> HttpClient {
        let from = self.from(address);
        match &self.kept {
            Some(kept) => {
                let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                kept.entry(address).or_insert_with(|| http_client(from, usize::MAX)).clone()
            }
            None => http_client(from, 0),
        }
    }

    fn from(&self, address: Ipv4Addr) -> Option<IpAddr> {
        self.own_addresses.then_some(address.into())
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
        .build(Connector(connector))
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

    /// What a gateway does with the connections that it takes in, one after the other: on each it answers so many requests,
    /// and closes the connection when it has read one more.
    async fn closes_in_the_instant(listener: TcpListener, answers: &[usize]) -> Vec<String> {
        let mut heads = Vec::new();
        for answers in answers {
            let (mut stream, _) = listener.accept().await.unwrap();
            for place in 0..=*answers {
                let mut request = [0; 1024];
                let read = stream.read(&mut request).await.unwrap();
                let head = String::from_utf8_lossy(&request[..read]);
                heads.push(head.split(" HTTP").next().unwrap_or_default().to_owned());
                if place < *answers {
                    stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
                }
            }
        }
        heads
    }

    /// Sends these requests one after the other, and says of each whether it was answered and whether it was sent again.
    async fn sends(address: SocketAddr, requests: &[&str]) -> Vec<(bool, bool)> {
        let clients = HttpClients::new(1, true);
        let mut told = Vec::new();
        for request in requests {
            let (method, path) = request.split_once(' ').unwrap();
            let make = || {
                let uri = format!("http://{address}{path}");
                Request::builder().method(method).uri(uri).body(Full::default()).unwrap()
            };
            let Sent { answer, resent } = clients.send(ONE, make).await;
            told.push((answer.is_ok(), resent));
            if let Ok(answer) = answer {
                answer.into_body().collect().await.unwrap();
                tokio::task::yield_now().await;
            }
        }
        told
    }

    async fn listener() -> (TcpListener, SocketAddr) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        (listener, address)
    }

    #[tokio::test]
    async fn what_meets_a_kept_connection_that_is_being_closed_is_sent_again_whatever_its_method() {
        for again in ["GET /again", "POST /again"] {
            let (listener, address) = listener().await;
            let gateway = async {
                // The first connection answers one request and is closed over the next, the second answers one.
                closes_in_the_instant(listener, &[1, 1]).await
            };
            let clients = async {
                let told = sends(address, &["GET /first", again]).await;
                assert_eq!(told, [(true, false), (true, true)], "{again}");
            };
            let (heads, ()) = tokio::join!(gateway, clients);
            assert_eq!(heads, ["GET /first", again, again, ""], "the last is the client's own close");
        }
    }

    #[tokio::test]
    async fn what_a_fresh_connection_does_not_answer_is_not_sent_again() {
        let (listener, address) = listener().await;
        let gateway = closes_in_the_instant(listener, &[0, 1, 0]);
        let clients = async {
            // Of the second connection one answer comes, and of the one after it none: that is a gateway that does not answer.
            assert_eq!(
                sends(address, &["GET /one", "GET /two", "GET /three"]).await,
                [(false, false), (true, false), (false, true)]
            );
        };
        let (heads, ()) = tokio::join!(gateway, clients);
        assert_eq!(heads, ["GET /one", "GET /two", "GET /three", "GET /three"]);
    }

    #[tokio::test]
    async fn what_was_answered_in_part_is_not_sent_again() {
        let (listener, address) = listener().await;
        let gateway = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            for answer in [&b"HTTP/1.1 204 No Content\r\n\r\n"[..], b"HTTP/1.1 200 O"] {
                assert_ne!(stream.read(&mut [0; 1024]).await.unwrap(), 0);
                stream.write_all(answer).await.unwrap();
            }
        };
        let clients = async {
            assert_eq!(sends(address, &["GET /one", "GET /two"]).await, [(true, false), (false, false)]);
        };
        tokio::join!(gateway, clients);
    }
}
