"""A window that is checked in batches: spooled while it is checked, sent when all has passed."""

import hashlib
import tempfile
from contextlib import closing
from typing import IO, Any

from django.conf import settings

from coordinator.coverage import Window
from provider.api.headers import answer_headers, canary_header, static_metadata
from provider.api.reading import Question, Served, keep_behind, mirror, refused
from provider.api.selecting import apply_selection
from provider.api.validators import matches
from provider.api.windows import WindowTooLarge
from provider.conformance import ConformancePipelineError, Examined
from provider.exporting import Exported, export, largest_at_once
from provider.node_view import policy_of
from provider.observing import observe_answer
from provider.requests import ReadRequest
from provider.streaming import WRITERS, BatchWriter

_IN_MEMORY = 8 << 20


class SpoolFull(Exception):
    """The answer is larger than what may be spooled."""


class Spool:
    """A temporary file of bounded size that knows the digest of what it holds."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._file: IO[bytes] = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115
        self._digest = hashlib.sha256()
        self.size = 0
        self.closed = False

    def write(self, data: Any) -> int:
        view = memoryview(data)
        if self.size + view.nbytes > self._most:
            raise SpoolFull
        self.size += view.nbytes
        self._digest.update(view)
        self._file.write(view)
        return view.nbytes

    def tell(self) -> int:
        return self.size

    def flush(self) -> None: ...

    def name_with(self, release: str) -> str:
        """The entity tag of the bytes under a release."""
        named = hashlib.sha256(release.encode())
        named.update(self._digest.digest())
        return f'"{named.hexdigest()}"'

    def rewound(self) -> IO[bytes]:
        self._file.seek(0)
        return self._file

    def close(self) -> None:
        self._file.close()


def serve_large(question: Question) -> Served:
    """Check in batches, spool, and only then answer.

    Raises WindowTooLarge for pages and for a form that cannot be written in batches, and where the
    spool is too small: with the largest window that fits.
    """
    request, name = question.request, question.representation.name
    if question.page.limit is not None or question.page.cursor is not None or name not in WRITERS:
        raise _too_large(request, largest_at_once(request), "in pages, or as one object")
    spool = Spool(settings.SEAMLESS_SPOOL_BYTES)
    try:
        exported = _spooled(question, spool)
    except BaseException:
        spool.close()
        raise
    observe_answer(exported, policy_of(request.node))
    headers = answer_headers(exported)
    headers["ETag"] = spool.name_with(question.release)
    headers["Content-Length"] = str(spool.size)
    keep_behind(question, exported)
    headers["Seamless-Canary"] = canary_header(request)
    content_type = question.representation.content_type
    if matches(question.if_none_match, headers["ETag"]):
        spool.close()
        del headers["Content-Length"]
        return Served(None, content_type, headers)
    return Served(spool.rewound(), content_type, headers)


def _spooled(question: Question, spool: Spool) -> Exported:
    request = question.request
    metadata = static_metadata(request)
    writer: BatchWriter = WRITERS[question.representation.name](spool, metadata)  # type: ignore[arg-type]
    passed: list[Window] = []

    def receive(examined: Examined, window: Window) -> None:
        rows = apply_selection(
            examined.blended, question.selection, examined.marks, examined.report, request.judge
        )
        writer.add(rows)
        mirror(question.consumer, request, examined.blended)
        passed.append(window)

    try:
        with closing(writer):
            return export(request, receive)
    except ConformancePipelineError as refusal:
        refused(question.consumer, request, refusal)
        raise
    except SpoolFull:
        raise _too_large(request, _fitting(request, passed), "in one answer") from None


def _fitting(request: ReadRequest, passed: list[Window]) -> Window:
    """What was spooled before it was full; where that is nothing, what is checked at once."""
    if not passed:
        return largest_at_once(request)
    return Window(request.window.start, passed[-1].end, request.window.interval)


def _too_large(request: ReadRequest, fits: Window, how: str) -> WindowTooLarge:
    return WindowTooLarge(
        f"The window has {request.window.bars} bars, more than are sent {how}. The largest that "
        f"fits from here ends at {fits.end}.",
        bars=request.window.bars,
        largest_window={"start": fits.start, "end": fits.end},
    )
