"""The paper's recipe on the real π1 and real MATH500 problems, with a small model in Qwen's place.

Needs `ONERL_DATA`, the folder of the released data; skipped without it. The tokenizer is trained
on the spot on the problems' own text, with Qwen's special tokens; the model is taught a few answers
to π1, right and wrong, so that rewards have something to tell apart.
"""

import json
import os
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

import onerl
from onerl.problems import benchmark, examples
from onerl.prompts import prompt_for

pytestmark = pytest.mark.skipif(
    not os.environ.get("ONERL_DATA"), reason="ONERL_DATA does not name the released data"
)
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
ANSWERS = [f"So V = \\boxed{{{value}}}" for value in ("12.8", "12.7", "12.70", "13")]


def byte_tokenizer(texts: list[str]) -> PreTrainedTokenizerFast:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=800, special_tokens=SPECIAL, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token=SPECIAL[0], pad_token=SPECIAL[0]
    )


def taught_model(tokenizer, prompt: str) -> Qwen2ForCausalLM:
    """A random small Qwen2, shown each answer to the prompt until it writes all of them."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    model = Qwen2ForCausalLM(
        Qwen2Config(
            vocab_size=len(tokenizer),
            hidden_size=64,
            intermediate_size=128,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            max_position_embeddings=2048,
            tie_word_embeddings=True,
            bos_token_id=None,
            eos_token_id=0,
            pad_token_id=0,
        )
    )
    texts = [prompt + answer + tokenizer.eos_token for answer in ANSWERS]
    rows = [tokenizer.encode(text, add_special_tokens=False) for text in texts]
    start, longest = len(tokenizer.encode(prompt, add_special_tokens=False)), max(map(len, rows))
    ids = torch.tensor([row + [0] * (longest - len(row)) for row in rows])
    labels = torch.tensor(
        [[-100] * start + row[start:] + [-100] * (longest - len(row)) for row in rows]
    )
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(150):
        model(input_ids=ids, labels=labels).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    return model.eval()


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    """The paper's preset, but for the model and the size of the work."""
    folder = tmp_path_factory.mktemp("small_qwen")
    (pi1,) = examples("pi1")
    prompt = prompt_for(pi1.question, "qwen2.5-math", "train")
    tokenizer = byte_tokenizer([prompt, *(p.question for p in benchmark("math500"))])
    tokenizer.save_pretrained(folder)
    taught_model(tokenizer, prompt).save_pretrained(folder)
    overrides = {
        "model": str(folder),
        "steps": 2,
        "save_every": 1,
        "prompts_per_step": 2,
        "num_generations": 8,
        "max_completion_length": 24,
        "temperature": 1.0,
        "threads": 1,
        "benchmarks": ["math500"],
    }
    found, _ = onerl.Recipe.from_notebook(
        {"preset": "qwen2.5-math-1.5b", "seed": 0, "out": None, "overrides": overrides}
    )
    return found


@pytest.fixture(scope="module")
def run(recipe, tmp_path_factory):
    return onerl.train(recipe, out=tmp_path_factory.mktemp("run"), progress=False)


def test_the_prompt_is_the_released_one_and_the_label_is_text(recipe):
    import pandas as pd

    file = Path(os.environ["ONERL_DATA"]) / "one_shot_rlvr" / "pi1_r128.parquet"
    released = pd.read_parquet(file).iloc[0]
    (pi1,) = examples(recipe.examples)
    shown = prompt_for(pi1.question, recipe.prompt, "train")
    assert f"<|im_start|>user\n{released['prompt'][0]['content']}<|im_end|>" in shown
    assert pi1.answer == "12.8" == released["reward_model"]["ground_truth"]


def test_two_steps_reach_rewards_gradients_and_checkpoints(run):
    assert list(run.metrics["step"]) == [1, 2]
    assert 0 < run.metrics["reward"].iloc[0] < 1
    assert (run.metrics["grad_norm"] > 0).all()
    assert (run.metrics["status/ok"] > 0).all()
    assert [step for step, _ in run.checkpoints] == [0, 1, 2]
    provenance = json.loads((run.path / "provenance.json").read_text())
    assert provenance


def test_the_last_checkpoint_is_evaluated_on_real_problems(run, tmp_path):
    report = onerl.evaluate(
        run.checkpoints[-1],
        run.recipe.benchmarks,
        limit=20,
        max_completion_length=24,
        out=tmp_path,
        progress=False,
    )
    real = {problem.id: problem.answer for problem in benchmark("math500")}
    assert len(report.records) == 20
    assert all(real[row.problem] == row.gold for row in report.records.itertuples())
    accuracy = report.table.set_index("metric").loc["accuracy"]
    assert accuracy["n"] == 20
    assert 0 <= accuracy["low"] <= accuracy["value"] <= accuracy["high"] <= 100
    assert (tmp_path / "math500" / "from-00000.parquet").exists()
