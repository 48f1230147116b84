"""The paper's tables with our numbers beside them, and what is missing.

    theirs(["math500", "arc_easy"])     the paper's numbers on these benchmarks, as an evaluation's

The paper's numbers are its model's: they are never in one column with those of the embedded world.
"""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from onerl import paper
from onerl.protocols import protocol_for

COLUMN_OF = {
    "math500": "math500",
    "aime24": "aime24",
    "aime25": "aime25",
    "amc23": "amc23",
    "minerva_math": "minerva",
    "olympiadbench": "olympiad",
}
"""Benchmark: its column in the paper's tables."""

STANDS_FOR_WORLD = "math500"
"""What the paper has where the embedded world has its held-out problems."""

BEST_AVERAGE = "best average on the test sets"


def theirs(benchmarks: Iterable[str]) -> pd.DataFrame:
    """The paper's model before and after training on pi1, on these benchmarks.

    Its Tables 8 and 1, columns model, benchmark, n, k, value, protocol, checkpoint. For the
    embedded world's sets it is MATH500, for other sets that the paper has not, nothing. n and k are
    empty where the paper does not say.
    """
    sizes = paper.table("benchmarks").set_index("benchmark")
    rows = []
    names = [STANDS_FOR_WORLD if name.startswith("world") else name for name in benchmarks]
    for name in dict.fromkeys(names):
        for data, model, checkpoint in (
            ("base", "Qwen2.5-Math-1.5B", "as given"),
            ("pi1", "  after 1-shot RLVR on pi1", BEST_AVERAGE),
        ):
            if name in COLUMN_OF:
                value = paper.row("table8_main", data=data)[COLUMN_OF[name]]
                n, k = sizes.loc[name, ["n_questions", "copies"]]
                how = protocol_for(name, "paper")[0]
                rows.append([model, name, n, k, value, how, checkpoint])
            elif name in ("arc_easy", "arc_challenge"):
                value = paper.row("table1_arc", data=data)[name]
                rows.append([model, name, None, None, value, "not published", checkpoint])
    columns = ["model", "benchmark", "n", "k", "value", "protocol", "checkpoint"]
    return pd.DataFrame(rows, columns=columns).astype({"n": "Int64", "k": "Int64"})
