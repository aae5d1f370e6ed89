//! Why a circuit breaker changed, in words.

use crate::record::breaker::FailureCounts;
use crate::result::run::BreakerChangeResult;
use crate::words::{format, text};

/// What a breaker is before its first change.
const AT_FIRST: &str = "closed";

/// Why each of a breaker's changes came about, in their order.
pub(crate) fn causes(changes: &[BreakerChangeResult]) -> impl Iterator<Item = String> {
    let before = std::iter::once(AT_FIRST).chain(changes.iter().map(|change| change.to.as_str()));
    before.zip(changes).map(|(from, change)| because(from, change))
}

fn because(from: &str, change: &BreakerChangeResult) -> String {
    let BreakerChangeResult { settled, failures, .. } = change;
    match (from, change.to.as_str()) {
        ("open", "half-open") => "its wait was over and a request came".to_owned(),
        ("half-open", _) => {
            let probes = if *settled == 1 {
                "1 probe".to_owned()
            } else {
                format!("{} probes", format::count(*settled))
            };
            match failures {
                0 => format!("{probes}, none failed"),
                _ => format!("{probes}, {} failed{}", format::count(*failures), kinds(change)),
            }
        }
        _ => format!("{} of {} failed{}", format::count(*failures), format::count(*settled), kinds(change)),
    }
}

/// `: 10 timeouts and 2 error answers`, where it was told.
fn kinds(change: &BreakerChangeResult) -> String {
    let Some(failed) = change.failed else { return String::new() };
    let FailureCounts { timed_out, server_errors, slow, connection_failed } = failed;
    let kinds = [
        (timed_out, "timeout", "timeouts"),
        (server_errors, "error answer", "error answers"),
        (slow, "slow answer", "slow answers"),
        (connection_failed, "failed connection", "failed connections"),
    ];
    let occurred = kinds.into_iter().filter(|(count, ..)| *count > 0);
    let told = occurred.map(|(count, one, many)| {
        format!("{} {}", format::count(count), if count == 1 { one } else { many })
    });
    let told: Vec<String> = told.collect();
    if told.is_empty() { String::new() } else { format!(": {}", text::list(&told)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_change_says_why() {
        let change = |to: &str, settled: u64, failures: u64, [timed_out, server_errors]: [u64; 2]| {
            BreakerChangeResult {
                at_us: 0,
                to: to.to_owned(),
                settled,
                failures,
                failed: Some(FailureCounts { timed_out, server_errors, ..FailureCounts::default() }),
            }
        };
        let changes = [
            change("open", 1_023, 512, [510, 2]),
            change("half-open", 0, 0, [0; 2]),
            change("open", 1, 1, [1, 0]),
            change("half-open", 0, 0, [0; 2]),
            change("closed", 5, 2, [0, 2]),
            BreakerChangeResult { failed: None, ..change("open", 4, 3, [0; 2]) },
            change("half-open", 0, 0, [0; 2]),
            change("closed", 3, 0, [0; 2]),
        ];
        assert_eq!(
            causes(&changes).collect::<Vec<_>>(),
            [
                "512 of 1,023 failed: 510 timeouts and 2 error answers",
                "its wait was over and a request came",
                "1 probe, 1 failed: 1 timeout",
                "its wait was over and a request came",
                "5 probes, 2 failed: 2 error answers",
                "3 of 4 failed",
                "its wait was over and a request came",
                "3 probes, none failed",
            ]
        );
    }
}
