//! Wrong scenario files, and the message each earns.
//!
//! Beside every `wrong_files/NAME.toml` stands `NAME.snap`, all that is said of it. The message of a new file is
//! taken over with `INSTA_UPDATE=always`, once it tells a stranger what is wrong, where, and what to write instead.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use std::fs;
use std::path::Path;

use tuesday::file;

/// The files beside which nothing else stands, by name.
fn wrong_files() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/wrong_files");
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .map(|path| {
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            (name, file::load(&path).unwrap())
        })
        .collect();
    files.sort();
    files
}

/// The files that the scenarios name.
fn companion(name: &str) -> Result<String, String> {
    match name {
        "empty.txt" => Ok("# no latency\n\n".to_owned()),
        "latencies.txt" => Ok("5ms\n# the slowest\n1.5s\n".to_owned()),
        "bad-line.txt" => Ok("5ms\n7ms\nslow\n".to_owned()),
        _ => Err("there is no such file".to_owned()),
    }
}

/// All that is said of a text, and whether it can be run.
fn told(text: &str) -> (String, bool) {
    let file::Reading { scenario, problems } = file::read(text, &companion);
    (file::render(&problems, "scenario.toml", text, false), scenario.is_some())
}

#[test]
fn each_earns_its_message() {
    let files = wrong_files();
    assert!(files.len() >= 100, "found only {}", files.len());
    for (name, text) in files {
        let (message, can_be_run) = told(&text);
        assert!(!message.is_empty(), "{name} has no problem");
        assert_eq!(can_be_run, name.starts_with("warning_"), "{name}:\n{message}");
        insta::with_settings!({ snapshot_path => "wrong_files", prepend_module_to_snapshot => false }, {
            insta::assert_snapshot!(name, message);
        });
    }
}

/// Every way to write a value, a distribution and a load that is in order, and names that look odd.
#[test]
fn what_is_in_order_has_no_problem() {
    let text = r#"
        name = "In order"
        story = 'Nothing is wrong.'
        starts = 2026-06-02T11:00:00+02:00
        duration = "1h 30m"
        seed = 0xFFFF_FFFF_FFFF_FFFF
        slo = { latency = "0.5s" }

        [upstreams]
        constant = { latency = { constant = "0s" }, workers = 1_000, queue = 0 }
        exponential = { latency.exponential.mean = "5ms" }
        log-normal = { latency.log-normal = { median = "12ms", p99 = "60ms" } }
        "uniform, quoted" = { latency = { uniform = { min = "0s", max = "1us" } } }
        mixture.latency.mixture = [
            { share = "33.333333%", latency = "5ms" },
            { share = "33.333333%", latency = { exponential = { mean = "5ms" } } },
            { share = "33.333334%", latency = { mixture = [{ share = "100%", latency = "24h" }] } },
        ]
        empirical.latency.empirical.file = "latencies.txt"
        plain.latency = "5ms"

        [routes]
        "/" = { upstream = "constant" }
        "/orders" = { upstream = "exponential", timeout = "5s" }
        "/orders/bulk/" = { upstream = "log-normal" }
        "/a:b(c), d" = { upstream = "uniform, quoted" }
        "/größe" = { upstream = "mixture" }
        "/e" = { upstream = "empirical" }
        "/p" = { upstream = "plain" }

        [clients]
        rate = { send = "/anything/below", rate = "16.7/s", arrivals = "on-the-minute", timeout = "10s" }
        ramp = { send = "/orders", ramp = [{ at = "0s", rate = "0/s" }, { at = "1m", rate = "1000/m" }] }
        bursts = { send = "/", bursts = [{ from = "1s", to = "1s", count = 0 }], hostile = true }
        users = { send = { "/" = 0, "/e" = 4294967295 }, users = 5, think = { constant = "1s" } }
        botnet = { identities = 500, keys = 1, ips = 500, send = "/", rate = "1/h" }
        keyless = { identities = 9, keys = 0, ips = 3, send = "/p", rate = "1/h" }
        eager = { send = "/p", rate = "1/h", retry = { retries = 2, budget = { ratio = "150%" } } }

        [gateway]
        workers = 256
        queue = 1024
        queue_timeout = "1s"
        timeout = "5s"

        [gateway.rate_limit]
        per_ip = { algorithm = "gcra", limit = 5, window = "1s", burst = 5 }
        per_key = { algorithm = "sliding-window-log", limit = 5, window = "1s", count_rejected = true }
        per_route = { algorithm = "sliding-window-counter", limit = 5, window = "1s" }
        global = false

        [variants]
        as-it-stands = {}
        no-limits.gateway.rate_limit = false
        "other load: users" = { clients.rate = { users = 1, think = "1s" } }
        bucket.gateway.rate_limit.per_key = { algorithm = "token-bucket", burst = 1 }
        more.upstreams.constant.latency = { exponential = { mean = "1s" } }

        [expect]
        hold = [
            "offered > 1_000",
            'as-it-stands: latency(p99.9, routes."/a:b(c), d") <= 1m 30s',
            "bucket: peak_admitted(per_key, 1m) == 5",
            "success_rate(clients.botnet) >= 0.1%",
            "rejected(rate-limited, clients.users) <= 50%",
            "goodput(upstreams.constant) < 100/s",
            "wait(mean, gateway) < 1ms",
            "utilization(constant) < 100%",
        ]
    "#;
    assert_eq!(told(text), (String::new(), true));
}

#[test]
fn brackets_without_end() {
    for text in [
        "[".repeat(200_000),
        format!("a = {}", "[".repeat(200_000)),
        format!("a = {}", "{a=".repeat(200_000)),
    ] {
        let (message, can_be_run) = told(&text);
        assert!(!can_be_run);
        assert!(message.starts_with("error: not TOML: ") && message.len() < 1_000, "{message}");
    }
}

/// The limits on what is read hold for what the file says, however it says it, and the message stays short.
#[test]
fn more_than_is_read() {
    let base = "name = \"x\"\nduration = \"1m\"\nslo.latency = \"1s\"\nupstreams.a.latency = { constant = \"1ms\" }\n\
                routes.\"/\".upstream = \"a\"\nclients.a = { send = \"/\", rate = \"1/s\" }\n";
    let many = |count: u32, line: &dyn Fn(u32) -> String| (0..count).map(line).collect::<String>();
    let burst = "{ from = \"1s\", to = \"2s\", count = 1 },";
    for (part, most) in [
        (
            many(501, &|n| format!("routes.\"/{n}\".upstream = \"a\"\n")),
            "`routes`: a scenario has at most 500",
        ),
        (many(501, &|n| format!("upstreams.u{n} = {{}}\n")), "`upstreams`: a scenario has at most 500"),
        (many(501, &|n| format!("clients.c{n} = {{}}\n")), "`clients`: a scenario has at most 500"),
        (many(65, &|n| format!("[variants.v{n}]\n")), "`variants`: a scenario has at most 64"),
        (format!("routes.\"/{}\".upstream = \"a\"\n", "x".repeat(1 << 20)), "a name has at most 250 bytes"),
        (format!("expect.hold = [{}]\n", "\"offered > 1\",".repeat(1_001)), "has at most 1000 lines"),
        (
            format!("clients.b = {{ send = \"/\", bursts = [{}] }}\n", burst.repeat(70_000)),
            "a scenario has at most 250000 values",
        ),
        (
            format!(
                "clients.b = {{ send = \"/\", bursts = [{}] }}\n{}",
                burst.repeat(2_000),
                many(64, &|n| format!("[variants.v{n}]\n"))
            ),
            "those of the file counted for each variant",
        ),
        (many(5_000, &|n| format!("key{n} = 1\n")), "there are more problems than the 100 above"),
    ] {
        let (message, can_be_run) = told(&format!("{base}{part}"));
        assert!(!can_be_run && message.contains(most), "{most}: {message}");
        assert!(message.len() < 30_000);
    }
}

/// A warning takes no place from an error: a file is refused for what stands behind a hundred warnings.
#[test]
fn errors_behind_many_warnings() {
    let idle: Vec<_> = (0..200).map(|n| format!("upstreams.u{n}.latency.constant = \"1ms\"\n")).collect();
    let idle = idle.concat();
    let text = format!(
        "name = \"x\"\nduration = \"1m\"\nslo.latency = \"1s\"\n{idle}routes.\"/\".upstream = \"u0\"\n\
         clients.a = {{ send = \"/\", rate = \"1/s\" }}\n"
    );
    let (message, can_be_run) = told(&text);
    assert!(
        can_be_run && message.ends_with("there are more problems than the 100 above\n--> scenario.toml\n\n")
    );
    let (message, can_be_run) = told(&format!("{text}clients.b = {{ send = \"/\", rate = \"fast\" }}\n"));
    assert!(!can_be_run && message.contains("clients.b.rate"), "{message}");
}

/// Whatever happens to a scenario, it is read or refused with a reason, at places in its text.
mod mutations {
    use proptest::prelude::*;
    use proptest::sample::{Index, select};
    use tuesday::{file, library};

    /// What is done to a text at some place of it.
    #[derive(Clone, Debug)]
    enum Mutation {
        FlipByte(Index, u8),
        DropLine(Index),
        RepeatLine(Index),
        SwapLines(Index, Index),
        Cut(Index),
        Replace(Index, &'static str),
        Insert(Index, &'static str),
    }

    /// Values and pieces of syntax that have the least to do with what stood there.
    const TOKENS: [&str; 32] = [
        "99999999999999999999",
        "-1",
        "0",
        "1e400",
        "nan",
        "-inf",
        "0xFFFFFFFFFFFFFFFF",
        "2.5",
        "true",
        "\"\"",
        "\"nan/s\"",
        "\"999999999/s\"",
        "\"0.000001/h\"",
        "\"366d\"",
        "\"24h\"",
        "\"0s\"",
        "\"0%\"",
        "\"100%\"",
        "[]",
        "{}",
        "[[",
        "]]",
        "{",
        "}",
        "[",
        "\"\"\"",
        "'''",
        "\u{feff}",
        "é\u{202e}",
        "1979-05-27",
        "limit",
        "\r",
    ];

    fn mutation() -> impl Strategy<Value = Mutation> {
        let place = any::<Index>;
        prop_oneof![
            (place(), any::<u8>()).prop_map(|(place, bits)| Mutation::FlipByte(place, bits)),
            place().prop_map(Mutation::DropLine),
            place().prop_map(Mutation::RepeatLine),
            (place(), place()).prop_map(|(one, other)| Mutation::SwapLines(one, other)),
            place().prop_map(Mutation::Cut),
            (place(), select(&TOKENS[..])).prop_map(|(place, token)| Mutation::Replace(place, token)),
            (place(), select(&TOKENS[..])).prop_map(|(place, token)| Mutation::Insert(place, token)),
        ]
    }

    /// The text afterwards; what is no text any more stays as it was.
    fn mutated(text: &str, mutation: &Mutation) -> String {
        let mut lines: Vec<&str> = text.split('\n').collect();
        // A word, a quoted value or a number, as long as it lasts.
        let token = |place: &Index| {
            let start = place.index(text.len() + 1);
            let start = (start..=text.len()).find(|place| text.is_char_boundary(*place)).unwrap_or(0);
            let length = text[start..].find([' ', ',', '\n', ']', '}']).unwrap_or(text.len() - start);
            (start, start + length)
        };
        match mutation {
            Mutation::FlipByte(place, bits) if !text.is_empty() => {
                let mut bytes = text.as_bytes().to_vec();
                let place = place.index(bytes.len());
                bytes[place] ^= bits;
                return String::from_utf8(bytes).unwrap_or_else(|_| text.to_owned());
            }
            Mutation::FlipByte(..) => {}
            Mutation::DropLine(place) => {
                lines.remove(place.index(lines.len()));
            }
            Mutation::RepeatLine(place) => {
                let place = place.index(lines.len());
                lines.insert(place, lines[place]);
            }
            Mutation::SwapLines(one, other) => {
                let (one, other) = (one.index(lines.len()), other.index(lines.len()));
                lines.swap(one, other);
            }
            Mutation::Cut(place) => return text[..token(place).0].to_owned(),
            Mutation::Replace(place, with) => {
                let (start, end) = token(place);
                return format!("{}{with}{}", &text[..start], &text[end..]);
            }
            Mutation::Insert(place, what) => {
                let (start, _) = token(place);
                return format!("{}{what}{}", &text[..start], &text[start..]);
            }
        }
        lines.join("\n")
    }

    /// The shipped scenarios, and the wrong ones: those are nearer to the rarer messages.
    fn originals() -> Vec<String> {
        let shipped = library::all().into_iter().map(|shipped| shipped.text.to_owned());
        let wrong = super::wrong_files().into_iter().map(|(_, text)| text);
        // So that half of the cases begin with a scenario in order.
        let shipped: Vec<_> = shipped.collect();
        let wrong: Vec<_> = wrong.collect();
        let repeated = shipped.iter().cycle().take(wrong.len().max(shipped.len())).cloned();
        repeated.chain(wrong.iter().cloned()).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(3_000) })]

        #[test]
        fn are_read_or_refused_with_a_reason(
            original in select(originals()),
            mutations in prop::collection::vec(mutation(), 1..8),
        ) {
            let text = mutations.iter().fold(original, |text, mutation| mutated(&text, mutation));
            let file::Reading { scenario, problems } = file::read(&text, &super::companion);
            let told = file::render(&problems, "scenario.toml", &text, false);
            let is_refused = problems.iter().any(|problem| problem.severity == file::Severity::Error);
            prop_assert_eq!(scenario.is_none(), is_refused, "{}", told);
            for problem in &problems {
                prop_assert!(text.get(problem.span.clone()).is_some(), "{:?} is not in {:?}", problem, text);
            }
        }
    }
}
