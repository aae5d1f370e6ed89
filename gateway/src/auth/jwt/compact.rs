//! The three parts of a token in the compact serialisation.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::{JwtKey, SignedParts};
use crate::auth::{JwtAlgorithm, Payload, Presented, Token, strict_json};

/// A JWS in the compact serialisation (RFC 7515, 7.1), taken apart and not believed.
#[derive(Debug)]
pub struct CompactToken<'a> {
    algorithm: Option<JwtAlgorithm>,
    kid: Option<String>,
    payload: Vec<u8>,
    signed: SignedParts<'a>,
}

impl<'a> CompactToken<'a> {
    /// The longest that is read, in bytes: no header field that a server commonly takes is longer.
    pub const MAX_LENGTH: usize = 8 * 1024;

    /// Takes a token apart. `None` for what is none: not three parts of base64url as RFC 7515 has it (no padding, no other
    /// alphabet, one spelling only), a header that is no JSON object, names a member twice, has no `alg` or a `kid` that is
    /// no text, or has a `crit`, which asks for extensions that we do not have.
    pub fn parse(token: &'a [u8]) -> Option<Self> {
        if token.len() > Self::MAX_LENGTH {
            return None;
        }
        let token = std::str::from_utf8(token).ok()?;
        let (message, signature) = token.rsplit_once('.')?;
        let (header, payload) = message.split_once('.')?;
        // A further dot would be no base64url.
        let (header, payload) = (decode(header)?, decode(payload)?);
        decode(signature)?;
        let header = strict_json::object(&header)?;
        if header.contains_key("crit") {
            return None;
        }
        let algorithm = JwtAlgorithm::from_name(header.get("alg")?.as_str()?);
        let kid = match header.get("kid") {
            None => None,
            Some(kid) => Some(kid.as_str()?.to_owned()),
        };
        Some(Self { algorithm, kid, payload, signed: SignedParts { message: message.as_bytes(), signature } })
    }

    /// The token as it is judged.
    pub fn presented(&self) -> Presented<'_, JwtKey> {
        Presented::Token(Token {
            algorithm: self.algorithm,
            kid: self.kid.as_deref(),
            payload: Payload::Json(&self.payload),
            signed: self.signed,
        })
    }
}

pub(super) fn decode(base64: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(base64).ok()
}
