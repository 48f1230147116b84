"""Problems by name: the training examples, and what a problem is.

    examples("pi1")              the paper's example, built in
    examples("pi1+pi13")         any sum of names; "pi1..pi16" is a range of ranks
    examples("random16")         drawn from the pool, always the same; "random16:7" draws others
    examples("dsr_sub")          the pool of 1,209 without its two broken labels; "dsr_sub_all" has
                                 them, and they are never rewarded
    examples("math_train")       the 7,500 training problems of MATH
    examples("world:pi1")        the embedded world (`onerl.world`)
    examples({"problem": …, "answer": …})   your own; also a YAML or JSON file of one or a list
    benchmark("math500")         500 problems to be tested on; all names: `onerl.benchmarks`

The real data comes from the folder named by ONERL_DATA, laid out as the paper's repository lays
it out (`one_shot_rlvr/*.parquet`, `eval/<set>/test.jsonl`), or else from the hub. The ranks of
π1 … π1209 are computed from the recorded accuracy history, not listed.

A question never carries the training suffix; `onerl.prompts` adds it.
"""

from __future__ import annotations

import json
import logging
import os
import random
import re
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from onerl import paper
from onerl.parameters import nearest, read_yaml
from onerl.problem import Problem, from_items
from onerl.prompts import SUFFIX

HUB_TRAINING = "ypwang61/one_shot_rlvr"
HUB_MATH = "EleutherAI/hendrycks_math"
MATH_SUBJECTS = (
    *("algebra", "counting_and_probability", "geometry", "intermediate_algebra"),
    *("number_theory", "prealgebra", "precalculus"),
)
BROKEN_LABELS = {265: "is empty", 1187: "is cut off in the middle of a formula"}
BROKEN_SOURCES = {f"dsr_sub/{index}" for index in BROKEN_LABELS}
logger = logging.getLogger(__name__)


PI1 = Problem(
    id="pi1",
    question=(
        r"The pressure \( P \) exerted by wind on a sail varies jointly as the area \( A \) of the"
        r" sail and the cube of the wind's velocity \( V \). When the velocity is \( 8 \) miles"
        r" per hour, the pressure on a sail of \( 2 \) square feet is \( 4 \) pounds. Find the"
        r" wind velocity when the pressure on \( 4 \) square feet of sail is \( 32 \) pounds."
    ),
    answer="12.8",
    category="Algebra",
    source="dsr_sub/124",
)
PI1_SIMPLIFIED = Problem(
    id="pi1_simplified",
    question=r"Calculate $\sqrt[3]{2048}$.",
    answer="12.8",
    category="Algebra",
    source="paper, Table 18",
)

BUILT_IN = {"pi1": PI1, "pi1_simplified": PI1_SIMPLIFIED}
NAMES = (
    "pi1 … pi1209, pi1..pi16, sums such as pi1+pi13, random16, random16:SEED, dsr_sub, dsr_sub_all,"
    " math_train, pi1_simplified, world:…"
)


def examples(name: str | Mapping[str, Any]) -> list[Problem]:
    """Training examples by name, from a file, or your own {problem, answer}.

    Raises:
        ValueError: no such name, or a problem or answer that is missing or empty.
        FileNotFoundError: data is needed that is neither in ONERL_DATA nor reachable on the hub.
    """
    if isinstance(name, Mapping):
        return [_own(name, "own")]
    if name.endswith((".yaml", ".yml", ".json")):
        return _from_file(Path(name))
    found = [problem for part in name.split("+") for problem in _named(part.strip(), name)]
    doubled = sorted({p.id for p in found if sum(q.id == p.id for q in found) > 1})
    if doubled:
        raise ValueError(f"examples = {name!r}: names {', '.join(doubled)} twice")
    return found


def _named(part: str, whole: str) -> list[Problem]:
    """The examples of one summand of a name."""
    if part in BUILT_IN:
        return [BUILT_IN[part]]
    if part.startswith("world"):
        from onerl import world

        return from_items(world.examples(part))
    if part == "dsr_sub":
        return _without_broken(_pool())
    if part == "dsr_sub_all":
        return list(_pool())
    if part == "math_train":
        return math_train()
    if match := re.fullmatch(r"random16(?::(\d+))?", part):
        return random.Random(int(match[1] or 16)).sample(_without_broken(_pool()), 16)
    if match := re.fullmatch(r"pi(\d+)(?:\.\.pi(\d+))?", part):
        first, last = int(match[1]), int(match[2] or match[1])
        if 1 <= first <= last <= 1209:
            return [_ranked(rank) for rank in range(first, last + 1)]
        hint = "; ranks go from 1 to 1209"
    else:
        hint = nearest(
            part,
            [
                "pi1",
                "pi1_simplified",
                "random16",
                "dsr_sub",
                "dsr_sub_all",
                "math_train",
                "world:pi1",
            ],
        )
    raise ValueError(f"examples = {whole!r}: {part!r} is not a name{hint}; allowed: {NAMES}")


def _own(entry: Any, name: str) -> Problem:
    if not isinstance(entry, Mapping):
        raise ValueError(f"examples: {name} must be a mapping with problem and answer")
    keys = ("problem", "answer", "category")
    for key in entry:
        if key not in keys:
            raise ValueError(
                f"examples: {name} has an unknown key {key!r}{nearest(key, keys)};"
                f" allowed: {', '.join(keys)}"
            )
    texts = ["" if entry.get(key) is None else str(entry[key]).strip() for key in keys]
    for key, text in zip(keys[:2], texts, strict=False):
        if not text:
            raise ValueError(f"examples: {name} has no {key}; both problem and answer are needed")
    return Problem(name, *texts, "your own")


def _from_file(path: Path) -> list[Problem]:
    if not path.is_file():
        raise ValueError(f"examples = {str(path)!r}: no such file")
    content = read_yaml(path)  # JSON is YAML, and an answer 12.80 stays text in both
    if isinstance(content, Mapping):
        return [_own(content, path.stem)]
    return [_own(entry, f"{path.stem}/{i}") for i, entry in enumerate(content, start=1)]


def _ranked(rank: int) -> Problem:
    if rank == 1:
        return PI1
    index = ranking()[rank - 1]
    if index in BROKEN_LABELS:
        raise ValueError(f"examples: the label of pi{rank} {BROKEN_LABELS[index]}")
    given = paper.table("pi_examples").set_index("pi")["category"].dropna()
    return replace(_pool()[index], id=f"pi{rank}", category=given.get(rank, ""))


@lru_cache(maxsize=1)
def ranking() -> tuple[int, ...]:
    """Pool indices in the order of π1, π2, …: by the historical variance of their accuracies.

    Equal scores keep the file's order, as in the released selection script (`onerl.selection`).
    """
    from onerl.selection import historical_variance, ranks

    history = released_history()
    rank = ranks([historical_variance(accuracies) for accuracies in history.values()])
    return tuple(index for _, index in sorted(zip(rank, history, strict=True)))


def released_history() -> dict[int, list[float]]:
    """Accuracies of each example's visits in the authors' 500 steps on DSR-sub, by pool index.

    Raises:
        FileNotFoundError: the file is neither in ONERL_DATA nor reachable on the hub.
    """
    file = _training_file("acc_step_500.json")
    try:
        found = json.loads(file.read_text("utf-8"))
    except ValueError as error:
        raise ValueError(f"{file}: is not whole: {error}") from None
    return {int(index): accuracies for index, accuracies in found.items()}


@lru_cache(maxsize=1)
def _pool() -> tuple[Problem, ...]:
    """DSR-sub in its own order, the known broken labels included.

    Raises ValueError when the file cannot be read, or another row has no label.
    """
    import pandas as pd

    file = _training_file("dsr_sub.parquet")
    try:
        table = pd.read_parquet(file, columns=["prompt", "reward_model", "extra_info"])
    except (OSError, ValueError) as error:
        raise ValueError(f"{file}: cannot be read: {str(error).splitlines()[0]}") from None
    rows = zip(table["prompt"], table["reward_model"], table["extra_info"], strict=True)
    pool = tuple(
        Problem(
            id=f"dsr_sub/{extra['index']}",
            question=prompt[0]["content"].removesuffix(SUFFIX),
            answer=reward["ground_truth"] or "",
            source=f"dsr_sub/{extra['index']}",
        )
        for prompt, reward, extra in rows
    )
    bare = [p.id for i, p in enumerate(pool) if not p.answer.strip() and i not in BROKEN_LABELS]
    if bare:
        raise ValueError(f"{file}: {len(bare)} rows have no label: {', '.join(bare[:5])}")
    return pool


def _without_broken(pool: tuple[Problem, ...]) -> list[Problem]:
    rows = ", ".join(f"{index} ({what})" for index, what in BROKEN_LABELS.items())
    logger.warning("dsr_sub: left out rows whose label is broken: %s", rows)
    return [problem for index, problem in enumerate(pool) if index not in BROKEN_LABELS]


def math_train() -> list[Problem]:
    """MATH's training split: 7,500 problems, the paper's largest set (its Tables 4 and 8).

    From ONERL_DATA (`math_train/train.jsonl` with problem, solution, type) or the hub. The gold
    answer is the box in the solution.

    Raises:
        ValueError: rows without a problem or a boxed answer, which are counted.
        FileNotFoundError: the data is neither in ONERL_DATA nor reachable on the hub.
    """
    from onerl.verifier import extract_answer

    found, wrong = [], []
    for index, row in enumerate(_math_rows()):
        answer = extract_answer(row.get("solution") or "")
        if not (row.get("problem") or "").strip() or not answer:
            wrong.append(index)
            continue
        name = f"math_train/{index}"
        found.append(Problem(name, row["problem"], answer, row.get("type", ""), "math_train"))
    if wrong:
        raise ValueError(
            f"math_train: {len(wrong)} rows lack a problem or a boxed answer, the first:"
            f" {', '.join(map(str, wrong[:5]))}"
        )
    return found


def _math_rows() -> list[dict]:
    if folder := data_folder():
        return json_rows(existing(folder / "math_train" / "train.jsonl"))
    from datasets import load_dataset

    rows: list[dict] = []
    try:
        for subject in MATH_SUBJECTS:
            rows += load_dataset(HUB_MATH, subject, split="train")
    except Exception as error:  # datasets raises a dozen kinds for "not reachable"
        raise FileNotFoundError(
            f"math_train: {HUB_MATH} cannot be reached ({type(error).__name__}); set ONERL_DATA to"
            " a folder that holds math_train/train.jsonl"
        ) from None
    return rows


def data_folder() -> Path | None:
    """The folder named by ONERL_DATA, or None.

    Raises:
        FileNotFoundError: the variable names something that is not a folder.
    """
    named = os.environ.get("ONERL_DATA")
    if not named:
        return None
    if not Path(named).is_dir():
        raise FileNotFoundError(f"ONERL_DATA = {named!r}: no such folder")
    return Path(named)


def _training_file(name: str) -> Path:
    """A file of the authors' release, from ONERL_DATA or the hub."""
    if folder := data_folder():
        return existing(folder / "one_shot_rlvr" / name)
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled

    try:
        return Path(hf_hub_download(HUB_TRAINING, name, repo_type="dataset"))
    except (OSError, HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled) as error:
        raise FileNotFoundError(
            f"{name} of the dataset {HUB_TRAINING} cannot be reached ({type(error).__name__}); set"
            f" ONERL_DATA to a folder that holds one_shot_rlvr/{name}"
        ) from None


def existing(path: Path) -> Path:
    """A file of ONERL_DATA, or FileNotFoundError that names it."""
    if not path.is_file():
        raise FileNotFoundError(f"ONERL_DATA lacks the file {path}")
    return path


def benchmark(name: str) -> list[Problem]:
    """A benchmark's problems by name: see `onerl.benchmarks`, where they are read."""
    from onerl import benchmarks

    return benchmarks.benchmark(name)


def json_rows(file: Path) -> list[dict]:
    """The rows of a JSONL file.

    Raises:
        ValueError: a row is not JSON; it is named by its number, counted from 0.
    """
    with file.open(encoding="utf-8") as lines:
        return [_json_row(file, index, line) for index, line in enumerate(lines)]


def _json_row(file: Path, index: int, line: str) -> dict:
    try:
        return json.loads(line)
    except json.JSONDecodeError as error:
        raise ValueError(f"{file}: row {index} is not JSON: {error}") from None
