//! A sweep as CSV.

use crate::compare::sweep::result::SweepResult;
use crate::write::csv::report::{Table, plain};

/// The sweep in long form: a row for each point and measure, with a column for each setting that was varied. Times are
/// microseconds, shares from 0 to 1; a time that never came is how long there was to wait.
pub fn sweep_csv(result: &SweepResult) -> String {
    let keys: Vec<String> = result.axes.iter().map(|axis| plain(&axis.key)).collect();
    let columns = ["measure", "median", "least", "most", "never", "expectations_held"];
    let mut table = Table::new(&keys.iter().map(String::as_str).chain(columns).collect::<Vec<_>>());
    for point in &result.points {
        let values: Vec<String> =
            (0..result.axes.len()).map(|axis| plain(&result.value(point, axis).text)).collect();
        let held = point.holds().to_string();
        for (measure, value) in result.measures.iter().zip(&point.measured) {
            let Some(value) = value else { continue };
            let numbers = [value.median, value.least, value.most].map(|value| value.to_string());
            let never = value.never.to_string();
            let fields = [&*measure.name, &numbers[0], &numbers[1], &numbers[2], &never, &held];
            table.row(&values.iter().map(String::as_str).chain(fields).collect::<Vec<_>>());
        }
    }
    table.finish()
}
