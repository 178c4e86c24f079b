"""Teams and people, to be looked at. They are managed by `manage.py people`."""

from collections.abc import Sequence

from django.contrib import admin
from django.contrib.auth.models import Group, User
from django.db.models import Count, QuerySet
from django.http import HttpRequest
from unfold.decorators import display

from registry.admin.access import PEOPLE_READERS
from registry.admin.panels import Panel
from registry.admin.readonly import ReadOnlyAdmin
from registry.models import Membership, Team

admin.site.unregister(Group)  # roles in teams are the only groups there are
admin.site.unregister(User)


@admin.register(Team)
class TeamAdmin(ReadOnlyAdmin):
    list_display = ("named", "members")
    search_fields = ("name", "description")
    ordering = ("name",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Team]:
        found: QuerySet[Team] = super().get_queryset(request)
        return found.annotate(n_members=Count("memberships__user", distinct=True))

    @display(description="Team", header=True, ordering="name")
    def named(self, team: Team) -> Sequence[str]:
        return team.name, team.description

    @display(description="People", ordering="n_members")
    def members(self, team: Team) -> int:
        return team.n_members  # type: ignore[attr-defined]

    def panels(self, request: HttpRequest, obj: Team) -> Sequence[Panel]:
        held = obj.memberships.select_related("user").order_by("user__username", "role")
        return (
            Panel(
                title="People",
                headers=("Person", "Role"),
                rows=[(m.user.get_username(), m.get_role_display()) for m in held],
            ),
        )


@admin.register(User)
class PersonAdmin(ReadOnlyAdmin):
    """Names and roles; nothing of the password is loaded or shown."""

    viewers = PEOPLE_READERS
    list_display = ("named", "roles", "is_active", "last_login")
    list_filter = ("is_active",)
    search_fields = ("username", "email")
    ordering = ("username",)
    fields = ("username", "email", "is_active", "is_staff", "last_login", "date_joined")

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        found: QuerySet[User] = super().get_queryset(request)
        return found.defer("password").prefetch_related("memberships__team")

    @display(description="Person", header=True, ordering="username")
    def named(self, person: User) -> Sequence[str]:
        return person.get_username(), person.email

    @display(description="Roles")
    def roles(self, person: User) -> str:
        return ", ".join(f"{m.role} of {m.team}" for m in _memberships(person)) or "none"

    def panels(self, request: HttpRequest, obj: User) -> Sequence[Panel]:
        rows = [(m.team.name, m.get_role_display()) for m in _memberships(obj)]
        return (Panel(title="Roles", headers=("Team", "Role"), rows=rows),)


def _memberships(person: User) -> list[Membership]:
    return sorted(person.memberships.all(), key=lambda m: (m.team.name, m.role))
