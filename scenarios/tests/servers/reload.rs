//! A gateway that reads its scenario again while it serves.

use std::sync::atomic::Ordering::Relaxed;

use super::*;

/// A gateway of this scenario, whose upstream is at `api`.
struct Reloading {
    desk: Desk,
    serving: Serving,
    api: SocketAddr,
}

impl Reloading {
    fn start(api: SocketAddr, more: &str, options: &[&str]) -> Self {
        let desk = Desk::new();
        desk.write("small.toml", &scenario(&format!("listen = '{api}'"), more));
        let serving = desk.serves(&[&["gateway", "small.toml", "--listen", "0"], options].concat());
        Self { desk, serving, api }
    }

    fn address(&self) -> SocketAddr {
        self.serving.address("listening on http://")
    }

    /// Writes the scenario anew and says what the gateway says of it.
    #[track_caller]
    fn reload(&mut self, more: &str) -> String {
        let text = scenario(&format!("listen = '{}'", self.api), more);
        self.reload_text(&text)
    }

    #[track_caller]
    fn reload_text(&mut self, text: &str) -> String {
        self.desk.write("small.toml", text);
        let id = self.serving.child.id().to_string();
        assert!(Command::new("kill").args(["-HUP", &id]).status().unwrap().success());
        let mut said = String::new();
        while !said.contains("reloaded") {
            assert_ne!(self.serving.err.read_line(&mut said).unwrap(), 0, "it ended, having said {said}");
        }
        said
    }

    fn asks(&self) -> u16 {
        status(&read(ask(self.address(), "/api")))
    }

    /// The series that it shows.
    fn series(&self) -> Vec<String> {
        let address = self.serving.said.split("metrics at http://").nth(1).unwrap();
        let address = address.split('/').next().unwrap();
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").unwrap();
        let page = read(stream);
        assert_eq!(status(&page), 200, "{page}");
        page.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect()
    }

    fn has(&self, series: &str) -> bool {
        self.series().iter().any(|line| line == series)
    }
}

#[test]
fn a_limit_that_has_changed_is_in_force_and_another_keeps_its_count() {
    let mut gateway = Reloading::start(answering(), &limit(3), &[]);
    assert_eq!([gateway.asks(), gateway.asks()], [200, 200]);
    // The same limit beside another that comes in: two of the three are used up.
    let timeout = [&limit(3)[..], "\ngateway.timeout = '7s'"].concat();
    let said = gateway.reload(&timeout);
    assert!(said.contains("reloaded small.toml, variant base: gateway.timeout = 7s\n"), "{said}");
    assert_eq!([gateway.asks(), gateway.asks()], [200, 429]);
    // Another limit begins anew.
    let said = gateway.reload(&limit(1));
    assert!(said.contains("gateway.rate_limit.per_key = sliding-window-log, 1 per 1h"), "{said}");
    assert_eq!([gateway.asks(), gateway.asks()], [200, 429]);
    let said = gateway.reload(&limit(1));
    assert!(said.contains("reloaded small.toml, variant base: nothing has changed\n"), "{said}");
    assert_eq!(gateway.asks(), 429);
    gateway.reload("");
    assert_eq!(gateway.asks(), 200);
    gateway.serving.ends(ExitCode::Held);
}

#[test]
fn an_open_breaker_stays_open() {
    let nobody = free();
    let breaker = |threshold: &str| {
        format!(
            "gateway.breaker = {{ window = '1h', error_threshold = '{threshold}', min_requests = 2, half_open = \
             'single-probe', probe_interval = '1h', successes_to_close = 1 }}"
        )
    };
    let mut gateway = Reloading::start(nobody, &breaker("50%"), &[]);
    assert_eq!([gateway.asks(), gateway.asks(), gateway.asks()], [502, 502, 503]);
    gateway.reload(&[&breaker("50%")[..], "\n", &limit(100)].concat());
    assert_eq!(gateway.asks(), 503);
    gateway.reload(&breaker("60%"));
    assert_eq!(gateway.asks(), 503);
    gateway.reload("");
    assert_eq!(gateway.asks(), 502);
    gateway.serving.ends(ExitCode::Held);
}

#[test]
fn what_cannot_be_reloaded_changes_nothing_and_is_told() {
    let api = answering();
    let mut gateway = Reloading::start(api, &limit(100), &["--admin", "0"]);
    assert!(gateway.has("gateway_config_last_reload_successful 1"));
    let here = format!("listen = '{api}'");
    let good = scenario(&here, &limit(0x7fff));
    for (text, why) in [
        ("name = ".to_owned(), "small.toml"),
        (good.replace("limit = 32767", "limit = 'x'"), "limit"),
        ([&good[..], "\nroutes.'/more'.upstream = 'api'\n"].concat(), "the routes lead elsewhere"),
        (good.replace(&here, &format!("listen = '{}'", free())), "an upstream is somewhere else"),
        (
            good.replace("upstreams.api ", "upstreams.other = { latency = '1ms' }\nupstreams.api "),
            "there are other upstreams",
        ),
    ] {
        let said = gateway.reload_text(&text);
        assert!(said.contains(why) && said.contains("nothing was reloaded"), "{said}");
        assert!(!said.contains("panicked"), "{said}");
        assert!(!gateway.has("gateway_config_last_reload_successful 1"));
        assert_eq!(gateway.asks(), 200);
    }
    fs::remove_file(gateway.desk.path("small.toml")).unwrap();
    let id = gateway.serving.child.id().to_string();
    assert!(Command::new("kill").args(["-HUP", &id]).status().unwrap().success());
    gateway.serving.hear("nothing was reloaded");
    let said = gateway.reload(&limit(7));
    assert!(said.contains("per_key"), "{said}");
    assert!(gateway.has("gateway_config_last_reload_successful 1"));
    gateway.serving.ends(ExitCode::Held);
}

/// What is shown of the gateway follows: a limit that came in has series and stands in the log, and one that went has none.
#[test]
fn what_is_told_goes_by_what_is_in_force() {
    let mut gateway = Reloading::start(answering(), "", &["--admin", "0", "--log", "log.jsonl"]);
    let saturation = r#"gateway_rate_limit_saturation_ratio{scope="per_key"} 0.5"#;
    let admitted = r#"gateway_rate_limit_decisions_total{scope="per_key",verdict="admitted"} 1"#;
    assert_eq!(gateway.asks(), 200);
    assert!(!gateway.has(admitted) && !gateway.has("gateway_pool_workers_limit 5"));
    gateway.reload(&[&limit(2)[..], "\ngateway.workers = 5"].concat());
    assert_eq!(gateway.asks(), 200);
    assert!(
        gateway.has(saturation) && gateway.has(admitted) && gateway.has("gateway_pool_workers_limit 5"),
        "{:#?}",
        gateway.series()
    );
    gateway.reload("");
    assert!(!gateway.has("gateway_pool_workers_limit 5"));
    assert!(!gateway.series().iter().any(|line| line.starts_with("gateway_rate_limit_saturation_ratio{")));
    let path = gateway.desk.path("log.jsonl");
    gateway.serving.ends(ExitCode::Held);
    let lines = fs::read_to_string(path).unwrap();
    let allowances: Vec<_> = lines
        .lines()
        .map(|line| {
            serde_json::from_str::<Value>(line).unwrap()["rate_limits"]["per_key"]["allowance"].take()
        })
        .collect();
    assert_eq!(allowances, [Value::Null, Value::from(2)]);
}

/// Requests on their way, connections that rest between requests and requests in the queue live through it.
#[test]
fn a_reload_under_load_loses_no_request_and_no_connection() {
    let workers =
        |workers: usize| format!("gateway.workers = {workers}\ngateway.queue = 64\ngateway.timeout = '60s'");
    let mut gateway = Reloading::start(answering(), &workers(1), &[]);
    let address = gateway.address();
    let stop = std::sync::atomic::AtomicBool::new(false);
    let answered = std::thread::scope(|scope| {
        let clients: Vec<_> =
            (0..32).map(|_| scope.spawn(|| ask_on_one_connection(address, &stop))).collect();
        for round in 0..10 {
            let said = gateway.reload(&workers(1 + round % 3));
            assert!(!said.contains("nothing was reloaded"), "{said}");
        }
        stop.store(true, Relaxed);
        clients.into_iter().map(|client| client.join().unwrap()).collect::<Vec<_>>()
    });
    assert!(answered.iter().all(|answered| *answered > 0), "{answered:?}");
    gateway.serving.ends(ExitCode::Held);
}

/// Asks again and again on a connection that nobody closes, at least once. How often it was answered.
fn ask_on_one_connection(address: SocketAddr, stop: &std::sync::atomic::AtomicBool) -> usize {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let (mut writer, mut reader) = (stream.try_clone().unwrap(), BufReader::new(stream));
    let mut answered = 0;
    while answered == 0 || !stop.load(Relaxed) {
        writer.write_all(b"GET /api HTTP/1.1\r\nhost: test\r\n\r\n").unwrap();
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert_ne!(reader.read_line(&mut head).unwrap(), 0, "the connection is closed: {head:?}");
        }
        assert_eq!(status(&head), 200, "{head}");
        reader.read_exact(&mut [0; 2]).unwrap();
        answered += 1;
    }
    answered
}
