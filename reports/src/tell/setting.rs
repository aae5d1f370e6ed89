//! What an experiment was run with: its seeds and its engine.

use crate::result::experiment::{Engine, ExperimentResult};
use crate::result::validity::speed;
use crate::words::text;

/// How the seeds of a scenario read: `seed 902`, `seeds 902 and 903`, `12 seeds, 902 to 913`.
pub(crate) fn seeds(seeds: &[u64]) -> String {
    match seeds {
        [] => "no seed".to_owned(),
        [only] => format!("seed {only}"),
        [first, .., last]
            if seeds.len() > 4 && seeds.windows(2).all(|pair| pair[0].checked_add(1) == Some(pair[1])) =>
        {
            format!("{} seeds, {first} to {last}", seeds.len())
        }
        [first, ..] if seeds.len() > 8 => format!("{} seeds, the first {first}", seeds.len()),
        _ => format!("seeds {}", text::list(&seeds.iter().map(u64::to_string).collect::<Vec<_>>())),
    }
}

/// How the engine is called, and how fast its clock ran.
pub(crate) fn engine(result: &ExperimentResult) -> String {
    match (result.engine, speed(result)) {
        (Engine::Virtual, _) => "virtual engine".to_owned(),
        (Engine::Live, None | Some(1.0)) => "live engine".to_owned(),
        (Engine::Live, Some(speed)) => format!("live engine at {speed} times real time"),
    }
}

/// The note that belongs under numbers of several seeds.
pub(crate) fn seeds_note(result: &ExperimentResult) -> Option<String> {
    let runs = result.variants.iter().map(|variant| variant.runs.len()).max().unwrap_or(0);
    (runs > 1).then(|| format!("Numbers are medians over {runs} seeds."))
}
