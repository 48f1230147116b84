"""A killed run, started again, ends as if nothing had happened; damage is named and gone around."""

import dataclasses
import errno
import json
import logging
import multiprocessing
import os
import shutil
import signal
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from test_train import rows, sums

from onerl.problems import Problem
from onerl.recipe import Recipe
from onerl.runs import Run, files
from onerl.train import train
from onerl.training import checkpoints

PROBLEMS = [Problem(str(i), f"What is {i}+1?", str(i + 1)) for i in range(3)]


@pytest.fixture(scope="module")
def recipe(tiny_model_dir):
    """Several examples, two updates on the rollouts of a step, a checkpoint every other step."""
    return Recipe(
        model=str(tiny_model_dir),
        prompt="world",
        examples="pi1",
        reward="random",
        steps=8,
        save_every=2,
        updates_per_step=2,
        prompts_per_step=3,
        num_generations=4,
        max_completion_length=12,
        temperature=1.0,
        learning_rate=1e-3,
        token_budget=100,
        threads=1,
        backend="torch",
    )


@pytest.fixture(autouse=True, scope="module")
def three_examples():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("onerl.problems.examples", lambda name, world: PROBLEMS)
        yield


@pytest.fixture(scope="module")
def whole(recipe, tmp_path_factory):
    """The folder of an uninterrupted run; not to be changed."""
    return train(recipe, tmp_path_factory.mktemp("whole"), progress=False).path


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def die_in_rollouts(call):
    """In the middle of the sampling of a step."""
    from onerl.rollouts import shared_prompt

    calls, draw = [], shared_prompt.SharedPromptSampler.sample

    def sample(self, prompts, request):
        calls.append(1)
        if len(calls) == call:
            draw(self, prompts, dataclasses.replace(request, max_new_tokens=3))
            die()
        return draw(self, prompts, request)

    shared_prompt.SharedPromptSampler.sample = sample


def die_in_the_optimiser(call):
    """When Adam has changed the weights and nothing has been written of it."""
    calls, step = [], torch.optim.AdamW.step

    def stepped(self, *arguments, **how):
        step(self, *arguments, **how)
        calls.append(1)
        if len(calls) == call:
            die()

    torch.optim.AdamW.step = stepped


def die_in_a_checkpoint(call):
    """With half of the optimiser's file on disk, behind whole new weights."""
    calls = []

    def save_half(tensors, file):
        save_file(tensors, file)
        calls.append(1)
        if len(calls) == call:
            os.truncate(file, Path(file).stat().st_size // 2)
            die()

    checkpoints.save_file = save_half


def doomed(recipe, out, death, call):
    import onerl.problems

    onerl.problems.examples = lambda name, world: PROBLEMS
    death(call)
    train(recipe, out, False)


def killed(recipe, out, death, call) -> int:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["onerl.training.trainer", "onerl.train"])
    process = context.Process(target=doomed, args=(recipe, out, death, call))
    process.start()
    process.join(120)
    return process.exitcode


def test_kills_in_rollouts_optimiser_and_checkpoint_change_nothing(recipe, whole, tmp_path):
    assert len(Run(whole).history.columns) == 3
    assert killed(recipe, tmp_path, die_in_rollouts, 4) == -signal.SIGKILL
    assert len(rows(tmp_path)) == 6  # three steps of two updates; a checkpoint after the second
    assert killed(recipe, tmp_path, die_in_the_optimiser, 2) == -signal.SIGKILL
    assert len(rows(tmp_path)) == 5  # the third step again, its second update not written
    assert killed(recipe, tmp_path, die_in_a_checkpoint, 1) == -signal.SIGKILL
    assert list((tmp_path / "state").glob(".step-000004.partial/optimizer.safetensors"))
    assert checkpoints.whole_states(tmp_path)[0][0] == 2
    train(recipe, tmp_path, progress=False)
    assert rows(tmp_path) == rows(whole)
    assert sums(tmp_path) == sums(whole)


@pytest.fixture
def cut_off(whole, tmp_path):
    """A copy of the run as if it had been killed at its end."""
    shutil.copytree(whole, tmp_path / "run")
    (tmp_path / "run/DONE").unlink()
    return tmp_path / "run"


def flip(file: Path):
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


@pytest.mark.parametrize("how", ["flipped", "truncated", "missing", "a row of its own"])
def test_damaged_metrics_are_restored_and_it_is_said(recipe, whole, cut_off, caplog, how):
    file = cut_off / "metrics.jsonl"
    if how == "flipped":
        flip(file)
    elif how == "truncated":
        file.write_bytes(file.read_bytes()[:700])
    elif how == "missing":
        file.unlink()
    else:
        file.write_text('{"step": 1}\n' + file.read_text())
    with caplog.at_level(logging.WARNING, logger="onerl"):
        train(recipe, cut_off, progress=False)
    assert f"{file} was damaged; its rows up to step 8 are restored" in caplog.text
    assert rows(cut_off) == rows(whole)


@pytest.mark.parametrize("file", ["manifest.json", "metrics.jsonl", "trainer_state.json"])
def test_every_file_of_a_state_is_proved(recipe, whole, cut_off, caplog, file):
    flip(cut_off / "state/step-000008" / file)
    with caplog.at_level(logging.WARNING, logger="onerl"):
        train(recipe, cut_off, progress=False)
    assert "resuming from an earlier checkpoint" in caplog.text
    assert sums(cut_off) == sums(whole)


def test_without_any_whole_state_the_run_starts_again_and_says_so(recipe, whole, cut_off, caplog):
    for folder in (cut_off / "state").iterdir():
        flip(folder / "optimizer.safetensors")
    with caplog.at_level(logging.WARNING, logger="onerl"):
        train(recipe, cut_off, progress=False)
    assert caplog.text.count("is damaged") == 2
    assert "no whole state is left of 8 steps: the run starts again from step 0" in caplog.text
    assert rows(cut_off) == rows(whole)
    assert sums(cut_off) == sums(whole)


def test_a_lost_state_folder_is_said_too(recipe, whole, cut_off, caplog):
    shutil.rmtree(cut_off / "state")
    with caplog.at_level(logging.WARNING, logger="onerl"):
        train(recipe, cut_off, progress=False)
    assert "no whole state is left of 8 steps" in caplog.text
    assert sums(cut_off) == sums(whole)


def test_a_damaged_base_checkpoint_is_written_again(recipe, whole, cut_off):
    flip(cut_off / "checkpoints/step-000000/model.safetensors")
    shutil.rmtree(cut_off / "state")
    train(recipe, cut_off, progress=False)
    assert sums(cut_off) == sums(whole)


def test_older_states_go_only_when_the_newer_one_reads_back(recipe, tmp_path, monkeypatch):
    """A disk that returns other bytes than were written to it."""
    train(recipe.replace(steps=4), tmp_path, progress=False)
    (tmp_path / "DONE").unlink()
    (tmp_path / "recipe.yaml").write_text(recipe.to_yaml())

    def save_badly(tensors, file):
        save_file(tensors, file)
        written.append(Path(file).parent.name)

    def sync_badly(path):
        if path.name == "optimizer.safetensors":
            flip(path)  # after its sum was taken

    written = []
    monkeypatch.setattr(checkpoints, "save_file", save_badly)
    monkeypatch.setattr(files, "_sync", sync_badly)
    with pytest.raises(OSError, match=r"step-000006/optimizer.safetensors does not read back"):
        train(recipe, tmp_path, progress=False)
    assert written == [".step-000006.partial"]
    kept = sorted(path.name for path in (tmp_path / "state").iterdir())
    assert kept == ["step-000002", "step-000004", "step-000006"]
    assert checkpoints.whole_states(tmp_path)[0][0] == 4


def full_disk(*_, **__):
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize(
    ("function", "named"),
    [
        ("onerl.training.checkpoints.save_file", "state/step-000002"),
        ("transformers.PreTrainedModel.save_pretrained", "checkpoints/step-000000"),
        ("pandas.DataFrame.to_parquet", "rollouts/step-000002.parquet"),
        ("os.fsync", "provenance.json"),
    ],
)
def test_a_full_disk_names_the_file_and_the_run_goes_on_when_there_is_room(
    recipe, whole, tmp_path, function, named
):
    short = recipe.replace(steps=2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(function, full_disk)
        with pytest.raises(OSError, match=f"{named}: the disk is full; .* will resume"):
            train(short, tmp_path, progress=False)
    assert not Run(tmp_path).done
    assert train(short, tmp_path, progress=False).done
    assert rows(tmp_path) == rows(whole)[:4]


def test_a_folder_that_may_not_be_written_is_named(recipe, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=r"file/run: a file stands where a folder is wanted"):
        train(recipe, tmp_path / "file" / "run", progress=False)

    def refuse(*_, **__):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", refuse)  # nothing is refused to the superuser
    with pytest.raises(OSError, match=r"other: the folder may not be written; choose another"):
        train(recipe, tmp_path / "other", progress=False)


def test_a_truncated_last_row_of_a_killed_run_is_no_damage(recipe, whole, cut_off, caplog):
    shutil.rmtree(cut_off / "state/step-000008")
    with (cut_off / "metrics.jsonl").open("a") as file:
        file.write('{"step": 9, "rew')
    with caplog.at_level(logging.WARNING, logger="onerl"):
        train(recipe, cut_off, progress=False)
    assert "damaged" not in caplog.text
    assert [json.loads(line)["step"] for line in (cut_off / "metrics.jsonl").open()][-1] == 8
