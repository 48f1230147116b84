"""Every labelled pair: equal forms are accepted, near misses and hacks refused."""

import json
from pathlib import Path

import pytest
from verifier_cases import DIFFERENT, EQUAL

from onerl.verifier import grade, same_answer, verify

HERE = Path(__file__).parent


def labelled(name: str) -> list[dict]:
    return [json.loads(line) for line in (HERE / name).read_text().splitlines()]


ADVERSARIAL = labelled("verifier_cases_adversarial.jsonl")


@pytest.mark.parametrize("kind", EQUAL)
def test_equal_answers_are_accepted(kind):
    pairs = [pair for pair in EQUAL[kind] if not pair[1].endswith("\\")]  # would escape the brace
    assert [pair for pair in pairs if not verify(rf"So \boxed{{{pair[1]}}}.", pair[0])] == []


@pytest.mark.parametrize("kind", DIFFERENT)
def test_different_answers_are_refused(kind):
    assert [pair for pair in DIFFERENT[kind] if verify(rf"So \boxed{{{pair[1]}}}.", pair[0])] == []


@pytest.mark.parametrize("kind", EQUAL)
def test_equal_answers_are_accepted_bare(kind):
    pairs = [pair for pair in EQUAL[kind] if "\\boxed" not in "".join(pair)]
    assert [(gold, answer) for gold, answer in pairs if not same_answer(answer, gold)] == []


@pytest.mark.parametrize("category", sorted({case["category"] for case in ADVERSARIAL}))
def test_adversarial_cases_are_as_labelled(category):
    wrong = []
    for case in ADVERSARIAL:
        if case["category"] == category:
            bare = case["mode"] == "answer"
            response = rf"\boxed{{{case['pred']}}}" if bare else case["pred"]
            verdict = grade(response, case["gold"])
            if verdict.correct != case["expected"]:
                wrong.append((case["id"], case["gold"], case["pred"], verdict))
    assert wrong == []
