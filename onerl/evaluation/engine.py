"""One sampler for all that is evaluated together.

    with one_engine("vllm") as engine:
        for checkpoint in run.checkpoints:
            evaluate(checkpoint, backend=engine)

A vLLM engine takes a minute or two to start: it starts once, and is sent the weights of the next
model of the same architecture. `Run.evaluate` does this for the checkpoints of a run.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from onerl.models import Located, load
from onerl.parameters import watched
from onerl.rollouts import Sampler

SAY_EVERY = 10  # seconds between two lines of progress
NAMES = {"dtype", "torch_dtype", "transformers_version", "_name_or_path"}  # no architecture's


def seen() -> bool:
    """Whether to say how far one is: not into the outputs of a notebook that nobody looks at."""
    return watched() or "ipykernel" not in sys.modules


class Engine:
    """Hands out the sampler of one model after another; the one before is not used again."""

    def __init__(self, backend: str = "auto"):
        self.backend = backend
        self._sampler: Sampler | None = None
        self._kind = None

    def takes_all(self, model: Located) -> bool:
        """Whether the sampler shares its slots among any number of rollouts, as vLLM does."""
        from onerl.rollouts.backends import evaluation_backend

        return evaluation_backend(self.backend, model) == "vllm"

    def computes_in(self, model: Located, dtype: str) -> str:
        """As `onerl.rollouts.backends.computed_in`."""
        from onerl.rollouts.backends import computed_in

        return computed_in(self.backend, model, dtype)

    def sampler(self, model: Located, dtype: str, rows: int) -> Sampler:
        """The sampler of a model's weights, in this precision, for so many rollouts at once."""
        from tqdm import tqdm

        from onerl.rollouts import backends

        config = json.loads((model.files / "config.json").read_text("utf-8"))
        kind = self.computes_in(model, dtype), {k: config[k] for k in config.keys() - NAMES}
        if self.takes_all(model) and kind == self._kind:
            self._sampler.sync(load(model.files))
            return self._sampler
        self.close()
        self._sampler, self._kind = backends.sampler_for(self.backend, model, dtype, rows), kind
        if self.takes_all(model) and seen():
            self._sampler.bar = partial(tqdm, mininterval=SAY_EVERY)
        return self._sampler

    def close(self) -> None:
        """Give the sampler's memory back."""
        sampler, self._sampler, self._kind = self._sampler, None, None
        if sampler is not None:
            sampler.close()


@contextmanager
def one_engine(backend: str | Engine = "auto") -> Iterator[Engine]:
    """An engine that is closed at the end; or the given one, which is left open."""
    if isinstance(backend, Engine):
        yield backend
        return
    engine = Engine(backend)
    try:
        yield engine
    finally:
        engine.close()
