//! A group of clients that behave alike: its settings and its random streams.

use std::time::Duration;

use gateway::{Method, RetryPolicy};

use crate::chance::{Purpose, Stream};
use crate::client::{ClosedLoad, Identities, Identity, Journey, JourneyStep, OpenLoad, TokenConfig};
use crate::tag::RequestTag;

/// A group of clients that behave alike.
#[derive(Clone, Debug)]
pub struct Population {
    /// Its name; its random streams hang on it.
    pub name: String,
    /// Kept out of goodput and blast radius.
    pub hostile: bool,
    /// Its keys and addresses.
    pub identities: Identities,
    /// What it sends, by weight; of a journey, what each step asks for.
    pub targets: Targets,
    /// When it sends.
    pub load: Load,
    /// How long a client waits for the answer to an attempt; `None` for as long as it takes.
    pub timeout: Option<Duration>,
    /// When a client tries again.
    pub retry: RetryPolicy,
    /// What its requests ask for.
    pub method: Method,
    /// How long the body of each of its requests is, bytes; 0 for none. It takes room on the wire, and no simulated time.
    pub body: u32,
    /// The token that each of its identities bears; `None` for none.
    pub token: Option<TokenConfig>,
    /// The steps that its clients take, with methods and bodies of their own; `None` for requests that have nothing to do with one
    /// another.
    pub journey: Option<Journey>,
}

/// When a population sends.
#[derive(Clone, Debug, PartialEq)]
pub enum Load {
    /// On a schedule, whatever becomes of the answers.
    Open(OpenLoad),
    /// Each user thinks, sends, waits for the end of the request, and thinks again.
    Closed(ClosedLoad),
}

/// Paths by weight: a target is drawn for each request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Targets {
    weighted: Vec<Weighted>,
}

/// A target with its weight.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Weighted {
    path: String,
    route: u32,
    /// The sum of the weights up to and with it.
    upto: u64,
}

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target<'t> {
    /// Its place among the targets of its population.
    pub number: usize,
    /// The path and query that are sent, as they are written.
    pub path: &'t str,
    /// The route that serves it, by number.
    pub route: u32,
}

impl Targets {
    /// Each path, with the number of the route that serves it and its weight. `None` where no weight is above zero or their
    /// sum overflows.
    pub fn new(weights: impl IntoIterator<Item = (String, u32, u32)>) -> Option<Self> {
        let mut upto = 0u64;
        let mut weighted = Vec::new();
        for (path, route, weight) in weights {
            upto = upto.checked_add(u64::from(weight))?;
            if weight > 0 {
                weighted.push(Weighted { path, route, upto });
            }
        }
        (!weighted.is_empty()).then_some(Self { weighted })
    }

    /// The target of the request that owns `stream`.
    pub fn draw(&self, stream: Stream) -> Target<'_> {
        let last = self.weighted.len() - 1;
        let number = if last == 0 {
            0
        } else {
            let draw = stream.below(self.weighted[last].upto);
            self.weighted.partition_point(|target| target.upto <= draw).min(last)
        };
        self.target(number)
    }

    /// Every target that can be drawn.
    pub fn iter(&self) -> impl Iterator<Item = Target<'_>> {
        (0..self.weighted.len()).map(|number| self.target(number))
    }

    fn target(&self, number: usize) -> Target<'_> {
        let last = self.weighted.len() - 1;
        let Weighted { path, route, .. } = &self.weighted[number.min(last)];
        Target { number, path, route: *route }
    }
}

impl Population {
    /// Where the request number `index` of this population goes, with the population's `streams`.
    #[inline]
    pub fn target_of(&self, streams: &PopulationStreams, index: u64) -> Target<'_> {
        match self.step_of(index) {
            Some((_, step)) => self.targets.target(step),
            None => self.targets.draw(streams.route.at(index)),
        }
    }

    /// Who sends the request number `index` of this population, with the population's `streams`.
    #[inline]
    pub fn identity_of(&self, streams: &PopulationStreams, index: u64) -> Identity {
        // One client takes all steps of a journey.
        let drawn = self.step_of(index).map_or(index, |(journey, _)| journey);
        self.identities.draw(streams.identity.at(drawn))
    }

    /// What the request number `index` asks for.
    #[inline]
    pub fn method_of(&self, index: u64) -> Method {
        self.journey_step(index).map_or(self.method, |step| step.method)
    }

    /// How long the body of the request number `index` is, bytes.
    pub fn body_of(&self, index: u64) -> u32 {
        self.journey_step(index).map_or(self.body, |step| step.body)
    }

    /// Whether the requests are the same in every run, whatever the answers to those before: of an open load without a journey. A step
    /// of a journey is there only if the one before came to its end, and when it did.
    pub const fn is_paired(&self) -> bool {
        matches!(self.load, Load::Open(_)) && self.journey.is_none()
    }

    /// How many numbers of requests an arrival of an open load takes up: one for each step of a journey.
    pub fn requests_per_arrival(&self) -> u64 {
        self.journey.as_ref().map_or(1, Journey::length)
    }

    /// The number of the journey that a request belongs to, and its step there.
    pub(super) fn step_of(&self, index: u64) -> Option<(u64, usize)> {
        let length = self.journey.as_ref()?.length();
        Some(match self.load {
            Load::Open(_) => (index / length, (index % length) as usize),
            Load::Closed(_) => {
                let (user, sent) = (index >> 32, index & u64::from(u32::MAX));
                ((user << 32) | (sent / length), (sent % length) as usize)
            }
        })
    }

    fn journey_step(&self, index: u64) -> Option<&JourneyStep> {
        let (_, step) = self.step_of(index)?;
        self.journey.as_ref()?.steps().get(step)
    }
}

/// The random streams of a population, one for each purpose, made once.
#[derive(Clone, Copy, Debug)]
pub struct PopulationStreams {
    /// Of open-loop arrivals; a user's think times are drawn below its number.
    pub arrival: Stream,
    /// Of request targets, by request.
    pub route: Stream,
    /// Of identities, by request.
    pub identity: Stream,
    /// Of service times, by request, attempt and place.
    pub service: Stream,
    /// Of waits before retries, by request and attempt.
    pub jitter: Stream,
    /// Of the gateway's choice of hosts, by request and attempt.
    pub host: Stream,
    /// Of what requests ask for and which calls they take, by request.
    pub content: Stream,
    /// Of whether clients go on with a journey and how long they think on the way, by request.
    pub journey: Stream,
}

impl PopulationStreams {
    /// The streams of the population `name` under `seed`.
    pub fn new(seed: u64, name: &str) -> Self {
        let stream = |purpose| Stream::new(seed, purpose, name);
        Self {
            arrival: stream(Purpose::Arrival),
            route: stream(Purpose::Route),
            identity: stream(Purpose::Identity),
            service: stream(Purpose::Service),
            jitter: stream(Purpose::Jitter),
            host: stream(Purpose::Host),
            content: stream(Purpose::Content),
            journey: stream(Purpose::Journey),
        }
    }

    /// The stream of an attempt, the first being 0 for both the client and the gateway. Service times are drawn below
    /// it, by a number made of the upstream's name, so that they are the same whatever else the scenario holds; and so
    /// on below that for what the upstream calls.
    pub const fn attempt(&self, request: u64, client_attempt: u32, gateway_attempt: u32) -> Stream {
        self.tag(0, request, client_attempt).service(gateway_attempt)
    }

    /// The tag of a client's attempt, the first being 0, `population` being this one's number.
    pub const fn tag(&self, population: u32, request: u64, client_attempt: u32) -> RequestTag {
        let key = self.service.at(request);
        RequestTag { population, request, key, attempt: (client_attempt as u64) << 32 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_drawn_by_weight() {
        let path = |path: &str| path.to_owned();
        let targets =
            Targets::new([(path("/a/1"), 3, 6), (path("/b"), 7, 0), (path("/a/2?x"), 3, 2)]).unwrap();
        let second = Target { number: 1, path: "/a/2?x", route: 3 };
        assert_eq!(
            targets.iter().collect::<Vec<_>>(),
            [Target { number: 0, path: "/a/1", route: 3 }, second]
        );
        let stream = Stream::new(902, Purpose::Route, "shoppers");
        let draws = 100_000;
        let first = (0..draws).filter(|index| targets.draw(stream.at(*index)) != second).count() as f64;
        // Binomial: mean 75,000, standard deviation 137; five of them.
        assert!((first - 75_000.0).abs() < 685.0, "{first}");
    }

    #[test]
    fn targets_need_a_weight() {
        assert_eq!(Targets::new([]), None);
        assert_eq!(Targets::new([("/".to_owned(), 0, 0)]), None);
        let one = Targets::new([("/".to_owned(), 4, 1)]).unwrap();
        assert_eq!(one.draw(Stream::new(1, Purpose::Route, "")).route, 4);
    }
}
