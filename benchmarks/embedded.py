"""What the embedded world shows, over seeds: the runs behind the recorded tables.

    python benchmarks/embedded.py run                  # as often as there are idle cores
    python benchmarks/embedded.py collect              # -> benchmarks/results/embedded-DATE.json

Arms: the 13 rows of the ablation, a format-only reward, one single example from each of the six
other categories, the whole pool, and a three times longer run. The single examples were fixed
before any of them was trained: the first pool problem of the first template of each category.
A finished run is never trained again, an interrupted one goes on where it was, and one that another
process is busy with is passed over, so several processes share the work.
"""

from __future__ import annotations

import argparse
import datetime
import json
import platform
import re
from itertools import product
from pathlib import Path

import torch

import onerl
from onerl import corpus, intervals, templates, world

RUNS = Path(__file__).parents[1] / "outputs" / "embedded"
RESULTS = Path(__file__).parent / "results"
SEEDS = range(5)
LONG_STEPS = 180


def singles() -> dict[str, str]:
    """One example per category other than π1's: arm name -> examples name."""
    first = {}
    for template in templates.TEMPLATES.values():
        first.setdefault(template.category, template.name)
    del first[templates.TEMPLATES[world.PI1[0]].category]
    return {f"single {name}": f"world:{name}:1" for name in first.values()}


def arms() -> dict[str, dict]:
    """Arm name -> what it changes in the tiny preset; rows of the ablation under "row"."""
    return (
        {
            "row 5": {"row": 5},
            "format reward": {"reward": "format"},
            "pool": {"examples": "world:all"},
        }
        | {name: {"examples": example} for name, example in singles().items()}
        | {f"row {row}": {"row": row} for row in range(1, 14) if row != 5}
        | {"long": {"steps": LONG_STEPS}}
    )


def recipe_of(change: dict, seed: int) -> onerl.Recipe:
    change = dict(change)
    row = change.pop("row", None)
    recipe = onerl.Recipe.load("tiny", seed=seed, **change)
    return recipe if row is None else recipe.ablation(row=row)


def measure(model, out: Path, prefix: str = "") -> dict:
    """Held-out greedy accuracy, box share and format-free accuracy with 95 % intervals."""
    table = onerl.evaluate(model, ["world"], prefix=prefix, out=out, progress=False).table
    table = table.set_index("metric")
    return {
        metric: [round(float(table.loc[metric, c]), 2) for c in ("value", "low", "high")]
        for metric in table.index
    }


def run_all(only: str | None) -> None:
    torch.set_num_threads(1)
    for seed, arm in product(SEEDS, arms()):
        recipe = recipe_of(arms()[arm], seed)
        out = RUNS / recipe.hash()
        if only and not arm.startswith(only):
            continue
        try:
            run = onerl.train(recipe, out=out, progress=False)
        except ValueError as error:
            if "another process" in str(error):
                continue
            raise
        every = arm in ("row 5", "long")
        for step, path in run.checkpoints[1:] if every else run.checkpoints[-1:]:
            result = measure((step, path), out / "evaluations" / f"step-{step:06d}")
        print(f"{arm:22s} seed {seed}  {result['accuracy'][0]:5.1f} %", flush=True)


def collect() -> None:
    """Gather every arm and seed into one dated JSON; refuses when a run is missing."""
    commits = set()
    results = {
        "date": datetime.date.today().isoformat(),
        "hardware": f"{platform.machine()} CPU, 1 thread per run, torch {torch.__version__}",
        "scale": "embedded world, not the paper's model",
        "base": measure("world", RUNS / "base"),
        "elicitation ceiling": measure("world", RUNS / "ceiling", corpus.CAREFUL_OPENING),
        "arms": {},
    }
    for arm, change in arms().items():
        rows = []
        for seed in SEEDS:
            recipe = recipe_of(change, seed)
            run = onerl.Run(RUNS / recipe.hash())
            if not run.done:
                raise SystemExit(f"{arm} seed {seed} has not been run: {run.path}")
            git = json.loads((run.path / "provenance.json").read_text())["git"]
            commits.add(git["commit"][:7] + (" and changes" if git["changed"] else ""))
            metrics = run.metrics
            kept = ["reward", "policy_loss", "grad_norm", "update_norm", "kl", "entropy"]
            kept += ["completion_length", "truncated"]
            evaluations = {
                step: measure((step, path), run.path / "evaluations" / f"step-{step:06d}")
                for step, path in run.checkpoints
                if (run.path / "evaluations" / f"step-{step:06d}").exists()
            }
            last = evaluations[max(evaluations)]
            rows.append(
                {
                    "seed": seed,
                    "recipe": recipe.hash(),
                    **last,
                    "accuracy_by_step": {s: e["accuracy"][0] for s, e in evaluations.items()},
                    "metrics": {k: [float(f"{v:.4g}") for v in metrics[k]] for k in kept},
                }
            )
        accuracies = [row["accuracy"][0] for row in rows]
        over_seeds = intervals.seed_interval(accuracies)
        results["arms"][arm] = {
            "change": change,
            "accuracy_over_seeds": [round(float(v), 2) for v in over_seeds],
            "runs": rows,
        }
    results["commit"] = ", ".join(sorted(commits))
    RESULTS.mkdir(exist_ok=True)
    file = RESULTS / f"embedded-{results['date']}.json"
    text = json.dumps(results, indent=1)
    one_line = re.sub(r"\[[^][{}]*\]", lambda found: " ".join(found[0].split()), text)
    file.write_text(one_line + "\n")
    for arm, result in results["arms"].items():
        print(f"{arm:22s}", result["accuracy_over_seeds"])
    print(file)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("action", choices=["run", "collect"])
    parser.add_argument("--only", help="arms whose name starts with this")
    arguments = parser.parse_args()
    if arguments.action == "collect":
        collect()
    else:
        run_all(arguments.only)


if __name__ == "__main__":
    main()
