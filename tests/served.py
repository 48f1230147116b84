"""A vLLM server that is not there: what a client of it is told, by several ranks of one run."""

import json
import os
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import patch

import requests
import torch
from small_models import tiny_model

from onerl.rollouts import vllm

BLOCK = 40_000  # bytes: several blocks for a tiny model, of several tensors each


class Client:
    """In place of TRL's; `wrong` is the call that fails, or the one that never ends."""

    def __init__(self, tell=print, wrong="", hangs=False, dtype="torch.bfloat16", answer=None):
        self.tell, self.wrong, self.hangs, self.answer = tell, wrong, hangs, answer
        config = {"logprobs_mode": "processed_logprobs", "dtype": dtype}
        self.get_server_info = lambda: {"model_config": config}
        self.session = requests.Session()

    def _do(self, name, **what):
        self.tell(name, **what)
        if name == self.wrong:
            while self.hangs:
                time.sleep(0.1)
            raise RuntimeError("the server fell over")

    def init_communicator(self, device):
        self._do("join")

    @contextmanager
    def weight_update(self):
        self._do("begin")
        yield
        self._do("end")

    def update_named_params(self, announced, named):
        self._do("send")
        time.sleep(0.02)
        sent = [(name, str(weight.dtype), weight.float().sum().item()) for name, weight in named]
        self.tell("sent", announced=announced, sent=sent)

    def reset_prefix_cache(self):
        self._do("reset")

    def generate(self, prompts, generation_kwargs):
        return self.answer


def server_sampler(client, accelerator, **limits):
    with patch.object(vllm, "VLLMClient", lambda **_: client):
        return vllm.VllmServerSampler("http://localhost:1", accelerator, **limits)


def accelerator_of(state, sharded: bool) -> SimpleNamespace:
    """What the sampler and TRL's walk over the weights read of an accelerator."""
    plugin = SimpleNamespace(fsdp_version=2) if sharded else None
    return SimpleNamespace(
        state=SimpleNamespace(deepspeed_plugin=None, fsdp_plugin=plugin),
        is_main_process=state.is_main_process,
        process_index=state.process_index,
        wait_for_everyone=state.wait_for_everyone,
        device=state.device,
    )


def sync_by_a_rank(folder: Path, how: dict, limit: float = 60.0, absent: int | None = None):
    """Two syncs of a model with sharded weights (FSDP2); what happens goes to a file per rank."""
    from accelerate import PartialState
    from torch.distributed.fsdp import fully_shard

    state = PartialState(cpu=True)
    rank = state.process_index
    sys.stderr.flush()
    os.dup2(os.open(folder / f"stderr-{rank}", os.O_CREAT | os.O_WRONLY), 2)
    sys.stderr = os.fdopen(2, "w")
    events = (folder / f"rank-{rank}.jsonl").open("w")

    def tell(what, **more):
        event = {"at": time.monotonic_ns(), "what": what, **more}
        events.write(json.dumps(event) + "\n")
        events.flush()

    model = tiny_model()
    for layer in model.model.layers:
        fully_shard(layer)
    fully_shard(model)
    walk = vllm.Weights.__iter__

    def watched(self):
        for name, weight in walk(self):
            time.sleep(0.02 * (rank == 2))  # the slow one
            tell("whole", name=name, shape=list(weight.shape))
            yield name, weight

    vllm.Weights.__iter__, vllm.BLOCK_BYTES = watched, BLOCK
    sampler = server_sampler(Client(tell, **how), accelerator_of(state, True), limit=limit)
    if rank == absent:
        time.sleep(30)
    try:
        for _ in range(2):
            sampler.sync(model)
            with torch.no_grad():
                for parameter in model.parameters():
                    parameter.mul_(2)
    except ValueError as error:
        tell("error", message=str(error))
        raise SystemExit(3) from None
