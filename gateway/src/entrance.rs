//! The path of a request in front of the dispatcher: address limit, token, client limit, route, route limit, global limit.

use std::fmt;

use arrayvec::ArrayVec;

use crate::admission::{Checks, Limits, Request};
use crate::auth::{AuthVerdict, Claims, KeyWait};
use crate::config::GatewayConfig;
use crate::identity::{Client, KeySecret, KeyedBy};
use crate::limits::{Charge, LimitId, LimitRule, RateLimits};
use crate::rate_limit::Verdict;
use crate::rejection::Rejection;
use crate::route::{RouteId, Routes};
use crate::scope::Scope;
use crate::timestamp::Timestamp;

/// What requests are judged by in front of the dispatcher: the order of the stages, and which routes ask for a token.
///
/// The state of the limits and of the keys is the caller's: owned or shared, simulated or real. A request rejected at one stage
/// takes nothing at later ones.
///
/// The calling contract: [`Entrance::on_request`] once for each request. A request that is stopped by [`Stop::AwaitKeys`] waits
/// until its keys have been fetched, or fetching them has failed, and is then judged by [`Entrance::on_resumed`], with the same
/// `checks`. Of a request that is admitted, [`Checks::turn`] says when it may go on to the dispatcher; it holds nothing until then.
#[derive(Clone)]
pub struct Entrance {
    routes: Routes,
    limits: RateLimits,
    secret: KeySecret,
}

/// Without the secret.
impl fmt::Debug for Entrance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entrance").finish_non_exhaustive()
    }
}

/// A request that goes on to the dispatcher.
#[derive(Clone, Debug, PartialEq)]
pub struct Admitted {
    /// The route that serves it.
    pub route: RouteId,
    /// For whom the limits counted it.
    pub client: Client,
    /// The claims of its token, if its route asks for one.
    pub claims: Option<Claims>,
}

/// Why a request does not go on to the dispatcher.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The gateway answers it.
    Rejected(Rejection),
    /// It waits for the keys that its token is judged by.
    AwaitKeys(KeyWait),
}

/// The keys of a gateway that judges no tokens.
pub const NO_KEYS: Option<fn(bool) -> AuthVerdict> = None;

impl Entrance {
    /// That of a gateway, which digests claims under `secret`.
    pub fn new(config: &GatewayConfig, secret: KeySecret) -> Self {
        Self { routes: config.routes.clone(), limits: config.limits.clone(), secret }
    }

    /// The routing table.
    pub const fn routes(&self) -> &Routes {
        &self.routes
    }

    /// Decides over a request that arrives. `judge_token` judges its token, told whether the request has waited for keys; `None`
    /// for a gateway that judges no tokens. `checks` becomes what each limit said.
    ///
    /// # Errors
    ///
    /// [`Stop`], if the request does not go on for now.
    #[inline]
    pub fn on_request(
        &self,
        now: Timestamp,
        request: &Request,
        limits: &mut impl Limits,
        judge_token: Option<impl FnOnce(bool) -> AuthVerdict>,
        checks: &mut Checks,
    ) -> Result<Admitted, Stop> {
        let bucket = |_: &LimitRule| request.peer.bucket();
        self.ask(limits, now, Scope::PerIp, bucket, checks).map_err(Stop::Rejected)?;
        self.authenticate(now, request, limits, judge_token, false, checks)
    }

    /// As [`Entrance::on_request`], of a request that waited for keys: its address limit is not asked again.
    ///
    /// # Errors
    ///
    /// As there.
    #[inline]
    pub fn on_resumed(
        &self,
        now: Timestamp,
        request: &Request,
        limits: &mut impl Limits,
        judge_token: Option<impl FnOnce(bool) -> AuthVerdict>,
        checks: &mut Checks,
    ) -> Result<Admitted, Stop> {
        self.authenticate(now, request, limits, judge_token, true, checks)
    }

    #[inline]
    fn authenticate(
        &self,
        now: Timestamp,
        request: &Request,
        limits: &mut impl Limits,
        judge_token: Option<impl FnOnce(bool) -> AuthVerdict>,
        has_waited: bool,
        checks: &mut Checks,
    ) -> Result<Admitted, Stop> {
        let claims = match judge_token.filter(|_| self.routes.requires_auth(request.route)) {
            Some(judge) => match judge(has_waited) {
                AuthVerdict::Verified(claims) => Some(claims),
                AuthVerdict::Rejected(rejection) => return Err(Stop::Rejected(rejection)),
                AuthVerdict::AwaitKeys(wait) => return Err(Stop::AwaitKeys(wait)),
            },
            None => None,
        };
        let client_by = |by: &KeyedBy| by.client(self.secret, claims.as_ref(), request.client);
        let route = self.admit(now, client_by, request.route, limits, checks).map_err(Stop::Rejected)?;
        let client = client_by(self.limits.per_key_by());
        Ok(Admitted { route, client, claims })
    }

    /// Asks what comes after the token, scope after scope; the first to refuse is the last to be asked, so that later ones lose
    /// nothing to a request that never reaches them.
    fn admit(
        &self,
        now: Timestamp,
        client_by: impl Fn(&KeyedBy) -> Client,
        route: Option<RouteId>,
        limits: &mut impl Limits,
        checks: &mut Checks,
    ) -> Result<RouteId, Rejection> {
        self.ask(limits, now, Scope::PerKey, |rule| client_by(&rule.by).bucket(), checks)?;
        let route = route.ok_or(Rejection::NoRoute)?;
        self.ask(limits, now, Scope::PerRoute, |_| u64::from(route.0), checks)?;
        self.ask(limits, now, Scope::Global, |_| 0, checks)?;
        Ok(route)
    }

    /// Asks the limits of a scope, each for the bucket in which it counts the request.
    #[inline]
    fn ask(
        &self,
        limits: &mut impl Limits,
        now: Timestamp,
        scope: Scope,
        bucket: impl Fn(&LimitRule) -> u64,
        checks: &mut Checks,
    ) -> Result<(), Rejection> {
        let rules = self.limits.list(scope).rules();
        let asked =
            rules.iter().enumerate().filter_map(|(place, rule)| Some((LimitId::new(scope, place)?, rule)));
        if rules.len() > 1 && self.limits.charge == Charge::Admitted {
            let asked: ArrayVec<_, { LimitId::MOST_IN_SCOPE }> =
                asked.map(|(limit, rule)| (limit, bucket(rule))).collect();
            let checked = limits.check_all(now, &asked, checks);
            return checked.map_err(|(limit, retry_after)| {
                let status =
                    rules.get(limit.place()).map_or(LimitRule::TOO_MANY_REQUESTS, |rule| rule.status);
                Rejection::RateLimited { limit, retry_after, status }
            });
        }
        for (limit, rule) in asked {
            let Some(verdict) = limits.check(now, limit, bucket(rule)) else { continue };
            checks.note(now, limit, verdict);
            if let Verdict::Rejected { retry_after } = verdict {
                return Err(Rejection::RateLimited { limit, retry_after, status: rule.status });
            }
        }
        Ok(())
    }
}
