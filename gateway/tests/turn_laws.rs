//! Laws of the wait for a turn at a leaky bucket: whatever comes and leaves, nobody is lost, nobody is early, and who waits holds
//! nothing.
//!
//! Beside the gateway stands a list of departures for each client, an interval apart.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use gateway::auth::Presented;
use gateway::{
    Algorithm, AttemptEnd, Client, Decision, GatewayConfig, KeySecret, Method, Peer, Pipeline, RateLimit,
    RateLimits, Rejection, Request, Route, RouteId, Routes, Timestamp, UpstreamId,
};
use proptest::prelude::*;

const NINE: Timestamp = Timestamp::from_nanos(1_780_390_800 * 1_000_000_000);
/// Of ten a second.
const INTERVAL: Duration = Duration::from_millis(100);

/// A request of a client, so long after the one before it, and how long that client stays.
#[derive(Clone, Copy, Debug)]
struct Sent {
    gap_ms: u64,
    key: u8,
    patience_ms: u64,
}

fn sent() -> impl Strategy<Value = Sent> {
    (0_u64..120, 0_u8..3, 0_u64..600).prop_map(|(gap_ms, key, patience_ms)| Sent { gap_ms, key, patience_ms })
}

/// What happens, in the order in which it does at one instant: turns before clients leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Arrives,
    Turn,
    Leaves,
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whoever_stays_has_its_turn_and_whoever_leaves_takes_nothing(
        (burst, delay) in (0_u32..6, 0_u32..4),
        requests in prop::collection::vec(sent(), 1..60),
    ) {
        let limit = RateLimit::new(Algorithm::LeakyBucket, 10, Duration::from_secs(1)).unwrap();
        let limit = limit.with_burst(burst).unwrap().with_delay(delay).unwrap();
        let route = Route {
            path: "/".to_owned(),
            upstream: UpstreamId(0),
            timeout: None,
            try_timeout: None,
            retry: None,
            concurrency: None,
            auth: true,
        };
        let mut gateway: Pipeline<usize> = Pipeline::new(GatewayConfig {
            limits: RateLimits { per_key: limit.into(), ..RateLimits::default() },
            routes: Routes::new(vec![route]).unwrap(),
            ..GatewayConfig::default()
        });
        let asked = |key: u8| Request {
            peer: Peer::from(IpAddr::from([127, 0, 0, key])),
            client: Client::from_key(KeySecret([0; 16]), &[key]),
            route: Some(RouteId(0)),
            method: Method::Get,
            idempotent: true,
            draw: 0,
        };

        let mut events = BTreeSet::new();
        let mut now = NINE;
        for (ticket, sent) in requests.iter().enumerate() {
            now += Duration::from_millis(sent.gap_ms);
            events.insert((now, Event::Arrives, ticket));
            events.insert((now + Duration::from_millis(sent.patience_ms), Event::Leaves, ticket));
        }
        let (mut waiting, mut forwarded, mut gone) = (BTreeSet::new(), BTreeMap::new(), BTreeSet::new());
        // By client, the last departure; and by request, when it should go on.
        let (mut departures, mut expected) = (BTreeMap::<u8, Timestamp>::new(), BTreeMap::new());
        while let Some((now, event, ticket)) = events.pop_first() {
            let key = requests[ticket].key;
            let decision = match event {
                Event::Leaves => {
                    if waiting.remove(&ticket) {
                        gone.insert(ticket);
                    }
                    continue;
                }
                Event::Turn if !waiting.remove(&ticket) => continue,
                Event::Turn => gateway.on_turn(now, ticket, &asked(key)),
                Event::Arrives => {
                    let departure = match departures.get(&key) {
                        Some(last) => now.max(*last + INTERVAL),
                        None => now,
                    };
                    let ahead = departure - now;
                    if ahead <= INTERVAL * burst {
                        departures.insert(key, departure);
                        expected.insert(ticket, now + ahead.saturating_sub(INTERVAL * delay));
                    }
                    gateway.on_request(now, ticket, &asked(key), &Presented::Nothing).1
                }
            };
            match decision {
                Decision::Delay { until, wait, .. } => {
                    prop_assert!(event == Event::Arrives && until == now + wait && until > now);
                    waiting.insert(ticket);
                    events.insert((until, Event::Turn, ticket));
                }
                Decision::Forward(forward) => {
                    prop_assert_eq!(gateway.in_flight(), 1, "who waits holds no worker");
                    forwarded.insert(ticket, now);
                    let settlement = AttemptEnd::Answered(200).settlement(Duration::ZERO);
                    prop_assert!(gateway.on_finished(now, forward.pass, settlement).is_none());
                }
                Decision::Reject(Rejection::RateLimited { .. }) => prop_assert!(!expected.contains_key(&ticket)),
                other => prop_assert!(false, "{other:?}"),
            }
        }
        prop_assert!(waiting.is_empty() && gateway.in_flight() == 0);
        for (ticket, turn) in expected {
            if gone.contains(&ticket) {
                prop_assert!(!forwarded.contains_key(&ticket));
            } else {
                prop_assert_eq!(forwarded.remove(&ticket), Some(turn));
            }
        }
        prop_assert!(forwarded.is_empty());
    }
}
