//! The rules on real sockets and in real time.

mod clock;

pub use clock::ScenarioClock;
