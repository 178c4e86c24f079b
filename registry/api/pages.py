"""Long listings in pages: an opaque signed cursor that belongs to one listing and its filters."""

from typing import Any, TypeVar

from django.core import signing
from django.db.models import Model, QuerySet
from rest_framework.request import Request

from registry.errors import InvalidInput

DEFAULT, MOST = 100, 500
_SALT = "seamless.api.pages"

Row = TypeVar("Row", bound=Model)


def page_of(
    request: Request, rows: QuerySet[Row], *, key: str = "pk", descending: bool = True
) -> tuple[list[Row], str | None]:
    """One page of the rows by a unique key, and the address of the next one.

    `?limit=` is its size, `?cursor=` where it begins. Raises InvalidInput for a cursor of another
    listing.
    """
    after = _read_cursor(request)
    if after is not None:
        rows = rows.filter(**{f"{key}__{'lt' if descending else 'gt'}": after})
    size = _size(request)
    found = list(rows.order_by(f"-{key}" if descending else key)[: size + 1])
    if len(found) <= size:
        return found, None
    page = found[:size]
    return page, _next(request, getattr(page[-1], key))


def _next(request: Request, last: Any) -> str:
    query = request.query_params.copy()
    query["cursor"] = signing.dumps({"of": _listing(request), "after": last}, salt=_SALT)
    return f"{request.path}?{query.urlencode()}"


def _read_cursor(request: Request) -> Any:
    text = request.query_params.get("cursor")
    if text is None:
        return None
    try:
        cursor = signing.loads(text, salt=_SALT)
    except signing.BadSignature:
        cursor = {}
    if cursor.get("of") != _listing(request):
        raise InvalidInput(
            "This cursor is not of this listing with these filters; begin without one.",
            parameter="cursor",
        )
    return cursor["after"]


def _listing(request: Request) -> list[Any]:
    filters = sorted(
        [name, value]
        for name, value in request.query_params.items()
        if name not in {"cursor", "limit"}
    )
    return [request.path, filters]


def _size(request: Request) -> int:
    text = request.query_params.get("limit", str(DEFAULT))
    if not text.isdecimal() or not 1 <= int(text) <= MOST:
        raise InvalidInput(f"limit is 1 to {MOST}, not {text[:60]!r}.", parameter="limit")
    return int(text)
