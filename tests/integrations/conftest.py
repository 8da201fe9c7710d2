"""Writes the table of outcomes, reports/benchmarks/integrations.md, when every test of this folder was asked for."""

import importlib.metadata
import platform
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests"))
SHOWN = ("torch", "transformers", "peft", "accelerate", "trl", "lm-eval", "bitsandbytes")
WORDS = {"passed": "holds", "failed": "FAILS", "skipped": "not tried"}
HEAD = """# The adapters in company

Written by `make test-integrations`, on the processor, with small models of random weights. Each line is one test of
`tests/integrations`; where the right answer is a refusal, the test holds its sentence.
"""


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """One row for each test."""
    reports = [report for found in terminalreporter.stats.values() for report in found if hasattr(report, "nodeid")]
    files = {Path(report.nodeid.partition("::")[0]).name for report in reports}
    if config.option.keyword or files != {file.name for file in Path(__file__).parent.glob("test_*.py")}:
        return
    versions = [f"Python {platform.python_version()}", f"ketune {importlib.metadata.version('ketune')}"]
    versions += [f"{name} {importlib.metadata.version(name)}" for name in SHOWN]
    lines = [HEAD, ", ".join(versions) + ".", "", "| what | outcome | seconds |", "|---|---|---|"]
    for outcome, word in WORDS.items():
        for report in terminalreporter.stats.get(outcome, []):
            name = report.nodeid.rpartition("::")[2].removeprefix("test_").replace("_", " ").replace("|", "/")
            lines.append(f"| {name} | {word} | {report.duration:.1f} |")
    (ROOT / "reports/benchmarks/integrations.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
