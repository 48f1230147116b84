"""Is this answer right? See `onerl.verifier.grade`."""

from onerl.verifier.grade import Grade, extract_answer, grade, grade_many, same_answer, verify

__all__ = ["Grade", "extract_answer", "grade", "grade_many", "same_answer", "verify"]
