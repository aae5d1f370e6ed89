//! Chaos and load-testing harness for API gateways.

use tuesday::cli::{self, ExitCode};

fn main() -> ExitCode {
    cli::main()
}
