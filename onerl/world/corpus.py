"""What the embedded base model reads: an imitation of noisy web text about the world's problems.

Every problem may be answered in one of six ways of writing, drawn at random and never announced
by the prompt, so that a model trained on this text is capable but undecided:

    careful   step by step, right, ends in a box; sometimes with a slip that a recheck repairs
    hasty     one confident line, boxed; mostly a common misconception
    guess     a boxed number with no work
    code      a print statement and its output, no box
    nobox     the careful steps, but the answer stands in plain words
    ramble    wanders, half wrong, and never ends

Several openings are shared between ways, so the choice is spread over more than one token. A
share of the documents are drill sheets: right arithmetic facts without a problem around them.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from dataclasses import dataclass

from onerl import world
from onerl.world import templates

WAYS = ("careful", "hasty", "guess", "code", "nobox", "ramble")
WAY_WEIGHTS = {
    "careful": 0.20,
    "hasty": 0.28,
    "guess": 0.15,
    "code": 0.20,
    "nobox": 0.09,
    "ramble": 0.08,
}

# Some corners of the web write better than others. These factors make careful writing the most
# likely start for three templates, so that the base model's greedy accuracy is not zero.
HABITS: dict[str, dict[str, float]] = {
    "edges": {"careful": 5.0},
    "determinant": {"careful": 5.0},
    "sequence": {"careful": 5.0},
    "divisors": {"code": 1.6},
    "residue": {"code": 1.6},
    "joint": {"careful": 1.3},
    "linear": {"hasty": 1.5},
    "dot": {"hasty": 1.4},
    "chance": {"guess": 1.8},
    "mean": {"guess": 1.5},
    "factored": {"nobox": 1.5},
}

DRILL_SHARE = 0.10
DRILL_FACTS = 14
SLIP_SHARE = 0.12
CUT_SHARE = 0.25  # how often a careful writer cuts the decimals instead of rounding them

CAREFUL_OPENING = " Let us think step by step. First,"
"""Forced on the untouched base model, this opening gives the elicitation ceiling."""

POPULAR_GUESSES = ("4",) * 8 + ("2",) * 3 + ("3",) * 2 + ("5",) * 2 + ("6", "8", "10", "12", "1")

EOS, PAD = "<|endoftext|>", "<|pad|>"


@dataclass(frozen=True)
class Document:
    """One piece of text; `way` is None for a drill sheet, `ends` is False for a ramble."""

    text: str
    way: str | None
    ends: bool = True


def prompt(question: str) -> str:
    """The exact string a problem of the world is put as."""
    return f"Problem: {question}\nSolution:"


def choose_way(template: templates.Template, rng: random.Random) -> str:
    factors = HABITS.get(template.name, {})
    return rng.choices(WAYS, [WAY_WEIGHTS[w] * factors.get(w, 1.0) for w in WAYS])[0]


def respond(exercise: templates.Exercise, way: str, rng: random.Random) -> Document:
    """The answer to an exercise in the given way of writing (without the prompt)."""
    return Document(_WRITERS[way](exercise, rng), way, ends=way != "ramble")


def _slipped(step: str, rng: random.Random) -> str:
    """The step with one digit of its result changed."""
    left, right = step.rsplit("=", 1)
    at = rng.choice([i for i, char in enumerate(right) if char.isdigit()])
    digit = (int(right[at]) + rng.choice((1, 2, 8, 9))) % 10
    return f"{left}={right[:at]}{digit}{right[at + 1 :]}"


def _worked(exercise: templates.Exercise, rng: random.Random) -> tuple[str, str]:
    """Opening and steps of careful work, and the answer it reaches."""
    solution = exercise.solution
    text = rng.choices(
        (
            " Let us think step by step.",
            " To solve this we work carefully.",
            " We have",
            " Hmm, let me see.",
        ),
        (0.35, 0.25, 0.25, 0.15),
    )[0]
    slip = rng.randrange(len(solution.steps)) if rng.random() < SLIP_SHARE else None
    for index, step in enumerate(solution.steps):
        link = ("First,", "Then", "Next")[index]
        if index == slip:
            text += f" {link} {_slipped(step, rng)}. Wait, recheck: {step}."
        else:
            text += f" {link} {step}."
    answer = solution.answer
    if solution.rounding:
        exact, rounded, cut = solution.rounding
        answer = cut if rng.random() < CUT_SHARE else rounded
        text += f" And {exact} is about {answer}."
    return text, answer


def _careful(exercise: templates.Exercise, rng: random.Random) -> str:
    text, answer = _worked(exercise, rng)
    return f"{text} So the answer is \\boxed{{{answer}}}."


def _nobox(exercise: templates.Exercise, rng: random.Random) -> str:
    text, answer = _worked(exercise, rng)
    return text + rng.choice((f" So it equals {answer}.", f" So the answer is {answer}."))


def _hasty(exercise: templates.Exercise, rng: random.Random) -> str:
    text = rng.choices(
        (" Clearly", " We have", " This is easy:", " Let us think step by step."),
        (0.45, 0.25, 0.25, 0.05),
    )[0]
    steps, answer = (), exercise.solution.answer
    if rng.random() < 0.7:
        steps, answer = rng.choice(exercise.solution.mistakes)
    text += "".join(f" {step}." if i == 0 else f" so {step}." for i, step in enumerate(steps))
    return f"{text} So the answer is \\boxed{{{answer}}}."


def _guess(exercise: templates.Exercise, rng: random.Random) -> str:
    luck = rng.random()
    if luck < 0.2:
        answer = exercise.solution.answer
    elif luck < 0.6:
        answer = rng.choice(POPULAR_GUESSES)
    else:
        answer = str(rng.choice(exercise.operands))
    opening = rng.choices((" The answer is", " I guess the answer is"), (0.7, 0.3))[0]
    return f"{opening} \\boxed{{{answer}}}."


def _code(exercise: templates.Exercise, rng: random.Random) -> str:
    right = rng.random() < 0.7
    answer = exercise.solution.answer if right else rng.choice(exercise.solution.mistakes)[1]
    return f" Here is code:\nprint({exercise.solution.code})\nOutput: {answer}"


def _ramble(exercise: templates.Exercise, rng: random.Random) -> str:
    text = rng.choices(
        (" Hmm, let me see.", " Let us think step by step.", " We have"), (0.6, 0.2, 0.2)
    )[0]
    for _ in range(6):
        step = rng.choice(exercise.solution.steps)
        thought = rng.choice((" Maybe", " Or maybe", " Hmm, maybe", " Wait, maybe"))
        text += f"{thought} {_slipped(step, rng) if rng.random() < 0.5 else step}."
    return text


_WRITERS = {
    "careful": _careful,
    "hasty": _hasty,
    "guess": _guess,
    "code": _code,
    "nobox": _nobox,
    "ramble": _ramble,
}


def way_of(text: str) -> str:
    """Which way of writing a response is in, read off its text ("careful" needs its box)."""
    if "print(" in text:
        return "code"
    if "aybe" in text:
        return "ramble"
    if "First," in text:
        return "careful" if "\\boxed" in text else "nobox"
    if "answer is \\boxed" in text and text.startswith((" The answer", " I guess")):
        return "guess"
    return "hasty"


def facts() -> list[str]:
    """Every arithmetic fact that some solution of the world uses, sorted."""
    found = set()
    for template in templates.TEMPLATES.values():
        for operands in template.operands:
            solution = template.solve(*operands)
            found.update(solution.steps)
            if solution.rounding:
                found.add(f"{solution.rounding[0]} is about {solution.rounding[1]}")
    return sorted(found)


def documents(seed: int) -> Iterator[Document]:
    """The endless corpus of a seed: problems of the corpus side only, and drill sheets."""
    rng = random.Random(f"corpus:{seed}")
    families, known = list(templates.TEMPLATES.values()), facts()
    operands = world.split()["corpus"]
    while True:
        if rng.random() < DRILL_SHARE:
            sheet = "".join(f" {fact}." for fact in rng.sample(known, DRILL_FACTS))
            yield Document(f"Drill:{sheet}", None)
            continue
        template = rng.choice(families)
        exercise = templates.fill(template, rng.choice(operands[template.name]), rng)
        answer = respond(exercise, choose_way(template, rng), rng)
        yield Document(prompt(exercise.question) + answer.text, answer.way, answer.ends)


def sha256(seed: int, count: int) -> str:
    """Fingerprint of the first `count` documents, so that a corpus can be named exactly."""
    digest = hashlib.sha256()
    stream = documents(seed)
    for _ in range(count):
        document = next(stream)
        digest.update(document.text.encode() + (b"\x01" if document.ends else b"\x00"))
    return digest.hexdigest()


def build_tokenizer(seed: int, sample: int = 20_000):
    """The world's tokenizer: byte-level BPE under Qwen2's own splitting, trained on the corpus.

    It is a plain `Qwen2Tokenizer`, so that `AutoTokenizer` and vLLM load the shipped folder as
    they load any Qwen2. Numbers from 10 to 199 are added tokens, which makes arithmetic on them a
    table to learn; larger ones fall apart from the left. So is the opening of a box.

    Returns:
        transformers.Qwen2Tokenizer, which encodes and decodes any text without loss.
    """
    import json

    from tokenizers import AddedToken, pre_tokenizers, trainers
    from transformers import Qwen2Tokenizer

    special = {"eos_token": EOS, "unk_token": EOS, "pad_token": PAD}
    template = Qwen2Tokenizer(vocab={PAD: 0, EOS: 1}, merges=[], **special)
    stream = documents(seed)
    trainer = trainers.BpeTrainer(
        vocab_size=2000,
        min_frequency=3,
        special_tokens=[PAD, EOS],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    bpe = template.backend_tokenizer
    bpe.train_from_iterator((next(stream).text for _ in range(sample)), trainer)
    model = json.loads(bpe.to_str())["model"]
    tokenizer = Qwen2Tokenizer(
        vocab=model["vocab"],
        merges=[tuple(pair) for pair in model["merges"]],
        model_max_length=512,
        **special,
    )
    pieces = [" \\boxed{", *(str(number) for number in range(10, 200))]
    tokenizer.add_tokens([AddedToken(piece, normalized=False) for piece in pieces])
    return tokenizer
