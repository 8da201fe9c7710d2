"""What Quantum-PEFT is: orthonormal columns at every width, spanned by few parameters."""

import math
from typing import Any

import pytest
import torch
from peft import get_peft_model

import architectures
from ketune.circuits import two_design_columns
from ketune.tuners.orthonormal import PauliColumns, RandomColumns, TaylorColumns
from ketune.tuners.quantum_peft import OrthogonalFactors, QuantumPEFTConfig


def orthonormal(columns: torch.Tensor, tolerance: float) -> bool:
    one = torch.eye(columns.shape[1], dtype=columns.dtype)
    return torch.allclose(columns.T @ columns, one, atol=tolerance)


@pytest.mark.parametrize("width", [8, 24, 576, 768])
@pytest.mark.parametrize("parameterization", ["pauli", "taylor", "random"])
@pytest.mark.parametrize("layers", [1, 3])
def test_columns_are_orthonormal_at_every_width_and_size_of_step(
    width: int, parameterization: Any, layers: int
) -> None:
    """At steps of such a size a series cut after a few terms would leave the orthogonal group."""
    torch.manual_seed(0)
    columns = QuantumPEFTConfig(parameterization=parameterization, layers=layers).columns(width)
    for size in (0.0, 0.4, 1.0, 30.0):
        with torch.no_grad():
            columns.angles.add_(size * columns.angles.sign().where(columns.angles != 0, torch.tensor(1.0)))
        assert columns().shape == (width, 4) and orthonormal(columns(), 1e-5), size


def test_rows_of_the_circuit_span_what_the_columns_span() -> None:
    """Cut to 576 of 1,024 rows, the first four columns are far from unit length; their span is kept."""
    torch.manual_seed(0)
    columns = PauliColumns(576, 4, 1)
    cut = two_design_columns(columns.angles, 10, 1, 4)[:576]
    assert cut.norm(dim=0).min() < 0.9
    assert torch.allclose(columns() @ (columns().T @ cut), cut, atol=1e-5)
    assert (columns()[:, 0] @ cut[:, 0]) > 0
    whole = PauliColumns(64, 4, 3)
    assert torch.equal(whole(), two_design_columns(whole.angles, 6, 3, 4))


@pytest.mark.parametrize("width, rank, intrinsic", [(9, 3, 3), (30, 4, 2), (7, 2, 5), (5, 5, 5)])
@pytest.mark.parametrize("size", [1.0, 25.0])
def test_taylor_columns_are_those_of_a_matrix_exponential(width: int, rank: int, intrinsic: int, size: float) -> None:
    torch.manual_seed(0)
    columns = TaylorColumns(width, rank, intrinsic).double()
    with torch.no_grad():
        columns.angles.mul_(size)
    assert columns.angles.numel() == width * intrinsic - intrinsic * (intrinsic + 1) // 2
    free = torch.zeros(width, width, dtype=torch.float64)
    free[tuple(columns.where)] = columns.angles.detach()
    exact = torch.matrix_exp(free - free.T)[:, :rank]
    assert torch.allclose(columns(), exact, atol=1e-9)
    assert torch.autograd.gradcheck(columns.columns, columns.angles)


def test_random_columns_turn_a_frame_along_directions_outside_of_it() -> None:
    torch.manual_seed(0)
    columns = RandomColumns(30, 3, 2).double()
    assert torch.equal(columns(), columns.frame) and not (columns.frame.T @ columns.directions).abs().max() > 1e-6
    with torch.no_grad():
        columns.angles[4] = 0.7  # the fifth direction, for the second column
    expected = columns.frame.clone()
    expected[:, 1] = math.cos(0.7) * columns.frame[:, 1] + math.sin(0.7) * columns.directions[:, 4]
    assert torch.allclose(columns(), expected, atol=1e-7)


@pytest.mark.parametrize("parameterization", ["pauli", "taylor", "random"])
def test_frozen_columns_are_saved_and_not_trained(parameterization: Any) -> None:
    config = QuantumPEFTConfig(parameterization=parameterization, train_columns=False)
    factors = config.adapter(20, 12)
    assert [name for name, _ in factors.named_parameters()] == ["diagonal"] and config.parameters(20, 12) == 4
    assert {"left.angles", "right.angles", "diagonal"} <= set(factors.state_dict())


def test_quantum_peft_is_a_change_of_rank_k() -> None:
    torch.manual_seed(0)
    config = QuantumPEFTConfig(rank=3, scale=2.5, init_weights=False)
    factors = OrthogonalFactors(config.columns(20), config.columns(12), config).double()
    x = torch.randn(5, 12, dtype=torch.float64)
    assert torch.linalg.matrix_rank(factors.delta()) == 3
    assert torch.allclose(factors.delta(), 2.5 * factors.left() @ factors.diagonal.diag() @ factors.right().T)
    assert torch.allclose(factors(x), x @ factors.delta().T)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
@pytest.mark.parametrize("parameterization", ["pauli", "taylor", "random"])
def test_frozen_columns_follow_the_dtype_of_the_model(parameterization: Any, dtype: torch.dtype) -> None:
    config = QuantumPEFTConfig(parameterization=parameterization, train_columns=False, init_weights=False, rank=3)
    config.target_modules = {"q_proj"}
    model = get_peft_model(architectures.model("llama").to(dtype), config, autocast_adapter_dtype=False).eval()
    assert {p.dtype for p in model.parameters() if p.requires_grad} == {dtype}
    found = model(input_ids=architectures.ids()).logits
    found.float().square().sum().backward()
    assert all(p.grad.isfinite().all() for p in model.parameters() if p.requires_grad)
    model.merge_adapter()
    merged = model(input_ids=architectures.ids()).logits
    assert found.dtype == dtype and torch.allclose(merged, found, atol=0.05 if dtype == torch.bfloat16 else 1e-6)
