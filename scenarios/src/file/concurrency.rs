//! Caps on concurrency: the table `gateway.concurrency`, and the keys of the caps of routes and upstreams.

use std::num::NonZeroU32;

use gateway::{CallerCap, CallerCaps, ConcurrencyCap};

use super::diagnostic::Problem;
use super::limits::Status;
use super::reader::{Field, Fields};
use super::shape::Choice;
use super::table::{Switch, table};

table! {
    /// How many requests of each caller may be under way at once, asked after the rate limits and the breaker.
    pub(super) struct Concurrency<'t> (Choice::Free) {
        /// A cap for each address that requests come from; `false` or left out for none.
        per_ip: Switch<Caller<'t>>;
        /// A cap for each client: its API key, or its address where it sends none; `false` or left out for none.
        per_key: Switch<Caller<'t>>;
    }

    /// How many requests of one caller may be under way at once.
    pub(super) struct Caller<'t> (Choice::Free) {
        /// Requests of the caller that may hold or wait for a worker of the gateway, at least 1.
        max_in_flight: NonZeroU32, needed "such as `max_in_flight = 10`";
        /// Requests of the caller beyond those that may wait until one of them ends, first in, first out; the next is turned away.
        max_pending: u32 = 0;
        /// Requests of the caller that may wait for the gateway's next attempt or make it; a failed attempt beyond is answered as
        /// it is. Default: unbounded.
        max_retries: u32, else unbounded;
        /// The status of the answer to whoever has too many, from 400 to 599: Traefik answers 429.
        status: Status = Status(CallerCap::SERVICE_UNAVAILABLE);
    }
}

/// The three keys of a cap, wherever they stand.
pub(super) struct Cap<'f, 't> {
    pub(super) in_flight: &'f Field<'t, Option<NonZeroU32>>,
    pub(super) pending: &'f Field<'t, u32>,
    pub(super) retries: &'f Field<'t, Option<u32>>,
}

impl Concurrency<'_> {
    pub(super) fn build(self) -> CallerCaps {
        CallerCaps {
            per_ip: self.per_ip.on().and_then(Caller::build),
            per_key: self.per_key.on().and_then(Caller::build),
        }
    }
}

impl Caller<'_> {
    fn build(self) -> Option<CallerCap> {
        self.max_in_flight.value?;
        let Self { max_in_flight, max_pending, max_retries, status, table } = self;
        let keys = Cap { in_flight: &max_in_flight, pending: &max_pending, retries: &max_retries };
        Some(CallerCap { cap: keys.build(&table), status: status.value.0 })
    }
}

impl Cap<'_, '_> {
    /// The cap; that requests wait where as many as come may be under way is noted.
    pub(super) fn build(&self, table: &Fields<'_>) -> ConcurrencyCap {
        let pending = self.pending.entry.filter(|_| self.pending.value > 0);
        if let (Some(entry), None) = (pending, self.in_flight.entry) {
            let message = format!("`{}`: nobody waits without `max_in_flight`", table.path_of(&entry.key));
            let problem = Problem::error(entry.key_span.clone(), message);
            table
                .context()
                .push(problem.help("`max_in_flight` is how many may be under way while others wait"));
        }
        ConcurrencyCap {
            max_in_flight: self.in_flight.value,
            max_pending: self.pending.value,
            max_retries: self.retries.value,
        }
    }
}
