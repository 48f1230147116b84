"""The names that notebooks and users rely on, from a fresh interpreter each time."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def fresh(code: str) -> str:
    """What `code` prints in a new interpreter started in the repository's root."""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_importing_onerl_is_light():
    code = (
        "import time, sys; t = time.process_time(); import onerl; s = time.process_time() - t;"
        "print(s < 0.3, sorted({'torch', 'pandas', 'pydantic', 'transformers'} & set(sys.modules)))"
    )
    assert fresh(code) == "True []"


def test_a_recipe_is_made_without_torch():
    code = (
        "import sys, onerl; onerl.Recipe.load('tiny').ablation(11); print('torch' in sys.modules)"
    )
    assert fresh(code) == "False"


ORDERS = [
    "import onerl",
    "import onerl.train",
    "import onerl.train as module",
    "import onerl; onerl.train; import onerl.train",
    "import importlib, onerl; importlib.import_module('onerl.train')",
    "from onerl.train import main; import onerl",
    "from onerl import train; import onerl.train",
    "import onerl.train, onerl.evaluation, onerl.runs",
]


def test_train_is_the_function_in_every_order_of_imports():
    """One interpreter that forgets onerl before each order: importing torch takes seconds."""
    code = f"""
import inspect, sys
for order in {ORDERS!r}:
    for name in [n for n in sys.modules if n.split('.')[0] == 'onerl']:
        del sys.modules[name]
    exec(order, {{}})
    import onerl
    from onerl import train
    print(inspect.isfunction(onerl.train) and train is onerl.train, order)
names = onerl.__all__
print(all(callable(getattr(onerl, n)) for n in names), set(names) <= set(dir(onerl)))
print(hasattr(onerl, 'trian'))
"""
    assert fresh(code).splitlines() == [
        *(f"True {order}" for order in ORDERS),
        "True True",
        "False",
    ]


def test_the_interface_of_the_design_is_importable():
    code = (
        "from onerl.problems import Problem, examples, benchmark;"
        "from onerl.verifier import verify, same_answer, extract_answer, grade_many;"
        "print([p.answer for p in examples('pi1')], verify(r'\\boxed{12.80}', '12.8'))"
    )
    assert fresh(code) == "['12.8'] True"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--params", "tyny"], "nearest: 'tiny'"),
        (["--params", "tiny", "-p", "stepz", "3"], "nearest: 'steps'"),
        (["--params", "tiny", "-p", "steps", "many"], "steps = 'many'"),
    ],
)
def test_a_wrong_command_line_stops_before_any_work_with_one_line(arguments, said, tmp_path):
    begun = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "onerl.train", *arguments, "--out", str(tmp_path / "run")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode != 0
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "run").exists()
    assert time.monotonic() - begun < 60


def test_the_verifier_can_be_imported_without_a_model_library():
    code = "import sys, onerl.verifier; print({'torch', 'transformers', 'trl'} & set(sys.modules))"
    assert fresh(code) == "set()"


def test_the_command_line_explains_itself():
    command = [sys.executable, "-m", "onerl.train", "--help"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "--params" in done.stdout
    assert "-p KEY VALUE" in done.stdout


def test_windows_is_told_in_one_line_what_to_do():
    code = "import sys; sys.platform = 'win32'; import onerl"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.splitlines()[-1].startswith("ImportError: onerl runs on Linux and macOS; on")
