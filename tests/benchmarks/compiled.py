"""A LoRA step, with layers compiled or not, and its matrix products: `python -m tests.benchmarks.compiled`.

What compiling would gain and what it costs first: two lengths are compiled, the second for every length that follows.
The products with frozen weights, alone, are what a step can hardly do without: outputs, and gradients of inputs.
The model is that of `step.py`, in the precision named, with the attention that training takes there; batches of four
records of unlike length, as training meets them. Each form runs in a process of its own, one after the other.
"""

import argparse
import multiprocessing
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from peft import LoraConfig, get_peft_model
from torch import Tensor, nn

from .precision import DTYPES
from .step import backbone, stepper

LENGTHS = (176, 150, 190, 120)


@dataclass(frozen=True)
class Times:
    """Seconds at one length of records.

    Attributes:
        first: of the first step, which compiles.
        step: of those that follow, their median.
        products: median of the frozen weights' products over that of the step, in the same rounds.
    """

    first: float
    step: float
    products: float


def products(weights: list[Tensor], count: int) -> Callable[[], object]:
    """For `count` tokens each weight's output, and the gradient of its input."""
    given = {width: torch.randn(count, width, dtype=weights[0].dtype) for weight in weights for width in weight.shape}

    def run() -> None:
        for weight in weights:
            given[weight.shape[1]] @ weight.t()
            given[weight.shape[0]] @ weight

    return run


def taken(run: Callable[[], object]) -> float:
    """Seconds of one call."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def seconds(precision: str, compiled: bool, rounds: int) -> list[Times]:
    """One entry for each length."""
    model = backbone().to(DTYPES[precision])
    weights = [layer.weight.detach() for layer in model.modules() if isinstance(layer, nn.Linear)]
    model.set_attn_implementation("eager" if precision == "bf16" else "sdpa")
    model.config.use_cache = False  # as in training; a cache would have each layer compiled anew
    config = LoraConfig(r=4, lora_alpha=8, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM")
    tuned = get_peft_model(model, config)
    for parameter in tuned.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()
    for layer in model.model.layers if compiled else ():
        layer.compile()
    found = []
    for length in LENGTHS:
        tokens = torch.randint(49152, (4, length), generator=torch.Generator().manual_seed(length))
        step, alone = stepper(tuned, tokens, half=precision == "bf16"), products(weights, tokens.numel())
        first, _ = taken(step), alone()
        times = [(taken(step), taken(alone)) for _ in range(rounds)]
        share = statistics.median(bare / whole for whole, bare in times)
        found.append(Times(first, statistics.median(whole for whole, _ in times), share))
    return found


def main() -> None:
    """Print a row for each precision and length."""
    parser = argparse.ArgumentParser(description="seconds of a LoRA step, decoder layers compiled or not")
    parser.add_argument("--rounds", type=int, default=4, help="steps of which the median is taken")
    rounds = parser.parse_args().rounds
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        for precision in DTYPES:
            plain, fast = (pool.apply(seconds, (precision, compiled, rounds)) for compiled in (False, True))
            for length, without, then in zip(LENGTHS, plain, fast, strict=True):
                print(
                    f"{precision}, 4 x {length} tokens: {without.step:.2f} s, of which matrix products alone take "
                    f"{without.products:.2f}; compiled {then.step:.2f} s ({then.step / without.step:.2f}, products "
                    f"{then.products:.2f}), and its first step took {then.first:.1f} s",
                    flush=True,
                )


if __name__ == "__main__":
    main()
