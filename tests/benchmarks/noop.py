"""How long `dvc repro` takes to find that nothing is to be done: `python -m tests.benchmarks.noop [--rounds 5]`.

Three projects, one after another in every round: the pipeline with ten methods and three seeds, the pipeline with two
methods and one seed, and a DVC project of five stages that copy a file. Outputs are placeholders that `dvc commit`
took; what DVC checks is the same. Prints medians, and the functions in which the large one spends its time.
"""

import argparse
import pstats
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from dvc.repo import Repo

sys.path.insert(0, str(Path(__file__).parents[1]))

from conftest import Project, environment

METHODS = ["base", "full", "lora", "sora", "prefix", "qaa", "quantum_peft", "qtha", "bias_only", "lora_matched"]
FIVE = "stages:\n" + "".join(
    f"  s{i}:\n    cmd: cp f{i} f{i + 1}\n    deps: [f{i}]\n    outs: [f{i + 1}]\n" for i in range(5)
)


def pipeline(folder: Path, methods: list[str], seeds: list[int]) -> Project:
    """The project's own pipeline, every output in place."""
    folder.mkdir()
    project = Project.create(folder, folder / "no-model", methods, seeds)
    with Repo(str(folder)) as repo:
        for out in repo.index.outs:
            path = Path(out.fs_path)
            path = path if path.suffix else path / "file.json"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{out.def_path}\n")
    project.run("dvc", "commit", "--force", "--quiet")
    return project


def five_stages(folder: Path) -> Project:
    """The smallest project with as many stages as a pipeline has kinds."""
    folder.mkdir()
    project = Project(folder)
    (folder / "dvc.yaml").write_text(FIVE)
    (folder / "f0").write_text("f0\n")
    for command in (("git", "init", "-q"), ("dvc", "init", "-q"), ("dvc", "repro", "-q")):
        project.run(*command)
    return project


def seconds(project: Project) -> float:
    """Wall time of one `dvc repro`, which must run nothing."""
    start = time.perf_counter()
    assert project.stages_run("dvc", "repro") == set()
    return time.perf_counter() - start


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as scratch:
        projects = {
            "10 methods × 3 seeds": pipeline(Path(scratch) / "large", METHODS, [0, 1, 2]),
            "2 methods × 1 seed": pipeline(Path(scratch) / "small", METHODS[:2], [0]),
            "five stages": five_stages(Path(scratch) / "five"),
        }
        times: dict[str, list[float]] = {name: [] for name in projects}
        for _ in range(rounds):
            for name, project in projects.items():
                times[name].append(seconds(project))
        medians = {name: statistics.median(values) for name, values in times.items()}
        for name, value in medians.items():
            print(f"{name}: {value:.2f} s (of {rounds}: {min(times[name]):.2f} to {max(times[name]):.2f})")
        allowed = 1.5 * medians["five stages"] + 2
        print(f"allowed for the first: 1.5 × {medians['five stages']:.2f} + 2 = {allowed:.2f} s")
        large = projects["10 methods × 3 seeds"].folder
        subprocess.run(["dvc", "repro", "-q", "--cprofile", "--cprofile-dump", "profile"], cwd=large,
                       env=environment(), check=True)  # fmt: skip
        pstats.Stats(str(large / "profile")).sort_stats("cumulative").print_stats("dvc", 25)


if __name__ == "__main__":
    main()
