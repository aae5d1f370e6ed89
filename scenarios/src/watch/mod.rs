//! Watching a gateway at work: a page that shows both dashboards while it runs, and the same dashboards for Grafana.
//!
//! What they show is described once, in [`DASHBOARDS`]. The page is one document without a network behind it; what happens
//! comes to it as server-sent events.

mod dashboard;
mod evaluate;
mod grafana;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;
use std::{fmt, io};

use gateway::Timestamp;
use gateway::server::Monitor;
use gateway::telemetry::{Admin, Metrics, Page, Sample, Site};
use serde_json::{Value as Json, json};

pub use self::dashboard::{
    BREAKERS, DASHBOARDS, Dashboard, Kind, Line, Panel, RATE_LIMITS, Series, Unit, Value,
};
use self::evaluate::Looks;
pub use self::grafana::{grafana, grafana_dashboards, promql};

/// How often the gateway is looked at, in real time.
const EVERY: Duration = Duration::from_millis(500);

/// Rates are taken over so many looks: over fewer they jump, over more they lag.
const LOOKS: usize = 4;

/// Points kept for who comes late: ten minutes.
const KEPT: usize = 1_200;

/// A watch over one gateway after another, with its page. Dropped, it ends.
#[derive(Debug)]
pub struct Watch {
    shared: Arc<Shared>,
    admin: Option<Admin>,
    sampler: Option<JoinHandle<()>>,
}

struct Shared {
    about: Mutex<Watched>,
    stop: Condvar,
}

#[derive(Default)]
struct Watched {
    stopped: bool,
    title: String,
    gateway: Option<(Arc<Metrics>, Monitor)>,
    /// The one before the gateway ended, for whoever reads its metrics late.
    metrics: Option<Arc<Metrics>>,
    looks: VecDeque<(Timestamp, Vec<Sample>)>,
    /// What happened, each in one line of JSON.
    told: VecDeque<Arc<str>>,
    /// Number of the first of them.
    first: u64,
}

impl Watch {
    /// Serves the page; port 0 takes any free one, and `hosts` are further names that it may be asked by, as
    /// [`Admin::start`] has them.
    ///
    /// # Errors
    ///
    /// If the address cannot be listened on, or there is no thread to be had.
    pub fn start(listen: SocketAddr, hosts: &[String]) -> io::Result<Self> {
        let shared = Arc::new(Shared { about: Mutex::default(), stop: Condvar::new() });
        let admin = Admin::start(listen, hosts, Arc::new(Pages(Arc::clone(&shared))))?;
        let sampled = Arc::clone(&shared);
        let sampler =
            thread::Builder::new().name("watch".to_owned()).spawn(move || sampled.keep_looking())?;
        Ok(Self { shared, admin: Some(admin), sampler: Some(sampler) })
    }

    /// Where the page is.
    pub fn address(&self) -> Option<SocketAddr> {
        self.admin.as_ref().map(Admin::address)
    }

    /// Shows a gateway from now on.
    pub fn show(&self, title: &str, metrics: Arc<Metrics>, monitor: Monitor) {
        let mut about = self.shared.about();
        title.clone_into(&mut about.title);
        about.metrics = Some(Arc::clone(&metrics));
        about.gateway = Some((metrics, monitor));
        about.looks.clear();
        about.first += about.told.len() as u64;
        about.told.clear();
        let begun = json!({ "run": title });
        about.tell(&begun);
    }

    /// What was shown last has ended; it stays on the page.
    pub fn end(&self) {
        let mut about = self.shared.about();
        if about.gateway.take().is_some() {
            about.tell(&json!({ "end": true }));
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.shared.about().stopped = true;
        self.shared.stop.notify_all();
        self.admin = None;
        if let Some(sampler) = self.sampler.take() {
            let _ = sampler.join();
        }
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Shared")
    }
}

impl Shared {
    fn about(&self) -> MutexGuard<'_, Watched> {
        self.about.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keep_looking(&self) {
        let mut about = self.about();
        while !about.stopped {
            about.look();
            about = self.stop.wait_timeout(about, EVERY).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Watched {
    fn tell(&mut self, what: &Json) {
        if self.told.len() == KEPT {
            self.told.pop_front();
            self.first += 1;
        }
        self.told.push_back(what.to_string().into());
    }

    /// Looks at the gateway, and tells what every panel shows of it.
    fn look(&mut self) {
        let Some((metrics, monitor)) = &self.gateway else { return };
        let Some(at) = monitor.state().map(|state| state.at) else { return };
        let since = self.looks.back().map_or(Duration::ZERO, |(before, _)| at - *before);
        let now = metrics.samples((since.as_secs() + 2).min(16));
        // Before the scenario starts its clock stands still.
        if since > Duration::ZERO
            && let Some((before_at, before)) = self.looks.front()
        {
            let looks = Looks { before, now: &now, seconds: (at - *before_at).as_secs_f64() };
            let panels = DASHBOARDS.iter().flat_map(|dashboard| dashboard.panels);
            let values: Vec<Vec<_>> =
                panels.map(|panel| panel.lines.iter().flat_map(|line| looks.line(line)).collect()).collect();
            let point = json!({ "t": at.as_nanos() / 1_000_000, "v": values });
            self.tell(&point);
        }
        if self.looks.len() == LOOKS {
            self.looks.pop_front();
        }
        if since > Duration::ZERO || self.looks.is_empty() {
            self.looks.push_back((at, now));
        } else if let Some(last) = self.looks.back_mut() {
            *last = (at, now);
        }
    }

    /// What was told from a number on, in one line, and the number after it.
    fn since(&self, number: u64) -> (Option<String>, u64) {
        let after = self.first + self.told.len() as u64;
        if number >= after {
            return (None, number);
        }
        let skipped = number.saturating_sub(self.first) as usize;
        let mut told: Vec<&str> = self.told.iter().skip(skipped).map(|line| &**line).collect();
        // Who comes late, or missed the beginning, is told what it is all about.
        let run = json!({ "run": self.title }).to_string();
        if number < self.first && told.first() != Some(&&*run) {
            told.insert(0, &run);
        }
        (Some(format!("[{}]", told.join(","))), after)
    }
}

/// The page, its events, and the metrics of what is shown.
struct Pages(Arc<Shared>);

impl Site for Pages {
    fn get(&self, path: &str) -> Option<Page> {
        match path {
            "/" => Some(Page::Document { kind: "text/html; charset=utf-8", body: page().into() }),
            "/events" => {
                let shared = Arc::clone(&self.0);
                // From before the beginning.
                let mut number = 0;
                let next = move || {
                    let (told, after) = shared.about().since(number);
                    number = after;
                    told
                };
                Some(Page::Events { every: EVERY / 2, next: Box::new(next) })
            }
            _ => {
                let metrics = self.0.about().metrics.clone()?;
                metrics.get(path)
            }
        }
    }
}

/// The page, with the description in it.
fn page() -> String {
    let panel = |panel: &Panel| {
        let unit = match panel.unit {
            Unit::Share => "share",
            Unit::PerSecond => "per-second",
            Unit::Seconds => "seconds",
            Unit::Count => "count",
        };
        json!({
            "title": panel.title,
            "about": panel.about,
            "states": panel.kind == Kind::States,
            "unit": unit,
        })
    };
    let described = DASHBOARDS.iter().map(|dashboard| {
        json!({
            "id": dashboard.id,
            "title": dashboard.title,
            "about": dashboard.about,
            "panels": dashboard.panels.iter().map(panel).collect::<Vec<_>>(),
        })
    });
    let described = Json::Array(described.collect()).to_string();
    // In a script, `</` would end it.
    include_str!("page.html").replace("__DASHBOARDS__", &described.replace("</", "<\\/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(watched: &Watched, number: u64) -> (Vec<Json>, u64) {
        let (told, after) = watched.since(number);
        (told.map_or_else(Vec::new, |text| serde_json::from_str(&text).unwrap()), after)
    }

    #[test]
    fn who_comes_late_is_told_what_is_kept_and_of_what() {
        let mut watched = Watched { title: "base".to_owned(), first: 1, ..Watched::default() };
        watched.tell(&json!({ "run": "base" }));
        assert_eq!(told(&watched, 0), (vec![json!({ "run": "base" })], 2));
        for point in 0..KEPT {
            watched.tell(&json!({ "t": point }));
        }
        let (all, after) = told(&watched, 0);
        assert_eq!((all.len(), after), (KEPT + 1, KEPT as u64 + 2));
        assert_eq!((&all[0], &all[1]), (&json!({ "run": "base" }), &json!({ "t": 0 })));
        assert_eq!(told(&watched, after - 1), (vec![json!({ "t": KEPT - 1 })], after));
        assert_eq!(told(&watched, after), (vec![], after));
    }

    #[test]
    fn the_page_is_whole() {
        let page = page();
        assert!(!page.contains("__DASHBOARDS__") && page.contains("Fullest bucket"));
        // Nothing is fetched from anywhere but here.
        assert!(!page.contains("http://") && !page.contains("https://"), "an address in the page");
    }
}
