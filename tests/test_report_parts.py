"""Cells, labels, cards and the other parts of the report on their own."""

import itertools
import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.markers import MarkerStyle

from ketune import methods, metrics
from ketune.ground import files, layout, params
from ketune.records import bills
from ketune.records.examples import Example
from ketune.records.measured import Measured, Reading
from ketune.records.predictions import Answer
from ketune.report import (
    background,
    browser,
    cards,
    cells,
    comparisons,
    cuts,
    drawing,
    effects,
    figures,
    hardware,
    panels,
    results,
    shots,
    style,
    tables,
    texts,
    verdicts,
)
from ketune.report.cells import Cell, Table
from report_project import ROOT, Study, write


@given(st.lists(st.floats(0, 1), min_size=1, max_size=25), st.floats(0.01, 0.2))
def test_labels_keep_their_order_and_their_distance(heights: list[float], gap: float) -> None:
    heights = sorted(heights)
    placed = drawing.apart(heights, gap)
    assert len(placed) == len(heights)
    assert all(b - a >= gap * (1 - 1e-9) for a, b in itertools.pairwise(placed))
    assert placed[0] >= 0


def test_labels_far_apart_stay_where_they_are() -> None:
    assert drawing.apart([0.1, 0.5, 0.9], 0.05) == pytest.approx([0.1, 0.5, 0.9])


@pytest.mark.parametrize(
    ("value", "digits", "signed", "text"),
    [(1234.5, 1, False, "1,234.5"), (-0.5, 2, True, "\u22120.50"), (-0.0004, 2, True, "0.00"), (0.25, 2, True, "+0.25"),
     (None, 2, False, "–"), (float("nan"), 2, False, "–"), (float("inf"), 2, False, "–")],
)  # fmt: skip
def test_numbers_read_as_they_should(value: float | None, digits: int, signed: bool, text: str) -> None:
    assert cells.number(value, digits, signed=signed) == text


TABLE = Table("t", "A & B_1 at 95 %", pd.DataFrame([
    {"Name": Cell("a_b"), "Value": cells.numeral(-1.25, 2, signed=True, note="[−1.5, −1.0]", mark="best")},
    {"Name": Cell("{c}"), "Value": Cell("–")},
]))  # fmt: skip


def test_latex_escapes_what_latex_would_read() -> None:
    text = cells.latex(TABLE)
    assert r"\caption{A \& B\_1 at 95 \%}" in text
    assert r"a\_b & \textbf{$-$1.25} {\small [$-$1.5, $-$1.0]} \\" in text
    assert r"\{c\}" in text and r"\begin{tabular}{lr}" in text


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
def test_latex_compiles(tmp_path: Path) -> None:
    document = r"\documentclass{article}\usepackage{booktabs}\usepackage[utf8]{inputenc}\begin{document}"
    (tmp_path / "t.tex").write_text(document + cells.latex(TABLE) + r"\end{document}")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "t.tex"]
    assert subprocess.run(command, cwd=tmp_path, capture_output=True, check=False, timeout=60).returncode == 0


def test_csv_keeps_values_and_notes(tmp_path: Path) -> None:
    cells.write(TABLE, tmp_path)
    lines = (tmp_path / "t.csv").read_text().splitlines()
    assert lines == ['Name,Value,"Value, note"', 'a_b,-1.25,"[−1.5, −1.0]"', "{c},,"]


@given(st.text())
def test_json_cannot_end_its_script(text: str) -> None:
    written = browser.script_json({"text": text})
    assert not set("<>&\u2028\u2029") & set(str(written))
    assert json.loads(str(written)) == {"text": text}


def test_cards_show_any_value_in_words() -> None:
    assert cards.text({"RX": 10, "CNOT": 1200}) == "RX 10, CNOT 1,200"
    assert cards.text({"name": "torch", "description": "torch, exact"}) == "torch, exact"
    assert cards.text([1, None, True, 0.00012345]) == "1, –, yes, 0.0001234"
    assert cards.lines({"a": 1, "b": [2, 3]}) == ["a: 1", "b: 2, 3"]


def test_a_fact_that_differs_between_seeds_is_given_for_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(write(tmp_path, Study(["base", "sora"], [0, 1, 2])))
    found = results.read(params.load())
    for seed, ranks in enumerate((7, 9, 7)):
        run = found.runs["sora", seed]
        card = {"ranks": ranks, "adapters": 30}
        found.runs["sora", seed] = replace(run, training=replace(run.training, card=card))
    facts = dict(cards.card(found, "sora").facts)
    assert (facts["ranks"], facts["adapted blocks"]) == ("7; 9; 7", "30")


@pytest.mark.parametrize(
    ("instruction", "kind"),
    [("What is a tide?", "question"), ("Please rewrite this.", "rewrite"), ("Summarize: the text", "summarise"),
     ("Tides.", "other"), ("", "other"), ("Write a poem about what you see", "write"),
     ("CALCULATE 2 + 2", "calculate")],
)  # fmt: skip
def test_kinds_are_read_off_the_first_words(instruction: str, kind: str) -> None:
    assert texts.kind(Example(id="1", instruction=instruction, input="", output="")) == kind


def test_the_frontier_joins_methods_clear_of_every_cheaper_one_and_not_of_those_on_it_alone() -> None:
    frame = pd.DataFrame({
        "spent": [3.0, 1.0, 2.0, 2.5], "value": [1.7, 2.0, 1.9, 1.6],
        "low": [1.6, 1.9, 1.8, 1.5], "high": [1.8, 2.1, 2.0, 1.75],
    }, index=["c", "a", "b", "d"])  # fmt: skip
    assert figures.frontier(frame).index.tolist() == ["a", "d"]  # b overlaps a
    assert figures.frontier(frame.drop("d")).index.tolist() == ["a"]  # c overlaps b, which lies off the frontier


def test_every_shade_and_marker_is_its_own() -> None:
    names, light, dark = zip(*style.variables(), strict=True)
    assert len(set(names)) == len(names) and len(set(light)) == len(light) and len(set(dark)) == len(dark)
    for markers in style.MARKERS.values():
        assert len(set(markers)) == len(markers)
        assert all(MarkerStyle(marker).get_path() is not None for marker in markers)


def test_every_method_has_a_look_of_its_own_though_all_are_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    every = tuple(methods.names())
    empty = results.Results(replace(params.load(), methods=every), {}, {}, None, ())
    assert len(set(style.looks(empty).values())) == len(every) > 20


def luminance(colour: str) -> float:
    """Relative luminance of a hex colour (WCAG 2)."""
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(first: str, second: str) -> float:
    """Contrast of two colours, from 1 to 21 (WCAG 2)."""
    high, low = sorted((luminance(first), luminance(second)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_colours_stand_out_on_light_and_on_dark() -> None:
    from ketune.report.page import PLAIN

    for name, light, dark in style.variables():
        if name not in ("grid", "panel"):
            least = 4.5 if name in ("ink", "muted") else 3.0  # WCAG AA: text, and graphics
            assert contrast(light, PLAIN["page"][0]) >= least, name
            assert contrast(dark, PLAIN["page"][1]) >= least, name
    for name in ("link", "good", "bad"):
        assert contrast(PLAIN[name][0], PLAIN["page"][0]) >= 4.5 and contrast(PLAIN[name][1], PLAIN["page"][1]) >= 4.5


def test_metrics_of_cut_answers_are_marked_and_the_cut_ones_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write(tmp_path, Study(["base", "lora"], [0, 1]))
    monkeypatch.chdir(folder)
    for seed in (0, 1):
        path = layout.Run("base", seed).rows("answers")
        rows = files.read_rows(path, Answer)
        files.write_rows(path, [replace(row, finished=True) for row in rows])
    found = results.read(params.load())
    cells = tables.quality(found, panels.intervals(found, comparisons.judge(found).panels), {}).cells
    base, lora = cells.iloc[0], cells.iloc[1]
    count = len(found.of("lora")[0].endings)
    assert cuts.counted(found, "lora") == (count, 2 * count)
    assert (base["Cut, %"].text, lora["Cut, %"].text) == ("0", "50")
    assert cuts.MARK in lora["BLEU ↑"].text and cuts.MARK not in base["BLEU ↑"].text
    assert cuts.MARK not in lora["Held-out loss ↓"].text


def test_nothing_is_judged_on_metrics_of_cut_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = Study(["base", "lora", "qaa"], [0, 1, 2], prompts=30, effects={"qaa": -0.45, "lora": 0.2})
    monkeypatch.chdir(write(tmp_path, study))

    def judged() -> tuple[str, str, dict[str, str]]:
        found = results.read(params.load())
        plan = replace(found.settings.plan, contrasts=("qaa against lora on bleu",))
        found = replace(found, settings=replace(found.settings, plan=plan))
        judgement = comparisons.judge(found)
        planned, other = (table(found, judgement) for table in (verdicts.verdict, verdicts.other_verdicts))
        best = comparisons.separated_best(found, judgement)
        return planned.cells.iloc[0]["Verdict"].text, other.cells.iloc[0]["ROUGE-L ↑"].text, best

    word, text, best = judged()
    assert word == "not judged"
    assert "better" not in text and text.endswith(cuts.MARK)
    assert not {metric.key for metric in metrics.every() if metric.reads == "answers"} & set(best)
    for method, seed in itertools.product(study.methods, study.seeds):
        path = layout.Run(method, seed).rows("answers")
        files.write_rows(path, [replace(row, finished=True) for row in files.read_rows(path, Answer)])
    word, text, best = judged()
    assert word == "better" and text.endswith("better") and best["rougeL"] == "qaa"


def test_no_strip_is_drawn_where_no_margin_can_be_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(write(tmp_path, Study(["base", "lora", "qaa"], [0])))
    found = results.read(params.load())
    judgement = comparisons.judge(found)
    drawn = effects.against_others(found, style.looks(found), judgement)
    assert judgement.panels["loss"].margin is None and drawn is not None and "±" not in drawn.caption


def test_nothing_is_kept_of_a_gain_that_was_none() -> None:
    assert shots._kept(0.1, 0.2).text == "50 %" and shots._kept(0.1, 0.2).value == 0.5
    assert shots._kept(0.1, -0.2).text == shots._kept(0.0, 0.0).text == cells.ABSENT


def test_a_bill_is_shown_for_the_circuit_that_ran_and_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(write(tmp_path, Study(["base", "lora", "qaa"], [0, 1])))
    found = results.read(params.load())
    assert hardware.table(found, background.read(found).bills) is None
    trained = found.of("qaa")[0].training
    one = dict.fromkeys(("qubits", "two_qubit_gates", "preparation_two_qubit_gates", "depth", "shots"), 1956.0)
    one |= {"success": 6.5e-7, "error": 0.05, "noisy_shots": 9.5e14, "circuits_a_token": 30.0, "token_seconds": 10.5}
    record = bills.Bills(
        circuit=bills.circuit(trained.card), trainable=trained.parameters.trainable,
        bills={"fake_one": one, "fake_two": one}, packages={"qiskit": "2.3.0"}, date="2026-11-24",
    )  # fmt: skip
    files.write_json(layout.bills("qaa"), record)
    table = hardware.table(found, background.read(found).bills)
    assert table is not None and list(table.cells["Machine"].map(lambda cell: cell.text)) == ["fake_one", "fake_two"]
    shown = table.cells.iloc[0].map(lambda cell: cell.text)
    tokens = found.settings.generate.max_new_tokens
    assert shown["Two-qubit gates"] == "1,956" and shown["Success"] == "6.5e-07" and "qiskit 2.3.0" in table.caption
    assert table.cells.iloc[0]["Answer, s"].value == tokens * 10.5
    assert "make weights" not in table.caption
    for other in (replace(record, trainable=1), replace(record, circuit=record.circuit | {"qubits": 11})):
        assert hardware.table(found, {"qaa": other}) is None


def test_the_caption_of_bills_says_of_whom_what_differs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(write(tmp_path, Study(["base", "qaa", "qtha", "quantum_peft"], [0])))
    found = results.read(params.load())
    names = ("qubits", "two_qubit_gates", "preparation_two_qubit_gates", "depth", "shots", "success", "noisy_shots",
             "circuits_a_token", "token_seconds")  # fmt: skip
    records = {}
    for method, error, date in (("qaa", 0.05, "2026-01-02"), ("qtha", 0.05, "2026-01-02"), ("quantum_peft", 0.1, "b")):
        trained = found.of(method)[0].training
        records[method] = bills.Bills(
            circuit=bills.circuit(trained.card), trainable=trained.parameters.trainable,
            bills={"fake": dict.fromkeys(names, 1.0) | {"error": error}}, packages={"qiskit": "2.3.0"}, date=date,
        )  # fmt: skip
    caption = hardware.table(found, records).caption
    assert "(qiskit 2.3.0, 2026-01-02 for QAA, QTHA and qiskit 2.3.0, b for Quantum-PEFT)" in caption
    assert "a standard error of 0.05 for QAA, QTHA and 0.1 for Quantum-PEFT without noise" in caption
    del records["quantum_peft"]
    caption = hardware.table(found, records).caption
    assert "(qiskit 2.3.0, 2026-01-02). " in caption and "error of 0.05 without noise" in caption
    assert caption.endswith("Quantum-PEFT's circuits make weights before a text is read; no token runs one.")


def test_the_caption_of_readings_says_on_which_texts_each_method_was_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(write(tmp_path, Study(["base", "qaa", "qtha"], [0, 1], likelihoods=8)))
    found = results.read(params.load())
    asked = replace(found.settings.hardware, methods=("qaa", "qtha"))
    found = replace(found, settings=replace(found.settings, hardware=asked))

    def read(method: str, seed: int, count: int) -> Measured:
        nats = dict(list(shots._sums(found, method, seed).items())[:count])
        exact = Reading(shots=None, noise="", losses=tuple(nats.values()))
        return Measured(ids=tuple(nats), tokens=(10,) * count, readings=(exact,))

    alike = {(method, seed): read(method, seed, 8) for method in ("qaa", "qtha") for seed in (0, 1)}
    assert "of 8 references (80 tokens) where" in shots.table(found, alike).caption
    other = {**alike, ("qtha", 0): read("qtha", 0, 5), ("qtha", 1): read("qtha", 1, 5)}
    told = "of 8 references (80 tokens) for QAA and 5 references (50 tokens) for QTHA where"
    assert told in shots.table(found, other).caption
