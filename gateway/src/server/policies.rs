//! What a reload gives a running server in front of the dispatcher. A limit that is the same before and after keeps its counts.

use std::num::NonZeroU32;
use std::sync::Arc;

use super::problem::RateLimitFields;
use crate::admission::SharedAdmission;
use crate::config::GatewayConfig;
use crate::entrance::Entrance;
use crate::identity::KeySecret;
use crate::limits::LimitFacts;
use crate::trusted_proxies::TrustedProxies;
use crate::waits::ClientTimeouts;

/// What requests are judged by in front of the dispatcher. Each goes by what was in force when it came.
pub(super) struct Policies {
    pub(super) entrance: Entrance,
    pub(super) client: ClientTimeouts,
    pub(super) fields: RateLimitFields,
    pub(super) limits: SharedAdmission,
    pub(super) proxies: TrustedProxies,
    /// What is shown of the limits.
    pub(super) shown: Arc<LimitFacts>,
    /// Whether the choice of a host is drawn at random anywhere.
    pub(super) draws_hosts: bool,
    /// By route: the hosts of its upstream.
    pub(super) host_counts: Vec<NonZeroU32>,
}

impl Policies {
    /// Those of a configuration, with counts of their own.
    pub(super) fn new(config: &GatewayConfig, secret: KeySecret) -> Self {
        Self::with(config, secret, SharedAdmission::new(&config.limits))
    }

    /// Those of another configuration, with the counts of every limit that is the same.
    pub(super) fn reconfigured(&self, config: &GatewayConfig, secret: KeySecret) -> Self {
        Self::with(config, secret, self.limits.reconfigured(&config.limits))
    }

    fn with(config: &GatewayConfig, secret: KeySecret, limits: SharedAdmission) -> Self {
        Self {
            entrance: Entrance::new(config, secret),
            client: config.client,
            fields: RateLimitFields::new(&config.limits),
            limits,
            proxies: config.trusted_proxies.clone(),
            shown: config.limits.facts(),
            draws_hosts: config.draws_hosts(),
            host_counts: host_counts(config),
        }
    }
}

/// By route: the hosts of its upstream.
pub(super) fn host_counts(config: &GatewayConfig) -> Vec<NonZeroU32> {
    config.routes.iter().map(|route| config.policy(route.upstream.0 as usize).hosts.count).collect()
}
