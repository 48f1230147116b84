"""Each row of the written policy, the page that shows it, and the paper's own reward beside it."""

import csv
from pathlib import Path

import pytest

from onerl.verifier import paper_train_grader, same_answer, verify
from onerl.verifier import policy as policy_module
from onerl.verifier.policy import ROWS, table

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("row", ROWS, ids=[row.rule for row in ROWS])
def test_policy_row_holds(row):
    assert [answer for answer in row.accepts if not same_answer(answer, row.gold)] == []
    assert [answer for answer in row.refuses if same_answer(answer, row.gold)] == []
    assert row.why


def test_policy_is_in_the_docstring_and_on_its_page():
    assert table() in policy_module.__doc__
    assert table() in (ROOT / "docs" / "verifier.md").read_text()


TRUTH = list(csv.DictReader((ROOT / "params" / "paper" / "grader_truth_table.csv").open()))


def test_our_rules_differ_from_the_papers_only_where_intended():
    """The list is short and each entry is a row of the policy."""
    different = {
        (row["label"], row["response"])
        for row in TRUTH
        if verify(row["response"], row["label"]) != (row["reward"] == "1")
    }
    assert different == {
        ("12.8", r"\boxed{\approx 12.8}"),
        ("12.8", r"\boxed{12.8 miles per hour}"),
        ("12.8", r"\boxed{12.8 \text{mph}}"),
        ("12.8", r"\boxed{12.8\,\text{mph}}"),
        ("12.8", r"\boxed{12.8 \, \text{miles per hour}}"),
        ("12.8", r"\fbox{12.8}"),
        ("12.8", r"\boxed 12.8"),
        ("12.8", r"\boxed{13} or \boxed{12.8}"),
        (r"\frac{4}{3}", r"\boxed{\frac{8}{6}}"),
    }


def test_the_papers_reward_has_no_such_rules():
    assert len(TRUTH) == 46
    assert not paper_train_grader(r"\boxed{\approx 12.8}", "12.8")
