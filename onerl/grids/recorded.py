"""The grids that were run once, in full: their small results, kept in git, read back as a `Grid`.

    python -m onerl.grids.recorded ablation           # pack the finished runs of the full grid
    grid = recorded.load("ablation"); print(grid.label)

`outputs/recorded/<grid>/` holds of each run what tables and figures need, and no text:

    runs.json         arm, seed, recipe, its hash, evaluated steps; commit, date, hardware, threads
    metrics.parquet   a row per update
    records.parquet   a row per sampled answer; the model before training is the run "base"
    history.parquet   share of right rollouts by run, step and example, where a run has several

What is read from here was not run here: `Grid.label` says so, with commit, date and hardware, and
belongs beside every number.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from onerl import grids
from onerl.estimates import METRICS
from onerl.evaluation.report import Report
from onerl.grids.finished import collect
from onerl.grids.grid import Grid, Outcome
from onerl.parameters import nearest
from onerl.recipe import Recipe
from onerl.runs import outputs_folder
from onerl.runs.files import write_text
from onerl.training.children import command_line

BASE_RUN = "base"
CHANGED = " and changes"  # behind a commit that is not all that a run was made from
NAMES = ["benchmark", "category", "problem", "protocol", "status", "finish"]  # of an answer
FILES = ("metrics", "records", "history")


class RecordedReport(Report):
    """A report whose texts are gone: what was read off them stands in the records."""

    @cached_property
    def _measured(self) -> pd.DataFrame:
        return self.records


def folder_of(name: str) -> Path:
    """Where a grid's recorded results are."""
    return outputs_folder() / "recorded" / name


def names() -> list[str]:
    """The grids that are recorded, sorted."""
    return sorted(path.parent.name for path in folder_of("").glob("*/runs.json"))


def record(grid: Grid, name: str) -> Path:
    """Pack a grid that was run here into `outputs/recorded/<name>`, replacing what is there.

    Raises:
        ValueError: the grid has no finished run, is itself only recorded, or a run was made from
            a checkout with changes: nobody could make it again.
    """
    if not grid.outcomes or any(run.path is None for run in grid.outcomes.values()):
        raise ValueError(f"grid {name}: nothing to record; it has no run with a folder")
    runs = {run.recipe.hash(): run for run in grid.outcomes.values()}
    entries = [_entry(arm, seed, run) for (arm, seed), run in grid.outcomes.items()]
    if dirty := [f"{e['arm']}, seed {e['seed']}" for e in entries if CHANGED in e["commit"]]:
        raise ValueError(
            f"grid {name}: {len(dirty)} runs were made from a checkout with changes that are not"
            f" committed ({dirty[0]}); commit them and train again"
        )
    tables = {file: [] for file in FILES}
    if grid.base is not None:
        tables["records"].append(_compact(grid.base, BASE_RUN, 0))
    for key, run in runs.items():
        tables["metrics"].append(run.metrics.assign(run=key))
        tables["records"] += [_compact(run.reports[s], key, s) for s in sorted(run.reports)]
        if len(run.history):  # a row per step and example that was visited in it
            shares = run.history.rename_axis(columns="example").stack().dropna().rename("share")
            tables["history"].append(shares.reset_index().assign(run=key))
    folder = folder_of(name)
    folder.mkdir(parents=True, exist_ok=True)
    for file, parts in tables.items():
        target = folder / f"{file}.parquet"
        target.unlink(missing_ok=True)
        if parts:
            table = _small(pd.concat(parts, ignore_index=True))
            table.to_parquet(target, index=False, compression="zstd", compression_level=19)
    lines = ",\n".join(json.dumps(entry) for entry in entries)
    write_text(folder / "runs.json", f'{{"grid": {json.dumps(name)}, "runs": [\n{lines}\n]}}\n')
    return folder


def load(name: str) -> Grid:
    """The recorded grid `name`, marked as recorded.

    Raises:
        FileNotFoundError: no such grid is recorded; the message names those that are.
    """
    folder = folder_of(name)
    if name not in names():
        near, there = nearest(name, names()), ", ".join(names()) or "none"
        lacks = f"{folder / 'runs.json'} is not there{near}; recorded: {there}"
        raise FileNotFoundError(f"recorded grid {name!r}: {lacks}")
    entries = json.loads((folder / "runs.json").read_text("utf-8"))["runs"]
    tables = {file: _by_run(folder / f"{file}.parquet") for file in FILES}
    reports = {}
    for run, table in tables["records"].items():
        for step, rows in table.groupby("step"):
            answers = rows.drop(columns=["run", "step"]).assign(checkpoint=f"step {step}")
            reports.setdefault(run, {})[int(step)] = RecordedReport(answers)
    base, outcomes = reports.get(BASE_RUN, {}).get(0), {}
    for entry in entries:
        recipe, run = Recipe(**entry["recipe"]), entry["hash"]
        metrics = tables["metrics"][run].drop(columns="run").dropna(axis=1, how="all")
        history = _wide(tables["history"].get(run))
        outcome = Outcome(recipe, metrics, history, reports[run], base)
        outcomes[entry["arm"], entry["seed"]] = outcome
    return Grid(outcomes, recorded=True, label=_label(entries))


def _entry(arm: str, seed: int, run: Outcome) -> dict[str, Any]:
    made = json.loads((run.path / "provenance.json").read_text("utf-8"))
    git = made["git"] or {"commit": "unknown", "changed": False}
    return {
        "arm": arm,
        "seed": seed,
        "hash": run.recipe.hash(),
        "steps": sorted(run.reports),
        "started": made["started"],
        "commit": git["commit"][:7] + (CHANGED if git["changed"] else ""),
        "hardware": ", ".join(made["hardware"].get("gpus", [])) or made["hardware"]["cpu"],
        "threads": run.recipe.threads,
        "torch": made["packages"]["torch"],
        "recipe": run.recipe.model_dump(mode="json"),
    }


def _label(entries: Sequence[Mapping[str, Any]]) -> str:
    """RECORDED, not run here: 65 runs of 2026-11-23, at commit …, on …"""
    days, commits, machines = set(), set(), set()
    for entry in entries:
        days.add(entry["started"][:10])
        commits.add(entry["commit"])
        threads = "1 thread" if entry["threads"] == 1 else "several threads"
        machines.add(f"{entry['hardware']}, {threads} a run, torch {entry['torch']}")
    of, at, on = (", ".join(sorted(values)) for values in (days, commits, machines))
    return f"RECORDED, not run here: {len(entries)} runs of {of}, at commit {at}, on {on}"


def _compact(report: Report, run: str, step: int) -> pd.DataFrame:
    """The report's records without text, question, gold or answer."""
    columns = [*NAMES, "sample", *dict.fromkeys(unit.column for unit in METRICS.values())]
    return report._measured[columns].assign(run=run, step=step)


def _wide(rows: pd.DataFrame | None) -> pd.DataFrame:
    """As `Run.history`: examples in the order of their first visit."""
    if rows is None:
        return pd.DataFrame()
    wide = rows.pivot(index="step", columns="example", values="share")
    return wide[list(dict.fromkeys(rows["example"]))].rename_axis(columns=None)


def _small(table: pd.DataFrame) -> pd.DataFrame:
    """The smallest types that hold the values; float32 for measured numbers."""
    kinds = dict.fromkeys(table.select_dtypes("floating"), "float32")
    for name, column in table.select_dtypes("integer").items():
        kinds[name] = pd.to_numeric(column, downcast="integer").dtype
    names = [name for name in (*NAMES, "run", "example") if name in table]
    return table.astype(kinds | dict.fromkeys(names, "category"))


def _by_run(file: Path) -> dict[str, pd.DataFrame]:
    if not file.exists():
        return {}
    table = pd.read_parquet(file)
    wide = dict.fromkeys(table.select_dtypes("category"), str)
    wide |= dict.fromkeys(table.select_dtypes("integer"), "int64")
    groups = table.astype(wide).groupby("run", sort=False)
    return {str(run): rows.reset_index(drop=True) for run, rows in groups}


def main(arguments: list[str] | None = None) -> None:
    """Command line; see the module's docstring."""
    parser = argparse.ArgumentParser(
        prog="python -m onerl.grids.recorded",
        description="Pack the finished runs of a full grid into outputs/recorded.",
    )
    parser.add_argument("grid", nargs="+", choices=grids.names(), metavar="grid")
    parser.add_argument("--preset", default="tiny", help="a preset or a YAML file")
    parser.add_argument("--out", type=Path, help="folder of the run folders; default outputs/")
    given = parser.parse_args(arguments)
    with command_line():
        for name in given.grid:
            recipes = grids.recipes(name, given.preset, full=True)
            evaluate = grids.definition(name).evaluate
            grid = collect(recipes, given.out or outputs_folder(), evaluate)
            size = sum(file.stat().st_size for file in record(grid, name).iterdir()) / 2**20
            print(f"{name}: {len(grid.outcomes)} of {len(recipes)} runs, {size:.2f} MiB")
            if grid.missing:
                print("  not finished:", ", ".join(f"{arm} seed {s}" for arm, s in grid.missing))


if __name__ == "__main__":
    main()
