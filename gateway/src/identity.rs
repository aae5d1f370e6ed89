//! Who sends a request, as far as limits tell callers apart.
//!
//! A limiter holds one state per caller, and a botnet brings a million of them; so a caller is 64 bits here,
//! whatever the length of its key or address.

use std::hash::Hasher;
use std::net::IpAddr;

use serde_json::Value;
use siphasher::sip::SipHasher24;
use thiserror::Error;

use crate::auth::Claims;
use crate::route::RouteId;

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
            IpAddr::V4(address) => Self(V4 | u64::from(address.to_bits())),
            IpAddr::V6(address) => Self((address.to_bits() >> 64) as u64),
        }
    }
}

/// What an IPv4 address begins with.
const V4: u64 = 0x0000_ffff_0000_0000;

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

/// How much of an address counts: the lengths of the networks whose addresses are one for a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Prefixes {
    v4: u8,
    v6: u8,
}

/// Lengths that no network has, or none that one customer has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error(
    "a network has 1 to {} bits of an IPv4 address, and 1 to {} of an IPv6 address",
    Prefixes::LONGEST_V4,
    Prefixes::LONGEST_V6
)]
pub struct PrefixError;

impl Prefixes {
    /// A whole IPv4 address.
    pub const LONGEST_V4: u8 = 32;
    /// The network that a customer of IPv6 is given. A longer one would tell addresses apart that one host can choose from.
    pub const LONGEST_V6: u8 = 64;
    /// Each IPv4 address on its own, and each /64 of IPv6.
    pub const WHOLE: Self = Self { v4: Self::LONGEST_V4, v6: Self::LONGEST_V6 };

    /// Networks with so many bits of an IPv4 and of an IPv6 address.
    ///
    /// # Errors
    ///
    /// If one is 0, or longer than [`Self::LONGEST_V4`] and [`Self::LONGEST_V6`].
    pub const fn new(v4: u8, v6: u8) -> Result<Self, PrefixError> {
        if v4 == 0 || v4 > Self::LONGEST_V4 || v6 == 0 || v6 > Self::LONGEST_V6 {
            return Err(PrefixError);
        }
        Ok(Self { v4, v6 })
    }

    /// Bits of an IPv4 address.
    pub const fn v4(self) -> u8 {
        self.v4
    }

    /// Bits of an IPv6 address.
    pub const fn v6(self) -> u8 {
        self.v6
    }

    /// The network that an address is in, as a limiter is keyed by it.
    pub const fn network(self, peer: Peer) -> u64 {
        if peer.0 >> 32 == V4 >> 32 {
            peer.0 & (V4 | (u32::MAX << (Self::LONGEST_V4 - self.v4)) as u64)
        } else {
            peer.0 & (u64::MAX << (Self::LONGEST_V6 - self.v6))
        }
    }
}

/// Something that a limit tells requests apart by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyPart {
    /// The network of their address.
    Ip(Prefixes),
    /// Their API key; the address of those without.
    ApiKey,
    /// This claim of their verified token: a key can be shared or made up, a verified claim cannot. Who makes no such claim is
    /// told by the API key.
    Claim(String),
    /// Their route.
    Route,
}

/// What a limit counts requests by: all of these together, so that two requests share a bucket if each is the same of both.
///
/// The default is what the limit's scope is named for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyedBy(Vec<KeyPart>);

/// Whose request it is, as far as limits tell requests apart.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Caller<'c> {
    pub(crate) peer: Peer,
    pub(crate) client: Client,
    /// The claims of a token that was verified.
    pub(crate) claims: Option<&'c Claims>,
    pub(crate) route: Option<RouteId>,
}

impl KeyedBy {
    /// The most that are combined. There are four kinds.
    pub const MOST: usize = 4;

    /// All of these together; what the scope is named for, if there is none. Those beyond [`KeyedBy::MOST`] are left out.
    pub fn all(parts: Vec<KeyPart>) -> Self {
        let mut parts = parts;
        parts.truncate(Self::MOST);
        Self(parts)
    }

    /// A claim of verified tokens.
    pub fn claim(name: impl Into<String>) -> Self {
        Self(vec![KeyPart::Claim(name.into())])
    }

    /// What is combined; empty for what the scope is named for.
    pub fn parts(&self) -> &[KeyPart] {
        &self.0
    }

    /// The bucket of a request; `own` is the one of what the scope is named for.
    #[inline]
    pub(crate) fn bucket(&self, secret: KeySecret, caller: &Caller<'_>, own: impl FnOnce() -> u64) -> u64 {
        match &self.0[..] {
            [] => own(),
            [one] => one.bucket(secret, caller),
            all => {
                let mut hasher = SipHasher24::new_with_key(&secret.0);
                hasher.write(b"together");
                for one in all {
                    // A kind and 64 bits each, so that no two combinations are hashed as the same bytes.
                    hasher.write(&[one.kind()]);
                    hasher.write(&one.bucket(secret, caller).to_le_bytes());
                }
                hasher.finish()
            }
        }
    }

    /// Whom a request counts for, where that has to be one client: the first claim that requests are told apart by, if that
    /// stands before the key; `otherwise` (its API key, or else its address) where there is none, because nothing goes by a
    /// claim, the route asks for no token or the token does not make the claim.
    pub fn client(&self, secret: KeySecret, claims: Option<&Claims>, otherwise: Client) -> Client {
        let is_client = |part: &&KeyPart| matches!(part, KeyPart::ApiKey | KeyPart::Claim(_));
        match self.0.iter().find(is_client) {
            Some(KeyPart::Claim(name)) => claimant(secret, name, claims, otherwise),
            _ => otherwise,
        }
    }
}

impl KeyPart {
    /// Tells the kinds apart.
    const fn kind(&self) -> u8 {
        match self {
            Self::Ip(_) => 1,
            Self::ApiKey => 2,
            Self::Claim(_) => 3,
            Self::Route => 4,
        }
    }

    fn bucket(&self, secret: KeySecret, caller: &Caller<'_>) -> u64 {
        match self {
            Self::Ip(prefixes) => prefixes.network(caller.peer),
            Self::ApiKey => caller.client.bucket(),
            Self::Claim(name) => claimant(secret, name, caller.claims, caller.client).bucket(),
            Self::Route => caller.route.map_or(u64::MAX, |route| u64::from(route.0)),
        }
    }
}

/// Whoever makes a claim; `otherwise` where nobody does.
fn claimant(secret: KeySecret, name: &str, claims: Option<&Claims>, otherwise: Client) -> Client {
    let claimed = claims.and_then(|claims| claims.get(name));
    claimed.and_then(|value| Client::from_claim(secret, name, value)).unwrap_or(otherwise)
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
        let by = |name: &str| KeyedBy::claim(name);
        assert_eq!(by("sub").client(secret, Some(&claims), key), of("sub", json!("a")).unwrap());
        assert_eq!(by("tenant").client(secret, Some(&claims), key), key);
        assert_eq!(by("sub").client(secret, None, key), key);
        assert_eq!(KeyedBy::default().client(secret, Some(&claims), key), key);
        let all = |parts| KeyedBy::all(parts).client(secret, Some(&claims), key);
        let sub = || KeyPart::Claim("sub".into());
        assert_eq!(all(vec![KeyPart::Route, sub(), KeyPart::ApiKey]), of("sub", json!("a")).unwrap());
        assert_eq!(all(vec![KeyPart::Route, KeyPart::ApiKey, sub()]), key);
        assert_eq!(all(vec![KeyPart::Ip(Prefixes::WHOLE)]), key);
    }

    #[test]
    fn a_network_is_the_beginning_of_an_address() {
        let same = |(v4, v6), one: &str, other: &str| {
            let prefixes = Prefixes::new(v4, v6).unwrap();
            prefixes.network(peer(one)) == prefixes.network(peer(other))
        };
        assert!(same((24, 64), "10.1.2.3", "10.1.2.255") && !same((24, 64), "10.1.2.3", "10.1.3.3"));
        assert!(same((1, 64), "128.0.0.1", "255.0.0.1") && !same((1, 64), "127.0.0.1", "128.0.0.1"));
        assert!(same((32, 48), "2001:db8:0:1::1", "2001:db8:0:2::1"));
        assert!(!same((32, 48), "2001:db8:1::1", "2001:db8:2::1") && !same((8, 48), "10.1.1.1", "::a:1"));
        assert!(same((32, 1), "8000::1", "ffff::1"));
        for whole in ["10.1.2.3", "2001:db8::1"] {
            assert_eq!(Prefixes::WHOLE.network(peer(whole)), peer(whole).bucket());
        }
        for (v4, v6) in [(0, 64), (33, 64), (32, 0), (32, 65)] {
            assert_eq!(Prefixes::new(v4, v6), Err(PrefixError));
        }
    }

    #[test]
    fn what_is_combined_is_the_same_if_each_part_is() {
        use KeyPart::{ApiKey, Claim, Ip, Route};
        let secret = KeySecret([7; 16]);
        let claims = [r#"{"sub":"a","tenant":"b"}"#, r#"{"sub":"b","tenant":"a"}"#]
            .map(|json| Claims::parse(json.as_bytes()).unwrap());
        let sets = [
            vec![ApiKey, Route],
            vec![Route, ApiKey],
            vec![Ip(Prefixes::new(24, 64).unwrap()), ApiKey],
            vec![Claim("sub".into()), Route],
            vec![Claim("sub".into()), Claim("tenant".into())],
            vec![Ip(Prefixes::WHOLE), ApiKey, Claim("sub".into()), Route],
        ];
        let mut buckets = Vec::new();
        for set in sets {
            let by = KeyedBy::all(set);
            let of = |address: &str, key: &str, claims, route: u32| {
                let client = Client::from_key(secret, key.as_bytes());
                let caller = Caller { peer: peer(address), client, claims, route: Some(RouteId(route)) };
                by.bucket(secret, &caller, || panic!("it is told what to count by"))
            };
            let plain = of("10.0.0.1", "k", Some(&claims[0]), 0);
            assert_eq!(of("10.0.0.1", "k", Some(&claims[0]), 0), plain);
            let changed = [
                (of("10.0.0.2", "k", Some(&claims[0]), 0), by.0.contains(&Ip(Prefixes::WHOLE))),
                (of("10.0.1.1", "k", Some(&claims[0]), 0), matches!(by.0[0], Ip(_))),
                (of("10.0.0.1", "l", Some(&claims[0]), 0), by.0.contains(&ApiKey)),
                (of("10.0.0.1", "k", Some(&claims[1]), 0), by.0.contains(&Claim("sub".into()))),
                (of("10.0.0.1", "k", None, 0), by.0.contains(&Claim("sub".into()))),
                (of("10.0.0.1", "k", Some(&claims[0]), 1), by.0.contains(&Route)),
            ];
            for (place, (bucket, differs)) in changed.into_iter().enumerate() {
                assert_eq!(bucket != plain, differs, "{by:?}, {place}");
            }
            buckets.push(plain);
        }
        let count = buckets.len();
        buckets.sort_unstable();
        buckets.dedup();
        assert_eq!(buckets.len(), count, "no two combinations share a bucket");
    }
}
