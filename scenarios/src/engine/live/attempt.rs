//! One attempt on the wire, and what its client makes of the answer.

use std::error::Error as _;
use std::time::Duration;

use bytes::Bytes;
use gateway::AttemptEnd;
use gateway::server::{is_exhaustion, retry_after};
use http::Response;
use http::header::CONTENT_TYPE;
use http_body::Body;
use http_body_util::BodyExt as _;
use hyper_util::client::legacy;
use reports::Outcome;
use serde::Deserialize;
use simulator::headers;

use crate::engine::client_end::ClientEnd;

/// Nobody answered.
pub(super) fn unreachable(error: &legacy::Error) -> ClientEnd {
    let end = if wanted_for_more(error) { AttemptEnd::NeverSent } else { AttemptEnd::Broken };
    ClientEnd::without_answer(Outcome::Unreachable, end)
}

/// Reads an answer to its end.
///
/// `expected` are statuses beyond 2xx that the route is expected to answer.
pub(super) async fn read_answer(
    mut response: Response<impl Body<Data = Bytes> + Unpin>,
    expected: &[u16],
) -> ClientEnd {
    let status = response.status().as_u16();
    let by_upstream = response.headers().contains_key(headers::UPSTREAM);
    let field = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
    let retry_after = retry_after(response.headers());
    let is_problem = field(CONTENT_TYPE).is_some_and(|kind| kind.starts_with("application/problem+json"));
    let mut problem = is_problem.then(Vec::new);
    while let Some(frame) = response.frame().await {
        let Ok(frame) = frame else {
            let cut = ClientEnd::without_answer(Outcome::UpstreamError, AttemptEnd::Cut);
            return ClientEnd { status: Some(status), ..cut };
        };
        if let (Some(document), Some(piece)) = (&mut problem, frame.data_ref()) {
            document.extend_from_slice(piece);
        }
        problem.take_if(|document| document.len() > LARGEST_PROBLEM);
    }
    if by_upstream {
        return ClientEnd::of_answer(status, gateway::Outcome::of_status(status), expected, retry_after);
    }
    let problem: Problem =
        problem.and_then(|document| serde_json::from_slice(&document).ok()).unwrap_or_default();
    own_answer(status, problem.reason.as_deref(), expected, retry_after)
}

/// What the gateway says of an answer of its own (RFC 9457).
#[derive(Default, Deserialize)]
struct Problem {
    reason: Option<String>,
}

/// A problem document is a few hundred bytes.
const LARGEST_PROBLEM: usize = 64 << 10;

/// Of an answer that no upstream gave. Ours names its reason; another gateway may answer well from a cache.
fn own_answer(
    status: u16,
    reason: Option<&str>,
    expected: &[u16],
    retry_after: Option<Duration>,
) -> ClientEnd {
    let expected = if reason.is_some() { &[] } else { expected };
    ClientEnd::of_answer(status, gateway::Outcome::of_own_answer(status, reason), expected, retry_after)
}

/// Whether an attempt failed for want of what the machine has.
fn wanted_for_more(error: &legacy::Error) -> bool {
    let mut source = error.source();
    while let Some(cause) = source {
        if cause.downcast_ref().is_some_and(is_exhaustion) {
            return true;
        }
        source = cause.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::net::{Ipv4Addr, TcpListener};

    use futures_util::stream;
    use http::HeaderMap;
    use http_body::Frame;
    use http_body_util::StreamBody;

    use gateway::AttemptFailure;

    use super::super::http_clients::http_client;
    use super::*;

    /// An answer of this status and type whose body comes in these pieces.
    fn answer<E>(
        status: u16,
        kind: &str,
        pieces: Vec<Result<Frame<Bytes>, E>>,
    ) -> Response<impl Body<Data = Bytes, Error = E> + Unpin> {
        let body = StreamBody::new(stream::iter(pieces));
        Response::builder().status(status).header(CONTENT_TYPE, kind).body(body).unwrap()
    }

    fn data(text: &str) -> Frame<Bytes> {
        Frame::data(Bytes::copy_from_slice(text.as_bytes()))
    }

    #[tokio::test]
    async fn a_reason_is_read_however_its_document_comes() {
        let kind = "application/problem+json; charset=utf-8";
        let pieces = |padding: &str| -> Vec<Result<_, Infallible>> {
            vec![
                Ok(data("{")),
                Ok(data(padding)),
                Ok(data(r#""reason": "short-circuited"}"#)),
                Ok(Frame::trailers(HeaderMap::new())),
            ]
        };
        let end = read_answer(answer(503, kind, pieces(" ")), &[]).await;
        assert_eq!(
            (end.outcome, end.failure()),
            (Outcome::ShortCircuited, Some(AttemptFailure::Status(503)))
        );
        // Nothing else is taken for one.
        let end = read_answer(answer(503, "application/json", pieces(" ")), &[]).await;
        assert_eq!(end.outcome, Outcome::Shed);
        // Nor is one kept that goes on and on.
        let end = read_answer(answer(503, kind, pieces(&" ".repeat(LARGEST_PROBLEM))), &[]).await;
        assert_eq!(end.outcome, Outcome::Shed);
    }

    #[tokio::test]
    async fn an_answer_that_breaks_off_is_a_502() {
        let pieces = vec![Ok(data("half of it")), Err("reset")];
        let end = read_answer(answer(200, "text/plain", pieces), &[]).await;
        let failure = Some(AttemptFailure::Status(502));
        assert_eq!((end.outcome, end.failure()), (Outcome::UpstreamError, failure));
        assert_eq!((end.end, end.status), (Some(AttemptEnd::Cut), Some(200)));
    }

    /// How an attempt from an address to a port ends that nobody answers.
    async fn attempt(from: Ipv4Addr, port: u16) -> ClientEnd {
        let uri = format!("http://127.0.0.1:{port}/").parse().unwrap();
        unreachable(&http_client(Some(from.into()), 0).get(uri).await.unwrap_err())
    }

    #[tokio::test]
    async fn what_the_machine_lacks_is_told_from_a_gateway_that_is_not_there() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        // An address that is set aside for examples (RFC 5737), which this machine has not got.
        let end = attempt(Ipv4Addr::new(192, 0, 2, 1), port).await.end;
        assert_eq!(end, Some(AttemptEnd::NeverSent));
        drop(listener);
        let end = attempt(Ipv4Addr::LOCALHOST, port).await;
        assert_eq!((end.outcome, end.end), (Outcome::Unreachable, Some(AttemptEnd::Broken)));
    }

    #[test]
    fn a_gateways_own_answers_are_told_by_status_and_ours_by_reason() {
        for (status, reason, outcome) in [
            (301, None, Outcome::Redirected),
            (304, None, Outcome::Served),
            (429, Some("rate-limited"), Outcome::RateLimited),
            (503, Some("rate-limited"), Outcome::RateLimited),
            (403, Some("rate-limited"), Outcome::RateLimited),
            (503, Some("short-circuited"), Outcome::ShortCircuited),
            (503, Some("queue-full"), Outcome::Shed),
            (503, None, Outcome::Shed),
            (504, Some("timed-out"), Outcome::TimedOut),
            (502, Some("bad-gateway"), Outcome::UpstreamError),
            (404, None, Outcome::NoRoute),
            (200, None, Outcome::Served),
        ] {
            let end = own_answer(status, reason, &[304, 429], None);
            assert_eq!(end.outcome, outcome, "{status} {reason:?}");
            let expected = (status >= 400).then_some(AttemptFailure::Status(status));
            assert_eq!(end.failure(), expected, "{status} {reason:?}");
        }
    }
}
