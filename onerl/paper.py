"""The paper's numbers, to be set beside ours: a thin reader of `params/paper/*.csv`.

    table("table5_ablation")     a DataFrame; labels and names stay text
    tables()                     the names there are

Conventions of the files: accuracies in percent, an empty cell where the paper gives nothing,
`avg` as printed. What each file is: `reference`, section 10 (arXiv 2504.20571 v3).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from onerl.parameters import nearest, params_folder

if TYPE_CHECKING:
    import pandas as pd

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
    import pandas as pd

    if name not in tables():
        raise ValueError(
            f"paper: no table {name!r}{nearest(name, tables())}; there are: {', '.join(tables())}"
        )
    return pd.read_csv(params_folder() / "paper" / f"{name}.csv", dtype=dict.fromkeys(TEXT, str))
