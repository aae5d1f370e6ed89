//! Laws of the rate limits, whatever arrives: the bound of each algorithm, its agreement with an obvious
//! model, exact waits, and forgetting that nobody can see.
//!
//! The model keeps every request of a bucket for ever and computes each answer anew from that history, in
//! wide integers. A request that counts as several is as many in the history.

use std::collections::BTreeMap;
use std::time::Duration;

use gateway::{Algorithm, KeyedLimiter, RateLimit, Timestamp, Verdict, WindowFrom};
use proptest::prelude::*;
use proptest::sample::Index;

const NINE: u64 = 1_780_390_800 * 1_000_000_000;

// The model.

/// One request as the model remembers it.
#[derive(Clone, Copy)]
struct Counted {
    at: i128,
    admitted: bool,
}

/// The history of one bucket under a limit.
struct Model {
    settings: RateLimit,
    history: Vec<Counted>,
}

impl Model {
    fn new(settings: RateLimit) -> Self {
        Self { settings, history: Vec::new() }
    }

    fn check(&mut self, now: i128) -> Verdict {
        self.take(now, 1)
    }

    fn take(&mut self, now: i128, cost: u32) -> Verdict {
        // All of it is admitted if the last part is, when the others have been before it.
        let before = i128::from(cost) - 1;
        let admitted = self.admits(now, before);
        (0..cost).for_each(|_| self.history.push(Counted { at: now, admitted }));
        if admitted {
            let remaining = self.remaining(now);
            match self.wait() {
                0 => Verdict::Admitted { remaining },
                wait => Verdict::Delayed { remaining, wait: Duration::from_nanos(wait as u64) },
            }
        } else {
            self.rejected(now, before)
        }
    }

    /// What a request is told that is not counted.
    fn peek(&self, now: i128, cost: u32) -> Verdict {
        let before = i128::from(cost) - 1;
        if self.admits(now, before) {
            Verdict::Admitted { remaining: self.remaining(now) }
        } else {
            self.rejected(now, before)
        }
    }

    /// The largest number of further requests of which the last is admitted.
    fn remaining(&self, now: i128) -> u32 {
        partition_point(i128::from(u32::MAX), |further| self.admits(now, further)) as u32
    }

    fn rejected(&self, now: i128, before: i128) -> Verdict {
        let wait = partition_point((4 + before) * self.window(), |wait| !self.admits(now + wait, before));
        Verdict::Rejected { retry_after: Duration::from_nanos(wait as u64) }
    }

    /// How long the last request waits for its turn, in nanoseconds: where it stands in the list of departures, which are an
    /// interval apart, or when their requests come if that is later. As many as `delay` go ahead of their departures.
    fn wait(&self) -> i128 {
        let Some(delay) = self.settings.delay() else { return 0 };
        let limit = i128::from(self.settings.limit());
        let (mut departure, mut arrival) = (i128::MIN, 0);
        for request in self.history.iter().filter(|request| request.admitted) {
            // In parts of a nanosecond, of which there are `limit`.
            arrival = request.at * limit;
            departure = arrival.max(departure.saturating_add(self.window()));
        }
        let early = departure - arrival - i128::from(delay) * self.window();
        if early > 0 { (early + limit - 1) / limit } else { 0 }
    }

    /// Whether a request at `now` is admitted when `further` have been just before it, beside the history.
    fn admits(&self, now: i128, further: i128) -> bool {
        let limit = i128::from(self.settings.limit());
        let window = self.window();
        match self.settings.algorithm() {
            Algorithm::FixedWindow if self.settings.window_from() == WindowFrom::FirstRequest => {
                let mut own: Option<(i128, i128)> = None;
                for request in self.history.iter().filter(|request| request.admitted) {
                    own = match own {
                        Some((start, count)) if request.at - start < window => Some((start, count + 1)),
                        _ => Some((request.at, 1)),
                    };
                }
                let counted = own.filter(|(start, _)| now - start < window).map_or(0, |(_, count)| count);
                counted + further < limit
            }
            Algorithm::FixedWindow => {
                let this_window = self.count(|at| at / window == now / window);
                this_window + further < limit
            }
            Algorithm::SlidingWindowLog => self.count(|at| at > now - window) + further < limit,
            Algorithm::SlidingWindowCounter => {
                let begins = self.windows_begin(now);
                let current = self.count(|at| (at - begins).div_euclid(window) == (now - begins) / window);
                let previous =
                    self.count(|at| (at - begins).div_euclid(window) + 1 == (now - begins) / window);
                let in_view = window - (now - begins) % window;
                (current + further) * window + previous * in_view < limit * window
            }
            Algorithm::TokenBucket | Algorithm::Gcra | Algorithm::LeakyBucket => {
                self.level(now) - further * window >= window
            }
        }
    }

    /// When the windows of a sliding counter begin: with the clock, or with the first request that was counted after no other had been
    /// in its window or the one before.
    fn windows_begin(&self, now: i128) -> i128 {
        if self.settings.window_from() == WindowFrom::Clock {
            return 0;
        }
        let window = self.window();
        let count_rejected = self.settings.count_rejected();
        let counted = self.history.iter().filter(|request| request.admitted || count_rejected);
        let mut windows: Option<(i128, i128)> = None;
        for at in counted.map(|request| request.at).chain([now]) {
            windows = match windows {
                Some((begins, last)) if (at - begins) / window - (last - begins) / window < 2 => {
                    Some((begins, at))
                }
                _ => Some((at, at)),
            };
        }
        windows.map_or(now, |(begins, _)| begins)
    }

    /// What is in the bucket, in `window`ths of a token. Had the bucket no bottom and its last overflow been
    /// just before request i, it would hold its capacity and the refill since, less what was taken since; it
    /// really holds the least of these.
    fn level(&self, now: i128) -> i128 {
        let limit = i128::from(self.settings.limit());
        let capacity = i128::from(self.settings.allowance()) * self.window();
        let mut taken = 0;
        let mut level = capacity;
        for request in self.history.iter().rev().filter(|request| request.admitted) {
            taken += self.window();
            level = level.min(capacity + (now - request.at) * limit - taken);
        }
        level
    }

    fn count(&self, counts: impl Fn(i128) -> bool) -> i128 {
        let count_rejected = self.settings.count_rejected();
        let counted = self.history.iter().filter(|request| request.admitted || count_rejected);
        counted.filter(|request| counts(request.at)).fold(0, |count, _| count + 1)
    }

    fn window(&self) -> i128 {
        window_nanos(&self.settings)
    }
}

/// A bucket of tokens, followed from request to request, in `window`ths of a token.
struct Level {
    settings: RateLimit,
    parts: i128,
    at: i128,
}

impl Level {
    fn full(settings: RateLimit) -> Self {
        let parts = i128::from(settings.allowance()) * window_nanos(&settings);
        Self { settings, parts, at: 0 }
    }

    fn peek(&mut self, now: i128, cost: u32) -> Verdict {
        let (window, limit) = (window_nanos(&self.settings), i128::from(self.settings.limit()));
        let capacity = i128::from(self.settings.allowance()) * window;
        self.parts = capacity.min(self.parts + (now - self.at) * limit);
        self.at = now;
        let lacks = i128::from(cost) * window - self.parts;
        if lacks <= 0 {
            Verdict::Admitted { remaining: (self.parts / window) as u32 }
        } else {
            let wait = (lacks + limit - 1) / limit;
            Verdict::Rejected { retry_after: Duration::from_nanos(wait as u64) }
        }
    }

    fn charge(&mut self, now: i128, cost: u32) {
        self.peek(now, cost);
        self.parts = (self.parts - i128::from(cost) * window_nanos(&self.settings)).max(0);
    }
}

/// The first number up to `bound` for which `holds` no longer does.
fn partition_point(bound: i128, holds: impl Fn(i128) -> bool) -> i128 {
    let (mut from, mut to) = (0, bound);
    while from < to {
        let middle = i128::midpoint(from, to);
        if holds(middle) { from = middle + 1 } else { to = middle }
    }
    from
}

// What arrives.

/// How far one arrival is from the last.
#[derive(Clone, Copy, Debug)]
enum Gap {
    None,
    Nanos(u64),
    /// Thousandths of a window.
    OfWindow(u64),
    /// To so many nanoseconds from a boundary of the clock's windows, the next or one soon after.
    ToBoundary(u64, i64),
    /// A window, and so many nanoseconds.
    Window(i64),
    /// As long as the last rejection asked for, and so many nanoseconds.
    AsAsked(i64),
    Windows(u64),
}

#[derive(Clone, Copy, Debug)]
struct Arrival {
    gap: Gap,
    bucket: u64,
}

#[derive(Clone, Debug)]
struct Traffic {
    start: u64,
    arrivals: Vec<Arrival>,
}

fn gap() -> impl Strategy<Value = Gap> {
    prop_oneof![
        14 => Just(Gap::None),
        3 => (1_u64..4).prop_map(Gap::Nanos),
        6 => (0_u64..1100).prop_map(Gap::OfWindow),
        3 => (0_u64..2, -1_i64..=1).prop_map(|(skipped, off)| Gap::ToBoundary(skipped, off)),
        2 => (-1_i64..=1).prop_map(Gap::Window),
        4 => (-1_i64..=1).prop_map(Gap::AsAsked),
        1 => (1_u64..6).prop_map(Gap::Windows),
    ]
}

fn traffic() -> impl Strategy<Value = Traffic> {
    let start = prop_oneof![Just(0), 0_u64..1000, Just(NINE), NINE..NINE + 60_000_000_000];
    let bucket = prop_oneof![4 => Just(0), 1 => 1_u64..3];
    let arrival = (gap(), bucket).prop_map(|(gap, bucket)| Arrival { gap, bucket });
    (start, prop::collection::vec(arrival, 1..120)).prop_map(|(start, arrivals)| Traffic { start, arrivals })
}

fn window() -> impl Strategy<Value = Duration> {
    let minute = Duration::from_secs(60);
    prop_oneof![
        4 => (1_u64..60).prop_map(Duration::from_nanos),
        2 => Just(Duration::from_secs(1)),
        3 => Just(minute),
        1 => (1_u64..3_000_000_000).prop_map(Duration::from_nanos),
        1 => Just(RateLimit::MAX_WINDOW),
    ]
}

fn count() -> impl Strategy<Value = u32> {
    prop_oneof![12 => 1_u32..5, 4 => 5_u32..40, 1 => Just(u32::MAX)]
}

fn settings_of(algorithm: Algorithm) -> impl Strategy<Value = RateLimit> {
    let settings = (count(), window(), count(), any::<bool>(), 0_u32..6);
    settings.prop_map(move |(limit, window, burst, count_rejected, delay)| {
        let settings = RateLimit::new(algorithm, limit, window).expect("in range");
        if algorithm.has_delay() {
            // Of `u32::MAX` beyond the one that is due, one is lost.
            let settings = settings.with_burst((burst - 1).min(u32::MAX - 1)).expect("asked for");
            settings.with_delay(delay).expect("asked for")
        } else if algorithm.has_burst() {
            settings.with_burst(burst).expect("asked for")
        } else {
            let from = if algorithm.has_windows() && delay % 2 == 0 {
                WindowFrom::FirstRequest
            } else {
                WindowFrom::Clock
            };
            let settings = settings.with_window_from(from).expect("asked for");
            settings.with_count_rejected(count_rejected && algorithm.is_sliding()).expect("asked for")
        }
    })
}

fn settings() -> impl Strategy<Value = RateLimit> {
    prop::sample::select(&Algorithm::ALL[..]).prop_flat_map(settings_of)
}

/// A request that was judged.
#[derive(Clone, Copy, Debug)]
struct Judged {
    at: Timestamp,
    bucket: u64,
    verdict: Verdict,
}

/// Sends the traffic through a limiter.
fn judge(settings: RateLimit, traffic: &Traffic) -> Vec<Judged> {
    judge_with(settings, traffic, KeyedLimiter::check)
}

/// The same, where `ask` says what the limiter is asked.
fn judge_with(
    settings: RateLimit,
    traffic: &Traffic,
    mut ask: impl FnMut(&mut KeyedLimiter, Timestamp, u64) -> Verdict,
) -> Vec<Judged> {
    let window = settings.window().as_nanos() as u64;
    let mut limiter = KeyedLimiter::new(settings);
    let mut now = traffic.start;
    let mut asked = 0;
    let mut judged = Vec::new();
    for &Arrival { gap, bucket } in &traffic.arrivals {
        let gap = match gap {
            Gap::None => 0,
            Gap::Nanos(nanos) => nanos,
            Gap::OfWindow(thousandths) => (u128::from(window) * u128::from(thousandths) / 1000) as u64,
            Gap::ToBoundary(skipped, off) => {
                (window - now % window + skipped * window).saturating_add_signed(off)
            }
            Gap::Window(off) => window.saturating_add_signed(off),
            Gap::AsAsked(off) => asked.max(1_u64).saturating_add_signed(off),
            Gap::Windows(windows) => windows * window,
        };
        now = now.saturating_add(gap);
        let at = Timestamp::from_nanos(now);
        let verdict = ask(&mut limiter, at, bucket);
        if let Verdict::Rejected { retry_after } = verdict {
            asked = retry_after.as_nanos() as u64;
        }
        judged.push(Judged { at, bucket, verdict });
    }
    judged
}

fn window_nanos(settings: &RateLimit) -> i128 {
    i128::from(settings.window().as_nanos() as u64)
}

fn nanos(at: Timestamp) -> i128 {
    i128::from(at.as_nanos())
}

// The laws.

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_interval_admits_more_than_the_bound(settings in settings(), traffic in traffic()) {
        let mut admitted: BTreeMap<u64, Vec<i128>> = BTreeMap::new();
        for request in judge(settings, &traffic).iter().filter(|request| request.verdict.is_admitted()) {
            admitted.entry(request.bucket).or_default().push(nanos(request.at));
        }
        let limit = i128::from(settings.limit());
        let window = window_nanos(&settings);
        for times in admitted.values() {
            for (first, from) in times.iter().enumerate() {
                for (last, to) in times.iter().enumerate().skip(first) {
                    let (length, count) = (to - from, i128::from((last - first + 1) as u64));
                    let bound = match settings.algorithm() {
                        Algorithm::TokenBucket | Algorithm::Gcra | Algorithm::LeakyBucket => {
                            i128::from(settings.allowance()) + limit * length / window
                        }
                        // The others bound an interval as long as the window, without its end.
                        _ if length >= window => continue,
                        Algorithm::FixedWindow | Algorithm::SlidingWindowCounter => 2 * limit,
                        Algorithm::SlidingWindowLog => limit,
                    };
                    prop_assert!(count <= bound, "{count} in {length} ns, more than {bound}");
                }
            }
        }
    }

    #[test]
    fn every_verdict_is_the_models(settings in settings(), traffic in traffic()) {
        let mut models: BTreeMap<u64, Model> = BTreeMap::new();
        for (index, request) in judge(settings, &traffic).into_iter().enumerate() {
            let model = models.entry(request.bucket).or_insert_with(|| Model::new(settings));
            let expected = model.check(nanos(request.at));
            prop_assert_eq!(request.verdict, expected, "request {} at {:?}", index, request.at);
        }
    }

    #[test]
    fn to_ask_counts_nothing_and_says_what_a_check_says(settings in settings(), traffic in traffic()) {
        let (mut asked, mut plain) = (KeyedLimiter::new(settings), KeyedLimiter::new(settings));
        for request in judge(settings, &traffic) {
            let admits = asked.admits(request.at, request.bucket, 1);
            prop_assert_eq!(asked.admits(request.at, request.bucket, 1), admits);
            let peeked = asked.peek(request.at, request.bucket, 1);
            prop_assert_eq!(asked.peek(request.at, request.bucket, 1), peeked);
            let verdict = asked.check(request.at, request.bucket);
            prop_assert_eq!((verdict.is_admitted(), verdict), (admits, plain.check(request.at, request.bucket)));
            // With the one that is not counted yet; a rejection that counts puts its own next instant off.
            match (peeked, verdict) {
                (Verdict::Rejected { .. }, Verdict::Rejected { .. }) if settings.count_rejected() => {}
                (rejected @ Verdict::Rejected { .. }, verdict) => prop_assert_eq!(rejected, verdict),
                (peeked, verdict) => {
                    prop_assert_eq!(peeked.remaining(), verdict.remaining().saturating_add(1));
                    prop_assert_eq!(peeked.wait(), verdict.wait());
                }
            }
        }
    }

    #[test]
    fn a_cost_is_as_many_requests_of_which_all_pass_or_none(
        settings in settings(),
        traffic in traffic(),
        costs in prop::collection::vec(1_u32..7, 1..20),
    ) {
        let mut models: BTreeMap<u64, Model> = BTreeMap::new();
        let cost_of = |index: usize| costs[index % costs.len()].min(settings.allowance());
        let mut index = 0;
        let judged = judge_with(settings, &traffic, |limiter, at, bucket| {
            let cost = cost_of(index);
            index += 1;
            let admits = limiter.admits(at, bucket, cost);
            let verdict = limiter.take(at, bucket, cost);
            assert_eq!(admits, verdict.is_admitted());
            verdict
        });
        for (index, request) in judged.into_iter().enumerate() {
            let model = models.entry(request.bucket).or_insert_with(|| Model::new(settings));
            let expected = model.take(nanos(request.at), cost_of(index));
            prop_assert_eq!(request.verdict, expected, "request {} at {:?}", index, request.at);
        }
    }

    #[test]
    fn what_is_above_the_allowance_never_passes_and_changes_nothing(
        settings in settings(),
        traffic in traffic(),
        above in 1_u32..1_000,
    ) {
        let Some(cost) = settings.allowance().checked_add(above) else { return Ok(()) };
        let settings = settings.with_count_rejected(false).expect("is always possible");
        let mut plain = KeyedLimiter::new(settings);
        let judged = judge_with(settings, &traffic, |limiter, at, bucket| {
            assert!(!limiter.take(at, bucket, cost).is_admitted());
            assert!(!limiter.peek(at, bucket, cost).is_admitted() && !limiter.admits(at, bucket, cost));
            limiter.check(at, bucket)
        });
        for request in judged {
            prop_assert_eq!(request.verdict, plain.check(request.at, request.bucket));
        }
    }

    /// A limit that counts by the ends of requests: each is asked about, and charged later or not at all.
    #[test]
    fn what_is_charged_counts_from_then_on(
        settings in settings(),
        traffic in traffic(),
        charges in prop::collection::vec(0_u32..4, 1..20),
    ) {
        if settings.algorithm().has_delay() || settings.count_rejected() {
            return Ok(());
        }
        let (mut models, mut levels) = (BTreeMap::new(), BTreeMap::new());
        let mut index = 0;
        judge_with(settings, &traffic, |limiter, at, bucket| {
            let (now, charged) = (nanos(at), charges[index % charges.len()]);
            let cost = 1 + (index as u32 % 3).min(settings.allowance() - 1);
            index += 1;
            let verdict = limiter.peek(at, bucket, cost);
            let model = models.entry(bucket).or_insert_with(|| Model::new(settings));
            let level = levels.entry(bucket).or_insert_with(|| Level::full(settings));
            let is_bucket = settings.algorithm().has_burst();
            let expected = if is_bucket { level.peek(now, cost) } else { model.peek(now, cost) };
            assert_eq!(verdict, expected, "request {index} at {at:?}");
            if charged > 0 {
                limiter.charge(at, bucket, charged);
                level.charge(now, charged);
                (0..charged).for_each(|_| model.history.push(Counted { at: now, admitted: true }));
            }
            verdict
        });
    }

    /// In steps a bucket has at no time more than the one that refills continuously, and at each step as much.
    #[test]
    fn a_refill_in_steps_is_late_by_less_than_a_step(
        settings in settings_of(Algorithm::TokenBucket),
        step in any::<Index>(),
        traffic in traffic(),
    ) {
        let every = 1 + step.index(settings.window().as_nanos() as usize) as u64;
        let stepped = settings.with_refill_every(Duration::from_nanos(every)).expect("no longer than the window");
        let mut level = BTreeMap::new();
        judge_with(stepped, &traffic, |limiter, at, bucket| {
            let level = level.entry(bucket).or_insert_with(|| Level::full(settings));
            // What the continuous bucket has at the last step: nothing is refilled after that.
            let step = nanos(at) / i128::from(every) * i128::from(every);
            let verdict = limiter.check(at, bucket);
            let has = level.peek(step, 1);
            match has {
                Verdict::Admitted { remaining } => {
                    assert_eq!(verdict, Verdict::Admitted { remaining: remaining - 1 });
                    level.charge(step, 1);
                }
                Verdict::Rejected { retry_after } => {
                    // The first step from that time on.
                    let due = step + retry_after.as_nanos() as i128;
                    let due = (due + i128::from(every) - 1) / i128::from(every) * i128::from(every);
                    let retry_after = Duration::from_nanos((due - nanos(at)) as u64);
                    assert_eq!(verdict, Verdict::Rejected { retry_after });
                }
                Verdict::Delayed { .. } => unreachable!("a bucket has nobody wait"),
            }
            verdict
        });
    }

    #[test]
    fn gcra_is_the_token_bucket(bucket in settings_of(Algorithm::TokenBucket), traffic in traffic()) {
        let gcra = RateLimit::new(Algorithm::Gcra, bucket.limit(), bucket.window()).unwrap();
        let gcra = gcra.with_burst(bucket.allowance()).unwrap();
        let verdicts = |settings| -> Vec<Verdict> {
            judge(settings, &traffic).into_iter().map(|request| request.verdict).collect()
        };
        prop_assert_eq!(verdicts(bucket), verdicts(gcra));
    }

    #[test]
    fn turns_of_a_bucket_are_an_interval_apart(
        (limit, burst, window) in (1_u32..40, 1_u32..40, window()),
        traffic in traffic(),
    ) {
        let settings = RateLimit::new(Algorithm::LeakyBucket, limit, window).unwrap().with_burst(burst).unwrap();
        let mut turns: BTreeMap<u64, Vec<i128>> = BTreeMap::new();
        for request in judge(settings, &traffic).iter().filter(|request| request.verdict.is_admitted()) {
            let wait = request.verdict.wait().as_nanos() as i128;
            turns.entry(request.bucket).or_default().push(nanos(request.at) + wait);
        }
        let interval = window_nanos(&settings) / i128::from(limit);
        for turns in turns.values() {
            // Each is rounded up to a nanosecond.
            prop_assert!(turns.windows(2).all(|pair| pair[1] - pair[0] + 1 >= interval), "{turns:?}");
        }
    }

    #[test]
    fn whoever_waits_as_asked_is_admitted_and_no_sooner(
        settings in settings(),
        traffic in traffic(),
        picked in any::<Index>(),
    ) {
        let judged = judge(settings, &traffic);
        let rejected: Vec<_> = (0..judged.len()).filter(|&i| !judged[i].verdict.is_admitted()).collect();
        if rejected.is_empty() {
            return Ok(());
        }
        let until = *picked.get(&rejected);
        let Judged { at, bucket, verdict: Verdict::Rejected { retry_after } } = judged[until] else {
            unreachable!("picked among the rejected")
        };
        prop_assert!(!retry_after.is_zero());
        let after = |wait: Duration| {
            let mut limiter = KeyedLimiter::new(settings);
            for request in &judged[..=until] {
                limiter.check(request.at, request.bucket);
            }
            limiter.check(at + wait, bucket)
        };
        prop_assert!(after(retry_after).is_admitted());
        prop_assert!(!after(retry_after.saturating_sub(Duration::from_nanos(1))).is_admitted());
    }

    #[test]
    fn a_clock_set_back_stands_still(
        settings in settings(),
        traffic in traffic(),
        back in 1_u64..100_000_000_000,
    ) {
        let mut limiter = KeyedLimiter::new(settings);
        let mut models: BTreeMap<u64, Model> = BTreeMap::new();
        let mut latest = Timestamp::EPOCH;
        for (index, request) in judge(settings, &traffic).into_iter().enumerate() {
            let told = if index % 3 == 2 {
                Timestamp::from_nanos(request.at.as_nanos().saturating_sub(back))
            } else {
                request.at
            };
            latest = latest.max(told);
            let model = models.entry(request.bucket).or_insert_with(|| Model::new(settings));
            let expected = match model.check(nanos(latest)) {
                Verdict::Rejected { retry_after } => {
                    Verdict::Rejected { retry_after: retry_after + (latest - told) }
                }
                Verdict::Delayed { remaining, wait } => {
                    Verdict::Delayed { remaining, wait: wait + (latest - told) }
                }
                admitted @ Verdict::Admitted { .. } => admitted,
            };
            prop_assert_eq!(limiter.check(told, request.bucket), expected, "request {} at {:?}", index, told);
        }
    }

    #[test]
    fn any_time_at_all_is_survived(
        settings in settings(),
        times in prop::collection::vec(any::<u64>(), 1..50),
    ) {
        let mut limiter = KeyedLimiter::new(settings);
        let extremes = [0, u64::MAX, u64::MAX, 0, u64::MAX - 1];
        for at in times.into_iter().chain(extremes) {
            limiter.check(Timestamp::from_nanos(at), at % 2);
        }
    }
}

/// Ten thousand buckets of which most rest at any time, so that tables fill up, are swept and shrink.
#[test]
fn forgetting_cannot_be_seen() {
    let second = Duration::from_secs(1);
    for algorithm in Algorithm::ALL {
        let settings = RateLimit::new(algorithm, 3, second).unwrap();
        let settings = if algorithm.has_delay() { settings.with_burst(3).unwrap() } else { settings };
        let mut limiter = KeyedLimiter::new(settings);
        let mut models: BTreeMap<u64, Model> = BTreeMap::new();
        let mut now = Timestamp::from_nanos(NINE);
        let mut most = 0;
        let mut chance = 1_u64;
        for _ in 0..60_000 {
            chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            now = now.plus_nanos((chance >> 33) % 400_000);
            // One in two from a busy few, the others from the many.
            let bucket = if chance >> 63 == 0 { (chance >> 20) % 100 } else { (chance >> 20) % 10_000 };
            let expected = models.entry(bucket).or_insert_with(|| Model::new(settings)).check(nanos(now));
            assert_eq!(limiter.check(now, bucket), expected, "{algorithm}, bucket {bucket} at {now:?}");
            most = most.max(limiter.len());
        }
        assert!((1000..9000).contains(&most), "{algorithm}: {most} of 10,000 remembered at most");
    }
}

/// Of a limit of 5/s, all buckets are fresh two seconds after their last request, whatever the algorithm: a window and the
/// one before it. Nobody sends since, and so none was forgotten.
#[test]
fn buckets_that_became_fresh_by_themselves_are_not_in_use() {
    for algorithm in Algorithm::ALL {
        let mut limiter = KeyedLimiter::new(RateLimit::new(algorithm, 5, Duration::from_secs(1)).unwrap());
        let nine = Timestamp::from_nanos(NINE);
        (0..1_000).for_each(|bucket| assert!(limiter.check(nine, bucket).is_admitted()));
        assert_eq!((limiter.len(), limiter.in_use(nine)), (1_000, 1_000), "{algorithm}");
        assert_eq!(limiter.in_use(nine + Duration::from_secs(2)), 0, "{algorithm}");
        // A clock that was set back shows what the latest time told does.
        assert_eq!(limiter.in_use(Timestamp::EPOCH), 1_000, "{algorithm}");
    }
}

#[test]
fn idle_buckets_are_forgotten() {
    let second = Duration::from_secs(1);
    for algorithm in Algorithm::ALL {
        let mut limiter = KeyedLimiter::new(RateLimit::new(algorithm, 5, second).unwrap());
        let nine = Timestamp::from_nanos(NINE);
        (0..50_000).for_each(|bucket| assert!(limiter.check(nine, bucket).is_admitted()));
        assert_eq!(limiter.len(), 50_000, "{algorithm}");
        // One bucket goes on, once a millisecond.
        for millis in 0..4000 {
            limiter.check(nine + Duration::from_millis(millis), 0);
        }
        assert_eq!(limiter.len(), 1, "{algorithm}");
    }
}
