"""Evaluation: what is sampled, graded, counted, kept and taken up again."""

import contextlib
import json
import os
import random
import shutil
import signal
import sys
import time
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from small_models import character_tokenizer

from onerl.evaluation import Prompting, answers, evaluate, problems_of, rescore, side_by_side
from onerl.evaluation.protocols import PROTOCOLS, Protocol, protocol_for
from onerl.evaluation.report import METRICS
from onerl.problems import Problem
from onerl.problems.benchmarks import NAMES, PAPER_SETS
from onerl.problems.prompts import prompt_sha256
from onerl.recipe import labels_of
from onerl.rollouts.shared_prompt import SharedPromptSampler
from onerl.verifier import verify


def asked(prefix="", demonstration=None, **protocol):
    """How the tests sample: answers of twelve tokens, unless they say otherwise."""
    return {
        "prompting": Prompting("world", prefix, demonstration),
        "protocol": Protocol(**{"max_completion_length": 12, **protocol}),
    }


def problem(index: int, answer: str = "4", category: str = "Algebra") -> Problem:
    return Problem(f"toy/{index}", f"What is {index} plus 1?", answer, category, "toy")


@pytest.fixture
def toy(monkeypatch):
    """A benchmark of 20 problems, sampled in batches of 8 rollouts."""
    problems = [problem(i, str(i + 1), "Algebra" if i < 12 else "Geometry") for i in range(20)]
    monkeypatch.setattr(answers, "benchmark", lambda name, world: list(problems))
    monkeypatch.setattr(answers, "BATCH", 8)
    return problems


def test_every_problem_gets_every_sample_and_its_own_stream(toy, tiny_model_dir):
    records = evaluate(tiny_model_dir, ["toy"], **asked(samples=3, temperature=1.0)).records
    pairs = list(zip(records["problem"], records["sample"], strict=True))
    assert sorted(pairs) == sorted((p.id, k) for p in toy for k in range(3))
    assert records["seed"].nunique() == 60
    assert records["prompt_sha256"].nunique() == 20
    assert (records["tokens"] <= 12).all()
    assert set(records["finish"]) <= {"stop", "length"}


def test_same_seed_same_answers_other_seed_others(toy, tiny_model_dir):
    first, again, other = (
        evaluate(tiny_model_dir, ["toy"], seed=seed, **asked(temperature=1.0)).records
        for seed in (0, 0, 1)
    )
    pd.testing.assert_frame_equal(first, again)
    assert (first["text"] != other["text"]).mean() > 0.9


def test_a_sample_does_not_depend_on_how_many_are_asked_for(toy, tiny_model_dir):
    few, many = (
        evaluate(tiny_model_dir, ["toy"], limit=limit, **asked(samples=k, temperature=1.0))
        for k, limit in ((2, 5), (4, None))
    )
    merged = few.records.merge(many.records, on=["problem", "sample"])
    assert len(merged) == 10
    assert (merged["text_x"] == merged["text_y"]).all()


@pytest.mark.parametrize("batches_before_the_kill", [0, 1, 3])
def test_a_killed_evaluation_goes_on_to_the_same_records(
    toy, tiny_model_dir, tmp_path, monkeypatch, batches_before_the_kill
):
    arguments = asked(samples=2, temperature=1.0)
    whole = evaluate(tiny_model_dir, ["toy"], **arguments).records
    sampled = []
    sample = answers.Answers.sample

    def dying(self, name, problems, protocol):
        if len(sampled) == batches_before_the_kill:
            raise KeyboardInterrupt
        sampled.extend([problems])
        return sample(self, name, problems, protocol)

    monkeypatch.setattr(answers.Answers, "sample", dying)
    with pytest.raises(KeyboardInterrupt):
        evaluate(tiny_model_dir, ["toy"], out=tmp_path, **arguments)
    before = list(sampled)

    def counting(self, name, problems, protocol):
        sampled.extend([problems])
        return sample(self, name, problems, protocol)

    monkeypatch.setattr(answers.Answers, "sample", counting)
    resumed = evaluate(tiny_model_dir, ["toy"], out=tmp_path, **arguments).records
    ids = [p.id for batch in sampled for p in batch]
    assert len(before) == batches_before_the_kill
    assert sorted(ids) == sorted(p.id for p in toy), "a problem was skipped or sampled twice"
    columns = ["problem", "sample", "text", "tokens", "finish", "correct"]
    pd.testing.assert_frame_equal(resumed[columns], whole[columns], check_dtype=False)


def test_a_finished_evaluation_does_not_load_the_model(toy, tiny_model_dir, tmp_path, monkeypatch):
    first = evaluate(tiny_model_dir, ["toy"], out=tmp_path, **asked())
    monkeypatch.setattr(answers.Answers, "_load", lambda self: pytest.fail("loaded"))
    again = evaluate(tiny_model_dir, ["toy"], out=tmp_path, **asked())
    pd.testing.assert_frame_equal(first.table, again.table)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"seed": 1}, "seed is 1 now and was 0"),
        (asked(prefix="So"), "prefix"),
        (asked(demonstration=("Q", " A")), "demonstration"),
        (asked(max_completion_length=13), "max_completion_length is 13 now and was 12"),
        ({"limit": 3}, "limit"),
    ],
)
def test_kept_answers_are_not_mixed_with_others(toy, tiny_model_dir, tmp_path, change, named):
    evaluate(tiny_model_dir, ["toy"], out=tmp_path, **asked())
    with pytest.raises(ValueError, match=named):
        evaluate(tiny_model_dir, ["toy"], out=tmp_path, **asked() | change)


def test_kept_answers_of_other_weights_are_refused(toy, tiny_model_dir, tmp_path):
    evaluate(tiny_model_dir, ["toy"], out=tmp_path, **asked())
    file = tmp_path / "toy" / "settings.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"model": "other"}))
    with pytest.raises(ValueError, match="model"):
        evaluate(tiny_model_dir, ["toy"], out=tmp_path, **asked())


def test_a_forced_opening_begins_every_answer_and_counts_as_its_tokens(toy, tiny_model_dir):
    records = evaluate(tiny_model_dir, ["toy"], **asked(prefix=" First")).records
    assert records["text"].str.startswith(" First").all()
    cut = records[records["finish"] == "length"]
    assert (cut["tokens"] == 12).all()


def test_a_demonstration_goes_before_every_question(toy, tiny_model_dir):
    shown = evaluate(tiny_model_dir, ["toy"], **asked(demonstration=("2+2?", " It is 4.")))
    first = "Problem: 2+2?\nSolution: It is 4.\n\nProblem: What is 0 plus 1?\nSolution:"
    assert shown.records["prompt_sha256"].iloc[0] == prompt_sha256(first)
    assert shown.records["prompt_sha256"].nunique() == 20


def test_table_says_n_k_and_an_interval_for_every_metric(toy, tiny_model_dir):
    report = evaluate(tiny_model_dir, ["toy"], **asked(samples=2, temperature=1.0))
    columns = [
        "benchmark",
        "metric",
        "n",
        "k",
        "value",
        "low",
        "high",
        "protocol",
        "checkpoint",
        "note",
    ]
    assert list(report.table.columns) == columns
    assert list(report.table["metric"]) == [*METRICS, "pass@2"]
    assert set(report.table["n"]) == {20}
    assert set(report.table["k"]) == {2}
    assert (report.table["low"] <= report.table["value"]).all()
    assert (report.table["value"] <= report.table["high"]).all()
    assert list(report.by_category["n"]) == [12, 8]


def test_rescoring_with_our_verifier_changes_nothing(toy, tiny_model_dir):
    report = evaluate(tiny_model_dir, ["toy"], **asked())
    again = rescore(report.records)
    pd.testing.assert_frame_equal(report.table, again.table)
    by_function = rescore(report.records, verify)
    assert list(by_function.records["correct"]) == list(report.records["correct"])


@pytest.mark.parametrize(
    ("problems", "named"),
    [
        ([problem(1), problem(1)], "toy/1"),
        ([problem(1), problem(2, " ")], "toy/2"),
        ([], "0 problems"),
        ([problem(1), problem(2, r"\\frac{1}{2")], r"1 that cannot be scored .toy/2: .*unbalanced"),
        ([problem(i, "") for i in range(9)], "9 problems, 9 that cannot be scored"),
    ],
)
def test_no_score_over_rows_that_mean_nothing(monkeypatch, problems, named):
    monkeypatch.setattr(answers, "benchmark", lambda name, world: problems)
    with pytest.raises(ValueError, match=named):
        problems_of("toy")


def test_a_limit_takes_problems_from_the_whole_benchmark(toy):
    assert [p.id for p in problems_of("toy", 5)] == [f"toy/{i}" for i in (0, 4, 8, 12, 16)]
    assert problems_of("toy", 99) == toy


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (asked(samples=0), "samples >= 1"),
        (asked(samples=2.5, temperature=1.0), "whole samples"),
        (asked(samples=10**9, temperature=1.0), "at most 65536"),
        (asked(samples=4), "temperature above 0"),
        (asked(temperature=-1.0), "temperature >= 0"),
        (asked(temperature=float("nan")), "temperature >= 0"),
        (asked(temperature=float("inf")), "at most 10"),
        (asked(temperature="hot"), "temperature >= 0"),
        (asked(max_completion_length=0), "max_completion_length >= 1"),
        (asked(top_p=0.0), "0 < top_p <= 1"),
        (asked(top_p=float("nan")), "0 < top_p <= 1"),
        ({"limit": 0}, "limit: 0"),
        ({"benchmarks": []}, "at least one"),
        ({"benchmarks": ["toy", "world", "toy"]}, "each only once"),
        ({"protocol": "papers"}, "nearest: 'paper'"),
        (
            {"benchmarks": ["world"], "protocol": "r1"},
            "says nothing of world; allowed for it: world",
        ),
    ],
)
def test_bad_arguments_stop_before_the_model_is_loaded(toy, arguments, named):
    with pytest.raises(ValueError, match=named):
        evaluate("no/such/model", **{"benchmarks": ["toy"], **arguments})


def test_a_training_example_can_be_a_benchmark(tiny_model_dir, tmp_path):
    how = asked(samples=16, temperature=1.0)
    records = evaluate(tiny_model_dir, "world:pi1", out=tmp_path, **how).records
    assert set(records["gold"]) == {labels_of("world:pi1")["right"]}
    assert len(records) == 16


@pytest.mark.parametrize("name", ["math500", "minerva_math", "olympiadbench"])
def test_protocols_of_the_large_sets_are_the_papers(name):
    assert protocol_for(name) == ("paper", Protocol(1, 0.0, 3072, 1.0, dtype="float16"))
    assert protocol_for(name, "r1") == ("r1", Protocol(16, 0.6, 8192, 0.95, dtype="float16"))
    assert protocol_for(name, "r1-32k") == (
        "r1-32k",
        Protocol(16, 0.6, 32768, 0.95, dtype="float16"),
    )


@pytest.mark.parametrize("name", ["aime24", "aime25", "amc23"])
def test_protocols_of_the_small_sets_are_the_papers(name):
    assert protocol_for(name) == ("paper", Protocol(8, 0.6, 3072, 1.0, dtype="float16"))
    assert protocol_for(name, "r1") == ("r1", Protocol(64, 0.6, 8192, 0.95, dtype="float16"))
    assert protocol_for(name, "r1-32k") == (
        "r1-32k",
        Protocol(64, 0.6, 32768, 0.95, dtype="float16"),
    )


def test_every_benchmark_has_a_protocol_and_unpublished_ones_are_marked_as_ours():
    labels = {name: protocol_for(name)[0] for name in NAMES}
    assert {labels[name] for name in PAPER_SETS} == {"paper"}
    assert labels["arc_easy"] == labels["arc_challenge"] == labels["clean-arithmetic"] == "ours"
    assert labels["world"] == labels["world-selection"] == "world"
    assert protocol_for("olympiadbench:all") == protocol_for("olympiadbench")
    assert set(PROTOCOLS) == {"paper", "r1", "r1-32k", "world", "ours"}


def test_a_changed_protocol_says_what_was_changed():
    label, protocol = protocol_for("math500", "r1", samples=4, temperature=0.6)
    assert label == "r1; samples 4"
    assert protocol == Protocol(4, 0.6, 8192, 0.95, dtype="float16")


def test_the_protocol_reaches_the_sampler_and_the_table(tiny_model_dir, monkeypatch):
    monkeypatch.setattr(answers, "benchmark", lambda name, world: [problem(i) for i in range(2)])
    seen = []
    sample = SharedPromptSampler.sample

    def recording(self, prompts, request):
        seen.append((request.counts, request.temperature, request.top_p, request.max_new_tokens))
        return sample(self, prompts, request)

    monkeypatch.setattr(SharedPromptSampler, "sample", recording)
    report = evaluate(tiny_model_dir, "math500", **asked(name="r1"))
    assert seen == [([16, 16], 0.6, 0.95, 12)]
    assert set(report.table["protocol"]) == {"r1; max_completion_length 12; float32 on a CPU"}
    assert set(report.table["checkpoint"]) == {"as given"}
    report = evaluate((40, tiny_model_dir), "aime24", **asked(samples=1))
    assert set(report.table["checkpoint"]) == {"step 40"}


DTYPES = ["float32", "float16", "bfloat16"]


@pytest.mark.parametrize("dtype", [*DTYPES, "auto"])
def test_a_precision_that_a_cpu_does_not_take_is_said_and_answers_are_kept_by_what_was_asked(
    toy, tiny_model_dir, tmp_path, dtype
):
    """torch on a CPU keeps float32; "auto" keeps the folders of old, which know of none."""
    plain = evaluate(tiny_model_dir, "toy", **asked())
    report = evaluate(tiny_model_dir, "toy", out=tmp_path, **asked(dtype=dtype))
    assert list(report.records["text"]) == list(plain.records["text"])
    label = {
        "auto": "ours; max_completion_length 12",
        "float32": "ours; max_completion_length 12, dtype float32",
    }.get(dtype, f"ours; max_completion_length 12, dtype {dtype}; float32 on a CPU")
    assert set(report.table["protocol"]) == {label}
    settings = json.loads((tmp_path / "toy" / "settings.json").read_text())
    assert settings.get("dtype", "auto") == dtype
    assert ("dtype" in report.records) == (dtype != "auto")
    with pytest.raises(
        ValueError, match=f"dtype is .* now and was .*{dtype if dtype != 'auto' else 'None'}"
    ):
        evaluate(
            tiny_model_dir,
            "toy",
            out=tmp_path,
            **asked(dtype="float16" if dtype != "float16" else "float32"),
        )


def test_a_precision_that_is_none_is_refused_with_the_nearest(toy, tiny_model_dir):
    with pytest.raises(ValueError, match=r"dtype = 'floar16'.*nearest: 'float16'.*allowed: auto"):
        evaluate(tiny_model_dir, "toy", **asked(dtype="floar16"))


@pytest.mark.parametrize("name", ["paper", "r1", "r1-32k"])
def test_the_papers_sets_are_computed_in_its_precision_and_no_other_set(name):
    assert {how.dtype for how in PROTOCOLS[name].values()} == {"float16"}
    beside = {name for name, how in PROTOCOLS["ours"].items() if how.dtype != "auto"}
    assert beside == {"arc_easy", "arc_challenge", "dsr-selection"}, "one engine for all of these"
    assert {how.dtype for how in PROTOCOLS["world"].values()} == {"auto"}, "old folders are read"


EDGES = ["\n{}", "{} ", " \t{}\n\n"]


@pytest.mark.parametrize("edge", EDGES)
def test_white_space_around_a_question_is_no_part_of_its_prompt(tiny_model_dir, monkeypatch, edge):
    """The released evaluation strips questions; amc23/30 and olympiadbench/2 have some."""
    shown = {}
    for name, wrap in (("plain", "{}"), ("wrapped", edge)):
        with monkeypatch.context() as patched:
            made = [replace(p, question=wrap.format(p.question)) for p in map(problem, range(3))]
            patched.setattr(answers, "benchmark", lambda *_, made=made: made)
            records = evaluate(tiny_model_dir, "toy", **asked()).records
        shown[name] = list(records["prompt_sha256"])
    assert shown["plain"] == shown["wrapped"]


def test_no_question_of_the_world_has_white_space_around_it():
    names = [name for name in NAMES if name.startswith("world")]
    assert all(p.question == p.question.strip() for name in names for p in problems_of(name))


def test_records_hold_every_token_that_was_sampled(toy, tiny_model_dir, tmp_path):
    records = evaluate(tiny_model_dir, ["toy"], out=tmp_path, **asked()).records
    tokenizer = character_tokenizer()
    for row in records.itertuples():
        assert len(row.token_ids) == row.tokens
        assert tokenizer.decode(row.token_ids, skip_special_tokens=True) == row.text
    kept = pd.read_parquet(next((tmp_path / "toy").glob("*.parquet")))
    assert kept["token_ids"].iloc[0].dtype == np.int32


def test_records_read_back_from_parquet_give_the_same_report(toy, tiny_model_dir, tmp_path):
    report = evaluate(tiny_model_dir, ["toy"], **asked(samples=2, temperature=1.0))
    report.records.to_parquet(tmp_path / "records.parquet")
    again = rescore(pd.read_parquet(tmp_path / "records.parquet"))
    pd.testing.assert_frame_equal(again.table, report.table)


def test_an_evaluation_killed_at_random_moments_resumes_to_the_same_records(
    tiny_model_dir, tmp_path, monkeypatch
):
    """SIGKILL, so nothing is tidied up; what was on disk is never written again."""
    monkeypatch.setattr(answers, "benchmark", lambda name, world: [problem(i) for i in range(60)])
    monkeypatch.setattr(answers, "BATCH", 4)
    arguments = asked(samples=2, temperature=1.0)
    whole = evaluate(tiny_model_dir, ["toy"], **arguments).records
    chance, seen = random.Random(0), {}
    for _ in range(6):
        child = os.fork()
        if child == 0:
            with contextlib.suppress(BaseException):
                evaluate(tiny_model_dir, ["toy"], out=tmp_path, **arguments)
            os._exit(0)
        more, deadline = chance.randint(0, 4), time.monotonic() + 30
        while len(list((tmp_path / "toy").glob("*.parquet"))) < len(seen) + more:
            assert time.monotonic() < deadline
            time.sleep(0.001)
        time.sleep(chance.uniform(0, 0.02))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        parts = {f.name: f.stat().st_mtime_ns for f in (tmp_path / "toy").glob("*.parquet")}
        assert seen.items() <= parts.items(), "a batch that was on disk was sampled again"
        assert len(parts) < 30, "it was not killed in the middle"
        seen = parts
    resumed = evaluate(tiny_model_dir, ["toy"], out=tmp_path, **arguments).records
    columns = ["problem", "sample", "seed", "text", "tokens", "finish", "answer", "correct"]
    pd.testing.assert_frame_equal(resumed[columns], whole[columns], check_dtype=False)
    kept = pd.concat(pd.read_parquet(f) for f in (tmp_path / "toy").glob("*.parquet"))
    assert len(kept) == 120
    assert not kept.duplicated(["problem", "sample"]).any()


def test_answers_kept_under_another_batch_size_are_not_sampled_again(
    toy, tiny_model_dir, tmp_path, monkeypatch
):
    first = evaluate(tiny_model_dir, ["toy"], out=tmp_path, **asked()).records
    (tmp_path / "toy" / "from-00008.parquet").unlink()
    monkeypatch.setattr(answers, "BATCH", 3)
    seen, sample = [], answers.Answers.sample

    def counting(self, name, problems, protocol):
        seen.extend(p.id for p in problems)
        return sample(self, name, problems, protocol)

    monkeypatch.setattr(answers.Answers, "sample", counting)
    again = evaluate(tiny_model_dir, ["toy"], out=tmp_path, **asked()).records
    assert seen == [f"toy/{i}" for i in range(8, 16)]
    columns = ["problem", "text", "correct"]
    pd.testing.assert_frame_equal(again[columns], first[columns])


def test_long_answers_are_kept_in_smaller_batches(toy, tiny_model_dir, tmp_path, monkeypatch):
    monkeypatch.setattr(answers, "BATCH_TOKENS", 36)
    evaluate(tiny_model_dir, ["toy"], out=tmp_path, **asked())
    sizes = [len(pd.read_parquet(f)) for f in sorted((tmp_path / "toy").glob("*.parquet"))]
    assert sizes == [3] * 6 + [2]


def test_a_selection_set_is_without_what_the_run_was_trained_on(tiny_model_dir, tmp_path):
    run = tmp_path / "run"
    folder = run / "checkpoints" / "step-000020"
    shutil.copytree(tiny_model_dir, folder)

    def problems(examples: str) -> set[str]:
        (run / "recipe.yaml").write_text(f"examples: {examples}\nprompt: world\nmodel: world\n")
        given = asked(max_completion_length=1)
        return set(evaluate((20, folder), "world-selection", **given).records["problem"])

    assert len(problems("world:pi1")) == 200
    left = problems("world:bags:36+world:mean:30")
    assert len(left) == 198
    assert not left & {"world/pool/bags/36", "world/pool/mean/30"}
    with pytest.raises(ValueError, match="trained on all of its 200 problems"):
        problems("world:all")


def test_several_reports_side_by_side_have_the_rows_of_each_under_its_name(toy, tiny_model_dir):
    reports = {
        name: evaluate(tiny_model_dir, ["toy"], seed=seed, **asked(temperature=1.0))
        for seed, name in enumerate(("before", "after"))
    }
    table = side_by_side(reports)
    assert list(table.columns) == ["model", *reports["before"].table.columns]
    assert list(dict.fromkeys(table["model"])) == ["before", "after"]
    for name, report in reports.items():
        rows = table[table["model"] == name].drop(columns="model").reset_index(drop=True)
        pd.testing.assert_frame_equal(rows, report.table)


def test_progress_goes_to_the_error_stream_and_not_into_a_notebook_that_nobody_watches(
    toy, tiny_model_dir, monkeypatch, capsys
):
    monkeypatch.setattr(answers, "SAY_EVERY", -1)
    for kernel, front_end, said in ((False, False, 3), (True, False, 0), (True, True, 3)):
        with monkeypatch.context() as here:
            here.delenv("JPY_SESSION_NAME", raising=False)
            here.delenv("VSCODE_PID", raising=False)
            here.delitem(sys.modules, "ipykernel", raising=False)
            if kernel:
                here.setitem(sys.modules, "ipykernel", sys)
            if front_end:
                here.setenv("JPY_SESSION_NAME", "looked at")
            evaluate(tiny_model_dir, ["toy"], **asked())
        out, err = capsys.readouterr()
        assert out == ""
        lines = [line for line in err.splitlines() if line.startswith("toy: ")]
        assert (
            lines
            == ["toy: 8 of 20 problems", "toy: 16 of 20 problems", "toy: 20 of 20 problems"][:said]
        )


def test_an_engine_is_closed_behind_the_last_answer(toy, tiny_model_dir, monkeypatch):
    closed = []
    monkeypatch.setattr(SharedPromptSampler, "close", lambda self: closed.append(self))
    evaluate(tiny_model_dir, ["toy"], **asked())
    assert len(closed) == 1
