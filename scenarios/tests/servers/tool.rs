//! Whether the tools and products of others are there.

use std::io::Write as _;
use std::process::Command;

/// Whether there is a tool. The environment may say that there must be.
#[track_caller]
pub(crate) fn is_there(tool: &str) -> bool {
    let there = Command::new(tool).arg("-v").output().is_ok();
    let required = !std::env::var("TUESDAY_REQUIRE_TOOLS").unwrap_or_default().is_empty();
    assert!(there || !required, "there is no {tool}, and TUESDAY_REQUIRE_TOOLS is set");
    if !there {
        // Straight to standard error: what a test that passes prints by a macro is shown to nobody.
        let _ = writeln!(std::io::stderr(), "SKIPPED: there is no {tool}");
    }
    there
}
