"""What the README says is what the project does."""

import csv
import importlib.metadata
import json
import re
import subprocess
from dataclasses import replace
from pathlib import Path
from statistics import fmean

import pytest
import yaml
from transformers import AutoModelForCausalLM, AutoTokenizer

import architectures
import ketune
from conftest import ROOT
from ketune import counts, methods
from ketune.ground import files
from ketune.records.training import Tuning
from ketune.report import answer, archive, comparisons, exports, gates, panels, plan, publishing
from ketune.report.cells import interval, number
from ketune.statistics import Panel
from ketune.tuners.sites import SITES
from ketune.tuning import choice

TEXT = (ROOT / "README.md").read_text()
LIBRARY = (ROOT / "src/ketune/README.md").read_text()
PAGES = [
    pytest.param(page, id=str(page.relative_to(ROOT)))
    for page in sorted({ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "src/ketune/README.md",
                        *(ROOT / "reports").glob("**/README.md"), *(ROOT / "stages").glob("**/README.md")})
]  # fmt: skip


@pytest.mark.parametrize("text", [TEXT, LIBRARY], ids=["project", "library"])
def test_every_snippet_runs_in_its_order(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    tiny, load = architectures.model("gpt_neo"), AutoModelForCausalLM.from_pretrained
    tiny.save_pretrained("base")
    monkeypatch.setattr(
        AutoModelForCausalLM, "from_pretrained", lambda name, **options: load("base", **options)
    )  # whatever the hub has
    ids = architectures.ids()
    inputs = {"input_ids": ids, "attention_mask": ids.new_ones(ids.shape)}
    monkeypatch.setattr(AutoTokenizer, "from_pretrained", lambda name: lambda text, return_tensors: inputs)
    names: dict[str, object] = {}
    snippets = re.findall(r"```python\n(.*?)```", text, re.S)
    assert snippets
    for snippet in snippets:
        exec(snippet, names)  # the project's own text
        if not Path("folder").exists():
            names["model"].save_pretrained("folder")


def test_the_library_page_gives_the_rates_that_the_study_searches() -> None:
    for name, config in (("qaa", "QAA"), ("qtha", "QTHA"), ("quantum_peft", "QuantumPEFT"), ("sora", "SoRA")):
        rates = methods.declared(name).rates
        listed = ", ".join(f"{part} {rate.low:g} to {rate.high:g}" for part, rate in rates.items())
        assert f"| `{config}Config` | {listed} |" in LIBRARY
    assert f"known for {len(SITES)}\narchitectures" in LIBRARY


def test_the_library_page_has_no_link_that_breaks_on_an_index() -> None:
    assert all(link.startswith("https://") for link in re.findall(r"\]\(([^)]+)\)", LIBRARY))


def test_one_version_everywhere() -> None:
    assert f"version: {ketune.__version__}\n" in (ROOT / "CITATION.cff").read_text()
    assert importlib.metadata.version("ketune") == ketune.__version__


def test_every_public_name_is_there_and_typed() -> None:
    assert set(ketune.__all__) == set(ketune._HOMES)
    assert all(getattr(ketune, name).__name__ for name in ketune.__all__)
    assert (ROOT / "src/ketune/py.typed").exists()


def test_the_table_of_parameters_is_the_one_that_the_command_prints(capsys) -> None:
    counts.main()
    printed = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    page = (ROOT / "reports/benchmarks/parameters.md").read_text()
    assert "\n".join(printed).strip() in "\n".join(line.rstrip() for line in page.splitlines())


@pytest.mark.parametrize("page", PAGES)
def test_every_make_target_that_a_page_names_exists(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    assert set(re.findall(r"(?:`|^)make ([a-z-]+)", page.read_text(), re.M)) <= targets


@pytest.mark.parametrize("page", PAGES)
def test_every_file_and_folder_that_a_page_names_exists(page: Path) -> None:
    for path in re.findall(r"\]\((?!http|#)([^)]+)\)", page.read_text()):
        assert (page.parent / path).exists(), path


def test_every_heading_that_it_points_to_is_there() -> None:
    headings = {re.sub(r"[^a-z -]", "", line.lower()).replace(" ", "-") for line in re.findall(r"^## (.*)", TEXT, re.M)}
    pointers = re.findall(r"\]\(#([^)]+)\)", TEXT)
    assert pointers and set(pointers) <= headings


@pytest.mark.parametrize("page", PAGES)
def test_every_parameter_that_a_page_sets_exists(page: Path) -> None:
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    for section, key in re.findall(r"-S '?([a-z_]+)\.([a-z_]+)=", page.read_text()):
        assert key in params[section], (section, key)


def committed(path: Path) -> bytes:
    """What git has of a file: a run on another machine may have written other digits into the folder."""
    return subprocess.run(["git", "show", f"HEAD:{path.as_posix()}"], cwd=ROOT, check=True, capture_output=True).stdout


def test_the_published_page_shows_the_results_that_git_keeps() -> None:
    methods_run = tuple(yaml.safe_load(committed(Path("params.yaml")))["methods"])
    digest = exports.digest({path: committed(path) for path in exports.paths(methods_run)})
    page = committed(Path("reports/published/default.html")).decode()
    assert f'<meta name="results" content="{digest}">' in page, "run `make publish` after `dvc repro`"


def test_the_losses_and_the_distance_that_it_tells_are_those_of_the_default_run() -> None:
    losses = {
        name: json.loads(committed(Path(f"reports/metrics/{name}.json")))["loss"]
        for name in ("full", "lora", "qaa", "quantum_peft", "base")
    }
    words = (
        "held-out losses are {full:.3f} (full), {lora:.3f} (LoRA), {qaa:.3f} (QAA), {quantum_peft:.3f} (Quantum-PEFT)"
    )
    assert f"{words} and {{base:.3f}} without tuning".format(**losses) in said()
    page = " ".join(re.sub("<[^>]+>", " ", committed(Path("reports/published/default.html")).decode()).split())
    distance = re.search(r"QAA's angles by ([0-9.]+) rad in the median", said())
    assert distance and re.search(rf"QAA angles [0-9.]+ {distance[1]} median", page)


def said() -> str:
    """The text in one line, quotations included."""
    return " ".join(re.sub(r"^> ?", "", TEXT, flags=re.M).split())


@pytest.mark.parametrize("study", ["alpaca", "starter"])
def test_the_answer_that_it_gives_is_computed_from_the_records_of_the_study(study: str) -> None:
    for sentence in answer.answer(archive.read(ROOT / publishing.STUDIES / study)[0]).sentences:
        assert sentence in said(), f"make page STUDY={study} prints: {sentence}"


def test_what_it_says_of_the_study_on_alpaca_stands_in_the_records() -> None:
    found, beside = archive.read(ROOT / publishing.STUDIES / "alpaca")
    budget = found.settings.train
    assert f"({budget.steps * budget.batch_size} records each, in {budget.precision})" in said()
    assert beside.plan is not None and beside.plan.pilot_seeds == 2
    judgement = comparisons.judge(found)
    failed = [gate.name for gate in gates.gates(gates.Evidence(found, judgement, beside.plan, beside.planted))
              if gate.passed is False]  # fmt: skip
    assert failed == ["In the plan", "Rates tuned inside their ranges", "Controls learnt", "Answers uncut",
                      "Seeds and references enough to find"]  # fmt: skip
    assert "On Alpaca five fail: the plan, the rates, controls that learn less than their bias, cut answers" in said()
    standing = judgement.verdict("qaa", "lora")
    assert f"against LoRA only one of {standing.detectable:.3f} would have been" in said()
    assert set(methods.controls("qaa")) <= set(found.methods)
    level = f"At the level that this leaves ({standing.level:.4f}) the seeds alone (p = {standing.p_seeds:.3f})"
    assert level in said() and standing.p_seeds > standing.level and len(found.settings.contrasts) == 4
    by_seed = {method: found.frame["loss"].loc[method] for method in ("qaa", "lora")}
    assert (by_seed["qaa"] > by_seed["lora"]).sum() == 7 and "(on Alpaca in seven of eight)" in said()


def test_what_it_says_of_each_control_on_alpaca_stands_in_the_records() -> None:
    found = archive.read(ROOT / publishing.STUDIES / "alpaca")[0]
    judgement = comparisons.judge(found)
    size = {arm: f"{abs(judgement.verdict('qaa', arm).difference):.3f}" for arm in methods.controls("qaa")}
    sizes = {arm: f"{found.trainable(arm):,}" for arm in ("bias_only", "qaa", "lora")}
    alone = judgement.verdict("qaa", "bias_only")
    lead = f"ahead and not told apart, where a lead of QAA of {alone.detectable:.3f} would have been found"
    behind = {arm: f"{judgement.verdict(arm, 'bias_only').difference:.3f}"
              for arm in ("qaa_frozen", "qaa_zero", "random_quadratic")}  # fmt: skip
    for words in (
        f"(bias only, {sizes['bias_only']} trainable parameters), which QAA with its {sizes['qaa']}",
        f"it is {size['bias_only']} {lead}",
        f"ahead of QAA by {size['random_linear']} and {size['lora_matched']}, a SiLU bottleneck by "
        f"{size['silu_bottleneck']}; corrected for nine comparisons none of these leads is significant",
        f"the loss is {size['qaa_product']} lower: they show no benefit",
        f"LoRA, which has {sizes['lora']} parameters at other sites",
        f"is itself worse than LoRA by {judgement.verdict('lora_matched', 'lora').difference:.3f}",
        f"Training the angles is worth {size['qaa_frozen']} nats per token over frozen ones, in each of eight seeds",
        "worse than the vector that they contain, by {qaa_frozen}, {qaa_zero} and {random_quadratic}".format(**behind),
    ):
        assert words in said(), words
    assert len(methods.controls("qaa")) == 9
    for arm in ("bias_only", "random_linear", "lora_matched", "silu_bottleneck", "qaa_product"):
        one = judgement.verdict("qaa", arm)
        assert one.difference > 0 and one.word == "not distinguishable", arm
    assert all(judgement.verdict(arm, "bias_only").word == "worse" for arm in behind)
    losses = found.frame["loss"]
    assert (losses.loc["qaa"] < losses.loc["qaa_frozen"]).all() and len(losses.loc["qaa"]) == 8


def test_what_a_rate_of_its_own_for_the_bias_gives_is_what_was_measured() -> None:
    with (ROOT / "reports/benchmarks/bias_rate.csv").open() as file:
        apart = {row.pop("method"): [float(row["seed_1000"]), float(row["seed_1001"])] for row in csv.DictReader(file)}
    tunings = archive.read(ROOT / publishing.STUDIES / "alpaca")[0].tunings
    shared = {}
    for name in (*apart, "bias_only"):
        trials = {(trial.seed, *trial.rates.items()): trial.loss for trial in tunings[name].search.trials}
        shared[name] = [trials[seed, *tunings[name].rates.items()] for seed in (1000, 1001)]
    page = " ".join((ROOT / "reports/studies/README.md").read_text().split())
    told, before = ({name: "{:.4f} and {:.4f}".format(*found[name]) for name in found} for found in (apart, shared))
    assert f"reaches {before['bias_only']} on the search's two seeds" in page
    assert f"QAA, at 0.00178, {before['qaa']}." in page and f"QAA reaches {told['qaa']}, frozen angles" in page
    for name, title in {"qaa_frozen": "frozen angles", "qaa_zero": "0", "random_quadratic": "quadratic map"}.items():
        assert f"{title} {told[name]} ({before[name]} at the shared rate)" in page
    assert f"training its angles is worth {fmean(apart['qaa_frozen']) - fmean(apart['qaa']):.3f}:" in said()
    assert fmean(apart["qaa"]) > fmean(shared["qaa"])
    alone = fmean(shared["bias_only"])
    for name in ("qaa_zero", "random_quadratic"):
        assert fmean(apart[name]) - alone < 0.006 < fmean(shared[name]) - alone


def test_what_it_says_of_features_that_keep_their_mean_was_measured() -> None:
    def losses(found: Tuning) -> list[float]:
        trials = {(trial.seed, *trial.rates.items()): trial.loss for trial in found.search.trials}
        return [trials[seed, *found.rates.items()] for seed in (1000, 1001)]

    def told(found: Tuning) -> str:
        return "{:.4f} and {:.4f}".format(*losses(found))

    centred = archive.read(ROOT / publishing.STUDIES / "alpaca")[0].tunings
    folder = ROOT / "reports/benchmarks/uncentred"
    kept = {name: files.read_json(folder / f"{name}.json", Tuning) for name in ("qaa", "qaa_product")}
    page = " ".join((ROOT / "reports/studies/README.md").read_text().split())
    assert f"for QAA, {told(kept['qaa'])} (centred {told(centred['qaa'])}, at the same rates)" in page
    assert kept["qaa"].rates == centred["qaa"].rates
    assert f"without CNOTs {told(kept['qaa_product'])} (centred {told(centred['qaa_product'])})" in page
    assert f"are at {told(centred['lora_matched'])}, and {told(centred['silu_bottleneck'])}" in page
    mean = {name: f"{fmean(losses(centred[name])):.3f}" for name in ("lora_matched", "silu_bottleneck", "bias_only")}
    assert f"does better by {fmean(losses(centred['qaa'])) - fmean(losses(kept['qaa'])):.3f} where" in said()
    words = "validation loss {}, with LoRA (matched) at {}, the SiLU bottleneck at {} and the vector alone at {}"
    assert words.format(f"{fmean(losses(kept['qaa'])):.3f}", *mean.values()) in said()


@pytest.mark.parametrize(("study", "pilot"), [("alpaca", (1, 2)), ("starter", (0, 1))])
def test_what_the_seeds_after_the_pilot_say_alone_stands_in_the_records(study: str, pilot: tuple[int, ...]) -> None:
    found = archive.read(ROOT / publishing.STUDIES / study)[0]
    kept = [place for place, seed in enumerate(found.settings.seeds) if seed not in pilot]
    measures = {name: panels.measure(found, name, "loss") for name in found.methods}
    later = Panel({m: replace(each, sums=each.sums[kept]) for m, each in measures.items()}, panels.apart(found.methods))
    page = " ".join((ROOT / "reports/studies/README.md").read_text().split())
    for other, title in (("lora", "LoRA"), ("qaa_frozen", "frozen angles")):
        one = later.estimate("qaa", other)
        ends = one.interval(0.95)
        told = f"{number(one.value, 3, signed=True)} {interval(ends.low, ends.high, 3, signed=True)} against {title}"
        assert told in page and f"{one.p_seeds:.3f}" == "0.031" and len(kept) == 6


def test_what_it_says_of_the_search_on_alpaca_stands_in_the_records() -> None:
    found = archive.read(ROOT / publishing.STUDIES / "alpaca")[0]
    page = " ".join((ROOT / "reports/studies/README.md").read_text().split())
    told = {"lora": "1.8 for LoRA", "silu_bottleneck": "2.4 for LoRA (matched)", "qaa": "3.2 for the projection"}
    for name, factor in told.items():
        rate = next(iter(methods.declared(name).rates))
        step = choice.steps(found.tunings[name].search.trials)[rate]
        assert factor in page and f"{step:.1f}" == factor.split()[0]
    search = found.tunings["qaa"].search
    above = next(trial for trial in search.trials if trial.rates["projection"] == 0.00562)
    assert f"({above.loss:.3f} nats, untrained {search.untrained:.3f})" in page
    assert round(above.rates["angles"] / found.tunings["qaa"].rates["angles"]) == 13
    whole = Panel({m: panels.measure(found, m, "loss") for m in found.methods}, panels.apart(found.methods))
    ends = whole.estimate("lora_matched", "lora").interval(0.95)
    assert f"worse than LoRA by {ends.value:.3f} {interval(ends.low, ends.high, 3)} (95 %, exploratory)" in page


def test_what_it_says_of_the_second_study_stands_in_the_records() -> None:
    found, beside = archive.read(ROOT / publishing.STUDIES / "starter")
    assert beside.plan == plan.read(ROOT / "reports/plan/starter.json") and beside.plan.pilot_seeds == 2
    evidence = gates.Evidence(found, comparisons.judge(found), beside.plan, beside.planted)
    states = {gate.name: gate.passed for gate in gates.gates(evidence) if not gate.passed}
    assert states == {"Controls learnt": None, "Answers uncut": False} and len(gates.GATES) == 8
    by_seed = {method: found.frame["loss"].loc[method] for method in found.methods}
    assert (by_seed["qaa"] > by_seed["lora"]).all() and len(by_seed["qaa"]) == 8
    gain, angles = (f"{(by_seed[other] - by_seed['qaa']).mean():.3f}" for other in ("base", "qaa_frozen"))
    assert f"of the {gain} nats per token that it gains, training its angles is worth {angles}" in said()


def test_what_shots_leave_is_what_was_measured() -> None:
    with (ROOT / "reports/benchmarks/shots.csv").open() as file:
        rows = {(row["Method"], row["Circuits read"]): row for row in csv.DictReader(file)}
    kept = {key: float(row["Gain kept"]) for key, row in rows.items()}
    many, some = (f"{100 * kept['QAA', shots]:.0f} %" for shots in ("10,000 shots", "1,000 shots"))
    words = f"QAA keeps {many} with 10,000 shots for each circuit and token, {some} with 1,000"
    assert f"{words}, and with 100 the model is far worse than untuned" in said()
    assert kept["QAA", "100 shots"] < -1 and kept["QAA", "depolarizing 0.001, read-out 0.01"] > 0.99
    few = rows["QTHA", "100 shots"]
    gain = float(few["Less exact"]) / (1 - kept["QTHA", "100 shots"])
    assert f"gains {gain:.3f} nats, of which 100 shots leave {100 * kept['QTHA', '100 shots']:.0f} %" in said()
    assert f"and 1,000 leave {100 * kept['QTHA', '1,000 shots']:.0f} %" in said()


def test_what_a_machines_noise_leaves_is_what_was_measured() -> None:
    with (ROOT / "reports/benchmarks/shots.csv").open() as file:
        rows = {(row["Method"], row["Circuits read"]): row for row in csv.DictReader(file)}
    assert f"lowers its loss by {-float(rows['QTHA', 'FakeTorino, 10,000 shots']['Less exact']):.3f}" in said()
    kept = re.findall(
        r"\| (QTHA|QAA), [^|]*\| \d+ \| ([0-9.]+) ± ([0-9.]+)", (ROOT / "reports/benchmarks/hardware.md").read_text()
    )
    slopes = {name: (slope, error) for name, slope, error in kept}
    words = "slope of {} through QTHA's circuit and of {} ± {} (standard error, 12 inputs) through QAA's"
    assert words.format(slopes["QTHA"][0], *slopes["QAA"]) in said()


def test_every_default_method_ships() -> None:
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    assert set(params["methods"]) <= set(methods.names())
    assert f"{sum(1 for _ in (ROOT / 'data/starter.jsonl').open()):,} instructions" in TEXT
