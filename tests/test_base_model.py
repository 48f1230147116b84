"""The shipped base model is what its card says, and can be trained again."""

import hashlib
import json
import math

import pytest
import torch

from onerl.world import EMBEDDED, FOLDER, corpus, pretraining

RECORD = json.loads((FOLDER / "training.json").read_text())


def test_first_fifty_steps_give_the_recorded_losses():
    """On the machine of the recording the losses are equal; elsewhere float order may differ."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        setup = pretraining.Pretraining(**RECORD["setup"])
        *_, losses = pretraining.pretrain(EMBEDDED, setup, stop_after=50)
    finally:
        torch.set_num_threads(threads)
    assert losses == pytest.approx(RECORD["first_losses"], rel=2e-3)


def test_corpus_is_the_recorded_one():
    found = corpus.sha256(EMBEDDED, RECORD["corpus"]["seed"], 10_000)
    assert found == RECORD["corpus"]["sha256_of_first_10000"]


def test_weights_are_the_recorded_ones_and_small():
    weights = FOLDER / "model.safetensors"
    assert hashlib.sha256(weights.read_bytes()).hexdigest() == RECORD["weights_sha256"]
    assert weights.stat().st_size <= 10_000_000
    assert 500_000 <= RECORD["parameters"] <= 4_000_000
    assert not list(FOLDER.glob("*.bin")) + list(FOLDER.glob("*.pt"))


def test_loss_on_fresh_corpus_text_matches_the_end_of_the_recorded_curve():
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(FOLDER).float().eval()
    tokenizer = AutoTokenizer.from_pretrained(FOLDER)
    setup = pretraining.Pretraining(seed=RECORD["setup"]["seed"] + 1)
    stream = pretraining.batches(EMBEDDED, setup, tokenizer)
    losses = []
    with torch.no_grad():
        for _ in range(8):
            ids, labels = next(stream)
            losses.append(model(input_ids=ids, labels=labels).loss.item())
    fresh = sum(losses) / len(losses)
    assert math.isclose(fresh, RECORD["mean_loss_per_50_steps"][-1], rel_tol=0.05)
