"""How rollouts are grouped: into steps, into micro-batches of the loss, into forward passes."""

import heapq
from collections.abc import Iterator, Sequence
from functools import lru_cache

import torch
from torch.utils.data import Sampler

from onerl.recipe import Recipe
from onerl.rollouts.draws import stream_seed

ORDER_STREAM = 0x0BDE_0BDE  # keeps the data order apart from the rollouts' streams


class DataOrder(Sampler):
    """The order of the data in a run: an iterator over indices of the dataset, for TRL.

    Each prompt comes `num_generations` times in a row, each step `updates_per_step` times over. A
    function of (seed, step): passes over the examples, each pass in its own order, cut into
    steps. One example is thus repeated `prompts_per_step` times, 16 examples 8 times each for
    128 (the paper's copies), and a resumed run meets the order it would have met.
    """

    def __init__(self, recipe: Recipe, examples: int):
        self.recipe, self.examples = recipe, examples

    def __len__(self) -> int:
        recipe = self.recipe
        updates = recipe.steps * recipe.updates_per_step
        return updates * recipe.prompts_per_step * recipe.num_generations

    def __iter__(self) -> Iterator[int]:
        @lru_cache(maxsize=2)
        def order(epoch: int) -> list[int]:
            keys = [stream_seed(self.recipe.seed ^ ORDER_STREAM, epoch, i) for i in everything]
            return sorted(everything, key=keys.__getitem__)

        everything, size = range(self.examples), self.recipe.prompts_per_step
        for step in range(self.recipe.steps):
            places = (divmod(step * size + i, self.examples) for i in range(size))
            prompts = [order(epoch)[place] for epoch, place in places]
            for _ in range(self.recipe.updates_per_step):
                for prompt in prompts:
                    yield from [prompt] * self.recipe.num_generations


def pass_tokens(prompt: int, width: int, rows: int, shared: bool) -> int:
    """Tokens, padding included, that go through the model for `rows` completions of one prompt.

    With a cache the prompt is `shared`: it goes through once, and its last token with every row.
    Checkpointed and sharded models take no cache, so there every row begins with the prompt.
    """
    return prompt + rows * (1 + width) if shared else rows * (prompt + width)


def chunks(
    prompts: Sequence[tuple[int, ...]],
    lengths: Sequence[int],
    rows: Sequence[int],
    budget: int,
    shared: bool = True,
) -> list[list[int]]:
    """Splits `rows` into chunks of one prompt and similar length, each under `budget` tokens.

    A chunk costs its `pass_tokens`; a single row may exceed the budget. The longest row of a chunk
    comes last. `prompts` and `lengths` are token ids of the prompt, and completion tokens, of every
    rollout.
    """
    groups: list[list[int]] = []
    for row in sorted(rows, key=lambda row: (prompts[row], lengths[row])):
        group = groups[-1] if groups else []
        cost = pass_tokens(len(prompts[row]), max(lengths[row], 1), len(group) + 1, shared)
        if group and prompts[group[0]] == prompts[row] and cost <= budget:
            group.append(row)
        else:
            groups.append([row])
    return groups


def fingerprints(prompt_ids, prompt_mask, completion_ids, completion_mask) -> torch.Tensor:
    """A hash of each rollout's tokens: the same in any row, on any rank and with any padding.

    Prompts are (B, P), padded on the left, completions (B, T), on the right; the hash int64, (B,).
    """
    total = torch.zeros(len(prompt_ids), dtype=torch.int64, device=prompt_ids.device)
    prompts = prompt_ids.flip(1), prompt_mask.flip(1), -1, -1
    for ids, mask, first, step in (prompts, (completion_ids, completion_mask, 0, 1)):
        place = first + step * torch.arange(ids.shape[1], device=ids.device)  # (P,) or (T,)
        mixed = ids.long() * 0x2545F4914F6CDD1D + place * 0x1B873593CC9E2D51
        mixed = (mixed ^ (mixed >> 29)) * 0x27D4EB2F165667C5
        total += ((mixed ^ (mixed >> 32)) * mask).sum(1)
    return total


def micro_batches(lengths: Sequence[int], budget: int, content=None) -> list[list[int]]:
    """Packs sequences into as few micro-batches of `budget` tokens as their total allows.

    Returns the rows of each. A sequence, longest first, goes to the micro-batch with the fewest
    tokens. The released code balances them too, with the Karmarkar-Karp heuristic, after the same
    count. `lengths` are tokens of prompt and completion; `content` orders sequences of one length,
    so that the packing depends on the sequences; without it, the order they stand in decides.
    """
    count = max(1, min(len(lengths), -(-sum(lengths) // budget)))
    heap = [(0, i, []) for i in range(count)]
    content = content if content is not None else range(len(lengths))
    for row in sorted(range(len(lengths)), key=lambda row: (-lengths[row], content[row])):
        tokens, i, rows = heapq.heappop(heap)
        rows.append(row)
        heapq.heappush(heap, (tokens + lengths[row], i, rows))
    return [rows for _, _, rows in sorted(heap, key=lambda item: item[1])]


def token_weights(
    prompts: Sequence[int], completions: Sequence[int], budget: int, content=None
) -> list[float]:
    """The weight in the loss of a completion token, for each sequence (reference 2.2).

    One over the completion tokens of its micro-batch, times the micro-batch's share of the
    sequences: with one micro-batch, 1 / all completion tokens. `prompts` and `completions` are
    lengths in tokens, of all sequences of an update; `budget`, `content`: see `micro_batches`.
    """
    weights = [0.0] * len(completions)
    totals = [p + c for p, c in zip(prompts, completions, strict=True)]
    for rows in micro_batches(totals, budget, content):
        tokens = sum(completions[row] for row in rows)
        for row in rows:
            weights[row] = len(rows) / len(completions) / max(tokens, 1)
    return weights
