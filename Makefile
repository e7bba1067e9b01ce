# Needs Python 3.11 or newer and make; everything else is installed into .venv from the lock files.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

# The first Python that is new enough; `make PYTHON=...` names another.
PYTHON ?= $(shell for p in python3 python3.11 python3.12 python3.13 python3.14; do \
    $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
# Paths are relative on purpose: make cannot cope with a space in a target's absolute path.
PY := .venv/bin/python

.PHONY: help install install-dev demo serve manage test lint types checks pytest browser \
    bench prove lock clean

help:
	@echo "make demo     a year of contracts, told in the terminal; then the service (SERVE=0: not)"
	@echo "make serve    the whole service on PORT (8000), its data in DATA_DIR (.data)"
	@echo "make manage ARGS='...'   a management command against the same data"
	@echo "make test     every check; make bench, make prove: the measurements, the proof"

# --- Installing -----------------------------------------------------------------------------
.venv/bin/python:
	@[ -n "$(PYTHON)" ] || { echo "Python 3.11 or newer is needed, and none was found." >&2; exit 1; }
	@rm -rf .venv
	@$(PYTHON) -m venv .venv || { \
	    if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	        apt-get update -qq; apt-get install -y -qq python3-venv; $(PYTHON) -m venv .venv; \
	    else echo "Python's venv module is missing (Debian: the package python3-venv)." >&2; \
	        rm -rf .venv; exit 1; fi; }

# uv is quick but reads no pip configuration, so pip stands by for whoever has a mirror.
define install_lock
@$(PY) -m uv --version >/dev/null 2>&1 \
    || $(PY) -m pip install -q --disable-pip-version-check --require-hashes -r requirements-uv.lock
@$(PY) -m uv pip install -q --python $(PY) --require-hashes -r $(1) 2>/dev/null \
    || $(PY) -m pip install -q --disable-pip-version-check --require-hashes -r $(1)
@touch $@
endef

.venv/installed-demo: requirements-demo.lock requirements-uv.lock | .venv/bin/python
	@echo "installing what the demo needs"
	$(call install_lock,requirements-demo.lock)

.venv/installed-dev: requirements-dev.lock requirements-uv.lock | .venv/bin/python
	@echo "installing what the tests need"
	$(call install_lock,requirements-dev.lock)

install: .venv/installed-demo
install-dev: .venv/installed-demo .venv/installed-dev

lock: .venv/installed-dev
	@for name in requirements requirements-demo requirements-archive requirements-dev \
	    requirements-uv; do \
	    $(PY) -m uv pip compile -q --universal --python-version 3.11 --generate-hashes \
	        --no-header --no-annotate --no-emit-index-url --no-emit-find-links \
	        $(UPGRADE) $$name.in -o $$name.lock; done

# --- Running --------------------------------------------------------------------------------
demo: install
	@$(PY) -m tests.demo

serve: install
	@exec $(PY) -m billing.config.launcher serve

manage: install
	@$(PY) manage.py $(ARGS)

# --- Checking -------------------------------------------------------------------------------
test: lint types checks pytest

lint: install-dev
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -c 'from importlinter.cli import lint_imports_command; lint_imports_command()'

types: install-dev
	$(PY) -m mypy

# `check --deploy` is asked with the settings of a production, not with those of a laptop.
PRODUCTION = SECRET_KEY="$$($(PY) -c 'import secrets; print(secrets.token_urlsafe(64))')" \
    PUBLIC_URL=https://ledger.example.com DATABASE_URL=postgresql://ledger@db.invalid/ledger \
    CELERY_BROKER_URL=amqp://broker.invalid// STRIPE_API_KEY=sk_test_check \
    STRIPE_WEBHOOK_SECRET=whsec_check

checks: install-dev
	DATA_DIR=.cache/checks $(PY) manage.py makemigrations --check --dry-run
	$(PRODUCTION) $(PY) manage.py check --deploy --fail-level WARNING

pytest: install-dev browser
	$(PY) -m pytest -n 2 --dist loadfile $(ARGS)

# The pages are tested in a real browser. Only root on a Debian can be helped to one here.
browser:
	@if ! command -v chromium chromium-browser google-chrome >/dev/null \
	    && [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium; } \
	        >/dev/null 2>&1 || echo "no Chromium: the browser tests will be skipped" >&2; fi

bench: install-dev
	@$(PY) -m tests.bench

prove: install-dev
	@$(PY) -m tests.prove

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache staticfiles
