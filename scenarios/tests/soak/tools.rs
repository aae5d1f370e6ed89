//! Load by clients that are not ours, where they are installed.

use std::fmt;
use std::io::Read as _;
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::tool::is_there;

/// Connections of each tool.
const CONNECTIONS: u32 = 8;

/// So many seconds at least, in which there are requests on a slow machine too.
const LEAST_SECONDS: u64 = 2;

/// One that was started.
pub(crate) struct Tool {
    name: &'static str,
    child: Child,
}

/// What it says at its end.
pub(crate) struct Report {
    name: &'static str,
    text: String,
}

impl Tool {
    /// `wrk`, for so many seconds.
    pub(crate) fn wrk(address: SocketAddr, path: &str, lasts: Duration) -> Option<Self> {
        let (seconds, url) = (lasts.as_secs().max(LEAST_SECONDS), format!("http://{address}{path}"));
        let options = format!("-t 1 -c {CONNECTIONS} -d {seconds}s --timeout 120s");
        Self::start("wrk", &options, &url)
    }

    /// `h2load` over HTTP/2, for so many seconds.
    pub(crate) fn h2load(address: SocketAddr, path: &str, lasts: Duration) -> Option<Self> {
        let (seconds, url) = (lasts.as_secs().max(LEAST_SECONDS), format!("http://{address}{path}"));
        Self::start("h2load", &format!("-t 1 -c {CONNECTIONS} -m 4 -D {seconds}"), &url)
    }

    fn start(name: &'static str, options: &str, url: &str) -> Option<Self> {
        if !is_there(name) {
            return None;
        }
        let mut command = Command::new(name);
        command.args(options.split(' ')).arg(url).stdin(Stdio::null());
        let child = command.stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().unwrap();
        Some(Self { name, child })
    }

    pub(crate) fn ends(mut self) -> Report {
        let (name, mut out) = (self.name, self.child.stdout.take().unwrap());
        let mut text = String::new();
        out.read_to_string(&mut text).unwrap();
        let status = self.child.wait().unwrap();
        assert!(status.success(), "{name}: {status}\n{text}");
        Report { name, text }
    }
}

impl Drop for Tool {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Report {
    /// Its lines about requests that were not answered, or not with 2xx.
    pub(crate) fn faults(&self) -> Vec<&str> {
        let lines = self.text.lines().map(str::trim);
        lines.filter(|line| is_fault(line)).collect()
    }

    /// Requests that were answered with 2xx.
    pub(crate) fn requests(&self) -> u64 {
        let count = self.text.lines().find_map(|line| {
            let (before, _) = line.split_once(" requests in ").or_else(|| line.split_once(" succeeded,"))?;
            before.rsplit(' ').next()?.parse().ok()
        });
        count.unwrap_or_else(|| panic!("{} does not say how many: {}", self.name, self.text))
    }
}

impl fmt::Display for Report {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "{}: {} requests, {:?}", self.name, self.requests(), self.faults())
    }
}

/// wrk tells of faults where there are some; h2load counts them always.
fn is_fault(line: &str) -> bool {
    if line.starts_with("Socket errors:") || line.starts_with("Non-2xx") {
        return true;
    }
    let counts = line.strip_prefix("requests: ").or_else(|| line.strip_prefix("status codes: "));
    counts.is_some_and(|counts| {
        let bad = [" failed", " errored", " timeout", " 3xx", " 4xx", " 5xx"];
        counts
            .split(", ")
            .any(|count| bad.iter().any(|bad| count.strip_suffix(bad).is_some_and(|n| n != "0")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_tools_say_is_understood() {
        let wrk = "  1 threads and 8 connections\n  1234 requests in 3.00s, 1.00MB read\n";
        let h2load = "requests: 99 total, 99 started, 99 done, 99 succeeded, 0 failed, 0 errored, 0 timeout\n\
                      status codes: 99 2xx, 0 3xx, 0 4xx, 0 5xx\n";
        let report = |text: &str| Report { name: "tool", text: text.to_owned() };
        assert_eq!((report(wrk).requests(), report(h2load).requests()), (1234, 99));
        assert!(report(wrk).faults().is_empty() && report(h2load).faults().is_empty());
        let failed = h2load.replace("0 failed", "2 failed").replace("0 5xx", "10 5xx");
        assert_eq!(report(&failed).faults().len(), 2);
        let wrk = format!(
            "{wrk}  Socket errors: connect 0, read 1, write 0, timeout 0\n  Non-2xx or 3xx responses: 7\n"
        );
        assert_eq!(report(&wrk).faults().len(), 2);
    }
}
