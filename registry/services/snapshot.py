"""What every read must know of the registry, held in memory: who may read what, under what.

An immutable snapshot per process. In the background its version is compared with the database's
each second, and a newer one is loaded whole; requests only ever look at the one that is there. A
decision is effective in every process within a round and a load, and at once in the one that made
it. Where the database does not answer, the last snapshot serves for at most
`SEAMLESS_SNAPSHOT_MAX_AGE` seconds.

With `SEAMLESS_SNAPSHOT_SECONDS=0` there is no thread, and each use asks for the version itself.
"""

from collections import defaultdict
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from threading import Lock
from time import monotonic
from typing import Any

import structlog
from django.conf import settings
from django.db import InterfaceError, OperationalError
from django.db.models import F
from django.utils import timezone

from registry.errors import Unavailable
from registry.models import (
    AccessToken,
    BundleMember,
    Mode,
    Node,
    NodeGrant,
    ReleaseMember,
    SchemaVersion,
    VersionState,
)
from registry.services.background import Rounds
from registry.services.references import stored_references
from registry.services.state import own_moves, read_version

logger = structlog.get_logger("seamless.schema")
_TRIES = 3


class RegistryUnavailable(Unavailable):
    code = "registry_unavailable"
    title = "Registry unavailable"


@dataclass(frozen=True, slots=True)
class BoundVersion:
    """One schema version as a check sees it; `release` facts are empty for an ungoverned read."""

    version_id: int
    subject: str
    number: int
    fingerprint: str
    resolved_fingerprint: str
    document: dict[str, Any]
    references: Mapping[str, Any]
    rollout_id: int | None = None
    release_id: int | None = None
    bundle: str = ""
    release: int | None = None
    release_fingerprint: str = ""
    deprecated_at: datetime | None = None
    sunset_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Governed:
    """The live rollouts of one consumer for one subject; `ramp_percent` is the canary's."""

    strict: BoundVersion | None = None
    canary: BoundVersion | None = None
    ramp_percent: int = 0


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Never changed: a newer one takes its place. Consumers and subjects are named by their ids."""

    version: int
    tokens: Mapping[str, AccessToken]
    nodes: Mapping[str, Node]
    newest: Mapping[int, BoundVersion]
    governed: Mapping[tuple[int, int], Governed]
    subscribed: Mapping[int, frozenset[int]]
    granted: Mapping[int, frozenset[int]]

    def may_read(self, consumer_id: int, node: Node) -> bool:
        return node.subject_id in self.subscribed.get(
            consumer_id, frozenset()
        ) or node.pk in self.granted.get(consumer_id, frozenset())


def current() -> Snapshot:
    """The snapshot to answer by. Raises RegistryUnavailable where it is too old."""
    if not settings.SEAMLESS_SNAPSHOT_SECONDS:
        return _kept.refreshed()
    _rounds.start()
    snapshot, age = _kept.seen()
    if snapshot is None:
        return _kept.refreshed()
    if _kept.moves != own_moves():
        with suppress(OperationalError, InterfaceError):
            return _kept.refreshed()
    if age > settings.SEAMLESS_SNAPSHOT_MAX_AGE:
        raise RegistryUnavailable(
            f"The registry has not answered for {age:.0f} seconds; nothing is served by what it "
            "said before. Try again shortly.",
            retry_after=5,
        )
    return snapshot


def forget() -> None:
    """Start anew, as a process does."""
    _rounds.stop()
    _kept.drop()


class _Kept:
    def __init__(self) -> None:
        self._loading = Lock()
        self._seen: tuple[Snapshot, float] | None = None
        self.moves = 0
        self._versions: dict[int, BoundVersion] = {}

    def seen(self) -> tuple[Snapshot | None, float]:
        """The snapshot and the seconds since the database last confirmed it."""
        seen = self._seen
        return (None, 0.0) if seen is None else (seen[0], monotonic() - seen[1])

    def refreshed(self) -> Snapshot:
        """Ask for the version, and load where it is another one."""
        with self._loading:
            asked, moves = monotonic(), own_moves()
            version = read_version()
            self.moves = moves
            seen = self._seen
            if seen is not None and seen[0].version == version:
                self._seen = (seen[0], asked)
                return seen[0]
            loaded = self._load(version)
            self._seen = (loaded, asked)
            return loaded

    def drop(self) -> None:
        with self._loading:
            self._seen, self._versions = None, {}

    def _load(self, version: int) -> Snapshot:
        """Read until nothing was decided meanwhile. After some tries what was read serves under the
        version it began with, so that the next round reads again; rollouts are of one statement.
        """
        for _ in range(_TRIES):
            loaded = self._read(version)
            after = read_version()
            if after == version:
                break
            version = after
        self._versions = _in_use(loaded)
        return loaded

    def _read(self, version: int) -> Snapshot:
        return Snapshot(
            version=version,
            tokens=_tokens(),
            nodes={n.node_id: n for n in Node.objects.select_related("subject", "sla")},
            newest=self._newest(),
            governed=self._governed(),
            subscribed=_grouped(
                BundleMember.objects.values_list(
                    "bundle__subscriptions__consumer_id", "subject_id"
                ).filter(bundle__subscriptions__isnull=False)
            ),
            granted=_grouped(NodeGrant.objects.values_list("consumer_id", "node_id")),
        )

    def _newest(self) -> dict[int, BoundVersion]:
        approved = SchemaVersion.objects.filter(state=VersionState.APPROVED)
        ids = dict(approved.order_by("number").values_list("subject_id", "pk"))
        bound = self._bound(set(ids.values()))
        return {subject: bound[pk] for subject, pk in ids.items()}

    def _governed(self) -> dict[tuple[int, int], Governed]:
        members = list(_live_members())
        bound = self._bound({member.version_id for member in members})
        found: dict[tuple[int, int], Governed] = defaultdict(Governed)
        for member in members:
            version = replace(
                bound[member.version_id],
                rollout_id=member.rollout_id,
                release_id=member.release_id,
                bundle=member.release.bundle.name,
                release=member.release.number,
                release_fingerprint=member.release.fingerprint,
            )
            place = (member.consumer_id, member.subject_id)
            if member.mode == Mode.STRICT:
                found[place] = replace(found[place], strict=version)
            else:
                found[place] = replace(
                    found[place], canary=version, ramp_percent=member.ramp_percent
                )
        return dict(found)

    def _bound(self, ids: set[int]) -> dict[int, BoundVersion]:
        """A version's content never changes, so what was parsed once is kept; its end may."""
        new = SchemaVersion.objects.filter(pk__in=ids - self._versions.keys())
        for version in new.select_related("content", "subject"):
            self._versions[version.pk] = bound_version(version)
        ends = SchemaVersion.objects.filter(pk__in=ids)
        return {
            pk: replace(self._versions[pk], deprecated_at=deprecated_at, sunset_at=sunset_at)
            for pk, deprecated_at, sunset_at in ends.values_list("pk", "deprecated_at", "sunset_at")
        }


def bound_version(version: SchemaVersion) -> BoundVersion:
    return BoundVersion(
        version_id=version.pk,
        subject=version.subject.name,
        number=version.number,
        fingerprint=version.content.fingerprint,
        resolved_fingerprint=version.resolved_fingerprint,
        document=version.content.document,
        references=stored_references(version.content.canonical),
    )


def _tokens() -> dict[str, AccessToken]:
    """Those that are alive; what is not here is looked up in the database, and refused there."""
    alive = AccessToken.objects.filter(revoked_at__isnull=True, expires_at__gt=timezone.now())
    holders = alive.select_related("user", "consumer")
    return {token.digest: token for token in holders if _is_active(token)}


def _is_active(token: AccessToken) -> bool:
    holder = token.user.is_active if token.user else token.consumer.active  # type: ignore[union-attr]
    return bool(holder)


def _live_members() -> Any:
    return (
        ReleaseMember.objects.filter(
            release__rollouts__isnull=False, release__rollouts__ended_at__isnull=True
        )
        .select_related("release__bundle")
        .annotate(
            mode=F("release__rollouts__mode"),
            rollout_id=F("release__rollouts__pk"),
            consumer_id=F("release__rollouts__consumer_id"),
            ramp_percent=F("release__rollouts__ramp_percent"),
        )
    )


def _grouped(pairs: Any) -> dict[int, frozenset[int]]:
    found: dict[int, set[int]] = defaultdict(set)
    for consumer_id, other in pairs:
        found[consumer_id].add(other)
    return {consumer_id: frozenset(others) for consumer_id, others in found.items()}


def _in_use(snapshot: Snapshot) -> dict[int, BoundVersion]:
    plain = {bound.version_id: bound for bound in snapshot.newest.values()}
    for governed in snapshot.governed.values():
        for bound in (governed.strict, governed.canary):
            if bound is not None and bound.version_id not in plain:
                plain[bound.version_id] = replace(
                    bound,
                    rollout_id=None,
                    release_id=None,
                    bundle="",
                    release=None,
                    release_fingerprint="",
                )
    return plain


def _refresh() -> None:
    _kept.refreshed()


_kept = _Kept()
_rounds = Rounds("snapshot", _refresh, lambda: settings.SEAMLESS_SNAPSHOT_SECONDS)
