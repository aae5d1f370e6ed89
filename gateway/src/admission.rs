//! The state of the rate limits in front of a gateway, and what they said of a request.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arrayvec::ArrayVec;

use crate::attempt::RequestEnd;
use crate::failure_set::FailureSet;
use crate::identity::{Client, Peer};
use crate::limits::{LimitId, LimitRule, RateLimits};
use crate::method::Method;
use crate::rate_limit::{KeyedLimiter, Verdict};
use crate::route::RouteId;
use crate::scope::Scope;
use crate::timestamp::Timestamp;

/// What each rate limit said of one request; nothing of a limit that is off or that was not reached, and with
/// [`Charge::Admitted`](crate::Charge::Admitted) nothing of those that another one of their scope kept from counting the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checks {
    /// A bit for each limit that said something, by slot.
    asked: u32,
    /// By slot: how many more would have been let through.
    remaining: [u32; LimitId::MOST],
    /// By slot, four bits each: the tier by whose numbers the limit judged, from 1; 0 for the limit's own.
    tiers: u128,
    /// The limit that rejected, which is the last that was asked.
    rejected: Option<(LimitId, Duration)>,
    /// Where limits let it wait: the one with the latest turn, the first of equals, how long it waits there, and that turn.
    delayed: Option<(LimitId, Duration, Timestamp)>,
}

// A bit for each.
const _: () = assert!(LimitId::MOST <= u32::BITS as usize);

/// Bits of a tier.
const TIER: usize = 4;

const _: () = assert!(LimitId::MOST * TIER <= u128::BITS as usize && LimitRule::MOST_TIERS < 1 << TIER);

impl Default for Checks {
    fn default() -> Self {
        Self { asked: 0, remaining: [0; LimitId::MOST], tiers: 0, rejected: None, delayed: None }
    }
}

impl Checks {
    /// The verdict of a limit. Of several that let the request wait, the one with the latest turn says so.
    pub fn get(&self, limit: LimitId) -> Option<Verdict> {
        if self.asked & (1 << limit.slot()) == 0 {
            return None;
        }
        let remaining = self.remaining[limit.slot()];
        Some(match (self.rejected, self.delayed) {
            (Some((rejected, retry_after)), _) if rejected == limit => Verdict::Rejected { retry_after },
            (_, Some((delayed, wait, _))) if delayed == limit => Verdict::Delayed { remaining, wait },
            _ => Verdict::Admitted { remaining },
        })
    }

    /// The tier by whose numbers a limit judged, from 1; 0 where it judged by its own, or said nothing.
    pub const fn tier(&self, limit: LimitId) -> usize {
        (self.tiers >> (limit.slot() * TIER)) as usize & ((1 << TIER) - 1)
    }

    /// Whether any limit judged by the numbers of a tier.
    pub const fn has_tiers(&self) -> bool {
        self.tiers != 0
    }

    /// The verdicts in the order in which they were given.
    pub fn iter(&self) -> impl Iterator<Item = (LimitId, Verdict)> {
        let mut left = self.asked;
        std::iter::from_fn(move || {
            let slot = (left != 0).then(|| left.trailing_zeros() as usize)?;
            left &= left - 1;
            let limit = LimitId::of_slot(slot);
            Some((limit, self.get(limit)?))
        })
    }

    /// The turn that the request has to wait for: the latest that any limit gave it, and which limit that was. `None` where none
    /// lets it wait.
    pub fn turn(&self) -> Option<(LimitId, Timestamp)> {
        self.delayed.map(|(limit, _, turn)| (limit, turn))
    }

    /// What the limits of a scope said together: rejected if one of them rejected, and else admitted, with as much left as has
    /// that one of which least is left. `None` where none of them said anything.
    pub fn of_scope(&self, scope: Scope) -> Option<Verdict> {
        let verdicts = self.iter().filter(|(limit, _)| limit.scope() == scope).map(|(_, verdict)| verdict);
        verdicts.min_by_key(|verdict| verdict.is_admitted().then(|| verdict.remaining()))
    }

    /// As [`Checks::note`], of a limit that judged by the numbers of a tier.
    #[inline]
    pub(crate) fn note_of(&mut self, now: Timestamp, limit: LimitId, tier: u8, verdict: Verdict) {
        if tier != 0 {
            self.tiers |= u128::from(tier) << (limit.slot() * TIER);
        }
        self.note(now, limit, verdict);
    }

    #[inline]
    pub(crate) fn note(&mut self, now: Timestamp, limit: LimitId, verdict: Verdict) {
        self.asked |= 1 << limit.slot();
        self.remaining[limit.slot()] = verdict.remaining();
        match verdict {
            Verdict::Admitted { .. } => {}
            Verdict::Delayed { wait, .. } => {
                let turn = now + wait;
                if self.delayed.is_none_or(|(_, _, latest)| turn > latest) {
                    self.delayed = Some((limit, wait, turn));
                }
            }
            Verdict::Rejected { retry_after } => self.rejected = Some((limit, retry_after)),
        }
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
    /// Its method, as far as limits tell methods apart.
    pub method: Method,
    /// Whether it may be sent twice without harm (RFC 9110, 9.2.2).
    pub idempotent: bool,
    /// 64 random bits for this request alone, by which its host is chosen; any number where no choice is drawn
    /// ([`HostsConfig::draws`](crate::HostsConfig::draws)).
    pub draw: u64,
}

/// What a limit is asked about a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ask {
    /// The bucket that counts the request.
    pub bucket: u64,
    /// As how many requests it counts, at least 1.
    pub cost: u32,
    /// The tier by whose numbers the limit judges, from 1; 0 for the limit's own.
    pub tier: u8,
    /// Whether a request that is let through counts now. One that may count when it has ended does not.
    pub counts: bool,
}

impl From<u64> for Ask {
    /// A request of that bucket that counts as one.
    fn from(bucket: u64) -> Self {
        Self { bucket, cost: 1, tier: 0, counts: true }
    }
}

/// What a request is to be counted for when its end is known, by limits that count by that. Nothing, for most.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct Owed(Vec<OwedCount>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct OwedCount {
    limit: LimitId,
    ask: Ask,
    ends: FailureSet,
}

impl Owed {
    /// Whether no limit waits for the request's end.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn push(&mut self, limit: LimitId, ask: Ask, ends: FailureSet) {
        self.0.push(OwedCount { limit, ask, ends });
    }

    /// The request has ended: those limits count it for which the end is one that counts.
    pub fn settle(self, now: Timestamp, end: RequestEnd, limits: &mut impl Limits) {
        for OwedCount { limit, ask, ends } in self.0 {
            if ends.includes_end(end) {
                limits.charge(now, limit, ask);
            }
        }
    }
}

/// The state of the rate limits of a gateway.
pub trait Limits {
    /// Asks a limit about one request, and counts the request; `None` where there is no such limit.
    fn check(&mut self, now: Timestamp, limit: LimitId, ask: Ask) -> Option<Verdict>;

    /// Counts a request that a limit let through and did not count then, whether there is room for it by now or not.
    fn charge(&mut self, now: Timestamp, limit: LimitId, ask: Ask);

    /// Asks limits of one scope, in ascending order, about one request; they count the request if all of them
    /// let it through. `checks` becomes what those said that counted it, or the one that rejects.
    ///
    /// # Errors
    ///
    /// The first limit that rejects, and after which wait it would not.
    fn check_all(
        &mut self,
        now: Timestamp,
        asked: &[(LimitId, Ask)],
        checks: &mut Checks,
    ) -> Result<(), (LimitId, Duration)>;
}

/// What [`Limits::check_all`] asks at once.
type Together<T> = ArrayVec<T, { LimitId::MOST_IN_SCOPE }>;

/// [`Limits::check_all`] of limiters that nobody else asks meanwhile.
fn check_all(
    now: Timestamp,
    asked: Together<(LimitId, Ask, &mut KeyedLimiter)>,
    checks: &mut Checks,
) -> Result<(), (LimitId, Duration)> {
    let mut asked = asked;
    let refuses = asked.iter_mut().position(|(_, ask, limiter)| !limiter.admits(now, ask.bucket, ask.cost));
    let counting = match refuses {
        // It may count what it rejects.
        Some(refuses) => refuses..refuses + 1,
        None => 0..asked.len(),
    };
    for (limit, ask, limiter) in &mut asked[counting] {
        let verdict = limiter.judge(now, *ask);
        checks.note_of(now, *limit, ask.tier, verdict);
        if let Verdict::Rejected { retry_after } = verdict {
            return Err((*limit, retry_after));
        }
    }
    Ok(())
}

impl KeyedLimiter {
    #[inline]
    fn judge(&mut self, now: Timestamp, ask: Ask) -> Verdict {
        if ask.counts { self.take(now, ask.bucket, ask.cost) } else { self.peek(now, ask.bucket, ask.cost) }
    }
}

/// The limits in front of a gateway and their state, for one caller at a time.
#[derive(Debug)]
pub struct Admission {
    /// By slot.
    limiters: Vec<Option<TieredLimiter>>,
}

/// One limit and its buckets, those of each tier apart.
#[derive(Debug)]
struct TieredLimiter {
    own: KeyedLimiter,
    tiers: Vec<KeyedLimiter>,
}

impl TieredLimiter {
    fn new(rule: &LimitRule) -> Self {
        let tiers = rule.tiers.iter().map(|tier| KeyedLimiter::new(tier.limit)).collect();
        Self { own: KeyedLimiter::new(rule.limit), tiers }
    }

    #[inline]
    fn of(&mut self, tier: u8) -> &mut KeyedLimiter {
        let tier = usize::from(tier).checked_sub(1).and_then(|place| self.tiers.get_mut(place));
        tier.unwrap_or(&mut self.own)
    }
}

impl Admission {
    /// Limits under which nobody has sent anything yet.
    pub fn new(limits: &RateLimits) -> Self {
        Self { limiters: by_slot(limits, |_, rule| TieredLimiter::new(rule)) }
    }

    fn limiter(&mut self, limit: LimitId, ask: Ask) -> Option<&mut KeyedLimiter> {
        Some(self.limiters.get_mut(limit.slot())?.as_mut()?.of(ask.tier))
    }
}

/// Something for each limit, up to the last slot in use.
fn by_slot<T>(limits: &RateLimits, mut make: impl FnMut(LimitId, &LimitRule) -> T) -> Vec<Option<T>> {
    let slots = limits.iter().map(|(limit, _)| limit.slot() + 1).max().unwrap_or(0);
    let make = |slot| {
        let limit = LimitId::of_slot(slot);
        limits.get(limit).map(|rule| make(limit, rule))
    };
    (0..slots).map(make).collect()
}

impl Limits for Admission {
    #[inline]
    fn check(&mut self, now: Timestamp, limit: LimitId, ask: Ask) -> Option<Verdict> {
        Some(self.limiter(limit, ask)?.judge(now, ask))
    }

    fn charge(&mut self, now: Timestamp, limit: LimitId, ask: Ask) {
        if let Some(limiter) = self.limiter(limit, ask) {
            limiter.charge(now, ask.bucket, ask.cost);
        }
    }

    fn check_all(
        &mut self,
        now: Timestamp,
        asked: &[(LimitId, Ask)],
        checks: &mut Checks,
    ) -> Result<(), (LimitId, Duration)> {
        let limiters = self.limiters.iter_mut().enumerate();
        let asked = limiters.filter_map(|(slot, limiter)| {
            let (limit, ask) = asked.iter().find(|(limit, _)| limit.slot() == slot)?;
            Some((*limit, *ask, limiter.as_mut()?.of(ask.tier)))
        });
        check_all(now, asked.collect(), checks)
    }
}

/// The same for any number of threads: each limit's buckets are spread over 64 limiters with a lock each.
///
/// Two threads that meet in a shard may have read the clock in the other order; the limiter takes the later time for
/// both.
#[derive(Debug)]
pub struct SharedAdmission {
    /// By slot.
    limiters: Vec<Option<SharedLimiter>>,
}

/// One limit and its buckets.
#[derive(Clone, Debug)]
struct SharedLimiter {
    rule: LimitRule,
    own: Shards,
    tiers: Vec<Shards>,
}

/// The buckets of a limit, or of one of its tiers.
#[derive(Clone, Debug)]
struct Shards(Arc<[Mutex<KeyedLimiter>]>);

impl SharedLimiter {
    fn new(rule: LimitRule) -> Self {
        let shards = |limit| Shards((0..SHARDS).map(|_| Mutex::new(KeyedLimiter::new(limit))).collect());
        let tiers = rule.tiers.iter().map(|tier| shards(tier.limit)).collect();
        Self { own: shards(rule.limit), tiers, rule }
    }

    #[inline]
    fn of(&self, tier: u8) -> &Shards {
        let tier = usize::from(tier).checked_sub(1).and_then(|place| self.tiers.get(place));
        tier.unwrap_or(&self.own)
    }

    /// The limiter that has the bucket.
    #[inline]
    fn lock(&self, ask: Ask) -> MutexGuard<'_, KeyedLimiter> {
        self.of(ask.tier).lock(ask.bucket)
    }

    /// Buckets that are not fresh at `now`.
    fn in_use(&self, now: Timestamp) -> usize {
        let all = std::iter::once(&self.own).chain(&self.tiers);
        all.flat_map(|shards| &*shards.0).map(|shard| locked(shard).in_use(now)).sum()
    }
}

impl Shards {
    #[inline]
    fn lock(&self, bucket: u64) -> MutexGuard<'_, KeyedLimiter> {
        // Addresses and routes are numbers in a row, keys are digests: a multiplication spreads them all (Knuth's
        // multiplicative hashing; the highest bits are the mixed ones).
        let shard = bucket.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (u64::BITS - SHARDS.ilog2());
        locked(&self.0[shard as usize])
    }
}

fn locked(shard: &Mutex<KeyedLimiter>) -> MutexGuard<'_, KeyedLimiter> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Enough that a few dozen threads seldom meet.
const SHARDS: usize = 64;

impl SharedAdmission {
    /// Limits under which nobody has sent anything yet.
    pub fn new(limits: &RateLimits) -> Self {
        Self { limiters: by_slot(limits, |_, rule| SharedLimiter::new(rule.clone())) }
    }

    /// The same gateway under other limits. One that is equal, wherever it stood in its scope, keeps its buckets and shares them
    /// with what was before.
    #[must_use]
    pub fn reconfigured(&self, limits: &RateLimits) -> Self {
        let mut taken = [false; LimitId::MOST];
        let limiters = by_slot(limits, |limit, rule| {
            let is_kept = |slot: usize| {
                let known = self.limiters.get(slot).and_then(Option::as_ref);
                known.is_some_and(|known| known.rule == *rule) && !taken[slot]
            };
            // Its own place first: of two that are equal, each keeps its own.
            let first = LimitId::first(limit.scope()).slot();
            let mut slots = std::iter::once(limit.slot()).chain(first..first + LimitId::MOST_IN_SCOPE);
            let kept = slots.find(|slot| is_kept(*slot));
            let kept = kept.and_then(|slot| {
                taken[slot] = true;
                self.limiters[slot].clone()
            });
            kept.unwrap_or_else(|| SharedLimiter::new(rule.clone()))
        });
        Self { limiters }
    }

    /// Buckets of each limit that are not fresh at `now`. Takes lock after lock, so that they are of about the same moment.
    pub fn buckets(&self, now: Timestamp) -> Vec<(LimitId, usize)> {
        let limiters = self.limiters.iter().enumerate();
        limiters
            .filter_map(|(slot, limiter)| Some((LimitId::of_slot(slot), limiter.as_ref()?.in_use(now))))
            .collect()
    }
}

impl Limits for &SharedAdmission {
    fn check(&mut self, now: Timestamp, limit: LimitId, ask: Ask) -> Option<Verdict> {
        let limiter = self.limiters.get(limit.slot())?.as_ref()?;
        Some(limiter.lock(ask).judge(now, ask))
    }

    fn charge(&mut self, now: Timestamp, limit: LimitId, ask: Ask) {
        if let Some(limiter) = self.limiters.get(limit.slot()).and_then(Option::as_ref) {
            limiter.lock(ask).charge(now, ask.bucket, ask.cost);
        }
    }

    fn check_all(
        &mut self,
        now: Timestamp,
        asked: &[(LimitId, Ask)],
        checks: &mut Checks,
    ) -> Result<(), (LimitId, Duration)> {
        let limiters = asked.iter().filter_map(|(limit, ask)| {
            Some((*limit, *ask, self.limiters.get(limit.slot())?.as_ref()?.of(ask.tier)))
        });
        let mut limiters: Together<_> = limiters.collect();
        // Everybody takes locks in one order, so that no two threads wait for each other. That of the list would not do: a reload
        // may change the list, and share its limiters with what was before.
        limiters.sort_unstable_by_key(|(_, _, shards)| shards.0.as_ptr().addr());
        let locks = limiters.into_iter().map(|(limit, ask, shards)| (limit, ask, shards.lock(ask.bucket)));
        let mut locks: Together<_> = locks.collect();
        locks.sort_unstable_by_key(|(limit, ..)| *limit);
        let asked = locks.iter_mut().map(|(limit, ask, limiter)| (*limit, *ask, &mut **limiter));
        check_all(now, asked.collect(), checks)
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;
    use crate::config::GatewayConfig;
    use crate::entrance::{Entrance, NO_KEYS};
    use crate::identity::KeySecret;
    use crate::limits::{Charge, LimitList};
    use crate::rate_limit::{Algorithm, RateLimit};
    use crate::route::{Route, Routes, UpstreamId};

    fn limit(limit: u32) -> RateLimit {
        RateLimit::new(Algorithm::FixedWindow, limit, Duration::from_secs(60)).unwrap()
    }

    fn list(limits: &[u32]) -> LimitList {
        LimitList::new(limits.iter().map(|most| limit(*most).into()).collect()).unwrap()
    }

    #[test]
    fn shards_and_threads_change_no_verdict() {
        for charge in [Charge::Asked, Charge::Admitted] {
            shards_and_threads_change_no_verdict_with(charge);
        }
    }

    fn shards_and_threads_change_no_verdict_with(charge: Charge) {
        let limits = RateLimits {
            per_ip: list(&[50]),
            per_key: list(&[45, 40, 60]),
            per_route: list(&[3_000]),
            global: list(&[2_500]),
            charge,
        };
        let now = Timestamp::from_nanos(1_780_390_800_000_000_000);
        let request = |number: u32| Request {
            peer: Peer::from(IpAddr::from([127, 0, 0, (number % 100) as u8])),
            client: Client::from_key(KeySecret([3; 16]), &(number % 70).to_le_bytes()),
            route: (!number.is_multiple_of(11)).then_some(RouteId(number % 3)),
            method: Method::Get,
            idempotent: true,
            draw: 0,
        };

        let route = |path: &str| Route {
            path: path.to_owned(),
            upstream: UpstreamId(0),
            timeout: None,
            try_timeout: None,
            retry: None,
            concurrency: None,
            auth: true,
        };
        let routes = Routes::new(["/0", "/1", "/2"].map(route).into()).unwrap();
        let of = |limits: &RateLimits| {
            let config =
                GatewayConfig { routes: routes.clone(), limits: limits.clone(), ..GatewayConfig::default() };
            Entrance::new(&config, KeySecret([3; 16]))
        };
        let entrance = of(&limits);
        let (mut alone, shared) = (Admission::new(&limits), SharedAdmission::new(&limits));
        for number in 0..8_000 {
            let request = request(number);
            let (mut one, mut other) = (Checks::default(), Checks::default());
            let alone = entrance.on_request(now, &request, &mut alone, NO_KEYS, &mut one);
            let shared = entrance.on_request(now, &request, &mut &shared, NO_KEYS, &mut other);
            assert_eq!((one, alone), (other, shared), "request {number}");
        }

        let limits = RateLimits { global: list(&[2_600, 2_500]), charge, ..RateLimits::default() };
        let (shared, entrance) = (SharedAdmission::new(&limits), of(&limits));
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
        // What threads do to one another is never that a limit counts what another one of its scope rejects.
        let second = LimitId::first(Scope::Global);
        let left = (&shared).check(now, second, 0.into());
        let counted = if charge == Charge::Asked { 2_600 } else { 2_500 };
        let expected = match 2_600_u32.checked_sub(counted + 1) {
            Some(remaining) => Verdict::Admitted { remaining },
            None => Verdict::Rejected { retry_after: Duration::from_secs(60) },
        };
        assert_eq!(left, Some(expected));
    }

    #[test]
    fn a_limit_that_moves_in_its_scope_keeps_its_buckets() {
        let limits = |most: &[u32]| RateLimits { per_key: list(most), ..RateLimits::default() };
        let now = Timestamp::from_nanos(1_780_390_800_000_000_000);
        let id = |place| LimitId::new(Scope::PerKey, place).unwrap();
        let before = SharedAdmission::new(&limits(&[5, 3]));
        assert_eq!((&before).check(now, id(1), 7.into()), Some(Verdict::Admitted { remaining: 2 }));
        let after = before.reconfigured(&limits(&[3, 4]));
        assert_eq!((&after).check(now, id(0), 7.into()), Some(Verdict::Admitted { remaining: 1 }));
        assert_eq!((&after).check(now, id(1), 7.into()), Some(Verdict::Admitted { remaining: 3 }));
        // Of two that are equal each keeps its own.
        let twice = SharedAdmission::new(&limits(&[5, 5]));
        assert_eq!((&twice).check(now, id(1), 7.into()), Some(Verdict::Admitted { remaining: 4 }));
        let again = twice.reconfigured(&limits(&[5, 5]));
        assert_eq!((&again).check(now, id(0), 7.into()), Some(Verdict::Admitted { remaining: 4 }));
        assert_eq!((&again).check(now, id(1), 7.into()), Some(Verdict::Admitted { remaining: 3 }));
    }
}
