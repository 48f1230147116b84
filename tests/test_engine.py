"""A vLLM engine starts once for all that is evaluated together, with as many slots as it needs.

vLLM is not installed here: `fake_vllm` stands for it, and samples what torch samples.
"""

import fake_vllm
import pandas as pd
import pytest
from small_models import character_tokenizer, short_recipe, tiny_model

import onerl
from onerl.evaluation import Protocol, answers
from onerl.problems import Problem
from onerl.rollouts.vllm import ROWS_AT_ONCE
from onerl.runs import Run

SHORT = Protocol(max_completion_length=6, temperature=0)
SIZES = {"math500": 7, "aime24": 3, "toy": 5}


@pytest.fixture(scope="module")
def trained(tiny_model_dir, tmp_path_factory):
    recipe = short_recipe(
        tiny_model_dir,
        steps=3,
        save_every=1,
        learning_rate=1e-2,
        temperature=1.0,
    )
    return onerl.train(recipe, tmp_path_factory.mktemp("run"), progress=False).path


@pytest.fixture
def run(trained, tmp_path, monkeypatch):
    """The run, with problems of a test's own, in batches of four where batches are made."""

    def problems(name, world):
        return [
            Problem(f"{name}/{i}", f"What is {i} plus 1?", str(i + 1), "Algebra", "toy")
            for i in range(SIZES[name])
        ]

    monkeypatch.setattr(answers, "benchmark", problems)
    monkeypatch.setattr(answers, "BATCH", 4)
    return Run(trained)


@pytest.fixture
def engines(monkeypatch):
    return fake_vllm.install(monkeypatch)


def answered(reports):
    columns = ["benchmark", "problem", "sample", "text", "correct"]
    return pd.concat({step: r.records[columns] for step, r in reports.items()})


def test_one_engine_answers_for_every_checkpoint_of_a_run_in_one_call_a_benchmark(run, engines):
    how = {"benchmarks": list(SIZES), "progress": False, "limit": 5}
    how["protocol"] = Protocol(max_completion_length=6, temperature=0, samples=1, dtype="float32")
    ours = run.evaluate("all", name="vllm", backend="vllm", **how)
    (engine,) = engines
    assert engine.calls == [5, 3, 5] * 4
    assert engine.reloads == 3, "the first weights are those that it started with"
    assert engine.closed
    theirs = run.evaluate("all", name="torch", backend="torch", **how)
    pd.testing.assert_frame_equal(answered(ours), answered(theirs))
    texts = answered(ours)["text"].groupby(level=0).agg(tuple)
    assert texts.nunique() == 4, "the checkpoints differ, so old weights would show"
    run.evaluate("all", name="vllm", backend="vllm", **how)
    assert len(engines) == 1, "nothing is started for what is kept"


@pytest.mark.parametrize(("samples", "slots"), [(1, 7), (8, 56), (300, ROWS_AT_ONCE)])
def test_an_engine_has_as_many_slots_as_the_largest_benchmark_has_answers(
    run, engines, samples, slots
):
    how = Protocol(samples, 1.0, max_completion_length=1, dtype="float32")
    report = onerl.evaluate(run, ["toy", "math500"], backend="vllm", protocol=how)
    (engine,) = engines
    assert engine.how["max_num_seqs"] == slots
    assert engine.calls == [5 * samples, 7 * samples]
    assert len(report.records) == 12 * samples


@pytest.mark.parametrize(
    ("protocol", "dtype", "label"),
    [
        (None, "float16", "paper; max_completion_length 6"),
        ("auto", "float32", "paper; max_completion_length 6, dtype auto"),
        ("bfloat16", "bfloat16", "paper; max_completion_length 6, dtype bfloat16"),
    ],
)
def test_an_engine_computes_in_the_protocols_precision(run, engines, protocol, dtype, label):
    how = Protocol(max_completion_length=6, dtype=protocol)
    report = onerl.evaluate(run, "math500", backend="vllm", protocol=how)
    assert [engine.how["dtype"] for engine in engines] == [dtype]
    assert set(report.table["protocol"]) == {label}


def test_benchmarks_of_two_precisions_have_an_engine_each_and_one_at_a_time(run, engines):
    report = onerl.evaluate(run, ["math500", "toy"], backend="vllm", protocol=SHORT)
    assert [engine.how["dtype"] for engine in engines] == ["float16", "float32"]
    assert all(engine.closed for engine in engines)
    assert len(report.records) == 12


def test_another_architecture_starts_another_engine_and_its_weights_are_not_mixed(
    run, engines, tmp_path
):
    other = tmp_path / "llama"
    tiny_model("llama").save_pretrained(other)
    character_tokenizer().save_pretrained(other)
    how = {"benchmarks": "toy", "protocol": SHORT}
    models = [run.checkpoints[0], other, run.checkpoints[-1]]
    how["prompting"] = onerl.Prompting("world")
    with onerl.one_engine("vllm") as engine:
        ours = [onerl.evaluate(model, backend=engine, **how) for model in models]
        assert [one.closed for one in engines] == [True, True, False]
    assert engines[-1].closed
    for model, report in zip(models, ours, strict=True):
        theirs = onerl.evaluate(model, backend="torch", **how)
        assert list(report.records["text"]) == list(theirs.records["text"])


def test_an_engine_is_closed_when_an_evaluation_fails(run, engines, monkeypatch):
    monkeypatch.setattr(fake_vllm.LLM, "generate", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run.evaluate("all", "toy", backend="vllm", protocol=SHORT, progress=False)
    assert engines[0].closed
