//! Who sends a request, as far as limits tell callers apart.
//!
//! A limiter holds one state per caller, and a botnet brings a million of them; so a caller is 64 bits here,
//! whatever the length of its key or address.

use std::hash::Hasher;
use std::net::IpAddr;

use siphasher::sip::SipHasher24;

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

/// The client that a request is counted for: its API key, or its address where it sent none.
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

    /// The value a limiter is keyed by.
    pub const fn bucket(self) -> u64 {
        self.0
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
}
