//! What is surely not meant in a line of `expect.hold`.

use reports::{Arguments, Bound, Comparison, Expectation, HostPlace, Measure, Needs, Selector, StationId};
use simulator::Population;

use super::super::diagnostic::Problem;
use super::super::tree::Span;
use super::super::words::display_key;
use crate::World;

/// What an expectation can never do, `fail` or `hold`, whatever is measured: no measure is below zero and no share
/// above one.
pub(super) fn never(expectation: &Expectation) -> Option<&'static str> {
    use Comparison::{AtLeast, AtMost, Greater, Less};
    let (zero, full) = match expectation.bound {
        Bound::Number(number) => (number <= 0.0, false),
        Bound::Share(share) => (share <= 0.0, share >= 1.0),
        Bound::Duration(duration) => (duration.is_zero(), false),
        Bound::RatePerS(rate) => (rate <= 0.0, false),
        Bound::Never => (false, true),
    };
    match expectation.comparison {
        AtLeast if zero => Some("fail"),
        AtMost if full => Some("fail"),
        Less if zero => Some("hold"),
        Greater if full => Some("hold"),
        _ => None,
    }
}

/// The same of a measure that is compared with itself.
pub(super) const fn never_of_itself(comparison: Comparison) -> &'static str {
    match comparison {
        Comparison::Less | Comparison::Greater => "hold",
        Comparison::AtMost | Comparison::AtLeast | Comparison::Equal => "fail",
    }
}

/// Why a measure has no value in a variant, so that no line about it can hold; `place` is where it stands in the file.
pub(super) fn of_measure(measure: &Measure, world: &World, variant: &str, place: Span) -> Option<Problem> {
    let never = |why: &str| Problem::warning(place, format!("`expect.hold`: this can never hold, {why}"));
    let name_one = "a line for one variant begins with its name: `NAME: served(…) …`";
    let Arguments { selector, upstream, station, limit, .. } = &measure.arguments;
    let needs = measure.kind.needs;
    match needs {
        _ if measure.is_of_our_gateway() && world.external.is_some() => {
            let why = format!("the gateway of the variant `{variant}` is external and does not tell it");
            Some(never(&why).help(name_one))
        }
        Needs::Requirement => {
            let asks =
                |place: usize| world.upstreams.get(place).is_some_and(|named| named.requires.is_some());
            let why = match *upstream {
                Some(upstream) if !asks(upstream) => {
                    let name = world.upstreams.get(upstream).map_or("", |named| &*named.name);
                    format!("`upstreams.{}` does not say what it requires", display_key(name))
                }
                None if !(0..world.upstreams.len()).any(asks) => {
                    "no upstream says what it requires".to_owned()
                }
                _ => return None,
            };
            Some(never(&why).help("who may come to it is said by `upstreams.NAME.requires`"))
        }
        Needs::Cache => {
            let has =
                |place: usize| world.upstreams.get(place).is_some_and(|named| named.config.cache.is_some());
            let is_there = match *upstream {
                Some(upstream) => has(upstream),
                None => (0..world.upstreams.len()).any(has),
            };
            let why = format!("no cache stands before it in the variant `{variant}`");
            (!is_there).then(|| never(&why).help("that is said by `upstreams.NAME.cache`"))
        }
        Needs::Limit => {
            let limits = &world.gateway.limits;
            let is_set =
                limits.iter().any(|(id, _)| id.scope().name() == limit || limits.label(id) == *limit);
            let why = format!("the variant `{variant}` has no `{limit}` limit");
            (!is_set).then(|| never(&why).help(name_one))
        }
        Needs::BoundedWorkers => {
            let upstream = |place: usize| world.upstreams.get(place);
            let (name, workers) = match *station {
                StationId::Gateway => ("gateway", world.gateway.pool.workers),
                StationId::Upstream(place) => {
                    (upstream(place).map_or("", |named| &*named.name), upstream(place)?.pool().workers)
                }
                StationId::Host(HostPlace { upstream: place, host }) => {
                    let named = upstream(place as usize)?;
                    (&*named.name, named.hosts.get(host as usize)?.pool.workers)
                }
            };
            let why = format!("the workers of `{name}` are unbounded in the variant `{variant}`");
            workers
                .is_none()
                .then(|| never(&why).help("`workers` bounds them; `peak_in_flight` tells how many it took"))
        }
        _ if needs.faults() && world.faults.is_empty() => {
            let why = format!("nothing fails in the variant `{variant}`");
            Some(never(&why).help("harm is what `[[faults]]` do, against the same run without them"))
        }
        Needs::Collateral | Needs::PairedCollateral if !is_anybody_sent(world, *selector, false) => {
            let why = format!(
                "all that it speaks of depends on what fails in the variant `{variant}`: nothing is collateral"
            );
            Some(never(&why).help("what the faults do to those who depend on it is `direct_damage`"))
        }
        Needs::PairedCollateral if !is_any_paired(world, *selector) => {
            let why = "all that it speaks of are users who wait for their answers or clients on a journey, whose requests cannot be compared one by one";
            Some(
                never(why)
                    .help("`blast_radius` tells an estimate for them, `recovery_time` when goodput is back"),
            )
        }
        Needs::Direct if !is_anybody_sent(world, *selector, true) => {
            let why = format!("nothing that it speaks of depends on what fails in the variant `{variant}`");
            Some(never(&why).help("what the faults do to those who do not depend on it is `blast_radius`"))
        }
        _ => None,
    }
}

/// Whether any population that is selected sends by a schedule alone, so that its requests are the same in the control.
fn is_any_paired(world: &World, selector: Selector) -> bool {
    let selected = world.populations.iter().enumerate().filter(|(place, population)| match selector {
        Selector::Population(selected) => selected == *place,
        _ => !population.hostile,
    });
    selected.map(|(_, population)| population).any(Population::is_paired)
}

/// Whether anybody who is selected sends on a route that depends on what fails, or on one that does not.
fn is_anybody_sent(world: &World, selector: Selector, depending: bool) -> bool {
    let struck = || world.faults.iter().flat_map(|fault| &fault.upstreams);
    let routes: Vec<_> = world.gateway.routes.iter().collect();
    let is_of_kind = |route: u32| {
        let Some(known) = routes.get(route as usize) else { return false };
        let reached = world.upstreams_of_route(known);
        let is_selected = match selector {
            Selector::Everybody | Selector::Population(_) => true,
            Selector::Route(selected) => selected == route as usize,
            Selector::Upstream(selected) => known.upstream.0 as usize == selected,
        };
        is_selected
            && struck().any(|upstream| reached.get(*upstream).is_some_and(|reached| *reached)) == depending
    };
    let selected = world.populations.iter().enumerate().filter(|(place, population)| match selector {
        Selector::Population(selected) => selected == *place,
        _ => !population.hostile,
    });
    selected
        .map(|(_, population)| population)
        .any(|population| population.targets.iter().any(|target| is_of_kind(target.route)))
}
