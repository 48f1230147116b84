"""What is read off the records: metrics, averages, pairs, and which checkpoint is reported."""

import numpy as np
import pandas as pd
import pytest

from onerl.evaluation import rescore
from onerl.evaluation.choice import choose
from onerl.evaluation.report import Report, paired_difference
from onerl.problems.benchmarks import PAPER_SETS

RIGHT, WRONG = "\\boxed{4}", "\\boxed{5}"


def answered(
    texts: list[str],
    gold: str = "4",
    finish: str = "stop",
    samples: int = 1,
    name: str = "toy",
    **columns,
) -> Report:
    """A report over given answers, `samples` of them to each problem."""
    rows = pd.DataFrame(
        {
            "benchmark": name,
            "problem": [f"{name}/{i // samples}" for i in range(len(texts))],
            "category": "Algebra",
            "gold": gold,
            "sample": [i % samples for i in range(len(texts))],
            "text": texts,
            "tokens": [len(text) for text in texts],
            "finish": finish,
        }
        | columns
    )
    return rescore(rows)


def value(report: Report, metric: str) -> float:
    table = report.table.set_index("metric")
    return float(table.loc[metric, "value"])


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


@pytest.mark.parametrize(("cut", "said"), [(0, False), (1, False), (3, True), (30, True)])
def test_an_accuracy_under_a_token_budget_says_so(cut, said):
    """Else answers that only grow shorter would look like answers that grow better."""
    answers = [answered([RIGHT] * 30, finish=["length"] * cut + ["stop"] * (30 - cut))]
    table = answers[0].table.set_index("metric")
    assert ("cut off" in str(table.loc["accuracy", "note"])) is said
    assert "cut off" not in str(table.loc["boxed", "note"])


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


def test_rescoring_with_another_grader_changes_the_verdict_alone():
    report = answered(["\\boxed{4}", "\\boxed{5}", "none"])
    generous = rescore(report.records, lambda response, gold: True)
    assert value(generous, "accuracy") == 100
    assert value(generous, "boxed") == value(report, "boxed")


def test_paired_difference_is_over_the_same_problems_in_points():
    a = answered(["\\boxed{4}"] * 15 + ["\\boxed{5}"] * 5)
    b = answered(["\\boxed{5}"] * 10 + ["\\boxed{4}"] * 5 + ["\\boxed{5}"] * 5)
    found = paired_difference(a, b, "toy")
    assert (found.n, found.value) == (20, 50.0)
    assert found.low > 20
    assert found.p == pytest.approx(2 / 2**10, abs=0.002)
    shuffled = Report(b.records.sample(frac=1, random_state=0).reset_index(drop=True))
    assert paired_difference(a, shuffled, "toy") == found


def test_pairing_refuses_other_problems():
    with pytest.raises(ValueError, match="1 are in only one"):
        paired_difference(answered(["4"] * 3), answered(["4"] * 4), "toy")


def test_unknown_metric_names_the_known_ones():
    with pytest.raises(ValueError, match="accuracy_any_format"):
        answered(["4"]).values("toy", "acuracy")


def joined(*reports: Report) -> Report:
    return Report(pd.concat([report.records for report in reports], ignore_index=True))


def scored(name: str, right: int, of: int = 20, **columns) -> Report:
    return answered([RIGHT] * right + [WRONG] * (of - right), name=name, **columns)


def test_the_average_of_the_six_is_over_the_six_alone():
    six = [scored(name, 2 * i) for i, name in enumerate(PAPER_SETS, start=1)]
    table = joined(*six, scored("arc_easy", 20), scored("world-selection", 20)).table
    average = table[table["benchmark"] == "average"].iloc[0]
    assert average["value"] == pytest.approx(100 * np.mean([2, 4, 6, 8, 10, 12]) / 20)
    assert average["n"] == 120
    assert average["low"] < average["value"] < average["high"]


def test_a_selection_set_is_in_no_average():
    table = joined(scored("math500", 10), scored("world-selection", 20)).table
    assert "average" not in set(table["benchmark"])
    assert joined(scored("math500", 10), scored("dsr-selection", 20)).average().value == 50


def test_reflection_is_counted_by_words_and_by_answers():
    one = answered(["recheck, then Recheck and rethink", "a plain line", "RECALCULATED"])
    assert value(one, "reflection") == pytest.approx(200 / 3)
    assert value(one, "reflection_words") == pytest.approx(400 / 3)


def test_accuracy_per_level_is_over_the_levels_problems():
    levels = [1] * 4 + [2] * 6
    report = joined(
        answered([RIGHT] * 3 + [WRONG] * 7, name="leveled", level=levels),
        answered([RIGHT] * 5, name="flat", level=None),
    )
    found = report.by_level
    assert found[["benchmark", "level", "n", "value"]].values.tolist() == [
        ["leveled", 1, 4, 75.0],
        ["leveled", 2, 6, 0.0],
    ]


@pytest.mark.parametrize(("samples", "shown"), [(1, []), (2, [2]), (8, [2, 4, 8]), (6, [2, 4, 6])])
def test_pass_at_powers_of_two_stands_in_the_table(samples, shown):
    report = answered(([RIGHT] + [WRONG] * (samples - 1)) * 5, samples=samples)
    rows = report.table.set_index("metric")["value"]
    names = [name for name in rows.index if name.startswith("pass@")]
    assert names == [f"pass@{k}" for k in shown]
    assert [rows[name] for name in names] == pytest.approx([100 * k / samples for k in shown])


def test_table_says_how_answers_were_sampled_and_the_checkpoint_chosen():
    report = scored("toy", 3, protocol="paper; samples 4", checkpoint="step 20")
    assert set(report.table["protocol"]) == {"paper; samples 4"}
    assert set(report.table["checkpoint"]) == {"step 20"}
    assert set(scored("toy", 3).table["protocol"]) == {"not recorded"}


def run_of(accuracies: dict[int, tuple[int, ...]]) -> dict[int, Report]:
    """Reports by step: right answers of 20 on two test sets and the selection set."""
    names = ("math500", "aime24", "world-selection")
    return {
        step: joined(*(scored(name, right) for name, right in zip(names, counts, strict=True)))
        for step, counts in accuracies.items()
    }


STEPS = {0: (2, 4, 3), 20: (12, 5, 15), 40: (9, 9, 8), 60: (10, 7, 15)}


@pytest.mark.parametrize(
    ("how", "steps", "values"),
    [
        ("last", ["last: step 60"], [50, 35]),
        ("held-out", ["held-out: step 20"], [60, 25]),  # 20 and 60 are equal there
        ("paper", ["paper: step 40"], [45, 45]),
        ("paper-each", ["paper-each: step 20", "paper-each: step 40"], [60, 45]),
    ],
)
def test_each_rule_reports_its_own_checkpoint_and_says_so(how, steps, values):
    table = choose(run_of(STEPS), how).table
    rows = table[table["metric"] == "accuracy"].set_index("benchmark")
    assert [rows.loc[name, "value"] for name in ("math500", "aime24")] == values
    assert list(dict.fromkeys(rows["checkpoint"])) == steps
    if how == "paper-each":
        assert "average" not in rows.index
    else:
        assert rows.loc["average", "value"] == pytest.approx(np.mean(values))


def test_choosing_on_the_test_sets_is_never_below_choosing_elsewhere():
    reports = run_of(STEPS)
    tests = ["math500", "aime24"]
    each, best, held_out, last = (
        choose(reports, how).average(tests).value
        for how in ("paper-each", "paper", "held-out", "last")
    )
    assert each >= best >= max(held_out, last)


def test_the_default_choice_is_held_out_and_needs_something_to_choose_on():
    assert choose(run_of(STEPS)).records.equals(choose(run_of(STEPS), "held-out").records)
    reports = {step: scored("math500", step + 1) for step in (0, 1)}
    with pytest.raises(ValueError, match="no test set, one of world-selection"):
        choose(reports)
    with pytest.raises(ValueError, match=r"'held_out' is unknown.*nearest: 'held-out'"):
        choose(reports, "held_out")


def test_checkpoints_are_compared_on_the_same_problems():
    reports = {0: scored("math500", 3, of=20), 20: scored("math500", 3, of=19)}
    with pytest.raises(ValueError, match="steps 0 and 20 are over different problems, 1 are"):
        choose(reports, "last")
