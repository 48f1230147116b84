"""The three descriptions of the environment agree, and the package carries what it needs."""

import re
import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from onerl.parameters import params_folder

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
DIRECT = [Requirement(line) for line in PROJECT["dependencies"]]
DEV = [Requirement(line) for line in PROJECT["optional-dependencies"]["dev"]]
MAKEFILE = (ROOT / "Makefile").read_text()


def pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pairs = [line.split("==") for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(name): pin for name, pin in pairs}


def conda() -> dict:
    return yaml.safe_load((ROOT / "environment.yml").read_text())


def conda_pip_lines() -> list[str]:
    (block,) = (entry for entry in conda()["dependencies"] if isinstance(entry, dict))
    return block["pip"]


def test_every_dependency_is_pinned_inside_its_range():
    for requirement in DIRECT + DEV:
        pin = pins()[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(pin), requirement


def test_the_pins_that_the_project_stands_on():
    wanted = {"torch": "2.13.0", "trl": "1.16.0", "transformers": "5.23.0"}
    assert {name: pins()[name] for name in wanted} == wanted
    assert pins()["antlr4-python3-runtime"].startswith("4.13.2")


def test_conda_installs_the_same_pins():
    required = [Requirement(line) for line in conda_pip_lines() if not line.startswith("-")]
    names = {canonicalize_name(r.name) for r in required}
    assert names == {canonicalize_name(r.name) for r in DIRECT + DEV}
    for requirement in required:
        assert str(requirement.specifier) == f"=={pins()[canonicalize_name(requirement.name)]}"
    extras = {canonicalize_name(r.name): r.extras for r in required}
    assert all(extras[canonicalize_name(r.name)] == r.extras for r in DIRECT + DEV)


def test_conda_installs_the_rest_from_the_constraints_and_onerl_itself():
    assert "-c constraints.txt" in conda_pip_lines()
    assert any(line.startswith("-e .") for line in conda_pip_lines())
    (python,) = (entry for entry in conda()["dependencies"] if str(entry).startswith("python="))
    assert PROJECT["requires-python"] == f">={python.removeprefix('python=')}"


def test_what_runs_here_is_what_is_pinned():
    """Only where the environment was made by `make setup`, as in `make test`."""
    if version("torch").split("+")[0] != pins()["torch"]:
        pytest.skip("another environment than the pinned one")
    for requirement in DIRECT + DEV:
        found = version(requirement.name).split("+")[0]
        assert found == pins()[canonicalize_name(requirement.name)], requirement.name


def test_the_extras_of_the_design_are_there():
    assert {"vllm", "vllm-cpu", "8bit", "slurm", "gguf", "dev"} <= set(
        PROJECT["optional-dependencies"]
    )


def test_the_licence_is_the_full_text():
    text = (ROOT / "LICENSE").read_text()
    assert "Apache License" in text
    assert "END OF TERMS AND CONDITIONS" in text
    assert PROJECT["license"] == "Apache-2.0"


def test_make_does_nothing_when_the_environment_is_current(tmp_path):
    stamp = tmp_path / "venv" / ".current"
    stamp.parent.mkdir()
    stamp.touch()
    command = ["make", "setup", f"VENV={stamp.parent}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "Nothing to be done" in done.stdout or not done.stdout.strip()
    assert list(stamp.parent.iterdir()) == [stamp]


@pytest.mark.parametrize("changed", ["pyproject.toml", "constraints.txt"])
def test_make_builds_again_when_what_is_pinned_changed(changed, tmp_path):
    stamp = tmp_path / ".current"
    stamp.touch()
    command = ["make", "-n", "setup", f"VENV={tmp_path}", "-W", changed]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert "pip install" in done.stdout


def test_torchs_cpu_build_is_one_variable():
    command = ["make", "-n", "setup", "VENV=nowhere"]
    plain, cpu = (
        subprocess.run(c, cwd=ROOT, capture_output=True, text=True, timeout=60).stdout
        for c in (command, [*command, "TORCH=cpu"])
    )
    assert "download.pytorch.org/whl/cpu" in cpu
    assert "download.pytorch.org" not in plain


def test_every_command_of_the_readme_exists():
    readme = (ROOT / "README.md").read_text()
    for target in set(re.findall(r"\bmake (\w+)", readme)) - {"it"}:
        assert re.search(rf"^{target}:", MAKEFILE, flags=re.MULTILINE), target
    for notebook in set(re.findall(r"notebooks/(\w+)\.ipynb", readme)):
        assert (ROOT / "notebooks" / f"{notebook}.ipynb").exists(), notebook
    for path in re.findall(r"\]\(((?!http)[^)]+)\)", readme):
        file, _, anchor = path.partition("#")
        page = (ROOT / file) if file else ROOT / "README.md"
        assert page.exists(), path
        heads = re.findall(r"^#+ (.+)$", page.read_text(), flags=re.MULTILINE) if anchor else []
        assert not anchor or anchor in {h.lower().replace(" ", "-") for h in heads}, path


def test_no_registry_but_torchs_public_one_is_named():
    for file in ("Makefile", "constraints.txt", "environment.yml", "pyproject.toml", ".ci/run"):
        hosts = re.findall(r"https?://([^/\s\"']+)", (ROOT / file).read_text())
        assert set(hosts) <= {"download.pytorch.org"}, file


def test_a_wheel_carries_the_presets_and_the_base_model():
    configuration = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]
    assert configuration["targets"]["wheel"]["force-include"] == {"params": "onerl/params"}
    assert configuration["targets"]["wheel"]["packages"] == ["onerl"]
    assert (params_folder() / "tiny.yaml").exists()
    tracked = subprocess.run(
        ["git", "check-ignore", "onerl/world/model/model.safetensors"], cwd=ROOT, check=False
    )
    assert tracked.returncode != 0  # hatchling leaves out what git ignores


def test_the_tests_run_on_a_python_that_is_allowed():
    assert sys.version_info >= (3, 11)
    assert PROJECT["requires-python"] == ">=3.11"
