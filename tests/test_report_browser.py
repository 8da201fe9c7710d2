"""The page in a real browser: it searches, switches seeds, sorts and asks nobody for anything; nothing overlaps."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from headless import EXECUTABLE, Browser
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
