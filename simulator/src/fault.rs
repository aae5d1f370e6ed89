//! Failure modes of upstreams, on a timeline.

use std::num::NonZeroU32;
use std::ops::Range;
use std::time::Duration;

use thiserror::Error;

use crate::chance::{Purpose, Stream};
use crate::latency::Latency;

/// Something that goes wrong with an upstream for a while.
///
/// A fault strikes a request when it arrives ([`FaultKind::Error`], [`FaultKind::Refuse`]) or when a worker starts on it
/// (all others); what it did to a request keeps its course after the fault has ended.
#[derive(Clone, Debug)]
pub struct Fault {
    from: Duration,
    to: Duration,
    fraction: f64,
    kind: FaultKind,
    name: String,
}

/// What goes wrong.
#[derive(Clone, Debug, PartialEq)]
pub enum FaultKind {
    /// Answered with this status at once, without a worker.
    Error {
        /// HTTP status, 300 to 599.
        status: u16,
        /// How many seconds the answer asks its caller to wait (`Retry-After`); `None` for no such wish.
        retry_after: Option<NonZeroU32>,
    },
    /// The connection is refused.
    Refuse,
    /// The work takes this time instead.
    Slow {
        /// In place of the service time.
        latency: Latency,
    },
    /// Never answered. The worker is free when the caller leaves.
    Hang,
    /// The answer begins in time and its body trickles: the whole takes so much longer.
    Drip {
        /// From the first byte of the body to the last.
        body: Latency,
    },
    /// The connection is reset after part of the answer.
    Reset,
    /// The service has only this share of its speed.
    Capacity {
        /// Above 0 and below 1; the work takes 1/`factor` as long.
        factor: f64,
    },
    /// The identity provider signs with another key from then on; the one before is still published until the fault is over.
    /// It strikes no request: see [`KeySchedule`](crate::KeySchedule).
    RotateKeys,
    /// The cache before the service is emptied at the beginning, and keeps nothing until the end. It strikes no request; of a
    /// cache that knows its objects, the fraction is that of the objects.
    Flush,
}

/// Why settings are no [`Fault`].
#[derive(Clone, Copy, Debug, PartialEq, Error)]
pub enum FaultError {
    /// It lasts for no time.
    #[error("a fault lasts longer than zero")]
    DurationZero,
    /// It strikes nobody, or more than everybody.
    #[error("fraction must be above 0% and at most 100%")]
    Fraction,
    /// No status of a failure.
    #[error("status must be from 300 to 599")]
    Status,
    /// Nothing is left, or nothing is lost.
    #[error("factor must be above 0% and below 100%")]
    Factor,
}

impl Fault {
    /// A fault from `at` on for `duration`, counted from the scenario's start, that strikes the share `fraction` of the
    /// attempts.
    ///
    /// Its draws hang on its `name`: one that says what the fault is, and not where in a list it stands, keeps them when
    /// another is added.
    ///
    /// # Errors
    ///
    /// For a duration of zero and for shares and statuses out of range.
    pub fn new(
        at: Duration,
        duration: Duration,
        fraction: f64,
        kind: FaultKind,
        name: String,
    ) -> Result<Self, FaultError> {
        if duration.is_zero() {
            return Err(FaultError::DurationZero);
        }
        if !(fraction > 0.0 && fraction <= 1.0) {
            return Err(FaultError::Fraction);
        }
        match kind {
            FaultKind::Error { status, .. } if !(300..600).contains(&status) => {
                return Err(FaultError::Status);
            }
            FaultKind::Capacity { factor } if !(factor > 0.0 && factor < 1.0) => {
                return Err(FaultError::Factor);
            }
            _ => {}
        }
        Ok(Self { from: at, to: at.saturating_add(duration), fraction, kind, name })
    }

    /// What is left of it if nothing goes wrong from `end` on, counted from the scenario's start.
    #[must_use]
    pub fn until(&self, end: Duration) -> Option<Self> {
        (self.from < end).then(|| Self { to: self.to.min(end), ..self.clone() })
    }

    /// When it begins, from the scenario's start.
    pub const fn from(&self) -> Duration {
        self.from
    }

    /// When it is over, from the scenario's start; the end is not part of it.
    pub const fn to(&self) -> Duration {
        self.to
    }

    /// The share of the attempts that it strikes, above 0 and at most 1.
    pub const fn fraction(&self) -> f64 {
        self.fraction
    }

    /// What its draws hang on.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What goes wrong.
    pub const fn kind(&self) -> &FaultKind {
        &self.kind
    }
}

impl FaultKind {
    /// The key by which a file picks it.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Error { .. } => "error",
            Self::Refuse => "refuse",
            Self::Slow { .. } => "slow",
            Self::Hang => "hang",
            Self::Drip { .. } => "drip",
            Self::Reset => "reset",
            Self::Capacity { .. } => "capacity",
            Self::RotateKeys => "rotate-keys",
            Self::Flush => "flush",
        }
    }

    /// Whether it strikes requests at all.
    const fn strikes(&self) -> bool {
        !matches!(self, Self::RotateKeys | Self::Flush)
    }

    /// Whether it strikes on arrival, before a worker.
    const fn strikes_on_arrival(&self) -> bool {
        matches!(self, Self::Error { .. } | Self::Refuse)
    }
}

/// The place of a fault in its [`FaultTimeline`], from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FaultId(pub u32);

/// A time at which a cache is empty and keeps nothing ([`FaultKind::Flush`]).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Flush {
    from: Duration,
    to: Duration,
    fraction: f64,
    draws: Stream,
}

impl Flush {
    /// Whether the cache is not there for that object, or for that request of a cache without objects.
    pub(crate) fn is_on(&self, since_start: Duration, of: u64) -> bool {
        (self.from..self.to).contains(&since_start) && self.strikes(of)
    }

    /// Whether what is kept of an object since `came` is gone, both times from the scenario's start.
    pub(crate) fn takes(&self, came: Duration, since_start: Duration, object: u64) -> bool {
        came < self.to && self.from <= since_start && self.strikes(object)
    }

    fn strikes(&self, of: u64) -> bool {
        self.fraction >= 1.0 || self.draws.at(of).unit() < self.fraction
    }
}

/// The faults of one upstream under one seed, in the order of the file.
#[derive(Clone, Debug, Default)]
pub struct FaultTimeline {
    faults: Vec<(Fault, Stream)>,
}

impl FaultTimeline {
    /// The faults in order; where several strike at once, the last one counts.
    pub fn new<'f>(seed: u64, faults: impl IntoIterator<Item = &'f Fault>) -> Self {
        let keyed = |fault: &Fault| (fault.clone(), Stream::new(seed, Purpose::Fault, &fault.name));
        Self { faults: faults.into_iter().map(keyed).collect() }
    }

    /// When the cache before the upstream is emptied.
    pub fn flushes(&self) -> Vec<Flush> {
        let flushes = self.faults.iter().filter(|(fault, _)| fault.kind == FaultKind::Flush);
        let flush = |(fault, draws): &(Fault, Stream)| {
            let Fault { from, to, fraction, .. } = *fault;
            Flush { from, to, fraction, draws: *draws }
        };
        flushes.map(flush).collect()
    }

    /// How many faults there are.
    pub(crate) fn len(&self) -> usize {
        self.faults.len()
    }

    /// What strikes the attempt that owns `attempt` on its arrival, `since_start` after the scenario's start.
    #[inline]
    pub(crate) fn on_arrival(&self, since_start: Duration, attempt: Stream) -> Option<(FaultId, &FaultKind)> {
        // A later fault that waits for a worker shields from an earlier one at the door.
        self.last_striking(since_start, attempt, |_| true).filter(|(_, kind)| kind.strikes_on_arrival())
    }

    /// What strikes it when a worker starts on it.
    #[inline]
    pub(crate) fn on_start(&self, since_start: Duration, attempt: Stream) -> Option<(FaultId, &FaultKind)> {
        self.last_striking(since_start, attempt, |kind| !kind.strikes_on_arrival())
    }

    /// The spans from the scenario's start in which every attempt is refused, so that nobody need listen: in order, apart
    /// from one another, the end no part of each.
    pub fn refusals(&self) -> Vec<Range<Duration>> {
        let mut bounds: Vec<_> = self.faults.iter().flat_map(|(fault, _)| [fault.from, fault.to]).collect();
        bounds.sort_unstable();
        let mut spans: Vec<Range<Duration>> = Vec::new();
        for (from, to) in bounds.iter().copied().zip(bounds.iter().copied().skip(1)) {
            match spans.last_mut() {
                _ if from == to || !self.refuses_all(from) => {}
                Some(last) if last.end == from => last.end = to,
                _ => spans.push(from..to),
            }
        }
        spans
    }

    fn refuses_all(&self, since_start: Duration) -> bool {
        let mut active = self
            .faults
            .iter()
            .rev()
            .filter(|(fault, _)| fault.kind.strikes() && (fault.from..fault.to).contains(&since_start));
        // A refusal of some lets the others through to the faults before it; any other fault shields those it strikes.
        let decisive = active.find(|(fault, _)| fault.fraction >= 1.0 || fault.kind != FaultKind::Refuse);
        decisive.is_some_and(|(fault, _)| fault.kind == FaultKind::Refuse)
    }

    #[inline]
    fn last_striking(
        &self,
        since_start: Duration,
        attempt: Stream,
        of_kind: impl Fn(&FaultKind) -> bool,
    ) -> Option<(FaultId, &FaultKind)> {
        let strikes = |(_, (fault, draws)): &(usize, &(Fault, Stream))| {
            (fault.from..fault.to).contains(&since_start)
                && fault.kind.strikes()
                && of_kind(&fault.kind)
                && (fault.fraction >= 1.0 || draws.at(attempt.bits()).unit() < fault.fraction)
        };
        let (place, (fault, _)) = self.faults.iter().enumerate().rev().find(strikes)?;
        Some((FaultId(place as u32), &fault.kind))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn fault(at: u64, duration: u64, fraction: f64, kind: FaultKind) -> Fault {
        let name = format!("{kind:?} at {at}");
        Fault::new(seconds(at), seconds(duration), fraction, kind, name).unwrap()
    }

    fn attempt(index: u64) -> Stream {
        Stream::new(902, Purpose::Service, "buyers").at(index)
    }

    #[test]
    fn a_fault_strikes_from_its_beginning_to_just_before_its_end() {
        let timeline = FaultTimeline::new(1, &[fault(10, 5, 1.0, FaultKind::Refuse)]);
        let strikes = |millis| timeline.on_arrival(Duration::from_millis(millis), attempt(0)).is_some();
        assert_eq!([9_999, 10_000, 14_999, 15_000].map(strikes), [false, true, true, false]);
        assert_eq!(timeline.on_start(seconds(12), attempt(0)), None);
    }

    #[test]
    fn the_later_one_in_the_file_wins() {
        let (refuse, hang, reset) = (FaultKind::Refuse, FaultKind::Hang, FaultKind::Reset);
        let timeline = FaultTimeline::new(
            1,
            &[fault(0, 10, 1.0, refuse.clone()), fault(5, 10, 1.0, hang), fault(8, 1, 1.0, reset)],
        );
        let at = |second| {
            let (arrival, start) = (
                timeline.on_arrival(seconds(second), attempt(0)),
                timeline.on_start(seconds(second), attempt(0)),
            );
            (arrival.map(|(_, kind)| kind.name()), start.map(|(_, kind)| kind.name()))
        };
        assert_eq!(at(2), (Some("refuse"), None));
        assert_eq!(at(6), (None, Some("hang")));
        assert_eq!(at(8), (None, Some("reset")));
        assert_eq!(at(12), (None, Some("hang")));
    }

    #[test]
    fn a_fraction_strikes_its_share_and_the_same_attempts_each_time() {
        let timeline = FaultTimeline::new(902, &[fault(0, 10, 0.25, FaultKind::Hang)]);
        let strikes = |index| timeline.on_start(seconds(1), attempt(index)).is_some();
        // Binomial: mean 25,000, standard deviation 137; five of them.
        let struck = (0..100_000).filter(|index| strikes(*index)).count();
        assert!(struck.abs_diff(25_000) < 685, "{struck}");
        // Another fault shifts nothing.
        let faults = [fault(3, 1, 0.5, FaultKind::Reset), fault(0, 10, 0.25, FaultKind::Hang)];
        let with_another = FaultTimeline::new(902, &faults);
        assert!(
            (0..1_000)
                .all(|index| with_another.on_start(seconds(1), attempt(index)).is_some() == strikes(index))
        );
    }

    #[test]
    fn a_refusal_is_whole_where_nothing_gets_past_it() {
        let refuse = |at, duration, fraction| fault(at, duration, fraction, FaultKind::Refuse);
        let refusals = |faults: &[Fault]| FaultTimeline::new(1, faults).refusals();
        assert_eq!(refusals(&[refuse(0, 10, 0.99)]), []);
        assert_eq!(refusals(&[refuse(2, 3, 1.0), refuse(5, 1, 1.0)]), [seconds(2)..seconds(6)]);
        // What comes later in the file goes before it, if only for some; a partial refusal lets nobody past a whole one.
        let shield = fault(3, 1, 0.1, FaultKind::Hang);
        let faults = [refuse(0, 10, 1.0), shield, refuse(6, 1, 0.5)];
        assert_eq!(refusals(&faults), [seconds(0)..seconds(3), seconds(4)..seconds(10)]);
        // Earlier in the file, the other one is shielded.
        assert_eq!(
            refusals(&[fault(3, 1, 1.0, FaultKind::Hang), refuse(0, 10, 1.0)]),
            [seconds(0)..seconds(10)]
        );
    }

    #[test]
    fn settings_that_cannot_be_meant_are_refused() {
        let new = |duration, fraction, kind| {
            Fault::new(seconds(0), seconds(duration), fraction, kind, String::new())
        };
        assert_eq!(new(0, 1.0, FaultKind::Hang).unwrap_err(), FaultError::DurationZero);
        assert_eq!(new(1, 0.0, FaultKind::Hang).unwrap_err(), FaultError::Fraction);
        assert_eq!(new(1, f64::NAN, FaultKind::Hang).unwrap_err(), FaultError::Fraction);
        assert_eq!(
            new(1, 1.0, FaultKind::Error { status: 200, retry_after: None }).unwrap_err(),
            FaultError::Status
        );
        assert_eq!(new(1, 1.0, FaultKind::Capacity { factor: 1.0 }).unwrap_err(), FaultError::Factor);
    }
}
