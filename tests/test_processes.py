"""Several processes compute what one computes, and only the main process writes."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
import torch
from accelerate.commands.config.config_args import load_config_from_file
from accelerate.commands.launch import _validate_launch_command, launch_command_parser
from accelerate.utils import DistributedType
from accelerate.utils.launch import prepare_deepspeed_cmd_env, prepare_multi_gpu_env
from safetensors.torch import load_file
from small_models import short_recipe
from together import launched, run_command_line, together, train_recording, train_sharded

import onerl
from onerl.parameters import params_folder
from onerl.training import sharding
from onerl.training.batches import fingerprints
from onerl.training.processes import check_batch

CONFIGS = sorted((params_folder() / "accelerate").glob("*.yaml"))


@pytest.fixture(scope="module")
def recipe(tiny_model_dir):
    """Three updates of 16 rollouts, in several chunks and several micro-batches."""
    return short_recipe(
        tiny_model_dir,
        steps=3,
        prompts_per_step=4,
        max_completion_length=16,
        temperature=1.0,
        learning_rate=3e-5,
        token_budget=100,
        micro_batch_tokens=200,
    )


@pytest.fixture(scope="module")
def one(recipe, tmp_path_factory):
    """The run of a single process."""
    folder = tmp_path_factory.mktemp("one")
    train_recording(recipe, folder / "run", folder / "gradients")
    return folder


@pytest.fixture(scope="module")
def two(recipe, tmp_path_factory):
    """The same run by two processes, with replicated weights."""
    folder = tmp_path_factory.mktemp("two")
    arguments = recipe, folder / "run", folder / "gradients"
    assert together(train_recording, *arguments) == [0, 0]
    return folder


@pytest.fixture(scope="module")
def sharded(recipe, tmp_path_factory):
    """The same run by two processes, with sharded weights (FSDP2)."""
    folder = tmp_path_factory.mktemp("sharded")
    arguments = recipe, folder / "run", folder / "gradients"
    assert together(train_sharded, *arguments, environment=launched("fsdp")) == [0, 0]
    return folder


def rows(folder):
    return [json.loads(line) for line in (folder / "run/metrics.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("several", ["two", "sharded"])
def test_several_processes_have_the_losses_and_gradients_of_one(one, several, request):
    folder = request.getfixturevalue(several)
    for ours, theirs in zip(rows(folder), rows(one), strict=True):
        for name in ("loss", "policy_loss", "entropy", "grad_norm"):
            # on policy, advantages cancel: the policy loss is zero but for rounding
            small = 1e-7 if name == "policy_loss" else 0
            assert ours[name] == pytest.approx(theirs[name], rel=1e-5, abs=small), name
    files = sorted(path.name for path in (one / "gradients").iterdir())
    assert len(files) == 3
    for file in files:
        ours, theirs = (load_file(f / "gradients" / file) for f in (folder, one))
        assert ours.keys() == theirs.keys()
        norm = torch.stack([grad.norm() for grad in theirs.values()]).norm()
        error = torch.stack([(ours[name] - theirs[name]).norm() for name in theirs]).norm()
        assert error < 1e-5 * norm


@pytest.mark.parametrize("several", ["two", "sharded"])
def test_metrics_and_records_of_several_processes_are_those_of_all_rollouts(one, several, request):
    folder = request.getfixturevalue(several)
    for ours, theirs in zip(rows(folder), rows(one), strict=True):
        assert list(ours) == list(theirs)
        for name, value in theirs.items():
            if not name.startswith(("seconds/", "sampler_mismatch", "largest_pass")):
                assert ours[name] == pytest.approx(value, rel=1e-4, abs=1e-6), name
    columns = ["prompt", "completion", "reward", "status", "correct"]
    ours, theirs = (
        pd.read_parquet(f / "run/rollouts/step-000003.parquet")[columns] for f in (folder, one)
    )
    assert ours.equals(theirs)


@pytest.mark.parametrize("several", ["two", "sharded"])
def test_several_processes_write_the_folder_that_one_writes(one, several, request):
    folder = request.getfixturevalue(several)

    def names(run):
        return sorted(str(path.relative_to(run)) for path in run.rglob("*"))

    assert names(folder / "run") == names(one / "run")
    weights = "run/checkpoints/step-000003/model.safetensors"
    ours, theirs = load_file(folder / weights), load_file(one / weights)
    assert ours.keys() == theirs.keys()
    assert {tensor.dtype for tensor in ours.values()} == {torch.float32}
    moments = "run/state/step-000003/optimizer.safetensors"
    ours, theirs = load_file(folder / moments), load_file(one / moments)
    assert {k: v.shape for k, v in ours.items()} == {k: v.shape for k, v in theirs.items()}


def again(folder, tmp_path) -> Path:
    """A copy of a run that was killed after its first checkpoint."""
    shutil.copytree(folder / "run", tmp_path / "run")
    (tmp_path / "run/DONE").unlink()
    shutil.rmtree(tmp_path / "run/state/step-000003")
    return tmp_path / "run"


def same_end(ours, theirs):
    for file in (
        "checkpoints/step-000003/model.safetensors",
        "state/step-000003/optimizer.safetensors",
    ):
        ours_, theirs_ = load_file(ours / file), load_file(theirs / file)
        assert all(torch.equal(ours_[name], theirs_[name]) for name in theirs_), file


def test_sharded_weights_and_moments_resume_bit_for_bit(recipe, sharded, tmp_path):
    run = again(sharded, tmp_path)
    codes = together(train_sharded, recipe, run, tmp_path / "g", environment=launched("fsdp"))
    assert codes == [0, 0]
    assert len(list((tmp_path / "g").iterdir())) == 1  # the last update alone
    same_end(run, sharded / "run")


def test_two_processes_resume_bit_for_bit(recipe, two, tmp_path):
    run = again(two, tmp_path)
    assert together(train_recording, recipe, run, tmp_path / "g") == [0, 0]
    assert len(list((tmp_path / "g").iterdir())) == 1
    same_end(run, two / "run")


def test_a_sharded_run_goes_on_in_one_process(recipe, sharded, one, tmp_path):
    run = onerl.train(recipe, again(sharded, tmp_path), progress=False)
    assert run.metrics["loss"].iloc[-1] == pytest.approx(rows(one)[-1]["loss"], rel=1e-5)


def refused(fields, tmp_path, recipe, environment=()):
    (tmp_path / "recipe.yaml").write_text(recipe.to_yaml())
    arguments = ["--params", str(tmp_path / "recipe.yaml"), "--out", str(tmp_path / "run")]
    arguments += [part for key, value in fields.items() for part in ("-p", key, str(value))]
    said = tmp_path / "said"
    said.mkdir()
    codes = together(run_command_line, arguments, said, environment=environment)
    assert codes == [1, 1]
    assert not (tmp_path / "run/metrics.jsonl").exists()
    return [(said / f"rank-{rank}").read_text() for rank in (0, 1)]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"beta": "x"}, "error: beta = 'x': must be a number"),
        ({"prompts_per_step": 1, "num_generations": 3}, "error: 2 processes: their number must"),
        ({"max_prompt_length": 5}, "error: max_prompt_length = 5: the prompt of example own"),
    ],
)
def test_a_refusal_ends_all_processes_and_is_said_once(recipe, tmp_path, fields, message):
    first, second = refused(fields, tmp_path, recipe)
    assert first.startswith(message)
    assert second == ""


def test_a_folder_in_use_ends_all_processes_of_a_second_run(recipe, tmp_path):
    from onerl.training.processes import only_run

    with only_run(tmp_path / "run"):
        first, second = refused({}, tmp_path, recipe)
    assert "another process is training there" in first
    assert second == ""


def test_what_sharding_does_not_cover_is_refused(recipe):
    def state(kind, **plugins):
        plugins = {name: SimpleNamespace(**values) for name, values in plugins.items()}
        return SimpleNamespace(distributed_type=kind, state=SimpleNamespace(**plugins))

    def fsdp(version):
        return state(DistributedType.FSDP, fsdp_plugin={"fsdp_version": version})

    def zero(stage):
        return state(DistributedType.DEEPSPEED, deepspeed_plugin={"zero_stage": stage})

    with pytest.raises(ValueError, match=r"backend = 'torch': .* set backend to vllm or vllm-ser"):
        sharding.check(recipe, fsdp(2))
    with pytest.raises(ValueError, match="only FSDP2 is supported"):
        sharding.check(recipe, fsdp(1))
    with pytest.raises(ValueError, match=r"zero_stage = 3: not supported; use .*fsdp\.yaml"):
        sharding.check(recipe, zero(3))
    sharding.check(recipe, zero(2))
    with pytest.raises(ValueError, match="lora_rank = 4: adapters are trained on replicated"):
        sharding.check(recipe.replace(lora_rank=4), zero(2))
    with pytest.raises(ValueError, match="optimizer = 'adamw-8bit': FSDP and DeepSpeed allow"):
        sharding.check(recipe.replace(optimizer="adamw-8bit"), zero(2))


def test_the_processes_must_share_an_update_equally(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "4")
    check_batch(24, 2)
    with pytest.raises(ValueError, match="4 processes: their number must divide the 6 rollouts"):
        check_batch(24, 4)


def test_a_rollouts_fingerprint_is_its_tokens_alone():
    prompts = torch.tensor([[0, 5, 6], [7, 5, 6], [0, 6, 5], [0, 5, 6]])
    answers = torch.tensor([[3, 4, 0], [3, 4, 0], [3, 4, 0], [4, 3, 0]])
    found = fingerprints(prompts, prompts > 0, answers, answers > 0)
    assert len(set(found.tolist())) == 4
    wide = torch.nn.functional.pad(prompts, (2, 0)), torch.nn.functional.pad(answers, (0, 3))
    assert torch.equal(found, fingerprints(wide[0], wide[0] > 0, wide[1], wide[1] > 0))


@pytest.mark.parametrize("file", CONFIGS, ids=lambda path: path.stem)
def test_accelerate_accepts_every_configuration(file, monkeypatch):
    load_config_from_file(str(file))
    for name in ("ACCELERATE_USE_FSDP", "ACCELERATE_USE_DEEPSPEED"):
        monkeypatch.delenv(name, raising=False)
    parsed = launch_command_parser().parse_args(["--config_file", str(file), "-m", "onerl.train"])
    args, *_ = _validate_launch_command(parsed)
    assert args.num_processes == 8
    if args.use_deepspeed:
        args.deepspeed_fields_from_accelerate_config = ""
        _, environment = prepare_deepspeed_cmd_env(args)
        stage = environment["ACCELERATE_DEEPSPEED_ZERO_STAGE"]
        assert file.stem == f"deepspeed_zero{stage}"
    else:
        environment = prepare_multi_gpu_env(args)
        assert environment.get("FSDP_VERSION") == ("2" if file.stem == "fsdp" else None)
    assert environment["ACCELERATE_MIXED_PRECISION"] == "bf16"


def test_there_is_a_configuration_for_every_way_that_the_docs_name():
    names = {"ddp", "fsdp", "deepspeed_zero2"}
    assert {path.stem for path in CONFIGS} == names
