//! The keys that tokens are judged by: fetched by one task, for all.

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

use super::fields::CHECK;
use super::request_body::RequestBody;
use super::scenario_clock::ScenarioClock;
use super::upstream::{Lease, Upstreams};
use crate::auth::jwt::{Bearer, JwtKey, MAX_DOCUMENT, parse_jwks};
use crate::auth::{AuthConfig, AuthVerdict, FetchFailure, KeySet, KeyWait, SharedAuthenticator};
use crate::invariant::Invariants;
use crate::timestamp::Timestamp;

/// An authenticator, and what goes between those who wait for keys and the one who fetches them: a gateway's, or that of a
/// service that judges tokens for itself.
#[derive(Debug)]
pub struct KeyKeeper {
    authenticator: SharedAuthenticator<JwtKey>,
    /// A fetch may be due.
    wanted: Notify,
    /// Fetches that have ended.
    rounds: watch::Sender<u64>,
}

/// Whoever asks an identity provider.
pub trait KeySource {
    /// Asks for keys, once. It is given up where it takes too long.
    fn fetch(&self) -> impl Future<Output = Result<KeySet<JwtKey>, FetchFailure>> + Send;
}

impl KeyKeeper {
    /// Without keys yet. `invariants` is what happens where the counters of the keys are wrong.
    pub fn new(config: AuthConfig, invariants: Invariants) -> Self {
        let (wanted, rounds) = (Notify::new(), watch::channel(0).0);
        let authenticator = SharedAuthenticator::new(config).with_invariants(invariants);
        Self { authenticator, wanted, rounds }
    }

    /// Judges what a request bears, as `bearer` reads it, and waits for keys once, if there are none to judge it by.
    pub async fn judge<'a>(&self, clock: &ScenarioClock, bearer: impl Fn() -> Bearer<'a>) -> AuthVerdict {
        match self.on_bearer(clock.now(), bearer(), false) {
            AuthVerdict::AwaitKeys(wait) => {
                self.wait(wait).await;
                self.on_bearer(clock.now(), bearer(), true)
            }
            verdict => verdict,
        }
    }

    /// Judges what a request bears. `has_waited` for one that was told [`AuthVerdict::AwaitKeys`] before.
    pub(super) fn on_bearer(&self, now: Timestamp, bearer: Bearer<'_>, has_waited: bool) -> AuthVerdict {
        let verdict = self.authenticator.on_bearer(now, bearer, has_waited);
        if matches!(verdict, AuthVerdict::AwaitKeys(_)) {
            self.wanted.notify_one();
        }
        verdict
    }

    /// Waits until what a request waits for has ended. Dropped before that, the request has left.
    pub(super) async fn wait(&self, wait: KeyWait) {
        let _waiting = Waiting { keeper: self, wait };
        // The sender is ours: it is not gone.
        let _ = self.rounds.subscribe().wait_for(|rounds| *rounds > wait.round).await;
    }

    /// Has keys fetched whenever they are due, for ever.
    pub async fn keep(&self, clock: &ScenarioClock, source: &impl KeySource) {
        loop {
            let now = clock.now();
            self.authenticator.on_wakeup(now);
            if let Some(fetch) = self.authenticator.poll_fetch(now) {
                let deadline = Instant::from_std(clock.moment(fetch.deadline));
                let fetched = timeout_at(deadline, source.fetch()).await;
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
}

/// Somebody who waits for keys. Dropped, they wait no longer.
struct Waiting<'a> {
    keeper: &'a KeyKeeper,
    wait: KeyWait,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        // Of no effect where the wait is over.
        self.keeper.authenticator.on_left(self.wait);
    }
}

/// The identity provider, as the gateway asks it: over the connections of one of its threads.
pub(super) struct Provider {
    pub(super) upstreams: Arc<Upstreams>,
    pub(super) upstream: usize,
    pub(super) path: PathAndQuery,
    /// For a check of a host, what its field says.
    pub(super) check: Option<HeaderValue>,
}

impl KeySource for Provider {
    async fn fetch(&self) -> Result<KeySet<JwtKey>, FetchFailure> {
        let (response, lease) = self.ask().await.ok_or(FetchFailure::Connection)?;
        // No redirection is followed: keys come from where the configuration says.
        if response.status() != StatusCode::OK {
            return Err(FetchFailure::Status(response.status().as_u16()));
        }
        let document = read(response.into_body()).await?;
        lease.give_back();
        parse_jwks(&document)
    }
}

impl Provider {
    /// Asks once, as far as the identity provider can tell.
    pub(super) async fn ask(&self) -> Option<(Response<Incoming>, Lease)> {
        let Self { upstreams, upstream, .. } = self;
        let request = || {
            let mut request = Request::new(RequestBody::EMPTY);
            *request.uri_mut() = Uri::from(self.path.clone());
            let host = HeaderValue::try_from(upstreams.address(*upstream)?.to_string()).ok()?;
            request.headers_mut().insert(HOST, host);
            let types = HeaderValue::from_static("application/jwk-set+json, application/json");
            match &self.check {
                Some(check) => request.headers_mut().insert(CHECK, check.clone()),
                None => request.headers_mut().insert(ACCEPT, types),
            };
            Some(request)
        };
        // It may be closing this very moment; what is only asked for can be asked for again.
        if let Some(mut lease) = upstreams.take_idle(*upstream)
            && let Ok(response) = lease.send(request()?, None).await
        {
            return Some((response, lease));
        }
        let mut lease = upstreams.connect(*upstream).await.ok()?;
        let response = lease.send(request()?, None).await.ok()?;
        Some((response, lease))
    }
}

/// Reads a body whole, unless it is longer than a key set may be.
pub(super) async fn read(mut body: Incoming) -> Result<Vec<u8>, FetchFailure> {
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
