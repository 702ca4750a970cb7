# Every command of the project; `make help` lists them. CI runs the same ones.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin
LOCKS := dev ingest tiers gateway

.PHONY: help
help: ## List the commands
	@grep -hE '^[a-z][a-z0-9-]*:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

# The environment: made from hashed locks, remade when a lock or a distribution's metadata changes.
.venv/.installed: requirements/dev.lock requirements/bootstrap.lock shared/pyproject.toml $(wildcard services/*/pyproject.toml)
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
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
		if [ $$name = dev ]; then source="--group dev"; else source="services/$$name/pyproject.toml -c requirements/dev.lock"; fi; \
		$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
			--no-annotate --no-emit-package tiercast-shared --no-emit-package tiercast-ingest --no-emit-package tiercast-tiers \
			--no-emit-package tiercast-gateway $$source -o requirements/$$name.lock || exit 1; \
	done
