# make demo and make test set everything up by themselves; see README.md.
PYTHON ?= python3
NEWER ?= python3.12
POSTGRES ?= /usr/lib/postgresql/15/bin
V := .venv
BIN := $(V)/bin
WEB := server/web
TREE := build/tree
# A make that is killed does not leave what it runs.
BOUND := $(BIN)/python server/processes/bound.py

.DEFAULT_GOAL := help
.PHONY: help setup demo up test test-browser test-spreadsheets test-packaging test-newer test-postgres test-sqlite faults soak lint bench bench-peers constraints clean test-packages test-mariadb test-coverage

help: ## What there is to make
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

setup: $(V)/installed $(WEB)/static/graphiql/built ## Everything into .venv, and GraphiQL's files from npm

$(V)/installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "bulkql needs Python 3.11 or newer; set PYTHON=..."; exit 1; }
	@$(PYTHON) -m venv $(V) || { echo "On Debian and Ubuntu: apt-get install python3-venv"; exit 1; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

# Without Node.js the API runs all the same, and /graphiql says what is missing.
$(WEB)/static/graphiql/built: $(WEB)/package.json $(WEB)/package-lock.json
	@if command -v npm >/dev/null; then cd $(WEB) && npm ci --silent && npm run --silent build; \
	else echo "Node.js is not here: GraphiQL is left out."; fi

demo: setup ## The main job on real input: 235,160 rows through the public API
	@$(BOUND) $(BIN)/bulkql demo

up: setup ## Everything on this machine, until Ctrl-C
	@$(BOUND) $(BIN)/bulkql up

# Processes that share the tests, a file at a time, in the order that tests/conftest.py gives them and not by their
# numbers of tests. Each starts its own servers; most tests wait, so there are more than cores.
JOBS ?= 4
# Dozens of processes are started, and each would compile all modules anew where an environment forbids to keep them.
unexport PYTHONDONTWRITEBYTECODE
PYTEST := $(BIN)/python -m pytest --numprocesses $(JOBS) --dist loadfile --no-loadscope-reorder

test: setup test-packaging test-packages ## The tests, on a real PostgreSQL and a real Redis
	@$(PYTEST)

# What the writers do, on other databases than the wheels' PostgreSQL.
WRITING := $(foreach one,create verbs trees atomic making write_only several_tables any_case,tests/integration/test_$(one).py) tests/integration/lists

test-postgres: setup ## The writers' tests on an installed PostgreSQL, of the version 15 in Debian
	@TEST_DATABASE=$(POSTGRES) $(PYTEST) $(WRITING)

test-sqlite: setup ## The writers' tests on SQLite
	@TEST_DATABASE=sqlite $(PYTEST) -m "not postgresql" $(WRITING)

# They need apps and settings that the other tests do not have. Their own migrations and deprecations are not what is tested.
PACKAGES := $(BIN)/python -m pytest --nomigrations -W ignore::DeprecationWarning -s
test-packages: setup ## The models of 22 packages: every verb beside a loop of save(), printed as a table
	@$(PACKAGES) --ds=tests.ecosystem.settings tests/ecosystem/test_packages.py
	@$(PACKAGES) --ds=tests.ecosystem.large.settings tests/ecosystem/large

test-mariadb: setup ## The writers' tests on an installed MariaDB (Debian's mariadb-server)
	@TEST_DATABASE=mariadb $(BIN)/python -m pytest -m "not postgresql" $(WRITING) tests/integration/test_operations.py tests/integration/test_isolation.py

test-packaging: setup ## A wheel from a clean clone, installed beside a user's own folders (needs git and npm)
	@if command -v npm >/dev/null && git rev-parse --quiet --verify HEAD >/dev/null; then $(BIN)/python -m pytest tests/packaging; \
	else echo "Left out: tests/packaging. It builds a wheel from a clone, and git's history or npm is not here."; fi

# Nothing of .venv: what a user of that Python gets, from the versions that the image pins.
test-newer: setup ## The checkout installed with a newer Python, and its system checks
	@rm -rf build/lib build/newer && $(NEWER) -m venv build/newer
	@build/newer/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements.txt
	@build/newer/bin/python -m pip install --quiet --disable-pip-version-check --no-deps .
	@cd build/newer && SECRET_KEY=$$(bin/python -c 'import secrets; print(secrets.token_hex())') bin/bulkql check

test-browser: setup ## GraphiQL in headless Chromium, offline (needs chromium and chromium-driver)
	@$(BIN)/python -m pytest tests/browser

test-coverage: setup ## What of the code the unit tests reach; what the others start runs in processes of its own
	@$(BIN)/coverage run -m pytest --quiet tests/unit
	@$(BIN)/coverage report --skip-covered --sort=cover

test-spreadsheets: setup ## Workbooks through LibreOffice and back (needs libreoffice-calc-nogui)
	@$(BIN)/python -m pytest tests/spreadsheets

SECONDS ?= 120
SEED ?= 1
faults: setup ## Faults into a running stack: SECONDS=120 SEED=1; 1 where anything is lost, doubled, stuck or told wrong
	@$(BIN)/python -m tests.faults --seconds $(SECONDS) --seed $(SEED)

MINUTES ?= 30
soak: setup ## Mixed work, subscribers who come and go, a worker killed every 20 s: MINUTES=30; 1 where anything grows
	@$(BIN)/python -m tests.faults.soak --minutes $(MINUTES) --seed $(SEED)

lint: setup ## ruff, mypy, import-linter
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	@rm -rf $(TREE) && $(BIN)/python -c 'from setuptools import setup; setup()' --quiet build_py --build-lib $(TREE) && cp -r bench $(TREE)
	cd $(TREE) && $(abspath $(BIN))/mypy --config-file $(CURDIR)/pyproject.toml --cache-dir $(CURDIR)/.mypy_cache
	cd $(TREE) && $(abspath $(BIN))/lint-imports --config $(CURDIR)/pyproject.toml --no-cache

bench: setup ## The benchmarks, beside raw COPY in the same run
	@$(BIN)/python -m bench

bench-peers: setup ## The same beside other ways to write many rows, from PyPI and npm, each in an environment of its own
	@$(BIN)/python -m bench.peers

constraints: ## Pin the newest versions: constraints.txt for all of it, requirements.txt for the image
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile --quiet --universal --all-extras --generate-hashes --no-emit-package bulkql --no-header \
		--python-version 3.11 --upgrade --output-file constraints.txt pyproject.toml
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-package bulkql --no-header \
		--python-version 3.11 --constraint constraints.txt --output-file requirements.txt pyproject.toml

clean: ## Forget everything that was set up
	rm -rf $(V) .bulkql .bench $(WEB)/node_modules $(WEB)/static/graphiql
