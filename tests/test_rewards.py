"""Rewards see the response alone, and record every rollout whatever they pay for; one's own runs
beside the training, which no failure of it can take down."""

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import nbformat
import papermill
import pytest

from onerl.problems import PI1
from onerl.recipe import Recipe
from onerl.train import main, train
from onerl.training import rewards
from onerl.training.rewards import (
    OwnReward,
    check_reward,
    reward_function,
    reward_source,
    source_file,
)
from onerl.verifier import grade
from onerl.verifier.rewards import REWARDS

ROOT = Path(__file__).parents[1]
RESPONSES = [
    r"So the answer is \boxed{12.8}.",
    r"So the answer is \boxed{12.7}.",
    "So the answer is 12.8.",
    r"First \boxed{12.8}, no, \boxed{3",
    "",
]
PROMPT = r"Put the answer within \boxed{}. Then \boxed{12.8}"


def pay(kind, responses=RESPONSES, step=0, seed=0):
    records = {}
    reward = reward_function(Recipe(reward=kind, seed=seed))
    paid = reward(
        prompts=[PROMPT] * len(responses),
        completions=responses,
        completion_ids=[[1]] * len(responses),
        answer=["12.8"] * len(responses),
        id=["pi1"] * len(responses),
        trainer_state=SimpleNamespace(global_step=step),
        log_extra=lambda name, values: records.__setitem__(name, values),
        log_metric=lambda name, value: None,
    )
    return paid, records


def test_outcome_pays_for_the_right_boxed_answer_of_the_response_only():
    paid, _ = pay("outcome")
    assert paid == [1.0, 0.0, 0.0, 0.0, 0.0]


def test_format_pays_for_any_extractable_answer_but_not_for_the_prompts_boxes():
    paid, _ = pay("format")
    assert paid[:3] == [1.0, 1.0, 0.0]
    assert paid[4] == 0.0


def test_wrong_pays_for_a_readable_answer_that_is_not_the_label():
    paid, _ = pay("wrong")
    assert paid == [0.0, 1.0, 0.0, 0.0, 0.0]
    assert pay("wrong", [r"\boxed{12.80}", r"\boxed{\frac{}}", r"\boxed{}"])[0] == [0.0] * 3


@pytest.mark.parametrize("kind", REWARDS)
def test_every_rollout_is_recorded_whatever_the_reward(kind):
    _, records = pay(kind)
    assert records["correct"][:2] == [True, False]
    assert records["extracted"][0] == "12.8"
    assert records["extracted"][4] is None
    assert records["status"][0] == "ok"
    assert records["status"][4] == "no-answer"


def test_coins_are_fair_and_depend_on_seed_step_and_sample_only():
    many = [pay("random", [""] * 100, step=step)[0] for step in range(50)]
    assert 0.47 < sum(map(sum, many)) / 5000 < 0.53
    assert many[0] == pay("random", ["x"] * 100)[0]
    assert many[0] != many[1]
    assert many[0] != pay("random", [""] * 100, seed=1)[0]
    assert {coin for coins in many for coin in coins} == {0.0, 1.0}


def test_reward_is_logged_by_trl_under_its_own_name():
    assert reward_function(Recipe(reward="format")).__name__ == "format"


def test_a_new_reward_is_one_entry_in_one_file(tmp_path):
    shutil.copytree(
        ROOT / "onerl", tmp_path / "onerl", ignore=shutil.ignore_patterns("*.safetensors")
    )
    shutil.copytree(ROOT / "params", tmp_path / "params")
    with (tmp_path / "onerl" / "verifier" / "rewards.py").open("a") as file:
        file.write('\nREWARDS["no_box"] = lambda grade, stream: float(grade.answer is None)\n')
    program = """if True:
        from types import SimpleNamespace
        import onerl
        from onerl.training.rewards import reward_function
        reward = reward_function(onerl.Recipe(reward="no_box"))
        state = SimpleNamespace(global_step=0)
        print(reward([""] * 2, ["5", r"\\boxed{5}"], ["5", "5"], state, print))
        onerl.Recipe(reward="nobox")
    """
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.stdout.splitlines()[-1] == "[1.0, 0.0]", done.stderr
    assert "one of outcome, format, random, wrong, no_box or your own" in done.stderr


SHORT = '''
"""Pays for a right answer, more for a short one."""
import math


def score(problem, response, grade):
    print("looked at", problem.id)
    return grade.correct / (1 + len(response) / 1000) * (problem.answer == "12.8")


def broken(problem, response, grade):
    return float(float(grade.answer) > 0)


def other(problem, response, grade):
    return {value}
'''


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The working directory of a user with rewards of their own."""
    (tmp_path / "my_reward.py").write_text(SHORT.replace("{value}", "1"))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "__init__.py").write_text("raise RuntimeError('only the child runs me')")
    (tmp_path / "pkg").mkdir()
    (tmp_path / "pkg" / "helper.py").write_text("HALF = 0.5\n")
    (tmp_path / "pkg" / "pay.py").write_text(
        "from pkg.helper import HALF\n\n\ndef half(problem, response, grade):\n    return HALF\n"
    )
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_file_and_a_module_of_ones_own_pay(folder):
    paid, _ = pay("my_reward.py:score")
    assert paid == [pytest.approx(1 / (1 + len(RESPONSES[0]) / 1000)), 0, 0, 0, 0]
    assert pay(f"{folder}/my_reward.py:score")[0][1:] == [0] * 4
    paid, records = pay("pkg.pay:half")
    assert paid == [0.5] * 5
    assert records["status"][4] == "no-answer"


def test_a_file_is_found_from_another_folder_of_the_checkout(folder):
    assert source_file("benchmarks/gpu.py:main") == ROOT / "benchmarks" / "gpu.py"
    assert source_file("my_reward.py:score") == folder / "my_reward.py"


def test_its_coins_are_the_same_for_the_same_rollout_in_another_process(folder):
    lines = "import random\ndef coin(problem, response, grade):\n    return random.random()\n"
    (folder / "coins.py").write_text(lines)
    first, again = (pay("coins.py:coin")[0] for _ in range(2))
    assert first == again
    assert len(set(first)) == len(first)


VALUES = {
    "None": "None",
    "'1'": "'1'",
    "[1.0]": "[1.0]",
    "2.5": "2.5",
    "-0.1": "-0.1",
    "math.nan": "nan",
    "math.inf": "inf",
    "1j": "1j",
}


@pytest.mark.parametrize("value", VALUES)
def test_what_is_no_reward_is_named_in_one_line(folder, value):
    (folder / "my_reward.py").write_text(SHORT.replace("{value}", value))
    with pytest.raises(ValueError, match="my_reward") as error:
        check_reward(Recipe(reward="my_reward.py:other"))
    assert str(error.value) == (
        f"reward = 'my_reward.py:other': returned {VALUES[value]}; must be a number from 0 to 1,"
        " on a response to example pi1"
    )


@pytest.mark.parametrize("value", ["1", "0", "True", "0.25", "__import__('numpy').float32(0.5)"])
def test_what_is_a_number_is_taken(folder, value):
    (folder / "my_reward.py").write_text(SHORT.replace("{value}", value))
    assert pay("my_reward.py:other")[0] == [float(eval(value))] * 5


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("raise KeyError('x')", "score raised KeyError: 'x' (line 3), on a response to"),
        ("raise SystemExit(0)", "score raised SystemExit: 0 (line 3)"),
        ("raise KeyboardInterrupt", "score raised KeyboardInterrupt (line 3)"),
        ("return score(problem, response, grade)", "score raised RecursionError: maximum"),
        ("return bytearray(10**15)", "score raised MemoryError (line 3)"),
        ("return input()", "score raised EOFError: "),
        ("raise ValueError('two\\nlines')", "score raised ValueError: two lines"),
        ("os._exit(0)", "ended its process, on a response"),
        ("os.kill(os.getpid(), 11)", "ended its process, on a response"),
        ("time.sleep(60)", "took longer than 1 seconds, on a response"),
        ("while True: pass", "took longer than 1 seconds, on a response"),
    ],
)
def test_a_function_that_fails_stops_the_run_with_one_line(folder, monkeypatch, body, said):
    monkeypatch.setattr(rewards, "SECONDS", 1)
    lines = f"import os, time\ndef score(problem, response, grade):\n    {body}\n"
    (folder / "bad.py").write_text(lines)
    with pytest.raises(ValueError, match=re.escape(f"reward = 'bad.py:score': {said}")) as error:
        pay("bad.py:score")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("reward", "said"),
    [
        ("my_reword.py:score", "there is no file my_reword.py in "),
        ("my_reward.py:scores", "has no function 'scores'"),
        ("my_reward.py:math", "has no function 'math'"),
        ("pkg.pai:half", "there is no module 'pkg.pai'"),
        ("pgk.pay:half", "there is no module 'pgk'"),
        ("sys:exit", "the module 'sys' has no source file"),
        ("mine:score", "cannot be imported: RuntimeError: only the child runs me (line 1)"),
        ("torn.py:score", "cannot be imported: SyntaxError: "),
        ("gone.py:score", "ended its process"),
        ("my_reward.py:broken", "broken raised TypeError: "),  # only where there is no answer
        ("json:loads", "loads raised TypeError: "),
    ],
)
def test_what_cannot_be_called_is_named_before_any_work(folder, reward, said):
    (folder / "torn.py").write_text("def score(:\n")
    (folder / "gone.py").write_text("import os\nos._exit(3)\n")
    out = folder / "run"
    with pytest.raises(ValueError, match=re.escape(f"reward = {reward!r}: ")) as error:
        train(Recipe.load("tiny", reward=reward), out, progress=False)
    assert said in str(error.value)
    assert "\n" not in str(error.value)
    assert not (out / "recipe.yaml").exists()


def test_a_process_that_was_killed_from_outside_is_started_again(folder):
    own = OwnReward("pkg.pay:half")
    asked = PI1, RESPONSES[0], grade(RESPONSES[0], "12.8"), 0
    assert own(*asked) == 0.5
    own.process.kill()
    own.process.wait()
    assert own(*asked) == 0.5
    process = own.process
    del own
    assert process.poll() is not None  # it ends with the last reference


def test_it_ends_with_a_training_that_is_killed(folder):
    (folder / "slow.py").write_text(
        "import os\ndef score(*_):\n    open('pid', 'w').write(str(os.getpid()))\n"
        "    while True: pass\n"
    )
    program = "import onerl; from onerl.training.rewards import check_reward as check;"
    program += "check(onerl.Recipe(reward='slow.py:score'))"
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen([sys.executable, "-c", program], env=environment) as training:
        until = time.monotonic() + 60
        while not ((folder / "pid").exists() and (folder / "pid").read_text()):
            assert time.monotonic() < until
            time.sleep(0.05)
        training.kill()
    child = Path("/proc") / (folder / "pid").read_text()
    while child.exists() and "(zombie)" not in (child / "status").read_text():
        assert time.monotonic() < until
        time.sleep(0.05)


def test_its_source_is_summed_and_changes_with_it(folder):
    recipe = Recipe(reward="my_reward.py:score")
    before = reward_source(recipe)
    assert re.fullmatch("[0-9a-f]{64}", before)
    assert reward_source(Recipe(reward=f"{folder}/my_reward.py:other")) == before
    assert reward_source(Recipe(reward="mine:score")) != before  # nothing is imported here
    (folder / "my_reward.py").write_text("def score(*_):\n    return 1\n")
    assert reward_source(recipe) != before
    assert reward_source(Recipe()) is None


def test_a_name_is_part_of_the_recipes_identity_and_survives_yaml(tmp_path):
    recipe = Recipe.load("tiny", reward="my_reward.py:score")
    assert recipe.hash() not in (Recipe.load("tiny").hash(), recipe.replace(reward="a:b").hash())
    (tmp_path / "recipe.yaml").write_text(recipe.to_yaml())
    assert Recipe.load(tmp_path / "recipe.yaml") == recipe


SMALL = {"steps": 2, "save_every": 2, "prompts_per_step": 2, "num_generations": 2}
SMALL |= {"max_completion_length": 16}
REWARD = "my_reward.py:varied"
VARIED = '''
import zlib


def varied(problem, response, grade):
    """Another reward for another text, so that the trace shows who paid."""
    return zlib.crc32(f"{problem.answer} {response}".encode()) / 2**32
'''


def paid_by_varied(run):
    import zlib

    import pandas as pd

    table = pd.read_parquet(run.path / "rollouts" / "step-000002.parquet")
    expected = [zlib.crc32(f"2.3 {text}".encode()) / 2**32 for text in table["completion"]]
    return table["reward"].tolist() == pytest.approx(expected)


def test_from_python_from_the_command_line_and_from_papermill(folder, tmp_path):
    """The three ways that a recipe is given, each with the reward that pays by the text."""
    (folder / "my_reward.py").write_text(VARIED)
    recipe = Recipe.load("tiny", reward=REWARD, **SMALL)
    run = train(recipe, tmp_path / "python", progress=False)
    assert paid_by_varied(run)
    fields = [part for k, v in {**SMALL, "reward": REWARD}.items() for part in ("-p", k, str(v))]
    main(["--params", "tiny", *fields, "--out", str(tmp_path / "line")])
    assert paid_by_varied(type(run)(tmp_path / "line"))
    book = nbformat.v4.new_notebook()
    cells = ['preset: str = "tiny"\nout: str = None\noverrides: dict = {}']
    cells += ["import onerl\nrecipe, out = onerl.Recipe.from_notebook(globals())"]
    cells += ["onerl.train(recipe, out)"]
    book.cells = [nbformat.v4.new_code_cell(cell) for cell in cells]
    book.cells[0].metadata["tags"] = ["parameters"]
    book.metadata["kernelspec"] = {"name": "python3", "display_name": "", "language": "python"}
    nbformat.write(book, tmp_path / "book.ipynb")
    given = {"reward": REWARD, "out": str(tmp_path / "book"), "overrides": SMALL}
    papermill.execute_notebook(
        str(tmp_path / "book.ipynb"), None, given, progress_bar=False, cwd=str(folder)
    )
    assert paid_by_varied(type(run)(tmp_path / "book"))


def test_the_command_line_says_what_is_wrong_in_one_line(folder, capsys):
    with pytest.raises(SystemExit, match=r"^error: reward = 'my_reward.py:broken': broken raised"):
        main(["--params", "tiny", "-p", "reward", "my_reward.py:broken", "--out", "run"])


def test_a_failure_after_the_first_steps_stops_the_run_and_a_repaired_reward_is_another(folder):
    (folder / "late.py").write_text(
        "calls = 0\ndef score(problem, response, grade):\n    global calls\n    calls += 1\n"
        "    return 1 / max(0, 6 - calls)\n"
    )
    recipe = Recipe.load("tiny", reward="late.py:score", **{**SMALL, "save_every": 1})
    with pytest.raises(ValueError, match=r"score raised ZeroDivisionError: .* \(line 5\), on a"):
        train(recipe, folder / "run", progress=False)
    (folder / "late.py").write_text("def score(*_):\n    return 1\n")
    with pytest.raises(ValueError, match=r"other inputs, by sha256: reward \(\w+ then, \w+ now\)"):
        train(recipe, folder / "run", progress=False)


def test_the_example_of_the_docs_runs_as_written(tmp_path, monkeypatch):
    text = (ROOT / "docs" / "rewards.md").read_text("utf-8")
    source, _ = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    line = re.search(r"^python -m onerl\.train (.*)$", text, flags=re.MULTILINE)[1]
    monkeypatch.chdir(tmp_path)
    Path("my_reward.py").write_text(source)
    main([*line.split(), "-p", "prompts_per_step", "2", "--out", "run"])
    own = OwnReward("my_reward.py:short")
    texts = [RESPONSES[0], RESPONSES[0] + 3000 * ".", RESPONSES[1]]
    paid = [own(PI1, text, grade(text, "12.8"), 0) for text in texts]
    assert paid == [pytest.approx(1 - len(texts[0]) / 4000), 0.5, 0]
    for name in REWARDS:
        assert f"| `{name}` |" in text
