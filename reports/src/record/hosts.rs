//! What is recorded of single hosts of an upstream.

use std::time::Duration;

use crate::record::broken::Broken;
use crate::record::layout::HostPlace;
use crate::record::series::Level;

/// The gateway passes a host over from now on, or no longer does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostChange {
    /// Which host.
    pub host: HostPlace,
    /// When, from the scenario's start.
    pub at: Duration,
    /// What the host is from then on, such as `ejected`, or [`HostChange::IN`].
    pub to: &'static str,
}

impl HostChange {
    /// A host that takes part.
    pub const IN: &'static str = "in";

    /// A host that is passed over because requests failed there.
    pub const EJECTED: &'static str = "ejected";
}

/// One host of an upstream. Of a thousand hosts no series and no distributions are kept: those are their upstream's.
#[derive(Clone, Debug)]
pub(crate) struct HostRecord {
    pub(crate) attempts: u64,
    pub(crate) rejected: u64,
    pub(crate) in_flight: Level,
    pub(crate) queued: Level,
}

impl HostRecord {
    pub(crate) fn new(duration: Duration) -> Self {
        let level = || Level::without_seconds(duration);
        Self { attempts: 0, rejected: 0, in_flight: level(), queued: level() }
    }

    /// Notes the levels of the host, and says what those of the upstream come to, which were these before.
    ///
    /// # Errors
    ///
    /// As [`Level::set`].
    pub(crate) fn set(
        &mut self,
        at: Duration,
        [in_flight, queued]: [u32; 2],
        sums: [u32; 2],
    ) -> Result<[u32; 2], Broken> {
        let sum = |sum: u32, was: u32, is: u32| sum.saturating_sub(was).saturating_add(is);
        let sums =
            [sum(sums[0], self.in_flight.current(), in_flight), sum(sums[1], self.queued.current(), queued)];
        self.in_flight.set(at, in_flight)?;
        self.queued.set(at, queued)?;
        Ok(sums)
    }
}
