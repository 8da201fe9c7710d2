"""What QTHA is: tensor trains, a network between them, and how many parameters that saves where."""

import math
from typing import Any

import pytest
import torch

from ketune import closed_forms
from ketune.tuners import tensor_train
from ketune.tuners.qtha import HybridAdapter, QTHAConfig


@pytest.mark.parametrize("width, expected", [(768, (8, 6, 4, 4)), (3584, (8, 8, 8, 7)), (18944, (37, 8, 8, 8)),
                                              (256, (4, 4, 4, 4)), (512, (8, 4, 4, 4)), (7, (7, 1, 1, 1))])  # fmt: skip
def test_factors_of_the_released_code(width: int, expected: tuple[int, ...]) -> None:
    assert closed_forms.factors(width) == expected


def test_tensor_train_is_the_matrix_that_its_definition_gives() -> None:
    torch.manual_seed(0)
    train = tensor_train.TensorTrain(24, 36, 3).double()
    ins, outs = closed_forms.factors(24), closed_forms.factors(36)
    matrix = torch.einsum("aycp,bzyq,dxzr,ewxs->abdepqrsw", *(
        core for core in train.cores
    )).reshape(*outs, *ins).reshape(36, 24)  # fmt: skip
    vectors = torch.randn(5, 24, dtype=torch.float64)
    assert torch.allclose(train(vectors), vectors @ matrix.T)
    back = torch.randn(5, 36, dtype=torch.float64)
    assert torch.allclose(train.transposed(back), back @ matrix)
    assert sum(p.numel() for p in train.parameters()) == closed_forms.tensor_train(24, 36, 3)


QWEN_7B = [(3584, 3584), (3584, 512)]  # query and value maps of a 7-billion-parameter Qwen2.5
GPT_NEO = [(768, 768)] * 2
SMOLLM2 = [(576, 576), (576, 192)]


def against_lora(maps: list[tuple[int, int]], **settings: Any) -> float:
    """QTHA's number of parameters over LoRA's of the same rank, on those maps."""
    config = QTHAConfig(**settings)
    return sum(config.parameters(i, o) for i, o in maps) / sum(config.r * (i + o) for i, o in maps)


@pytest.mark.parametrize(
    ("maps", "settings", "ratio"),
    [
        (QWEN_7B, {"r": 10}, 1 - 0.761),  # "76 % fewer": at this width and this rank
        (QWEN_7B, {"r": 8}, 1 - 0.726),
        (QWEN_7B, {"r": 4}, 1 - 0.548),
        (GPT_NEO, {"r": 4, "inner": 256}, 1.299),  # the released width of 256 at 768 inputs: more than LoRA
        (SMOLLM2, {"r": 4, "inner": 256}, 1.967),
        (GPT_NEO, {"r": 4}, 0.862),
        (SMOLLM2, {"r": 4}, 0.835),
    ],
)
def test_the_published_saving_of_qtha_holds_at_large_widths(maps: list, settings: dict, ratio: float) -> None:
    assert against_lora(maps, **settings) == pytest.approx(ratio, abs=0.001)


@pytest.mark.parametrize(("inputs", "inner"), [(3584, 256), (4096, 256), (1024, 64), (768, 64), (576, 32), (24, 4)])
def test_the_inner_width_of_qtha_grows_with_the_model(inputs: int, inner: int) -> None:
    assert QTHAConfig().inner_width(inputs) == inner and QTHAConfig(inner=7).inner_width(inputs) == 7


@pytest.mark.parametrize(("init", "a"), [("released", 0), ("torch", math.sqrt(5))])
def test_maps_of_qtha_start_as_declared(init: Any, a: float) -> None:
    torch.manual_seed(0)
    adapter = HybridAdapter(3584, 512, QTHAConfig(r=10, map_init=init))
    for weight in (adapter.map_in, adapter.map_out, adapter.bypass, adapter.weighting):
        bound = math.sqrt(6 / ((1 + a**2) * weight.shape[1]))
        assert 0.8 * bound < weight.abs().max() <= bound
    assert not adapter.train_out.cores[-1].any() and adapter.network.angles.abs().max() > 2


def test_qtha_multiplied_out_is_qtha_step_by_step() -> None:
    torch.manual_seed(0)
    adapter = HybridAdapter(20, 28, QTHAConfig(r=3, bond=2, alpha=6.0, init_weights=False)).double()
    x = torch.randn(4, 20, dtype=torch.float64)
    z = adapter.train_in(x) @ adapter.map_in.T
    u = adapter.network(z) @ adapter.weighting.T + z @ adapter.bypass.T
    y = 2.0 * adapter.train_out(u @ adapter.map_out.T)
    assert torch.allclose(adapter(x), y)


def test_silu_sibling_bends_what_each_of_its_maps_gives() -> None:
    torch.manual_seed(0)
    network = HybridAdapter(20, 28, QTHAConfig(r=3, bond=2, layers=2, network="silu")).network.double()
    z = torch.randn(4, 3, dtype=torch.float64)
    first = z @ network.maps[0].T
    second = first * first.sigmoid() @ network.maps[1].T
    assert torch.allclose(network(z), second * second.sigmoid())


def test_silu_sibling_has_as_many_parameters_at_r_4() -> None:
    assert QTHAConfig(r=4).parameters(64, 64) == QTHAConfig(r=4, network="silu").parameters(64, 64)
