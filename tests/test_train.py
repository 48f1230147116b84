"""A run: from recipe to folder, the same every time, whatever kills it."""

import hashlib
import json
import logging
import multiprocessing
import random
import shutil
import time

import huggingface_hub
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from onerl.problems import Problem, released
from onerl.recipe import Recipe
from onerl.runs.claim import same_recipe
from onerl.train import main, train
from onerl.training.rows import training_rows
from onerl.verifier import Grade, SelfTestError

OWN = {"problem": "What is 1+1?", "answer": "2"}
ROW = [
    *("step", "reward", "reward_std", "frac_zero_std", "policy_loss", "kl", "entropy", "loss"),
    *("grad_norm", "update_norm", "completion_length", "truncated", "clip_frac", "learning_rate"),
    *("status/ok", "status/no-answer", "status/unparseable", "status/timeout"),
    *("seconds/rollout", "seconds/update", "seconds/step"),
]


@pytest.fixture(scope="module")
def recipe(tiny_model_dir):
    """Twelve steps of eight rollouts; the coin is the reward that always carries a signal."""
    return Recipe(
        model=str(tiny_model_dir),
        prompt="world",
        examples=OWN,
        reward="random",
        steps=12,
        save_every=3,
        prompts_per_step=2,
        num_generations=4,
        max_completion_length=16,
        temperature=1.0,
        learning_rate=1e-3,
        token_budget=100,
        threads=1,
        backend="torch",
    )


@pytest.fixture(scope="module")
def whole(recipe, tmp_path_factory):
    """The folder of an uninterrupted run; not to be changed."""
    return train(recipe, tmp_path_factory.mktemp("whole"), progress=False).path


TIMED = ("metrics.jsonl", "manifest.json", "provenance.json", ".lock")  # manifests hold their sums


def rows(folder):
    """The metrics without their timings."""
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    return [
        {key: value for key, value in json.loads(line).items() if not key.startswith("seconds/")}
        for line in lines
    ]


def sums(folder):
    """sha256 of everything a run leaves but timings, provenance and the lock."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in TIMED
    }


def weights(folder, step):
    return load_file(folder / "checkpoints" / f"step-{step:06d}" / "model.safetensors")


def test_a_run_leaves_what_the_interface_promises(recipe, tmp_path):
    run = train(recipe, tmp_path, progress=False)
    assert run.done
    assert [step for step, _ in run.checkpoints] == [0, 3, 6, 9, 12]
    assert list(run.metrics["step"]) == list(range(1, 13))
    assert set(ROW) <= set(run.metrics.columns)
    assert run.metrics[ROW].notna().all().all()
    assert sorted(p.name[5:] for p in (tmp_path / "state").iterdir()) == ["000009", "000012"]
    sampled = pd.read_parquet(tmp_path / "rollouts" / "step-000012.parquet")
    assert len(sampled) == 8
    assert sampled["reward"].mean() == pytest.approx(run.metrics["reward"].iloc[-1])
    assert sampled["completion"].nunique() > 1
    assert not list(tmp_path.rglob(".*partial"))


def test_one_row_trains_and_the_base_is_kept(whole, tiny_model_dir):
    base = load_file(tiny_model_dir / "model.safetensors")
    first, last = weights(whole, 0), weights(whole, 12)
    assert all(torch.equal(base[name], first[name]) for name in base)
    moved = sum((last[name] - first[name]).norm() ** 2 for name in first).sqrt()
    assert moved > 0.01


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(recipe, whole, tmp_path):
    train(recipe, tmp_path / "same", progress=False)
    train(recipe.replace(seed=1), tmp_path / "other", progress=False)
    assert rows(tmp_path / "same") == rows(whole)
    assert sums(tmp_path / "same") == sums(whole)
    assert rows(tmp_path / "other") != rows(whole)


def test_no_loss_term_at_all_changes_no_weight(recipe, tmp_path):
    nothing = recipe.replace(policy_loss=0, beta=0, entropy_coef=0, weight_decay=0)
    run = train(nothing, tmp_path, progress=False)
    first, last = weights(tmp_path, 0), weights(tmp_path, 12)
    assert all(torch.equal(first[name], last[name]) for name in first)
    assert (run.metrics["update_norm"] == 0).all()
    assert (run.metrics["grad_norm"] == 0).all()


def test_weight_decay_alone_shrinks_every_parameter(recipe, tmp_path):
    alone = recipe.replace(policy_loss=0, beta=0, entropy_coef=0, weight_decay=0.5, steps=1)
    train(alone, tmp_path, progress=False)
    first, last = weights(tmp_path, 0), weights(tmp_path, 1)
    for name in first:  # biases and norms too, which transformers would leave out
        assert torch.allclose(last[name], first[name] * (1 - 1e-3 * 0.5), rtol=1e-6), name


def test_several_updates_per_step_clip_and_resume(recipe, tmp_path):
    several = recipe.replace(updates_per_step=4, learning_rate=1e-2, steps=4, save_every=2)
    run = train(several, tmp_path / "whole", progress=False)
    assert list(run.metrics["step"]) == [s for s in (1, 2, 3, 4) for _ in range(4)]
    assert list(run.metrics["update"]) == list(range(1, 17))
    assert run.metrics["clip_frac"].max() > 0
    assert (run.metrics["clip_frac"][::4] == 0).all()  # the first update of a step is on-policy
    shutil.copytree(tmp_path / "whole", tmp_path / "again")
    (tmp_path / "again" / "DONE").unlink()
    shutil.rmtree(tmp_path / "again" / "state" / "step-000004")
    train(several, tmp_path / "again", progress=False)
    assert rows(tmp_path / "again") == rows(tmp_path / "whole")
    assert sums(tmp_path / "again") == sums(tmp_path / "whole")


def test_three_kills_change_nothing(recipe, tmp_path):
    """SIGKILL at random moments, in rollouts, updates and checkpoint writes alike."""
    longer = recipe.replace(steps=30)
    train(longer, tmp_path / "whole", progress=False)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["onerl.training.trainer", "onerl.train"])
    killed, metrics = tmp_path / "killed", tmp_path / "killed" / "metrics.jsonl"
    moments = random.Random(time.time_ns())
    codes = []
    for kill in range(3):
        process = context.Process(target=train, args=(longer, killed, False))
        process.start()
        enough = 7 * kill + moments.randrange(1, 7)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and process.is_alive():
            if metrics.exists() and metrics.read_bytes().count(b"\n") >= enough:
                break
            time.sleep(0.001)
        time.sleep(moments.uniform(0, 0.03))
        process.kill()
        process.join()
        codes.append(process.exitcode)
    assert codes.count(-9) >= 2  # on a busy machine the last one may come too late
    train(longer, killed, progress=False)
    assert rows(killed) == rows(tmp_path / "whole")
    assert sums(killed) == sums(tmp_path / "whole")


@pytest.mark.parametrize(
    "damaged",
    ["state/step-000012/optimizer.safetensors", "checkpoints/step-000012/model.safetensors"],
)
@pytest.mark.parametrize("how", ["flipped", "truncated", "missing"])
def test_a_damaged_state_is_named_and_the_previous_one_used(
    recipe, whole, tmp_path, caplog, damaged, how
):
    shutil.copytree(whole, tmp_path / "hurt")
    (tmp_path / "hurt" / "DONE").unlink()
    file = tmp_path / "hurt" / damaged
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    if how == "missing":
        file.unlink()
    else:
        file.write_bytes(content if how == "flipped" else content[:1000])
    with caplog.at_level(logging.WARNING, logger="onerl"):
        train(recipe, tmp_path / "hurt", progress=False)
    assert damaged in caplog.text
    assert "is damaged" in caplog.text
    assert sums(tmp_path / "hurt") == sums(whole)
    assert rows(tmp_path / "hurt") == rows(whole)


def test_a_finished_run_is_returned_untouched(recipe, tmp_path):
    short = recipe.replace(steps=1)
    train(short, tmp_path, progress=False)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.name != ".lock"}
    assert train(short, tmp_path, progress=False).done
    assert before == {
        path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.name != ".lock"
    }


def test_another_recipe_is_refused_and_the_difference_named(recipe, tmp_path):
    train(recipe.replace(steps=1), tmp_path, progress=False)
    with pytest.raises(ValueError, match=r"differs in beta \(0.001, now 0.5\)"):
        train(recipe.replace(steps=1, beta=0.5), tmp_path, progress=False)
    same_recipe(tmp_path, recipe.replace(steps=1, token_budget=7))  # not part of the result


def hold(folder, ready, release):
    from onerl.training.processes import only_run

    with only_run(folder):
        ready.set()
        release.wait(30)


def test_a_second_process_in_the_folder_is_refused(recipe, tmp_path):
    context = multiprocessing.get_context("fork")
    ready, release = context.Event(), context.Event()
    process = context.Process(target=hold, args=(tmp_path, ready, release))
    process.start()
    assert ready.wait(30)
    with pytest.raises(ValueError, match="another process is training there"):
        train(recipe, tmp_path, progress=False)
    release.set()
    process.join()


def test_checks_come_before_any_work(recipe, tmp_path):
    with pytest.raises(ValueError, match="max_prompt_length = 5: the prompt of example own has"):
        train(recipe.replace(max_prompt_length=5), tmp_path / "a", progress=False)
    with pytest.raises(ValueError, match="the verifier does not accept this label"):
        train(recipe.replace(label=" "), tmp_path / "b", progress=False)
    assert not (tmp_path / "a" / "metrics.jsonl").exists()


def test_a_model_that_cannot_be_had_is_named_in_one_line(recipe, tmp_path, monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(FileNotFoundError, match=r"^model = 'nobody/nothing': .* a folder .*$"):
        train(recipe.replace(model="nobody/nothing"), tmp_path, progress=False)


@pytest.mark.parametrize(
    ("examples", "data", "said"),
    [
        ("pi1210", None, "ranks go from 1 to 1209"),
        ("pi2", None, "cannot be reached"),  # no network
        ("dsr_sub", "nowhere", "no such folder"),
        ("dsr_sub", ".", "ONERL_DATA lacks the file .*dsr_sub.parquet"),
        ("own.yaml", None, "own/2 has no answer"),
    ],
)
def test_what_is_missing_is_one_line_before_any_work(
    recipe, tmp_path, monkeypatch, examples, data, said
):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ONERL_DATA", raising=False)
    monkeypatch.setattr("onerl.problems.released.ranking", released.ranking.__wrapped__)
    monkeypatch.setattr("onerl.problems.released.pool", released.pool.__wrapped__)
    if data:
        monkeypatch.setenv("ONERL_DATA", data)
    (tmp_path / "own.yaml").write_text("- {problem: a, answer: 1}\n- {problem: b}\n")
    with pytest.raises((ValueError, FileNotFoundError), match=said) as stop:
        train(recipe.replace(examples=examples), tmp_path / "run", progress=False)
    assert "\n" not in str(stop.value)
    assert [path.name for path in (tmp_path / "run").iterdir()] == [".lock"]


def test_the_label_replaces_the_answer_as_text(recipe):
    assert training_rows(recipe)[0]["answer"] == "2"
    assert training_rows(recipe.replace(label="12.80"))[0]["answer"] == "12.80"


def test_silence_of_the_reward_is_loud(recipe, tmp_path, caplog):
    silent = recipe.replace(reward="outcome", label="929725", steps=11, save_every=11)
    with caplog.at_level(logging.WARNING, logger="onerl"):
        train(silent, tmp_path, progress=False)
    assert caplog.text.count("no rollout was rewarded in the last 10 steps") == 1


def test_headless_progress_is_a_line_for_every_tenth(recipe, tmp_path, capsys):
    train(recipe.replace(steps=4), tmp_path)
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("step ")]
    assert [line.split(":")[0] for line in lines] == [f"step {i}/4" for i in range(1, 5)]


def test_full_data_sets_train_too(recipe, tmp_path, monkeypatch):
    problems = [Problem(str(i), f"What is {i}+1?", str(i + 1)) for i in range(5)]
    monkeypatch.setattr("onerl.problems.examples", lambda name, world: problems)
    run = train(recipe.replace(steps=3, save_every=1), tmp_path, progress=False)
    prompts = [
        pd.read_parquet(tmp_path / "rollouts" / f"step-{step:06d}.parquet")["prompt"].unique()
        for step in (1, 2, 3)
    ]
    assert all(len(two) == 2 for two in prompts)
    assert len({prompt for two in prompts for prompt in two}) == 5
    assert run.done


def test_command_line_trains_and_names_what_is_wrong(tmp_path, tiny_model_dir, capsys):
    fields = {"model": tiny_model_dir, "prompt": "world", "steps": 1, "prompts_per_step": 1}
    fields |= {"max_completion_length": 8, "examples": "pi1", "num_generations": 2, "threads": 1}
    fields["max_prompt_length"] = 300
    arguments = ["--params", "tiny", "--out", str(tmp_path / "run")]
    for key, value in fields.items():
        arguments += ["-p", key, str(value)]
    main(arguments)
    assert (tmp_path / "run" / "DONE").exists()
    with pytest.raises(SystemExit, match=r"unknown field stepz.*nearest: 'steps'"):
        main([*arguments, "-p", "stepz", "3"])


def test_nothing_in_a_run_is_a_pickle(whole):
    assert {p.suffix for p in whole.rglob("*") if p.is_file() and p.suffix} <= {
        ".json", ".jsonl", ".yaml", ".parquet", ".safetensors", ".jinja"
    }  # fmt: skip


def test_training_refuses_to_start_on_a_machine_that_grades_wrongly(recipe, tmp_path, monkeypatch):
    wrong = Grade(False, "2", "ok", "exact")
    monkeypatch.setattr("onerl.verifier.selftest.grade", lambda response, gold: wrong)
    with pytest.raises(SelfTestError, match="self-test"):
        train(recipe, tmp_path / "run", progress=False)
    assert not (tmp_path / "run" / "recipe.yaml").exists()
