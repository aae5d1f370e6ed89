//! Other products in tests: whether they are there, and addresses for them.

use std::io::Write as _;
use std::net::{SocketAddr, TcpListener};
use std::process::Command;
use std::sync::atomic::{AtomicU16, Ordering::Relaxed};

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

/// An address that was free a moment ago, and that nobody is given who does not ask for it: the system's own choices, for
/// listeners and for who connects, begin at 32768 (`ip_local_port_range`).
pub(crate) fn free() -> SocketAddr {
    static ASKED: AtomicU16 = AtomicU16::new(0);
    // Each process begins elsewhere.
    let first = 20_000 + (std::process::id() % 600) as u16 * 20;
    let mut ports = std::iter::repeat_with(|| first + ASKED.fetch_add(1, Relaxed));
    ports.find_map(|port| TcpListener::bind(("127.0.0.1", port)).ok()?.local_addr().ok()).unwrap()
}
