//! Presets, and what `tuesday show --resolved` prints of them: the same values, written out, are the same scenario.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

use std::fs;
use std::path::Path;

use serde_json::Value;
use tuesday::{Scenario, file, library, run_experiment};

use super::common::{command, scenario};

/// Each gateway with each library once, with all that a preset may have a value for.
fn every_preset() -> Vec<(String, String)> {
    let names = |folder: &str| {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("presets").join(folder);
        let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let mut names: Vec<_> =
            files.map(|file| file.file_stem().unwrap().to_str().unwrap().to_owned()).collect();
        names.sort();
        names
    };
    let (gateways, callers) = (names("gateways"), names("callers"));
    assert!(gateways.len() >= 10 && callers.len() >= 9, "{gateways:?} {callers:?}");
    let longest = gateways.len().max(callers.len());
    let pair = |place: usize| {
        let (gateway, caller) = (&gateways[place % gateways.len()], &callers[place % callers.len()]);
        (format!("{gateway}-{caller}"), WORLD.replace("GATEWAY", gateway).replace("CALLER", caller))
    };
    (0..longest).map(pair).collect()
}

const WORLD: &str = r#"
name = "A small world"
duration = "20s"
slo.latency = "200ms"

[upstreams.orders]
hosts = 3
workers = 4
latency = { exponential = { mean = "20ms" } }

[upstreams.checkout]
latency = "5ms"

[[upstreams.checkout.calls]]
upstream = "stock"
timeout = "500ms"
preset = "CALLER"
breaker = {}
retry = { retries = 2, backoff = "exponential", base = "10ms" }

[upstreams.stock]
latency = { exponential = { mean = "10ms" } }

[routes]
"/orders" = { upstream = "orders", retry = { retries = 1 } }
"/checkout" = { upstream = "checkout" }

[clients.shoppers]
identities = 5
send = { "/orders" = 2, "/checkout" = 1 }
rate = "60/s"
arrivals = "poisson"
timeout = "5s"
preset = "CALLER"

[[faults]]
at = "5s"
for = "5s"
upstreams = ["orders", "stock"]
fraction = "70%"
error = { status = 503 }

[gateway]
preset = "GATEWAY"
try_timeout = "400ms"
retry = { retries = 1, budget = { in_flight = "20%" } }
breaker = {}

[gateway.rate_limit]
per_key = [
  { algorithm = "token-bucket", limit = 15, window = "1s" },
  { algorithm = "gcra", limit = 200, window = "1m" },
]

[gateway.upstreams.orders]
eject = { max_share = "50%" }
health = { path = "/up" }
"#;

/// What `show --resolved` prints of a variant of that text.
fn resolved(text: &str, variant: &str, more: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("scenario.toml"), text).unwrap();
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("reference-latencies.txt");
    fs::copy(beside, folder.path().join("reference-latencies.txt")).unwrap();
    let output = command(folder.path())
        .args(["show", "--resolved", "scenario.toml", "--variant", variant])
        .args(more)
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{variant}: {error}");
    String::from_utf8(output.stdout).unwrap()
}

/// The scenario of a text of which some is not meant.
fn read(text: &str) -> Scenario {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR"));
    let reading =
        file::read(text, &|name| fs::read_to_string(beside.join(name)).map_err(|error| error.to_string()));
    let problems = file::render(&reading.problems, "scenario.toml", text, false);
    reading.scenario.unwrap_or_else(|| panic!("{problems}\n{text}"))
}

#[test]
fn a_preset_and_its_values_written_out_give_the_same_bytes() {
    for (name, text) in every_preset() {
        let with_preset = read(&text);
        let out = resolved(&text, "base", &[]);
        let lines: Vec<&str> = out.lines().filter(|line| !line.starts_with("preset ")).collect();
        let out = lines.join("\n");
        assert!(!out.contains("\npreset"), "{out}");
        let mut written_out = read(&out);
        written_out.source = with_preset.source.clone();
        let bytes = |scenario: &Scenario| serde_json::to_vec(&run_experiment(scenario, &[1], || {})).unwrap();
        assert!(bytes(&with_preset) == bytes(&written_out), "{name}\n{out}");
    }
}

#[test]
fn what_is_resolved_reads_as_the_variant_of_the_file() {
    let reference = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("reference.toml")).unwrap();
    let shipped = library::all().into_iter().map(|shipped| shipped.text.to_owned());
    for text in shipped.chain([reference]) {
        let whole = read(&text);
        // Each kind of variant is in one of the files; the first and the last of each are enough.
        let last = whole.variants.len() - 1;
        for variant in whole
            .variants
            .iter()
            .enumerate()
            .filter(|(place, _)| [0, last].contains(place))
            .map(|(_, one)| one)
        {
            let out = resolved(&text, &variant.name, &[]);
            let again = read(&out);
            assert_eq!(again.name, whole.name);
            assert_eq!(format!("{:?}", again.timeline), format!("{:?}", whole.timeline), "{out}");
            let (again, before) =
                (format!("{:#?}", again.variants[0].world), format!("{:#?}", variant.world));
            assert!(again == before, "{}\n{out}", variant.name);
        }
    }
}

#[test]
fn each_value_is_told_with_where_it_comes_from() {
    let text = format!(
        "{}\n[variants.quick.gateway]\ntimeout = \"1s\"\n",
        WORLD.replace("GATEWAY", "envoy").replace("CALLER", "polly")
    );
    let printed: Value = serde_json::from_str(&resolved(&text, "quick", &["--format", "json"])).unwrap();
    let value = |key: &str| {
        let all = printed["values"].as_array().unwrap();
        let found = all
            .iter()
            .find(|value| value["key"] == key)
            .unwrap_or_else(|| panic!("{key} is not told: {all:#?}"));
        (
            found["value"].clone(),
            found["from"].as_str().unwrap().to_owned(),
            found["preset"].clone(),
            found["line"].as_u64(),
        )
    };
    let line = |of: &str| Some(text.lines().position(|line| line == of).unwrap() as u64 + 1);
    let (none, preset_line) = (Value::Null, line("preset = \"envoy\""));
    let from = |from: &str| from.to_owned();
    assert_eq!(
        value("gateway.timeout"),
        ("1s".into(), from("variant"), none.clone(), line("timeout = \"1s\""))
    );
    assert_eq!(
        value("gateway.try_timeout"),
        ("400ms".into(), from("file"), none.clone(), line("try_timeout = \"400ms\""))
    );
    assert_eq!(value("gateway.retry.base"), ("25ms".into(), from("preset"), "envoy".into(), preset_line));
    assert_eq!(value("gateway.rate_limit.per_key[1].status").1, "preset");
    assert_eq!(value("gateway.paths"), ("normal".into(), from("default"), none.clone(), None));
    assert_eq!(value("gateway.workers"), ("unbounded".into(), from("default"), none.clone(), None));
    assert_eq!(value("gateway.auth"), ("off".into(), from("default"), none, None));
    assert_eq!(value("upstreams.checkout.calls[0].breaker.probe_interval").0, "5s");
    let printed = resolved(&text, "quick", &[]);
    assert!(
        printed.lines().any(|line| line.starts_with("timeout ") && line.ends_with(", variant quick")),
        "{printed}"
    );
    assert!(printed.contains("# preset envoy, line "), "{printed}");
    let long = printed.lines().filter(|line| line.chars().count() > 80);
    assert_eq!(long.collect::<Vec<_>>(), [""; 0], "{printed}");
}

#[test]
fn a_sweep_varies_a_preset() {
    let folder = tempfile::tempdir().unwrap();
    let text = WORLD.replace("preset = \"GATEWAY\"\n", "").replace("CALLER", "polly");
    fs::write(folder.path().join("shop.toml"), &text).unwrap();
    let output = command(folder.path())
        .args(["sweep", "shop.toml", "--vary", "gateway.preset=nginx,envoy", "--seeds", "1", "--out", "out"])
        .output()
        .unwrap();
    let (out, error) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{error}");
    assert!(out.contains("nginx") && out.contains("envoy") && out.contains("not set"), "{out}");
}

#[test]
fn variants_compare_presets() {
    let text = "
name = 'Two products'
duration = '30s'
slo.latency = '1s'
upstreams.orders.latency = '20s'
routes.'/orders'.upstream = 'orders'
clients.shoppers = { send = '/orders', rate = '1/s' }
[variants.nginx.gateway]
preset = 'nginx'
[variants.envoy.gateway]
preset = 'envoy'
[expect]
hold = [
  # Envoy waits for 15 s, nginx for 60 s.
  'envoy: rejected(timed-out) == 100%',
  'nginx: rejected(timed-out) == 0',
]
";
    let scenario = scenario(text);
    let result = run_experiment(&scenario, &[1], || {});
    super::common::assert_held(&result);
    let settings: Vec<Vec<String>> = scenario
        .variants
        .iter()
        .map(|variant| {
            variant.settings.iter().map(|setting| format!("{} {}", setting.key, setting.value)).collect()
        })
        .collect();
    assert!(settings[0].contains(&"gateway.preset nginx".to_owned()), "{settings:#?}");
    assert!(settings[1].contains(&"gateway.timeout 15s".to_owned()), "{settings:#?}");
}
