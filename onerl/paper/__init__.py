"""The paper beside ours: its numbers (here, from `params/paper/*.csv`), tables and claims.

    table("table5_ablation")               a DataFrame; labels and names stay text
    row("table8_main", data="pi1")         the one row that matches, as a Series
    footnotes("table3_examples")           what to tell a reader about numbers that look misprinted
    tables()                               the names there are

`beside` puts what we measured next to the tables, row by row, and names what is missing. `claims`
lists what the paper and its critics say, `effects` measures each claim on a recorded grid, and the
verdict follows from the interval.

Conventions of the files (arXiv 2504.20571 v3): accuracies in percent, an empty cell where the
paper gives nothing, everything as printed. None of the numbers has an interval: the paper ran one
seed, and chose most checkpoints on the test sets.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import pandas as pd
import yaml

from onerl.parameters import choose, nearest, params_folder

TEXT = ("label", "response", "data", "example", "model", "category")
"""Columns that must not become numbers: the label 12.80 is not 12.8."""


def tables() -> list[str]:
    """Names of the paper's tables, sorted."""
    return sorted(file.stem for file in (params_folder() / "paper").glob("*.csv"))


def table(name: str) -> pd.DataFrame:
    """One table of the paper by name.

    Raises:
        ValueError: no such table; the message names the nearest one.
    """
    file = params_folder() / "paper" / f"{choose('table of the paper', name, tables())}.csv"
    return pd.read_csv(file, dtype=dict.fromkeys(TEXT, str))


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


@lru_cache
def described(file: str) -> dict[str, Any]:
    """A YAML file of `params/paper` that says something of the tables: arms or footnotes."""
    return yaml.safe_load((params_folder() / "paper" / f"{file}.yaml").read_text("utf-8"))


def footnotes(name: str) -> list[str]:
    """A line for each number of a table that looks misprinted or needs a word."""
    lines = []
    for note in described("footnotes").get(name, ()):
        place = ", ".join(f"{key} {value}" for key, value in note["where"].items())
        printed = row(name, **note["where"])[note["column"]]
        lines.append(f"{place}, {note['column']} = {printed}: {note['text']}")
    return lines
