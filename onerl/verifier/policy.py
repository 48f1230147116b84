r"""What counts as the same answer, decided once, with the reason for each choice.

Each row of policy.toml is a test (tests/test_verifier_policy.py) and a line of the table in
docs/verifier.md; `python -m onerl.verifier --policy` prints it.
"""

import tomllib
from pathlib import Path
from typing import NamedTuple


class Row(NamedTuple):
    """A rule, a gold answer, answers that it accepts and refuses, and the reason."""

    rule: str
    gold: str
    accepts: list[str]
    refuses: list[str]
    why: str


ROWS = tuple(
    Row(**row)
    for row in tomllib.loads(Path(__file__).with_suffix(".toml").read_text("utf-8"))["row"]
)


def table() -> str:
    """The policy as a Markdown table."""
    lines = ["| rule | gold | accepted | refused | why |", "|--|--|--|--|--|"]
    for row in ROWS:
        gold, accepts, refuses = (
            " ".join("`" + answer.replace("|", r"\|") + "`" for answer in answers)
            for answers in ([row.gold], row.accepts, row.refuses)
        )
        lines.append(f"| {row.rule} | {gold} | {accepts} | {refuses} | {row.why} |")
    return "\n".join(lines)


__doc__ += "\n" + table()
