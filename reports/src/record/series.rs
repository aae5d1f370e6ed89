//! Counts and levels by second.

use std::time::Duration;

use crate::record::broken::Broken;

/// One count per second of scenario time; what falls outside the scenario's duration is left out.
#[derive(Clone, Debug)]
pub(crate) struct CountSeries(Vec<u32>);

impl CountSeries {
    /// All zero, a point for each second begun within `duration`.
    pub(crate) fn new(duration: Duration) -> Self {
        Self(vec![0; seconds(duration)])
    }

    #[inline]
    pub(crate) fn add(&mut self, at: Duration) {
        if let Some(count) = self.0.get_mut(at.as_secs() as usize) {
            *count += 1;
        }
    }

    /// Adds counts that were made elsewhere over the same duration, second by second.
    pub(crate) fn add_all(&mut self, points: &[u32]) {
        assert_eq!(self.0.len(), points.len(), "series over the same duration have as many points");
        for (count, more) in self.0.iter_mut().zip(points) {
            *count += more;
        }
    }

    pub(crate) fn points(&self) -> &[u32] {
        &self.0
    }

    pub(crate) fn into_points(self) -> Vec<u32> {
        self.0
    }
}

/// A level over time: its largest value, its integral, and the largest value within each second.
#[derive(Clone, Debug)]
pub(crate) struct Level {
    current: u32,
    /// When it became so, nanoseconds, and the second which that is in.
    since_nanos: u64,
    since_s: u64,
    duration_nanos: u64,
    peak: u32,
    /// Level × nanoseconds within the duration.
    integral: u128,
    peak_per_s: Vec<u32>,
}

impl Level {
    /// Zero from the start.
    pub(crate) fn new(duration: Duration) -> Self {
        let duration_nanos = nanos(duration);
        let peak_per_s = vec![0; seconds(duration)];
        Self { current: 0, since_nanos: 0, since_s: 0, duration_nanos, peak: 0, integral: 0, peak_per_s }
    }

    /// As [`Level::new`], without the largest values of seconds.
    pub(crate) fn without_seconds(duration: Duration) -> Self {
        Self { duration_nanos: nanos(duration), ..Self::new(Duration::ZERO) }
    }

    /// What the level is now.
    #[inline]
    pub(crate) const fn current(&self) -> u32 {
        self.current
    }

    /// Notes that the level is `level` from `at` on.
    ///
    /// # Errors
    ///
    /// If `at` is before the last change. Then the level is so from the last change on.
    #[inline]
    pub(crate) fn set(&mut self, at: Duration, level: u32) -> Result<(), Broken> {
        if level == self.current {
            return Ok(());
        }
        let went_back = nanos(at) < self.since_nanos;
        if !went_back {
            self.pass(at);
        }
        self.current = level;
        self.peak = self.peak.max(level);
        if let Some(peak) = self.peak_per_s.get_mut(self.since_s as usize) {
            *peak = level.max(*peak);
        }
        if went_back { Err(Broken::TimeWentBack) } else { Ok(()) }
    }

    pub(crate) fn peak(&self) -> u32 {
        self.peak
    }

    /// Closes the account after so long, at most at the end of the duration: the mean level until then, and the peak of each
    /// second. What changed later, while the last requests of an interrupted run were given up, is not weighed as if it had
    /// lasted.
    pub(crate) fn finish(mut self, ran: Duration) -> (f64, Vec<u32>) {
        let ran_nanos = nanos(ran).min(self.duration_nanos);
        if ran_nanos > self.since_nanos {
            self.pass(Duration::from_nanos(ran_nanos));
        }
        let mean = self.integral as f64 / ran_nanos.max(1) as f64;
        (mean.min(self.peak.into()), self.peak_per_s)
    }

    /// Lets the present level stand until `at`, which is no earlier than the last change.
    #[inline]
    fn pass(&mut self, at: Duration) {
        let until = nanos(at);
        let (from, to) = (self.since_nanos.min(self.duration_nanos), until.min(self.duration_nanos));
        self.integral += u128::from(self.current) * u128::from(to - from);
        if at.as_secs() > self.since_s {
            self.pass_seconds(at.as_secs());
        }
        self.since_nanos = until;
    }

    /// Lets it stand in every second after that of the last change, which has it already, up to the second `to_s`.
    fn pass_seconds(&mut self, to_s: u64) {
        let last = (to_s as usize + 1).min(self.peak_per_s.len());
        if let Some(peaks) = self.peak_per_s.get_mut(self.since_s as usize + 1..last) {
            peaks.fill(self.current);
        }
        self.since_s = to_s;
    }
}

/// Of times within a scenario, which all fit.
const fn nanos(time: Duration) -> u64 {
    time.as_secs().wrapping_mul(1_000_000_000).wrapping_add(time.subsec_nanos() as u64)
}

/// How many seconds begin within `duration`.
fn seconds(duration: Duration) -> usize {
    duration.as_secs() as usize + usize::from(duration.subsec_nanos() > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn counts_fall_into_their_second() {
        let mut series = CountSeries::new(ms(2_500));
        for at in [0, 999, 1_000, 2_400, 3_000] {
            series.add(ms(at));
        }
        assert_eq!(series.into_points(), [2, 1, 1]);
    }

    #[test]
    fn a_level_stands_until_it_changes() {
        let mut level = Level::new(ms(5_000));
        level.set(ms(500), 4).unwrap();
        level.set(ms(600), 1).unwrap();
        level.set(ms(3_500), 2).unwrap();
        level.set(ms(9_000), 7).unwrap();
        assert_eq!(level.peak(), 7);
        let (mean, peaks) = level.finish(ms(5_000));
        assert_eq!(peaks, [4, 1, 1, 2, 2]);
        // 0.1 s × 4 + 2.9 s × 1 + 1.5 s × 2 of 5 s
        assert!((mean - 6.3 / 5.0).abs() < 1e-12, "{mean}");
    }

    #[test]
    fn a_level_that_changes_before_its_last_change_says_so_and_is_so_from_then_on() {
        let mut level = Level::new(ms(5_000));
        level.set(ms(2_000), 4).unwrap();
        assert_eq!(level.set(ms(1_999), 6), Err(Broken::TimeWentBack));
        level.set(ms(3_000), 0).unwrap();
        let (mean, peaks) = level.finish(ms(5_000));
        assert_eq!(peaks, [0, 0, 6, 6, 0]);
        assert!((mean - 6.0 / 5.0).abs() < 1e-12, "{mean}");
    }

    #[test]
    fn a_level_of_a_run_that_was_cut_short_is_that_until_then() {
        let mut level = Level::new(ms(5_000));
        level.set(ms(500), 4).unwrap();
        let (mean, peaks) = level.finish(ms(2_000));
        assert_eq!(peaks, [4, 4, 4, 0, 0]);
        // 1.5 s × 4 of 2 s, and not of 5 s
        assert!((mean - 3.0).abs() < 1e-12, "{mean}");
    }
}
