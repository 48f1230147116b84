"""The engine in every setting it is used in, and after every death it can die."""

import asyncio
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest

from onerl.verifier import clear_cache, grade, grade_many, self_test, verify
from onerl.verifier.engine import NUMBERS

# Needs the engine: equal numbers of different form.
PAIR = (r"\boxed{\sqrt{117}}", r"3\sqrt{13}")
WRONG = (r"\boxed{\sqrt{117}+10^{-20}}", r"3\sqrt{13}")


def fresh(response: str, gold: str) -> bool:
    clear_cache()
    return verify(response, gold)


def both() -> list[bool]:
    clear_cache()
    return [verify(*PAIR), verify(*WRONG)]


def in_child(queue) -> None:
    queue.put(both())


def gone(pid: int, seconds: float = 20) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.05)
    return False


def test_right_in_the_main_thread():
    assert both() == [True, False]


def test_right_in_other_threads():
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda i: verify(PAIR[0] + " " * i, PAIR[1]), range(64)))
    assert all(results)
    answers = []
    thread = threading.Thread(target=lambda: answers.append(both()))
    thread.start()
    thread.join()
    assert answers == [[True, False]]
    assert both() == [True, False]  # the thread that may have started the worker is gone


def test_right_inside_asyncio():
    async def grade_here_and_there():
        return both(), await asyncio.to_thread(both)

    assert asyncio.run(grade_here_and_there()) == ([True, False], [True, False])


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_right_in_child_processes(method):
    assert both() == [True, False]
    mine = NUMBERS.pid
    context = multiprocessing.get_context(method)
    queue = context.Queue()
    children = [context.Process(target=in_child, args=(queue,), daemon=True) for _ in range(2)]
    for child in children:
        child.start()
    assert [queue.get(timeout=120) for _ in children] == [[True, False]] * 2
    for child in children:
        child.join()
    assert both() == [True, False]
    assert NUMBERS.pid == mine  # the children did not take the parent's worker


def test_a_fork_while_another_thread_is_asking_does_not_lock():
    stop = threading.Event()
    busy = threading.Thread(
        target=lambda: [fresh(*PAIR) for _ in iter(lambda: not stop.is_set(), False)]
    )
    busy.start()
    try:
        for _ in range(5):
            pid = os.fork()
            if pid == 0:
                os._exit(0 if both() == [True, False] else 1)
            assert os.waitpid(pid, 0)[1] == 0
    finally:
        stop.set()
        busy.join()


def test_a_killed_worker_and_a_killed_supervisor_are_replaced():
    self_test()
    supervisor = psutil.Process(NUMBERS.pid)
    for _ in range(3):
        for worker in supervisor.children():
            worker.kill()
        assert fresh(*PAIR)  # asked again, of a new worker
    supervisor.kill()
    assert fresh(*PAIR)
    assert not fresh(*WRONG)


def test_a_worker_killed_during_a_question_is_replaced_and_asked_again():
    self_test()
    stop = threading.Event()

    def killer():
        while not stop.wait(0.02):
            for worker in psutil.Process(NUMBERS.pid).children():
                worker.kill()
                stop.wait(0.2)

    thread = threading.Thread(target=killer)
    thread.start()
    try:
        assert all(fresh(*PAIR) and not fresh(*WRONG) for _ in range(60))
    finally:
        stop.set()
        thread.join()


def test_a_worker_that_cannot_start_is_no_verdict_and_says_so(monkeypatch):
    import onerl.verifier.engine as engine

    def refuse(*_, **__):
        raise BlockingIOError(11, "Resource temporarily unavailable")

    NUMBERS.close()
    monkeypatch.setattr(engine.subprocess, "Popen", refuse)
    clear_cache()
    with pytest.warns(RuntimeWarning, match="no verdict"):
        verdict = grade(*PAIR)
    assert (verdict.correct, verdict.status) == (False, "error")
    monkeypatch.undo()
    assert verify(*PAIR)  # and it was not remembered


def test_the_worker_is_started_ahead_without_sympy_here():
    code = (
        "import sys, time; import onerl.verifier as v; from onerl.verifier.engine import NUMBERS; "
        "t = time.perf_counter(); v.warm(); assert time.perf_counter() - t < 0.5; "
        "assert NUMBERS.pid; v.warm(); assert NUMBERS.starts == 1; "
        r"assert v.verify(r'\boxed{\sqrt{117}}', r'3\sqrt{13}'); assert NUMBERS.starts == 1; "
        "assert not {'sympy', 'mpmath'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_stopped_supervisor_does_not_hang_forever(monkeypatch):
    import onerl.verifier.engine as engine

    self_test()
    monkeypatch.setattr(engine, "WALL_SECONDS", -4.0)  # one second in all
    os.kill(NUMBERS.pid, signal.SIGSTOP)
    started = time.monotonic()
    word, _ = NUMBERS.ask((("num", 1, None), ("num", 1, None)))
    assert word in ("equal", "error", "unread", "timeout")
    assert time.monotonic() - started < 60
    monkeypatch.undo()
    NUMBERS.close()  # the replacement was started with the limit above
    assert fresh(*PAIR)


def test_an_interrupted_question_does_not_answer_the_next_one(monkeypatch):
    assert both() == [True, False]

    def interrupted(seconds):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(NUMBERS, "_receive", interrupted)
        with pytest.raises(KeyboardInterrupt):
            fresh(*PAIR)
    assert not fresh(*WRONG)  # the reply to PAIR would have said equal
    assert fresh(*PAIR)


SCRIPT = """
import signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # background jobs inherit it ignored
import onerl.verifier as v
from onerl.verifier.engine import NUMBERS
assert v.verify(r"\\boxed{\\sqrt{117}}", r"3\\sqrt{13}")
import psutil
pids = [NUMBERS.pid] + [p.pid for p in psutil.Process(NUMBERS.pid).children()]
if len(sys.argv) > 1:  # a child that holds the pipe open
    import os
    if os.fork() == 0:
        time.sleep(30)
        os._exit(0)
print(*pids, flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("arguments", [[], ["with a child"]])
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_workers_are_gone_when_the_parent_is(arguments, how):
    parent = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, *arguments], stdout=subprocess.PIPE, text=True,
        stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    pids = [int(pid) for pid in parent.stdout.readline().split()]
    assert len(pids) >= 2
    parent.send_signal(how)
    parent.wait(30)
    assert all(gone(pid) for pid in pids)
    os.killpg(parent.pid, signal.SIGKILL) if arguments else None


def test_import_is_light_and_quick():
    code = (
        "import sys, time; t = time.process_time(); import onerl.verifier; "
        "print(time.process_time() - t, *[m for m in ('torch', 'sympy', 'transformers', 'numpy', "
        "'mpmath', 'math_verify', 'pandas') if m in sys.modules])"
    )
    done = [
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        for _ in range(3)
    ]
    words = [result.stdout.split() for result in done]
    assert all(len(line) == 1 for line in words), words
    assert min(float(line[0]) for line in words) < 0.3


def test_the_first_symbolic_verdict_comes_within_two_seconds_of_cpu():
    code = (
        "import onerl.verifier as v; "
        "assert v.verify(r'\\boxed{\\sqrt{117}}', r'3\\sqrt{13}'); "
        "from onerl.verifier.engine import NUMBERS; import psutil; "
        "print(sum(psutil.Process().cpu_times()[:2]) "
        "+ sum(psutil.Process(NUMBERS.pid).cpu_times()[:2]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert float(done.stdout) < 2.0


def test_no_verdict_changes_with_every_core_busy():
    pairs = [
        (r"\boxed{\sqrt{117}}", r"3\sqrt{13}"),
        (r"\boxed{\frac{e^{at}+e^{-at}}{2}}", r"\cosh(at)"),
        (r"\boxed{\frac{1}{3}}", r"\int_0^1 x^2 dx"),
        (r"\boxed{\frac{\sqrt{6}-\sqrt{2}}{4}}", r"\sin 15^\circ"),
        (r"\boxed{\sin 2x}", r"2\sin x\cos x"),
        (r"\boxed{\sin 2x}", r"2\sin x\cos 2x"),
        (r"\boxed{\sqrt{5+2\sqrt{6}}}", r"\sqrt{2}+\sqrt{3}"),
        (r"\boxed{\sqrt{5+2\sqrt{6}}+10^{-15}}", r"\sqrt{2}+\sqrt{3}"),
    ]  # fmt: skip
    self_test()
    clear_cache()
    calm = grade_many(pairs)
    hogs = [
        subprocess.Popen([sys.executable, "-c", "while True: pass"])
        for _ in range(3 * len(os.sched_getaffinity(0)))
    ]
    try:
        clear_cache()
        assert grade_many(pairs) == calm
    finally:
        for hog in hogs:
            hog.kill()
            hog.wait()
    assert [verdict.correct for verdict in calm] == [
        True,
        True,
        True,
        True,
        True,
        False,
        True,
        False,
    ]
