"""Published statements: the word and the sentence follow from the runs, and counts from the adapters' own."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import pearsonr

from ketune import closed_forms, counts, methods, metrics, published, statistics
from ketune.ground import files, layout, params
from ketune.records.predictions import Answer
from ketune.report import claims, comparisons, counting, curves, readings, results, scaling_figure
from ketune.report.claims import CLAIMS, Claim
from ketune.report.readings import Finding, Found
from report_project import ABOUT, Study, write

ARMS = ["base", "full", "lora", "sora", "prefix", "qaa", "quantum_peft", "qtha"]
EIGHT = list(range(8))
GPT_NEO = counts.gpt_neo_125m()


def found(folder: Path, monkeypatch: pytest.MonkeyPatch, study: Study) -> Found:
    folder.mkdir(exist_ok=True)
    monkeypatch.chdir(write(folder, study))
    runs = results.read(params.load())
    return claims.evidence(runs, comparisons.judge(runs))


def claim(says: str, read_as: str = "") -> Claim:
    [one] = [claim for claim in CLAIMS if says in claim.says and read_as in claim.read_as]
    return one


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Found:
    """A study with the project's usual effects."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        return found(tmp_path_factory.mktemp("claims"), monkeypatch, Study(ARMS, EIGHT, prompts=6))


def test_the_figures_closed_forms_are_those_of_the_table_for_gpt_neo() -> None:
    assert 24 * counting.qtha(768, 4, 8, closed_forms.inner_width(768)) == counts.count("qtha", {}, GPT_NEO)[0]
    assert counting.lora(768, 4) == counts.count("lora", {"r": 4}, GPT_NEO)[0] / 24


def test_published_counts_are_those_of_the_built_model() -> None:
    for method, ours in counting.OURS.items():
        row = published.ROWS[method]
        assert counts.count(method, row.settings, GPT_NEO)[0] == ours == row.parameters
    assert counts.pruned(GPT_NEO, 4, 82) == 82 * counting.lora(counting.WIDTH, 1)


def test_every_statement_has_a_row_with_one_of_four_words(told: Found) -> None:
    table = claims.table(told.results, told.judgement)
    assert len(table.cells) == len(CLAIMS) and {one.paper for one in CLAIMS} == {
        methods.declared(name).source for name in ("qtha", "quantum_peft")
    } | {claims.QAA}
    words = {cell.text for cell in table.cells["Here"]}
    assert words <= {"holds", "contradicted", "undecided", "not testable here"}
    assert all(cell.text.endswith(".") for cell in table.cells["Why"])


def test_words_follow_the_verdicts(told: Found) -> None:
    best = claim("Full tuning is best", "loss").reading(told)
    assert best.word == "holds" and best.sentence.startswith("Full less LoRA −0.1")
    assert claim("better than prefix", "loss").reading(told).word == "holds"
    worse = claim("better than LoRA on test").reading(told)
    verdict = told.judgement.verdict("qtha", "lora")
    assert worse.word == "contradicted" and verdict.word == "worse"
    share = 100 * verdict.difference / told.results.mean("lora", "loss")
    assert f"or +{share:.1f} [" in worse.sentence and worse.sentence.endswith("%, worse.")


def test_a_statement_of_several_comparisons_needs_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one_worse = Study(ARMS, EIGHT, prompts=4, effects={"full": -0.15})
    said = claim("Full tuning is best", "loss").reading(found(tmp_path, monkeypatch, one_worse))
    assert said.word == "contradicted" and "LoRA +0.0" in said.sentence and "Prefix −0.1" in said.sentence


def test_many_comparisons_contradict_no_more_easily_than_one(told: Found, monkeypatch: pytest.MonkeyPatch) -> None:
    worse, open_, undecided = "worse", "not distinguishable", "undecided"
    assert readings._word("better", [worse], [worse], whole=True) == "contradicted"
    assert readings._word("better", [worse, *["better"] * 19], [open_] * 20, whole=True) == undecided
    assert readings._word("better", ["better"] * 20, [open_] * 20, whole=True) == "holds"
    assert readings._word("better", ["comparable", "better"], ["comparable", open_], whole=True) == undecided
    assert readings._word("better", [worse], [worse], whole=False) == "contradicted"
    assert readings._word("better", ["better"], ["better"], whole=False) == "not testable here"
    levels: dict[str, float] = {}

    def asked(panel: Any, method: str, other: str, level: float, wanted: Any) -> str:
        levels[other] = level
        return open_

    monkeypatch.setattr(readings, "_strictly", asked)
    claim("Full tuning is best", "loss").reading(told)
    others = [other for other in claims.ADAPTERS if other in told.results.methods]
    assert len(others) > 1
    assert levels == {other: told.judgement.verdict("full", other).level / len(others) for other in others}


def test_what_cannot_be_told_is_told_with_its_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    noisy = Study(["base", "lora", "prefix", "qaa"], [0, 1, 2], prompts=4, seed_noise=0.3)
    here = found(tmp_path, monkeypatch, noisy)
    said = claim("better than prefix", "loss").reading(here)
    assert said.word == "undecided"
    size = here.judgement.verdict("qaa", "prefix").detectable
    assert f"A true difference of {size:.3f} nats per token would be found four times in five." in said.sentence


def test_reasons_are_given_where_nothing_can_be_tested(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = Study(["base", "lora", "qaa", "prefix"], EIGHT, prompts=4, still={("prefix", "weights")})
    here = found(tmp_path, monkeypatch, study)
    said = {
        "did not run": claim("competitive").reading(here),
        "Answers were cut": claim("comparable with LoRA", "BLEU").reading(here),
        "a part of Prefix stood still".capitalize(): claim("better than prefix", "loss").reading(here),
        "no quantum computer was asked": claim("hardware").reading(here),
    }
    for reason, finding in said.items():
        assert finding.word == "not testable here" and reason.lower() in finding.sentence.lower()
    few = found(tmp_path, monkeypatch, replace(study, seeds=[0, 1], still=set()))
    for one in (claim("better than prefix", "loss"), claim("closely follows"), claim("steadier")):
        assert "2 of the three seeds" in one.reading(few).sentence
    assert claim("steadier").reading(here).sentence.count("did not run") == 1, "SoRA is named as missing"


def test_a_statement_is_not_confirmed_by_a_part_of_its_opponents(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = Study(["base", "full", "lora", "prefix", "sora", "qaa"], EIGHT, prompts=4)
    assert claim("Full tuning is best", "loss").reading(found(tmp_path / "all", monkeypatch, study)).word == "holds"
    still = replace(study, still={("sora", "weights")})
    said = claim("Full tuning is best", "loss").reading(found(tmp_path / "still", monkeypatch, still))
    assert said.word == "not testable here" and said.sentence.endswith("(a part of SoRA stood still).")
    fewer = replace(study, methods=["base", "lora", "qaa"])
    said = claim("budget").reading(found(tmp_path / "fewer", monkeypatch, fewer))
    assert said.word == "not testable here" and "(SoRA, Prefix did not run)" in said.sentence


def test_uncut_answers_are_compared_on_all_published_metrics(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = Study(["base", "lora", "prefix", "qaa"], EIGHT, prompts=30, effects={"qaa": -0.45, "prefix": 0.1})
    monkeypatch.chdir(write(tmp_path, study))
    for run in params.load().runs:
        path = layout.Run(*run).rows("answers")
        files.write_rows(path, [replace(row, finished=True) for row in files.read_rows(path, Answer)])
    runs = results.read(params.load())
    here = claims.evidence(runs, comparisons.judge(runs))
    said = claim("better than prefix", "BLEU").reading(here)
    words = {here.judgement.verdict("qaa", "prefix", key).word for key in claims.PUBLISHED_METRICS}
    assert words == {"better"} and said == Finding("holds", "QAA in 5 comparisons: better in 5.")


def test_curves_are_read_from_the_steps(told: Found) -> None:
    losses = told.results.losses("qaa")
    assert curves.measure(told.results, "qaa", "course").by_seed() == pytest.approx(losses.mean(axis=1))
    assert curves.measure(told.results, "qaa", "end").by_seed() == pytest.approx(losses[:, -3:].mean(axis=1))
    changes = np.diff(losses, axis=1)[:, ::2]
    assert curves.measure(told.results, "qaa", "roughness").by_seed() == pytest.approx(changes.var(axis=1))
    assert claim("converges fastest").reading(told).word == "holds"
    assert told.curves.between("course", "full", "lora").role == "planned"


def test_a_saving_is_claimed_where_it_is_had(told: Found) -> None:
    said = claim("76 %").reading(told)
    assert said.word == "contradicted" and "(+30 %)" in said.sentence
    savings = counting.savings()
    enough = [key for key, saved in savings.items() if saved >= 0.76]
    scan = f"of {len(savings)} settings by width, rank, bond and inner width {len(enough)} save 76 % or more"
    assert scan in said.sentence
    absent = replace(told, results=replace(told.results, settings=replace(told.results.settings, methods=("lora",))))
    said = claim("76 %").reading(absent)
    assert said.word == "not testable here" and said.sentence.startswith("QTHA did not run") and scan in said.sentence
    assert claim("fewer parameters than LoRA of the lowest").reading(told).sentence == "LoRA (rank 1) did not run."
    assert claim("smaller budget").reading(told).word == "holds"
    assert ABOUT["qaa"][0] < ABOUT["sora"][0]


def test_growth_is_logarithmic_with_angles_and_not_with_the_series(told: Found) -> None:
    assert claim("logarithm").reading(told).word == "holds"
    section = told.results.settings.sections["quantum_peft"]
    assert counting.quantum_peft(section)[0] == 36
    absent = replace(told, results=replace(told.results, settings=replace(told.results.settings, methods=("lora",))))
    said = claim("logarithm").reading(absent)
    assert said.word == "holds" and said.sentence.startswith("At rank 4, with one layer of Pauli rotations,")
    series = counting.quantum_peft(section | {"parameterization": "taylor"})
    assert len(set(np.diff(series))) > 1
    drawn = scaling_figure.scans(told.results)
    assert [one.name for one in drawn] == ["parameters_against_width", "saving_against_width"]


def test_deviations_over_seeds_are_compared_by_pitman_and_morgan() -> None:
    random = np.random.default_rng(3)
    common = random.normal(size=12)
    first, second = common + random.normal(size=12), common + 3 * random.normal(size=12)
    found = statistics.spread(first, second, 0.05)
    assert found.ratio == pytest.approx(np.std(first) / np.std(second))
    assert found.p == pytest.approx(pearsonr(first + second, first - second).pvalue)
    at_edge = statistics.spread(first, second, found.p)
    assert at_edge.high == pytest.approx(1.0)
    mirrored = statistics.spread(second, first, 0.05)
    assert (mirrored.low, mirrored.high) == pytest.approx((1 / found.high, 1 / found.low))
    for few in (first[:2], np.zeros(12), 2 * second + 1):
        assert statistics.spread(few, second[: few.size], 0.05) is None


def test_equal_deviations_are_called_unlike_one_time_in_twenty() -> None:
    random = np.random.default_rng(0)
    common = random.normal(size=(4000, 8))
    pairs = zip(common + random.normal(size=(4000, 8)), common + random.normal(size=(4000, 8)), strict=True)
    wrong = np.mean([statistics.spread(first, second, 0.05).p < 0.05 for first, second in pairs])
    assert 0.04 < wrong < 0.06


def test_metrics_that_papers_publish_are_metrics() -> None:
    assert set(claims.PUBLISHED_METRICS) <= {metric.key for metric in metrics.every()}
