//! More than there is room for: gateways on one port, and connections.

use std::sync::Arc;

use ::gateway::GatewayConfig;
use ::gateway::server::{ScenarioClock, Server, ServerConfig, StartError};

use crate::client::Client;
use crate::gateway::{Gateway, START, routes};
use crate::upstream::{Reply, Upstream, ok};

#[test]
fn a_second_gateway_on_a_port_is_refused() {
    let upstream = Upstream::answering(|_| Reply::Send(ok("fine")));
    // However many threads share the port of either.
    for (threads, others) in [(1, 2), (2, 1), (2, 2)] {
        let gateway = Gateway::with(GatewayConfig::default(), &[upstream.address], |config| {
            config.threads = threads;
        });
        let rules = GatewayConfig { routes: routes(1), ..GatewayConfig::default() };
        let mut config = ServerConfig::new(gateway.address(), rules, vec![upstream.address]);
        config.threads = others;
        let second = Server::start(config, ScenarioClock::starting_now(START, 1.0), Arc::new(()));
        let refused = second.err().unwrap_or_else(|| panic!("{others} threads share the port of {threads}"));
        assert!(matches!(refused, StartError::Listen { address, .. } if address == gateway.address()));
        assert_eq!(Client::connect(gateway.address()).get("/").status, 200);
    }
}
