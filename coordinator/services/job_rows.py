"""Jobs under lock, and who may steer them."""

from django.db.models import QuerySet

from coordinator.models import BackfillJob
from registry.actors import Actor
from registry.errors import Conflict, Hidden, NotFound
from registry.models import Node, Role
from registry.services.access import require_role
from registry.services.visibility import visible


class NoSuchJob(NotFound):
    code = "no_such_backfill"


class HiddenJob(Hidden):
    """In the words of NoSuchJob."""

    code = NoSuchJob.code


class JobHasEnded(Conflict):
    code = "backfill_has_ended"


def jobs_with_context() -> QuerySet[BackfillJob]:
    """Jobs with what their answers and certificates name."""
    return BackfillJob.objects.select_related("node__subject__owner_team", "bound_version__subject")


def job_numbered(job_id: int) -> BackfillJob:
    """The job. Raises NoSuchJob."""
    job = jobs_with_context().filter(pk=job_id).first()
    if job is None:
        raise no_such_job(job_id)
    return job


def visible_jobs(actor: Actor) -> QuerySet[BackfillJob]:
    """The jobs of the nodes that the actor may see."""
    return jobs_with_context().filter(node__in=visible_nodes(actor))


def require_visible_job(actor: Actor, job_id: int) -> None:
    """Raises NoSuchJob, or HiddenJob."""
    if not visible_jobs(actor).filter(pk=job_id).exists():
        raise HiddenJob(no_such_job(job_numbered(job_id).pk).detail)


def visible_nodes(actor: Actor) -> QuerySet[Node]:
    return visible(actor, Node.objects.all()).order_by()


def locked_job(job_id: int) -> BackfillJob:
    """The job, its node's row and its own held until the transaction ends. Raises NoSuchJob.

    Whoever changes many shards holds their node first: so no two of them can deadlock.
    """
    lock_node(job_numbered(job_id).node_id)
    return jobs_with_context().select_for_update(of=("self",)).get(pk=job_id)


def lock_node(node_pk: int) -> None:
    """One request or decision per node at a time. (SQLite: the transaction is the lock.)"""
    Node.objects.select_for_update(no_key=True).get(pk=node_pk)


def require_operator(actor: Actor, node: Node) -> None:
    """Raises NotAllowed unless the actor is an operator of the team that owns the node."""
    require_role(actor, node.subject.owner_team, Role.OPERATOR)


def no_such_job(job_id: int) -> NoSuchJob:
    return NoSuchJob(f"There is no backfill job {job_id}.")
