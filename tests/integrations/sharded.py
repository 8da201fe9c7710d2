"""Trains every adapter with weights sharded over processes: `torchrun --nproc-per-node=2 sharded.py KIND FOLDER`.

KIND is fsdp1 (FullyShardedDataParallel with the original parameters) or fsdp2 (fully_shard). The adapters, gathered
from all processes, are saved into FOLDER.
"""

import sys
from pathlib import Path

import pytest
import torch
from kinds import ADAPTERS, config
from peft import PeftModel, get_peft_model
from torch import distributed
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict
from torch.distributed.fsdp import FullyShardedDataParallel, fully_shard
from torch.nn import Module

import architectures
from ketune.ground.errors import InputError

STEPS, RATE = 3, 0.1


def fresh(name: str) -> PeftModel:
    """The model with that adapter, the same weights each time."""
    base = architectures.model("llama")
    torch.manual_seed(0)
    return get_peft_model(base, config(name))


def train(model: Module) -> None:
    """A few steps; each process sees the same batch, so that the mean over processes is what one of them computes."""
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=RATE)
    for _ in range(STEPS):
        optimizer.zero_grad()
        model(input_ids=architectures.ids(), labels=architectures.ids()).loss.backward()
        optimizer.step()


def sharded(model: Module, kind: str) -> Module:
    """The model with its weights spread over the processes."""
    if kind == "fsdp1":
        return FullyShardedDataParallel(model, use_orig_params=True, device_id=torch.device("cpu"))
    for layer in model.base_model.model.model.layers:
        fully_shard(layer)
    return fully_shard(model)


def main(kind: str, folder: str) -> None:
    """Train and save every adapter."""
    distributed.init_process_group("gloo")
    for name in ADAPTERS:
        model = fresh(name)
        spread = sharded(model, kind)
        train(spread)
        if name == "SoRA":
            with pytest.raises(InputError, match="spread over processes"):
                model.base_model.proximal_step(STEPS, STEPS, RATE)
        gathered = get_model_state_dict(spread, options=StateDictOptions(full_state_dict=True, cpu_offload=True))
        if distributed.get_rank() == 0:
            model.save_pretrained(str(Path(folder, name)), state_dict=gathered)
    distributed.destroy_process_group()


if __name__ == "__main__":
    main(*sys.argv[1:])
