"""Saturation is found where it is, and the change after it is the runs' own."""

import numpy as np
import pandas as pd
import pytest

from onerl import estimates
from onerl.evaluation.report import Report
from onerl.grids import dynamics
from onerl.grids.grid import Grid, Outcome
from onerl.recipe import Recipe

STEPS = 60


def training(learned: int, seed: int = 0) -> pd.DataFrame:
    """Reward 0 before the step `learned`, 1 from it on."""
    steps = np.arange(1, STEPS + 1)
    return pd.DataFrame({"step": steps, "reward": (steps >= learned) * 1.0, "entropy": 1.0 + seed})


def answers(right: int, n: int = 100) -> Report:
    """`right` of `n` problems solved."""
    rows = {
        "benchmark": "world",
        "problem": [f"p{i}" for i in range(n)],
        "sample": 0,
        "correct": [i < right for i in range(n)],
        "answer": "1",
        "finish": "stop",
        "text": "recheck",
        "tokens": 10,
    }
    return Report(pd.DataFrame(rows))


def grid(**ends: int) -> Grid:
    """A run per seed that saturates at step 30 with 50 % right and ends with the given percent."""
    outcomes = {}
    for seed, end in enumerate(ends.values()):
        reports = {20: answers(10), 40: answers(50), 60: answers(end)}
        metrics = training(21, seed)
        outcomes["pi1", seed] = Outcome(
            Recipe.load("tiny", seed=seed), metrics, pd.DataFrame(), reports, answers(5)
        )
    return Grid(outcomes)


@pytest.mark.parametrize(("learned", "expected"), [(1, 10), (21, 30), (51, 60), (52, None)])
def test_saturation_is_the_first_step_whose_last_ten_rewards_average_095(learned, expected):
    assert dynamics.saturation(training(learned)) == expected


def test_one_lucky_step_is_no_saturation():
    metrics = training(STEPS + 1)
    metrics.loc[30, "reward"] = 1.0
    assert dynamics.saturation(metrics) is None


def test_change_after_saturation_starts_at_the_first_checkpoint_not_before_it():
    rows = dynamics.after_saturation(grid(a=70, b=60), "pi1")
    assert rows[["saturated", "from", "to"]].to_numpy().tolist() == [[30, 40, 60]] * 2
    assert rows["change"].tolist() == pytest.approx([20, 10])
    assert dynamics.change(rows).points == pytest.approx((20, 10))


def ends(values):
    found = estimates.seeds(values)
    return found.value, found.low, found.high


def test_the_change_of_a_single_run_has_its_interval_over_problems():
    rows = dynamics.after_saturation(grid(a=70), "pi1")
    found = dynamics.change(rows)
    assert found.value == pytest.approx(20)
    assert 10 < found.low < 20 < found.high < 30


def test_lengths_are_in_tokens_and_shares_in_percent():
    rows = dynamics.after_saturation(grid(a=70), "pi1", "length")
    assert rows[["then", "end", "change"]].to_numpy().tolist() == [[10, 10, 0]]
    assert dynamics.after_saturation(grid(a=70), "pi1", "reflection")["then"].tolist() == [100]


def test_a_run_that_never_saturates_is_left_out_and_nothing_is_made_of_it():
    learned = grid(a=70, b=60)
    learned.outcomes["pi1", 1].metrics["reward"] = 0.5
    assert dynamics.after_saturation(learned, "pi1").index.tolist() == [0]
    learned.outcomes["pi1", 0].metrics["reward"] = 0.5
    with pytest.raises(ValueError, match="no run saturated"):
        dynamics.change(dynamics.after_saturation(learned, "pi1"))


def test_the_table_has_every_metric_over_the_seeds():
    rows = dynamics.table(grid(a=70, b=60)).set_index("metric")
    assert list(rows.index) == list(dynamics.METRICS)
    found = rows.loc["accuracy"]
    assert found[["arm", "benchmark", "seeds", "saturated at"]].tolist() == ["pi1", "world", 2, 30]
    assert found[["then", "at the end"]].tolist() == pytest.approx([50, 65])
    assert tuple(found[["change", "low", "high"]]) == pytest.approx(ends([20, 10]))


def test_smoothed_metrics_average_steps_then_seeds():
    frames = pd.concat([training(11, seed).assign(seed=seed) for seed in (0, 1)])
    reward = dynamics.smoothed(frames, "reward")
    assert reward["value"][[5, 15, 20]].tolist() == pytest.approx([0, 0.5, 1])
    spiky = frames.assign(reward=np.where(frames["step"] == 25, 1024.0, 1.0))
    assert dynamics.smoothed(spiky, "reward", geometric=True)["value"][30] == pytest.approx(2)
    still = dynamics.smoothed(frames.assign(reward=0.0), "reward", geometric=True)
    assert np.isnan(still.to_numpy(float)).all()
    assert (len(still), set(still.dtypes)) == (STEPS, {np.dtype(float)})
    entropy = dynamics.smoothed(frames, "entropy").loc[30]
    assert tuple(entropy) == pytest.approx(ends([1, 2]))


def test_rollouts_are_counted_by_step(tmp_path):
    careful = " First, 1+1=2. So the answer is \\boxed{2}."
    texts = [careful, careful, " Here is code:\nprint(1+1)\nOutput: 2", " I guess 3"]
    kept = pd.DataFrame({"step": 10, "completion": texts, "correct": [True, True, False, False]})
    (tmp_path / "rollouts").mkdir()
    kept.to_parquet(tmp_path / "rollouts" / "step-000010.parquet")
    row = dynamics.rollouts(tmp_path).loc[10]
    assert row["different"] == 3
    assert [row["right"], row["most frequent"], row["careful"], row["code"]] == [50, 50, 50, 25]
    assert row["text"] == careful
