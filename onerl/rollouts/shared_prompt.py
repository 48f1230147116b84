"""Rollouts on any device without an inference engine: the shared-prompt sampler.

One-example RL samples the same prompt again and again, and `model.generate` prefills it for
every copy, grows its cache by concatenation and decodes every row until the last one ends. This
sampler prefills each distinct prompt once, keeps completions in a static cache beside the
unexpanded prompt cache, drops finished rows, and returns the log-probabilities it has anyway.

What is drawn (`draws`) does not depend on the batch a rollout sits in, on the rows dropped around
it, or on the number of threads. The logits themselves differ in their last float32 bits between
batch sizes; that changes about one token in 300,000 on the shipped model, and none where the batch
is the same, as in a resumed run.

Covered: Qwen2 and Llama architectures (grouped queries, attention and MLP biases or none, tied
heads, every static rope scaling), sampling at a temperature and from the nucleus (top-p), greedy
decoding. Not covered: sliding windows, top-k.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F

from onerl.rollouts import Request, Rollout, Sampler
from onerl.rollouts.draws import choose
from onerl.rollouts.merged import merged_weight

ARCHITECTURES = ("qwen2", "llama")
CACHE_BYTES = 2**28  # bound on the key-value cache of one batch
MAX_ROWS = 512  # rows decoded together
PREFILL_TOKENS = 1024  # prompt tokens in one pass
REPACK_BELOW = 0.8  # repack when at most this share of the slots would remain


# Shapes: N prompts, K rollouts of each, P prompt and T completion tokens; H query heads, KV key and
# value heads, G = H / KV of the one to one of the other, hd numbers in each; D hidden size.


class _Layer(NamedTuple):
    norm_in: torch.nn.Module
    qkv: tuple[torch.Tensor, torch.Tensor | None]
    out: torch.nn.Linear
    norm_mlp: torch.nn.Module
    gate_up: tuple[torch.Tensor, torch.Tensor | None]
    down: torch.nn.Linear


class _Batch:
    """Rollouts decoded together, as a grid of slots (N, K).

    One prompt is a grid of one line, whose rollouts attend to its cache in one product. Several
    prompts are a grid of one column, each rollout with a copy of its prompt's cache: lines of
    different length would leave a third of the slots empty. `rows` maps slots to rollouts; -1 is an
    empty slot.
    """

    def __init__(self, rows: torch.Tensor, prompt_lengths: torch.Tensor):
        self.rows = rows
        self.lengths = prompt_lengths
        self.prompt: list[tuple[torch.Tensor, torch.Tensor]] = []  # (N, KV, hd, P), (N, KV, P, hd)
        self.completion: list[list[torch.Tensor]] = []  # two of (N, KV, K, T, hd) per layer
        self.mask: torch.Tensor | None = None  # (N, 1, 1, P), -inf beyond a prompt's end

    def keep_lines(self, lines: torch.Tensor) -> None:
        self.lengths = self.lengths[lines]
        self.prompt = [(k[lines], v[lines]) for k, v in self.prompt]
        self.mask = None if self.mask is None else self.mask[lines]

    def repack(self, alive: torch.Tensor, tokens: torch.Tensor, filled: int) -> torch.Tensor:
        """Drop dead slots when it pays; returns the tokens of the slots that are left."""
        keep = alive.any(1).nonzero().squeeze(1)
        width = int(alive.sum(1).max())
        if len(keep) * width > REPACK_BELOW * alive.numel():
            return tokens
        order = torch.argsort(alive[keep].logical_not().byte(), dim=1, stable=True)[:, :width]
        slots = keep[:, None] * alive.shape[1] + order
        self.rows = self.rows.where(alive, -1).flatten()[slots]
        if len(keep) < alive.shape[0]:
            self.keep_lines(keep)
        for layer in self.completion:
            heads = torch.arange(layer[0].shape[1], device=keep.device)
            index = (keep[:, None, None], heads[None, :, None], order[:, None, :])
            for i, cache in enumerate(layer):
                fresh = cache.new_empty(*slots.shape[:1], len(heads), width, *cache.shape[3:])
                fresh[..., :filled, :] = cache[..., :filled, :][index]
                layer[i] = fresh
        return tokens[slots.flatten()]


class SharedPromptSampler(Sampler):
    """Samples from the current weights of `model`, a Qwen2 or Llama model on any device.

    Every call reads the weights where they are: `sync` and `close` have nothing to do.

    Raises:
        ValueError: another architecture, or a model with sliding-window attention.
    """

    def __init__(self, model: torch.nn.Module):
        config = model.config
        if config.model_type not in ARCHITECTURES:
            raise ValueError(
                f"model type {config.model_type!r} is not supported by the shared-prompt sampler; "
                f"allowed: {', '.join(ARCHITECTURES)}; use backend 'transformers' instead"
            )
        if "sliding_attention" in (getattr(config, "layer_types", None) or ()):
            raise ValueError("the shared-prompt sampler does not support sliding-window attention")
        self.model = model
        attention = model.model.layers[0].self_attn
        self.head_dim, self.scale = attention.head_dim, attention.scaling
        self.heads, self.kv_heads = config.num_attention_heads, config.num_key_value_heads

    @torch.no_grad()
    def sample(self, prompts: Sequence[Sequence[int]], request: Request) -> list[Rollout]:
        """`request.counts[i]` rollouts of each distinct prompt i, in that order.

        Raises:
            ValueError: a prompt is empty, or the model's logits are not finite.
        """
        owners, limit = request.owners(prompts), request.max_new_tokens
        total, device = len(owners), self.model.model.embed_tokens.weight.device
        self._refresh(max(map(len, prompts), default=0) + limit)
        stream = torch.tensor(request.seeds if request.temperature else [0] * total, device=device)
        ids = torch.zeros(total, limit, dtype=torch.long, device=device)  # (B, T)
        logprobs = torch.zeros(total, limit, dtype=torch.float64, device=device)  # (B, T)
        lengths = torch.full((total,), limit, device=device)  # (B,)
        eos = torch.tensor(sorted(request.eos_ids), dtype=torch.long, device=device)
        for group, rows in self._batches(prompts, request.counts, limit):
            batch, hidden = self._prefill([prompts[p] for p in group], rows, limit)
            for t in range(limit):
                row = batch.rows.flatten()  # (N K,)
                logits = self.model.get_output_embeddings()(self.model.model.norm(hidden))
                tokens, chosen = choose(  # (N K,)
                    logits, request.temperature, stream[row], t, request.top_p
                )
                live = row >= 0
                ids[row[live], t], logprobs[row[live], t] = tokens[live], chosen[live]
                ended = live & torch.isin(tokens, eos)
                lengths[row[ended]] = t + 1
                batch.rows = batch.rows.masked_fill(ended.view_as(batch.rows), -1)
                alive = batch.rows >= 0
                if t + 1 == limit or not alive.any():
                    break
                hidden = self._decode(batch, batch.repack(alive, tokens, t), t)
        if not logprobs.isfinite().all():
            raise ValueError("the model's logits are not finite; the policy has diverged")
        rollouts = []
        columns = (owners, lengths.tolist(), ids.tolist(), logprobs.tolist())
        for owner, length, tokens, values in zip(*columns, strict=True):
            finish = "stop" if tokens[length - 1] in request.eos_ids else "length"
            rollouts.append(Rollout(owner, tokens[:length], values[:length], finish))
        return rollouts

    def _refresh(self, positions: int) -> None:
        """Fuse the projections of the current weights and compute the rotary angles."""

        def fuse(*linears: torch.nn.Linear):
            weight = torch.cat([merged_weight(linear) for linear in linears])
            biases = [linear.bias for linear in linears]
            return weight, None if biases[0] is None else torch.cat(biases)

        backbone = self.model.model
        self.layers = [
            _Layer(
                layer.input_layernorm,
                fuse(layer.self_attn.q_proj, layer.self_attn.k_proj, layer.self_attn.v_proj),
                layer.self_attn.o_proj,
                layer.post_attention_layernorm,
                fuse(layer.mlp.gate_proj, layer.mlp.up_proj),
                layer.mlp.down_proj,
            )
            for layer in backbone.layers
        ]
        weight = backbone.embed_tokens.weight
        steps = torch.arange(positions, device=weight.device)[None]
        cos, sin = backbone.rotary_emb(weight, steps)
        half = self.head_dim // 2
        # rotating by halves is x * cos + swapped(x) * signed sin: one product less per layer
        self.cos, self.sin = cos[0], torch.cat([-sin[0, :, :half], sin[0, :, half:]], -1)

    def _batches(
        self, prompt_ids: Sequence[Sequence[int]], counts: Sequence[int], max_new_tokens: int
    ) -> Iterator[tuple[list[int], torch.Tensor]]:
        """Split the work into grids that fit the memory bound: prompts, and their rows (N, K).

        Prompts of similar length share a grid; a prompt with many rollouts is split.
        """
        config, weight = self.model.config, self.model.model.embed_tokens.weight
        token_bytes = 2 * config.num_hidden_layers * self.kv_heads * self.head_dim
        token_bytes *= weight.element_size()
        work, end = [], 0  # (prompt length, rollouts, prompt, first row)
        for p, count in enumerate(counts):
            length, first, end = len(prompt_ids[p]), end, end + count
            width = min(MAX_ROWS, max(1, CACHE_BYTES // (token_bytes * (length + max_new_tokens))))
            for row in range(first, end, width):
                work.append((length, min(width, end - row), p, row))
        grids: list[list[tuple[int, int, int, int]]] = []
        for item in sorted(work):
            grid = [*grids[-1], item] if grids else [item]
            slots = len(grid) * max(size for _, size, _, _ in grid)
            fits = slots * (item[0] + max_new_tokens) * token_bytes <= CACHE_BYTES
            if grids and fits and slots <= MAX_ROWS:
                grids[-1] = grid
            else:
                grids.append([item])
        for grid in grids:
            width = max(size for _, size, _, _ in grid)
            rows = [[*range(row, row + n), *[-1] * (width - n)] for _, n, _, row in grid]
            yield [p for _, _, p, _ in grid], torch.tensor(rows, device=weight.device)

    def _project(self, layer: _Layer, x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor):
        """Scaled and rotated queries (..., H, hd), rotated keys and values (..., KV, hd).

        x has shape (..., D), cos and sin (..., 1, hd).
        """
        heads, kv, size = self.heads, self.kv_heads, self.head_dim
        fused = F.linear(layer.norm_in(x), *layer.qkv).view(*x.shape[:-1], heads + 2 * kv, size)
        turned, values = fused.split([heads + kv, kv], -2)
        half = size // 2
        swapped = torch.cat([turned[..., half:], turned[..., :half]], -1)
        turned = turned * cos + swapped * sin
        queries, keys = turned.split([heads, kv], -2)
        return queries * self.scale, keys, values

    def _mlp(self, layer: _Layer, x: torch.Tensor) -> torch.Tensor:
        gate, up = F.linear(layer.norm_mlp(x), *layer.gate_up).chunk(2, -1)
        return x + layer.down(F.silu(gate) * up)

    def _prefill(self, prompts: list[Sequence[int]], rows: torch.Tensor, max_new_tokens: int):
        """A batch whose prompts are cached, and the last hidden states (N K, D) of its slots.

        The prompts, sorted by length, pass through the model in parts: their activations are
        what falls out of a CPU's caches.
        """
        (n, width), kv, size = rows.shape, self.kv_heads, self.head_dim
        weight = self.model.model.embed_tokens.weight
        lengths = torch.tensor([len(prompt) for prompt in prompts], device=rows.device)
        longest = int(lengths.max())
        batch = _Batch(rows, lengths)
        if (lengths < longest).any():
            beyond = torch.arange(longest, device=rows.device)[None] >= lengths[:, None]
            batch.mask = weight.new_zeros(beyond.shape).masked_fill(beyond, -torch.inf)
            batch.mask = batch.mask[:, None, None]
        shapes = (n, kv, size, longest), (n, kv, longest, size)
        batch.prompt = [tuple(weight.new_zeros(shape) for shape in shapes) for _ in self.layers]
        step = max(1, PREFILL_TOKENS // longest)
        starts = range(0, n, step)
        last = torch.cat([self._prefill_part(batch, prompts[i : i + step], i) for i in starts])
        hidden = last.repeat_interleave(width, 0)  # (N K, D)
        if n > 1:
            filled = rows.flatten() >= 0
            hidden, batch.rows = hidden[filled], rows.flatten()[filled][:, None]
            batch.keep_lines(torch.arange(n, device=rows.device).repeat_interleave(width)[filled])
        lines, columns = batch.rows.shape
        shape = (lines, kv, columns, max_new_tokens, size)
        batch.completion = [[weight.new_empty(shape) for _ in range(2)] for _ in self.layers]
        return batch, hidden

    def _prefill_part(self, batch: _Batch, prompts: list[Sequence[int]], start: int):
        """Cache n prompts, the ones from `start` on; returns their last hidden states (n, D)."""
        lengths = batch.lengths[start : start + len(prompts)]
        longest, rows = int(lengths.max()), slice(start, start + len(prompts))
        padded = [[*prompt, *[0] * (longest - len(prompt))] for prompt in prompts]
        x = self.model.model.embed_tokens(torch.tensor(padded, device=lengths.device))  # (n, P, D)
        cos, sin = self.cos[:longest, None], self.sin[:longest, None]  # (P, 1, hd)
        for layer, (prompt_k, prompt_v) in zip(self.layers, batch.prompt, strict=True):
            queries, keys, values = (z.transpose(1, 2) for z in self._project(layer, x, cos, sin))
            mixed = F.scaled_dot_product_attention(  # (n, H, P, hd)
                queries, keys, values, is_causal=True, scale=1.0, enable_gqa=True
            )
            x = x + layer.out(mixed.transpose(1, 2).flatten(2))
            x = self._mlp(layer, x)
            prompt_k[rows, ..., :longest] = keys.transpose(2, 3)
            prompt_v[rows, :, :longest] = values
        return x[torch.arange(len(prompts), device=x.device), lengths - 1]

    def _decode(self, batch: _Batch, tokens: torch.Tensor, t: int) -> torch.Tensor:
        """Hidden states (N K, D) after completion token t, from 0, of every slot: tokens (N K,)."""
        n, width = batch.rows.shape
        kv, group, size = self.kv_heads, self.heads // self.kv_heads, self.head_dim
        position = batch.lengths.repeat_interleave(width) + t
        cos, sin = self.cos[position, None], self.sin[position, None]
        x = self.model.model.embed_tokens(tokens)  # (N K, D)
        for layer, (prompt_k, prompt_v), (keys, values) in zip(
            self.layers, batch.prompt, batch.completion, strict=True
        ):
            q, k, v = self._project(layer, x, cos, sin)
            keys[..., t, :] = k.view(n, width, kv, size).transpose(1, 2)
            values[..., t, :] = v.view(n, width, kv, size).transpose(1, 2)
            q = q.view(n, width, kv, group, size).transpose(1, 2).contiguous()  # (N, KV, K, G, hd)
            to_prompt = q.view(n, kv, width * group, size) @ prompt_k  # (N, KV, K G, P)
            if batch.mask is not None:
                to_prompt = to_prompt + batch.mask
            seen = slice(0, t + 1)
            to_own = q @ keys[..., seen, :].transpose(-1, -2)  # (N, KV, K, G, t + 1)
            prompt_size = to_prompt.shape[-1]
            weights = torch.cat([to_prompt.view(n, kv, width, group, -1), to_own], -1).softmax(-1)
            own = weights[..., prompt_size:] @ values[..., seen, :]  # (N, KV, K, G, hd)
            shared = weights[..., :prompt_size].reshape(n, kv, width * group, -1) @ prompt_v
            mixed = own + shared.view_as(own)
            x = x + layer.out(mixed.transpose(1, 2).reshape(n * width, -1))
            x = self._mlp(layer, x)
        return x
