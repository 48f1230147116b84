"""Supervised fine-tuning on one solved example: what a run is that needs no reward.

    run = sft.train(recipe, sft.solution_for(problem, seed=0))
    evaluate(run.checkpoints[-1])                       # its folder is like that of any run

TRL's `SFTTrainer` on the prompt of the example and the text of one solution, with the loss on the
solution alone. Of the recipe it reads model, prompt, examples, suffix, label, steps, save_every,
learning_rate, weight_decay, max_grad_norm, threads and seed; all else belongs to reinforcement
learning. A step sees the pair once, since copies of it have the same gradient. Nothing is random
but the choice of the text, so in the embedded world a seed stands for another careful writing of
the same solution. Of pi1's counterpart there are four: seeds 0 to 3.

The folder has recipe.yaml, solution.txt, provenance, metrics.jsonl, checkpoints and DONE. A run
that was killed begins again: it is short. Not covered: several examples, several solutions.
"""

from __future__ import annotations

import hashlib
import json
import random
from pathlib import Path

from onerl import runs
from onerl.models import family_of, load_tokenizer, model_path
from onerl.problems import Problem, examples
from onerl.problems.prompts import prompt_for
from onerl.problems.released import PI1
from onerl.recipe import Recipe
from onerl.runs import files, provenance
from onerl.training import checkpoints
from onerl.training.processes import only_run
from onerl.verifier import verify
from onerl.world import EMBEDDED, World, corpus

DRAWN = 200  # careful writings of an exercise, among which a seed chooses
FIELDS = (
    *("model", "prompt", "examples", "suffix", "label", "steps", "save_every", "seed"),
    *("learning_rate", "weight_decay", "max_grad_norm"),
)
PI1_SOLUTION = (
    "The pressure P varies jointly as the area A and the cube of the velocity V, so"
    " P = k A V^3 for some constant k. When V = 8 and A = 2, P = 4, so 4 = k * 2 * 8^3 = 1024 k,"
    " and k = 4/1024 = 1/256. When A = 4 and P = 32, 32 = (1/256) * 4 * V^3, so V^3 = 2048."
    " Taking the cube root of both sides, V = 12.8. The wind velocity is \\boxed{12.8} miles per"
    " hour."
)
"""Our words for the steps of the paper's Figure 3 at step 500, as reference 5.2 tells them."""


def solution_for(problem: Problem, seed: int = 0, world: World = EMBEDDED) -> str:
    """The text of one solution: a careful writing of a world's problem, or the paper's of pi1.

    Raises:
        ValueError: no solution is known; give your own text.
    """
    if problem.question == PI1.question:
        return PI1_SOLUTION
    if problem.source != "world":
        raise ValueError(f"solution: none is known of example {problem.id}; give its text")
    exercise, rng = world.exercise(problem), random.Random(2504)
    drawn = [corpus.respond(exercise, "careful", rng, world.mixture).text for _ in range(DRAWN)]
    # careful writers sometimes slip and repair it, or cut a number and are wrong
    texts = [t for t in dict.fromkeys(drawn) if "recheck" not in t and verify(t, problem.answer)]
    return texts[seed % len(texts)]


def train(recipe: Recipe, solution: str, out: str | Path | None = None) -> runs.Run:
    """Fine-tune on the recipe's example and this solution; blocks until done.

    Args:
        out: the run's folder; None: `outputs/sft-<hash>`.

    Raises:
        ValueError: the recipe names several examples, the solution does not end in the label, or
            the folder holds another run.
    """
    problems = examples(recipe.examples, recipe.world)
    if len(problems) != 1:
        raise ValueError(f"examples = {recipe.examples!r}: {len(problems)} examples, one is needed")
    answer = recipe.label or problems[0].answer
    if not verify(solution, answer):
        raise ValueError(f"solution = {solution!r}: its boxed answer is not the label {answer!r}")
    run = runs.Run(out if out is not None else runs.outputs_folder() / _name(recipe, solution))
    with only_run(run.path):
        _same(run, recipe, solution)
        if not run.done:
            _train(run, recipe, problems[0], solution)
    return run


def _name(recipe: Recipe, solution: str) -> str:
    values = recipe.model_dump(mode="json", include=set(FIELDS)) | {"solution": solution}
    return "sft-" + hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:12]


def _same(run: runs.Run, recipe: Recipe, solution: str) -> None:
    """Refuses a folder that holds a run of another kind, or of another recipe or solution."""
    if not (run.path / "recipe.yaml").exists():
        return
    kept = run.path / "solution.txt"
    if not kept.exists() or _name(run.recipe, kept.read_text("utf-8")) != _name(recipe, solution):
        raise ValueError(f"out = {str(run.path)!r}: holds another run; choose another folder")


def _train(run: runs.Run, recipe: Recipe, problem: Problem, solution: str) -> None:
    import torch
    from datasets import Dataset, disable_progress_bars
    from transformers import PrinterCallback
    from transformers.utils.logging import disable_progress_bar
    from trl import SFTConfig, SFTTrainer

    disable_progress_bars()  # several for one example
    disable_progress_bar()
    tokenizer = load_tokenizer(model_path(recipe))
    family = family_of(recipe.model if recipe.prompt == "auto" else recipe.prompt)
    prompt = prompt_for(problem.question, family, "train", tokenizer, recipe.suffix)
    files.write_text(run.path / "solution.txt", solution)
    provenance.write_provenance(run.path, recipe, [prompt])
    checkpoints.rewind(run.path, 0, None)
    if recipe.threads is not None:
        torch.set_num_threads(recipe.threads)
    on_gpu = torch.cuda.is_available()
    trainer = SFTTrainer(
        model=model_path(recipe),
        args=SFTConfig(
            output_dir=str(run.path),
            seed=recipe.seed,
            max_steps=recipe.steps,
            per_device_train_batch_size=1,
            learning_rate=recipe.learning_rate,
            lr_scheduler_type="constant",
            weight_decay=recipe.weight_decay,
            max_grad_norm=recipe.max_grad_norm,
            max_length=None,
            model_init_kwargs={"dtype": "float32"},
            bf16=on_gpu,
            activation_checkpointing=on_gpu,
            use_cpu=not on_gpu,
            logging_steps=1,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
        ),
        train_dataset=Dataset.from_list([{"prompt": prompt, "completion": solution}]),
        processing_class=tokenizer,
        callbacks=[_writer(run, recipe)],
    )
    trainer.remove_callback(PrinterCallback)
    checkpoints.save_checkpoint(run.path, 0, trainer.model, tokenizer)
    trainer.train()
    files.write_text(run.path / "DONE", "")


def _writer(run: runs.Run, recipe: Recipe):
    from transformers import TrainerCallback

    class Writer(TrainerCallback):
        """A row of metrics per step, and a checkpoint every `save_every`."""

        def on_log(self, args, status, control, logs=None, **_):
            if "loss" in logs:
                names = ("loss", "grad_norm", "mean_token_accuracy", "learning_rate")
                row = {"step": status.global_step, **{name: logs[name] for name in names}}
                files.append_jsonl(run.path / "metrics.jsonl", row)

        def on_step_end(self, args, status, control, model=None, processing_class=None, **_):
            step = status.global_step
            if step % recipe.save_every == 0 or step == recipe.steps:
                checkpoints.save_checkpoint(run.path, step, model, processing_class)

    return Writer()
