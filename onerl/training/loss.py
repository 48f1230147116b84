"""The paper's loss, as functions of tensors (reference sections 2.2 and 2.3, from its code).

    loss = policy_loss * L_pg - entropy_coef * H + beta * L_kl

Each term is a token mean inside a micro-batch, and the micro-batches are averaged by their number
of sequences, as in the released code: `batches.token_weights` turns that into one weight per
rollout. As a weighted sum over tokens, the loss can be computed exactly in chunks of any size and
order, which need not be the micro-batches.
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
