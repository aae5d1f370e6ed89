//! The cache of an identity provider's keys: when keys are fetched, and for how long they hold.

use std::sync::Arc;
use std::time::Duration;

use super::{HeldKey, JwksCacheConfig, JwtAlgorithm, KeySet, TokenFault, VerifyingKey};
use crate::invariant::Invariants;
use crate::timestamp::Timestamp;

/// The keys of an identity provider: asked for before anybody needs them, and kept while it is down.
///
/// A gateway that fetches keys when a token needs them puts the identity provider into the path of every request: its
/// outage is everybody's, and a restart under load, or a flood of tokens with made-up `kid`s, is an attack on it. Here
///
/// - keys are asked for at the start and again well before they may no longer be used (`refresh_after` of age, while they
///   may be used for `stale_for` more);
/// - one fetch is under way at most, however many wait for it;
/// - a `kid` that no key has causes a fetch, since keys are rotated, but one per `cooldown` for all of them together; that
///   it was unknown is not remembered;
/// - a fetch that fails is made again after a wait that doubles up to the `cooldown`, and takes nothing away. A set without
///   a usable key counts as a failure, so that a provider's mistake locks nobody out.
///
/// Without any key that may be used, nobody is let through.
///
/// # Contract
///
/// - Whatever else was called: [`poll_fetch`](Self::poll_fetch) until it gives nothing, and be back at
///   [`next_wakeup`](Self::next_wakeup) with [`on_wakeup`](Self::on_wakeup). The first time is at the start.
/// - A [`Fetch`] is carried out and told of by [`on_fetched`](Self::on_fetched). One that is not told of by its deadline has
///   failed, and what comes of it later is ignored.
/// - Whoever is told [`Lookup::Await`] is judged again when [`rounds`](Self::rounds) has passed its
///   [`KeyWait::round`], saying that it `has_waited`; or leaves, which is told by [`on_left`](Self::on_left). So nobody
///   waits for longer than one fetch takes.
#[derive(Debug)]
pub struct JwksCache<K> {
    config: JwksCacheConfig,
    held: Option<Held<K>>,
    under_way: Option<UnderWay>,
    /// When to fetch next, while no fetch is under way.
    due: Timestamp,
    /// Fetches that failed in a row.
    failures: i32,
    /// Whether somebody with an unknown key waits for the fetch that is under way or due.
    asked_for_unknown: bool,
    /// Until when unknown keys cause no fetch.
    quiet_until: Timestamp,
    fetches: u64,
    rounds: u64,
    waiting: u32,
    keys_numbered: u64,
    invariants: Invariants,
}

#[derive(Debug)]
struct Held<K> {
    keys: Vec<Arc<HeldKey<K>>>,
    /// From when on they may not be used.
    expire: Timestamp,
}

#[derive(Clone, Copy, Debug)]
struct UnderWay {
    fetch: Fetch,
    since: Timestamp,
}

/// A fetch of keys that is to be carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fetch {
    /// Which one it is.
    pub number: u64,
    /// When it has failed unless it is over by then.
    pub deadline: Timestamp,
}

/// Why a fetch brought no keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FetchFailure {
    /// The connection was refused or broke.
    Connection,
    /// No whole answer came in time.
    TimedOut,
    /// The answer had this status instead of 200.
    Status(u16),
    /// The answer is no key set, or too large a one.
    Malformed,
    /// There is no key in it that could be used.
    NoKeys,
}

/// A wait for the fetch that is under way, or that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyWait {
    /// Over when [`JwksCache::rounds`] is above this.
    pub round: u64,
    /// When it is over at the latest.
    pub deadline: Timestamp,
}

/// What there is to judge a token by.
#[derive(Debug)]
pub enum Lookup<K> {
    /// One of these keys, which are not many.
    Found(Vec<Arc<HeldKey<K>>>),
    /// Nothing: the token is refused.
    Refused(TokenFault),
    /// Nothing yet.
    Await(KeyWait),
    /// Nothing, and that is not the token's fault.
    Unavailable {
        /// When keys could be there.
        retry_after: Duration,
    },
}

impl<K: VerifyingKey> JwksCache<K> {
    /// Without keys, and with a fetch due at once. Panics where its counters are wrong.
    pub fn new(config: JwksCacheConfig) -> Self {
        Self {
            config,
            held: None,
            under_way: None,
            due: Timestamp::EPOCH,
            failures: 0,
            asked_for_unknown: false,
            quiet_until: Timestamp::EPOCH,
            fetches: 0,
            rounds: 0,
            waiting: 0,
            keys_numbered: 0,
            invariants: Invariants::Panic,
        }
    }

    /// Does this instead where the counters are wrong.
    #[must_use]
    pub fn with_invariants(self, invariants: Invariants) -> Self {
        Self { invariants, ..self }
    }

    /// The keys for a token of this header: commonly one, and several where the provider gave several the same `kid`.
    /// `has_waited` for one that waited before.
    pub fn find(
        &mut self,
        now: Timestamp,
        kid: Option<&str>,
        algorithm: JwtAlgorithm,
        has_waited: bool,
    ) -> Lookup<K> {
        let Some(held) = self.usable(now) else {
            return self.wait(now, has_waited).map_or_else(|| self.unavailable(now), Lookup::Await);
        };
        let Some(kid) = kid else {
            let fitting = held.keys.iter().filter(|held| held.key.algorithm() == algorithm);
            let fitting: Vec<_> = fitting.map(Arc::clone).collect();
            // Of several names nobody knows which is meant, and there is nothing to be found by asking.
            let is_one = !fitting.is_empty() && fitting.iter().all(|held| held.kid == fitting[0].kid);
            return if is_one { Lookup::Found(fitting) } else { Lookup::Refused(TokenFault::KeyUnknown) };
        };
        let mut named = held.keys.iter().filter(|held| held.kid == kid).peekable();
        if named.peek().is_some() {
            let fitting: Vec<_> =
                named.filter(|held| held.key.algorithm() == algorithm).map(Arc::clone).collect();
            if fitting.is_empty() {
                return Lookup::Refused(TokenFault::AlgorithmMismatch);
            }
            return Lookup::Found(fitting);
        }
        if !has_waited && self.under_way.is_none() && now >= self.quiet_until {
            self.due = self.due.min(now);
        }
        match self.wait(now, has_waited) {
            Some(wait) => {
                self.asked_for_unknown = true;
                Lookup::Await(wait)
            }
            None => Lookup::Refused(TokenFault::KeyUnknown),
        }
    }

    /// Whether the key of this number may be used: not withdrawn, and not too old.
    pub fn holds(&self, now: Timestamp, number: u64) -> bool {
        self.usable(now).is_some_and(|held| held.keys.iter().any(|key| key.number == number))
    }

    /// The fetch that is to begin now, if one is.
    pub fn poll_fetch(&mut self, now: Timestamp) -> Option<Fetch> {
        if self.under_way.is_some() || now < self.due {
            return None;
        }
        self.fetches += 1;
        let fetch = Fetch { number: self.fetches, deadline: now + self.config.fetch_timeout() };
        self.under_way = Some(UnderWay { fetch, since: now });
        Some(fetch)
    }

    /// A fetch is over.
    pub fn on_fetched(&mut self, now: Timestamp, number: u64, result: Result<KeySet<K>, FetchFailure>) {
        let Some(UnderWay { fetch, since }) = self.under_way.filter(|one| one.fetch.number == number) else {
            return;
        };
        match result {
            Ok(keys) if now <= fetch.deadline && !keys.is_empty() => {
                self.adopt(keys, since);
                self.failures = 0;
                self.end(now, since + self.config.refresh_after());
            }
            _ => self.fail(now),
        }
    }

    /// When to be back: at the deadline of the fetch under way, or when the next one is due.
    pub fn next_wakeup(&self) -> Timestamp {
        self.under_way.map_or(self.due, |one| one.fetch.deadline)
    }

    /// The time to be back has come. Too early does no harm.
    pub fn on_wakeup(&mut self, now: Timestamp) {
        if self.under_way.is_some_and(|one| now >= one.fetch.deadline) {
            self.fail(now);
        }
    }

    /// Fetches that have ended, well or not.
    pub const fn rounds(&self) -> u64 {
        self.rounds
    }

    /// Somebody who waited has left.
    pub fn on_left(&mut self, wait: KeyWait) {
        if wait.round == self.rounds {
            self.invariants
                .decrement(&mut self.waiting, "a request stops waiting for keys that did not wait");
        }
    }

    fn usable(&self, now: Timestamp) -> Option<&Held<K>> {
        self.held.as_ref().filter(|held| now < held.expire)
    }

    /// A place among those who wait, if there is something to wait for.
    fn wait(&mut self, now: Timestamp, has_waited: bool) -> Option<KeyWait> {
        let deadline = match self.under_way {
            Some(one) => one.fetch.deadline,
            None if now >= self.due => now + self.config.fetch_timeout(),
            None => return None,
        };
        if has_waited || self.waiting >= self.config.max_waiting() {
            return None;
        }
        self.waiting += 1;
        Some(KeyWait { round: self.rounds, deadline })
    }

    fn unavailable(&self, now: Timestamp) -> Lookup<K> {
        // A second at least: nobody is asked to come back at once.
        Lookup::Unavailable { retry_after: (self.next_wakeup() - now).max(Duration::from_secs(1)) }
    }

    /// Takes over what was asked for at `since`. A key that was held already keeps its number.
    fn adopt(&mut self, keys: KeySet<K>, since: Timestamp) {
        let held = self.held.take().map(|held| held.keys).unwrap_or_default();
        let adopt = |(kid, key)| {
            let same = held.iter().find(|held| held.kid == kid && held.key == key);
            same.map_or_else(
                || {
                    self.keys_numbered += 1;
                    Arc::new(HeldKey { number: self.keys_numbered, kid, key })
                },
                Arc::clone,
            )
        };
        let keys = keys.into_keys().into_iter().map(adopt).collect();
        let expire = since + self.config.refresh_after() + self.config.stale_for();
        self.held = Some(Held { keys, expire });
    }

    fn fail(&mut self, now: Timestamp) {
        let cooldown = self.config.cooldown();
        let wait =
            (cooldown / 8).saturating_mul(1 << self.failures.min(3)).clamp(Duration::from_nanos(1), cooldown);
        self.failures = self.failures.saturating_add(1);
        self.end(now, now + wait);
    }

    /// The fetch under way is over, and the next one due at this time.
    fn end(&mut self, now: Timestamp, due: Timestamp) {
        self.under_way = None;
        self.due = due;
        self.rounds += 1;
        self.waiting = 0;
        if std::mem::take(&mut self.asked_for_unknown) {
            self.quiet_until = now + self.config.cooldown();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::auth::SimulatedKey;

    const START: Timestamp = Timestamp::from_nanos(1_780_390_800_000_000_000);

    fn at(seconds: f64) -> Timestamp {
        START + Duration::from_secs_f64(seconds)
    }

    fn key(number: u64) -> SimulatedKey {
        SimulatedKey { number, algorithm: JwtAlgorithm::Es256 }
    }

    /// Keys whose `kid` is their number.
    fn keys(numbers: &[u64]) -> KeySet<SimulatedKey> {
        KeySet::new(numbers.iter().map(|number| (number.to_string(), key(*number))))
    }

    fn cache() -> JwksCache<SimulatedKey> {
        JwksCache::new(JwksCacheConfig::default())
    }

    /// What is found for a `kid`: a key's number, or a word.
    fn find(cache: &mut JwksCache<SimulatedKey>, now: Timestamp, kid: u64, has_waited: bool) -> String {
        match cache.find(now, Some(&kid.to_string()), JwtAlgorithm::Es256, has_waited) {
            Lookup::Found(held) => held[0].key().number.to_string(),
            Lookup::Refused(fault) => fault.name().to_owned(),
            Lookup::Await(_) => "await".to_owned(),
            Lookup::Unavailable { .. } => "unavailable".to_owned(),
        }
    }

    /// Leaves twice, which is broken with the second.
    fn leave_twice(cache: &mut JwksCache<SimulatedKey>) {
        let Lookup::Await(wait) = cache.find(START, Some("1"), JwtAlgorithm::Es256, false) else {
            panic!("there are no keys yet")
        };
        cache.on_left(wait);
        cache.on_left(wait);
    }

    #[test]
    #[should_panic(expected = "a request stops waiting for keys that did not wait")]
    fn whoever_leaves_twice_panics() {
        leave_twice(&mut cache());
    }

    #[test]
    fn a_cache_that_counts_goes_on_after_somebody_left_twice() {
        let invariants = Invariants::counting();
        let mut cache = cache().with_invariants(invariants.clone());
        leave_twice(&mut cache);
        assert_eq!(invariants.broken(), 1);
        cache.poll_fetch(START);
        cache.on_fetched(START, 1, Ok(keys(&[1])));
        assert_eq!(find(&mut cache, START, 1, false), "1");
    }

    #[test]
    fn keys_are_there_before_anybody_needs_them_and_refreshed_before_they_expire() {
        let mut cache = cache();
        let fetch = cache.poll_fetch(START).unwrap();
        assert_eq!((fetch, cache.next_wakeup()), (Fetch { number: 1, deadline: at(5.0) }, at(5.0)));
        assert_eq!(cache.poll_fetch(at(1.0)), None, "one at a time");
        cache.on_fetched(at(1.0), 1, Ok(keys(&[1])));
        assert_eq!(cache.next_wakeup(), at(300.0));
        assert_eq!(find(&mut cache, at(1.0), 1, false), "1");
        assert_eq!(cache.poll_fetch(at(299.0)), None);
        assert_eq!(cache.poll_fetch(at(300.0)).map(|fetch| fetch.number), Some(2));
        // Nobody waits for it who has a key.
        assert_eq!(find(&mut cache, at(301.0), 1, false), "1");
        cache.on_fetched(at(302.0), 2, Ok(keys(&[1, 2])));
        assert_eq!(find(&mut cache, at(302.0), 2, false), "2");
    }

    #[test]
    fn without_keys_everybody_waits_for_one_fetch_and_for_one_only() {
        let mut cache = cache();
        for _ in 0..3 {
            assert_eq!(find(&mut cache, START, 1, false), "await");
        }
        let fetch = cache.poll_fetch(START).unwrap();
        assert_eq!(find(&mut cache, at(1.0), 1, false), "await");
        assert_eq!(cache.rounds(), 0);
        cache.on_wakeup(at(4.9));
        assert_eq!(cache.rounds(), 0);
        cache.on_wakeup(at(5.0));
        assert_eq!(cache.rounds(), 1);
        assert_eq!(find(&mut cache, at(5.0), 1, true), "unavailable");
        // Too late.
        cache.on_fetched(at(5.1), fetch.number, Ok(keys(&[1])));
        assert_eq!(find(&mut cache, at(5.2), 1, false), "unavailable");
        // It is made again after 1.25, 2.5, 5, 10, 10 … seconds.
        let mut now = at(5.0);
        for wait in [1.25, 2.5, 5.0, 10.0, 10.0] {
            now += Duration::from_secs_f64(wait);
            assert_eq!(cache.next_wakeup(), now);
            let fetch = cache.poll_fetch(now).unwrap();
            assert_eq!(find(&mut cache, now, 1, true), "unavailable");
            cache.on_fetched(now, fetch.number, Err(FetchFailure::Connection));
        }
        now += Duration::from_secs(10);
        let fetch = cache.poll_fetch(now).unwrap();
        cache.on_fetched(now, fetch.number, Ok(keys(&[1])));
        assert_eq!(find(&mut cache, now, 1, true), "1");
    }

    #[test]
    fn a_late_answer_is_ignored_even_before_anybody_noticed_that_it_is_late() {
        let mut cache = cache();
        let fetch = cache.poll_fetch(START).unwrap();
        let late = fetch.deadline.plus_nanos(1);
        cache.on_fetched(late, fetch.number, Ok(keys(&[1])));
        assert_eq!(cache.rounds(), 1);
        assert_eq!(find(&mut cache, late, 1, false), "unavailable");
        cache.on_fetched(late, 77, Ok(keys(&[1])));
        assert_eq!(find(&mut cache, late, 1, false), "unavailable");
    }

    #[test]
    fn an_answer_exactly_at_the_deadline_is_in_time() {
        let mut cache = cache();
        let fetch = cache.poll_fetch(START).unwrap();
        cache.on_fetched(fetch.deadline, fetch.number, Ok(keys(&[1])));
        cache.on_wakeup(fetch.deadline);
        assert_eq!((cache.rounds(), find(&mut cache, fetch.deadline, 1, false)), (1, "1".to_owned()));
    }

    #[test]
    fn an_outage_shorter_than_stale_for_costs_nothing_and_a_longer_one_everything() {
        let mut cache = cache();
        let fetch = cache.poll_fetch(START).unwrap();
        cache.on_fetched(START, fetch.number, Ok(keys(&[1])));
        let mut now = START;
        while now < at(3_900.0) {
            assert_eq!(find(&mut cache, now, 1, false), "1", "{now:?}");
            now = cache.next_wakeup().min(at(3_900.0));
            cache.on_wakeup(now);
            if let Some(fetch) = cache.poll_fetch(now) {
                // An empty set is as good as none.
                let answer = if fetch.number.is_multiple_of(2) {
                    Ok(keys(&[]))
                } else {
                    Err(FetchFailure::Status(500))
                };
                cache.on_fetched(now, fetch.number, answer);
            }
        }
        assert_eq!(find(&mut cache, at(3_899.999), 1, false), "1");
        assert!(cache.holds(at(3_899.999), 1) && !cache.holds(at(3_900.0), 1));
        assert_eq!(find(&mut cache, at(3_900.0), 1, false), "unavailable");
    }

    #[test]
    fn unknown_keys_cause_one_fetch_per_cooldown_and_are_not_remembered() {
        let mut cache = cache();
        let fetch = cache.poll_fetch(START).unwrap();
        cache.on_fetched(START, fetch.number, Ok(keys(&[1])));
        for _ in 0..1_000 {
            assert_eq!(find(&mut cache, at(1.0), 2, false), "await");
        }
        assert_eq!(cache.next_wakeup(), at(1.0), "at once");
        let fetch = cache.poll_fetch(at(1.0)).unwrap();
        assert_eq!(find(&mut cache, at(1.0), 1, false), "1");
        cache.on_fetched(at(2.0), fetch.number, Ok(keys(&[1])));
        assert_eq!(find(&mut cache, at(2.0), 2, true), "key-unknown");
        assert_eq!(find(&mut cache, at(11.9), 3, false), "key-unknown");
        assert_eq!(cache.poll_fetch(at(11.9)), None);
        // Meanwhile the keys were rotated.
        assert_eq!(find(&mut cache, at(12.0), 2, false), "await");
        let fetch = cache.poll_fetch(at(12.0)).unwrap();
        cache.on_fetched(at(12.1), fetch.number, Ok(keys(&[2])));
        assert_eq!(find(&mut cache, at(12.1), 2, true), "2");
        assert_eq!(find(&mut cache, at(12.1), 1, false), "key-unknown");
    }

    #[test]
    fn a_key_is_for_its_own_algorithm_and_a_token_without_kid_means_the_only_one() {
        let mut cache = cache();
        let fetch = cache.poll_fetch(START).unwrap();
        let with = |kid: &str, number, algorithm| (kid.to_owned(), SimulatedKey { number, algorithm });
        let set = KeySet::new([
            with("a", 1, JwtAlgorithm::Es256),
            with("a", 2, JwtAlgorithm::EdDsa),
            with("a", 3, JwtAlgorithm::EdDsa),
            with("b", 4, JwtAlgorithm::Es256),
        ]);
        cache.on_fetched(START, fetch.number, Ok(set));
        let mut find = |kid, algorithm| match cache.find(START, kid, algorithm, true) {
            Lookup::Found(held) => Ok(held.iter().map(|held| held.key().number).collect::<Vec<_>>()),
            Lookup::Refused(fault) => Err(fault),
            other => panic!("{other:?}"),
        };
        assert_eq!(find(Some("a"), JwtAlgorithm::Es256), Ok(vec![1]));
        assert_eq!(find(Some("a"), JwtAlgorithm::EdDsa), Ok(vec![2, 3]));
        assert_eq!(find(Some("a"), JwtAlgorithm::Rs256), Err(TokenFault::AlgorithmMismatch));
        assert_eq!(find(None, JwtAlgorithm::EdDsa), Ok(vec![2, 3]));
        assert_eq!(find(None, JwtAlgorithm::Es256), Err(TokenFault::KeyUnknown));
        assert_eq!(find(None, JwtAlgorithm::Rs256), Err(TokenFault::KeyUnknown));
    }

    #[test]
    fn a_key_that_stays_keeps_its_number_and_one_that_comes_back_does_not() {
        let mut cache = cache();
        for (number, set) in [(1, [1, 2]), (2, [2, 3]), (3, [1, 3])] {
            let now = cache.next_wakeup().max(START);
            assert_eq!(cache.poll_fetch(now).map(|fetch| fetch.number), Some(number));
            cache.on_fetched(now, number, Ok(keys(&set)));
            let held = |wanted: [u64; 4]| wanted.map(|number| cache.holds(now, number));
            let expected = match number {
                1 => [true, true, false, false],
                2 => [false, true, true, false],
                _ => [false, false, true, true],
            };
            assert_eq!(held([1, 2, 3, 4]), expected);
        }
    }

    #[test]
    fn so_many_may_wait_and_who_leaves_makes_room() {
        let config = JwksCacheConfig::default().with_max_waiting(2);
        let mut cache = JwksCache::<SimulatedKey>::new(config);
        let mut wait = || match cache.find(START, None, JwtAlgorithm::Es256, false) {
            Lookup::Await(wait) => Some(wait),
            _ => None,
        };
        let first = wait().unwrap();
        assert!(wait().is_some());
        assert!(wait().is_none());
        cache.on_left(first);
        assert_eq!(find(&mut cache, START, 1, false), "await");
        assert_eq!(find(&mut cache, START, 1, false), "unavailable");
        let fetch = cache.poll_fetch(START).unwrap();
        cache.on_fetched(START, fetch.number, Err(FetchFailure::Malformed));
        // Of an earlier round: nobody who waits now leaves by it.
        cache.on_left(first);
    }

    #[derive(Clone, Debug)]
    enum Step {
        Find { kid: u64 },
        Leave { pick: prop::sample::Index },
        Answer { late: bool, good: bool },
        Pass { millis: u64 },
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => (0u64..4).prop_map(|kid| Step::Find { kid }),
            1 => any::<prop::sample::Index>().prop_map(|pick| Step::Leave { pick }),
            2 => (any::<bool>(), any::<bool>()).prop_map(|(late, good)| Step::Answer { late, good }),
            3 => (0u64..8_000).prop_map(|millis| Step::Pass { millis }),
        ]
    }

    proptest! {
        #[test]
        fn laws(steps in prop::collection::vec(step(), 1..200)) {
            let config = JwksCacheConfig::new(Duration::from_secs(20), Duration::from_secs(15)).unwrap();
            let mut cache = JwksCache::<SimulatedKey>::new(config);
            let (mut now, mut fetch) = (START, None::<Fetch>);
            // Of the keys held: when they were asked for.
            let (mut asked, mut answered) = (START, None::<Timestamp>);
            let mut waiting: Vec<(KeyWait, Timestamp)> = Vec::new();
            // Starts of fetches that nothing but an unknown key can have caused.
            let mut for_unknown: Vec<Timestamp> = Vec::new();
            for step in steps {
                let due = cache.next_wakeup();
                match step {
                    Step::Find { kid } => match cache.find(now, Some(&kid.to_string()), JwtAlgorithm::Es256, false) {
                        Lookup::Found(held) => {
                            prop_assert_eq!(held[0].kid(), "0");
                            let age = now - answered.expect("keys were fetched");
                            prop_assert!(age <= config.refresh_after() + config.stale_for());
                        }
                        Lookup::Await(wait) => waiting.push((wait, now)),
                        Lookup::Refused(fault) => prop_assert_eq!(fault, TokenFault::KeyUnknown),
                        Lookup::Unavailable { retry_after } => prop_assert!(!retry_after.is_zero()),
                    },
                    Step::Leave { pick } if !waiting.is_empty() => {
                        let (wait, _) = waiting.swap_remove(pick.index(waiting.len()));
                        cache.on_left(wait);
                    }
                    Step::Answer { late, good } => {
                        if let Some(Fetch { number, deadline }) = fetch.filter(|_| !late) {
                            let result = if good { Ok(keys(&[0])) } else { Err(FetchFailure::Connection) };
                            cache.on_fetched(now, number, result);
                            if good && now < deadline {
                                answered = Some(asked);
                            }
                        }
                    }
                    Step::Pass { millis } => {
                        // Never past the time to be back.
                        now = (now + Duration::from_millis(millis)).min(cache.next_wakeup().max(now));
                        cache.on_wakeup(now);
                    }
                    Step::Leave { .. } => {}
                }
                if let Some(next) = cache.poll_fetch(now) {
                    prop_assert!(fetch.is_none_or(|fetch| fetch.number < next.number), "one at a time");
                    if due > now {
                        for_unknown.push(now);
                    }
                    (fetch, asked) = (Some(next), now);
                }
                prop_assert_eq!(cache.poll_fetch(now), None);
                // Whoever waits is waited for, and for no longer than a fetch takes.
                waiting.retain(|(wait, _)| wait.round == cache.rounds());
                for (wait, since) in &waiting {
                    prop_assert!(cache.next_wakeup() <= wait.deadline);
                    prop_assert!(wait.deadline - *since <= config.fetch_timeout());
                }
                prop_assert_eq!(cache.waiting as usize, waiting.len());
            }
            for pair in for_unknown.windows(2) {
                prop_assert!(pair[1] - pair[0] >= config.cooldown(), "{:?}", for_unknown);
            }
        }
    }
}
