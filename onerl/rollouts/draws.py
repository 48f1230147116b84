"""Which token comes next, as a pure function of (stream seed of the rollout, position).

Counter-based: a resumed run has no generator's state to restore, and what is drawn does not depend
on the batch a rollout sits in. Covered: temperature, top-p (the nucleus of Holtzman et al. 2020),
greedy. Not covered: top-k, which neither the paper nor its evaluation uses.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F

_MASK = 2**64 - 1
_GAMMA = 0x9E3779B97F4A7C15  # the odd constants of splitmix64 (Steele et al. 2014)
_MIX_1 = 0xBF58476D1CE4E5B9
_MIX_2 = 0x94D049BB133111EB


def _signed(value: int) -> int:
    """The int64 with the same 64 bits."""
    value &= _MASK
    return value - 2**64 if value >= 2**63 else value


def stream_seed(seed: int, step: int, sample: int) -> int:
    """The int64 stream of one rollout, a hash of (seed, step, sample index in the step)."""
    state = 0
    for part in (seed, step, sample):
        state = (state + part * _GAMMA + _GAMMA) & _MASK
        state = ((state ^ (state >> 30)) * _MIX_1) & _MASK
        state = ((state ^ (state >> 27)) * _MIX_2) & _MASK
        state ^= state >> 31
    return _signed(state)


def uniforms(seeds: torch.Tensor, position: int) -> torch.Tensor:
    """One float64 strictly between 0 and 1 per int64 seed: splitmix64 at `position`."""

    def shifted(value: torch.Tensor, bits: int) -> torch.Tensor:  # logical, not arithmetic
        return (value >> bits) & (2 ** (64 - bits) - 1)

    state = seeds + _signed((position + 1) * _GAMMA)
    state = (state ^ shifted(state, 30)) * _signed(_MIX_1)
    state = (state ^ shifted(state, 27)) * _signed(_MIX_2)
    state = state ^ shifted(state, 31)
    return (shifted(state, 12).double() + 0.5) * 2.0**-52  # 52 bits: the largest stays below 1


def choose(
    logits: torch.Tensor,
    temperature: float,
    seeds: torch.Tensor,
    position: int,
    top_p: float = 1.0,
):
    """Tokens and their log-probabilities, shape (rows,), from logits of shape (rows, vocabulary).

    Temperature 0 takes the argmax. Otherwise the inverse cumulative distribution is read at one
    uniform; a token of probability 0 is never chosen, because the first entry above a target below
    the total always has a mass of its own. With top_p below 1 only the nucleus can be drawn; the
    log-probabilities inside it sum to one, as vLLM's do.
    """
    logprobs = F.log_softmax(logits.double() / (temperature or 1.0), -1)
    if temperature == 0:
        tokens = logits.argmax(-1, keepdim=True)
    else:
        probabilities = logprobs.exp()
        if top_p < 1:
            probabilities = nucleus(probabilities, top_p)
        cumulative = probabilities.cumsum(-1)  # (rows, vocabulary)
        total = cumulative[:, -1:]  # (rows, 1)
        if top_p < 1:
            logprobs = logprobs - total.log()
        below = torch.nextafter(total, torch.zeros_like(total))
        target = torch.minimum(uniforms(seeds, position)[:, None] * total, below)
        tokens = torch.searchsorted(cumulative, target, right=True)
        tokens = tokens.clamp(max=logits.shape[-1] - 1)  # NaN only; reported by the caller
    return tokens.squeeze(1), logprobs.gather(1, tokens).squeeze(1)


def nucleus(probabilities: torch.Tensor, top_p: float) -> torch.Tensor:
    """The probabilities with 0 outside the nucleus, not scaled up to one again.

    A token stays while those before it, in falling order, have not reached top_p. Equal
    probabilities keep the order of the vocabulary.
    """
    falling, order = probabilities.sort(dim=-1, descending=True, stable=True)
    before = F.pad(falling.cumsum(-1)[..., :-1], (1, 0))
    dropped = before >= top_p
    return probabilities.masked_fill(torch.zeros_like(dropped).scatter(-1, order, dropped), 0.0)
