"""Sampled answers: drawn, graded and kept, a batch at a time."""

from __future__ import annotations

import json
import os
import time
import zlib
from collections.abc import Iterator
from functools import cached_property, partial
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from onerl.evaluation.grading import graded
from onerl.evaluation.protocols import Protocol
from onerl.models import STOP_TOKENS, family_of, fingerprint
from onerl.problems import Problem, benchmark, examples
from onerl.problems.benchmarks import SELECTION_SETS
from onerl.problems.prompts import after_example, prompt_for, prompt_sha256
from onerl.verifier import bad_golds, grade_many
from onerl.world import EMBEDDED, FOLDER, World, world_of

BATCH = 256  # rollouts sampled, graded and kept together
BATCH_TOKENS = 2**20  # the most that they may be, together
SAY_EVERY = 10  # seconds between two lines of progress


def sampled(
    answers: Answers,
    name: str,
    problems: list[Problem],
    how: Protocol,
    folder: Path | None,
    progress: bool,
) -> Iterator[pd.DataFrame]:
    """Graded answers, those that are kept already and then the others, a batch at a time."""
    kept = [] if folder is None else [pd.read_parquet(f) for f in sorted(folder.glob("*.parquet"))]
    yield from kept
    done = {problem for part in kept for problem in part["problem"]}
    waiting = [(place, p) for place, p in enumerate(problems) if p.id not in done]
    fit = min(BATCH, BATCH_TOKENS // how.max_completion_length)
    size = max(1, fit // how.samples)
    said = time.monotonic()
    for start in range(0, len(waiting), size):
        batch = waiting[start : start + size]
        rows = graded(answers.sample(name, [problem for _, problem in batch], how), grade_many)
        if folder is not None:
            _write_parquet(rows, folder / f"from-{batch[0][0]:05d}.parquet")
        yield rows
        if progress and time.monotonic() - said > SAY_EVERY:
            said = time.monotonic()
            print(f"{name}: {batch[-1][0] + 1} of {len(problems)} problems", flush=True)


def problems_of(name: str, limit: int | None = None, world: World = EMBEDDED) -> list[Problem]:
    """A benchmark's problems (or the world's examples, "world:pi1"), checked.

    With a limit only so many of them, evenly spaced.

    Raises:
        ValueError: an answer is empty or does not accept itself, an id occurs twice, or the limit
            is not positive. The problems are counted and named, and no score is given over the
            others.
    """
    problems = (examples if name.startswith("world:") else benchmark)(name, world)
    ids = [problem.id for problem in problems]
    doubled = sorted({i for i in ids if ids.count(i) > 1}) if len(set(ids)) < len(ids) else []
    wrong = [f"{i} is there {ids.count(i)} times" for i in doubled]
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


def without_training_examples(
    name: str, problems: list[Problem], model: str, world: World
) -> list[Problem]:
    """A selection set without the examples that the checkpoint's run was trained on."""
    runs = [folder for folder in Path(model).resolve().parents[:2] if name in SELECTION_SETS]
    for recipe in (run / "recipe.yaml" for run in runs if (run / "recipe.yaml").is_file()):
        trained = examples(yaml.safe_load(recipe.read_text("utf-8"))["examples"], world)
        questions = {problem.question for problem in trained}
        left = [problem for problem in problems if problem.question not in questions]
        if not left:
            raise ValueError(
                f"benchmark {name}: the run was trained on all of its {len(problems)} problems;"
                " choose its checkpoint in another way"
            )
        return left
    return problems


class Answers:
    """Samples answers; the model is loaded when the first one is needed.

    A finished evaluation therefore reads nothing but its records.
    """

    def __init__(
        self,
        model: str | Path | tuple[int, Path],
        seed: int,
        prompt: str,
        prefix: str,
        demonstration: tuple[str, str] | None,
        backend: str,
    ):
        folder = model[1] if isinstance(model, tuple) else model
        self.model = str(FOLDER if folder == "world" else folder)
        self.world = world_of(self.model)
        self.family = family_of(self.model if prompt == "auto" else prompt)
        self.seed, self.prefix, self.backend, self.sampler = seed, prefix, backend, None
        self.demonstration = None if demonstration is None else list(demonstration)

    @cached_property
    def settings(self) -> dict:
        """What the answers depend on beside the protocol."""
        return {
            "model": fingerprint(self.model),
            "world": self.world.hash(),
            "prompt": self.family,
            "prefix": self.prefix,
            "demonstration": self.demonstration,
            "seed": self.seed,
        }

    def _load(self) -> None:
        from transformers import AutoConfig, AutoTokenizer, GenerationConfig
        from transformers.utils import logging

        from onerl.rollouts.backends import sampler_for

        logging.disable_progress_bar()
        self.tokenizer = AutoTokenizer.from_pretrained(self.model)
        try:
            given = GenerationConfig.from_pretrained(self.model)
        except OSError:  # an older checkpoint, with the tokens in its config
            given = AutoConfig.from_pretrained(self.model)
        stops = [self.tokenizer.eos_token_id, given.eos_token_id]
        vocabulary = self.tokenizer.get_vocab()
        stops += [vocabulary.get(token) for token in STOP_TOKENS]
        self.stops = {int(i) for i in np.hstack([i for i in stops if i is not None])}
        self.sampler = sampler_for(self.backend, self.model)

    def _prompt(self, question: str) -> str:
        if self.demonstration is not None:
            question = after_example(question, *self.demonstration, self.family)
        return prompt_for(question, self.family, "eval", self.tokenizer)

    def close(self) -> None:
        """Give an engine's memory back."""
        if hasattr(self.sampler, "close"):
            self.sampler.close()

    def sample(self, name: str, problems: list[Problem], protocol: Protocol) -> pd.DataFrame:
        """One row per sampled answer, not graded yet. `token_ids` are without a forced opening."""
        from onerl.rollouts.draws import stream_seed

        if self.sampler is None:
            self._load()
        prompts = [self._prompt(problem.question) for problem in problems]
        encode = partial(self.tokenizer.encode, add_special_tokens=False)
        forced = len(encode(self.prefix)) if self.prefix else 0
        seeds = [
            stream_seed(self.seed, zlib.crc32(f"{name}/{p.id}".encode()), sample)
            for p in problems
            for sample in range(protocol.samples)
        ]
        rollouts = self.sampler.sample(
            [encode(prompt + self.prefix) for prompt in prompts],
            [protocol.samples] * len(problems),
            max_new_tokens=protocol.max_completion_length - forced,
            temperature=protocol.temperature,
            top_p=protocol.top_p,
            eos_ids=self.stops,
            seeds=seeds,
        )
        owners = np.repeat(np.arange(len(problems)), protocol.samples)
        return pd.DataFrame(
            {
                "benchmark": name,
                "problem": problems[owner].id,
                "category": problems[owner].category,
                "level": problems[owner].level,
                "gold": problems[owner].answer,
                "prompt_sha256": prompt_sha256(prompts[owner]),
                "sample": i % protocol.samples,
                "seed": seeds[i],
                "text": self.prefix
                + self.tokenizer.decode(rollout.token_ids, skip_special_tokens=True),
                "tokens": forced + len(rollout.token_ids),
                "token_ids": np.array(rollout.token_ids, dtype=np.int32),
                "finish": rollout.finish,
            }
            for i, (owner, rollout) in enumerate(zip(owners, rollouts, strict=True))
        ).astype({"level": "Int64"})


def hold_settings(folder: Path, settings: dict) -> None:
    """Write how the folder's answers are sampled, or check that it is the same as before."""
    file = folder / "settings.json"
    if not file.exists():
        folder.mkdir(parents=True, exist_ok=True)
        _replace(file, json.dumps(settings, indent=1).encode())
        return
    older = {"top_p": 1.0, "world": EMBEDDED.hash()}  # there was no other
    kept = older | json.loads(file.read_text())
    changed = [
        f"{key} is {settings[key]!r} now and was {kept.get(key)!r}"
        for key in settings
        if kept.get(key) != settings[key]
    ]
    if changed:
        raise ValueError(
            f"{folder} holds answers sampled in another way: {'; '.join(changed)}. "
            "Choose another folder for out, or delete this one"
        )


def _write_parquet(records: pd.DataFrame, file: Path) -> None:
    _replace(file, records.to_parquet(index=False))


def _replace(file: Path, content: bytes) -> None:
    """Write aside, sync, rename: a killed evaluation leaves no half batch."""
    aside = file.with_name(f"{file.name}.{os.getpid()}.partial")
    with aside.open("wb") as opened:
        opened.write(content)
        opened.flush()
        os.fsync(opened.fileno())
    os.replace(aside, file)
