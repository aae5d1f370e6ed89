use crate::{Client, KeyedLimiter, Peer, RateLimit, Rejection, RouteId, Timestamp, Verdict};

/// What a rate limit counts by, in the order in which a request meets them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// Each source address on its own.
    PerIp,
    /// Each client on its own: its API key, or its address where it sends none.
    PerKey,
    /// Each route on its own.
    PerRoute,
    /// All requests together.
    Global,
}

impl Scope {
    /// Every scope, in the order in which a request meets them.
    pub const ALL: [Self; 4] = [Self::PerIp, Self::PerKey, Self::PerRoute, Self::Global];

    /// The name in files and results.
    pub const fn name(self) -> &'static str {
        match self {
            Self::PerIp => "per_ip",
            Self::PerKey => "per_key",
            Self::PerRoute => "per_route",
            Self::Global => "global",
        }
    }
}

/// The rate limits of a gateway; `None` where a scope is not limited.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RateLimits {
    /// For each source address.
    pub per_ip: Option<RateLimit>,
    /// For each client.
    pub per_key: Option<RateLimit>,
    /// For each route.
    pub per_route: Option<RateLimit>,
    /// For all requests together.
    pub global: Option<RateLimit>,
}

impl RateLimits {
    /// The limit of a scope.
    pub const fn get(&self, scope: Scope) -> Option<&RateLimit> {
        match scope {
            Scope::PerIp => self.per_ip.as_ref(),
            Scope::PerKey => self.per_key.as_ref(),
            Scope::PerRoute => self.per_route.as_ref(),
            Scope::Global => self.global.as_ref(),
        }
    }
}

/// What each rate limit said of one request; nothing for a limit that is off or that was not reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Checks([Option<Verdict>; 4]);

impl Checks {
    /// The verdict of a scope.
    pub const fn get(&self, scope: Scope) -> Option<Verdict> {
        self.0[scope as usize]
    }

    /// The verdicts in the order in which they were given.
    pub fn iter(&self) -> impl Iterator<Item = (Scope, Verdict)> {
        Scope::ALL.into_iter().filter_map(|scope| Some((scope, self.get(scope)?)))
    }
}

/// Who sends what where, as far as admission depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// The source address.
    pub peer: Peer,
    /// The client.
    pub client: Client,
    /// The route that serves its path, by [`Routes::resolve`](crate::Routes::resolve).
    pub route: Option<RouteId>,
    /// Whether it may be sent twice without harm (RFC 9110, 9.2.2).
    pub idempotent: bool,
}

/// The limits in front of a gateway and their state.
#[derive(Debug)]
pub(crate) struct Admission {
    limiters: [Option<KeyedLimiter>; 4],
}

impl Admission {
    pub(crate) fn new(limits: &RateLimits) -> Self {
        Self { limiters: Scope::ALL.map(|scope| limits.get(scope).copied().map(KeyedLimiter::new)) }
    }

    /// Asks limit after limit; the first to refuse is the last to be asked, so that later ones lose nothing to
    /// a request that never reaches them.
    pub(crate) fn on_request(
        &mut self,
        now: Timestamp,
        request: &Request,
    ) -> (Checks, Result<RouteId, Rejection>) {
        let mut checks = Checks::default();
        let admitted = (|| {
            self.check(now, Scope::PerIp, request.peer.bucket(), &mut checks)?;
            self.check(now, Scope::PerKey, request.client.bucket(), &mut checks)?;
            let route = request.route.ok_or(Rejection::NoRoute)?;
            self.check(now, Scope::PerRoute, u64::from(route.0), &mut checks)?;
            self.check(now, Scope::Global, 0, &mut checks)?;
            Ok(route)
        })();
        (checks, admitted)
    }

    fn check(
        &mut self,
        now: Timestamp,
        scope: Scope,
        bucket: u64,
        checks: &mut Checks,
    ) -> Result<(), Rejection> {
        let Some(limiter) = &mut self.limiters[scope as usize] else { return Ok(()) };
        let verdict = limiter.check(now, bucket);
        checks.0[scope as usize] = Some(verdict);
        match verdict {
            Verdict::Admitted { .. } => Ok(()),
            Verdict::Rejected { retry_after } => Err(Rejection::RateLimited { scope, retry_after }),
        }
    }
}
