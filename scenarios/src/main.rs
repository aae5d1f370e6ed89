//! Chaos and load-testing harness for API gateways.

use mimalloc::MiMalloc;
use tuesday::cli::{self, ExitCode};

/// A request's memory is often given back by another thread than took it, such as the one that writes the log.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    cli::main()
}
