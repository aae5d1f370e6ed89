//! What holds of a cache whatever comes in which order: it agrees with an obvious model, and nobody who waits is forgotten.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests are tests too; clippy only knows what stands in a test"
)]

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};
use std::num::NonZeroU32;
use std::time::Duration;

use gateway::{PoolConfig, Timestamp};
use proptest::prelude::*;
use simulator::{
    Answered, Arrival, Cache, CacheConfig, CacheContents, CachedObjects, Content, Due, Fault, FaultKind,
    FaultTimeline, JobId, Latency, Lookup, ObjectId, Popularity, Purpose, Released, Service, ServiceEvent,
    Step, Stream, UpstreamConfig,
};

const OBJECTS: u32 = 3;
const TTL_MS: u64 = 100;

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn at(millis: u64) -> Timestamp {
    Timestamp::EPOCH + ms(millis)
}

fn popularity() -> Popularity {
    Popularity::new(NonZeroU32::new(OBJECTS).unwrap(), 0.0).unwrap()
}

fn request(number: u64) -> Stream {
    Stream::new(902, Purpose::Content, "buyers").at(number)
}

fn config(collapse: bool, stale_ms: u64) -> CacheConfig {
    CacheConfig {
        contents: CacheContents::Objects(CachedObjects {
            popularity: popularity(),
            ttl: Latency::constant(ms(TTL_MS)).unwrap(),
            stale: ms(stale_ms),
            warm: false,
            collapse,
            collapse_timeout: Some(ms(70)),
        }),
        hit_latency: Latency::constant(ms(1)).unwrap(),
        host: 0,
    }
}

fn flush(from_ms: u64, length_ms: u64) -> FaultTimeline {
    let fault = Fault::new(ms(from_ms), ms(length_ms), 1.0, FaultKind::Flush, String::new()).unwrap();
    FaultTimeline::new(1, &[fault])
}

/// A cache as a list of all that ever happened, looked through from the beginning each time.
struct Model {
    collapse: bool,
    stale_ms: u64,
    /// From and to, in milliseconds.
    flush: Option<(u64, u64)>,
    /// When an answer came, and of which object.
    filled: Vec<(u64, u32)>,
    /// Who fetches what, and whether for everybody.
    fetching: Vec<(u32, u32, bool)>,
    /// In order of arrival.
    waiting: Vec<(u32, u32)>,
}

impl Model {
    fn is_fetched_for_all(&self, object: u32) -> bool {
        self.fetching.iter().any(|(_, fetched, for_all)| *fetched == object && *for_all)
    }

    fn ask(&mut self, now: u64, job: u32, object: u32) -> Lookup {
        let miss = |fills: bool| Lookup::Miss { fills: fills.then_some(ObjectId(object)) };
        if self.flush.is_some_and(|(from, to)| (from..to).contains(&now)) {
            return miss(false);
        }
        let is_kept = |since: u64| self.flush.is_none_or(|(from, to)| since >= to || now < from);
        let last = self.filled.iter().rfind(|(since, of)| *of == object && is_kept(*since));
        let age = last.map(|(since, _)| now - since);
        let is_locked = self.is_fetched_for_all(object);
        if age.is_some_and(|age| age < TTL_MS) {
            return Lookup::Hit;
        }
        if age.is_some_and(|age| age < TTL_MS + self.stale_ms) && is_locked {
            return Lookup::Stale;
        }
        let is_stale = age.is_some_and(|age| age < TTL_MS + self.stale_ms);
        if self.collapse && !is_stale && is_locked {
            self.waiting.push((job, object));
            return Lookup::Wait { object: ObjectId(object), until: Some(at(now + 70)) };
        }
        self.fetching.push((job, object, is_stale || self.collapse));
        miss(true)
    }

    /// What becomes of those that waited.
    fn end(&mut self, now: u64, place: usize, well: bool) -> Vec<(u32, Released)> {
        let (_, object, for_all) = self.fetching.remove(place);
        if well {
            self.filled.push((now, object));
        }
        if !for_all {
            return Vec::new();
        }
        let (mut released, mut rest) = (Vec::new(), Vec::new());
        for (job, of) in std::mem::take(&mut self.waiting) {
            if of != object {
                rest.push((job, of));
            } else if well {
                released.push((job, Released::Answered));
            } else if released.is_empty() {
                released.push((job, Released::Fetches(ObjectId(object))));
                self.fetching.push((job, object, true));
            } else {
                rest.push((job, of));
            }
        }
        self.waiting = rest;
        released
    }
}

fn released(cache: &mut Cache<u32>) -> Vec<(u32, Released)> {
    std::iter::from_fn(|| cache.poll_released()).collect()
}

proptest! {
    #[test]
    fn a_cache_does_what_the_list_of_all_events_says(
        collapse in any::<bool>(),
        stale_ms in prop::sample::select(vec![0, 30, 200]),
        flushed in prop::option::of((0_u64..600, 1_u64..100)),
        steps in prop::collection::vec((0_u64..40, 0_u8..8, any::<usize>()), 1..150),
    ) {
        let flushes = flushed.map(|(from, length)| flush(from, length).flushes()).unwrap_or_default();
        let mut cache =
            Cache::new(config(collapse, stale_ms), Timestamp::EPOCH, Stream::new(1, Purpose::Content, "cache"), flushes);
        let flush = flushed.map(|(from, length)| (from, from + length));
        let (filled, fetching, waiting) = (Vec::new(), Vec::new(), Vec::new());
        let mut model = Model { collapse, stale_ms, flush, filled, fetching, waiting };
        let (mut now, mut jobs) = (0, 0);
        for (gap, step, which) in steps {
            now += gap;
            match step {
                0..4 => {
                    jobs += 1;
                    let draw = request(which as u64);
                    let object = popularity().draw(draw);
                    prop_assert_eq!(cache.on_request(at(now), jobs, draw), model.ask(now, jobs, object));
                }
                4..7 if !model.fetching.is_empty() => {
                    let place = which % model.fetching.len();
                    let (job, object, _) = model.fetching[place];
                    let well = step < 6;
                    if well {
                        cache.on_filled(at(now), job, ObjectId(object));
                    } else {
                        cache.on_not_filled(job, ObjectId(object));
                    }
                    prop_assert_eq!(released(&mut cache), model.end(now, place, well));
                }
                7 if !model.waiting.is_empty() => {
                    let (job, object) = model.waiting.remove(which % model.waiting.len());
                    cache.on_left(job, ObjectId(object));
                    prop_assert_eq!(released(&mut cache), []);
                }
                _ => {}
            }
            // Whoever waits, waits for somebody.
            for (_, object) in &model.waiting {
                prop_assert!(model.is_fetched_for_all(*object));
            }
        }
        // Whatever becomes of the rest, nobody waits in the end.
        while !model.fetching.is_empty() {
            let (job, object, _) = model.fetching[0];
            cache.on_not_filled(job, ObjectId(object));
            prop_assert_eq!(released(&mut cache), model.end(now, 0, false));
        }
        prop_assert_eq!(model.waiting, []);
    }
}

/// Callers around a service with a cache, by the calling contract.
struct Callers {
    service: Service<u32>,
    due: BinaryHeap<Reverse<(Timestamp, bool, JobId)>>,
    /// Who waits for an answer.
    present: Vec<(u32, JobId)>,
    heard: BTreeSet<u32>,
    left: u32,
    sent: u32,
    counts: Counts,
}

#[derive(Default)]
struct Counts {
    attempts: u32,
    gone: u32,
    /// What the cache did.
    uses: u32,
}

impl Counts {
    fn hear(&mut self, event: &ServiceEvent<'_, u32>) {
        match event {
            ServiceEvent::Attempt(_) => self.attempts += 1,
            ServiceEvent::Gone(_) => self.gone += 1,
            ServiceEvent::Cache(_) => self.uses += 1,
            _ => {}
        }
    }
}

impl Callers {
    fn new(config: UpstreamConfig, faults: FaultTimeline) -> Self {
        Self {
            service: Service::new("catalog", config, Timestamp::EPOCH, faults, 1),
            due: BinaryHeap::new(),
            present: Vec::new(),
            heard: BTreeSet::new(),
            left: 0,
            sent: 0,
            counts: Counts::default(),
        }
    }

    fn ask(&mut self, now: Timestamp, draw: u64) {
        self.sent += 1;
        let content = Content { draw: request(draw), is_cacheable: true };
        let key = Stream::new(1, Purpose::Service, "buyers").at(self.sent.into());
        let Self { service, counts, .. } = self;
        let (job, arrival) =
            service.on_request(now, key, content, self.sent, &mut |event: ServiceEvent<'_, u32>| {
                counts.hear(&event);
            });
        self.present.push((self.sent, job));
        self.go_on(job, arrival);
        self.release(now);
    }

    fn go_on(&mut self, job: JobId, arrival: Arrival<u32>) {
        match arrival {
            Arrival::Started(due) => self.schedule(due),
            Arrival::Cached(due) => self.schedule(Some(due)),
            Arrival::Waits { until } => self.due.extend(until.map(|until| Reverse((until, true, job)))),
            Arrival::Queued => {}
            Arrival::TurnedAway { note, .. } => self.hear(note),
            Arrival::AtDoor => panic!("nobody judges tokens"),
        }
    }

    fn hear(&mut self, note: u32) {
        assert!(self.heard.insert(note), "{note} hears twice");
        self.present.retain(|(present, _)| *present != note);
    }

    fn schedule(&mut self, due: Option<Due>) {
        self.due.extend(due.map(|Due { at, job }| Reverse((at, false, job))));
    }

    fn release(&mut self, now: Timestamp) {
        loop {
            let Self { service, counts, .. } = self;
            let next = service.poll_released(now, &mut |event: ServiceEvent<'_, u32>| counts.hear(&event));
            let Some((job, arrival)) = next else { return };
            self.go_on(job, arrival);
        }
    }

    fn leave(&mut self, now: Timestamp, which: usize) {
        if self.present.is_empty() {
            return;
        }
        let (_, job) = self.present.remove(which % self.present.len());
        self.left += 1;
        let Self { service, counts, .. } = self;
        let gone = service.on_caller_left(now, job, &mut |event: ServiceEvent<'_, u32>| counts.hear(&event));
        if let Some((_, due)) = gone {
            self.schedule(due);
        }
        self.release(now);
    }

    /// Everything that is due until then.
    fn advance(&mut self, to: Timestamp) {
        while let Some(&Reverse((at, is_wait, job))) = self.due.peek().filter(|next| next.0.0 <= to) {
            self.due.pop();
            let Self { service, counts, .. } = self;
            let hear = &mut |event: ServiceEvent<'_, u32>| counts.hear(&event);
            if is_wait {
                if let Some(arrival) = service.on_wait_over(at, job, hear) {
                    self.go_on(job, arrival);
                }
            } else if let Some(Step::Answer(answer)) = service.on_due(at, job) {
                match service.on_answered(at, answer, hear) {
                    Some(Answered::Trickles(due)) => self.schedule(Some(due)),
                    Some(Answered::Whole { note, next }) => {
                        self.schedule(next);
                        if let Some(note) = note {
                            self.hear(note);
                        }
                    }
                    None => panic!("a job that is due is there"),
                }
            }
            self.release(at);
        }
    }
}

fn fault() -> impl Strategy<Value = Option<FaultKind>> {
    let body = Latency::constant(ms(40)).unwrap();
    prop::sample::select(vec![
        None,
        Some(FaultKind::Hang),
        Some(FaultKind::Error { status: 500, retry_after: None }),
        Some(FaultKind::Refuse),
        Some(FaultKind::Reset),
        Some(FaultKind::Drip { body }),
        Some(FaultKind::Flush),
    ])
}

proptest! {
    /// However its fetches end: each caller hears once or leaves, each job is gone in the end, and no worker is held.
    #[test]
    fn nobody_who_waits_at_a_cache_is_forgotten(
        collapse in any::<bool>(),
        stale_ms in prop::sample::select(vec![0, 60]),
        cancel_on_disconnect in any::<bool>(),
        workers in 1_u32..4,
        queue in 0_u32..4,
        kind in fault(),
        fraction in prop::sample::select(vec![0.4, 1.0]),
        steps in prop::collection::vec((0_u64..30, 0_u8..6, any::<usize>()), 1..150),
    ) {
        let faults = kind.map(|kind| Fault::new(ms(100), ms(1_000), fraction, kind, String::new()).unwrap());
        let config = UpstreamConfig {
            pool: PoolConfig { workers: NonZeroU32::new(workers), queue: Some(queue), queue_timeout: None },
            latency: Latency::constant(ms(50)).unwrap(),
            latency_factor: 1.0,
            load_latency: Duration::ZERO,
            cancel_on_disconnect,
            calls: Vec::new(),
            parallel: false,
            cache: Some(config(collapse, stale_ms)),
            auth: None,
        };
        let mut callers = Callers::new(config, FaultTimeline::new(1, &faults));
        let mut now = 0;
        let mut waited_and_left = 0;
        for (gap, step, which) in steps {
            now += gap;
            callers.advance(at(now));
            if step < 5 {
                callers.ask(at(now), which as u64);
            } else {
                let waits = |callers: &Callers| {
                    callers.present.iter().filter(|(_, job)| callers.service.waits_at_cache(*job)).count() as u32
                };
                let before = waits(&callers);
                let is_one = !callers.present.is_empty() && {
                    let (_, job) = callers.present[which % callers.present.len()];
                    callers.service.waits_at_cache(job)
                };
                callers.leave(at(now), which);
                waited_and_left += u32::from(is_one);
                prop_assert!(before >= u32::from(is_one));
            }
            prop_assert!(callers.service.in_flight() <= workers);
        }
        // All that is due comes; who hangs is left by the caller, which lets the next one hang in turn.
        for _ in 0..1_000 {
            now += 2_000;
            callers.advance(at(now));
            if callers.present.is_empty() {
                break;
            }
            callers.leave(at(now), 0);
        }
        prop_assert_eq!(callers.present.len(), 0);
        prop_assert_eq!(callers.heard.len() as u32 + callers.left, callers.sent);
        prop_assert_eq!(callers.counts.attempts, callers.counts.gone);
        prop_assert_eq!((callers.service.in_flight(), callers.service.queued()), (0, 0));
        // The cache says of each once what it did with it, but for those that left while they waited.
        prop_assert_eq!(callers.counts.uses + waited_and_left, callers.sent);
    }
}

/// One worker, 50 ms of work, and an object that everybody asks for; each asks at that time, in milliseconds.
fn heard_at(cache: CacheConfig, asks: &[u64], until: u64) -> Vec<(u64, usize)> {
    let CacheContents::Objects(objects) = cache.contents else { panic!("it knows its objects") };
    let popularity = Popularity::new(NonZeroU32::MIN, 0.0).unwrap();
    let contents = CacheContents::Objects(CachedObjects { popularity, ..objects });
    let config = UpstreamConfig {
        pool: PoolConfig { workers: NonZeroU32::new(1), queue: None, queue_timeout: None },
        latency: Latency::constant(ms(50)).unwrap(),
        latency_factor: 1.0,
        load_latency: Duration::ZERO,
        cancel_on_disconnect: false,
        calls: Vec::new(),
        parallel: false,
        cache: Some(CacheConfig { contents, ..cache }),
        auth: None,
    };
    let mut callers = Callers::new(config, FaultTimeline::default());
    let mut seen = Vec::new();
    for now in 0..=until {
        let before = callers.heard.len();
        callers.advance(at(now));
        if callers.heard.len() > before {
            seen.push((now, callers.heard.len() - before));
        }
        for _ in asks.iter().filter(|ask| **ask == now) {
            callers.ask(at(now), 0);
        }
    }
    seen
}

#[test]
fn a_crowd_at_an_empty_cache_costs_the_service_one_request_or_as_many_as_come() {
    // Ten at once: one after the other each for 50 ms, or the first for 50 ms and the others a millisecond later.
    let each = (1..=10).map(|k| (50 * k, 1)).collect::<Vec<_>>();
    assert_eq!(heard_at(config(false, 0), &[0; 10], 600), each);
    assert_eq!(heard_at(config(true, 0), &[0; 10], 600), [(50, 1), (51, 9)]);
}

#[test]
fn who_waits_for_too_long_asks_the_service_by_itself() {
    // The fetch takes 50 ms, and the other request waits for no more than 20: it stands in the queue from then on, and is worked on from
    // 50 to 100 ms.
    let mut slow = config(true, 0);
    let CacheContents::Objects(objects) = &mut slow.contents else { panic!("it knows its objects") };
    objects.collapse_timeout = Some(ms(20));
    assert_eq!(heard_at(slow, &[0, 0], 200), [(50, 1), (100, 1)]);
}

#[test]
fn a_stale_copy_serves_everybody_but_the_one_who_fetches() {
    // Filled at 50 ms and fresh until 150. At 160 ms the first of three asks the service until 210, the others have the stale copy.
    // Without one they are three requests at one worker.
    assert_eq!(heard_at(config(false, 30), &[0, 160, 160, 160], 400), [(50, 1), (161, 2), (210, 1)]);
    assert_eq!(heard_at(config(false, 0), &[0, 160, 160, 160], 400), [(50, 1), (210, 1), (260, 1), (310, 1)]);
    // At 180 ms the copy is 30 ms over its time, and that is the end of it.
    assert_eq!(heard_at(config(false, 30), &[0, 180], 400), [(50, 1), (230, 1)]);
}
