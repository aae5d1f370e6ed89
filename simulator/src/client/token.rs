//! The tokens that clients bear: when each is renewed, and what is wrong with it.

use std::time::Duration;

use gateway::Timestamp;
use gateway::auth::JwtAlgorithm;
use thiserror::Error;

use crate::identity_provider::{KeyNumber, KeySchedule};

/// The tokens of a population: what they say, how long they hold, and what is wrong with them.
///
/// A client holds one token at a time and has it renewed when half of its life is over, so that a good one is never
/// about to expire. Clients do so at different times: that of identity i is i times the golden ratio of the interval on
/// from that of identity 0, which spreads any number of them evenly.
#[derive(Clone, Debug, PartialEq)]
pub struct TokenConfig {
    /// Who issued it (`iss`), if it says so.
    pub issuer: Option<String>,
    /// For whom (`aud`), if it says so.
    pub audience: Option<String>,
    /// What else it says, as JSON. `sub` is the client's own: the name of its population and its number.
    pub claims: serde_json::Map<String, serde_json::Value>,
    /// From its issue until it expires.
    lifetime: Duration,
    /// How it is signed where nothing is wrong with that (ES256).
    pub algorithm: JwtAlgorithm,
    /// What is wrong with it; `None` for a good one.
    pub defect: Option<TokenDefect>,
}

/// What is wrong with a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TokenDefect {
    /// It names a key of the identity provider and is signed with another that nobody knows.
    Forged,
    /// It says `alg: none` and bears no signature.
    Unsigned,
    /// It is signed by HMAC with the public key for a secret.
    Hmac,
    /// It names a key that the identity provider never had.
    UnknownKey,
    /// It expired an hour before it came into its holder's hands.
    Expired,
    /// It does not say when it expires.
    NoExpiry,
    /// It is valid from an hour after it would expire.
    NotYetValid,
}

/// Why settings are no [`TokenConfig`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum TokenError {
    /// It would have to be renewed all the time, or its times are no whole seconds.
    #[error("a token lives for two seconds or more, and for whole seconds")]
    Lifetime,
}

/// A token of a client, before it is written down: what it says, and who signed it.
#[derive(Clone, Debug, PartialEq)]
pub struct Token<'c> {
    /// What all tokens of the population have in common.
    pub config: &'c TokenConfig,
    /// How many times it has been renewed since the epoch: with its identity, this names a token.
    pub generation: u64,
    /// When it was issued (`iat`).
    pub issued_at: Timestamp,
    /// When it expires (`exp`); `None` where it does not say.
    pub expires_at: Option<Timestamp>,
    /// From when on it holds (`nbf`); `None` where it does not say.
    pub not_before: Option<Timestamp>,
    /// The key that it names (`kid`); `None` for one that never was.
    pub key: Option<KeyNumber>,
    /// The key that it is signed with; `None` for none that the identity provider has.
    pub signed_by: Option<KeyNumber>,
}

/// Nanoseconds in a second.
const NANOS: u64 = 1_000_000_000;

/// By how much tokens that are not of their time miss it, at the least: more than any leeway forgives.
const OFF: u64 = 3_600 * NANOS;

impl TokenDefect {
    /// Every defect, with the name by which a file picks it.
    pub const ALL: [(&'static str, Self); 7] = [
        ("forged", Self::Forged),
        ("unsigned", Self::Unsigned),
        ("hmac", Self::Hmac),
        ("unknown-key", Self::UnknownKey),
        ("expired", Self::Expired),
        ("no-expiry", Self::NoExpiry),
        ("not-yet-valid", Self::NotYetValid),
    ];
}

impl TokenConfig {
    /// The life of a token where nothing else is said.
    pub const LIFETIME: Duration = Duration::from_secs(600);

    /// Good tokens that live for `lifetime` and say nothing but who holds them.
    ///
    /// # Errors
    ///
    /// If they live for less than two seconds, or not for whole seconds.
    pub fn new(lifetime: Duration) -> Result<Self, TokenError> {
        if lifetime < Duration::from_secs(2) || lifetime.subsec_nanos() > 0 {
            return Err(TokenError::Lifetime);
        }
        Ok(Self {
            issuer: None,
            audience: None,
            claims: serde_json::Map::new(),
            lifetime,
            algorithm: JwtAlgorithm::Es256,
            defect: None,
        })
    }

    /// From its issue until it expires.
    pub const fn lifetime(&self) -> Duration {
        self.lifetime
    }

    /// The token that an identity, by its number, holds at `now`, in a scenario that starts at `starts`. Its times are whole seconds.
    pub fn held_at(&self, now: Timestamp, identity: u32, starts: Timestamp, keys: &KeySchedule) -> Token<'_> {
        let interval = self.lifetime.as_secs() / 2;
        // The fractional part of i·φ, as a share of the interval (Knuth's multiplicative hashing).
        let share = u64::from(identity).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let phase = ((u128::from(share) * u128::from(interval)) >> u64::BITS) as u64;
        let generation = (now.as_nanos() / NANOS).saturating_sub(phase) / interval;
        let issued_at = Timestamp::from_nanos((generation * interval + phase) * NANOS);
        let expires_at = match self.defect {
            Some(TokenDefect::Expired) => {
                Some(Timestamp::from_nanos(issued_at.as_nanos().saturating_sub(OFF)))
            }
            Some(TokenDefect::NoExpiry) => None,
            _ => Some(issued_at + self.lifetime),
        };
        let not_before = (self.defect == Some(TokenDefect::NotYetValid))
            .then(|| (issued_at + self.lifetime).plus_nanos(OFF));
        let signing = keys.signing(issued_at.saturating_since(starts));
        let is_signed = !matches!(
            self.defect,
            Some(TokenDefect::Forged | TokenDefect::Unsigned | TokenDefect::Hmac | TokenDefect::UnknownKey)
        );
        Token {
            config: self,
            generation,
            issued_at,
            expires_at,
            not_before,
            key: (self.defect != Some(TokenDefect::UnknownKey)).then_some(signing),
            signed_by: is_signed.then_some(signing),
        }
    }
}

impl Token<'_> {
    /// Whether the identity provider issued it, and it is of its time: what it claims is to be judged beside that.
    pub const fn is_genuine(&self) -> bool {
        self.config.defect.is_none()
    }
}

/// Who a token of a population says its holder is (`sub`), such as `members/17`: no API key, which would be no secret then.
pub fn subject(population: &str, identity: u32) -> String {
    format!("{population}/{identity}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::{Fault, FaultKind};

    const STARTS: Timestamp = Timestamp::from_nanos(1_780_390_800 * NANOS);

    fn at(seconds: u64) -> Timestamp {
        STARTS + Duration::from_secs(seconds)
    }

    #[test]
    fn a_good_token_has_half_its_life_before_it_at_least() {
        let config = TokenConfig::new(Duration::from_secs(600)).unwrap();
        let keys = KeySchedule::default();
        for index in 0..50 {
            let mut renewed = 0;
            let mut last = config.held_at(at(0), index, STARTS, &keys).generation;
            for second in 1..=1_200 {
                let token = config.held_at(at(second), index, STARTS, &keys);
                let (age, left) = (at(second) - token.issued_at, token.expires_at.unwrap() - at(second));
                assert!(
                    age <= Duration::from_secs(300) && left >= Duration::from_secs(300),
                    "{age:?} {left:?}"
                );
                assert!(token.is_genuine() && token.signed_by == token.key);
                renewed += u32::from(token.generation != last);
                last = token.generation;
            }
            assert_eq!(renewed, 4);
        }
    }

    #[test]
    fn renewals_are_spread_over_the_interval() {
        let config = TokenConfig::new(Duration::from_secs(600)).unwrap();
        let keys = KeySchedule::default();
        let of_second = |second: u64| {
            let renews =
                |index: &u32| config.held_at(at(second), *index, STARTS, &keys).issued_at == at(second);
            (0..3_000).filter(renews).count()
        };
        // Ten a second, for the three thousand renew once in three hundred seconds.
        assert!((0..300).map(of_second).all(|renewals| (8..=12).contains(&renewals)));
    }

    #[test]
    fn a_token_bears_the_key_of_its_time() {
        let rotation = Fault::new(
            Duration::from_secs(400),
            Duration::from_secs(60),
            1.0,
            FaultKind::RotateKeys,
            String::new(),
        );
        let keys = KeySchedule::new(&[rotation.unwrap()]);
        let config = TokenConfig::new(Duration::from_secs(600)).unwrap();
        let key = |second| config.held_at(at(second), 0, STARTS, &keys);
        // The start is a multiple of the interval since the epoch, and identity 0 renews then.
        assert_eq!((key(399).signed_by, key(599).signed_by), (Some(KeyNumber(0)), Some(KeyNumber(0))));
        assert_eq!(key(600).signed_by, Some(KeyNumber(1)));
    }

    #[test]
    fn each_defect_is_what_its_name_says() {
        let keys = KeySchedule::default();
        for (name, defect) in TokenDefect::ALL {
            let config =
                TokenConfig { defect: Some(defect), ..TokenConfig::new(TokenConfig::LIFETIME).unwrap() };
            let token = config.held_at(at(17), 3, STARTS, &keys);
            assert!(!token.is_genuine());
            let signed = token.signed_by.is_some();
            let expired =
                token.expires_at.is_some_and(|expires| at(17) - expires >= Duration::from_secs(3_600));
            let early = token.not_before.is_some_and(|from| from - at(17) >= Duration::from_secs(3_600));
            let expected = match defect {
                TokenDefect::Forged | TokenDefect::Unsigned | TokenDefect::Hmac => {
                    (true, false, true, false, false)
                }
                TokenDefect::UnknownKey => (false, false, true, false, false),
                TokenDefect::Expired => (true, true, true, true, false),
                TokenDefect::NoExpiry => (true, true, false, false, false),
                TokenDefect::NotYetValid => (true, true, true, false, true),
            };
            let found = (token.key.is_some(), signed, token.expires_at.is_some(), expired, early);
            assert_eq!(found, expected, "{name}");
        }
    }

    #[test]
    fn a_life_is_of_whole_seconds() {
        for (millis, fits) in [(0, false), (1_000, false), (2_000, true), (2_500, false), (600_000, true)] {
            assert_eq!(TokenConfig::new(Duration::from_millis(millis)).is_ok(), fits, "{millis}");
        }
    }
}
