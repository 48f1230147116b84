"""The paper's two graders, restated: right where its notes say what they do, and harmless."""

import csv
import os
import random
from pathlib import Path

import pandas as pd
import pytest

from onerl import rescore
from onerl.problems import benchmark
from onerl.problems.benchmarks import PAPER_SETS
from onerl.verifier import paper_eval_grader, paper_train_grader, verify
from onerl.verifier.paper.evaluation import extract

needs_data = pytest.mark.skipif(
    not os.environ.get("ONERL_DATA"), reason="ONERL_DATA does not name the released data"
)
TABLE = Path(__file__).parents[1] / "params" / "paper" / "grader_truth_table.csv"
TRUTH = list(csv.DictReader(TABLE.open()))


@pytest.mark.parametrize("row", TRUTH, ids=lambda row: f"{row['label']}|{row['response']}")
def test_training_grader_gives_the_recorded_reward(row):
    assert paper_train_grader(row["response"], row["label"]) is (row["reward"] == "1")


@pytest.mark.parametrize(
    ("answer", "gold", "same"),
    [
        ("(1, 2)", "(1,2)", True),
        ("(0.5, 2)", r"(\frac{1}{2}, 2)", True),
        ("[1, 2]", "(1, 2)", False),
        ("(2, 1)", "(1, 2)", False),
        ("(1, 2, 3)", "(1, 2)", False),
        (r"2\sqrt{2}", r"\sqrt{8}", True),
        (r"2\sqrt{3}", r"\sqrt{8}", False),
        ("x+x", "2x", True),
        ("2", r"\sqrt{4}", True),
        ("1.4142135", r"\sqrt{2}", False),
    ],
)
def test_training_grader_compares_tuples_by_part_and_expressions_by_value(answer, gold, same):
    assert paper_train_grader(rf"so \boxed{{{answer}}}", gold) is same


@pytest.mark.parametrize(
    ("response", "answer"),
    [
        ("The final answer is $7$. I hope it is correct. \\boxed{8}", "7"),
        (r"\boxed{1} and then \boxed{\frac{2}{3}}", r"\frac{2}{3}"),
        (r"cut off at \boxed{12", "12"),
        ("The answer is 5", "5"),
        ("my final answer is 6", "6"),
        ("所以 答案是 9", "9"),
        ("first 3 apples, then 1,204 pears", "1204"),
        ("it is -.5 or so", "-.5"),
        ("no idea", ""),
    ],
)
def test_evaluation_grader_extracts_by_the_first_rule_that_applies(response, answer):
    assert extract(response) == answer


@pytest.mark.parametrize(
    ("answer", "gold", "same"),
    [
        ("12.8", "12.8", True),
        ("12.801", "12.8", True),  # within 1e-4
        ("12.8013", "12.8", False),
        ("0.128", "12.8", True),  # a hundredth
        ("1280", "12.8", True),  # a hundred times
        ("128", "12.8", False),
        ("50\\%", "0.5", True),
        ("1,008,016", "1008016", True),
        ("12.8 miles per hour", "12.8", True),
        (r"12.8\text{ mph}", "12.8", True),
        ("90^\\circ", "90", True),
        ("x=5", "5", True),
        ("5", "x=5", True),
        (r"\frac{8}{6}", r"\frac{4}{3}", True),
        ("1.33333", r"\frac{4}{3}", True),
        (r"2\sqrt{2}", r"\sqrt{8}", True),
        ("1.4142", r"\sqrt{2}", True),
        ("(1,2)", "(1, 2.00001)", True),
        ("(1,2)", "(2,1)", False),
        ("[1,2]", "(1,2)", True),  # its comparison by parts never looks at the brackets
        ("b+2a=4", "2a+b=4", True),
        ("-b-2a=-4", "2a+b=4", True),  # up to the sign
        ("y=2x+3", "y=2x+4", False),
        ("(x+1)^2", "x^2+2x+1", True),
        (r"\begin{bmatrix}1\\2\end{bmatrix}", r"\begin{pmatrix}1\\2\end{pmatrix}", True),
        (r"\begin{bmatrix}1\\3\end{bmatrix}", r"\begin{pmatrix}1\\2\end{pmatrix}", False),
        (r"\text{Evelyn}", "evelyn", True),
        ("", "5", False),
    ],
)
def test_evaluation_grader_compares_as_its_notes_say(answer, gold, same):
    assert paper_eval_grader(rf"so \boxed{{{answer}}}", gold) is same


def test_evaluation_grader_reads_the_last_number_where_ours_wants_a_box():
    assert paper_eval_grader("It is 12.8 mph, so 12.8", "12.8")
    assert not verify("It is 12.8 mph, so 12.8", "12.8")
    assert not paper_train_grader("It is 12.8 mph, so 12.8", "12.8")


def test_units_are_kept_on_request_as_for_minerva():
    assert paper_eval_grader(r"\boxed{5 cm}", "5")
    assert not paper_eval_grader(r"\boxed{5 cm}", "5", keep_units=True)


@pytest.mark.parametrize("grader", [paper_train_grader, paper_eval_grader])
def test_no_string_raises(grader):
    noise = random.Random(0)
    letters = r"\{}()[]$%=,.^_ 0123456789abxyz" + "\n"
    texts = ["".join(noise.choices(letters, k=noise.randint(0, 40))) for _ in range(1500)]
    for text in texts:
        assert grader(text, "12.8") in (True, False)
        assert grader(rf"\boxed{{{text}}}", text) in (True, False)


@pytest.mark.parametrize("grader", [paper_train_grader, paper_eval_grader])
def test_both_can_rescore_records(grader):
    records = pd.DataFrame(
        {
            "benchmark": "toy",
            "problem": ["a", "b", "c"],
            "category": "",
            "gold": "12.8",
            "sample": 0,
            "text": [r"\boxed{12.8}", r"\boxed{12.801}", "12.8"],
            "tokens": 1,
            "finish": "stop",
        }
    )
    right = {paper_train_grader: [True, False, False], paper_eval_grader: [True, True, True]}
    assert rescore(records, grader).records["correct"].tolist() == right[grader]


@needs_data
def test_every_gold_of_the_six_sets_accepts_itself_under_both():
    problems = [p for name in PAPER_SETS for p in benchmark(name)]
    assert len(problems) == 1547
    for grader in (paper_train_grader, paper_eval_grader):
        assert [p.id for p in problems if not grader(rf"\boxed{{{p.answer}}}", p.answer)] == []
