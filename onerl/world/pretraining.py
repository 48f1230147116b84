"""How a world's base model is made: a small Qwen2, pretrained from scratch on the world's corpus.

    base_model(world, Pretraining(), "outputs/worlds")    folder of the model, trained or found
    pretrain(stop_after=50)                               the shipped model's first steps again

Pretraining goes in phases, each `after` another. A phase's model is kept under a hash of all that
made it, so worlds that differ only in what is read last share the rest. The embedded world's model
is shipped in `onerl/world/model/`: one phase, under an hour on one CPU core.
`notebooks/base_model.ipynb` trains its first steps again and compares the recorded losses.

Covered: one process, one CPU thread, the same losses on the same machine for the same seed.
Not covered: resuming inside a phase, several devices.
"""

from __future__ import annotations

import hashlib
import json
import random
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from dataclasses import asdict, fields, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch.nn.utils.rnn import pad_sequence
from torch.optim.lr_scheduler import LambdaLR

from onerl.parameters import Flag, Positive, Real, RecipeError, Whole, known_parameters
from onerl.world import corpus
from onerl.world.world import EMBEDDED, FOLDER, Mixture, Share, World, validated_fields

SHAPE = (
    *("hidden_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads"),
    "intermediate_size",
)
NOT_SCORED = -100  # what torch's cross entropy leaves out
Rate = Annotated[Real, Field(gt=0)]
OnStep = Callable[[int, float, torch.nn.Module], None]
"""Called after every step with its number, its loss and the model."""


@validated_fields
class Pretraining:
    """One phase of pretraining, and the one that it goes on from, whose shape it keeps.

    A wrong field is a `RecipeError`.
    """

    seed: Whole = 0  # of the initial weights and of the documents, other ones in each phase
    steps: Positive = 13_000
    batch_size: Positive = 32  # documents per optimiser step, of similar length
    hidden_size: Positive = 128
    num_hidden_layers: Positive = 4
    num_attention_heads: Positive = 4
    num_key_value_heads: Positive = 2
    intermediate_size: Positive = 384
    muon_learning_rate: Rate = 0.015  # the matrices
    adam_learning_rate: Rate = 2e-3  # embeddings, norms and biases
    warmup_steps: Positive = 50
    flat_share: Annotated[Share, Field(lt=1)] = 0.5  # then linear decay to zero
    loss: Literal["all", "answers"] = "all"  # on all tokens, or not on those that ask a problem
    mixture: Mixture | None = None  # None: the world's
    after: Pretraining | None = None  # None: from new weights

    @model_validator(mode="after")
    def _shape_is_kept(self) -> Pretraining:
        for name in SHAPE if self.after else ():
            own, before = getattr(self, name), getattr(self.after, name)
            if own != before:
                raise RecipeError(f"{name} = {own}: the phase before has {before}")
        return self

    @classmethod
    def from_notebook(cls, namespace: MutableMapping[str, Any]) -> Pretraining:
        """The pretraining that the parameters of `notebooks/base_model.ipynb` describe."""
        known = ["preset", "seed", "out", "overrides", "full"]
        given = known_parameters(namespace, known, {"full": Flag})
        if given["preset"] != "tiny":
            raise RecipeError(f"preset = {given['preset']!r}: only 'tiny' has a base model of ours")
        return cls(**{"seed": given["seed"], **given["overrides"]})

    def read(self, world: World) -> World:
        """The world with the mixture that this phase reads."""
        return replace(world, mixture=self.mixture or world.mixture)

    def hash(self, world: World) -> str:
        """12 hex digits of all that makes the model: this phase, its world, the phases before."""
        own = asdict(replace(self, mixture=None, after=None))
        before = self.after.hash(world) if self.after else None
        values = json.dumps([self.read(world).hash(), own, before], sort_keys=True)
        return hashlib.sha256(values.encode()).hexdigest()[:12]

    @property
    def documents_seed(self) -> int | str:
        """The seed of the documents: the model's, and in later phases other ones."""
        place, phase = 0, self
        while phase := phase.after:
            place += 1
        return f"{self.seed}.{place}" if place else self.seed

    def record(self) -> dict[str, Any]:
        """The fields for training.json, without those that a single plain phase leaves as is."""
        plain = {field.name: field.default for field in fields(self)[-3:]}
        return {k: v for k, v in asdict(self).items() if k not in plain or v != plain[k]}


def new_model(setup: Pretraining, vocab_size: int):
    """A randomly initialised Qwen2ForCausalLM of the given shape, in float32."""
    from transformers import Qwen2Config, Qwen2ForCausalLM

    torch.manual_seed(setup.seed)
    config = Qwen2Config(
        vocab_size=vocab_size,
        **{name: getattr(setup, name) for name in SHAPE},
        tie_word_embeddings=True,
        max_position_embeddings=512,
        bos_token_id=None,
        pad_token_id=0,
        eos_token_id=1,
    )
    return Qwen2ForCausalLM(config)


def batches(
    world: World, setup: Pretraining, tokenizer
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Endless (token ids, targets), both of shape (batch, longest), padded on the right.

    A target is the token id itself, or -100 where it is padding or the phase does not score it.
    Documents are sorted by length inside a window of 16 batches, which leaves little padding.
    """
    stream = corpus.documents(setup.read(world), setup.documents_seed)
    rng = random.Random(f"batches:{setup.documents_seed}")
    while True:
        window = [next(stream) for _ in range(16 * setup.batch_size)]
        encoded = tokenizer([document.text for document in window], return_offsets_mapping=True)
        rows, ids_and_spans = [], (encoded["input_ids"], encoded["offset_mapping"])
        for document, ids, spans in zip(window, *ids_and_spans, strict=True):
            # a prompt ends with a colon, which ends a token
            hidden = sum(end <= document.prompt for _, end in spans) * (setup.loss == "answers")
            ids = [*ids, tokenizer.eos_token_id] if document.ends else ids
            rows.append((ids, [NOT_SCORED] * hidden + ids[hidden:]))
        rows.sort(key=lambda row: len(row[0]))
        starts = list(range(0, len(rows), setup.batch_size))
        rng.shuffle(starts)
        for start in starts:
            ids, targets = zip(*rows[start : start + setup.batch_size], strict=True)
            yield (
                pad_sequence([*map(torch.tensor, ids)], True, tokenizer.pad_token_id),  # (B, T)
                pad_sequence([*map(torch.tensor, targets)], True, NOT_SCORED),  # (B, T)
            )


def schedule(setup: Pretraining, step: int) -> float:
    """Factor on both learning rates at a step counted from 0: warm-up, flat, linear decay."""
    decay = (1 - step / setup.steps) / (1 - setup.flat_share)
    return min(1.0, (step + 1) / setup.warmup_steps, decay)


def pretrain(
    world: World = EMBEDDED,
    setup: Pretraining = Pretraining(),  # noqa: B008
    start: str | Path | None = None,
    stop_after: int | None = None,
    on_step: OnStep | None = None,
):
    """Train one phase.

    Args:
        start: folder of the model to go on from; None: new weights.
        stop_after: ends early without changing the schedule, to compare with recorded losses.

    Returns:
        (model, tokenizer, losses), one loss in nats per step.
    """
    from transformers import AutoModelForCausalLM, AutoTokenizer

    if start is None:
        tokenizer = corpus.build_tokenizer(world.templates)
        model = new_model(setup, len(tokenizer))
    else:
        tokenizer = AutoTokenizer.from_pretrained(start)
        model = AutoModelForCausalLM.from_pretrained(start, dtype=torch.float32).train()
    matrices = [p for n, p in model.named_parameters() if p.ndim == 2 and "embed" not in n]
    others = [p for n, p in model.named_parameters() if p.ndim != 2 or "embed" in n]
    adam = {"lr": setup.adam_learning_rate, "betas": (0.9, 0.98), "fused": True}
    optimizers = [
        torch.optim.Muon(matrices, lr=setup.muon_learning_rate, weight_decay=0.0),
        torch.optim.AdamW(others, weight_decay=0.0, **adam),
    ]
    schedulers = [LambdaLR(each, partial(schedule, setup)) for each in optimizers]
    losses: list[float] = []
    stream = batches(world, setup, tokenizer)
    for step in range(min(setup.steps, stop_after or setup.steps)):
        ids, targets = next(stream)  # (B, T) each
        logits = model(input_ids=ids[:, :-1], use_cache=False).logits  # (B, T - 1, vocabulary)
        loss = F.cross_entropy(logits.flatten(0, 1), targets[:, 1:].flatten())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(others, 1.0)
        for optimizer, scheduler in zip(optimizers, schedulers, strict=True):
            optimizer.step()
            scheduler.step()
            optimizer.zero_grad()
        losses.append(loss.item())
        if on_step:
            on_step(step, losses[-1], model)
    return model, tokenizer, losses


def base_model(
    world: World, setup: Pretraining, out: str | Path, on_step: OnStep | None = None
) -> Path:
    """The folder of a world's base model, which is trained unless it is there.

    Every phase's model is kept in the folder of its hash under `out`; the embedded one is shipped.
    """
    name = setup.hash(world)
    folder = FOLDER if name == Pretraining().hash(EMBEDDED) else Path(out) / name
    if not folder.is_dir():
        start = base_model(world, setup.after, out, on_step) if setup.after else None
        begun = time.perf_counter()
        trained = pretrain(world, setup, start, on_step=on_step)
        aside = folder.with_name(f".{name}.partial")  # so that a killed one leaves no half model
        shutil.rmtree(aside, ignore_errors=True)
        save(*trained, world, setup, aside, time.perf_counter() - begun)
        aside.rename(folder)
    return folder


def save(
    model,
    tokenizer,
    losses: list[float],
    world: World,
    setup: Pretraining,
    out: Path,
    seconds: float,
) -> None:
    """Write model, tokenizer, world.json and training.json (setup, corpus, losses of the phase)."""
    model.save_pretrained(out)
    tokenizer.save_pretrained(out)
    setup.read(world).save(out)
    seed = setup.documents_seed
    windows = [losses[start : start + 50] for start in range(0, len(losses), 50)]
    record = {
        "setup": setup.record(),
        "parameters": sum(p.numel() for p in model.parameters()),
        "corpus": {
            "seed": seed,
            "documents": setup.steps * setup.batch_size,
            "sha256_of_first_10000": corpus.sha256(setup.read(world), seed, 10_000),
        },
        "seconds": round(seconds),
        "torch": torch.__version__,
        "weights_sha256": hashlib.sha256((out / "model.safetensors").read_bytes()).hexdigest(),
        "first_losses": [round(loss, 5) for loss in losses[:50]],
        "mean_loss_per_50_steps": [round(sum(window) / len(window), 4) for window in windows],
    }
    (out / "training.json").write_text(json.dumps(record, indent=1) + "\n")


def model_card(folder: Path, abilities: Mapping[str, str]) -> str:
    """The model card in Markdown; `abilities` are measured ones, a plain table by heading."""
    record = json.loads((folder / "training.json").read_text())
    curve = record["mean_loss_per_50_steps"]
    marks = [round(i * (len(curve) - 1) / 12) for i in range(13)]
    return (
        Path(__file__)
        .with_name("model_card.md")
        .read_text("utf-8")
        .format(
            record=record,
            minutes=record["seconds"] / 60,
            heldout=World.load(folder).heldout_size,
            setup="\n".join(f"| {name} | {value} |" for name, value in record["setup"].items()),
            losses="\n".join(f"| {50 * i + 1}-{50 * i + 50} | {curve[i]} |" for i in marks),
            measured="\n\n".join(f"## {k}\n\n```text\n{v}\n```" for k, v in abilities.items()),
        )
    )
