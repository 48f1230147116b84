"""Several processes of one run: the first one decides and writes, the others wait for its word.

`accelerate launch -m onerl.train …` starts the same program once per GPU. What touches the run's
folder (lock, checks, provenance, rewind, checkpoints, DONE) happens in the process of rank 0 alone;
a refusal there ends all of them with its one message. With one process nothing here does anything.

The folder must be one that all processes see: on several nodes, on a shared file system.
"""

from __future__ import annotations

import contextlib
import datetime
import fcntl
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from onerl.runs import files

PATIENCE = datetime.timedelta(hours=2)  # for one another's word; NCCL's own is 10 minutes
Result = TypeVar("Result")


def count() -> int:
    """Processes of this run; 1 unless a launcher (accelerate, torchrun) started it."""
    return int(os.environ.get("WORLD_SIZE", 1))


def is_first() -> bool:
    """Whether this is the process that decides and writes."""
    return int(os.environ.get("RANK", 0)) == 0


def on_first(action: Callable[[], Result]) -> Result:
    """Run `action` in the first process alone; what it returns is returned in all of them.

    The others wait. All processes must call this, in the same order, as for any collective.

    Raises:
        Exception: what `action` raised, in the first process.
        SystemExit: in the others, silently: the first one says what is wrong.
    """
    if count() == 1:
        return action()
    from accelerate.utils import broadcast_object_list

    _join()
    result = error = None
    if is_first():
        try:
            result = action()
        except BaseException as raised:
            error = raised
    result, went_well = broadcast_object_list([result, error is None])
    if error is not None:
        raise error
    if not went_well:
        raise SystemExit(1)
    return result


def check_batch(rollouts: int, updates: int) -> None:
    """Refuse a number of processes that cannot share the rollouts of an update equally.

    Args:
        rollouts: of a step, in all `updates` of it.

    Raises:
        ValueError: naming the numbers.
    """
    if rollouts // updates % count():
        raise ValueError(
            f"{count()} processes: their number must divide the {rollouts // updates} rollouts of"
            " an update (prompts_per_step * num_generations / updates_per_step)"
        )


def leave() -> None:
    """Close the connections at the end of a program; nothing to do for one process."""
    if count() > 1:
        import torch.distributed

        if torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()


def _join() -> None:
    import torch
    from accelerate import PartialState

    # the first process may be busy for long: it reads a large checkpoint, or a slow disk fills
    PartialState(cpu=not torch.cuda.is_available(), timeout=PATIENCE)


@contextlib.contextmanager
def only_run(out: Path) -> Iterator[None]:
    """Holds the folder's lock; the kernel lets go of it when the process ends, however it ends.

    The first process of a run holds it for all.
    """
    with contextlib.ExitStack() as held:

        def lock() -> None:
            with files.named_errors(out):
                out.mkdir(parents=True, exist_ok=True)
                file = held.enter_context((out / ".lock").open("a"))
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise ValueError(f"out = {str(out)!r}: another process is training there") from None

        on_first(lock)
        yield
