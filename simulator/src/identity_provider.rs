//! The signing keys of the identity provider over time.

use std::time::Duration;

use gateway::auth::JwtAlgorithm;

use crate::fault::{Fault, FaultKind};

/// A signing key of the identity provider: the first is 0, each rotation brings the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyNumber(pub u32);

impl KeyNumber {
    /// What a token says of the key of that algorithm that signed it (its `kid`), such as `ES256-0`.
    pub fn kid(self, algorithm: JwtAlgorithm) -> String {
        format!("{}-{}", algorithm.name(), self.0)
    }
}

/// The keys of an identity provider over the time of a scenario: with which it signs, and which it publishes.
///
/// It begins with one key. At each [`FaultKind::RotateKeys`] it makes another and signs with that from then on; as long as
/// the fault lasts, the key before is still published, so that whoever holds a token of it is known. A rotation that is
/// shorter than a token's life leaves people outside whose tokens are good for a while yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeySchedule {
    /// When each rotation begins and ends, from the scenario's start; in order.
    rotations: Vec<(Duration, Duration)>,
}

impl KeySchedule {
    /// The rotations among these faults, which are those of the identity provider.
    pub fn new<'f>(faults: impl IntoIterator<Item = &'f Fault>) -> Self {
        let rotations = faults.into_iter().filter(|fault| *fault.kind() == FaultKind::RotateKeys);
        let mut rotations: Vec<_> = rotations.map(|fault| (fault.from(), fault.to())).collect();
        rotations.sort_unstable();
        Self { rotations }
    }

    /// The key that signs at a time from the scenario's start; what is signed before that bears the first.
    pub fn signing(&self, since_start: Duration) -> KeyNumber {
        KeyNumber(self.rotations.partition_point(|(from, _)| *from <= since_start) as u32)
    }

    /// The keys that are published at a time from the scenario's start, the signing one first.
    pub fn published(&self, since_start: Duration) -> impl Iterator<Item = KeyNumber> {
        let signing = self.signing(since_start);
        // Key n is replaced by rotation n, and goes when that is over.
        let replaced = self.rotations.iter().enumerate().take(signing.0 as usize).rev();
        let kept = replaced.filter(move |(_, (_, to))| since_start < *to);
        std::iter::once(signing).chain(kept.map(|(key, _)| KeyNumber(key as u32)))
    }

    /// Every key that there will ever be.
    pub fn keys(&self) -> impl Iterator<Item = KeyNumber> {
        (0..=self.rotations.len() as u32).map(KeyNumber)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn schedule(rotations: &[(u64, u64)]) -> KeySchedule {
        let fault = |&(at, lasts)| {
            Fault::new(seconds(at), seconds(lasts), 1.0, FaultKind::RotateKeys, String::new()).unwrap()
        };
        let other = Fault::new(seconds(1), seconds(1), 1.0, FaultKind::Hang, String::new()).unwrap();
        let faults: Vec<_> = rotations.iter().map(fault).chain([other]).collect();
        KeySchedule::new(&faults)
    }

    #[test]
    fn a_rotation_brings_a_key_and_keeps_the_one_before_for_a_while() {
        let keys = schedule(&[(60, 30), (120, 600)]);
        let published = |at| keys.published(seconds(at)).map(|key| key.0).collect::<Vec<_>>();
        for (at, expected) in [
            (0, vec![0]),
            (59, vec![0]),
            (60, vec![1, 0]),
            (89, vec![1, 0]),
            (90, vec![1]),
            (120, vec![2, 1]),
            (719, vec![2, 1]),
            (720, vec![2]),
        ] {
            assert_eq!(published(at), expected, "{at} s");
            assert_eq!(keys.signing(seconds(at)).0, expected[0], "{at} s");
        }
        assert_eq!(keys.keys().count(), 3);
    }

    #[test]
    fn without_a_rotation_there_is_one_key() {
        let keys = schedule(&[]);
        assert_eq!(keys.published(seconds(1)).collect::<Vec<_>>(), [KeyNumber(0)]);
        assert_eq!(KeyNumber(0).kid(JwtAlgorithm::EdDsa), "EdDSA-0");
    }
}
