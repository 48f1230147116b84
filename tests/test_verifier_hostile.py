"""No string hangs the verifier, makes it grow, raises, runs code or touches a file."""
# ruff: noqa: E501

import json
import time
from pathlib import Path

import psutil
import pytest

from onerl.verifier import clear_cache, grade, grade_many, same_answer, self_test, verify
from onerl.verifier.engine import NUMBERS
from onerl.verifier.structure import read_answer

HERE = Path(__file__).parent
CASES = [json.loads(line) for line in (HERE / "verifier_cases_hostile.jsonl").open()]
OBJECTS = {"nan": float("nan"), "true": True, "dict": {}, "list": [r"\boxed{12.8}"]}
SLOW = 1.0  # seconds of CPU time here, and of CPU in the worker besides


def tree(text: str) -> tuple:
    return read_answer(text, group_digits=True).tree


def response_of(case: dict, canary: str):
    text = "".join(piece * count for piece, count in case.get("gen") or []) or case["pred"]
    text = text.replace("CANARY", canary)
    if case["mode"] == "nonstr":
        return OBJECTS[case["pred"]]
    return rf"\boxed{{{text}}}" if case["mode"] == "answer" else text


@pytest.mark.parametrize("category", sorted({case["category"] for case in CASES}))
def test_hostile_cases_are_wrong_quick_and_harmless(category, tmp_path):
    self_test()  # the worker is warm, as it is in a run
    clear_cache()
    failures = []
    for case in CASES:
        if case["category"] != category:
            continue
        response = response_of(case, str(tmp_path / "canary"))
        started = time.process_time()
        verdict = grade(response, case["gold"])
        used = time.process_time() - started
        if verdict.correct != case["expected"] or used > SLOW or verdict.status == "error":
            failures.append((case["id"], verdict, used))
    assert failures == []
    assert list(tmp_path.iterdir()) == []


BOMBS = (
    "9^{9^{9^{9}}}", r"\log_2(2^{2^{40}})", "((((10!)!)!)!)!", r"\binom{10^{18}}{10^{17}}", "2^{-10^{99}}", r"\sqrt[10^9]{2^{10^9}}",
    r"\int_0^1 x^{x^{x^{x}}} \sin(x^x) dx", r"\sum_{k=1}^{10^{9}} k^{k}", r"\prod_{k=1}^{10^{8}} k", r"\det(" + "x^2+" * 60 + "1)",
    "-" * 900 + "1", "(" * 400 + "1" + ")" * 400, "1+" * 450 + "1", "x^" * 300 + "x", "{" * 300 + "}" * 300, r"\frac" * 150, r"\sqrt" * 180,
    "1,2," * 240 + "3", r"\begin{pmatrix}" * 40, r"\text{" * 120 + "}" * 120, "|" * 500, "1=" * 400 + "1", r"\pm 1 " * 100, "<" * 500,
    r"\left(" * 100, "a_" * 300, "'" * 900, "1:" * 400 + "1", r"\cup" * 200, "1/" * 400 + "3", "2^{8000}\\sqrt[7]{2^{8000}}" * 20,
    r"\frac{1}{1+" * 60 + "1" + "}" * 60, "e^{" * 100 + "1" + "}" * 100, r"\sin" * 200 + "x", "!" * 900, "5" + "!" * 400, "%" * 500,
    "x≠1," * 200, r"(0.5, " + r"\sum_{k=1}^{200} " * 3 + "1]", "y=0.1234567+" + r"\prod_{k=1}^{199} " * 4 + "x", "x>1 and " * 120 + "x<2",
    r"\text{" + "one hundred " * 70 + "}", "**" * 400, "1'000" * 190, r"\lim_{x\to 0} " * 60 + "x", r"\begin{vmatrix}" + "1&" * 300 + r"\end{vmatrix}",
    "C(" * 200 + "1", r"{}_{1}C_{1}" * 80, "0.1234567x+" * 80 + "1", "|x-" * 200, "x=1 " * 200, r"f(1)=6 \quad " * 70, r"\text{the }" * 90 + "5",
)  # fmt: skip
BOMB_GOLDS = (
    "12.8",
    "x+1",
    r"\int_0^1 x\,dx",
    "1,2,3",
    r"\begin{pmatrix} 1 \\ 2 \end{pmatrix}",
    "2^{n}",
    r"\sqrt{2}",
)


@pytest.mark.parametrize("gold", BOMB_GOLDS)
def test_bombs_are_refused_within_a_second_of_cpu(gold):
    slow = []
    for bomb in BOMBS:
        for _ in range(2):  # a pause of the collector in a long session is not the bomb's
            clear_cache()
            started = time.process_time()
            correct = same_answer(bomb, gold)
            seconds = time.process_time() - started
            if not correct and seconds <= SLOW:
                break
        else:
            slow.append((bomb[:40], correct, seconds))
    assert slow == []


def test_a_bomb_for_a_gold_costs_no_more():
    """Golds come from data sets, and a bad one must not stop a run either."""
    for bomb in BOMBS:
        started = time.process_time()
        grade(r"\boxed{12.8}", bomb)
        grade(rf"\boxed{{{bomb}}}", bomb)
        assert time.process_time() - started < SLOW, bomb[:40]


def test_a_timeout_leaves_the_next_answers_quick():
    self_test()
    double = r"\sum_{k=1}^{200} \sum_{j=1}^{200} \sin(k j x)"
    slow = tree(double), tree(double + "+x-x")
    easy = tree(r"\int_0^1 x^2 dx"), tree(r"\frac{1}{3}")
    # after each kill, a question for the engine is answered by a worker that is already warm
    for attempt in range(5):
        assert NUMBERS.ask(slow, 0.1)[0] == "timeout"
        started = time.monotonic()
        word, used = NUMBERS.ask(easy, 5.0)
        assert word == "equal", attempt
        assert used < 1.0
        assert (
            time.monotonic() - started < 20
        )  # a busy machine may be slow; a cold start would add up


def test_hostile_strings_do_not_grow_this_process():
    grade_many([(r"\boxed{5}", "5")])
    process = psutil.Process()
    before = process.memory_info().rss
    for bomb in BOMBS:
        for gold in BOMB_GOLDS[:3]:
            verify(rf"\boxed{{{bomb}}}", gold)
    for size in (10**5, 10**6, 10**7):
        verify("x" * size, "5")
        verify(r"\boxed{" + "9" * size + "}", "5")
    assert process.memory_info().rss - before < 200 * 2**20


def test_the_worker_cannot_grow():
    """The address-space limit is the worker's own; a number of a million digits is an error."""
    NUMBERS.ask((tree("x"), tree("y")), 5.0)
    worker = psutil.Process(NUMBERS.pid).children()[0]
    before = worker.memory_info().rss
    bomb = r"\prod_{k=1}^{200} (2^{9000}+k)^{9000}"
    NUMBERS.ask((tree(bomb), tree(bomb + "+1")), 0.5)
    workers = psutil.Process(NUMBERS.pid).children()
    assert all(process.memory_info().rss < before + 200 * 2**20 for process in workers)


def test_a_multiple_of_a_field_s_size_is_not_nothing():
    for prime in (2**61 - 1, 2**89 - 1):
        assert not same_answer(f"{prime + 1}x", "x")
        assert not same_answer(f"{prime}", "0")
        assert not same_answer(f"{prime}x", "0")
