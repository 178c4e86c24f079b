"""`Idempotency-Key` for any POST with an effect: `return once(request, lambda: Response(…))`."""

import re
from collections.abc import Callable

from django.http import HttpResponse
from django.utils import timezone
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from coordinator.services import idempotency
from coordinator.services.idempotency import Attempt, KeptAnswer
from registry.canonical import fingerprint
from registry.errors import InvalidInput, SeamlessError
from registry.problems import refusal
from registry.request_context import actor_of

HEADER = "Idempotency-Key"
_KEY = re.compile(r"[!-~]{1,200}")


class NoIdempotencyKey(InvalidInput):
    code = "idempotency_key_missing"
    title = "Idempotency key missing"


def once(request: Request, action: Callable[[], Response]) -> HttpResponse:
    """The answer of `action`, carried out once per key however often the request is sent.

    A later request with the key gets the answer of the first, marked `Idempotency-Replayed`.
    Refusals are answers too; what should be tried again anyway (409, 429, 5xx) is not kept. Raises
    NoIdempotencyKey, KeyReused and StillRunning.
    """
    attempt = _attempt(request)
    kept = idempotency.begin(attempt=attempt, now=timezone.now())
    if kept is not None:
        return HttpResponse(
            kept.body,
            status=kept.status,
            content_type=kept.content_type,
            headers={"Idempotency-Replayed": "true"},
        )
    try:
        answer = _answer(request, action)
    except BaseException:
        idempotency.forget(attempt=attempt)
        raise
    idempotency.keep(
        attempt=attempt,
        answer=KeptAnswer(answer.status_code, answer["Content-Type"], answer.content.decode()),
    )
    return answer


def _answer(request: Request, action: Callable[[], Response]) -> HttpResponse:
    try:
        done = action()
    except SeamlessError as refused:
        return refusal(request._request, refused)
    return HttpResponse(
        JSONRenderer().render(done.data), status=done.status_code, content_type="application/json"
    )


def _attempt(request: Request) -> Attempt:
    key = request.headers.get(HEADER, "")
    if not _KEY.fullmatch(key):
        raise NoIdempotencyKey(
            f"Send a header {HEADER} of 1 to 200 visible characters, new for every new request: a "
            "request that is sent twice is then carried out once."
        )
    actor = actor_of(request._request)
    return Attempt(
        caller=f"{actor.kind}:{actor.id}",
        method=str(request.method),
        path=request.path[:500],
        key=key,
        body_digest=fingerprint(request.data or {}),
    )
