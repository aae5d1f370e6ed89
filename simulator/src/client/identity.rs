//! Who the simulated clients are: API keys and addresses.
//!
//! What a limiter sees of a client is its key and its address, and the two need not go together. Five hundred
//! hosts that share one stolen key slip through any limit per address; one host that tries many keys slips
//! through any limit per key. A population therefore says how many of each its identities share.

use std::net::Ipv4Addr;

use crate::chance::Stream;

/// The identities of a population: how many there are, and how many keys and addresses they share.
///
/// Identity `i` of N has key `i mod K` and address `i mod M`. One key across a botnet of 500 addresses is
/// `Identities::new(500, Some(1), None)`; 500 visitors without a key are `Identities::new(500, Some(0), None)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identities {
    count: u32,
    keys: u32,
    ips: u32,
}

/// One identity: its place among those of its population, and those of its key and its address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Identity {
    /// Its own number, below [`Identities::identities`].
    pub index: u32,
    /// The number of its key, below [`Identities::keys`]; [`api_key`] is what the key says. `None` where nobody has one.
    pub key: Option<u32>,
    /// The number of its address within the population, below [`Identities::ips`]. Populations do not share
    /// addresses: for [`loopback_address`], add the addresses of the populations before this one.
    pub address: u32,
}

impl Identities {
    /// `identities` clients with `keys` different keys and `ips` different addresses; by default, as many of
    /// each as there are identities. Without any `keys`, none of them has one.
    ///
    /// # Errors
    ///
    /// If there are no identities or no addresses, or if there are more keys or addresses than identities: nobody would ever
    /// send with those beyond.
    pub fn new(identities: u32, keys: Option<u32>, ips: Option<u32>) -> Result<Self, IdentitiesError> {
        if identities == 0 {
            return Err(IdentitiesError::NoIdentities);
        }
        let (keys, ips) = (keys.unwrap_or(identities), ips.unwrap_or(identities));
        if ips == 0 {
            return Err(IdentitiesError::NoIps);
        }
        if keys > identities {
            return Err(IdentitiesError::SurplusKeys { keys, identities });
        }
        if ips > identities {
            return Err(IdentitiesError::SurplusIps { ips, identities });
        }
        Ok(Self { count: identities, keys, ips })
    }

    /// How many identities there are.
    pub const fn identities(&self) -> u32 {
        self.count
    }

    /// How many different keys they have; 0 where nobody has one.
    pub const fn keys(&self) -> u32 {
        self.keys
    }

    /// How many different addresses they have.
    pub const fn ips(&self) -> u32 {
        self.ips
    }

    /// The identity of one request: any, as likely as the next, by the stream's own draw.
    #[inline]
    pub fn draw(&self, stream: Stream) -> Identity {
        // Below a u32, hence one.
        let index = stream.below(u64::from(self.count)) as u32;
        Identity { index, key: index.checked_rem(self.keys), address: index % self.ips }
    }
}

/// What the `key`-th API key of a population says, such as `partner-0`.
///
/// Simulated keys are names, readable in a report, and no secrets. No two populations with different names
/// share one, because what follows the last hyphen is the number.
pub fn api_key(population: &str, key: u32) -> String {
    format!("{population}-{key}")
}

/// How many loopback addresses there are for [`loopback_address`]: 16,711,678.
pub const LOOPBACK_ADDRESSES: u32 = LAST_ADDRESS - FIRST_ADDRESS + 1;

/// The loopback address number `index` of all populations together: 127.1.0.1, 127.1.0.2, … 127.255.255.254;
/// `None` for an `index` from [`LOOPBACK_ADDRESSES`] on.
///
/// Addresses are given out without gaps, those that end in .0 and .255 included. All of 127.0.0.0/8 is one
/// network (RFC 1122, 3.2.1.3), in which only the first and the last address are not a host's; 127.0.x.x is
/// left to the machine, its gateway and its upstreams. Linux sends from any of these addresses as it stands;
/// other systems have to be told of them first.
pub fn loopback_address(index: u32) -> Option<Ipv4Addr> {
    (index < LOOPBACK_ADDRESSES).then(|| Ipv4Addr::from_bits(FIRST_ADDRESS + index))
}

const FIRST_ADDRESS: u32 = Ipv4Addr::new(127, 1, 0, 1).to_bits();
const LAST_ADDRESS: u32 = Ipv4Addr::new(127, 255, 255, 254).to_bits();

/// Why a population cannot have these identities.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdentitiesError {
    /// Nobody is there.
    #[error("a population needs at least one identity")]
    NoIdentities,
    /// Nobody has an address.
    #[error("a population needs at least one ip")]
    NoIps,
    /// Keys that nobody would use.
    #[error("{keys} keys are more than the {identities} identities that could use them")]
    SurplusKeys {
        /// Keys asked for.
        keys: u32,
        /// Identities there are.
        identities: u32,
    },
    /// Addresses that nobody would use.
    #[error("{ips} ips are more than the {identities} identities that could use them")]
    SurplusIps {
        /// Addresses asked for.
        ips: u32,
        /// Identities there are.
        identities: u32,
    },
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::chance::Purpose;

    #[test]
    fn keys_and_addresses_default_to_the_identities() {
        let identities = Identities::new(200, None, None).unwrap();
        assert_eq!((identities.identities(), identities.keys(), identities.ips()), (200, 200, 200));
        let botnet = Identities::new(500, Some(1), None).unwrap();
        assert_eq!((botnet.identities(), botnet.keys(), botnet.ips()), (500, 1, 500));
        let visitors = Identities::new(500, Some(0), None).unwrap();
        assert_eq!((visitors.identities(), visitors.keys(), visitors.ips()), (500, 0, 500));
        assert_eq!(visitors.draw(Stream::from_bits(7)).key, None);
    }

    #[test]
    fn none_and_surplus_are_errors() {
        assert_eq!(Identities::new(0, None, None), Err(IdentitiesError::NoIdentities));
        assert_eq!(Identities::new(1, None, Some(0)), Err(IdentitiesError::NoIps));
        let surplus = IdentitiesError::SurplusKeys { keys: 6, identities: 5 };
        assert_eq!(Identities::new(5, Some(6), None), Err(surplus));
        let surplus = IdentitiesError::SurplusIps { ips: 6, identities: 5 };
        assert_eq!(Identities::new(5, None, Some(6)), Err(surplus));
        assert!(Identities::new(u32::MAX, Some(u32::MAX), Some(u32::MAX)).is_ok());
    }

    #[test]
    fn every_identity_is_drawn_equally_often() {
        const DRAWS: u64 = 1_000_000;
        let identities = Identities::new(10, Some(3), Some(4)).unwrap();
        let stream = Stream::new(902, Purpose::Identity, "partner");
        let mut drawn = [0_u64; 10];
        let mut seen = BTreeSet::new();
        for index in 0..DRAWS {
            let identity = identities.draw(stream.at(index));
            drawn[identity.index as usize] += 1;
            seen.insert((identity.index, identity.key, identity.address));
        }
        let expected: BTreeSet<_> = (0..10).map(|index| (index, Some(index % 3), index % 4)).collect();
        assert_eq!(seen, expected);
        // Binomial counts: n/10 each, with deviation √(n · 0.1 · 0.9) = 300.
        assert!(drawn.iter().all(|&n| n.abs_diff(DRAWS / 10) < 5 * 300), "{drawn:?}");
    }

    #[test]
    fn addresses_fill_the_loopback_network_without_gaps() {
        let address = |index| loopback_address(index).map(|address| address.to_string());
        assert_eq!(address(0).as_deref(), Some("127.1.0.1"));
        assert_eq!(address(254).as_deref(), Some("127.1.0.255"));
        assert_eq!(address(255).as_deref(), Some("127.1.1.0"));
        assert_eq!(LOOPBACK_ADDRESSES, 16_711_678);
        assert_eq!(address(LOOPBACK_ADDRESSES - 1).as_deref(), Some("127.255.255.254"));
        assert_eq!(address(LOOPBACK_ADDRESSES), None);
        assert_eq!(address(u32::MAX), None);
    }

    #[test]
    fn keys_are_readable() {
        assert_eq!(api_key("partner", 0), "partner-0");
        assert_ne!(api_key("a-1", 0), api_key("a", 1));
    }

    proptest! {
        #[test]
        fn draws_stay_within_the_population(bits: u64, n in 1_u32.., keys in 1_u32.., ips in 1_u32..) {
            let identities = Identities::new(n, Some(keys.min(n)), Some(ips.min(n))).unwrap();
            let Identity { index, key, address } = identities.draw(Stream::from_bits(bits));
            prop_assert!(index < n && key.unwrap() < identities.keys() && address < identities.ips());
        }

        #[test]
        fn addresses_are_loopback_and_distinct(index in 0..LOOPBACK_ADDRESSES - 1) {
            let (this, next) = (loopback_address(index).unwrap(), loopback_address(index + 1).unwrap());
            prop_assert!(this.is_loopback() && next.is_loopback() && this < next);
        }
    }
}
