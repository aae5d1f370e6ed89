//! Which ends of an attempt count as failures: one vocabulary for retry policies and breakers.

use crate::attempt::{AttemptEnd, AttemptFailure, RequestEnd};
use crate::rejection::Rejection;

/// A set of failures, as a file lists them: `["5xx", 429, "timeout", "connect"]`.
///
/// The default is empty.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FailureSet {
    /// Any answer of 500 or above.
    pub server_errors: bool,
    /// The caller's own timeout.
    pub timeout: bool,
    /// The connection was refused, or broke.
    pub connect: bool,
    /// Answers with one of these statuses.
    pub statuses: StatusSet,
}

/// A set of HTTP statuses, each 400 to 599: a bit for each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StatusSet([u64; WORDS]);

/// The lowest status that can be in a set.
const FIRST: u16 = 400;
/// The highest status that can be in a set.
const LAST: u16 = 599;
const WORDS: usize = (LAST - FIRST + 1).div_ceil(64) as usize;

impl FailureSet {
    /// Answers of 500 or above, the caller's own timeout and broken connections.
    pub const USUAL: Self =
        Self { server_errors: true, timeout: true, connect: true, statuses: StatusSet([0; WORDS]) };

    /// Whether the set has that failure. An answer below 400 never is one.
    pub const fn includes(&self, failure: AttemptFailure) -> bool {
        match failure {
            AttemptFailure::Status(status) => {
                (status >= 500 && self.server_errors) || self.statuses.includes(status)
            }
            AttemptFailure::Timeout => self.timeout,
            AttemptFailure::Connect => self.connect,
        }
    }

    /// Whether the set has that end of a request at the gateway. The gateway's own answers are answers like any other, by their
    /// statuses; a timeout and a broken connection are in the set by their names too. What a rate limit rejects and a client
    /// that left never are.
    pub const fn includes_end(&self, end: RequestEnd) -> bool {
        let by_name = match end {
            RequestEnd::ClientLeft | RequestEnd::Rejected(Rejection::RateLimited { .. }) => return false,
            RequestEnd::Attempt(AttemptEnd::TimedOut) => self.timeout,
            RequestEnd::Attempt(AttemptEnd::Broken | AttemptEnd::NeverSent) => self.connect,
            RequestEnd::Attempt(_) | RequestEnd::Rejected(_) | RequestEnd::Malformed { .. } => false,
        };
        by_name
            || match end.status() {
                Some(status) => self.includes(AttemptFailure::Status(status)),
                None => false,
            }
    }

    /// Whether nothing is in the set.
    pub const fn is_empty(&self) -> bool {
        !self.server_errors && !self.timeout && !self.connect && self.statuses.is_empty()
    }
}

impl StatusSet {
    /// The set of these statuses; those outside of 400 to 599 are left out.
    pub const fn of(statuses: &[u16]) -> Self {
        let mut set = Self([0; WORDS]);
        let mut place = 0;
        while place < statuses.len() {
            if let Some((word, bit)) = Self::place(statuses[place]) {
                set.0[word] |= bit;
            }
            place += 1;
        }
        set
    }

    /// Whether the status is in the set.
    pub const fn includes(&self, status: u16) -> bool {
        match Self::place(status) {
            Some((word, bit)) => self.0[word] & bit != 0,
            None => false,
        }
    }

    /// Whether no status is in the set.
    pub const fn is_empty(&self) -> bool {
        let mut word = 0;
        while word < WORDS {
            if self.0[word] != 0 {
                return false;
            }
            word += 1;
        }
        true
    }

    /// The statuses of the set, in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = u16> {
        (FIRST..=LAST).filter(|status| self.includes(*status))
    }

    const fn place(status: u16) -> Option<(usize, u64)> {
        if status < FIRST || status > LAST {
            return None;
        }
        let place = status - FIRST;
        Some(((place / 64) as usize, 1 << (place % 64)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Beside a list of the statuses.
        #[test]
        fn a_set_has_what_is_put_into_it(statuses in prop::collection::vec(0u16..1_000, 0..40)) {
            let set = StatusSet::of(&statuses);
            for status in 0..1_000 {
                let is_in = (400..600).contains(&status) && statuses.contains(&status);
                prop_assert_eq!(set.includes(status), is_in, "{}", status);
            }
            let mut listed: Vec<u16> = statuses.into_iter().filter(|status| (400..600).contains(status)).collect();
            listed.sort_unstable();
            listed.dedup();
            prop_assert_eq!(set.is_empty(), listed.is_empty());
            prop_assert_eq!(set.iter().collect::<Vec<_>>(), listed);
        }
    }

    #[test]
    fn the_end_of_a_request_is_what_its_client_is_answered() {
        use crate::auth::TokenFault;
        use crate::limits::LimitId;
        use crate::scope::Scope;
        let unauthenticated =
            RequestEnd::Rejected(Rejection::Unauthenticated { reason: TokenFault::Missing });
        let (limit, retry_after) = (LimitId::first(Scope::PerKey), std::time::Duration::ZERO);
        let limited = |status| RequestEnd::Rejected(Rejection::RateLimited { limit, retry_after, status });
        let attempt = RequestEnd::Attempt;
        let only =
            |statuses: &[u16]| FailureSet { statuses: StatusSet::of(statuses), ..FailureSet::default() };
        let named = |timeout, connect| FailureSet { timeout, connect, ..FailureSet::default() };
        let servers = FailureSet { server_errors: true, ..FailureSet::default() };
        for (end, servers_errors, by_401, by_timeout, by_connect) in [
            (attempt(AttemptEnd::Answered(200)), false, false, false, false),
            (attempt(AttemptEnd::Answered(401)), false, true, false, false),
            (unauthenticated, false, true, false, false),
            (attempt(AttemptEnd::Deferred { status: 503, millis: 1 }), true, false, false, false),
            (RequestEnd::Rejected(Rejection::BulkheadFull), true, false, false, false),
            (attempt(AttemptEnd::TimedOut), true, false, true, false),
            (attempt(AttemptEnd::Broken), true, false, false, true),
            (attempt(AttemptEnd::Cut), true, false, false, false),
            (RequestEnd::Malformed { status: 400 }, false, false, false, false),
            (RequestEnd::ClientLeft, false, false, false, false),
            (limited(429), false, false, false, false),
            (limited(503), false, false, false, false),
        ] {
            let found = [servers, only(&[401, 429]), named(true, false), named(false, true)];
            let expected = [servers_errors, by_401, by_timeout, by_connect];
            assert_eq!(found.map(|set| set.includes_end(end)), expected, "{end:?}");
        }
    }

    #[test]
    fn a_class_and_single_statuses_add_up() {
        use AttemptFailure::{Connect, Status, Timeout};
        let set = FailureSet { statuses: StatusSet::of(&[404, 429]), ..FailureSet::default() };
        assert!([404, 429].into_iter().all(|status| set.includes(Status(status))));
        assert!([400, 403, 500, 503].into_iter().all(|status| !set.includes(Status(status))));
        assert!(!set.includes(Timeout) && !set.includes(Connect) && !set.is_empty());
        let both = FailureSet { server_errors: true, ..set };
        assert!([404, 500, 599, 600].into_iter().all(|status| both.includes(Status(status))));
        assert!(FailureSet::default().is_empty() && !FailureSet::USUAL.is_empty());
        assert!(FailureSet::USUAL.includes(Timeout) && !FailureSet::USUAL.includes(Status(429)));
    }
}
