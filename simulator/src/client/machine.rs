//! The clients of one population at work: when a user sends, what each request is, and whether a client tries again.
//!
//! Both engines drive this one machine. The machine sends nothing and waits for nothing; what a client waits for, and until
//! when, is the engine's to carry out.

use std::time::Duration;

use gateway::{AttemptFailure, Retrier, RetryState, Timestamp};

use super::identity::Identity;
use super::population::{Load, Population, PopulationStreams};
use super::users::Users;
use crate::network::client_is_back_after;

/// The clients of a population.
///
/// The calling contract: each user of a closed load is asked at the start when it sends first ([`Clients::first_send`]), and each
/// arrival of an open load which request that is ([`Clients::first_request`]). Each request begins by [`Clients::draw`] and, when it is
/// sent, [`Clients::on_send`]. Each attempt that failed is told to [`Clients::on_failed`], and the next attempt is made when that
/// says, by [`Clients::on_retry`]; a request that ends otherwise is told to [`Clients::on_ended`]. When it is over, with or
/// without retries, [`Clients::next_send`] says what the same client sends next, and when.
#[derive(Debug)]
pub struct Clients {
    population: Population,
    streams: PopulationStreams,
    /// Of a closed load.
    users: Option<Users>,
    /// By user: when its iteration began; empty without pacing.
    began: Vec<Option<Timestamp>>,
    /// By user: when it sent last; the start for one that has not.
    sent: Vec<Timestamp>,
    /// Nobody sends from then on.
    ends: Timestamp,
    retrier: Retrier,
}

/// A request of a client.
#[derive(Clone, Copy, Debug)]
pub struct ClientRequest {
    /// Number of the request in its population.
    pub index: u64,
    /// Place of the target among the targets of the population.
    pub target: u32,
    /// The route that serves the target, by number.
    pub route: u32,
    /// Who sends the request.
    pub identity: Identity,
    attempt: u32,
    retries: RetryState,
}

impl Clients {
    /// The clients of `population` in a scenario that starts at `starts` and lasts for `duration`.
    pub fn new(
        population: &Population,
        streams: PopulationStreams,
        starts: Timestamp,
        duration: Duration,
    ) -> Self {
        let users = match &population.load {
            Load::Open(_) => None,
            Load::Closed(load) => Some(load.users(starts, duration, streams.arrival)),
        };
        let retrier = Retrier::new(population.retry);
        let paced = users.as_ref().filter(|users| users.is_paced()).map_or(0, Users::count);
        let (began, ends) = (vec![None; paced as usize], starts + duration);
        let sent = vec![starts; users.as_ref().map(Users::count).unwrap_or_default() as usize];
        Self { population: population.clone(), streams, users, began, sent, ends, retrier }
    }

    /// How many users a closed load has; none of an open one.
    pub fn users(&self) -> u32 {
        self.users.as_ref().map(Users::count).unwrap_or_default()
    }

    /// When the user of that number sends first, and the number of that request. `None` for a user who never does.
    pub fn first_send(&mut self, user: u32) -> Option<(Timestamp, u64)> {
        let starts = self.users.as_ref()?.starts();
        self.turn(user, 0, starts)
    }

    /// The number of the request that an arrival of an open load begins with.
    #[inline]
    pub fn first_request(&self, arrival: u64) -> u64 {
        arrival * self.population.requests_per_arrival()
    }

    /// When the client whose request is over sends its next one, and the number of that. `well` says whether the request ended as its
    /// client had hoped. `None` for a client that sends no more: the arrival of an open load after the last step of its journey, and
    /// anybody from the end on.
    #[inline]
    pub fn next_send(&mut self, now: Timestamp, index: u64, well: bool) -> Option<(Timestamp, u64)> {
        let place = self.population.step_of(index);
        let journey = self.population.journey.as_ref().zip(place);
        let goes_on = journey
            .is_some_and(|(journey, (_, step))| journey.goes_on(step, well, self.streams.journey.at(index)));
        if self.users.is_some() {
            let (user, sent) = ((index >> 32) as u32, index as u32);
            let next = match journey {
                Some((journey, _)) if !goes_on => (sent + 1).next_multiple_of(journey.length() as u32),
                _ => sent + 1,
            };
            return self.turn(user, next, now);
        }
        let (journey, (_, step)) = journey.filter(|_| goes_on)?;
        let at = now + journey.think(step + 1, self.streams.journey.at(index + 1));
        (at < self.ends).then_some((at, index + 1))
    }

    /// When a user sends the next of its requests, which is that one or, if it comes again in between, the first of a journey.
    fn turn(&mut self, user: u32, sent: u32, free: Timestamp) -> Option<(Timestamp, u64)> {
        let began = self.began.get_mut(user as usize);
        let next_turn =
            |users: &Users, free| users.next_turn(user, sent, free, began.as_deref().copied().flatten());
        let users = self.users.as_ref()?;
        let mut turn = next_turn(users, free)?;
        // A gateway in virtual time rejects in no time: a user that does not think either would send for ever at one instant.
        if sent > 0 && self.sent.get(user as usize) == Some(&turn.at) {
            turn = next_turn(users, free + client_is_back_after(Duration::ZERO))?;
        }
        if let Some(began) = began {
            *began = Some(turn.began);
        }
        Some((turn.at, u64::from(user) << 32 | u64::from(turn.sent)))
    }

    /// The request of that number: where to, and whose.
    #[inline]
    pub fn draw(&self, index: u64) -> ClientRequest {
        let Self { population, streams, .. } = self;
        let target = population.target_of(streams, index);
        let identity = population.identity_of(streams, index);
        ClientRequest {
            index,
            target: target.number as u32,
            route: target.route,
            identity,
            attempt: 0,
            retries: RetryState::of_account(identity.index),
        }
    }

    /// A request is sent, for the first time.
    #[inline]
    pub fn on_send(&mut self, now: Timestamp, request: &mut ClientRequest) {
        if let Some(sent) = self.sent.get_mut((request.index >> 32) as usize) {
            *sent = now;
        }
        self.retrier.on_request(now, &mut request.retries);
    }

    /// A request is sent again.
    #[inline]
    pub fn on_retry(&mut self, request: &mut ClientRequest) {
        self.retrier.on_retry(&mut request.retries);
    }

    /// A request ended by an attempt that did not fail.
    #[inline]
    pub fn on_ended(&mut self, request: &mut ClientRequest) {
        self.retrier.on_finished(&mut request.retries, true);
    }

    /// An attempt at a request failed. `retry_after` is how long the answer asks the client to wait, if it does. When the next
    /// attempt is made; `None` where the client leaves it at that: then the request has ended.
    #[inline]
    pub fn on_failed(
        &mut self,
        now: Timestamp,
        request: &mut ClientRequest,
        failure: AttemptFailure,
        retry_after: Option<Duration>,
    ) -> Option<Timestamp> {
        let ClientRequest { index, attempt, retries, .. } = request;
        let unit = self.streams.jitter.at(*index).at(u64::from(*attempt)).unit();
        let Some(wait) = self.retrier.on_failure(retries, now, failure, retry_after, unit) else {
            self.retrier.on_finished(retries, false);
            return None;
        };
        *attempt += 1;
        Some(now + client_is_back_after(wait))
    }
}

impl ClientRequest {
    /// Number of the present attempt, from 0.
    pub const fn attempt(&self) -> u32 {
        self.attempt
    }
}

#[cfg(test)]
mod tests {
    use gateway::{FailureSet, Method, RetryPolicy};

    use super::*;
    use crate::client::{
        ClosedLoad, Identities, Journey, JourneyStep, OpenLoad, Spacing, Start, Targets, UsersPoint,
    };
    use crate::latency::Latency;
    use crate::rate::Rate;

    const STARTS: Timestamp = Timestamp::from_nanos(1_780_390_800_000_000_000);

    fn clients(retries: u32) -> Clients {
        let second = Duration::from_secs(1);
        let users = UsersPoint { at: Duration::ZERO, users: 2 };
        let think = Latency::constant(second).unwrap();
        let on = FailureSet { timeout: true, ..FailureSet::default() };
        let population = Population {
            name: "members".to_owned(),
            hostile: false,
            identities: Identities::new(5, None, None).unwrap(),
            targets: Targets::new([("/a".to_owned(), 0, 1), ("/b".to_owned(), 7, 1)]).unwrap(),
            load: Load::Closed(ClosedLoad::new(&[users], think, Start::Together).unwrap()),
            timeout: None,
            retry: RetryPolicy { retries, on, ..RetryPolicy::default() },
            method: Method::Get,
            body: 0,
            token: None,
            journey: None,
        };
        Clients::new(&population, PopulationStreams::new(1, "members"), STARTS, 10 * second)
    }

    #[test]
    fn a_client_tries_again_a_round_trip_later_and_as_often_as_its_policy_says() {
        let mut clients = clients(2);
        let mut request = clients.draw(3);
        clients.on_send(STARTS, &mut request);
        let again = STARTS + Duration::from_millis(5);
        for attempt in 1..=2 {
            let next = clients.on_failed(STARTS, &mut request, AttemptFailure::Timeout, None);
            assert_eq!((next, request.attempt()), (Some(again), attempt));
        }
        assert_eq!(clients.on_failed(STARTS, &mut request, AttemptFailure::Timeout, None), None);
        assert_eq!(clients.on_failed(STARTS, &mut clients.draw(4), AttemptFailure::Connect, None), None);
    }

    #[test]
    fn a_request_is_the_same_whenever_it_is_drawn() {
        let clients = clients(0);
        let all: Vec<_> = (0..100).map(|index| clients.draw(index)).collect();
        for (index, request) in (0..).zip(&all) {
            let again = clients.draw(index);
            assert_eq!((again.route, again.identity), (request.route, request.identity));
            assert_eq!(request.route, if request.target == 0 { 0 } else { 7 });
        }
        assert!(all.iter().any(|request| request.route == 0) && all.iter().any(|request| request.route == 7));
        assert!((0..5).all(|identity| all.iter().any(|request| request.identity.index == identity)));
    }

    #[test]
    fn each_user_numbers_its_own_requests() {
        let mut clients = clients(0);
        let second = Duration::from_secs(1);
        assert_eq!(clients.users(), 2);
        assert_eq!(clients.first_send(0), Some((STARTS + second, 0)));
        assert_eq!(clients.first_send(1), Some((STARTS + second, 1 << 32)));
        let next = clients.next_send(STARTS + second, 1 << 32, false);
        assert_eq!(next, Some((STARTS + 2 * second, 1 << 32 | 1)));
        assert_eq!(clients.next_send(STARTS + 10 * second, 1 << 32 | 1, true), None);
    }

    #[test]
    fn nobody_sends_twice_at_one_instant() {
        let users = UsersPoint { at: Duration::ZERO, users: 1 };
        let load = Load::Closed(ClosedLoad::new(&[users], Latency::ZERO, Start::Together).unwrap());
        let population = Population { load, ..clients(0).population };
        let second = Duration::from_secs(1);
        let mut clients = Clients::new(&population, PopulationStreams::new(1, "members"), STARTS, second);
        let mut request = clients.draw(0);
        clients.on_send(STARTS, &mut request);
        // An answer that took no time, and one that took some.
        assert_eq!(clients.next_send(STARTS, 0, false), Some((STARTS + Duration::from_millis(5), 1)));
        let later = STARTS + Duration::from_nanos(1);
        assert_eq!(clients.next_send(later, 0, true), Some((later, 1)));
        // Whoever thinks is not at once there anyway, and thinks no longer for that.
        let think = Latency::constant(second).unwrap();
        let load = Load::Closed(ClosedLoad::new(&[users], think, Start::Together).unwrap());
        let streams = PopulationStreams::new(1, "members");
        let mut clients = Clients::new(&Population { load, ..population }, streams, STARTS, 9 * second);
        let mut request = clients.draw(0);
        clients.on_send(STARTS, &mut request);
        assert_eq!(clients.next_send(STARTS, 0, false), Some((STARTS + second, 1)));
    }

    /// Three steps: everybody goes on from the first, and nobody from the second.
    fn on_a_journey(load: Load, goes_on_after_failure: bool) -> Clients {
        let step = |method, goes_on| JourneyStep { method, body: 0, think: Latency::ZERO, goes_on };
        let steps = [step(Method::Get, 1.0), step(Method::Post, 0.0), step(Method::Get, 1.0)];
        let target = |path: &str| (path.to_owned(), 0, 1);
        let population = Population {
            targets: Targets::new(["/login", "/search", "/pay"].map(target)).unwrap(),
            journey: Journey::new(steps, goes_on_after_failure),
            load,
            ..clients(0).population
        };
        Clients::new(&population, PopulationStreams::new(1, "members"), STARTS, Duration::from_secs(10))
    }

    #[test]
    fn an_arrival_is_a_journey_of_one_client() {
        let load = Load::Open(OpenLoad::rate(Rate::new(1, 1_000_000_000).unwrap(), Spacing::Uniform));
        let mut clients = on_a_journey(load, false);
        // Arrival 5 has the requests 15 to 17.
        let first = clients.first_request(5);
        assert_eq!((first, clients.draw(15).target, clients.draw(16).target), (15, 0, 1));
        assert_eq!(clients.draw(15).identity, clients.draw(17).identity);
        let soon = STARTS + Duration::from_millis(5);
        assert_eq!(clients.next_send(STARTS, 15, true), Some((soon, 16)));
        assert_eq!(clients.next_send(STARTS, 15, false), None, "who is refused gives up");
        assert_eq!(clients.next_send(STARTS, 16, true), None, "nobody goes on from the second step");
        assert_eq!(clients.next_send(STARTS, 17, true), None, "there is no fourth");
        assert_eq!(clients.next_send(STARTS + Duration::from_secs(10), 15, true), None, "it is the end");
        assert_eq!(clients.population.method_of(16), Method::Post);
        assert!(!clients.population.is_paired());
    }

    #[test]
    fn a_user_starts_over_after_its_journey() {
        let users = UsersPoint { at: Duration::ZERO, users: 2 };
        let think = || Latency::constant(Duration::from_secs(1)).unwrap();
        let load = ClosedLoad::new(&[users], think(), Start::Together).unwrap();
        let load = || Load::Closed(load.clone().with_journey([think(), think(), think()]));
        let mut clients = on_a_journey(load(), false);
        let (user, then) = (1_u64 << 32, STARTS + Duration::from_secs(1));
        assert_eq!(clients.first_send(1), Some((then, user)));
        assert_eq!(clients.next_send(STARTS + Duration::from_nanos(1), user, true).unwrap().1, user | 1);
        // The third step is not taken, and its number is left out.
        assert_eq!(clients.next_send(STARTS + Duration::from_nanos(1), user | 1, true).unwrap().1, user | 3);
        assert_eq!(clients.next_send(STARTS + Duration::from_nanos(1), user, false).unwrap().1, user | 3);
        assert_eq!(clients.draw(user | 4).target, 1);
        let mut clients = on_a_journey(load(), true);
        assert_eq!(clients.next_send(STARTS + Duration::from_nanos(1), user, false).unwrap().1, user | 1);
    }
}
