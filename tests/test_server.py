"""Weights on their way to a vLLM server: in step, in its precision, and never in silence."""

import json
import math
import time

import pytest
import torch
from accelerate import PartialState
from served import BLOCK, Client, accelerator_of, server_sampler, sync_by_a_rank
from small_models import tiny_model
from together import together

from onerl.rollouts import Request


def events(folder, rank):
    return [json.loads(line) for line in (folder / f"rank-{rank}.jsonl").read_text().splitlines()]


def of(found, what):
    return [event for event in found if event["what"] == what]


@pytest.fixture(scope="module", params=[3, 4])
def synced(request, tmp_path_factory):
    """The events of every rank in two syncs of one model."""
    folder = tmp_path_factory.mktemp("synced")
    assert together(sync_by_a_rank, folder, {}, count=request.param) == [0] * request.param
    return [events(folder, rank) for rank in range(request.param)]


def test_the_main_process_alone_sends_every_weight_in_bf16_and_in_order(synced):
    main, *others = synced
    assert not any(of(found, what) for found in others for what in ("join", "send", "reset"))
    names = [event["what"] for event in main if event["what"] not in ("whole", "send", "sent")]
    assert names == ["join", *["begin", "end", "reset"] * 2]
    blocks, model = of(main, "sent"), tiny_model()
    half = len(blocks) // 2
    assert half > 3
    for now, scale in ((blocks[:half], 1), (blocks[half:], 2)):
        sent = [tensor for block in now for tensor in block["sent"]]
        announced = [tensor for block in now for tensor in block["announced"]]
        for (name, weight), (called, dtype, total), said in zip(
            model.named_parameters(), sent, announced, strict=True
        ):
            assert (called, dtype) == (name, "torch.bfloat16")
            assert said == [name, "bfloat16", list(weight.shape)]
            assert total == pytest.approx((weight * scale).bfloat16().float().sum().item())


def test_no_rank_runs_ahead_and_nothing_is_sent_before_all_have_it(synced):
    main = synced[0]
    starts, ends = of(main, "send"), of(main, "sent")
    counts = [len(block["sent"]) for block in ends]
    for found in synced:
        whole = of(found, "whole")
        assert len(whole) == sum(counts), "every rank makes every tensor whole"
        first = 0
        for i, count in enumerate(counts):
            block = whole[first : first + count]
            assert block[-1]["at"] < starts[i]["at"], "sent before a rank had it"
            assert i == 0 or block[0]["at"] > ends[i - 1]["at"], "a rank ran ahead"
            sizes = [2 * math.prod(event["shape"]) for event in block]
            assert sum(sizes[:-1]) < BLOCK
            first += count


@pytest.mark.parametrize("call", ["join", "begin", "send", "end", "reset"])
def test_a_server_that_fails_ends_every_rank_with_the_reason(tmp_path, call):
    assert together(sync_by_a_rank, tmp_path, {"wrong": call}, count=3) == [3] * 3
    for rank in range(3):
        (error,) = of(events(tmp_path, rank), "error")
        assert "vllm_url = 'http://localhost:1'" in error["message"]
        assert "the server fell over" in error["message"]
        assert "\n" not in error["message"]


@pytest.mark.parametrize(
    ("call", "absent"), [("join", None), ("send", None), ("end", None), ("", 2)]
)
def test_what_hangs_ends_in_a_message_and_not_in_silence(tmp_path, call, absent):
    how = {"wrong": call, "hangs": True}
    started = time.monotonic()
    assert together(sync_by_a_rank, tmp_path, how, 2.0, absent, count=3)[0] == 1
    assert time.monotonic() - started < 60
    said = (tmp_path / "stderr-0").read_text().splitlines()
    (line,) = [line for line in said if line.startswith("vllm_url")]
    assert "the weights are not there after 2 s, while process 0 was " in line
    assert "start it again" in line


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32])
def test_a_server_gets_the_precision_that_it_computes_in(dtype):
    heard = []
    client = Client(lambda what, **more: heard.append((what, more)), dtype=str(dtype))
    server_sampler(client, accelerator_of(PartialState(cpu=True), False)).sync(tiny_model())
    (sent,) = (more["sent"] for what, more in heard if what == "sent")
    assert {found for _, found, _ in sent} == {str(dtype)}


def test_a_log_probability_that_the_server_lacks_is_not_a_number():
    """TRL's client gives None where the server says NaN."""
    answer = {"completion_ids": [[5, 1]], "logprobs": [[[-0.5], [None]]]}
    sampler = server_sampler(Client(answer=answer), accelerator_of(PartialState(cpu=True), False))
    (rollout,) = sampler.sample([[3, 4]], Request([1], 2, {1}))
    assert rollout.logprobs[0] == -0.5
    assert math.isnan(rollout.logprobs[1])
