"""Tables as data, and their three forms: HTML cells, CSV with raw values, LaTeX for papers. It knows no metric."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ketune import records

MINUS = "\u2212"
ABSENT = "–"
LATEX = {"\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
         "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", MINUS: "$-$", "–": "--", "±": r"$\pm$", "→": r"$\to$",
         "≥": r"$\geq$", "≤": r"$\leq$", "×": r"$\times$", "³": "$^3$", "√": r"$\surd$"}  # fmt: skip


@dataclass(frozen=True)
class Cell:
    """One cell.

    Attributes:
        text: what is read.
        value: what is sorted by and written to CSV; the text where it is left out.
        note: a second, smaller line.
        mark: a CSS class with a meaning: better, worse, open, best.
        method: a method whose marker precedes the text.
    """

    text: str
    value: Any = None
    note: str = ""
    mark: str = ""
    method: str = ""

    @property
    def raw(self) -> Any:
        """The value for CSV and for sorting."""
        return self.text if self.value is None else self.value

    @property
    def numeric(self) -> bool:
        """True where the cell is set flush right."""
        return isinstance(self.value, (int, float)) and not isinstance(self.value, bool)


@dataclass(frozen=True)
class Table:
    """A table with a name (its file's stem), a caption and rows of cells."""

    name: str
    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]

    def numeric(self, column: int) -> bool:
        """True where the column holds numbers, absent ones aside."""
        cells = [row[column] for row in self.rows if row[column].text != ABSENT]
        return bool(cells) and all(cell.numeric for cell in cells)


def number(value: float | None, digits: int, *, signed: bool = False) -> str:
    """A number with a true minus sign and thousands apart; a dash where there is none."""
    if value is None or not math.isfinite(value):
        return ABSENT
    text = f"{value:+,.{digits}f}" if signed else f"{value:,.{digits}f}"
    if float(text.replace(",", "")) == 0:
        text = text.lstrip("+-")
    return text.replace("-", MINUS)


def numeral(value: float | None, digits: int, *, signed: bool = False, **more: str) -> Cell:
    """A cell with a number."""
    text = number(value, digits, signed=signed)
    return Cell(text, None if text == ABSENT else value, **more)


def interval(low: float, high: float, digits: int, *, signed: bool = False) -> str:
    """An interval in brackets."""
    return f"[{number(low, digits, signed=signed)}, {number(high, digits, signed=signed)}]"


def write(table: Table, folder: Path) -> None:
    """Write a table as CSV and as LaTeX, for the package booktabs."""
    records.write_csv(folder / f"{table.name}.csv", list(_headings(table)), [_raws(table, row) for row in table.rows])
    records.write_text(folder / f"{table.name}.tex", latex(table))


def _headings(table: Table) -> Iterable[str]:
    for i, column in enumerate(table.columns):
        yield column
        if _noted(table, i):
            yield f"{column}, note"


def _raws(table: Table, row: Sequence[Cell]) -> list[Any]:
    values: list[Any] = []
    for i, cell in enumerate(row):
        values.append("" if cell.text == ABSENT else cell.raw)
        if _noted(table, i):
            values.append(cell.note)
    return values


def _noted(table: Table, column: int) -> bool:
    return any(row[column].note for row in table.rows)


def latex(table: Table) -> str:
    """A tabular with its caption; notes follow their value in small type."""
    align = "".join("r" if table.numeric(i) else "l" for i in range(len(table.columns)))
    lines = [r"\begin{table}", rf"\caption{{{_tex(table.caption)}}}", rf"\begin{{tabular}}{{{align}}}", r"\toprule"]
    lines += [" & ".join(_tex(column) for column in table.columns) + r" \\", r"\midrule"]
    for row in table.rows:
        lines.append(" & ".join(_tex_cell(cell) for cell in row) + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", r"\end{table}", ""])


def _tex_cell(cell: Cell) -> str:
    text = rf"\textbf{{{_tex(cell.text)}}}" if cell.mark == "best" else _tex(cell.text)
    return rf"{text} {{\small {_tex(cell.note)}}}" if cell.note else text


def _tex(text: str) -> str:
    return "".join(LATEX.get(character, character) for character in text)
