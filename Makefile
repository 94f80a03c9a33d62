# What one does with a clone. `make` alone lists it.

PYTHON ?= python3
HOST ?= 127.0.0.1
PORT ?= 8080
DATA ?= data
ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
# uv from PATH, else one that is installed into the environment itself; `--inexact` lets it stay there.
UV := $(or $(shell command -v uv 2>/dev/null),$(BIN)/uv)
SYNC := $(UV) sync --frozen --inexact --compile-bytecode --quiet
# An environment that happens to be active in the shell is not the one that is meant.
unexport VIRTUAL_ENV
export UV_PROJECT_ENVIRONMENT := $(VENV)

.DEFAULT_GOAL := help
.PHONY: help run test check bench format docs clean

help: ## this list
	@echo "Mediary: make <goal>"
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  %-8s %s\n", $$1, $$2 }' Makefile

run: $(VENV)/.ready-to-run ## start Mediary (PORT=8080, HOST=127.0.0.1, DATA=data, ARGS="more options")
	@mkdir -p "$(DATA)"
	@exec $(BIN)/mediary serve --data "$(DATA)" --host "$(HOST)" --port "$(PORT)" $(ARGS)

test: $(VENV)/.ready-to-test $(if $(shell command -v npm 2>/dev/null),tests/servers/node_modules/.ready) ## run the tests (ARGS="-k name" for some)
	@$(BIN)/pytest $(ARGS)

check: $(VENV)/.ready-to-test ## ruff, mypy --strict and the import contracts
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@$(BIN)/lint-imports

bench: $(VENV)/.ready-to-test ## the figures, each against its limit (ARGS="media" for some)
	@for file in benchmarks/[a-z]*.py; do \
		name=$$(basename "$$file" .py); \
		case " $(or $(ARGS),$$name) " in *" $$name "*) ;; *) continue ;; esac; \
		echo "== $$name"; $(BIN)/python -m "benchmarks.$$name" || exit 1; \
	done

format: $(VENV)/.ready-to-test ## put the code into form and mend what ruff can mend
	@$(BIN)/ruff format
	@$(BIN)/ruff check --fix

docs: $(VENV)/.ready-to-test ## write the pages that are made from the code
	@$(BIN)/python docs/generate.py

clean: ## remove the environment and every cache; the data folder stays
	rm -rf $(VENV) tests/servers/node_modules dist .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache

$(VENV)/.ready-to-run: pyproject.toml uv.lock | $(UV)
	@echo "Installing what Mediary needs into $(VENV) …"
	@$(SYNC) --no-dev
	@touch $@

$(VENV)/.ready-to-test: pyproject.toml uv.lock | $(UV)
	@echo "Installing what Mediary and its tests need into $(VENV) …"
	@$(SYNC) --all-extras
	@touch $@

# Debian splits ensurepip off into python3-venv: without it, pip must come from outside the environment.
$(BIN)/uv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Mediary needs Python 3.11 or newer: make $(MAKECMDGOALS) PYTHON=/path/to/python3" >&2; exit 1; }
	@if $(PYTHON) -c 'import ensurepip' 2>/dev/null; then \
		$(PYTHON) -m venv $(VENV) && $(BIN)/python -m pip install --quiet --disable-pip-version-check uv; \
	elif $(PYTHON) -m pip --version >/dev/null 2>&1; then \
		$(PYTHON) -m venv --without-pip $(VENV) && \
		$(PYTHON) -m pip --python $(BIN)/python install --quiet --disable-pip-version-check uv; \
	else \
		echo "Python cannot make environments here. On Debian: apt install python3-venv" >&2; exit 1; \
	fi

tests/servers/node_modules/.ready: tests/servers/package-lock.json
	@echo "Installing the servers that the tests talk to …"
	@cd tests/servers && npm ci --silent --no-audit --no-fund
	@touch $@
