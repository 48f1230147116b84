"""A run's folder: what was decided, what happened, what came out.

    recipe.yaml        the resolved recipe      } both written before any work
    provenance.json    versions, git, hardware  }
    world.json         of a world's model; every checkpoint has it too (`onerl.world`)
    metrics.jsonl      a row per optimiser step
    rollouts/          sampled answers and grades of the steps with a checkpoint
    checkpoints/       step-000000 (the base model), …: whole folders for `from_pretrained`
    state/             optimiser state and metrics for resuming (`onerl.training.checkpoints`)
    launch.log         what a run that was started as a program said (`onerl.training.launch`)
    evaluations/       records of evaluations
    DONE               there once the run is finished

A folder or file under its final name is whole: it was written aside, synced and renamed.
"""

from __future__ import annotations

import contextlib
import html
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import yaml

from onerl.world import is_world, world_of

if TYPE_CHECKING:
    import pandas as pd

    from onerl.recipe import Recipe
    from onerl.runs.health import Health


def outputs_folder() -> Path:
    """Where runs go by default: `outputs/` of the checkout, or else of the working directory.

    The same folder for papermill at the repository's root and for Jupyter in `notebooks/`.
    """
    checkout = Path(__file__).parents[2]
    return (checkout if (checkout / "pyproject.toml").exists() else Path.cwd()) / "outputs"


class Run:
    """A run folder, finished or not. Reading it needs neither torch nor the model."""

    def __init__(self, path: str | Path):
        self.path = Path(path)

    def __repr__(self) -> str:
        state = "done" if self.done else "not finished"
        try:
            return f"Run({str(self.path)!r}, {state}, {self.health.verdict})"
        except ValueError:
            return f"Run({str(self.path)!r}, {state}, metrics damaged)"

    def _repr_html_(self) -> str:
        return f"<code>{html.escape(repr(self))}</code>"

    @property
    def recipe(self) -> Recipe:
        from onerl.recipe import Recipe

        return Recipe.load(self.path / "recipe.yaml")

    @property
    def done(self) -> bool:
        return (self.path / "DONE").exists()

    @property
    def metrics(self) -> pd.DataFrame:
        """A row per optimiser step; no rows before the first. A torn last line is left out."""
        import pandas as pd

        return pd.DataFrame(self._rows()).drop(columns="by_example", errors="ignore")

    @property
    def health(self) -> Health:
        """How the run is so far, or was at its end: one verdict with the numbers that show it."""
        from onerl.runs.health import health_of

        return health_of(self.metrics)

    @property
    def history(self) -> pd.DataFrame:
        """The share of right rollouts, a row per step and a column per example.

        NaN where an example was not visited. Empty for a run on a single example, whose share is
        the metric `reward`.
        """
        import pandas as pd

        rows = {row["step"]: row["by_example"] for row in self._rows() if "by_example" in row}
        return pd.DataFrame.from_dict(rows, orient="index").rename_axis("step")

    def _rows(self) -> list[dict[str, Any]]:
        file = self.path / "metrics.jsonl"
        lines = file.read_text("utf-8").splitlines(keepends=True) if file.exists() else []
        return [json.loads(line) for line in lines if line.endswith("\n")]

    @property
    def checkpoints(self) -> list[tuple[int, Path]]:
        """(step, folder) pairs, oldest first; step 0 is the base model."""
        folders = sorted((self.path / "checkpoints").glob("step-*[0-9]"))
        return [(int(folder.name.removeprefix("step-")), folder) for folder in folders]


def evaluation_folder(run: Run, step: int) -> Path:
    """Where the evaluation of a checkpoint of a run is kept."""
    return run.path / "evaluations" / f"step-{step:06d}"


def asked_steps(run: Run, evaluate: Literal["last", "all"]) -> list[int]:
    """Steps of the checkpoints to evaluate, the base model's not among them."""
    steps = [step for step, _ in run.checkpoints if step > 0]
    return steps if evaluate == "all" else steps[-1:]


def same_recipe(out: Path, recipe: Recipe) -> None:
    """Refuses a folder that holds the run of another recipe, naming the fields that differ."""
    path = out / "recipe.yaml"
    if not path.exists():
        return
    if is_world(out) and world_of(out) != recipe.world:
        raise ValueError(
            f"out = {str(out)!r}: holds a run in another world than that of model ="
            f" {recipe.model!r} is now; choose another folder"
        )
    with contextlib.suppress(ValueError):  # a field that this version no longer knows
        if Run(out).recipe.hash() == recipe.hash():
            return
    ours, theirs = (yaml.safe_load(text) for text in (recipe.to_yaml(), path.read_text("utf-8")))
    differ = [
        f"{name} ({theirs.get(name)!r}, now {value!r})"
        for name, value in ours.items()
        if value != theirs.get(name)
    ]
    raise ValueError(
        f"out = {str(out)!r}: holds a run of another recipe, which differs in"
        f" {', '.join(differ)}; choose another folder"
    )


def folder_name(step: int) -> str:
    """`step-000010`; sorts by step."""
    return f"step-{step:06d}"
