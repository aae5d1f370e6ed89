//! Keys, addresses and claims of all populations, numbered through: the buckets of rate limits in the record.

use std::net::{IpAddr, Ipv4Addr};

use gateway::{
    Client, GatewayConfig, KeyPart, KeySecret, KeyedBy, LimitRule, Peer, Prefixes, RateLimits, Scope,
};
use reports::{BucketName, BucketOwner};
use simulator::{Identities, Identity, Population, api_key, loopback_address, subject};

use crate::World;

/// Who is who: keys and addresses of all populations, numbered through, so that each rate-limit bucket has a
/// number for the record.
#[derive(Debug)]
pub(super) struct Directory {
    /// By population: the numbers of its first key and of its first address.
    first: Vec<(u32, u32)>,
    /// By number of the key; of a population without keys, by number of the address.
    clients: Vec<Client>,
    /// Who counts as whom, for each claim that a limit goes by.
    claimants: Vec<Claimants>,
    addresses: u32,
    keys: u32,
    routes: u32,
}

/// What the buckets of a limit are: how a request's bucket is numbered in the record. Where several parts are combined, the
/// number is that of all parts, as the digits of one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Buckets {
    parts: [Part; KeyedBy::MOST],
    count: u8,
}

/// One thing that a limit counts by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// Addresses.
    Addresses,
    /// Networks with so many bits of an address.
    Networks(u8),
    /// Keys, and addresses where there are none.
    Keys,
    /// Whoever makes a claim, by its place among [`claims`], and keys where there is none.
    Claimants(u16),
    /// Routes.
    Routes,
    /// The one bucket of all.
    All,
}

/// The claims that limits go by, each once.
fn claims(limits: &RateLimits) -> Vec<&str> {
    let mut claims = Vec::new();
    for part in limits.iter().flat_map(|(_, rule)| rule.by.parts()) {
        if let KeyPart::Claim(claim) = part
            && !claims.contains(&claim.as_str())
        {
            claims.push(claim);
        }
    }
    claims
}

impl Buckets {
    /// Those of a limit of that scope.
    pub(super) fn of(limits: &RateLimits, scope: Scope, rule: &LimitRule) -> Self {
        let own = match scope {
            Scope::PerIp => Part::Addresses,
            Scope::PerKey => Part::Keys,
            Scope::PerRoute => Part::Routes,
            Scope::Global => Part::All,
        };
        let mut buckets = Self { parts: [own; KeyedBy::MOST], count: 1 };
        for (place, part) in rule.by.parts().iter().take(KeyedBy::MOST).enumerate() {
            buckets.count = place as u8 + 1;
            buckets.parts[place] = match part {
                KeyPart::Ip(prefixes) if prefixes.v4() == Prefixes::LONGEST_V4 => Part::Addresses,
                KeyPart::Ip(prefixes) => Part::Networks(prefixes.v4()),
                KeyPart::ApiKey => Part::Keys,
                KeyPart::Claim(claim) => {
                    let place = claims(limits).iter().position(|known| known == claim);
                    place.map_or(Part::Keys, |place| Part::Claimants(place as u16))
                }
                KeyPart::Route => Part::Routes,
            };
        }
        buckets
    }

    /// Whether few of the numbers are used: each part has its own, and most combinations are nobody's.
    pub(super) const fn are_sparse(self) -> bool {
        self.count > 1
    }

    fn parts(&self) -> &[Part] {
        &self.parts[..usize::from(self.count)]
    }
}

/// Whether the buckets of a limit can be numbered in the record, however many combinations there are.
pub(crate) fn can_be_numbered(world: &World, scope: Scope, rule: &LimitRule) -> bool {
    let buckets = Buckets::of(&world.gateway.limits, scope, rule);
    let counts = buckets.parts().iter().map(|part| u64::from(count(world, *part)));
    counts.into_iter().try_fold(1_u64, u64::checked_mul).is_some()
}

/// The buckets of a limit per client that goes by a claim of verified tokens, numbered on from those of keys.
#[derive(Debug, Default)]
struct Claimants {
    /// By population: the bucket of its first identity, and whether each has one of its own; `None` where its tokens do not
    /// make that claim.
    first: Vec<Option<(u32, bool)>>,
    /// From the last key on: by number, who has the bucket.
    names: Vec<String>,
}

/// A caller as the gateway sees it, with its numbers.
#[derive(Clone, Copy, Debug)]
pub(super) struct NumberedClient {
    pub(super) client: Client,
    pub(super) peer: Peer,
    key: u32,
    address: u32,
    population: u32,
    identity: u32,
}

/// Simulated keys are no secrets, and a run is the same wherever it is run.
const SECRET: KeySecret = KeySecret([0; 16]);

impl Directory {
    pub(super) fn new(populations: &[Population], gateway: &GatewayConfig) -> Self {
        let (mut keys, mut addresses) = (0, 0);
        let claims = claims(&gateway.limits);
        let claimants = claims.iter().map(|claim| Claimants::new(populations, claim)).collect();
        let routes = gateway.routes.iter().count() as u32;
        let (first, clients) = (Vec::new(), Vec::new());
        let mut directory = Self { first, clients, claimants, addresses, keys, routes };
        for population in populations {
            directory.first.push((keys, addresses));
            let client = |number| {
                if is_keyless(&population.identities) {
                    Client::anonymous(SECRET, peer(addresses + number))
                } else {
                    Client::from_key(SECRET, api_key(&population.name, number).as_bytes())
                }
            };
            directory.clients.extend((0..callers(&population.identities)).map(client));
            keys += callers(&population.identities);
            addresses += population.identities.ips();
        }
        Self { addresses, keys, ..directory }
    }

    /// The address that an identity of a population sends from.
    pub(super) fn address(&self, population: usize, identity: Identity) -> Ipv4Addr {
        address(self.first[population].1 + identity.address)
    }

    /// The caller behind an identity of a population.
    pub(super) fn caller(&self, population: usize, identity: Identity) -> NumberedClient {
        let (first_key, first_address) = self.first[population];
        // Who has no key is whoever sends from that address.
        let key = first_key + identity.key.unwrap_or(identity.address);
        let address = first_address + identity.address;
        let (population, identity) = (population as u32, identity.index);
        let (client, peer) = (self.clients[key as usize], peer(address));
        NumberedClient { client, peer, key, address, population, identity }
    }

    /// The number of the bucket in which a limit counts a request of this caller on that route, whose tokens are verified or not.
    #[inline]
    pub(super) fn bucket(
        &self,
        caller: &NumberedClient,
        buckets: Buckets,
        route: u32,
        verified: bool,
    ) -> u64 {
        match buckets.parts() {
            [one] => self.number(caller, *one, route, verified).into(),
            all => all.iter().fold(0, |number, part| {
                let digit = self.number(caller, *part, route, verified);
                number * u64::from(self.count(*part)) + u64::from(digit)
            }),
        }
    }

    #[inline]
    fn number(&self, caller: &NumberedClient, part: Part, route: u32, verified: bool) -> u32 {
        match part {
            Part::Addresses => caller.address,
            Part::Networks(bits) => network_number(caller.address, bits),
            Part::Keys => caller.key,
            Part::Claimants(claim) => {
                let claimants = self.claimants.get(usize::from(claim)).filter(|_| verified);
                claimants
                    .and_then(|claimants| claimants.bucket(caller.population as usize, caller.identity))
                    .unwrap_or(caller.key)
            }
            Part::Routes => route,
            Part::All => 0,
        }
    }

    /// How many numbers a part has. As [`count`].
    fn count(&self, part: Part) -> u32 {
        match part {
            Part::Addresses => self.addresses,
            Part::Networks(bits) => networks(self.addresses, bits),
            Part::Keys => self.keys,
            Part::Claimants(claim) => {
                let names =
                    self.claimants.get(usize::from(claim)).map_or(0, |claimants| claimants.names.len());
                self.keys.saturating_add(names as u32)
            }
            Part::Routes => self.routes,
            Part::All => 1,
        }
    }
}

/// How many numbers a part has in a world.
fn count(world: &World, part: Part) -> u32 {
    let all = |of: fn(&Identities) -> u32| {
        let each = world.populations.iter().map(|population| of(&population.identities));
        each.fold(0, u32::saturating_add)
    };
    match part {
        Part::Addresses => all(Identities::ips),
        Part::Networks(bits) => networks(all(Identities::ips), bits),
        Part::Keys => all(callers),
        Part::Claimants(claim) => {
            let names = claims(&world.gateway.limits)
                .get(usize::from(claim))
                .map_or(0, |claim| Claimants::new(&world.populations, claim).names.len());
            all(callers).saturating_add(names as u32)
        }
        Part::Routes => world.gateway.routes.iter().count() as u32,
        Part::All => 1,
    }
}

/// The number of the network that an address is in, that of the first address being 0.
fn network_number(address: u32, bits: u8) -> u32 {
    let network = |number| self::address(number).to_bits() >> (Prefixes::LONGEST_V4 - bits);
    network(address) - network(0)
}

/// How many networks so many addresses lie in.
fn networks(addresses: u32, bits: u8) -> u32 {
    addresses.checked_sub(1).map_or(0, |last| network_number(last, bits) + 1)
}

impl NumberedClient {
    /// The address it sends from.
    pub(super) fn ip(&self) -> Ipv4Addr {
        address(self.address)
    }
}

impl Claimants {
    fn new(populations: &[Population], claim: &str) -> Self {
        let mut claimants = Self::default();
        let keys: u32 = populations.iter().map(|population| callers(&population.identities)).sum();
        for population in populations {
            let next = keys + claimants.names.len() as u32;
            let bucket = population.token.as_ref().and_then(|token| {
                if claim == "sub" {
                    let subjects = (0..population.identities.identities())
                        .map(|identity| subject(&population.name, identity));
                    claimants.names.extend(subjects);
                    return Some((next, true));
                }
                let text = |text: &Option<String>| text.clone().map(serde_json::Value::from);
                let value = match claim {
                    "iss" => text(&token.issuer),
                    "aud" => text(&token.audience),
                    claim => token.claims.get(claim).cloned(),
                };
                let name = match value? {
                    serde_json::Value::Array(_) => return None,
                    serde_json::Value::String(text) => text,
                    other => other.to_string(),
                };
                // Populations that claim the same share a bucket.
                let known = claimants.names.iter().position(|known| *known == name);
                let place = known.unwrap_or_else(|| {
                    claimants.names.push(name);
                    claimants.names.len() - 1
                });
                Some((keys + place as u32, false))
            });
            claimants.first.push(bucket);
        }
        claimants
    }

    /// The only population that makes the claim of a bucket. The name of a subject begins with its population, so that none is
    /// told of it.
    fn owner(&self, populations: &[Population], bucket: u32) -> Option<BucketOwner> {
        let claimed =
            populations.iter().zip(&self.first).filter(|(_, first)| **first == Some((bucket, false)));
        let mut names = claimed.map(|(population, _)| population.name.clone());
        let population = names.next()?;
        names.next().is_none().then_some(BucketOwner { population, address: None })
    }

    fn bucket(&self, population: usize, identity: u32) -> Option<u32> {
        let (first, own) = (*self.first.get(population)?)?;
        Some(first + if own { identity } else { 0 })
    }
}

/// How many addresses the clients of all populations send from.
pub(super) fn addresses(populations: &[Population]) -> u32 {
    populations.iter().map(|population| population.identities.ips()).sum()
}

/// Whether nobody in a population has a key.
const fn is_keyless(identities: &Identities) -> bool {
    identities.keys() == 0
}

/// Whom a limit for each client tells apart in a population: its keys, or without any its addresses.
const fn callers(identities: &Identities) -> u32 {
    if is_keyless(identities) { identities.ips() } else { identities.keys() }
}

/// A file may name sixteen million clients, of whom a thousand send: no more is set aside than for so many.
const MOST_BUCKETS: u32 = 1 << 20;

/// For how many buckets of a limit room is to be set aside: as many as there can be, within reason; 0 where that depends on the
/// claims of tokens.
pub(super) fn room(world: &World, buckets: Buckets) -> u32 {
    match buckets.parts() {
        [Part::Claimants(_)] => 0,
        [one] => count(world, *one).min(MOST_BUCKETS),
        _ => 0,
    }
}

/// The name of a bucket, and whose it is, from its number.
pub(crate) fn bucket_name(world: &World, buckets: Buckets, bucket: u64) -> BucketName {
    if let [one] = buckets.parts() {
        return part_name(world, *one, bucket as u32);
    }
    let (mut left, mut names) = (bucket, Vec::new());
    for part in buckets.parts().iter().rev() {
        let count = u64::from(count(world, *part).max(1));
        names.push(told(part_name(world, *part, (left % count) as u32)));
        left /= count;
    }
    names.reverse();
    names.join(" + ").into()
}

/// Whose a part of a bucket is, and else what it is called: an address says nothing to a reader.
fn told(BucketName { name, owner }: BucketName) -> String {
    match owner {
        Some(BucketOwner { population, address: Some(address) }) => {
            format!("{population}, address {address}")
        }
        Some(BucketOwner { population, address: None }) => population,
        None => name,
    }
}

fn part_name(world: &World, part: Part, bucket: u32) -> BucketName {
    match part {
        Part::Addresses => BucketName {
            name: loopback_address(bucket).map(|address| address.to_string()).unwrap_or_default(),
            owner: owner_of_address(&world.populations, bucket),
        },
        Part::Networks(bits) => network_name(world, bucket, bits),
        Part::Keys => per_key_bucket(world, None, bucket),
        Part::Claimants(claim) => per_key_bucket(world, Some(usize::from(claim)), bucket),
        Part::Routes => {
            let route = world.gateway.routes.iter().nth(bucket as usize);
            route.map(|route| route.path.clone()).unwrap_or_default().into()
        }
        Part::All => "all".to_owned().into(),
    }
}

/// A network, which is a population's if all of its addresses that anybody has are.
fn network_name(world: &World, number: u32, bits: u8) -> BucketName {
    let beyond = Prefixes::LONGEST_V4 - bits;
    let (first, size) = (address(0).to_bits(), 1_u64 << beyond);
    let network = ((first >> beyond) + number) << beyond;
    let last = count(world, Part::Addresses).saturating_sub(1);
    // By the numbers of its addresses.
    let from = network.saturating_sub(first);
    let to = (u64::from(network) + size - 1).saturating_sub(first.into()).min(last.into()) as u32;
    let owner = |number| owner_of_address(&world.populations, number).map(|owner| owner.population);
    let population = owner(from).filter(|population| owner(to).as_ref() == Some(population));
    BucketName {
        name: format!("{}/{bits}", Ipv4Addr::from_bits(network)),
        owner: population.map(|population| BucketOwner { population, address: None }),
    }
}

/// A key, which begins with the name of its population; the address of a client without a key; or whoever makes a claim, the one at
/// that place among [`claims`].
fn per_key_bucket(world: &World, claim: Option<usize>, bucket: u32) -> BucketName {
    let (mut key, mut addresses) = (bucket, 0);
    for population in &world.populations {
        let identities = &population.identities;
        if key < callers(identities) && is_keyless(identities) {
            return BucketName {
                name: format!("anonymous at {}", address(addresses + key)),
                owner: owner_of_address(&world.populations, addresses + key),
            };
        }
        if key < callers(identities) {
            return api_key(&population.name, key).into();
        }
        key -= callers(identities);
        addresses += identities.ips();
    }
    let claims = claims(&world.gateway.limits);
    let Some(claim) = claim.and_then(|claim| claims.get(claim)) else { return String::new().into() };
    let claimants = Claimants::new(&world.populations, claim);
    let name = claimants.names.get(key as usize).cloned().unwrap_or_default();
    BucketName { name, owner: claimants.owner(&world.populations, bucket) }
}

/// The population that sends from an address.
fn owner_of_address(populations: &[Population], address: u32) -> Option<BucketOwner> {
    let mut number = address;
    for population in populations {
        let ips = population.identities.ips();
        if number < ips {
            let address = (ips > 1).then_some(number);
            return Some(BucketOwner { population: population.name.clone(), address });
        }
        number -= ips;
    }
    None
}

fn peer(number: u32) -> Peer {
    Peer::from(IpAddr::from(address(number)))
}

/// A scenario has no more addresses than there are loopback addresses; it is refused when it is read.
fn address(number: u32) -> Ipv4Addr {
    loopback_address(number).expect("a checked scenario has an address for everybody")
}
