# What a newcomer, a developer and CI run. Everything here is a script or a command that can be run by hand.
.PHONY: help demo build test lint fmt generate audit bench mutants soak

help: ## say what there is
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

demo: build ## set up this machine, build, and show what Homeostat does
	@scripts/demo

build:
	@scripts/setup
	@scripts/build

test: ## every test; the last line says what ran and what was left out
	@scripts/test $(ALL)

lint: ## what CI refuses
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	cargo clippy --package e2e --no-deps --lib --test scenarios --test manifest_adaptor -- -D warnings

fmt: ## format
	cargo fmt --all

generate: build ## CRDs and references; a test says when they are stale
	@$${CARGO_TARGET_DIR:-target}/debug/homeostat generate

audit: ## licences, bans and sources of all dependencies
	@command -v cargo-deny >/dev/null || cargo install --locked --quiet cargo-deny
	cargo deny --all-features check licenses bans sources

bench: ## attempts per second of the whole embedded path, and the floor of the same run
	@scripts/setup
	@cargo build --quiet --release --bin homeostat
	@$${CARGO_TARGET_DIR:-target}/release/homeostat bench

mutants: ## deliberate bugs in core: each must be noticed by the tests of its group of behaviours, and by nobody else; minutes
	@scripts/setup
	@scripts/mutants

soak: ## thousands of simulated worlds, hundreds of real kills, every deliberate bug; docs/reliability.md keeps the last result (SEEDS=10000 LONG=100 SWEPT=100 KILLS=500)
	@scripts/setup
	@cargo build --quiet --release --bin homeostat
	@scripts/soak $${SEEDS:-10000} $${LONG:-100} $${SWEPT:-100} $${KILLS:-500}
