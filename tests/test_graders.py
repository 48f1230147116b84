"""Three graders on the same answers: who says what, and why they disagree."""

import pandas as pd
import pytest

from onerl import paper
from onerl.evaluation import graders, rescore


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


MINERVA = [  # an answer, the gold, and whether a relative 1e-4 takes it
    *[("100.005", "100", True), ("100.02", "100", False), ("99.995", "100", True)],
    *[(r"4.50004\times 10^{33}", "4.5e33", True), (r"4.502\times 10^{33}", "4.5e33", False)],
    *[(r"\frac{1}{3}", "0.33333", True), ("-100.005", "100", False), ("1,000.05", "1000", True)],
    *[("0.99999e-9", "1e-9", True), ("1e-8", "0", False), ("1.00005", "100", False)],
    *[("10000.5", "100", False), ("nan", "nan", False), ("inf", "1e400", False)],
    *[(r"10^{10^{10^{10}}}", "3", False), ("1/0", "3", False), ("x", "1", False), ("", "1", False)],
]


@pytest.mark.parametrize(("answer", "gold", "close"), MINERVA)
def test_the_minerva_grader_takes_numbers_within_its_tolerance_of_minerva_alone(
    answer, gold, close
):
    rows = pd.DataFrame(
        {
            "benchmark": ["minerva_math", "math500"],
            "problem": ["a", "b"],
            "sample": 0,
            "text": f"so \\boxed{{{answer}}}",
            "gold": gold,
            "finish": "stop",
            "tokens": 5,
        }
    )
    ours = rescore(rows).records["correct"]
    named = rescore(rows, "minerva").records["correct"]
    assert named[0] == (close or ours[0])
    assert named[1] == ours[1], "another benchmark keeps our verdicts"


def test_a_grader_of_no_such_name_is_refused():
    rows = pd.DataFrame({"benchmark": ["m"], "problem": ["a"], "text": ["1"], "gold": ["1"]})
    with pytest.raises(ValueError, match=r"grader = 'minervva'.*nearest: 'minerva'"):
        rescore(rows, "minervva")
