"""The paper's own two graders, restated: `training` gives its reward, `evaluation` its numbers."""

from onerl.verifier.paper.evaluation import paper_eval_grader
from onerl.verifier.paper.training import paper_train_grader

__all__ = ["paper_eval_grader", "paper_train_grader"]
