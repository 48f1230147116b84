"""The exact strings that a model is shown, for training and for evaluation.

The paper trains with a sentence after the question and evaluates without it, and its Qwen models
see a system message in both. These strings are written out here, not rendered by a tokenizer's
template, so that a template changed on the hub cannot change a run; a test compares them with the
released data. Tokenise them with `add_special_tokens=False`: where a model wants a
begin-of-sequence token, its text is in the string.

Source: reference 2.5 and 5.2. Where the reference gives only one split's string the other one
follows it, with or without the suffix.
"""

from __future__ import annotations

import hashlib
from typing import Any, Literal

SUFFIX = " Let's think step by step and output the final answer within \\boxed{}."
"""Ends every training question (and no evaluation question) of the paper."""

MATH_SYSTEM = "Please reason step by step, and put your final answer within \\boxed{}."
QWEN_SYSTEM = "You are a helpful assistant."
_QWEN = "<|im_start|>system\n{system}<|im_end|>\n<|im_start|>user\n{q}<|im_end|>\n" + (
    "<|im_start|>assistant\n"
)
_R1 = "<｜begin▁of▁sentence｜><｜User｜>{q}<｜Assistant｜><think>\n"
_LLAMA = (
    "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\n"
    "Cutting Knowledge Date: December 2023\nToday Date: 17 Apr 2025\n\n{space}<|eot_id|>"
    "<|start_header_id|>user<|end_header_id|>\n\n{q}<|eot_id|>"
    "<|start_header_id|>assistant<|end_header_id|>\n\n"
)
_WORLD = "Problem: {q}\nSolution:"
DEMONSTRATED = {"world": "{example}\nSolution:{solution}\n\nProblem: {q}"}
"""What stands for the question when an example goes before it; elsewhere as in the paper's code."""


def _both(string: str, trained: str | None = None) -> dict[Split, str]:
    """The string of both splits; in training, of `trained`, the question ends with the suffix."""
    return {"train": (trained or string).replace("{q}", "{q}" + SUFFIX), "eval": string}


Split = Literal["train", "eval"]
_MATH = _QWEN.replace("{system}", MATH_SYSTEM)
STRINGS: dict[str, dict[Split, str]] = {
    "world": {"train": _WORLD, "eval": _WORLD},
    "qwen2.5-math": _both(_MATH),
    # the base models; evaluated with the mathematics message, as every Qwen there
    "qwen2.5": _both(_MATH, _QWEN.replace("{system}", QWEN_SYSTEM)),
    "r1-distill": _both(_R1),
    # the space is in the paper's evaluation string, not in the model's template
    "llama-3.2": _both(_LLAMA.replace("{space}", " "), _LLAMA.replace("{space}", "")),
}
"""Prompt strings by prompt format and split; {q} is the question."""


def prompt_for(
    question: str, format: str, split: Split, tokenizer: Any = None, suffix: bool = True
) -> str:
    """The exact string for a question, without suffix, in one split ("train" or "eval").

    Args:
        format: of `STRINGS`, or "chat" (`onerl.models.locate` tells a model's).
        tokenizer: needed only by the format "chat", whose template it carries.
        suffix: False leaves the sentence away that ends a training question, and with "chat",
            which has no system message that asks for a box, an evaluation question too.

    Raises:
        ValueError: unknown split or format, or "chat" without a tokenizer that has a template.
    """
    if split not in ("train", "eval"):
        raise ValueError(f"split = {split!r}: must be train or eval")
    if format not in (*STRINGS, "chat"):
        raise ValueError(
            f"prompt = {format!r}: no such prompt format; allowed: auto, {', '.join(STRINGS)}, chat"
        )
    if format != "chat":
        string = STRINGS[format][split]
        return string.replace(SUFFIX, SUFFIX if suffix else "").replace("{q}", question)
    if not getattr(tokenizer, "chat_template", None):
        raise ValueError(
            f"prompt: nothing says how {getattr(tokenizer, 'name_or_path', tokenizer)!r} is"
            " prompted: its name is unlike any known model's and it has no chat template; set"
            f" prompt to one of {', '.join(STRINGS)}"
        )
    content = question + (SUFFIX if suffix else "")  # else hardly any answer has a box
    return tokenizer.apply_chat_template(
        [{"role": "user", "content": content}], tokenize=False, add_generation_prompt=True
    )


def after_example(question: str, example: str, solution: str, format: str) -> str:
    """The question with a solved example before it, to be put to `prompt_for` in its place.

    One turn: example, newline, solution, blank line, question (reference 5.2, "in-context
    baseline"). The embedded world has no turns; there the example is a document before it.
    """
    string = DEMONSTRATED.get(format, "{example}\n{solution}\n\n{q}")
    return string.format(example=example, solution=solution, q=question)


def prompt_sha256(prompt: str) -> str:
    """Hex sha256 of a prompt's UTF-8 bytes; kept in the provenance of a run."""
    return hashlib.sha256(prompt.encode()).hexdigest()
