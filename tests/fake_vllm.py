"""A module in place of vLLM: it samples by torch, and remembers how it was started and asked."""

import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import ClassVar

import torch

from onerl.models import load
from onerl.rollouts import Request
from onerl.rollouts.shared_prompt import SharedPromptSampler


class LLM:
    started: ClassVar[list["LLM"]] = []

    def __init__(self, **how):
        self.how, self.calls, self.reloads, self.closed = how, [], 0, False
        self.model = load(Path(how["model"])).to(getattr(torch, how["dtype"])).float().eval()
        runner = SimpleNamespace(model=SimpleNamespace())
        worker = SimpleNamespace(model_runner=runner)
        executor = SimpleNamespace(driver_worker=worker, shutdown=self.shutdown)
        self.llm_engine = SimpleNamespace(model_executor=executor)
        LLM.started.append(self)

    def shutdown(self):
        self.closed = True

    def collective_rpc(self, method, kwargs):
        assert method == "reload_weights"
        assert not self.closed
        new = dict(kwargs["weights_iterator"])
        self.model.load_state_dict(new, strict=False)
        assert len(new) == len(list(self.model.parameters()))
        self.reloads += 1

    def reset_prefix_cache(self):
        pass

    def generate(self, prompts, params, use_tqdm):
        assert not self.closed
        self.calls.append(len(prompts))
        outputs = []
        for prompt, how in zip(prompts, params, strict=True):
            seeds = [] if how["temperature"] == 0 else [how["seed"]]
            ends = set(how["stop_token_ids"])
            request = Request([1], how["max_tokens"], ends, how["temperature"], seeds, how["top_p"])
            (found,) = SharedPromptSampler(self.model).sample([prompt["prompt_token_ids"]], request)
            pairs = zip(found.token_ids, found.logprobs, strict=True)
            logprobs = [{i: SimpleNamespace(logprob=value)} for i, value in pairs]
            completion = SimpleNamespace(
                token_ids=found.token_ids, logprobs=logprobs, finish_reason=found.finish
            )
            outputs.append(SimpleNamespace(outputs=[completion]))
        return outputs


def install(monkeypatch) -> list[LLM]:
    """The engines that are started from now on, which `find_spec` finds vLLM for."""
    module = ModuleType("vllm")
    module.__spec__ = ModuleSpec("vllm", None)
    module.LLM, module.SamplingParams = LLM, dict
    monkeypatch.setitem(sys.modules, "vllm", module)
    monkeypatch.setattr(LLM, "started", [])
    return LLM.started
