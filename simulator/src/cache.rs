//! A cache in front of a service: which requests it answers, which ones go on to the service, and which ones wait.
//!
//! A cache hides how much work a service could never do. When a popular object expires, or a deployment empties the cache, each
//! request for the object goes to the service until the first answer is back, and the service gets in one instant the load from
//! which the cache has kept it for months: a stampede. Two cures are common, and both stand here. Collapsing lets one request fetch
//! the object and has the others wait for its answer (nginx `proxy_cache_lock`, Varnish's request coalescing, Envoy's cache filter).
//! A stale copy is served for a while after it has expired while one request fetches the new one (`proxy_cache_use_stale
//! updating`, RFC 5861 `stale-while-revalidate`).

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use gateway::Timestamp;

use crate::chance::Stream;
use crate::fault::Flush;
use crate::latency::Latency;
use crate::popularity::Popularity;

/// A cache in front of a service.
#[derive(Clone, Debug, PartialEq)]
pub struct CacheConfig {
    /// What it has.
    pub contents: CacheContents,
    /// How long an answer out of the cache takes. No worker of the service is held.
    pub hit_latency: Latency,
    /// Which host of the service it stands before: each host has a cache of its own.
    pub host: u32,
}

/// What a cache has.
#[derive(Clone, Debug, PartialEq)]
pub enum CacheContents {
    /// What this share of the requests asks for, 0 to 1, whatever happened before.
    Share(f64),
    /// What was asked for.
    Objects(CachedObjects),
}

/// A cache that keeps what was asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct CachedObjects {
    /// Which objects there are, and how often each is asked for.
    pub popularity: Popularity,
    /// How long a copy is fresh, from the end of the answer that brought it; drawn anew for each copy.
    pub ttl: Latency,
    /// For how long after that a copy is served while another request fetches the next one; zero for not at all.
    pub stale: Duration,
    /// Whether the cache is full at the start: each object with an age that is uniform in its time of freshness.
    pub warm: bool,
    /// Whether one request fetches an object and the others wait for its answer.
    pub collapse: bool,
    /// How long a request waits for the answer to another at most; `None` for as long as that takes. Whoever has waited so long asks
    /// the service, and its answer is not kept.
    pub collapse_timeout: Option<Duration>,
}

/// Number of an object, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectId(pub u32);

/// What becomes of a request at a cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// The cache answers.
    Hit,
    /// The cache answers with a copy that has expired, while another request fetches the next one.
    Stale,
    /// The service is asked.
    Miss {
        /// What the answer is kept as, if it is a good one; `None` for an answer that is not kept.
        fills: Option<ObjectId>,
    },
    /// The request waits for the answer to another.
    Wait {
        /// The object that both ask for.
        object: ObjectId,
        /// Until then at most.
        until: Option<Timestamp>,
    },
}

/// What becomes of a request that has waited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Released {
    /// The answer that it waited for is its own too.
    Answered,
    /// The request that it waited for came to nothing, and now this one asks the service.
    Fetches(ObjectId),
}

/// A cache.
///
/// The calling contract: `now` does not decrease. A job, unique among those present, asks once by [`Cache::on_request`].
/// A [`Lookup::Miss`] or [`Released::Fetches`] that fills an object is followed by one [`Cache::on_filled`] or one
/// [`Cache::on_not_filled`]. A [`Lookup::Wait`] ends by [`Cache::poll_released`] or by one [`Cache::on_left`]. Whoever calls one of these
/// three asks [`Cache::poll_released`] afterwards until there is nobody.
///
/// **A fetch that comes to nothing.** As in nginx, the lock is free then, and the first of those that wait takes it: that one asks
/// the service by itself, and the others go on waiting for its answer. So no failure is handed to anybody who did not ask for it, and a
/// service that fails is asked by one request at a time.
#[derive(Debug)]
pub struct Cache<J> {
    config: CacheConfig,
    starts: Timestamp,
    /// Of ages and of times of freshness, by object.
    draws: Stream,
    flushes: Vec<Flush>,
    /// What is kept. What has expired stays until the next copy: there are no more than objects.
    copies: BTreeMap<ObjectId, Kept>,
    /// Objects that are being fetched by one request for all.
    locks: BTreeMap<ObjectId, Lock<J>>,
    released: VecDeque<(J, Released)>,
}

/// What is kept of an object.
#[derive(Clone, Copy, Debug)]
struct Kept {
    /// When the answer that brought it ended.
    since: Timestamp,
    /// Until then it is fresh; the instant is no part of that.
    expires: Timestamp,
    /// Copies of the object so far, with this one.
    number: u64,
}

/// An object that one request fetches.
#[derive(Debug)]
struct Lock<J> {
    holder: J,
    /// In order of arrival.
    waiting: VecDeque<J>,
}

impl<J: Copy + PartialEq> Cache<J> {
    /// A cache in a scenario that starts at `starts`. `draws` is its own stream; `flushes` are the faults that empty it.
    pub fn new(config: CacheConfig, starts: Timestamp, draws: Stream, flushes: Vec<Flush>) -> Self {
        let draws = draws.at(config.host.into());
        let (copies, locks, released) = (BTreeMap::new(), BTreeMap::new(), VecDeque::new());
        Self { config, starts, draws, flushes, copies, locks, released }
    }

    /// A request comes. `request` is where it is drawn what the request asks for: the same for all attempts at it.
    pub fn on_request(&mut self, now: Timestamp, job: J, request: Stream) -> Lookup {
        let since_start = now.saturating_since(self.starts);
        let is_off = |of: u64| self.flushes.iter().any(|flush| flush.is_on(since_start, of));
        let objects = match &self.config.contents {
            CacheContents::Share(share) => {
                let has = !is_off(request.bits()) && request.unit() < *share;
                return if has { Lookup::Hit } else { Lookup::Miss { fills: None } };
            }
            CacheContents::Objects(objects) => objects,
        };
        let object = ObjectId(objects.popularity.draw(request));
        // Without the cache, nobody waits at it either.
        if is_off(object.0.into()) {
            return Lookup::Miss { fills: None };
        }
        let fills = Lookup::Miss { fills: Some(object) };
        let is_locked = self.locks.contains_key(&object);
        let copy = self.copy_of(object, objects).filter(|copy| !self.is_lost(*copy, object, since_start));
        let CachedObjects { stale, collapse, collapse_timeout, .. } = *objects;
        match copy {
            Some(copy) if now < copy.expires => return Lookup::Hit,
            Some(copy) if now < copy.expires + stale => {
                if is_locked {
                    return Lookup::Stale;
                }
                self.lock(object, job);
                return fills;
            }
            Some(_) | None => {}
        }
        if !collapse {
            return fills;
        }
        let until = collapse_timeout.map(|timeout| now + timeout);
        if let Some(lock) = self.locks.get_mut(&object) {
            lock.waiting.push_back(job);
            return Lookup::Wait { object, until };
        }
        self.lock(object, job);
        fills
    }

    /// The answer to a job that fills an object is there, whole and good.
    pub fn on_filled(&mut self, now: Timestamp, job: J, object: ObjectId) {
        if let CacheContents::Objects(objects) = &self.config.contents {
            let number = self.copy_of(object, objects).map_or(0, |copy| copy.number);
            let ttl = self.ttl(object, number, objects);
            self.copies.insert(object, Kept { since: now, expires: now + ttl, number: number + 1 });
        }
        if let Some(lock) = self.take_lock(job, object) {
            self.released.extend(lock.waiting.into_iter().map(|job| (job, Released::Answered)));
        }
    }

    /// No good answer will come to a job that was to fill an object.
    pub fn on_not_filled(&mut self, job: J, object: ObjectId) {
        let Some(mut lock) = self.take_lock(job, object) else { return };
        if let Some(next) = lock.waiting.pop_front() {
            self.locks.insert(object, Lock { holder: next, waiting: lock.waiting });
            self.released.push_back((next, Released::Fetches(object)));
        }
    }

    /// A job waits for an object no longer.
    pub fn on_left(&mut self, job: J, object: ObjectId) {
        // Those that came first leave first, as a rule.
        if let Some(lock) = self.locks.get_mut(&object)
            && let Some(place) = lock.waiting.iter().position(|waiting| *waiting == job)
        {
            lock.waiting.remove(place);
        }
    }

    /// The next job that waits no longer, and what becomes of it.
    pub fn poll_released(&mut self) -> Option<(J, Released)> {
        self.released.pop_front()
    }

    /// How long the answer out of the cache takes to a job whose service time is drawn at `key`.
    pub fn hit_latency(&self, key: Stream) -> Duration {
        self.config.hit_latency.sample(key)
    }

    /// The copy of an object, lost or not.
    fn copy_of(&self, object: ObjectId, objects: &CachedObjects) -> Option<Kept> {
        let copy = self.copies.get(&object).copied();
        copy.or_else(|| objects.warm.then(|| self.first_copy(object, objects)))
    }

    /// What a cache that is warm has of an object at the start.
    fn first_copy(&self, object: ObjectId, objects: &CachedObjects) -> Kept {
        let left = self.draws.at(object.0.into()).unit();
        let ttl = self.ttl(object, 0, objects);
        let left = Duration::from_nanos((ttl.as_nanos() as f64 * left) as u64);
        Kept { since: self.starts, expires: self.starts + left, number: 1 }
    }

    /// How long the copy of that number is fresh.
    fn ttl(&self, object: ObjectId, number: u64, objects: &CachedObjects) -> Duration {
        objects.ttl.sample(self.draws.at(object.0.into()).at(number))
    }

    /// Whether the cache was emptied after the copy came.
    fn is_lost(&self, copy: Kept, object: ObjectId, since_start: Duration) -> bool {
        let came = copy.since.saturating_since(self.starts);
        self.flushes.iter().any(|flush| flush.takes(came, since_start, object.0.into()))
    }

    fn lock(&mut self, object: ObjectId, holder: J) {
        self.locks.insert(object, Lock { holder, waiting: VecDeque::new() });
    }

    /// Takes the lock of an object from the job, if that holds it.
    fn take_lock(&mut self, job: J, object: ObjectId) -> Option<Lock<J>> {
        let holds = self.locks.get(&object).is_some_and(|lock| lock.holder == job);
        if holds { self.locks.remove(&object) } else { None }
    }
}
