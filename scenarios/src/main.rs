//! Tuesday.
fn main() {}
