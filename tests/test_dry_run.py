"""The dry run says what a run would be, take and need, and does not start it."""

import json
import re
import shutil
import urllib.error
from pathlib import Path

import pytest
from small_models import short_recipe, tiny_model
from transformers import LlamaConfig, Qwen2Config

from onerl import models
from onerl.recipe import Recipe, presets
from onerl.train import main, train
from onerl.training import dry_run, memory

QWEN = Qwen2Config(
    vocab_size=151936,
    hidden_size=1536,
    intermediate_size=8960,
    num_hidden_layers=28,
    num_attention_heads=12,
    num_key_value_heads=2,
    tie_word_embeddings=True,
)
LLAMA = LlamaConfig(
    vocab_size=128256,
    hidden_size=3072,
    intermediate_size=8192,
    num_hidden_layers=28,
    num_attention_heads=24,
    num_key_value_heads=8,
    head_dim=128,
    tie_word_embeddings=True,
)
R1 = Qwen2Config(**{**QWEN.to_dict(), "tie_word_embeddings": False})
GPU_24 = 24 * 2**30 / 1e9


@pytest.fixture
def own(tiny_model_dir):
    return Recipe.load(
        "tiny",
        model=str(tiny_model_dir),
        examples={"problem": "What is 1+1?", "answer": "2"},
        steps=4,
        save_every=2,
        prompts_per_step=2,
        num_generations=2,
        max_completion_length=8,
    )


def command(recipe, out, *more):
    file = out.parent / "recipe.yaml"
    file.write_text(recipe.to_yaml())
    main(["--params", str(file), "--out", str(out), *more])


def test_it_prints_all_and_leaves_no_trace(own, tmp_path, capsys):
    command(own, tmp_path / "run", "--dry-run")
    said = capsys.readouterr().out
    assert re.search(r"^steps: 4 +# yours; preset: 60$", said, flags=re.MULTILINE)
    assert re.search(r"^temperature: 1\.0 +# preset: the paper: 0\.6;", said, flags=re.MULTILINE)
    assert re.search(r"^beta: 0\.001 +# default, script: kl_loss_coef", said, flags=re.MULTILINE)
    assert re.search(r"^vllm_memory: 0\.3 +# default; script.*: 0\.7$", said, flags=re.MULTILINE)
    assert "4 rollouts (2 prompts, copies included, x 2), at most 32 tokens" in said
    assert "the run: 4 steps, 16 rollouts, at most 128 tokens" in said
    assert "GPU memory while sampling" in said
    assert "3 checkpoints of" in said
    assert "found    benchmark world: 1000 problems" in said
    assert "MISSING" not in said
    assert not (tmp_path / "run").exists()


def test_its_count_of_checkpoints_and_bytes_is_what_a_run_leaves(own, tmp_path):
    run = train(own.replace(lora_rank=2), tmp_path / "run", progress=False)
    shape = memory.shape_of(tiny_model().config)
    parts = memory.disk(run.recipe, shape)
    first = next(iter(parts))
    assert first.startswith(f"{len(run.checkpoints)} checkpoints")
    weights = sum(f.stat().st_size for f in run.path.glob("checkpoints/*/model.safetensors"))
    assert parts[first] * 1e9 == pytest.approx(weights, rel=0.05)
    moments = sum(f.stat().st_size for f in run.path.glob("state/*/*.safetensors"))
    assert parts["optimiser state of the newest two"] * 1e9 == pytest.approx(moments, rel=0.5)


@pytest.mark.parametrize("name", presets())
def test_every_value_is_printed_with_where_it_is_from_and_reads_back(name, tmp_path):
    recipe = Recipe.load(name, steps=7, reward="format")
    lines = dry_run.marked(recipe).splitlines()
    assert [line.partition(":")[0] for line in lines] == list(Recipe.model_fields)
    sources = {line.partition(":")[0]: line.rpartition("  # ")[2] for line in lines}
    assert all(re.match("preset|default|yours; preset: ", source) for source in sources.values())
    assert {field for field, source in sources.items() if source.startswith("yours")} == {
        *("steps", "reward")
    }
    (tmp_path / "printed.yaml").write_text("\n".join(lines))
    assert Recipe.load(tmp_path / "printed.yaml") == recipe


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"model": "nobody/nothing"}, "model = 'nobody/nothing': no such folder"),
        ({"examples": "pi0"}, "ranks go from 1 to 1209"),
        ({"benchmarks": ["math500"]}, "eval/math500/test.jsonl"),
        ({"optimizer": "adamw-8bit"}, "needs the package bitsandbytes"),
        ({"backend": "vllm"}, "vLLM is not installed"),
        ({"max_prompt_length": 2}, "max_prompt_length = 2: the prompt of example own"),
        ({"label": " "}, "the verifier does not accept"),
        ({"reward": "nowhere.py:f"}, "reward = 'nowhere.py:f': there is no file nowhere.py in"),
    ],
)
def test_each_missing_thing_is_one_line_and_the_exit_says_so(
    own, tmp_path, capsys, monkeypatch, change, said
):
    (tmp_path / "data").mkdir()
    monkeypatch.setenv("ONERL_DATA", str(tmp_path / "data"))
    monkeypatch.setattr("importlib.util.find_spec", lambda name, package=None: None)
    monkeypatch.setattr("onerl.rollouts.backends.find_spec", lambda name: None)
    with pytest.raises(SystemExit) as stop:
        command(own.replace(**change), tmp_path / "run", "--dry-run")
    assert stop.value.code == 1
    missing = [x for x in capsys.readouterr().out.splitlines() if x.startswith("MISSING")]
    assert len(missing) == 1
    assert said in missing[0]


def test_everything_that_is_missing_is_said_at_once(own, tmp_path, monkeypatch):
    monkeypatch.setenv("ONERL_DATA", str(tmp_path))
    wrong = own.replace(model="nobody/nothing", examples="pi0", benchmarks=["math500", "aime24"])
    report, missing = dry_run.dry_run(wrong, tmp_path / "run")
    assert len(missing) == 4
    assert "not estimated" in report
    assert all("\n" not in line for line in missing)


def test_a_full_disk_another_recipe_and_a_closed_folder_are_missing_things(own, tmp_path):
    with pytest.raises(OSError, match=r"GB are free, the run takes about 1000000 GB more"):
        dry_run.check_out(own, tmp_path / "run", 1e6)
    (tmp_path / "recipe.yaml").write_text(own.replace(steps=9).to_yaml())
    with pytest.raises(ValueError, match="holds a run of another recipe"):
        dry_run.check_out(own, tmp_path, 0)
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="may not be written"):
        dry_run.check_out(own, tmp_path / "file" / "run", 0)


def test_a_vllm_server_that_does_not_answer_is_named(monkeypatch):
    def refuse(url, timeout):
        raise urllib.error.URLError("refused")

    monkeypatch.setattr(dry_run.urllib.request, "urlopen", refuse)
    with pytest.raises(OSError, match=r"^vllm_url = 'http://there:8000': no server .*refused"):
        dry_run.reach("http://there:8000")


@pytest.mark.parametrize("lacking", ["config.json", "tokenizer.json", "model.safetensors"])
def test_a_model_folder_that_lacks_a_file_stops_a_run_before_any_work(
    own, tiny_model_dir, tmp_path, lacking
):
    shutil.copytree(tiny_model_dir, tmp_path / "model")
    (tmp_path / "model" / lacking).unlink()
    with pytest.raises(FileNotFoundError, match=f"^model = .* lacks .*{lacking}.*$"):
        train(own.replace(model=str(tmp_path / "model")), tmp_path / "run", progress=False)
    assert not (tmp_path / "run" / "recipe.yaml").exists()


def test_a_missing_part_of_the_weights_is_named(tmp_path):
    index = {"weight_map": {"a": "model-1-of-2.safetensors", "b": "model-2-of-2.safetensors"}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    for name in ("config.json", "tokenizer.json", "model-1-of-2.safetensors"):
        (tmp_path / name).touch()
    with pytest.raises(FileNotFoundError, match=r"lacks model-2-of-2\.safetensors"):
        models.check_model(str(tmp_path))


def hub(monkeypatch, error=None, files=()):
    """A hub that refuses with `error`, or has a model of these files."""
    import huggingface_hub

    class Api:
        def auth_check(self, model):
            if error:
                raise error

        def model_info(self, model):
            siblings = [type("File", (), {"rfilename": name}) for name in files]
            return type("Info", (), {"siblings": siblings})

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(huggingface_hub, "HfApi", Api)


def test_a_gated_model_says_where_its_licence_is(monkeypatch):
    from huggingface_hub.errors import GatedRepoError

    hub(monkeypatch, GatedRepoError.__new__(GatedRepoError))
    with pytest.raises(PermissionError, match=r"gated.*https://huggingface.co/a/b .*hf auth login"):
        models.check_model("a/b")


def test_no_network_and_no_cached_copy_is_one_line(monkeypatch):
    hub(monkeypatch, ConnectionError("no route"))
    with pytest.raises(FileNotFoundError, match=r"^model = 'a/b': .*not in the local cache.*$"):
        models.check_model("a/b")


def test_a_model_of_the_hub_needs_all_its_files_there(monkeypatch):
    whole = ("config.json", "tokenizer.json", "model.safetensors")
    hub(monkeypatch, files=whole)
    models.check_model("a/b")
    hub(monkeypatch, files=(*whole[:2], "pytorch_model.bin"))
    with pytest.raises(FileNotFoundError, match=r"on the hub it lacks model\.safetensors"):
        models.check_model("a/b")


def test_the_shape_of_the_papers_model_is_counted_without_its_weights():
    shape = memory.shape_of(QWEN)
    assert shape.parameters == 1_543_714_304
    assert shape.cache_per_token == 2 * 28 * 2 * 128
    assert memory.shape_of(R1).parameters == 1_777_088_000


@pytest.mark.parametrize(
    ("name", "config", "gpu"),
    [
        ("qwen2.5-math-1.5b", QWEN, 80 * 2**30 / 1e9),
        ("qwen2.5-math-1.5b-24gb", QWEN, GPU_24),
        ("deepseek-r1-distill-qwen-1.5b-24gb", R1, GPU_24),
        ("llama-3.2-3b-instruct-24gb", LLAMA, GPU_24),
    ],
)
def test_a_presets_estimate_fits_its_gpu(name, config, gpu):
    phases = memory.gpu_memory(Recipe.load(name), memory.shape_of(config), "vllm", gpu)
    assert max(sum(parts.values()) for parts in phases.values()) < gpu


def test_full_training_does_not_fit_24_gb_even_with_8_bit_moments():
    recipe = Recipe.load("qwen2.5-math-1.5b-24gb", lora_rank=0, optimizer="adamw-8bit")
    phases = memory.gpu_memory(recipe, memory.shape_of(QWEN), "vllm", GPU_24)
    assert sum(phases["update"].values()) > GPU_24


@pytest.mark.parametrize("name", [name for name in presets() if name.endswith("-24gb")])
def test_a_24gb_preset_has_the_maths_of_its_step_from_the_preset_it_shrinks(name):
    small, full = Recipe.load(name), Recipe.load(name.removesuffix("-24gb"))
    values = full.model_dump()
    differ = {key for key, value in small.model_dump().items() if value != values[key]}
    assert differ == {"preset", "learning_rate", "lora_rank", "vllm_memory", "token_budget"}
    assert small.vllm_sleep
    assert small.max_completion_length < small.token_budget < full.token_budget


MATH_7B = Qwen2Config(
    vocab_size=152064,
    hidden_size=3584,
    intermediate_size=18944,
    num_hidden_layers=28,
    num_attention_heads=28,
    num_key_value_heads=4,
    tie_word_embeddings=False,
)
SHAPES = {"math-7b": MATH_7B, "r1-distill": R1, "llama": LLAMA, "qwen2.5": QWEN}


@pytest.mark.parametrize("name", [name for name in presets() if name != "tiny"])
def test_the_readme_states_the_estimates_of_the_dry_run(name):
    recipe = Recipe.load(name)
    shape = memory.shape_of(next(c for part, c in SHAPES.items() if part in name))
    gpu = GPU_24 if name.endswith("-24gb") else 80 * 2**30 / 1e9
    phases = memory.gpu_memory(recipe, shape, "vllm", gpu)
    peak = max(sum(parts.values()) for parts in phases.values())
    disk = sum(memory.disk(recipe, shape).values())
    readme = (Path(__file__).parents[1] / "README.md").read_text("utf-8")
    (row,) = [line for line in readme.splitlines() if line.startswith(f"| `{name}` |")]
    assert row.endswith(f"| {peak:.0f} | {disk:.0f} |")


def test_sampling_by_torch_at_the_papers_scale_is_a_warning_in_capitals(tmp_path, tiny_model_dir):
    recipe = short_recipe(tiny_model_dir, prompt="chat", max_completion_length=24)
    assert "WARNING  ROLLOUTS BY TORCH, NOT BY VLLM" in dry_run.dry_run(recipe, tmp_path / "run")[0]
    assert "WARNING" not in dry_run.dry_run(Recipe.load("tiny"), tmp_path / "run")[0]


def test_a_hub_that_does_not_answer_is_asked_once(tmp_path, monkeypatch):
    from huggingface_hub import constants

    asked = []

    def refuse(*arguments, **options):
        asked.append(arguments)
        raise OSError("no network")

    monkeypatch.setattr("socket.socket.connect", refuse)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", False)
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("socket.getaddrinfo", refuse)
    recipe = Recipe.load("qwen2.5-math-1.5b", benchmarks=["aime24"])
    report, missing = dry_run.dry_run(recipe, tmp_path / "run")
    assert len(asked) == 1
    assert constants.HF_HUB_OFFLINE is False  # what is asked for later is asked for again
    assert "WARNING  the hub does not answer" in report
    assert missing
