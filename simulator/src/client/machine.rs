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
/// The calling contract: a user is asked after at the start and whenever one of its requests has ended
/// ([`Clients::next_send`]). Each request begins by [`Clients::draw`] and, when it is sent, [`Clients::on_send`]. Each attempt
/// that failed is told to [`Clients::on_failed`], and the next attempt is made when that says, by [`Clients::on_retry`]; a request
/// that ends otherwise is told to [`Clients::on_ended`].
#[derive(Debug)]
pub struct Clients {
    population: Population,
    streams: PopulationStreams,
    /// Of a closed load.
    users: Option<Users>,
    retrier: Retrier,
}

/// A user of a closed load, who has sent so many requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct User {
    /// Number among the users of the population.
    pub number: u32,
    /// Requests sent so far.
    pub sent: u32,
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
        Self { population: population.clone(), streams, users, retrier }
    }

    /// The users of a closed load; none of an open one.
    pub fn users(&self) -> impl Iterator<Item = User> + use<> {
        let count = self.users.as_ref().map(Users::count);
        (0..count.unwrap_or_default()).map(|number| User { number, sent: 0 })
    }

    /// When a user sends next who has had nothing under way since `free`. `None` for a user who sends no more.
    #[inline]
    pub fn next_send(&self, user: User, free: Timestamp) -> Option<Timestamp> {
        self.users.as_ref()?.next_send(user.number, user.sent, free)
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

impl User {
    /// The number of the user's next request among the requests of the population.
    pub const fn next_index(self) -> u64 {
        (self.number as u64) << 32 | self.sent as u64
    }

    /// The same user, one request later.
    #[must_use]
    pub const fn after_send(self) -> Self {
        Self { sent: self.sent + 1, ..self }
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
    use gateway::{FailureSet, RetryPolicy};

    use super::*;
    use crate::client::{ClosedLoad, Identities, Method, Start, Targets, UsersPoint};
    use crate::latency::Latency;

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
        let clients = clients(0);
        let users: Vec<_> = clients.users().collect();
        assert_eq!(users.iter().map(|user| user.next_index()).collect::<Vec<_>>(), [0, 1 << 32]);
        let second = Duration::from_secs(1);
        assert_eq!(clients.next_send(users[1], STARTS), Some(STARTS + second));
        let later = users[1].after_send();
        assert_eq!(later.next_index(), 1 << 32 | 1);
        assert_eq!(clients.next_send(later, STARTS + second), Some(STARTS + 2 * second));
        assert_eq!(clients.next_send(later, STARTS + 10 * second), None);
    }
}
