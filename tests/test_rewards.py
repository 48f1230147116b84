"""Rewards see the response alone, and record every rollout whatever they pay for."""

from types import SimpleNamespace

import pytest

from onerl.recipe import Recipe
from onerl.training.rewards import coin, reward_function

RESPONSES = [
    r"So the answer is \boxed{12.8}.",
    r"So the answer is \boxed{12.7}.",
    "So the answer is 12.8.",
    r"First \boxed{12.8}, no, \boxed{3",
    "",
]
PROMPT = r"Put the answer within \boxed{}. Then \boxed{12.8}"


def pay(kind, responses=RESPONSES, step=0, seed=0):
    records = {}
    reward = reward_function(Recipe(reward=kind, seed=seed))
    paid = reward(
        prompts=[PROMPT] * len(responses),
        completions=responses,
        completion_ids=[[1]] * len(responses),
        answer=["12.8"] * len(responses),
        trainer_state=SimpleNamespace(global_step=step),
        log_extra=lambda name, values: records.__setitem__(name, values),
        log_metric=lambda name, value: None,
    )
    return paid, records


def test_outcome_pays_for_the_right_boxed_answer_of_the_response_only():
    paid, _ = pay("outcome")
    assert paid == [1.0, 0.0, 0.0, 0.0, 0.0]


def test_format_pays_for_any_extractable_answer_but_not_for_the_prompts_boxes():
    paid, _ = pay("format")
    assert paid[:3] == [1.0, 1.0, 0.0]
    assert paid[4] == 0.0


def test_wrong_pays_for_a_readable_answer_that_is_not_the_label():
    paid, _ = pay("wrong")
    assert paid == [0.0, 1.0, 0.0, 0.0, 0.0]
    assert pay("wrong", [r"\boxed{12.80}", r"\boxed{\frac{}}", r"\boxed{}"])[0] == [0.0] * 3


@pytest.mark.parametrize("kind", ["outcome", "format", "random", "wrong"])
def test_every_rollout_is_recorded_whatever_the_reward(kind):
    _, records = pay(kind)
    assert records["correct"][:2] == [True, False]
    assert records["extracted"][0] == "12.8"
    assert records["extracted"][4] is None
    assert records["status"][0] == "ok"
    assert records["status"][4] == "no-answer"


def test_coins_are_fair_and_depend_on_seed_step_and_sample_only():
    many = [coin(0, step, sample) for step in range(100) for sample in range(100)]
    assert 0.47 < sum(many) / len(many) < 0.53
    responses = [""] * 40
    assert pay("random", responses)[0] == pay("random", ["x"] * 40)[0]
    assert pay("random", responses)[0] != pay("random", responses, step=1)[0]
    assert pay("random", responses)[0] != pay("random", responses, seed=1)[0]
    assert set(pay("random", responses)[0]) == {0.0, 1.0}


def test_reward_is_logged_by_trl_under_its_own_name():
    assert reward_function(Recipe(reward="format")).__name__ == "format"
