//! The time axis that all lanes share.

use crate::words::format::Clock;

/// How many labels fit beside each other.
const LABELS: f64 = 8.0;

/// Seconds from the start at which the clock shows a round time of day.
pub(crate) fn time_ticks(clock: Clock, seconds: f64) -> Vec<f64> {
    const STEPS: [u32; 17] =
        [1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600];
    let seconds = if seconds.is_finite() { seconds.max(1.0) } else { 1.0 };
    let fits = |step: &f64| seconds / step <= LABELS;
    let half_days = || {
        (1..=u16::MAX).map(|half_days| f64::from(half_days) * 43_200.0).find(|step| seconds / step <= LABELS)
    };
    let step = STEPS.into_iter().map(f64::from).find(fits).or_else(half_days).unwrap_or(seconds);
    let start = clock.second_of_day();
    let first = (start / step).ceil() * step - start;
    (0..=LABELS as u32).map(|n| first + f64::from(n) * step).filter(|tick| *tick <= seconds).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[test]
    fn ticks_fall_on_round_times_of_day() {
        let mut scenario = testing::window_boundary().scenario;
        let mut labels = |starts_unix_s: i64, seconds: f64| -> Vec<String> {
            scenario.starts_unix_s = starts_unix_s;
            let clock = scenario.clock();
            time_ticks(clock, seconds).iter().map(|tick| clock.at_s(*tick)).collect()
        };
        let nine = testing::window_boundary().scenario.starts_unix_s;
        assert_eq!(labels(nine, 4.0), ["09:00:00", "09:00:01", "09:00:02", "09:00:03", "09:00:04"]);
        assert_eq!(labels(nine + 7, 50.0).first().map(String::as_str), Some("09:00:10"));
        let day = labels(nine, 75_000.0);
        assert_eq!(day.first().map(String::as_str), Some("09:00:00"));
        assert!(day.len() <= 9, "{day:?}");
        assert_eq!(labels(nine, 0.0), ["09:00:00", "09:00:01"]);
        assert!(labels(nine, f64::INFINITY).len() <= 9);
    }
}
