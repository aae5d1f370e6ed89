//! Gateways that are not ours, each beside what Tuesday says of it: the same clients and services, live through the product and in
//! virtual time through the preset with what the product's configuration says. `docs/trust/real-gateways.md` has the figures; with
//! `UPDATE_DOCS=1`, the tests write them there.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests are tests too; clippy only knows what stands in a test"
)]

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError, RwLock};

use assert_cmd::cargo::cargo_bin;
use reports::{ExperimentResult, Outcome, PopulationResult};
use tempfile::TempDir;
use tuesday::cli::ExitCode;

#[path = "../servers/product.rs"]
mod product;
#[path = "../servers/tool.rs"]
mod tool;

use product::free;
use tool::is_there;

/// One configuration of a product, in one world.
struct Case {
    /// Its row in the page.
    label: &'static str,
    product: &'static Product,
    world: World,
    /// The product's configuration, and what stands in the place of which words.
    configuration: &'static str,
    words: &'static [(&'static str, &'static str)],
    /// What of it Tuesday is told.
    model: &'static str,
}

/// How a product is started.
struct Product {
    name: &'static str,
    /// The program and its arguments; `@FILE@` is the configuration.
    command: &'static [&'static str],
    /// What makes it tell its version.
    version: &'static [&'static str],
}

#[derive(Clone, Copy, PartialEq)]
enum World {
    Boundary,
    Slow,
}

const NGINX: Product = Product {
    name: "nginx",
    command: &["nginx", "-e", "stderr", "-p", ".", "-c", "@FILE@"],
    version: &["-v"],
};

const HAPROXY: Product =
    Product { name: "HAProxy", command: &["haproxy", "-db", "-f", "@FILE@"], version: &["-v"] };

const ENVOY: Product = Product {
    name: "Envoy",
    command: &["envoy", "-c", "@FILE@", "--concurrency", "1", "--disable-hot-restart", "-l", "critical"],
    version: &["--version"],
};

const TRAEFIK: Product = Product {
    name: "Traefik",
    command: &[
        "traefik",
        "--global.checkNewVersion=false",
        "--global.sendAnonymousUsage=false",
        "--entryPoints.web.address=@GATEWAY@",
        "--providers.file.filename=@FILE@",
        "--providers.file.watch=false",
        "--log.level=FATAL",
    ],
    version: &["version"],
};

const CADDY: Product = Product {
    name: "Caddy",
    command: &["caddy", "run", "--adapter", "caddyfile", "--config", "@FILE@"],
    version: &["version"],
};

const NGINX_NODELAY: Case = Case {
    label: "nginx, `limit_req burst=100 nodelay`",
    product: &NGINX,
    world: World::Boundary,
    configuration: "nginx-boundary.conf",
    words: &[("@LIMIT@", "burst=100 nodelay")],
    model: "[gateway]\npreset = 'nginx'\n\
            rate_limit.per_key = { limit = 1000, window = '1m', burst = 100, delay = 100, status = 429 }",
};

const NGINX_DELAY: Case = Case {
    label: "nginx, `limit_req burst=100 delay=20`",
    words: &[("@LIMIT@", "burst=100 delay=20")],
    model: "[gateway]\npreset = 'nginx'\n\
            rate_limit.per_key = { limit = 1000, window = '1m', burst = 100, delay = 20, status = 429 }",
    ..NGINX_NODELAY
};

const NGINX_STRICT: Case = Case {
    label: "nginx, `limit_req` without `burst`",
    words: &[("@LIMIT@", "")],
    model: "[gateway]\npreset = 'nginx'\n\
            rate_limit.per_key = { limit = 1000, window = '1m', status = 429 }",
    ..NGINX_NODELAY
};

const HAPROXY_COUNTING_ALL: Case = Case {
    label: "HAProxy, `http_req_rate(60s)` above 1,000",
    product: &HAPROXY,
    world: World::Boundary,
    configuration: "haproxy-boundary.cfg",
    words: &[
        ("@STORE@", "http_req_rate(60s)"),
        ("@LIMIT@", "http-request deny deny_status 429 if { sc_http_req_rate(0) gt 1000 }"),
    ],
    model: "[gateway]\npreset = 'haproxy'\n\
            rate_limit.per_key = { limit = 1000, window = '1m', status = 429 }",
};

const HAPROXY_COUNTING_ADMITTED: Case = Case {
    label: "HAProxy, `gpc0_rate(60s)` of those let through",
    words: &[
        ("@STORE@", "gpc0,gpc0_rate(60s)"),
        (
            "@LIMIT@",
            "http-request deny deny_status 429 if { sc_gpc0_rate(0) ge 1000 }\n    http-request sc-inc-gpc0(0)",
        ),
    ],
    model: "[gateway]\npreset = 'haproxy'\n\
            rate_limit.per_key = { limit = 1000, window = '1m', status = 429, count_rejected = false }",
    ..HAPROXY_COUNTING_ALL
};

const ENVOY_LIMIT: Case = Case {
    label: "Envoy, `local_ratelimit` of 100 tokens, one per 60 ms",
    product: &ENVOY,
    world: World::Boundary,
    configuration: "envoy-boundary.yaml",
    words: &[],
    model: "[gateway]\npreset = 'envoy'\nrate_limit.per_key = { limit = 1000, window = '1m', burst = 100 }",
};

const TRAEFIK_LIMIT: Case = Case {
    label: "Traefik, `rateLimit` with `burst: 100`",
    product: &TRAEFIK,
    world: World::Boundary,
    configuration: "traefik-boundary.yml",
    words: &[],
    model: "[gateway]\npreset = 'traefik'\nrate_limit.per_key = { limit = 1000, window = '1m', burst = 100 }",
};

const NGINX_SLOW: Case = Case {
    label: "nginx, two entries, `max_fails=5 fail_timeout=3s`",
    product: &NGINX,
    world: World::Slow,
    configuration: "nginx-slow.conf",
    words: &[],
    model: "[gateway]\npreset = 'nginx'\ntry_timeout = '3s'\n\
            upstreams.checkout.eject = { consecutive = 5, ejection = '3s' }\n\
            [variants.two-entries]\nupstreams.checkout.hosts = 2\nroutes.'/checkout'.retry = { retries = 1 }",
};

const HAPROXY_SLOW: Case = Case {
    label: "HAProxy, `observe layer7 on-error mark-down`",
    product: &HAPROXY,
    world: World::Slow,
    configuration: "haproxy-slow.cfg",
    words: &[],
    model: "[gateway]\npreset = 'haproxy'\ntry_timeout = '3s'\n[gateway.upstreams.checkout]\n\
            eject = { consecutive = 5 }\n\
            health = { path = '/checkout', interval = '250ms', timeout = '250ms', unhealthy = 60 }",
};

const ENVOY_SLOW: Case = Case {
    label: "Envoy, `outlier_detection`, 2 s at first",
    product: &ENVOY,
    world: World::Slow,
    configuration: "envoy-slow.yaml",
    words: &[],
    model: "[gateway]\npreset = 'envoy'\ntimeout = '3s'\n[gateway.upstreams.checkout]\npanic_below = '0%'\n\
            eject = { ejection = '2s', max_share = '100%', sweep = '250ms' }",
};

const TRAEFIK_SLOW: Case = Case {
    label: "Traefik, `circuitBreaker` at half of the answers",
    product: &TRAEFIK,
    world: World::Slow,
    configuration: "traefik-slow.yml",
    words: &[],
    model: "[gateway]\npreset = 'traefik'\ntry_timeout = '3s'\n[gateway.upstreams.checkout]\n\
            breaker = { error_threshold = '50%', probe_interval = '2s', over = '2s' }",
};

const CADDY_SLOW: Case = Case {
    label: "Caddy, `max_fails 5`, `fail_duration 3s`",
    product: &CADDY,
    world: World::Slow,
    configuration: "Caddyfile-slow",
    words: &[],
    model: "[gateway]\npreset = 'caddy'\ntry_timeout = '3s'\n\
            upstreams.checkout.eject = { consecutive = 5, ejection = '3s' }",
};

/// In the order of the page.
const CASES: [&Case; 12] = [
    &NGINX_NODELAY,
    &NGINX_DELAY,
    &NGINX_STRICT,
    &HAPROXY_COUNTING_ALL,
    &HAPROXY_COUNTING_ADMITTED,
    &ENVOY_LIMIT,
    &TRAEFIK_LIMIT,
    &NGINX_SLOW,
    &HAPROXY_SLOW,
    &ENVOY_SLOW,
    &TRAEFIK_SLOW,
    &CADDY_SLOW,
];

#[test]
fn nginx_admits_a_burst_at_once() {
    NGINX_NODELAY.agrees();
}

#[test]
fn nginx_has_a_burst_wait() {
    NGINX_DELAY.agrees();
}

#[test]
fn nginx_admits_no_burst() {
    let Some(real) = NGINX_STRICT.real() else { return };
    let model = NGINX_STRICT.model();
    // nginx counts in whole milliseconds and in thousandths of a request a second: 16,666 of them are a request after 60.002 ms,
    // and 61 ms are the first whole ones. So 4 s have 66 requests and not 67; and what is sent each 2 ms comes after 62 ms, so that
    // it is 65. Whatever the arrivals in between, it is between the two.
    NGINX_STRICT.agree_on_admitted(&real, &model, 65.0..=67.0);
}

#[test]
fn haproxy_counts_what_it_denies() {
    HAPROXY_COUNTING_ALL.agrees();
}

#[test]
fn haproxy_counts_what_it_lets_through() {
    HAPROXY_COUNTING_ADMITTED.agrees();
}

#[test]
fn envoy_has_a_bucket_of_tokens() {
    ENVOY_LIMIT.agrees();
}

#[test]
fn traefik_has_a_bucket_of_tokens() {
    TRAEFIK_LIMIT.agrees();
}

#[test]
fn nginx_passes_over_two_entries() {
    let Some(real) = NGINX_SLOW.real() else { return };
    // nginx compares whole seconds of its own clock, of which nobody knows where they begin in a run.
    let phases = ["00", "00.25", "00.5", "00.75"]
        .map(|seconds| NGINX_SLOW.model_with(&[("09:00:00Z", &format!("09:00:{seconds}Z"))]));
    NGINX_SLOW.agree_on_shares("buyers", &real, &phases);
    NGINX_SLOW.agree_on_shares("payers", &real, &phases);
}

#[test]
fn haproxy_takes_a_server_out_by_errors_and_in_by_checks() {
    HAPROXY_SLOW.agrees();
}

#[test]
fn envoy_ejects_the_only_host() {
    ENVOY_SLOW.agrees();
}

#[test]
fn caddy_remembers_failures() {
    CADDY_SLOW.agrees();
}

#[test]
fn traefik_trips_again_on_what_was_on_its_way() {
    let Some(real) = TRAEFIK_SLOW.real() else { return };
    let model = TRAEFIK_SLOW.model();
    TRAEFIK_SLOW.agree_on_shares("payers", &real, std::slice::from_ref(&model));
    // Both breakers open when the failures of ten seconds outweigh the successes: those of the first 3 s are 60, and so many more have
    // failed at 9 s. From then on Traefik records the failures that are still on their way, until 12 s, and forgets them with each
    // trip. It recovers at 11 s, and the first answer meets failures of before, and trips it; at 13 s it meets those that came between
    // 11 and 12 s, and trips it again. At 15 s there are none left, and Traefik lets more and more through until 17 s. A request each
    // 50 ms and answers within 100 ms: of each recovery that ends at once, two requests at most come through.
    let (real, model) = (real.population("buyers"), model.population("buyers"));
    let sum = |served: &[u32]| served.iter().sum::<u32>();
    let between = |population: &PopulationResult| sum(&population.served_per_s[9..15]);
    let there = between(real);
    assert!(there <= 4, "{there} between the first trip and the last recovery");
    assert!(sum(&real.served_per_s[17..]) >= 10, "{:?}: no recovery", real.served_per_s);
    // Here, what was on its way when a breaker opened counts for nothing, so that the first recovery is one: half of two seconds'
    // requests and all of two more, until 15 s.
    let here = between(model);
    assert!(here >= 40, "{here} between the same times");
    // Until then nothing differs.
    let timed_out = [real, model].map(|population| Shares::of(population).timed_out);
    assert!(timed_out[1] - timed_out[0] > -POINTS, "{timed_out:?}");
}

/// The least and the most that is no difference: three points, and two requests or two percent.
const POINTS: f64 = 3.0;
const REQUESTS: f64 = 2.0;
const SHARE: f64 = 0.02;

impl Case {
    /// The product does what Tuesday says of it.
    fn agrees(&self) {
        let Some(real) = self.real() else { return };
        let model = self.model();
        match self.world {
            World::Boundary => {
                let admitted = model.population("partner").summary.count(Outcome::Served) as f64;
                self.agree_on_admitted(&real, &model, admitted..=admitted);
            }
            World::Slow => {
                for population in ["buyers", "payers"] {
                    self.agree_on_shares(population, &real, std::slice::from_ref(&model));
                }
            }
        }
    }

    /// Of the partner's requests as many are admitted as are expected, and of the others' as many as the model has.
    fn agree_on_admitted(&self, real: &Run, model: &Run, expected: RangeInclusive<f64>) {
        let admitted = real.population("partner").summary.count(Outcome::Served) as f64;
        let (least, most) = (expected.start(), expected.end());
        let within = |expected: f64| REQUESTS.max(SHARE * expected);
        assert!(
            admitted >= least - within(*least) && admitted <= most + within(*most),
            "{}: {admitted} were admitted, and {expected:?} were expected",
            self.label
        );
        let [there, here] = [real, model].map(|run| Shares::of(run.population("others")).rejected);
        assert!((there - here).abs() <= POINTS, "{}: {there}% and {here}%", self.label);
    }

    /// The shares lie within three points of those of the model, or between those of several models.
    fn agree_on_shares(&self, population: &str, real: &Run, models: &[Run]) {
        let there = Shares::of(real.population(population));
        let here: Vec<_> = models.iter().map(|run| Shares::of(run.population(population))).collect();
        for (what, share) in [
            ("timed out", (|shares: &Shares| shares.timed_out) as fn(&Shares) -> f64),
            ("were rejected", |shares: &Shares| shares.rejected),
        ] {
            let least = here.iter().map(share).fold(f64::INFINITY, f64::min);
            let most = here.iter().map(share).fold(f64::NEG_INFINITY, f64::max);
            let found = share(&there);
            assert!(
                found >= least - POINTS && found <= most + POINTS,
                "{}: of {population} {found:.1}% {what}, and {least:.1}% to {most:.1}% were expected",
                self.label
            );
        }
    }

    /// Runs the product, and notes what came of it in the page where that is asked for. `None` where the product is not installed.
    fn real(&self) -> Option<Run> {
        static MACHINE: RwLock<()> = RwLock::new(());
        if !is_there(self.product.command[0]) {
            return None;
        }
        // Six hundred requests a second want the machine for themselves; of forty, several worlds may run at once.
        let (_alone, _along) = match self.world {
            World::Boundary => (Some(MACHINE.write().unwrap_or_else(PoisonError::into_inner)), None),
            World::Slow => (None, Some(MACHINE.read().unwrap_or_else(PoisonError::into_inner))),
        };
        let desk = TempDir::new().unwrap();
        let mut words: BTreeMap<&str, String> =
            self.words.iter().map(|(word, text)| (*word, (*text).to_owned())).collect();
        let url = free();
        for (word, address) in
            [("@GATEWAY@", url), ("@ORDERS@", free()), ("@CHECKOUT@", free()), ("@PAYMENTS@", free())]
        {
            words.insert(word, address.to_string());
        }
        for (word, of) in [
            ("@GATEWAY_PORT@", "@GATEWAY@"),
            ("@ORDERS_PORT@", "@ORDERS@"),
            ("@CHECKOUT_PORT@", "@CHECKOUT@"),
            ("@PAYMENTS_PORT@", "@PAYMENTS@"),
        ] {
            let address: SocketAddr = words[of].parse().unwrap();
            words.insert(word, address.port().to_string());
        }
        words.insert("@HERE@", desk.path().display().to_string());
        words.insert("@FILE@", self.configuration.to_owned());
        let filled =
            |text: &str| words.iter().fold(text.to_owned(), |text, (word, with)| text.replace(word, with));
        fs::write(desk.path().join(self.configuration), filled(&read(self.configuration))).unwrap();
        let command: Vec<_> = self.product.command.iter().map(|word| filled(word)).collect();
        let external = format!(
            "[gateway.external]\nurl = 'http://{url}'\ncommand = {command:?}\nready = '{}'\nready_within = '30s'\n",
            self.world.ready()
        );
        let world = format!("{}\n{external}", filled(&read(self.world.file())));
        let run = Run::of(desk.path(), &world, &["--engine", "live"]);
        self.note(&[(VERSION, self.version()), (THERE, self.world.told(&run)), (DATE, today())]);
        Some(run)
    }

    fn model(&self) -> Run {
        self.model_with(&[])
    }

    /// What Tuesday says of it, with other words in the world.
    fn model_with(&self, words: &[(&str, &str)]) -> Run {
        let world = read(self.world.file());
        // Nobody listens.
        let world: Vec<_> = world.lines().filter(|line| !line.starts_with("listen")).collect();
        let world = words.iter().fold(world.join("\n"), |world, (word, with)| {
            assert!(world.contains(word), "there is no {word}");
            world.replace(word, with)
        });
        let desk = TempDir::new().unwrap();
        Run::of(desk.path(), &format!("{world}\n\n{}\n", self.model), &[])
    }

    /// Such as `1.22.1`.
    fn version(&self) -> String {
        let output = Command::new(self.product.command[0]).args(self.product.version).output().unwrap();
        let told =
            [output.stdout, output.stderr].map(|told| String::from_utf8_lossy(&told).into_owned()).concat();
        let mut words = told.split(|letter: char| !letter.is_ascii_digit() && letter != '.');
        let is_version = |word: &&str| word.split('.').filter(|part| !part.is_empty()).count() == 3;
        format!("{} {}", self.product.name, words.find(is_version).unwrap_or("of some version"))
    }

    /// Writes cells of the case's row, if that is asked for.
    fn note(&self, cells: &[(usize, String)]) {
        static PAGE: Mutex<()> = Mutex::new(());
        if env::var_os("UPDATE_DOCS").is_none() {
            return;
        }
        let _page = PAGE.lock().unwrap_or_else(PoisonError::into_inner);
        let text = fs::read_to_string(page()).unwrap();
        let row = self.row(&text);
        let mut written: Vec<String> = row.clone();
        for (place, cell) in cells {
            written[*place].clone_from(cell);
        }
        let line = |row: &[String]| format!("| {} |", row.join(" | "));
        fs::write(page(), text.replace(&line(&row), &line(&written))).unwrap();
    }

    /// The cells of the case's row.
    #[track_caller]
    fn row(&self, page: &str) -> Vec<String> {
        let is_row = |line: &&str| line.starts_with(&format!("| {} |", self.label));
        let row = page.lines().find(is_row).unwrap_or_else(|| panic!("the page has no row {}", self.label));
        row.trim_start_matches("| ").trim_end_matches(" |").split(" | ").map(str::to_owned).collect()
    }
}

/// The cells of a row.
const VERSION: usize = 1;
const THERE: usize = 2;
const HERE: usize = 3;
const DATE: usize = 4;

#[test]
fn the_page_has_what_tuesday_says_of_each_product() {
    for case in CASES {
        let told = case.world.told(&case.model());
        case.note(&[(HERE, told.clone())]);
        let row = case.row(&fs::read_to_string(page()).unwrap());
        assert_eq!(row.len(), DATE + 1, "{row:?}");
        assert_eq!(
            row[HERE], told,
            "{}: UPDATE_DOCS=1 cargo test -p tuesday --test side_by_side",
            case.label
        );
    }
}

impl World {
    fn file(self) -> &'static str {
        match self {
            Self::Boundary => "boundary.toml",
            Self::Slow => "slow.toml",
        }
    }

    fn ready(self) -> &'static str {
        match self {
            Self::Boundary => "/orders",
            Self::Slow => "/payments",
        }
    }

    /// What the page tells of a run.
    fn told(self, run: &Run) -> String {
        match self {
            Self::Boundary => {
                let partner = &run.population("partner").summary;
                let median = partner.latency.at(50.0).unwrap() as f64 / 1e3;
                format!("{} ({median:.0} ms)", partner.count(Outcome::Served))
            }
            Self::Slow => {
                let Shares { served, timed_out, rejected } = Shares::of(run.population("buyers"));
                format!("{served:.0}% / {timed_out:.0}% / {rejected:.0}%")
            }
        }
    }
}

/// How the requests of a population ended, in percent.
struct Shares {
    served: f64,
    timed_out: f64,
    rejected: f64,
}

impl Shares {
    /// Of those that found their route: Traefik answers 404 until it has read its own. Products differ in the status of a rejection
    /// (nginx has 502 where no server is left, others 503); here it is whatever the gateway answered by itself before time was up.
    fn of(population: &PopulationResult) -> Self {
        let count = |outcomes: &[Outcome]| -> u64 {
            outcomes.iter().map(|outcome| population.summary.count(*outcome)).sum()
        };
        let served = count(&[Outcome::Served]);
        let timed_out = count(&[Outcome::TimedOut]);
        let rejected =
            count(&[Outcome::RateLimited, Outcome::ShortCircuited, Outcome::Shed, Outcome::UpstreamError]);
        let without_route = count(&[Outcome::NoRoute]);
        let known = served + timed_out + rejected;
        assert_eq!(known + without_route, population.summary.offered, "{:?}", population.summary.outcomes);
        assert!(without_route * 20 < known, "{without_route} found no route");
        let share = |part: u64| 100.0 * part as f64 / known as f64;
        Self { served: share(served), timed_out: share(timed_out), rejected: share(rejected) }
    }
}

/// The only run of an experiment.
struct Run(Vec<PopulationResult>);

impl Run {
    /// Runs a scenario; again where the harness itself says that its run counts for nothing, as on a machine that others use too.
    #[track_caller]
    fn of(folder: &Path, scenario: &str, more: &[&str]) -> Self {
        fs::write(folder.join("scenario.toml"), scenario).unwrap();
        let mut reasons = Vec::new();
        for _ in 0..3 {
            let mut command = Command::new(cargo_bin("tuesday"));
            command.current_dir(folder).stdin(Stdio::null()).env("NO_COLOR", "1");
            let output =
                command.args(["run", "scenario.toml", "--json", "--quiet"]).args(more).output().unwrap();
            let told = String::from_utf8_lossy(&output.stderr).into_owned();
            let is_invalid = output.status.code() == Some(i32::from(ExitCode::RunFailed.number()));
            assert!(output.status.success() || is_invalid, "{told}\n{scenario}");
            let results: Vec<ExperimentResult> = serde_json::from_slice(&output.stdout)
                .unwrap_or_else(|error| panic!("{error}: {told}\n{scenario}"));
            let run = results.into_iter().next().unwrap().variants.remove(0).runs.remove(0);
            match run.harness {
                Some(harness) if !harness.invalid.is_empty() => reasons.push(harness.invalid),
                _ => return Self(run.populations),
            }
        }
        panic!("three runs count for nothing: this machine was too busy to send on time: {reasons:?}");
    }

    #[track_caller]
    fn population(&self, name: &str) -> &PopulationResult {
        self.0.iter().find(|population| population.name == name).unwrap()
    }
}

fn read(file: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/side_by_side");
    fs::read_to_string(folder.join(file)).unwrap()
}

fn page() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/trust/real-gateways.md")
}

fn today() -> String {
    let output = Command::new("date").args(["-u", "+%F"]).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}
