//! What the caches before upstreams did.

/// What a cache did with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheUse {
    /// The cache answered.
    Hit,
    /// The cache answered with a copy that had expired.
    Stale,
    /// The request had waited for the answer to another, which became its own too.
    Collapsed,
    /// The service was asked.
    Miss,
}

/// How often the cache before an upstream did what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct CacheCounts {
    pub(crate) hits: u64,
    pub(crate) stale: u64,
    pub(crate) collapsed: u64,
    pub(crate) misses: u64,
}

impl CacheCounts {
    pub(crate) fn on_use(&mut self, cache_use: CacheUse) {
        *match cache_use {
            CacheUse::Hit => &mut self.hits,
            CacheUse::Stale => &mut self.stale,
            CacheUse::Collapsed => &mut self.collapsed,
            CacheUse::Miss => &mut self.misses,
        } += 1;
    }

    pub(crate) const fn add(self, other: Self) -> Self {
        Self {
            hits: self.hits + other.hits,
            stale: self.stale + other.stale,
            collapsed: self.collapsed + other.collapsed,
            misses: self.misses + other.misses,
        }
    }

    /// Requests that came to the cache and were answered or passed on.
    pub(crate) const fn requests(self) -> u64 {
        self.hits + self.stale + self.collapsed + self.misses
    }

    /// Requests with which the service had nothing to do.
    pub(crate) const fn kept_off(self) -> u64 {
        self.requests() - self.misses
    }
}
