"""Kept answers belong to their inputs, and damage to them is named and healed or refused."""

import json
import logging
import shutil

import pandas as pd
import pytest
from small_models import character_tokenizer, tiny_model

from onerl.evaluation import Prompting, Protocol, answers, evaluate
from onerl.problems import Problem

HOW = {
    "prompting": Prompting("world"),
    "protocol": Protocol(samples=2, temperature=1.0, max_completion_length=12),
}
COLUMNS = ["problem", "sample", "seed", "text", "finish", "gold", "correct"]


@pytest.fixture
def toy(monkeypatch):
    """Twelve problems that a test may change, kept in three parts."""
    problems = [
        Problem(f"toy/{i}", f"What is {i} plus 1?", str(i + 1), "Algebra", "toy") for i in range(12)
    ]
    monkeypatch.setattr(answers, "benchmark", lambda name, world: list(problems))
    monkeypatch.setattr(answers, "BATCH", 8)
    return problems


@pytest.fixture
def model(tiny_model_dir, tmp_path):
    return shutil.copytree(tiny_model_dir, tmp_path / "model")


@pytest.fixture
def kept(toy, model, tmp_path):
    """A finished evaluation: its folder, and what it returned."""
    records = evaluate(model, ["toy"], out=tmp_path / "out", **HOW).records
    return tmp_path / "out" / "toy", records


def again(model, kept):
    return evaluate(model, ["toy"], out=kept[0].parent, **HOW).records


def test_a_part_is_listed_with_its_sum(kept):
    settings = json.loads((kept[0] / "settings.json").read_text())
    assert sorted(settings["parts"]) == sorted(f.name for f in kept[0].glob("*.parquet"))
    assert len(settings["parts"]) == 3


def flip_a_bit(file):
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def cut(file):
    file.write_bytes(file.read_bytes()[:-100])


def empty(file):
    file.write_bytes(b"")


def forge(file):
    rows = pd.read_parquet(file)
    rows.assign(correct=True).to_parquet(file, index=False)


def overwrite_with_another(file):
    shutil.copyfile(file.with_name("from-00000.parquet"), file)


@pytest.mark.parametrize("damage", [flip_a_bit, cut, empty, forge, overwrite_with_another])
@pytest.mark.parametrize("part", ["from-00004.parquet", "from-00008.parquet"])
def test_a_damaged_part_is_named_and_sampled_again(model, kept, caplog, damage, part):
    damage(kept[0] / part)
    with caplog.at_level(logging.WARNING):
        healed = again(model, kept)
    assert f"{part}: is damaged; its problems are sampled again" in caplog.text
    pd.testing.assert_frame_equal(healed[COLUMNS], kept[1][COLUMNS])
    caplog.clear()
    pd.testing.assert_frame_equal(again(model, kept)[COLUMNS], kept[1][COLUMNS])
    assert not caplog.records, "it was healed once"


def test_a_damaged_part_is_healed_under_another_batch_size_too(model, kept, monkeypatch):
    flip_a_bit(kept[0] / "from-00004.parquet")
    (kept[0] / "from-00000.parquet").unlink()
    monkeypatch.setattr(answers, "BATCH", 6)
    for _ in range(2):
        pd.testing.assert_frame_equal(again(model, kept)[COLUMNS], kept[1][COLUMNS])


def test_answers_that_the_evaluation_did_not_write_are_named_and_never_counted(
    model, kept, caplog, tmp_path
):
    shutil.copyfile(kept[0] / "from-00000.parquet", kept[0] / "from-00000 (copy).parquet")
    foreign = kept[1].assign(problem="other/" + kept[1]["problem"], correct=True)
    foreign.to_parquet(kept[0] / "from-00012.parquet")
    with caplog.at_level(logging.WARNING):
        found = again(model, kept)
    pd.testing.assert_frame_equal(found[COLUMNS], kept[1][COLUMNS])
    for name in ("from-00000 (copy).parquet", "from-00012.parquet"):
        assert f"{name}: was not written by this evaluation; it is not read" in caplog.text
        assert (kept[0] / name).exists(), "what we did not write is not deleted"


def edit_an_answer(toy, model):
    toy[3] = Problem(toy[3].id, toy[3].question, "5", "Algebra", "toy")
    return "problems"


def edit_a_question(toy, model):
    toy[3] = Problem(toy[3].id, "What else?", toy[3].answer, "Algebra", "toy")
    return "problems"


def lose_a_problem(toy, model):
    del toy[5]
    return "problems"


def add_a_problem(toy, model):
    toy.append(Problem("toy/12", "What is 12 plus 1?", "13", "Algebra", "toy"))
    return "problems"


def change_the_prompt(toy, model):
    from onerl.problems.prompts import STRINGS

    STRINGS["world"] = {**STRINGS["world"], "eval": "Task: {q}\nSolution:"}
    return "prompts"


def replace_the_weights(toy, model):
    tiny_model(seed=1).save_pretrained(model)
    return "model"


def change_the_end_tokens(toy, model):
    (model / "generation_config.json").write_text('{"eos_token_id": [1, 9]}')
    return "setup"


def change_the_tokenizer(toy, model):
    tokenizer = character_tokenizer()
    tokenizer.add_tokens(["ab"])
    tokenizer.save_pretrained(model)
    return "setup"


@pytest.mark.parametrize(
    "change",
    [
        edit_an_answer,
        edit_a_question,
        lose_a_problem,
        add_a_problem,
        change_the_prompt,
        replace_the_weights,
        change_the_end_tokens,
        change_the_tokenizer,
    ],
)
def test_kept_answers_are_not_returned_for_other_inputs(toy, model, kept, monkeypatch, change):
    from onerl.problems import prompts

    monkeypatch.setattr(prompts, "STRINGS", prompts.STRINGS)
    before = dict(prompts.STRINGS)
    named = change(toy, model)
    try:
        with pytest.raises(ValueError, match=rf"sampled in another way: {named} is .* and was "):
            again(model, kept)
    finally:
        prompts.STRINGS.update(before)


@pytest.mark.parametrize("content", ["", "{", "[1, 2]", "null", '{"model": "x"'])
def test_torn_settings_are_one_line(model, kept, content):
    (kept[0] / "settings.json").write_text(content)
    with pytest.raises(ValueError, match=r"settings\.json: is torn.*delete the folder"):
        again(model, kept)


def test_answers_without_their_settings_are_refused(model, kept):
    (kept[0] / "settings.json").unlink()
    with pytest.raises(ValueError, match=r"holds answers \(\*\.parquet\) and no settings\.json"):
        again(model, kept)


def test_answers_kept_by_an_older_version_say_what_to_do(model, kept):
    file = kept[0] / "settings.json"
    settings = json.loads(file.read_text())
    del settings["parts"]
    file.write_text(json.dumps(settings))
    with pytest.raises(ValueError, match="by an older version; delete the folder"):
        again(model, kept)


def test_answers_longer_than_the_models_positions_are_refused_before_sampling(toy, model):
    for length in (513, 10**9):
        long = Protocol(max_completion_length=length)
        with pytest.raises(ValueError, match=rf"max_completion_length = {length}.*at most 512$"):
            evaluate(model, ["toy"], prompting=HOW["prompting"], protocol=long)
