"""What is wrong with a run: reads its folder, and names each known cause with its number.

    python -m onerl.runs.doctor outputs/2ad1548d18ae

Prints a line per cause, and exits with status 1; with 0 and the verdict when the run is well (a run
whose reward has saturated is), with 2 when the folder holds no run. Only reads, and needs neither
the model nor a GPU, so it can look at a run that is being trained. It knows what a run's metrics
show (`onerl.runs.health`), why nothing was rewarded, and what keeps a run from going on. Not
covered: whether files are as they were written, which `Run.verify` says.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from onerl.problems import examples
from onerl.recipe import Recipe
from onerl.runs.claim import busy
from onerl.runs.health import CUT, WINDOW, Health, health_of
from onerl.runs.run import METRICS, Run, read_rows, step_folders

UNBOXED = 0.9  # share of recorded answers without a box above which the missing box is the cause
AGREED = 0.2
"""Share of boxed answers that agree on another answer than the label. A model that cannot solve a
problem scatters; one in five the same is a conviction, and then the label is what to look at."""
LOGS = ("launch.log", "job.log")
LINE = 200  # characters of a log's line that are shown
HIDDEN = {
    "never rewarded": {"no signal", "weak signal"},
    "always rewarded": {"no signal", "weak signal"},
    "no signal": {"weak signal"},
}
"""Verdicts that another one says already."""


class Cause(NamedTuple):
    """One known cause, and the sentence that shows it fits."""

    name: str
    sentence: str


class NoRunError(ValueError):
    """The folder holds no run."""


def diagnose(folder: str | Path) -> tuple[Health, list[Cause]]:
    """The run's health, and every known cause of trouble that fits, the gravest first.

    Raises:
        NoRunError: the folder has neither recipe.yaml nor metrics.jsonl.
    """
    run, causes, recipe = Run(folder), [], None
    if not any((run.path / name).is_file() for name in ("recipe.yaml", METRICS)):
        raise NoRunError(f"{run.path}: no run's folder: it has no recipe.yaml and no metrics.jsonl")
    try:
        recipe = run.recipe
    except (ValueError, OSError) as error:
        causes.append(Cause("damaged", f"recipe.yaml cannot be read: {_one_line(str(error))}"))
    rows, torn = read_rows(run.path / METRICS)
    if torn:
        causes.append(Cause("damaged", f"metrics.jsonl: {torn}"))
    health = health_of(rows)
    causes += _sick(run, recipe, health)
    causes += _truncated(recipe, rows)
    if not run.done:
        causes += _unfinished(run, recipe, rows)
    return health, causes


def _unfinished(run: Run, recipe: Recipe | None, rows: list[dict]) -> Iterator[Cause]:
    """What keeps a run that has no DONE from going on."""
    of = f" of {recipe.steps}" if recipe else ""
    reached = f"step {rows[-1]['step'] if rows else 0}{of}"
    if busy(run.path):
        yield Cause("another process", f"it holds the folder's lock, at {reached}: wait for it")
    else:
        last = max(dict(step_folders(run.path / "state")), default=0)
        sentence = (
            f"no process works on it and there is no DONE; it reached {reached} and last wrote at"
            f" {_last_written(run.path)}; started again it goes on from step {last}"
        )
        if half := sorted(p.name for p in run.path.glob("*/.*.partial")):
            sentence += f"; {half[0]} is half written"
        if said := _last_error(run.path):
            sentence += f'; its log says "{said}"'
        yield Cause("ended early", sentence)
    yield from _disk(run.path)


def _disk(folder: Path) -> Iterator[Cause]:
    """A disk that has no room for one more checkpoint with its state."""
    needed = 0
    for kind in ("checkpoints", "state"):
        steps = [step.rglob("*") for _, step in step_folders(folder / kind)]
        sizes = [sum(p.stat().st_size for p in paths if p.is_file()) for paths in steps]
        needed += max(sizes, default=0)
    free = shutil.disk_usage(folder).free
    if free < needed or not free:
        yield Cause(
            "disk full",
            f"{free / 1e9:.2f} GB are free, and a checkpoint with its state takes"
            f" {needed / 1e9:.2f} GB; free some space, the run will resume",
        )


def _sick(run: Run, recipe: Recipe | None, health: Health) -> Iterator[Cause]:
    """What the metrics show; of a saturated run the few signals are no trouble."""
    told: dict[str, list[str]] = {}
    for check in () if health.well else health.results:
        if not check.holds:
            told.setdefault(check.verdict, []).append(check.sentence)
    hidden = {name for verdict in told for name in HIDDEN.get(verdict, ())}
    for verdict in [name for name in told if name not in hidden]:
        sentence = ", ".join(told[verdict]) if verdict == "collapsed" else told[verdict][0]
        if verdict == "never rewarded":
            sentence += f"; {_unrewarded(run, recipe)}"
        yield Cause(verdict, sentence)


def _unrewarded(run: Run, recipe: Recipe | None) -> str:
    """Why no rollout earned a reward, told from the recorded answers."""
    tables, unread = [], 0
    for file in sorted((run.path / "rollouts").glob("step-*.parquet")):
        try:
            tables.append(pd.read_parquet(file, columns=["extracted"]))
        except (OSError, ValueError, KeyError):
            unread += 1
    if not tables:
        return f"no answers are recorded yet to tell why ({unread} files cannot be read)"
    answers = pd.concat(tables)["extracted"]
    boxed = answers.dropna()
    if 1 - len(boxed) / len(answers) >= UNBOXED:
        return (
            f"{len(answers) - len(boxed)} of {len(answers)} recorded answers have no box to grade:"
            " the prompt does not ask this model for one, or the answers are cut before it"
        )
    counts = boxed.value_counts()
    label = _label(recipe)
    most = f"{counts.iloc[0]} of {len(boxed)} boxed answers say {_one_line(str(counts.index[0]))}"
    if recipe is not None and recipe.reward != "outcome":
        return f"reward = {recipe.reward} pays for none of {len(answers)} answers ({most})"
    if counts.iloc[0] >= AGREED * len(boxed):
        return f"{most}, and the label is {label}: the label may be wrong"
    return f"{most}, none the label {label}: the model may not be able to; take an easier problem"


def _label(recipe: Recipe | None) -> str:
    """The label of the run's one example, where it can be told."""
    if recipe is not None and recipe.label is not None:
        return recipe.label
    with contextlib.suppress(ValueError, OSError, AttributeError):
        chosen = examples(recipe.examples, recipe.world)
        return chosen[0].answer if len(chosen) == 1 else f"of one of {len(chosen)} examples"
    return "(its examples file is not here)"


def _truncated(recipe: Recipe | None, rows: list[dict]) -> Iterator[Cause]:
    cut = [row["truncated"] for row in rows[-WINDOW:] if row.get("truncated") is not None]
    if not cut or np.mean(cut) < CUT:
        return
    limit = f"max_completion_length = {recipe.max_completion_length}" if recipe else "the limit"
    yield Cause(
        "truncated",
        f"{np.mean(cut):.0%} of the rollouts of the last {len(cut)} steps were cut at {limit},"
        " before they could end in an answer",
    )


def _last_written(folder: Path) -> str:
    files = [folder / name for name in (METRICS, "recipe.yaml", "state", "checkpoints")]
    newest = max(path.stat().st_mtime for path in files if path.exists())
    return f"{datetime.datetime.fromtimestamp(newest, datetime.UTC):%Y-%m-%d %H:%M:%S} UTC"


def _last_error(folder: Path) -> str | None:
    """The last line of a log that speaks of an error."""
    for log in (folder / name for name in LOGS if (folder / name).is_file()):
        for line in reversed(log.read_text("utf-8", "replace").splitlines()):
            if "error" in line.lower() or "Killed" in line:
                return _one_line(line)
    return None


def _one_line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= LINE else f"{line[:LINE]}…"


def main(arguments: list[str] | None = None) -> None:
    """Command line; see the module's docstring."""
    parser = argparse.ArgumentParser(
        prog="python -m onerl.runs.doctor", description=__doc__.splitlines()[0]
    )
    parser.add_argument("folder", type=Path, help="the run's folder")
    try:
        health, causes = diagnose(parser.parse_args(arguments).folder)
    except (NoRunError, OSError) as error:
        print(f"error: {error}")
        raise SystemExit(2) from None
    for cause in causes or [Cause(health.verdict, health.sentence)]:
        print(f"{cause.name}: {cause.sentence}")
    raise SystemExit(1 if causes else 0)


if __name__ == "__main__":
    main()
