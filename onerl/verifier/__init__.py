r"""Is this answer right? Exact, quick, and safe against any string a model can write.

>>> from onerl.verifier import verify, same_answer, extract_answer, grade
>>> verify(r"the speed is \boxed{\frac{64}{5}}", "12.8")
True
>>> same_answer(r"12.8 \text{ or } 12.7", "12.8")
False
>>> extract_answer(r"first \boxed{1}, no, \boxed{2}")
'2'
>>> grade(r"\boxed{x(x+2)+1}", "(x+1)^2").rule
'exact'

Reading: `extract` finds the box, `spelling` and `tokens` read LaTeX, `words` knows what may stand
around an answer (`vocabulary` holds all lists), `structure` finds the shape (list, tuple, interval,
matrix, equation, text) as `node`s, `quantity` the unit, `expression` and `commands` parse what is
left. Deciding: `compare` by shape, `lists`, `regions`, `values` and `units` part by part, with
`numeric` for what a tree is worth and `samples` for where. Confirming: `engine`, `worker` and
`symbolic`, in a process that can be killed. `grade` caches and reports, `rewards` pays. `policy`
says what counts as equal and why, `selftest` guards a run, `paper` has the paper's two graders.

Importing this needs neither torch nor sympy; the worker starts with `warm`, or with the first
question that needs it.
"""

from onerl.verifier.engine import warm
from onerl.verifier.grade import (
    Grade,
    clear_cache,
    extract_answer,
    grade,
    grade_many,
    same_answer,
    verify,
)
from onerl.verifier.paper import paper_eval_grader, paper_train_grader
from onerl.verifier.selftest import BadGold, SelfTestError, bad_golds, self_test

__all__ = [
    "BadGold", "Grade", "SelfTestError", "bad_golds", "clear_cache", "extract_answer", "grade",
    "grade_many", "paper_eval_grader", "paper_train_grader", "same_answer", "self_test", "verify",
    "warm",
]  # fmt: skip
