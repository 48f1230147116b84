"""Sampled answers: drawn, graded and kept, a batch at a time.

A benchmark's folder holds parts (`from-00000.parquet`, …) and `settings.json`: what the answers
depend on, and the sum of every part. Kept answers are returned only where all of it is the same
now. A part that is damaged or gone is named and sampled again, a file that is not in the list is
named and not read.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
import sys
import time
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from onerl.evaluation.protocols import Protocol
from onerl.models import Located, prompt_format
from onerl.parameters import read_yaml, watched
from onerl.problems import Problem, benchmark, examples
from onerl.problems.benchmarks import SELECTION_SETS
from onerl.problems.prompts import after_example, prompt_for, prompt_sha256
from onerl.rollouts import Request
from onerl.runs import files
from onerl.verifier import bad_golds, grade_many, warm
from onerl.world import EMBEDDED, World

BATCH = 256  # rollouts sampled, graded and kept together
BATCH_TOKENS = 2**20  # the most that they may be, together
SAY_EVERY = 10  # seconds between two lines of progress
SETTINGS = "settings.json"
CLEAR = "delete the folder, or choose another one for out"
LAST_NUMBER = re.compile(r"-?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:/\d+)?")
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Prompting:
    """What a model is shown around a question.

    prompt: a prompt format of `onerl.problems.prompts.STRINGS`, or "chat"; "auto" is the model's.
    prefix: text that every answer is forced to begin with. demonstration: a question and its
    solution that go before every question (in-context).
    """

    prompt: str = "auto"
    prefix: str = ""
    demonstration: tuple[str, str] | None = None


def graded(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows with answer, status, correct and correct_any_format.

    Any format: an answer without a box is read from the last number of the text, the last rule of
    the paper's evaluation (section 5.3 of its code's reading), which can only add right answers.
    """
    texts, golds = rows["text"].tolist(), rows["gold"].tolist()
    options = [
        json.loads(each) if isinstance(each, str) else None
        for each in rows.get("options", [None] * len(rows))
    ]
    grades = grade_many(list(zip(texts, golds, strict=True)), options)
    boxed = {
        i: f"\\boxed{{{numbers[-1]}}}"
        for i, grade in enumerate(grades)
        if grade.answer is None and (numbers := LAST_NUMBER.findall(texts[i]))
    }
    pairs = [(text, golds[i]) for i, text in boxed.items()]
    regraded = dict(zip(boxed, grade_many(pairs, [options[i] for i in boxed]), strict=True))
    return rows.assign(
        answer=[grade.answer for grade in grades],
        status=[grade.status for grade in grades],
        correct=[grade.correct for grade in grades],
        correct_any_format=[regraded.get(i, grade).correct for i, grade in enumerate(grades)],
    )


def sampled(
    answers: Answers, name: str, problems: list[Problem], how: Protocol, kept: Kept | None
) -> pd.DataFrame:
    """Graded answers, those that are kept already and the others, in the order of the problems."""
    parts = [] if kept is None else list(kept.read())
    done = {problem for part in parts for problem in part["problem"]}
    order = {problem.id: place for place, problem in enumerate(problems)}
    waiting = [problem for problem in problems if problem.id not in done]
    fit = min(BATCH, BATCH_TOKENS // how.max_completion_length)
    size = max(1, fit // how.samples)
    said = time.monotonic()
    for start in range(0, len(waiting), size):
        batch = waiting[start : start + size]
        rows = graded(answers.sample(name, batch, how))
        if kept is not None:
            kept.add(f"from-{order[batch[0].id]:05d}.parquet", rows)
        parts.append(rows)
        # not into the outputs of a notebook that nobody looks at
        seen = watched() or "ipykernel" not in sys.modules
        if seen and time.monotonic() - said > SAY_EVERY:
            said = time.monotonic()
            reached = f"{name}: {order[batch[-1].id] + 1} of {len(problems)} problems"
            print(reached, file=sys.stderr, flush=True)
    rows = pd.concat(parts)
    return rows.sort_values("problem", key=lambda ids: ids.map(order), kind="stable")


def problems_of(name: str, limit: int | None = None, world: World = EMBEDDED) -> list[Problem]:
    """A benchmark's problems (or the world's examples, "world:pi1"), checked.

    With a limit only so many of them, evenly spaced.

    Raises:
        ValueError: an answer is empty or does not accept itself, an id occurs twice, or the limit
            is not positive.
    """
    problems = (examples if name.startswith("world:") else benchmark)(name, world)
    times = Counter(problem.id for problem in problems)
    wrong = [f"{i} is there {n} times" for i, n in sorted(times.items()) if n > 1]
    wrong += map(str, bad_golds((problem.id, problem.answer) for problem in problems))
    if not problems or wrong:
        raise ValueError(
            f"benchmark {name}: {len(problems)} problems, {len(wrong)} that cannot be scored"
            f" ({'; '.join(wrong[:5])}); a score over the others would mean nothing"
        )
    if limit is None or limit >= len(problems):
        return problems
    if limit < 1:
        raise ValueError(f"limit: {limit} is not a number of problems; allowed: 1 or more, or None")
    return [problems[i * len(problems) // limit] for i in range(limit)]


def without_training_examples(name: str, problems: list[Problem], model: Located) -> list[Problem]:
    """A selection set without the examples that the checkpoint's run was trained on."""
    if name not in SELECTION_SETS or model.run is None:
        return problems
    trained = examples(read_yaml(model.run / "recipe.yaml")["examples"], model.world)
    questions = {problem.question for problem in trained}
    left = [problem for problem in problems if problem.question not in questions]
    if not left:
        raise ValueError(
            f"benchmark {name}: the run was trained on all of its {len(problems)} problems;"
            " choose its checkpoint in another way"
        )
    return left


class Answers:
    """Samples answers; the model is loaded when the first one is needed."""

    def __init__(self, model: Located, prompting: Prompting, seed: int, backend: str):
        self.model, self.prompting, self.seed, self.backend = model, prompting, seed, backend
        self.format = prompt_format(prompting.prompt, model)
        self.sampler = None

    def settings(self, problems: list[Problem], how: Protocol) -> dict[str, Any]:
        """What the answers depend on: sums of the inputs, and how they are sampled."""
        return {
            "model": self.model.sha256,
            "setup": self.model.setup_sha256,
            "problems": _sum([[p.id, p.question, p.answer] for p in problems]),
            "prompts": _sum([self._prompt(problem.question) for problem in problems]),
            "prompt": self.format,
            "prefix": self.prompting.prefix,
            "demonstration": self.prompting.demonstration and [*self.prompting.demonstration],
            "seed": self.seed,
            **{key: value for key, value in asdict(how).items() if key != "name"},
        }

    def _load(self) -> None:
        from transformers.utils import logging

        from onerl.rollouts.backends import sampler_for

        logging.disable_progress_bar()
        if self.format != "world":  # whose answers are plain numbers
            warm()
        self.sampler = sampler_for(self.backend, self.model)

    def _prompt(self, question: str) -> str:
        if self.prompting.demonstration is not None:
            question = after_example(question, *self.prompting.demonstration, self.format)
        tokenizer = self.model.tokenizer if self.format == "chat" else None
        return prompt_for(question, self.format, "eval", tokenizer)

    def close(self) -> None:
        if self.sampler is not None:
            self.sampler.close()

    def sample(self, name: str, problems: list[Problem], protocol: Protocol) -> pd.DataFrame:
        """One row per sampled answer, not graded yet. `token_ids` are without a forced opening."""
        from onerl.rollouts.draws import stream_seed

        if self.sampler is None:
            self._load()
        tokenizer, prefix = self.model.tokenizer, self.prompting.prefix
        prompts = [self._prompt(problem.question) for problem in problems]
        encode = partial(tokenizer.encode, add_special_tokens=False)
        forced = len(encode(prefix)) if prefix else 0
        seeds = [
            stream_seed(self.seed, zlib.crc32(f"{name}/{p.id}".encode()), sample)
            for p in problems
            for sample in range(protocol.samples)
        ]
        request = Request(
            [protocol.samples] * len(problems),
            max_new_tokens=protocol.max_completion_length - forced,
            eos_ids=self.model.stops,
            temperature=protocol.temperature,
            seeds=seeds,
            top_p=protocol.top_p,
        )
        rollouts = self.sampler.sample([encode(prompt + prefix) for prompt in prompts], request)
        rows = []
        for i, rollout in enumerate(rollouts):
            p, ids = problems[rollout.prompt_index], rollout.token_ids
            row = {
                "benchmark": name,
                "problem": p.id,
                "category": p.category,
                "level": p.level,
                "gold": p.answer,
                "options": None if p.options is None else json.dumps(dict(p.options)),
                "prompt_sha256": prompt_sha256(prompts[rollout.prompt_index]),
                "sample": i % protocol.samples,
                "seed": seeds[i],
                "text": prefix + tokenizer.decode(ids, skip_special_tokens=True),
                "tokens": forced + len(ids),
                "token_ids": np.array(ids, dtype=np.int32),
                "finish": rollout.finish,
            }
            rows.append(row)
        return pd.DataFrame(rows).astype({"level": "Int64"})


class Kept:
    """The answers to one benchmark that a folder keeps.

    Raises:
        ValueError: the folder's answers depend on something else, or nothing says on what.
    """

    def __init__(self, folder: Path, settings: dict[str, Any]):
        self.folder, self.settings = folder, settings
        stored = _stored(folder)
        if stored is None:
            self.parts = {}
            folder.mkdir(parents=True, exist_ok=True)
            self._write()
            return
        self.parts = stored.pop("parts", None)
        if not isinstance(self.parts, dict):
            reason = "its answers were kept without sums, by an older version"
            raise ValueError(f"{folder}: {reason}; {CLEAR}")
        changed = [
            f"{key} is {value!r} now and was {stored.get(key)!r}"
            for key, value in settings.items()
            if stored.get(key) != value
        ]
        if changed:
            raise ValueError(
                f"{folder} holds answers sampled in another way: {'; '.join(changed)}. "
                "Choose another folder for out, or delete this one"
            )

    def read(self) -> Iterator[pd.DataFrame]:
        """The parts that are whole; the others are forgotten, so that they are sampled again."""
        for file in sorted(self.folder.glob("*.parquet")):
            if file.name not in self.parts:
                logger.warning("%s: was not written by this evaluation; it is not read", file)
        for name, expected in sorted(self.parts.items()):
            if (rows := _whole_part(self.folder / name, expected)) is not None:
                yield rows
                continue
            del self.parts[name]
            if (self.folder / name).exists():
                logger.warning("%s: is damaged; its problems are sampled again", self.folder / name)
                (self.folder / name).unlink()

    def add(self, name: str, rows: pd.DataFrame) -> None:
        """Keep a part. Its sum comes first: a kill in between leaves a sum too many, no part."""
        content = rows.to_parquet(index=False)
        self.parts[name] = hashlib.sha256(content).hexdigest()
        self._write()
        with files.atomic_file(self.folder / name) as aside:
            aside.write_bytes(content)

    def _write(self) -> None:
        text = json.dumps(self.settings | {"parts": self.parts}, indent=1)
        files.write_text(self.folder / SETTINGS, text + "\n")


def kept_answers(folder: Path) -> pd.DataFrame:
    """The rows of a folder's whole parts, without a look at what they depend on.

    Raises:
        ValueError: the folder's settings are torn or gone.
    """
    listed = (_stored(folder) or {}).get("parts", {})
    parts = [_whole_part(folder / name, expected) for name, expected in sorted(listed.items())]
    whole = [rows for rows in parts if rows is not None]
    return pd.concat(whole, ignore_index=True) if whole else pd.DataFrame()


def _whole_part(file: Path, expected: str) -> pd.DataFrame | None:
    content = file.read_bytes() if file.is_file() else b""
    whole = hashlib.sha256(content).hexdigest() == expected
    return pd.read_parquet(BytesIO(content)) if whole else None


def _stored(folder: Path) -> dict[str, Any] | None:
    """The settings of the answers in a folder; None when it holds none."""
    file = folder / SETTINGS
    if not file.exists():
        if any(folder.glob("*.parquet")):
            reason = f"holds answers (*.parquet) and no {SETTINGS} that says whose they are"
            raise ValueError(f"{folder}: {reason}; {CLEAR}")
        return None
    try:
        return dict(json.loads(file.read_text("utf-8")))
    except (ValueError, TypeError):
        reason = "is torn, so nothing says whose the answers beside it are"
        raise ValueError(f"{file}: {reason}; {CLEAR}") from None


def _sum(values: list) -> str:
    return hashlib.sha256(json.dumps(values).encode()).hexdigest()
