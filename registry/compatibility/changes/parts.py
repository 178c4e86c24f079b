"""Which way a part of a schema changed, asked of the solver with the part alone."""

from __future__ import annotations

from registry.compatibility.budget import Budget, BudgetSpentError
from registry.compatibility.formula import Pool
from registry.compatibility.outcome import Empty
from registry.compatibility.report import Breaks
from registry.compatibility.rules import RULES
from registry.compatibility.schemas import Handle, Schemas
from registry.compatibility.solver import Solver
from registry.compatibility.translator import Translator
from registry.compatibility.values import Json
from registry.references import References

_STEPS_EACH = 1_500
_STEPS_IN_ALL = 40_000


class Parts:
    """Compares parts of two schemas, each in its place, within a budget of its own."""

    def __init__(self, references: References | None) -> None:
        self.schemas = Schemas(references)
        self._pool = Pool()
        self._left = _STEPS_IN_ALL

    def breaks(self, old: Handle, new: Handle) -> Breaks:
        """The directions in which a part is not contained in the other; undecided counts."""
        if old.number == new.number:
            return "none"
        backward, forward = not self._contained(old, new), not self._contained(new, old)
        if backward and forward:
            return "both"
        return "backward" if backward else "forward" if forward else "none"

    def part(self, whole: Handle, contents: Json) -> Handle:
        """Some keywords of a schema, or others in their place, as a schema of its own."""
        return self.schemas.beside(whole, contents)

    def _contained(self, inner: Handle, outer: Handle) -> bool:
        budget = Budget(min(_STEPS_EACH, self._left))
        translator = Translator(self._pool, self.schemas, budget, RULES)
        solver = Solver(self._pool, translator, self.schemas, budget)
        outside = self._pool.negate(translator.under(outer))
        try:
            return isinstance(solver.satisfy([translator.under(inner), outside]), Empty)
        except (BudgetSpentError, RecursionError):
            return False
        finally:
            self._left -= _STEPS_EACH - max(budget.left, 0)
