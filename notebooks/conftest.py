"""What nbval compares here: texts to the letter, numbers within a cell's stated tolerance.

A run on the embedded world is the same on any one machine, bit for bit. Another processor adds
floats in another order, and a few of its sampled tokens differ. A cell that prints what a run
produced therefore states in its metadata how far a number may be off, in units of its last printed
digit's quantity (points, nats, tokens):

    "metadata": {"nbval_tolerance": 2.0}

Without it a number must be equal. Progress goes to standard error, which depends on the machine's
speed and is not compared.
"""

import re

from nbval.plugin import IPyNbCell, IPyNbFile

NUMBER = re.compile(r"(?<![\w.])[-+]?\d[\d,]*(?:\.\d+)?(?![\w.])")
original_compare, original_init = IPyNbCell.compare_outputs, IPyNbFile.__init__


def aligned(text: str, reference: str, tolerance: float) -> str:
    """`text` with the reference's numbers where they lie within the tolerance of its own.

    Column widths follow the numbers, so runs of spaces count as one in both texts.
    """
    ours, theirs = (re.sub(r" +", " ", part) for part in (text, reference))
    new, old = NUMBER.findall(ours), NUMBER.findall(theirs)
    if NUMBER.sub("#", ours) != NUMBER.sub("#", theirs):
        return text
    near = [abs(value(a) - value(b)) <= tolerance for a, b in zip(new, old, strict=True)]
    return reference if all(near) else text


def value(number: str) -> float:
    return float(number.replace(",", ""))


def compare_outputs(self, test, ref, skip_compare=None):
    tolerance = self.cell.metadata.get("nbval_tolerance")
    printed = [[o for o in outputs if o.get("name") != "stderr"] for outputs in (test, ref)]
    if tolerance is not None and len(printed[0]) == len(printed[1]):
        for ours, theirs in zip(*printed, strict=True):
            if "text" in ours and "text" in theirs:
                ours["text"] = aligned(ours["text"], theirs["text"], tolerance)
    return original_compare(self, test, ref, skip_compare)


def init(self, *arguments, **options):
    original_init(self, *arguments, **options)
    self.skip_compare = (*self.skip_compare, "stderr")


IPyNbCell.compare_outputs, IPyNbFile.__init__ = compare_outputs, init
