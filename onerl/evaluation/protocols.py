"""How a benchmark is sampled, by name: the first thing that two evaluations differ in.

    paper      greedy, and avg@8 at T = 0.6 for AIME and AMC; 3,072 tokens (appendix B.3, B.5)
    r1         T = 0.6, top_p 0.95, avg@16, and avg@64 for AIME and AMC; 8,192 tokens (appendix B.5)
    r1-32k     the same with 32,768 tokens
    world      the embedded world: greedy, 96 tokens (ours); world-sampled: avg@2 at T = 1.0, the
               temperature of its training
    ours       sets whose protocol is not published or that are ours: greedy, 3,072 tokens

Not covered: the prompt, which goes with the model (`onerl.problems.prompts`); the grading, which
is the verifier's under every protocol; and three quirks of the paper's evaluation, which stops at
<|im_end|> where training does not (ours stops where training does), runs a response's python block
and goes on, and adds " (True or False)" to questions with such an answer (the six have none).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from numbers import Integral, Real

from onerl.parameters import nearest

MOST_SAMPLES, HOTTEST = 2**16, 10.0


@dataclass(frozen=True)
class Protocol:
    """How answers are sampled. A field that is None is filled in by `protocol_for`.

    samples: answers to each problem. temperature: 0 is greedy. max_completion_length: tokens of
    the longest answer. top_p: the nucleus; 1 is all of the distribution. name: of `PROTOCOLS`,
    where the unset fields come from; None: each benchmark's own.
    """

    samples: int | None = None
    temperature: float | None = None
    max_completion_length: int | None = None
    top_p: float | None = None
    name: str | None = None


ONE_ANSWER = ("math500", "minerva_math", "olympiadbench")
SMALL_SETS = ("aime24", "aime25", "amc23")  # averaged over samples: they have 30 to 40 problems


def _sets(large: Protocol, small: Protocol) -> dict[str, Protocol]:
    return dict.fromkeys(ONE_ANSWER, large) | dict.fromkeys(SMALL_SETS, small)


_GREEDY = Protocol(1, 0.0, 3072, 1.0)
PROTOCOLS: dict[str, dict[str, Protocol]] = {
    "paper": _sets(_GREEDY, Protocol(8, 0.6, 3072, 1.0)),
    "r1": _sets(Protocol(16, 0.6, 8192, 0.95), Protocol(64, 0.6, 8192, 0.95)),
    "r1-32k": _sets(Protocol(16, 0.6, 32768, 0.95), Protocol(64, 0.6, 32768, 0.95)),
    "world": dict.fromkeys(("world", "world-unseen", "world-selection"), Protocol(1, 0.0, 96, 1.0))
    | {"world-sampled": Protocol(2, 1.0, 96, 1.0)},
    "ours": dict.fromkeys(
        ("arc_easy", "arc_challenge", "clean-arithmetic", "dsr-selection"), _GREEDY
    ),
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
