"""The question a registry asks before it takes a new version."""

from __future__ import annotations

from collections.abc import Sequence

from registry.compatibility.changes import list_changes
from registry.compatibility.prover import Answer, Comparison
from registry.compatibility.report import (
    CompatibilityReport,
    Direction,
    Level,
    Verdict,
    Witness,
)
from registry.compatibility.values import Json
from registry.references import References
from registry.validity import check_schema, iter_findings

Schema = dict[str, Json] | bool


def check_compatibility(
    old: Schema | Sequence[Schema],
    new: Schema,
    level: Level | str,
    *,
    references: References | None = None,
) -> CompatibilityReport:
    """Whether `new` keeps the promise of `level` towards `old`.

    `old` is one schema or all earlier ones, oldest first; a level that is not transitive looks at
    the last. Backward: every document valid under old is valid under new; forward: the other way
    round; full: both. "compatible" is proven, "incompatible" is shown by a document that
    `is_valid` accepts under one schema and refuses under the other, anything else is "not_proven".
    `references` maps absolute URIs to the documents that the schemas may refer to.

    Raises `InvalidSchema`, and `ValueError` for an unknown level.
    """
    wanted = Level(level)
    olds = [old] if isinstance(old, (dict, bool)) else list(old)
    for schema in (*olds, new):
        check_schema(schema, references=references)
    first = 0 if wanted.is_transitive else max(len(olds) - 1, 0)
    checks = {
        direction: _Direction(direction, olds, new, references).run(first)
        for direction in wanted.directions
    }
    witnesses = tuple(one.witness for one in checks.values() if one.witness is not None)
    reasons = tuple(dict.fromkeys(reason for one in checks.values() for reason in one.reasons))
    proven = frozenset(name for name, one in checks.items() if one.last_is_proven)
    newest = len(olds) - 1
    broken = frozenset(one.direction for one in witnesses if one.version == newest)
    changes = (
        list_changes(olds[-1], new, references=references, proven=proven, broken=broken)
        if olds
        else ()
    )
    return CompatibilityReport(wanted, _verdict(witnesses, reasons), witnesses, changes, reasons)


def _verdict(witnesses: tuple[Witness, ...], reasons: tuple[str, ...]) -> Verdict:
    if witnesses:
        return "incompatible"
    return "not_proven" if reasons else "compatible"


class _Direction:
    """One direction, against as many earlier schemas as count."""

    def __init__(
        self,
        direction: Direction,
        olds: list[Schema],
        new: Schema,
        references: References | None,
    ) -> None:
        self.direction = direction
        self.olds = olds
        self.new = new
        self.references = references
        self.witness: Witness | None = None
        self.reasons: list[str] = []
        self.last_is_proven = False

    def run(self, first: int) -> _Direction:
        """Ask about the newest version first; stop at the first witness."""
        for version in reversed(range(first, len(self.olds))):
            answer = self._ask(version)
            if version == len(self.olds) - 1:
                self.last_is_proven = answer.kind == "contained"
            if answer.kind == "outside":
                self.witness = self._witness(version, answer.document)
                break
            if answer.kind == "unknown":
                self.reasons.append(f"{self.direction}: {answer.reason}")
        return self

    def _pair(self, version: int) -> tuple[Schema, Schema]:
        """The accepting and the refusing schema of this direction."""
        if self.direction == "backward":
            return self.olds[version], self.new
        return self.new, self.olds[version]

    def _ask(self, version: int) -> Answer:
        accepting, refusing = self._pair(version)
        return Comparison(accepting, refusing, references=self.references).answer()

    def _witness(self, version: int, document: Json) -> Witness:
        _, refusing = self._pair(version)
        finding = next(iter_findings(refusing, document, references=self.references))
        return Witness(document, self.direction, version, finding.instance_pointer, finding.message)
