//! How a service asks another over its own connections.

use std::io;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use gateway::auth::FetchFailure;
use gateway::server::{is_exhaustion, retry_after};
use gateway::{AttemptEnd, HostId};
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use crate::service::end_of_answer;
use crate::tag::{RequestTag, headers};

/// Idle connections that a service keeps to another, at most.
const IDLE: usize = 1_024;

/// A service's connections to the others, which it opens as it needs them and uses again.
pub(super) struct Client {
    /// Those of one upstream after those of the one before.
    peers: Vec<Peer>,
    /// By number of the upstream: the place of its first host.
    first_hosts: Vec<usize>,
}

struct Peer {
    address: SocketAddr,
    idle: Mutex<Vec<Connection>>,
}

/// Closed when dropped, whatever is under way on it.
struct Connection {
    sender: SendRequest<Empty<Bytes>>,
    task: JoinHandle<()>,
}

impl Client {
    pub(super) fn new(addresses: &[SocketAddr], first_hosts: Vec<usize>) -> Self {
        let peer = |address: &SocketAddr| Peer { address: *address, idle: Mutex::default() };
        Self { peers: addresses.iter().map(peer).collect(), first_hosts }
    }

    fn peer(&self, upstream: usize, host: HostId) -> Option<&Peer> {
        self.peers.get(*self.first_hosts.get(upstream)? + host.0 as usize)
    }

    /// Asks a host of an upstream and reads its answer to the end. Dropped before, it closes the connection. Where the machine
    /// has nothing left to open a connection with, says what as well.
    pub(super) async fn ask(
        &self,
        upstream: usize,
        host: HostId,
        tag: RequestTag,
        bearer: Option<HeaderValue>,
    ) -> (AttemptEnd, Option<io::Error>) {
        let Some(peer) = self.peer(upstream, host) else { return (AttemptEnd::Broken, None) };
        let mut headers = HeaderMap::new();
        if let Ok(tag) = HeaderValue::try_from(tag.to_string()) {
            headers.insert(headers::REQUEST, tag);
        }
        headers.extend(bearer.map(|bearer| (AUTHORIZATION, bearer)));
        match peer.ask("/", headers, None).await {
            Ok(Heard { status, retry_after, body }) => {
                (end_of_answer(status, body.is_none(), retry_after), None)
            }
            Err(error) => match error.downcast::<io::Error>() {
                Ok(error) if is_exhaustion(&error) => (AttemptEnd::NeverSent, Some(*error)),
                _ => (AttemptEnd::Broken, None),
            },
        }
    }

    /// Asks an identity provider for its keys: the status of the answer and its body, of `most` bytes at most.
    pub(super) async fn fetch(&self, upstream: usize, most: usize) -> Result<(u16, Vec<u8>), FetchFailure> {
        let peer = self.peer(upstream, HostId(0)).ok_or(FetchFailure::Connection)?;
        let asked = peer.ask(KEYS, HeaderMap::new(), Some(most)).await;
        let Heard { status, body, .. } = asked.map_err(|_| FetchFailure::Connection)?;
        Ok((status, body.ok_or(FetchFailure::Connection)?))
    }
}

/// What a service hears of another.
struct Heard {
    status: u16,
    /// The wait that the answer asks for.
    retry_after: Option<Duration>,
    /// As much of the body as is to be kept; `None` for an answer that breaks off.
    body: Option<Vec<u8>>,
}

/// Where keys are asked for.
const KEYS: &str = "/.well-known/jwks.json";

impl Peer {
    /// An error is one before the headers of the answer.
    async fn ask(&self, path: &str, headers: HeaderMap, kept: Option<usize>) -> Result<Heard, Failure> {
        let mut request =
            Request::get(path).header(http::header::HOST, self.address.to_string()).body(Empty::new())?;
        request.headers_mut().extend(headers);
        let (connection, mut response) = loop {
            // Bound by the number of idle connections: one that is new does not return what it was given.
            let (mut connection, is_new) = match self.take_idle() {
                Some(connection) => (connection, false),
                None => (Connection::open(self.address).await?, true),
            };
            match connection.sender.try_send_request(request).await {
                Ok(response) => break (connection, response),
                // Closed while it was idle: the other has seen nothing of it.
                Err(mut error) => match error.take_message().filter(|_| !is_new) {
                    Some(unsent) => request = unsent,
                    None => return Err(error.into_error().into()),
                },
            }
        };
        let (status, retry_after) = (response.status().as_u16(), retry_after(response.headers()));
        let Ok(body) = drain(&mut response, kept.unwrap_or(0)).await else {
            return Ok(Heard { status, retry_after, body: None });
        };
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE {
            idle.push(connection);
        }
        Ok(Heard { status, retry_after, body: Some(body) })
    }

    fn take_idle(&self) -> Option<Connection> {
        loop {
            let connection = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()?;
            if !connection.sender.is_closed() {
                return Some(connection);
            }
        }
    }
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Reads a body to its end, and keeps so many bytes of it.
async fn drain(response: &mut Response<Incoming>, kept: usize) -> hyper::Result<Vec<u8>> {
    let mut body = Vec::new();
    while let Some(frame) = response.frame().await {
        if let Some(data) = frame?.data_ref() {
            body.extend_from_slice(&data[..data.len().min(kept - body.len())]);
        }
    }
    Ok(body)
}

impl Connection {
    async fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
        let task = tokio::spawn(async move {
            // An error is seen by the request that it strikes.
            let _ = connection.await;
        });
        Ok(Self { sender, task })
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.task.abort();
    }
}
