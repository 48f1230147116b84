"""One step of the paper's size on a GPU: `OneShotTrainer` beside plain `trl.GRPOTrainer`.

    python benchmarks/gpu.py [--backend vllm] [--steps 3]     writes results/gpu-DATE.json
    python benchmarks/gpu.py --small                          a few seconds on a CPU, writes nothing

The model has the exact shape of Qwen2.5-Math-1.5B and random weights, so nothing is downloaded;
it hardly ever ends an answer, so nearly all rollouts have full length. The prompt is π1's, in the
tokens of a small vocabulary learnt from it: their number is in the result. The reward is a coin,
so every group has something to learn from. Each trainer runs in a process of its own, with the
same settings; the first step is left out.

Per trainer: seconds and tokens/s of the rollouts (generation alone) and of the update (the rest of
the step: scoring, loss, gradient, optimiser), and the peak of memory. Beside them the rate of a
bfloat16 matrix product and the bandwidth of a copy, measured on the same device, and what share of
them the arithmetic that cannot be avoided comes to (see `shares`).
"""

from __future__ import annotations

import argparse
import datetime
import importlib.util
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from datasets import Dataset
from transformers import Qwen2Config, Qwen2ForCausalLM, TrainerCallback
from trl import GRPOConfig, GRPOTrainer

from onerl.problems import PI1
from onerl.problems.prompts import prompt_for
from onerl.recipe import Recipe
from onerl.runs import provenance
from onerl.training import memory
from onerl.training.rewards import reward_function
from onerl.training.trainer import OneShotTrainer

RESULTS = Path(__file__).parent / "results"
SHAPE = {
    "vocab_size": 151936,
    "hidden_size": 1536,
    "intermediate_size": 8960,
    "num_hidden_layers": 28,
    "num_attention_heads": 12,
    "num_key_value_heads": 2,
    "max_position_embeddings": 4096,
    "rope_theta": 10000.0,
    "tie_word_embeddings": True,
    "bos_token_id": None,
    "eos_token_id": 0,
    "pad_token_id": 0,
}
SMALL = {
    "vocab_size": 1000,
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
}
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]


def model_folder(folder: Path, small: bool) -> Path:
    """A random model with a tokenizer learnt from π1's prompt, as `from_pretrained` wants it."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=600,
        special_tokens=SPECIAL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator([prompt()], trainer)
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token=SPECIAL[0], pad_token=SPECIAL[0]
    ).save_pretrained(folder)
    torch.manual_seed(0)
    with torch.device("cuda" if torch.cuda.is_available() else "cpu"):
        model = Qwen2ForCausalLM(Qwen2Config(**SHAPE | (SMALL if small else {})))
    model.to(torch.bfloat16).save_pretrained(folder)  # as the hub stores the real one
    return folder


def prompt() -> str:
    return prompt_for(PI1.question, "qwen2.5-math", "train")


def recipe_for(given: argparse.Namespace, folder: Path) -> Recipe:
    size = {"prompts_per_step": 128, "max_completion_length": 1024}
    if given.small:
        size = {"prompts_per_step": 2, "max_completion_length": 16}
    return Recipe.load(
        "qwen2.5-math-1.5b",
        model=str(folder),
        reward="random",
        backend=given.backend,
        steps=given.steps,
        save_every=given.steps,
        **size,
    )


class Stopwatch(TrainerCallback):
    """Seconds of each step and, of `trainer`, those spent in generation; peak memory of both."""

    def __init__(self, trainer):
        self.steps, self.rollouts, self.generating = [], [], 0.0
        inner = trainer._generate_single_turn

        def timed(*arguments, **named):
            began = clock()
            result = inner(*arguments, **named)
            self.generating += clock() - began
            return result

        trainer._generate_single_turn = timed
        trainer.add_callback(self)

    def on_step_begin(self, *_, **__):
        self.began, self.generating = clock(), 0.0

    def on_step_end(self, *_, **__):
        self.steps.append(clock() - self.began)
        self.rollouts.append(self.generating)


def clock() -> float:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


def onerl_trainer(recipe: Recipe, rows: list[dict], out: Path) -> OneShotTrainer:
    trainer = OneShotTrainer(recipe, recipe.model, Dataset.from_list(rows), out)
    trainer._save_checkpoint = lambda *_: None
    return trainer


def trl_trainer(recipe: Recipe, rows: list[dict], out: Path) -> GRPOTrainer:
    """TRL as it is, told the recipe in its own words; micro-batches of the same token budget."""
    rollouts = recipe.prompts_per_step * recipe.num_generations
    size = recipe.num_generations  # sequences in one pass, the next power of two below the budget
    while 2 * size * recipe.max_completion_length <= recipe.token_budget and 2 * size <= rollouts:
        size *= 2
    on_gpu = torch.cuda.is_available()
    return GRPOTrainer(
        model=recipe.model,
        reward_funcs=reward_function(recipe),
        args=GRPOConfig(
            output_dir=str(out),
            seed=recipe.seed,
            max_steps=recipe.steps,
            per_device_train_batch_size=size,
            gradient_accumulation_steps=rollouts // size,
            num_generations=recipe.num_generations,
            max_completion_length=recipe.max_completion_length,
            temperature=recipe.temperature,
            learning_rate=recipe.learning_rate,
            lr_scheduler_type="constant",
            weight_decay=recipe.weight_decay,
            beta=recipe.beta,
            entropy_coef=recipe.entropy_coef,
            use_bias_correction_kl=False,
            use_vllm=recipe.backend == "vllm",
            vllm_mode="colocate",
            vllm_gpu_memory_utilization=recipe.vllm_memory,
            vllm_enable_sleep_mode=recipe.vllm_sleep,
            vllm_max_model_length=recipe.max_prompt_length + recipe.max_completion_length,
            model_init_kwargs={"dtype": "float32"},
            bf16=on_gpu,
            use_cpu=not on_gpu,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
        ),
        train_dataset=Dataset.from_list(rows * recipe.prompts_per_step),
    )


def measure(name: str, recipe: Recipe, out: Path) -> dict:
    """Medians over the steps but the first."""
    make = {"onerl": onerl_trainer, "trl": trl_trainer}[name]
    trainer = make(recipe, [{"prompt": prompt(), "answer": PI1.answer}], out)
    watch = Stopwatch(trainer)
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    trainer.train()
    tokens = [entry for entry in trainer.state.log_history if "completions/mean_length" in entry]
    length = statistics.mean(entry["completions/mean_length"] for entry in tokens)
    sampled = length * recipe.prompts_per_step * recipe.num_generations
    steps = list(zip(watch.steps, watch.rollouts, strict=True))[1:]
    rollout = statistics.median(rollout for _, rollout in steps)
    update = statistics.median(step - rollout for step, rollout in steps)
    return {
        "steps_measured": len(steps),
        "prompt_tokens": len(trainer.processing_class(prompt())["input_ids"]),
        "mean_completion_tokens": length,
        "rollout_s": rollout,
        "rollout_tokens_per_s": sampled / rollout,
        "update_s": update,
        "update_tokens_per_s": sampled / update,
        "step_s": statistics.median(step for step, _ in steps),
        "peak_memory_gb": peak_memory(),
    }


def peak_memory() -> float | None:
    """Of torch's allocator, in GB; a colocated vLLM allocates through it too."""
    return torch.cuda.max_memory_allocated() / 1e9 if torch.cuda.is_available() else None


def device_rates(small: bool) -> dict:
    """Of this device: bfloat16 matrix products in TFLOP/s, copies in GB/s read and written."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    n, numbers = (256, 2**20) if small else (8192, 2**30)
    left, right = (torch.randn(n, n, device=device, dtype=torch.bfloat16) for _ in range(2))
    source = torch.empty(numbers, device=device, dtype=torch.bfloat16)
    target = torch.empty_like(source)

    def best(work) -> float:
        work()
        times = []
        for _ in range(10):
            began = clock()
            work()
            times.append(clock() - began)
        return min(times)

    return {
        "matmul_tflops": 2 * n**3 / best(lambda: left @ right) / 1e12,
        "copy_gb_per_s": 2 * 2 * numbers / best(lambda: target.copy_(source)) / 1e9,
    }


def shares(result: dict, rates: dict, recipe: Recipe, shape: memory.Shape) -> dict:
    """What the least arithmetic and traffic of a step comes to, as shares of the device's rates.

    Update: a forward and a backward pass of the policy and a forward pass of the reference over
    every completion token, 2 operations per parameter and pass (a backward pass is two), and the
    attention's products. Recomputation and the prompt are not counted. Rollout: all rollouts
    decode together, so every token position reads the weights once in bfloat16, and every rollout
    its keys and values.
    """
    rollouts = recipe.prompts_per_step * recipe.num_generations
    length, start = result["mean_completion_tokens"], result["prompt_tokens"]
    context = start + length / 2
    forward = 2 * shape.parameters + 4 * shape.layers * shape.hidden * context
    operations = 4 * forward * rollouts * length
    traffic = length * 2 * (shape.parameters + rollouts * context * shape.cache_per_token)
    return {
        "update_share_of_matmul": operations / result["update_s"] / rates["matmul_tflops"] / 1e12,
        "rollout_share_of_copy": traffic / result["rollout_s"] / rates["copy_gb_per_s"] / 1e9,
    }


def in_a_process(name: str, given: argparse.Namespace, model: Path) -> dict:
    command = [sys.executable, __file__, "--only", name, "--model", str(model)]
    command += ["--backend", given.backend, "--steps", str(given.steps)]
    command += ["--small"] if given.small else []
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    engine = torch.cuda.is_available() and importlib.util.find_spec("vllm") is not None
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--small", action="store_true", help="a tiny model and step, for a CPU")
    parser.add_argument("--steps", type=int, default=3, help="the first is not measured")
    parser.add_argument(
        "--backend",
        default="vllm" if engine else "transformers",
        choices=("vllm", "torch", "transformers"),
        help="of both trainers; torch: ours samples with its own, TRL with transformers",
    )
    parser.add_argument("--only", choices=("onerl", "trl"), help=argparse.SUPPRESS)
    parser.add_argument("--model", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if not given.small and not torch.cuda.is_available():
        raise SystemExit(
            "error: no GPU here; --small runs the script on a CPU, for the script only"
        )
    with tempfile.TemporaryDirectory() as folder:
        if given.only:
            print(json.dumps(measure(given.only, recipe_for(given, given.model), Path(folder))))
            return
        model = model_folder(Path(folder), given.small)
        recipe = recipe_for(given, model)
        rates = device_rates(given.small)
        shape = memory.shape_of(Qwen2Config.from_pretrained(model))
        torch.cuda.empty_cache()
        results = {name: in_a_process(name, given, model) for name in ("onerl", "trl")}
    for result in results.values():
        result |= shares(result, rates, recipe, shape)
    report = {
        "date": datetime.date.today().isoformat(),
        "hardware": provenance.hardware(),
        "git": provenance.git_commit(),
        "parameters": shape.parameters,
        "backend": given.backend,
        "rollouts": recipe.prompts_per_step * recipe.num_generations,
        "max_completion_length": recipe.max_completion_length,
        "device": rates,
        **results,
        "times_faster": results["trl"]["step_s"] / results["onerl"]["step_s"],
    }
    text = json.dumps(report, indent=1)
    print(text)
    if not given.small:
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / f"gpu-{report['date']}.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
