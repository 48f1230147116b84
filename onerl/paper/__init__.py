"""The paper beside ours.

`numbers` reads the paper's tables (params/paper/*.csv). `beside` puts what we measured next to
them, row by row, and names what is missing. `claims` lists what the paper and its critics say,
`effects` measures each claim on a recorded grid, and the verdict follows from the interval.
"""

from onerl.paper.numbers import described, footnotes, row, table, tables

__all__ = ["described", "footnotes", "row", "table", "tables"]
