"""Rewards of a training run, with TRL's reward-function signature.

    outcome   1 when the last boxed answer of the response equals the label
    format    1 when an answer can be extracted from the response at all (the paper's control)
    random    a fair coin, a pure function of (seed, step, sample)
    wrong     1 when an answer can be extracted and is not the label

All three see the response alone: the prompt of the paper contains `\\boxed{}` twice, so a format
reward on prompt and response together would always be 1 (reference D7). Every rollout is graded
whatever the reward is, so its status and correctness are in the records of every run; a bad
rollout is data, never an exception.
"""

from __future__ import annotations

from collections.abc import Callable

from accelerate import PartialState

from onerl.recipe import Recipe
from onerl.rollouts.draws import stream_seed
from onerl.verifier import Grade, grade_many

RANDOM_STREAM = 0x5EED_C011  # keeps the coins apart from the rollouts' streams


def coin(seed: int, step: int, sample: int) -> float:
    """0.0 or 1.0, the same for the same arguments."""
    return float(stream_seed(seed ^ RANDOM_STREAM, step, sample) & 1)


def reward_function(recipe: Recipe) -> Callable[..., list[float]]:
    """The recipe's reward as TRL calls it; it expects a dataset column `answer`.

    Besides the rewards it hands TRL extra columns per rollout, `status`, `extracted`, `correct`
    and the example's `id` where the dataset has it, which the trainer counts and records.
    """

    def score(grade: Grade, step: int, sample: int) -> float:
        if recipe.reward == "outcome":
            return float(grade.correct)
        if recipe.reward == "format":
            return float(grade.answer is not None)
        if recipe.reward == "wrong":
            return float(grade.status == "ok" and not grade.correct)
        return coin(recipe.seed, step, sample)

    def reward(prompts, completions, answer, trainer_state, log_extra, id=None, **_) -> list[float]:
        grades = grade_many(list(zip(completions, answer, strict=True)))
        if id is not None:
            log_extra("id", id)
        log_extra("status", [grade.status for grade in grades])
        log_extra("extracted", [grade.answer for grade in grades])
        log_extra("correct", [grade.correct for grade in grades])
        first = PartialState().process_index * len(grades)
        step = trainer_state.global_step
        return [score(grade, step, first + i) for i, grade in enumerate(grades)]

    reward.__name__ = recipe.reward
    return reward
