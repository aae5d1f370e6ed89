//! A simulated service at work: the life of a request from the service's door to the end of the answer.
//!
//! A request may wait at the door until its token is judged. A cache may stand before the service, which answers without it or has
//! one request wait for the answer to another. What goes on may wait in the queue until a worker is free. The worker does the
//! service's own work, asks other services, and lets the answer trickle where a fault makes it. All of that holds the worker,
//! and none of it ends when the caller leaves: that is how one slow service takes the workers of every service before it.
//!
//! Both engines drive this one machine, on simulated time and on sockets. What keeps a worker busy is part of the machine
//! ([`Activity`]), because the reason for a slow answer is read from there.

use std::num::NonZeroU32;
use std::time::Duration;

use gateway::{AttemptEnd, Invariants, Rejection, Timestamp, Transition, Violation};
use slab::Slab;

use crate::cache::{Cache, Lookup, ObjectId, Released};
use crate::calls::{Ask, CallState, CallStep, Calls, CallsOutcome};
use crate::chance::{Purpose, Stream};
use crate::fault::{FaultId, FaultTimeline};
use crate::network::service_is_back_after;
use crate::tag::upstream_number;
use crate::upstream::{Left, Reaction, Upstream, UpstreamConfig, Work};

/// A simulated service: its workers and queue, what it asks of others, and every request that it has not answered.
///
/// `N` is the note that the caller of this machine keeps beside each job: who waits for the answer, for example.
///
/// The calling contract: `now` does not decrease. [`Service::on_request`] makes a job of a request.
/// - [`Arrival::AtDoor`] is followed by [`Service::on_judged`]; where the verdict has to wait for keys, by
///   [`Service::on_keys`] first.
/// - A [`Due`] is followed by [`Service::on_due`] at its time, [`Arrival::Waits`] by [`Service::on_wait_over`] at its.
/// - A [`Step::Ask`] of [`Service::on_due`] is followed by [`Service::poll_call`] at once until that has no more.
/// - [`Step::Ask`] is followed by one [`Service::on_call_ended`], [`Step::Wait`] by one [`Service::on_waited`] at its time.
/// - [`Step::Answer`] is followed by [`Service::on_answered`] at the same time. Between the two the machine still shows what
///   held the job up.
/// - [`Service::on_caller_left`] may come at any time. Whatever comes for a job that is gone changes nothing.
/// - After any of these, [`Service::poll_released`] tells of the jobs that waited at the cache and go on.
///
/// Each of these tells `witness` what happened at `now`, in order.
#[derive(Debug)]
pub struct Service<N> {
    upstream: Upstream<u32>,
    calls: Calls,
    cache: Option<Box<Cache<JobId>>>,
    judges_tokens: bool,
    /// Whether a job makes all of its calls at once.
    is_parallel: bool,
    /// The service's part in the key of a service time.
    path: u64,
    jobs: Slab<Job<N>>,
    /// By [`Service::place`] of an activity: workers that are busy with it.
    busy: Vec<u32>,
    /// Faults of the timeline.
    faults: usize,
    /// Jobs that hold a worker: what `busy` comes to.
    at_work: u32,
    /// Jobs and calls so far.
    issued: u32,
    invariants: Invariants,
}

/// A request at a service.
#[derive(Debug)]
pub struct Job<N> {
    number: u32,
    /// The service time is drawn here, and those of the job's calls below.
    key: Stream,
    content: Content,
    /// What the cache keeps a good answer as.
    fills: Option<ObjectId>,
    /// When the service took the request on.
    since: Timestamp,
    stage: JobStage,
    /// Its calls under way, where the service makes all of them at once.
    branches: Vec<Branch>,
    caller_left: bool,
    note: N,
}

/// One of several calls that a job makes at once.
#[derive(Clone, Copy, Debug)]
struct Branch {
    /// Of the attempt under way or waited for: the number of its [`CallId`].
    number: u32,
    state: CallState,
}

/// Where a job is.
#[derive(Clone, Copy, Debug)]
enum JobStage {
    /// Nobody has judged the token yet.
    Door,
    /// At the cache: waits for the answer to another job.
    Waits(ObjectId),
    /// At the cache, which answers.
    Cached(Work),
    /// Waits for a worker.
    Queue,
    /// Holds a worker.
    Worker(AtWork),
}

/// A job that holds a worker.
#[derive(Clone, Copy, Debug)]
struct AtWork {
    activity: Activity,
    work: Work,
    /// When the worker took the job.
    since: Timestamp,
    calling: Option<Calling>,
    /// Calls that were begun or passed over, where the service makes all of them at once.
    begun: usize,
    trickling: Option<Trickling>,
}

/// How far a job has come with the calls of its service; where they are made at once, with the one that was heard of last.
#[derive(Clone, Copy, Debug)]
struct Calling {
    /// Of the attempt under way or waited for: the number of its [`CallId`].
    number: u32,
    state: CallState,
    /// When the own work was done.
    since: Timestamp,
}

/// An answer whose body is on its way.
#[derive(Clone, Copy, Debug)]
struct Trickling {
    status: u16,
    since: Timestamp,
}

/// What keeps a worker busy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activity {
    /// The service's own work.
    Work,
    /// The service's own work, for a caller that has left.
    Abandoned,
    /// The service's own work, struck by a fault.
    Struck(FaultId),
    /// The call of that number.
    Calling(usize),
}

/// Names a job for as long as the job lasts. Slots are used again, numbers are not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId {
    slot: u32,
    number: u32,
}

/// Names a job's attempt at a call for as long as the attempt is under way or waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallId {
    slot: u32,
    number: u32,
}

/// What a request asks of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Content {
    /// Where it is drawn what the request asks for, and which calls it takes: the same for all attempts at a client's request.
    pub draw: Stream,
    /// Whether a cache may answer: of a GET or HEAD, and not of a check of hosts.
    pub is_cacheable: bool,
}

impl Content {
    /// Of a request that no client sent.
    pub const NONE: Self = Self { draw: Stream::from_bits(0), is_cacheable: false };
}

/// What a cache did with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheUse {
    /// The cache answered.
    Hit,
    /// The cache answered with a copy that had expired.
    Stale,
    /// The request had waited for the answer to another, which is its own too.
    Collapsed,
    /// The service was asked.
    Miss,
}

/// A job's own work, or the body of its answer, ends then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    /// When.
    pub at: Timestamp,
    /// Which job's.
    pub job: JobId,
}

/// What becomes of a request at the door.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival<N> {
    /// The token has to be judged.
    AtDoor,
    /// The cache answers then.
    Cached(Due),
    /// The request waits for the answer to another, until then at most.
    Waits {
        /// `None` for as long as it takes.
        until: Option<Timestamp>,
    },
    /// A worker took the request; the own work ends when this says. `None` for never.
    Started(Option<Due>),
    /// The request waits for a worker.
    Queued,
    /// The service answers at once, without any work. The job is gone.
    TurnedAway {
        /// The job's.
        note: N,
        /// Why.
        by: TurnedAway,
    },
}

/// Why a service answers without any work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TurnedAway {
    /// Every worker is busy and the queue is full.
    QueueFull,
    /// A fault answers.
    Error {
        /// With this HTTP status.
        status: u16,
        /// How many seconds the answer asks its caller to wait.
        retry_after: Option<NonZeroU32>,
        /// Which fault.
        fault: FaultId,
    },
    /// A fault refuses the connection.
    Refused {
        /// Which fault.
        fault: FaultId,
    },
    /// The token was not accepted, or could not be judged.
    Token(Rejection),
}

/// What a job does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The job asks another service, now.
    Ask(Asking),
    /// The job waits before it asks again.
    Wait {
        /// Until then.
        until: Timestamp,
        /// The attempt that is waited for.
        call: CallId,
    },
    /// The service answers: [`Service::on_answered`] follows.
    Answer(ServiceAnswer),
}

/// An attempt of a job at a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asking {
    /// The job that asks.
    pub job: JobId,
    /// Names the attempt.
    pub call: CallId,
    /// Whom the service asks.
    pub ask: Ask,
    /// The job's: draws for the attempt are [`below`](Self::stream) it.
    pub key: Stream,
    /// When the service gives up; `None` for never.
    pub deadline: Option<Timestamp>,
}

/// A service's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServiceAnswer {
    /// Whose answer.
    pub job: JobId,
    /// HTTP status.
    pub status: u16,
    /// Whether the connection is reset after part of the answer.
    pub breaks_off: bool,
    /// What the calls came to; `None` where the answer began before and its body has trickled until now.
    pub calls: Option<CallsOutcome>,
}

/// What comes of a job that is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answered<N> {
    /// The answer has begun; its body trickles until then.
    Trickles(Due),
    /// The whole answer is there, and the job is gone.
    Whole {
        /// The job's; `None` where the caller has left.
        note: Option<N>,
        /// When the own work is done on the job that takes over the worker, if one does.
        next: Option<Due>,
    },
}

/// An attempt at a call that is under way.
#[derive(Clone, Copy, Debug)]
pub struct UnderWay {
    /// The job that asks.
    pub job: JobId,
    /// Number of the call among those of the service.
    pub call: usize,
    /// When the attempt was sent.
    pub sent: Timestamp,
}

/// Where a job's time went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spent {
    /// In the queue.
    pub waited: Duration,
    /// At the service's own work, and with the body of the answer: what strikes the one strikes the other.
    pub worked: Duration,
    /// With the calls.
    pub called: Duration,
}

/// What happened at a service, as its `witness` is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServiceEvent<'n, N> {
    /// A request came to the door.
    Attempt(&'n N),
    /// A worker or the queue took a request: it has come to the application.
    Accepted(&'n N),
    /// A cache knows what it does with a request. Each that comes to a cache is told so once, unless its caller leaves before.
    Cache(CacheUse),
    /// Every worker was busy and the queue full.
    Rejected,
    /// A worker took a job that had waited this long.
    Waited(Duration),
    /// A job that had waited this long left the queue without a worker: its caller left and was noticed, or the run ended.
    LeftQueue(Duration),
    /// The numbers of busy workers and of waiting jobs are now these.
    Load {
        /// Workers that are busy.
        in_flight: u32,
        /// Jobs that wait.
        queued: u32,
    },
    /// A job is gone. One such event follows each [`ServiceEvent::Attempt`], unless the run ends first.
    Gone(&'n N),
}

impl<'n, N> ServiceEvent<'n, N> {
    /// The same event, with a part of the note in the note's place.
    #[inline]
    pub fn map<M>(self, part: impl FnOnce(&'n N) -> &'n M) -> ServiceEvent<'n, M> {
        match self {
            Self::Attempt(note) => ServiceEvent::Attempt(part(note)),
            Self::Accepted(note) => ServiceEvent::Accepted(part(note)),
            Self::Cache(cache_use) => ServiceEvent::Cache(cache_use),
            Self::Rejected => ServiceEvent::Rejected,
            Self::Waited(waited) => ServiceEvent::Waited(waited),
            Self::LeftQueue(waited) => ServiceEvent::LeftQueue(waited),
            Self::Load { in_flight, queued } => ServiceEvent::Load { in_flight, queued },
            Self::Gone(note) => ServiceEvent::Gone(part(note)),
        }
    }
}

/// Hears what happens at a service.
pub trait Witness<N> {
    /// This happened, now.
    fn hear(&mut self, event: ServiceEvent<'_, N>);
}

impl<N, F: FnMut(ServiceEvent<'_, N>)> Witness<N> for F {
    fn hear(&mut self, event: ServiceEvent<'_, N>) {
        self(event);
    }
}

impl<N> Service<N> {
    /// An idle service of this name in a scenario that starts at `starts`. Waits before retries are drawn under `seed`. Panics
    /// where its counters are wrong.
    pub fn new(
        name: &str,
        config: UpstreamConfig,
        starts: Timestamp,
        faults: FaultTimeline,
        seed: u64,
    ) -> Self {
        Self::with_invariants(name, config, starts, faults, seed, Invariants::Panic)
    }

    /// As [`Service::new`], and does this where its counters are wrong.
    pub fn with_invariants(
        name: &str,
        config: UpstreamConfig,
        starts: Timestamp,
        faults: FaultTimeline,
        seed: u64,
        invariants: Invariants,
    ) -> Self {
        let cache = config.cache.clone().map(|config| {
            let draws = Stream::new(seed, Purpose::Content, &format!("cache of {name}"));
            Box::new(Cache::new(config, starts, draws, faults.flushes()))
        });
        Self {
            calls: Calls::new(&config.calls, seed, &invariants),
            cache,
            judges_tokens: config.auth.is_some(),
            is_parallel: config.parallel,
            path: upstream_number(name),
            jobs: Slab::new(),
            busy: vec![0; 2 + faults.len() + config.calls.len()],
            faults: faults.len(),
            at_work: 0,
            issued: 0,
            upstream: Upstream::new(config, starts, faults).with_invariants(invariants.clone()),
            invariants,
        }
    }

    /// A request comes to the door. Its service time is drawn below `key`, which is its sender's.
    pub fn on_request(
        &mut self,
        now: Timestamp,
        key: Stream,
        content: Content,
        note: N,
        witness: &mut impl Witness<N>,
    ) -> (JobId, Arrival<N>) {
        witness.hear(ServiceEvent::Attempt(&note));
        let number = self.next_number();
        let job = Job {
            number,
            key: key.at(self.path),
            content,
            fills: None,
            since: now,
            stage: JobStage::Door,
            branches: Vec::new(),
            caller_left: false,
            note,
        };
        let slot = self.jobs.insert(job) as u32;
        (JobId { slot, number }, self.admit(now, slot, witness))
    }

    /// The keys came for which a request at the door waited, or will not come.
    pub fn on_keys(
        &mut self,
        now: Timestamp,
        job: JobId,
        witness: &mut impl Witness<N>,
    ) -> Option<Arrival<N>> {
        self.job(job)?;
        Some(self.admit(now, job.slot, witness))
    }

    /// The token of a request at the door was judged.
    pub fn on_judged(
        &mut self,
        now: Timestamp,
        job: JobId,
        verdict: Result<(), Rejection>,
        witness: &mut impl Witness<N>,
    ) -> Option<Arrival<N>> {
        let key = self.job(job)?.key;
        Some(match verdict {
            // A fault may have begun while the request waited for keys.
            Err(rejection) if !self.upstream.is_struck_at_the_door(now, key) => {
                let note = self.remove(job.slot, witness).note;
                Arrival::TurnedAway { note, by: TurnedAway::Token(rejection) }
            }
            _ => self.accept(now, job.slot, witness),
        })
    }

    /// A request has waited at the cache for as long as any does, if it still waits: it goes on to the service.
    pub fn on_wait_over(
        &mut self,
        now: Timestamp,
        job: JobId,
        witness: &mut impl Witness<N>,
    ) -> Option<Arrival<N>> {
        let JobStage::Waits(object) = self.job(job)?.stage else { return None };
        self.cache.as_mut()?.on_left(job, object);
        Some(self.miss(now, job.slot, None, witness))
    }

    /// The next job that waited at the cache and goes on, with what becomes of it: the cache answers, or the service is asked.
    pub fn poll_released(
        &mut self,
        now: Timestamp,
        witness: &mut impl Witness<N>,
    ) -> Option<(JobId, Arrival<N>)> {
        // As many as wait, at most.
        loop {
            let (job, released) = self.cache.as_mut()?.poll_released()?;
            let waits = self.job(job).is_some_and(|job| matches!(job.stage, JobStage::Waits(_)));
            match released {
                Released::Answered if waits => {
                    return Some((job, self.answer_from_cache(now, job.slot, CacheUse::Collapsed, witness)));
                }
                Released::Fetches(object) if waits => {
                    return Some((job, self.miss(now, job.slot, Some(object), witness)));
                }
                Released::Answered => {}
                // Its caller left in the same instant: the next one's turn.
                Released::Fetches(object) => self.cache.as_mut()?.on_not_filled(job, object),
            }
        }
    }

    /// The own work on a job is done, the cache answers it, or the whole of its answer has trickled.
    pub fn on_due(&mut self, now: Timestamp, job: JobId) -> Option<Step> {
        if let JobStage::Cached(_) = self.job(job)?.stage {
            let calls = Some(CallsOutcome::Done);
            return Some(Step::Answer(ServiceAnswer { job, status: 200, breaks_off: false, calls }));
        }
        let at_work = self.at_work(job)?;
        if let Some(Trickling { status, .. }) = at_work.trickling {
            return Some(Step::Answer(ServiceAnswer { job, status, breaks_off: false, calls: None }));
        }
        if self.is_parallel {
            let done = CallStep::Answer { status: 200, outcome: CallsOutcome::Done };
            return self.next_branch(now, job).or_else(|| self.follow(now, job, done));
        }
        let &Job { key, content, .. } = self.job(job)?;
        let (state, step) = self.calls.on_begun(now, key, content.draw.at(self.path));
        if !matches!(step, CallStep::Answer { outcome: CallsOutcome::Done, .. }) {
            let number = self.next_number();
            self.at_work(job)?.calling = Some(Calling { number, state, since: now });
        }
        self.follow(now, job, step)
    }

    /// The next of the calls that a job makes at once, now; `None` where all are made, and of a service that makes one after the other.
    pub fn poll_call(&mut self, now: Timestamp, job: JobId) -> Option<Step> {
        let at_work = self.at_work(job)?;
        let begins = at_work.calling.is_some() && at_work.trickling.is_none();
        (self.is_parallel && begins).then(|| self.next_branch(now, job))?
    }

    /// An attempt at a call ended. `None` too where the job still waits for other calls.
    pub fn on_call_ended(&mut self, now: Timestamp, call: CallId, end: AttemptEnd) -> Option<Step> {
        let UnderWay { job, .. } = self.under_way(call)?;
        let number = self.next_number();
        if self.is_parallel {
            let Job { key, branches, .. } = self.jobs.get_mut(job.slot as usize)?;
            let place = branches.iter().position(|branch| branch.number == call.number)?;
            branches[place].number = number;
            let step = self.calls.on_ended(now, &mut branches[place].state, *key, end);
            return self.follow_branch(now, job, place, step);
        }
        let Job { key, stage: JobStage::Worker(at_work), .. } = self.jobs.get_mut(job.slot as usize)? else {
            return None;
        };
        let calling = at_work.calling.as_mut()?;
        calling.number = number;
        let step = self.calls.on_ended(now, &mut calling.state, *key, end);
        self.follow(now, job, step)
    }

    /// The wait before a further attempt at a call is over.
    pub fn on_waited(&mut self, now: Timestamp, call: CallId) -> Option<Step> {
        let UnderWay { job, .. } = self.under_way(call)?;
        if self.is_parallel {
            let Job { branches, .. } = self.jobs.get_mut(job.slot as usize)?;
            let place = branches.iter().position(|branch| branch.number == call.number)?;
            let step = self.calls.on_waited(now, &mut branches[place].state);
            return self.follow_branch(now, job, place, step);
        }
        let JobStage::Worker(at_work) = &mut self.jobs.get_mut(job.slot as usize)?.stage else { return None };
        let step = self.calls.on_waited(now, &mut at_work.calling.as_mut()?.state);
        self.follow(now, job, step)
    }

    /// The answer to a job leaves the service, or begins to. That the job holds a worker is an invariant; `None` where that is
    /// broken.
    pub fn on_answered(
        &mut self,
        now: Timestamp,
        answer: ServiceAnswer,
        witness: &mut impl Witness<N>,
    ) -> Option<Answered<N>> {
        let ServiceAnswer { job, status, breaks_off, .. } = answer;
        if self.job(job).is_some_and(|job| matches!(job.stage, JobStage::Cached(_))) {
            let note = Some(self.remove(job.slot, witness).note);
            return Some(Answered::Whole { note, next: None });
        }
        let holds_worker = self.at_work(job).is_some();
        self.invariants.hold(holds_worker, "a job is answered that holds no worker");
        let at_work = self.at_work(job)?;
        let Work { body, fault, .. } = at_work.work;
        if at_work.trickling.is_none() && !body.is_zero() {
            at_work.trickling = Some(Trickling { status, since: now });
            self.turn(job.slot, fault.map_or(Activity::Work, Activity::Struck));
            return Some(Answered::Trickles(Due { at: now + body, job }));
        }
        self.leave(job.slot);
        if (200..300).contains(&status)
            && !breaks_off
            && let Some(object) = self.jobs[job.slot as usize].fills.take()
            && let Some(cache) = &mut self.cache
        {
            cache.on_filled(now, job, object);
        }
        let Job { note, caller_left, .. } = self.remove(job.slot, witness);
        let next = self.upstream.on_completed(now);
        let next = self.start_next(now, next, witness);
        self.tell_load(witness);
        Some(Answered::Whole { note: (!caller_left).then_some(note), next })
    }

    /// Nobody waits for the answer to a job any more.
    ///
    /// A job at the door or at the cache is gone. In the queue or on a worker, it stays unless the service notices
    /// ([`UpstreamConfig::cancel_on_disconnect`]) or the job hangs: a queued job gets its worker when its turn comes, and the work is
    /// done for nobody. A job that would hang then is given up at its start.
    ///
    /// Of a job that is gone: its note, and when the own work is done on the job that takes over the worker, if one does.
    pub fn on_caller_left(
        &mut self,
        now: Timestamp,
        job: JobId,
        witness: &mut impl Witness<N>,
    ) -> Option<(N, Option<Due>)> {
        self.job(job)?;
        let JobId { slot, .. } = job;
        let Job { stage, since, caller_left, .. } = &mut self.jobs[slot as usize];
        *caller_left = true;
        let is_before_service = !matches!(stage, JobStage::Queue | JobStage::Worker(_));
        let since = *since;
        let at_own_work = matches!(stage, JobStage::Worker(AtWork { activity: Activity::Work, .. }));
        if is_before_service {
            return Some((self.remove(slot, witness).note, None));
        }
        let gone = match self.upstream.on_caller_left(now, slot) {
            Left::Unnoticed => {
                if at_own_work {
                    self.turn(slot, Activity::Abandoned);
                }
                None
            }
            Left::Unqueued => {
                witness.hear(ServiceEvent::LeftQueue(now - since));
                Some((self.remove(slot, witness).note, None))
            }
            Left::Freed(next) => {
                self.leave(slot);
                let Job { stage, branches, note, .. } = self.remove(slot, witness);
                match stage {
                    JobStage::Worker(AtWork { calling: Some(calling), .. }) if !self.is_parallel => {
                        self.calls.on_given_up(calling.state);
                    }
                    _ => {
                        for branch in branches {
                            self.calls.on_given_up(branch.state);
                        }
                    }
                }
                Some((note, self.start_next(now, next, witness)))
            }
        };
        self.tell_load(witness);
        gone
    }

    /// The run ends: what still waits in the queue has waited until now.
    pub fn on_run_ended(&self, now: Timestamp, witness: &mut impl Witness<N>) {
        for (_, job) in &self.jobs {
            if let JobStage::Queue = job.stage {
                witness.hear(ServiceEvent::LeftQueue(now - job.since));
            }
        }
    }

    /// The next change of the condition of a breaker of this service: the number of the upstream behind the breaker, and the
    /// change.
    #[inline]
    pub fn poll_transition(&mut self) -> Option<(usize, Transition)> {
        self.calls.poll_transition()
    }

    /// The next broken invariant to tell of, as [`Invariants::poll`] has it.
    #[inline]
    pub fn poll_violation(&self) -> Option<Violation> {
        self.invariants.poll()
    }

    /// A job that is not gone.
    pub fn job(&self, job: JobId) -> Option<&Job<N>> {
        self.jobs.get(job.slot as usize).filter(|present| present.number == job.number)
    }

    /// The note of a job that is not gone.
    pub fn note_mut(&mut self, job: JobId) -> Option<&mut N> {
        let present = self.jobs.get_mut(job.slot as usize)?;
        (present.number == job.number).then_some(&mut present.note)
    }

    /// An attempt at a call, unless it has ended.
    pub fn under_way(&self, call: CallId) -> Option<UnderWay> {
        let job = self.jobs.get(call.slot as usize)?;
        let JobStage::Worker(AtWork { calling: Some(calling), .. }) = &job.stage else { return None };
        let (number, state) = if self.is_parallel {
            let branch = job.branches.iter().find(|branch| branch.number == call.number)?;
            (branch.number, &branch.state)
        } else {
            (calling.number, &calling.state)
        };
        (number == call.number).then_some(UnderWay {
            job: JobId { slot: call.slot, number: job.number },
            call: state.call(),
            sent: state.sent(),
        })
    }

    /// What most of the workers are busy with; of equals the first in the order of [`Activity`]. `Work` for an idle service.
    pub fn main_activity(&self) -> Activity {
        let places = self.busy.iter().enumerate();
        let most = places.rev().max_by_key(|(_, busy)| **busy);
        most.map_or(Activity::Work, |(place, _)| self.activity(place))
    }

    /// Whether the answer to a job has begun, whose body trickles.
    pub fn trickles(&self, job: JobId) -> bool {
        self.job(job).is_some_and(|job| match job.stage {
            JobStage::Worker(at_work) => at_work.trickling.is_some(),
            _ => false,
        })
    }

    /// Whether a job waits at the cache for the answer to another.
    pub fn waits_at_cache(&self, job: JobId) -> bool {
        self.job(job).is_some_and(|job| matches!(job.stage, JobStage::Waits(_)))
    }

    /// Jobs that hold a worker.
    pub fn in_flight(&self) -> u32 {
        self.upstream.in_flight()
    }

    /// Jobs that wait for a worker.
    pub fn queued(&self) -> u32 {
        self.upstream.queued()
    }

    /// Has the token judged where the service does so, unless a fault answers before any of its code runs.
    fn admit(&mut self, now: Timestamp, slot: u32, witness: &mut impl Witness<N>) -> Arrival<N> {
        let key = self.jobs[slot as usize].key;
        if self.judges_tokens && !self.upstream.is_struck_at_the_door(now, key) {
            return Arrival::AtDoor;
        }
        self.accept(now, slot, witness)
    }

    /// Asks the cache, if there is one that may answer, and then the service.
    fn accept(&mut self, now: Timestamp, slot: u32, witness: &mut impl Witness<N>) -> Arrival<N> {
        let job = &mut self.jobs[slot as usize];
        job.since = now;
        let Some(cache) = self.cache.as_mut().filter(|_| job.content.is_cacheable) else {
            return self.take_on(now, slot, witness);
        };
        let id = JobId { slot, number: job.number };
        match cache.on_request(now, id, job.content.draw.at(self.path)) {
            Lookup::Hit => self.answer_from_cache(now, slot, CacheUse::Hit, witness),
            Lookup::Stale => self.answer_from_cache(now, slot, CacheUse::Stale, witness),
            Lookup::Miss { fills } => self.miss(now, slot, fills, witness),
            Lookup::Wait { object, until } => {
                job.stage = JobStage::Waits(object);
                Arrival::Waits { until }
            }
        }
    }

    /// The cache answers a job.
    fn answer_from_cache(
        &mut self,
        now: Timestamp,
        slot: u32,
        cache_use: CacheUse,
        witness: &mut impl Witness<N>,
    ) -> Arrival<N> {
        witness.hear(ServiceEvent::Cache(cache_use));
        let job = &mut self.jobs[slot as usize];
        let time = self.cache.as_ref().map_or(Duration::ZERO, |cache| cache.hit_latency(job.key));
        job.stage =
            JobStage::Cached(Work { time: Some(time), body: Duration::ZERO, reset: false, fault: None });
        Arrival::Cached(Due { at: now + time, job: JobId { slot, number: job.number } })
    }

    /// The cache does not answer a job: the service is asked.
    fn miss(
        &mut self,
        now: Timestamp,
        slot: u32,
        fills: Option<ObjectId>,
        witness: &mut impl Witness<N>,
    ) -> Arrival<N> {
        witness.hear(ServiceEvent::Cache(CacheUse::Miss));
        let job = &mut self.jobs[slot as usize];
        (job.fills, job.since, job.stage) = (fills, now, JobStage::Door);
        self.take_on(now, slot, witness)
    }

    /// Takes a request on, or turns it away for want of room or by a fault.
    fn take_on(&mut self, now: Timestamp, slot: u32, witness: &mut impl Witness<N>) -> Arrival<N> {
        let job = &mut self.jobs[slot as usize];
        let arrival = match self.upstream.on_request(now, slot, job.key) {
            Reaction::Started(work) => {
                witness.hear(ServiceEvent::Accepted(&job.note));
                Arrival::Started(self.start(now, slot, work, witness))
            }
            Reaction::Queued => {
                job.stage = JobStage::Queue;
                witness.hear(ServiceEvent::Accepted(&job.note));
                Arrival::Queued
            }
            Reaction::Answered { status, fault, retry_after } => {
                let error = |fault| TurnedAway::Error { status, retry_after, fault };
                let by = fault.map_or(TurnedAway::QueueFull, error);
                if by == TurnedAway::QueueFull {
                    witness.hear(ServiceEvent::Rejected);
                }
                Arrival::TurnedAway { note: self.remove(slot, witness).note, by }
            }
            Reaction::Refused { fault } => {
                let note = self.remove(slot, witness).note;
                Arrival::TurnedAway { note, by: TurnedAway::Refused { fault } }
            }
        };
        self.tell_load(witness);
        arrival
    }

    /// A worker that was let go takes the job that the machine says, if any; what the machine passed over is gone.
    fn start_next(
        &mut self,
        now: Timestamp,
        next: Option<(u32, Work)>,
        witness: &mut impl Witness<N>,
    ) -> Option<Due> {
        let mut next = next;
        // As long as the queue is, at most.
        loop {
            while let Some(slot) = self.upstream.poll_given_up() {
                if self.waits(slot) {
                    let job = self.remove(slot, witness);
                    witness.hear(ServiceEvent::Waited(now - job.since));
                }
            }
            let (slot, work) = next?;
            if self.waits(slot) {
                return self.start(now, slot, work, witness);
            }
            // Nobody else would let that worker go.
            next = self.upstream.on_completed(now);
        }
    }

    /// Whether a job waits that the queue has named.
    fn waits(&self, slot: u32) -> bool {
        let stage = self.jobs.get(slot as usize).map(|job| &job.stage);
        self.invariants
            .hold(matches!(stage, Some(JobStage::Queue)), "the queue names a job that does not wait")
    }

    /// A worker takes a job.
    fn start(&mut self, now: Timestamp, slot: u32, work: Work, witness: &mut impl Witness<N>) -> Option<Due> {
        let job = &mut self.jobs[slot as usize];
        let own = if job.caller_left { Activity::Abandoned } else { Activity::Work };
        let activity = work.fault.map_or(own, Activity::Struck);
        job.stage =
            JobStage::Worker(AtWork { activity, work, since: now, calling: None, begun: 0, trickling: None });
        witness.hear(ServiceEvent::Waited(now - job.since));
        let id = JobId { slot, number: job.number };
        let place = self.place(activity);
        self.busy[place] += 1;
        self.at_work += 1;
        work.time.map(|time| Due { at: now + time, job: id })
    }

    /// Begins the next call that a job takes, of those that it makes at once.
    fn next_branch(&mut self, now: Timestamp, job: JobId) -> Option<Step> {
        let &Job { key, content, .. } = self.job(job)?;
        let content = content.draw.at(self.path);
        // As many as the service makes, at most.
        loop {
            let at_work = self.at_work(job)?;
            let call = at_work.begun;
            at_work.begun += 1;
            if call >= self.calls.count() {
                return None;
            }
            if let Some((state, step)) = self.calls.on_branch(now, key, content, call) {
                let branches = &mut self.jobs[job.slot as usize].branches;
                let place = branches.len();
                self.issued = self.issued.wrapping_add(1);
                branches.push(Branch { number: self.issued, state });
                return self.follow_branch(now, job, place, step);
            }
        }
    }

    /// Does what one of several calls at once says. The first that fails is the answer, and the others are given up; else
    /// the last to end is.
    fn follow_branch(&mut self, now: Timestamp, job: JobId, place: usize, step: CallStep) -> Option<Step> {
        let Branch { number, state } = *self.jobs.get(job.slot as usize)?.branches.get(place)?;
        let calls = self.calls.count();
        let at_work = self.at_work(job)?;
        let since = at_work.calling.map_or(now, |calling| calling.since);
        at_work.calling = Some(Calling { number, state, since });
        let all_begun = at_work.begun >= calls;
        if let CallStep::Answer { outcome, .. } = step {
            let branches = &mut self.jobs[job.slot as usize].branches;
            branches.remove(place);
            if outcome == CallsOutcome::Done {
                let next = branches.first().map(|branch| branch.state.call());
                if let Some(call) = next {
                    self.turn(job.slot, Activity::Calling(call));
                }
                if next.is_some() || !all_begun {
                    return None;
                }
            } else {
                let rest = std::mem::take(branches);
                for branch in rest {
                    self.calls.on_given_up(branch.state);
                }
            }
        }
        self.follow(now, job, step)
    }

    /// Does what the calls of a job say.
    fn follow(&mut self, now: Timestamp, job: JobId, step: CallStep) -> Option<Step> {
        match step {
            CallStep::Ask(ask) => {
                self.turn(job.slot, Activity::Calling(ask.call));
                let key = self.jobs[job.slot as usize].key;
                let (call, deadline) = (self.call_id(job)?, ask.timeout.map(|timeout| now + timeout));
                Some(Step::Ask(Asking { job, call, ask, key, deadline }))
            }
            CallStep::Wait(wait) => {
                let until = now + service_is_back_after(wait);
                Some(Step::Wait { until, call: self.call_id(job)? })
            }
            CallStep::Answer { status, outcome } => {
                let breaks_off = self.at_work(job)?.work.reset;
                Some(Step::Answer(ServiceAnswer { job, status, breaks_off, calls: Some(outcome) }))
            }
        }
    }

    fn call_id(&mut self, job: JobId) -> Option<CallId> {
        let number = self.at_work(job)?.calling?.number;
        Some(CallId { slot: job.slot, number })
    }

    fn at_work(&mut self, job: JobId) -> Option<&mut AtWork> {
        match self.jobs.get_mut(job.slot as usize)? {
            Job { number, stage: JobStage::Worker(at_work), .. } if *number == job.number => Some(at_work),
            _ => None,
        }
    }

    /// The worker of a job turns to something else.
    fn turn(&mut self, slot: u32, to: Activity) {
        self.leave(slot);
        if let JobStage::Worker(at_work) = &mut self.jobs[slot as usize].stage {
            at_work.activity = to;
        }
        let place = self.place(to);
        self.busy[place] += 1;
        self.at_work += 1;
    }

    /// The worker of a job turns away from what it was busy with.
    fn leave(&mut self, slot: u32) {
        let JobStage::Worker(AtWork { activity, .. }) = self.jobs[slot as usize].stage else {
            self.invariants.hold(false, "a worker is let go by a job that holds none");
            return;
        };
        let place = self.place(activity);
        self.invariants
            .decrement(&mut self.busy[place], "a worker turns away from what it was not busy with");
        self.invariants.decrement(&mut self.at_work, "a worker turns away that was not at work");
    }

    fn remove(&mut self, slot: u32, witness: &mut impl Witness<N>) -> Job<N> {
        let job = self.jobs.remove(slot as usize);
        if let Some(cache) = &mut self.cache {
            let id = JobId { slot, number: job.number };
            // However it ended: nobody waits for a job that is gone.
            if let Some(object) = job.fills {
                cache.on_not_filled(id, object);
            }
            if let JobStage::Waits(object) = job.stage {
                cache.on_left(id, object);
            }
        }
        witness.hear(ServiceEvent::Gone(&job.note));
        job
    }

    fn tell_load(&self, witness: &mut impl Witness<N>) {
        let (in_flight, queued) = (self.upstream.in_flight(), self.upstream.queued());
        self.invariants.hold(self.at_work == in_flight, "as many jobs hold a worker as workers are in use");
        witness.hear(ServiceEvent::Load { in_flight, queued });
    }

    fn next_number(&mut self) -> u32 {
        self.issued = self.issued.wrapping_add(1);
        self.issued
    }

    /// The place of an activity in the list of them all.
    fn place(&self, activity: Activity) -> usize {
        match activity {
            Activity::Work => 0,
            Activity::Abandoned => 1,
            Activity::Struck(fault) => 2 + fault.0 as usize,
            Activity::Calling(call) => 2 + self.faults + call,
        }
    }

    /// The activity at a place.
    fn activity(&self, place: usize) -> Activity {
        match place.checked_sub(2 + self.faults) {
            Some(call) => Activity::Calling(call),
            None => match place {
                0 => Activity::Work,
                1 => Activity::Abandoned,
                fault => Activity::Struck(FaultId(fault as u32 - 2)),
            },
        }
    }
}

impl<N> Job<N> {
    /// What the caller of the machine keeps beside the job.
    pub const fn note(&self) -> &N {
        &self.note
    }

    /// When the service took the request on.
    pub const fn since(&self) -> Timestamp {
        self.since
    }

    /// Whether the token has not been judged yet.
    pub const fn is_at_door(&self) -> bool {
        matches!(self.stage, JobStage::Door)
    }

    /// What the job's worker is busy with; `None` for a job without one.
    pub const fn activity(&self) -> Option<Activity> {
        match self.stage {
            JobStage::Worker(AtWork { activity, .. }) => Some(activity),
            _ => None,
        }
    }

    /// What was drawn for the job when a worker took it, or the cache.
    pub const fn work(&self) -> Option<Work> {
        match self.stage {
            JobStage::Worker(AtWork { work, .. }) | JobStage::Cached(work) => Some(work),
            _ => None,
        }
    }

    /// Number of the call that the job is at, or was at last; `None` where it has made none.
    pub const fn call(&self) -> Option<usize> {
        match self.stage {
            JobStage::Worker(AtWork { calling: Some(calling), .. }) => Some(calling.state.call()),
            _ => None,
        }
    }

    /// Where the job's time went until now; `None` for a job without a worker.
    pub fn spent(&self, now: Timestamp) -> Option<Spent> {
        let JobStage::Worker(AtWork { since, calling, trickling, .. }) = self.stage else { return None };
        let answered = trickling.map_or(now, |trickling| trickling.since);
        let worked_until = calling.map_or(answered, |calling| calling.since);
        Some(Spent {
            waited: since - self.since,
            worked: worked_until - since + (now - answered),
            called: answered - worked_until,
        })
    }
}

impl Asking {
    /// Where the service time of the one asked is drawn.
    pub fn stream(&self) -> Stream {
        self.key.at(u64::from(self.ask.attempt))
    }
}

impl ServiceAnswer {
    /// How the answer ends for whoever asked.
    pub fn end(self) -> AttemptEnd {
        end_of_answer(self.status, self.breaks_off, None)
    }
}

/// How an answer ends for whoever asked: a failure that breaks off is the failure that its head tells.
pub(crate) fn end_of_answer(status: u16, breaks_off: bool, retry_after: Option<Duration>) -> AttemptEnd {
    if breaks_off && status < 400 { AttemptEnd::Cut } else { AttemptEnd::answered(status, retry_after) }
}

impl TurnedAway {
    /// How the answer ends for whoever asked.
    pub fn end(self) -> AttemptEnd {
        match self {
            Self::QueueFull => AttemptEnd::Answered(503),
            Self::Error { status, retry_after, .. } => {
                let wait = |seconds: NonZeroU32| Duration::from_secs(u64::from(seconds.get()));
                AttemptEnd::answered(status, retry_after.map(wait))
            }
            Self::Refused { .. } => AttemptEnd::Broken,
            Self::Token(rejection) => AttemptEnd::Answered(rejection.status()),
        }
    }
}

#[cfg(test)]
mod tests {
    use gateway::auth::AuthConfig;
    use gateway::{FailureSet, HostsConfig, PoolConfig, RetryPolicy, UpstreamId};

    use super::*;
    use crate::cache::{CacheConfig, CacheContents, CachedObjects};
    use crate::fault::{Fault, FaultKind};
    use crate::latency::Latency;
    use crate::popularity::Popularity;
    use crate::upstream::Call;

    const WORK: Duration = Duration::from_millis(5);

    /// One worker and one place in the queue.
    fn config() -> UpstreamConfig {
        UpstreamConfig {
            pool: PoolConfig { workers: NonZeroU32::new(1), queue: Some(1), queue_timeout: None },
            latency: Latency::constant(WORK).unwrap(),
            latency_factor: 1.0,
            load_latency: Duration::ZERO,
            cancel_on_disconnect: false,
            calls: Vec::new(),
            parallel: false,
            cache: None,
            auth: None,
        }
    }

    fn calling(retries: u32) -> UpstreamConfig {
        let on = FailureSet { server_errors: true, ..FailureSet::default() };
        let retry = RetryPolicy { retries, on, ..RetryPolicy::default() };
        UpstreamConfig {
            calls: vec![Call {
                upstream: 1,
                share: 1.0,
                timeout: None,
                retry,
                breaker: None,
                hosts: HostsConfig::default(),
            }],
            ..config()
        }
    }

    /// Struck from a second on, for a second.
    fn service(config: UpstreamConfig, kind: Option<FaultKind>) -> Service<&'static str> {
        let second = Duration::from_secs(1);
        let fault = kind.map(|kind| Fault::new(second, second, 1.0, kind, String::new()).unwrap());
        Service::new("orders", config, Timestamp::EPOCH, FaultTimeline::new(1, &fault), 1)
    }

    fn at(millis: u64) -> Timestamp {
        Timestamp::EPOCH + Duration::from_millis(millis)
    }

    fn quiet(_: ServiceEvent<'_, &'static str>) {}

    /// What the request of that number asks for.
    fn content(request: u64) -> Content {
        Content { draw: Stream::new(1, Purpose::Content, "buyers").at(request), is_cacheable: true }
    }

    fn ask(service: &mut Service<&'static str>, millis: u64) -> (JobId, Arrival<&'static str>) {
        let key = Stream::new(1, Purpose::Service, "buyers");
        service.on_request(at(millis), key, content(0), "note", &mut quiet)
    }

    fn answer(step: Option<Step>) -> ServiceAnswer {
        match step {
            Some(Step::Answer(answer)) => answer,
            other => panic!("{other:?} is no answer"),
        }
    }

    fn asking(step: Option<Step>) -> Asking {
        match step {
            Some(Step::Ask(asking)) => asking,
            other => panic!("{other:?} asks nobody"),
        }
    }

    #[test]
    fn a_worker_goes_from_one_job_to_the_next() {
        let mut service = service(config(), None);
        let due = |job, millis| Due { at: at(millis), job };
        let (first, arrival) = ask(&mut service, 0);
        assert_eq!(arrival, Arrival::Started(Some(due(first, 5))));
        let (second, arrival) = ask(&mut service, 1);
        assert_eq!(arrival, Arrival::Queued);
        let (_, arrival) = ask(&mut service, 1);
        assert_eq!(arrival, Arrival::TurnedAway { note: "note", by: TurnedAway::QueueFull });
        let done = answer(service.on_due(at(5), first));
        assert_eq!((done.end(), done.calls), (AttemptEnd::Answered(200), Some(CallsOutcome::Done)));
        let mut seen = Vec::new();
        let answered = service.on_answered(at(5), done, &mut |event: ServiceEvent<'_, _>| {
            if let ServiceEvent::Waited(waited) = event {
                seen.push(waited);
            }
        });
        assert_eq!(answered, Some(Answered::Whole { note: Some("note"), next: Some(due(second, 10)) }));
        assert_eq!(seen, [Duration::from_millis(4)]);
        assert_eq!(service.on_due(at(6), first), None, "of a job that is gone");
    }

    /// The job that is done, answered twice: what the second answer came to.
    fn answer_twice(service: &mut Service<&'static str>) -> Option<Answered<&'static str>> {
        let (job, _) = ask(service, 0);
        let done = answer(service.on_due(at(5), job));
        service.on_answered(at(5), done, &mut quiet);
        service.on_answered(at(5), done, &mut quiet)
    }

    #[test]
    #[should_panic(expected = "a job is answered that holds no worker")]
    fn an_answer_too_many_panics() {
        answer_twice(&mut service(config(), None));
    }

    #[test]
    #[should_panic(expected = "as many jobs hold a worker as workers are in use")]
    fn a_worker_that_is_busy_with_nothing_panics() {
        let mut service = service(config(), None);
        service.at_work = 1;
        ask(&mut service, 0);
    }

    #[test]
    fn a_service_that_counts_goes_on_when_its_counters_are_wrong() {
        let mut service = Service::with_invariants(
            "orders",
            config(),
            Timestamp::EPOCH,
            FaultTimeline::default(),
            1,
            Invariants::counting(),
        );
        assert_eq!(answer_twice(&mut service), None);
        let violation = service.poll_violation().unwrap();
        assert_eq!((violation.what, violation.times), ("a job is answered that holds no worker", 1));

        // A job that vanishes from the queue takes no worker with it.
        let (first, _) = ask(&mut service, 10);
        let (second, arrival) = ask(&mut service, 10);
        assert_eq!(arrival, Arrival::Queued);
        service.jobs.remove(second.slot as usize);
        let done = answer(service.on_due(at(15), first));
        let answered = service.on_answered(at(15), done, &mut quiet);
        assert_eq!(answered, Some(Answered::Whole { note: Some("note"), next: None }));
        let violation = service.poll_violation().unwrap();
        assert_eq!(violation.what, "the queue names a job that does not wait");
        assert_eq!((service.poll_violation(), service.in_flight()), (None, 0));
        assert!(matches!(ask(&mut service, 20).1, Arrival::Started(Some(_))));
    }

    #[test]
    fn what_a_caller_leaves_behind_is_worked_on_and_shows() {
        let mut service = service(config(), None);
        let (first, _) = ask(&mut service, 0);
        let (second, _) = ask(&mut service, 0);
        assert_eq!(service.main_activity(), Activity::Work);
        assert_eq!(service.on_caller_left(at(1), first, &mut quiet), None);
        assert_eq!(service.main_activity(), Activity::Abandoned);
        assert_eq!(service.on_caller_left(at(1), second, &mut quiet), None);
        let done = answer(service.on_due(at(5), first));
        let answered = service.on_answered(at(5), done, &mut quiet);
        let next = Some(Due { at: at(10), job: second });
        assert_eq!(answered, Some(Answered::Whole { note: None, next }));
        assert_eq!(service.main_activity(), Activity::Abandoned, "nobody waits for it from its start on");
    }

    #[test]
    fn a_request_is_an_attempt_before_its_token_is_judged() {
        let auth = Some(AuthConfig::new(UpstreamId(1)));
        let mut service = service(
            UpstreamConfig { auth, ..config() },
            Some(FaultKind::Error { status: 500, retry_after: None }),
        );
        let mut attempts = 0;
        let key = Stream::new(1, Purpose::Service, "buyers");
        let (job, arrival) =
            service.on_request(at(0), key, content(0), "note", &mut |event: ServiceEvent<'_, _>| {
                attempts += u32::from(matches!(event, ServiceEvent::Attempt(_)));
            });
        assert_eq!((arrival, attempts), (Arrival::AtDoor, 1));
        assert_eq!(service.on_caller_left(at(1), job, &mut quiet), Some(("note", None)));
        assert_eq!(service.on_judged(at(1), job, Ok(()), &mut quiet), None);
        let rejection = Rejection::KeysUnavailable { retry_after: WORK };
        for (millis, by) in [
            (2, TurnedAway::Token(rejection)),
            // A fault that began while the verdict was awaited comes before any code of the service's.
            (1_000, TurnedAway::Error { status: 500, retry_after: None, fault: FaultId(0) }),
        ] {
            let (job, _) = ask(&mut service, 2);
            let arrival = service.on_judged(at(millis), job, Err(rejection), &mut quiet);
            assert_eq!(arrival, Some(Arrival::TurnedAway { note: "note", by }));
        }
    }

    #[test]
    fn a_further_attempt_at_a_call_comes_a_round_trip_later_and_an_old_one_is_not_heard() {
        let mut service = service(calling(1), None);
        let (job, _) = ask(&mut service, 0);
        let first = asking(service.on_due(at(5), job));
        assert_eq!(service.main_activity(), Activity::Calling(0));
        let step = service.on_call_ended(at(7), first.call, AttemptEnd::Answered(500));
        let Some(Step::Wait { until, call }) = step else { panic!("{step:?} is no wait") };
        assert_eq!(until, at(8), "the policy does not wait at all");
        assert_eq!(service.on_call_ended(at(7), first.call, AttemptEnd::TimedOut), None);
        let second = asking(service.on_waited(until, call));
        assert_ne!(second.stream(), first.stream());
        let done = answer(service.on_call_ended(at(9), second.call, AttemptEnd::Answered(200)));
        let spent = service.job(job).and_then(|job| job.spent(at(9))).unwrap();
        assert_eq!((spent.worked, spent.called), (WORK, Duration::from_millis(4)));
        service.on_answered(at(9), done, &mut quiet);
        assert_eq!((service.in_flight(), service.main_activity()), (0, Activity::Work));
    }

    /// Two calls at once, each tried again once.
    fn calling_at_once() -> Service<&'static str> {
        let call = calling(1).calls.remove(0);
        let calls = vec![call.clone(), Call { upstream: 2, ..call }];
        service(UpstreamConfig { calls, parallel: true, ..config() }, None)
    }

    #[test]
    fn calls_at_once_are_answered_when_the_last_one_is() {
        let mut service = calling_at_once();
        let (job, _) = ask(&mut service, 0);
        let first = asking(service.on_due(at(5), job));
        let second = asking(service.poll_call(at(5), job));
        assert_eq!(service.poll_call(at(5), job), None);
        assert_eq!([first.ask.upstream, second.ask.upstream], [1, 2]);
        assert_ne!(first.stream(), second.stream());
        // The second is tried again, and the first comes meanwhile.
        let step = service.on_call_ended(at(7), second.call, AttemptEnd::Answered(500));
        let Some(Step::Wait { call, .. }) = step else { panic!("{step:?} is no wait") };
        assert_eq!(service.on_call_ended(at(7), second.call, AttemptEnd::Answered(200)), None, "it is over");
        assert_eq!(service.on_call_ended(at(8), first.call, AttemptEnd::Answered(200)), None);
        assert_eq!(service.main_activity(), Activity::Calling(1));
        let again = asking(service.on_waited(at(8), call));
        assert_eq!((again.ask.upstream, again.ask.attempt), (2, 1_025));
        let done = answer(service.on_call_ended(at(9), again.call, AttemptEnd::Answered(200)));
        assert_eq!((done.status, done.calls), (200, Some(CallsOutcome::Done)));
        let spent = service.job(job).and_then(|job| job.spent(at(9))).unwrap();
        assert_eq!((spent.worked, spent.called), (WORK, Duration::from_millis(4)));
        service.on_answered(at(9), done, &mut quiet);
        assert_eq!(service.in_flight(), 0);
    }

    #[test]
    fn the_first_of_calls_at_once_that_fails_is_the_answer() {
        let mut service = calling_at_once();
        let (job, _) = ask(&mut service, 0);
        let first = asking(service.on_due(at(5), job));
        let second = asking(service.poll_call(at(5), job));
        let failed = answer(service.on_call_ended(at(6), second.call, AttemptEnd::Answered(404)));
        assert_eq!((failed.status, failed.calls), (502, Some(CallsOutcome::Failed)));
        assert_eq!(service.job(job).and_then(Job::call), Some(1), "it is known which one that was");
        service.on_answered(at(6), failed, &mut quiet);
        assert_eq!(service.on_call_ended(at(7), first.call, AttemptEnd::Answered(200)), None);
        assert_eq!(service.in_flight(), 0);
    }

    #[test]
    fn what_a_cache_has_takes_no_worker_and_what_it_has_not_is_kept_when_it_came_whole() {
        let one = NonZeroU32::MIN;
        let objects = CachedObjects {
            popularity: Popularity::new(one, 0.0).unwrap(),
            ttl: Latency::constant(Duration::from_secs(1)).unwrap(),
            stale: Duration::ZERO,
            warm: false,
            collapse: true,
            collapse_timeout: None,
        };
        let (contents, hit_latency) = (CacheContents::Objects(objects), Latency::constant(WORK).unwrap());
        let cache = Some(CacheConfig { contents, hit_latency, host: 0 });
        // Struck from 1 s on: an answer that breaks off is not kept.
        let mut service = service(UpstreamConfig { cache, ..config() }, Some(FaultKind::Reset));
        let (job, arrival) = ask(&mut service, 990);
        assert_eq!(arrival, Arrival::Started(Some(Due { at: at(995), job })));
        let (waits, arrival) = ask(&mut service, 991);
        assert_eq!(arrival, Arrival::Waits { until: None });
        assert_eq!((service.in_flight(), service.queued()), (1, 0));
        let done = answer(service.on_due(at(995), job));
        service.on_answered(at(995), done, &mut quiet);
        let due = Due { at: at(1_000), job: waits };
        assert_eq!(service.poll_released(at(995), &mut quiet), Some((waits, Arrival::Cached(due))));
        assert_eq!(service.poll_released(at(995), &mut quiet), None);
        let done = answer(service.on_due(due.at, waits));
        let whole = Answered::Whole { note: Some("note"), next: None };
        assert_eq!(service.on_answered(due.at, done, &mut quiet), Some(whole));
        // Fresh until 1.995 s.
        assert!(matches!(ask(&mut service, 1_994).1, Arrival::Cached(_)));
        let (broken, _) = ask(&mut service, 1_995);
        let (waits, _) = ask(&mut service, 1_996);
        let done = answer(service.on_due(at(2_000), broken));
        assert!(done.breaks_off);
        service.on_answered(at(2_000), done, &mut quiet);
        // Who waited asks the service by itself.
        let due = Due { at: at(2_005), job: waits };
        assert_eq!(service.poll_released(at(2_000), &mut quiet), Some((waits, Arrival::Started(Some(due)))));
        assert_eq!(service.on_caller_left(at(2_001), waits, &mut quiet), None, "the service works on");
    }

    #[test]
    fn a_failure_that_breaks_off_is_what_its_head_says() {
        for (called, end) in [(200, AttemptEnd::Cut), (500, AttemptEnd::Answered(502))] {
            let mut service = service(calling(0), Some(FaultKind::Reset));
            let (job, _) = ask(&mut service, 1_000);
            let asking = asking(service.on_due(at(1_005), job));
            let answer = answer(service.on_call_ended(at(1_006), asking.call, AttemptEnd::Answered(called)));
            assert_eq!((answer.breaks_off, answer.end()), (true, end));
        }
    }

    #[test]
    fn a_body_trickles_after_the_calls_and_holds_the_worker() {
        let body = Latency::constant(Duration::from_secs(7)).unwrap();
        let mut service = service(calling(0), Some(FaultKind::Drip { body }));
        let (job, _) = ask(&mut service, 1_000);
        let asking = asking(service.on_due(at(1_005), job));
        let begun = answer(service.on_call_ended(at(1_006), asking.call, AttemptEnd::Answered(200)));
        let due = Due { at: at(8_006), job };
        assert_eq!(service.on_answered(at(1_006), begun, &mut quiet), Some(Answered::Trickles(due)));
        assert_eq!(service.main_activity(), Activity::Struck(FaultId(0)));
        let ended = answer(service.on_due(due.at, job));
        assert_eq!((ended.end(), ended.calls), (AttemptEnd::Answered(200), None));
        let whole = Answered::Whole { note: Some("note"), next: None };
        assert_eq!(service.on_answered(due.at, ended, &mut quiet), Some(whole));
    }
}
