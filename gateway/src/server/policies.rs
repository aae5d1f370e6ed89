//! What a running server may be told anew.

use super::problem::RateLimitFields;
use crate::{Allowances, ClientTimeouts, GatewayConfig, KeyedBy, RouteId, Routes, SharedAdmission};

/// What requests are judged by in front of the dispatcher. Each goes by what was in force when it came.
pub(super) struct Policies {
    pub(super) routes: Routes,
    /// By route: whether it is tried again, and whether requests that are not idempotent are too.
    retries: Vec<Option<bool>>,
    pub(super) client: ClientTimeouts,
    pub(super) fields: RateLimitFields,
    pub(super) admission: SharedAdmission,
    pub(super) allowances: Allowances,
    pub(super) per_key_by: KeyedBy,
}

impl Policies {
    pub(super) fn new(config: &GatewayConfig) -> Self {
        Self::with(config, SharedAdmission::new(&config.limits))
    }

    /// Those of another configuration, with the counts of every limit that is the same.
    pub(super) fn reconfigured(&self, config: &GatewayConfig) -> Self {
        Self::with(config, self.admission.reconfigured(&config.limits))
    }

    fn with(config: &GatewayConfig, admission: SharedAdmission) -> Self {
        let retries = config.routes.iter().map(|route| {
            let retry = route.retry.or(config.retry)?;
            (retry.policy.retries > 0).then_some(retry.non_idempotent)
        });
        Self {
            retries: retries.collect(),
            routes: config.routes.clone(),
            client: config.client,
            fields: RateLimitFields::new(&config.limits),
            admission,
            allowances: config.limits.allowances(),
            per_key_by: config.limits.per_key_by.clone(),
        }
    }

    /// Whether a request may be tried again, so that it pays to keep it.
    pub(super) fn retries(&self, route: RouteId, idempotent: bool) -> bool {
        let retries = self.retries.get(route.0 as usize).copied().flatten();
        retries.is_some_and(|non_idempotent| idempotent || non_idempotent)
    }
}
