"""The report says what the numbers say: made-up studies with known effects, rendered and read back."""

import csv
import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from ketune import methods, metrics, report, statistics, tuning
from ketune.ground import contrasts, files, layout, params
from ketune.ground.checks import Range
from ketune.ground.errors import InputError
from ketune.ground.params import Params
from ketune.records.predictions import Answer
from ketune.records.scores import RunScores
from ketune.records.training import Trial, Tuning
from ketune.report import (
    background,
    buckets,
    caveats,
    comparisons,
    contents,
    effects,
    exports,
    gates,
    ledger,
    moved,
    opening,
    outcome,
    panels,
    paper,
    plan,
    rate_figure,
    rates,
    results,
    style,
    verdicts,
)
from ketune.statistics import Attribution, Contrast
from report_project import ABOUT, ROOT, Study, write

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>&amp;\u2028 $x_1$ "
QAA_ARMS = ["base", "lora", "qaa", "lora_matched", "qaa_frozen", "qaa_zero", "qaa_product", "bias_only",
            "random_linear", "random_quadratic", "silu_bottleneck"]  # fmt: skip
SIX = [0, 1, 2, 3, 4, 5]  # seeds: the fewest that confirm a word


class Page(HTMLParser):
    """Tags with their attributes, text, and the contents of scripts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.scripts: list[str] = []
        self.inside = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))
        self.inside = tag

    def handle_data(self, text: str) -> None:
        if self.inside == "script":
            self.scripts.append(text)
        elif self.inside != "style":
            self.words.append(text)

    def handle_endtag(self, tag: str) -> None:
        self.inside = ""

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four methods and three seeds, with hostile answers, rendered."""
    folder = tmp_path_factory.mktemp("study")
    made = Study(
        ["base", "lora", "qaa", "lora_matched"], [0, 1, 2], answers={("lora", 1): HOSTILE}, instruction=HOSTILE
    )
    write(folder, made)
    (folder / "reports/metrics").mkdir(parents=True)
    (folder / "reports/metrics/gone.json").write_text("{}")
    render(folder)
    return folder


def render(folder: Path, **environment: str) -> str:
    """Run the stage's script in a project; what it printed."""
    variables = os.environ | {"PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1"} | environment
    command = [sys.executable, str(ROOT / "stages/report.py")]
    done = subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> results.Results:
    """The results of a project, with that project as the working folder from here on."""
    monkeypatch.chdir(folder)
    return results.read(params.load())


def table(folder: Path, name: str) -> list[dict[str, str]]:
    with (folder / f"reports/tables/{name}.csv").open() as file:
        return list(csv.DictReader(file))


def test_metrics_are_those_of_the_listed_methods_alone(study: Path) -> None:
    listed = {file.stem for file in (study / "reports/metrics").iterdir()}
    assert listed == {"base", "lora", "qaa", "lora_matched"}
    runs = [files.read_json(study / f"data/scores/qaa-{seed}.json", RunScores) for seed in (0, 1, 2)]
    losses = [run.metrics["loss"].score for run in runs]
    found = json.loads((study / "reports/metrics/qaa.json").read_text())
    assert found["loss"] == round(sum(losses) / 3, 4)
    assert found["parameters"] == ABOUT["qaa"][0]
    assert set(found) == {metric.key for metric in metrics.every()} | {"parameters"}


def test_loss_csv_holds_the_mean_over_seeds_of_every_trained_method(study: Path) -> None:
    with (study / "reports/loss.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {row["method"] for row in rows} == {"lora", "qaa", "lora_matched"}
    curves = [np.loadtxt(study / f"data/curves/qaa-{seed}.csv", delimiter=",", skiprows=1) for seed in (0, 1, 2)]
    ours = [float(row["loss"]) for row in rows if row["method"] == "qaa"]
    assert ours == pytest.approx(np.mean(curves, axis=0)[:, 1], abs=1e-6)


def test_intervals_in_scores_csv_contain_their_value(study: Path) -> None:
    with (study / "reports/scores.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["method"] for row in rows] == ["base", "lora", "qaa", "lora_matched"]
    for row in rows:
        for key in (metric.key for metric in metrics.every()):
            assert float(row[f"{key}_low"]) <= float(row[key]) <= float(row[f"{key}_high"])


def test_the_page_tables_and_metrics_tell_the_same_numbers(study: Path) -> None:
    metrics = json.loads((study / "reports/metrics/qaa.json").read_text())
    row = next(row for row in table(study, "quality") if row["Method"] == "QAA")
    assert float(row["Held-out loss ↓"]) == pytest.approx(metrics["loss"], abs=5e-5)
    assert float(row["BLEU ↑"]) == pytest.approx(metrics["bleu"], abs=5e-5)
    page = Page((study / "reports/index.html").read_text())
    assert f"{metrics['loss']:.3f}" in page.text


def test_same_input_same_bytes_in_another_process(study: Path) -> None:
    before = {f: f.read_bytes() for f in (study / "reports").rglob("*") if f.is_file()}
    render(study, PYTHONHASHSEED="12345")
    after = {f: f.read_bytes() for f in (study / "reports").rglob("*") if f.is_file()}
    assert before.keys() == after.keys()
    assert [str(f) for f in before if before[f] != after[f]] == []


def test_hostile_text_stays_text(study: Path) -> None:
    page = Page((study / "reports/index.html").read_text())
    assert [tag for tag, _ in page.tags].count("script") == 3
    assert not [tag for tag, _ in page.tags if tag in ("img", "iframe", "object", "embed", "link", "base", "form")]
    data = json.loads(page.scripts[1])
    assert data["prompts"][0]["instruction"] == HOSTILE
    assert any(text.startswith(HOSTILE) for text in data["texts"])


def test_the_page_asks_no_network_for_anything(study: Path) -> None:
    page = Page((study / "reports/index.html").read_text())
    for tag, attributes in page.tags:
        for name in ("src", "href", "xlink:href", "data", "action", "srcset", "poster"):
            assert (attributes.get(name) or "#").startswith("#"), (tag, attributes)
        for value in attributes.values():
            assert "url(http" not in (value or "")
    policy = next(a["content"] for t, a in page.tags if t == "meta" and a.get("http-equiv"))
    assert "default-src 'none'" in policy and "unsafe-inline" not in policy.split("style-src")[0]


def test_ids_are_unique_and_references_lead_somewhere(study: Path) -> None:
    text = (study / "reports/index.html").read_text()
    ids = [a["id"] for _, a in Page(text).tags if a.get("id")]
    assert len(ids) == len(set(ids))
    wanted = re.findall(r'url\(#([^)]+)\)|href="#([^"]+)"|aria-labelledby="([^"]+)"', text)
    assert {name for group in wanted for name in group if name} <= set(ids)


def test_figures_are_files_with_text_that_can_be_selected(study: Path) -> None:
    for file in (study / "reports/figures").iterdir():
        svg = file.read_text()
        assert "<text" in svg and "<dc:date>" not in svg and "var(--" not in svg, file
    names = {file.stem for file in (study / "reports/figures").iterdir()}
    assert {"learning_curves", "intervals", "against_others", "loss_against_parameters"} <= names
    assert ">LoRA</text>" in (study / "reports/figures/loss_against_parameters.svg").read_text()


def test_the_report_needs_no_torch() -> None:
    code = "import sys, ketune.report; print([m for m in sys.modules if m.split('.')[0] in ('torch', 'transformers')])"
    done = subprocess.run([sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
                          capture_output=True, text=True, check=True)  # fmt: skip
    assert done.stdout.strip() == "[]"


def judged(folder: Path, made: Study, monkeypatch: pytest.MonkeyPatch) -> tuple[results.Results, comparisons.Judgement]:
    found = read(write(folder, made), monkeypatch)
    return found, comparisons.judge(found)


def test_a_circuit_that_beats_every_control_contributes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = Study(QAA_ARMS, SIX, effects={"qaa": -0.6})
    found, judgement = judged(tmp_path, made, monkeypatch)
    assert judgement.attributions["qaa"].contributes
    assert {judgement.verdict("qaa", control).word for control in methods.controls("qaa")} == {"better"}
    texts = [statement.text for statement in opening.statements(found, judgement)]
    doubt = "learning rates in doubt: LoRA, QAA"  # nobody recorded how they were found
    size = verdicts.size(judgement.verdict("qaa", "lora"), 3, 0.05)
    assert size.endswith("; 98.75 %]"), "the strictest of four planned comparisons"
    told = f"QAA is better than LoRA on held-out loss, {size} nats per token (unconfirmed: 8 seeds could, {doubt})."
    assert texts[0] == told
    assert "the circuit contributes" in texts[1] and "not shown" not in texts[1]


def test_worse_than_a_control_counts_the_controls_that_did_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Study(["base", "lora", "qaa", "qaa_frozen"], SIX, effects={"qaa": -0.05})
    found, judgement = judged(tmp_path, made, monkeypatch)
    behind = judgement.verdict("qaa", "qaa_frozen")
    assert behind.difference > 0 and len(methods.controls("qaa")) > 2
    assert behind.level == pytest.approx(found.settings.report.alpha / len(methods.controls("qaa")))


def test_what_a_study_is_sure_of_is_told_by_declared_methods(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found, judgement = judged(tmp_path, Study(["base", "lora", "qaa", "qtha"], SIX), monkeypatch)
    real = comparisons.Judgement.verdict

    def unsure(self: comparisons.Judgement, method: str, other: str, metric: str = "loss") -> statistics.Verdict:
        return replace(real(self, method, other, metric), detectable=9.0 if "qtha" in (method, other) else 0.1)

    monkeypatch.setattr(comparisons.Judgement, "verdict", unsure)
    for planned, size in (((statistics.Contrast("loss", "qaa", "lora"),), 0.1), ((), 9.0)):
        least = comparisons.least_sure(found, replace(judgement, planned=planned))
        assert least is not None and least[1] == size


def test_a_control_that_did_not_learn_carries_no_contribution(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = Study(QAA_ARMS, SIX, effects={"qaa": -0.6, "qaa_product": 1.5})
    found, judgement = judged(tmp_path, made, monkeypatch)
    assert judgement.attributions["qaa"].contributes and judgement.verdict("qaa_product", "base").word != "better"
    said = opening.statements(found, judgement)[1]
    assert "nothing is said about its circuit" in said.text and "QAA (no CNOT) may not have learnt" in said.text
    assert said.mark == "open"
    learnt = {one.name: one for one in gates.gates(gates.Evidence(found, judgement, None, []))}["Controls learnt"]
    assert (learnt.passed, learnt.sentence) == (False, "not better than the untuned model: QAA (no CNOT)")


def test_three_seeds_call_it_better_and_prove_no_contribution(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = Study(QAA_ARMS, [0, 1, 2], effects={"qaa": -0.6})
    found, judgement = judged(tmp_path, made, monkeypatch)
    assert {judgement.verdict("qaa", control).word for control in methods.controls("qaa")} == {"better"}
    texts = [statement.text for statement in opening.statements(found, judgement)]
    doubt = "learning rates in doubt: LoRA, QAA"  # nobody recorded how they were found
    size = verdicts.size(judgement.verdict("qaa", "lora"), 3, 0.05)
    assert size.endswith("; 98.75 %]"), "the strictest of four planned comparisons"
    told = f"QAA is better than LoRA on held-out loss, {size} nats per token (unconfirmed: 8 seeds could, {doubt})."
    assert texts[0] == told
    assert texts[1].endswith("not shown: 3 of the 6 seeds that could confirm it. Its learning rates are in doubt.")


def test_beating_lora_alone_shows_nothing_quantum(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = Study(QAA_ARMS, SIX, effects={"qaa": -0.6, "qaa_product": -0.6})
    found, judgement = judged(tmp_path, made, monkeypatch)
    assert judgement.verdict("qaa", "lora").word == "better"
    assert judgement.attributions["qaa"].not_beaten == ("qaa_product",)
    texts = [statement.text for statement in opening.statements(found, judgement)]
    words = "QAA: that the circuit contributes is not shown: it does not beat QAA (no CNOT)."
    assert texts[1] == f"{words} Its learning rates are in doubt."


def test_missing_arms_and_seeds_forbid_the_claim(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = Study([m for m in QAA_ARMS if m != "qaa_zero"], [0], effects={"qaa": -0.6})
    found, judgement = judged(tmp_path, made, monkeypatch)
    assert not judgement.attributions["qaa"].contributes
    first, text = (statement.text for statement in opening.statements(found, judgement))
    assert first == "QAA against LoRA on held-out loss: 1 of 3 seeds needed."
    assert "QAA (angles 0) did not run" in text and "1 of the 6 seeds" in text
    assert "does not beat" not in text, "one seed carries no word, not that one either"
    assert any("fewer than three" in sentence for sentence in opening.opening(found).sentences)
    said = caveats.caveats(found, judgement)
    assert not any("of at least three seeds" in sentence or "only above" in sentence for sentence in said)


def test_each_word_has_its_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found, judgement = judged(tmp_path, Study(["lora", "qaa"], [0], prompts=3, likelihoods=3), monkeypatch)
    given = replace(judgement.verdict("qaa", "lora"), role="planned", confirmed=True)
    given = replace(given, difference=0.0121, low=-0.0004, high=0.02, level=0.0125)
    size = "+0.012 [0.000, +0.020; 98.75 %] nats per token"
    monkeypatch.setattr(rates, "in_doubt", lambda results: ["prefix"])
    for word, sentence, mark in (
        ("better", f"QAA is better than LoRA on held-out loss, {size} (confirmed).", "better"),
        ("worse", f"QAA is worse than LoRA on held-out loss, {size} (confirmed).", "worse"),
        ("comparable", f"QAA is comparable with LoRA on held-out loss, {size}.", "open"),
        ("not distinguishable", f"QAA is not distinguishable from LoRA on held-out loss, {size}.", "open"),
    ):
        said = opening.standing(found, "qaa", "lora", replace(given, word=word))
        assert (said.text, said.mark) == (sentence, mark)


def test_a_sentence_says_whose_rates_are_in_doubt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arms = ["lora", "lora_matched", "prefix", "qaa"]
    found, judgement = judged(tmp_path, Study(arms, [0], prompts=3, likelihoods=3), monkeypatch)
    given = replace(judgement.verdict("prefix", "lora"), word="comparable", role="planned")
    size = verdicts.size(given, 3, 0.05)
    kept = {arm: sound(found.tunings[arm].rates, found.settings, arm) for arm in ("lora", "lora_matched", "prefix")}
    contributes = Attribution(True, (), (), (), seeds=6, seeds_needed=6)
    for searched_for, doubted in (((), "LoRA, Prefix"), (("prefix",), "LoRA"), (("prefix", "lora"), "")):
        told = with_tunings(found, **{arm: kept[arm] for arm in searched_for})
        note = f" (learning rates in doubt: {doubted})" if doubted else ""
        said = opening.standing(told, "prefix", "lora", given)
        assert said.text == f"Prefix is comparable with LoRA on held-out loss, {size} nats per token{note}."
        assert rates.in_doubt(told) == [arm for arm in arms if arm not in searched_for]
        said = opening.contribution(told, "qaa", contributes)
        assert said.text.endswith("But other learning rates may help LoRA (matched).") and said.contributes
    said = opening.contribution(with_tunings(found, **kept), "qaa", contributes)
    assert said.text.endswith("the seeds confirm it.") and said.contributes
    against = Attribution(False, ("lora_matched",), (), (), seeds=6, seeds_needed=6)
    words = "QAA: that the circuit contributes is not shown: it does not beat LoRA (matched)."
    assert opening.contribution(found, "qaa", against).text == f"{words} Its learning rates are in doubt."
    kept["qaa"] = sound(found.tunings["qaa"].rates, found.settings, "qaa")
    assert opening.contribution(with_tunings(found, **kept), "qaa", against).text == words


def test_each_reason_against_a_contribution_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = read(write(tmp_path, Study(["qaa"], [0], prompts=3, likelihoods=3)), monkeypatch)
    given = Attribution(False, ("lora_matched",), ("qaa_frozen",), ("bias_only",), seeds=6, seeds_needed=6)
    beaten, confirmed = "it does not beat LoRA (matched)", "the seeds do not confirm that it beats QAA (frozen angles)"
    for attribution, reasons in (
        (given, f"{beaten}; {confirmed}; Bias only did not run"),
        (replace(given, not_beaten=(), missing=()), confirmed),
        (replace(given, seeds=5), f"5 of the 6 seeds that could confirm it; {beaten}; Bias only did not run"),
    ):
        said = opening.contribution(found, "qaa", attribution)
        assert said.text.startswith(f"QAA: that the circuit contributes is not shown: {reasons}. Its learning")
        assert said.mark == "open" and not said.contributes


def test_equal_methods_are_never_better(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = Study(["base", "lora", "qaa", "lora_matched"], [0, 1, 2], effects=dict.fromkeys(ABOUT, -0.2))
    found, judgement = judged(tmp_path, made, monkeypatch)
    words = {judgement.verdict("qaa", other).word for other in ("lora", "lora_matched")}
    assert words <= {"comparable", "not distinguishable"}
    assert "loss" not in comparisons.separated_best(found, judgement)


def test_every_table_and_sentence_tells_the_one_verdict_of_a_pair(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Study(QAA_ARMS, SIX, effects={"qaa": -0.6, "bias_only": -0.6})
    found, judgement = judged(tmp_path, made, monkeypatch)
    told = verdicts.verdict(found, judgement).cells
    words = {
        row["Against"].method: row["Verdict"].text
        for _, row in told.iterrows()
        if row["Method"].method == "qaa" and row["On"].text == "Held-out loss"
    }
    coloured = verdicts.pairwise(found, judgement).cells.set_index(
        verdicts.pairwise(found, judgement).cells[""].map(lambda cell: cell.method)
    )
    for control in methods.controls("qaa"):
        beaten = control not in judgement.attributions["qaa"].not_beaten
        assert beaten == (words[control] == "better") == (coloured.loc["qaa", found.title(control)].mark == "better")
        mirrored = coloured.loc[control, found.title("qaa")].mark
        assert mirrored == {"better": "worse", "worse": "better"}.get(words[control], "")
    roles = {row["Role"].text for _, row in told.iterrows()}
    assert roles == {"planned", "control"}


def test_a_control_that_its_bias_alone_beats_has_not_learnt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arms = ["base", "lora", "qaa", "qaa_frozen", "bias_only"]
    for effect, passed in ((-0.05, False), (-0.12, True)):
        made = Study(arms, [0, 1, 2], effects={"qaa_frozen": effect, "bias_only": -0.12})
        (tmp_path / str(passed)).mkdir()
        found, judgement = judged(tmp_path / str(passed), made, monkeypatch)
        found_gates = gates.gates(gates.Evidence(found, judgement, None, ()))
        learnt = next(gate for gate in found_gates if gate.name == "Controls learnt")
        assert learnt.passed is passed
        assert passed or learnt.sentence == "worse than the bias alone, which they contain: QAA (frozen angles)"


def test_whether_a_control_beats_its_bias_is_not_recorded_where_that_did_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Study(["base", "lora", "qaa", "qaa_frozen"], [0, 1, 2], effects={"qaa_frozen": -0.12})
    learnt = next(
        gate
        for gate in gates.gates(gates.Evidence(*judged(tmp_path, made, monkeypatch), None, ()))
        if gate.name == "Controls learnt"
    )
    assert learnt.passed is None and "did not run" in learnt.sentence and "QAA (frozen angles)" in learnt.sentence


def test_gates_stand_between_the_sentences_and_the_verdicts_and_are_not_passed_by_default(study: Path) -> None:
    states = {row["Gate"]: (row["State"], row["Why"]) for row in table(study, "gates")}
    assert states["In the plan"] == (
        "not recorded",
        "no plan in reports/plan/plan.json; make plan writes one from a pilot",
    )
    assert states["Planted studies right"][0] == "not recorded"
    assert states["Rates tuned inside their ranges"][0] == "failed"
    assert states["Every part moved"][0] == "passed"
    assert states["Controls learnt"][0] == "not recorded", "the bias alone did not run"
    state, why = states["Seeds enough to confirm"]
    assert state == "failed" and why == "3 seeds; to confirm the strictest planned comparison takes 8 or more"
    text = (study / "reports/index.html").read_text()
    assert text.index("QAA is ") < text.index("In the plan") < text.index("Method less opponent")


def late_pilot(made: plan.Plan) -> plan.Plan:
    """The same plan from a pilot without prefix: declared, and no promise."""
    promises = tuple(promise for promise in made.promises if "prefix" not in promise.contrast)
    return replace(made, promises=promises, without_pilot=(*made.without_pilot, "qaa against prefix on loss"))


def test_the_plan_stands_beside_what_came(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arms = ["base", "lora", "qaa", "prefix", "lora_matched", "qaa_frozen"]
    pilot = read(write(tmp_path, Study(arms, [0, 1], likelihoods=30)), monkeypatch)
    files.write_json(layout.PLAN, plan.make(pilot, "2026-01-02"))
    found, judgement = judged(tmp_path, Study(arms, list(range(8)), likelihoods=120), monkeypatch)
    told = outcome.table(found, judgement, plan.read()).cells
    assert [cell.text for cell in told["Comparison"]][-2:] == [
        f"QAA against {other} on held-out loss" for other in ("LoRA", "Prefix")
    ]
    for promise, (_, row) in zip(plan.read().promises, told.iterrows(), strict=True):
        one = contrasts.read(promise.contrast, "")
        assert row["Verdict"].text == judgement.verdict(one.method, one.other).word
        assert row["Power"].note == f"seeds: {promise.confirmed[0]:.2f}"
        gaps = judgement.panels["loss"].by_seed[one.method] - judgement.panels["loss"].by_seed[one.other]
        assert row["Seeds won"].value == np.mean(gaps < 0)
    evidence = gates.Evidence(found, judgement, replace(plan.read(), references=120), [])
    gate = {one.name: one for one in gates.gates(evidence)}
    assert gate["In the plan"].passed
    assert gate["Seeds enough to confirm"].passed
    declared = replace(late_pilot(plan.read()), references=120)
    assert gates.gates(replace(evidence, plan=declared))[0].passed
    apart = replace(found.settings.plan, contrasts=("lora against prefix on loss",))
    aside = replace(found, settings=replace(found.settings, plan=apart))
    promised = tuple(p for p in plan.read().promises if p.role == "control")
    here = replace(plan.read(), promises=promised, without_pilot=("lora against prefix on loss",), references=120)
    joined = gates.Evidence(aside, comparisons.judge(aside), here, [])
    assert gates.gates(joined)[0].passed, "controls of a method that is in no declared comparison, planned or not"
    assert gates.gates(replace(joined, plan=replace(here, promises=())))[0].passed
    moved_on = replace(plan.read(), setting=replace(plan.read().setting, steps=7))
    late = replace(plan.read(), promises=plan.read().promises[:-1])
    bare = replace(plan.read(), promises=tuple(p for p in plan.read().promises if "qaa_frozen" not in p.contrast))
    unrun = replace(plan.read().promises[-1], contrast="qaa against full on loss")
    missing = replace(plan.read().promises[0], contrast="qaa against qaa_zero on loss", role="control")
    loose = replace(declared, without_pilot=(*declared.without_pilot, "sora against lora on loss"))
    more = replace(plan.read(), promises=(*plan.read().promises, unrun), references=120)
    for other, reason in (
        (moved_on, "another setting"),
        (late, "not in the plan of 2026-01-02"),
        (bare, "not in the plan of 2026-01-02: QAA against QAA (frozen angles) on held-out loss"),
        (more, "planned on 2026-01-02 and not compared: QAA against Full on held-out loss"),
        (loose, "planned on 2026-01-02 and not compared: SoRA against LoRA on held-out loss"),
        (
            replace(more, promises=(*plan.read().promises, missing)),
            "not compared: QAA against QAA (angles 0) on held-out loss",
        ),
        (replace(declared, differences=(0.5,)), "to find 0.5 nats per token, params.yaml 0.05, 0.02, 0.1"),
        (plan.read(), "has 8 seeds and 400 references, of which 8 and 120 ran"),
        (replace(plan.read(), seeds=9, references=120), "has 9 seeds and 120 references, of which 8 and 120 ran"),
    ):
        failed = gates.gates(replace(evidence, plan=other))[0]
        assert failed.passed is False and reason in failed.sentence


@pytest.mark.parametrize(("still", "part"), [("qaa", "angles"), ("lora", "weights")])
def test_no_table_has_a_word_where_a_part_stood_still(
    still: str, part: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arms = ["base", "lora", "qaa", "lora_matched", "qaa_frozen"]
    made = Study(arms, [0, 1, 2], prompts=6, likelihoods=30, effects={"qaa": -0.6}, still={(still, part)})
    found, judgement = judged(tmp_path, made, monkeypatch)
    assert judgement.verdict("qaa", "lora").word == "better"
    made_plan = plan.make(found, "2026-01-02")
    planned = outcome.table(found, judgement, made_plan).cells
    about = planned[[still in promise.contrast.split() for promise in made_plan.promises]]
    assert len(about) and {cell.text for cell in about["Verdict"]} == {"void"}
    coloured = verdicts.pairwise(found, judgement).cells
    assert {cell.mark for cell in (*coloured[found.title(still)], *coloured.iloc[arms.index(still)])} == {""}
    alone, judged_alone = judged(tmp_path, replace(made, still=set()), monkeypatch)
    assert comparisons.separated_best(alone, judged_alone)["loss"] == "qaa"
    assert still not in comparisons.separated_best(found, judgement).values()
    others = verdicts.other_verdicts(found, judgement).cells
    about = others[[still in (row["Method"].method, row["Against"].method) for _, row in others.iterrows()]]
    assert len(about) and not {cell.mark for column in about for cell in about[column]} & {"better", "worse"}
    drawn = effects.against_others(found, style.looks(found), judgement)
    assert drawn is None if still == "qaa" else ">LoRA</text>" not in drawn.svg
    assert not any("is better than LoRA on" in one.text for one in opening.statements(found, judgement))


def test_too_few_seeds_pass_no_gate_that_needs_a_word(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found, judgement = judged(tmp_path, Study(["base", "lora", "qaa", "qaa_frozen"], [0, 1]), monkeypatch)
    gate = {one.name: one for one in gates.gates(gates.Evidence(found, judgement, None, []))}
    assert gate["Controls learnt"].passed is None
    assert gate["Seeds and references enough to find"].passed is False
    assert {cell.text for cell in verdicts.verdict(found, judgement).cells["Detectable"]} == {"–"}


def test_each_seed_is_shown(study: Path) -> None:
    rows = {row["Method"]: row for row in table(study, "seeds")}
    for seed in (0, 1, 2):
        score = files.read_json(study / f"data/scores/qaa-{seed}.json", RunScores).metrics["loss"].score
        assert float(rows["QAA"][f"Seed {seed}"]) == pytest.approx(score)
    pairs = {(row["Method"], row["Against"]): row for row in table(study, "seed_pairs")}
    against = pairs["QAA", "Base"]
    gaps = [float(against[f"Seed {seed}"]) for seed in (0, 1, 2)]
    assert float(against["Seeds won"]) == np.mean([gap < 0 for gap in gaps])
    assert against["Correlation"] == "", "the untuned model does not vary over seeds"


def test_one_method_alone_is_a_report_too(tmp_path: Path) -> None:
    write(tmp_path, Study(["base"], [0], prompts=3, likelihoods=3))
    assert render(tmp_path).startswith("1 runs of 1 methods")
    page = Page((tmp_path / "reports/index.html").read_text())
    assert "Nothing to compare" in page.text and "No method was trained" in page.text


def test_one_prompt_tells_nothing_and_breaks_nothing(tmp_path: Path) -> None:
    write(tmp_path, Study(["base", "lora", "qaa"], [0, 1, 2], prompts=1, likelihoods=1, steps=7))
    render(tmp_path)
    assert {row["Verdict"] for row in table(tmp_path, "verdict")} == {"not distinguishable"}
    assert {row["p"] for row in table(tmp_path, "verdict")} == {"1.0"}


def test_the_paper_stands_beside_ours_row_by_row(study: Path) -> None:
    rows = {(row["Method"], row["Metric"]): row for row in table(study, "paper_table3")}
    ours = json.loads((study / "reports/metrics/qaa.json").read_text())["bleu"]
    row = rows["QAA", "BLEU"]
    assert float(row["Published"]) == 2.96
    assert float(row["Difference"]) == pytest.approx(ours - 2.96, abs=1e-4)
    assert {method for method, _ in rows} == {"LoRA", "QAA"}
    assert {row["Difference"] for (_, metric), row in rows.items() if metric == "BERT-F1"} == {""}
    sizes = {row["Method"]: row for row in table(study, "paper_table1")}
    assert float(sizes["LoRA"]["Published"]) == 147_456


def test_the_papers_setting_is_recognised(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = read(study, monkeypatch)
    for key, run in found.runs.items():
        parameters = replace(run.training.parameters, total=125_198_592)
        found.runs[key] = replace(run, training=replace(run.training, parameters=parameters))
    changed = {
        "data": {"hub": "tatsu-lab/alpaca", "revision": "abc"},
        "train": {"steps": 1000},
        "generate": {"prompts": 100},
    }
    for block, values in changed.items():
        for key, value in values.items():
            object.__setattr__(getattr(found.settings, block), key, value)
    assert [match.meets for match in paper.matches(found)] == [True, True, True, True, False]
    assert "the paper's" in paper.warning(found)


def test_values_of_intervals_are_those_of_the_score_files(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = read(study, monkeypatch)
    for (method, metric), interval in panels.intervals(found, comparisons.judge(found).panels).iterrows():
        assert interval["value"] == pytest.approx(found.mean(method, metric), abs=1e-9), (method, metric)


def test_a_missing_run_ends_in_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, Study(["base", "lora"], [0]))
    (tmp_path / "data/scores/lora-0.json").unlink()
    with pytest.raises(InputError, match=r"data/scores/lora-0\.json: no such file; `dvc repro` makes it"):
        read(tmp_path, monkeypatch)


def test_runs_on_different_prompts_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, Study(["base", "lora"], [0]))
    path = tmp_path / "data/scores/lora-0.json"
    scores = json.loads(path.read_text())
    scores["ids"]["likelihood"].reverse()
    path.write_text(json.dumps(scores))
    with pytest.raises(InputError, match=r"lora-0\.json: other prompts were scored than .*lora-0 holds"):
        read(tmp_path, monkeypatch)
    likelihood = tmp_path / "data/predictions/lora-0/likelihood.jsonl"
    likelihood.write_text("".join(reversed(likelihood.read_text().splitlines(keepends=True))))
    with pytest.raises(InputError, match="lora-0 and base-0 were scored on different prompts"):
        read(tmp_path, monkeypatch)


def test_references_of_another_split_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    split = write(tmp_path, Study(["base", "lora"], [0])) / layout.split("test")
    split.write_text("".join(split.read_text().splitlines(keepends=True)[2:]))
    with pytest.raises(InputError, match=r"base-0\.json: 2 of its references are no test records now"):
        read(tmp_path, monkeypatch)


def test_a_quantum_method_can_be_the_reference(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = write(tmp_path, Study(["base", "lora", "qaa", "qtha", "bias_only"], [0, 1, 2]), reference="qaa")
    found = read(made, monkeypatch)
    told = contents.compute(found, background.read(found), style.looks(found))
    assert [statement.text.split(" on ")[0] for statement in told["statements"]][1:2] == ["QTHA is worse than QAA"]
    assert set(effects.others(found, "qaa")) == {"base", "bias_only"} and "qaa" in effects.others(found, "qtha")
    assert (
        "QAA less QAA" not in buckets.differences(found).cells and "QTHA less QAA" in buckets.differences(found).cells
    )
    asked = [Contrast("bleu", "qaa", "lora"), Contrast("loss", "qaa", "base"), Contrast("loss", "qaa", "bias_only")]
    told_of = comparisons.listed(found, asked)
    assert told_of == "QAA against LoRA on BLEU; QAA against Base, Bias only on held-out loss"


def test_curves_of_different_length_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, Study(["lora", "qaa"], [0]))
    path = tmp_path / "data/curves/qaa-0.csv"
    path.write_text("\n".join(path.read_text().splitlines()[:-1]) + "\n")
    with pytest.raises(InputError, match="qaa-0 has 29 steps and lora-0 30"):
        read(tmp_path, monkeypatch)


def test_two_methods_of_one_title_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, Study(["base", "lora", "qaa"], [0]))
    same = replace(methods.declared("qaa"), title="LoRA")
    declared = methods.declared
    monkeypatch.setattr(methods, "declared", lambda name: same if name == "qaa" else declared(name))
    with pytest.raises(InputError, match="lora and qaa share the title 'LoRA'"):
        read(tmp_path, monkeypatch)


def test_runs_that_were_scored_differently_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, Study(["base", "lora"], [0]))
    path = tmp_path / "data/scores/lora-0.json"
    scores = files.read_json(path, RunScores)
    other = {"bertscore": replace(scores.metrics["bertscore"], signature="model:another")}
    files.write_json(path, replace(scores, metrics=scores.metrics | other))
    with pytest.raises(InputError, match=r"BERTScore F1 of lora-0 \(model:another\) and of base-0 .* do not compare"):
        read(tmp_path, monkeypatch)
    few = {"bleu": replace(scores.metrics["bleu"], sums=scores.metrics["bleu"].sums[:-1])}
    files.write_json(path, replace(scores, metrics=scores.metrics | few))
    with pytest.raises(InputError, match=r"lora-0\.json: BLEU misses rows"):
        read(tmp_path, monkeypatch)
    files.write_json(path, replace(scores, metrics={k: v for k, v in scores.metrics.items() if k != "bleu"}))
    with pytest.raises(InputError, match="lora-0 has no BLEU; run `dvc repro`"):
        read(tmp_path, monkeypatch)


WORDS_FILE = """
import numpy as np
from ketune.metrics import Metric

METRICS = [
    Metric(
        key=key, title=key.title(), unit="words an answer", digits=1, lower_is_better=key == "terse", reads="answers",
        sums=lambda answers, settings: np.array([[len(a.prediction.split()), 1] for a in answers]),
        total=lambda sums: sums[..., 0] / sums[..., 1], signature=lambda settings: "words|split at space",
    )
    for key in {keys}
]
"""


def test_a_metric_is_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = ["verbose", "terse", "third", "fourth", "fifth"]
    (tmp_path / "words.py").write_text(WORDS_FILE.format(keys=keys))
    monkeypatch.setattr(metrics, "__path__", [*metrics.__path__, str(tmp_path)])
    metrics.every.cache_clear()
    try:
        small = Study(["base", "lora", "qaa"], [0, 1, 2], prompts=6, likelihoods=6, steps=5)
        found = read(write(tmp_path, small), monkeypatch)
        report.write(params.load())
    finally:
        metrics.every.cache_clear()
        sys.modules.pop("ketune.metrics.words")
    written = json.loads((tmp_path / "reports/metrics/lora.json").read_text())
    told = [files.read_rows(layout.Run("lora", seed).rows("answers"), Answer) for seed in found.settings.seeds]
    counted = [len(answer.prediction.split()) for answers in told for answer in answers]
    assert all(written[key] == round(sum(counted) / len(counted), 4) for key in keys)
    row = next(row for row in table(tmp_path, "quality") if row["Method"] == "LoRA")
    assert row["Verbose ↑"] and row["Verbose ↑, note"].startswith("[")
    figure = (tmp_path / "reports/figures/intervals.svg").read_text()
    assert all(f">{key.title()}" in figure for key in keys)
    page = Page((tmp_path / "reports/index.html").read_text())
    assert "words|split at space" in page.text


def test_a_page_without_samples_holds_no_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = Study(["base", "lora"], [0], instruction="Say zyzzyva.", answers={("lora", 0): "An answer of quokkas"})
    for shown in (True, False):
        monkeypatch.chdir(write(tmp_path, study, show_samples=shown))
        report.write(params.load())
        files = [*(tmp_path / "reports/tables").iterdir(), *(tmp_path / "reports/figures").iterdir()]
        texts = [file.read_text() for file in (tmp_path / "reports/index.html", *files)]
        for word in ("zyzzyva", "quokkas"):
            assert [word in text for text in texts] == [shown, *[False] * len(files)]


def test_a_failing_report_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(write(tmp_path, Study(["base", "lora"], [0], prompts=3, likelihoods=3, steps=6)))
    page = tmp_path / "reports/index.html"
    files.write_text(page, "the old one")
    move = os.replace

    def refuse_the_page(source: Path, target: Path) -> None:
        if Path(target).name == page.name:
            raise OSError("disk full")
        move(source, target)

    monkeypatch.setattr(os, "replace", refuse_the_page)
    with pytest.raises(OSError, match="disk full"):
        report.write(params.load())
    assert (tmp_path / "reports/tables/quality.csv").exists()
    assert page.read_text() == "the old one"
    assert not list(page.parent.glob(".partial-*"))


def test_digests_are_those_of_dvc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder/b").mkdir(parents=True)
    for name, text in {"a.txt": "one\r\n", "b/c.json": "{}", "b.txt": "ü"}.items():
        (tmp_path / "folder" / name).write_bytes(text.encode())
    dvc = str(Path(sys.executable).parent / "dvc")
    for command in (["init", "-q", "--no-scm"], ["add", "-q", "folder"]):
        subprocess.run([dvc, *command], check=True, timeout=60)
    recorded = (tmp_path / "folder.dvc").read_text()
    assert f"md5: {ledger.digest(Path('folder'))}" in recorded


def test_costs_of_different_machines_are_not_drawn(tmp_path: Path) -> None:
    write(tmp_path, Study(["base", "lora"], [0, 1], machines={1: "Another CPU"}))
    render(tmp_path)
    names = {file.stem for file in (tmp_path / "reports/figures").iterdir()}
    assert "loss_against_parameters" in names
    assert not names & {"loss_against_seconds", "loss_against_memory", "loss_against_energy"}
    page = Page((tmp_path / "reports/index.html").read_text())
    assert "The runs used different machines" in page.text


def searched(found: dict[str, float], settings: Params, **changes: object) -> Tuning:
    """A search of one rate, whose winner is the smallest that was tried."""
    (name, rate), *_ = found.items()
    tried = ((rate, 1.8, 0), (2 * rate, 1.85, 0), (4 * rate, 1.7, 0), (rate, 1.9, 1), (4 * rate, None, 1))
    trials = [Trial(rates=found | {name: r}, seed=seed, loss=loss, moved=()) for r, loss, seed in tried]
    span = {name: Range(rate / 100, rate * 100)}
    return tuning.result("lora", trials, 2.0, span, tuning.described(settings, "lora") | changes)


def test_a_winner_beside_divergence_fails_the_gate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, Study(["base", "lora"], [0]))
    plain = read(tmp_path, monkeypatch)
    used = plain.tunings["lora"].rates
    (name, rate), *_ = used.items()
    tried = ((rate, 1.8, 0), (2 * rate, None, 0), (rate / 10, 2.1, 0), (rate, 1.9, 1), (rate / 10, 2.1, 1))
    trials = [Trial(rates=used | {name: r}, seed=seed, loss=loss, moved=()) for r, loss, seed in tried]
    found = tuning.result(
        "lora", trials, 2.0, {name: Range(rate / 100, rate * 100)}, tuning.described(plain.settings, "lora")
    )
    assert found.rates == used and not found.search.edges
    files.write_json(tmp_path / layout.recorded_tuning("lora"), found)
    assert rates.gate(read(tmp_path, monkeypatch)) == (
        False,
        f"something speaks against the rates: LoRA, as at weights {2 * rate:g} training diverged; noise unknown: LoRA",
    )


def test_searches_of_learning_rates_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, Study(["base", "lora"], [0]))
    plain = read(tmp_path, monkeypatch)
    assert rates.gate(plain) == (False, "no recorded search: LoRA")
    used = plain.tunings["lora"].rates
    recorded = tmp_path / layout.recorded_tuning("lora")
    files.write_json(recorded, searched(used, plain.settings))
    told = read(tmp_path, monkeypatch)
    row = rates.table(told).cells.loc[0]
    assert [row[name].text for name in ("Trials", "Validation loss", "Untrained")] == ["5", "1.8500", "2.0000"]
    assert f"ran 5 different trials of {plain.settings.train.steps} steps over 2 seeds" in rates.table(told).caption
    assert rates.gate(told) == (False, "at the edge of a range: LoRA; noise unknown: LoRA")
    assert rate_figure.validation_loss(plain, style.looks(plain)) is None
    drawn = rate_figure.validation_loss(told, style.looks(told))
    assert "LoRA: weights" in drawn.svg and "crosses" in drawn.caption
    said = " ".join(caveats.caveats(told, comparisons.judge(told)))
    assert "smallest rate that was tried" in said and "1.7000, set aside, because" in said
    assert "another setting" not in said
    files.write_json(recorded, searched(used, plain.settings, data="data/other.jsonl", steps=7))
    said = rates.gate(read(tmp_path, monkeypatch))[1]
    assert "searched for another setting (data data/other.jsonl, steps 7): LoRA" in said and "fewer than" not in said
    files.write_json(recorded, searched({"weights": 0.5}, plain.settings))
    assert read(tmp_path, monkeypatch).tunings["lora"].search is None, "another rate's search proves nothing"


def sound(found: dict[str, float], settings: Params, method: str = "lora") -> Tuning:
    """A search of the first rate that nothing speaks against, with its noise."""
    (name, rate), *_ = found.items()
    tried = ((rate / 2, 1.85, 0), (rate, 1.8, 0), (2 * rate, 1.9, 0), (rate, 1.8, 1), (rate / 2, 1.86, 1))
    trials = [Trial(rates=found | {name: r}, seed=seed, loss=loss, moved=()) for r, loss, seed in tried]
    return tuning.result(method, trials, 2.0, {name: Range(rate / 100, rate * 100)}, tuning.described(settings, method))


def with_tunings(found: results.Results, **tunings: Tuning) -> results.Results:
    return replace(found, tunings=found.tunings | tunings)


@pytest.mark.parametrize(
    ("reached", "setting", "said"), [(1.808, {}, True), (1.804, {}, False), (1.808, {"steps": 7}, False)]
)
def test_a_lead_that_better_rates_of_the_other_would_undo_is_told(
    reached: float, setting: dict[str, int], said: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arms = ["base", "qaa", "qaa_product"]
    found = read(write(tmp_path, Study(arms, [0, 1, 2], effects={"qaa": -0.6})), monkeypatch)

    def made(method: str, losses: list[tuple[float, float, int]], **changes: int) -> Tuning:
        used = found.tunings[method].rates
        trials = [Trial(rates={name: factor * rate for name, rate in used.items()}, seed=seed, loss=loss, moved=())
                  for factor, loss, seed in losses]  # fmt: skip
        spans = {name: Range(rate / 100, rate * 100) for name, rate in used.items()}
        return tuning.result(method, trials, 2.0, spans, tuning.described(found.settings, method) | changes)

    tied = [
        (0.5, 1.9, 0),
        (1, 1.82, 0),
        (2, 1.78, 0),
        (1, 1.80, 1),
        (2, 1.83, 1),
    ]  # the smaller is taken, by 0.005 the worse
    told = with_tunings(
        found, qaa=made("qaa", [(1, reached, 0), (1, reached, 1)]), qaa_product=made("qaa_product", tied, **setting)
    )
    assert told.tunings["qaa_product"].rates == found.tunings["qaa_product"].rates
    judgement = comparisons.judge(told)
    assert judgement.verdict("qaa", "qaa_product").word == "better"
    lines = [line for line in caveats.caveats(told, judgement) if line.startswith("QAA's lead on QAA (no CNOT) may be")]
    assert bool(lines) == said and all("1.8050 to 1.8080 on validation records" in line for line in lines)
    contributes = Attribution(True, (), (), (), seeds=6, seeds_needed=6)
    assert ("QAA (no CNOT)" in opening.contribution(told, "qaa", contributes).text) == (said or bool(setting))


def test_a_winner_beside_failure_that_no_remark_tells_of_fails_the_gate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = read(write(tmp_path, Study(["base", "qaa_frozen"], [0])), monkeypatch)
    found = sound({"projection": 0.00178}, plain.settings, "qaa_frozen")
    failed = Trial(rates={"projection": 0.00562}, seed=0, loss=2.1, moved=())  # a rule of before let it stand
    trials = [trial for trial in found.search.trials if trial.rates["projection"] <= 0.00178]
    told = with_tunings(plain, qaa_frozen=replace(found, search=replace(found.search, trials=(*trials, failed))))
    passed, why = rates.gate(told)
    assert not passed and "as at projection 0.00562 the model was no better than untrained" in why


def test_a_search_for_other_settings_fails_the_gate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = read(write(tmp_path, Study(["base", "lora", "qaa"], [0])), monkeypatch)
    used = plain.tunings["qaa"].rates
    kept = searched(used, plain.settings)
    assert "qaa.centre" not in kept.search.setting, "a search of LoRA's"
    here = tuning.described(plain.settings, "qaa")
    assert (
        here["qaa.centre"] == "none"
        and here["gradient_clip"] == 1.0
        and not {"qaa.device", "qaa.learning_rates"} & here.keys()
    )
    for setting, said in (
        (here | {"qaa.centre": "data"}, "searched for another setting (qaa.centre data): QAA"),
        (here | {"precision": "bf16"}, "searched for another setting (precision bf16): QAA"),
        (here | {"qaa.device": "default.qubit"}, ""),
    ):
        passed, why = rates.gate(with_tunings(plain, qaa=replace(kept, search=replace(kept.search, setting=setting))))
        assert not passed and ("searched for" in why) == bool(said) and said in why
    told = with_tunings(plain, qaa=kept)
    assert "not every setting of the search on record: QAA" in rates.gate(told)[1]
    sections = {"qaa": plain.settings.section("qaa") | {"learning_rates": dict.fromkeys(used, "tuned")}}
    own = replace(told, settings=replace(plain.settings, sections=plain.settings.sections | sections))
    assert "not on record" not in rates.gate(own)[1], "a study's own search had the study's settings"


def test_trials_that_are_shorter_than_the_runs_fail_the_gate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = read(write(tmp_path, Study(["base", "lora", "prefix"], [0])), monkeypatch)
    halved = replace(plain.settings, tune=replace(plain.settings.tune, horizon=0.5))
    for settings, short in ((plain.settings, []), (halved, ["lora", "prefix"])):
        kept = {method: sound(plain.tunings[method].rates, settings, method) for method in ("lora", "prefix")}
        told = replace(with_tunings(plain, **kept), settings=settings)
        half = plain.settings.train.steps // 2
        assert rates.shorter(told) == short
        words = f"searched in trials of {half} steps, fewer than the runs have: LoRA, Prefix"
        assert rates.gate(told) == ((False, words) if short else (True, "2 methods"))


def test_a_search_without_noise_says_so_and_passes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = read(write(tmp_path, Study(["base", "lora", "prefix"], [0])), monkeypatch)
    kept = {method: sound(plain.tunings[method].rates, plain.settings, method) for method in ("lora", "prefix")}
    known = with_tunings(plain, **kept)
    assert rates.gate(known) == (True, "2 methods")
    assert "unknown" not in " ".join(rates.sentences(known)) + rates.table(known).caption
    unknown = {m: replace(found, search=replace(found.search, noise=None)) for m, found in kept.items()}
    told = with_tunings(plain, **unknown)
    assert rates.gate(told) == (True, "2 methods; noise unknown: LoRA, Prefix")
    lost = with_tunings(plain, lora=unknown["lora"], prefix=replace(unknown["prefix"], search=None))
    assert rates.gate(lost) == (False, "no recorded search: Prefix; noise unknown: LoRA")
    assert "It is unknown where no second candidate was confirmed" in rates.table(told).caption


def test_without_learning_rates_there_is_nothing_to_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = read(write(tmp_path, Study(["base"], [0])), monkeypatch)
    assert rates.gate(found) == (None, "no method has a learning rate")
    assert moved.gate(found) == (None, "no run recorded what moved")


def test_repeated_trials_are_counted_once_wherever_they_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = read(write(tmp_path, Study(["base", "lora"], [0])), monkeypatch)
    found = searched(plain.tunings["lora"].rates, plain.settings)
    repeated = replace(found.search, trials=(*found.search.trials, *found.search.trials[:2]))
    told = rates.table(with_tunings(plain, lora=replace(found, search=repeated)))
    cell = told.cells.loc[0]["Trials"]
    assert (cell.text, cell.note) == ("5", "and 2 repeated") and "ran 5 different trials of" in told.caption


def test_the_ledger_shows_the_rates_that_were_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = read(write(tmp_path, Study(["base", "lora"], [0])), monkeypatch)
    told = ledger.differing(with_tunings(plain, lora=Tuning(rates={"weights": 0.0123}, search=None)))
    assert [cell.text for cell in told.cells["learning rates"]] == ["–", "weights 0.0123"]


def test_searches_are_called_equal_only_where_they_were(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = read(write(tmp_path, Study(["lora", "qaa"], [0])), monkeypatch)
    assert "No search is recorded." in rates.table(plain).caption
    for method, steps in (("lora", 30), ("qaa", 7)):
        search = searched(plain.tunings[method].rates, plain.settings, steps=steps)
        files.write_json(tmp_path / layout.recorded_tuning(method), search)
    assert "not equal in trials, seeds or steps" in rates.table(read(tmp_path, monkeypatch)).caption


def test_a_control_that_stood_still_forbids_a_word_on_the_circuit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Study(QAA_ARMS, SIX, effects={"qaa": -0.6}, still={("lora_matched", "weights")})
    found, judgement = judged(tmp_path, made, monkeypatch)
    assert judgement.attributions["qaa"].contributes
    texts = [statement.text for statement in opening.statements(found, judgement)]
    assert texts[1] == "QAA: nothing is said about its circuit, as parts of LoRA (matched) stood still."


def test_a_part_that_stood_still_voids_the_verdict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = Study(["base", "lora", "qaa"], [0, 1, 2], still={("qaa", "angles")})
    found = read(write(tmp_path, study), monkeypatch)
    told = moved.table(found).cells
    assert [cell.text for cell in told["Moved"]] == ["yes", "yes", "no"]
    assert told["Measured as"].iloc[2].text == "median |Δθ|, rad"
    (sentence,) = moved.void(found).values()
    assert sentence.startswith("QAA: no verdict") and "angles moved 0.0001 rad" in sentence and "3 of 3" in sentence
    assert moved.gate(found) == (False, sentence)
    judgement = comparisons.judge(found)
    assert [statement.text for statement in opening.statements(found, judgement)] == [sentence]
    assert {cell.text for cell in verdicts.verdict(found, judgement).cells["Verdict"]} == {"void"}
    quiet = read(write(tmp_path, replace(study, still=set())), monkeypatch)
    assert moved.void(quiet) == {} and moved.gate(quiet) == (True, "3 parts")
    untold = quiet.runs["qaa", 1]
    quiet.runs["qaa", 1] = replace(untold, training=replace(untold.training, moved=untold.training.moved[:1]))
    assert moved.gate(quiet) == (None, "what moved is not recorded in every run: QAA")


def test_a_study_that_finds_too_little_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for study, enough in (
        (Study(QAA_ARMS, [0, 1, 2], seed_noise=0.1), False),
        (Study(QAA_ARMS, SIX, seed_noise=0.001, likelihoods=200), True),
    ):
        found, judgement = judged(tmp_path, study, monkeypatch)
        gate = {one.name: one for one in gates.gates(gates.Evidence(found, judgement, None, []))}
        told = gate["Seeds and references enough to find"]
        assert told.passed is enough and told.sentence.startswith("0.05 nats per token were to be found; ")
        assert any("3 of 6 seeds" in sentence for sentence in caveats.caveats(found, judgement)) is not enough


def test_a_base_that_differs_between_seeds_is_an_alarm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = read(write(tmp_path, Study(["base", "lora"], [0, 1, 2])), monkeypatch)
    quiet = caveats.caveats(found, comparisons.judge(found))
    run = found.runs["base", 1]
    higher = {"loss": replace(run.scores.metrics["loss"], score=run.scores.metrics["loss"].score + 0.01)}
    scores = replace(run.scores, metrics=run.scores.metrics | higher)
    again = replace(found, runs=found.runs | {("base", 1): replace(run, scores=scores)})
    loud = caveats.caveats(again, comparisons.judge(again))
    assert not any("not deterministic" in sentence for sentence in quiet)
    assert any("not deterministic" in sentence for sentence in loud)


@pytest.mark.parametrize(
    ("arms", "effects", "sentence"),
    [
        (["base", "lora", "qaa"], {"lora": 0.1}, "LoRA: the mean held-out loss, "),
        (["base", "qaa"], {}, "The reference 'lora' is not among the methods: nothing is compared with it."),
        (["base", "lora", "qaa"], {"lora": 0.5}, "Empty answers, which score 0: LoRA 3."),
        (["base", "lora", "sora"], {}, "None of these comparisons was declared in plan.contrasts"),
    ],
)
def test_what_weakens_a_study_is_a_caveat(
    arms: list[str], effects: dict[str, float], sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Study(["base", "lora", "qaa"], [0], prompts=3, likelihoods=3)
    for one, weak in ((made, False), (replace(made, methods=arms, effects=effects), True)):
        said = caveats.caveats(*judged(tmp_path, one, monkeypatch))
        assert any(caveat.startswith(sentence) for caveat in said) is weak


def test_controls_of_another_size_and_resumed_runs_are_caveats(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = Study(["base", "lora", "qaa", "lora_matched"], [0], prompts=3, likelihoods=3)
    found, judgement = judged(tmp_path, made, monkeypatch)
    run = found.runs["lora_matched", 0]
    for size, resumed_from, sentences in (
        (170_000, 0, []),
        (169_000, 0, ["LoRA, matched has 169,000 parameters and QAA 173,100: they are not matched."]),
        (173_100, 7, ["1 runs were resumed from a checkpoint: their seconds leave out what came before."]),
    ):
        parameters = replace(run.training.parameters, trainable=size, receiving=size)
        training = replace(run.training, parameters=parameters, resumed_from=resumed_from)
        told = replace(found, runs=found.runs | {("lora_matched", 0): replace(run, training=training)})
        said = [one for one in caveats.caveats(told, judgement) if "not matched" in one or "resumed" in one]
        assert said == sentences


def test_every_parameter_that_was_equal_is_in_the_ledger(study: Path) -> None:
    listed = {row["Parameter"] for row in table(study, "ledger_equal")}
    blocks = {name for name in Params.__annotations__ if name not in ("methods", "seeds", "sections")}
    assert {name.split(".")[0] for name in listed} == blocks
    assert {"train.steps", "train.batch_size", "generate.temperature", "plan.references"} <= listed


def test_a_page_names_its_results_and_not_the_seconds_that_they_took(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(write(tmp_path, Study(["base", "lora"], [0, 1])))

    def rendered() -> tuple[str, dict[Path, bytes]]:
        report.write(params.load())
        named = re.search(r'<meta name="results" content="(\w+)">', Path("reports/index.html").read_text())
        assert named
        return named[1], {path: path.read_bytes() for path in exports.paths(("base", "lora"))}

    digest, contents = rendered()
    assert digest == exports.digest(contents)
    cost = Path("data/costs/lora-0.json")
    slower = re.sub(r'"wall_seconds": [\d.]+', '"wall_seconds": 9999.0', cost.read_text())
    assert slower != cost.read_text()
    cost.write_text(slower)
    assert rendered() == (digest, contents)
    curve = Path("data/curves/lora-0.csv")
    curve.write_text(re.sub(r"^1,[\d.]+", "1,9.5", curve.read_text(), flags=re.MULTILINE))
    assert rendered()[0] != digest


def test_files_that_the_page_names_lie_in_the_repository(study: Path) -> None:
    named = re.findall(r"reports/[\w/]+\.md", (study / "reports/index.html").read_text())
    assert {"reports/benchmarks/statistics.md", "reports/benchmarks/hardware.md"} <= set(named)
    assert all((ROOT / path).is_file() for path in named)


def test_departures_from_the_sources_are_in_the_ledger(study: Path) -> None:
    listed = {(row["Method"], row["Departure"]) for row in table(study, "ledger_departures")}
    assert ("QAA", "Features are multiplied by 2**(n/2).") in listed
    assert not any("centred" in departure for _, departure in listed)
