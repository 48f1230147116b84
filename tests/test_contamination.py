"""Completion tests: what counts as completed, and models that have and have not read a set."""

import pytest

from onerl.evaluation.contamination import CORPUS, compare, completion, cut
from onerl.problems import benchmark
from onerl.rollouts import Rollout, backends
from onerl.world import EMBEDDED


class Reader:
    """Completes a problem it has read word for word, and says something else to any other."""

    def __init__(self, tokenizer, read):
        self.tokenizer, self.read = tokenizer, read

    def sample(self, prompts, request):
        assert (request.temperature, set(request.counts)) == (0, {1})
        given = [self.tokenizer.decode(ids).removeprefix("Problem: ") for ids in prompts]
        return [self.answer(i, text)[: request.max_new_tokens] for i, text in enumerate(given)]

    def close(self):
        pass

    def answer(self, index, given):
        known = [text for text in self.read if text.startswith(given)]
        text = known[0][len(given) :] + " And so on." if known else " something else entirely"
        return _Cut(index, self.tokenizer.encode(text, add_special_tokens=False))


class _Cut:
    """A rollout that can be cut to a length."""

    def __init__(self, index, ids):
        self.index, self.ids = index, ids

    def __getitem__(self, part):
        ids = self.ids[part]
        return Rollout(self.index, ids, [0.0] * len(ids), "length")


@pytest.fixture
def having_read(monkeypatch):
    """The embedded model's tokenizer with a reader of certain texts behind it."""
    from transformers import AutoTokenizer

    from onerl.world import FOLDER

    tokenizer = AutoTokenizer.from_pretrained(FOLDER)

    def use(texts):
        monkeypatch.setattr(backends, "sampler_for", lambda *_: Reader(tokenizer, texts))

    return use


def shares(found):
    return found.table.set_index(["benchmark", "metric"])["value"].round(6).to_dict()


def test_read_problems_are_completed_and_others_are_not(having_read):
    """Where two read problems begin alike, even a perfect memory can only guess."""
    problems = benchmark("clean-arithmetic")[80:]
    read = {p.question for p in problems[::2]}
    having_read(sorted(read))
    found = completion("world", ["clean-arithmetic", "world"])
    rows = found.records.assign(text=found.records["given"] + " " + found.records["rest"])
    begun = rows["given"].map(lambda given: sum(text.startswith(given) for text in read))
    known = rows["text"].isin(read) & (begun == 1)
    assert known.sum() > 150
    assert rows[known]["exact"].all()
    assert (rows[known]["rouge_l"] == 1).all()
    assert not rows[begun == 0]["exact"].any()
    assert shares(found)["world", "exact"] == 0
    assert list(found.table["n"]) == [400, 400, 1000, 1000]


def test_every_share_has_an_interval_also_at_the_ends(having_read):
    having_read([p.question for p in benchmark("world")])
    table = completion("world", "world", share=0.95, limit=30).table
    assert list(table.columns) == ["benchmark", "metric", "n", "value", "low", "high"]
    assert table["value"].iloc[0] > 80
    assert table["low"].iloc[0] < table["value"].iloc[0]
    assert (table["value"] <= table["high"]).all()


@pytest.mark.parametrize("share", [0.2, 0.6, 0.9])
def test_a_cut_is_after_that_share_of_the_words_and_loses_nothing(share):
    for text in (p.question for p in benchmark("clean-arithmetic")[::40]):
        parts = cut(text, share)
        assert f"{parts['given']} {parts['rest']}" == text
        words = len(text.split(" "))
        assert abs(len(parts["given"].split(" ")) - share * words) <= 1


@pytest.mark.parametrize(
    ("rest", "completed", "exact", "rouge"),
    [
        ("x: 7x+6=27.", " x: 7x+6=27.\nSolution: Here", 1, 1.0),
        ("x: 7x+6=27.", " x: 7x+6=27.Solution", 1, 0.5),  # no white space behind the end
        ("x: 7x+6=27.", " x: 5x+5=35.\nSolution: Here", 0, 0.5),
        ("green cards. Find it.", " green  cards.\nFind it.", 1, 1.0),
        ("green cards. Find it.", " green cards. Find", 0, 6 / 7),
        ("green cards", " nothing at all", 0, 0.0),
        ("green cards", "", 0, 0.0),
        ("a b", " ab", 0, 0.0),
    ],
)
def test_completions_are_compared_word_by_word(rest, completed, exact, rouge):
    assert compare(rest, completed) == {"exact": exact, "rouge_l": pytest.approx(rouge)}


def test_the_corpus_side_is_read_text_and_never_a_held_out_problem():
    found = completion("world", CORPUS, limit=60).records
    questions = set(found["given"] + " " + found["rest"])
    assert len(questions) == 60
    assert not questions & {p.question for p in EMBEDDED.heldout()}


def test_the_embedded_model_completes_its_own_kind_of_text_and_no_other():
    """About a third of both of its own kind (recorded 34 and 35 of 100), and none of the other."""
    found = shares(completion("world", [CORPUS, "world", "clean-arithmetic"], limit=60))
    assert found[CORPUS, "exact"] > 20
    assert found["world", "exact"] > 15
    assert found["clean-arithmetic", "exact"] == 0


@pytest.mark.parametrize("share", [0, 1, -0.1, 60])
def test_a_share_out_of_range_is_named(share):
    with pytest.raises(ValueError, match=f"share: {share} is out of range"):
        completion("world", share=share)
