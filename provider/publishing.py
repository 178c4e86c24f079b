"""Publishing an artefact: a checked window of a node, kept as it was known at a moment.

The window is read as a strict read is, also its missing bars are fetched, and written beside its
place while it is checked. Only when all of it has passed is it put there, in the transaction of its
row and its audit record; whatever dies before leaves nothing that anybody reads.
"""

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from time import monotonic
from typing import Any, ClassVar

from django.conf import settings

from coordinator.coverage import Window
from provider.artifact_files import (
    DATA,
    FORMAT,
    artifact_directory,
    file_facts,
    put_in_place,
    staging,
)
from provider.conformance import Examined
from provider.exporting import Exported, export
from provider.fingerprints import FingerprintStream
from provider.models import Artifact
from provider.node_view import grid_of, newest_ended_bar
from provider.observing import observe_publication
from provider.requests import NoData, ReadRequest, Strategy
from provider.streaming import WRITERS
from provider.viewpoint import checked_moment, checked_world, moment_text
from registry.actors import Actor
from registry.canonical import fingerprint
from registry.errors import Conflict, InvalidInput, NotFound, SeamlessError
from registry.frame import frame_of
from registry.models import Node, Release, SchemaVersion
from registry.services.actions import audited_action
from registry.services.nodes import locked_node, node_for
from registry.services.proposals import latest_version
from registry.services.releases import release_of
from registry.services.resolution import BoundVersion, Resolution
from registry.services.snapshot import bound_version


class ArtifactExists(Conflict):
    """What was published of a window as of a moment stands: a later state needs a later moment."""

    code: ClassVar[str] = "artifact_exists"
    title: ClassVar[str] = "Artifact exists"


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is to be published: the bars of the closed [start, end] (epoch seconds) of a node.

    `as_of` is the moment whose knowledge it is (None: now); no bar of the window may end later.
    `release` (`bundle/number`) is what it is held to, else the subject's newest version.
    `partial_ok`: quality findings and missing bars are written into the manifest, not refused.
    """

    node_id: str
    start: int
    end: int
    as_of: datetime | None = None
    world: str = ""
    release: str = ""
    partial_ok: bool = False


@dataclass(frozen=True, slots=True)
class _Publication:
    """An order that was understood: what is read, and what it is published as."""

    request: ReadRequest
    as_of: datetime
    world: str
    release: Release | None


def publish_artifact(*, actor: Actor, order: Order, now: datetime) -> Artifact:
    """Read, check and write the window, once. For owners of the subject and operators of its team.

    The same content as of the same moment comes back as it is. Raises NotFound, NotAllowed,
    InvalidInput, ArtifactExists, MixedTypes, ArtifactDamaged, and what a read raises.
    """
    root, began = Path(settings.SEAMLESS_ARTIFACT_DIR), monotonic()
    with staging(root) as folder:
        with _recording_refusals(actor, order, now):
            publication = _understood(actor, order, now)
            manifest = _written(folder, publication)
        address = fingerprint(manifest)
        with _action(actor, order, now) as entry:
            node = locked_node(order.node_id)
            entry.after = _facts(manifest, address)
            if (published := Artifact.objects.filter(address=address).first()) is not None:
                return published
            _refuse_rewriting(publication)
            place = artifact_directory(root, node.node_id, node.interval, address)
            put_in_place(folder, manifest, place)
            made = _row(publication, manifest, address, now)
    observe_publication(made, monotonic() - began)
    return made


# --- inside -------------------------------------------------------------------------------------


def _action(actor: Actor, order: Order, now: datetime) -> Any:
    return audited_action(
        "artifact.publish", actor=actor, object_type="node", object_id=order.node_id, now=now
    )


@contextmanager
def _recording_refusals(actor: Actor, order: Order, now: datetime) -> Iterator[None]:
    """Reading and writing take long and wait: outside the transaction, and on record if refused."""
    try:
        yield
    except SeamlessError:
        with _action(actor, order, now):
            raise


def _understood(actor: Actor, order: Order, now: datetime) -> _Publication:
    node = node_for(actor=actor, node_id=order.node_id)
    as_of = now if order.as_of is None else checked_moment(order.as_of, now)
    window = grid_of(node).snap(order.start, order.end) if order.start <= order.end else None
    if window is None:
        raise InvalidInput(
            f"No bar of {order.node_id} lies in [{order.start}, {order.end}].", parameter="start"
        )
    if window.end > newest_ended_bar(node, min(as_of, now)):
        raise InvalidInput(
            f"The bar {window.end} of {order.node_id} is not over at {moment_text(as_of)}: "
            "what is known as of then cannot hold it.",
            parameter="end",
        )
    judge, release = _judge(node, order.release)
    if frame_of(judge.document).time is None:
        raise InvalidInput(f"The rows of {order.node_id} have no time: no window can be published.")
    request = ReadRequest(
        resolution=Resolution(node, bound=judge, strict=judge, canary=None, governed=bool(release)),
        window=window,
        actor=actor,
        now=now,
        partial_ok=order.partial_ok,
        strategy=Strategy.AUTO_BACKFILL,
    )
    return _Publication(request, as_of, checked_world(order.world), release)


def _refuse_rewriting(publication: _Publication) -> None:
    """A read as of a moment that an artefact is of must find that artefact for ever.

    So artefacts whose windows overlap follow each other in `as_of`.
    """
    request = publication.request
    window = request.window
    later = Artifact.objects.filter(
        node=request.node,
        world=publication.world,
        as_of__gte=publication.as_of,
        range_start__lte=window.end,
        range_end__gte=window.start,
    ).first()
    if later is not None:
        raise ArtifactExists(
            f"{request.node.node_id} was published as of {moment_text(later.as_of)} for "
            f"[{later.range_start}, {later.range_end}] already, which never changes: publish "
            "under a later as_of.",
            artifact=later.address,
        )


def _judge(node: Node, named: str) -> tuple[BoundVersion, Release | None]:
    """The version that the window is held to, and the release it is of."""
    if not named:
        newest = latest_version(node.subject)
        if newest is None:
            raise NotFound(f"The subject {node.subject} has no approved version yet.")
        return bound_version(newest), None
    bundle, _, number = named.rpartition("/")
    if not number.isascii() or not number.isdecimal() or len(number) > 9:
        raise InvalidInput(f"{named[:60]!r} is not a release: use bundle/number.")
    release = release_of(bundle, int(number))
    version = _member(release, node)
    judge = replace(
        bound_version(version),
        release_id=release.pk,
        bundle=release.bundle.name,
        release=release.number,
        release_fingerprint=release.fingerprint,
    )
    return judge, release


def _member(release: Release, node: Node) -> SchemaVersion:
    members = release.members.filter(subject_id=node.subject_id)
    member = members.select_related("version__content", "version__subject").first()
    if member is None:
        raise NotFound(f"The release {release} does not hold the subject {node.subject}.")
    return member.version


def _written(folder: Path, publication: _Publication) -> dict[str, Any]:
    """The window in files, and the manifest of them. Named as it will be read: joined."""
    request = publication.request
    named = FingerprintStream(grid_of(request.node))
    rows = 0

    def receive(examined: Examined, window: Window) -> None:
        nonlocal rows
        if examined.blended.rows:
            writer.add(examined.blended)
            named.add(examined.blended, {})
            rows += examined.blended.rows

    path = folder / DATA
    with path.open("wb") as file, closing(WRITERS["parquet"](file, {})) as writer:
        exported = export(request, receive)
    if exported.verdict.violation is not None:  # what storage did not say in time is not missing
        raise exported.verdict.violation
    if not rows:
        raise NoData(f"{request.node.node_id} has no row in this window: nothing to publish.")
    return _manifest(publication, exported, named.name(), [file_facts(path, rows)])


def _manifest(
    publication: _Publication,
    exported: Exported,
    dataset_fingerprint: str,
    files: list[dict[str, Any]],
) -> dict[str, Any]:
    request = publication.request
    node, window, judge = request.node, request.window, request.judge
    release = {
        "bundle": judge.bundle,
        "number": judge.release,
        "fingerprint": judge.release_fingerprint,
    }
    return {
        "format": FORMAT,
        "node_id": node.node_id,
        "range": {"start": window.start, "end": window.end},
        "interval": node.interval,
        "anchor": node.anchor,
        "schema": {
            "subject": judge.subject,
            "version": judge.number,
            "fingerprint": judge.fingerprint,
            "resolved_fingerprint": judge.resolved_fingerprint,
        },
        "release": release if judge.release_id is not None else None,
        "as_of": moment_text(publication.as_of),
        "world": publication.world,
        "dataset_fingerprint": dataset_fingerprint,
        "rows": sum(file["rows"] for file in files),
        "coverage": exported.report.coverage,
        "flags": exported.report.flags,
        "files": files,
    }


def _row(
    publication: _Publication, manifest: dict[str, Any], address: str, now: datetime
) -> Artifact:
    request = publication.request
    return Artifact.objects.create(
        node=request.node,
        version_id=request.judge.version_id,
        release=publication.release,
        address=address,
        world=publication.world,
        as_of=publication.as_of,
        range_start=request.window.start,
        range_end=request.window.end,
        rows=manifest["rows"],
        dataset_fingerprint=manifest["dataset_fingerprint"],
        manifest=manifest,
        created_at=now,
    )


def _facts(manifest: Mapping[str, Any], address: str) -> dict[str, Any]:
    told = ("range", "as_of", "world", "rows", "coverage", "dataset_fingerprint", "schema")
    return {"artifact": address, **{name: manifest[name] for name in told}}
