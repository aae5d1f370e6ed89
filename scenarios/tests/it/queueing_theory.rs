//! The engine against queueing theory and the arithmetic of rate limits: every line of `tuesday selftest`.

use tuesday::selftest;

#[test]
fn every_line_of_the_selftest_holds() {
    let lines = selftest::run(&selftest::checks(), 902, || {});
    let failed: Vec<_> = lines.iter().filter(|line| !line.held).collect();
    assert!(failed.is_empty(), "{failed:#?}");
    assert!(lines.len() >= 20, "only {} lines", lines.len());
}
