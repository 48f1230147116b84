"""The shipped base model is what its card says, and can be trained again."""

import dataclasses
import hashlib
import json
import math
from itertools import islice

import pytest
import torch
from small_worlds import TINY, small_world
from transformers import AutoModelForCausalLM, AutoTokenizer

from onerl.parameters import RecipeError
from onerl.world import EMBEDDED, FOLDER, Mixture, World, corpus, pretraining

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


# -- phases ----------------------------------------------------------------------

CAREFUL = Mixture(ways={"careful": 1}, drill_share=0.2)
TRUNK = dataclasses.replace(TINY, mixture=CAREFUL, loss="answers")
BRANCH = dataclasses.replace(TINY, steps=6, after=TRUNK)


def test_the_shipped_model_is_the_embedded_worlds_and_is_not_made_again(tmp_path):
    assert pretraining.base_model(EMBEDDED, pretraining.Pretraining(), tmp_path) == FOLDER
    assert not list(tmp_path.iterdir())
    again = pretraining.Pretraining(**RECORD["setup"])
    assert again == pretraining.Pretraining()
    assert again.record() == RECORD["setup"]


def test_a_trunk_is_trained_once_for_all_its_branches(tmp_path):
    trained = []
    worlds = [small_world(mixture=Mixture(slip_share=share)) for share in (0, 0.5)]
    folders = [
        pretraining.base_model(world, BRANCH, tmp_path, lambda *step: trained.append(step))
        for world in worlds
    ]
    assert len(trained) == TRUNK.steps + 2 * BRANCH.steps
    assert len(set(folders)) == 2
    assert len(list(tmp_path.iterdir())) == 3
    for folder, world in zip(folders, worlds, strict=True):
        assert World.load(folder) == world
        assert pretraining.base_model(world, BRANCH, tmp_path, trained.append) == folder
    trunk = pretraining.base_model(worlds[0], TRUNK, tmp_path, trained.append)
    assert World.load(trunk).mixture == CAREFUL
    assert len(trained) == TRUNK.steps + 2 * BRANCH.steps
    records = [json.loads((f / "training.json").read_text()) for f in (trunk, *folders)]
    assert [len(r["first_losses"]) for r in records] == [TRUNK.steps, BRANCH.steps, BRANCH.steps]
    assert pretraining.Pretraining(**records[1]["setup"]) == BRANCH
    weights = {r["weights_sha256"] for r in records}
    assert len(weights) == 3
    assert records[1]["first_losses"][0] < records[0]["first_losses"][0] - 0.2  # it reads on


def test_a_killed_pretraining_leaves_no_model(tmp_path):
    def kill(step, *_):
        if step == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pretraining.base_model(small_world(), TINY, tmp_path, kill)
    assert not [p for p in tmp_path.iterdir() if not p.name.startswith(".")]


def test_whatever_makes_the_model_is_in_its_hash_and_nothing_else():
    world = small_world()
    others = [
        (world, dataclasses.replace(BRANCH, steps=7)),
        (world, dataclasses.replace(BRANCH, seed=1)),
        (world, dataclasses.replace(BRANCH, loss="answers")),
        (world, dataclasses.replace(BRANCH, mixture=CAREFUL)),
        (world, dataclasses.replace(BRANCH, after=dataclasses.replace(TRUNK, steps=5))),
        (world, dataclasses.replace(BRANCH, after=None)),
        (small_world(seed=1), BRANCH),
        (small_world(mixture=Mixture(slip_share=0.5)), BRANCH),
    ]
    hashes = {setup.hash(world) for world, setup in [(world, BRANCH), *others]}
    assert len(hashes) == len(others) + 1
    written_out = dataclasses.replace(BRANCH, mixture=world.mixture)
    assert written_out.hash(world) == BRANCH.hash(world)
    assert TRUNK.hash(world) == TRUNK.hash(small_world(mixture=Mixture(slip_share=0.5)))


@pytest.mark.parametrize("loss", ["all", "answers"])
def test_the_loss_is_on_all_tokens_or_on_those_of_the_answers(loss):
    tokenizer = AutoTokenizer.from_pretrained(FOLDER)
    setup = dataclasses.replace(TINY, loss=loss)
    texts = {d.text: d for d in islice(corpus.documents(EMBEDDED), 16 * setup.batch_size)}
    for ids, targets in islice(pretraining.batches(EMBEDDED, setup, tokenizer), 16):
        assert ids.shape == targets.shape
        for row, scored in zip(ids, targets, strict=True):
            whole = tokenizer.decode(row, skip_special_tokens=True)
            document = texts[whole]
            learned = tokenizer.decode(scored[scored != -100], skip_special_tokens=True)
            assert learned == (whole if loss == "all" else whole[document.prompt :])
            assert (tokenizer.eos_token_id in scored.tolist()) == document.ends


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"hidden_size": 64, "after": TRUNK}, "hidden_size = 64: the phase before has 32"),
        ({"stepz": 3}, "unknown field stepz; nearest: 'steps'"),
        ({"steps": 0}, "steps = 0: Input should be greater"),
        ({"loss": "answer"}, "loss = 'answer'"),
        ({"flat_share": 1}, "flat_share = 1"),
        ({"mixture": {"ways": {"care": 1}}}, "mixture.ways: 'care' is not allowed"),
    ],
)
def test_a_wrong_phase_is_named_in_one_line(fields, message):
    with pytest.raises(RecipeError, match=message) as caught:
        pretraining.Pretraining(**fields)
    assert "\n" not in str(caught.value)
