//! A bounded memory of tokens whose signature was found genuine.

use std::hash::BuildHasherDefault;
use std::hash::Hasher;

use hashlink::LinkedHashMap;

use super::Claims;

/// The SHA-256 digest of a token as it was sent.
pub type TokenDigest = [u8; 32];

/// Tokens that were found genuine, so that the same one is not verified with every request.
///
/// A client sends its token a thousand times before it expires, and a signature is by far the dearest thing a gateway
/// computes. Kept is the token's digest, never the token: what is remembered here opens nothing elsewhere. And only
/// genuine ones: forged ones are without number and would drive them out.
///
/// It is bounded, the one that was least recently used goes first, and it decides nothing: whoever
/// [recalls](Self::recall) a token judges its times and asks whether its key still holds.
#[derive(Debug)]
pub struct VerifiedTokens {
    capacity: usize,
    /// The least recently used in front.
    tokens: LinkedHashMap<TokenDigest, Verified, BuildHasherDefault<DigestHasher>>,
}

/// What is remembered of a token.
#[derive(Clone, Debug)]
pub struct Verified {
    /// The number of the key that signed it, by [`HeldKey::number`](super::HeldKey::number).
    pub key: u64,
    /// What it says.
    pub claims: Claims,
}

impl VerifiedTokens {
    /// Room for so many.
    pub fn new(capacity: usize) -> Self {
        Self { capacity, tokens: LinkedHashMap::default() }
    }

    /// What was verified of a token.
    pub fn recall(&mut self, digest: &TokenDigest) -> Option<Verified> {
        self.tokens.to_back(digest).map(|verified| verified.clone())
    }

    /// Remembers a token, in the place of the least recently used where there is no room.
    pub fn remember(&mut self, digest: TokenDigest, verified: Verified) {
        if self.capacity == 0 {
            return;
        }
        if self.tokens.len() >= self.capacity && !self.tokens.contains_key(&digest) {
            self.tokens.pop_front();
        }
        self.tokens.insert(digest, verified);
    }

    /// Forgets a token.
    pub fn forget(&mut self, digest: &TokenDigest) {
        self.tokens.remove(digest);
    }

    /// How many are remembered.
    pub fn len(&self) -> usize {
        self.tokens.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.tokens.is_empty()
    }
}

/// A digest is as good a hash as any, and of what is remembered nobody can choose it.
#[derive(Debug, Default)]
struct DigestHasher(u64);

impl Hasher for DigestHasher {
    fn write(&mut self, bytes: &[u8]) {
        if let Some(first) = bytes.first_chunk() {
            self.0 = u64::from_le_bytes(*first);
        }
    }

    /// The length of an array adds nothing.
    fn write_usize(&mut self, _: usize) {}

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(number: u8) -> TokenDigest {
        [number; 32]
    }

    fn verified(key: u64) -> Verified {
        Verified { key, claims: Claims::parse(b"{}").unwrap() }
    }

    #[test]
    fn the_least_recently_used_goes_first() {
        let mut tokens = VerifiedTokens::new(2);
        assert!(tokens.is_empty());
        tokens.remember(digest(1), verified(1));
        tokens.remember(digest(2), verified(2));
        assert_eq!(tokens.recall(&digest(1)).map(|verified| verified.key), Some(1));
        tokens.remember(digest(3), verified(3));
        assert!(tokens.recall(&digest(2)).is_none());
        tokens.remember(digest(1), verified(4));
        assert_eq!((tokens.len(), tokens.recall(&digest(1)).unwrap().key), (2, 4));
        tokens.forget(&digest(1));
        assert!(tokens.recall(&digest(1)).is_none());
        let mut none = VerifiedTokens::new(0);
        none.remember(digest(1), verified(1));
        assert!(none.is_empty());
    }
}
