"""Which representation a caller gets: `?format=`, else `Accept` and its q-values (RFC 9110)."""

from collections.abc import Iterable
from typing import Any

from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request

from provider.serialise import FORMATS, Format
from registry.errors import InvalidInput, SeamlessError


class NotAcceptable(SeamlessError):
    code = "not_acceptable"
    status = 406
    title = "Not acceptable"


def negotiate(format_name: str | None, accept: str) -> Format:
    """The best of what we have; ties go to our order. Raises InvalidInput or NotAcceptable."""
    if format_name is not None:
        if format_name not in FORMATS:
            raise InvalidInput(
                f"Unknown format {format_name[:60]!r}; choose of {', '.join(FORMATS)}.",
                parameter="format",
            )
        return FORMATS[format_name]
    ranges = _media_ranges(accept or "*/*")
    scored = [(_quality(_media_type(item), ranges), item) for item in FORMATS.values()]
    quality, best = max(scored, key=lambda pair: pair[0])  # the first of equals wins
    if quality <= 0:
        offered = [_media_type(item) for item in FORMATS.values()]
        raise NotAcceptable(
            f"Nothing here matches Accept: {accept[:200]}. Offered: {', '.join(offered)}.",
            offered=offered,
        )
    return best


def _media_type(item: Format) -> str:
    return item.content_type.partition(";")[0]


def _media_ranges(accept: str) -> list[tuple[str, float]]:
    ranges = []
    for part in accept.split(","):
        media, *parameters = (piece.strip() for piece in part.split(";"))
        if media:
            ranges.append((media.lower(), _q(parameters)))
    return ranges


def _q(parameters: list[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "q":
            try:
                return min(max(float(value), 0.0), 1.0)
            except ValueError:
                return 0.0
    return 1.0


def _quality(media_type: str, ranges: list[tuple[str, float]]) -> float:
    """The q of the most specific range that matches, 0 where none does."""
    family = media_type.split("/")[0] + "/*"
    for wanted in (media_type, family, "*/*"):
        matching = [q for media, q in ranges if media == wanted]
        if matching:
            return max(matching)
    return 0.0


class OursAlone(BaseContentNegotiation):
    """Leaves `Accept` to `negotiate`: the framework knows one renderer and refuses the rest."""

    def select_renderer(
        self, request: Request, renderers: Iterable[BaseRenderer], format_suffix: Any = None
    ) -> tuple[BaseRenderer, str]:
        first = next(iter(renderers))
        return first, str(first.media_type)
