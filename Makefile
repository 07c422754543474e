# Everything a newcomer types. `make` alone lists the targets.

.DEFAULT_GOAL := help
.PHONY: help demo up test unit check fmt bench providers lock clean setup setup-test
SHELL := /bin/sh

PYTHON := $(shell for name in python3.13 python3.12 python3.11 python3; do \
	$$name -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$name; break; }; done)
BIN := .venv/bin

# An environment is set up when the stamp of its lock files exists; a changed lock has another stamp.
stamp = $(shell cat $(1) 2>/dev/null | cksum | cut -d' ' -f1)
LOCAL_LOCKS := requirements/base.txt requirements/local.txt
TEST_LOCKS := requirements/test.txt
S3_LOCKS := requirements/s3.txt
LOCAL := .venv/.local-$(call stamp,$(LOCAL_LOCKS))
TEST := .venv/.test-$(call stamp,$(LOCAL_LOCKS) $(TEST_LOCKS))
S3 := .venv-s3/.s3-$(call stamp,$(S3_LOCKS))
PIP := -m pip install --quiet --quiet --disable-pip-version-check --no-input --require-hashes

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' Makefile

demo: setup ## render examples/lighthouse.json with pretend providers, into var/demo/ (STORYBOARD=examples/ferry.json)
	@bin/dailies demo $(STORYBOARD)

up: setup ## start the whole stack here and keep it up, with the dashboard, until Ctrl-C
	@bin/dailies up

test: setup setup-test ## set up and run every test (ARGS="-k words" for some)
	@$(BIN)/python -m tests.chromium
	@$(BIN)/python -m pytest $(ARGS)

unit: setup-test ## the fast tests, without servers
	@$(BIN)/python -m pytest tests/unit $(ARGS)

check: setup-test ## linters, formatter, types, import contracts, lock files
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache
	@! grep -nE '://|--index|--find-links' requirements/*.txt || { echo "a lock file names a host"; exit 1; }

fmt: setup-test ## format the code and sort the imports
	@$(BIN)/ruff check --quiet --fix-only .
	@$(BIN)/ruff format .

bench: setup setup-test ## measure everything in 8 minutes, and print the table (ARGS="scale" for a part)
	@$(BIN)/python -m bench $(ARGS)

providers: setup setup-test ## write docs/providers.md anew, from the catalogue and a run of the contract tests
	@$(BIN)/python -m tests.providers_page

lock: setup-test ## write requirements/*.txt anew from requirements/*.in
	@for name in base local s3 test; do \
		$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
			requirements/$$name.in --output-file requirements/$$name.txt >/dev/null || exit 1; done

clean: ## remove the environments, the caches and var/
	@rm -rf .venv .venv-s3 var build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

setup: # both environments at once; a second time it costs nothing
	@$(if $(wildcard $(LOCAL))$(wildcard $(S3)),,echo "setting up, once …";) \
	$(MAKE) --silent --no-print-directory --jobs=2 $(LOCAL) $(S3)

setup-test: $(TEST)

# The environment that $@ stamps, made if its Python does not run.
define venv
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed, and none was found."; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || \
		{ echo "$(PYTHON) has no venv module: install it (Debian and Ubuntu: apt install python3-venv)."; exit 1; }
	@$(@D)/bin/python -c '' 2>/dev/null || $(PYTHON) -m venv --clear $(@D)
endef

$(LOCAL): $(LOCAL_LOCKS)
	$(venv)
	@$(@D)/bin/python $(PIP) $(LOCAL_LOCKS:%=-r %)
	@ln -sf ../../bin/dailies $(@D)/bin/dailies
	@rm -f $(@D)/.local-* && touch $@

$(TEST): $(LOCAL) $(TEST_LOCKS)
	@$(@D)/bin/python $(PIP) $(TEST_LOCKS:%=-r %)
	@rm -f $(@D)/.test-* && touch $@

$(S3): $(S3_LOCKS)
	$(venv)
	@$(@D)/bin/python $(PIP) $(S3_LOCKS:%=-r %)
	@rm -f $(@D)/.s3-* && touch $@
