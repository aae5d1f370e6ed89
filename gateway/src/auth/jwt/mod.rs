//! Real tokens: how a request bears one, how it is taken apart, and the cryptography that vouches for it.
//!
//! `jsonwebtoken` checks signatures and nothing else: it would take the algorithm from a token's header and the time from
//! the machine's clock, and both are for [`Authenticator`](super::Authenticator) to say.

mod bearer;
mod compact;
mod document;
mod key;

use aws_lc_rs::digest::{SHA256, digest};

pub use bearer::Bearer;
pub use compact::CompactToken;
pub use document::{MAX_DOCUMENT, parse_jwks};
pub use key::{JwtKey, SignedParts};

use super::{AuthVerdict, Presented, SharedAuthenticator, TokenDigest};
use crate::timestamp::Timestamp;

impl SharedAuthenticator<JwtKey> {
    /// Judges what a request bears: a token that was verified before by its digest, any other by its signature.
    /// `has_waited` as for [`SharedAuthenticator::on_token`].
    pub fn on_bearer(&self, now: Timestamp, bearer: Bearer<'_>, has_waited: bool) -> AuthVerdict {
        // Nothing is remembered of what is no token.
        let none = TokenDigest::default();
        let token = match bearer {
            Bearer::Nothing => return self.on_token(now, none, &Presented::Nothing, has_waited),
            Bearer::Token(token) if token.len() <= CompactToken::MAX_LENGTH => token,
            Bearer::Token(_) | Bearer::Malformed => {
                return self.on_token(now, none, &Presented::Malformed, has_waited);
            }
        };
        let digest = token_digest(token);
        if let Some(claims) = self.recall(now, &digest) {
            return AuthVerdict::Verified(claims);
        }
        let compact = CompactToken::parse(token);
        let presented = compact.as_ref().map_or(Presented::Malformed, CompactToken::presented);
        self.on_token(now, digest, &presented, has_waited)
    }
}

/// The digest that a token is remembered by. Nobody finds two tokens with one digest, so a forged one is never taken for a
/// genuine one that it resembles.
pub fn token_digest(token: &[u8]) -> TokenDigest {
    let mut bytes = TokenDigest::default();
    bytes.copy_from_slice(digest(&SHA256, token).as_ref());
    bytes
}
