//! `docs/security.md` names a test for each promise. A promise whose test is gone is none.

use std::fs;
use std::path::Path;

#[test]
fn every_promise_has_a_test_that_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let page = fs::read_to_string(root.join("docs/security.md")).unwrap();
    let rows: Vec<&str> = page
        .lines()
        .filter(|line| line.starts_with("| ") && !line.starts_with("| promise or refusal |"))
        .collect();
    assert!(rows.len() > 30, "the tables are not read: {rows:?}");
    for row in rows {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let [_, _, tests] = cells[..] else { panic!("not three cells: {row}") };
        let tests: Vec<&str> = tests.split('`').skip(1).step_by(2).collect();
        assert!(!tests.is_empty(), "no test holds {row}");
        for test in tests {
            let (file, name) = test.split_once('#').unwrap_or_else(|| panic!("not file#name: {test}"));
            let source =
                fs::read_to_string(root.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
            let function = format!("fn {name}(");
            let place = source.find(&function).unwrap_or_else(|| panic!("there is no {test}"));
            let before = source[..place].trim_end().trim_end_matches("async").trim_end();
            assert!(before.ends_with("test]"), "{test} is no test");
        }
    }
}
