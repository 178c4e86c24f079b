"""One question to a node, and its answer: both immutable, nothing shared with other requests."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar

import pandas as pd
import pyarrow as pa

from coordinator.coverage import Window
from coordinator.services.outcomes import JobOutcome
from provider.blend import Blended, Marks
from provider.conformance import ConformanceReport
from provider.models import Artifact
from provider.verdict import Verdict
from provider.viewpoint import ExecutionDomain, Viewpoint, moment_text
from provider.window_cache import Fingerprint
from registry.actors import Actor
from registry.errors import NotFound, SeamlessError
from registry.models import Node
from registry.services.resolution import BoundVersion, Resolution


class Strategy(StrEnum):
    """How far a read goes for bars that storage lacks.

    `seamless`: fetch them and read the live tail. `auto_backfill`: fetch them, also where a source
    settled lately that it has none, and leave live bars alone. `partial_fill`: serve what is there
    and have the rest fetched behind the answer. `fail_fast`: neither fetch nor wait.
    """

    SEAMLESS = "seamless"
    FAIL_FAST = "fail_fast"
    AUTO_BACKFILL = "auto_backfill"
    PARTIAL_FILL = "partial_fill"


class NoData(NotFound, RuntimeError):
    """Bars are expected in the window and there is not one row of them."""

    code: ClassVar[str] = "no_data"
    title: ClassVar[str] = "No data"


class BackfillStarted(SeamlessError, RuntimeError):
    """There is nothing to serve yet; backfill jobs run that will change that."""

    code: ClassVar[str] = "backfill_started"
    status: ClassVar[int] = 202
    title: ClassVar[str] = "Backfill started"

    def __init__(self, node_id: str, job_ids: tuple[int, ...]) -> None:
        super().__init__(
            f"{node_id} has no row of this window yet; backfill jobs {list(job_ids)} fetch them. "
            "Ask again.",
            jobs=[{"id": job, "href": f"/api/v1/backfills/{job}"} for job in job_ids],
            retry_after=1,
        )
        self.job_ids = job_ids


@dataclass(frozen=True, slots=True)
class ReadRequest:
    """One question: a closed window of one node, already on its grid.

    `partial_ok`: quality findings and missing bars are reported instead of raised.
    `stabilization_bars`: how many of the newest bars before now are left out as still moving.
    `reads_until`: a later second up to which rows are read, where the window is one of several.
    `domain`, `world` and `as_of` say from where it looks. The domain's gate adds `artifact`, what
    then answers it, and `regressed`: that its `as_of` went back.
    """

    resolution: Resolution
    window: Window
    actor: Actor
    now: datetime
    partial_ok: bool = False
    strategy: Strategy = Strategy.SEAMLESS
    stabilization_bars: int = 0
    reads_until: int | None = None
    domain: ExecutionDomain = ExecutionDomain.LIVE
    world: str = ""
    as_of: datetime | None = None
    artifact: Artifact | None = None
    regressed: bool = False

    @property
    def viewpoint(self) -> Viewpoint:
        return Viewpoint(self.domain, self.world, self.as_of)

    @property
    def node(self) -> Node:
        return self.resolution.node

    @property
    def span(self) -> Window:
        """What is read of storage."""
        end = self.window.end if self.reads_until is None else self.reads_until
        return Window(self.window.start, end, self.window.interval)

    @property
    def judge(self) -> BoundVersion:
        """The version whose frame and schema the answer is checked with."""
        return self.resolution.strict or self.resolution.bound


@dataclass(frozen=True, slots=True)
class ReadAnswer:
    """What was checked and may be sent, and everything that is to be said about it.

    `fingerprint` names all rows that were checked, whatever is selected from them; `marks` are the
    rows and bars that were flagged; `state` is what decides an answer that no clock changes, None
    where there is more to it.
    """

    request: ReadRequest
    rows: Blended
    report: ConformanceReport
    verdict: Verdict
    named: Fingerprint
    marks: Mapping[str, Marks]
    jobs: tuple[JobOutcome, ...] = ()
    state: tuple[object, ...] | None = None
    from_cache: bool = False

    @property
    def coverage(self) -> float:
        """The share of expected bars that every series has; 1.0 where none are expected."""
        return self.verdict.coverage

    @property
    def fingerprint(self) -> str:
        """`sha256:…`: the same for the same rows, however they were stored and read."""
        return str(self.named)

    @property
    def is_complete(self) -> bool:
        """There are rows, no bar is missing, and nothing was found but notes."""
        return self.rows.rows > 0 and self.coverage == 1.0 and self.report.is_clean

    @property
    def job_ids(self) -> tuple[int, ...]:
        return tuple(job.job_id for job in self.jobs)

    @property
    def table(self) -> pa.Table:
        """The rows as one Arrow table; raises MixedTypes where none is exact."""
        return self.rows.table()

    def to_pandas(self) -> pd.DataFrame:
        """The rows as a pandas frame, made on demand; integers with nulls stay integers."""
        return self.table.to_pandas(types_mapper=_nullable)

    def metadata(self) -> Mapping[str, Any]:
        """Facts about the answer under the names that consumers of the original know."""
        window = self.request.window
        return {
            "node_id": self.request.node.node_id,
            "interval": window.interval,
            "requested_range": (window.start, window.end),
            "rows": self.rows.rows,
            "coverage_bounds": self.rows.bounds(),
            "conformance_flags": self.report.flags,
            "conformance_warnings": list(self.report.warnings),
            "dataset_fingerprint": self.fingerprint,
            **self.verdict.to_dict(),
            **provenance(self.request),
        }


def provenance(request: ReadRequest) -> Mapping[str, Any]:
    """From where the answer was looked for, and what it was found in."""
    artifact, asked = request.artifact, request.as_of
    known = asked if artifact is None else artifact.as_of
    return {
        "execution_domain": request.domain.value,
        "world_id": request.world,
        "requested_as_of": None if asked is None else moment_text(asked),
        "as_of": None if known is None else moment_text(known),
        "artifact": artifact and artifact.address,
        "manifest_uri": artifact and artifact.manifest_uri,
    }


def _nullable(kind: pa.DataType) -> Any:
    return _NULLABLE.get(kind)


_NULLABLE = {
    pa.int8(): pd.Int8Dtype(),
    pa.int16(): pd.Int16Dtype(),
    pa.int32(): pd.Int32Dtype(),
    pa.int64(): pd.Int64Dtype(),
    pa.uint8(): pd.UInt8Dtype(),
    pa.uint16(): pd.UInt16Dtype(),
    pa.uint32(): pd.UInt32Dtype(),
    pa.uint64(): pd.UInt64Dtype(),
    pa.bool_(): pd.BooleanDtype(),
}
