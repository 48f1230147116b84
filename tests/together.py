"""Several processes of one run, forked with all modules loaded: seconds instead of a minute."""

import contextlib
import io
import multiprocessing
import os
import socket
from pathlib import Path

import torch
from accelerate.commands.launch import _validate_launch_command, launch_command_parser
from accelerate.utils.launch import prepare_multi_gpu_env
from safetensors.torch import save_file

from onerl.parameters import params_folder


def launched(config: str) -> dict:
    """What `accelerate launch` would set for a configuration, on this machine without a GPU."""
    file = str(params_folder() / "accelerate" / f"{config}.yaml")
    options = ["--config_file", file, "--num_processes", "2", "--mixed_precision", "no"]
    args, *_ = _validate_launch_command(launch_command_parser().parse_args([*options, "script"]))
    return {k: v for k, v in prepare_multi_gpu_env(args).items() if os.environ.get(k) != v}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def together(target, *arguments, environment=(), count=2, timeout=120) -> list[int]:
    """Exit codes of `count` processes that call target(*arguments), as ranks of one run."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["onerl.training.trainer", "onerl.train"])
    shared = {"WORLD_SIZE": count, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": free_port()}
    shared |= {"LOCAL_WORLD_SIZE": count} | dict(environment)
    ranks = [shared | {"RANK": rank, "LOCAL_RANK": rank} for rank in range(count)]
    members = [context.Process(target=_member, args=(e, target, arguments)) for e in ranks]
    for member in members:
        member.start()
    for member in members:
        member.join(timeout)
        if member.exitcode is None:
            for late in members:
                late.kill()
    return [member.exitcode for member in members]


def _member(environment, target, arguments):
    os.environ.update({key: str(value) for key, value in environment.items()})
    torch.set_num_threads(1)
    from onerl.training import processes

    try:
        target(*arguments)
    finally:
        processes.leave()


def run_command_line(arguments, said: Path):
    """`python -m onerl.train` in this process; what it says goes to a file per rank."""
    from onerl.train import main

    text = io.StringIO()
    try:
        with contextlib.redirect_stdout(text), contextlib.redirect_stderr(text):
            main(arguments)
    except SystemExit as end:
        text.write("" if end.code in (None, 0, 1) else f"{end.code}\n")
        raise SystemExit(0 if end.code in (None, 0) else 1) from None
    finally:
        (said / f"rank-{os.environ['RANK']}").write_text(text.getvalue())


def train_recording(recipe, out: Path, gradients: Path):
    """Train; the main process writes every update's full gradient into `gradients`."""
    from torch.distributed.tensor import DTensor

    from onerl import train
    from onerl.training import processes
    from onerl.training.trainer import OneShotTrainer

    backward = OneShotTrainer.backward

    def recorded(self, model, batch):
        total = backward(self, model, batch)
        found = {}
        for name, parameter in self.accelerator.unwrap_model(model).named_parameters():
            grad = parameter.grad
            found[name] = grad.full_tensor() if isinstance(grad, DTensor) else grad.clone()
        if processes.is_main():
            gradients.mkdir(exist_ok=True)
            save_file(found, gradients / f"{self._step}.safetensors")
        return total

    OneShotTrainer.backward = recorded
    try:
        train(recipe, out, progress=False)
    finally:
        OneShotTrainer.backward = backward


def train_sharded(recipe, out: Path, gradients: Path):
    """As `train_recording`, with FSDP2 on the CPU and a full copy that samples, as vLLM would.

    accelerate makes FSDP of GPUs only; nothing but its state's `distributed_type` stands against
    gloo.
    """
    from accelerate.state import AcceleratorState, DistributedType, PartialState
    from torch.distributed.tensor import DTensor
    from transformers import AutoModelForCausalLM

    from onerl.rollouts.shared_prompt import SharedPromptSampler
    from onerl.training import sampling, sharding

    begin = AcceleratorState.__init__

    def begin_with_fsdp(self, *arguments, fsdp_plugin=None, **others):
        begin(self, *arguments, fsdp_plugin=fsdp_plugin, **others)
        if fsdp_plugin is not None:
            self.distributed_type = DistributedType.FSDP
            PartialState._shared_state["distributed_type"] = DistributedType.FSDP
            self.fsdp_plugin = fsdp_plugin
            if self.mixed_precision != "no":
                fsdp_plugin.set_mixed_precision(self.mixed_precision)  # as it does on GPUs

    class FullCopy:
        def __init__(self, accelerator):
            self.accelerator = accelerator
            self.model = AutoModelForCausalLM.from_pretrained(recipe.model, dtype=torch.float32)
            self.sample = SharedPromptSampler(self.model.eval()).sample

        def sync(self, model):
            assert sharding.is_fsdp(self.accelerator)
            for name, shard in model.named_parameters():
                assert isinstance(shard, DTensor)
                self.model.get_parameter(name).data.copy_(shard.full_tensor().detach())

        def close(self):
            pass

    AcceleratorState.__init__ = begin_with_fsdp
    sharding.backend_for = lambda *_: "vllm"
    sampling.training_sampler = lambda recipe, policy, trainer: FullCopy(trainer.accelerator)
    train_recording(recipe, out, gradients)
