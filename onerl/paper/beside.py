"""The paper's tables with our numbers beside them, and what is missing.

    found = beside.recorded_grids()             grids that are recorded: the embedded world
    found = beside.finished_grids()             grids of which runs are finished under outputs/
    rows = beside.paper_table("table5_ablation", found)
    print(beside.text("table5_ablation", rows))
    print(beside.grid_table(grid, theirs))     one grid's table, the paper's numbers apart
    theirs(["math500", "arc_easy"])             the paper's numbers as an evaluation's

`params/paper/arms.yaml` says which of our arms stands beside which row. The paper's numbers are its
model's, with one seed and a checkpoint chosen on the test sets; ours are of the last step, and have
their scale in the column "measured at". The embedded world stands beside rows of Qwen2.5-Math-1.5B
alone, and never in a column with them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from onerl import grids, paper
from onerl.evaluation.protocols import protocol_for
from onerl.grids import recorded
from onerl.grids.finished import collect
from onerl.grids.grid import BASE, Grid
from onerl.paper import claims
from onerl.parameters import choose
from onerl.recipe import RecipeError
from onerl.runs import Run, outputs_folder

COLUMN_OF = {"minerva_math": "minerva", "olympiadbench": "olympiad"}
"""Benchmark: its column in the paper's tables, where that has another name."""

PROBLEMS = {"world": "held-out", "world-unseen": "unseen families"}
MAIN = "qwen2.5-math-1.5b"  # of the rows that the embedded world may stand beside
WORLD = "tiny"
STANDS_FOR_WORLD = "math500"  # what the paper has in place of the held-out problems
MODELS = (
    ("base", "Qwen2.5-Math-1.5B", "as given"),
    ("pi1", "  after 1-shot RLVR on pi1", "best average on the test sets"),
)
OURS = ["measured at", "value", "low", "high", "seeds", "problems", "interval"]

Grids = Mapping[tuple[str, str], Grid]
"""Grids by (name, preset)."""


def declared() -> dict[str, dict[str, Any]]:
    """`params/paper/arms.yaml`: the tables in the paper's order."""
    return paper.described("arms")


def recorded_grids() -> tuple[dict[tuple[str, str], Grid], list[str]]:
    """All that is recorded, of the embedded world, and the names of the grids that are not."""
    there = recorded.names()
    missing = [name for name in grids.names() if name not in there]
    names = dict.fromkeys([*grids.names(), *there])
    return {(name, WORLD): recorded.load(name) for name in names if name in there}, missing


def finished_runs(out: Path | None = None) -> list[Run]:
    """The finished runs right under a folder, `outputs/` by default."""
    files = sorted((out or outputs_folder()).glob("*/recipe.yaml"))
    return [run for run in (Run(file.parent) for file in files) if run.done]


def finished_grids(out: Path | None = None) -> dict[tuple[str, str], Grid]:
    """What is finished of each grid, by grid and preset; grids without a run are left out."""
    out = out or outputs_folder()
    presets = {run.path.name: run.recipe.preset for run in finished_runs(out)}
    found = {}
    for preset in sorted(set(presets.values())):
        for name in grids.names():
            try:
                recipes = grids.recipes(name, preset, full=True)
            except (RecipeError, FileNotFoundError):  # a preset of the user's own that is gone
                continue
            recipes = {key: r for key, r in recipes.items() if r.hash() in presets}
            grid = collect(recipes, out, grids.definition(name).evaluate)
            if grid.outcomes:
                found[name, preset] = grid
    return found


def other_runs(found: Grids, out: Path | None = None) -> pd.DataFrame:
    """The finished runs that are no arm of these grids: folder, and the recipe in short."""
    known = {run.recipe.hash() for grid in found.values() for run in grid.outcomes.values()}
    runs = [run for run in finished_runs(out) if run.path.name not in known]
    table = pd.DataFrame({"folder": [run.path.name for run in runs]})
    for field in ("preset", "examples", "label", "reward", "steps", "seed"):
        table[field] = [str(getattr(run.recipe, field))[:40] for run in runs]
    return table


def verdicts() -> tuple[pd.DataFrame, list[str]]:
    """`claims.table()` over the grids that can give one, and a line for each that cannot."""
    rows, left = [], []
    for name in claims.declared():
        try:
            rows.append(claims.table(name))
        except FileNotFoundError:
            left.append(f"{name}: not recorded yet; python -m onerl.sweep {name} --full")
        except (ValueError, KeyError) as error:
            left.append(f"{name}: recorded in part: {error}")
    return pd.concat(rows) if rows else pd.DataFrame(columns=claims.COLUMNS), left


def paper_table(name: str, found: Grids) -> pd.DataFrame:
    """One table of the paper, row by row, and what stands beside it.

    Returns:
        row, the paper's columns (their headings as `paper: …`), measured at, value, low, high,
        seeds, problems, interval; a row of the paper has a line per scale that was measured.

    Raises:
        ValueError: no such table.
    """
    plan = declared()[choose("table", name, declared())]
    rows = []
    for _, theirs in paper.table(name).iterrows():
        shown = {"row": _called(theirs, plan["by"])}
        shown |= {f"paper: {column}": theirs[column] for column in plan["values"]}
        ours = [_ours(plan, *place, found) for place in _places(theirs, plan) or ()]
        rows += [shown | measured for measured in filter(None, ours)] or [shown]
    columns = ["row", *(f"paper: {column}" for column in plan["values"]), *OURS]
    return pd.DataFrame(rows, columns=columns)


def text(name: str, rows: pd.DataFrame) -> str:
    """The table for print, with its title and its footnotes."""
    printed = rows.round(1).astype(object).where(rows.notna(), "")
    for column in ("seeds", "problems"):
        printed[column] = [int(value) if value != "" else "" for value in printed[column]]
    notes = [f"* {note}" for note in paper.footnotes(name)]
    return "\n".join([declared()[name]["title"], printed.to_string(index=False), *notes])


def grid_table(
    grid: Grid, theirs: pd.DataFrame, of: str = "Qwen2.5-Math-1.5B", metric: str = "accuracy"
) -> str:
    """A grid's table and the paper's numbers, under headings that say whose they are; percent.

    A star at an interval is explained below the table: it does not promise 95 %.

    Args:
        theirs: index arm, and "base model" for the model before training; arms without a row, and
            cells that are NaN, stay empty.
        of: the paper's model.
    """
    recipe = next(iter(grid.outcomes.values())).recipe
    ours = pd.concat([grid.table(metric, base=True), grid.table(metric)]).rename_axis(None)
    notes = [f"* {note}" for note in dict.fromkeys(ours["note"]) if note]
    ours["interval"] += ours["note"].map(lambda note: "*" if note else "")
    ours = ours.drop(columns="note").round(1)
    left = ours.to_string().splitlines()
    right = theirs.reindex(ours.index).to_string(index=False, na_rep="").splitlines()
    world = recipe.scale == "world"
    scale = "embedded world, held-out" if world else f"{recipe.model}, {recipe.benchmarks[0]}"
    rows = zip([f"{scale}: {metric}, %", *left], [f"the paper: {of}", *right], strict=True)
    lines = [f"{a:{len(left[0])}s}  |  {b}".rstrip() for a, b in rows]
    return "\n".join([*lines, *notes])


def missing(name: str, found: Grids) -> list[str]:
    """Commands for the rows of the paper that nothing of ours stands beside, each once."""
    plan, lines = declared()[name], []
    for _, theirs in paper.table(name).iterrows():
        places = _places(theirs, plan)
        for grid, arm, preset in places or ():
            scale, flag = ("world", "") if preset == WORLD else ("paper", f" --preset {preset}")
            there = arm in (BASE, *grids.definition(grid, scale).arms)
            if there and _ours(plan, grid, arm, preset, found) is None:
                lines.append(f"python -m onerl.sweep {grid}{flag} --full")
        if places == [] and "instead" in plan:
            lines.append(plan["instead"])
    return list(dict.fromkeys(lines))


def _places(theirs: pd.Series, plan: Mapping) -> list[tuple[str, str, str]] | None:
    """(grid, arm, preset) of the runs of this row, the world's first; None: the plan leaves it."""
    name = plan["arms"].get(_called(theirs, plan["by"]))
    if any(theirs[column] != value for column, value in plan.get("only", {}).items()):
        return None
    if name is None:
        return []
    preset = plan.get("preset", theirs.get("model", MAIN).lower())
    grid, _, arm = name.partition("/")
    return [(grid, arm, at) for at in ([WORLD] if preset == MAIN else []) + [preset]]


def _called(theirs: pd.Series, by: Iterable[str]) -> str:
    """The name of a row: the values of its columns, whole numbers as such."""
    values = [theirs[column] for column in by if pd.notna(theirs[column])]
    whole = [int(v) if isinstance(v, float) and v.is_integer() else v for v in values]
    return ", ".join(map(str, whole))


def _ours(plan: Mapping, name: str, arm: str, preset: str, found: Grids) -> dict[str, Any] | None:
    """What we measured for an arm at one scale, or None."""
    grid = found.get((name, preset))
    if grid is None or arm not in (BASE, *grid.arms) or grid.base is None:
        return None
    recipe = next(iter(grid.outcomes.values())).recipe
    benchmark, scale = plan.get("world", "world"), "embedded world"
    if recipe.scale == "paper":
        shown = [column for column in plan["values"] if column in recipe.benchmarks]
        benchmark, scale = [*shown, *recipe.benchmarks][0], recipe.model
    metric = plan.get("metric", "accuracy")
    estimate = grid.table(metric, benchmark, base=arm == BASE).loc[arm].to_dict()
    return {"measured at": f"{scale}, {PROBLEMS.get(benchmark, benchmark)}", **estimate}


def theirs(benchmarks: Iterable[str]) -> pd.DataFrame:
    """The paper's model before and after training on pi1, on these benchmarks.

    Its Tables 8 and 1, columns model, benchmark, n, k, value, protocol, checkpoint. For the
    embedded world's sets it is MATH500, for other sets that the paper has not, nothing. n and k are
    empty where the paper does not say.
    """
    sizes = paper.table("benchmarks").set_index("benchmark")
    rows = []
    names = [STANDS_FOR_WORLD if name.startswith("world") else name for name in benchmarks]
    for name in dict.fromkeys(names):
        table, column, n, k, how = "table8_main", COLUMN_OF.get(name, name), None, None, None
        if name in sizes.index:
            n, k = sizes.loc[name, ["n_questions", "copies"]]
            how = protocol_for(name, "paper")[0]
        elif name in ("arc_easy", "arc_challenge"):
            table, how = "table1_arc", "not published"
        if how is not None:
            for data, model, checkpoint in MODELS:
                value = paper.row(table, data=data)[column]
                rows.append([model, name, n, k, value, how, checkpoint])
    columns = ["model", "benchmark", "n", "k", "value", "protocol", "checkpoint"]
    return pd.DataFrame(rows, columns=columns).astype({"n": "Int64", "k": "Int64"})
