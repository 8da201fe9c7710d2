# Every stage on this machine, several at a time: `make parallel WORKERS=2`, or make -f stages/cluster/local.mk -j 2
#
# `dvc repro` runs one stage after another. Here make decides what may run at once, and DVC runs, caches and records each
# stage as ever. Each has one thread, or OMP_NUM_THREADS; `python -m tests.benchmarks.precision` says what that gains.
# Other threads round sums otherwise, so compare runs of one way. Killed or stopped, the same command goes on.
export OMP_NUM_THREADS ?= 1
STAGES := $(shell PYTHONPATH=src python -m ketune.check >&2 && dvc stage list --name-only) # checked: names reach a shell
RUNS := $(patsubst score@%,%,$(filter score@%,$(STAGES)))
method = $(patsubst %-$(lastword $(subst -, ,$1)),%,$1)

$(if $(STAGES),,$(error nothing was run))

.PHONY: $(STAGES)
.DEFAULT_GOAL := report

define branch
train@$1: tune@$(call method,$1)
generate@$1: train@$1
score@$1: generate@$1
measure@$1: train@$1
report: score@$1 $(filter measure@$1,$(STAGES))
endef
$(foreach run,$(RUNS),$(eval $(call branch,$(run))))
$(filter tune@%,$(STAGES)): prepare
$(STAGES):
	dvc --wait-for-lock repro --single-item $@
