"""Features are measured at every site of every architecture, of the active adapters alone, and leave no trace."""

from typing import Any

import pytest
import torch
from peft import PeftModel, get_peft_model
from torch import Tensor
from transformers import T5Config, T5ForConditionalGeneration

import architectures
from architectures import CONFIGS, ids
from ketune.ground.errors import InputError
from ketune.tuners.qaa import QAAConfig
from ketune.tuners.residual import ResidualAdapter, measure_features, residual_adapters
from ketune.tuners.sites import SITES


def adapt(architecture: str = "llama", **values: Any) -> PeftModel:
    torch.manual_seed(1)
    return get_peft_model(architectures.model(architecture), config(**values))


def config(**values: Any) -> QAAConfig:
    return QAAConfig(task_type="CAUSAL_LM", centre="data", **values)


def batches() -> list[dict[str, Tensor]]:
    """One batch that ends in padding."""
    mask = torch.ones_like(ids())
    mask[1:, 4:] = 0
    return [{"input_ids": ids(), "attention_mask": mask}]


def named(model: PeftModel, name: str) -> list[ResidualAdapter]:
    return [module for key, module in model.named_modules() if key.endswith(f"qaa_adapter.{name}")]


PLACES = [
    (architecture, "both" if SITES[architecture].feedforward else "attention")  # experts may hold theirs in one tensor
    for architecture in CONFIGS
] + [("llama", "attention"), ("llama", "feedforward")]


@pytest.mark.parametrize(("architecture", "placement"), PLACES)
def test_every_architecture_is_measured_at_every_placement(architecture: str, placement: Any) -> None:
    model, seen = adapt(architecture, placement=placement), {}
    for adapter in residual_adapters(model):
        adapter.feature_map.register_forward_hook(lambda _, __, z, adapter=adapter: seen.update({adapter: z}))
    measure_features(model, batches())
    mask = batches()[0]["attention_mask"].flatten().bool()
    assert len(seen) == (4 if placement == "both" else 2)
    for adapter, z in seen.items():
        assert torch.allclose(adapter.mean, z.reshape(-1, adapter.feature_map.features)[mask].mean(0), atol=1e-6)


def test_without_a_mask_every_position_counts() -> None:
    means = []
    for batch in ({"input_ids": ids()}, {"input_ids": ids(), "attention_mask": torch.ones_like(ids())}):
        model = adapt()
        measure_features(model, [batch])
        means.append([adapter.mean for adapter in residual_adapters(model)])
    assert all(torch.equal(one, other) and one.any() for one, other in zip(*means, strict=True))


def test_the_active_adapter_alone_is_measured() -> None:
    model = adapt()
    measure_features(model, batches())
    model.add_adapter("second", config())
    model.set_adapter("second")
    before = [(adapter.mean.clone(), adapter.facts) for adapter in named(model, "default")]
    measure_features(model, [{"input_ids": ids().flip(0), "attention_mask": torch.ones_like(ids())}])
    assert all(adapter.facts and adapter.mean.any() for adapter in named(model, "second"))
    for adapter, (mean, facts) in zip(named(model, "default"), before, strict=True):
        assert torch.equal(adapter.mean, mean) and adapter.facts == facts


def without_trace(model: PeftModel) -> bool:
    """Whether measuring that failed left the model as it was."""
    return model.training and all(a.moments is None and not a.mean.any() for a in residual_adapters(model))


def test_batches_without_a_position_are_refused() -> None:
    model, [batch] = adapt().train(), batches()
    masked = batch | {"attention_mask": torch.zeros_like(ids())}
    for given, count in (([], 0), ([masked, masked], 2)):
        with pytest.raises(InputError, match=f"{count} batches were given, with no position.*; give batches"):
            measure_features(model, given)
        assert without_trace(model)


def test_a_batch_that_the_model_refuses_leaves_no_trace() -> None:
    model = adapt().train()
    with pytest.raises(IndexError):
        measure_features(model, [*batches(), batches()[0] | {"input_ids": ids() + 100}])
    assert without_trace(model)


def test_a_model_without_an_active_adapter_is_refused() -> None:
    model = adapt()
    with model.disable_adapter(), pytest.raises(InputError, match=r"no adapter .* is active .*; activate one"):
        measure_features(model, batches())


def test_a_trained_adapter_keeps_its_mean() -> None:
    model = adapt(init_weights=False)
    with pytest.raises(InputError, match=r"an adapter is trained, .*; measure before"):
        measure_features(model, batches())


def test_every_module_keeps_its_mode() -> None:
    model = adapt()
    model.train()
    model.get_base_model().lm_head.eval()
    before = [module.training for module in model.modules()]
    measure_features(model, batches())
    assert [module.training for module in model.modules()] == before


def test_a_single_batch_is_refused() -> None:
    for given in (batches()[0], ids()):
        with pytest.raises(InputError, match="one batch was given; give a list of batches"):
            measure_features(adapt(), given)


@pytest.mark.parametrize("by_labels", [False, True])
def test_the_decoder_is_measured_where_its_own_positions_are(by_labels: bool) -> None:
    sizes = {"d_model": 16, "d_kv": 4, "d_ff": 16, "num_layers": 1, "num_decoder_layers": 1, "num_heads": 4}
    base = T5ForConditionalGeneration(T5Config(vocab_size=40, decoder_start_token_id=0, **sizes))
    chosen = QAAConfig(task_type="SEQ_2_SEQ_LM", centre="data", target_modules=["SelfAttention.o"])
    model = get_peft_model(base, chosen)
    inputs, outputs = torch.arange(1, 13).view(2, 6), torch.arange(1, 9).view(2, 4)
    masks = [torch.ones_like(inputs), torch.ones_like(outputs)]
    masks[0][1, 3:], masks[1][1, 2:] = 0, 0
    batch = {"input_ids": inputs, "attention_mask": masks[0], "labels": outputs.masked_fill(masks[1] == 0, -100)}
    seen = {}
    for adapter in residual_adapters(model):
        adapter.feature_map.register_forward_hook(lambda _, __, z, adapter=adapter: seen.update({adapter: z}))
    measure_features(model, [batch if by_labels else batch | {"decoder_attention_mask": masks[1]}])
    assert len(seen) == 2
    for (adapter, z), mask in zip(seen.items(), masks, strict=True):
        counted = z.reshape(-1, adapter.feature_map.features)[mask.flatten().bool()]
        assert torch.allclose(adapter.mean, counted.mean(0), atol=1e-6)
