"""nbval fails when a number that a run produced is another one."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "notebooks"


@pytest.fixture(scope="module")
def conftest():
    spec = importlib.util.spec_from_file_location("notebooks_conftest", FOLDER / "conftest.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("shown", "same"),
    [
        ("gain +72.5 [70.1, 75.0], n 1,000", True),
        ("gain   +73.0 [70.1, 75.0], n 1,000", True),  # a column of another width
        ("gain +13.0 [70.1, 75.0], n 1,000", False),
        ("gain +73.0 [70.1, 75.0], n 100", False),
        ("loss +73.0 [70.1, 75.0], n 1,000", False),
        ("gain +73.0 [70.1, 75.0]", False),
        ("gain -73.0 [70.1, 75.0], n 1,000", False),
    ],
)
def test_numbers_may_differ_by_the_tolerance_and_words_by_nothing(conftest, shown, same):
    reference = "gain +73.0 [70.1, 75.0], n 1,000"
    assert (conftest.aligned(shown, reference, 1.0) == reference) is same


MUTATIONS = {
    "after 1-shot RLVR": ("95.", "85."),  # what the trained model reaches
    "after minus base model": ("  74", "  14"),  # its gain
    "Prealgebra": ("9", "8"),  # a category
    "step   30": ("9", "8"),  # a checkpoint
    "base model     world": ("21.2", "31.2"),  # where it began
}


def mutated(notebook: dict) -> int:
    """Change one number for each mutation, in the first printed line that has it; how many did."""
    done = 0
    for mark, (old, new) in MUTATIONS.items():
        for cell in notebook["cells"]:
            lines = cell["outputs"][0].get("text", []) if cell.get("outputs") else []
            at = next((i for i, line in enumerate(lines) if mark in line and old in line), None)
            if "nbval_tolerance" in cell["metadata"] and at is not None:
                head, _, tail = lines[at].partition(mark)
                lines[at] = head + mark + tail.replace(old, new, 1) if old in tail else lines[at]
                done += old in tail
                break
    return done


def compared(path: Path) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "pytest", "--nbval", "-q", "-p", "no:cacheprovider", str(path)]
    return subprocess.run(command, cwd=FOLDER, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("seed", [0, 1])
def test_an_edited_number_and_another_seed_are_seen(seed):
    """Beside the notebook itself, so that its conftest is used and finished runs are shared."""
    notebook = json.loads((FOLDER / "train.ipynb").read_text("utf-8"))
    if seed == 0:
        assert mutated(notebook) == len(MUTATIONS)
    else:
        (cell,) = (c for c in notebook["cells"] if "parameters" in c["metadata"].get("tags", []))
        source = "".join(cell["source"]).replace("seed: int = 0", "seed: int = 1")
        cell["source"] = source.splitlines(keepends=True)
    copy = FOLDER / f".mutated-{seed}.ipynb"
    copy.write_text(json.dumps(notebook), "utf-8")
    try:
        done = compared(copy)
    finally:
        copy.unlink()
    assert done.returncode == 1, done.stdout[-3000:]
    assert "mismatch" in done.stdout
    if seed == 0:
        assert "4 failed" in done.stdout or "5 failed" in done.stdout, done.stdout[-500:]
