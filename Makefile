# Every command of the project; `make help` lists them. CI runs the same ones.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin
LOCKS := dev node build ingest tiers gateway

.PHONY: help
help: ## List the commands
	@grep -hE '^[a-z][a-z0-9-]*:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

# The environment: made from hashed locks, remade when a lock or a distribution's metadata changes.
.venv/.installed: requirements/dev.lock requirements/bootstrap.lock shared/pyproject.toml $(wildcard services/*/pyproject.toml)
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || deploy/local/make-venv $(PYTHON) .venv
	@$(BIN)/python -m pip install --quiet --require-hashes -r requirements/bootstrap.lock
	@$(BIN)/uv pip sync --quiet --python $(BIN)/python --require-hashes requirements/dev.lock requirements/bootstrap.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation \
		-e shared -e services/ingest -e services/tiers -e services/gateway
	@touch $@

.PHONY: install
install: .venv/.installed ## Make .venv from the locks

.PHONY: lock
lock: .venv/.installed ## Resolve the locks anew (hashed, without registry addresses)
	@for name in $(LOCKS); do \
		if [[ $$name =~ ^(dev|node|build)$$ ]]; then source="--group $$name"; else source="services/$$name/pyproject.toml -c requirements/dev.lock"; fi; \
		$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
			--no-annotate --no-emit-package tiercast-shared --no-emit-package tiercast-ingest --no-emit-package tiercast-tiers \
			--no-emit-package tiercast-gateway $$source -o requirements/$$name.lock || exit 1; \
	done

# Running on this machine; every port can be set by its variable (GATEWAY_PORT=9000 make up).
LOCAL := PYTHONPATH=deploy/local $(BIN)/python -m tiercast_local

.PHONY: up
up: .venv/.installed ## Start broker and services on this machine, until Ctrl-C
	@exec env $(LOCAL) up

.PHONY: demo
demo: .venv/.installed ## Send signals made from real prices (ARGS="--rate 20 --loop")
	@exec $(BIN)/python deploy/local/demo_producer.py $(ARGS)

.PHONY: watch
watch: .venv/.installed ## Show a live stream (TIER=starter|pro|elite, or SUB=user)
	@exec env $(LOCAL) watch $(if $(TIER),--tier $(TIER)) $(if $(SUB),--sub $(SUB))

.PHONY: token
token: .venv/.installed ## Set a user's tier and print a token (SUB=alice TIER=pro)
	@exec env $(LOCAL) token --sub "$(SUB)" --tier "$(TIER)"

.PHONY: lint
lint: .venv/.installed ## Check style, types, imports and schemas
	@$(MAKE) --no-print-directory --jobs 2 --output-sync lint-types lint-rest

.PHONY: lint-types
lint-types: .venv/.installed
	@$(BIN)/mypy --no-error-summary
	@$(BIN)/mypy --no-error-summary deploy/local/demo_producer.py
	@$(BIN)/mypy --no-error-summary shared/schemas/generate.py
	@$(BIN)/mypy --no-error-summary docs/verify_ledger.py
	@$(BIN)/mypy --no-error-summary deploy/image/healthcheck.py deploy/compose/demo.py deploy/compose/make_token.py
	@$(BIN)/mypy --no-error-summary deploy/data-stores/broker_users.py deploy/k8s/generate.py

.PHONY: lint-rest
lint-rest: .venv/.installed
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --quiet --check .
	@found=$$($(BIN)/lint-imports --no-cache) || { echo "$$found"; exit 1; }
	@$(BIN)/python shared/schemas/generate.py --check
	@$(BIN)/python -m docs.asyncapi.generate --check
	@$(LOCAL) check-dashboard
	@$(BIN)/python deploy/k8s/generate.py --check
	@PYTHONPATH=deploy/monitoring $(BIN)/python -m tiercast_dashboards --check

.PHONY: schemas
schemas: .venv/.installed ## Write the JSON Schemas of all messages from the code
	@$(BIN)/python shared/schemas/generate.py

.PHONY: asyncapi
asyncapi: .venv/.installed ## Write the services' AsyncAPI documents from the code
	@$(BIN)/python -m docs.asyncapi.generate

.PHONY: dashboards
dashboards: .venv/.installed ## Write Grafana's dashboards from deploy/monitoring/tiercast_dashboards
	@PYTHONPATH=deploy/monitoring $(BIN)/python -m tiercast_dashboards

.PHONY: k8s
k8s: .venv/.installed ## Write what Kubernetes needs from rules, dashboards and permissions
	@$(BIN)/python deploy/k8s/generate.py

.PHONY: deploy-check
deploy-check: .venv/.installed ## Check images, compose file, manifests, rules, migrations, backups; a missing tool is an error
	@DEPLOY_CHECK=1 $(BIN)/pytest tests/deploy $(ARGS)

.PHONY: upgrade-test
upgrade-test: .venv/.installed ## Upgrade a running system from the last tag or the parent commit under load (PREVIOUS=commit)
	@PREVIOUS=$(PREVIOUS) $(BIN)/pytest -s tests/upgrade/rolling.py $(ARGS)

# Tests wait for processes more than they compute; a worker is a process with servers of its own and whole files to run. Files come
# in their order, not those with the most tests first: these are the quick ones, and the slow ones would be left for the end.
WORKERS ?= 3
PARALLEL := -n $(WORKERS) --dist loadfile --no-loadscope-reorder

.PHONY: test
test: lint ## Lint, then run all tests (ARGS="-k feed" for some)
	@$(BIN)/pytest $(PARALLEL) $(ARGS)

.PHONY: test-faults
test-faults: .venv/.installed ## Of all tests, those that kill, freeze and cut off everything (ROW=n for one row)
	@$(BIN)/pytest $(PARALLEL) -m faults tests/faults $(ARGS)

.PHONY: simulate
simulate: .venv/.installed ## Play more schedules of the whole pipeline in simulated time (SEEDS=n, FROM=n)
	@SEEDS=$(SEEDS) FROM=$(FROM) $(BIN)/python -m tests.simulation.pipeline

.PHONY: mutants
mutants: .venv/.installed ## Remove one safeguard at a time and show that a test fails (MUTANT=word for some)
	@MUTANT="$(MUTANT)" $(BIN)/python -m tests.mutants

.PHONY: faults
faults: .venv/.installed ## Cause every fault at length and write docs/guarantees.md (ROW=n for one, SEED=n, FRESH=1)
	@ROW=$(ROW) FAULT_SEED=$(SEED) FRESH=$(FRESH) $(BIN)/python -m tests.faults.run $(ARGS)

# Benchmarks want the machine to themselves; each prints its floor or peer beside it and keeps its result under .data/bench/.
BENCH := PYTHONPATH=deploy/local $(BIN)/python -m tests.bench

.PHONY: bench
bench: .venv/.installed ## Measure the headline figures beside their targets, then write docs/performance.md (10 min)
	@$(BENCH)

.PHONY: bench-growth
bench-growth: .venv/.installed ## Measure cost over connections, users, filters, rings and logs (ARGS="--only log")
	@$(BENCH).growth $(ARGS) && $(BENCH).performance

bench-%: .venv/.installed # fanout capacity latency ingest memory statements storm polling replicas half_open (ARGS="--help")
	@$(BENCH).$* $(ARGS)

.PHONY: soak
soak: .venv/.installed ## Load the system steadily while clients come and go (MINUTES=10)
	@$(BENCH).soak --minutes $(or $(MINUTES),10) $(ARGS)

.PHONY: clean
clean: ## Remove caches and local data (not .venv)
	@if [ -e .data/up.lock ] && ! flock --nonblock .data/up.lock true; then echo "stop 'make up' first" >&2; exit 1; fi
	@rm -rf .data .cache .hypothesis .pytest_cache .mypy_cache .ruff_cache .import_linter_cache tests/e2e/node/node_modules \
		services/dashboard/dist services/dashboard/node_modules
	@find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +
