//! How numbers read: counts, durations, rates, shares and instants, the same in the terminal and on the page.
//!
//! Three digits are what the histograms hold and what a reader compares; so latencies are cut there. Two things
//! are never rounded away: a share just short of all or just above none, and a measured value that failed an
//! expectation (`100 ms` failing `< 100ms` would read as a bug).

use jiff::{SignedDuration, Timestamp};

/// What a number counts, and so how it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dimension {
    /// A number of things, which are whole even in a median.
    Count,
    /// 0 to 1, written as a percentage.
    Share,
    /// Microseconds.
    DurationUs,
    /// Events per second; the unit stands in the column's heading.
    RatePerS,
    /// Microseconds until something came about; infinite where it never did.
    UntilUs,
    /// How many times as many, written with two decimals.
    Ratio,
}

impl Dimension {
    /// `value` in this dimension, for tables and sentences.
    pub(crate) fn show(self, value: f64) -> String {
        match self {
            Self::Count => things(value),
            Self::Share => share(value),
            Self::RatePerS => rate(value),
            Self::UntilUs if value == f64::INFINITY => "never".to_owned(),
            Self::DurationUs | Self::UntilUs => latency(value),
            Self::Ratio if value.is_finite() => format!("{value:.2}"),
            Self::Ratio => "–".to_owned(),
        }
    }
}

/// A number of things: `2,000`.
pub(crate) fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// A number of things, which may be a median or a mean: there is no half request. Only none reads `0`.
pub(crate) fn things(n: f64) -> String {
    if !n.is_finite() || n < 0.0 {
        return n.to_string();
    }
    if n > 0.0 && n < 0.5 { "<1".to_owned() } else { count(n.round() as u64) }
}

/// The end of a scale, which may lie between two whole numbers: `2.5`.
pub(crate) fn quantity(n: f64) -> String {
    if !n.is_finite() || n < 0.0 {
        return n.to_string();
    }
    let whole = count(n as u64);
    if n.fract() >= 0.05 && n < 1e6 { format!("{}.{}", whole, (n.fract() * 10.0) as u64) } else { whole }
}

/// A share of 0 to 1 as a percentage with one decimal. Only all reads `100%` and only none `0%`.
pub(crate) fn share(share: f64) -> String {
    let percent = share * 100.0;
    if !percent.is_finite() {
        return "–".to_owned();
    }
    if percent > 0.0 && percent < 0.05 {
        "<0.1%".to_owned()
    } else if (99.95..100.0).contains(&percent) {
        ">99.9%".to_owned()
    } else {
        format!("{}%", trimmed(format!("{percent:.1}")))
    }
}

/// Events per second, without the unit: `98.7`, `1,204`.
pub(crate) fn rate(per_s: f64) -> String {
    if per_s.is_finite() && per_s >= 1000.0 { count(per_s.round() as u64) } else { digits(per_s, 3) }
}

/// A latency of so many microseconds to three digits: `61.3 ms`, `4.61 s`, `1 min 12 s`.
pub(crate) fn latency(us: f64) -> String {
    scaled(us, |value| digits(value, 3))
}

/// A latency to three digits.
pub(crate) fn latency_us(us: u64) -> String {
    latency(us as f64)
}

/// A length of time that somebody chose: a window, a duration. Like a latency, with six digits.
pub(crate) fn span(us: f64) -> String {
    scaled(us, |value| digits(value, 6))
}

/// The window of a limit as one says it after `per`: `minute`, `10 s`.
pub(crate) fn per_window(window_us: u64) -> String {
    match window_us {
        1_000_000 => "second".to_owned(),
        60_000_000 => "minute".to_owned(),
        3_600_000_000 => "hour".to_owned(),
        86_400_000_000 => "day".to_owned(),
        other => span(other as f64),
    }
}

/// Written before a duration that is a lower bound, because some requests were never answered.
pub(crate) const AT_LEAST: &str = "≥ ";

/// A figure as it is shown, marked where it is a lower bound.
pub(crate) fn at_least(is_lower_bound: bool, shown: String) -> String {
    if is_lower_bound { format!("{AT_LEAST}{shown}") } else { shown }
}

/// A share as it is shown, marked where it is an estimate: the requests could not be compared one by one.
pub(crate) fn estimate(is_estimate: bool, shown: String) -> String {
    if is_estimate { format!("~{shown}") } else { shown }
}

/// The clock of a scenario.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    /// `None` where the start lies outside of what a calendar holds.
    starts: Option<Timestamp>,
}

impl Clock {
    /// That of a scenario that starts so many seconds and nanoseconds after the beginning of 1970.
    pub(crate) fn starting_at(unix_s: i64, nanos: u32) -> Self {
        let nanos = i32::try_from(nanos).ok();
        let starts = nanos.and_then(|nanos| Timestamp::new(unix_s, nanos).ok());
        Self { starts }
    }

    /// The start in full: `Tue 2026-06-02 09:00:00 UTC`.
    pub(crate) fn start(self) -> String {
        match self.starts {
            Some(starts) => starts.strftime("%a %Y-%m-%d %H:%M:%S UTC").to_string(),
            None => "an unknown start".to_owned(),
        }
    }

    /// The time of day so many seconds after the start, fractions dropped: `09:00:58`.
    pub(crate) fn at_s(self, seconds: f64) -> String {
        let offset = SignedDuration::try_from_secs_f64(seconds).ok();
        let instant = self.starts.zip(offset).and_then(|(starts, offset)| starts.checked_add(offset).ok());
        match instant {
            Some(instant) => instant.strftime("%H:%M:%S").to_string(),
            None => format!("start + {}", span(seconds * 1e6)),
        }
    }

    /// The time of day so many microseconds after the start.
    pub(crate) fn at_us(self, us: u64) -> String {
        self.at_s(us as f64 / 1e6)
    }

    /// How far into its day the scenario starts, seconds; ticks fall on round times of day.
    pub(crate) fn second_of_day(self) -> f64 {
        self.starts.map_or(0.0, |starts| {
            let nanos = starts.as_nanosecond().rem_euclid(86_400_000_000_000);
            nanos as f64 / 1e9
        })
    }
}

/// `value` with `keep` significant digits and no trailing zeros.
pub(super) fn digits(value: f64, keep: usize) -> String {
    if !value.is_finite() {
        return "–".to_owned();
    }
    let mut decimals = keep.saturating_sub(1);
    let mut bound = 10.0;
    while decimals > 0 && value.abs() >= bound {
        decimals -= 1;
        bound *= 10.0;
    }
    trimmed(format!("{value:.decimals$}"))
}

/// `value` with six decimals; with twelve where six would make a round number of one that is not.
pub(super) fn unrounded(value: f64) -> String {
    let six = trimmed(format!("{value:.6}"));
    let decimals = six.split_once('.').map_or(0, |(_, decimals)| decimals.len());
    let is_off = six.parse::<f64>().is_ok_and(|six| (six - value).abs() > 1e-13 * value.abs());
    if decimals <= 3 && is_off { trimmed(format!("{value:.12}")) } else { six }
}

/// A percentage to two decimals, and to as many as it takes to be neither 0 nor 100 where it is not.
pub(super) fn percent(share: f64) -> String {
    let percent = share * 100.0;
    let near_an_end = percent > 0.0 && percent < 0.01 || percent < 100.0 && percent > 99.99;
    trimmed(if near_an_end { format!("{percent:.6}") } else { format!("{percent:.2}") })
}

pub(super) fn scaled(us: f64, write: impl Fn(f64) -> String) -> String {
    if !us.is_finite() || us < 0.0 {
        return "–".to_owned();
    }
    // A value that would be written as 1000 of its unit is one of the next.
    match us {
        _ if us == 0.0 => "0 s".to_owned(),
        _ if us < 999.5 => format!("{} µs", write(us)),
        _ if us < 999_500.0 => format!("{} ms", write(us / 1e3)),
        _ if us < MINUTE_US as f64 => format!("{} s", write(us / 1e6)),
        // To the second.
        _ => minutes((us / 1e6).round() as u64, 0),
    }
}

pub(super) const SECOND_US: u64 = 1_000_000;
pub(super) const MINUTE_US: u64 = 60 * SECOND_US;

/// A minute or more, of so many seconds and microseconds: `1 min 12 s`, `20 h 50 min`, `1 min 45.2 s`.
pub(super) fn minutes(seconds: u64, us: u64) -> String {
    let parts = [(seconds / 3600, "h"), (seconds / 60 % 60, "min")];
    let mut shown: Vec<String> =
        parts.iter().filter(|(n, _)| *n > 0).map(|(n, unit)| format!("{} {unit}", count(*n))).collect();
    if !seconds.is_multiple_of(60) || us > 0 {
        shown.push(format!("{} s", trimmed(format!("{}.{us:06}", seconds % 60))));
    }
    shown.join(" ")
}

/// Without the zeros that say nothing: `12.0` is `12`.
fn trimmed(number: String) -> String {
    if number.contains('.') { number.trim_end_matches('0').trim_end_matches('.').to_owned() } else { number }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;
    use crate::words::value::Value;

    #[test]
    fn counts_are_grouped_by_thousands() {
        let shown = [0, 7, 999, 1000, 2000, 123_456, 1_234_567].map(count);
        assert_eq!(shown, ["0", "7", "999", "1,000", "2,000", "123,456", "1,234,567"]);
        assert_eq!([166.0, 166.5, 2000.0].map(quantity), ["166", "166.5", "2,000"]);
        assert_eq!(
            [0.0, 0.4, 0.5, 166.4, 166.5, 2000.0].map(|n| Dimension::Count.show(n)),
            ["0", "<1", "1", "166", "167", "2,000"]
        );
        assert_eq!(count(u64::MAX), "18,446,744,073,709,551,615");
    }

    #[test]
    fn only_all_is_100_percent_and_only_none_is_0() {
        let shown = [0.0, 0.0001, 0.001, 0.5, 0.583, 0.9994, 0.9999, 1.0].map(share);
        assert_eq!(shown, ["0%", "<0.1%", "0.1%", "50%", "58.3%", "99.9%", ">99.9%", "100%"]);
    }

    #[test]
    fn latencies_carry_three_digits_and_their_unit() {
        let shown = [0, 7, 850, 999, 1000, 12_040, 61_300, 999_600, 4_614_000, 72_000_000].map(latency_us);
        assert_eq!(
            shown,
            ["0 s", "7 µs", "850 µs", "999 µs", "1 ms", "12 ms", "61.3 ms", "1 s", "4.61 s", "1 min 12 s"]
        );
    }

    #[test]
    fn spans_read_as_chosen() {
        let shown = [250e3, 1e6, 4e6, 60e6, 90e6, 480e6, 75_000e6].map(span);
        assert_eq!(shown, ["250 ms", "1 s", "4 s", "1 min", "1 min 30 s", "8 min", "20 h 50 min"]);
        assert_eq!([1_000_000, 60_000_000, 10_000_000].map(per_window), ["second", "minute", "10 s"]);
    }

    #[test]
    fn what_never_came_about_says_so() {
        assert_eq!(
            [0.0, 22e6, f64::INFINITY].map(|us| Dimension::UntilUs.show(us)),
            ["0 s", "22 s", "never"]
        );
        assert_eq!([1.0, 1.182, 64.0].map(|times| Dimension::Ratio.show(times)), ["1.00", "1.18", "64.00"]);
    }

    /// A value as a line shows that did not hold for it.
    fn failed(value: Value, line: &str) -> String {
        value.told(false, value.bound_of(line))
    }

    #[test]
    fn a_value_has_the_digits_that_it_is_worth() {
        for (value, line, told) in [
            (Value::RatePerS(168.027_778), "goodput > 300/s", "168/s"),
            (Value::RatePerS(1_204.4), "goodput > 3000/s", "1,204/s"),
            (Value::RatePerS(9.874), "goodput > 600/m", "9.87/s"),
            (Value::DurationUs(612_345), "latency(p99) < 100ms", "612 ms"),
            (Value::DurationUs(4_614_321), "latency(p99) < 1s 500ms", "4.61 s"),
            (Value::DurationUs(72_400_000), "recovery_time < 10s", "1 min 12 s"),
            (Value::Share(2.0 / 3.0), "success_rate > 99%", "66.67%"),
            (Value::Number(1.182_34), "amplification <= 1.05", "1.18"),
            (Value::Count(1_990), "served == 2000", "1,990"),
        ] {
            assert_eq!(failed(value, line), told, "{line}");
            assert_eq!(value.told(true, None), told, "{line}");
        }
    }

    #[test]
    fn a_value_that_failed_is_not_rounded_onto_its_bound() {
        for (value, line, told) in [
            (Value::DurationUs(100_031), "latency(p99) < 100ms", "100.03 ms"),
            (Value::DurationUs(100_000), "latency(p99) < 100ms", "100 ms"),
            // 105.2 s and a millisecond.
            (Value::DurationUs(105_201_000), "recovery_time <= 105.2s", "1 min 45.201 s"),
            (Value::DurationUs(60_000_001), "recovery_time <= 1m", "1 min 0.000001 s"),
            (Value::DurationUs(7_260_000_000), "recovery_time < 1h", "2 h 1 min"),
            (Value::Share(0.998_999), "success_rate >= 99.9%", "99.8999%"),
            (Value::Share(0.999_999_999), "success_rate == 100%", "99.9999999%"),
            (Value::RatePerS(19.999_999_96), "goodput >= 20/s", "19.99999996/s"),
            (Value::RatePerS(168.027_778), "goodput < 168/s", "168.03/s"),
            (Value::Number(1.000_4), "amplification(routes.\"/a<b\") == 1", "1.0004"),
        ] {
            assert_eq!(failed(value, line), told, "{line}");
        }
        // Of two measures, each is told from the other.
        let (one, other) = (Value::RatePerS(20.001), Value::RatePerS(20.0));
        assert_eq!(one.told(false, Some(other)), "20.001/s");
        assert_eq!(other.told(false, Some(one)), "20/s");
        // Where it is not known what a value is compared with, all of it is shown.
        assert_eq!(failed(Value::RatePerS(168.027_778), "goodput > other: goodput"), "168.027778/s");
        assert_eq!(failed(Value::Share(2.0 / 3.0), "a line that says nothing"), "66.666667%");
        assert_eq!(Value::Share(0.999_999).told(true, None), "99.9999%");
        assert_eq!(Value::Never.told(true, None), "never");
        assert_eq!(Value::NotObserved.told(false, None), "not observed");
    }

    #[test]
    fn no_line_makes_a_value_panic() {
        for line in
            ["", "<", "x < %", "x < /s", "x > 1e400", "x < nan%", "x == 99999999h", "x < é/s", "x > -5ms"]
        {
            for value in [
                Value::Number(f64::NAN),
                Value::Share(0.5),
                Value::RatePerS(f64::INFINITY),
                Value::DurationUs(u64::MAX),
            ] {
                assert!(!failed(value, line).is_empty());
            }
        }
    }

    #[test]
    fn the_clock_is_the_scenarios() {
        let clock = testing::window_boundary().scenario.clock();
        assert_eq!(clock.start(), "Tue 2026-06-02 09:00:00 UTC");
        assert_eq!(clock.at_us(58_999_999), "09:00:58");
        assert!((clock.second_of_day() - 32_400.0).abs() < 1e-9);
    }

    #[test]
    fn numbers_beyond_reason_are_shown_and_do_not_panic() {
        for odd in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1.0, 1e300] {
            for unit in [
                Dimension::Count,
                Dimension::Share,
                Dimension::DurationUs,
                Dimension::RatePerS,
                Dimension::UntilUs,
                Dimension::Ratio,
            ] {
                assert!(!unit.show(odd).is_empty());
            }
        }
        let mut scenario = testing::window_boundary().scenario;
        scenario.starts_unix_s = i64::MAX;
        scenario.starts_nanos = u32::MAX;
        let clock = scenario.clock();
        assert_eq!(clock.start(), "an unknown start");
        assert!(clock.second_of_day().abs() < 1e-9);
        assert_eq!(clock.at_s(58.0), "start + 58 s");
        assert!(!clock.at_s(f64::NAN).is_empty());
    }
}
