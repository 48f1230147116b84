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
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from onerl.problems import examples
from onerl.recipe import Recipe
from onerl.runs.claim import busy
from onerl.runs.health import CUT, WINDOW, Check, Health, health_of
from onerl.runs.run import Run

GB = 1e9
UNBOXED = 0.9
"""Share of recorded answers without a box above which the missing box is the cause."""

AGREED = 0.2
"""Share of boxed answers that agree on another answer than the label. A model that cannot solve a
problem scatters; one in five the same is a conviction, and then the label is what to look at."""

LOGS = ("launch.log", "job.log")
LINE = 200  # characters of a log's line that are shown


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
    run = Run(folder)
    if not any((run.path / name).is_file() for name in ("recipe.yaml", "metrics.jsonl")):
        raise NoRunError(f"{run.path}: no run's folder: it has no recipe.yaml and no metrics.jsonl")
    causes = []
    recipe = None
    try:
        recipe = run.recipe
    except (ValueError, OSError) as error:
        causes.append(Cause("damaged", f"recipe.yaml cannot be read: {_one_line(str(error))}"))
    rows, torn = _rows(run.path / "metrics.jsonl")
    if torn:
        causes.append(Cause("damaged", f"metrics.jsonl: line {torn[0]} of {torn[1]} is no row"))
    health = health_of(rows)
    causes += _sick(run, recipe, health)
    causes += _truncated(recipe, rows)
    causes += _unfinished(run, recipe, rows)
    return health, causes


def _rows(file: Path) -> tuple[list[dict[str, Any]], tuple[int, int] | None]:
    """The rows of metrics.jsonl, and (line, lines) of the first that is none.

    A last line without an end is being written, or was when the run was killed: it is no damage.
    """
    lines = file.read_text("utf-8", "replace").splitlines(keepends=True) if file.is_file() else []
    rows, bad = [], None
    for number, line in enumerate(lines, 1):
        row = None
        if line.endswith("\n"):
            with contextlib.suppress(ValueError):
                row = json.loads(line)
        if isinstance(row, dict) and "step" in row:
            rows.append(row)
        elif line.endswith("\n"):
            bad = bad or (number, len(lines))
    return rows, bad


def _unfinished(run: Run, recipe: Recipe | None, rows: list[dict]) -> Iterator[Cause]:
    """What keeps a run that has no DONE from going on."""
    if run.done:
        return
    of = f" of {recipe.steps}" if recipe else ""
    reached = f"step {rows[-1]['step'] if rows else 0}{of}"
    if busy(run.path):
        yield Cause("another process", f"it holds the folder's lock, at {reached}: wait for it")
    else:
        states = sorted(path.name for path in (run.path / "state").glob("step-*"))
        goes_on = int(states[-1].removeprefix("step-")) if states else 0
        parts = [
            f"no process works on it and there is no DONE; it reached {reached}",
            f"and last wrote at {_last_written(run.path)}; started again it goes on from step"
            f" {goes_on}",
        ]
        if half := sorted(p.name for p in run.path.glob("*/.*.partial")):
            parts.append(f"; {half[0]} is half written")
        if said := _last_error(run.path):
            parts.append(f'; its log says "{said}"')
        yield Cause("ended early", " ".join(parts).replace(" ;", ";"))
    yield from _disk(run.path)


def _disk(folder: Path) -> Iterator[Cause]:
    """A disk that has no room for one more checkpoint with its state."""
    sizes = [
        max(
            (sum(p.stat().st_size for p in step.rglob("*") if p.is_file()) for step in steps),
            default=0,
        )
        for steps in (folder.glob("checkpoints/step-*"), folder.glob("state/step-*"))
    ]
    free = shutil.disk_usage(folder).free
    if free < sum(sizes) or not free:
        yield Cause(
            "disk full",
            f"{free / GB:.2f} GB are free, and a checkpoint with its state takes"
            f" {sum(sizes) / GB:.2f} GB; free some space, the run will resume",
        )


def _sick(run: Run, recipe: Recipe | None, health: Health) -> Iterator[Cause]:
    """What the metrics show; of a saturated run the few signals are no trouble."""
    if health.well:
        return
    failed = [check for check in health.results if not check.holds]
    reward = failed[0].verdict == health.verdict == "never rewarded"
    if reward:
        yield Cause("never rewarded", f"{failed[0].sentence}; {_unrewarded(run, recipe)}")
    for check in _first_of_each(failed):
        quiet = check.verdict in ("no signal", "weak signal")
        if not (reward and (quiet or check.verdict == "never rewarded")):
            yield Cause(check.verdict, check.sentence)


def _first_of_each(failed: list[Check]) -> list[Check]:
    """One check per verdict; those of a collapse are told together."""
    told: dict[str, Check] = {}
    for check in failed:
        before = told.get(check.verdict)
        if before is None:
            told[check.verdict] = check
        elif check.verdict == "collapsed":
            together = f"{before.sentence}, {check.sentence}"
            told[check.verdict] = before._replace(sentence=together)
    if {"no signal", "always rewarded"} & set(told):
        told.pop("weak signal", None)
    if "always rewarded" in told:
        told.pop("no signal", None)
    return list(told.values())


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
    if recipe is not None and recipe.reward not in ("outcome",):
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
    files = [folder / name for name in ("metrics.jsonl", "recipe.yaml", "state", "checkpoints")]
    newest = max(path.stat().st_mtime for path in files if path.exists())
    when = datetime.datetime.fromtimestamp(newest, datetime.UTC)
    return when.isoformat(" ", timespec="seconds").replace("+00:00", " UTC")


def _last_error(folder: Path) -> str | None:
    """The last line of a log that speaks of an error."""
    for name in LOGS:
        if not (folder / name).is_file():
            continue
        lines = (folder / name).read_text("utf-8", "replace").splitlines()
        wrong = [line for line in lines if "error" in line.lower() or "Killed" in line]
        if wrong:
            return _one_line(wrong[-1])
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
