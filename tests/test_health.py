"""A run says how it is: one verdict with the number that shows it, from its metrics alone."""

import json

import pandas as pd
import pytest

from onerl.grids import recorded
from onerl.runs import Run
from onerl.runs.health import NUMBERS, VERDICTS, health_of

GRIDS = sorted(path.parent.name for path in recorded.folder_of("").glob("*/runs.json"))


def rows(n=20, **changes):
    """Rows of a healthy run, 64 rollouts a step; a change is a value or a function of the step."""
    usual = {
        "reward": lambda step: min(0.1 + 0.03 * step, 0.8),
        "reward_std": 0.4,
        "frac_zero_std": 0.2,
        "policy_loss": -0.1,
        "kl": 0.02,
        "entropy": 0.27,
        "loss": -0.1,
        "grad_norm": 0.2,
        "update_norm": 0.2,
        "weight_norm": 50.0,
        "completion_length": 30.0,
        "truncated": 0.05,
        "status/ok": 44,
        "status/no-answer": 20,
        "status/unparseable": 0,
        "status/timeout": 0,
    }
    made = []
    for step in range(1, n + 1):
        row = {"step": step, "update": step}
        for name, value in {**usual, **changes}.items():
            row[name] = value(step) if callable(value) else value
        made.append(row)
    return made


def later(before, after, start=2):
    """A value that changes at a step."""
    return lambda step: before if step < start else after


def silent(reward):
    return {"reward": reward, "reward_std": 0.0, "frac_zero_std": 1.0}


CASES = {
    "healthy": {},
    "saturated": {"reward": later(0.2, 0.97, 5), "frac_zero_std": later(0.0, 0.9, 5)},
    "saturated, no signal left": {
        "reward": later(0.2, 1.0, 5),
        "frac_zero_std": later(0.0, 1.0, 5),
    },
    "never rewarded": silent(0.0),
    "always rewarded": silent(1.0),
    "no signal": silent(0.5),
    "no signal, lately": {"frac_zero_std": later(0.2, 1.0, 10), "reward": 0.5},
    "weak signal": {"frac_zero_std": lambda step: 0.9 if step % 4 == 0 else 1.0, "reward": 0.02},
    "collapsed: the reward": {"reward": later(0.14, 0.0)},
    "collapsed: the share of truncated": {"truncated": later(0.0, 1.0)},
    "collapsed: the share of answers in": {
        "status/ok": later(44, 0),
        "status/no-answer": later(20, 64),
    },
    "collapsed: the length": {"completion_length": later(30.0, 1.0), "reward": 0.1},
    "collapsed: the entropy in nats rose": {"entropy": later(0.3, 5.0)},
    "collapsed: the entropy in nats fell": {"entropy": later(0.3, 0.001), "reward": 0.1},
    "update too large": {"update_norm": later(0.2, 900.0)},
    "grading errors": {"status/ok": 34, "status/timeout": 10},
    "no update": {"update_norm": 0.0},
}


@pytest.mark.parametrize("case", CASES)
def test_each_way_to_fail_has_its_verdict(case):
    verdict, _, sentence = case.partition(": ")
    found = health_of(rows(**CASES[case]))
    assert found.verdict == verdict.split(",")[0]
    assert sentence in found.sentence
    assert found.verdict in VERDICTS
    assert any(letter.isdigit() for letter in found.sentence)
    assert found.checks["holds"].all() == (found.verdict == "healthy") or found.well


@pytest.mark.parametrize("value", [None, float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("name", NUMBERS)
def test_a_number_that_is_not_finite_decides_whatever_else_is_wrong(name, value):
    found = health_of(rows(**{**silent(0.0), name: later(0.2, value, 20)}))
    assert found.verdict == "non-finite"
    assert f"{name} of step 20" in found.sentence


@pytest.mark.parametrize("steps", [1, 2, 5])
def test_a_run_of_a_few_steps_is_not_called_collapsed_by_chance(steps):
    few = {"status/ok": 6, "status/no-answer": 2}
    assert health_of(rows(steps, reward=later(0.25, 0.0), **few)).verdict != "collapsed"


def test_a_learning_rate_of_1_is_named_after_three_steps():
    """As measured: the embedded model writes 96 tokens without a box from the second step on."""
    gone = {
        "reward": later(0.14, 0.0),
        "frac_zero_std": later(0.25, 1.0),
        "truncated": later(0.0, 1.0),
        "completion_length": later(25.0, 96.0),
    }
    assert health_of(rows(3, **gone)).verdict == "collapsed"
    assert health_of(rows(1, **gone, update_norm=902.0)).verdict == "update too large"


def test_a_shorter_answer_and_a_lower_entropy_are_fine_while_the_reward_rises():
    found = health_of(rows(completion_length=later(30.0, 5.0), entropy=later(0.3, 0.01)))
    assert found.verdict == "healthy"


def test_rewards_of_another_scale_are_not_called_saturated_or_collapsed():
    assert health_of(rows(reward=lambda step: 40.0 + step)).verdict == "healthy"
    assert health_of(rows(reward=later(-1.0, -1.2))).verdict == "healthy"


def test_several_updates_of_a_step_are_one_step():
    twice = [row for row in rows(6, **silent(0.0)) for _ in range(2)]
    found = health_of(twice)
    assert "in the last 6 steps" in found.sentence


@pytest.mark.parametrize(
    "made", [[], [{"step": 1, "reward": 0.1}], [{"step": 1, "loss": 2.0, "grad_norm": 1.0}]]
)
def test_metrics_that_lack_columns_have_a_verdict_too(made):
    found = health_of(pd.DataFrame(made))
    assert found.verdict == ("healthy" if made else "no steps")
    assert list(found.checks) == ["check", "value", "bound", "holds"]


def test_a_run_folder_with_nothing_but_metrics_has_its_health(tmp_path):
    run = Run(tmp_path)
    assert run.health.verdict == "no steps"
    lines = [json.dumps(row) for row in rows(12, **silent(0.0))]
    (tmp_path / "metrics.jsonl").write_text("\n".join([*lines, '{"step": 13, "rew']))
    assert run.health.verdict == "never rewarded"
    assert "12 steps" in run.health.sentence
    assert "never rewarded" in repr(run)
    assert "never rewarded" in run._repr_html_()
    assert "<table" in run.health._repr_html_()


def test_a_folder_with_damaged_metrics_still_has_a_name(tmp_path):
    (tmp_path / "metrics.jsonl").write_text('{"step": 1}\n{\n')
    assert "damaged" in repr(Run(tmp_path))
    with pytest.raises(ValueError, match=r"metrics.jsonl: line 2 of 2 is no row"):
        _ = Run(tmp_path).metrics


EXPECTED = {  # arms that are meant to fail; every other recorded run is well
    "row 1": {"no update"},
    "no training": {"no update"},
    "row 13": {"never rewarded"},
    "unreachable": {"never rewarded"},
    "row 9": {"weak signal", "collapsed"},
    "row 10": {"collapsed"},
    "entropy alone": {"weak signal", "collapsed"},
    "entropy minimisation": {"collapsed"},
    "full set, 90 % wrong": {"weak signal"},
}


@pytest.mark.parametrize("name", GRIDS)
def test_recorded_runs_are_well_but_for_the_arms_that_have_nothing_to_learn_from(name):
    for (arm, seed), run in recorded.load(name).outcomes.items():
        found = health_of(run.metrics)
        assert found.well or found.verdict in EXPECTED.get(arm, ()), f"{arm} {seed}: {found}"
