"""Keywords that apply other schemas to the same instance: mask algebra."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from registry.columnar.checks import Check, Node, Place, Sink
from registry.columnar.column import Column
from registry.columnar.masks import Mask, both, choose, either, every, negate


@dataclass(frozen=True, kw_only=True)
class Refuse(Check):
    """The schema `false`."""

    def passes(self, column: Column) -> Mask:
        return False

    def sentence(self) -> str:
        return "nothing is allowed here"


@dataclass(frozen=True, kw_only=True)
class AllOf(Check):
    """`allOf`: the findings are those of the branches."""

    branches: Sequence[Node]

    def evaluates(self, column: Column, name: str) -> Mask:
        return _evaluated_by(self.branches, column, name)

    def passes(self, column: Column) -> Mask:
        return every(branch.passes(column) for branch in self.branches)

    def report(self, column: Column, at: Mask, place: Place, sink: Sink) -> None:
        for branch in self.branches:
            branch.report(column, at, place, sink)


@dataclass(frozen=True, kw_only=True)
class Ref(Check):
    """`$ref`: the findings are those of its target, with the way through the reference."""

    target: Node

    def passes(self, column: Column) -> Mask:
        return self.target.passes(column)

    def evaluates(self, column: Column, name: str) -> Mask:
        return _evaluated_by([self.target], column, name)

    def report(self, column: Column, at: Mask, place: Place, sink: Sink) -> None:
        self.target.report(column, at, place.through(self.path), sink)


@dataclass(frozen=True, kw_only=True)
class AnyOf(Check):
    branches: Sequence[Node]

    def evaluates(self, column: Column, name: str) -> Mask:
        return _evaluated_by(self.branches, column, name)

    def passes(self, column: Column) -> Mask:
        result: Mask = False
        for branch in self.branches:
            result = either(result, branch.passes(column))
            if result is True:
                return True
        return result

    def sentence(self) -> str:
        return f"satisfies none of the {len(self.branches)} alternatives"


@dataclass(frozen=True, kw_only=True)
class OneOf(Check):
    branches: Sequence[Node]

    def evaluates(self, column: Column, name: str) -> Mask:
        return _evaluated_by(self.branches, column, name)

    def passes(self, column: Column) -> Mask:
        none_yet: Mask = True
        exactly_one: Mask = False
        for branch in self.branches:
            ok = branch.passes(column)
            exactly_one = choose(ok, none_yet, exactly_one)
            none_yet = both(none_yet, negate(ok))
        return exactly_one

    def sentence(self) -> str:
        return f"does not satisfy exactly one of the {len(self.branches)} alternatives"


@dataclass(frozen=True, kw_only=True)
class Not(Check):
    node: Node

    def passes(self, column: Column) -> Mask:
        return negate(self.node.passes(column))

    def sentence(self) -> str:
        return "satisfies what it must not satisfy"


@dataclass(frozen=True, kw_only=True)
class IfThenElse(Check):
    condition: Node
    then: Node | None
    otherwise: Node | None

    def passes(self, column: Column) -> Mask:
        condition = self.condition.passes(column)
        then = self.then.passes(column) if self.then and condition is not False else True
        otherwise = (
            self.otherwise.passes(column) if self.otherwise and condition is not True else True
        )
        return choose(condition, then, otherwise)

    def evaluates(self, column: Column, name: str) -> Mask:
        condition = self.condition.passes(column)
        then = _evaluated_by([self.then] if self.then else [], column, name)
        otherwise = _evaluated_by([self.otherwise] if self.otherwise else [], column, name)
        by_branch = choose(condition, then, otherwise)
        return either(by_branch, _evaluated_by([self.condition], column, name))

    def report(self, column: Column, at: Mask, place: Place, sink: Sink) -> None:
        condition = self.condition.passes(column)
        if self.then:
            self.then.report(column, both(at, condition), place, sink)
        if self.otherwise:
            self.otherwise.report(column, both(at, negate(condition)), place, sink)


def _evaluated_by(nodes: Iterable[Node], column: Column, name: str) -> Mask:
    """What an in-place schema evaluates counts only where the instance is valid under it."""
    result: Mask = False
    for node in nodes:
        evaluated = node.evaluates(column, name)
        if evaluated is not False:
            result = either(result, both(evaluated, node.passes(column)))
    return result
