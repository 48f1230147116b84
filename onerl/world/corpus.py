"""What a base model reads: an imitation of noisy web text about a world's problems.

Every problem may be answered in one of six ways of writing, drawn at random and never announced
by the prompt, so that a model trained on this text is capable but undecided:

    careful   step by step, right, ends in a box; sometimes with a slip that a recheck repairs
    hasty     one confident line, boxed; mostly a common misconception
    guess     a boxed number with no work
    code      a print statement and its output, no box
    nobox     the careful steps, but the answer stands in plain words
    ramble    wanders, half wrong, and never ends

Several openings are shared between ways, so the choice is spread over more than one token. A
share of the documents are drill sheets: right arithmetic facts without a problem around them. How
often all this occurs is the world's `Mixture`; how it is worded stands here, for every world.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from onerl.world import templates
from onerl.world.templates import TEMPLATES, Exercise, Template
from onerl.world.world import EMBEDDED, WAYS, Mixture, World

CAREFUL_OPENING = " Let us think step by step. First,"
"""Forced on the untouched base model, this opening gives the elicitation ceiling."""

POPULAR_GUESSES = ("4",) * 8 + ("2",) * 3 + ("3",) * 2 + ("5",) * 2 + ("6", "8", "10", "12", "1")

OPENINGS = {
    "careful": {
        **{" Let us think step by step.": 0.35, " To solve this we work carefully.": 0.25},
        **{" We have": 0.25, " Hmm, let me see.": 0.15},
    },
    "hasty": {
        **{" Clearly": 0.45, " We have": 0.25, " This is easy:": 0.25},
        " Let us think step by step.": 0.05,
    },
    "guess": {" The answer is": 0.7, " I guess the answer is": 0.3},
    "ramble": {" Hmm, let me see.": 0.6, " Let us think step by step.": 0.2, " We have": 0.2},
}
"""How often a way of writing begins with which words; `nobox` begins as `careful` does."""

EOS, PAD = "<|endoftext|>", "<|pad|>"


@dataclass(frozen=True)
class Document:
    """One piece of text."""

    text: str
    way: str | None  # None for a drill sheet
    ends: bool = True  # False for a ramble
    prompt: int = 0  # characters of the text that ask the problem


def prompt(question: str) -> str:
    """The exact string a problem of the world is put as."""
    return f"Problem: {question}\nSolution:"


def choose_way(template: Template, rng: random.Random, mixture: Mixture = EMBEDDED.mixture) -> str:
    """Draws the way of writing in which an exercise of this template is answered."""
    factors = mixture.habits.get(template.name, {})
    return rng.choices(WAYS, [mixture.ways.get(w, 0.0) * factors.get(w, 1.0) for w in WAYS])[0]


def respond(
    exercise: Exercise, way: str, rng: random.Random, mixture: Mixture = EMBEDDED.mixture
) -> Document:
    """The answer to an exercise in the given way of writing (without the prompt)."""
    return Document(_WRITERS[way](exercise, rng, mixture), way, ends=way != "ramble")


def _slipped(step: str, rng: random.Random) -> str:
    """The step with one digit of its result changed."""
    left, right = step.rsplit("=", 1)
    at = rng.choice([i for i, char in enumerate(right) if char.isdigit()])
    digit = (int(right[at]) + rng.choice((1, 2, 8, 9))) % 10
    return f"{left}={right[:at]}{digit}{right[at + 1 :]}"


def _opening(way: str, rng: random.Random) -> str:
    return rng.choices(list(OPENINGS[way]), list(OPENINGS[way].values()))[0]


def _worked(exercise: Exercise, rng: random.Random, mixture: Mixture) -> tuple[str, str]:
    """Opening and steps of careful work, and the answer it reaches."""
    solution, text = exercise.solution, _opening("careful", rng)
    slip = rng.randrange(len(solution.steps)) if rng.random() < mixture.slip_share else None
    for index, step in enumerate(solution.steps):
        text += " " + ("First,", "Then", "Next")[index]
        text += f" {_slipped(step, rng)}. Wait, recheck: {step}." if index == slip else f" {step}."
    answer = solution.answer
    if solution.rounding:
        exact, rounded, cut = solution.rounding
        answer = cut if rng.random() < mixture.cut_share else rounded
        text += f" And {exact} is about {answer}."
    return text, answer


def _careful(exercise: Exercise, rng: random.Random, mixture: Mixture) -> str:
    text, answer = _worked(exercise, rng, mixture)
    return f"{text} So the answer is \\boxed{{{answer}}}."


def _nobox(exercise: Exercise, rng: random.Random, mixture: Mixture) -> str:
    text, answer = _worked(exercise, rng, mixture)
    return f"{text} So {rng.choice(('it equals', 'the answer is'))} {answer}."


def _hasty(exercise: Exercise, rng: random.Random, _: Mixture) -> str:
    text, steps, answer = _opening("hasty", rng), (), exercise.solution.answer
    if rng.random() < 0.7:
        steps, answer = rng.choice(exercise.solution.mistakes)
    text += "".join(f" {step}." if i == 0 else f" so {step}." for i, step in enumerate(steps))
    return f"{text} So the answer is \\boxed{{{answer}}}."


def _guess(exercise: Exercise, rng: random.Random, _: Mixture) -> str:
    luck, answer = rng.random(), exercise.solution.answer
    if luck >= 0.2:
        answer = rng.choice(POPULAR_GUESSES if luck < 0.6 else exercise.operands)
    return f"{_opening('guess', rng)} \\boxed{{{answer}}}."


def _code(exercise: Exercise, rng: random.Random, _: Mixture) -> str:
    right = rng.random() < 0.7
    answer = exercise.solution.answer if right else rng.choice(exercise.solution.mistakes)[1]
    return f" Here is code:\nprint({exercise.solution.code})\nOutput: {answer}"


def _ramble(exercise: Exercise, rng: random.Random, _: Mixture) -> str:
    text = _opening("ramble", rng)
    for _ in range(6):
        step = rng.choice(exercise.solution.steps)
        thought = rng.choice((" Maybe", " Or maybe", " Hmm, maybe", " Wait, maybe"))
        text += f"{thought} {_slipped(step, rng) if rng.random() < 0.5 else step}."
    return text


_WRITERS = dict(zip(WAYS, (_careful, _hasty, _guess, _code, _nobox, _ramble), strict=True))


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


def facts(names: Sequence[str] = EMBEDDED.templates) -> list[str]:
    """Every arithmetic fact that some solution of these templates uses, sorted."""
    found = set()
    for template in (TEMPLATES[name] for name in names):
        for operands in template.operands:
            solution = template.solve(*operands)
            found.update(solution.steps)
            if solution.rounding:
                found.add(f"{solution.rounding[0]} is about {solution.rounding[1]}")
    return sorted(found)


def documents(world: World = EMBEDDED, seed: int | str = 0) -> Iterator[Document]:
    """The endless corpus of a world and a seed: problems of its corpus side, and drill sheets."""
    rng = random.Random(f"corpus:{seed}")
    chosen, mixture = [TEMPLATES[name] for name in world.templates], world.mixture
    known, operands = facts(world.templates), world.split["corpus"]
    while True:
        if rng.random() < mixture.drill_share:
            sheet = "".join(f" {fact}." for fact in rng.sample(known, mixture.drill_facts))
            yield Document(f"Drill:{sheet}", None)
            continue
        template = rng.choice(chosen)
        exercise = templates.fill(template, rng.choice(operands[template.name]), rng)
        answer = respond(exercise, choose_way(template, rng, mixture), rng, mixture)
        asked = prompt(exercise.question)
        yield Document(asked + answer.text, answer.way, answer.ends, len(asked))


def sha256(world: World, seed: int | str, count: int) -> str:
    """Fingerprint of the first `count` documents, so that a corpus can be named exactly."""
    digest = hashlib.sha256()
    for document in islice(documents(world, seed), count):
        digest.update(document.text.encode() + (b"\x01" if document.ends else b"\x00"))
    return digest.hexdigest()


def build_tokenizer(names: Sequence[str] = EMBEDDED.templates, sample: int = 20_000):
    """The tokenizer of every world of these templates: byte-level BPE under Qwen2's own splitting.

    It is trained on `sample` documents about them in the embedded world's mixture, so that worlds
    which differ in how their corpus is written share it, and a model can read on in another one.
    Numbers from 10 to 199 are added tokens, which makes arithmetic on them a table to learn;
    larger ones fall apart from the left. So is the opening of a box.

    Returns:
        transformers.Qwen2Tokenizer, plain, so that `AutoTokenizer` and vLLM load it as any Qwen2.
    """
    from tokenizers import AddedToken, pre_tokenizers, trainers
    from transformers import Qwen2Tokenizer

    special = {"eos_token": EOS, "unk_token": EOS, "pad_token": PAD}
    template = Qwen2Tokenizer(vocab={PAD: 0, EOS: 1}, merges=[], **special)
    stream = documents(EMBEDDED.only(*(name for name in TEMPLATES if name in names)))
    trainer = trainers.BpeTrainer(
        vocab_size=2000,
        min_frequency=3,
        special_tokens=[PAD, EOS],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    bpe = template.backend_tokenizer
    bpe.train_from_iterator((document.text for document in islice(stream, sample)), trainer)
    model = json.loads(bpe.to_str())["model"]
    merges = [tuple(pair) for pair in model["merges"]]
    tokenizer = Qwen2Tokenizer(vocab=model["vocab"], merges=merges, model_max_length=512, **special)
    pieces = [" \\boxed{", *(str(number) for number in range(10, 200))]
    tokenizer.add_tokens([AddedToken(piece, normalized=False) for piece in pieces])
    return tokenizer
