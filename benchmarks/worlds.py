"""Another embedded world, in which words of reflection have more to do than in the shipped one.

    python benchmarks/worlds.py pretrain        # the shipped base model reads on: some minutes
    python benchmarks/worlds.py train           # 1-shot runs on it -> outputs/recorded/slips

The paper sees "recheck" and the like become more frequent in training. In the shipped world a
recheck only follows a slip, and few careful solutions of its corpus (12 %) have one. Here the
shipped base model reads 800 more batches of a corpus in which half of them have one.
Fixed before anything was trained on it: the share, the batches, their learning rate, and the runs
(the preset tiny, 3 seeds, every checkpoint evaluated, greedy and sampled).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
import torch.nn.functional as F
from transformers import AutoModelForCausalLM, AutoTokenizer

import onerl
from onerl import world
from onerl.grids import recorded
from onerl.sweep import sweep
from onerl.world import corpus, pretraining

FOLDER = Path("outputs/worlds/slips")
SLIPS, BATCHES, LEARNING_RATE = 0.5, 800, 1e-3
SEEDS = range(3)


def pretrain() -> None:
    """Reads on with Adam, the rate falling to zero; new documents (seed 1), the old split."""
    torch.set_num_threads(1)
    corpus.SLIP_SHARE = SLIPS
    model = AutoModelForCausalLM.from_pretrained(world.FOLDER)
    tokenizer = AutoTokenizer.from_pretrained(world.FOLDER)
    optimizer = torch.optim.AdamW(model.parameters(), LEARNING_RATE, weight_decay=0.0)
    batches = pretraining.batches(pretraining.Pretraining(seed=1), tokenizer)
    for step, ids in zip(range(BATCHES), batches, strict=False):
        optimizer.param_groups[0]["lr"] = LEARNING_RATE * (1 - step / BATCHES)
        logits = model(input_ids=ids[:, :-1], use_cache=False).logits
        targets = ids[:, 1:].flatten()
        loss = F.cross_entropy(logits.flatten(0, 1), targets, ignore_index=tokenizer.pad_token_id)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        if step % 50 == 0:
            print(f"batch {step} of {BATCHES}: loss {loss.item():.3f}", flush=True)
    model.save_pretrained(FOLDER)
    tokenizer.save_pretrained(FOLDER)


def train(jobs: int) -> None:
    recipes = {
        ("slips", seed): onerl.Recipe.load(
            "tiny", seed=seed, model=str(FOLDER), benchmarks=["world", "world-sampled"]
        )
        for seed in SEEDS
    }
    grid = sweep(recipes, jobs=jobs, evaluate="all", out=FOLDER.parent / "runs")
    for benchmark in ("world", "world-sampled"):
        for metric in ("accuracy", "reflection"):
            print(benchmark, metric, grid.curve("slips", metric, benchmark).round(1), sep="\n")
    print(recorded.record(grid, "slips"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("action", choices=["pretrain", "train"])
    parser.add_argument("--jobs", type=int, default=1)
    arguments = parser.parse_args()
    if arguments.action == "pretrain":
        pretrain()
    else:
        train(arguments.jobs)


if __name__ == "__main__":
    main()
