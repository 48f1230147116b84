"""How a run is: one verdict, and the numbers that show it, from the rows of metrics.jsonl alone.

    health = run.health           of any run folder, finished or not
    health.verdict                a name of VERDICTS
    health.sentence               the same as a sentence, with its number
    health.checks                 every check: its value, its bound, and whether it holds

The checks stand in the order in which they decide: the first that fails gives the verdict. The base
model is known by the first step's rollouts, which are sampled before any update; "lately" is the
mean over the last 10 steps. Bounds are constants here, each with its reason, and are wide: in
between, a run is called healthy. Not covered: whether held-out answers get better, which only an
evaluation shows, and a reward that pays for the wrong thing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

    Columns = dict[str, np.ndarray]

VERDICTS = {
    "healthy": "every check holds",
    "saturated": "nearly every rollout is rewarded; the paper trains on from here",
    "no steps": "nothing is recorded yet",
    "non-finite": "a number is NaN or infinite",
    "collapsed": "the model lost what it could do before training",
    "update too large": "one update is as large as the weights themselves",
    "grading errors": "the verifier could not grade many rollouts",
    "never rewarded": "no rollout of the run earned a reward",
    "always rewarded": "every rollout of the run earned the same full reward",
    "no signal": "all rollouts of a group are rewarded alike: nothing to learn from",
    "weak signal": "few steps have a group whose rewards differ",
    "no update": "the weights have not moved",
}
"""Every verdict, and what it means."""

WELL = ("healthy", "saturated", "no steps")

WINDOW = 10
"""Steps of "lately". The mean of 10 steps of 64 rollouts is known to within 0.04."""

SATURATED = 0.95
"""Training reward, lately. The paper reads its saturation off a curve that is near 1."""

QUIET = 10
"""Steps in a row without a signal. Where one rollout in 100 is rewarded, every second step of 64
rollouts has none, so 10 such steps in a row are chance once in 600."""

WEAK = 0.5
"""Share of the last 10 steps that have a signal. Below it most updates have no policy gradient."""

EVIDENCE = 100
"""Rollouts, without the first step's, before a collapse is judged: a share is then known to 0.1."""

LOST = 0.25
"""What is left lately, of the best reward so far or of the base model's parsed answers. Healthy
runs vary between seeds and steps by less than half."""

DROP = 0.1
"""A fall of the reward that is more than the noise of EVIDENCE rollouts."""

CUT = 0.5
"""Share of rollouts that reach the length limit, lately, where the base model had half as many.
A cut answer is rarely right, so a run that cuts most has lost the end of its answers."""

SHORT = 0.2
"""Length lately, of the base model's. Shortening to a third can pay (a label that is easily
guessed); an answer of a fifth of the length has no room for steps."""

WILD, WILD_NATS = 4.0, 1.0
"""Entropy lately, of the base model's, and in nats: the model is choosing between e tokens, where
it had been choosing between few."""

RIGID = 0.2
"""Entropy lately, of the base model's, while the reward has not risen. An entropy that falls while
the reward rises is what learning looks like."""

LARGE = 0.5
"""An update's norm, of the norm of the weights. An update of the embedded world's runs is 0.006 of
it, of the paper's 0.0001: one of 0.5 does not adjust a model but replaces it."""

UNGRADED = 0.1
"""Share of rollouts whose grading timed out or failed. They count as wrong, which is noise."""

UNABLE = ("timeout", "error", "too-long", "bad-gold")
"""Statuses of a rollout that say that the verifier, not the answer, failed."""

STATUS = "status/"
NUMBERS = (
    *("reward", "reward_std", "policy_loss", "kl", "entropy", "loss", "grad_norm", "update_norm"),
    "completion_length",
)
"""Columns that every row has, where the run has them at all."""

USED = {*NUMBERS, "step", "frac_zero_std", "truncated", "weight_norm"}


class Check(NamedTuple):
    """One number against its bound, and what it means when the bound does not hold."""

    check: str
    value: float
    bound: str
    holds: bool
    verdict: str
    sentence: str


@dataclass(frozen=True, repr=False)
class Health:
    """What a run's metrics say about it."""

    verdict: str
    sentence: str
    results: tuple[Check, ...] = ()

    @property
    def well(self) -> bool:
        """Whether nothing speaks against the run so far."""
        return self.verdict in WELL

    @cached_property
    def checks(self) -> pd.DataFrame:
        """A row per check, the decisive ones first: check, value, bound, holds."""
        import pandas as pd

        return pd.DataFrame([row[:4] for row in self.results], columns=Check._fields[:4])

    def __repr__(self) -> str:
        return f"{self.verdict}: {self.sentence}"

    def _repr_html_(self) -> str:
        table = self.checks.to_html(index=False, float_format="{:.3g}".format)
        return f"<b>{self.verdict}</b>: {self.sentence}{table}"


def health_of(metrics: pd.DataFrame | Sequence[Mapping[str, Any]]) -> Health:
    """The verdict on a run.

    Args:
        metrics: `Run.metrics` or the rows of metrics.jsonl, one per update. Columns that it lacks
            are not checked.
    """
    if not len(metrics):
        return Health("no steps", "no step is recorded yet")
    rows = _columns(metrics)
    last = np.append(rows["step"][1:] != rows["step"][:-1], True)  # of the updates of a step
    steps = {name: values[last] for name, values in rows.items()}
    checks = [*_finite(rows)]
    if checks[0].holds:
        for part in (_collapse, _large_update, _grading, _signal, _moves):
            checks += part(steps)
    failed = [check for check in checks if not check.holds]
    few = failed and failed[0].verdict in ("no signal", "weak signal")
    if failed and not (few and _saturated(steps)):
        return Health(failed[0].verdict, failed[0].sentence, tuple(checks))
    return Health(*_well(steps), tuple(checks))


def _columns(metrics: pd.DataFrame | Sequence[Mapping[str, Any]]) -> Columns:
    """The numbers by name, NaN for null or missing; counts of statuses that a row lacks are 0."""
    frame = hasattr(metrics, "columns")
    names = list(metrics.columns) if frame else list(dict.fromkeys(k for r in metrics for k in r))
    found = {}
    for name in names:
        if name not in USED and not name.startswith(STATUS):
            continue
        cells = metrics[name] if frame else (row.get(name) for row in metrics)
        values = np.array([np.nan if cell is None else cell for cell in cells], float)
        found[name] = np.nan_to_num(values) if name.startswith(STATUS) else values
    return found


def _saturated(steps: Columns) -> bool:
    reward = steps.get("reward", np.empty(0))
    if len(reward) < WINDOW or reward.max() > 1:  # a reward above 1 has a scale of its own
        return False
    return bool(reward[-WINDOW:].mean() >= SATURATED)


def _well(steps: Columns) -> tuple[str, str]:
    if "reward" not in steps:
        return "healthy", f"the numbers of all {len(steps['step'])} steps are finite"
    reward, spread = steps["reward"], _spread(steps)
    lately = reward[-WINDOW:].mean()
    if _saturated(steps):
        return "saturated", (
            f"the training reward is {lately:.2f} (mean of the last {WINDOW} steps), and"
            f" {spread[-WINDOW:].mean():.0%} of the groups still have a signal"
        )
    return "healthy", (
        f"{spread.mean():.0%} of the groups had a signal; the training reward went from"
        f" {reward[0]:.2f} to {lately:.2f} (mean of the last {min(WINDOW, len(reward))} steps)"
    )


def _finite(rows: Columns) -> Iterator[Check]:
    bad = {name: ~np.isfinite(rows[name]) for name in NUMBERS if name in rows}
    broken = np.any(list(bad.values()), axis=0) if bad else np.zeros(len(rows["step"]), bool)
    sentence = ""
    if broken.any():
        first = int(np.argmax(broken))
        names = [name for name, where in bad.items() if where[first]]
        verb = "is" if len(names) == 1 else "are"
        sentence = f"{', '.join(names)} of step {rows['step'][first]:.0f} {verb} NaN or infinite"
    count = int(broken.sum())
    yield Check("rows with a number not finite", count, "0", count == 0, "non-finite", sentence)


def _collapse(steps: Columns) -> Iterator[Check]:
    """The last steps against the first one, which is the base model's."""
    statuses = [name for name in steps if name.startswith(STATUS)]
    lately = slice(max(1, len(steps["step"]) - WINDOW), None)
    rollouts = sum(steps[name][lately].sum() for name in statuses)
    count = len(steps["step"][lately])
    if "reward" not in steps or (rollouts < EVIDENCE if statuses else count < WINDOW / 2):
        return

    def check(what: str, before: float, value: float, bound: str, holds: bool) -> Check:
        went = "rose" if value > before else "fell"
        sentence = f"the {what} {went} from {before:.3g} to {value:.3g} (last {count} steps)"
        return Check(f"{what}, lately", value, bound, bool(holds), "collapsed", sentence)

    first = {name: values[0] for name, values in steps.items()}
    now = {name: values[lately].mean() for name, values in steps.items()}
    best = max(first["reward"], _best_mean(steps["reward"]))
    fallen = best > 0 and best - now["reward"] >= DROP and now["reward"] < LOST * best
    risen = now["reward"] > first["reward"]
    yield check("reward", best, now["reward"], f"at least {LOST * best:.3g}", not fallen)
    if "truncated" in steps:
        before, value = first["truncated"], now["truncated"]
        holds = value < CUT or value < 2 * before
        yield check("share of truncated answers", before, value, f"under {CUT}", holds)
    if f"{STATUS}no-answer" in statuses:
        before, value = (
            1 - row[f"{STATUS}no-answer"] / sum(row[name] for name in statuses)
            for row in (first, now)
        )
        bound = f"at least {LOST * before:.3g}"
        yield check("share of answers in a box", before, value, bound, value >= LOST * before)
    if "completion_length" in steps:
        before, value = first["completion_length"], now["completion_length"]
        holds = value >= SHORT * before or risen
        yield check("length in tokens", before, value, f"at least {SHORT * before:.3g}", holds)
    if "entropy" in steps:
        before, value = first["entropy"], now["entropy"]
        low, high = RIGID * before, max(WILD * before, WILD_NATS)
        holds = value <= high and (value >= low or risen)
        yield check("entropy in nats", before, value, f"{low:.3g} to {high:.3g}", holds)


def _best_mean(reward: np.ndarray) -> float:
    """The highest mean of WINDOW steps in a row."""
    if len(reward) < WINDOW:
        return float(reward[0])
    return float(np.convolve(reward, np.full(WINDOW, 1 / WINDOW), "valid").max())


def _large_update(steps: Columns) -> Iterator[Check]:
    if not {"update_norm", "weight_norm"} <= set(steps):
        return
    with np.errstate(divide="ignore", invalid="ignore"):  # a step of an older version has no norm
        ratio = np.nan_to_num(steps["update_norm"] / steps["weight_norm"], posinf=0.0)
    value, step = ratio.max(), steps["step"][ratio.argmax()]
    sentence = (
        f"the update of step {step:.0f} was {value:.2g} times the norm of the weights; take a"
        " lower learning_rate"
    )
    bound, holds = f"at most {LARGE}", bool(value <= LARGE)
    yield Check("largest update, of the weights", value, bound, holds, "update too large", sentence)


def _grading(steps: Columns) -> Iterator[Check]:
    counts = {n.removeprefix(STATUS): v.sum() for n, v in steps.items() if n.startswith(STATUS)}
    total = sum(counts.values())
    if not total:
        return
    failed = {name: count for name, count in counts.items() if count and name in UNABLE}
    value = sum(failed.values()) / total
    named = ", ".join(f"{name} {count:.0f}" for name, count in failed.items())
    sentence = f"the verifier could not grade {value:.0%} of the rollouts ({named})"
    bound, holds = f"at most {UNGRADED}", bool(value <= UNGRADED)
    yield Check("rollouts not graded", value, bound, holds, "grading errors", sentence)


def _spread(steps: Columns) -> np.ndarray:
    """The share of groups whose rewards differ, by step."""
    if "frac_zero_std" in steps:
        return 1 - steps["frac_zero_std"]
    if "reward_std" in steps:  # equal rewards everywhere are equal in every group
        return (steps["reward_std"] != 0).astype(float)
    return np.ones(len(steps["step"]))


def _signal(steps: Columns) -> Iterator[Check]:
    if "reward" not in steps:
        return
    spread, reward, n = _spread(steps), steps["reward"], len(steps["step"])
    seen = np.flatnonzero(spread > 0)
    quiet = int(n - seen[-1] - 1 if len(seen) else n)
    never, verdict = "there is nothing to learn from", "no signal"
    alike = (
        f"in the last {quiet} steps all rollouts of a group had the same reward (mean"
        f" {reward[-max(quiet, 1) :].mean():.2f}): {never}"
    )
    so_far = f"in the last {n} steps (all so far): {never}"
    if (reward == 0).all():
        verdict, alike = "never rewarded", f"no rollout was rewarded {so_far}"
    elif (reward == 1).all():
        verdict, alike = "always rewarded", f"every rollout was rewarded {so_far}"
    yield Check("groups with a signal", spread.mean(), "over 0", quiet < n, verdict, alike)
    yield Check("steps since a signal", quiet, f"under {QUIET}", quiet < QUIET, "no signal", alike)
    share, last = (spread[-WINDOW:] > 0).mean(), min(n, WINDOW)
    few = f"only {share:.0%} of the last {last} steps had a group whose rewards differ"
    name, bound = f"last {WINDOW} steps with a signal", f"at least {WEAK}"
    yield Check(name, share, bound, bool(share >= WEAK), "weak signal", few)


def _moves(steps: Columns) -> Iterator[Check]:
    if "update_norm" not in steps:
        return
    value = steps["update_norm"].max()
    sentence = f"no weight moved in {len(steps['step'])} steps"
    yield Check("largest update norm", value, "over 0", bool(value > 0), "no update", sentence)
