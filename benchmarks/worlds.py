"""Another embedded world, in which words of reflection have more to do than in the shipped one.

    python benchmarks/worlds.py            # some minutes; the runs -> outputs/recorded/slips
    python benchmarks/worlds.py --small    # the same path in a minute, nothing recorded

The paper sees "recheck" and the like become more frequent in training. In the shipped world a
recheck only follows a slip, and few careful solutions of its corpus (12 %) have one. In the world
made here half of them have one, and the shipped base model reads on in it before it is trained.
Fixed before anything was trained on it: the share, the batches, their learning rates, and the runs
(the preset tiny, 3 seeds, every checkpoint evaluated, greedy and sampled).

What outputs/recorded/slips holds is older: there the base model read on with Adam alone, at 1e-3.
"""

from __future__ import annotations

import argparse
from dataclasses import replace

import torch

import onerl
from onerl.grids import recorded
from onerl.sweep import sweep
from onerl.world import EMBEDDED
from onerl.world.pretraining import Pretraining, base_model

SLIPS = replace(EMBEDDED, mixture=replace(EMBEDDED.mixture, slip_share=0.5))
SHIPPED = Pretraining(mixture=EMBEDDED.mixture)
READS_ON = Pretraining(
    steps=800, muon_learning_rate=0.005, adam_learning_rate=1e-3, flat_share=0.0, after=SHIPPED
)
SEEDS = range(3)


def say(step: int, loss: float, model: torch.nn.Module) -> None:
    if step % 50 == 0:
        print(f"batch {step}: loss {loss:.3f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--small", action="store_true", help="few batches, steps and problems")
    given = parser.parse_args()
    torch.set_num_threads(1)
    folder = onerl.outputs_folder() / "worlds"
    reads_on = replace(READS_ON, steps=5) if given.small else READS_ON
    model = base_model(SLIPS, reads_on, folder, say)
    small = {"steps": 2, "save_every": 1, "prompts_per_step": 1} if given.small else {}
    recipes = {
        ("slips", seed): onerl.Recipe.load(
            "tiny", seed=seed, model=str(model), benchmarks=["world", "world-sampled"], **small
        )
        for seed in SEEDS[: 1 if given.small else None]
    }
    limit = 20 if given.small else None
    grid = sweep(recipes, jobs=given.jobs, evaluate="all", out=folder / "runs", limit=limit)
    for benchmark in ("world", "world-sampled"):
        for metric in ("accuracy", "reflection"):
            print(benchmark, metric, grid.curve("slips", metric, benchmark).round(1), sep="\n")
    if not given.small:
        print(recorded.record(grid, "slips"))


if __name__ == "__main__":
    main()
