//! Closed-loop users: who is there when, and when each of them sends.
//!
//! Users who all think for the same time and begin at the same instant stay in step for ever: 2,000 of them with ten
//! seconds to think are 2,000 requests at one instant every ten seconds, a load that no crowd of people makes. So whoever
//! thinks for a constant time begins somewhere within it. Any other distribution spreads its users by itself. With a constant time
//! between the starts of iterations (pacing) it is the same, and who paces begins somewhere within that time.

use std::sync::Arc;
use std::time::Duration;

use gateway::Timestamp;

use super::LoadError;
use crate::chance::Stream;
use crate::latency::Latency;
use crate::network::client_is_back_after;

/// Users who wait for their answers: each thinks, sends, waits for the end of the request, and thinks again.
#[derive(Clone, Debug, PartialEq)]
pub struct ClosedLoad {
    /// In order of time, at least one, not all without users.
    points: Arc<[Point]>,
    /// Before each request of an iteration; at least one.
    thinks: Arc<[Latency]>,
    /// From an answer until the next request, at the least, nanoseconds.
    round_trip: u64,
    /// Between the starts of two iterations, nanoseconds.
    pacing: Option<u64>,
    start: Start,
}

/// How many users there are at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UsersPoint {
    /// Time since the scenario's start.
    pub at: Duration,
    /// So many users.
    pub users: u32,
}

/// How users begin who think for a constant time; others begin as they go on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Start {
    /// Each somewhere within its first think: of a think of c that is U · c, with U uniform in [0, 1). Where an iteration has several
    /// thinks and all are constant, c is their sum; with pacing, it is the time between two starts, and the first think follows.
    #[default]
    Spread,
    /// Each with its whole first think: all who begin at one instant send at one instant.
    Together,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Point {
    /// Nanoseconds since the scenario's start.
    at: u64,
    users: u32,
}

impl ClosedLoad {
    /// As many users as the straight lines between `points` say, rounded down, the first point's before them and the
    /// last's after. Two points at the same time are a step. Who came last leaves first, and leaves while it thinks: a
    /// request under way is finished.
    ///
    /// # Errors
    ///
    /// If there is no point, if one is earlier than the one before it, or if none has a user.
    pub fn new(points: &[UsersPoint], think: Latency, start: Start) -> Result<Self, LoadError> {
        if points.is_empty() {
            return Err(LoadError::EmptyRamp);
        }
        if let Some(earlier) = points.windows(2).position(|pair| pair[1].at < pair[0].at) {
            return Err(LoadError::RampOutOfOrder { point: earlier + 1 });
        }
        if points.iter().all(|point| point.users == 0) {
            return Err(LoadError::NoUsers);
        }
        let points = points.iter().map(|point| Point { at: nanos(point.at), users: point.users });
        let (points, thinks) = (points.collect(), [think].into());
        Ok(Self { points, thinks, round_trip: 0, pacing: None, start })
    }

    /// The same users, whose iterations are journeys of several requests, each with its think before it. No request comes sooner than a
    /// round trip after the answer to the one before. Without any `thinks`, nothing changes.
    #[must_use]
    pub fn with_journey(self, thinks: impl IntoIterator<Item = Latency>) -> Self {
        let thinks: Arc<[_]> = thinks.into_iter().collect();
        if thinks.is_empty() {
            return self;
        }
        Self { thinks, round_trip: nanos(client_is_back_after(Duration::ZERO)), ..self }
    }

    /// The same users, each of whom begins an iteration so long after it began the one before; at once where that one took longer.
    /// An iteration is a journey, or a request where there are no journeys, with the think before it.
    #[must_use]
    pub fn with_pacing(self, pacing: Duration) -> Self {
        Self { pacing: Some(nanos(pacing)), ..self }
    }

    /// Whether users have to be asked when their iterations began.
    pub(super) const fn is_paced(&self) -> bool {
        self.pacing.is_some()
    }

    /// The users of a scenario that starts at `starts` and lasts for `duration`. User n's k-th think is drawn below
    /// `stream.at(n)`.
    pub fn users(&self, starts: Timestamp, duration: Duration, stream: Stream) -> Users {
        let length = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        Users { load: self.clone(), starts, length, stream }
    }

    /// When the first iteration of a user begins who comes at `from`, and when it sends.
    fn first(&self, from: u64, draw: Stream) -> (u64, u64) {
        let began = match (self.pacing, self.start) {
            (Some(pacing), Start::Spread) => from.saturating_add(draw.at(0).below(pacing)),
            (Some(_), Start::Together) | (None, _) => from,
        };
        let think = match (self.start, self.thinking()) {
            (Start::Spread, Some(all)) if self.pacing.is_none() => draw.below(all),
            _ => self.think(0).sample_nanos(draw),
        };
        (began, began.saturating_add(think))
    }

    /// The thinks of an iteration together, where all of them are constant.
    fn thinking(&self) -> Option<u64> {
        self.thinks.iter().map(Latency::constant_nanos).sum()
    }

    fn think(&self, step: u32) -> &Latency {
        // There always is one.
        &self.thinks[(step as usize).min(self.thinks.len() - 1)]
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// The users of one population in one scenario, numbered from 0. It has no state: whoever runs them knows how many requests
/// each has sent, and since when it is free.
#[derive(Clone, Debug)]
pub struct Users {
    load: ClosedLoad,
    starts: Timestamp,
    /// Nanoseconds for which anybody sends.
    length: u64,
    stream: Stream,
}

impl Users {
    /// The most users that are there at once before the end; there are no others.
    pub fn count(&self) -> u32 {
        let Self { load, length, .. } = self;
        let mut before = *first(&load.points);
        let mut most = before.users;
        for point in &*load.points {
            let seen = if point.at < *length { point.users } else { before.at_most(point, *length) };
            most = most.max(seen);
            before = *point;
            if before.at >= *length {
                break;
            }
        }
        most
    }

    /// When a user sends next whose next request is number `sent` and who has had nothing under way since `free`, which is the start for
    /// one that has not sent any. `began` is when its iteration under way began, or the last one, where there is pacing. `None` for
    /// one that sends no more: nobody does at the end or after it.
    pub fn next_turn(
        &self,
        number: u32,
        sent: u32,
        free: Timestamp,
        began: Option<Timestamp>,
    ) -> Option<Turn> {
        let Self { load, starts, length, stream } = self;
        let since_start = |at: Timestamp| nanos(at.saturating_since(*starts));
        let (free, before) = (since_start(free), began.map(since_start));
        let requests = load.thinks.len() as u32;
        let stay = |(place, stay): (u64, Stay)| {
            if stay.to <= free {
                return None;
            }
            // Each of a user's thinks has an address of its own, those of a user that comes again too.
            let draw = |sent: u32| stream.at(u64::from(number)).at((place << 32) | u64::from(sent));
            let is_under_way = free == stay.from && !sent.is_multiple_of(requests);
            let (began, at, sent) = if free <= stay.from && !is_under_way {
                // Whoever comes, or comes again, begins at the beginning.
                let back = if sent > 0 { free.saturating_add(load.round_trip) } else { 0 };
                let sent = sent.next_multiple_of(requests);
                let (began, at) = load.first(stay.from, draw(sent));
                (began, at.max(back), sent)
            } else {
                let step = sent % requests;
                let due =
                    before.zip(load.pacing).map_or(free, |(before, pacing)| before.saturating_add(pacing));
                let began = if step > 0 { before.unwrap_or(free) } else { due.max(free) };
                let thinks_from = if step > 0 { free } else { began };
                let at = thinks_from.saturating_add(load.think(step).sample_nanos(draw(sent)));
                (began, at.max(free.saturating_add(load.round_trip)), sent)
            };
            // Otherwise it leaves while it thinks, and may come again.
            (at < stay.to).then_some((began, at, sent))
        };
        let (began, at, sent) = (0..).zip(load.stays(number)).find_map(stay)?;
        let turn = Turn { at: starts.plus_nanos(at), sent, began: starts.plus_nanos(began) };
        (at < *length).then_some(turn)
    }

    /// Whether users have to be asked when their iterations began.
    pub(super) const fn is_paced(&self) -> bool {
        self.load.is_paced()
    }

    /// The scenario's start.
    pub(super) const fn starts(&self) -> Timestamp {
        self.starts
    }
}

/// What a user does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn {
    /// When it sends.
    pub at: Timestamp,
    /// Number of the request among those of the user.
    pub sent: u32,
    /// When the iteration began that the request belongs to.
    pub began: Timestamp,
}

/// A time for which a user is there, in nanoseconds from the scenario's start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stay {
    from: u64,
    /// Not included.
    to: u64,
}

impl ClosedLoad {
    /// When a user is there: while there are more users than its number.
    fn stays(&self, number: u32) -> impl Iterator<Item = Stay> {
        let first = Point { at: 0, ..*first(&self.points) };
        let mut rest = self.points.iter();
        let mut before = first;
        let mut since = (first.users > number).then_some(0);
        std::iter::from_fn(move || {
            for point in rest.by_ref() {
                let piece = (before, *point);
                before = *point;
                match since {
                    None if point.users > number => since = Some(piece.0.comes(&piece.1, number)),
                    Some(from) if point.users <= number => {
                        since = None;
                        return Some(Stay { from, to: piece.0.leaves(&piece.1, number) });
                    }
                    _ => {}
                }
            }
            since.take().map(|from| Stay { from, to: u64::MAX })
        })
    }
}

/// There always is one.
fn first(points: &[Point]) -> &Point {
    points.first().expect("a closed load has at least one point")
}

impl Point {
    /// The first nanosecond, on the line from this point up to `to`, at which there are more than `number` users.
    fn comes(&self, to: &Self, number: u32) -> u64 {
        debug_assert!(self.users <= number && number < to.users);
        let missing = u128::from(number + 1 - self.users) * u128::from(to.at - self.at);
        self.at + missing.div_ceil(u128::from(to.users - self.users)) as u64
    }

    /// The first nanosecond, on the line from this point down to `to`, at which there are no more than `number` users.
    fn leaves(&self, to: &Self, number: u32) -> u64 {
        debug_assert!(to.users <= number && number < self.users);
        let surplus = u128::from(self.users - number - 1) * u128::from(to.at - self.at);
        // At the very place where the line says `number + 1` there are still so many; a step has no such place.
        let after = self.at + (surplus / u128::from(self.users - to.users)) as u64;
        (after + 1).min(to.at)
    }

    /// As many users as there may be on the line from this point to `to` before `end`, which is on it.
    fn at_most(&self, to: &Self, end: u64) -> u32 {
        if to.users <= self.users || to.at == self.at {
            return self.users;
        }
        let rise =
            u128::from(to.users - self.users) * u128::from(end.saturating_sub(1).saturating_sub(self.at));
        self.users + (rise / u128::from(to.at - self.at)) as u32
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::chance::Purpose;

    const STARTS: Timestamp = Timestamp::from_nanos(1_780_390_800_000_000_000);
    const SECOND: u64 = 1_000_000_000;

    fn stream() -> Stream {
        Stream::new(902, Purpose::Arrival, "members")
    }

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn load(points: &[(u64, u32)], think: Latency, start: Start) -> ClosedLoad {
        let points: Vec<_> =
            points.iter().map(|(at, users)| UsersPoint { at: seconds(*at), users: *users }).collect();
        ClosedLoad::new(&points, think, start).unwrap()
    }

    fn constant(think: u64) -> Latency {
        Latency::constant(seconds(think)).unwrap()
    }

    /// When each of a load's users sends within so many seconds, in nanoseconds from the start, if each answer takes so
    /// long.
    fn sends(load: &ClosedLoad, length: u64, answer: Duration) -> Vec<Vec<u64>> {
        let users = load.users(STARTS, seconds(length), stream());
        let of = |number| {
            let (mut sent, mut free, mut times) = (0, STARTS, Vec::new());
            let mut began = None;
            while let Some(turn) = users.next_turn(number, sent, free, began) {
                times.push((turn.at - STARTS).as_nanos() as u64);
                (sent, free, began) = (turn.sent + 1, turn.at + answer, Some(turn.began));
            }
            times
        };
        (0..users.count()).map(of).collect()
    }

    #[test]
    fn a_constant_think_spreads_its_users_over_itself() {
        // 2,000 users who think for 10 s and are answered after 10 ms: each sends at U · 10 s + k · 10.01 s. In each of the
        // first ten seconds that is Binomial(2,000, 1/10): 200 with a deviation of 13.4; five of them are 67. So it stays:
        // what is sent in a later second was sent within one second, less 10 ms for each round, before.
        let sent = sends(&load(&[(0, 2_000)], constant(10), Start::Spread), 60, Duration::from_millis(10));
        assert!(sent.iter().all(|times| times[0] < 10 * SECOND));
        assert!(sent.iter().all(|times| times.windows(2).all(|pair| pair[1] - pair[0] == 10_010_000_000)));
        for second in 0..60 {
            let within = sent.iter().flatten().filter(|at| *at / SECOND == second).count();
            assert!((133..=267).contains(&within), "{within} in second {second}");
        }
    }

    #[test]
    fn users_who_start_together_send_together() {
        let sent = sends(&load(&[(0, 3)], constant(10), Start::Together), 35, seconds(1));
        assert_eq!(sent, vec![[10, 21, 32].map(|at| at * SECOND); 3]);
    }

    #[test]
    fn a_think_that_spreads_its_users_by_itself_is_drawn_as_it_stands() {
        let think = Latency::exponential(seconds(10)).unwrap();
        for start in [Start::Spread, Start::Together] {
            for (number, times) in (0..).zip(sends(&load(&[(0, 50)], think.clone(), start), 600, seconds(1)))
            {
                let mut at = 0;
                for (sent, time) in (0..).zip(times) {
                    at += think.sample_nanos(stream().at(number).at(sent));
                    assert_eq!(time, at);
                    at += SECOND;
                }
            }
        }
    }

    #[test]
    fn what_is_always_the_same_time_is_constant_however_it_is_written() {
        let think = seconds(10);
        let same = Latency::uniform(think, think).unwrap();
        for think in [
            same.clone(),
            Latency::empirical(vec![think; 3]).unwrap(),
            Latency::log_normal(think, think).unwrap(),
            Latency::mixture(vec![(0.3, same), (0.7, constant(10))]).unwrap(),
        ] {
            assert_eq!(think.constant_nanos(), Some(10 * SECOND), "{think}");
        }
        let spread = Latency::uniform(think, 2 * think).unwrap();
        for think in [
            spread.clone(),
            Latency::mixture(vec![(0.3, constant(10)), (0.7, constant(9))]).unwrap(),
            Latency::mixture(vec![(0.3, constant(10)), (0.7, spread)]).unwrap(),
        ] {
            assert_eq!(think.constant_nanos(), None, "{think}");
        }
    }

    #[test]
    fn a_ramp_lets_one_user_in_after_the_other_and_the_last_one_out_first() {
        // From none to 4 within 8 s, then 4 s with 4, then down to 1 within 3 s. The line comes to n + 1 at 2 · (n + 1) s,
        // and is below n + 1 from just after 12 + (3 − n) s on.
        let ramp = load(&[(0, 0), (8, 4), (12, 4), (15, 1)], constant(1), Start::Spread);
        let stays = |number| ramp.stays(number).map(|stay| (stay.from, stay.to)).collect::<Vec<_>>();
        assert_eq!(stays(0), [(2 * SECOND, u64::MAX)]);
        assert_eq!(stays(1), [(4 * SECOND, 14 * SECOND + 1)]);
        assert_eq!(stays(2), [(6 * SECOND, 13 * SECOND + 1)]);
        assert_eq!(stays(3), [(8 * SECOND, 12 * SECOND + 1)]);
        assert_eq!(stays(4), []);
    }

    #[test]
    fn before_and_after_a_ramp_the_outer_numbers_hold_and_two_points_at_once_are_a_step() {
        let ramp = load(&[(5, 1), (5, 3), (9, 3), (9, 0)], constant(1), Start::Spread);
        let stays = |number| ramp.stays(number).map(|stay| (stay.from, stay.to)).collect::<Vec<_>>();
        assert_eq!(stays(0), [(0, 9 * SECOND)]);
        assert_eq!(stays(1), [(5 * SECOND, 9 * SECOND)]);
        assert_eq!(stays(2), [(5 * SECOND, 9 * SECOND)]);
    }

    #[test]
    fn who_leaves_finishes_and_sends_no_more_until_it_comes_again() {
        // There from 0 to 10 s and from 20 s on; thinks for 2 s, all at once.
        let ramp = load(&[(0, 1), (10, 1), (10, 0), (20, 0), (20, 1)], constant(2), Start::Together);
        let users = ramp.users(STARTS, seconds(30), stream());
        let next = |sent, free| {
            let turn = users.next_turn(0, sent, STARTS + seconds(free), None);
            turn.map(|turn| (turn.at - STARTS).as_secs())
        };
        assert_eq!(next(0, 0), Some(2));
        assert_eq!(next(1, 7), Some(9));
        // Answered at 8 s it would send at 10 s, when it is gone; at 12 s it has left after its answer. Either way it
        // begins anew.
        assert_eq!(next(1, 8), Some(22));
        assert_eq!(next(1, 12), Some(22));
        // One whose answer comes after it would have come again goes on.
        assert_eq!(next(1, 25), Some(27));
        assert_eq!(next(1, 28), None, "nobody sends at the end");
    }

    #[test]
    fn users_who_come_again_are_spread_anew() {
        let ramp = load(&[(0, 100), (10, 100), (10, 0), (20, 0), (20, 100)], constant(10), Start::Spread);
        let sent = sends(&ramp, 30, seconds(20));
        let firsts: Vec<_> = sent.iter().map(|times| times[0]).collect();
        let again: Vec<_> = sent
            .iter()
            .map(|times| times.iter().find(|at| **at >= 20 * SECOND).copied().unwrap_or(0) % (10 * SECOND))
            .collect();
        // Nobody comes back at the place where it was.
        assert!(firsts.iter().zip(&again).all(|(first, again)| first != again));
    }

    #[test]
    fn paced_users_begin_at_equal_distances_as_long_as_they_can() {
        // One request for each iteration, 10 s apart; 3 s of think before it.
        let paced = |start| load(&[(0, 50)], constant(3), start).with_pacing(seconds(10));
        for (number, times) in sends(&paced(Start::Spread), 100, seconds(2)).iter().enumerate() {
            assert!((3 * SECOND..13 * SECOND).contains(&times[0]), "{number} begins at {}", times[0]);
            assert!(times.windows(2).all(|pair| pair[1] - pair[0] == 10 * SECOND));
        }
        assert_eq!(
            sends(&paced(Start::Together), 40, seconds(2)),
            vec![[3, 13, 23, 33].map(|at| at * SECOND); 50]
        );
        // An iteration of 3 + 9 s is longer than the 10 s, and the next begins at once.
        assert_eq!(sends(&paced(Start::Together), 40, seconds(9))[0], [3, 15, 27, 39].map(|at| at * SECOND));
        // With another think each time, it is the starts that are 10 s apart, and not the requests.
        let think = Latency::uniform(Duration::ZERO, seconds(4)).unwrap();
        let odd = load(&[(0, 1)], think, Start::Together).with_pacing(seconds(10));
        let times = &sends(&odd, 100, seconds(2))[0];
        assert_eq!(times.len(), 10);
        assert!(
            times.iter().enumerate().all(|(k, at)| (0..=4 * SECOND).contains(&(at - 10 * k as u64 * SECOND)))
        );
    }

    #[test]
    fn a_journey_has_a_think_before_each_step_and_starts_over() {
        // 1 s before the first step, 4 s before the second, none before the third; each is answered after 2 s.
        let thinks = [constant(1), constant(4), Latency::ZERO];
        let journey = load(&[(0, 1)], constant(9), Start::Together).with_journey(thinks.clone());
        let ms = |millis: u64| millis * 1_000_000;
        let expected = [1_000, 7_000, 9_005, 12_005, 18_005, 20_010].map(ms);
        assert_eq!(sends(&journey, 23, seconds(2))[0], expected);
        // Spread, it begins within the 5 s that all its thinks take.
        let spread = load(&[(0, 200)], constant(9), Start::Spread).with_journey(thinks);
        let first: Vec<_> = sends(&spread, 10, seconds(2)).iter().map(|times| times[0]).collect();
        assert!(first.iter().all(|at| *at < 5 * SECOND) && first.iter().any(|at| *at > 4 * SECOND));
    }

    #[test]
    fn paced_journeys_begin_at_equal_distances() {
        let thinks = [Latency::ZERO, constant(4)];
        let paced =
            load(&[(0, 1)], constant(9), Start::Together).with_journey(thinks).with_pacing(seconds(20));
        let expected = [0, 5, 20, 25, 40, 45].map(|at| at * SECOND);
        assert_eq!(sends(&paced, 60, seconds(1))[0], expected);
    }

    #[test]
    fn whoever_comes_again_begins_its_journey_anew() {
        // There from 0 to 10 s and from 20 s on.
        let thinks = [constant(2), constant(6)];
        let ramp = load(&[(0, 1), (10, 1), (10, 0), (20, 0), (20, 1)], constant(9), Start::Together)
            .with_journey(thinks);
        let users = ramp.users(STARTS, seconds(40), stream());
        // After the first step, at 5 s, the second would be at 11 s, when it is gone: the first step of the next journey comes instead.
        let turn = users.next_turn(0, 1, STARTS + seconds(5), None).unwrap();
        assert_eq!((turn.at - STARTS, turn.sent), (seconds(22), 2));
        // One that is to begin a journey anyway does.
        let turn = users.next_turn(0, 2, STARTS + seconds(9), None).unwrap();
        assert_eq!((turn.at - STARTS, turn.sent), (seconds(22), 2));
    }

    #[test]
    fn there_are_as_many_users_as_ever_are_there() {
        let count = |points: &[(u64, u32)], length| {
            load(points, constant(1), Start::Spread).users(STARTS, seconds(length), stream()).count()
        };
        assert_eq!(count(&[(0, 7)], 60), 7);
        assert_eq!(count(&[(30, 7)], 10), 7);
        assert_eq!(count(&[(0, 0), (10, 100), (20, 0)], 60), 100);
        // Half way up the line there are 50, and just before that 49.
        assert_eq!(count(&[(0, 0), (10, 100)], 5), 49);
        assert_eq!(count(&[(0, 30), (10, 0), (10, 100)], 10), 30);
        assert_eq!(count(&[(0, 30), (10, 0), (10, 100)], 11), 100);
    }

    #[test]
    fn points_must_be_in_order_and_somebody_be_there() {
        let new = |points: &[(u64, u32)]| {
            let points: Vec<_> =
                points.iter().map(|(at, users)| UsersPoint { at: seconds(*at), users: *users }).collect();
            ClosedLoad::new(&points, constant(1), Start::Spread).unwrap_err()
        };
        assert_eq!(new(&[]), LoadError::EmptyRamp);
        assert_eq!(new(&[(5, 1), (4, 1)]), LoadError::RampOutOfOrder { point: 1 });
        assert_eq!(new(&[(5, 0), (6, 0)]), LoadError::NoUsers);
    }

    proptest! {
        /// The obvious way: as many as the line says, rounded down, at each instant that is asked for.
        #[test]
        fn there_are_as_many_users_as_the_line_says(
            mut points in prop::collection::vec((0_u64..50, 0_u32..20), 1..8),
            at in 0_u64..60 * 7,
        ) {
            points.sort_by_key(|(at, _)| *at);
            prop_assume!(points.iter().any(|(_, users)| *users > 0));
            // Sevenths of a second: on points and between them.
            let at = at * SECOND / 7;
            let after = points.iter().position(|(point, _)| point * SECOND > at);
            let expected = match after {
                Some(0) => points[0].1,
                None => points[points.len() - 1].1,
                Some(place) => {
                    let ((from, first), (to, last)) = (points[place - 1], points[place]);
                    let (into, length) = (i128::from(at - from * SECOND), i128::from((to - from) * SECOND));
                    let rise = (i128::from(last) - i128::from(first)) * into;
                    (i128::from(first) * length + rise).div_euclid(length) as u32
                }
            };
            let ramp = load(&points, constant(1), Start::Spread);
            let there = |number| ramp.stays(number).any(|stay| stay.from <= at && at < stay.to);
            prop_assert_eq!((0..20).filter(|number| there(*number)).count() as u32, expected);
        }
    }
}
