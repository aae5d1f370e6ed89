//! Requests to a service over HTTP/1.1, and the answers to them.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes};
use gateway::AttemptEnd;
use http::header::{ALLOW, CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use thiserror::Error;
use tokio::net::TcpStream;
use tokio::sync::watch;

use super::answer::AnswerBody;
use super::connection::{Connection, Fate};
use super::service::{Reception, ServedService, Word};
use crate::tag::{RequestTag, headers};
use crate::upstream::Work;

/// Bytes of a request's head, at most.
const HEAD: usize = 64 << 10;

/// What a client may ask for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Connections at once.
    pub(super) connections: u32,
    /// Bytes of a body.
    pub(super) body: u64,
}

/// Where connections of a service come in.
pub(super) struct Door {
    pub(super) service: Arc<ServedService>,
    /// The service's, as the value of a header.
    pub(super) name: HeaderValue,
    pub(super) limits: Limits,
}

/// A request that gets no answer: its connection is reset.
#[derive(Debug, Error)]
#[error("no answer")]
struct Unanswered;

impl Door {
    /// Serves a connection to its end, which is after the request under way once `closing` has changed.
    pub(super) async fn serve(self: Arc<Self>, stream: TcpStream, mut closing: watch::Receiver<()>) {
        // Small answers are not to wait for an acknowledgement of the one before.
        let _ = stream.set_nodelay(true);
        let fate = Arc::new(Fate::default());
        let answer = {
            let fate = Arc::clone(&fate);
            service_fn(move |request| Arc::clone(&self).answer(request, Arc::clone(&fate)))
        };
        let mut server = http1::Builder::new();
        server.max_buf_size(HEAD);
        let mut connection = pin!(server.serve_connection(Connection::new(stream, fate), answer));
        // An error is the client's, or a fault that was meant to be.
        tokio::select! {
            _ = connection.as_mut() => return,
            _ = closing.changed() => connection.as_mut().graceful_shutdown(),
        }
        let _ = connection.await;
    }

    async fn answer(
        self: Arc<Self>,
        request: Request<Incoming>,
        fate: Arc<Fate>,
    ) -> Result<Response<AnswerBody>, Unanswered> {
        self.respond(request, &fate).await.inspect_err(|Unanswered| fate.reset())
    }

    async fn respond(
        &self,
        request: Request<Incoming>,
        fate: &Arc<Fate>,
    ) -> Result<Response<AnswerBody>, Unanswered> {
        let (head, body) = request.into_parts();
        if head.method == Method::CONNECT {
            return Ok(self.no_tunnel());
        }
        let tag = header::<RequestTag>(&head.headers, headers::REQUEST);
        let tag =
            if head.headers.contains_key(headers::GATEWAY_CHECK) { Some(RequestTag::CHECK) } else { tag };
        let gateway_attempt = header(&head.headers, headers::GATEWAY_ATTEMPT).unwrap_or(0);
        let reads = matches!(head.method, Method::GET | Method::HEAD);
        let reception = self.service.receive(tag, gateway_attempt, reads, &head.headers).await;
        if let Reception::Refused = reception {
            return Err(Unanswered);
        }
        // The work does not wait for the body; the answer does.
        let received = drain(body, self.limits.body).await?;
        let page = |work: Option<Work>| self.page(tag, work, received);
        // What it is asked for, of an identity provider.
        let content = |status: u16, work: Work| {
            let document = if status == 200 { self.service.document(head.uri.path()) } else { None };
            document.unwrap_or_else(|| (status, page(Some(work))))
        };
        let turned_away = |status: u16, retry_after: Option<Duration>| {
            let mut response = self.response(status, AnswerBody::whole, page(None))?;
            if let Some(wait) = retry_after {
                response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(wait.as_secs()));
            }
            Ok(response)
        };
        match reception {
            Reception::Refused => Err(Unanswered),
            Reception::Answered { status, retry_after } => turned_away(status, retry_after),
            Reception::Accepted(caller, told) => match told.await.map_err(|_| Unanswered)? {
                Word::Answered { status, work } => {
                    caller.heard();
                    let (status, page) = content(status, work);
                    self.response(status, AnswerBody::whole, page)
                }
                Word::Reset { status, work } => {
                    caller.heard();
                    if head.method == Method::HEAD {
                        fate.reset_once_written();
                    }
                    let breaking = |body| AnswerBody::breaking(body, Arc::clone(fate));
                    let (status, page) = content(status, work);
                    self.response(status, breaking, page)
                }
                Word::TurnedAway(end) => {
                    caller.heard();
                    match end {
                        AttemptEnd::Answered(status) | AttemptEnd::Deferred { status, .. } => {
                            turned_away(status, end.retry_after())
                        }
                        _ => Err(Unanswered),
                    }
                }
                Word::Drips { status, from, to, work } => {
                    let timer = self.service.timer.clone();
                    let drips = |body| AnswerBody::dripping(body, timer, (from, to), caller);
                    let (status, page) = content(status, work);
                    self.response(status, drips, page)
                }
            },
        }
    }

    fn response(
        &self,
        status: u16,
        answer: impl FnOnce(Bytes) -> AnswerBody,
        page: Bytes,
    ) -> Result<Response<AnswerBody>, Unanswered> {
        let response = Response::builder()
            .status(status)
            .header(headers::UPSTREAM, &self.name)
            .header(CONTENT_TYPE, "application/json")
            .header(CONTENT_LENGTH, page.len());
        response.body(answer(page)).map_err(|_| Unanswered)
    }

    /// What it is that answers, and to what.
    fn page(&self, tag: Option<RequestTag>, work: Option<Work>, received: u64) -> Bytes {
        let time = work.and_then(|work| Some((work.time? + work.body).as_nanos() as u64));
        let page = serde_json::json!({
            "upstream": self.service.name,
            "request": tag.map(|tag| tag.to_string()),
            "service_time_ns": time,
            "body_bytes": received,
        });
        Bytes::from(page.to_string())
    }

    fn no_tunnel(&self) -> Response<AnswerBody> {
        let mut response = Response::new(AnswerBody::whole(Bytes::new()));
        *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
        let allowed = HeaderValue::from_static("GET, HEAD, OPTIONS, PUT, DELETE, POST, PATCH");
        response.headers_mut().insert(ALLOW, allowed);
        response.headers_mut().insert(headers::UPSTREAM, self.name.clone());
        response
    }
}

fn header<T: std::str::FromStr>(headers: &HeaderMap, name: &str) -> Option<T> {
    headers.get(name)?.to_str().ok()?.parse().ok()
}

/// Reads a body to its end and counts its bytes.
async fn drain(mut body: Incoming, limit: u64) -> Result<u64, Unanswered> {
    let mut bytes = 0;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Unanswered)?;
        bytes += frame.data_ref().map_or(0, Buf::remaining) as u64;
        if bytes > limit {
            return Err(Unanswered);
        }
    }
    Ok(bytes)
}
