//! What a rate limit counts by.

/// What a rate limit counts by, in the order in which a request meets them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// Each source address on its own.
    PerIp,
    /// Each client on its own: its API key or a claim of its token, or its address where it sends neither.
    PerKey,
    /// Each route on its own.
    PerRoute,
    /// All requests together.
    Global,
}

impl Scope {
    /// Every scope, in the order in which a request meets them.
    pub const ALL: [Self; 4] = [Self::PerIp, Self::PerKey, Self::PerRoute, Self::Global];

    /// The name in files and results.
    pub const fn name(self) -> &'static str {
        match self {
            Self::PerIp => "per_ip",
            Self::PerKey => "per_key",
            Self::PerRoute => "per_route",
            Self::Global => "global",
        }
    }
}
