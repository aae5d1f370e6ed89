//! The claims of a token: their shape, not their truth.

use std::fmt;
use std::sync::Arc;

use serde_json::{Map, Number, Value};
use thiserror::Error;

use super::strict_json;
use crate::timestamp::Timestamp;

/// What a token says, in the shape it must have; whether it is true is another question.
///
/// Cheap to clone: the claims themselves are shared.
#[derive(Clone, PartialEq)]
pub struct Claims(Arc<Inner>);

#[derive(PartialEq)]
struct Inner {
    expires: Option<Timestamp>,
    not_before: Option<Timestamp>,
    issued_at: Option<Timestamp>,
    all: Map<String, Value>,
}

/// Why something is no set of claims.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ClaimsError {
    /// It is not one JSON object, or an object in it has two members of one name.
    #[error("not one JSON object whose members are unique")]
    Json,
    /// A registered claim has another type than RFC 7519 gives it.
    #[error("`{0}` is not of its type")]
    Type(&'static str),
    /// Not a number of seconds since the epoch, or one before it or after the year 2554, where time ends for us: a token
    /// until then is one that never expires.
    #[error("`{0}` is not a time that can be told")]
    Time(&'static str),
}

impl Claims {
    /// Reads the payload of a token.
    ///
    /// # Errors
    ///
    /// [`ClaimsError`] where RFC 7519 is not kept to. A fraction of a second is kept: some issuers send one, and they may.
    pub fn parse(json: &[u8]) -> Result<Self, ClaimsError> {
        Self::from_map(strict_json::object(json).ok_or(ClaimsError::Json)?)
    }

    /// The claims that an object makes.
    ///
    /// # Errors
    ///
    /// [`ClaimsError`] if a registered claim is not of its type.
    pub fn from_map(all: Map<String, Value>) -> Result<Self, ClaimsError> {
        for name in ["iss", "sub", "jti"] {
            if all.get(name).is_some_and(|value| !value.is_string()) {
                return Err(ClaimsError::Type(name));
            }
        }
        match all.get("aud") {
            None | Some(Value::String(_)) => {}
            Some(Value::Array(audience)) if audience.iter().all(Value::is_string) => {}
            Some(_) => return Err(ClaimsError::Type("aud")),
        }
        let time = |name| match all.get(name) {
            None => Ok(None),
            Some(Value::Number(seconds)) => match time_of(seconds) {
                Some(time) => Ok(Some(time)),
                None => Err(ClaimsError::Time(name)),
            },
            Some(_) => Err(ClaimsError::Type(name)),
        };
        let (expires, not_before, issued_at) = (time("exp")?, time("nbf")?, time("iat")?);
        Ok(Self(Arc::new(Inner { expires, not_before, issued_at, all })))
    }

    /// `iss`: who issued the token.
    pub fn issuer(&self) -> Option<&str> {
        self.get("iss")?.as_str()
    }

    /// `sub`: whom it is about.
    pub fn subject(&self) -> Option<&str> {
        self.get("sub")?.as_str()
    }

    /// Whether `aud`, which may be one name or a list of names, has this one.
    pub fn is_for(&self, audience: &str) -> bool {
        match self.get("aud") {
            Some(Value::String(one)) => one == audience,
            Some(Value::Array(several)) => several.iter().any(|one| one == audience),
            _ => false,
        }
    }

    /// `exp`: from when on it is not to be accepted.
    pub fn expires(&self) -> Option<Timestamp> {
        self.0.expires
    }

    /// `nbf`: before when it is not to be accepted.
    pub fn not_before(&self) -> Option<Timestamp> {
        self.0.not_before
    }

    /// `iat`: when it was issued.
    pub fn issued_at(&self) -> Option<Timestamp> {
        self.0.issued_at
    }

    /// Any claim by its name, the registered ones too.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.all.get(name)
    }
}

/// Names only: values may be personal.
impl fmt::Debug for Claims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Claims").field(&self.0.all.keys().collect::<Vec<_>>()).finish()
    }
}

const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// A `NumericDate` (RFC 7519, 2).
fn time_of(seconds: &Number) -> Option<Timestamp> {
    let nanos = if let Some(whole) = seconds.as_u64() {
        whole.checked_mul(NANOS_PER_SECOND)?
    } else {
        let seconds = seconds.as_f64()?;
        if !(0.0..(u64::MAX / NANOS_PER_SECOND) as f64).contains(&seconds) {
            return None;
        }
        (seconds * NANOS_PER_SECOND as f64) as u64
    };
    Some(Timestamp::from_nanos(nanos))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn registered_claims_have_their_types() {
        let claims = Claims::parse(
            br#"{"iss":"i","sub":"s","aud":["a","b"],"exp":1780390800,"nbf":1780390800.5,"iat":0,"role":{"x":[1]}}"#,
        )
        .unwrap();
        assert_eq!((claims.issuer(), claims.subject()), (Some("i"), Some("s")));
        assert!(claims.is_for("a") && claims.is_for("b") && !claims.is_for("c"));
        assert_eq!(claims.expires(), Some(Timestamp::from_nanos(1_780_390_800_000_000_000)));
        assert_eq!(claims.not_before(), Some(Timestamp::from_nanos(1_780_390_800_500_000_000)));
        assert_eq!(claims.issued_at(), Some(Timestamp::EPOCH));
        assert_eq!(claims.get("role").unwrap()["x"][0], 1);
        let one = Claims::parse(br#"{"aud":"a"}"#).unwrap();
        assert!(one.is_for("a") && !one.is_for(""));
        let none = Claims::parse(b"{}").unwrap();
        assert_eq!((none.expires(), none.subject(), none.is_for("a")), (None, None, false));
    }

    #[test]
    fn what_is_no_claim_is_refused_and_overflows_nothing() {
        let refused = |json: &str| Claims::parse(json.as_bytes()).unwrap_err();
        for (json, error) in [
            ("[]", ClaimsError::Json),
            ("{", ClaimsError::Json),
            (r#"{"sub":"a","sub":"b"}"#, ClaimsError::Json),
            (r#"{"exp":1e400}"#, ClaimsError::Json),
            (r#"{"iss":["a"]}"#, ClaimsError::Type("iss")),
            (r#"{"iss":null}"#, ClaimsError::Type("iss")),
            (r#"{"sub":7}"#, ClaimsError::Type("sub")),
            (r#"{"jti":7}"#, ClaimsError::Type("jti")),
            (r#"{"aud":7}"#, ClaimsError::Type("aud")),
            (r#"{"aud":["a",7]}"#, ClaimsError::Type("aud")),
            (r#"{"aud":{"a":"b"}}"#, ClaimsError::Type("aud")),
            (r#"{"exp":"1780390800"}"#, ClaimsError::Type("exp")),
            (r#"{"exp":null}"#, ClaimsError::Type("exp")),
            (r#"{"exp":true}"#, ClaimsError::Type("exp")),
            (r#"{"exp":[1780390800]}"#, ClaimsError::Type("exp")),
            (r#"{"exp":-1}"#, ClaimsError::Time("exp")),
            (r#"{"exp":-0.5}"#, ClaimsError::Time("exp")),
            (r#"{"exp":1e300}"#, ClaimsError::Time("exp")),
            // The year 9999, by which some mean never.
            (r#"{"exp":253402300799}"#, ClaimsError::Time("exp")),
            (r#"{"exp":18446744073709551615}"#, ClaimsError::Time("exp")),
            (r#"{"exp":18446744073709551616}"#, ClaimsError::Time("exp")),
            (r#"{"nbf":"now"}"#, ClaimsError::Type("nbf")),
            (r#"{"nbf":-9223372036854775808}"#, ClaimsError::Time("nbf")),
            (r#"{"iat":{}}"#, ClaimsError::Type("iat")),
        ] {
            assert_eq!(refused(json), error, "{json}");
        }
    }

    proptest! {
        #[test]
        fn any_number_is_a_time_or_none(seconds in any::<f64>(), whole in any::<i64>()) {
            for json in [format!(r#"{{"exp":{seconds:?}}}"#), format!(r#"{{"exp":{whole}}}"#)] {
                if let Ok(claims) = Claims::parse(json.as_bytes()) {
                    prop_assert!(claims.expires().is_some());
                }
            }
        }
    }
}
