//! Real public keys, and the signatures that they check.

use jsonwebtoken::{Algorithm, DecodingKey, crypto};

use crate::auth::{JwtAlgorithm, VerifyingKey};

/// A public key of an identity provider.
#[derive(Clone, Debug)]
pub struct JwtKey {
    algorithm: JwtAlgorithm,
    key: DecodingKey,
    /// What tells it from others.
    public: Vec<u8>,
}

/// What a signature is over, and the signature in base64url.
#[derive(Clone, Copy, Debug)]
pub struct SignedParts<'a> {
    /// Header and payload with the dot between, as they were sent.
    pub message: &'a [u8],
    /// The third part.
    pub signature: &'a str,
}

impl JwtKey {
    /// An RSA key; `None` for a modulus of less than 2048 or more than 8192 bits, or an exponent that is even, 1, or longer
    /// than 64 bits.
    pub fn rsa(modulus: &[u8], exponent: &[u8]) -> Option<Self> {
        let (modulus, exponent) = (significant(modulus), significant(exponent));
        let bits = (modulus.len() * 8).checked_sub(modulus.first()?.leading_zeros() as usize)?;
        let odd = exponent.last()? % 2 == 1;
        if !(2048..=8192).contains(&bits) || !odd || exponent == [1] || exponent.len() > 8 {
            return None;
        }
        let key = DecodingKey::from_rsa_raw_components(modulus, exponent);
        Some(Self { algorithm: JwtAlgorithm::Rs256, key, public: [modulus, b"/", exponent].concat() })
    }

    /// A key on P-256 from its coordinates; `None` unless they are 32 bytes each.
    pub fn p256(x: &[u8], y: &[u8]) -> Option<Self> {
        if x.len() != 32 || y.len() != 32 {
            return None;
        }
        // The point, uncompressed (SEC 1, 2.3.3), which is how it is read.
        let public = [&[4], x, y].concat();
        Some(Self { algorithm: JwtAlgorithm::Es256, key: DecodingKey::from_ec_der(&public), public })
    }

    /// An Ed25519 key; `None` unless it is 32 bytes.
    pub fn ed25519(public: &[u8]) -> Option<Self> {
        let fits = public.len() == 32;
        fits.then(|| Self {
            algorithm: JwtAlgorithm::EdDsa,
            key: DecodingKey::from_ed_der(public),
            public: public.to_vec(),
        })
    }
}

impl PartialEq for JwtKey {
    fn eq(&self, other: &Self) -> bool {
        (self.algorithm, &self.public) == (other.algorithm, &other.public)
    }
}

impl VerifyingKey for JwtKey {
    type Signed<'a> = SignedParts<'a>;

    fn algorithm(&self) -> JwtAlgorithm {
        self.algorithm
    }

    fn verifies(&self, SignedParts { message, signature }: SignedParts<'_>) -> bool {
        let algorithm = match self.algorithm {
            JwtAlgorithm::Rs256 => Algorithm::RS256,
            JwtAlgorithm::Es256 => Algorithm::ES256,
            JwtAlgorithm::EdDsa => Algorithm::EdDSA,
        };
        // An error is a key or a signature that is none.
        crypto::verify(signature, message, &self.key, algorithm).unwrap_or(false)
    }
}

/// A number without the zeros in front of it.
fn significant(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    &number[zeros..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weak_and_misshapen_keys_are_none() {
        let modulus = |bytes: usize, first: u8| {
            let mut modulus = vec![0xff; bytes];
            modulus[0] = first;
            modulus
        };
        let exponent = [1, 0, 1];
        assert!(JwtKey::rsa(&modulus(256, 0x80), &exponent).is_some());
        assert!(JwtKey::rsa(&modulus(257, 0), &exponent).is_some(), "a zero in front counts nothing");
        assert!(JwtKey::rsa(&modulus(1024, 0xff), &[3]).is_some());
        for (modulus, exponent) in [
            (modulus(256, 0x7f), &exponent[..]),
            (modulus(128, 0xff), &exponent),
            (modulus(1025, 1), &exponent),
            (vec![0; 256], &exponent),
            (Vec::new(), &exponent),
            (modulus(256, 0x80), &[]),
            (modulus(256, 0x80), &[0, 0]),
            (modulus(256, 0x80), &[1]),
            (modulus(256, 0x80), &[1, 0]),
            (modulus(256, 0x80), &[1; 9]),
        ] {
            assert!(JwtKey::rsa(&modulus, exponent).is_none(), "{modulus:?} {exponent:?}");
        }
        assert!(JwtKey::p256(&[1; 32], &[1; 31]).is_none() && JwtKey::p256(&[1; 33], &[1; 32]).is_none());
        assert!(JwtKey::ed25519(&[1; 31]).is_none() && JwtKey::ed25519(&[1; 57]).is_none());
    }

    #[test]
    fn a_point_beside_the_curve_verifies_nothing() {
        let key = JwtKey::p256(&[1; 32], &[1; 32]).unwrap();
        let zeros = "A".repeat(86);
        assert!(!key.verifies(SignedParts { message: b"a.b", signature: &zeros }));
        let key = JwtKey::ed25519(&[0xff; 32]).unwrap();
        assert!(!key.verifies(SignedParts { message: b"a.b", signature: &zeros }));
    }
}
