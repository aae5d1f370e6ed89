//! What a stream of HTTP/2 has in common with its body and its upstream.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use h2::server::SendResponse;
use http::{HeaderMap, Response, StatusCode};
use tokio::sync::Notify;

/// What a stream's body, its upstream and its answer tell one another.
#[derive(Debug, Default)]
pub(super) struct StreamState {
    /// Answers before the answer that are yet to be sent.
    interim: Mutex<VecDeque<Response<()>>>,
    given: Notify,
    malformed: AtomicBool,
}

impl StreamState {
    /// Has an interim answer sent, unless the answer has begun.
    pub(super) fn give_interim(&self, status: StatusCode, headers: HeaderMap) {
        let mut answer = Response::new(());
        (*answer.status_mut(), *answer.headers_mut()) = (status, headers);
        self.interim().push_back(answer);
        self.given.notify_one();
    }

    /// The request turns out to be none.
    pub(super) fn set_malformed(&self) {
        self.malformed.store(true, Relaxed);
    }

    /// Whether the request is none.
    pub(super) fn is_malformed(&self) -> bool {
        self.malformed.load(Relaxed)
    }

    /// Waits until an interim answer is given.
    pub(super) async fn given(&self) {
        self.given.notified().await;
    }

    fn interim(&self) -> MutexGuard<'_, VecDeque<Response<()>>> {
        self.interim.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends the interim answers that were given.
    pub(super) fn send_interim(&self, respond: &mut SendResponse<Bytes>) {
        for answer in self.interim().drain(..) {
            // A stream that takes none any more is over, which is told elsewhere.
            _ = respond.send_informational(answer);
        }
    }
}
