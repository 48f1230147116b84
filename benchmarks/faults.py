"""Try faults on small real runs: is each one named or made good, and is nothing lost.

    python benchmarks/faults.py [--small]           # -> benchmarks/results/faults-DATE.json

Every fault meets a copy of the same run of the embedded world, finished or cut off, and the run is
started again in a process of its own. What comes of it is one of:

    named    it is refused in one line and no file is touched, or it goes on, says what is damaged,
             and everything else is that of the undisturbed run, byte for byte
    healed   all that the run leaves is that of the undisturbed run, byte for byte
    lost     anything else: other bytes without a word, a file of somebody else's gone, a traceback

Seconds, provenance and manifests are not compared. `--small` tries a few faults of each kind.
"""

from __future__ import annotations

import argparse
import datetime
import errno
import hashlib
import importlib
import json
import logging
import multiprocessing
import os
import random
import resource
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from onerl import world
from onerl.recipe import Recipe
from onerl.runs import Run, claim, files, provenance
from onerl.train import train

RESULTS = Path(__file__).parent / "results"
TIMED = ("metrics.jsonl", "manifest.json", "provenance.json", ".lock")
STARTED = ("provenance.json", ".lock")  # what a start writes before it looks further
FORK = multiprocessing.get_context("fork")
OWN = "- {{problem: 'What is {}+{}?', answer: '{}'}}\n"
Fault = Callable[[Path], None]
KEPT = (
    *("checkpoints/step-000000/model.safetensors", "checkpoints/step-000002/config.json"),
    *("checkpoints/step-000004/model.safetensors", "checkpoints/step-000006/model.safetensors"),
    *("checkpoints/step-000006/tokenizer.json", "checkpoints/step-000006/sums.json"),
    *("rollouts/step-000002.parquet", "rollouts/step-000006.parquet", "metrics.jsonl"),
    *("state/step-000006/optimizer.safetensors", "state/step-000006/manifest.json"),
    *("state/step-000006/trainer_state.json", "state/step-000004/metrics.jsonl"),
    *("recipe.yaml", "provenance.json", "manifest.json"),
)


def recipe(place: Path, **changes) -> Recipe:
    return Recipe.load("tiny").replace(
        model=str(place / "world"),
        examples=str(place / "own.yaml"),
        reward="random",
        **{"steps": 6, "save_every": 2, "prompts_per_step": 1, "num_generations": 4},
        **{"max_completion_length": 8, "threads": 1, "backend": "torch", **changes},
    )


# -- what is compared -----------------------------------------------------------------------------


def left(run: Path) -> dict[str, str]:
    """Everything that a run leaves, by name: sums of the files, metrics without their seconds."""
    found = {
        str(path.relative_to(run)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(run.rglob("*"))
        if path.is_file() and path.name not in TIMED
    }
    for line in (run / "metrics.jsonl").read_text().splitlines():
        row = json.loads(line)
        kept = {key: value for key, value in row.items() if not key.startswith("seconds/")}
        found[f"metrics.jsonl {row['step']}"] = json.dumps(kept)
    return found


def everything(place: Path) -> dict[str, str]:
    """Every file and link below a folder; links are not followed."""
    found = {}
    for folder, _, names in os.walk(place):
        for name in names:
            path = Path(folder, name)
            text = str(path.readlink()) if path.is_symlink() else path.read_bytes()
            found[str(path)] = text if isinstance(text, str) else hashlib.sha256(text).hexdigest()
    return {name: sum_ for name, sum_ in found.items() if Path(name).name not in STARTED}


def attempt(place: Path, before: Fault | None, answer, **changes) -> None:
    """In a process of its own: train, and answer (error, warnings)."""
    said: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: said.append(record.getMessage())
    logging.getLogger("onerl").addHandler(handler)
    error = None
    try:
        if before is not None:
            before(place)
        train(recipe(place, **changes), place / "run", progress=False)
    except (ValueError, OSError) as refused:
        error = str(refused)
    answer.send((error, said))


def started(place: Path, before: Fault | None = None, **changes) -> tuple[str | None, list, int]:
    ours, theirs = FORK.Pipe(False)
    process = FORK.Process(target=attempt, args=(place, before, theirs), kwargs=changes)
    process.start()
    theirs.close()
    try:
        error, said = ours.recv()
    except EOFError:  # killed, or a traceback
        error, said = None, []
    process.join()
    return error, said, process.exitcode


def outcome(place: Path, whole: dict, name: str, before: Fault | None, **changes) -> tuple:
    """(named, healed or lost, what was said)."""
    earlier = everything(place)
    error, said, code = started(place, before, **changes)
    if code:
        return "lost", f"exit status {code}"
    if error is not None:
        fine = "\n" not in error and everything(place).items() >= earlier.items()
        return "named" if fine else "lost", error
    found = left(place / "run")
    differ = {key for key in found.keys() | whole.keys() if found.get(key) != whole.get(key)}
    if not differ:
        return "healed", "; ".join(said)
    if not said:  # not looked at when a finished run is returned
        said = [f"by Run.verify: {path}" for path in Run(place / "run").verify()]
    only = all(key.startswith(name) for key in differ) and any(name in text for text in said)
    return "named" if name and only else "lost", f"{'; '.join(said)} ({len(differ)} differ)"


# -- the faults: (kind, name, what is done, whether the run is finished, what is done inside) ------


def flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size * 2 // 3])


def empty(file: Path) -> None:
    file.write_bytes(b"")


def zeros(file: Path) -> None:
    file.write_bytes(bytes(file.stat().st_size))


def gone(file: Path) -> None:
    file.unlink()


def folder_gone(file: Path) -> None:
    shutil.rmtree(file.parent)


def turned(file: Path) -> None:
    file.unlink()
    file.mkdir()


def damages() -> Iterator[tuple]:
    for done in (True, False):
        kind = f"damage to a {'finished' if done else 'cut-off'} run"
        for name in KEPT[: None if done else -1]:
            for how in (flip, cut, empty, zeros, gone, turned):
                yield kind, f"{name} {how.__name__}", name, on_run(how, name), done, {}
        yield kind, "last checkpoint gone", "", on_run(folder_gone, KEPT[3]), done, {}
    yield kind, "all states gone", "", lambda p: shutil.rmtree(p / "run/state"), False, {}


def on_run(how: Fault, name: str) -> Fault:
    return lambda place: how(place / "run" / name)


def foreign() -> Iterator[tuple]:
    kind = "a folder of somebody else's"
    for names in (
        ["checkpoints/zebra.pt"],
        ["checkpoints/.git/config", "rollouts/video.mp4"],
        ["metrics.jsonl"],
        ["state/step-000002/optimizer.pt"],
        ["recipe.yaml", "checkpoints/step-000009/model.pt"],
        ["DONE"],
        [".hidden"],
    ):

        def replace(place: Path, names=names) -> None:
            shutil.rmtree(place / "run")
            for name in names:
                (place / "run" / name).parent.mkdir(parents=True, exist_ok=True)
                (place / "run" / name).write_text("flour: 200 g\n")

        yield kind, " ".join(names), "", replace, True, {}
    for name in ("checkpoints", "rollouts", "state", "metrics.jsonl"):

        def link(place: Path, name=name) -> None:
            (place / "run" / name).rename(place / "theirs")
            (place / "run" / name).symlink_to(place / "theirs")

        yield kind, f"{name} is a link", "", link, False, {}
    for name in ("checkpoints/step-000006/notes.txt", "state/step-000006/scaler.pt"):

        def add(place: Path, name=name) -> None:
            (place / "run" / name).write_text("mine")
            empty(place / "run/state/step-000006/optimizer.safetensors")

        yield kind, f"{name} is there", "", add, False, {}
    for what in ("file", "link to nothing"):

        def instead(place: Path, what=what) -> None:
            shutil.rmtree(place / "run")
            target = place / "run"
            target.write_text("") if what == "file" else target.symlink_to(place / "nowhere")

        yield kind, f"out is a {what}", "", instead, True, {}


def changed() -> Iterator[tuple]:
    def weights(place: Path) -> None:
        file = place / "world/model.safetensors"
        save_file({k: v * 1.1 for k, v in load_file(file).items()}, file, {"format": "pt"})

    def example(*numbers) -> Fault:
        return lambda place: (place / "own.yaml").write_text(OWN.format(*numbers)) and None

    for done in (True, False):
        kind = f"changed inputs of a {'finished' if done else 'cut-off'} run"
        yield kind, "another problem", "", example(5, 5, 10), done, {}
        yield kind, "another answer", "", example(1, 1, 3), done, {}
        yield kind, "other weights", "", weights, done, {}
        yield kind, "another recipe", "", None, done, {"beta": 0.5}
        yield kind, "other token_budget", "", None, done, {"token_budget": 30}
        yield kind, "other threads", "", None, done, {"threads": 2}


def torn() -> Iterator[tuple]:
    kind = "a recipe.yaml that is none"
    bomb = "\n".join(
        ["a0: &a0 [x, x]"] + [f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]" for i in range(1, 60)]
    )
    for name, text in {
        "of a newer version": "\nshiny: 1\n",
        "with a key twice": "\nbeta: 3\n",
        "a bomb of aliases": f"\n{bomb}\n",
        "binary": "\0\1\2",
    }.items():

        def append(place: Path, text=text) -> None:
            with (place / "run/recipe.yaml").open("a") as file:
                file.write(text)
            (place / "run/provenance.json").unlink()

        yield kind, name, "", append, True, {}


def failing() -> Iterator[tuple]:
    """What fails inside the process: (kind, name, …, what is done there)."""
    kind = "a failing file system"

    def after(calls: int, number: int) -> Fault:
        def patch(place: Path) -> None:
            inner, counted = os.fsync, []

            def fsync(descriptor) -> None:
                counted.append(1)
                if len(counted) > calls:
                    raise OSError(number, os.strerror(number))
                inner(descriptor)

            os.fsync = fsync

        return patch

    for number in (errno.ENOSPC, errno.EIO, errno.ESTALE, errno.EDQUOT):
        for calls in (0, 7, 19):
            yield kind, f"{errno.errorcode[number]} after {calls}", after(calls, number)
    for size in (2_000, 100_000, 1_000_000):

        def small_files(place: Path, size=size) -> None:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

        yield kind, f"EFBIG over {size} bytes", small_files


# -- trying them ----------------------------------------------------------------------------------


class Trial:
    """A folder with the inputs, the undisturbed run, and a copy of it for every fault."""

    def __init__(self, folder: Path):
        self.base, self.folder = folder / "base", folder / "place"
        shutil.copytree(world.FOLDER, self.base / "world")
        (self.base / "own.yaml").write_text(OWN.format(1, 1, 2))
        self.put(self.base)
        error, _, code = started(self.folder)
        assert (error, code) == (None, 0), error
        self.whole = left(self.folder / "run")
        shutil.rmtree(self.base)
        self.folder.rename(self.base)
        self.rows: list[dict] = []

    def put(self, source: Path) -> None:
        """The same place again for each fault, since a recipe names its files by their path."""
        shutil.rmtree(self.folder, ignore_errors=True)
        shutil.copytree(source, self.folder, symlinks=True)

    def add(self, kind: str, fault: str, result: str, said: str) -> None:
        said = said.replace(f"{self.folder}/", "")
        self.rows.append({"kind": kind, "fault": fault, "result": result, "said": said})
        print(f"{result:7s}{kind}: {fault}", flush=True)

    def meet(self, kind, fault, name, how, done, changes) -> None:
        """A fault that is there before the start."""
        self.put(self.base)
        if not done:
            for file in ("DONE", "manifest.json"):
                (self.folder / "run" / file).unlink()
        if how is not None:
            how(self.folder)
        self.add(kind, fault, *outcome(self.folder, self.whole, name, None, **changes))

    def fail(self, kind, fault, patch) -> None:
        """A new run fails in the middle; when the cause is gone, it goes on."""
        self.put(self.base)
        shutil.rmtree(self.folder / "run")
        error, _, code = started(self.folder, patch)
        if code or (error is not None and ("\n" in error or "/run" not in error)):
            return self.add(kind, fault, "lost", error or f"exit status {code}")
        result, said = outcome(self.folder, self.whole, "", None)
        self.add(kind, fault, result, f"{error}; then: {said}")

    def kill(self, moments: random.Random, kills: int) -> None:
        """A new run is killed at random calls of fsync, and goes on each time."""
        self.put(self.base)
        shutil.rmtree(self.folder / "run")
        fell = []
        for _ in range(kills):
            at = moments.randrange(1, 90)

            def die(place: Path, at=at) -> None:
                inner, counted = os.fsync, []

                def fsync(descriptor) -> None:
                    counted.append(1)
                    if len(counted) == at:
                        os.kill(os.getpid(), signal.SIGKILL)
                    inner(descriptor)

                os.fsync = fsync

            _, _, code = started(self.folder, die)
            fell.append(at if code == -signal.SIGKILL else "finished")
        result, said = outcome(self.folder, self.whole, "", None)
        self.add("killed and started again", f"at writes {fell}", result, said)

    def lock(self, deleted: bool) -> None:
        """Another process trains there, and somebody has deleted the lock file."""
        self.put(self.base)
        (self.folder / "run/DONE").unlink()
        ready, release = FORK.Event(), FORK.Event()

        def hold() -> None:
            with claim.lock(self.folder / "run"):
                ready.set()
                release.wait(60)

        holder = FORK.Process(target=hold)
        holder.start()
        ready.wait(60)
        if deleted:
            (self.folder / "run/.lock").unlink()
        result = outcome(self.folder, self.whole, "", None)
        release.set()
        holder.join()
        self.add("two processes", "lock file deleted" if deleted else "at once", *result)

    def leave(self) -> None:
        """What a killed run or evaluation left behind goes."""
        self.put(self.base)
        run = self.folder / "run"
        (run / "evaluations/step-000006/world").mkdir(parents=True)
        (run / "evaluations/step-000006/world/settings.json.999999999.partial").write_text("")
        shutil.copytree(run / "state/step-000004", run / "state/step-000002")
        (run / "checkpoints/.step-000004.former").mkdir()
        (run / "rollouts/.step-000004.parquet.partial").write_text("")
        (run / "DONE").unlink()
        self.add(
            "left behind", "states and partial files", *outcome(self.folder, self.whole, "", None)
        )


def table(rows: list[dict]) -> str:
    """Faults tried, named, healed and lost, by kind."""
    kinds = list(dict.fromkeys(row["kind"] for row in rows))
    lines = [f"{'':34s} tried  named healed   lost"]
    for kind in [*kinds, "all"]:
        results = [row["result"] for row in rows if kind in (row["kind"], "all")]
        counts = [results.count(result) for result in ("named", "healed", "lost")]
        lines.append(f"{kind:34s} {len(results):5d}" + "".join(f"{n:7d}" for n in counts))
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--small", action="store_true", help="every eleventh fault, nothing kept")
    parser.add_argument("--kills", type=int, default=12, help="chains of one to three kills")
    given = parser.parse_args()
    torch.set_num_threads(1)
    importlib.import_module("onerl.training.trainer")  # once, before the forks
    seed, begun, every = time.time_ns() % 2**32, time.perf_counter(), 11 if given.small else 1
    with tempfile.TemporaryDirectory() as folder:
        trial, moments = Trial(Path(folder)), random.Random(seed)
        for faults in (damages(), foreign(), changed(), torn()):
            for fault in list(faults)[::every]:
                trial.meet(*fault)
        for fault in list(failing())[::every]:
            trial.fail(*fault)
        for chain in range(1 if given.small else given.kills):
            trial.kill(moments, 1 + chain % 3)
        for deleted in (False, True):
            trial.lock(deleted)
        trial.leave()
    result = {
        "date": datetime.date.today().isoformat(),
        "commit": provenance.git_commit(),
        **provenance.hardware(),
        "seed of the moments": seed,
        "seconds": round(time.perf_counter() - begun),
        "faults": trial.rows,
    }
    print(table(trial.rows))
    if not given.small:
        file = RESULTS / f"faults-{result['date']}.json"
        files.write_text(file, json.dumps(result, indent=1) + "\n")
        print(file)
    if any(row["result"] == "lost" for row in trial.rows):
        raise SystemExit("something was lost")


if __name__ == "__main__":
    main()
