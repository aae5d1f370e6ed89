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

# All benchmarks, or those whose name holds the argument
bench *args:
    cargo bench -p gateway -p tuesday -- {{args}}
