# The two commands: `make repro` runs the pipeline, `make test` the tests. Each sets up .venv first when it has to.
PYTHON ?= python3.11
VENV := .venv
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
export HF_HUB_OFFLINE ?= 0

.PHONY: help setup repro test lint lock report clean

help:  ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | sort

setup: $(VENV)/.ready  ## create .venv from the lock file

# torch stands outside the lock: the same version is a CPU or a CUDA build, by what the machine is offered.
$(VENV)/.ready: requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	grep -v '^ ' requirements.lock | sed 's/ \\$$//' > $(VENV)/constraints.txt
	pip install --quiet --disable-pip-version-check torch==2.13.0 --constraint $(VENV)/constraints.txt
	pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.lock
	pip install --quiet --disable-pip-version-check --no-deps --editable .
	touch $@

$(VENV)/.ready-test: $(VENV)/.ready requirements-test.lock
	pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements-test.lock
	touch $@

repro: $(VENV)/.ready  ## run the pipeline: data, training, generation, scores, report
	dvc repro
	@echo "The report: $(CURDIR)/reports/index.html"

test: $(VENV)/.ready-test  ## run the tests
	pytest

lint: $(VENV)/.ready-test  ## check style
	ruff check src stages tests && ruff format --check src stages tests

lock:  ## renew both lock files (needs uv; offer it a CPU wheel of torch, or CUDA packages enter the lock)
	uv pip compile pyproject.toml --python-version 3.11 --no-emit-package torch --generate-hashes --quiet \
		--no-annotate --no-header --group test --extra s3 --extra ssh --output-file requirements-test.lock
	uv pip compile pyproject.toml --python-version 3.11 --no-emit-package torch --generate-hashes --quiet \
		--no-annotate --no-header --constraint requirements-test.lock --output-file requirements.lock

clean:  ## remove the environment and scratch files; DVC's cache stays
	rm -rf $(VENV) .cache
