"""vLLM samples what the trainer scores: run by `make test-vllm`, in an environment that has vLLM.

On a CPU with vllm-cpu, or on a GPU. Covered: the colocated engine, alone, in training on one and
on two processes and in evaluation, and a server. Not covered, for want of GPUs: the transfer of
weights to a server (what is handed to TRL's client is) and sleep mode.
"""

import contextlib
import os
import signal
import socket
import subprocess
import sys

import pytest

os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
pytest.importorskip("vllm")
os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "1")  # GB; a CPU engine takes half the machine

import pandas as pd
import torch
from accelerate import Accelerator
from small_models import character_tokenizer, tiny_model

import onerl
from onerl.evaluation import Protocol
from onerl.rollouts import Request
from onerl.rollouts.draws import stream_seed
from onerl.rollouts.vllm import LAUNCHER, VllmSampler, VllmServerSampler
from onerl.runs import Run

PROMPTS = [[5, 40, 6, 41, 7, 42, 8, 43], [*range(10, 50)]]
LONG = [3 + 7 * i % 80 for i in range(150)]  # more than a block of vLLM's prefix cache
EOS = 1
SHAPE = {"hidden_size": 128}  # heads of 32, the smallest that vLLM's CPU attention has
TEMPERATURE = 0.6


def saved(folder, **changes):
    """A model with tied embeddings unless `changes` say otherwise, as a checkpoint."""
    tiny_model(**SHAPE, **changes).save_pretrained(folder)
    character_tokenizer().save_pretrained(folder)
    return folder


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    folder = saved(tmp_path_factory.mktemp("tied"))
    accelerator = Accelerator()
    with socket.socket() as other, pytest.MonkeyPatch.context() as environment:
        other.bind(("", 0))
        other.listen()
        environment.setenv("MASTER_PORT", str(other.getsockname()[1]))  # another run's
        before = {**os.environ}
        sampler = VllmSampler(str(folder), accelerator, max_length=256, memory=0.2, dtype="float32")
        assert all(os.environ.get(name) == before.get(name) for name in LAUNCHER)
    yield sampler
    sampler.close()


def sample(engine, seeds, temperature=TEMPERATURE, max_new_tokens=60, prompts=PROMPTS[:1], **how):
    """One rollout per seed, shared evenly by the prompts."""
    counts = [len(seeds) // len(prompts)] * len(prompts)
    request = Request(counts, max_new_tokens, {EOS}, temperature, seeds, **how)
    return engine.sample(prompts, request)


def whole_logprobs(model, rollout, temperature=TEMPERATURE):
    """Of every token of the vocabulary, where the rollout's stand, by transformers in float64."""
    prompt = [*PROMPTS, LONG][rollout.prompt_index]
    with torch.no_grad():
        logits = model(torch.tensor([prompt + rollout.token_ids])).logits[0].double()
    return (logits[len(prompt) - 1 : -1] / temperature).log_softmax(-1)


def logprobs(model, rollout, temperature=TEMPERATURE):
    """The rollout's tokens scored by transformers, in float64."""
    scored = whole_logprobs(model, rollout, temperature)
    return scored.gather(1, torch.tensor(rollout.token_ids)[:, None]).squeeze(1)


def mismatch(model, sampled, temperature=TEMPERATURE):
    """Mean absolute difference of log-probabilities, over all tokens."""
    pairs = [(logprobs(model, r, temperature), torch.tensor(r.logprobs)) for r in sampled]
    return torch.cat([(ours - theirs).abs() for ours, theirs in pairs]).mean().item()


def streams(step, count, seed=0):
    return [stream_seed(seed, step, i) for i in range(count)]


def test_vllm_and_transformers_agree_on_the_log_probabilities_of_sampled_tokens(engine):
    engine.sync(tiny_model(**SHAPE))
    sampled = sample(engine, streams(0, 16), prompts=PROMPTS)
    assert [r.prompt_index for r in sampled] == [0] * 8 + [1] * 8
    assert mismatch(tiny_model(**SHAPE), sampled) < 1e-4  # 0.01 is asked for


def test_a_seed_gives_its_tokens_whatever_is_sampled_beside_it(engine):
    engine.sync(tiny_model(**SHAPE))
    seeds = streams(1, 6)
    assert any(seed < 0 for seed in streams(1, 64)), "negative seeds are among those used"
    once = [r.token_ids for r in sample(engine, seeds)]
    again = [r.token_ids for r in sample(engine, seeds[::-1] + streams(2, 3))]
    assert once == again[:6][::-1]
    assert len({tuple(ids) for ids in once}) == 6, "rollouts of one prompt differ"
    other = [r.token_ids for r in sample(engine, streams(1, 6, seed=1))]
    assert not {tuple(ids) for ids in once} & {tuple(ids) for ids in other}


def test_after_a_sync_vllm_samples_from_the_changed_weights(engine):
    old, new = tiny_model(**SHAPE), tiny_model(seed=1, **SHAPE)
    how = {"prompts": [*PROMPTS, LONG]}
    engine.sync(old)
    before = sample(engine, streams(3, 6), **how)
    greedy = sample(engine, streams(3, 1), temperature=0)
    engine.sync(new)
    after = sample(engine, streams(3, 6), **how)
    assert mismatch(old, before) < 1e-4
    assert mismatch(new, after) < 1e-4
    assert mismatch(old, after) > 1
    (chosen,) = sample(engine, streams(3, 1), temperature=0)
    assert chosen.token_ids != greedy[0].token_ids
    assert mismatch(new, [chosen], temperature=1) < 1e-4
    for layer in (0, 1):  # a small change in one place, as an optimiser makes it
        with torch.no_grad():
            new.model.layers[layer].mlp.down_proj.weight.mul_(1.05)
        engine.sync(new)
        assert mismatch(new, sample(engine, streams(4, 4))) < 1e-4


def test_an_end_token_and_the_token_limit_are_told_apart(engine):
    model = tiny_model(**SHAPE)
    engine.sync(model)
    sampled = sample(engine, streams(5, 64), max_new_tokens=30, temperature=1.0)
    ends = {"stop": 0, "length": 0}
    for rollout in sampled:
        ends[rollout.finish] += 1
        assert (rollout.token_ids[-1] == EOS) == (rollout.finish == "stop")
        assert EOS not in rollout.token_ids[:-1]
        assert len(rollout.logprobs) == len(rollout.token_ids)
        assert rollout.finish == "stop" or len(rollout.token_ids) == 30
    assert min(ends.values()) > 0


def test_only_the_given_end_tokens_stop_and_not_those_of_the_model(engine):
    engine.sync(tiny_model(**SHAPE))
    seeds = streams(5, 64)
    how = {"max_new_tokens": 30, "temperature": 1.0, "seeds": seeds}
    ended = [r for r in sample(engine, **how) if r.finish == "stop"]
    through = engine.sample(PROMPTS[:1], Request([64], eos_ids={90}, **how))
    assert ended
    assert any(EOS in rollout.token_ids[:-1] for rollout in through)
    assert all(r.finish == "length" or r.token_ids[-1] == 90 for r in through)


def test_with_top_p_vllm_and_the_shared_prompt_sampler_mean_the_same_log_probability(engine):
    """Of the same tokens, sampled by vLLM and scored inside their nucleus by transformers."""
    model = tiny_model(**SHAPE)
    engine.sync(model)
    for rollout in sample(engine, streams(8, 8), top_p=0.8):
        whole = whole_logprobs(model, rollout)
        falling = whole.exp().sort(-1, descending=True).values
        before = falling.cumsum(-1) - falling
        mass = (falling * (before < 0.8)).sum(-1)
        expected = logprobs(model, rollout) - mass.log()
        assert torch.allclose(expected, torch.tensor(rollout.logprobs).double(), atol=2e-3)


def test_wrong_requests_are_refused(engine):
    with pytest.raises(ValueError, match="at least one token"):
        sample(engine, [1], prompts=[[]])
    with pytest.raises(ValueError, match=r"vllm_tensor_parallel = 2: must divide"):
        VllmSampler("no such model", engine.accelerator, tensor_parallel=2)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Two steps of training through vLLM, each of which moves the weights far."""
    folder = tmp_path_factory.mktemp("training")
    recipe = onerl.Recipe(
        model=str(saved(folder / "untied", tie_word_embeddings=False)),
        prompt="world",
        examples={"problem": "What is 1+1?", "answer": "2"},
        reward="random",
        steps=2,
        save_every=1,
        prompts_per_step=2,
        num_generations=4,
        max_completion_length=16,
        temperature=TEMPERATURE,
        learning_rate=1e-2,
        backend="vllm",
        vllm_memory=0.2,
    )
    return onerl.train(recipe, folder / "run", progress=False)


def completions(run):
    file = run.path / "rollouts" / "step-000002.parquet"
    return sorted(pd.read_parquet(file, columns=["completion"])["completion"])


def test_two_steps_of_training_and_the_evaluation_go_through_vllm(run):
    assert (run.metrics["update_norm"] > 0.1).all()
    assert (run.metrics["sampler_mismatch"] < 1e-4).all()
    assert (run.metrics["sampler_mismatch"] > 0).all()
    how = {"limit": 8, "protocol": Protocol(max_completion_length=24, temperature=0)}
    by_vllm, by_torch = (
        onerl.evaluate(run.checkpoints[-1], "world", backend=backend, **how)
        for backend in ("vllm", "torch")
    )
    assert list(by_vllm.records["text"]) == list(by_torch.records["text"])


def test_one_engine_is_sent_the_weights_of_every_checkpoint(run, monkeypatch):
    started, begin = [], VllmSampler.__init__

    def counted(self, *arguments, **how):
        started.append(how)
        begin(self, *arguments, **how)

    monkeypatch.setattr(VllmSampler, "__init__", counted)
    how = {"limit": 8, "progress": False}
    how["protocol"] = Protocol(max_completion_length=24, temperature=0)
    by_vllm, by_torch = (
        run.evaluate("all", "world", name=backend, backend=backend, **how)
        for backend in ("vllm", "torch")
    )
    assert [how["rows"] for how in started] == [8]
    texts = {step: list(report.records["text"]) for step, report in by_vllm.items()}
    assert texts == {step: list(report.records["text"]) for step, report in by_torch.items()}
    assert texts[0] != texts[1] != texts[2]


@pytest.mark.skipif(torch.cuda.device_count() == 1, reason="two processes need two GPUs")
def test_an_engine_spread_over_two_processes_samples_the_same(run, tmp_path):
    """Against the run of one process, with an update between its two steps."""
    (tmp_path / "recipe.yaml").write_text(run.recipe.to_yaml())
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2"]
    command += ["--master_port", str(free_port()), "-m", "onerl.train", "--out", tmp_path / "two"]
    command += ["--params", tmp_path / "recipe.yaml", "-p", "vllm_tensor_parallel", "2"]
    spread = {**os.environ, "VLLM_CPU_OMP_THREADS_BIND": "nobind"}
    if not torch.cuda.is_available():
        spread["ACCELERATE_USE_CPU"] = "true"
    subprocess.run(command, env=spread, check=True)
    two = Run(tmp_path / "two")
    assert (two.metrics["sampler_mismatch"] < 1e-4).all()
    assert completions(two) == completions(run)


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """The address of a server of the tied model, as docs/vllm.md starts it."""
    folder = saved(tmp_path_factory.mktemp("served"))
    port = free_port()
    command = [sys.executable, "-m", "vllm.entrypoints.openai.api_server"]
    command += ["--model", str(folder), "--host", "127.0.0.1", "--port", str(port)]
    command += ["--generation-config", "vllm", "--logprobs-mode", "processed_logprobs"]
    command += ["--weight-transfer-config", '{"backend": "nccl"}', "--max-model-len", "256"]
    command += ["--dtype", "float32", "--enforce-eager"]
    log = (folder / "log").open("w")
    process = subprocess.Popen(
        command,
        env={**os.environ, "VLLM_SERVER_DEV_MODE": "1"},
        stdout=log,
        stderr=log,
        start_new_session=True,
    )
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(60)
        log.close()


def test_a_server_gives_the_same_as_the_engine_and_is_sent_every_weight(
    served, engine, monkeypatch
):
    model = tiny_model(**SHAPE)
    engine.sync(model)
    server = VllmServerSampler(served, engine.accelerator)
    ours, theirs = (sample(s, streams(7, 8), prompts=PROMPTS) for s in (engine, server))
    assert [(r.prompt_index, r.token_ids, r.finish) for r in ours] == [
        (r.prompt_index, r.token_ids, r.finish) for r in theirs
    ]
    assert {r.finish for r in theirs} == {"stop", "length"}
    assert mismatch(model, theirs) < 1e-4
    with pytest.raises(ValueError, match="needs a CUDA device"):
        server.sync(model)
    sent = []
    monkeypatch.setattr(server.client, "init_communicator", lambda device: None)
    monkeypatch.setattr(server.client, "weight_update", contextlib.nullcontext)
    monkeypatch.setattr(
        server.client, "update_named_params", lambda *given: sent.extend(zip(*given, strict=True))
    )
    server.sync(model)
    for (name, weight), (announced, pair) in zip(model.named_parameters(), sent, strict=True):
        assert announced == (name, "float32", list(weight.shape))
        assert pair[0] == name
        assert torch.equal(pair[1], weight)
    server.close()


def test_a_server_that_is_not_there_is_named(engine):
    with pytest.raises(ValueError, match=r"vllm_url = 'http://127.0.0.1:9': .*can't be reached"):
        VllmServerSampler("http://127.0.0.1:9", engine.accelerator, wait=0)
