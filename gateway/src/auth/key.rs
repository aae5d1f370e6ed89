//! Public keys as the rules see them, real or simulated, and sets of keys.

use std::fmt;

use super::JwtAlgorithm;

/// A public key that signatures are checked with, and what of a token it checks.
pub trait VerifyingKey: PartialEq + fmt::Debug {
    /// What of a token the signature is over, and the signature.
    type Signed<'a>: Copy + fmt::Debug;

    /// The one algorithm the key is for.
    fn algorithm(&self) -> JwtAlgorithm;

    /// Whether this key made the signature.
    fn verifies(&self, signed: Self::Signed<'_>) -> bool;
}

/// A key in virtual time: a number, and a signature is the number of the key that made it.
///
/// A forged token names one key by its `kid` and bears another's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SimulatedKey {
    /// Which it is; a rotation brings new ones.
    pub number: u64,
    /// What it is for.
    pub algorithm: JwtAlgorithm,
}

impl VerifyingKey for SimulatedKey {
    type Signed<'a> = u64;

    fn algorithm(&self) -> JwtAlgorithm {
        self.algorithm
    }

    fn verifies(&self, signed: u64) -> bool {
        self.number == signed
    }
}

/// The keys of an identity provider, by their `kid`, as a fetch brings them.
#[derive(Clone, Debug, PartialEq)]
pub struct KeySet<K> {
    keys: Vec<(String, K)>,
}

impl<K: VerifyingKey> KeySet<K> {
    /// The most keys that are kept of a set; providers publish two or three.
    pub const MAX_KEYS: usize = 100;

    /// The most keys that are kept of one `kid` and algorithm: each may have to be tried for each token that names it.
    pub const MAX_OF_A_KID: usize = 4;

    /// These keys, without repetitions. Of those with the same `kid` for the same algorithm the first
    /// [`MAX_OF_A_KID`](Self::MAX_OF_A_KID) count, and none beyond [`MAX_KEYS`](Self::MAX_KEYS) does.
    pub fn new(keys: impl IntoIterator<Item = (String, K)>) -> Self {
        let mut kept: Vec<(String, K)> = Vec::new();
        for (kid, key) in keys {
            let same =
                || kept.iter().filter(|(other, one)| *other == kid && one.algorithm() == key.algorithm());
            let is_new = same().count() < Self::MAX_OF_A_KID && same().all(|(_, one)| *one != key);
            if kept.len() < Self::MAX_KEYS && is_new {
                kept.push((kid, key));
            }
        }
        Self { keys: kept }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    pub(super) fn into_keys(self) -> Vec<(String, K)> {
        self.keys
    }
}

/// A key that a cache holds, under a number that is its own for as long as the provider publishes it: what was verified
/// by a key that is gone is told by its number.
#[derive(Debug)]
pub struct HeldKey<K> {
    pub(super) number: u64,
    pub(super) kid: String,
    pub(super) key: K,
}

impl<K> HeldKey<K> {
    /// Its number.
    pub const fn number(&self) -> u64 {
        self.number
    }

    /// Its `kid`.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The key.
    pub const fn key(&self) -> &K {
        &self.key
    }
}
