//! The reasons for 401 and 403.

/// Why a token does not say who asks: 401.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TokenFault {
    /// There is none.
    Missing,
    /// It is no compact JWS, or its header or its claims are not what they must be.
    Malformed,
    /// It is not signed, or by an algorithm that is not accepted.
    AlgorithmRefused,
    /// No key has its `kid`; or it has none, and not just one key could be meant.
    KeyUnknown,
    /// The key is for another algorithm.
    AlgorithmMismatch,
    /// The key did not sign it.
    SignatureInvalid,
    /// It would be valid for ever.
    ExpiryMissing,
    /// It was valid once.
    Expired,
    /// It will be valid.
    NotYetValid,
    /// Somebody else issued it.
    IssuerMismatch,
    /// It is meant for somebody else.
    AudienceMismatch,
}

impl TokenFault {
    /// Every fault, in the order in which a token is judged.
    pub const ALL: [Self; 11] = [
        Self::Missing,
        Self::Malformed,
        Self::AlgorithmRefused,
        Self::KeyUnknown,
        Self::AlgorithmMismatch,
        Self::SignatureInvalid,
        Self::ExpiryMissing,
        Self::Expired,
        Self::NotYetValid,
        Self::IssuerMismatch,
        Self::AudienceMismatch,
    ];

    /// The name in answers and results.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Missing => "token-missing",
            Self::Malformed => "token-malformed",
            Self::AlgorithmRefused => "algorithm-refused",
            Self::KeyUnknown => "key-unknown",
            Self::AlgorithmMismatch => "algorithm-mismatch",
            Self::SignatureInvalid => "signature-invalid",
            Self::ExpiryMissing => "expiry-missing",
            Self::Expired => "token-expired",
            Self::NotYetValid => "not-yet-valid",
            Self::IssuerMismatch => "issuer-mismatch",
            Self::AudienceMismatch => "audience-mismatch",
        }
    }

    /// The same in a sentence, for the client; without a word of the token in it.
    pub const fn detail(self) -> &'static str {
        match self {
            Self::Missing => "the request bears no token",
            Self::Malformed => "the token is not well-formed",
            Self::AlgorithmRefused => "tokens of this algorithm are not accepted",
            Self::KeyUnknown => "the token is signed by an unknown key",
            Self::AlgorithmMismatch => "the key of the token is for another algorithm",
            Self::SignatureInvalid => "the signature of the token is not valid",
            Self::ExpiryMissing => "the token does not say when it expires",
            Self::Expired => "the token has expired",
            Self::NotYetValid => "the token is not valid yet",
            Self::IssuerMismatch => "the token is from another issuer",
            Self::AudienceMismatch => "the token is for another audience",
        }
    }
}

/// Why somebody who is known may not: 403.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ClaimFault {
    /// The token does not make a required claim.
    Missing,
    /// It makes one with another value.
    Mismatch,
}

impl ClaimFault {
    /// Every fault.
    pub const ALL: [Self; 2] = [Self::Missing, Self::Mismatch];

    /// The name in answers and results.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Missing => "claim-missing",
            Self::Mismatch => "claim-mismatch",
        }
    }

    /// The same in a sentence, for the client.
    pub const fn detail(self) -> &'static str {
        match self {
            Self::Missing => "the token lacks a claim that is required",
            Self::Mismatch => "a claim of the token has another value than is required",
        }
    }
}
