"""Problems by name: the training examples, and what a problem is.

    examples("pi1")              the paper's example, built in
    examples("pi1+pi13")         any sum of names; "pi1..pi16" is a range of ranks
    examples("random16")         drawn from the pool, always the same; "random16:7" draws others
    examples("dsr_sub")          the pool of 1,209 without its two broken labels; "dsr_sub_all" has
                                 them, and they are never rewarded
    examples("math_train")       the 7,500 training problems of MATH
    examples("world:pi1")        an embedded world's (`onerl.world`), the shipped one or another
    examples({"problem": …, "answer": …})   your own; also a YAML or JSON file of one or a list
    benchmark("math500")         500 problems to be tested on; names: `onerl.problems.benchmarks`

The real data comes from the folder named by ONERL_DATA, laid out as the paper's repository lays it
out (`one_shot_rlvr/*.parquet`, `eval/<set>/test.jsonl`), or else from the hub. The ranks of π1 …
π1209 are computed from the recorded accuracy history, not listed.

The story, one file each. `problem` says what a problem is. `released` reads the authors' data:
pool, ranks, MATH. `benchmarks` reads what is tested on; `clean_arithmetic` makes sums that no
corpus holds. `labels` makes labels wrong on purpose. `prompts` turns a question into the exact
string that a model is shown; a question never carries the training suffix itself.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from onerl.parameters import nearest, read_yaml
from onerl.problems import released
from onerl.problems.benchmarks import benchmark, check_benchmarks
from onerl.problems.problem import Problem
from onerl.problems.released import PI1, PI1_SIMPLIFIED
from onerl.world import EMBEDDED, World

__all__ = ["PI1", "PI1_SIMPLIFIED", "Problem", "benchmark", "check_benchmarks", "examples"]

NAMED = {
    "pi1": lambda: [PI1],
    "pi1_simplified": lambda: [PI1_SIMPLIFIED],
    "dsr_sub": lambda: released.without_broken(released.pool()),
    "dsr_sub_all": lambda: list(released.pool()),
    "math_train": released.math_train,
}
NAMES = (
    "pi1 … pi1209, pi1..pi16, sums such as pi1+pi13, random16, random16:SEED, dsr_sub, dsr_sub_all,"
    " math_train, pi1_simplified, world:…"
)


def examples(name: str | Mapping[str, Any], world: World = EMBEDDED) -> list[Problem]:
    """Training examples by name, from a file, or your own {problem, answer}.

    Args:
        world: whose a name "world:…" is; of a recipe it is `Recipe.world`.

    Raises:
        ValueError: no such name, or a problem or answer that is missing or empty.
        FileNotFoundError: data is needed that is neither in ONERL_DATA nor reachable on the hub.
    """
    if isinstance(name, Mapping):
        return [_own(name, "own")]
    if name.endswith((".yaml", ".yml", ".json")):
        return _from_file(Path(name))
    found = [problem for part in name.split("+") for problem in _named(part.strip(), name, world)]
    doubled = sorted({p.id for p in found if sum(q.id == p.id for q in found) > 1})
    if doubled:
        raise ValueError(f"examples = {name!r}: names {', '.join(doubled)} twice")
    return found


def _named(part: str, whole: str, world: World) -> list[Problem]:
    """The examples of one summand of a name."""
    if part in NAMED:
        return NAMED[part]()
    if part.startswith("world"):
        return [Problem(**asdict(item)) for item in world.examples(part)]
    if match := re.fullmatch(r"random16(?::(\d+))?", part):
        return random.Random(int(match[1] or 16)).sample(NAMED["dsr_sub"](), 16)
    hint = nearest(part, [*NAMED, "random16", "world:pi1"])
    if match := re.fullmatch(r"pi(\d+)(?:\.\.pi(\d+))?", part):
        first, last = int(match[1]), int(match[2] or match[1])
        if 1 <= first <= last <= 1209:
            return [released.ranked(rank) for rank in range(first, last + 1)]
        hint = "; ranks go from 1 to 1209"
    raise ValueError(f"examples = {whole!r}: {part!r} is not a name{hint}; allowed: {NAMES}")


def _own(entry: Any, name: str) -> Problem:
    if not isinstance(entry, Mapping):
        raise ValueError(f"examples: {name} must be a mapping with problem and answer")
    keys = ("problem", "answer", "category")
    for key in entry:
        if key not in keys:
            allowed = f"{nearest(key, keys)}; allowed: {', '.join(keys)}"
            raise ValueError(f"examples: {name} has an unknown key {key!r}{allowed}")
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
