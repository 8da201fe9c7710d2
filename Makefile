# The two commands: `make repro` runs the pipeline, `make test` the tests. Each sets up .venv first when it has to.
PYTHON ?= python3.11
VENV := .venv
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)

# Given values reach a shell by name, so that nothing in them is run.
BASE ?= main
export BASE
# Every setting that arXiv:2509.16244 states or that its counts imply; the revisions pin what the hub serves.
PAPER = -S language_model.name=EleutherAI/gpt-neo-125m -S language_model.revision=$(MODEL_REVISION) \
	-S data.hub=tatsu-lab/alpaca -S data.revision=$(DATA_REVISION) \
	-S train.steps=1000 -S train.warmup_steps=50 -S train.checkpoint_every=200 \
	-S generate.prompts=100 -S generate.likelihood_records=500 -S generate.max_new_tokens=256 \
	-S score.bert_model=roberta-large \
	-S lora.r=4 -S sora.r=4 -S sora.target_ranks=0.85 -S prefix.virtual_tokens=30 -S qaa.layers=1 -S qaa.rotation=RX \
	-S qaa.up_projection=padded -S qaa.unit_features=false -S qaa.centre=none -S qaa.with_bias=false -S tune.all=true \
	-S 'methods=[base,full,lora,sora,prefix,qaa]' -S 'seeds=[0,1,2,3,4,5,6,7]' \
	-S 'plan.contrasts=[qaa against lora on loss,qaa against prefix on loss]'
MODEL_REVISION ?= 21def0189f5705e2521767faed922f1f15e7d7db
DATA_REVISION ?= dce01c9b08f87459cf36a430d809084718273017

# The methods that are compared, with every control that is declared of them; samples stay out of the page, so that data
# under any licence can be used.
DATA ?= data/starter.jsonl
REFERENCES ?= $(if $(filter data/starter.jsonl,$(DATA)),100,400)# at most the tenth of the records that is held out
export DATA REFERENCES
COMPARED = full lora lora_r1 sora prefix qaa qaa_published quantum_peft qtha
METHODS = $(shell PYTHONPATH=src $(VENV)/bin/python -c "import sys; from ketune import methods; \
	print(*methods.with_controls(*sys.argv[1:]), sep=',')" $(COMPARED))
STUDIED = -S "data.source='$$DATA'" -S 'seeds=[0,1,2,3,4,5,6,7]' -S "generate.likelihood_records=$$REFERENCES" \
	-S generate.max_new_tokens=256 -S report.show_samples=false -S tune.all=true -S 'methods=[$(METHODS)]'

.PHONY: help setup check repro parallel test matrix test-integrations docs lint audit lock lock-check compare tuned requeue planted bill publish share paper plan study gpu records page pages clean

help:  ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | sort

setup: $(VENV)/.ready  ## create .venv from the lock file

# torch stands outside the lock: the same version is a CPU or a CUDA build, by what the machine is offered.
TORCH := $(shell sed -n 's/^ *"\(torch==[0-9.]*\)",$$/\1/p' pyproject.toml)

$(VENV)/.ready: requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	grep -v '^ ' requirements.lock | sed 's/ \\$$//' > $(VENV)/constraints.txt
	pip install --quiet --disable-pip-version-check "$(TORCH)" --constraint $(VENV)/constraints.txt
	pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.lock
	pip install --quiet --disable-pip-version-check --no-deps --editable .
	touch $@

$(VENV)/.ready-test: $(VENV)/.ready requirements-test.lock
	pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements-test.lock
	touch $@

check: $(VENV)/.ready  ## are the values in params.yaml allowed? runs nothing
	python -m ketune.check

repro: check  ## run the pipeline: data, training, generation, scores, report
	dvc repro
	@echo "The report: $(CURDIR)/reports/index.html"

WORKERS ?= 2
export WORKERS
parallel: $(VENV)/.ready  ## as repro, with WORKERS stages at a time on this machine, a thread for each
	$(MAKE) --no-print-directory --file stages/cluster/local.mk --jobs "$$WORKERS"

test: $(VENV)/.ready-test  ## run the tests
	pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

# Ask uv for a CPU wheel with UV_FIND_LINKS or UV_INDEX_URL; PYTHONS="python3.12 …" says which to try.
matrix:  ## the library's tests under the oldest and the newest allowed versions, on every Python here (needs uv)
	$(PYTHON) tests/matrix.py $(PYTHONS)

BESIDE := .venv-integrations
$(BESIDE)/.ready: tests/integrations/requirements.txt pyproject.toml
	$(PYTHON) -m venv $(BESIDE)
	$(BESIDE)/bin/pip install --quiet --disable-pip-version-check --editable . --requirement tests/integrations/requirements.txt
	touch $@

test-integrations: $(BESIDE)/.ready  ## TRL, accelerate, lm-evaluation-harness and other company, into reports/benchmarks
	cd tests/integrations && HF_HUB_OFFLINE=1 OMP_NUM_THREADS=1 ../../$(BESIDE)/bin/python -m pytest -c pytest.ini --confcutdir=.

docs: $(VENV)/.ready  ## the reference of the interface, from the docstrings, into docs/
	pip install --quiet --disable-pip-version-check --target .cache/pdoc pdoc==16.0.0
	PYTHONPATH=src:.cache/pdoc python -m pdoc --docformat google --output-directory docs ketune ketune.circuits ketune.tuners

lint: $(VENV)/.ready-test  ## check style and types
	ruff check src stages tests && ruff format --check src stages tests
	mypy

lock-check: $(VENV)/.ready  ## does dvc.lock belong to this code and these params? needs no data
	@told=$$(dvc repro --allow-missing --dry 2>&1) || { echo "$$told"; exit 1; }; ! echo "$$told" | grep "^Running stage"

compare: $(VENV)/.ready  ## metrics beside those of BASE; fails on a regression
	.ci/compare "$$BASE"

tuned: $(VENV)/.ready  ## find every learning rate again, for params.yaml's own setting, into reports/tuned
	dvc exp run -S tune.all=true tune
	PYTHONPATH=src python -m ketune.report.publishing rates

requeue: $(VENV)/.ready  ## queue the tasks again that DVC calls running though their worker was killed
	python -m ketune.requeue

planted: $(VENV)/.ready  ## the whole pipeline on records that known teachers made; fails where a verdict is wrong
	PYTHONPATH=src python stages/planted.py

bill: $(VENV)/.ready  ## what the methods' circuits would cost on machines, into reports/hardware (needs the extra hardware)
	PYTHONPATH=src python -m ketune.bill

NAME ?= default
export NAME
publish: $(VENV)/.ready  ## put the report of this state into git, as reports/published/NAME.html
	mkdir -p reports/published && cp reports/index.html "reports/published/$$NAME.html"

RUN ?=
TO ?=
export RUN TO
share: $(VENV)/.ready  ## the adapter of a run, such as qaa-0, as the new folder TO; its page has losses and verdict
	PYTHONPATH=src python -m ketune.report.sharing "$$RUN" "$$TO"

STUDY ?=
FROM ?= .
export STUDY FROM
records: $(VENV)/.ready  ## a study's records into git, as reports/studies/STUDY, from the workspace FROM; no texts
	PYTHONPATH=src python -m ketune.report.publishing records "$$STUDY" "$$FROM"

page: $(VENV)/.ready  ## the page of a study, reports/published/STUDY.html, from its records in git alone
	PYTHONPATH=src python -m ketune.report.publishing page "$$STUDY"

pages: $(VENV)/.ready  ## the page of every study that git keeps; fails where one is not what git has
	PYTHONPATH=src python -m ketune.report.publishing pages
	git diff --exit-code --stat -- reports/published
	@! git ls-files --others --exclude-standard -- reports/published | grep .

# ARGS="--dry --force" lists the stages; without --force DVC looks results up for data that a dry run never makes.
paper: $(VENV)/.ready  ## the paper's own setting: GPT-Neo-125M, Alpaca, 1,000 steps (needs the model hub)
	dvc exp run $(PAPER) $(ARGS)

plan: $(VENV)/.ready  ## what a study will find, into reports/plan; the pilot: the workspace, or the records of STUDY
	PYTHONPATH=src python -m ketune.report.planning "$$STUDY"

study: $(VENV)/.ready  ## the methods of the papers and all their controls, eight seeds, on the records in DATA
	dvc exp run $(STUDIED) $(ARGS)

# Add settings of a large study by ARGS, as in ARGS="-S train.steps=1000 -S train.batch_size=16 -S 'seeds=[0,1,2,3,4]'",
# and REFERENCES: up to a tenth of the records.
gpu: $(VENV)/.ready-test  ## on a machine with a GPU: lightning.gpu equals the closed form, every backend timed, a study
	KETUNE_GPU=1 pytest -q tests/test_circuits_gpu.py
	python -m tests.benchmarks.table --device cuda
	$(MAKE) study

audit:  ## look the locked versions up in the advisory database (needs pip-audit)
	pip-audit --requirement requirements-test.lock --no-deps --disable-pip
	echo "$(TORCH)" | pip-audit --requirement /dev/stdin --no-deps --disable-pip

lock:  ## renew both lock files (needs uv; offer it a CPU wheel of torch, or CUDA packages enter the lock)
	uv pip compile pyproject.toml --python-version 3.11 --no-emit-package torch --generate-hashes --quiet \
		--no-annotate --no-header --group test --extra study --extra weights --extra s3 --extra ssh \
		--output-file requirements-test.lock
	uv pip compile pyproject.toml --python-version 3.11 --no-emit-package torch --generate-hashes --quiet \
		--no-annotate --no-header --extra study --extra weights --constraint requirements-test.lock \
		--output-file requirements.lock

clean:  ## remove the environment and scratch files; DVC's cache stays
	rm -rf $(VENV) $(BESIDE) .cache docs
