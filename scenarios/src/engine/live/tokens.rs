//! Real tokens for the clients of a live run: keys made on the spot, and what is signed with them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{self, KeySize};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use gateway::Timestamp;
use gateway::auth::JwtAlgorithm;
use gateway::server::ScenarioClock;
use jsonwebtoken::jwk::{Jwk, PublicKeyUse};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::json;
use simulator::server::KeyDocument;
use simulator::{KeyNumber, KeySchedule, Population, Token, TokenConfig, TokenDefect, subject};
use thiserror::Error;

use crate::World;
use crate::engine::bearers::claims_object;

/// How long tokens may be signed before a run starts. Clients that had all to be given one in the first seconds would be
/// late, for an RSA signature takes long; those who log in over the day are not.
const AHEAD: Duration = Duration::from_secs(2);

/// The identity provider's keys, and the tokens that it signed with them.
///
/// Keys are made anew for each run and never leave it. A token is signed once and then borne until it is renewed.
pub(super) struct Mint {
    starts: Timestamp,
    schedule: KeySchedule,
    keys: HashMap<(KeyNumber, JwtAlgorithm), KeyPair>,
    /// Nobody's: what is forged is signed with these.
    foreign: HashMap<JwtAlgorithm, EncodingKey>,
    /// By population.
    configs: Vec<Option<Bearers>>,
    /// By population and identity: the token last borne, by how many times it had been renewed.
    signed: Mutex<HashMap<(usize, u32), (u64, String)>>,
}

/// A population that bears tokens.
struct Bearers {
    name: String,
    identities: u32,
    config: TokenConfig,
}

impl Bearers {
    fn of(population: &Population) -> Option<Self> {
        let config = population.token.clone()?;
        let identities = population.identities.identities();
        Some(Self { name: population.name.clone(), identities, config })
    }
}

struct KeyPair {
    private: EncodingKey,
    public: Jwk,
}

/// No keys could be made, or nothing could be signed with them.
#[derive(Debug, Error)]
pub enum MintError {
    /// The machine has no randomness to make keys of.
    #[error("cannot make a key")]
    Key(#[from] aws_lc_rs::error::Unspecified),
    /// A key that was just made cannot be used.
    #[error("cannot sign with a key")]
    Sign(#[from] jsonwebtoken::errors::Error),
}

/// The keys of the identity provider of a world, for whoever asks it; `None` where no client bears a token.
///
/// # Errors
///
/// [`MintError`] where keys cannot be made.
pub(crate) fn key_document(
    world: &World,
    starts: Timestamp,
) -> Result<Option<Arc<dyn KeyDocument>>, MintError> {
    Ok(Mint::new(world, starts)?.map(|mint| Arc::new(mint) as Arc<dyn KeyDocument>))
}

impl Mint {
    /// Makes the keys that the tokens of these clients are signed with. `None` where nobody bears any.
    ///
    /// # Errors
    ///
    /// [`MintError`] where keys cannot be made.
    pub(super) fn new(world: &World, starts: Timestamp) -> Result<Option<Self>, MintError> {
        let configs: Vec<_> = world.populations.iter().map(Bearers::of).collect();
        let mut algorithms: Vec<_> =
            configs.iter().flatten().map(|bearers| bearers.config.algorithm).collect();
        algorithms.dedup();
        if algorithms.is_empty() {
            return Ok(None);
        }
        let schedule = world.key_schedule();
        let (mut keys, mut foreign) = (HashMap::new(), HashMap::new());
        for algorithm in algorithms {
            if foreign.contains_key(&algorithm) {
                continue;
            }
            foreign.insert(algorithm, private_key(algorithm)?);
            for number in schedule.keys() {
                keys.insert((number, algorithm), KeyPair::new(number, algorithm)?);
            }
        }
        Ok(Some(Self { starts, schedule, keys, foreign, configs, signed: Mutex::default() }))
    }

    /// Signs the tokens that the clients bear at the start, as many as [`AHEAD`] allows; the others are signed when they are
    /// first borne.
    pub(super) fn sign_ahead(&self) {
        let clock = ScenarioClock::starting_now(Timestamp::EPOCH, 1.0);
        let most = self.configs.iter().flatten().map(|bearers| bearers.identities).max().unwrap_or(0);
        for identity in 0..most {
            for (population, bearers) in self.configs.iter().enumerate() {
                if bearers.as_ref().is_some_and(|bearers| identity < bearers.identities) {
                    self.token(population, identity, self.starts);
                }
            }
            if clock.now() > Timestamp::EPOCH + AHEAD {
                break;
            }
        }
    }

    /// The token that an identity of a population bears at `now`; `None` for one without.
    pub(super) fn token(&self, population: usize, identity: u32, now: Timestamp) -> Option<String> {
        let Bearers { name, config, .. } = self.configs.get(population)?.as_ref()?;
        let token = config.held_at(now, identity, self.starts, &self.schedule);
        let mut signed = self.signed.lock().unwrap_or_else(PoisonError::into_inner);
        match signed.get(&(population, identity)) {
            Some((generation, text)) if *generation == token.generation => Some(text.clone()),
            _ => {
                // With keys that have signed before, nothing goes wrong.
                let text = self.sign(&token, &subject(name, identity)).ok()?;
                signed.insert((population, identity), (token.generation, text.clone()));
                Some(text)
            }
        }
    }

    fn sign(&self, token: &Token<'_>, subject: &str) -> Result<String, MintError> {
        let algorithm = token.config.algorithm;
        let claims = claims_object(token, subject);
        let kid = token.key.map_or_else(|| "no-such-key".to_owned(), |key| key.kid(algorithm));
        let named = token.key.and_then(|key| self.keys.get(&(key, algorithm)));
        let private = match (token.config.defect, named) {
            (Some(TokenDefect::Unsigned), _) => {
                let part = |value: &serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
                let header = part(&json!({ "alg": "none", "typ": "JWT", "kid": kid }));
                return Ok(format!("{header}.{}.", part(&serde_json::Value::Object(claims))));
            }
            (Some(TokenDefect::Hmac), Some(key)) => {
                let header = Header { kid: Some(kid), ..Header::new(Algorithm::HS256) };
                let public = serde_json::to_vec(&key.public).unwrap_or_default();
                return Ok(encode(&header, &claims, &EncodingKey::from_secret(&public))?);
            }
            (Some(TokenDefect::Forged | TokenDefect::UnknownKey), _) | (_, None) => &self.foreign[&algorithm],
            (_, Some(key)) => &key.private,
        };
        let header = Header { kid: Some(kid), ..Header::new(algorithm_of(algorithm)) };
        Ok(encode(&header, &claims, private)?)
    }
}

/// What the identity provider answers with.
impl KeyDocument for Mint {
    fn document(&self, now: Timestamp) -> Bytes {
        let published = self.schedule.published(now.saturating_since(self.starts));
        let mut keys = Vec::new();
        for number in published {
            for algorithm in JwtAlgorithm::ALL {
                keys.extend(self.keys.get(&(number, algorithm)).map(|key| &key.public));
            }
        }
        Bytes::from(json!({ "keys": keys }).to_string())
    }

    fn token(&self, client: &str, now: Timestamp) -> Option<Bytes> {
        let (name, number) = client.rsplit_once('/')?;
        let identity = number.parse().ok()?;
        let bears = |known: &Option<Bearers>| {
            known.as_ref().is_some_and(|bearers| bearers.name == name && identity < bearers.identities)
        };
        let population = self.configs.iter().position(bears)?;
        Mint::token(self, population, identity, now).map(Bytes::from)
    }
}

impl KeyPair {
    fn new(number: KeyNumber, algorithm: JwtAlgorithm) -> Result<Self, MintError> {
        let private = private_key(algorithm)?;
        let mut public = Jwk::from_encoding_key(&private, algorithm_of(algorithm))?;
        public.common.key_id = Some(number.kid(algorithm));
        public.common.public_key_use = Some(PublicKeyUse::Signature);
        Ok(Self { private, public })
    }
}

fn private_key(algorithm: JwtAlgorithm) -> Result<EncodingKey, MintError> {
    let random = SystemRandom::new();
    Ok(match algorithm {
        JwtAlgorithm::Rs256 => {
            let pair = rsa::KeyPair::generate(KeySize::Rsa2048)?;
            let der = AsDer::<Pkcs8V1Der>::as_der(&pair)?;
            let pem = format!(
                "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
                STANDARD.encode(der.as_ref())
            );
            EncodingKey::from_rsa_pem(pem.as_bytes())?
        }
        JwtAlgorithm::Es256 => {
            let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random)?;
            EncodingKey::from_ec_der(pkcs8.as_ref())
        }
        JwtAlgorithm::EdDsa => {
            let pkcs8 = Ed25519KeyPair::generate_pkcs8v1(&random)?;
            EncodingKey::from_ed_der(pkcs8.as_ref())
        }
    })
}

const fn algorithm_of(algorithm: JwtAlgorithm) -> Algorithm {
    match algorithm {
        JwtAlgorithm::Rs256 => Algorithm::RS256,
        JwtAlgorithm::Es256 => Algorithm::ES256,
        JwtAlgorithm::EdDsa => Algorithm::EdDSA,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use gateway::UpstreamId;
    use gateway::auth::jwt::{Bearer, parse_jwks};
    use gateway::auth::{AuthConfig, AuthVerdict, SharedAuthenticator};
    use simulator::{Fault, FaultKind};

    use super::*;
    use crate::UpstreamFault;
    use crate::file::read;

    const STARTS: Timestamp = Timestamp::from_nanos(1_780_390_800_000_000_000);

    fn mint(algorithm: &str) -> Mint {
        let defects = TokenDefect::ALL.map(|(name, _)| {
            format!("clients.{name} = {{ send = '/', rate = '1/s', token = {{ algorithm = '{algorithm}', defect = '{name}' }} }}\n")
        });
        let text = format!(
            "name = 'x'\nduration = '20m'\nslo.latency = '1s'\nupstreams.one.latency.constant = '1ms'\n\
             routes.'/'.upstream = 'one'\nclients.good = {{ send = '/', rate = '1/s', identities = 5, token = {{ algorithm = '{algorithm}' }} }}\n{}",
            defects.concat()
        );
        let mut world = read(&text, &|_| Err(String::new())).scenario.unwrap().variants.remove(0).world;
        let seconds = Duration::from_secs;
        let fault = Fault::new(seconds(600), seconds(60), 1.0, FaultKind::RotateKeys, String::new()).unwrap();
        world.faults.push(UpstreamFault { upstreams: vec![0], hosts: None, fault });
        Mint::new(&world, STARTS).unwrap().unwrap()
    }

    fn judged(mint: &Mint, population: usize, now: Timestamp) -> String {
        let judge = SharedAuthenticator::new(AuthConfig::new(UpstreamId(0)));
        let fetch = judge.poll_fetch(now).unwrap();
        judge.on_fetched(now, fetch.number, parse_jwks(&mint.document(now)));
        let token = mint.token(population, 3.min(u32::from(population == 0) * 3), now).unwrap();
        match judge.on_bearer(now, Bearer::Token(token.as_bytes()), true) {
            AuthVerdict::Verified(claims) => claims.subject().unwrap().to_owned(),
            AuthVerdict::Rejected(gateway::Rejection::Unauthenticated { reason }) => reason.name().to_owned(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_is_signed_is_what_virtual_time_says_of_it() {
        for algorithm in ["ES256", "RS256", "EdDSA"] {
            let mint = mint(algorithm);
            // In the order of TokenDefect::ALL, behind the good ones.
            let expected = [
                "good/3",
                "signature-invalid",
                "algorithm-refused",
                "algorithm-refused",
                "key-unknown",
                "token-expired",
                "expiry-missing",
                "not-yet-valid",
            ];
            for (population, expected) in expected.into_iter().enumerate() {
                assert_eq!(judged(&mint, population, STARTS), expected, "{algorithm}");
            }
            // The keys change, and with them what is signed from then on.
            assert_eq!(judged(&mint, 0, STARTS + Duration::from_secs(1_100)), "good/3", "{algorithm}");
        }
    }

    #[test]
    fn a_client_has_its_token_by_its_name() {
        let mint = mint("ES256");
        let asked = |client| KeyDocument::token(&mint, client, STARTS);
        assert_eq!(asked("good/3"), mint.token(0, 3, STARTS).map(Bytes::from));
        for client in ["good/5", "good/-1", "good/", "good", "nobody/0", ""] {
            assert_eq!(asked(client), None, "{client:?}");
        }
    }

    #[test]
    fn what_is_borne_at_the_start_is_signed_ahead() {
        let mint = mint("ES256");
        mint.sign_ahead();
        let signed = mint.signed.lock().unwrap().clone();
        // Five good clients, and one for each defect.
        assert_eq!(signed.len(), 5 + 7);
        assert_eq!(mint.token(0, 4, STARTS), signed.get(&(0, 4)).map(|(_, text)| text.clone()));
    }

    #[test]
    fn a_token_is_signed_once_until_it_is_renewed() {
        let mint = mint("ES256");
        let token = |seconds| mint.token(0, 2, STARTS + Duration::from_secs(seconds)).unwrap();
        let renewals = (1..1_200).filter(|second| token(*second) != token(second - 1)).count();
        assert_eq!(renewals, 4);
        assert!(mint.token(99, 0, STARTS).is_none());
    }
}
