"""A run's folder: what was decided, what happened, what came out.

    recipe.yaml        the resolved recipe                  } both written before any work
    provenance.json    inputs, versions, git, every start   }
    world.json         of a world's model; every checkpoint has it too (`onerl.world`)
    metrics.jsonl      a row per optimiser step
    rollouts/          sampled answers and grades of the steps with a checkpoint
    checkpoints/       step-000000 (the base model), …: whole folders for `from_pretrained`
    state/             optimiser state and metrics for resuming (`onerl.training.checkpoints`)
    launch.log         what a run that was started as a program said (`onerl.training.launch`)
    evaluations/       records of evaluations, kept by `Run.evaluate`
    manifest.json      the sum of a finished run's metrics
    DONE               there once the run is finished

A folder or file under its final name is whole: it was written aside, synced and renamed.
"""

from __future__ import annotations

import contextlib
import html
import json
import re
from collections.abc import Collection, Sequence
from math import inf
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from onerl.recipe import Recipe
from onerl.runs import claim, files, provenance, sums
from onerl.runs.health import Health, health_of

METRICS, MANIFEST = "metrics.jsonl", "manifest.json"
STEP = re.compile(r"step-(\d{6,})")


def outputs_folder() -> Path:
    """Where runs go by default: `outputs/` of the checkout, or else of the working directory."""
    checkout = Path(__file__).parents[2]
    return (checkout if (checkout / "pyproject.toml").exists() else Path.cwd()) / "outputs"


class Run:
    """A run folder, finished or not. Reading it needs neither torch nor the model."""

    def __init__(self, path: str | Path):
        self.path = Path(path)

    def __repr__(self) -> str:
        state = "done" if self.done else "not finished"
        try:
            verdict = self.health.verdict
        except ValueError:
            verdict = "metrics damaged"
        return f"Run({str(self.path)!r}, {state}, {verdict})"

    def _repr_html_(self) -> str:
        return f"<code>{html.escape(repr(self))}</code>"

    @property
    def recipe(self) -> Recipe:
        """The resolved recipe; RecipeError where it is missing, damaged or of another version."""
        return Recipe.load(self.path / "recipe.yaml")

    @property
    def done(self) -> bool:
        """Whether all steps are trained. What is damaged since, `verify` says."""
        return (self.path / "DONE").exists()

    def lock(self) -> contextlib.AbstractContextManager[None]:
        """Keeps other processes from training here (`onerl.runs.claim.lock`)."""
        return claim.lock(self.path)

    @property
    def busy(self) -> bool:
        """Whether a process is training in the folder."""
        return claim.busy(self.path)

    @property
    def metrics(self) -> pd.DataFrame:
        """A row per optimiser step; no rows before the first. A torn last line is left out.

        Raises:
            ValueError: a line of metrics.jsonl is no row.
        """
        return pd.DataFrame(self._rows()).drop(columns="by_example", errors="ignore")

    @property
    def health(self) -> Health:
        """How the run is so far, or was at its end: one verdict with the numbers that show it."""
        return health_of(self.metrics)

    @property
    def history(self) -> pd.DataFrame:
        """The share of right rollouts, a row per step and a column per example.

        NaN where an example was not visited. Empty for a single example: the metric `reward`.
        """
        rows = {row["step"]: row["by_example"] for row in self._rows() if "by_example" in row}
        return pd.DataFrame.from_dict(rows, orient="index").rename_axis("step")

    def _rows(self) -> list[dict[str, Any]]:
        rows, torn = read_rows(self.path / METRICS)
        if torn:
            raise ValueError(f"{self.path / METRICS}: {torn}")
        return rows

    @property
    def checkpoints(self) -> list[tuple[int, Path]]:
        """(step, folder) pairs, oldest first; step 0 is the base model."""
        return step_folders(self.path / "checkpoints")

    def evaluate(
        self,
        steps: Literal["last", "all"] | int | Sequence[int] = "last",
        benchmarks: str | Sequence[str] | None = None,
        *,
        name: str = "",
        progress: bool = True,
        **how: Any,
    ) -> dict[int, Any]:
        """Evaluate checkpoints, and keep the answers in the run's folder.

        What is there already is not sampled again, whoever asked for it: a notebook, a sweep. A
        vLLM engine starts once for all of them.

        Args:
            steps: "last", "all" (the base model, step 0, among them), a step, or several.
            benchmarks: names; None: those of the recipe.
            name: keeps answers that are sampled in another way apart, in `evaluations/<name>`.
            how: passed on to `onerl.evaluate`, such as limit or prompting.

        Returns:
            {step: Report}, in the order of the steps.

        Raises:
            ValueError: the run has no such checkpoint, or it is damaged; and as `onerl.evaluate`.
        """
        import onerl

        recipe, folders = self.recipe, dict(self.checkpoints)
        longest = onerl.Protocol(max_completion_length=recipe.max_completion_length)
        files.remove_partial(self.path / "evaluations")
        reports = {}
        with onerl.one_engine(how.pop("backend", "auto")) as engine:
            for step in self._asked(steps):
                if damaged := checkpoint_damage(self.path, step, contents=True):
                    raise ValueError(f"{self.path / damaged[0]} is damaged; train the run again")
                folder, names = evaluation_folder(self, step, name), benchmarks or recipe.benchmarks
                how = {"protocol": longest, **how, "backend": engine}
                report = onerl.evaluate((step, folders[step]), names, out=folder, **how)
                reports[step] = report
                if progress:
                    row = report.table.iloc[0]
                    shown = f"{row.benchmark} {row.metric} {row.value:.1f} %"
                    print(f"step {step}: {shown}", flush=True)
        return reports

    def _asked(self, steps: Literal["last", "all"] | int | Sequence[int]) -> list[int]:
        """The steps that are meant; "last" of a finished run is the recipe's last."""
        known = [step for step, _ in self.checkpoints]
        if steps == "all":
            asked = known
        elif steps == "last":
            asked = [self.recipe.steps] if self.done else known[-1:]
        elif isinstance(steps, str):
            raise ValueError(f"steps = {steps!r}: allowed are last, all, a step, or several steps")
        else:
            asked = [steps] if isinstance(steps, int) else [int(step) for step in steps]
        lacking = [step for step in asked if step not in known]
        if lacking or not asked:
            raise ValueError(
                f"steps = {steps!r}: {self.path} has no checkpoint of step"
                f" {lacking[0] if lacking else 0}; it has {', '.join(map(str, known)) or 'none'}"
            )
        return sorted(set(asked))

    def verify(self) -> list[str]:
        """Paths, in the folder, of all files that are missing or not as they were written.

        Reads every file that the run keeps: minutes for one with many large checkpoints.
        """
        return [path for path, _ in self.damage(contents=dict(self.checkpoints))]

    def damage(self, contents: Collection[int] = ()) -> list[tuple[str, float]]:
        """What is missing or altered: (path, step), by its size or, in `contents`, by its sum.

        Training on from a state before that step makes the path again; from any state, where it
        is infinite. Evaluations are not looked at.
        """
        found: list[tuple[str, float]] = []
        for step, state in step_folders(self.path / "state"):
            damaged = state_damage(self.path, state, contents=step in contents)
            found += [(path, 0) for path in damaged]  # nothing but a resume needs it
        for file in (provenance.FILE, MANIFEST):
            if (self.path / file).exists():
                found += [(path, inf) for path in sums.damaged(self.path, file, contents=True)]
        recorded, written = provenance.recorded_hash(self.path), provenance.recipe_of(self.path)
        if written is None or recorded not in (None, written):
            return [*found, ("recipe.yaml", inf)]
        recipe = self.recipe
        last = recipe.steps if self.done else max(dict(self.checkpoints), default=-1)
        for step in [*range(0, last, recipe.save_every), last] if last >= 0 else []:
            damaged = checkpoint_damage(self.path, step, contents=step in contents)
            found += [(path, step or inf) for path in damaged]
        return found


def read_rows(file: Path) -> tuple[list[dict[str, Any]], str]:
    """The rows of metrics.jsonl, and which line is the first that is no row ("": every one is).

    A last line without an end is being written, or was when the run was killed: it is left out.
    """
    *lines, _ = file.read_bytes().split(b"\n") if file.is_file() else [b""]
    rows, torn = [], ""
    for number, line in enumerate(lines, 1):
        row = None
        with contextlib.suppress(ValueError):
            row = json.loads(line)
        if isinstance(row, dict) and "step" in row:
            rows.append(row)
        else:
            torn = torn or f"line {number} of {len(lines)} is no row"
    return rows, torn


def checkpoint_damage(run: Path, step: int, contents: bool) -> list[str]:
    """Paths, in the run's folder, of what a step's checkpoint and rollouts lack or have altered."""
    folder = f"checkpoints/{folder_name(step)}"
    if not (run / folder).is_dir():
        return [folder]
    if not (run / folder / sums.SUMS).exists():  # a run from before they were kept
        return []
    return sums.damaged(run, f"{folder}/{sums.SUMS}", contents, [f"{folder}/config.json"])


def state_damage(run: Path, state: Path, contents: bool) -> list[str]:
    """Paths, in the run's folder, of what a state lacks or has altered; its checkpoint aside."""
    folder = f"state/{state.name}"
    needed = [f"{folder}/{name}" for name in ("optimizer.safetensors", "trainer_state.json")]
    return sums.damaged(run, f"{folder}/{MANIFEST}", contents, needed)


def evaluation_folder(run: Run, step: int, name: str = "") -> Path:
    """Where the evaluation of a checkpoint of a run is kept."""
    return run.path / "evaluations" / name / folder_name(step)


def asked_steps(run: Run, evaluate: Literal["last", "all"]) -> list[int]:
    """Steps of the checkpoints that a grid evaluates, the base model's not among them.

    "last" of a finished run is its recipe's last step, whether its checkpoint is there or not.
    """
    if evaluate == "last" and run.done:
        return [run.recipe.steps]
    steps = [step for step, _ in run.checkpoints if step > 0]
    return steps if evaluate == "all" else steps[-1:]


def folder_name(step: int) -> str:
    """`step-000010`."""
    return f"step-{step:06d}"


def step_folders(parent: Path) -> list[tuple[int, Path]]:
    """(step, folder) of the folders `step-NNNNNN` in `parent`, by step."""
    names = [(STEP.fullmatch(path.name), path) for path in parent.glob("step-*")]
    return sorted((int(match[1]), path) for match, path in names if match and path.is_dir())
