"""Finished runs that nobody trained: folders with metrics and answers of a chosen accuracy."""

import json
import random

import pandas as pd

from onerl.evaluation import problems_of
from onerl.evaluation.answers import Kept
from onerl.recipe import Recipe

LIMIT = 28  # problems: two of each template


def fake_run(out, recipe: Recipe, accuracy: dict[int, float], by_example=None):
    """A run in `out`; `accuracy`: share of right answers by step, other wrong ones per seed."""
    folder = out / recipe.hash()
    (folder / "checkpoints").mkdir(parents=True)
    (folder / "recipe.yaml").write_text(recipe.to_yaml(), "utf-8")
    provenance = {
        "started": "2026-11-23T10:00:00+00:00",
        "git": {"commit": "0123456789abcdef", "changed": False},
        "hardware": {"cpu": "a processor"},
        "packages": {"torch": "2.13.0"},
    }
    (folder / "provenance.json").write_text(json.dumps(provenance), "utf-8")
    rows = [{"step": i, "reward": i / recipe.steps} for i in range(1, recipe.steps + 1)]
    for row, shares in zip(rows, by_example or [], strict=False):
        row["by_example"] = shares
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    for step, share in accuracy.items():
        (folder / "checkpoints" / f"step-{step:06d}").mkdir()
        answers(folder / "evaluations" / f"step-{step:06d}" / "world", share, recipe.seed)
    (folder / "DONE").touch()
    return folder


def answers(folder, share: float, seed: int) -> None:
    """Graded answers to LIMIT problems, `share` of them right."""
    problems = problems_of("world", LIMIT)
    right = set(random.Random(seed).sample(range(LIMIT), round(share * LIMIT)))
    rows = pd.DataFrame(
        {
            "benchmark": "world",
            "problem": [problem.id for problem in problems],
            "category": [problem.category for problem in problems],
            "gold": [problem.answer for problem in problems],
            "sample": 0,
            "text": ["let me recheck" if i % 4 == 0 else "so" for i in range(LIMIT)],
            "tokens": [10 + i for i in range(LIMIT)],
            "finish": ["length" if i % 7 == 0 else "stop" for i in range(LIMIT)],
            "answer": ["1" if i in right or i % 2 else None for i in range(LIMIT)],
            "status": "ok",
            "correct": [i in right for i in range(LIMIT)],
            "correct_any_format": [i in right or i < 3 for i in range(LIMIT)],
        }
    )
    Kept(folder, {}).add("from-00000.parquet", rows)
