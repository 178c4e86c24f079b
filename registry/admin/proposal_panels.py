"""What a proposal's page shows of the proposal itself: verdict, witness, changes, lint, reviews."""

from collections.abc import Mapping, Sequence
from typing import Any

from registry.admin.panels import BAD, GOOD, WARN, Panel, label, moment, pretty_json, visible
from registry.models import Proposal
from registry.services import proposals

ROOT = "(root)"
BREAKS_COLOURS = {"none": GOOD, "backward": WARN, "forward": WARN, "both": BAD}


def verdict_of(report: Mapping[str, Any]) -> str:
    return str(report.get("verdict", "unknown"))


def summary(proposal: Proposal) -> Panel:
    report = proposal.compatibility_report
    return Panel(
        title="At a glance",
        headers=("State", "Compatibility", "Level", "Approvals", "Author", "Reason"),
        rows=[
            (
                label(proposal.state),
                label(verdict_of(report)),
                str(report.get("level", "")),
                proposals.approval_standing(proposal).sentence,
                str(proposal.author),
                visible(proposal.reason),
            )
        ],
    )


def witness_panels(report: Mapping[str, Any]) -> Sequence[Panel]:
    """What shows or hides the verdict: a row that breaks, and what could not be proven."""
    panels = []
    witness = report.get("witness")
    if witness is not None:
        note = witness.get("message") or "On this row the old and the new schema disagree:"
        panels.append(
            Panel(title="Witness", note=visible(note), code=pretty_json(witness["document"]))
        )
    reasons = report.get("reasons", ())
    if reasons:
        panels.append(Panel(title="Not proven", note=visible(" ".join(reasons))))
    return panels


def changes_of(report: Mapping[str, Any]) -> Panel:
    """One line per JSON pointer."""
    changes = report.get("changes", ())
    if not changes:
        return Panel(title="Changes", note="None.")
    return Panel(
        title="Changes",
        headers=("Where", "What", "Breaks", "How to mend it"),
        rows=[
            (
                _pointer(change),
                visible(change["message"]),
                label(change["breaks"], BREAKS_COLOURS),
                visible(change["fix"] or ""),
            )
            for change in changes
        ],
    )


def _pointer(change: Mapping[str, Any]) -> str:
    found = change["new_pointer"] if change["old_pointer"] is None else change["old_pointer"]
    return visible(found or ROOT)


def lint_panel(findings: Sequence[Mapping[str, Any]]) -> Panel:
    if not findings:
        return Panel(title="Lint", note="None.")
    return Panel(
        title="Lint",
        headers=("Where", "What", "How to mend it"),
        rows=[
            (
                visible(finding["pointer"] or ROOT),
                visible(finding["message"]),
                visible(finding["fix"] or ""),
            )
            for finding in findings
        ],
    )


def reviews_of(proposal: Proposal) -> Panel:
    reviews = proposal.reviews.select_related("reviewer", "team").order_by("created_at")
    if not reviews:
        return Panel(title="Reviews", note="None yet.")
    return Panel(
        title="Reviews",
        headers=("Reviewer", "For the team", "Decision", "Revision", "Comment", "At"),
        rows=[
            (
                str(r.reviewer),
                str(r.team or ""),
                r.decision,
                _revision(r.revision, proposal),
                visible(r.comment),
                moment(r.created_at),
            )
            for r in reviews
        ],
    )


def _revision(revision: int, proposal: Proposal) -> str:
    return str(revision) if revision == proposal.revision else f"{revision} (expired)"
