//! What the load of a population is made of: points of ramps, bursts, users, and how arrivals are spaced.

use std::num::NonZeroU32;
use std::time::Duration;

use simulator::{Rate, Spacing, Start};

use super::context::Context;
use super::reader::{Read, warn_of_clock};
use super::shape::{Choice, Shape};
use super::table::{Empty, Item, Items, table};
use super::tree::{Node, Value};
use super::values::{FromNode, names, read};
use super::words::{list, way_out};

table! {
    /// The rate at one time.
    pub(super) struct RampPoint<'t> (Choice::Free) {
        /// From the start of the scenario, such as `"30s"`.
        at: Duration, needed "";
        /// Requests per time then, such as `"200/s"`.
        rate: Rate, needed "";
    }

    /// Request `k` of `count` is sent at `from + k · (to − from) / count`.
    pub(super) struct Burst<'t> (Choice::Free) {
        /// From the start of the scenario, such as `"58s"`.
        from: Duration, needed "";
        /// From the start of the scenario, such as `"62s"`; not before `from`.
        to: Duration, needed "";
        /// How many requests.
        count: u64, needed "";
    }

    /// The number of users at one time.
    pub(super) struct UsersPoint<'t> (Choice::Free) {
        /// From the start of the scenario, such as `"30s"`.
        at: Duration, needed "";
        /// How many users there are then.
        users: u32, needed "";
    }
}

impl Item for RampPoint<'_> {
    const EMPTY: Empty = Empty::Refused;
}

impl Item for Burst<'_> {
    const EMPTY: Empty = Empty::Refused;
}

impl Item for UsersPoint<'_> {
    const EMPTY: Empty = Empty::Refused;
}

/// How many users there are: all the time, or at each point of a ramp.
pub(super) enum Users<'t> {
    Constant(NonZeroU32),
    Ramp(Items<UsersPoint<'t>>),
}

impl<'t> Read<'t> for Users<'t> {
    fn read(node: &'t Node, path: &str, context: &'t Context<'t>) -> Option<Self> {
        match node.value {
            Value::Array(_) => Items::read(node, path, context).map(Self::Ramp),
            _ => read(node, path, context).map(Self::Constant),
        }
    }

    fn shape() -> Shape {
        let ramp = <Items<UsersPoint<'_>> as Read<'_>>::shape();
        Shape::Either(vec![
            (<NonZeroU32 as FromNode>::format(), ""),
            (ramp, "Points in time order; at least one has a user."),
        ])
    }
}

impl RampPoint<'_> {
    pub(super) fn build(self) -> Option<simulator::RampPoint> {
        warn_of_clock(&self.at, &self.table);
        Some(simulator::RampPoint { at: self.at.value?, rate: self.rate.value? })
    }
}

impl Burst<'_> {
    pub(super) fn build(self) -> Option<simulator::Burst> {
        warn_of_clock(&self.from, &self.table);
        warn_of_clock(&self.to, &self.table);
        Some(simulator::Burst { from: self.from.value?, to: self.to.value?, count: self.count.value? })
    }
}

impl UsersPoint<'_> {
    pub(super) fn build(self) -> Option<simulator::UsersPoint> {
        Some(simulator::UsersPoint { at: self.at.value?, users: self.users.value? })
    }
}

names! {
    Spacing {
        /// One after the other at equal distances.
        "uniform" => Uniform,
        /// At random, as independent clients send.
        "poisson" => Poisson,
        /// Each minute's share within its first second, as cron jobs send.
        "on-the-minute" => OnTheMinute,
    }
    fn unknown(name: &str) -> String {
        format!("there are no `{name}` arrivals")
    }

    fn help(wrong: &str, names: &[&str]) -> String {
        way_out(wrong, names, || format!("arrivals are {}", list(names)))
    }
}

names! {
    Start {
        /// Each somewhere within its first think, so that they are not in step for ever.
        "spread" => Spread,
        /// All at once, as after an announcement.
        "together" => Together,
    }
}
