"""What pages are made of besides fields: panels with tables, JSON, labels; two-line cells."""

import json
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db.models import Model
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

GOOD, BAD, WARN, INFO, PLAIN = "success", "danger", "warning", "info", "default"

STATE_COLOURS = {
    "draft": PLAIN,
    "in_review": INFO,
    "approved": GOOD,
    "rejected": BAD,
    "withdrawn": PLAIN,
    "deprecated": WARN,
    "retired": PLAIN,
    "canary": WARN,
    "strict": GOOD,
    "live": GOOD,
    "ended": PLAIN,
    "active": GOOD,
    "revoked": BAD,
    "expired": WARN,
    "compatible": GOOD,
    "incompatible": BAD,
    "not_proven": WARN,
    "ok": GOOD,
    "denied": BAD,
    "refused": BAD,
    "failed": BAD,
    "sealed": GOOD,
    "recorded": WARN,
    "queued": PLAIN,
    "running": INFO,
    "done": GOOD,
    "open": GOOD,
    "closed": WARN,
    "requested": WARN,
    "granted": GOOD,
    "cancelled": PLAIN,
    "governed": GOOD,
    "ungoverned": WARN,
}


@dataclass(frozen=True, slots=True)
class Panel:
    """One box of a page: a line of text, or a table, or a block of code, under a title."""

    title: str
    note: str | SafeString = ""
    code: str = ""
    headers: Sequence[str] = ()
    rows: Sequence[Sequence[Any]] = field(default=())

    @property
    def table(self) -> Mapping[str, Any] | None:
        """As Unfold's table component takes it."""
        return {"headers": self.headers, "rows": self.rows} if self.headers else None


def label(state: str, colours: Mapping[str, str] = STATE_COLOURS) -> SafeString:
    """A state as a coloured label, for places where Unfold's list labels do not reach."""
    colour = colours.get(state, PLAIN)
    return format_html(
        '<span class="seamless-label seamless-label-{}">{}</span>', colour, state.replace("_", " ")
    )


def link(target: Model, text: str = "") -> SafeString:
    """A link to the object's page."""
    meta = target._meta
    address = reverse(f"admin:{meta.app_label}_{meta.model_name}_change", args=[target.pk])
    return format_html('<a class="text-link" href="{}">{}</a>', address, text or str(target))


def moment(at: datetime | None) -> str:
    """An instant to the second, in UTC (the project's only time zone)."""
    return "" if at is None else f"{at:%Y-%m-%d %H:%M:%S} UTC"


def brief(fingerprint: str) -> str:
    """`sha256:` and the first twelve digits: enough to recognise, not to compare."""
    return fingerprint[:19] + "…"


def pretty_json(value: Any) -> str:
    """JSON to be read by a person, with nothing invisible in it.

    Format and control characters (bidirectional overrides, zero-width spaces) are written as
    escapes: a reviewer must see what they approve.
    """
    return visible(json.dumps(value, indent=2, ensure_ascii=False, sort_keys=True))


def visible(text: str) -> str:
    return "".join(c if c == "\n" or _is_visible(c) else _escaped(c) for c in text)


def _is_visible(character: str) -> bool:
    return unicodedata.category(character) not in {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}


def _escaped(character: str) -> str:
    return json.dumps(character)[1:-1]
