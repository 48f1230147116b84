"""What every committed notebook must be, so that papermill, nbval and a reader can use it."""

import ast
import io
import re
import tokenize
from pathlib import Path

import nbformat
import papermill
import pytest
from papermill.exceptions import PapermillExecutionError

from onerl.recipe import Recipe, RecipeError

FOLDER = Path(__file__).parents[1] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
EXPERIMENTS = [path for path in NOTEBOOKS if path.stem != "index"]
TRAINING = [path for path in EXPERIMENTS if "Recipe.from_notebook(" in path.read_text("utf-8")]
each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
each_experiment = pytest.mark.parametrize("path", EXPERIMENTS, ids=lambda path: path.stem)


def read(path: Path) -> nbformat.NotebookNode:
    return nbformat.read(path, as_version=4)


def code_cells(path: Path) -> list[nbformat.NotebookNode]:
    return [cell for cell in read(path).cells if cell.cell_type == "code"]


def tagged(path: Path, tag: str) -> list[nbformat.NotebookNode]:
    return [cell for cell in code_cells(path) if tag in cell.metadata.get("tags", [])]


def test_there_are_notebooks():
    assert {"train", "ablation", "index"} <= {path.stem for path in NOTEBOOKS}


@each_notebook
def test_is_valid_small_and_has_the_kernel_everybody_has(path):
    notebook = read(path)
    nbformat.validate(notebook)
    assert notebook.metadata.kernelspec.name == "python3"
    assert path.stat().st_size < 200_000


@each_notebook
def test_every_code_cell_has_run_once_in_order(path):
    """nbval compares nothing in a cell without an execution count, and passes."""
    counts = [cell.execution_count for cell in code_cells(path)]
    assert counts == list(range(1, len(counts) + 1))


@each_notebook
def test_no_output_is_an_error_or_names_a_place_on_somebodys_machine(path):
    for cell in code_cells(path):
        for output in cell.outputs:
            assert output.output_type != "error"
            text = output.get("text", "") + str(output.get("data", {}).get("text/plain", ""))
            assert not re.search(r"(?<![\w.])/(?:home|root|tmp|usr|opt|work|Users|mnt)/", text)


@each_notebook
def test_some_cell_is_compared_and_figures_are_not(path):
    compared = [
        c for c in code_cells(path) if "nbval-ignore-output" not in c.metadata.get("tags", [])
    ]
    assert any(cell.outputs for cell in compared)
    kinds = {kind for cell in compared for out in cell.outputs for kind in out.get("data", {})}
    assert "image/png" not in kinds


@each_notebook
def test_carries_nothing_of_papermill(path):
    notebook = read(path)
    assert "papermill" not in notebook.metadata
    assert not tagged(path, "injected-parameters")
    assert not any("papermill" in cell.metadata for cell in notebook.cells)


@each_notebook
def test_cells_are_short_and_end_without_a_semicolon(path):
    for cell in code_cells(path):
        assert len(cell.source.splitlines()) <= 25, cell.source
        assert not cell.source.rstrip().endswith(";")


@each_experiment
def test_parameters_are_commented_annotated_literals(path):
    (cell,) = tagged(path, "parameters")
    names = []
    for statement in ast.parse(cell.source).body:
        assert isinstance(statement, ast.AnnAssign), ast.unparse(statement)
        ast.literal_eval(statement.value)
        names.append(statement.target.id)
    assert {"preset", "out", "overrides"} <= set(names)
    assert {"seed", "seeds"} & set(names)
    tokens = tokenize.generate_tokens(io.StringIO(cell.source).readline)
    commented = {token.start[0] for token in tokens if token.type == tokenize.COMMENT}
    assert len(commented) == len(names)


@pytest.mark.parametrize("path", TRAINING, ids=lambda path: path.stem)
def test_no_name_hides_a_parameter_that_papermill_may_inject(path):
    """`-p examples world:bags:1` sets a global; an import of that name would replace it."""
    cells = code_cells(path)
    (reads,) = [i for i, cell in enumerate(cells) if "Recipe.from_notebook(" in cell.source]
    bound = set()
    for cell in cells[1 : reads + 1]:
        for node in ast.walk(ast.parse(cell.source)):
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                bound |= {alias.asname or alias.name for alias in node.names}
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                bound.add(node.id)
    assert bound
    assert not bound & set(Recipe.model_fields)


@each_experiment
def test_papermill_lists_every_parameter_with_its_help(path):
    (cell,) = tagged(path, "parameters")
    listed = papermill.inspect_notebook(path)
    assert set(listed) == {statement.target.id for statement in ast.parse(cell.source).body}
    assert all(parameter["help"] for parameter in listed.values())


@each_experiment
def test_says_that_the_world_is_of_our_making(path):
    text = " ".join(cell.source for cell in read(path).cells if cell.cell_type == "markdown")
    words = " ".join(text.split())
    assert "mixture of ways of writing is ours" in words
    assert "not that Qwen works like this" in words


def test_the_index_leads_to_every_notebook():
    text = " ".join(cell.source for cell in read(FOLDER / "index.ipynb").cells)
    for path in EXPERIMENTS:
        assert f"({path.name})" in text


def run_beginning(path: Path, **parameters) -> dict:
    """The parameters cell, the given parameters, and the next cell, in a plain namespace."""
    cells = code_cells(path)
    (cell,) = tagged(path, "parameters")
    namespace = {}
    exec(cell.source, namespace)
    namespace.update(parameters)
    exec(cells[cells.index(cell) + 1].source, namespace)
    return namespace


@pytest.mark.parametrize(
    ("name", "parameters", "named"),
    [
        ("ablation", {"row": 14}, "rows 1 to 13"),
        ("ablation", {"row": "five"}, "row"),
        ("train", {"stepz": 20}, "steps"),
        ("train", {"preset": "tyny"}, "tiny"),
        ("train", {"steps": -1}, "steps"),
        ("train", {"overrides": {"learning_rat": 1}}, "learning_rate"),
        ("ablation", {"row": "al"}, "rows 1 to 13"),
        ("label_corruption", {"arms": ["rihgt"]}, "nearest: 'right'"),
        ("label_corruption", {"seeds": [-1]}, "seed = -1"),
        ("label_corruption", {"seed": 1}, "give seeds"),
        ("evaluate", {"choice": "best"}, "last, held-out, paper"),
        ("evaluate", {"benchmark": "world"}, "nearest: 'benchmarks'"),
        ("report", {"only": "table5"}, "table5_ablation"),
        ("contamination", {"shar": 0.5}, "nearest: 'share'"),
        *(("train", {"curve_points": n}, "curve_points = .*at least 2") for n in (0, 1, -3, "abc")),
        ("train", {"curve_points": 10**9}, "curve_points = .*at most 1,000"),
        ("train", {"processes": 0}, "processes = 0: .*at least 1"),
        ("train", {"opening": ""}, "opening = '': must be text or null"),
        ("evaluate", {"checkpoints": 0}, "checkpoints = 0: .*at least 2"),
        ("evaluate", {"samples": 0}, "samples = 0: .*at least 1"),
        ("evaluate", {"limit": -1}, "limit = -1: .*at least 1"),
        ("evaluate", {"backend": "vlm"}, "backend = 'vlm': .*auto, torch, vllm"),
        ("evaluate", {"benchmarks": ["world", "world"]}, "benchmarks = .*twice"),
        ("evaluate", {"benchmarks": []}, r"benchmarks = \[\]: .*at least one"),
        ("contamination", {"share": 1.5}, "share = 1.5: .*under 1"),
        ("contamination", {"share": float("nan")}, "share = nan: "),
        ("contamination", {"leaked": 1001}, "leaked = 1001: .*at most 1,000"),
        ("contamination", {"limit": "all"}, "limit = 'all': .*whole number"),
        ("ablation", {"full": "maybe"}, "full = 'maybe': .*true or false"),
        ("ablation", {"jobs": 0}, "jobs = 0: .*at least 1"),
        ("base_model", {"full": "maybe"}, "full = 'maybe': .*true or false"),
        ("controls", {"solution": ""}, "solution = '': must be text or null"),
        ("transfer", {"seeds": []}, r"seeds = \[\]: .*at least one"),
        ("transfer", {"arms": []}, r"arms = \[\]: .*at least one"),
        ("transfer", {"jobs": -1}, "jobs = -1: .*at least 1"),
        ("your_own", {"answer": float("nan")}, "answer = nan: "),
        ("your_own", {"problem": ""}, "problem = '': must be text"),
        ("your_own", {"samples": 0}, "samples = 0: .*at least 1"),
        ("grader_audit", {"answers": []}, r"answers = \[\]: .*at least one"),
        ("grader_audit", {"answers": ["a"], "names": ["x", "y"]}, "names = .*1 answers"),
        ("report", {"only": []}, r"only = \[\]: .*at least one"),
        ("report", {"runs": ""}, "runs = '': must be text or null"),
    ],
)
def test_a_wrong_parameter_stops_before_any_work(name, parameters, named):
    with pytest.raises(RecipeError, match=named):
        run_beginning(FOLDER / f"{name}.ipynb", **parameters)


@pytest.mark.parametrize("name", ["train", "ablation", "your_own", "grader_audit"])
def test_benchmarks_that_cannot_be_had_stop_before_any_work(name, monkeypatch, tmp_path):
    monkeypatch.setenv("ONERL_DATA", str(tmp_path))
    wanted = {"overrides": {"benchmarks": ["world", "math500", "olympiadbench"]}}
    with pytest.raises(FileNotFoundError, match=r"math500: (.|\n)*olympiadbench"):
        run_beginning(FOLDER / f"{name}.ipynb", **wanted)


@pytest.mark.parametrize("path", TRAINING, ids=lambda path: path.stem)
def test_every_own_parameter_has_a_type(path):
    """A mapping of types, not names alone, for each parameter that no recipe has."""
    (cell,) = tagged(path, "parameters")
    names = {statement.target.id for statement in ast.parse(cell.source).body}
    kinds = {}

    def noted(cls, namespace, own=()):
        kinds.update(own)
        raise RecipeError("seen")

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Recipe, "from_notebook", classmethod(noted))
        with pytest.raises(RecipeError, match="seen"):
            run_beginning(path)
    assert names - {"preset", "out", "overrides", *Recipe.model_fields} <= set(kinds)


def test_a_value_that_papermill_passed_as_text_gets_its_type():
    namespace = run_beginning(FOLDER / "train.ipynb", curve_points="3", processes=1.0)
    assert (namespace["curve_points"], namespace["processes"]) == (3, 1)


def test_another_example_takes_any_row_that_needs_no_label_of_its_own():
    """The grid of row "all" has rows 11 to 13, for which only pi1 has wrong labels."""
    path = FOLDER / "ablation.ipynb"
    run_beginning(path, row=5, overrides={"examples": "world:bags:1"})
    with pytest.raises(RecipeError, match="row = 12"):
        run_beginning(path, row="all", overrides={"examples": "world:bags:1"})


def test_a_mistyped_parameter_stops_papermill_at_once(tmp_path):
    out = tmp_path / "out.ipynb"
    with pytest.raises(PapermillExecutionError, match="row"):
        papermill.execute_notebook(
            FOLDER / "ablation.ipynb", out, parameters={"rwo": 5}, progress_bar=False
        )
    assert "unknown parameter rwo" in out.read_text()
