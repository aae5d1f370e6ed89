//! Who a request comes from behind proxies that are trusted.
//!
//! Behind a load balancer every request has the balancer's address, and a limit for each address is one for everybody. The
//! balancer says whom it speaks for in `X-Forwarded-For`, which anybody can write: so only what a trusted proxy added counts. That
//! is the end of the list, and from there on the first address that is no trusted proxy's is the client's. Whoever trusts the first
//! address of the list instead lets each client choose its own bucket.
//!
//! It is what nginx calls `set_real_ip_from` with `real_ip_recursive`, Kong `trusted_ips` and Envoy `xff_num_trusted_hops` (which
//! counts proxies instead of naming them).

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;

use thiserror::Error;

/// The proxies whose word counts.
///
/// The default is nobody: then a client's address is that of its connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustedProxies(Vec<Network>);

/// Some addresses in a row: `10.0.0.0/8`, or one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

/// A text is no [`Network`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum NetworkError {
    /// It has no address.
    #[error("expected an address or a network, such as 10.0.0.0/8")]
    Address,
    /// It has more bits than the address, or none that are a number.
    #[error("a network has at most {most} bits of its address")]
    Bits {
        /// Bits of the address.
        most: u8,
    },
    /// It has bits of its address beyond those of the network, which somebody mistook for the network.
    #[error("this network is written {network}")]
    HostBits {
        /// What is meant, if it is the network.
        network: Network,
    },
}

impl TrustedProxies {
    /// These.
    pub const fn new(networks: Vec<Network>) -> Self {
        Self(networks)
    }

    /// Whether nobody is trusted.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The networks.
    pub fn networks(&self) -> &[Network] {
        &self.0
    }

    /// Whether that address is a trusted proxy's.
    pub fn trusts(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(address))
    }

    /// The way of a request that came on a connection from `peer`, from the client on: the client's address first, then those of
    /// the trusted proxies in the order in which the request met them, the peer's last. `forwarded` are the members of
    /// `X-Forwarded-For`, last first. What is no address ends the list; where only trusted proxies are named, the first of them is
    /// taken for the client.
    pub fn way<'f>(&self, peer: IpAddr, forwarded: impl IntoIterator<Item = &'f str>) -> Vec<IpAddr> {
        let mut way = vec![peer.to_canonical()];
        for member in forwarded {
            let trusts_last = way.last().is_some_and(|last| self.trusts(*last));
            let Some(address) = address(member).filter(|_| trusts_last) else { break };
            way.push(address.to_canonical());
        }
        way.reverse();
        way
    }
}

/// An address as proxies write it: some add the port.
fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let bracketed = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    let with_port = || text.parse::<SocketAddr>().ok().map(|address| address.ip());
    text.parse().ok().or_else(bracketed).or_else(with_port)
}

impl Network {
    /// Whether an address is in it. An IPv4 address in the form of IPv6 is an IPv4 address.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                leading(u128::from(network.to_bits() ^ address.to_bits()) << 96, self.bits)
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                leading(network.to_bits() ^ address.to_bits(), self.bits)
            }
            _ => false,
        }
    }
}

/// Whether so many leading bits are zero.
const fn leading(difference: u128, bits: u8) -> bool {
    difference.leading_zeros() >= bits as u32
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| NetworkError::Address)?;
        let most = if address.is_ipv4() { Ipv4Addr::BITS } else { std::net::Ipv6Addr::BITS } as u8;
        let bits = match bits {
            None => most,
            Some(bits) => {
                bits.parse().ok().filter(|bits| *bits <= most).ok_or(NetworkError::Bits { most })?
            }
        };
        let masked = match address {
            IpAddr::V4(address) => IpAddr::V4(Ipv4Addr::from_bits(
                address.to_bits() & u32::MAX.checked_shl(u32::from(most - bits)).unwrap_or(0),
            )),
            IpAddr::V6(address) => IpAddr::V6(std::net::Ipv6Addr::from_bits(
                address.to_bits() & u128::MAX.checked_shl(u32::from(most - bits)).unwrap_or(0),
            )),
        };
        let network = Self { address: masked, bits };
        if masked == address { Ok(network) } else { Err(NetworkError::HostBits { network }) }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let most = if self.address.is_ipv4() { 32 } else { 128 };
        if self.bits == most { self.address.fmt(f) } else { write!(f, "{}/{}", self.address, self.bits) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trusted(networks: &[&str]) -> TrustedProxies {
        TrustedProxies::new(networks.iter().map(|network| network.parse().unwrap()).collect())
    }

    #[test]
    fn the_client_is_the_last_address_that_no_trusted_proxy_has() {
        let proxies = trusted(&["10.0.0.0/8", "192.168.1.1", "fd00::/8"]);
        let way = |peer: &str, forwarded: &str| {
            let way = proxies.way(peer.parse().unwrap(), forwarded.rsplit(','));
            way.iter().map(IpAddr::to_string).collect::<Vec<_>>().join(" ")
        };
        for (peer, forwarded, expected) in [
            // Whoever is not trusted is the client, whatever is said.
            ("203.0.113.9", "198.51.100.7", "203.0.113.9"),
            ("10.0.0.1", "198.51.100.7", "198.51.100.7 10.0.0.1"),
            // What the client wrote itself counts for nothing.
            ("10.0.0.1", "1.2.3.4, 198.51.100.7", "198.51.100.7 10.0.0.1"),
            (
                "10.0.0.1",
                "1.2.3.4, 198.51.100.7, 10.2.3.4, 192.168.1.1",
                "198.51.100.7 10.2.3.4 192.168.1.1 10.0.0.1",
            ),
            // Only proxies: the first of them.
            ("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3 10.0.0.2 10.0.0.1"),
            ("10.0.0.1", "", "10.0.0.1"),
            ("10.0.0.1", "198.51.100.7, unknown, 10.0.0.2", "10.0.0.2 10.0.0.1"),
            ("10.0.0.1", "198.51.100.7:4711", "198.51.100.7 10.0.0.1"),
            ("fd00::1", "[2001:db8::1]:80", "2001:db8::1 fd00::1"),
            ("fd00::1", "[2001:db8::1]", "2001:db8::1 fd00::1"),
            ("::ffff:10.0.0.1", "::ffff:198.51.100.7", "198.51.100.7 10.0.0.1"),
            ("10.0.0.1", "198.51.100.7 ,10.0.0.2", "198.51.100.7 10.0.0.2 10.0.0.1"),
        ] {
            assert_eq!(way(peer, forwarded), expected, "{peer} says {forwarded}");
        }
        let nobody = TrustedProxies::default();
        assert!(nobody.is_empty() && nobody.way([10, 0, 0, 1].into(), ["1.2.3.4"]).len() == 1);
    }

    #[test]
    fn a_network_has_its_addresses_and_is_written_by_its_first() {
        let parsed = |text: &str| text.parse::<Network>();
        for (text, inside, outside) in [
            ("10.0.0.0/8", "10.255.0.1", "11.0.0.0"),
            ("0.0.0.0/0", "255.255.255.255", "::1"),
            ("192.168.1.1", "192.168.1.1", "192.168.1.2"),
            ("fd00::/8", "fdff::1", "fe00::"),
            ("::/0", "2001:db8::1", "10.0.0.1"),
            ("::1", "::1", "::2"),
        ] {
            let network = parsed(text).unwrap();
            assert_eq!(network.to_string(), text);
            let has = |address: &str| network.contains(address.parse().unwrap());
            assert!(has(inside) && !has(outside), "{text}");
        }
        assert_eq!(parsed("localhost"), Err(NetworkError::Address));
        assert_eq!(parsed("10.0.0.0/33"), Err(NetworkError::Bits { most: 32 }));
        assert_eq!(parsed("::/-1"), Err(NetworkError::Bits { most: 128 }));
        assert_eq!(parsed("10.1.2.3/8").unwrap_err().to_string(), "this network is written 10.0.0.0/8");
    }
}
