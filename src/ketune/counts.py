"""Trainable parameters in closed form, and the paper's Table 1 beside them: `python -m ketune.counts`.

Models are built on torch's meta device, so no weights are needed.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import nn
from transformers import AutoModelForCausalLM, GPTNeoConfig, PretrainedConfig, PreTrainedModel
from transformers.pytorch_utils import Conv1D

from ketune import methods, published
from ketune.ground.errors import InputError
from ketune.tuners.layers import widths
from ketune.tuners.residual import without_gradient
from ketune.tuners.sites import Backbone


def gpt_neo_125m() -> GPTNeoConfig:
    """The sizes of GPT-Neo-125M."""
    return GPTNeoConfig(
        hidden_size=768, num_layers=12, num_heads=12, attention_types=[[["global", "local"], 6]], vocab_size=50257,
        max_position_embeddings=2048,
    )  # fmt: skip


def on_meta(config: PretrainedConfig) -> PreTrainedModel:
    """A causal language model of that configuration without weights."""
    with torch.device("meta"):
        return AutoModelForCausalLM.from_config(config)


def backbone(model: PreTrainedModel | PretrainedConfig) -> Backbone:
    """The sizes of a language model, given itself (before anything is attached) or its configuration.

    Raises:
        InputError: no list of decoder blocks is found in it.
    """
    if isinstance(model, PretrainedConfig):
        model = on_meta(model)
    config = model.config.get_text_config()
    blocks = [
        name
        for name, module in model.named_modules()
        if isinstance(module, nn.ModuleList) and len(module) == config.num_hidden_layers
    ]
    if not blocks:
        raise InputError(
            f"{type(model).__name__}: no list of {config.num_hidden_layers} blocks is found in it; take a decoder that "
            "has one, as those in ketune.tuners.sites do."
        )
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    head = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    return Backbone(
        parameters=sum(parameter.numel() for parameter in model.parameters()),  # a tied one is listed once
        layers=config.num_hidden_layers,
        key_value_width=heads * head,
        linears=tuple(_linears(model, blocks[0])),
    )


def _linears(model: nn.Module, blocks: str) -> Iterator[tuple[str, int, int]]:
    for name, module in model.named_modules():
        if name.startswith(f"{blocks}.") and isinstance(module, (nn.Linear, Conv1D)):
            yield (name, *widths(module, name))


def count(name: str, changes: dict[str, Any], config: PretrainedConfig) -> tuple[int, int]:
    """Trainable parameters of the method `name` at its default settings with `changes`; those that get a gradient."""
    adapter = methods.adapter(name, methods.defaults(name) | changes)
    ours = adapter.expected_parameters(backbone(config))
    padded = getattr(adapter, "up_projection", None) == "padded"
    return ours, ours - without_gradient(adapter.attach(on_meta(config))) if padded else ours


def pruned(config: PretrainedConfig, r: int, ranks: int) -> int:
    """Parameters of SoRA at `ranks` whole ranks, for a model whose query and value maps have one shape."""
    per_rank = count("lora", {"r": r}, config)[0] // r
    return per_rank // (2 * backbone(config).layers) * ranks


def label(name: str, changes: dict[str, Any]) -> str:
    """The method's title with its changed settings and those that are numbers of something."""
    section = {key: value for key, value in methods.defaults(name).items() if type(value) is int} | changes
    return ", ".join([methods.declared(name).title, *(f"{key} = {value}" for key, value in section.items())])


def table(config: PretrainedConfig) -> list[tuple[str, int | None, int, int]]:
    """(label, the paper's figure, ours, how many of ours receive a gradient) of each row, the paper's first."""
    sora = published.ROWS["sora"]
    rows = [(name, row.settings, None if row is sora else row.parameters) for name, row in published.ROWS.items()]
    behind = 1 + list(published.ROWS).index("sora")
    others = [name for name in methods.names() if methods.declared(name).rates and name not in published.ROWS]
    rows += [(name, {}, None) for name in ("qaa", *others)]  # QAA again, with no row that lacks a gradient
    found = [(label(name, changes), printed, *count(name, changes, config)) for name, changes, printed in rows]
    left = pruned(config, sora.settings["r"], published.RANKS_LEFT)  # what is printed of SoRA is what pruning left
    found.insert(behind, (f"SoRA, {published.RANKS_LEFT} of 96 ranks", sora.parameters, left, left))
    return found


def main() -> None:
    """Print the table for GPT-Neo-125M."""
    print(f"Trainable parameters on GPT-Neo-125M: {published.SOURCE}, Table 1, beside ketune")
    print(f"{'method':42}{'paper':>14}{'ketune':>14}{'with gradient':>16}")
    for text, printed, ours, receiving in table(gpt_neo_125m()):
        print(f"{text:42}{'' if printed is None else f'{printed:,}':>14}{ours:>14,}{receiving:>16,}")


if __name__ == "__main__":
    main()
