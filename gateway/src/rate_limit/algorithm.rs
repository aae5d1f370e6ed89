//! The algorithms by name, and which settings each has.

use std::fmt;

/// How a rate limit counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// One count per window, the windows aligned to the clock: each whole minute starts at zero.
    FixedWindow,
    /// Tokens that refill continuously; a request takes one. Starts full.
    TokenBucket,
    /// The token bucket's admissions from a single instant of state (generic cell rate algorithm).
    Gcra,
    /// The instant of every request of the last window: exact, at the price of memory.
    SlidingWindowLog,
    /// This window's count plus the share of the last one's that is still in view.
    SlidingWindowCounter,
}

impl Algorithm {
    /// Every algorithm, in the order in which they are documented and shown.
    pub const ALL: [Self; 5] = [
        Self::FixedWindow,
        Self::TokenBucket,
        Self::Gcra,
        Self::SlidingWindowLog,
        Self::SlidingWindowCounter,
    ];

    /// The algorithm's name in a scenario file, such as `token-bucket`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::FixedWindow => "fixed-window",
            Self::TokenBucket => "token-bucket",
            Self::Gcra => "gcra",
            Self::SlidingWindowLog => "sliding-window-log",
            Self::SlidingWindowCounter => "sliding-window-counter",
        }
    }

    /// The algorithm of that [name](Self::name).
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.name() == name)
    }

    /// Whether a `burst` can be set beside the limit.
    pub const fn has_burst(self) -> bool {
        matches!(self, Self::TokenBucket | Self::Gcra)
    }

    /// Whether it looks back over a sliding window, and so whether `count_rejected` can be set.
    pub const fn is_sliding(self) -> bool {
        matches!(self, Self::SlidingWindowLog | Self::SlidingWindowCounter)
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_found_by_its_name() {
        for algorithm in Algorithm::ALL {
            assert_eq!(Algorithm::from_name(algorithm.name()), Some(algorithm));
        }
        assert_eq!(Algorithm::from_name("leaky-bucket"), None);
    }
}
