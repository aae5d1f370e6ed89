//! Log, metrics, page and dashboards of whole runs, as those who run them see them.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use assert_cmd::cargo::cargo_bin;
use serde_json::Value;
use tempfile::TempDir;
use tuesday::watch::{DASHBOARDS, Kind, grafana};

/// Keys with names of their own, a limit that turns away, a breaker that opens, a fault.
const SCENARIO: &str = r#"
    name = "Told"
    starts = 2026-06-02T09:00:00Z
    duration = "6s"
    slo.latency = "1s"
    faults = [{ at = "1s", for = "3s", upstreams = ["payments"], error = { status = 500 } }]
    [upstreams]
    payments.latency = { constant = "2ms" }
    orders.latency = { constant = "2ms" }
    [routes]
    "/checkout".upstream = "payments"
    "/orders".upstream = "orders"
    [clients]
    buyer-sk-live = { send = "/checkout", rate = "40/s", identities = 7 }
    partner-sk-live = { send = "/orders", rate = "30/s", identities = 3 }
    [gateway]
    workers = 64
    queue = 64
    breaker = { window = "2s", min_requests = 10, error_threshold = "50%", probe_interval = "500ms" }
    [gateway.rate_limit.per_key]
    algorithm = "token-bucket"
    limit = 240
    window = "1m"
    burst = 8
"#;

struct Desk(TempDir);

impl Desk {
    fn new() -> Self {
        let desk = Self(TempDir::new().unwrap());
        fs::write(desk.path("told.toml"), SCENARIO).unwrap();
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn tuesday(&self, args: &[&str]) -> Command {
        let mut command = Command::new(cargo_bin("tuesday"));
        command.current_dir(self.0.path()).stdin(Stdio::null()).env("NO_COLOR", "1").args(args);
        command
    }

    /// As [`Desk::succeeds`], of a run over sockets whose log is looked at: on a machine that is busy with other things the run
    /// is invalid (3), which changes its times and none of its words.
    #[track_caller]
    fn is_logged(&self, args: &[&str]) {
        let output = self.tuesday(args).output().unwrap();
        assert!(matches!(output.status.code(), Some(0 | 3)), "{output:#?}");
    }

    #[track_caller]
    fn succeeds(&self, args: &[&str]) -> String {
        let output = self.tuesday(args).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{output:#?}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn log(&self, name: &str) -> (String, Vec<Value>) {
        let text = fs::read_to_string(self.path(name)).unwrap();
        let lines = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        (text, lines)
    }
}

fn requests(lines: &[Value]) -> Vec<&Value> {
    lines.iter().filter(|line| line["target"] == "gateway::request").collect()
}

/// Every name of a field, those below others too.
fn fields(lines: &[&Value]) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for line in lines {
        for (name, value) in line.as_object().unwrap() {
            names.insert(name.clone());
            let inner = value.as_object().into_iter().flatten();
            names.extend(inner.map(|(below, _)| format!("{name}.{below}")));
        }
    }
    names
}

/// That no key is in a log, whatever else is.
#[track_caller]
fn assert_no_key(text: &str) {
    for population in [("buyer-sk-live", 7), ("partner-sk-live", 3)] {
        for key in 0..population.1 {
            assert!(!text.contains(&format!("{}-{key}", population.0)), "a key is in the log");
        }
    }
    assert!(!text.contains("sk-live"), "a part of a key is in the log");
}

#[test]
fn a_run_in_virtual_time_is_logged_in_full_and_the_same_each_time() {
    let desk = Desk::new();
    let run = |log: &str, threads: &str| {
        desk.succeeds(&["run", "told.toml", "--quiet", "--seeds", "2", "--threads", threads, "--log", log]);
    };
    run("one.jsonl", "1");
    run("other.jsonl", "3");
    let (text, lines) = desk.log("one.jsonl");
    assert_eq!(text, desk.log("other.jsonl").0, "the threads show");
    assert_no_key(&text);

    // Two seeds, each with its control, run after run; each attempt ended once, in order of time.
    let requests = requests(&lines);
    let mut runs: Vec<(u64, bool)> =
        requests.iter().map(|line| (line["seed"].as_u64().unwrap(), line["control"] == true)).collect();
    runs.dedup();
    assert_eq!(runs.len(), 4, "{runs:?}");
    assert_eq!(requests.len(), 4 * 6 * (40 + 30));
    for run in &runs {
        let of_run: Vec<_> = requests
            .iter()
            .filter(|line| (line["seed"].as_u64().unwrap(), line["control"] == true) == *run)
            .collect();
        assert!(of_run.is_sorted_by_key(|line| line["timestamp"].as_str()));
        let names: BTreeSet<_> = of_run.iter().map(|line| line["request_id"].as_str()).collect();
        assert_eq!(names.len(), of_run.len(), "each has its own name");
    }
    assert!(
        requests.iter().all(|line| line["timestamp"].as_str().unwrap().starts_with("2026-06-02T09:00:0"))
    );
    let has = |name: &str, value: &str| requests.iter().any(|line| line[name] == value);
    for (name, value) in [
        ("outcome", "served"),
        ("outcome", "upstream-error"),
        ("reason", "rate-limited"),
        ("reason", "short-circuited"),
        ("breaker", "open"),
        ("breaker", "half-open"),
        ("upstream", "payments"),
        ("engine", "virtual"),
        ("scenario", "Told"),
    ] {
        assert!(has(name, value), "no {name} {value}");
    }
    assert!(lines.iter().any(|line| line["target"] == "gateway::breaker" && line["to"] == "open"));
}

#[test]
fn both_engines_log_the_same_requests_in_the_same_words() {
    let desk = Desk::new();
    desk.is_logged(&["run", "told.toml", "--quiet", "--engine", "both", "--log", "log.jsonl"]);
    let (text, lines) = desk.log("log.jsonl");
    assert_no_key(&text);
    let requests = requests(&lines);
    let of = |engine: &str| -> Vec<&Value> {
        requests.iter().filter(|line| line["engine"] == engine).copied().collect()
    };
    let (simulated, live) = (of("virtual"), of("live"));
    assert_eq!(fields(&simulated), fields(&live));
    // Under the same names, from the same clients and addresses, to the same routes.
    let who = |lines: &[&Value]| -> BTreeSet<String> {
        let told = ["request_id", "control", "client", "peer", "route"];
        lines.iter().map(|line| told.map(|name| line[name].to_string()).join(" ")).collect()
    };
    assert_eq!(who(&simulated), who(&live));
}

/// Good tokens and forged ones, and the keys that a gateway judges them by.
const TOKENS: &str = r#"
    name = "Borne"
    starts = 2026-06-02T09:00:00Z
    duration = "4s"
    slo.latency = "1s"
    [upstreams]
    orders = { latency.constant = "2ms", requires = {} }
    identity = { latency.constant = "2ms", serves = "jwks" }
    [routes]
    "/orders".upstream = "orders"
    [clients]
    member-sk-live = { send = "/orders", rate = "30/s", identities = 5, token = { issuer = "https://id.example" } }
    forger-sk-live = { send = "/orders", rate = "10/s", identities = 5, token = { issuer = "https://id.example", defect = "forged" } }
    [gateway]
    auth = { jwks = "identity", issuer = "https://id.example" }
    rate_limit.per_key = { algorithm = "token-bucket", limit = 600, window = "1m", by = "claim:sub" }
    [expect]
    hold = [
        "unauthorized_reached == 0",
        "success_rate(clients.member-sk-live) == 100%",
        "rejected(unauthenticated, clients.forger-sk-live) == 100%",
        # Keys are asked for once, at the start, and for no client.
        "key_fetches(identity) == 1",
        "attempts(identity) == 0",
    ]
"#;

#[test]
fn tokens_are_judged_and_never_logged_in_either_engine() {
    let desk = Desk::new();
    fs::write(desk.path("borne.toml"), TOKENS).unwrap();
    desk.is_logged(&["run", "borne.toml", "--quiet", "--engine", "both", "--log", "log.jsonl"]);
    let (text, lines) = desk.log("log.jsonl");
    // As every JWT begins, which is `{"` in base64.
    assert!(!text.contains("eyJ"), "a token is in the log");
    for population in ["member", "forger"] {
        for key in 0..5 {
            assert!(!text.contains(&format!("{population}-sk-live-{key}")), "a key is in the log");
        }
    }
    let requests = requests(&lines);
    for engine in ["virtual", "live"] {
        let told = |line: &&&Value| {
            let claimed = line["auth"]["sub"].as_str().is_some_and(|sub| sub.starts_with("member-sk-live/"));
            (line["outcome"] == "served" && claimed)
                || (line["reason"] == "signature-invalid" && line["auth"].is_null())
        };
        let of_engine: Vec<_> = requests.iter().filter(|line| line["engine"] == engine).collect();
        assert_eq!(
            (of_engine.len(), of_engine.iter().filter(|line| told(line)).count()),
            (160, 160),
            "{engine}"
        );
    }
}

#[test]
fn who_watches_virtual_time_is_told_that_there_is_nothing_to_see() {
    let desk = Desk::new();
    let output = desk.tuesday(&["run", "told.toml", "--watch"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8(output.stderr).unwrap().contains("--engine live"));
    let output = desk.tuesday(&["run", "told.toml", "--log", "no/such/folder/log"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
}

/// A process that is ended with its test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts a server and reads what it says until it listens.
fn serves(command: &mut Command) -> (Running, String) {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut said = String::new();
    while !said.lines().any(|line| line.starts_with("listening")) {
        assert_ne!(out.read_line(&mut said).unwrap(), 0, "it ended, having said {said}");
    }
    (Running(child), said)
}

#[track_caller]
fn address(said: &str, words: &str) -> SocketAddr {
    let place = said.find(words).unwrap_or_else(|| panic!("no `{words}` in {said}"));
    let text = said[place + words.len()..].split(|c: char| c.is_whitespace() || c == '/').next().unwrap();
    text.parse().unwrap()
}

/// One request, and the answer up to where the connection ends.
fn get(address: SocketAddr, target: &str, key: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let head =
        format!("GET {target} HTTP/1.1\r\nhost: localhost\r\nx-api-key: {key}\r\nconnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

/// Upstreams and the gateway in front of them, watched.
fn gateway(desk: &Desk, more: &[&str]) -> (Running, Running, String) {
    let (upstreams, said) = serves(&mut desk.tuesday(&["upstreams", "told.toml"]));
    let at = |name: &str| {
        let line =
            said.lines().find(|line| line.contains(name)).unwrap_or_else(|| panic!("no {name} in {said}"));
        let address = line
            .split_whitespace()
            .find_map(|word| word.trim_start_matches("http://").parse::<SocketAddr>().ok());
        format!("{name}={}", address.unwrap())
    };
    let upstreams_at = [at("orders"), at("payments")];
    let mut args = vec!["gateway", "told.toml", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"];
    args.extend(upstreams_at.iter().flat_map(|upstream| ["--upstream", upstream]));
    args.extend(more);
    let (gateway, said) = serves(&mut desk.tuesday(&args));
    (upstreams, gateway, said)
}

/// A bit of everything: served, turned away, failed.
fn send_some(gateway: SocketAddr) {
    for _ in 0..12 {
        get(gateway, "/orders?token=hidden", "sk-live-a-secret");
        get(gateway, "/checkout", "sk-live-b-secret");
    }
}

/// Whether a program is there; a test that needs one says so where it is not.
fn has(program: &str) -> bool {
    let asked = Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    if asked.is_err() {
        // Straight to standard error: what a test that passes prints by a macro is shown to nobody.
        let _ = writeln!(std::io::stderr(), "SKIPPED: {program} is not installed");
    }
    asked.is_ok()
}

#[test]
fn every_query_of_the_dashboards_finds_something_in_a_real_prometheus() {
    if !has("prometheus") {
        return;
    }
    let desk = Desk::new();
    let (_upstreams, _gateway, said) = gateway(&desk, &["--log", "log.jsonl"]);
    let (serving, admin) = (address(&said, "listening on http://"), address(&said, "metrics at http://"));
    let settings = format!(
        "scrape_configs: [{{ job_name: gateway, scrape_interval: 200ms, scrape_timeout: 200ms, static_configs: [{{ targets: ['{admin}'] }}] }}]\n"
    );
    fs::write(desk.path("prometheus.yml"), settings).unwrap();
    // Prometheus does not say which port it took for 0. At this address it is the only one to listen, so that the port is
    // still free when it starts.
    let prometheus = TcpListener::bind("127.0.0.2:0").unwrap().local_addr().unwrap();
    let _prometheus = Running(
        Command::new("prometheus")
            .current_dir(desk.0.path())
            .args(["--config.file=prometheus.yml", "--storage.tsdb.path=data", "--log.level=error"])
            .arg(format!("--web.listen-address={prometheus}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap(),
    );
    let mut queries: Vec<String> = Vec::new();
    for dashboard in &DASHBOARDS {
        let exported = grafana(dashboard);
        for target in exported["panels"]
            .as_array()
            .unwrap()
            .iter()
            .flat_map(|panel| panel["targets"].as_array().unwrap())
        {
            queries.push(target["expr"].as_str().unwrap().replace("$__rate_interval", "30s"));
        }
    }
    assert!(queries.len() >= DASHBOARDS.iter().map(|dashboard| dashboard.panels.len()).sum());
    let mut last = String::new();
    for _ in 0..150 {
        send_some(serving);
        if TcpStream::connect(prometheus).is_ok() {
            queries.retain(|query| {
                let escaped: Vec<String> = query.bytes().map(|byte| format!("%{byte:02x}")).collect();
                let escaped = escaped.concat();
                last = get(prometheus, &format!("/api/v1/query?query={escaped}"), "");
                let told: Value = last
                    .find("\r\n\r\n")
                    .and_then(|head| serde_json::from_str(last[head..].trim()).ok())
                    .unwrap_or_default();
                assert_ne!(told["status"], "error", "{query}: {last}");
                !told["data"]["result"]
                    .as_array()
                    .is_some_and(|results| results.iter().any(|result| result["value"][1] != "NaN"))
            });
        }
        if queries.is_empty() {
            let (text, lines) = desk.log("log.jsonl");
            assert!(!text.contains("secret") && !text.contains("hidden"), "a key or a query is in the log");
            assert!(!requests(&lines).is_empty());
            return;
        }
        thread::sleep(Duration::from_millis(100));
    }
    panic!("nothing was ever found by {queries:#?}: {last}");
}

/// The page with a picture in it that takes a while. A browser prints a page when it is loaded, and this one draws what
/// comes after that.
fn slowed(page: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let answer = move |mut stream: TcpStream| -> std::io::Result<()> {
        let mut head = Vec::new();
        BufReader::new(&stream).read_until(b'\n', &mut head)?;
        let head = String::from_utf8_lossy(&head);
        match head.split(' ').nth(1) {
            Some("/slow") => thread::sleep(Duration::from_secs(4)),
            Some("/") => {
                let whole = get(page, "/", "");
                let html = whole.split_once("\r\n\r\n").unwrap().1;
                let html = html.replace("img-src data:", "img-src 'self'");
                let html = html.replace("</body>", "<img src=\"/slow\" alt=\"\"></body>");
                let head = "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\nconnection: close\r\n";
                write!(stream, "{head}content-length: {}\r\n\r\n{html}", html.len())?;
            }
            Some(target) => {
                let mut upstream = TcpStream::connect(page)?;
                write!(upstream, "GET {target} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")?;
                std::io::copy(&mut upstream, &mut stream)?;
            }
            None => {}
        }
        Ok(())
    };
    // Ends with the process; who leaves in the midst of it is not heard.
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || answer(stream));
        }
    });
    address
}

#[test]
fn the_page_draws_what_happens_in_a_real_browser() {
    if !has("chromium") {
        return;
    }
    let desk = Desk::new();
    let (_upstreams, _gateway, said) = gateway(&desk, &["--watch"]);
    let (serving, page) = (address(&said, "listening on http://"), address(&said, "watch it at http://"));
    // For as long as the browser takes, which on a busy machine is longer.
    let shown = Arc::new(AtomicBool::new(false));
    let sender = thread::spawn({
        let shown = Arc::clone(&shown);
        move || {
            while !shown.load(Ordering::Relaxed) {
                send_some(serving);
                thread::sleep(Duration::from_millis(50));
            }
        }
    });
    let profile = TempDir::new().unwrap();
    let output = Command::new("chromium")
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"])
        .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .arg("--dump-dom")
        .arg(format!("http://{}/", slowed(page)))
        .stdin(Stdio::null())
        .output();
    shown.store(true, Ordering::Relaxed);
    sender.join().unwrap();
    let output = output.unwrap();
    let drawn = String::from_utf8_lossy(&output.stdout);
    for dashboard in &DASHBOARDS {
        assert!(drawn.contains(dashboard.title), "{drawn}");
        for panel in dashboard.panels {
            assert!(
                drawn.contains(&format!("aria-label=\"{} at ", panel.title)),
                "{} was not drawn: {drawn}",
                panel.title
            );
        }
    }
    assert!(DASHBOARDS.iter().flat_map(|dashboard| dashboard.panels).any(|panel| panel.kind == Kind::States));
    for words in ["per_key", "served", "told.toml, variant base"] {
        assert!(drawn.contains(words), "no {words}: {drawn}");
    }
    // The browser is slow where the machine is busy; by then the scenario's fault may have opened the breaker.
    let conditions = ["closed", "open", "half-open"].map(|condition| format!("payments {condition} since"));
    assert!(conditions.iter().any(|words| drawn.contains(words)), "none of {conditions:?}: {drawn}");
}

#[test]
fn dashboards_are_printed_for_grafana() {
    let desk = Desk::new();
    let printed = desk.succeeds(&["dashboards"]);
    assert_eq!(printed, desk.succeeds(&["dashboards", "grafana"]));
    let dashboards: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(dashboards[0]["title"], "Tuesday: Rate-limit saturation");
}
