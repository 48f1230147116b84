"""The authors' data, from the folder named by ONERL_DATA or from the hub: pool, ranks, MATH."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from onerl.parameters import params_folder, read_yaml
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
BUILT_IN = Path(__file__).with_name("built_in.yaml")
PI1, PI1_SIMPLIFIED = (Problem(**fields) for fields in read_yaml(BUILT_IN))


def ranked(rank: int) -> Problem:
    import pandas as pd  # slow to import, and most runs read no table

    if rank == 1:
        return PI1
    index = ranking()[rank - 1]
    if index in BROKEN_LABELS:
        raise ValueError(f"examples: the label of pi{rank} {BROKEN_LABELS[index]}")
    table = pd.read_csv(params_folder() / "paper" / "pi_examples.csv", index_col="pi")
    category = table["category"].dropna().get(rank, "")
    return replace(pool()[index], id=f"pi{rank}", category=category)


@lru_cache(maxsize=1)
def ranking() -> tuple[int, ...]:
    """Pool indices in the order of π1, π2, …: by the historical variance of their accuracies.

    Equal scores keep the file's order, as in the released selection script.
    """
    history = released_history()
    rank = ranks([historical_variance(accuracies) for accuracies in history.values()])
    return tuple(index for _, index in sorted(zip(rank, history, strict=True)))


def released_history() -> dict[int, list[float]]:
    """Accuracies of each example's visits in the authors' 500 steps on DSR-sub, by pool index."""
    file = _training_file("acc_step_500.json")
    try:
        found = json.loads(file.read_text("utf-8"))
    except ValueError as error:
        raise ValueError(f"{file}: is not whole: {error}") from None
    return {int(index): accuracies for index, accuracies in found.items()}


@lru_cache(maxsize=1)
def pool() -> tuple[Problem, ...]:
    """DSR-sub in its own order with its broken labels; ValueError if another row has none."""
    import pandas as pd

    file = _training_file("dsr_sub.parquet")
    try:
        table = pd.read_parquet(file, columns=["prompt", "reward_model", "extra_info"])
    except (OSError, ValueError) as error:
        raise ValueError(f"{file}: cannot be read: {str(error).splitlines()[0]}") from None
    pool = []
    for prompt, reward, extra in table.itertuples(index=False):
        name, question = f"dsr_sub/{extra['index']}", prompt[0]["content"].removesuffix(SUFFIX)
        pool.append(Problem(name, question, reward["ground_truth"] or "", source=name))
    bare = [p.id for i, p in enumerate(pool) if not p.answer.strip() and i not in BROKEN_LABELS]
    if bare:
        raise ValueError(f"{file}: {len(bare)} rows have no label: {', '.join(bare[:5])}")
    return tuple(pool)


def without_broken(pool: tuple[Problem, ...]) -> list[Problem]:
    rows = ", ".join(f"{index} ({what})" for index, what in BROKEN_LABELS.items())
    logger.warning("dsr_sub: left out rows whose label is broken: %s", rows)
    return [problem for index, problem in enumerate(pool) if index not in BROKEN_LABELS]


def math_train() -> list[Problem]:
    """MATH's training split: 7,500 problems, the paper's largest set (its Tables 4 and 8).

    From ONERL_DATA (`math_train/train.jsonl` with problem, solution, type) or the hub. The gold
    answer is the box in the solution; rows without one, or without a problem, are a ValueError.
    """
    from onerl.verifier import extract_answer

    found, wrong = [], []
    for index, row in enumerate(_math_rows()):
        answer = extract_answer(row.get("solution") or "")
        if not (row.get("problem") or "").strip() or not answer:
            wrong.append(str(index))
            continue
        name = f"math_train/{index}"
        found.append(Problem(name, row["problem"], answer, row.get("type", ""), "math_train"))
    if wrong:
        lack = f"{len(wrong)} rows lack a problem or a boxed answer"
        raise ValueError(f"math_train: {lack}, the first: {', '.join(wrong[:5])}")
    return found


def _math_rows() -> list[dict]:
    if folder := data_folder():
        return json_rows(existing(folder / "math_train" / "train.jsonl"))
    with reaching(f"math_train: {HUB_MATH}", "math_train/train.jsonl"):
        from datasets import load_dataset

        parts = [load_dataset(HUB_MATH, subject, split="train") for subject in MATH_SUBJECTS]
        return [row for part in parts for row in part]


def data_folder() -> Path | None:
    """The folder named by ONERL_DATA, or None; FileNotFoundError if there is no such folder."""
    named = os.environ.get("ONERL_DATA")
    if named and not Path(named).is_dir():
        raise FileNotFoundError(f"ONERL_DATA = {named!r}: no such folder")
    return Path(named) if named else None


@contextmanager
def reaching(what: str, place: str) -> Iterator[None]:
    """Says in one line that the hub does not give `what`, and where ONERL_DATA would have it."""
    try:
        yield
    except Exception as error:  # datasets raises a dozen kinds for "not reachable"
        folder = data_folder()
        lacking = f" and {folder} lacks {place}" if folder else ""
        raise FileNotFoundError(
            f"{what} cannot be reached ({type(error).__name__}){lacking}; set ONERL_DATA to a"
            f" folder that holds {place}"
        ) from None


def _training_file(name: str) -> Path:
    """A file of the authors' release, from ONERL_DATA or the hub."""
    if folder := data_folder():
        return existing(folder / "one_shot_rlvr" / name)
    from huggingface_hub import hf_hub_download

    with reaching(f"{name} of the dataset {HUB_TRAINING}", f"one_shot_rlvr/{name}"):
        return Path(hf_hub_download(HUB_TRAINING, name, repo_type="dataset"))


def existing(path: Path) -> Path:
    """A file of ONERL_DATA, or FileNotFoundError that names it."""
    if not path.is_file():
        raise FileNotFoundError(f"ONERL_DATA lacks the file {path}")
    return path


def json_rows(file: Path) -> list[dict]:
    """The rows of a JSONL file; one that is no JSON is a ValueError, by its number from 0."""
    rows = []
    with file.open(encoding="utf-8") as lines:
        for index, line in enumerate(lines):
            try:
                rows.append(json.loads(line))
            except json.JSONDecodeError as error:
                raise ValueError(f"{file}: row {index} is not JSON: {error}") from None
    return rows


def historical_variance(accuracies: Sequence[float]) -> float:
    """Population standard deviation of one example's accuracies over its visits.

    The order is that of the variance (paper, Eq. 1); the released script takes `np.std`.
    """
    return float(np.std(accuracies))


def ranks(values: Sequence[float]) -> np.ndarray:
    """Rank of each value, the greatest has 1; equal ones keep their order, as in the paper."""
    order = np.argsort(-np.asarray(values, dtype=float), kind="stable")
    return np.argsort(order) + 1
