from dataclasses import dataclass


@dataclass(frozen=True)
class Policy:
    decimals: int = 6
    percent: bool = True


DEFAULT = Policy()
