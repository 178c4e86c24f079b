"""The one exception tree of anticipated refusals.

SeamlessError
├── NotFound          404  the name does not exist, or the caller may not know that it does
├── NotAllowed        403  the caller is known and may not do this
├── NotAuthenticated  401  no usable credentials
├── InvalidInput      400  the request is wrong by itself
├── Unprocessable     422  well formed, but its content is refused
├── Conflict          409  the state of the object does not allow it
└── Unavailable       503  a dependency is away

Each carries a stable `code`, a sentence that says what to do, and facts in `extra`. Faces map the
tree to RFC 9457 in one place (`registry.problems`).
"""

from collections.abc import Mapping
from typing import Any, ClassVar


class SeamlessError(Exception):
    """A refusal that was foreseen: `detail` is for people, `code` and `extra` are for programs."""

    code: ClassVar[str] = "internal_error"
    status: ClassVar[int] = 500
    title: ClassVar[str] = "Internal error"

    def __init__(self, detail: str, **extra: Any) -> None:
        super().__init__(detail)
        self.detail = detail
        self.extra: Mapping[str, Any] = extra


class InvalidInput(SeamlessError):
    code = "invalid_input"
    status = 400
    title = "Invalid input"


class NotAuthenticated(SeamlessError):
    code = "not_authenticated"
    status = 401
    title = "Not authenticated"


class NotAllowed(SeamlessError):
    code = "not_allowed"
    status = 403
    title = "Not allowed"


class NotFound(SeamlessError):
    code = "not_found"
    status = 404
    title = "Not found"


class Hidden(NotFound):
    """It exists, but not for this caller: answered as if it did not, and recorded as denied."""

    recorded = False  # an action that refused it has it in its own record


class Conflict(SeamlessError):
    code = "conflict"
    status = 409
    title = "Conflict"


class Unprocessable(SeamlessError):
    code = "unprocessable"
    status = 422
    title = "Unprocessable content"


class Unavailable(SeamlessError):
    code = "unavailable"
    status = 503
    title = "Unavailable"
