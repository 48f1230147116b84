r"""Problems to be tested on, by name; `onerl.problems.benchmark` is the same function.

    benchmark("math500")            also aime24, aime25, amc23, minerva_math: the paper's six sets,
    benchmark("olympiadbench")      graded by the first entry of an answer list, as in the paper
    benchmark("olympiadbench:all")  graded by all entries of the list
    benchmark("arc_easy")           and arc_challenge: science questions, answered by a letter
    benchmark("clean-arithmetic")   generated here, so in no corpus; "clean-arithmetic:7" is seed 7
    benchmark("world")              an embedded world's held-out problems: 1,000 of the shipped one
    benchmark("world-sampled")      the same, sampled instead of greedy
    benchmark("world-unseen")       500 problems of four templates that no training has seen
    benchmark("world-selection")    200 of its pool, to choose a checkpoint on
    benchmark("dsr-selection")      200 of DSR-sub, the same for real models

The files come from the folder named by ONERL_DATA (`eval/<set>/test.jsonl`) or, where the hub has
as many rows, from there. A reader in `READERS` is all that another one needs. Rows that lack a
field, have no answer or repeat another's id are counted and named, never dropped; a file of the
paper's six sets must be the released one, for a part of it is another test. Not covered: the
hub's copies of OlympiadBench: math-ai/olympiadbench has 674 of the 675 rows.

A selection set is none of the test sets, and disjoint from them in content: the world's splits
share no operands, and rows of DSR-sub that a test set has too are left out. It is drawn from the
pool that training examples come from; `evaluate` takes out those that a run was trained on.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import Any

from onerl.parameters import nearest
from onerl.problems import clean_arithmetic, released
from onerl.problems.problem import Problem
from onerl.world import EMBEDDED, Item, World

PAPER_SETS = ("math500", "aime24", "amc23", "minerva_math", "olympiadbench", "aime25")
"""The six whose plain mean is the paper's average, in the order of its Table 8."""

SELECTION_SETS = ("world-selection", "dsr-selection")
SELECTION_SIZE = 200  # of DSR-sub

HUB = {
    "math500": ("HuggingFaceH4/MATH-500", None, "test"),
    "arc_easy": ("allenai/ai2_arc", "ARC-Easy", "test"),
    "arc_challenge": ("allenai/ai2_arc", "ARC-Challenge", "test"),
    "aime24": ("HuggingFaceH4/aime_2024", None, "train"),  # columns as its card has them
    # columns and split are unverified: as other projects read them
    "aime25": ("math-ai/aime25", None, "test"),
    "amc23": ("math-ai/amc23", None, "test"),
    "minerva_math": ("math-ai/minervamath", None, "test"),
}
"""Data set, configuration and split by benchmark."""

UNCOMPARED = ("aime24", "aime25", "amc23", "minerva_math")
"""Whose rows on the hub were not compared with the released file: they must at least be as many."""

RELEASED = {
    "math500": (500, "35dc41080a3680858b27fa7e0533d2d547825316fc5dafe5d316f4ccc5a06132"),
    "aime24": (30, "af2b8bd2aa911b6333ad0df32f3ca05c7ae8ed10f1731f4372c8ae26990bf7ac"),
    "aime25": (30, "4613b7d3b5346f007625969f4380d932d6a2618fdcc9b89e5d39c7fbddc074b8"),
    "amc23": (40, "43707e1ca784602d8479de24ee8ce36609dbebc46dd152b0b12a46611aa898a4"),
    "minerva_math": (272, "0e656b430d3a0a1dab6aa853f453ba3805e28e2cabe4fc72486a897cc09d8ba2"),
    "olympiadbench": (675, "bb8c1e38a16ea9eacb77530315a674d883f267fbff79183effc53681b4fcc416"),
}
"""Rows and sha256 of `test.jsonl` in the paper's repository, by benchmark."""

OWN_IDS = ("id", "unique_id", "idx")
LETTERS = "ABCDEFGH"
ARC_QUESTION = (
    "{question}\n{choices}\nAnswer with the letter of the right choice, and put it within"
    " \\boxed{}."
)
"""How we ask an ARC question. The paper evaluates ARC (its Table 1) and does not say how."""

Fields = dict[str, Any]  # question, answer and, where a file has them, category and level


def _plain(row: Mapping) -> Fields:
    """The hub's copies of AMC and Minerva have no field `problem`."""
    question = row["problem"] if "problem" in row else row["question"]
    return {"question": question, "answer": row["answer"]}


def _math500(row: Mapping) -> Fields:
    named = {"question": row["problem"], "answer": row["answer"], "category": row["subject"]}
    return {**named, "level": int(row["level"])}


def _amc(row: Mapping) -> Fields:
    """AMC's answers are floats: 27.0 means 27."""
    number = float(row["answer"])
    answer = int(number) if number.is_integer() else row["answer"]
    return {**_plain(row), "answer": str(answer)}


def _minerva(row: Mapping) -> Fields:
    """Minerva's gold answer is the box in the solution; the hub's copy has it as a field."""
    from onerl.verifier import extract_answer

    if "solution" not in row:
        return _plain(row)
    answer = extract_answer(row["solution"]) or ""
    return {"question": row["problem"], "answer": answer, "category": row["type"]}


def _olympiad(row: Mapping) -> Fields:
    """The paper grades the first entry of the answer list.

    In the released file every list has one entry, which names all answers of the 94 rows with
    several; our verifier then wants all of them.
    """
    return _olympiad_all({**row, "final_answer": row["final_answer"][:1]})


def _olympiad_all(row: Mapping) -> Fields:
    """Answers are LaTeX texts with dollar signs, which say nothing."""
    if not row["final_answer"]:
        raise ValueError("final_answer is empty")
    answer = ", ".join(re.sub(r"(?<!\\)\$", "", entry) for entry in row["final_answer"])
    return {"question": row["question"], "answer": answer, "category": row["subfield"]}


def _arc(row: Mapping) -> Fields:
    """Choices are labelled A, B, C, … or 1, 2, 3, …: always asked, and graded, as letters."""
    labels, texts = row["choices"]["label"], row["choices"]["text"]
    options = tuple(zip(LETTERS, texts, strict=False))
    choices = "\n".join(f"({letter}) {text}" for letter, text in options)
    question = ARC_QUESTION.replace("{choices}", choices).replace("{question}", row["question"])
    answer = LETTERS[labels.index(row["answerKey"])]
    return {"question": question, "answer": answer, "options": options}


READERS: dict[str, Callable[[Mapping], Fields]] = {
    "math500": _math500,
    "aime24": _plain,
    "aime25": _plain,
    "amc23": _amc,
    "minerva_math": _minerva,
    "olympiadbench": _olympiad,
    "olympiadbench:all": _olympiad_all,
    "arc_easy": _arc,
    "arc_challenge": _arc,
}
WORLD_SETS: dict[str, Callable[[World], list[Item]]] = {
    "world": World.heldout,
    "world-sampled": World.heldout,  # the same problems, by another protocol
    "world-unseen": World.unseen_problems,
    "world-selection": World.selection,
}
NAMES = tuple(dict.fromkeys((*WORLD_SETS, *READERS, "clean-arithmetic", *SELECTION_SETS)))


def benchmark(name: str, world: World = EMBEDDED) -> list[Problem]:
    """A benchmark's problems, in the order of its file.

    Args:
        world: whose the benchmarks "world…" are; of a model it is `onerl.world.world_of`.

    Raises:
        ValueError: no such benchmark; rows that lack a field, a question or an answer, or whose
            id is another row's, which are counted and named; or a file that is not the released.
        FileNotFoundError: its file is neither in ONERL_DATA nor on the hub.
    """
    if name in WORLD_SETS:
        return [Problem(**asdict(item)) for item in WORLD_SETS[name](world)]
    if match := re.fullmatch(r"clean-arithmetic(?::(\d+))?", name):
        return clean_arithmetic.generate(int(match[1] or 0))
    if name == "dsr-selection":
        return list(_dsr_selection())
    if name not in READERS:
        allowed = f"{', '.join(NAMES)}, clean-arithmetic:SEED"
        raise ValueError(f"benchmark {name!r} is unknown{nearest(name, NAMES)}; allowed: {allowed}")
    base = name.partition(":")[0]
    file, rows = _rows(base)
    found, wrong = [], _doubled(rows)
    for index, row in enumerate(rows):
        try:
            found.append(Problem(f"{name}/{index}", **READERS[name](row), source=name))
            for field in ("question", "answer"):
                if not getattr(found[-1], field).strip():
                    raise ValueError(f"no {field}")
        except KeyError as error:
            wrong.append(f"row {index} (no field {error})")
        except (TypeError, ValueError, IndexError, AttributeError) as error:
            wrong.append(f"row {index} ({type(error).__name__}: {error})")
    if wrong:
        raise ValueError(f"benchmark {name}: {len(wrong)} bad rows: {', '.join(wrong[:5])}")
    if file is not None:
        _check_released(base, file, len(rows))
    return found


def check_benchmarks(names: Iterable[str], world: World = EMBEDDED) -> None:
    """Refuse, before any work, benchmarks that cannot be had: as `benchmark`, a line for each."""
    missing = []
    for name in names:
        try:
            benchmark(name, world)
        except FileNotFoundError as error:
            missing.append(str(error))
    if missing:
        raise FileNotFoundError("\n".join(missing))


def _doubled(rows: list[Mapping]) -> list[str]:
    """Rows whose own id another row has already."""
    first, wrong = {}, []
    for index, row in enumerate(rows):
        fields = row if isinstance(row, Mapping) else {}  # what is no object is named later
        key = next((fields[field] for field in OWN_IDS if field in fields), None)
        if key is not None and first.setdefault(key, index) != index:
            wrong.append(f"row {index} (the id {key!r} of row {first[key]})")
    return wrong


def _check_released(name: str, file: Path, rows: int) -> None:
    """Refuses a file of one of the paper's sets that was cut or changed."""
    most, expected = RELEASED.get(name, (rows, None))
    if expected and hashlib.sha256(file.read_bytes()).hexdigest() != expected:
        what = f"{rows} rows" if rows != most else "other content"
        raise ValueError(
            f"benchmark {name}: {file} has {what}, the released file has {most} rows with the"
            f" sha256 {expected[:12]}…; get that file again"
        )


def _rows(name: str) -> tuple[Path | None, list[Mapping]]:
    """A benchmark's file in ONERL_DATA, None where its rows come from the hub, and the rows."""
    folder, place = released.data_folder(), f"eval/{name}/test.jsonl"
    if folder and (name not in HUB or (folder / place).is_file()):
        file = released.existing(folder / place)
        return file, released.json_rows(file)
    wanted = f"set ONERL_DATA to a folder that holds {place}"
    if name not in HUB:
        raise FileNotFoundError(f"benchmark {name}: no hub data set is known for it; {wanted}")
    dataset, configuration, split = HUB[name]
    with released.reaching(f"benchmark {name}: {dataset}", place):
        from datasets import load_dataset

        rows = list(load_dataset(dataset, configuration, split=split))
    if name in UNCOMPARED and len(rows) != RELEASED[name][0]:
        raise ValueError(
            f"benchmark {name}: {dataset} has {len(rows)} rows, the released file"
            f" {RELEASED[name][0]}; {wanted}"
        )
    return None, rows


TEST_TWINS = frozenset(f"dsr_sub/{index}" for index in (655, 708, 723, 1170))
"""Rows of DSR-sub that share more than 30 % of a test problem's ten-word sequences."""


@lru_cache(maxsize=1)
def _dsr_selection() -> tuple[Problem, ...]:
    """Evenly spaced rows of DSR-sub without broken labels, repetitions and test problems."""
    pool = released.without_broken(released.pool())
    usable = list({p.question: p for p in pool if p.id not in TEST_TWINS}.values())
    return tuple(usable[i * len(usable) // SELECTION_SIZE] for i in range(SELECTION_SIZE))
