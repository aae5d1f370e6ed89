//! How a service judges tokens by itself, on sockets.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use gateway::auth::jwt::{Bearer, JwtKey, MAX_DOCUMENT, parse_jwks};
use gateway::auth::{AuthConfig, AuthVerdict, FetchFailure, KeySet};
use gateway::server::{KeyKeeper, KeySource, ScenarioClock};
use gateway::{Invariants, Rejection};
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};

use super::client::Client;

/// Where a service judges tokens by itself, before it takes a request on.
pub(super) struct TokenCheck {
    keys: KeyKeeper,
    source: Provider,
    clock: ScenarioClock,
}

/// The identity provider, as a service asks it.
struct Provider {
    client: Arc<Client>,
    upstream: usize,
}

impl TokenCheck {
    pub(super) fn new(
        config: AuthConfig,
        client: Arc<Client>,
        clock: ScenarioClock,
        invariants: Invariants,
    ) -> Self {
        let source = Provider { client, upstream: config.jwks.0 as usize };
        Self { keys: KeyKeeper::new(config, invariants), source, clock }
    }

    /// Judges what a request bears.
    pub(super) async fn judge(&self, headers: &HeaderMap) -> Result<(), Rejection> {
        let bearer = || Bearer::read(headers.get_all(AUTHORIZATION).iter().map(HeaderValue::as_bytes));
        match self.keys.judge(&self.clock, bearer).await {
            AuthVerdict::Verified(_) => Ok(()),
            AuthVerdict::Rejected(rejection) => Err(rejection),
            // Who has waited is told something else.
            AuthVerdict::AwaitKeys(_) => Err(Rejection::KeysUnavailable { retry_after: Duration::ZERO }),
        }
    }

    /// Has the keys fetched whenever they are due, for ever.
    pub(super) async fn keep(&self) {
        self.keys.keep(&self.clock, &self.source).await;
    }
}

impl KeySource for Provider {
    async fn fetch(&self) -> Result<KeySet<JwtKey>, FetchFailure> {
        let (status, document) = self.client.fetch(self.upstream, MAX_DOCUMENT).await?;
        if status != 200 {
            return Err(FetchFailure::Status(status));
        }
        parse_jwks(&document)
    }
}

/// What an identity provider answers with.
pub trait KeyDocument: Send + Sync {
    /// Its keys at `now`, as a JWK set (RFC 7517, 5).
    fn document(&self, now: gateway::Timestamp) -> Bytes;

    /// The token that a client of the scenario bears at `now`, such as `members/17`: by its population and number, as its
    /// `sub` says it. `None` where there is no such client, or it bears none.
    fn token(&self, client: &str, now: gateway::Timestamp) -> Option<Bytes>;
}
