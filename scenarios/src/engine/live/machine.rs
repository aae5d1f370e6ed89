//! What a live run takes of the machine: descriptors and cores.

use std::collections::BTreeMap;
use std::num::NonZero;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use std::{fs, thread};

/// What was seen of the machine during a run.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// By second: the share of all cores that anybody used.
    pub(super) busy_cores: Vec<f64>,
    /// By second: the share of all cores that this process used.
    pub(super) own_cores: Vec<f64>,
    /// By second: the share of one core that the busiest thread of a server used.
    pub(super) busiest_server: Vec<f64>,
    /// The most descriptors open at once.
    pub(super) peak_descriptors: Option<u64>,
}

/// How many of the readings below make a second of the record.
const READINGS: u32 = 4;

/// Watches until told otherwise; where the system does not tell, nothing is seen.
pub(super) fn watch(over: &AtomicBool) -> Seen {
    let mut seen = Seen::default();
    let mut last = Reading::take();
    let mut number = 0;
    while !over.load(Ordering::Relaxed) {
        thread::sleep(Duration::from_secs(1) / READINGS);
        seen.peak_descriptors = seen.peak_descriptors.max(descriptors());
        number += 1;
        if number % READINGS == 0 {
            let now = Reading::take();
            if let (Some(last), Some(now)) = (&last, &now) {
                seen.note(last, now);
            }
            last = now;
        }
    }
    seen
}

impl Seen {
    /// Takes down the second between two readings.
    fn note(&mut self, last: &Reading, now: &Reading) {
        let total = now.machine.total.saturating_sub(last.machine.total);
        if total == 0 {
            return;
        }
        let share = |ticks: u64| ticks as f64 / total as f64;
        self.busy_cores.push(share(now.machine.busy.saturating_sub(last.machine.busy)));
        self.own_cores.push(share(now.own.saturating_sub(last.own)));
        let used = |(thread, ticks): (&u32, &u64)| {
            last.servers.get(thread).map_or(0, |before| ticks.saturating_sub(*before))
        };
        let busiest = now.servers.iter().map(used).max().unwrap_or(0);
        let cores = thread::available_parallelism().map_or(1, NonZero::get);
        self.busiest_server.push(share(busiest) * cores as f64);
    }
}

/// Descriptors that this process may have open, after the limit was raised as far as it may be.
pub(crate) fn descriptor_limit() -> u64 {
    rlimit::increase_nofile_limit(u64::MAX).unwrap_or(1024)
}

/// How many this process has open. From Linux 6.2 on the folder's size says so (`/proc/<pid>/fd` in
/// `Documentation/filesystems/proc.rst`); to list a thousand takes milliseconds, in which a client waits for the core.
fn descriptors() -> Option<u64> {
    const FOLDER: &str = "/proc/self/fd";
    match fs::metadata(FOLDER).ok()?.len() {
        0 => fs::read_dir(FOLDER).ok().map(|entries| entries.count() as u64),
        open => Some(open),
    }
}

/// Ticks of all cores since the machine was started.
#[derive(Clone, Copy, Debug)]
struct Ticks {
    busy: u64,
    total: u64,
}

/// The counters of the system at a moment.
#[derive(Debug)]
struct Reading {
    machine: Ticks,
    /// Ticks that this process used.
    own: u64,
    /// By thread of a server of ours, the ticks that it used.
    servers: BTreeMap<u32, u64>,
}

impl Reading {
    fn take() -> Option<Self> {
        Some(Self { machine: machine()?, own: used("/proc/self/stat")?, servers: servers() })
    }
}

/// `cpu user nice system idle iowait irq softirq steal …`, the first line of `/proc/stat`.
fn machine() -> Option<Ticks> {
    let text = fs::read_to_string("/proc/stat").ok()?;
    let line = text.lines().next()?;
    let ticks: Vec<u64> =
        line.split_whitespace().skip(1).take(8).map_while(|field| field.parse().ok()).collect();
    let total = ticks.iter().sum();
    let idle: u64 = ticks.iter().skip(3).take(2).sum();
    (ticks.len() == 8).then_some(Ticks { busy: total - idle, total })
}

/// What the names of the servers' threads begin with. All that a server does waits for its thread, so that one of them can
/// be the bottleneck on a machine with cores to spare.
const SERVERS: [&str; 2] = ["gateway-", "upstreams-"];

fn servers() -> BTreeMap<u32, u64> {
    let Ok(threads) = fs::read_dir("/proc/self/task") else { return BTreeMap::new() };
    let of_server = |thread: fs::DirEntry| {
        let name = fs::read_to_string(thread.path().join("comm")).ok()?;
        let serves = SERVERS.iter().any(|server| name.starts_with(server));
        let number = thread.file_name().to_str()?.parse().ok()?;
        serves.then_some((number, used(thread.path().join("stat"))?))
    };
    threads.flatten().filter_map(of_server).collect()
}

/// Ticks that a process or thread used: fields 14 and 15 of its `stat`, counted behind the name in brackets.
fn used(stat: impl AsRef<Path>) -> Option<u64> {
    let text = fs::read_to_string(stat).ok()?;
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
    Some(fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?)
}
