//! The gateway under test, as rules without sockets, timers or clocks.

mod timestamp;

pub use timestamp::Timestamp;
