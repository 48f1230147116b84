"""Evaluating the embedded model: our `evaluate` beside `generate` of transformers, in one process.

    python benchmarks/evaluation.py [--problems 500] [--samples 8] [--turns 3]

Prints and writes `benchmarks/results/evaluation-DATE.json`. The same work for both: prompts of
the held-out problems, samples at T = 0.6 and top_p 1, at most 96 tokens, every answer decoded and
graded by the verifier (its cache emptied before each turn), from loading the model to accuracies.
`generate` gets left-padded batches of prompts of similar length, and of several batch sizes the
one that is best for it. Turns alternate; the fastest of each counts. CPU seconds of this process
at one thread, which a busy machine disturbs less than the clock; wall seconds are kept beside them.
The two draw from other random streams, so their accuracies agree only within the interval.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils.logging import disable_progress_bar

from onerl import estimates
from onerl.evaluation import Protocol, evaluate, problems_of
from onerl.problems.prompts import prompt_for
from onerl.runs import provenance
from onerl.verifier import clear_cache, grade_many
from onerl.world import FOLDER

RESULTS = Path(__file__).parent / "results"
TEMPERATURE, LONGEST = 0.6, 96
GENERATE_BATCHES = (64, 128, 256)  # rows decoded together


def ours(problems: int, samples: int) -> list[float]:
    """Accuracy, its interval and the mean length of answers by `onerl.evaluate`."""
    protocol = Protocol(samples=samples, temperature=TEMPERATURE)
    report = evaluate("world", protocol=protocol, limit=problems)
    table = report.table.set_index("metric")
    found = [*table.loc["accuracy", ["value", "low", "high"]], table.loc["length", "value"]]
    return [float(value) for value in found]


def theirs(problems: int, samples: int, rows: int) -> list[float]:
    """The same by `generate`, `rows` rollouts at a time."""
    tokenizer = AutoTokenizer.from_pretrained(FOLDER, padding_side="left")
    model = AutoModelForCausalLM.from_pretrained(FOLDER).eval()
    asked = problems_of("world", problems)
    prompts = [prompt_for(problem.question, "world", "eval") for problem in asked]
    order = sorted(range(len(prompts)), key=lambda i: len(tokenizer(prompts[i]).input_ids))
    size = max(1, rows // samples)
    pairs, tokens = [], 0
    for start in range(0, len(order), size):
        part = order[start : start + size]
        batch = tokenizer(
            [prompts[i] for i in part],
            return_tensors="pt",
            padding=True,
            add_special_tokens=False,
        )
        ids = model.generate(
            **batch,
            max_new_tokens=LONGEST,
            do_sample=True,
            temperature=TEMPERATURE,
            top_k=0,
            top_p=1.0,
            num_return_sequences=samples,
            pad_token_id=tokenizer.pad_token_id,
        )[:, batch.input_ids.shape[1] :]
        tokens += int((ids != tokenizer.pad_token_id).sum())
        texts = tokenizer.batch_decode(ids, skip_special_tokens=True)
        pairs += [(text, asked[part[i // samples]].answer) for i, text in enumerate(texts)]
    correct = torch.tensor([float(grade.correct) for grade in grade_many(pairs)])
    interval = estimates.mean(correct.view(-1, samples).mean(1).numpy())
    shown = interval.times(100)
    return [shown.value, shown.low, shown.high, tokens / len(pairs)]


def timed(work: Callable[[], list[float]]) -> dict:
    """CPU and wall seconds of `work()`, and the accuracy it found."""
    clear_cache()
    cpu, wall = time.process_time(), time.perf_counter()
    *accuracy, length = work()
    return {
        "cpu_s": time.process_time() - cpu,
        "wall_s": time.perf_counter() - wall,
        "accuracy": accuracy,
        "mean_tokens": length,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--problems", type=int, default=500)
    parser.add_argument("--samples", type=int, default=8)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--small", action="store_true", help="as little as runs; nothing is kept")
    given = parser.parse_args()
    if given.small:
        given.problems, given.samples, given.turns = 8, 2, 1
    disable_progress_bar()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    work = (given.problems, given.samples)
    ours(16, 2), theirs(16, 2, 32)  # imports and first allocations
    mine, others, best = [], [], {}
    for turn in range(given.turns):
        mine.append(timed(lambda: ours(*work)))
        sizes = (best["rows"],) if best else GENERATE_BATCHES
        found = [{"rows": rows} | timed(lambda rows=rows: theirs(*work, rows)) for rows in sizes]
        others += found
        best = min(others, key=lambda one: one["cpu_s"])
        cpu = mine[-1]["cpu_s"], best["cpu_s"]
        print(f"turn {turn + 1}: onerl {cpu[0]:.1f} s, generate {cpu[1]:.1f} s of CPU", flush=True)
    fastest = min(mine, key=lambda one: one["cpu_s"])
    result = {
        "date": datetime.date.today().isoformat(),
        "problems": given.problems,
        "samples": given.samples,
        "threads": 1,
        "load": os.getloadavg(),  # processes that wanted a core in the last 1, 5 and 15 minutes
        "hardware": provenance.hardware(),
        "git": provenance.git_commit(),
        "onerl": fastest,
        "generate": best,
        "times_faster_cpu": best["cpu_s"] / fastest["cpu_s"],
        "times_faster_wall": best["wall_s"] / fastest["wall_s"],
        "all_turns": {"onerl": mine, "generate": others},
    }
    text = json.dumps(result, indent=1)
    print(text)
    if given.small:
        return
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"evaluation-{result['date']}.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
