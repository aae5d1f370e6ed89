use std::hash::Hash;
use std::time::Duration;

use gateway::{Place, Pool, PoolConfig, Timestamp};

use crate::{Latency, Stream};

/// What a simulated service is made of.
#[derive(Clone, Debug)]
pub struct UpstreamConfig {
    /// Requests served at once, and how many may wait. A service has no queue timeout: what waits is served.
    pub pool: PoolConfig,
    /// How long the work on one request takes.
    pub latency: Latency,
}

/// A simulated service: workers that each take a random time for a request, in front of a bounded queue.
///
/// **It does not notice that a caller left.** What it has accepted it works on to the end, holding a worker; a
/// caller's timeout frees the caller and not the service. That is how a slow service stays overloaded with work
/// that nobody waits for.
///
/// The calling contract: a job, unique among those present, for which [`Upstream::on_request`] or
/// [`Upstream::on_completed`] said that it started is followed by one `on_completed`, its service time later.
#[derive(Debug)]
pub struct Upstream<J> {
    pool: Pool<J, Stream>,
    latency: Latency,
}

/// What a service does with a request on arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reaction {
    /// A worker takes it.
    Started {
        /// How long the work takes.
        service_time: Duration,
    },
    /// It waits for a worker.
    Queued,
    /// Every worker is busy and the queue is full: it is answered 503 at once.
    Overloaded,
}

impl<J: Copy + Eq + Hash> Upstream<J> {
    /// An idle service.
    pub fn new(config: UpstreamConfig) -> Self {
        Self { pool: Pool::new(config.pool), latency: config.latency }
    }

    /// Takes a request on; `service` is the random stream of its service time.
    pub fn on_request(&mut self, now: Timestamp, job: J, service: Stream) -> Reaction {
        match self.pool.on_arrival(now, job, service) {
            Place::Worker => Reaction::Started { service_time: self.latency.sample(service) },
            Place::Queue { .. } => Reaction::Queued,
            Place::Full => Reaction::Overloaded,
        }
    }

    /// The work on a request is done; the next in the queue starts, with its service time, if there is one.
    ///
    /// # Panics
    ///
    /// If no job was started.
    pub fn on_completed(&mut self) -> Option<(J, Duration)> {
        let (job, service) = self.pool.on_release()?;
        Some((job, self.latency.sample(service)))
    }

    /// Requests being worked on.
    pub fn in_flight(&self) -> u32 {
        self.pool.in_flight()
    }

    /// Requests that wait.
    pub fn queued(&self) -> u32 {
        self.pool.queued()
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;
    use crate::Purpose;

    #[test]
    fn work_starts_in_order_of_arrival_and_what_does_not_fit_is_turned_away() {
        let pool = PoolConfig { workers: NonZeroU32::new(1), queue: Some(1), queue_timeout: None };
        let service_time = Duration::from_millis(5);
        let latency = Latency::constant(service_time).unwrap();
        let mut upstream = Upstream::new(UpstreamConfig { pool, latency });
        let stream = Stream::new(1, Purpose::Service, "everyone");
        let mut send = |job| upstream.on_request(Timestamp::EPOCH, job, stream);
        assert_eq!(send(1), Reaction::Started { service_time });
        assert_eq!(send(2), Reaction::Queued);
        assert_eq!(send(3), Reaction::Overloaded);
        assert_eq!(upstream.on_completed(), Some((2, service_time)));
        assert_eq!(upstream.on_completed(), None);
        assert_eq!((upstream.in_flight(), upstream.queued()), (0, 0));
    }
}
