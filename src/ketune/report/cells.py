"""Tables as frames of cells, and their forms: HTML cells, CSV with raw values, LaTeX for papers. It knows no metric."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

MINUS = "\u2212"
ABSENT = "–"
LATEX = str.maketrans(
    {character: rf"\{character}" for character in "&%$#_{}"}
    | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", MINUS: "$-$", "–": "--",
       "±": r"$\pm$", "→": r"$\to$", "↓": r"$\downarrow$", "↑": r"$\uparrow$", "≥": r"$\geq$", "≤": r"$\leq$",
       "×": r"$\times$", "³": "$^3$", "†": r"$\dagger$", "√": r"$\surd$"}
)  # fmt: skip


@dataclass(frozen=True)
class Cell:
    """One cell.

    Attributes:
        text: what is read.
        value: what is sorted by and written to CSV; the text where it is left out.
        note: a second, smaller line.
        mark: a CSS class with a meaning: better, worse, open, comparable, same, differs, best.
        method: a method whose marker precedes the text.
    """

    text: str
    value: Any = None
    note: str = ""
    mark: str = ""
    method: str = ""

    @property
    def raw(self) -> Any:
        """The value for CSV and for sorting: of a number nine digits, those in which all processors agree."""
        if isinstance(self.value, float):
            return float(f"{round(self.value, 15):.9g}")
        return self.text if self.value is None else self.value

    @property
    def numeric(self) -> bool:
        """True where the cell is set flush right."""
        return isinstance(self.value, (int, float)) and not isinstance(self.value, bool)


@dataclass(frozen=True)
class Table:
    """A table with a name (its file's stem), a caption and a frame of cells."""

    name: str
    caption: str
    cells: pd.DataFrame

    def numeric(self, column: str) -> bool:
        """True where the column holds numbers, absent ones aside."""
        cells = [cell for cell in self.cells[column] if cell.text != ABSENT]
        return bool(cells) and all(cell.numeric for cell in cells)


def table(name: str, caption: str, rows: list[dict[str, Cell]]) -> Table | None:
    """A table of rows by column; None where there are no rows."""
    return Table(name, caption, pd.DataFrame(rows)) if rows else None


def number(value: float | None, digits: int, *, signed: bool = False) -> str:
    """A number with a true minus sign and thousands apart; a dash where there is none."""
    if value is None or not math.isfinite(value):
        return ABSENT
    text = f"{value:+,.{digits}f}" if signed else f"{value:,.{digits}f}"
    if float(text.replace(",", "")) == 0:
        text = text.lstrip("+-")
    return text.replace("-", MINUS)


def counted(count: int, noun: str) -> str:
    """`3 seeds`, `1 seed`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def lowered(title: str) -> str:
    """A title within a sentence: "held-out loss", but BLEU."""
    return title[0].lower() + title[1:] if title[1:2].islower() else title


def numeral(value: float | None, digits: int, *, signed: bool = False, **more: str) -> Cell:
    """A cell with a number."""
    text = number(value, digits, signed=signed)
    return Cell(text, None if text == ABSENT else value, **more)


def probability(value: float) -> Cell:
    """A p-value, the smallest ones as such."""
    return Cell("< 0.001" if value < 0.001 else number(value, 3), value)


def interval(low: float, high: float, digits: int, *, signed: bool = False) -> str:
    """An interval in brackets."""
    return f"[{number(low, digits, signed=signed)}, {number(high, digits, signed=signed)}]"


def raw(cells: pd.DataFrame) -> pd.DataFrame:
    """The values that sorting and CSV go by, nothing where a value is absent; notes in a column behind theirs."""
    notes = cells.map(lambda cell: cell.note)
    values = cells.map(lambda cell: "" if cell.text == ABSENT else cell.raw)
    for column in notes.columns[(notes != "").any()]:
        values.insert(values.columns.get_loc(column) + 1, f"{column}, note", notes[column])
    return values


def write(table: Table, folder: Path) -> None:
    """Write a table as CSV and as LaTeX, for the package booktabs."""
    raw(table.cells).to_csv(folder / f"{table.name}.csv", index=False, lineterminator="\n")
    (folder / f"{table.name}.tex").write_text(latex(table), encoding="utf-8")


def latex(table: Table) -> str:
    """A tabular with its caption; notes follow their value in small type."""
    styled = table.cells.style.hide(axis="index").format(_tex_cell).format_index(_tex, axis="columns")
    align = "".join("r" if table.numeric(column) else "l" for column in table.cells)
    return styled.to_latex(hrules=True, column_format=align, caption=_tex(table.caption))


def _tex_cell(cell: Cell) -> str:
    text = rf"\textbf{{{_tex(cell.text)}}}" if cell.mark == "best" else _tex(cell.text)
    return rf"{text} {{\small {_tex(cell.note)}}}" if cell.note else text


def _tex(text: str) -> str:
    return text.translate(LATEX)
