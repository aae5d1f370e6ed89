#![no_main]

#[expect(dead_code, reason = "the housekeeping of the gateway asks the follower for more")]
#[path = "../targets/framing.rs"]
mod target;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| target::check(bytes));
