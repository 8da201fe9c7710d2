"""Where each artefact lies: the only place with paths. It knows names of files, not what is in them."""

from dataclasses import dataclass
from pathlib import Path

from ruamel.yaml import YAML

PREPARED = Path("data/prepared")
LANGUAGE_MODEL = Path("data/model")
REPORTS = Path("reports")
METRICS = REPORTS / "metrics"
PLANTED = REPORTS / "planted"
HARDWARE = REPORTS / "hardware"
PLAN = REPORTS / "plan/plan.json"


def split(name: str) -> Path:
    """The records of a split: train, validation or test."""
    return PREPARED / f"{name}.jsonl"


def dependencies(stage: str, method: str) -> list[Path]:
    """The code and data that `dvc.yaml` names for a stage of `method`: what DVC reruns it for."""
    deps = YAML(typ="safe").load(Path("dvc.yaml").read_text(encoding="utf-8"))["stages"][stage]["deps"]
    return [Path(dep.replace("${item.method}", method)) for dep in deps]


def tuned(method: str) -> Path:
    """The learning rates that a method is trained with, and how they were found."""
    return Path("data/tuned") / f"{method}.json"


def recorded_tuning(method: str) -> Path:
    """The search that found the learning rates which params.yaml gives as numbers; git keeps it."""
    return REPORTS / "tuned" / f"{method}.json"


def planted(study: str) -> Path:
    """What was said in a planted study, which git keeps and the report shows."""
    return PLANTED / f"{study}.json"


MEASURED = HARDWARE / "measured"


def bills(method: str) -> Path:
    """What the circuit of a method costs on machines, which git keeps and the report shows."""
    return HARDWARE / f"{method}.json"


RETENTION = PREPARED / "retention.jsonl"
SUMMARY = PREPARED / "summary.json"


@dataclass(frozen=True)
class Run:
    """The artefacts of one (method, seed)."""

    method: str
    seed: int

    @property
    def key(self) -> str:
        """The name that DVC's matrix gives the run, such as qaa-0."""
        return f"{self.method}-{self.seed}"

    @property
    def adapter(self) -> Path:
        """Folder of trained weights."""
        return Path("data/adapters") / self.key

    @property
    def curve(self) -> Path:
        """Loss, gradient norm and learning rate at each step."""
        return Path("data/curves") / f"{self.key}.csv"

    @property
    def cost(self) -> Path:
        """What training cost, on which machine."""
        return Path("data/costs") / f"{self.key}.json"

    @property
    def predictions(self) -> Path:
        """Folder of what the run answers and finds likely, a file for each kind."""
        return Path("data/predictions") / self.key

    def rows(self, kind: str) -> Path:
        """The predictions of one kind."""
        return self.predictions / f"{kind}.jsonl"

    @property
    def measured(self) -> Path:
        """How likely it finds texts where its circuits are read with shots and noise."""
        return MEASURED / f"{self.key}.json"

    @property
    def scores(self) -> Path:
        """Scores for each prompt and for the corpus."""
        return Path("data/scores") / f"{self.key}.json"
