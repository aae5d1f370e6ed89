//! Which ends of an attempt count as failures: one vocabulary for retry policies and breakers.

use crate::attempt::AttemptFailure;

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
