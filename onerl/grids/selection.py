"""Which example to train on: the historical variance score, and scores to set it beside.

    history = run.history                 # share of right rollouts by step (rows) and example
    scores(history)                       # a row per example: std, lim, near_half, mean, visits, …
    scores(problems.released_history())   # the authors' 500 steps on DSR-sub: the paper's ranks

An example's history is the list of its training accuracies, one for each visit. The paper ranks by
their variance (Eq. 1, 2); its example pi_j is the one ranked j. The rivals: LIMR's agreement with
the mean curve of all examples (arXiv 2502.11886, as in the paper's released selection script),
mean accuracy near one half, and chance. Whether one predicts a gain takes the grid "selection".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from onerl.problems.released import historical_variance, ranks

SCORES = ("std", "lim", "near_half", "random")


def lim(histories: Sequence[Sequence[float]]) -> np.ndarray:
    """LIMR's alignment of each history with the mean over all, shape (examples,).

    1 - sum_t (s_it - mean_t)^2 / sum_t (1 - mean_t)^2, all cut to the shortest history, as in the
    released script. 1 follows the mean exactly. NaN for all where the mean is 1 at every visit.
    """
    visits = min(map(len, histories))
    cut = np.array([list(history)[:visits] for history in histories], dtype=float)
    mean = cut.mean(axis=0)
    room = ((1 - mean) ** 2).sum()
    distance = ((cut - mean) ** 2).sum(axis=1)
    return 1 - distance / room if room > 0 else np.full(len(cut), np.nan)


def near_half(accuracies: Sequence[float]) -> float:
    """1 where the mean accuracy is one half, 0 where it is 0 or 1."""
    return float(1 - 2 * abs(np.mean(np.asarray(accuracies, dtype=float)) - 0.5))


def scores(history: pd.DataFrame | Mapping[str, Sequence[float]], seed: int = 0) -> pd.DataFrame:
    """Every score of every example.

    Args:
        history: `Run.history` (a column per example, NaN where it was not visited), or the lists
            of accuracies by example.
        seed: of the random order.

    Returns:
        A row per example, as given: mean, visits, std, lim, near_half, random, and the rank by each
        of the last four ("rank std", …; 1 is the greatest).

    Raises:
        ValueError: there is no example, or one was never visited.
    """
    if isinstance(history, pd.DataFrame):
        history = {name: column.dropna().tolist() for name, column in history.items()}
    unseen = [name for name, accuracies in history.items() if len(accuracies) == 0]
    if not history or unseen:
        raise ValueError(
            f"history: {len(history)} examples, never visited: {unseen[:5]}; a score needs the"
            " accuracies of a run on more than one example, each visited"
        )
    lists = list(history.values())
    table = pd.DataFrame(index=pd.Index(history, name="example"))
    of_each = {"mean": np.mean, "visits": len, "std": historical_variance}
    for name, score in of_each.items():
        table[name] = [score(accuracies) for accuracies in lists]
    table["lim"], table["near_half"] = lim(lists), [near_half(values) for values in lists]
    table["random"] = np.random.default_rng(seed).random(len(lists))
    return table.assign(**{f"rank {name}": ranks(table[name]) for name in SCORES})
