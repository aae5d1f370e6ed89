//! The judging of tokens: by one caller in virtual time, or by many threads with a memory of tokens found genuine.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::verified::Verified;
use super::{
    AuthConfig, Claims, Fetch, FetchFailure, JwksCache, JwtAlgorithm, KeySet, KeyWait, Lookup, TokenDigest,
    TokenFault, VerifiedTokens, VerifyingKey, policy,
};
use crate::invariant::Invariants;
use crate::rejection::Rejection;
use crate::timestamp::Timestamp;

/// What a request bears to say who sends it.
#[derive(Clone, Copy, Debug)]
pub enum Presented<'a, K: VerifyingKey> {
    /// Nothing.
    Nothing,
    /// Something, but not a token.
    Malformed,
    /// A token.
    Token(Token<'a, K>),
}

/// A token taken apart; nothing of it is believed yet.
#[derive(Clone, Copy, Debug)]
pub struct Token<'a, K: VerifyingKey> {
    /// The algorithm that it names; `None` for one that is not accepted.
    pub algorithm: Option<JwtAlgorithm>,
    /// The key that it names.
    pub kid: Option<&'a str>,
    /// What it claims.
    pub payload: Payload<'a>,
    /// What is signed, and the signature.
    pub signed: K::Signed<'a>,
}

/// Claims that nobody has vouched for.
#[derive(Clone, Copy, Debug)]
pub enum Payload<'a> {
    /// As they came, to be read once it is known whose they are.
    Json(&'a [u8]),
    /// Read; for those who make their tokens themselves.
    Claims(&'a Claims),
}

/// What becomes of a token.
#[derive(Clone, Debug, PartialEq)]
pub enum AuthVerdict {
    /// It is genuine, valid now, and claims what it must.
    Verified(Claims),
    /// The request is answered by the gateway.
    Rejected(Rejection),
    /// The keys to judge it by are being fetched.
    AwaitKeys(KeyWait),
}

/// Judges tokens, for one caller at a time.
///
/// The calling contract is that of [`JwksCache`], with [`Authenticator::on_token`] in the place of its `find`.
#[derive(Debug)]
pub struct Authenticator<K> {
    config: AuthConfig,
    keys: JwksCache<K>,
}

impl<K: VerifyingKey> Authenticator<K> {
    /// Without keys yet.
    pub fn new(config: AuthConfig) -> Self {
        Self { keys: JwksCache::new(config.cache), config }
    }

    /// Judges a token, in the order that [the module](crate::auth) tells. `has_waited` for one that was told
    /// [`AuthVerdict::AwaitKeys`] before.
    pub fn on_token(
        &mut self,
        now: Timestamp,
        presented: &Presented<'_, K>,
        has_waited: bool,
    ) -> AuthVerdict {
        let find = |kid: Option<&str>, algorithm| self.keys.find(now, kid, algorithm, has_waited);
        match judge(&self.config, now, presented, find) {
            Ok((claims, _)) => AuthVerdict::Verified(claims),
            Err(verdict) => verdict,
        }
    }

    /// As [`JwksCache::poll_fetch`].
    pub fn poll_fetch(&mut self, now: Timestamp) -> Option<Fetch> {
        self.keys.poll_fetch(now)
    }

    /// As [`JwksCache::on_fetched`].
    pub fn on_fetched(&mut self, now: Timestamp, number: u64, result: Result<KeySet<K>, FetchFailure>) {
        self.keys.on_fetched(now, number, result);
    }

    /// As [`JwksCache::next_wakeup`].
    pub fn next_wakeup(&self) -> Timestamp {
        self.keys.next_wakeup()
    }

    /// As [`JwksCache::on_wakeup`].
    pub fn on_wakeup(&mut self, now: Timestamp) {
        self.keys.on_wakeup(now);
    }

    /// As [`JwksCache::rounds`].
    pub fn rounds(&self) -> u64 {
        self.keys.rounds()
    }

    /// As [`JwksCache::on_left`].
    pub fn on_left(&mut self, wait: KeyWait) {
        self.keys.on_left(wait);
    }
}

/// The same for any number of threads, and with a memory of the tokens that were verified.
///
/// Keys stand behind one lock that is held to find one and never while a signature is checked; the memory is in shards
/// with a lock each.
#[derive(Debug)]
pub struct SharedAuthenticator<K> {
    config: AuthConfig,
    keys: Mutex<JwksCache<K>>,
    verified: Box<[Mutex<VerifiedTokens>]>,
}

/// Enough that a few dozen threads seldom meet.
const SHARDS: usize = 64;

impl<K: VerifyingKey> SharedAuthenticator<K> {
    /// Without keys yet.
    pub fn new(config: AuthConfig) -> Self {
        // A small memory in one piece, so that it holds as many as it says whatever their digests.
        let shards = if config.verified_tokens < 16 * SHARDS { 1 } else { SHARDS };
        let each = config.verified_tokens / shards;
        Self {
            keys: Mutex::new(JwksCache::new(config.cache)),
            verified: (0..shards).map(|_| Mutex::new(VerifiedTokens::new(each))).collect(),
            config,
        }
    }

    /// Does this instead of panicking where the counters of the keys are wrong.
    #[must_use]
    pub fn with_invariants(self, invariants: Invariants) -> Self {
        let keys = self.keys.into_inner().unwrap_or_else(PoisonError::into_inner);
        Self { keys: Mutex::new(keys.with_invariants(invariants)), ..self }
    }

    /// What it goes by.
    pub const fn config(&self) -> &AuthConfig {
        &self.config
    }

    /// The claims of a token that was verified before and would be again: its times are judged anew, and its key is still
    /// published and not too old. `None` for any other; [`SharedAuthenticator::on_token`] says what is wrong with it.
    pub fn recall(&self, now: Timestamp, digest: &TokenDigest) -> Option<Claims> {
        let Verified { key, claims } = lock(self.shard(digest)).recall(digest)?;
        if policy::judge_times(&self.config, now, &claims).is_ok() && self.keys().holds(now, key) {
            return Some(claims);
        }
        lock(self.shard(digest)).forget(digest);
        None
    }

    /// As [`Authenticator::on_token`]; a token that is verified is remembered by its digest.
    pub fn on_token(
        &self,
        now: Timestamp,
        digest: TokenDigest,
        presented: &Presented<'_, K>,
        has_waited: bool,
    ) -> AuthVerdict {
        let find = |kid: Option<&str>, algorithm| self.keys().find(now, kid, algorithm, has_waited);
        match judge(&self.config, now, presented, find) {
            Ok((claims, key)) => {
                lock(self.shard(&digest)).remember(digest, Verified { key, claims: claims.clone() });
                AuthVerdict::Verified(claims)
            }
            Err(verdict) => verdict,
        }
    }

    /// As [`JwksCache::poll_fetch`].
    pub fn poll_fetch(&self, now: Timestamp) -> Option<Fetch> {
        self.keys().poll_fetch(now)
    }

    /// As [`JwksCache::on_fetched`]; says how many [`rounds`](JwksCache::rounds) there were since the start.
    pub fn on_fetched(&self, now: Timestamp, number: u64, result: Result<KeySet<K>, FetchFailure>) -> u64 {
        let mut keys = self.keys();
        keys.on_fetched(now, number, result);
        keys.rounds()
    }

    /// As [`JwksCache::next_wakeup`].
    pub fn next_wakeup(&self) -> Timestamp {
        self.keys().next_wakeup()
    }

    /// As [`JwksCache::on_wakeup`].
    pub fn on_wakeup(&self, now: Timestamp) {
        self.keys().on_wakeup(now);
    }

    /// As [`JwksCache::on_left`].
    pub fn on_left(&self, wait: KeyWait) {
        self.keys().on_left(wait);
    }

    fn keys(&self) -> MutexGuard<'_, JwksCache<K>> {
        lock(&self.keys)
    }

    fn shard(&self, digest: &TokenDigest) -> &Mutex<VerifiedTokens> {
        // Not the bytes that the table within goes by.
        &self.verified[usize::from(digest[31]) % self.verified.len()]
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Judges a token by the key that `find` finds. The claims and the number of the key, or what else becomes of it.
fn judge<K: VerifyingKey>(
    config: &AuthConfig,
    now: Timestamp,
    presented: &Presented<'_, K>,
    find: impl FnOnce(Option<&str>, JwtAlgorithm) -> Lookup<K>,
) -> Result<(Claims, u64), AuthVerdict> {
    let refuse = |reason| AuthVerdict::Rejected(Rejection::Unauthenticated { reason });
    let token = match presented {
        Presented::Nothing => return Err(refuse(TokenFault::Missing)),
        Presented::Malformed => return Err(refuse(TokenFault::Malformed)),
        Presented::Token(token) => token,
    };
    let algorithm = token.algorithm.ok_or(refuse(TokenFault::AlgorithmRefused))?;
    let held = match find(token.kid, algorithm) {
        Lookup::Found(held) => held,
        Lookup::Refused(fault) => return Err(refuse(fault)),
        Lookup::Await(wait) => return Err(AuthVerdict::AwaitKeys(wait)),
        Lookup::Unavailable { retry_after } => {
            return Err(AuthVerdict::Rejected(Rejection::KeysUnavailable { retry_after }));
        }
    };
    let held = held.iter().find(|held| held.key().verifies(token.signed));
    let held = held.ok_or(refuse(TokenFault::SignatureInvalid))?;
    let claims = match token.payload {
        Payload::Claims(claims) => claims.clone(),
        Payload::Json(json) => Claims::parse(json).map_err(|_| refuse(TokenFault::Malformed))?,
    };
    policy::judge(config, now, &claims).map_err(AuthVerdict::Rejected)?;
    Ok((claims, held.number()))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::auth::{JwksCacheConfig, SimulatedKey};
    use crate::route::UpstreamId;

    const START: Timestamp = Timestamp::from_nanos(1_780_390_800_000_000_000);
    const SECONDS: u64 = 1_780_390_800;

    fn at(seconds: u64) -> Timestamp {
        START + Duration::from_secs(seconds)
    }

    fn keys(numbers: &[u64]) -> KeySet<SimulatedKey> {
        let key = |number| SimulatedKey { number, algorithm: JwtAlgorithm::Rs256 };
        KeySet::new(numbers.iter().map(|number| (number.to_string(), key(*number))))
    }

    fn token<'a>(json: &'a str, kid: &'a str, signed: u64) -> Token<'a, SimulatedKey> {
        let payload = Payload::Json(json.as_bytes());
        Token { algorithm: Some(JwtAlgorithm::Rs256), kid: Some(kid), payload, signed }
    }

    fn config() -> AuthConfig {
        AuthConfig { leeway: Duration::ZERO, ..AuthConfig::new(UpstreamId(0)) }
    }

    #[test]
    fn a_token_is_judged_step_by_step() {
        let mut authenticator = Authenticator::new(config());
        let valid = format!(r#"{{"sub":"a","exp":{}}}"#, SECONDS + 100);
        let mut judge =
            |presented: Presented<'_, SimulatedKey>| authenticator.on_token(START, &presented, false);
        let refused = |reason| AuthVerdict::Rejected(Rejection::Unauthenticated { reason });
        let good = token(&valid, "1", 1);
        // What needs no key is told before there is one.
        assert_eq!(judge(Presented::Nothing), refused(TokenFault::Missing));
        assert_eq!(judge(Presented::Malformed), refused(TokenFault::Malformed));
        let unsigned = Token { algorithm: None, ..good };
        assert_eq!(judge(Presented::Token(unsigned)), refused(TokenFault::AlgorithmRefused));
        assert!(matches!(judge(Presented::Token(good)), AuthVerdict::AwaitKeys(_)));
        let fetch = authenticator.poll_fetch(START).unwrap();
        authenticator.on_fetched(START, fetch.number, Ok(keys(&[1])));
        let mut judge = |token| authenticator.on_token(START, &Presented::Token(token), true);
        let AuthVerdict::Verified(claims) = judge(good) else { panic!("it is genuine") };
        assert_eq!(claims.subject(), Some("a"));
        assert_eq!(judge(token(&valid, "2", 1)), refused(TokenFault::KeyUnknown));
        let other = Token { algorithm: Some(JwtAlgorithm::Es256), ..good };
        assert_eq!(judge(other), refused(TokenFault::AlgorithmMismatch));
        assert_eq!(judge(token(&valid, "1", 2)), refused(TokenFault::SignatureInvalid));
        // Of whom nobody has vouched for nothing is read.
        assert_eq!(judge(token("{", "1", 2)), refused(TokenFault::SignatureInvalid));
        assert_eq!(judge(token("{", "1", 1)), refused(TokenFault::Malformed));
        assert_eq!(judge(token("{}", "1", 1)), refused(TokenFault::ExpiryMissing));
    }

    #[test]
    fn of_several_keys_with_one_name_each_is_tried_and_not_more_than_a_few() {
        let mut authenticator = Authenticator::new(config());
        let fetch = authenticator.poll_fetch(START).unwrap();
        let key = |number| ("same".to_owned(), SimulatedKey { number, algorithm: JwtAlgorithm::Rs256 });
        authenticator.on_fetched(START, fetch.number, Ok(KeySet::new([1, 1, 2, 3, 4, 5].map(key))));
        let valid = format!(r#"{{"exp":{}}}"#, SECONDS + 100);
        let mut is_verified = |signed| {
            let presented = Presented::Token(token(&valid, "same", signed));
            matches!(authenticator.on_token(START, &presented, false), AuthVerdict::Verified(_))
        };
        assert_eq!([1, 2, 3, 4, 5, 6].map(&mut is_verified), [true, true, true, true, false, false]);
    }

    fn with_keys(config: AuthConfig) -> SharedAuthenticator<SimulatedKey> {
        let shared = SharedAuthenticator::new(config);
        let fetch = shared.poll_fetch(START).unwrap();
        shared.on_fetched(START, fetch.number, Ok(keys(&[1, 2])));
        shared
    }

    fn verified(shared: &SharedAuthenticator<SimulatedKey>, digest: u8, kid: u64, seconds: u64) {
        let json = format!(r#"{{"exp":{}}}"#, SECONDS + seconds);
        let kid_name = kid.to_string();
        let presented = Presented::Token(token(&json, &kid_name, kid));
        let verdict = shared.on_token(START, [digest; 32], &presented, false);
        assert!(matches!(verdict, AuthVerdict::Verified(_)), "{verdict:?}");
    }

    #[test]
    fn a_verified_token_is_recalled_until_it_expires() {
        let shared = with_keys(config());
        assert!(shared.recall(START, &[7; 32]).is_none());
        verified(&shared, 7, 1, 100);
        assert!(shared.recall(START, &[7; 32]).is_some());
        assert!(shared.recall(at(99), &[7; 32]).is_some());
        assert!(shared.recall(at(100), &[7; 32]).is_none());
        // It is gone, even for one whose clock lags.
        assert!(shared.recall(at(99), &[7; 32]).is_none());
    }

    #[test]
    fn a_verified_token_does_not_outlive_its_key() {
        let shared = with_keys(config());
        verified(&shared, 1, 1, 1_000);
        verified(&shared, 2, 2, 1_000);
        let fetch = shared.poll_fetch(at(300)).unwrap();
        assert_eq!(shared.on_fetched(at(300), fetch.number, Ok(keys(&[2, 3]))), 2);
        assert!(shared.recall(at(300), &[1; 32]).is_none());
        assert!(shared.recall(at(300), &[2; 32]).is_some());

        let cache = JwksCacheConfig::new(Duration::from_secs(10), Duration::from_secs(10)).unwrap();
        let shared = with_keys(AuthConfig { cache, ..config() });
        verified(&shared, 1, 1, 1_000);
        assert!(shared.recall(at(19), &[1; 32]).is_some());
        assert!(shared.recall(at(20), &[1; 32]).is_none());
    }

    #[test]
    fn only_so_many_are_remembered_and_no_forged_one() {
        let shared = with_keys(AuthConfig { verified_tokens: 3, ..config() });
        (0..9).for_each(|digest| verified(&shared, digest, 1, 100));
        let remembered = (0..9).filter(|digest| shared.recall(START, &[*digest; 32]).is_some());
        assert_eq!(remembered.collect::<Vec<_>>(), [6, 7, 8]);
        let json = format!(r#"{{"exp":{}}}"#, SECONDS + 100);
        let forged = Presented::Token(token(&json, "1", 9));
        shared.on_token(START, [9; 32], &forged, false);
        assert!(shared.recall(START, &[9; 32]).is_none());
        assert!(shared.recall(START, &[8; 32]).is_some());
    }
}
