"""OCSF (schema.ocsf.io), as JSON Lines: each record an API Activity event, for security tools."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any, BinaryIO

from registry.audit.export import Row
from registry.audit.views.flat import flat

VERSION = "1.3.0"
CATEGORY, CLASS = 6, 6003  # Application Activity, API Activity
ACTIVITIES = {"create": 1, "read": 2, "update": 3, "delete": 4, "other": 99}
_VERBS = {
    "create": ("add", "create", "issue", "propose", "register", "request", "subscribe", "grant"),
    "read": ("export", "read", "download"),
    "update": ("approve", "change", "promote", "reject", "renew", "save", "submit", "roll_back"),
    "delete": ("delete", "drop_payloads", "erase_person", "remove", "revoke", "withdraw"),
}
_ACTIVITY_OF = {verb: activity for activity, verbs in _VERBS.items() for verb in verbs}
_SEVERITIES = {"ok": (1, "Informational"), "failed": (3, "Medium")}
_REFUSED = (2, "Low")


class OcsfWriter:
    def __init__(self, out: BinaryIO) -> None:
        self._out = out

    def begin(self, origin: str, *_: Any, **__: Any) -> None:
        self._origin = origin

    def rows(self, rows: Sequence[Row]) -> None:
        # A record whose payload was dropped has nothing left that OCSF asks for.
        lines = [
            json.dumps(ocsf_event(flat(row), self._origin), ensure_ascii=False)
            for row in rows
            if row.payload is not None
        ]
        self._out.write("".join(f"{line}\n" for line in lines).encode())

    def end(self, *_: Any, **__: Any) -> None:
        """Nothing: every line stands for itself."""


def ocsf_event(row: dict[str, Any], origin: str) -> dict[str, Any]:
    activity = _ACTIVITY_OF.get(row["action"].rpartition(".")[2], "other")
    severity = _SEVERITIES.get(row["outcome"], _REFUSED)
    done = row["outcome"] == "ok"
    return {
        "category_uid": CATEGORY,
        "class_uid": CLASS,
        "activity_id": ACTIVITIES[activity],
        "type_uid": CLASS * 100 + ACTIVITIES[activity],
        "category_name": "Application Activity",
        "class_name": "API Activity",
        "activity_name": activity.capitalize(),
        "severity_id": severity[0],
        "severity": severity[1],
        "status_id": 1 if done else 2,
        "status": "Success" if done else "Failure",
        "status_code": row["outcome"],
        "status_detail": row["reason"],
        "time": _milliseconds(row["at"]),
        "actor": {"user": _user(row)},
        "api": {"operation": row["action"], "request": {"uid": row["request_id"] or ""}},
        "resources": [{"type": row["object_type"], "name": row["object_id"] or ""}],
        "src_endpoint": _endpoint(row["source"]),
        "metadata": _metadata(row, origin),
        "unmapped": {name: row[name] for name in ("before", "after", "leaf", "outcome")},
    }


def _user(row: dict[str, Any]) -> dict[str, Any]:
    if row["actor_name"] is None:
        return {"type_id": 0, "type": "Unknown", "name": "erased"}
    kinds = {"user": (1, "User"), "system": (3, "System"), "consumer": (99, "Consumer")}
    type_id, kind = kinds.get(row["actor_kind"], (0, "Unknown"))
    roles = (row["actor_roles"] or "").split()
    return {
        "type_id": type_id,
        "type": kind,
        "uid": row["actor_id"],
        "name": row["actor_name"],
        "groups": [{"name": role} for role in roles],
    }


def _endpoint(source: str | None) -> dict[str, Any]:
    """An address, or the name of what is none (`cli`)."""
    if source and (":" in source or source.replace(".", "").isdecimal()):
        return {"ip": source}
    return {"name": source or "unknown"}


def _metadata(row: dict[str, Any], origin: str) -> dict[str, Any]:
    return {
        "version": VERSION,
        "product": {"name": "Seamless", "vendor_name": "Seamless"},
        "log_name": origin,
        "uid": row["leaf"],
        "sequence": row["seq"],
        "correlation_uid": row["correlation_id"] or "",
        "original_time": row["at"],
    }


def _milliseconds(at: str) -> int:
    return int(datetime.fromisoformat(at).timestamp() * 1000)
