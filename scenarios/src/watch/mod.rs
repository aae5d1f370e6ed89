//! Watching a gateway at work: a page that shows both dashboards while it runs, and the same dashboards for Grafana.
//!
//! What they show is described once, in [`DASHBOARDS`]. The page is one document without a network behind it; what happens
//! comes to it as server-sent events.

mod dashboard;
mod evaluate;
mod grafana;
mod outline;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;
use std::{fmt, fs, io};

use gateway::Timestamp;
use gateway::server::Monitor;
use gateway::telemetry::{Admin, Metrics, Page, Sample, Site};
use serde_json::{Value as Json, json};

pub use self::dashboard::{
    BREAKERS, DASHBOARDS, Dashboard, Kind, Line, Panel, RATE_LIMITS, Series, Unit, Value,
};
use self::evaluate::Looks;
pub use self::grafana::{grafana, grafana_dashboards, promql};
use self::outline::millis;
pub use self::outline::{RequestCounts, RunOutline};

/// How often the gateway is looked at, in real time.
const EVERY: Duration = Duration::from_millis(500);

/// Rates are taken over so many looks: over fewer they jump, over more they lag.
const LOOKS: usize = 4;

/// Points kept for who comes late: ten minutes.
const KEPT: usize = 1_200;

/// How long, in real time, the end of an experiment waits for the pages to take the report with them: when the command has
/// ended, there is nobody to ask for it.
const TAKING: Duration = Duration::from_secs(3);

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
    looks: VecDeque<Look>,
    /// What the run is held against, of an experiment.
    outline: Option<RunOutline>,
    /// Runs of the experiment, and how many have begun.
    runs: u32,
    begun: u32,
    /// What came of those that ended before this one.
    done: Vec<Json>,
    /// What came of this one, once it has ended.
    ended: Option<Json>,
    /// The reports so far, how many pages follow, and how often one of them has taken a report.
    reports: Vec<PathBuf>,
    followers: usize,
    taken: usize,
    /// What happened, each in one line of JSON.
    told: VecDeque<Arc<str>>,
    /// Number of the first of them.
    first: u64,
}

/// What was seen at an instant.
struct Look {
    at: Timestamp,
    samples: Vec<Sample>,
    /// Requests offered and good, of an experiment.
    counts: Option<[u64; 2]>,
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

    /// An experiment of so many runs begins.
    pub fn begin(&self, runs: u32) {
        let mut about = self.shared.about();
        (about.runs, about.begun) = (runs, 0);
        about.done.clear();
        about.ended = None;
    }

    /// The next gateway that is shown belongs to a run of an experiment.
    pub fn expect(&self, outline: RunOutline) {
        self.shared.about().outline = Some(outline);
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
        about.begun += 1;
        let ended = about.ended.take();
        about.done.extend(ended);
        let begun = about.beginning();
        about.tell(&begun);
    }

    /// What was shown last has ended; it stays on the page.
    pub fn end(&self) {
        let mut about = self.shared.about();
        if about.gateway.take().is_some() {
            let ended = about
                .outline
                .take()
                .map(|outline| json!({ "run": about.title, "goodput": outline.goodput() }));
            let told = json!({ "end": ended.clone().unwrap_or(Json::Bool(true)) });
            about.ended = ended;
            about.tell(&told);
        }
    }

    /// The experiment is over and its report written. Pages that follow take it with them; they have three seconds for that.
    pub fn finish(&self, report: &Path) {
        let mut about = self.shared.about();
        let told = json!({ "report": format!("/report/{}", about.reports.len()), "file": report.display().to_string() });
        about.reports.push(report.to_owned());
        about.tell(&told);
        let wanted = about.taken + about.followers;
        let waits = |about: &mut Watched| about.followers > 0 && about.taken < wanted;
        let _ = self.shared.stop.wait_timeout_while(about, TAKING, waits);
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

    /// What is shown now, and where it stands in its experiment.
    fn beginning(&self) -> Json {
        let mut begun = json!({ "run": self.title });
        if self.runs > 0 {
            begun["number"] = json!(self.begun);
            begun["of"] = json!(self.runs);
            begun["done"] = json!(self.done);
        }
        if let Some(outline) = &self.outline {
            begun["outline"] = outline.told();
        }
        begun
    }

    /// Looks at the gateway, and tells what every panel shows of it.
    fn look(&mut self) {
        let Some((metrics, monitor)) = &self.gateway else { return };
        let Some(at) = monitor.state().map(|state| state.at) else { return };
        let since = self.looks.back().map_or(Duration::ZERO, |before| at - before.at);
        let now = metrics.samples((since.as_secs() + 2).min(16));
        let counts = self.outline.as_ref().map(|outline| outline.counts.so_far());
        // Before the scenario starts its clock stands still.
        if since > Duration::ZERO
            && let Some(before) = self.looks.front()
        {
            let seconds = (at - before.at).as_secs_f64();
            let looks = Looks { before: &before.samples, now: &now, seconds };
            let panels = DASHBOARDS.iter().flat_map(|dashboard| dashboard.panels);
            let values: Vec<Vec<_>> =
                panels.map(|panel| panel.lines.iter().flat_map(|line| looks.line(line)).collect()).collect();
            let mut point = json!({ "t": millis(at), "v": values });
            if let Some((counts, before)) = counts.zip(before.counts) {
                let per_s = |place: usize| counts[place].saturating_sub(before[place]) as f64 / seconds;
                point["g"] = json!([per_s(0), per_s(1)]);
            }
            self.tell(&point);
        }
        if self.looks.len() == LOOKS {
            self.looks.pop_front();
        }
        if since > Duration::ZERO || self.looks.is_empty() {
            self.looks.push_back(Look { at, samples: now, counts });
        } else if let Some(last) = self.looks.back_mut() {
            *last = Look { at, samples: now, counts };
        }
    }

    /// The file of a report, by its number.
    fn report(&self, number: &str) -> Option<PathBuf> {
        self.reports.get(number.parse::<usize>().ok()?).cloned()
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
        let run = self.beginning().to_string();
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
                let follower = Follower::of(&self.0);
                // From before the beginning.
                let mut number = 0;
                let next = move || {
                    let (told, after) = follower.0.about().since(number);
                    number = after;
                    told
                };
                Some(Page::Events { every: EVERY / 2, next: Box::new(next) })
            }
            _ if path.starts_with("/report/") => {
                let report = self.0.about().report(path.strip_prefix("/report/")?)?;
                let body = fs::read(report).ok()?;
                Some(Page::Document { kind: "text/html; charset=utf-8", body: body.into() })
            }
            "/taken" => {
                self.0.about().taken += 1;
                self.0.stop.notify_all();
                Some(Page::Document { kind: "text/plain; charset=utf-8", body: "ok\n".into() })
            }
            _ => {
                let metrics = self.0.about().metrics.clone()?;
                metrics.get(path)
            }
        }
    }
}

/// A page that follows the events, for as long as it does.
struct Follower(Arc<Shared>);

impl Follower {
    fn of(shared: &Arc<Shared>) -> Self {
        shared.about().followers += 1;
        Self(Arc::clone(shared))
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        let mut about = self.0.about();
        about.followers = about.followers.saturating_sub(1);
        drop(about);
        self.0.stop.notify_all();
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
    fn a_run_of_an_experiment_is_told_with_its_place_its_slo_and_its_faults() {
        let outline = RunOutline {
            starts: Timestamp::from_nanos(5_000_000_000),
            duration: Duration::from_secs(10),
            slo_latency: Duration::from_millis(250),
            faults: vec![[Duration::from_secs(2), Duration::from_secs(4)]],
            counts: Arc::default(),
        };
        (0..30).for_each(|_| outline.counts.on_offered());
        (0..20).for_each(|_| outline.counts.on_good());
        assert!((outline.goodput() - 2.0).abs() < 1e-9);
        let watched = Watched {
            title: "base".to_owned(),
            runs: 6,
            begun: 2,
            done: vec![json!({ "run": "none", "goodput": 3.0 })],
            outline: Some(outline),
            ..Watched::default()
        };
        assert_eq!(
            watched.beginning(),
            json!({
                "run": "base",
                "number": 2,
                "of": 6,
                "done": [{ "run": "none", "goodput": 3.0 }],
                "outline": { "from": 5_000, "to": 15_000, "slo_ms": 250.0, "faults": [[7_000, 9_000]] },
            })
        );
        // A gateway that stands alone is no part of anything.
        assert_eq!(
            Watched { title: "base".to_owned(), ..Watched::default() }.beginning(),
            json!({ "run": "base" })
        );
    }

    #[test]
    fn pages_that_follow_take_the_report_and_nobody_waits_for_those_that_left() {
        let folder = tempfile::tempdir().unwrap();
        let report = folder.path().join("report.html");
        fs::write(&report, "a report").unwrap();
        let watch = Watch::start(SocketAddr::from(([127, 0, 0, 1], 0)), &[]).unwrap();
        // With nobody there it does not wait.
        watch.finish(&report);
        let pages = Pages(Arc::clone(&watch.shared));
        let Some(Page::Events { mut next, .. }) = pages.get("/events") else { panic!("no events") };
        thread::scope(|scope| {
            scope.spawn(|| watch.finish(&report));
            let told = loop {
                let told = next().unwrap_or_default();
                if told.contains("/report/1") {
                    break told;
                }
                thread::yield_now();
            };
            assert!(told.contains("report.html"), "{told}");
            assert!(
                matches!(pages.get("/report/1"), Some(Page::Document { body, .. }) if body == "a report")
            );
            for nothing in ["/report/2", "/report/", "/report/../x", "/report/-1"] {
                assert!(pages.get(nothing).is_none(), "{nothing}");
            }
            pages.get("/taken").unwrap();
        });
        assert_eq!(watch.shared.about().taken, 1);
        drop(next);
        assert_eq!(watch.shared.about().followers, 0);
    }

    #[test]
    fn the_page_is_whole() {
        let page = page();
        assert!(!page.contains("__DASHBOARDS__") && page.contains("Fullest bucket"));
        // Nothing is fetched from anywhere but here.
        assert!(!page.contains("http://") && !page.contains("https://"), "an address in the page");
    }
}
