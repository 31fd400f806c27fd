# One entry point for people and for CI. Needs make and Python >= 3.11, nothing else. Writes to .venv alone.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.SUFFIXES:

VENV := .venv
BIN := $(VENV)/bin
CACHE := $(CURDIR)/$(VENV)/.cache
STAMP := $(VENV)/.installed
KERNELS := $(wildcard schemas/*kernel*.py stream_app/*kernel*.py) schemas/compiled.py schemas/reasons.py stream_app/opcodes.py

# Compiled Python, compiled kernels and test examples go to .venv too. Numba looks at one file of a kernel alone: any change
# of a kernel opens a new folder, as in schemas/compiled.py.
export PYTHONPYCACHEPREFIX := $(CACHE)/python
export NUMBA_CACHE_DIR := $(CACHE)/kernels-$(shell cat $(KERNELS) requirements.lock 2>/dev/null | cksum | cut -d ' ' -f 1)
export HYPOTHESIS_STORAGE_DIRECTORY := $(CACHE)/hypothesis
export DO_NOT_TRACK := 1

.PHONY: help
help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: setup
setup: $(STAMP) ## create .venv and install the locked versions, once

$(STAMP): requirements.lock pyproject.toml
	@deploy/setup $(VENV)
	@touch $@

.PHONY: demo
demo: setup ## the whole loop on an embedded broker, on this machine
	@$(BIN)/driftline demo

.PHONY: test
test: setup ## run the tests (make test ARGS="-k broker -x")
	@$(BIN)/python -m pytest $(ARGS)

.PHONY: check
check: setup ## lint, format, types, import contracts, lock file; only looks
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --cache-dir $(CACHE)/import_linter
	@! grep -nE '://|^ *-|@' requirements.lock || { echo "requirements.lock: only names, versions and markers are allowed" >&2; exit 1; }

.PHONY: bench
bench: setup ## measure throughput and latency on this machine
	@$(BIN)/python -m bench $(ARGS)

.PHONY: bench-peers
bench-peers: setup ## measure every other engine that does the same job beside it
	@$(BIN)/python -m bench.peers $(ARGS)

.PHONY: prove
prove: setup ## prove every guarantee in its long tier; some hours; writes docs/proof.json
	@$(BIN)/python -m bench.prove $(ARGS)

.PHONY: fmt
fmt: setup ## format, and repair what ruff can repair
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

.PHONY: lock
lock: setup ## resolve requirements.lock anew from pyproject.toml
	@echo '# Exact versions for Python 3.11 and newer, made from pyproject.toml by `make lock`. Names and markers only, no addresses.' > $(CACHE)/lock
	@$(BIN)/uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --upgrade \
		--no-emit-index-url --no-annotate --no-header --quiet >> $(CACHE)/lock
	@cp $(CACHE)/lock requirements.lock

.PHONY: clean
clean: ## remove .venv
	@rm -rf $(VENV)
