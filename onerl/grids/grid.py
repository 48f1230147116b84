"""What a grid of runs found: a `Grid`, whether it was just run or is read from outputs/recorded.

    grid.table()                       an arm a row: seeds, problems, mean, low, high, interval
    grid.table(minus="base model")     the gain of each arm, paired by seed and problem
    grid.curve("row 5")                the same by training step
    grid.by_category("Algebra", minus="base model")
    grid.difference("row 5", "row 4")  with its p-value
    grid.metrics("row 5", 0)           `Run.metrics` of one run
    grid.health()                      the verdict on each run

Intervals are over training seeds (Student's) wherever an arm has two or more, because a single run
says nothing about the next one. With one seed they are over problems, and the column `interval`
says which it is. Accuracies and shares are in percent, length is in tokens.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from onerl.estimates import FEW_SEEDS, METRICS, Estimate
from onerl.evaluation.report import Report
from onerl.parameters import nearest
from onerl.recipe import Recipe
from onerl.runs.health import health_of

BASE = "base model"
COLUMNS = ["seeds", "problems", "value", "low", "high", "interval", "by seed", "note"]


@dataclass(frozen=True)
class Outcome:
    """One run of a grid, with reports by step; `path` is None where it is only recorded.

    `base` is the report on the model before training.
    """

    recipe: Recipe
    metrics: pd.DataFrame
    history: pd.DataFrame
    reports: Mapping[int, Report]
    base: Report | None
    path: Path | None = None


@dataclass(frozen=True)
class Grid:
    """The finished runs of a grid; `label` belongs beside any number of a recorded one."""

    outcomes: Mapping[tuple[str, int], Outcome]
    recorded: bool = False
    label: str = "run here"
    missing: tuple[tuple[str, int], ...] = ()

    @cached_property
    def arms(self) -> list[str]:
        return list(dict.fromkeys(arm for arm, _ in self.outcomes))

    def health(self) -> pd.DataFrame:
        """`onerl.runs.health` of each run: index arm and seed; columns verdict, sentence."""
        found = {key: health_of(run.metrics) for key, run in self.outcomes.items()}
        rows = [[*key, health.verdict, health.sentence] for key, health in found.items()]
        columns = ["arm", "seed", "verdict", "sentence"]
        return pd.DataFrame(rows, columns=columns).set_index(columns[:2])

    def seeds(self, arm: str) -> list[int]:
        """Seeds of the arm's finished runs.

        Raises:
            ValueError: no run of this arm is in the grid.
        """
        if arm not in self.arms:
            near, arms = nearest(arm, self.arms), ", ".join(self.arms)
            raise ValueError(f"arm: {arm!r} has no finished run in this grid{near}; arms: {arms}")
        return sorted(seed for name, seed in self.outcomes if name == arm)

    def steps(self, arm: str) -> list[int]:
        """Steps at which any run of the arm was evaluated, the base model's 0 among them."""
        runs = [self.outcomes[arm, seed] for seed in self.seeds(arm)]
        found = {step for run in runs for step in run.reports}
        return sorted(found | ({0} if all(run.base for run in runs) else set()))

    def report(self, arm: str, seed: int, step: int | None = None) -> Report:
        """The evaluation of one run, at its last step by default; step 0 is the base model.

        Raises:
            ValueError: no such run, or it was not evaluated at this step.
        """
        if seed not in self.seeds(arm):
            raise ValueError(f"seed: {arm} has no finished run with seed {seed}")
        run = self.outcomes[arm, seed]
        step = max(run.reports) if step is None else step
        found = run.reports.get(step, run.base if step == 0 else None)
        if found is None:
            steps = ", ".join(map(str, self.steps(arm)))
            message = f"was not evaluated at step {step}, but at {steps}"
            raise ValueError(f"step: {arm} with seed {seed} {message}")
        return found

    @property
    def base(self) -> Report | None:
        """The evaluation of the model before training, from which all runs start."""
        return next((run.base for run in self.outcomes.values() if run.base), None)

    def base_estimate(self, metric: str = "accuracy", benchmark: str | None = None) -> Estimate:
        """The model before training, with its interval over problems."""
        return METRICS[metric].runs(self._values(BASE, metric, benchmark)[[0]])

    def estimate(
        self,
        arm: str,
        metric: str = "accuracy",
        benchmark: str | None = None,
        step: int | None = None,
    ) -> Estimate:
        """One arm at a step, its last by default; `points` has each seed's value."""
        return METRICS[metric].runs(self._values(arm, metric, benchmark, step))

    def metrics(self, arm: str, seed: int | None = None) -> pd.DataFrame:
        """A row per update of one run, or of all the arm's runs with a column `seed`."""
        if seed is not None:
            self.report(arm, seed)
            return self.outcomes[arm, seed].metrics
        frames = [self.outcomes[arm, s].metrics.assign(seed=s) for s in self.seeds(arm)]
        return pd.concat(frames, ignore_index=True)

    def table(
        self,
        metric: str = "accuracy",
        benchmark: str | None = None,
        minus: str | None = None,
        base: bool = False,
    ) -> pd.DataFrame:
        """Every arm at its last step.

        Args:
            metric: of `onerl.estimates.METRICS`.
            benchmark: None: the first one of the recipes.
            minus: an arm, or "base model": differences from it, paired by seed and problem.
            base: the model before training alone, under the name "base model".

        Returns:
            A row per arm: seeds, problems, value, low, high, interval (over "seeds" or "problems"),
            by seed (the values of fewer than ten), note (why the interval does not promise 95 %).
        """
        if base:
            return _table({BASE: _row(metric, self._values(BASE, metric, benchmark)[[0]])}, "arm")
        arms = [arm for arm in self.arms if arm != minus]
        sides = {arm: self._sides(arm, metric, benchmark, minus) for arm in arms}
        return _table({arm: _row(metric, *pair) for arm, pair in sides.items()}, "arm")

    def curve(
        self, arm: str, metric: str = "accuracy", benchmark: str | None = None
    ) -> pd.DataFrame:
        """The arm by training step; step 0 is the base model, with its interval over problems."""
        rows = {}
        for step in self.steps(arm):
            values = self._values(arm, metric, benchmark, step)
            rows[step] = _row(metric, values if step else values.iloc[:, :1])
        return _table(rows, "step")

    def by_category(
        self,
        arm: str,
        metric: str = "accuracy",
        benchmark: str | None = None,
        minus: str | None = None,
    ) -> pd.DataFrame:
        """The arm at its last step, a row per category of the benchmark's problems."""
        category, rows = self.categories(arm, benchmark), {}
        sides = self._sides(arm, metric, benchmark, minus)
        for group, problems in category.groupby(category):
            rows[group] = _row(metric, *(side.loc[problems.index] for side in sides))
        return _table(rows, "category")

    def categories(self, arm: str, benchmark: str | None = None) -> pd.Series:
        """The category of each problem of the benchmark."""
        records = self.report(arm, self.seeds(arm)[0]).records
        records = records[records["benchmark"] == (benchmark or self._benchmark())]
        return records.drop_duplicates("problem").set_index("problem")["category"].astype(str)

    def difference(
        self, a: str, b: str = BASE, metric: str = "accuracy", benchmark: str | None = None
    ) -> Estimate:
        """Arm a minus arm b, or the base model, at their last steps, on equal seeds and problems.

        Over seeds or problems as `onerl.estimates.runs` says. `points` has each seed's.

        Raises:
            ValueError: the arms have no seed in common, or other problems.
        """
        return METRICS[metric].runs(*self._sides(a, metric, benchmark, b))

    def _benchmark(self) -> str:
        return next(iter(self.outcomes.values())).recipe.benchmarks[0]

    def _values(self, arm, metric, benchmark, step=None) -> pd.DataFrame:
        """One number per problem (rows) and seed (columns)."""
        name = benchmark or self._benchmark()
        if arm == BASE:
            if self.base is None:
                raise ValueError("base model: this grid has no evaluation of it")
            values = self.base.values(name, metric)
            return pd.DataFrame(dict.fromkeys(sorted({0, *(s for _, s in self.outcomes)}), values))
        values = {}
        for seed in self.seeds(arm):
            if step in (None, 0, *self.outcomes[arm, seed].reports):
                values[seed] = self.report(arm, seed, step).values(name, metric)
        return pd.DataFrame(values)

    def _sides(self, a, metric, benchmark, b=None) -> list[pd.DataFrame]:
        """The values of arm a, or those of both arms for the seeds and problems in common."""
        left = self._values(a, metric, benchmark)
        if b is None:
            return [left]
        right = self._values(b, metric, benchmark)
        common = [seed for seed in left if seed in right]
        if not common:
            seeds = f"{a} has {list(left)}, {b} has {list(right)}"
            raise ValueError(f"a difference needs a common seed: {seeds}")
        if set(left.index) != set(right.index):
            raise ValueError(f"a difference needs the same problems: {a} and {b} have others")
        return [left[common], right.loc[left.index, common]]


def _row(metric: str, values: pd.DataFrame, minus: pd.DataFrame | None = None) -> list[Any]:
    """`COLUMNS` of the mean over problems (rows) and seeds (columns), or of a difference."""
    found = METRICS[metric].runs(values, minus)
    points = found.points if found.over == "seeds" and len(found.points) < FEW_SEEDS else ()
    by_seed = " ".join(f"{point:.1f}" for point in points)
    interval = [found.value, found.low, found.high, found.over]
    return [values.shape[1], values.shape[0], *interval, by_seed, found.note]


def _table(rows: Mapping[Any, list[Any]], name: str) -> pd.DataFrame:
    return pd.DataFrame(rows.values(), index=pd.Index(rows, name=name), columns=COLUMNS)
