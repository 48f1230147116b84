"""A GGUF file becomes the model that was quantised: tied, with all end tokens, saved once."""

import json

import numpy as np
import pytest
import torch
from small_models import tiny_model
from transformers import AutoModelForCausalLM, AutoTokenizer

from onerl import models

gguf = pytest.importorskip("gguf")
PIECES = [chr(i) for i in range(33, 127)]
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
VOCABULARY = [*PIECES, "ab", "</s>", *SPECIAL]
NAMES = {
    "model.embed_tokens": "token_embd",
    "model.norm": "output_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "post_attention_layernorm": "ffn_norm",
    "input_layernorm": "attn_norm",
    "model.layers": "blk",
}


def write(file, model, head=None):
    """A GGUF file of a small Qwen2, all in float32; `head`: a separate output matrix."""
    writer = gguf.GGUFWriter(file, "qwen2")
    shape = model.config
    writer.add_name("Tiny Instruct")
    writer.add_block_count(shape.num_hidden_layers)
    writer.add_context_length(shape.max_position_embeddings)
    writer.add_embedding_length(shape.hidden_size)
    writer.add_feed_forward_length(shape.intermediate_size)
    writer.add_head_count(shape.num_attention_heads)
    writer.add_head_count_kv(shape.num_key_value_heads)
    writer.add_rope_freq_base(shape.rope_parameters["rope_theta"])
    writer.add_layer_norm_rms_eps(shape.rms_norm_eps)
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(VOCABULARY)
    writer.add_token_types([3 if token in SPECIAL else 1 for token in VOCABULARY])
    writer.add_token_merges(["a b"])
    writer.add_eos_token_id(VOCABULARY.index("<|im_end|>"))
    writer.add_pad_token_id(VOCABULARY.index("<|endoftext|>"))
    writer.add_chat_template("{% for m in messages %}{{ m['content'] }}{% endfor %}")
    for name, tensor in model.state_dict().items():
        if name == "lm_head.weight":
            continue
        for ours, theirs in NAMES.items():
            name = name.replace(ours, theirs)
        writer.add_tensor(name, tensor.numpy().astype(np.float32))
    if head is not None:
        writer.add_tensor("output.weight", head.numpy().astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return file


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def model():
    return tiny_model(vocab_size=len(VOCABULARY), pad_token_id=None, eos_token_id=None)


def quantised(matrix, distance):
    noise = torch.randn(matrix.shape, generator=torch.Generator().manual_seed(0))
    return matrix + noise * (distance * matrix.norm() / noise.norm())


@pytest.mark.parametrize(
    ("distance", "tied"), [(None, True), (0.0, True), (0.04, True), (0.9, False)]
)
def test_the_converted_model_is_the_one_in_the_file(tmp_path, model, distance, tied):
    embedding = model.get_input_embeddings().weight.detach()
    head = None if distance is None else quantised(embedding, distance)
    located = models.locate(write(tmp_path / "tiny-instruct.gguf", model, head))
    ours = AutoModelForCausalLM.from_pretrained(located.name)
    assert ours.config.tie_word_embeddings is tied
    assert (ours.get_input_embeddings().weight is ours.get_output_embeddings().weight) is tied
    tokens = torch.arange(20)[None]
    if distance in (None, 0.0):
        assert torch.allclose(ours(tokens).logits, model(tokens).logits, atol=1e-4)
    if not tied:
        assert torch.equal(ours.get_output_embeddings().weight, head)


def test_an_answer_ends_at_every_end_token_and_at_no_ordinary_one(tmp_path, model):
    located = models.locate(write(tmp_path / "tiny-instruct.gguf", model))
    ends = AutoTokenizer.from_pretrained(located.name).convert_ids_to_tokens(sorted(located.stops))
    assert ends == ["<|endoftext|>", "<|im_end|>"]
    assert located.format == "chat"


def test_a_file_is_converted_once_and_another_file_anew(tmp_path, model, capsys):
    file = write(tmp_path / "tiny.gguf", model)
    first = models.locate(file)
    assert "converting" in capsys.readouterr().err
    assert models.locate(file).name == first.name
    assert capsys.readouterr().err == ""
    about = json.loads((first.folder / "gguf.json").read_text())
    assert about["file"] == "tiny.gguf"
    assert about["general"]["name"] == "Tiny Instruct"
    assert about["parameters"] == model.num_parameters()
    second = models.locate(write(file, tiny_model(seed=1, vocab_size=len(VOCABULARY))))
    assert second.name != first.name
    assert second.sha256 != first.sha256


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "no such GGUF file"), (b"", "is not a GGUF"), (b"GGUF torn", "cannot be read as GGUF")],
)
def test_what_cannot_be_read_is_said_in_one_line(tmp_path, content, message):
    file = tmp_path / "x.gguf"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises((ValueError, FileNotFoundError), match=message) as refusal:
        models.locate(str(file))
    assert "\n" not in str(refusal.value)
    assert not (tmp_path / "cache").exists()
