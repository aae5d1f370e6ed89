//! Answers before the answer (RFC 9110, 15.2): passed on as far as the client's protocol lets us, and not without end.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use http::header::CONTENT_LENGTH;
use http::{HeaderMap, Request, StatusCode};
use hyper::ext::on_informational;
use tokio::sync::Notify;

use super::connection_state::ConnectionState;
use super::fields;
use super::request_body::RequestBody;
use super::stream_state::StreamState;

/// Of one request. Servers send one or two; one that sends them for ever would be waited for as long.
const MOST: u32 = 32;

/// The interim answers that come on a connection to an upstream.
#[derive(Debug, Default)]
pub(super) struct Interim {
    /// Since the last request was sent.
    seen: AtomicU32,
    too_much: Notify,
}

impl Interim {
    /// Has the interim answers to a request counted, and given to `client`.
    pub(super) fn watch(self: &Arc<Self>, request: &mut Request<RequestBody>, client: Option<&InterimSink>) {
        self.seen.store(0, Relaxed);
        let (this, client) = (Arc::clone(self), client.cloned());
        on_informational(request, move |answer| {
            if this.seen.fetch_add(1, Relaxed) >= MOST {
                this.too_much.notify_one();
                return;
            }
            // The gateway asks for a body by itself.
            if let Some(client) = &client
                && answer.status() != StatusCode::CONTINUE
            {
                client.give(answer.status(), answer.headers());
            }
        });
    }

    /// Waits until there were more of them than there may be.
    pub(super) async fn is_too_much(&self) {
        self.too_much.notified().await;
    }
}

/// Where interim answers to a client's request go.
#[derive(Clone)]
pub(super) enum InterimSink {
    /// On a connection of HTTP/1.
    Connection(Arc<ConnectionState>),
    /// On a stream of HTTP/2.
    Stream(Arc<StreamState>),
}

impl InterimSink {
    fn give(&self, status: StatusCode, headers: &HeaderMap) {
        let mut headers = headers.clone();
        fields::strip_hop_by_hop(&mut headers);
        // There is no content that it could be the length of (RFC 9110, 8.6).
        headers.remove(CONTENT_LENGTH);
        match self {
            Self::Connection(connection) => connection.give_interim(&written(status, &headers)),
            Self::Stream(stream) => stream.give_interim(status, headers),
        }
    }
}

/// As it goes over a connection of HTTP/1.1.
fn written(status: StatusCode, headers: &HeaderMap) -> Vec<u8> {
    let reason = status.canonical_reason().unwrap_or_default();
    let mut bytes = format!("HTTP/1.1 {} {reason}\r\n", status.as_u16()).into_bytes();
    for (name, value) in headers {
        for piece in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
            bytes.extend_from_slice(piece);
        }
    }
    bytes.extend_from_slice(b"\r\n");
    bytes
}
