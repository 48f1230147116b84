"""The paper's tables add up, but for the numbers that carry a footnote."""

import pandas as pd
import pytest
from fake_runs import LIMIT, fake_run

from onerl import paper
from onerl.grids.finished import collect
from onerl.paper import beside
from onerl.recipe import Recipe

SIX = ["math500", "aime24", "amc23", "minerva", "olympiad", "aime25"]
SUBJECTS = {  # problems of MATH500 in each
    "algebra": 124,
    "counting_probability": 38,
    "geometry": 41,
    "intermediate_algebra": 97,
    "number_theory": 62,
    "prealgebra": 82,
    "precalculus": 56,
}
BEST_OF_EACH = ("table9_best_per_benchmark", "table11_best_other_models")
NOT_ANSWERS = ("benchmarks", "table12_r1_distill", "table19_response_length")
with_average = [name for name in paper.tables() if {*SIX, "avg"} <= set(paper.table(name))]


def noted(name: str, column: str, saying: str = "") -> set[int]:
    """Positions of the rows of a table whose number in `column` carries such a footnote."""
    return {
        paper.row(name, **note["where"]).name
        for note in paper.described("footnotes").get(name, ())
        if note["column"] == column and saying in note["text"]
    }


def not_whole(percent: pd.Series, of: int) -> set[int]:
    """Positions of printed percentages that no whole number of `of` answers gives.

    Up to 0.06 off, for numbers that were rounded twice.
    """
    nearest = (percent * of / 100).round() * 100 / of
    return set(percent.index[(percent - nearest).abs() > 0.06])


def test_every_table_of_the_reference_is_there():
    assert len(paper.tables()) == 21
    assert all(len(paper.table(name)) > 2 for name in paper.tables())


def test_there_are_averages_to_check():
    assert len(with_average) == 13


@pytest.mark.parametrize("name", sorted(set(with_average) - set(BEST_OF_EACH)))
def test_a_printed_average_is_the_mean_of_its_row(name):
    table = paper.table(name).dropna(subset=[*SIX, "avg"])
    allowed = 0.5 if name == "table19_response_length" else 0.101
    assert ((table[SIX].mean(axis=1) - table["avg"]).abs() <= allowed).all()


@pytest.mark.parametrize("name", sorted(set(paper.tables()) - set(NOT_ANSWERS)))
def test_an_accuracy_is_a_whole_number_of_answers_but_for_the_footnotes(name):
    table = paper.table(name)
    asked = dict(zip(SIX, (500, 240, 320, 272, 675, 240), strict=True))
    if name == "table20_pass_at_8":
        asked = {"aime24": 30, "aime25": 30, "amc23": 40}
    if "model" in table:  # R1-Distill answered each problem 16 or 64 times
        table = table[~table["model"].str.contains("R1-Distill")]
    for column in set(asked) & set(table):
        odd = not_whole(table[column], asked[column])
        assert odd == noted(name, column, saying="cut, not rounded"), column


def test_the_subjects_of_table_3_give_its_accuracy_but_for_the_footnote():
    table = paper.table("table3_examples")
    implied = sum(table[subject] * n for subject, n in SUBJECTS.items()) / 500
    off = set(table.index[(implied - table["math500"]).abs() > 0.2])
    assert off == noted("table3_examples", "math500")
    (position,) = off
    assert f"{implied[position]:.1f}" == "70.2"


def test_a_subjects_accuracy_is_a_whole_number_of_problems_but_for_the_footnote():
    table = paper.table("table3_examples")
    for subject, n in SUBJECTS.items():
        assert not_whole(table[subject], n) == noted("table3_examples", subject), subject


def test_sizes_are_the_number_of_examples_named():
    named = {"base": 0, "MATH": 7500, "DSR-sub": 1209, "pi1..pi16": 16, "random16": 16}
    for name in paper.tables():
        table = paper.table(name)
        if {"data", "size"} <= set(table):
            known = table[table["data"].isin(named) | table["data"].str.startswith("pi")]
            for row in known.itertuples():
                assert row.size == named.get(row.data, row.data.count("+") + 1), (name, row.data)


@pytest.mark.parametrize("name", sorted(paper.described("footnotes")))
def test_a_footnote_is_about_a_number_that_is_there(name):
    notes = paper.described("footnotes")[name]
    for note, line in zip(notes, paper.footnotes(name), strict=True):
        assert note["column"] in line
        assert str(paper.row(name, **note["where"])[note["column"]]) in line


def test_a_table_without_oddities_has_no_footnotes():
    assert paper.footnotes("table1_arc") == []


def test_a_row_is_found_by_its_values_and_labels_are_text():
    row = paper.row("table5_ablation", row=13)
    assert row["label"] == "929725"
    assert row["math500"] == 64.4
    assert paper.row("table8_main", data="pi1")["avg"] == 35.0


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ({"dato": "pi1"}, "no column 'dato'; nearest: 'data'"),
        ({"data": "pi3"}, "0 rows"),
        ({"size": 1}, "2 rows"),
    ],
)
def test_what_is_not_exactly_one_row_is_an_error(where, said):
    with pytest.raises(ValueError, match=said):
        paper.row("table8_main", **where)


def test_a_table_that_is_not_there_names_the_nearest():
    with pytest.raises(ValueError, match="nearest: 'table5_ablation'"):
        paper.table("table5_ablatio")


def test_ours_and_the_papers_numbers_stand_under_headings_of_their_own(tmp_path):
    recipe = Recipe.load("tiny", steps=2)
    fake_run(tmp_path, recipe, {0: 0.25, 2: 0.75})
    grid = collect({("one", 0): recipe}, tmp_path, limit=LIMIT)
    theirs = pd.DataFrame({"MATH500": {"base model": 36.0, "one": 74.8, "not run": 1.0}})
    heading, columns, *rows = beside.grid_table(grid, theirs).splitlines()
    assert heading.split("|")[0].startswith("embedded world, held-out: accuracy, %")
    assert heading.split("|")[1].strip() == "the paper: Qwen2.5-Math-1.5B"
    assert columns.split()[-2:] == ["|", "MATH500"]
    assert [row.split()[0] for row in rows] == ["base", "one"]
    assert [row.split("|")[1].strip() for row in rows] == ["36.0", "74.8"]
    assert rows[1].split()[:4] == ["one", "1", str(LIMIT), "75.0"]
