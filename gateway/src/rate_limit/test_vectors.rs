//! The sends of the design's test vectors, for every algorithm to answer.

use std::time::Duration;

use super::limiter::Limiter;
use crate::timestamp::Timestamp;

pub(super) const MINUTE: Duration = Duration::from_secs(60);

/// 2026-06-02T09:00:00Z, a Tuesday.
pub(super) const NINE: Timestamp = Timestamp::from_nanos(1_780_390_800 * 1_000_000_000);

/// `millis` after nine.
pub(super) fn at(millis: u64) -> Timestamp {
    NINE + Duration::from_millis(millis)
}

/// 1,000 sends from 58 s and 1,000 from 60 s, 2 ms apart: around the boundary of a minute.
pub(super) fn window_boundary() -> impl Iterator<Item = Timestamp> {
    [58_000, 60_000].into_iter().flat_map(|from| (0..1000).map(move |k| at(from + 2 * k)))
}

/// `count` sends from nine on, evenly `per_second`.
pub(super) fn steady(per_second: u64, count: u64) -> impl Iterator<Item = Timestamp> {
    (0..count).map(move |k| NINE.plus_nanos(k * 1_000_000_000 / per_second))
}

/// How many of `sends` one bucket admits.
pub(super) fn admitted<L: Limiter>(limiter: &L, sends: impl IntoIterator<Item = Timestamp>) -> usize {
    let mut state = limiter.fresh();
    sends.into_iter().filter(|&now| limiter.check(&mut state, now).is_admitted()).count()
}
