//! The tokens that the clients of a run bear, and who may come to which upstream with them.

use std::sync::Arc;
use std::time::Duration;

use gateway::Timestamp;
use gateway::auth::{
    AuthConfig, Claims, JwtAlgorithm, KeySet, Payload, Presented, SimulatedKey, Token as Presentable,
    judge_claims,
};
use serde_json::{Map, Value};
use simulator::{KeySchedule, Population, Token, TokenConfig, TokenDefect, subject};

use crate::World;

/// Who bears which token, and what is in it.
pub(super) struct Bearers {
    starts: Timestamp,
    keys: KeySchedule,
    /// By population; `None` for one without tokens.
    wallets: Vec<Option<Wallet>>,
    /// By upstream.
    requires: Vec<Option<AuthConfig>>,
}

/// The tokens of a population.
struct Wallet {
    population: String,
    config: TokenConfig,
    /// By identity: the token it held last, by how many times that had been renewed.
    held: Vec<Option<(u64, Claims)>>,
}

/// An attempt's identity, and when it was made: between them they tell its token.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bearer {
    pub(super) population: u32,
    pub(super) identity: u32,
    pub(super) at: Timestamp,
}

/// A token in virtual time.
pub(super) struct Shown {
    algorithm: Option<JwtAlgorithm>,
    kid: Arc<str>,
    claims: Claims,
    signed_by: u64,
    is_genuine: bool,
}

/// The number of the keys that no identity provider has.
const NOBODYS: u64 = u64::MAX;

impl Bearers {
    pub(super) fn new(world: &World, starts: Timestamp) -> Self {
        let wallet = |population: &Population| {
            population.token.clone().map(|config| Wallet {
                population: population.name.clone(),
                held: vec![None; population.identities.identities() as usize],
                config,
            })
        };
        Self {
            starts,
            keys: world.key_schedule(),
            wallets: world.populations.iter().map(wallet).collect(),
            requires: world.upstreams.iter().map(|upstream| upstream.requires.clone()).collect(),
        }
    }

    /// The token of a bearer; `None` for one that has none.
    pub(super) fn token(&mut self, bearer: Bearer) -> Option<Shown> {
        let Wallet { population, config, held } = self.wallets[bearer.population as usize].as_mut()?;
        let token = config.held_at(bearer.at, bearer.identity, self.starts, &self.keys);
        let place = &mut held[bearer.identity as usize];
        let claims = match place {
            Some((generation, claims)) if *generation == token.generation => claims.clone(),
            _ => {
                let claims = claims_of(&token, &subject(population, bearer.identity));
                *place = Some((token.generation, claims.clone()));
                claims
            }
        };
        let algorithm = match token.config.defect {
            Some(TokenDefect::Unsigned | TokenDefect::Hmac) => None,
            _ => Some(token.config.algorithm),
        };
        Some(Shown {
            algorithm,
            kid: match token.key {
                Some(key) => key.kid(token.config.algorithm).into(),
                None => "no-such-key".into(),
            },
            claims,
            signed_by: token.signed_by.map_or(NOBODYS, |key| u64::from(key.0)),
            is_genuine: token.is_genuine(),
        })
    }

    /// Whether a bearer may come to the application of an upstream; `None` for nobody in particular, who may not where
    /// anything is asked for.
    pub(super) fn may_reach(&mut self, upstream: usize, bearer: Option<Bearer>, now: Timestamp) -> bool {
        if self.requires[upstream].is_none() {
            return true;
        }
        let shown = bearer.and_then(|bearer| self.token(bearer));
        let (Some(requires), Some(shown)) = (&self.requires[upstream], shown) else { return false };
        shown.is_genuine && judge_claims(requires, now, &shown.claims).is_ok()
    }

    /// What the identity provider publishes, that long after the scenario's start.
    pub(super) fn published(&self, since_start: Duration) -> KeySet<SimulatedKey> {
        KeySet::new(self.keys.published(since_start).flat_map(|key| {
            JwtAlgorithm::ALL.map(|algorithm| {
                let simulated = SimulatedKey { number: u64::from(key.0), algorithm };
                (key.kid(algorithm), simulated)
            })
        }))
    }
}

impl Shown {
    pub(super) const fn claims(&self) -> &Claims {
        &self.claims
    }

    pub(super) fn presented(&self) -> Presented<'_, SimulatedKey> {
        Presented::Token(Presentable {
            algorithm: self.algorithm,
            kid: Some(&self.kid),
            payload: Payload::Claims(&self.claims),
            signed: self.signed_by,
        })
    }
}

/// What a token says, as JSON has it.
pub(super) fn claims_object(token: &Token<'_>, subject: &str) -> Map<String, Value> {
    let mut claims = token.config.claims.clone();
    let seconds = |time: Timestamp| Value::from(time.as_nanos() / 1_000_000_000);
    claims.insert("sub".to_owned(), subject.into());
    claims.insert("iat".to_owned(), seconds(token.issued_at));
    for (name, text) in [("iss", &token.config.issuer), ("aud", &token.config.audience)] {
        if let Some(text) = text {
            claims.insert(name.to_owned(), Value::from(text.as_str()));
        }
    }
    for (name, time) in [("exp", token.expires_at), ("nbf", token.not_before)] {
        if let Some(time) = time {
            claims.insert(name.to_owned(), seconds(time));
        }
    }
    claims
}

fn claims_of(token: &Token<'_>, subject: &str) -> Claims {
    Claims::from_map(claims_object(token, subject))
        .expect("claims that were read from a file have their types")
}
