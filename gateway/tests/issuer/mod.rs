//! An identity provider that signs whatever it is told to, with keys of its own making.

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair,
    RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaEncoding, RsaKeyPair,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use gateway::Timestamp;
use serde_json::{Value, json};

/// When its tokens are judged: 2026-06-02T09:00:00Z.
pub(crate) const NOW: Timestamp = Timestamp::from_nanos(SECONDS * 1_000_000_000);
pub(crate) const SECONDS: u64 = 1_780_390_800;

/// Three keys, named `rsa`, `ec` and `ed`.
pub(crate) struct Issuer {
    pub(crate) rsa: RsaKeyPair,
    pub(crate) ec: EcdsaKeyPair,
    pub(crate) ed: Ed25519KeyPair,
}

pub(crate) fn base64url(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

impl Issuer {
    pub(crate) fn new() -> Self {
        Self {
            rsa: RsaKeyPair::generate(KeySize::Rsa2048).unwrap(),
            ec: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap(),
            ed: Ed25519KeyPair::generate().unwrap(),
        }
    }

    pub(crate) fn rsa_jwk(&self, kid: &str) -> Value {
        let key = self.rsa.public_key();
        let (n, e) = (key.modulus(), key.exponent());
        let (n, e) = (n.big_endian_without_leading_zero(), e.big_endian_without_leading_zero());
        json!({ "kty": "RSA", "kid": kid, "use": "sig", "alg": "RS256", "n": base64url(n), "e": base64url(e) })
    }

    pub(crate) fn ec_jwk(&self, kid: &str) -> Value {
        let point = self.ec.public_key().as_ref();
        let (x, y) = (base64url(&point[1..33]), base64url(&point[33..]));
        json!({ "kty": "EC", "crv": "P-256", "kid": kid, "x": x, "y": y })
    }

    pub(crate) fn ed_jwk(&self, kid: &str) -> Value {
        json!({ "kty": "OKP", "crv": "Ed25519", "kid": kid, "x": base64url(self.ed.public_key()) })
    }

    pub(crate) fn jwks(&self) -> String {
        json!({ "keys": [self.rsa_jwk("rsa"), self.ec_jwk("ec"), self.ed_jwk("ed")] }).to_string()
    }

    /// The RSA key as `SubjectPublicKeyInfo`.
    pub(crate) fn rsa_der(&self) -> Vec<u8> {
        self.rsa.public_key().as_der().unwrap().as_ref().to_vec()
    }

    /// Signs by the named algorithm, with the key that is for it; by none that is not named here.
    pub(crate) fn signature(&self, algorithm: &str, message: &[u8]) -> Vec<u8> {
        let rsa = |encoding: &'static dyn RsaEncoding| {
            let mut signature = vec![0; self.rsa.public_modulus_len()];
            self.rsa.sign(encoding, &SystemRandom::new(), message, &mut signature).unwrap();
            signature
        };
        match algorithm {
            "RS256" => rsa(&RSA_PKCS1_SHA256),
            "PS256" => rsa(&RSA_PSS_SHA256),
            "ES256" => self.ec.sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec(),
            "ES256 as DER" => {
                let pkcs8 = self.ec.to_pkcs8v1().unwrap();
                let der = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, pkcs8.as_ref()).unwrap();
                der.sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec()
            }
            "EdDSA" => self.ed.sign(message).as_ref().to_vec(),
            _ => Vec::new(),
        }
    }

    /// A token with this header and payload, signed by the named algorithm.
    pub(crate) fn sign(&self, algorithm: &str, header: &str, payload: &str) -> String {
        let message = format!("{}.{}", base64url(header), base64url(payload));
        let signature = base64url(self.signature(algorithm, message.as_bytes()));
        format!("{message}.{signature}")
    }

    /// A token as it should be, by the key that is for the algorithm.
    pub(crate) fn token(&self, algorithm: &str, claims: &Value) -> String {
        let kid = match algorithm {
            "RS256" => "rsa",
            "ES256" => "ec",
            _ => "ed",
        };
        let header = json!({ "alg": algorithm, "kid": kid, "typ": "JWT" });
        self.sign(algorithm, &header.to_string(), &claims.to_string())
    }
}

/// A token signed by HMAC with SHA-256 under this key.
pub(crate) fn hmac_signed(key: &[u8], header: &str, payload: &str) -> String {
    let message = format!("{}.{}", base64url(header), base64url(payload));
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), message.as_bytes());
    format!("{message}.{}", base64url(tag))
}
