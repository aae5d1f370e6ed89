//! The calendar months of UTC, for quotas that are for a month.

use crate::timestamp::Timestamp;

const NANOS_PER_DAY: u64 = 24 * 60 * 60 * 1_000_000_000;

/// Days of the longest month.
pub(super) const LONGEST_MONTH: u64 = 31;

/// When the month began that `now` is in, in UTC.
pub(super) fn start_of_month(now: Timestamp) -> Timestamp {
    let (day, (_, _, day_of_month)) = date(now);
    Timestamp::from_nanos((day - (day_of_month - 1)) * NANOS_PER_DAY)
}

/// When the month begins that comes after the one of `now`. Saturates, as all times do, in the year 2554.
pub(super) fn month_after(now: Timestamp) -> Timestamp {
    let (day, (year, month, day_of_month)) = date(now);
    let next = day - (day_of_month - 1) + days_of_month(year, month);
    Timestamp::from_nanos(next.saturating_mul(NANOS_PER_DAY))
}

const fn days_of_month(year: u64, month: u64) -> u64 {
    match month {
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => LONGEST_MONTH,
    }
}

/// The day since the epoch, and its year, month (from 1) and day of the month (from 1).
///
/// Source: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", `civil_from_days`: years begin with March there, so
/// that a leap day is the last day of its year. <https://howardhinnant.github.io/date_algorithms.html>
const fn date(now: Timestamp) -> (u64, (u64, u64, u64)) {
    /// From the first of March of the year 0 to the epoch.
    const TO_EPOCH: u64 = 719_468;
    /// Days of 400 years.
    const ERA: u64 = 146_097;
    let day = now.as_nanos() / NANOS_PER_DAY;
    let (era, of_era) = ((day + TO_EPOCH) / ERA, (day + TO_EPOCH) % ERA);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day_of_month = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = year_of_era + era * 400 + if month <= 2 { 1 } else { 0 };
    (day, (year, month, day_of_month))
}

#[cfg(test)]
mod tests {
    use jiff::tz::Offset;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Beside the calendar of `jiff`.
        #[test]
        fn months_are_those_of_the_calendar(nanos in 0..u64::MAX - 32 * NANOS_PER_DAY) {
            let instant = jiff::Timestamp::from_nanosecond(nanos.into()).unwrap();
            let date = Offset::UTC.to_datetime(instant).date();
            let nanos_of = |date: jiff::civil::Date| {
                let instant = Offset::UTC.to_timestamp(date.at(0, 0, 0, 0)).unwrap();
                Timestamp::from_nanos(u64::try_from(instant.as_nanosecond()).unwrap())
            };
            let now = Timestamp::from_nanos(nanos);
            prop_assert_eq!(start_of_month(now), nanos_of(date.first_of_month()));
            let after = date.last_of_month().tomorrow().unwrap();
            prop_assert_eq!(month_after(now), nanos_of(after));
        }
    }

    #[test]
    fn the_end_of_time_is_in_some_month() {
        let first = start_of_month(Timestamp::MAX);
        assert!(first < Timestamp::MAX && month_after(Timestamp::MAX) == Timestamp::MAX);
        assert_eq!(start_of_month(Timestamp::EPOCH), Timestamp::EPOCH);
        assert_eq!(month_after(Timestamp::EPOCH).as_nanos(), 31 * NANOS_PER_DAY);
    }
}
