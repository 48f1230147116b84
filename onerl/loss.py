"""The paper's loss, as functions of tensors (reference sections 2.2 and 2.3, from its code).

    loss = policy_loss * L_pg - entropy_coef * H + beta * L_kl

Each term is a mean over the response tokens of an update: its micro-batch is the whole update.
The released code takes the mean inside each micro-batch and averages those by their number of
sequences, so that its value depends on how sequences happen to be packed into 24,000 tokens; with
one micro-batch the two are the same. As a sum over tokens with one weight, the loss can be
computed exactly in chunks of any size and order.
"""

from __future__ import annotations

import torch


def group_advantages(rewards: torch.Tensor, group_size: int) -> torch.Tensor:
    """(r - mean) / (std + 1e-6) per group of consecutive rewards, std with ddof 1.

    `rewards` and the result have shape (groups * group_size,). In float64, and exactly 0 in a
    group of equal rewards: the rounding error of a mean must not be divided by 1e-6.
    """
    groups = rewards.double().view(-1, group_size)
    centred = groups - groups.mean(1, keepdim=True)
    scaled = centred / (groups.std(1, keepdim=True) + 1e-6)
    constant = (groups == groups[:, :1]).all(1, keepdim=True)
    return scaled.masked_fill(constant, 0.0).to(rewards.dtype).view_as(rewards)


def policy_term(
    logps: torch.Tensor, old_logps: torch.Tensor, advantages: torch.Tensor, epsilon: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """The clipped policy-gradient loss of each token, and whether its ratio was clipped.

    Log-probabilities have shape (sequences, tokens), advantages (sequences,).
    """
    ratio = torch.exp(logps - old_logps)
    advantages = advantages[:, None]
    unclipped = -advantages * ratio
    clipped = -advantages * ratio.clamp(1 - epsilon, 1 + epsilon)
    return torch.max(unclipped, clipped), clipped > unclipped


def kl_term(logps: torch.Tensor, ref_logps: torch.Tensor, clamp: float) -> torch.Tensor:
    """The k3 estimate of the KL divergence from the reference at each token, clamped."""
    difference = ref_logps - logps
    return (torch.exp(difference) - difference - 1).clamp(-clamp, clamp)
