"""Many runs at once: a bounded pool of processes on this machine, or a job array on SLURM.

    grid = sweep(grids.recipes("ablation"))               # blocks, shows progress
    grid = sweep(recipes, backend="slurm", slurm={"partition": "gpu", "timeout_min": 2880})
    python -m onerl.sweep ablation --full --seeds 0 1 2 --jobs 2

Each run has the folder `out/<hash of its recipe>`, so a finished one is not run again, an
interrupted one goes on, and recipes that are equal are one job, within a sweep and between sweeps.
A run that another process is busy with is left until the others are done. A job that fails stops
none of the others; it is reported at the end, with its log. Ctrl-C ends the jobs.

On this machine a job is a process with `cores // jobs` threads, or as many as its recipe says, and
one GPU of its own where there are any. On SLURM a job is preempted and queued again without loss.
One run over several GPUs is not covered (`accelerate launch -m onerl.train`).
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from onerl import grids
from onerl.grids.finished import collect
from onerl.grids.grid import Grid
from onerl.grids.pools import Board, Local, Slurm, Task, plan
from onerl.parameters import choose
from onerl.recipe import Recipe
from onerl.runs import outputs_folder
from onerl.runs.health import WELL
from onerl.training.children import command_line

LAST_LINES = 5  # of a failed job's log, in the report


class SweepError(RuntimeError):
    """Jobs failed. `failed` has their keys, `grid` what the others found."""

    def __init__(self, message: str, failed: list[tuple[str, int]], grid: Grid):
        super().__init__(message)
        self.failed, self.grid = failed, grid


def sweep(
    recipes: Mapping[Hashable, Recipe],
    jobs: int | None = None,
    backend: Literal["local", "slurm"] = "local",
    evaluate: Literal["last", "all"] = "last",
    out: str | Path | None = None,
    limit: int | None = None,
    slurm: Mapping[str, Any] | None = None,
) -> Grid:
    """Train and evaluate every recipe, unless that is done already; blocks until all are.

    Args:
        recipes: by (arm, seed), as `onerl.grids.recipes` gives them; under any other key a recipe
            is its own arm.
        jobs: how many at once. None: on this machine one per GPU, or as many as its cores allow
            with the recipes' threads (one where a recipe leaves the threads open); on SLURM all.
        evaluate: the last checkpoint of each run, or all. The model before training is evaluated
            once, in the folder of one of the runs.
        out: the folder of the run folders; None: `outputs/`.
        limit: only so many problems of each benchmark.
        slurm: submitit's parameters for the job array, such as partition, timeout_min, account.

    Raises:
        SweepError: jobs failed; raised after all the others are finished.
        ValueError: an argument is not allowed, or SLURM or submitit is missing.
    """
    choose("evaluate", evaluate, ("last", "all"))
    choose("backend", backend, ("local", "slurm"))
    if not recipes:
        raise ValueError("recipes = {}: must have at least one recipe")
    if jobs is not None and jobs < 1:
        raise ValueError(f"jobs = {jobs}: must be at least 1, or None")
    folder = Path(out) if out is not None else outputs_folder()
    named = {}
    for key, recipe in recipes.items():
        arm_and_seed = isinstance(key, tuple) and len(key) == 2 and isinstance(key[1], int)
        named[key if arm_and_seed else (str(key), recipe.seed)] = recipe
    tasks = plan(named, folder, evaluate, limit)
    board = Board(tasks)
    waiting = [task for task in tasks if task.state == "waiting"]
    if waiting:
        pool = Local(waiting, jobs) if backend == "local" else Slurm(waiting, jobs, folder, slurm)
        board.say(f"{len(tasks)} runs, {len(waiting)} to do: {pool}")
        try:
            pool.run(board)
        finally:
            pool.stop()
    board.close()
    grid = collect(named, folder, evaluate, limit)
    health = grid.health()
    if counts := health["verdict"].value_counts().to_dict():
        board.say(f"health: {', '.join(f'{n} {verdict}' for verdict, n in counts.items())}")
    for row in health[~health["verdict"].isin(WELL)].reset_index().itertuples():
        board.say(f"  {row.arm}, seed {row.seed}: {row.verdict}: {row.sentence}")
    if failed := [task for task in tasks if task.state == "failed"]:
        keys = [key for task in failed for key in task.keys]
        raise SweepError(_report(failed, len(tasks)), keys, grid)
    return grid


def _report(failed: Sequence[Task], total: int) -> str:
    """What failed, where its log is, and how the log ends."""
    lines = [f"{len(failed)} of {total} runs failed; the others are finished and kept"]
    for task in failed:
        lines += ["", f"{task.name}: {os.path.relpath(task.log)}"]
        text = task.log.read_text("utf-8", "replace") if task.log.exists() else "no log"
        lines += [f"    {line}" for line in text.splitlines()[-LAST_LINES:]]
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> None:
    """Command line; see the module's docstring."""
    parser = argparse.ArgumentParser(
        prog="python -m onerl.sweep",
        description="Train and evaluate a grid of params/grids.yaml, and print its table.",
    )
    parser.add_argument("grid", help=", ".join(grids.names()))
    parser.add_argument("--preset", default="tiny", help="a preset or a YAML file")
    parser.add_argument("--seeds", nargs="+", type=int, help="default: the quick subset's")
    parser.add_argument("--arms", nargs="+", help="default: the quick subset's")
    parser.add_argument("--full", action="store_true", help="the whole grid")
    parser.add_argument("--jobs", type=int, help="how many at once")
    parser.add_argument("--backend", choices=["local", "slurm"], default="local")
    parser.add_argument("--out", help="folder of the run folders; default outputs/")
    parser.add_argument("--limit", type=int, help="only so many problems of each benchmark")
    pairs = {"nargs": 2, "action": "append", "default": [], "metavar": ("KEY", "VALUE")}
    parser.add_argument("-p", help="recipe field", **pairs)
    parser.add_argument("--slurm", help="submitit parameter", **pairs)
    given = vars(parser.parse_args(arguments))
    with command_line():
        name, base = given.pop("grid"), Recipe.load(given.pop("preset"), **dict(given.pop("p")))
        subset = {key: given.pop(key) for key in ("seeds", "arms", "full")}
        recipes = grids.recipes(name, base, **subset)
        given["slurm"] = {k: int(v) if v.isdigit() else v for k, v in given["slurm"]}
        try:
            grid = sweep(recipes, evaluate=grids.definition(name).evaluate, **given)
        except SweepError as error:
            raise SystemExit(f"error: {error}") from None
        print(grid.table().round(1).to_string())


if __name__ == "__main__":
    main()
