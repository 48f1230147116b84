"""The terms of the paper's loss, as functions of tensors (reference 2.2 and 2.3, from its code).

    loss = policy_loss * L_pg - entropy_coef * H + beta * L_kl

Each term is a token mean inside a micro-batch, and the micro-batches are averaged by their number
of sequences, as in the released code: `batches.token_weights` turns that into one weight per
rollout. So the loss is a weighted sum over tokens, exact in chunks of any size and order, which
need not be the micro-batches. In the shapes below B is rollouts, T completion tokens, padded on the
right; padding has weight 0.
"""

import torch


def group_advantages(rewards: torch.Tensor, group_size: int) -> torch.Tensor:
    """The advantage of each rollout: (r - mean) / (std + 1e-6) in its group, std with ddof 1.

    `rewards` are (B,), those of a group together; so are the advantages, in the same type. Computed
    in float64, and exactly 0 in a group of equal rewards: the rounding error of a mean must not be
    divided by 1e-6. Raises RuntimeError when B is not a multiple of `group_size`.
    """
    groups = rewards.double().view(-1, group_size)  # (B / G, G)
    centred = groups - groups.mean(1, keepdim=True)
    scaled = centred / (groups.std(1, keepdim=True) + 1e-6)
    constant = (groups == groups[:, :1]).all(1, keepdim=True)  # (B / G, 1)
    return scaled.masked_fill(constant, 0.0).to(rewards.dtype).view_as(rewards)


def policy_term(
    logps: torch.Tensor, old_logps: torch.Tensor, advantages: torch.Tensor, epsilon: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """The policy loss of each token, and whether its ratio was clipped; the second of bools.

    Log-probabilities of the sampled tokens and both results are (B, T), advantages (B, 1) or
    (B, T); the ratio is clipped to [1 - epsilon, 1 + epsilon].
    """
    ratio = torch.exp(logps - old_logps)  # (B, T)
    unclipped = -advantages * ratio
    clipped = -advantages * ratio.clamp(1 - epsilon, 1 + epsilon)
    return torch.max(unclipped, clipped), clipped > unclipped


def kl_term(logps: torch.Tensor, ref_logps: torch.Tensor, clamp: float) -> torch.Tensor:
    """The k3 estimate of the KL from the reference at each token, clamped to [-clamp, clamp].

    Log-probabilities and the result have shape (B, T).
    """
    difference = ref_logps - logps
    return (torch.exp(difference) - difference - 1).clamp(-clamp, clamp)
