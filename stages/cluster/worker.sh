#!/usr/bin/env bash
# One branch of the pipeline on any machine: stages/cluster/worker.sh score@qaa-0
#
# Clones the project beside others, runs what the branch still needs, and leaves the results where the others find
# them: in KETUNE_CACHE, a DVC cache folder on a shared file system, or, where that is not set, in the default DVC
# remote. Afterwards `dvc repro` (with `--pull` for a remote) in the project itself restores every branch and runs the
# report alone. Run `dvc repro prepare` (and push it) first, or every worker prepares for itself.
set -euo pipefail
target=${1:?usage: worker.sh STAGE, such as score@qaa-0}
[[ $target =~ ^[a-z]+@[a-z0-9_]+(-[0-9]+)?$ ]] || { echo "worker.sh: '$target' is no stage; give one such as score@qaa-0" >&2; exit 2; }
project=$(realpath "${KETUNE_PROJECT:-$(git rev-parse --show-toplevel)}")
[ -z "${KETUNE_CACHE:-}" ] || KETUNE_CACHE=$(realpath -m "$KETUNE_CACHE") # the worker goes elsewhere
where="$project:${TMPDIR:-/tmp}:${KETUNE_CACHE:-}"
if LC_ALL=C bash -c '[[ $1 == *[![:ascii:]]* ]]' - "$where"; then
  echo "worker.sh: a path among $where has letters beyond ASCII, with which DVC fails; choose others" >&2
  exit 2
fi
if [ -z "${KETUNE_CACHE:-}" ] && [ -z "$(cd "$project" && dvc config core.remote 2>/dev/null)" ]; then
  echo "worker.sh: nowhere to leave results; set KETUNE_CACHE to a DVC cache folder, or add a remote (dvc remote add -d)" >&2
  exit 2
fi
scratch=$(mktemp -d "${TMPDIR:-/tmp}/ketune-worker-XXXXXX")
trap 'rm -rf "$scratch"' EXIT

git clone --quiet "$project" "$scratch/project"
[ ! -f "$project/.dvc/config.local" ] || cp "$project/.dvc/config.local" "$scratch/project/.dvc/"
cd "$scratch/project"
mkdir -p "$project/.cache/checkpoints"
ln -s "$project/.cache" .cache # checkpoints and trials outlive a worker that is killed
unset DVC_ROOT
if [ -n "${KETUNE_CACHE:-}" ]; then
  dvc config --local cache.dir "$KETUNE_CACHE"
  dvc repro "$target"
else
  dvc repro --pull "$target"
  dvc push --quiet --run-cache --with-deps "$target"
fi
