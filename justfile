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

# The documentation of all crates
doc:
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps

# Run a scenario: just run window-boundary
run *args:
    cargo run --release -- run {{args}}

# How far the engines agree on scenarios, as one table: just agree scenarios/library/death-spiral.toml (all take an hour)
agree *scenarios="scenarios/library/*.toml":
    cargo run --release -- run {{scenarios}} --engine both --speed max --agreement

# The README's picture, docs/report.png: the timelines of a real run, as chromium shows them
picture:
    cargo run --release -- run nine-oh-two --quiet --out target/picture
    echo '<style>body{margin:0}iframe{border:0;width:1280px;height:1100px}</style><iframe src="report.html#timelines"></iframe>' > target/picture/nine-oh-two/frame.html
    chromium --headless --no-sandbox --disable-gpu --hide-scrollbars --virtual-time-budget=2000 --window-size=1280,1100 --screenshot=docs/report.png "file://$PWD/target/picture/nine-oh-two/frame.html"

# All benchmarks, or those whose name holds the argument
bench *args:
    cargo bench -p gateway -p tuesday -- {{args}}

# What telemetry costs the gateway, without and with it in turn
bench-telemetry:
    cargo bench -p gateway --bench telemetry

# Fuzz the path from bytes to a checked scenario: needs cargo-fuzz; RUSTC_BOOTSTRAP lets it run on a stable toolchain
fuzz seconds="120":
    mkdir -p fuzz/corpus/scenario && cp scenarios/library/*.toml scenarios/reference.toml scenarios/tests/wrong_files/*.toml fuzz/corpus/scenario/
    RUSTC_BOOTSTRAP=1 cargo fuzz run scenario -- -max_total_time={{seconds}} -max_len=4096 -timeout=1 -rss_limit_mb=1024
