"""What a model's name means, and what is wrong with a folder that cannot be used."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from datasets import Dataset
from safetensors.torch import load_file, save_file
from small_models import character_tokenizer, tiny_model

from onerl import evaluate, models, world
from onerl.evaluation import Prompting, Protocol
from onerl.models import check_model, locate
from onerl.recipe import Recipe
from onerl.rollouts import backends
from onerl.runs import Run
from onerl.train import train
from onerl.training.trainer import OneShotTrainer

OWN = {"problem": "What is 1+1?", "answer": "2"}


@pytest.fixture
def folder(tiny_model_dir, tmp_path):
    """A model folder to be damaged."""
    return Path(shutil.copytree(tiny_model_dir, tmp_path / "model"))


def short(model) -> Recipe:
    return Recipe(
        model=str(model),
        prompt="world",
        examples=OWN,
        steps=1,
        prompts_per_step=1,
        num_generations=2,
        max_completion_length=4,
        backend="torch",
        benchmarks=["world"],
    )


def answered(model):
    how = {"protocol": Protocol(max_completion_length=4), "prompting": Prompting("world")}
    return evaluate(model, ["world"], limit=2, **how)


@pytest.mark.parametrize(
    ("model", "format"),
    [
        ("world", "world"),
        (str(world.FOLDER), "world"),
        ("Qwen/Qwen2.5-Math-1.5B", "qwen2.5-math"),
        ("Qwen/Qwen2.5-Math-7B", "qwen2.5-math"),
        ("Qwen/Qwen2.5-Math-1.5B-Instruct", "qwen2.5-math"),
        ("Qwen/Qwen2.5-1.5B", "qwen2.5"),
        ("Qwen/Qwen2.5-1.5B-Instruct", "chat"),
        ("deepseek-ai/DeepSeek-R1-Distill-Qwen-1.5B", "r1-distill"),
        ("meta-llama/Llama-3.2-3B-Instruct", "llama-3.2"),
        ("ypwang61/One-Shot-RLVR-Qwen2.5-Math-1.5B-pi1", "qwen2.5-math"),
        ("someone/worldly-chatter", "chat"),
    ],
)
def test_the_prompt_format_follows_from_the_models_name(model, format):
    assert locate(model).format == format
    assert models.prompt_format("auto", model) == format
    assert models.prompt_format("qwen2.5", model) == "qwen2.5"


def test_a_folder_tells_its_format_by_its_chat_template_or_its_world(tmp_path):
    (tmp_path / "chat_template.jinja").write_text("x <｜User｜> y")
    assert locate(tmp_path).format == "r1-distill"
    (tmp_path / "chat_template.jinja").write_text("anything else")
    assert locate(tmp_path).format == "chat"
    (tmp_path / "world.json").write_text("{}")
    assert locate(tmp_path).format == "world"


@pytest.fixture
def run(tiny_model_dir, tmp_path):
    """A run with two checkpoints, trained with the paper's prompt."""
    for step in (0, 10):
        shutil.copytree(tiny_model_dir, tmp_path / "run" / "checkpoints" / f"step-{step:06d}")
    recipe = Recipe.load("qwen2.5-math-1.5b", model="some/small-stand-in")
    (tmp_path / "run" / "recipe.yaml").write_text(recipe.to_yaml())
    return Run(tmp_path / "run")


def test_a_checkpoint_is_the_same_however_it_is_named(run):
    folder = run.path / "checkpoints" / "step-000010"
    for name in (run, run.path, str(run.path), folder, str(folder), run.checkpoints[-1]):
        found = locate(name)
        assert (found.folder, found.step, found.run) == (folder, 10, run.path.resolve())
        assert found.format == "qwen2.5-math", "a checkpoint is prompted as its run was"
        assert locate(found) is found
    assert locate((40, folder)).step == 40


def test_a_folder_that_is_no_checkpoint_belongs_to_no_run(run, tiny_model_dir):
    plain = locate(tiny_model_dir)
    assert (plain.run, plain.step, plain.format) == (None, None, "chat")
    beside = shutil.copytree(tiny_model_dir, run.path / "merged")
    assert locate(beside).run is None


def test_what_is_no_model_is_refused(tmp_path):
    for wrong in (None, "", 5, (1, None)):
        with pytest.raises(ValueError, match=r"^model = .*allowed: .world., a folder"):
            locate(wrong)
    (tmp_path / "recipe.yaml").write_text("model: world\n")
    with pytest.raises(ValueError, match="this run has no checkpoint yet"):
        locate(tmp_path)


def test_end_tokens_are_those_of_tokenizer_and_generation_config_as_in_training(folder, tmp_path):
    config = json.loads((folder / "generation_config.json").read_text())
    (folder / "generation_config.json").write_text(json.dumps(config | {"eos_token_id": [7, 9]}))
    assert locate(folder).stops == {1, 7, 9}
    rows = Dataset.from_list([{"prompt": "1+1=", "answer": "2"}])
    trainer = OneShotTrainer(short(folder), str(folder), rows, tmp_path / "run")
    assert set(trainer.eos_token_ids) == locate(folder).stops
    (folder / "generation_config.json").unlink()
    assert locate(folder).stops == {1}


def test_every_use_of_a_model_ends_at_the_same_tokens(folder, monkeypatch):
    """Also at those of the generation config alone, and at no chat token that only has a name."""
    from onerl.evaluation.contamination import completion
    from onerl.rollouts.shared_prompt import SharedPromptSampler
    from onerl.training import prospects

    tokenizer = character_tokenizer()
    tokenizer.add_tokens(["<|im_end|>"])
    tokenizer.save_pretrained(folder)
    config = json.loads((folder / "generation_config.json").read_text())
    (folder / "generation_config.json").write_text(json.dumps(config | {"eos_token_id": [1, 9]}))
    seen, sample = [], SharedPromptSampler.sample

    def recording(self, prompts, request):
        seen.append(request.eos_ids)
        return sample(self, prompts, request)

    monkeypatch.setattr(SharedPromptSampler, "sample", recording)
    answered(folder)
    prospects.sample(short(folder), 2)
    completion(folder, "world", limit=2)
    train(short(folder), folder / "run", progress=False)
    assert seen == [{1, 9}] * 4


def test_the_sums_are_of_weights_and_of_what_else_decides(folder, tiny_model_dir):
    assert locate(folder).sha256 == locate(tiny_model_dir).sha256
    (folder / "README.md").write_text("said")
    assert locate(folder).setup_sha256 == locate(tiny_model_dir).setup_sha256
    tiny_model(seed=1).save_pretrained(folder)
    assert locate(folder).sha256 != locate(tiny_model_dir).sha256
    assert locate(folder).setup_sha256 == locate(tiny_model_dir).setup_sha256
    (folder / "generation_config.json").write_text('{"eos_token_id": 5}')
    assert locate(folder).setup_sha256 != locate(tiny_model_dir).setup_sha256


def change_weights(folder: Path, change) -> None:
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})


def change_config(folder: Path, **values) -> None:
    file = folder / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | values))


def lose_a_tensor(folder):
    change_weights(folder, lambda tensors: tensors.pop("model.layers.1.mlp.up_proj.weight"))


def add_a_tensor(folder):
    change_weights(folder, lambda tensors: tensors.update(own=torch.zeros(3)))


def cut_a_tensor(folder):
    def change(tensors):
        tensors["model.norm.weight"] = tensors["model.norm.weight"][:-1].clone()

    change_weights(folder, change)


def untie_the_head(folder):
    change_config(folder, tie_word_embeddings=False)


def forget_a_layer(folder):
    change_config(folder, num_hidden_layers=1, layer_types=["full_attention"])


def want_a_layer_more(folder):
    change_config(folder, num_hidden_layers=3, layer_types=["full_attention"] * 3)


def cut_the_weights(folder):
    content = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(content[: len(content) // 2])


def tear_the_config(folder):
    (folder / "config.json").write_text((folder / "config.json").read_text()[:40])


def tear_the_tokenizer_config(folder):
    (folder / "tokenizer_config.json").write_text("{")


def empty_the_generation_config(folder):
    (folder / "generation_config.json").write_text("")


def leave_adapters(folder):
    (folder / "adapter_config.json").write_text('{"peft_type": "LORA"}')


def pickle_the_weights(folder):
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()


def hold_a_list(folder):
    (folder / "config.json").write_text("[]")


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        (lose_a_tensor, r"missing: model\.layers\.1\.mlp\.up_proj\.weight$"),
        (add_a_tensor, "unexpected: own$"),
        (cut_a_tensor, "cannot be loaded|mismatched"),
        (untie_the_head, r"missing: lm_head\.weight$"),
        (forget_a_layer, r"unexpected: model\.layers\.1\..* and 11 more$"),
        (want_a_layer_more, r"missing: model\.layers\.2\..* and 11 more$"),
        (cut_the_weights, "cannot be loaded: "),
        (tear_the_config, r"config\.json: is not whole JSON"),
        (hold_a_list, r"config\.json: holds no JSON object"),
        (tear_the_tokenizer_config, r"tokenizer_config\.json: is not whole JSON"),
        (empty_the_generation_config, r"generation_config\.json: is not whole JSON"),
        (leave_adapters, r"holds adapters \(adapter_config\.json\).*merge them"),
        (pickle_the_weights, r"lacks model\.safetensors; weights are read from that format only"),
    ],
)
def test_a_damaged_model_is_refused_in_one_line_by_training_and_evaluation(
    folder, tmp_path, damage, named
):
    damage(folder)
    for use in (
        lambda: check_model(str(folder)),
        lambda: answered(folder),
        lambda: train(short(folder), tmp_path / "run", progress=False),
        lambda: backends.sampler_for("torch", folder),
    ):
        with pytest.raises((ValueError, FileNotFoundError), match=named) as refused:
            use()
        assert "\n" not in str(refused.value)
    assert not (tmp_path / "run" / "recipe.yaml").exists()


def test_whole_models_are_not_refused(folder, tmp_path):
    check_model(str(folder))
    check_model(str(world.FOLDER))
    tiny_model(tie_word_embeddings=False).save_pretrained(folder, max_shard_size="60KB")
    (folder / "model.safetensors").unlink()
    assert (folder / "model.safetensors.index.json").exists()
    check_model(str(folder))
    tiny_model("llama", attention_bias=True).save_pretrained(tmp_path / "llama")
    character_tokenizer().save_pretrained(tmp_path / "llama")
    check_model(str(tmp_path / "llama"))


EVIL = """
from pathlib import Path
from transformers import PretrainedConfig, PreTrainedModel
Path(__file__).with_name("executed").touch()
Path({marker!r}).touch()
class EvilConfig(PretrainedConfig):
    model_type = "evil"
class EvilModel(PreTrainedModel):
    config_class = EvilConfig
class EvilTokenizer:
    pass
"""
TRUSTING = """
import sys
from pathlib import Path
import onerl
from onerl import models
from onerl.training import prospects
from onerl.training.dry_run import dry_run

model, out = sys.argv[1], Path(sys.argv[2])
recipe = onerl.Recipe(
    model=model, prompt="world", examples={"problem": "1?", "answer": "2"}, steps=1,
    prompts_per_step=1, num_generations=2, max_completion_length=4, backend="torch"
)
for name, use in {
    "train": lambda: onerl.train(recipe, out, progress=False),
    "evaluate": lambda: onerl.evaluate(model, ["world"], limit=1),
    "prospects": lambda: prospects.sample(recipe, 1),
    "check": lambda: models.check_model(model),
    "tokenizer": lambda: models.locate(model).tokenizer,
    "stops": lambda: models.locate(model).stops,
    "dry run": lambda: dry_run(recipe, out),
}.items():
    try:
        use()
        print(f"{name}: nothing raised")
    except Exception as error:
        print(f"{name}: {error}")
"""


def test_a_model_folders_own_code_is_never_run_whatever_stdin_says(folder, tmp_path):
    (folder / "evil.py").write_text(EVIL.format(marker=str(tmp_path / "executed")))
    automatic = {"AutoConfig": "evil.EvilConfig", "AutoModelForCausalLM": "evil.EvilModel"}
    change_config(folder, model_type="evil", architectures=["EvilModel"], auto_map=automatic)
    tokenizer = folder / "tokenizer_config.json"
    own = {"auto_map": {"AutoTokenizer": ["evil.EvilTokenizer", None]}, "tokenizer_class": "Evil"}
    tokenizer.write_text(json.dumps(json.loads(tokenizer.read_text()) | own))
    (folder / "generation_config.json").unlink()
    done = subprocess.run(
        [sys.executable, "-c", TRUSTING, folder, tmp_path / "run"],
        input="y\n" * 20,
        capture_output=True,
        text=True,
        env={**os.environ, "HF_HOME": str(tmp_path / "hub")},
        check=True,
    )
    assert not list(tmp_path.rglob("executed")), done.stdout + done.stderr
    assert "Do you wish to run the custom code" not in done.stdout + done.stderr
    for use in ("train", "evaluate", "prospects", "check", "tokenizer"):
        said = [line for line in done.stdout.splitlines() if line.startswith(f"{use}: ")]
        assert "wants Python code of its own to be run (auto_map), which is never done" in said[0]


def test_a_hub_model_is_fetched_when_its_files_are_needed(tiny_model_dir, monkeypatch):
    import huggingface_hub

    fetched = []

    def snapshot(name, **how):
        fetched.append(name)
        return str(tiny_model_dir)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot)
    located = locate("some/model")
    assert (located.folder, fetched) == (None, [])
    assert located.sha256 == locate(tiny_model_dir).sha256
    assert located.positions == 512
    assert fetched == ["some/model"]
    sampler = backends.sampler_for("torch", locate("some/model"))
    assert torch.equal(sampler.model.lm_head.weight, tiny_model().lm_head.weight)
