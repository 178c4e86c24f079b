"""The gate of the execution domains, before anything is read.

`backtest` and `dryrun` need an `as_of` and an artefact, and are answered from it alone. `live` and
`shadow` reads that name an `as_of` only ever advance it, per world and node; one that goes back is
answered and held.
"""

from dataclasses import replace

import structlog

from provider.artifacts import newest_covering, open_artifact
from provider.as_of import advance
from provider.metrics import DOMAIN_HOLDS
from provider.requests import ReadRequest
from provider.stores.opening import open_store
from provider.stores.protocol import Readable
from provider.viewpoint import (
    ArtifactRequired,
    AsOfRequired,
    SeamlessDomainPolicyError,
    checked_moment,
    checked_world,
    moment_text,
)
from registry.frame import Frame

log = structlog.get_logger("seamless.domain_gate")


def enter(request: ReadRequest) -> ReadRequest:
    """The request as its domain lets it read.

    Raises AsOfRequired and ArtifactRequired (SeamlessDomainPolicyError), and InvalidInput.
    """
    bound = bound_to_artifact(request)
    if bound.as_of is None or bound.domain.reads_artifacts:
        return bound
    return replace(bound, regressed=not advance(bound.node, bound.world, bound.as_of))


def bound_to_artifact(request: ReadRequest) -> ReadRequest:
    """With what the domain is answered from; a live or shadow read needs nothing. Raises likewise.

    A request that has its artefact keeps it, so that all that is said of one answer is of one.
    """
    checked_world(request.world)
    if request.as_of is not None:
        request = replace(request, as_of=checked_moment(request.as_of, request.now))
    if not request.domain.reads_artifacts or request.artifact is not None:
        return request
    if request.as_of is None:
        raise _refused(request, "missing_as_of", AsOfRequired())
    artifact = newest_covering(
        request.node, request.window, world=request.world, as_of=request.as_of
    )
    if artifact is None:
        raise _refused(request, "missing_artifact", ArtifactRequired())
    return replace(request, artifact=artifact)


def store_for(request: ReadRequest, frame: Frame) -> Readable:
    """Where the rows of this request are read. Raises ArtifactRequired for one past the gate."""
    if request.artifact is not None:
        return open_artifact(request.artifact, frame)
    if request.domain.reads_artifacts:
        raise ArtifactRequired
    return open_store(request.node, frame)


def _refused(
    request: ReadRequest, reason: str, refusal: SeamlessDomainPolicyError
) -> SeamlessDomainPolicyError:
    node, window = request.node, request.window
    DOMAIN_HOLDS.labels(node.node_id, str(node.interval), reason).inc()
    log.warning(
        f"seamless.domain_gate.{reason}",
        node_id=node.node_id,
        interval=node.interval,
        start=window.start,
        end=window.end,
        execution_domain=request.domain.value,
        world_id=request.world,
        requested_as_of=request.as_of and moment_text(request.as_of),
    )
    return refusal
