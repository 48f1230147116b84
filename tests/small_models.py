"""Small models for the tests, saved like any checkpoint, and the short recipe that trains them."""

import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
)

from onerl.recipe import Recipe

CHARACTERS = (
    "\n !\"$%'()*+,-./0123456789:=?[\\]^_{|}ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
)


def character_tokenizer() -> PreTrainedTokenizerFast:
    """One token per character; <pad> is 0, <eos> is 1, <unk> is 2."""
    vocabulary = {c: i for i, c in enumerate(["<pad>", "<eos>", "<unk>", *CHARACTERS])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
    tokenizer.decoder = decoders.Fuse()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="<eos>", unk_token="<unk>"
    )


def tiny_model(architecture: str = "qwen2", seed: int = 0, **changes) -> torch.nn.Module:
    """A random two-layer model of width 64 over the character tokenizer's vocabulary."""
    torch.manual_seed(seed)
    shape = {
        "vocab_size": len(CHARACTERS) + 3,
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 512,
        "tie_word_embeddings": True,
        "initializer_range": 0.15,  # far from uniform, so that mistakes show
        "bos_token_id": None,
        "pad_token_id": 0,
        "eos_token_id": 1,
    }
    if architecture == "llama":
        return LlamaForCausalLM(LlamaConfig(**shape | changes)).eval()
    model = Qwen2ForCausalLM(Qwen2Config(**shape | changes)).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("bias"):  # zero at initialisation; a dropped bias would not show
                parameter.normal_(std=0.1)
    return model


def short_recipe(model, **fields) -> Recipe:
    """A short run of a tiny model on one problem; its coins nearly always carry a signal."""
    values = {
        "preset": "tiny",
        "model": str(model),
        "prompt": "world",
        "examples": {"problem": "What is 1+1?", "answer": "2"},
        "reward": "random",
        "prompts_per_step": 1,
        "num_generations": 4,
        "max_completion_length": 8,
        "save_every": 2,
        "threads": 1,
        "backend": "torch",
    }
    return Recipe(**{**values, **fields})
