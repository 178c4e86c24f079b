"""What an answer says of itself: its headers, which are also the metadata of Arrow and Parquet."""

from typing import Protocol
from urllib.parse import quote

from coordinator.services.outcomes import JobOutcome
from provider.conformance import ConformanceReport
from provider.reports import has_something_to_say, report_digest
from provider.requests import ReadRequest
from provider.verdict import Verdict
from provider.viewpoint import Viewpoint, moment_text
from registry.sunsets import sunset_headers


class Answered(Protocol):
    """An answer of either kind: held in memory, or handed on batch by batch."""

    @property
    def request(self) -> ReadRequest: ...

    @property
    def report(self) -> ConformanceReport: ...

    @property
    def verdict(self) -> Verdict: ...

    @property
    def coverage(self) -> float: ...

    @property
    def fingerprint(self) -> str: ...

    @property
    def jobs(self) -> tuple[JobOutcome, ...]: ...


def answer_headers(answer: Answered) -> dict[str, str]:
    request = answer.request
    headers = _standing_headers(request) | {
        "Seamless-Coverage": f"{answer.coverage:.6g}",
        "Seamless-Report": report_link(request, answer.report),
        "Seamless-Dataset-Fingerprint": answer.fingerprint,
    }
    if answer.verdict.reason is not None:
        headers["Seamless-Downgraded"] = answer.verdict.reason.value
    if answer.jobs:
        headers["Seamless-Backfill"] = ", ".join(f"{j.job_id};state={j.state}" for j in answer.jobs)
    return headers


def _standing_headers(request: ReadRequest) -> dict[str, str]:
    """What is known before a row is read."""
    headers = {
        "Seamless-Node": quote(request.node.node_id, safe=":/"),
        "Seamless-Window": f"{request.window.start}/{request.window.end}",
    }
    strict = request.resolution.strict
    if strict is not None:
        headers |= {
            "Seamless-Subject": strict.subject,
            "Seamless-Schema-Version": str(strict.number),
            "Seamless-Schema-Fingerprint": strict.fingerprint,
            "Seamless-Release": f"{strict.bundle}/{strict.release}",
            "Seamless-Release-Fingerprint": strict.release_fingerprint,
        }
    return headers | _viewpoint_headers(request) | going_away(request)


def _viewpoint_headers(request: ReadRequest) -> dict[str, str]:
    """From where the answer was looked for; nothing of a plain live read."""
    if request.viewpoint == Viewpoint():
        return {}
    headers = {"Seamless-Domain": request.domain.value}
    if request.world:
        headers["Seamless-World"] = quote(request.world)
    if request.artifact is not None:
        headers["Seamless-As-Of"] = moment_text(request.artifact.as_of)
        headers["Seamless-Artifact"] = request.artifact.manifest_uri
    elif request.as_of is not None:
        headers["Seamless-As-Of"] = moment_text(request.as_of)
    return headers


def going_away(request: ReadRequest) -> dict[str, str]:
    """Whether the version that the answer is held to goes away, and when.

    Of the strict release only, so that a canary shows nowhere.
    """
    strict = request.resolution.strict
    return {} if strict is None else sunset_headers(strict.deprecated_at, strict.sunset_at)


def report_link(request: ReadRequest, report: ConformanceReport) -> str:
    """Where the report can be read; a report without findings says all it has to say here."""
    if not has_something_to_say(report):
        return "clean"
    node = quote(request.node.node_id)
    return f"/api/v1/nodes/{node}/reports/{report_digest(request.node, report)}"


def canary_header(request: ReadRequest) -> str:
    canary = request.resolution.canary
    if canary is None:
        return "none"
    if not request.resolution.governed:
        return f"ungoverned; {canary.subject}/{canary.number}"
    return f"{canary.bundle}/{canary.release}"


def static_metadata(request: ReadRequest) -> dict[str, str]:
    """For files whose metadata is written before their rows."""
    return metadata_of(_standing_headers(request))


def metadata_of(headers: dict[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}
