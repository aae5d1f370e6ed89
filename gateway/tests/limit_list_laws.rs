//! Laws of several limits of one scope: which of them count a request that one of them rejects.
//!
//! Beside the gateway stands the obvious way to do it: a limiter for each limit and bucket, and to ask without counting, a
//! history that is played again from its beginning.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use gateway::{
    Admission, Algorithm, Charge, Checks, Client, Entrance, GatewayConfig, KeySecret, KeyedLimiter, LimitId,
    LimitList, Method, NO_KEYS, Peer, RateLimit, RateLimits, Rejection, Request, Route, RouteId, Routes,
    Scope, SharedAdmission, Stop, Timestamp, UpstreamId, Verdict,
};
use proptest::prelude::*;

const NINE: Timestamp = Timestamp::from_nanos(1_780_390_800 * 1_000_000_000);
const SECRET: KeySecret = KeySecret([5; 16]);

fn limit() -> impl Strategy<Value = RateLimit> {
    let window = prop::sample::select(vec![1_u64, 2, 10]).prop_map(Duration::from_secs);
    (prop::sample::select(&Algorithm::ALL[..]), 1_u32..8, window)
        .prop_map(|(algorithm, limit, window)| RateLimit::new(algorithm, limit, window).expect("in range"))
}

/// What a limit counted, and when.
type History = Vec<Timestamp>;

/// The verdict of a limit that counted these over a further request.
fn verdict(limit: RateLimit, counted: &[Timestamp], now: Timestamp) -> Verdict {
    let mut limiter = KeyedLimiter::new(limit);
    for at in counted {
        limiter.check(*at, 0);
    }
    limiter.check(now, 0)
}

/// What the limits say of a request, limit after limit.
fn model(
    limits: &[RateLimit],
    charge: Charge,
    histories: &mut [History],
    now: Timestamp,
) -> Vec<(usize, Verdict)> {
    let verdicts: Vec<Verdict> =
        limits.iter().zip(&*histories).map(|(limit, history)| verdict(*limit, history, now)).collect();
    let rejects = verdicts.iter().position(|verdict| !verdict.is_admitted());
    let counting = match (charge, rejects) {
        (_, None) => 0..limits.len(),
        (Charge::Asked, Some(rejects)) => 0..rejects,
        (Charge::Admitted, Some(_)) => 0..0,
    };
    counting.clone().for_each(|limit| histories[limit].push(now));
    counting.chain(rejects).map(|limit| (limit, verdicts[limit])).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_list_counts_what_its_charge_says(
        limits in prop::collection::vec(limit(), 1..5),
        admitted_only in any::<bool>(),
        sends in prop::collection::vec((0_u64..400, 0_u8..3), 1..80),
    ) {
        let charge = if admitted_only { Charge::Admitted } else { Charge::Asked };
        let per_key = LimitList::new(limits.iter().map(|limit| (*limit).into()).collect()).unwrap();
        let route = Route {
            path: "/".to_owned(),
            upstream: UpstreamId(0),
            timeout: None,
            try_timeout: None,
            retry: None,
            concurrency: None,
            auth: true,
        };
        let config = GatewayConfig {
            limits: RateLimits { per_key, charge, ..RateLimits::default() },
            routes: Routes::new(vec![route]).unwrap(),
            ..GatewayConfig::default()
        };
        let entrance = Entrance::new(&config, SECRET);
        let (mut alone, shared) = (Admission::new(&config.limits), SharedAdmission::new(&config.limits));
        let mut histories: BTreeMap<u8, Vec<History>> = BTreeMap::new();
        let mut now = NINE;
        for (gap, key) in sends {
            now += Duration::from_millis(gap);
            let request = Request {
                peer: Peer::from(IpAddr::from([127, 0, 0, 1])),
                client: Client::from_key(SECRET, &[key]),
                route: Some(RouteId(0)),
                method: Method::Get,
                idempotent: true,
                draw: 0,
            };
            let histories = histories.entry(key).or_insert_with(|| vec![History::new(); limits.len()]);
            let expected: Vec<_> = model(&limits, charge, histories, now)
                .into_iter()
                .map(|(place, verdict)| (LimitId::new(Scope::PerKey, place).unwrap(), verdict))
                .collect();
            let rejects = expected.last().and_then(|(limit, verdict)| match verdict {
                Verdict::Rejected { retry_after } => {
                    let (limit, retry_after, status) = (*limit, *retry_after, 429);
                    Some(Stop::Rejected(Rejection::RateLimited { limit, retry_after, status }))
                }
                _ => None,
            });
            let (mut one, mut other) = (Checks::default(), Checks::default());
            let by_one = entrance.on_request(now, &request, &mut alone, NO_KEYS, &mut one);
            let by_other = entrance.on_request(now, &request, &mut &shared, NO_KEYS, &mut other);
            prop_assert_eq!(one.iter().collect::<Vec<_>>(), expected);
            prop_assert_eq!((by_one.as_ref().err(), one), (rejects.as_ref(), other));
            prop_assert_eq!(by_one, by_other);
        }
    }
}
