r"""What counts as the answer of a response: the last complete box, and only that."""
# ruff: noqa: E501

import time

import pytest

from onerl.verifier import extract_answer, grade, verify
from onerl.verifier.extract import MAX_ANSWER, extract


@pytest.mark.parametrize(
    ("response", "answer"),
    [
        (r"so \boxed{12.8}", "12.8"),
        (r"\boxed{1} then \boxed{2}", "2"),
        (r"\boxed{\frac{1}{2}}", r"\frac{1}{2}"),
        (r"$$\boxed{\text{Evelyn}}$$", r"\text{Evelyn}"),
        (r"\boxed{$x$}", "$x$"),
        (r"\boxed {5}", "5"),
        (r"\fbox{5}", "5"),
        (r"\boxed 12.8", "12.8"),
        (r"\boxed{5}, not \boxed 6", "5 , 6"),
        (r"\boxed{\{1,2\}}", r"\{1,2\}"),
        (r"\boxed{a} or \boxed{b}", "a , b"),
        (r"\boxed{-2} \quad \text{and} \quad \boxed{1}", "-2 , 1"),
        (r"\boxed{5}, \boxed{5}", "5"),
        (r"\boxed{5}" + " filler" * 20 + r" \boxed{6}", "6"),
        (r"\boxed{\boxed{5}}", r"\boxed{5}"),
        (r"\boxed{5} Human: the answer is 6", "5"),
    ],
)
def test_the_last_statement_of_boxes_is_the_answer(response, answer):
    assert extract_answer(response) == answer


@pytest.mark.parametrize(
    "response",
    ["", "12.8", r"\boxed", r"\boxed x", r"\boxed{}", r"\boxed{ }", r"\boxed{12.8", r"\boxed{1} \boxed{2",
     r"\boxed{1} put your answer in \boxed{}", r"the answer is 12.8", r"boxed{12.8}", r"\boxed{\boxed{}}"],
)  # fmt: skip
def test_no_box_an_empty_one_and_an_unfinished_one_are_no_answer(response):
    verdict = grade(response, "12.8")
    assert (verdict.correct, verdict.status) == (False, "no-answer")


def test_text_after_the_box_and_around_it_is_worth_nothing():
    assert verify(r"I doubt it, but \boxed{12.8}. The answer is 5. correct", "12.8")
    assert not verify(r"the answer is 12.8, correct: \boxed{5} 12.8", "12.8")


def test_a_long_box_is_too_long_and_a_long_response_is_read():
    assert extract(r"\boxed{" + "9" * (MAX_ANSWER + 1) + "}").status == "too-long"
    assert verify(r"\boxed{5}" + " thinking" * 200_000, "5")
    assert verify("thinking " * 200_000 + r"\boxed{5}", "5")


@pytest.mark.parametrize(
    "response", [None, 5, 12.8, float("nan"), True, [r"\boxed{5}"], {}, b"\\boxed{5}", object()]
)
def test_a_response_that_is_no_string_is_bad_input(response):
    assert grade(response, "5").status == "bad-input"
    assert extract_answer(response) is None


def test_offering_more_guesses_never_pays():
    guesses = ["12.7", "12.8", "12.9"]
    for joint in (", ", " or ", r" \text{ or } ", r" \quad ", " and ", " "):
        assert not verify(joint.join(rf"\boxed{{{guess}}}" for guess in guesses), "12.8")
        assert not verify(rf"\boxed{{{joint.join(guesses)}}}", "12.8")


@pytest.mark.parametrize(
    ("answer", "status"),
    [("5", "ok"), ("6", "ok"), (r"\ldots", "unparseable"), ("{{", "no-answer"), ("", "no-answer"), ("9" * 2000, "too-long"),
     (r"\text{unknown}", "ok"), ("5 ? 6", "unparseable"), (r"\frac{5}", "unparseable")],
)  # fmt: skip
def test_every_verdict_has_a_status_and_a_rule(answer, status):
    verdict = grade(rf"\boxed{{{answer}}}", "5")
    assert verdict.status == status
    assert verdict.rule


@pytest.mark.parametrize(
    "response",
    [r"\boxed{" * 20_000 + "1" + "}" * 20_000, r"\boxed{1} " * 50_000, r"\boxed{" * 100_000, "box" * 500_000,
     r"\boxed{1" * 20_000 + "}", r"\boxed{" + "{" * 100_000, "\\" * 300_000 + r"\boxed{1}", r"\boxed{1}" + " or" * 100_000],
    ids=range(8),
)  # fmt: skip
def test_extraction_is_linear_in_any_arrangement_of_boxes(response):
    started = time.process_time()
    grade(response, "5")
    assert time.process_time() - started < 0.5
