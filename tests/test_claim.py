"""A run writes only where it may: never over a stranger's files, never beside another process."""

import errno
import json
import multiprocessing
import os
import shutil
import stat
from pathlib import Path

import filelock
import pytest
from small_models import short_recipe

from onerl.runs import Run, claim, files
from onerl.train import main, train
from onerl.training import checkpoints


@pytest.fixture(scope="module")
def recipe(tiny_model_dir):
    return short_recipe(
        tiny_model_dir,
        steps=2,
        save_every=1,
        token_budget=100,
        learning_rate=1e-3,
        temperature=1.0,
    )


@pytest.fixture(scope="module")
def whole(recipe, tmp_path_factory):
    return train(recipe, tmp_path_factory.mktemp("whole") / "run", progress=False)


@pytest.fixture
def run(whole, tmp_path):
    """A copy of the finished run."""
    shutil.copytree(whole.path, tmp_path / "run")
    return Run(tmp_path / "run")


def everything(folder):
    """Every file below a folder, links not followed, with its bytes."""
    found = {}
    for place, _, names in os.walk(folder):
        for name in names:
            path = Path(place, name)
            found[path] = path.readlink() if path.is_symlink() else path.read_bytes()
    return found


@pytest.mark.parametrize(
    "theirs",
    [
        ["checkpoints/zebra.pt", "rollouts/video.mp4", "state/ohio", "metrics.jsonl"],
        ["checkpoints/step-000004/model.pt"],
        ["checkpoints/.git/config"],
        ["metrics.jsonl"],
        ["thesis.txt"],
        ["DONE", "recipe.yaml"],  # of a cake
        [".hidden"],
    ],
)
def test_a_folder_of_somebody_elses_is_refused_and_left_as_it_is(recipe, tmp_path, theirs):
    for name in theirs:
        (tmp_path / "d" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "d" / name).write_text("flour: 200 g\n")
    before = everything(tmp_path)
    with pytest.raises(ValueError, match=r"^out = .*choose another folder with out$") as stop:
        train(recipe, tmp_path / "d", progress=False)
    assert "\n" not in str(stop.value)
    assert everything(tmp_path) == before


@pytest.mark.parametrize("name", ["checkpoints", "rollouts", "state", "metrics.jsonl", "DONE"])
def test_nothing_is_written_or_removed_through_a_link(recipe, run, tmp_path, name):
    theirs = tmp_path / "theirs"
    (run.path / name).rename(theirs)
    (run.path / name).symlink_to(theirs)
    (run.path / "DONE").unlink(missing_ok=True) if name != "DONE" else None
    before = everything(tmp_path)
    with pytest.raises(ValueError, match=f"{name} is a symbolic link"):
        train(recipe, run.path, progress=False)
    assert everything(tmp_path) == before


def test_names_that_no_run_gives_stay_in_a_runs_folder(recipe, run):
    theirs = [
        "checkpoints/step-000009.bak",
        "rollouts/.notes",
        "checkpoints/zebra.pt",
        "mine.ipynb",
    ]
    for name in theirs:
        (run.path / name).write_text("mine")
    (run.path / "DONE").unlink()
    assert train(recipe, run.path, progress=False).done
    assert all((run.path / name).read_text() == "mine" for name in theirs)


@pytest.mark.parametrize(
    "name",
    [
        "checkpoints/step-000002/notes.txt",
        "state/step-000002/scaler.pt",
        "checkpoints/step-000099/zebra.pt",
    ],
)
def test_a_folder_that_holds_more_than_we_wrote_is_not_removed(recipe, run, name):
    (run.path / name).parent.mkdir(exist_ok=True)
    (run.path / name).write_text("mine")
    (run.path / "DONE").unlink()
    (run.path / "state/step-000002/optimizer.safetensors").write_bytes(b"")
    before = everything(run.path / "checkpoints")
    with pytest.raises(ValueError, match=f"{name}: no file of this run.*; move it away"):
        train(recipe, run.path, progress=False)
    assert everything(run.path / "checkpoints") == before


@pytest.mark.parametrize("file", ["scaler.pt", "rng_state.pth", "optimizer.bin"])
def test_a_strangers_file_in_a_state_is_named_and_not_loaded(recipe, run, file):
    (run.path / "state/step-000002" / file).write_bytes(b"\x80")
    (run.path / "DONE").unlink()
    with pytest.raises(ValueError, match=rf"step-000002/{file}: no file of this run"):
        train(recipe, run.path, progress=False)


def test_a_file_and_a_link_to_nothing_are_refused_in_one_line(recipe, tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    with pytest.raises(ValueError, match=r"file': is a file, and a folder is needed; choose ano"):
        train(recipe, tmp_path / "file", progress=False)
    with pytest.raises(ValueError, match="link': is a symbolic link to nothing; choose another"):
        train(recipe, tmp_path / "link", progress=False)


def test_a_link_to_an_empty_folder_is_a_place_for_a_run(recipe, tmp_path):
    (tmp_path / "scratch").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "scratch")
    assert train(recipe, tmp_path / "link", progress=False).done


def held(folder, ready, release):
    with claim.lock(folder):
        ready.set()
        release.wait(60)


@pytest.fixture
def holder(tmp_path):
    """Another process that holds the lock of `tmp_path`."""
    context = multiprocessing.get_context("fork")
    ready, release = context.Event(), context.Event()
    process = context.Process(target=held, args=(tmp_path, ready, release))
    process.start()
    assert ready.wait(30)
    yield process
    if process.is_alive():  # an event waits for a waiter that was killed
        release.set()
    process.join()


def test_a_deleted_lock_file_lets_nobody_else_in(holder, tmp_path):
    assert claim.busy(tmp_path)
    (tmp_path / ".lock").unlink()
    assert claim.busy(tmp_path)
    with pytest.raises(ValueError, match="another process is training there"), claim.lock(tmp_path):
        pass


def test_a_killed_process_lets_go_of_the_lock(holder, tmp_path):
    holder.kill()
    holder.join()
    assert not claim.busy(tmp_path)
    with claim.lock(tmp_path):
        pass


def test_a_file_system_without_locks_says_what_to_do(recipe, tmp_path, monkeypatch):
    def missing(*_):
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr("filelock._unix.fcntl.flock", missing)
    with pytest.raises(ValueError, match=r"^out = .* no file locks .*; mount it with flock, or"):
        train(recipe, tmp_path / "run", progress=False)


def test_a_finished_run_is_returned_where_nothing_can_be_written(recipe, run, monkeypatch):

    def refused(self, *_, **__):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(filelock.FileLock, "acquire", refused)
    assert train(recipe, run.path, progress=False).done


def test_files_have_the_permissions_that_the_umask_gives(recipe, tmp_path):
    before = os.umask(0o027)
    try:
        train(recipe, tmp_path / "run", progress=False)
    finally:
        os.umask(before)
    modes = {p.name: stat.S_IMODE(p.stat().st_mode) for p in tmp_path.rglob("*") if p.is_file()}
    assert {mode for name, mode in modes.items() if name != ".lock"} == {0o640}


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(errno.EFBIG, "File too large"), "larger than a file may be here"),
        (
            RuntimeError('Io(Os { code: 27, kind: FileTooLarge, message: "File too large" })'),
            "larg",
        ),
        (RuntimeError("I/O error: File too large (os error 27)"), "larger than a file may be"),
        (RuntimeError("I/O error: No space left on device (os error 28)"), "the disk is full"),
        (OSError(errno.ESTALE, "Stale file handle"), "network file system has lost it"),
        (OSError(errno.EIO, "Input/output error"), "check it and start again"),
    ],
)
def test_an_error_of_the_disk_names_the_file_and_what_to_do(tmp_path, error, said):
    with pytest.raises(OSError, match=rf"a\.txt: .*{said}"), files.named_errors(tmp_path / "a.txt"):
        raise error


def test_what_killed_writers_left_goes_at_the_next_start(recipe, run):
    context = multiprocessing.get_context("fork")
    dead = context.Process(target=int)
    dead.start()
    dead.join()
    folder = run.path / "evaluations/step-000002/world"
    folder.mkdir(parents=True)
    left = [f"settings.json.{dead.pid}.partial", f"from-00000.parquet.{dead.pid}.partial"]
    kept = [f"settings.json.{os.getpid()}.partial", "mine.partial", "settings.json"]
    for name in left + kept:
        (folder / name).write_text("")
    (run.path / "state/step-000000").mkdir()  # between the last state and the removal of the old
    (run.path / "checkpoints/.step-000001.partial").mkdir()
    (run.path / "DONE").unlink()
    train(recipe, run.path, progress=False)
    assert sorted(path.name for path in folder.iterdir()) == sorted(kept)
    assert sorted(p.name for p in (run.path / "state").iterdir()) == ["step-000001", "step-000002"]
    assert not list(run.path.glob("checkpoints/.*"))


def test_ctrl_c_ends_the_command_line_without_a_traceback(recipe, tmp_path, monkeypatch, capsys):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(checkpoints, "begin", interrupted)
    (tmp_path / "r.yaml").write_text(recipe.replace(preset="tiny").to_yaml())
    with pytest.raises(SystemExit) as stop:
        main(["--params", str(tmp_path / "r.yaml"), "--out", str(tmp_path / "run")])
    assert stop.value.code == 130
    assert "Traceback" not in capsys.readouterr().err


def test_a_terminal_without_the_letters_of_a_path_is_no_failure(recipe, tmp_path, monkeypatch):
    import io
    import sys

    told = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(told, encoding="ascii"))
    (tmp_path / "r.yaml").write_text(recipe.replace(preset="tiny").to_yaml())
    main(["--params", str(tmp_path / "r.yaml"), "--out", str(tmp_path / "für mich")])
    sys.stdout.flush()
    assert b"done: " in told.getvalue()
    assert b"f\\xfcr mich" in told.getvalue()
    assert json.loads((tmp_path / "für mich/provenance.json").read_text())["command"]
    assert Run(tmp_path / "für mich").done
