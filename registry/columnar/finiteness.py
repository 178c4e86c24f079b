"""What no JSON text can say: NaN and infinities, wherever they stand in a row."""

from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np

from registry.canonical import Path
from registry.columnar.arrays import Items
from registry.columnar.checks import Check, Node
from registry.columnar.column import Column, Kind
from registry.columnar.masks import Mask, settle
from registry.columnar.objects import Members
from registry.validity import NOT_JSON

_GREATEST: Final = {np.dtype(kind): np.finfo(kind).max for kind in (np.float32, np.float64)}


@dataclass(frozen=True, kw_only=True)
class Finite(Check):
    kinds: ClassVar[frozenset[Kind]] = frozenset({Kind.FLOAT})

    def passes(self, column: Column) -> Mask:
        greatest = _GREATEST[column.numbers.dtype]
        if column.is_within(-greatest, greatest):
            return True
        return settle(np.isfinite(column.numbers))

    def keyword_at(self, path: Path) -> str:
        return NOT_JSON

    def sentence(self) -> str:
        return "is not a finite number, so not JSON"


def _finite_throughout() -> Node:
    node = Node([Finite(path=())])
    node.checks.append(Items(path=(), first=0, node=node))
    node.checks.append(Members(path=(), nodes_for=lambda name: [node]))
    return node


FINITE: Final = _finite_throughout()
"""Passes the rows that are JSON: every other schema is asked about those only."""
