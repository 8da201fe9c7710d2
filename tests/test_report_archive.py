"""The records of a study: whole, without texts, and enough to make its page again byte for byte."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from ruamel.yaml import YAML

from conftest import Project
from ketune import metrics
from ketune.ground import files, layout, params
from ketune.ground.errors import InputError
from ketune.records.measured import Measured
from ketune.records.predictions import Answer
from ketune.records.training import Search, Trial, Tuning
from ketune.report import (
    answer,
    archive,
    background,
    cells,
    comparisons,
    contents,
    plan,
    publishing,
    results,
    style,
)
from ketune.report.cells import interval, number
from report_project import PASSAGES, ROOT, Study, write
from test_report import Page

ARMS = ["base", "lora", "qaa", "qaa_frozen"]
SEEDS = [0, 1, 2]


OUT_OF_DATE = publishing.out_of_date
OTHERS = [5, 6, 7]  # as many seeds as SEEDS: made-up data depend on how many


@pytest.fixture(autouse=True)
def made_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """DVC knows nothing of made-up runs."""
    monkeypatch.setattr(publishing, "out_of_date", lambda settings, complete: [])


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small study under git; one method's last run is not scored yet."""
    folder = write(tmp_path_factory.mktemp("archive"), Study([*ARMS, "sora"], SEEDS, prompts=8, likelihoods=20))
    (folder / "data/scores/sora-2.json").unlink()
    (folder / "stages").mkdir()
    (folder / "stages/train.py").touch()
    commit = ["-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "-q", "--allow-empty", "-m"]
    for command in (["init", "-q"], ["add", "stages"], [*commit, "code"], [*commit, "params"]):
        subprocess.run(["git", *command], cwd=folder, check=True)
    return folder


@pytest.fixture
def project(workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Another folder, with the records of that study."""
    monkeypatch.chdir(tmp_path)
    publishing.records("tiny", str(workspace))
    return tmp_path


def test_complete_methods_are_kept_and_others_named(project: Path, workspace: Path) -> None:
    found, beside = archive.read(project / "reports/studies/tiny")
    assert list(found.methods) == ARMS and len(found.runs) == len(ARMS) * len(SEEDS)
    about = json.loads((project / "reports/studies/tiny/study.json").read_text())
    assert about["left_out"] == ["sora"]
    searched = files.read_json(project / "reports/studies/tiny/tuned/sora.json", Tuning)
    assert searched == files.read_json(workspace / layout.tuned("sora"), Tuning)
    code = subprocess.run(["git", "rev-parse", "HEAD~1"], cwd=workspace, check=True, capture_output=True, text=True)
    assert beside.revisions == dict.fromkeys(ARMS, code.stdout.strip())


def test_what_is_read_back_is_what_lay_in_the_workspace(
    project: Path, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = archive.read(project / "reports/studies/tiny")[0]
    monkeypatch.chdir(workspace)
    here = results.read(replace(params.load(), methods=tuple(ARMS)))
    assert (kept.tunings, kept.summary, kept.references) == (here.tunings, here.summary, here.references)
    for key, run in here.runs.items():
        again = kept.runs[key]
        assert (again.training, again.endings, again.scores.ids) == (run.training, run.endings, run.scores.ids)
        pd.testing.assert_frame_equal(again.curve, run.curve, rtol=1e-8)
        for metric, score in run.scores.metrics.items():
            assert again.scores.metrics[metric].signature == score.signature
            np.testing.assert_allclose(again.scores.metrics[metric].sums, score.sums, rtol=1e-8)
            assert again.scores.metrics[metric].score == pytest.approx(score.score, rel=1e-7)


def test_every_table_says_what_the_workspace_says(
    project: Path, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = tables(*archive.read(project / "reports/studies/tiny"))
    monkeypatch.chdir(workspace)
    here = results.read(replace(params.load(), methods=tuple(ARMS)))
    told = tables(here, background.read(here))
    before, after = ({row[0][0]: row[1:] for row in each.pop("ledger_equal")} for each in (told, kept))
    assert kept == told
    assert before.keys() == after.keys()
    assert {row for row in before if before[row] != after[row]} == {"report.show_samples"}


def tables(found: results.Results, beside: background.Background) -> dict[str, list[list[str]]]:
    """Table → what its cells say."""
    parts = contents.compute(found, beside, style.looks(found))
    return {table.name: table.cells.map(lambda cell: [cell.text, cell.note, cell.mark]).values.tolist()
            for table in contents.of_kind(parts, cells.Table)}  # fmt: skip


def test_no_text_is_in_the_records_or_on_their_page(project: Path, workspace: Path) -> None:
    publishing.page("tiny")
    examples = [json.loads(line) for line in (workspace / "data/prepared/test.jsonl").read_text().splitlines()]
    answers = files.read_rows(workspace / layout.Run("qaa", 1).rows("answers"), Answer)
    hidden = [value for example in examples for value in (example["instruction"], example["output"])]
    hidden += [passage.text for passage in PASSAGES] + [answer.prediction for answer in answers]
    written = [file.read_text() for file in (project / "reports").rglob("*") if file.is_file()]
    assert len(hidden) > 50 and len(written) > 15
    assert not [text for text in hidden if len(text) > 12 and any(text in content for content in written)]


def test_the_page_is_the_same_bytes_each_time(project: Path) -> None:
    folder = project / "reports/studies/tiny"
    publishing.page("tiny")
    first = (project / "reports/published/tiny.html").read_bytes()
    command = [sys.executable, "-m", "ketune.report.publishing", "page", "tiny"]
    variables = os.environ | {"PYTHONPATH": str(ROOT / "src"), "PYTHONHASHSEED": "7"}
    again = subprocess.run(command, cwd=project, env=variables, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr
    assert (project / "reports/published/tiny.html").read_bytes() == first
    page = Page(first.decode())
    assert "which hold no texts" in page.text and archive.read(folder)[1].revisions["qaa"] in page.text
    assert "runs are still missing of SoRA, which this page leaves out" in page.text
    legend = page.text.split("Grey: untuned or fully tuned.")[0].partition("however many layers it has.")[2]
    assert "QAA" in legend and "SoRA" not in legend
    assert f"{archive.read(folder)[0].mean('qaa', 'loss'):.3f}" in page.text


def test_a_metric_that_came_later_leaves_a_study_as_it_was(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    publishing.page("tiny")
    before, page = metrics.every(), (project / publishing.PAGES / "tiny.html").read_bytes()
    later = replace(metrics.named("bleu"), key="later", title="Later")
    monkeypatch.setattr(metrics, "every", lambda: (*before, later))
    publishing.page("tiny")
    assert (project / publishing.PAGES / "tiny.html").read_bytes() == page


def test_the_answer_has_every_difference_with_its_interval_and_the_words_of_the_page(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    publishing.page("tiny")
    found = archive.read(project / "reports/studies/tiny")[0]
    judgement = comparisons.judge(found)
    shown = Page((project / "reports/published/tiny.html").read_text()).text
    told = answer.answer(found).sentences
    assert capsys.readouterr().out.splitlines()[-len(told) - 1 : -1] == list(told)
    apart = next(sentence for sentence in told if sentence.startswith("QAA's held-out loss differs by"))
    for other in ("lora", "base", "qaa_frozen"):
        one = judgement.verdict("qaa", other)
        level = "" if one.level == found.settings.report.alpha else f"; {100 * (1 - one.level):.4g} %"
        told_interval = interval(one.low, one.high, 3, signed=True).replace("]", f"{level}]")
        assert f"{number(one.difference, 3, signed=True)} {told_interval}" in shown
        assert f"{told_interval} against {found.title(other)} ({one.word})" in apart
    assert [text for text in told if text != apart and text not in shown] == []
    short = (project / "reports/published/tiny.md").read_text()
    assert all(text in short for text in told)
    losses = [
        float(cells[4])
        for cells in (re.split(r" ?\| ?", line) for line in short.splitlines())
        if len(cells) == 8 and cells[4][:1].isdigit()
    ]
    assert losses == sorted(losses) and len(losses) == len(found.methods)
    one = judgement.verdict("qaa", "qaa_frozen")
    size = f"{number(one.difference, 3, signed=True)} {interval(one.low, one.high, 3, signed=True)[:-1]}"
    weights = f"{found.trainable('qaa_frozen'):,}"
    assert re.search(rf"\| {found.title('qaa_frozen')} \|.*\| {weights} \|.*{re.escape(size)}.*{one.word}", short)
    figure = (project / "reports/published/tiny.svg").read_text()
    assert all(f">{found.title(other)}<" in figure for other in ("lora", "base", "qaa_frozen"))
    assert 'style="background: white"' in figure


def test_a_text_in_the_records_is_refused_and_the_old_ones_stay(
    project: Path, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {file: file.read_bytes() for file in (project / "reports").rglob("*") if file.is_file()}
    leaked = json.loads((workspace / "data/prepared/test.jsonl").read_text().splitlines()[3])["instruction"]
    monkeypatch.setattr(archive, "_lines", lambda rows: leaked)
    with pytest.raises(InputError, match=r"runs\.json: a text of the data stands in it"):
        publishing.records("tiny", str(workspace))
    assert {file: file.read_bytes() for file in (project / "reports").rglob("*") if file.is_file()} == before


def test_a_single_run_is_kept_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(write(tmp_path, Study(["lora"], [0], prompts=3, likelihoods=3)))
    monkeypatch.setattr(publishing, "revision", lambda: "none")
    publishing.records("one")
    kept, here = archive.read(publishing.STUDIES / "one")[0], results.read(params.load())
    np.testing.assert_allclose(kept.sums("lora", "loss"), here.sums("lora", "loss"), rtol=1e-8)


def test_what_the_pipeline_itself_left_behind_is_kept(
    done: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(publishing, "out_of_date", OUT_OF_DATE)
    monkeypatch.chdir(tmp_path)
    before = done.params()
    done.write_params(before | {"qaa": before["qaa"] | {"layers": before["qaa"]["layers"] + 1}})
    publishing.records("tiny", str(done.folder))
    assert "Left out, as params, code or data are others than they ran with: qaa" in capsys.readouterr().out
    assert set(archive.read(publishing.STUDIES / "tiny")[0].runs) == {("base", 0)}
    done.write_params(before | {"generate": before["generate"] | {"batch_tokens": 4096}})
    with pytest.raises(InputError, match=r"yet \(base, qaa: made with other params, code or data\); run `dvc repro`"):
        publishing.records("tiny", str(done.folder))
    done.write_params(before)
    publishing.records("tiny", str(done.folder))
    publishing.page("tiny")
    found = archive.read(publishing.STUDIES / "tiny")[0]
    assert set(found.runs) == {("base", 0), ("qaa", 0)}
    published = json.loads((done.folder / "reports/metrics/qaa.json").read_text())
    assert round(found.mean("qaa", "loss"), 4) == published["loss"]
    written = [file.read_text() for file in (tmp_path / "reports").rglob("*") if file.is_file()]
    assert not [text for text in written if "in a short sentence" in text or "from the hills" in text]


def test_the_readme_of_the_records_tells_how_to_read_them(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (ROOT / publishing.STUDIES / "README.md").read_text()
    [code] = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    found = archive.read(project / "reports/studies/tiny")[0]
    monkeypatch.chdir(project / "reports/studies/tiny")
    exec(code, {})
    printed = dict(line.split() for line in capsys.readouterr().out.splitlines() if "-" in line)
    assert float(printed["qaa-1"]) == pytest.approx(found.runs["qaa", 1].scores.metrics["loss"].score, abs=1e-5)
    named = set(re.findall(r"`([\w.]+)(?:/[\w<>.]*)?`", text)) - {"shared"}
    assert {path.name for path in Path().iterdir()} <= named


def test_ids_that_are_no_hashes_are_refused(workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="is no id of this pipeline"):
        publishing.refuse_texts(tmp_path, set(), named(workspace, monkeypatch))


def named(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> results.Results:
    """Results whose ids are the texts themselves."""
    monkeypatch.chdir(workspace)
    found = results.read(replace(params.load(), methods=("base",)))
    key, run = next(iter(found.runs.items()))
    scores = replace(run.scores, ids=run.scores.ids | {"answers": ("What is the capital?",) * 8})
    return replace(found, runs={key: replace(run, scores=scores)})


def test_paths_of_the_machine_stay_there(workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = shutil.copytree(workspace, tmp_path / "given")
    monkeypatch.chdir(given)
    content = (given / "params.yaml").read_text()
    (given / "params.yaml").write_text(content.replace("data/starter.jsonl", "/home/someone/mine.json"))
    pilot = results.read(replace(params.load(), methods=tuple(ARMS)))
    files.write_json(layout.PLAN, plan.make(pilot, "2026-01-02"))
    monkeypatch.chdir(tmp_path)
    publishing.records("tiny", "given")
    publishing.page("tiny")
    written = {file: file.read_text() for file in (tmp_path / "reports").rglob("*") if file.is_file()}
    assert [file.name for file, text in written.items() if "someone" in text] == []
    found, beside = archive.read(tmp_path / "reports/studies/tiny")
    assert found.settings.data.source == beside.plan.setting.data == "mine.json"


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Makes another workspace of the same study, with other methods or seeds."""

    def made(methods: list[str], seeds: list[int] = SEEDS) -> Path:
        folder = tmp_path / "elsewhere"
        folder.mkdir()
        monkeypatch.setattr(publishing, "revision", lambda: "f00d")
        return write(folder, Study(methods, seeds, prompts=8, likelihoods=20))

    return made


def test_records_of_several_workspaces_are_one_study(project: Path, elsewhere: Callable[..., Path]) -> None:
    first = archive.read(project / "reports/studies/tiny")
    publishing.records("tiny", str(elsewhere(["base", "sora", "prefix"])))
    found, beside = archive.read(project / "reports/studies/tiny")
    assert list(found.methods) == [*ARMS, "sora", "prefix"] and beside.left_out == ()
    assert beside.revisions == {**first[1].revisions, **dict.fromkeys(["base", "sora", "prefix"], "f00d")}
    assert found.tunings.keys() == set(found.methods)
    for method in ("lora", "qaa", "qaa_frozen"):
        np.testing.assert_array_equal(found.sums(method, "loss"), first[0].sums(method, "loss"))
    runs = {f"data/scores/{layout.Run(*key).key}.json" for key in found.runs}
    assert runs <= beside.digests.keys()
    publishing.page("tiny")
    page = Page((project / "reports/published/tiny.html").read_text())
    assert f"f00d ({found.named(['base', 'sora', 'prefix'])})" in page.text


def test_a_study_is_spread_over_workspaces_by_its_seeds(project: Path, elsewhere: Callable[..., Path]) -> None:
    (first, before), later = archive.read(project / "reports/studies/tiny"), [SEEDS[-1], 7, 5]
    publishing.records("tiny", str(elsewhere(ARMS, later)))
    found, beside = archive.read(project / "reports/studies/tiny")
    assert list(found.methods) == ARMS and found.settings.seeds == tuple(sorted({*SEEDS, *later}))
    assert len(found.runs) == len(ARMS) * len({*SEEDS, *later})
    for method in ARMS:
        np.testing.assert_array_equal(found.sums(method, "loss")[: len(SEEDS)], first.sums(method, "loss"))
        assert beside.revisions[method] == f"{before.revisions[method]}, f00d"
    runs = {f"data/scores/{layout.Run(*key).key}.json" for key in found.runs}
    assert runs <= beside.digests.keys()
    publishing.page("tiny")
    assert ", f00d" in Page((project / "reports/published/tiny.html").read_text()).text


@pytest.mark.parametrize(
    ("arms", "changes", "words"),
    [
        (ARMS[:-1], {}, f"seeds were .* and are 5, and not both have runs of {ARMS[-1]}"),
        (ARMS, {"data/tuned/lora.json": ('"weights": ', '"weights": 1')}, r"lora: learning_rates was .* is .* 10\.005"),
        (ARMS, {"params.yaml": ("r: 4", "r: 8")}, "lora: r was 4 with seeds .* and is 8 with 5"),
    ],
)
def test_seeds_of_other_runs_are_refused_and_nothing_is_lost(
    project: Path, elsewhere: Callable[..., Path], arms: list[str], changes: dict[str, tuple[str, str]], words: str
) -> None:
    before = {file: file.read_bytes() for file in (project / "reports").rglob("*") if file.is_file()}
    other = elsewhere(arms, [5])
    for name, (old, new) in changes.items():
        content = (other / name).read_text()
        assert old in content
        (other / name).write_text(content.replace(old, new, 1))
    with pytest.raises(InputError, match=words):
        publishing.records("tiny", str(other))
    assert {file: file.read_bytes() for file in (project / "reports").rglob("*") if file.is_file()} == before


def test_readings_of_circuits_are_not_lost(project: Path, elsewhere: Callable[..., Path]) -> None:
    records = project / "reports/studies/tiny/params.yaml"
    records.write_text(re.sub(r"(hardware:\n  methods:) *(\[\]|\n  - .*)", r"\1 [qaa]", records.read_text()))
    for seed in SEEDS:
        measured = records.parent / "hardware/measured" / layout.Run("qaa", seed).measured.name
        files.write_json(measured, Measured(ids=(), tokens=(), readings=()))
    publishing.records("tiny", str(elsewhere(["base", "sora"])))
    found, beside = archive.read(records.parent)
    assert found.settings.hardware.methods == ("qaa",) and {method for method, _ in beside.measured} == {"qaa"}
    shutil.rmtree("elsewhere")
    before = {file: file.read_bytes() for file in records.parent.rglob("*") if file.is_file()}
    with pytest.raises(InputError, match="no readings of qaa come, and some lie there"):
        publishing.records("tiny", str(elsewhere(["base", "qaa"])))
    shutil.rmtree("elsewhere")
    with pytest.raises(InputError, match="no readings of qaa come, and some lie there"):
        publishing.records("tiny", str(elsewhere(ARMS, [5])))
    assert {file: file.read_bytes() for file in records.parent.rglob("*") if file.is_file()} == before


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, r"hardware\.methods was \[\] and is \['qaa'\]"),
        ({"readout": 0.25}, r"hardware\.readout was 0\.01 and is 0\.25"),
    ],
)
def test_readings_made_in_other_ways_are_refused(
    project: Path, elsewhere: Callable[..., Path], changes: dict[str, float], words: str
) -> None:
    records, other = project / "reports/studies/tiny", elsewhere(ARMS, OTHERS)
    measured_in(other, OTHERS, changes)
    if changes:
        measured_in(records, SEEDS, {})
    with pytest.raises(InputError, match=words):
        publishing.records("tiny", str(other))


def measured_in(folder: Path, seeds: list[int], changes: dict[str, float]) -> None:
    """Let params list QAA's readings, and have some."""
    yaml, inside = YAML(), "hardware/measured" if (folder / "runs.json").exists() else layout.MEASURED
    content = yaml.load((folder / "params.yaml").read_text())
    content["hardware"] |= {"methods": ["qaa"]} | changes
    yaml.dump(content, folder / "params.yaml")
    for seed in seeds:
        path = folder / inside / layout.Run("qaa", seed).measured.name
        files.write_json(path, Measured(ids=(), tokens=(), readings=()))


def test_readings_join_by_seeds(project: Path, elsewhere: Callable[..., Path]) -> None:
    records, other = project / "reports/studies/tiny", elsewhere(ARMS, OTHERS)
    measured_in(records, SEEDS, {}), measured_in(other, OTHERS, {})
    publishing.records("tiny", str(other))
    assert archive.read(records)[1].measured.keys() == {("qaa", seed) for seed in (*SEEDS, *OTHERS)}


def test_the_record_of_a_search_is_not_lost_to_numbers(project: Path, elsewhere: Callable[..., Path]) -> None:
    records, other = project / "reports/studies/tiny", elsewhere(ARMS, OTHERS)
    rates = files.read_json(records / "tuned/lora.json", Tuning).rates
    trial = Trial(rates=rates, seed=1000, loss=1.8, moved=())
    found = Search(ranges={"weights": (0.001, 0.1)}, trials=(trial,), untrained=2.0, noise=None, edges={}, remarks=(),
                   setting={"steps": 40})  # fmt: skip
    files.write_json(records / "tuned/lora.json", Tuning(rates=rates, search=found))
    publishing.records("tiny", str(other))
    assert archive.read(records)[0].tunings["lora"].search == found


def test_the_same_records_twice_are_the_same_records(project: Path, workspace: Path) -> None:
    before = {file: file.read_bytes() for file in (project / "reports").rglob("*") if file.is_file()}
    publishing.records("tiny", str(workspace))
    assert {file: file.read_bytes() for file in (project / "reports").rglob("*") if file.is_file()} == before


def test_methods_wait_for_their_runs_until_a_workspace_brings_them(
    project: Path, workspace: Path, elsewhere: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    publishing.records("tiny", str(elsewhere(["base", "prefix"])))
    assert f"Kept from before: {3 * len(SEEDS)} runs of lora, qaa, qaa_frozen." in capsys.readouterr().out
    beside = archive.read(project / "reports/studies/tiny")[1]
    assert beside.left_out == ("sora",)
    assert (project / "reports/studies/tiny/tuned/sora.json").exists(), "its search was brought before"


def test_a_method_keeps_the_section_with_which_it_ran(project: Path, elsewhere: Callable[..., Path]) -> None:
    section = archive.read(project / "reports/studies/tiny")[0].settings.sections["lora"]
    other = elsewhere(["base", "prefix"])
    content = YAML().load((other / "params.yaml").read_text())
    content["lora"]["r"] = 64
    YAML().dump(content, other / "params.yaml")
    publishing.records("tiny", str(other))
    assert archive.read(project / "reports/studies/tiny")[0].settings.sections["lora"] == section


def test_records_that_do_not_compare_are_refused_and_the_old_ones_stay(
    project: Path, elsewhere: Callable[..., Path]
) -> None:
    before = {file: file.read_bytes() for file in (project / "reports").rglob("*") if file.is_file()}
    other = elsewhere(["base", "prefix"])
    content = (other / "params.yaml").read_text()
    (other / "params.yaml").write_text(content.replace("batch_tokens: 8192", "batch_tokens: 4096"))
    with pytest.raises(
        InputError, match=r"generate\.batch_tokens was 8192 and is 4096(.|\n)*Remove that folder to begin anew"
    ):
        publishing.records("tiny", str(other))
    assert {file: file.read_bytes() for file in (project / "reports").rglob("*") if file.is_file()} == before


def test_other_data_are_refused(project: Path, elsewhere: Callable[..., Path]) -> None:
    other = elsewhere(["base", "prefix"])
    with (other / layout.PREPARED / "train.jsonl").open("a") as file:
        file.write("\n")
    with pytest.raises(InputError, match=r"data/prepared: its digest was"):
        publishing.records("tiny", str(other))


def test_damaged_records_are_named(project: Path) -> None:
    folder = project / "reports/studies/tiny"
    loss = folder / "scores/loss.csv"
    whole = loss.read_text()
    loss.write_text("\n".join(whole.splitlines()[:-1]))
    with pytest.raises(InputError, match=r"loss\.csv: other rows or runs"):
        archive.read(folder)
    loss.unlink()
    with pytest.raises(InputError, match=r"loss\.csv: no such file; run `make records` again"):
        archive.read(folder)


@pytest.mark.parametrize(
    ("name", "change", "reason"),
    [
        ("endings.csv", lambda text: text.replace("ended", "finished", 1), "a curve or an ending is damaged"),
        ("endings.csv", lambda text: "\n".join(text.splitlines()[:-1]), r"endings\.csv: other rows or runs"),
        ("endings.csv", lambda text: text.replace("qaa-1", "qaa-7"), r"endings\.csv: other rows or runs"),
        ("endings.csv", lambda text: "", r"endings\.csv: damaged"),
        ("scores/loss.csv", lambda text: f"{text}{',' * 99}\n", r"loss\.csv: damaged"),
        ("runs.json", lambda text: text.replace('"qaa-1"', '"qaa-7"'), r"runs\.json: other rows or runs"),
        ("curves.csv", lambda text: re.sub(r"\d\.\d+\n", "x\n", text), "a curve or an ending is damaged"),
        ("curves.csv", lambda text: text.replace("qaa-1", "qaa-7"), r"curves\.csv: other rows or runs"),
        ("scores/loss.csv", lambda text: re.sub(r",[^,]+$", ",", text.rstrip()) + "\n", r"a cell of \S+ is damaged"),
    ],
)  # fmt: skip
def test_every_damage_is_one_sentence(project: Path, name: str, change: Callable[[str], str], reason: str) -> None:
    file = project / "reports/studies/tiny" / name
    before = file.read_text()
    file.write_text(change(before))
    assert file.read_text() != before
    with pytest.raises(InputError, match=reason):
        archive.read(project / "reports/studies/tiny")


def test_readings_of_a_method_whose_runs_are_missing_wait_for_them(
    workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = shutil.copytree(workspace, tmp_path / "given")
    params_file = given / "params.yaml"
    params_file.write_text(re.sub(r"(hardware:\n  methods:) *(\[\]|\n  - .*)", r"\1 [qaa]", params_file.read_text()))
    (given / "data/scores/qaa-2.json").unlink()
    monkeypatch.chdir(tmp_path)
    publishing.records("tiny", "given")
    publishing.page("tiny")
    found = archive.read(tmp_path / "reports/studies/tiny")[0]
    assert "qaa" not in found.methods and found.settings.hardware.methods == ()


def test_readings_that_some_seeds_lack_are_left_out_and_named(
    workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given = shutil.copytree(workspace, tmp_path / "given")
    params_file = given / "params.yaml"
    params_file.write_text(re.sub(r"(hardware:\n  methods:) *(\[\]|\n  - .*)", r"\1 [qaa]", params_file.read_text()))
    monkeypatch.chdir(tmp_path)
    publishing.records("tiny", "given")
    assert "Readings left out, as those of some seeds are missing: qaa; run `dvc repro`." in capsys.readouterr().out
    found = archive.read(tmp_path / "reports/studies/tiny")[0]
    assert "qaa" in found.methods and found.settings.hardware.methods == ()


def test_rates_of_listed_methods_that_a_search_found_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(write(tmp_path, Study(["lora", "qaa"], [0], prompts=3, likelihoods=3)))
    trial = Trial(rates={"weights": 0.003}, seed=1000, loss=1.8, moved=())
    search = Search(ranges={}, trials=(trial,), untrained=2.0, noise=None, edges={}, remarks=(), setting={})
    for method in ("lora", "sora"):  # sora has left the list
        files.write_json(layout.tuned(method), Tuning(rates={"weights": 0.003}, search=search))
    publishing.rates()
    assert [path.name for path in Path("reports/tuned").iterdir()] == ["lora.json"]
    assert layout.recorded_tuning("lora").read_bytes() == layout.tuned("lora").read_bytes()
    assert "lora: weights 0.003\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    "given", [[], ["records"], ["page"], ["pages", "tiny"], ["publish", "tiny"], ["rates", "tiny"]], ids=str
)
def test_a_task_that_there_is_not_is_told_which_there_are(given: list[str]) -> None:
    with pytest.raises(InputError, match=r"allowed are `records NAME \[WORKSPACE\]`, `page NAME`, `pages` and `rates`"):
        publishing.asked(given)
    assert publishing.asked(["page", "tiny"]) == ("page", "tiny") and publishing.asked(["pages"]) == ("pages",)


@pytest.mark.parametrize("text", ['Say "hello" to the whole class', "Größe und Maß sind verschieden"])
def test_a_text_is_found_as_json_writes_it(
    text: str, workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(workspace)
    found = results.read(replace(params.load(), methods=("base",)))
    for ascii_only in (True, False):
        (tmp_path / "runs.json").write_text(json.dumps({"drawing": text}, ensure_ascii=ascii_only))
        with pytest.raises(InputError, match="a text of the data stands in it"):
            publishing.refuse_texts(tmp_path, {text}, found)


@pytest.mark.parametrize("name", ["", "../x", "A b", ".hidden"])
def test_names_that_are_no_names_are_refused(name: str) -> None:
    with pytest.raises(InputError, match=r"STUDY: .* is not allowed"):
        publishing.page(name)


def test_a_workspace_of_which_git_tells_no_commit_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=rf"git log .*, in {tmp_path}: .*not a git repository"):
        publishing.revision()


def test_nothing_is_exported_before_a_method_is_complete(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(write(tmp_path, Study(["lora"], [0, 1], prompts=2, likelihoods=2)))
    (tmp_path / "data/curves/lora-1.csv").unlink()
    with pytest.raises(InputError, match=r"no listed method has all of its seeds \(0, 1\) yet"):
        publishing.records("tiny")


def test_every_published_study_is_its_records_rendered_afresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    folders = [file.parent for file in (ROOT / publishing.STUDIES).glob("*/study.json")]
    for folder in folders:
        published = (ROOT / publishing.PAGES / f"{folder.name}.html").read_text()
        found, beside = archive.read(folder)
        assert publishing.rendered(folder, found, beside) == published, f"run `make page STUDY={folder.name}`"
        told = answer.answer(found)
        shown, short = ((ROOT / publishing.PAGES / f"{folder.name}.{kind}").read_text() for kind in ("svg", "md"))
        assert told.figure is not None and publishing.standing_alone(told.figure) == shown
        assert publishing.in_short(folder.name, found, beside, told) == short
    pages = {file.stem for file in (ROOT / publishing.PAGES).glob("*.html")} - {"default"}
    assert pages == {folder.name for folder in folders}, "a published page without records, or records without a page"
    assert re.search(r"run: make pages$", (ROOT / ".github/workflows/tests.yml").read_text(), re.MULTILINE)
