"""A record as one flat row, from the texts that are hashed."""

import json
from collections.abc import Sequence
from typing import Any, BinaryIO, Protocol

from registry.audit.export import Row

COLUMNS = (
    "seq",
    "at",
    "actor_kind",
    "actor_id",
    "actor_name",
    "actor_roles",
    "source",
    "action",
    "object_type",
    "object_id",
    "outcome",
    "reason",
    "before",
    "after",
    "request_id",
    "correlation_id",
    "leaf",
)


def flat(row: Row) -> dict[str, Any]:
    """The columns as texts and a number; states as JSON texts; None for what was taken out."""
    payload = json.loads(row.payload) if row.payload is not None else {}
    personal = json.loads(row.personal) if row.personal is not None else payload
    actor, thing = personal.get("actor", {}), payload.get("object", {})
    return {
        "seq": row.seq,
        "at": payload.get("at"),
        "actor_kind": payload.get("actor", {}).get("kind"),
        "actor_id": actor.get("id"),
        "actor_name": actor.get("name"),
        "actor_roles": " ".join(payload.get("actor", {}).get("roles", ())) or None,
        "source": personal.get("source"),
        "action": payload.get("action"),
        "object_type": thing.get("type"),
        "object_id": thing.get("id") if thing.get("id") is not None else personal.get("object"),
        "outcome": payload.get("outcome"),
        "reason": payload.get("reason"),
        "before": state_text(payload.get("before")),
        "after": state_text(payload.get("after")),
        "request_id": payload.get("request_id"),
        "correlation_id": payload.get("correlation_id"),
        "leaf": row.leaf.hex(),
    }


def state_text(state: Any) -> str | None:
    return None if state is None else json.dumps(state, ensure_ascii=False, sort_keys=True)


class ViewWriter(Protocol):
    """Written like an export (`registry.audit.export.ExportWriter`), its frame left out."""

    def __init__(self, out: BinaryIO) -> None: ...

    def begin(self, *_: Any, **__: Any) -> None: ...

    def rows(self, rows: Sequence[Row]) -> None: ...

    def end(self, *_: Any, **__: Any) -> None: ...
