//! The two worlds of `bench/engine` in NeXosim: `nexosim-worlds one|parts mm10|window-boundary REQUESTS`.
//!
//! It measures only counts and the mean sojourn. Prints one line of JSON, with the seconds of the simulation alone.

use std::error::Error;
use std::time::{Duration, Instant};

use nexosim::ports::{EventSinkReader, SinkState, event_slot};
use nexosim::simulation::SimInit;
use nexosim::time::MonotonicTime;

use crate::world::World;

mod one;
mod parts;
mod world;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [way, name, requests] = arguments.as_slice() else {
        return Err("usage: nexosim-worlds one|parts mm10|window-boundary REQUESTS".into());
    };
    let (world, requests) = (World::named(name).ok_or("there is no such world")?, requests.parse()?);
    let (sink, mut counts) = event_slot(SinkState::Enabled);
    // On one thread, as the others.
    let bench = SimInit::with_num_threads(1);
    let (bench, start) = match way.as_str() {
        "one" => one::assemble(bench, world, requests, |counts| counts.connect_sink(sink)),
        _ => parts::assemble(bench, world, requests, |counts| counts.connect_sink(sink)),
    };
    let mut simulation = bench.init(MonotonicTime::EPOCH)?;

    let began = Instant::now();
    simulation.process_event(&start, ())?;
    simulation.run()?;
    let seconds = began.elapsed().as_secs_f64();
    let counts = counts.try_read().ok_or("the last one was not answered")?;
    println!(
        r#"{{"requests":{},"served":{},"limited":{},"shed":{},"mean_ms":{},"seconds":{seconds}}}"#,
        counts.arrived,
        counts.served,
        counts.limited,
        counts.shed,
        counts.sojourn_s / counts.served as f64 * 1e3,
    );
    Ok(())
}

/// NeXosim refuses an event at the present instant; a nanosecond is none that counts.
fn pause(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds).max(Duration::from_nanos(1))
}
