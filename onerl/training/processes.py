"""Several processes of one run: the main process (rank 0) decides and writes, the others wait.

`accelerate launch -m onerl.train …` starts the same program once per GPU. What touches the run's
folder (lock, checks, provenance, rewind, checkpoints, DONE) happens in the main process alone; a
refusal there ends all of them with its one message. With one process nothing here does anything.
The folder must be one that all processes see: on several nodes, on a shared file system.
"""

import contextlib
import datetime
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from onerl.runs import Run

PATIENCE = datetime.timedelta(hours=2)  # to wait for one another; NCCL's own is 10 minutes
Result = TypeVar("Result")


def count() -> int:
    """Processes of this run; 1 unless a launcher (accelerate, torchrun) started it."""
    return int(os.environ.get("WORLD_SIZE", 1))


def is_main() -> bool:
    """Whether this is the main process, of rank 0: it decides and writes."""
    return int(os.environ.get("RANK", 0)) == 0


def on_main_process(action: Callable[[], Result]) -> Result:
    """Run `action` in the main process alone, and return its result in every process.

    The others wait. All processes must call this, in the same order, as for any collective.

    Raises:
        Exception: what `action` raised, in the main process.
        SystemExit: in the others, silently: the main process says what is wrong.
    """
    if count() == 1:
        return action()
    import torch
    from accelerate import PartialState
    from accelerate.utils import broadcast_object_list

    # the main process may be busy for long: it reads a large checkpoint, or a slow disk fills
    PartialState(cpu=not torch.cuda.is_available(), timeout=PATIENCE)
    result = error = None
    if is_main():
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
    """Refuse a number of processes that cannot share the `rollouts` of a step's updates equally.

    Raises ValueError: naming the numbers.
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


@contextlib.contextmanager
def only_run(out: Path) -> Iterator[None]:
    """Hold the folder's lock, which the main process does for all; raises as `Run.lock` does."""
    with contextlib.ExitStack() as held:
        on_main_process(lambda: held.enter_context(Run(out).lock()))
        yield
