"""Evaluation: what is sampled, graded, counted, kept and taken up again."""

import json

import numpy as np
import pandas as pd
import pytest

from onerl import evaluation
from onerl.evaluation import evaluate, paired_difference, problems_of, rescore
from onerl.problems import Problem
from onerl.report import METRICS, Report
from onerl.verifier import verify
from onerl.world import PI1_LABELS

SETTINGS = {"prompt": "world", "max_completion_length": 12, "progress": False}


def problem(index: int, answer: str = "4", category: str = "Algebra") -> Problem:
    return Problem(f"toy/{index}", f"What is {index} plus 1?", answer, category, "toy")


@pytest.fixture
def toy(monkeypatch):
    """A benchmark of 20 problems, sampled in batches of 8 rollouts."""
    problems = [problem(i, str(i + 1), "Algebra" if i < 12 else "Geometry") for i in range(20)]
    monkeypatch.setattr(evaluation, "benchmark", lambda name: list(problems))
    monkeypatch.setattr(evaluation, "BATCH", 8)
    return problems


def answered(texts: list[str], gold: str = "4", finish: str = "stop", samples: int = 1) -> Report:
    """A report over given answers, `samples` of them to each problem."""
    rows = pd.DataFrame(
        {
            "benchmark": "toy",
            "problem": [f"toy/{i // samples}" for i in range(len(texts))],
            "category": "Algebra",
            "gold": gold,
            "sample": [i % samples for i in range(len(texts))],
            "text": texts,
            "tokens": [len(text) for text in texts],
            "finish": finish,
        }
    )
    return rescore(rows)


def value(report: Report, metric: str) -> float:
    table = report.table.set_index("metric")
    return float(table.loc[metric, "value"])


def test_every_problem_gets_every_sample_and_its_own_stream(toy, tiny_model_dir):
    records = evaluate(tiny_model_dir, ["toy"], samples=3, temperature=1.0, **SETTINGS).records
    pairs = list(zip(records["problem"], records["sample"], strict=True))
    assert sorted(pairs) == sorted((p.id, k) for p in toy for k in range(3))
    assert records["seed"].nunique() == 60
    assert records["prompt_sha256"].nunique() == 20
    assert (records["tokens"] <= 12).all()
    assert set(records["finish"]) <= {"stop", "length"}


def test_same_seed_same_answers_other_seed_others(toy, tiny_model_dir):
    first, again, other = (
        evaluate(tiny_model_dir, ["toy"], temperature=1.0, seed=seed, **SETTINGS).records
        for seed in (0, 0, 1)
    )
    pd.testing.assert_frame_equal(first, again)
    assert (first["text"] != other["text"]).mean() > 0.9


def test_a_sample_does_not_depend_on_how_many_are_asked_for(toy, tiny_model_dir):
    few, many = (
        evaluate(tiny_model_dir, ["toy"], samples=k, temperature=1.0, limit=limit, **SETTINGS)
        for k, limit in ((2, 5), (4, None))
    )
    merged = few.records.merge(many.records, on=["problem", "sample"])
    assert len(merged) == 10
    assert (merged["text_x"] == merged["text_y"]).all()


@pytest.mark.parametrize("batches_before_the_kill", [0, 1, 3])
def test_a_killed_evaluation_goes_on_to_the_same_records(
    toy, tiny_model_dir, tmp_path, monkeypatch, batches_before_the_kill
):
    arguments = dict(samples=2, temperature=1.0, **SETTINGS)
    whole = evaluate(tiny_model_dir, ["toy"], **arguments).records
    sampled = []
    sample = evaluation._Answers.sample

    def dying(self, name, problems, protocol):
        if len(sampled) == batches_before_the_kill:
            raise KeyboardInterrupt
        sampled.extend([problems])
        return sample(self, name, problems, protocol)

    monkeypatch.setattr(evaluation._Answers, "sample", dying)
    with pytest.raises(KeyboardInterrupt):
        evaluate(tiny_model_dir, ["toy"], out=tmp_path, **arguments)
    before = list(sampled)

    def counting(self, name, problems, protocol):
        sampled.extend([problems])
        return sample(self, name, problems, protocol)

    monkeypatch.setattr(evaluation._Answers, "sample", counting)
    resumed = evaluate(tiny_model_dir, ["toy"], out=tmp_path, **arguments).records
    asked = [p.id for batch in sampled for p in batch]
    assert len(before) == batches_before_the_kill
    assert sorted(asked) == sorted(p.id for p in toy), "a problem was skipped or sampled twice"
    columns = ["problem", "sample", "text", "tokens", "finish", "correct"]
    pd.testing.assert_frame_equal(resumed[columns], whole[columns], check_dtype=False)


def test_a_finished_evaluation_does_not_load_the_model(toy, tiny_model_dir, tmp_path, monkeypatch):
    first = evaluate(tiny_model_dir, ["toy"], out=tmp_path, **SETTINGS)
    monkeypatch.setattr(evaluation._Answers, "_load", lambda self: pytest.fail("loaded"))
    again = evaluate(tiny_model_dir, ["toy"], out=tmp_path, **SETTINGS)
    pd.testing.assert_frame_equal(first.table, again.table)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"seed": 1}, "seed is 1 now and was 0"),
        ({"prefix": "So"}, "prefix"),
        ({"limit": 3}, "limit"),
    ],
)
def test_kept_answers_are_not_mixed_with_others(toy, tiny_model_dir, tmp_path, change, named):
    evaluate(tiny_model_dir, ["toy"], out=tmp_path, **SETTINGS)
    with pytest.raises(ValueError, match=named):
        evaluate(tiny_model_dir, ["toy"], out=tmp_path, **{**SETTINGS, **change})


def test_kept_answers_of_other_weights_are_refused(toy, tiny_model_dir, tmp_path):
    evaluate(tiny_model_dir, ["toy"], out=tmp_path, **SETTINGS)
    file = tmp_path / "toy" / "settings.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"model": "other"}))
    with pytest.raises(ValueError, match="model"):
        evaluate(tiny_model_dir, ["toy"], out=tmp_path, **SETTINGS)


def test_a_forced_opening_begins_every_answer_and_counts_as_its_tokens(toy, tiny_model_dir):
    records = evaluate(tiny_model_dir, ["toy"], prefix=" First", **SETTINGS).records
    assert records["text"].str.startswith(" First").all()
    cut = records[records["finish"] == "length"]
    assert (cut["tokens"] == 12).all()


def test_table_says_n_k_and_an_interval_for_every_metric(toy, tiny_model_dir):
    report = evaluate(tiny_model_dir, ["toy"], samples=2, temperature=1.0, **SETTINGS)
    assert list(report.table.columns) == ["benchmark", "metric", "n", "k", "value", "low", "high"]
    assert list(report.table["metric"]) == [*METRICS, "pass@2"]
    assert set(report.table["n"]) == {20}
    assert set(report.table["k"]) == {2}
    assert (report.table["low"] <= report.table["value"]).all()
    assert (report.table["value"] <= report.table["high"]).all()
    assert list(report.by_category["n"]) == [12, 8]


def test_two_benchmarks_get_an_average_with_an_interval():
    one, two = answered(["\\boxed{4}"] * 6 + ["\\boxed{5}"] * 6), answered(["\\boxed{4}"] * 30)
    both = pd.concat([one.records, two.records.assign(benchmark="other")], ignore_index=True)
    average = Report(both).table.iloc[-1]
    assert (average["benchmark"], average["value"]) == ("average", 75.0)
    assert average["low"] < 75 < average["high"]


def test_format_and_reasoning_are_told_apart():
    report = answered(["\\boxed{4}", "so it is 4", "\\boxed{5} or 4", "1/2 and", "no idea"])
    assert value(report, "accuracy") == 20
    assert value(report, "boxed") == 40
    assert value(report, "accuracy_any_format") == 40


@pytest.mark.parametrize(
    ("text", "gold"),
    [("it equals 6.8.", "6.8"), ("is -3", "-3"), ("7/13", "7/13"), ("1,200 in all", "1200")],
)
def test_the_last_number_is_read_whole(text, gold):
    assert value(answered([text], gold), "accuracy_any_format") == 100
    assert value(answered([text], gold), "accuracy") == 0


def test_truncation_length_reflection_and_code_are_counted():
    texts = ["Wait, ReCheck: 4", "print(2+2)\nOutput: 4", "import taxes are 4", "```python\n4\n```"]
    report = answered(texts, finish="length")
    assert value(report, "truncated") == 100
    assert value(report, "reflection") == 25
    assert value(report, "code") == 50
    assert value(report, "length") == pytest.approx(np.mean([len(text) for text in texts]))


def test_pass_at_k_rises_with_k_and_is_the_share_of_solved_problems_at_the_end():
    right, wrong = "\\boxed{4}", "\\boxed{5}"
    report = answered([right, wrong, wrong, wrong] + [wrong] * 4, samples=4)
    rates = [report.pass_at(k, "toy").value for k in (1, 2, 3, 4)]
    assert rates == pytest.approx([12.5, 25, 37.5, 50])


def test_rescoring_with_our_verifier_changes_nothing(toy, tiny_model_dir):
    report = evaluate(tiny_model_dir, ["toy"], **SETTINGS)
    again = rescore(report.records)
    pd.testing.assert_frame_equal(report.table, again.table)
    by_function = rescore(report.records, verify)
    assert list(by_function.records["correct"]) == list(report.records["correct"])


def test_rescoring_with_another_grader_changes_the_verdict_alone():
    report = answered(["\\boxed{4}", "\\boxed{5}", "none"])
    generous = rescore(report.records, lambda response, gold: True)
    assert value(generous, "accuracy") == 100
    assert value(generous, "boxed") == value(report, "boxed")


def test_paired_difference_is_over_the_same_problems_in_points():
    a = answered(["\\boxed{4}"] * 15 + ["\\boxed{5}"] * 5)
    b = answered(["\\boxed{5}"] * 10 + ["\\boxed{4}"] * 5 + ["\\boxed{5}"] * 5)
    found = paired_difference(a, b, "toy")
    assert (found.n, found.difference) == (20, 50.0)
    assert found.low > 20
    assert found.p == pytest.approx(2 / 2**10, abs=0.002)
    shuffled = Report(b.records.sample(frac=1, random_state=0).reset_index(drop=True))
    assert paired_difference(a, shuffled, "toy") == found


def test_pairing_refuses_other_problems():
    with pytest.raises(ValueError, match="1 are in only one"):
        paired_difference(answered(["4"] * 3), answered(["4"] * 4), "toy")


@pytest.mark.parametrize(
    ("problems", "named"),
    [
        ([problem(1), problem(1)], "toy/1"),
        ([problem(1), problem(2, " ")], "toy/2"),
        ([], "0 problems"),
    ],
)
def test_no_score_over_rows_that_mean_nothing(monkeypatch, problems, named):
    monkeypatch.setattr(evaluation, "benchmark", lambda name: problems)
    with pytest.raises(ValueError, match=named):
        problems_of("toy")


def test_a_limit_takes_problems_from_the_whole_benchmark(toy):
    assert [p.id for p in problems_of("toy", 5)] == [f"toy/{i}" for i in (0, 4, 8, 12, 16)]
    assert problems_of("toy", 99) == toy


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"samples": 0}, "samples >= 1"),
        ({"samples": 4}, "temperature above 0"),
        ({"temperature": -1.0}, "temperature >= 0"),
        ({"limit": 0}, "limit: 0"),
        ({"benchmarks": []}, "at least one"),
    ],
)
def test_bad_arguments_stop_before_the_model_is_loaded(toy, arguments, named):
    with pytest.raises(ValueError, match=named):
        evaluate("no/such/model", **{"benchmarks": ["toy"], "prompt": "world", **arguments})


def test_a_training_example_can_be_a_benchmark(tiny_model_dir, tmp_path):
    arguments = {"samples": 16, "temperature": 1.0, "out": tmp_path, **SETTINGS}
    records = evaluate(tiny_model_dir, "world:pi1", **arguments).records
    assert set(records["gold"]) == {PI1_LABELS["right"]}
    assert len(records) == 16


def test_unknown_metric_names_the_known_ones():
    with pytest.raises(ValueError, match="accuracy_any_format"):
        answered(["4"]).values("toy", "acuracy")
