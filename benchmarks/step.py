"""One GRPO step and the sampler, beside plain TRL and `model.generate`, in one process.

    python benchmarks/step.py [--model FOLDER] [--steps 8]

Prints and writes `benchmarks/results/step-DATE.json`. Times are CPU seconds of this process at
one thread, which a busy machine disturbs less than the clock; wall seconds are kept beside them.

- Step: `OneShotTrainer` and `trl.GRPOTrainer` with the same recipe (preset tiny), in turns of
  half the steps, ABAB. The learning rate is 0, so that every step samples from the same policy.
- Loss: both on one batch of rollouts, with a reference that is not the policy.
- Sampler: 64 rollouts of one prompt; greedy, and 8 samples each, on held-out problems. `generate`
  gets left-padded batches, and of several batch sizes the one that is best for it.
"""

from __future__ import annotations

import argparse
import datetime
import json
import statistics
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import torch
from datasets import Dataset
from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback
from transformers.utils.logging import disable_progress_bar
from trl import GRPOConfig, GRPOTrainer

from onerl.models import locate
from onerl.problems.prompts import prompt_for
from onerl.recipe import Recipe
from onerl.rollouts import Request
from onerl.rollouts.draws import stream_seed
from onerl.rollouts.shared_prompt import SharedPromptSampler
from onerl.runs import provenance
from onerl.training.rewards import reward_function
from onerl.training.rows import training_rows
from onerl.training.trainer import OneShotTrainer
from onerl.world import EMBEDDED

RESULTS = Path(__file__).parent / "results"
GENERATE_BATCHES = (64, 128, 256)


class Stopwatch(TrainerCallback):
    """CPU and wall seconds of each step, from its rollouts to the optimiser."""

    def __init__(self):
        self.cpu, self.wall = [], []

    def on_step_begin(self, *_, **__):
        self.began = time.process_time(), time.perf_counter()

    def on_step_end(self, *_, **__):
        self.cpu.append(time.process_time() - self.began[0])
        self.wall.append(time.perf_counter() - self.began[1])


def timed(work) -> tuple[float, float, object]:
    """CPU seconds, wall seconds and result of `work()`."""
    cpu, wall = time.process_time(), time.perf_counter()
    result = work()
    return time.process_time() - cpu, time.perf_counter() - wall, result


def plain_trainer(recipe: Recipe, model: str, rows: list[dict], out: Path) -> GRPOTrainer:
    """TRL as it is, told the recipe in its own words."""
    return GRPOTrainer(
        model=model,
        reward_funcs=reward_function(recipe),
        args=GRPOConfig(
            output_dir=str(out),
            seed=recipe.seed,
            max_steps=recipe.steps,
            per_device_train_batch_size=recipe.prompts_per_step * recipe.num_generations,
            num_generations=recipe.num_generations,
            max_completion_length=recipe.max_completion_length,
            temperature=recipe.temperature,
            learning_rate=recipe.learning_rate,
            lr_scheduler_type="constant",
            weight_decay=recipe.weight_decay,
            beta=recipe.beta,
            entropy_coef=recipe.entropy_coef,
            use_bias_correction_kl=False,
            model_init_kwargs={"dtype": "float32"},
            bf16=False,
            activation_checkpointing=False,
            use_cpu=True,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
        ),
        train_dataset=Dataset.from_list(rows * recipe.prompts_per_step),
    )


def own_trainer(recipe: Recipe, model: str, rows: list[dict], out: Path) -> OneShotTrainer:
    return OneShotTrainer(recipe, model, Dataset.from_list(rows), out)


def compare_steps(recipe: Recipe, model: str, folder: Path) -> dict:
    """Medians per step of both trainers, without the first step of each turn."""
    rows = training_rows(recipe)
    watches = {}
    for turn in range(2):
        for name, make in (("trl", plain_trainer), ("onerl", own_trainer)):
            watch = Stopwatch()
            trainer = make(recipe.replace(seed=turn), model, rows, folder / f"{name}{turn}")
            trainer.add_callback(watch)
            trainer.save_model = lambda *_, **__: None
            trainer._save_checkpoint = lambda *_: None
            trainer.train()
            cpu, wall = watches.setdefault(name, ([], []))
            cpu += watch.cpu[1:]
            wall += watch.wall[1:]
    result = {
        name: {"cpu_s": statistics.median(cpu), "wall_s": statistics.median(wall), "n": len(cpu)}
        for name, (cpu, wall) in watches.items()
    }
    result["ratio_cpu"] = result["onerl"]["cpu_s"] / result["trl"]["cpu_s"]
    result["ratio_wall"] = result["onerl"]["wall_s"] / result["trl"]["wall_s"]
    return result


def compare_losses(recipe: Recipe, model: str, folder: Path) -> dict:
    """Both losses on the rollouts of one step."""
    rows = training_rows(recipe)
    ours, theirs = (make(recipe, model, rows, folder) for make in (own_trainer, plain_trainer))
    ours.seconds = {}
    with torch.no_grad():
        inputs = [row for row in rows * recipe.prompts_per_step for _ in range(8)]
        batch = ours._generate_and_score_completions(inputs)
    noise = torch.randn(batch["ref_per_token_logps"].shape, generator=torch.manual_seed(0))
    batch["ref_per_token_logps"] = batch["ref_per_token_logps"] + 0.1 * noise
    batch["advantages"] = torch.randn(len(noise), generator=torch.manual_seed(1))
    ours.terms = defaultdict(float)
    theirs.current_gradient_accumulation_steps = 1
    losses = {
        "onerl": ours.backward(ours.model, batch).item(),
        "trl": theirs._compute_loss(theirs.model, batch).item(),
    }
    losses["relative_difference"] = abs(losses["onerl"] / losses["trl"] - 1)
    return losses


def compare_samplers(recipe: Recipe, model: str) -> dict:
    tokenizer = AutoTokenizer.from_pretrained(model)
    policy = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32).eval()
    sampler, eos, limit = (
        SharedPromptSampler(policy),
        tokenizer.eos_token_id,
        recipe.max_completion_length,
    )

    def encode(text: str) -> list[int]:
        return tokenizer(text, add_special_tokens=False)["input_ids"]

    def ours(prompts: list[list[int]], count: int, temperature: float):
        seeds = [stream_seed(0, 0, i) for i in range(count * len(prompts))]
        request = Request([count] * len(prompts), limit, {eos}, temperature, seeds)
        return sampler.sample(prompts, request)

    def theirs(prompts: list[list[int]], count: int, temperature: float, size: int):
        rows = [prompt for prompt in prompts for _ in range(count)]
        for start in range(0, len(rows), size):
            part = rows[start : start + size]
            width = max(map(len, part))
            ids = torch.tensor([[0] * (width - len(row)) + row for row in part])
            mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in part])
            sampling = {"do_sample": True, "temperature": temperature, "top_k": 0, "top_p": 1.0}
            policy.generate(
                ids,
                attention_mask=mask,
                max_new_tokens=limit,
                pad_token_id=0,
                **(sampling if temperature else {"do_sample": False}),
            )

    training = encode(training_rows(recipe)[0]["prompt"])
    heldout = [encode(prompt_for(p.question, "world", "eval")) for p in EMBEDDED.heldout()[::4]]
    cases = {
        "64 rollouts of one prompt": ([training], 64, recipe.temperature),
        "250 held-out problems, greedy": (heldout, 1, 0.0),
        "125 held-out problems, 8 samples": (heldout[::2], 8, 1.0),
    }
    result = {}
    for name, case in cases.items():
        ours(*case)  # warm up
        cpu, wall, rollouts = min(timed(lambda case=case: ours(*case)) for _ in range(3))
        sizes = [size for size in GENERATE_BATCHES if size <= max(64, len(rollouts))]
        best = min(
            (*timed(lambda case=case, size=size: theirs(*case, size))[:2], size)
            for size in sizes
            for _ in range(2)
        )
        result[name] = {
            "onerl_cpu_s": cpu,
            "generate_cpu_s": best[0],
            "times_faster_cpu": best[0] / cpu,
            "onerl_wall_s": wall,
            "generate_wall_s": best[1],
            "generate_batch": best[2],
            "mean_tokens": statistics.mean(len(r.token_ids) for r in rollouts),
        }
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", help="folder; default: the shipped base model")
    parser.add_argument("--steps", type=int, default=8, help="steps of a turn")
    parser.add_argument("--small", action="store_true", help="as little as runs; nothing is kept")
    given = parser.parse_args()
    disable_progress_bar()
    torch.set_num_threads(1)
    recipe = Recipe.load("tiny", steps=2 if given.small else given.steps, learning_rate=0)
    model = given.model or locate(recipe.model).name
    with tempfile.TemporaryDirectory() as folder:
        result = {
            "date": datetime.date.today().isoformat(),
            "model": "world" if given.model is None else Path(given.model).name,
            "threads": 1,
            "hardware": provenance.hardware(),
            "git": provenance.git_commit(),
            "step": compare_steps(recipe, model, Path(folder)),
            "loss": compare_losses(recipe, model, Path(folder)),
            "sampler": compare_samplers(recipe, model),
        }
    text = json.dumps(result, indent=1)
    print(text)
    if given.small:
        return
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"step-{result['date']}.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
