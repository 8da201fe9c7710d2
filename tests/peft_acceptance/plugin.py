"""A pytest plugin that runs peft's own test files over ketune's configurations.

peft's test classes are parametrised over module-level lists of (model, configuration). Before collection this plugin
replaces the contents of those lists, so that every generic test of peft runs on our tuners and none on peft's own. The
test files themselves stay as they are. `run.py` beside this file fetches them and calls pytest.
"""

import importlib
import os
import sys
import types
from pathlib import Path
from typing import Any

import pytest

from ketune.tuners.feature_map import FeatureMapConfig
from ketune.tuners.qaa import QAAConfig
from ketune.tuners.qtha import QTHAConfig
from ketune.tuners.quantum_peft import QuantumPEFTConfig
from ketune.tuners.sora import SoRAConfig

VARIANTS: list[tuple[type, dict[str, Any]]] = [
    (QAAConfig, {}),
    (QAAConfig, {"layers": 2, "rotation": "RY", "entangler": "chain", "up_projection": "padded"}),
    (QAAConfig, {"train_angles": False, "unit_features": True, "entangler": "none"}),
    (SoRAConfig, {"r": 4, "alpha": 4.0, "gate_init": "ones"}),
    (QuantumPEFTConfig, {"rank": 2}),
    (QuantumPEFTConfig, {"rank": 2, "parameterization": "taylor", "intrinsic_rank": 1, "scale": 0.1}),
    (QuantumPEFTConfig, {"rank": 1, "parameterization": "random"}),  # one of peft's maps has width 2
    # A small alpha: peft's tests train on inputs up to 90, where a product of four cores overflows.
    (QTHAConfig, {"r": 2, "bond": 2, "alpha": 0.1}),
    (QTHAConfig, {"r": 2, "bond": 2, "alpha": 0.1, "network": "silu"}),
    (QTHAConfig, {"r": 2, "bond": 2, "alpha": 0.1, "network": "none"}),
    (FeatureMapConfig, {"map": "constant"}),
    (FeatureMapConfig, {"map": "linear", "rank": 2}),
    (FeatureMapConfig, {"map": "random_linear"}),
    (FeatureMapConfig, {"map": "random_quadratic"}),
    (FeatureMapConfig, {"map": "silu", "rank": 2}),
]
CLASSES = list(dict.fromkeys(config for config, _ in VARIANTS))
MERGEABLE = (SoRAConfig, QuantumPEFTConfig)

_OVERFLOW = (
    "the test trains at a rate of 0.5 on inputs up to 90, and the loss overflows; peft lowers the rate for ten of its "
    "own methods there, by name"
)
EXCLUDED = {
    "test_parameters_after_loading_model[QTHAConfig": _OVERFLOW,
    "test_parameters_after_loading_model[QuantumPEFTConfig 5 MLP and a whole layer": _OVERFLOW,
}
"""Part of a test's id → why it does not apply. Everything else must pass."""


def _custom_rows() -> list[tuple[str, str, type, dict[str, Any]]]:
    sites: list[tuple[str, Any]] = [("MLP", "lin0"), ("MLP", ["lin1"]), ("MLP", ["lin0", "lin1"])]
    rows = []
    for number, (config, options) in enumerate(VARIANTS):
        # The Conv1D map of peft's small model has one output, too few for a qubit; GPT-2 covers Conv1D for the others.
        conv1d = [("EmbConv1D", ["conv1d"])] if config in (SoRAConfig, QTHAConfig) else []
        for model, target in sites + conv1d:
            name, given = f"{config.__name__} {number} {model} {target}", {**options, "target_modules": target}
            if model == "EmbConv1D":
                given.pop("alpha", None)  # its inputs are small
            if config is QTHAConfig:
                given["map_init"] = "torch"  # at rates of 0.5 the default's larger start overflows
            rows.append((name, model, config, given))
        whole = {**options, "target_modules": ["lin0"], "modules_to_save": ["lin1"]}
        rows.append((f"{config.__name__} {number} MLP and a whole layer", "MLP", config, whole))
    return rows


def _several_active() -> list[tuple[str, str, type, dict[str, Any], dict[str, Any]]]:
    rows = []
    for config, options in VARIANTS:
        given = {**options, "init_weights": False}
        for word, second in (("Same", "lin0"), ("Different", "lin1")):
            first, other = ({**given, "target_modules": [site]} for site in ("lin0", second))
            rows.append((f"{config.__name__} {word}", config.kind, config, first, other))
    return rows


def pytest_sessionstart(session: pytest.Session) -> None:
    """Replace the lists before the files are collected."""
    stub: Any = types.ModuleType("diffusers")  # imported at the top of peft's files for tests of image models alone
    stub.StableDiffusionPipeline = type("StableDiffusionPipeline", (), {})
    sys.modules.setdefault("diffusers", stub)
    common, custom, config, decoder = (
        importlib.import_module(f"tests.{name}")
        for name in ("testing_common", "test_custom_models", "test_config", "test_decoder_models")
    )
    custom.TEST_CASES[:] = _custom_rows()
    custom.MULTIPLE_ACTIVE_ADAPTERS_TEST_CASES[:] = _several_active()
    custom.ALL_PEFT_CONFIG_CLASSES[:] = CLASSES
    decoder.ALL_CONFIGS[:] = [(c, {"task_type": "CAUSAL_LM", "target_modules": None, **o}) for c, o in VARIANTS]
    models = sorted(os.listdir(os.environ["KETUNE_TINY_MODELS"]))
    for listed in (decoder.PEFT_DECODER_MODELS_TO_TEST, decoder.SMALL_GRID_MODELS):
        listed[:] = [os.path.join(os.environ["KETUNE_TINY_MODELS"], name) for name in models]
    config.PEFT_MODELS_TO_TEST[:] = [(os.environ["KETUNE_TINY_ADAPTER"], "test")]  # an adapter of peft's, from disk
    rows = tuple((c, {}) for c in CLASSES)
    old = config.ALL_CONFIG_CLASSES
    config.LAYER_INDEXING_CONFIG_CLASSES[:] = rows
    _replace_tuple(config.TestPeftConfig, old, rows)
    for module in (common, custom, decoder):
        _skip_merging_where_refused(module)
    _expect_no_folder(common.PeftCommonTester)


def _expect_no_folder(tester: Any) -> None:
    """peft's page on an adapter names the folder of a local base model, ketune's names none: all else must hold."""
    original = tester.check_modelcard

    def check(self: Any, folder: str, model: Any) -> None:
        page, base = Path(folder, "README.md"), getattr(getattr(model, "config", None), "_name_or_path", None)
        text = page.read_text(encoding="utf-8")
        if base and Path(base).exists():
            assert base not in text
            page.write_text(text.replace("---\n", f"---\nbase_model: {base}\n", 1), encoding="utf-8")
        original(self, folder, model)

    tester.check_modelcard = check


def _replace_tuple(case: type, old: tuple[Any, ...], new: tuple[Any, ...]) -> None:
    """A tuple cannot be changed in place, so the marks that hold it are rebuilt."""
    for test in vars(case).values():
        for index, mark in enumerate(getattr(test, "pytestmark", [])):
            if len(mark.args) > 1 and mark.args[1] is old:
                test.pytestmark[index] = pytest.mark.parametrize(mark.args[0], new).mark


def _skip_merging_where_refused(module: Any) -> None:
    original = getattr(module, "_skip_if_merging_not_supported", None)
    if original is None:
        return

    def skip(model_id: str, config_cls: type, config_kwargs: dict[str, Any]) -> None:
        if config_cls in CLASSES and config_cls not in MERGEABLE:
            pytest.skip(f"{config_cls.__name__}: not a linear map, so merging is refused with an error of its own.")
        original(model_id, config_cls, config_kwargs)

    module._skip_if_merging_not_supported = skip


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep the tests of our configurations, and mark the excluded ones with their reasons."""
    ours = tuple(cls.__name__ for cls in CLASSES)
    kept = [item for item in items if any(name in item.nodeid for name in ours)]
    config.hook.pytest_deselected(items=[item for item in items if item not in set(kept)])
    items[:] = kept
    for item in items:
        for part, reason in EXCLUDED.items():
            if part in item.nodeid:
                item.add_marker(pytest.mark.skip(reason=f"excluded: {reason}"))
