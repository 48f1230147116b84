"""The paper's numbers, to be set beside ours: a thin reader of `params/paper/*.csv`.

    table("table5_ablation")               a DataFrame; labels and names stay text
    row("table8_main", data="pi1")         the one row that matches, as a Series
    footnotes("table3_examples")           what to tell a reader about numbers that look misprinted
    tables()                               the names there are

Conventions of the files (arXiv 2504.20571 v3): accuracies in percent, an empty cell where the
paper gives nothing, everything as printed. None of the numbers has an interval: the paper ran one
seed, and chose most checkpoints on the test sets.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from onerl.parameters import nearest, params_folder

if TYPE_CHECKING:
    import pandas as pd


TEXT = ("label", "response", "data", "example", "model", "category")
"""Columns that must not become numbers: the label 12.80 is not 12.8."""


class Footnote(NamedTuple):
    """A remark on one printed number: the row that `where` selects, its column, and the remark."""

    where: dict[str, Any]
    column: str
    text: str


FOOTNOTES = {
    "table3_examples": (
        Footnote({"data": "pi605"}, "math500", "the subjects' accuracies imply 70.2"),
        Footnote(
            {"data": "pi1207"},
            "precalculus",
            "no whole number of the 56 problems gives this; 42.9 is likely",
        ),
    ),
    "table5_ablation": (
        Footnote({"row": 1}, "math500", "nothing is trained: the initial model in fp32"),
        Footnote({"row": 13}, "label", "section 4.2 has 9292725"),
    ),
    "table8_main": (
        Footnote({"data": "base"}, "math500", "in bf16, as on the hub; in fp32 it is 39.6"),
    ),
    "table11_best_other_models": (
        Footnote(
            {"model": "Qwen2.5-Math-7B", "data": "DSR-sub"},
            "amc23",
            "207 of 320 is 64.69: cut, not rounded",
        ),
        Footnote(
            {"model": "Qwen2.5-Math-7B", "data": "pi1+pi13"}, "size", "printed as 1, a misprint"
        ),
        Footnote(
            {"model": "Llama-3.2-3B-Instruct", "data": "DSR-sub"},
            "aime25",
            "equals its AIME24 and is far above every other Llama value; perhaps 1.7",
        ),
    ),
    "table20_pass_at_8": (
        Footnote({"data": "base"}, "aime24", "8 of 30 is 26.67: cut, not rounded"),
        Footnote({"data": "1-shot", "step": 1500}, "aime24", "8 of 30 is 26.67: cut, not rounded"),
    ),
}
"""Numbers that look misprinted or need a word; the tables keep them as printed."""


def tables() -> list[str]:
    """Names of the paper's tables, sorted."""
    return sorted(file.stem for file in (params_folder() / "paper").glob("*.csv"))


def table(name: str) -> pd.DataFrame:
    """One table of the paper by name.

    Raises:
        ValueError: no such table; the message names the nearest one.
    """
    import pandas as pd

    if name not in tables():
        raise ValueError(
            f"paper: no table {name!r}{nearest(name, tables())}; there are: {', '.join(tables())}"
        )
    return pd.read_csv(params_folder() / "paper" / f"{name}.csv", dtype=dict.fromkeys(TEXT, str))


def row(name: str, **where: Any) -> pd.Series:
    """The one row of a table whose columns have the given values.

    Raises:
        ValueError: no such table or column, or not exactly one such row.
    """
    found = table(name)
    for column, value in where.items():
        if column not in found:
            raise ValueError(
                f"paper: {name} has no column {column!r}{nearest(column, found)};"
                f" there are: {', '.join(found)}"
            )
        found = found[found[column] == value]
    if len(found) != 1:
        raise ValueError(f"paper: {name} has {len(found)} rows with {where}, not one")
    return found.iloc[0]


def footnotes(name: str) -> list[str]:
    """A line for each number of a table that looks misprinted or needs a word."""
    lines = []
    for where, column, text in FOOTNOTES.get(name, ()):
        place = ", ".join(f"{key} {value}" for key, value in where.items())
        lines.append(f"{place}, {column} = {row(name, **where)[column]}: {text}")
    return lines
