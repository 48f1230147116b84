"""How good is a model, and how sure are we: sampled answers in, a table with intervals out.

    report = evaluate(run.checkpoints[-1], benchmarks=["world"], out="outputs/demo/evaluation")
    report.table        benchmark, metric, n, k, value, low, high  (percent; length in tokens)
    report.by_category  accuracy per category
    report.records      one row per sampled answer; `rescore` grades them again without the model

Every answer is graded by the verifier that also gives the training reward. Beside accuracy stand
the numbers that tell a gain in format from a gain in reasoning: how many answers are in a box,
and the accuracy when the last number of an unboxed answer is accepted.

A rollout's random stream depends on (seed, benchmark, problem, sample) alone. With `out`, answers
are kept in parquet, a batch at a time, and an evaluation that was interrupted goes on behind the
last whole batch.

Weights are used in the precision they are stored in, as in the paper, whose Table 7 shows that it
matters. Not covered: spread between training seeds (`onerl.intervals.seed_interval`).
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
import zlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property, partial
from pathlib import Path

import numpy as np
import pandas as pd

from onerl.base_model import FOLDER
from onerl.problems import Problem, benchmark, examples
from onerl.prompts import family_of, prompt_for, prompt_sha256
from onerl.report import Report, paired_difference
from onerl.verifier import grade_many

__all__ = ["PROTOCOLS", "Protocol", "Report", "evaluate", "paired_difference", "rescore"]

BATCH = 256  # rollouts sampled, graded and kept together
SAY_EVERY = 10  # seconds between two lines of progress

LAST_NUMBER = re.compile(r"-?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:/\d+)?")
STOP_TOKENS = ("<|im_end|>", "<|endoftext|>", "</s>")


@dataclass(frozen=True)
class Protocol:
    """How a benchmark is sampled: samples per problem, temperature (0 = greedy), longest answer."""

    samples: int
    temperature: float
    max_completion_length: int


GREEDY, AVG8 = Protocol(1, 0.0, 3072), Protocol(8, 0.6, 3072)
PROTOCOLS = {
    "world": Protocol(1, 0.0, 96),
    "math500": GREEDY,
    "minerva_math": GREEDY,
    "olympiadbench": GREEDY,
    "aime24": AVG8,
    "aime25": AVG8,
    "amc23": AVG8,
}
"""The paper's (appendix B.3, B.5); the embedded world's is ours."""


def evaluate(
    model: str | Path | tuple[int, Path],
    benchmarks: str | Sequence[str] = ("world",),
    *,
    samples: int | None = None,
    temperature: float | None = None,
    max_completion_length: int | None = None,
    prompt: str = "auto",
    prefix: str = "",
    limit: int | None = None,
    seed: int = 0,
    out: str | Path | None = None,
    progress: bool = True,
) -> Report:
    """Sample answers to benchmarks and grade them.

    Args:
        model: "world" (the shipped base model), a folder, a hub id, or a (step, folder) pair from
            `Run.checkpoints`.
        samples, temperature, max_completion_length: each benchmark's own protocol where None.
        prompt: a family of `onerl.prompts.STRINGS`; "auto" tells it by the model.
        prefix: text every answer is forced to begin with. With the careful opening on the
            untouched base model this gives the elicitation ceiling.
        limit: only so many problems of each benchmark, evenly spaced.
        out: folder that keeps the answers; what is there already is not sampled again.
        progress: print how far it is, every 10 seconds.

    Raises:
        ValueError: an argument is out of range, a benchmark has an empty answer or a duplicated
            id, or `out` holds answers that were sampled in another way.
    """
    names = [benchmarks] if isinstance(benchmarks, str) else list(benchmarks)
    plans = [
        (
            name,
            problems_of(name, limit),
            _protocol(name, samples, temperature, max_completion_length),
        )
        for name in names
    ]
    if not plans:
        raise ValueError("benchmarks: name at least one, for example ['world']")
    answers, tables = _Answers(model, seed, prompt, prefix), []
    for name, problems, protocol in plans:
        folder = None if out is None else Path(out) / name.replace(":", "-")
        if folder is not None:
            _claim(folder, answers.settings | {"limit": limit} | asdict(protocol))
        size = max(1, BATCH // protocol.samples)
        said = time.monotonic()
        for start in range(0, len(problems), size):
            part = None if folder is None else folder / f"from-{start:05d}.parquet"
            if part is not None and part.exists():
                tables.append(pd.read_parquet(part))
                continue
            batch = problems[start : start + size]
            rows = answers.sample(name, batch, protocol)
            tables.append(_graded(rows, grade_many))
            if part is not None:
                _write_parquet(tables[-1], part)
            if progress and time.monotonic() - said > SAY_EVERY:
                said = time.monotonic()
                print(f"{name}: {start + len(batch)} of {len(problems)} problems", flush=True)
    return Report(pd.concat(tables, ignore_index=True))


def rescore(records: pd.DataFrame, grader: Callable[[str, str], bool] | None = None) -> Report:
    """Grade stored answers again, without the model.

    Args:
        records: `Report.records`, or the same read from parquet.
        grader: a function of (response, gold) like `onerl.verifier.verify`; None: our verifier.
            With another grader, which says only right or wrong, the answers that ours extracts
            and its status stay in the records.
    """
    if grader is None:
        return Report(_graded(records, grade_many))
    ours = _graded(records, grade_many)
    pairs = zip(records["text"], records["gold"], strict=True)
    correct = np.array([bool(grader(text, gold)) for text, gold in pairs])
    return Report(ours.assign(correct=correct))


def problems_of(name: str, limit: int | None = None) -> list[Problem]:
    """A benchmark's problems (or the world's examples, "world:pi1"), checked.

    With a limit only so many of them, evenly spaced.

    Raises:
        ValueError: an answer is empty, an id occurs twice, or the limit is not positive.
    """
    problems = examples(name) if name.startswith("world:") else benchmark(name)
    ids = [problem.id for problem in problems]
    doubled = sorted({i for i in ids if ids.count(i) > 1}) if len(set(ids)) < len(ids) else []
    empty = [problem.id for problem in problems if not problem.answer.strip()]
    if not problems or doubled or empty:
        raise ValueError(
            f"benchmark {name}: {len(problems)} problems, duplicated ids {doubled[:5]}, "
            f"problems without an answer {empty[:5]}; a score over these rows would mean nothing"
        )
    if limit is None or limit >= len(problems):
        return problems
    if limit < 1:
        raise ValueError(f"limit: {limit} is not a number of problems; allowed: 1 or more, or None")
    return [problems[i * len(problems) // limit] for i in range(limit)]


class _Answers:
    """Samples answers; the model is loaded when the first one is needed.

    A finished evaluation therefore reads nothing but its records.
    """

    def __init__(self, model: str | Path | tuple[int, Path], seed: int, prompt: str, prefix: str):
        folder = model[1] if isinstance(model, tuple) else model
        self.model = str(FOLDER if folder == "world" else folder)
        self.family = family_of(self.model if prompt == "auto" else prompt)
        self.seed, self.prefix, self.sampler = seed, prefix, None

    @cached_property
    def settings(self) -> dict:
        """What the answers depend on beside the protocol."""
        weights = _fingerprint(self.model)
        return {"model": weights, "prompt": self.family, "prefix": self.prefix, "seed": self.seed}

    def _load(self) -> None:
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer
        from transformers.utils import logging

        from onerl.sampler import SharedPromptSampler

        logging.disable_progress_bar()
        self.tokenizer = AutoTokenizer.from_pretrained(self.model)
        model = AutoModelForCausalLM.from_pretrained(self.model)
        model.to("cuda" if torch.cuda.is_available() else "cpu").eval()
        stops = [self.tokenizer.eos_token_id, model.generation_config.eos_token_id]
        vocabulary = self.tokenizer.get_vocab()
        stops += [vocabulary.get(token) for token in STOP_TOKENS]
        self.stops = {int(i) for i in np.hstack([i for i in stops if i is not None])}
        self.sampler = SharedPromptSampler(model)

    def sample(self, name: str, problems: list[Problem], protocol: Protocol) -> pd.DataFrame:
        """One row per sampled answer, not graded yet."""
        from onerl.sampler import stream_seed

        if self.sampler is None:
            self._load()
        prompts = [prompt_for(p.question, self.family, "eval", self.tokenizer) for p in problems]
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
            eos_ids=self.stops,
            seeds=seeds,
        )
        return pd.DataFrame(
            {
                "benchmark": name,
                "problem": problems[i // protocol.samples].id,
                "category": problems[i // protocol.samples].category,
                "gold": problems[i // protocol.samples].answer,
                "prompt_sha256": prompt_sha256(prompts[i // protocol.samples]),
                "sample": i % protocol.samples,
                "seed": seeds[i],
                "text": self.prefix
                + self.tokenizer.decode(rollout.token_ids, skip_special_tokens=True),
                "tokens": forced + len(rollout.token_ids),
                "finish": rollout.finish,
            }
            for i, rollout in enumerate(rollouts)
        )


def _graded(rows: pd.DataFrame, grade: Callable) -> pd.DataFrame:
    """The rows with answer, status, correct and correct_any_format.

    Any format: an answer without a box is read from the last number of the text, the last rule of
    the paper's evaluation (section 5.3 of its code's reading), which can only add right answers.
    """
    texts, golds = rows["text"].tolist(), rows["gold"].tolist()
    grades = grade(list(zip(texts, golds, strict=True)))
    lenient = [grade.correct for grade in grades]
    unboxed = [
        (i, numbers[-1])
        for i, grade in enumerate(grades)
        if grade.answer is None and (numbers := LAST_NUMBER.findall(texts[i]))
    ]
    regraded = grade([(f"\\boxed{{{number}}}", golds[i]) for i, number in unboxed])
    for (i, _), again in zip(unboxed, regraded, strict=True):
        lenient[i] = again.correct
    return rows.assign(
        answer=[grade.answer for grade in grades],
        status=[grade.status for grade in grades],
        correct=[grade.correct for grade in grades],
        correct_any_format=lenient,
    )


def _protocol(name: str, samples, temperature, max_completion_length) -> Protocol:
    """The benchmark's own protocol, with what the caller changed."""
    given = {
        "samples": samples,
        "temperature": temperature,
        "max_completion_length": max_completion_length,
    }
    protocol = replace(
        PROTOCOLS.get(name.split(":")[0], GREEDY),
        **{k: v for k, v in given.items() if v is not None},
    )
    if protocol.samples < 1 or protocol.temperature < 0 or protocol.max_completion_length < 1:
        raise ValueError(
            f"evaluation of {name}: {protocol} is out of range; allowed: samples >= 1, "
            "temperature >= 0, max_completion_length >= 1"
        )
    if protocol.temperature == 0 and protocol.samples > 1:
        raise ValueError(
            f"evaluation of {name}: samples={protocol.samples} at temperature 0 would be the same "
            "answer again; set temperature above 0 or samples to 1"
        )
    return protocol


def _fingerprint(location: str) -> str:
    """sha256 over a folder's weights, so that kept answers are never taken for another model's."""
    digest = hashlib.sha256()
    weights = sorted(Path(location).glob("*.safetensors"))
    for file in weights:
        with file.open("rb") as opened:
            digest.update(hashlib.file_digest(opened, "sha256").digest())
    return digest.hexdigest() if weights else location


def _claim(folder: Path, settings: dict) -> None:
    """Write how the folder's answers are sampled, or check that it is the same as before."""
    file = folder / "settings.json"
    if not file.exists():
        folder.mkdir(parents=True, exist_ok=True)
        _replace(file, json.dumps(settings, indent=1).encode())
        return
    kept = json.loads(file.read_text())
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
