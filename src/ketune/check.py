"""Are the values in `params.yaml` allowed? `python -m ketune.check` names the first that is not, in one sentence.

DVC reads the same file before any stage can; what it says of a text where a list is expected names no key.
"""

from ketune.ground import process  # isort: skip  (threads are set before torch is loaded)

import torch

from ketune import language_model, methods
from ketune.ground import params
from ketune.ground.params import Params
from ketune.report import plan


def check() -> None:
    """Read params.yaml and build every listed method from its section."""
    settings = params.load()
    for name, section in settings.sections.items():
        methods.configured(name, section)
    plan.planned(settings)
    print(f"params.yaml: every value is allowed; {len(settings.runs)} runs of {len(settings.methods)} methods")
    if slow := slow_precision(settings):
        print(slow)


def slow_precision(settings: Params) -> str | None:
    """What to know where bf16 is to be computed by a processor that has no instructions for it."""
    if settings.train.precision != "bf16" or language_model.device(settings.train) != "cpu":
        return None
    if any(has for name, has in torch.cpu.get_capabilities().items() if "bf16" in name):
        return None
    return (
        "train.precision: this processor has no bf16 instructions. Results hold, but training may take several times "
        "as long as with fp32 (dvc exp run -S train.precision=fp32); python -m tests.benchmarks.precision measures it."
    )


if __name__ == "__main__":
    process.run(check)
