"""The authors' data, from the folder named by ONERL_DATA or from the hub: pool, ranks, MATH."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd

from onerl.parameters import params_folder
from onerl.problems.problem import Problem
from onerl.problems.prompts import SUFFIX

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


def ranked(rank: int) -> Problem:
    if rank == 1:
        return PI1
    index = ranking()[rank - 1]
    if index in BROKEN_LABELS:
        raise ValueError(f"examples: the label of pi{rank} {BROKEN_LABELS[index]}")
    given = (
        pd.read_csv(params_folder() / "paper" / "pi_examples.csv")
        .set_index("pi")["category"]
        .dropna()
    )
    return replace(pool()[index], id=f"pi{rank}", category=given.get(rank, ""))


@lru_cache(maxsize=1)
def ranking() -> tuple[int, ...]:
    """Pool indices in the order of π1, π2, …: by the historical variance of their accuracies.

    Equal scores keep the file's order, as in the released selection script.
    """
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
def pool() -> tuple[Problem, ...]:
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


def without_broken(pool: tuple[Problem, ...]) -> list[Problem]:
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


def historical_variance(accuracies: Sequence[float]) -> float:
    """Population standard deviation of one example's accuracies over its visits.

    The order is that of the variance (paper, Eq. 1); the released script takes `np.std`.
    """
    return float(np.std(np.asarray(accuracies, dtype=float)))


def ranks(values: Sequence[float]) -> np.ndarray:
    """Rank of each value, the greatest has 1; equal ones keep their order, as in the paper."""
    order = np.argsort(-np.asarray(values, dtype=float), kind="stable")
    found = np.empty(len(order), dtype=int)
    found[order] = np.arange(1, len(order) + 1)
    return found
