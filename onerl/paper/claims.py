"""The paper's claims beside what the embedded world shows: a verdict each, computed from the data.

    claims.table("ablation")      the claims that one grid answers; what a notebook ends with
    claims.table()                all of them; what the report and the README show

A verdict is one of

    seen here        the whole 95 % interval of the effect lies where the claim says, and its mean
                     is not negligible (a point, or a token)
    not seen here    it does not: the effect is elsewhere, or the interval too wide to say
    cannot be seen   the embedded world has nothing to see it on, and why

and nothing else: no claim is asserted into being. Effects are means over training seeds with
Student's interval, paired by seed and problem where two runs are compared; fewer than three seeds
give no verdict. "Equal" means that the interval lies within `EQUAL` points of zero.

The claims were written down with their measures and margins before the grids were complete; that
an effect below a point is none, when one of +0.5 counted as a lift beside the paper's +25. They are
read from the recorded grids (`onerl.grids.recorded`), never from a run of the reader's own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from onerl.grids import recorded
from onerl.grids.grid import Grid
from onerl.paper.effects import (
    Effect,
    after_saturation,
    best_step,
    minus,
    other_categories,
    own_category,
    score_predicts_gain,
    weakest_family,
)

EQUAL = 3.0  # points: about the 95 % interval of a 1,000-problem accuracy
SEEDS = 3  # fewer give no verdict
NEGLIGIBLE = 1.0  # points
SEEN, NOT_SEEN, CANNOT = "seen here", "not seen here", "cannot be seen at this scale"
COLUMNS = ["claim", "paper", "effect", "low", "high", "seeds", "verdict"]


@dataclass(frozen=True)
class Claim:
    """A finding of the paper (or of its critics), and how a grid can show it.

    `expected` is where the effect has to lie: above 0, below 0, or equal to 0. Where `measure` is
    None, `why` says why this scale cannot show it.
    """

    text: str
    source: str
    expected: Literal["above", "below", "equal"] = "above"
    measure: Callable[[Grid], Effect] | None = None
    why: str = ""

    def verdict(self, effect: Effect | None) -> str:
        if effect is None:
            return f"{CANNOT}: {self.why}"
        if effect.seeds < SEEDS:
            return f"no verdict: {effect.seeds} of {SEEDS} seeds"
        holds = {
            "above": effect.low > 0 and effect.value >= NEGLIGIBLE,
            "below": effect.high < 0 and effect.value <= -NEGLIGIBLE,
            "equal": effect.low > -EQUAL and effect.high < EQUAL,
        }[self.expected]
        return SEEN if holds else NOT_SEEN


def table(grid: str | None = None) -> pd.DataFrame:
    """A row per claim: effect, low, high, seeds, verdict; of one recorded grid, or of all.

    Raises:
        KeyError: no claim is made on such a grid.
        FileNotFoundError: the grid is not recorded.
    """
    rows = []
    for name in CLAIMS if grid is None else [grid]:
        found = recorded.load(name)
        for claim in CLAIMS[name]:
            effect = claim.measure(found) if claim.measure else None
            numbers = [np.nan] * 3 if effect is None else [effect.value, effect.low, effect.high]
            seeds = 0 if effect is None else effect.seeds
            rows.append([claim.text, claim.source, *numbers, seeds, claim.verdict(effect)])
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
    """The table as the README has it."""
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


# -- the claims ---------------------------------------------------------------------------------

CLAIMS: Mapping[str, tuple[Claim, ...]] = {
    "ablation": (
        Claim("one example lifts held-out accuracy", "Table 5 row 5", "above", minus("row 5")),
        Claim("the policy loss alone does it", "Table 5 row 2", "above", minus("row 2")),
        Claim(
            "weight decay and KL add nothing to it",
            "Table 5 rows 2, 4",
            "equal",
            minus("row 4", "row 2"),
        ),
        Claim("weight decay and KL alone do nothing", "Table 5 row 8", "equal", minus("row 8")),
        Claim(
            "the entropy bonus adds to it", "Table 5 rows 4, 5", "above", minus("row 5", "row 4")
        ),
        Claim(
            "the gain is more than format",
            "section 4, appendix C.2.3",
            "above",
            minus("row 5", metric="accuracy_any_format"),
        ),
    ),
    "label_corruption": (
        Claim(
            "a slightly wrong label works as well",
            "Table 5 row 11",
            "equal",
            minus("slightly off", "right"),
        ),
        Claim(
            "a guessable wrong label is worse than the right one",
            "Table 5 row 12",
            "below",
            minus("guessable", "right"),
        ),
        Claim(
            "and worse than one that cannot be guessed",
            "Table 5 rows 12, 13",
            "below",
            minus("guessable", "unreachable"),
        ),
        Claim(
            "a label that cannot be guessed still lifts",
            "Table 5 row 13",
            "above",
            minus("unreachable"),
        ),
        Claim(
            "60 % wrong labels in the full set cost little",
            "Table 17",
            "equal",
            minus("full set, 60 % wrong", "full set"),
        ),
        Claim(
            "90 % wrong labels are worse than one right example",
            "Table 17",
            "below",
            minus("full set, 90 % wrong", "right"),
        ),
    ),
    "cross_category": (
        Claim(
            "an example lifts the other categories", "Table 3, Figure 6", "above", other_categories
        ),
        Claim("its own category is not favoured", "Table 3", "equal", own_category),
    ),
    "data_size": (
        Claim(
            "one example does what the full set does",
            "Table 8",
            "equal",
            minus("1", "full set"),
        ),
        Claim("16 examples do no more than one", "Table 9", "equal", minus("16", "1")),
    ),
    "dynamics": (
        Claim(
            "test accuracy rises after training accuracy has saturated (greedy)",
            "Figure 2",
            "above",
            after_saturation("accuracy", "world"),
        ),
        Claim(
            "the same, sampled at the training temperature",
            "Figure 2",
            "above",
            after_saturation("accuracy", "world-sampled"),
        ),
        Claim(
            "answers grow longer after saturation (tokens)",
            "Figure 4",
            "above",
            after_saturation("length", "world-sampled"),
        ),
        Claim(
            "words of reflection become more frequent after saturation",
            "Figure 4",
            "above",
            after_saturation("reflection", "world-sampled"),
        ),
    ),
    "slips": (
        Claim(
            "in a world with more slips to repair, words of reflection become more frequent",
            "Figure 4",
            "above",
            minus("slips", metric="reflection", benchmark="world-sampled"),
        ),
    ),
    "exploration": (
        Claim(
            "the entropy bonus helps at T = 0.6",
            "Figure 5",
            "above",
            minus("entropy 0.001, T 0.6", "entropy 0, T 0.6"),
        ),
        Claim(
            "sampling at T = 1.0 helps further",
            "Figure 5",
            "above",
            minus("entropy 0.001, T 1.0", "entropy 0.001, T 0.6"),
        ),
        Claim(
            "the entropy loss alone collapses in the end",
            "Table 13",
            "below",
            minus("entropy alone"),
        ),
    ),
    "entropy_alone": (
        Claim(
            "the entropy loss alone lifts for a few steps",
            "Tables 6, 13",
            "above",
            best_step("entropy alone"),
        ),
        Claim(
            "so does minimising the entropy",
            "arXiv 2505.20282",
            "above",
            best_step("entropy minimisation"),
        ),
    ),
    "controls": (
        Claim(
            "the outcome reward beats the format reward",
            "Table 14",
            "above",
            minus("outcome", "format"),
        ),
        Claim("the format reward lifts too", "Table 14", "above", minus("format")),
        Claim("a random reward lifts too", "arXiv 2506.10947", "above", minus("random")),
        Claim("a reward for wrong answers lifts too", "arXiv 2506.10947", "above", minus("wrong")),
    ),
    "transfer": (
        Claim(
            "one example lifts tasks outside the training domain, every family of them",
            "Table 1",
            "above",
            weakest_family("pi1"),
        ),
        Claim(
            "and more than the full set does",
            "Table 1",
            "above",
            minus("pi1", "full set", benchmark="world-unseen"),
        ),
    ),
    "prompt_variants": (
        Claim(
            "the simplified example lifts less", "Table 18", "below", minus("pi1 simplified", "pi1")
        ),
        Claim(
            "the sentence that ends the training prompt matters",
            "Table 18, appendix C.2.3",
            why="the world's prompts have none",
        ),
    ),
    "selection": (
        Claim(
            "the historical variance predicts the gain (rank correlation, x 100)",
            "Equation 1, Table 3",
            "above",
            score_predicts_gain,
        ),
    ),
}
"""The claims by the recorded grid that answers them."""
