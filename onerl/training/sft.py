"""Supervised fine-tuning on one solved example: `method: sft`, a run that needs no reward.

    run = onerl.train(Recipe.load("tiny", method="sft"))

TRL's `SFTTrainer` on the prompt of the example and the text of one solution, with the loss on the
solution alone. A step sees the pair once, since copies of it have the same gradient. What belongs
to rollouts, rewards and their loss in a recipe is not read. Nothing is random but the choice of the
text, so in the embedded world a seed stands for another careful writing of the same solution; of
pi1's counterpart there are four. The folder is that of any run, without rollouts and with
solution.txt. Not covered: several examples, several solutions, resuming under DeepSpeed.
"""

import random
from pathlib import Path

from datasets import Dataset, disable_progress_bars
from transformers import PrinterCallback
from trl import SFTConfig, SFTTrainer

from onerl.problems import Problem, examples
from onerl.problems.released import PI1
from onerl.recipe import Recipe
from onerl.runs import files
from onerl.training import metrics, processes
from onerl.training.config import arguments, lora_config
from onerl.training.trainer import OneShotTrainer
from onerl.verifier import verify
from onerl.world import EMBEDDED, World, corpus

DRAWN = 200  # careful writings of an exercise, among which a seed chooses
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

    Raises ValueError: no solution is known; give your own text.
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


def solution(recipe: Recipe, answer: str) -> str:
    """The text that a run of this recipe learns; `answer` is the label of its example.

    Raises ValueError: the recipe has several examples, no solution of its example is known, or the
    solution does not end in the label.
    """
    problems = examples(recipe.examples, recipe.world)
    if len(problems) != 1:
        raise ValueError(f"examples = {recipe.examples!r}: {len(problems)} examples, one is needed")
    text = recipe.solution or solution_for(problems[0], recipe.seed, recipe.world)
    if not verify(text, answer):
        raise ValueError(f"solution = {text!r}: its boxed answer is not the label {answer!r}")
    return text


class SolutionTrainer(SFTTrainer):
    """Fine-tunes `model` (a folder or hub id) on a solution of the one row of `examples`.

    Writes metrics.jsonl, checkpoints/ and state/ into the folder `out`, as `OneShotTrainer` does.

    Raises ValueError: see `solution`; or the folder's run has learned another text so far.
    """

    def __init__(self, recipe: Recipe, model: str, examples, out: Path):
        disable_progress_bars()  # several for one example
        self.out, (row,) = Path(out), examples
        text = solution(recipe, row["answer"])
        processes.on_main_process(lambda: self._keep(text))
        shared = {**arguments(recipe, out), "per_device_train_batch_size": 1}
        super().__init__(
            model=str(model),
            args=SFTConfig(**shared, max_length=None),
            train_dataset=Dataset.from_list([{"prompt": row["prompt"], "completion": text}]),
            peft_config=lora_config(recipe),
        )
        self.remove_callback(PrinterCallback)

    def _keep(self, text: str) -> None:
        file = self.out / "solution.txt"
        if file.exists() and file.read_text("utf-8") != text:
            raise ValueError(f"{file}: the run has learned another text; choose another folder")
        files.write_text(file, text)

    def log(self, logs, start_time=None):
        """A row of metrics.jsonl per step: step, loss, grad_norm, token accuracy, rate.

        Raises ValueError when a number of it is not finite; nothing of the step is saved.
        """
        super().log(logs, start_time)  # adds the accuracy
        if "loss" in logs:
            names = ("loss", "grad_norm", "mean_token_accuracy", "learning_rate")
            row = {"step": self.rollout_step, **{name: logs[name] for name in names}}
            metrics.record(row, self.out)

    # Checkpoints and resume are those of any run.
    own_state = OneShotTrainer.own_state
    _save_checkpoint = OneShotTrainer._save_checkpoint
    _load_from_checkpoint = OneShotTrainer._load_from_checkpoint
    _load_optimizer_and_scheduler = OneShotTrainer._load_optimizer_and_scheduler

    @property
    def rollout_step(self) -> int:
        return self.state.global_step

    def _save_rollouts(self, step: int) -> None:
        """There are none."""
