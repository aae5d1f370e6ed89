//! Who sends a request, as far as limits tell callers apart.
//!
//! A limiter holds one state per caller, and a botnet brings a million of them; so a caller is 64 bits here,
//! whatever the length of its key or address.

use std::hash::Hasher;
use std::net::IpAddr;

use serde_json::Value;
use siphasher::sip::SipHasher24;

use crate::auth::Claims;

/// The address that a request comes from, as a limit per address sees it.
///
/// An IPv4 address counts on its own. An IPv6 address counts by its /64 network: that is what one customer is
/// given, who can send from any of its 2⁶⁴ addresses. No two networks or addresses share a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Peer(u64);

impl Peer {
    /// The value a limiter is keyed by.
    pub const fn bucket(self) -> u64 {
        self.0
    }
}

impl From<IpAddr> for Peer {
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            // Beside the networks of IPv6: 0:0:ffff:…/64 lies in the reserved block ::/8.
            IpAddr::V4(address) => Self(0x0000_ffff_0000_0000 | u64::from(address.to_bits())),
            IpAddr::V6(address) => Self((address.to_bits() >> 64) as u64),
        }
    }
}

/// The client that a request is counted for: its API key or a claim of its token, or its address where it sent neither.
///
/// A key is told by its `SipHash-2-4` digest under a secret of the gateway, so that nobody can choose keys that
/// fall together. Among a million keys two share a digest with a probability of 3·10⁻⁸.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Client(u64);

/// The secret under which a gateway digests keys.
#[derive(Clone, Copy)]
pub struct KeySecret(pub [u8; 16]);

impl Client {
    /// The holder of an API key.
    pub fn from_key(secret: KeySecret, key: &[u8]) -> Self {
        let mut hasher = SipHasher24::new_with_key(&secret.0);
        hasher.write(b"key");
        hasher.write(key);
        Self(hasher.finish())
    }

    /// A caller without a key: `anonymous`, apart for each address.
    pub fn anonymous(secret: KeySecret, peer: Peer) -> Self {
        let mut hasher = SipHasher24::new_with_key(&secret.0);
        hasher.write(b"anonymous");
        hasher.write(&peer.0.to_le_bytes());
        Self(hasher.finish())
    }

    /// Whoever a verified token says this of; `None` for a value that is no text, number or truth value, and names nobody.
    pub fn from_claim(secret: KeySecret, name: &str, value: &Value) -> Option<Self> {
        let mut hasher = SipHasher24::new_with_key(&secret.0);
        hasher.write(b"claim");
        // Lengths and kinds, so that no two claims are hashed as the same bytes.
        hasher.write(&(name.len() as u64).to_le_bytes());
        hasher.write(name.as_bytes());
        match value {
            Value::String(text) => {
                hasher.write(b"text");
                hasher.write(text.as_bytes());
            }
            Value::Number(number) => {
                hasher.write(b"number");
                hasher.write(number.to_string().as_bytes());
            }
            Value::Bool(truth) => hasher.write(if *truth { b"true" } else { b"false" }),
            Value::Null | Value::Array(_) | Value::Object(_) => return None,
        }
        Some(Self(hasher.finish()))
    }

    /// The value a limiter is keyed by.
    pub const fn bucket(self) -> u64 {
        self.0
    }
}

/// What the limit per client tells clients apart by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum KeyedBy {
    /// Their API key.
    #[default]
    ApiKey,
    /// This claim of their verified token: a key can be shared or made up, a verified claim cannot.
    Claim(String),
}

impl KeyedBy {
    /// Whom a request counts for; `otherwise` (its API key, or else its address) where there is no such claim, because its
    /// route asks for no token or the token does not make it.
    pub fn client(&self, secret: KeySecret, claims: Option<&Claims>, otherwise: Client) -> Client {
        let Self::Claim(name) = self else { return otherwise };
        let claimed = claims.and_then(|claims| claims.get(name));
        claimed.and_then(|value| Client::from_claim(secret, name, value)).unwrap_or(otherwise)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(address: &str) -> Peer {
        Peer::from(address.parse::<IpAddr>().unwrap())
    }

    #[test]
    fn a_customer_is_one_address_of_ipv4_and_one_network_of_ipv6() {
        assert_ne!(peer("127.0.0.1"), peer("127.0.0.2"));
        assert_eq!(peer("127.0.0.1"), peer("::ffff:127.0.0.1"));
        assert_eq!(peer("2001:db8:0:1::1"), peer("2001:db8:0:1:ffff::9"));
        assert_ne!(peer("2001:db8:0:1::1"), peer("2001:db8:0:2::1"));
        assert_ne!(peer("::1"), peer("0.0.0.1"));
    }

    #[test]
    fn a_key_is_its_bytes_and_a_caller_without_one_its_address() {
        let secret = KeySecret([7; 16]);
        assert_eq!(Client::from_key(secret, b"partner"), Client::from_key(secret, b"partner"));
        assert_ne!(Client::from_key(secret, b"partner"), Client::from_key(secret, b"partner-2"));
        assert_ne!(Client::from_key(secret, b"partner"), Client::from_key(KeySecret([8; 16]), b"partner"));
        let (one, other) = (peer("127.0.0.1"), peer("127.0.0.2"));
        assert_ne!(Client::anonymous(secret, one), Client::anonymous(secret, other));
        assert_ne!(Client::anonymous(secret, one), Client::from_key(secret, &one.0.to_le_bytes()));
    }

    #[test]
    fn a_claim_is_its_name_and_value_and_otherwise_the_key_counts() {
        use serde_json::json;
        let secret = KeySecret([7; 16]);
        let of = |name: &str, value: Value| Client::from_claim(secret, name, &value);
        assert!(of("sub", json!("a")).is_some());
        assert_eq!(of("sub", json!("a")), of("sub", json!("a")));
        let all = [
            ("sub", json!("a")),
            ("su", json!("ba")),
            ("tenant", json!("a")),
            ("sub", json!("7")),
            ("sub", json!(7)),
            ("sub", json!(true)),
        ];
        let mut clients: Vec<_> =
            all.into_iter().map(|(name, value)| of(name, value).unwrap().bucket()).collect();
        clients.push(Client::from_key(secret, b"a").bucket());
        clients.sort_unstable();
        clients.dedup();
        assert_eq!(clients.len(), 7);
        assert_eq!(of("sub", json!(["a"])), None);

        let claims = Claims::parse(br#"{"sub":"a"}"#).unwrap();
        let key = Client::from_key(secret, b"key");
        let by = |name: &str| KeyedBy::Claim(name.into());
        assert_eq!(by("sub").client(secret, Some(&claims), key), of("sub", json!("a")).unwrap());
        assert_eq!(by("tenant").client(secret, Some(&claims), key), key);
        assert_eq!(by("sub").client(secret, None, key), key);
        assert_eq!(KeyedBy::ApiKey.client(secret, Some(&claims), key), key);
    }
}
