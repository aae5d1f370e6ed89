use crate::measure::unit::Unit;
use crate::record::durations::Statistic;
use crate::record::layout::BreakerId;
use crate::record::layout::Selector;
use crate::record::layout::StationId;
use std::time::Duration;

use crate::measure::unit::Good;
use crate::record::outcome::Outcome;

/// Something that a run can be asked for and an expectation can be held against.
#[derive(Clone, Debug, PartialEq)]
pub enum Measure {
    /// Logical requests.
    Offered(Selector),
    /// Those that were served.
    Served(Selector),
    /// Those that ended in one of the other ways.
    Rejected(Outcome, Selector),
    /// Served ÷ offered.
    SuccessRate(Selector),
    /// Served within the SLO latency, per second of the scenario's duration, or of as much of it as was run.
    Goodput(Selector),
    /// Of those that reached an upstream, from the intended time to the end.
    Latency(Statistic, Selector),
    /// Attempts that reached an upstream, or any, for requests of clients.
    Attempts(Option<usize>),
    /// What an upstream, or any, was asked for keys to judge tokens by.
    KeyFetches(Option<usize>),
    /// Those attempts ÷ the logical requests on routes of that upstream, or all.
    Amplification(Option<usize>),
    /// Time in a station's queue, of those that got a worker; 0 where they got it at once.
    Wait(Statistic, StationId),
    /// Share of a station's worker time in use over the scenario's duration, or over as much of it as was run.
    Utilization(StationId),
    /// Most of a station's workers in use at once.
    PeakInFlight(StationId),
    /// Attempts that a limit let through, in the bucket it let most through.
    Admitted(String),
    /// Most that a limit let through in any window of that length, in the bucket it let most through.
    PeakAdmitted(String, Duration),
    /// When a breaker first opened, from the scenario's start.
    BreakerOpenedAt(BreakerId),
    /// When a breaker last closed, from the scenario's start.
    BreakerClosedAt(BreakerId),
    /// Collateral hurt ÷ collateral total, from the first fault to a minute after the last.
    BlastRadius(Selector),
    /// The same of the routes that depend on a faulted upstream.
    DirectDamage(Selector),
    /// From the first fault until collateral hurt stays at or below 1%.
    ContainmentTime(Selector),
    /// From the last fault's end until goodput is 99% of the control's.
    RecoveryTime(Selector),
    /// Attempts without a valid identity that came to an upstream that asks for one, or to any such upstream.
    UnauthorizedReached(Option<usize>),
    /// How much later than intended requests were sent, of a live run.
    Lateness(Statistic),
}

impl Measure {
    /// Whether only our own gateway can tell it: of an external one nothing but its answers is observed.
    pub const fn is_of_our_gateway(&self) -> bool {
        match self {
            Self::Wait(_, station) | Self::Utilization(station) | Self::PeakInFlight(station) => {
                matches!(station, StationId::Gateway)
            }
            Self::Admitted(_) | Self::PeakAdmitted(..) => true,
            Self::BreakerOpenedAt(breaker) | Self::BreakerClosedAt(breaker) => breaker.service.is_none(),
            _ => false,
        }
    }

    /// Which end of it is the good one; `None` where neither is: to turn away is what a limit is for, and what a breaker or
    /// a worker does is no aim by itself.
    pub const fn good(&self) -> Option<Good> {
        match self {
            Self::Served(_) | Self::SuccessRate(_) | Self::Goodput(_) => Some(Good::High),
            Self::Latency(..)
            | Self::Wait(..)
            | Self::BlastRadius(_)
            | Self::DirectDamage(_)
            | Self::ContainmentTime(_)
            | Self::RecoveryTime(_)
            | Self::UnauthorizedReached(_)
            | Self::Lateness(_)
            | Self::Rejected(
                Outcome::Redirected
                | Outcome::UpstreamError
                | Outcome::Shed
                | Outcome::TimedOut
                | Outcome::GaveUp
                | Outcome::Unreachable
                | Outcome::Unfinished,
                _,
            ) => Some(Good::Low),
            Self::Offered(_)
            | Self::Attempts(_)
            | Self::KeyFetches(_)
            | Self::Amplification(_)
            | Self::Utilization(_)
            | Self::PeakInFlight(_)
            | Self::Admitted(_)
            | Self::PeakAdmitted(..)
            | Self::BreakerOpenedAt(_)
            | Self::BreakerClosedAt(_)
            | Self::Rejected(..) => None,
        }
    }

    /// In what it is told.
    pub const fn unit(&self) -> Unit {
        match self {
            Self::Offered(_)
            | Self::Attempts(_)
            | Self::KeyFetches(_)
            | Self::PeakInFlight(_)
            | Self::Admitted(_)
            | Self::PeakAdmitted(..)
            | Self::UnauthorizedReached(_) => Unit::Count,
            Self::Served(_) | Self::Rejected(..) => Unit::Requests,
            Self::SuccessRate(_) | Self::Utilization(_) | Self::BlastRadius(_) | Self::DirectDamage(_) => {
                Unit::Share
            }
            Self::BreakerOpenedAt(_)
            | Self::BreakerClosedAt(_)
            | Self::ContainmentTime(_)
            | Self::RecoveryTime(_) => Unit::DurationOrNever,
            Self::Goodput(_) => Unit::Rate,
            Self::Latency(..) | Self::Wait(..) | Self::Lateness(_) => Unit::Duration,
            Self::Amplification(_) => Unit::Number,
        }
    }
}
