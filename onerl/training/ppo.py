"""PPO (`method: ppo`): a critic in place of the group's mean (paper Tables 4, 11 and 17).

The paper gives no hyper-parameters; these are the defaults of the released code (reference 2.7):
discount and lambda 1, so that the advantage of a token is what the answer earns from there on less
what the critic expected; the KL to the reference inside the reward, as a plain log-ratio;
advantages whitened over all completion tokens of a step; the critic an own copy of the model with a
head of one number, trained by AdamW on a clipped squared error, in `num_generations` updates of
`prompts_per_step` rollouts where the policy makes one.

Covered: one process, all weights trained, updates_per_step of 1. In the shapes below B is rollouts
and T completion tokens, padded on the right.
"""

from __future__ import annotations

import time
from pathlib import Path

import torch
from safetensors.torch import load_file
from transformers import AutoModel

from onerl.recipe import Recipe
from onerl.training import processes
from onerl.training.batches import pass_tokens
from onerl.training.trainer import OneShotTrainer

CRITIC_DECAY = 0.01
VALUE_CLIP = 0.5
DISCOUNT, LAMBDA = 1.0, 1.0
CRITIC, CRITIC_MOMENTS = "critic.safetensors", "critic_optimizer.safetensors"


def token_rewards(rewards, logps, ref_logps, mask, beta: float) -> torch.Tensor:
    """What each token earns: minus beta times its log-ratio, and the reward at the last token.

    Args:
        rewards: of the whole rollouts, (B,).
        logps, ref_logps, mask: (B, T).

    Returns:
        (B, T), 0 where the mask is.
    """
    earned = -beta * (logps - ref_logps) * mask  # (B, T)
    last = (mask.sum(1) - 1).clamp(min=0).long()  # (B,)
    return earned.scatter_add(1, last[:, None], (rewards * (mask.sum(1) > 0))[:, None])


def gae(
    rewards: torch.Tensor, values: torch.Tensor, mask: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Generalised advantage estimates, and the returns that the critic learns; both (B, T).

    Source: Schulman et al. 2016, "High-Dimensional Continuous Control Using Generalized Advantage
    Estimation", equation 16. All arguments have shape (B, T).
    """
    advantages, following = torch.zeros_like(values), torch.zeros_like(values[:, 0])
    for t in reversed(range(values.shape[1])):
        known = t + 1 < values.shape[1]
        expected = values[:, t + 1] * mask[:, t + 1] if known else torch.zeros_like(following)
        surprise = rewards[:, t] + DISCOUNT * expected - values[:, t]
        following = (surprise + DISCOUNT * LAMBDA * following) * mask[:, t]
        advantages[:, t] = following
    return advantages, (advantages + values) * mask


def whitened(advantages: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """With mean 0 and variance 1 (Bessel's) over all tokens of the mask; both (B, T)."""
    taken = advantages[mask > 0]
    centred = (advantages - taken.mean()) * torch.rsqrt(taken.var() + 1e-8)
    return centred * mask


def value_loss(
    values: torch.Tensor, old_values: torch.Tensor, returns: torch.Tensor
) -> torch.Tensor:
    """Half the squared error of the value or of the clipped one, whichever is more; (B, T)."""
    clipped = old_values + (values - old_values).clamp(-VALUE_CLIP, VALUE_CLIP)
    return 0.5 * torch.max((values - returns) ** 2, (clipped - returns) ** 2)


class Critic(torch.nn.Module):
    """A copy of the policy's model with a head of one number; the value before each token."""

    def __init__(self, model: str):
        super().__init__()
        self.body = AutoModel.from_pretrained(model, dtype="float32", trust_remote_code=False)
        config = self.body.config.get_text_config()
        self.head = torch.nn.Linear(config.hidden_size, 1)
        torch.nn.init.normal_(self.head.weight, std=config.initializer_range)
        torch.nn.init.zeros_(self.head.bias)

    def forward(self, prompt: torch.Tensor, completions: torch.Tensor) -> torch.Tensor:
        """Values (B, T) of B completions (B, T) of one prompt (P,): what is expected at each."""
        ids = torch.cat([prompt.expand(len(completions), -1), completions], 1)
        # no mask: padding comes last, so nothing sees it
        hidden = self.body(input_ids=ids, use_cache=False).last_hidden_state
        return self.head(hidden[:, len(prompt) - 1 : -1]).squeeze(-1).float()


class PPOTrainer(OneShotTrainer):
    """`OneShotTrainer` with a critic: an advantage per token instead of one per rollout."""

    def __init__(self, recipe: Recipe, model: str, *arguments, **options):
        if processes.count() > 1:
            raise ValueError(f"processes = {processes.count()}: method ppo allows 1 alone")
        super().__init__(recipe, model, *arguments, **options)
        torch.manual_seed(recipe.seed)  # the head begins at random
        self.critic = Critic(model).to(self.accelerator.device).train()
        if self.args.gradient_checkpointing:
            self.critic.body.gradient_checkpointing_enable()
        self.critic_optimizer = torch.optim.AdamW(
            self.critic.parameters(), lr=recipe.critic_learning_rate, weight_decay=CRITIC_DECAY
        )

    def _generate_and_score_completions(self, inputs):
        """Adds (B, T) advantages, values and returns, in the order in which TRL will shuffle."""
        batch = super()._generate_and_score_completions(inputs)
        started = time.perf_counter()
        mask = batch["completion_mask"]
        ids = torch.cat([batch["prompt_ids"], batch["completion_ids"]], 1)
        attention = torch.cat([batch["prompt_mask"], mask], 1)
        with torch.no_grad():
            logps, *_ = self._get_per_token_logps_and_entropies(
                self.model, ids, attention, mask.shape[1]
            )
            values = self._values(batch)
        earned = token_rewards(
            self.rewards, logps, batch["ref_per_token_logps"], mask, self.recipe.beta
        )
        advantages, returns = gae(earned, values, mask)
        token_advantages = whitened(advantages, mask)
        self.seconds["critic"] = time.perf_counter() - started
        return {
            **batch,
            "token_advantages": token_advantages,
            "old_values": values,
            "returns": returns,
        }

    def _critic_chunks(self, batch, rows):
        """As `_chunks`, for a pass that begins every row with the prompt."""
        masks = batch["prompt_mask"], batch["completion_mask"]
        for chunk, prompt, width in self._chunks(batch["prompt_ids"], *masks, rows, shared=False):
            passed = pass_tokens(len(prompt), width, len(chunk), shared=False)
            self.largest_pass = max(self.largest_pass, passed)
            yield chunk, prompt, width

    def _values(self, batch) -> torch.Tensor:
        """The critic's values (B, T) of all rollouts of a batch, 0 where the mask is."""
        mask = batch["completion_mask"]
        values = torch.zeros(mask.shape, device=mask.device)
        for rows, prompt, width in self._critic_chunks(batch, range(len(mask))):
            with self.accelerator.autocast():
                values[rows, :width] = self.critic(prompt, batch["completion_ids"][rows, :width])
        return values * mask

    def backward(self, model, batch) -> torch.Tensor:
        """Trains the critic on the returns, then adds the policy's gradient; returns its loss."""
        started = time.perf_counter()
        size = self.recipe.prompts_per_step
        rows = range(len(batch["returns"]))
        losses = [self._update_critic(batch, rows[i : i + size]) for i in rows[::size]]
        self.terms["value_loss"] = torch.stack(losses).mean()
        self.seconds["critic"] += time.perf_counter() - started
        return super().backward(model, batch)

    def _update_critic(self, batch, rows) -> torch.Tensor:
        """One AdamW update on some rollouts: the token mean of `value_loss`, (), before it."""
        mask = batch["completion_mask"]
        tokens = mask[list(rows)].sum().clamp(min=1)
        total = torch.zeros((), device=mask.device)
        for chunk, prompt, width in self._critic_chunks(batch, rows):
            with self.accelerator.autocast():
                values = self.critic(prompt, batch["completion_ids"][chunk, :width])
            lost = value_loss(
                values, batch["old_values"][chunk, :width], batch["returns"][chunk, :width]
            )
            share = (lost * mask[chunk, :width]).sum() / tokens
            share.backward()
            total += share.detach()
        torch.nn.utils.clip_grad_norm_(self.critic.parameters(), self.recipe.max_grad_norm)
        self.critic_optimizer.step()
        self.critic_optimizer.zero_grad()
        return total

    @property
    def kl_coefficient(self) -> float:
        """0: the KL is in the reward."""
        return 0.0

    def own_state(self):
        """The critic and the moments of its optimiser."""
        moments = self.critic_optimizer.state_dict()["state"]
        flat = {f"{i}.{name}": x for i, kept in moments.items() for name, x in kept.items()}
        return {CRITIC: self.critic.state_dict(), CRITIC_MOMENTS: flat}

    def _load_from_checkpoint(self, resume_from_checkpoint, model=None):
        super()._load_from_checkpoint(resume_from_checkpoint, model)
        folder = Path(resume_from_checkpoint)
        self.critic.load_state_dict(load_file(folder / CRITIC))
        state: dict[int, dict[str, torch.Tensor]] = {}
        for name, tensor in load_file(folder / CRITIC_MOMENTS).items():
            index, key = name.split(".")
            state.setdefault(int(index), {})[key] = tensor
        groups = self.critic_optimizer.state_dict()["param_groups"]
        self.critic_optimizer.load_state_dict({"state": state, "param_groups": groups})
