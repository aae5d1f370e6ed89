//! Who asks, and whether they may: a token is judged before anything behind the gateway hears of the request.
//!
//! Services that each judge tokens for themselves are as good as the one that forgets a check. A gateway that judges them
//! does it once, in one order, and everything that goes wrong has a name:
//!
//! | step | what is wrong | status |
//! |---|---|---|
//! | 1 | there is no token: `token-missing` | 401 |
//! | 2 | it is no compact JWS, or says something twice: `token-malformed` | 401 |
//! | 3 | it is signed by no algorithm of ours (`none`, HMAC, …): `algorithm-refused` | 401 |
//! | 4 | no key to judge it by is to be had: [`Rejection::KeysUnavailable`](crate::Rejection::KeysUnavailable) | 503 |
//! | 5 | its `kid` names no key, or it names none and more than one could be meant: `key-unknown` | 401 |
//! | 6 | that key is for another algorithm: `algorithm-mismatch` | 401 |
//! | 7 | the key did not sign it: `signature-invalid` | 401 |
//! | 8 | its claims are not what claims are: `token-malformed` | 401 |
//! | 9 | `expiry-missing`, `token-expired`, `not-yet-valid` | 401 |
//! | 10 | `issuer-mismatch`, `audience-mismatch` | 401 |
//! | 11 | a required claim: `claim-missing`, `claim-mismatch` | 403 |
//!
//! The key says which algorithm it is for, and the token only repeats it: a token that chose its algorithm could have a
//! public key taken for an HMAC secret. Nothing else of a token's header is looked at: a key that a token brings along
//! (`jwk`, `jku`, `x5c`, `x5u`) proves that somebody has a key. Claims are read after the signature, for until then they
//! are anybody's. `iat` is read but not judged: RFC 7519 (4.1.6) gives it no say in whether a token is accepted.
//!
//! [`JwksCache`] keeps the keys, [`Authenticator`] judges by them, and both are told the time. What a signature is they
//! leave to a [`VerifyingKey`]: cryptography in a server, the number of a key in virtual time, and the same steps around it.

mod algorithm;
mod authenticator;
mod claims;
mod config;
mod fault;
mod jwks;
#[cfg(feature = "jwt")]
pub mod jwt;
mod key;
mod key_queue;
mod policy;
mod strict_json;
mod verified;

pub use algorithm::JwtAlgorithm;
pub use authenticator::{AuthVerdict, Authenticator, Payload, Presented, SharedAuthenticator, Token};
pub use claims::{Claims, ClaimsError};
pub use config::{AuthConfig, AuthConfigError, InjectedClaim, JwksCacheConfig, RequiredClaim};
pub use fault::{ClaimFault, TokenFault};
pub use jwks::{Fetch, FetchFailure, JwksCache, KeyWait, Lookup};
pub use key::{HeldKey, KeySet, SimulatedKey, VerifyingKey};
pub use key_queue::KeyQueue;
pub use policy::judge as judge_claims;
pub use verified::{TokenDigest, VerifiedTokens};
