//! The path of a request in front of the dispatcher: address limit, token, client limit, route, route limit, global limit.

use std::fmt;
use std::sync::Arc;

use arrayvec::ArrayVec;
use foldhash::fast::FixedState;
use hashbrown::HashMap;

use crate::admission::{Ask, Checks, Limits, Owed, Request};
use crate::attempt::RequestEnd;
use crate::auth::{AuthVerdict, Claims, KeyWait};
use crate::config::GatewayConfig;
use crate::identity::{Caller, Client, KeySecret};
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
/// What is [owed](Admitted::owed) of it is settled when it ends, however that is.
#[derive(Clone)]
pub struct Entrance {
    routes: Routes,
    limits: RateLimits,
    secret: KeySecret,
    /// By slot of the limit, up to the last that has tiers: the tier of each key that one names, from 1.
    tiers: Arc<[TierOfKey]>,
    /// Whether any limit counts requests by their ends.
    counts_ends: bool,
}

/// By the digest of a key. Nobody outside can choose digests that fall together.
type TierOfKey = HashMap<u64, u8, FixedState>;

/// Without the secret.
impl fmt::Debug for Entrance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entrance").finish_non_exhaustive()
    }
}

/// A request that goes on to the dispatcher.
#[derive(Clone, Debug, PartialEq)]
#[must_use]
pub struct Admitted {
    /// The route that serves it.
    pub route: RouteId,
    /// For whom the limits counted it.
    pub client: Client,
    /// The claims of its token, if its route asks for one.
    pub claims: Option<Claims>,
    /// What limits count of it when its end is known.
    pub owed: Owed,
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
        let limits = config.limits.clone();
        let (tiers, counts_ends) = (tiers_of_keys(&limits, secret).into(), limits.count_ends());
        Self { routes: config.routes.clone(), limits, secret, tiers, counts_ends }
    }

    /// Whether any limit counts requests by their ends, so that something may be owed.
    pub const fn counts_ends(&self) -> bool {
        self.counts_ends
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
        let (caller, mut owed) = (unknown(request), Owed::default());
        let own = || request.peer.bucket();
        self.ask(limits, now, Scope::PerIp, request, &caller, own, (checks, &mut owed))
            .map_err(Stop::Rejected)?;
        self.authenticate(now, request, limits, judge_token, false, (checks, owed))
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
        let mut owed = Owed::default();
        if self.counts_ends {
            // Nothing of it is known but that it was let through.
            let caller = unknown(request);
            for (limit, rule) in self.counting(Scope::PerIp, request) {
                let ask = self.ask_of(limit, rule, request, &caller, || request.peer.bucket());
                owe(&mut owed, limit, rule, ask);
            }
        }
        self.authenticate(now, request, limits, judge_token, true, (checks, owed))
    }

    #[inline]
    fn authenticate(
        &self,
        now: Timestamp,
        request: &Request,
        limits: &mut impl Limits,
        judge_token: Option<impl FnOnce(bool) -> AuthVerdict>,
        has_waited: bool,
        (checks, mut owed): (&mut Checks, Owed),
    ) -> Result<Admitted, Stop> {
        let mut claims = None;
        if let Some(judge) = judge_token.filter(|_| self.routes.requires_auth(request.route)) {
            match judge(has_waited) {
                AuthVerdict::Verified(verified) => claims = Some(verified),
                AuthVerdict::Rejected(rejection) => {
                    owed.settle(now, RequestEnd::Rejected(rejection), limits);
                    return Err(Stop::Rejected(rejection));
                }
                AuthVerdict::AwaitKeys(wait) => return Err(Stop::AwaitKeys(wait)),
            }
        }
        let caller = Caller { claims: claims.as_ref(), ..unknown(request) };
        match self.admit(now, request, &caller, limits, (checks, &mut owed)) {
            Ok(route) => {
                let by = self.limits.per_key_by();
                let client =
                    by.map_or(request.client, |by| by.client(self.secret, claims.as_ref(), request.client));
                Ok(Admitted { route, client, claims, owed })
            }
            Err(rejection) => {
                owed.settle(now, RequestEnd::Rejected(rejection), limits);
                Err(Stop::Rejected(rejection))
            }
        }
    }

    /// Asks what comes after the token, scope after scope; the first to refuse is the last to be asked, so that later ones lose
    /// nothing to a request that never reaches them.
    fn admit(
        &self,
        now: Timestamp,
        request: &Request,
        caller: &Caller<'_>,
        limits: &mut impl Limits,
        (checks, owed): (&mut Checks, &mut Owed),
    ) -> Result<RouteId, Rejection> {
        let client = || caller.client.bucket();
        self.ask(limits, now, Scope::PerKey, request, caller, client, (checks, owed))?;
        let route = request.route.ok_or(Rejection::NoRoute)?;
        let of_route = || u64::from(route.0);
        self.ask(limits, now, Scope::PerRoute, request, caller, of_route, (checks, owed))?;
        self.ask(limits, now, Scope::Global, request, caller, || 0, (checks, owed))?;
        Ok(route)
    }

    /// Asks the limits of a scope, each for the bucket in which it counts the request: `own` is the one of what the scope is named
    /// for.
    #[expect(clippy::too_many_arguments, reason = "all that a request is judged by, and what becomes of it")]
    #[inline]
    fn ask(
        &self,
        limits: &mut impl Limits,
        now: Timestamp,
        scope: Scope,
        request: &Request,
        caller: &Caller<'_>,
        own: impl Fn() -> u64,
        (checks, owed): (&mut Checks, &mut Owed),
    ) -> Result<(), Rejection> {
        let rules = self.limits.list(scope).rules();
        if rules.len() > 1 && self.limits.charge == Charge::Admitted {
            let asked = self.counting(scope, request);
            let asked: ArrayVec<_, { LimitId::MOST_IN_SCOPE }> =
                asked.map(|(limit, rule)| (limit, self.ask_of(limit, rule, request, caller, &own))).collect();
            limits.check_all(now, &asked, checks).map_err(|(limit, retry_after)| {
                let status =
                    rules.get(limit.place()).map_or(LimitRule::TOO_MANY_REQUESTS, |rule| rule.status);
                Rejection::RateLimited { limit, retry_after, status }
            })?;
            for (limit, ask) in asked {
                rules.get(limit.place()).into_iter().for_each(|rule| owe(owed, limit, rule, ask));
            }
            return Ok(());
        }
        for (limit, rule) in self.counting(scope, request) {
            let ask = self.ask_of(limit, rule, request, caller, &own);
            let Some(verdict) = limits.check(now, limit, ask) else { continue };
            checks.note_of(now, limit, ask.tier, verdict);
            if let Verdict::Rejected { retry_after } = verdict {
                return Err(Rejection::RateLimited { limit, retry_after, status: rule.status });
            }
            owe(owed, limit, rule, ask);
        }
        Ok(())
    }

    /// The limits of a scope that count such a request, in their order.
    #[inline]
    fn counting<'l>(
        &'l self,
        scope: Scope,
        request: &Request,
    ) -> impl Iterator<Item = (LimitId, &'l LimitRule)> + use<'l> {
        let (rules, method) = (self.limits.list(scope).rules().iter(), request.method);
        let asked =
            rules.enumerate().filter_map(move |(place, rule)| Some((LimitId::new(scope, place)?, rule)));
        asked.filter(move |(_, rule)| rule.counts(method))
    }

    /// What a limit is asked about a request.
    #[inline]
    fn ask_of(
        &self,
        limit: LimitId,
        rule: &LimitRule,
        request: &Request,
        caller: &Caller<'_>,
        own: impl FnOnce() -> u64,
    ) -> Ask {
        Ask {
            bucket: rule.by.bucket(self.secret, caller, own),
            cost: rule.costs.of(request.route),
            tier: if rule.tiers.is_empty() { 0 } else { self.tier(limit, rule, caller) },
            counts: rule.count.is_none(),
        }
    }

    /// The tier that names a caller, from 1; 0 for nobody's.
    fn tier(&self, limit: LimitId, rule: &LimitRule, caller: &Caller<'_>) -> u8 {
        let by_key = self.tiers.get(limit.slot()).and_then(|tiers| tiers.get(&caller.client.bucket()));
        let by_claims = (1..)
            .zip(&rule.tiers)
            .find(|(_, tier)| tier.members.claimed_by(caller.claims))
            .map(|(number, _)| number);
        by_key.copied().into_iter().chain(by_claims).min().unwrap_or(0)
    }
}

/// The sender of a request before the token was judged.
const fn unknown(request: &Request) -> Caller<'static> {
    Caller { peer: request.peer, client: request.client, claims: None, route: request.route }
}

/// A limit that counts by the end waits for it.
#[inline]
fn owe(owed: &mut Owed, limit: LimitId, rule: &LimitRule, ask: Ask) {
    if let Some(ends) = rule.count {
        owed.push(limit, ask, ends);
    }
}

/// The tier of each key that one names, by slot of the limit: the first that names it.
fn tiers_of_keys(limits: &RateLimits, secret: KeySecret) -> Vec<TierOfKey> {
    let mut by_slot = Vec::new();
    for (limit, rule) in limits.iter().filter(|(_, rule)| !rule.tiers.is_empty()) {
        by_slot.resize_with(limit.slot() + 1, TierOfKey::default);
        let of_keys = &mut by_slot[limit.slot()];
        for (number, tier) in (1..).zip(&rule.tiers) {
            for key in tier.members.each_key() {
                of_keys.entry(Client::from_key(secret, key.as_bytes()).bucket()).or_insert(number);
            }
        }
    }
    by_slot
}
