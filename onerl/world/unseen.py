"""Four more templates, which no corpus is written about: they ask what was never trained on.

They are the world's tasks outside the training domain, where the paper has ARC (its Table 1). Each
is put in words that the other templates use and solved in steps that the embedded base model has
read as single facts (a test checks both), but no other template asks this question:

    two_bags     Prealgebra               the chain of steps is that of `dot`, under other words
    function     Algebra                  the chain of steps is that of `bags`, under other words
    red_or_blue  Counting & Probability   no template has this chain: add, add, divide the first sum
    sum_residue  Number Theory            no template has this chain: add, add, take the remainder

They were written down before any model was evaluated on them, and have not been changed since.
Not covered: problems that need a fact or an operation which the world does not have.
"""

from onerl.world.templates import UNSEEN as TEMPLATES

__all__ = ["TEMPLATES"]
