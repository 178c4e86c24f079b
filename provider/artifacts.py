"""Published artefacts, looked up: which there are, which answers a read, whether one is whole."""

from datetime import datetime
from pathlib import Path

from django.conf import settings

from coordinator.coverage import Window
from provider.artifact_files import ArtifactStore, artifact_directory, check_artifact
from provider.models import Artifact
from registry.errors import NotFound
from registry.frame import Frame
from registry.models import Node


def newest_covering(node: Node, window: Window, *, world: str, as_of: datetime) -> Artifact | None:
    """What answers a read of the window as of then; None where nothing was published for it."""
    return Artifact.objects.newest_covering(node, window, world=world, as_of=as_of)


def artifacts_of(
    node: Node, *, before: int | None = None, limit: int | None = None
) -> list[Artifact]:
    """The node's artefacts, newest publication first."""
    found = Artifact.objects.filter(node=node).select_related("node")
    if before is not None:
        found = found.filter(pk__lt=before)
    return list(found[:limit])


def artifact_of(node: Node, address: str) -> Artifact:
    found = Artifact.objects.filter(node=node, address=address).select_related("node").first()
    if found is None:
        raise NotFound(f"There is no artefact {address!r} of {node.node_id}.")
    return found


def directory_of(artifact: Artifact) -> Path:
    node = artifact.node
    root = Path(settings.SEAMLESS_ARTIFACT_DIR)
    return artifact_directory(root, node.node_id, node.interval, artifact.address)


def unlisted(node: Node) -> list[Path]:
    """Directories among the node's artefacts that no artefact is of.

    Left by a publication that died before its commit, or by one of a newer database than this one:
    which of the two only people know, so nobody removes them.
    """
    root = Path(settings.SEAMLESS_ARTIFACT_DIR)
    place = artifact_directory(root, node.node_id, node.interval, "")
    listed = {directory_of(one) for one in artifacts_of(node)}
    return sorted(set(place.iterdir()) - listed) if place.is_dir() else []


def open_artifact(artifact: Artifact, frame: Frame) -> ArtifactStore:
    return ArtifactStore(directory_of(artifact), artifact.address, frame)


def verify_artifact(artifact: Artifact) -> None:
    """Compare every byte with what was published. Raises ArtifactDamaged."""
    check_artifact(directory_of(artifact), artifact.address)
