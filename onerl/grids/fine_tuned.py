"""Fine-tuning runs (`onerl.training.sft`) as the outcomes of a grid.

found = fine_tuned.outcomes(recipes)     trained and evaluated, for a `Grid`
python -m onerl.grids.fine_tuned         the four texts into outputs/recorded
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

from onerl import runs
from onerl.grids import recorded
from onerl.grids.finished import base_key
from onerl.grids.grid import Grid, Outcome
from onerl.problems import examples
from onerl.recipe import Recipe
from onerl.runs.run import evaluation_folder
from onerl.training.sft import _name, solution_for, train

RECORDED = "controls_sft"  # its name in outputs/recorded


def outcomes(
    recipes: Mapping[tuple[str, int], Recipe],
    solution: str | None = None,
    out: str | Path | None = None,
) -> dict[tuple[str, int], Outcome]:
    """Fine-tune as every recipe says, one after the other, and evaluate all checkpoints.

    Args:
        recipes: by (arm, seed), as for `onerl.sweep`.
        solution: None: `solution_for` the example and the seed.
        out: the folder of the run folders; None: `outputs/`.
    """
    from onerl.evaluation import evaluate

    found, bases = {}, {}
    for key, recipe in recipes.items():
        problem, *_ = examples(recipe.examples, recipe.world)
        text = solution or solution_for(problem, recipe.seed, recipe.world)
        folder = Path(out) if out is not None else runs.outputs_folder()
        run = train(recipe, text, folder / _name(recipe, text))
        reports = {
            step: evaluate(
                (step, path),
                recipe.benchmarks,
                max_completion_length=recipe.max_completion_length,
                out=evaluation_folder(run, step),
                progress=False,
            )
            for step, path in run.checkpoints
            if step or base_key(recipe) not in bases
        }
        base = bases.setdefault(base_key(recipe), reports.pop(0, None))
        found[key] = Outcome(recipe, run.metrics, run.history, reports, base, run.path)
    return found


def main(arguments: list[str] | None = None) -> None:
    """Command line: the fine-tuning that notebooks/controls.ipynb shows as recorded."""
    parser = argparse.ArgumentParser(
        prog="python -m onerl.grids.fine_tuned", description=main.__doc__
    )
    parser.add_argument("--preset", default="tiny", help="a preset or a YAML file")
    parser.add_argument("--seeds", type=int, nargs="+", default=range(4))
    parser.add_argument("--out", type=Path, help="folder of the run folders; default outputs/")
    given = parser.parse_args(arguments)
    recipes = {("sft", seed): Recipe.load(given.preset, seed=seed) for seed in given.seeds}
    print(recorded.record(Grid(outcomes(recipes, out=given.out)), RECORDED))


if __name__ == "__main__":
    main()
