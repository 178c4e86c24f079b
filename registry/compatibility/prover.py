"""Is every document of one schema a document of another? Proof, counter-example, or neither."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from registry.compatibility.budget import DEFAULT_STEPS, Budget, BudgetSpentError
from registry.compatibility.formula import KINDS, Pool, Region
from registry.compatibility.guess import guesses
from registry.compatibility.outcome import Empty, Found, Outcome, Unknown
from registry.compatibility.rules import RULES
from registry.compatibility.schemas import Schemas
from registry.compatibility.shrink import shrink
from registry.compatibility.solver import Solver
from registry.compatibility.translator import Translator
from registry.compatibility.values import Json
from registry.references import References
from registry.validity import TooDeep, is_valid


@dataclass(frozen=True)
class Answer:
    """`contained`, or `outside` with a checked document, or `unknown` with the reason."""

    kind: Literal["contained", "outside", "unknown"]
    document: Json = None
    reason: str = ""


class Comparison:
    """One question: is `old` contained in `new`?"""

    def __init__(
        self,
        old: Json,
        new: Json,
        *,
        references: References | None = None,
        steps: int = DEFAULT_STEPS,
    ) -> None:
        self.old = old
        self.new = new
        self.references = references
        self.budget = Budget(steps)

    def answer(self) -> Answer:
        """Decide, in bounded time; every document shown was checked against both schemas."""
        reasons: dict[str, None] = {}
        for outcome in self._outcomes():
            if isinstance(outcome, Found) and self.is_outside(outcome.value):
                return self._witness(outcome.value)
            if isinstance(outcome, Found):
                reasons["a document found by the prover was not confirmed by the validator"] = None
            elif isinstance(outcome, Unknown):
                reasons[outcome.reason] = None
                for guess in outcome.guesses:
                    if self.is_outside(guess):
                        return self._witness(guess)
        if not reasons:
            return Answer("contained")
        for guess in guesses(self.old, self.new):
            if self.is_outside(guess):
                return self._witness(guess)
        return Answer("unknown", reason="; ".join(list(reasons)[:3]))

    def is_outside(self, document: Json) -> bool:
        """Whether the document is valid under old and not under new, by the reference."""
        try:
            return is_valid(self.old, document, references=self.references) and not is_valid(
                self.new, document, references=self.references
            )
        except (RecursionError, TooDeep):
            return False

    def _witness(self, document: Json) -> Answer:
        return Answer("outside", shrink(document, self.is_outside))

    def _outcomes(self) -> Iterator[Outcome]:
        """What the solver says about old without new, one kind of value after the other."""
        try:
            solver, difference = self._difference()
            for kind in KINDS:
                outcome = solver.satisfy_kind(kind, difference[kind])
                if not isinstance(outcome, Empty):
                    yield outcome
        except BudgetSpentError as spent:
            yield Unknown(spent.reason)
        except RecursionError:
            yield Unknown("the schemas are nested too deeply to be followed")

    def _difference(self) -> tuple[Solver, Region]:
        pool, schemas = Pool(), Schemas(self.references)
        translator = Translator(pool, schemas, self.budget, RULES)
        solver = Solver(pool, translator, schemas, self.budget)
        old = translator.region(schemas.root(self.old))
        new = translator.region(schemas.root(self.new))
        return solver, pool.meet([old, pool.outside(new)])
