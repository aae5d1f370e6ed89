//! What a live run takes of the machine: descriptors and cores.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// What was seen of the machine during a run.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// By second: the share of all cores that anybody used.
    pub(super) busy_cores: Vec<f64>,
    /// The share of all cores that this process used.
    pub(super) own_cores: Option<f64>,
    /// The most descriptors open at once.
    pub(super) peak_descriptors: Option<u64>,
}

/// How many of the readings below make a second of the record.
const READINGS: u32 = 4;

/// Watches until told otherwise; where the system does not tell, nothing is seen.
pub(super) fn watch(over: &AtomicBool) -> Seen {
    let mut seen = Seen::default();
    let (first_machine, first_own) = (machine(), own());
    let mut last = first_machine;
    let mut number = 0;
    while !over.load(Ordering::Relaxed) {
        std::thread::sleep(Duration::from_secs(1) / READINGS);
        seen.peak_descriptors = seen.peak_descriptors.max(descriptors());
        number += 1;
        if number % READINGS == 0 {
            let now = machine();
            if let (Some(last), Some(now)) = (last, now) {
                seen.busy_cores.extend(now.busy_since(last));
            }
            last = now;
        }
    }
    if let (Some(first), Some(last)) = (first_machine, machine()) {
        let total = last.total.saturating_sub(first.total);
        let own = own().zip(first_own).map(|(last, first)| last.saturating_sub(first));
        seen.own_cores = own.filter(|_| total > 0).map(|own| own as f64 / total as f64);
    }
    seen
}

/// Descriptors that this process may have open, after the limit was raised as far as it may be.
pub(crate) fn descriptor_limit() -> u64 {
    rlimit::increase_nofile_limit(u64::MAX).unwrap_or(1024)
}

fn descriptors() -> Option<u64> {
    fs::read_dir("/proc/self/fd").ok().map(|entries| entries.count() as u64)
}

/// Ticks of all cores since the machine was started.
#[derive(Clone, Copy, Debug)]
struct Ticks {
    busy: u64,
    total: u64,
}

impl Ticks {
    fn busy_since(self, earlier: Self) -> Option<f64> {
        let total = self.total.checked_sub(earlier.total).filter(|total| *total > 0)?;
        Some(self.busy.saturating_sub(earlier.busy) as f64 / total as f64)
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

/// Ticks that this process used: fields 14 and 15 of `/proc/self/stat`, counted behind the name in brackets.
fn own() -> Option<u64> {
    let text = fs::read_to_string("/proc/self/stat").ok()?;
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
    Some(fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?)
}
