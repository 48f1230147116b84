"""Settings of every test: no network, one thread; the fixture of a small model's folder."""

import os

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")

import pytest
import torch
from small_models import character_tokenizer, tiny_model

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def tiny_model_dir(tmp_path_factory):
    """Folder of a random tiny Qwen2 with its tokenizer, for `from_pretrained`."""
    folder = tmp_path_factory.mktemp("tiny_model")
    tiny_model().save_pretrained(folder)
    character_tokenizer().save_pretrained(folder)
    return folder
