//! The keys that tokens are judged by: fetched by one thread, for all.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;

use http::header::{ACCEPT, HOST};
use http::uri::PathAndQuery;
use http::{HeaderValue, Request, Response, StatusCode, Uri};
use http_body::Body;
use hyper::body::Incoming;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep_until, timeout_at};

use super::ScenarioClock;
use super::body::RequestBody;
use super::upstream::{Lease, Upstreams};
use crate::Timestamp;
use crate::auth::jwt::{Bearer, JwtKey, MAX_DOCUMENT, parse_jwks};
use crate::auth::{AuthConfig, AuthVerdict, FetchFailure, KeySet, KeyWait, SharedAuthenticator};

/// The one authenticator of a gateway, and what goes between those who wait for keys and the one who fetches them.
#[derive(Debug)]
pub(super) struct Keys {
    authenticator: SharedAuthenticator<JwtKey>,
    path: PathAndQuery,
    /// A fetch may be due.
    wanted: Notify,
    /// Fetches that have ended.
    rounds: watch::Sender<u64>,
}

impl Keys {
    pub(super) fn new(config: AuthConfig, path: PathAndQuery) -> Self {
        let (wanted, rounds) = (Notify::new(), watch::channel(0).0);
        Self { authenticator: SharedAuthenticator::new(config), path, wanted, rounds }
    }

    /// Judges what a request bears.
    pub(super) fn on_bearer(&self, now: Timestamp, bearer: Bearer<'_>, has_waited: bool) -> AuthVerdict {
        let verdict = self.authenticator.on_bearer(now, bearer, has_waited);
        if matches!(verdict, AuthVerdict::AwaitKeys(_)) {
            self.wanted.notify_one();
        }
        verdict
    }

    /// Waits until what a request waits for has ended.
    pub(super) async fn wait(&self, wait: KeyWait) {
        // The sender is ours: it is not gone.
        let _ = self.rounds.subscribe().wait_for(|rounds| *rounds > wait.round).await;
    }

    /// A request left that waited.
    pub(super) fn on_left(&self, wait: KeyWait) {
        self.authenticator.on_left(wait);
    }

    /// Fetches keys whenever they are due, for ever.
    pub(super) async fn keep(&self, clock: &ScenarioClock, upstreams: &Arc<Upstreams>) {
        loop {
            let now = clock.now();
            self.authenticator.on_wakeup(now);
            if let Some(fetch) = self.authenticator.poll_fetch(now) {
                let deadline = Instant::from_std(clock.moment(fetch.deadline));
                let fetched = timeout_at(deadline, self.fetch(upstreams)).await;
                let result = fetched.unwrap_or(Err(FetchFailure::TimedOut));
                let rounds = self.authenticator.on_fetched(clock.now(), fetch.number, result);
                self.rounds.send_replace(rounds);
                continue;
            }
            let wakeup = Instant::from_std(clock.moment(self.authenticator.next_wakeup()));
            tokio::select! {
                () = sleep_until(wakeup) => {}
                () = self.wanted.notified() => {}
            }
        }
    }

    /// Asks the identity provider once, as far as it can tell.
    async fn fetch(&self, upstreams: &Arc<Upstreams>) -> Result<KeySet<JwtKey>, FetchFailure> {
        let (response, lease) = self.ask(upstreams).await.ok_or(FetchFailure::Connection)?;
        // No redirection is followed: keys come from where the configuration says.
        if response.status() != StatusCode::OK {
            return Err(FetchFailure::Status(response.status().as_u16()));
        }
        let document = read(response.into_body()).await?;
        lease.give_back();
        parse_jwks(&document)
    }

    async fn ask(&self, upstreams: &Arc<Upstreams>) -> Option<(Response<Incoming>, Lease)> {
        let upstream = self.authenticator.config().jwks.0 as usize;
        let request = || {
            let mut request = Request::new(RequestBody::EMPTY);
            *request.uri_mut() = Uri::from(self.path.clone());
            let host = HeaderValue::try_from(upstreams.address(upstream)?.to_string()).ok()?;
            request.headers_mut().insert(HOST, host);
            let types = HeaderValue::from_static("application/jwk-set+json, application/json");
            request.headers_mut().insert(ACCEPT, types);
            Some(request)
        };
        // It may be closing this very moment; what is only asked for can be asked for again.
        if let Some(mut lease) = upstreams.take_idle(upstream)
            && let Ok(response) = lease.send(request()?).await
        {
            return Some((response, lease));
        }
        let mut lease = upstreams.connect(upstream).await.ok()?;
        let response = lease.send(request()?).await.ok()?;
        Some((response, lease))
    }
}

/// Reads a body whole, unless it is longer than a key set may be.
async fn read(mut body: Incoming) -> Result<Vec<u8>, FetchFailure> {
    let mut document = Vec::new();
    while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        let frame = frame.map_err(|_| FetchFailure::Connection)?;
        if let Some(data) = frame.data_ref() {
            if document.len() + data.len() > MAX_DOCUMENT {
                return Err(FetchFailure::Malformed);
            }
            document.extend_from_slice(data);
        }
    }
    Ok(document)
}
