r"""How right, how safe and how quick the verifier is, with math-verify beside it in the same run.

    python benchmarks/verifier.py                # accuracy and speed, about two minutes
    python benchmarks/verifier.py --soak 1000000 # a million calls with memory watched instead

Writes benchmarks/results/verifier-DATE.json and verifier-soak-DATE.json. Rates are per CPU second
of this process and its worker, so that a busy machine reports the same; wall time is beside them.
The real gold answers are read from the folder named by --data and skipped when it is absent.
"""

import argparse
import datetime
import gc
import importlib.metadata
import json
import os
import platform
import random
import statistics
import subprocess
import sys
import time
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import test_verifier_golds  # noqa: E402
from test_verifier_fuzz import mutated  # noqa: E402
from test_verifier_golds import SAMPLE, SETS  # noqa: E402
from verifier_cases import DIFFERENT, EQUAL  # noqa: E402
from verifier_forms import equal_forms, near_misses  # noqa: E402

from onerl.verifier import clear_cache, grade, grade_many, self_test, verify  # noqa: E402
from onerl.verifier.engine import NUMBERS  # noqa: E402

# What the trained model of the paper writes for its one problem: few answers, most of them right.
ANSWERS = (
    ("12.8", 600),
    ("12.8 \\text{ mph}", 120),
    ("\\frac{64}{5}", 60),
    ("12.7", 60),
    ("12.70", 40),
    ("8\\sqrt[3]{4}", 40),
    ("12.699", 30),
    ("128", 20),
    ("4\\sqrt[3]{32}", 20),
    ("16", 10),
    ("V=12.8", 10),
    ("12.8\\,\\text{miles per hour}", 8),
    ("\\sqrt[3]{2048}", 4),
    ("12,8", 2),
)
FILLER = "The pressure P varies jointly as the area A and the cube of the speed V, so $P=kAV^3$. "


def cpu_seconds() -> float:
    """CPU time of this process, its supervisor and its workers, past ones included."""
    total = sum(os.times()[:4])
    for each in workers():
        times = each.cpu_times()
        total += times.user + times.system + times.children_user + times.children_system
    return total


def workers() -> list[psutil.Process]:
    supervisors = [psutil.Process(pid) for pid in (NUMBERS.pid,) if pid is not None]
    return supervisors + [child for each in supervisors for child in each.children()]


class Clock:
    def __enter__(self):
        gc.collect()
        self.cpu, self.wall = cpu_seconds(), time.perf_counter()
        return self

    def __exit__(self, *_):
        self.cpu, self.wall = cpu_seconds() - self.cpu, time.perf_counter() - self.wall

    def rate(self, count: int) -> dict:
        return {
            "per_cpu_second": round(count / self.cpu, 1),
            "per_second": round(count / self.wall, 1),
        }


def rollouts(draw: random.Random) -> list[tuple[str, str]]:
    """1024 responses to one problem, 1.5 to 6 k characters each."""
    answers = [answer for answer, count in ANSWERS for _ in range(count)]
    draw.shuffle(answers)
    out = []
    for answer in answers[:1024]:
        text = FILLER * 70
        text = text[: draw.randint(1500, 6000)]
        out.append((rf"{text} So the speed is $\boxed{{{answer}}}$ miles per hour.", "12.8"))
    return out


def math500_pairs(draw: random.Random) -> list[tuple[str, str]]:
    """Each gold of MATH500 once, half rewritten and half wrong, behind 3 k characters."""
    pairs = []
    for index, gold in enumerate(test_verifier_golds.golds("math500")):
        forms = equal_forms(gold) if index % 2 else near_misses(gold)
        answer = draw.choice(list(forms.values()))
        pairs.append((rf"{(FILLER * 40)[:3000]} \boxed{{{answer}}}", gold))
    return pairs


def speed(draw: random.Random) -> dict:
    self_test()
    step = rollouts(draw)
    clear_cache()
    with Clock() as first:
        grade_many(step)
    with Clock() as later:
        for _ in range(20):
            grade_many(step)
    pairs = math500_pairs(draw)
    clear_cache()
    slowest, times = 0.0, []
    with Clock() as uncached:
        for response, gold in pairs:
            started = time.perf_counter()
            clear_cache()
            verify(response, gold)
            times.append(time.perf_counter() - started)
            slowest = max(slowest, times[-1])
    return {
        "first step of 1024 rollouts": first.rate(1024),
        "later steps": later.rate(20 * 1024),
        "MATH500 uncached": uncached.rate(len(pairs))
        | {"median_ms": round(1e3 * statistics.median(times), 3), "slowest_s": round(slowest, 3)},
        "math-verify": math_verify_speed(step, pairs),
    }


def math_verify_speed(step, pairs) -> dict:
    from math_verify import parse
    from math_verify import verify as check

    def one(response, gold):
        return check(parse(f"${gold}$"), parse(response))

    one(*step[0])
    with Clock() as steps:
        for response, gold in step[:256]:
            one(response, gold)
    with Clock() as others:
        for response, gold in pairs:
            one(response, gold)
    return {
        "1024 rollouts (256 timed)": steps.rate(256),
        "MATH500 uncached": others.rate(len(pairs)),
        "version": importlib.metadata.version("math-verify"),
    }


def start_up() -> dict:
    def run(code: str) -> float:
        command = [sys.executable, "-c", "import time; t = time.perf_counter(); " + code]
        times = [
            float(
                subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout
            )
            for _ in range(3)
        ]
        return round(min(times), 3)

    tail = "; print(time.perf_counter() - t)"
    symbolic = r"assert v.verify(r'\boxed{\sqrt{117}}', r'3\sqrt{13}')"
    return {
        "import_s": run("import onerl.verifier as v" + tail),
        "import_and_first_verdict_s": run("import onerl.verifier as v; v.verify('', '')" + tail),
        "import_and_first_symbolic_verdict_s": run(
            "import onerl.verifier as v; " + symbolic + tail
        ),
    }


def boxed(answer: str) -> str:
    return rf"so \boxed{{{answer}}}"


def accuracy(draw: random.Random) -> dict:
    def labelled(name):
        return [json.loads(line) for line in (ROOT / "tests" / name).read_text().splitlines()]

    counts: dict[str, dict] = {}

    def count(name: str, cases) -> None:
        right = sum(verify(response, gold) == expected for response, gold, expected in cases)
        counts[name] = {"right": right, "of": len(cases)}

    given = labelled("verifier_cases_adversarial.jsonl")
    rows = [
        (
            boxed(c["pred"]) if c["mode"] == "answer" else c["pred"],
            c["gold"],
            c["expected"],
            c["category"],
        )
        for c in given
    ]
    count("given: equal accepted", [row[:3] for row in rows if row[2]])
    hacks = [row[:3] for row in rows if row[3] in ("hack", "policy_nobox")]
    count("given: hacks refused", hacks)
    others = [row[:3] for row in rows if not row[2] and row[3] not in ("hack", "policy_nobox")]
    count("given: near misses refused", others)
    pairs = [(boxed(a), g, True) for kind in EQUAL.values() for g, a in kind if a[-1:] != "\\"]
    count("written: equal accepted", pairs)
    count(
        "written: different refused",
        [(boxed(a), g, False) for k in DIFFERENT.values() for g, a in k],
    )
    if test_verifier_golds.DATA.exists():
        six = sorted({gold for name in SETS for gold in test_verifier_golds.golds(name)})
        broken = {"", r"\frac{2 k n}{n+k-1}-2 \frac{k!n!}{(k+n-1)!"}
        pool = sorted(set(test_verifier_golds.golds("dsr_sub")) - broken)
        for name, golds in (("six sets", six), ("DSR-sub", pool)):
            count(
                f"{name}: {len(golds)} golds in equal forms",
                [(boxed(f), g, True) for g in golds for f in equal_forms(g).values()],
            )
            count(
                f"{name}: near misses",
                [(boxed(f), g, False) for g in golds for f in near_misses(g).values()],
            )
        count(
            "pairs of different golds",
            [
                (boxed(other), gold, False)
                for gold, other in (draw.sample(six, 2) for _ in range(5000))
            ],
        )
    return counts


def soak(calls: int) -> dict:
    """Calls on mutated golds, a tenth of them new to the cache; memory on the way."""
    draw = random.Random(7)
    known = [(boxed(mutated(gold, draw)), gold) for gold in SAMPLE for _ in range(200)]
    memory, slowest, started = [], 0.0, time.perf_counter()
    for index in range(calls):
        if index % 10:
            response, gold = draw.choice(known)
        else:
            gold = draw.choice(SAMPLE)
            response = boxed(mutated(gold, draw))
        before = time.perf_counter()
        verdict = grade(response, gold)
        slowest = max(slowest, time.perf_counter() - before)
        assert verdict.status not in ("error", "bad-input"), (response, gold, verdict)
        if index % (calls // 20) == 0:
            own = psutil.Process().memory_info().rss
            memory.append(
                {
                    "call": index,
                    "here_mb": own >> 20,
                    "worker_mb": sum(each.memory_info().rss for each in workers()) >> 20,
                }
            )
    return {
        "calls": calls,
        "seconds": round(time.perf_counter() - started, 1),
        "slowest_s": round(slowest, 3),
        "engine_starts": NUMBERS.starts,
        "memory": memory,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--soak", type=int, default=0, metavar="CALLS", help="only this many calls")
    parser.add_argument("--data", type=Path, help="folder with eval/ and one_shot_rlvr/")
    parser.add_argument("--small", action="store_true", help="as little as runs; nothing is kept")
    options = parser.parse_args()
    if options.data:
        test_verifier_golds.DATA = options.data
    draw = random.Random(0)
    if options.small:
        print(json.dumps(soak(500), indent=1))
    elif options.soak:
        save("verifier-soak", {"soak": soak(options.soak)})
    else:
        parts = {"start-up": start_up(), "speed": speed(draw), "accuracy": accuracy(draw)}
        save("verifier", parts)


def save(name: str, parts: dict) -> None:
    """Writes one dated result with the machine it was measured on."""
    today = datetime.date.today().isoformat()
    machine = {
        "processor": processor(),
        "cores": os.cpu_count(),
        "allowed": len(os.sched_getaffinity(0)),
        "load": round(os.getloadavg()[0], 1),
    }
    result = {"date": today, "hardware": machine, "python": platform.python_version(), **parts}
    path = ROOT / "benchmarks" / "results" / f"{name}-{today}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))


def processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor()


if __name__ == "__main__":
    main()
