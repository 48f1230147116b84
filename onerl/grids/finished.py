"""The finished and evaluated runs of a grid, read from their folders."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Literal

import pandas as pd

from onerl.evaluation.answers import kept_answers, problems_of
from onerl.evaluation.protocols import Protocol, protocol_for
from onerl.evaluation.report import Report
from onerl.grids.grid import Grid, Outcome
from onerl.problems import Problem, examples
from onerl.problems.benchmarks import SELECTION_SETS
from onerl.recipe import Recipe
from onerl.runs import Run
from onerl.runs.run import asked_steps, evaluation_folder
from onerl.training.rows import same_inputs
from onerl.world import World


def evaluated(run: Run, step: int, recipe: Recipe, limit: int | None = None) -> bool:
    """Whether the problems of the recipe's benchmarks, and no others, are answered at this step."""
    for name in recipe.benchmarks:
        found = _records(run, step, name)
        answered = Counter(zip(found["problem"], found["gold"], strict=True)) if len(found) else {}
        if answered != _asked(recipe, name, limit):
            return False
    return True


def finished(run: Run, recipe: Recipe) -> bool:
    """Whether the run is finished, and was made from the inputs that there are now."""
    if run.done:
        with suppress(ValueError):
            same_inputs(recipe, run)
            return True
    return False


def base_key(recipe: Recipe) -> tuple:
    """Recipes that agree in this start from the same model and evaluate it in the same way."""
    return recipe.model, recipe.prompt, recipe.benchmarks, recipe.max_completion_length


def collect(
    recipes: Mapping[tuple[str, int], Recipe],
    out: Path,
    evaluate: Literal["last", "all"] = "last",
    limit: int | None = None,
) -> Grid:
    """The grid of the finished and evaluated runs in `out`; the others are in `Grid.missing`."""
    outcomes, bases = {}, {}
    for recipe in recipes.values():
        run = Run(out / recipe.hash())
        if base_key(recipe) not in bases and evaluated(run, 0, recipe, limit):
            bases[base_key(recipe)] = _report(run, 0, recipe)
    for key, recipe in recipes.items():
        run = Run(out / recipe.hash())
        steps = asked_steps(run, evaluate)
        if finished(run, recipe) and all(evaluated(run, step, recipe, limit) for step in steps):
            reports = {step: _report(run, step, recipe) for step in steps}
            base = bases.get(base_key(recipe))
            outcomes[key] = Outcome(recipe, run.metrics, run.history, reports, base, run.path)
    return Grid(outcomes, missing=tuple(key for key in recipes if key not in outcomes))


def _report(run: Run, step: int, recipe: Recipe) -> Report:
    """As `onerl.evaluate` returns it, but without a look at the weights."""
    parts = []
    for name in recipe.benchmarks:
        parts.append(_records(run, step, name).assign(protocol=_protocol(recipe, name)[0]))
    return Report(pd.concat(parts, ignore_index=True).assign(checkpoint=f"step {step}"))


def _records(run: Run, step: int, benchmark: str) -> pd.DataFrame:
    return kept_answers(evaluation_folder(run, step) / benchmark.replace(":", "-"))


def _asked(recipe: Recipe, benchmark: str, limit: int | None) -> dict[tuple[str, str], int]:
    """How many answers each (problem, gold) has; selection sets go without the run's examples."""
    found = _problems(benchmark, limit, recipe.world)
    if benchmark in SELECTION_SETS:
        trained = {problem.question for problem in examples(recipe.examples, recipe.world)}
        found = [problem for problem in found if problem.question not in trained]
    return {(p.id, p.answer): _protocol(recipe, benchmark)[1].samples for p in found}


def _protocol(recipe: Recipe, benchmark: str) -> tuple[str, Protocol]:
    return protocol_for(benchmark, max_completion_length=recipe.max_completion_length)


@lru_cache
def _problems(benchmark: str, limit: int | None, world: World) -> list[Problem]:
    return problems_of(benchmark, limit, world)
