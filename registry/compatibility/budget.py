"""The bound on one compatibility question: counted steps, so that every machine answers alike."""

from __future__ import annotations

DEFAULT_STEPS = 60_000
MAX_NESTING = 48


class BudgetSpentError(Exception):
    """The question needed more work than it may cost; the answer is "not proven"."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Budget:
    """A countdown shared by every part of the solver."""

    def __init__(self, steps: int = DEFAULT_STEPS) -> None:
        self.left = steps

    def spend(self, steps: int = 1) -> None:
        """Pay for work about to be done; raise `BudgetSpentError` when nothing is left."""
        self.left -= steps
        if self.left < 0:
            raise BudgetSpentError("the schemas need more steps than a check may take")
