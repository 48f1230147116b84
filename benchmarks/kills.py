"""Kill a run of the embedded world 20 times at random moments; nothing may be lost.

    python benchmarks/kills.py [--kills 20]        # -> benchmarks/results/kills-DATE.json

The run is killed with SIGKILL, started again, killed again, and at last let finish. Its weights,
optimiser moments, records and metrics (but for their seconds) are then compared, byte for byte,
with those of the same run left alone. Where each kill fell is recorded: the moments are random in
time, so phases are hit in proportion to how long they take. The run is small, so that writing
checkpoints is a good part of it, and a kill is due after a random share of the remaining steps.
"""

from __future__ import annotations

import argparse
import datetime
import hashlib
import json
import multiprocessing
import platform
import random
import shutil
import tempfile
import time
from collections import Counter
from pathlib import Path

import torch

from onerl import train
from onerl.recipe import Recipe
from onerl.rollouts.shared_prompt import SharedPromptSampler
from onerl.runs import provenance
from onerl.training import checkpoints
from onerl.training.trainer import OneShotTrainer

RESULTS = Path(__file__).parent / "results"
PHASES = ("starting", "rollouts", "scoring", "update", "optimiser", "checkpoint", "state")
TIMED = ("metrics.jsonl", "manifest.json", "provenance.json", ".lock")


def recipe() -> Recipe:
    """60 steps of two examples, a checkpoint at every other step."""
    return Recipe.load("tiny").replace(
        examples="world:bags:1+world:residue:1",
        steps=60,
        save_every=2,
        prompts_per_step=2,
        num_generations=4,
        max_completion_length=48,
        threads=1,
        backend="torch",
    )


def watched(out: Path, phase) -> None:
    """Train, saying in `phase` what is being done."""

    def mark(owner, name: str, of: str) -> None:
        inner = getattr(owner, name)

        def marked(*arguments, **named):
            before, phase.value = phase.value, PHASES.index(of)
            try:
                return inner(*arguments, **named)
            finally:
                phase.value = before

        setattr(owner, name, marked)

    mark(OneShotTrainer, "_inner_training_loop", "scoring")
    mark(SharedPromptSampler, "sample", "rollouts")
    mark(OneShotTrainer, "backward", "update")
    mark(torch.optim.AdamW, "step", "optimiser")
    mark(checkpoints, "save_checkpoint", "checkpoint")
    mark(checkpoints, "save_state", "state")
    train(recipe(), out, progress=False)


def killed(out: Path, moments: random.Random, left: int, phase) -> dict | None:
    """Start the run and kill it; where it was, or None when it finished first."""
    context = multiprocessing.get_context("fork")
    process = context.Process(target=watched, args=(out, phase))
    phase.value = 0
    process.start()
    metrics = out / "metrics.jsonl"
    rows = metrics.read_bytes().count(b"\n") if metrics.exists() else 0
    due = rows + moments.randrange(0, max(2, 2 * (60 - rows) // left))
    while process.is_alive():
        if phase.value and metrics.exists() and metrics.read_bytes().count(b"\n") >= due:
            break
        time.sleep(0.002)
    time.sleep(moments.uniform(0, 0.3))
    process.kill()
    process.join()
    if process.exitcode != -9:
        return None
    rows = metrics.read_bytes().count(b"\n") if metrics.exists() else 0
    partial = [path.name for path in out.glob("*/.*.partial")]
    return {"phase": PHASES[phase.value], "rows": rows, "partly written": partial}


def left_behind(out: Path) -> dict[str, str]:
    """sha256 of what the run left, the metrics without their seconds."""
    found = {
        str(path.relative_to(out)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(out.rglob("*"))
        if path.is_file() and path.name not in TIMED
    }
    for line in (out / "metrics.jsonl").read_text().splitlines():
        row = json.loads(line)
        kept = {key: value for key, value in row.items() if not key.startswith("seconds/")}
        found[f"metrics row {row['step']}"] = json.dumps(kept)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--small", action="store_true", help="as little as runs; nothing is kept")
    given = parser.parse_args()
    wanted = 2 if given.small else given.kills
    torch.set_num_threads(1)
    seed = time.time_ns() % 2**32
    moments, phase = random.Random(seed), multiprocessing.get_context("fork").Value("i", 0)
    folder, started = Path(tempfile.mkdtemp()), time.perf_counter()
    kills = []
    while len(kills) < wanted:
        kill = killed(folder / "killed", moments, wanted - len(kills), phase)
        if kill is None and given.small:
            break
        if kill is None:  # it finished: the remaining kills need a run of their own
            raise SystemExit(f"finished after {len(kills)} kills; run again")
        kills.append(kill)
        print(len(kills), kill, flush=True)
    for name in ("killed", "whole"):
        process = multiprocessing.get_context("fork").Process(
            target=watched, args=(folder / name, phase)
        )
        process.start()
        process.join()
        assert process.exitcode == 0
    killed_, whole = left_behind(folder / "killed"), left_behind(folder / "whole")
    differ = sorted(
        name for name in whole.keys() | killed_.keys() if whole.get(name) != killed_.get(name)
    )
    result = {
        "date": datetime.date.today().isoformat(),
        "machine": platform.machine(),
        **{name: value for name, value in provenance.hardware().items() if name != "machine"},
        "torch": torch.__version__,
        "commit": provenance.git_commit(),
        "recipe": recipe().model_dump(mode="json"),
        "seed of the moments": seed,
        "seconds": round(time.perf_counter() - started),
        "kills": kills,
        "kills by phase": dict(Counter(kill["phase"] for kill in kills)),
        "things compared": len(whole),
        "things that differ": differ,
    }
    shutil.rmtree(folder)
    if not given.small:
        RESULTS.mkdir(exist_ok=True)
        file = RESULTS / f"kills-{result['date']}.json"
        file.write_text(json.dumps(result, indent=1) + "\n")
    print(f"{len(kills)} kills, {len(whole)} things compared, {len(differ)} differ")
    if differ:
        raise SystemExit("the killed run is not the uninterrupted one")


if __name__ == "__main__":
    main()
