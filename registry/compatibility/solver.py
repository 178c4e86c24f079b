"""Is there a value that satisfies these formulas? Yes with the value, no with proof, or unknown.

A tableau splits disjunctions; a solver per kind decides conjunctions of literals. Items and
property values are questions of the same sort about smaller values. A question met again inside
itself is taken as "empty" for the moment: a smallest value could not contain another value of the
same set, so if nothing else contradicts, the assumption was right. Answers that lean on an
assumption still open are forgotten when it turns out wrong.
"""

from __future__ import annotations

from collections.abc import Iterable

from registry.compatibility.array_solver import solve_array
from registry.compatibility.budget import MAX_NESTING, Budget
from registry.compatibility.evaluate import Evaluator
from registry.compatibility.formula import (
    KINDS,
    Kind,
    Node,
    Opaque,
    Pool,
    Region,
    Under,
)
from registry.compatibility.number_solver import solve_numbers
from registry.compatibility.object_solver import ObjectSolver
from registry.compatibility.outcome import EMPTY, Empty, Found, Outcome, Tally, Unknown
from registry.compatibility.schemas import Schemas
from registry.compatibility.string_solver import StringSolver
from registry.compatibility.translator import Translator
from registry.compatibility.values import Json

_SINGLE: dict[Kind, Json] = {"null": None, "false": False, "true": True}


class Solver:
    """Answers questions about one pool of formulas, within one budget."""

    def __init__(
        self, pool: Pool, translator: Translator, schemas: Schemas, budget: Budget
    ) -> None:
        self.pool = pool
        self.budget = budget
        self.evaluator = Evaluator(translator, schemas)
        self._translator = translator
        self._schemas = schemas
        self._strings = StringSolver(budget)
        self._objects = ObjectSolver(self)
        self._regions: dict[int, Region] = {}
        self._known: dict[int, Outcome] = {}
        self._words: dict[int, Outcome] = {}
        self._open: dict[int, int] = {}
        self._leaning: dict[int, int] = {}  # proven empty only if the question at this depth is
        self._lowest = MAX_NESTING + 1

    def satisfy(self, expressions: Iterable[Node]) -> Outcome:
        """A value valid under every expression (formulas over `Under`)."""
        question = self.pool.all_of(expressions)
        if question.uid in self._known:
            return self._known[question.uid]
        if question.uid in self._open:
            self._lowest = min(self._lowest, self._open[question.uid])
            return EMPTY
        if question.uid in self._leaning:
            self._lowest = min(self._lowest, self._leaning[question.uid])
            return EMPTY
        if len(self._open) >= MAX_NESTING:
            return Unknown("values nested deeper than are followed")
        return self._ask(question)

    def _ask(self, question: Node) -> Outcome:
        self.budget.spend()
        depth = len(self._open)
        outer, self._lowest = self._lowest, MAX_NESTING + 1
        before = len(self._leaning)
        self._open[question.uid] = depth
        try:
            outcome = self._any_kind(self.region(question))
        finally:
            del self._open[question.uid]
        self._settle(question, outcome, depth, before)
        self._lowest = min(outer, self._lowest)
        return outcome

    def _settle(self, question: Node, outcome: Outcome, depth: int, before: int) -> None:
        """Keep what is certain now; drop or keep leaning what rested on this question."""
        resting = list(self._leaning)[before:]
        if not isinstance(outcome, Empty):
            for uid in resting:
                del self._leaning[uid]
            self._known[question.uid] = outcome
            self._lowest = MAX_NESTING + 1
        elif self._lowest >= depth:
            for uid in resting:
                del self._leaning[uid]
                self._known[uid] = EMPTY
            self._known[question.uid] = EMPTY
            self._lowest = MAX_NESTING + 1
        else:
            for uid in [*resting, question.uid]:
                self._leaning[uid] = min(self._leaning.get(uid, self._lowest), self._lowest)

    def excluding(self, value: Json) -> Node:
        """An expression for every value not equal to this one."""
        return self.pool.negate(self._translator.under(self._schemas.constant(value)))

    def region(self, expression: Node) -> Region:
        """The formulas, kind by kind, of an expression over schemas."""
        made = self._regions.get(expression.uid)
        if made is None:
            made = self._regions[expression.uid] = self._expand(expression)
        return made

    def _expand(self, expression: Node) -> Region:
        if expression.op == "true":
            return self.pool.everything()
        if expression.op == "false":
            return self.pool.nothing()
        if expression.op == "literal":
            assert isinstance(expression.atom, Under)
            region = self._translator.region(self._schemas[expression.atom.handle])
            return region if expression.positive else self.pool.outside(region)
        parts = [self.region(part) for part in expression.parts]
        return self.pool.meet(parts) if expression.op == "and" else self.pool.join(parts)

    def _any_kind(self, region: Region) -> Outcome:
        tally = Tally()
        for kind in KINDS:
            found = tally.add(self.satisfy_kind(kind, region[kind]))
            if found is not None:
                return found
        return tally.result()

    def satisfy_kind(self, kind: Kind, node: Node) -> Outcome:
        """A value of this kind that satisfies a formula of the kind."""
        if kind == "string" and node.uid in self._words:
            return self._words[node.uid]
        branch = _Branch()
        outcome = self._tableau(kind, branch) if branch.add(node) else EMPTY
        if kind == "string":  # names are asked for again and again, and lean on no assumption
            self._words[node.uid] = outcome
        return outcome

    def _tableau(self, kind: Kind, branch: _Branch) -> Outcome:
        self.budget.spend(1 + len(branch.asserted) // 16 + len(branch.clauses) // 4)
        if not branch.propagate():
            return EMPTY
        outcome = self._decide(kind, branch.literals())
        if isinstance(outcome, Empty):
            return outcome
        unmet = self._unmet(branch, outcome)
        if not unmet:
            return outcome
        choices = self._choices(branch, unmet)
        return self._split(kind, branch, choices) if choices else EMPTY

    def _unmet(self, branch: _Branch, outcome: Outcome) -> list[Node]:
        """The disjunctions that the value at hand does not satisfy: they are worth splitting."""
        if not isinstance(outcome, Found):
            return branch.clauses
        return [one for one in branch.clauses if not self.evaluator.holds(one, outcome.value)]

    def _choices(self, branch: _Branch, unmet: list[Node]) -> list[Node]:
        """What to split on: a disjunction with fewer than two choices, else one that is unmet."""
        if len(branch.clauses) == 1:
            return _literals_first(branch.live(unmet[0]))
        best: list[Node] | None = None
        wanted = {one.uid for one in unmet}
        for clause in branch.clauses:
            live = branch.live(clause)
            self.budget.spend(1 + len(live) * (len(branch.asserted) + len(branch.clauses)) // 64)
            live = [one for one in live if branch.admits(one)]
            if len(live) < 2:
                return live
            if clause.uid in wanted and (best is None or len(live) < len(best)):
                best = live
        return _literals_first(best or [])

    def _split(self, kind: Kind, branch: _Branch, choices: list[Node]) -> Outcome:
        tally = Tally()
        failed: list[Node] = []
        for choice in choices:
            taken = branch.copy()
            consistent = all(taken.add(self.pool.negate(one)) for one in failed)
            if not consistent or not taken.add(choice):
                continue
            found = tally.add(self._tableau(kind, taken))
            if found is not None:
                return found
            if choice.op == "literal":
                failed.append(choice)
        return tally.result()

    def _decide(self, kind: Kind, literals: list[Node]) -> Outcome:
        outcome = self._theory(kind, literals)
        opaque = [one.atom for one in literals if isinstance(one.atom, Opaque)]
        if opaque and isinstance(outcome, Found):
            reasons = dict.fromkeys(one.reason for one in opaque if isinstance(one, Opaque))
            return Unknown("; ".join(reasons), (outcome.value,))
        return outcome

    def _theory(self, kind: Kind, literals: list[Node]) -> Outcome:
        if kind == "number":
            return solve_numbers(literals, self.budget)
        if kind == "string":
            return self._strings.solve(literals)
        if kind == "array":
            return solve_array(self, literals)
        if kind == "object":
            return self._objects.solve(literals)
        return Found(_SINGLE[kind])


def _literals_first(choices: list[Node]) -> list[Node]:
    return sorted(choices, key=lambda one: one.op != "literal")


class _Branch:
    """One branch of the tableau: what is asserted, and the disjunctions still open."""

    def __init__(self) -> None:
        self.asserted: dict[int, Node] = {}
        self.clauses: list[Node] = []

    def copy(self) -> _Branch:
        made = _Branch()
        made.asserted = dict(self.asserted)
        made.clauses = list(self.clauses)
        return made

    def add(self, node: Node) -> bool:
        """Assert a node; False when it contradicts the branch."""
        pending = [node]
        while pending:
            one = pending.pop()
            if one.op == "false" or self._refuted(one):
                return False
            if one.op == "true" or one.uid in self.asserted:
                continue
            self.asserted[one.uid] = one
            if one.op == "and":
                pending.extend(one.parts)
            elif one.op == "or":
                self.clauses.append(one)
        return True

    def _refuted(self, node: Node) -> bool:
        opposite = node.complement
        return opposite is not None and opposite.uid in self.asserted

    def _hopeless(self, node: Node) -> bool:
        if self._refuted(node):
            return True
        return node.op == "and" and any(self._refuted(part) for part in node.parts)

    def propagate(self) -> bool:
        """Assert what is forced until nothing is; False on contradiction."""
        moved = True
        while moved:
            moved = False
            waiting, self.clauses = self.clauses, []
            for clause in waiting:
                if any(part.uid in self.asserted for part in clause.parts):
                    continue
                live = self.live(clause)
                if len(live) > 1:
                    self.clauses.append(clause)
                    continue
                if not live or not self.add(live[0]):
                    return False
                moved = True
        return True

    def literals(self) -> list[Node]:
        return [one for one in self.asserted.values() if one.op == "literal"]

    def live(self, clause: Node) -> list[Node]:
        """The choices of a disjunction that nothing asserted contradicts."""
        return [part for part in clause.parts if not self._hopeless(part)]

    def admits(self, choice: Node) -> bool:
        """Whether asserting the choice leads to no contradiction by propagation."""
        tried = self.copy()
        return tried.add(choice) and tried.propagate()
