//! The schema that is checked in, and the reference that uses all of it.

use std::fs;
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use serde_json::Value;
use tuesday::{Scenario, file, library, run_experiment};

fn path_of(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn text_of(name: &str) -> String {
    fs::read_to_string(path_of(name)).expect("a file of the repository")
}

/// The scenario of a text without even a warning, or what is wrong with it.
fn scenario(text: &str) -> Result<Scenario, String> {
    let companion = |name: &str| fs::read_to_string(path_of(name)).map_err(|error| error.to_string());
    let reading = file::read(text, &companion);
    let problems = file::render(&reading.problems, "scenario.toml", text, false);
    reading.scenario.filter(|_| reading.problems.is_empty()).ok_or(problems)
}

/// What the schema that is checked in has to say of a file: each problem with its place.
fn problems_by_schema(text: &str) -> Vec<(String, String)> {
    let schema = serde_json::from_str(&text_of("scenario.schema.json")).expect("the schema is JSON");
    let validator = jsonschema::draft7::new(&schema).expect("the schema is one");
    let file = json(toml::Value::Table(text.parse().expect("the file is TOML")));
    validator.iter_errors(&file).map(|error| (error.instance_path().to_string(), error.to_string())).collect()
}

/// As taplo hands a file to its schema.
fn json(value: toml::Value) -> Value {
    match value {
        toml::Value::String(text) => text.into(),
        toml::Value::Integer(number) => number.into(),
        toml::Value::Float(number) => number.into(),
        toml::Value::Boolean(truth) => truth.into(),
        toml::Value::Datetime(datetime) => datetime.to_string().into(),
        toml::Value::Array(items) => items.into_iter().map(json).collect(),
        toml::Value::Table(table) => table.into_iter().map(|(key, value)| (key, json(value))).collect(),
    }
}

#[test]
fn the_schema_that_is_checked_in_is_the_one_that_is_printed() {
    let output = Command::cargo_bin("tuesday").unwrap().arg("schema").assert().success();
    let printed = String::from_utf8(output.get_output().stdout.clone()).unwrap();
    assert!(
        printed == text_of("scenario.schema.json"),
        "scenario.schema.json is of another version; from the root of the repository, write it anew with\n\
         cargo run -p tuesday -- schema > scenarios/scenario.schema.json"
    );
    jsonschema::draft7::meta::validate(&serde_json::from_str(&printed).unwrap()).unwrap();
}

#[test]
fn every_shipped_file_is_in_order_by_the_schema() {
    let beside =
        ["reference.toml", "external/window-boundary-nginx.toml", "external/window-boundary-haproxy.toml"]
            .map(|name| (name, text_of(name)));
    let beside = beside.iter().map(|(name, text)| (*name, &**text));
    let shipped = library::all().into_iter().map(|shipped| (shipped.name, shipped.text));
    for (name, text) in shipped.chain(beside) {
        assert_eq!(problems_by_schema(text), [], "{name}");
    }
}

#[test]
fn the_reference_runs_and_does_what_it_says() {
    let mut scenario = scenario(&text_of("reference.toml")).unwrap_or_else(|problems| panic!("{problems}"));
    // A gateway that is not ours cannot be run in virtual time, nor where it is not installed.
    scenario.variants.retain(|variant| variant.world.external.is_none());
    let result = run_experiment(&scenario, &[scenario.seed], || {});
    let failed: Vec<_> = result.expectations.iter().filter(|expectation| !expectation.held).collect();
    assert!(failed.is_empty(), "{failed:#?}");
}

const SMALL: &str = "
name = 'Small'
duration = '1m'

[slo]
latency = '1s'

[upstreams.orders]
latency = { constant = '5ms' }

[routes.'/orders']
upstream = 'orders'

[clients.shoppers]
send = '/orders'
rate = '1/s'

[gateway.rate_limit.per_key]
algorithm = 'fixed-window'
limit = 10
window = '1m'
";

/// The small scenario with one part replaced, and more at its end.
fn changed(old: &str, new: &str, more: &str) -> String {
    assert!(SMALL.contains(old), "{old}");
    format!("{}{more}", SMALL.replacen(old, new, 1))
}

/// Both the reader and the schema take the text.
fn assert_taken(text: &str) {
    scenario(text).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(problems_by_schema(text), [], "{text}");
}

#[test]
fn journeys_and_caches_that_the_reader_takes_the_schema_takes() {
    for (old, new, more) in [
        (
            "send = '/orders'",
            "journey = [{ send = '/orders', method = 'POST', body = '1KB', continue = '50%' }, { send = '/orders', think = '1s' }]\n\
             on_failure = 'go-on'",
            "",
        ),
        ("send = '/orders'\nrate = '1/s'", "journey = [{ send = '/orders' }]\nusers = 3", ""),
        ("rate = '1/s'", "users = 3\npacing = '10s'", ""),
        // A cache with objects takes the place of one with a share.
        (
            "latency = { constant = '5ms' }",
            "latency = '5ms'\ncache = { hits = '95%', hit_latency = '2ms' }",
            "[variants.objects.upstreams.orders.cache]\nkeys = 5\nzipf = 0.8\nttl = { uniform = { min = '1s', max = '2s' } }\n\
             [variants.off.upstreams.orders]\ncache = false",
        ),
    ] {
        assert_taken(&changed(old, new, more));
    }
}

#[test]
fn what_the_reader_takes_the_schema_takes() {
    for (old, new, more) in [
        ("", "", ""),
        ("duration = '1m'", "starts = 2026-06-02 09:00:00+02:00\nduration = '00:01:00'", ""),
        ("limit = 10", "limit = 10\ncount_rejected = false", ""),
        ("", "", "[gateway.rate_limit]\nper_ip = false\nglobal = false"),
        (
            "constant = '5ms'",
            "mixture = [{ share = '100%', latency = { mixture = [{ share = '100%', latency = '0s' }] } }]",
            "",
        ),
        ("rate = '1/s'", "users = 3\nthink = '0s'", ""),
        ("rate = '1/s'", "users = 3\nthink = '2s'\nstart = 'together'", ""),
        ("rate = '1/s'", "users = [{ at = '0s', users = 0 }, { at = '9s', users = 7 }]\nthink = '2s'", ""),
        // A new number of users takes the place of the old one, and they think and start as they did.
        (
            "rate = '1/s'",
            "users = 3\nthink = '2s'\nstart = 'together'",
            "[variants.more.clients.shoppers]\nusers = [{ at = '0s', users = 7 }]\n\
             [variants.open.clients.shoppers]\nrate = '1/s'",
        ),
        ("send = '/orders'", "send = { '/orders/42' = 1, '/orders' = 0 }", ""),
        ("rate = '1/s'", "rate = '1/s'\nretry = { retries = 1 }", ""),
        ("rate = '1/s'", "rate = '1/s'\nretry = { retries = 1, on = ['429'], backoff = 'none' }", ""),
        (
            "rate = '1/s'",
            "rate = '1/s'\n\
             retry = { retries = 2, backoff = 'fixed', base = '1s', budget = { ratio = '0%', floor = '1/s' } }",
            "",
        ),
        ("", "", "[gateway]\ntimeout = '1s'\nretry = false\nbreaker = {}\nupstreams.orders = {}"),
        (
            "",
            "",
            "[gateway]\ntimeout = '1s'\nbreaker = { half_open = 'trickle' }\nupstreams.orders.breaker = false",
        ),
        (
            "[routes.",
            "[[upstreams.orders.calls]]\nupstream = 'stock'\ntimeout = '1s'\nbreaker = { calls = 3, half_open = 'trickle' }\n\
             [upstreams.stock]\nlatency = { constant = '0s' }\n[routes.",
            "",
        ),
        (
            "",
            "",
            "[[faults]]\nat = '0s'\nfor = '30s'\nupstreams = ['orders', 'orders']\nhang = {}\nerror = false\n\
             [[faults]]\nat = '1s'\nfor = '1s'\nupstreams = ['orders']\nslow.latency.exponential.mean = '1s'",
        ),
        ("[routes.", "[report]\nobjective = 'latency.p99'\n[routes.", ""),
        ("[routes.", "[report]\nobjective = ['goodput', 'latency.p50']\n[routes.", ""),
        ("upstream = 'orders'\n", "upstream = 'orders'\nweight = 10\n", ""),
        ("upstream = 'orders'\n", "upstream = 'orders'\nweight = 0.5\n", ""),
        // A variant names only what it changes, and drops what no longer applies.
        (
            "rate = '1/s'",
            "rate = '1/s'\nretry = { retries = 2, backoff = 'exponential', base = '1s', max = '9s' }",
            "[gateway]\ntimeout = '5s'\nbreaker = { half_open = 'trickle', calls = 3 }\n\
             [variants.a]\nclients.shoppers.retry.jitter = 'full'\ngateway.breaker.calls = 5\n\
             [variants.b]\nclients.shoppers.retry.backoff = 'none'\ngateway.breaker.half_open = 'single-probe'\n\
             [variants.c]\nclients.shoppers.retry = false\ngateway.breaker = false\n\
             [variants.d]\nfaults = []",
        ),
        // What the file leaves out, a preset brings.
        ("algorithm = 'fixed-window'", "", "[gateway]\npreset = 'kong'\nretry = {}\nbreaker = {}"),
        (
            "upstream = 'orders'\n",
            "upstream = 'orders'\nretry = {}\n",
            "[gateway]\npreset = 'envoy'\ntimeout = '1s'\nbreaker = {}\n\
             [gateway.rate_limit]\nper_ip = [{ limit = 9, window = '1s' }, { algorithm = 'gcra', limit = 9, window = '1m' }]",
        ),
        (
            "constant = '5ms' }",
            "constant = '5ms' }\ncalls = [{ upstream = 'stock', timeout = '1s', preset = 'resilience4j', retry = {}, breaker = {} }]\n\
             [upstreams.stock]\nlatency = '1ms'",
            "",
        ),
        ("rate = '1/s'", "rate = '1/s'\npreset = 'aws-sdk-2026'\nretry = { budget = { tokens = 50 } }", ""),
        ("", "", "[variants.a.gateway]\npreset = 'nginx'\n[variants.b.clients.shoppers]\npreset = 'finagle'"),
        // What the file leaves out, each of its variants brings.
        (
            "rate = '1/s'",
            "",
            "[variants.open.clients.shoppers]\nrate = '1/s'\n\
             [variants.closed.clients.shoppers]\nusers = 1\nthink = '1s'",
        ),
        (
            "algorithm = 'fixed-window'",
            "",
            "[variants.bucket.gateway.rate_limit.per_key]\nalgorithm = 'gcra'\nburst = 2\n\
             [variants.off.gateway.rate_limit]\nper_key = false\n\
             [variants.plain]\ngateway = false",
        ),
        (
            "algorithm = 'fixed-window'",
            "burst = 5",
            "[variants.bucket.gateway.rate_limit.per_key]\nalgorithm = 'token-bucket'",
        ),
    ] {
        assert_taken(&changed(old, new, more));
    }
}

/// The schema refuses the changed scenario at that place, and the reader does too.
fn assert_refused(old: &str, new: &str, more: &str, place: &str) {
    let text = changed(old, new, more);
    let problems = problems_by_schema(&text);
    let refused = problems.iter().any(|(at, _)| at == place);
    assert!(refused, "{new}{more} is not refused at {place:?}: {problems:#?}");
    assert!(scenario(&text).is_err(), "{new}{more} is no problem to the reader");
}

#[test]
fn what_the_schema_refuses_the_reader_refuses() {
    for (old, new, more, place) in [
        ("name = 'Small'", "", "", ""),
        ("[slo]", "[sol]", "", ""),
        ("rate = '1/s'", "rate = '1/s'\ntimout = '1s'", "", "/clients/shoppers"),
        ("rate = '1/s'", "rate = '1/s'\nramp = [{ at = '0s', rate = '1/s' }]", "", "/clients/shoppers"),
        ("rate = '1/s'", "rate = '1/s'\nthink = '1s'", "", "/clients/shoppers"),
        ("rate = '1/s'", "users = 5", "", "/clients/shoppers"),
        ("send = '/orders'", "", "", "/clients/shoppers"),
        ("send = '/orders'", "journey = []", "", "/clients/shoppers/journey"),
        ("send = '/orders'", "journey = [{ think = '1s' }]", "", "/clients/shoppers/journey/0"),
        ("rate = '1/s'", "rate = '1/s'\npacing = '1s'", "", "/clients/shoppers"),
        ("constant = '5ms' }", "constant = '5ms' }\ncache = {}", "", "/upstreams/orders/cache"),
        ("constant = '5ms' }", "constant = '5ms' }\ncache = { keys = 5 }", "", "/upstreams/orders/cache"),
        (
            "constant = '5ms' }",
            "constant = '5ms' }\ncache = { hits = '95%', ttl = '1s' }",
            "",
            "/upstreams/orders/cache",
        ),
        (
            "constant = '5ms' }",
            "constant = '5ms' }\ncache = { hits = '95%', keys = 5, ttl = '1s' }",
            "",
            "/upstreams/orders/cache",
        ),
        ("rate = '1/s'", "rate = '1/s'\nstart = 'spread'", "", "/clients/shoppers"),
        ("rate = '1/s'", "users = 3\nthink = '1s'\nstart = 'apart'", "", "/clients/shoppers/start"),
        ("rate = '1/s'", "users = []\nthink = '1s'", "", "/clients/shoppers/users"),
        ("rate = '1/s'", "", "", "/clients/shoppers"),
        ("rate = '1/s'", "rate = 1", "", "/clients/shoppers/rate"),
        ("rate = '1/s'", "rate = 'nan/s'", "", "/clients/shoppers/rate"),
        ("rate = '1/s'", "rate = '1/s'\narrivals = 'exponential'", "", "/clients/shoppers/arrivals"),
        ("rate = '1/s'", "bursts = []", "", "/clients/shoppers/bursts"),
        (
            "rate = '1/s'",
            "bursts = [{ from = '1s', too = '2s', count = 1 }]",
            "",
            "/clients/shoppers/bursts/0",
        ),
        ("duration = '1m'", "duration = '-1m'", "", "/duration"),
        ("duration = '1m'", "duration = '0s'", "", "/duration"),
        ("duration = '1m'", "duration = 60", "", "/duration"),
        ("duration = '1m'", "duration = '1m'\nstarts = 2026-06-02", "", "/starts"),
        ("constant", "constnat", "", "/upstreams/orders/latency"),
        ("constant = '5ms'", "", "", "/upstreams/orders/latency"),
        (
            "constant = '5ms'",
            "constant = '5ms', exponential = { mean = '1s' }",
            "",
            "/upstreams/orders/latency",
        ),
        ("constant = '5ms'", "log-normal = { median = '1s' }", "", "/upstreams/orders/latency/log-normal"),
        ("[routes.'/orders']", "[routes.orders]", "", "/routes"),
        ("fixed-window", "round-robin", "", "/gateway/rate_limit/per_key/algorithm"),
        ("limit = 10", "limit = 0", "", "/gateway/rate_limit/per_key/limit"),
        ("limit = 10", "limit = 10\nburst = 5", "", "/gateway/rate_limit/per_key/algorithm"),
        ("window = '1m'", "", "", "/gateway/rate_limit/per_key"),
        ("", "", "[gateway.rate_limit]\nper_ip = true", "/gateway/rate_limit/per_ip"),
        ("", "", "[variants.a]\nseed = 1", "/variants/a"),
        ("", "", "[gateway]\npreset = 'ngnix'", "/gateway/preset"),
        ("", "", "[gateway]\npreset = 'grpc'", "/gateway/preset"),
        ("rate = '1/s'", "rate = '1/s'\npreset = 'nginx'", "", "/clients/shoppers/preset"),
        ("rate = '1/s'", "rate = '1/s'\nretry = { backoff = 'none' }", "", "/clients/shoppers/retry"),
        ("upstream = 'orders'\n", "upstream = 'orders'\nretry = {}\n", "", "/routes/~1orders/retry"),
        (
            "",
            "",
            "[gateway.rate_limit]\nper_ip = [{ limit = 9, window = '1s' }]",
            "/gateway/rate_limit/per_ip/0",
        ),
        (
            "",
            "",
            "[variants.a.clients.shoppers]\nramp = [{ at = '0s', rate = '1/s' }]\nusers = 3",
            "/variants/a/clients/shoppers",
        ),
        ("", "", "[expect]\nhold = ['latncy(p99) < 1s']", "/expect/hold/0"),
        ("", "", "[expect]\nhold = ['base: latency(p99) = 1s']", "/expect/hold/0"),
    ] {
        assert_refused(old, new, more, place);
    }
}

#[test]
fn both_refuse_the_same_of_retries_and_calls() {
    for (old, new, more, place) in [
        ("rate = '1/s'", "rate = '1/s'\nretry = true", "", "/clients/shoppers/retry"),
        ("rate = '1/s'", "rate = '1/s'\nretry = {}", "", "/clients/shoppers/retry"),
        ("rate = '1/s'", "rate = '1/s'\nretry = { retries = 0 }", "", "/clients/shoppers/retry/retries"),
        (
            "rate = '1/s'",
            "rate = '1/s'\nretry = { retries = 1, on = ['5xx', '4xx'] }",
            "",
            "/clients/shoppers/retry/on/1",
        ),
        ("rate = '1/s'", "rate = '1/s'\nretry = { retries = 1, base = '1s' }", "", "/clients/shoppers/retry"),
        (
            "rate = '1/s'",
            "rate = '1/s'\nretry = { retries = 1, backoff = 'fixed' }",
            "",
            "/clients/shoppers/retry",
        ),
        (
            "rate = '1/s'",
            "rate = '1/s'\nretry = { retries = 1, backoff = 'fixed', base = '1s', max = '2s' }",
            "",
            "/clients/shoppers/retry/backoff",
        ),
        (
            "rate = '1/s'",
            "rate = '1/s'\nretry = { retries = 1, budget = { floor = '1/s' } }",
            "",
            "/clients/shoppers/retry/budget",
        ),
        (
            "rate = '1/s'",
            "rate = '1/s'\nretry = { retries = 1, non_idempotent = true }",
            "",
            "/clients/shoppers/retry",
        ),
        ("rate = '1/s'", "rate = '1/s'\nmethod = 'get'", "", "/clients/shoppers/method"),
        (
            "constant = '5ms' }",
            "constant = '5ms' }\ncalls = [{ upstream = 'orders', retry = {} }]",
            "",
            "/upstreams/orders/calls/0/retry",
        ),
        (
            "constant = '5ms' }",
            "constant = '5ms' }\ncalls = [{ upstream = 'orders', breaker = { calls = 3 } }]",
            "",
            "/upstreams/orders/calls/0/breaker",
        ),
        ("constant = '5ms' }", "constant = '5ms' }\nload_latency = 3", "", "/upstreams/orders/load_latency"),
    ] {
        assert_refused(old, new, more, place);
    }
}

#[test]
fn both_refuse_the_same_of_breakers_and_faults() {
    for (old, new, more, place) in [
        ("", "", "[gateway.breaker]\nhalf_open = 'one'", "/gateway/breaker/half_open"),
        ("", "", "[gateway.breaker]\ncalls = 5", "/gateway/breaker"),
        (
            "",
            "",
            "[gateway.breaker]\nhalf_open = 'trickle'\nsuccesses_to_close = 5",
            "/gateway/breaker/half_open",
        ),
        ("", "", "[gateway.breaker]\nerror_threshold = '0%'", "/gateway/breaker/error_threshold"),
        ("", "", "[gateway.upstreams.orders]\nmax_in_flight = 0", "/gateway/upstreams/orders/max_in_flight"),
        ("", "", "[faults]\nhang = true", "/faults"),
        ("", "", "[[faults]]\nat = '1s'\nfor = '1s'\nupstreams = ['orders']", "/faults/0"),
        ("", "", "[[faults]]\nat = '1s'\nfor = '1s'\nhang = true", "/faults/0"),
        (
            "",
            "",
            "[[faults]]\nat = '1s'\nfor = '1s'\nupstreams = ['orders']\nhang = true\nreset = true",
            "/faults/0",
        ),
        (
            "",
            "",
            "[[faults]]\nat = '1s'\nfor = '1s'\nupstreams = ['orders']\nerror = { status = 200 }",
            "/faults/0/error/status",
        ),
        (
            "",
            "",
            "[[faults]]\nat = '1s'\nfor = '1s'\nupstreams = ['orders']\ncapacity = { factor = '100%' }",
            "/faults/0/capacity/factor",
        ),
        (
            "",
            "",
            "[[faults]]\nat = '1s'\nfor = '1s'\nupstreams = ['orders']\nhang = { latency = '1s' }",
            "/faults/0/hang",
        ),
        (
            "",
            "",
            "[[variants.a.faults]]\nat = '1s'\nfor = '0s'\nupstreams = []\nhang = true",
            "/variants/a/faults/0/for",
        ),
    ] {
        assert_refused(old, new, more, place);
    }
}
