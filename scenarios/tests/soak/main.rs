//! The gateway for a while, under everything at once: load, upstreams that are killed and come back, files and logs that are read
//! and opened again, clients that dally and crowds that say nothing. No request is lost, nothing is left behind.
//!
//! Three seconds by default; `TUESDAY_SOAK_SECONDS` says how many (`just soak`: ten minutes). Load comes from clients of ours, which
//! count to the last request, and from wrk and h2load where they are installed.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

mod client;
mod program;
mod stop;
#[path = "../servers/tool.rs"]
mod tool;
mod tools;
mod trouble;

use std::fmt;
use std::fs;
use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::thread;
use std::time::Duration;

use nix::sys::signal::Signal;
use tempfile::TempDir;

use crate::client::{Client, Tally};
use crate::program::{Program, Standing};
use crate::stop::Stop;
use crate::tools::{Report, Tool};
use crate::trouble::{CROWD, LongAnswers};

/// Descriptors of the gateway: few enough that silent connections use up the places of clients.
const DESCRIPTORS: u32 = 512;

/// By how much the memory at rest may have grown from the warm-up to the end, in KiB. It varies by half of that with what the
/// allocator keeps for later; some bytes lost for each request of ten minutes do not fit.
const GROWTH_KIB: u64 = 64 * 1024;

/// The file of an upstream alone.
fn upstream(name: &str, address: SocketAddr) -> String {
    format!(
        r#"
name = "Upstream"
duration = "168h"
slo.latency = "1h"
upstreams.{name} = {{ latency = "1ms", listen = "{address}" }}
routes."/".upstream = "{name}"
clients.nobody = {{ send = "/", rate = "1/h" }}
"#
    )
}

/// A gateway whose breakers open at one failure of a healthy upstream, and which waits a second for a client that dallies. The
/// policies that a reload changes are so many times as generous as they need be.
fn scenario(times: u32, [steady, restarted, dallied]: [SocketAddr; 3]) -> String {
    let (workers, limit) = (256 * times, 10_000_000 * times);
    format!(
        r#"
name = "Soak"
duration = "168h"
slo.latency = "1h"
[upstreams]
steady = {{ latency = "1ms", listen = "{steady}" }}
restarted = {{ latency = "3ms", listen = "{restarted}" }}
dallied = {{ latency = "1ms", listen = "{dallied}" }}
[routes]
"/steady".upstream = "steady"
"/wrk".upstream = "steady"
"/h2load".upstream = "steady"
"/restarted".upstream = "restarted"
"/dallied".upstream = "dallied"
[clients]
ours = {{ send = "/steady", rate = "1/s" }}
[gateway]
workers = {workers}
queue = {workers}
timeout = "{times}h"
upload_timeout = "1s"
download_timeout = "1s"
breaker = {{ window = "1h", min_requests = 1, error_threshold = "0.0001%" }}
upstreams.restarted.breaker = {{ window = "1s", min_requests = 5, probe_interval = "100ms", successes_to_close = 1 }}
rate_limit.per_ip = {{ algorithm = "token-bucket", limit = {limit}, window = "1s" }}
rate_limit.per_key = {{ algorithm = "sliding-window-counter", limit = {limit}, window = "1s" }}
"#
    )
}

/// An address for an upstream that comes back to it. Nobody is given its port meanwhile: who connects does so from 127.0.0.1.
fn address(number: u8) -> SocketAddr {
    let [high, low] = (std::process::id() as u16).to_be_bytes();
    let own = IpAddr::V4(Ipv4Addr::new(127, 100 + number, high, low.clamp(1, 254)));
    TcpListener::bind((own, 0)).unwrap().local_addr().unwrap()
}

/// How long the load lasts.
fn duration() -> Duration {
    let seconds = std::env::var("TUESDAY_SOAK_SECONDS").ok().filter(|text| !text.is_empty());
    let seconds = seconds.map_or(3, |text| text.parse().expect("TUESDAY_SOAK_SECONDS takes whole seconds"));
    Duration::from_secs(seconds)
}

/// What a round of load and trouble came to.
struct Round {
    /// Of the requests for the upstream that stays, and of those for the one that is killed.
    steady: Tally,
    restarted: Tally,
    tools: Vec<Report>,
    restarts: u64,
    reloads: u64,
    rotations: u64,
    silent: u64,
    slow: u64,
    /// The most that was seen under load.
    peak: Standing,
}

/// The files of the test, and who listens where.
struct Soak {
    folder: TempDir,
    gateway: SocketAddr,
    admin: SocketAddr,
}

impl Soak {
    fn upstream(&self, name: &str) -> Program {
        Program::start(self.folder.path(), None, &["upstreams", &format!("{name}.toml")]).unwrap()
    }

    /// Load and trouble for so long, between two times without any upstream.
    fn round(&self, gateway: &Program, texts: &[String], lasts: Duration) -> Round {
        let (stop, listens) = (&Stop::default(), self.gateway);
        let [steady, restarted] = ["steady", "restarted"].map(|name| self.upstream(name));
        let (round, restarted) = thread::scope(|scope| {
            let clients = |path: &'static str| {
                [false, false, false, true]
                    .map(|rests| scope.spawn(move || Client::new(listens, path, rests).asks_until(stop)))
            };
            let on_steady = clients("/steady");
            let on_restarted = clients("/restarted");
            let tools = [Tool::wrk(listens, "/wrk", lasts), Tool::h2load(listens, "/h2load", lasts)];
            // A connection has a place among the crowd once a request came on it.
            let loads = ["/steady", "/wrk", "/h2load"].into_iter().zip([
                true,
                tools[0].is_some(),
                tools[1].is_some(),
            ]);
            for (path, _) in loads.filter(|(_, there)| *there) {
                program::waits_for_requests(self.admin, path, 100);
            }
            let restarts = scope.spawn(|| trouble::restarts(stop, restarted, || self.upstream("restarted")));
            let reloads =
                scope.spawn(|| trouble::reloads(stop, gateway, &self.folder.path().join(FILE), texts));
            let rotations = scope.spawn(|| trouble::rotations(stop, gateway));
            let silent = scope.spawn(|| trouble::floods(stop, listens));
            let slow = scope.spawn(|| trouble::slow_clients(stop, listens));
            let peak = scope.spawn(|| gateway.is_watched(stop, self.admin, &HEALTHY));
            stop.after(lasts);
            let (restarts, restarted) = restarts.join().unwrap();
            let round = Round {
                steady: on_steady.into_iter().map(|client| client.join().unwrap()).sum(),
                restarted: on_restarted.into_iter().map(|client| client.join().unwrap()).sum(),
                tools: tools.into_iter().flatten().map(Tool::ends).collect(),
                restarts,
                reloads: reloads.join().unwrap(),
                rotations: rotations.join().unwrap(),
                silent: silent.join().unwrap(),
                slow: slow.join().unwrap(),
                peak: peak.join().unwrap(),
            };
            (round, restarted)
        });
        // The upstream that was killed is back, and so are its clients.
        let mut client = Client::new(listens, "/restarted", true);
        program::waits_until(|| match client.asks(0) {
            Some(200) => Ok(()),
            other => Err(format!("an upstream that is back is answered for with {other:?}")),
        });
        drop(client);
        program::breakers_never_opened(self.admin, &HEALTHY);
        for upstream in [steady, restarted] {
            let (code, told) = upstream.ends(Signal::SIGTERM);
            assert_eq!(code, Some(0), "{told:?}");
        }
        round
    }
}

/// The gateway's file, and the upstreams that nothing befalls.
const FILE: &str = "soak.toml";
const HEALTHY: [&str; 2] = ["steady", "dallied"];

impl Round {
    /// What went wrong with requests: none of the healthy upstream may be answered but by it, and none of any lost.
    fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        for (of, tally, expected) in
            [("steady", &self.steady, &[200][..]), ("restarted", &self.restarted, &[200, 502, 503])]
        {
            let others = tally.others(expected);
            if (tally.lost, tally.broken, others) != (0, 0, 0) {
                faults.push(format!("{of}: {tally}; {:?}", tally.told));
            }
        }
        faults.extend(self.tools.iter().filter(|tool| !tool.faults().is_empty()).map(ToString::to_string));
        faults
    }
}

impl fmt::Display for Round {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(to, "  healthy upstream: {}", self.steady)?;
        writeln!(to, "  killed upstream: {}", self.restarted)?;
        for tool in &self.tools {
            writeln!(to, "  {tool}")?;
        }
        let Self { restarts, reloads, rotations, silent, slow, peak, .. } = self;
        writeln!(to, "  {restarts} restarts, {reloads} reloads, {rotations} rotations of the log")?;
        writeln!(to, "  {silent} silent connections, {slow} slow clients")?;
        write!(to, "  at most {peak}")
    }
}

#[test]
fn under_load_and_trouble_no_request_is_lost_and_nothing_is_left_behind() {
    let lasts = duration();
    let folder = TempDir::new().unwrap();
    let upstreams = [1, 2, 3].map(address);
    let texts = [1, 2].map(|times| scenario(times, upstreams));
    fs::write(folder.path().join(FILE), &texts[0]).unwrap();
    for (name, address) in ["steady", "restarted"].iter().zip(upstreams) {
        fs::write(folder.path().join(format!("{name}.toml")), upstream(name, address)).unwrap();
    }
    let long = LongAnswers::at(upstreams[2]);
    let args = ["gateway", FILE, "--listen", "0", "--threads", "2", "--admin", "0", "--log", "/dev/null"];
    let gateway = Program::start(folder.path(), Some(DESCRIPTORS), &args).unwrap();
    let soak = Soak {
        folder,
        gateway: gateway.address("listening on http://"),
        admin: gateway.address("metrics at http://"),
    };
    let places = gateway.number("at most ");
    assert!(places < CROWD, "{places} places: a crowd of {CROWD} would not use them up");
    let begin = gateway.standing();
    let round = |lasts| {
        let round = soak.round(&gateway, &texts, lasts);
        long.hangs_up();
        // Straight to standard error: what a test that passes prints by a macro is shown to nobody.
        let _ = writeln!(std::io::stderr(), "{lasts:?} of load and trouble:\n{round}");
        let rest = gateway.comes_to_rest(&begin);
        let _ = writeln!(std::io::stderr(), "  at rest: {rest}");
        (round, rest)
    };
    let (warm_up, warm) = round((lasts / 4).max(Duration::from_secs(1)));
    let (load, end) = round(lasts);

    let faults = [warm_up.faults(), load.faults()].concat();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(end.resident_kib <= warm.resident_kib + GROWTH_KIB, "at rest it held {warm}, and then {end}");
    let (code, told) = gateway.ends(Signal::SIGTERM);
    assert_eq!(code, Some(0), "{told:?}");
    let unexpected = told.iter().filter(|line| !EXPECTED.iter().any(|begins| line.starts_with(begins)));
    assert_eq!(unexpected.collect::<Vec<_>>(), Vec::<&String>::new());
}

/// How the lines begin that the gateway has reason to say. A panic is none.
const EXPECTED: [&str; 3] = ["reloaded ", "the log goes on", "ending: "];
