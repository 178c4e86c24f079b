"""What the registry says of a candidate by itself: compatibility, frame, advice."""

from dataclasses import asdict
from typing import Any

from registry.audit.events import recordable
from registry.compatibility import CompatibilityReport, check_compatibility
from registry.errors import Unprocessable
from registry.frame import frame_of
from registry.lint import lint
from registry.models import Compatibility, SchemaVersion, Subject, VersionState
from registry.services.references import stored_references


class FrameChanged(Unprocessable):
    code = "frame_changed"
    title = "Time, unit or key changed"


def latest_version(subject: Subject) -> SchemaVersion | None:
    """The newest approved version: what backfills are bound to."""
    return (
        subject.versions.filter(state=VersionState.APPROVED)
        .select_related("content", "subject")
        .order_by("-number")
        .first()
    )


def compatibility_of(subject: Subject, document: dict[str, Any], canonical: str) -> dict[str, Any]:
    """The report against what the subject's level asks for, and which versions that was."""
    level = subject.compatibility
    versions = subject.versions.exclude(state=VersionState.RETIRED).select_related("content")
    earlier = list(versions.order_by("number"))
    against = [version.number for version in earlier]
    if not earlier or level == Compatibility.NONE:
        nothing: dict[str, Any] = {
            "verdict": "compatible",
            "witness": None,
            "reasons": [],
            "changes": [],
        }
        return {"level": level, "against": against, **nothing}
    contents = [version.content for version in earlier]
    report = check_compatibility(
        [content.document for content in contents],
        document,
        level,
        references=stored_references("\n".join([canonical, *(c.canonical for c in contents)])),
    )
    # A witness may hold a NUL, which PostgreSQL's jsonb does not take.
    facts: dict[str, Any] = recordable(
        {"level": level, "against": against, **report_as_json(report)}
    )
    return facts


def is_current(subject: Subject, report: dict[str, Any]) -> bool:
    """Whether a report was made under the level and the versions of now."""
    versions = subject.versions.exclude(state=VersionState.RETIRED).order_by("number")
    numbers = list(versions.values_list("number", flat=True))
    return report.get("level") == subject.compatibility and report.get("against") == numbers


def advice_on(document: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = recordable([asdict(finding) for finding in lint(document)])
    return found


def refuse_new_frame(subject: Subject, document: dict[str, Any]) -> None:
    """Time, unit and key say what a row is; another frame is another subject."""
    last = latest_version(subject)
    if last is None:
        return
    before, after = frame_of(last.content.document), frame_of(document)
    for name in ("time", "unit", "key"):
        old, new = getattr(before, name), getattr(after, name)
        if old != new:
            raise FrameChanged(
                f"x-seamless.{name} changes from {old!r} to {new!r}; rows would mean something "
                "else. Open a new subject for them.",
                errors=[{"pointer": f"/x-seamless/{name}", "code": "frame_changed"}],
            )


def report_as_json(report: CompatibilityReport) -> dict[str, Any]:
    return {
        "verdict": report.verdict,
        "witness": None if report.witness is None else asdict(report.witness),
        "reasons": list(report.reasons),
        "changes": [asdict(change) for change in report.changes],
    }
