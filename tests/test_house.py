"""The house keeps its plan: layers, budgets, and the identity of every recorded run."""

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from onerl.recipe import Recipe, presets

ROOT = Path(__file__).parents[1]
FILES = sorted((ROOT / "onerl").rglob("*.py"))
HASHES = ROOT / "tests" / "recipe_hashes.json"


def functions() -> Iterator[tuple[str, ast.FunctionDef]]:
    for file in FILES:
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield f"{file.relative_to(ROOT)}:{node.lineno} {node.name}", node


def parameters(function: ast.FunctionDef) -> int:
    given = function.args
    names = [a.arg for a in (*given.posonlyargs, *given.args, *given.kwonlyargs)]
    return len([name for name in names if name not in ("self", "cls")])


def test_no_file_has_over_400_lines():
    lengths = {str(file.relative_to(ROOT)): len(file.read_text().splitlines()) for file in FILES}
    assert {name: n for name, n in lengths.items() if n > 400} == {}


def test_no_function_has_over_60_lines():
    long = {name: f.end_lineno - f.lineno + 1 for name, f in functions()}
    assert {name: n for name, n in long.items() if n > 60} == {}


def test_no_function_has_over_8_parameters():
    many = {name: parameters(f) for name, f in functions()}
    assert {name: n for name, n in many.items() if n > 8} == {}


def lint_imports(folder: Path) -> subprocess.CompletedProcess:
    command = [Path(sys.executable).with_name("lint-imports"), "--no-cache"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@pytest.fixture
def house(tmp_path):
    """A copy of the package's imports, to be broken."""
    for file in FILES:
        copy = tmp_path / file.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(file.read_text("utf-8"), "utf-8")
    (tmp_path / "pyproject.toml").write_text((ROOT / "pyproject.toml").read_text("utf-8"), "utf-8")
    return tmp_path


def test_every_room_imports_only_what_stands_below_it():
    done = lint_imports(ROOT)
    assert done.returncode == 0, done.stdout


def test_the_guard_refuses_an_import_upwards_and_a_file_that_nobody_placed(house):
    verifier = house / "onerl" / "verifier" / "grade.py"
    kept = verifier.read_text("utf-8")
    verifier.write_text(f"{kept}\nfrom onerl.train import train  # noqa\n", "utf-8")
    done = lint_imports(house)
    assert done.returncode == 1
    assert "onerl.verifier.grade -> onerl.train" in done.stdout
    verifier.write_text(kept, "utf-8")
    assert lint_imports(house).returncode == 0
    (house / "onerl" / "playground.py").write_text('"""Nobody placed it."""\n', "utf-8")
    done = lint_imports(house)
    assert done.returncode == 1
    assert "playground" in done.stdout


def test_recorded_runs_and_presets_keep_their_hashes():
    """Written down once: a run's folder is its recipe's hash, so a changed one is a lost run."""
    written = json.loads(HASHES.read_text())
    assert {name: Recipe.load(name).hash() for name in presets()} == written["presets"]
    for file in sorted((ROOT / "outputs" / "recorded").glob("*/runs.json")):
        runs = {f"{run['arm']}/{run['seed']}": run for run in json.loads(file.read_text())["runs"]}
        hashes = {name: Recipe(**run["recipe"]).hash() for name, run in runs.items()}
        assert hashes == written["recorded"][file.parent.name], file.parent.name
        assert hashes == {name: run["hash"] for name, run in runs.items()}
