//! A server of ours as a process, what it says, and what it holds.

use std::fmt;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use assert_cmd::cargo::cargo_bin;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::stop::Stop;

/// Looks at something that is to come about, each ten milliseconds after the last: two minutes, on a machine with time for them.
const LOOKS: usize = 12_000;

/// Until it is so. Panics with what it was told last.
#[track_caller]
pub(crate) fn waits_until(mut is_so: impl FnMut() -> Result<(), String>) {
    let mut last = String::new();
    for _ in 0..LOOKS {
        match is_so() {
            Ok(()) => return,
            Err(not_yet) => last = not_yet,
        }
        thread::sleep(Duration::from_millis(10));
    }
    panic!("{last}");
}

/// Lines of standard error that are kept: far more than anything here says.
const MOST_LINES: usize = 10_000;

/// A server under way; killed where a test fails.
pub(crate) struct Program {
    child: Child,
    /// What it said on standard output until it listened.
    said: String,
    lines: Arc<Mutex<Vec<String>>>,
    listener: Option<JoinHandle<()>>,
}

impl Program {
    /// Starts `tuesday`, which may open so many files, and waits until it listens; an error is what it said instead.
    pub(crate) fn start(folder: &Path, descriptors: Option<u32>, args: &[&str]) -> Result<Self, String> {
        let limit = descriptors.map_or_else(String::new, |most| format!("ulimit -n {most} && "));
        let program = cargo_bin("tuesday");
        let mut command = Command::new("sh");
        command.args(["-c", &format!("{limit}exec \"$0\" \"$@\"")]).arg(program).args(args);
        command.current_dir(folder).stdin(Stdio::null()).env("NO_COLOR", "1");
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (mut out, err) = (BufReader::new(child.stdout.take().unwrap()), child.stderr.take().unwrap());
        let lines = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&lines);
        let listener = thread::spawn(move || {
            for line in BufReader::new(err).lines().map_while(Result::ok) {
                let mut kept = kept.lock().unwrap();
                if kept.len() < MOST_LINES {
                    kept.push(line);
                }
            }
        });
        let mut program = Self { child, said: String::new(), lines, listener: Some(listener) };
        while !program.said.lines().any(|line| line.starts_with("listening")) {
            if out.read_line(&mut program.said).unwrap() == 0 {
                program.listener.take().unwrap().join().unwrap();
                return Err(format!("{}{}", program.said, program.told().join("\n")));
            }
        }
        Ok(program)
    }

    /// The address behind those words.
    pub(crate) fn address(&self, words: &str) -> SocketAddr {
        self.said_behind(words).parse().unwrap()
    }

    /// The number behind those words.
    pub(crate) fn number(&self, words: &str) -> usize {
        self.said_behind(words).parse().unwrap()
    }

    fn said_behind(&self, words: &str) -> &str {
        let (_, after) = self.said.split_once(words).unwrap_or_else(|| panic!("no `{words}`: {}", self.said));
        after.split(|next: char| next.is_whitespace() || next == '/').next().unwrap()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id() as i32), signal).unwrap();
    }

    /// Lines of standard error so far.
    pub(crate) fn told(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }

    /// Sends a signal, and waits for one more line that begins so.
    pub(crate) fn answers(&self, signal: Signal, begins: &str) {
        let count = || self.told().iter().filter(|line| line.starts_with(begins)).count();
        let before = count();
        self.signal(signal);
        waits_until(|| if count() > before { Ok(()) } else { Err(format!("no `{begins}` after {signal}")) });
    }

    /// Ends it by a signal, and returns its exit code, where it has one, and what it said on standard error.
    pub(crate) fn ends(mut self, by: Signal) -> (Option<i32>, Vec<String>) {
        self.signal(by);
        let code = self.child.wait().unwrap().code();
        self.listener.take().unwrap().join().unwrap();
        (code, self.told())
    }

    /// What it holds now.
    pub(crate) fn standing(&self) -> Standing {
        let process = Path::new("/proc").join(self.child.id().to_string());
        let status = fs::read_to_string(process.join("status")).unwrap();
        let number = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            line.split_whitespace().next().unwrap().parse().unwrap()
        };
        Standing {
            descriptors: self.descriptors().len() as u64,
            threads: number("Threads:"),
            resident_kib: number("VmRSS:"),
        }
    }

    /// What its descriptors lead to.
    fn descriptors(&self) -> Vec<PathBuf> {
        let folder = Path::new("/proc").join(self.child.id().to_string()).join("fd");
        fs::read_dir(folder).unwrap().flatten().filter_map(|entry| fs::read_link(entry.path()).ok()).collect()
    }

    /// Waits until it holds no more descriptors and threads than that.
    pub(crate) fn comes_to_rest(&self, least: &Standing) -> Standing {
        let mut now = *least;
        waits_until(|| {
            now = self.standing();
            if now.descriptors <= least.descriptors && now.threads <= least.threads {
                return Ok(());
            }
            Err(format!("without load it holds {now}, where it held {least}: {:?}", self.descriptors()))
        });
        now
    }

    /// Looks at it until then, and returns the most of everything. Breakers of these upstreams are closed each time.
    pub(crate) fn is_watched(&self, stop: &Stop, admin: SocketAddr, healthy: &[&str]) -> Standing {
        let _guard = stop.on_panic();
        let mut most = self.standing();
        while !stop.is_set() {
            let now = self.standing();
            most.descriptors = most.descriptors.max(now.descriptors);
            most.threads = most.threads.max(now.threads);
            most.resident_kib = most.resident_kib.max(now.resident_kib);
            breakers_never_opened(admin, healthy);
            thread::sleep(Duration::from_millis(200));
        }
        most
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a process holds.
#[derive(Clone, Copy)]
pub(crate) struct Standing {
    pub(crate) descriptors: u64,
    pub(crate) threads: u64,
    pub(crate) resident_kib: u64,
}

impl fmt::Display for Standing {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { descriptors, threads, resident_kib } = self;
        write!(to, "{descriptors} descriptors, {threads} threads, {resident_kib} KiB of memory")
    }
}

/// The samples of `/metrics`: name with labels, and value.
pub(crate) fn metrics(admin: SocketAddr) -> Vec<(String, f64)> {
    let mut stream = TcpStream::connect(admin).unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    let samples = body.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.rsplit_once(' '));
    samples.filter_map(|(name, value)| Some((name.to_owned(), value.parse().ok()?))).collect()
}

/// Of the samples of that metric, the sum over those with all of these labels, such as `upstream="steady"`.
pub(crate) fn sum_of(samples: &[(String, f64)], metric: &str, labels: &[&str]) -> f64 {
    let of_metric = samples.iter().filter(|(name, _)| {
        name.strip_prefix(metric).is_some_and(|rest| rest.is_empty() || rest.starts_with('{'))
            && labels.iter().all(|label| name.contains(label))
    });
    of_metric.map(|(_, value)| value).sum()
}

/// That the breakers of these upstreams are closed, and have never been anything else.
pub(crate) fn breakers_never_opened(admin: SocketAddr, upstreams: &[&str]) {
    let samples = metrics(admin);
    for upstream in upstreams {
        let label = format!("upstream=\"{upstream}\"");
        let closed = sum_of(&samples, "gateway_breaker_state", &[&label, "state=\"closed\""]);
        let transitions = sum_of(&samples, "gateway_breaker_transitions_total", &[&label]);
        assert_eq!((closed, transitions), (1.0, 0.0), "the breaker of {upstream}, closed and its changes");
    }
}

/// Until so many requests were served on that route.
pub(crate) fn waits_for_requests(admin: SocketAddr, route: &str, least: u32) {
    let label = format!("route=\"{route}\"");
    waits_until(|| {
        let count = sum_of(&metrics(admin), "gateway_requests_total", &[&label]);
        if count >= f64::from(least) { Ok(()) } else { Err(format!("{count} requests on {route}")) }
    });
}
