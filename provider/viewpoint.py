"""From where a read looks: its execution domain, its world, and the moment whose knowledge it has.

Moments are zone-aware, always: two of them compare, whoever wrote them.
"""

import re
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import ClassVar, NamedTuple

from registry.errors import Conflict, InvalidInput, SeamlessError

LONGEST_WORLD = 200
# Clocks of callers run ahead a little; whoever means a later moment has mistyped it.
CLOCK_SKEW = timedelta(minutes=1)


class ExecutionDomain(StrEnum):
    """What a read is for. `backtest` and `dryrun` are answered from published artefacts alone."""

    LIVE = "live"
    SHADOW = "shadow"
    BACKTEST = "backtest"
    DRYRUN = "dryrun"

    @property
    def reads_artifacts(self) -> bool:
        return self in (ExecutionDomain.BACKTEST, ExecutionDomain.DRYRUN)


class Viewpoint(NamedTuple):
    """Part of every key under which something of a read is kept."""

    domain: ExecutionDomain = ExecutionDomain.LIVE
    world: str = ""
    as_of: datetime | None = None

    def to_text(self) -> tuple[str, str, str]:
        return self.domain.value, self.world, "" if self.as_of is None else moment_text(self.as_of)


class SeamlessDomainPolicyError(SeamlessError, RuntimeError):
    """The read lacks what its execution domain asks for."""

    code: ClassVar[str] = "domain_policy"
    title: ClassVar[str] = "Domain policy"


class AsOfRequired(SeamlessDomainPolicyError, InvalidInput):
    code: ClassVar[str] = "as_of_required"
    title: ClassVar[str] = "as_of required"

    def __init__(self) -> None:
        super().__init__("as_of is required for backtest/dryrun domains", parameter="as_of")


class ArtifactRequired(SeamlessDomainPolicyError, Conflict):
    code: ClassVar[str] = "artifact_required"
    title: ClassVar[str] = "Artifact required"

    def __init__(self) -> None:
        super().__init__("artifact-backed data is required for backtest/dryrun domains")


def read_domain(text: str) -> ExecutionDomain:
    """Raises InvalidInput."""
    if text not in list(ExecutionDomain):
        raise InvalidInput(
            f"There is no execution domain {text[:60]!r}; there are {', '.join(ExecutionDomain)}.",
            parameter="domain",
        )
    return ExecutionDomain(text)


def checked_world(world: str) -> str:
    """The world; raises InvalidInput where it is too long or holds what no line of text does."""
    if len(world) > LONGEST_WORLD or not world.isprintable():
        raise InvalidInput(
            f"world is at most {LONGEST_WORLD} printable characters.", parameter="world"
        )
    return world


def read_moment(text: str) -> datetime:
    """`as_of` as callers write it: RFC 3339 with its zone. Raises InvalidInput."""
    # A "+" of an offset arrives as a space unless the caller escaped it.
    candidate = re.sub(r" (\d\d:\d\d)$", r"+\1", text.strip())
    try:
        moment = datetime.fromisoformat(candidate)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise InvalidInput(
            f"as_of is an RFC 3339 time with its zone, as 2026-01-01T00:00:00Z, not {text[:60]!r}.",
            parameter="as_of",
        )
    return moment.astimezone(UTC)


def checked_moment(as_of: object, now: datetime) -> datetime:
    """`as_of` in UTC. Raises InvalidInput where it is no zone-aware datetime, or in the future."""
    if not isinstance(as_of, datetime) or as_of.tzinfo is None:
        raise InvalidInput(
            f"as_of is a datetime with a zone, not {as_of!r:.60}; moments of other kinds do not "
            "compare.",
            parameter="as_of",
        )
    if as_of > now + CLOCK_SKEW:
        raise InvalidInput(
            f"as_of={moment_text(as_of)} lies in the future: nothing is known as of then.",
            parameter="as_of",
        )
    return as_of.astimezone(UTC)


def moment_text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
