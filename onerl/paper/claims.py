"""The paper's claims beside what the embedded world shows: a verdict each, computed from the data.

    claims.table("ablation")      the claims that one grid answers; what a notebook ends with
    claims.table()                all of them; what the report and the README show

A verdict is one of

    seen here        the whole 95 % interval of the effect lies where the claim says, and its mean
                     is not negligible (a point, or a token)
    not seen here    it does not: the effect is elsewhere, or the interval too wide to say
    cannot be seen   the embedded world has nothing to see it on, and why

and nothing else. Effects are means over training seeds with Student's interval, paired by seed and
problem where two runs are compared; fewer than three seeds give no verdict. "Equal" means that the
interval lies within `EQUAL` points of zero.

The claims were written down with their measures and margins before the grids were complete; that
an effect below a point is none, when one of +0.5 counted as a lift beside the paper's +25. They are
read from the recorded grids (`onerl.grids.recorded`), never from a run of the reader's own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from inspect import signature
from typing import Literal

import numpy as np
import pandas as pd

from onerl.estimates import Estimate
from onerl.grids import recorded
from onerl.grids.grid import Grid
from onerl.paper.effects import MEASURES
from onerl.parameters import RecipeError, choose, params_folder, read_yaml

EQUAL = 3.0  # points: about the 95 % interval of a 1,000-problem accuracy
SEEDS = 3  # fewer give no verdict
NEGLIGIBLE = 1.0  # points
SEEN, NOT_SEEN, CANNOT = "seen here", "not seen here", "cannot be seen at this scale"
COLUMNS = ["claim", "paper", "effect", "low", "high", "seeds", "verdict"]


@dataclass(frozen=True)
class Claim:
    """A finding of the paper (or of its critics), and where the effect has to lie: `expected` of 0.

    Where `measure` is None, `why` says why this scale cannot show it.
    """

    text: str
    source: str
    expected: Literal["above", "below", "equal"] = "above"
    measure: Callable[[Grid], Estimate] | None = None
    why: str = ""

    def verdict(self, effect: Estimate | None) -> str:
        if effect is None:
            return f"{CANNOT}: {self.why}"
        if len(effect.points) < SEEDS:
            return f"no verdict: {len(effect.points)} of {SEEDS} seeds"
        holds = {
            "above": effect.low > 0 and effect.value >= NEGLIGIBLE,
            "below": effect.high < 0 and effect.value <= -NEGLIGIBLE,
            "equal": effect.low > -EQUAL and effect.high < EQUAL,
        }[self.expected]
        return SEEN if holds else NOT_SEEN


@lru_cache(maxsize=1)
def declared() -> dict[str, tuple[Claim, ...]]:
    """The claims of params/paper/claims.yaml, by the recorded grid that answers them.

    Raises:
        RecipeError: a claim has an unknown key, expectation or measure.
    """
    file = params_folder() / "paper" / "claims.yaml"
    return {grid: tuple(map(_claim, entries)) for grid, entries in read_yaml(file).items()}


def _claim(entry: dict) -> Claim:
    for key in entry:
        choose("key", key, ("claim", "source", "expected", "measure", "why"))
    measure = dict(entry.get("measure") or {})
    expected = choose("expected", entry.get("expected", "above"), ("above", "below", "equal"))
    if not measure:
        return Claim(entry["claim"], entry["source"], expected, why=entry["why"])
    of = MEASURES[choose("measure", measure.pop("of"), MEASURES)]
    try:
        signature(of).bind(Grid, **measure)
    except TypeError as error:
        raise RecipeError(f"claim {entry['claim']!r}: measure: {error}") from None
    return Claim(entry["claim"], entry["source"], expected, partial(of, **measure))


def table(grid: str | None = None) -> pd.DataFrame:
    """A row per claim: effect, low, high, seeds, verdict; of one recorded grid, or of all.

    Raises:
        KeyError: no claim is made on such a grid.
        FileNotFoundError: the grid is not recorded.
    """
    rows = []
    for name in declared() if grid is None else [grid]:
        found = recorded.load(name)
        for claim in declared()[name]:
            effect = claim.measure(found) if claim.measure else None
            shown = effect or Estimate(np.nan, np.nan, np.nan, 0)
            numbers = [shown.value, shown.low, shown.high, len(shown.points)]
            rows.append([claim.text, claim.source, *numbers, claim.verdict(effect)])
    return pd.DataFrame(rows, columns=COLUMNS)


def text(rows: pd.DataFrame) -> str:
    """The table for print: a line for the claim, one for what was found."""
    lines = []
    for row in rows.itertuples():
        lines.append(f"{row.claim} ({row.paper})")
        found = f"{row.effect:+.1f} [{row.low:+.1f}, {row.high:+.1f}], {row.seeds} seeds: "
        lines.append(f"    {'' if np.isnan(row.effect) else found}{row.verdict}")
    return "\n".join(lines)


def markdown(rows: pd.DataFrame) -> str:
    """The table as docs/verdicts.md has it."""
    lines = [
        "| the paper says | where | effect in points [95 % interval] | here |",
        "|--|--|--|--|",
    ]
    for row in rows.itertuples():
        effect = f"{row.effect:+.1f} [{row.low:+.1f}, {row.high:+.1f}]"
        verdict = {SEEN: "**seen**", NOT_SEEN: "not seen"}.get(row.verdict, row.verdict)
        cells = [row.claim, row.paper, "" if np.isnan(row.effect) else effect, verdict]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)
