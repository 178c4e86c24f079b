"""Who may look at what: default deny, by role in any team. Who may act, the services decide.

A superuser's flag counts for nothing here.
"""

from django.http import HttpRequest

from registry.models import Membership, Role

EVERY_ROLE = frozenset(Role)
AUDIT_READERS = frozenset({Role.AUDITOR, Role.OWNER, Role.OPERATOR})
AUDITORS = frozenset({Role.AUDITOR})
PEOPLE_READERS = frozenset({Role.AUDITOR, Role.OPERATOR})
TOKEN_KEEPERS = frozenset({Role.CONSUMER_ADMIN})

_CACHE = "_seamless_roles"


def roles_of(request: HttpRequest) -> frozenset[Role]:
    """Every role of the signed-in person, in any team; of nobody, none. One query a request."""
    user = getattr(request, "user", None)
    if user is None or not user.is_authenticated:
        return frozenset()
    known = getattr(request, _CACHE, None)
    if known is None or known[0] != user.pk:
        roles = Membership.objects.filter(user_id=user.pk).values_list("role", flat=True)
        known = (user.pk, frozenset(Role(role) for role in roles))
        setattr(request, _CACHE, known)
    return known[1]


def is_member(request: HttpRequest) -> bool:
    return bool(roles_of(request))


def may_read_audit(request: HttpRequest) -> bool:
    return bool(roles_of(request) & AUDIT_READERS)


def may_export_audit(request: HttpRequest) -> bool:
    return bool(roles_of(request) & AUDITORS)


def may_read_people(request: HttpRequest) -> bool:
    return bool(roles_of(request) & PEOPLE_READERS)


def may_keep_tokens(request: HttpRequest) -> bool:
    return bool(roles_of(request) & TOKEN_KEEPERS)
