"""What a proposal's page shows beside its verdict: diff, impact, replay, waivers."""

import json
from collections.abc import Sequence
from typing import Any

from django.utils import timezone

from registry.admin.panels import Panel, label, moment, visible
from registry.diff import SchemaChange
from registry.models import Proposal, Waiver
from registry.services.impact import Impact, changes_of, impact_of
from registry.services.replay_rules import last_replay
from registry.services.replays import report_of
from registry.services.waivers import state_of

MOST_CHARACTERS = 200
SHOWN_PLACES = 3


def difference(proposal: Proposal) -> Panel:
    """One line per place of the schema."""
    before, changes = changes_of(proposal)
    if before is None:
        return Panel(title="Difference", note="There is no earlier version to compare with.")
    if not changes:
        return Panel(title="Difference", note=f"Nothing is written differently in {before}.")
    return Panel(
        title=f"Difference from version {before.number}",
        headers=("", "Where", "Before", "After"),
        rows=[
            (
                _SIGNS[change.kind],
                visible(_place(change)),
                visible(_text(change.before)),
                visible(_text(change.after)),
            )
            for change in changes
        ],
    )


def touched(proposal: Proposal) -> Sequence[Panel]:
    impact = impact_of(proposal, now=timezone.now())
    changed = ", ".join(impact.properties) or "none"
    if impact.every_property:
        changed += " (and rules that concern the row as a whole)"
    return (
        Panel(
            title="Impact",
            headers=("Changed properties", "Bundles", "Nodes", "Consumers", "Reads touched"),
            rows=[
                (
                    visible(changed),
                    ", ".join(impact.bundles),
                    ", ".join(impact.nodes),
                    ", ".join(impact.consumers),
                    _usage(impact),
                )
            ],
        ),
    )


def replayed(proposal: Proposal) -> Sequence[Panel]:
    run = last_replay(proposal)
    if run is None:
        wanted = proposal.subject.get_replay_display()
        return (Panel(title="Shadow replay", note=f"None of this content yet. {wanted}."),)
    report = report_of(run)
    summary = Panel(
        title="Shadow replay",
        headers=("State", "Shards", "Rows", "Refused", "Finished", "Errors"),
        rows=[
            (
                label(report["state"]),
                f"{report['shards_done']} of {report['shards']}",
                f"{report['rows']:,}",
                f"{report['invalid']:,}",
                moment(report["finished_at"]),
                visible("; ".join(report["errors"])[:MOST_CHARACTERS]),
            )
        ],
    )
    if not report["failures"]:
        return (summary,)
    failures = Panel(
        title="Refused in the replay",
        headers=("Column", "Keyword", "Rows", "First places"),
        rows=[
            (
                visible(one["column"] or "(row)"),
                one["keyword"],
                f"{one['count']:,}",
                visible("; ".join(_shown(place) for place in one["places"][:SHOWN_PLACES])),
            )
            for one in report["failures"]
        ],
    )
    return (summary, failures)


def waived(proposal: Proposal) -> Sequence[Panel]:
    found = proposal.waivers.select_related("requested_by", "granted_by", "proposal").order_by("pk")
    if not found:
        return ()
    now = timezone.now()
    return (
        Panel(
            title="Waivers",
            headers=("Rule", "State", "Asked by", "Granted by", "Ends", "Reason"),
            rows=[
                (
                    waiver.rule,
                    label(state_of(waiver, now)),
                    str(waiver.requested_by),
                    str(waiver.granted_by or ""),
                    moment(waiver.expires_at),
                    visible(waiver.reason),
                )
                for waiver in found
            ],
        ),
    )


def open_waivers(proposal: Proposal) -> list[Waiver]:
    """Those that wait for a second person, the oldest first."""
    now = timezone.now()
    found = proposal.waivers.select_related("proposal").order_by("pk")
    return [waiver for waiver in found if state_of(waiver, now) == "requested"]


def _usage(impact: Impact) -> str:
    days = f"in {impact.usage_days} days"
    if not impact.reads:
        return f"none was made {days}"
    share = f"{impact.touching_reads:,} of {impact.reads:,} {days} ({impact.touching_share:.1%})"
    who = ", ".join(impact.touching_consumers)
    return f"{share}: {who}" if who else share


_SIGNS = {"added": "+", "removed": "-", "changed": "±"}


def _place(change: SchemaChange) -> str:
    pointer = change.new_pointer if change.new_pointer is not None else change.old_pointer
    renamed = f" (perhaps {change.renamed_from} renamed)" if change.renamed_from else ""
    return (pointer or "(root)") + renamed


def _text(value: Any) -> str:
    if value is None:
        return ""
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= MOST_CHARACTERS else text[: MOST_CHARACTERS - 1] + "…"


def _shown(place: dict[str, Any]) -> str:
    key = ", ".join(f"{name} {value}" for name, value in place["key"].items())
    where = " at ".join(part for part in (key, place["time"]) if part)
    return f"{where}: {place['value']}" if place["value"] is not None else where
