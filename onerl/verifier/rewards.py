"""What a rollout is paid, by the name that `Recipe.reward` takes. A new reward is a new entry.

A reward is given the rollout's grade and its stream, an int64 hash of (seed, step, sample), and
returns a number from 0 to 1. It sees the response alone: the paper's prompt contains `\\boxed{}`
twice, so a format reward on prompt and response together would always be 1 (reference D7).
"""

from collections.abc import Callable

from onerl.verifier.grade import Grade

REWARDS: dict[str, Callable[[Grade, int], float]] = {
    # 1 when the last boxed answer of the response equals the label
    "outcome": lambda grade, stream: float(grade.correct),
    # 1 when an answer can be extracted from the response at all (the paper's control)
    "format": lambda grade, stream: float(grade.answer is not None),
    # a fair coin, the same for the same (seed, step, sample)
    "random": lambda grade, stream: float(stream & 1),
    # 1 when an answer can be read and is not the label
    "wrong": lambda grade, stream: float(grade.status == "ok" and not grade.correct),
}
