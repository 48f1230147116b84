r"""``python -m onerl.verifier "RESPONSE" "GOLD"``: verdict, answer and rule on the command line."""

import argparse
import sys

from onerl.verifier.grade import grade
from onerl.verifier.policy import table


def main(arguments: list[str] | None = None) -> int:
    """Prints one verdict; exit status 0 for correct, 1 for wrong."""
    parser = argparse.ArgumentParser(
        prog="python -m onerl.verifier",
        description=r"Is the last \boxed{} of RESPONSE the answer GOLD?",
    )
    parser.add_argument("response", nargs="?", help=r"a model's response, such as 'so \boxed{5}'")
    parser.add_argument("gold", nargs="?", help="the gold answer, such as 5")
    parser.add_argument("--policy", action="store_true", help="print the policy table and stop")
    options = parser.parse_args(arguments)
    if options.policy:
        print(table())
        return 0
    if options.gold is None:
        parser.error("RESPONSE and GOLD are both needed")
    verdict = grade(options.response, options.gold)
    print("verdict:", "correct" if verdict.correct else "wrong")
    print("answer: ", verdict.answer if verdict.answer is not None else "(none)")
    print("status: ", verdict.status)
    print("rule:   ", verdict.rule)
    return 0 if verdict.correct else 1


if __name__ == "__main__":
    sys.exit(main())
