//! Requests that follow one another: a client logs in, searches, and pays.
//!
//! Requests that are drawn one by one say nothing of what a failure costs: whoever cannot log in never pays, and whoever
//! cannot pay has searched for nothing. A journey is a sequence of steps. Not everybody goes on from each to the next, and whoever is
//! refused may give up.

use std::sync::Arc;
use std::time::Duration;

use gateway::Method;

use crate::chance::Stream;
use crate::latency::Latency;
use crate::network::client_is_back_after;

/// The steps that a client takes one after the other. Each is a request of its own.
///
/// A request's number in its population says which step it is: the requests of journey j have the numbers j · n to j · n + n − 1, where n
/// is the number of steps; of a user, in the lower half of the number. A step that is not taken leaves its number unused.
#[derive(Clone, Debug, PartialEq)]
pub struct Journey {
    /// At least one.
    steps: Arc<[JourneyStep]>,
    goes_on_after_failure: bool,
}

/// A step of a journey.
#[derive(Clone, Debug, PartialEq)]
pub struct JourneyStep {
    /// What the request asks for.
    pub method: Method,
    /// How long the body of the request is, bytes.
    pub body: u32,
    /// How long the client thinks before this step, once the one before has ended. A user thinks before the first step too; that of
    /// an arrival is made when the arrival is due.
    pub think: Latency,
    /// The share of those who took this step that goes on to the next, 0 to 1.
    pub goes_on: f64,
}

impl Journey {
    /// A journey of these steps; `None` without any. A client whose request failed gives the journey up unless it
    /// `goes_on_after_failure`.
    pub fn new(steps: impl IntoIterator<Item = JourneyStep>, goes_on_after_failure: bool) -> Option<Self> {
        let steps: Arc<[_]> = steps.into_iter().collect();
        (!steps.is_empty()).then_some(Self { steps, goes_on_after_failure })
    }

    /// The steps in their order.
    pub fn steps(&self) -> &[JourneyStep] {
        &self.steps
    }

    /// How many steps there are.
    pub(super) fn length(&self) -> u64 {
        self.steps.len() as u64
    }

    /// Whether a client that took a step goes on to the next, with the stream of its request. `well` says whether the request ended well.
    pub(super) fn goes_on(&self, step: usize, well: bool, request: Stream) -> bool {
        let goes_on = self.steps.get(step).map_or(0.0, |step| step.goes_on);
        let is_last = step + 1 >= self.steps.len();
        !is_last && (well || self.goes_on_after_failure) && (goes_on >= 1.0 || request.unit() < goes_on)
    }

    /// How long a client thinks before a step, with the stream of its request: a round trip at the least, since the answer to the step
    /// before has to reach the client first.
    pub(super) fn think(&self, step: usize, request: Stream) -> Duration {
        let think = self.steps.get(step).map_or(Duration::ZERO, |step| step.think.sample(request.at(0)));
        client_is_back_after(think)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chance::Purpose;

    fn step(goes_on: f64, think_ms: u64) -> JourneyStep {
        let think = Latency::constant(Duration::from_millis(think_ms)).unwrap();
        JourneyStep { method: Method::Get, body: 0, think, goes_on }
    }

    fn request(index: u64) -> Stream {
        Stream::new(902, Purpose::Journey, "buyers").at(index)
    }

    #[test]
    fn a_share_goes_on_and_nobody_beyond_the_last_step() {
        let journey = Journey::new([step(0.7, 0), step(1.0, 0)], false).unwrap();
        // Binomial: mean 7,000, standard deviation 46; five of them.
        let go_on = (0..10_000).filter(|index| journey.goes_on(0, true, request(*index))).count();
        assert!(go_on.abs_diff(7_000) < 230, "{go_on}");
        assert!(!journey.goes_on(1, true, request(0)) && !journey.goes_on(7, true, request(0)));
        assert_eq!(Journey::new([], false), None);
    }

    #[test]
    fn a_failure_ends_the_journey_unless_told_otherwise() {
        let stops = Journey::new([step(1.0, 0), step(1.0, 0)], false).unwrap();
        assert!(stops.goes_on(0, true, request(0)) && !stops.goes_on(0, false, request(0)));
        let goes_on = Journey::new([step(1.0, 0), step(1.0, 0)], true).unwrap();
        assert!(goes_on.goes_on(0, false, request(0)));
    }

    #[test]
    fn the_next_step_comes_a_round_trip_later_at_the_soonest() {
        let journey = Journey::new([step(1.0, 0), step(1.0, 2_000)], false).unwrap();
        assert_eq!(journey.think(0, request(0)), Duration::from_millis(5));
        assert_eq!(journey.think(1, request(0)), Duration::from_secs(2));
    }
}
