"""How a run is: one verdict, and the numbers that show it, from the rows of metrics.jsonl alone.

    health = run.health           of any run folder, finished or not
    health.verdict                a name of VERDICTS
    health.sentence               the same as a sentence, with its number
    health.checks                 every check: its value, its bound, and whether it holds

The checks stand in the order in which they decide: the first that fails gives the verdict. The base
model is known by the first step's rollouts, which are sampled before any update; "lately" is the
mean over the last 10 steps. Bounds are wide: in between, a run is called healthy. Not covered:
whether held-out answers get better, which only an evaluation shows, and a reward that pays for the
wrong thing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
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
WELL = ("healthy", "saturated", "no steps")

# The bounds, each with its reason. Shares are of rollouts, and "of the base model's" a ratio.
WINDOW = 10  # steps of "lately": the mean of 10 steps of 64 rollouts is known to within 0.04
SATURATED = 0.95  # training reward, lately: the paper reads saturation off a curve near 1
QUIET = 10  # steps in a row without a signal: with 1 rollout in 100 rewarded, chance once in 600
WEAK = 0.5  # share of lately's steps with a signal: below, most updates have no policy gradient
EVIDENCE = 100  # rollouts after the first step before a collapse is judged: shares to within 0.1
LOST = 0.25  # of the best reward or of the base model's parsed answers; healthy runs vary by half
DROP = 0.1  # a fall of the reward that is more than the noise of EVIDENCE rollouts
CUT = 0.5  # share cut at the length limit, where the base model had half as many: answers lost
SHORT = 0.2  # length, of the base model's: a third can pay (a guessed label), a fifth has no steps
WILD, WILD_NATS = 4.0, 1.0  # entropy, of the base model's, and in nats: a choice of e tokens
RIGID = (
    0.2  # entropy, of the base model's, with no more reward: else it is what learning looks like
)
LARGE = 0.5  # an update's norm, of the weights': the world's runs have 0.006, the paper's 0.0001
UNGRADED = 0.1  # share whose grading failed: they count as wrong, which is noise
UNABLE = ("timeout", "error", "too-long", "bad-gold")  # the verifier failed, not the answer

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
    rows = _columns(pd.DataFrame(metrics))
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


def _columns(table: pd.DataFrame) -> Columns:
    """The numbers by name, NaN for null or missing; counts of statuses that a row lacks are 0."""
    found = {}
    for name in table:
        if name.startswith(STATUS):
            found[name] = np.nan_to_num(table[name].to_numpy(float))
        elif name in USED:
            found[name] = table[name].to_numpy(float)
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
    first, count = int(np.argmax(broken)), int(broken.sum())
    names = [name for name, where in bad.items() if where[first]]
    verb = "is" if len(names) == 1 else "are"
    sentence = f"{', '.join(names)} of step {rows['step'][first]:.0f} {verb} NaN or infinite"
    yield Check("rows with a number not finite", count, "0", count == 0, "non-finite", sentence)


def _collapse(steps: Columns) -> Iterator[Check]:
    """The last steps against the first one, which is the base model's."""
    statuses = [name for name in steps if name.startswith(STATUS)]
    lately = slice(max(1, len(steps["step"]) - WINDOW), None)
    rollouts = sum(steps[name][lately].sum() for name in statuses)
    count = len(steps["step"][lately])
    if "reward" not in steps or (rollouts < EVIDENCE if statuses else count < WINDOW / 2):
        return
    base = {name: values[0] for name, values in steps.items()}
    now = {name: values[lately].mean() for name, values in steps.items()}
    for row in (base, now) if f"{STATUS}no-answer" in statuses else ():
        row["boxed"] = 1 - row[f"{STATUS}no-answer"] / sum(row[name] for name in statuses)
    risen = now["reward"] > base["reward"]
    if len(steps["reward"]) >= WINDOW:
        means = np.convolve(steps["reward"], np.full(WINDOW, 1 / WINDOW), "valid")
        base["reward"] = max(base["reward"], means.max())  # the best so far

    def check(name: str, what: str, bound: str, holds: bool) -> Check:
        went = "rose" if now[name] > base[name] else "fell"
        change = f"from {base[name]:.3g} to {now[name]:.3g} (last {count} steps)"
        sentence = f"the {what} {went} {change}"
        return Check(f"{what}, lately", now[name], bound, bool(holds), "collapsed", sentence)

    best, least = base["reward"], LOST * base["reward"]
    fallen = best > 0 and best - now["reward"] >= DROP and now["reward"] < least
    yield check("reward", "reward", f"at least {least:.3g}", not fallen)
    if "truncated" in now:
        holds = now["truncated"] < CUT or now["truncated"] < 2 * base["truncated"]
        yield check("truncated", "share of truncated answers", f"under {CUT}", holds)
    if "boxed" in now:
        least = LOST * base["boxed"]
        holds = now["boxed"] >= least
        yield check("boxed", "share of answers in a box", f"at least {least:.3g}", holds)
    if "completion_length" in now:
        least = SHORT * base["completion_length"]
        holds = now["completion_length"] >= least or risen
        yield check("completion_length", "length in tokens", f"at least {least:.3g}", holds)
    if "entropy" in now:
        low, high = RIGID * base["entropy"], max(WILD * base["entropy"], WILD_NATS)
        holds = now["entropy"] <= high and (now["entropy"] >= low or risen)
        yield check("entropy", "entropy in nats", f"{low:.3g} to {high:.3g}", holds)


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
    if not (total := sum(counts.values())):
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
    quiet = int(n - 1 - np.max(np.flatnonzero(spread > 0), initial=-1))
    nothing, verdict = "there is nothing to learn from", "no signal"
    alike = (
        f"in the last {quiet} steps all rollouts of a group had the same reward (mean"
        f" {reward[-max(quiet, 1) :].mean():.2f}): {nothing}"
    )
    for value, often, which in ((0, "never", "no"), (1, "always", "every")):
        if (reward == value).all():
            verdict = f"{often} rewarded"
            alike = f"{which} rollout was rewarded in the last {n} steps (all so far): {nothing}"
    yield Check("groups with a signal", spread.mean(), "over 0", quiet < n, verdict, alike)
    yield Check("steps since a signal", quiet, f"under {QUIET}", quiet < QUIET, "no signal", alike)
    share = (spread[-WINDOW:] > 0).mean()
    few = f"only {share:.0%} of the last {min(n, WINDOW)} steps had a group whose rewards differ"
    name, bound = f"last {WINDOW} steps with a signal", f"at least {WEAK}"
    yield Check(name, share, bound, bool(share >= WEAK), "weak signal", few)


def _moves(steps: Columns) -> Iterator[Check]:
    if "update_norm" not in steps:
        return
    value = steps["update_norm"].max()
    sentence = f"no weight moved in {len(steps['step'])} steps"
    yield Check("largest update norm", value, "over 0", bool(value > 0), "no update", sentence)
