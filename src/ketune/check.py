"""Are the values in `params.yaml` allowed? `python -m ketune.check` names the first that is not, in one sentence.

DVC reads the same file before any stage can; what it says of a text where a list is expected names no key.
"""

from ketune.ground import process  # isort: skip  (threads are set before torch is loaded)

import torch

from ketune import language_model, methods
from ketune.ground import params
from ketune.ground.params import Params


def check() -> None:
    """Read params.yaml and build every listed method from its section."""
    settings = params.load()
    for name, section in settings.sections.items():
        methods.adapter(name, section)
        methods.rates(name, section)
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
        "train.precision: this processor has no bf16 instructions. Results hold, but fp32 trains some three times as "
        "fast here: dvc exp run -S train.precision=fp32 (a LoRA step of SmolLM2-135M, 4 x 100 tokens on one thread of "
        "such a Xeon: 12 s in bf16, 3.5 s in fp32)."
    )


if __name__ == "__main__":
    process.run(check)
