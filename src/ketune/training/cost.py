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
RAPL = Path("/sys/class/powercap")


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


class Energy:
    """Joules of all processor packages since it was made, by the counters of RAPL, which run over after some minutes.

    Ask often: a counter that ran over twice between two questions has counted once.
    """

    def __init__(self) -> None:
        self.microjoules = 0
        self.counters = {zone: self._read(zone, "energy_uj") for zone in RAPL.glob("intel-rapl:[0-9]")}

    def joules(self) -> float | None:
        """Until now; None where the system has no counter, or does not show it to this user."""
        for zone, before in self.counters.items():
            now, wrap = self._read(zone, "energy_uj"), self._read(zone, "max_energy_range_uj")
            if before is None or now is None or wrap is None:
                return None
            self.microjoules += (now - before) % (wrap + 1)
            self.counters[zone] = now
        return self.microjoules / 1e6 if self.counters else None

    @staticmethod
    def _read(zone: Path, name: str) -> int | None:
        try:
            return int((zone / name).read_text())
        except (OSError, ValueError):
            return None


class Meter:
    """Measures a stretch of work: `with Meter(device) as meter: …`, then `meter.reading(tokens)`.

    In between `meter.energy.joules()` is to be asked every few minutes.
    """

    def __init__(self, device: str) -> None:
        self.device = device

    def __enter__(self) -> "Meter":
        if self.device.startswith("cuda"):
            torch.cuda.reset_peak_memory_stats(self.device)
            torch.cuda.synchronize(self.device)
        self.energy = Energy()
        self.start = time.perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        if self.device.startswith("cuda"):
            torch.cuda.synchronize(self.device)
        self.wall_seconds = time.perf_counter() - self.start
        self.joules = self.energy.joules()

    def reading(self, tokens: int) -> TrainingCost:
        """What the stretch of work took, in which `tokens` tokens were trained on: none after a run's last step."""
        return TrainingCost(
            wall_seconds=self.wall_seconds,
            tokens_per_second=tokens / self.wall_seconds if tokens else None,
            peak_memory_bytes=peak_memory_bytes(self.device),
            energy_joules=self.joules,
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
