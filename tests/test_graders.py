"""Three graders on the same answers: who says what, and why they disagree."""

import pandas as pd
import pytest

from onerl import paper
from onerl.evaluation import graders


def records(*pairs):
    """One problem, one answer per (text, gold)."""
    return pd.DataFrame(
        [
            {
                "benchmark": "world",
                "problem": f"p{i}",
                "sample": 0,
                "text": text,
                "gold": gold,
                "finish": "stop",
            }
            for i, (text, gold) in enumerate(pairs)
        ]
    )


def test_the_training_grader_gives_the_verdicts_measured_on_the_papers_code():
    cases = paper.table("grader_truth_table")
    found = graders.graded(records(*zip(cases["response"], cases["label"], strict=True)))
    assert found[graders.TRAINING].astype(int).tolist() == cases["reward"].tolist()


@pytest.mark.parametrize(
    ("text", "gold", "verdicts", "kind"),
    [
        (r"so \boxed{12}", "12", (1, 1, 1), "all agree"),
        ("so it equals 12.", "12", (0, 0, 1), "no closed box"),
        (r"so \boxed{12.80001}", "12.8", (0, 0, 1), "within 0.0001"),
        (r"so \boxed{1280}", "12.8", (0, 0, 1), "a hundred times"),
        (r"so \boxed{0.128}", "12.8", (0, 0, 1), "a hundredth"),
        (r"\boxed{13} or \boxed{12.8}", "12.8", (0, 1, 1), "ours alone"),
        (r"so \boxed{\frac{8}{6}}", r"\frac{4}{3}", (1, 0, 1), "the training refuses"),
    ],
)
def test_each_disagreement_has_its_name(text, gold, verdicts, kind):
    found = graders.graded(records((text, gold)))
    assert tuple(found.loc[0, list(graders.GRADERS)].astype(int)) == verdicts
    assert kind in graders.kinds(found)[0]


def test_units_are_kept_for_minerva_alone():
    rows = records((r"\boxed{5\text{ m}}", "5")).loc[[0, 0]].reset_index(drop=True)
    rows.loc[1, "benchmark"] = "minerva_math"
    seen = []

    def note(response, gold, keep_units=False):
        seen.append(keep_units)
        return True

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(graders, "paper_eval_grader", note)
        graders.graded(rows)
    assert seen == [False, True]


def test_combinations_count_every_answer_once():
    found = graders.graded(records((r"\boxed{1}", "1"), ("1", "1"), ("it is 1", "1")))
    table = graders.agreement(found)
    assert table["answers"].tolist() == [2, 1]
    assert table.loc[0, list(graders.GRADERS)].tolist() == ["wrong", "wrong", "right"]


def test_each_grader_has_its_accuracy_and_its_difference_from_ours():
    found = graders.graded(records((r"\boxed{1}", "1"), ("so 1", "1"), ("so 2", "1")))
    table = graders.accuracies(found, "world")
    assert table["value"].tolist() == pytest.approx([100 / 3, 100 / 3, 200 / 3])
    assert table["minus ours"].tolist() == pytest.approx([0, 0, 100 / 3])
    assert (table["n"] == 3).all()
