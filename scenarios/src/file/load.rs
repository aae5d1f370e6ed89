//! The load of a population: exactly one of `rate`, `ramp`, `bursts` and `users`, with what belongs to it.

use std::num::NonZeroU32;
use std::time::Duration;

use simulator::{ClosedLoad, Load, LoadError, OpenLoad, Rate, Spacing, Start};

use super::clients::Population;
use super::context::Context;
use super::diagnostic::Problem;
use super::reader::{list, read, warn_of_clock, way_out};
use super::table::{Choice, Described, Empty, Item, Items, Read, Shape, table};
use super::tree::{Node, Value};
use super::values::{FromNode, names};

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

/// The load of a population; `None` where it has none, or none that can be used, which is noted.
pub(super) fn build_load(population: &mut Population<'_>) -> Option<Load> {
    let table = population.table.clone();
    let entries =
        [population.rate.entry, population.ramp.entry, population.bursts.entry, population.users.entry];
    let kinds = Population::table().choices();
    let there: Vec<_> = kinds.iter().zip(entries).filter_map(|(kind, entry)| Some((kind, entry?))).collect();
    let &[(kind, entry)] = &there[..] else {
        let path = table.path();
        let problem = match there.get(1) {
            None => Problem::error(table.span(), format!("`{path}` needs a load")).of_absence(),
            Some((_, second)) => Problem::error(
                second.key_span.clone(),
                format!("`{path}` has two loads, `{}` and `{}`", there[0].0, there[1].0),
            ),
        };
        table.context().push(problem.help(format!("a population has one of {}", list(&kinds))));
        return None;
    };
    // What is wrong with one point or burst is noted at it.
    let refuse = |error: LoadError| {
        let item = match error {
            LoadError::RampOutOfOrder { point } => Some(point),
            LoadError::BurstEndsBeforeItBegins { burst } => Some(burst),
            LoadError::EmptyRamp | LoadError::RampTooFine | LoadError::NoUsers => None,
        };
        let items = if let Value::Array(items) = &entry.node.value { &**items } else { &[] };
        let node = item.and_then(|item| items.get(item)).unwrap_or(&entry.node);
        let message = format!("`{}`: {error}", table.path_of(kind));
        table.context().push(Problem::error(node.span.clone(), message));
    };
    let spacing = population.arrivals.value;
    let open = |load: Result<OpenLoad, LoadError>| load.map(Load::Open).map_err(refuse).ok();
    if let Some(rate) = population.rate.value {
        Some(Load::Open(OpenLoad::rate(rate, spacing)))
    } else if let Some(ramp) = population.ramp.value.take() {
        open(OpenLoad::ramp(&ramp.all(RampPoint::build)?, spacing))
    } else if let Some(bursts) = population.bursts.value.take() {
        open(OpenLoad::bursts(&bursts.all(Burst::build)?))
    } else {
        let points = match population.users.value.take()? {
            Users::Constant(users) => vec![simulator::UsersPoint { at: Duration::ZERO, users: users.get() }],
            Users::Ramp(points) => points.all(UsersPoint::build)?,
        };
        let think = population.think.value.take()?.0;
        ClosedLoad::new(&points, think, population.start.value).map(Load::Closed).map_err(refuse).ok()
    }
}

impl RampPoint<'_> {
    fn build(self) -> Option<simulator::RampPoint> {
        warn_of_clock(&self.at, &self.table);
        Some(simulator::RampPoint { at: self.at.value?, rate: self.rate.value? })
    }
}

impl Burst<'_> {
    fn build(self) -> Option<simulator::Burst> {
        warn_of_clock(&self.from, &self.table);
        warn_of_clock(&self.to, &self.table);
        Some(simulator::Burst { from: self.from.value?, to: self.to.value?, count: self.count.value? })
    }
}

impl UsersPoint<'_> {
    fn build(self) -> Option<simulator::UsersPoint> {
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
