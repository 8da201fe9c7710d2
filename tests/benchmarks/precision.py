"""A LoRA step in bf16 beside fp32, and two runs at once beside one: `python -m tests.benchmarks.precision`.

What it prints is why `make check` warns of a processor without bf16 instructions, and what `make parallel` gains here.
The model is that of `step.py`, its frozen weights in the precision named. Of two runs at once each has half of the
threads, and they are counted as two steps.
"""

import argparse
import multiprocessing
import statistics
import time

import torch
from peft import LoraConfig, get_peft_model

from .step import backbone, stepper

DTYPES = {"bf16": torch.bfloat16, "fp32": torch.float32}


def seconds(precision: str, threads: int, rounds: int) -> float:
    """Median of one step's seconds."""
    torch.set_num_threads(threads)
    config = LoraConfig(r=4, lora_alpha=8, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM")
    model = get_peft_model(backbone().to(DTYPES[precision]), config)
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()
    tokens = torch.randint(49152, (4, 128), generator=torch.Generator().manual_seed(0))
    step = stepper(model, tokens, half=precision == "bf16")
    step()  # the first is slower
    taken = []
    for _ in range(rounds):
        start = time.perf_counter()
        step()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


def main() -> None:
    """Print a row for each precision."""
    parser = argparse.ArgumentParser(description="seconds of a LoRA step on this machine")
    parser.add_argument("--rounds", type=int, default=3, help="steps of which the median is taken")
    rounds, threads = parser.parse_args().rounds, torch.get_num_threads()
    half = max(1, threads // 2)
    has = [name for name, there in torch.cpu.get_capabilities().items() if "bf16" in name and there]
    print(f"{threads} threads; bf16 instructions: {', '.join(has) or 'none'}; seconds of a step of 4 x 128 tokens")
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        for precision in DTYPES:
            one = pool.apply(seconds, (precision, threads, rounds))
            both = statistics.mean(pool.starmap(seconds, [(precision, half, rounds)] * 2, chunksize=1))
            gain = 2 * one / both
            print(f"{precision}: one run {one:.2f}, of two runs at once each {both:.2f}, {gain:.2f} times the steps")


if __name__ == "__main__":
    main()
