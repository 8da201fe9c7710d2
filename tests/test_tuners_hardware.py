"""Adapters read as a quantum computer would read them: what changes, what comes back, and what is refused."""

import copy

import pennylane as qml
import pytest
import torch
from peft import LoraConfig, get_peft_model
from torch import nn

from ketune import Noise, QAAConfig, QTHAConfig, QuantumPEFTConfig, as_hardware
from ketune.ground.errors import InputError
from ketune.tuners.hardware import CircuitModule

ADAPTERS = {
    "qaa": QAAConfig(target_modules=["0", "2"], init_weights=False, placement="both"),
    "qtha": QTHAConfig(target_modules=["0", "2"], init_weights=False, r=3),
}
OTHERS = {
    "quantum_peft": QuantumPEFTConfig(target_modules=["0"]),
    "qtha_silu": QTHAConfig(target_modules=["0"], network="silu"),
    "lora": LoraConfig(target_modules=["0"]),
}


def adapted(config) -> nn.Module:
    torch.manual_seed(0)
    base = nn.Sequential(nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 8))
    return get_peft_model(base, copy.deepcopy(config)).eval()


@pytest.mark.parametrize("name", list(ADAPTERS))
@pytest.mark.parametrize(
    "how",
    [
        {"shots": 20},
        {"noise": Noise(depolarizing=0.3, patterns=4)},
        {"noise": Noise(readout=0.2)},
        {"device": lambda wires, seed: qml.device("default.qubit", wires=wires, seed=seed), "shots": 20},
        {"device": "lightning.qubit", "shots": 20},
    ],
    ids=["shots", "errors", "read-out", "factory", "name"],
)
@pytest.mark.filterwarnings("error:seed")
def test_every_circuit_is_measured_within_the_block_alone(name: str, how: dict) -> None:
    model, x = adapted(ADAPTERS[name]), torch.randn(2, 3, 8)
    exact = model(x)
    with as_hardware(model, **how):
        found = model(x)
        assert not found.requires_grad
    assert not torch.allclose(found, exact, atol=1e-4) and torch.equal(model(x), exact)


@pytest.mark.parametrize("name", list(ADAPTERS))
def test_one_seed_is_one_evaluation_whose_calls_differ(name: str) -> None:
    model, x = adapted(ADAPTERS[name]), torch.randn(2, 3, 8)
    runs = []
    for seed in (0, 0, 1):
        with as_hardware(model, shots=10, seed=seed):
            runs.append((model(x), model(x)))
    assert torch.equal(runs[0][0], runs[1][0]) and torch.equal(runs[0][1], runs[1][1])
    assert not torch.equal(runs[0][0], runs[0][1]) and not torch.equal(runs[0][0], runs[2][0])


def test_the_outer_block_counts_again_when_the_inner_one_ends() -> None:
    model, x = adapted(ADAPTERS["qaa"]), torch.randn(2, 3, 8)
    exact = model(x)
    with as_hardware(model, noise=Noise(readout=0.5)):
        outer = model(x)
        with pytest.raises(KeyError), as_hardware(model, noise=Noise(readout=0.1)):
            assert not torch.allclose(model(x), outer)
            raise KeyError
        assert torch.equal(model(x), outer)
    assert torch.equal(model(x), exact) and not torch.allclose(outer, exact)


@pytest.mark.parametrize("name", list(ADAPTERS))
def test_training_within_the_block_is_refused(name: str) -> None:
    model, x = adapted(ADAPTERS[name]), torch.randn(2, 3, 8)
    with as_hardware(model, shots=5):
        with pytest.raises(InputError, match=r"training mode.*model.eval\(\)"):
            model.train()(x)
        model.eval()
        with torch.enable_grad(), pytest.raises(InputError, match="no gradient"):
            model(x)


@pytest.mark.parametrize("name", list(OTHERS))
def test_a_model_without_circuits_on_tokens_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="nothing would change; give a model with QAA or with QTHA"):
        with as_hardware(adapted(OTHERS[name]), shots=5):
            pass


def test_a_block_that_says_nothing_is_refused() -> None:
    with pytest.raises(InputError, match="neither shots nor noise nor device"):
        with as_hardware(adapted(ADAPTERS["qaa"])):
            pass


@pytest.mark.parametrize("idle", [{"device": "auto"}, {"noise": Noise()}, {"noise": Noise(), "device": "auto"}])
def test_a_block_that_changes_nothing_is_refused(idle: dict) -> None:
    with pytest.raises(InputError, match="nothing would change"), as_hardware(adapted(ADAPTERS["qaa"]), **idle):
        pass


def test_a_network_compiles_whole() -> None:
    (network, *_) = [m for m in adapted(ADAPTERS["qtha"]).modules() if isinstance(m, CircuitModule)]
    z = torch.randn(5, 3)
    compiled = torch.compile(network, fullgraph=True, backend="aot_eager")
    assert torch.allclose(compiled(z), network(z), atol=1e-6)
