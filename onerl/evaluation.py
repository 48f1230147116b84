"""How good is a model, and how sure are we: sampled answers in, a table with intervals out.

    report = evaluate(run.checkpoints[-1], benchmarks=["world"], out="outputs/demo/evaluation")
    report.table        benchmark, metric, n, k, value, low, high, protocol, checkpoint
    report.by_category  accuracy per category; by_level: per level of difficulty
    report.records      one row per sampled answer; `rescore` grades them again without the model

Every answer is graded by the verifier that also gives the training reward. Beside accuracy stand
the numbers that tell a gain in format from a gain in reasoning: how many answers are in a box,
and the accuracy when the last number of an unboxed answer is accepted.

A rollout's random stream depends on (seed, benchmark, problem, sample) alone. With `out`, answers
are kept in parquet, a batch at a time, and an evaluation that was interrupted goes on with the
first problem that has none: what is lost is the batch in flight, and nothing that is on disk is
sampled twice. A batch is sampled together, so its size bounds the loss: 256 answers or a million
tokens, whichever is less.

A selection set (`onerl.benchmarks.SELECTION_SETS`) is there to choose a checkpoint on
(`onerl.choice`); the examples that the run was trained on are taken out of it.

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
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict
from functools import cached_property, partial
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from onerl.base_model import FOLDER
from onerl.benchmarks import SELECTION_SETS
from onerl.problems import Problem, benchmark, examples
from onerl.prompts import after_example, family_of, prompt_for, prompt_sha256
from onerl.protocols import PROTOCOLS, Protocol, protocol_for
from onerl.report import Report, paired_difference
from onerl.verifier import bad_golds, grade_many

__all__ = ["PROTOCOLS", "Protocol", "Report", "evaluate", "paired_difference", "rescore"]

BATCH = 256  # rollouts sampled, graded and kept together
BATCH_TOKENS = 2**20  # the most that they may be, together
SAY_EVERY = 10  # seconds between two lines of progress

LAST_NUMBER = re.compile(r"-?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:/\d+)?")
STOP_TOKENS = ("<|im_end|>", "<|endoftext|>", "</s>")


def evaluate(
    model: str | Path | tuple[int, Path],
    benchmarks: str | Sequence[str] = ("world",),
    *,
    protocol: str | None = None,
    samples: int | None = None,
    temperature: float | None = None,
    top_p: float | None = None,
    max_completion_length: int | None = None,
    prompt: str = "auto",
    prefix: str = "",
    demonstration: tuple[str, str] | None = None,
    limit: int | None = None,
    seed: int = 0,
    backend: str = "auto",
    out: str | Path | None = None,
    progress: bool = True,
) -> Report:
    """Sample answers to benchmarks and grade them.

    Args:
        model: "world" (the shipped base model), a folder, a hub id, or a (step, folder) pair from
            `Run.checkpoints`.
        benchmarks: names of `onerl.benchmarks`, or examples of the embedded world ("world:pi1").
        protocol: a name of `onerl.protocols.PROTOCOLS`; None: each benchmark's own.
        samples, temperature, top_p, max_completion_length: the protocol's where None.
        prompt: a family of `onerl.prompts.STRINGS`; "auto" tells it by the model.
        prefix: text every answer is forced to begin with. With the careful opening on the
            untouched base model this gives the elicitation ceiling.
        demonstration: a question and its solution that go before every question (in-context).
        limit: only so many problems of each benchmark, evenly spaced.
        backend: "torch", "vllm", or "auto": vLLM where it and a GPU are there.
        out: folder that keeps the answers; what is there already is not sampled again.
        progress: print how far it is, every 10 seconds.

    Raises:
        ValueError: an argument is out of range, a benchmark has an empty answer, one that the
            verifier cannot read, or a duplicated id, or `out` holds answers that were sampled in
            another way.
        FileNotFoundError: a benchmark's data is neither in ONERL_DATA nor on the hub.
    """
    names = [benchmarks] if isinstance(benchmarks, str) else list(benchmarks)
    if not names:
        raise ValueError("benchmarks: name at least one, for example ['world']")
    changes = {"samples": samples, "temperature": temperature, "top_p": top_p}
    changes["max_completion_length"] = max_completion_length
    plans = [(name, *protocol_for(name, protocol, **changes)) for name in names]
    with closing(_Answers(model, seed, prompt, prefix, demonstration, backend)) as answers:
        asked = [_untrained(name, problems_of(name, limit), answers.model) for name in names]
        tables = []
        for (name, label, how), problems in zip(plans, asked, strict=True):
            folder = None if out is None else Path(out) / name.replace(":", "-")
            if folder is not None:
                _claim(folder, answers.settings | {"limit": limit} | asdict(how))
            rows = pd.concat(_sampled(answers, name, problems, how, folder, progress))
            order = {problem.id: place for place, problem in enumerate(problems)}
            rows = rows.sort_values("problem", key=lambda ids: ids.map(order), kind="stable")
            tables.append(rows.assign(protocol=label))
    checkpoint = f"step {model[0]}" if isinstance(model, tuple) else "as given"
    return Report(pd.concat(tables, ignore_index=True).assign(checkpoint=checkpoint))


def _sampled(
    answers: _Answers,
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
        rows = _graded(answers.sample(name, [problem for _, problem in batch], how), grade_many)
        if folder is not None:
            _write_parquet(rows, folder / f"from-{batch[0][0]:05d}.parquet")
        yield rows
        if progress and time.monotonic() - said > SAY_EVERY:
            said = time.monotonic()
            print(f"{name}: {batch[-1][0] + 1} of {len(problems)} problems", flush=True)


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
        ValueError: an answer is empty or does not accept itself, an id occurs twice, or the limit
            is not positive. The problems are counted and named, and no score is given over the
            others.
    """
    problems = examples(name) if name.startswith("world:") else benchmark(name)
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


def _untrained(name: str, problems: list[Problem], model: str) -> list[Problem]:
    """A selection set without the examples that the checkpoint's run was trained on."""
    runs = [folder for folder in Path(model).resolve().parents[:2] if name in SELECTION_SETS]
    for recipe in (run / "recipe.yaml" for run in runs if (run / "recipe.yaml").is_file()):
        trained = examples(yaml.safe_load(recipe.read_text("utf-8"))["examples"])
        questions = {problem.question for problem in trained}
        left = [problem for problem in problems if problem.question not in questions]
        if not left:
            raise ValueError(
                f"benchmark {name}: the run was trained on all of its {len(problems)} problems;"
                " choose its checkpoint in another way"
            )
        return left
    return problems


class _Answers:
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
        self.family = family_of(self.model if prompt == "auto" else prompt)
        self.seed, self.prefix, self.backend, self.sampler = seed, prefix, backend, None
        self.demonstration = None if demonstration is None else list(demonstration)

    @cached_property
    def settings(self) -> dict:
        """What the answers depend on beside the protocol."""
        return {
            "model": _fingerprint(self.model),
            "prompt": self.family,
            "prefix": self.prefix,
            "demonstration": self.demonstration,
            "seed": self.seed,
        }

    def _load(self) -> None:
        from transformers import AutoConfig, AutoTokenizer, GenerationConfig
        from transformers.utils import logging

        from onerl.rollouts import sampler_for

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
        from onerl.sampler import stream_seed

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
    kept = {"top_p": 1.0} | json.loads(file.read_text())  # older ones had no other
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
