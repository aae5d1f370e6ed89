//! The settings of authentication.

use std::time::Duration;

use serde_json::Value;
use thiserror::Error;

use super::Claims;
use crate::route::UpstreamId;

/// Whose tokens are accepted, what they must claim, and what is passed on of them.
#[derive(Clone, Debug, PartialEq)]
pub struct AuthConfig {
    /// The upstream that is asked for keys: the identity provider.
    pub jwks: UpstreamId,
    /// What `iss` must be; `None` does not look at it.
    pub issuer: Option<String>,
    /// What `aud` must be or hold; `None` does not look at it.
    pub audience: Option<String>,
    /// What a token must claim besides; asked in this order, and the first that is not met is the answer.
    pub required_claims: Vec<RequiredClaim>,
    /// How far the clock of the issuer may be off (60 s): `exp` and `nbf` are judged that much more mildly. Machines that
    /// keep their time are within a second of each other; a minute covers those that do not quite, and is what validators
    /// commonly grant.
    pub leeway: Duration,
    /// How keys are kept.
    pub cache: JwksCacheConfig,
    /// Which claims the upstream is told, in which header field (`sub` in `x-auth-subject`, `scope` in `x-auth-scope`).
    pub inject: Vec<InjectedClaim>,
    /// Whether the upstream gets the token too (no): what it does not have it cannot leak, or be tempted to trust.
    pub forward_token: bool,
    /// Tokens that were verified and are remembered (10,000); 0 for none.
    pub verified_tokens: usize,
}

impl AuthConfig {
    /// Any token that a key of this upstream has signed and that has not expired, with the defaults for the rest.
    pub fn new(jwks: UpstreamId) -> Self {
        let inject = |claim: &str, header: &str| InjectedClaim { claim: claim.into(), header: header.into() };
        Self {
            jwks,
            issuer: None,
            audience: None,
            required_claims: Vec::new(),
            leeway: Duration::from_secs(60),
            cache: JwksCacheConfig::default(),
            inject: vec![inject("sub", "x-auth-subject"), inject("scope", "x-auth-scope")],
            forward_token: false,
            verified_tokens: 10_000,
        }
    }
}

/// A claim that a token must make.
#[derive(Clone, Debug, PartialEq)]
pub struct RequiredClaim {
    /// Its name.
    pub name: String,
    /// Its value; `None` for any but `null`. See [`RequiredClaim::is_met`].
    pub expected: Option<Value>,
}

impl RequiredClaim {
    /// Whether a claimed value is the expected one, or holds it: as an element of an array, and for `scope` and `scp` as
    /// one of the words of a text (RFC 8693, 4.2). Equal means the same type and value: `"7"` is not 7, `7.0` neither, and
    /// `admin` is not within `administrator`.
    pub fn is_met(&self, claimed: &Value) -> bool {
        let Some(expected) = &self.expected else { return true };
        if claimed == expected {
            return true;
        }
        match (claimed, expected) {
            (Value::Array(several), expected) => several.contains(expected),
            (Value::String(words), Value::String(word)) if matches!(&*self.name, "scope" | "scp") => {
                words.split(' ').any(|one| one == word)
            }
            _ => false,
        }
    }
}

/// A claim that the upstream is told in a header field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InjectedClaim {
    claim: String,
    header: String,
}

impl InjectedClaim {
    /// Tells a claim in a field. The client's own field of that name is taken out, as all that start with `x-auth-` are.
    ///
    /// # Errors
    ///
    /// [`AuthConfigError::Header`] unless the name is lower-case letters, digits and hyphens and begins with `x-`: others
    /// steer HTTP itself.
    pub fn new(claim: &str, header: &str) -> Result<Self, AuthConfigError> {
        let rest = header.strip_prefix("x-").unwrap_or_default();
        let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if rest.is_empty() || !rest.bytes().all(fits) {
            return Err(AuthConfigError::Header(header.to_owned()));
        }
        Ok(Self { claim: claim.to_owned(), header: header.to_owned() })
    }

    /// The claim's name.
    pub fn claim(&self) -> &str {
        &self.claim
    }

    /// The field's name.
    pub fn header(&self) -> &str {
        &self.header
    }

    /// What the field says: a text as it is, a number or a truth value as JSON writes it, an array of those with spaces
    /// between. Whatever is not visible ASCII is percent-encoded, and `%` too, so that no value ends the field or begins
    /// another, and the upstream can tell what was meant. `None` where there is no claim, or one of another shape.
    pub fn value(&self, claims: &Claims) -> Option<String> {
        let mut value = String::new();
        match claims.get(&self.claim)? {
            // The words of a scope stay words.
            Value::String(text) if matches!(&*self.claim, "scope" | "scp") => {
                text.split(' ').for_each(|word| append(&mut value, word));
            }
            Value::Array(several) => {
                several.iter().try_for_each(|one| scalar(one).map(|text| append(&mut value, &text)))?;
            }
            one => append(&mut value, &scalar(one)?),
        }
        Some(value)
    }
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// Appends a word, percent-encoded (RFC 3986, 2.1).
fn append(value: &mut String, word: &str) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    if !value.is_empty() {
        value.push(' ');
    }
    for byte in word.bytes() {
        if byte.is_ascii_graphic() && byte != b'%' {
            value.push(byte as char);
        } else {
            value.extend(['%', HEX[usize::from(byte >> 4)] as char, HEX[usize::from(byte & 15)] as char]);
        }
    }
}

/// How long keys are kept and how often the identity provider is asked for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JwksCacheConfig {
    refresh_after: Duration,
    stale_for: Duration,
    fetch_timeout: Duration,
    cooldown: Duration,
    max_waiting: u32,
}

impl Default for JwksCacheConfig {
    fn default() -> Self {
        Self {
            refresh_after: Duration::from_secs(5 * 60),
            stale_for: Duration::from_secs(60 * 60),
            fetch_timeout: Duration::from_secs(5),
            cooldown: Duration::from_secs(10),
            max_waiting: 10_000,
        }
    }
}

impl JwksCacheConfig {
    /// Asks again after `refresh_after` (5 min). Keys are used for `stale_for` (1 h) beyond that, if no answer comes: an
    /// outage that long costs nothing, and a key that was withdrawn is not trusted for longer.
    ///
    /// # Errors
    ///
    /// [`AuthConfigError::RefreshAfterZero`].
    pub fn new(refresh_after: Duration, stale_for: Duration) -> Result<Self, AuthConfigError> {
        if refresh_after.is_zero() {
            return Err(AuthConfigError::RefreshAfterZero);
        }
        Ok(Self { refresh_after, stale_for, ..Self::default() })
    }

    /// Gives up on a fetch after `fetch_timeout` (5 s). No request waits for keys longer than that.
    ///
    /// # Errors
    ///
    /// [`AuthConfigError::FetchTimeoutZero`].
    pub fn with_fetch_timeout(self, fetch_timeout: Duration) -> Result<Self, AuthConfigError> {
        if fetch_timeout.is_zero() {
            return Err(AuthConfigError::FetchTimeoutZero);
        }
        Ok(Self { fetch_timeout, ..self })
    }

    /// Lets unknown keys cause a fetch once per `cooldown` (10 s). A fetch that failed is made again after an eighth of
    /// it, then twice as long each time, up to all of it.
    ///
    /// # Errors
    ///
    /// [`AuthConfigError::CooldownZero`].
    pub fn with_cooldown(self, cooldown: Duration) -> Result<Self, AuthConfigError> {
        if cooldown.is_zero() {
            return Err(AuthConfigError::CooldownZero);
        }
        Ok(Self { cooldown, ..self })
    }

    /// Lets so many requests wait for keys at once (10,000); more are answered at once, as if no keys were to be had.
    #[must_use]
    pub const fn with_max_waiting(self, max_waiting: u32) -> Self {
        Self { max_waiting, ..self }
    }

    /// When keys are asked for again.
    pub const fn refresh_after(&self) -> Duration {
        self.refresh_after
    }

    /// How long beyond that they are used.
    pub const fn stale_for(&self) -> Duration {
        self.stale_for
    }

    /// The longest a fetch may take.
    pub const fn fetch_timeout(&self) -> Duration {
        self.fetch_timeout
    }

    /// How far apart fetches for unknown keys are at least.
    pub const fn cooldown(&self) -> Duration {
        self.cooldown
    }

    /// Requests that may wait for keys at once.
    pub const fn max_waiting(&self) -> u32 {
        self.max_waiting
    }
}

/// Why settings are refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum AuthConfigError {
    /// It would never stop asking.
    #[error("refresh_after must be longer than zero")]
    RefreshAfterZero,
    /// No answer is that fast.
    #[error("fetch_timeout must be longer than zero")]
    FetchTimeoutZero,
    /// Anybody could have the identity provider asked as often as they like.
    #[error("cooldown must be longer than zero")]
    CooldownZero,
    /// Not a field that a claim can be told in.
    #[error("a claim is told in a field whose name begins with `x-`, in lower case, unlike {0:?}")]
    Header(String),
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn settings_that_cannot_be_meant_are_refused() {
        let (zero, second) = (Duration::ZERO, Duration::from_secs(1));
        let cache = JwksCacheConfig::default();
        assert_eq!(JwksCacheConfig::new(zero, second), Err(AuthConfigError::RefreshAfterZero));
        assert_eq!(cache.with_fetch_timeout(zero), Err(AuthConfigError::FetchTimeoutZero));
        assert_eq!(cache.with_cooldown(zero), Err(AuthConfigError::CooldownZero));
        assert!(JwksCacheConfig::new(second, zero).is_ok());
        for header in
            ["", "x-", "host", "X-Auth", "x-auth subject", "x-auth_subject", "x-a\r\nb", "authorization"]
        {
            assert_eq!(InjectedClaim::new("sub", header), Err(AuthConfigError::Header(header.into())));
        }
    }

    #[test]
    fn a_required_claim_is_equal_or_held() {
        let met = |name: &str, expected: Value, claimed: Value| {
            RequiredClaim { name: name.into(), expected: Some(expected) }.is_met(&claimed)
        };
        assert!(met("role", json!("admin"), json!("admin")));
        assert!(met("role", json!("admin"), json!(["user", "admin"])));
        assert!(met("level", json!(7), json!(7)));
        assert!(met("roles", json!(["a", "b"]), json!(["a", "b"])));
        assert!(met("scope", json!("write"), json!("read write")));
        assert!(met("scope", json!("write"), json!(["read", "write"])));
        assert!(!met("role", json!("admin"), json!("administrator")));
        assert!(!met("role", json!("admin"), json!("Admin")));
        assert!(!met("role", json!("admin"), json!("user admin")), "words are a scope's");
        assert!(!met("scope", json!("write"), json!("overwrite writer")));
        assert!(!met("scope", json!(""), json!("read")));
        assert!(!met("level", json!(7), json!("7")));
        assert!(!met("level", json!(7), json!(7.0)));
        assert!(!met("role", json!("admin"), json!({ "admin": true })));
        assert!(RequiredClaim { name: "role".into(), expected: None }.is_met(&json!(0)));
    }

    #[test]
    fn a_claim_in_a_field_cannot_leave_it() {
        let value = |claim: &str, value: Value| {
            let map = [(claim.to_owned(), value)].into_iter().collect();
            InjectedClaim::new(claim, "x-auth-it").unwrap().value(&Claims::from_map(map).unwrap())
        };
        assert_eq!(value("sub", json!("user-42@example.test")).as_deref(), Some("user-42@example.test"));
        assert_eq!(value("sub", json!("a\r\nx-admin: 1")).as_deref(), Some("a%0D%0Ax-admin:%201"));
        assert_eq!(value("sub", json!(" é%\0")).as_deref(), Some("%20%C3%A9%25%00"));
        assert_eq!(value("scope", json!("read write")).as_deref(), Some("read write"));
        assert_eq!(value("roles", json!(["a b", 7, true])).as_deref(), Some("a%20b 7 true"));
        assert_eq!(value("roles", json!([["a"]])), None);
        assert_eq!(value("roles", json!({ "a": 1 })), None);
        assert_eq!(value("roles", json!(null)), None);
        assert_eq!(InjectedClaim::new("b", "x-b").unwrap().value(&Claims::parse(b"{}").unwrap()), None);
    }
}
