# `make demo` and `make test` do all their own set-up. One profile (release) and
# one selection of packages (the whole workspace) for everything, so that
# RocksDB is compiled once.

CARGO := cargo
BUILD := $(CARGO) build --release --workspace --locked
TEST := $(CARGO) test --release --workspace --locked
# With features that the binary never has, and so in a folder of its own; what
# it needs is compiled in seconds.
SIMULATION := $(CARGO) test --release --package consensus --locked \
	--features testing,planted-bugs --target-dir target/consensus \
	--test simulation --test planted_bugs

# Inputs that a property is not about do not count as cases.
MANY_CASES := PROPTEST_CASES=50000 PROPTEST_MAX_GLOBAL_REJECTS=50000

.PHONY: help
help: ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

.PHONY: setup
setup: ## Debian packages that the build needs
	@./scripts/setup

.PHONY: build
build: setup ## target/release/logothete
	$(BUILD)

.PHONY: demo
demo: build ## four nodes, signed transactions, blocks and proofs, in a minute
	./target/release/logothete demo

.PHONY: test
test: setup ## every test of the ordinary suite
	$(TEST)
	$(SIMULATION)

.PHONY: simulate
simulate: ## thousands of simulated networks, planted bugs, every state of small networks
	SIMULATION_SEEDS=long $(SIMULATION) -- --nocapture
	$(CARGO) test --release --package consensus --locked --features testing \
		--target-dir target/consensus --test model_check -- --include-ignored --nocapture

.PHONY: fuzz
fuzz: setup ## every decoder and every endpoint, with 50,000 inputs each
	$(MANY_CASES) $(TEST) --test wire --test door
	$(MANY_CASES) $(TEST) -- any_bytes mutated whatever_is_asked

.PHONY: bench
bench: build ## every table of docs/benchmarks.md; TABLES="order latency" makes some
	./scripts/bench $(TABLES)

.PHONY: micro-bench
micro-bench: setup ## what a transaction costs a node, stage by stage, and a batch four replicas
	$(CARGO) bench --profile release --workspace --locked --bench pipeline --bench replica

.PHONY: lint
lint: setup ## formatting and clippy
	$(CARGO) fmt --all --check
	$(CARGO) clippy --release --workspace --all-targets --locked -- -D warnings

.PHONY: deny
deny: ## licences and sources of everything that is linked (needs cargo-deny)
	$(CARGO) deny --locked check licenses bans sources

.PHONY: crash
crash: setup ## kill all four nodes in the middle of an import, ten times over
	CRASH_ROUNDS=10 $(TEST) --test crash
