"""Who samples, each rollout from its own random stream.

    draws.py          which token comes next: a function of (stream, position) alone
    shared_prompt.py  the sampler in torch: one prefill of a prompt for all its rollouts
    vllm.py           the same by vLLM, in this process or from a server
    merged.py         LoRA adapters as ordinary weights, for whoever samples
    backends.py       which of them samples: for an evaluation, and for the rows of a step

All of them keep one contract: `sample` takes prompts and a `Request` and returns `Rollout`s, `sync`
takes the weights to sample from next, `close` gives memory back. A log-probability is that of the
distribution the token was drawn from: at the request's temperature, and with top_p below 1 that of
the nucleus, scaled up to one. A greedy token (temperature 0) has the one at temperature 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import torch

__all__ = ["Request", "Rollout", "Sampler"]


@dataclass(frozen=True)
class Rollout:
    """One completion: tokens (with the end token, if it came), their log-probabilities, and why
    it ended: "stop" (an end token) or "length" (the token limit)."""

    prompt_index: int
    token_ids: list[int]
    logprobs: list[float]
    finish: str


@dataclass(frozen=True)
class Request:
    """What is asked of a sampler about a list of prompts.

    counts: rollouts of each prompt. seeds: an int64 per rollout (`draws.stream_seed`), in the
    order of the prompts; not needed at temperature 0, which is greedy. eos_ids: the tokens that
    end a rollout, and no others.

    Raises:
        ValueError: a number is out of range, or seeds and rollouts differ in number.
    """

    counts: Sequence[int]
    max_new_tokens: int
    eos_ids: set[int]
    temperature: float = 0.0
    seeds: Sequence[int] = ()
    top_p: float = 1.0

    def __post_init__(self):
        if self.max_new_tokens < 1:
            raise ValueError(f"max_new_tokens: {self.max_new_tokens} is out of range; at least 1")
        if not 0 <= self.temperature < float("inf"):
            raise ValueError(f"temperature: {self.temperature} is out of range; 0 or more")
        if not 0 < self.top_p <= 1:
            raise ValueError(f"top_p: {self.top_p} is out of range; allowed: above 0, at most 1")
        if self.temperature > 0 and len(self.seeds) != sum(self.counts):
            raise ValueError(
                f"expected {sum(self.counts)} seeds, one per rollout, at temperature > 0"
            )

    def owners(self, prompts: Sequence[Sequence[int]]) -> list[int]:
        """The index of the prompt of every rollout.

        Raises:
            ValueError: a prompt is empty, or the counts are not one for each.
        """
        if not all(len(prompt) for prompt in prompts):
            raise ValueError("every prompt needs at least one token")
        if len(prompts) != len(self.counts):
            raise ValueError(f"{len(self.counts)} counts of rollouts for {len(prompts)} prompts")
        return [index for index, count in enumerate(self.counts) for _ in range(count)]


class Sampler(Protocol):
    """Whoever samples rollouts of token ids; one that reads the model itself inherits the rest."""

    def sample(self, prompts: Sequence[Sequence[int]], request: Request) -> list[Rollout]:
        """`request.counts[i]` rollouts of each prompt i, in that order."""

    def sync(self, model: torch.nn.Module) -> None:
        """Sample from the current weights of `model` from now on."""

    def close(self) -> None:
        """Give memory back; the sampler is not used again."""
