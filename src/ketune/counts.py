"""Trainable parameters in closed form, and the paper's Table 1 beside them: `python -m ketune.counts`.

Models are built on torch's meta device, so no weights are needed. Source of the printed figures: arXiv:2509.16244,
Table 1 (GPT-Neo-125M).
"""

from typing import Any

import torch
from torch import nn
from transformers import AutoModelForCausalLM, GPTNeoConfig, PretrainedConfig, PreTrainedModel
from transformers.pytorch_utils import Conv1D

from ketune.ground.errors import InputError
from ketune.methods import Backbone, load

LEARNING_RATE = 1.0
"""Methods ask for one; it does not enter a count."""

_QAA = {"layers": 1, "rotation": "RX", "entangler": "ring", "placement": "attention", "angle_init": "uniform",
        "scale": 1.0, "unit_features": False, "device": "auto", "gradient": "adjoint", "angle_factor": 1.0}  # fmt: skip
_TWIN = {key: _QAA[key] for key in ("placement", "scale", "unit_features", "device")} | {"up_projection": "exact"}
_LORA = {"r": 4, "alpha": 8.0, "dropout": 0.0}
_SORA = _LORA | {"gate_init": "normal", "sparsity": 0.0, "sparsity_unit": "step", "sparsity_start": 0.0,
                 "sparsity_end": 0.5, "target_ranks": 0.85}  # fmt: skip
_QTHA = _LORA | {"bond": 8}
_RESIDUAL = {"placement": "attention", "scale": 1.0}

ROWS: list[tuple[str, str, dict[str, Any], int | None]] = [
    ("Full", "full", {}, 125_198_592),
    ("LoRA, r = 4 on query and value", "lora", _LORA, 147_456),
    ("SoRA, r = 4, before pruning", "sora", _SORA, None),
    ("Prefix, 30 virtual tokens", "prefix", {"virtual_tokens": 30, "initialisation": "random", "text": "-"}, 552_960),
    ("QAA, padded to 1,024", "qaa", _QAA | {"up_projection": "padded"}, 123_000),
    ("QAA, exact", "qaa", _QAA | {"up_projection": "exact"}, None),
    ("Quantum-PEFT, K = 4, L = 1", "quantum_peft",
     {"rank": 4, "layers": 1, "parameterization": "pauli", "intrinsic_rank": None, "scale": 1.0}, None),
    ("QTHA, r = 4, bond 8", "qtha", _QTHA | {"layers": 1}, None),
    ("QTHA, no network", "qtha_none", _QTHA, None),
    ("QTHA, SiLU", "qtha_silu", _QTHA | {"layers": 1}, None),
    ("QAA, frozen angles", "qaa_frozen",
     _TWIN | {"layers": 1, "rotation": "RX", "entangler": "ring", "angle_init": "uniform"}, None),
    ("QAA, angles 0", "qaa_zero", _TWIN | {"entangler": "ring"}, None),
    ("QAA, no CNOT", "qaa_product",
     _TWIN | {"layers": 1, "rotation": "RX", "angle_init": "uniform", "gradient": "adjoint",
              "angle_factor": 1.0}, None),
    ("Bias only", "bias_only", _RESIDUAL, None),
    ("Random linear map", "random_linear", _RESIDUAL, None),
    ("Random quadratic map", "random_quadratic", _RESIDUAL, None),
    ("LoRA, matched, rank 5", "lora_matched", _RESIDUAL | {"rank": 5}, None),
    ("SiLU bottleneck, rank 5", "silu_bottleneck", _RESIDUAL | {"rank": 5}, None),
    ("DoRA, r = 4 on query and value", "dora", _LORA, None),
    ("VeRA, r = 256 on query and value", "vera", {"r": 256, "d_initial": 0.1}, None),
    ("(IA)³", "ia3", {}, None),
]  # fmt: skip
"""(label, method, its section without the learning rate, the figure that the paper prints)."""


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
        raise InputError(f"{type(model).__name__}: no list of {config.num_hidden_layers} blocks is found in it.")
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    head = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    return Backbone(
        parameters=sum(parameter.numel() for parameter in model.parameters()),  # a tied one is listed once
        hidden=config.hidden_size,
        layers=config.num_hidden_layers,
        key_value_width=heads * head,
        linears=tuple(_linears(model, blocks[0])),
    )


def _linears(model: nn.Module, blocks: str) -> list[tuple[str, int, int]]:
    found = []
    for name, module in model.named_modules():
        if name.startswith(f"{blocks}.") and isinstance(module, nn.Linear):
            found.append((name, module.in_features, module.out_features))
        elif name.startswith(f"{blocks}.") and isinstance(module, Conv1D):
            found.append((name, module.nx, module.nf))
    return found


def trainable(model: nn.Module) -> int:
    """Number of weights that training may change."""
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)


def without_gradient(model: nn.Module) -> int:
    """Trainable weights that can never receive a gradient: the rows of a padded up projection."""
    return sum(getattr(module, "dead_parameters", 0) for module in model.modules())


def table(config: PretrainedConfig) -> list[tuple[str, int | None, int, int]]:
    """(label, the paper's figure, ours, how many of ours receive a gradient) of each row."""
    rows = []
    sizes = backbone(config)
    for label, name, section, printed in ROWS:
        method = load(name, section | {"learning_rate": LEARNING_RATE})
        dead = without_gradient(method.attach(on_meta(config))) if name == "qaa" else 0
        ours = method.expected_parameters(sizes)
        rows.append((label, printed, ours, ours - dead))
    return rows


def pruned(config: PretrainedConfig, r: int, ranks: int) -> int:
    """Parameters of SoRA at `ranks` whole ranks, for a model whose query and value maps have one shape."""
    per_rank = load("lora", _LORA | {"r": r, "learning_rate": LEARNING_RATE}).expected_parameters(backbone(config)) // r
    maps = 2 * backbone(config).layers
    return per_rank // maps * ranks


def main() -> None:
    """Print the table for GPT-Neo-125M."""
    config = gpt_neo_125m()
    print("Trainable parameters on GPT-Neo-125M: arXiv:2509.16244, Table 1, beside ketune")
    print(f"{'method':36}{'paper':>14}{'ketune':>14}{'with gradient':>16}")
    for label, printed, ours, receiving in table(config):
        print(f"{label:36}{'' if printed is None else f'{printed:,}':>14}{ours:>14,}{receiving:>16,}")
        if label.startswith("SoRA"):
            print(f"{'SoRA, 82 of 96 ranks':36}{125_337:>14,}{pruned(config, 4, 82):>14,}{pruned(config, 4, 82):>16,}")


if __name__ == "__main__":
    main()
