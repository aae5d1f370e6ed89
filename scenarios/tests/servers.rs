//! Gateway and upstreams as processes of their own, and gateways that are not ours: real processes, real sockets.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests are tests too; clippy only knows what stands in a test"
)]

use std::fs;
use std::io::{BufRead as _, BufReader, ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, ChildStdout, Command, Output, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use assert_cmd::cargo::cargo_bin;
use serde_json::Value;
use tempfile::TempDir;
use tuesday::cli::ExitCode;

#[path = "servers/product.rs"]
mod product;
#[path = "servers/reload.rs"]
mod reload;
#[path = "servers/tool.rs"]
mod tool;

use product::free;
use tool::is_there;

struct Desk(TempDir);

impl Desk {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) -> &Self {
        fs::write(self.path(name), text).unwrap();
        self
    }

    fn tuesday(&self, args: &[&str]) -> Command {
        let mut command = Command::new(cargo_bin("tuesday"));
        command.current_dir(self.0.path()).stdin(Stdio::null()).env("NO_COLOR", "1").args(args);
        command
    }

    /// What it says on standard error, in one piece, of a command that has to exit so.
    #[track_caller]
    fn fails(&self, code: ExitCode, args: &[&str]) -> String {
        let Output { status, stderr, .. } = self.tuesday(args).output().unwrap();
        let told = String::from_utf8(stderr).unwrap();
        assert_eq!(status.code(), Some(i32::from(code.number())), "{told}");
        assert!(!told.contains("panicked"), "{told}");
        told
    }

    /// Runs a scenario live and returns its result.
    #[track_caller]
    fn runs_live(&self, scenario: &str) -> Value {
        let output =
            self.tuesday(&["run", "--engine", "live", "--json", "--quiet", scenario]).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{output:#?}");
        serde_json::from_slice::<Value>(&output.stdout).unwrap()[0].take()
    }

    /// Starts a server, and returns it with what it says until it listens.
    fn serves(&self, args: &[&str]) -> Serving {
        Serving::of(&mut self.tuesday(args))
    }
}

impl Serving {
    /// The server that a command starts, with what it says until it listens.
    fn of(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let err = BufReader::new(child.stderr.take().unwrap());
        let mut said = String::new();
        while !said.lines().any(|line| line.starts_with("listening")) {
            assert_ne!(out.read_line(&mut said).unwrap(), 0, "it ended, having said {said}");
        }
        Self { child, out, err, said }
    }
}

/// A server under way; killed where a test fails.
struct Serving {
    child: Child,
    out: BufReader<ChildStdout>,
    err: BufReader<ChildStderr>,
    said: String,
}

impl Serving {
    /// The address behind those words.
    #[track_caller]
    fn address(&self, words: &str) -> SocketAddr {
        let place = self.said.find(words).unwrap_or_else(|| panic!("no `{words}` in {}", self.said));
        let text = self.said[place + words.len()..].split_whitespace().next().unwrap();
        text.parse().unwrap()
    }

    fn signal(&self) {
        signal(self.child.id());
    }

    /// Waits until it says that on standard error.
    fn hear(&mut self, words: &str) {
        let mut line = String::new();
        while !line.contains(words) {
            line.clear();
            assert_ne!(self.err.read_line(&mut line).unwrap(), 0, "it ended without `{words}`");
        }
    }

    /// Asks it to end, and waits for that.
    #[track_caller]
    fn ends(mut self, code: ExitCode) {
        self.signal();
        self.exits(code);
    }

    #[track_caller]
    fn exits(&mut self, code: ExitCode) {
        let (mut out, mut err) = (String::new(), String::new());
        self.out.read_to_string(&mut out).unwrap();
        self.err.read_to_string(&mut err).unwrap();
        assert_eq!(self.child.wait().unwrap().code(), Some(i32::from(code.number())), "{out}{err}");
        assert!(!err.contains("panicked"), "{err}");
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn signal(process: u32) {
    assert!(Command::new("kill").args(["-TERM", &process.to_string()]).status().unwrap().success());
}

fn ask(address: SocketAddr, path: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nhost: test\r\nx-api-key: me\r\nconnection: close\r\n\r\n")
        .unwrap();
    stream
}

fn read(mut stream: TcpStream) -> String {
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn status(answer: &str) -> u16 {
    answer.split(' ').nth(1).unwrap_or_else(|| panic!("no answer: {answer:?}")).parse().unwrap()
}

/// Whether there is such a process, and it is no zombie.
fn lives(process: &str) -> bool {
    let status = fs::read_to_string(format!("/proc/{}/status", process.trim()));
    status.is_ok_and(|status| !status.contains("State:\tZ"))
}

/// Ten requests in a second, all at once if there is any doubt about it.
fn scenario(upstream: &str, more: &str) -> String {
    format!(
        r#"
name = "Small"
duration = "1s"
slo.latency = "60s"
upstreams.api = {{ latency = {{ constant = "1ms" }}, {upstream} }}
routes."/api".upstream = "api"
clients.one = {{ send = "/api", rate = "10/s" }}
{more}
"#
    )
}

/// A limit of so many requests, which nothing gives back as long as a test lasts.
fn limit(requests: u32) -> String {
    format!(
        "gateway.rate_limit.per_key = {{ algorithm = 'sliding-window-log', limit = {requests}, window = '1h' }}"
    )
}

#[test]
fn upstreams_and_a_gateway_stand_alone() {
    let desk = Desk::new();
    desk.write("small.toml", &scenario("workers = 4", &limit(3)));
    let upstreams = desk.serves(&["upstreams", "small.toml"]);
    let api = upstreams.address("api at http://");
    assert_eq!(status(&read(ask(api, "/api"))), 200, "asked without a gateway");
    let gateway =
        desk.serves(&["gateway", "small.toml", "--listen", ":0", "--upstream", &format!("api={api}")]);
    assert!(gateway.said.contains(&format!("/api -> api at {api}")), "{}", gateway.said);
    let address = gateway.address("listening on http://");
    let statuses = ["/other", "/api", "/api/1", "/api"].map(|path| status(&read(ask(address, path))));
    assert_eq!(statuses, [404, 200, 200, 429]);
    gateway.ends(ExitCode::Held);
    upstreams.ends(ExitCode::Held);
    assert!(TcpStream::connect(address).is_err() && TcpStream::connect(api).is_err(), "nobody listens");
}

#[test]
fn upstreams_fail_when_the_scenario_says_so_unless_they_are_calm() {
    let desk = Desk::new();
    let listen = free();
    let fault = "[[faults]]\nat = '0s'\nfor = '7h'\nupstreams = ['api']\nerror = { status = 507 }";
    let text = scenario(&format!("listen = '{listen}'"), fault).replace("\"1s\"", "\"7h\"");
    desk.write("small.toml", &text);
    let upstreams = desk.serves(&["upstreams", "small.toml", "--seed", "3"]);
    assert!(upstreams.said.contains("error of api from 0s to 7h"), "{}", upstreams.said);
    assert_eq!(upstreams.address("api at http://"), listen);
    assert_eq!(status(&read(ask(listen, "/api"))), 507);
    // The place is taken.
    let told = desk.fails(ExitCode::RunFailed, &["upstreams", "small.toml"]);
    assert!(told.contains(&format!("cannot listen on {listen} for api")), "{told}");
    upstreams.ends(ExitCode::Held);
    let calm = desk.serves(&["upstreams", "small.toml", "--calm"]);
    assert_eq!(status(&read(ask(listen, "/api"))), 200);
    calm.ends(ExitCode::Held);
}

#[test]
fn after_the_scenario_upstreams_go_on_without_faults() {
    let desk = Desk::new();
    let fault = "[[faults]]\nat = '0s'\nfor = '7h'\nupstreams = ['api']\nerror = { status = 507 }";
    desk.write("small.toml", &scenario("", fault));
    // The scenario's second is over within a thousandth of one.
    let upstreams = desk.serves(&["upstreams", "small.toml", "--speed", "1000"]);
    assert!(upstreams.said.contains("error of api from 0s to 1s"), "{}", upstreams.said);
    let api = upstreams.address("api at http://");
    while status(&read(ask(api, "/api"))) == 507 {}
    assert_eq!(status(&read(ask(api, "/api"))), 200);
    upstreams.ends(ExitCode::Held);
}

/// A gateway with a request under way, and the connections to its client and to its upstream.
fn busy_gateway(desk: &Desk) -> (Serving, TcpStream, TcpStream) {
    let upstream = TcpListener::bind("127.0.0.1:0").unwrap();
    desk.write("small.toml", &scenario(&format!("listen = '{}'", upstream.local_addr().unwrap()), ""));
    let gateway = desk.serves(&["gateway", "small.toml", "--listen", "0", "--threads", "1"]);
    let client = ask(gateway.address("listening on http://"), "/api");
    let (mut asked, _) = upstream.accept().unwrap();
    let mut first = [0];
    asked.read_exact(&mut first).unwrap();
    (gateway, client, asked)
}

#[test]
fn a_gateway_that_is_told_to_end_finishes_what_is_under_way() {
    let desk = Desk::new();
    let (mut gateway, client, mut asked) = busy_gateway(&desk);
    gateway.signal();
    gateway.hear("ending: requests under way have 10s");
    asked.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\ndone").unwrap();
    let answer = read(client);
    assert!(status(&answer) == 200 && answer.ends_with("done"), "{answer}");
    gateway.exits(ExitCode::Held);
}

#[test]
fn a_second_signal_ends_a_gateway_at_once() {
    let desk = Desk::new();
    let (mut gateway, client, _asked) = busy_gateway(&desk);
    gateway.signal();
    gateway.hear("ending");
    gateway.signal();
    gateway.exits(ExitCode::Interrupted);
    drop(client);
}

#[test]
fn servers_that_cannot_be_started_say_why_and_what_to_do() {
    let desk = Desk::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    desk.write("small.toml", &scenario("", ""))
        .write("wide.toml", &scenario("listen = '0.0.0.0:9101'", ""))
        .write(
            "external.toml",
            &scenario("listen = '127.0.0.1:9101'", "gateway.external.url = 'http://127.0.0.1:1'"),
        );
    for (code, args, words) in [
        (ExitCode::Usage, "gateway small.toml", "add `--upstream api=127.0.0.1:PORT`"),
        (ExitCode::Usage, "gateway small.toml --upstream apy=127.0.0.1:1", "did you mean `api`?"),
        (ExitCode::Usage, "gateway small.toml --upstream api", "such as orders=127.0.0.1:9101"),
        (ExitCode::Usage, "gateway small.toml --upstream api=127.0.0.1:0", "a port is from 1 to 65535"),
        (ExitCode::Usage, "gateway small.toml --upstream api=10.0.0.1:80", "`--allow-remote`"),
        (
            ExitCode::Usage,
            "gateway small.toml --listen 0.0.0.0:80",
            "--listen: 0.0.0.0:80 is not on loopback",
        ),
        (ExitCode::Usage, "gateway small.toml --variant bass", "did you mean `base`?"),
        (ExitCode::Usage, "gateway small.toml --grace 10", "duration"),
        (ExitCode::Usage, "gateway small.toml --threads 0", "from 1 to 1024"),
        (ExitCode::Usage, "gateway external.toml", "is external (http://127.0.0.1:1)"),
        (ExitCode::Usage, "upstreams wide.toml", "0.0.0.0:9101 is not on loopback"),
        (ExitCode::Usage, "upstreams missing.toml", "there is no such file"),
        (ExitCode::Usage, "upstreams small.toml --speed 0", "from 0.01 to 1000"),
        (
            ExitCode::RunFailed,
            &*format!("gateway small.toml --upstream api=127.0.0.1:1 --listen {taken}"),
            "`--listen` takes another address",
        ),
    ] {
        let told = desk.fails(code, &args.split(' ').collect::<Vec<_>>());
        assert!(told.contains(words), "no `{words}` in {told}");
    }
}

/// A scenario whose gateway is started by that command, as TOML has it.
fn external(url: SocketAddr, command: &str, more: &str) -> String {
    let upstream = format!("listen = '{}'", free());
    scenario(&upstream, &format!("gateway.external = {{ url = 'http://{url}', {command} }}\n{more}"))
}

#[test]
fn an_external_gateway_is_started_asked_and_ended() {
    let desk = Desk::new();
    let (url, tuesday) = (free(), cargo_bin("tuesday"));
    let hold = r#"
[expect]
hold = [
  "served == 4",
  "rejected(rate-limited) == 6",
  "attempts(api) == 4",
]"#;
    // For our own gateway behind it, a gateway that is asked over its socket is a foreign one.
    let command = format!(
        "command = ['sh', '-c', 'echo $$ > pid; exec {} gateway inner.toml --listen {url}']",
        tuesday.display()
    );
    let outer = external(url, &format!("{command}, ready = '/health'"), hold);
    desk.write("outer.toml", &outer);
    let listens = outer.split("listen = '").nth(1).unwrap().split('\'').next().unwrap();
    desk.write("inner.toml", &scenario(&format!("listen = '{listens}'"), &limit(4)));
    let result = desk.runs_live("outer.toml");
    let run = &result["variants"][0]["runs"][0];
    assert_eq!(run["external"], format!("http://{url}"));
    let stations: Vec<_> = run["stations"].as_array().unwrap().iter().map(|each| &each["name"]).collect();
    assert_eq!(stations, ["api"], "the gateway's own is not observed");
    assert_eq!(run["limits"], Value::Array(Vec::new()));
    assert_eq!(run["populations"][0]["admitted_per_s"], Value::Array(Vec::new()));
    assert!(!lives(&fs::read_to_string(desk.path("pid")).unwrap()), "the gateway has ended");
    let page = fs::read_to_string(desk.path("tuesday-results/outer/latest/report.html")).unwrap();
    assert!(page.contains(&format!("The gateway is external (http://{url})")));
}

#[test]
fn a_provider_alone_hands_out_tokens_that_a_gateway_alone_takes() {
    let desk = Desk::new();
    let more = "upstreams.identity = { latency.constant = '1ms', serves = 'jwks' }\n\
                gateway.auth = { jwks = 'identity', issuer = 'https://id.example' }";
    let token = "token = { issuer = 'https://id.example' }, rate =";
    desk.write("small.toml", &scenario("workers = 4", more).replace("rate =", token));
    let upstreams = desk.serves(&["upstreams", "small.toml"]);
    let (api, identity) = (upstreams.address("api at http://"), upstreams.address("identity at http://"));
    assert!(upstreams.said.contains("such as /token/one/0"), "{}", upstreams.said);
    let gateway = desk.serves(&[
        "gateway",
        "small.toml",
        "--listen",
        ":0",
        "--upstream",
        &format!("api={api}"),
        "--upstream",
        &format!("identity={identity}"),
    ]);
    let address = gateway.address("listening on http://");
    let answer = read(ask(identity, "/token/one/0"));
    assert_eq!(status(&answer), 200, "{answer}");
    let token = answer.split("\r\n\r\n").nth(1).unwrap();
    let with = |token: &str| {
        let mut stream = TcpStream::connect(address).unwrap();
        let head = format!("host: test\r\nauthorization: Bearer {token}\r\nconnection: close");
        write!(stream, "GET /api HTTP/1.1\r\n{head}\r\n\r\n").unwrap();
        status(&read(stream))
    };
    assert_eq!((with(token), with("nonsense")), (200, 401));
    assert_eq!(status(&read(ask(identity, "/token/one/1"))), 404, "there is one client");
    assert_eq!(status(&read(ask(api, "/token/one/0"))), 200, "any other upstream answers as ever");
    gateway.ends(ExitCode::Held);
    upstreams.ends(ExitCode::Held);
}

/// A gateway that answers everything with 204, and returns the heads of the requests that it was sent, each with the size of its
/// body, once it is asked for `/enough`.
fn heads_and_sizes(listener: &TcpListener) -> Vec<(String, usize)> {
    let mut requests = Vec::new();
    'connections: loop {
        let mut stream = BufReader::new(listener.accept().unwrap().0);
        let (mut head, mut size) = (String::new(), 0);
        while !head.ends_with("\r\n\r\n") {
            let start = head.len();
            // Who only looks whether anybody listens sends nothing.
            if stream.read_line(&mut head).unwrap() == 0 {
                continue 'connections;
            }
            if let Some((name, value)) = head[start..].split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                size = value.trim().parse().unwrap();
            }
        }
        if head.starts_with("GET /enough") {
            return requests;
        }
        stream.read_exact(&mut vec![0; size]).unwrap();
        requests.push((head, size));
        stream.get_mut().write_all(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n").unwrap();
    }
}

/// What an external gateway is sent in a scenario with these lines: heads and sizes of bodies.
fn sent_with(more: &str) -> (SocketAddr, Vec<(String, usize)>) {
    let desk = Desk::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = listener.local_addr().unwrap();
    let gateway = std::thread::spawn(move || heads_and_sizes(&listener));
    let outer = format!("gateway.external.url = 'http://{url}'\n{more}");
    desk.write("outer.toml", &scenario(&format!("listen = '{}'", free()), &outer));
    desk.runs_live("outer.toml");
    write!(TcpStream::connect(url).unwrap(), "GET /enough HTTP/1.1\r\n\r\n").unwrap();
    (url, gateway.join().unwrap())
}

#[test]
fn clients_send_bodies_as_large_as_the_file_says() {
    let (_, requests) =
        sent_with("clients.two = { send = '/api', rate = '10/s', method = 'POST', body = '2KB' }");
    let sizes = |method: &str| -> Vec<usize> {
        requests.iter().filter(|(head, _)| head.starts_with(method)).map(|(_, size)| *size).collect()
    };
    assert_eq!((sizes("POST"), sizes("GET")), (vec![2_000; 10], vec![0; 10]));
}

#[test]
fn clients_ask_for_what_is_written_and_not_for_its_route() {
    let (_, requests) = sent_with(
        "clients.search = { send = '/api/search/42?q=a%20b&page=2', rate = '10/s' }
clients.both = { send = { '/api/1' = 1, '/api/2' = 1 }, rate = '10/s' }",
    );
    let asked: Vec<&str> = requests.iter().filter_map(|(head, _)| head.split(' ').nth(1)).collect();
    let count = |path: &str| asked.iter().filter(|asked| **asked == path).count();
    assert_eq!((count("/api"), count("/api/search/42?q=a%20b&page=2")), (10, 10));
    assert_eq!(count("/api/1") + count("/api/2"), 10, "{asked:?}");
    assert!(count("/api/1") > 0 && count("/api/2") > 0, "{asked:?}");
}

#[test]
fn clients_send_the_fields_they_need_and_no_other() {
    let (url, mut requests) = sent_with(
        "clients.get = { send = '/api', rate = '1/s' }
clients.post = { send = '/api', rate = '1/s', method = 'POST', body = '9B' }
clients.bare = { send = '/api', rate = '1/s', method = 'POST' }
clients.options = { send = '/api', rate = '1/s', method = 'OPTIONS' }",
    );
    requests.retain(|(head, _)| !head.contains("x-api-key: one-"));
    requests.sort_unstable();
    let heads: String = requests.into_iter().map(|(head, _)| head).collect();
    // What names a request is drawn.
    let fields = heads.lines().map(|line| line.split_inclusive("x-tuesday-request: ").next().unwrap_or(""));
    let fields = fields.collect::<Vec<_>>().join("\n").replace(&url.to_string(), "HOST");
    let head = |target: &str, client: &str, length: &str| {
        format!(
            "{target} HTTP/1.1\nhost: HOST\naccept: */*\nx-api-key: {client}-0\nx-tuesday-request: \n{length}"
        )
    };
    let expected = [
        head("GET /api", "get", ""),
        head("OPTIONS /api", "options", ""),
        head("POST /api", "bare", "content-length: 0\n"),
        head("POST /api", "post", "content-length: 9\n"),
    ];
    assert_eq!(fields, expected.join("\n"));
}

#[test]
fn whether_a_gateway_is_ready_is_asked_of_nobody_else() {
    // Resolved as a link on a page is, it would lead to another host.
    let (url, requests) = sent_with("gateway.external.ready = '//192.0.2.1/up?really'");
    let (head, _) = &requests[0];
    assert!(head.starts_with("GET //192.0.2.1/up?really HTTP/1.1\r\n"), "{head}");
    assert!(head.contains(&format!("\r\nhost: {url}\r\n")), "{head}");
}

#[test]
fn the_log_of_a_run_with_an_external_gateway_is_its_clients() {
    let desk = Desk::new();
    let (url, tuesday) = (free(), cargo_bin("tuesday"));
    let command =
        format!("command = ['{}', 'gateway', 'inner.toml', '--listen', '{url}']", tuesday.display());
    let outer = external(url, &command, "");
    let listens = outer.split("listen = '").nth(1).unwrap().split('\'').next().unwrap();
    desk.write("outer.toml", &outer)
        .write("inner.toml", &scenario(&format!("listen = '{listens}'"), &limit(4)));
    let output =
        desk.tuesday(&["run", "--engine", "live", "--log", "log.jsonl", "outer.toml"]).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:#?}");
    // Where nobody looks, there is no progress, and how long it takes is said all the same.
    assert_eq!(String::from_utf8_lossy(&output.stderr), "outer: a live run of 1s: about 2s\n");
    let text = fs::read_to_string(desk.path("log.jsonl")).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    // Ten requests, of which the limit lets four through; who sent them and what they were answered is known, and what the
    // gateway thought is not.
    let told = |outcome: &str, status: u16| {
        lines.iter().filter(|line| line["outcome"] == outcome && line["status"] == status).count()
    };
    assert_eq!((lines.len(), told("served", 200), told("rate-limited", 429)), (10, 4, 6), "{text}");
    let mut names: Vec<&str> = lines.iter().map(|line| line["request_id"].as_str().unwrap()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), 10, "each has a name of its own");
    for line in &lines {
        let mut fields: Vec<&str> = line.as_object().unwrap().keys().map(String::as_str).collect();
        fields.sort_unstable();
        assert_eq!(
            fields,
            [
                "client",
                "control",
                "engine",
                "level",
                "outcome",
                "peer",
                "request_id",
                "route",
                "scenario",
                "seed",
                "status",
                "target",
                "timestamp",
                "total_latency_us",
                "upstream",
                "variant"
            ]
        );
        assert_eq!((&line["route"], &line["upstream"]), (&"/api".into(), &"api".into()));
        assert_eq!((&line["engine"], &line["peer"]), (&"live".into(), &"127.1.0.1".into()));
    }
}

#[test]
fn what_an_external_gateway_does_not_tell_is_not_observed() {
    let desk = Desk::new();
    let (url, tuesday) = (free(), cargo_bin("tuesday"));
    let command =
        format!("command = ['{}', 'gateway', 'inner.toml', '--listen', '{url}']", tuesday.display());
    let outer = external(url, &command, "expect.hold = ['wait(max, gateway) < 1h', 'wait(max, api) < 1h']");
    desk.write("outer.toml", &outer);
    let listens = outer.split("listen = '").nth(1).unwrap().split('\'').next().unwrap();
    desk.write("inner.toml", &scenario(&format!("listen = '{listens}'"), ""));
    let output = desk.tuesday(&["run", "--engine", "live", "outer.toml"]).output().unwrap();
    let (out, err) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert_eq!(output.status.code(), Some(1), "{out}{err}");
    assert!(out.contains("1 of 2 expectations FAILED"), "{out}");
    assert!(out.contains("not observed"), "{out}");
    assert!(err.contains("this can never hold"), "{err}");
}

#[test]
fn an_external_gateway_that_does_not_start_is_told_with_what_it_printed() {
    let desk = Desk::new();
    let live = ["run", "--engine", "live", "outer.toml"];
    for (command, words) in [
        ("['sh', '-c', 'echo line 9 is broken >&2; exit 7']", "`sh` has ended by itself (exit code 7)"),
        ("['sh', '-c', 'echo line 9 is broken; kill -9 $$']", "`sh` has ended by itself (signal 9)"),
    ] {
        desk.write("outer.toml", &external(free(), &format!("command = {command}"), ""));
        let told = desk.fails(ExitCode::RunFailed, &live);
        assert!(told.contains(words) && told.contains("line 9 is broken"), "{told}");
    }
    desk.write("outer.toml", &external(free(), "command = ['no-such-gateway']", ""));
    let told = desk.fails(ExitCode::RunFailed, &live);
    assert!(told.contains("cannot run `no-such-gateway`"), "{told}");
    // Nothing is started there, and nobody is there.
    desk.write("outer.toml", &external(free(), "ready_within = '100ms'", ""));
    let told = desk.fails(ExitCode::RunFailed, &live);
    assert!(told.contains("was not ready within 100ms"), "{told}");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    desk.write("outer.toml", &external(taken.local_addr().unwrap(), "command = ['true']", ""));
    let told = desk.fails(ExitCode::RunFailed, &live);
    assert!(told.contains("something takes connections at"), "{told}");
}

#[test]
fn a_program_that_was_started_is_ended_even_if_it_does_not_want_to() {
    let desk = Desk::new();
    let command = "['sh', '-c', 'trap \"\" TERM; echo $$ > pid; echo I stay; while :; do sleep 1; done']";
    desk.write("outer.toml", &external(free(), &format!("command = {command}, ready_within = '500ms'"), ""));
    let told = desk.fails(ExitCode::RunFailed, &["run", "--engine", "live", "outer.toml"]);
    assert!(told.contains("was not ready within 500ms") && told.contains("I stay"), "{told}");
    assert!(!lives(&fs::read_to_string(desk.path("pid")).unwrap()), "it is gone");
}

#[test]
fn a_run_that_is_interrupted_ends_its_external_gateway() {
    let desk = Desk::new();
    let (url, tuesday) = (free(), cargo_bin("tuesday"));
    let command = format!(
        "command = ['sh', '-c', 'echo $$ > pid; exec {} gateway inner.toml --listen {url}']",
        tuesday.display()
    );
    let outer = external(url, &command, "").replace("\"1s\"", "\"1h\"");
    desk.write("outer.toml", &outer);
    let listens = outer.split("listen = '").nth(1).unwrap().split('\'').next().unwrap();
    desk.write("inner.toml", &scenario(&format!("listen = '{listens}'"), ""));
    let mut run = desk.tuesday(&["run", "--engine", "live", "outer.toml"]);
    let run = run.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // Until the gateway serves; the run may begin any time from then on.
    while TcpStream::connect(url).is_err() {
        std::thread::sleep(Duration::from_millis(10));
    }
    signal(run.id());
    let output = run.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{output:#?}");
    assert!(!lives(&fs::read_to_string(desk.path("pid")).unwrap()), "the gateway has ended");
}

#[test]
fn external_gateways_are_refused_where_they_cannot_be_asked() {
    let desk = Desk::new();
    let listen = "listen = '127.0.0.1:9101'";
    let with = |url: &str| scenario(listen, &format!("gateway.external.url = '{url}'"));
    desk.write("local.toml", &with("http://localhost:1"))
        .write("remote.toml", &with("http://192.0.2.1:8080"))
        .write(
            "one.toml",
            &scenario(listen, "[variants]\nours = {}\nnginx.gateway.external.url = 'http://[::1]:1'"),
        )
        .write("wide.toml", &scenario("listen = '0.0.0.0:9101'", ""));
    for (args, words) in [
        ("local.toml", "run it with `--engine live`"),
        ("local.toml --engine both", "run it with `--engine live`"),
        ("local.toml --engine live --speed 20", "run it without `--speed`"),
        ("one.toml", "or leave it out with `--variant ours`"),
        ("remote.toml --engine live", "http://192.0.2.1:8080 is not on loopback"),
        ("wide.toml --engine live", "`upstreams.api.listen`: 0.0.0.0:9101 is not on loopback"),
    ] {
        let args: Vec<_> = ["run"].into_iter().chain(args.split(' ')).collect();
        let told = desk.fails(ExitCode::Usage, &args);
        assert!(told.contains(words), "no `{words}` in {told}");
    }
    assert!(!Path::new(&desk.path("tuesday-results")).exists(), "nothing was run");
    // The others can be run as ever.
    let output = desk.tuesday(&["run", "one.toml", "--variant", "ours"]).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:#?}");
}

#[test]
fn children_of_a_gateway_do_not_outlive_it() {
    let desk = Desk::new();
    let stubborn = "(trap \"\" TERM; while :; do sleep 1; done)";
    for (what, then) in [("ends when asked", "sleep 60"), ("has ended by itself", "exit 3")] {
        let command = format!("['sh', '-c', '{stubborn} & echo $! > child; {then}']");
        desk.write(
            "outer.toml",
            &external(free(), &format!("command = {command}, ready_within = '500ms'"), ""),
        );
        desk.fails(ExitCode::RunFailed, &["run", "--engine", "live", "outer.toml"]);
        assert!(!lives(&fs::read_to_string(desk.path("child")).unwrap()), "its first process {what}");
    }
}

/// Three hundred requests within a second, through a gateway whose configuration ships, on other ports and with its files
/// here. Returns how many were served, how many were told 429, and by how much of a second at most a request was sent late.
fn burst_through(command: &str, file: &str, changes: &[(&str, &str)]) -> (u64, u64, f64) {
    let desk = Desk::new();
    let url = free();
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("external").join(file);
    let outer = external(url, command, "");
    let outer = outer.replace("rate = \"10/s\"", "bursts = [{ from = '0s', to = '1s', count = 300 }]");
    let listens = outer.split("listen = '").nth(1).unwrap().split('\'').next().unwrap();
    let mut configuration = fs::read_to_string(shipped).unwrap();
    let (url, here) = (url.to_string(), format!("{}/", desk.0.path().display()));
    for (from, to) in
        [("127.0.0.1:8081", &*url), ("127.0.0.1:8082", &url), ("127.0.0.1:9101", listens), ("/tmp/", &here)]
            .iter()
            .chain(changes)
    {
        configuration = configuration.replace(from, to);
    }
    desk.write("outer.toml", &outer).write(file, &configuration);
    let result = desk.runs_live("outer.toml");
    let run = &result["variants"][0]["runs"][0];
    let outcomes = &run["overall"]["outcomes"];
    let count = |outcome: &str| outcomes[outcome].as_u64().unwrap();
    let (served, limited) = (count("served"), count("rate-limited"));
    assert_eq!(served + limited, 300, "{outcomes}");
    (served, limited, run["harness"]["lateness"]["max_us"].as_f64().unwrap() / 1e6)
}

#[test]
fn nginx_is_asked_where_it_is_installed() {
    if !is_there("nginx") {
        return;
    }
    let command = "command = ['nginx', '-e', 'stderr', '-p', '.', '-c', 'nginx.conf']";
    let (served, _, late) = burst_through(command, "nginx.conf", &[("location /orders", "location /api")]);
    // 1 and 100 at once, and one for each 60 ms that the burst takes: 299 gaps of 1/300 s are 16.6. Its first or its last
    // request may come late, by as much as the harness says and by what a connection takes, for which half a second is much.
    let leaked = |seconds: f64| 1_000.0 / 60.0 * seconds;
    let (least, most) = (leaked(299.0 / 300.0 - late - 0.5), leaked(299.0 / 300.0 + late + 0.5));
    let bounds = 101.0 + least.max(0.0).floor()..=101.0 + most.ceil();
    assert!(bounds.contains(&(served as f64)), "{served} of {bounds:?}");
}

#[test]
fn haproxy_is_asked_where_it_is_installed() {
    if !is_there("haproxy") {
        return;
    }
    let command = "command = ['haproxy', '-db', '-f', 'haproxy.cfg']";
    // Its period begins with the first request and is a minute, which the burst does not outlast: number 101 is the first
    // one that is more than a hundred, and it counts what it denies.
    let (served, limited, _) = burst_through(command, "haproxy.cfg", &[("gt 1000", "gt 100")]);
    assert_eq!((served, limited), (100, 200));
}

#[test]
fn a_load_that_nobody_can_send_is_an_invalid_run() {
    let desk = Desk::new();
    // A thousandth of a second for a tenth of the SLO, ten times as fast as real time.
    let open = scenario("", "").replace("\"60s\"", "\"10ms\"").replace("\"10/s\"", "\"3000/s\"");
    // Four hundred users who think for a hundredth of a second: forty thousand requests a second, ten times as fast.
    let closed = scenario("", "").replace("\"60s\"", "\"500ms\"").replace("\"1s\"", "\"10s\"");
    let closed = closed.replace("rate = \"10/s\"", "users = 400, think = { constant = '10ms' }");
    for (name, text) in [("open.toml", open), ("closed.toml", closed)] {
        desk.write(name, &text);
        let output = desk.tuesday(&["run", "--engine", "live", "--speed", "10", name]).output().unwrap();
        let told = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(i32::from(ExitCode::RunFailed.number())), "{told}");
        assert!(told.contains("INVALID under base"), "{told}");
        let result = fs::read_to_string(
            desk.path("tuesday-results").join(name.replace(".toml", "/latest/result.json")),
        );
        let result: Value = serde_json::from_str(&result.unwrap()).unwrap();
        let harness = &result["variants"][0]["runs"][0]["harness"];
        assert!(!harness["invalid"].as_array().unwrap().is_empty(), "{harness}");
        assert!(harness["lateness"]["count"].as_u64().unwrap() > 0, "{harness}");
    }
}

/// Runs a scenario in both engines and returns its result; again where the harness itself says that its run counts for
/// nothing, as on a machine that others use too.
#[track_caller]
fn runs_both(desk: &Desk, scenario: &str) -> (Option<i32>, Value) {
    for _ in 0..3 {
        let output =
            desk.tuesday(&["run", "--engine", "both", "--json", "--quiet", scenario]).output().unwrap();
        if output.status.code() != Some(i32::from(ExitCode::RunFailed.number())) {
            let result = serde_json::from_slice::<Value>(&output.stdout).unwrap()[0].take();
            return (output.status.code(), result);
        }
    }
    panic!("the harness did not keep up with {scenario} three times");
}

#[test]
fn both_engines_are_compared_and_held_to_the_same_lines() {
    let desk = Desk::new();
    let text = r#"
name = "Both"
duration = "12s"
slo.latency = "2s"
faults = [{ at = "3s", for = "4s", upstreams = ["payments"], error = { status = 500 } }]
[upstreams]
payments.latency = { constant = "2ms" }
accounts.latency = { constant = "2ms" }
[routes]
"/checkout".upstream = "payments"
"/account".upstream = "accounts"
[clients]
buyers = { send = "/checkout", rate = "40/s", identities = 10 }
members = { send = "/account", rate = "20/s", identities = 10 }
[gateway.upstreams.payments]
breaker = { window = "2s", min_requests = 10, probe_interval = "1s" }
[expect]
hold = [
  "success_rate(clients.members) >= 99%",
  "breaker_opened_at(payments) < 5s",
  "breaker_closed_at(payments) > 7s",
  "lateness(max) == 0s",
]
"#;
    desk.write("both.toml", text);
    let (code, result) = runs_both(&desk, "both.toml");
    let agreement = &result["agreement"];
    let lines = agreement["variants"][0]["lines"].as_array().unwrap();
    let whats: Vec<&str> = lines.iter().map(|line| line["what"].as_str().unwrap()).collect();
    for what in [
        "buyers: served",
        "members: served",
        "blast radius",
        "direct damage",
        "breaker of payments: open",
        "breaker of payments: half-open",
        "breaker of payments: closed",
        "latency p50",
    ] {
        assert!(whats.contains(&what), "no {what} in {whats:?}");
    }
    for line in lines {
        assert!(
            line["simulated"].is_number() && line["live"].is_number() && line["agrees"] == true,
            "{line}"
        );
    }
    // The last line holds where nobody can be late, and nowhere else.
    assert_eq!(code, Some(i32::from(ExitCode::ExpectationFailed.number())));
    let held = |expectations: &Value| -> Vec<bool> {
        expectations.as_array().unwrap().iter().map(|line| line["held"].as_bool().unwrap()).collect()
    };
    assert_eq!(held(&agreement["expectations"]), [true, true, true, false], "{}", agreement["expectations"]);
    let live = fs::read_to_string(desk.path("tuesday-results/both/latest/live/result.json")).unwrap();
    let live: Value = serde_json::from_str(&live).unwrap();
    assert_eq!(live["engine"], "live");
    assert_eq!(live["expectations"], agreement["expectations"]);
}

/// Asks over and over on one connection after another, until nobody listens. Returns how many were answered, and how many
/// were sent and not.
fn ask_until_nobody_listens(address: SocketAddr) -> (u32, u32) {
    let mut answered = 0;
    while let Ok(stream) = TcpStream::connect(address) {
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let mut writer = stream.try_clone().unwrap();
        let mut reader = BufReader::new(stream);
        loop {
            let request = b"GET /api HTTP/1.1\r\nhost: test\r\nx-api-key: me\r\n\r\n";
            if writer.write_all(request).is_err() {
                return (answered, 1);
            }
            let (mut head, mut length, mut closes) = (String::new(), 0, false);
            while !head.ends_with("\r\n\r\n") {
                match reader.read_line(&mut head) {
                    Ok(1..) => {}
                    // Not even a status: what was sent is lost.
                    _ => return (answered, 1),
                }
            }
            for (name, value) in head.lines().filter_map(|line| line.split_once(": ")) {
                match name.to_ascii_lowercase().as_str() {
                    "content-length" => length = value.parse().unwrap(),
                    "connection" => closes = value == "close",
                    _ => {}
                }
            }
            assert_eq!(status(&head), 200, "{head}");
            if reader.read_exact(&mut vec![0; length]).is_err() {
                return (answered, 1);
            }
            answered += 1;
            if closes {
                break;
            }
        }
    }
    (answered, 0)
}

#[test]
fn a_gateway_that_is_told_to_end_under_load_loses_no_request() {
    let desk = Desk::new();
    desk.write("small.toml", &scenario("workers = 16", ""));
    let upstreams = desk.serves(&["upstreams", "small.toml"]);
    let api = upstreams.address("api at http://");
    let mut gateway =
        desk.serves(&["gateway", "small.toml", "--listen", ":0", "--upstream", &format!("api={api}")]);
    let address = gateway.address("listening on http://");
    let ends = std::thread::scope(|scope| {
        let clients: Vec<_> =
            (0..16).map(|_| scope.spawn(move || ask_until_nobody_listens(address))).collect();
        // Some load is to be there; how much does not matter.
        std::thread::sleep(Duration::from_millis(500));
        gateway.signal();
        gateway.exits(ExitCode::Held);
        clients.into_iter().map(|client| client.join().unwrap()).collect::<Vec<_>>()
    });
    assert!(ends.iter().all(|(answered, lost)| *answered > 0 && *lost == 0), "answered and lost: {ends:?}");
    upstreams.ends(ExitCode::Held);
}

/// A scenario whose gateway judges tokens, and which has an upstream that no route leads to.
fn with_tokens(identity: &str, spare: &str) -> String {
    let more = format!(
        "upstreams.identity = {{ latency.constant = '1ms', serves = 'jwks', {identity} }}\n\
         upstreams.spare = {{ latency.constant = '1ms', {spare} }}\n\
         gateway.auth = {{ jwks = 'identity', issuer = 'https://id.example' }}"
    );
    scenario("listen = '127.0.0.1:9101'", &more)
}

#[test]
fn a_gateway_reaches_beyond_loopback_for_nobody() {
    let desk = Desk::new();
    let here = "listen = '127.0.0.1:9102'";
    desk.write("tokens.toml", &with_tokens(here, ""))
        .write("nowhere.toml", &with_tokens("", ""))
        .write("far-keys.toml", &with_tokens("listen = '192.0.2.1:80'", ""))
        .write("far-spare.toml", &with_tokens(here, "listen = '192.0.2.1:80'"));
    for (args, words) in [
        (
            "tokens.toml --upstream identity=192.0.2.1:80",
            "the upstream `identity`: 192.0.2.1:80 is not on loopback",
        ),
        ("far-keys.toml", "the upstream `identity`: 192.0.2.1:80 is not on loopback"),
        (
            "tokens.toml --upstream spare=[2001:db8::1]:80",
            "the upstream `spare`: [2001:db8::1]:80 is not on loopback",
        ),
        ("far-spare.toml", "the upstream `spare`: 192.0.2.1:80 is not on loopback"),
        ("tokens.toml --otlp http://192.0.2.1:4318", "--otlp: http://192.0.2.1:4318 is not on loopback"),
        (
            "tokens.toml --otlp http://127.0.0.1@example.org",
            "--otlp: http://127.0.0.1@example.org is not on loopback",
        ),
        ("tokens.toml --otlp 127.0.0.1:4318", "a URL such as http://127.0.0.1:4318"),
        ("tokens.toml --otlp http://127.0.0.1:0", "a URL such as http://127.0.0.1:4318"),
        // Nobody dials port 0.
        ("nowhere.toml", "add `--upstream identity=127.0.0.1:PORT`"),
    ] {
        let args: Vec<_> = ["gateway", "--listen", ":0"].into_iter().chain(args.split(' ')).collect();
        let told = desk.fails(ExitCode::Usage, &args);
        assert!(told.contains(words), "no `{words}` in {told}");
    }
    // Everything is told at once.
    let far = ["gateway", "far-spare.toml", "--upstream", "identity=192.0.2.2:80", "--listen", "0.0.0.0:0"];
    let told = desk.fails(ExitCode::Usage, &far);
    assert_eq!(told.matches("is not on loopback").count(), 3, "{told}");
}

/// A collector that sends everybody on to that address. Returns what it is asked for.
fn collector_that_redirects(to: SocketAddr) -> (SocketAddr, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, asked) = mpsc::channel();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = BufReader::new(stream.unwrap());
            let mut lines = Vec::new();
            while lines.last().is_none_or(|line: &String| line != "\r\n") {
                let mut line = String::new();
                if stream.read_line(&mut line).unwrap() == 0 {
                    break;
                }
                lines.push(line);
            }
            let length =
                |line: &String| line.to_lowercase().strip_prefix("content-length: ")?.trim().parse().ok();
            let mut body = vec![0; lines.iter().find_map(length).unwrap_or(0)];
            stream.read_exact(&mut body).unwrap();
            let head = format!("location: http://{to}/\r\ncontent-length: 0\r\nconnection: close");
            write!(stream.get_mut(), "HTTP/1.1 307 There\r\n{head}\r\n\r\n").unwrap();
            sender.send(lines.swap_remove(0)).unwrap();
        }
    });
    (address, asked)
}

#[test]
fn an_export_goes_to_its_collector_and_to_nobody_it_names() {
    let [elsewhere, proxy] = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    let (collector, asked) = collector_that_redirects(elsewhere.local_addr().unwrap());
    let desk = Desk::new();
    desk.write("small.toml", &scenario("listen = '127.0.0.1:9101'", ""));
    let endpoint = format!("http://{collector}");
    let mut command = desk.tuesday(&["gateway", "small.toml", "--listen", ":0", "--otlp", &endpoint]);
    let proxied = format!("http://{}", proxy.local_addr().unwrap());
    for variable in ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"] {
        command.env(variable, &proxied);
    }
    for variable in ["NO_PROXY", "no_proxy"] {
        command.env_remove(variable);
    }
    let gateway = Serving::of(&mut command);
    // Nobody answers at the upstream, which is a span too.
    assert_eq!(status(&read(ask(gateway.address("listening on http://"), "/api"))), 502);
    gateway.ends(ExitCode::Held);
    let asked: Vec<_> = asked.try_iter().collect();
    assert!(asked.iter().any(|line| line.starts_with("POST /v1/traces ")), "{asked:?}");
    for listener in [elsewhere, proxy] {
        listener.set_nonblocking(true).unwrap();
        assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
    }
}

#[test]
fn a_gateway_with_few_descriptors_is_locked_by_no_crowd() {
    let desk = Desk::new();
    desk.write("small.toml", &scenario(&format!("listen = '{}'", answering()), ""));
    let program = cargo_bin("tuesday").display().to_string();
    let line =
        format!("ulimit -n 64 && exec {program} gateway small.toml --listen 0 --threads 2 --log log.jsonl");
    let gateway = Serving::of(Command::new("sh").args(["-c", &line]).current_dir(desk.0.path()));
    assert!(gateway.said.contains("at most 14 connections of clients at once"), "{}", gateway.said);
    let listens = gateway.address("listening on http://");
    let mut crowd = Vec::new();
    for _ in 0..10 {
        crowd.extend((0..100).map(|_| TcpStream::connect(listens).unwrap()));
        assert_eq!(status(&read(ask(listens, "/api"))), 200);
    }
    gateway.ends(ExitCode::Held);
}

/// An upstream that answers everybody, as long as the test lasts.
fn answering() -> SocketAddr {
    let upstream = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = upstream.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut stream in upstream.incoming().flatten() {
            std::thread::spawn(move || {
                let mut buffer = [0; 4096];
                while let Ok(1..) = stream.read(&mut buffer) {
                    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
                }
            });
        }
    });
    address
}

/// So many requests, one after the other, each answered.
fn ask_often(address: SocketAddr, requests: usize) {
    for _ in 0..requests {
        assert_eq!(status(&read(ask(address, "/api"))), 200);
    }
}

#[test]
fn lines_that_a_full_disk_refuses_are_counted_to_the_last() {
    let desk = Desk::new();
    desk.write("small.toml", &scenario(&format!("listen = '{}'", answering()), ""));
    let mut gateway =
        desk.serves(&["gateway", "small.toml", "--listen", "0", "--log", "/dev/full", "--admin", "0"]);
    ask_often(gateway.address("listening on http://"), 150);
    let line = gateway.said.lines().find_map(|line| line.strip_prefix("metrics at http://")).unwrap();
    let admin: SocketAddr = line.trim_end_matches("/metrics").parse().unwrap();
    let metrics = || {
        let mut stream = TcpStream::connect(admin).unwrap();
        write!(stream, "GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").unwrap();
        read(stream)
    };
    while !metrics().contains("gateway_telemetry_dropped_total{sink=\"log\"} 150\n") {}
    gateway.signal();
    gateway.hear("150 lines are missing in the log");
    gateway.exits(ExitCode::Held);
}

#[test]
fn the_admin_port_answers_to_the_names_of_admin_host() {
    let desk = Desk::new();
    desk.write("small.toml", &scenario(&format!("listen = '{}'", answering()), ""));
    let names = ["--admin-host", "gateway.example", "--admin-host", "ops.example"];
    for more in [&[][..], &["--watch"]] {
        let args = [&["gateway", "small.toml", "--listen", "0", "--admin", "0"], &names[..], more].concat();
        let gateway = desk.serves(&args);
        let line = gateway.said.lines().find_map(|line| line.strip_prefix("metrics at http://")).unwrap();
        let admin: SocketAddr = line.trim_end_matches("/metrics").parse().unwrap();
        let status_for = |host: &str| {
            let mut stream = TcpStream::connect(admin).unwrap();
            write!(stream, "GET /healthz HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n").unwrap();
            status(&read(stream))
        };
        assert_eq!(["gateway.example:9090", "ops.example", "localhost"].map(status_for), [200; 3]);
        assert_eq!(status_for("evil.test"), 421);
    }
    for wrong in ["", "gateway.example:9090", "http://gateway.example", "gateway..example", "*"] {
        let args = ["gateway", "small.toml", "--admin", "0", "--admin-host", wrong];
        let told = desk.fails(ExitCode::Usage, &args);
        assert!(told.contains("a DNS name without a port"), "{wrong}: {told}");
    }
    assert!(
        desk.fails(ExitCode::Usage, &["gateway", "small.toml", "--admin-host", "a.test"]).contains("--admin")
    );
}

#[test]
fn a_log_that_is_blocked_does_not_keep_the_gateway_from_ending() {
    let desk = Desk::new();
    desk.write("small.toml", &scenario(&format!("listen = '{}'", answering()), ""));
    let pipe = desk.path("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    // Somebody has it open, and reads nothing.
    let _reader = fs::OpenOptions::new().read(true).write(true).open(&pipe).unwrap();
    let mut gateway =
        desk.serves(&["gateway", "small.toml", "--listen", "0", "--log", "pipe", "--grace", "100ms"]);
    ask_often(gateway.address("listening on http://"), 400);
    gateway.signal();
    gateway.hear("lines are missing in the log, which took nothing more");
    gateway.exits(ExitCode::Held);
}

#[test]
fn a_log_is_opened_again_when_a_signal_says_so() {
    let desk = Desk::new();
    desk.write("small.toml", &scenario(&format!("listen = '{}'", answering()), ""));
    let mut gateway = desk.serves(&["gateway", "small.toml", "--listen", "0", "--log", "log.jsonl"]);
    let address = gateway.address("listening on http://");
    let reopen = |gateway: &Serving| {
        let id = gateway.child.id().to_string();
        assert!(Command::new("kill").args(["-USR1", &id]).status().unwrap().success());
    };
    ask_often(address, 20);
    fs::rename(desk.path("log.jsonl"), desk.path("log.1.jsonl")).unwrap();
    reopen(&gateway);
    gateway.hear("the log goes on in log.jsonl");
    ask_often(address, 30);
    // Where it cannot be opened, it stays where it is.
    fs::rename(desk.path("log.jsonl"), desk.path("log.2.jsonl")).unwrap();
    fs::create_dir(desk.path("log.jsonl")).unwrap();
    reopen(&gateway);
    gateway.hear("cannot write to log.jsonl");
    ask_often(address, 5);
    gateway.ends(ExitCode::Held);
    let lines = |name: &str| {
        let text = fs::read_to_string(desk.path(name)).unwrap();
        assert!(text.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()), "{text}");
        text.lines().count()
    };
    assert_eq!((lines("log.1.jsonl"), lines("log.2.jsonl")), (20, 35));
}
