"""Names lead to the right problems, and what is missing is said in one line."""

import json
import logging
import os
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from onerl import paper
from onerl.problems import PI1, Problem, benchmark, examples, released
from onerl.problems.prompts import SUFFIX
from onerl.problems.released import ranking
from onerl.recipe import Recipe
from onerl.training.rows import training_rows
from onerl.verifier import verify

needs_data = pytest.mark.skipif(
    not os.environ.get("ONERL_DATA"), reason="ONERL_DATA does not name the released data"
)


def test_pi1_is_built_in_and_needs_no_data(monkeypatch):
    monkeypatch.delenv("ONERL_DATA", raising=False)
    assert examples("pi1") == [PI1]
    assert PI1.answer == "12.8"
    assert SUFFIX not in PI1.question
    assert "\\\\" not in PI1.question
    assert examples("pi1_simplified")[0].answer == "12.8"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("pi0", "ranks go from 1 to 1209"),
        ("pi1210", "ranks go from 1 to 1209"),
        ("pi16..pi1", "ranks go from 1 to 1209"),
        ("pi1+pi1", "names pi1 twice"),
        ("dsr_sup", "nearest: 'dsr_sub'"),
        ("", "allowed: pi1"),
        ("world:pi2", "world:TEMPLATE:N"),
        ("nowhere.yaml", "no such file"),
    ],
)
def test_a_name_that_is_none_is_an_error(name, said):
    with pytest.raises(ValueError, match=said):
        examples(name)


def test_your_own_problem_is_an_example():
    (problem,) = examples({"problem": "What is 2+3*4?", "answer": "14"})
    assert problem == Problem("own", "What is 2+3*4?", "14", "", "your own")


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"problem": "2+3?"}, "has no answer"),
        ({"problem": "2+3?", "answer": " "}, "has no answer"),
        ({"problem": "2+3?", "answer": None}, "has no answer"),
        ({"answer": "5"}, "has no problem"),
        ({"problem": "2+3?", "anser": "5"}, "nearest: 'answer'"),
    ],
)
def test_your_own_problem_must_be_whole(entry, said):
    with pytest.raises(ValueError, match=said):
        examples(entry)


def test_a_file_holds_one_problem_or_several_and_keeps_the_text_of_answers(tmp_path):
    one, several = tmp_path / "one.yaml", tmp_path / "several.json"
    one.write_text("problem: What is \\( 64/5 \\)?\nanswer: 12.80\n")
    several.write_text(
        json.dumps([{"problem": "\\frac{1}{2}+1", "answer": 1.5}, {"problem": "b", "answer": "2"}])
    )
    (problem,) = examples(str(one))
    assert (problem.question, problem.answer) == ("What is \\( 64/5 \\)?", "12.80")
    assert [(p.id, p.question, p.answer) for p in examples(str(several))] == [
        ("several/1", "\\frac{1}{2}+1", "1.5"),
        ("several/2", "b", "2"),
    ]


def test_names_can_be_summed_also_across_worlds():
    first, second = examples("world:pi1+world:bags:3")
    assert first == examples("world:pi1")[0]
    assert second == examples("world:bags:3")[0]


def test_without_data_and_network_one_line_says_what_is_missing(monkeypatch):
    import huggingface_hub

    def unreachable(*_, **__):
        raise OSError("no network")

    monkeypatch.delenv("ONERL_DATA", raising=False)
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", unreachable)
    for name, file in (("pi2", "acc_step_500.json"), ("dsr_sub", "dsr_sub.parquet")):
        ranking.cache_clear()
        released.pool.cache_clear()
        with pytest.raises(FileNotFoundError, match=rf"^{file}.*ONERL_DATA.*$"):
            examples(name)
    with pytest.raises(FileNotFoundError, match=r"^benchmark aime24.*eval/aime24/test.jsonl$"):
        benchmark("aime24")


def test_the_papers_tables_keep_labels_as_text():
    assert set(paper.table("table5_ablation")["label"]) == {"12.8", "12.7", "4", "929725"}
    assert len(paper.tables()) == 21
    with pytest.raises(ValueError, match="nearest: 'table5_ablation'"):
        paper.table("table5_ablations")


@needs_data
def test_the_computed_ranks_give_every_row_of_the_papers_table():
    rows = paper.table("pi_examples")
    assert len(rows) == 28
    for row in rows.itertuples():
        (problem,) = examples(f"pi{row.pi}")
        assert problem.source == f"dsr_sub/{rows.set_index('pi')['index'][row.pi]}"
        assert problem.answer == row.label
        assert problem.category == ("" if row.category != row.category else row.category)
        assert SUFFIX not in problem.question
    assert sorted(ranking()) == list(range(1209))


@needs_data
def test_ranks_fall_with_the_standard_deviation_and_ties_keep_the_files_order():
    """The released script takes np.std; the variance has fewer ties and another order."""
    file = Path(os.environ["ONERL_DATA"], "one_shot_rlvr", "acc_step_500.json")
    history = json.loads(file.read_text())
    place = {int(key): position for position, key in enumerate(history)}
    order = [(-np.std(history[str(index)]), place[index]) for index in ranking()]
    assert order == sorted(order)


@needs_data
@pytest.mark.parametrize(
    ("name", "file", "copies"),
    [
        ("pi1", "pi1_r128", 128),
        ("pi2", "pi2_r128", 128),
        ("pi13", "pi13_r128", 128),
        ("pi1209", "pi1209_r128", 128),
        ("pi1+pi13", "merge_pi1_pi13_r128", 64),
        ("pi1+pi2+pi13+pi1209", "merge_pi1_pi2_pi13_pi1209_r128", 32),
    ],
)
def test_named_sets_are_the_released_files(name, file, copies):
    released = pd.read_parquet(Path(os.environ["ONERL_DATA"], "one_shot_rlvr", f"{file}.parquet"))
    ours = [(p.question + SUFFIX, p.answer) for p in examples(name) for _ in range(copies)]
    theirs = [
        (prompt[0]["content"], reward["ground_truth"])
        for prompt, reward in zip(released["prompt"], released["reward_model"], strict=True)
    ]
    assert sorted(ours) == sorted(theirs)


@needs_data
def test_sets_have_the_size_they_say_and_broken_labels_are_left_out_aloud(caplog):
    assert [p.id for p in examples("pi1..pi16")] == [f"pi{i}" for i in range(1, 17)]
    drawn = examples("random16")
    assert len({p.id for p in drawn}) == 16
    assert examples("random16") == drawn
    with caplog.at_level(logging.WARNING):
        pool = examples("dsr_sub")
    assert len(pool) == 1207
    assert "265" in caplog.text
    assert "1187" in caplog.text
    assert all(p.answer for p in pool)


@needs_data
def test_dsr_sub_all_holds_the_broken_labels_and_trains_on_them(caplog):
    """Asked for by name they are kept, as in the paper's own run; they can never be rewarded."""
    pool = examples("dsr_sub_all")
    assert len(pool) == 1209
    assert pool[265].answer == ""
    assert not verify(f"\\boxed{{{pool[1187].answer}}}", pool[1187].answer)
    assert [p for i, p in enumerate(pool) if i not in (265, 1187)] == examples("dsr_sub")
    assert len(training_rows(Recipe(examples="dsr_sub_all"))) == 1209


@needs_data
def test_random16_is_drawn_by_its_seed():
    assert examples("random16:16") == examples("random16")
    assert {p.id for p in examples("random16:7")} != {p.id for p in examples("random16")}
    assert len({p.id for p in examples("random16:7")}) == 16


def test_maths_training_set_comes_from_its_file_and_bad_rows_are_named(monkeypatch, tmp_path):
    rows = [
        {"problem": "1+1?", "solution": r"so \boxed{2}", "type": "Algebra"},
        {"problem": "1+2?", "solution": "so 3", "type": "Algebra"},
    ]
    file = tmp_path / "math_train" / "train.jsonl"
    file.parent.mkdir()
    file.write_text(json.dumps(rows[0]) + "\n")
    monkeypatch.setenv("ONERL_DATA", str(tmp_path))
    assert examples("math_train") == [Problem("math_train/0", "1+1?", "2", "Algebra", "math_train")]
    file.write_text("\n".join(json.dumps(row) for row in rows))
    with pytest.raises(ValueError, match=r"math_train: 1 rows lack .*: 1"):
        examples("math_train")
    file.unlink()
    with pytest.raises(FileNotFoundError, match=r"lacks the file .*train\.jsonl"):
        examples("math_train")


@pytest.fixture
def damaged(monkeypatch, tmp_path):
    """A copy of the release to spoil; what was read of it is forgotten before and after."""
    folder = tmp_path / "one_shot_rlvr"
    shutil.copytree(Path(os.environ["ONERL_DATA"], "one_shot_rlvr"), folder)
    monkeypatch.setenv("ONERL_DATA", str(tmp_path))
    ranking.cache_clear()
    released.pool.cache_clear()
    yield folder
    ranking.cache_clear()
    released.pool.cache_clear()


@needs_data
@pytest.mark.parametrize("label", [None, "", " "])
def test_a_row_without_a_label_is_named(damaged, label):
    table = pd.read_parquet(damaged / "dsr_sub.parquet")
    labels = list(table["reward_model"])
    labels[7] = {**labels[7], "ground_truth": label}
    table.assign(reward_model=labels).to_parquet(damaged / "dsr_sub.parquet")
    with pytest.raises(ValueError, match=r"dsr_sub\.parquet: 1 rows have no label: dsr_sub/7$"):
        examples("dsr_sub")


@needs_data
def test_a_damaged_file_of_the_release_is_named_in_one_line(damaged):
    table = pd.read_parquet(damaged / "dsr_sub.parquet")
    table.drop(columns="reward_model").to_parquet(damaged / "dsr_sub.parquet")
    with pytest.raises(ValueError, match=r"dsr_sub\.parquet: cannot be read: .*reward_model"):
        examples("dsr_sub")
    (damaged / "dsr_sub.parquet").write_bytes(b"torn")
    with pytest.raises(ValueError, match=r"dsr_sub\.parquet: cannot be read: "):
        examples("dsr_sub")
    (damaged / "acc_step_500.json").write_text('{"0": [0.5')
    with pytest.raises(ValueError, match=r"acc_step_500\.json: is not whole: "):
        examples("pi2")


@needs_data
@pytest.mark.parametrize("rank", [1101, 1189])
def test_an_example_with_a_broken_label_is_refused(rank):
    with pytest.raises(ValueError, match=f"label of pi{rank}"):
        examples(f"pi{rank}")


@needs_data
def test_the_pool_has_1209_rows_and_1207_different_questions():
    pool = released.pool()
    assert len(pool) == 1209
    assert len({problem.question for problem in pool}) == 1207
    assert pool[136].question == pool[780].question == pool[899].question
