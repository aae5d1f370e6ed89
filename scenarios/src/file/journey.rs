//! What clients do one after the other: the array `journey` of a population.

use std::rc::Rc;

use gateway::Method;
use gateway::Routes;
use simulator::{Journey, JourneyStep, Latency, Targets};

use super::clients::resolve;
use super::diagnostic::Problem;
use super::latency::Time;
use super::shape::Choice;
use super::table::{Empty, Item, Items, table};
use super::values::{Share, Size, names};

table! {
    /// A step of a journey: a request, and who goes on to the next.
    pub(super) struct Step<'t> (Choice::Free) {
        /// The path of the request, such as `"/login"`.
        send: Rc<str>, needed "the path of the step's request, such as `send = \"/login\"`";
        /// The HTTP method. Default: the population's.
        method: Method;
        /// The size of the body, at most `"1MiB"`. Not of GET and HEAD. Default: the population's, where the method has a use for one.
        body: Size;
        /// How long the client thinks before this step, from the end of the one before it: a duration, or a distribution. The next
        /// step comes 5 ms after the answer to the one before at the soonest. The first step of `rate`, `ramp` and `bursts` is sent when
        /// its arrival is due. Default: the population's `think`, and without one no time.
        think: Time;
        /// The share of the clients that goes on to the next step, drawn for each.
        goes_on ["continue"]: Share = Share(1.0);
    }
}

names! {
    /// What a client on a journey does whose request failed.
    enum AfterFailure {
        /// The client gives the journey up: a user starts over, an arrival is over.
        "stop" => Stop,
        /// The client goes on as after an answer.
        "go-on" => GoOn,
    }
}

impl Item for Step<'_> {
    const EMPTY: Empty = Empty::Refused;

    fn way_out() -> String {
        "such as [{ send = \"/login\", method = \"POST\", continue = \"70%\" }, { send = \"/search\", think = \"5s\" }]".to_owned()
    }
}

/// More steps are refused: a client that takes a hundred is a loop.
const MOST_STEPS: usize = 100;

/// What is said of all steps of a journey.
pub(super) struct OfAll {
    pub(super) method: Method,
    /// Bytes.
    pub(super) body: u32,
    /// `None` for a load on a schedule.
    pub(super) think: Option<Latency>,
    pub(super) is_closed: bool,
    pub(super) after_failure: AfterFailure,
}

/// The paths of a journey and its steps; `None` where it cannot be used, which is noted.
pub(super) fn build_journey(
    steps: Items<Step<'_>>,
    path: &str,
    routes: Option<&Routes>,
    of_all: &OfAll,
) -> Option<(Targets, Journey)> {
    let count = steps.0.len();
    let mut built = Vec::new();
    let mut targets = Vec::new();
    for (place, step) in steps.0.into_iter().enumerate() {
        let (target, step) = step.and_then(|step| step.build(path, place, count, routes, of_all)).unzip();
        built.push(step);
        targets.push(target);
    }
    let (built, targets): (Option<Vec<_>>, Option<Vec<_>>) =
        (built.into_iter().collect(), targets.into_iter().collect());
    let journey = Journey::new(built?, of_all.after_failure == AfterFailure::GoOn)?;
    Some((Targets::new(targets?)?, journey))
}

impl Step<'_> {
    fn build(
        self,
        path: &str,
        place: usize,
        count: usize,
        routes: Option<&Routes>,
        of_all: &OfAll,
    ) -> Option<((String, u32, u32), JourneyStep)> {
        let (table, context) = (&self.table, self.table.context());
        let path = |key: &str| format!("{path}[{place}].{key}");
        if place == MOST_STEPS {
            let message =
                format!("`{}`: a journey has at most {MOST_STEPS} steps, found {count}", table.path());
            context.push(Problem::error(table.span(), message));
        }
        if let Some(entry) = self.think.entry.filter(|_| place == 0 && !of_all.is_closed) {
            let message =
                format!("`{}` has no meaning: the first step is sent when it arrives", path("think"));
            context.push(Problem::error(entry.key_span.clone(), message));
        }
        let method = self.method.value.unwrap_or(of_all.method);
        let has_use = !matches!(method, Method::Get | Method::Head);
        let body = match self.body.value {
            None => of_all.body * u32::from(has_use),
            Some(Size(0)) => 0,
            Some(Size(bytes)) => {
                let refuse = |message: &str| {
                    let message = format!("`{}`: {message}", path("body"));
                    context.push(Problem::error(self.body.span_in(table), message));
                };
                if bytes > super::clients::LARGEST_BODY {
                    refuse("a body has at most 1MiB");
                } else if !has_use {
                    refuse("a GET or HEAD has no use for a body");
                }
                bytes.min(super::clients::LARGEST_BODY) as u32
            }
        };
        let think = self.think.value.map(|Time(think)| think).or_else(|| of_all.think.clone());
        let sent = self.send.value.as_deref()?;
        let (target, route) = resolve(&path("send"), self.send.span_in(table), sent, routes?, context)?;
        let think = think.unwrap_or(Latency::ZERO);
        let goes_on = self.goes_on.value.0;
        Some(((target, route, 1), JourneyStep { method, body, think, goes_on }))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use simulator::{ClosedLoad, Load, Population, Start, UsersPoint};

    use super::super::testing::{first_problem, world_with};
    use super::*;

    fn population(keys: &str) -> Population {
        let world = world_with(&format!("clients.buyers = {{ {keys} }}"));
        world.populations.into_iter().find(|population| population.name == "buyers").unwrap()
    }

    fn constant(seconds: u64) -> Latency {
        Latency::constant(Duration::from_secs(seconds)).unwrap()
    }

    #[test]
    fn the_steps_of_a_journey_are_read_in_their_order() {
        let journey = "journey = [{ send = '/orders', method = 'POST', body = '2KB', continue = '70%' }, \
                       { send = '/stock?page=2', think = '5s' }, { send = '/orders' }]";
        let arriving = population(&format!("rate = '2/s', {journey}"));
        let targets: Vec<_> = arriving.targets.iter().map(|target| target.path.to_owned()).collect();
        assert_eq!(targets, ["/orders", "/stock?page=2", "/orders"]);
        let step = |method, body, think, goes_on| JourneyStep { method, body, think, goes_on };
        let steps = [
            step(Method::Post, 2_000, Latency::ZERO, 0.7),
            step(Method::Get, 0, constant(5), 1.0),
            step(Method::Get, 0, Latency::ZERO, 1.0),
        ];
        assert_eq!(arriving.journey, Journey::new(steps, false));
        assert!(!arriving.is_paired());
        // Users think before the first step too, and by their own rule where a step has none.
        let closed = population(&format!(
            "users = 3, think = '1s', start = 'together', on_failure = 'go-on', pacing = '1m', {journey}"
        ));
        let one = [UsersPoint { at: Duration::ZERO, users: 3 }];
        let load = ClosedLoad::new(&one, constant(1), Start::Together).unwrap();
        let load =
            load.with_journey([constant(1), constant(5), constant(1)]).with_pacing(Duration::from_secs(60));
        assert_eq!(closed.load, Load::Closed(load));
        assert_eq!(closed.journey.unwrap().steps()[2].think, constant(1));
    }

    #[test]
    fn the_population_says_what_its_steps_do_not() {
        let posting = population(
            "rate = '1/s', method = 'POST', body = '1KB', journey = [{ send = '/orders' }, { send = '/stock', method = 'GET' }]",
        );
        let steps: Vec<_> =
            posting.journey.unwrap().steps().iter().map(|step| (step.method, step.body)).collect();
        assert_eq!(steps, [(Method::Post, 1_000), (Method::Get, 0)]);
    }

    #[test]
    fn users_may_pace_themselves_without_thinking() {
        let one = [UsersPoint { at: Duration::ZERO, users: 3 }];
        let load = ClosedLoad::new(&one, Latency::ZERO, Start::Spread).unwrap();
        let paced = population("users = 3, send = '/orders', pacing = '10s'");
        assert_eq!(paced.load, Load::Closed(load.with_pacing(Duration::from_secs(10))));
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        for (keys, message, place) in [
            (
                "rate = '1/s', send = '/orders', journey = [{ send = '/orders' }]",
                "`clients.buyers` has both `send` and `journey`",
                "journey",
            ),
            ("rate = '1/s'", "`clients.buyers` needs `send`", "{ rate = '1/s' }"),
            (
                "rate = '1/s', send = '/orders', on_failure = 'go-on'",
                "`clients.buyers.on_failure` has no meaning without `journey`",
                "on_failure",
            ),
            (
                "rate = '1/s', journey = []",
                "`clients.buyers.journey`: expected at least one, found none",
                "[]",
            ),
            (
                "rate = '1/s', journey = [{ send = '/orders', think = '1s' }]",
                "`clients.buyers.journey[0].think` has no meaning: the first step is sent when it arrives",
                "think",
            ),
            (
                "rate = '1/s', journey = [{ send = '/orders', body = '1KB' }]",
                "`clients.buyers.journey[0].body`: a GET or HEAD has no use for a body",
                "'1KB'",
            ),
            (
                "rate = '1/s', journey = [{ send = '/orders' }, { send = '/ordres' }]",
                "`clients.buyers.journey[1].send`: no route serves `/ordres`",
                "'/ordres'",
            ),
            ("rate = '1/s', journey = [{}]", "`clients.buyers.journey` needs `send`", "{}"),
            (
                "users = 3, journey = [{ send = '/orders', on_failure = 'stop' }], pacing = '1s'",
                "`clients.buyers.journey` has no field `on_failure`",
                "on_failure",
            ),
            (
                "rate = '1/s', send = '/orders', pacing = '1s'",
                "`clients.buyers.pacing` has no meaning with `rate`",
                "pacing",
            ),
            (
                "users = 3, send = '/orders'",
                "`clients.buyers` needs `think`",
                "{ users = 3, send = '/orders' }",
            ),
        ] {
            let problem = first_problem(&format!("clients.buyers = {{ {keys} }}"));
            assert_eq!(problem, (message.to_owned(), place.to_owned()), "{keys}");
        }
    }
}
