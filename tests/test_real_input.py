"""The paper's recipe on the real π1 and real benchmarks, with a small model in Qwen's place.

The run goes through the notebook as a researcher starts it: papermill, the preset's name, and
overrides that name the small model and shrink the work.

Needs `ONERL_DATA`, the folder of the released data; skipped without it. The tokenizer is trained
on the spot on the problems' own text, with Qwen's special tokens; the model is taught a few answers
to π1, right and wrong, so that rewards have something to tell apart.
"""

import json
import os
from pathlib import Path

import nbformat
import pandas as pd
import papermill
import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

import onerl
from onerl.evaluation import Protocol
from onerl.problems import benchmark, examples
from onerl.problems.prompts import prompt_for, prompt_sha256

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


NOTEBOOK = Path(__file__).parents[1] / "notebooks" / "train.ipynb"


@pytest.fixture(scope="module")
def overrides(tmp_path_factory):
    """The model, and the size of the work; the rest is the paper's preset."""
    folder = tmp_path_factory.mktemp("small_qwen")
    (pi1,) = examples("pi1")
    prompt = prompt_for(pi1.question, "qwen2.5-math", "train")
    tokenizer = byte_tokenizer([prompt, *(p.question for p in benchmark("math500"))])
    tokenizer.save_pretrained(folder)
    taught_model(tokenizer, prompt).save_pretrained(folder)
    return {
        "model": str(folder),
        "backend": "torch",
        "steps": 3,
        "save_every": 1,
        "prompts_per_step": 2,
        "num_generations": 8,
        "max_completion_length": 24,
        "temperature": 1.0,
        "token_budget": 2000,
        "threads": 1,
        "benchmarks": ["aime25"],
    }


def through_the_notebook(folder: Path, overrides: dict) -> Path:
    """The executed notebook, whose run is in folder/run."""
    papermill.execute_notebook(
        NOTEBOOK,
        folder / "out.ipynb",
        parameters={
            "preset": "qwen2.5-math-1.5b",
            "out": str(folder / "run"),
            "overrides": overrides,
            "curve_points": 2,
        },
        cwd=str(NOTEBOOK.parents[1]),
        kernel_name="python3",
        progress_bar=False,
    )
    return folder / "out.ipynb"


@pytest.fixture(scope="module")
def executed(overrides, tmp_path_factory):
    return through_the_notebook(tmp_path_factory.mktemp("notebook"), overrides)


@pytest.fixture(scope="module")
def run(executed):
    return onerl.train(onerl.runs.Run(executed.parent / "run").recipe, executed.parent / "run")


def printed(notebook: Path) -> str:
    cells = nbformat.read(notebook, as_version=4).cells
    outputs = [output for cell in cells for output in cell.get("outputs", ())]
    return "".join(output.get("text", "") for output in outputs)


def test_the_notebook_goes_from_the_papers_preset_to_the_evaluation_table(executed, run, overrides):
    assert run.done
    differ = {
        name
        for name, value in onerl.Recipe.load("qwen2.5-math-1.5b").model_dump().items()
        if run.recipe.model_dump()[name] != value
    }
    assert differ <= set(overrides)
    table = pd.read_csv(run.path / "table.csv")
    accuracy = table[table["metric"] == "accuracy"].set_index("model")
    assert list(accuracy.index) == ["base model", "after 1-shot RLVR"]
    assert (accuracy[["n", "k"]] == [30, 8]).all().all()
    assert "aime25" in printed(executed)
    assert (run.path / "curves.png").stat().st_size > 1000


def test_a_mistake_stops_the_notebook_with_a_line_that_names_it(overrides, tmp_path):
    with pytest.raises(papermill.PapermillExecutionError) as stop:
        through_the_notebook(tmp_path, {**overrides, "model": "no/such-folder"})
    assert stop.value.evalue.startswith("model = 'no/such-folder': no such folder")
    assert "\n" not in stop.value.evalue
    assert not (tmp_path / "run" / "recipe.yaml").exists()


def test_the_prompt_is_the_released_one_and_the_label_is_text(run):
    file = Path(os.environ["ONERL_DATA"]) / "one_shot_rlvr" / "pi1_r128.parquet"
    released = pd.read_parquet(file).iloc[0]
    (pi1,) = examples(run.recipe.examples)
    shown = prompt_for(pi1.question, run.recipe.prompt, "train")
    assert f"<|im_start|>user\n{released['prompt'][0]['content']}<|im_end|>" in shown
    provenance = json.loads((run.path / "provenance.json").read_text())
    assert provenance["prompt_sha256"] == [prompt_sha256(shown)]
    assert pi1.answer == "12.8" == released["reward_model"]["ground_truth"]


def test_three_steps_reach_rewards_gradients_and_checkpoints(run):
    assert list(run.metrics["step"]) == [1, 2, 3]
    assert 0 < run.metrics["reward"].iloc[0] < 1
    assert (run.metrics["grad_norm"] > 0).all()
    assert (run.metrics["status/ok"] > 0).all()
    assert [step for step, _ in run.checkpoints] == [0, 1, 2, 3]


def test_the_last_checkpoint_is_evaluated_on_real_problems(run, tmp_path):
    report = onerl.evaluate(
        run.checkpoints[-1],
        ["math500"],
        limit=20,
        protocol=Protocol(max_completion_length=24),
        out=tmp_path,
    )
    real = {problem.id: problem.answer for problem in benchmark("math500")}
    assert len(report.records) == 20
    assert all(real[row.problem] == row.gold for row in report.records.itertuples())
    accuracy = report.table.set_index("metric").loc["accuracy"]
    assert accuracy["n"] == 20
    assert 0 <= accuracy["low"] <= accuracy["value"] <= accuracy["high"] <= 100
    assert (tmp_path / "math500" / "from-00000.parquet").exists()
