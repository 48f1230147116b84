"""Two other embedded worlds, in which findings of the paper have room that the shipped one lacks.

    python benchmarks/worlds.py pretrain weak        # about 10 minutes on an idle core, each
    python benchmarks/worlds.py pretrain slips
    python benchmarks/worlds.py train                # -> outputs/recorded/worlds

weak     the same corpus, read for 3,500 steps instead of 13,000: careful writing makes mistakes, so
         that there is room above the elicitation ceiling
slips    as weak, but half of the careful solutions in the corpus hold a slip that a recheck repairs
         (12 % in the shipped world): does reinforcement learning make rechecks more frequent?

Both were fixed before anything was trained on them. A 1-shot run of 180 steps on π1's counterpart,
3 seeds each, every checkpoint evaluated, greedy and sampled.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import onerl
from onerl import base_model, corpus, recorded
from onerl.sweep import sweep

FOLDER = Path("outputs/worlds")
SLIPS = {"weak": corpus.SLIP_SHARE, "slips": 0.5}
PRETRAINING_STEPS = 3500
SEEDS = range(3)


def pretrain(name: str) -> None:
    corpus.SLIP_SHARE = SLIPS[name]
    out = FOLDER / name
    out.mkdir(parents=True, exist_ok=True)
    base_model.main(out, base_model.Pretraining(steps=PRETRAINING_STEPS))


def recipes() -> dict[tuple[str, int], onerl.Recipe]:
    return {
        (name, seed): onerl.Recipe.load(
            "tiny",
            seed=seed,
            model=str(FOLDER / name),
            steps=180,
            save_every=20,
            benchmarks=["world", "world-sampled"],
        )
        for name in SLIPS
        for seed in SEEDS
    }


def train(jobs: int) -> None:
    grid = sweep(recipes(), jobs=jobs, evaluate="all", out=FOLDER / "runs")
    print(grid.curve("weak").round(1), grid.curve("slips").round(1), sep="\n")
    print(recorded.record(grid, "worlds"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    actions = parser.add_subparsers(dest="action", required=True)
    actions.add_parser("pretrain").add_argument("name", choices=SLIPS)
    actions.add_parser("train").add_argument("--jobs", type=int, default=1)
    arguments = parser.parse_args()
    if arguments.action == "pretrain":
        pretrain(arguments.name)
    else:
        train(arguments.jobs)


if __name__ == "__main__":
    main()
