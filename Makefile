# Tieline: every task of people and of CI. `make` lists them.

SHELL := /bin/sh
.DEFAULT_GOAL := help
SEED ?= 1
RUNS ?= 200
ONCE ?=
WRITE ?=
ONLY ?=
BENCH ?=
MINUTES ?= 1
SECONDS ?= 60
KEEP ?=
# Our own crates are built once more, with a counter at each edge, which the mutator follows.
FUZZ = RUSTC_WORKSPACE_WRAPPER=$(CURDIR)/tests/coverage/rustc.sh \
	TIELINE_FUZZ_SEED=$(SEED) TIELINE_FUZZ_SECONDS=$(SECONDS) TIELINE_FUZZ_KEEP=$(if $(KEEP),$(CURDIR)/tests/corpus)

.PHONY: help demo test ci fmt clippy doc deploy-check bench instructions sim torture fuzz

help: ## List the tasks
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | awk -F '\t' '{ printf "  %-14s %s\n", $$1, $$2 }'

demo: ## Play the whole story with two orgs and stay up (ONCE=1: end after it)
	@ONCE=$(ONCE) deploy/demo.sh

test: ## Run all tests (installs a nats-server of its own if none is there)
	@deploy/nats-server.sh --pinned >/dev/null
	cargo build -p tieline
	cargo test --workspace

ci: fmt clippy doc deploy-check test torture ## Everything that CI checks
	@echo "ci: all checks passed"

fmt: ## Check the formatting
	cargo fmt --all --check

clippy: ## Lint everything, warnings are errors
	cargo clippy --workspace --all-targets -- -D warnings

doc: ## Build the documentation, warnings are errors
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps

deploy-check: ## Check the broker configuration with the real server
	deploy/check.sh

bench: ## Measure both daemons and the broker beside their baselines (ONLY=pipe,load …; bench list)
	cargo build --release -p tieline -p tieline-tests
	target/release/bench $(if $(ONLY),--only $(ONLY)) $(BENCH)

instructions: ## Count the instructions of the hot stages (WRITE=1: write them down)
	cargo build --release -p tieline-tests --bin hot
	target/release/hot $(if $(WRITE),write,check)

sim: ## Simulate orgs with a faulty bus (SEED=… RUNS=…)
	cargo run --release -p tieline-tests --bin sim -- --seed $(SEED) --runs $(RUNS)

torture: ## Break real daemons, disks, networks and the broker under load (SEED=… MINUTES=…)
	@deploy/nats-server.sh --pinned >/dev/null
	cargo build -p tieline
	cargo run -p tieline-tests --bin torture -- --seed $(SEED) --minutes $(MINUTES)

fuzz: ## Mutate the inputs of every decoder towards new code (SEED=…, SECONDS=… for each, KEEP=1: into the corpus)
	$(FUZZ) cargo test -p tieline -p tieline-daemon -p tieline-tests --lib --bin tieline --no-fail-fast fuzz -- --nocapture --test-threads=1
