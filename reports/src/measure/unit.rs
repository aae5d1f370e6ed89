//! In what a measure is told, and which end of it is the good one.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::words::format::Dimension;

/// In what a measure is told, and so in what it can be compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// A number of things.
    Count,
    /// A number of requests, which can be told as a share of those offered too.
    Requests,
    /// A plain ratio.
    Number,
    /// A share, told as a percentage.
    Share,
    /// A time.
    Duration,
    /// A time, or that it never came.
    DurationOrNever,
    /// Events per time.
    Rate,
}

impl Unit {
    /// In what the values of a goal are told.
    pub const fn told_in(self) -> GaugeUnit {
        match self {
            Self::Count | Self::Requests => GaugeUnit::Count,
            Self::Number => GaugeUnit::Ratio,
            Self::Share => GaugeUnit::Share,
            Self::Duration | Self::DurationOrNever => GaugeUnit::Us,
            Self::Rate => GaugeUnit::PerS,
        }
    }

    /// In what a comparison tells them: a number of requests as a share of those offered.
    pub(crate) const fn compared_in(self) -> GaugeUnit {
        if matches!(self, Self::Requests) { GaugeUnit::Share } else { self.told_in() }
    }
}

/// In what a number is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum GaugeUnit {
    /// A number of things.
    Count,
    /// From 0 to 1.
    Share,
    /// Microseconds.
    Us,
    /// Per second.
    PerS,
    /// How many times as many.
    Ratio,
}

impl GaugeUnit {
    pub(crate) const fn dimension(self) -> Dimension {
        match self {
            Self::Count => Dimension::Count,
            Self::Share => Dimension::Share,
            Self::Us => Dimension::DurationUs,
            Self::PerS => Dimension::RatePerS,
            Self::Ratio => Dimension::Ratio,
        }
    }

    /// A value of this unit, with it.
    pub(crate) fn show(self, value: f64) -> String {
        let shown = self.dimension().show(value);
        if self == Self::PerS { format!("{shown}/s") } else { shown }
    }
}

/// Which end of a measure is the good one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Good {
    /// The more the better.
    High,
    /// The less the better.
    Low,
}
