"""How a benchmark is sampled, by name: the first thing that two evaluations differ in.

    paper      greedy, and avg@8 at T = 0.6 for AIME and AMC; 3,072 tokens (appendix B.3, B.5);
               float16, which its vLLM (0.6.3) made of weights stored in float32
    r1         T = 0.6, top_p 0.95, avg@16, and avg@64 for AIME and AMC; 8,192 tokens (appendix B.5)
    r1-32k     the same with 32,768 tokens
    world      the embedded world: greedy, 96 tokens (ours); world-sampled: avg@2 at T = 1.0, the
               temperature of its training
    ours       sets whose protocol is not published or that are ours: greedy, 3,072 tokens; those
               that stand beside the paper's (ARC, dsr-selection) in its float16

Not covered: the prompt, which goes with the model (`onerl.problems.prompts`); the grading, which
is the verifier's under every protocol; and three quirks of the paper's evaluation, which stops at
<|im_end|> where training does not (ours stops where training does), runs a response's python block
and goes on, and adds " (True or False)" to questions with such an answer (the six have none).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from numbers import Integral, Real
from typing import Any

from onerl.parameters import choose, nearest

MOST_SAMPLES, HOTTEST = 2**16, 10.0
DTYPES = ("auto", "float32", "float16", "bfloat16")


@dataclass(frozen=True)
class Protocol:
    """How answers are sampled. A field that is None is filled in by `protocol_for`.

    samples: answers to each problem. temperature: 0 is greedy. max_completion_length: tokens of
    the longest answer. top_p: the nucleus; 1 is all of the distribution. name: of `PROTOCOLS`,
    where the unset fields come from; None: each benchmark's own. dtype: of `DTYPES`, what the
    weights are computed in; "auto": what they are stored in. torch on a CPU keeps float32 where
    another is named, and the label of its answers says so.
    """

    samples: int | None = None
    temperature: float | None = None
    max_completion_length: int | None = None
    top_p: float | None = None
    name: str | None = None
    dtype: str | None = None


ONE_ANSWER = ("math500", "minerva_math", "olympiadbench")
SMALL_SETS = ("aime24", "aime25", "amc23")  # averaged over samples: they have 30 to 40 problems


def _sets(large: Any, small: Any) -> dict[str, Any]:
    return dict.fromkeys(ONE_ANSWER, large) | dict.fromkeys(SMALL_SETS, small)


_GREEDY = Protocol(1, 0.0, 3072, 1.0, dtype="auto")
_WORLD = Protocol(1, 0.0, 96, 1.0, dtype="auto")
_PAPER = replace(_GREEDY, dtype="float16")
_R1 = Protocol(16, 0.6, 8192, 0.95, dtype="float16")
PROTOCOLS: dict[str, dict[str, Protocol]] = {
    "paper": _sets(_PAPER, replace(_PAPER, samples=8, temperature=0.6)),
    "r1": _sets(_R1, replace(_R1, samples=64)),
    "r1-32k": {
        name: replace(_R1, samples=samples, max_completion_length=32768)
        for name, samples in _sets(16, 64).items()
    },
    "world": dict.fromkeys(("world", "world-unseen", "world-selection"), _WORLD)
    | {"world-sampled": replace(_WORLD, samples=2, temperature=1.0)},
    "ours": dict.fromkeys(("arc_easy", "arc_challenge", "dsr-selection"), _PAPER)
    | {"clean-arithmetic": _GREEDY},
}
"""Protocol by name and benchmark; a name with a colon goes by what stands before it."""


def protocol_for(
    benchmark: str, wanted: str | Protocol | None = None, **changes: float | None
) -> tuple[str, Protocol]:
    """Label and values of the protocol that a benchmark is sampled by.

    Args:
        wanted: a name of `PROTOCOLS`, or a `Protocol` whose unset fields are filled in; None: the
            benchmark's own.
        changes: fields of `Protocol` that the caller wants otherwise, None where not. The label
            names those that differ: "paper; samples 4".

    Raises:
        ValueError: no such protocol, it says nothing of the benchmark, or a value is out of range.
    """
    given = asdict(wanted) if isinstance(wanted, Protocol) else {"name": wanted}
    given |= {field: value for field, value in changes.items() if value is not None}
    name, known = given.pop("name"), benchmark.split(":")[0]
    own = [protocol for protocol in PROTOCOLS if known in PROTOCOLS[protocol]]
    if name is not None and name not in PROTOCOLS:
        raise ValueError(
            f"protocol: {name!r} is unknown{nearest(str(name), PROTOCOLS)}; allowed:"
            f" {', '.join(PROTOCOLS)}, a Protocol, or None for each benchmark's own"
        )
    label = name or (own or ["ours"])[0]
    if own and label not in own:
        raise ValueError(
            f"protocol: {label!r} says nothing of {benchmark}; allowed for it: {', '.join(own)}"
        )
    published = PROTOCOLS[label].get(known, _GREEDY)
    protocol = replace(published, **{k: v for k, v in given.items() if v is not None})
    choose("dtype", protocol.dtype, DTYPES)
    _check(benchmark, protocol)
    differ = [f"{k} {v}" for k, v in asdict(protocol).items() if v != getattr(published, k)]
    return "; ".join(filter(None, [label, ", ".join(differ)])), protocol


def _check(benchmark: str, protocol: Protocol) -> None:
    counts = protocol.samples, protocol.max_completion_length
    whole = all(isinstance(count, Integral) and count >= 1 for count in counts)
    inside = all(isinstance(value, Real) for value in (protocol.temperature, protocol.top_p))
    inside = inside and 0 <= protocol.temperature <= HOTTEST and 0 < protocol.top_p <= 1  # no NaN
    if not whole or not inside or protocol.samples > MOST_SAMPLES:
        raise ValueError(
            f"evaluation of {benchmark}: {protocol} is out of range; allowed: whole samples >= 1"
            f" and at most {MOST_SAMPLES}, temperature >= 0 and at most {HOTTEST:g}, whole"
            " max_completion_length >= 1, 0 < top_p <= 1"
        )
    if protocol.temperature == 0 and protocol.samples > 1:
        raise ValueError(
            f"evaluation of {benchmark}: samples={protocol.samples} at temperature 0 would be the"
            " same answer again; set temperature above 0 or samples to 1"
        )
