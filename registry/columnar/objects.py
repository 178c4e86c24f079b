"""Keywords of objects: rows, and the structs inside them.

All rows of a table have the same properties, so what depends on names alone is decided once.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pyarrow as pa

from registry.columnar.checks import Check, Engine, Failure, Node, Place, Sink
from registry.columnar.column import Column, Kind
from registry.columnar.masks import Mask, both, either, every, negate, spread


class ObjectCheck(Check):
    kinds: ClassVar[frozenset[Kind]] = frozenset({Kind.STRUCT})


@dataclass(frozen=True, kw_only=True)
class Members(ObjectCheck):
    """`properties`, `patternProperties` or `additionalProperties`.

    `nodes_for` gives the schemas that apply to a property of that name.
    """

    nodes_for: Callable[[str], Sequence[Node]]
    evaluates_all: bool = False

    def passes(self, column: Column) -> Mask:
        return every(
            node.passes(cells)
            for name, cells in column.fields.items()
            for node in self.nodes_for(name)
        )

    def evaluates(self, column: Column, name: str) -> Mask:
        return self.evaluates_all or bool(self.nodes_for(name))

    def report(self, column: Column, at: Mask, place: Place, sink: Sink) -> None:
        for name, cells in column.fields.items():
            for node in self.nodes_for(name):
                node.report(cells, at, place.member(name), sink)


@dataclass(frozen=True, kw_only=True)
class UnevaluatedProperties(ObjectCheck):
    """What no other keyword of the schema (`owner`) has evaluated must satisfy `node`."""

    owner: Node
    node: Node

    def _unevaluated(self, column: Column) -> Iterator[tuple[str, Column, Mask]]:
        for name, cells in column.fields.items():
            evaluated = self.owner.evaluates(column, name, besides=self)
            if evaluated is not True:
                yield name, cells, negate(evaluated)

    def passes(self, column: Column) -> Mask:
        return every(
            either(self.node.passes(cells), negate(unevaluated))
            for _, cells, unevaluated in self._unevaluated(column)
        )

    def evaluates(self, column: Column, name: str) -> Mask:
        return True

    def report(self, column: Column, at: Mask, place: Place, sink: Sink) -> None:
        for name, cells, unevaluated in self._unevaluated(column):
            self.node.report(cells, both(at, unevaluated), place.member(name), sink)


@dataclass(frozen=True, kw_only=True)
class Required(ObjectCheck):
    """`required`, and one entry of `dependentRequired` with the property it is `given` for."""

    engine: ClassVar[Engine] = Engine.TABLE
    names: Sequence[str]
    given: str | None = None

    def _missing(self, column: Column) -> list[str]:
        if self.given is not None and self.given not in column.fields:
            return []
        return [name for name in self.names if name not in column.fields]

    def passes(self, column: Column) -> Mask:
        return not self._missing(column)

    def report(self, column: Column, at: Mask, place: Place, sink: Sink) -> None:
        because = "" if self.given is None else f", which {self.given!r} depends on"
        for name in self._missing(column):
            sentence = f"the property {name!r} is missing{because}"
            self.refuse(at, column, place.about(name), sink, sentence)


@dataclass(frozen=True, kw_only=True)
class PropertyCount(ObjectCheck):
    """`minProperties` or `maxProperties`."""

    engine: ClassVar[Engine] = Engine.TABLE
    least: int = 0
    most: int | None = None

    def passes(self, column: Column) -> Mask:
        count = len(column.fields)
        return count >= self.least and (self.most is None or count <= self.most)

    def sentence(self) -> str:
        if self.most is None:
            return f"has fewer than {self.least} properties"
        return f"has more than {self.most} properties"


@dataclass(frozen=True, kw_only=True)
class PropertyNames(ObjectCheck):
    """`propertyNames`: a finding about a name stands at the object, as the reference has it."""

    engine: ClassVar[Engine] = Engine.TABLE
    node: Node

    def passes(self, column: Column) -> Mask:
        return not len(column.fields) or self.node.passes(_names(column.fields)) is True

    def report(self, column: Column, at: Mask, place: Place, sink: Sink) -> None:
        cells = np.flatnonzero(spread(at, column.size))
        if not len(cells):
            return
        for name in column.fields:
            about = place.about(name)

            def of_objects(failure: Failure, about: Place = about) -> None:
                sentence = f"the property name {failure.sentence}"
                sink(replace(failure, cells=cells, place=about, judged=column, sentence=sentence))

            self.node.report(_names([name]), True, Place(route=place.route), of_objects)


def _names(names: Mapping[str, Column] | Sequence[str]) -> Column:
    return Column(Kind.STRING, pa.array(list(names), type=pa.string()))


@dataclass(frozen=True, kw_only=True)
class DependentSchema(ObjectCheck):
    """One entry of `dependentSchemas`: the schema of the whole object where `given` is present."""

    given: str
    node: Node

    def passes(self, column: Column) -> Mask:
        return self.given not in column.fields or self.node.passes(column)

    def evaluates(self, column: Column, name: str) -> Mask:
        if self.given not in column.fields:
            return False
        evaluated = self.node.evaluates(column, name)
        return evaluated and both(evaluated, self.node.passes(column))

    def report(self, column: Column, at: Mask, place: Place, sink: Sink) -> None:
        if self.given in column.fields:
            self.node.report(column, at, place, sink)
