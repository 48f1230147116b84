"""The sampler draws from the model's distribution, and from nothing else than its stream."""

import math
from dataclasses import replace

import pytest
import torch
from small_models import tiny_model

from onerl.rollouts import Request, draws, shared_prompt
from onerl.rollouts.draws import choose, nucleus, stream_seed, uniforms
from onerl.rollouts.shared_prompt import SharedPromptSampler

LLAMA3_ROPE = {
    "rope_type": "llama3",
    "rope_theta": 10000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}
MODELS = {
    "qwen2": ("qwen2", {}),
    "qwen2-untied": ("qwen2", {"tie_word_embeddings": False, "rope_theta": 500.0}),
    "llama-without-biases": ("llama", {"num_key_value_heads": 4}),
    "llama-with-everything": (
        "llama",
        {
            "attention_bias": True,
            "mlp_bias": True,
            "tie_word_embeddings": False,
            "head_dim": 32,
            "num_key_value_heads": 1,
            "rope_parameters": LLAMA3_ROPE,
        },
    ),
}
PROMPTS = [list(range(5, 5 + size)) for size in (7, 1, 12, 30, 5)]
COUNTS = [3, 1, 4, 2, 3]
OWNERS = [p for p, count in enumerate(COUNTS) for _ in range(count)]
EOS = {1, 5, 6, 7}


def draw(model, prompts=PROMPTS, counts=COUNTS, seeds=None, temperature=0.9, limit=24):
    seeds = [stream_seed(0, 1, i) for i in range(sum(counts))] if seeds is None else seeds
    request = Request(counts, limit, EOS, temperature, seeds)
    return SharedPromptSampler(model).sample(prompts, request)


@pytest.fixture(scope="module", params=MODELS)
def model(request):
    architecture, changes = MODELS[request.param]
    return tiny_model(architecture, **changes)


@torch.no_grad()
def test_logprobs_are_the_models_own(model):
    rollouts = draw(model)
    assert {len(r.token_ids) for r in rollouts} > {24}  # some ended early: rows were dropped
    for rollout in rollouts:
        prompt = PROMPTS[rollout.prompt_index]
        logits = model(torch.tensor([prompt + rollout.token_ids])).logits[0, len(prompt) - 1 : -1]
        logps = (logits.double() / 0.9).log_softmax(-1)
        expected = logps.gather(1, torch.tensor(rollout.token_ids)[:, None]).squeeze(1)
        assert torch.allclose(torch.tensor(rollout.logprobs).double(), expected, atol=2e-5)


def test_greedy_is_what_generate_gives(model):
    rollouts = draw(model, counts=[1] * 5, seeds=[], temperature=0)
    for prompt, rollout in zip(PROMPTS, rollouts, strict=True):
        expected = model.generate(
            torch.tensor([prompt]),
            attention_mask=torch.ones(1, len(prompt), dtype=torch.long),
            max_new_tokens=24,
            do_sample=False,
            eos_token_id=sorted(EOS),
            pad_token_id=0,
        )
        assert rollout.token_ids == expected[0, len(prompt) :].tolist()


def test_a_rollout_ends_with_its_first_end_token_or_at_the_limit(model):
    for rollout in draw(model):
        ends = [token in EOS for token in rollout.token_ids]
        assert not any(ends[:-1])
        assert rollout.finish == ("stop" if ends[-1] else "length")
        assert ends[-1] or len(rollout.token_ids) == 24
        assert len(rollout.token_ids) == len(rollout.logprobs)


def test_a_stream_does_not_depend_on_the_batch_around_it():
    model = tiny_model()
    seeds = [stream_seed(3, 2, i) for i in range(64)]
    together = draw(model, [PROMPTS[2]], [64], seeds)
    order = torch.randperm(64, generator=torch.Generator().manual_seed(0)).tolist()
    shuffled = draw(model, [PROMPTS[2]], [64], [seeds[i] for i in order])
    alone = [draw(model, [PROMPTS[2]], [1], [seed])[0] for seed in seeds]
    mixed = draw(model, [PROMPTS[0], PROMPTS[2]], [9, 64], [*range(9), *seeds])[9:]
    for place, i in enumerate(order):
        assert shuffled[place].token_ids == together[i].token_ids
    assert [r.token_ids for r in alone] == [r.token_ids for r in together]
    assert [r.token_ids for r in mixed] == [r.token_ids for r in together]


def test_memory_bound_splits_the_work_without_changing_it(monkeypatch):
    model = tiny_model()
    whole = draw(model)
    monkeypatch.setattr(shared_prompt, "MAX_ROWS", 2)
    assert [r.token_ids for r in draw(model)] == [r.token_ids for r in whole]
    monkeypatch.setattr(shared_prompt, "CACHE_BYTES", 1)  # nothing fits: one row at a time
    assert [r.token_ids for r in draw(model)] == [r.token_ids for r in whole]


@pytest.mark.parametrize("threads", [2, 3])
def test_thread_count_does_not_change_the_draws(threads):
    model, before = tiny_model(), torch.get_num_threads()
    single = draw(model, [PROMPTS[0]], [32])
    try:
        torch.set_num_threads(threads)
        several = draw(model, [PROMPTS[0]], [32])
    finally:
        torch.set_num_threads(before)
    assert [r.token_ids for r in several] == [r.token_ids for r in single]


def test_current_weights_are_sampled_from():
    model = tiny_model()
    sample, request = SharedPromptSampler(model).sample, Request([1] * 5, 12, {1})
    before = sample(PROMPTS, request)
    model.load_state_dict(tiny_model(seed=1).state_dict())
    after = sample(PROMPTS, request)
    fresh = SharedPromptSampler(tiny_model(seed=1)).sample(PROMPTS, request)
    assert before != after
    assert after == fresh


def test_seeds_step_and_sample_each_give_another_stream():
    seeds = {stream_seed(*key) for key in [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1), (0, 0, -1)]}
    assert len(seeds) == 5
    many = [stream_seed(s, t, i) for s in range(10) for t in range(30) for i in range(64)]
    assert len(set(many)) == len(many)
    assert all(-(2**63) <= seed < 2**63 for seed in many)
    assert stream_seed(0, 0, 0) == stream_seed(0, 0, 0)


def test_uniforms_are_uniform_and_independent_of_neighbours():
    seeds = torch.tensor([stream_seed(0, 0, i) for i in range(20000)])
    for position in (0, 1, 500):
        u = uniforms(seeds, position)
        counts = torch.histc(u.float(), 20, 0, 1)
        chi_squared = ((counts - 1000) ** 2 / 1000).sum().item()
        assert chi_squared < 45  # 19 degrees of freedom: p = 0.0007
        assert u.min() > 0
        assert u.max() < 1
    a, b = uniforms(seeds, 0), uniforms(seeds, 1)
    for x, y in ((a, b), (a[1:], a[:-1])):
        assert abs(torch.corrcoef(torch.stack([x, y]))[0, 1]) < 4 / math.sqrt(len(x))


def test_uniform_stays_below_one_at_the_largest_hash():
    largest = torch.tensor([2**52 - 1]).double() + 0.5
    assert (largest * 2.0**-52).item() < 1.0


@pytest.mark.parametrize("u", [1e-300, 2.0**-53, 0.5, 1 - 2.0**-53])
def test_a_token_of_probability_zero_is_never_chosen(monkeypatch, u):
    logits = torch.tensor([[-torch.inf, 0.0, -torch.inf, 0.0, -torch.inf]])
    monkeypatch.setattr(draws, "uniforms", lambda *_: torch.tensor([u]).double())
    tokens, logprobs = choose(logits, 1.0, torch.tensor([0]), 0)
    assert tokens.item() in (1, 3)
    assert logprobs.item() == pytest.approx(math.log(0.5))


def test_frequencies_follow_the_tempered_distribution():
    logits = torch.tensor([0.0, 1.0, -1.0, 3.0, 2.5])
    seeds = torch.tensor([stream_seed(1, 0, i) for i in range(40000)])
    tokens, _ = choose(logits.expand(40000, -1), 0.7, seeds, 3)
    expected = torch.softmax(logits / 0.7, 0) * 40000
    observed = torch.bincount(tokens, minlength=5)
    assert ((observed - expected) ** 2 / expected).sum() < 20  # 4 degrees of freedom: p = 0.0005


def plain_nucleus(probabilities: list[float], top_p: float) -> set[int]:
    kept, mass = set(), 0.0
    for token in sorted(range(len(probabilities)), key=lambda i: -probabilities[i]):
        if mass >= top_p:
            break
        kept.add(token)
        mass += probabilities[token]
    return kept


@pytest.mark.parametrize("top_p", [1e-9, 0.1, 0.5, 0.95, 0.999])
def test_the_nucleus_is_the_plain_definitions_and_keeps_its_probabilities(top_p):
    torch.manual_seed(int(1000 * top_p))
    given = torch.randn(200, 50).mul(2).double().softmax(-1)
    for row, masked in zip(given, nucleus(given, top_p), strict=True):
        kept = masked.nonzero().flatten().tolist()
        assert set(kept) == plain_nucleus(row.tolist(), top_p)
        assert torch.equal(masked[kept], row[kept])


def test_top_p_draws_from_the_nucleus_alone_in_its_proportions():
    logits = torch.tensor([0.0, 1.0, -1.0, 3.0, 2.5])
    seeds = torch.tensor([stream_seed(1, 0, i) for i in range(40000)])
    tokens, logprobs = choose(logits.expand(40000, -1), 0.7, seeds, 3, top_p=0.97)
    whole = torch.softmax(logits.double() / 0.7, 0)
    kept = sorted(plain_nucleus(whole.tolist(), 0.97))
    assert kept == [1, 3, 4]
    observed = torch.bincount(tokens, minlength=5)
    expected = whole[kept] / whole[kept].sum() * 40000
    assert observed.sum() == observed[kept].sum()
    assert ((observed[kept] - expected) ** 2 / expected).sum() < 15  # 2 degrees: p = 0.0006
    assert torch.allclose(logprobs, (whole[tokens] / whole[kept].sum()).log())


def test_top_p_of_one_changes_no_draw_and_a_tiny_one_is_greedy():
    model = tiny_model()
    request = Request([1] * 5, 12, {1}, 0.9, [stream_seed(0, 1, i) for i in range(5)])
    sample = SharedPromptSampler(model).sample
    assert sample(PROMPTS, replace(request, top_p=1.0)) == sample(PROMPTS, request)
    tiny = sample(PROMPTS, replace(request, top_p=1e-9))
    greedy = sample(PROMPTS, replace(request, temperature=0))
    assert [r.token_ids for r in tiny] == [r.token_ids for r in greedy]
    assert max(abs(value) for r in tiny for value in r.logprobs) < 1e-12  # alone in its nucleus


@torch.no_grad()
def test_with_top_p_a_log_probability_is_that_inside_the_nucleus():
    model = tiny_model()
    seeds = [stream_seed(0, 2, i) for i in range(sum(COUNTS))]
    request = Request(COUNTS, 24, EOS, 0.9, seeds, top_p=0.8)
    rollouts, left_out = SharedPromptSampler(model).sample(PROMPTS, request), 0
    for rollout in rollouts:
        prompt = PROMPTS[rollout.prompt_index]
        logits = model(torch.tensor([prompt + rollout.token_ids])).logits[0, len(prompt) - 1 : -1]
        for row, token, logprob in zip(logits, rollout.token_ids, rollout.logprobs, strict=True):
            probabilities = (row.double() / 0.9).softmax(-1)
            kept = sorted(plain_nucleus(probabilities.tolist(), 0.8))
            expected = (probabilities[token] / probabilities[kept].sum()).log().item()
            assert logprob == pytest.approx(expected, abs=2e-4)
            left_out += len(kept) < len(probabilities)
    assert left_out > 100


@pytest.mark.parametrize(
    "wrong",
    [
        *({"top_p": value} for value in (0.0, -1.0, 1.01, math.nan)),
        *({"temperature": value} for value in (-1.0, math.nan, math.inf)),
        {"max_new_tokens": 0},
    ],
)
def test_a_request_out_of_range_is_refused(wrong):
    ((name, value),) = wrong.items()
    with pytest.raises(ValueError, match=f"^{name}: {value} is out of range"):
        Request(**{"counts": [1], "max_new_tokens": 1, "eos_ids": {1}, "seeds": [0], **wrong})


def test_diverged_model_is_reported():
    model = tiny_model()
    with torch.no_grad():
        model.model.norm.weight.fill_(torch.nan)
    with pytest.raises(ValueError, match="not finite"):
        draw(model)


def test_wrong_calls_and_models_are_refused():
    model = tiny_model()
    with pytest.raises(ValueError, match="expected 13 seeds"):
        draw(model, seeds=[1, 2])
    with pytest.raises(ValueError, match="at least one token"):
        draw(model, prompts=[[]], counts=[1])
    with pytest.raises(ValueError, match="1 counts of rollouts for 5 prompts"):
        draw(model, counts=[1])
    model.config.model_type = "gpt2"
    with pytest.raises(ValueError, match=r"'gpt2'.*allowed: qwen2, llama"):
        SharedPromptSampler(model)
