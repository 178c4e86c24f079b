"""Default deny: a view that names no permission of its own answers nobody."""

from typing import TYPE_CHECKING

from django.contrib.auth.models import User
from django.http import HttpRequest
from rest_framework.permissions import BasePermission

from registry.models import AccessToken, Consumer, Membership, Role

if TYPE_CHECKING:  # the view module reads this one while it loads
    from rest_framework.views import APIView


class Denied(BasePermission):
    """The default of every view."""

    message = "This address is not open to anyone."

    def has_permission(self, request: HttpRequest, view: "APIView") -> bool:
        return False


class HasScope(BasePermission):
    """The caller is signed in and their token, if they came with one, has the scope."""

    scope = ""
    people_only = False

    def has_permission(self, request: HttpRequest, view: "APIView") -> bool:
        principal = request.user
        if principal is None or not principal.is_authenticated:
            return False
        if self.people_only and isinstance(principal, Consumer):
            return False
        token = getattr(request, "auth", None)
        self.message = f"This token lacks the scope {self.scope!r}."
        return self.scope in token.scopes if isinstance(token, AccessToken) else True


class MayRead(HasScope):
    scope = "read"


class MayGovern(HasScope):
    """A person with a role in at least one team; which team decides the service."""

    scope = "govern"
    people_only = True

    def has_permission(self, request: HttpRequest, view: "APIView") -> bool:
        if not super().has_permission(request, view) or not isinstance(request.user, User):
            return False
        return Membership.objects.filter(user=request.user).exists()


class MayAudit(HasScope):
    """A person who is an auditor of at least one team."""

    scope = "govern"
    people_only = True

    def has_permission(self, request: HttpRequest, view: "APIView") -> bool:
        if not super().has_permission(request, view) or not isinstance(request.user, User):
            return False
        self.message = "The audit log is for people with the role auditor."
        return Membership.objects.filter(user=request.user, role=Role.AUDITOR).exists()


class MayLease(HasScope):
    scope = "leases"


class MayScrape(HasScope):
    scope = "metrics"
