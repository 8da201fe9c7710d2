"""Trials of learning rates on a tiny model: what decides them, what a kill leaves, how far parts travel."""

import dataclasses
import runpy
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from conftest import ROOT, environment, records, tiny_params
from ketune import methods, movement, trials, tuning
from ketune.ground import files, layout, params
from ketune.records.examples import Example
from ketune.records.training import Trial, Tuning
from ketune.training import loop, travel

METHODS = ["base", "full", "lora", "qaa", "qaa_frozen"]
Parameters = params.Params


@pytest.fixture
def settings(tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Parameters:
    """Parameters of a project in the working folder, with data and model prepared."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(ROOT / "dvc.yaml", "dvc.yaml")  # names what a search is keyed by
    Path("params.yaml").write_text(yaml.safe_dump(tiny_params(tiny_folder, METHODS, [0]), sort_keys=False))
    shutil.copytree(tiny_folder, "data/model")
    examples = [Example(id=f"{i:02d}", **record) for i, record in enumerate(records(24))]
    files.write_rows(Path("data/prepared/train.jsonl"), examples[:16])
    files.write_rows(Path("data/prepared/validation.jsonl"), examples[16:])
    return params.load()


def find(name: str, settings: Parameters, **given: float) -> Tuning:
    """The rates of a method, all searched but the given ones and those that it need not have."""
    method = methods.declared(name)
    ranges = {rate: span for rate, span in method.rates.items() if rate not in (*given, *method.optional)}
    return trials.find(name, settings, given, ranges)


def bench(name: str, settings: Parameters, seen: list[trials.Bench], monkeypatch: pytest.MonkeyPatch) -> trials.Bench:
    """What the trials of a method share; nothing is run."""
    with monkeypatch.context() as patch:
        patch.setattr(trials.Bench, "untrained", lambda self: seen.append(self) or 1.0)
        patch.setattr(trials.tuning, "search", lambda *_, **__: [])
        patch.setattr(trials.tuning, "result", lambda *_: None)
        find(name, settings)
    return seen[-1]


def test_a_killed_search_goes_on_with_the_next_trial(settings: Parameters, monkeypatch: pytest.MonkeyPatch) -> None:
    undisturbed = find("qaa", settings)
    [kept] = Path(".cache/checkpoints").iterdir()
    assert {file.suffix for file in kept.iterdir()} == {".json"}, "the trials alone are left of a search that ended"
    shutil.rmtree(kept)
    trained: list[dict[str, float]] = []
    train, left = loop.train, [2]

    def counted(method: methods.ConfiguredMethod, *rest: Any, **named: Any) -> Any:
        if not left[0]:
            raise KeyboardInterrupt
        left[0] -= 1
        trained.append(method.learning_rates)
        return train(method, *rest, **named)

    monkeypatch.setattr(loop, "train", counted)
    with pytest.raises(KeyboardInterrupt):
        find("qaa", settings)
    left[0] = 99
    assert find("qaa", settings) == undisturbed
    assert trained == [trial.rates for trial in undisturbed.search.trials] and len(trained) == 4


def test_a_search_that_is_asked_for_more_runs_what_is_new(
    settings: Parameters, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, trained = find("lora", settings).search, []
    train = loop.train
    monkeypatch.setattr(loop, "train", lambda *given, **named: trained.append(named["seed"]) or train(*given, **named))
    assert find("lora", settings).search == before and not trained
    more = dataclasses.replace(settings, tune=dataclasses.replace(settings.tune, refined=2))
    after = find("lora", more).search
    new = [trial for trial in after.trials if trial not in before.trials]
    assert [trial.seed for trial in new] == trained and 2 <= len(new) < len(after.trials)


def test_what_decides_a_trial_decides_where_it_is_remembered(
    settings: Parameters, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[trials.Bench] = []

    def place(**changes: Any) -> Path:
        changed = dataclasses.replace(settings.train, **changes)
        return bench("qaa", dataclasses.replace(settings, train=changed), seen, monkeypatch).folder

    assert place() == place(checkpoint_every=1, processes=2)
    assert len({place(), place(steps=6), place(precision="bf16"), place(batch_size=3), place(schedule="linear")}) == 5
    sections = settings.sections | {"qaa": settings.sections["qaa"] | {"layers": 2}}
    deeper = dataclasses.replace(settings, sections=sections)
    assert bench("qaa", deeper, seen, monkeypatch).folder != place()
    rows = Path("data/prepared/validation.jsonl")
    before = place()
    rows.write_text(rows.read_text().replace("number", "figure"))
    assert place() != before


def test_a_search_is_judged_on_the_first_validation_records_and_says_on_how_many(
    settings: Parameters, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = bench("qaa", settings, [], monkeypatch)
    assert [row.id for row in shared.training] == [f"{i:02d}" for i in range(16)]
    assert [row.id for row in shared.validation] == ["16", "17", "18", "19"]
    monkeypatch.setattr(trials.Bench, "trial", lambda _, rates, seed: Trial(rates=rates, seed=seed, loss=1.0, moved=()))
    setting = find("qaa", settings).search.setting
    assert (setting["training_records"], setting["validation_records"]) == (16, 4)


def test_trials_do_not_see_each_other(settings: Parameters, monkeypatch: pytest.MonkeyPatch) -> None:
    shared = bench("full", settings, [], monkeypatch)
    before = {name: weight.clone() for name, weight in shared.base.state_dict().items()}
    first = shared.trial({"weights": 0.01}, 1000)
    shutil.rmtree(shared.folder)
    assert shared.trial({"weights": 0.02}, 1000) != first == shared.trial({"weights": 0.01}, 1000)
    assert all(torch.equal(before[name], weight) for name, weight in shared.base.state_dict().items())
    assert first.loss < shared.untrained()


def test_a_trial_draws_its_adapter_from_its_own_seed(settings: Parameters, monkeypatch: pytest.MonkeyPatch) -> None:
    shared, drawn = bench("qaa", settings, [], monkeypatch), []

    def looked_at(method: methods.ConfiguredMethod, model: torch.nn.Module, *rest: Any, seed: int, **named: Any) -> Any:
        drawn.append((seed, [p.detach().clone() for name, p in model.named_parameters() if name.endswith("angles")]))
        raise loop.Diverged("seen")

    monkeypatch.setattr(loop, "train", looked_at)
    for seed in (1000, 1001, 1000):
        shared.trial({"projection": 0.001, "angles": 0.01 + 0.01 * len(drawn)}, seed)
    (_, first), (_, other), (_, again) = drawn
    assert [seed for seed, _ in drawn] == [1000, 1001, 1000] and first
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not any(torch.equal(a, b) for a, b in zip(first, other, strict=True))


def test_a_run_draws_from_its_seed_and_has_checkpoints_of_its_own(
    settings: Parameters, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    train = runpy.run_path(str(ROOT / "stages/train.py"))["train"]
    files.write_json(layout.tuned("qaa"), Tuning(rates={"projection": 0.001, "angles": 0.01}, search=None))
    seen: list[tuple[Path, int, torch.Tensor]] = []

    def looked_at(
        method: methods.ConfiguredMethod, model: torch.nn.Module, *rest: Any, seed: int, folder: Path, **named: Any
    ) -> Any:
        angles = [p.detach().flatten() for name, p in model.named_parameters() if name.endswith("angles")]
        seen.append((folder, seed, torch.cat(angles)))
        raise loop.Diverged("seen")

    def run(seed: int, section: str = "", **changes: Any) -> None:
        content = yaml.safe_load(Path("params.yaml").read_text())
        changed = content | ({section: content[section] | changes} if section else {})
        Path("params.yaml").write_text(yaml.safe_dump(changed, sort_keys=False))
        with pytest.raises(loop.Diverged):
            train("qaa", seed)
        Path("params.yaml").write_text(yaml.safe_dump(content, sort_keys=False))

    monkeypatch.setattr(loop, "train", looked_at)
    run(0), run(1), run(0, "train", checkpoint_every=1), run(0, "train", steps=5), run(0, "qaa", layers=2)
    data, code = Path("data/prepared/train.jsonl"), Path("src/ketune/training/loop.py")
    data.write_text(data.read_text().replace("short", "long"))
    run(0)
    code.parent.mkdir(parents=True)
    code.write_text("# other code\n")
    run(0)
    folders, seeds, (first, second, again, *_) = zip(*seen, strict=True)
    assert seeds == (0, 1, *[0] * 5) and torch.equal(first, again) and not torch.equal(first, second)
    assert folders[0] == folders[2] and len(set(folders)) == 6
    assert capsys.readouterr().out.splitlines()[:2] == ["qaa-0: on cpu", "qaa-1: on cpu"]


@pytest.mark.parametrize(
    ("horizon", "steps", "warmup", "trial"),
    [(0.5, 40, 4, (20, 2)), (1.0, 40, 4, (40, 4)), (0.25, 10, 10, (2, 1)), (0.01, 40, 4, (1, 0))],
)
def test_a_trial_is_as_long_as_its_horizon_and_warms_up_for_the_same_part(
    settings: Parameters, horizon: float, steps: int, warmup: int, trial: tuple[int, int]
) -> None:
    train = dataclasses.replace(settings.train, steps=steps, warmup_steps=warmup, processes=2)
    found = tuning.of_a_trial(
        dataclasses.replace(settings, train=train, tune=dataclasses.replace(settings.tune, horizon=horizon))
    )
    assert (found.steps, found.warmup_steps) == trial and found.processes == 1
    alike = {"steps": 0, "warmup_steps": 0, "processes": 1, "checkpoint_every": 1}
    assert dataclasses.replace(found, **alike) == dataclasses.replace(train, **alike)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_trial_is_judged_at_the_precision_of_training(
    settings: Parameters, monkeypatch: pytest.MonkeyPatch, precision: str
) -> None:
    train = dataclasses.replace(settings.train, precision=precision)
    shared, seen = bench("lora", dataclasses.replace(settings, train=train), [], monkeypatch), []
    judged = trials.likelihood.likelihoods
    monkeypatch.setattr(
        trials.likelihood, "likelihoods",
        lambda *given: seen.append(torch.is_autocast_enabled("cpu")) or judged(*given),
    )  # fmt: skip
    shared.untrained()
    assert seen == [precision == "bf16"]


def test_a_trial_that_diverges_is_recorded_and_leaves_the_next_alone(
    settings: Parameters, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("lora", "qaa"):  # whose circuits refuse to read NaN
        shared = bench(name, settings, [], monkeypatch)
        wild, tame = (dict.fromkeys(shared.method.learning_rates, rate) for rate in (1e38, 0.01))
        assert shared.trial(wild, 7) == Trial(rates=wild, seed=7, loss=None, moved=())
        assert shared.trial(tame, 7).loss < shared.untrained()
        assert sorted(file.suffix for file in shared.folder.iterdir()) == [".json", ".json"]


def test_a_trial_whose_model_gives_no_number_on_validation_diverged(
    settings: Parameters, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = bench("qaa", settings, [], monkeypatch)
    train = loop.train

    def poisoned(method: methods.ConfiguredMethod, model: torch.nn.Module, *rest: Any, **named: Any) -> Any:
        trained = train(method, model, *rest, **named)
        with torch.no_grad():
            for name, weight in model.named_parameters():
                if name.endswith("up.weight"):
                    weight.fill_(torch.nan)  # the first block's output, which the second block's circuit reads
        return trained

    monkeypatch.setattr(loop, "train", poisoned)
    trial = shared.trial({"projection": 0.01, "angles": 0.1}, 7)
    assert trial == Trial(rates=trial.rates, seed=7, loss=None, moved=())


def test_a_trial_that_is_killed_when_it_is_judged_goes_on_from_its_last_step(
    settings: Parameters, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared, rates = bench("qaa", settings, [], monkeypatch), {"projection": 0.01, "angles": 0.1}
    undisturbed = shared.trial(rates, 7)
    shutil.rmtree(shared.folder)

    def killed(*_: Any) -> float:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(trials.Bench, "_loss", killed)
        shared.trial(rates, 7)
    monkeypatch.setattr(loop._ResponseTrainer, "compute_loss", None)  # nothing is trained again
    assert shared.trial(rates, 7) == undisturbed


def test_a_given_rate_stays_and_the_other_is_found(settings: Parameters) -> None:
    found = find("qaa", settings, projection=0.005)
    assert found.rates["projection"] == 0.005 and set(found.search.ranges) == {"angles"}
    assert len({trial.rates["angles"] for trial in found.search.trials}) == 2
    assert {trial.rates["projection"] for trial in found.search.trials} == {0.005}


def test_the_bias_is_searched_where_it_is_to_have_a_rate_of_its_own(settings: Parameters) -> None:
    section = settings.sections["qaa_frozen"]
    assert section["learning_rates"] == {"projection": "tuned", "bias": "tuned"}
    found = trials.find("qaa_frozen", settings, {}, methods.declared("qaa_frozen").rates)
    assert found.rates.keys() == found.search.ranges.keys() == {"projection", "bias"}
    assert [m.part for m in found.search.trials[0].moved] == ["projection", "bias"]
    assert len({trial.rates["bias"] / trial.rates["projection"] for trial in found.search.trials}) > 1


def test_a_search_of_every_rate_leaves_out_what_the_section_leaves_out_and_a_number_for_the_bias(
    settings: Parameters, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = yaml.safe_load(Path("params.yaml").read_text())
    content["tune"]["all"] = True
    frozen = content["qaa_frozen"]
    asked: list[Any] = []
    nothing = Tuning(rates={}, search=None)
    monkeypatch.setattr(trials, "find", lambda *given: asked.append(given[2:4]) or nothing)
    for name, bias in (("qaa", "tuned"), ("qaa_frozen", "tuned"), ("qaa_frozen", 0.006)):
        frozen["learning_rates"] = {"projection": 0.001, "bias": bias}
        Path("params.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
        runpy.run_path(str(ROOT / "stages/tune.py"))["tune"](name)
    assert [(given, [*ranges]) for given, ranges in asked] == [
        ({}, ["projection", "angles"]), ({}, ["projection", "bias"]), ({"bias": 0.006}, ["projection"])]  # fmt: skip


def test_angles_travel_in_radians_and_a_rate_too_small_leaves_them_standing(
    settings: Parameters, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = bench("qaa", settings, [], monkeypatch)
    far, near = (shared.trial({"projection": 0.01, "angles": rate}, 0).moved for rate in (0.1, 0.001))
    assert [(m.part, m.unit) for m in far] == [("projection", "norm"), ("angles", "radians")]
    steps = sum((0.0, 1.0, 0.75, 0.25))  # of the rate: a warm-up of one step, which starts at 0, then a cosine
    assert 0.05 < far[1].distance <= far[1].largest <= 0.1 * steps
    assert not any(map(movement.stood_still, far)) and [movement.stood_still(m) for m in near] == [False, True]


def test_a_part_too_large_is_measured_on_a_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    weights = torch.nn.Parameter(torch.ones(1001))
    distances = []
    for most in (10_000, 100):
        monkeypatch.setattr(travel, "SAMPLED", most)
        with torch.no_grad():
            weights.fill_(1.0)
            start = travel.Start([{"rate": "weights", "params": [weights]}])
            weights.fill_(1.25)
        assert len(start.values[0]) <= most
        distances.append(start.movements()[0].distance)
    assert distances == pytest.approx([0.25, 0.25])


def test_rates_that_are_given_cost_no_torch(settings: Parameters) -> None:
    script = "import runpy, sys; sys.argv[1:] = ['qaa']; runpy.run_path(%r, run_name='__main__'); "
    script += "assert not {'torch', 'transformers', 'peft'} & set(sys.modules)"
    where = environment(cold=True) | {"PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(
        [sys.executable, "-c", script % str(ROOT / "stages/tune.py")],
        env=where,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    given = settings.sections["qaa"]["learning_rates"]
    assert files.read_json(Path("data/tuned/qaa.json"), Tuning) == Tuning(rates=given, search=None)
