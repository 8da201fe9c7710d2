"""A whole training step of SmolLM2-135M's architecture: QAA after every attention block beside LoRA r = 4 on q and v.

Weights are random, because the time of a step does not depend on them. Forward, loss, backward and AdamW on 4 × 128
tokens, the same batch for every model, interleaved.
"""

from collections.abc import Callable

import torch
from peft import LoraConfig, get_peft_model
from transformers import LlamaConfig, LlamaForCausalLM

from ketune.tuners.qaa import QAAConfig


def backbone() -> LlamaForCausalLM:
    """SmolLM2-135M's architecture (134,515,008 weights), frozen."""
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=49152, hidden_size=576, intermediate_size=1536, num_hidden_layers=30, num_attention_heads=9,
        num_key_value_heads=3, tie_word_embeddings=True, max_position_embeddings=2048,
    )  # fmt: skip
    return LlamaForCausalLM(config).requires_grad_(False)


def stepper(model: torch.nn.Module, tokens: torch.Tensor, half: bool) -> Callable[[], object]:
    """One optimiser step, in fp32 or under bf16 autocast."""
    model.train()
    optimiser = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-3)

    def step() -> None:
        with torch.autocast(tokens.device.type, dtype=torch.bfloat16, enabled=half):
            loss = model(input_ids=tokens, labels=tokens).loss
        loss.backward()
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)

    return step


def steppers(half: bool, device: str = "cpu", batch: int = 4, length: int = 128) -> dict[str, Callable[[], object]]:
    """Name to step, for LoRA and for QAA on each backend of interest."""
    tokens = torch.randint(49152, (batch, length), generator=torch.Generator().manual_seed(0)).to(device)
    configs = {
        "LoRA r=4 (q, v)": LoraConfig(r=4, lora_alpha=8, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM"),
        "QAA, closed form": QAAConfig(device="torch", task_type="CAUSAL_LM"),
        "QAA, lightning.qubit register": QAAConfig(device="lightning.qubit", task_type="CAUSAL_LM"),
    }
    if device == "cuda":
        configs["QAA, lightning.gpu"] = QAAConfig(device="lightning.gpu", task_type="CAUSAL_LM")
    models = {name: get_peft_model(backbone().to(device), config) for name, config in configs.items()}
    return {name: stepper(model, tokens, half) for name, model in models.items()}
