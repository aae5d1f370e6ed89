//! A small scenario to add to, for the tests of single parts of the format.

use super::reading::read;
use crate::World;

const SMALL: &str = "
name = 'Small'
duration = '2m'
slo.latency = '1s'
upstreams.orders.latency.constant = '5ms'
upstreams.payments.latency.constant = '80ms'
upstreams.stock.latency.constant = '10ms'
routes.'/orders'.upstream = 'orders'
routes.'/orders'.timeout = '5s'
routes.'/payments'.upstream = 'payments'
routes.'/payments'.timeout = '5s'
routes.'/stock'.upstream = 'stock'
routes.'/stock'.timeout = '5s'
clients.shoppers.send = '/orders'
clients.shoppers.rate = '1/s'
";

/// The world of the small scenario with this in it too.
///
/// # Panics
///
/// If anything is wrong with it, or only surely not meant.
pub(super) fn world_with(more: &str) -> World {
    let reading = read(&with(more), &|_| Err("there is no such file".to_owned()));
    assert_eq!(reading.problems, [], "{more}");
    reading.scenario.unwrap().variants.remove(0).world
}

/// The first thing that is wrong in the small scenario with this in it too: the message, and the text it underlines.
///
/// # Panics
///
/// If there is nothing.
pub(super) fn first_problem(more: &str) -> (String, String) {
    let text = with(more);
    let problems = read(&text, &|_| Err("there is no such file".to_owned())).problems;
    let first = problems.into_iter().next().unwrap_or_else(|| panic!("nothing is wrong with {more}"));
    (first.message, text[first.span].to_owned())
}

/// Tables that the small scenario has are written as dotted keys there, so that they can be added to.
fn with(more: &str) -> String {
    format!("{SMALL}{more}")
}
