"""Benchmarks by name: their fields read right, their bad rows named, nothing silently dropped."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from fractions import Fraction
from hashlib import sha256
from pathlib import Path

import pytest

from onerl import paper
from onerl.problems import Problem, benchmark, benchmarks, clean_arithmetic, examples, released
from onerl.problems.benchmarks import PAPER_SETS, SELECTION_SETS
from onerl.problems.prompts import SUFFIX
from onerl.verifier import bad_golds, verify
from onerl.world import EMBEDDED, templates

needs_data = pytest.mark.skipif(
    not os.environ.get("ONERL_DATA"), reason="ONERL_DATA does not name the released data"
)


def test_math500_also_comes_from_the_hub_or_says_how_to_do_without(monkeypatch):
    import datasets

    row = {"problem": "1+1?", "solution": "", "answer": "2", "subject": "Algebra", "level": 1}
    monkeypatch.delenv("ONERL_DATA", raising=False)
    monkeypatch.setattr(datasets, "load_dataset", lambda name, configuration, split: [row])
    assert benchmark("math500") == [Problem("math500/0", "1+1?", "2", "Algebra", "math500", 1)]

    def unreachable(*_, **__):
        raise ConnectionError("no network")

    monkeypatch.setattr(datasets, "load_dataset", unreachable)
    with pytest.raises(FileNotFoundError, match=r"^benchmark math500: .*ConnectionError.*DATA"):
        benchmark("math500")


@pytest.mark.parametrize(
    ("name", "rows", "asked", "answer"),
    [
        ("aime24", 30, ("HuggingFaceH4/aime_2024", None, "train"), {"problem": "q", "answer": "7"}),
        ("aime25", 30, ("math-ai/aime25", None, "test"), {"problem": "q", "answer": "7"}),
        ("amc23", 40, ("math-ai/amc23", None, "test"), {"question": "q", "answer": "7.0"}),
        (
            "minerva_math",
            272,
            ("math-ai/minervamath", None, "test"),
            {"question": "q", "answer": "7"},
        ),
    ],
)
def test_small_sets_come_from_the_hub_as_long_as_they_are_whole(
    monkeypatch, tmp_path, name, rows, asked, answer
):
    import datasets

    seen, count = [], [rows]

    def load(*arguments, split):
        seen.append((*arguments, split))
        return [answer] * count[0]

    monkeypatch.setenv("ONERL_DATA", str(tmp_path))
    monkeypatch.setattr(datasets, "load_dataset", load)
    problems = benchmark(name)
    assert [(p.question, p.answer) for p in problems] == [("q", "7")] * rows
    assert seen == [asked]
    count[0] -= 1
    with pytest.raises(
        ValueError, match=rf"^benchmark {name}: .*{rows - 1} rows.*{rows}.*ONERL_DATA"
    ):
        benchmark(name)


def test_a_folder_that_is_not_there_or_lacks_a_file_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("ONERL_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(FileNotFoundError, match="nowhere"):
        benchmark("math500")
    monkeypatch.setenv("ONERL_DATA", str(tmp_path))
    for name in ("aime24", "math500"):
        with pytest.raises(FileNotFoundError, match=rf"lacks .*eval.{name}.test\.jsonl"):
            benchmark(name)


def write_benchmark(folder: Path, name: str, lines: list[str]) -> None:
    file = folder / "eval" / name / "test.jsonl"
    file.parent.mkdir(parents=True)
    file.write_text("\n".join(lines) + "\n")


def test_bad_rows_of_a_benchmark_are_counted_and_named_not_dropped(monkeypatch, tmp_path):
    rows = [{"problem": "a", "answer": "1"}, {"problem": "b"}, {"problem": "", "answer": "2"}]
    write_benchmark(tmp_path, "aime25", [json.dumps(row) for row in rows])
    monkeypatch.setenv("ONERL_DATA", str(tmp_path))
    with pytest.raises(ValueError, match=r"aime25: 2 bad rows: row 1 .*answer.*row 2 .*question"):
        benchmark("aime25")


@pytest.mark.parametrize("key", ["id", "unique_id", "idx"])
def test_a_row_whose_id_is_another_rows_is_named(monkeypatch, tmp_path, key):
    rows = [{"problem": str(i), "answer": "1", key: name} for i, name in enumerate("abca")]
    write_benchmark(tmp_path, "aime25", [json.dumps(row) for row in rows])
    monkeypatch.setenv("ONERL_DATA", str(tmp_path))
    with pytest.raises(ValueError, match=r"1 bad rows: row 3 \(the id 'a' of row 0\)"):
        benchmark("aime25")


@pytest.mark.parametrize("line", ["5", "[]", "null", '"text"', '{"problem": 1, "answer": "2"}'])
def test_a_row_that_is_no_problem_is_named(monkeypatch, tmp_path, line):
    write_benchmark(tmp_path, "aime25", ['{"problem": "a", "answer": "1"}', line])
    monkeypatch.setenv("ONERL_DATA", str(tmp_path))
    with pytest.raises(ValueError, match="aime25: 1 bad rows: row 1"):
        benchmark("aime25")


def test_a_torn_line_of_a_benchmark_is_named(monkeypatch, tmp_path):
    write_benchmark(tmp_path, "aime25", ['{"problem": "a", "answer": "1"}', '{"problem": "b'])
    monkeypatch.setenv("ONERL_DATA", str(tmp_path))
    with pytest.raises(ValueError, match="row 1 is not JSON"):
        benchmark("aime25")


@needs_data
@pytest.mark.parametrize("name", [*PAPER_SETS, "olympiadbench:all"])
def test_a_released_set_that_was_cut_or_changed_is_refused(monkeypatch, tmp_path, name):
    base = name.partition(":")[0]
    lines = (Path(os.environ["ONERL_DATA"]) / "eval" / base / "test.jsonl").read_text().splitlines()
    file, most = tmp_path / "eval" / base / "test.jsonl", len(lines)
    file.parent.mkdir(parents=True)
    monkeypatch.setenv("ONERL_DATA", str(tmp_path))
    for kept in (lines[:5], lines[5:], lines[:-1], lines[::2]):
        file.write_text("\n".join(kept) + "\n")
        with pytest.raises(ValueError, match=rf"{base}.* has {len(kept)} rows.* {most} rows"):
            benchmark(name)
    file.write_text("\n".join(lines[1:] + lines[:1]) + "\n")
    with pytest.raises(ValueError, match=rf"has other content, the released file has {most} rows"):
        benchmark(name)
    file.write_text("\n".join(lines) + "\n")
    assert len(benchmark(name)) == most


def test_a_benchmark_that_does_not_exist_names_the_nearest():
    with pytest.raises(ValueError, match="nearest: 'math500'"):
        benchmark("math50")


@needs_data
def test_benchmarks_have_the_papers_sizes_and_no_broken_text():
    sizes = paper.table("benchmarks").set_index("benchmark")["n_questions"]
    for name in PAPER_SETS:
        found = benchmark(name)
        assert len({p.id for p in found}) == len(found) == sizes[name]
        assert all(SUFFIX not in p.question for p in found)


@needs_data
def test_every_gold_answer_of_the_benchmarks_is_an_answer_to_itself():
    golds = [p for name in PAPER_SETS for p in benchmark(name)]
    assert len(golds) == 1547
    refused = [p for p in golds if not verify(f"\\boxed{{{p.answer}}}", p.answer)]
    assert refused == []


def raw(name: str) -> list[dict]:
    file = Path(os.environ["ONERL_DATA"], "eval", name, "test.jsonl")
    return [json.loads(line) for line in file.read_text().splitlines()]


@needs_data
def test_amcs_floats_are_whole_numbers():
    for problem, row in zip(benchmark("amc23"), raw("amc23"), strict=True):
        assert problem.answer.lstrip("-").isdigit()
        assert float(problem.answer) == row["answer"]


@needs_data
def test_minervas_answer_is_the_last_box_of_its_solution():
    for problem, row in zip(benchmark("minerva_math"), raw("minerva_math"), strict=True):
        assert problem.answer in row["solution"].rpartition("\\boxed")[2]
        assert problem.category == row["type"]


@needs_data
def test_olympiadbench_is_graded_by_the_first_answer_without_its_dollars():
    for problem, row in zip(benchmark("olympiadbench"), raw("olympiadbench"), strict=True):
        assert problem.answer == row["final_answer"][0].replace("$", "")
        assert problem.category == row["subfield"]


@needs_data
def test_math500_has_its_subjects_as_categories():
    counts = {
        **{"Algebra": 124, "Intermediate Algebra": 97, "Prealgebra": 82, "Number Theory": 62},
        **{"Precalculus": 56, "Geometry": 41, "Counting & Probability": 38},
    }
    found = benchmark("math500")
    assert Counter(problem.category for problem in found) == counts
    levels = [row["level"] for row in raw("math500")]
    assert [problem.level for problem in found] == levels
    assert set(levels) == {1, 2, 3, 4, 5}


def test_olympiadbench_all_wants_every_entry_and_the_default_the_first(monkeypatch, tmp_path):
    monkeypatch.delitem(benchmarks.RELEASED, "olympiadbench")
    row = {"question": "Which?", "final_answer": ["$69$", "$84$"], "subfield": "Algebra"}
    write_benchmark(tmp_path, "olympiadbench", [json.dumps(row)])
    monkeypatch.setenv("ONERL_DATA", str(tmp_path))
    (first,), (every,) = benchmark("olympiadbench"), benchmark("olympiadbench:all")
    assert (first.answer, every.answer) == ("69", "69, 84")
    for response, by_first, by_all in (("69", True, False), ("84, 69", False, True)):
        assert verify(f"\\boxed{{{response}}}", first.answer) is by_first
        assert verify(f"\\boxed{{{response}}}", every.answer) is by_all


@needs_data
def test_the_released_olympiadbench_has_all_94_answer_lists_in_their_first_entry():
    rows = raw("olympiadbench")
    assert sum(row["is_multiple_answer"] for row in rows) == 94
    assert {len(row["final_answer"]) for row in rows} == {1}
    pairs = zip(benchmark("olympiadbench"), benchmark("olympiadbench:all"), strict=True)
    assert all(first.answer == every.answer for first, every in pairs)


ARC_ROWS = [
    {
        "id": "Mercury_1",
        "question": "Which is a {question}?",
        "choices": {"text": ["a stone", "a bird", "a cloud"], "label": ["A", "B", "C"]},
        "answerKey": "B",
    },
    {
        "id": "NYSEDREGENTS_2",
        "question": "How many?",
        "choices": {"text": ["one", "two", "three", "four"], "label": ["1", "2", "3", "4"]},
        "answerKey": "4",
    },
]


@pytest.mark.parametrize("name", ["arc_easy", "arc_challenge"])
def test_arc_asks_lettered_choices_and_grades_the_letter(monkeypatch, tmp_path, name):
    write_benchmark(tmp_path, name, [json.dumps(row) for row in ARC_ROWS])
    monkeypatch.setenv("ONERL_DATA", str(tmp_path))
    bird, four = benchmark(name)
    assert bird.question.startswith(
        "Which is a {question}?\n(A) a stone\n(B) a bird\n(C) a cloud\n"
    )
    assert "letter" in bird.question.splitlines()[-1]
    assert (bird.answer, four.answer) == ("B", "D")
    for said, right in (("B", True), ("(B)", True), ("\\text{B}", True), ("A", False)):
        assert verify(f"\\boxed{{{said}}}", bird.answer) is right


def test_arc_comes_from_the_hub_where_the_folder_lacks_it(monkeypatch, tmp_path):
    import datasets

    asked = []
    monkeypatch.setenv("ONERL_DATA", str(tmp_path))
    monkeypatch.setattr(
        datasets, "load_dataset", lambda *a, split: asked.append((*a, split)) or ARC_ROWS
    )
    assert [p.answer for p in benchmark("arc_challenge")] == ["B", "D"]
    assert asked == [("allenai/ai2_arc", "ARC-Challenge", "test")]


def test_arc_with_a_key_that_is_no_choice_is_a_bad_row(monkeypatch, tmp_path):
    rows = [ARC_ROWS[0] | {"answerKey": "E"}, ARC_ROWS[1]]
    write_benchmark(tmp_path, "arc_easy", [json.dumps(row) for row in rows])
    monkeypatch.setenv("ONERL_DATA", str(tmp_path))
    with pytest.raises(ValueError, match="1 bad rows: row 0"):
        benchmark("arc_easy")


def plain_value(question: str) -> Fraction:
    """The value of a clean-arithmetic expression by Python's own arithmetic."""
    text = question.rpartition(": ")[2].strip("$")
    text = re.sub(r"\\frac\{(\d+)\}\{(\d+)\}", r"(\1/\2)", text)
    text = text.replace(r"\times", "*").replace(r"\div", "/").replace("^", "**")
    return eval(re.sub(r"(?<!\*)\b(\d+)\b", r"Fraction(\1)", text), {"Fraction": Fraction})


@pytest.mark.parametrize("seed", [0, 7])
def test_clean_arithmetic_answers_are_the_exact_values_in_lowest_terms(seed):
    for problem in clean_arithmetic.generate(seed):
        value = plain_value(problem.question)
        same = re.fullmatch(r"(-?)\\frac\{(\d+)\}\{(\d+)\}|(-?\d+)", problem.answer)
        assert Fraction(problem.answer if same[4] else f"{same[1]}{same[2]}/{same[3]}") == value
        assert same[4] is not None or int(same[3]) == value.denominator > 1
        assert abs(value.numerator) <= 10**6


def test_clean_arithmetic_level_is_the_number_of_operations_and_each_has_twenty():
    found = clean_arithmetic.generate()
    assert Counter(p.level for p in found) == dict.fromkeys(range(1, 21), 20)
    for problem in found:
        operations = re.findall(r" (?:\+|-|\\times|\\div) ", problem.question)
        assert len(operations) == problem.level
    assert len({p.question for p in found}) == len({p.id for p in found}) == 400
    assert bad_golds((p.id, p.answer) for p in found) == []


def test_clean_arithmetic_is_versioned_by_its_seed():
    """The sum is of version 0: a change of the generator is a change of the benchmark."""
    text = "\n".join(f"{p.id} {p.question} {p.answer}" for p in benchmark("clean-arithmetic"))
    assert sha256(text.encode()).hexdigest()[:16] == "a9f51913c74452c4"
    assert benchmark("clean-arithmetic") == benchmark("clean-arithmetic:0")
    first, other = benchmark("clean-arithmetic"), benchmark("clean-arithmetic:7")
    long = [{p.question for p in found if p.level >= 5} for found in (first, other)]
    assert not long[0] & long[1]


def test_world_selection_shares_nothing_with_the_test_set_or_the_corpus():
    chosen = benchmark("world-selection")
    pool = {p.id for p in EMBEDDED.pool()}
    assert len({p.id for p in chosen}) == len(chosen) == 200
    assert {p.id for p in chosen} <= pool
    assert not {p.question for p in chosen} & {p.question for p in benchmark("world")}
    counted = Counter(p.id.split("/")[2] for p in chosen)
    assert len(counted) == len(templates.TEMPLATES)
    assert set(counted.values()) == {14, 15}


def test_world_selection_leaves_the_front_of_the_pool_to_training():
    numbers = {int(p.id.split("/")[3]) for p in benchmark("world-selection")}
    assert min(numbers) == 22
    assert examples("world:pi1")[0] not in benchmark("world-selection")


@needs_data
def test_dsr_selection_has_no_problem_of_the_test_sets_and_no_broken_label():
    def grams(question: str) -> set[tuple[str, ...]]:
        words = re.findall(r"\w+", question.lower())
        return {tuple(words[i : i + 10]) for i in range(len(words) - 9)}

    chosen = benchmark("dsr-selection")
    assert len({p.question for p in chosen}) == len({p.id for p in chosen}) == 200
    assert bad_golds((p.id, p.answer) for p in chosen) == []
    assert not {p.id for p in chosen} & released.BROKEN_SOURCES
    mine = [(p.id, grams(p.question)) for p in chosen]
    for test in (p for name in PAPER_SETS for p in benchmark(name)):
        theirs = grams(test.question)
        twins = [name for name, own in mine if len(own & theirs) > 0.3 * len(theirs or {()})]
        assert twins == [], test.id


def test_every_name_is_known_and_selection_sets_are_not_test_sets():
    assert set(SELECTION_SETS) < set(benchmarks.NAMES)
    assert not set(SELECTION_SETS) & set(PAPER_SETS)


USE = """
import onerl
from onerl.evaluation.protocols import protocol_for
from onerl.problems import benchmark
recipe = onerl.Recipe.load("tiny", benchmarks="own_set")
print(recipe.benchmarks, benchmark("own_set")[0].question, protocol_for("own_set")[0])
for use in (lambda: onerl.Recipe.load("tiny", benchmarks="own_st"), lambda: benchmark("own_st")):
    try:
        use()
    except ValueError as error:
        print(error)
"""


def test_another_benchmark_is_added_in_one_file(tmp_path):
    root = Path(benchmarks.__file__).parents[2]
    for folder in ("onerl", "params"):
        skipped = shutil.ignore_patterns("*.safetensors", "__pycache__")
        shutil.copytree(root / folder, tmp_path / folder, ignore=skipped)
    file = tmp_path / "onerl" / "problems" / "benchmarks.py"
    text = file.read_text("utf-8")
    entry = '    "aime24": _plain,\n'
    assert text.count(entry) == 1
    file.write_text(text.replace(entry, f'{entry}    "own_set": _plain,\n'), "utf-8")
    write_benchmark(tmp_path, "own_set", ['{"problem": "What?", "answer": "1"}'])
    command = [sys.executable, "-c", USE]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "ONERL_DATA": str(tmp_path)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found, *refusals = done.stdout.splitlines()
    assert found == "('own_set',) What? ours"
    assert [line.split("own_st")[0] for line in refusals] == [
        *("benchmarks[0] = '", "benchmarks = ('", "benchmark '")
    ]
    assert all("aime24, own_set, aime25" in line for line in refusals)
