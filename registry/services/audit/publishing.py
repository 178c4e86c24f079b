"""Publishing checkpoints outside the database, and comparing the database with them."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path
from subprocess import SubprocessError
from typing import Protocol

from django.conf import settings

from registry.audit.checkpoint import Checkpoint
from registry.audit.git_publication import CheckpointRepository
from registry.audit.publication import CheckpointFolder
from registry.errors import Unavailable
from registry.models.audit import AuditCheckpoint
from registry.services.audit.head import AuditLogForked, latest_checkpoint, log_origin
from registry.services.audit.tree import stored_edge


class CheckpointsUnavailable(Unavailable):
    """A place of published checkpoints cannot be used, so nothing can be sealed."""

    code = "audit_checkpoints_unavailable"
    title = "Audit checkpoints unavailable"


class Publication(Protocol):
    """A place outside the database that holds the last published checkpoint."""

    @property
    def place(self) -> str:
        """What a person must look at: a file, or a repository."""

    @property
    def setting(self) -> str:
        """The environment variable that names the place."""

    def last(self) -> Checkpoint | None:
        """None before the first. ValueError where it is damaged."""

    def publishing(self) -> AbstractContextManager[None]:
        """One publisher at a time."""

    def is_due(self, now: datetime) -> bool:
        """Whether the place wants a newer checkpoint already."""

    def write(self, note: str) -> None:
        """Make this signed note the last one, durably."""


def publications() -> Sequence[Publication]:
    found: list[Publication] = [CheckpointFolder(Path(settings.SEAMLESS_CHECKPOINT_DIR))]
    if settings.SEAMLESS_CHECKPOINT_GIT:
        found.append(
            CheckpointRepository(
                Path(settings.SEAMLESS_CHECKPOINT_GIT),
                every=settings.SEAMLESS_CHECKPOINT_GIT_SECONDS,
                remote=settings.SEAMLESS_CHECKPOINT_GIT_REMOTE,
            )
        )
    return found


def refuse_fork() -> None:
    """Raise `AuditLogForked` unless the database continues every published checkpoint."""
    for publication in publications():
        _refuse_fork_from(publication, _last(publication))


def publish(*, now: datetime) -> None:
    """Bring every place up to the head in the database; a late process does no harm."""
    for publication in publications():
        _publish(publication, now)


def _publish(publication: Publication, now: datetime) -> None:
    if _last(publication) == latest_checkpoint() or not publication.is_due(now):
        return
    try:
        with publication.publishing():
            published = _last(publication)
            head = AuditCheckpoint.objects.order_by("-size").first()
            _refuse_fork_from(publication, published)
            if head is not None and head.size > (published.size if published else 0):
                publication.write(head.note)
    except (OSError, SubprocessError) as error:
        raise _unusable(publication, error) from error


def _refuse_fork_from(publication: Publication, published: Checkpoint | None) -> None:
    if published is None:
        return
    edge = stored_edge(published.size)
    if published.origin != log_origin() or edge is None or edge.root() != published.root:
        held = latest_checkpoint().size
        raise AuditLogForked(
            f"the published checkpoint has {published.size} records of {published.origin!r};"
            f" this database ({held} records of {log_origin()!r}) does not continue it: it was"
            f" restored, rewritten or replaced, and nothing is sealed. Keep {publication.place}: it"
            " proves the fork. Only when that is settled, move it away to go on from here.",
            published=published.size,
            held=held,
        )


def _last(publication: Publication) -> Checkpoint | None:
    try:
        return publication.last()
    except (OSError, ValueError, SubprocessError) as error:
        raise _unusable(publication, error) from error


def _unusable(publication: Publication, error: Exception) -> CheckpointsUnavailable:
    return CheckpointsUnavailable(
        f"published checkpoints in {publication.place}: {error}. Records wait unsealed until this"
        f" is repaired ({publication.setting})."
    )
