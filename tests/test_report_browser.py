"""The page in a real browser: it searches, switches seeds, sorts and asks nobody for anything; nothing overlaps."""

import csv
import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from headless import EXECUTABLE, Browser
from ketune import methods
from report_project import ABOUT, Study, write
from test_report import HOSTILE, render

pytestmark = pytest.mark.skipif(EXECUTABLE is None, reason="no Chromium is installed")

OVERLAPS = """
[...document.querySelectorAll('figure svg')].flatMap(svg => {
  const boxes = [...svg.querySelectorAll('text')].map(t => [t.textContent, t.getBoundingClientRect()]);
  return boxes.flatMap(([a, p], i) => boxes.slice(i + 1).filter(([b, q]) =>
    Math.min(p.right, q.right) - Math.max(p.left, q.left) > 2 &&
    Math.min(p.bottom, q.bottom) - Math.max(p.top, q.top) > 4
  ).map(([b]) => [svg.parentElement.parentElement.id, a, b].join(' | ')));
})
"""
OUTSIDE = """
[...document.querySelectorAll('figure svg')].flatMap(svg => {
  const frame = svg.getBoundingClientRect();
  return [...svg.querySelectorAll('text')].filter(t => {
    const r = t.getBoundingClientRect();
    return r.left < frame.left - 1 || r.right > frame.right + 1 || r.top < frame.top - 1 || r.bottom > frame.bottom + 1;
  }).map(t => svg.parentElement.parentElement.id + ' | ' + t.textContent);
})
"""
EMPTY = "[...document.querySelectorAll('figure svg')].filter(s => s.querySelectorAll('path, use').length < 10).length"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every method, three seeds; one run answers with markup."""
    folder = tmp_path_factory.mktemp("browser")
    write(folder, Study(list(ABOUT), [0, 1, 2], answers={("qaa", 2): HOSTILE}))
    render(folder)
    return folder / "reports/index.html"


@pytest.fixture
def browser(page: Path, tmp_path: Path) -> Iterator[Browser]:
    """The page, open on a desktop; when the test is done, no request and no complaint may have been seen."""
    with Browser(tmp_path / "profile") as opened:
        opened.open(page)
        yield opened
        assert opened.requests() == [page.resolve().as_uri()]
        assert opened.complaints() == []


def test_samples_are_searched_and_seeds_switched(browser: Browser) -> None:
    shown = "document.querySelector('#sample-view').textContent"
    assert browser.run("document.querySelector('#sample-place').textContent") == "1 of 40"
    browser.type("#sample-search", "item 12.")
    assert browser.run("document.querySelector('#sample-place').textContent") == "1 of 1"
    assert "number 12." in browser.run(shown)
    before = browser.run(shown)
    assert "alert(1)" not in before
    browser.run("document.querySelector('#sample-seed').focus()")
    browser.press("ArrowDown")
    browser.press("ArrowDown")
    after = browser.run(shown)
    assert HOSTILE.strip()[:40] in after and "number 12." in after
    assert browser.run("document.querySelectorAll('#sample-view img, #sample-view script').length") == 0


def test_samples_are_turned_over_and_ordered_by_disagreement(browser: Browser) -> None:
    first = browser.run("document.querySelector('#sample-view').textContent")
    browser.click("#sample-next")
    assert browser.run("document.querySelector('#sample-place').textContent") == "2 of 40"
    assert browser.run("document.querySelector('#sample-view').textContent") != first
    browser.click("#sample-back")
    assert browser.run("document.querySelector('#sample-view').textContent") == first
    browser.run("document.querySelector('#sample-order').focus()")
    browser.press("ArrowDown")
    data = "JSON.parse(document.querySelector('#samples-data').textContent).prompts"
    most = browser.run(f"{data}.reduce((a, b) => b.disagreement > a.disagreement ? b : a).instruction")
    assert most in browser.run("document.querySelector('#sample-view .prompt').textContent")


def test_tables_are_sorted_from_the_keyboard(browser: Browser) -> None:
    column = "[...document.querySelectorAll('#table-quality tbody tr')].map(r => Number(r.cells[2].dataset.value))"
    browser.run("document.querySelectorAll('#table-quality th button')[2].focus()")
    browser.press("Enter")
    values = browser.run(column)
    assert values == sorted(values) and len(values) == len(ABOUT)
    assert browser.run("document.querySelectorAll('#table-quality th')[2].getAttribute('aria-sort')") == "ascending"
    browser.press("Enter")
    assert browser.run(column) == sorted(values, reverse=True)


def points(browser: Browser) -> list[str]:
    """What each drawn point says of itself."""
    return browser.run("[...document.querySelectorAll('#explorer-plot .point title')].map(t => t.textContent)")


def choose(browser: Browser, select: str, heading: str) -> None:
    """Choose an option by its text, as a click in the list does."""
    browser.run(
        f"(() => {{ const s = document.querySelector('{select}');"
        f" s.value = [...s.options].findIndex(o => o.textContent.startsWith('{heading}'));"
        " s.dispatchEvent(new Event('change')); })()"
    )


def test_any_two_quantities_are_drawn_against_each_other(browser: Browser) -> None:
    assert len(points(browser)) == len(ABOUT) - 1, "base has no parameters, which no logarithm can show"
    assert "value is 0: Base." in browser.run("document.querySelector('#explorer-note').textContent")
    browser.run("document.querySelector('#explorer-x').focus()")
    browser.press("ArrowDown")
    assert len(points(browser)) == len(ABOUT) - 1, "base takes no time"
    assert all("Training time, seconds" in point for point in points(browser))
    choose(browser, "#explorer-x", "Retention loss")
    choose(browser, "#explorer-y", "BLEU")
    assert len(points(browser)) == len(ABOUT)
    shown = "[...document.querySelectorAll('#explorer-plot text')].map(t => t.textContent)"
    assert any("BLEU" in text for text in browser.run(shown)) and "QAA" in browser.run(shown)
    assert browser.run(OVERLAPS) == [] and browser.run(OUTSIDE) == []


def test_no_point_of_the_frontier_is_beaten_in_both(browser: Browser) -> None:
    told = browser.run("document.querySelector('#explorer-note').textContent")
    best = set(told.partition("better in both than ")[2].partition(". ")[0].split("; "))
    found = json.loads(browser.run("document.querySelector('#explorer-data').textContent"))
    parameters, loss = (
        next(q["spots"] for q in found["quantities"] if q["heading"].startswith(heading))
        for heading in ("Trained parameters", "Held-out loss")
    )
    values = {m["title"]: (p[0], y[0]) for m, p, y in zip(found["methods"], parameters, loss, strict=True) if p[0]}
    beaten = {
        one for one, (p, y) in values.items() if any(q <= p and z <= y and (q, z) != (p, y) for q, z in values.values())
    }
    assert best == set(values) - beaten and "Full" in best and "Prefix" not in best


def test_rows_are_filtered_and_saved(browser: Browser, tmp_path: Path) -> None:
    visible = "[...document.querySelectorAll('#table-measured tbody tr')].filter(r => !r.hidden).length"
    assert browser.run(visible) == len(ABOUT)
    browser.type("#explorer-filter", "qtha prefix")
    titles = {methods.declared(name).title for name in ("qtha", "qtha_none", "qtha_silu", "prefix")}
    assert browser.run(visible) == len(titles) == len(points(browser))
    browser.run("document.querySelectorAll('#table-measured th button')[0].focus()")
    browser.press("Enter")
    browser.send("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path))
    browser.click("#explorer-save")
    deadline = time.monotonic() + 10
    while not (saved := tmp_path / "ketune.csv").exists():
        assert time.monotonic() < deadline, "no file was saved in 10 s"
        time.sleep(0.05)
    rows = list(csv.DictReader(saved.open()))
    order = browser.run(f"{visible.removesuffix('.length')}.map(r => r.cells[0].textContent)")
    assert [row["Method"] for row in rows] == order and order[0] == "Prefix", "in the order that the reader chose"
    assert set(order) == titles
    prefix = next(row for row in rows if row["Method"] == "Prefix")
    assert float(prefix["Trained parameters"]) == ABOUT["prefix"][0]
    low, value, high = (float(prefix[f"Held-out loss, nats per token{end}"]) for end in (": low", "", ": high"))
    assert low < value < high
    browser.run("document.querySelector('#explorer-filter').select()")
    browser.type("#explorer-filter", "nothing like it")
    assert points(browser) == []
    assert browser.run("document.querySelector('#explorer-note').textContent") == "No method has both."


def test_without_a_script_the_table_and_the_static_figures_stand(page: Path, tmp_path: Path) -> None:
    with Browser(tmp_path / "profile") as browser:
        browser.send("Emulation.setScriptExecutionDisabled", value=True)
        browser.open(page)
        assert browser.run("document.querySelector('#explorer').checkVisibility()") is False
        assert browser.run("document.querySelector('#table-measured').checkVisibility()") is True
        assert browser.run("document.querySelector('#figure-loss_against_parameters svg').checkVisibility()") is True


def test_the_theme_follows_the_button(browser: Browser) -> None:
    colour = "getComputedStyle(document.documentElement).backgroundColor"
    assert browser.run(colour) == "rgb(255, 255, 255)"
    browser.click("#theme")
    assert browser.run(colour) == "rgb(17, 20, 24)"
    browser.click("#theme")
    assert browser.run(colour) == "rgb(255, 255, 255)"


@pytest.mark.parametrize(("width", "dark"), [(1400, False), (390, True)])
def test_nothing_overlaps_or_leaves_its_place(page: Path, tmp_path: Path, width: int, dark: bool) -> None:
    with Browser(tmp_path / "profile", width=width, dark=dark) as browser:
        browser.open(page)
        assert browser.run("document.documentElement.scrollWidth") <= width
        assert browser.run(OVERLAPS) == []
        assert browser.run(OUTSIDE) == []
        assert browser.run("document.querySelectorAll('figure svg').length") >= 6
        assert browser.run(EMPTY) == 0
        assert browser.run("getComputedStyle(document.documentElement).backgroundColor") == (
            "rgb(17, 20, 24)" if dark else "rgb(255, 255, 255)"
        )
        assert browser.complaints() == []
