r"""Known pairs checked before the first step of a run: a broken verifier must not train a model."""

from onerl.verifier.grade import grade

_KNOWN = (
    (r"so the speed is \boxed{12.8}", "12.8", True),
    (r"\boxed{\frac{64}{5}}", "12.8", True),
    (r"\boxed{12.8\text{ mph}}", "12.8", True),
    (r"\boxed{12.7}", "12.8", False),
    (r"\boxed{12.7} or \boxed{12.8}", "12.8", False),
    ("12.8", "12.8", False),
    (r"\boxed{12.8", "12.8", False),
    (r"\boxed{-\frac{4046}{4048}}", r"-\frac{2023}{2024}", True),
    (r"\boxed{2, -1}", r"\{-1, 2\}", True),
    (r"\boxed{(2, 1)}", "(1, 2)", False),
    # these need the worker
    (r"\boxed{\sqrt{117}}", r"3\sqrt{13}", True),
    (r"\boxed{\frac{1}{\cos x}}", r"\sec x", True),
    (r"\boxed{\sqrt{13} \cdot 3.000001}", r"3\sqrt{13}", False),
)


class SelfTestError(RuntimeError):
    """The verifier gives wrong verdicts here; nothing may be trained or scored with it."""


def self_test() -> int:
    """Grades the known pairs; returns how many. Raises SelfTestError on a wrong verdict."""
    for response, gold, expected in _KNOWN:
        verdict = grade(response, gold)
        if verdict.correct is not expected:
            hint = ""
            if verdict.status == "error":
                hint = "; the verifier's worker did not start: is mpmath installed?"
            raise SelfTestError(
                f"verifier self-test: {response!r} against {gold!r} should be {expected}, "
                f"is {verdict.correct} (status {verdict.status}, rule {verdict.rule}){hint}"
            )
    return len(_KNOWN)
