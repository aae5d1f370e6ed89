//! The store of buckets that all algorithms share.

use std::time::Duration;

use hashbrown::HashTable;

use super::limiter::{Limiter, Verdict};
use crate::split_mix::split_mix_64;
use crate::timestamp::Timestamp;

/// The table is this many tables, of which one grows or is swept at a time: growing holds the old and the new
/// in memory together, and a sweep holds up a request.
const SHARDS: usize = 64;

/// The states of all buckets under one [`Limiter`].
///
/// Identities come and go without end, so a table that only grows is a leak that a botnet can drive. A state
/// that [equals a fresh one](Limiter::is_fresh) is forgotten, which no verdict can show:
///
/// - when a shard is full, before it grows; it grows only if less than half of it could be forgotten;
/// - shard by shard, each once in the time in which an untouched state [becomes
///   fresh](Limiter::settles_within), as long as checks come (at most one shard per check). So what is kept
///   was touched within about the last two such times.
///
/// Each is amortised O(1) per check: a sweep is paid for by the checks that touched the shard since its last
/// one or the one before.
pub(super) struct Keyed<L: Limiter> {
    limiter: L,
    shards: Box<[HashTable<Bucket<L::State>>; SHARDS]>,
    /// The latest time told.
    latest: Timestamp,
    /// When to sweep the shard that `next_shard` counts to.
    next_sweep: Timestamp,
    next_shard: usize,
    sweep_interval: u64,
}

struct Bucket<S> {
    /// The bucket's number, [scrambled](scramble): hash and identity at once.
    hash: u64,
    state: S,
}

impl<L: Limiter> Keyed<L> {
    pub(super) fn new(limiter: L) -> Self {
        Self {
            sweep_interval: limiter.settles_within().div_ceil(SHARDS as u64),
            limiter,
            shards: Box::new(std::array::from_fn(|_| HashTable::new())),
            latest: Timestamp::EPOCH,
            next_sweep: Timestamp::EPOCH,
            next_shard: 0,
        }
    }

    /// How many buckets are remembered.
    pub(super) fn len(&self) -> usize {
        self.shards.iter().map(HashTable::len).sum()
    }

    /// How many of those are not fresh at `now`. The others are forgotten only when further checks come, and none may come.
    pub(super) fn in_use(&self, now: Timestamp) -> usize {
        let now = now.max(self.latest);
        let in_use = |bucket: &&Bucket<L::State>| !self.limiter.is_fresh(&bucket.state, now);
        self.shards.iter().map(|shard| shard.iter().filter(in_use).count()).sum()
    }

    /// Judges a request of `bucket` that counts as so many. A `now` before the latest one told counts as that, for whichever
    /// bucket it was told: states may have been forgotten that were fresh then but not at `now`.
    pub(super) fn take(&mut self, now: Timestamp, bucket: u64, cost: u32) -> Verdict {
        let (lag, verdict) = self.with(now, bucket, |limiter, state, now| limiter.take(state, now, cost));
        after(lag, verdict)
    }

    /// Counts a request of `bucket` that counts as so many, whether there is room or not.
    pub(super) fn charge(&mut self, now: Timestamp, bucket: u64, cost: u32) {
        self.with(now, bucket, |limiter, state, now| limiter.charge(state, now, cost));
    }

    /// Does something with the state of a bucket, which is remembered. Returns by how much `now` is before the latest time told.
    #[inline]
    fn with<R>(
        &mut self,
        now: Timestamp,
        bucket: u64,
        act: impl FnOnce(&L, &mut L::State, Timestamp) -> R,
    ) -> (u64, R) {
        let lag = self.latest.nanos_since(now);
        let now = now.plus_nanos(lag);
        self.latest = now;
        if now >= self.next_sweep {
            self.sweep_next(now);
        }

        let hash = scramble(bucket);
        // Neither the bits that pick a place within the table (the lowest) nor those it tags the place with
        // (the highest).
        let shard = &mut self.shards[(hash >> 48) as usize % SHARDS];
        let done = if let Some(found) = shard.find_mut(hash, |bucket| bucket.hash == hash) {
            act(&self.limiter, &mut found.state, now)
        } else {
            let mut state = self.limiter.fresh();
            let done = act(&self.limiter, &mut state, now);
            make_room(&self.limiter, shard, now);
            shard.insert_unique(hash, Bucket { hash, state }, |bucket| bucket.hash);
            done
        };
        (lag, done)
    }

    /// Whether a request of `bucket` at `now` that counts as so many would be admitted. Counts nothing and remembers no bucket
    /// that it did not know.
    pub(super) fn admits(&mut self, now: Timestamp, bucket: u64, cost: u32) -> bool {
        let now = now.max(self.latest);
        self.look(bucket, |limiter, state| limiter.admits(state, now, cost))
    }

    /// What would be said of a request of `bucket` that counts as so many, and is not counted. Remembers no bucket that it did
    /// not know.
    pub(super) fn peek(&mut self, now: Timestamp, bucket: u64, cost: u32) -> Verdict {
        let lag = self.latest.nanos_since(now);
        let now = now.plus_nanos(lag);
        after(lag, self.look(bucket, |limiter, state| limiter.peek(state, now, cost)))
    }

    fn look<R>(&mut self, bucket: u64, look: impl FnOnce(&L, &mut L::State) -> R) -> R {
        let hash = scramble(bucket);
        let shard = &mut self.shards[(hash >> 48) as usize % SHARDS];
        match shard.find_mut(hash, |bucket| bucket.hash == hash) {
            Some(found) => look(&self.limiter, &mut found.state),
            None => look(&self.limiter, &mut self.limiter.fresh()),
        }
    }

    /// Sweeps the shard whose turn it is, and sizes its table for the most that it held since its last sweep.
    /// Not for what is left now: a burst on the minute would find a table to be grown anew each minute.
    #[cold]
    fn sweep_next(&mut self, now: Timestamp) {
        let shard = &mut self.shards[self.next_shard % SHARDS];
        let held = shard.len();
        forget_fresh(&self.limiter, shard, now);
        if shard.capacity() > 4 * held {
            shard.shrink_to(2 * held, |bucket| bucket.hash);
        }
        self.next_shard = (self.next_shard + 1) % SHARDS;
        self.next_sweep = now.plus_nanos(self.sweep_interval);
    }
}

/// What was said at a time that much after the one that was told.
fn after(lag: u64, verdict: Verdict) -> Verdict {
    match verdict {
        Verdict::Rejected { retry_after } if lag > 0 => {
            Verdict::rejected_for((retry_after.as_nanos() as u64).saturating_add(lag))
        }
        Verdict::Delayed { remaining, wait } if lag > 0 => {
            Verdict::Delayed { remaining, wait: wait.saturating_add(Duration::from_nanos(lag)) }
        }
        verdict => verdict,
    }
}

/// Sees to it that one more fits in.
fn make_room<L: Limiter>(limiter: &L, shard: &mut HashTable<Bucket<L::State>>, now: Timestamp) {
    let held = shard.len();
    if held == shard.capacity() {
        forget_fresh(limiter, shard, now);
        if shard.len() > held / 2 {
            shard.reserve(held, |bucket| bucket.hash);
        }
    }
}

fn forget_fresh<L: Limiter>(limiter: &L, shard: &mut HashTable<Bucket<L::State>>, now: Timestamp) {
    shard.retain(|bucket| {
        let keep = !limiter.is_fresh(&bucket.state, now);
        if keep {
            limiter.compact(&mut bucket.state, now);
        }
        keep
    });
}

/// Spreads bucket numbers, which may well be 0, 1, 2, …, over all 64 bits. One to one, so that it also
/// identifies the bucket.
///
/// It is no defence against numbers chosen to collide: whoever makes them of what a client sends hashes that
/// with a secret key.
const fn scramble(bucket: u64) -> u64 {
    split_mix_64(bucket, 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rate_limit::test_vectors::{MINUTE, at};
    use crate::rate_limit::token_bucket::TokenBucket;
    use crate::rate_limit::{Algorithm, RateLimit};

    /// A bucket of these is full again 60 ms after one request, and a minute after a thousand.
    fn thousand_per_minute() -> Keyed<TokenBucket> {
        Keyed::new(TokenBucket::new(&RateLimit::new(Algorithm::TokenBucket, 1000, MINUTE).unwrap()))
    }

    #[test]
    fn a_full_table_forgets_before_it_grows() {
        let mut keyed = thousand_per_minute();
        // Never the same bucket twice, a thousand a second; no shard is swept for its age in that time.
        for millis in 0..30_000 {
            keyed.take(at(millis), millis, 1);
        }
        assert!(keyed.len() < 1000, "{} remembered", keyed.len());
    }

    #[test]
    fn a_table_is_as_large_as_what_it_last_held() {
        let mut keyed = thousand_per_minute();
        (0..100_000).for_each(|bucket| assert!(keyed.take(at(0), bucket, 1).is_admitted()));
        let capacity =
            |keyed: &Keyed<TokenBucket>| -> usize { keyed.shards.iter().map(HashTable::capacity).sum() };
        assert!(capacity(&keyed) >= 100_000);
        // The first minute's sweeps forget, the second's give the memory back.
        for seconds in 0..180 {
            keyed.take(at(seconds * 1000), 0, 1);
        }
        assert_eq!(keyed.len(), 1);
        assert!(capacity(&keyed) < 10, "room for {}", capacity(&keyed));
    }

    #[test]
    fn different_numbers_stay_different() {
        let mut keyed = thousand_per_minute();
        for bucket in [0, 1, u64::MAX, 1 << 63, 1 << 32] {
            assert!(keyed.take(at(0), bucket, 1).is_admitted());
        }
        assert_eq!(keyed.len(), 5);
    }
}
