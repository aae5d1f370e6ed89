use std::net::{IpAddr, Ipv4Addr};

use gateway::{Client, KeySecret, Peer, Scope};
use simulator::{Identity, Population, api_key, loopback_address};

use crate::World;

/// Who is who: keys and addresses of all populations, numbered through, so that each rate-limit bucket has a
/// number for the record.
#[derive(Debug)]
pub(super) struct Directory {
    /// By population: the numbers of its first key and of its first address.
    first: Vec<(u32, u32)>,
    /// By number of the key.
    clients: Vec<Client>,
}

/// A caller as the gateway sees it, with its numbers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Caller {
    pub(super) client: Client,
    pub(super) peer: Peer,
    key: u32,
    address: u32,
}

/// Simulated keys are no secrets, and a run is the same wherever it is run.
const SECRET: KeySecret = KeySecret([0; 16]);

impl Directory {
    pub(super) fn new(populations: &[Population]) -> Self {
        let (mut keys, mut addresses) = (0, 0);
        let mut directory = Self { first: Vec::new(), clients: Vec::new() };
        for population in populations {
            directory.first.push((keys, addresses));
            keys += population.identities.keys();
            addresses += population.identities.ips();
            let client = |key| Client::from_key(SECRET, api_key(&population.name, key).as_bytes());
            directory.clients.extend((0..population.identities.keys()).map(client));
        }
        directory
    }

    /// The address that an identity of a population sends from.
    pub(super) fn address(&self, population: usize, identity: Identity) -> Ipv4Addr {
        address(self.first[population].1 + identity.address)
    }

    /// The caller behind an identity of a population.
    pub(super) fn caller(&self, population: usize, identity: Identity) -> Caller {
        let (first_key, first_address) = self.first[population];
        let (key, address) = (first_key + identity.key, first_address + identity.address);
        Caller { client: self.clients[key as usize], peer: peer(address), key, address }
    }
}

impl Caller {
    /// The address it sends from.
    pub(super) fn ip(&self) -> Ipv4Addr {
        address(self.address)
    }

    /// The number of the bucket in which a limit of that scope counts a request of this caller on that route.
    pub(super) const fn bucket(&self, scope: Scope, route: u32) -> u32 {
        match scope {
            Scope::PerIp => self.address,
            Scope::PerKey => self.key,
            Scope::PerRoute => route,
            Scope::Global => 0,
        }
    }
}

/// The name of a bucket, from its number.
pub(crate) fn bucket_name(world: &World, scope: Scope, bucket: u32) -> String {
    match scope {
        Scope::PerIp => loopback_address(bucket).map(|address| address.to_string()).unwrap_or_default(),
        Scope::PerKey => {
            let mut key = bucket;
            for population in &world.populations {
                if key < population.identities.keys() {
                    return api_key(&population.name, key);
                }
                key -= population.identities.keys();
            }
            String::new()
        }
        Scope::PerRoute => world
            .gateway
            .routes
            .iter()
            .nth(bucket as usize)
            .map(|route| route.path.clone())
            .unwrap_or_default(),
        Scope::Global => "all".to_owned(),
    }
}

fn peer(number: u32) -> Peer {
    Peer::from(IpAddr::from(address(number)))
}

/// A scenario has no more addresses than there are loopback addresses; it is refused when it is read.
fn address(number: u32) -> Ipv4Addr {
    loopback_address(number).expect("a checked scenario has an address for everybody")
}
