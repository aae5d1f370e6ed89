//! Laws of what limits count: whose requests share a bucket, by whose numbers, for how much, and when.
//!
//! Beside the gateway stands the obvious way to do it: a limiter of its own for each limit, tier and combination, which is named by a
//! text.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use gateway::{
    Admission, Admitted, Algorithm, AttemptEnd, Charge, Checks, Client, Costs, Entrance, FailureSet,
    GatewayConfig, KeyPart, KeySecret, KeyedBy, KeyedLimiter, LimitId, LimitList, LimitName, LimitRule,
    Method, MethodSet, NO_KEYS, Owed, Peer, Prefixes, RateLimit, RateLimits, Rejection, Request, RequestEnd,
    Route, RouteId, Routes, Scope, SharedAdmission, StatusSet, Stop, Tier, TierKeys, TierMembers, Timestamp,
    UpstreamId, Verdict,
};
use proptest::prelude::*;

const NINE: Timestamp = Timestamp::from_nanos(1_780_390_800 * 1_000_000_000);
const SECRET: KeySecret = KeySecret([5; 16]);
const KEYS: [&str; 3] = ["a", "b", "c-0"];
const STATUSES: [u16; 3] = [200, 401, 503];
const METHODS: [Method; 3] = [Method::Get, Method::Post, Method::Other];

fn limit() -> impl Strategy<Value = RateLimit> {
    let window = prop::sample::select(vec![1_u64, 2, 10]).prop_map(Duration::from_secs);
    (prop::sample::select(&Algorithm::ALL[..]), 3_u32..8, window).prop_map(|(algorithm, limit, window)| {
        let settings = RateLimit::new(algorithm, limit, window).expect("in range");
        // A cost of three passes at once.
        if algorithm.has_delay() { settings.with_burst(3).expect("asked for") } else { settings }
    })
}

/// Something that requests are told apart by, of the first so many kinds.
fn part(kinds: usize) -> impl Strategy<Value = KeyPart> {
    let prefixes = |v4| Prefixes::new(v4, 64).expect("in range");
    let all = [
        KeyPart::Ip(Prefixes::WHOLE),
        KeyPart::Ip(prefixes(31)),
        KeyPart::ApiKey,
        KeyPart::Claim("sub".to_owned()),
        KeyPart::Route,
    ];
    prop::sample::select(all[..kinds].to_vec())
}

fn rule(kinds: usize) -> impl Strategy<Value = LimitRule> {
    let by = prop::collection::vec(part(kinds.max(1)), 0..=3).prop_map(KeyedBy::all);
    let by = if kinds == 0 { Just(KeyedBy::default()).boxed() } else { by.boxed() };
    let methods = prop::option::of(prop::sample::subsequence(&METHODS[..], 1..=2).prop_map(MethodSet::of));
    let costs = prop::option::of(1_u32..=3).prop_map(|cost| Costs::new(cost.map(|cost| (RouteId(1), cost))));
    let tier = prop::option::of((3_u32..12, any::<bool>()));
    let statuses = prop::option::of(prop::sample::subsequence(vec![401, 404, 503], 1..=2));
    (limit(), by, methods, costs, tier, statuses).prop_map(
        move |(limit, by, methods, costs, tier, statuses)| {
            let tiers = tier.filter(|_| kinds > 2).map(|(most, numbered)| {
                let keys =
                    if numbered { TierKeys::Numbered("c-".into(), 2) } else { TierKeys::One("a".into()) };
                let numbers = RateLimit::new(limit.algorithm(), most, limit.window()).expect("in range");
                let numbers = if limit.algorithm().has_delay() {
                    numbers.with_burst(most).expect("asked for")
                } else {
                    numbers
                };
                let members = TierMembers { keys: vec![keys], ..TierMembers::default() };
                Tier { name: LimitName::new("t").expect("a name"), members, limit: numbers }
            });
            let statuses = statuses.filter(|_| !limit.algorithm().has_delay());
            let count = statuses
                .map(|statuses| FailureSet { statuses: StatusSet::of(&statuses), ..FailureSet::default() });
            LimitRule { by, methods, costs, tiers: tiers.into_iter().collect(), count, ..limit.into() }
        },
    )
}

fn list(kinds: usize) -> impl Strategy<Value = LimitList> {
    prop::collection::vec(rule(kinds), 0..3)
        .prop_map(|rules| LimitList::new(rules).expect("no contradiction"))
}

fn limits() -> impl Strategy<Value = RateLimits> {
    (list(2), list(4), list(5), list(0), any::<bool>()).prop_map(
        |(per_ip, per_key, per_route, global, admitted)| {
            let charge = if admitted { Charge::Admitted } else { Charge::Asked };
            RateLimits { per_ip, per_key, per_route, global, charge }
        },
    )
}

/// A request, so long after the one before it, and how it ends after so many more if it is let through.
#[derive(Clone, Copy, Debug)]
struct Sent {
    gap_ms: u64,
    address: u8,
    key: usize,
    route: Option<u32>,
    method: Method,
    status: u16,
    lasts: usize,
}

fn sent() -> impl Strategy<Value = Sent> {
    let what = (0_u64..400, 0_u8..3, 0..KEYS.len(), prop::option::weighted(0.9, 0_u32..2));
    let how = (prop::sample::select(&METHODS[..]), prop::sample::select(&STATUSES[..]), 0_usize..4);
    (what, how).prop_map(|((gap_ms, address, key, route), (method, status, lasts))| Sent {
        gap_ms,
        address,
        key,
        route,
        method,
        status,
        lasts,
    })
}

/// A limit, by the slot of its scope and its place, with a tier and what was combined.
type Bucket = (usize, usize, usize, String);

/// Who counts as whom, with a limiter for each.
struct Model<'l> {
    limits: &'l RateLimits,
    limiters: BTreeMap<Bucket, KeyedLimiter>,
}

/// What a limit is to count when a request has ended.
type Debt = (Bucket, u32, FailureSet);

impl Model<'_> {
    /// What each limit says of a request, whether they let it through, and what they wait for.
    fn ask(&mut self, now: Timestamp, sent: &Sent) -> (Vec<(LimitId, usize, Verdict)>, bool, Vec<Debt>) {
        let (mut said, mut debts) = (Vec::new(), Vec::new());
        for (number, scope) in Scope::ALL.into_iter().enumerate() {
            if matches!(scope, Scope::PerRoute | Scope::Global) && sent.route.is_none() {
                break;
            }
            let rules = self.limits.list(scope).rules();
            let counting: Vec<usize> = (0..rules.len())
                .filter(|place| rules[*place].methods.is_none_or(|methods| methods.includes(sent.method)))
                .collect();
            let together = rules.len() > 1 && self.limits.charge == Charge::Admitted;
            let refuses =
                counting.iter().position(|place| !self.peek(now, number, *place, sent).is_admitted());
            for (at, place) in counting.into_iter().enumerate() {
                if together && refuses.is_some_and(|refuses| refuses != at) {
                    continue;
                }
                let rule = &rules[place];
                let (bucket, cost) =
                    (self.bucket(number, place, sent), rule.costs.of(sent.route.map(RouteId)));
                let tier = bucket.2;
                let limiter = self.limiter(&bucket);
                let verdict = match rule.count {
                    Some(_) => limiter.peek(now, 0, cost),
                    None => limiter.take(now, 0, cost),
                };
                said.push((LimitId::new(scope, place).expect("few"), tier, verdict));
                if !verdict.is_admitted() {
                    return (said, false, debts);
                }
                if let Some(ends) = rule.count {
                    debts.push((bucket, cost, ends));
                }
            }
        }
        (said, true, debts)
    }

    fn peek(&mut self, now: Timestamp, scope: usize, place: usize, sent: &Sent) -> Verdict {
        let bucket = self.bucket(scope, place, sent);
        let cost = self.limits.list(Scope::ALL[scope]).rules()[place].costs.of(sent.route.map(RouteId));
        self.limiter(&bucket).peek(now, 0, cost)
    }

    fn limiter(&mut self, bucket: &Bucket) -> &mut KeyedLimiter {
        let rule = &self.limits.list(Scope::ALL[bucket.0]).rules()[bucket.1];
        let settings = bucket.2.checked_sub(1).map_or(rule.limit, |tier| rule.tiers[tier].limit);
        self.limiters.entry(bucket.clone()).or_insert_with(|| KeyedLimiter::new(settings))
    }

    fn bucket(&self, scope: usize, place: usize, sent: &Sent) -> Bucket {
        let rule = &self.limits.list(Scope::ALL[scope]).rules()[place];
        let route = format!("route {:?}", sent.route);
        let (address, key) = (format!("address {}", sent.address), format!("key {}", KEYS[sent.key]));
        let name = |part: &KeyPart| match part {
            // 127.0.0.0 and .1 are one network of 31 bits, and .2 is in the next.
            KeyPart::Ip(prefixes) if prefixes.v4() == 31 => format!("network {}", sent.address / 2),
            KeyPart::Ip(_) => address.clone(),
            // Nobody has a token.
            KeyPart::ApiKey | KeyPart::Claim(_) => key.clone(),
            KeyPart::Route => route.clone(),
        };
        let own = [&address, &key, &route, ""][scope];
        let names: Vec<String> = rule.by.parts().iter().map(name).collect();
        let combined = if names.is_empty() { own.to_owned() } else { names.join(", ") };
        let is_in = |tier: &Tier| match &tier.members.keys[..] {
            [TierKeys::One(one)] => one == KEYS[sent.key],
            _ => KEYS[sent.key].starts_with("c-"),
        };
        let tier = rule.tiers.iter().position(is_in).map_or(0, |place| place + 1);
        (scope, place, tier, combined)
    }

    fn end(&mut self, now: Timestamp, debts: Vec<Debt>, status: u16) {
        for (bucket, cost, ends) in debts {
            if ends.statuses.includes(status) {
                self.limiter(&bucket).charge(now, 0, cost);
            }
        }
    }
}

fn entrance(limits: &RateLimits) -> Entrance {
    let route = |path: &str| Route {
        path: path.to_owned(),
        upstream: UpstreamId(0),
        timeout: None,
        try_timeout: None,
        retry: None,
        concurrency: None,
        auth: true,
    };
    let config = GatewayConfig {
        limits: limits.clone(),
        routes: Routes::new(vec![route("/0"), route("/1")]).expect("two paths"),
        ..GatewayConfig::default()
    };
    Entrance::new(&config, SECRET)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn limits_count_whom_they_are_told_to_and_when(
        limits in limits(),
        sends in prop::collection::vec(sent(), 1..80),
    ) {
        let entrance = entrance(&limits);
        let (mut alone, shared) = (Admission::new(&limits), SharedAdmission::new(&limits));
        let mut model = Model { limits: &limits, limiters: BTreeMap::new() };
        let mut under_way: Vec<(usize, u16, [Owed; 2], Vec<Debt>)> = Vec::new();
        let mut now = NINE;
        for (number, sent) in sends.into_iter().enumerate() {
            now += Duration::from_millis(sent.gap_ms);
            while let Some(ended) = under_way.iter().position(|(until, ..)| *until <= number) {
                let (_, status, [by_one, by_other], debts) = under_way.remove(ended);
                let end = RequestEnd::Attempt(AttemptEnd::Answered(status));
                by_one.settle(now, end, &mut alone);
                by_other.settle(now, end, &mut &shared);
                model.end(now, debts, status);
            }
            let request = Request {
                peer: Peer::from(IpAddr::from([127, 0, 0, sent.address])),
                client: Client::from_key(SECRET, KEYS[sent.key].as_bytes()),
                route: sent.route.map(RouteId),
                method: sent.method,
                idempotent: true,
                draw: 0,
            };
            let (mut one, mut other) = (Checks::default(), Checks::default());
            let by_one = entrance.on_request(now, &request, &mut alone, NO_KEYS, &mut one);
            let by_other = entrance.on_request(now, &request, &mut &shared, NO_KEYS, &mut other);
            let (said, passes, debts) = model.ask(now, &sent);
            let told: Vec<_> = one.iter().map(|(limit, verdict)| (limit, one.tier(limit), verdict.remaining())).collect();
            let expected: Vec<_> =
                said.iter().map(|(limit, tier, verdict)| (*limit, *tier, verdict.remaining())).collect();
            prop_assert_eq!(told, expected, "request {}: {:?}", number, sent);
            prop_assert_eq!(&one, &other);
            prop_assert_eq!(&by_one, &by_other);
            match (by_one, by_other) {
                (Ok(Admitted { owed: one, .. }), Ok(Admitted { owed: other, .. })) => {
                    prop_assert!(passes && sent.route.is_some());
                    prop_assert_eq!(one.is_empty(), debts.is_empty());
                    under_way.push((number + 1 + sent.lasts, sent.status, [one, other], debts));
                }
                (Err(Stop::Rejected(Rejection::NoRoute)), _) => {
                    prop_assert!(passes && sent.route.is_none());
                    // The gateway answers 404 at once.
                    model.end(now, debts, 404);
                }
                (Err(Stop::Rejected(Rejection::RateLimited { limit, retry_after, .. })), _) => {
                    prop_assert!(!passes);
                    let last = said.last().map(|(limit, _, verdict)| (*limit, *verdict));
                    prop_assert_eq!(last, Some((limit, Verdict::Rejected { retry_after })));
                }
                (stop, _) => prop_assert!(false, "{stop:?}"),
            }
        }
    }
}
