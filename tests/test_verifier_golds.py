"""The gold answers of the real sets: they accept themselves, their equal forms, and nothing near."""
# ruff: noqa: E501

import json
import os
import random
from pathlib import Path

import pytest
from verifier_forms import equal_forms, near_misses

from onerl.verifier import bad_golds, grade, verify

DATA = Path(os.environ.get("ONERL_DATA") or "no data folder is named")
SETS = ("math500", "aime24", "aime25", "amc23", "minerva_math", "olympiadbench")

# A sample of the shapes golds come in, for machines without the data.
SAMPLE = (
    "12.8", r"\frac{4}{3}", r"-\frac{2023}{2024}", "24", "206", r"\$32,\!348", r"11,\! 111,\! 111,\! 100", "4.5e33",
    "x=5", r"15\mbox{ cm}^2", r"1 \pm \sqrt{19}", r"\{1\pm\sqrt{5},-2\}", r"(2,12) \cup (12,102)", r"x \in [-2,7]",
    r"\begin{pmatrix} 1/5 \\ -18/5 \end{pmatrix}", r"\left(\frac{3}{5},\frac{8}{3}\right]", "2516_8", r"\text{(C)}",
    "$f(x)=x,f(x)=-x$", r"$\left\lfloor\log _{2} n\right\rfloor+1$", r"\frac{d x}{d t}=k x-a", "np.arcsin(10/13)",
    r"$(-\infty, 0) \cup\{1\}$.", r"-1./3", "62.5%", r"4:40 a.m.", r"1 / 2004!", r"$2^{-2 / 3}$, $8$", "3 : 5 : 7",
)  # fmt: skip


def _boxed(solution: str) -> str:
    start = solution.rindex("\\boxed{") + 7
    depth, end = 1, start
    while depth:
        depth += (solution[end] == "{") - (solution[end] == "}")
        end += 1
    return solution[start : end - 1]


def golds(name: str) -> list[str]:
    """All gold answers of a set, in order; skips where the data is absent."""
    if not DATA.exists():
        pytest.skip("ONERL_DATA does not name the released data")
    if name == "dsr_sub":
        import pandas

        table = pandas.read_parquet(DATA / "one_shot_rlvr" / "dsr_sub.parquet")
        return [entry["ground_truth"] for entry in table.reward_model]
    rows = map(json.loads, (DATA / "eval" / name / "test.jsonl").open())
    if name == "minerva_math":
        return [_boxed(row["solution"]) for row in rows]
    if name == "olympiadbench":
        return [row["final_answer"][0] for row in rows]
    return [str(row["answer"]) for row in rows]


@pytest.mark.parametrize("gold", SAMPLE)
def test_sample_golds_accept_themselves_and_their_forms(gold):
    assert [
        form for form in equal_forms(gold).items() if not verify(rf"\boxed{{{form[1]}}}", gold)
    ] == []
    assert [
        miss for miss in near_misses(gold).items() if verify(rf"\boxed{{{miss[1]}}}", gold)
    ] == []


@pytest.mark.parametrize("name", SETS)
def test_every_gold_of_the_six_sets_accepts_itself(name):
    assert [gold for gold in golds(name) if not verify(rf"\boxed{{{gold}}}", gold)] == []


def test_the_two_broken_golds_of_dsr_sub_are_reported_by_name_and_no_other():
    found = bad_golds((f"row {i}", gold) for i, gold in enumerate(golds("dsr_sub")))
    assert [(bad.name, bad.reason) for bad in found] == [
        ("row 265", "is empty"), ("row 1187", "has unbalanced braces"),
    ]  # fmt: skip


def test_bad_golds_say_what_is_wrong():
    found = bad_golds([("a", ""), ("b", r"\frac{1"), ("c", "5"), ("d", None), ("e", "$ $")])
    assert [bad.name for bad in found] == ["a", "b", "d", "e"]
    assert "is empty" in str(found[0])
    assert str(found[1]).startswith("b: gold answer")


def test_an_empty_gold_pays_nothing():
    for response in ("", r"\boxed{}", r"\boxed{5}", "no box"):
        assert not grade(response, "").correct


@pytest.mark.parametrize("name", ["dsr_sub", *SETS])
def test_forms_of_real_golds_are_accepted_and_near_misses_refused(name):
    usable = sorted(set(golds(name)) - {"", r"\frac{2 k n}{n+k-1}-2 \frac{k!n!}{(k+n-1)!"})
    wrong = []
    for gold in usable:
        for form in equal_forms(gold).items():
            if not verify(rf"\boxed{{{form[1]}}}", gold):
                wrong.append(("refused", gold, *form))
        for miss in near_misses(gold).items():
            if verify(rf"\boxed{{{miss[1]}}}", gold):
                wrong.append(("accepted", gold, *miss))
    assert wrong == []


def test_other_problems_golds_are_refused():
    every = sorted({gold for name in SETS for gold in golds(name)})
    draw = random.Random(0)
    hits = []
    for _ in range(5000):
        gold, other = draw.sample(every, 2)
        if verify(rf"\boxed{{{other}}}", gold):
            hits.append((gold, other))
    # "21" and "21.0", or f(n)=n and f(z)=z, are the same answer to two problems
    assert len(hits) <= 3, hits
