//! How latency was distributed when: a histogram for every few seconds.
//!
//! One distribution for the whole run hides what an incident is about, and a percentile over time hides that half of the
//! requests were well. Columns are a few seconds long and rows are half an octave high, so that the memory it takes does
//! not depend on how many requests there are.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// At most so many columns: more would be narrower than what one can point at.
const COLUMNS: u64 = 120;

/// Rows up to the hour at which latencies end.
const ROWS: usize = 64;

/// Counts by intended time and latency.
#[derive(Debug)]
pub(crate) struct Heatmap {
    column_s: u32,
    columns: Vec<[u32; ROWS]>,
}

impl Heatmap {
    pub(crate) fn new(duration: Duration) -> Self {
        let column_s = column_s(duration, COLUMNS);
        let columns = duration.as_secs_f64() / f64::from(column_s);
        Self { column_s, columns: vec![[0; ROWS]; columns.ceil() as usize] }
    }

    /// A request that was meant to be sent at `intended` took so long.
    pub(crate) fn add(&mut self, intended: Duration, latency: Duration) {
        let column = (intended.as_secs() / u64::from(self.column_s)) as usize;
        if let Some(column) = self.columns.get_mut(column) {
            column[row(latency)] += 1;
        }
    }

    /// The cells in which anything was counted; `None` where there are none.
    pub(crate) fn into_result(self) -> Option<HeatmapResult> {
        let mut result = HeatmapResult {
            column_s: self.column_s,
            columns: Vec::new(),
            rows: Vec::new(),
            counts: Vec::new(),
        };
        for (place, column) in (0..).zip(self.columns) {
            for (row, count) in (0..).zip(column).filter(|(_, count)| *count > 0) {
                result.columns.push(place);
                result.rows.push(row);
                result.counts.push(count);
            }
        }
        (!result.counts.is_empty()).then_some(result)
    }
}

/// Latency over time, of the requests of non-hostile populations that reached an upstream. The three lists are of the same
/// length; together they name every cell in which anything was counted, by column and then by row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HeatmapResult {
    /// The width of a column, seconds of scenario time.
    pub column_s: u32,
    /// The cell's column: column n holds what was meant to be sent from n × `column_s` seconds on.
    pub columns: Vec<u32>,
    /// The cell's row: row n holds latencies from 2^(n/2) microseconds up to those of the next; row 0 shorter ones too.
    pub rows: Vec<u8>,
    /// How many requests.
    pub counts: Vec<u32>,
}

impl HeatmapResult {
    /// Column, row and count of every cell.
    pub fn cells(&self) -> impl Iterator<Item = (u32, u8, u32)> {
        let places = self.columns.iter().zip(&self.rows).zip(&self.counts);
        places.map(|((column, row), count)| (*column, *row, *count))
    }

    /// Where a row begins, microseconds.
    pub fn row_from_us(row: u8) -> f64 {
        libm::exp2(f64::from(row) / 2.0)
    }
}

/// The number of seconds, round on a clock, of which at most `most` make up the duration.
pub(crate) fn column_s(duration: Duration, most: u64) -> u32 {
    const ROUND: [u32; 11] = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900];
    let least = duration.as_secs_f64() / most as f64;
    let round = ROUND.into_iter().find(|seconds| f64::from(*seconds) >= least);
    // Longer than a day and a bit: whole hours.
    round.unwrap_or_else(|| ((least / 3600.0).ceil() as u32).saturating_mul(3600).max(3600))
}

/// Twice the binary logarithm of the microseconds, rounded down, by whole numbers: the same on every machine.
fn row(latency: Duration) -> usize {
    let us = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX).max(1);
    let octave = us.ilog2();
    let is_upper_half = u128::from(us) * u128::from(us) >= 1 << (2 * octave + 1);
    (2 * octave as usize + usize::from(is_upper_half)).min(ROWS - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_holds_what_its_bounds_say() {
        for us in (0..40).flat_map(|octave: u32| {
            let us = 1_u64 << octave;
            [us.saturating_sub(1), us, us + us / 3, us + us / 2]
        }) {
            let row = row(Duration::from_micros(us)) as u8;
            let us = us.max(1) as f64;
            assert!(us >= HeatmapResult::row_from_us(row), "{us} in {row}");
            assert!(us < HeatmapResult::row_from_us(row + 1) || row == 63, "{us} in {row}");
        }
    }

    #[test]
    fn only_cells_with_somebody_in_them_are_told() {
        let mut heatmap = Heatmap::new(Duration::from_secs(480));
        let ms = Duration::from_millis;
        for (intended, latency) in
            [(ms(0), ms(1)), (ms(4_999), ms(1)), (ms(5_000), ms(20)), (ms(480_000), ms(1))]
        {
            heatmap.add(intended, latency);
        }
        let result = heatmap.into_result().unwrap();
        assert_eq!(result.column_s, 5);
        assert_eq!(result.cells().collect::<Vec<_>>(), [(0, 19, 2), (1, 28, 1)]);
        assert_eq!(Heatmap::new(Duration::from_secs(9)).into_result(), None);
    }

    #[test]
    fn columns_are_round_and_few() {
        let of = |seconds| column_s(Duration::from_secs(seconds), 120);
        assert_eq!([0, 1, 120, 121, 480, 3600, 75_000, 864_000].map(of), [1, 1, 1, 2, 5, 30, 900, 7200]);
    }
}
