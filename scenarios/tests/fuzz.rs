//! The targets of `fuzz/` without a fuzzer: over the kept inputs, and a few thousand that are made of them by a seed.
//!
//! It finds what is near the kept inputs, in seconds, with the toolchain that everybody has; `just fuzz TARGET` looks further.
//! `TUESDAY_FUZZ_INPUTS` makes it more of them, `TUESDAY_FUZZ_SEED` others.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests are tests too; clippy only knows what stands in a test"
)]

#[expect(dead_code, reason = "the gateway asks the follower for more")]
#[path = "../../fuzz/targets/framing.rs"]
mod framing;
#[path = "../../fuzz/targets/paths.rs"]
mod paths;
#[path = "../../fuzz/targets/saved.rs"]
mod saved;
#[path = "../../fuzz/targets/scenario.rs"]
mod scenario;
#[path = "../../fuzz/targets/tokens.rs"]
mod tokens;

use std::fs;
use std::io::Write as _;
use std::path::Path;

use rand_xoshiro::SplitMix64;
use rand_xoshiro::rand_core::{Rng as _, SeedableRng as _};

/// A number below `end`, or 0 if that is 0. The same inputs on every machine.
fn below(dice: &mut SplitMix64, end: usize) -> usize {
    (dice.next_u64() % end.max(1) as u64) as usize
}

/// What no parser likes, wherever it stands.
const NUMBERS: [&str; 9] =
    ["0", "1", "-1", "18446744073709551615", "9007199254740993", "1e300", "1e-300", "0.5", "null"];
const WORDS: [&str; 34] = [
    "\r\n",
    "\n",
    "\r",
    "\0",
    " ",
    "\t",
    ":",
    ";",
    ",",
    ".",
    "=",
    "\"",
    "{",
    "}",
    "[",
    "]",
    "\u{9b}",
    "\u{202e}",
    "é",
    "0\r\n\r\n",
    "Content-Length: 5\r\n",
    "Transfer-Encoding: chunked\r\n",
    "GET / HTTP/1.1\r\n\r\n",
    "%2e%2e%2f",
    "/",
    "..",
    "%2e",
    "%2F",
    "\\",
    "%5c",
    "%3b",
    "//",
    "%00",
    "/account",
];

/// One of the inputs, changed in a few places.
fn mutated(inputs: &[Vec<u8>], dice: &mut SplitMix64) -> Vec<u8> {
    let mut bytes = inputs[below(dice, inputs.len())].clone();
    for _ in 0..=below(dice, 4) {
        let at = below(dice, bytes.len() + 1);
        let end = (at + below(dice, 16)).min(bytes.len());
        match below(dice, 8) {
            0 if at < bytes.len() => bytes[at] ^= 1 << below(dice, 8),
            1 if at < bytes.len() => bytes[at] = dice.next_u64() as u8,
            2 => drop(bytes.drain(at..end)),
            3 => {
                let piece = bytes[at..end].to_vec();
                let to = below(dice, bytes.len() + 1);
                bytes.splice(to..to, piece);
            }
            4 => drop(bytes.splice(at..at, WORDS[below(dice, WORDS.len())].bytes())),
            5 => {
                let other = &inputs[below(dice, inputs.len())];
                let from = below(dice, other.len() + 1);
                let until = (from + below(dice, 200)).min(other.len());
                bytes.splice(at..end, other[from..until].iter().copied());
            }
            // A number elsewhere becomes another one: what has to stay what it is to be read at all, stays.
            6 | 7 => {
                let is_digit = |byte: &u8| byte.is_ascii_digit();
                if let Some(start) = bytes[at..].iter().position(is_digit).map(|start| at + start) {
                    let end = bytes[start..].iter().position(|byte| !is_digit(byte));
                    let end = end.map_or(bytes.len(), |end| start + end);
                    bytes.splice(start..end, NUMBERS[below(dice, NUMBERS.len())].bytes());
                }
            }
            _ => bytes.truncate(at),
        }
    }
    bytes
}

/// Says which input it was, if it is dropped while the test fails.
struct Told<'a>(&'a str, &'a [u8]);

impl Drop for Told<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let path = std::env::temp_dir().join(format!("tuesday-fuzz-{}", self.0));
            let _ = fs::write(&path, self.1);
            let _ = writeln!(std::io::stderr(), "the input is in {}", path.display());
        }
    }
}

/// Checks all files of these folders, and so many inputs made of them.
#[track_caller]
fn fuzz(target: &str, folders: &[&str], check: fn(&[u8]), inputs: usize) {
    let number = |name: &str| std::env::var(name).ok()?.parse::<u64>().ok();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let files = folders.iter().flat_map(|folder| fs::read_dir(root.join(folder)).unwrap());
    let mut paths: Vec<_> = files.map(|file| file.unwrap().path()).filter(|path| path.is_file()).collect();
    paths.sort();
    let kept: Vec<Vec<u8>> = paths.iter().map(|path| fs::read(path).unwrap()).collect();
    assert!(!kept.is_empty(), "nothing is kept of {target}");
    for input in &kept {
        let _told = Told(target, input);
        check(input);
    }
    let mut dice = SplitMix64::seed_from_u64(number("TUESDAY_FUZZ_SEED").unwrap_or(902));
    for _ in 0..number("TUESDAY_FUZZ_INPUTS").map_or(inputs, |inputs| inputs as usize) {
        let input = mutated(&kept, &mut dice);
        let _told = Told(target, &input);
        check(&input);
    }
}

#[test]
fn two_parsers_see_one_message_or_none() {
    fuzz("framing", &["fuzz/seeds/framing"], framing::check, 20_000);
}

#[test]
fn a_path_leads_everybody_to_the_route_that_was_chosen() {
    fuzz("paths", &["fuzz/seeds/paths"], paths::check, 100_000);
}

#[test]
fn no_saved_result_brings_its_reader_down() {
    fuzz("saved", &["fuzz/seeds/saved"], saved::check, 1_000);
}

#[test]
fn no_scenario_file_brings_its_reader_down() {
    let folders = ["scenarios/library", "scenarios/tests/wrong_files", "fuzz/seeds/scenario"];
    fuzz("scenario", &folders, scenario::check, 2_000);
}

#[test]
fn nobody_is_let_in_whose_token_was_not_signed() {
    fuzz("tokens", &["fuzz/seeds/tokens"], tokens::check, 10_000);
}
