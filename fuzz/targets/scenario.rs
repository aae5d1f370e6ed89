//! From the bytes of a scenario file to a checked scenario, or to the messages about it.
//!
//! Nothing is run: how long a scenario takes is up to its author.

use tuesday::file;

pub(crate) fn check(bytes: &[u8]) {
    // What is no text is refused before it is read.
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let file::Reading { scenario, problems } = file::read(text, &companion);
    let told = file::render(&problems, "scenario.toml", text, false);
    let is_refused = problems.iter().any(|problem| problem.severity == file::Severity::Error);
    assert_eq!(
        scenario.is_none(),
        is_refused,
        "refused without a reason, or accepted in spite of one:\n{told}"
    );
    assert!(told.len() < 1 << 20, "{} bytes are more than anybody reads", told.len());
    let acts = |character: char| character != '\n' && reports::acts_when_shown(character);
    assert!(!told.contains(acts), "what acts on a terminal is not shown: {told:?}");
    for problem in &problems {
        assert!(text.get(problem.span.clone()).is_some(), "{problem:?} is not in the text");
    }
}

/// The files that a scenario may name: one in order, and none else.
fn companion(name: &str) -> Result<String, String> {
    match name {
        "latencies.txt" => Ok("5ms\n# the slowest\n1.5s\n".to_owned()),
        _ => Err("there is no such file".to_owned()),
    }
}
