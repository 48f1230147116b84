"""Every script of benchmarks/ runs at its smallest size, so that none rots."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SCRIPTS = sorted((ROOT / "benchmarks").glob("*.py"))


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_runs_at_its_smallest_size_and_keeps_nothing(script, tmp_path):
    results = ROOT / "benchmarks" / "results"
    before = {file: file.stat().st_mtime_ns for file in results.iterdir()}
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, str(script), "--small"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    assert done.stdout
    assert {file: file.stat().st_mtime_ns for file in results.iterdir()} == before
