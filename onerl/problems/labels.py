"""Labels made wrong on purpose (paper, appendix C.2.4; its code was not released).

The paper changes "the number by a random amount of at most 10 and possibly flips its sign; for
fractions the same is done to numerator and denominator". What it does not state is ours: the
amount is a whole number, a label with several numbers has each of them changed, a label without
any becomes a whole number of at most 10, and a draw that the verifier would still accept, or could
not read, or that divides by zero, is drawn again.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import replace

from onerl.problems.problem import Problem
from onerl.verifier import verify

LARGEST_CHANGE = 10
NUMBER = re.compile(r"\d+(?:\.\d+)?")
OVER_ZERO = re.compile(r"\\[dt]?frac\{[^{}]*\}\{0(?:\.0+)?\}|/ *0(?:\.0+)?(?![\d.])")


def corrupted(problems: Sequence[Problem], share: float, seed: int) -> list[Problem]:
    """The same problems, of which round(share * n), drawn at random, have a wrong label.

    A function of (problems, share, seed); with a larger share the same problems and more are wrong.
    A share that is not between 0 and 1 is a ValueError.
    """
    if not 0 <= share <= 1:
        raise ValueError(f"label_noise = {share!r}: must be a number from 0 to 1")
    order = list(range(len(problems)))
    random.Random(f"which {seed}").shuffle(order)
    noisy = list(problems)
    for i in order[: round(share * len(problems))]:
        label = wrong_label(problems[i].answer, random.Random(f"label {seed} {i}"))
        noisy[i] = replace(problems[i], answer=label)
    return noisy


def wrong_label(label: str, rng: random.Random) -> str:
    """A label like `label` that does not grade as equal to it, and that the verifier reads."""
    for _ in range(100):
        wrong = NUMBER.sub(lambda found: _changed(found[0], rng), label)
        if wrong == label:  # no number in it
            wrong = str(rng.randint(1, LARGEST_CHANGE))
        elif rng.random() < 0.5:
            wrong = wrong[1:] if wrong.startswith("-") else f"-{wrong}"
        box = f"\\boxed{{{wrong}}}"
        if verify(box, wrong) and not verify(box, label) and not OVER_ZERO.search(wrong):
            return wrong
    raise ValueError(f"no wrong label found for {label!r}")


def _changed(number: str, rng: random.Random) -> str:
    """The number plus or minus 1 to 10, without a sign, with the decimals it had."""
    decimals = len(number.partition(".")[2])
    amounts = range(-LARGEST_CHANGE, LARGEST_CHANGE + 1)
    others = [f"{abs(float(number) + amount):.{decimals}f}" for amount in amounts]
    return rng.choice([other for other in others if float(other) != float(number)])
