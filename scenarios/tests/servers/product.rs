//! Addresses for other products in tests.

use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU16, Ordering::Relaxed};

/// An address that was free a moment ago, and that nobody is given who does not ask for it: the system's own choices, for
/// listeners and for who connects, begin at 32768 (`ip_local_port_range`).
pub(crate) fn free() -> SocketAddr {
    static ASKED: AtomicU16 = AtomicU16::new(0);
    // Each process begins elsewhere.
    let first = 20_000 + (std::process::id() % 600) as u16 * 20;
    let mut ports = std::iter::repeat_with(|| first + ASKED.fetch_add(1, Relaxed));
    ports.find_map(|port| TcpListener::bind(("127.0.0.1", port)).ok()?.local_addr().ok()).unwrap()
}
