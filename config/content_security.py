"""The admin's own content security policy: its scripts need eval, the rest of the site does not."""

from collections.abc import Callable

from csp.decorators import csp_update
from django.http import HttpRequest
from django.http.response import HttpResponseBase

Handler = Callable[[HttpRequest], HttpResponseBase]


def admin_csp(get_response: Handler) -> Handler:
    relaxed = csp_update({"script-src": ["'unsafe-eval'"], "style-src": ["'unsafe-inline'"]})(
        get_response
    )

    def middleware(request: HttpRequest) -> HttpResponseBase:
        handler = relaxed if request.path.startswith("/admin/") else get_response
        return handler(request)

    return middleware
