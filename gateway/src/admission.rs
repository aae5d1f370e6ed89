//! The rate limits in front of a gateway, and what they said of a request.

use std::sync::{Arc, Mutex, PoisonError};

use crate::identity::{Client, KeyedBy, Peer};
use crate::rate_limit::{KeyedLimiter, RateLimit, Verdict};
use crate::route::RouteId;
use crate::scope::Scope;
use crate::timestamp::Timestamp;

/// The rate limits of a gateway; `None` where a scope is not limited.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RateLimits {
    /// For each source address.
    pub per_ip: Option<RateLimit>,
    /// For each client.
    pub per_key: Option<RateLimit>,
    /// What that limit tells clients apart by.
    pub per_key_by: KeyedBy,
    /// For each route.
    pub per_route: Option<RateLimit>,
    /// For all requests together.
    pub global: Option<RateLimit>,
}

impl RateLimits {
    /// The limit of a scope.
    pub const fn get(&self, scope: Scope) -> Option<&RateLimit> {
        match scope {
            Scope::PerIp => self.per_ip.as_ref(),
            Scope::PerKey => self.per_key.as_ref(),
            Scope::PerRoute => self.per_route.as_ref(),
            Scope::Global => self.global.as_ref(),
        }
    }

    /// The sizes of the buckets.
    pub fn allowances(&self) -> Allowances {
        Allowances(Scope::ALL.map(|scope| self.get(scope).map(RateLimit::allowance)))
    }
}

/// How many requests a bucket of each scope has room for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Allowances([Option<u32>; 4]);

impl Allowances {
    /// That of a scope; `None` where it is not limited.
    pub const fn get(&self, scope: Scope) -> Option<u32> {
        self.0[scope as usize]
    }
}

/// What each rate limit said of one request; nothing for a limit that is off or that was not reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Checks([Option<Verdict>; 4]);

impl Checks {
    /// The verdict of a scope.
    pub const fn get(&self, scope: Scope) -> Option<Verdict> {
        self.0[scope as usize]
    }

    /// The verdicts in the order in which they were given.
    pub fn iter(&self) -> impl Iterator<Item = (Scope, Verdict)> {
        Scope::ALL.into_iter().filter_map(|scope| Some((scope, self.get(scope)?)))
    }

    pub(crate) fn note(&mut self, scope: Scope, verdict: Verdict) {
        self.0[scope as usize] = Some(verdict);
    }
}

/// Who sends what where, as far as admission depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// The source address.
    pub peer: Peer,
    /// The client.
    pub client: Client,
    /// The route that serves its path, by [`Routes::judge`](crate::Routes::judge).
    pub route: Option<RouteId>,
    /// Whether it may be sent twice without harm (RFC 9110, 9.2.2).
    pub idempotent: bool,
    /// 64 random bits for this request alone, by which its host is chosen; any number where no choice is drawn
    /// ([`HostsConfig::draws`](crate::HostsConfig::draws)).
    pub draw: u64,
}

/// The state of the rate limits of a gateway.
pub trait Limits {
    /// Asks the limit of a scope about one request for a bucket; `None` where the scope is not limited.
    fn check(&mut self, now: Timestamp, scope: Scope, bucket: u64) -> Option<Verdict>;
}

/// The limits in front of a gateway and their state, for one caller at a time.
#[derive(Debug)]
pub struct Admission {
    limiters: [Option<KeyedLimiter>; 4],
}

impl Admission {
    /// Limits under which nobody has sent anything yet.
    pub fn new(limits: &RateLimits) -> Self {
        Self { limiters: Scope::ALL.map(|scope| limits.get(scope).copied().map(KeyedLimiter::new)) }
    }
}

impl Limits for Admission {
    #[inline]
    fn check(&mut self, now: Timestamp, scope: Scope, bucket: u64) -> Option<Verdict> {
        Some(self.limiters[scope as usize].as_mut()?.check(now, bucket))
    }
}

/// The same for any number of threads: each limit's buckets are spread over 64 limiters with a lock each.
///
/// Two threads that meet in a shard may have read the clock in the other order; the limiter takes the later time for
/// both.
#[derive(Debug)]
pub struct SharedAdmission {
    limiters: [Option<SharedLimiter>; 4],
    per_key_by: KeyedBy,
}

/// One limit and its buckets.
#[derive(Clone, Debug)]
struct SharedLimiter {
    limit: RateLimit,
    shards: Arc<[Mutex<KeyedLimiter>]>,
}

impl SharedLimiter {
    fn new(limit: RateLimit) -> Self {
        Self { limit, shards: (0..SHARDS).map(|_| Mutex::new(KeyedLimiter::new(limit))).collect() }
    }
}

/// Enough that a few dozen threads seldom meet.
const SHARDS: usize = 64;

impl SharedAdmission {
    /// Limits under which nobody has sent anything yet.
    pub fn new(limits: &RateLimits) -> Self {
        let limiters = Scope::ALL.map(|scope| limits.get(scope).copied().map(SharedLimiter::new));
        Self { limiters, per_key_by: limits.per_key_by.clone() }
    }

    /// The same gateway under other limits. One that is equal, and counts by the same, keeps its buckets and shares them with
    /// what was before.
    #[must_use]
    pub fn reconfigured(&self, limits: &RateLimits) -> Self {
        let keeps_keys = self.per_key_by == limits.per_key_by;
        let limiters = Scope::ALL.map(|scope| {
            let limit = limits.get(scope)?;
            let kept = self.limiters[scope as usize].as_ref().filter(|kept| kept.limit == *limit);
            let kept = kept.filter(|_| keeps_keys || scope != Scope::PerKey);
            Some(kept.cloned().unwrap_or_else(|| SharedLimiter::new(*limit)))
        });
        Self { limiters, per_key_by: limits.per_key_by.clone() }
    }

    /// Buckets that are not fresh at `now`, by scope; `None` where it is not limited. Takes lock after lock, so that they are
    /// of about the same moment.
    pub fn buckets(&self, now: Timestamp) -> [Option<usize>; Scope::ALL.len()] {
        let in_use =
            |shard: &Mutex<KeyedLimiter>| shard.lock().unwrap_or_else(PoisonError::into_inner).in_use(now);
        Scope::ALL.map(|scope| Some(self.limiters[scope as usize].as_ref()?.shards.iter().map(in_use).sum()))
    }
}

impl Limits for &SharedAdmission {
    fn check(&mut self, now: Timestamp, scope: Scope, bucket: u64) -> Option<Verdict> {
        let SharedLimiter { shards, .. } = self.limiters[scope as usize].as_ref()?;
        // Addresses and routes are numbers in a row, keys are digests: a multiplication spreads them all (Knuth's
        // multiplicative hashing; the highest bits are the mixed ones).
        let shard = bucket.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (u64::BITS - SHARDS.ilog2());
        let mut limiter = shards[shard as usize].lock().unwrap_or_else(PoisonError::into_inner);
        Some(limiter.check(now, bucket))
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;
    use std::time::Duration;

    use super::*;
    use crate::config::GatewayConfig;
    use crate::entrance::{Entrance, NO_KEYS};
    use crate::identity::KeySecret;
    use crate::rate_limit::Algorithm;
    use crate::route::{Route, Routes, UpstreamId};

    #[test]
    fn shards_and_threads_change_no_verdict() {
        let limit = |limit| RateLimit::new(Algorithm::FixedWindow, limit, Duration::from_secs(60)).ok();
        let limits = RateLimits {
            per_ip: limit(50),
            per_key: limit(40),
            per_key_by: KeyedBy::ApiKey,
            per_route: limit(3_000),
            global: limit(2_500),
        };
        let now = Timestamp::from_nanos(1_780_390_800_000_000_000);
        let request = |number: u32| Request {
            peer: Peer::from(IpAddr::from([127, 0, 0, (number % 100) as u8])),
            client: Client::from_key(KeySecret([3; 16]), &(number % 70).to_le_bytes()),
            route: (!number.is_multiple_of(11)).then_some(RouteId(number % 3)),
            idempotent: true,
            draw: 0,
        };

        let route = |path: &str| Route {
            path: path.to_owned(),
            upstream: UpstreamId(0),
            timeout: None,
            try_timeout: None,
            retry: None,
            auth: true,
        };
        let routes = Routes::new(["/0", "/1", "/2"].map(route).into()).unwrap();
        let config = GatewayConfig { routes, ..GatewayConfig::default() };
        let entrance = Entrance::new(&config, KeySecret([3; 16]));
        let (mut alone, shared) = (Admission::new(&limits), SharedAdmission::new(&limits));
        for number in 0..8_000 {
            let request = request(number);
            let (mut one, mut other) = (Checks::default(), Checks::default());
            let alone = entrance.on_request(now, &request, &mut alone, NO_KEYS, &mut one);
            let shared = entrance.on_request(now, &request, &mut &shared, NO_KEYS, &mut other);
            assert_eq!((one, alone), (other, shared), "request {number}");
        }

        let shared = SharedAdmission::new(&RateLimits { global: limit(2_500), ..RateLimits::default() });
        let admitted = |from: u32| {
            (from..from + 2_000).filter(|n| {
                let request = Request { route: Some(RouteId(0)), ..request(*n) };
                let checks = &mut Checks::default();
                entrance.on_request(now, &request, &mut &shared, NO_KEYS, checks).is_ok()
            })
        };
        let admitted: usize = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|n| scope.spawn(move || admitted(n * 2_000).count())).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(admitted, 2_500);
    }
}
