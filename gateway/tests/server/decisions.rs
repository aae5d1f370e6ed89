//! What the rules decide, and how a client hears of it.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use ::gateway::server::Fate;
use ::gateway::{
    Algorithm, Backoff, BreakerConfig, Condition, GatewayConfig, GatewayRetry, Jitter, PoolConfig, RateLimit,
    RateLimits, Rejection, RetryOn, RetryPolicy, UpstreamPolicy,
};
use tokio::sync::Notify;

use crate::client::Client;
use crate::gateway::Gateway;
use crate::upstream::{Reply, Upstream, ok};

const MINUTE: Duration = Duration::from_secs(60);

fn hello() -> Upstream {
    Upstream::answering(|_| Reply::Send(ok("hello")))
}

#[test]
fn a_gateway_without_rules_passes_on() {
    let upstream = hello();
    let gateway = Gateway::proxy(upstream.address);
    let mut client = Client::connect(gateway.address());
    for _ in 0..3 {
        let answer = client.get("/orders/42?x=1");
        assert_eq!((answer.status, answer.text().as_str()), (200, "hello"));
        assert_eq!(upstream.next().target(), "/orders/42?x=1");
    }
    let told = gateway.log.settled(3);
    assert_eq!(told.served(), 3);
    assert_eq!(
        upstream.connections.load(std::sync::atomic::Ordering::SeqCst),
        1,
        "one connection serves all"
    );
}
