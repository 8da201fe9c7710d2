"""params.yaml: every key can be wrong in every way, and each time one sentence names it."""

import copy
import re
from pathlib import Path
from typing import Annotated, Any

import pytest
import torch
import yaml
from dvc.utils.serialize import load_yaml, modify_yaml

from conftest import ROOT
from ketune import check, methods
from ketune.ground import params
from ketune.ground.checks import Range, checked
from ketune.ground.errors import InputError

RAW = params.read(ROOT / "params.yaml")
SECTIONS = [name for name, value in RAW.items() if isinstance(value, dict)]
EVERY = [(section, key) for section in SECTIONS for key in RAW[section]]


def setting(section: str, key: str) -> tuple[str, str]:
    """What is set: the same in each section of methods with one adapter, so that one of these stands for all."""
    return section if section in params.BLOCKS else methods.declared(section).adapter, key


KEYS = list({setting(*pair): pair for pair in reversed(EVERY)}.values())
WRONG = {"wrong type": [[1]], "nested": {"a": 1}, "not a number": float("nan"), "infinite": float("inf"),
         "400 digits": 10**400}  # fmt: skip


def load(raw: dict[str, Any], tmp_path: Path) -> params.Params:
    """What every stage does before it loads a model."""
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(raw, sort_keys=False))
    loaded = params.load(path)
    for name, section in loaded.sections.items():
        methods.adapter(name, section)
        methods.rates(name, section)
    return loaded


def changed(section: str, key: str, value: Any) -> dict[str, Any]:
    raw = copy.deepcopy(RAW)
    raw[section][key] = value
    if section not in params.BLOCKS:
        raw["methods"] = [section]
        raw["report"]["reference"] = section
    return raw


def test_the_shipped_file_is_good(tmp_path: Path) -> None:
    every = [section for section in SECTIONS if section not in params.BLOCKS]
    assert load(RAW | {"methods": every}, tmp_path).methods == tuple(every)


@pytest.mark.parametrize(("section", "key"), KEYS)
@pytest.mark.parametrize("kind", WRONG)
def test_a_wrong_value_names_its_key(section: str, key: str, kind: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=rf"{section}\.{key}") as error:
        load(changed(section, key, WRONG[kind]), tmp_path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("section", "key"), KEYS)
def test_a_missing_key_is_named(section: str, key: str, tmp_path: Path) -> None:
    raw = changed(section, key, None)
    del raw[section][key]
    with pytest.raises(InputError, match=rf"{section}\.{key}: missing"):
        load(raw, tmp_path)


@pytest.mark.parametrize(("section", "key"), KEYS)
def test_an_unknown_key_is_named_with_its_neighbour(section: str, key: str, tmp_path: Path) -> None:
    raw = changed(section, key + "x", 1)
    with pytest.raises(InputError, match=rf"{section}\.{key}x: unknown key.*Did you mean '{key}'"):
        load(raw, tmp_path)


NUMBERS = [(s, k) for s, k in KEYS if isinstance(RAW[s][k], (int, float)) and not isinstance(RAW[s][k], bool)]
ANY_SIGN = {
    (name, "scale")
    for name in SECTIONS
    if name not in params.BLOCKS and methods.declared(name).adapter in ("qaa", "feature_map")
}


@pytest.mark.parametrize(("section", "key"), [pair for pair in NUMBERS if pair not in ANY_SIGN])
def test_a_negative_number_is_out_of_range(section: str, key: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=rf"{section}\.{key}.*(out of range|not allowed)"):
        load(changed(section, key, -1), tmp_path)


@pytest.mark.parametrize("missing", list(params.BLOCKS))
def test_a_missing_section_is_named(missing: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"^{missing}: missing"):
        load({key: value for key, value in RAW.items() if key != missing}, tmp_path)


LISTS = {
    "methods": [[], None, "qaa", ["qaa", "qaa"], ["nosuch"], [3], ["$(touch x)"], ["../qaa"]],
    "seeds": [[], None, 0, [0, 0], [-1], ["a"], [True], [0.5], [2**32], [10**400], ["$(touch x)"], [{"a": 1}]],
}


@pytest.mark.parametrize(("key", "value"), [(key, value) for key, values in LISTS.items() for value in values])
def test_bad_lists_are_named(key: str, value: Any, tmp_path: Path) -> None:
    planted = {value[0]: {}} if isinstance(value, list) and "touch" in str(value) and key == "methods" else {}
    with pytest.raises(InputError, match=rf"^{key}(\[0\])?: ") as error:
        load(RAW | planted | {key: value}, tmp_path)
    assert "\n" not in str(error.value) and len(str(error.value)) < 300


def test_a_plan_names_what_must_be_found(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"plan\.differences: \[\] is not allowed; list nats per token"):
        load(changed("plan", "differences", []), tmp_path)


def test_a_circuit_is_read_only_of_a_method_that_is_trained(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"hardware\.methods: 'qtha' is not among methods, so nothing trains it"):
        load(changed("hardware", "methods", ["qtha"]), tmp_path)


def test_a_listed_method_without_a_file_proposes_names(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"unknown method 'qaaa'.*Did you mean 'qaa'"):
        load(RAW | {"qaaa": {}, "methods": ["base", "qaaa", "lora"]}, tmp_path)


def test_a_fraction_where_a_whole_number_belongs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"tune\.trials: 8\.0 is not allowed; choose one of 2, 4, 8"):
        load(changed("tune", "trials", 8.0), tmp_path)


def test_every_value_of_a_mapping_is_checked() -> None:
    hint = dict[str, Annotated[float, Range(low=0)]]
    assert checked({"a": 1}, hint, "key") == {"a": 1.0}
    with pytest.raises(InputError, match=r"key\.b: -1\.0 is out of range"):
        checked({"a": 1, "b": -1}, hint, "key")
    with pytest.raises(InputError, match=r"key: 'abc' is no mapping"):
        checked("abc", hint, "key")


def test_a_number_where_a_word_belongs_proposes_none(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"train\.precision: 16 is not allowed; choose one of [^.]*\.$"):
        load(RAW | {"train": RAW["train"] | {"precision": 16}}, tmp_path)


@pytest.mark.parametrize(("key", "value"), [("methods", "qaa"), ("methods", ["nosuch"]), ("seeds", [0, 0])])
def test_what_dvc_tells_in_its_own_words_is_told_by_the_check(
    key: str, value: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(RAW | {key: value}, sort_keys=False))
    with pytest.raises(InputError, match=f"^{key}: "):
        check.check()


NO_MAPPING = ["", "a: [", "- 1", "\x00", "a: b: c", "a: 1\na: 2", "a: 2020-13-45", f"a: {'9' * 5000}", "a: !!bool x"]


@pytest.mark.parametrize("text", NO_MAPPING)
def test_a_file_that_is_no_mapping_is_one_sentence(text: str, tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=r"no valid YAML|a mapping of sections is expected") as error:
        params.read(path)
    assert "\n" not in str(error.value)


def test_a_deeply_nested_file_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(f"a: {'[' * 3000}{']' * 3000}")
    with pytest.raises(InputError, match=r"nested too deeply|^methods: ") as error:  # with libyaml it can be read
        params.load(path)
    assert "\n" not in str(error.value)


SPELLINGS = ["010", "0120", "0o10", "1:30", "1_000", "1e-05", "1e-4", "1.0E-4", "yes", "~", "0x1F", ".5", "2020-01-01"]


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_value_means_to_ketune_what_it_means_to_dvc(spelling: str, tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(f"train:\n  steps: {spelling}\nseeds:\n- {spelling}\n")
    assert params.read(path) == load_yaml(str(path))


def with_spelling(section: str, key: str, spelling: str, tmp_path: Path) -> Path:
    """The project's params.yaml with one value spelt as given."""
    path = tmp_path / "params.yaml"
    text = (ROOT / "params.yaml").read_text()
    changed, times = re.subn(rf"(?m)(^{section}:\n(?:  .*\n)*?  {key}:) \S+", rf"\1 {spelling}", text)
    assert times == 1
    path.write_text(changed)
    return path


def test_steps_are_trained_as_dvc_records_them(tmp_path: Path) -> None:
    assert params.load(with_spelling("train", "steps", "0120", tmp_path)).train.steps == 120
    with pytest.raises(InputError, match=r"train.steps: '1:30' is not allowed; a whole number"):
        params.load(with_spelling("train", "steps", "1:30", tmp_path))


def test_a_rate_that_dvc_wrote_is_read(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text((ROOT / "params.yaml").read_text())
    with modify_yaml(str(path)) as content:  # as `dvc exp run -S lora.learning_rates.weights=0.00001` does
        content["lora"]["learning_rates"]["weights"] = 0.00001
    assert "weights: 1e-05\n" in path.read_text()
    assert methods.load("lora", params.load(path).section("lora")).learning_rates == {"weights": 0.00001}


def test_dvc_leaves_the_file_as_it_is(tmp_path: Path) -> None:
    """`-S` rewrites params.yaml; setting a value and setting it back must not change a byte."""
    path = tmp_path / "params.yaml"
    shipped = (ROOT / "params.yaml").read_text()
    path.write_text(shipped)
    for layers in (4, RAW["qaa"]["layers"]):
        with modify_yaml(str(path)) as content:
            content["qaa"]["layers"] = layers
    assert path.read_text() == shipped


def test_values_that_exclude_each_other_are_named(tmp_path: Path) -> None:
    for section, key, value in (("train", "warmup_steps", 40), ("data", "test_fraction", 0.95)):
        with pytest.raises(InputError, match=f"{section}.{key}"):
            load(changed(section, key, value), tmp_path)
    with pytest.raises(InputError, match=r"^train\.processes: 3 cannot share train\.batch_size, 4, evenly"):
        load(changed("train", "processes", 3), tmp_path)
    with pytest.raises(InputError, match=r"data\.revision: missing"):
        load(changed("data", "hub", "tatsu-lab/alpaca"), tmp_path)
    for seed in params.load(ROOT / "params.yaml").tune.seeds:
        with pytest.raises(InputError, match=rf"^tune\.seed: 1000 is not allowed.* lists {seed}: rates would"):
            load(RAW | {"seeds": [0, seed]}, tmp_path)
    with pytest.raises(InputError, match=r"plan\.contrasts\[1\]: 'qaa against lora on loss' stands in the list twice"):
        load(changed("plan", "contrasts", ["qaa against lora on loss"] * 2), tmp_path)
    with pytest.raises(InputError, match=r"plan\.contrasts\[1\]: 'lora against qaa on loss' stands .* other way round"):
        load(changed("plan", "contrasts", ["qaa against lora on loss", "lora against qaa on loss"]), tmp_path)


@pytest.mark.parametrize(
    ("precision", "device", "processor", "said"),
    [
        ("bf16", "cpu", {"avx512_f": True, "avx512_bf16": False, "amx_bf16": False}, True),
        ("bf16", "cpu", {"avx512_f": True, "avx512_bf16": True, "amx_bf16": False}, False),
        ("fp32", "cpu", {"avx512_bf16": False}, False),
        ("bf16", "meta", {"avx512_bf16": False}, None),
    ],
)
def test_a_processor_without_bf16_is_told_before_hours_are_spent(
    precision: str,
    device: str,
    processor: dict[str, bool],
    said: bool | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    raw = changed("train", "precision", precision)
    raw["train"]["device"] = device
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: processor)
    if said is None:
        with pytest.raises(InputError, match="device"):
            check.slow_precision(load(raw, tmp_path))
        return
    told = check.slow_precision(load(raw, tmp_path))
    assert (told is not None and "dvc exp run -S train.precision=fp32" in told) if said else told is None


def test_a_machine_needs_shots(tmp_path: Path) -> None:
    raw = changed("hardware", "machine", "FakeTorino")
    raw["hardware"]["shots"] = []
    with pytest.raises(InputError, match=r"hardware\.shots: \[\] is not allowed with hardware\.machine 'FakeTorino'"):
        load(raw, tmp_path)
