"""How many shards of a job may fail before the rest is given up: a number, or a share of them."""

import re
from dataclasses import dataclass

_TEXT = re.compile(r"([0-9]{1,6})(%?)")


@dataclass(frozen=True, slots=True)
class FailureBudget:
    """`shards` of them, or `percent` of however many a job has."""

    shards: int | None = None
    percent: int | None = None

    @classmethod
    def read(cls, text: str) -> "FailureBudget":
        """From `5`, `10%` or nothing (no limit); raises ValueError."""
        if not text:
            return cls()
        found = _TEXT.fullmatch(text)
        if found is None or (found[2] and int(found[1]) > 100):
            raise ValueError(f"a failure budget is a number of shards or 0% to 100%, not {text!r}")
        number = int(found[1])
        return cls(percent=number) if found[2] else cls(shards=number)

    def of(self, shards: int) -> int | None:
        """How many of so many shards may fail; None for all."""
        return self.shards if self.percent is None else shards * self.percent // 100

    def __str__(self) -> str:
        if self.percent is not None:
            return f"{self.percent}%"
        return "" if self.shards is None else str(self.shards)


NO_BUDGET = FailureBudget()
"""As many as there are."""
