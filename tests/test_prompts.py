"""The strings a model is shown are the paper's, byte for byte."""

import os
from pathlib import Path

import pytest

from onerl.models import locate
from onerl.problems import PI1
from onerl.problems.prompts import STRINGS, SUFFIX, after_example, prompt_for, prompt_sha256
from onerl.recipe import Recipe
from onerl.training.rows import training_rows

TRAIN_PI1 = (
    "<|im_start|>system\nPlease reason step by step, and put your final answer within \\boxed{}."
    "<|im_end|>\n<|im_start|>user\nThe pressure \\( P \\) exerted by wind on a sail varies jointly"
    " as the area \\( A \\) of the sail and the cube of the wind's velocity \\( V \\). When the"
    " velocity is \\( 8 \\) miles per hour, the pressure on a sail of \\( 2 \\) square feet is"
    " \\( 4 \\) pounds. Find the wind velocity when the pressure on \\( 4 \\) square feet of sail"
    " is \\( 32 \\) pounds. Let's think step by step and output the final answer within \\boxed{}."
    "<|im_end|>\n<|im_start|>assistant\n"
)


def test_the_training_prompt_of_pi1_is_the_papers():
    assert prompt_for(PI1.question, "qwen2.5-math", "train") == TRAIN_PI1
    assert (
        prompt_sha256(TRAIN_PI1)
        == "f25b8e0e2ffa5fe76d23c242b544574b48d01b332840d9cfa35d9095dd58955e"
    )


def test_llama_and_r1_are_trained_with_their_own_template_and_the_suffix():
    assert prompt_for("Q", "llama-3.2", "train") == (
        "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nCutting Knowledge Date:"
        " December 2023\nToday Date: 17 Apr 2025\n\n<|eot_id|><|start_header_id|>user"
        "<|end_header_id|>\n\nQ Let's think step by step and output the final answer within"
        " \\boxed{}.<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n"
    )
    assert prompt_for("Q", "r1-distill", "train") == (
        "<｜begin▁of▁sentence｜><｜User｜>Q Let's think step by step and output the final answer"
        " within \\boxed{}.<｜Assistant｜><think>\n"
    )


def test_without_the_suffix_a_training_prompt_is_the_question_alone():
    bare = prompt_for(PI1.question, "qwen2.5-math", "train", suffix=False)
    assert bare == TRAIN_PI1.replace(SUFFIX, "")
    assert bare == prompt_for(PI1.question, "qwen2.5-math", "eval")
    for format in ("llama-3.2", "r1-distill", "qwen2.5"):
        with_it = prompt_for("Q", format, "train")
        assert prompt_for("Q", format, "train", suffix=False) == with_it.replace(SUFFIX, "")
    (row,) = training_rows(Recipe(suffix=False))
    assert row["prompt"] == bare


def test_qwen_is_evaluated_without_the_suffix():
    assert prompt_for("What is 1+1?", locate("Qwen/Qwen2.5-Math-1.5B").format, "eval") == (
        "<|im_start|>system\nPlease reason step by step, and put your final answer within"
        " \\boxed{}.<|im_end|>\n<|im_start|>user\nWhat is 1+1?<|im_end|>\n<|im_start|>assistant\n"
    )


def test_llama_and_r1_are_evaluated_with_the_papers_fixed_strings():
    assert prompt_for("Q", "llama-3.2", "eval") == (
        "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nCutting Knowledge Date:"
        " December 2023\nToday Date: 17 Apr 2025\n\n <|eot_id|><|start_header_id|>user"
        "<|end_header_id|>\n\nQ<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n"
    )
    assert prompt_for("Q", "r1-distill", "eval") == (
        "<｜begin▁of▁sentence｜><｜User｜>Q<｜Assistant｜><think>\n"
    )


def test_a_base_qwen_is_trained_with_its_templates_own_system_message():
    assert prompt_for("Q", locate("Qwen/Qwen2.5-1.5B").format, "train") == (
        "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\nQ Let's"
        " think step by step and output the final answer within \\boxed{}.<|im_end|>\n"
        "<|im_start|>assistant\n"
    )
    assert "reason step by step" in prompt_for("Q", "qwen2.5", "eval")


def test_the_world_is_prompted_as_its_corpus_is_written():
    for split in ("train", "eval"):
        assert prompt_for("1+1?", "world", split) == "Problem: 1+1?\nSolution:"


@pytest.mark.parametrize("format", sorted(set(STRINGS) - {"world"}))
def test_training_ends_the_question_with_the_suffix_and_evaluation_never(format):
    assert f"Q{SUFFIX}<" in prompt_for("Q", format, "train")
    assert SUFFIX not in prompt_for("Q", format, "eval")


def test_braces_and_replacement_marks_in_a_question_stay_as_they_are():
    question = r"Let $f(x)=\frac{1}{2}$ {q} {system} %s \1"
    assert question in prompt_for(question, "qwen2.5-math", "train")


def test_another_chat_model_is_prompted_by_its_own_template(tmp_path):
    class Tokenizer:
        chat_template = "its own"
        name_or_path = "some/model"

        def apply_chat_template(self, messages, tokenize, add_generation_prompt):
            assert not tokenize
            assert add_generation_prompt
            return f"<user>{messages[0]['content']}<assistant>"

    assert prompt_for("Q", "chat", "eval", Tokenizer()) == f"<user>Q{SUFFIX}<assistant>"
    assert prompt_for("Q", "chat", "train", Tokenizer(), suffix=False) == "<user>Q<assistant>"
    assert prompt_for("Q", "chat", "train", Tokenizer()) == f"<user>Q{SUFFIX}<assistant>"


def test_a_model_that_nothing_is_known_of_is_an_error_that_lists_the_formats():
    assert locate("some/model").format == "chat"
    with pytest.raises(ValueError, match=r"some/model.*qwen2.5-math"):
        prompt_for("Q", "some/model", "train")
    bare = type("Tokenizer", (), {"name_or_path": "some/model"})
    with pytest.raises(ValueError, match=r"nothing says how 'some/model' is prompted.*qwen2.5"):
        prompt_for("Q", "chat", "train", bare)


def test_a_split_that_does_not_exist_is_an_error():
    with pytest.raises(ValueError, match="train or eval"):
        prompt_for("Q", "world", "test")


def test_an_example_goes_before_the_question_in_one_turn_as_in_the_papers_code():
    question = after_example("Q {2}?", "Q1?", "A1", "qwen2.5-math")
    assert question == "Q1?\nA1\n\nQ {2}?"
    turns = prompt_for(question, "qwen2.5-math", "eval")
    assert turns == STRINGS["qwen2.5-math"]["eval"].replace("{q}", question)
    assert turns.count("<|im_start|>user") == 1


def test_in_the_world_an_example_is_a_document_before_the_question():
    question = after_example("Q?", "Q1?", " A1.", "world")
    assert prompt_for(question, "world", "eval") == (
        "Problem: Q1?\nSolution: A1.\n\nProblem: Q?\nSolution:"
    )


@pytest.mark.skipif(not os.environ.get("ONERL_DATA"), reason="ONERL_DATA names no data")
def test_the_built_in_pi1_is_the_released_row():
    import pandas as pd

    file = Path(os.environ["ONERL_DATA"]) / "one_shot_rlvr" / "pi1_r128.parquet"
    row = pd.read_parquet(file).iloc[0]
    assert row["prompt"][0]["content"] == PI1.question + SUFFIX
    assert row["reward_model"]["ground_truth"] == PI1.answer
