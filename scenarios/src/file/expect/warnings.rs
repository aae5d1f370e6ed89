//! What is surely not meant in a line of `expect.hold`.

use gateway::Scope;
use reports::{Bound, Comparison, Expectation, Measure};

use super::super::diagnostic::Problem;
use super::super::reader::display_key;
use super::super::tree::Span;
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
    match measure {
        _ if measure.is_of_our_gateway() && world.external.is_some() => {
            let why = format!("the gateway of the variant `{variant}` is external and does not tell it");
            Some(never(&why).help(name_one))
        }
        Measure::UnauthorizedReached(upstream) => {
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
        Measure::Admitted(limit) | Measure::PeakAdmitted(limit, _) => {
            let is_set = |scope: &Scope| scope.name() == limit && world.gateway.limits.get(*scope).is_some();
            let why = format!("the variant `{variant}` has no `{limit}` limit");
            (!Scope::ALL.iter().any(is_set)).then(|| never(&why).help(name_one))
        }
        _ => None,
    }
}
