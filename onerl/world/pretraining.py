"""The embedded world's base model: a small Qwen2 pretrained from scratch on `onerl.world.corpus`.

The result is shipped in `onerl/world/model/`, so nobody has to run this; it is here so that
anybody can. `notebooks/base_model.ipynb` retrains the first steps and compares them with the
recorded losses; with `-p full True` it retrains all of it.

Covered: one process, one CPU thread, the same losses on the same machine for the same seed.
Not covered: resuming, several devices. It takes less than an hour on one CPU core.
"""

from __future__ import annotations

import hashlib
import json
import random
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F

from onerl.parameters import RecipeError, nearest, notebook_parameters
from onerl.world import corpus

FOLDER = Path(__file__).parent / "model"


@dataclass(frozen=True)
class Pretraining:
    """Every knob of the pretraining run, in the field's names."""

    seed: int = 0
    steps: int = 13_000
    batch_size: int = 32  # documents per optimiser step, of similar length
    hidden_size: int = 128
    num_hidden_layers: int = 4
    num_attention_heads: int = 4
    num_key_value_heads: int = 2
    intermediate_size: int = 384
    muon_learning_rate: float = 0.015  # the matrices
    adam_learning_rate: float = 2e-3  # embeddings, norms and biases
    warmup_steps: int = 50
    flat_share: float = 0.5  # then linear decay to zero

    @classmethod
    def from_notebook(cls, namespace: Mapping[str, Any]) -> Pretraining:
        """The setup that `notebooks/base_model.ipynb`'s parameters describe.

        Raises:
            RecipeError: an unknown parameter, or an override that is unknown or not a number.
        """
        given = notebook_parameters(namespace)
        known = {"preset", "seed", "out", "overrides", "full"}
        for name in given.keys() - known:
            raise RecipeError(
                f"unknown parameter {name} = {given[name]!r}{nearest(name, known)};"
                f" allowed: {', '.join(sorted(known))}"
            )
        if given["preset"] != "tiny":
            raise RecipeError(f"preset = {given['preset']!r}: only 'tiny' has a base model of ours")
        types = {field.name: type(field.default) for field in fields(cls)}
        for name, value in given["overrides"].items():
            if name not in types:
                raise RecipeError(
                    f"overrides: unknown field {name}{nearest(name, types)};"
                    f" allowed: {', '.join(types)}"
                )
            if type(value) is not types[name] or value <= 0:
                raise RecipeError(
                    f"overrides: {name} = {value!r} must be a positive {types[name].__name__}"
                )
        return cls(**{"seed": given["seed"], **given["overrides"]})


def new_model(setup: Pretraining, vocab_size: int):
    """A randomly initialised Qwen2ForCausalLM of the setup's shape, in float32."""
    from transformers import Qwen2Config, Qwen2ForCausalLM

    torch.manual_seed(setup.seed)
    return Qwen2ForCausalLM(
        Qwen2Config(
            vocab_size=vocab_size,
            hidden_size=setup.hidden_size,
            num_hidden_layers=setup.num_hidden_layers,
            num_attention_heads=setup.num_attention_heads,
            num_key_value_heads=setup.num_key_value_heads,
            intermediate_size=setup.intermediate_size,
            tie_word_embeddings=True,
            max_position_embeddings=512,
            bos_token_id=None,
            pad_token_id=0,
            eos_token_id=1,
        )
    )


def batches(setup: Pretraining, tokenizer) -> Iterator[torch.Tensor]:
    """Endless batches of token ids, shape (batch_size, longest), padded on the right.

    Documents are sorted by length inside a window of 16 batches, which leaves little padding.
    """
    stream = corpus.documents(setup.seed)
    rng = random.Random(f"batches:{setup.seed}")
    eos, pad = tokenizer.eos_token_id, tokenizer.pad_token_id
    while True:
        window = [next(stream) for _ in range(16 * setup.batch_size)]
        encoded = tokenizer([document.text for document in window])["input_ids"]
        rows = [
            [*ids, eos] if document.ends else ids
            for ids, document in zip(encoded, window, strict=True)
        ]
        rows.sort(key=len)
        starts = list(range(0, len(rows), setup.batch_size))
        rng.shuffle(starts)
        for start in starts:
            batch = [torch.tensor(row) for row in rows[start : start + setup.batch_size]]
            yield torch.nn.utils.rnn.pad_sequence(batch, batch_first=True, padding_value=pad)


def schedule(setup: Pretraining, step: int) -> float:
    """Factor on both learning rates at a step counted from 0: warm-up, flat, linear decay."""
    decay = (1 - step / setup.steps) / (1 - setup.flat_share)
    return min(1.0, (step + 1) / setup.warmup_steps, decay)


def pretrain(
    setup: Pretraining,
    stop_after: int | None = None,
    on_step: Callable[[int, float, torch.nn.Module], None] | None = None,
):
    """Train the base model; returns (model, tokenizer, losses), one loss in nats per step.

    `stop_after` ends early without changing the schedule, to compare with recorded losses.
    """
    tokenizer = corpus.build_tokenizer(setup.seed)
    model = new_model(setup, len(tokenizer))
    matrices = [p for n, p in model.named_parameters() if p.ndim == 2 and "embed" not in n]
    others = [p for n, p in model.named_parameters() if p.ndim != 2 or "embed" in n]
    optimizers = [
        torch.optim.Muon(matrices, lr=setup.muon_learning_rate, weight_decay=0.0),
        torch.optim.AdamW(
            others, lr=setup.adam_learning_rate, betas=(0.9, 0.98), weight_decay=0.0, fused=True
        ),
    ]
    schedulers = [
        torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: schedule(setup, step))
        for optimizer in optimizers
    ]
    losses: list[float] = []
    for step, ids in enumerate(batches(setup, tokenizer)):
        if step == min(setup.steps, stop_after or setup.steps):
            return model, tokenizer, losses
        logits = model(input_ids=ids[:, :-1], use_cache=False).logits
        loss = F.cross_entropy(
            logits.flatten(0, 1), ids[:, 1:].flatten(), ignore_index=tokenizer.pad_token_id
        )
        loss.backward()
        torch.nn.utils.clip_grad_norm_(others, 1.0)
        for optimizer, scheduler in zip(optimizers, schedulers, strict=True):
            optimizer.step()
            scheduler.step()
            optimizer.zero_grad()
        losses.append(loss.item())
        if on_step:
            on_step(step, losses[-1], model)
    raise AssertionError("the corpus never ends")


def save(model, tokenizer, losses: list[float], setup: Pretraining, out: Path, seconds: float):
    """Write model, tokenizer and `training.json` (setup, corpus fingerprint, loss curve)."""
    model.save_pretrained(out)
    tokenizer.save_pretrained(out)
    documents = setup.steps * setup.batch_size
    curve = [
        round(sum(losses[i : i + 50]) / len(losses[i : i + 50]), 4)
        for i in range(0, len(losses), 50)
    ]
    record = {
        "setup": asdict(setup),
        "parameters": sum(p.numel() for p in model.parameters()),
        "corpus": {
            "seed": setup.seed,
            "documents": documents,
            "sha256_of_first_10000": corpus.sha256(setup.seed, 10_000),
        },
        "seconds": round(seconds),
        "torch": torch.__version__,
        "weights_sha256": hashlib.sha256((out / "model.safetensors").read_bytes()).hexdigest(),
        "first_losses": [round(loss, 5) for loss in losses[:50]],
        "mean_loss_per_50_steps": curve,
    }
    (out / "training.json").write_text(json.dumps(record, indent=1) + "\n")


def model_card(folder: Path, abilities: dict[str, str]) -> str:
    """The model card in Markdown, from `training.json` and measured abilities.

    `abilities` maps a heading to a plain table.
    """
    record = json.loads((folder / "training.json").read_text())
    setup = "\n".join(f"| {name} | {value} |" for name, value in record["setup"].items())
    curve = record["mean_loss_per_50_steps"]
    marks = [round(i * (len(curve) - 1) / 12) for i in range(13)]
    losses = "\n".join(f"| {50 * i + 1}-{50 * i + 50} | {curve[i]} |" for i in marks)
    measured = "\n\n".join(f"## {k}\n\n```text\n{v}\n```" for k, v in abilities.items())
    return f"""# The base model of onerl's embedded world

A Qwen2 of {record["parameters"]:,} parameters, trained from scratch on synthetic text
(`onerl/world/corpus.py`), made to be capable but undecided: it has read several ways of writing an
answer, and nothing in a prompt says which one comes. Reinforcement learning starts from here.
It knows nothing but this world, and the mixture of ways of writing is ours.

- Corpus: seed {record["corpus"]["seed"]}, {record["corpus"]["documents"]:,} documents; sha256 of
  the first 10,000: `{record["corpus"]["sha256_of_first_10000"]}`
- Weights: float32 safetensors, sha256 `{record["weights_sha256"]}`
- Training: {record["seconds"] / 60:.0f} minutes on one CPU thread, torch {record["torch"]};
  `notebooks/base_model.ipynb -p full True` does it again
- Held out: 1,000 problems, disjoint by operands from this corpus (`onerl/world.py`)
- Licence: Apache-2.0

## Recipe

| field | value |
|--|--|
{setup}

## Loss (nats per token, mean over 50 steps)

| steps | loss |
|--|--|
{losses}

{measured}
"""


def main(out: Path = FOLDER, setup: Pretraining | None = None) -> None:
    """Retrain the shipped base model on one thread, with a line of progress every 100 steps."""
    setup = setup or Pretraining()
    torch.set_num_threads(1)
    start = time.perf_counter()

    def report(step: int, loss: float, model) -> None:
        if step % 100 == 0:
            print(
                f"step {step:5d}  loss {loss:.4f}  {time.perf_counter() - start:6.0f} s", flush=True
            )

    model, tokenizer, losses = pretrain(setup, on_step=report)
    save(model, tokenizer, losses, setup, out, time.perf_counter() - start)


if __name__ == "__main__":
    main()
