//! Links, paths and tests that pages name.

use crate::pages::{book, pages, prose, read, root};

#[test]
fn every_promise_has_a_test_that_exists() {
    let page = read(&root().join("docs/trust/security.md"));
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
            let source = read(&root().join(file));
            let function = format!("fn {name}(");
            let place = source.find(&function).unwrap_or_else(|| panic!("there is no {test}"));
            let before = source[..place].trim_end().trim_end_matches("async").trim_end();
            assert!(before.ends_with("test]"), "{test} is no test");
        }
    }
}

/// The folders by which a path in a page is told from other code.
const FOLDERS: [&str; 8] =
    ["gateway/", "simulator/", "reports/", "scenarios/", "docs/", "bench/", "fuzz/", ".ci/"];

#[test]
fn every_path_that_a_page_names_exists() {
    let mut seen = 0;
    for (path, page) in pages() {
        for code in prose(&page).split('`').skip(1).step_by(2) {
            let is_path = FOLDERS.iter().any(|folder| code.starts_with(folder));
            if !is_path || code.contains(['*', ' ', '(']) {
                continue;
            }
            let (named, _) = code.split_once('#').unwrap_or((code, ""));
            assert!(root().join(named).exists(), "{}: there is no {named}", path.display());
            seen += 1;
        }
    }
    assert!(seen > 100, "paths are not read: {seen}");
}

/// How a link names a heading.
pub(crate) fn anchor(heading: &str) -> String {
    let heading = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = heading.chars().filter(|letter| letter.is_alphanumeric() || " -_".contains(*letter));
    kept.map(|letter| if letter == ' ' { '-' } else { letter }).collect()
}

#[test]
fn every_link_of_a_page_leads_somewhere() {
    let mut seen = 0;
    let book = root().join("docs");
    for (path, page) in pages() {
        let folder = path.parent().unwrap();
        for link in prose(&page).split("](").skip(1).map(|rest| rest.split(')').next().unwrap()) {
            if link.starts_with("http") {
                continue;
            }
            let (file, heading) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() { path.clone() } else { folder.join(file) };
            assert!(target.exists(), "{}: {link} leads nowhere", path.display());
            if path.starts_with(&book) {
                let inside = target.canonicalize().unwrap().starts_with(book.canonicalize().unwrap());
                assert!(inside, "{}: {link} leads out of the book: name the path as code", path.display());
            }
            if !heading.is_empty() {
                let text = prose(&read(&target));
                let found = text.lines().any(|line| line.starts_with('#') && anchor(line) == heading);
                assert!(found, "{}: {link} leads to no heading", path.display());
            }
            seen += 1;
        }
    }
    assert!(seen > 30, "links are not read: {seen}");
}

#[test]
fn every_page_of_the_book_stands_in_its_summary() {
    let docs = root().join("docs");
    let summary = read(&docs.join("SUMMARY.md"));
    for path in book() {
        let name = path.strip_prefix(&docs).unwrap().to_str().unwrap();
        let listed = name == "SUMMARY.md" || summary.contains(&format!("]({name})"));
        assert!(listed, "docs/SUMMARY.md does not list {name}");
    }
}
