"""The loss is the paper's, computed as TRL computes it where the two agree."""

import inspect

import pytest
import torch
from datasets import Dataset
from small_models import character_tokenizer, tiny_model
from trl import GRPOConfig, GRPOTrainer

from onerl.recipe import Recipe
from onerl.training import loss
from onerl.training.batches import DataOrder, chunks
from onerl.training.trainer import OneShotTrainer

TABLE_5 = [  # row, policy loss, KL coefficient, entropy coefficient (weight decay is no loss term)
    (1, 0, 0, 0),
    (2, 1, 0, 0),
    (3, 1, 0, 0),
    (4, 1, 0.001, 0),
    (5, 1, 0.001, 0.001),
    (6, 1, 0.001, 0.003),
    (7, 1, 0, 0.001),
    (8, 0, 0.001, 0),
    (9, 0, 0.001, 0.001),
    (10, 0, 0, 0.001),
    (11, 1, 0.001, 0.001),
    (12, 1, 0.001, 0.001),
    (13, 1, 0.001, 0.001),
]
GROUP = 4


@pytest.fixture(scope="module")
def recipe(tiny_model_dir):
    return Recipe(
        model=str(tiny_model_dir),
        prompt="world",
        steps=2,
        prompts_per_step=2,
        num_generations=GROUP,
        max_completion_length=20,
        temperature=0.6,
        token_budget=64,  # several chunks
        backend="torch",
    )


@pytest.fixture(scope="module")
def trainer(recipe, tiny_model_dir, tmp_path_factory):
    rows = Dataset.from_list([{"prompt": "1+1=", "answer": "2"}])
    return OneShotTrainer(recipe, tiny_model_dir, rows, tmp_path_factory.mktemp("run"))


def rollouts(rewards):
    """A batch of 8 rollouts of two prompts: off-policy enough to clip, KL enough to clamp."""
    generator = torch.Generator().manual_seed(7)
    lengths = torch.tensor([20, 3, 11, 7, 1, 20, 9, 14])
    mask = (torch.arange(20) < lengths[:, None]).long()
    completions = torch.randint(3, 90, (8, 20), generator=generator) * mask
    prompts = torch.zeros(8, 12, dtype=torch.long)
    prompts[:4] = torch.randint(3, 90, (12,), generator=generator)
    prompts[4:, 5:] = torch.randint(3, 90, (7,), generator=generator)
    ids, attend = torch.cat([prompts, completions], 1), torch.cat([prompts != 0, mask == 1], 1)
    with torch.no_grad():
        logits = tiny_model()(ids, attention_mask=attend.long()).logits[:, 11:-1] / 0.6
    logps = logits.log_softmax(-1).gather(2, completions[..., None]).squeeze(2)
    noise = torch.randn(2, 8, 20, generator=generator)
    return {
        "prompt_ids": prompts,
        "prompt_mask": (prompts != 0).long(),
        "completion_ids": completions,
        "completion_mask": mask,
        "advantages": loss.group_advantages(torch.tensor(rewards), GROUP),
        "old_per_token_logps": logps + 0.2 * noise[0],
        "ref_per_token_logps": logps + 1.5 * noise[1],
    }


def packed(batch, budget):
    """Rows by micro-batch: so many as the tokens ask for, the longest row to the emptiest one."""
    lengths = (batch["prompt_mask"].sum(1) + batch["completion_mask"].sum(1)).tolist()
    parts = [[] for _ in range(-(-sum(lengths) // budget))]
    for row in sorted(range(len(lengths)), key=lengths.__getitem__, reverse=True):
        min(parts, key=lambda part: sum(lengths[other] for other in part)).append(row)
    return parts


def paper_loss(model, batch, rewards, policy, beta, entropy_coef, budget):
    """Reference sections 2.2 and 2.3 in float64, written without a look at the library.

    A token mean inside each micro-batch, times its share of the sequences.
    """
    ids = torch.cat([batch["prompt_ids"], batch["completion_ids"]], 1)
    attend = torch.cat([batch["prompt_mask"], batch["completion_mask"]], 1)
    position = (attend.cumsum(1) - 1).clamp(min=0)
    logits = model(ids, attention_mask=attend, position_ids=position).logits
    z = logits[:, batch["prompt_ids"].shape[1] - 1 : -1] / 0.6
    p = torch.softmax(z, -1)
    whole = clipped = clamped = 0
    for part in packed(batch, budget):
        tokens = total = 0
        for i in part:
            group = torch.tensor(rewards[i // GROUP * GROUP :][:GROUP], dtype=torch.float64)
            deviation = (((group - group.mean()) ** 2).sum() / (GROUP - 1)).sqrt()
            advantage = (rewards[i] - group.mean()) / (deviation + 1e-6)
            for t in range(int(batch["completion_mask"][i].sum())):
                logp = torch.log(p[i, t, batch["completion_ids"][i, t]])
                ratio = torch.exp(logp - batch["old_per_token_logps"][i, t].double())
                cut = ratio.clamp(0.8, 1.2)
                d = batch["ref_per_token_logps"][i, t].double() - logp
                kl = torch.exp(d) - d - 1
                entropy = torch.logsumexp(z[i, t], -1) - (p[i, t] * z[i, t]).sum()
                total = total + policy * torch.maximum(-advantage * ratio, -advantage * cut)
                total = total + beta * kl.clamp(-10, 10) - entropy_coef * entropy
                tokens += 1
                clipped += bool(ratio != cut)
                clamped += bool(kl > 10)
        whole = whole + total / tokens * len(part) / len(ids)
    assert clipped
    assert clamped
    return whole


@pytest.mark.parametrize("budget", [24000, 60])  # one micro-batch, and three
@pytest.mark.parametrize(("row", "policy", "beta", "entropy_coef"), TABLE_5)
def test_loss_and_gradient_are_the_papers(trainer, recipe, row, policy, beta, entropy_coef, budget):
    rewards = [0.0] * 8 if row == 13 else [1.0, 0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 1.0]
    batch = rollouts(rewards)
    assert [len(part) for part in packed(batch, budget)] == ([8] if budget > 60 else [2, 3, 3])
    trainer.recipe = recipe.replace(
        policy_loss=policy, beta=beta, entropy_coef=entropy_coef, micro_batch_tokens=budget
    )
    model = tiny_model()
    trainer.model.load_state_dict(model.state_dict())
    trainer.model.zero_grad()
    trainer.terms = dict.fromkeys(("policy_loss", "kl", "entropy", "clip_frac"), 0.0)
    ours = trainer.backward(trainer.model, batch)

    model = model.double()
    theirs = paper_loss(model, batch, rewards, policy, beta, entropy_coef, budget)
    assert ours.item() == pytest.approx(theirs.item(), rel=1e-5, abs=1e-12)
    if theirs.requires_grad:
        theirs.backward()
    expected = dict(model.named_parameters())
    for name, parameter in trainer.model.named_parameters():
        grad = expected[name].grad if theirs.requires_grad else torch.zeros_like(expected[name])
        error = (parameter.grad.double() - grad).norm()
        assert error <= 1e-5 * grad.norm(), f"{name}: {error / grad.norm()}"


def test_every_term_is_measured_when_its_coefficient_is_zero(trainer, recipe):
    batch, measured = rollouts([1.0, 0, 0, 0, 0, 0, 1, 1]), []
    for coefficients in ((1, 0.001, 0.001), (0, 0, 0)):
        policy, beta, entropy = coefficients
        trainer.recipe = recipe.replace(policy_loss=policy, beta=beta, entropy_coef=entropy)
        trainer.terms = dict.fromkeys(("policy_loss", "kl", "entropy", "clip_frac"), 0.0)
        trainer.model.zero_grad()
        trainer.backward(trainer.model, batch)
        measured.append({name: float(value) for name, value in trainer.terms.items()})
    assert measured[0] == pytest.approx(measured[1], rel=1e-6)
    assert all(value != 0 for value in measured[0].values())


def test_loss_equals_stock_trl_on_the_same_batch(trainer, recipe, tiny_model_dir, tmp_path):
    stock = GRPOTrainer(
        model=str(tiny_model_dir),
        reward_funcs=lambda completions, **_: [0.0] * len(completions),
        args=GRPOConfig(
            output_dir=str(tmp_path),
            per_device_train_batch_size=8,
            num_generations=GROUP,
            temperature=0.6,
            beta=0.001,
            entropy_coef=0.001,
            use_bias_correction_kl=False,
            model_init_kwargs={"dtype": "float32"},
            bf16=False,
            activation_checkpointing=False,
            use_cpu=True,
        ),
        train_dataset=Dataset.from_list([{"prompt": "1+1="}] * 2),
    )
    stock.current_gradient_accumulation_steps = 1
    batch = rollouts([1.0, 0, 0, 0, 0, 0, 1, 1])
    batch["ref_per_token_logps"] = batch["old_per_token_logps"] + 0.1  # TRL does not clamp the KL
    theirs = stock._compute_loss(
        stock.model, {**batch, "num_items_in_batch": batch["completion_mask"].sum()}
    )
    trainer.recipe = recipe
    trainer.model.load_state_dict(stock.model.state_dict())
    trainer.terms = dict.fromkeys(("policy_loss", "kl", "entropy", "clip_frac"), 0.0)
    trainer.model.zero_grad()
    ours = trainer.backward(trainer.model, batch)
    assert f"{ours.item():.6g}" == f"{theirs.item():.6g}" or ours.item() == pytest.approx(
        theirs.item(), rel=5e-7
    )


def test_reference_pass_is_the_policy_pass_without_gradient(trainer):
    batch = rollouts([0.0] * 8)
    ids = torch.cat([batch["prompt_ids"], batch["completion_ids"]], 1)
    attend = torch.cat([batch["prompt_mask"], batch["completion_mask"]], 1)
    with torch.no_grad():
        chunked, _, _ = trainer._get_per_token_logps_and_entropies(trainer.model, ids, attend, 20)
        whole, _, _ = GRPOTrainer._get_per_token_logps_and_entropies(
            trainer, trainer.model, ids, attend, 20
        )
    mask = batch["completion_mask"]
    assert torch.allclose(chunked * mask, whole * mask, atol=2e-5)


def test_advantages_use_the_unbiased_deviation_and_1e_6():
    rewards = torch.tensor([1.0] * 7 + [0.0])
    advantages = loss.group_advantages(rewards, 8)
    assert advantages[0].item() == pytest.approx(0.3535, abs=1e-4)  # the reference's own figures
    assert advantages[7].item() == pytest.approx(-2.475, abs=1e-3)


@pytest.mark.parametrize("reward", [0.0, 0.1, 1.0, 1 / 3])
@pytest.mark.parametrize("size", [2, 6, 8])
def test_a_group_of_equal_rewards_has_no_advantage_at_all(reward, size):
    assert (loss.group_advantages(torch.full((3 * size,), reward), size) == 0).all()


def test_chunks_hold_every_row_once_share_a_prompt_and_keep_the_budget():
    prompts = [(1, 2, 3), (4,)] * 10
    lengths = [(7 * i) % 19 + 1 for i in range(20)]
    groups = chunks(prompts, lengths, range(20), 60)
    assert sorted(row for group in groups for row in group) == list(range(20))
    for group in groups:
        assert len({prompts[row] for row in group}) == 1
        longest = max(lengths[row] for row in group)
        assert lengths[group[-1]] == longest
        assert len(group) == 1 or len(prompts[group[0]]) + len(group) * (longest + 1) <= 60


@pytest.mark.parametrize("examples", [1, 2, 3, 16])
def test_data_order_repeats_every_example_equally_and_depends_on_the_seed(recipe, examples):
    wide = recipe.replace(prompts_per_step=6, steps=8, updates_per_step=2)
    order = list(DataOrder(wide, examples))
    assert len(order) == len(DataOrder(wide, examples)) == 8 * 2 * 6 * GROUP
    steps = [order[i : i + 6 * GROUP] for i in range(0, len(order), 6 * GROUP)]
    assert steps[0::2] == steps[1::2]  # TRL reads a step's prompts once per update
    assert all(len(set(step[i : i + GROUP])) == 1 for step in steps for i in range(0, 24, GROUP))
    counts = [order.count(example) for example in range(examples)]
    assert max(counts) - min(counts) <= 2 * GROUP
    if examples > 2:
        assert order != list(DataOrder(wide.replace(seed=1), examples))


SIGNATURES = {
    "_get_grad_norm": "(self, model, grad_norm=None)",
    "_get_train_sampler": "(self, dataset=None)",
    "get_decay_parameter_names": "(self, model)",
    "_tokenize_prompts": "(self, prompts)",
    "_generate_single_turn": (
        "(self, prompt_ids, images, multimodal_fields, num_generations, has_tool_images=False)"
    ),
    "_calculate_rewards": "(self, inputs, prompts, completions, completion_ids_list)",
    "training_step": "(self, model, inputs, num_items_in_batch)",
    "_compute_loss": "(self, model, inputs)",
    "log": "(self, logs, start_time=None)",
    "_save_checkpoint": "(self, model, trial)",
    "_prepare_for_training": "(self, max_steps, train_dataloader, resume_from_checkpoint)",
    "_load_from_checkpoint": "(self, resume_from_checkpoint, model=None)",
    "_load_optimizer_and_scheduler": "(self, checkpoint)",
    "_prepare_inputs": "(self, generation_batch)",  # relied on
    "_generate_and_score_completions": "(self, inputs)",  # relied on, never overridden
}


@pytest.mark.parametrize("name", SIGNATURES)
def test_trl_methods_overridden_or_relied_on_have_the_pinned_signature(name):
    signature = inspect.signature(getattr(GRPOTrainer, name))
    bare = [p.replace(annotation=inspect.Parameter.empty) for p in signature.parameters.values()]
    assert str(inspect.Signature(bare)) == SIGNATURES[name]


def test_the_method_that_churns_most_is_not_overridden():
    own = set(vars(OneShotTrainer)) & set(dir(GRPOTrainer))
    assert "_generate_and_score_completions" not in own
    assert "_inner_training_loop" not in own
    unpinned = own - set(SIGNATURES) - {"__init__", "__doc__", "__module__"}
    free = {"_get_per_token_logps_and_entropies", "create_accelerator_and_postprocess"}
    assert unpinned <= free | {"__firstlineno__"}


def test_scoring_is_called_by_trl_with_the_leading_arguments_we_take():
    scoring = inspect.signature(GRPOTrainer._get_per_token_logps_and_entropies)
    assert list(scoring.parameters)[:7] == [
        "self",
        "model",
        "input_ids",
        "attention_mask",
        "logits_to_keep",
        "batch_size",
        "compute_entropy",
    ]


def test_tokenizer_of_the_tests_is_lossless():
    tokenizer = character_tokenizer()
    text = "Problem: 1+1?\nSolution: \\boxed{2}"
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text
