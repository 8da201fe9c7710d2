"""A LoRA step with each decoder layer compiled beside one without: `python -m tests.benchmarks.compiled`.

What compiling would gain and what it costs first: two lengths are compiled, the second for every length that follows.
The model is that of `step.py`, in the precision named, with the attention that training takes there; batches of four
records of unlike length, as training meets them. Each form runs in a process of its own, one after the other.
"""

import argparse
import multiprocessing
import statistics
import time

import torch
from peft import LoraConfig, get_peft_model

from .precision import DTYPES
from .step import backbone, stepper

LENGTHS = (176, 150, 190, 120)


def seconds(precision: str, compiled: bool, rounds: int) -> list[tuple[float, float]]:
    """For each length the first step's seconds, and the median of those that follow."""
    model = backbone().to(DTYPES[precision])
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
        step, taken = stepper(tuned, tokens, half=precision == "bf16"), []
        for _ in range(1 + rounds):
            start = time.perf_counter()
            step()
            taken.append(time.perf_counter() - start)
        found.append((taken[0], statistics.median(taken[1:])))
    return found


def main() -> None:
    """Print a row for each precision and length."""
    parser = argparse.ArgumentParser(description="seconds of a LoRA step, decoder layers compiled or not")
    parser.add_argument("--rounds", type=int, default=4, help="steps of which the median is taken")
    rounds = parser.parse_args().rounds
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        for precision in DTYPES:
            plain, fast = (pool.apply(seconds, (precision, compiled, rounds)) for compiled in (False, True))
            for length, (_, without), (first, step) in zip(LENGTHS, plain, fast, strict=True):
                print(
                    f"{precision}, 4 x {length} tokens: {without:.2f} s, compiled {step:.2f} s ({step / without:.2f}); "
                    f"its first step took {first:.1f} s",
                    flush=True,
                )


if __name__ == "__main__":
    main()
