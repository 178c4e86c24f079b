"""`Seamless-Audit`: whether the record of a change is recorded, or sealed in a checkpoint already.

A caller who must know that it is sealed asks for it with `Prefer: wait=2` (RFC 7240); the answer
then waits for it, two seconds at most.
"""

import re
from collections.abc import Sequence
from typing import Any

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from rest_framework.permissions import SAFE_METHODS
from rest_framework.views import APIView

from registry.services.audit import wait_until_sealed
from registry.services.audit.receipts import collecting

NOT_FOUND = 404
_WAIT = re.compile(r"(?:^|,)\s*wait\s*=\s*\"?(\d{1,4})\"?\s*(?:[,;]|$)", re.IGNORECASE)


class AuditedView(APIView):
    """Names the audit record of each change in its answer."""

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        with collecting() as recorded:
            answer = super().dispatch(request, *args, **kwargs)
        # A 404 says nothing: the record would tell what exists from what does not.
        if recorded and request.method not in SAFE_METHODS and answer.status_code != NOT_FOUND:
            _tell(answer, recorded, request.headers.get("Prefer", ""))
        return answer


def _tell(answer: HttpResponseBase, recorded: Sequence[int], prefer: str) -> None:
    wanted = _WAIT.search(prefer)
    size = wait_until_sealed(recorded[-1], seconds=int(wanted[1])) if wanted else None
    state = "recorded" if size is None else f"sealed; checkpoint={size}"
    answer["Seamless-Audit"] = f"{state}; record={recorded[-1]}"
    if size is not None:
        answer["Preference-Applied"] = "wait"
