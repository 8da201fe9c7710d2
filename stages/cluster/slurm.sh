#!/usr/bin/env bash
# Every (method, seed) as one task of a Slurm array, from the project's folder on a shared file system:
#   dvc repro prepare && git commit -am "prepared"   # once, so that no task prepares for itself
#   sbatch --array=0-$(($(dvc stage list --name-only | grep -c '^score@') - 1)) stages/cluster/slurm.sh
#   dvc repro                                        # when all are done: restores every branch, runs the report
# Where rates are to be found, an array of the methods goes before it; or every seed searches for itself, one after another:
#   STAGE=tune sbatch --array=0-$(($(dvc stage list --name-only | grep -c '^tune@') - 1)) stages/cluster/slurm.sh
# A task that was killed is submitted again under its number, as in --array=3; training goes on where it was.
#SBATCH --job-name=ketune
#SBATCH --cpus-per-task=4
#SBATCH --mem=24G
#SBATCH --time=02:00:00
#SBATCH --output=slurm-%A_%a.log
set -euo pipefail
cd "${SLURM_SUBMIT_DIR:-.}"
. .venv/bin/activate
export KETUNE_CACHE="${KETUNE_CACHE:-$PWD/.dvc/cache}"
mapfile -t targets < <(dvc stage list --name-only | grep "^${STAGE:-score}@")
stages/cluster/worker.sh "${targets[${SLURM_ARRAY_TASK_ID:?start me with sbatch --array}]}"
