"""What a run costs: parameters, seconds, memory, joules; and on which machine, since only equal machines compare.

It reads counters of the operating system and of torch. It does not know what ran.
"""

import importlib.metadata
import os
import platform
import resource
import time
from pathlib import Path

import torch
from torch import nn

from ketune.records.training import Machine, ParameterCounts, TrainingCost

PACKAGES = (
    "torch",
    "transformers",
    "peft",
    "accelerate",
    "pennylane",
    "pennylane-lightning",
    "pennylane-lightning-gpu",
)
RAPL = Path("/sys/class/powercap/intel-rapl:0/energy_uj")


def count(model: nn.Module, optimizer: torch.optim.Optimizer | None = None) -> ParameterCounts:
    """Count parameters; those that received a gradient are read off Adam's second moments after training."""
    parameters = list(model.parameters())  # a tied parameter is listed once
    trainable = [p for p in parameters if p.requires_grad]
    receiving = None
    if optimizer is not None:
        moments = (optimizer.state.get(p, {}).get("exp_avg_sq") for p in trainable)
        receiving = sum(int(torch.count_nonzero(m)) for m in moments if m is not None)
    total, changing = (sum(p.numel() for p in group) for group in (parameters, trainable))
    return ParameterCounts(total=total, trainable=changing, receiving=receiving)


class Meter:
    """Measures a stretch of work: `with Meter(device) as meter: …`, then `meter.reading(tokens)`."""

    def __init__(self, device: str) -> None:
        self.device = device

    def __enter__(self) -> "Meter":
        if self.device.startswith("cuda"):
            torch.cuda.reset_peak_memory_stats(self.device)
            torch.cuda.synchronize(self.device)
        self.energy_start = _energy_microjoules()
        self.start = time.perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        if self.device.startswith("cuda"):
            torch.cuda.synchronize(self.device)
        self.wall_seconds = time.perf_counter() - self.start
        self.energy_end = _energy_microjoules()

    def reading(self, tokens: int) -> TrainingCost:
        """What the stretch of work took, in which `tokens` tokens were trained on: none after a run's last step."""
        joules = None
        if self.energy_start is not None and self.energy_end is not None and self.energy_end >= self.energy_start:
            joules = (self.energy_end - self.energy_start) / 1e6
        return TrainingCost(
            wall_seconds=self.wall_seconds,
            tokens_per_second=tokens / self.wall_seconds if tokens else None,
            peak_memory_bytes=peak_memory_bytes(self.device),
            energy_joules=joules,
        )


def nothing_trained(device: str) -> TrainingCost:
    """The cost of a run in which there was nothing to train."""
    memory = peak_memory_bytes(device)
    return TrainingCost(wall_seconds=0.0, tokens_per_second=None, peak_memory_bytes=memory, energy_joules=None)


def peak_memory_bytes(device: str) -> int:
    """Peak memory: torch's on a GPU, else the largest resident size of this process so far."""
    if device.startswith("cuda"):
        return torch.cuda.max_memory_allocated(device)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def folder_bytes(folder: Path) -> int:
    """Size of all weight files in a folder, in bytes."""
    return sum(file.stat().st_size for file in folder.rglob("*.safetensors"))


def machine(device: str) -> Machine:
    """Processor, accelerator, memory, system and versions: what must be equal for costs to be comparable."""
    versions = {name: version for name in PACKAGES if (version := _version(name)) is not None}
    gpu = torch.cuda.get_device_name(device) if device.startswith("cuda") else None
    return Machine(
        processor=_processor(),
        cores=os.cpu_count() or 1,
        threads=torch.get_num_threads(),
        memory_bytes=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        accelerator=gpu,
        system=f"{platform.system()} {platform.machine()}",
        python=platform.python_version(),
        packages=versions,
    )


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def _energy_microjoules() -> int | None:
    """The processor package's energy counter, or None where the system does not show it to this user."""
    try:
        return int(RAPL.read_text())
    except (OSError, ValueError):
        return None
