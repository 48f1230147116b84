"""The picture at the top of the README: what one example does, in one run and on one problem.

    python benchmarks/picture.py            # two minutes; docs/first.png
    python benchmarks/picture.py --small    # the same path in a few steps, drawn and not kept

The run is the preset tiny at seed 0, as `make demo` trains it. The problem shown is the first
held-out one, in the benchmark's order, that the base model gets wrong and the trained model right.
The paper's two numbers are those of its Table 8, MATH500: the base model and training on pi1.
"""

from __future__ import annotations

import argparse
import tempfile
import textwrap
from pathlib import Path

import pandas as pd

import onerl
from onerl import paper, plots
from onerl.problems import benchmark

FILE = Path(__file__).parents[1] / "docs" / "first.png"
POINTS = (0, 10, 20, 30, 40, 50, 60)


def turned(before: onerl.Report, after: onerl.Report) -> tuple[str, str, str]:
    """Question, and both answers, of the first problem that only the trained model solves."""
    keys = ["benchmark", "problem", "sample", "gold"]
    pair = before.records.merge(after.records, on=keys)
    row = next(pair[~pair["correct_x"] & pair["correct_y"]].itertuples(), pair.iloc[0])
    question = next(p.question for p in benchmark("world") if p.id == row.problem)
    return question, row.text_x.strip(), row.text_y.strip()


def draw(held_out: pd.DataFrame, metrics: pd.DataFrame, texts: tuple[str, str, str]):
    figure, (words, curve, theirs) = plots.panels(
        1,
        3,
        height=3.6,
        title="Reinforcement learning on one problem lifts a thousand others",
        width_ratios=[1.25, 1.5, 0.8],
    )
    words.axis("off")
    place = 1.0
    heads = ("a held-out problem", "before", "after training on another one")
    for head, text in zip(heads, texts, strict=True):
        parts = [textwrap.wrap(part, 31) for part in text.replace("$", r"\$").splitlines()]
        lines = [line for part in parts for line in part]
        words.text(0, place, head, va="top", fontweight="bold", fontsize=9)
        words.text(0, place - 0.075, "\n".join(lines), va="top", family="monospace", fontsize=8)
        place -= 0.16 + 0.062 * len(lines)
    reward = 100 * metrics.set_index("step")["reward"]
    series = {"1,000 held-out problems": held_out, "the one example": reward.to_frame("value")}
    plots.curves(curve, pd.concat(series))
    curve.set(xlabel="training step", ylabel="accuracy (%)", title="here: a minute on a laptop")
    plots.include(curve, y=(0.0, 100.0))
    curve.text(58, 99, "1,000 held-out problems", ha="right", color=plots.BLUE)
    curve.text(58, 30, "the one example, sampled", ha="right", color=plots.ORANGE)
    table = paper.table("table8_main").set_index("data")["math500"]
    row = pd.DataFrame({"value": [table["base"], table["pi1"]]}, index=["before", "after"])
    theirs.plot(range(2), row["value"], **plots.series_style(0, paper=True))
    for x, value in enumerate(row["value"]):
        theirs.annotate(f"{value:.0f}", (x, value), (0, 8), textcoords="offset points", ha="center")
    theirs.grid(axis="x", visible=False)
    theirs.set(
        xticks=range(2),
        xticklabels=row.index,
        xlabel="on MATH500",
        xlim=(-0.5, 1.5),
        title="the paper",
    )
    plots.include(theirs, y=(0.0, 100.0))
    return figure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--small", action="store_true", help="few steps and problems, not kept")
    small = parser.parse_args().small
    short = {"steps": 2, "save_every": 1, "prompts_per_step": 1} if small else {}
    with tempfile.TemporaryDirectory() as scratch:
        recipe = onerl.Recipe.load("tiny", **short)
        run = onerl.train(recipe, out=scratch)
        steps = [step for step, _ in run.checkpoints if small or step in POINTS]
        if small:
            reports = {
                step: onerl.evaluate((step, path), ["world"], limit=20)
                for step, path in run.checkpoints
            }
        else:
            reports = run.evaluate(steps)
        rows = {s: r.table.set_index("metric").loc["accuracy"] for s, r in reports.items()}
        held_out = pd.DataFrame(rows).T[["value", "low", "high"]].astype(float)
        texts = turned(reports[0], reports[max(reports)])
        figure = draw(held_out, run.metrics, texts)
        figure.savefig(Path(scratch) / "first.png" if small else FILE, dpi=200)
    print(held_out.round(1).to_string())
    print(*texts, sep="\n")


if __name__ == "__main__":
    main()
