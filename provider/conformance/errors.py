"""How a response is refused."""

from typing import ClassVar

from provider.conformance.report import ConformanceReport
from registry.errors import SeamlessError


class ConformancePipelineError(SeamlessError, RuntimeError):
    """The response is not sent; `report` says what was found."""

    code: ClassVar[str] = "conformance_blocked"
    status: ClassVar[int] = 409
    title: ClassVar[str] = "Conformance blocked"

    def __init__(self, report: ConformanceReport) -> None:
        super().__init__(
            "conformance pipeline blocked response "
            f"(warnings={len(report.warnings)}, flags={sum(report.flags.values())})",
            report=report.to_dict(),
        )
        self.report = report


class SchemaRefused(ConformancePipelineError):
    """The response breaks the release that a strict rollout holds the consumer to."""

    code: ClassVar[str] = "schema_refused"
    title: ClassVar[str] = "Schema refused"
