"""What the database itself refuses to do to jobs and shards, whoever asks."""

from dataclasses import dataclass

from registry.safety_net import Governed
from registry.triggers import Immutable, Refuse, Trigger, protect


@dataclass(frozen=True, slots=True)
class RefuseOnSQLite(Refuse):
    """A rule for which PostgreSQL has a constraint that concurrent transactions cannot pass."""

    def triggers(self, vendor: str) -> list[Trigger]:
        return Refuse.triggers(self, vendor) if vendor == "sqlite" else []


JOB = "coordinator.BackfillJob"
SHARD = "coordinator.BackfillShard"
ACTIVE = "('pending', 'running', 'paused')"
ENDED = "('done', 'violation')"
OVERLAPS = "another active job of this node, interval and bound version overlaps the range"
OVERLAP = f"""SELECT 1 FROM {{other:{JOB}}}
    WHERE {{new.state}} IN {ACTIVE} AND {{other:{JOB}.state}} IN {ACTIVE}
    AND {{other:{JOB}.node}} = {{new.node}} AND {{other:{JOB}.interval}} = {{new.interval}}
    AND {{other:{JOB}.bound_version}} = {{new.bound_version}}
    AND {{other:{JOB}.range_start}} <= {{new.range_end}}
    AND {{new.range_start}} <= {{other:{JOB}.range_end}}"""

PROTECTIONS = (
    Immutable(JOB, fields=("node", "interval", "bound_version", "range_start", "range_end")),
    Immutable(SHARD, fields=("job", "range_start", "range_end")),
    # An inserted row has no id yet to be told from the others by, hence two rules.
    RefuseOnSQLite(JOB, "one_active_job", f"EXISTS ({OVERLAP})", OVERLAPS, on=("insert",)),
    RefuseOnSQLite(
        JOB,
        "one_active_job",
        f"EXISTS ({OVERLAP} AND {{other:{JOB}.id}} <> {{new.id}})",
        OVERLAPS,
        on=("update",),
    ),
    Refuse(
        SHARD,
        name="epoch_falls",
        message="an epoch only ever rises",
        when="{new.epoch} < {old.epoch}",
        on=("update",),
    ),
    Refuse(
        SHARD,
        name="reopened",
        message="a shard that has ended opens again only under a new epoch",
        when=f"{{old.state}} IN {ENDED} AND {{new.state}} <> {{old.state}} "
        "AND {new.epoch} = {old.epoch}",
        on=("update",),
    ),
)

protect(*PROTECTIONS, Governed("coordinator.SourceLimit"))
